//! A drafted register: its tables as CSV, the configuration beside it, and what is said of them.
//!
//! What logs brought stands in the tables byte for byte, since it must be found again; in TOML, comments and on the terminal
//! it is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use super::escape::for_terminal;
use crate::draft::{ApiRow, Draft, ExampleGrant, Presence, is_for_everybody};
use crate::report::text::{counted, thousands, to_the_second};
use crate::tally::Span;

/// How many rows of a kind the comments of a configuration list.
const COMMENTED_MAX: usize = 15;
/// How many names the summary lists.
const NAMED_MAX: usize = 6;
/// Cells of the summary's labels.
const LABEL: usize = 12;

/// The header of the table of grants, in the order of an example.
const GRANTS: [&str; 8] =
    ["grant", "partner", "api", "operations", "granted_at", "expires_at", "revoked_at", "purpose"];

/// Logs of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// What they are called together.
    pub source: String,
    /// Their format.
    pub format: String,
    /// As the configuration names them.
    pub paths: Vec<String>,
}

impl Logs {
    /// The format of logs that have several.
    pub const AUTO: &'static str = "auto";
}

/// Where a draft was taken from, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// The folder that it is written to; empty for the current one.
    pub folder: &'a Path,
    /// The name of the configuration.
    pub config: &'a str,
    /// The name of the register's folder.
    pub register: &'a str,
    /// The logs.
    pub logs: &'a [Logs],
    /// Formats that are described in a configuration.
    pub formats: &'a BTreeMap<String, toml::Table>,
    /// How many logs were read, and how many there were.
    pub volume: (u64, u64),
    /// How many of their lines were no calls.
    pub rejected: u64,
}

impl Taken<'_> {
    fn is_here(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    /// A file of the draft, from the current folder.
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A command on the new configuration.
    fn command(&self, name: &str) -> String {
        match self.is_here() {
            true => format!("overstay {name}"),
            false => format!("overstay {name} --config {}", shell(&self.path(self.config))),
        }
    }
}

/// Writes one table of the draft as CSV.
///
/// # Errors
///
/// Those of `out`.
pub fn draft_table(draft: &Draft, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    match name {
        "partners" => {
            csv.write_record(["partner", "name", "contact"])?;
            for partner in &draft.partners {
                csv.write_record([partner, "", ""])?;
            }
        }
        "credentials" => {
            csv.write_record(["credential", "partner", "valid_from", "valid_until"])?;
            for row in &draft.credentials {
                csv.write_record([&row.credential, &row.partner, "", ""])?;
            }
        }
        "apis" => {
            csv.write_record(["api", "name", "data_class", "access", "consent", "dormant_since"])?;
            for row in &draft.apis {
                csv.write_record([&row.api, "", "", "", "", ""])?;
            }
        }
        "routes" => {
            csv.write_record(["host", "method", "path", "api", "operation"])?;
            for row in &draft.routes {
                let host = row.host.as_deref().unwrap_or("");
                csv.write_record([host, "", &row.path, &row.api, ""])?;
            }
        }
        // Who may do what is a person's to say.
        _ => csv.write_record(GRANTS)?,
    }
    csv.flush()
}

/// A line of the table of grants.
pub fn grant_line(example: &ExampleGrant) -> String {
    let operations: Vec<&str> = example.operations.iter().map(String::as_str).collect();
    let since = example.since.map(|at| at.to_string()).unwrap_or_default();
    let since = since.get(..10).unwrap_or_default();
    let grant = format!("{}-{}", example.partner, example.api);
    let cells = [&grant, &example.partner, &example.api, &operations.join("|"), since, "", "", ""];
    let mut csv =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    let written = csv.write_record(cells).ok().and_then(|()| csv.into_inner().ok());
    let line = written.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    line.trim_end().to_owned()
}

