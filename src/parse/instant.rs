//! How logs write instants, and how each way is read.
//!
//! RFC 3339, CLF and numbers are read by hand, since every line has one; only strptime
//! patterns and named time zones go to the calendar library. Reads no clock and no
//! system time zone: the zone database is the one compiled in.

use std::borrow::Cow;
use std::cell::Cell;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::parse::number::Decimal;
use crate::time::{
    self, Instant, NS_PER_S, S_PER_DAY, days_from_civil, days_in_month, fraction_ns, parse_local,
    parse_local_by, parse_offset,
};

/// The zone of times written without an offset.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// So many seconds east of UTC.
    Fixed(i64),
    /// A zone of the IANA database.
    Named(TimeZone),
}

impl Zone {
    /// UTC, the zone unless a format sets one.
    pub(crate) const UTC: Zone = Zone::Fixed(0);

    /// Reads `UTC`, `Z`, an offset such as `+02:00`, or an IANA name.
    pub(crate) fn parse(text: &str) -> Option<Zone> {
        if matches!(text, "UTC" | "Z") {
            return Some(Zone::UTC);
        }
        if let Some(offset_s) = parse_offset(text.as_bytes()) {
            return Some(Zone::Fixed(offset_s));
        }
        TimeZoneDatabase::bundled().get(text).ok().map(Zone::Named)
    }

    /// The instant of a local time, given as if it were UTC.
    ///
    /// Of a local time that occurs twice the first is taken; one that a clock skipped is
    /// read with the offset before the gap (RFC 5545, section 3.3.5).
    fn instant(&self, local_s: i64, nanos: u32) -> Option<Instant> {
        match self {
            Zone::Fixed(offset_s) => Instant::from_s_ns(local_s - offset_s, nanos),
            Zone::Named(zone) => {
                let as_utc = jiff::Timestamp::from_second(local_s).ok()?;
                let local = Offset::UTC.to_datetime(as_utc);
                let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
                Instant::from_s_ns(at.as_second(), nanos)
            }
        }
    }
}

/// A way of writing an instant.
#[derive(Clone, Debug)]
pub(crate) enum TimeForm {
    /// Whichever of the others it looks like.
    Auto,
    /// `2018-12-18T09:30:00.25+01:00`.
    Rfc3339,
    /// `18/Dec/2018:09:30:00 +0100`, in brackets or not.
    Clf,
    /// A number of units since the epoch, ten to this power of which are a nanosecond short of none:
    /// 9 for seconds, 6 for milliseconds, 3 for microseconds, 0 for nanoseconds.
    Epoch(i64),
    /// A strptime pattern.
    Strptime(Strptime),
}

impl TimeForm {
    /// The form of that name, or of that strptime pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence.
    pub(crate) fn parse(text: &str) -> Result<TimeForm, String> {
        Ok(match text {
            "rfc3339" => TimeForm::Rfc3339,
            "clf" => TimeForm::Clf,
            "epoch_s" => TimeForm::Epoch(9),
            "epoch_ms" => TimeForm::Epoch(6),
            "epoch_us" => TimeForm::Epoch(3),
            "epoch_ns" => TimeForm::Epoch(0),
            _ if text.contains('%') => TimeForm::Strptime(Strptime::new(text)?),
            _ => {
                return Err(format!(
                    "unknown way `{text}` to write a time, expected rfc3339, clf, epoch_s, epoch_ms, \
                     epoch_us, epoch_ns or a strptime pattern"
                ));
            }
        })
    }

    /// Whether a text of this form may hold `literal`, so that the first place where it stands need not be the end.
    pub(crate) fn may_hold(&self, literal: &[u8]) -> bool {
        let own = match self {
            TimeForm::Epoch(_) => return false,
            TimeForm::Strptime(pattern) => pattern.pattern.as_bytes(),
            TimeForm::Auto | TimeForm::Rfc3339 | TimeForm::Clf => b"",
        };
        let may_hold =
            |b: &u8| b.is_ascii_alphanumeric() || b" :/.,+-".contains(b) || own.contains(b);
        !literal.is_empty() && literal.iter().all(may_hold)
    }

