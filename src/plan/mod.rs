//! Command line and configuration to a plan: whatever depends on the machine is resolved here, once.
//!
//! Below this file nothing reads the clock, the environment, the terminal or the current folder.

mod alert;
mod config;
mod init;
mod nightly;
mod synth;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use toml::Spanned;

pub use config::ConfigFile;
pub use init::{Given, InitPlan, REGISTER_NAME, TABLE_NAMES, init};
pub use nightly::{
    AlertTask, AlertsPlan, NightlyPlan, NightlySource, ReportPlan, StatePlan, VerifyPlan, alerts,
    nightly, report, verify,
};
pub use synth::{Compress, LogsTo, SynthPlan, synth};

use crate::anomaly::Thresholds;
use crate::call::Outcome;
use crate::cli::{
    AuditArgs, CallsArgs, CheckArgs, ColorArg, DistinctArg, FormatsArgs, HowArgs, IoArg,
    OutputArgs, ReadArgs,
};
use crate::error::{Error, Problems, Result};
use crate::findings::{Kind, Severities, Severity, Suppression};
use crate::formats::Format;
use crate::input::{self, Found, Io, Start, Version};
use crate::limits;
use crate::nearest::did_you_mean;
use crate::register::may_be_table;
use crate::render::CSV_TABLES;
use crate::report::{Expect, Partial, PathsFrom};
use crate::tally::By;
use crate::time::{Instant, S_PER_DAY};

/// The configuration that is looked for in the current folder.
pub const CONFIG_NAME: &str = "overstay.toml";
/// The source of logs given as arguments that no source of the config claims.
const ARGUMENT_SOURCE: &str = "logs";
/// What stands for a format that is to be told from a log's first lines.
const AUTO: &str = "auto";
/// Columns of a terminal report that no terminal shows.
const WIDTH_DEFAULT: usize = 80;

/// Where the register is.
#[derive(Clone, Debug)]
pub struct RegisterPlan {
    /// Its folder.
    pub folder: PathBuf,
    /// The instant to know it at.
    pub as_known_at: Option<Instant>,
    /// The default propagation, in seconds.
    pub propagation_s: u64,
}

/// One input to read.
#[derive(Clone, Debug)]
pub struct InputPlan {
    /// Where it is.
    pub found: Found,
    /// Index into [`ReadPlan::sources`].
    pub source: u32,
    /// Its format; `None`: to be told from its first lines.
    pub format: Option<usize>,
    /// Whether records of its source that repeat others count once; `None`: as its format has it.
    pub dedupe: Option<bool>,
    /// Which file it is, and how much of it counts, if it was looked at before; else that is settled when it is opened.
    pub version: Option<Version>,
    /// Where to begin.
    pub start: Start,
    /// How many lines lie before that.
    pub lines_before: u64,
}

/// What to read, and by what to judge it.
#[derive(Debug)]
pub struct ReadPlan {
    /// The register, if there is one.
    pub register: Option<RegisterPlan>,
    /// All formats: the built-in ones and the config's.
    pub formats: Vec<Format>,
    /// The sources, by name.
    pub sources: Vec<(String, Option<Expect>)>,
    /// The inputs, by path, then source.
    pub inputs: Vec<InputPlan>,
    /// What was asked for and is not there.
    pub unread: Vec<Partial>,
    /// The window's start.
    pub since: Option<Instant>,
    /// The window's end.
    pub until: Option<Instant>,
    /// How many rejects an input may have.
    pub max_rejects: MaxRejects,
    /// How to read.
    pub options: input::Options,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
    /// Whether to show progress on standard error.
    pub progress: bool,
    /// BLAKE3 of the configuration, hex.
    pub config_digest: Option<String>,
    /// What the inputs' paths are relative to.
    pub paths_from: PathsFrom,
    /// Configured severities.
    pub severities: Severities,
    /// Configured suppressions.
    pub suppressions: Vec<Suppression>,
    /// What it takes to be an anomaly.
    pub thresholds: Thresholds,
    /// Whether the networks that calls come from are noted, to find new ones.
    pub notes_networks: bool,
    /// What the configuration says in vain, a line each.
    pub unused: Vec<String>,
    /// Whether days are counted apart.
    pub by: By,
    /// How many bytes sums by day may take in memory before they are laid aside. It changes nothing but that.
    pub counted_bytes_max: usize,
}

/// How many rejects an input may have before its report is partial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxRejects {
    /// So many.
    Count(u64),
    /// Such a share of its calls and counted rejects, in percent.
    Percent(f64),
}

/// One report to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// As what.
    pub kind: OutputKind,
    /// Where to; `None`: standard output.
    pub path: Option<PathBuf>,
}

/// The kinds of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// For people.
    Terminal,
    /// `overstay.report/1`.
    Json,
    /// CSV, a file for each table in a folder.
    Csv,
    /// Markdown, all of it.
    Markdown,
    /// Markdown in a folder: all of it, and a page for each partner.
    MarkdownPages,
    /// Metrics for Prometheus.
    Prometheus,
    /// The findings as events of OCSF.
    Ocsf,
}

/// The whole report in a folder of Markdown pages.
pub const MARKDOWN_WHOLE: &str = "report.md";
/// The folder of partners' pages within it.
pub const MARKDOWN_PARTNERS: &str = "partners";

