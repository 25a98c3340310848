//! What is counted: sums that merge in any order to the same result.
//!
//! A [`Tally`] is a commutative monoid: `add`, `merge` and an empty one. Chunks, threads and
//! files all meet in `merge`, and nothing in it depends on which came first.

mod bounded;
mod cell;
mod columns;
mod dated;
mod evidence;
mod hourly;
mod latency;
mod networks;
mod operations;
mod rejects;
mod series;
mod served;
mod sheet;
mod subjects;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use rayon::prelude::*;

pub use bounded::{Bounded, Key, Merge, Parts};
pub use cell::{Cell, CellKey, Latest, Logged, OperationName};
pub use columns::{Addends, Columns};
pub use dated::{By, Dated};
pub use evidence::{Evidence, Place, Proof};
pub use hourly::{HourKey, HourUse, Hourly, People};
use latency::Buckets;
pub use latency::{Latencies, LatencyCounts};
pub use networks::{CredentialNetworks, FirstNetworks, NetworkUse, NetworkUses, Networks};
pub use operations::Operations;
pub use rejects::{Reject, Rejects};
pub use series::{Finished as FinishedSeries, HourCounts, Series};
pub use served::ServedDays;
pub use subjects::{Estimate, SubjectHashes, Subjects, hash as subject_hash};

use crate::call::{Call, Outcome, Reason};
use crate::judge::{Also, Judge, Judged, Presented, Verdict};
use crate::limits;
use crate::register::{ApiId, CredentialId, PartnerId, Shown};
use crate::time::{HOURS_PER_DAY, Instant};

/// What stands for all names that a bound cut off.
pub const OTHER: &str = "(other)";

/// Names that only the log brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// The digest of the credential, where nothing is judged.
    pub credential: Option<[u8; 32]>,
    /// The api, or the templated path where nothing is judged.
    pub api: Option<Box<str>>,
    /// The operation.
    pub operation: Option<Box<str>>,
}

impl Names {
    /// Those of a judged call; `None` if the register has words for all of it.
    pub fn of(judged: &Judged<'_>) -> Option<Names> {
        let (api, operation) = (judged.api.logged(), judged.operation.logged());
        (api.is_some() || operation.is_some()).then(|| Names {
            credential: None,
            api: api.map(Box::from),
            operation: operation.map(Box::from),
        })
    }
}

impl Key for Names {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let names = [&self.api, &self.operation].map(|name| name.as_deref().map(str::as_bytes));
        for name in [self.credential.as_ref().map(|digest| &digest[..])].into_iter().chain(names) {
            match name {
                None => bytes.push(0),
                Some(name) => {
                    bytes.push(1);
                    bytes.extend((name.len() as u64).to_le_bytes());
                    bytes.extend(name);
                }
            }
        }
        bytes
    }

    fn is_outsize(&self) -> bool {
        let names = [&self.api, &self.operation].into_iter().flatten();
        names.map(|name| name.len()).sum::<usize>() > limits::NAME_BYTES_MAX
    }
}

impl Key for [u8; 32] {
    fn bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

/// Cells by their keys.
#[derive(Clone, Debug, Default)]
pub struct Cells(pub HashMap<CellKey, Cell>);

/// Cells of names that only the log brings.
#[derive(Clone, Debug, Default)]
pub struct NamedCells {
    /// How reports show the credential, where nothing is judged.
    pub shown: Option<Shown>,
    /// The cells.
    pub cells: Cells,
}

impl Merge for NamedCells {
    fn merge(&mut self, other: NamedCells) {
        other.shown.into_iter().for_each(|shown| shown.note_in(&mut self.shown));
        self.cells.merge(other.cells);
    }
}

impl Cells {
    /// Adds a cell.
    pub fn add(&mut self, key: CellKey, cell: Cell) {
        match self.0.entry(key) {
            hashbrown::hash_map::Entry::Occupied(mut ours) => ours.get_mut().merge(&cell),
            hashbrown::hash_map::Entry::Vacant(place) => {
                place.insert(cell);
            }
        }
    }
}

impl Merge for Cells {
    fn merge(&mut self, mut other: Cells) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        // Side by side on the current thread pool: people have to be looked for one by one.
        self.0.par_iter_mut().for_each(|(key, ours)| {
            if let Some(theirs) = other.0.get(key) {
                ours.merge(theirs);
            }
        });
        other.0.retain(|key, _| !self.0.contains_key(key));
        self.0.extend(other.0);
    }
}