/// Writes the configuration of a draft.
///
/// # Errors
///
/// Those of `out`.
pub fn draft_config(draft: &Draft, taken: &Taken<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page(String::new());
    page.comment(&format!(
        "Drafted by `overstay init` from {}: {}, {}.",
        logs(taken),
        counted(draft.calls, "call", "calls"),
        span(draft.span)
    ));
    page.comment("The register beside it says who called and what there is to call, as the logs show it. It does not say who may: that");
    page.comment("is for people to write.");
    page.comment("");
    next_steps(draft, taken, "").iter().for_each(|step| page.comment(step));
    page.line("");
    page.line("[register]");
    page.line(&format!("source = {}", quoted(taken.register)));
    page.comment("propagation_s = 60         # how long after a revocation caches may still serve");

    for logs in taken.logs {
        page.line("");
        page.line("[[logs]]");
        page.line(&format!("source = {}", quoted(&logs.source)));
        match logs.paths.as_slice() {
            [one] => page.line(&format!("paths  = [{}]", quoted(one))),
            several => {
                page.line("paths  = [");
                several.iter().for_each(|path| page.line(&format!("    {},", quoted(path))));
                page.line("]");
            }
        }
        page.line(&format!("format = {}", quoted(&logs.format)));
        page.comment("expect = \"hourly\"          # or daily: then hours without a call are reported as gaps");
        let named = |name: &str| taken.logs.iter().any(|logs| logs.format == name);
        let told = draft.presence.iter().filter(|(name, _)| match logs.format.as_str() {
            Logs::AUTO => !named(name),
            format => *name == format,
        });
        for (name, presence) in told {
            let calls = counted(presence.calls, "call", "calls");
            let of = if logs.format == Logs::AUTO {
                format!(" in format {name}")
            } else {
                String::new()
            };
            page.comment("");
            page.comment(&format!("What its {calls}{of} say:"));
            for (field, told) in fields(presence) {
                page.comment(&format!("  {field:<11} {told}"));
            }
        }
    }
    let used = |name: &str| {
        taken.logs.iter().any(|logs| logs.format == name) || draft.presence.contains_key(name)
    };
    let own: toml::Table = taken
        .formats
        .iter()
        .filter(|(name, _)| used(name))
        .map(|(name, table)| (name.clone(), toml::Value::Table(table.clone())))
        .collect();
    if !own.is_empty() {
        let formats = toml::Table::from_iter([("formats".to_owned(), toml::Value::Table(own))]);
        page.line("");
        page.line(toml::to_string(&formats).map_err(io::Error::other)?.trim_end());
    }

    page.line("");
    credentials(draft, &mut page);
    routes(draft, &mut page);
    suggestions(draft, taken, &mut page);
    out.write_all(page.0.as_bytes())
}