impl Output {
    /// The files that it writes whatever is in the report.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(path) = &self.path else { return Vec::new() };
        match self.kind {
            OutputKind::Csv => {
                CSV_TABLES.iter().map(|table| path.join(format!("{}.csv", table.name))).collect()
            }
            OutputKind::MarkdownPages => vec![path.join(MARKDOWN_WHOLE)],
            OutputKind::Terminal
            | OutputKind::Json
            | OutputKind::Markdown
            | OutputKind::Prometheus
            | OutputKind::Ocsf => vec![path.clone()],
        }
    }

    /// The folders that it writes in and makes where they are not there, the outer before the inner.
    pub fn folders(&self) -> Vec<PathBuf> {
        let Some(path) = &self.path else { return Vec::new() };
        match self.kind {
            OutputKind::Csv => vec![path.clone()],
            OutputKind::MarkdownPages => vec![path.clone(), path.join(MARKDOWN_PARTNERS)],
            OutputKind::Terminal
            | OutputKind::Json
            | OutputKind::Markdown
            | OutputKind::Prometheus
            | OutputKind::Ocsf => Vec::new(),
        }
    }
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Display {
    /// Columns of standard output; none where nothing limits them.
    pub width: Option<usize>,
    /// Columns of a file: those that the user asks for, however wide the terminal is.
    pub file_width: Option<usize>,
    /// Whether to colour standard output.
    pub colour: bool,
}

/// The plan of `audit`.
#[derive(Debug)]
pub struct AuditPlan {
    /// What to read.
    pub read: ReadPlan,
    /// What to write.
    pub outputs: Vec<Output>,
    /// What standard output can show.
    pub display: Display,
    /// The severity that turns the exit status.
    pub fail_on: Option<Severity>,
    /// The only partner to report on.
    pub partner: Option<String>,
}

/// The filters of `calls`: of each kind one must hold, if there are any.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Start of a finding's id.
    pub finding: Option<String>,
    /// Partners.
    pub partners: Vec<String>,
    /// Credentials, as given.
    pub credentials: Vec<String>,
    /// Apis.
    pub apis: Vec<String>,
    /// Operations.
    pub operations: Vec<String>,
    /// Verdicts, also as what is held against a call beside its verdict; `hindsight` too.
    pub verdicts: Vec<String>,
    /// Outcomes.
    pub outcomes: Vec<Outcome>,
    /// Subjects.
    pub subjects: Vec<String>,
}

/// What `calls` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallsOutput {
    /// Each call as a JSON object.
    Json,
    /// The log's own lines.
    Raw,
    /// Each value of a field once.
    Distinct(DistinctArg),
}

/// The plan of `calls`.
#[derive(Debug)]
pub enum CallsPlan {
    /// Print calls.
    Stream {
        /// What to read.
        read: Box<ReadPlan>,
        /// Which calls.
        filters: Filters,
        /// As what.
        output: CallsOutput,
    },
    /// Compare a report's evidence with the logs.
    Verify {
        /// The report.
        report: PathBuf,
        /// The folder of the configuration, if there is one.
        config_folder: Option<PathBuf>,
    },
}

/// The plan of `check`.
#[derive(Debug)]
pub struct CheckPlan {
    /// The configuration, if there is one.
    pub config: Option<PathBuf>,
    /// All that is wrong with it.
    pub problems: Vec<Error>,
    /// All formats: the built-in ones and the config's.
    pub formats: Vec<Format>,
    /// Its suppressions.
    pub suppressed: Vec<Suppression>,
    /// The register's folder.
    pub register: Option<PathBuf>,
    /// What the configuration says in vain, a line each.
    pub odd: Vec<String>,
    /// Only problems.
    pub quiet: bool,
}

/// The plan of `formats`.
#[derive(Debug)]
pub struct FormatsPlan {
    /// All formats: the built-in ones and the config's.
    pub formats: Vec<Format>,
    /// The log to look at; without one the formats are listed.
    pub log: Option<Found>,
    /// The only format to try, an index.
    pub format: Option<usize>,
    /// Whether lines and what identifies people are shown.
    pub raw: bool,
    /// Columns of standard output, where something limits them.
    pub columns: Option<usize>,
}

/// Plans `formats`.
///
/// # Errors
///
/// If the formats of the configuration do not fit, or the log is none or several.
pub fn formats(args: &FormatsArgs) -> Result<FormatsPlan> {
    let config = find_config(args.config.as_deref())?;
    let mut problems = Problems::default();
    let formats = formats_of(config.as_ref(), &mut problems);
    problems.told("the configuration")?;
    let format = match &args.log_format {
        Some(name) => format_index(&formats, name, "--log-format")?,
        None => None,
    };
    let log = match &args.file {
        None => None,
        Some(file) => {
            let mut findings = input::find(file, None)?;
            if let Some((path, reason)) = findings.unreadable.pop() {
                return Err(Error::new(format!("{path}: {reason}")));
            }
            match (findings.found.pop(), findings.found.len()) {
                (Some(found), 0) => Some(found),
                (found, others) => {
                    let count = others + usize::from(found.is_some());
                    return Err(Error::new(format!("{file}: found {count} logs, expected one")));
                }
            }
        }
    };
    Ok(FormatsPlan { formats, log, format, raw: args.raw, columns: width() })
}

