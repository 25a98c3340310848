//! The short way into a tally, for calls about which everything is known.
//!
//! Nearly all calls of a log present a credential, and call an api for an operation, that the register has words for; and
//! what the register says of these three changes at a few instants only. So it is asked once for each stretch of time
//! between such instants, and a call is but a row. The sums of a large report fit no cache, so rows are collected, sorted by
//! partner, and only then folded into their sums, those of one partner after the other. The sums of an input stay apart until
//! it is known whether it counts: then [`Columns::commit`] adds them to those of the inputs before, or
//! [`Columns::roll_back`] forgets them. [`Columns::settle`] moves what was committed into a tally. The result is that of
//! [`Tally::add`], call by call; calls that this cannot take are handed back.

use hashbrown::HashMap;

use super::{
    Buckets, Cell, CellKey, Evidence, HourCounts, Latencies, Latest, Place, Span, Subjects, Tally,
    subject_hash,
};
use crate::call::{Brief, Call, Outcome};
use crate::judge::{Asked, Judge, Judged, Known, Name, OperationId, Presented, Verdict};
use crate::limits;
use crate::register::{ApiId, CredentialId, PartnerId};
use crate::time::{Instant, NS_PER_S};

/// Who called, what, and for what.
#[derive(Clone, Copy, Debug)]
struct Triple {
    credential: CredentialId,
    api: ApiId,
    operation: OperationId,
}

impl Triple {
    /// As a number, if its parts are not too large: a table of numbers is small and quickly searched.
    #[inline]
    fn key(self) -> Option<u64> {
        let (api, operation) = (u16::try_from(self.api.0), u16::try_from(self.operation.0));
        let (api, operation) = (u64::from(api.ok()?), u64::from(operation.ok()?));
        Some(u64::from(self.credential.0) << 32 | api << 16 | operation)
    }

    fn of(key: u64) -> Triple {
        Triple {
            credential: CredentialId((key >> 32) as u32),
            api: ApiId(u32::from((key >> 16) as u16)),
            operation: OperationId(u32::from(key as u16)),
        }
    }
}

/// What the register says of a triple in a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// The whole seconds that lie in the stretch, since the epoch; the end is not in it.
    from_s: u32,
    until_s: u32,
    way: Way,
    /// The outcomes of which the credential was noted, a bit for each, since that settlement.
    noted: u8,
    settlement: u32,
    /// The outcomes whose lines are evidence.
    proven: u8,
    /// Of no meaning unless its calls go into columns, as the next one.
    partner: PartnerId,
    /// Index of the sums of its calls: four, by outcome.
    sums: u32,
}

/// Where calls of a lane go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each has to be judged for itself.
    Long,
    /// Nothing is asked of them but that they were read.
    Read,
    /// Into columns.
    Columns,
    /// Into columns, if they name a subject.
    WithSubject,
    /// Into columns, if they name a subject or none, whose consent makes no difference.
    Consented,
    /// Both.
    ConsentedSubject,
}

/// What is added up of a call.
#[derive(Clone, Copy, Debug)]
pub struct Addends {
    /// See [`Call::at`], as for the others.
    pub at: Instant,
    /// What the API did.
    pub outcome: Outcome,
    /// Bytes sent to the caller.
    pub bytes: Option<u64>,
    /// How long the API took, in microseconds.
    pub latency_us: Option<u64>,
}

impl From<&Brief<'_>> for Addends {
    #[inline]
    fn from(brief: &Brief<'_>) -> Addends {
        let &Brief { at, outcome, bytes, latency_us, .. } = brief;
        Addends { at, outcome, bytes, latency_us }
    }
}

impl From<&Call<'_>> for Addends {
    fn from(call: &Call<'_>) -> Addends {
        let &Call { at, outcome, bytes, latency_us, .. } = call;
        Addends { at, outcome, bytes, latency_us }
    }
}

/// A call of the piece that is being read.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    key: u64,
    at: Instant,
    bytes: u64,
    /// Of no meaning unless `has_subject`.
    subject: u64,
    latency_us: u32,
    /// Where its line begins in its piece, and its length.
    line: u32,
    length: u32,
    outcome: Outcome,
    has_subject: bool,
    is_consented: bool,
}

