//! The JSON report, `overstay.report/1`: `docs/report.md` explains it field by field,
//! `docs/report.schema.json` is its schema. Decides nothing: the report's own order and names.

use std::io::{self, BufWriter, Write};

use rayon::prelude::*;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::escape::is_hostile;
use crate::limits::{RENDERED_ELEMENTS, RENDERED_PARTS_EACH};
use crate::report::Report;

/// Writes the report as JSON, indented by two spaces, with a newline at the end.
///
/// Characters that command a terminal or deceive the eye are written as `\uXXXX`, so that a
/// report is harmless to look at; to a JSON parser nothing is changed.
///
/// Parts are rendered side by side on the current thread pool, some at a time.
///
/// # Errors
///
/// Those of `out`.
pub fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let parts = parts(report);
    let mut before: &[u8] = OPEN;
    for some in parts.chunks(RENDERED_PARTS_EACH * rayon::current_num_threads()) {
        let rendered: Vec<io::Result<Vec<u8>>> = some.par_iter().map(|part| part()).collect();
        for text in rendered {
            out.write_all(before)?;
            out.write_all(&text?)?;
            before = BETWEEN;
        }
    }
    out.write_all(CLOSE)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What stands around the members of an object and the elements of an array, which ends as the object does.
const OPEN: &[u8] = b"{\n";
const BETWEEN: &[u8] = b",\n";
const CLOSE: &[u8] = b"\n}";
const CLOSE_ARRAY: &[u8] = b"\n  ]\n}";

/// Renders some of the report: whole members, or some elements of one.
type Part<'r> = Box<dyn Fn() -> io::Result<Vec<u8>> + Sync + 'r>;

/// The parts of a report, which make an object with [`BETWEEN`] between them.
fn parts(report: &Report) -> Vec<Part<'_>> {
    let Report {
        schema,
        program,
        status,
        partial,
        headline,
        partner,
        window,
        config,
        register,
        inputs,
        accounting,
        rejects,
        usage,
        partners,
        apis,
        series,
        ends,
        findings,
        anomalies,
        exceptions,
        suppressions,
        flipped,
        coverage,
        nightly,
        overstayed_people: _,
        ungranted: _,
    } = report;
    let mut parts = Vec::new();
    whole("schema", schema, &mut parts);
    whole("program", program, &mut parts);
    whole("status", status, &mut parts);
    whole("partial", partial, &mut parts);
    whole("headline", headline, &mut parts);
    whole("partner", partner, &mut parts);
    whole("window", window, &mut parts);
    whole("config", config, &mut parts);
    whole("register", register, &mut parts);
    array("inputs", inputs, &mut parts);
    whole("accounting", accounting, &mut parts);
    whole("rejects", rejects, &mut parts);
    array("usage", usage, &mut parts);
    array("partners", partners, &mut parts);
    array("apis", apis, &mut parts);
    array("series", series, &mut parts);
    array("ends", ends, &mut parts);
    array("findings", findings, &mut parts);
    whole("anomalies", anomalies, &mut parts);
    array("exceptions", exceptions, &mut parts);
    array("suppressions", suppressions, &mut parts);
    whole("flipped", flipped, &mut parts);
    whole("coverage", coverage, &mut parts);
    whole("nightly", nightly, &mut parts);
    parts
}

/// A member in one part.
fn whole<'r, T: Serialize + Sync>(name: &'static str, value: &'r T, parts: &mut Vec<Part<'r>>) {
    parts.push(Box::new(move || {
        let mut text = object(name, value)?;
        text.truncate(text.len() - CLOSE.len());
        text.drain(..OPEN.len());
        Ok(text)
    }));
}

/// An array in as many parts as it needs.
fn array<'r, T: Serialize + Sync>(name: &'static str, all: &'r [T], parts: &mut Vec<Part<'r>>) {
    if all.is_empty() {
        return whole(name, &[(); 0], parts);
    }
    let count = all.len().div_ceil(RENDERED_ELEMENTS);
    for (i, some) in all.chunks(RENDERED_ELEMENTS).enumerate() {
        parts.push(Box::new(move || {
            let mut text = object(name, &some)?;
            let is_last = i + 1 == count;
            text.truncate(text.len() - if is_last { CLOSE.len() } else { CLOSE_ARRAY.len() });
            let before = if i == 0 { OPEN.len() } else { format!("{{\n  \"{name}\": [\n").len() };
            text.drain(..before);
            Ok(text)
        }));
    }
}

/// An object of one member.
fn object(name: &str, value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Harmless(PrettyFormatter::new()));
    // serde_json hands the writer's own error back; a report has no value that JSON lacks.
    let mut map = serializer.serialize_map(Some(1)).map_err(io::Error::from)?;
    map.serialize_entry(name, value).and_then(|()| map.end()).map_err(io::Error::from)?;
    Ok(text)
}