/// Text that is a TOML document, line by line.
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A comment, which stays one whatever is in it.
    fn comment(&mut self, text: &str) {
        let text = for_terminal(text);
        let line = format!("# {text}");
        self.line(line.trim_end());
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if super::escape::is_hostile(c) => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A word of a shell command.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn logs(taken: &Taken<'_>) -> String {
    match taken.volume {
        (read, all) if read < all => {
            format!("{} of {}", thousands(read), counted(all, "log", "logs"))
        }
        (read, _) => counted(read, "log", "logs"),
    }
}

fn span(span: Span) -> String {
    match (span.first, span.last) {
        (Some(first), Some(last)) => format!("{} to {}", to_the_second(first), to_the_second(last)),
        _ => "no time".to_owned(),
    }
}

/// What the log says and in how many calls.
fn fields(presence: &Presence) -> [(&'static str, String); 8] {
    let told = |count: u64, without: &str| match count {
        0 => format!("never: {without}"),
        n if n == presence.calls => "always".to_owned(),
        n => format!("in {} of {}", thousands(n), thousands(presence.calls)),
    };
    [
        (
            "credential",
            told(presence.credential, "every call is anonymous; see docs/what-to-log.md"),
        ),
        ("subject", told(presence.subject, "a person is known where the path has {user}")),
        ("actor", told(presence.actor, "who was logged in is not known")),
        ("outcome", told(presence.outcome, "every call counts as served")),
        ("latency", told(presence.latency, "no latencies")),
        ("bytes", told(presence.bytes, "no volumes")),
        ("host", told(presence.host, "routes tell no hosts apart")),
        ("request_id", told(presence.request_id, "a call is found again by its line")),
    ]
}

fn credentials(draft: &Draft, page: &mut Page) {
    if draft.credentials.is_empty() {
        page.comment("No call presented a credential that the logs show.");
        return;
    }
    let (shown, count) = (draft.credentials.len().min(COMMENTED_MAX), draft.credentials.len());
    page.comment(&format!("Who called, {}:", of(shown, count, "credential", "credentials")));
    for row in &draft.credentials[..shown] {
        let hash = match (&row.end, row.is_hash) {
            (Some(end), true) => format!(", the hash of {end}"),
            (_, true) => ", by its hash".to_owned(),
            _ => String::new(),
        };
        let calls = counted(row.calls, "call", "calls");
        page.comment(&format!("  {:<24} {calls}, {}{hash}", row.partner, span(row.span)));
    }
    if draft.anonymous > 0 {
        let calls = counted(draft.anonymous, "call", "calls");
        page.comment(&format!("  and {calls} that presented nothing."));
    }
}

fn routes(draft: &Draft, page: &mut Page) {
    let mut routes: Vec<_> = draft.routes.iter().collect();
    routes.sort_by(|a, b| (b.calls, &a.path, &a.host).cmp(&(a.calls, &b.path, &b.host)));
    let (shown, count) = (routes.len().min(COMMENTED_MAX), routes.len());
    page.comment("");
    if count == 0 {
        page.comment("No served call showed a path.");
    } else {
        page.comment(&format!(
            "What was called, {}, of served calls:",
            of(shown, count, "route", "routes")
        ));
    }
    for row in &routes[..shown] {
        let host = row.host.as_deref().unwrap_or("");
        page.comment(&format!(
            "  {:<44} {:>11}  {}",
            format!("{host}{}", row.path),
            thousands(row.calls),
            row.api
        ));
    }
    if draft.unserved > 0 {
        let calls = counted(draft.unserved, "call was", "calls were");
        page.comment(&format!(
            "{calls} denied or failed. Paths that nothing was served from are not listed."
        ));
    }
    for told in draft.left_out.told() {
        page.comment(&format!("Left out: {told}."));
    }
}

fn of(shown: usize, count: usize, one: &str, many: &str) -> String {
    let all = counted(count as u64, one, many);
    if shown == count { all } else { format!("{shown} of {all}") }
}

fn suggestions(draft: &Draft, taken: &Taken<'_>, page: &mut Page) {
    let apis = format!("{}/apis.csv", taken.register);
    page.comment("");
    page.comment("To think about:");
    let open: Vec<&str> =
        draft.apis.iter().map(|row| row.api.as_str()).filter(|api| is_for_everybody(api)).collect();
    if !open.is_empty() {
        page.comment(&format!(
            "- Are these for everybody? Then their `access` in {apis} is `open`: {}.",
            some(&open)
        ));
    }
    page.comment(&format!("- Whose data needs the person's word? Then the `consent` of the api in {apis} is `required`."));
    page.comment("- Which credentials are one partner's? Give them the same partner, and remove the partners that are left over.");
    page.comment("- Names that fell together behind a placeholder, such as {user}, may have been names of their own: they get rows of");
    page.comment("  their own, which go before it.");
    page.line("");
    page.comment("[severity]");
    page.comment("never-granted = \"medium\"     # until the grants are written");
}

/// A few of some names, and how many there are more.
fn some(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What to do now, a line each.
fn next_steps(draft: &Draft, taken: &Taken<'_>, folder: &str) -> Vec<String> {
    let table = |name: &str| match folder {
        "" => format!("{}/{name}.csv", taken.register),
        _ => taken.path(&format!("{}/{name}.csv", taken.register)),
    };
    let command = |name: &str| match folder {
        "" => format!("overstay {name}"),
        _ => taken.command(name),
    };
    let mut steps = vec![
        format!(
            "1. Say who is who: the partner of each credential, in {} and partners.csv.",
            table("credentials")
        ),
        format!(
            "2. Say who may do what: a line for each grant in {}{}",
            table("grants"),
            match draft.example {
                Some(_) => ", such as",
                None => ".",
            }
        ),
    ];
    steps.extend(draft.example.as_ref().map(|example| format!("     {}", grant_line(example))));
    steps.push(format!("3. {:<16} tells whether it all fits together.", command("check")));
    steps.push(format!("4. {:<16} tells what the logs say of it.", command("audit")));
    steps
}

/// Writes what came of drafting, for people.
///
/// # Errors
///
/// Those of `out`.
pub fn draft_summary(draft: &Draft, taken: &Taken<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |text: &str| writeln!(out, "{}", for_terminal(text).trim_end());
    line(&format!(
        "{} in {}, {}.",
        counted(draft.calls, "call", "calls"),
        logs(taken),
        span(draft.span)
    ))?;
    line("")?;
    let hashed = draft.credentials.iter().filter(|row| row.is_hash).count();
    let kept = match hashed {
        0 => String::new(),
        n if n == draft.credentials.len() => ", written as hashes: they may be secrets".to_owned(),
        n => format!(", {} of them written as hashes: they may be secrets", thousands(n as u64)),
    };
    let count = |count: usize, one: &str, many: &str| counted(count as u64, one, many);
    labelled(
        &mut line,
        "WHO",
        &format!("{}{kept}", count(draft.credentials.len(), "credential", "credentials")),
    )?;
    let mut apis: Vec<&ApiRow> = draft.apis.iter().collect();
    apis.sort_by(|a, b| (b.calls, &a.api).cmp(&(a.calls, &b.api)));
    let names: Vec<&str> = apis.iter().map(|row| row.api.as_str()).collect();
    let mut what = format!(
        "{} of {}",
        count(draft.routes.len(), "route", "routes"),
        count(draft.apis.len(), "api", "apis")
    );
    if !names.is_empty() {
        let _ = write!(what, ": {}", some(&names));
    }
    labelled(&mut line, "WHAT", &what)?;
    for text in missing(draft, taken) {
        labelled(&mut line, "MISSING", &text)?;
    }
    let folder = taken.path(taken.register);
    labelled(
        &mut line,
        "WRITTEN",
        &format!(
            "{}; in {folder}: partners, credentials, apis, routes, grants (.csv)",
            taken.path(taken.config)
        ),
    )?;
    line("")?;
    let steps = next_steps(draft, taken, "here");
    steps.iter().try_for_each(|step| line(step))
}

fn labelled(
    line: &mut dyn FnMut(&str) -> io::Result<()>,
    label: &str,
    text: &str,
) -> io::Result<()> {
    line(&format!("{label:<LABEL$}{text}"))
}

/// What the logs do not say and a judgement would need.
fn missing(draft: &Draft, taken: &Taken<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    if draft.anonymous == draft.calls {
        missing.push("no call shows a credential: who called can't be told. docs/what-to-log.md has what to log".to_owned());
    } else if draft.anonymous > 0 {
        missing.push(format!(
            "{} of {} show no credential",
            thousands(draft.anonymous),
            counted(draft.calls, "call", "calls")
        ));
    }
    let sum = |of: fn(&Presence) -> u64| draft.presence.values().map(of).sum::<u64>();
    if sum(|p| p.outcome) == 0 {
        missing.push("no status: every call counts as served".to_owned());
    }
    let has_user = draft.routes.iter().any(|row| row.path.contains("{user}"));
    if sum(|p| p.subject) == 0 && !has_user {
        missing.push(
            "no person, in the log or in a path: how many people were concerned can't be told"
                .to_owned(),
        );
    }
    let (read, all) = taken.volume;
    if read < all {
        missing.push(format!(
            "{} that could not be read; audit will say so too",
            counted(all - read, "log", "logs")
        ));
    }
    let rejected = taken.rejected;
    if rejected > 0 {
        missing.push(format!(
            "{}, left aside",
            counted(rejected, "line that is no call", "lines that are no calls")
        ));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_strings_hold_anything() {
        for text in ["a", "", "a\"b\\c", "a\nb\t\u{0}\u{7f}", "\u{202e}é", "'''", "\u{feff}"] {
            let toml = format!("x = {}", quoted(text));
            let table: toml::Table = toml.parse().unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
            assert!(!quoted(text).contains(['\n', '\u{202e}']));
        }
    }

    #[test]
    fn comments_stay_comments() {
        let mut page = Page(String::new());
        page.comment("a\n[register]\r\u{1b}[2J");
        assert_eq!(page.0, "# a\\u{a}[register]\\u{d}\\u{1b}[2J\n");
    }

    #[test]
    fn grants_are_lines_of_csv() {
        let example = ExampleGrant {
            partner: "acme".to_owned(),
            api: "a,\"b\"".to_owned(),
            operations: ["read".to_owned(), "write".to_owned()].into(),
            since: crate::time::Instant::from_s_ns(1_545_125_400, 0),
        };
        assert_eq!(
            grant_line(&example),
            "\"acme-a,\"\"b\"\"\",acme,\"a,\"\"b\"\"\",read|write,2018-12-18,,,"
        );
    }

    #[test]
    fn shells_take_words_whole() {
        assert_eq!(shell("a/b.toml"), "a/b.toml");
        assert_eq!(shell("a b'c"), "'a b'\\''c'");
    }
}
