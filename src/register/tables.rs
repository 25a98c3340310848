//! The register's tables as typed rows, each with its line, and what is unreadable in them.
//!
//! A source hands over headers and cells; where they come from is not known here, nor what
//! rows mean to each other: that is `check`, `build` and `digest`.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::credential;
use super::problem::{Problem, quoted};
use super::routes::Template;
use super::{ApiRow, Operations, PurposeRow, target};
use crate::nearest::{nearest, similar};
use crate::time::{Instant, odd_unix_seconds, parse_table_instant};

/// The tables of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Partners,
    Credentials,
    Apis,
    Routes,
    Grants,
    Purposes,
    Consents,
}

impl Table {
    pub(super) const ALL: [Table; 7] = [
        Table::Partners,
        Table::Credentials,
        Table::Apis,
        Table::Routes,
        Table::Grants,
        Table::Purposes,
        Table::Consents,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Table::Partners => "partners",
            Table::Credentials => "credentials",
            Table::Apis => "apis",
            Table::Routes => "routes",
            Table::Grants => "grants",
            Table::Purposes => "purposes",
            Table::Consents => "consents",
        }
    }

    /// Whether a register without it is refused.
    pub(super) const fn is_needed(self) -> bool {
        matches!(self, Table::Partners | Table::Credentials | Table::Apis | Table::Grants)
    }

    /// A cell's text as a message may quote it. Where columns change places a key or a person stands in any of
    /// these tables' cells.
    pub(super) fn quoted(self, text: &str) -> String {
        match self {
            Table::Credentials | Table::Consents => "something else".to_owned(),
            _ => quoted(text),
        }
    }

    const fn columns(self) -> &'static [&'static str] {
        match self {
            Table::Partners => &["partner", "name", "contact", "recorded_at"],
            Table::Credentials => {
                &["credential", "valid_from", "partner", "valid_until", "recorded_at"]
            }
            Table::Apis => &[
                "api",
                "name",
                "data_class",
                "access",
                "consent",
                "dormant_since",
                "propagation_s",
                "recorded_at",
            ],
            Table::Routes => &["host", "method", "path", "api", "operation", "recorded_at"],
            Table::Grants => &[
                "grant",
                "partner",
                "api",
                "operations",
                "granted_at",
                "expires_at",
                "revoked_at",
                "purpose",
                "certified_until",
                "overrides_consent",
                "justification",
                "recorded_at",
            ],
            Table::Purposes => &["purpose", "name", "ended_at", "recorded_at"],
            Table::Consents => &["subject", "partner", "api", "at", "state", "recorded_at"],
        }
    }

    /// The columns that must be there and filled.
    const fn needed_columns(self) -> &'static [&'static str] {
        match self {
            Table::Partners => &["partner"],
            Table::Credentials => &["credential", "partner"],
            Table::Apis => &["api"],
            Table::Routes => &["path", "api"],
            Table::Grants => &["grant", "partner", "api", "operations"],
            Table::Purposes => &["purpose"],
            Table::Consents => &["subject", "partner", "api", "at", "state"],
        }
    }
}

/// One row of a table: a version of what its key stands for.
#[derive(Clone, Debug)]
pub(super) struct Row<T> {
    /// Its line in the file, the header being 1.
    pub(super) line: u64,
    /// When it was recorded; `None`: always known.
    pub(super) recorded_at: Option<Instant>,
    /// Whether every cell was readable. If not, those that were not hold an empty value,
    /// and the row only shows which ids exist and which it refers to.
    pub(super) sound: bool,
    pub(super) cells: T,
}