/// A call that goes into columns.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Instant,
    bytes: u64,
    /// Of no meaning unless `has_subject`.
    subject: u64,
    latency_us: u32,
    partner: PartnerId,
    /// Index of its sums.
    sums: u32,
    has_subject: bool,
}

/// Sums for all facts.
const OUTCOMES: u32 = Outcome::ALL.len() as u32;

/// Calls whose lanes are looked up together.
const FETCHED: usize = 32;

/// Of a call whose log does not say how long it took. One that took as long goes the long way.
const NO_LATENCY: u32 = u32::MAX;

/// The sums that every row changes.
#[derive(Clone, Copy, Debug)]
struct Sums {
    calls: u64,
    bytes: u64,
    first: Instant,
    last: Instant,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { calls: 0, bytes: 0, first: Instant::MAX, last: Instant::MIN }
    }
}

/// What the rows of some sums have in common, as loops need it.
#[derive(Clone, Copy, Debug)]
struct Common {
    api: ApiId,
    overstayed: bool,
}

/// All that they have in common but the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Facts {
    /// Of the first of the outcomes.
    key: CellKey,
    since: Option<Instant>,
    axis_since: Option<Instant>,
    lapsed_at: Option<Instant>,
}

/// Sums by index. One of each for each index, apart, so that each loop touches its own only.
#[derive(Debug, Default)]
struct Sheet {
    sums: Vec<Sums>,
    subjects: Vec<Subjects>,
    evidence: Vec<Evidence>,
    credentials: Vec<Vec<CredentialId>>,
    /// The facts of which some sums have a row.
    used: Vec<u32>,
    is_used: Vec<bool>,
    // By partner, by api.
    of_partners: Vec<(Buckets, Latencies)>,
    of_apis: Vec<(Buckets, Latencies)>,
}

impl Sheet {
    /// Makes room for so many facts.
    fn grow(&mut self, facts: usize) {
        if self.is_used.len() < facts {
            let count = facts * OUTCOMES as usize;
            self.is_used.resize(facts, false);
            self.sums.resize(count, Sums::default());
            self.subjects.resize_with(count, Subjects::default);
            self.evidence.resize_with(count, Evidence::default);
            self.credentials.resize_with(count, Vec::new);
        }
    }

    fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    fn note_used(&mut self, of_facts: u32) {
        if !std::mem::replace(&mut self.is_used[of_facts as usize], true) {
            self.used.push(of_facts);
        }
    }

    /// Takes what is there, each with the facts and the outcome.
    fn take(&mut self) -> impl Iterator<Item = (u32, Outcome, Taken)> + '_ {
        let Sheet { sums, subjects, evidence, credentials, used, is_used, .. } = self;
        let all = used.drain(..).flat_map(move |of_facts| {
            is_used[of_facts as usize] = false;
            Outcome::ALL.into_iter().map(move |outcome| (of_facts, outcome))
        });
        all.filter_map(move |(of_facts, outcome)| {
            let index = (of_facts * OUTCOMES + outcome as u32) as usize;
            let sums = std::mem::take(&mut sums[index]);
            let taken = Taken {
                sums,
                subjects: std::mem::take(&mut subjects[index]),
                evidence: std::mem::take(&mut evidence[index]),
                credentials: std::mem::take(&mut credentials[index]),
            };
            (sums.calls > 0).then_some((of_facts, outcome, taken))
        })
    }

    /// Adds all of `other`, and leaves it empty.
    fn add(&mut self, other: &mut Sheet) {
        self.grow(other.is_used.len());
        for (of_facts, outcome, theirs) in other.take() {
            self.note_used(of_facts);
            let index = (of_facts * OUTCOMES + outcome as u32) as usize;
            let ours = &mut self.sums[index];
            if ours.calls == 0 {
                self.subjects[index] = theirs.subjects;
                self.evidence[index] = theirs.evidence;
                self.credentials[index] = theirs.credentials;
            } else {
                self.subjects[index].merge(&theirs.subjects);
                self.evidence[index].merge(&theirs.evidence);
                let credentials = &mut self.credentials[index];
                let new = theirs.credentials.iter().filter(|new| !credentials.contains(new));
                let new: Vec<CredentialId> = new.copied().collect();
                credentials.extend(new);
            }
            ours.calls += theirs.sums.calls;
            ours.bytes = ours.bytes.saturating_add(theirs.sums.bytes);
            ours.first = ours.first.min(theirs.sums.first);
            ours.last = ours.last.max(theirs.sums.last);
        }
        let latencies = [
            (&mut self.of_partners, &mut other.of_partners),
            (&mut self.of_apis, &mut other.of_apis),
        ];
        for (ours, theirs) in latencies {
            for (number, latencies) in settled(theirs) {
                of(ours, number).1.merge(&latencies);
            }
        }
    }
}

