//! What is known from run to run: every log with how far it was read, every day with its tally, every finding with its life.
//!
//! A run's whole effect is one new ledger. All other files of a state are immutable and named in it; what it does not name
//! is not there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::codec::{self, Kind};
use crate::error::Result;
use crate::input::{Grown, Mark, Packed, Print, Start};
use crate::limits;
use crate::register::Register;
use crate::tally::FirstNetworks;
use crate::time::Instant;

/// A file of the state, by its name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// Its name in the folder of its kind.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of it.
    pub blake3: [u8; 32],
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The number of the run that wrote it, from 1.
    pub run: u64,
    /// When that was.
    pub run_at_ns: i64,
    /// Time as runs have seen it pass: see [`Ledger::pass`].
    pub elapsed_s: u64,
    /// The hash of that run's manifest, the head of the chain; none before the first.
    pub head: Option<[u8; 32]>,
    /// Tells the privacy key that the state is sealed with.
    pub key_check: [u8; 32],
    /// What the last run judged by.
    pub judged_by: Option<JudgedBy>,
    /// The digests of all registers that any run judged by.
    pub registers: BTreeSet<[u8; 32]>,
    /// The number of the next log that is new.
    pub next_input: u64,
    /// The sources whose logs of all dates were looked for.
    pub surveyed: BTreeSet<String>,
    /// All logs that are known, by number.
    pub inputs: Vec<KnownInput>,
    /// All days that are kept.
    pub days: BTreeMap<i64, Day>,
    /// Days that were kept once: how often their reports were issued, so that no number is given twice.
    pub revisions: BTreeMap<i64, u64>,
    /// All findings there ever were.
    pub findings: BTreeMap<String, Life>,
    /// What of the register was used, and when last.
    pub uses: Uses,
    /// The last call ever counted.
    pub last_call_ns: Option<i64>,
    /// Alerts that were not accepted yet.
    pub outbox: Outbox,
}

/// Alerts that wait to be accepted: what a run has to tell goes out after the run counts, so that what is not delivered then is
/// known to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// What a run has to tell, as JSON, by the number of the run. It is rendered when it is sent.
    pub messages: BTreeMap<u64, String>,
    /// The channels that a run's message waits for, by name, then by run.
    pub waiting: BTreeMap<(String, u64), Waiting>,
}

/// A message that waits for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Tells the receiver what it has had already: the same however often it is sent.
    pub delivery_id: String,
    /// How many changes it tells of.
    pub changes: u64,
    /// How many runs have tried in vain.
    pub tries: u32,
    /// Why the last of them could not deliver it.
    pub failure: Option<String>,
}

impl Outbox {
    /// Has a message wait for a channel no longer, for it was accepted or is not to be sent. A message that nobody waits for is
    /// forgotten.
    pub fn remove(&mut self, channel: &str, run: u64) {
        self.waiting.remove(&(channel.to_owned(), run));
        if !self.waiting.keys().any(|(_, of)| *of == run) {
            self.messages.remove(&run);
        }
    }
}

/// All that verdicts depend on beside the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JudgedBy {
    /// The register's digest.
    pub register: [u8; 32],
    /// The propagation of apis that do not say, in seconds: the configuration's, and so in no register.
    pub propagation_s: u64,
}

