//! One day of one (partner, api) against its past. What is cheap is asked first: most days end at the first question.

use std::cell::OnceCell;

use super::expect::{DayRatio, Expected, Level, Shape};
use super::past::{Few, Past};
use super::spread::Spread;
use super::{
    Anomaly, Basis, DayOf, DeniedRatio, HISTORY_DAYS_MAX, Hour, Judged, Kind, Thresholds, Tide,
};

/// How far off the first look at what is expected may be, as a ratio: what is that near to odd is looked at closely.
const FIRST_LOOK_RATIO: f64 = 1.6;
/// Calls expected of all other partners in an hour for their fall to say anything.
const TIDE_EXPECTED_MIN: f64 = 50.0;
/// Added to how many calls there are and are usual, before the one is divided by the other.
const ALONG_FLOOR: f64 = 10.0;
/// An hour of a drop may be so many times as much of what is expected as the drop as a whole.
const HOUR_OF_DROP: f64 = 2.0;
/// The most hours of a drop that lie in the day before.
pub(super) const HOURS_BEFORE: usize = 2;

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
    let this = Day { past: &past, day, thresholds };
    this.calls(tide, &mut anomalies);
    this.subjects(&mut anomalies);
    this.denied(&mut anomalies);
    Judged::Anomalies(anomalies)
}

/// The age of the day and the hour of a place among the hours that a drop may have: the last of the day before, then those of the day.
pub(super) fn age_and_hour(place: usize) -> (usize, usize) {
    match place.checked_sub(HOURS_BEFORE) {
        Some(hour) => (0, hour),
        None => (1, 24 - HOURS_BEFORE + place),
    }
}

/// One count of the day and its past, which is looked at closely only if need be.
struct Count<'a, F> {
    past: &'a Past<'a>,
    of: F,
    level: Level,
    shape: OnceCell<Shape>,
}

impl<'a, F: Fn(&Hour) -> u32 + Copy> Count<'a, F> {
    fn new(past: &'a Past<'a>, of: F) -> Option<Count<'a, F>> {
        Some(Count { past, of, level: Level::new(past, of)?, shape: OnceCell::new() })
    }

    fn value(&self, age: usize, hour: usize) -> Option<u32> {
        self.past.value(age, hour, self.of)
    }

    fn first_look(&self, age: usize, hour: usize) -> Option<Expected> {
        self.level.expected(self.past, age, hour, self.of)
    }

    fn shape(&self) -> &Shape {
        self.shape.get_or_init(|| Shape::new(self.past, &self.level, self.of))
    }

    /// What is expected, at the close look.
    fn expected(&self, age: usize, hour: usize) -> Option<Expected> {
        self.shape().expected(self.past, &self.level, (age, hour), self.of)
    }

    /// What was to be expected of an hour of the history.
    fn was(&self, age: usize, hour: usize) -> Option<f64> {
        self.shape().was(self.past, &self.level, (age, hour), self.of)
    }

    /// Where `count_min` is what matters, four fifths of it are the least that is a precedent: a handful of calls in an hour without any is none.
    fn spread(
        &self,
        hours_on_end: usize,
        count_min: f64,
        along: Along<'_>,
        thresholds: &Thresholds,
    ) -> Spread {
        let expected = |age, hour| Some(self.was(age, hour)? * along(age, hour)?);
        Spread::new(
            self.past,
            self.of,
            hours_on_end,
            thresholds.day_ratio_max,
            count_min * 0.8,
            expected,
        )
    }

    /// How busy the day is, at the close look.
    fn ratio(&self, along: Along<'_>, thresholds: &Thresholds) -> DayRatio {
        let known = (0..24).filter_map(|hour| {
            Some((
                f64::from(self.value(0, hour)?),
                self.expected(0, hour)?.median * along(0, hour)?,
            ))
        });
        DayRatio::of(known, thresholds.day_ratio_max)
    }
}

/// Of each hour, by age and hour, how many times what is usual of something else is there, which a count goes with.
type Along<'a> = &'a dyn Fn(usize, usize) -> Option<f64>;

/// What a rise is and what it must reach.
struct Rise<'a> {
    kind: Kind,
    count_min: u32,
    ratio_min: f64,
    along: Along<'a>,
}

/// What goes along with nothing but itself.
fn alone(_age: usize, _hour: usize) -> Option<f64> {
    Some(1.0)
}

