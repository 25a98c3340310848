//! What is odd within a window, each day by those before it: where no saved state knows more.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::anomaly::{Everyone, Hour, Thresholds, Window};
use crate::findings::{FirstDays, Kind, Odd, OddUse, Row, novelties, woken};
use crate::judge::Judge;
use crate::register::PartnerId;
use crate::tally::{By, Hourly, ServedDays, SourceSums, Span};
use crate::time::Instant;

/// Hours of a day.
const HOURS: i64 = 24;

/// What was counted of a window.
pub(super) struct Counted<'t> {
    pub(super) hourly: Hourly,
    pub(super) served: &'t ServedDays,
    pub(super) sources: &'t HashMap<u32, SourceSums>,
    /// That of all calls.
    pub(super) span: Span,
}

/// What is odd in what was counted.
pub(super) fn within(
    judge: &Judge<'_>,
    rows: &[Row],
    counted: Counted<'_>,
    only: Option<PartnerId>,
    thresholds: &Thresholds,
) -> Odd {
    let Counted { hourly, served, sources, span } = counted;
    let mut odd = Odd::default();
    let days = days(hourly, sources);
    let register = judge.register;
    let names: Vec<(&str, &str)> = days
        .pairs
        .iter()
        .map(|(partner, api)| {
            let partner = &register.partners[*partner as usize].id;
            (partner.as_str(), register.apis[*api as usize].id.as_str())
        })
        .collect();
    let mut window = Window::new(*thresholds);
    for day in days.days {
        window.push(day);
        let judged = window.judge_last(complete_until(span.last));
        odd.add_day(judged, |pair| names.get(pair).copied());
    }
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    let days_read: BTreeSet<i64> = sources
        .values()
        .flat_map(|source| &source.hours)
        .map(|hour| hour.div_euclid(HOURS))
        .collect();
    let firsts = first_days(judge, rows);
    novelties(&firsts, |_| true, &days_read).into_iter().for_each(|new| odd.add(new));

    let never = BTreeMap::new();
    let grants: BTreeMap<String, BTreeSet<i64>> = served
        .grants
        .iter()
        .map(|(grant, days)| (register.grants[grant.0 as usize].id.clone(), days.clone()))
        .collect();
    let apis: BTreeMap<String, BTreeSet<i64>> = served
        .apis
        .iter()
        .map(|(api, days)| (register.apis[api.0 as usize].id.clone(), days.clone()))
        .collect();
    for (kind, served) in [(Kind::WokenGrant, &grants), (Kind::WokenApi, &apis)] {
        for (name, shown) in woken(served, &never, &days_read) {
            odd.add(OddUse::woken(kind, name, shown));
        }
    }
    if only.is_some() {
        // Whether others called too is not known: nor whether it is logs that are missing, or an api that slept.
        odd.uses.retain(|odd| !matches!(odd.kind, Kind::Drop | Kind::WokenApi));
    }
    odd
}

/// The hour before which all calls were read, if the last of them was then: the hour of that is not over, unless it nearly is.
pub fn complete_until(last: Option<Instant>) -> i64 {
    /// A log that is written to at all is written to in the last minute of an hour.
    const NEARLY_S: u64 = 60;
    last.map_or(i64::MIN, |last| last.saturating_add_s(NEARLY_S).hour())
}

/// The first day of calls of each partner, api and operation that the register has words for.
fn first_days(judge: &Judge<'_>, rows: &[Row]) -> FirstDays {
    let register = judge.register;
    let mut firsts = FirstDays::new();
    for row in rows {
        let (Some(partner), Some(api), Some(_)) = (row.key.partner, row.key.api, row.key.operation)
        else {
            continue;
        };
        let Some(operation) = row.operation.clone() else { continue };
        let partner = register.partners[partner.0 as usize].id.clone();
        let api = register.apis[api.0 as usize].id.clone();
        let day = By::Day.of(row.cell.first);
        let first = firsts.entry((partner, api, operation)).or_insert(day);
        *first = day.min(*first);
    }
    firsts
}

/// Days in order, and what their pairs are: partner and api, by their numbers in the register.
struct Days {
    days: Vec<Everyone>,
    pairs: Vec<(u32, u32)>,
}

fn days(hourly: Hourly, sources: &HashMap<u32, SourceSums>) -> Days {
    let (uses, floor) = hourly.finish();
    let mut numbers: HashMap<(u32, u32), usize> = HashMap::new();
    let mut pairs = Vec::new();
    let mut days: BTreeMap<i64, Everyone> = BTreeMap::new();
    let first_day = floor.map(|floor| floor.saturating_add(HOURS - 1).div_euclid(HOURS));
    // Sets do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    for (source, sums) in sources {
        let mut of_days: BTreeMap<i64, u32> = BTreeMap::new();
        for hour in &sums.hours {
            let heard = of_days.entry(hour.div_euclid(HOURS)).or_default();
            *heard |= 1 << hour.rem_euclid(HOURS);
        }
        for (day, heard) in of_days {
            // Of days before the bound not all uses are known.
            if first_day.is_none_or(|first| first <= day) {
                let of_day =
                    days.entry(day).or_insert_with(|| Everyone { day, ..Everyone::default() });
                of_day.sources.push((*source, heard));
            }
        }
    }
    for (key, hour_use) in uses {
        let Some(day) = days.get_mut(&key.hour.div_euclid(HOURS)) else { continue };
        let next = pairs.len();
        let pair = *numbers.entry((key.partner.0, key.api.0)).or_insert(next);
        if pair == next {
            pairs.push((key.partner.0, key.api.0));
        }
        let hours = day.hours_of(pair);
        hours[key.hour.rem_euclid(HOURS) as usize] = Hour {
            calls: hour_use.calls,
            denied: hour_use.denied,
            subjects: hour_use.people.estimate().min(hour_use.calls),
        };
    }
    let mut days: Vec<Everyone> = days.into_values().collect();
    days.iter_mut().for_each(|day| day.sources.sort_unstable());
    Days { days, pairs }
}
