//! From which networks each credential was presented: what shows that one is used from somewhere else.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::{By, outcome_index};
use crate::call::Outcome;
use crate::limits::{NETWORKS_MAX, SERVED_DAYS_MAX};
use crate::network::Network;
use crate::register::{CredentialId, PartnerId};
use crate::time::Instant;

/// Something of each network that one credential was presented from. Of more than [`NETWORKS_MAX`] nothing is kept, whatever
/// comes: such a credential is not tied to networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByNetwork<T>(Option<BTreeMap<Network, T>>);

impl<T> Default for ByNetwork<T> {
    fn default() -> ByNetwork<T> {
        ByNetwork(Some(BTreeMap::new()))
    }
}

impl<T> ByNetwork<T> {
    /// Adds what is of a network; `merge` adds it to what is known of that.
    pub fn add(&mut self, network: Network, new: T, merge: impl FnOnce(&mut T, T)) {
        let Some(all) = &mut self.0 else { return };
        match all.entry(network) {
            Entry::Occupied(known) => merge(known.into_mut(), new),
            Entry::Vacant(place) => {
                place.insert(new);
            }
        }
        if all.len() > NETWORKS_MAX {
            self.0 = None;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: ByNetwork<T>, merge: impl Fn(&mut T, T)) {
        match other.0 {
            Some(theirs) => {
                theirs.into_iter().for_each(|(network, new)| self.add(network, new, &merge));
            }
            None => self.0 = None,
        }
    }

    /// All of it; none of a credential that is not tied to networks.
    pub fn kept(&self) -> Option<&BTreeMap<Network, T>> {
        self.0.as_ref()
    }

    /// The same of each network.
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> ByNetwork<U> {
        let all = self.0.as_ref();
        ByNetwork(all.map(|all| all.iter().map(|(network, one)| (*network, of(one))).collect()))
    }
}

/// The calls of one credential from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkUse {
    /// By outcome, in the order of [`Outcome::ALL`].
    pub calls: [u64; 4],
    /// The first of them, in nanoseconds since 1970.
    pub first_ns: i64,
    /// The last of them, likewise.
    pub last_ns: i64,
}

impl NetworkUse {
    fn merge(&mut self, other: NetworkUse) {
        self.calls.iter_mut().zip(other.calls).for_each(|(ours, theirs)| *ours += theirs);
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }

    /// The first of its calls.
    pub fn first(&self) -> Instant {
        Instant::from_ns(self.first_ns)
    }

    /// The last of its calls.
    pub fn last(&self) -> Instant {
        Instant::from_ns(self.last_ns)
    }
}

/// From where one credential was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialNetworks {
    /// The last call that presented it, and whose it was then.
    pub latest: (Instant, PartnerId),
    /// Calls whose log has no address of the caller.
    pub without_address: u64,
    /// The others.
    pub uses: ByNetwork<NetworkUse>,
}

impl CredentialNetworks {
    fn merge(&mut self, other: CredentialNetworks) {
        self.latest = self.latest.max(other.latest);
        self.without_address += other.without_address;
        self.uses.merge(other.uses, NetworkUse::merge);
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
    /// Notes from where a call came, if its log says so.
    pub fn add(
        &mut self,
        credential: CredentialId,
        partner: PartnerId,
        at: Instant,
        outcome: Outcome,
        network: Option<Network>,
    ) {
        let latest = (at, partner);
        let known = self.of.entry(credential).or_insert_with(|| CredentialNetworks {
            latest,
            without_address: 0,
            uses: ByNetwork::default(),
        });
        known.latest = known.latest.max(latest);
        let Some(network) = network else {
            known.without_address += 1;
            return;
        };
        let mut calls = [0; 4];
        calls[outcome_index(outcome)] = 1;
        let of_call = NetworkUse { calls, first_ns: at.ns(), last_ns: at.ns() };
        known.uses.add(network, of_call, NetworkUse::merge);
        self.add_day(By::Day.of(at));
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

    /// Leaves the credentials that were a partner's when they were presented last.
    pub fn keep_only(&mut self, partner: PartnerId) {
        self.of.retain(|_, known| known.latest.1 == partner);
    }

    /// About how many bytes it holds.
    pub(super) fn heap_bytes(&self) -> usize {
        let kept = self.of.values().filter_map(|known| known.uses.kept());
        let uses: usize = kept.map(BTreeMap::len).sum();
        self.of.capacity() * size_of::<(CredentialId, CredentialNetworks)>()
            + uses * size_of::<(Network, NetworkUse)>()
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
    use proptest::prelude::*;

    fn network(number: u8) -> Network {
        Network::V4([203, 0, number])
    }

    fn noted(calls: &[(u32, u8, i64)]) -> Networks {
        let mut networks = Networks::default();
        for &(credential, of, hour) in calls {
            let outcome = Outcome::ALL[usize::from(of % 4)];
            let network = (of > 0).then(|| network(of));
            let partner = PartnerId(hour.rem_euclid(2) as u32);
            let at = Instant::from_hour(hour);
            networks.add(CredentialId(credential), partner, at, outcome, network);
        }
        networks
    }

    #[test]
    fn of_too_many_networks_none_is_kept_for_good() {
        let from = |range: std::ops::Range<u8>| -> Vec<(u32, u8, i64)> {
            range.map(|of| (7, of, i64::from(of))).collect()
        };
        let most = NETWORKS_MAX as u8;
        let mut all = noted(&from(1..most + 1));
        let kept = |networks: &Networks| {
            networks.of(CredentialId(7)).unwrap().uses.kept().map(BTreeMap::len)
        };
        assert_eq!(kept(&all), Some(NETWORKS_MAX));
        all.merge(noted(&from(1..most + 1)));
        assert_eq!(kept(&all), Some(NETWORKS_MAX), "the same once more");
        all.merge(noted(&from(most + 1..most + 2)));
        assert_eq!(kept(&all), None);
        all.merge(noted(&from(1..2)));
        assert_eq!(kept(&all), None);
        assert_eq!(all.of(CredentialId(7)).unwrap().without_address, 0);
    }

    proptest! {
        /// In whatever parts calls come, and in whatever order these meet.
        #[test]
        fn merging_equals_noting(
            calls in prop::collection::vec((0u32..2, 0u8..80, 0i64..90), 0..300),
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
