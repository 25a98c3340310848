//! The configuration file, `overstay.toml`: its tables as they stand there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::anomaly::{HISTORY_DAYS_MAX, Thresholds};
use crate::error::{Error, Problems, Result};
use crate::findings::{Kind, Severities, Severity, Suppression, Target, begins_id};
use crate::nearest::did_you_mean;
use crate::report::Expect;
use crate::time::{Instant, odd_unix_seconds, parse_table_instant};

/// A configuration file, read.
pub struct ConfigFile {
    /// Where it lies; relative paths in it start from its folder.
    pub path: PathBuf,
    /// BLAKE3 of it, hex.
    pub digest: String,
    /// What it says.
    pub tables: Tables,
    text: String,
}

impl fmt::Debug for ConfigFile {
    /// Without its text: secrets may stand there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ConfigFile");
        shown.field("path", &self.path).field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl ConfigFile {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    ///
    /// If it can't be read, or does not fit; with line and column.
    pub fn read(path: &Path) -> Result<ConfigFile> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| Error::io(&shown, error))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            Error::new(format!(
                "{shown}: found bytes that are not UTF-8 at byte {}, expected a TOML file",
                error.valid_up_to()
            ))
        })?;
        let tables: Tables = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| {
                let (line, column) = line_and_column(text, span.start);
                format!("{line}: {column}: ")
            });
            let told = without_value(error.message().trim_end());
            let told = told.as_str();
            Error::new(format!("{shown}: {place}{told}")).maybe_hint(near_key(told))
        })?;
        Ok(ConfigFile {
            path: path.to_owned(),
            digest: blake3::hash(&bytes).to_hex().to_string(),
            tables,
            text: text.to_owned(),
        })
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about what stands at a place of this file.
    pub fn error(&self, span: Range<usize>, what: impl std::fmt::Display) -> Error {
        let (line, _) = line_and_column(&self.text, span.start);
        Error::new(format!("{}: {line}: {what}", self.path.display()))
    }

    /// What the file says that this version has no use for, a line each.
    pub fn unused(&self) -> Vec<String> {
        let archive = self.tables.state.archive.filter(|is_asked| *is_asked);
        let unused = archive.map(|_| {
            format!("{}: [state] archive is not used by this version", self.path.display())
        });
        unused.into_iter().collect()
    }

    /// What it takes to be an anomaly; a problem for each number that can't be meant.
    pub fn thresholds(&self, problems: &mut Problems) -> Thresholds {
        let given = &self.tables.anomaly;
        let mut thresholds = Thresholds::default();
        let days = 1..=HISTORY_DAYS_MAX;
        let whole = 1..=u32::MAX;
        let numbers = [
            ("history_days", &given.history_days, days.clone(), &mut thresholds.history_days),
            ("history_days_min", &given.history_days_min, days, &mut thresholds.history_days_min),
            (
                "spike_calls_min",
                &given.spike_calls_min,
                whole.clone(),
                &mut thresholds.spike_calls_min,
            ),
            (
                "sweep_subjects_min",
                &given.sweep_subjects_min,
                whole.clone(),
                &mut thresholds.sweep_subjects_min,
            ),
            ("burst_denied_min", &given.burst_denied_min, whole, &mut thresholds.burst_denied_min),
            ("drop_hours_min", &given.drop_hours_min, 1..=3, &mut thresholds.drop_hours_min),
        ];
        for (key, number, range, place) in numbers {
            let Some(number) = number else { continue };
            match u32::try_from(*number.get_ref()).ok().filter(|number| range.contains(number)) {
                Some(number) => *place = number,
                None => {
                    let (found, least, most) = (number.get_ref(), range.start(), range.end());
                    let what = format!(
                        "[anomaly] {key}: found {found}, expected a number from {least} to {most}"
                    );
                    problems.0.push(self.error(number.span(), what));
                }
            }
        }
        let ratios = [
            ("spike_ratio_min", &given.spike_ratio_min, 1.0..=1e6, &mut thresholds.spike_ratio_min),
            ("sweep_ratio_min", &given.sweep_ratio_min, 1.0..=1e6, &mut thresholds.sweep_ratio_min),
            ("burst_ratio_min", &given.burst_ratio_min, 1.0..=1e6, &mut thresholds.burst_ratio_min),
            (
                "drop_expected_min",
                &given.drop_expected_min,
                1.0..=1e9,
                &mut thresholds.drop_expected_min,
            ),
            ("drop_ratio_max", &given.drop_ratio_max, 0.0..=1.0, &mut thresholds.drop_ratio_max),
            ("score_min", &given.score_min, 0.0..=1e6, &mut thresholds.score_min),
            ("drop_score_min", &given.drop_score_min, 0.0..=1e6, &mut thresholds.drop_score_min),
            ("day_ratio_max", &given.day_ratio_max, 1.0..=1e6, &mut thresholds.day_ratio_max),
            ("tide_ratio_min", &given.tide_ratio_min, 0.0..=1.0, &mut thresholds.tide_ratio_min),
        ];
        for (key, number, range, place) in ratios {
            let Some(number) = number else { continue };
            match range.contains(number.get_ref()) {
                true => *place = *number.get_ref(),
                false => {
                    let (found, least, most) = (number.get_ref(), range.start(), range.end());
                    let what = format!(
                        "[anomaly] {key}: found {found}, expected a number from {least} to {most}"
                    );
                    problems.0.push(self.error(number.span(), what));
                }
            }
        }
        if thresholds.history_days_min > thresholds.history_days {
            let given = given.history_days_min.as_ref().or(given.history_days.as_ref());
            let what = format!(
                "[anomaly]: history_days_min is {}, expected no more than history_days, which is {}",
                thresholds.history_days_min, thresholds.history_days
            );
            problems.0.push(self.error(given.map_or(0..0, Spanned::span), what));
        }
        thresholds
    }

    /// Whether new networks are looked for.
    pub fn notes_networks(&self) -> bool {
        self.tables.anomaly.new_network
    }

    /// The configured severities; a problem for each kind or severity that is unknown.
    pub fn severities(&self, problems: &mut Problems) -> Severities {
        let mut severities = Severities::new();
        for (kind, severity) in &self.tables.severity {
            let (span, severity) = (severity.span(), severity.get_ref());
            let known = problems.note(self.kind(kind, span.clone(), "[severity]"));
            let severity = Severity::from_name(severity).ok_or_else(|| {
                self.error(span, format!("[severity] {kind}: found `{severity}`, expected critical, high, medium, low or info"))
            });
            severities.extend(known.zip(problems.note(severity)));
        }
        severities
    }

    /// The configured suppressions; a problem for each key of them that does not fit.
    pub fn suppressions(&self, problems: &mut Problems) -> Vec<Suppression> {
        let read = |suppress| self.suppression(suppress, problems);
        self.tables.suppress.iter().filter_map(read).collect()
    }

    fn suppression(
        &self,
        suppress: &Spanned<Suppress>,
        problems: &mut Problems,
    ) -> Option<Suppression> {
        let (span, suppress) = (suppress.span(), suppress.get_ref());
        let error = |what: String| self.error(span.clone(), format!("[[suppress]]{what}"));
        let target = match (&suppress.finding, &suppress.kind) {
            (Some(id), None) if suppress.partner.is_none() && suppress.api.is_none() => {
                match begins_id(id) {
                    true => Ok(Target::Finding(id.clone())),
                    false => Err(error(format!(
                        " finding: found `{id}`, expected an id such as os-7f3k2mq4t6xa, or how it begins"
                    ))),
                }
            }
            (None, Some(kind)) => {
                self.kind(kind, span.clone(), "[[suppress]]").map(|kind| Target::Kind {
                    kind,
                    partner: suppress.partner.clone(),
                    api: suppress.api.clone(),
                })
            }
            _ => Err(error(
                ": expected either `finding`, or `kind` with `partner` and `api` if only those are meant".to_owned(),
            )),
        };
        let target = problems.note(target);
        for (key, value) in [("owner", &suppress.owner), ("reason", &suppress.reason)] {
            if value.trim().is_empty() {
                problems.0.push(error(format!(" {key}: found nothing, expected who or why")));
            }
        }
        let until = &suppress.until.0;
        let until = problems
            .note(instant(until).map_err(|expected| {
                error(format!(" until: found `{until}`, expected {expected}"))
            }));
        Some(Suppression {
            target: target?,
            owner: suppress.owner.clone(),
            reason: suppress.reason.clone(),
            until: until?,
        })
    }

    fn kind(&self, name: &str, span: Range<usize>, table: &str) -> Result<Kind> {
        Kind::from_name(name).ok_or_else(|| {
            let what = format!("{table}: found kind `{name}`, expected a kind of finding");
            let error = self.error(span, what);
            let names: Vec<&str> = Kind::all().map(Kind::as_str).collect();
            error
                .hint(format!("one of {}", names.join(", ")))
                .maybe_hint(did_you_mean(name, names.iter().copied()))
        })
    }
}

