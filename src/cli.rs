//! The command line: syntax and help. It opens nothing and decides nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::limits;

/// Joins API access logs with the register of who was allowed what, and says who stayed past their welcome.
#[derive(Debug, Parser)]
#[command(
    name = "overstay",
    version,
    about,
    long_about = "Reads API access logs, joins every call against a register of who was allowed to do what and \
when, each at the call's own time, and reports who stayed past their welcome: calls served after a grant was revoked \
or had expired, to an API that had gone dormant, for a purpose that had ended, for a person who had not consented.",
    after_help = "Exit status: 0 done; 1 done, and a finding is at or above --fail-on; 2 failed, no report; \
3 a report was made, but it is partial (the report says what is missing), or alerts wait.",
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read logs, join them with the register, report
    #[command(
        long_about = "Reads logs, joins every call with the register, and reports usage per partner and all findings.\n\n\
Without a register nothing is judged: the report then shows usage per credential and path.",
        after_help = "Examples:
  overstay audit
      what overstay.toml in this folder says
  overstay audit access.log --register register
      one log, and a folder of CSV tables
  zcat old.gz | overstay audit - --log-format json
      standard input
  overstay audit --json --fail-on high >report.json
      for scripts

Environment:
  COLUMNS   width of the terminal report [default: that of the terminal;
            in a file or a pipe none, so that nothing is cut]
  NO_COLOR  no colour, unless --color always asks for it"
    )]
    Audit(Box<AuditArgs>),
    /// Report on what was appended since the last run, with saved state
    #[command(
        long_about = "Reads what was appended to the logs of overstay.toml since the last run, judges it, and keeps the counts: by day, in a \
state folder. Every line is counted once, whatever becomes of the logs meanwhile: renamed, compressed, copied and truncated, \
late. Reports of the run and of each day that it touched go to the folder of reports, and the run's is printed.\n\n\
A run that is killed, or fails, leaves the state as it was; the next one reads what it would have read.",
        after_help = "Examples:
  overstay nightly
      what overstay.toml in this folder says: from cron, or a systemd timer
  overstay nightly --dry-run
      the report that a run would give, writing nothing
  overstay nightly --rebuild
      forget what was counted, and read all logs that are there again
  overstay report --since 2018-12-01 --until 2019-01-01
      afterwards: any span of days that the state covers

docs/nightly.md tells what is kept, and what is done about each thing that can become of a log."
    )]
    Nightly(Box<NightlyArgs>),
    /// Report on any span of days that the saved state covers
    #[command(after_help = "Examples:
  overstay report
      all days that are kept
  overstay report --since 2018-12-01 --until 2019-01-01 --json
      one month
  overstay report --partner reelhouse
      one partner, such as that of a finding")]
    Report(Box<ReportArgs>),
    /// Check the chain of run manifests, the reports and the evidence
    #[command(
        long_about = "Checks that no run, report or line of evidence was changed or removed since: every run's manifest holds the hashes of its \
reports and of the manifest before. Give the head that a run printed, kept where the one who could change reports can't.",
        after_help = "Examples:
  overstay verify
  overstay verify --head 8a4f…
      the head that some run printed: it must be in the chain

Exit status: 0 if all of it is as it was; 2 if not. Logs that are gone can't be read
again: that is told, and is no error."
    )]
    Verify(VerifyArgs),
    /// Show the channels of alerts and what waits for them; send a test, or what waits
    #[command(
        long_about = "Shows the channels of [alert] in overstay.toml, and which alerts wait for each. `overstay nightly` sends alerts by itself; what \
a channel does not accept waits in the state, and every run tries it again.",
        after_help = "Examples:
  overstay alert --test
      one test alert through every channel: exit status 2 if one does not take it
  overstay alert
      the channels, and what waits
  overstay alert --send
      try what waits now: exit status 3 if something still waits

