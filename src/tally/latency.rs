//! How long calls took: a histogram with two significant digits that merges exactly.

use hdrhistogram::Histogram;

/// Significant decimal digits kept.
const DIGITS: u8 = 2;

/// So many are kept as they are: many partners log few, and a histogram takes kilobytes.
const FEW: usize = 64;

/// Latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    /// Up to [`FEW`], in no order; then they are in the histogram.
    few: Vec<u64>,
    histogram: Option<Box<Histogram<u64>>>,
    max_us: u64,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency_us: u64) {
        self.add_times(latency_us, 1);
    }

    fn add_times(&mut self, latency_us: u64, times: u64) {
        self.max_us = self.max_us.max(latency_us);
        match (&self.histogram, usize::try_from(times)) {
            (None, Ok(times)) if times <= FEW - self.few.len() => {
                self.few.extend(std::iter::repeat_n(latency_us, times));
            }
            _ => record(self.histogram(), latency_us, times),
        }
    }

    /// The histogram, which holds all of them from now on.
    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.histogram.get_or_insert_with(|| {
            let mut histogram = empty();
            self.few.drain(..).for_each(|latency_us| record(&mut histogram, latency_us, 1));
            self.few = Vec::new();
            histogram
        })
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        other.few.iter().for_each(|&latency_us| self.add(latency_us));
        self.max_us = self.max_us.max(other.max_us);
        if let Some(theirs) = &other.histogram {
            self.histogram().add(theirs.as_ref()).expect(GROWS);
        }
    }

    /// About how many bytes they hold beside themselves.
    pub fn heap_bytes(&self) -> usize {
        let histogram = self.histogram.as_ref().map_or(0, |histogram| {
            size_of::<Histogram<u64>>() + histogram.distinct_values() * size_of::<u64>()
        });
        self.few.capacity() * size_of::<u64>() + histogram
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(self.few.len() as u64, |histogram| histogram.len())
    }

    /// The longest, exactly; `None` if there is none.
    pub fn max_us(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_us)
    }

    /// The latencies that these shares of the calls (each 0 to 1) do not exceed: the upper edge of their buckets, but never
    /// above the longest. `None` if there is none.
    pub fn quantiles_us<const N: usize>(&self, quantiles: [f64; N]) -> Option<[u64; N]> {
        let max_us = self.max_us()?;
        let made;
        let histogram = match &self.histogram {
            Some(histogram) => histogram,
            None => {
                let mut histogram = empty();
                self.few.iter().for_each(|&latency_us| record(&mut histogram, latency_us, 1));
                made = histogram;
                &made
            }
        };
        Some(quantiles.map(|quantile| histogram.value_at_quantile(quantile).min(max_us)))
    }
}

/// Latencies as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyCounts {
    /// So many took so long, in microseconds, ascending: exactly where there are few, else the least of their bucket.
    pub counts: Vec<(u64, u64)>,
    /// The longest, exactly.
    pub max_us: u64,
}

impl From<&Latencies> for LatencyCounts {
    fn from(latencies: &Latencies) -> LatencyCounts {
        let counts = match &latencies.histogram {
            Some(histogram) => histogram
                .iter_recorded()
                .map(|value| {
                    let least = histogram.lowest_equivalent(value.value_iterated_to());
                    (least, value.count_at_value())
                })
                .collect(),
            None => {
                let mut few = latencies.few.clone();
                few.sort_unstable();
                few.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
            }
        };
        LatencyCounts { counts, max_us: latencies.max_us }
    }
}

impl From<&LatencyCounts> for Latencies {
    fn from(counts: &LatencyCounts) -> Latencies {
        let mut latencies = Latencies::default();
        for &(latency_us, times) in &counts.counts {
            latencies.add_times(latency_us, times);
        }
        latencies.max_us = counts.max_us;
        latencies
    }
}

fn record(histogram: &mut Histogram<u64>, latency_us: u64, times: u64) {
    histogram.record_n(latency_us.min(LARGEST_US), times).expect(GROWS);
}

/// Latencies counted by the histogram's buckets, for a while: an array of small numbers where the histogram has to look
/// after its range, its total and its resizing with each.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Up to [`FEW`], while there are no counts.
    few: Vec<u32>,
    counts: Vec<u32>,
    /// None without any.
    max_us: Option<u32>,
}

impl Buckets {
    /// Adds one.
    #[inline]
    pub(super) fn add(&mut self, latency_us: u32, into: &mut Latencies) {
        if self.counts.is_empty() {
            if self.few.len() < FEW {
                return self.few.push(latency_us);
            }
            for latency_us in std::mem::take(&mut self.few) {
                self.count(latency_us, into);
            }
        }
        self.count(latency_us, into);
    }

