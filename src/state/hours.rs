//! What partners called of apis in the hours of a day, as it is kept beside the day's tally: to be added to when more of the
//! day comes, and, as numbers alone, to be compared with by the days after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{self, Bytes, Kind};
use super::seal::PrivacyKey;
use crate::error::{Error, Result};
use crate::register::{ApiId, PartnerId, Register};
use crate::tally::{HourKey, HourUse, Hourly, People};
use crate::time::HOURS_PER_DAY;

/// The uses of a day, by partner and api, then by hour of the day: they add up. Under names, as segments are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayUses(pub BTreeMap<(String, String), BTreeMap<u8, HourUse>>);

/// What the seal of people is about.
const PEOPLE: &[u8] = b"people of a day's hours";

#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredPair {
    partner: String,
    api: String,
    /// By hour of the day: its number, calls, denied calls.
    hours: Vec<(u8, u32, u32)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredUses {
    pairs: Vec<StoredPair>,
    /// The people of all hours, in their order; sealed.
    sealed: Bytes,
}

impl DayUses {
    /// Those of one day's tally.
    pub fn new(register: &Register, hourly: Hourly) -> DayUses {
        let mut of_pairs: BTreeMap<(PartnerId, ApiId), BTreeMap<u8, HourUse>> = BTreeMap::new();
        for (HourKey { hour, partner, api }, hour_use) in hourly.finish().0 {
            let hour = hour.rem_euclid(HOURS_PER_DAY) as u8;
            of_pairs.entry((partner, api)).or_default().insert(hour, hour_use);
        }
        let named = of_pairs.into_iter().map(|((partner, api), hours)| {
            let partner = register.partners[partner.0 as usize].id.clone();
            ((partner, register.apis[api.0 as usize].id.clone()), hours)
        });
        DayUses(named.collect())
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: DayUses) {
        for (pair, hours) in other.0 {
            let ours = self.0.entry(pair).or_default();
            for (hour, hour_use) in hours {
                ours.entry(hour).or_default().merge(hour_use);
            }
        }
    }

    /// The file that holds them, sealed.
    ///
    /// # Errors
    ///
    /// If it can't be encoded, or is longer than the cipher allows.
    pub fn encode(&self, key: &PrivacyKey) -> Result<Vec<u8>> {
        let mut people = Vec::new();
        let pairs = self.0.iter().map(|((partner, api), hours)| {
            let hours = hours.iter().map(|(hour, hour_use)| {
                hour_use.people.to_bytes(&mut people);
                (*hour, hour_use.calls, hour_use.denied)
            });
            StoredPair { partner: partner.clone(), api: api.clone(), hours: hours.collect() }
        });
        let pairs = pairs.collect();
        let sealed = Bytes(key.seal(PEOPLE, &codec::pack(&Bytes(people))?)?);
        codec::encode(Kind::Uses, &StoredUses { pairs, sealed })
    }

    /// Reads what [`DayUses::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is of another kind or version, not all there, or damaged, and if the key is another.
    pub fn decode(shown: &str, file: &[u8], key: &PrivacyKey) -> Result<DayUses> {
        let StoredUses { pairs, sealed } = codec::decode(shown, Kind::Uses, file)?;
        let opened = key.open(PEOPLE, &sealed.0).ok_or_else(|| {
            Error::new(format!("{shown}: the privacy key does not open it"))
                .hint("restore the key that the state was written with: key_file under [privacy]")
        })?;
        let uses = codec::unpack(&opened).and_then(|Bytes(people)| {
            let mut rest = &people[..];
            let mut uses = BTreeMap::new();
            for StoredPair { partner, api, hours: stored } in pairs {
                let mut hours = BTreeMap::new();
                for (hour, calls, denied) in stored {
                    let (people, behind) = People::from_bytes(rest)?;
                    rest = behind;
                    hours.insert(hour, HourUse { calls, denied, people });
                }
                uses.insert((partner, api), hours);
            }
            rest.is_empty().then_some(DayUses(uses))
        });
        uses.ok_or_else(|| {
            Error::new(format!("{shown}: what it holds does not fit together"))
                .hint("this is a fault of overstay itself, please report it; `overstay nightly --rebuild` reads all logs again")
        })
    }

    /// The same in numbers, with the hours in which sources had calls.
    pub fn numbers(&self, sources: Vec<(String, u32)>) -> DayHours {
        let mut hours = DayHours { sources, ..DayHours::default() };
        let (mut partners, mut apis) = (BTreeMap::new(), BTreeMap::new());
        for (partner, api) in self.0.keys() {
            partners.insert(partner, 0);
            apis.insert(api, 0);
        }
        for (names, list) in [(&mut partners, &mut hours.partners), (&mut apis, &mut hours.apis)] {
            for ((name, number), next) in names.iter_mut().zip(0..) {
                *number = next;
                list.push((*name).clone());
            }
        }
        for ((partner, api), of_pair) in &self.0 {
            let bits = of_pair.keys().fold(0, |bits, hour| bits | 1 << (hour % HOURS));
            hours.pairs.push((partners[partner], apis[api], bits));
            for hour_use in of_pair.values() {
                hours.calls.push(hour_use.calls);
                hours.denied.push(hour_use.denied);
                hours.people.push(hour_use.people.estimate());
            }
        }
        hours
    }
}

const HOURS: u8 = HOURS_PER_DAY as u8;