/// What an unknown key may have meant, out of the TOML reader's words: "unknown field `a`, expected `b` or `c`".
fn near_key(told: &str) -> Option<String> {
    let mut quoted = told.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    did_you_mean(unknown, quoted.collect::<Vec<_>>())
}

/// The TOML reader's words without a text of another type than was expected: it may be a secret that stands in the wrong place.
fn without_value(told: &str) -> String {
    let begins = "invalid type: string \"";
    match (told.strip_prefix(begins), told.rfind("\", expected ")) {
        (Some(_), Some(end)) => format!("invalid type: string{}", &told[end + 1..]),
        _ => told.to_owned(),
    }
}

/// Both from 1, the column in characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// An instant as a person writes it on the command line or in a config.
///
/// # Errors
///
/// What was expected. Numbers that are surely no Unix seconds are refused: taken as such they would move a window or an
/// end by years in silence.
pub(super) fn instant(text: &str) -> std::result::Result<Instant, String> {
    let expected = "RFC 3339 (2018-12-18T09:30:00Z), a date, or Unix seconds";
    let whole = with_seconds(text);
    match odd_unix_seconds(text) {
        Some(odd) => Err(format!("{expected}: as seconds {odd}")),
        None => parse_table_instant(&whole).map_err(|_| expected.to_owned()),
    }
}

