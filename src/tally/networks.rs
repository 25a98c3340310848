//! From which networks each credential was presented: what shows that one is used from somewhere else.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::{By, outcome_index};
use crate::call::{Call, Outcome};
use crate::limits::{NETWORKS_COUNTED_MAX, NETWORKS_MAX, SERVED_DAYS_MAX};
use crate::network::Network;
use crate::register::{CredentialId, PartnerId};
use crate::time::Instant;

/// The networks that a credential was presented from first, with the day of each, by its number since 1970: of more than
/// [`NETWORKS_MAX`] the earliest, and one more, which tells since when it is not tied to networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstNetworks(BTreeMap<Network, i64>);

impl FirstNetworks {
    /// Notes a day on which it was presented from a network.
    pub fn note(&mut self, network: Network, day: i64) {
        let first = self.0.entry(network).or_insert(day);
        *first = day.min(*first);
        if self.0.len() > NETWORKS_MAX + 1
            && let Some((last, _)) = self.last()
        {
            self.0.remove(&last);
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &FirstNetworks) {
        other.0.iter().for_each(|(network, day)| self.note(*network, *day));
    }

    /// The last of them, and its day.
    fn last(&self) -> Option<(Network, i64)> {
        let last = self.0.iter().max_by_key(|(network, day)| (**day, **network));
        last.map(|(network, day)| (*network, *day))
    }

    /// The first day of all.
    pub fn begun_on(&self) -> Option<i64> {
        self.0.values().min().copied()
    }

    /// The day on which they became too many, if they are.
    pub fn untied_on(&self) -> Option<i64> {
        self.last().filter(|_| self.0.len() > NETWORKS_MAX).map(|(_, day)| day)
    }

    /// Those that it was tied to, with the day of each, but for that with which they became too many.
    pub fn tied(&self) -> impl Iterator<Item = (Network, i64)> {
        let too_many = self.last().filter(|_| self.0.len() > NETWORKS_MAX);
        let all = self.0.iter().map(|(network, day)| (*network, *day));
        all.filter(move |one| Some(*one) != too_many)
    }
}

/// The calls of one credential from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkUse {
    /// By outcome, in the order of [`Outcome::ALL`].
    pub calls: [u64; 4],
    /// Bytes of calls served or unknown.
    pub bytes_served: u64,
    /// The first of them, and whose the credential was then.
    pub first: (Instant, PartnerId),
    /// The last of them.
    pub last: Instant,
}

impl NetworkUse {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: NetworkUse) {
        self.calls.iter_mut().zip(other.calls).for_each(|(ours, theirs)| *ours += theirs);
        self.bytes_served = self.bytes_served.saturating_add(other.bytes_served);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// The calls of one credential by network; of more than [`NETWORKS_COUNTED_MAX`] all together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkUses {
    /// By network.
    Each(BTreeMap<Network, NetworkUse>),
    /// Those of all networks.
    All(NetworkUse),
}

impl Default for NetworkUses {
    fn default() -> NetworkUses {
        NetworkUses::Each(BTreeMap::new())
    }
}

impl NetworkUses {
    /// Adds calls from a network.
    pub fn add(&mut self, network: Network, new: NetworkUse) {
        match self {
            NetworkUses::All(all) => all.merge(new),
            NetworkUses::Each(each) => {
                match each.entry(network) {
                    Entry::Occupied(known) => known.into_mut().merge(new),
                    Entry::Vacant(place) => {
                        place.insert(new);
                    }
                }
                if each.len() > NETWORKS_COUNTED_MAX
                    && let Some(all) = self.all()
                {
                    *self = NetworkUses::All(all);
                }
            }
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: NetworkUses) {
        match other {
            NetworkUses::Each(each) => {
                each.into_iter().for_each(|(network, new)| self.add(network, new));
            }
            NetworkUses::All(mut all) => {
                self.all().into_iter().for_each(|ours| all.merge(ours));
                *self = NetworkUses::All(all);
            }
        }
    }

    /// Those from a network; none where these are not known apart, or there are none.
    pub fn of(&self, network: Network) -> Option<NetworkUse> {
        match self {
            NetworkUses::Each(each) => each.get(&network).copied(),
            NetworkUses::All(_) => None,
        }
    }

    /// Those of each network; under none, those that are not known apart.
    pub fn each(&self) -> Vec<(Option<Network>, NetworkUse)> {
        match self {
            NetworkUses::Each(each) => {
                each.iter().map(|(network, one)| (Some(*network), *one)).collect()
            }
            NetworkUses::All(all) => vec![(None, *all)],
        }
    }

    /// What [`NetworkUses::each`] gave.
    pub fn of_each(each: impl IntoIterator<Item = (Option<Network>, NetworkUse)>) -> NetworkUses {
        let mut uses = NetworkUses::default();
        for (network, one) in each {
            match network {
                Some(network) => uses.add(network, one),
                None => uses.merge(NetworkUses::All(one)),
            }
        }
        uses
    }

    /// Those of all networks.
    pub fn all(&self) -> Option<NetworkUse> {
        match self {
            NetworkUses::All(all) => Some(*all),
            NetworkUses::Each(each) => each.values().copied().reduce(|mut all, one| {
                all.merge(one);
                all
            }),
        }
    }
}

/// From where one credential was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialNetworks {
    /// The last call that presented it, and whose it was then.
    pub latest: (Instant, PartnerId),
    /// Calls whose log has no address of the caller.
    pub without_address: u64,
    /// The networks of the others: which were first …
    pub firsts: FirstNetworks,
    /// … and how often each was used.
    pub uses: NetworkUses,
}

