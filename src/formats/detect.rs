//! `auto`: which of several formats a log is in, told by its first lines.
//!
//! Sees only the bytes it is given, and never guesses: a draw is no answer.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::call::{Call, Outcome, Reason};
use crate::formats::Format;
use crate::input::{Framing, Input};
use crate::limits::{LINE_BYTES_MAX, SHAPES_TOLD_MAX, TRIED_LINES_MAX};
use crate::parse::{Scratch, shape};

/// Of lines that name their fields themselves at least one in so many must be a call: any JSON object with a time would
/// else be a record of a format that leaves most records out. Lines of columns are told by their form.
const CALLS_SHARE: usize = 3;

/// No format fits, or two fit equally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undetected {
    /// The names of the formats that fit equally; empty where none fits.
    pub equal: Vec<String>,
    /// The distinct shapes of the first lines, at most five, in their order. Empty if all were blank.
    pub shapes: Vec<String>,
}

impl std::fmt::Display for Undetected {
    /// Why, without the shapes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.equal.as_slice() {
            [] => f.write_str("no format fits its first lines"),
            equal => write!(f, "its first lines fit {} equally", equal.join(" and ")),
        }
    }
}

/// Tells the format of a log from its first bytes: an index into `formats`.
///
/// Up to 200 complete lines are tried; an unfinished one is taken as it is where there is no other. A format fits if it
/// makes calls of at least nine tenths of the lines that are not blank. Lines that are too long or no UTF-8 speak neither
/// for a format nor against it. Requests that are no HTTP, and records that are no
/// requests, count as fitting, since they stand in many logs, but at least one line must be a call, or a third of those that
/// name their fields themselves (to a built-in under common names a time and a path alone are no call that tells it), and no other format may make calls of more. Of those that fit the one with the most calls counts, then the one with the most fitting
/// lines: a record without a target may well be a call to the format that knows its keys. Then one that says what it
/// requires counts before a built-in that does not, unless that one finds more credentials. Those of a config are never
/// passed over so.
///
/// # Errors
///
/// [`Undetected`] if none fits or two are equal in all, and if there is nothing but blank lines.
pub fn detect(formats: &[&Format], head: &[u8]) -> Result<usize, Undetected> {
    let lines = first_lines(head);
    let unfinished = unfinished_line(head);
    let mut scratch = Scratch::default();
    // With the count of lines that have a credential.
    let mut best: Vec<(usize, usize)> = Vec::new();
    let (mut most, mut most_calls) = ((0, 0), 0);
    // Of documents without a record it does not matter which one is taken.
    let mut empty: Option<usize> = None;
    for (idx, format) in formats.iter().enumerate() {
        let (mut tried, mut fitting, mut calls, mut credentials) = (0, 0, 0, 0);
        let framed = Input::framed_head(head, &format.framing());
        let framed = match &framed {
            Cow::Borrowed(_) => Cow::Borrowed(&lines),
            Cow::Owned(framed) => Cow::Owned(first_lines(framed)),
        };
        format.begin(None, &mut scratch);
        let complete = framed.iter().map(|line| (true, *line));
        for (is_complete, line) in complete.chain(unfinished.map(|line| (false, line))) {
            // Below nothing but what names its columns, the only record may be one that is not finished.
            if !is_complete && tried > 0 {
                continue;
            }
            if line.len() > LINE_BYTES_MAX || std::str::from_utf8(line).is_err() {
                continue;
            }
            if format.directive(line, &mut scratch) {
                continue;
            }
            tried += 1;
            match format.parse(line, &mut scratch) {
                Ok(call) => {
                    fitting += 1;
                    calls += usize::from(!format.is_common() || tells_of_a_request(&call));
                    credentials += usize::from(call.credential.is_some());
                }
                Err(Reason::NoTarget) => fitting += 1,
                Err(_) => {}
            }
        }
        if tried == 0
            && framed.is_empty()
            && matches!(format.framing(), Framing::Records(_))
            && is_whole(head)
        {
            empty.get_or_insert(idx);
        }
        most_calls = most_calls.max(calls);
        if calls == 0
            || fitting * 10 < tried * 9
            || (format.names_its_fields() && calls * CALLS_SHARE < tried)
            || (calls, fitting) < most
        {
            continue;
        }
        if (calls, fitting) > most {
            best.clear();
            most = (calls, fitting);
        }
        best.push((idx, credentials));
    }
    // Where a format that does not fit finds more calls, those that fit pass over what the log is about.
    if most.0 < most_calls {
        best.clear();
    }
    let requiring = best.iter().filter(|(idx, _)| formats[*idx].has_requirement());
    if let Some(most) = requiring.map(|(_, credentials)| *credentials).max() {
        best.retain(|&(idx, credentials)| {
            let format = formats[idx];
            format.has_requirement() || !format.is_built_in || credentials > most
        });
    }
    if let [(only, _)] = best[..] {
        return Ok(only);
    }
    if let (Some(empty), true, false) = (empty, best.is_empty(), lines.is_empty()) {
        return Ok(empty);
    }
    let mut shapes: Vec<String> = Vec::new();
    for line in lines {
        let shape = shape(line);
        if shapes.len() < SHAPES_TOLD_MAX && !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    let equal = best.into_iter().map(|(idx, _)| formats[idx].name().to_owned()).collect();
    Err(Undetected { equal, shapes })
}

/// Whether a call has more than a time and a path: lines about files, programs and modules have those too.
fn tells_of_a_request(call: &Call<'_>) -> bool {
    call.api.is_some()
        || call.method.is_some()
        || call.credential.is_some()
        || call.outcome != Outcome::Unknown
}

/// Whether a head is nothing but whole documents.
fn is_whole(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut documents = serde_json::Deserializer::from_slice(head).into_iter::<IgnoredAny>();
    documents.all(|document| document.is_ok())
}

/// What follows the last line end, if anything does, and there is one.
fn unfinished_line(head: &[u8]) -> Option<&[u8]> {
    let end = memchr::memrchr(b'\n', head)?;
    let line = head[end + 1..].trim_ascii_end();
    (!line.iter().all(|b| matches!(b, b' ' | b'\t' | 0))).then_some(line)
}

/// Up to 200 first lines of a head that are not blank, without line endings, NULs around them and a byte order mark.
pub fn first_lines(head: &[u8]) -> Vec<&[u8]> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let complete = memchr::memrchr(b'\n', head).map_or(head, |end| &head[..end]);
    complete
        .split(|&b| b == b'\n')
        .map(|line| {
            let nul = |b: &u8| *b == 0;
            let start = line.iter().take_while(|b| nul(b)).count();
            let end = line.iter().rposition(|b| !nul(b)).map_or(start, |last| last + 1);
            let line = &line[start..end];
            line.strip_suffix(b"\r").unwrap_or(line)
        })
        .filter(|line| !line.iter().all(|b| matches!(b, b' ' | b'\t')))
        .take(TRIED_LINES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"GET /x HTTP/1.1\" 200 5\n";
    const COMBINED: &str =
        "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"curl\"\n";
    const HELLO: &str =
        "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"\\x16\\x03\" 400 5 \"-\" \"-\"\n";
    const JSON: &str = "{\"time\":\"2018-12-18T09:30:00Z\",\"path\":\"/x\",\"status\":200}\n";

    const LTSV: &str =
        "time:[18/Dec/2018:09:30:00 +0000]\thost:10.0.0.7\treq:GET /x?a=b HTTP/1.1\tstatus:200\n";
    const LOGFMT: &str = "time=2018-12-18T09:30:00Z level=info method=GET path=/x status=200\n";

    fn detected(head: &str) -> Result<String, Undetected> {
        let formats: Vec<Format> =
            Format::BUILT_IN.iter().map(|name| Format::built_in(name).unwrap()).collect();
        let formats: Vec<&Format> = formats.iter().collect();
        detect(&formats, head.as_bytes()).map(|idx| formats[idx].name().to_owned())
    }

    #[test]
    fn each_built_in_is_told_from_the_others() {
        assert_eq!(detected(&COMMON.repeat(3)).unwrap(), "common");
        assert_eq!(detected(&COMBINED.repeat(300)).unwrap(), "combined");
        assert_eq!(detected(JSON).unwrap(), "json");
        assert_eq!(detected(LTSV).unwrap(), "ltsv");
        assert_eq!(detected(LOGFMT).unwrap(), "logfmt");
        assert_eq!(detected(JSON.trim_end()).unwrap(), "json");
        assert_eq!(detected(&format!("\u{feff}\0\0{COMMON} \t\n\r\n")).unwrap(), "common");
    }

    #[test]
    fn blank_lines_at_the_head_hide_no_format() {
        assert_eq!(detected(&format!("{}{COMMON}", "\n".repeat(1000))).unwrap(), "common");
    }

    #[test]
    fn an_unfinished_line_after_complete_ones_is_not_tried() {
        assert_eq!(detected(&format!("{JSON}{{\"tim")).unwrap(), "json");
    }

    #[test]
    fn a_tenth_of_foreign_lines_is_borne_and_scanners_do_not_count_as_foreign() {
        assert_eq!(detected(&(COMBINED.repeat(9) + "foreign\n")).unwrap(), "combined");
        assert!(detected(&(COMBINED.repeat(8) + "foreign\n")).is_err());
        assert_eq!(detected(&(COMBINED.to_owned() + &HELLO.repeat(20))).unwrap(), "combined");
        assert!(detected(&HELLO.repeat(20)).is_err());
    }

    #[test]
    fn lines_that_no_format_can_read_do_not_count() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(detected(&format!("{long}\n{JSON}")).unwrap(), "json");
        let formats = [&Format::built_in("json").unwrap(), &Format::built_in("common").unwrap()];
        let latin1 = [b"caf\xe9\n".repeat(5), JSON.as_bytes().to_vec()].concat();
        assert_eq!(detect(&formats, &latin1), Ok(0));
        assert!(detect(&formats, b"caf\xe9\n").is_err());
    }

    #[test]
    fn when_none_or_two_fit_the_shapes_are_shown() {
        let error = detected("Jan  1 x7\nJan  1 y8\nb\n").unwrap_err();
        assert_eq!(error.equal, Vec::<String>::new());
        assert_eq!(error.shapes, ["aaa  9 a9", "a"]);
        let twin = Format::built_in("common").unwrap();
        let error = detect(&[&twin, &twin], COMMON.as_bytes()).unwrap_err();
        assert_eq!(error.equal, ["common", "common"]);
        assert_eq!(error.shapes.len(), 1);
        assert_eq!(detected(" \n").unwrap_err().shapes, Vec::<String>::new());
    }
}
