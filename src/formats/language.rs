//! The language of `[formats.NAME]`: TOML → plan and fields, with every key checked.
//!
//! Knows no lines. What is wrong with a format is told before the first one is read.

use std::collections::BTreeMap;

use toml::Value;

use crate::call::Outcome;
use crate::error::{Error, Problems, Result};
use crate::formats::plan::Plan;
use crate::nearest::did_you_mean;
use crate::parse::fields::{
    AtSource, Fields, LatencySource, Origin, RoutedSources, Source, Status, StatusSource, Unit,
};
use crate::parse::instant::{TimeForm, Zone};
use crate::parse::pattern::{self, Role};
use crate::parse::table::Table;
use crate::parse::{Name, csv, json, logfmt, ltsv, regex, w3c};

/// The call fields a format can map, as its keys. Two are none: `query` is a part of `path`, for logs that keep
/// the query string apart, and `is_call` says which records are calls.
const FIELDS: [&str; 18] = [
    "is_call",
    "at",
    "credential",
    "method",
    "path",
    "query",
    "host",
    "api",
    "operation",
    "status",
    "outcome",
    "bytes",
    "latency",
    "subject",
    "actor",
    "remote_addr",
    "user_agent",
    "request_id",
];

/// The keys of a format that are no call fields, for every kind.
const COMMON_KEYS: [&str; 6] = ["kind", "zone", "outcomes", "requires", "otherwise", "dedupe"];

/// The kinds, with the keys that only they have.
const KINDS: [(&str, &[&str]); 8] = [
    ("json", &["headers", "embedded", "prefixed"]),
    ("json-records", &["records", "headers", "embedded", "prefixed"]),
    ("pattern", &["pattern", "prefixed"]),
    ("csv", &["columns", "header", "delimiter", "flexible"]),
    ("w3c", &[]),
    ("ltsv", &["prefixed"]),
    ("logfmt", &[]),
    ("regex", &["regex", "escapes", "prefixed"]),
];

/// More than any variable's rank.
const RANKS: u8 = 100;

/// Among sources of `path`, the rank up to which one holds the query too.
const WHOLE_TARGET_RANK: u8 = 1;

/// Compiles a format's table, or tells all that is wrong with it.
pub(super) fn compile(
    name: &str,
    table: &toml::Table,
) -> std::result::Result<(Plan, Fields), Problems> {
    let at = format!("formats.{name}");
    let (kind, own_keys) = kind_of(&at, table).map_err(|error| Problems(vec![error]))?;
    let known = || FIELDS.iter().chain(&COMMON_KEYS).chain(own_keys).copied();
    let strange = table.keys().filter(|key| !known().any(|known| known == *key));
    let mut problems = Problems(strange.map(|key| unknown(&at, "key", key, known())).collect());
    let Some(plan) = problems.note(plan(kind, &at, table)) else {
        // What does not hang on the plan is told with it.
        problems.note(zone(&at, table));
        return Err(problems);
    };
    let mut compiler = Compiler { at, table, plan };
    let mut fields = compiler.fields(&mut problems);
    compiler.map_well_known(&mut fields);
    // A field that is mapped in a way that can't be read is told already.
    let missing = |field: &str| !table.contains_key(field);
    if fields.at.is_empty() && missing("at") {
        problems.0.push(compiler.no_time());
    }
    if fields.path.is_empty() && fields.api.is_empty() && missing("path") && missing("api") {
        let error = Error::new(format!("{}: neither `path` nor `api`", compiler.at));
        problems.0.push(error.hint("map `path` to the field that holds the request target, or `api` to the one that names it"));
    }
    if problems.0.is_empty() { Ok((compiler.plan, fields)) } else { Err(problems) }
}