docs/alerts.md has recipes for mail, chat services and Alertmanager."
    )]
    Alert(AlertArgs),
    /// Print the judged calls, one JSON object a line
    #[command(
        long_about = "Prints the judged calls as a stream, one JSON object a line: logs by path, calls in the order of their lines.\n\n\
Filters of different kinds must all hold; of one kind given several times, one of them.",
        after_help = "Examples:
  overstay calls --finding os-7f3k
      every call of a finding
  overstay calls --partner reelhouse --verdict after-revocation --outcome served
      all of these must hold
  overstay calls --finding os-7f3k --outcome served --outcome unknown --distinct subject
      the people to notify
  overstay calls --finding os-7f3k --raw
      the log's own lines
  overstay calls --verify report.json
      check a report's evidence against the logs: exit status 2 if any of it
      is gone or another"
    )]
    Calls(Box<CallsArgs>),
    /// Draft a first config and register from logs
    #[command(
        long_about = "Drafts overstay.toml and a register from nothing but logs: the credentials that call, the routes that their \
paths show, the apis behind these. Grants are left for a person to write. Credentials that may be secrets are written as \
their hashes. Nothing that exists is changed.",
        after_help = "Examples:
  overstay init access.log
      writes overstay.toml and register/ here
  overstay init 'logs/*.gz' --into audit --log-format combined
      another folder, which is made; the format told
  overstay init edge.log --into audit --config formats.toml
      a format of one's own, described in formats.toml

Then: who the partners are in register/credentials.csv, a line for each grant in
register/grants.csv, `overstay check`, `overstay audit`."
    )]
    Init(InitArgs),
    /// Validate config and register, reporting every problem at once
    Check(CheckArgs),
    /// List log formats; or say which one fits a file, with its first calls as parsed
    #[command(
        long_about = "Lists the log formats, those of the config included, with what each can tell; or says which one fits a file, \
and shows its first calls as they are parsed. Persons are shown as present or absent, credentials masked, lines as shapes \
(`a` for letters, `9` for digits), unless --raw asks for what the log has.",
        after_help = "Examples:
  overstay formats
  overstay formats access.log
  overstay formats access.log --log-format edge --raw
      how the format `edge` of the config reads it"
    )]
    Formats(FormatsArgs),
    /// Tell what a verdict or a kind of finding means
    #[command(after_help = "Without KIND it lists all kinds.")]
    Explain(ExplainArgs),
    /// Write a workload for benchmarks: a register, and logs that it has something to say of
    #[command(
        long_about = "Writes a workload for benchmarks into a folder: overstay.toml, a register, and logs that the register has something \
to say of. All of it is drawn from the seed: the same arguments give the same bytes, on any machine and any number of \
threads. Nothing that exists is changed: DIR must be empty or not there.\n\n\
Numbers may end with k, M or G, powers of 1000. docs/synth.md tells by what laws calls are drawn.",
        after_help = "Examples:
  overstay synth small
      100,000 calls of one day, about 31 MB; then: overstay audit --config small/overstay.toml
  overstay synth big --calls 4M --days 7 --files 7 --compress gzip
      a week, a file a day or so
  overstay synth wide --partners 100k --credentials 200k --apis 2k --routes 10k --grants 1M
      a large register
  overstay synth judged --timeline
      also what holds when, for databases that judge the same calls
  overstay synth w --calls 120M --logs none
  overstay synth w --calls 120M --logs - | overstay audit - --config w/overstay.toml
      more than the disk holds: first the register, then the log as a stream"
    )]
    Synth(Box<SynthArgs>),
    /// Print shell completions
    #[command(
        after_help = "Example:\n  overstay completions bash >/etc/bash_completion.d/overstay"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Of this command instead of the program
        command: Option<String>,
    },
}

