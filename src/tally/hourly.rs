//! What each partner called of each api, hour by hour: what anomalies are looked for in.
//!
//! Nobody is accused by these counts of people, so they may be rough: a few bytes for each hour in place of kilobytes.

use hashbrown::HashMap;

use super::By;
use super::subjects::{self, RegisterCounts};
use crate::call::Outcome;
use crate::limits::HOURLY_USES_MAX;
use crate::register::{ApiId, PartnerId};
use crate::time::Instant;

/// What one partner called of one api in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourUse {
    /// All calls.
    pub calls: u32,
    /// Those denied.
    pub denied: u32,
    /// Whom those were about that were not denied.
    pub people: People,
}

impl HourUse {
    /// Counts one call.
    #[inline]
    pub(super) fn add(&mut self, outcome: Outcome, subject: Option<u64>) {
        self.calls = self.calls.saturating_add(1);
        self.denied = self.denied.saturating_add(u32::from(outcome == Outcome::Denied));
        if let Some(hash) = told_of(outcome, subject) {
            self.people.add(hash);
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: HourUse) {
        self.calls = self.calls.saturating_add(other.calls);
        self.denied = self.denied.saturating_add(other.denied);
        self.people.merge(other.people);
    }
}

/// The person of whom a call told its caller: who is refused learns of nobody.
#[inline]
fn told_of(outcome: Outcome, subject: Option<u64>) -> Option<u64> {
    subject.filter(|_| outcome != Outcome::Denied)
}

/// About how many distinct people: a HyperLogLog of 128 registers of four bits, with a standard error of 1.04 / sqrt(128), which
/// is 9.2 %. While few registers are set, only those are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct People(Registers);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Registers {
    /// So many registers, the first places, sorted: the number of a register in the upper bits, its rank in the lower four.
    Few(u8, [u16; FEW]),
    /// All of them, two to a byte, the even one in the lower bits.
    All(Box<[u8; REGISTERS / 2]>),
}

const INDEX_BITS: u32 = 7;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The greatest rank that four bits hold: up to four million people are told apart.
const RANK_MAX: u8 = 15;
/// Registers that are kept one by one: what fits into the place that a pointer and its tag take anyway.
const FEW: usize = 7;

/// The register that a person's hash goes to, and its rank there.
#[inline]
fn register_of(hash: u64) -> (u8, u8) {
    let index = (hash >> (64 - INDEX_BITS)) as u8;
    let rank = (hash << INDEX_BITS).leading_zeros().min(u32::from(RANK_MAX) - 1) as u8 + 1;
    (index, rank)
}

#[inline]
fn note_in(registers: &mut [u8; REGISTERS / 2], index: u8, rank: u8) {
    let shift = 4 * (index & 1);
    let pair = &mut registers[usize::from(index / 2)];
    if (*pair >> shift) & RANK_MAX < rank {
        *pair = *pair & !(RANK_MAX << shift) | rank << shift;
    }
}

impl Default for People {
    fn default() -> People {
        People(Registers::Few(0, [0; FEW]))
    }
}

impl People {
    /// Adds the person of that [`subjects::hash`].
    #[inline]
    fn add(&mut self, hash: u64) {
        let (index, rank) = register_of(hash);
        self.note(index, rank);
    }

    /// Those of so many registers.
    fn of_all(all: &[u8; REGISTERS / 2]) -> People {
        let set =
            all.iter().map(|pair| u32::from(pair & RANK_MAX != 0) + u32::from(pair >> 4 != 0));
        if set.sum::<u32>() > FEW as u32 {
            return People(Registers::All(Box::new(*all)));
        }
        let mut people = People::default();
        for (place, pair) in (0u8..).zip(all) {
            for (index, rank) in [(2 * place, pair & RANK_MAX), (2 * place + 1, pair >> 4)] {
                if rank > 0 {
                    people.note(index, rank);
                }
            }
        }
        people
    }

