//! Instants: nanoseconds since 1970-01-01T00:00:00Z, and how they are written.
//!
//! Reads no clock: every instant comes from a log, a table or the command line.

use std::fmt;

use crate::word;

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Seconds in a day; leap seconds are folded away, as in Unix time.
pub const S_PER_DAY: i64 = 86_400;
/// Hours of a day.
pub const HOURS_PER_DAY: i64 = 24;

/// A point in time, UTC, in nanoseconds since the Unix epoch.
///
/// Ranges from 1677-09-21 to 2262-04-11. Tables that say "never" by a year
/// beyond that (9999-12-31) saturate at [`Instant::MAX`]; a log line beyond
/// it has no readable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// The earliest instant there is.
    pub const MIN: Instant = Instant(i64::MIN);
    /// The latest instant there is.
    pub const MAX: Instant = Instant(i64::MAX);

    /// The instant `ns` nanoseconds after the Unix epoch.
    pub const fn from_ns(ns: i64) -> Instant {
        Instant(ns)
    }

    /// The instant of `seconds` since the epoch plus `nanos` (0 to 999,999,999),
    /// or `None` where that is out of range.
    pub fn from_s_ns(seconds: i64, nanos: u32) -> Option<Instant> {
        let ns = i128::from(seconds) * i128::from(NS_PER_S) + i128::from(nanos);
        i64::try_from(ns).ok().map(Instant)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// This instant `seconds` later, at most [`Instant::MAX`].
    pub fn saturating_add_s(self, seconds: u64) -> Instant {
        let ns = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NS_PER_S);
        Instant(self.0.saturating_add(ns))
    }

    /// This instant `ns` nanoseconds earlier, at least [`Instant::MIN`].
    pub fn saturating_sub_ns(self, ns: i64) -> Instant {
        Instant(self.0.saturating_sub(ns))
    }

    /// Hours since the epoch, rounded down: the key of an hourly series.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(NS_PER_S * 3600)
    }

    /// The instant at which an hour of [`Instant::hour`] begins, saturating.
    pub fn from_hour(hour: i64) -> Instant {
        Instant(hour.saturating_mul(3600).saturating_mul(NS_PER_S))
    }

    /// Whole seconds from `earlier` to this instant, rounded down; 0 if `earlier` is later.
    pub fn seconds_since(self, earlier: Instant) -> u64 {
        let ns = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(ns / i128::from(NS_PER_S)).unwrap_or(0)
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
pub const fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month as i64 + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day as i64 - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// Year, month (1 to 12) and day (1 to 31) of a count of days since 1970-01-01.
///
/// The inverse of [`days_from_civil`], from the same source.
pub const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// How many days the month has.
pub const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Instant {
    /// RFC 3339 in UTC with `Z`, as many fraction digits as needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NS_PER_S);
        let nanos = self.0.rem_euclid(NS_PER_S);
        let (year, month, day) = civil_from_days(seconds.div_euclid(S_PER_DAY));
        let of_day = seconds.rem_euclid(S_PER_DAY);
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl serde::Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_rfc3339(text.as_bytes()).map_err(|_| {
            serde::de::Error::custom(format!("found `{text}`, expected an instant as RFC 3339"))
        })
    }
}

/// Why a text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// It is not of the expected shape, or names no real date or time of day.
    Unreadable,
    /// It is a time before [`Instant::MIN`].
    TooEarly,
    /// It is a time after [`Instant::MAX`].
    TooLate,
}

