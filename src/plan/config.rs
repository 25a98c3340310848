//! The configuration file, `overstay.toml`: its tables as they stand there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::findings::{Kind, Severities, Severity, Suppression, Target};
use crate::report::Expect;
use crate::time::{Instant, parse_table_instant};

/// A configuration file, read.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it lies; relative paths in it start from its folder.
    pub path: PathBuf,
    /// BLAKE3 of it, hex.
    pub digest: String,
    /// What it says.
    pub tables: Tables,
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
                let before = &text[..span.start.min(text.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
                format!("{line}: {column}: ")
            });
            Error::new(format!("{shown}: {place}{}", error.message().trim_end()))
        })?;
        Ok(ConfigFile {
            path: path.to_owned(),
            digest: blake3::hash(&bytes).to_hex().to_string(),
            tables,
        })
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about something in this file.
    pub fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::new(format!("{}: {what}", self.path.display()))
    }

    /// What the file says that this version has no use for, a line each.
    ///
    /// # Errors
    ///
    /// If leaving it aside would give wrong counts.
    pub fn unused(&self) -> Result<Vec<String>> {
        let Tables { state, privacy, anomaly, alert, logs, .. } = &self.tables;
        if let Some(logs) = logs.iter().find(|logs| logs.dedupe) {
            let source = &logs.source;
            return Err(self
                .error(format!("[[logs]] {source}: found `dedupe = true`, and this version does not look for repeats"))
                .hint("remove repeated records first, or set it to false and know that they count twice"));
        }
        let tables =
            [("state", state), ("privacy", privacy), ("anomaly", anomaly), ("alert", alert)];
        let given = tables.into_iter().filter(|(_, table)| table.is_some());
        let unused = given.map(|(name, _)| {
            format!("{}: [{name}] is not used by this version", self.path.display())
        });
        Ok(unused.collect())
    }

    /// The configured severities.
    ///
    /// # Errors
    ///
    /// If a kind or a severity is unknown.
    pub fn severities(&self) -> Result<Severities> {
        let mut severities = Severities::new();
        for (kind, severity) in &self.tables.severity {
            let known = self.kind(kind, "[severity]")?;
            let severity = Severity::from_name(severity).ok_or_else(|| {
                self.error(format!("[severity] {kind}: found `{severity}`, expected critical, high, medium, low or info"))
            })?;
            severities.insert(known, severity);
        }
        Ok(severities)
    }

    /// The configured suppressions.
    ///
    /// # Errors
    ///
    /// If one names no finding or kind, both, or an end that is no instant.
    pub fn suppressions(&self) -> Result<Vec<Suppression>> {
        self.tables.suppress.iter().map(|suppress| self.suppression(suppress)).collect()
    }

    fn suppression(&self, suppress: &Suppress) -> Result<Suppression> {
        if let Some(id) = suppress.finding.as_ref().filter(|id| !id.starts_with("os-")) {
            return Err(self.error(format!(
                "[[suppress]] finding: found `{id}`, expected an id such as os-7f3k2mq4t6xa"
            )));
        }
        let target = match (&suppress.finding, &suppress.kind) {
            (Some(id), None) if suppress.partner.is_none() && suppress.api.is_none() => {
                Target::Finding(id.clone())
            }
            (None, Some(kind)) => Target::Kind {
                kind: self.kind(kind, "[[suppress]]")?,
                partner: suppress.partner.clone(),
                api: suppress.api.clone(),
            },
            _ => {
                return Err(self.error(
                    "[[suppress]]: expected either `finding`, or `kind` with `partner` and `api` if only those are meant",
                ));
            }
        };
        for (key, value) in [("owner", &suppress.owner), ("reason", &suppress.reason)] {
            if value.trim().is_empty() {
                return Err(
                    self.error(format!("[[suppress]] {key}: found nothing, expected who or why"))
                );
            }
        }
        let until = instant(&suppress.until.0).ok_or_else(|| {
            self.error(format!(
                "[[suppress]] until: found `{}`, expected a date or RFC 3339",
                suppress.until.0
            ))
        })?;
        Ok(Suppression {
            target,
            owner: suppress.owner.clone(),
            reason: suppress.reason.clone(),
            until,
        })
    }

    fn kind(&self, name: &str, table: &str) -> Result<Kind> {
        Kind::from_name(name).ok_or_else(|| {
            let error =
                self.error(format!("{table}: found kind `{name}`, expected a kind of finding"));
            let names: Vec<&str> = Kind::all().map(Kind::as_str).collect();
            match crate::nearest::similar(name, names.iter().copied()) {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None => error.hint(format!("one of {}", names.join(", "))),
            }
        })
    }
}

fn instant(text: &str) -> Option<Instant> {
    parse_table_instant(text).ok()
}

/// The tables.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// `[register]`.
    pub register: Option<Register>,
    /// `[[logs]]`.
    pub logs: Vec<Logs>,
    /// `[formats.NAME]`.
    pub formats: BTreeMap<String, toml::Table>,
    /// `[report]`.
    pub report: Report,
    /// `[severity]`.
    pub severity: BTreeMap<String, String>,
    /// `[[suppress]]`.
    pub suppress: Vec<Suppress>,
    /// `[state]`: this version keeps none.
    pub state: Option<toml::Table>,
    /// `[privacy]`: this version stores nothing to encipher.
    pub privacy: Option<toml::Table>,
    /// `[anomaly]`: this version has no history to measure by.
    pub anomaly: Option<toml::Table>,
    /// `[alert]`: this version sends none.
    pub alert: Option<toml::Table>,
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
    /// Whether to look for repeats: not in this version.
    #[serde(default)]
    pub dedupe: bool,
    /// How long a run that keeps state looks back; this version keeps none.
    pub lookback: Option<String>,
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

/// `[report]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `KIND[=PATH]`, as `--report`.
    #[serde(default)]
    pub outputs: Vec<String>,
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