/// The table of the format that lines are read in which are not of a format's own kind, if it names one.
///
/// # Errors
///
/// If it is no table, or if the one of the two reads other lines than the other.
pub(super) fn otherwise<'t>(name: &str, table: &'t toml::Table) -> Result<Option<&'t toml::Table>> {
    let at = format!("formats.{name}");
    let other = match table.get("otherwise") {
        None => return Ok(None),
        Some(Value::Table(other)) => other,
        Some(value) => return Err(wrong_type(&at, "otherwise", value, "a format, as a table")),
    };
    let kind_in =
        |table: &toml::Table| table.get("kind").and_then(Value::as_str).map(str::to_owned);
    let frames_alone = |table: &toml::Table| {
        kind_in(table).as_deref() == Some("json-records") || table.contains_key("header")
    };
    let refused = |message: &str| Err(Error::new(format!("{at}: otherwise: {message}")));
    if frames_alone(table) || frames_alone(other) {
        return refused("kind `json-records`, and `header = true`, stand alone");
    }
    match kind_in(other).as_deref() {
        Some("w3c") => refused("kind `w3c` must be the first of the two"),
        _ => Ok(Some(other)),
    }
}

/// Whether the records of a format are commonly delivered twice.
///
/// # Errors
///
/// If it says so in another way than by `true` or `false`.
pub(super) fn dedupe(name: &str, table: &toml::Table) -> Result<bool> {
    Ok(boolean(&format!("formats.{name}"), table, "dedupe")?.unwrap_or(false))
}

/// Whether lines may have something of syslog or a container runtime in front. Of JSON the plan itself takes care.
///
/// # Errors
///
/// If it is neither true nor false.
pub(super) fn prefixed(name: &str, table: &toml::Table) -> Result<bool> {
    let is_json =
        table.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("json"));
    Ok(boolean(&format!("formats.{name}"), table, "prefixed")?.unwrap_or(false) && !is_json)
}

/// A format's kind, and the keys that only it has.
fn kind_of<'t>(at: &str, table: &'t toml::Table) -> Result<(&'t str, &'static [&'static str])> {
    let kind = match table.get("kind") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(other) => return Err(wrong_type(at, "kind", other, "a string")),
        None => {
            let kinds = KINDS.map(|(kind, _)| kind).join(", ");
            return Err(Error::new(format!("{at}: no `kind`"))
                .hint(format!("set `kind` to one of {kinds}")));
        }
    };
    let known = KINDS.iter().find(|(known, _)| *known == kind);
    known.map(|(_, keys)| (kind, *keys)).ok_or_else(|| {
        let kinds = KINDS.iter().map(|(known, _)| *known);
        unknown(at, "kind", kind, kinds)
    })
}

/// The plan of a kind's own keys, not yet asked for anything.
fn plan(kind: &str, at: &str, table: &toml::Table) -> Result<Plan> {
    let refused = |key: &str, message: String| Error::new(format!("{at}: {key}: {message}"));
    Ok(match kind {
        "pattern" => {
            let text = needed(string(at, table, "pattern")?, at, "pattern")?;
            let plan = pattern::Plan::new(text).map_err(|error| {
                refused("pattern", format!("{}: {}", place_in(text, error.column), error.message))
            })?;
            Plan::Pattern(plan)
        }
        "csv" => {
            let has_header = boolean(at, table, "header")?.unwrap_or(false);
            let columns = strings(at, table, "columns")?;
            let delimiter = match string(at, table, "delimiter")? {
                None => ',',
                Some(text) => single(text).ok_or_else(|| {
                    refused("delimiter", format!("found `{text}`, expected one character"))
                })?,
            };
            let flexible = boolean(at, table, "flexible")?.unwrap_or(false);
            let plan = match (columns, has_header) {
                (None, true) => csv::Plan::with_header(delimiter, flexible),
                (Some(columns), false) => csv::Plan::new(delimiter, &columns, flexible),
                (Some(_), true) => {
                    return Err(Error::new(format!(
                        "{at}: found `columns` and `header = true`, expected one of them"
                    ))
                    .hint("the first line of each log names the columns, or the format does"));
                }
                (None, false) => {
                    return Err(Error::new(format!("{at}: no `columns`")).hint(
                        "list the columns' names in their order: columns = [\"time\", \"path\"], or say `header = true` where the first line of each log does",
                    ));
                }
            };
            Plan::Csv(plan.map_err(|message| Error::new(format!("{at}: {message}")))?)
        }
        "ltsv" => Plan::Ltsv(ltsv::Plan::default()),
        "logfmt" => Plan::Logfmt(logfmt::Plan::default()),
        "regex" => {
            let text = needed(string(at, table, "regex")?, at, "regex")?;
            let escapes = boolean(at, table, "escapes")?.unwrap_or(false);
            let plan = regex::Plan::new(text, escapes);
            Plan::Regex(plan.map_err(|message| refused("regex", message))?)
        }
        "w3c" => Plan::W3c(w3c::Plan::default()),
        _ => {
            let prefixed = boolean(at, table, "prefixed")?.unwrap_or(false);
            let embedded = match table.get("embedded") {
                Some(Value::String(name)) => vec![name.as_str()],
                _ => strings(at, table, "embedded")?.unwrap_or_default(),
            };
            if embedded.contains(&"") {
                return Err(refused("embedded", "a field name is empty".to_owned()));
            }
            let plan = json::Plan::new(string(at, table, "headers")?, &embedded, prefixed);
            match kind {
                "json-records" => {
                    let names =
                        needed(strings(at, table, "records")?, at, "records").map_err(|error| {
                            error.hint(
                                "name the arrays that hold the records: records = [\"Records\"]",
                            )
                        })?;
                    Plan::JsonRecords(plan, names.into_iter().map(str::to_owned).collect())
                }
                _ => Plan::Json(plan),
            }
        }
    })
}