    #[inline]
    fn note(&mut self, index: u8, rank: u8) {
        match &mut self.0 {
            Registers::All(registers) => note_in(registers, index, rank),
            Registers::Few(..) => self.note_few(index, rank),
        }
    }

    fn note_few(&mut self, index: u8, rank: u8) {
        let Registers::Few(count, few) = &mut self.0 else { return };
        let kept = usize::from(*count);
        let place = few[..kept].partition_point(|register| (register >> 4) < u16::from(index));
        let new = u16::from(index) << 4 | u16::from(rank);
        match few[..kept].get_mut(place).filter(|register| **register >> 4 == u16::from(index)) {
            Some(register) => *register = new.max(*register),
            None if kept < FEW => {
                few.copy_within(place..kept, place + 1);
                few[place] = new;
                *count += 1;
            }
            None => {
                let few = *few;
                self.0 = Registers::All(Box::new([0; REGISTERS / 2]));
                few.into_iter().chain([new]).for_each(|register| self.note_both(register));
            }
        }
    }

    fn note_both(&mut self, register: u16) {
        self.note((register >> 4) as u8, register as u8 & RANK_MAX);
    }

    /// Adds all of `other`.
    fn merge(&mut self, other: People) {
        match (&mut self.0, other.0) {
            (_, Registers::Few(count, few)) => {
                few.into_iter().take(usize::from(count)).for_each(|both| self.note_both(both));
            }
            (Registers::Few(count, few), Registers::All(all)) => {
                let (count, few) = (usize::from(*count), *few);
                self.0 = Registers::All(all);
                few.into_iter().take(count).for_each(|both| self.note_both(both));
            }
            (Registers::All(ours), Registers::All(theirs)) => {
                for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
                    let (low, high) = (RANK_MAX, RANK_MAX << 4);
                    *ours = (*ours & low).max(theirs & low) | (*ours & high).max(theirs & high);
                }
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match &self.0 {
            Registers::Few(..) => 0,
            Registers::All(all) => size_of_val(&**all),
        }
    }

    /// How many, about. The same for the same people, whatever the order.
    pub fn estimate(&self) -> u32 {
        let mut counts: RegisterCounts = [0; subjects::RANKS];
        match &self.0 {
            Registers::Few(count, few) => {
                let kept = usize::from(*count);
                counts[0] = (REGISTERS - kept) as u32;
                for register in &few[..kept] {
                    counts[usize::from(register & 0xf)] += 1;
                }
            }
            Registers::All(all) => {
                for pair in all.iter() {
                    counts[usize::from(pair & RANK_MAX)] += 1;
                    counts[usize::from(pair >> 4)] += 1;
                }
            }
        }
        let estimate = subjects::ertl(&counts, REGISTERS as f64, usize::from(RANK_MAX));
        estimate.round() as u32
    }

    /// As bytes, which [`People::from_bytes`] takes: none of nobody; two for each register that is set, or all registers.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        match &self.0 {
            Registers::Few(count, few) => {
                bytes.push(*count);
                few[..usize::from(*count)]
                    .iter()
                    .for_each(|register| bytes.extend(register.to_le_bytes()));
            }
            Registers::All(all) => {
                bytes.push(ALL);
                bytes.extend(&all[..]);
            }
        }
    }

    /// What [`People::to_bytes`] wrote, and the bytes behind it; none of what it can't have written.
    pub fn from_bytes(bytes: &[u8]) -> Option<(People, &[u8])> {
        let (&tag, bytes) = bytes.split_first()?;
        if tag == ALL {
            let (all, rest) = bytes.split_first_chunk::<{ REGISTERS / 2 }>()?;
            return Some((People(Registers::All(Box::new(*all))), rest));
        }
        let (mut few, count) = ([0; FEW], usize::from(tag));
        let (stored, rest) = bytes.split_at_checked(2 * count)?;
        for (place, stored) in few.get_mut(..count)?.iter_mut().zip(stored.as_chunks::<2>().0) {
            *place = u16::from_le_bytes(*stored);
        }
        let kept = &few[..count];
        let is_sorted = kept.is_sorted_by(|a, b| a >> 4 < b >> 4);
        let fits = kept.iter().all(|register| usize::from(register >> 4) < REGISTERS);
        let is_set = kept.iter().all(|register| register & 0xf > 0);
        (is_sorted && fits && is_set).then_some((People(Registers::Few(tag, few)), rest))
    }
}

