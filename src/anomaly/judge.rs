//! One day of one (partner, api) against its past. What is cheap is asked first: most days end at the first question.

use super::expect::{Expected, Level};
use super::past::{Few, Past};
use super::spread::Spread;
use super::{
    Anomaly, Basis, DayOf, DeniedRatio, HISTORY_DAYS_MAX, Hour, Judged, Kind, Thresholds, Tide,
};

/// Hours that must tell how busy the day is as a whole.
const DAY_HOURS_MIN: usize = 8;
/// An hour tells so if that many are expected in it.
const DAY_HOUR_EXPECTED_MIN: f64 = 10.0;
/// Calls expected of all other partners in an hour for their fall to say anything.
const TIDE_EXPECTED_MIN: f64 = 50.0;
/// The most hours of a drop that lie in the day before.
const HOURS_BEFORE: usize = 2;

/// What is odd about a day of one (partner, api).
///
/// `history` is what is known of the days before it, in any order, each once: a day on which the partner made no call is a day with
/// `hours: None`, from the first day on that it ever called; days before that are left out. `tide` is that of all partners of the
/// same logs: without it, a drop of all of them is told of each.
pub fn judge(
    history: &[DayOf<'_>],
    day: &DayOf<'_>,
    tide: Option<&Tide>,
    thresholds: &Thresholds,
) -> Judged {
    let past = Past::new(history, day, thresholds);
    if past.days_known() < thresholds.history_days_min {
        return Judged::TooLittle { days: past.days_known() };
    }
    let mut anomalies = Vec::new();
    let calls = |hour: &Hour| hour.calls;
    let subjects = |hour: &Hour| hour.subjects;
    let of_day = Day { past: &past, day, thresholds };

    let called = of_day.any_reaches(thresholds.spike_calls_min, calls);
    let expects = f64::from(past.greatest(calls)) >= thresholds.drop_expected_min;
    let denied = of_day.any_reaches(thresholds.burst_denied_min, |hour| hour.denied);
    if (called || expects || denied)
        && let Some(level) = Level::new(&past, calls)
    {
        let hours = Hours::new(&past, level, calls, thresholds);
        if called {
            let least =
                Least { count: thresholds.spike_calls_min, ratio: thresholds.spike_ratio_min };
            of_day.rises(Kind::Spike, &hours, least, calls, &mut anomalies);
        }
        if expects {
            of_day.drops(&hours, tide, &mut anomalies);
        }
    }
    if of_day.any_reaches(thresholds.sweep_subjects_min, subjects)
        && let Some(level) = Level::new(&past, subjects)
    {
        let hours = Hours::new(&past, level, subjects, thresholds);
        let least =
            Least { count: thresholds.sweep_subjects_min, ratio: thresholds.sweep_ratio_min };
        of_day.rises(Kind::SubjectSweep, &hours, least, subjects, &mut anomalies);
    }
    if denied {
        of_day.bursts(&mut anomalies);
    }
    Judged::Anomalies(anomalies)
}

/// What is expected of each hour of a day.
struct Hours {
    level: Level,
    expected: [Option<Expected>; 24],
    /// What the hours of the day are of what is expected, those in the middle of them; 1 where it is beyond what a holiday is, or unknown.
    busy: f64,
    quiet: f64,
}

impl Hours {
    fn new(
        past: &Past<'_>,
        level: Level,
        of: impl Fn(&Hour) -> u32 + Copy,
        thresholds: &Thresholds,
    ) -> Hours {
        let expected = std::array::from_fn(|hour| level.expected(past, 0, hour, of));
        let ratios = expected.iter().enumerate().filter_map(
            |(hour, expected): (usize, &Option<Expected>)| {
                let median = expected.as_ref()?.median;
                let value = past.value(0, hour, of)?;
                (median >= DAY_HOUR_EXPECTED_MIN).then(|| f64::from(value) / median)
            },
        );
        let mut ratios = Few::<24>::of(ratios);
        let (mut busy, mut quiet) = (1.0, 1.0);
        if ratios.len() >= DAY_HOURS_MIN
            && let Some(ratio) = ratios.median()
        {
            if ratio > 1.0 && ratio <= thresholds.day_ratio_max {
                busy = ratio;
            }
            if ratio < 1.0 && ratio * thresholds.day_ratio_max >= 1.0 {
                quiet = ratio;
            }
        }
        Hours { level, expected, busy, quiet }
    }
}

/// What a rise must reach.
#[derive(Clone, Copy)]
struct Least {
    count: u32,
    ratio: f64,
}

/// One hour that is odd.
struct Odd {
    hour: i64,
    observed: u32,
    expected: f64,
    score: f64,
    basis: Basis,
}

struct Day<'a> {
    past: &'a Past<'a>,
    day: &'a DayOf<'a>,
    thresholds: &'a Thresholds,
}