/// Where the path and the method are found in a variable of that meaning.
fn origin_of(role: &Role, slot: usize) -> Origin {
    match role {
        Role::Request => Origin::RequestLine(slot),
        Role::Path => Origin::Decoded { slot, query: false },
        Role::PathAndQuery { .. } => Origin::Decoded { slot, query: true },
        _ => Origin::Slot(slot),
    }
}

/// The unit of that name: `s`, `written`, `written or s`.
fn unit_from(word: &str) -> Option<Unit> {
    let power = |name: &str| match name {
        "s" => Some(9),
        "ms" => Some(6),
        "us" => Some(3),
        "ns" => Some(0),
        _ => None,
    };
    match word.strip_prefix("written") {
        Some("") => Some(Unit::Written { or: None }),
        Some(rest) => Some(Unit::Written { or: Some(power(rest.strip_prefix(" or ")?)?) }),
        None => power(word).map(Unit::Power),
    }
}

/// The zone of times without an offset, where the format sets one.
fn zone(at: &str, table: &toml::Table) -> Result<Option<Zone>> {
    let Some(text) = string(at, table, "zone")? else { return Ok(None) };
    let zone = Zone::parse(text).ok_or_else(|| {
        Error::new(format!("{at}: zone: unknown time zone `{text}`"))
            .hint("give an IANA name such as Europe/Berlin, or an offset such as +02:00")
    })?;
    Ok(Some(zone))
}

/// A place in a pattern for people: its column, and its line where there are several.
fn place_in(pattern: &str, column: usize) -> String {
    if !pattern.trim_end().contains('\n') {
        return format!("column {column}");
    }
    let before: String = pattern.chars().take(column.saturating_sub(1)).collect();
    let line = before.matches('\n').count() + 1;
    let in_line = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("its line {line}, column {in_line}")
}

struct Compiler<'t> {
    /// Where it stands, for messages.
    at: String,
    table: &'t toml::Table,
    plan: Plan,
}

/// One source of a call field, before its options are read.
struct RawSource<'t> {
    from: From<'t>,
    options: Option<&'t toml::Table>,
}

