//! What partners do that is unlike what they did before: hours that are far from what their past leads one to expect, and what is
//! done for the first time, from somewhere for the first time, or again after a long time.
//!
//! A pure function of counts by hour, of days of use and of networks. It knows neither files nor the register.

use std::collections::{BTreeMap, BTreeSet};

use super::Kind;
use super::collect::{Found, Row, Severities, hex, severity};
use super::hygiene::without_calls;
use super::id::{Identity, id};
use crate::anomaly::{self, Anomaly, DayJudged};
use crate::call::{Call, Outcome};
use crate::judge::{Judge, Judged, Presented};
use crate::limits;
use crate::network::Network;
use crate::register::{PartnerId, Register};
use crate::tally::{By, FirstNetworks, Networks, OTHER, outcome_index};
use crate::time::{Instant, day_name};

/// Something odd.
#[derive(Clone, Debug, PartialEq)]
pub struct OddUse {
    /// What.
    pub kind: Kind,
    /// The partner; none of an api that nobody used, and of a credential, which is somebody's.
    pub partner: Option<String>,
    /// The api; none of a grant, which is for one, and of a credential, which is for any.
    pub api: Option<String>,
    /// The operation, of one that is new.
    pub operation: Option<String>,
    /// The grant, of one that woke.
    pub grant: Option<String>,
    /// What shows it.
    pub shown: Shown,
}

/// What shows that something is odd.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Hours on end.
    Hours(Anomaly),
    /// A day that is the first, after so many days of logs on which that was not done; with the last day on which it was.
    Day {
        /// The day's number since 1970.
        day: i64,
        /// Days of logs read before, since the partner's first call or since the last use.
        days_before: u64,
        /// The last day of use before it, of what woke.
        last: Option<i64>,
    },
    /// The first day on which a credential was presented from a network.
    Network {
        /// The credential's digest.
        credential: [u8; 32],
        /// The network; none: one more than it may be presented from and be tied to networks.
        network: Option<Network>,
        /// The day's number since 1970.
        day: i64,
        /// Days with addresses in logs before, since the first of the credential's.
        days_before: u64,
    },
}

/// What was looked at to find what is odd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Days that were judged.
    pub days: u64,
    /// On these, the uses of an api by a partner that were judged.
    pub judged: u64,
    /// Those that were not, for too little is known of them.
    pub too_little: u64,
    /// The most days that any of the days was compared with.
    pub history_days: u64,
    /// What was looked at to find new networks; none if that was not asked for.
    pub networks: Option<NetworkScope>,
}

/// What was looked at to find new networks, of credentials that the register knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkScope {
    /// Credentials of whose networks enough is known to say what is new.
    pub credentials: u64,
    /// Those of which it is not.
    pub too_little: u64,
    /// Those that were presented from so many networks that none is new.
    pub untied: u64,
    /// Calls whose log has no address of the caller.
    pub without_address: u64,
}

/// All that is odd, and what was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Odd {
    /// In no order; of one kind, partner and api once.
    pub uses: Vec<OddUse>,
    /// What was looked at.
    pub scope: Scope,
}