/// What to read, and by what to judge it.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// Logs to read instead of those of the config: files, folders, globs, or `-` for standard input
    #[arg(value_name = "LOG")]
    pub logs: Vec<String>,

    /// The configuration [default: overstay.toml in the current folder, if there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The register: a folder of CSV tables
    #[arg(long, value_name = "DIR")]
    pub register: Option<String>,

    /// The format of all logs, whatever the config says: a built-in one, one of the config, or `auto`
    #[arg(long, value_name = "NAME")]
    pub log_format: Option<String>,

    /// Only calls at or after this instant (RFC 3339, a date, or Unix seconds)
    #[arg(long, value_name = "T")]
    pub since: Option<String>,

    /// Only calls before this instant
    #[arg(long, value_name = "T")]
    pub until: Option<String>,

    /// Judge by the register as it was known at this instant
    #[arg(long, value_name = "T")]
    pub as_known_at: Option<String>,

    /// How to read
    #[command(flatten)]
    pub how: HowArgs,
}

/// How to read logs, and how many of their lines may be none.
#[derive(Args, Clone, Debug)]
pub struct HowArgs {
    /// Rejects tolerated for each input, as a number or a share of its calls and rejects
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub max_rejects: String,

    /// How to read files: map large ones, map all, or map none
    #[arg(long, value_name = "HOW", value_enum, default_value_t = IoArg::Auto)]
    pub io: IoArg,

    /// How to run
    #[command(flatten)]
    pub run: RunArgs,

    /// Bytes that a worker takes at a time
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub chunk_bytes: Option<u32>,

    /// Bytes that sums by day may take in memory
    #[arg(long, value_name = "N", hide = true)]
    pub counted_bytes: Option<u64>,
}

/// How to run; none of it changes a result.
#[derive(Args, Clone, Copy, Debug)]
pub struct RunArgs {
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=limits::THREADS_MAX as i64))]
    pub threads: Option<u16>,

    /// No progress bar, no notes on standard error; errors are still told
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// Logs to draft from: files, folders, globs, or `-` for standard input
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<String>,

    /// The folder to write overstay.toml and register/ to; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub into: PathBuf,

    /// A configuration whose formats are known beside the built-in ones, and are taken over [default: overstay.toml in
    /// the current folder, if there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The format of all logs: a built-in one, one of the config, or `auto`
    #[arg(long, value_name = "NAME")]
    pub log_format: Option<String>,

    /// How to read
    #[command(flatten)]
    pub how: HowArgs,
}

/// `--io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IoArg {
    /// Map regular files of 16 MiB and more, read the rest
    Auto,
    /// Map every regular file that is not compressed
    Mmap,
    /// Map nothing
    Read,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of `formats`.
#[derive(Args, Clone, Debug)]
pub struct FormatsArgs {
    /// A log: plain or compressed, or `-` for standard input
    pub file: Option<String>,

    /// The configuration [default: overstay.toml in the current folder, if there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Try this format only
    #[arg(long, value_name = "NAME", requires = "file")]
    pub log_format: Option<String>,

    /// Show lines, persons and credentials as the log has them
    #[arg(long, requires = "file")]
    pub raw: bool,
}

/// Where a report goes, and what it decides.
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// Where the report goes, as what: `terminal`, `json`, `markdown`, `prometheus` or `ocsf`, to standard output or a file, or
    /// `csv=DIR` and `markdown=DIR/`, to a folder; repeatable. It goes before the config's `outputs`, which are those of audit and nightly
    #[arg(long, value_name = "KIND[=PATH]")]
    pub report: Vec<String>,

    /// The same as --report json
    #[arg(long)]
    pub json: bool,

    /// Exit with 1 if there is a finding of this severity or above: critical, high, medium, low, info
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<String>,

    /// Colour on the terminal
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorArg::Auto)]
    pub color: ColorArg,
}

/// Arguments of `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// What to read, and by what to judge it
    #[command(flatten)]
    pub read: ReadArgs,

    /// Where the report goes
    #[command(flatten)]
    pub output: OutputArgs,

    /// Report on this partner only. All logs are read and accounted for all the same
    #[arg(long, value_name = "P")]
    pub partner: Option<String>,

    /// Put the BLAKE3 digest of every input into the report
    #[arg(long)]
    pub digest: bool,
}

/// Where the configuration and the register are, for commands that keep state.
#[derive(Args, Clone, Debug)]
pub struct StateArgs {
    /// The configuration [default: overstay.toml in the current folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The register, whatever the config says: a folder of CSV tables
    #[arg(long, value_name = "DIR")]
    pub register: Option<String>,
}

