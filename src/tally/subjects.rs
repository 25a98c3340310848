//! How many distinct people: exactly up to a bound, estimated beyond it, within 4 KiB.
//!
//! A set of 64-bit hashes merges in any order to the same state, and so to the same number.

use xxhash_rust::xxh3::xxh3_64;

use crate::limits::SUBJECTS_EXACT_MAX;

/// Registers of the sketch: 2 to the [`INDEX_BITS`]. Standard error 1.04 / sqrt(4096) = 1.625 %.
const REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 12;
/// Bits of a hash that a register's rank is taken from.
const RANK_BITS: usize = 64 - INDEX_BITS as usize;
/// Of the estimate, relative.
const STANDARD_ERROR: f64 = 1.04 / 64.0;

/// A set of distinct subjects.
#[derive(Clone, Debug)]
pub struct Subjects(State);

#[derive(Clone, Debug)]
enum State {
    /// At most [`SUBJECTS_EXACT_MAX`] hashes.
    Exact(Table),
    /// A HyperLogLog: each register the greatest rank seen.
    Sketch(Box<[u8; REGISTERS]>),
}

/// Hashes in an open table, each at the first free place from where its top bits say.
///
/// A sorted list would move half of itself for each new subject. The table may become quite full, so that it never takes
/// more than its hashes do where there are as many as can be: looking for a place then takes a while, for a few subjects.
#[derive(Clone, Debug, Default)]
struct Table {
    /// 0 where there is none. As many as a power of two, or none at all.
    places: Box<[u64]>,
    count: usize,
    /// Whether the hash 0 is one of them.
    has_zero: bool,
}

impl Table {
    /// Whether the hash is in the table now. It is not only where the table is full.
    fn add(&mut self, hash: u64) -> bool {
        if hash == 0 {
            let is_new = !self.has_zero;
            if is_new && self.count == SUBJECTS_EXACT_MAX {
                return false;
            }
            self.has_zero = true;
            self.count += usize::from(is_new);
            return true;
        }
        let length = self.places.len();
        if self.count >= length - length / 4 && length < SUBJECTS_EXACT_MAX {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut at = self.start(hash);
        // The hash 0 takes no place, so there is a free one for as long as there is room for one more.
        for _ in 0..self.places.len() {
            match self.places[at] {
                0 if self.count == SUBJECTS_EXACT_MAX => return false,
                0 => {
                    self.places[at] = hash;
                    self.count += 1;
                    return true;
                }
                known if known == hash => return true,
                _ => at = (at + 1) & mask,
            }
        }
        false
    }

    /// The place from which on a hash is looked for: its top bits.
    #[inline]
    fn start(&self, hash: u64) -> usize {
        let length = self.places.len();
        hash.rotate_left(length.trailing_zeros()) as usize & length.wrapping_sub(1)
    }

    fn grow(&mut self) {
        let length = (self.places.len() * 2).max(TABLE_MIN);
        let before = std::mem::replace(&mut self.places, vec![0; length].into_boxed_slice());
        self.count = usize::from(self.has_zero);
        for hash in before.into_iter().filter(|hash| *hash != 0) {
            self.add(hash);
        }
    }

    /// All hashes, not in the order of the table: whoever puts them into a smaller one would fill that from its beginning,
    /// and look for a place in ever longer runs.
    fn scattered(&self) -> impl Iterator<Item = u64> + '_ {
        // An odd stride comes by each place of a power of two once.
        const STRIDE: usize = 0x9e37_79b1;
        let mask = self.places.len().wrapping_sub(1);
        let places =
            (0..self.places.len()).map(move |i| self.places[i.wrapping_mul(STRIDE) & mask]);
        places.filter(|hash| *hash != 0).chain(self.has_zero.then_some(0))
    }

    fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        let zero = self.has_zero.then_some(0);
        self.places.iter().copied().filter(|hash| *hash != 0).chain(zero)
    }
}

/// A set of subjects as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectHashes {
    /// All hashes, ascending.
    Exact(Vec<u64>),
    /// The registers of the sketch, in order.
    Sketch(Vec<u8>),
}

