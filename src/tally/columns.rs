//! The short way into a tally, for calls about which everything is known.
//!
//! Nearly all calls of a log present a credential, and call an api for an operation, that the register has words for; and
//! what the register says of these three changes at a few instants only. So it is asked once for each stretch of time
//! between such instants, and then a call adds one row to columns. At the end of a piece each column is folded into its
//! sums by a loop of its own: the sums of a large report fit no cache, and only short loops have several loads under way
//! at a time. [`Columns::settle`] moves the sums into the tally. The result is that of [`Tally::add`], call by call.

use hashbrown::HashMap;

use super::{
    Buckets, Cell, CellKey, Evidence, HourCounts, Latencies, Latest, Place, Span, Subjects, Tally,
    subject_hash,
};
use crate::call::{Call, Outcome};
use crate::judge::{Asked, Judge, Judged, Name, OperationId, Presented, Verdict};
use crate::register::{ApiId, CredentialId, PartnerId};
use crate::time::Instant;

/// What calls have in common for which the register is asked once.
type Triple = (CredentialId, ApiId, OperationId);

/// What the register says of a triple in a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// The stretch, the end of which is not in it.
    from: Instant,
    until: Instant,
    /// Where calls go.
    way: Way,
    /// Indexes of their sums, by outcome; [`NO_SUMS`] where there are none yet.
    sums: [u32; 4],
}

/// Where calls of a lane go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each has to be judged for itself.
    Long,
    /// Nothing is asked of them but that they were read.
    Read,
    /// Into columns; where a subject is needed, only those that name one, and where consent is asked for, only those that
    /// it makes no difference to.
    Columns { needs_subject: bool, asks_consent: Option<PartnerId> },
}

const NO_SUMS: u32 = u32::MAX;

/// One call.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Instant,
    bytes: u64,
    /// Of no meaning unless `has_subject`.
    subject: u64,
    latency_us: u32,
    sums: u32,
    has_subject: bool,
}

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

/// What the rows of some sums have in common, as loops need it.
#[derive(Clone, Copy, Debug)]
struct Common {
    partner: PartnerId,
    api: ApiId,
    outcome: Outcome,
    overstayed: bool,
    /// Whether their lines are evidence.
    is_proven: bool,
}

/// All that they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Facts {
    key: CellKey,
    since: Option<Instant>,
    axis_since: Option<Instant>,
    lapsed_at: Option<Instant>,
}

/// What is touched rarely.
#[derive(Debug)]
struct Rest {
    facts: Facts,
    credentials: Vec<CredentialId>,
    evidence: Evidence,
}

/// Rows, and the sums of those before them. See the module.
#[derive(Debug, Default)]
pub struct Columns {
    /// Nothing but that they were read is asked of others' calls.
    only: Option<PartnerId>,
    lanes: HashMap<Triple, Lane>,
    rows: Vec<Row>,
    indexes: HashMap<Facts, u32>,
    // One of each for each index, apart, so that each loop touches its own only.
    sums: Vec<Sums>,
    common: Vec<Common>,
    subjects: Vec<Subjects>,
    rest: Vec<Rest>,
    // By partner, by api.
    of_partners: Vec<(Buckets, Latencies)>,
    of_apis: Vec<(Buckets, Latencies)>,
    hour: Hour,
}

/// The calls of one hour, by partner.
#[derive(Debug, Default)]
struct Hour {
    number: i64,
    /// Its first instant and the one after its last. (Nothing is in the hour at first.)
    from_ns: i64,
    until_ns: i64,
    /// None without a call.
    counts: Vec<Option<HourCounts>>,
    /// Partners with a call.
    called: Vec<PartnerId>,
}

impl Columns {
    /// Empty ones, for calls of which all but `only` this partner's are none of the report's.
    pub fn new(only: Option<PartnerId>) -> Columns {
        Columns { only, ..Columns::default() }
    }

