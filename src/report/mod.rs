//! A report as plain data: what every renderer is given, in the order in which it is shown.
//!
//! The fields are those of `overstay.report/1`; `docs/report.md` explains each.
//! Every array is sorted by its keys in the order of its fields, null first, then bytes.

mod build;
mod odd;
mod ungranted;
pub mod text;

#[cfg(test)]
pub(crate) mod fixtures;

pub use build::{Expect, Facts, InputFacts, Judgement, Silence, StateFacts, build, judgement};
pub use odd::complete_until;
pub use ungranted::Ungranted;

use serde::{Deserialize, Serialize};

use crate::findings::{Kind, NetworkScope, OddShown, Scope, Severity};
use crate::judge::Verdict;
use crate::time::{Instant, day_name};

/// Name and version of the report's form.
pub const SCHEMA: &str = "overstay.report/1";

/// The program and its version.
pub const PROGRAM: &str = concat!("overstay ", env!("CARGO_PKG_VERSION"));

/// Everything a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `overstay.report/1`.
    pub schema: &'static str,
    /// Program and version.
    pub program: String,
    /// Whether all that was asked for was read.
    pub status: Status,
    /// What was not, and why.
    pub partial: Vec<Partial>,
    /// The first line a person reads.
    pub headline: String,
    /// The only partner it is about, beside accounting, inputs and sources; none: all of them.
    pub partner: Option<String>,
    /// The time the report is about.
    pub window: Window,
    /// The configuration.
    pub config: Config,
    /// The register it was judged by.
    pub register: Register,
    /// Every input.
    pub inputs: Vec<Input>,
    /// Where every line went.
    pub accounting: Accounting,
    /// Lines that are no calls.
    pub rejects: Rejects,
    /// Calls by who, what and verdict.
    pub usage: Vec<Usage>,
    /// Every partner of the register.
    pub partners: Vec<Partner>,
    /// Every api of the register.
    pub apis: Vec<Api>,
    /// Calls by the hour.
    pub series: Vec<Hour>,
    /// Instants at which access ended.
    pub ends: Vec<End>,
    /// What someone should act on.
    pub findings: Vec<Finding>,
    /// What was looked at to find what is unlike what was before.
    pub anomalies: Anomalies,
    /// Grants that override missing consent.
    pub exceptions: Vec<Exception>,
    /// Findings someone decided not to act on.
    pub suppressions: Vec<Suppression>,
    /// Verdict counts that a change of the register turned around; empty without saved state.
    pub flipped: Vec<()>,
    /// What of the expected logs was seen.
    pub coverage: Coverage,
    /// Where it stands among the runs that keep state; null without saved state.
    pub nightly: Option<Nightly>,
    /// The distinct people of all overstayed calls; said in the headline only.
    #[serde(skip)]
    pub overstayed_people: Subjects,
    /// Partners whose grants are still to be written; said to people only.
    #[serde(skip)]
    pub ungranted: Option<Ungranted>,
}

impl Report {
    /// Holds the report against itself: each call that was read is in one usage row. A report on one partner has rows of
    /// its calls only.
    ///
    /// # Errors
    ///
    /// What does not add up. That is a fault of the program, and nobody may rely on such a report.
    pub fn check(&self) -> crate::error::Result<()> {
        let in_usage: u64 = self.usage.iter().map(|row| row.calls).sum();
        let counted = self.accounting.calls;
        let adds_up = match self.partner {
            None => in_usage == counted,
            Some(_) => in_usage <= counted,
        };
        if adds_up {
            return Ok(());
        }
        let error = format!(
            "the report does not add up: found {in_usage} calls in its usage rows, expected the {counted} that were counted"
        );
        Err(crate::error::Error::new(error)
            .hint("nothing was written; this is a fault of overstay itself, please report it"))
    }
}

