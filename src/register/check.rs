//! Everything that is wrong with a register, or legal but odd, told at once.
//!
//! What is unreadable the tables know already; here is what rows mean to each other.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashSet;

use super::problem::{Problem, quoted};
use super::tables::{CredentialCells, RouteCells, Row, Table, Tables};
use super::versions::{counting, known};
use super::{Operations, operation_of_method};
use crate::nearest::similar;
use crate::time::Instant;

/// What calls through a route may do that names neither method nor operation: `read`, `write`,
/// `delete`, `unknown`, and the other methods in use (RFC 9110, RFC 4918, RFC 3253, RFC 5323), in lower case.
const OPERATIONS_OF_ANY_METHOD: [&str; 17] = [
    "read",
    "write",
    "delete",
    "unknown",
    "connect",
    "trace",
    "copy",
    "lock",
    "mkcol",
    "move",
    "propfind",
    "proppatch",
    "unlock",
    "report",
    "search",
    "purge",
    "query",
];

/// Grants without a purpose that are told one by one. Some registers know no purposes at all.
const PURPOSELESS_EACH_MAX: usize = 3;

/// All problems of a register, errors and warnings, sorted by file, row and column.
pub fn check(tables: &Tables) -> Vec<Problem> {
    let mut problems = tables.problems.clone();
    references(tables, &mut problems);
    equal_keys(tables, &mut problems);
    overlaps(tables, &mut problems);
    ambiguous_routes(tables, &mut problems);
    oddities(tables, &mut problems);
    problems.sort();
    problems.dedup();
    problems
}

/// Rows that name a partner, an api or a purpose of which no version exists.
fn references(tables: &Tables, problems: &mut Vec<Problem>) {
    let mut partners =
        Known::new(Table::Partners, "partner", tables.partners.iter().map(|r| &*r.cells.partner));
    let mut apis = Known::new(Table::Apis, "api", tables.apis.iter().map(|r| &*r.cells.api));
    let mut purposes =
        Known::new(Table::Purposes, "purpose", tables.purposes.iter().map(|r| &*r.cells.purpose));
    let mut refer = |table: Table, line: u64, known: &mut Known<'_>, name: &str| {
        if tables.is_read(known.table)
            && let Some((message, hint)) = known.unknown(table, name)
        {
            let problem = Problem::error(tables.file(table), message).row(line).column(known.noun);
            problems.push(Problem { hint, ..problem });
        }
    };
    for row in &tables.credentials {
        refer(Table::Credentials, row.line, &mut partners, &row.cells.partner);
    }
    for row in &tables.routes {
        refer(Table::Routes, row.line, &mut apis, &row.cells.api);
    }
    for row in &tables.grants {
        refer(Table::Grants, row.line, &mut partners, &row.cells.partner);
        refer(Table::Grants, row.line, &mut apis, &row.cells.api);
        if let Some(purpose) = &row.cells.purpose {
            refer(Table::Grants, row.line, &mut purposes, purpose);
        }
    }
    for row in &tables.consents {
        if let Some(partner) = &row.cells.partner {
            refer(Table::Consents, row.line, &mut partners, partner);
        }
        if let Some(api) = &row.cells.api {
            refer(Table::Consents, row.line, &mut apis, api);
        }
    }
}

/// The ids of a table, and hints for those that are not among them, each sought once.
struct Known<'t> {
    table: Table,
    noun: &'static str,
    ids: HashSet<&'t str>,
    hints: BTreeMap<String, Option<String>>,
}

impl<'t> Known<'t> {
    fn new(table: Table, noun: &'static str, ids: impl Iterator<Item = &'t str>) -> Known<'t> {
        Known { table, noun, ids: ids.collect(), hints: BTreeMap::new() }
    }

    /// What to say of an id that is not known in a table that refers to it, and a remedy.
    fn unknown(&mut self, table: Table, id: &str) -> Option<(String, Option<String>)> {
        // An empty id is a blank cell, which has its own problem.
        if id.is_empty() || self.ids.contains(id) {
            return None;
        }
        let hint = match self.hints.get(id) {
            Some(hint) => hint.clone(),
            None => {
                let mut ids: Vec<&str> = self.ids.iter().copied().collect();
                ids.sort_unstable();
                let near = similar(id, ids);
                let hint = near.map(|near| format!("did you mean {}?", quoted(near)));
                self.hints.insert(id.to_owned(), hint.clone());
                hint
            }
        };
        let noun = self.noun;
        let found = table.quoted(id);
        Some((format!("found {found}, expected one of the {noun}s table"), hint))
    }
}

