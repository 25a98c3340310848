//! Which operations were called, as many as a person reads.

use std::collections::BTreeSet;

use super::OTHER;
use crate::limits;

/// The first operations in byte order, and whether there were more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    first: BTreeSet<String>,
    more: bool,
}

impl Operations {
    /// Adds one.
    pub fn add(&mut self, name: &str) {
        if name == OTHER || name.len() > limits::NAME_BYTES_MAX {
            self.more = true;
        } else if !self.first.contains(name) {
            self.first.insert(name.to_owned());
            self.bound();
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Operations) {
        self.more |= other.more;
        self.first.extend(other.first);
        self.bound();
    }

    /// What is first of a part is first of the whole or has as many before it: it makes no difference
    /// when the others are dropped.
    fn bound(&mut self) {
        while self.first.len() > limits::OPERATIONS_LISTED_MAX {
            self.first.pop_last();
            self.more = true;
        }
    }

    /// About how many bytes they hold beside themselves.
    pub fn heap_bytes(&self) -> usize {
        self.first.iter().map(|name| size_of::<String>() + name.len()).sum()
    }

    /// The same put together again from [`Operations::names`].
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Operations {
        let mut operations = Operations::default();
        names.into_iter().for_each(|name| operations.add(&name));
        operations
    }

    /// Their names; `(other)` stands for those beyond the bound.
    pub fn names(&self) -> BTreeSet<String> {
        let more = self.more.then(|| OTHER.to_owned());
        self.first.iter().cloned().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(names: &[u32]) -> Operations {
        let mut operations = Operations::default();
        names.iter().for_each(|name| operations.add(&format!("op-{name:03}")));
        operations
    }

    #[test]
    fn thirty_two_are_listed_and_the_rest_is_other() {
        let all: Vec<u32> = (0..32).collect();
        assert_eq!(of(&all).names().len(), 32);
        assert!(!of(&all).names().contains(OTHER));
        let all: Vec<u32> = (0..33).collect();
        let names = of(&all).names();
        assert_eq!(
            (names.len(), names.contains(OTHER), names.contains("op-032")),
            (33, true, false)
        );
    }

    #[test]
    fn a_name_that_nobody_gives_is_other() {
        let mut operations = Operations::default();
        operations.add(&"x".repeat(limits::NAME_BYTES_MAX));
        operations.add(&"y".repeat(limits::NAME_BYTES_MAX + 1));
        let names = operations.names();
        assert_eq!((names.len(), names.contains(OTHER)), (2, true));
    }

    proptest! {
        #[test]
        fn in_any_order_the_same(
            parts in prop::collection::vec(prop::collection::vec(0u32..60, 0..50), 1..4),
        ) {
            let (mut forward, mut backward) = (Operations::default(), Operations::default());
            parts.iter().for_each(|part| forward.merge(of(part)));
            parts.iter().rev().for_each(|part| backward.merge(of(part)));
            prop_assert_eq!(&forward, &of(&parts.concat()));
            prop_assert_eq!(forward, backward);
        }
    }
}
