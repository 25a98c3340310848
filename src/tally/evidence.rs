//! The lines that prove a finding: the earliest and the latest that were served.

use crate::limits::EVIDENCE_EACH_END;
use crate::time::Instant;

/// Where a line lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its source, an index into the sources sorted by name.
    pub source: u32,
    /// Its input, an index into the inputs sorted by path.
    pub input: u32,
    /// Where it starts, in decompressed bytes from 0.
    pub offset: u64,
}

/// A line, its place and its hash. The order is that of evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    /// The call's instant.
    pub at: Instant,
    /// Where the line lies.
    pub place: Place,
    /// Its length without its ending.
    pub length: u64,
    /// BLAKE3 of it.
    pub blake3: [u8; 32],
}

/// At most [`EVIDENCE_EACH_END`] lines at each end, by instant and place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The earliest, ascending.
    earliest: Vec<Proof>,
    /// The latest, ascending.
    latest: Vec<Proof>,
}

impl Evidence {
    /// Adds a line; it is hashed only if it is kept.
    pub fn add(&mut self, at: Instant, place: Place, line: &[u8]) {
        let early = is_early(&self.earliest, at, place);
        let late = is_late(&self.latest, at, place);
        if early || late {
            let blake3 = *blake3::hash(line).as_bytes();
            self.insert(Proof { at, place, length: line.len() as u64, blake3 });
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Evidence) {
        for proof in other.earliest.iter().chain(&other.latest) {
            self.insert(proof.clone());
        }
    }

    fn insert(&mut self, proof: Proof) {
        if is_early(&self.earliest, proof.at, proof.place)
            && let Err(index) = self.earliest.binary_search(&proof)
        {
            self.earliest.insert(index, proof.clone());
            self.earliest.truncate(EVIDENCE_EACH_END);
        }
        if is_late(&self.latest, proof.at, proof.place)
            && let Err(index) = self.latest.binary_search(&proof)
        {
            self.latest.insert(index, proof);
            let surplus = self.latest.len().saturating_sub(EVIDENCE_EACH_END);
            self.latest.drain(..surplus);
        }
    }

    /// All lines kept, ascending, each once.
    pub fn proofs(&self) -> Vec<Proof> {
        let mut proofs = [self.earliest.as_slice(), self.latest.as_slice()].concat();
        proofs.sort_unstable();
        proofs.dedup();
        proofs
    }
}

fn is_early(earliest: &[Proof], at: Instant, place: Place) -> bool {
    earliest.len() < EVIDENCE_EACH_END
        || earliest.last().is_some_and(|last| (at, place) < (last.at, last.place))
}

fn is_late(latest: &[Proof], at: Instant, place: Place) -> bool {
    latest.len() < EVIDENCE_EACH_END
        || latest.first().is_some_and(|first| (at, place) > (first.at, first.place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However lines are split and ordered, the three earliest and the three latest are kept.
        #[test]
        fn keeps_both_ends_in_any_order(
            lines in prop::collection::hash_set((0i64..6, 0u32..3, 0u64..20), 0..30),
            cut in 0usize..30,
        ) {
            let mut lines: Vec<(Instant, Place)> = lines
                .into_iter()
                .map(|(ns, input, offset)| {
                    (Instant::from_ns(ns), Place { source: 0, input, offset })
                })
                .collect();
            let build = |lines: &[(Instant, Place)]| {
                let mut evidence = Evidence::default();
                lines.iter().for_each(|(at, place)| evidence.add(*at, *place, b"line"));
                evidence
            };
            let cut = cut.min(lines.len());
            let mut merged = build(&lines[cut..]);
            merged.merge(&build(&lines[..cut]));
            let kept: Vec<_> = merged.proofs().iter().map(|proof| (proof.at, proof.place)).collect();
            lines.sort_unstable();
            let ends = lines.len().saturating_sub(3);
            let expected: Vec<_> =
                lines.iter().enumerate().filter(|(i, _)| *i < 3 || *i >= ends).map(|(_, l)| *l).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
