//! What is unlike what was before, as far as the cases have it: what is done for the first time, or again after a long time. Their
//! hours have too few calls for any to be odd; how many were judged, and how many have no history, is counted all the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use overstay::findings::Severity;
use overstay::report::Subjects;
use overstay::time::{Instant, day_name};

use super::count::{Counted, FindingKey, id, novel};
use super::generate::ADDRESSES;
use super::judge::{api_row, credential_hex, credential_rows, shown};
use super::rows::Rows;
use super::told::Finding;
use super::{Case, Outcome};

const DAY_NS: i64 = 86_400_000_000_000;
/// "with at least 14 days of its history"; "fewer than 14 days of history give no verdict".
const HISTORY_DAYS_MIN: usize = 14;
/// The days that a day is compared with at most.
const HISTORY_DAYS: i64 = 56;
/// "after no served call for at least 60 days".
const WOKEN_DAYS_MIN: usize = 60;

/// `anomalies` of the report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Anomalies {
    pub days: u64,
    pub judged: u64,
    pub without_history: u64,
    pub history_days: u64,
    pub history_days_min: u64,
    pub networks: Option<Networks>,
}

/// `anomalies.networks`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Networks {
    pub credentials: u64,
    pub without_history: u64,
    pub untied: u64,
    pub without_address: u64,
}

/// `anomaly` of a finding of what is new or woke: all else of it is null.
#[derive(Clone, Debug, Serialize)]
pub struct Anomaly {
    observed: u64,
    expected: f64,
    score: Option<f64>,
    from: Instant,
    until: Instant,
    worst: Option<Instant>,
    denied_ratio: Option<f64>,
    denied_ratio_usual: Option<f64>,
    history_days: u64,
    same_hours: Option<u64>,
    median: Option<f64>,
    day_ratio: Option<f64>,
    last_before: Option<String>,
    network: Option<String>,
}

fn day(call: &Counted) -> i64 {
    call.call.at.ns().div_euclid(DAY_NS)
}

/// What was looked at: each day with a call, and on it each pair of partner and api that had called by then.
pub fn anomalies(case: &Case, known: &Rows, all: &[Counted], calls: &[Counted]) -> Anomalies {
    let mut anomalies =
        Anomalies { history_days_min: HISTORY_DAYS_MIN as u64, ..Anomalies::default() };
    if case.register.is_none() {
        return anomalies;
    }
    anomalies.networks = case.new_network.then(|| networks(case, known, all));
    let days: BTreeSet<i64> = all.iter().map(day).collect();
    let mut pairs: BTreeMap<(String, String), BTreeSet<i64>> = BTreeMap::new();
    for c in calls {
        if let Some((partner, api)) = pair(known, c) {
            pairs.entry((partner, api)).or_default().insert(day(c));
        }
    }
    for &today in &days {
        anomalies.days += 1;
        let before: Vec<i64> = days.range(today - HISTORY_DAYS..today).copied().collect();
        anomalies.history_days = anomalies.history_days.max(before.len() as u64);
        for with_calls in pairs.values() {
            let Some(&first) = with_calls.range(today - HISTORY_DAYS..=today).next() else {
                continue;
            };
            match before.iter().filter(|&&day| day >= first).count() >= HISTORY_DAYS_MIN {
                true => anomalies.judged += 1,
                false => anomalies.without_history += 1,
            }
        }
    }
    anomalies
}

/// The partner and the api of a call, where the register lists both.
fn pair(known: &Rows, c: &Counted) -> Option<(String, String)> {
    let judged = c.judged.as_ref()?;
    let (partner, api) = (judged.partner.clone()?, judged.api.clone()?);
    api_row(known, &api).map(|_| (partner, api))
}

/// Whether the register has a word for an operation, or methods have.
fn is_word(known: &Rows, operation: &str) -> bool {
    let of_grants = known.grants.iter().flat_map(|grant| &grant.operations);
    let of_routes = known.routes.iter().filter_map(|route| route.operation.as_ref());
    ["read", "write", "delete", "unknown"].contains(&operation)
        || of_grants.chain(of_routes).any(|word| word == operation && word != "*")
}

