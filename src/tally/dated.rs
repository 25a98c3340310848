//! Sums day by day, for whoever keeps days apart; or all as one.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{InputSums, Tally};
use crate::time::{HOURS_PER_DAY, Instant};

/// Which calls share their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// All of them.
    #[default]
    Whole,
    /// Those of one day of UTC.
    Day,
}

impl By {
    /// The number of a call's day since 1970-01-01; 0 for all of them as one.
    #[inline]
    pub fn of(self, at: Instant) -> i64 {
        match self {
            By::Whole => 0,
            By::Day => at.hour().div_euclid(HOURS_PER_DAY),
        }
    }

    /// The instants of a day, but that the last instant there is stands for no end.
    pub fn span(self, day: i64) -> Range<Instant> {
        match self {
            By::Whole => Instant::MIN..Instant::MAX,
            By::Day => {
                let start = |day: i64| Instant::from_hour(day.saturating_mul(HOURS_PER_DAY));
                start(day)..start(day.saturating_add(1))
            }
        }
    }

    /// Whether all instants are of the day of the first.
    pub(super) fn is_one(self, first: Instant, mut all: impl Iterator<Item = Instant>) -> bool {
        let span = self.span(self.of(first));
        self == By::Whole || all.all(|at| span.contains(&at))
    }
}

/// A tally for each day, and what has none: lines that are no calls, until they are filed under a day.
#[derive(Clone, Debug, Default)]
pub struct Dated {
    by: By,
    /// By day.
    tallies: BTreeMap<i64, Tally>,
    /// Of lines that tell no time.
    pub undated: Tally,
}

impl Dated {
    /// An empty one.
    pub fn new(by: By) -> Dated {
        Dated { by, ..Dated::default() }
    }

    /// The tally of a day, given by its number.
    pub fn day(&mut self, day: i64) -> &mut Tally {
        self.tallies.entry(day).or_default()
    }

    /// The tally that a call of that instant is counted in.
    #[inline]
    pub fn of(&mut self, at: Instant) -> &mut Tally {
        self.day(self.by.of(at))
    }

    /// All that was counted of an input.
    pub fn input(&self, input: u32) -> InputSums {
        let mut sums = InputSums::default();
        let all = self.tallies.values().chain([&self.undated]);
        all.filter_map(|tally| tally.inputs.get(&input)).for_each(|other| sums.merge(other));
        sums
    }

    /// The last day with calls.
    pub fn last_day(&self) -> Option<i64> {
        let with_calls = |tally: &Tally| tally.inputs.values().any(|sums| sums.calls > 0);
        self.tallies.iter().rev().find(|(_, tally)| with_calls(tally)).map(|(&day, _)| day)
    }

    /// Takes out all that has a day.
    #[must_use]
    pub fn take_days(&mut self) -> BTreeMap<i64, Tally> {
        std::mem::take(&mut self.tallies)
    }

    /// About how many bytes it holds.
    pub fn heap_bytes(&self) -> usize {
        self.tallies.values().map(Tally::heap_bytes).sum()
    }

    /// Files what has no day under that of the last of the calls, if there is any: where a reader will look for it.
    pub fn file(&mut self, last_day: Option<i64>) {
        if let Some(day) = last_day {
            let undated = std::mem::take(&mut self.undated);
            self.day(day).merge(undated);
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Dated) {
        self.by = other.by;
        for (day, tally) in other.tallies {
            match self.tallies.entry(day) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(tally);
                }
                std::collections::btree_map::Entry::Occupied(mut ours) => {
                    ours.get_mut().merge(tally);
                }
            }
        }
        self.undated.merge(other.undated);
    }

    /// The tallies by day, what has none under `undated_day`.
    pub fn into_days(mut self, undated_day: i64) -> BTreeMap<i64, Tally> {
        if !self.undated.inputs.is_empty() {
            let undated = std::mem::take(&mut self.undated);
            self.day(undated_day).merge(undated);
        }
        self.tallies
    }

    /// All of it as one.
    pub fn into_whole(self) -> Tally {
        let mut all = self.tallies.into_values().chain([self.undated]);
        let mut whole = all.next().unwrap_or_default();
        all.for_each(|tally| whole.merge(tally));
        whole
    }
}
