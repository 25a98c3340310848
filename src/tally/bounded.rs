//! A map that stays small whatever a log holds, and forgets the same entries in any order.
//!
//! Past its bound it keeps the keys with the smallest hashes. A key among the smallest of all is among the
//! smallest of every part, so it is never dropped before it is complete: what is kept is exact,
//! and the rest is summed into one. Dropping the least used instead would depend on the order.

use std::hash::Hash;

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// What can be summed.
pub trait Merge: Default {
    /// Adds all of `other`.
    fn merge(&mut self, other: Self);
}

/// A key with a hash that is the same on every machine.
pub trait Key: Hash + Ord + Clone {
    /// An unambiguous encoding of the key.
    fn bytes(&self) -> Vec<u8>;

    /// Whether it is too large to be kept, however few keys there are.
    fn is_outsize(&self) -> bool {
        false
    }
}

/// At most `bound` keys with their values, and the sum of the others.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    bound: usize,
    kept: HashMap<K, V>,
    /// Once `bound` keys of this rank or less are known, none above it is kept.
    ceiling: Option<Rank<K>>,
    other: Option<V>,
}

/// What is in such a map.
pub struct Parts<'b, K, V> {
    /// The kept keys in order with their values.
    pub kept: Vec<(&'b K, &'b V)>,
    /// The key above which none is kept.
    pub ceiling: Option<&'b K>,
    /// The sum of the others.
    pub other: Option<&'b V>,
}

/// A key's hash, then the key: a total order that does not depend on when or where a key came. The hash is unkeyed, so
/// whoever writes a log could look for keys that rank low; what is pushed out then is still counted, as the rest.
type Rank<K> = (u64, K);

fn rank<K: Key>(key: &K) -> Rank<K> {
    (xxh3_64(&key.bytes()), key.clone())
}

impl<K: Key, V: Merge> Bounded<K, V> {
    /// An empty one for at most `bound` keys.
    pub fn new(bound: usize) -> Bounded<K, V> {
        Bounded { bound, kept: HashMap::new(), ceiling: None, other: None }
    }

    /// The value of `key`, or the one that sums the others if the key is not kept.
    pub fn entry(&mut self, key: &K) -> &mut V {
        if key.is_outsize() {
            return self.other.get_or_insert_default();
        }
        // Pruned only at twice the bound, so that its cost spreads over as many keys.
        if self.kept.len() >= self.bound * 2 {
            self.prune();
        }
        let above = |ceiling: &Rank<K>| rank(key) > *ceiling;
        if !self.kept.contains_key(key) && self.ceiling.as_ref().is_some_and(above) {
            return self.other.get_or_insert_default();
        }
        self.kept.entry(key.clone()).or_default()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Bounded<K, V>) {
        if let Some(sum) = other.other {
            self.other.get_or_insert_default().merge(sum);
        }
        // The lower one holds for both: as many keys at or below it are known.
        self.ceiling = match (self.ceiling.take(), other.ceiling) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        // Sums do not depend on the order.
        for (key, value) in other.kept {
            self.entry(&key).merge(value);
        }
    }

    /// Leaves the `bound` keys of the smallest ranks.
    fn prune(&mut self) {
        let mut ranks: Vec<Rank<K>> = self.kept.keys().map(rank).collect();
        ranks.sort_unstable();
        let below = |ceiling: &Rank<K>| ranks.partition_point(|rank| rank <= ceiling);
        let left = self.ceiling.as_ref().map_or(ranks.len(), below).min(self.bound);
        for (_, key) in ranks.drain(left..) {
            if let Some(value) = self.kept.remove(&key) {
                self.other.get_or_insert_default().merge(value);
            }
        }
        if left == self.bound {
            self.ceiling = ranks.pop();
        }
    }

    /// The kept keys with their values, in no order, and the sum of the others.
    pub fn entries(&self) -> (impl Iterator<Item = (&K, &V)>, Option<&V>) {
        (self.kept.iter(), self.other.as_ref())
    }

    /// Leaves the values of which `keep` is true, as it leaves them.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.kept.retain(|_, value| keep(value));
        self.other = self.other.take().and_then(|mut other| keep(&mut other).then_some(other));
    }

    /// All there is.
    pub fn parts(&mut self) -> Parts<'_, K, V> {
        self.prune();
        let mut kept: Vec<(&K, &V)> = self.kept.iter().collect();
        kept.sort_by(|a, b| a.0.cmp(b.0));
        let ceiling = self.ceiling.as_ref().map(|(_, key)| key);
        Parts { kept, ceiling, other: self.other.as_ref() }
    }

    /// The same put together again.
    pub fn of_parts(
        bound: usize,
        kept: Vec<(K, V)>,
        ceiling: Option<K>,
        other: Option<V>,
    ) -> Bounded<K, V> {
        let ceiling = ceiling.as_ref().map(rank);
        Bounded { bound, kept: kept.into_iter().collect(), ceiling, other }
    }

    /// The kept keys in order with their values, and the sum of the others, if there are any.
    pub fn finish(mut self) -> (Vec<(K, V)>, Option<V>) {
        self.prune();
        let mut kept: Vec<(K, V)> = self.kept.into_iter().collect();
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        (kept, self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Key for u32 {
        fn bytes(&self) -> Vec<u8> {
            self.to_le_bytes().to_vec()
        }
    }

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Sum(u64);

    impl Merge for Sum {
        fn merge(&mut self, other: Sum) {
            self.0 += other.0;
        }
    }

    fn build(keys: &[u32]) -> Bounded<u32, Sum> {
        let mut bounded: Bounded<u32, Sum> = Bounded::new(8);
        keys.iter().for_each(|key| bounded.entry(key).0 += 1);
        bounded
    }

    proptest! {
        /// The smallest by hash are exact, the rest is summed, however the keys are split and merged.
        #[test]
        fn keeps_the_same_keys_in_any_order(
            parts in prop::collection::vec(prop::collection::vec(0u32..60, 0..80), 1..5),
        ) {
            let all = parts.concat();
            let mut distinct: Vec<Rank<u32>> = all.iter().map(rank).collect();
            distinct.sort_unstable();
            distinct.dedup();
            let mut expected: Vec<(u32, Sum)> = distinct
                .iter()
                .take(8)
                .map(|(_, key)| (*key, Sum(all.iter().filter(|k| *k == key).count() as u64)))
                .collect();
            expected.sort_by_key(|(key, _)| *key);
            let rest = all.len() as u64 - expected.iter().map(|(_, sum)| sum.0).sum::<u64>();
            let other = (distinct.len() > 8).then_some(Sum(rest));

            let mut forward = Bounded::new(8);
            parts.iter().for_each(|part| forward.merge(build(part)));
            let mut backward = Bounded::new(8);
            parts.iter().rev().for_each(|part| backward.merge(build(part)));
            prop_assert_eq!(build(&all).finish(), (expected.clone(), other.clone()));
            prop_assert_eq!(forward.finish(), (expected.clone(), other.clone()));
            prop_assert_eq!(backward.finish(), (expected, other));
        }
    }
}