/// Arguments of `nightly`.
#[derive(Args, Clone, Debug)]
pub struct NightlyArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub state: StateArgs,

    /// How to read
    #[command(flatten)]
    pub how: HowArgs,

    /// Where the run's report goes beside the folder of reports
    #[command(flatten)]
    pub output: OutputArgs,

    /// Write nothing: no state, no reports, no key
    #[arg(long)]
    pub dry_run: bool,

    /// Forget what was counted and read all logs that are there again
    #[arg(long)]
    pub rebuild: bool,

    /// The time of the run [default: now]
    #[arg(long, value_name = "T")]
    pub run_at: Option<String>,
}

/// Arguments of `alert`.
#[derive(Args, Clone, Debug)]
pub struct AlertArgs {
    /// The configuration [default: overstay.toml in the current folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Send one test alert through every channel
    #[arg(long, conflicts_with_all = ["send", "drop"])]
    pub test: bool,

    /// Send what waits now
    #[arg(long, conflicts_with = "drop")]
    pub send: bool,

    /// Let go of what waits for this channel: it is never sent
    #[arg(long, value_name = "CHANNEL")]
    pub drop: Option<String>,

    /// Only this channel
    #[arg(long, value_name = "CHANNEL", conflicts_with = "drop")]
    pub channel: Option<String>,
}

/// Arguments of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub state: StateArgs,

    /// Only days from this one on
    #[arg(long, value_name = "DAY")]
    pub since: Option<String>,

    /// Only days before this one
    #[arg(long, value_name = "DAY")]
    pub until: Option<String>,

    /// Where the report goes
    #[command(flatten)]
    pub output: OutputArgs,

    /// Report on this partner only. What was read of logs is accounted for all the same
    #[arg(long, value_name = "P")]
    pub partner: Option<String>,

    /// How to run
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub state: StateArgs,

    /// The hash that some run printed as the head of the chain
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,

    /// Do not read the evidence again: the logs are elsewhere
    #[arg(long)]
    pub no_evidence: bool,

    /// How to run
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `calls`.
#[derive(Args, Clone, Debug)]
pub struct CallsArgs {
    /// What to read, and by what to judge it
    #[command(flatten)]
    pub read: ReadArgs,

    /// Only calls of this finding: its id, or as much of it as is unique
    #[arg(long, value_name = "ID")]
    pub finding: Option<String>,

    /// Only calls of this partner
    #[arg(long, value_name = "P")]
    pub partner: Vec<String>,

    /// Only calls that presented this credential: itself, `sha256:HEX`, or `…` and its end as reports show it
    #[arg(long, value_name = "C")]
    pub credential: Vec<String>,

    /// Only calls to this api
    #[arg(long, value_name = "A")]
    pub api: Vec<String>,

    /// Only calls for this operation
    #[arg(long, value_name = "O")]
    pub operation: Vec<String>,

    /// Only calls of this verdict, or against which it is also held
    #[arg(long, value_name = "V")]
    pub verdict: Vec<String>,

    /// Only calls of this outcome: served, denied, failed, unknown
    #[arg(long, value_name = "O")]
    pub outcome: Vec<String>,

    /// Only calls that touch this person's data
    #[arg(long, value_name = "S")]
    pub subject: Vec<String>,

    /// What it prints anyway: here for those who know it from `audit`
    #[arg(long, hide = true, conflicts_with_all = ["raw", "distinct"])]
    pub json: bool,

    /// Print the log's own lines
    #[arg(long, conflicts_with = "distinct")]
    pub raw: bool,

    /// Print each value of a field once, in order of appearance
    #[arg(long, value_name = "FIELD", value_enum)]
    pub distinct: Option<DistinctArg>,