/// Reads an RFC 3339 timestamp with its offset.
///
/// `T` may be lower case or a space, `Z` lower case; fraction digits past the
/// ninth are cut, and a second of 60 is the next minute's 00.
///
/// # Errors
///
/// As [`TimeError`] says.
pub fn parse_rfc3339(text: &[u8]) -> Result<Instant, TimeError> {
    let (seconds, nanos, rest) = parse_local(text).ok_or(TimeError::Unreadable)?;
    let offset_s = match rest {
        b"Z" | b"z" => 0,
        _ => parse_offset(rest).ok_or(TimeError::Unreadable)?,
    };
    let seconds = seconds - offset_s;
    Instant::from_s_ns(seconds, nanos).ok_or(if seconds < 0 {
        TimeError::TooEarly
    } else {
        TimeError::TooLate
    })
}

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction]` as if it were UTC: seconds, nanoseconds, what follows.
#[inline]
pub fn parse_local(text: &[u8]) -> Option<(i64, u32, &[u8])> {
    parse_local_by(text, date)
}

/// As [`parse_local`], with another way to read the date.
#[inline]
pub fn parse_local_by(
    text: &[u8],
    date: impl FnOnce(&[u8; 10]) -> Option<i64>,
) -> Option<(i64, u32, &[u8])> {
    let (shape, rest) = text.split_first_chunk::<19>()?;
    let days = date(shape.first_chunk()?)?;
    let [.., letter, h1, h2, c1, m1, m2, c2, s1, s2] = *shape;
    if !matches!(letter, b'T' | b't' | b' ') || [c1, c2] != *b"::" {
        return None;
    }
    let (h, m, s) = (pair(h1, h2)?, pair(m1, m2)?, pair(s1, s2)?);
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let seconds = days * S_PER_DAY + i64::from(h * 3600 + m * 60 + s);
    let Some((b'.' | b',', after)) = rest.split_first() else { return Some((seconds, 0, rest)) };
    let (nanos, digits) = fraction_at(text, text.len() - after.len());
    (digits > 0).then(|| (seconds, nanos, &after[digits..]))
}

/// Reads two ASCII digits.
#[inline]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// The fraction that stands in a text from `at` on, as nanoseconds, cutting digits past the ninth; and how many digits it
/// has.
#[inline]
fn fraction_at(text: &[u8], at: usize) -> (u32, usize) {
    if let Some(eight) = word::short_at(text, at)
        && let (number, count @ 0..8) = leading_digits(eight)
    {
        return (number * 10, count);
    }
    let rest = text.get(at..).unwrap_or_default();
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = rest[..count].iter().chain(std::iter::repeat(&b'0')).take(9);
    (digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')), count)
}

/// The number of the digits that eight bytes begin with, followed by zeros to make it eight digits; and how many there are.
#[inline]
fn leading_digits(eight: u64) -> (u32, usize) {
    let (values, _) = digit_values(eight);
    let count = digits(eight);
    let kept = if count == 8 { values } else { values & ((1 << (8 * count)) - 1) };
    (joined(kept), count)
}

/// How many digits eight bytes begin with.
#[inline]
pub(crate) fn digits(eight: u64) -> usize {
    let (_, others) = digit_values(eight);
    others.trailing_zeros() as usize / 8
}

/// The number that the first of eight bytes are, 1 to 8 of them, if they are digits.
#[inline]
pub(crate) fn whole_of_eight(eight: u64, count: usize) -> Option<u32> {
    let (values, others) = digit_values(eight);
    // Moved behind as many zeros as it lacks of eight digits.
    let shift = u64::BITS.wrapping_sub(8 * count as u32) % u64::BITS;
    (others << shift == 0).then(|| joined(values << shift))
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// Each digit's value in its byte, the first one lowest; and the top bit of each byte that is none.
#[inline]
fn digit_values(eight: u64) -> (u64, u64) {
    let values = eight ^ (ONES * u64::from(b'0'));
    (values, (((values & !TOPS) + ONES * (0x7f - 9)) | values) & TOPS)
}

/// The number of eight digits' values.
#[inline]
fn joined(values: u64) -> u32 {
    // Neighbours are joined: digits to pairs, these to fours, these to eight.
    let pairs = (values * 10 + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) as u32
}

/// Reads a fraction's digits as nanoseconds, cutting those past the ninth; `None` without any.
pub fn fraction_ns(digits: &[u8]) -> Option<u32> {
    let (nanos, count) = fraction_at(digits, 0);
    (count > 0 && count == digits.len()).then_some(nanos)
}

/// Reads `YYYY-MM-DD`, whole: days since the epoch.
pub fn parse_date(text: &[u8]) -> Option<i64> {
    date(text.try_into().ok()?)
}

/// Reads `YYYY-MM-DD`: days since the epoch.
pub fn date(text: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let real = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year.into(), month);
    real.then(|| days_from_civil(year.into(), month, day))
}

/// The name of a day, given by its number since the epoch: `YYYY-MM-DD`.
pub fn day_name(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads an offset `+HH:MM`, `+HHMM` or `+HH`, whole: seconds east of UTC.
pub fn parse_offset(text: &[u8]) -> Option<i64> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (h, m) = match text.len() {
        3 => (pair(text[1], text[2])?, 0),
        5 => (pair(text[1], text[2])?, pair(text[3], text[4])?),
        6 if text[3] == b':' => (pair(text[1], text[2])?, pair(text[4], text[5])?),
        _ => return None,
    };
    (h <= 23 && m <= 59).then(|| sign * i64::from(h * 3600 + m * 60))
}

/// Reads an instant as register tables and the command line write them:
/// RFC 3339 with any offset, a date (its midnight UTC), or Unix seconds.
/// What lies beyond the range saturates.
///
/// # Errors
///
/// [`TimeError::Unreadable`] if it is none of these.
pub fn parse_table_instant(text: &str) -> Result<Instant, TimeError> {
    let bytes = text.as_bytes();
    if let Some(days) = parse_date(bytes) {
        return Ok(saturating(days * S_PER_DAY, 0));
    }
    if let Some((seconds, nanos)) = parse_unix_seconds(bytes) {
        return Ok(saturating(seconds, nanos));
    }
    match parse_rfc3339(bytes) {
        Err(TimeError::TooLate) => Ok(Instant::MAX),
        Err(TimeError::TooEarly) => Ok(Instant::MIN),
        other => other,
    }
}

fn saturating(seconds: i64, nanos: u32) -> Instant {
    let limit = if seconds < 0 { Instant::MIN } else { Instant::MAX };
    Instant::from_s_ns(seconds, nanos).unwrap_or(limit)
}

/// The last second of the year 9999, which some registers write for "never".
const YEAR_9999_END_S: u64 = 253_402_300_799;

/// Why a number is surely not meant as Unix seconds, as words that follow "as seconds"; `None` if it may be, or is no number.
///
/// Taken as seconds it would move an end by decades in silence.
pub fn odd_unix_seconds(text: &str) -> Option<&'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).split('.').next()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    let (month, day) = (number / 100 % 100, number % 100);
    match digits.len() {
        4 if (1900..2200).contains(&number) => Some("it lies in 1970; a year alone is no date"),
        8 if (1900..2200).contains(&(number / 10_000))
            && (1..=12).contains(&month)
            && (1..=31).contains(&day) =>
        {
            Some("it lies before 1971; a date has dashes")
        }
        _ if number > YEAR_9999_END_S => {
            Some("it lies beyond the year 9999; milliseconds or less are not read")
        }
        _ => None,
    }
}

/// Reads `[+-]digits[.digits]` as seconds and nanoseconds (rounded down).
fn parse_unix_seconds(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix(b"+").unwrap_or(text)),
    };
    let point = digits.iter().position(|&b| b == b'.');
    let whole = &digits[..point.unwrap_or(digits.len())];
    if whole.is_empty() || whole.len() > 15 {
        return None;
    }
    let seconds = whole
        .iter()
        .try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))?;
    let nanos = match point {
        Some(i) => fraction_ns(&digits[i + 1..])?,
        None => 0,
    };
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc(text: &str) -> Option<String> {
        parse_rfc3339(text.as_bytes()).ok().map(|at| at.to_string())
    }

    #[test]
    fn rfc3339_in_all_its_spellings() {
        let same = Some("2018-12-18T09:30:00.5Z".to_owned());
        assert_eq!(rfc("2018-12-18T09:30:00.5Z"), same);
        assert_eq!(rfc("2018-12-18t11:30:00.500+02:00"), same);
        assert_eq!(rfc("2018-12-18 01:30:00.5000000009-08:00"), same);
        assert_eq!(rfc("2016-12-31T23:59:60Z"), Some("2017-01-01T00:00:00Z".to_owned()));
        for bad in ["2018-02-29T00:00:00Z", "2018-12-18T24:00:00Z", "2018-12-18T00:00:00", "x", ""]
        {
            assert_eq!(rfc(bad), None, "{bad}");
        }
    }

    #[test]
    fn fractions_of_any_length() {
        let digits = b"123456789876543210";
        for count in 0..=digits.len() {
            for behind in ["", "Z", "+01:00", "/", ":"] {
                let padded = format!("{}{}", "123456789"[..count.min(9)].to_owned(), "000000000");
                let nanos: u32 = padded[..9].parse().unwrap();
                // Whatever stands before and behind it in its text, and whether anything does.
                for (before, blanks) in
                    [("", ""), ("", "         "), ("2018-12-18.", ""), (".", "  ")]
                {
                    let text =
                        [before.as_bytes(), &digits[..count], behind.as_bytes(), blanks.as_bytes()]
                            .concat();
                    let found = fraction_at(&text, before.len());
                    assert_eq!(found, (nanos, count), "{before}{count}{behind}");
                }
            }
        }
        assert_eq!(fraction_at(b"5", 0), (500_000_000, 1));
        assert_eq!(fraction_at(b"\xb0\xb1\xff12345", 0), (0, 0));
    }

    #[test]
    fn tables_take_dates_and_unix_seconds_and_saturate() {
        let at = |text| parse_table_instant(text).map(|at| at.to_string());
        assert_eq!(at("2018-12-18"), Ok("2018-12-18T00:00:00Z".to_owned()));
        assert_eq!(at("1545091200"), Ok("2018-12-18T00:00:00Z".to_owned()));
        assert_eq!(at("+1545091200.0"), Ok("2018-12-18T00:00:00Z".to_owned()));
        assert_eq!(at("-0.25"), Ok("1969-12-31T23:59:59.75Z".to_owned()));
        assert_eq!(parse_table_instant("9999-12-31"), Ok(Instant::MAX));
        assert_eq!(parse_table_instant("9999-12-31T00:00:00Z"), Ok(Instant::MAX));
        assert_eq!(parse_table_instant("soon"), Err(TimeError::Unreadable));
    }

    #[test]
    fn numbers_that_are_surely_no_seconds() {
        for odd in ["2020", "20261231", "1545004800000", "1545004800000000", "-20181218", "2019.0"]
        {
            assert!(odd_unix_seconds(odd).is_some(), "{odd}");
        }
        for fine in
            ["0", "3000", "20261331", "1545004800", "253402300799", "2018-12-18", "soon", "", "."]
        {
            assert_eq!(odd_unix_seconds(fine), None, "{fine}");
        }
    }

    #[test]
    fn calendar_round_trips_over_five_centuries() {
        for days in days_from_civil(1677, 9, 21)..=days_from_civil(2262, 4, 11) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }
}