impl Odd {
    /// Adds what was judged of a day; `names` gives partner and api by their number, none of those that nothing is to be said of.
    pub fn add_day<'n>(
        &mut self,
        judged: DayJudged,
        names: impl Fn(usize) -> Option<(&'n str, &'n str)>,
    ) {
        self.scope.days += 1;
        let count = |pairs: &[usize]| pairs.iter().filter(|pair| names(**pair).is_some()).count();
        self.scope.judged += count(&judged.judged) as u64;
        self.scope.too_little += count(&judged.too_little) as u64;
        self.scope.history_days = self.scope.history_days.max(u64::from(judged.history_days));
        for (pair, anomaly) in judged.anomalies {
            let Some((partner, api)) = names(pair) else { continue };
            self.add(OddUse {
                kind: of_hours(anomaly.kind),
                partner: Some(partner.to_owned()),
                api: Some(api.to_owned()),
                operation: None,
                grant: None,
                shown: Shown::Hours(anomaly),
            });
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Odd) {
        let Scope { days, judged, too_little, history_days, networks } = other.scope;
        self.scope.days += days;
        self.scope.judged += judged;
        self.scope.too_little += too_little;
        self.scope.history_days = self.scope.history_days.max(history_days);
        self.scope.networks = self.scope.networks.or(networks);
        other.uses.into_iter().for_each(|odd| self.add(odd));
    }

    /// Leaves what is of one partner. What an api did for nobody else is none of its. Whose a credential is, its calls say.
    pub fn of_partner(&mut self, partner: &str, register: &Register) {
        self.uses.retain(|odd| {
            let grant = odd.grant.as_deref().and_then(|grant| register.grant_id(grant));
            let holder = grant
                .and_then(|id| register.grants[id.0 as usize].versions.last())
                .map(|version| register.partners[version.row.partner.0 as usize].id.as_str());
            odd.kind == Kind::NewNetwork || odd.partner.as_deref().or(holder) == Some(partner)
        });
    }

    /// Adds one. Of hours that are one problem, of one day, the farthest off is shown; what is done first is told once.
    pub fn add(&mut self, odd: OddUse) {
        let Shown::Hours(new) = odd.shown else {
            self.uses.push(odd);
            return;
        };
        let is_same = |known: &&mut OddUse| {
            known.kind == odd.kind
                && known.shown.day() == odd.shown.day()
                && known.partner == odd.partner
                && known.api == odd.api
        };
        let Some(known) = self.uses.iter_mut().find(is_same) else {
            self.uses.push(odd);
            return;
        };
        if let Shown::Hours(known) = &mut known.shown
            && new.score > known.score
        {
            *known = new;
        }
    }
}

impl OddUse {
    /// A grant or an api that woke.
    pub fn woken(kind: Kind, name: &str, shown: Shown) -> OddUse {
        let is_api = kind == Kind::WokenApi;
        OddUse {
            kind,
            partner: None,
            api: is_api.then(|| name.to_owned()),
            operation: None,
            grant: (!is_api).then(|| name.to_owned()),
            shown,
        }
    }
}

impl OddUse {
    /// The finding; none if the register does not list whom or what it is about. Of what is new or woke, it has the calls of
    /// these rows; of a new network, those from there.
    pub(super) fn found(
        &self,
        judge: &Judge<'_>,
        (rows, networks): (&[Row], &Networks),
        severities: &Severities,
    ) -> Option<Found> {
        let register = judge.register;
        if let Shown::Network { credential, network, .. } = &self.shown {
            return self.found_from(register, networks, (credential, *network), severities);
        }
        let grant = match &self.grant {
            Some(name) => Some(register.grant_id(name)?),
            None => None,
        };
        let granted = grant.and_then(|id| register.grants[id.0 as usize].versions.last());
        let granted = granted.map(|version| (version.row.partner, version.row.api));
        let partner = match &self.partner {
            Some(name) => Some(register.partner_id(name)?),
            None => granted.map(|(partner, _)| partner),
        };
        let api_id = match &self.api {
            Some(name) => Some(register.api_id(name)?),
            None => granted.map(|(_, api)| api),
        };
        let name =
            |id: Option<PartnerId>| id.map(|id| register.partners[id.0 as usize].id.as_str());
        let api = api_id.map(|id| register.apis[id.0 as usize].id.clone());
        let identity = Identity {
            partner: name(partner).unwrap_or(""),
            api: api.as_deref().unwrap_or(""),
            grant: self.grant.as_deref().unwrap_or(""),
            credential: &match self.kind {
                // What is done for the first time is so once, whichever day that turns out to have been.
                Kind::NewApi | Kind::NewOperation => self.operation.clone().unwrap_or_default(),
                _ => format!("{} ", day_name(self.shown.day())),
            },
        };
        let mut found = Found {
            partner,
            api: api.clone(),
            api_id,
            grant,
            operations: self.operation.iter().cloned().collect(),
            odd: Some(self.shown.clone()),
            ..without_calls(id(self.kind, identity), self.kind, severities)
        };
        if let Shown::Hours(_) = self.shown {
            return Some(found);
        }
        let is_of = |row: &&Row| {
            row.key.api == api_id
                && (self.kind == Kind::WokenApi || row.key.partner == partner)
                && self.operation.as_ref().is_none_or(|name| row.operation.as_ref() == Some(name))
                && (grant.is_none() || row.key.grant == grant)
        };
        for row in rows.iter().filter(is_of) {
            found.calls[outcome_index(row.key.outcome)] += row.cell.calls;
            found.first =
                Some(found.first.map_or(row.cell.first, |first| first.min(row.cell.first)));
            found.last = found.last.max(Some(row.cell.latest.at));
            if row.served() {
                found.bytes_served = found.bytes_served.saturating_add(row.cell.bytes);
                found.subjects.merge(&row.cell.subjects);
            }
        }
        found.severity = severity(self.kind, found.served() > 0, severities);
        Some(found)
    }

