//! How far hours usually are from what is expected: the unit of scores.
//!
//! Counts of calls spread more than chance alone would have it, and the more the more there are: the variance of a count
//! with mean m is taken to be m + φ m², as of a negative binomial, and φ is measured. The difference of two square roots is then
//! near to a normal deviation, at any mean (M. S. Bartlett, "The Use of Transformations", Biometrics 3, 1947).
//!
//! It takes the whole history to say; so it is asked for only where an hour has already passed what is cheap.

use super::Hour;
use super::expect::Level;
use super::past::{AGES, Few, Past, WEEK, median};

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
/// What the third greatest deviation of 8 weeks is where they are normal, day by day: the 54th of 56 maxima of 24.
const THIRD_NORMAL: f64 = 3.0;
/// Which of the greatest daily deviations counts: what happened on so many days of the history is nothing odd.
const PRECEDENTS: usize = 3;

/// The usual spread of a count of one (partner, api).
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    overdispersion: f64,
    /// By how much deviations upwards, and downwards, are wider than normal: at least 1.
    up: f64,
    down: f64,
}

impl Spread {
    /// Measured over the history.
    pub(super) fn new(past: &Past<'_>, level: &Level, of: impl Fn(&Hour) -> u32 + Copy) -> Spread {
        // The shape of the week, for each age of the last seven days.
        let mut shape = [[None; 24]; WEEK];
        for (weekday, hours) in shape.iter_mut().enumerate() {
            for (hour, share) in hours.iter_mut().enumerate() {
                let same = (weekday..=past.age_max).step_by(WEEK).filter(|&age| age > 0);
                let shares = same
                    .filter_map(|age| Some(f64::from(past.value(age, hour, of)?) / level.at(age)));
                *share = Few::<{ AGES / WEEK + 1 }>::of(shares).median();
            }
        }
        let mean = |age: usize, hour: usize| {
            shape[age % WEEK][hour].map(|share: f64| share * level.at(age))
        };

        let mut squares = Vec::with_capacity(past.age_max * 24);
        for age in 1..=past.age_max {
            for hour in 0..24 {
                let (Some(value), Some(mean)) = (past.value(age, hour, of), mean(age, hour)) else {
                    continue;
                };
                if mean >= MEAN_MIN {
                    let far = f64::from(value) - mean;
                    squares.push((far * far / MEDIAN_SQUARE - mean) / (mean * mean));
                }
            }
        }
        let overdispersion = if squares.len() >= HOURS_ENOUGH {
            median(&mut squares).unwrap_or(OVERDISPERSION_UNKNOWN).max(OVERDISPERSION_MIN)
        } else {
            OVERDISPERSION_UNKNOWN
        };

        let mut spread = Spread { overdispersion, up: 1.0, down: 1.0 };
        let (mut highest, mut lowest) = ([0.0; AGES], [0.0; AGES]);
        for age in 1..=past.age_max {
            for hour in 0..24 {
                let (Some(value), Some(mean)) = (past.value(age, hour, of), mean(age, hour)) else {
                    continue;
                };
                let far = spread.far(f64::from(value), mean);
                highest[age] = far.max(highest[age]);
                lowest[age] = (-far).max(lowest[age]);
            }
        }
        let third = |days: &mut [f64; AGES]| {
            let nth = AGES - PRECEDENTS;
            *days.select_nth_unstable_by(nth, f64::total_cmp).1
        };
        spread.up = (third(&mut highest) / THIRD_NORMAL).max(1.0);
        spread.down = (third(&mut lowest) / THIRD_NORMAL).max(1.0);
        spread
    }

    /// How far an hour is above what was expected.
    pub(super) fn above(&self, observed: f64, expected: f64) -> f64 {
        self.far(observed, expected) / self.up
    }

    /// How far it is below.
    pub(super) fn below(&self, observed: f64, expected: f64) -> f64 {
        -self.far(observed, expected) / self.down
    }

    fn far(&self, observed: f64, expected: f64) -> f64 {
        2.0 * (observed.sqrt() - expected.sqrt()) / (1.0 + self.overdispersion * expected).sqrt()
    }
}