/// One value as JSON on one line, without a newline; harmless to look at like [`json`].
///
/// # Errors
///
/// Those of `out`.
pub fn json_line<T: Serialize>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Harmless(CompactFormatter));
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// JSON in which every hostile character is escaped.
struct Harmless<F>(F);

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        // Nearly all text is plain; without an early exit this is a few vector instructions.
        let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
        if text.as_bytes().iter().fold(true, |all, byte| all & is_plain(byte)) {
            return out.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hostile(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }

    // The rest is the inner formatter's.

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixtures;

    const SCHEMA: &str = include_str!("../../docs/report.schema.json");
    const DOCS: &str = include_str!("../../docs/report.md");

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        json(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn all() -> [Report; 7] {
        [
            fixtures::nightly(),
            fixtures::day(),
            fixtures::full(),
            fixtures::small(),
            fixtures::empty(),
            fixtures::partial(),
            fixtures::unjudged(),
        ]
    }

    fn schema() -> jsonschema::Validator {
        jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
    }

    /// Rendered by serde in one go: the judge of rendering in parts.
    fn in_one_go(report: &Report) -> String {
        let mut out = Vec::new();
        let formatter = Harmless(PrettyFormatter::new());
        report.serialize(&mut Serializer::with_formatter(&mut out, formatter)).unwrap();
        String::from_utf8(out).unwrap() + "\n"
    }

    #[test]
    fn parts_make_the_whole() {
        for mut report in all() {
            assert_eq!(text(&report), in_one_go(&report));
            for times in [
                RENDERED_ELEMENTS - 1,
                RENDERED_ELEMENTS,
                RENDERED_ELEMENTS + 1,
                10 * RENDERED_ELEMENTS,
            ] {
                report.usage = report.usage.iter().cycle().take(times).cloned().collect();
                report.findings = report.findings.iter().cycle().take(times).cloned().collect();
                assert!(text(&report) == in_one_go(&report), "{times}");
            }
        }
    }

    #[test]
    fn every_report_fits_the_schema() {
        let schema = schema();
        for report in all() {
            let value: Value = serde_json::from_str(&text(&report)).unwrap();
            if let Err(error) = schema.validate(&value) {
                panic!("{}: {error}", error.instance_path());
            }
        }
    }

    /// Each way to leave one key out of the value, or to set it to a list, which none may be
    /// where it is no list: the key's path, whether the key is there, the value.
    fn spoiled(value: &Value) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    let mut without = map.clone();
                    without.remove(key);
                    all.push((format!("without {key}"), Value::Object(without)));
                    let wrong =
                        if inner.is_array() { Value::from(-1.5) } else { Value::Array(Vec::new()) };
                    let mut other = map.clone();
                    other.insert(key.clone(), wrong);
                    all.push((format!("wrong {key}"), Value::Object(other)));
                    for (what, inner) in spoiled(inner) {
                        let mut other = map.clone();
                        other.insert(key.clone(), inner);
                        all.push((format!("{key}: {what}"), Value::Object(other)));
                    }
                }
            }
            Value::Array(items) => {
                // Rows of an array are alike; the first speaks for them.
                for (what, inner) in items.first().map(spoiled).unwrap_or_default() {
                    all.push((what, Value::Array(vec![inner])));
                }
            }
            _ => {}
        }
        all
    }

    #[test]
    fn the_schema_misses_every_key_and_minds_every_type() {
        let schema = schema();
        for report in [fixtures::small(), fixtures::nightly(), fixtures::day()] {
            let value: Value = serde_json::from_str(&text(&report)).unwrap();
            let spoiled = spoiled(&value);
            assert!(spoiled.len() > 300, "every array of the fixture has a row");
            for (what, value) in spoiled {
                assert!(!schema.is_valid(&value), "{what}");
            }
        }
    }

    #[test]
    fn keys_may_be_added() {
        let mut value: Value = serde_json::from_str(&text(&fixtures::small())).unwrap();
        value["findings"][0]["colour"] = "red".into();
        assert!(schema().is_valid(&value));
    }

    #[test]
    fn the_docs_name_every_key() {
        fn keys(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    into.extend(map.keys().cloned());
                    map.values().for_each(|inner| keys(inner, into));
                }
                Value::Array(items) => items.iter().for_each(|inner| keys(inner, into)),
                _ => {}
            }
        }
        let mut names = Vec::new();
        for report in all() {
            keys(&serde_json::from_str(&text(&report)).unwrap(), &mut names);
        }
        for name in names {
            assert!(DOCS.contains(&format!("`{name}`")), "{name} is not explained");
        }
    }

    #[test]
    fn hostile_text_is_harmless_to_look_at_and_unchanged_to_a_parser() {
        let poison = "\u{1b}[2J\u{7f}\u{9b}\"\\\n\u{202e}\u{2067}\u{61c}\u{2028}\u{feff}\u{e0041}é東</script>";
        for report in all() {
            let report = fixtures::poisoned(report, poison);
            let text = text(&report);
            assert_eq!(text.chars().find(|&c| c != '\n' && is_hostile(c)), None);
            assert!(text.contains(r"\u202e\u2067\u061c\u2028\ufeff\udb40\udc41é東</script>"));
            let parsed: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(parsed, serde_json::to_value(&report).unwrap());
        }
    }

    #[test]
    fn a_writer_that_fails_fails_the_report() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = json(&fixtures::full(), &mut Closed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
