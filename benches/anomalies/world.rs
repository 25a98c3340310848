//! Months of traffic of a platform whose truth is known: seasons, growth, holidays, launches, outages, and anomalies put in.
//!
//! Counts are negative binomial around a rate that wanders from hour to hour and from day to day. What is *expected* is the
//! generator's own rate, before any of that chance: the detector is never asked.

use overstay::anomaly::{DayOf, Hour, Kind};

use crate::chance::Chance;

pub(crate) const WARM_UP: usize = 70;
pub(crate) const NIGHTS: usize = 120;
pub(crate) const DAYS: usize = WARM_UP + NIGHTS;
/// A Monday, so that days of the week are easy to tell.
pub(crate) const FIRST_DAY: i64 = 19_723 / 7 * 7 + 4;
const PARTNERS: usize = 60;
const SOURCES: usize = 2;
const COUNTRIES: usize = 3;
/// Of each kind, in a world: at the effect that the target is of, and at each other.
const AT_TARGET: usize = 24;
const AT_OTHERS: usize = 3;
/// Times what is expected, of spikes, sweeps and bursts.
pub(crate) const RISES: [f64; 6] = [1.5, 2.0, 3.0, 4.0, 6.0, 10.0];
/// What is left of what is expected, in drops.
pub(crate) const FALLS: [f64; 5] = [0.5, 0.3, 0.2, 0.1, 0.0];

/// How unruly the traffic of a world is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper {
    /// Shapes of the gamma that an hour's rate is multiplied by, drawn evenly on a logarithmic scale: 12 is a spread of 29 %, 100 one of 10 %.
    gamma: (f64, f64),
    /// Calls that come in one go, at most, of small partners.
    visit_max: f64,
    /// Of partners with a batch a day, the share of those whose batch comes up to two hours late.
    late_batches: f64,
    /// Busier hours for no reason, a day, and how much busier at most; the same of calls denied.
    rushes_a_day: f64,
    rush_max: f64,
}

/// What the target is of.
pub(crate) const USUAL: Temper = Temper {
    gamma: (12.0, 100.0),
    visit_max: 10.0,
    late_batches: 0.0,
    rushes_a_day: 0.01,
    rush_max: 1.6,
};
/// What is harder than that.
pub(crate) const ROUGH: Temper = Temper {
    gamma: (5.0, 50.0),
    visit_max: 30.0,
    late_batches: 0.5,
    rushes_a_day: 0.02,
    rush_max: 2.0,
};

/// One (partner, api).
pub(crate) struct Pair {
    pub(crate) partner: usize,
    pub(crate) source: usize,
    /// The first day of the world on which it called.
    pub(crate) since: usize,
    pub(crate) days: Vec<[Hour; 24]>,
    /// Days on which its level changed for good, by a factor that a rise or fall of that size would be an anomaly of.
    pub(crate) changes: Vec<(usize, f64)>,
    pub(crate) holidays: Vec<usize>,
}

/// An anomaly that was put in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injected {
    pub(crate) pair: usize,
    pub(crate) day: usize,
    pub(crate) kind: Kind,
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) effect: f64,
    /// Of the effect that the target is of.
    pub(crate) target: bool,
}

pub(crate) struct World {
    pub(crate) pairs: Vec<Pair>,
    /// By source and day: which hours were read.
    pub(crate) heard: Vec<Vec<u32>>,
    /// By source and day: in which hours most of what was read was lost on the way, unbeknown to anyone.
    pub(crate) lost: Vec<Vec<u32>>,
    /// By source and day: the calls of all partners.
    pub(crate) totals: Vec<Vec<[Hour; 24]>>,
    pub(crate) injected: Vec<Injected>,
}

/// How a (partner, api) is called.
struct Manner {
    rate: f64,
    /// By kind of day (working, Saturday, Sunday) and hour, around 1 on working days.
    shape: [[f64; 24]; 3],
    growth_week: f64,
    month: (f64, f64),
    month_end: f64,
    wander: f64,
    wander_day: f64,
    gamma: f64,
    /// Calls come in visits of about so many.
    visit: f64,
    batch: Option<(usize, f64, usize)>,
    holiday: f64,
    country: usize,
    denied: f64,
    denied_gamma: f64,
    people: f64,
    estimated: bool,
}