/// The sums for one credential that is stale or unknown.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How reports show the credential, if it is one that only the log brings.
    pub shown: Option<Shown>,
    /// Calls by outcome, in the order of [`Outcome::ALL`].
    pub calls: [u64; 4],
    /// Bytes of calls served or unknown.
    pub bytes_served: u64,
    /// Calls that the register's later versions turned around.
    pub hindsight: u64,
    /// Distinct people of calls served or unknown.
    pub subjects: Subjects,
    /// The first and the last call.
    pub span: Span,
    /// The last call, and what holds of it.
    pub latest: Option<GroupLatest>,
    /// The last served or unknown call, and what holds of it.
    pub latest_served: Option<GroupLatest>,
    /// The operations called.
    pub operations: Operations,
    /// Lines that prove it.
    pub evidence: Evidence,
}

/// What holds of a credential's last call.
#[derive(Clone, Copy, Debug)]
pub struct GroupLatest {
    /// The facts.
    pub facts: Latest,
    /// Whose credential it was; of several at one instant, the first.
    pub partner: Option<PartnerId>,
}

/// Merges what is known of the last call.
fn merge_latest(ours: &mut Option<GroupLatest>, theirs: Option<GroupLatest>) {
    let Some(theirs) = theirs else { return };
    let Some(ours) = ours else {
        *ours = Some(theirs);
        return;
    };
    match theirs.facts.at.cmp(&ours.facts.at) {
        std::cmp::Ordering::Greater => ours.partner = theirs.partner,
        std::cmp::Ordering::Equal => ours.partner = ours.partner.min(theirs.partner),
        std::cmp::Ordering::Less => {}
    }
    ours.facts.merge(theirs.facts);
}

impl Merge for Group {
    fn merge(&mut self, other: Group) {
        other.shown.into_iter().for_each(|shown| shown.note_in(&mut self.shown));
        for (ours, theirs) in self.calls.iter_mut().zip(other.calls) {
            *ours += theirs;
        }
        self.bytes_served = self.bytes_served.saturating_add(other.bytes_served);
        self.hindsight += other.hindsight;
        self.subjects.merge(&other.subjects);
        self.span.merge(other.span);
        merge_latest(&mut self.latest, other.latest);
        merge_latest(&mut self.latest_served, other.latest_served);
        self.operations.merge(other.operations);
        self.evidence.merge(&other.evidence);
    }
}

impl Group {
    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.iter().sum()
    }
}

/// The first and the last of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: Option<Instant>,
    /// The last.
    pub last: Option<Instant>,
}

impl Span {
    /// Adds one instant.
    pub fn add(&mut self, at: Instant) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Span) {
        [other.first, other.last].into_iter().flatten().for_each(|at| self.add(at));
    }
}

/// What a source's calls add up to.
#[derive(Clone, Debug, Default)]
pub struct SourceSums {
    /// All calls.
    pub calls: u64,
    /// Those without a credential.
    pub anonymous: u64,
    /// Whether any presented one that the register knows.
    pub tells_who: bool,
    /// Hours with a call: [`Instant::hour`].
    pub hours: BTreeSet<i64>,
}