impl From<&Subjects> for SubjectHashes {
    fn from(subjects: &Subjects) -> SubjectHashes {
        match &subjects.0 {
            State::Exact(table) => {
                let mut hashes: Vec<u64> = table.hashes().collect();
                hashes.sort_unstable();
                SubjectHashes::Exact(hashes)
            }
            State::Sketch(registers) => SubjectHashes::Sketch(registers.to_vec()),
        }
    }
}

impl SubjectHashes {
    /// The set; none of what no set can be.
    pub fn into_subjects(self) -> Option<Subjects> {
        match self {
            SubjectHashes::Exact(hashes) => {
                let mut subjects = Subjects::default();
                hashes.iter().for_each(|&hash| subjects.add(hash));
                (hashes.len() <= SUBJECTS_EXACT_MAX).then_some(subjects)
            }
            SubjectHashes::Sketch(registers) => {
                let registers: Box<[u8; REGISTERS]> = registers.try_into().ok()?;
                let fits = registers.iter().all(|&rank| usize::from(rank) <= RANK_BITS + 1);
                fits.then_some(Subjects(State::Sketch(registers)))
            }
        }
    }
}

/// Places of the smallest table.
const TABLE_MIN: usize = 4;

const _: () = assert!(SUBJECTS_EXACT_MAX.is_power_of_two() && TABLE_MIN <= SUBJECTS_EXACT_MAX);

