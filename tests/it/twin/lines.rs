//! From bytes to lines to calls, for the one log format that the twin reads.
//!
//! Knows nothing of the register.

use serde_json::Value;

use overstay::time::Instant;

use super::judge::{Call, Outcome};

/// The log format of the twin's cases, as a config has it.
pub const FORMAT: &str = r#"
[formats.twin]
kind       = "json"
at         = { field = "at", as = "rfc3339" }
credential = "client_id"
method     = "method"
path       = "path"
host       = "host"
api        = "api"
operation  = "operation"
status     = "status"
bytes      = "bytes"
latency    = { field = "latency_us", unit = "us" }
subject    = ["user", { route = "user" }]
actor      = "actor"
remote_addr = "remote_addr"
user_agent = "user_agent"
request_id = "request_id"
"#;

/// A line, cut out of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Of its first byte after leading NULs and byte order mark.
    pub offset: u64,
    /// Without line ending and NULs around it.
    pub content: Vec<u8>,
}

/// An input's lines and the NUL bytes between them.
pub fn lines(bytes: &[u8]) -> (Vec<Line>, u64) {
    let mut lines = Vec::new();
    let mut gap_bytes = 0;
    let mut number = 0;
    // "A UTF-8 byte order mark at offset 0 is skipped."
    let mut offset = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let newline = rest.iter().position(|&byte| byte == b'\n');
        let mut content = &rest[..newline.unwrap_or(rest.len())];
        let next = offset + content.len() + usize::from(newline.is_some());
        let mut start = offset;
        offset = next;
        // "Strip leading NULs and trailing NULs (both counted in gap_bytes; …)"
        while let Some(stripped) = content.strip_prefix(b"\0") {
            content = stripped;
            start += 1;
            gap_bytes += 1;
        }
        // "a stretch of NULs with no newline after it is no line at all"
        if content.is_empty() && newline.is_none() {
            break;
        }
        while let Some(stripped) = content.strip_suffix(b"\0") {
            content = stripped;
            gap_bytes += 1;
        }
        // "then one trailing "\r""
        content = content.strip_suffix(b"\r").unwrap_or(content);
        number += 1;
        lines.push(Line { number, offset: start as u64, content: content.to_vec() });
    }
    (lines, gap_bytes)
}

/// "A line of spaces and tabs is blank."
pub fn blank(content: &[u8]) -> bool {
    content.iter().all(|&byte| byte == b' ' || byte == b'\t')
}

/// "first 80 characters of the line (lossy UTF-8), letters -> a, digits -> 9, other printable ASCII as is, everything
/// else -> `?`"
pub fn shape(content: &[u8]) -> String {
    let of = |c: char| match c {
        _ if c.is_alphabetic() => 'a',
        '0'..='9' => '9',
        ' '..='~' => c,
        _ => '?',
    };
    String::from_utf8_lossy(content).chars().take(80).map(of).collect()
}

/// "A line is a reject for the first of these reasons that applies"
pub fn parse(content: &[u8]) -> Result<Call, &'static str> {
    // "`too-long` (over 1 MiB)"
    if content.len() > 1_048_576 {
        return Err("too-long");
    }
    let text = std::str::from_utf8(content).map_err(|_| "not-utf8")?;
    // "`malformed` (does not fit the format)"
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return Err("malformed") };
    let field = |name: &str| text_of(object.get(name)?);
    // "`no-time` (`at` absent or unreadable)"
    let at = field("at").and_then(|at| rfc3339(&at)).ok_or("no-time")?;
    // "`no-target` (neither path nor api)"
    if field("path").is_none() && field("api").is_none() {
        return Err("no-target");
    }
    // "`bad-value` (status, bytes or latency unreadable)"
    let (outcome, status) = outcome(field("status"))?;
    let bytes = field("bytes").map(|bytes| whole(&bytes)).transpose()?;
    let latency_us = field("latency_us").map(|latency| rounded_down(&latency)).transpose()?;
    Ok(Call {
        at,
        credential: field("client_id"),
        method: field("method"),
        path: field("path"),
        host: field("host"),
        api: field("api"),
        operation: field("operation"),
        outcome,
        status,
        bytes,
        latency_us,
        user: field("user"),
        actor: field("actor"),
        remote_addr: field("remote_addr"),
        user_agent: field("user_agent"),
        request_id: field("request_id"),
    })
}