/// Where a report stands among the runs that keep state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nightly {
    /// The run's number, from 1; that of the last run, if the report is of a span of days.
    pub run: u64,
    /// When it was.
    pub run_at: Option<Instant>,
    /// Whether it counts: one that is only tried does not. No key of the report.
    #[serde(skip)]
    pub is_committed: bool,
    /// The day (of UTC) that the report is of; null if it is of a run or of a span.
    pub day: Option<String>,
    /// How often that day's report was issued, this time included; null likewise.
    pub revision: Option<u64>,
    /// The days that the run counted calls of, or those of the span.
    pub days: Vec<NightlyDay>,
    /// The register that days before were judged by, and what of them this one would touch; null if it is the same, and the
    /// `propagation_s` of the configuration is.
    pub register_change: Option<RegisterChange>,
    /// The hash of the manifest of the run before, hex.
    pub previous: Option<String>,
    /// The run from which this one goes on; null of the first, of one that reads all anew, and of a day or a span.
    pub since: Option<RunBefore>,
    /// How many logs were looked at, whether or not there was anything new in them; null of a day or a span.
    pub logs: Option<u64>,
    /// Findings of runs before that are not over, and of which this one found nothing; null of a day or a span.
    pub standing: Option<Standing>,
    /// What was told of findings, and what waits to be; null of a day or a span, and where no alerts are configured.
    pub alerts: Option<Alerts>,
}

/// What a run tells of findings. What is kept as its report was made before the message of the run was sent; what is printed,
/// after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alerts {
    /// How many changes of findings the run tells of: new, reopened, more severe, resolved, and reminders.
    pub changes: u64,
    /// What was not accepted by a channel yet.
    pub waiting: Vec<WaitingAlert>,
}

/// A message that waits for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingAlert {
    /// The channel.
    pub channel: String,
    /// The run that it tells of.
    pub run: u64,
    /// What the receiver can tell repeats by.
    pub delivery_id: String,
    /// How many changes of findings are in it.
    pub changes: u64,
    /// How many times it was tried in vain.
    pub tries: u64,
    /// Why the last of them failed; null if it was not tried yet.
    pub failure: Option<String>,
}

/// A run from which another goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RunBefore {
    /// Its number.
    pub run: u64,
    /// When it was.
    pub run_at: Instant,
}

/// How many findings stand, by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Those of severity critical.
    pub critical: u64,
    /// Likewise.
    pub high: u64,
    /// Likewise.
    pub medium: u64,
    /// Likewise.
    pub low: u64,
    /// Likewise.
    pub info: u64,
    /// Those that a suppression hides, which are none of the others.
    pub suppressed: u64,
}

impl Standing {
    /// Counts one that nothing hides.
    pub fn add(&mut self, severity: Severity) {
        *match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        } += 1;
    }

    /// How many of each severity, the gravest first, of those that nothing hides.
    pub fn by_severity(&self) -> [(Severity, u64); 5] {
        let counts = [self.critical, self.high, self.medium, self.low, self.info];
        let mut all = Severity::ALL.map(|severity| (severity, 0));
        all.iter_mut().zip(counts).for_each(|((_, n), count)| *n = count);
        all
    }

    /// How many there are that nothing hides, and the gravest of their severities.
    pub fn open(&self) -> (u64, Option<Severity>) {
        let by_severity = self.by_severity();
        let gravest = by_severity.iter().find(|(_, n)| *n > 0).map(|(severity, _)| *severity);
        (by_severity.iter().map(|(_, n)| n).sum(), gravest)
    }
}

/// A day of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NightlyDay {
    /// The day, of UTC.
    pub day: String,
    /// How often its report was issued.
    pub revision: u64,
    /// Its calls, all runs together; none if what was counted of it before is no longer kept.
    pub calls: Option<u64>,
    /// Those that this run added.
    pub added: u64,
}