    /// Read the evidence of this JSON report again, and compare hashes
    #[arg(long, value_name = "REPORT", conflicts_with_all = [
        "finding", "partner", "credential", "api", "operation", "verdict", "outcome", "subject", "raw", "distinct",
        "logs", "since", "until", "as_known_at",
    ])]
    pub verify: Option<PathBuf>,
}

/// `--distinct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // each is a field of a judged call
pub enum DistinctArg {
    Subject,
    Actor,
    Partner,
    Credential,
    Api,
    Operation,
}

impl DistinctArg {
    /// The field's name in a judged call.
    pub const fn as_str(self) -> &'static str {
        match self {
            DistinctArg::Subject => "subject",
            DistinctArg::Actor => "actor",
            DistinctArg::Partner => "partner",
            DistinctArg::Credential => "credential",
            DistinctArg::Api => "api",
            DistinctArg::Operation => "operation",
        }
    }
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The configuration [default: overstay.toml in the current folder, if there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The register: a folder of CSV tables
    #[arg(long, value_name = "DIR")]
    pub register: Option<String>,

    /// Problems only, no summary
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A verdict or a kind of finding, such as after-revocation
    pub kind: Option<String>,
}

/// Arguments of `synth`.
#[derive(Args, Clone, Debug)]
pub struct SynthArgs {
    /// The folder to write to; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Calls: lines of the log
    #[arg(long, value_name = "N", default_value = "100k")]
    pub calls: String,

    /// Partners; a few of them make most of the calls
    #[arg(long, value_name = "N", default_value = "500")]
    pub partners: String,

    /// Credentials, at least one for each partner
    #[arg(long, value_name = "N", default_value = "1000")]
    pub credentials: String,

    /// Apis; a tenth of them are dormant
    #[arg(long, value_name = "N", default_value = "40")]
    pub apis: String,

    /// Grants, at most one for each partner and api; a fifth of them revoked or expired
    #[arg(long, value_name = "N", default_value = "3700")]
    pub grants: String,

    /// Routes, at least one for each api [default: two for each api]
    #[arg(long, value_name = "N")]
    pub routes: Option<String>,

    /// Persons whom the calls are about; some of them much more often than others
    #[arg(long, value_name = "N", default_value = "1M")]
    pub people: String,

    /// Words of persons, a twentieth of them withdrawals
    #[arg(long, value_name = "N", default_value = "0")]
    pub consents: String,

    /// Days, from 2018-12-18 on
    #[arg(long, value_name = "N", default_value = "1")]
    pub days: String,

    /// What all chance comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How the log is written
    #[arg(long, value_name = "NAME", value_enum, default_value_t = LogFormatArg::Json)]
    pub log_format: LogFormatArg,

    /// The share of calls that are not in order
    #[arg(long, value_name = "P%", default_value = "10%")]
    pub violations: String,

    /// Files that the log is cut into, each a stretch of time
    #[arg(long, value_name = "N", default_value = "1")]
    pub files: String,

    /// How the log is compressed
    #[arg(long, value_name = "HOW", value_enum, default_value_t = CompressArg::None)]
    pub compress: CompressArg,

    /// Where the log goes
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = LogsArg::Files)]
    pub logs: LogsArg,

    /// Also write timeline.csv: which verdict holds from when on for each partner, api and operation
    #[arg(long)]
    pub timeline: bool,

    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=limits::THREADS_MAX as i64))]
    pub threads: Option<u16>,
}

/// `--log-format` of `synth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// A JSON object a line
    Json,
    /// The combined log format, with the credential as the user name
    Combined,
    /// key=value pairs
    Logfmt,
    /// label:value pairs
    Ltsv,
    /// Comma-separated, below a row of names
    Csv,
    /// As AWS application load balancers write, with the credential in the query
    AwsAlb,
}

/// `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // they are known by their names
pub enum CompressArg {
    None,
    Gzip,
    Zstd,
}

/// `--logs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogsArg {
    /// To files in DIR/logs
    Files,
    /// To standard output. DIR may be there from a run with `--logs none` and otherwise the same arguments
    #[value(name = "-")]
    Stdout,
    /// Nowhere: only the register and the config are written
    None,
}
