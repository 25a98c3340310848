//! Lines that are no calls: how many of each reason, and the first of them.

use std::collections::BTreeSet;

use crate::call::Reason;
use crate::limits::REJECTS_KEPT_PER_REASON;

/// One line that is no call. The order is that in which they are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reject {
    /// Its input, an index into the inputs sorted by path.
    pub input: u32,
    /// Where it starts, in decompressed bytes from 0.
    pub offset: u64,
    /// Its number in its piece, from 0, until [`Rejects::number_lines`] makes it one in its input, from 1.
    pub line: u64,
    /// Its piece of the input.
    pub piece: usize,
    /// Why it is no call.
    pub reason: Reason,
    /// What it looks like.
    pub shape: String,
}

/// Rejects by reason, in the order of [`Reason::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// How many.
    pub counts: [u64; 6],
    kept: [BTreeSet<Reject>; 6],
}

impl Rejects {
    /// Adds one.
    pub fn add(&mut self, reject: Reject) {
        self.counts[reject.reason as usize] += 1;
        self.keep(reject);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Rejects) {
        for (ours, theirs) in self.counts.iter_mut().zip(other.counts) {
            *ours += theirs;
        }
        other.kept.into_iter().flatten().for_each(|reject| self.keep(reject));
    }

    fn keep(&mut self, reject: Reject) {
        let kept = &mut self.kept[reject.reason as usize];
        kept.insert(reject);
        if kept.len() > REJECTS_KEPT_PER_REASON {
            kept.pop_last();
        }
    }

    /// Turns line numbers within pieces into line numbers of the input, from 1.
    ///
    /// `before` holds, for each piece of the input by its index, the lines before it, ascending.
    pub fn number_lines(&mut self, before: &[(usize, u64)]) {
        let lines_before = |piece: usize| {
            let index = before.binary_search_by_key(&piece, |(piece, _)| *piece);
            index.map_or(0, |index| before[index].1)
        };
        for kept in &mut self.kept {
            let numbered = std::mem::take(kept).into_iter().map(|reject| Reject {
                line: lines_before(reject.piece) + reject.line + 1,
                piece: 0,
                ..reject
            });
            *kept = numbered.collect();
        }
    }

    /// The same put together again.
    pub fn of_parts(counts: [u64; 6], kept: impl IntoIterator<Item = Reject>) -> Rejects {
        let mut rejects = Rejects { counts, ..Rejects::default() };
        kept.into_iter().for_each(|reject| rejects.keep(reject));
        rejects
    }

    /// Those kept, in no particular order.
    pub fn kept(&self) -> impl Iterator<Item = &Reject> {
        self.kept.iter().flatten()
    }
}