/// What a change of the register would touch of days that were judged before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegisterChange {
    /// The digest of the register before, hex.
    pub from: String,
    /// The `propagation_s` of the configuration before; none if it is the same.
    pub from_propagation_s: Option<u64>,
    /// The days of which verdicts may be others now.
    pub days: Vec<String>,
    /// What they may be others for, where that can be told: by partner, api and operation.
    pub affected: Vec<Affected>,
    /// Tables whose changes can't be told apart by calls: they may touch any of the days.
    pub tables: Vec<&'static str>,
}

/// Calls whose verdict a change of the register may touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Affected {
    /// The partner.
    pub partner: String,
    /// The api.
    pub api: String,
    /// The operation; null: any that no grant names.
    pub operation: Option<String>,
    /// Calls counted of it on those days.
    pub calls: u64,
}

/// Whether all that was asked for was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All of it.
    Complete,
    /// Not all of it.
    Partial,
}

/// An input that was not read as it should have been.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Partial {
    /// The input's path.
    pub path: String,
    /// What went wrong.
    pub reason: String,
}

/// The time the report is about.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    /// `--since`.
    pub since: Option<Instant>,
    /// `--until`.
    pub until: Option<Instant>,
    /// The first call.
    pub first: Option<Instant>,
    /// The last call.
    pub last: Option<Instant>,
}

/// The configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    /// BLAKE3 of the file, hex; null without one.
    pub digest: Option<String>,
    /// What the paths of inputs, rejects and evidence are relative to.
    pub paths_from: PathsFrom,
}

/// What a path that is not absolute is relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathsFrom {
    /// The folder of the configuration: the logs were those it names.
    Config,
    /// The folder that the program was started in: the logs were named as arguments.
    #[default]
    WorkingFolder,
}

/// The register's size and digest.
#[derive(Clone, Debug, Serialize)]
pub struct Register {
    /// BLAKE3 of the parsed content, hex; null without a register.
    pub digest: Option<String>,
    /// Distinct partners.
    pub partners: u64,
    /// Distinct credential rows.
    pub credentials: u64,
    /// Distinct apis.
    pub apis: u64,
    /// Distinct grants.
    pub grants: u64,
    /// `--as-known-at`.
    pub as_known_at: Option<Instant>,
}

/// One input: a file, or standard input.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// As named by the user or found below it.
    pub path: String,
    /// The stream it belongs to.
    pub source: String,
    /// The format it was read in; null if none could be told.
    pub format: Option<String>,
    /// `gzip`, `zstd` or null.
    pub compression: Option<&'static str>,
    /// Decompressed bytes read.
    pub bytes: u64,
    /// BLAKE3 of the file as it lies, hex; null unless asked for.
    pub digest: Option<String>,
    /// Lines read: the sum of the next five.
    pub lines: u64,
    /// Blank lines.
    pub blank: u64,
    /// Calls counted.
    pub calls: u64,
    /// Rejects.
    pub rejected: u64,
    /// Calls outside the window.
    pub outside_window: u64,
    /// Repeats.
    pub duplicates: u64,
    /// Calls that may repeat some whose records are not known: of days whose records are no longer remembered, or of which calls
    /// of its source were counted when no repeats were sought.
    pub repeats_unchecked: u64,
    /// Bytes of an unfinished last line left to the next run; of a log whose compression ends early, all that decoded and does
    /// not count.
    pub pending_bytes: u64,
    /// NUL bytes left by truncation.
    pub gap_bytes: u64,
    /// The first call.
    pub first: Option<Instant>,
    /// The last call.
    pub last: Option<Instant>,
    /// Whether it was read to its end.
    pub complete: bool,
    /// The path of the input of its source that has the same content and counts instead; none: it counts itself.
    pub repeats: Option<String>,
}

/// Where every line went: `lines` is the sum of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounting {
    /// Lines read.
    pub lines: u64,
    /// Blank lines.
    pub blank: u64,
    /// Calls counted.
    pub calls: u64,
    /// Rejects.
    pub rejected: u64,
    /// Calls outside the window.
    pub outside_window: u64,
    /// Repeats.
    pub duplicates: u64,
}