/// The findings of what is new or woke.
pub fn novelties(case: &Case, known: &Rows, all: &[Counted], calls: &[Counted]) -> Vec<Finding> {
    let days: BTreeSet<i64> = all.iter().map(day).collect();
    let between = |from: i64, until: i64| days.range(from..until.max(from)).count();
    let of_pairs: Vec<(&Counted, String, String)> = calls
        .iter()
        .filter_map(|c| pair(known, c).map(|(partner, api)| (c, partner, api)))
        .filter(|(c, _, _)| {
            let operation = c.judged.as_ref().and_then(|judged| judged.operation.as_deref());
            operation.is_some_and(|operation| is_word(known, operation))
        })
        .collect();
    let first_day = |keep: &dyn Fn(&(&Counted, String, String)) -> bool| {
        of_pairs.iter().filter(|c| keep(c)).map(|(c, _, _)| day(c)).min()
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (c, partner, api) in &of_pairs {
        let operation = c.judged.as_ref().unwrap().operation.clone().unwrap();
        let of_partner = first_day(&|(_, p, _)| p == partner).unwrap();
        let of_pair = first_day(&|(_, p, a)| (p, a) == (partner, api)).unwrap();
        let of_operation = first_day(&|(c, p, a)| {
            (p, a) == (partner, api)
                && c.judged.as_ref().unwrap().operation.as_ref() == Some(&operation)
        })
        .unwrap();
        let news = [("new-api", of_pair, None), ("new-operation", of_operation, Some(&operation))];
        for (kind, first, operation) in news {
            let is_old = operation.is_some() && of_operation <= of_pair;
            let history = between(of_partner, first);
            if is_old || history < HISTORY_DAYS_MIN {
                continue;
            }
            let part = operation.cloned().unwrap_or_default();
            let key: FindingKey =
                (kind, Some(partner.clone()), Some(api.clone()), None, Some(part));
            if seen.insert(key.clone()) {
                let of: Vec<&Counted> = calls
                    .iter()
                    .filter(|c| {
                        let judged = c.judged.as_ref().unwrap();
                        judged.partner.as_ref() == Some(partner)
                            && judged.api.as_ref() == Some(api)
                            && operation.is_none_or(|name| judged.operation.as_ref() == Some(name))
                    })
                    .collect();
                let operations = operation.into_iter().cloned().collect();
                let anomaly = anomaly(of.len(), first, history, None);
                let finding = novel(known, id(&key), Severity::Low, &of);
                findings.push(Finding {
                    kind,
                    partner: Some(partner.clone()),
                    api: Some(api.clone()),
                    operations,
                    anomaly: Some(anomaly),
                    data_class: api_row(known, api).and_then(|row| row.data_class.clone()),
                    ..finding
                });
            }
        }
    }
    findings.extend(woken(case, known, &days, calls));
    if case.new_network {
        findings.extend(new_networks(case, known, all));
    }
    findings
}

/// The network that a call names.
fn network(c: &Counted) -> Option<&'static str> {
    let named = c.call.remote_addr.as_deref()?;
    ADDRESSES.iter().find(|(address, _)| *address == named)?.1
}

/// Calls by the digest of the credential, of those that the register knows.
fn by_credential<'c>(known: &Rows, calls: &'c [Counted]) -> BTreeMap<String, Vec<&'c Counted>> {
    let mut all: BTreeMap<String, Vec<&Counted>> = BTreeMap::new();
    for c in calls {
        let Some(credential) = c.call.credential.as_deref() else { continue };
        // Anybody may try a key that does not work.
        if c.call.outcome == Outcome::Denied {
            continue;
        }
        if !credential_rows(known, credential).is_empty() {
            all.entry(credential_hex(credential)).or_default().push(c);
        }
    }
    all
}

/// The days on which a credential that the register knows came from an address.
fn days_noted(known: &Rows, calls: &[Counted]) -> BTreeSet<i64> {
    let noted = by_credential(known, calls).into_values().flatten();
    noted.filter(|c| network(c).is_some()).map(day).collect()
}

/// Whether a credential is told of: by whose it was last.
fn is_told(case: &Case, calls: &[&Counted]) -> bool {
    let last = calls.iter().max_by_key(|c| c.call.at).unwrap();
    let partner = last.judged.as_ref().unwrap().partner.as_ref();
    case.partner.is_none() || case.partner.as_ref() == partner
}

fn networks(case: &Case, known: &Rows, calls: &[Counted]) -> Networks {
    let days = days_noted(known, calls);
    let mut networks = Networks::default();
    let told = by_credential(known, calls).into_values().filter(|calls| is_told(case, calls));
    for calls in told {
        networks.without_address += calls.iter().filter(|c| network(c).is_none()).count() as u64;
        let first = calls.iter().filter(|c| network(c).is_some()).map(|c| day(c)).min();
        let last = calls.iter().map(|c| day(c)).max().unwrap();
        let history = first.map_or(0, |first| days.range(first..last.max(first)).count());
        match history >= HISTORY_DAYS_MIN {
            true => networks.credentials += 1,
            false => networks.without_history += 1,
        }
    }
    networks
}