/// Plans `audit`.
///
/// # Errors
///
/// On wrong usage, a configuration that does not fit, and logs that are not there.
pub fn audit(args: &AuditArgs) -> Result<AuditPlan> {
    let config = find_config(args.read.config.as_deref())?;
    let (mut read, logs) = read_plan(&args.read, config.as_ref())?;
    read.options.digest = args.digest;
    let fail_on = fail_on_of(&args.output)?;
    if fail_on.is_some() && read.register.is_none() {
        return Err(Error::new(
            "--fail-on needs a register: without one nothing is judged, and nothing could fail",
        )
        .hint("give --register DIR, or the configuration with --config FILE"));
    }
    let outputs = outputs_of(&args.output, config.as_ref())?;
    let mut problems = Problems::default();
    spare_files(&outputs, config.as_ref(), read.register.as_ref(), &logs, &mut problems);
    problems.told("the list of reports")?;
    let partner = args.partner.clone();
    Ok(AuditPlan { read, outputs, display: display(args.output.color), fail_on, partner })
}

/// Plans `calls`.
///
/// # Errors
///
/// As [`audit`].
pub fn calls(args: &CallsArgs) -> Result<CallsPlan> {
    let config = find_config(args.read.config.as_deref())?;
    if let Some(report) = &args.verify {
        let config_folder = config.as_ref().map(|config| config.folder().to_owned());
        return Ok(CallsPlan::Verify { report: report.clone(), config_folder });
    }
    let (mut read, _) = read_plan(&args.read, config.as_ref())?;
    // On one terminal the bar and the calls would overwrite each other.
    read.progress &= !std::io::stdout().is_terminal();
    let verdict = |name: &String| {
        let names = || Kind::of_calls().map(Kind::as_str).chain(["open", "granted"]);
        match names().any(|known| known == name) {
            true => Ok(name.clone()),
            false => Err(unknown("--verdict", name, names())),
        }
    };
    let outcome = |name: &String| {
        Outcome::from_name(name)
            .ok_or_else(|| unknown("--outcome", name, Outcome::ALL.map(Outcome::as_str)))
    };
    let filters = Filters {
        finding: args.finding.clone(),
        partners: args.partner.clone(),
        credentials: args.credential.clone(),
        apis: args.api.clone(),
        operations: args.operation.clone(),
        verdicts: args.verdict.iter().map(verdict).collect::<Result<_>>()?,
        outcomes: args.outcome.iter().map(outcome).collect::<Result<_>>()?,
        subjects: args.subject.clone(),
    };
    let output = match (args.raw, args.distinct) {
        (_, Some(field)) => CallsOutput::Distinct(field),
        (true, None) => CallsOutput::Raw,
        (false, None) => CallsOutput::Json,
    };
    if filters.finding.is_some() && read.inputs.iter().any(|input| input.found.is_stream()) {
        return Err(Error::new(
            "--finding reads the logs twice, and standard input or a pipe can be read once",
        )
        .hint("save it to a file first"));
    }
    Ok(CallsPlan::Stream { read: Box::new(read), filters, output })
}

/// Plans `check`.
///
/// # Errors
///
/// If the configuration does not fit, or there is nothing to check.
pub fn check(args: &CheckArgs) -> Result<CheckPlan> {
    let config = find_config(args.config.as_deref())?;
    let mut problems = Problems::default();
    let formats = formats_of(config.as_ref(), &mut problems);
    let mut suppressed = Vec::new();
    let mut odd = config.as_ref().map(ConfigFile::unused).unwrap_or_default();
    let register = register_plan(args.register.as_deref(), config.as_ref(), None);
    let register = problems.note(register).flatten();
    if let Some(config) = &config {
        let sources = sources_of(Some(config), &formats, &mut problems);
        let severities = config.severities(&mut problems);
        suppressed = config.suppressions(&mut problems);
        let outputs = configured_outputs(config, &mut problems);
        let alerts = alert::alert(config, &mut problems);
        config.thresholds(&mut problems);
        let mut gathered = Gathered::default();
        gathered.configured(config.folder(), &sources, &mut problems);
        let shown = config.path.display();
        odd.extend(alerts.doubts().iter().map(|doubt| format!("{shown}: [alert] {doubt}")));
        odd.extend(gathered.unread.iter().map(|p| format!("{shown}: {}: {}", p.path, p.reason)));
        spare_files(&outputs, Some(config), register.as_ref(), &gathered.logs(), &mut problems);
        if register.is_none() && !(severities.is_empty() && suppressed.is_empty()) {
            odd.push(format!(
                "{shown}: [severity] and [[suppress]] without a register: nothing is judged, so they have no effect"
            ));
        }
    }
    if register.is_none() && config.is_none() {
        problems.told("the configuration")?;
        return Err(Error::new("there is nothing to check")
            .hint("give --config FILE or --register DIR, or run it where overstay.toml is"));
    }
    Ok(CheckPlan {
        odd,
        config: config.map(|config| config.path),
        problems: problems.0,
        formats,
        suppressed,
        register: register.map(|register| register.folder),
        quiet: args.quiet,
    })
}