    /// The same of a credential that was presented from a network; none if no call was, as far as that is known.
    fn found_from(
        &self,
        register: &Register,
        networks: &Networks,
        (digest, network): (&[u8; 32], Option<Network>),
        severities: &Severities,
    ) -> Option<Found> {
        let id_of_credential = register.credential_id(digest)?;
        let known = networks.of(id_of_credential)?;
        let calls = match network {
            Some(network) => known.uses.of(network)?,
            None => known.uses.all()?,
        };
        // What is from everywhere is its last holder's.
        let partner = if network.is_some() { calls.first.1 } else { known.latest.1 };
        let named = network.map_or_else(|| OTHER.to_owned(), |network| network.to_string());
        let part = format!("{} {named}", hex(digest));
        let identity = Identity { credential: &part, ..Identity::default() };
        let shown = register.credentials[id_of_credential.0 as usize].shown.clone();
        let mut found = Found {
            partner: Some(partner),
            credentials: BTreeSet::from([shown]),
            calls: calls.calls,
            bytes_served: calls.bytes_served,
            first: Some(calls.first.0),
            last: Some(calls.last),
            odd: Some(self.shown.clone()),
            ..without_calls(id(self.kind, identity), self.kind, severities)
        };
        found.severity = severity(self.kind, found.served() > 0, severities);
        Some(found)
    }
}

impl Found {
    /// Whether an anomaly has counted a call: of hours, one of those in them; else one of what was done for the first time or
    /// again, whenever that was.
    pub fn is_odd_by(&self, judge: &Judge<'_>, call: &Call<'_>, judged: &Judged<'_>) -> bool {
        let Some(shown) = &self.odd else { return false };
        if let Some((digest, network)) = shown.network() {
            let credentials = &judge.register.credentials;
            return matches!(judged.presented, Presented::Known(id) if credentials[id.0 as usize].digest == *digest)
                && call.outcome != Outcome::Denied
                && call
                    .remote_addr
                    .as_deref()
                    .and_then(Network::of)
                    .is_some_and(|from| network.is_none_or(|network| network == from));
        }
        let (from, until) = shown.span();
        let is_in_time = !matches!(shown, Shown::Hours(_)) || (from..until).contains(&call.at);
        let is_counted = match self.kind {
            Kind::DeniedBurst => call.outcome == Outcome::Denied,
            Kind::SubjectSweep => call.outcome != Outcome::Denied && judged.subject.is_some(),
            _ => true,
        };
        let operation = judge.operation_name(&judged.operation);
        is_in_time
            && is_counted
            && judged.api.known() == self.api_id
            && (self.kind == Kind::WokenApi || judged.partner == self.partner)
            && (self.grant.is_none() || judged.grant == self.grant)
            && (self.kind != Kind::NewOperation
                || operation.is_some_and(|operation| self.operations.contains(operation)))
    }
}