    /// Reads the whole text; `None` if it is not of this form or beyond the range of instants.
    pub(crate) fn read(&self, text: &str, zone: &Zone) -> Option<Instant> {
        match self {
            TimeForm::Auto => read_auto(text, zone),
            TimeForm::Rfc3339 => read_rfc3339(text, zone),
            TimeForm::Clf => read_clf(text, zone),
            TimeForm::Epoch(power) => read_epoch(&Decimal::parse(text)?, *power),
            TimeForm::Strptime(pattern) => pattern.read(text, zone),
        }
    }
}

/// Tells the form by its looks, and a number's unit by the count of its digits before the point:
/// seconds have at most 11 until the year 5138, and each finer unit three more.
fn read_auto(text: &str, zone: &Zone) -> Option<Instant> {
    match text.as_bytes() {
        [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()) => {
            read_rfc3339(text, zone)
        }
        // As Go's loggers write it.
        [a, b, c, d, b'/', _, _, b'/', ..]
            if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            read_rfc3339(&text.replacen('/', "-", 2), zone)
        }
        [b'[', ..] | [_, _, b'/', ..] => read_clf(text, zone),
        _ => {
            let number = Decimal::parse(text)?;
            let power = match number.whole_digits() {
                ..=11 => 9,
                12..=14 => 6,
                15..=17 => 3,
                18..=20 => 0,
                _ => return None,
            };
            read_epoch(&number, power)
        }
    }
}

fn read_epoch(number: &Decimal<'_>, power: i64) -> Option<Instant> {
    let (magnitude, _) = number.scaled(power)?;
    let ns = i128::try_from(magnitude).ok()?;
    i64::try_from(if number.negative { -ns } else { ns }).ok().map(Instant::from_ns)
}

fn read_rfc3339(text: &str, zone: &Zone) -> Option<Instant> {
    let (local_s, nanos, rest) = parse_local(text.as_bytes())?;
    with_offset(local_s, nanos, rest, zone)
}

/// A date as written, and the days since the epoch that it is. Most lines are of the day of the line before.
#[derive(Debug, Default)]
pub(crate) struct Today<const N: usize>(Cell<Option<([u8; N], i64)>>);

impl<const N: usize> Today<N> {
    #[inline]
    fn days(&self, date: &[u8; N], read: impl FnOnce(&[u8; N]) -> Option<i64>) -> Option<i64> {
        if let Some((known, days)) = self.0.get()
            && known == *date
        {
            return Some(days);
        }
        let days = read(date)?;
        self.0.set(Some((*date, days)));
        Some(days)
    }
}

/// The usual ways to write a time, with the day of the line before.
#[derive(Debug)]
pub(crate) enum PlainTime {
    /// RFC 3339's.
    Rfc3339(Today<10>),
    /// The Common Log Format's.
    Clf(Today<11>),
}

impl PlainTime {
    /// What a form reads texts as that begin as RFC 3339's do, or those of the Common Log Format.
    pub(crate) fn of(form: &TimeForm) -> Option<PlainTime> {
        match form {
            TimeForm::Auto | TimeForm::Rfc3339 => Some(PlainTime::Rfc3339(Today::default())),
            TimeForm::Clf => Some(PlainTime::Clf(Today::default())),
            TimeForm::Epoch(_) | TimeForm::Strptime(_) => None,
        }
    }

    /// The instant; none if it is another way to write a time, or none.
    #[inline]
    pub(crate) fn read(&self, text: &[u8], zone: &Zone) -> Option<Instant> {
        match self {
            PlainTime::Rfc3339(today) => {
                let date = |date: &[u8; 10]| today.days(date, time::date);
                let (local_s, nanos, rest) = parse_local_by(text, date)?;
                with_offset(local_s, nanos, rest, zone)
            }
            PlainTime::Clf(today) => read_clf_by(text, zone, |date| today.days(date, clf_date)),
        }
    }
}

