//! What is odd within a window, each day by those before it: where no saved state knows more.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::Facts;
use crate::anomaly::{Everyone, Hour, Window};
use crate::findings::{
    FirstDays, Kind, Odd, OddUse, Row, first_networks, network_scope, new_networks, novelties,
    woken,
};
use crate::judge::Judge;
use crate::register::{ApiId, PartnerId};
use crate::tally::{By, Hourly, Networks, ServedDays, SourceSums, Span};
use crate::time::{HOURS_PER_DAY, Instant};

/// What was counted of a window.
pub(super) struct Counted<'t> {
    pub(super) hourly: Hourly,
    pub(super) served: &'t ServedDays,
    pub(super) sources: &'t HashMap<u32, SourceSums>,
    /// Where calls came from.
    pub(super) networks: &'t Networks,
    /// That of all calls.
    pub(super) span: Span,
}

/// What is odd in what was counted.
pub(super) fn within(judge: &Judge<'_>, rows: &[Row], counted: Counted<'_>, facts: &Facts) -> Odd {
    let Counted { hourly, served, sources, span, networks } = counted;
    let &Facts { thresholds, notes_networks, partner: only, .. } = facts;
    let mut odd = Odd::default();
    let register = judge.register;
    let (uses, floor) = hourly.finish();
    // Of days before the bound not all uses are known.
    let first_day = floor.map_or(i64::MIN, |floor| {
        floor.saturating_add(HOURS_PER_DAY - 1).div_euclid(HOURS_PER_DAY)
    });
    let mut uses = uses.into_iter().peekable();
    let mut numbers: HashMap<(PartnerId, ApiId), usize> = HashMap::new();
    let mut names: Vec<(&str, &str)> = Vec::new();
    let mut window = Window::new(thresholds);
    // One day at a time: of many days there are many uses.
    for (day, heard) in heard(sources).range(first_day..) {
        let mut everyone = Everyone { day: *day, sources: heard.clone(), ..Everyone::default() };
        while let Some((key, hour_use)) =
            uses.next_if(|(key, _)| key.hour.div_euclid(HOURS_PER_DAY) <= *day)
        {
            if key.hour.div_euclid(HOURS_PER_DAY) < *day {
                continue;
            }
            let next = names.len();
            let pair = *numbers.entry((key.partner, key.api)).or_insert(next);
            if pair == next {
                let partner = &register.partners[key.partner.0 as usize].id;
                names.push((partner, &register.apis[key.api.0 as usize].id));
            }
            everyone.hours_of(pair)[key.hour.rem_euclid(HOURS_PER_DAY) as usize] = Hour {
                calls: hour_use.calls,
                denied: hour_use.denied,
                subjects: hour_use.people.estimate().min(hour_use.calls),
            };
        }
        window.push(everyone);
        let judged = window.judge_last(complete_until(span.last));
        odd.add_day(judged, |pair| names.get(pair).copied());
    }
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    let days_read: BTreeSet<i64> = sources
        .values()
        .flat_map(|source| &source.hours)
        .map(|hour| hour.div_euclid(HOURS_PER_DAY))
        .collect();
    let firsts = first_days(judge, rows);
    novelties(&firsts, |_| true, &days_read).into_iter().for_each(|new| odd.add(new));

    if notes_networks {
        let (firsts, days) = (first_networks(register, networks), networks.days());
        new_networks(&firsts, |_| true, days).into_iter().for_each(|new| odd.add(new));
        odd.scope.networks = Some(network_scope(register, networks, &firsts, days, only));
    }

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

/// By day, of each source a bit for each hour in which it had a call; by source.
fn heard(sources: &HashMap<u32, SourceSums>) -> BTreeMap<i64, Vec<(u32, u32)>> {
    let mut numbers: Vec<u32> = sources.keys().copied().collect();
    numbers.sort_unstable();
    let mut days: BTreeMap<i64, Vec<(u32, u32)>> = BTreeMap::new();
    for source in numbers {
        for (day, bits) in sources.get(&source).into_iter().flat_map(SourceSums::heard) {
            days.entry(day).or_default().push((source, bits));
        }
    }
    days
}
