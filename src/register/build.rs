//! From tables to the [`Register`] as known at some instant: versions chosen, names resolved.
//!
//! Expects tables that `check` found without errors; of others it makes something, silently.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{CredentialCells, GrantCells, Row, Tables};
use super::versions::{counting, known};
use super::{
    Api, ApiId, Consent, Counts, Credential, CredentialRow, Grant, GrantRow, Operations, Partner,
    PartnerId, Purpose, PurposeId, Register, Route, Routes, Version, digest,
};
use crate::time::Instant;

/// The register as known at `as_known_at`, or now. `propagation_s` is the default of apis that do not say.
pub fn build(tables: &Tables, as_known_at: Option<Instant>, propagation_s: u64) -> Register {
    let partners = known(&tables.partners, as_known_at, |cells| cells.partner.as_str());
    let credentials =
        known(&tables.credentials, as_known_at, |cells| (cells.digest, cells.valid_from));
    let apis = known(&tables.apis, as_known_at, |cells| cells.api.as_str());
    let routes = known(&tables.routes, as_known_at, |cells| {
        (cells.host.as_deref(), cells.method.as_deref(), &cells.template)
    });
    let grants = known(&tables.grants, as_known_at, |cells| cells.grant.as_str());
    let purposes = known(&tables.purposes, as_known_at, |cells| cells.purpose.as_str());
    let consents = known(&tables.consents, as_known_at, |cells| {
        (&*cells.subject, cells.partner.as_deref(), cells.api.as_deref(), cells.at)
    });

    let mut names: BTreeSet<&str> = partners.keys().copied().collect();
    names.extend(counting(&credentials).map(|row| row.cells.partner.as_str()));
    names.extend(grants.values().flatten().map(|row| row.cells.partner.as_str()));
    let ids = Ids {
        partners: numbered(&names, PartnerId),
        apis: numbered(apis.keys(), ApiId),
        purposes: numbered(purposes.keys(), PurposeId),
    };

    let partner_of = |&id: &&str| {
        let cells = partners.get(id).and_then(|versions| versions.last()).map(|row| &row.cells);
        Partner {
            id: id.to_owned(),
            name: cells.and_then(|cells| cells.name.clone()),
            contact: cells.and_then(|cells| cells.contact.clone()),
            listed: cells.is_some(),
        }
    };
    let routes = counting(&routes).map(|row| Route {
        host: row.cells.host.clone(),
        method: row.cells.method.clone(),
        template: row.cells.template.clone(),
        api: row.cells.api.clone(),
        api_id: ids.apis.get(row.cells.api.as_str()).copied(),
        operation: row.cells.operation.clone(),
    });
    let consents = counting(&consents).filter_map(|row| {
        Some(Consent {
            subject: row.cells.subject.clone(),
            partner: resolve(row.cells.partner.as_deref(), &ids.partners)?,
            api: resolve(row.cells.api.as_deref(), &ids.apis)?,
            at: row.cells.at,
            given: row.cells.given,
        })
    });
    Register {
        partners: names.iter().map(partner_of).collect(),
        credentials: credentials_of(&credentials, &ids),
        apis: apis
            .iter()
            .map(|(id, rows)| Api {
                id: (*id).to_owned(),
                versions: versions(rows, |cells| cells.row.clone()),
            })
            .collect(),
        routes: Routes::new(routes.collect()),
        grants: grants.iter().filter_map(|(id, rows)| grant(id, rows, &ids)).collect(),
        purposes: purposes
            .iter()
            .map(|(id, rows)| Purpose {
                id: (*id).to_owned(),
                versions: versions(rows, |cells| cells.row.clone()),
            })
            .collect(),
        consents: consents.collect(),
        propagation_s,
        as_known_at,
        digest: digest::of(tables, as_known_at),
        counts: Counts {
            partners: partners.len() as u64,
            credentials: credentials.len() as u64,
            apis: apis.len() as u64,
            grants: grants.len() as u64,
        },
    }
}