impl SourceSums {
    /// By day, a bit for each hour in which it had a call.
    pub fn heard(&self) -> BTreeMap<i64, u32> {
        let mut days = BTreeMap::new();
        for hour in &self.hours {
            let bits: &mut u32 = days.entry(hour.div_euclid(HOURS_PER_DAY)).or_default();
            *bits |= 1 << hour.rem_euclid(HOURS_PER_DAY);
        }
        days
    }
}

/// Where the lines of one input went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSums {
    /// Blank lines.
    pub blank: u64,
    /// Calls counted.
    pub calls: u64,
    /// Rejects.
    pub rejected: u64,
    /// Rejects that count for `--max-rejects`: all but `no-target`.
    pub rejected_counted: u64,
    /// Calls outside the window.
    pub outside_window: u64,
    /// Records that repeat others, which count instead; of a file that repeats another, all lines that are not blank.
    pub duplicates: u64,
    /// Calls of days whose records are not remembered: whether they repeat others was not looked at.
    pub repeats_unchecked: u64,
    /// NUL bytes left by truncation.
    pub gap_bytes: u64,
    /// The first and the last call counted.
    pub span: Span,
}

impl InputSums {
    /// All lines.
    pub fn lines(&self) -> u64 {
        self.blank + self.calls + self.rejected + self.outside_window + self.duplicates
    }

    /// Those of a file with the same content, which counts once.
    #[must_use]
    pub fn of_repeat(&self) -> InputSums {
        let InputSums { blank, gap_bytes, .. } = *self;
        InputSums { blank, duplicates: self.lines() - blank, gap_bytes, ..InputSums::default() }
    }

    /// Counts a reject.
    pub fn reject(&mut self, reason: Reason) {
        self.rejected += 1;
        self.rejected_counted += u64::from(reason != Reason::NoTarget);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &InputSums) {
        self.blank += other.blank;
        self.calls += other.calls;
        self.rejected += other.rejected;
        self.rejected_counted += other.rejected_counted;
        self.outside_window += other.outside_window;
        self.duplicates += other.duplicates;
        self.repeats_unchecked += other.repeats_unchecked;
        self.gap_bytes += other.gap_bytes;
        self.span.merge(other.span);
    }
}

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Calls whose api and operation the register has words for.
    pub cells: Cells,
    /// The others.
    pub named: Bounded<Names, NamedCells>,
    /// Unknown credentials, by digest.
    pub unknown: Bounded<[u8; 32], Group>,
    /// Stale credentials.
    pub stale: HashMap<CredentialId, Group>,
    /// How long each partner's calls took.
    pub partners: HashMap<PartnerId, Latencies>,
    /// How long each api's calls took.
    pub apis: HashMap<ApiId, Latencies>,
    /// Calls by the hour.
    pub series: Series,
    /// The same by partner and api, as far as anomalies are looked for in them.
    pub hourly: Hourly,
    /// On which days what was served; of a day's tally this is for its cells to say.
    pub served: ServedDays,
    /// From which networks credentials were presented, if that is asked for.
    pub networks: Networks,
    /// By source.
    pub sources: HashMap<u32, SourceSums>,
    /// By input.
    pub inputs: HashMap<u32, InputSums>,
    /// Lines that are no calls.
    pub rejects: Rejects,
}

impl Cells {
    fn heap_bytes(&self) -> usize {
        let entry = size_of::<(CellKey, Cell)>();
        self.0.capacity() * entry + self.0.values().map(Cell::heap_bytes).sum::<usize>()
    }
}

impl Group {
    fn heap_bytes(&self) -> usize {
        self.subjects.heap_bytes() + self.operations.heap_bytes() + self.evidence.heap_bytes()
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            cells: Cells::default(),
            named: Bounded::new(limits::LOGGED_NAMES_MAX),
            unknown: Bounded::new(limits::UNKNOWN_CREDENTIALS_MAX),
            stale: HashMap::new(),
            partners: HashMap::new(),
            apis: HashMap::new(),
            series: Series::default(),
            hourly: Hourly::default(),
            served: ServedDays::default(),
            networks: Networks::default(),
            sources: HashMap::new(),
            inputs: HashMap::new(),
            rejects: Rejects::default(),
        }
    }
}

