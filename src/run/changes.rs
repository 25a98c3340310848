//! What a change of the register would touch of the days that were judged before it.
//!
//! Their calls are no longer at hand, only their sums; so nothing is judged again. But the register that they were judged by is
//! kept, and what two registers say can be compared where the calls of each day lie.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::findings::hex;
use crate::judge::{Judge, Step};
use crate::limits;
use crate::register::Register;
use crate::report::{Affected, RegisterChange};
use crate::state::{Folder, JudgedBy, JudgedSums, Ledger, Segment};
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

/// What a change of the register touches.
pub(super) struct Changes {
    /// What reports tell of it.
    pub(super) told: RegisterChange,
    /// The days.
    pub(super) days: BTreeSet<i64>,
}

/// Compares what the days of a ledger were judged by with the register that they would be judged by now, which is another than
/// that of the last run, `last`. `load` gives those that are kept.
///
/// # Errors
///
/// If a day's tally can't be read, or the last run's register.
pub(super) fn changes(
    folder: &Folder<'_>,
    ledger: &Ledger,
    last: JudgedBy,
    new: &Register,
    load: &dyn Fn(JudgedBy) -> Result<Register>,
) -> Result<Changes> {
    let by_new = JudgedBy::of(new);
    let mut days_of: BTreeMap<JudgedBy, BTreeSet<i64>> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for (&day, known) in &ledger.days {
        let others: Vec<JudgedBy> =
            known.judged_by.iter().copied().filter(|by| *by != by_new).collect();
        // Of a day that is not touched the last one says what these say, and is at hand.
        let others = match known.is_touched || others.is_empty() {
            true => others,
            false => vec![last],
        };
        if others.len() > 1 {
            shared.insert(day);
        }
        for other in others {
            days_of.entry(other).or_default().insert(day);
        }
    }
    let mut of_others: Vec<(JudgedBy, BTreeSet<i64>)> = days_of.into_iter().collect();
    // That of the last run, then those of the latest days.
    of_others.sort_by_key(|(by, days)| (*by != last, Reverse(days.last().copied())));
    let mut touched = Touched {
        folder,
        ledger,
        now: Judge::new(new),
        shared,
        counted: BTreeSet::new(),
        days: BTreeSet::new(),
        affected: BTreeMap::new(),
        tables: BTreeSet::new(),
    };
    for (place, (by, days)) in of_others.into_iter().enumerate() {
        let old = (place < limits::REGISTERS_COMPARED_MAX).then(|| load(by));
        match old {
            Some(Ok(old)) => touched.compare(&old, &days)?,
            Some(Err(error)) if by == last => return Err(error),
            // They were touched, and nobody can tell any more whether they still are. (What is wrong with a register that is
            // kept, `verify` tells.)
            Some(Err(_)) | None => touched.days.extend(days),
        }
    }
    let Touched { days, affected, tables, .. } = touched;
    let told = RegisterChange {
        from: hex(&last.register),
        from_propagation_s: (last.propagation_s != new.propagation_s).then_some(last.propagation_s),
        days: days.iter().copied().map(day_name).collect(),
        affected: affected
            .into_iter()
            .map(|((partner, api, operation), calls)| Affected { partner, api, operation, calls })
            .collect(),
        tables: tables.into_iter().collect(),
    };
    Ok(Changes { told, days })
}

/// What was found to be judged otherwise.
struct Touched<'a> {
    folder: &'a Folder<'a>,
    ledger: &'a Ledger,
    now: Judge<'a>,
    /// The days that several registers are compared for.
    shared: BTreeSet<i64>,
    /// What counts already of these: the day, and the place among what was judged of it.
    counted: BTreeSet<(i64, usize)>,
    days: BTreeSet<i64>,
    affected: BTreeMap<What, u64>,
    tables: BTreeSet<&'static str>,
}

impl Touched<'_> {
    /// Compares one register with that of now, where the calls of some days lie.
    fn compare(&mut self, old: &Register, of_old: &BTreeSet<i64>) -> Result<()> {
        let (before, now) = (Judge::new(old), &self.now);
        let new = now.register;
        let mut touches_all = false;
        for (table, has_changed) in [
            ("routes", route_rows(old) != route_rows(new)),
            ("consents", consent_rows(old) != consent_rows(new)),
        ] {
            if has_changed {
                self.tables.insert(table);
                touches_all = true;
            }
        }
        let mut same: BTreeMap<(String, String, String), Option<(Says, Says)>> = BTreeMap::new();
        let mut new_words = now.operations.clone();
        new_words.retain(|word| !has_word(&before, word));
        for &day in of_old {
            let Some(known) = self.ledger.days.get(&day) else { continue };
            if touches_all {
                self.days.insert(day);
            }
            let (shown, bytes) = self.folder.read(&known.segment)?;
            let segment = Segment::decode(&shown, &bytes)?;
            for (place, sums) in segment.judged().enumerate() {
                let is_stale_otherwise = || {
                    let credentials = sums.credentials.iter();
                    let mut digests = credentials.filter_map(|&number| segment.credential(number));
                    digests.any(|digest| differ_in_staleness(&before, now, digest, &sums))
                };
                let Some(api) = sums.api else {
                    if is_stale_otherwise() {
                        self.days.insert(day);
                    }
                    continue;
                };
                let (asked, told) = asked(&before, now, &new_words, sums.operation);
                let is_judged_otherwise = asked.into_iter().any(|operation| {
                    let what = (sums.partner.to_owned(), api.to_owned(), operation.to_owned());
                    let differ = same.entry(what).or_insert_with(|| {
                        let of = |judge: &Judge<'_>| says(judge, sums.partner, api, operation);
                        let (old, new) = (of(&before), of(now));
                        (old != new).then_some((old, new))
                    });
                    differ.as_ref().is_some_and(|(old, new)| {
                        within(old, sums.first, sums.last) != within(new, sums.first, sums.last)
                    })
                });
                if !is_judged_otherwise && !is_stale_otherwise() {
                    continue;
                }
                self.days.insert(day);
                if !self.shared.contains(&day) || self.counted.insert((day, place)) {
                    let what = (sums.partner.to_owned(), api.to_owned(), told.map(str::to_owned));
                    *self.affected.entry(what).or_default() += sums.calls;
                }
            }
            let moved =
                segment.credentials().any(|digest| holders(old, digest) != holders(new, digest));
            let known_now = segment.unknown().any(|digest| new.credential_id(digest).is_some());
            if moved || known_now {
                self.days.insert(day);
                self.tables.insert("credentials");
            }
            // Who may call an api without a grant is nobody's timeline.
            let access = |register: &Register, api: &str| {
                let row = register
                    .api_id(api)
                    .map(|id| &register.apis[id.0 as usize])?
                    .versions
                    .last()?;
                Some((row.row.open, row.row.consent_required, row.row.dormant_since))
            };
            let has_changed = |api: &str| access(old, api) != access(new, api);
            let newly_listed = segment.unlisted().any(|api| new.api_id(api).is_some());
            if newly_listed || segment.apis().any(has_changed) {
                self.days.insert(day);
                self.tables.insert("apis");
            }
        }
        Ok(())
    }
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
