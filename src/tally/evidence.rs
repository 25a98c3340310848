//! The lines that prove a finding: the earliest and the latest that were served.

use crate::limits::{EVIDENCE_EACH_END, EVIDENCE_TEXT_MAX};
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
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The earliest, ascending.
    earliest: Vec<Proof>,
    /// The latest, ascending. In a log in order of time each line is one of them for a moment: only those that stay are
    /// hashed.
    latest: Vec<Kept>,
}

/// A line that is kept, to be hashed when it is asked for.
#[derive(Clone, Debug)]
struct Kept {
    at: Instant,
    place: Place,
    line: Line,
}

#[derive(Clone, Debug)]
enum Line {
    Text(Vec<u8>),
    Hashed { length: u64, blake3: [u8; 32] },
}

impl Line {
    /// Takes another line's place, and its memory where that will do.
    fn set(&mut self, line: &[u8]) {
        match self {
            _ if line.len() > EVIDENCE_TEXT_MAX => {
                let length = line.len() as u64;
                *self = Line::Hashed { length, blake3: *blake3::hash(line).as_bytes() };
            }
            Line::Text(text) => {
                text.clear();
                text.extend_from_slice(line);
            }
            Line::Hashed { .. } => *self = Line::Text(line.to_vec()),
        }
    }
}

impl Kept {
    fn proof(&self) -> Proof {
        let Kept { at, place, .. } = *self;
        match &self.line {
            Line::Text(text) => Proof::new(at, place, text),
            &Line::Hashed { length, blake3 } => Proof { at, place, length, blake3 },
        }
    }
}

impl Proof {
    fn new(at: Instant, place: Place, line: &[u8]) -> Proof {
        Proof { at, place, length: line.len() as u64, blake3: *blake3::hash(line).as_bytes() }
    }
}

impl Evidence {
    /// Adds a line.
    pub fn add(&mut self, at: Instant, place: Place, line: &[u8]) {
        self.add_early(at, place, line);
        self.add_late(at, place, line);
    }

    /// Half of [`Evidence::add`]: makes a line one of the earliest, if it is.
    #[inline]
    pub(super) fn add_early(&mut self, at: Instant, place: Place, line: &[u8]) {
        if is_early(&self.earliest, at, place) {
            self.insert_early(Proof::new(at, place, line));
        }
    }

    /// The other half: makes a line one of the latest, if it is.
    #[inline]
    pub(super) fn add_late(&mut self, at: Instant, place: Place, line: &[u8]) {
        self.insert_late(at, place, |kept| kept.set(line));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.earliest.is_empty()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Evidence) {
        for proof in &other.earliest {
            self.insert_early(proof.clone());
        }
        for theirs in &other.latest {
            self.insert_late(theirs.at, theirs.place, |kept| kept.clone_from(&theirs.line));
        }
    }

    /// Makes a line one of the latest, if it is; `set` fills it in.
    fn insert_late(&mut self, at: Instant, place: Place, set: impl FnOnce(&mut Line)) {
        let latest = &mut self.latest;
        let index = latest.partition_point(|kept| (kept.at, kept.place) < (at, place));
        if latest.get(index).is_some_and(|kept| (kept.at, kept.place) == (at, place)) {
            return;
        }
        let index = if latest.len() < EVIDENCE_EACH_END {
            latest.insert(index, Kept { at, place, line: Line::Text(Vec::new()) });
            index
        } else if index > 0 {
            // The first of them makes room, and its memory is used again.
            latest[..index].rotate_left(1);
            index - 1
        } else {
            return;
        };
        (latest[index].at, latest[index].place) = (at, place);
        set(&mut latest[index].line);
    }

    fn insert_early(&mut self, proof: Proof) {
        if is_early(&self.earliest, proof.at, proof.place)
            && let Err(index) = self.earliest.binary_search(&proof)
        {
            self.earliest.insert(index, proof);
            self.earliest.truncate(EVIDENCE_EACH_END);
        }
    }

    /// About how many bytes it holds beside itself.
    pub fn heap_bytes(&self) -> usize {
        let texts = self.latest.iter().map(|kept| match &kept.line {
            Line::Text(text) => text.capacity(),
            Line::Hashed { .. } => 0,
        });
        self.earliest.capacity() * size_of::<Proof>()
            + self.latest.capacity() * size_of::<Kept>()
            + texts.sum::<usize>()
    }

    /// The earliest and the latest lines, each ascending.
    pub fn ends(&self) -> (Vec<Proof>, Vec<Proof>) {
        (self.earliest.clone(), self.latest.iter().map(Kept::proof).collect())
    }

    /// The same put together again.
    pub fn of_ends(earliest: Vec<Proof>, latest: Vec<Proof>) -> Evidence {
        let mut evidence = Evidence::default();
        earliest.into_iter().for_each(|proof| evidence.insert_early(proof));
        for Proof { at, place, length, blake3 } in latest {
            evidence.insert_late(at, place, |kept| *kept = Line::Hashed { length, blake3 });
        }
        evidence
    }

    /// All lines kept, ascending, each once.
    pub fn proofs(&self) -> Vec<Proof> {
        let mut proofs = self.earliest.clone();
        proofs.extend(self.latest.iter().map(Kept::proof));
        proofs.sort_unstable();
        proofs.dedup();
        proofs
    }
}

fn is_early(earliest: &[Proof], at: Instant, place: Place) -> bool {
    earliest.len() < EVIDENCE_EACH_END
        || earliest.last().is_some_and(|last| (at, place) < (last.at, last.place))
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
