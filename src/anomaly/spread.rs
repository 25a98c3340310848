//! How far hours usually are from what is expected: the unit of scores.
//!
//! Counts of calls spread more than chance alone would have it, and the more the more there are: the variance of a count
//! with mean m is taken to be m + φ m², as of a negative binomial, and φ is measured. The difference of two square roots is then
//! near to a normal deviation, at any mean (M. S. Bartlett, "The Use of Transformations", Biometrics 3, 1947).
//!
//! It takes the whole history to say; so it is asked for only where an hour has already passed what is cheap.

use super::Hour;
use super::expect::DayRatio;
use super::past::{AGES, Past, median};

/// The least φ: no expectation is better than a tenth.
const OVERDISPERSION_MIN: f64 = 0.01;
/// φ where no hours are busy enough to measure it.
const OVERDISPERSION_UNKNOWN: f64 = 0.1;
/// Hours with fewer calls expected say nothing of φ: chance alone is most of their spread.
const MEAN_MIN: f64 = 10.0;
/// As many hours must say it.
const HOURS_ENOUGH: usize = 48;
/// The median of a squared standard normal deviation.
const MEDIAN_SQUARE: f64 = 0.454_936_4;
/// What the third greatest deviation upwards of 8 weeks may be, day by day, before scores shrink. It is 3.0 where deviations are
/// normal (the 54th of 56 maxima of 24), and half a step more where a few busy hours are no more than that.
const THIRD_UP: f64 = 3.5;
/// The same downwards, where a count can't be below none: what is lower on three days of eight weeks is nothing odd.
const THIRD_DOWN: f64 = 2.6;
/// On one of so many days something happens that is nothing odd: of 56 days, the third of the greatest deviations counts.
const DAYS_PER_PRECEDENT: usize = 19;

/// The usual spread of a count of one (partner, api).
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    overdispersion: f64,
    /// By how much deviations upwards, and downwards, are wider than normal: at least 1.
    up: f64,
    down: f64,
}

impl Spread {
    /// Measured over the history, of the sums of so many hours on end, from 1 to 24 of a day; `expected` tells what was to be expected
    /// of an hour, by the age of its day.
    pub(super) fn new(
        past: &Past<'_>,
        of: impl Fn(&Hour) -> u32 + Copy,
        hours_on_end: usize,
        day_ratio_max: f64,
        precedent_min: f64,
        expected: impl Fn(usize, usize) -> Option<f64>,
    ) -> Spread {
        // What was counted and what was expected, day by day: `None` where either is not known.
        let mut known = Vec::with_capacity(past.age_max * 24);
        for age in 1..=past.age_max {
            let hours: [Option<(f64, f64)>; 24] = std::array::from_fn(|hour| {
                let counted = f64::from(past.value(age, hour, of)?);
                Some((counted, expected(age, hour)?))
            });
            let ratio = DayRatio::of(hours.iter().flatten().copied(), day_ratio_max);
            for hours in hours.windows(hours_on_end) {
                if hours.iter().all(Option::is_some) {
                    let sums = hours
                        .iter()
                        .flatten()
                        .fold((0.0, 0.0), |sums, hour| (sums.0 + hour.0, sums.1 + hour.1));
                    known.push((age, sums.0, sums.1, ratio));
                }
            }
        }

        let squares = known.iter().filter(|(.., mean, _)| *mean >= MEAN_MIN).map(
            |(_, counted, mean, ratio)| {
                let mean = mean * ratio.up.max(1.0) * ratio.down.min(1.0);
                let far = counted - mean;
                (far * far / MEDIAN_SQUARE - mean) / (mean * mean)
            },
        );
        let mut squares: Vec<f64> = squares.collect();
        let overdispersion = if squares.len() >= HOURS_ENOUGH {
            median(&mut squares).unwrap_or(OVERDISPERSION_UNKNOWN).max(OVERDISPERSION_MIN)
        } else {
            OVERDISPERSION_UNKNOWN
        };

        let mut spread = Spread { overdispersion, up: 1.0, down: 1.0 };
        let (mut highest, mut lowest) = ([0.0; AGES], [0.0; AGES]);
        for (age, counted, mean, ratio) in known {
            if counted >= precedent_min {
                highest[age] = spread.far(counted, mean * ratio.up).max(highest[age]);
            }
            if mean >= precedent_min {
                lowest[age] = (-spread.far(counted, mean * ratio.down)).max(lowest[age]);
            }
        }
        let precedents = (past.days_known() as usize).div_ceil(DAYS_PER_PRECEDENT).clamp(1, AGES);
        let third = |days: &mut [f64; AGES]| {
            *days.select_nth_unstable_by(AGES - precedents, f64::total_cmp).1
        };
        spread.up = (third(&mut highest) / THIRD_UP).max(1.0);
        spread.down = (third(&mut lowest) / THIRD_DOWN).max(1.0);
        spread
    }

    /// How far what was counted is above what was expected.
    pub(super) fn above(&self, counted: f64, expected: f64) -> f64 {
        self.far(counted, expected) / self.up
    }

    /// How far it is below.
    pub(super) fn below(&self, counted: f64, expected: f64) -> f64 {
        -self.far(counted, expected) / self.down
    }

    fn far(&self, counted: f64, expected: f64) -> f64 {
        2.0 * (counted.sqrt() - expected.sqrt()) / (1.0 + self.overdispersion * expected).sqrt()
    }
}
