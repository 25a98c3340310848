//! Gathers cells and credentials into findings: one for each problem.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::hygiene::{Days, Seen, Used, hygiene};
use super::id::{Identity, id};
use super::odd::{OddUse, Shown as OddShown};
use super::told::{Log, Told};
use super::{Kind, Severity};
use crate::call::{Call, Outcome};
use crate::judge::{Judge, Judged, Presented, Verdict};
use crate::limits;
use crate::register::{ApiId, CredentialId, GrantId, PartnerId, Shown};
use crate::tally::{
    Cell, CellKey, Evidence, Group, Latest, Names, Networks, OTHER, OperationName, Operations,
    Proof, Subjects, outcome_index,
};
use crate::time::Instant;

/// A cell with the names of what it counts.
#[derive(Clone, Debug)]
pub struct Row {
    /// What its calls have in common.
    pub key: CellKey,
    /// The credential, where nothing was judged.
    pub credential: Option<Unjudged>,
    /// The api's name; the templated path where nothing was judged.
    pub api: Option<String>,
    /// The operation's name.
    pub operation: Option<String>,
    /// The sums.
    pub cell: Cell,
}

/// A credential that was not judged: its digest and how reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// One.
    One([u8; 32], Shown),
    /// One of those that a bound cut off.
    Other,
}

impl Row {
    /// Names a cell. `names` are those that only the log brings; `None` for names that a bound cut off.
    pub fn new(judge: Option<&Judge<'_>>, key: CellKey, names: Option<&Names>, cell: Cell) -> Row {
        let owned = |name: &Option<Box<str>>| name.as_deref().map(str::to_owned);
        // What was absent is absent, also beyond the bound.
        let other = |logged: bool| logged.then(|| OTHER.to_owned());
        let api = match (key.api, judge, names) {
            (Some(id), Some(judge), _) => Some(judge.register.apis[id.0 as usize].id.clone()),
            (_, _, Some(names)) => owned(&names.api),
            (_, _, None) => other(key.logged.api),
        };
        let operation = match key.operation_name(judge, names) {
            OperationName::Word(name) | OperationName::Logged(name) => Some(name.to_owned()),
            OperationName::CutOff => Some(OTHER.to_owned()),
            OperationName::Absent => None,
        };
        let cut_off = names.is_none() && key.logged.credential;
        Row { key, credential: cut_off.then_some(Unjudged::Other), api, operation, cell }
    }

    /// Whether its calls were served, or may have been.
    pub fn served(&self) -> bool {
        self.key.outcome.counts_as_served()
    }
}

/// A finding before it is put into words.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// How grave.
    pub severity: Severity,
    /// The partner.
    pub partner: Option<PartnerId>,
    /// The api's name.
    pub api: Option<String>,
    /// The api, if the register knows it.
    pub api_id: Option<ApiId>,
    /// The grant.
    pub grant: Option<GrantId>,
    /// The operations called.
    pub operations: BTreeSet<String>,
    /// The credentials used, masked.
    pub credentials: BTreeSet<String>,
    /// Since when what it is about holds, of its last served call (none: its last call).
    pub since: Option<Instant>,
    /// When access was last in order, likewise.
    pub lapsed_at: Option<Instant>,
    /// The first of its calls.
    pub first: Option<Instant>,
    /// The last of its calls.
    pub last: Option<Instant>,
    /// From `lapsed_at` to the last served call, in whole seconds.
    pub overstay_s: Option<u64>,
    /// Calls by outcome, in the order of [`Outcome::ALL`].
    pub calls: [u64; 4],
    /// Calls that the register's later versions turned around.
    pub hindsight: u64,
    /// Bytes of calls served or unknown.
    pub bytes_served: u64,
    /// Distinct people of calls served or unknown.
    pub subjects: Subjects,
    /// The earliest and the latest served lines.
    pub evidence: Vec<Proof>,
    /// The log that it is about.
    pub log: Option<Log>,
    /// What shows that it is odd.
    pub odd: Option<OddShown>,
}

/// What makes a finding of cells one problem.
type Problem = (Kind, Option<PartnerId>, Option<String>, Option<GrantId>);