/// What belongs to one index of a sheet.
struct Taken {
    sums: Sums,
    subjects: Subjects,
    evidence: Evidence,
    credentials: Vec<CredentialId>,
}

/// Rows, and the sums of those before them. See the module.
#[derive(Debug, Default)]
pub struct Columns {
    /// Nothing but that they were read is asked of others' calls.
    only: Option<PartnerId>,
    lanes: HashMap<u64, Lane>,
    fresh: Vec<Fresh>,
    /// Those of them whose lines are evidence, with the index of their sums.
    proven: Vec<(u32, Fresh)>,
    rows: Vec<Row>,
    /// The rows by partner, while they are folded.
    sorted: Vec<Row>,
    indexes: HashMap<Facts, u32>,
    /// For every four sums.
    facts: Vec<Facts>,
    /// By the index of sums.
    common: Vec<Common>,
    /// Of the input that is being read.
    current: Sheet,
    /// Of those before it that count.
    committed: Sheet,
    /// Rises whenever the current sheet becomes another: what lanes have noted in it is void then.
    settlement: u32,
}

impl Columns {
    /// Empty ones, for calls of which all but `only` this partner's are none of the report's.
    pub fn new(only: Option<PartnerId>) -> Columns {
        Columns { only, ..Columns::default() }
    }

    /// Takes one call, if it may go the short way; else it is to be judged and to be counted with [`Tally::add`], and
    /// false. All calls between two [`Columns::fold`]s are of one piece, in which their lines begin at `line`.
    #[inline]
    pub fn add(
        &mut self,
        judge: &Judge<'_>,
        call: Addends,
        known: Known<'_>,
        line: usize,
        length: usize,
    ) -> bool {
        let Known { credential, api, operation, subject } = known;
        let latency_us = match call.latency_us.map(u32::try_from) {
            None => NO_LATENCY,
            Some(Ok(latency_us)) if latency_us != NO_LATENCY => latency_us,
            Some(_) => return false,
        };
        let key = Triple { credential, api, operation }.key();
        let (Some(key), Ok(line), Ok(length)) = (key, u32::try_from(line), u32::try_from(length))
        else {
            return false;
        };
        self.fresh.push(Fresh {
            key,
            at: call.at,
            bytes: call.bytes.unwrap_or(0),
            subject: subject.map_or(0, subject_hash),
            latency_us,
            line,
            length,
            outcome: call.outcome,
            has_subject: subject.is_some(),
            is_consented: subject
                .is_none_or(|subject| judge.is_consented(subject, credential, api, call.at)),
        });
        true
    }

    /// Makes rows of the calls of a piece. `place` is where it begins, `piece` its bytes. Each line whose call this cannot take
    /// is handed to `long`, with where it begins in the piece: its call is to be judged and counted.
    pub fn fold(
        &mut self,
        judge: &Judge<'_>,
        tally: &mut Tally,
        place: Place,
        piece: &[u8],
        mut long: impl FnMut(&mut Tally, usize, &[u8]),
    ) {
        let fresh = std::mem::take(&mut self.fresh);
        let mut read = Read::default();
        let line = |call: &Fresh| &piece[call.line as usize..][..call.length as usize];
        for calls in fresh.chunks(FETCHED) {
            // Looked up together: the loads of one need not wait for what is done with another.
            let mut lanes = [None; FETCHED];
            for (lane, call) in lanes.iter_mut().zip(calls) {
                *lane = self.lanes.get(&call.key).copied();
            }
            for (lane, call) in lanes.into_iter().zip(calls) {
                let lane = match lane {
                    Some(lane) if lane.has(call.at) => lane,
                    _ => self.lane(judge, call.key, call.at),
                };
                if lane.goes_by_columns(call) {
                    self.add_row(&lane, call);
                } else if lane.way != Way::Read || !lane.has(call.at) {
                    long(tally, call.line as usize, line(call));
                    continue;
                }
                read.add(call.at);
            }
        }
        if read.count > 0 {
            tally.count_read_at(place, read.count, read.span, &read.hours);
        }
        self.prove(place, line);
        self.fresh = fresh;
        self.fresh.clear();
        if self.rows.len() >= limits::ROWS_FOLDED {
            self.fold_rows(tally);
        }
    }