/// The instant of a local time and the offset that follows it, if one does. Databases and Ruby write it behind a blank.
fn with_offset(local_s: i64, nanos: u32, rest: &[u8], zone: &Zone) -> Option<Instant> {
    match rest.strip_prefix(b" ").unwrap_or(rest) {
        b"" if rest.is_empty() => zone.instant(local_s, nanos),
        b"Z" | b"z" | b"UTC" => Instant::from_s_ns(local_s, nanos),
        offset => Instant::from_s_ns(local_s - parse_offset(offset)?, nanos),
    }
}

/// Reads the time of the Common Log Format: `18/Dec/2018:09:30:00 +0100`. A fraction may follow the seconds.
fn read_clf(text: &str, zone: &Zone) -> Option<Instant> {
    read_clf_by(text.as_bytes(), zone, clf_date)
}

#[inline]
fn read_clf_by(
    text: &[u8],
    zone: &Zone,
    date: impl FnOnce(&[u8; 11]) -> Option<i64>,
) -> Option<Instant> {
    let text = match text {
        [b'[', inner @ .., b']'] => inner,
        _ => text,
    };
    let (day, rest) = text.split_first_chunk()?;
    let days = date(day)?;
    let [b':', h1, h2, b':', n1, n2, b':', s1, s2, rest @ ..] = rest else {
        return None;
    };
    let (h, m, s) = (pair(*h1, *h2)?, pair(*n1, *n2)?, pair(*s1, *s2)?);
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let local_s = days * S_PER_DAY + i64::from(h * 3600 + m * 60 + s);
    let (nanos, rest) = match rest {
        [b'.', after @ ..] => {
            let count = after.iter().take_while(|b| b.is_ascii_digit()).count();
            (fraction_ns(&after[..count])?, &after[count..])
        }
        _ => (0, rest),
    };
    with_offset(local_s, nanos, rest, zone)
}

/// Reads `18/Dec/2018`: days since the epoch.
fn clf_date(text: &[u8; 11]) -> Option<i64> {
    let [d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4] = *text else { return None };
    let month = month([m1, m2, m3])?;
    let day = pair(d1, d2)?;
    let year = i64::from(pair(y1, y2)? * 100 + pair(y3, y4)?);
    let is_real = day >= 1 && day <= days_in_month(year, month);
    is_real.then(|| days_from_civil(year, month, day))
}

/// The number of an English month's first three letters, in any case.
fn month(name: [u8; 3]) -> Option<u32> {
    Some(match &name.map(|b| b.to_ascii_lowercase()) {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    })
}

fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// A strptime pattern that names whole instants.
#[derive(Clone, Debug)]
pub(crate) struct Strptime {
    /// The pattern with `%Z` replaced by `%z`, and the forms of the locale by what they stand for.
    pattern: String,
    /// The same with the other way to write an offset: `%:z` for `%z`, and the other way round.
    other_offset: Option<String>,
    /// Which zones may stand in the text as words.
    words: &'static [(&'static str, &'static str)],
}

/// Zone abbreviations with one meaning (RFC 2822, section 4.3). Others, such as IST, have several.
const ABBREVIATIONS: [(&str, &str); 12] = [
    ("Z", "+0000"),
    ("z", "+0000"),
    ("UTC", "+0000"),
    ("GMT", "+0000"),
    ("EST", "-0500"),
    ("EDT", "-0400"),
    ("CST", "-0600"),
    ("CDT", "-0500"),
    ("MST", "-0700"),
    ("MDT", "-0600"),
    ("PST", "-0800"),
    ("PDT", "-0700"),
];

/// How many of the abbreviations are those of RFC 3339, which stand for an offset also where a number is asked for.
const ZULU: usize = 2;

/// What the directives that go by the locale write in that of C, which servers use (POSIX, `LC_TIME`).
const LOCALE_FORMS: [(&str, &str); 4] =
    [("c", "%a %b %e %H:%M:%S %Y"), ("r", "%I:%M:%S %p"), ("x", "%m/%d/%y"), ("X", "%H:%M:%S")];