impl JudgedBy {
    /// This register.
    pub fn of(register: &Register) -> JudgedBy {
        JudgedBy { register: register.digest, propagation_s: register.propagation_s }
    }
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInput {
    /// Its number.
    pub id: u64,
    /// Its source.
    pub source: String,
    /// What it was called when it was last seen.
    pub path: String,
    /// The format it is read in; none until it had a line to tell it from.
    pub format: Option<String>,
    /// How many lines were read.
    pub lines: u64,
    /// How far it was read, in decompressed bytes: the beginning of a line.
    pub offset: u64,
    /// How many bytes were there when it was last seen, decompressed.
    pub seen_bytes: u64,
    /// The last directive before the offset, where its format has such.
    pub directive: Option<Vec<u8>>,
    /// The first block of what was read: its length and BLAKE3.
    pub head: (u32, [u8; 32]),
    /// The last block of it.
    pub tail: (u32, [u8; 32]),
    /// What was hashed of it, if it is not compressed: how many bytes, and the subtrees of their hash.
    pub grown: (u64, Vec<[u8; 32]>),
    /// Of one that is compressed: size and BLAKE3 of its ends as it lies.
    pub packed: Option<(u64, [u8; 32])>,
    /// Of one whose compression ended early when it was last read: why, and BLAKE3 of all of it as it lay then.
    pub flaw: Option<(String, [u8; 32])>,
    /// Device and inode: a hint.
    pub file: Option<(u64, u64)>,
    /// Whether it was ever found under another name than before.
    pub is_renamed: bool,
    /// When its content was last seen under any name, in the ledger's elapsed time.
    pub seen_at_s: u64,
    /// Whether it is gone or was rewritten, and that was told.
    pub is_told: bool,
}

impl KnownInput {
    /// By what it is known.
    pub fn print(&self) -> Print {
        let ((head_bytes, head), (tail_bytes, tail)) = (self.head, self.tail);
        Print { head_bytes, head, tail_bytes, tail }
    }

    /// Where reading goes on.
    pub fn start(&self) -> Start {
        let (bytes, subtrees) = self.grown.clone();
        Start {
            offset: self.offset,
            directive: self.directive.clone(),
            print: self.print(),
            grown: Grown { bytes, subtrees },
            until: None,
        }
    }

    /// By what it is known as it lies, if it is compressed.
    pub fn packed(&self) -> Option<Packed> {
        self.packed.map(|(bytes, ends)| Packed { bytes, ends })
    }

    /// Whether some of it may never have been read, as far as anybody could see.
    ///
    /// Of what ends early that can't be told; but what is so short that nothing of it counted may have been the beginning of a
    /// copy.
    pub fn is_unread(&self) -> bool {
        let is_short = self.offset == 0 && self.seen_bytes < limits::REPEATED_FILE_BYTES_MIN as u64;
        match &self.flaw {
            None => self.seen_bytes > self.offset,
            Some(_) => !is_short,
        }
    }

    /// Takes over how far it was read now, `lines` further on.
    pub fn advance(&mut self, mark: &Mark, lines: u64) {
        let Print { head_bytes, head, tail_bytes, tail } = mark.print;
        self.lines += lines;
        self.offset = mark.end;
        self.seen_bytes = mark.end + mark.pending_bytes;
        self.directive.clone_from(&mark.directive);
        (self.head, self.tail) = ((head_bytes, head), (tail_bytes, tail));
        self.grown = (mark.grown.bytes, mark.grown.subtrees.clone());
        self.packed = mark.packed.map(|packed| (packed.bytes, packed.ends));
        self.flaw = mark.flawed.as_ref().map(|flawed| (flawed.reason.clone(), flawed.blake3));
        self.file = mark.file;
    }
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// How often its report was issued.
    pub revision: u64,
    /// Its tally.
    pub segment: StateFile,
    /// What was called in its hours: to be added to, and in numbers.
    pub uses: StateFile,
    /// See `uses`.
    pub hours: StateFile,
    /// The ids of its records, if there are any that later ones may repeat.
    pub repeats: Option<StateFile>,
    /// Of which of its calls the records are not among these.
    pub unremembered: Unremembered,
    /// Its calls.
    pub calls: u64,
    /// What its calls were judged by.
    pub judged_by: BTreeSet<JudgedBy>,
    /// Whether what the last run judged by may say otherwise of calls of it. Of a day of which that is not so, it says what all
    /// that it was judged by say.
    pub is_touched: bool,
}

impl Day {
    /// All files that hold what is known of it.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        [Some(&self.segment), Some(&self.uses), Some(&self.hours), self.repeats.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// Of which calls of a day the records are not known, so that nobody can tell what repeats them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unremembered {
    /// Of all: records are not remembered for longer than was asked for.
    All,
    /// Of some calls of these sources, counted when nobody sought repeats among them.
    Of(BTreeSet<String>),
}

impl Default for Unremembered {
    fn default() -> Unremembered {
        Unremembered::Of(BTreeSet::new())
    }
}

impl Unremembered {
    /// Whether there are such calls of a source.
    pub fn has(&self, source: &str) -> bool {
        match self {
            Unremembered::All => true,
            Unremembered::Of(sources) => sources.contains(source),
        }
    }