impl Manner {
    fn draw(temper: &Temper, chance: &mut Chance) -> Manner {
        let small = chance.comes_true(0.25);
        let rate =
            if small { chance.log_within(0.05, 5.0) } else { chance.log_within(5.0, 5_000.0) };
        let peak = chance.within(0.0, 24.0);
        let kind = chance.below(3);
        let hump = |hour: usize, peak: f64, width: f64| {
            let far =
                ((hour as f64 - peak).rem_euclid(24.0)).min((peak - hour as f64).rem_euclid(24.0));
            (-0.5 * (far / width).powi(2)).exp()
        };
        let (floor, width, weekend) = match kind {
            0 => (chance.within(0.03, 0.15), chance.within(3.0, 4.5), chance.within(0.1, 0.4)),
            1 => (chance.within(0.1, 0.3), chance.within(4.0, 6.0), chance.within(1.0, 1.4)),
            _ => (chance.within(0.6, 1.0), 6.0, chance.within(0.85, 1.0)),
        };
        let shift = chance.within(0.0, 3.0);
        let mut shape = [[0.0; 24]; 3];
        for hour in 0..24 {
            shape[0][hour] = (floor + hump(hour, peak, width)) * (0.08 * chance.normal()).exp();
            shape[1][hour] = weekend * (floor + hump(hour, peak + shift, width * 1.2));
            shape[2][hour] = weekend
                * chance.within(0.85, 1.0)
                * (floor + hump(hour, peak + shift, width * 1.3));
        }
        let mean = shape[0].iter().sum::<f64>() / 24.0;
        shape.iter_mut().flatten().for_each(|share| *share /= mean);
        Manner {
            rate,
            shape,
            growth_week: chance.within(-0.01, 0.04),
            month: (chance.within(0.0, 0.2), chance.unit()),
            month_end: if chance.comes_true(0.1) {
                chance.within(1.2, temper.rush_max)
            } else {
                1.0
            },
            wander: chance.within(0.03, 0.15),
            wander_day: chance.within(0.03, 0.1),
            gamma: chance.log_within(temper.gamma.0, temper.gamma.1),
            visit: if small { chance.log_within(1.0, temper.visit_max) } else { 1.0 },
            batch: chance.comes_true(0.12).then(|| {
                (
                    chance.below(24),
                    chance.within(2.0, 8.0),
                    if chance.comes_true(temper.late_batches) { 2 } else { 0 },
                )
            }),
            holiday: if kind == 1 { chance.within(1.6, 2.4) } else { chance.within(0.4, 0.7) },
            country: chance.below(COUNTRIES),
            denied: chance.log_within(0.001, 0.08),
            denied_gamma: chance.log_within(temper.gamma.0, temper.gamma.1),
            people: if chance.comes_true(0.2) {
                0.0
            } else {
                rate * chance.log_within(2.0, 200.0) + 5.0
            },
            estimated: chance.comes_true(0.5),
        }
    }

    fn season(&self, day: usize, hour: usize) -> f64 {
        let weekday = (FIRST_DAY + 3 + day as i64).rem_euclid(7);
        let shape = self.shape[(weekday - 4).max(0) as usize][hour];
        let month = 1.0
            + self.month.0 * (std::f64::consts::TAU * (day as f64 / 365.0 + self.month.1)).sin();
        self.rate * shape * month * (1.0 + self.growth_week).powf(day as f64 / 7.0)
    }
}

impl World {
    pub(crate) fn new(seed: u64, temper: &Temper) -> World {
        let mut chance = Chance::of(seed, 0);
        let mut holidays = vec![vec![false; DAYS]; COUNTRIES];
        for country in &mut holidays {
            for _ in 0..7 {
                let first = chance.below(DAYS);
                let days = 1 + chance.below(2);
                country[first..(first + days).min(DAYS)].fill(true);
            }
        }
        let (mut heard, mut lost) =
            (vec![vec![(1 << 24) - 1; DAYS]; SOURCES], vec![vec![0u32; DAYS]; SOURCES]);
        for source in 0..SOURCES {
            for outage in 0..7 {
                let first = chance.below(DAYS * 24);
                let unread = outage < 4;
                let hours = if unread { 2 + chance.below(30) } else { 2 + chance.below(6) };
                for hour in first..(first + hours).min(DAYS * 24) {
                    let bits = if unread { &mut heard } else { &mut lost };
                    bits[source][hour / 24] ^= 1 << (hour % 24);
                }
            }
            for day in 0..DAYS {
                lost[source][day] &= heard[source][day];
            }
        }

        let (mut pairs, mut expected) = (Vec::new(), Vec::new());
        for partner in 0..PARTNERS {
            let source = chance.below(SOURCES);
            let country = chance.below(COUNTRIES);
            for _ in 0..1 + chance.below(4) {
                let mut of_pair = Chance::of(seed, 1 + pairs.len() as u64);
                let mut manner = Manner::draw(temper, &mut of_pair);
                manner.country = country;
                let (pair, rates) =
                    pair(temper, &manner, partner, source, &holidays[country], &mut of_pair);
                pairs.push(pair);
                expected.push((manner, rates));
            }
        }
        let mut world = World { pairs, heard, lost, totals: Vec::new(), injected: Vec::new() };
        world.inject(&expected, &mut Chance::of(seed, u64::MAX));
        world.lose(&mut chance);
        world
    }

