//! Alarms held against the truth, and how sure the shares of them are.

use std::collections::HashSet;

use overstay::anomaly::{DayOf, Judged, Kind, Thresholds, Tide, judge};

use crate::chance::Chance;
use crate::world::{DAYS, FALLS, FIRST_DAY, Injected, RISES, WARM_UP, World};

/// Nights on which a level that has changed for good may be told as what it looks like: until it is the new level.
pub(crate) const CHANGE_NIGHTS: usize = 4;

/// What a detector said of the nights of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Nights of partners with any verdict, and of (partner, api).
    pub(crate) partner_nights: u64,
    pub(crate) pair_nights: u64,
    /// By kind: injected at the target's effect, and found of them.
    pub(crate) target: [(u64, u64); 4],
    /// By kind and effect: injected, found.
    pub(crate) by_effect: [[(u64, u64); 6]; 4],
    /// By kind, nights of (partner, api) on which an injected one of any effect was told.
    pub(crate) right: [u64; 4],
    /// By kind, those on which something was told that was not there.
    pub(crate) wrong: [u64; 4],
    /// By kind, those told in the hours of an injected one of another kind, which a sweep or burst is of the calls too.
    pub(crate) beside: [u64; 4],
    /// By kind, those told on the first nights of a changed level.
    pub(crate) change: [u64; 4],
    /// Changes of level by a factor that is an anomaly on its first night, and those that were told on any of its first nights.
    pub(crate) changes: (u64, u64),
    /// Of what is wrong, that on a holiday.
    pub(crate) holiday: u64,
    /// Nights of (partner, api) on a holiday.
    pub(crate) holiday_nights: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.partner_nights += other.partner_nights;
        self.pair_nights += other.pair_nights;
        for kind in 0..4 {
            for (sum, more) in self.by_effect[kind].iter_mut().zip(&other.by_effect[kind]) {
                (sum.0, sum.1) = (sum.0 + more.0, sum.1 + more.1);
            }
            self.target[kind].0 += other.target[kind].0;
            self.target[kind].1 += other.target[kind].1;
            self.right[kind] += other.right[kind];
            self.wrong[kind] += other.wrong[kind];
            self.beside[kind] += other.beside[kind];
            self.change[kind] += other.change[kind];
        }
        self.changes = (self.changes.0 + other.changes.0, self.changes.1 + other.changes.1);
        self.holiday += other.holiday;
        self.holiday_nights += other.holiday_nights;
    }

    pub(crate) fn all_wrong(&self) -> u64 {
        self.wrong.iter().sum()
    }
}

fn index(kind: Kind) -> usize {
    Kind::ALL.iter().position(|&other| other == kind).unwrap_or(0)
}