impl Shown {
    /// The day that it is of, by its number since 1970: what is odd on another is another problem.
    pub fn day(&self) -> i64 {
        match self {
            Shown::Hours(anomaly) => anomaly.last_hour.div_euclid(24),
            Shown::Day { day, .. } | Shown::Network { day, .. } => *day,
        }
    }

    /// The digest of the credential, of a new network.
    pub fn credential(&self) -> Option<&[u8; 32]> {
        self.network().map(|(credential, _)| credential)
    }

    /// The credential and the network, of a new network.
    fn network(&self) -> Option<(&[u8; 32], Option<Network>)> {
        match self {
            Shown::Network { credential, network, .. } => Some((credential, *network)),
            Shown::Hours(_) | Shown::Day { .. } => None,
        }
    }

    /// From when to when that was.
    pub fn span(&self) -> (Instant, Instant) {
        let (first, end) = match self {
            Shown::Hours(anomaly) => (anomaly.first_hour, anomaly.last_hour.saturating_add(1)),
            Shown::Day { day, .. } | Shown::Network { day, .. } => {
                (day.saturating_mul(24), day.saturating_add(1).saturating_mul(24))
            }
        };
        (Instant::from_hour(first), Instant::from_hour(end))
    }
}

/// The kind of finding that odd hours are.
fn of_hours(kind: anomaly::Kind) -> Kind {
    match kind {
        anomaly::Kind::Spike => Kind::Spike,
        anomaly::Kind::Drop => Kind::Drop,
        anomaly::Kind::SubjectSweep => Kind::SubjectSweep,
        anomaly::Kind::DeniedBurst => Kind::DeniedBurst,
    }
}

/// The first day of calls by partner, api and operation.
pub type FirstDays = BTreeMap<(String, String, String), i64>;

/// What partners called for the first time, having called other things on at least [`limits::NEW_USE_DAYS_MIN`] days of logs
/// before: of these days alone.
pub fn novelties(
    firsts: &FirstDays,
    of_days: impl Fn(i64) -> bool,
    days_read: &BTreeSet<i64>,
) -> Vec<OddUse> {
    let mut of_partner: BTreeMap<&str, i64> = BTreeMap::new();
    let mut of_pair: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for ((partner, api, _), &day) in firsts {
        let first = of_partner.entry(partner).or_insert(day);
        *first = day.min(*first);
        let first = of_pair.entry((partner, api)).or_insert(day);
        *first = day.min(*first);
    }
    let odd = |kind, partner: &str, api: &str, operation: Option<&str>, day: i64| {
        let first = of_partner.get(partner).copied().filter(|first| *first < day)?;
        let days_before = days_read.range(first..day).count() as u64;
        (of_days(day) && days_before >= limits::NEW_USE_DAYS_MIN).then(|| OddUse {
            kind,
            partner: Some(partner.to_owned()),
            api: Some(api.to_owned()),
            operation: operation.map(str::to_owned),
            grant: None,
            shown: Shown::Day { day, days_before, last: None },
        })
    };
    let apis = of_pair
        .iter()
        .filter_map(|((partner, api), day)| odd(Kind::NewApi, partner, api, None, *day));
    let operations = firsts.iter().filter(|((partner, api, _), day)| {
        of_pair.get(&(partner.as_str(), api.as_str())).is_some_and(|first| first < day)
    });
    let operations = operations.filter_map(|((partner, api, operation), day)| {
        odd(Kind::NewOperation, partner, api, Some(operation), *day)
    });
    apis.chain(operations).collect()
}

/// From where credentials were presented first, by digest.
pub type NetworksOfCredentials = BTreeMap<[u8; 32], FirstNetworks>;