    /// Puts anomalies in: of each kind so many, in pairs and hours drawn evenly from those that can have one.
    fn inject(&mut self, expected: &[(Manner, Vec<[f64; 24]>)], chance: &mut Chance) {
        let mut wanted = Vec::new();
        for kind in Kind::ALL {
            let others: &[f64] = if kind == Kind::Drop { &FALLS } else { &RISES };
            wanted.extend(others.iter().flat_map(|&effect| [(kind, effect, false); AT_OTHERS]));
            wanted.extend((0..AT_TARGET).map(|_| {
                (kind, if kind == Kind::Drop { chance.within(0.0, 0.2) } else { 4.0 }, true)
            }));
        }
        for (kind, effect, target) in wanted {
            for _ in 0..2_000 {
                let (pair, day) = (chance.below(self.pairs.len()), WARM_UP + chance.below(NIGHTS));
                let hours = if kind == Kind::Drop { 3 } else { 1 + chance.below(3) };
                let first = chance.below(25 - hours);
                let last = first + hours - 1;
                if self.takes(
                    expected,
                    Injected { pair, day, kind, first, last, effect, target },
                    chance,
                ) {
                    break;
                }
            }
        }
    }

    fn takes(
        &mut self,
        expected: &[(Manner, Vec<[f64; 24]>)],
        it: Injected,
        chance: &mut Chance,
    ) -> bool {
        let pair = &mut self.pairs[it.pair];
        let (manner, rates) = &expected[it.pair];
        let (hours, rates) = (it.first..=it.last, rates[it.day]);
        let read = self.heard[pair.source][it.day] & !self.lost[pair.source][it.day];
        let can = it.day >= pair.since + 14
            && hours.clone().all(|hour| read >> hour & 1 == 1)
            && !self
                .injected
                .iter()
                .any(|other| other.pair == it.pair && other.day.abs_diff(it.day) < 2);
        let can_kind = match it.kind {
            Kind::Drop => hours.clone().all(|hour| rates[hour] >= 50.0),
            Kind::SubjectSweep => manner.people > 0.0,
            Kind::Spike | Kind::DeniedBurst => true,
        };
        if !can || !can_kind {
            return false;
        }
        for hour in hours {
            let rate = rates[hour];
            let counts = &mut pair.days[it.day][hour];
            // What is put in comes on top of what happened, and makes up the rest of the effect.
            let mut on_top = |expected: f64, happened: u32| {
                let all = (expected * it.effect).max(50.0);
                let more = chance.poisson(all - expected);
                more.max(50u32.saturating_sub(happened))
            };
            match it.kind {
                Kind::Spike => {
                    let more = on_top(rate, counts.calls);
                    counts.calls += more;
                    counts.denied += (f64::from(more) * manner.denied).round() as u32;
                }
                Kind::SubjectSweep => {
                    let more = on_top(distinct(rate, manner.people), counts.subjects);
                    counts.subjects += more;
                    counts.calls += more + more / 10;
                }
                Kind::DeniedBurst => {
                    let more = on_top(rate * manner.denied, counts.denied);
                    counts.denied += more;
                    counts.calls += more;
                }
                Kind::Drop => {
                    let left = chance.binomial(counts.calls, it.effect);
                    counts.denied = counts.denied.min(left);
                    counts.subjects = counts.subjects.min(left);
                    counts.calls = left;
                }
            }
        }
        self.injected.push(it);
        true
    }

    /// Takes out what was lost or never read, and sums up what is left.
    fn lose(&mut self, chance: &mut Chance) {
        self.totals = vec![vec![[Hour::default(); 24]; DAYS]; SOURCES];
        for pair in &mut self.pairs {
            for day in 0..DAYS {
                for hour in 0..24 {
                    let counts = &mut pair.days[day][hour];
                    if self.heard[pair.source][day] >> hour & 1 == 0 {
                        *counts = Hour::default();
                    }
                    if self.lost[pair.source][day] >> hour & 1 == 1 {
                        counts.calls = chance.binomial(counts.calls, 0.1);
                        counts.denied = chance.binomial(counts.denied, 0.1).min(counts.calls);
                        counts.subjects = chance.binomial(counts.subjects, 0.1).min(counts.calls);
                    }
                    let total = &mut self.totals[pair.source][day][hour];
                    total.calls = total.calls.saturating_add(counts.calls);
                }
            }
        }
    }