/// Lines that are no calls.
#[derive(Clone, Debug, Serialize)]
pub struct Rejects {
    /// How many, by reason.
    pub by_reason: RejectCounts,
    /// Some of them.
    pub sample: Vec<Reject>,
}

/// Rejects by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // each is a reason that `crate::call::Reason` documents
pub struct RejectCounts {
    pub too_long: u64,
    #[serde(rename = "not-utf8")]
    pub not_utf8: u64,
    pub malformed: u64,
    pub no_time: u64,
    pub no_target: u64,
    pub bad_value: u64,
}

/// One line that is no call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reject {
    /// The input's path.
    pub path: String,
    /// Its number, from 1.
    pub line: u64,
    /// Where it starts, in decompressed bytes from 0.
    pub offset: u64,
    /// Why it is no call.
    pub reason: &'static str,
    /// Its shape: `a` for letters, `9` for digits.
    pub shape: String,
}

/// Calls by who, what and verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// The partner; null if unknown.
    pub partner: Option<String>,
    /// The api; without a register the templated path.
    pub api: Option<String>,
    /// The operation.
    pub operation: Option<String>,
    /// The verdict; null without a register.
    pub verdict: Option<Verdict>,
    /// What else is held against the calls, in byte order.
    pub also: Vec<&'static str>,
    /// The grant that the grant axis names.
    pub grant: Option<String>,
    /// What the API did.
    pub outcome: &'static str,
    /// How many calls.
    pub calls: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Distinct data subjects.
    pub subjects: u64,
    /// The first call.
    pub first: Instant,
    /// The last call.
    pub last: Instant,
    /// The credential, masked, where nothing was judged; else null.
    pub credential: Option<String>,
}

/// One partner's use.
#[derive(Clone, Debug, Serialize)]
pub struct Partner {
    /// Its id in the register.
    pub partner: String,
    /// Its name.
    pub name: Option<String>,
    /// All calls.
    pub calls: u64,
    /// Those served.
    pub served: u64,
    /// Those denied.
    pub denied: u64,
    /// Those failed.
    pub failed: u64,
    /// Those of unknown outcome.
    pub unknown: u64,
    /// Bytes of calls served or unknown.
    pub bytes_served: u64,
    /// Distinct data subjects of all calls.
    pub subjects: u64,
    /// Distinct apis called.
    pub apis: u64,
    /// Calls served or unknown after access was last in order, but for `propagating`.
    pub overstayed_calls: u64,
    /// The longest overstay, in whole seconds.
    pub overstay_s_max: Option<u64>,
    /// How long its calls took.
    pub latency_us: Latency,
    /// The first call.
    pub first: Option<Instant>,
    /// The last call.
    pub last: Option<Instant>,
}

/// How long calls took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Calls with a latency.
    pub count: u64,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// The longest, exactly.
    pub max: Option<u64>,
}

/// One api's use.
#[derive(Clone, Debug, Serialize)]
pub struct Api {
    /// Its id in the register.
    pub api: String,
    /// Its name.
    pub name: Option<String>,
    /// What kind of data it gives.
    pub data_class: Option<String>,
    /// Since when it is out of use.
    pub dormant_since: Option<Instant>,
    /// All calls.
    pub calls: u64,
    /// Those served.
    pub served: u64,
    /// Distinct partners that called.
    pub partners: u64,
    /// Distinct data subjects of all calls.
    pub subjects: u64,
    /// Calls that name no subject, where consent is required.
    pub calls_without_subject: u64,
    /// How long its calls took.
    pub latency_us: Latency,
    /// The first call.
    pub first: Option<Instant>,
    /// The last call.
    pub last: Option<Instant>,
}