impl CredentialNetworks {
    fn merge(&mut self, other: CredentialNetworks) {
        self.latest = self.latest.max(other.latest);
        self.without_address += other.without_address;
        self.firsts.merge(&other.firsts);
        self.uses.merge(other.uses);
    }
}

/// Networks by credential, of credentials that the register knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    of: HashMap<CredentialId, CredentialNetworks>,
    /// Days with calls from an address, by their numbers since 1970: the latest, as many as [`SERVED_DAYS_MAX`].
    days: BTreeSet<i64>,
}

impl Networks {
    /// Notes from where a call came, if its log says so. What was denied tells nothing of where a credential is used from: anybody
    /// may try.
    pub fn add(&mut self, credential: CredentialId, partner: PartnerId, call: &Call<'_>) {
        if call.outcome == Outcome::Denied {
            return;
        }
        let latest = (call.at, partner);
        let known = self.of.entry(credential).or_insert_with(|| CredentialNetworks {
            latest,
            without_address: 0,
            firsts: FirstNetworks::default(),
            uses: NetworkUses::default(),
        });
        known.latest = known.latest.max(latest);
        let Some(network) = call.remote_addr.as_deref().and_then(Network::of) else {
            known.without_address += 1;
            return;
        };
        let day = By::Day.of(call.at);
        known.firsts.note(network, day);
        let mut calls = [0; 4];
        calls[outcome_index(call.outcome)] = 1;
        let is_served = call.outcome.counts_as_served();
        let bytes_served = call.bytes.filter(|_| is_served).unwrap_or(0);
        let (first, last) = ((call.at, partner), call.at);
        known.uses.add(network, NetworkUse { calls, bytes_served, first, last });
        self.add_day(day);
    }

    /// Notes that on a day there were calls from an address.
    pub fn add_day(&mut self, day: i64) {
        if self.days.insert(day) && self.days.len() > SERVED_DAYS_MAX {
            self.days.pop_first();
        }
    }

    /// Adds what is known of a credential.
    pub fn add_credential(&mut self, credential: CredentialId, new: CredentialNetworks) {
        match self.of.entry(credential) {
            hashbrown::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(new),
            hashbrown::hash_map::Entry::Vacant(place) => {
                place.insert(new);
            }
        }
    }

    /// Adds all of `other`.
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub fn merge(&mut self, other: Networks) {
        for (credential, new) in other.of {
            self.add_credential(credential, new);
        }
        other.days.into_iter().for_each(|day| self.add_day(day));
    }

    /// About how many bytes it holds.
    pub(super) fn heap_bytes(&self) -> usize {
        let networks = self.of.values().map(|known| {
            let counted = match &known.uses {
                NetworkUses::Each(each) => each.len(),
                NetworkUses::All(_) => 0,
            };
            counted * size_of::<(Network, NetworkUse)>()
                + known.firsts.0.len() * size_of::<(Network, i64)>()
        });
        self.of.capacity() * size_of::<(CredentialId, CredentialNetworks)>()
            + networks.sum::<usize>()
            + self.days.len() * size_of::<i64>()
    }

