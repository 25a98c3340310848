//! Everything that is wrong with a register, or legal but odd, told at once.
//!
//! What is unreadable the tables know already; here is what rows mean to each other.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut partners = Known::new("partner", tables.partners.iter().map(|r| &*r.cells.partner));
    let mut apis = Known::new("api", tables.apis.iter().map(|r| &*r.cells.api));
    let mut purposes = Known::new("purpose", tables.purposes.iter().map(|r| &*r.cells.purpose));
    let mut refer = |table: Table, line: u64, known: &mut Known<'_>, name: &str| {
        if let Some((message, hint)) = known.unknown(name) {
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
    noun: &'static str,
    ids: BTreeSet<&'t str>,
    hints: BTreeMap<String, Option<String>>,
}

impl<'t> Known<'t> {
    fn new(noun: &'static str, ids: impl Iterator<Item = &'t str>) -> Known<'t> {
        Known { noun, ids: ids.collect(), hints: BTreeMap::new() }
    }

    /// What to say of an id that is not known, and a remedy.
    fn unknown(&mut self, id: &str) -> Option<(String, Option<String>)> {
        if self.ids.contains(id) {
            return None;
        }
        let hint = match self.hints.get(id) {
            Some(hint) => hint.clone(),
            None => {
                let near = similar(id, self.ids.iter().copied());
                let hint = near.map(|near| format!("did you mean {}?", quoted(near)));
                self.hints.insert(id.to_owned(), hint.clone());
                hint
            }
        };
        let noun = self.noun;
        Some((format!("found {}, expected a {noun} of the {noun}s table", quoted(id)), hint))
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
        let mut first_lines = BTreeMap::new();
        for row in rows.iter().filter(|row| row.sound) {
            let first = *first_lines.entry((key(&row.cells), row.recorded_at)).or_insert(row.line);
            if first != row.line {
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
    let holders: BTreeSet<&str> =
        counting(&credentials).map(|row| row.cells.partner.as_str()).collect();
    for row in counting(&known(&tables.partners, None, |cells| &cells.partner)) {
        if !holders.contains(row.cells.partner.as_str()) {
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
        if !by_api.contains_key(row.cells.api.as_str()) {
            let message = format!("found {}, which has no routes", quoted(&row.cells.api));
            warn(Table::Apis, row.line, "api", message);
        }
    }
    for row in counting(&known(&tables.grants, None, |cells| &cells.grant)) {
        let cells = &row.cells;
        if row.sound && cells.purpose.is_none() {
            let message = format!("found {} without a purpose", quoted(&cells.grant));
            warn(Table::Grants, row.line, "purpose", message);
        }
        let (Operations::Named(names), Some(routes)) =
            (&cells.operations, by_api.get(cells.api.as_str()))
        else {
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
}

/// Whether a call through the route may be of that operation, if the log names none.
fn yields(route: &RouteCells, operation: &str) -> bool {
    match (&route.operation, &route.method) {
        (Some(named), _) => named == operation,
        (None, Some(method)) => operation_of_method(Some(method)) == operation,
        (None, None) => OPERATIONS_OF_ANY_METHOD.contains(&operation),
    }
}
