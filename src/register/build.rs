//! From tables to the [`Register`] as known at some instant: versions chosen, names resolved.
//!
//! Expects tables that `check` found without errors; of others it makes something, silently.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::tables::{CredentialCells, GrantCells, Row, Tables};
use super::versions::{counting, known};
use super::{
    Api, ApiId, Consent, Counts, Credential, CredentialRow, Grant, GrantRow, Partner, PartnerId,
    Purpose, PurposeId, Register, Route, Routes, Version, digest,
};
use crate::time::Instant;

/// The register as known at `as_known_at`, or now. `propagation_s` is the default of apis that do not say.
pub fn build(tables: &Tables, as_known_at: Option<Instant>, propagation_s: u64) -> Register {
    let (digest, register) = rayon::join(
        || digest::of(tables, as_known_at),
        || undigested(tables, as_known_at, propagation_s),
    );
    Register { digest, ..register }
}

/// The register without its digest.
fn undigested(tables: &Tables, as_known_at: Option<Instant>, propagation_s: u64) -> Register {
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

    let of_credentials = counting(&credentials).map(|row| row.cells.partner.as_str());
    let of_grants = grants.values().flatten().map(|row| row.cells.partner.as_str());
    let names = sorted(partners.keys().copied().chain(of_credentials).chain(of_grants));
    let of_grants = grants.values().flatten().map(|row| row.cells.api.as_str());
    let api_names = sorted(apis.keys().copied().chain(of_grants));
    let ids = Ids {
        partners: numbered(&names, PartnerId),
        apis: numbered(&api_names, ApiId),
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
        api_id: ids
            .apis
            .get(row.cells.api.as_str())
            .copied()
            .filter(|_| apis.contains_key(row.cells.api.as_str())),
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
        apis: api_names
            .iter()
            .map(|id| {
                let rows = apis.get(id).map_or(&[][..], Vec::as_slice);
                let versions = versions(rows, |cells| cells.row.clone());
                Api { id: (*id).to_owned(), versions }
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
        operations: Vec::new(),
        propagation_s,
        as_known_at,
        is_versioned: tables.is_versioned(),
        digest: [0; 32],
        counts: Counts {
            partners: partners.len() as u64,
            credentials: credentials.len() as u64,
            apis: apis.len() as u64,
            grants: grants.len() as u64,
        },
    }
}

/// Each name once, in order.
fn sorted<'t>(names: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    // Most names come many times.
    let distinct: HashSet<&str> = names.collect();
    let mut names: Vec<&str> = distinct.into_iter().collect();
    names.sort_unstable();
    names
}

/// Ids by name.
struct Ids<'t> {
    partners: HashMap<&'t str, PartnerId>,
    apis: HashMap<&'t str, ApiId>,
    purposes: HashMap<&'t str, PurposeId>,
}

fn numbered<'a, 't: 'a, Id>(
    names: impl IntoIterator<Item = &'a &'t str>,
    id: fn(u32) -> Id,
) -> HashMap<&'t str, Id> {
    names.into_iter().zip(0..).map(|(name, i)| (*name, id(i))).collect()
}

/// The id of a name, `None` inside for `*`; `None` for a name not known by then.
fn resolve<Id: Copy>(name: Option<&str>, ids: &HashMap<&str, Id>) -> Option<Option<Id>> {
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
        if credentials.last().is_none_or(|last| last.digest != *digest) {
            shown_by_hash = true;
            let shown = versions[0].cells.shown.clone();
            credentials.push(Credential { digest: *digest, shown, rows: Vec::new() });
        }
        // A row that is never valid says of no instant whose the credential is.
        let begins_first =
            valid_until.is_none_or(|until| valid_from.is_none_or(|from| from < until));
        if let (true, Some(last)) = (begins_first, credentials.last_mut()) {
            let row = CredentialRow { valid_from: *valid_from, valid_until, partner: *partner };
            last.rows.push(row);
        }
        // The credential itself tells people more than its hash, wherever some row has it.
        let plain = versions.iter().find(|row| !row.cells.is_hash);
        if let (true, Some(plain), Some(last)) = (shown_by_hash, plain, credentials.last_mut()) {
            last.shown.clone_from(&plain.cells.shown);
            shown_by_hash = false;
        }
    }
    credentials.retain(|credential| !credential.rows.is_empty());
    credentials
}

