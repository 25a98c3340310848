//! Sums by index, into which rows of calls are folded.
//!
//! Knows neither judge nor log: what an index stands for is for [`super::Columns`] to say.

use hashbrown::HashSet;

use super::hourly::LatestHours;
use super::{Buckets, By, Evidence, HourCounts, Hourly, Latencies, Series, Subjects};
use crate::call::Outcome;
use crate::register::{ApiId, CredentialId, PartnerId};
use crate::time::Instant;

/// A call that goes into columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) at: Instant,
    pub(super) bytes: u64,
    /// Of no meaning unless `has_subject`.
    pub(super) subject: u64,
    /// [`NO_LATENCY`] where the log does not say.
    pub(super) latency_us: u32,
    pub(super) partner: PartnerId,
    /// Index of its sums.
    pub(super) sums: u32,
    pub(super) has_subject: bool,
}

/// Of a call whose log does not say how long it took. One that took as long goes the long way.
pub(super) const NO_LATENCY: u32 = u32::MAX;

/// The sums that every row changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) bytes: u64,
    pub(super) first: Instant,
    pub(super) last: Instant,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { calls: 0, bytes: 0, first: Instant::MAX, last: Instant::MIN }
    }
}

/// What the rows of some sums have in common, as loops need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    /// The indexes of the latencies that theirs are added to.
    pub(super) of_partner: u32,
    pub(super) of_api: u32,
    pub(super) api: ApiId,
    pub(super) outcome: Outcome,
    pub(super) overstayed: bool,
}

/// Sums by index. One of each for each index, apart, so that each loop touches its own only.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    by: By,
    sums: Vec<Sums>,
    subjects: Vec<Subjects>,
    evidence: Vec<Evidence>,
    /// The indexes that have calls, and those that have evidence.
    used: Vec<u32>,
    proven: Vec<u32>,
    /// Which were used, by index.
    credentials: HashSet<(u32, CredentialId)>,
    // By their indexes.
    of_partners: Vec<(Buckets, Latencies)>,
    of_apis: Vec<(Buckets, Latencies)>,
    series: Series,
    hourly: Hourly,
    /// What is not among these yet.
    latest_hours: LatestHours,
    /// The days on which there were calls, by index, where days are not told apart; and the last that was noted of each.
    days: HashSet<(u32, i64)>,
    last_day: Vec<i64>,
}

/// What belongs to one index.
pub(super) struct Taken {
    pub(super) sums: Sums,
    pub(super) subjects: Subjects,
    pub(super) evidence: Evidence,
    /// Sorted.
    pub(super) credentials: Vec<CredentialId>,
}

/// What belongs to none, latencies with their indexes.
pub(super) struct Beside {
    pub(super) of_partners: Vec<(u32, Latencies)>,
    pub(super) of_apis: Vec<(u32, Latencies)>,
    pub(super) series: Series,
    pub(super) hourly: Hourly,
    /// Index and day.
    pub(super) days: Vec<(u32, i64)>,
}

impl Sheet {
    /// An empty one.
    pub(super) fn new(by: By) -> Sheet {
        Sheet { by, series: Series::new(by), hourly: Hourly::new(by), ..Sheet::default() }
    }

    /// Makes room for so many indexes.
    pub(super) fn grow(&mut self, count: usize) {
        if self.sums.len() < count {
            self.sums.resize(count, Sums::default());
            self.subjects.resize_with(count, Subjects::default);
            self.latest_hours.grow(count);
            if self.by == By::Whole {
                self.last_day.resize(count, i64::MIN);
            }
        }
    }

    /// Whether no row was folded into it.
    pub(super) fn has_no_sums(&self) -> bool {
        self.used.is_empty()
    }

    /// Notes that a credential was used.
    pub(super) fn note_credential(&mut self, index: u32, credential: CredentialId) {
        self.credentials.insert((index, credential));
    }