fn unknown<'a>(flag: &str, found: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    Error::new(format!("{flag}: found `{found}`, expected one of {}", known.join(", ")))
        .maybe_hint(did_you_mean(found, known.iter().copied()))
}

/// The severity that turns the exit status.
fn fail_on_of(args: &OutputArgs) -> Result<Option<Severity>> {
    let severity = |name: &String| {
        Severity::from_name(name)
            .ok_or_else(|| unknown("--fail-on", name, Severity::ALL.map(Severity::as_str)))
    };
    args.fail_on.as_ref().map(severity).transpose()
}

fn find_config(given: Option<&Path>) -> Result<Option<ConfigFile>> {
    match given {
        Some(path) => ConfigFile::read(path).map(Some),
        None if Path::new(CONFIG_NAME).is_file() => {
            ConfigFile::read(Path::new(CONFIG_NAME)).map(Some)
        }
        None => Ok(None),
    }
}

fn register_plan(
    given: Option<&str>,
    config: Option<&ConfigFile>,
    as_known_at: Option<Instant>,
) -> Result<Option<RegisterPlan>> {
    let configured = config.and_then(|config| Some((config, config.tables.register.as_ref()?)));
    let propagation_s = configured.map_or(0, |(_, register)| register.propagation_s);
    let folder = match (given, configured) {
        (Some(given), _) => PathBuf::from(given),
        (None, Some((config, register))) => config.folder().join(&register.source),
        (None, None) => return Ok(None),
    };
    let shown = given.unwrap_or(configured.map_or("", |(_, register)| &register.source));
    if shown.trim().is_empty() {
        return Err(Error::new("register: found no name, expected a folder of CSV tables"));
    }
    for scheme in ["sqlite:", "postgres:", "postgresql:"] {
        if shown.starts_with(scheme) {
            // The rest may hold a password.
            return Err(Error::new(format!(
                "register `{scheme}…`: this version reads registers from folders of CSV tables only"
            ))
            .hint("export the tables to CSV, one file a table, and name the folder"));
        }
    }
    Ok(Some(RegisterPlan { folder, as_known_at, propagation_s }))
}

/// The built-in formats and the config's. A name that means something else is no format's.
fn formats_of(config: Option<&ConfigFile>, problems: &mut Problems) -> Vec<Format> {
    let mut formats: Vec<Format> =
        Format::BUILT_IN.into_iter().filter_map(Format::built_in).collect();
    let Some(config) = config else { return formats };
    for (name, table) in &config.tables.formats {
        if name == AUTO {
            let what =
                "[formats.auto]: found a name that means any of the others, expected another";
            problems.0.push(config.error(table.span(), what));
            continue;
        }
        match Format::from_toml(name, table.get_ref()) {
            // A format of the config may bear the name of a built-in one, and replaces it.
            Ok(format) => {
                formats.retain(|built_in| built_in.name() != name);
                formats.push(format);
            }
            Err(refused) => problems.0.extend(refused.0.into_iter().map(|error| {
                // Format's own words for where it stands are those of a format without a file.
                let text = error.to_string();
                let what = text.strip_prefix(&format!("formats.{name}: ")).unwrap_or(&text);
                config
                    .error(table.span(), format!("[formats.{name}]: {what}"))
                    .maybe_hint(error.hint_text().map(str::to_owned))
            })),
        }
    }
    formats
}

fn format_index(formats: &[Format], name: &str, place: &str) -> Result<Option<usize>> {
    if name == AUTO {
        return Ok(None);
    }
    let found = formats.iter().position(|format| format.name() == name);
    found
        .map(Some)
        .ok_or_else(|| unknown(place, name, formats.iter().map(Format::name).chain([AUTO])))
}

/// A source of the config, with the files it claims.
struct SourcePlan {
    name: String,
    /// For how long a log is remembered that is no longer there, in seconds.
    lookback_s: Option<u64>,
    expect: Option<Expect>,
    dedupe: Option<bool>,
    format: Option<usize>,
    patterns: Vec<String>,
}

fn sources_of(
    config: Option<&ConfigFile>,
    formats: &[Format],
    problems: &mut Problems,
) -> Vec<SourcePlan> {
    let Some(config) = config else { return Vec::new() };
    let mut sources: Vec<SourcePlan> = Vec::new();
    for logs in &config.tables.logs {
        let source = source_of(config, logs, formats, &sources);
        sources.extend(problems.note(source));
    }
    if sources.iter().filter(|source| source.patterns.iter().any(|path| path == "-")).count() > 1 {
        let second =
            config.tables.logs.iter().rfind(|logs| logs.get_ref().paths.iter().any(|p| p == "-"));
        let span = second.map_or(0..0, Spanned::span);
        problems.0.push(config.error(span, "[[logs]] paths: found `-` in two sources, expected it in one: standard input can be read once"));
    }
    sources
}