    #[inline]
    fn add_row(&mut self, lane: &Lane, call: &Fresh) {
        let outcome = call.outcome as u32;
        let sums = lane.sums + outcome;
        self.rows.push(Row {
            at: call.at,
            bytes: call.bytes,
            subject: call.subject,
            latency_us: call.latency_us,
            partner: lane.partner,
            sums,
            has_subject: call.has_subject,
        });
        if lane.proven & (1 << outcome) != 0 {
            self.proven.push((sums, *call));
        }
        if lane.noted & (1 << outcome) == 0 || lane.settlement != self.settlement {
            self.note_credential(call.key, outcome, sums);
        }
    }

    /// Adds what is evidence of the calls of a piece, of which `line` gives the text.
    fn prove<'l>(&mut self, place: Place, line: impl Fn(&Fresh) -> &'l [u8]) {
        let at = |call: &Fresh| {
            (call.at, Place { offset: place.offset + u64::from(call.line), ..place })
        };
        for (sums, call) in &self.proven {
            let (instant, place) = at(call);
            self.current.evidence[*sums as usize].add_early(instant, place, line(call));
        }
        // In most logs the latest come last: from the end on, all but those few need not be kept for a moment.
        for (sums, call) in self.proven.drain(..).rev() {
            let (instant, place) = at(&call);
            self.current.evidence[sums as usize].add_late(instant, place, line(&call));
        }
    }

    /// The lane of a triple around an instant, which the one that was looked up is not, or was not when it was.
    #[cold]
    fn lane(&mut self, judge: &Judge<'_>, key: u64, at: Instant) -> Lane {
        match self.lanes.get(&key) {
            Some(lane) if lane.has(at) => *lane,
            _ => self.open(judge, key, at),
        }
    }

    /// Folds all rows into their sums, those of the hours into the tally.
    pub fn fold_rows(&mut self, tally: &mut Tally) {
        self.sort_rows();
        let Columns { current, common, .. } = self;
        for rows in self.sorted.chunk_by(|a, b| a.partner == b.partner) {
            let Some(&Row { partner, .. }) = rows.first() else { continue };
            for row in rows {
                let sums = &mut current.sums[row.sums as usize];
                sums.calls += 1;
                sums.bytes = sums.bytes.saturating_add(row.bytes);
                sums.first = sums.first.min(row.at);
                sums.last = sums.last.max(row.at);
            }
            for row in rows.iter().filter(|row| row.has_subject) {
                current.subjects[row.sums as usize].add(row.subject);
            }
            let (buckets, latencies) = of(&mut current.of_partners, partner.0);
            for row in rows.iter().filter(|row| row.latency_us != NO_LATENCY) {
                buckets.add(row.latency_us, latencies);
                let Common { api, .. } = common[row.sums as usize];
                let (buckets, latencies) = of(&mut current.of_apis, api.0);
                buckets.add(row.latency_us, latencies);
            }
            let mut hour = Hour::default();
            let mut counts = HourCounts::default();
            for row in rows {
                if !hour.has(row.at) {
                    hour.flush(partner, &mut counts, tally);
                    hour = Hour::of(row.at);
                }
                let Common { overstayed, .. } = common[row.sums as usize];
                // Sums are by outcome, in this order.
                counts.add(Outcome::ALL[row.sums as usize % Outcome::ALL.len()], overstayed);
            }
            hour.flush(partner, &mut counts, tally);
        }
        self.rows.clear();
    }

    /// Sorts the rows by partner, those of one in the order they came in.
    fn sort_rows(&mut self) {
        let partners = self.rows.iter().map(|row| row.partner.0 as usize + 1).max().unwrap_or(0);
        let mut starts = vec![0usize; partners + 1];
        for row in &self.rows {
            starts[row.partner.0 as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        // Each place is written once.
        match self.rows.first() {
            Some(row) => self.sorted.resize(self.rows.len(), *row),
            None => self.sorted.clear(),
        }
        for row in &self.rows {
            let start = &mut starts[row.partner.0 as usize];
            self.sorted[*start] = *row;
            *start += 1;
        }
    }

    /// Asks the register what it says of a triple around an instant.
    fn open(&mut self, judge: &Judge<'_>, key: u64, at: Instant) -> Lane {
        let judged = judged(judge, key, at);
        let stretch = judge.stretch(at, &judged);
        let api = Triple::of(key).api;
        let way = match judged.partner {
            _ if self.only.is_some() && self.only != judged.partner => Way::Read,
            // What a stale credential was used for is counted by credential too.
            _ if judged.also.stale || judged.verdict == Verdict::StaleCredential => Way::Long,
            None => Way::Long,
            Some(_) => match (judge.consent_required(api), judge.asks_consent(&judged)) {
                (false, false) => Way::Columns,
                (true, false) => Way::WithSubject,
                (false, true) => Way::Consented,
                (true, true) => Way::ConsentedSubject,
            },
        };
        let sums = match way {
            Way::Long | Way::Read => 0,
            _ => self.open_sums(&judged, api),
        };
        let key_of = |outcome| CellKey::of(outcome, &judged);
        let is_proven =
            |outcome: &Outcome| outcome.counts_as_served() && key_of(*outcome).held_against();
        let proven = Outcome::ALL.into_iter().filter(is_proven);

        let start = stretch.start.ns();
        let (start_s, start_ns) = (start.div_euclid(NS_PER_S), start.rem_euclid(NS_PER_S));
        let lane = Lane {
            from_s: seconds(start_s + i64::from(start_ns > 0)),
            until_s: seconds(stretch.end.ns().div_euclid(NS_PER_S)),
            way,
            noted: 0,
            settlement: self.settlement,
            proven: proven.fold(0, |all, outcome| all | 1 << outcome as u32),
            partner: judged.partner.unwrap_or(PartnerId(0)),
            sums,
        };
        self.lanes.insert(key, lane);
        lane
    }

    /// The sums of calls that are judged so.
    fn open_sums(&mut self, judged: &Judged<'_>, api: ApiId) -> u32 {
        let key = CellKey::of(Outcome::ALL[0], judged);
        let (since, axis_since) = (judged.since, judged.axis_since);
        let facts = Facts { key, since, axis_since, lapsed_at: judged.lapsed_at };
        let next = self.common.len() as u32;
        let sums = *self.indexes.entry(facts).or_insert(next);
        if sums == next {
            self.facts.push(facts);
            self.common.extend(Outcome::ALL.map(|outcome| Common {
                api,
                overstayed: CellKey { outcome, ..key }.overstayed(),
            }));
            self.current.grow(self.facts.len());
        }
        sums
    }

    /// Notes a triple's credential with its sums.
    #[cold]
    fn note_credential(&mut self, key: u64, outcome: u32, sums: u32) {
        let credential = Triple::of(key).credential;
        let credentials = &mut self.current.credentials[sums as usize];
        if !credentials.contains(&credential) {
            credentials.push(credential);
        }
        // By now the triple may have the lane of another stretch, whose own sums have not been noted.
        if let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.sums + outcome == sums) {
            if lane.settlement != self.settlement {
                (lane.settlement, lane.noted) = (self.settlement, 0);
            }
            lane.noted |= 1 << outcome;
        }
        self.current.note_used(sums / OUTCOMES);
    }

    /// Adds the sums of the input that was read to those of the inputs before it. Its rows are folded by now.
    pub fn commit(&mut self) {
        if self.committed.is_empty() {
            std::mem::swap(&mut self.current, &mut self.committed);
            self.current.grow(self.facts.len());
        } else {
            self.committed.add(&mut self.current);
        }
        self.settlement = self.settlement.wrapping_add(1);
    }

    /// Forgets the sums of the input that was read.
    pub fn roll_back(&mut self) {
        self.rows.clear();
        self.current = Sheet::default();
        self.current.grow(self.facts.len());
        self.settlement = self.settlement.wrapping_add(1);
    }

    /// Moves all committed sums into a tally. What the register says stays known, for the rows to come.
    pub fn settle(&mut self, tally: &mut Tally) {
        let Columns { committed, facts, .. } = self;
        tally.cells.0.reserve(committed.used.len());
        for (of_facts, outcome, taken) in committed.take() {
            let Facts { key, since, axis_since, lapsed_at } = facts[of_facts as usize];
            let Taken { sums, subjects, evidence, mut credentials } = taken;
            credentials.sort_unstable();
            let cell = Cell {
                calls: sums.calls,
                bytes: sums.bytes,
                subjects,
                first: sums.first,
                overstay_s_max: lapsed_at.map_or(0, |lapsed| sums.last.seconds_since(lapsed)),
                latest: Latest { at: sums.last, since, axis_since, lapsed_at },
                credentials,
                evidence,
            };
            tally.cells.add(CellKey { outcome, ..key }, cell);
        }
        for (partner, latencies) in settled(&mut committed.of_partners) {
            tally.partners.entry(PartnerId(partner)).or_default().merge(&latencies);
        }
        for (api, latencies) in settled(&mut committed.of_apis) {
            tally.apis.entry(ApiId(api)).or_default().latencies.merge(&latencies);
        }
    }
}