impl Strptime {
    /// Checks that the pattern can be read and names a date.
    fn new(text: &str) -> Result<Strptime, String> {
        let spelled_out = LOCALE_FORMS
            .iter()
            .fold(text.to_owned(), |pattern, (form, same)| replace_directive(&pattern, form, same));
        let pattern = replace_directive(&spelled_out, "Z", "%z");
        let abbreviated = pattern != spelled_out;
        let other_offset = match replace_directive(&pattern, "z", "%:z") {
            same if same == pattern => replace_directive(&pattern, ":z", "%z"),
            other => other,
        };
        let other_offset = (other_offset != pattern).then_some(other_offset);
        let words = match (abbreviated, &other_offset) {
            (true, _) => &ABBREVIATIONS,
            (false, Some(_)) => &ABBREVIATIONS[..ZULU],
            (false, None) => &[],
        };
        let strptime = Strptime { pattern, other_offset, words };
        // A pattern that writes an instant must be able to read it back, whatever the instant.
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        let written = jiff::fmt::strtime::format(&strptime.pattern, &sample)
            .map_err(|error| format!("unreadable strptime pattern `{text}`: {error}"))?;
        match BrokenDownTime::parse(&strptime.pattern, &written) {
            Err(error) => Err(format!("unreadable strptime pattern `{text}`: {error}")),
            Ok(time) if time.to_timestamp().is_err() && time.to_datetime().is_err() => {
                Err(format!("strptime pattern `{text}` names no date with its year"))
            }
            Ok(_) => Ok(strptime),
        }
    }

    fn read(&self, text: &str, zone: &Zone) -> Option<Instant> {
        let text = with_numeric_zone(text, self.words);
        let time = self.broken_down(&text)?;
        let at = if let Some(zone) = time.iana_time_zone() {
            let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
            let at = zone.to_ambiguous_timestamp(time.to_datetime().ok()?).compatible().ok()?;
            i64::try_from(at.as_nanosecond()).ok().map(Instant::from_ns)?
        } else if let Some(at) = time.timestamp() {
            // Of Unix seconds the library leaves the fraction apart.
            let nanos = time.subsec_nanosecond().and_then(|nanos| u32::try_from(nanos).ok());
            Instant::from_s_ns(at.as_second(), nanos.unwrap_or(0))?
        } else if let Ok(at) = time.to_timestamp() {
            i64::try_from(at.as_nanosecond()).ok().map(Instant::from_ns)?
        } else {
            let local = Offset::UTC.to_timestamp(time.to_datetime().ok()?).ok()?;
            let nanos = local.as_nanosecond();
            let second = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
            let nanos = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
            zone.instant(second, nanos)?
        };
        if self.is_leap_second(&text, &time) {
            return at.ns().checked_add(NS_PER_S).map(Instant::from_ns);
        }
        Some(at)
    }

    fn broken_down(&self, text: &str) -> Option<BrokenDownTime> {
        let parse = |text: &str| {
            let patterns = std::iter::once(&self.pattern).chain(&self.other_offset);
            patterns.into_iter().find_map(|pattern| BrokenDownTime::parse(pattern, text).ok())
        };
        // The library takes nine digits of a fraction at most.
        parse(text).or_else(|| parse(&nine_digits(text)?))
    }

    /// Whether the second of a text is 60, which the library reads as 59.
    ///
    /// It does not tell, so each `60` of the text is tried: the one whose change to `58` changes the second is it.
    fn is_leap_second(&self, text: &str, time: &BrokenDownTime) -> bool {
        time.second() == Some(59)
            && text.match_indices("60").any(|(at, _)| {
                let changed = format!("{}58{}", &text[..at], &text[at + 2..]);
                self.broken_down(&changed).is_some_and(|time| time.second() == Some(58))
            })
    }
}