fn source_of(
    config: &ConfigFile,
    logs: &Spanned<config::Logs>,
    formats: &[Format],
    before: &[SourcePlan],
) -> Result<SourcePlan> {
    let (span, logs) = (logs.span(), logs.get_ref());
    let error = |what: String| config.error(span.clone(), format!("[[logs]] {what}"));
    let name = logs.source.as_str();
    if name.trim().is_empty() {
        return Err(error("source: found nothing, expected a name".to_owned()));
    }
    if before.iter().any(|source| source.name == name) {
        return Err(error(format!("source: found `{name}` twice, expected each name once")));
    }
    if logs.paths.is_empty() || logs.paths.iter().any(|path| path.trim().is_empty()) {
        return Err(error(format!(
            "{name}: paths: found nothing, expected files, folders or globs"
        )));
    }
    let lookback_s = logs.lookback.as_ref().map(|text| span_s(text.get_ref()));
    if let (Some(lookback), Some(None)) = (&logs.lookback, lookback_s) {
        let what = format!(
            "[[logs]] {name}: lookback: found `{}`, expected a number of days or hours such as 3d or 12h",
            lookback.get_ref()
        );
        return Err(config.error(lookback.span(), what));
    }
    let format = match &logs.format {
        // One of the config that does not compile has an error of its own.
        Some(format) if config.tables.formats.contains_key(format) => {
            formats.iter().position(|known| known.name() == format)
        }
        Some(format) => format_index(formats, format, "format").map_err(|unknown| {
            let hint = unknown.hint_text().map(str::to_owned);
            error(format!("{name}: {unknown}")).maybe_hint(hint)
        })?,
        None => None,
    };
    Ok(SourcePlan {
        name: name.to_owned(),
        lookback_s: lookback_s.flatten(),
        expect: logs.expect.map(Expect::from),
        dedupe: logs.dedupe,
        format,
        patterns: logs.paths.clone(),
    })
}

/// A span of time as configs have it, `3d` or `12h`, in seconds.
fn span_s(text: &str) -> Option<u64> {
    let (number, unit_s) = match text.strip_suffix('d') {
        Some(days) => (days, S_PER_DAY as u64),
        None => (text.strip_suffix('h')?, 3600),
    };
    let number: u32 = number.parse().ok()?;
    (number > 0).then_some(u64::from(number) * unit_s)
}

fn read_plan(args: &ReadArgs, config: Option<&ConfigFile>) -> Result<(ReadPlan, Logs)> {
    let since = instant("--since", args.since.as_deref())?;
    let until = instant("--until", args.until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Error::new(format!("--since {since} is not before --until {until}")));
    }
    let as_known_at = instant("--as-known-at", args.as_known_at.as_deref())?;
    let mut problems = Problems::default();
    let formats = formats_of(config, &mut problems);
    let sources = sources_of(config, &formats, &mut problems);
    let severities = config.map(|config| config.severities(&mut problems)).unwrap_or_default();
    let suppressions = config.map(|config| config.suppressions(&mut problems)).unwrap_or_default();
    let thresholds = config.map(|config| config.thresholds(&mut problems)).unwrap_or_default();
    let notes_networks = config.is_some_and(ConfigFile::notes_networks);
    config.iter().for_each(|config| drop(configured_outputs(config, &mut problems)));
    problems.told("the configuration")?;
    let log_format = match &args.log_format {
        Some(name) => Some(format_index(&formats, name, "--log-format")?),
        None => None,
    };
    let mut gathered = Gathered::default();
    if args.logs.is_empty() {
        let Some(config) = config.filter(|_| !sources.is_empty()) else {
            return Err(Error::new("there are no logs to read").hint(
                "name them as arguments, or under [[logs]] in overstay.toml, or give the configuration with --config FILE",
            ));
        };
        let mut problems = Problems::default();
        gathered.configured(config.folder(), &sources, &mut problems);
        problems.told("the configuration")?;
    } else {
        let folder = config.map_or(Path::new(""), ConfigFile::folder);
        gathered.arguments(&args.logs, folder, &sources)?;
    }
    let logs = gathered.logs();
    let mut plan = gathered.finish(&sources, log_format);
    if plan.inputs.is_empty() {
        let reasons = plan.unread.iter().map(|p| format!("{}: {}", p.path, p.reason));
        return Err(Error::new(format!(
            "no input could be read: {}",
            reasons.collect::<Vec<_>>().join("; ")
        )));
    }
    plan.register = register_plan(args.register.as_deref(), config, as_known_at)?;
    if plan.register.is_none() && as_known_at.is_some() {
        return Err(Error::new("--as-known-at needs a register").hint("give --register DIR"));
    }
    let plan = ReadPlan {
        formats,
        since,
        until,
        config_digest: config.map(|config| config.digest.clone()),
        paths_from: match args.logs.is_empty() {
            true => PathsFrom::Config,
            false => PathsFrom::WorkingFolder,
        },
        severities,
        suppressions,
        thresholds,
        notes_networks,
        unused: config.map(ConfigFile::unused).unwrap_or_default(),
        ..how(&args.how, plan)?
    };
    Ok((plan, logs))
}

/// The plan with how it is to be read.
fn how(args: &HowArgs, plan: ReadPlan) -> Result<ReadPlan> {
    Ok(ReadPlan {
        max_rejects: max_rejects(&args.max_rejects)?,
        options: input::Options {
            io: match args.io {
                IoArg::Auto => Io::Auto,
                IoArg::Mmap => Io::Mmap,
                IoArg::Read => Io::Read,
            },
            chunk_bytes: args.chunk_bytes.map_or(limits::CHUNK_BYTES, |bytes| bytes as usize),
            ..input::Options::default()
        },
        threads: args.run.threads.map(usize::from),
        counted_bytes_max: args
            .counted_bytes
            .map_or(limits::COUNTED_BYTES_MAX, |bytes| bytes as usize),
        progress: std::io::stderr().is_terminal() && !args.run.quiet,
        ..plan
    })
}

