//! The short way into a tally, for calls about which everything is known.
//!
//! Nearly all calls of a log present a credential, and call an api for an operation, that the register has words for; and
//! what the register says of these three changes at a few instants only. So it is asked once for each stretch of time
//! between such instants, and a call is but a row. The sums of a large report fit no cache, so rows are collected, sorted by
//! partner, and only then folded into their sums, those of one partner after the other. [`Columns::settle`] moves the sums
//! into the tally. The result is that of [`Tally::add`], call by call; calls that this cannot take are handed back.

use hashbrown::HashMap;

use super::{
    Buckets, Cell, CellKey, Evidence, HourCounts, Latencies, Latest, Place, Span, Subjects, Tally,
    subject_hash,
};
use crate::call::{Call, Outcome};
use crate::judge::{Asked, Judge, Judged, Name, OperationId, Presented, Verdict};
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

/// Rows, and the sums of those before them. See the module.
#[derive(Debug, Default)]
pub struct Columns {
    /// Nothing but that they were read is asked of others' calls.
    only: Option<PartnerId>,
    lanes: HashMap<u64, Lane>,
    fresh: Vec<Fresh>,
    rows: Vec<Row>,
    /// The rows by partner, while they are folded.
    sorted: Vec<Row>,
    indexes: HashMap<Facts, u32>,
    /// For every four sums.
    facts: Vec<Facts>,
    /// Those of them that have a row since the last settlement.
    used: Vec<u32>,
    is_used: Vec<bool>,
    settlement: u32,
    // One of each for each index, apart, so that each loop touches its own only.
    sums: Vec<Sums>,
    common: Vec<Common>,
    subjects: Vec<Subjects>,
    evidence: Vec<Evidence>,
    credentials: Vec<Vec<CredentialId>>,
    // By partner, by api.
    of_partners: Vec<(Buckets, Latencies)>,
    of_apis: Vec<(Buckets, Latencies)>,
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
        call: &Call<'_>,
        asked: &Asked<'_>,
        line: usize,
        length: usize,
    ) -> bool {
        let (Presented::Known(credential), &Name::Known(api), &Name::Known(operation)) =
            (asked.presented, &asked.api, &asked.operation)
        else {
            return false;
        };
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
        let subject = asked.subject.as_deref();
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
                    self.add_row(&lane, call, place, line(call));
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
        self.fresh = fresh;
        self.fresh.clear();
        if self.rows.len() >= limits::ROWS_FOLDED {
            self.fold_rows(tally);
        }
    }

    #[inline]
    fn add_row(&mut self, lane: &Lane, call: &Fresh, place: Place, line: &[u8]) {
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
            let place = Place { offset: place.offset + u64::from(call.line), ..place };
            self.evidence[sums as usize].add(call.at, place, line);
        }
        if lane.noted & (1 << outcome) == 0 || lane.settlement != self.settlement {
            self.note_credential(call.key, outcome, sums);
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

    /// Folds the rows into their sums.
    fn fold_rows(&mut self, tally: &mut Tally) {
        self.sort_rows();
        for rows in self.sorted.chunk_by(|a, b| a.partner == b.partner) {
            let Some(&Row { partner, .. }) = rows.first() else { continue };
            for row in rows {
                let sums = &mut self.sums[row.sums as usize];
                sums.calls += 1;
                sums.bytes = sums.bytes.saturating_add(row.bytes);
                sums.first = sums.first.min(row.at);
                sums.last = sums.last.max(row.at);
            }
            for row in rows.iter().filter(|row| row.has_subject) {
                self.subjects[row.sums as usize].add(row.subject);
            }
            let (buckets, latencies) = of(&mut self.of_partners, partner.0);
            for row in rows.iter().filter(|row| row.latency_us != NO_LATENCY) {
                buckets.add(row.latency_us, latencies);
                let Common { api, .. } = self.common[row.sums as usize];
                let (buckets, latencies) = of(&mut self.of_apis, api.0);
                buckets.add(row.latency_us, latencies);
            }
            let mut hour = Hour::default();
            let mut counts = HourCounts::default();
            for row in rows {
                if !hour.has(row.at) {
                    hour.flush(partner, &mut counts, tally);
                    hour = Hour::of(row.at);
                }
                let Common { overstayed, .. } = self.common[row.sums as usize];
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
        let next = self.sums.len() as u32;
        let sums = *self.indexes.entry(facts).or_insert(next);
        if sums == next {
            self.facts.push(facts);
            self.is_used.push(false);
            for outcome in Outcome::ALL {
                let key = CellKey { outcome, ..key };
                self.sums.push(Sums::default());
                self.common.push(Common { api, overstayed: key.overstayed() });
                self.subjects.push(Subjects::default());
                self.evidence.push(Evidence::default());
                self.credentials.push(Vec::new());
            }
        }
        sums
    }

    /// Notes a triple's credential with its sums.
    #[cold]
    fn note_credential(&mut self, key: u64, outcome: u32, sums: u32) {
        let credential = Triple::of(key).credential;
        let credentials = &mut self.credentials[sums as usize];
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
        let of_facts = sums / OUTCOMES;
        if !std::mem::replace(&mut self.is_used[of_facts as usize], true) {
            self.used.push(of_facts);
        }
    }

    /// Moves all sums into a tally. What the register says stays known, for the rows to come.
    pub fn settle(&mut self, tally: &mut Tally) {
        self.fold_rows(tally);
        for of_facts in self.used.drain(..) {
            self.is_used[of_facts as usize] = false;
            let Facts { key, since, axis_since, lapsed_at } = self.facts[of_facts as usize];
            for outcome in Outcome::ALL {
                let index = (of_facts * OUTCOMES + outcome as u32) as usize;
                let sums = std::mem::take(&mut self.sums[index]);
                if sums.calls == 0 {
                    continue;
                }
                let mut credentials = std::mem::take(&mut self.credentials[index]);
                credentials.sort_unstable();
                let cell = Cell {
                    calls: sums.calls,
                    bytes: sums.bytes,
                    subjects: std::mem::take(&mut self.subjects[index]),
                    first: sums.first,
                    overstay_s_max: lapsed_at.map_or(0, |lapsed| sums.last.seconds_since(lapsed)),
                    latest: Latest { at: sums.last, since, axis_since, lapsed_at },
                    credentials,
                    evidence: std::mem::take(&mut self.evidence[index]),
                };
                tally.cells.add(CellKey { outcome, ..key }, cell);
            }
        }
        for (partner, latencies) in settled(&mut self.of_partners) {
            tally.partners.entry(PartnerId(partner)).or_default().merge(&latencies);
        }
        for (api, latencies) in settled(&mut self.of_apis) {
            tally.apis.entry(ApiId(api)).or_default().latencies.merge(&latencies);
        }
        self.settlement = self.settlement.wrapping_add(1);
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
