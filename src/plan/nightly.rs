//! The plans of the commands that keep state, or look at it: where that lies, and what the sources of the logs are.

use std::path::{Path, PathBuf};

use super::{
    ConfigFile, Display, Gathered, Logs, Output, OutputKind, ReadPlan, SourcePlan,
    configured_outputs, display, fail_on_of, find_config, formats_of, how, instant, outputs_of,
    register_plan, sources_of, spare_files, width,
};
use crate::alert::AlertPlan;
use crate::cli::{AlertArgs, NightlyArgs, ReportArgs, StateArgs, VerifyArgs};
use crate::error::{Error, Problems, Result};
use crate::findings::Severity;
use crate::input;
use crate::nearest::did_you_mean;
use crate::report::PathsFrom;
use crate::tally::By;
use crate::time::{Instant, S_PER_DAY};

/// Where state is kept unless the configuration says.
const STATE_DIR: &str = "state";
/// Where reports are kept unless the configuration says.
const REPORTS_DIR: &str = "reports";
/// Where the privacy key lies unless the configuration says.
const KEY_FILE: &str = "overstay.key";
/// How many days are kept unless the configuration says.
const KEEP_DAYS: u32 = 400;
/// How many days records are remembered unless the configuration says.
const REPEAT_DAYS: u32 = 7;
/// How long a log is remembered that is no longer there, unless its source says, in seconds.
const LOOKBACK_S: u64 = 3 * S_PER_DAY as u64;

/// Where what is kept lies.
#[derive(Clone, Debug)]
pub struct StatePlan {
    /// The folder of the configuration: paths of logs start from it.
    pub folder: PathBuf,
    /// The state.
    pub state: PathBuf,
    /// The reports.
    pub reports: PathBuf,
    /// The privacy key.
    pub key_file: PathBuf,
    /// How many days are kept.
    pub keep_days: u32,
    /// For how many days records are remembered, where repeats are sought.
    pub repeat_days: u32,
}

/// A source of logs.
#[derive(Clone, Debug)]
pub struct NightlySource {
    /// Its name.
    pub name: String,
    /// What its logs are looked for by, relative to the folder of the configuration.
    pub patterns: Vec<String>,
    /// Their format; `None`: to be told from the first lines of each.
    pub format: Option<usize>,
    /// Whether records that repeat others count once; `None`: as the format has it.
    pub dedupe: Option<bool>,
    /// For how long a log is remembered that is no longer there, in seconds of runs' time.
    pub lookback_s: u64,
}

/// The plan of `nightly`.
#[derive(Debug)]
pub struct NightlyPlan {
    /// How to read, and by what to judge. It has no inputs yet.
    pub read: ReadPlan,
    /// The sources, by name, as the read plan numbers them.
    pub sources: Vec<NightlySource>,
    /// Where what is kept lies.
    pub state: StatePlan,
    /// The time of the run.
    pub run_at: Instant,
    /// Whether a person gave it: it may then lie before the last run's.
    pub is_run_at_given: bool,
    /// Where the run's report goes beside the folder of reports.
    pub outputs: Vec<Output>,
    /// Whom to tell of what changed.
    pub alert: AlertPlan,
    /// What standard output can show.
    pub display: Display,
    /// The severity that turns the exit status.
    pub fail_on: Option<Severity>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Whether all is to be read anew.
    pub rebuild: bool,
}

/// The plan of `report`.
#[derive(Debug)]
pub struct ReportPlan {
    /// By what to judge what needs no call, and how to show it. It has no inputs.
    pub read: ReadPlan,
    /// Where what is kept lies.
    pub state: StatePlan,
    /// The first day, by its number since 1970.
    pub since_day: Option<i64>,
    /// The day after the last.
    pub until_day: Option<i64>,
    /// The only partner to report on.
    pub partner: Option<String>,
    /// Where the report goes.
    pub outputs: Vec<Output>,
    /// What standard output can show.
    pub display: Display,
    /// The severity that turns the exit status.
    pub fail_on: Option<Severity>,
}

/// The plan of `verify`.
#[derive(Debug)]
pub struct VerifyPlan {
    /// How many threads.
    pub read: ReadPlan,
    /// The sources, by name.
    pub sources: Vec<NightlySource>,
    /// Where what is kept lies.
    pub state: StatePlan,
    /// A head of the chain that someone noted.
    pub head: Option<String>,
    /// Whether evidence is left alone.
    pub no_evidence: bool,
}

/// The plan of `alert`.
#[derive(Debug)]
pub struct AlertsPlan {
    /// The channels.
    pub alert: AlertPlan,
    /// The only one that is meant; none: all.
    pub only: Option<String>,
    /// Where what is kept lies.
    pub state: StatePlan,
    /// What to do.
    pub task: AlertTask,
    /// The time.
    pub run_at: Instant,
    /// How wide standard output is; none: no screen.
    pub width: Option<usize>,
}

/// What `alert` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertTask {
    /// To show channels and what waits.
    Show,
    /// To send a test.
    Test,
    /// To send what waits.
    Send,
    /// To let go of what waits for a channel.
    Drop(String),
}