/// "Absent is absent: `-`, empty and null are no value, never 0. A number may come as a string; where text is expected
/// a JSON number or boolean counts as written, an array or object as absent."
fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (text != "-" && !text.is_empty()).then_some(text)
}

/// "Outcome from an HTTP status: 100–399 `served`; 401, 403, 407, 451 `denied`; every other 4xx and 5xx `failed`; none,
/// `-1`, 0 and `000`: `unknown`; any other number outside 100–599 is `bad-value`; `200.0` is 200."
fn outcome(status: Option<String>) -> Result<(Outcome, Option<u16>), &'static str> {
    let Some(status) = status else { return Ok((Outcome::Unknown, None)) };
    let (whole, fraction) = status.split_once('.').unwrap_or((&status, "0"));
    let number: i64 = whole.parse().map_err(|_| "bad-value")?;
    if fraction.is_empty() || fraction.chars().any(|c| c != '0') {
        return Err("bad-value");
    }
    let outcome = match number {
        -1 | 0 => return Ok((Outcome::Unknown, None)),
        100..=399 => Outcome::Served,
        401 | 403 | 407 | 451 => Outcome::Denied,
        400..=599 => Outcome::Failed,
        _ => return Err("bad-value"),
    };
    Ok((outcome, u16::try_from(number).ok()))
}

/// A number without sign: its whole digits and its fraction's.
fn decimal(text: &str) -> Result<(u64, &str), &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err("bad-value");
    }
    Ok((whole.parse().map_err(|_| "bad-value")?, fraction))
}

/// A whole number; `123.0` is one.
fn whole(text: &str) -> Result<u64, &'static str> {
    let (whole, fraction) = decimal(text)?;
    if fraction.chars().all(|c| c == '0') { Ok(whole) } else { Err("bad-value") }
}

/// A number of microseconds, rounded down.
fn rounded_down(text: &str) -> Result<u64, &'static str> {
    decimal(text).map(|(whole, _)| whole)
}

/// RFC 3339 with any offset (none: UTC); a blank for the `T`; digits past the ninth cut; second 60 is the next
/// minute's 00.
pub fn rfc3339(text: &str) -> Option<Instant> {
    let text = text.to_uppercase().replacen(' ', "T", 1);
    let (date, time) = text.split_once('T')?;
    let (time, offset_s) = match time.find(['Z', '+', '-']) {
        None => (time, 0),
        Some(i) => (&time[..i], offset_s(&time[i..])?),
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = parts(clock, ':', [2, 2, 2])?;
    let real = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !real || fraction.is_empty() || !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let ns = i128::from(seconds - offset_s) * 1_000_000_000 + nanos.parse::<i128>().ok()?;
    i64::try_from(ns).ok().map(Instant::from_ns)
}

/// `Z` or `±HH:MM`, in seconds.
fn offset_s(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let [hours, minutes] = parts(&text[1..], ':', [2, 2])?;
    let seconds = hours * 3600 + minutes * 60;
    (hours <= 23 && minutes <= 59).then(|| if text.starts_with('-') { -seconds } else { seconds })
}

/// Numbers of given widths between separators.
fn parts<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let fits = parts.len() == N
        && parts
            .iter()
            .zip(widths)
            .all(|(part, width)| part.len() == width && part.chars().all(|c| c.is_ascii_digit()));
    if !fits {
        return None;
    }
    let numbers: Vec<i64> = parts.iter().map(|part| part.parse().unwrap()).collect();
    numbers.try_into().ok()
}

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counted year by year, month by month.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let length = |year: i64| if leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 {
        (1970..year).map(length).sum()
    } else {
        -(year..1970).map(length).sum::<i64>()
    };
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    years + months + day - 1
}