/// The same of all that was counted.
pub fn first_networks(register: &Register, networks: &Networks) -> NetworksOfCredentials {
    let firsts = networks.sorted().into_iter().map(|(credential, known)| {
        (register.credentials[credential.0 as usize].digest, known.firsts.clone())
    });
    firsts.collect()
}

/// From where credentials were presented for the first time, after at least [`limits::NEW_USE_DAYS_MIN`] days with addresses in logs
/// since the first of theirs: of these days alone. Once they are too many, that is told, and nothing after it.
pub fn new_networks(
    firsts: &NetworksOfCredentials,
    of_days: impl Fn(i64) -> bool,
    days_noted: &BTreeSet<i64>,
) -> Vec<OddUse> {
    let mut new = Vec::new();
    for (credential, firsts) in firsts {
        let Some(begun) = firsts.begun_on() else { continue };
        let tied = firsts.tied().map(|(network, day)| (Some(network), day));
        let untied = firsts.untied_on().map(|day| (None, day));
        for (network, day) in tied.chain(untied).filter(|(_, day)| *day > begun && of_days(*day)) {
            let days_before = days_noted.range(begun..day).count() as u64;
            if days_before >= limits::NEW_USE_DAYS_MIN {
                new.push(OddUse {
                    kind: Kind::NewNetwork,
                    partner: None,
                    api: None,
                    operation: None,
                    grant: None,
                    shown: Shown::Network { credential: *credential, network, day, days_before },
                });
            }
        }
    }
    new
}

/// What there was to find new networks in: the credentials of these calls, each as of the last of them; if that is asked for, only
/// those that were one partner's then.
pub fn network_scope(
    register: &Register,
    networks: &Networks,
    firsts: &NetworksOfCredentials,
    days_noted: &BTreeSet<i64>,
    only: Option<PartnerId>,
) -> NetworkScope {
    let mut scope = NetworkScope::default();
    let all = networks.sorted().into_iter();
    for (credential, known) in
        all.filter(|(_, known)| only.is_none_or(|only| known.latest.1 == only))
    {
        scope.without_address += known.without_address;
        let firsts = firsts.get(&register.credentials[credential.0 as usize].digest);
        let last = By::Day.of(known.latest.0);
        if firsts.and_then(FirstNetworks::untied_on).is_some_and(|day| day <= last) {
            scope.untied += 1;
            continue;
        }
        let begun = firsts.and_then(FirstNetworks::begun_on).filter(|begun| *begun < last);
        let days = begun.map_or(0, |begun| days_noted.range(begun..last).count());
        match days as u64 >= limits::NEW_USE_DAYS_MIN {
            true => scope.credentials += 1,
            false => scope.too_little += 1,
        }
    }
    scope
}

