//! Access that stands without any call against it: past its end, or unused.
//!
//! Looks at the register at the window's end, and at what was called within the window. It knows the logs only by
//! the rows that came of them and the days on which they held calls.

use std::collections::{BTreeSet, HashSet};

use super::Kind;
use super::collect::{Found, Row, Severities, hex, severity};
use super::id::{Identity, id};
use crate::judge::Judge;
use crate::limits;
use crate::register::{
    ApiId, CredentialId, CredentialRow, Grant, GrantId, GrantRow, Operations, PartnerId,
};
use crate::tally::Subjects;
use crate::time::Instant;

/// What the logs showed of the register's use.
pub(super) struct Seen<'r> {
    grants: HashSet<GrantId>,
    called: HashSet<(PartnerId, ApiId, &'r str)>,
    cut_off: HashSet<(PartnerId, ApiId)>,
    credentials: HashSet<CredentialId>,
    days: &'r Days,
}

/// What of the register was used in a time of which not all calls are at hand.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// The time's end.
    pub window_end: Option<Instant>,
    /// The days of logs read.
    pub days: Days,
    /// Grants that calls were judged by.
    pub grants: HashSet<GrantId>,
    /// What was called by whom, for what.
    pub called: HashSet<(PartnerId, ApiId, String)>,
    /// Of whom, on what, operations were called whose names are not known: the register had no word for them then.
    pub cut_off: HashSet<(PartnerId, ApiId)>,
    /// Credentials that were presented.
    pub credentials: HashSet<CredentialId>,
}

/// The days of logs read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Numbers of the days since 1970 on which calls came, sorted.
    pub numbers: Vec<i64>,
    /// Whether any call of them presented a credential that the register knows.
    pub tell_who: bool,
}

impl<'r> Seen<'r> {
    /// Of all rows of a report, and the days that its logs tell of.
    pub(super) fn new(rows: &'r [Row], days: &'r Days) -> Seen<'r> {
        let called =
            |row: &'r Row| Some((row.key.partner?, row.key.api?, row.operation.as_deref()?));
        Seen {
            grants: rows.iter().filter_map(|row| row.key.grant).collect(),
            called: rows.iter().filter_map(called).collect(),
            // What a grant names the register has a word for, and that is never cut off.
            cut_off: HashSet::new(),
            credentials: rows.iter().flat_map(|row| &row.cell.credentials).copied().collect(),
            days,
        }
    }

    /// Of a time of which that is known.
    pub(super) fn of_used(used: &'r Used) -> Seen<'r> {
        let called = used.called.iter();
        Seen {
            grants: used.grants.clone(),
            called: called.map(|(partner, api, name)| (*partner, *api, name.as_str())).collect(),
            cut_off: used.cut_off.clone(),
            credentials: used.credentials.clone(),
            days: &used.days,
        }
    }

    /// Whether the logs are enough to call anything unused: of so many days, and telling who called.
    fn tells_unused(&self) -> bool {
        self.days.numbers.len() >= limits::UNUSED_DAYS_MIN && self.days.tell_who
    }

    /// Whether so many of the days see something of any of the intervals, sorted by their start and not overlapping.
    fn long_enough(
        &self,
        intervals: impl Iterator<Item = (Option<Instant>, Option<Instant>)>,
    ) -> bool {
        let days = &self.days.numbers;
        let (mut count, mut next) = (0, 0);
        for (from, until) in intervals {
            let day = |at: Instant| at.hour().div_euclid(24);
            let first = from.map_or(0, |from| days.partition_point(|&d| d < day(from)));
            let end = until.map_or(days.len(), |until| {
                days.partition_point(|&d| Instant::from_hour(d * 24) < until)
            });
            // Two intervals may touch the same day.
            count += end.saturating_sub(first.max(next));
            next = next.max(end);
        }
        count >= limits::UNUSED_DAYS_MIN
    }
}