/// The same with seconds, where it has minutes, as reports write hours: `2018-12-18T09:30Z`.
fn with_seconds(text: &str) -> Cow<'_, str> {
    match text.strip_suffix('Z') {
        Some(minutes) if minutes.len() == "2018-12-18T09:30".len() => {
            Cow::Owned(format!("{minutes}:00Z"))
        }
        _ => Cow::Borrowed(text),
    }
}

/// The tables.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// `[register]`.
    pub register: Option<Register>,
    /// `[[logs]]`.
    pub logs: Vec<Spanned<Logs>>,
    /// `[formats.NAME]`.
    pub formats: BTreeMap<String, Spanned<toml::Table>>,
    /// `[report]`.
    pub report: Report,
    /// `[severity]`.
    pub severity: BTreeMap<String, Spanned<String>>,
    /// `[[suppress]]`.
    pub suppress: Vec<Spanned<Suppress>>,
    /// `[state]`.
    pub state: State,
    /// `[privacy]`.
    pub privacy: Privacy,
    /// `[anomaly]`.
    pub anomaly: Anomaly,
    /// `[alert]`.
    pub alert: Alert,
}

/// `[alert]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alert {
    /// After how long what is open and critical is told again.
    pub remind_every: Option<Spanned<String>>,
    /// Who hears of each run.
    pub heartbeat: Option<Spanned<HeartbeatGiven>>,
    /// Receivers by HTTP.
    pub webhook: Vec<Spanned<Webhook>>,
    /// Programs.
    pub command: Vec<Spanned<AlertCommand>>,
}

/// A text that is not to be seen.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Where requests of `[alert]` go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heartbeat {
    /// The URL itself.
    pub url: Option<Hidden>,
    /// The variable that holds it.
    pub url_env: Option<String>,
    /// The file that holds it.
    pub url_file: Option<String>,
    /// Headers.
    pub headers: BTreeMap<String, HeaderGiven>,
    /// The certificates of those to trust.
    pub ca_file: Option<String>,
    /// How long an attempt may take.
    pub timeout: Option<Spanned<String>>,
}

/// `webhook` of `[alert]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// What it is called.
    pub name: Option<String>,
    /// The URL itself.
    pub url: Option<Hidden>,
    /// The variable that holds it.
    pub url_env: Option<String>,
    /// The file that holds it.
    pub url_file: Option<String>,
    /// Headers.
    pub headers: BTreeMap<String, HeaderGiven>,
    /// The certificates of those to trust.
    pub ca_file: Option<String>,
    /// How long an attempt may take.
    pub timeout: Option<Spanned<String>>,
    /// The name of a template.
    pub template: Option<Spanned<String>>,
    /// A template in a file.
    pub template_file: Option<String>,
    /// What that makes.
    pub content_type: Option<Spanned<String>>,
    /// From which severity on it is told.
    pub min_severity: Option<Spanned<String>>,
}

/// `command` of `[alert]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertCommand {
    /// What it is called.
    pub name: Option<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The name of a template.
    pub template: Option<Spanned<String>>,
    /// A template in a file.
    pub template_file: Option<String>,
    /// How long it may take.
    pub timeout: Option<Spanned<String>>,
    /// From which severity on it is told.
    pub min_severity: Option<Spanned<String>>,
}

/// `heartbeat`: a URL, or a table.
#[derive(Debug)]
pub struct HeartbeatGiven(pub Heartbeat);

impl<'de> Deserialize<'de> for HeartbeatGiven {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<HeartbeatGiven, D::Error> {
        let of_text =
            |url: &str| Heartbeat { url: Some(Hidden(url.to_owned())), ..Heartbeat::default() };
        let expected = "a URL, or a table with url, url_env or url_file";
        TextOr::new(expected, of_text).read(deserializer).map(HeartbeatGiven)
    }
}

