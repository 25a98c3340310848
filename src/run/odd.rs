//! What is odd about the days of a run, beside all days that are kept.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use rayon::prelude::*;

use super::uses::Served;
use crate::anomaly::{Everyone, Hour, HoursOfDay, Thresholds, Window};
use crate::error::Result;
use crate::findings::{
    Kind, NetworkScope, Odd, OddShown, OddUse, network_scope, new_networks, novelties, woken,
};
use crate::register::{PartnerId, Register};
use crate::report::complete_until;
use crate::state::{DayHours, Folder, Ledger, OneHour};
use crate::tally::Networks;
use crate::time::{HOURS_PER_DAY, Instant};

/// When what was served last before a run, by the names of grants and of apis.
pub(super) struct ServedBefore {
    grants: BTreeMap<String, i64>,
    apis: BTreeMap<String, i64>,
}

impl ServedBefore {
    /// As the ledger has it.
    pub(super) fn of(ledger: &Ledger) -> ServedBefore {
        ServedBefore {
            grants: ledger.uses.served_grants.clone(),
            apis: ledger.uses.served_apis.clone(),
        }
    }
}

/// A day's hours: each under the numbers that its partner and api have among the names of the day.
struct Numbered {
    sources: Vec<(String, u32)>,
    partners: Vec<String>,
    apis: Vec<String>,
    pairs: Vec<((usize, usize), HoursOfDay)>,
}

impl Numbered {
    fn of(hours: DayHours) -> Numbered {
        let pairs = hours.pairs().map(|(partner, api, of_pair)| {
            let mut places = Box::new([Hour::default(); HOURS_PER_DAY as usize]);
            for OneHour { hour, calls, denied, people } in of_pair {
                if let Some(place) = places.get_mut(hour) {
                    *place = Hour { calls, denied, subjects: people.min(calls) };
                }
            }
            ((partner, api), places)
        });
        let pairs = pairs.collect();
        let DayHours { sources, partners, apis, .. } = hours;
        Numbered { sources, partners, apis, pairs }
    }
}

/// Numbers for the names of all days.
#[derive(Default)]
struct Numbers {
    sources: Names,
    partners: Names,
    apis: Names,
    /// By number, the numbers of partner and api.
    pairs: Vec<(usize, usize)>,
    of_pairs: HashMap<(usize, usize), usize>,
}

#[derive(Default)]
struct Names {
    all: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn number(&mut self, name: String) -> usize {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.all.len();
        self.all.push(name.clone());
        self.numbers.insert(name, number);
        number
    }
}

impl Numbers {
    /// A day's hours under these.
    fn everyone(&mut self, day: i64, hours: Numbered) -> Everyone {
        let Numbered { sources, partners, apis, pairs } = hours;
        let sources = sources
            .into_iter()
            .map(|(source, heard)| (self.sources.number(source) as u32, heard))
            .collect();
        let partners: Vec<usize> =
            partners.into_iter().map(|name| self.partners.number(name)).collect();
        let apis: Vec<usize> = apis.into_iter().map(|name| self.apis.number(name)).collect();
        let pairs = pairs.into_iter().map(|((partner, api), of_pair)| {
            let pair = (partners[partner], apis[api]);
            let next = self.pairs.len();
            let number = *self.of_pairs.entry(pair).or_insert(next);
            if number == next {
                self.pairs.push(pair);
            }
            (number, of_pair)
        });
        let pairs = pairs.collect();
        Everyone { day, sources, pairs }
    }

    /// The names of partner and api.
    fn names(&self, number: usize) -> Option<(&str, &str)> {
        let (partner, api) = *self.pairs.get(number)?;
        Some((self.partners.all.get(partner)?, self.apis.all.get(api)?))
    }
}

/// Days whose hours are read side by side: few, for what they hold goes on to be kept in less room.
const DAYS_READ: usize = 8;