#[cfg(test)]
impl PartialEq for Subjects {
    /// Whether the sets are the same, wherever in their tables the hashes lie.
    fn eq(&self, other: &Subjects) -> bool {
        let sorted = |table: &Table| {
            let mut hashes: Vec<u64> = table.hashes().collect();
            hashes.sort_unstable();
            hashes
        };
        match (&self.0, &other.0) {
            (State::Exact(ours), State::Exact(theirs)) => sorted(ours) == sorted(theirs),
            (State::Sketch(ours), State::Sketch(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

/// How many, or between what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The count, or its estimate.
    pub count: u64,
    /// Whether it is exact.
    pub exact: bool,
    /// Two standard errors below.
    pub low: u64,
    /// Two standard errors above.
    pub high: u64,
}

/// The hash that stands for a subject: XXH3 with 64 bits, unkeyed, the same on every machine.
pub fn hash(subject: &str) -> u64 {
    xxh3_64(subject.as_bytes())
}

impl Default for Subjects {
    fn default() -> Subjects {
        Subjects(State::Exact(Table::default()))
    }
}

impl Subjects {
    /// Adds the subject of that [`hash`].
    #[inline]
    pub fn add(&mut self, hash: u64) {
        match &mut self.0 {
            State::Exact(table) => {
                if !table.add(hash) {
                    note(self.sketch(), hash);
                }
            }
            State::Sketch(registers) => note(registers, hash),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Subjects) {
        match &other.0 {
            State::Exact(table) => table.scattered().for_each(|hash| self.add(hash)),
            State::Sketch(theirs) => {
                for (ours, theirs) in self.sketch().iter_mut().zip(theirs.iter()) {
                    *ours = (*ours).max(*theirs);
                }
            }
        }
    }

    /// About how many bytes it holds beside itself.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Exact(table) => size_of_val(&*table.places),
            State::Sketch(_) => REGISTERS,
        }
    }

    /// Turns to the sketch, whose registers it returns.
    fn sketch(&mut self) -> &mut [u8; REGISTERS] {
        if let State::Exact(table) = &self.0 {
            let mut registers = Box::new([0u8; REGISTERS]);
            table.hashes().for_each(|hash| note(&mut registers, hash));
            self.0 = State::Sketch(registers);
        }
        match &mut self.0 {
            State::Sketch(registers) => registers,
            State::Exact(_) => unreachable!("it was just turned to a sketch"),
        }
    }

    /// How many there are.
    pub fn estimate(&self) -> Estimate {
        match &self.0 {
            State::Exact(table) => {
                let count = table.count as u64;
                Estimate { count, exact: true, low: count, high: count }
            }
            State::Sketch(registers) => {
                // More than the bound were seen, whatever the sketch says.
                let least = SUBJECTS_EXACT_MAX as f64 + 1.0;
                let mut counts: RegisterCounts = [0; RANKS];
                for &rank in registers.iter() {
                    counts[usize::from(rank)] += 1;
                }
                let count = ertl(&counts, REGISTERS as f64, RANK_BITS + 1).round().max(least);
                let margin = 2.0 * STANDARD_ERROR * count;
                Estimate {
                    count: count as u64,
                    exact: false,
                    low: (count - margin).floor().max(least) as u64,
                    high: (count + margin).ceil() as u64,
                }
            }
        }
    }
}

/// Notes a hash in the register that it falls into.
#[inline]
fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let (index, rank) = place(hash);
    registers[index] = registers[index].max(rank);
}

/// The register a hash falls into, and its rank there: one more than its leading zeros.
fn place(hash: u64) -> (usize, u8) {
    let index = (hash >> RANK_BITS) as usize;
    let rank = (hash << INDEX_BITS).leading_zeros().min(RANK_BITS as u32) + 1;
    (index, rank as u8)
}

/// How many registers there are of each rank.
pub(super) type RegisterCounts = [u32; RANKS];

/// All ranks of a sketch, 0 for a register that is empty.
pub(super) const RANKS: usize = RANK_BITS + 2;

/// The improved raw estimator, unbiased over the whole range without correction tables, of `m` registers whose greatest rank is
/// `rank_max`, which stands for all that are greater.
///
/// Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6.
pub(super) fn ertl(counts: &RegisterCounts, m: f64, rank_max: usize) -> f64 {
    let mut z = m * tau(1.0 - f64::from(counts[rank_max]) / m);
    for rank in (1..rank_max).rev() {
        z = 0.5 * (z + f64::from(counts[rank]));
    }
    z += m * sigma(f64::from(counts[0]) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

/// The contribution of empty registers, a share `x` of all; Ertl, equation 14.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The contribution of registers that are not full, a share `x` of all; Ertl, equation 19.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(range: std::ops::Range<u64>) -> Subjects {
        let mut subjects = Subjects::default();
        range.for_each(|n| subjects.add(hash(&format!("person-{n}"))));
        subjects
    }

    #[test]
    fn exact_to_the_bound_and_never_below_it_after() {
        let at_bound = of(0..512).estimate();
        assert_eq!(at_bound, Estimate { count: 512, exact: true, low: 512, high: 512 });
        let past = of(0..513).estimate();
        assert!(!past.exact && past.low >= 513 && past.high >= 513, "{past:?}");
    }

    /// Over many sizes the error keeps to the standard error the specification allows.
    #[test]
    fn estimates_within_the_promised_error() {
        let mut squares = Vec::new();
        for n in [600, 1000, 2500, 5000, 10_000, 20_000, 50_000, 200_000] {
            for seed in 0..12u64 {
                let from = seed * 1_000_000;
                let error = of(from..from + n).estimate().count as f64 / n as f64 - 1.0;
                squares.push(error * error);
            }
        }
        let standard_error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        assert!(standard_error <= 0.017, "standard error {standard_error}");
    }

    #[test]
    fn the_hash_zero_is_a_hash() {
        let mut subjects = Subjects::default();
        for hash in [0, 7, 0, 7 << 55] {
            subjects.add(hash);
        }
        assert_eq!(subjects.estimate().count, 3);
        let mut full = of(0..512);
        full.add(0);
        assert!(!full.estimate().exact);
        let mut full = of(0..511);
        full.add(0);
        assert_eq!(full.estimate().count, 512);
        full.add(0);
        assert!(full.estimate().exact);
        full.add(1);
        assert!(!full.estimate().exact);
    }

    proptest! {
        #[test]
        fn merging_equals_adding_in_any_order(
            a in prop::collection::vec(0u64..2000, 0..900),
            b in prop::collection::vec(0u64..2000, 0..900),
        ) {
            let build = |numbers: &[u64]| {
                let mut subjects = Subjects::default();
                numbers.iter().for_each(|n| subjects.add(hash(&n.to_string())));
                subjects
            };
            let all = build(&[a.clone(), b.clone()].concat());
            let (mut ab, mut ba) = (build(&a), build(&b));
            ab.merge(&build(&b));
            ba.merge(&build(&a));
            prop_assert_eq!(&ab, &all);
            prop_assert_eq!(&ba, &all);
        }
    }
}
