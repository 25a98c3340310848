//! The report as the twin tells it: the keys of section 6 of the contract, in their order.
//!
//! What has not changed since the first report is the program's own plain data; the rest is written down here once more,
//! so that the twin names its keys and kinds by itself. Texts are empty: the program's are taken over.

use serde::Serialize;

use overstay::findings::Severity;
use overstay::report::{
    Accounting, Api, Config, End, Evidence, Exception, Hour, Partner, Register, Rejects,
    SourceCoverage, Status, Subjects, Usage, Window,
};
use overstay::time::Instant;

use super::odd::{Anomalies, Anomaly};

/// Everything a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub program: String,
    pub status: Status,
    pub partial: Vec<()>,
    pub headline: String,
    /// `--partner`.
    pub partner: Option<String>,
    pub window: Window,
    pub config: Config,
    pub register: Register,
    pub inputs: Vec<Input>,
    pub accounting: Accounting,
    pub rejects: Rejects,
    pub usage: Vec<Usage>,
    pub partners: Vec<Partner>,
    pub apis: Vec<Api>,
    pub series: Vec<Hour>,
    pub ends: Vec<End>,
    pub findings: Vec<Finding>,
    pub anomalies: Anomalies,
    pub exceptions: Vec<Exception>,
    pub suppressions: Vec<()>,
    pub flipped: Vec<()>,
    pub coverage: Coverage,
    /// Of runs that keep state only.
    pub nightly: Option<()>,
}

/// One input.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    pub path: String,
    pub source: String,
    pub format: Option<String>,
    pub compression: Option<&'static str>,
    pub bytes: u64,
    pub digest: Option<String>,
    pub lines: u64,
    pub blank: u64,
    pub calls: u64,
    pub rejected: u64,
    pub outside_window: u64,
    pub duplicates: u64,
    /// Calls of days that are no longer remembered: without state there are none.
    pub repeats_unchecked: u64,
    pub pending_bytes: u64,
    pub gap_bytes: u64,
    pub first: Option<Instant>,
    pub last: Option<Instant>,
    pub complete: bool,
    /// The path of the file that it is equal to, and that counts instead of it.
    pub repeats: Option<String>,
}

/// Something a person should act on.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub id: String,
    pub kind: &'static str,
    pub severity: Severity,
    pub status: Option<&'static str>,
    pub first_seen: Option<Instant>,
    pub suppressed_by: Option<String>,
    pub partner: Option<String>,
    pub api: Option<String>,
    pub data_class: Option<String>,
    pub grant: Option<String>,
    pub operations: Vec<String>,
    pub credentials: Vec<String>,
    pub since: Option<Instant>,
    pub lapsed_at: Option<Instant>,
    pub first: Option<Instant>,
    pub last: Option<Instant>,
    pub overstay_s: Option<u64>,
    pub served: u64,
    pub denied: u64,
    pub failed: u64,
    pub hindsight: u64,
    pub bytes_served: u64,
    pub subjects: Subjects,
    /// Of runs that keep state only.
    pub log: Option<()>,
    pub anomaly: Option<Anomaly>,
    pub summary: String,
    pub evidence: Vec<Evidence>,
}

/// What of the expected logs was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    pub sources: Vec<SourceCoverage>,
    pub partners_without_calls: u64,
    pub grants_without_calls: u64,
    /// Distinct UTC days with a counted call.
    pub days_read: u64,
}