/// Judges all nights of a world.
pub(crate) fn evaluate(world: &World, thresholds: &Thresholds) -> Tally {
    let mut tally = Tally::default();
    let sources: Vec<Vec<DayOf<'_>>> = (0..world.sources())
        .map(|source| {
            (0..DAYS).map(|day| world.day_of(&world.totals[source], source, day)).collect()
        })
        .collect();
    let tides: Vec<Vec<Option<Tide>>> = sources
        .iter()
        .map(|days| {
            let tide =
                |day: usize| Tide::new(&days[day.saturating_sub(56)..day], &days[day], thresholds);
            (0..DAYS).map(tide).collect()
        })
        .collect();
    let mut known = HashSet::new();
    let mut told = HashSet::new();
    for (n, pair) in world.pairs.iter().enumerate() {
        let days: Vec<DayOf<'_>> =
            (0..DAYS).map(|day| world.day_of(&pair.days, pair.source, day)).collect();
        let mut change_told = vec![false; pair.changes.len()];
        for day in WARM_UP..DAYS {
            if day < pair.since {
                continue;
            }
            let first = pair.since.max(day.saturating_sub(56));
            let judged =
                judge(&days[first..day], &days[day], tides[pair.source][day].as_ref(), thresholds);
            let Judged::Anomalies(anomalies) = judged else { continue };
            tally.pair_nights += 1;
            known.insert((pair.partner, day));
            let holiday = pair.holidays.contains(&day);
            tally.holiday_nights += u64::from(holiday);
            let changes = || {
                pair.changes.iter().enumerate().filter(|(_, (from, factor))| {
                    (*from..from + CHANGE_NIGHTS).contains(&day)
                        && (*factor >= 2.0 || *factor <= 0.5)
                })
            };
            let mut wrong = [false; 4];
            let mut beside = [false; 4];
            let mut change = [false; 4];
            for anomaly in &anomalies {
                let kind = index(anomaly.kind);
                let hours = |hour: i64| hour - (FIRST_DAY + day as i64) * 24;
                let meets = |it: &&Injected| {
                    // A drop may begin in the day before.
                    let at = (it.day as i64 - day as i64) * 24;
                    it.pair == n
                        && hours(anomaly.first_hour) <= at + it.last as i64
                        && hours(anomaly.last_hour) >= at + it.first as i64
                };
                let met: Vec<&Injected> = world.injected.iter().filter(meets).collect();
                if met.iter().any(|it| it.kind == anomaly.kind) {
                    told.insert((n, day, kind));
                } else if !met.is_empty() {
                    beside[kind] = true;
                } else if changes().count() > 0 {
                    changes().for_each(|(change, _)| change_told[change] = true);
                    change[kind] = true;
                } else {
                    wrong[kind] = true;
                }
            }
            for kind in 0..4 {
                tally.wrong[kind] += u64::from(wrong[kind]);
                tally.beside[kind] += u64::from(beside[kind]);
                tally.change[kind] += u64::from(change[kind]);
                tally.holiday += u64::from(wrong[kind] && holiday);
            }
        }
        for ((from, factor), told) in pair.changes.iter().zip(change_told) {
            let judged =
                *from >= WARM_UP && *from >= pair.since + 14 && *from + CHANGE_NIGHTS <= DAYS;
            if judged && (*factor >= 3.0 || *factor <= 0.2) {
                tally.changes.0 += 1;
                tally.changes.1 += u64::from(told);
            }
        }
    }
    tally.partner_nights = known.len() as u64;
    for kind in 0..4 {
        tally.right[kind] = told.iter().filter(|(.., of)| *of == kind).count() as u64;
    }
    for it in &world.injected {
        let kind = index(it.kind);
        let found = u64::from(told.contains(&(it.pair, it.day, kind)));
        if it.target {
            tally.target[kind].0 += 1;
            tally.target[kind].1 += found;
        } else {
            let effects: &[f64] = if it.kind == Kind::Drop { &FALLS } else { &RISES };
            if let Some(effect) = effects.iter().position(|&effect| effect == it.effect) {
                tally.by_effect[kind][effect].0 += 1;
                tally.by_effect[kind][effect].1 += found;
            }
        }
    }
    tally
}

/// The 95 % interval of a share (E. B. Wilson, "Probable inference", 1927).
pub(crate) fn wilson(of: u64, count: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (of as f64, 1.959_964);
    let p = count as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    ((middle - reach) / scale, (middle + reach) / scale)
}

/// The 95 % interval of a rate, over seeds: those are drawn again 4,000 times, since alarms of one world come in heaps.
pub(crate) fn over_seeds(counts: &[(u64, u64)]) -> (f64, f64) {
    let mut chance = Chance::of(1, counts.len() as u64);
    let mut rates: Vec<f64> = (0..4_000)
        .map(|_| {
            let (mut count, mut of) = (0, 0);
            for _ in 0..counts.len() {
                let (more, nights) = counts[chance.below(counts.len())];
                (count, of) = (count + more, of + nights);
            }
            count as f64 / of.max(1) as f64
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    (rates[100], rates[3_899])
}

/// The exact 95 % interval of a count (F. Garwood, 1936): the means at which as many or more, and as few or fewer, come 1 time in 40.
pub(crate) fn garwood(count: u64) -> (f64, f64) {
    let at_most = |count: u64, mean: f64| {
        let mut term = -mean;
        let mut sum = term.exp();
        for n in 1..=count {
            term += (mean / n as f64).ln();
            sum += term.exp();
        }
        sum
    };
    let solve = |wanted: f64, count: u64| {
        let (mut low, mut high) = (0.0, 10.0 + 3.0 * count as f64);
        for _ in 0..80 {
            let middle = (low + high) / 2.0;
            if at_most(count, middle) > wanted { low = middle } else { high = middle }
        }
        low
    };
    let low = if count == 0 { 0.0 } else { solve(0.975, count - 1) };
    (low, solve(0.025, count))
}