/// The sums of a finding in the making.
#[derive(Default)]
struct Draft {
    api_id: Option<ApiId>,
    /// Those that the register has words for.
    operations: BTreeSet<String>,
    /// Those that only the log brings.
    logged: Operations,
    credentials: BTreeSet<CredentialId>,
    calls: [u64; 4],
    hindsight: u64,
    bytes_served: u64,
    subjects: Subjects,
    first: Option<Instant>,
    latest: Option<Latest>,
    latest_served: Option<Latest>,
    evidence: Evidence,
}

fn merge_latest(ours: &mut Option<Latest>, theirs: Latest) {
    match ours {
        Some(ours) => ours.merge(theirs),
        None => *ours = Some(theirs),
    }
}

impl Draft {
    fn add(&mut self, row: &Row, facts: Latest) {
        self.api_id = row.key.api;
        match &row.operation {
            Some(name) if row.key.operation.is_none() => self.logged.add(name),
            name => self.operations.extend(name.clone()),
        }
        self.credentials.extend(&row.cell.credentials);
        self.calls[outcome_index(row.key.outcome)] += row.cell.calls;
        if row.key.also.hindsight {
            self.hindsight += row.cell.calls;
        }
        self.first = Some(self.first.map_or(row.cell.first, |first| first.min(row.cell.first)));
        merge_latest(&mut self.latest, facts);
        if row.served() {
            merge_latest(&mut self.latest_served, facts);
            self.bytes_served = self.bytes_served.saturating_add(row.cell.bytes);
            self.subjects.merge(&row.cell.subjects);
            self.evidence.merge(&row.cell.evidence);
        }
    }
}

/// How grave findings are, by kind, where that is configured.
pub type Severities = BTreeMap<Kind, Severity>;

/// The severity of a finding: refused attempts are `low` at most. One that needs no call counts as served.
pub(super) fn severity(kind: Kind, served: bool, severities: &Severities) -> Severity {
    let configured = severities.get(&kind).copied().unwrap_or_else(|| kind.severity());
    if served { configured } else { configured.min(Severity::Low) }
}

/// What findings that need no call are judged by.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The window's end; `None` where nothing says, and nothing is found.
    pub window_end: Option<Instant>,
    /// The days of logs read.
    pub days: Days,
    /// The only partner that is looked at.
    pub partner: Option<PartnerId>,
    /// What of the register was used, where that is known of more than the rows.
    pub used: Option<Used>,
}