impl Tally {
    /// Counts one call that `judge` has judged, `line` being its text.
    pub fn add(
        &mut self,
        judge: &Judge<'_>,
        call: &Call<'_>,
        judged: &Judged<'_>,
        place: Place,
        line: &[u8],
    ) {
        let key = CellKey::of(call.outcome, judged);
        let latest = Latest {
            at: call.at,
            since: judged.since,
            axis_since: judged.axis_since,
            lapsed_at: judged.lapsed_at,
        };
        let subject = judged.subject.as_deref().map(subject_hash);
        let cells = match Names::of(judged) {
            None => &mut self.cells,
            Some(names) => &mut self.named.entry(&names).cells,
        };
        let cell = cells.0.entry(key).or_insert_with(|| Cell::new(latest));
        count(cell, call, latest, subject);
        let asks_consent = judged.api.known().is_some_and(|api| judge.consent_required(api));
        cell.without_subject += u64::from(asks_consent && judged.subject.is_none());
        if let Presented::Known(credential) = judged.presented {
            cell.add_credential(credential);
        }
        if key.held_against() && call.outcome.counts_as_served() {
            cell.evidence.add(call.at, place, line);
        }

        if let Presented::Known(credential) = judged.presented
            && (judged.also.stale || judged.verdict == Verdict::StaleCredential)
        {
            let facts = Latest { since: judged.stale_since, ..latest };
            let group = self.stale.entry(credential).or_default();
            add_to_group(group, judge, call, judged, facts, subject, place, line);
        }
        if let Presented::Unknown(digest) = judged.presented
            && judged.verdict == Verdict::UnknownCredential
        {
            let group = self.unknown.entry(&digest);
            if let Some(credential) = call.credential.as_deref() {
                Shown::new(credential).note_in(&mut group.shown);
            }
            add_to_group(group, judge, call, judged, latest, subject, place, line);
        }

        self.add_to_partner_and_api(call, judged);
        let hour = call.at.hour();
        self.series.add(hour, judged.partner, call.outcome, key.overstayed());
        if let (Some(partner), Some(api)) = (judged.partner, judged.api.known()) {
            self.hourly.add(HourKey { hour, partner, api }, call.outcome, subject);
        }
        if call.outcome.counts_as_served() {
            self.served.add(judged.grant, judged.api.known(), By::Day.of(call.at));
        }
        self.count_read(call, matches!(judged.presented, Presented::Known(_)), place);
    }

    /// Counts one call that nothing is known of but what its log says.
    ///
    /// `credential` is the digest of the one presented; `path` is the call's templated path, or the api that the log names.
    pub fn add_unjudged(
        &mut self,
        call: &Call<'_>,
        credential: Option<[u8; 32]>,
        path: &str,
        operation: &str,
        place: Place,
    ) {
        let key = CellKey {
            partner: None,
            api: None,
            operation: None,
            verdict: None,
            also: Also::default(),
            grant: None,
            step: None,
            lapsed: false,
            outcome: call.outcome,
            logged: Logged { credential: credential.is_some(), api: true, operation: true },
        };
        let latest = Latest { at: call.at, since: None, axis_since: None, lapsed_at: None };
        let names =
            Names { credential, api: Some(Box::from(path)), operation: Some(Box::from(operation)) };
        let subject = call.subject.before.as_deref().or(call.subject.after.as_deref());
        let named = self.named.entry(&names);
        if let Some(text) = call.credential.as_deref() {
            Shown::new(text).note_in(&mut named.shown);
        }
        let cell = named.cells.0.entry(key).or_insert_with(|| Cell::new(latest));
        count(cell, call, latest, subject.map(subject_hash));
        self.series.add(call.at.hour(), None, call.outcome, false);
        self.count_read(call, false, place);
    }

