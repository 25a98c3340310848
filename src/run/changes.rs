//! What a change of the register would touch of the days that were judged before it.
//!
//! Their calls are no longer at hand, only their sums; so nothing is judged again. But the register that they were judged by is
//! kept, and what two registers say can be compared where the calls of each day lie.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::findings::hex;
use crate::judge::{Judge, Step};
use crate::register::Register;
use crate::report::{Affected, RegisterChange};
use crate::state::{Folder, JudgedSums, Ledger, Segment};
use crate::tally::OperationName;
use crate::time::{Instant, day_name};

/// What one register says of (partner, api, operation), in words that another has too: from when, what, by which grant, since
/// when, and whether hindsight tells. How long after an end caches may still serve is in it where it makes a difference.
type Says = Vec<(Instant, String)>;

/// Partner, api and operation.
type What = (String, String, Option<String>);

/// To whom a credential belonged: from when, until when.
type Holders<'r> = Vec<(Option<Instant>, Option<Instant>, &'r str)>;

/// A subject's word: whose, towards whom, for which api, when, given or not.
type Word<'r> = (&'r str, Option<&'r str>, Option<&'r str>, Instant, bool);

/// Compares the register that the days of a ledger were judged by last with the one they would be judged by now.
///
/// # Errors
///
/// If a day's tally can't be read.
pub(super) fn changes(
    folder: &Folder<'_>,
    ledger: &Ledger,
    old: &Register,
    new: &Register,
) -> Result<RegisterChange> {
    let (before, now) = (Judge::new(old), Judge::new(new));
    let mut tables = BTreeSet::new();
    if route_rows(old) != route_rows(new) {
        tables.insert("routes");
    }
    if consent_rows(old) != consent_rows(new) {
        tables.insert("consents");
    }
    let touches_all = !tables.is_empty();
    let mut days = BTreeSet::new();
    let mut affected: BTreeMap<What, u64> = BTreeMap::new();
    let mut same: BTreeMap<(String, String, String), Option<(Says, Says)>> = BTreeMap::new();
    let mut new_words = now.operations.clone();
    new_words.retain(|word| !has_word(&before, word));
    for (&day, known) in &ledger.days {
        if touches_all {
            days.insert(day);
        }
        let (shown, bytes) = folder.read(&known.segment)?;
        let segment = Segment::decode(&shown, &bytes)?;
        for sums in segment.judged() {
            let is_stale_otherwise = || {
                let credentials = sums.credentials.iter();
                let mut digests = credentials.filter_map(|&number| segment.credential(number));
                digests.any(|digest| differ_in_staleness(&before, &now, digest, &sums))
            };
            let Some(api) = sums.api else {
                if is_stale_otherwise() {
                    days.insert(day);
                }
                continue;
            };
            let (asked, told) = asked(&before, &now, &new_words, sums.operation);
            let is_judged_otherwise = asked.into_iter().any(|operation| {
                let what = (sums.partner.to_owned(), api.to_owned(), operation.to_owned());
                let differ = same.entry(what).or_insert_with(|| {
                    let of = |judge: &Judge<'_>| says(judge, sums.partner, api, operation);
                    let (old, new) = (of(&before), of(&now));
                    (old != new).then_some((old, new))
                });
                differ.as_ref().is_some_and(|(old, new)| {
                    within(old, sums.first, sums.last) != within(new, sums.first, sums.last)
                })
            });
            if is_judged_otherwise || is_stale_otherwise() {
                days.insert(day);
                let what = (sums.partner.to_owned(), api.to_owned(), told.map(str::to_owned));
                *affected.entry(what).or_default() += sums.calls;
            }
        }
        let moved =
            segment.credentials().any(|digest| holders(old, digest) != holders(new, digest));
        let known_now = segment.unknown().any(|digest| new.credential_id(digest).is_some());
        if moved || known_now {
            days.insert(day);
            tables.insert("credentials");
        }
        // Who may call an api without a grant is nobody's timeline.
        let access = |register: &Register, api: &str| {
            let row =
                register.api_id(api).map(|id| &register.apis[id.0 as usize])?.versions.last()?;
            Some((row.row.open, row.row.consent_required, row.row.dormant_since))
        };
        let has_changed = |api: &str| access(old, api) != access(new, api);
        let newly_listed = segment.unlisted().any(|api| new.api_id(api).is_some());
        if newly_listed || segment.apis().any(has_changed) {
            days.insert(day);
            tables.insert("apis");
        }
    }
    Ok(RegisterChange {
        from: hex(&old.digest),
        from_propagation_s: (old.propagation_s != new.propagation_s).then_some(old.propagation_s),
        days: days.into_iter().map(day_name).collect(),
        affected: affected
            .into_iter()
            .map(|((partner, api, operation), calls)| Affected { partner, api, operation, calls })
            .collect(),
        tables: tables.into_iter().collect(),
    })
}