/// All findings of the rows, the credentials and the register, by id.
pub fn collect(
    judge: &Judge<'_>,
    rows: &[Row],
    stale: &BTreeMap<CredentialId, Group>,
    unknown: &UnknownCredentials,
    past: &Past,
    (told, odd, networks): (&[Told], &[OddUse], &Networks),
    severities: &Severities,
) -> Vec<Found> {
    let mut drafts: BTreeMap<Problem, Draft> = BTreeMap::new();
    for row in rows {
        for (kind, facts) in kinds(row) {
            drafts.entry(problem(kind, row)).or_default().add(row, facts);
        }
    }
    let mut found: Vec<Found> = drafts
        .into_iter()
        .map(|(problem, draft)| finish(judge, problem, draft, severities))
        .collect();
    let stale_kind = Kind::Verdict(Verdict::StaleCredential);
    found.extend(stale.iter().map(|(credential, group)| {
        let credential = &judge.register.credentials[credential.0 as usize];
        let digest = hex(&credential.digest);
        of_group(stale_kind, &digest, &credential.shown, group, severities)
    }));
    let unknown_kind = Kind::Verdict(Verdict::UnknownCredential);
    found.extend(unknown.top.iter().map(|(digest, group)| {
        let shown = group.shown.as_ref().map_or(OTHER, Shown::masked);
        of_group(unknown_kind, &hex(digest), shown, group, severities)
    }));
    found.extend(
        unknown.rest.iter().map(|group| of_group(unknown_kind, OTHER, OTHER, group, severities)),
    );
    if let Some(window_end) = past.window_end {
        let seen = match &past.used {
            Some(used) => Seen::of_used(used),
            None => Seen::new(rows, &past.days),
        };
        found.extend(hygiene(judge, &seen, window_end, past.partner, severities));
    }
    found.extend(told.iter().map(|told| told.found(severities)));
    let is_told = |found: &Found| {
        // Whose the calls of a network were is only known by now.
        let is_of = past.partner.is_none_or(|only| found.partner == Some(only));
        found.kind != Kind::NewNetwork || is_of
    };
    let odd = odd.iter().filter_map(|odd| odd.found(judge, (rows, networks), severities));
    found.extend(odd.filter(is_told));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Unknown credentials: those with the most calls, and the others together.
#[derive(Debug, Default)]
pub struct UnknownCredentials {
    /// By calls, the most first, then by digest.
    pub top: Vec<([u8; 32], Group)>,
    /// All others.
    pub rest: Option<Group>,
}

impl UnknownCredentials {
    /// Sorts out those that become a finding each.
    pub fn new(mut kept: Vec<([u8; 32], Group)>, other: Option<Group>) -> UnknownCredentials {
        use crate::tally::Merge as _;
        kept.sort_by(|a, b| b.1.total().cmp(&a.1.total()).then(a.0.cmp(&b.0)));
        let most = kept.len().min(limits::UNKNOWN_CREDENTIAL_FINDINGS_MAX);
        let mut rest = other;
        for (_, group) in kept.drain(most..) {
            rest.get_or_insert_default().merge(group);
        }
        UnknownCredentials { top: kept, rest }
    }
}

/// The kinds of finding that cover a row's calls, with what holds of the last in terms of each.
fn kinds(row: &Row) -> Vec<(Kind, Latest)> {
    let Some(verdict) = row.key.verdict else { return Vec::new() };
    let latest = row.cell.latest;
    let mut kinds = Vec::new();
    let by_credential = matches!(verdict, Verdict::StaleCredential | Verdict::UnknownCredential);
    if !verdict.in_order() && !by_credential {
        kinds.push((Kind::Verdict(verdict), latest));
    }
    if let Some(axis) = row.key.also.axis {
        kinds.push((Kind::Verdict(axis), Latest { since: latest.axis_since, ..latest }));
    }
    if row.key.also.hindsight && verdict.in_order() {
        kinds.push((Kind::Hindsight, Latest { since: None, ..latest }));
    }
    kinds
}

/// What a kind tells apart.
fn problem(kind: Kind, row: &Row) -> Problem {
    let (partner, api, grant) = (row.key.partner, row.api.clone(), row.key.grant);
    match kind {
        Kind::Verdict(Verdict::Anonymous | Verdict::UnlistedApi) => (kind, None, api, None),
        Kind::Verdict(Verdict::DormantApi | Verdict::NeverGranted | Verdict::OutOfScope) => {
            (kind, partner, api, None)
        }
        _ => (kind, partner, api, grant),
    }
}

/// The id of a problem that cells show.
fn id_of(judge: &Judge<'_>, (kind, partner, api, grant): &Problem) -> String {
    let register = judge.register;
    let identity = Identity {
        partner: partner.map_or("", |id| &register.partners[id.0 as usize].id),
        api: api.as_deref().unwrap_or(""),
        grant: grant.map_or("", |id| &register.grants[id.0 as usize].id),
        credential: "",
    };
    id(*kind, identity)
}

fn finish(judge: &Judge<'_>, problem: Problem, draft: Draft, severities: &Severities) -> Found {
    let (kind, partner, api, grant) = problem;
    let register = judge.register;
    let id = id_of(judge, &(kind, partner, api.clone(), grant));
    let facts = draft.latest_served.or(draft.latest);
    let shown = |id: &CredentialId| register.credentials[id.0 as usize].shown.clone();
    Found {
        id,
        kind,
        severity: severity(kind, draft.latest_served.is_some(), severities),
        partner,
        api,
        api_id: draft.api_id,
        grant,
        operations: draft.operations.into_iter().chain(draft.logged.names()).collect(),
        credentials: draft.credentials.iter().map(shown).collect(),
        since: facts.and_then(|facts| facts.since),
        lapsed_at: facts.and_then(|facts| facts.lapsed_at),
        first: draft.first,
        last: draft.latest.map(|latest| latest.at),
        overstay_s: overstay_s(draft.latest_served),
        calls: draft.calls,
        hindsight: draft.hindsight,
        bytes_served: draft.bytes_served,
        subjects: draft.subjects,
        evidence: draft.evidence.proofs(),
        log: None,
        odd: None,
    }
}

fn of_group(
    kind: Kind,
    credential: &str,
    shown: &str,
    group: &Group,
    severities: &Severities,
) -> Found {
    let latest = group.latest_served.or(group.latest);
    let facts = latest.map(|latest| latest.facts);
    Found {
        id: id(kind, Identity { credential, ..Identity::default() }),
        kind,
        severity: severity(kind, group.latest_served.is_some(), severities),
        partner: latest.and_then(|latest| latest.partner),
        api: None,
        api_id: None,
        grant: None,
        operations: group.operations.clone().names(),
        credentials: BTreeSet::from([shown.to_owned()]),
        since: facts.and_then(|facts| facts.since),
        lapsed_at: facts.and_then(|facts| facts.lapsed_at),
        first: group.span.first,
        last: group.span.last,
        overstay_s: overstay_s(group.latest_served.map(|latest| latest.facts)),
        calls: group.calls,
        hindsight: group.hindsight,
        bytes_served: group.bytes_served,
        subjects: group.subjects.clone(),
        evidence: group.evidence.proofs(),
        log: None,
        odd: None,
    }
}

/// Whole seconds from when access was last in order to the last served call.
fn overstay_s(latest_served: Option<Latest>) -> Option<u64> {
    let latest = latest_served?;
    Some(latest.at.seconds_since(latest.lapsed_at?))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many of a finding's calls had the outcome.
impl Found {
    /// Calls served, or of unknown outcome.
    pub fn served(&self) -> u64 {
        Outcome::ALL
            .into_iter()
            .filter(|outcome| outcome.counts_as_served())
            .map(|outcome| self.calls[outcome_index(outcome)])
            .sum()
    }

    /// Calls of one outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.calls[outcome_index(outcome)]
    }
}

/// What a log brings that is told apart in findings; all else of its kind is `(other)`.
#[derive(Debug, Default)]
pub struct Apart {
    /// Unknown credentials that are a finding each.
    pub credentials: HashSet<[u8; 32]>,
    /// Names of apis and operations.
    pub names: HashSet<Names>,
}

/// The ids of the findings that cover one call, as [`collect`] names them.
pub fn ids_of_call(
    judge: &Judge<'_>,
    call: &Call<'_>,
    judged: &Judged<'_>,
    apart: &Apart,
) -> Vec<String> {
    let facts = Latest { at: call.at, since: None, axis_since: None, lapsed_at: None };
    let nothing_logged = Names::default();
    let names = Names::of(judged);
    let names = match &names {
        None => Some(&nothing_logged),
        Some(names) => Some(names).filter(|names| apart.names.contains(*names)),
    };
    let row = Row::new(Some(judge), CellKey::of(call.outcome, judged), names, Cell::new(facts));
    let mut ids: Vec<String> =
        kinds(&row).into_iter().map(|(kind, _)| id_of(judge, &problem(kind, &row))).collect();
    let of_credential = |verdict, digest: &str| {
        id(Kind::Verdict(verdict), Identity { credential: digest, ..Identity::default() })
    };
    match judged.presented {
        Presented::Known(credential)
            if judged.also.stale || judged.verdict == Verdict::StaleCredential =>
        {
            let digest = hex(&judge.register.credentials[credential.0 as usize].digest);
            ids.push(of_credential(Verdict::StaleCredential, &digest));
        }
        Presented::Unknown(digest) if judged.verdict == Verdict::UnknownCredential => {
            let apart = apart.credentials.contains(&digest);
            let digest = if apart { hex(&digest) } else { OTHER.to_owned() };
            ids.push(of_credential(Verdict::UnknownCredential, &digest));
        }
        _ => {}
    }
    ids
}