    /// Takes one call, if it may go the short way; else it is to be judged and to be counted with [`Tally::add`], and
    /// false. `line` is its text. All calls between two [`Columns::fold`]s are of one input.
    #[inline]
    pub fn add(
        &mut self,
        judge: &Judge<'_>,
        call: &Call<'_>,
        asked: &Asked<'_>,
        place: Place,
        line: &[u8],
    ) -> bool {
        let (Presented::Known(credential), Name::Known(api), Name::Known(operation)) =
            (asked.presented, &asked.api, &asked.operation)
        else {
            return false;
        };
        let latency_us = match call.latency_us.map(u32::try_from) {
            None => NO_LATENCY,
            Some(Ok(latency_us)) if latency_us != NO_LATENCY => latency_us,
            Some(_) => return false,
        };
        let triple = (credential, *api, *operation);
        let lane = match self.lanes.get(&triple) {
            Some(lane) if lane.from <= call.at && call.at < lane.until => *lane,
            _ => self.open(judge, triple, call.at),
        };
        let subject = asked.subject.as_deref();
        let row = Row {
            at: call.at,
            bytes: call.bytes.unwrap_or(0),
            subject: subject.map_or(0, subject_hash),
            latency_us,
            sums: NO_SUMS,
            has_subject: subject.is_some(),
        };
        match lane.way {
            Way::Long => return false,
            Way::Read => {
                self.rows.push(row);
                return true;
            }
            Way::Columns { needs_subject, asks_consent } => {
                if needs_subject && subject.is_none() {
                    return false;
                }
                if let (Some(partner), Some(subject)) = (asks_consent, subject)
                    && !judge.is_consented(subject, partner, *api, call.at)
                {
                    return false;
                }
            }
        }
        let sums = match lane.sums[call.outcome as usize] {
            NO_SUMS => self.open_sums(judge, triple, call.at, call.outcome),
            sums => sums,
        };
        self.rows.push(Row { sums, ..row });
        if self.common[sums as usize].is_proven {
            self.rest[sums as usize].evidence.add(call.at, place, line);
        }
        true
    }

    /// What the register says of a triple at an instant, nobody's consent being asked.
    fn judged(judge: &Judge<'_>, triple: Triple, at: Instant) -> Judged<'static> {
        let (credential, api, operation) = triple;
        let (presented, api) = (Presented::Known(credential), Name::Known(api));
        let operation = Name::Known(operation);
        judge.pronounce(at, Asked { presented, api, operation, subject: None, actor: None })
    }

    /// Asks the register what it says of a triple around an instant.
    #[cold]
    fn open(&mut self, judge: &Judge<'_>, triple: Triple, at: Instant) -> Lane {
        let judged = Columns::judged(judge, triple, at);
        let (_, api, _) = triple;
        let stretch = judge.stretch(at, &judged);
        let way = match judged.partner {
            _ if self.only.is_some() && self.only != judged.partner => Way::Read,
            // What a stale credential was used for is counted by credential too.
            _ if judged.also.stale || judged.verdict == Verdict::StaleCredential => Way::Long,
            None => Way::Long,
            Some(partner) => {
                let asks = judge.asks_consent(&judged);
                let needs_subject = judge.consent_required(api);
                Way::Columns { needs_subject, asks_consent: asks.then_some(partner) }
            }
        };
        let lane = Lane { from: stretch.start, until: stretch.end, way, sums: [NO_SUMS; 4] };
        self.lanes.insert(triple, lane);
        lane
    }

    /// The sums of a triple's calls of an outcome.
    #[cold]
    fn open_sums(
        &mut self,
        judge: &Judge<'_>,
        triple: Triple,
        at: Instant,
        outcome: Outcome,
    ) -> u32 {
        let judged = Columns::judged(judge, triple, at);
        let (credential, api, _) = triple;
        let key = CellKey::of(outcome, &judged);
        let (since, axis_since) = (judged.since, judged.axis_since);
        let facts = Facts { key, since, axis_since, lapsed_at: judged.lapsed_at };
        let next = self.sums.len() as u32;
        let sums = *self.indexes.entry(facts).or_insert(next);
        if sums == next {
            self.sums.push(Sums { calls: 0, bytes: 0, first: Instant::MAX, last: Instant::MIN });
            self.common.push(Common {
                partner: judged.partner.unwrap_or(PartnerId(0)),
                api,
                outcome,
                overstayed: key.overstayed(),
                is_proven: key.held_against() && outcome.counts_as_served(),
            });
            self.subjects.push(Subjects::default());
            self.rest.push(Rest { facts, credentials: Vec::new(), evidence: Evidence::default() });
        }
        let credentials = &mut self.rest[sums as usize].credentials;
        if !credentials.contains(&credential) {
            credentials.push(credential);
        }
        if let Some(lane) = self.lanes.get_mut(&triple) {
            lane.sums[outcome as usize] = sums;
        }
        sums
    }

    /// Folds the rows into sums. `place` is where they are from, of whatever offset.
    pub fn fold(&mut self, tally: &mut Tally, place: Place) {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return;
        }
        let counted = || rows.iter().filter(|row| row.sums != NO_SUMS);
        for row in counted() {
            let sums = &mut self.sums[row.sums as usize];
            sums.calls += 1;
            sums.bytes = sums.bytes.saturating_add(row.bytes);
            sums.first = sums.first.min(row.at);
            sums.last = sums.last.max(row.at);
        }
        for row in counted().filter(|row| row.has_subject) {
            self.subjects[row.sums as usize].add(row.subject);
        }
        for row in counted().filter(|row| row.latency_us != NO_LATENCY) {
            let Common { partner, api, .. } = self.common[row.sums as usize];
            add_latency(&mut self.of_partners, partner.0, row.latency_us);
            add_latency(&mut self.of_apis, api.0, row.latency_us);
        }
        let mut span = Span::default();
        let mut hours = Vec::new();
        for row in &rows {
            span.add(row.at);
            if !self.hour.has(row.at) {
                self.hour.turn_to(row.at, tally);
            }
            if hours.last() != Some(&self.hour.number) {
                hours.push(self.hour.number);
            }
            if row.sums != NO_SUMS {
                let Common { partner, outcome, overstayed, .. } = self.common[row.sums as usize];
                self.hour.add(partner, outcome, overstayed);
            }
        }
        tally.count_read_at(place, rows.len() as u64, span, &hours);
        self.rows = rows;
        self.rows.clear();
    }