/// For which operations two registers are to be compared where calls were made for one, and under which name that is told; none
/// stands for any that no grant names. `new_words` are those that only the register of now has.
fn asked<'a>(
    before: &Judge<'_>,
    now: &Judge<'_>,
    new_words: &'a [String],
    operation: OperationName<'a>,
) -> (Vec<&'a str>, Option<&'a str>) {
    match operation {
        OperationName::Word(name) => (vec![name], Some(name)),
        OperationName::Logged(name) if has_word(before, name) || has_word(now, name) => {
            (vec![name], Some(name))
        }
        // It may be any that there was no word for.
        OperationName::CutOff => {
            (std::iter::once("").chain(new_words.iter().map(String::as_str)).collect(), None)
        }
        // There may be very many names for which no register has a word: what is said of all of them is the same.
        OperationName::Logged(_) | OperationName::Absent => (vec![""], None),
    }
}

fn has_word(judge: &Judge<'_>, name: &str) -> bool {
    judge.operations.binary_search_by(|word| word.as_str().cmp(name)).is_ok()
}

/// What a register says, step by step.
fn says(judge: &Judge<'_>, partner: &str, api: &str, operation: &str) -> Says {
    let register = judge.register;
    let (Some(partner), Some(api)) = (register.partner_id(partner), register.api_id(api)) else {
        return Vec::new();
    };
    let row = register.apis[api.0 as usize].versions.last().map(|version| &version.row);
    let access = row.map(|row| (row.open, row.consent_required));
    let timeline = &judge.timelines[judge.timelines.find(partner, api, operation)];
    let told = |step: &Step| {
        let grant = step.axes.grant.map(|id| register.grants[id.0 as usize].id.as_str());
        let Step { axes, hindsight, lapsed_at, .. } = step;
        let (axis, since, dormant) = (axes.axis, axes.since, axes.dormant_since);
        let overrides = axes.overriding.map(|id| register.grants[id.0 as usize].id.as_str());
        let words = (axis, grant, since, dormant, hindsight, lapsed_at, overrides, access);
        (step.from, format!("{words:?}"))
    };
    timeline.steps.iter().map(told).collect()
}

/// What of it holds for calls between two instants, both included.
fn within(says: &Says, first: Instant, last: Instant) -> Vec<(Instant, &str)> {
    let begun = says.iter().rposition(|(from, _)| *from <= first).unwrap_or(0);
    let holds = says.iter().skip(begun).take_while(|(from, _)| *from <= last);
    holds.map(|(from, words)| ((*from).max(first), words.as_str())).collect()
}

/// Whether a credential, which belonged to the same partners by both registers, was stale by only one of them when some calls
/// presented it: one may be used for as long as changes take to propagate.
fn differ_in_staleness(
    before: &Judge<'_>,
    now: &Judge<'_>,
    digest: &[u8; 32],
    sums: &JudgedSums<'_>,
) -> bool {
    let api = |judge: &Judge<'_>| sums.api.and_then(|name| judge.register.api_id(name));
    let propagation_s = |judge: &Judge<'_>| {
        api(judge).map_or(judge.register.propagation_s, |api| judge.propagation_s(api))
    };
    // What is open to all is so to stale credentials.
    let is_open = |judge: &Judge<'_>| api(judge).is_some_and(|api| judge.is_open(api));
    let (old, new) = (propagation_s(before), propagation_s(now));
    if is_open(before) && is_open(now) {
        return false;
    }
    let Some(id) = now.register.credential_id(digest).filter(|_| old != new) else { return false };
    let rows = &now.register.credentials[id.0 as usize].rows;
    rows.iter().enumerate().any(|(at, row)| {
        let Some(until) = row.valid_until else { return false };
        // Once it is another's, nobody asks whose it was.
        let next = rows.get(at + 1).and_then(|next| next.valid_from).unwrap_or(Instant::MAX);
        let from = until.saturating_add_s(old.min(new));
        let end = until.saturating_add_s(old.max(new)).min(next);
        sums.first < end && from <= sums.last
    })
}

/// To whom a credential belonged, and when.
fn holders<'r>(register: &'r Register, digest: &[u8; 32]) -> Option<Holders<'r>> {
    let id = register.credential_id(digest)?;
    let rows = register.credentials[id.0 as usize].rows.iter();
    let name = |id: crate::register::PartnerId| register.partners[id.0 as usize].id.as_str();
    Some(rows.map(|row| (row.valid_from, row.valid_until, name(row.partner))).collect())
}

fn route_rows(register: &Register) -> BTreeSet<String> {
    let rows = register.routes.rows().iter();
    rows.map(|route| {
        format!("{:?}", (&route.host, &route.method, &route.template, &route.api, &route.operation))
    })
    .collect()
}

fn consent_rows(register: &Register) -> BTreeSet<Word<'_>> {
    let rows = register.consents.iter();
    let partner = |id: crate::register::PartnerId| register.partners[id.0 as usize].id.as_str();
    let api = |id: crate::register::ApiId| register.apis[id.0 as usize].id.as_str();
    rows.map(|row| {
        (row.subject.as_str(), row.partner.map(partner), row.api.map(api), row.at, row.given)
    })
    .collect()
}
