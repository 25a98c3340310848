//! What partners called of apis in the hours of a day, as it is kept beside the day's tally: to be added to when more of the
//! day comes, and, as numbers alone, to be compared with by the days after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{self, Kind};
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
    sealed: Vec<u8>,
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
        let sealed = key.seal(PEOPLE, &codec::pack(&people)?)?;
        codec::encode(Kind::Uses, &StoredUses { pairs, sealed })
    }

    /// Reads what [`DayUses::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is of another kind or version, not all there, or damaged, and if the key is another.
    pub fn decode(shown: &str, file: &[u8], key: &PrivacyKey) -> Result<DayUses> {
        let StoredUses { pairs, sealed } = codec::decode(shown, Kind::Uses, file)?;
        let opened = key.open(PEOPLE, &sealed).ok_or_else(|| {
            Error::new(format!("{shown}: the privacy key does not open it"))
                .hint("restore the key that the state was written with: key_file under [privacy]")
        })?;
        let uses = codec::unpack::<Vec<u8>>(&opened).and_then(|people| {
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

    /// The same in numbers.
    pub fn numbers(&self) -> Vec<PairHours> {
        let of_pair = |((partner, api), hours): (&(String, String), &BTreeMap<u8, HourUse>)| {
            let hours = hours.iter().map(|(hour, hour_use)| {
                (*hour, hour_use.calls, hour_use.denied, hour_use.people.estimate())
            });
            PairHours { partner: partner.clone(), api: api.clone(), hours: hours.collect() }
        };
        self.0.iter().map(of_pair).collect()
    }
}

/// What one partner called of one api on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairHours {
    /// The partner.
    pub partner: String,
    /// The api.
    pub api: String,
    /// By hour of the day: its number, calls, denied calls, distinct people (an estimate).
    pub hours: Vec<(u8, u32, u32, u32)>,
}

/// The hours of a day, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayHours {
    /// Of each source a bit for each hour in which it had a call.
    pub sources: Vec<(String, u32)>,
    /// By partner, then api.
    pub pairs: Vec<PairHours>,
}

impl DayHours {
    /// The file that holds them.
    ///
    /// # Errors
    ///
    /// If it can't be encoded.
    pub fn encode(&self) -> Result<Vec<u8>> {
        codec::encode(Kind::Hours, self)
    }

    /// Reads what [`DayHours::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is of another kind or version, not all there, or damaged.
    pub fn decode(shown: &str, file: &[u8]) -> Result<DayHours> {
        codec::decode(shown, Kind::Hours, file)
    }
}