/// All of it at `window_end`; only of one partner, where one is named.
pub(super) fn hygiene(
    judge: &Judge<'_>,
    seen: &Seen<'_>,
    window_end: Instant,
    partner: Option<PartnerId>,
    severities: &Severities,
) -> Vec<Found> {
    let register = judge.register;
    let of_partner = |id: PartnerId| partner.is_none_or(|partner| partner == id);
    let mut found = Vec::new();
    for (grant_id, grant) in (0..).map(GrantId).zip(&register.grants) {
        let Some(row) = grant.versions.last().map(|version| &version.row) else { continue };
        // What is open to all needs no grant: none can outlive its end, or be unused.
        if !of_partner(row.partner) || !row.is_live(window_end) || judge.is_open(row.api) {
            continue;
        }
        let of_grant = |kind, operations, since| {
            of_grant(judge, kind, (grant_id, grant, row), operations, since, severities)
        };
        if let Some(since) = stands_since(judge, row, window_end) {
            found.push(of_grant(Kind::StandingAccess, all_operations(row), Some(since)));
        }
        let life = (row.granted_at, row.end());
        if !seen.tells_unused() || !seen.long_enough([life].into_iter()) {
            continue;
        }
        if !seen.grants.contains(&grant_id) {
            found.push(of_grant(Kind::UnusedGrant, all_operations(row), None));
        } else if let Operations::Named(names) = &row.operations {
            let (called, unused): (Vec<&String>, Vec<&String>) = names
                .iter()
                .partition(|name| seen.called.contains(&(row.partner, row.api, name.as_str())));
            // Where names are not known, nobody can tell that one of them was never called.
            let are_all_known = !seen.cut_off.contains(&(row.partner, row.api));
            if are_all_known && !called.is_empty() && !unused.is_empty() {
                let unused = unused.into_iter().cloned().collect();
                found.push(of_grant(Kind::UnusedOperation, unused, None));
            }
        }
    }
    if !seen.tells_unused() {
        return found;
    }
    for (credential_id, credential) in (0..).map(CredentialId).zip(&register.credentials) {
        let valid = |row: &&CredentialRow| {
            row.valid_from.is_none_or(|from| from <= window_end)
                && row.valid_until.is_none_or(|until| window_end < until)
        };
        let Some(holder) = credential.rows.iter().find(valid).map(|row| row.partner) else {
            continue;
        };
        let lives = credential.rows.iter().map(|row| (row.valid_from, row.valid_until));
        if !of_partner(holder)
            || seen.credentials.contains(&credential_id)
            || !seen.long_enough(lives)
        {
            continue;
        }
        let kind = Kind::UnusedCredential;
        let digest = hex(&credential.digest);
        found.push(Found {
            partner: Some(holder),
            credentials: BTreeSet::from([credential.shown.clone()]),
            ..without_calls(
                id(kind, Identity { credential: &digest, ..Identity::default() }),
                kind,
                severities,
            )
        });
    }
    found
}

/// Since when a live grant has outlived what it was given for, if it has by `at`: its purpose, its api, its certification.
fn stands_since(judge: &Judge<'_>, row: &GrantRow, at: Instant) -> Option<Instant> {
    let register = judge.register;
    let purpose = row.purpose.and_then(|id| register.purposes[id.0 as usize].versions.last());
    let api = register.apis[row.api.0 as usize].versions.last();
    let ends = [
        purpose.and_then(|version| version.row.ended_at),
        api.and_then(|version| version.row.dormant_since),
        row.certified_until,
    ];
    let since = ends.into_iter().flatten().filter(|&end| end <= at).min()?;
    // Given later, it stands since then.
    Some(row.granted_at.map_or(since, |granted_at| since.max(granted_at)))
}

fn all_operations(row: &GrantRow) -> BTreeSet<String> {
    match &row.operations {
        Operations::All => BTreeSet::from(["*".to_owned()]),
        Operations::Named(names) => names.iter().cloned().collect(),
    }
}

fn of_grant(
    judge: &Judge<'_>,
    kind: Kind,
    (grant_id, grant, row): (GrantId, &Grant, &GrantRow),
    operations: BTreeSet<String>,
    since: Option<Instant>,
    severities: &Severities,
) -> Found {
    let register = judge.register;
    let api = &register.apis[row.api.0 as usize].id;
    let identity = Identity {
        partner: &register.partners[row.partner.0 as usize].id,
        api,
        grant: &grant.id,
        credential: "",
    };
    Found {
        partner: Some(row.partner),
        api: Some(api.clone()),
        api_id: Some(row.api),
        grant: Some(grant_id),
        operations,
        since,
        ..without_calls(id(kind, identity), kind, severities)
    }
}

/// A finding that no call belongs to.
pub(super) fn without_calls(id: String, kind: Kind, severities: &Severities) -> Found {
    Found {
        id,
        kind,
        severity: severity(kind, true, severities),
        partner: None,
        api: None,
        api_id: None,
        grant: None,
        operations: BTreeSet::new(),
        credentials: BTreeSet::new(),
        since: None,
        lapsed_at: None,
        first: None,
        last: None,
        overstay_s: None,
        calls: [0; 4],
        hindsight: 0,
        bytes_served: 0,
        subjects: Subjects::default(),
        evidence: Vec::new(),
        log: None,
        odd: None,
    }
}
