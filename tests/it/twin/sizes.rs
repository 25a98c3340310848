//! Distinct people and latencies, as reports give them.
//!
//! Knows nothing of calls.

use std::collections::BTreeSet;

use overstay::report::{Latency, Subjects};

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// "exact up to 512 …, beyond that an estimate"
pub fn subjects<'a>(ids: impl Iterator<Item = &'a str>) -> Subjects {
    // "64-bit XXH3 (seed 0) of the subject's bytes"
    let hashes: BTreeSet<u64> = ids.map(|id| xxhash_rust::xxh3::xxh3_64(id.as_bytes())).collect();
    let count = hashes.len() as u64;
    if count <= 512 {
        return Subjects { count, exact: true, low: count, high: count };
    }
    // "rounded to nearest, at least 513"
    let count = (estimate(&registers(&hashes)).round() as u64).max(513);
    // "low/high: count*(1 -/+ 2*1.04/sqrt(4096)) floor/ceil, low at least 513"
    let spread = 2.0 * 1.04 / 4096.0_f64.sqrt();
    let low = ((count as f64 * (1.0 - spread)).floor() as u64).max(513);
    let high = (count as f64 * (1.0 + spread)).ceil() as u64;
    Subjects { count, exact: false, low, high }
}

/// "4096 one-byte registers: index = top 12 bits, rank = leading zeros of the rest (hash << 12) + 1 (max 53)"
fn registers(hashes: &BTreeSet<u64>) -> Vec<u8> {
    let mut registers = vec![0; 4096];
    for hash in hashes {
        let index = (hash >> 52) as usize;
        let rank = ((hash << 12).leading_zeros() + 1).min(53) as u8;
        registers[index] = rank.max(registers[index]);
    }
    registers
}

/// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6, with m = 4096, q = 52.
fn estimate(registers: &[u8]) -> f64 {
    let m = registers.len() as f64;
    let count = |value: u8| registers.iter().filter(|&&register| register == value).count() as f64;
    let mut z = m * tau(1.0 - count(53) / m);
    for value in (1..=52).rev() {
        z = 0.5 * (z + count(value));
    }
    z += m * sigma(count(0) / m);
    m * m / (2.0 * 2.0_f64.ln() * z)
}

/// The same paper: x + sum over k >= 1 of x^(2^k) 2^(k-1).
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

/// The same paper: (1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3.
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

/// "Latency quantiles come from mergeable histograms with at least two significant digits."
pub fn latency(mut all_us: Vec<u64>) -> Latency {
    all_us.sort();
    let quantile = |percent: usize| {
        let rank = (all_us.len() * percent).div_ceil(100).max(1);
        let max = *all_us.last()?;
        Some(highest_equivalent(all_us[rank - 1]).min(max))
    };
    Latency {
        count: all_us.len() as u64,
        p50: quantile(50),
        p90: quantile(90),
        p99: quantile(99),
        max: all_us.last().copied(),
    }
}

/// The highest value that two significant digits do not tell from this one: below 256 every value has a bucket of its
/// own, then buckets double in width with every doubling of the value.
fn highest_equivalent(us: u64) -> u64 {
    if us < 256 {
        return us;
    }
    let bits = 64 - us.leading_zeros();
    let shift = bits - 8;
    (((us >> shift) + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_lie_within_their_bounds() {
        for n in [511, 512, 513, 700, 2_000, 30_000_u64] {
            let ids: Vec<String> = (0..n).map(|i| format!("user-{i}")).collect();
            let found = subjects(ids.iter().map(String::as_str));
            assert!(found.low <= n && n <= found.high, "{n}: {found:?}");
            assert_eq!(found.exact, n <= 512);
        }
    }

    #[test]
    fn quantiles_are_the_top_of_their_bucket_but_never_past_the_maximum() {
        // 1000 has 10 bits: shift 2, bucket 1000..=1003. The maximum, 5000, is exact.
        let found = latency(vec![1000, 7, 5000]);
        assert_eq!(found.p50, Some(1003));
        assert_eq!((found.p90, found.p99, found.max), (Some(5000), Some(5000), Some(5000)));
        assert_eq!(latency(vec![]).p50, None);
        assert_eq!(latency(vec![255, 256]).p50, Some(255));
    }
}