/// Where a source comes from, as written.
enum From<'t> {
    Field(&'t str),
    Query(&'t str),
    Header(&'t str),
    Route(&'t str),
    Constant(&'t str),
    /// The sum of several fields.
    Sum(Vec<&'t str>),
    /// Several fields with blanks between.
    Join(Vec<&'t str>),
}

impl<'t> Compiler<'t> {
    /// The mapped fields; a problem for each key that cannot be read.
    fn fields(&mut self, problems: &mut Problems) -> Fields {
        let zone = problems.note(zone(&self.at, self.table)).flatten();
        let mut texts = |field| problems.note(self.texts(field)).unwrap_or_default();
        Fields {
            zone,
            credential: texts("credential"),
            method: texts("method"),
            path: texts("path"),
            query: texts("query"),
            host: texts("host"),
            api: texts("api"),
            operation: texts("operation"),
            remote_addr: texts("remote_addr"),
            user_agent: texts("user_agent"),
            request_id: texts("request_id"),
            requires: problems.note(self.required()).unwrap_or_default(),
            at: problems.note(self.at_sources()).unwrap_or_default(),
            is_call: problems.note(self.is_call_sources()).unwrap_or_default(),
            outcomes: problems.note(self.outcomes()).unwrap_or_default(),
            status: problems.note(self.status_sources()).unwrap_or_default(),
            outcome: problems.note(self.outcome_sources()).unwrap_or_default(),
            bytes: problems.note(self.plain("bytes")).unwrap_or_default(),
            latency: problems.note(self.latency_sources()).unwrap_or_default(),
            subject: problems.note(self.routed("subject")).unwrap_or_default(),
            actor: problems.note(self.routed("actor")).unwrap_or_default(),
        }
    }

    /// The slots of the fields of which a line must hold one.
    fn required(&mut self) -> Result<Vec<usize>> {
        let names = match self.table.get("requires") {
            None => return Ok(Vec::new()),
            Some(Value::String(name)) => vec![name.as_str()],
            Some(_) => strings(&self.at, self.table, "requires")?.unwrap_or_default(),
        };
        if names.is_empty() || names.contains(&"") {
            return Err(self.error("requires", "found no field's name, expected one or a list"));
        }
        names.into_iter().map(|name| self.slot("requires", &From::Field(name))).collect()
    }

    /// The sources listed for a call field; none if the format does not map it.
    fn sources(&self, field: &str, options: &[&str]) -> Result<Vec<RawSource<'t>>> {
        let one = std::slice::from_ref;
        let values = match self.table.get(field) {
            None => &[],
            Some(Value::Array(list)) if list.is_empty() => {
                return Err(self.error(field, "the list of sources is empty"));
            }
            Some(Value::Array(list)) => list.as_slice(),
            Some(value) => one(value),
        };
        values.iter().map(|value| self.source(field, value, options)).collect()
    }

    fn source(&self, field: &str, value: &'t Value, options: &[&str]) -> Result<RawSource<'t>> {
        let table = match value {
            Value::String(name) => {
                return Ok(RawSource { from: From::Field(name), options: None });
            }
            Value::Table(table) => table,
            other => return Err(wrong_type(&self.at, field, other, "a name or a table")),
        };
        let mut origins = vec!["field", "header"];
        if !matches!(field, "at" | "status" | "bytes" | "latency") {
            origins.push("value");
        }
        let routed = matches!(field, "subject" | "actor");
        if routed || matches!(field, "credential" | "api" | "operation") {
            origins.push("query");
        }
        if routed {
            origins.push("route");
        }
        match field {
            "latency" => origins.push("sum"),
            "at" => origins.push("join"),
            _ => {}
        }
        let place = format!("{}: {field}", self.at);
        let known = || origins.iter().chain(options).copied();
        for key in table.keys() {
            if !known().any(|known| known == key) {
                return Err(unknown(&place, "key", key, known()));
            }
        }
        let mut found = None;
        for origin in &origins {
            if matches!(*origin, "sum" | "join") {
                let Some(names) = strings(&place, table, origin)? else { continue };
                if names.is_empty() || names.contains(&"") {
                    return Err(self.error(field, format!("`{origin}` names no fields")));
                }
                let from = if *origin == "sum" { From::Sum(names) } else { From::Join(names) };
                if found.replace(from).is_some() {
                    return Err(
                        self.error(field, "a source has one place it comes from, found two")
                    );
                }
                continue;
            }
            let Some(name) = string(&place, table, origin)? else { continue };
            let from = match *origin {
                "field" => From::Field(name),
                "header" => From::Header(name),
                "query" => From::Query(name),
                "value" => From::Constant(name),
                _ => From::Route(name),
            };
            if matches!(name, "" | "-") {
                return Err(self.error(field, format!("`{origin}` is empty")));
            }
            if found.replace(from).is_some() {
                return Err(self
                    .error(field, "a source has one place it comes from, found two")
                    .hint("write a list: the first present source counts"));
            }
        }
        let Some(from) = found else {
            return Err(self.error(field, format!("a source names one of {}", origins.join(", "))));
        };
        Ok(RawSource { from, options: Some(table) })
    }

    /// The slot of a source that is a value of the log.
    fn slot(&mut self, field: &str, from: &From<'_>) -> Result<usize> {
        let name = match from {
            From::Field(name) => Name::Field(name),
            From::Header(name) => Name::Header(name),
            From::Query(_) | From::Route(_) | From::Constant(_) | From::Sum(_) | From::Join(_) => {
                return Err(self.error(field, "takes a field or a header only"));
            }
        };
        self.plan.ask(name).map_err(|refused| {
            let error = self.error(field, refused.message);
            match refused.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }

    fn texts(&mut self, field: &str) -> Result<Vec<Source>> {
        self.sources(field, &["map"])?.iter().map(|raw| self.text(field, raw)).collect()
    }

    fn text(&mut self, field: &str, raw: &RawSource<'_>) -> Result<Source> {
        let map = raw.map(&self.at, field)?.map(|map| {
            let entries = map.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned()));
            // Outcomes may be told from codes, which are numbers; all else is words.
            match field {
                "outcome" | "is_call" => Table::of_numbers(entries),
                _ => Table::of_words(entries),
            }
        });
        let origin = match &raw.from {
            From::Query(name) => Origin::Query((*name).to_owned()),
            From::Constant(word) => Origin::Constant((*word).to_owned()),
            from => self.origin(field, from)?,
        };
        Ok(Source { origin, map })
    }

    /// A log's value as origin; what there is of a request in it is known of patterns' variables only.
    fn origin(&mut self, field: &str, from: &From<'_>) -> Result<Origin> {
        let slot = self.slot(field, from)?;
        Ok(match self.plan.role(slot) {
            Some(role) if matches!(field, "path" | "method") => origin_of(role, slot),
            _ => Origin::Slot(slot),
        })
    }

    fn plain(&mut self, field: &str) -> Result<Vec<Source>> {
        let sources = self.sources(field, &[])?;
        sources
            .iter()
            .map(|raw| Ok(Source { origin: Origin::Slot(self.slot(field, &raw.from)?), map: None }))
            .collect()
    }

    fn routed(&mut self, field: &str) -> Result<RoutedSources> {
        let mut sources = RoutedSources::default();
        for raw in &self.sources(field, &["map"])? {
            if let From::Route(name) = raw.from {
                if raw.options.is_some_and(|options| options.contains_key("map")) {
                    return Err(self.error(field, "a placeholder's value takes no `map`"));
                }
                if sources.route.replace(name.to_owned()).is_some() {
                    return Err(self.error(field, "at most one `route` may be listed"));
                }
                continue;
            }
            let source = self.text(field, raw)?;
            match sources.route {
                None => sources.before.push(source),
                Some(_) => sources.after.push(source),
            }
        }
        Ok(sources)
    }

    fn at_sources(&mut self) -> Result<Vec<AtSource>> {
        let mut all = Vec::new();
        for raw in &self.sources("at", &["as", "is"])? {
            let (first, more) = match &raw.from {
                From::Join(names) => (&From::Field(names[0]), &names[1..]),
                from => (from, &[][..]),
            };
            let slot = self.slot("at", first)?;
            let joined = more
                .iter()
                .map(|name| self.slot("at", &From::Field(name)))
                .collect::<Result<_>>()?;
            let form = match raw.option(&self.at, "at", "as")? {
                Some(_) if self.plan.is_joined_time(slot) => {
                    return Err(self
                        .error(
                            "at",
                            "`as` stands beside a time in several directives, which say it",
                        )
                        .hint("leave `as` out"));
                }
                Some(text) => TimeForm::parse(text).map_err(|message| self.error("at", message))?,
                None => self.form_of(slot),
            };
            if let Plan::Pattern(plan) = &mut self.plan {
                plan.set_time(slot, &form);
            }
            let is_end = match raw.option(&self.at, "at", "is")? {
                None => self.is_end(slot),
                Some("start") => false,
                Some("end") => true,
                Some(other) => {
                    return Err(
                        self.error("at", format!("`is` is `{other}`, expected start or end"))
                    );
                }
            };
            all.push(AtSource { slot, joined, form, is_end });
        }
        Ok(all)
    }

    /// Whether a time whose format does not say is that of the response: as the variable's is, where it is well known.
    fn is_end(&self, slot: usize) -> bool {
        matches!(self.plan.role(slot), Some(Role::At { is_end: true, .. }))
    }

    /// Why a format has no time.
    fn no_time(&self) -> Error {
        let error = |message| Error::new(format!("{}: {message}", self.at));
        let partial = match &self.plan {
            Plan::Pattern(plan) => plan.captures().iter().find(|capture| capture.is_partial_time()),
            _ => None,
        };
        match partial {
            Some(capture) => error(format!(
                "no `at`: `%{}` tells no instant, or not in a way that can be read",
                capture.name
            ))
            .hint("date and time of day are one time only where they stand side by side, as in %{%F}t %{%T}t"),
            None => error("no `at`: a call needs its time".to_owned())
                .hint("map `at` to the field that holds the time of the request"),
        }
    }

    /// The form of a time whose format does not say: the variable's own, where it has one.
    fn form_of(&self, slot: usize) -> TimeForm {
        match self.plan.role(slot) {
            Some(Role::At { form, .. }) => form.clone(),
            _ => TimeForm::Auto,
        }
    }

    fn status_sources(&mut self) -> Result<Vec<StatusSource>> {
        // What is wrong with them is told for themselves.
        let outcomes = self.outcomes().unwrap_or_default();
        let mut all = Vec::new();
        for raw in &self.sources("status", &["as", "map"])? {
            let grpc = match raw.option(&self.at, "status", "as")? {
                None | Some("http") => false,
                Some("grpc") => true,
                Some(other) => {
                    return Err(
                        self.error("status", format!("`as` is `{other}`, expected http or grpc"))
                    );
                }
            };
            let map = match raw.map(&self.at, "status")? {
                Some(map) => Some(self.status_map(map, grpc, &outcomes)?),
                None => None,
            };
            all.push(StatusSource { slot: self.slot("status", &raw.from)?, grpc, map });
        }
        Ok(all)
    }

    /// A map to outcomes, or to the status numbers that mean them.
    fn status_map(
        &self,
        map: Vec<(&str, &str)>,
        grpc: bool,
        outcomes: &Table<Outcome>,
    ) -> Result<Table<Status>> {
        let entries: Vec<(String, Status)> = map
            .into_iter()
            .map(|(from, to)| {
                let by_name = Outcome::from_name(to).map(|outcome| {
                    let number = Status::read(from, grpc).and_then(|status| status.number);
                    Status { number, outcome }
                });
                // A code that stands for a status means what `outcomes` makes of that status.
                let by_number = || {
                    let status = Status::read(to, grpc)?;
                    Some(Status { outcome: *outcomes.get(to).unwrap_or(&status.outcome), ..status })
                };
                let status =
                    by_name.or_else(by_number).ok_or_else(|| self.no_outcome("status", to))?;
                Ok((from.to_owned(), status))
            })
            .collect::<Result<_>>()?;
        Ok(Table::of_numbers(entries))
    }

    fn outcome_sources(&mut self) -> Result<Vec<Source>> {
        let sources = self.texts("outcome")?;
        if let Some(word) = words(&sources).find(|word| Outcome::from_name(word).is_none()) {
            return Err(self.no_outcome("outcome", word));
        }
        Ok(sources)
    }

    fn is_call_sources(&mut self) -> Result<Vec<Source>> {
        let sources = self.texts("is_call")?;
        if let Some(word) = words(&sources).find(|word| !matches!(*word, "true" | "false")) {
            return Err(self.error("is_call", format!("`{word}` is neither true nor false")));
        }
        Ok(sources)
    }

    fn outcomes(&self) -> Result<Table<Outcome>> {
        let mut all = Vec::new();
        match self.table.get("outcomes") {
            None => {}
            Some(Value::Table(table)) => {
                for (status, outcome) in table {
                    let Value::String(word) = outcome else {
                        return Err(wrong_type(&self.at, "outcomes", outcome, "an outcome"));
                    };
                    let outcome = Outcome::from_name(word)
                        .ok_or_else(|| self.no_outcome("outcomes", word))?;
                    all.push((status.clone(), outcome));
                }
            }
            Some(other) => return Err(wrong_type(&self.at, "outcomes", other, "a table")),
        }
        Ok(Table::of_numbers(all))
    }

    fn no_outcome(&self, field: &str, word: &str) -> Error {
        self.error(
            field,
            format!("`{word}` is no outcome, expected served, denied, failed or unknown"),
        )
    }

    fn latency_sources(&mut self) -> Result<Vec<LatencySource>> {
        let mut all = Vec::new();
        for raw in &self.sources("latency", &["unit"])? {
            let slots = match &raw.from {
                From::Sum(names) => names
                    .iter()
                    .map(|name| self.slot("latency", &From::Field(name)))
                    .collect::<Result<Vec<_>>>()?,
                from => vec![self.slot("latency", from)?],
            };
            let unit = match raw.option(&self.at, "latency", "unit")? {
                Some(word) => unit_from(word).ok_or_else(|| {
                    self.error(
                        "latency",
                        format!("`unit` is `{word}`, expected s, ms, us, ns or written"),
                    )
                })?,
                None => slots.first().and_then(|&slot| self.unit_of(slot)).ok_or_else(|| {
                    self.error("latency", "no `unit`").hint(
                        "write { field = \"…\", unit = \"ms\" }, with s, ms, us or ns, or `written` where the value has its unit in it",
                    )
                })?,
            };
            all.push(LatencySource { slots, unit });
        }
        Ok(all)
    }

    /// The unit of a latency whose format does not say: the variable's own, where it has one.
    fn unit_of(&self, slot: usize) -> Option<Unit> {
        match self.plan.role(slot) {
            Some(Role::Latency { power, .. }) => Some(Unit::Power(*power)),
            _ => None,
        }
    }

    /// Maps a pattern's well-known variables to the call fields that the format does not map itself.
    fn map_well_known(&mut self, fields: &mut Fields) {
        let Plan::Pattern(plan) = &mut self.plan else { return };
        let mapped = |field: &str| self.table.contains_key(field);
        // Rank and slot of each candidate, by field; the lowest rank counts first.
        let mut candidates: BTreeMap<&str, Vec<(u8, usize)>> = BTreeMap::new();
        let mut add = |field, rank, slot| candidates.entry(field).or_default().push((rank, slot));
        for (slot, capture) in plan.captures().iter().enumerate() {
            match &capture.role {
                // That of the request before that of the response.
                Some(Role::At { rank, is_end, .. }) => {
                    add("at", *rank + RANKS * u8::from(*is_end), slot)
                }
                Some(Role::Request) => {
                    add("method", 0, slot);
                    add("path", 0, slot);
                }
                Some(Role::Method) => add("method", 1, slot),
                Some(Role::Target | Role::PathAndQuery { .. }) => {
                    add("path", WHOLE_TARGET_RANK, slot);
                }
                Some(Role::Path) => add("path", WHOLE_TARGET_RANK + 1, slot),
                Some(Role::Query) => add("query", 0, slot),
                Some(Role::Host { rank }) => add("host", *rank, slot),
                Some(Role::Status { rank }) => add("status", *rank, slot),
                Some(Role::Bytes { rank }) => add("bytes", *rank, slot),
                Some(Role::Latency { rank, .. }) => add("latency", *rank, slot),
                Some(Role::RemoteAddr { rank }) => add("remote_addr", *rank, slot),
                Some(Role::UserAgent) => add("user_agent", 0, slot),
                Some(Role::RequestId { rank }) => add("request_id", *rank, slot),
                Some(Role::User) => add("credential", 0, slot),
                Some(Role::Port) | None => {}
            }
        }
        // A request line and a whole target bring their own query, and so may any variable that is not well known.
        let apart = match candidates.get("path") {
            _ if mapped("path") => fields
                .path
                .iter()
                .all(|source| matches!(source.origin, Origin::Decoded { query: false, .. })),
            paths => paths.is_some_and(|all| all.iter().all(|(rank, _)| *rank > WHOLE_TARGET_RANK)),
        };
        for (field, mut slots) in candidates {
            if mapped(field) || (field == "query" && !apart) {
                continue;
            }
            slots.sort_unstable();
            for (_, slot) in slots {
                plan.ask_slot(slot);
                let role = plan.captures()[slot].role.clone();
                let origin = role.as_ref().map_or(Origin::Slot(slot), |role| origin_of(role, slot));
                let list = match field {
                    "at" => {
                        if let Some(Role::At { form, is_end, .. }) = role {
                            fields.at.push(AtSource { slot, joined: Vec::new(), form, is_end });
                        }
                        continue;
                    }
                    "status" => {
                        fields.status.push(StatusSource { slot, grpc: false, map: None });
                        continue;
                    }
                    "latency" => {
                        if let Some(Role::Latency { power, .. }) = role {
                            let unit = Unit::Power(power);
                            fields.latency.push(LatencySource { slots: vec![slot], unit });
                        }
                        continue;
                    }
                    "method" => &mut fields.method,
                    "path" => &mut fields.path,
                    "query" => &mut fields.query,
                    "host" => &mut fields.host,
                    "bytes" => &mut fields.bytes,
                    "remote_addr" => &mut fields.remote_addr,
                    "user_agent" => &mut fields.user_agent,
                    "request_id" => &mut fields.request_id,
                    _ => &mut fields.credential,
                };
                list.push(Source { origin, map: None });
            }
        }
    }

    fn error(&self, field: &str, message: impl std::fmt::Display) -> Error {
        Error::new(format!("{}: {field}: {message}", self.at))
    }
}

impl<'t> RawSource<'t> {
    /// One of the source's options, if it is set.
    fn option(&self, at: &str, field: &str, key: &str) -> Result<Option<&'t str>> {
        match self.options {
            Some(table) => string(&format!("{at}: {field}"), table, key),
            None => Ok(None),
        }
    }

    /// The source's value map, if it has one.
    fn map(&self, at: &str, field: &str) -> Result<Option<Vec<(&'t str, &'t str)>>> {
        let place = format!("{at}: {field}");
        match self.options.and_then(|options| options.get("map")) {
            None => Ok(None),
            Some(Value::Table(table)) => table
                .iter()
                .map(|(from, to)| match to {
                    Value::String(to) => Ok((from.as_str(), to.as_str())),
                    other => Err(wrong_type(&place, "map", other, "a string")),
                })
                .collect::<Result<_>>()
                .map(Some),
            Some(other) => Err(wrong_type(&place, "map", other, "a table")),
        }
    }
}

/// The words that a format itself gives a field. The empty one leaves it to the next source.
fn words(sources: &[Source]) -> impl Iterator<Item = &str> {
    let all = sources.iter().flat_map(|source| {
        let constant = match &source.origin {
            Origin::Constant(word) if source.map.is_none() => Some(word),
            _ => None,
        };
        constant.into_iter().chain(source.map.iter().flat_map(Table::meanings))
    });
    all.map(String::as_str).filter(|word| !matches!(*word, "" | "-"))
}

/// A key's string, if the key is set.
fn string<'t>(at: &str, table: &'t toml::Table, key: &str) -> Result<Option<&'t str>> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(at, key, other, "a string")),
    }
}

/// A key's list of strings, if the key is set.
fn strings<'t>(at: &str, table: &'t toml::Table, key: &str) -> Result<Option<Vec<&'t str>>> {
    let text = |value: &'t Value| match value {
        Value::String(text) => Ok(text.as_str()),
        other => Err(wrong_type(at, key, other, "a string")),
    };
    match table.get(key) {
        None => Ok(None),
        Some(Value::Array(list)) => list.iter().map(text).collect::<Result<_>>().map(Some),
        Some(other) => Err(wrong_type(at, key, other, "a list of strings")),
    }
}

/// A key's boolean, if the key is set.
fn boolean(at: &str, table: &toml::Table, key: &str) -> Result<Option<bool>> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Boolean(value)) => Ok(Some(*value)),
        Some(other) => Err(wrong_type(at, key, other, "true or false")),
    }
}

/// The value of a key that a kind cannot do without.
fn needed<T>(value: Option<T>, at: &str, key: &str) -> Result<T> {
    value.ok_or_else(|| Error::new(format!("{at}: no `{key}`")))
}

/// The only character of a text; `None` if it has none or more.
fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn wrong_type(at: &str, key: &str, found: &Value, expected: &str) -> Error {
    Error::new(format!("{at}: {key}: found {}, expected {expected}", found.type_str()))
}

fn unknown<'a>(
    at: &str,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Error {
    let all = known.clone().collect::<Vec<_>>().join(", ");
    Error::new(format!("{at}: unknown {what} `{word}`, expected one of {all}"))
        .maybe_hint(did_you_mean(word, known))
}
