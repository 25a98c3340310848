//! The short way into a tally, for calls about which everything is known.
//!
//! Nearly all calls of a log present a credential, and call an api for an operation, that the register has words for; and
//! what the register says of these three changes at a few instants only. So it is asked once for each stretch of time
//! between such instants, and a call is but a row. The sums of a large report fit no cache, so rows are collected, sorted by
//! partner, and only then folded into their sums, those of one partner after the other. What an input adds stays apart until
//! it is known whether the input counts: then [`Columns::commit`] adds it to what the inputs before it added, or
//! [`Columns::roll_back`] forgets it. Of small inputs that is a matter of a few rows. [`Columns::settle`] moves what was
//! committed into a tally. The result is that of [`super::Tally::add`], call by call; calls that this cannot take are handed back.

use hashbrown::HashMap;

use super::sheet::{Common, Hour, NO_LATENCY, Row, Sheet, Taken};
use super::{By, Cell, CellKey, Dated, Latest, Place, Span, subject_hash};
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
    /// The outcomes of which the credential was noted, a bit for each, since so many inputs were rolled back.
    noted: u8,
    rolled_back: u32,
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

/// Sums for all facts.
const OUTCOMES: u32 = Outcome::ALL.len() as u32;

/// Calls whose lanes are looked up together.
const FETCHED: usize = 32;

/// All that they have in common but the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Facts {
    /// Their day: [`By::of`].
    day: i64,
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
    /// Which calls share their sums.
    by: By,
    lanes: HashMap<u64, Lane>,
    fresh: Vec<Fresh>,
    /// Those of them whose lines are evidence, with the index of their sums.
    proven: Vec<(u32, Fresh)>,
    rows: Vec<Row>,
    /// So many rows of one input, or of committed ones, are folded.
    rows_folded: usize,
    /// How many of the rows were committed; the others are of the input that is being read.
    committed_rows: usize,
    /// The rows by partner, while they are folded.
    sorted: Vec<Row>,
    indexes: HashMap<Facts, u32>,
    /// For every four sums.
    facts: Vec<Facts>,
    /// By the index of sums.
    common: Vec<Common>,
    /// Days and partners, days and apis, by the index of their latencies.
    of_partners: Numbered<PartnerId>,
    of_apis: Numbered<ApiId>,
    /// What was folded of the input that is being read, and its evidence and credentials.
    current: Sheet,
    /// What was folded of those before it that count, and their evidence and credentials.
    committed: Sheet,
    /// Rises when something is forgotten: what lanes have noted is void then.
    rolled_back: u32,
}

/// Pairs of day and id with numbers of their own, in the order in which they came.
#[derive(Debug)]
struct Numbered<Id> {
    pairs: Vec<(i64, Id)>,
    numbers: HashMap<(i64, Id), u32>,
}

impl<Id> Default for Numbered<Id> {
    fn default() -> Numbered<Id> {
        Numbered { pairs: Vec::new(), numbers: HashMap::new() }
    }
}

impl<Id: Copy + Eq + std::hash::Hash> Numbered<Id> {
    fn of(&mut self, day: i64, id: Id) -> u32 {
        let next = self.pairs.len() as u32;
        let number = *self.numbers.entry((day, id)).or_insert(next);
        if number == next {
            self.pairs.push((day, id));
        }
        number
    }
}

impl Columns {
    /// Empty ones, for calls of which all but `only` this partner's are none of the report's.
    pub fn new(by: By, only: Option<PartnerId>) -> Columns {
        Columns::folding(by, only, limits::ROWS_FOLDED)
    }

    /// The same, with rows folded when there are so many: it changes nothing but the time that it takes.
    pub fn folding(by: By, only: Option<PartnerId>, rows_folded: usize) -> Columns {
        let sheet = || Sheet::new(by);
        Columns {
            by,
            only,
            rows_folded,
            current: sheet(),
            committed: sheet(),
            ..Columns::default()
        }
    }