/// What stands in the place of a count of registers where all are kept.
const ALL: u8 = u8::MAX;

const _: () = assert!(FEW < ALL as usize);

/// Whose calls, and of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourKey {
    /// The hour: [`Instant::hour`].
    pub hour: i64,
    /// The partner.
    pub partner: PartnerId,
    /// The api.
    pub api: ApiId,
}

/// Uses by hour, partner and api. Of more than [`HOURLY_USES_MAX`] the latest hours are kept, as many as are whole among these,
/// unless they are to be told apart by day.
#[derive(Clone, Debug, Default)]
pub struct Hourly {
    by: By,
    uses: HashMap<HourKey, HourUse>,
    /// Hours before it are not kept; set once the bound was passed.
    floor: Option<i64>,
}

impl Hourly {
    /// An empty one.
    pub(super) fn new(by: By) -> Hourly {
        Hourly { by, ..Hourly::default() }
    }

    /// Counts one call.
    pub(super) fn add(&mut self, key: HourKey, outcome: Outcome, subject: Option<u64>) {
        if let Some(place) = self.entry(key) {
            place.add(outcome, subject);
        }
    }

    /// Adds a use.
    pub fn add_use(&mut self, key: HourKey, hour_use: HourUse) {
        if let Some(place) = self.entry(key) {
            place.merge(hour_use);
        }
    }

    fn entry(&mut self, key: HourKey) -> Option<&mut HourUse> {
        if self.by == By::Whole && self.uses.len() >= 2 * HOURLY_USES_MAX {
            self.prune();
        }
        if self.floor.is_some_and(|floor| key.hour < floor) {
            return None;
        }
        Some(self.uses.entry(key).or_default())
    }

    /// About how many bytes it holds.
    pub(super) fn heap_bytes(&self) -> usize {
        let beside: usize = self.uses.values().map(|hour_use| hour_use.people.heap_bytes()).sum();
        self.uses.capacity() * size_of::<(HourKey, HourUse)>() + beside
    }

    /// The same for each day.
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub(super) fn by_day(self) -> HashMap<i64, Hourly> {
        let by = self.by;
        let mut by_day: HashMap<i64, Hourly> = HashMap::new();
        if by == By::Whole {
            if !self.uses.is_empty() {
                by_day.insert(by.of(Instant::MIN), self);
            }
            return by_day;
        }
        for (key, hour_use) in self.uses {
            let day = by.of(Instant::from_hour(key.hour));
            by_day.entry(day).or_insert_with(|| Hourly::new(by)).add_use(key, hour_use);
        }
        by_day
    }

    /// Adds all of `other`.
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub fn merge(&mut self, other: Hourly) {
        if self.uses.is_empty() && self.floor.is_none() {
            *self = other;
            return;
        }
        self.floor = self.floor.max(other.floor);
        for (key, hour_use) in other.uses {
            self.add_use(key, hour_use);
        }
    }

    /// Leaves the uses of one partner.
    pub(super) fn keep_only(&mut self, partner: PartnerId) {
        self.uses.retain(|key, _| key.partner == partner);
    }

