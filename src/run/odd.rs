//! What is odd about the days of a run, beside all days that are kept.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::uses::Served;
use crate::anomaly::{Everyone, Hour, Thresholds, Window};
use crate::error::Result;
use crate::findings::{FirstDays, Kind, Odd, OddShown, OddUse, novelties, woken};
use crate::report::complete_until;
use crate::state::{DayHours, Folder, Ledger};
use crate::time::Instant;

/// What was known before a run, as far as it tells what is new in it.
pub(super) struct KnownUses {
    operations: BTreeSet<(String, String, String)>,
    served_grants: BTreeMap<String, i64>,
    served_apis: BTreeMap<String, i64>,
}

impl KnownUses {
    /// As the ledger has it.
    pub(super) fn of(ledger: &Ledger) -> KnownUses {
        KnownUses {
            operations: ledger.uses.operations.keys().cloned().collect(),
            served_grants: ledger.uses.served_grants.clone(),
            served_apis: ledger.uses.served_apis.clone(),
        }
    }
}

/// Numbers for names.
#[derive(Default)]
struct Numbers {
    pairs: Vec<(String, String)>,
    of_pairs: HashMap<(String, String), usize>,
    of_sources: HashMap<String, u32>,
}

impl Numbers {
    /// A day's hours under these.
    fn everyone(&mut self, day: i64, hours: DayHours) -> Everyone {
        let mut everyone = Everyone { day, ..Everyone::default() };
        for (source, heard) in hours.sources {
            let next = self.of_sources.len() as u32;
            everyone.sources.push((*self.of_sources.entry(source).or_insert(next), heard));
        }
        for pair in hours.pairs {
            let names = (pair.partner, pair.api);
            let number = match self.of_pairs.get(&names) {
                Some(number) => *number,
                None => {
                    self.pairs.push(names.clone());
                    self.of_pairs.insert(names, self.pairs.len() - 1);
                    self.pairs.len() - 1
                }
            };
            let of_pair = everyone.hours_of(number);
            for (hour, calls, denied, people) in pair.hours {
                if let Some(place) = of_pair.get_mut(usize::from(hour)) {
                    *place = Hour { calls, denied, subjects: people.min(calls) };
                }
            }
        }
        everyone
    }
}

/// What is odd about each day of which a run counted calls; `hours` are the files of their hours as they are after it.
///
/// # Errors
///
/// If the hours of a day that is kept can't be read.
pub(super) fn odd_days(
    folder: &Folder<'_>,
    ledger: &Ledger,
    hours: &BTreeMap<i64, &[u8]>,
    thresholds: &Thresholds,
    run_at: Instant,
) -> Result<BTreeMap<i64, Odd>> {
    // A call with a date that is still to come does not tell that all before it was read.
    let last_call = ledger.last_call_ns.map(Instant::from_ns);
    let complete_until = complete_until(last_call.map(|last| last.min(run_at)));
    let mut numbers = Numbers::default();
    let mut window = Window::new(thresholds.clone());
    let mut pushed = i64::MIN;
    let mut odd_days = BTreeMap::new();
    for &day in hours.keys() {
        let first = day.saturating_sub(i64::from(thresholds.history_days)).max(pushed);
        let kept = ledger.days.range(first..day).map(|(day, _)| *day);
        let before: BTreeSet<i64> =
            kept.chain(hours.range(first..day).map(|(day, _)| *day)).collect();
        for day in before.into_iter().chain([day]) {
            if day <= pushed {
                continue;
            }
            let of_day = match (hours.get(&day), ledger.days.get(&day)) {
                (Some(file), _) => DayHours::decode("the day's new hours", file)?,
                (None, Some(known)) => {
                    let (shown, file) = folder.read(&known.hours)?;
                    DayHours::decode(&shown, &file)?
                }
                (None, None) => continue,
            };
            window.push(numbers.everyone(day, of_day));
            pushed = day;
        }
        let mut odd = Odd::default();
        odd.add_day(window.judge_last(complete_until), |pair| {
            let (partner, api) = numbers.pairs.get(pair)?;
            Some((partner.as_str(), api.as_str()))
        });
        odd_days.insert(day, odd);
    }
    Ok(odd_days)
}

/// What was done for the first time, or again after a long time, in a run whose uses are noted in the ledger by now.
pub(super) fn odd_firsts(ledger: &Ledger, before: &KnownUses, served: &Served) -> Vec<OddUse> {
    let uses = &ledger.uses;
    let firsts: FirstDays =
        uses.operations.iter().map(|(key, (first, _))| (key.clone(), *first)).collect();
    let is_new = |key: &(String, String, String)| !before.operations.contains(key);
    let mut odd = novelties(&firsts, is_new, &uses.days);
    let woke = [
        (Kind::WokenGrant, &served.grants, &before.served_grants),
        (Kind::WokenApi, &served.apis, &before.served_apis),
    ];
    for (kind, served, before) in woke {
        let woken = woken(served, before, &uses.days).into_iter();
        odd.extend(woken.map(|(name, shown)| OddUse::woken(kind, name, shown)));
    }
    odd
}

/// Files what is odd about single days under these, and gives all of it together.
pub(super) fn of_run(odd_days: &mut BTreeMap<i64, Odd>, firsts: Vec<OddUse>) -> Odd {
    for first in firsts {
        let OddShown::Day { day, .. } = first.shown else { continue };
        odd_days.entry(day).or_default().add(first);
    }
    let mut all = Odd::default();
    for odd in odd_days.values() {
        all.merge(odd.clone());
    }
    all
}
