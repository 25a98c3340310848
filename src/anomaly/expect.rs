//! What is expected of an hour: what such hours were, each at the level of its own days, at the level of now.
//!
//! A *level* is the calls of a typical day. Dividing each hour by the level of its days and multiplying by that of the last
//! days keeps up with growth, and with a partner that has launched something and stays where it is: after three days of it,
//! now is the new level, and the hours before it still tell the shape of the week.
//!
//! The shape is told twice. [`Level::expected`] is cheap: the median of the same hour of the week, eight hours of eight weeks, which is
//! a seventh off where hours vary by a third. [`Shape`] takes the whole history to be half as far off; so it is asked
//! only where an hour looks odd by the first.

use std::cell::OnceCell;

use super::Hour;
use super::past::{AGES, Few, Past, WEEK};

/// The least level, in calls a day: below one an hour, ratios of levels say nothing.
const LEVEL_MIN: f64 = 24.0;
/// Days whose level is that of now, of which the median counts: two odd ones in a row do not move it, three do.
const NOW_DAYS: usize = 5;
/// As many of the same hour of the week are enough to tell it from the same hour of other days.
const SAME_HOURS_ENOUGH: usize = 4;
/// With fewer, so many of the same hour on any day must be there.
const ANY_DAYS_ENOUGH: usize = 7;
/// How far the hour of the week may be from what the hours beside it make of it, in either direction, before it is taken to be unlike them.
const ALIKE_RATIO_MAX: f64 = 1.6;
/// Hours on either side that tell of an hour how the day of the week is.
const BESIDE: usize = 2;
/// With fewer calls in an hour, medians say little.
const FEW_CALLS: f64 = 10.0;
/// Parts of a day, of an hour or more, that must tell how busy it is as a whole.
const DAY_PARTS_MIN: usize = 4;
/// A part tells so if that many are expected in it.
const DAY_PART_EXPECTED_MIN: f64 = 10.0;
/// The most weeks in a history, and one that has begun.
const WEEKS_MAX: usize = AGES / WEEK + 1;

/// How much a day of the history was, by its age, and how much a day is now.
pub(super) struct Level {
    now: f64,
    at: [f64; AGES],
}