    /// With such calls of these sources.
    #[must_use]
    pub fn with(&self, more: &BTreeSet<String>) -> Unremembered {
        match self {
            Unremembered::All => Unremembered::All,
            Unremembered::Of(sources) => Unremembered::Of(sources | more),
        }
    }
}

/// Where a finding is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// First seen in this run.
    New,
    /// Seen before, and still.
    Ongoing,
    /// No longer.
    Resolved,
    /// Seen again after it was resolved.
    Reopened,
}

impl Stage {
    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::New => "new",
            Stage::Ongoing => "ongoing",
            Stage::Resolved => "resolved",
            Stage::Reopened => "reopened",
        }
    }
}

/// The life of a finding, and what is said of it once it no longer occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its kind.
    pub kind: String,
    /// Its severity when it was last found.
    pub severity: String,
    /// Where it is.
    pub stage: Stage,
    /// When a run first reported it.
    pub first_seen_ns: i64,
    /// The run that last found it.
    pub last_run: u64,
    /// Whether any run found calls of it that were served.
    pub was_served: bool,
    /// The sources that its evidence came from.
    pub sources: BTreeSet<String>,
    /// Its partner, api and grant.
    pub partner: Option<String>,
    /// See `partner`.
    pub api: Option<String>,
    /// See `partner`.
    pub grant: Option<String>,
    /// The log it is about, if it is about one.
    pub log: Option<LifeLog>,
    /// Since when it held, when it was last found.
    pub since_ns: Option<i64>,
    /// When access was last in order, likewise.
    pub lapsed_at_ns: Option<i64>,
    /// The last of its calls.
    pub last_ns: Option<i64>,
    /// What the run that last found it counted.
    pub counted: LifeCounts,
    /// The last alert that told of it while it was open; none if none did, or one has told since that it is over.
    pub alerted: Option<Alerted>,
}

/// An alert that told of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    /// The severity that it told of.
    pub severity: String,
    /// The time of its run.
    pub at_ns: i64,
}

/// What a run counted of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeCounts {
    /// Calls that were served, or of which the log does not say whether they were.
    pub served: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Distinct people of those served.
    pub people: u64,
    /// Whether that number is exact.
    pub people_exact: bool,
    /// At least so many.
    pub people_low: u64,
    /// At most so many.
    pub people_high: u64,
    /// The operations.
    pub operations: Vec<String>,
    /// The credentials, as reports show them.
    pub credentials: Vec<String>,
    /// The longest that a served call came after access was last in order, in seconds.
    pub overstay_s: Option<u64>,
}

/// The log that a finding is about, as it was when it was last found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeLog {
    /// Its source.
    pub source: String,
    /// Its path when it was last read.
    pub path: String,
    /// How far it was read, in decompressed bytes.
    pub read_bytes: u64,
    /// How many bytes were seen there last.
    pub seen_bytes: u64,
}

