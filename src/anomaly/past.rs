//! The days that a day is judged by, found by how long ago they were. Knows what was heard of them and what not.

use super::{DayOf, HISTORY_DAYS_MAX, Hour, Thresholds};

/// Places for days by age: the day judged, and those before it.
pub(super) const AGES: usize = HISTORY_DAYS_MAX as usize + 1;
/// Days of a week.
pub(super) const WEEK: usize = 7;

/// The day judged and its history. A day's age is how many days before the one judged it was, whose own age is 0.
pub(super) struct Past<'a> {
    days: [Option<&'a DayOf<'a>>; AGES],
    /// The greatest age looked at.
    pub(super) age_max: usize,
    days_known: u32,
}

impl<'a> Past<'a> {
    /// Of the history, what lies within [`Thresholds::history_days`] before the day. Of two entries for a day the later counts.
    pub(super) fn new(
        history: &'a [DayOf<'a>],
        day: &'a DayOf<'a>,
        thresholds: &Thresholds,
    ) -> Past<'a> {
        let age_max = thresholds.history_days.min(HISTORY_DAYS_MAX) as usize;
        let mut days = [None; AGES];
        for earlier in history {
            let age = day.day.checked_sub(earlier.day).and_then(|age| usize::try_from(age).ok());
            if let Some(age) = age.filter(|age| (1..=age_max).contains(age)) {
                days[age] = Some(earlier);
            }
        }
        let days_known =
            days.iter().flatten().filter(|earlier| earlier.heard & HEARD_ALL != 0).count() as u32;
        days[0] = Some(day);
        Past { days, age_max, days_known }
    }

    /// Days before the one judged of which any hour was read.
    pub(super) fn days_known(&self) -> u32 {
        self.days_known
    }

    /// A count of an hour from 0 to 23; `None` where that was not read, or is before the history.
    pub(super) fn value(&self, age: usize, hour: usize, of: impl Fn(&Hour) -> u32) -> Option<u32> {
        let day = self.days[age]?;
        if day.heard >> hour & 1 == 0 {
            return None;
        }
        Some(day.hours.map_or(0, |hours| of(&hours[hour])))
    }

    /// The sum of each day of the history, by age. Of a day that was not read whole, what was read is taken to be the share
    /// of it that those hours usually are; `None` where that is less than a quarter.
    pub(super) fn totals(&self, of: impl Fn(&Hour) -> u32 + Copy) -> [Option<f64>; AGES] {
        let mut totals = [None; AGES];
        let mut in_part = false;
        for (age, total) in totals.iter_mut().enumerate().take(self.age_max + 1).skip(1) {
            match self.days[age] {
                Some(day) if day.heard & HEARD_ALL == HEARD_ALL => {
                    let sum = |hours: &[Hour; 24]| {
                        hours.iter().map(|hour| u64::from(of(hour))).sum::<u64>()
                    };
                    *total = Some(day.hours.map_or(0, sum) as f64);
                }
                Some(day) => in_part |= day.heard & HEARD_ALL != 0,
                None => {}
            }
        }
        if in_part {
            let usual: [f64; 24] = std::array::from_fn(|hour| {
                let values = (1..=self.age_max).filter_map(|age| self.value(age, hour, of));
                let (sum, count) = values
                    .fold((0u64, 0u32), |(sum, count), value| (sum + u64::from(value), count + 1));
                sum as f64 / f64::from(count.max(1))
            });
            let whole: f64 = usual.iter().sum();
            for (age, total) in totals.iter_mut().enumerate().take(self.age_max + 1).skip(1) {
                let Some(day) =
                    self.days[age].filter(|day| total.is_none() && day.heard & HEARD_ALL != 0)
                else {
                    continue;
                };
                let heard = || (0..24).filter(|hour| day.heard >> hour & 1 == 1);
                let part: f64 = heard().map(|hour| usual[hour]).sum();
                let sum: u64 =
                    heard().filter_map(|hour| self.value(age, hour, of)).map(u64::from).sum();
                if part * 4.0 >= whole {
                    *total = Some(if part > 0.0 { sum as f64 * whole / part } else { 0.0 });
                }
            }
        }
        totals
    }

    /// The greatest count of an hour of any day of the history, for a first look: hours not read are looked at too.
    pub(super) fn greatest(&self, of: impl Fn(&Hour) -> u32) -> u32 {
        let days = self.days[1..].iter().flatten().filter_map(|day| day.hours);
        days.map(|hours| hours.iter().map(&of).max().unwrap_or(0)).max().unwrap_or(0)
    }
}

/// All hours of a day were read.
const HEARD_ALL: u32 = (1 << 24) - 1;

/// The median of the days of a week, by the exchanges that no fewer do (N. Devillard, "Fast median search", 1998). Without
/// branches: which way they go could not be foreseen.
fn median_of_seven(mut values: [f64; WEEK]) -> f64 {
    const EXCHANGES: [(usize, usize); 13] = [
        (0, 5),
        (0, 3),
        (1, 6),
        (2, 4),
        (0, 1),
        (3, 5),
        (2, 6),
        (2, 3),
        (3, 6),
        (4, 5),
        (1, 4),
        (1, 3),
        (3, 4),
    ];
    for (low, high) in EXCHANGES {
        let (one, other) = (values[low], values[high]);
        values[low] = one.min(other);
        values[high] = one.max(other);
    }
    values[WEEK / 2]
}

/// So few values are sorted by exchanging neighbours: many medians are of eight.
const SORTED_MAX: usize = 8;

/// The median; of an even number, the mean of the two in the middle. `None` of nothing. Reorders what it is given.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    if let Ok(seven) = <[f64; WEEK]>::try_from(&*values) {
        return Some(median_of_seven(seven));
    }
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.len() <= SORTED_MAX {
        // Without branches that depend on the values: they could not be foreseen.
        for last in 1..values.len() {
            for place in (1..=last).rev() {
                let (one, other) = (values[place - 1], values[place]);
                values[place - 1] = one.min(other);
                values[place] = one.max(other);
            }
        }
        return Some(if even {
            (values[middle - 1] + values[middle]) / 2.0
        } else {
            values[middle]
        });
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some((lower + upper) / 2.0)
}

/// Values of a bounded number, on the stack.
pub(super) struct Few<const N: usize> {
    values: [f64; N],
    len: usize,
}

impl<const N: usize> Few<N> {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Few<N> {
        let mut few = Few { values: [0.0; N], len: 0 };
        for value in values.take(N) {
            few.values[few.len] = value;
            few.len += 1;
        }
        few
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_mut(&mut self) -> &mut [f64] {
        &mut self.values[..self.len]
    }

    pub(super) fn median(&mut self) -> Option<f64> {
        median(self.as_mut())
    }
}
