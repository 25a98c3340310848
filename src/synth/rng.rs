//! Chance that can be counted: a number for each place, the same on any machine.
//!
//! SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014; the
//! constants are those of S. Vigna's reference <https://prng.di.unimi.it/splitmix64.c>. What is drawn for one thing never
//! depends on how much was drawn for another: each has a generator of its own, seeded by what it is and its number.

/// The odd constant by which the state goes on.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator for one thing.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// That of the `index`th thing of a kind. Those of one seed have nothing to do with those of another.
    pub(super) fn of(seed: u64, kind: Kind, index: u64) -> Rng {
        let key = mix(seed.wrapping_add((kind as u64 + 1).wrapping_mul(GOLDEN)));
        Rng(mix(key ^ index.wrapping_mul(GOLDEN)))
    }

    /// 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Less than `bound`, which is not 0. A product's upper half: what that favours is no more than `bound` in 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 to less than 1. Only what IEEE 754 says to the bit is done with it: products and sums, no logarithm.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Whether something of so many percent comes true.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Less than `bound`, low ones more often: the share below x is the square root of x / `bound`.
    pub(super) fn low(&mut self, bound: u64) -> u64 {
        let unit = self.unit();
        ((bound as f64 * (unit * unit)) as u64).min(bound - 1)
    }
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Api,
    Purpose,
    Partner,
    Spread,
    Grant,
    Credential,
    Holder,
    Consent,
    Call,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the reference for the seed 1234567, as <https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64> has them.
    #[test]
    fn numbers_are_those_of_the_reference() {
        let mut rng = Rng(1_234_567);
        let drawn = [rng.bits(), rng.bits(), rng.bits()];
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn bounds_hold() {
        let mut rng = Rng::of(1, Kind::Call, 0);
        for _ in 0..10_000 {
            assert!(rng.below(7) < 7);
            assert!(rng.low(3) < 3);
            assert!((0.0..1.0).contains(&rng.unit()));
        }
    }
}