    /// The evidence of an index, to which a line is going to be added.
    pub(super) fn evidence(&mut self, index: u32) -> &mut Evidence {
        if index as usize >= self.evidence.len() {
            self.evidence.resize_with(index as usize + 1, Evidence::default);
        }
        let evidence = &mut self.evidence[index as usize];
        if evidence.is_empty() {
            self.proven.push(index);
        }
        evidence
    }

    /// Folds rows that are sorted by partner. `common` is by index.
    pub(super) fn fold(&mut self, rows: &[Row], common: &[Common]) {
        for rows in rows.chunk_by(|a, b| a.partner == b.partner) {
            let Some(&Row { partner, .. }) = rows.first() else { continue };
            for row in rows {
                let sums = &mut self.sums[row.sums as usize];
                if sums.calls == 0 {
                    self.used.push(row.sums);
                }
                sums.calls += 1;
                sums.bytes = sums.bytes.saturating_add(row.bytes);
                sums.first = sums.first.min(row.at);
                sums.last = sums.last.max(row.at);
            }
            for row in rows.iter().filter(|row| row.has_subject) {
                self.subjects[row.sums as usize].add(row.subject);
            }
            for row in rows.iter().filter(|row| row.latency_us != NO_LATENCY) {
                let Common { of_partner, of_api, .. } = common[row.sums as usize];
                let (buckets, latencies) = of(&mut self.of_partners, of_partner);
                buckets.add(row.latency_us, latencies);
                let (buckets, latencies) = of(&mut self.of_apis, of_api);
                buckets.add(row.latency_us, latencies);
            }
            let mut hour = Hour::default();
            let mut counts = HourCounts::default();
            if self.by == By::Whole {
                self.note_days(rows);
            }
            for row in rows {
                if !hour.has(row.at) {
                    hour.flush(partner, &mut counts, &mut self.series);
                    hour = Hour::of(row.at);
                    self.latest_hours.turn(hour.number, &mut self.hourly);
                }
                let Common { outcome, overstayed, api, .. } = common[row.sums as usize];
                counts.add(outcome, overstayed);
                let subject = row.has_subject.then_some(row.subject);
                self.latest_hours.add(row.sums, (partner, api), outcome, subject);
            }
            hour.flush(partner, &mut counts, &mut self.series);
        }
    }

    /// Notes the days of rows.
    fn note_days(&mut self, rows: &[Row]) {
        let mut hour = Hour::default();
        let mut day = i64::MIN;
        for row in rows {
            if !hour.has(row.at) {
                hour = Hour::of(row.at);
                day = By::Day.of(row.at);
            }
            let last = &mut self.last_day[row.sums as usize];
            if *last != day {
                *last = day;
                self.days.insert((row.sums, day));
            }
        }
    }

    /// Adds all of `other`, and leaves it empty.
    pub(super) fn add(&mut self, other: &mut Sheet) {
        self.grow(other.sums.len());
        for index in other.used.drain(..) {
            let theirs = std::mem::take(&mut other.sums[index as usize]);
            let subjects = std::mem::take(&mut other.subjects[index as usize]);
            let ours = &mut self.sums[index as usize];
            if ours.calls == 0 {
                self.used.push(index);
                self.subjects[index as usize] = subjects;
            } else {
                self.subjects[index as usize].merge(&subjects);
            }
            ours.calls += theirs.calls;
            ours.bytes = ours.bytes.saturating_add(theirs.bytes);
            ours.first = ours.first.min(theirs.first);
            ours.last = ours.last.max(theirs.last);
        }
        for index in other.proven.drain(..) {
            let theirs = std::mem::take(&mut other.evidence[index as usize]);
            self.evidence(index).merge(&theirs);
        }
        self.credentials.extend(other.credentials.drain());
        for (number, latencies) in settled(&mut other.of_partners) {
            of(&mut self.of_partners, number).1.merge(&latencies);
        }
        for (number, latencies) in settled(&mut other.of_apis) {
            of(&mut self.of_apis, number).1.merge(&latencies);
        }
        self.series.merge(std::mem::replace(&mut other.series, Series::new(other.by)));
        self.hourly.merge(other.take_hourly());
        self.days.extend(other.days.drain());
        other.last_day.fill(i64::MIN);
    }

