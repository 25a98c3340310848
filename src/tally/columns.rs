//! The short way into a tally, for calls about which everything is known.
//!
//! Nearly all calls of a log present a credential, and call an api for an operation, that the register has words for; and
//! what the register says of these three changes at a few instants only. So it is asked once for each stretch of time
//! between such instants, and a call is but a row. The rows of a piece are kept, and then each of their columns is folded
//! into its sums by a loop of its own: the sums of a large report fit no cache, and only short loops have several loads
//! under way at a time. [`Columns::settle`] moves the sums into the tally. The result is that of [`Tally::add`], call by
//! call; calls that this cannot take are handed back.

use hashbrown::HashMap;

use super::{
    Buckets, Cell, CellKey, Evidence, HourCounts, Latencies, Latest, Place, Span, Subjects, Tally,
    subject_hash,
};
use crate::call::{Call, Outcome};
use crate::judge::{Asked, Judge, Judged, Name, OperationId, Presented, Verdict};
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
    /// The outcomes of which the credential was noted, a bit for each.
    noted: u8,
    /// Index of the sums of its calls: four, by outcome. Of no meaning unless they go into columns.
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

/// One call.
#[derive(Clone, Copy, Debug)]
struct Row {
    key: u64,
    at: Instant,
    bytes: u64,
    /// Of no meaning unless `has_subject`.
    subject: u64,
    latency_us: u32,
    /// Where its line begins in its piece, and its length.
    line: u32,
    length: u32,
    /// Index of its sums; [`NO_SUMS`] where it goes into none.
    sums: u32,
    outcome: Outcome,
    has_subject: bool,
    is_consented: bool,
}

const NO_SUMS: u32 = u32::MAX;

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
    overstayed: bool,
    /// Whether their lines are evidence.
    is_proven: bool,
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
    rows: Vec<Row>,
    indexes: HashMap<Facts, u32>,
    /// For every four sums.
    facts: Vec<Facts>,
    // One of each for each index, apart, so that each loop touches its own only.
    sums: Vec<Sums>,
    common: Vec<Common>,
    subjects: Vec<Subjects>,
    evidence: Vec<Evidence>,
    credentials: Vec<Vec<CredentialId>>,
    // By partner, by api.
    of_partners: Vec<(Buckets, Latencies)>,
    of_apis: Vec<(Buckets, Latencies)>,
    hour: Hour,
}