#[derive(Clone, Debug)]
pub(super) struct PartnerCells {
    pub(super) partner: String,
    pub(super) name: Option<String>,
    pub(super) contact: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct CredentialCells {
    pub(super) digest: [u8; 32],
    /// Masked.
    pub(super) shown: String,
    /// Whether the row holds the hash, not the credential itself.
    pub(super) is_hash: bool,
    pub(super) valid_from: Option<Instant>,
    pub(super) partner: String,
    pub(super) valid_until: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(super) struct ApiCells {
    pub(super) api: String,
    pub(super) row: ApiRow,
}

#[derive(Clone, Debug)]
pub(super) struct RouteCells {
    pub(super) host: Option<String>,
    pub(super) method: Option<String>,
    pub(super) template: Template,
    pub(super) api: String,
    pub(super) operation: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct GrantCells {
    pub(super) grant: String,
    pub(super) partner: String,
    pub(super) api: String,
    pub(super) operations: Operations,
    pub(super) granted_at: Option<Instant>,
    pub(super) expires_at: Option<Instant>,
    pub(super) revoked_at: Option<Instant>,
    pub(super) purpose: Option<String>,
    pub(super) certified_until: Option<Instant>,
    pub(super) overrides_consent: bool,
    pub(super) justification: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct PurposeCells {
    pub(super) purpose: String,
    pub(super) row: PurposeRow,
}

#[derive(Clone, Debug)]
pub(super) struct ConsentCells {
    pub(super) subject: String,
    /// `None`: `*`.
    pub(super) partner: Option<String>,
    /// `None`: `*`.
    pub(super) api: Option<String>,
    pub(super) at: Instant,
    pub(super) given: bool,
}

/// All tables of a register as read, rows in the order of their files, all versions.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// What each table is called in problems, by its place in [`Table::ALL`].
    files: [String; Table::ALL.len()],
    pub(super) partners: Vec<Row<PartnerCells>>,
    pub(super) credentials: Vec<Row<CredentialCells>>,
    pub(super) apis: Vec<Row<ApiCells>>,
    pub(super) routes: Vec<Row<RouteCells>>,
    pub(super) grants: Vec<Row<GrantCells>>,
    pub(super) purposes: Vec<Row<PurposeCells>>,
    pub(super) consents: Vec<Row<ConsentCells>>,
    /// Tables of which no rows, or not all, could be read: nothing follows from what they lack.
    unread: BTreeSet<Table>,
    /// What was unreadable, in the order in which it was met.
    pub(super) problems: Vec<Problem>,
}

impl Tables {
    /// What the table is called in problems.
    pub(super) fn file(&self, table: Table) -> &str {
        &self.files[table as usize]
    }

    /// Adds a problem for which no rows of the table, or not all, can be read.
    pub(super) fn refuse(&mut self, table: Table, problem: Problem) {
        self.unread.insert(table);
        self.problems.push(problem);
    }

    /// Whether all rows of the table could be read, or it may be absent and is.
    pub(super) fn is_read(&self, table: Table) -> bool {
        !self.unread.contains(&table)
    }

    /// Whether any row says when it was recorded.
    pub(super) fn is_versioned(&self) -> bool {
        fn any<T>(rows: &[Row<T>]) -> bool {
            rows.iter().any(|row| row.recorded_at.is_some())
        }
        any(&self.partners)
            || any(&self.credentials)
            || any(&self.apis)
            || any(&self.routes)
            || any(&self.grants)
            || any(&self.purposes)
            || any(&self.consents)
    }

    /// Sorts the rows of each table by what they stand for, then by when they were recorded, those alike as in their file.
    /// Nothing depends on it: whoever sorts them again for a question of their own is done soon.
    pub(super) fn sort(&mut self) {
        macro_rules! sort {
            ($rows:ident, $($cell:ident),+) => {
                self.$rows.par_sort_by(|a, b| {
                    ($(&a.cells.$cell,)+ a.recorded_at).cmp(&($(&b.cells.$cell,)+ b.recorded_at))
                });
            };
        }
        sort!(partners, partner);
        sort!(credentials, digest, valid_from);
        sort!(apis, api);
        sort!(routes, host, method, template);
        sort!(grants, grant);
        sort!(purposes, purpose);
        sort!(consents, subject, partner, api, at);
    }

    /// Says what the table is called in problems, also where it turns out to be missing.
    pub(super) fn set_file(&mut self, table: Table, file: String) {
        self.files[table as usize] = file;
    }
}

/// Where a table's columns stand, as its header has it.
#[derive(Debug)]
pub(super) struct Layout {
    table: Table,
    /// Where in a row each of the table's columns stands.
    places: Vec<Option<usize>>,
    /// How many cells a row has; `None` if the header could not be read, and no row can.
    width: Option<usize>,
}

impl Layout {
    /// Reads the header, which stands in `line`.
    pub(super) fn read(tables: &mut Tables, table: Table, line: u64, header: &[&str]) -> Layout {
        let columns = table.columns();
        let mut places = vec![None; columns.len()];
        if let [one] = header
            && let Some(separator) = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")]
                .into_iter()
                .find_map(|(c, name)| one.contains(c).then_some(name))
        {
            let message = format!("found {separator} between the columns, expected commas");
            let problem = Problem::error(tables.file(table), message).row(line);
            tables.refuse(table, problem.hint("save the file with commas between the columns"));
            return Layout { table, places, width: None };
        }
        let mut problems = Vec::new();
        let problem = |message| Problem::error(tables.file(table), message).row(line);
        for (place, name) in header.iter().map(|name| name.trim()).enumerate() {
            match columns.iter().position(|column| *column == name) {
                Some(i) if places[i].is_none() => places[i] = Some(place),
                Some(_) => {
                    problems.push(problem("found this column twice".into()).column(name));
                }
                None => problems.push(unknown_column(&problem, table, name)),
            }
        }
        let is_missing = |name: &&&str| !header.iter().any(|found| found.trim() == **name);
        let missing: Vec<Problem> = table
            .needed_columns()
            .iter()
            .filter(is_missing)
            .map(|name| problem(format!("found no column {name:?}, which must be there")))
            .collect();
        tables.problems.extend(problems);
        missing.into_iter().for_each(|problem| tables.refuse(table, problem));
        Layout { table, places, width: Some(header.len()) }
    }

    /// Takes in one row. Lines count from 1, the header's.
    pub(super) fn row(&self, tables: &mut Tables, line: u64, texts: &[&str]) {
        let file = &tables.files[self.table as usize];
        let Some(width) = self.width else { return };
        if texts.len() != width {
            let message = format!("found {} fields, expected {width}", texts.len());
            tables.problems.push(Problem::error(file, message).row(line));
            return;
        }
        let mut cells = Cells {
            next: 0,
            file,
            line,
            table: self.table,
            places: &self.places,
            texts,
            sound: true,
            problems: &mut tables.problems,
        };
        let recorded_at = cells.instant("recorded_at");
        macro_rules! push {
            ($rows:ident, $read:ident) => {
                if let Some(read) = $read(&mut cells) {
                    let sound = cells.sound;
                    tables.$rows.push(Row { line, recorded_at, sound, cells: read });
                }
            };
        }
        match self.table {
            Table::Partners => push!(partners, partner),
            Table::Credentials => push!(credentials, credential),
            Table::Apis => push!(apis, api),
            Table::Routes => push!(routes, route),
            Table::Grants => push!(grants, grant),
            Table::Purposes => push!(purposes, purpose),
            Table::Consents => push!(consents, consent),
        }
    }
}

fn unknown_column(problem: &impl Fn(String) -> Problem, table: Table, name: &str) -> Problem {
    let columns = || table.columns().iter().copied();
    let known = nearest(name, columns()).unwrap_or_default();
    if name.is_empty() {
        return problem("found a column without a name".into())
            .hint("remove the column or name it");
    }
    // Where the header is missing its place is taken by a row of values; what is nearly a column's name is none.
    let found = if similar(name, columns()).is_some() { quoted(name) } else { table.quoted(name) };
    problem(format!("found the unknown column {found}, the nearest known one is {known:?}"))
        .hint(format!("rename it to {known:?} or remove it"))
}

/// The cells of one row, read by the names of their columns. What is unreadable becomes a problem.
struct Cells<'a> {
    /// The index of the column behind the one asked for last: most rows are read in the order of their columns.
    next: usize,
    file: &'a str,
    line: u64,
    table: Table,
    places: &'a [Option<usize>],
    texts: &'a [&'a str],
    sound: bool,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Cells<'a> {
    fn problem(&mut self, column: &str, message: impl Into<String>) -> &mut Problem {
        self.sound = false;
        self.problems.push(Problem::error(self.file, message).row(self.line).column(column));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// What a legal cell has that is odd.
    fn odd(&mut self, column: &str, message: impl Into<String>) {
        let problem = Problem::error(self.file, message).row(self.line).column(column);
        self.problems.push(problem.warning());
    }

    /// A cell's text as a message may quote it.
    fn quoted(&self, text: &str) -> String {
        self.table.quoted(text)
    }

    /// The index of a column of the table.
    fn column(&mut self, name: &str) -> Option<usize> {
        let columns = self.table.columns();
        let is_it = |index: &usize| columns[*index] == name;
        let index = (self.next..columns.len()).chain(0..self.next).find(is_it)?;
        self.next = (index + 1) % columns.len();
        Some(index)
    }

    /// The cell's text without spaces around it; `None` if it is blank or its column left out.
    /// A blank that must be filled is a problem, once: a column left out has one already.
    fn bare(&mut self, name: &str) -> Option<&'a str> {
        let is_needed = |table: Table| table.needed_columns().contains(&name);
        let index = self.column(name)?;
        let Some(place) = self.places[index] else {
            self.sound &= !is_needed(self.table);
            return None;
        };
        let text = self.texts[place].trim();
        if text.is_empty() {
            if is_needed(self.table) {
                self.problem(name, "found a blank, which must be filled");
            }
            return None;
        }
        Some(text)
    }

    /// As [`Cells::bare`], to be kept.
    fn text(&mut self, name: &str) -> Option<String> {
        self.bare(name).map(str::to_owned)
    }

    fn instant(&mut self, name: &str) -> Option<Instant> {
        let text = self.bare(name)?;
        let odd = odd_unix_seconds(text);
        let instant = parse_table_instant(text).ok().filter(|_| odd.is_none());
        if instant.is_none() {
            let found = self.quoted(text);
            let odd = odd.map_or_else(String::new, |odd| format!("; as seconds {odd}"));
            let expected = "an instant: RFC 3339 with an offset, YYYY-MM-DD or Unix seconds";
            self.problem(name, format!("found {found}, expected {expected}{odd}"));
        }
        instant
    }

    /// Which of two words the cell has; `None` if it is blank or neither.
    fn word(&mut self, name: &str, words: [&str; 2]) -> Option<bool> {
        let text = self.bare(name)?;
        let [yes, no] = words;
        if text == yes || (text == no && !no.is_empty()) {
            return Some(text == yes);
        }
        let other = if no.is_empty() { "a blank".to_owned() } else { format!("{no:?}") };
        let found = self.quoted(text);
        self.problem(name, format!("found {found}, expected {yes:?} or {other}"));
        None
    }

    fn seconds(&mut self, name: &str) -> Option<u64> {
        let text = self.bare(name)?;
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let seconds = text.parse().ok().filter(|_| digits);
        if seconds.is_none() {
            self.problem(
                name,
                format!("found {}, expected whole seconds, 0 or more", quoted(text)),
            );
        }
        seconds
    }

    /// The cell's id; `None` for `*`.
    fn id_or_any(&mut self, name: &str) -> Option<String> {
        self.text(name).filter(|text| text != "*")
    }
}

fn partner(cells: &mut Cells<'_>) -> Option<PartnerCells> {
    let (name, contact) = (cells.text("name"), cells.text("contact"));
    Some(PartnerCells { partner: cells.text("partner")?, name, contact })
}

fn credential(cells: &mut Cells<'_>) -> Option<CredentialCells> {
    let (valid_from, valid_until) = (cells.instant("valid_from"), cells.instant("valid_until"));
    let (credential, partner) = (cells.text("credential"), cells.text("partner"));
    let text = credential?;
    let is_hash = credential::is_hash(&text);
    let prefix = text.get(.."sha256:".len()).unwrap_or("");
    let hex = text.get(prefix.len()..).unwrap_or("");
    // Other tools write `sha256=` and `sha256-`. No key looks like that by chance.
    let is_respelt = prefix.eq_ignore_ascii_case("sha256:")
        || (prefix.get(..6).is_some_and(|name| name.eq_ignore_ascii_case("sha256"))
            && hex.len() == 64
            && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_respelt && credential::hashed(&text).is_none() {
        cells.problem("credential", format!("found {prefix}, expected sha256: in lower case"));
    }
    if credential::hashed(&text).is_some() && !is_hash {
        let found = credential::mask(&text);
        cells.problem(
            "credential",
            format!("found sha256: and {found}, expected 64 hex digits behind sha256:"),
        );
    }
    if let (Some(from), Some(until)) = (valid_from, valid_until)
        && until <= from
    {
        cells.odd(
            "valid_until",
            format!("found {until}, at or before valid_from: it is never valid"),
        );
    }
    Some(CredentialCells {
        digest: credential::credential_digest(&text),
        shown: credential::mask(&text),
        is_hash,
        valid_from,
        partner: partner.unwrap_or_default(),
        valid_until,
    })
}

fn api(cells: &mut Cells<'_>) -> Option<ApiCells> {
    let row = ApiRow {
        name: cells.text("name"),
        data_class: cells.text("data_class"),
        open: cells.word("access", ["open", ""]).unwrap_or(false),
        consent_required: cells.word("consent", ["required", ""]).unwrap_or(false),
        dormant_since: cells.instant("dormant_since"),
        propagation_s: cells.seconds("propagation_s"),
    };
    Some(ApiCells { api: cells.text("api")?, row })
}

fn route(cells: &mut Cells<'_>) -> Option<RouteCells> {
    let (host, method) = (route_host(cells), route_method(cells));
    let template = template(cells).unwrap_or_default();
    let (api, operation) = (cells.text("api").unwrap_or_default(), cells.text("operation"));
    if let Some(word) = operation.as_ref().filter(|word| word.contains(['|', '*'])) {
        let message = format!(
            "found {}, which is taken as the name of one operation: only grants list several",
            quoted(word)
        );
        cells.odd("operation", message);
    }
    Some(RouteCells { host, method, template, api, operation })
}

fn route_host(cells: &mut Cells<'_>) -> Option<String> {
    let text = cells.text("host")?;
    let host = target::legible_host(&text);
    if host.is_none() {
        let message = format!("found {}, expected a host name, or a blank for any", quoted(&text));
        cells.problem("host", message);
    }
    host
}

fn route_method(cells: &mut Cells<'_>) -> Option<String> {
    let text = cells.text("method")?;
    let legible = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !legible {
        let message = format!("found {}, expected one method, or a blank for any", quoted(&text));
        cells.problem("method", message);
    }
    legible.then(|| text.to_ascii_uppercase())
}

fn template(cells: &mut Cells<'_>) -> Option<Template> {
    let path = cells.text("path")?;
    let (host, rest) = target::cut(&path);
    if host.is_some() {
        cells.odd(
            "path",
            "found a full URL, of which only the path counts; the host has its column",
        );
    }
    if path.contains(['?', '#']) {
        cells.odd("path", "found a query or fragment, which routes leave out");
    }
    let foreign = |part: &str| part.len() > 1 && (part.starts_with(':') || part.starts_with('<'));
    if rest.split('/').any(foreign) {
        let found = format!("found {}, of which each part stands for itself", quoted(&path));
        cells.odd("path", format!("{found}; a placeholder is written {{name}}"));
    }
    if rest.split('/').any(|part| part != "*" && part.contains('*') && !part.contains('{')) {
        cells.odd("path", "found a \"*\" that is no segment of its own: it stands for itself");
    }
    match Template::parse(&path) {
        Ok(template) => Some(template),
        Err(message) => {
            cells.problem("path", message);
            None
        }
    }
}

fn grant(cells: &mut Cells<'_>) -> Option<GrantCells> {
    let (grant, partner, api) = (cells.text("grant"), cells.text("partner"), cells.text("api"));
    let operations = operations(cells);
    let granted_at = cells.instant("granted_at");
    let (expires_at, revoked_at) = (cells.instant("expires_at"), cells.instant("revoked_at"));
    for (name, end) in [("expires_at", expires_at), ("revoked_at", revoked_at)] {
        if let (Some(start), Some(end)) = (granted_at, end)
            && end <= start
        {
            let found = format!("found {end}, at or before granted_at, which is {start}");
            let problem = cells.problem(name, format!("{found}; expected a later instant"));
            problem.hint = Some("a grant that never was has no row".into());
        }
    }
    let purpose = cells.text("purpose");
    let certified_until = cells.instant("certified_until");
    let overrides_consent = cells.word("overrides_consent", ["true", "false"]).unwrap_or(false);
    let justification = cells.text("justification");
    Some(GrantCells {
        grant: grant.unwrap_or_default(),
        partner: partner.unwrap_or_default(),
        api: api.unwrap_or_default(),
        operations: operations.unwrap_or(Operations::Named(Vec::new())),
        granted_at,
        expires_at,
        revoked_at,
        purpose,
        certified_until,
        overrides_consent,
        justification,
    })
}

fn operations(cells: &mut Cells<'_>) -> Option<Operations> {
    let text = cells.bare("operations")?;
    if text == "*" {
        return Some(Operations::All);
    }
    let mut names: Vec<String> = text.split('|').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        let found = format!("found {}, with an empty operation", quoted(text));
        cells.problem("operations", format!("{found}; expected names with | between them, or *"));
    }
    if names.iter().any(|name| name == "*") {
        let found = format!("found {}, with a * among others", quoted(text));
        cells.problem("operations", format!("{found}; expected * alone, or names"));
    }
    if names.iter().any(|name| name.contains([' ', ',', ';'])) {
        let found = format!("found {}, taken as one operation", quoted(text));
        cells.odd("operations", format!("{found}; several have | between them"));
    }
    names.sort_unstable();
    names.dedup();
    Some(Operations::Named(names))
}

fn purpose(cells: &mut Cells<'_>) -> Option<PurposeCells> {
    let row = PurposeRow { name: cells.text("name"), ended_at: cells.instant("ended_at") };
    Some(PurposeCells { purpose: cells.text("purpose")?, row })
}

fn consent(cells: &mut Cells<'_>) -> Option<ConsentCells> {
    let subject = cells.text("subject");
    if subject.as_deref() == Some("*") {
        let message = "found \"*\", which is taken as the name of one person: only partner and api can be any";
        cells.odd("subject", message);
    }
    let (partner, api) = (cells.id_or_any("partner"), cells.id_or_any("api"));
    let at = cells.instant("at");
    let given = cells.word("state", ["given", "withdrawn"]);
    Some(ConsentCells {
        subject: subject.unwrap_or_default(),
        partner,
        api,
        at: at.unwrap_or(Instant::MIN),
        given: given.unwrap_or(false),
    })
}