    pub(crate) fn day_of<'a>(
        &self,
        hours: &'a [[Hour; 24]],
        source: usize,
        day: usize,
    ) -> DayOf<'a> {
        let called = hours[day].iter().any(|hour| hour.calls > 0);
        DayOf {
            day: FIRST_DAY + day as i64,
            heard: self.heard[source][day],
            hours: called.then_some(&hours[day]),
        }
    }

    pub(crate) fn sources(&self) -> usize {
        SOURCES
    }
}

/// Of so many calls about people drawn evenly from so many, how many are about different ones.
fn distinct(calls: f64, people: f64) -> f64 {
    if people > 0.0 { people * (1.0 - (-calls / people).exp()) } else { 0.0 }
}

/// The counts of one (partner, api), and the rates that they were drawn at.
fn pair(
    temper: &Temper,
    manner: &Manner,
    partner: usize,
    source: usize,
    holidays: &[bool],
    chance: &mut Chance,
) -> (Pair, Vec<[f64; 24]>) {
    let since = if chance.comes_true(0.2) { chance.below(DAYS - 20) } else { 0 };
    let mut changes = Vec::new();
    if chance.comes_true(0.3) {
        changes.push((chance.below(DAYS), chance.within(1.5, 5.0)));
    }
    if chance.comes_true(0.1) {
        changes.push((chance.below(DAYS), chance.within(0.3, 0.7)));
    }
    if chance.comes_true(0.03) {
        changes.push((chance.below(DAYS), 0.0));
    }
    let starts: Vec<usize> = changes.iter().map(|_| chance.below(24)).collect();

    let (mut days, mut rates) = (Vec::with_capacity(DAYS), Vec::with_capacity(DAYS));
    let (mut wander, mut rush) = (manner.wander * chance.normal(), (0usize, 1.0));
    let mut retries = (0usize, 1.0);
    for day in 0..DAYS {
        let of_day = manner.wander_day * chance.normal();
        let denied_day = chance.gamma(50.0);
        let (mut counts, mut of_hours) = ([Hour::default(); 24], [0.0; 24]);
        let batch =
            manner.batch.map(|(hour, size, jitter)| ((hour + chance.below(jitter + 1)) % 24, size));
        for hour in 0..24 {
            // What is usual, and what a holiday or a launch makes of it: this is what is expected.
            let mut rate = manner.season(day, hour);
            // Who bills at the end of the month does not on a holiday.
            if holidays[day] {
                rate *= manner.holiday;
            } else if day % 30 >= 28 {
                rate *= manner.month_end;
            }
            for ((first, factor), start) in changes.iter().zip(&starts) {
                if (day, hour) >= (*first, *start) {
                    rate *= factor;
                }
            }
            if day < since {
                rate = 0.0;
            }
            let mut happens = rate;
            if let Some((at, size)) = batch
                && at == hour
            {
                happens += rate.min(manner.rate) * size;
                rate = happens;
            }
            of_hours[hour] = rate;

            // And what chance makes of it.
            wander = 0.8 * wander + 0.6 * manner.wander * chance.normal();
            if rush.0 == 0 && chance.comes_true(temper.rushes_a_day / 24.0) {
                rush = (1 + chance.below(4), chance.within(1.2, temper.rush_max));
            }
            if retries.0 == 0 && chance.comes_true(temper.rushes_a_day / 24.0) {
                retries = (1 + chance.below(3), chance.within(1.2, temper.rush_max));
            }
            happens *= (wander + of_day).exp() * chance.gamma(manner.gamma);
            if rush.0 > 0 {
                happens *= rush.1;
            }
            let calls = if manner.visit > 1.0 {
                (0..chance.poisson(happens / manner.visit))
                    .map(|_| 1 + chance.poisson(manner.visit - 1.0))
                    .sum()
            } else {
                chance.poisson(happens)
            };
            let denied_share = manner.denied
                * denied_day
                * chance.gamma(manner.denied_gamma)
                * if retries.0 > 0 { retries.1 } else { 1.0 };
            let about = distinct(f64::from(calls), manner.people) * (0.03 * chance.normal()).exp();
            let estimate = if manner.estimated { (0.092 * chance.normal()).exp() } else { 1.0 };
            counts[hour] = Hour {
                calls,
                denied: chance.binomial(calls, denied_share.min(1.0)),
                subjects: ((about * estimate).round() as u32).min(calls),
            };
            rush.0 = rush.0.saturating_sub(1);
            retries.0 = retries.0.saturating_sub(1);
        }
        days.push(counts);
        rates.push(of_hours);
    }
    // Before its first call there is nothing to know of it.
    let first =
        days.iter().position(|hours| hours.iter().any(|hour| hour.calls > 0)).unwrap_or(DAYS);
    let holidays = (0..DAYS).filter(|&day| holidays[day]).collect();
    (Pair { partner, source, since: first, days, changes, holidays }, rates)
}