/// One partner's calls in one hour.
#[derive(Clone, Debug, Serialize)]
pub struct Hour {
    /// The hour's start; null for the hours beyond the bound.
    pub hour: Option<Instant>,
    /// The partner; null if unknown.
    pub partner: Option<String>,
    /// Calls served.
    pub served: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls failed.
    pub failed: u64,
    /// Calls overstayed, as in [`Partner::overstayed_calls`].
    pub overstayed: u64,
}

/// An instant at which a partner's access to an api stopped being in order.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// The partner.
    pub partner: String,
    /// The api.
    pub api: String,
    /// The grant that covered it until then.
    pub grant: String,
    /// What it turned into.
    pub reason: Verdict,
    /// When.
    pub ended_at: Instant,
    /// For which operations; `*` stands for all that no grant names.
    pub operations: Vec<String>,
    /// The last call served (or unknown) since.
    pub last_served: Option<Instant>,
    /// The first call denied since.
    pub first_denied: Option<Instant>,
    /// From the end to the last served call, in whole seconds.
    pub lag_s: Option<u64>,
    /// How it went.
    pub status: EndStatus,
}

/// How an end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndStatus {
    /// Denied since, nothing served past the propagation.
    Cut,
    /// No call tells.
    Untested,
    /// Served past the propagation.
    Open,
}

impl EndStatus {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            EndStatus::Cut => "cut",
            EndStatus::Untested => "untested",
            EndStatus::Open => "open",
        }
    }
}

/// Something a person should act on.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `os-` and 12 characters, the same every night.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// How grave.
    pub severity: Severity,
    /// Its lifecycle; null without saved state.
    pub status: Option<&'static str>,
    /// When a run first reported it; null without saved state.
    pub first_seen: Option<Instant>,
    /// The owner of the suppression that hides it.
    pub suppressed_by: Option<String>,
    /// The partner.
    pub partner: Option<String>,
    /// The api.
    pub api: Option<String>,
    /// The api's data class.
    pub data_class: Option<String>,
    /// The grant.
    pub grant: Option<String>,
    /// The operations called, sorted.
    pub operations: Vec<String>,
    /// The credentials used, masked, sorted.
    pub credentials: Vec<String>,
    /// Since when what it is about holds.
    pub since: Option<Instant>,
    /// When access was last in order.
    pub lapsed_at: Option<Instant>,
    /// The first of its calls.
    pub first: Option<Instant>,
    /// The last of its calls.
    pub last: Option<Instant>,
    /// From `lapsed_at` to the last call served, in whole seconds.
    pub overstay_s: Option<u64>,
    /// Calls served, or of unknown outcome.
    pub served: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls failed.
    pub failed: u64,
    /// Calls that the register's later versions turned around.
    pub hindsight: u64,
    /// Bytes of calls served or unknown.
    pub bytes_served: u64,
    /// Distinct people of calls served or unknown.
    pub subjects: Subjects,
    /// The log that it is about, if it is about one.
    pub log: Option<FindingLog>,
    /// Expectation and observation, for anomalies.
    pub anomaly: Option<Anomaly>,
    /// The finding in a sentence.
    pub summary: String,
    /// The earliest and the latest served lines.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// Whether it is resolved: the last whole run that looked found nothing of it any more.
    pub fn is_resolved(&self) -> bool {
        self.status == Some("resolved")
    }

    /// Whether someone still has to act on it: no suppression hides it, and it is not resolved.
    pub fn is_open(&self) -> bool {
        self.suppressed_by.is_none() && !self.is_resolved()
    }
}

/// What was looked at to find anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Anomalies {
    /// Days that were judged by those before them.
    pub days: u64,
    /// On these, uses of an api by a partner that were judged.
    pub judged: u64,
    /// Those that were not, for fewer days are known of them than it takes.
    pub without_history: u64,
    /// The most days that any of the days was compared with.
    pub history_days: u64,
    /// The days that it takes.
    pub history_days_min: u64,
    /// What was looked at to find new networks; null unless that is asked for.
    pub networks: Option<AnomalyNetworks>,
}