    /// Lets go of the earliest hours, of which the bound does not allow for all.
    fn prune(&mut self) {
        let mut hours: Vec<i64> = self.uses.keys().map(|key| key.hour).collect();
        hours.sort_unstable();
        if let Some(last_cut) = hours.len().checked_sub(HOURLY_USES_MAX + 1) {
            // That hour is not whole among the latest.
            self.floor = self.floor.max(Some(hours[last_cut].saturating_add(1)));
        }
        if let Some(floor) = self.floor {
            self.uses.retain(|key, _| key.hour >= floor);
        }
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &HourKey> {
        self.uses.keys()
    }

    /// All uses, those of a partner and an api together, by hour.
    pub fn sorted(&self) -> Vec<(&HourKey, &HourUse)> {
        let mut uses: Vec<(&HourKey, &HourUse)> = self.uses.iter().collect();
        uses.sort_unstable_by_key(|(key, _)| (key.partner, key.api, key.hour));
        uses
    }

    /// All uses in the order of their keys, and the hour before which none were kept, if a bound was passed.
    pub fn finish(mut self) -> (Vec<(HourKey, HourUse)>, Option<i64>) {
        if self.by == By::Whole {
            self.prune();
        }
        let mut uses: Vec<(HourKey, HourUse)> = self.uses.into_iter().collect();
        uses.sort_unstable_by_key(|(key, _)| *key);
        (uses, self.floor)
    }
}

/// The uses in the latest hours whose calls were added up, by the index of what their calls have in common: logs are in the order of
/// time, so that most calls are of the same few hours as those before, and need not be looked up.
#[derive(Debug, Default)]
pub(super) struct LatestHours {
    /// Each in the place of the remainder of its hour.
    hours: [OneHour; LATEST_HOURS],
    now: usize,
}

/// Rows that are folded in one go are of hours on end, of one partner after the other; seldom of more hours than these.
const LATEST_HOURS: usize = 4;

#[derive(Debug, Default)]
struct OneHour {
    hour: i64,
    /// By index: where its use is, or [`NOWHERE`]. Of many days most indexes have no call in an hour.
    places: Vec<u32>,
    /// What they are of, the calls of each, and the people: apart, so that a call touches what it changes only.
    of: Vec<UseOf>,
    calls: Vec<u32>,
    people: Vec<AllRegisters>,
}

/// What the calls of an index have in common.
#[derive(Clone, Copy, Debug)]
struct UseOf {
    index: u32,
    partner: PartnerId,
    api: ApiId,
    is_denied: bool,
}

/// All registers of [`People`], in the place where calls are counted.
#[derive(Clone, Copy, Debug)]
struct AllRegisters([u8; REGISTERS / 2]);

const NOWHERE: u32 = u32::MAX;

impl LatestHours {
    /// Makes room for so many indexes.
    pub(super) fn grow(&mut self, count: usize) {
        for of_hour in &mut self.hours {
            of_hour.places.resize(of_hour.places.len().max(count), NOWHERE);
        }
    }

    /// Goes on with this hour; that in whose place it comes is moved to where all hours are.
    pub(super) fn turn(&mut self, hour: i64, hourly: &mut Hourly) {
        self.now = hour.rem_euclid(LATEST_HOURS as i64) as usize;
        let of_hour = &mut self.hours[self.now];
        if of_hour.hour != hour {
            of_hour.flush(hourly);
            of_hour.hour = hour;
        }
    }

    /// Counts one call.
    #[inline]
    pub(super) fn add(
        &mut self,
        index: u32,
        (partner, api): (PartnerId, ApiId),
        outcome: Outcome,
        subject: Option<u64>,
    ) {
        let OneHour { places, of, calls, people, .. } = &mut self.hours[self.now];
        let place = &mut places[index as usize];
        if *place == NOWHERE {
            *place = of.len() as u32;
            let is_denied = outcome == Outcome::Denied;
            of.push(UseOf { index, partner, api, is_denied });
            calls.push(0);
            people.push(AllRegisters([0; REGISTERS / 2]));
        }
        let place = *place as usize;
        calls[place] = calls[place].saturating_add(1);
        if let Some(hash) = told_of(outcome, subject) {
            let (index, rank) = register_of(hash);
            note_in(&mut people[place].0, index, rank);
        }
    }