/// Where the logs lie, for what must not be written over them.
#[derive(Default)]
struct Logs {
    /// Those there are, without links and relative parts.
    paths: Vec<PathBuf>,
    /// The patterns by which they were looked for, each with the folder that it is relative to.
    patterns: Vec<(String, PathBuf)>,
}

/// What to say of a log that is to be fetched.
fn is_url(log: &str) -> Option<Error> {
    log.contains("://").then(|| {
        Error::new(format!("{log}: this version reads files and standard input, no URLs"))
            .hint("fetch it first, or pipe it in: … | overstay audit -")
    })
}

/// The inputs found so far.
#[derive(Default)]
struct Gathered {
    /// Each with the index of its source in the config, if one claims it.
    found: Vec<(Found, Option<usize>)>,
    unread: Vec<Partial>,
    /// Whether the logs were given as arguments.
    given: bool,
    /// What was looked for, see [`Logs::patterns`].
    patterns: Vec<(String, PathBuf)>,
}

impl Gathered {
    fn logs(&self) -> Logs {
        Logs {
            paths: self.found.iter().filter_map(|(found, _)| found.canonical()).collect(),
            patterns: self.patterns.clone(),
        }
    }

    /// All that the sources of the config name; a problem for each file that two of them name, since its calls would
    /// count twice, and for each pattern that is none.
    fn configured(&mut self, folder: &Path, sources: &[SourcePlan], problems: &mut Problems) {
        let mut claimed: BTreeMap<PathBuf, &str> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            let mut of_source = Vec::new();
            for pattern in &source.patterns {
                if let Some(error) = is_url(pattern) {
                    problems.0.push(error);
                    continue;
                }
                let Some(findings) = problems.note(input::find(pattern, Some(folder))) else {
                    continue;
                };
                self.patterns.push((pattern.clone(), folder.to_owned()));
                if findings.found.is_empty() && findings.unreadable.is_empty() {
                    self.unread.push(Partial {
                        path: pattern.clone(),
                        reason: format!("matches nothing (source {})", source.name),
                    });
                }
                of_source.extend(findings.found);
                self.unreadable(findings.unreadable);
            }
            let once = input::once(of_source);
            for found in &once {
                let Some(path) = found.canonical() else { continue };
                if let Some(other) = claimed.insert(path, &source.name) {
                    let error = Error::new(format!(
                        "{}: found in the sources {other} and {}, expected each log in one",
                        found.shown, source.name
                    ));
                    problems.0.push(error.hint(
                        "its calls would count twice; make the paths of one source narrower",
                    ));
                    // One is enough to know of the two.
                    break;
                }
            }
            self.found.extend(once.into_iter().map(|found| (found, Some(index))));
        }
    }

    /// The logs given as arguments, each in the source of the config that claims it, if one does.
    fn arguments(&mut self, logs: &[String], folder: &Path, sources: &[SourcePlan]) -> Result<()> {
        let mut claims: BTreeMap<PathBuf, BTreeSet<usize>> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            for pattern in source.patterns.iter().filter(|pattern| *pattern != "-") {
                for found in input::find(pattern, Some(folder))?.found {
                    let Some(path) = found.canonical() else { continue };
                    claims.entry(path).or_default().insert(index);
                }
            }
        }
        self.given = true;
        let mut all = Vec::new();
        for log in logs {
            if let Some(error) = is_url(log) {
                return Err(error);
            }
            self.patterns.push((log.clone(), PathBuf::new()));
            let findings = input::find(log, None)?;
            if findings.found.is_empty() && findings.unreadable.is_empty() {
                return Err(Error::new(format!(
                    "{log}: matches nothing, expected a file, a folder with logs, a glob, or `-`"
                )));
            }
            all.extend(findings.found);
            self.unreadable(findings.unreadable);
        }
        for found in input::once(all) {
            let claims = found.canonical().and_then(|path| claims.get(&path));
            let claims: Vec<usize> = claims.into_iter().flatten().copied().collect();
            let source = match claims.as_slice() {
                [] => None,
                [one] => Some(*one),
                [first, second, ..] => {
                    return Err(Error::new(format!(
                        "{}: found in the sources {} and {}, expected each log in one",
                        found.shown, sources[*first].name, sources[*second].name
                    ))
                    .hint("a source says the format and whose log it is; make the paths of one narrower"));
                }
            };
            self.found.push((found, source));
        }
        Ok(())
    }

    fn unreadable(&mut self, unreadable: Vec<(String, String)>) {
        self.unread.extend(unreadable.into_iter().map(|(path, reason)| Partial { path, reason }));
    }

    /// Numbers sources by name and inputs by path.
    fn finish(self, sources: &[SourcePlan], log_format: Option<Option<usize>>) -> ReadPlan {
        let name = |source: Option<usize>| match source {
            Some(index) => sources[index].name.as_str(),
            None => ARGUMENT_SOURCE,
        };
        // A source of the config without a file is listed too: its silence is what coverage is about. Where logs
        // were given as arguments nobody asked for the others.
        let asked_for = |index: usize| {
            !self.given || self.found.iter().any(|(_, source)| *source == Some(index))
        };
        let mut listed: BTreeMap<&str, Option<Expect>> = sources
            .iter()
            .enumerate()
            .filter(|(index, _)| asked_for(*index))
            .map(|(_, source)| (source.name.as_str(), source.expect))
            .collect();
        for (_, source) in &self.found {
            listed.entry(name(*source)).or_insert(None);
        }
        let ids: BTreeMap<&str, u32> = listed.keys().copied().zip(0..).collect();
        let mut inputs: Vec<InputPlan> = self
            .found
            .into_iter()
            .map(|(found, source)| InputPlan {
                found,
                source: ids[name(source)],
                format: log_format
                    .unwrap_or_else(|| source.and_then(|index| sources[index].format)),
                dedupe: source.and_then(|index| sources[index].dedupe),
                version: None,
                start: Start::default(),
                lines_before: 0,
            })
            .collect();
        inputs.sort_by(|a, b| (&a.found.shown, a.source).cmp(&(&b.found.shown, b.source)));
        ReadPlan {
            register: None,
            formats: Vec::new(),
            sources: listed.into_iter().map(|(name, expect)| (name.to_owned(), expect)).collect(),
            inputs,
            unread: self.unread,
            since: None,
            until: None,
            max_rejects: MaxRejects::Count(0),
            options: input::Options::default(),
            threads: None,
            progress: false,
            config_digest: None,
            paths_from: PathsFrom::default(),
            severities: Severities::new(),
            suppressions: Vec::new(),
            thresholds: Thresholds::default(),
            notes_networks: false,
            unused: Vec::new(),
            by: By::Whole,
            counted_bytes_max: limits::COUNTED_BYTES_MAX,
        }
    }
}