/// What was looked at to find networks that are new, of credentials that the register knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AnomalyNetworks {
    /// Credentials of which enough is known.
    pub credentials: u64,
    /// Those of which fewer days are known than it takes.
    pub without_history: u64,
    /// Those that were presented from so many networks that none is new.
    pub untied: u64,
    /// Calls whose log has no address of the caller.
    pub without_address: u64,
}

impl Anomalies {
    fn new(scope: Scope, history_days_min: u32) -> Anomalies {
        let Scope { days, judged, too_little, history_days, networks } = scope;
        let history_days_min = u64::from(history_days_min);
        let networks = networks.map(|scope| {
            let NetworkScope { credentials, too_little, untied, without_address } = scope;
            AnomalyNetworks { credentials, without_history: too_little, untied, without_address }
        });
        let without_history = too_little;
        Anomalies { days, judged, without_history, history_days, history_days_min, networks }
    }
}

/// What was expected and what was observed. Numbers that are no counts have three decimals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// Calls, people or denied calls, of the worst hour; of a drop, calls of all its hours; of what is new or woke, its calls.
    pub observed: u64,
    /// What was expected in place of these.
    pub expected: f64,
    /// How far apart they are, in steps of the spread that is usual there; null of what is new or woke.
    pub score: Option<f64>,
    /// Its time is from then …
    pub from: Instant,
    /// … until then.
    pub until: Instant,
    /// The hour farthest off; null of what is new or woke.
    pub worst: Option<Instant>,
    /// Of a denied burst, the share of the calls of that hour that were denied, from 0 to 1.
    pub denied_ratio: Option<f64>,
    /// What that usually is.
    pub denied_ratio_usual: Option<f64>,
    /// Days of logs that it rests on.
    pub history_days: u64,
    /// How many of these have that hour of the week; null of what is new or woke.
    pub same_hours: Option<u64>,
    /// The median of these hours, at the level of the last days.
    pub median: Option<f64>,
    /// By what that was multiplied, for the whole day was busier or quieter.
    pub day_ratio: Option<f64>,
    /// Of what woke, the last day on which it was used before.
    pub last_before: Option<String>,
    /// Of a new network, that network; null where it is one too many for the credential to be tied to any.
    pub network: Option<String>,
}

impl Anomaly {
    /// Of what is odd, with so many calls.
    fn new(odd: &OddShown, calls: u64) -> Anomaly {
        let (from, until) = odd.span();
        let rounded = |x: f64| (x * 1000.0).round() / 1000.0;
        match odd {
            OddShown::Hours(anomaly) => Anomaly {
                observed: anomaly.observed,
                expected: rounded(anomaly.expected),
                score: Some(rounded(anomaly.score)),
                from,
                until,
                worst: Some(Instant::from_hour(anomaly.worst_hour)),
                denied_ratio: anomaly.denied_ratio.map(|ratio| rounded(ratio.observed)),
                denied_ratio_usual: anomaly.denied_ratio.map(|ratio| rounded(ratio.usual)),
                history_days: u64::from(anomaly.basis.history_days),
                same_hours: Some(u64::from(anomaly.basis.same_hours)),
                median: Some(rounded(anomaly.basis.median)),
                day_ratio: Some(rounded(anomaly.basis.day_ratio)),
                last_before: None,
                network: None,
            },
            OddShown::Day { days_before, last, .. } => {
                let last_before = last.map(day_name);
                Anomaly { last_before, ..Anomaly::of_calls(calls, (from, until), *days_before) }
            }
            OddShown::Network { days_before, network, .. } => {
                let network = network.map(|network| network.to_string());
                Anomaly { network, ..Anomaly::of_calls(calls, (from, until), *days_before) }
            }
        }
    }

