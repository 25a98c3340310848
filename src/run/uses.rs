//! What of the register was used in all the time that is kept: noted with each run, so that no day need be read again to tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Days, Used, first_networks};
use crate::judge::Judge;
use crate::register::{GrantId, Mentioned};
use crate::state::Ledger;
use crate::tally::{Names, OperationName, Tally};
use crate::time::Instant;

/// Notes what the calls of a day used.
// What is noted does not depend on the order.
#[allow(clippy::iter_over_hash_type)]
pub(super) fn note_uses(
    ledger: &mut Ledger,
    judge: &Judge<'_>,
    day: i64,
    tally: &Tally,
    sources: &[String],
) {
    let register = judge.register;
    let uses = &mut ledger.uses;
    let (named, other) = tally.named.entries();
    let named = named.map(|(names, named)| (Some(names), &named.cells));
    let other = other.map(|named| (None, &named.cells));
    let nothing_logged = Names::default();
    let cells = named.chain(other).chain([(Some(&nothing_logged), &tally.cells)]);
    let cells = cells.flat_map(|(names, cells)| cells.0.iter().map(move |cell| (names, cell)));
    for (names, (key, cell)) in cells {
        let partner = key.partner.map(|id| register.partners[id.0 as usize].id.as_str());
        if let Some(grant) = key.grant {
            let grant = register.grants[grant.0 as usize].id.as_str();
            note(&mut uses.grants, grant, day);
        }
        let api = key.api.map(|id| register.apis[id.0 as usize].id.as_str());
        let operation = key.operation_name(Some(judge), names);
        let logged = match operation {
            OperationName::Logged(name) => Some(Some(name)),
            OperationName::CutOff => Some(None),
            OperationName::Word(_) | OperationName::Absent => None,
        };
        if let (Some(partner), Some(api), Some(operation)) = (partner, api, logged) {
            let logged = uses.logged.entry((partner.to_owned(), api.to_owned())).or_default();
            logged.note(operation, day);
        }
        if let (Some(partner), Some(api), OperationName::Word(word)) = (partner, api, operation) {
            let days = uses
                .operations
                .entry((partner.to_owned(), api.to_owned(), word.to_owned()))
                .or_insert((day, day));
            *days = (days.0.min(day), days.1.max(day));
            let key = (partner.to_owned(), api.to_owned(), word.to_owned());
            let first = uses.firsts.entry(key).or_insert(day);
            *first = day.min(*first);
        } else {
            if let Some(api) = api {
                note(&mut uses.apis, api, day);
            }
            if let OperationName::Word(word) = operation {
                note(&mut uses.words, word, day);
            }
        }
        if let Some(partner) = partner {
            note(&mut uses.partners, partner, day);
        }
        for credential in &cell.credentials {
            let credential = &register.credentials[credential.0 as usize];
            let known = uses.credentials.entry(credential.digest).or_insert((day, String::new()));
            known.0 = known.0.max(day);
            known.1.clone_from(&credential.shown);
        }
    }
    for credential in tally.stale.keys() {
        let credential = &register.credentials[credential.0 as usize];
        let known = uses.credentials.entry(credential.digest).or_insert((day, String::new()));
        known.0 = known.0.max(day);
        known.1.clone_from(&credential.shown);
    }
    for (digest, firsts) in first_networks(register, &tally.networks) {
        uses.networks.entry(digest).or_default().merge(&firsts);
    }
    uses.network_days.extend(tally.networks.days());
    for (source, sums) in &tally.sources {
        let Some(hour) = sums.hours.last() else { continue };
        let at_ns = Instant::from_hour(*hour).ns();
        let known = uses.sources.entry(sources[*source as usize].clone()).or_insert(at_ns);
        *known = at_ns.max(*known);
    }
    if tally.sources.values().any(|source| source.calls > 0) {
        uses.days.insert(day);
    }
    if tally.sources.values().any(|source| source.tells_who) {
        uses.telling_days.insert(day);
    }
    let last = tally.inputs.values().filter_map(|sums| sums.span.last).max();
    ledger.last_call_ns = ledger.last_call_ns.max(last.map(Instant::ns));
}