    /// Counts a line that is no call.
    pub fn add_reject(&mut self, reject: Reject) {
        self.inputs.entry(reject.input).or_default().reject(reject.reason);
        self.rejects.add(reject);
    }

    fn add_to_partner_and_api(&mut self, call: &Call<'_>, judged: &Judged<'_>) {
        let Some(latency_us) = call.latency_us else { return };
        if let Some(api) = judged.api.known() {
            self.apis.entry(api).or_default().add(latency_us);
        }
        if let Some(partner) = judged.partner {
            self.partners.entry(partner).or_default().add(latency_us);
        }
    }

    /// Counts calls as read by their instants, of which there is at least one.
    fn count_read_at(&mut self, place: Place, count: u64, span: Span, hours: &[i64]) {
        let source = self.sources.entry(place.source).or_default();
        source.calls += count;
        source.tells_who = true;
        hours.iter().for_each(|&hour| add_hour(&mut source.hours, hour));
        let input = self.inputs.entry(place.input).or_default();
        input.calls += count;
        input.span.merge(span);
    }

    /// Counts one call as read, and nothing of what it was about.
    ///
    /// `known` is whether it presented a credential that the register knows.
    pub fn count_read(&mut self, call: &Call<'_>, known: bool, place: Place) {
        let source = self.sources.entry(place.source).or_default();
        source.calls += 1;
        source.anonymous += u64::from(call.credential.is_none());
        source.tells_who |= known;
        add_hour(&mut source.hours, call.at.hour());
        let input = self.inputs.entry(place.input).or_default();
        input.calls += 1;
        input.span.add(call.at);
    }

    /// About how many bytes it holds, but for what each input and each hour of a source takes.
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub fn heap_bytes(&self) -> usize {
        let mut bytes = self.cells.heap_bytes() + self.series.heap_bytes();
        bytes += self.hourly.heap_bytes() + self.networks.heap_bytes();
        let (named, other) = self.named.entries();
        for (names, named) in named {
            let texts = [&names.api, &names.operation].into_iter().flatten();
            bytes += size_of::<(Names, NamedCells)>() + named.cells.heap_bytes();
            bytes += texts.map(|text| text.len()).sum::<usize>();
        }
        bytes += other.map_or(0, |other| other.cells.heap_bytes());
        let (unknown, other) = self.unknown.entries();
        for (_, group) in unknown {
            bytes += size_of::<([u8; 32], Group)>() + group.heap_bytes();
        }
        bytes += other.map_or(0, Group::heap_bytes);
        bytes +=
            self.stale.values().map(|group| size_of::<Group>() + group.heap_bytes()).sum::<usize>();
        bytes += self.partners.values().map(Latencies::heap_bytes).sum::<usize>();
        bytes + self.apis.values().map(Latencies::heap_bytes).sum::<usize>()
    }