    /// Of what is done for the first time, or again, by so many calls, where none was expected.
    fn of_calls(calls: u64, (from, until): (Instant, Instant), history_days: u64) -> Anomaly {
        Anomaly {
            observed: calls,
            expected: 0.0,
            score: None,
            from,
            until,
            worst: None,
            denied_ratio: None,
            denied_ratio_usual: None,
            history_days,
            same_hours: None,
            median: None,
            day_ratio: None,
            last_before: None,
            network: None,
        }
    }
}

/// A log that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FindingLog {
    /// Its source.
    pub source: String,
    /// Its path when it was last read.
    pub path: String,
    /// How far it was read, in decompressed bytes.
    pub read_bytes: u64,
    /// How many bytes were seen there last.
    pub seen_bytes: u64,
}

/// A count of distinct people, or its estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subjects {
    /// The count.
    pub count: u64,
    /// Whether it is exact.
    pub exact: bool,
    /// At least so many, two standard errors below an estimate.
    pub low: u64,
    /// At most so many, two standard errors above an estimate.
    pub high: u64,
}

/// Where a served line lies, and what it hashes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The input's path.
    pub path: String,
    /// Where the line starts, in decompressed bytes from 0.
    pub offset: u64,
    /// Its length without its ending.
    pub length: u64,
    /// BLAKE3 of it, hex.
    pub blake3: String,
    /// The call's instant.
    pub at: Instant,
    /// The log's number in the ledger, the same whatever it is called; only where state is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
}

/// A grant that overrides missing consent.
#[derive(Clone, Debug, Serialize)]
pub struct Exception {
    /// The grant.
    pub grant: String,
    /// The partner.
    pub partner: String,
    /// The api.
    pub api: String,
    /// Why it was given.
    pub justification: Option<String>,
    /// Calls it excused.
    pub calls: u64,
    /// Distinct people of those.
    pub subjects: u64,
}

/// A decision not to act on findings, and what it hides.
#[derive(Clone, Debug, Serialize)]
pub struct Suppression {
    /// The finding's id, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The kind, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Only this partner's findings, if it names one.
    pub partner: Option<String>,
    /// Only findings on this api, if it names one.
    pub api: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Instant,
    /// Whether that has passed at the window's end.
    pub expired: bool,
    /// How many findings it hides.
    pub hides: u64,
}

/// What of the expected logs was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// Every source.
    pub sources: Vec<SourceCoverage>,
    /// Partners of the register that made no call.
    pub partners_without_calls: u64,
    /// Grants that no call was judged by.
    pub grants_without_calls: u64,
    /// Days (of UTC) on which a call came. Below [`crate::limits::UNUSED_DAYS_MIN`] nothing is called unused.
    pub days_read: u64,
}

/// What of one source was seen.
#[derive(Clone, Debug, Serialize)]
pub struct SourceCoverage {
    /// The source.
    pub source: String,
    /// `hourly`, `daily`, or null: not declared.
    pub expect: Option<&'static str>,
    /// Hours of the window (all 24 of each day, if daily); 0 if not declared.
    pub hours_expected: u64,
    /// Those with a call (all 24 of each day with one, if daily).
    pub hours_seen: u64,
    /// Stretches without any.
    pub gaps: Vec<Gap>,
    /// All calls.
    pub calls: u64,
    /// Calls without a credential.
    pub anonymous: u64,
}

/// A stretch without calls, `[from, until)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Its start.
    pub from: Instant,
    /// Its end.
    pub until: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_lost_a_call_is_none() {
        let mut report = fixtures::small();
        report.accounting.calls = report.usage.iter().map(|row| row.calls).sum();
        assert!(report.check().is_ok());
        report.accounting.calls += 1;
        let error = report.check().unwrap_err().to_string();
        assert!(error.contains("found 4 calls in its usage rows, expected the 5"), "{error}");
        report.partner = Some("reelhouse".to_owned());
        assert!(report.check().is_ok(), "the other call is another partner's");
        report.accounting.calls = 3;
        assert!(report.check().is_err());
    }
}
