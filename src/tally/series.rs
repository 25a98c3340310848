//! Calls by the hour.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::call::Outcome;
use crate::limits::SERIES_HOURS_MAX;
use crate::register::PartnerId;
use crate::time::Instant;

use super::By;

/// One partner's calls in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourCounts {
    /// Calls served.
    pub served: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls failed.
    pub failed: u64,
    /// Calls served or unknown after access was last in order.
    pub overstayed: u64,
}

impl HourCounts {
    /// Counts one call.
    #[inline]
    pub(super) fn add(&mut self, outcome: Outcome, overstayed: bool) {
        match outcome {
            Outcome::Served => self.served += 1,
            Outcome::Denied => self.denied += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => {}
        }
        self.overstayed += u64::from(overstayed);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &HourCounts) {
        self.served += other.served;
        self.denied += other.denied;
        self.failed += other.failed;
        self.overstayed += other.overstayed;
    }
}

/// Counts for each hour and partner. Of more hours than [`SERIES_HOURS_MAX`] the latest are kept apart, unless they are to be
/// told apart by day.
#[derive(Clone, Debug, Default)]
pub struct Series {
    by: By,
    hours: HashMap<(i64, Option<PartnerId>), HourCounts>,
    /// Hours before it are summed; set once the bound was passed.
    floor: Option<i64>,
    before: BTreeMap<Option<PartnerId>, HourCounts>,
    /// How many entries there may be before it is worth counting distinct hours.
    pruned_len: usize,
}

/// A series in order: the hours kept, and the sums of those before them.
pub struct Finished {
    /// By hour, then partner.
    pub hours: Vec<((i64, Option<PartnerId>), HourCounts)>,
    /// By partner.
    pub before: BTreeMap<Option<PartnerId>, HourCounts>,
}

impl Series {
    /// An empty one.
    pub(super) fn new(by: By) -> Series {
        Series { by, ..Series::default() }
    }

    /// Counts one call.
    pub fn add(
        &mut self,
        hour: i64,
        partner: Option<PartnerId>,
        outcome: Outcome,
        overstayed: bool,
    ) {
        self.entry(hour, partner).add(outcome, overstayed);
    }

    /// Adds the counts of one partner in one hour.
    pub fn add_counts(&mut self, hour: i64, partner: Option<PartnerId>, counts: &HourCounts) {
        self.entry(hour, partner).merge(counts);
    }

    fn entry(&mut self, hour: i64, partner: Option<PartnerId>) -> &mut HourCounts {
        if self.by == By::Whole && self.hours.len() >= 2 * SERIES_HOURS_MAX.max(self.pruned_len) {
            self.prune();
            self.pruned_len = self.hours.len();
        }
        if self.floor.is_some_and(|floor| hour < floor) {
            return self.before.entry(partner).or_default();
        }
        self.hours.entry((hour, partner)).or_default()
    }

    /// About how many bytes it holds.
    pub(super) fn heap_bytes(&self) -> usize {
        self.hours.capacity() * size_of::<((i64, Option<PartnerId>), HourCounts)>()
    }

    /// The same for each day.
    pub(super) fn by_day(self) -> HashMap<i64, Series> {
        let by = self.by;
        let mut by_day: HashMap<i64, Series> = HashMap::new();
        if by == By::Whole {
            if !(self.hours.is_empty() && self.before.is_empty()) {
                by_day.insert(by.of(Instant::MIN), self);
            }
            return by_day;
        }
        // Sums do not depend on the order.
        for ((hour, partner), counts) in self.hours {
            let day = by.of(Instant::from_hour(hour));
            by_day.entry(day).or_default().add_counts(hour, partner, &counts);
        }
        by_day
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Series) {
        self.floor = self.floor.max(other.floor);
        for (partner, counts) in &other.before {
            self.before.entry(*partner).or_default().merge(counts);
        }
        // Sums do not depend on the order.
        for ((hour, partner), counts) in other.hours {
            self.entry(hour, partner).merge(&counts);
        }
    }

    /// Leaves the counts of one partner.
    pub(super) fn keep_only(&mut self, partner: PartnerId) {
        self.hours.retain(|(_, of), _| *of == Some(partner));
        self.before.retain(|of, _| *of == Some(partner));
    }

    fn prune(&mut self) {
        let mut hours: Vec<i64> = self.hours.keys().map(|(hour, _)| *hour).collect();
        hours.sort_unstable();
        hours.dedup();
        if let Some(surplus) = hours.len().checked_sub(SERIES_HOURS_MAX).filter(|&n| n > 0) {
            self.floor = self.floor.max(Some(hours[surplus]));
        }
        let Some(floor) = self.floor else { return };
        for ((_, partner), counts) in self.hours.extract_if(|(hour, _), _| *hour < floor) {
            self.before.entry(partner).or_default().merge(&counts);
        }
    }

    /// Puts the series in order.
    pub fn finish(mut self) -> Finished {
        self.prune();
        let mut hours: Vec<_> = self.hours.into_iter().collect();
        hours.sort_unstable_by_key(|(key, _)| *key);
        Finished { hours, before: self.before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clocks that went wrong: the latest hours stay apart, the rest is summed, whatever the order.
    #[test]
    fn keeps_the_latest_hours() {
        let count = SERIES_HOURS_MAX as i64 + 500;
        let mut forward = Series::default();
        (0..count).for_each(|hour| forward.add(hour, None, Outcome::Served, false));
        let mut backward = Series::default();
        (0..count).rev().for_each(|hour| backward.add(hour, None, Outcome::Denied, true));
        backward.merge(forward);
        let finished = backward.finish();
        assert_eq!(finished.hours.len(), SERIES_HOURS_MAX);
        assert_eq!(finished.hours[0].0, (500, None));
        let before = HourCounts { served: 500, denied: 500, failed: 0, overstayed: 500 };
        assert_eq!(finished.before[&None], before);
    }
}