/// What of the register was used: the numbers are of days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// The last day on which a call was judged by each grant.
    pub grants: BTreeMap<String, i64>,
    /// The first and the last day of calls of (partner, api, operation).
    pub operations: BTreeMap<(String, String, String), (i64, i64)>,
    /// Operations of (partner, api) that the register had no word for: it may get one.
    pub logged: BTreeMap<(String, String), LoggedUses>,
    /// The last day on which each credential was presented, by digest; how reports show it.
    pub credentials: BTreeMap<[u8; 32], (i64, String)>,
    /// The first day of calls of (partner, api, operation). These are never forgotten, as the next four: what slept longest tells
    /// most.
    pub firsts: BTreeMap<(String, String, String), i64>,
    /// The days on which a grant was served again after a long time: how many days of logs lay before, and the last day of use.
    pub woken_grants: BTreeMap<(String, i64), (u64, i64)>,
    /// Likewise of each api.
    pub woken_apis: BTreeMap<(String, i64), (u64, i64)>,
    /// The last day on which a call was served by each grant.
    pub served_grants: BTreeMap<String, i64>,
    /// Likewise of each api.
    pub served_apis: BTreeMap<String, i64>,
    /// The last day of each partner's calls.
    pub partners: BTreeMap<String, i64>,
    /// The last day of calls to each api that are of no partner, or for no operation, that the register knows.
    pub apis: BTreeMap<String, i64>,
    /// Likewise for operations.
    pub words: BTreeMap<String, i64>,
    /// The last hour with a call of each source.
    pub sources: BTreeMap<String, i64>,
    /// From where credentials were presented first, by digest; of those that were not used for long nothing.
    pub networks: BTreeMap<[u8; 32], FirstNetworks>,
    /// The days with calls from an address.
    pub network_days: BTreeSet<i64>,
    /// The days with calls.
    pub days: BTreeSet<i64>,
    /// The days on which calls presented a credential that the register knows.
    pub telling_days: BTreeSet<i64>,
}

/// Operations that only logs brought, as many as are kept: the first in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedUses {
    /// The last day of calls of each.
    pub days: BTreeMap<String, i64>,
    /// The last day of calls of any that is not kept.
    pub more: Option<i64>,
}

impl LoggedUses {
    /// Notes a call of an operation; none: of one whose name was cut off.
    pub fn note(&mut self, operation: Option<&str>, day: i64) {
        let Some(operation) = operation else {
            self.more = self.more.max(Some(day));
            return;
        };
        let last = self.days.entry(operation.to_owned()).or_insert(day);
        *last = day.max(*last);
        while self.days.len() > limits::LOGGED_OPERATIONS_NOTED_MAX {
            self.more = self.more.max(self.days.pop_last().map(|(_, last)| last));
        }
    }
}

impl Uses {
    /// Forgets what was not used since a day.
    pub fn forget_before(&mut self, day: i64) {
        self.grants.retain(|_, last| *last >= day);
        self.operations.retain(|_, (_, last)| *last >= day);
        self.logged.retain(|_, logged| {
            logged.days.retain(|_, last| *last >= day);
            logged.more = logged.more.filter(|last| *last >= day);
            !logged.days.is_empty() || logged.more.is_some()
        });
        self.credentials.retain(|_, (last, _)| *last >= day);
        // Who presents one again after so long begins anew.
        self.networks.retain(|digest, _| self.credentials.contains_key(digest));
        for days in [&mut self.partners, &mut self.apis, &mut self.words] {
            days.retain(|_, last| *last >= day);
        }
        for days in [&mut self.days, &mut self.telling_days, &mut self.network_days] {
            *days = days.split_off(&day);
        }
    }
}

impl Ledger {
    /// Lets time pass up to a run: what has passed since the run before, but no more than a day and a half and never less than
    /// nothing. A log is forgotten by this time, not by the clock.
    pub fn pass(&mut self, run_at: Instant) {
        if self.run > 0 {
            let gap = run_at.seconds_since(Instant::from_ns(self.run_at_ns));
            self.elapsed_s += gap.min(limits::RUN_GAP_MAX_S);
        }
    }

    /// The file that holds it.
    ///
    /// # Errors
    ///
    /// If it can't be encoded.
    pub fn encode(&self) -> Result<Vec<u8>> {
        codec::encode(Kind::Ledger, self)
    }

    /// Reads what [`Ledger::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is no ledger, of another version, not all there, or damaged.
    pub fn decode(shown: &str, file: &[u8]) -> Result<Ledger> {
        codec::decode(shown, Kind::Ledger, file)
    }
}