    /// About how many bytes it holds.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_latencies = |all: &[(Buckets, Latencies)]| -> usize {
            let each = all.iter().map(|(buckets, latencies)| {
                size_of::<(Buckets, Latencies)>() + buckets.heap_bytes() + latencies.heap_bytes()
            });
            each.sum()
        };
        let subjects = self.used.iter().map(|index| self.subjects[*index as usize].heap_bytes());
        let evidence = self.proven.iter().map(|index| self.evidence[*index as usize].heap_bytes());
        self.sums.capacity() * (size_of::<Sums>() + size_of::<Subjects>())
            + self.evidence.capacity() * size_of::<Evidence>()
            + self.credentials.capacity() * size_of::<(u32, CredentialId)>()
            + subjects.sum::<usize>()
            + evidence.sum::<usize>()
            + of_latencies(&self.of_partners)
            + of_latencies(&self.of_apis)
            + self.series.heap_bytes()
            + self.hourly.heap_bytes()
            + self.latest_hours.heap_bytes()
            + self.days.capacity() * size_of::<(u32, i64)>()
            + size_of_val(&*self.last_day)
    }

    fn take_hourly(&mut self) -> Hourly {
        self.latest_hours.flush(&mut self.hourly);
        std::mem::replace(&mut self.hourly, Hourly::new(self.by))
    }

    /// Takes what there is, the indexes in order, and leaves it empty.
    pub(super) fn take(&mut self) -> (impl Iterator<Item = (u32, Taken)> + '_, Beside) {
        let beside = Beside {
            of_partners: settled(&mut self.of_partners).collect(),
            of_apis: settled(&mut self.of_apis).collect(),
            series: std::mem::replace(&mut self.series, Series::new(self.by)),
            hourly: self.take_hourly(),
            days: self.days.drain().collect(),
        };
        self.last_day.fill(i64::MIN);
        let mut credentials: Vec<(u32, CredentialId)> = self.credentials.drain().collect();
        credentials.sort_unstable();
        self.used.sort_unstable();
        self.proven.clear();
        let Sheet { sums, subjects, evidence, used, .. } = self;
        let taken = used.drain(..).map(move |index| {
            let at = index as usize;
            let start = credentials.partition_point(|(of, _)| *of < index);
            let end = credentials.partition_point(|(of, _)| *of <= index);
            let taken = Taken {
                sums: std::mem::take(&mut sums[at]),
                subjects: std::mem::take(&mut subjects[at]),
                evidence: evidence.get_mut(at).map(std::mem::take).unwrap_or_default(),
                credentials: credentials[start..end].iter().map(|(_, used)| *used).collect(),
            };
            (index, taken)
        });
        (taken, beside)
    }
}

/// An hour. The default is none: no instant is in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hour {
    pub(super) number: i64,
    /// Its first instant and the one after its last.
    from_ns: i64,
    until_ns: i64,
}

impl Hour {
    pub(super) fn of(at: Instant) -> Hour {
        let number = at.hour();
        Hour {
            number,
            from_ns: Instant::from_hour(number).ns(),
            until_ns: Instant::from_hour(number.saturating_add(1)).ns(),
        }
    }

    #[inline]
    pub(super) fn has(&self, at: Instant) -> bool {
        (self.from_ns..self.until_ns).contains(&at.ns())
    }

    /// Moves the counts of a partner in this hour into a series.
    fn flush(&self, partner: PartnerId, counts: &mut HourCounts, series: &mut Series) {
        if self.from_ns < self.until_ns {
            series.add_counts(self.number, Some(partner), &std::mem::take(counts));
        }
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