/// Calls that were read.
#[derive(Debug, Default)]
struct Read {
    count: u64,
    span: Span,
    /// That of the last one.
    hour: Hour,
    /// Not all different.
    hours: Vec<i64>,
}

impl Read {
    #[inline]
    fn add(&mut self, at: Instant) {
        self.count += 1;
        self.span.add(at);
        if !self.hour.has(at) {
            self.hour = Hour::of(at);
            self.hours.push(self.hour.number);
        }
    }
}

/// An hour. The default is none: no instant is in it.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    number: i64,
    /// Its first instant and the one after its last.
    from_ns: i64,
    until_ns: i64,
}

impl Hour {
    fn of(at: Instant) -> Hour {
        let number = at.hour();
        Hour {
            number,
            from_ns: Instant::from_hour(number).ns(),
            until_ns: Instant::from_hour(number.saturating_add(1)).ns(),
        }
    }

    #[inline]
    fn has(&self, at: Instant) -> bool {
        (self.from_ns..self.until_ns).contains(&at.ns())
    }

    /// Moves the counts of a partner in this hour into a tally.
    fn flush(&self, partner: PartnerId, counts: &mut HourCounts, tally: &mut Tally) {
        if self.from_ns < self.until_ns {
            tally.series.add_counts(self.number, Some(partner), &std::mem::take(counts));
        }
    }
}