    /// Takes one call, if it may go the short way; else it is to be judged and to be counted with [`super::Tally::add`], and
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
        tally: &mut Dated,
        place: Place,
        piece: &[u8],
        mut long: impl FnMut(&mut Dated, usize, &[u8]),
    ) {
        let mut fresh = std::mem::take(&mut self.fresh);
        let line = |call: &Fresh| &piece[call.line as usize..][..call.length as usize];
        let by = self.by;
        // Nearly all pieces are of one day. In others those of a day go together, or each would ask for its lane anew.
        if !fresh.first().is_some_and(|first| by.is_one(first.at, fresh.iter().map(|call| call.at)))
        {
            fresh.sort_by_key(|call| by.of(call.at));
        }
        for calls in fresh.chunk_by(|a, b| by.of(a.at) == by.of(b.at)) {
            let Some(day) = calls.first().map(|first| by.of(first.at)) else { continue };
            let mut read = Read::default();
            self.fold_day(judge, day, calls, &mut read, |call| {
                long(tally, call.line as usize, line(call));
            });
            if read.count > 0 {
                tally.day(day).count_read_at(place, read.count, read.span, &read.hours);
            }
        }
        self.prove(place, line);
        self.fresh = fresh;
        self.fresh.clear();
        if self.rows.len() - self.committed_rows >= self.rows_folded {
            self.fold_current();
        }
    }

    /// Makes rows of calls of one day.
    fn fold_day(
        &mut self,
        judge: &Judge<'_>,
        day: i64,
        calls: &[Fresh],
        read: &mut Read,
        mut long: impl FnMut(&Fresh),
    ) {
        for calls in calls.chunks(FETCHED) {
            // Looked up together: the loads of one need not wait for what is done with another.
            let mut lanes = [None; FETCHED];
            for (lane, call) in lanes.iter_mut().zip(calls) {
                *lane = self.lanes.get(&call.key).copied();
            }
            for (lane, call) in lanes.into_iter().zip(calls) {
                let lane = match lane {
                    Some(lane) if lane.has(call.at) => lane,
                    _ => self.lane(judge, day, call.key, call.at),
                };
                if lane.goes_by_columns(call) {
                    self.add_row(&lane, call);
                } else if lane.way != Way::Read || !lane.has(call.at) {
                    long(call);
                    continue;
                }
                read.add(call.at);
            }
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
        if lane.noted & (1 << outcome) == 0 || lane.rolled_back != self.rolled_back {
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
            self.current.evidence(*sums).add_early(instant, place, line(call));
        }
        // In most logs the latest come last: from the end on, all but those few need not be kept for a moment.
        for (sums, call) in self.proven.drain(..).rev() {
            let (instant, place) = at(&call);
            self.current.evidence(sums).add_late(instant, place, line(&call));
        }
    }

    /// The lane of a triple around an instant, which the one that was looked up is not, or was not when it was.
    #[cold]
    fn lane(&mut self, judge: &Judge<'_>, day: i64, key: u64, at: Instant) -> Lane {
        match self.lanes.get(&key) {
            Some(lane) if lane.has(at) => *lane,
            _ => self.open(judge, day, key, at),
        }
    }

    /// Folds the rows of the input that is being read.
    fn fold_current(&mut self) {
        sort(&self.rows[self.committed_rows..], &mut self.sorted);
        self.rows.truncate(self.committed_rows);
        self.current.grow(self.common.len());
        self.current.fold(&self.sorted, &self.common);
    }

    /// Folds the committed rows, which are all there are.
    fn fold_committed(&mut self) {
        sort(&self.rows, &mut self.sorted);
        self.rows.clear();
        self.committed_rows = 0;
        self.committed.grow(self.common.len());
        self.committed.fold(&self.sorted, &self.common);
    }

    /// Adds what the input that was read adds up to.
    pub fn commit(&mut self) {
        if !self.current.has_no_sums() {
            self.fold_current();
        }
        if self.committed.has_no_sums() && self.committed_rows == 0 && self.rows.is_empty() {
            std::mem::swap(&mut self.current, &mut self.committed);
        } else {
            self.committed.add(&mut self.current);
        }
        self.committed_rows = self.rows.len();
        if self.committed_rows >= self.rows_folded {
            self.fold_committed();
        }
    }

    /// Forgets the input that was read.
    pub fn roll_back(&mut self) {
        self.rows.truncate(self.committed_rows);
        self.current = Sheet::new(self.by);
        self.rolled_back = self.rolled_back.wrapping_add(1);
    }

    /// Moves what was committed into a tally, when there is nothing else. What the register says stays known.
    pub fn settle(&mut self, tally: &mut Dated) {
        self.fold_committed();
        let mut committed = std::mem::replace(&mut self.committed, Sheet::new(self.by));
        self.take(&mut committed, tally);
        self.committed = committed;
    }

    /// About how many bytes it takes that grow with what is counted, and not only with the register.
    pub fn heap_bytes(&self) -> usize {
        let of_sums = size_of::<Common>() * OUTCOMES as usize + 2 * size_of::<Facts>();
        self.facts.len() * of_sums
            + self.lanes.capacity() * size_of::<(u64, Lane)>()
            + self.current.heap_bytes()
            + self.committed.heap_bytes()
    }

    /// Moves all there is out: what was committed, and what is of the input that is being read, into a tally each. Between two
    /// pieces.
    pub fn clear_into(&mut self, committed: &mut Dated, current: &mut Dated) {
        self.fold_current();
        self.fold_committed();
        let (by, only, rows_folded) = (self.by, self.only, self.rows_folded);
        let mut all = std::mem::replace(self, Columns::folding(by, only, rows_folded));
        let mut sheet = std::mem::take(&mut all.committed);
        all.take(&mut sheet, committed);
        let mut sheet = std::mem::take(&mut all.current);
        all.take(&mut sheet, current);
    }

    /// Moves what was folded into a tally.
    fn take(&self, sheet: &mut Sheet, tally: &mut Dated) {
        let Columns { facts, of_partners, of_apis, .. } = self;
        let (sums, beside) = sheet.take();
        for (index, taken) in sums {
            let Facts { day, key, since, axis_since, lapsed_at } =
                facts[(index / OUTCOMES) as usize];
            let Taken { sums, subjects, evidence, credentials } = taken;
            let cell = Cell {
                calls: sums.calls,
                bytes: sums.bytes,
                subjects,
                // Calls that name nobody, where consent is asked for, go the long way.
                without_subject: 0,
                first: sums.first,
                overstay_s_max: lapsed_at.map_or(0, |lapsed| sums.last.seconds_since(lapsed)),
                latest: Latest { at: sums.last, since, axis_since, lapsed_at },
                credentials,
                evidence,
            };
            let outcome = Outcome::ALL[(index % OUTCOMES) as usize];
            tally.day(day).cells.add(CellKey { outcome, ..key }, cell);
        }
        for (number, latencies) in beside.of_partners {
            let (day, partner) = of_partners.pairs[number as usize];
            tally.day(day).partners.entry(partner).or_default().merge(&latencies);
        }
        for (number, latencies) in beside.of_apis {
            let (day, api) = of_apis.pairs[number as usize];
            tally.day(day).apis.entry(api).or_default().merge(&latencies);
        }
        for (index, served_on) in beside.days {
            let Facts { day, key, .. } = facts[(index / OUTCOMES) as usize];
            if Outcome::ALL[(index % OUTCOMES) as usize].counts_as_served() {
                tally.day(day).served.add(key.grant, key.api, served_on);
            }
        }
        for (day, series) in beside.series.by_day() {
            tally.day(day).series.merge(series);
        }
        for (day, hourly) in beside.hourly.by_day() {
            tally.day(day).hourly.merge(hourly);
        }
    }

    /// Asks the register what it says of a triple around an instant.
    fn open(&mut self, judge: &Judge<'_>, day: i64, key: u64, at: Instant) -> Lane {
        let judged = judged(judge, key, at);
        let (of_day, stretch) = (self.by.span(day), judge.stretch(at, &judged));
        let stretch = of_day.start.max(stretch.start)..of_day.end.min(stretch.end);
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
            _ => self.open_sums(day, &judged, api),
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
            rolled_back: self.rolled_back,
            proven: proven.fold(0, |all, outcome| all | 1 << outcome as u32),
            partner: judged.partner.unwrap_or(PartnerId(0)),
            sums,
        };
        self.lanes.insert(key, lane);
        lane
    }

    /// The sums of calls that are judged so.
    fn open_sums(&mut self, day: i64, judged: &Judged<'_>, api: ApiId) -> u32 {
        let key = CellKey::of(Outcome::ALL[0], judged);
        let (since, axis_since) = (judged.since, judged.axis_since);
        let facts = Facts { day, key, since, axis_since, lapsed_at: judged.lapsed_at };
        let next = self.common.len() as u32;
        let sums = *self.indexes.entry(facts).or_insert(next);
        if sums == next {
            self.facts.push(facts);
            let of_partner = self.of_partners.of(day, judged.partner.unwrap_or(PartnerId(0)));
            let of_api = self.of_apis.of(day, api);
            self.common.extend(Outcome::ALL.map(|outcome| {
                let overstayed = CellKey { outcome, ..key }.overstayed();
                Common { of_partner, of_api, api, outcome, overstayed }
            }));
        }
        sums
    }

    /// Notes a triple's credential with its sums.
    #[cold]
    fn note_credential(&mut self, key: u64, outcome: u32, sums: u32) {
        self.current.note_credential(sums, Triple::of(key).credential);
        // By now the triple may have the lane of another stretch, whose own sums have not been noted.
        if let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.sums + outcome == sums) {
            if lane.rolled_back != self.rolled_back {
                (lane.rolled_back, lane.noted) = (self.rolled_back, 0);
            }
            lane.noted |= 1 << outcome;
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

/// Sorts rows by partner, those of one in the order they came in.
fn sort(rows: &[Row], sorted: &mut Vec<Row>) {
    let partners = rows.iter().map(|row| row.partner.0 as usize + 1).max().unwrap_or(0);
    let mut starts = vec![0usize; partners + 1];
    for row in rows {
        starts[row.partner.0 as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    // Each place is written once.
    match rows.first() {
        Some(row) => sorted.resize(rows.len(), *row),
        None => sorted.clear(),
    }
    for row in rows {
        let start = &mut starts[row.partner.0 as usize];
        sorted[*start] = *row;
        *start += 1;
    }
}