/// The value of a header, or where it is kept.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderTable {
    /// The value itself.
    #[serde(skip)]
    pub plain: Option<Hidden>,
    /// The variable that holds it.
    pub env: Option<String>,
    /// The file that holds it.
    pub file: Option<String>,
}

/// A header: its value, or a table.
#[derive(Debug)]
pub struct HeaderGiven(pub HeaderTable);

impl<'de> Deserialize<'de> for HeaderGiven {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<HeaderGiven, D::Error> {
        let of_text = |value: &str| HeaderTable {
            plain: Some(Hidden(value.to_owned())),
            ..HeaderTable::default()
        };
        let expected = "a text, or a table with env or file";
        TextOr::new(expected, of_text).read(deserializer).map(HeaderGiven)
    }
}

/// Reads a text, or a table in its place. An untagged enum could not say which key of the table is unknown.
struct TextOr<T> {
    expected: &'static str,
    of_text: fn(&str) -> T,
}

impl<T> TextOr<T> {
    fn new(expected: &'static str, of_text: fn(&str) -> T) -> TextOr<T> {
        TextOr { expected, of_text }
    }

    fn read<'de, D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<T, D::Error>
    where
        T: Deserialize<'de>,
    {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for TextOr<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<T, E> {
        Ok((self.of_text)(text))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, table: A) -> std::result::Result<T, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(table))
    }
}

/// `[register]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// A folder.
    pub source: String,
    /// The default propagation, in seconds.
    #[serde(default)]
    pub propagation_s: u64,
}

/// `[[logs]]`: one source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Its name.
    pub source: String,
    /// Its files.
    pub paths: Vec<String>,
    /// Their format; absent: `auto`.
    pub format: Option<String>,
    /// How often it is expected to hold calls.
    pub expect: Option<ExpectWord>,
    /// Whether to look for repeats; absent: as its format is.
    pub dedupe: Option<bool>,
    /// For how long `nightly` remembers a log that is no longer there.
    pub lookback: Option<Spanned<String>>,
}

/// `expect` of `[[logs]]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectWord {
    /// In every hour.
    Hourly,
    /// On every day.
    Daily,
}

impl From<ExpectWord> for Expect {
    fn from(word: ExpectWord) -> Expect {
        match word {
            ExpectWord::Hourly => Expect::Hourly,
            ExpectWord::Daily => Expect::Daily,
        }
    }
}

/// `[state]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Its folder.
    pub dir: Option<String>,
    /// How many days are kept.
    pub keep_days: Option<std::num::NonZeroU16>,
    /// For how many days records are remembered, where repeats are sought.
    pub repeat_days: Option<std::num::NonZeroU16>,
    /// Whether calls are kept for judging them again; this version keeps none.
    pub archive: Option<bool>,
}

/// `[privacy]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// The file of the privacy key.
    pub key_file: Option<String>,
}

/// `[anomaly]`: what is looked for, and what it takes to be one. [`Thresholds`] tells what each number means.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // each of the others is a field of `Thresholds`
pub struct Anomaly {
    /// Whether credentials that are presented from a network for the first time are told.
    pub new_network: bool,
    pub history_days: Option<Spanned<i64>>,
    pub history_days_min: Option<Spanned<i64>>,
    pub spike_calls_min: Option<Spanned<i64>>,
    pub spike_ratio_min: Option<Spanned<f64>>,
    pub sweep_subjects_min: Option<Spanned<i64>>,
    pub sweep_ratio_min: Option<Spanned<f64>>,
    pub burst_denied_min: Option<Spanned<i64>>,
    pub burst_ratio_min: Option<Spanned<f64>>,
    pub drop_expected_min: Option<Spanned<f64>>,
    pub drop_ratio_max: Option<Spanned<f64>>,
    pub drop_hours_min: Option<Spanned<i64>>,
    pub score_min: Option<Spanned<f64>>,
    pub drop_score_min: Option<Spanned<f64>>,
    pub day_ratio_max: Option<Spanned<f64>>,
    pub tide_ratio_min: Option<Spanned<f64>>,
}

/// `[report]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The folder of the reports that `nightly` keeps.
    pub dir: Option<String>,
    /// `KIND[=PATH]`, as `--report`.
    #[serde(default)]
    pub outputs: Vec<Spanned<String>>,
}

/// `[[suppress]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppress {
    /// A finding's id.
    pub finding: Option<String>,
    /// A kind of finding.
    pub kind: Option<String>,
    /// Only this partner's.
    pub partner: Option<String>,
    /// Only on this api.
    pub api: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: When,
}

/// An instant in a config: a string, or a TOML date or date-time.
#[derive(Debug)]
pub struct When(pub String);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<When, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Date(toml::value::Datetime),
        }
        Ok(When(match Value::deserialize(deserializer)? {
            Value::Text(text) => text,
            Value::Date(date) => date.to_string(),
        }))
    }
}