/// A pattern with one of its directives replaced. `%%` is a percent sign and begins none.
fn replace_directive(pattern: &str, from: &str, to: &str) -> String {
    let mut replaced = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        replaced.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(from) {
            replaced.push_str(to);
            rest = after;
        } else {
            replaced.push('%');
            if let Some(after) = rest.strip_prefix('%') {
                replaced.push('%');
                rest = after;
            }
        }
    }
    replaced + rest
}

/// The text with its last zone of these as a numeric offset. One that has such an offset stays as it is.
fn with_numeric_zone<'t>(text: &'t str, words: &[(&str, &str)]) -> Cow<'t, str> {
    if words.is_empty() {
        return Cow::Borrowed(text);
    }
    let word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .rev()
        .find_map(|word| words.iter().find(|(name, _)| *name == word).map(|pair| (word, pair.1)));
    let Some((word, offset)) = word else { return Cow::Borrowed(text) };
    // A word is a slice of the text, so the distance of their addresses is its offset.
    let start = word.as_ptr().addr() - text.as_ptr().addr();
    Cow::Owned(format!("{}{offset}{}", &text[..start], &text[start + word.len()..]))
}

/// The text with runs of digits after a point cut to nine, or `None` if there is no longer one.
fn nine_digits(text: &str) -> Option<String> {
    let mut cut = String::with_capacity(text.len());
    let mut count = None;
    for c in text.chars() {
        count = match (c, count) {
            ('.' | ',', _) => Some(0),
            ('0'..='9', Some(n)) => Some(n + 1),
            _ => None,
        };
        if count.is_none_or(|n| n <= 9) {
            cut.push(c);
        }
    }
    (cut.len() < text.len()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str, text: &str) -> Option<String> {
        in_zone(form, text, "UTC")
    }

    fn in_zone(form: &str, text: &str, zone: &str) -> Option<String> {
        let form = if form.is_empty() { TimeForm::Auto } else { TimeForm::parse(form).unwrap() };
        form.read(text, &Zone::parse(zone).unwrap()).map(|at| at.to_string())
    }

    fn at(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn clf_with_any_offset_and_in_brackets() {
        assert_eq!(read("clf", "10/Oct/2000:13:55:36 -0700"), at("2000-10-10T20:55:36Z"));
        assert_eq!(read("clf", "[10/Oct/2000:13:55:36 -0700]"), at("2000-10-10T20:55:36Z"));
        assert_eq!(read("clf", "10/Oct/2000:13:55:36.25 +0000"), at("2000-10-10T13:55:36.25Z"));
        assert_eq!(read("clf", "31/Dec/2016:23:59:60 +0000"), at("2017-01-01T00:00:00Z"));
        for bad in [
            "29/Feb/2018:00:00:00 +0000",
            "00/Jan/2018:00:00:00 +0000",
            "10/Okt/2000:13:55:36 +0000",
            "10/Oct/2000:24:55:36 +0000",
            "10/Oct/2000:13:55:36 +0000 ",
            "10/Oct/2000:13:55:36 CET",
            "10/Oct/2000",
        ] {
            assert_eq!(read("clf", bad), None, "{bad}");
        }
    }

    #[test]
    fn forms_of_the_locale_are_those_of_c() {
        assert_eq!(read("%c", "Tue Dec 18 09:30:00 2018"), at("2018-12-18T09:30:00Z"));
        assert_eq!(read("%c", "Sat Dec  8 09:30:00 2018"), at("2018-12-08T09:30:00Z"));
        assert_eq!(read("%x %X", "12/18/18 21:30:00"), at("2018-12-18T21:30:00Z"));
        assert_eq!(read("%F %r", "2018-12-18 09:30:00 PM"), at("2018-12-18T21:30:00Z"));
        assert_eq!(read("%c %z", "Tue Dec 18 09:30:00 2018 +0100"), at("2018-12-18T08:30:00Z"));
        assert_eq!(read("%F%%c %T", "2018-12-18%c 09:30:00"), at("2018-12-18T09:30:00Z"));
    }

    #[test]
    fn epoch_numbers_are_exact_and_digits_past_the_ninth_cut() {
        assert_eq!(read("epoch_s", "1545091200.1234567899"), at("2018-12-18T00:00:00.123456789Z"));
        assert_eq!(read("epoch_s", "1.5450912e9"), at("2018-12-18T00:00:00Z"));
        assert_eq!(read("epoch_ms", "1545091200000.5"), at("2018-12-18T00:00:00.0005Z"));
        assert_eq!(read("epoch_us", "1545091200000001"), at("2018-12-18T00:00:00.000001Z"));
        assert_eq!(read("epoch_ns", "1545091200000000001"), at("2018-12-18T00:00:00.000000001Z"));
        assert_eq!(read("epoch_s", "-0.25"), at("1969-12-31T23:59:59.75Z"));
        assert_eq!(read("epoch_s", "99999999999999"), None);
        assert_eq!(read("epoch_s", "soon"), None);
    }

    #[test]
    fn without_a_form_looks_decide() {
        for text in [
            "2018-12-18T00:00:00Z",
            "2018-12-18 01:00:00+01:00",
            "18/Dec/2018:00:00:00 +0000",
            "[18/Dec/2018:01:00:00 +0100]",
            "1545091200",
            "1545091200.0",
            "1545091200000",
            "1545091200000000",
            "1545091200000000000",
        ] {
            assert_eq!(read("", text), at("2018-12-18T00:00:00Z"), "{text}");
        }
        for bad in ["2018", "", "yesterday", "123456789012345678901", "2262-04-12T00:00:00Z"] {
            assert_ne!(read("", bad), at("2018-12-18T00:00:00Z"), "{bad}");
        }
        assert_eq!(read("", "2262-04-12T00:00:00Z"), None);
    }

    #[test]
    fn a_time_without_offset_is_utc_unless_the_format_sets_a_zone() {
        let noon = "2018-07-01T12:00:00";
        assert_eq!(in_zone("rfc3339", noon, "UTC"), at("2018-07-01T12:00:00Z"));
        for written in
            ["2018-07-01 12:00:00 UTC", "2018-07-01 14:00:00 +0200", "2018-07-01T12:00:00UTC"]
        {
            assert_eq!(in_zone("rfc3339", written, "Europe/Berlin"), at("2018-07-01T12:00:00Z"));
        }
        assert_eq!(in_zone("rfc3339", "2018-07-01 12:00:00 ", "UTC"), None);
        assert_eq!(in_zone("rfc3339", "2018-07-01 12:00:00 CET", "UTC"), None);
        assert_eq!(in_zone("rfc3339", noon, "Europe/Berlin"), at("2018-07-01T10:00:00Z"));
        assert_eq!(in_zone("rfc3339", noon, "-03:30"), at("2018-07-01T15:30:00Z"));
        let own = "2018-07-01T12:00:00+00:00";
        assert_eq!(in_zone("rfc3339", own, "Europe/Berlin"), at("2018-07-01T12:00:00Z"));
        assert_eq!(in_zone("clf", "01/Jul/2018:12:00:00", "+0200"), at("2018-07-01T10:00:00Z"));
        let plain = "%Y-%m-%d %H:%M:%S";
        assert_eq!(
            in_zone(plain, "2018-01-01 12:00:00", "Europe/Berlin"),
            at("2018-01-01T11:00:00Z")
        );
        assert!(Zone::parse("Mars/Olympus").is_none());
    }

    #[test]
    fn local_times_that_occur_twice_or_never() {
        let berlin = |text| in_zone("rfc3339", text, "Europe/Berlin");
        assert_eq!(berlin("2018-10-28T02:30:00"), at("2018-10-28T00:30:00Z"));
        assert_eq!(berlin("2018-03-25T02:30:00"), at("2018-03-25T01:30:00Z"));
    }

    #[test]
    fn strptime_patterns_honour_offsets_zones_and_fractions() {
        let pattern = "%B %d, %YT%H:%M:%S %z";
        assert_eq!(read(pattern, "November 23, 2021T00:18:22 +0100"), at("2021-11-22T23:18:22Z"));
        assert_eq!(
            read("%d.%m.%Y %H:%M:%S.%f", "18.12.2018 00:00:00.5"),
            at("2018-12-18T00:00:00.5Z")
        );
        assert_eq!(
            read("%Y-%m-%d %H:%M:%S.%f", "2018-12-18 00:00:00.12345678999"),
            at("2018-12-18T00:00:00.123456789Z")
        );
        let named = "%a, %d %b %Y %H:%M:%S %Z";
        assert_eq!(read(named, "Tue, 18 Dec 2018 00:00:00 GMT"), at("2018-12-18T00:00:00Z"));
        assert_eq!(read(named, "Tue, 18 Dec 2018 00:00:00 PST"), at("2018-12-18T08:00:00Z"));
        assert_eq!(read(named, "Tue, 18 Dec 2018 00:00:00 +0100"), at("2018-12-17T23:00:00Z"));
        assert_eq!(read(named, "Tue, 18 Dec 2018 00:00:00 IST"), None);
        assert_eq!(
            read("%Y-%m-%d %H:%M %Q", "2018-07-01 12:00 Europe/Berlin"),
            at("2018-07-01T10:00:00Z")
        );
        assert_eq!(read("%s", "1545091200"), at("2018-12-18T00:00:00Z"));
    }

    #[test]
    fn strptime_keeps_the_fraction_of_unix_seconds() {
        for (pattern, text) in [
            ("%s.%f", "1545091200.25"),
            ("%s,%f", "1545091200,250000"),
            ("%s%.f", "1545091200.25"),
            ("%s.%f", "1545091200.2500000000001"),
        ] {
            assert_eq!(read(pattern, text), at("2018-12-18T00:00:00.25Z"), "{pattern}");
        }
    }

    #[test]
    fn strptime_takes_an_offset_however_it_is_written() {
        for pattern in ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%dT%H:%M:%S%Z"] {
            for text in ["01:00:00+0100", "01:00:00+01:00", "00:00:00Z", "00:00:00z"] {
                let text = format!("2018-12-18T{text}");
                assert_eq!(read(pattern, &text), at("2018-12-18T00:00:00Z"), "{pattern} {text}");
            }
        }
        assert_eq!(read("%Y-%m-%dT%H:%M:%S%z", "2018-12-18T00:00:00PST"), None);
        assert_eq!(read("%F %T%%z", "2018-12-18 00:00:00%z"), at("2018-12-18T00:00:00Z"));
    }

    #[test]
    fn with_strptime_too_second_60_is_the_next_minute() {
        let pattern = "%d.%m.%Y %H:%M:%S %z";
        assert_eq!(read(pattern, "31.12.2016 23:59:60 +0000"), at("2017-01-01T00:00:00Z"));
        assert_eq!(read(pattern, "31.12.2016 23:59:59 +0000"), at("2016-12-31T23:59:59Z"));
        assert_eq!(read(pattern, "31.12.2060 23:59:59 +0000"), at("2060-12-31T23:59:59Z"));
        assert_eq!(read("%F %T.%f", "2016-12-31 23:59:60.5"), at("2017-01-01T00:00:00.5Z"));
        assert_eq!(
            in_zone("%F %T", "2017-01-01 00:59:60", "Europe/Berlin"),
            at("2017-01-01T00:00:00Z")
        );
    }

    #[test]
    fn a_number_may_have_a_sign() {
        assert_eq!(read("epoch_s", "+1545091200"), at("2018-12-18T00:00:00Z"));
        assert_eq!(read("", "+1545091200.5"), at("2018-12-18T00:00:00.5Z"));
        assert_eq!(read("", "-1"), at("1969-12-31T23:59:59Z"));
    }

    #[test]
    fn a_pattern_that_can_name_no_instant_is_refused() {
        for bad in ["%H:%M:%S", "%b %d %H:%M:%S", "%Y-%m-%d %!", "iso", "%X"] {
            assert!(TimeForm::parse(bad).is_err(), "{bad}");
        }
    }
}