/// The hours of a day, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayHours {
    /// Of each source a bit for each hour in which it had a call.
    pub sources: Vec<(String, u32)>,
    /// The names of partners, in their order.
    pub partners: Vec<String>,
    /// The names of apis, in their order.
    pub apis: Vec<String>,
    /// By partner, then api, which are given by number: a bit for each hour in which the partner called the api.
    pairs: Vec<(u32, u32, u32)>,
    /// Calls in each of these hours.
    calls: Vec<u32>,
    /// Those of them that were denied.
    denied: Vec<u32>,
    /// How many people they were about, an estimate.
    people: Vec<u32>,
}

/// What one partner called of one api in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneHour {
    /// The hour of the day.
    pub hour: usize,
    /// Calls.
    pub calls: u32,
    /// Denied calls.
    pub denied: u32,
    /// Distinct people (an estimate).
    pub people: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredHours {
    sources: Vec<(String, u32)>,
    partners: Vec<String>,
    apis: Vec<String>,
    pairs: Vec<(u32, u32, u32)>,
    /// Of calls, then of denied calls, then of people: the lowest bytes of all, then the next ones, and so on. Most of the high
    /// ones are nothing, and take no time to be read.
    planes: Bytes,
}

impl DayHours {
    /// By pair: the numbers of partner and api, and the hours in which that called this.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, impl Iterator<Item = OneHour>)> {
        let mut place = 0;
        self.pairs.iter().map(move |&(partner, api, bits)| {
            let first = place;
            place += bits.count_ones() as usize;
            let numbers = (&self.calls[first..place], &self.denied[first..place]);
            let numbers = numbers.0.iter().zip(numbers.1).zip(&self.people[first..place]);
            let hours = (0..usize::from(HOURS)).filter(move |hour| bits >> hour & 1 == 1);
            let of_hours = hours.zip(numbers).map(|(hour, ((&calls, &denied), &people))| OneHour {
                hour,
                calls,
                denied,
                people,
            });
            (partner as usize, api as usize, of_hours)
        })
    }

    /// The file that holds them.
    ///
    /// # Errors
    ///
    /// If it can't be encoded.
    pub fn encode(self) -> Result<Vec<u8>> {
        let mut planes = Vec::with_capacity(3 * size_of::<u32>() * self.calls.len());
        for column in [&self.calls, &self.denied, &self.people] {
            for byte in 0..size_of::<u32>() {
                planes.extend(column.iter().map(|number| number.to_le_bytes()[byte]));
            }
        }
        let DayHours { sources, partners, apis, pairs, .. } = self;
        let planes = Bytes(planes);
        codec::encode(Kind::Hours, &StoredHours { sources, partners, apis, pairs, planes })
    }

    /// Reads what [`DayHours::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is of another kind or version, not all there, or damaged.
    pub fn decode(shown: &str, file: &[u8]) -> Result<DayHours> {
        let stored: StoredHours = codec::decode(shown, Kind::Hours, file)?;
        let StoredHours { sources, partners, apis, pairs, planes: Bytes(planes) } = stored;
        let count: u64 = pairs.iter().map(|(_, _, bits)| u64::from(bits.count_ones())).sum();
        let fits = pairs.iter().all(|&(partner, api, bits)| {
            (partner as usize) < partners.len() && (api as usize) < apis.len() && bits >> HOURS == 0
        });
        if !fits || planes.len() as u64 != 3 * size_of::<u32>() as u64 * count {
            return Err(Error::new(format!("{shown}: what it holds does not fit together")).hint(
                "this is a fault of overstay itself, please report it; `overstay nightly --rebuild` reads all logs again",
            ));
        }
        let count = planes.len() / (3 * size_of::<u32>());
        let column = |number: usize| -> Vec<u32> {
            let plane = |byte: usize| {
                let first = (number * size_of::<u32>() + byte) * count;
                planes[first..first + count].iter()
            };
            let low = plane(0).zip(plane(1)).map(|(a, b)| u32::from(*a) | u32::from(*b) << 8);
            let high =
                plane(2).zip(plane(3)).map(|(c, d)| u32::from(*c) << 16 | u32::from(*d) << 24);
            low.zip(high).map(|(low, high)| low | high).collect()
        };
        let (calls, denied, people) = (column(0), column(1), column(2));
        Ok(DayHours { sources, partners, apis, pairs, calls, denied, people })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hours_read_back_as_they_were(
            pairs in prop::collection::btree_map(
                ("[a-c]{1,2}", "[x-z]"),
                prop::collection::btree_map(0u8..24, (any::<u32>(), any::<u32>()), 1..24),
                0..12,
            ),
            heard in 0u32..1 << 24,
        ) {
            let uses = pairs.iter().map(|(names, hours)| {
                let hours = hours.iter().map(|(hour, &(calls, denied))| {
                    (*hour, HourUse { calls, denied, people: People::default() })
                });
                (names.clone(), hours.collect())
            });
            let sources = vec![("core".to_owned(), heard)];
            let hours = DayUses(uses.collect()).numbers(sources.clone());
            let read = DayHours::decode("hours", &hours.clone().encode().unwrap()).unwrap();
            prop_assert_eq!(&read, &hours);
            prop_assert_eq!(&read.sources, &sources);
            let told: BTreeMap<(String, String), BTreeMap<u8, (u32, u32)>> = read
                .pairs()
                .map(|(partner, api, hours)| {
                    let hours = hours.map(|of| (of.hour as u8, (of.calls, of.denied)));
                    ((read.partners[partner].clone(), read.apis[api].clone()), hours.collect())
                })
                .collect();
            prop_assert_eq!(told, pairs);
        }
    }
}