impl Day<'_> {
    fn any_reaches(&self, least: u32, of: impl Fn(&Hour) -> u32) -> bool {
        (0..24).any(|hour| self.past.value(0, hour, &of).is_some_and(|value| value >= least))
    }

    /// The hour of the day as one since 1970.
    fn since_1970(&self, hour: usize) -> i64 {
        self.day.day.saturating_mul(24).saturating_add(hour as i64)
    }

    fn basis(&self, expected: &Expected, day_ratio: f64) -> Basis {
        Basis {
            history_days: self.past.days_known(),
            same_hours: expected.same_hours,
            median: expected.median,
            day_ratio,
        }
    }

    /// Hours far above what is expected of them.
    fn rises(
        &self,
        kind: Kind,
        hours: &Hours,
        least: Least,
        of: impl Fn(&Hour) -> u32 + Copy,
        anomalies: &mut Vec<Anomaly>,
    ) {
        let mut spread = None;
        let mut run = Run::default();
        for hour in 0..24 {
            let odd = || {
                let observed =
                    self.past.value(0, hour, of).filter(|&value| value >= least.count)?;
                let of_hour = hours.expected[hour].as_ref()?;
                let expected = of_hour.high * hours.busy;
                if f64::from(observed) < expected * least.ratio {
                    return None;
                }
                let spread = spread.get_or_insert_with(|| Spread::new(self.past, &hours.level, of));
                let score = spread.above(f64::from(observed), expected);
                (score >= self.thresholds.score_min).then(|| Odd {
                    hour: self.since_1970(hour),
                    observed,
                    expected,
                    score,
                    basis: self.basis(of_hour, hours.busy),
                })
            };
            let mut odd = odd;
            run.add(kind, odd(), anomalies);
        }
        run.end(kind, anomalies);
    }

    /// Hours with many more denied calls than calls of their number have, and than such hours have.
    fn bursts(&self, anomalies: &mut Vec<Anomaly>) {
        let denied = |hour: &Hour| hour.denied;
        let Some(level) = Level::new(self.past, denied) else { return };
        let hours = Hours::new(self.past, level, denied, self.thresholds);
        let usual = self.usual_denied_ratio();
        let mut spread = None;
        let mut run = Run::default();
        for hour in 0..24 {
            let mut odd = || {
                let least = self.thresholds.burst_denied_min;
                let observed = self.past.value(0, hour, denied).filter(|&value| value >= least)?;
                let calls = self.past.value(0, hour, |hour| hour.calls)?.max(observed);
                let of_hour = hours.expected[hour].as_ref()?;
                // Calls that were not denied have a burst of denied ones not among them.
                let by_share = f64::from(calls - observed) * usual / (1.0 - usual).max(0.01);
                let expected = (of_hour.high * hours.busy).max(by_share);
                if f64::from(observed) < expected * self.thresholds.burst_ratio_min {
                    return None;
                }
                let spread =
                    spread.get_or_insert_with(|| Spread::new(self.past, &hours.level, denied));
                let score = spread.above(f64::from(observed), expected);
                (score >= self.thresholds.score_min).then(|| Odd {
                    hour: self.since_1970(hour),
                    observed,
                    expected,
                    score,
                    basis: self.basis(of_hour, hours.busy),
                })
            };
            let odd = odd();
            run.add(Kind::DeniedBurst, odd, anomalies);
        }
        run.end(Kind::DeniedBurst, anomalies);
        for burst in anomalies.iter_mut().filter(|anomaly| anomaly.kind == Kind::DeniedBurst) {
            let hour = (burst.worst_hour - self.since_1970(0)) as usize;
            let calls = self.past.value(0, hour, |hour| hour.calls).unwrap_or(0);
            let observed = burst.observed as f64 / f64::from(calls).max(burst.observed as f64);
            burst.denied_ratio = Some(DeniedRatio { observed, usual });
        }
    }

    /// The share of calls denied on a usual day of the history.
    fn usual_denied_ratio(&self) -> f64 {
        let shares = (1..=self.past.age_max).filter_map(|age| {
            let calls = self.past.total(age, |hour| hour.calls).filter(|&calls| calls > 0.0)?;
            let denied = self.past.total(age, |hour| hour.denied)?;
            Some((denied / calls).min(1.0))
        });
        Few::<{ HISTORY_DAYS_MAX as usize }>::of(shares).median().unwrap_or(0.0)
    }

    /// Some hours on end far below what is expected of them, which may begin in the day before.
    fn drops(&self, hours: &Hours, tide: Option<&Tide>, anomalies: &mut Vec<Anomaly>) {
        let calls = |hour: &Hour| hour.calls;
        let least = self.thresholds.drop_hours_min.clamp(1, HOURS_BEFORE as u32 + 1) as usize;
        // By place: the last hours of the day before, then those of the day.
        let mut places = [None; HOURS_BEFORE + 24];
        for (place, known) in places.iter_mut().enumerate() {
            let (age, hour) = match place.checked_sub(HOURS_BEFORE) {
                Some(hour) => (0, hour),
                None => (1, 24 - HOURS_BEFORE + place),
            };
            let expected = if age == 0 {
                hours.expected[hour]
            } else {
                hours.level.expected(self.past, age, hour, calls)
            };
            let (Some(expected), Some(observed)) = (expected, self.past.value(age, hour, calls))
            else {
                continue;
            };
            let low = expected.low * hours.quiet;
            // What is missing from the logs of all is not missing from this partner.
            let ebbs = tide.filter(|_| age == 0).and_then(|tide| tide.hours[hour]).is_some_and(
                |(all, of_all)| {
                    let others = (all - f64::from(observed)).max(0.0);
                    let of_others = of_all - expected.median;
                    of_others >= TIDE_EXPECTED_MIN
                        && others < of_others * self.thresholds.tide_ratio_min
                },
            );
            if !ebbs {
                *known = Some((observed, low, expected));
            }
        }

        let mut spread = None;
        let mut odd = [false; HOURS_BEFORE + 24];
        for first in 0..=places.len() - least {
            let window = &places[first..first + least];
            if first + least <= HOURS_BEFORE || window.iter().any(Option::is_none) {
                continue;
            }
            let observed: f64 =
                window.iter().flatten().map(|(observed, ..)| f64::from(*observed)).sum();
            let expected: f64 = window.iter().flatten().map(|(_, low, _)| low).sum();
            if expected < self.thresholds.drop_expected_min * least as f64
                || observed > expected * self.thresholds.drop_ratio_max
            {
                continue;
            }
            // The mean hour of them: that they are several makes it no farther, since hours fall together.
            let spread = spread.get_or_insert_with(|| Spread::new(self.past, &hours.level, calls));
            if spread.below(observed / least as f64, expected / least as f64)
                >= self.thresholds.score_min
            {
                odd[first..first + least].fill(true);
            }
        }

        let mut place = 0;
        while place < odd.len() {
            let length = odd[place..].iter().take_while(|odd| **odd).count();
            if let (true, Some(spread)) = (length > 0, &spread) {
                anomalies.extend(self.drop(
                    &places[place..place + length],
                    place,
                    hours.quiet,
                    spread,
                ));
            }
            place += length.max(1);
        }
    }

    /// The drop of these hours, the first of which is at that place.
    fn drop(
        &self,
        hours: &[Option<(u32, f64, Expected)>],
        place: usize,
        day_ratio: f64,
        spread: &Spread,
    ) -> Option<Anomaly> {
        let at =
            |place: usize| self.since_1970(0).saturating_add(place as i64 - HOURS_BEFORE as i64);
        let known = || hours.iter().enumerate().filter_map(|(n, hour)| hour.map(|hour| (n, hour)));
        let missing = |hour: &(u32, f64, Expected)| hour.1 - f64::from(hour.0);
        let (worst, (_, _, of_worst)) =
            known().max_by(|a, b| missing(&a.1).total_cmp(&missing(&b.1)))?;
        let observed: u64 = known().map(|(_, hour)| u64::from(hour.0)).sum();
        let expected: f64 = known().map(|(_, hour)| hour.1).sum();
        let count = hours.len() as f64;
        Some(Anomaly {
            kind: Kind::Drop,
            first_hour: at(place),
            last_hour: at(place + hours.len() - 1),
            worst_hour: at(place + worst),
            observed,
            expected,
            score: spread.below(observed as f64 / count, expected / count),
            denied_ratio: None,
            basis: self.basis(&of_worst, day_ratio),
        })
    }
}

/// Odd hours on end, of which the worst tells what they are.
#[derive(Default)]
struct Run {
    worst: Option<Odd>,
    first_hour: i64,
    last_hour: i64,
}

impl Run {
    /// Takes the next hour: an odd one goes on with the run, any other ends it.
    fn add(&mut self, kind: Kind, odd: Option<Odd>, anomalies: &mut Vec<Anomaly>) {
        let Some(odd) = odd else { return self.end(kind, anomalies) };
        self.last_hour = odd.hour;
        match &self.worst {
            None => self.first_hour = odd.hour,
            Some(worst) if worst.score >= odd.score => return,
            Some(_) => {}
        }
        self.worst = Some(odd);
    }

    fn end(&mut self, kind: Kind, anomalies: &mut Vec<Anomaly>) {
        anomalies.extend(self.worst.take().map(|worst| Anomaly {
            kind,
            first_hour: self.first_hour,
            last_hour: self.last_hour,
            worst_hour: worst.hour,
            observed: u64::from(worst.observed),
            expected: worst.expected,
            score: worst.score,
            denied_ratio: None,
            basis: worst.basis,
        }));
    }
}