/// Plans `nightly`.
///
/// # Errors
///
/// On wrong usage, and a configuration that does not fit.
pub fn nightly(args: &NightlyArgs) -> Result<NightlyPlan> {
    let config = configuration(args.state.config.as_deref())?;
    let state = state_plan(&config)?;
    let (mut read, configured) = read_plan(&args.state, &config)?;
    read.by = By::Day;
    read = how(&args.how, read)?;
    read.options.resumable = true;
    read.options.digest = true;
    if configured.is_empty() {
        return Err(Error::new(format!("{}: there are no logs to read", config.path.display()))
            .hint("name them under [[logs]]: `source` and `paths`"));
    }
    let mut outputs = outputs_of(&args.output, Some(&config))?;
    if args.dry_run {
        // No files: then what would have gone there is shown.
        outputs.retain(|output| output.path.is_none());
        if outputs.is_empty() {
            outputs.push(Output { kind: OutputKind::Terminal, path: None });
        }
    }
    let mut problems = Problems::default();
    let patterns = configured.iter().flat_map(|source| &source.patterns);
    let logs = Logs {
        paths: Vec::new(),
        patterns: patterns.map(|pattern| (pattern.clone(), config.folder().to_owned())).collect(),
    };
    spare_files(&outputs, Some(&config), read.register.as_ref(), &logs, &mut problems);
    spare_logs(&config, &state, &configured, &mut problems);
    let alert = super::alert::alert(&config, &mut problems);
    problems.told("the configuration")?;
    let sources = nightly_sources(configured);
    let given = instant("--run-at", args.run_at.as_deref())?;
    Ok(NightlyPlan {
        read,
        sources,
        state,
        run_at: given.unwrap_or_else(now),
        is_run_at_given: given.is_some(),
        outputs,
        alert,
        display: display(args.output.color),
        fail_on: fail_on_of(&args.output)?,
        dry_run: args.dry_run,
        rebuild: args.rebuild,
    })
}

/// Plans `alert`.
///
/// # Errors
///
/// On wrong usage, and a configuration of alerts that does not fit.
pub fn alerts(args: &AlertArgs) -> Result<AlertsPlan> {
    let config = configuration(args.config.as_deref())?;
    let mut problems = Problems::default();
    let alert = super::alert::alert(&config, &mut problems);
    problems.told("the configuration")?;
    if let Some(name) = &args.channel {
        let names: Vec<String> =
            alert.channels.iter().map(|channel| channel.name.clone()).collect();
        if !names.contains(name) {
            let known = names.iter().map(String::as_str);
            let configured = match names.is_empty() {
                true => "and none is configured".to_owned(),
                false => format!("expected one of {}", names.join(", ")),
            };
            return Err(Error::new(format!("--channel: found `{name}`, {configured}"))
                .maybe_hint(did_you_mean(name, known)));
        }
    }
    let task = match (args.test, args.send, &args.drop) {
        (true, _, _) => AlertTask::Test,
        (_, true, _) => AlertTask::Send,
        (_, _, Some(channel)) => AlertTask::Drop(channel.clone()),
        (false, false, None) => AlertTask::Show,
    };
    let state = state_plan(&config)?;
    let only = args.channel.clone();
    Ok(AlertsPlan { alert, only, state, task, run_at: now(), width: width() })
}

/// Plans `report`.
///
/// # Errors
///
/// As [`nightly`].
pub fn report(args: &ReportArgs) -> Result<ReportPlan> {
    let config = configuration(args.state.config.as_deref())?;
    let state = state_plan(&config)?;
    let (mut read, _) = read_plan(&args.state, &config)?;
    read.by = By::Day;
    read.threads = args.run.threads.map(usize::from);
    let day = |flag: &str, text: Option<&str>| {
        let Some(at) = instant(flag, text)? else { return Ok(None) };
        let day = By::Day.of(at);
        if By::Day.span(day).start != at {
            let text = text.unwrap_or_default();
            return Err(Error::new(format!(
                "{flag}: found `{text}`, expected the beginning of a day of UTC, such as 2018-12-18: the state keeps days"
            ))
            .hint("`overstay audit` reads the logs themselves, from and to any instant"));
        }
        Ok(Some(day))
    };
    let since_day = day("--since", args.since.as_deref())?;
    let until_day = day("--until", args.until.as_deref())?;
    if let (Some(since), Some(until)) = (since_day, until_day)
        && since >= until
    {
        return Err(Error::new("--since is not before --until"));
    }
    let outputs = outputs_of(&args.output, None)?;
    let mut problems = Problems::default();
    spare_files(&outputs, Some(&config), read.register.as_ref(), &Logs::default(), &mut problems);
    problems.told("the list of reports")?;
    Ok(ReportPlan {
        read,
        state,
        since_day,
        until_day,
        partner: args.partner.clone(),
        outputs,
        display: display(args.output.color),
        fail_on: fail_on_of(&args.output)?,
    })
}