    /// From where a credential was presented.
    pub fn of(&self, credential: CredentialId) -> Option<&CredentialNetworks> {
        self.of.get(&credential)
    }

    /// All credentials, in their order.
    pub fn sorted(&self) -> Vec<(CredentialId, &CredentialNetworks)> {
        let mut all: Vec<(CredentialId, &CredentialNetworks)> =
            self.of.iter().map(|(credential, known)| (*credential, known)).collect();
        all.sort_unstable_by_key(|(credential, _)| *credential);
        all
    }

    /// The days with calls from an address.
    pub fn days(&self) -> &BTreeSet<i64> {
        &self.days
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Brief, Sourced};
    use proptest::prelude::*;

    fn brief(hour: i64) -> Brief<'static> {
        Brief {
            at: Instant::from_hour(hour),
            credential: None,
            method: None,
            path: "/",
            host: None,
            outcome: Outcome::Served,
            status: None,
            bytes: None,
            latency_us: None,
            subject: Sourced::default(),
        }
    }

    /// Credential, network (0 for none) and hour of calls.
    fn noted(calls: &[(u32, u16, i64)]) -> Networks {
        let mut networks = Networks::default();
        for &(credential, of, hour) in calls {
            let address = format!("203.{}.{}.9", of / 256, of % 256);
            let call = Call {
                outcome: Outcome::ALL[usize::from(of % 4)],
                remote_addr: (of > 0).then_some(address.into()),
                bytes: Some(7),
                ..Call::from(brief(hour))
            };
            let partner = PartnerId(hour.rem_euclid(2) as u32);
            networks.add(CredentialId(credential), partner, &call);
        }
        networks
    }

    fn networks(range: std::ops::Range<u16>, hour: i64) -> Vec<(u32, u16, i64)> {
        // Those that are denied do not count.
        range.map(|of| (7, of * 4 + 4, hour)).collect()
    }

    #[test]
    fn of_too_many_networks_the_earliest_are_known() {
        let most = NETWORKS_MAX as u16;
        let mut all = noted(&networks(0..most, 24));
        let of = |networks: &Networks| networks.of(CredentialId(7)).unwrap().firsts.clone();
        let tied = |networks: &Networks| of(networks).tied().count();
        assert_eq!((tied(&all), of(&all).untied_on()), (NETWORKS_MAX, None));
        all.merge(noted(&networks(0..most, 48)));
        assert_eq!((tied(&all), of(&all).untied_on()), (NETWORKS_MAX, None), "the same once more");
        all.merge(noted(&networks(most..most + 3, 72)));
        assert_eq!((tied(&all), of(&all).untied_on()), (NETWORKS_MAX, Some(3)));
        // What comes late may show that it was earlier.
        all.merge(noted(&networks(most + 9..most + 10, 30)));
        assert_eq!((tied(&all), of(&all).untied_on()), (NETWORKS_MAX, Some(1)));
        assert_eq!(of(&all).begun_on(), Some(1));
    }

    #[test]
    fn calls_from_too_many_networks_are_counted_together() {
        let most = NETWORKS_COUNTED_MAX as u16;
        let mut all = noted(&networks(0..most, 24));
        let uses = |networks: &Networks| networks.of(CredentialId(7)).unwrap().uses.clone();
        let calls = |used: NetworkUse| used.calls.iter().sum::<u64>();
        let one = Network::of("203.0.4.9").unwrap();
        assert_eq!(uses(&all).of(one).map(calls), Some(1));
        assert_eq!(uses(&all).all().map(calls), Some(u64::from(most)));
        all.merge(noted(&networks(most..most + 1, 25)));
        assert_eq!(uses(&all).of(one), None);
        assert_eq!(uses(&all).all().map(calls), Some(u64::from(most) + 1));
    }

    proptest! {
        /// In whatever parts calls come, and in whatever order these meet.
        #[test]
        fn merging_equals_noting(
            calls in prop::collection::vec((0u32..2, 0u16..120, 0i64..90), 0..300),
            cut in 0usize..300,
        ) {
            let (first, second) = calls.split_at(cut.min(calls.len()));
            let (mut ab, mut ba) = (noted(first), noted(second));
            ab.merge(noted(second));
            ba.merge(noted(first));
            prop_assert_eq!(&ab, &noted(&calls));
            prop_assert_eq!(&ba, &ab);
        }
    }
}