/// What is expected of an hour, at the level of now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// What such hours are.
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
    /// Those of a count. `None` if no day of the history tells of one.
    pub(super) fn new(past: &Past<'_>, of: impl Fn(&Hour) -> u32 + Copy) -> Option<Level> {
        let totals = past.totals(of);
        let totals = &totals[..=past.age_max];
        totals.iter().flatten().next()?;
        let overall = || Few::<AGES>::of(totals.iter().copied().flatten()).median().unwrap_or(0.0);

        // The seven days around each, so that each day of the week is there once; at the ends, the seven at the end.
        let mut at = [0.0; AGES];
        for (age, level) in at.iter_mut().enumerate().take(past.age_max + 1).skip(1) {
            let first =
                age.saturating_sub(WEEK / 2).min((past.age_max + 1).saturating_sub(WEEK)).max(1);
            let around = totals[first..totals.len().min(first + WEEK)].iter().copied().flatten();
            *level = Few::<WEEK>::of(around).median().unwrap_or_else(overall).max(LEVEL_MIN);
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

    /// What is expected of an hour of the day of that age, at a first look. `None` where too little is known of that hour.
    pub(super) fn expected(
        &self,
        past: &Past<'_>,
        age: usize,
        hour: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Option<Expected> {
        let mut same = self.same_hours(past, age % WEEK, age + 1, hour, of);
        let same_hours = same.len() as u32;
        let median = same.median();
        let mut any = None;
        if same.len() < SAME_HOURS_ENOUGH {
            any = Some(self.any_day(past, hour, of)?);
        }
        let median = median.or(any)?;
        Some(Expected { median, high: median, low: median, same_hours }.with(any).times(self.now))
    }

    /// Whether what is expected of an hour of the day of that age, at a first look, may be at most `bound` (`at_most`), or at least.
    /// Never no where it is; nothing is sorted for it.
    pub(super) fn may_be(
        &self,
        past: &Past<'_>,
        age: usize,
        hour: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
        at_most: bool,
        bound: f64,
    ) -> bool {
        let (mut known, mut fit) = (0, 0);
        let mut earlier = age + WEEK;
        while earlier <= past.age_max {
            if let Some(value) = past.value(earlier, hour, of) {
                let expected = f64::from(value) / self.at[earlier] * self.now;
                known += 1;
                fit += usize::from(if at_most { expected <= bound } else { expected >= bound });
            }
            earlier += WEEK;
        }
        known < SAME_HOURS_ENOUGH || fit * 2 >= known
    }

    /// The same hour on days of one day of the week, from that age on, as shares of the level.
    fn same_hours(
        &self,
        past: &Past<'_>,
        weekday: usize,
        from_age: usize,
        hour: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Few<WEEKS_MAX> {
        let ages = (weekday..=past.age_max).step_by(WEEK).filter(|&age| age >= from_age.max(1));
        Few::of(ages.filter_map(|age| Some(f64::from(past.value(age, hour, of)?) / self.at[age])))
    }

    /// The share of the level that this hour is on the day in the middle of all. `None` where too few days are known.
    fn any_day(
        &self,
        past: &Past<'_>,
        hour: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Option<f64> {
        let shares = (1..=past.age_max)
            .filter_map(|age| Some(f64::from(past.value(age, hour, of)?) / self.at[age]));
        let mut any = Few::<AGES>::of(shares);
        if any.len() < ANY_DAYS_ENOUGH { None } else { any.median() }
    }
}

impl Expected {
    /// The same hour of any day counts too.
    fn with(mut self, any: Option<f64>) -> Expected {
        if let Some(any) = any {
            (self.high, self.low) = (self.high.max(any), self.low.min(any));
        }
        self
    }

    fn times(self, level: f64) -> Expected {
        Expected {
            median: self.median * level,
            high: self.high * level,
            low: self.low * level,
            ..self
        }
    }
}

/// The shape of the week, as shares of the level of its days: by age of the day, from 0 to 6, and hour. Each day of the week is worked
/// out when it is asked for.
pub(super) struct Shape {
    /// Each hour as it is on the day in the middle of all.
    any: [Option<f64>; 24],
    /// The mean of hours in which calls are few.
    few: [Option<f64>; 24],
    shares: [OnceCell<[Option<Expected>; 24]>; WEEK],
}

impl Shape {
    pub(super) fn new(past: &Past<'_>, level: &Level, of: impl Fn(&Hour) -> u32 + Copy) -> Shape {
        let any: [Option<f64>; 24] = std::array::from_fn(|hour| level.any_day(past, hour, of));
        // Where calls come in a few goes, the median of their hours is none: their mean is what there is to expect.
        let mean = |hour: usize| {
            let shares = (1..=past.age_max)
                .filter_map(|age| Some(f64::from(past.value(age, hour, of)?) / level.at[age]));
            let (sum, count) =
                shares.fold((0.0, 0u32), |(sum, count), share| (sum + share, count + 1));
            sum / f64::from(count.max(1))
        };
        let few: [Option<f64>; 24] = std::array::from_fn(|hour| {
            any[hour].filter(|any| any * level.now < FEW_CALLS).map(|_| mean(hour))
        });
        Shape { any, few, shares: Default::default() }
    }

    /// What is expected of an hour of the day of that age, 0 or 1, at the level of now.
    pub(super) fn expected(
        &self,
        past: &Past<'_>,
        level: &Level,
        (age, hour): (usize, usize),
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Option<Expected> {
        self.weekday(past, level, age % WEEK, of)[hour].map(|share| share.times(level.now))
    }

    /// What was to be expected of an hour of the history, at the level of its own days.
    pub(super) fn was(
        &self,
        past: &Past<'_>,
        level: &Level,
        (age, hour): (usize, usize),
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> Option<f64> {
        self.weekday(past, level, age % WEEK, of)[hour].map(|share| share.median * level.at[age])
    }

    /// An hour of the day, as all days have it; times what the day of the week makes of it and the hours beside it. Where an hour of the
    /// week is plainly unlike that (a batch on Mondays), it is what it is.
    fn weekday(
        &self,
        past: &Past<'_>,
        level: &Level,
        weekday: usize,
        of: impl Fn(&Hour) -> u32 + Copy,
    ) -> &[Option<Expected>; 24] {
        self.shares[weekday].get_or_init(|| {
            let ages = || (weekday..=past.age_max).step_by(WEEK).filter(|&age| age > 0);
            std::array::from_fn(|hour| {
                let mut same = level.same_hours(past, weekday, 1, hour, of);
                let same_hours = same.len();
                let own = same.median();
                let smooth = self.any[hour].filter(|&any| any > 0.0).and_then(|of_hour| {
                    let beside = hour.saturating_sub(BESIDE)..=(hour + BESIDE).min(23);
                    let factors = beside.flat_map(|beside| {
                        let of_beside = self.any[beside].filter(|&any| any > 0.0);
                        ages().filter_map(move |age| {
                            Some(
                                f64::from(past.value(age, beside, of)?)
                                    / level.at[age]
                                    / of_beside?,
                            )
                        })
                    });
                    Few::<{ WEEKS_MAX * (2 * BESIDE + 1) }>::of(factors)
                        .median()
                        .map(|factor| factor * of_hour)
                });
                let unlike = |own: f64, smooth: f64| {
                    own > smooth * ALIKE_RATIO_MAX || own * ALIKE_RATIO_MAX < smooth
                };
                let median = match (own, smooth) {
                    (Some(own), Some(smooth))
                        if same_hours >= SAME_HOURS_ENOUGH && unlike(own, smooth) =>
                    {
                        own
                    }
                    (own, smooth) => smooth.or(own).or(self.any[hour])?,
                };
                let high = self.few[hour].map_or(median, |mean| mean.max(median));
                let share = Expected { median, high, low: median, same_hours: same_hours as u32 };
                Some(if same_hours < SAME_HOURS_ENOUGH {
                    share.with(self.any[hour])
                } else {
                    share
                })
            })
        })
    }
}

/// How busy a day is as a whole, beside others: what the hours in the middle of its hours are of what is expected of them. Where that
/// is no more than what a holiday does, its hours are held against the day's own level.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayRatio {
    /// What is expected of an hour that may be too much is multiplied by that.
    pub(super) up: f64,
    /// The same of one that may be too little.
    pub(super) down: f64,
}

impl DayRatio {
    /// That of a day, from what was counted and expected in each of its hours.
    pub(super) fn of(hours: impl Iterator<Item = (f64, f64)>, ratio_max: f64) -> DayRatio {
        // Hours in which few are expected tell it together with those after them.
        let (mut counted, mut expected) = (0.0, 0.0);
        let ratios = hours.filter_map(|(counted_of_hour, expected_of_hour)| {
            counted += counted_of_hour;
            expected += expected_of_hour;
            (expected >= DAY_PART_EXPECTED_MIN).then(|| {
                let ratio = counted / expected;
                (counted, expected) = (0.0, 0.0);
                ratio
            })
        });
        let mut ratios = Few::<24>::of(ratios);
        let ratio =
            if ratios.len() >= DAY_PARTS_MIN { ratios.median().unwrap_or(1.0) } else { 1.0 };
        if ratio > ratio_max || ratio * ratio_max < 1.0 {
            return DayRatio { up: 1.0, down: 1.0 };
        }
        // Half of a day may be missing, or be too much: what the other half is must not be told as odd for it.
        DayRatio { up: ratio.max(0.5), down: ratio.min(2.0) }
    }
}
