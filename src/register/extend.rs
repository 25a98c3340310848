//! A register that also names what it has forgotten: partners, apis, grants and credentials that calls counted earlier name.

use std::collections::BTreeSet;

use super::{Api, ApiId, Credential, Grant, Partner, PartnerId, Register, Routes};

/// Names that a register may not have any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentioned {
    /// Of partners.
    pub partners: BTreeSet<String>,
    /// Of apis.
    pub apis: BTreeSet<String>,
    /// Of grants.
    pub grants: BTreeSet<String>,
    /// Of operations that the register had a word for.
    pub operations: BTreeSet<String>,
    /// Digests of credentials, and how each is shown.
    pub credentials: std::collections::BTreeMap<[u8; 32], String>,
}

/// The register with these names: a partner that is not listed, an api and a grant without versions, a credential that was never
/// valid. None where it has them all. What it says of calls that name none of these is the same; it is no register to judge
/// new calls by.
pub fn extended(register: &Register, mentioned: &Mentioned) -> Option<Register> {
    let partners = missing(&register.partners, &mentioned.partners, |partner| &partner.id);
    let apis = missing(&register.apis, &mentioned.apis, |api| &api.id);
    let grants = missing(&register.grants, &mentioned.grants, |grant| &grant.id);
    let credentials = mentioned.credentials.iter();
    let credentials: Vec<Credential> = credentials
        .filter(|(digest, _)| register.credential_id(digest).is_none())
        .map(|(digest, shown)| Credential {
            digest: *digest,
            shown: shown.clone(),
            rows: Vec::new(),
        })
        .collect();
    let known: BTreeSet<String> = register.operation_names().collect();
    let operations: Vec<String> = mentioned.operations.difference(&known).cloned().collect();
    let nothing_new = operations.is_empty();
    if nothing_new
        && partners.is_empty()
        && apis.is_empty()
        && grants.is_empty()
        && credentials.is_empty()
    {
        return None;
    }
    let mut all = register.clone();
    all.operations = operations;
    let new_partners =
        partners.into_iter().map(|id| Partner { id, name: None, contact: None, listed: false });
    let partner_ids = inserted(&mut all.partners, new_partners, |partner| &partner.id);
    let new_apis = apis.into_iter().map(|id| Api { id, versions: Vec::new() });
    let api_ids = inserted(&mut all.apis, new_apis, |api| &api.id);
    let new_grants = grants.into_iter().map(|id| Grant { id, versions: Vec::new() });
    inserted(&mut all.grants, new_grants, |grant| &grant.id);
    inserted(&mut all.credentials, credentials.into_iter(), |credential| &credential.digest);

    let partner = |id: PartnerId| PartnerId(partner_ids[id.0 as usize]);
    let api = |id: ApiId| ApiId(api_ids[id.0 as usize]);
    for row in all.credentials.iter_mut().flat_map(|credential| &mut credential.rows) {
        row.partner = partner(row.partner);
    }
    for version in all.grants.iter_mut().flat_map(|grant| &mut grant.versions) {
        version.row.partner = partner(version.row.partner);
        version.row.api = api(version.row.api);
    }
    for consent in &mut all.consents {
        consent.partner = consent.partner.map(partner);
        consent.api = consent.api.map(api);
    }
    let routes = all.routes.rows().iter().cloned().map(|mut route| {
        route.api_id = route.api_id.map(api);
        route
    });
    all.routes = Routes::new(routes.collect());
    Some(all)
}

/// Those of the names that a sorted list does not have.
fn missing<T>(list: &[T], names: &BTreeSet<String>, name: impl Fn(&T) -> &String) -> Vec<String> {
    let has = |wanted: &String| list.binary_search_by(|item| name(item).cmp(wanted)).is_ok();
    names.iter().filter(|name| !has(name)).cloned().collect()
}

/// Puts what is new into a sorted list, and gives for each of the old places the new one.
fn inserted<T, K: Ord + ?Sized>(
    list: &mut Vec<T>,
    new: impl Iterator<Item = T>,
    key: impl Fn(&T) -> &K,
) -> Vec<u32> {
    let old = std::mem::take(list);
    let mut all: Vec<(Option<u32>, T)> =
        (0..).map(Some).zip(old).chain(new.map(|item| (None, item))).collect();
    all.sort_by(|(_, a), (_, b)| key(a).cmp(key(b)));
    let mut places: Vec<(u32, u32)> =
        all.iter().zip(0..).filter_map(|((old, _), new)| Some(((*old)?, new))).collect();
    places.sort_unstable();
    list.extend(all.into_iter().map(|(_, item)| item));
    places.into_iter().map(|(_, new)| new).collect()
}