/// Ids by name.
struct Ids<'t> {
    partners: BTreeMap<&'t str, PartnerId>,
    apis: BTreeMap<&'t str, ApiId>,
    purposes: BTreeMap<&'t str, PurposeId>,
}

fn numbered<'a, 't: 'a, Id>(
    names: impl IntoIterator<Item = &'a &'t str>,
    id: fn(u32) -> Id,
) -> BTreeMap<&'t str, Id> {
    names.into_iter().zip(0..).map(|(name, i)| (*name, id(i))).collect()
}

/// The id of a name, `None` inside for `*`; `None` for a name not known by then.
fn resolve<Id: Copy>(name: Option<&str>, ids: &BTreeMap<&str, Id>) -> Option<Option<Id>> {
    name.map_or(Some(None), |name| ids.get(name).copied().map(Some))
}

fn versions<C, T>(rows: &[&Row<C>], content: impl Fn(&C) -> T) -> Vec<Version<T>> {
    let version =
        |row: &&Row<C>| Version { recorded_at: row.recorded_at, row: content(&row.cells) };
    rows.iter().map(version).collect()
}

/// Versions of credential rows by digest and `valid_from`.
type CredentialVersions<'t> = BTreeMap<([u8; 32], Option<Instant>), Vec<&'t Row<CredentialCells>>>;

fn credentials_of(rows: &CredentialVersions<'_>, ids: &Ids<'_>) -> Vec<Credential> {
    let mut credentials: Vec<Credential> = Vec::new();
    let mut shown_by_hash = false;
    for ((digest, valid_from), versions) in rows {
        let Some(partner) =
            versions.last().and_then(|row| ids.partners.get(row.cells.partner.as_str()))
        else {
            continue;
        };
        let valid_until = versions.last().and_then(|row| row.cells.valid_until);
        let row = CredentialRow { valid_from: *valid_from, valid_until, partner: *partner };
        match credentials.last_mut() {
            Some(last) if last.digest == *digest => last.rows.push(row),
            _ => {
                shown_by_hash = true;
                credentials.push(Credential {
                    digest: *digest,
                    shown: versions[0].cells.shown.clone(),
                    rows: vec![row],
                });
            }
        }
        // The credential itself tells people more than its hash, wherever some row has it.
        let plain = versions.iter().find(|row| !row.cells.is_hash);
        if let (true, Some(plain), Some(last)) = (shown_by_hash, plain, credentials.last_mut()) {
            last.shown.clone_from(&plain.cells.shown);
            shown_by_hash = false;
        }
    }
    credentials
}

fn grant(id: &str, rows: &[&Row<GrantCells>], ids: &Ids<'_>) -> Option<Grant> {
    let partner = |row: &Row<GrantCells>| ids.partners.get(row.cells.partner.as_str()).copied();
    let api = |row: &Row<GrantCells>| ids.apis.get(row.cells.api.as_str()).copied();
    // A version for an api not known by then can match no call, but it must go on replacing the
    // versions before it: it stays, under an api that is known, as a grant of nothing.
    let known_api = rows.iter().find_map(|row| api(row))?;
    let version = |row: &&Row<GrantCells>| {
        let cells = &row.cells;
        let content = match api(row) {
            Some(api) => GrantRow {
                partner: partner(row)?,
                api,
                operations: cells.operations.clone(),
                granted_at: cells.granted_at,
                expires_at: cells.expires_at,
                revoked_at: cells.revoked_at,
                purpose: cells.purpose.as_deref().and_then(|name| ids.purposes.get(name).copied()),
                certified_until: cells.certified_until,
                overrides_consent: cells.overrides_consent,
                justification: cells.justification.clone(),
            },
            None => GrantRow {
                partner: partner(row)?,
                api: known_api,
                operations: Operations::Named(Vec::new()),
                granted_at: Some(Instant::MAX),
                expires_at: None,
                revoked_at: None,
                purpose: None,
                certified_until: None,
                overrides_consent: false,
                justification: None,
            },
        };
        Some(Version { recorded_at: row.recorded_at, row: content })
    };
    Some(Grant { id: id.to_owned(), versions: rows.iter().filter_map(version).collect() })
}