/// Plans `verify`.
///
/// # Errors
///
/// As [`nightly`].
pub fn verify(args: &VerifyArgs) -> Result<VerifyPlan> {
    let config = configuration(args.state.config.as_deref())?;
    let head = args.head.as_ref().map(|head| head.trim().to_ascii_lowercase());
    if let Some(head) = &head
        && (head.len() != 64 || !head.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(Error::new(format!(
            "--head: found `{head}`, expected the 64 hex digits that a run printed as the head of the chain"
        )));
    }
    let (mut read, configured) = read_plan(&args.state, &config)?;
    read.threads = args.run.threads.map(usize::from);
    Ok(VerifyPlan {
        read,
        sources: nightly_sources(configured),
        state: state_plan(&config)?,
        head,
        no_evidence: args.no_evidence,
    })
}

fn nightly_sources(configured: Vec<SourcePlan>) -> Vec<NightlySource> {
    let mut sources: Vec<NightlySource> = configured
        .into_iter()
        .map(|source| NightlySource {
            name: source.name,
            patterns: source.patterns,
            format: source.format,
            dedupe: source.dedupe,
            lookback_s: source.lookback_s.unwrap_or(LOOKBACK_S),
        })
        .collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn configuration(given: Option<&Path>) -> Result<ConfigFile> {
    find_config(given)?.ok_or_else(|| {
        Error::new("there is no configuration, which says where the logs and the state are").hint(
            "run it where overstay.toml is, or give it with --config FILE; `overstay init` drafts one",
        )
    })
}

fn state_plan(config: &ConfigFile) -> Result<StatePlan> {
    let (state, privacy) = (&config.tables.state, &config.tables.privacy);
    let path = |given: &Option<String>, otherwise: &str, key: &str| {
        let path = given.as_deref().unwrap_or(otherwise);
        if path.trim().is_empty() {
            return Err(Error::new(format!(
                "{}: {key}: found nothing, expected a path",
                config.path.display()
            )));
        }
        Ok(config.folder().join(path))
    };
    Ok(StatePlan {
        folder: config.folder().to_owned(),
        state: path(&state.dir, STATE_DIR, "[state] dir")?,
        reports: path(&config.tables.report.dir, REPORTS_DIR, "[report] dir")?,
        key_file: path(&privacy.key_file, KEY_FILE, "[privacy] key_file")?,
        keep_days: state.keep_days.map_or(KEEP_DAYS, |days| u32::from(days.get())),
        repeat_days: state.repeat_days.map_or(REPEAT_DAYS, |days| u32::from(days.get())),
    })
}

/// What to judge by, and the sources.
fn read_plan(args: &StateArgs, config: &ConfigFile) -> Result<(ReadPlan, Vec<SourcePlan>)> {
    let mut problems = Problems::default();
    let formats = formats_of(Some(config), &mut problems);
    let sources = sources_of(Some(config), &formats, &mut problems);
    let severities = config.severities(&mut problems);
    let suppressions = config.suppressions(&mut problems);
    let thresholds = config.thresholds(&mut problems);
    drop(configured_outputs(config, &mut problems));
    for source in &sources {
        if source.patterns.iter().any(|pattern| pattern == "-") {
            problems.0.push(
                Error::new(format!(
                    "[[logs]] {}: paths: found `-`, expected files: what came through standard input can't be read on",
                    source.name
                ))
                .hint("save it to files first; `overstay audit` reads standard input"),
            );
        }
    }
    problems.told("the configuration")?;
    let register = register_plan(args.register.as_deref(), Some(config), None)?;
    if register.is_none() {
        return Err(Error::new("there is no register, and nothing to judge by")
            .hint("name it in overstay.toml: [register] source = \"register\""));
    }
    let plan = ReadPlan {
        register,
        formats,
        config_digest: Some(config.digest.clone()),
        paths_from: PathsFrom::Config,
        severities,
        suppressions,
        thresholds,
        notes_networks: config.notes_networks(),
        unused: config.unused(),
        ..Gathered::default().finish(&sources, None)
    };
    Ok((plan, sources))
}

/// A problem for each folder of what is kept that a source would find logs in.
fn spare_logs(
    config: &ConfigFile,
    state: &StatePlan,
    sources: &[SourcePlan],
    problems: &mut Problems,
) {
    for (folder, what) in [(&state.state, "the state"), (&state.reports, "reports")] {
        let Some(known) = input::resolved(folder) else { continue };
        for source in sources {
            for pattern in &source.patterns {
                let files = [known.join("ledger"), known.join("runs/000001/report.json")];
                if files.iter().any(|file| input::would_find(pattern, Some(config.folder()), file))
                {
                    problems.0.push(
                        Error::new(format!(
                            "[[logs]] {}: `{pattern}` finds {what} in {}, expected logs only",
                            source.name,
                            folder.display()
                        ))
                        .hint("make the paths of the source narrower, or keep it elsewhere: [state] dir, [report] dir"),
                    );
                }
            }
        }
    }
}

/// The clock.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is asked, once")]
fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    // Whole seconds: nobody needs to know more, and reports are to be read.
    Instant::from_s_ns(i64::try_from(seconds).unwrap_or(i64::MAX), 0).unwrap_or(Instant::MAX)
}