fn instant(flag: &str, text: Option<&str>) -> Result<Option<Instant>> {
    let Some(text) = text else { return Ok(None) };
    config::instant(text)
        .map(Some)
        .map_err(|expected| Error::new(format!("{flag}: found `{text}`, expected {expected}")))
}

fn max_rejects(text: &str) -> Result<MaxRejects> {
    let wrong = || {
        Error::new(format!(
            "--max-rejects: found `{text}`, expected a number (100) or a share (1%)"
        ))
    };
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(MaxRejects::Percent(percent))
                .ok_or_else(wrong)
        }
        None => text.parse().map(MaxRejects::Count).map_err(|_| wrong()),
    }
}

/// Where reports go: as the command line says, else as the configuration does, else to standard output.
fn outputs_of(args: &OutputArgs, config: Option<&ConfigFile>) -> Result<Vec<Output>> {
    let mut outputs: Vec<Output> = Vec::new();
    for text in &args.report {
        outputs.push(output(text, Path::new(""))?);
    }
    if args.json {
        outputs.push(Output { kind: OutputKind::Json, path: None });
    }
    if outputs.is_empty()
        && let Some(config) = config
    {
        // What is wrong with them was told with all else that is wrong with the config.
        outputs = configured_outputs(config, &mut Problems::default());
    }
    if outputs.is_empty() {
        outputs.push(Output { kind: OutputKind::Terminal, path: None });
    }
    one_to_stdout(&outputs)?;
    Ok(outputs)
}

fn one_to_stdout(outputs: &[Output]) -> Result<()> {
    if outputs.iter().filter(|output| output.path.is_none()).count() > 1 {
        return Err(Error::new("two reports to standard output, expected one at most")
            .hint("give the others a path: --report json=report.json"));
    }
    Ok(())
}

/// The reports that the config asks for.
fn configured_outputs(config: &ConfigFile, problems: &mut Problems) -> Vec<Output> {
    let configured = config.tables.report.outputs.iter().filter_map(|text| {
        let output = output(text.get_ref(), config.folder());
        problems.note(output.map_err(|error| {
            config
                .error(text.span(), format!("[report] outputs: {error}"))
                .maybe_hint(error.hint_text().map(str::to_owned))
        }))
    });
    let configured: Vec<Output> = configured.collect();
    problems.note(one_to_stdout(&configured).map_err(|error| {
        let span = config.tables.report.outputs.first().map_or(0..0, Spanned::span);
        config
            .error(span, format!("[report] outputs: {error}"))
            .maybe_hint(error.hint_text().map(str::to_owned))
    }));
    configured
}

fn output(text: &str, folder: &Path) -> Result<Output> {
    let (kind, path) = match text.split_once('=') {
        Some((_, "")) => {
            return Err(Error::new(format!("--report {text}: found no path after `=`")));
        }
        // As for logs, `-` is the standard stream.
        Some((kind, "-")) => (kind, None),
        Some((kind, path)) => (kind, Some(folder.join(path))),
        None => (text, None),
    };
    let is_folder = |path: &PathBuf| text.ends_with('/') || path.is_dir();
    let kind = match kind {
        "terminal" => OutputKind::Terminal,
        "json" => OutputKind::Json,
        "csv" if path.is_none() => {
            return Err(Error::new(
                "--report csv: found no path, expected a folder: there is a file for each table",
            )
            .hint("--report csv=DIR"));
        }
        "csv" => OutputKind::Csv,
        "markdown" if path.as_ref().is_some_and(is_folder) => OutputKind::MarkdownPages,
        "markdown" => OutputKind::Markdown,
        "prometheus" => OutputKind::Prometheus,
        "ocsf" => OutputKind::Ocsf,
        other => {
            let kinds = ["terminal", "json", "csv", "markdown", "prometheus", "ocsf"];
            return Err(unknown("--report", other, kinds));
        }
    };
    Ok(Output { kind, path })
}

