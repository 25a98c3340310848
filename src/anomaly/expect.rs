//! What is expected of an hour: the median of the same hour of the week, each at the level of its own days, at the level of now.
//!
//! A *level* is the calls of a typical day. Dividing each hour by the level of its days and multiplying by that of the last
//! days keeps up with growth, and with a partner that has launched something and stays where it is: after three days of it,
//! now is the new level, and the hours before it still tell the shape of the week.

use super::Hour;
use super::past::{AGES, Few, Past, WEEK};

/// The least level, in calls a day: below one an hour, ratios of levels say nothing.
const LEVEL_MIN: f64 = 24.0;
/// Days whose level is that of now, of which the median counts: two odd ones in a row do not move it, three do.
const NOW_DAYS: usize = 5;
/// As many of the same hour of the week are enough for their median to stand alone.
const SAME_HOURS_ENOUGH: usize = 4;
/// With fewer, so many of the same hour on any day must be there.
const ANY_DAYS_ENOUGH: usize = 7;
/// The most weeks in a history.
const WEEKS_MAX: usize = AGES / WEEK;

/// How much a day of the history was, by its age, and how much a day is now.
pub(super) struct Level {
    now: f64,
    /// `NaN` never: a day without enough hours read has the level of the days around it.
    at: [f64; AGES],
}

/// What is expected of an hour, at the level of now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// The median of the same hour of the week.
    pub(super) median: f64,
    /// The greatest that there is reason to expect: where few of the same hour of the week are known, the same hour of other days
    /// counts too.
    pub(super) high: f64,
    /// The least that there is reason to expect.
    pub(super) low: f64,
    /// How many of the same hour of the week there are.
    pub(super) same_hours: u32,
}

impl Level {
    /// Those of a count. `None` if no day of the history was read for at least 12 hours.
    pub(super) fn new(past: &Past<'_>, of: impl Fn(&Hour) -> u32 + Copy) -> Option<Level> {
        let mut totals = [None; AGES];
        for (age, total) in totals.iter_mut().enumerate().take(past.age_max + 1).skip(1) {
            *total = past.total(age, of);
        }
        let totals = &totals[..=past.age_max];
        let overall = Few::<AGES>::of(totals.iter().copied().flatten()).median()?;

        // The seven days around each, so that each day of the week is there once; at the ends, the seven at the end.
        let mut at = [0.0; AGES];
        for (age, level) in at.iter_mut().enumerate().take(past.age_max + 1).skip(1) {
            let first =
                age.saturating_sub(WEEK / 2).min((past.age_max + 1).saturating_sub(WEEK)).max(1);
            let around = totals[first..totals.len().min(first + WEEK)].iter().copied().flatten();
            *level = Few::<WEEK>::of(around).median().unwrap_or(overall).max(LEVEL_MIN);
        }

        // A day of now at a time, by what its day of the week usually is of its week.
        let of_week = |age: usize| {
            let same = (age..totals.len()).step_by(WEEK);
            Few::<WEEKS_MAX>::of(same.filter_map(|age| Some(totals[age]? / at[age]))).median()
        };
        let now = (1..=NOW_DAYS.min(past.age_max)).filter_map(|age| {
            // On a day of the week that is next to empty, what there is says nothing of the level.
            let usual = of_week(age).filter(|&usual| usual >= 0.1)?;
            Some(totals[age]? / usual)
        });
        let now = Few::<NOW_DAYS>::of(now).median().unwrap_or(at[1]).max(LEVEL_MIN);
        Some(Level { now, at })
    }

    /// What is expected of an hour of the day of that age. `None` where too little is known of that hour.
    pub(super) fn expected(
        &self,
        past: &Past<'_>,
        age: usize,
        hour: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Option<Expected> {
        let shares =
            |earlier: usize| Some(f64::from(past.value(earlier, hour, of)?) / self.at[earlier]);
        let same = (age + WEEK..=past.age_max).step_by(WEEK);
        let mut same = Few::<WEEKS_MAX>::of(same.filter_map(shares));
        let same_hours = same.len();
        let median = same.median().map(|share| share * self.now);
        let mut expected =
            Expected { median: 0.0, high: 0.0, low: 0.0, same_hours: same_hours as u32 };
        if let Some(median) = median {
            (expected.median, expected.high, expected.low) = (median, median, median);
        }
        if same_hours < SAME_HOURS_ENOUGH {
            let mut any = Few::<AGES>::of((1..=past.age_max).filter_map(shares));
            if any.len() < ANY_DAYS_ENOUGH {
                return None;
            }
            let other = any.median()? * self.now;
            expected.median = median.unwrap_or(other);
            (expected.high, expected.low) =
                (expected.median.max(other), expected.median.min(other));
        }
        Some(expected)
    }

    /// What was expected of a day of the history, given its own level: what its spread is measured against. By age.
    pub(super) fn at(&self, age: usize) -> f64 {
        self.at[age]
    }
}