    /// Moves all of them to where all hours are.
    pub(super) fn flush(&mut self, hourly: &mut Hourly) {
        self.hours.iter_mut().for_each(|of_hour| of_hour.flush(hourly));
    }

    /// About how many bytes they hold.
    pub(super) fn heap_bytes(&self) -> usize {
        self.hours.iter().map(OneHour::heap_bytes).sum()
    }
}

impl OneHour {
    fn flush(&mut self, hourly: &mut Hourly) {
        let hour = self.hour;
        let uses = self.of.drain(..).zip(self.calls.drain(..)).zip(self.people.drain(..));
        for ((UseOf { index, partner, api, is_denied }, calls), people) in uses {
            self.places[index as usize] = NOWHERE;
            let denied = if is_denied { calls } else { 0 };
            let hour_use = HourUse { calls, denied, people: People::of_all(&people.0) };
            hourly.add_use(HourKey { hour, partner, api }, hour_use);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>()
            + self.of.capacity() * (size_of::<UseOf>() + size_of::<u32>())
            + self.people.capacity() * size_of::<AllRegisters>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn people(range: std::ops::Range<u64>) -> People {
        let mut people = People::default();
        range.for_each(|n| people.add(subjects::hash(&format!("person-{n}"))));
        people
    }

    #[test]
    fn few_people_are_counted_well() {
        assert_eq!(people(0..0).estimate(), 0);
        assert_eq!(people(0..1).estimate(), 1);
        assert_eq!(people(0..5).estimate(), 5);
        let same: People = {
            let mut same = people(0..5);
            same.merge(people(0..5));
            same
        };
        assert_eq!(same.estimate(), 5);
    }

    /// Over many sizes the error keeps to that of so many registers.
    #[test]
    fn estimates_within_the_promised_error() {
        let mut squares = Vec::new();
        for n in [50, 80, 120, 200, 400, 1000, 5000, 20_000, 100_000] {
            for seed in 0..40u64 {
                let from = seed * 1_000_000;
                let error = f64::from(people(from..from + n).estimate()) / n as f64 - 1.0;
                squares.push(error * error);
            }
        }
        let standard_error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        assert!(standard_error <= 0.1, "standard error {standard_error}");
    }

    #[test]
    fn of_too_many_the_latest_whole_hours_are_kept() {
        let mut hourly = Hourly::new(By::Whole);
        let per_hour = HOURLY_USES_MAX / 4 + 1;
        for hour in (0..12).rev() {
            for api in 0..per_hour as u32 {
                let key = HourKey { hour, partner: PartnerId(0), api: ApiId(api) };
                hourly.add(key, Outcome::Served, None);
            }
        }
        let (uses, floor) = hourly.finish();
        assert_eq!((uses.len(), floor), (3 * per_hour, Some(9)));
        assert!(uses.iter().all(|(key, hour_use)| key.hour >= 9 && hour_use.calls == 1));
    }

    proptest! {
        #[test]
        fn merging_equals_adding_in_any_order(
            a in prop::collection::vec(0u64..500, 0..60),
            b in prop::collection::vec(0u64..500, 0..60),
        ) {
            let build = |numbers: &[u64]| {
                let mut people = People::default();
                numbers.iter().for_each(|n| people.add(subjects::hash(&n.to_string())));
                people
            };
            let all = build(&[a.clone(), b.clone()].concat());
            let (mut ab, mut ba) = (build(&a), build(&b));
            ab.merge(build(&b));
            ba.merge(build(&a));
            prop_assert_eq!(&ab, &all);
            prop_assert_eq!(&ba, &all);
            let mut bytes = Vec::new();
            all.to_bytes(&mut bytes);
            bytes.push(7);
            prop_assert_eq!(People::from_bytes(&bytes), Some((all, &[7u8][..])));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some((people, _)) = People::from_bytes(&bytes) {
                people.estimate();
            }
        }
    }
}
