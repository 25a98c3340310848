//! Decimal numbers as logs write them, read exactly: no float stands between a log and a sum.
//!
//! Knows no units beyond powers of ten and no call fields.

/// A decimal number, as written: `[+-]digits[.digits][e[+-]digits]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    /// Whether a minus sign stands before it.
    pub(crate) negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// The exponent of ten, clamped: beyond a million any number is 0 or out of every range.
    exponent: i64,
}

/// Decimal digits that surely fit `u128`.
const DIGITS_MAX: i64 = 38;

/// The nanoseconds of a duration as Go and protobuf write it: numbers, each with its unit behind it (`0.123s`, `1m3.5s`,
/// `750µs`). `None` for anything else, and for what is below zero.
pub(crate) fn duration_ns(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut sum = 0u128;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after
            .split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let (power, factor) = match unit {
            "ns" => (0, 1),
            // The micro sign, and the Greek letter.
            "us" | "\u{b5}s" | "\u{3bc}s" => (3, 1),
            "ms" => (6, 1),
            "s" => (9, 1),
            "m" => (9, 60),
            "h" => (9, 3600),
            _ => return None,
        };
        let (ns, _) = Decimal::parse(number)?.scaled(power)?;
        sum = sum.checked_add(ns.checked_mul(factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

impl<'a> Decimal<'a> {
    /// Reads the whole text, or `None` if it is no decimal number.
    pub(crate) fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let mut rest = text.as_bytes();
        let negative = rest.first() == Some(&b'-');
        if let Some(b'-' | b'+') = rest.first() {
            rest = &rest[1..];
        }
        let (whole, mut rest) = digits(rest);
        let mut fraction: &[u8] = b"";
        if rest.first() == Some(&b'.') {
            (fraction, rest) = digits(&rest[1..]);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut exponent = 0;
        if let Some(b'e' | b'E') = rest.first() {
            rest = &rest[1..];
            let below = rest.first() == Some(&b'-');
            if let Some(b'-' | b'+') = rest.first() {
                rest = &rest[1..];
            }
            let (power, after) = digits(rest);
            if power.is_empty() {
                return None;
            }
            let power =
                power.iter().fold(0, |n: i64, d| (n * 10 + i64::from(d - b'0')).min(10_000_000));
            exponent = if below { -power } else { power };
            rest = after;
        }
        rest.is_empty().then_some(Decimal { negative, whole, fraction, exponent })
    }

    /// The magnitude times ten to the `power`, what is below one cut off, and whether nothing was cut;
    /// `None` where it has more than 38 digits.
    pub(crate) fn scaled(&self, power: i64) -> Option<(u128, bool)> {
        let count = self.whole.len() + self.fraction.len();
        let lead = self.leading_zeros();
        if lead == count {
            return Some((0, true));
        }
        // The digits before this one are whole after scaling.
        let point = i64::try_from(self.whole.len()).ok()? + self.exponent + power;
        let lead_i = i64::try_from(lead).ok()?;
        if point - lead_i > DIGITS_MAX {
            return None;
        }
        let mut magnitude = 0u128;
        let mut i = lead;
        for _ in lead_i..point {
            magnitude = magnitude * 10 + self.digit(i).map_or(0, u128::from);
            i += 1;
        }
        let exact = (i..count).all(|i| self.digit(i) == Some(0));
        Some((magnitude, exact))
    }

    /// How many digits stand before the point, leading zeros aside; 0 for numbers below one.
    pub(crate) fn whole_digits(&self) -> i64 {
        let count = self.whole.len() + self.fraction.len();
        let lead = self.leading_zeros();
        if lead == count {
            return 0;
        }
        let point = i64::try_from(self.whole.len()).unwrap_or(i64::MAX) + self.exponent;
        (point - i64::try_from(lead).unwrap_or(i64::MAX)).max(0)
    }

    /// The number, if it is whole and not below zero.
    pub(crate) fn natural(&self) -> Option<u64> {
        match self.scaled(0)? {
            (0, true) => Some(0),
            (magnitude, true) if !self.negative => u64::try_from(magnitude).ok(),
            _ => None,
        }
    }

    fn leading_zeros(&self) -> usize {
        self.whole.iter().chain(self.fraction).take_while(|&&d| d == b'0').count()
    }

    fn digit(&self, i: usize) -> Option<u8> {
        let digit = match self.whole.get(i) {
            Some(digit) => digit,
            None => self.fraction.get(i - self.whole.len())?,
        };
        Some(digit - b'0')
    }
}

/// The leading ASCII digits, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str, power: i64) -> Option<(u128, bool)> {
        Decimal::parse(text)?.scaled(power)
    }

    #[test]
    fn durations_have_their_units_in_them() {
        for (text, ns) in [
            ("0.123s", 123_000_000),
            ("0s", 0),
            ("3.000000001s", 3_000_000_001),
            ("1.5ms", 1_500_000),
            ("750µs", 750_000),
            ("750us", 750_000),
            ("20ns", 20),
            ("1h2m3.5s", 3_723_500_000_000),
        ] {
            assert_eq!(duration_ns(text), Some(ns), "{text}");
        }
        for bad in ["", "5", "s", "-1s", "1 s", "1d", "1s2", "1.2.3s", "é"] {
            assert_eq!(duration_ns(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(scaled("0.057", 9), Some((57_000_000, true)));
        assert_eq!(scaled("1545091200.123456789999", 9), Some((1_545_091_200_123_456_789, false)));
        assert_eq!(scaled("1.5e3", 0), Some((1500, true)));
        assert_eq!(scaled("15E-1", 0), Some((1, false)));
        assert_eq!(scaled(".5", 1), Some((5, true)));
        assert_eq!(scaled("5.", 0), Some((5, true)));
        assert_eq!(scaled("0000000000000000000000000000000000000000000000007", 0), Some((7, true)));
        assert_eq!(scaled("0e99999999999999999999", 0), Some((0, true)));
        assert_eq!(scaled("1e-99999999999999999999", 9), Some((0, false)));
        assert_eq!(scaled("1e99999999999999999999", 9), None);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for bad in
            ["", "-", "+", ".", "1e", "1e+", "0x10", "1_000", " 1", "1 ", "NaN", "inf", "1,5"]
        {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn naturals_are_whole_and_fit() {
        let natural = |text| Decimal::parse(text).and_then(|number| number.natural());
        assert_eq!(natural("123.0"), Some(123));
        assert_eq!(natural("-0"), Some(0));
        assert_eq!(natural("18446744073709551615"), Some(u64::MAX));
        assert_eq!(natural("18446744073709551616"), None);
        assert_eq!(natural("-1"), None);
        assert_eq!(natural("1.5"), None);
    }

    #[test]
    fn digits_before_the_point_are_those_of_the_value() {
        let count = |text| Decimal::parse(text).map(|number| number.whole_digits());
        assert_eq!(count("1545091200.5"), Some(10));
        assert_eq!(count("1.5450912e9"), Some(10));
        assert_eq!(count("0001"), Some(1));
        assert_eq!(count("0.001"), Some(0));
    }
}