/// On which days of a run calls were served, by the names of grants and of apis.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) grants: BTreeMap<String, BTreeSet<i64>>,
    pub(super) apis: BTreeMap<String, BTreeSet<i64>>,
}

impl Served {
    /// Notes what was served on a day, here and in the ledger.
    pub(super) fn note(&mut self, ledger: &mut Ledger, judge: &Judge<'_>, day: i64, tally: &Tally) {
        let of_day = tally.served_on(day);
        let register = judge.register;
        let grants = of_day.grants.keys().map(|id| register.grants[id.0 as usize].id.as_str());
        for grant in grants {
            self.grants.entry(grant.to_owned()).or_default().insert(day);
            note(&mut ledger.uses.served_grants, grant, day);
        }
        let apis = of_day.apis.keys().map(|id| register.apis[id.0 as usize].id.as_str());
        for api in apis {
            self.apis.entry(api.to_owned()).or_default().insert(day);
            note(&mut ledger.uses.served_apis, api, day);
        }
    }
}

fn note(days: &mut std::collections::BTreeMap<String, i64>, name: &str, day: i64) {
    match days.get_mut(name) {
        Some(known) => *known = (*known).max(day),
        None => {
            days.insert(name.to_owned(), day);
        }
    }
}

/// All names that what is kept may mention.
pub(super) fn mentioned(ledger: &Ledger) -> Mentioned {
    let uses = &ledger.uses;
    let mut mentioned = Mentioned {
        partners: uses.partners.keys().cloned().collect(),
        apis: uses.apis.keys().cloned().collect(),
        grants: uses.grants.keys().cloned().collect(),
        operations: uses.words.keys().cloned().collect(),
        credentials: uses
            .credentials
            .iter()
            .map(|(digest, (_, shown))| (*digest, shown.clone()))
            .collect(),
    };
    for (_, api, operation) in uses.operations.keys() {
        mentioned.apis.insert(api.clone());
        mentioned.operations.insert(operation.clone());
    }
    mentioned
}

/// What was used, in numbers of a judge.
pub(super) fn used(ledger: &Ledger, judge: &Judge<'_>) -> Used {
    let (uses, register) = (&ledger.uses, judge.register);
    let pair =
        |partner: &str, api: &str| Some((register.partner_id(partner)?, register.api_id(api)?));
    let words = uses.operations.keys().map(|(partner, api, word)| (partner, api, word));
    // The register may have a word for it by now.
    let logged = uses.logged.iter().flat_map(|((partner, api), logged)| {
        logged.days.keys().map(move |operation| (partner, api, operation))
    });
    let called = words.chain(logged).filter_map(|(partner, api, operation)| {
        pair(partner, api).map(|(partner, api)| (partner, api, operation.clone()))
    });
    let cut_off = uses.logged.iter().filter(|(_, logged)| logged.more.is_some());
    let grants: BTreeSet<&str> = uses.grants.keys().map(String::as_str).collect();
    let used_grants = (0..).map(GrantId).zip(&register.grants);
    Used {
        window_end: ledger.last_call_ns.map(Instant::from_ns),
        days: Days {
            numbers: uses.days.iter().copied().collect(),
            tell_who: !uses.telling_days.is_empty(),
        },
        grants: used_grants
            .filter(|(_, grant)| grants.contains(grant.id.as_str()))
            .map(|(id, _)| id)
            .collect(),
        called: called.collect(),
        cut_off: cut_off.filter_map(|((partner, api), _)| pair(partner, api)).collect(),
        credentials: uses
            .credentials
            .keys()
            .filter_map(|digest| register.credential_id(digest))
            .collect(),
    }
}