/// One hour that is odd.
struct Odd {
    hour: usize,
    observed: u32,
    expected: f64,
    score: f64,
    basis: Basis,
}

/// An hour in which a drop may be: what was counted, and what was expected of it at least.
#[derive(Clone, Copy)]
struct Low {
    observed: u32,
    low: f64,
    expected: Expected,
}

struct Day<'a> {
    past: &'a Past<'a>,
    day: &'a DayOf<'a>,
    thresholds: &'a Thresholds,
}

impl Day<'_> {
    fn calls(&self, tide: Option<&Tide>, anomalies: &mut Vec<Anomaly>) {
        let calls = |hour: &Hour| hour.calls;
        let many = self.any_reaches(self.thresholds.spike_calls_min, calls);
        let many_expected =
            f64::from(self.past.greatest(calls)) >= self.thresholds.drop_expected_min;
        if !many && !many_expected {
            return;
        }
        let Some(count) = Count::new(self.past, calls) else { return };
        if many {
            let rise = Rise {
                kind: Kind::Spike,
                count_min: self.thresholds.spike_calls_min,
                ratio_min: self.thresholds.spike_ratio_min,
                along: &alone,
            };
            self.rises(&count, &rise, |_, _| None, anomalies);
        }
        if many_expected {
            self.drops(&count, tide, anomalies);
        }
    }

    fn subjects(&self, anomalies: &mut Vec<Anomaly>) {
        let subjects = |hour: &Hour| hour.subjects;
        let count_min = self.thresholds.sweep_subjects_min;
        if !self.any_reaches(count_min, subjects) {
            return;
        }
        let Some(count) = Count::new(self.past, subjects) else { return };
        let ratio_min = self.thresholds.sweep_ratio_min;
        let rise = Rise { kind: Kind::SubjectSweep, count_min, ratio_min, along: &alone };
        self.rises(&count, &rise, |_, _| None, anomalies);
    }

    fn denied(&self, anomalies: &mut Vec<Anomaly>) {
        let denied = |hour: &Hour| hour.denied;
        let count_min = self.thresholds.burst_denied_min;
        if !self.any_reaches(count_min, denied) {
            return;
        }
        let Some(count) = Count::new(self.past, denied) else { return };
        // Calls that were not denied have none of a burst among them: as many of these as usual, as many denied ones as usual.
        let others = OnceCell::new();
        let along = |age: usize, hour: usize| {
            let of = |hour: &Hour| hour.calls.saturating_sub(hour.denied);
            let others = others.get_or_init(|| Count::new(self.past, of)).as_ref()?;
            let counted = f64::from(others.value(age, hour)?);
            let usual = match age {
                0 => others.expected(0, hour)?.median,
                _ => others.was(age, hour)?,
            };
            // Where hardly any are usual, how many times that is says nothing.
            Some((counted + ALONG_FLOOR) / (usual + ALONG_FLOOR))
        };
        let denied_ratio = |hour: usize, denied: u32| {
            let calls = self.past.value(0, hour, |hour| hour.calls)?.max(denied);
            let observed = f64::from(denied) / f64::from(calls);
            Some(DeniedRatio { observed, usual: self.usual_denied_ratio() })
        };
        let ratio_min = self.thresholds.burst_ratio_min;
        let rise = Rise { kind: Kind::DeniedBurst, count_min, ratio_min, along: &along };
        self.rises(&count, &rise, denied_ratio, anomalies);
    }

    fn any_reaches(&self, least: u32, of: impl Fn(&Hour) -> u32) -> bool {
        (0..24).any(|hour| self.past.value(0, hour, &of).is_some_and(|value| value >= least))
    }

    /// The share of calls denied on a usual day of the history.
    fn usual_denied_ratio(&self) -> f64 {
        let calls = self.past.totals(|hour| hour.calls);
        let denied = self.past.totals(|hour| hour.denied);
        let shares = calls.into_iter().zip(denied).filter_map(|(calls, denied)| {
            let calls = calls.filter(|&calls| calls > 0.0)?;
            Some((denied? / calls).min(1.0))
        });
        Few::<{ HISTORY_DAYS_MAX as usize }>::of(shares).median().unwrap_or(0.0)
    }

    /// Hours far above what is expected of them.
    fn rises<F: Fn(&Hour) -> u32 + Copy>(
        &self,
        count: &Count<'_, F>,
        rise: &Rise<'_>,
        denied_ratio: impl Fn(usize, u32) -> Option<DeniedRatio>,
        anomalies: &mut Vec<Anomaly>,
    ) {
        let (mut ratio, mut spread) = (None, None);
        let mut run = Run::default();
        for hour in 0..=24 {
            let mut odd = || {
                let observed = count.value(0, hour).filter(|&value| value >= rise.count_min)?;
                let enough = |expected: f64| f64::from(observed) >= expected * rise.ratio_min;
                let bound = f64::from(observed) / rise.ratio_min * FIRST_LOOK_RATIO;
                if !count.level.may_be(self.past, 0, hour, count.of, true, bound) {
                    return None;
                }
                let of_hour = count.expected(0, hour)?;
                let ratio =
                    ratio.get_or_insert_with(|| count.ratio(rise.along, self.thresholds)).up;
                let expected = of_hour.high * (rise.along)(0, hour)? * ratio;
                if !enough(expected) {
                    return None;
                }
                let spread = spread.get_or_insert_with(|| {
                    count.spread(1, f64::from(rise.count_min), rise.along, self.thresholds)
                });
                let score = spread.above(f64::from(observed), expected);
                let basis = self.basis(&of_hour, expected / of_hour.high.max(f64::MIN_POSITIVE));
                (score >= self.thresholds.score_min).then_some(Odd {
                    hour,
                    observed,
                    expected,
                    score,
                    basis,
                })
            };
            match if hour < 24 { odd() } else { None } {
                Some(odd) => run.add(odd),
                None => anomalies.extend(run.end().map(|(worst, first, last)| Anomaly {
                    kind: rise.kind,
                    first_hour: self.since_1970(first),
                    last_hour: self.since_1970(last),
                    worst_hour: self.since_1970(worst.hour),
                    observed: u64::from(worst.observed),
                    expected: worst.expected,
                    score: worst.score,
                    denied_ratio: denied_ratio(worst.hour, worst.observed),
                    basis: worst.basis,
                })),
            }
        }
    }

    /// Some hours on end far below what is expected of them, which may begin in the day before.
    fn drops<F: Fn(&Hour) -> u32 + Copy>(
        &self,
        count: &Count<'_, F>,
        tide: Option<&Tide>,
        anomalies: &mut Vec<Anomaly>,
    ) {
        let least = self.thresholds.drop_hours_min.clamp(1, HOURS_BEFORE as u32 + 1) as usize;
        // Where all of them together are far below, one of them is.
        let low = |place: usize| {
            let (age, hour) = age_and_hour(place);
            count.value(age, hour).is_some_and(|observed| {
                let bound =
                    f64::from(observed) / (self.thresholds.drop_ratio_max * FIRST_LOOK_RATIO);
                count.level.may_be(self.past, age, hour, count.of, false, bound)
            })
        };
        if !(0..HOURS_BEFORE + 24).any(low) {
            return;
        }
        // What is expected is asked for only where less than that could be.
        let first_look: [_; HOURS_BEFORE + 24] = std::array::from_fn(|place| {
            let (age, hour) = age_and_hour(place);
            let observed = count.value(age, hour)?;
            let expected = count.first_look(age, hour)?;
            Some(Low { observed, low: expected.low, expected })
        });
        let few = |hours: &[Option<Low>], slack: f64| {
            let ratio_max = self.thresholds.drop_ratio_max * slack;
            let sums = hours.iter().try_fold((0.0, 0.0), |(observed, expected), hour| {
                let hour = hour.as_ref()?;
                // Empty hours beside a usual one are not as many hours on end.
                let itself = f64::from(hour.observed) <= hour.low * ratio_max * HOUR_OF_DROP;
                itself.then_some((observed + f64::from(hour.observed), expected + hour.low))
            });
            sums.filter(|(observed, expected)| {
                *expected * slack >= self.thresholds.drop_expected_min * least as f64
                    && *observed <= expected * ratio_max
            })
        };
        if !first_look.windows(least).any(|hours| few(hours, FIRST_LOOK_RATIO).is_some()) {
            return;
        }

        let day_ratio = count.ratio(&alone, self.thresholds).down;
        let places: [_; HOURS_BEFORE + 24] = std::array::from_fn(|place| {
            let (age, hour) = age_and_hour(place);
            let observed = count.value(age, hour)?;
            let expected = count.expected(age, hour)?;
            if self.ebbs(tide, place, observed, &expected) {
                return None;
            }
            Some(Low { observed, low: expected.low * day_ratio, expected })
        });
        let mut spread = None;
        // Of each place, the greatest score of the windows that it is in.
        let mut scores = [None; HOURS_BEFORE + 24];
        for first in 0..=places.len() - least {
            if first + least <= HOURS_BEFORE {
                continue;
            }
            let Some((observed, expected)) = few(&places[first..first + least], 1.0) else {
                continue;
            };
            let spread = spread.get_or_insert_with(|| {
                count.spread(
                    least,
                    self.thresholds.drop_expected_min * least as f64,
                    &alone,
                    self.thresholds,
                )
            });
            let score = spread.below(observed, expected);
            if score >= self.thresholds.drop_score_min {
                for of_place in &mut scores[first..first + least] {
                    *of_place = Some(of_place.map_or(score, |greatest: f64| greatest.max(score)));
                }
            }
        }

        let mut place = 0;
        while place < scores.len() {
            let on_end = scores[place..].iter().map_while(|score| *score);
            let (length, score) = on_end
                .fold((0, 0.0), |(length, greatest), score| (length + 1, score.max(greatest)));
            if length > 0 {
                anomalies.extend(self.drop(
                    &places[place..place + length],
                    place,
                    day_ratio,
                    score,
                ));
            }
            place += length.max(1);
        }
    }

    /// Whether all others have fallen in that hour too: what is missing from the logs is not missing from this partner.
    fn ebbs(&self, tide: Option<&Tide>, place: usize, observed: u32, expected: &Expected) -> bool {
        let Some((all, of_all)) = tide.and_then(|tide| tide.hours[place]) else { return false };
        let others = (all - f64::from(observed)).max(0.0);
        let of_others = of_all - expected.median;
        of_others >= TIDE_EXPECTED_MIN && others < of_others * self.thresholds.tide_ratio_min
    }

    /// The drop of these hours, the first of which is at that place.
    fn drop(
        &self,
        hours: &[Option<Low>],
        place: usize,
        day_ratio: f64,
        score: f64,
    ) -> Option<Anomaly> {
        let at =
            |place: usize| self.since_1970(0).saturating_add(place as i64 - HOURS_BEFORE as i64);
        let known = || hours.iter().enumerate().filter_map(|(n, hour)| Some((n, hour.as_ref()?)));
        let missing = |hour: &Low| hour.low - f64::from(hour.observed);
        let (worst, of_worst) = known().max_by(|a, b| missing(a.1).total_cmp(&missing(b.1)))?;
        Some(Anomaly {
            kind: Kind::Drop,
            first_hour: at(place),
            last_hour: at(place + hours.len() - 1),
            worst_hour: at(place + worst),
            observed: known().map(|(_, hour)| u64::from(hour.observed)).sum(),
            expected: known().map(|(_, hour)| hour.low).sum(),
            score,
            denied_ratio: None,
            basis: self.basis(&of_worst.expected, day_ratio),
        })
    }

    fn basis(&self, expected: &Expected, day_ratio: f64) -> Basis {
        Basis {
            history_days: self.past.days_known(),
            same_hours: expected.same_hours,
            median: expected.median,
            day_ratio,
        }
    }

    /// The hour of the day as one since 1970.
    fn since_1970(&self, hour: usize) -> i64 {
        self.day.day.saturating_mul(24).saturating_add(hour as i64)
    }
}

/// Odd hours on end, of which the worst tells what they are.
#[derive(Default)]
struct Run {
    worst: Option<Odd>,
    first_hour: usize,
    last_hour: usize,
}

impl Run {
    fn add(&mut self, odd: Odd) {
        self.last_hour = odd.hour;
        if self.worst.is_none() {
            self.first_hour = odd.hour;
        }
        if self.worst.as_ref().is_none_or(|worst| odd.score > worst.score) {
            self.worst = Some(odd);
        }
    }

    /// The worst, the first and the last of them, if there are any; the next begin anew.
    fn end(&mut self) -> Option<(Odd, usize, usize)> {
        Some((self.worst.take()?, self.first_hour, self.last_hour))
    }
}