/// What is odd about days, each beside all that are kept. `hours` are the files of their hours; `is_asked_for` says of which
/// partner and api anything is to be said.
///
/// # Errors
///
/// If the hours of a day that is kept can't be read.
pub(super) fn odd_days(
    folder: &Folder<'_>,
    ledger: &Ledger,
    hours: &BTreeMap<i64, Cow<'_, [u8]>>,
    thresholds: &Thresholds,
    run_at: Instant,
    is_asked_for: &dyn Fn(&str, &str) -> bool,
) -> Result<BTreeMap<i64, Odd>> {
    // A call with a date that is still to come does not tell that all before it was read.
    let last_call = ledger.last_call_ns.map(Instant::from_ns);
    let complete_until = complete_until(last_call.map(|last| last.min(run_at)));
    let mut numbers = Numbers::default();
    let mut window = Window::new(*thresholds);
    let mut pushed = i64::MIN;
    let mut odd_days = BTreeMap::new();
    for &day in hours.keys() {
        let first = day.saturating_sub(i64::from(thresholds.history_days)).max(pushed);
        let kept = ledger.days.range(first..day).map(|(day, _)| *day);
        let before: BTreeSet<i64> =
            kept.chain(hours.range(first..day).map(|(day, _)| *day)).collect();
        let new: Vec<i64> = before.into_iter().chain([day]).filter(|day| *day > pushed).collect();
        for some in new.chunks(DAYS_READ) {
            let read = some.par_iter().map(|day| {
                let of_day = match (hours.get(day), ledger.days.get(day)) {
                    (Some(file), _) => DayHours::decode("the day's new hours", file)?,
                    (None, Some(known)) => {
                        let (shown, file) = folder.read(&known.hours)?;
                        DayHours::decode(&shown, &file)?
                    }
                    (None, None) => return Ok(None),
                };
                // A day of lines that are no calls is none.
                Ok(Some(of_day).filter(|of_day| !of_day.sources.is_empty()).map(Numbered::of))
            });
            let read: Vec<Result<Option<Numbered>>> = read.collect();
            for (&day, of_day) in some.iter().zip(read) {
                pushed = day;
                if let Some(of_day) = of_day? {
                    window.push(numbers.everyone(day, of_day));
                }
            }
        }
        let mut odd = Odd::default();
        if window.last_day() == Some(day) {
            odd.add_day(window.judge_last(complete_until), |pair| {
                numbers.names(pair).filter(|(partner, api)| is_asked_for(partner, api))
            });
        }
        odd_days.insert(day, odd);
    }
    Ok(odd_days)
}

/// Notes what was served again after a long time in a run whose uses are noted in the ledger by now.
pub(super) fn note_woken(ledger: &mut Ledger, before: &ServedBefore, served: &Served) {
    let uses = &mut ledger.uses;
    for (served, before, noted) in [
        (&served.grants, &before.grants, &mut uses.woken_grants),
        (&served.apis, &before.apis, &mut uses.woken_apis),
    ] {
        // What comes late may show that it did not sleep.
        noted.retain(|(name, day), (_, last)| {
            let days = served.get(name);
            days.is_none_or(|days| days.range(*last + 1..*day).next().is_none())
        });
        for (name, shown) in woken(served, before, &uses.days) {
            let OddShown::Day { day, days_before, last: Some(last) } = shown else { continue };
            noted.insert((name.to_owned(), day), (days_before, last));
        }
    }
}

/// What was done for the first time on these days, or again after a long time; if that is looked for, also from where.
pub(super) fn odd_firsts(
    ledger: &Ledger,
    with_networks: bool,
    of_days: impl Fn(i64) -> bool,
) -> Vec<OddUse> {
    let uses = &ledger.uses;
    let mut odd = novelties(&uses.firsts, &of_days, &uses.days);
    if with_networks {
        odd.extend(new_networks(&uses.networks, &of_days, &uses.network_days));
    }
    for (kind, noted) in
        [(Kind::WokenGrant, &uses.woken_grants), (Kind::WokenApi, &uses.woken_apis)]
    {
        let noted = noted.iter().filter(|((_, day), _)| of_days(*day));
        odd.extend(noted.map(|((name, day), (days_before, last))| {
            let (day, days_before) = (*day, *days_before);
            OddUse::woken(kind, name, OddShown::Day { day, days_before, last: Some(*last) })
        }));
    }
    odd
}

/// What there was to find new networks in, in what was counted.
pub(super) fn scope_of(
    ledger: &Ledger,
    register: &Register,
    networks: &Networks,
    only: Option<PartnerId>,
) -> NetworkScope {
    let uses = &ledger.uses;
    network_scope(register, networks, &uses.networks, &uses.network_days, only)
}

/// Files what is odd about single days under these, and gives all of it together. Whom the register does not list, nothing is
/// said of.
pub(super) fn all_odd(
    odd_days: &mut BTreeMap<i64, Odd>,
    firsts: Vec<OddUse>,
    register: &Register,
) -> Odd {
    for first in firsts {
        odd_days.entry(first.shown.day()).or_default().add(first);
    }
    let mut all = Odd::default();
    for odd in odd_days.values_mut() {
        odd.uses.retain(|odd| {
            odd.partner.as_ref().is_none_or(|name| register.partner_id(name).is_some())
                && odd.api.as_ref().is_none_or(|name| register.api_id(name).is_some())
                && odd.grant.as_ref().is_none_or(|name| register.grant_id(name).is_some())
                && odd.shown.credential().is_none_or(|of| register.credential_id(of).is_some())
        });
        all.merge(odd.clone());
    }
    all
}