/// Rows of one table with equal keys and equal `recorded_at`.
fn equal_keys(tables: &Tables, problems: &mut Vec<Problem>) {
    let mut find = Repeats { tables, problems };
    find.in_rows(Table::Partners, "partner", &tables.partners, |c| &c.partner);
    find.in_rows(Table::Credentials, "credential", &tables.credentials, |c| {
        (c.digest, c.valid_from)
    });
    find.in_rows(Table::Apis, "api", &tables.apis, |c| &c.api);
    find.in_rows(Table::Routes, "path", &tables.routes, |c| (&c.host, &c.method, &c.template));
    find.in_rows(Table::Grants, "grant", &tables.grants, |c| &c.grant);
    find.in_rows(Table::Purposes, "purpose", &tables.purposes, |c| &c.purpose);
    find.in_rows(Table::Consents, "subject", &tables.consents, |c| {
        (&c.subject, &c.partner, &c.api, c.at)
    });
}

struct Repeats<'a> {
    tables: &'a Tables,
    problems: &'a mut Vec<Problem>,
}

impl Repeats<'_> {
    fn in_rows<'t, T, K: Ord>(
        &mut self,
        table: Table,
        column: &str,
        rows: &'t [Row<T>],
        key: impl Fn(&'t T) -> K,
    ) {
        let sound = rows.iter().filter(|row| row.sound);
        let mut keyed: Vec<_> = sound.map(|row| (key(&row.cells), row.recorded_at, row)).collect();
        // Stable: of equal ones the first in the file stays the first.
        keyed.sort_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
        for alike in keyed.chunk_by(|(a, x, _), (b, y, _)| (a, x) == (b, y)) {
            let Some(((.., first), others)) = alike.split_first() else { continue };
            let first = first.line;
            for (.., row) in others {
                let message = format!("found the key of line {first} again, expected another");
                let problem = Problem::error(self.tables.file(table), message).row(row.line);
                let hint = "remove one, or give the newer one a later recorded_at";
                self.problems.push(problem.column(column).hint(hint));
            }
        }
    }
}