    #[inline]
    fn count(&mut self, latency_us: u32, into: &mut Latencies) {
        let bucket = bucket(latency_us);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.max_us = self.max_us.max(Some(latency_us));
        let count = &mut self.counts[bucket];
        match count.checked_add(1) {
            Some(more) => *count = more,
            None => {
                into.add_times(latency_us.into(), u64::from(*count) + 1);
                *count = 0;
            }
        }
    }

    /// About how many bytes they hold beside themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.few.capacity() + self.counts.capacity()) * size_of::<u32>()
    }

    /// Moves all of them.
    pub(super) fn settle(&mut self, into: &mut Latencies) {
        for latency_us in self.few.drain(..) {
            into.add(latency_us.into());
        }
        let Some(max_us) = self.max_us.take() else { return };
        for (bucket, count) in self.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            into.add_times(least_of(bucket), std::mem::take(count).into());
        }
        into.max_us = into.max_us.max(max_us.into());
    }
}

/// Buckets of which each has one value; behind them come half as many for each power of two. What two significant digits
/// need: the format of the histogram (HdrHistogram, with sub-buckets of 2^8).
const SINGLE: usize = 256;

/// The bucket of a latency.
#[inline]
fn bucket(latency_us: u32) -> usize {
    let shift = (u32::BITS - SINGLE.trailing_zeros()).saturating_sub(latency_us.leading_zeros());
    // Of its highest eight bits the first is always set.
    shift as usize * (SINGLE / 2) + (latency_us >> shift) as usize
}

/// The smallest latency of a bucket.
fn least_of(bucket: usize) -> u64 {
    let shift = (bucket / (SINGLE / 2)).saturating_sub(1);
    ((bucket - shift * (SINGLE / 2)) as u64) << shift
}

/// 2^62 us, far beyond any call: the range within which the histogram grows without loss.
const LARGEST_US: u64 = 1 << 62;

const GROWS: &str = "the histogram grows to any value it is given";

fn empty() -> Box<Histogram<u64>> {
    let mut histogram = Histogram::new(DIGITS).expect("two significant digits are supported");
    histogram.auto(true);
    Box::new(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The upper edge of a value's bucket: 256 sub-buckets, worked out from the format's description.
    fn edge(value: u64) -> u64 {
        if value < 256 {
            return value;
        }
        let shift = (64 - value.leading_zeros()) - 8;
        (((value >> shift) + 1) << shift) - 1
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_the_histogram(
            values in prop::collection::vec(prop_oneof![0u32..600, any::<u32>()], 1..200),
        ) {
            let (mut by_bucket, mut one_by_one) = (Latencies::default(), Latencies::default());
            let mut buckets = Buckets::default();
            for &value in &values {
                buckets.add(value, &mut by_bucket);
                one_by_one.add(value.into());
                let least = least_of(bucket(value));
                prop_assert!(least <= value.into() && edge(least) == edge(value.into()), "{}", value);
            }
            buckets.settle(&mut by_bucket);
            prop_assert_eq!(by_bucket.max_us(), one_by_one.max_us());
            for percent in 0..=100 {
                let quantile = [f64::from(percent) / 100.0];
                prop_assert_eq!(by_bucket.quantiles_us(quantile), one_by_one.quantiles_us(quantile));
            }
        }

        #[test]
        fn quantiles_equal_those_of_the_sorted_list_to_two_digits(
            mut values in prop::collection::vec(prop_oneof![0u64..300, 0u64..10_000_000, Just(1u64 << 61)], 1..300),
            cut in 0usize..300,
        ) {
            let cut = cut.min(values.len());
            let build = |values: &[u64]| {
                let mut latencies = Latencies::default();
                values.iter().for_each(|&value| latencies.add(value));
                latencies
            };
            let mut merged = build(&values[..cut]);
            merged.merge(&build(&values[cut..]));
            values.sort_unstable();
            let max = values[values.len() - 1];
            prop_assert_eq!(merged.count(), values.len() as u64);
            prop_assert_eq!(merged.max_us(), Some(max));
            for quantile in [0.5, 0.9, 0.99] {
                let rank = (quantile * values.len() as f64).ceil().max(1.0) as usize;
                prop_assert_eq!(merged.quantiles_us([quantile]), Some([edge(values[rank - 1]).min(max)]));
            }
        }
    }
}