    /// Moves all sums into a tally.
    pub fn settle(mut self, tally: &mut Tally) {
        self.hour.flush(tally);
        let sums = self.sums.iter().zip(self.subjects).zip(self.rest);
        for ((sums, subjects), Rest { facts, mut credentials, evidence }) in sums {
            let Facts { key, since, axis_since, lapsed_at } = facts;
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
            tally.cells.add(key, cell);
        }
        for (partner, latencies) in settled(self.of_partners) {
            tally.partners.entry(PartnerId(partner)).or_default().merge(&latencies);
        }
        for (api, latencies) in settled(self.of_apis) {
            tally.apis.entry(ApiId(api)).or_default().latencies.merge(&latencies);
        }
    }
}

#[inline]
fn add_latency(all: &mut Vec<(Buckets, Latencies)>, number: u32, latency_us: u32) {
    let index = number as usize;
    if index >= all.len() {
        all.resize(index + 1, Default::default());
    }
    let (buckets, latencies) = &mut all[index];
    buckets.add(latency_us, latencies);
}

/// Those numbers that have latencies, with these.
fn settled(all: Vec<(Buckets, Latencies)>) -> impl Iterator<Item = (u32, Latencies)> {
    let settled = (0..).zip(all).map(|(number, (buckets, mut latencies))| {
        buckets.settle(&mut latencies);
        (number, latencies)
    });
    settled.filter(|(_, latencies)| latencies.count() > 0)
}

impl Hour {
    #[inline]
    fn has(&self, at: Instant) -> bool {
        (self.from_ns..self.until_ns).contains(&at.ns())
    }

    #[inline]
    fn add(&mut self, partner: PartnerId, outcome: Outcome, overstayed: bool) {
        let index = partner.0 as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, None);
        }
        let called = &mut self.called;
        let counts = self.counts[index].get_or_insert_with(|| {
            called.push(partner);
            HourCounts::default()
        });
        counts.add(outcome, overstayed);
    }

    #[cold]
    fn turn_to(&mut self, at: Instant, tally: &mut Tally) {
        self.flush(tally);
        self.number = at.hour();
        self.from_ns = Instant::from_hour(self.number).ns();
        self.until_ns = Instant::from_hour(self.number.saturating_add(1)).ns();
    }

    fn flush(&mut self, tally: &mut Tally) {
        for partner in self.called.drain(..) {
            if let Some(counts) = self.counts[partner.0 as usize].take() {
                tally.series.add_counts(self.number, Some(partner), &counts);
            }
        }
    }
}