/// What the register says of a triple at an instant, nobody's consent being asked.
fn judged(judge: &Judge<'_>, key: u64, at: Instant) -> Judged<'static> {
    let Triple { credential, api, operation } = Triple::of(key);
    let (presented, api) = (Presented::Known(credential), Name::Known(api));
    let operation = Name::Known(operation);
    judge.pronounce(at, Asked { presented, api, operation, subject: None, actor: None })
}

/// Seconds since the epoch; those that do not fit as the nearest that do.
fn seconds(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

impl Lane {
    /// Whether an instant surely lies in the stretch.
    #[inline]
    fn has(&self, at: Instant) -> bool {
        let at_s = at.ns().div_euclid(NS_PER_S);
        (i64::from(self.from_s)..i64::from(self.until_s)).contains(&at_s)
    }

    /// Whether a call goes into columns.
    #[inline]
    fn goes_by_columns(&self, call: &Fresh) -> bool {
        let fits = match self.way {
            Way::Long | Way::Read => false,
            Way::Columns => true,
            Way::WithSubject => call.has_subject,
            Way::Consented => call.is_consented,
            Way::ConsentedSubject => call.has_subject && call.is_consented,
        };
        fits && self.has(call.at)
    }
}

/// The latencies of that number.
#[inline]
fn of(all: &mut Vec<(Buckets, Latencies)>, number: u32) -> &mut (Buckets, Latencies) {
    let index = number as usize;
    if index >= all.len() {
        all.resize(index + 1, Default::default());
    }
    &mut all[index]
}

/// Takes the latencies of those numbers that have some.
fn settled(all: &mut [(Buckets, Latencies)]) -> impl Iterator<Item = (u32, Latencies)> + '_ {
    let settled = (0..).zip(all).map(|(number, (buckets, latencies))| {
        buckets.settle(latencies);
        (number, std::mem::take(latencies))
    });
    settled.filter(|(_, latencies)| latencies.count() > 0)
}