/// A problem for each report that would be written over what it is made of, over another, or where the next run looks for
/// its logs: the evidence would be gone; and for each place where no file can be.
fn spare_files(
    outputs: &[Output],
    config: Option<&ConfigFile>,
    register: Option<&RegisterPlan>,
    logs: &Logs,
    problems: &mut Problems,
) {
    let same_for_all = |path: &Path| {
        // What is not there yet is told by its folder.
        std::fs::canonicalize(path).ok().or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
            folder.is_dir().then_some(folder.join(path.file_name()?))
        })
    };
    let config_register = config
        .and_then(|config| Some(config.folder().join(&config.tables.register.as_ref()?.source)));
    let config = config.and_then(|config| std::fs::canonicalize(&config.path).ok());
    // The register that the config names is one, also where the command line names another.
    let registers: Vec<PathBuf> = config_register
        .into_iter()
        .chain(register.map(|register| register.folder.clone()))
        .filter_map(|folder| std::fs::canonicalize(folder).ok())
        .collect();
    // A table may be a link to where it really lies.
    let entries = registers.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let tables = entries.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_table =
        |path: &Path| path.file_name().is_some_and(|name| may_be_table(&name.to_string_lossy()));
    let tables: Vec<PathBuf> = tables
        .filter(|path| is_table(path))
        .filter_map(|path| std::fs::canonicalize(path).ok())
        .collect();
    let mut taken: Vec<PathBuf> = Vec::new();
    for pages in outputs.iter().flat_map(|output| output.folders().into_iter().nth(1)) {
        // What they are called depends on the report.
        let Ok(folder) = std::fs::canonicalize(&pages) else { continue };
        if let Some(log) = logs.paths.iter().find(|log| log.parent() == Some(&folder)) {
            problems.0.push(Error::new(format!(
                "{}: found the log {}, expected another folder for the pages",
                pages.display(),
                log.display()
            )));
        }
    }
    let files = |output: &Output| {
        let outer = output.folders().into_iter().next();
        output.files().into_iter().map(move |path| (path, outer.clone()))
    };
    for (path, outer) in outputs.iter().flat_map(files) {
        let shown = path.display();
        // A folder that is not there yet is made, but not the one around it.
        let to_be_made = || {
            let outer = outer.as_ref().filter(|outer| !outer.exists())?;
            Some(same_for_all(outer)?.join(path.file_name()?))
        };
        let Some(target) = same_for_all(&path).or_else(to_be_made) else {
            let shown = outer.as_ref().unwrap_or(&path).display();
            let told = format!("{shown}: found no such folder, expected one for the report");
            // Of the files of one folder that is told once.
            if problems.0.iter().all(|known| known.to_string() != told) {
                problems.0.push(
                    Error::new(told)
                        .hint("the folder must exist and be writable; nothing was changed"),
                );
            }
            continue;
        };
        if target.is_dir() {
            problems.0.push(Error::new(format!("{shown}: found a folder, expected a file's path")));
            continue;
        }
        if target.exists() && !target.is_file() {
            // A pipe or a device is not replaced.
            continue;
        }
        let in_register = registers.iter().any(|folder| target.parent() == Some(folder));
        let found = if taken.contains(&target) {
            "the path of another report"
        } else if config.as_ref() == Some(&target) {
            "the configuration"
        } else if tables.contains(&target) || (in_register && is_table(&target)) {
            "a table of the register"
        } else if logs.paths.contains(&target) {
            "a log to read"
        } else if logs
            .patterns
            .iter()
            .any(|(pattern, base)| input::would_find(pattern, Some(base), &target))
        {
            "where logs are looked for"
        } else {
            taken.push(target);
            continue;
        };
        problems.0.push(
            Error::new(format!("{shown}: found {found}, expected another path for the report"))
                .hint("a report replaces what is at its path, and is no log; nothing was changed"),
        );
    }
}

/// What can be shown.
fn display(color: ColorArg) -> Display {
    let colour = match color {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => {
            anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
        }
    };
    Display { width: width(), file_width: width_asked(), colour }
}

/// Columns of standard output: as many as the user asks for, else as the terminal has. Where it is no terminal nothing
/// limits them: a report in a file must not have lost what did not fit some screen.
pub fn width() -> Option<usize> {
    width_asked().or_else(|| {
        let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        std::io::stdout().is_terminal().then(|| measured().unwrap_or(WIDTH_DEFAULT))
    })
}

/// What COLUMNS asks for. Some shells set it to 0 where they know no width.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is asked, once")]
fn width_asked() -> Option<usize> {
    let asked: usize = std::env::var("COLUMNS").ok()?.parse().ok()?;
    (asked > 0).then_some(asked)
}