/// Calls `look` with the rows that count at each instant from which on another set of them does.
fn in_every_version<'t, T, K: Ord>(
    rows: &[&'t Row<T>],
    key: impl Fn(&'t T) -> K,
    mut look: impl FnMut(&[&'t Row<T>]),
) {
    let instants: BTreeSet<Option<Instant>> = rows.iter().map(|row| row.recorded_at).collect();
    for instant in instants {
        let mut counting: BTreeMap<K, &Row<T>> = BTreeMap::new();
        // `None`, always known, is less than any instant.
        for row in rows.iter().filter(|row| row.recorded_at <= instant) {
            let counts = counting.entry(key(&row.cells)).or_insert(row);
            if row.recorded_at > counts.recorded_at {
                *counts = row;
            }
        }
        look(&counting.into_values().collect::<Vec<_>>());
    }
}

/// Rows of one credential that are valid at the same time.
fn overlaps(tables: &Tables, problems: &mut Vec<Problem>) {
    let mut by_credential: BTreeMap<[u8; 32], Vec<&Row<CredentialCells>>> = BTreeMap::new();
    for row in tables.credentials.iter().filter(|row| row.sound) {
        by_credential.entry(row.cells.digest).or_default().push(row);
    }
    for rows in by_credential.values().filter(|rows| rows.len() > 1) {
        in_every_version(
            rows,
            |cells| cells.valid_from,
            |counting| {
                // Sorted by valid_from, since that is their key: each is held against the one that lasts longest so far.
                let mut longest: Option<&Row<CredentialCells>> = None;
                for row in counting.iter().copied().filter(|row| !is_never_valid(&row.cells)) {
                    let overlapped = longest.filter(|longest| {
                        longest
                            .cells
                            .valid_until
                            .is_none_or(|until| row.cells.valid_from < Some(until))
                    });
                    if let Some(other) = overlapped {
                        let (line, before) = (row.line.max(other.line), row.line.min(other.line));
                        let message = format!(
                            "found {} valid while line {before} is, expected times that don't overlap",
                            row.cells.shown
                        );
                        let problem = Problem::error(tables.file(Table::Credentials), message);
                        problems.push(problem.row(line).column("valid_from"));
                    }
                    let lasts =
                        |row: &Row<CredentialCells>| row.cells.valid_until.unwrap_or(Instant::MAX);
                    if longest.is_none_or(|longest| lasts(row) > lasts(longest)) {
                        longest = Some(row);
                    }
                }
            },
        );
    }
}

fn is_never_valid(cells: &CredentialCells) -> bool {
    matches!((cells.valid_from, cells.valid_until), (Some(from), Some(until)) if until <= from)
}

/// Routes that differ in no more than the names of their placeholders.
fn ambiguous_routes(tables: &Tables, problems: &mut Vec<Problem>) {
    let mut by_shape: BTreeMap<_, Vec<&Row<RouteCells>>> = BTreeMap::new();
    for row in tables.routes.iter().filter(|row| row.sound) {
        let cells = &row.cells;
        let shape = (&cells.host, &cells.method, cells.template.shape());
        by_shape.entry(shape).or_default().push(row);
    }
    for rows in by_shape.values().filter(|rows| rows.len() > 1) {
        in_every_version(
            rows,
            |cells| &cells.template,
            |counting| {
                let mut lines: Vec<u64> = counting.iter().map(|row| row.line).collect();
                lines.sort_unstable();
                for line in lines.iter().skip(1) {
                    let message = format!(
                        "found a route that can't be told from line {}, expected another host, method or path",
                        lines[0]
                    );
                    let problem = Problem::error(tables.file(Table::Routes), message);
                    problems.push(problem.row(*line).column("path"));
                }
            },
        );
    }
}

/// What is legal but odd in the rows that count now.
fn oddities(tables: &Tables, problems: &mut Vec<Problem>) {
    let mut warn = |table: Table, line: u64, column: &str, message: String| {
        let problem = Problem::error(tables.file(table), message).row(line).column(column);
        problems.push(problem.warning());
    };
    let credentials = known(&tables.credentials, None, |cells| (cells.digest, cells.valid_from));
    let holders: HashSet<&str> =
        counting(&credentials).map(|row| row.cells.partner.as_str()).collect();
    for row in counting(&known(&tables.partners, None, |cells| &cells.partner)) {
        let has_none = !holders.contains(row.cells.partner.as_str());
        if has_none && tables.is_read(Table::Credentials) {
            let message = format!("found {}, which has no credentials", quoted(&row.cells.partner));
            warn(Table::Partners, row.line, "partner", message);
        }
    }
    let routes = known(&tables.routes, None, |cells| (&cells.host, &cells.method, &cells.template));
    let mut by_api: BTreeMap<&str, Vec<&RouteCells>> = BTreeMap::new();
    for row in counting(&routes) {
        by_api.entry(&row.cells.api).or_default().push(&row.cells);
    }
    for row in counting(&known(&tables.apis, None, |cells| &cells.api)) {
        let has_none = !by_api.contains_key(row.cells.api.as_str());
        if has_none && tables.is_read(Table::Routes) {
            let message = format!("found {}, which has no routes", quoted(&row.cells.api));
            warn(Table::Apis, row.line, "api", message);
        }
    }
    let mut purposeless: Vec<(u64, &str)> = Vec::new();
    for row in counting(&known(&tables.grants, None, |cells| &cells.grant)) {
        let cells = &row.cells;
        if row.sound && cells.purpose.is_none() {
            purposeless.push((row.line, cells.grant.as_str()));
        }
        let (true, Operations::Named(names), Some(routes)) = (
            row.sound && tables.is_read(Table::Routes),
            &cells.operations,
            by_api.get(cells.api.as_str()),
        ) else {
            continue;
        };
        for name in names.iter().filter(|name| !routes.iter().any(|route| yields(route, name))) {
            let message = format!(
                "found {}, which no route of {} nor its method yields",
                quoted(name),
                quoted(&cells.api)
            );
            warn(Table::Grants, row.line, "operations", message);
        }
    }
    purposeless.sort_unstable();
    if purposeless.len() > PURPOSELESS_EACH_MAX {
        let (first, _) = purposeless[0];
        let message = format!(
            "found {} grants without a purpose, this one the first: nobody will be told that what they serve has ended",
            purposeless.len()
        );
        warn(Table::Grants, first, "purpose", message);
    } else {
        for (line, grant) in purposeless {
            let message = format!("found {} without a purpose", quoted(grant));
            warn(Table::Grants, line, "purpose", message);
        }
    }
}

/// Whether a call through the route may be of that operation, if the log names none.
fn yields(route: &RouteCells, operation: &str) -> bool {
    match (&route.operation, &route.method) {
        (Some(named), _) => named == operation,
        (None, Some(method)) => operation_of_method(Some(method)) == operation,
        (None, None) => OPERATIONS_OF_ANY_METHOD.contains(&operation),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::read_csv;
    use super::super::{Level, build};
    use super::*;

    /// A register without problems: tables by name; those given replace or join them.
    fn tables(changed: &[(&str, &str)]) -> Tables {
        let mut texts: BTreeMap<&str, &str> = BTreeMap::from([
            ("partners", "partner,name\nseekly,Seekly Ltd\nreelhouse,\n"),
            (
                "credentials",
                "credential,valid_from,partner,valid_until\nk1,,seekly,\nk2,2018-01-01,reelhouse,\n",
            ),
            ("apis", "api,access,consent,dormant_since,propagation_s\nmessages,,required,,60\n"),
            ("routes", "host,method,path,api,operation\n,,/messages/{user},messages,\n"),
            (
                "grants",
                "grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose\n\
                 g1,seekly,messages,read,2018-01-01,2019-01-01,,search\n",
            ),
            ("purposes", "purpose,ended_at\nsearch,\n"),
            ("consents", "subject,partner,api,at,state\nann,seekly,*,2018-02-01,given\n"),
        ]);
        texts.extend(changed.iter().copied());
        let mut tables = Tables::default();
        for table in Table::ALL {
            tables.set_file(table, format!("{}.csv", table.name()));
            read_csv(&mut tables, table, texts[table.name()].as_bytes());
        }
        tables
    }

    /// The problems with one or more tables changed, one a line; warnings marked.
    fn problems(changed: &[(&str, &str)]) -> Vec<String> {
        let mark = |level| if level == Level::Warning { "warning: " } else { "" };
        let problems = check(&tables(changed));
        problems.iter().map(|problem| format!("{}{problem}", mark(problem.level))).collect()
    }

    /// Asserts that a table with these rows has one problem, at this place and with these words.
    #[track_caller]
    fn one(table: &str, text: &str, place: &str, words: &str) {
        let found = problems(&[(table, text)]);
        assert!(
            found.len() == 1 && found[0].starts_with(place) && found[0].contains(words),
            "expected {place} … {words}, found {found:#?}"
        );
    }

    #[track_caller]
    fn none(table: &str, text: &str) {
        assert_eq!(problems(&[(table, text)]), [""; 0]);
    }

    const GRANTS: &str = "grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose,\
                          certified_until,overrides_consent,recorded_at\n";

    #[track_caller]
    fn one_grant(row: &str, place: &str, words: &str) {
        one("grants", &format!("{GRANTS}{row}\n"), place, words);
    }

    #[track_caller]
    fn good_grant(row: &str) {
        none("grants", &format!("{GRANTS}{row}\n"));
    }

    #[test]
    fn a_good_register_has_no_problems() {
        assert_eq!(problems(&[]), [""; 0]);
    }

    #[test]
    fn unknown_references() {
        one_grant("g,seekl,messages,read,,,,search,,,", "grants.csv: 2: partner", "\"seekl\"");
        one_grant("g,seekly,mesages,read,,,,search,,,", "grants.csv: 2: api", "\"mesages\"");
        one_grant("g,seekly,messages,read,,,,serch,,,", "grants.csv: 2: purpose", "\"serch\"");
        good_grant("g,seekly,messages,read,,,,search,,,");
        let hint = check(&tables(&[("routes", "path,api\n/a,mesages\n/b,messages\n")]));
        assert_eq!(hint[0].hint.as_deref(), Some("did you mean \"messages\"?"));
        let header = "subject,partner,api,at,state\n";
        one(
            "consents",
            &format!("{header}a,x,*,0,given\n"),
            "consents.csv: 2: partner",
            "something else",
        );
        one(
            "consents",
            &format!("{header}a,*,x,0,given\n"),
            "consents.csv: 2: api",
            "something else",
        );
        none("consents", &format!("{header}a,*,*,0,given\n"));
        one(
            "credentials",
            "credential,partner\nk1,seekly\nk2,reelhouse\nk3,x\n",
            "credentials.csv: 4: partner",
            "something else",
        );
    }

    #[test]
    fn equal_keys_need_different_recorded_at() {
        one(
            "partners",
            "partner\nseekly\nreelhouse\nseekly\n",
            "partners.csv: 4: partner",
            "line 2",
        );
        none("partners", "partner,recorded_at\nseekly,\nreelhouse,\nseekly,2018-01-01\n");
        one_grant(
            "g,seekly,messages,read,,,,search,,,2018-01-01\n\
             g,seekly,messages,read,,,,search,,,2018-01-01T01:00:00+01:00",
            "grants.csv: 3: grant",
            "line 2",
        );
        let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        one(
            "credentials",
            &format!("credential,partner\nabc,seekly\nk2,reelhouse\n{hash},seekly\n"),
            "credentials.csv: 4: credential",
            "line 2",
        );
        let header = "subject,partner,api,at,state\n";
        one(
            "consents",
            &format!("{header}a,*,*,0,given\na,*,*,1970-01-01,withdrawn\n"),
            "consents.csv: 3: subject",
            "line 2",
        );
        none("consents", &format!("{header}a,*,*,0,given\na,seekly,*,0,withdrawn\n"));
    }

    #[test]
    fn grants_end_after_their_start_in_every_version() {
        one_grant(
            "g,seekly,messages,read,2018-01-02,2018-01-02,,search,,,",
            "grants.csv: 2: expires_at",
            "at or before granted_at",
        );
        good_grant("g,seekly,messages,read,2018-01-02,2018-01-02T00:00:00.000000001Z,,search,,,");
        good_grant("g,seekly,messages,read,,2018-01-02,1970-01-01,search,,,");
        one_grant(
            "g,seekly,messages,read,2018-01-02,,2018-01-01,search,,,\n\
             g,seekly,messages,read,2018-01-02,,2018-01-03,search,,,2018-02-01",
            "grants.csv: 2: revoked_at",
            "at or before granted_at",
        );
    }

    #[test]
    fn credential_rows_may_touch_but_not_overlap() {
        let rows = |second: &str| {
            format!(
                "credential,valid_from,partner,valid_until,recorded_at\nk2,,reelhouse,,\n\
                 key-1,2018-01-01,seekly,2018-02-01,\n{second}\n"
            )
        };
        none("credentials", &rows("key-1,2018-02-01,reelhouse,,"));
        none("credentials", &rows("key-1,,reelhouse,2018-01-01,"));
        let place = "credentials.csv: 4: valid_from";
        one(
            "credentials",
            &rows("key-1,2018-01-31,reelhouse,,"),
            place,
            "…ey-1 valid while line 3",
        );
        one("credentials", &rows("key-1,,reelhouse,,"), place, "valid while line 3");
        one("credentials", &rows("key-1,,reelhouse,2018-01-01T00:00:01Z,"), place, "line 3");
        // The later version of line 3 ends soon enough, but before it was recorded it did not.
        let mended = "key-1,2018-01-15,reelhouse,,\nkey-1,2018-01-01,seekly,2018-01-10,2018-03-01";
        one("credentials", &rows(mended), place, "line 3");
        // Here the row that would overlap was recorded together with the end of the other one.
        let handed_over =
            "key-1,2018-01-15,reelhouse,,2018-03-01\nkey-1,2018-01-01,seekly,2018-01-10,2018-03-01";
        none("credentials", &rows(handed_over));
    }

    #[test]
    fn overlaps_are_seen_across_a_short_row_between() {
        one(
            "credentials",
            "credential,valid_from,partner,valid_until\nk2,,reelhouse,\n\
             k,1,seekly,100\nk,200,seekly,300\nk,250,seekly,260\nk,300,seekly,\n",
            "credentials.csv: 5: valid_from",
            "line 4",
        );
    }

    #[test]
    fn routes_must_be_distinguishable_in_every_version() {
        let rows = |second: &str| {
            format!("host,method,path,api,recorded_at\n,GET,/m/{{user}},messages,\n{second}\n")
        };
        let place = "routes.csv: 3: path";
        one("routes", &rows(",get,//m/{id}/,messages,"), place, "can't be told from line 2");
        one("routes", &rows(",GET,/m/{id},messages,2018-01-01"), place, "can't be told");
        one("routes", &rows(",GET,/%6d/{user},messages,"), place, "found the key of line 2");
        none("routes", &rows(",GET,/m/{user},messages,2018-01-01"));
        for other in [",,/m/{id}", "h,GET,/m/{id}", ",PUT,/m/{id}", ",GET,/m/me", ",GET,/m/*"] {
            none("routes", &rows(&format!("{other},messages,")));
        }
        let hosts = "host,path,api\nA.example:80,/,messages\na.example,/,messages\n";
        one("routes", hosts, place, "found the key of line 2");
    }

    #[test]
    fn unreadable_values() {
        one_grant(
            "g,seekly,messages,read,soon,,,search,,,",
            "grants.csv: 2: granted_at",
            "\"soon\"",
        );
        one_grant(
            "g,seekly,messages,read,2018-01-01T00:00:00,,,search,,,",
            "grants.csv: 2: granted_at",
            "offset",
        );
        good_grant(
            "g,seekly,messages,read,1514764800.5,2019-01-01T00:00:00+01:00,9999-12-31,search,,,",
        );
        one_grant(
            "g,seekly,messages,read,,,,search,,TRUE,",
            "grants.csv: 2: overrides_consent",
            "TRUE",
        );
        good_grant("g,seekly,messages,read,,,,search,,true,");
        good_grant("g,seekly,messages,read,,,,search,,false,");
        for operations in ["read|", "|", "read||write"] {
            let row = format!("g,seekly,messages,{operations},,,,search,,,");
            one_grant(&row, "grants.csv: 2: operations", "empty operation");
        }
        one_grant("g,seekly,messages,read|*,,,,search,,,", "grants.csv: 2: operations", "*");
        good_grant("g,seekly,messages,*,,,,search,,,");
        good_grant("g,seekly,messages, read | write ,,,,search,,,");
        one("apis", "api,access\nmessages,closed\n", "apis.csv: 2: access", "\"open\" or a blank");
        none("apis", "api,access\nmessages,open\n");
        one("apis", "api,consent\nmessages,yes\n", "apis.csv: 2: consent", "\"required\"");
        for seconds in ["-1", "1.5", "+1", "99999999999999999999"] {
            let text = format!("api,propagation_s\nmessages,{seconds}\n");
            one("apis", &text, "apis.csv: 2: propagation_s", "whole seconds");
        }
        let header = "subject,partner,api,at,state\n";
        one(
            "consents",
            &format!("{header}a,*,*,0,yes\n"),
            "consents.csv: 2: state",
            "\"withdrawn\"",
        );
        one("consents", &format!("{header}a,*,*,x,given\n"), "consents.csv: 2: at", "instant");
        one("routes", "path,api\n/a/*/b,messages\n", "routes.csv: 2: path", "before the end");
        one("routes", "path,api,host\n/a,messages,*\n", "routes.csv: 2: host", "blank for any");
        one(
            "routes",
            "path,api,method\n/a,messages,GET|PUT\n",
            "routes.csv: 2: method",
            "one method",
        );
    }

    #[test]
    fn a_malformed_hash_is_not_shown_whole() {
        let secret = "sha256:0123456789abcdef-the-secret";
        let text = format!("credential,partner\nk1,seekly\nk2,reelhouse\n{secret},seekly\n");
        one("credentials", &text, "credentials.csv: 4: credential", "64 hex digits");
        assert!(!problems(&[("credentials", &text)])[0].contains("0123"));
    }

    #[test]
    fn blanks_and_columns_that_must_be_filled() {
        one_grant("g,seekly,messages,,,,,search,,,", "grants.csv: 2: operations", "blank");
        one(
            "consents",
            "subject,partner,api,at,state\na,,*,0,given\n",
            "consents.csv: 2: partner",
            "blank",
        );
        one(
            "consents",
            "subject,partner,api,at\na,*,*,0\n",
            "consents.csv: 1: ",
            "no column \"state\"",
        );
        one(
            "purposes",
            "purpose,endedat\nsearch,\n",
            "purposes.csv: 1: found the unknown column \"endedat\"",
            "\"ended_at\"",
        );
        one("purposes", "purpose,purpose\nsearch,x\n", "purposes.csv: 1: purpose", "twice");
        one("purposes", "purpose,\nsearch,x\n", "purposes.csv: 1: found", "without a name");
        one(
            "purposes",
            "name,purpose\n\"a,b\",search\nx\n",
            "purposes.csv: 3: ",
            "1 fields, expected 2",
        );
    }

    #[test]
    fn unreadable_rows_do_not_make_references_fail() {
        let found = problems(&[("apis", "api,dormant_since\nmessages,soon\n")]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_blank_does_not_hide_what_else_is_wrong_in_its_row() {
        let found = problems(&[("grants", "grant,partner,api,operations\n,,x,\n")]);
        let columns: Vec<&str> = found.iter().filter_map(|line| line.split(": ").nth(2)).collect();
        assert_eq!(columns, ["api", "grant", "operations", "partner"]);
    }

    #[test]
    fn all_problems_at_once_in_order_of_place() {
        let found = problems(&[
            ("apis", "api,propagation_s\nmessages,x\n"),
            (
                "grants",
                "grant,partner,api,operations,revoked_at,granted_at,purpose\n\
                 g1,nobody,messages,|,then,2018-01-01,x\ng0,seekly,messages,read,1,2,\n",
            ),
        ]);
        let places: Vec<String> = found
            .iter()
            .map(|line| line.split(": ").take(3).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            places,
            [
                "apis.csv 2 propagation_s",
                "grants.csv 2 operations",
                "grants.csv 2 partner",
                "grants.csv 2 purpose",
                "grants.csv 2 revoked_at",
                "grants.csv 3 revoked_at",
            ]
        );
    }

    #[test]
    fn legal_but_odd() {
        one_grant(
            "g,seekly,messages,read,,,,,,,",
            "warning: grants.csv: 2: purpose",
            "\"g\" without",
        );
        one(
            "partners",
            "partner\nseekly\nreelhouse\nidle\n",
            "warning: partners.csv: 4: partner",
            "\"idle\", which has no credentials",
        );
        one(
            "apis",
            "api\nmessages\nquiet\n",
            "warning: apis.csv: 3: api",
            "\"quiet\", which has no routes",
        );
        one_grant(
            "g,seekly,messages,list|read,,,,search,,,",
            "warning: grants.csv: 2: operations",
            "\"list\"",
        );
        one(
            "credentials",
            "credential,partner,valid_from,valid_until\nk1,seekly,2,1\nk2,reelhouse,,\n",
            "warning: credentials.csv: 2: valid_until",
            "never valid",
        );
        one("routes", "path,api\n/m?x=1,messages\n", "warning: routes.csv: 2: path", "query");
        one(
            "routes",
            "path,api\n/m*,messages\n",
            "warning: routes.csv: 2: path",
            "stands for itself",
        );
        one(
            "routes",
            "path,api\nhttp://h/m,messages\n",
            "warning: routes.csv: 2: path",
            "full URL",
        );
    }

    #[test]
    fn operations_that_routes_yield_are_not_odd() {
        let grant =
            |operations: &str| format!("{GRANTS}g,seekly,messages,{operations},,,,search,,,\n");
        let with = |operations: &str, routes: &str| {
            problems(&[("grants", &grant(operations)), ("routes", routes)]).len()
        };
        let named = "path,method,api,operation\n/m,GET,messages,list\n/n,PUT,messages,\n";
        assert_eq!(with("list|write", named), 0);
        assert_eq!(
            with("read", named),
            1,
            "the method of a route that names an operation is not asked"
        );
        assert_eq!(with("read|write|delete|unknown|propfind", "path,api\n/m,messages\n"), 0);
        // Without routes an api is reached by logs that name it, and they name operations too.
        let found = problems(&[("grants", &grant("list")), ("routes", "path,api\n")]);
        assert!(found.len() == 1 && found[0].contains("no routes"), "{found:?}");
    }

    #[test]
    fn only_the_rows_that_count_now_are_odd() {
        good_grant("g,seekly,messages,list,,,,,,,\ng,seekly,messages,read,,,,search,,,2018-01-01");
    }

    #[test]
    fn what_check_passes_can_be_built() {
        let register = build(&tables(&[]), None, 0);
        assert_eq!(register.counts.credentials, 2);
        assert_eq!(register.grants.len(), 1);
    }
}