/// Rows whose memory is fetched together, before each is added.
const FETCHED: usize = 64;

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
        self.rows.push(Row {
            key,
            at: call.at,
            bytes: call.bytes.unwrap_or(0),
            subject: subject.map_or(0, subject_hash),
            latency_us,
            line,
            length,
            sums: NO_SUMS,
            outcome: call.outcome,
            has_subject: subject.is_some(),
            is_consented: subject
                .is_none_or(|subject| judge.is_consented(subject, credential, api, call.at)),
        });
        true
    }

    /// Folds the rows into sums. `place` is that of the piece, `piece` its bytes. Each line whose call this cannot take is
    /// handed to `long`, with where it begins in the piece: its call is to be judged and counted.
    pub fn fold(
        &mut self,
        judge: &Judge<'_>,
        tally: &mut Tally,
        place: Place,
        piece: &[u8],
        mut long: impl FnMut(&mut Tally, usize, &[u8]),
    ) {
        let mut rows = std::mem::take(&mut self.rows);
        let line = |row: &Row| &piece[row.line as usize..][..row.length as usize];
        for row in &mut rows {
            let lane = match self.lanes.get(&row.key) {
                Some(lane) if lane.has(row) => *lane,
                _ => self.open(judge, row.key, row.at),
            };
            if lane.goes_by_columns(row) {
                row.sums = lane.sums + row.outcome as u32;
                if lane.noted & (1 << row.outcome as u32) == 0 {
                    self.note_credential(row);
                }
            } else if lane.way != Way::Read || !lane.has(row) {
                row.length |= LONG;
            }
        }
        rows.retain(|row| {
            let is_long = row.length & LONG != 0;
            if is_long {
                let row = Row { length: row.length & !LONG, ..*row };
                long(tally, row.line as usize, line(&row));
            }
            !is_long
        });
        for row in counted(&rows) {
            let sums = &mut self.sums[row.sums as usize];
            sums.calls += 1;
            sums.bytes = sums.bytes.saturating_add(row.bytes);
            sums.first = sums.first.min(row.at);
            sums.last = sums.last.max(row.at);
        }
        for rows in rows.chunks(FETCHED) {
            // Where each goes is looked at first, so that the caches fetch all of it at once.
            let with_subject = || counted(rows).filter(|row| row.has_subject);
            let fetched = with_subject()
                .fold(0, |all, row| all ^ self.subjects[row.sums as usize].peek(row.subject));
            std::hint::black_box(fetched);
            for row in with_subject() {
                self.subjects[row.sums as usize].add(row.subject);
            }
        }
        for row in counted(&rows).filter(|row| row.latency_us != NO_LATENCY) {
            let Common { partner, api, .. } = self.common[row.sums as usize];
            add_latency(&mut self.of_partners, partner.0, row.latency_us);
            add_latency(&mut self.of_apis, api.0, row.latency_us);
        }
        for row in counted(&rows).filter(|row| self.common[row.sums as usize].is_proven) {
            let place = Place { offset: place.offset + u64::from(row.line), ..place };
            self.evidence[row.sums as usize].add(row.at, place, line(row));
        }
        self.fold_hours(&rows, tally, place);
        self.rows = rows;
        self.rows.clear();
    }

    /// Counts the rows by the hour, and as read.
    fn fold_hours(&mut self, rows: &[Row], tally: &mut Tally, place: Place) {
        let mut span = Span::default();
        let mut hours = Vec::new();
        for row in rows {
            span.add(row.at);
            if !self.hour.has(row.at) {
                self.hour.turn_to(row.at, tally);
            }
            if hours.last() != Some(&self.hour.number) {
                hours.push(self.hour.number);
            }
            if row.sums != NO_SUMS {
                let Common { partner, overstayed, .. } = self.common[row.sums as usize];
                self.hour.add(partner, row.outcome, overstayed);
            }
        }
        if !rows.is_empty() {
            tally.count_read_at(place, rows.len() as u64, span, &hours);
        }
    }

    /// Asks the register what it says of a triple around an instant.
    #[cold]
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
            Way::Long | Way::Read => NO_SUMS,
            _ => self.open_sums(&judged, api),
        };
        let start = stretch.start.ns();
        let (start_s, start_ns) = (start.div_euclid(NS_PER_S), start.rem_euclid(NS_PER_S));
        let lane = Lane {
            from_s: seconds(start_s + i64::from(start_ns > 0)),
            until_s: seconds(stretch.end.ns().div_euclid(NS_PER_S)),
            way,
            noted: 0,
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
            for outcome in Outcome::ALL {
                let key = CellKey { outcome, ..key };
                let (first, last) = (Instant::MAX, Instant::MIN);
                self.sums.push(Sums { calls: 0, bytes: 0, first, last });
                self.common.push(Common {
                    partner: judged.partner.unwrap_or(PartnerId(0)),
                    api,
                    overstayed: key.overstayed(),
                    is_proven: key.held_against() && outcome.counts_as_served(),
                });
                self.subjects.push(Subjects::default());
                self.evidence.push(Evidence::default());
                self.credentials.push(Vec::new());
            }
        }
        sums
    }

    /// Notes the credential of a row with its sums.
    #[cold]
    fn note_credential(&mut self, row: &Row) {
        let credential = Triple::of(row.key).credential;
        let credentials = &mut self.credentials[row.sums as usize];
        if !credentials.contains(&credential) {
            credentials.push(credential);
        }
        if let Some(lane) = self.lanes.get_mut(&row.key) {
            lane.noted |= 1 << row.outcome as u32;
        }
    }

    /// Moves all sums into a tally.
    pub fn settle(mut self, tally: &mut Tally) {
        self.hour.flush(tally);
        let mut columns =
            self.sums.into_iter().zip(self.subjects).zip(self.evidence).zip(self.credentials);
        for Facts { key, since, axis_since, lapsed_at } in self.facts {
            for (outcome, (((sums, subjects), evidence), mut credentials)) in
                Outcome::ALL.into_iter().zip(columns.by_ref())
            {
                if sums.calls == 0 {
                    continue;
                }
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
        }
        for (partner, latencies) in settled(self.of_partners) {
            tally.partners.entry(PartnerId(partner)).or_default().merge(&latencies);
        }
        for (api, latencies) in settled(self.of_apis) {
            tally.apis.entry(ApiId(api)).or_default().latencies.merge(&latencies);
        }
    }
}

/// In a row's length: that it goes the long way. No line is as long.
const LONG: u32 = 1 << 31;

const _: () = assert!(crate::limits::LINE_BYTES_MAX < LONG as usize);

/// The rows that have sums.
#[inline]
fn counted(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.sums != NO_SUMS)
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
    /// Whether a row surely lies in the stretch.
    #[inline]
    fn has(&self, row: &Row) -> bool {
        let at_s = row.at.ns().div_euclid(NS_PER_S);
        (i64::from(self.from_s)..i64::from(self.until_s)).contains(&at_s)
    }

    /// Whether a row goes into columns.
    #[inline]
    fn goes_by_columns(&self, row: &Row) -> bool {
        let fits = match self.way {
            Way::Long | Way::Read => false,
            Way::Columns => true,
            Way::WithSubject => row.has_subject,
            Way::Consented => row.is_consented,
            Way::ConsentedSubject => row.has_subject && row.is_consented,
        };
        fits && self.has(row)
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