/// What was served again after at least [`limits::WOKEN_DAYS_MIN`] days of logs on which it was not, by name: each such day, the
/// last day of use before it and the days between. `last_before` is what was known before these days.
pub fn woken<'n>(
    served: &'n BTreeMap<String, BTreeSet<i64>>,
    last_before: &BTreeMap<String, i64>,
    days_read: &BTreeSet<i64>,
) -> Vec<(&'n str, Shown)> {
    let mut woken = Vec::new();
    for (name, days) in served {
        let mut last = last_before.get(name).copied();
        for &day in days {
            if let Some(last) = last.filter(|last| *last < day) {
                let between = days_read.range(last.saturating_add(1)..day).count() as u64;
                if between >= limits::WOKEN_DAYS_MIN {
                    let shown = Shown::Day { day, days_before: between, last: Some(last) };
                    woken.push((name.as_str(), shown));
                }
            }
            last = last.max(Some(day));
        }
    }
    woken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(of: &[(&str, &str, &str, i64)]) -> FirstDays {
        of.iter()
            .map(|(partner, api, operation, day)| {
                (((*partner).to_owned(), (*api).to_owned(), (*operation).to_owned()), *day)
            })
            .collect()
    }

    fn told(odd: &[OddUse]) -> Vec<(Kind, &str, Option<&str>)> {
        odd.iter()
            .map(|odd| (odd.kind, odd.api.as_deref().unwrap(), odd.operation.as_deref()))
            .collect()
    }

    #[test]
    fn what_a_partner_with_a_history_does_first_is_new() {
        let days: BTreeSet<i64> = (0..40).collect();
        let all = firsts(&[
            ("acme", "messages", "read", 0),
            ("acme", "photos", "read", 14),
            ("acme", "photos", "write", 14),
            ("acme", "messages", "delete", 14),
            // A day too early.
            ("acme", "friends", "read", 13),
            // Without a history.
            ("globex", "messages", "read", 30),
            ("globex", "photos", "read", 43),
        ]);
        assert_eq!(
            told(&novelties(&all, |_| true, &days)),
            [(Kind::NewApi, "photos", None), (Kind::NewOperation, "messages", Some("delete"))]
        );
        // Only what is of these days.
        assert_eq!(told(&novelties(&all, |day| day != 14, &days)), []);
        // Days on which no logs were read are no history.
        let few: BTreeSet<i64> = (0..40).step_by(3).collect();
        assert_eq!(told(&novelties(&all, |_| true, &few)), []);
    }

    #[test]
    fn what_slept_wakes() {
        let served = |days: &[i64]| {
            BTreeMap::from([("g-1".to_owned(), days.iter().copied().collect::<BTreeSet<i64>>())])
        };
        let read: BTreeSet<i64> = (0..200).collect();
        let before = |day: i64| BTreeMap::from([("g-1".to_owned(), day)]);
        let none = BTreeMap::new();
        let shown = |day, days_before, last| Shown::Day { day, days_before, last: Some(last) };
        assert_eq!(woken(&served(&[3, 64]), &none, &read), [("g-1", shown(64, 60, 3))]);
        assert_eq!(woken(&served(&[3, 63]), &none, &read), []);
        assert_eq!(woken(&served(&[64, 65]), &before(3), &read), [("g-1", shown(64, 60, 3))]);
        assert_eq!(woken(&served(&[64]), &none, &read), [], "never used before");
        assert_eq!(woken(&served(&[2]), &before(90), &read), [], "what comes late is no waking");
        let half: BTreeSet<i64> = (0..200).step_by(2).collect();
        assert_eq!(woken(&served(&[3, 64]), &none, &half), [], "nobody knows of the days between");
    }

    #[test]
    fn of_one_day_the_worst_is_shown() {
        let anomaly = |hour, score| Anomaly {
            kind: anomaly::Kind::Spike,
            first_hour: hour,
            last_hour: hour,
            worst_hour: hour,
            observed: 900,
            expected: 100.0,
            score,
            denied_ratio: None,
            basis: anomaly::Basis {
                history_days: 30,
                same_hours: 4,
                median: 100.0,
                day_ratio: 1.0,
            },
        };
        let mut odd = Odd::default();
        for (hour, score) in [(30, 5.0), (34, 9.0), (38, 7.0), (54, 1.0)] {
            let judged = DayJudged {
                anomalies: vec![(0, anomaly(hour, score))],
                judged: vec![0, 1, 2],
                too_little: vec![3],
                history_days: hour as u32,
            };
            odd.add_day(judged, |_| Some(("acme", "messages")));
        }
        let [first, second] = &odd.uses[..] else { panic!("{odd:?}") };
        assert_eq!(first.shown.span(), (Instant::from_hour(34), Instant::from_hour(35)));
        assert_eq!(second.shown.span(), (Instant::from_hour(54), Instant::from_hour(55)));
        let looked_at =
            Scope { days: 4, judged: 12, too_little: 4, history_days: 54, networks: None };
        assert_eq!(odd.scope, looked_at);
    }
}