fn grant(id: &str, rows: &[&Row<GrantCells>], ids: &Ids<'_>) -> Option<Grant> {
    let version = |row: &&Row<GrantCells>| {
        let cells = &row.cells;
        let content = GrantRow {
            partner: *ids.partners.get(cells.partner.as_str())?,
            api: *ids.apis.get(cells.api.as_str())?,
            operations: cells.operations.clone(),
            granted_at: cells.granted_at,
            expires_at: cells.expires_at,
            revoked_at: cells.revoked_at,
            purpose: cells.purpose.as_deref().and_then(|name| ids.purposes.get(name).copied()),
            certified_until: cells.certified_until,
            overrides_consent: cells.overrides_consent,
            justification: cells.justification.clone(),
        };
        Some(Version { recorded_at: row.recorded_at, row: content })
    };
    Some(Grant { id: id.to_owned(), versions: rows.iter().map(version).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::super::source::read_csv;
    use super::super::tables::Table;
    use super::super::{ApiRow, Operations, Scratch, check, credential_digest};
    use super::*;

    fn tables(texts: &[(Table, &str)]) -> Tables {
        let mut tables = Tables::default();
        for (table, text) in texts {
            read_csv(&mut tables, *table, text.as_bytes());
        }
        tables
    }

    fn at(seconds: i64) -> Option<Instant> {
        Instant::from_s_ns(seconds, 0)
    }

    #[test]
    fn of_equal_keys_the_one_recorded_last_counts() {
        let tables = tables(&[(
            Table::Partners,
            "partner,name,recorded_at\np,second,20\np,first,\np,third,30\nq,late,40\n",
        )]);
        let names = |as_known_at| -> Vec<Option<String>> {
            build(&tables, as_known_at, 0).partners.into_iter().map(|p| p.name).collect()
        };
        let owned = |name: &str| Some(name.to_owned());
        assert_eq!(names(None), [owned("third"), owned("late")]);
        assert_eq!(names(at(30)), [owned("third")], "recorded at that instant is known");
        assert_eq!(names(at(29)), [owned("second")]);
        assert_eq!(names(at(19)), [owned("first")]);
        assert_eq!(build(&tables, at(19), 0).counts.partners, 1);
        assert_eq!(build(&tables, None, 0).counts.partners, 2);
    }

    #[test]
    fn apis_and_grants_keep_their_versions_in_order() {
        let tables = tables(&[
            (Table::Partners, "partner\np\n"),
            (
                Table::Apis,
                "api,access,consent,dormant_since,propagation_s,recorded_at\na,,required,5,60,9\na,open,,,,\n",
            ),
            (Table::Purposes, "purpose,ended_at,recorded_at\nu,7,8\nu,,\n"),
            (
                Table::Grants,
                "grant,partner,api,operations,revoked_at,purpose,overrides_consent,recorded_at\n\
                 g,p,a,write|read|read,50,u,true,60\ng,p,a,*,,,,\n",
            ),
        ]);
        let register = build(&tables, None, 7);
        let last = ApiRow {
            consent_required: true,
            dormant_since: at(5),
            propagation_s: Some(60),
            ..ApiRow::default()
        };
        let first = ApiRow { open: true, ..ApiRow::default() };
        let api = [(None, first), (at(9), last)];
        let api = api.map(|(recorded_at, row)| Version { recorded_at, row });
        assert_eq!(register.apis[0].versions, api);
        assert_eq!(register.purposes[0].versions[1].row.ended_at, at(7));
        let [first, last] = &register.grants[0].versions[..] else {
            panic!("expected two versions");
        };
        assert_eq!((first.recorded_at, &first.row.operations), (None, &Operations::All));
        assert_eq!(first.row.purpose, None);
        let named = Operations::Named(vec!["read".to_owned(), "write".to_owned()]);
        assert_eq!((last.recorded_at, &last.row.operations), (at(60), &named));
        assert_eq!((last.row.revoked_at, last.row.purpose), (at(50), Some(PurposeId(0))));
        assert!(last.row.overrides_consent && !first.row.overrides_consent);
        assert_eq!(register.propagation_s, 7);
        assert_eq!(build(&tables, at(59), 7).grants[0].versions.len(), 1);
    }

    #[test]
    fn names_resolve_to_places_in_sorted_lists() {
        let tables = tables(&[
            (Table::Partners, "partner\nb\na\n"),
            (Table::Apis, "api\ny\nx\n"),
            (Table::Grants, "grant,partner,api,operations\ng2,b,x,*\ng1,a,y,*\n"),
            (Table::Consents, "subject,partner,api,at,state\ns,b,*,1,given\ns,*,y,1,withdrawn\n"),
            (Table::Routes, "path,api,operation\n/y,y,list\n/x,x,\n"),
        ]);
        let register = build(&tables, None, 0);
        assert_eq!(register.partner_id("b"), Some(PartnerId(1)));
        assert_eq!(register.api_id("x"), Some(ApiId(0)));
        assert_eq!(register.api_id("z"), None);
        let row = &register.grants[1].versions[0].row;
        assert_eq!((&*register.grants[1].id, row.partner, row.api), ("g2", PartnerId(1), ApiId(0)));
        let consents: Vec<_> =
            register.consents.iter().map(|c| (c.partner, c.api, c.given)).collect();
        assert!(consents.contains(&(Some(PartnerId(1)), None, true)));
        assert!(consents.contains(&(None, Some(ApiId(1)), false)));
        let mut scratch = Scratch::default();
        let found = register.routes.find(None, None, "/y", &mut scratch).unwrap();
        assert_eq!(found.route.api_id, Some(ApiId(1)));
        assert_eq!(found.route.operation.as_deref(), Some("list"));
    }

    #[test]
    fn a_credential_is_one_in_plain_and_hashed() {
        let hash = "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        let text = format!(
            "credential,valid_from,partner,valid_until\n{hash},,p,10\nabc,20,q,\n{}0,,p,\n",
            &hash[..hash.len() - 1]
        );
        let tables = tables(&[(Table::Partners, "partner\np\nq\n"), (Table::Credentials, &text)]);
        let register = build(&tables, None, 0);
        assert_eq!(register.credentials.len(), 2);
        assert_eq!(register.counts.credentials, 3);
        let id = register.credential_id(&credential_digest("abc")).unwrap();
        let credential = &register.credentials[id.0 as usize];
        assert_eq!(credential.shown, "…abc");
        let [first, second] = [(None, at(10), 0), (at(20), None, 1)].map(|(from, until, p)| {
            CredentialRow { valid_from: from, valid_until: until, partner: PartnerId(p) }
        });
        assert_eq!(credential.rows, [first, second]);
        let other = register.credentials.iter().find(|c| c.digest != credential.digest).unwrap();
        assert_eq!(other.shown, "…15a0");
        assert_eq!(register.credential_id(&credential_digest("abd")), None);
    }

    #[test]
    fn a_partner_only_others_know_is_named_but_not_listed() {
        let tables = tables(&[
            (Table::Partners, "partner,recorded_at\np,100\n"),
            (Table::Credentials, "credential,partner\nk,p\n"),
        ]);
        let register = build(&tables, at(50), 0);
        assert_eq!((register.partners.len(), register.counts.partners), (1, 0));
        assert!(!register.partners[0].listed);
        assert!(build(&tables, None, 0).partners[0].listed);
    }

    #[test]
    fn a_version_on_an_api_not_known_by_then_still_replaces_the_one_before() {
        let tables = tables(&[
            (Table::Partners, "partner\np\n"),
            (Table::Apis, "api,recorded_at\na,\nb,100\n"),
            (
                Table::Grants,
                "grant,partner,api,operations,recorded_at\ng,p,a,*,\ng,p,b,*,40\nh,p,b,*,\n",
            ),
        ]);
        let register = build(&tables, at(50), 0);
        assert_eq!((register.grants.len(), register.counts.grants), (2, 2));
        assert_eq!((register.counts.apis, register.api_id("b")), (1, None));
        assert_eq!(register.listed_apis().count(), 1);
        let versions = &register.grants[0].versions;
        let apis: Vec<&str> =
            versions.iter().map(|v| &*register.apis[v.row.api.0 as usize].id).collect();
        assert_eq!(apis, ["a", "b"]);
        let now = build(&tables, None, 0);
        assert_eq!(now.api_id("b"), Some(ApiId(1)));
    }

    #[test]
    fn routes_of_apis_not_known_by_then_name_them_only() {
        let tables = tables(&[
            (Table::Apis, "api,recorded_at\na,100\n"),
            (Table::Routes, "path,api,operation,recorded_at\n/x,a,,\n/x,a,list,200\n"),
        ]);
        let mut scratch = Scratch::default();
        let register = build(&tables, at(50), 0);
        let found = register.routes.find(None, None, "/x", &mut scratch).unwrap();
        assert_eq!((&*found.route.api, found.route.api_id), ("a", None));
        assert_eq!(found.route.operation, None);
        let register = build(&tables, None, 0);
        let found = register.routes.find(None, None, "/x", &mut scratch).unwrap();
        assert_eq!(
            (found.route.api_id, found.route.operation.as_deref()),
            (Some(ApiId(0)), Some("list"))
        );
        assert_eq!(register.routes.rows().len(), 1);
    }

    /// A register with something in every column.
    fn full() -> Vec<(Table, String)> {
        [
            (Table::Partners, "partner,name,contact\np,P,x@p.example\nq,,\n"),
            (Table::Credentials, "credential,valid_from,partner,valid_until\nk,10,p,20\nk,20,q,\n"),
            (
                Table::Apis,
                "api,name,data_class,access,consent,dormant_since,propagation_s\n\
                 a,A,health,,required,5,60\nb,,,open,,,\n",
            ),
            (Table::Routes, "host,method,path,api,operation\nh,GET,/x/{u},a,list\n,,/*,b,\n"),
            (
                Table::Grants,
                "grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose,\
                 certified_until,overrides_consent,justification,recorded_at\n\
                 g,p,a,read|write,1,2,3,u,4,true,why,\ng,p,a,*,,,,,,,,9\n",
            ),
            (Table::Purposes, "purpose,name,ended_at\nu,U,8\n"),
            (Table::Consents, "subject,partner,api,at,state\ns,p,a,1,given\ns,*,*,2,withdrawn\n"),
        ]
        .map(|(table, text)| (table, text.to_owned()))
        .to_vec()
    }

    fn digest_of(texts: &[(Table, String)], as_known_at: Option<Instant>) -> [u8; 32] {
        let texts: Vec<(Table, &str)> = texts.iter().map(|(t, text)| (*t, &**text)).collect();
        let tables = tables(&texts);
        let errors: Vec<String> = check(&tables)
            .iter()
            .filter(|problem| problem.level == super::super::Level::Error)
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, [""; 0]);
        build(&tables, as_known_at, 0).digest
    }

    #[test]
    fn the_digest_does_not_depend_on_how_the_content_is_written() {
        let expected = digest_of(&full(), None);
        let mut same = full();
        for (_, text) in &mut same {
            // Rows and columns backwards, every cell quoted and with spaces around, CRLF.
            let lines: Vec<&str> = text.lines().collect();
            let backwards = |line: &str| {
                let cells: Vec<String> =
                    line.split(',').rev().map(|cell| format!("\" {cell}\t\"")).collect();
                cells.join(",") + "\r\n"
            };
            let rows: String = lines[1..].iter().rev().map(|line| backwards(line)).collect();
            *text = backwards(lines[0]) + &rows;
        }
        assert_eq!(digest_of(&same, None), expected);
        let mut same = full();
        let respelt = [
            (1, "k,10,p", "k,1970-01-01T01:00:10+01:00,p"),
            (3, "h,GET,/x/{u}", "H:443,get,//%78/./{u}/"),
            (4, "read|write", "write | read|read"),
            (4, ",,,,,,,,9", ",,,,,,false,,1970-01-01T00:00:09Z"),
        ];
        for (i, from, to) in respelt {
            assert!(same[i].1.contains(from), "{from}");
            same[i].1 = same[i].1.replace(from, to);
        }
        assert_eq!(digest_of(&same, None), expected);
    }

    #[test]
    fn the_digest_depends_on_every_cell() {
        let full = full();
        let mut digests: HashSet<_> = [digest_of(&full, None)].into_iter().collect();
        let changes = [
            (0, "p,P,", "p,Q,"),
            (0, "x@p.example", ""),
            (0, "q,,\n", "q,,\nr,,\n"),
            (1, "k,20", "k,21"),
            (1, "20,q", "20,p"),
            (2, "health", "mail"),
            (2, "required", ""),
            (2, "open", ""),
            (2, "5,60", "6,60"),
            (2, "5,60", "5,61"),
            (3, "h,GET", "i,GET"),
            (3, "h,GET", "h,"),
            (3, "{u}", "{v}"),
            (3, "a,list", "b,list"),
            (3, "a,list", "a,"),
            (4, "read|write", "read"),
            (4, "read|write", "readwrite"),
            (4, ",1,2,3,", ",1,3,2,"),
            (4, ",u,4", ",,4"),
            (4, ",u,4", ",u,"),
            (4, "true,why", "false,why"),
            (4, "true,why", "true,what"),
            (4, ",,9", ",,10"),
            (5, ",U,8", ",U,9"),
            (6, "s,p,a,1,given", "s,p,a,1,withdrawn"),
            (6, "s,p,a,1", "s,*,a,1"),
            (6, "s,p,a,1", "t,p,a,1"),
        ];
        for (i, from, to) in changes {
            let mut changed = full.clone();
            assert!(changed[i].1.contains(from), "{from}");
            changed[i].1 = changed[i].1.replacen(from, to, 1);
            assert!(digests.insert(digest_of(&changed, None)), "{from} to {to} has no effect");
        }
        assert!(digests.insert(digest_of(&full, at(8))), "a version not known by then counts");
    }
}