    /// What of its cells was served, on that day, the only one that it is of.
    // Sets do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub fn served_on(&self, day: i64) -> ServedDays {
        let (named, other) = self.named.entries();
        let named = named.map(|(_, named)| &named.cells).chain(other.map(|named| &named.cells));
        let keys = named.chain([&self.cells]).flat_map(|cells| cells.0.keys());
        let served = keys.filter(|key| key.outcome.counts_as_served());
        let mut days = ServedDays::default();
        served.for_each(|key| days.add(key.grant, key.api, day));
        days
    }

    /// Leaves one partner's calls, beside what is counted of inputs and sources, as if no other's had been counted, but for what
    /// is not told apart by partner: how long an api's calls took is gone, and all calls by a stale credential count as those
    /// of the partner that its last one is of.
    pub fn keep_only(&mut self, partner: PartnerId) {
        let keep = |cells: &mut Cells| {
            cells.0.retain(|key, _| key.partner == Some(partner));
            !cells.0.is_empty()
        };
        keep(&mut self.cells);
        self.named.retain(|named| keep(&mut named.cells));
        // Whose an unknown credential is nobody knows.
        self.unknown.retain(|_| false);
        self.stale.retain(|_, group| {
            let last = group.latest_served.or(group.latest);
            last.and_then(|last| last.partner) == Some(partner)
        });
        self.partners.retain(|of, _| *of == partner);
        self.apis.clear();
        self.series.keep_only(partner);
        self.hourly.keep_only(partner);
        // Who was served is not told apart there.
        self.served = ServedDays::default();
    }

    /// Adds all of `other`.
    // Sums do not depend on the order.
    pub fn merge(&mut self, other: Tally) {
        self.cells.merge(other.cells);
        self.named.merge(other.named);
        self.unknown.merge(other.unknown);
        for (credential, group) in other.stale {
            self.stale.entry(credential).or_default().merge(group);
        }
        for (partner, latencies) in &other.partners {
            self.partners.entry(*partner).or_default().merge(latencies);
        }
        for (api, latencies) in &other.apis {
            self.apis.entry(*api).or_default().merge(latencies);
        }
        self.series.merge(other.series);
        self.hourly.merge(other.hourly);
        self.served.merge(other.served);
        self.networks.merge(other.networks);
        for (source, sums) in other.sources {
            let ours = self.sources.entry(source).or_default();
            ours.calls += sums.calls;
            ours.anonymous += sums.anonymous;
            ours.tells_who |= sums.tells_who;
            sums.hours.into_iter().for_each(|hour| add_hour(&mut ours.hours, hour));
        }
        for (input, sums) in &other.inputs {
            self.inputs.entry(*input).or_default().merge(sums);
        }
        self.rejects.merge(other.rejects);
    }
}

/// Keeps the latest hours, as the series does.
fn add_hour(hours: &mut BTreeSet<i64>, hour: i64) {
    // Most calls fall into the hour of the call before; an insertion that finds it is cheap.
    if hours.insert(hour) && hours.len() > limits::SERIES_HOURS_MAX {
        hours.pop_first();
    }
}

fn count(cell: &mut Cell, call: &Call<'_>, latest: Latest, subject: Option<u64>) {
    cell.calls += 1;
    cell.bytes = cell.bytes.saturating_add(call.bytes.unwrap_or(0));
    cell.first = cell.first.min(call.at);
    cell.latest.merge(latest);
    if let Some(lapsed_at) = latest.lapsed_at {
        cell.overstay_s_max = cell.overstay_s_max.max(call.at.seconds_since(lapsed_at));
    }
    subject.iter().for_each(|&hash| cell.subjects.add(hash));
}

#[expect(clippy::too_many_arguments, reason = "the facts of one call, each used once")]
fn add_to_group(
    group: &mut Group,
    judge: &Judge<'_>,
    call: &Call<'_>,
    judged: &Judged<'_>,
    facts: Latest,
    subject: Option<u64>,
    place: Place,
    line: &[u8],
) {
    group.calls[outcome_index(call.outcome)] += 1;
    group.hindsight += u64::from(judged.also.hindsight);
    group.span.add(call.at);
    if let Some(name) = judge.operation_name(&judged.operation) {
        group.operations.add(name);
    }
    let latest = Some(GroupLatest { facts, partner: judged.partner });
    merge_latest(&mut group.latest, latest);
    if call.outcome.counts_as_served() {
        merge_latest(&mut group.latest_served, latest);
        group.bytes_served = group.bytes_served.saturating_add(call.bytes.unwrap_or(0));
        subject.iter().for_each(|&hash| group.subjects.add(hash));
        group.evidence.add(call.at, place, line);
    }
}

/// Position in [`Outcome::ALL`].
pub fn outcome_index(outcome: Outcome) -> usize {
    outcome as usize
}