fn new_networks(case: &Case, known: &Rows, calls: &[Counted]) -> Vec<Finding> {
    let days = days_noted(known, calls);
    let mut findings = Vec::new();
    for (digest, calls) in by_credential(known, calls) {
        let mut firsts: BTreeMap<&str, i64> = BTreeMap::new();
        for c in &calls {
            let Some(network) = network(c) else { continue };
            let first = firsts.entry(network).or_insert(day(c));
            *first = day(c).min(*first);
        }
        let Some(began) = firsts.values().min().copied() else { continue };
        let last = calls.iter().max_by_key(|c| c.call.at).unwrap();
        for (name, first) in firsts {
            let history = days.range(began..first).count();
            if history < HISTORY_DAYS_MIN {
                continue;
            }
            let of: Vec<&Counted> =
                calls.iter().copied().filter(|c| network(c) == Some(name)).collect();
            let earliest = of.iter().min_by_key(|c| c.call.at).unwrap();
            let partner = &earliest.judged.as_ref().unwrap().partner;
            if case.partner.is_some() && case.partner != *partner {
                continue;
            }
            let part = format!("{digest} {name}");
            let key: FindingKey = ("new-network", None, None, None, Some(part));
            let anomaly = anomaly(of.len(), first, history, None);
            findings.push(Finding {
                kind: "new-network",
                partner: partner.clone(),
                credentials: vec![shown(known, last.call.credential.as_deref().unwrap())],
                anomaly: Some(Anomaly { network: Some(name.to_owned()), ..anomaly }),
                // People are not counted by network.
                subjects: Subjects {
                    count: 0,
                    exact: false,
                    low: 0,
                    high: of.iter().filter(|c| c.call.outcome.as_served()).count() as u64,
                },
                ..novel(known, id(&key), Severity::Low, &of)
            });
        }
    }
    findings
}

fn anomaly(calls: usize, day: i64, history: usize, last: Option<i64>) -> Anomaly {
    Anomaly {
        observed: calls as u64,
        expected: 0.0,
        score: None,
        from: Instant::from_ns(day * DAY_NS),
        until: Instant::from_ns((day + 1) * DAY_NS),
        worst: None,
        denied_ratio: None,
        denied_ratio_usual: None,
        history_days: history as u64,
        same_hours: None,
        median: None,
        day_ratio: None,
        last_before: last.map(day_name),
        network: None,
    }
}

fn woken(case: &Case, known: &Rows, days: &BTreeSet<i64>, calls: &[Counted]) -> Vec<Finding> {
    let mut served: BTreeMap<(bool, String), BTreeSet<i64>> = BTreeMap::new();
    for c in calls.iter().filter(|c| c.call.outcome.as_served()) {
        let judged = c.judged.as_ref().unwrap();
        if let Some(grant) = &judged.grant {
            served.entry((true, grant.clone())).or_default().insert(day(c));
        }
        if let Some(api) = judged.api.as_ref().filter(|api| api_row(known, api).is_some()) {
            served.entry((false, api.clone())).or_default().insert(day(c));
        }
    }
    let mut findings = Vec::new();
    for ((is_grant, name), on) in served {
        // Of one partner alone nobody can say that an api slept.
        if !is_grant && case.partner.is_some() {
            continue;
        }
        for (last, woke) in on.iter().zip(on.iter().skip(1)) {
            let history = days.range(last + 1..*woke).count();
            if history < WOKEN_DAYS_MIN {
                continue;
            }
            let row = known.grants.iter().find(|row| is_grant && row.grant == name);
            let partner = row.map(|row| row.partner.clone());
            let api = row.map_or(name.clone(), |row| row.api.clone());
            let of: Vec<&Counted> = calls
                .iter()
                .filter(|c| {
                    let judged = c.judged.as_ref().unwrap();
                    judged.api.as_ref() == Some(&api)
                        && (!is_grant || judged.partner == partner)
                        && (!is_grant || judged.grant.as_ref() == Some(&name))
                })
                .collect();
            let kind = if is_grant { "woken-grant" } else { "woken-api" };
            let grant = is_grant.then(|| name.clone());
            let part = Some(format!("{} ", day_name(*woke)));
            let key: FindingKey = (kind, partner.clone(), Some(api.clone()), grant.clone(), part);
            findings.push(Finding {
                kind,
                partner,
                api: Some(api.clone()),
                grant,
                anomaly: Some(anomaly(of.len(), *woke, history, Some(*last))),
                data_class: api_row(known, &api).and_then(|row| row.data_class.clone()),
                ..novel(known, id(&key), Severity::Medium, &of)
            });
        }
    }
    findings
}
