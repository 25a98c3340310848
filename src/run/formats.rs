//! `overstay formats`: which formats there are, and which one fits a log.

use std::io::{self, Write};

use super::{Ended, Status};
use crate::call::{Call, Sourced};
use crate::error::{Error, Result};
use crate::formats::{Format, Tells, detect};
use crate::input::{Input, Options};
use crate::parse::{Scratch, shape};
use crate::plan::FormatsPlan;
use crate::register::{mask, template_of};
use crate::render::{FormatRow, for_terminal, formats as render_formats};

/// How many calls of a log are shown.
const CALLS_SHOWN: usize = 3;

/// Lists the formats, or says which one fits the log.
///
/// # Errors
///
/// If the log can't be read, or no format fits it, or two fit equally.
pub fn formats(plan: &FormatsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let written = |error| Error::io("standard output", error);
    let Some(log) = &plan.log else {
        let rows: Vec<FormatRow> = plan.formats.iter().map(row).collect();
        render_formats(&rows, plan.columns, stdout).map_err(written)?;
        return Ok(Ended::new(Status::Done));
    };
    let mut input = Input::open(log, &Options::default())?;
    let head = input.head().to_vec();
    let candidates: Vec<&Format> = match plan.format {
        Some(index) => vec![&plan.formats[index]],
        None => plan.formats.iter().collect(),
    };
    let told = detect(&candidates, &head);
    let format = match (&told, plan.format) {
        (Ok(index), _) => candidates[*index],
        // Asked for by name: its rejects are what the user wants to see.
        (Err(_), Some(index)) => &plan.formats[index],
        (Err(undetected), None) => {
            let mut hint =
                "describe it under [formats.NAME] of overstay.toml, see docs/formats.md".to_owned();
            if !undetected.equal.is_empty() {
                hint = format!("settle it with --log-format {}", undetected.equal[0]);
            }
            if !undetected.shapes.is_empty() {
                hint.push_str("; the lines look like\n  ");
                hint.push_str(&undetected.shapes.join("\n  "));
            }
            return Err(Error::new(format!("{}: {undetected}", log.shown)).hint(hint));
        }
    };
    let seen = Seen::of(format, &head);
    let told = format!(
        "{}: {} ({}): {} of the first {} lines are calls",
        log.shown,
        format.name(),
        format.kind(),
        seen.calls,
        seen.lines
    );
    writeln!(stdout, "{}", for_terminal(&told)).map_err(written)?;
    seen.show(plan.raw, stdout).map_err(written)?;
    stdout.flush().map_err(written)?;
    let fits = told_status(seen.calls);
    Ok(Ended::new(fits))
}

/// A log of which no line is a call is one the format does not fit.
fn told_status(calls: usize) -> Status {
    if calls == 0 { Status::Failed } else { Status::Done }
}

fn row(format: &Format) -> FormatRow {
    let Tells { credential, subject, outcome, latency, end } = format.tells();
    let yes = |told: bool| if told { "yes" } else { "-" }.to_owned();
    let subject = match subject {
        None => "-".to_owned(),
        Some(None) => "yes".to_owned(),
        Some(Some(name)) => format!("route {{{name}}}"),
    };
    let time = match (end, latency) {
        (false, _) => "request",
        (true, true) => "response, less latency",
        (true, false) => "response",
    };
    FormatRow {
        name: format.name().to_owned(),
        kind: format.kind(),
        credential: yes(credential),
        subject,
        outcome: yes(outcome),
        latency: yes(latency),
        time,
        about: format.about(),
    }
}

/// What a format makes of a log's first lines.
struct Seen {
    lines: usize,
    calls: usize,
    /// Of the first calls, and of the first lines that are none: the line, and the fields or the reason.
    shown: Vec<(String, std::result::Result<Vec<Field>, &'static str>)>,
}

/// A call field: its name, its value, and whether that is shown to all.
struct Field {
    name: &'static str,
    raw: String,
    shown: String,
}

impl Seen {
    fn of(format: &Format, head: &[u8]) -> Seen {
        let framed = Input::framed_head(head, &format.framing());
        let mut seen = Seen { lines: 0, calls: 0, shown: Vec::new() };
        let mut scratch = Scratch::default();
        format.begin(None, &mut scratch);
        let mut rejects = 0;
        for line in crate::formats::first_lines(&framed) {
            if format.directive(line, &mut scratch) {
                continue;
            }
            seen.lines += 1;
            let text = String::from_utf8_lossy(line).into_owned();
            match format.parse(line, &mut scratch) {
                Ok(call) => {
                    seen.calls += 1;
                    if seen.calls <= CALLS_SHOWN {
                        seen.shown.push((text, Ok(fields(&call))));
                    }
                }
                Err(reason) => {
                    rejects += 1;
                    if rejects <= CALLS_SHOWN {
                        seen.shown.push((text, Err(reason.as_str())));
                    }
                }
            }
        }
        seen
    }

    fn show(&self, raw: bool, out: &mut dyn Write) -> io::Result<()> {
        for (line, parsed) in &self.shown {
            let line = if raw { line.clone() } else { shape(line.as_bytes()) };
            writeln!(out, "\n{}", for_terminal(&line))?;
            match parsed {
                Ok(fields) => {
                    for Field { name, raw: value, shown } in fields {
                        let value = if raw { value } else { shown };
                        writeln!(out, "  {name:<12}{}", for_terminal(value))?;
                    }
                }
                Err(reason) => writeln!(out, "  no call: {reason}")?,
            }
        }
        Ok(())
    }
}

/// The fields of a call that are there.
fn fields(call: &Call<'_>) -> Vec<Field> {
    let field =
        |name, raw: &str, shown: &str| Field { name, raw: raw.to_owned(), shown: shown.to_owned() };
    let mut all = vec![field("at", &call.at.to_string(), &call.at.to_string())];
    let mut add = |name, value: Option<&str>, shown: &dyn Fn(&str) -> String| {
        all.extend(value.map(|value| field(name, value, &shown(value))));
    };
    let as_it_is = |value: &str| value.to_owned();
    let present = |_: &str| "present".to_owned();
    let person = |sourced: &Sourced<'_>| -> Option<String> {
        let route = sourced.route.map(|name| format!("the route's {{{name}}}"));
        sourced
            .before
            .as_deref()
            .map(str::to_owned)
            .or(route)
            .or(sourced.after.as_deref().map(str::to_owned))
    };
    let from_route = |sourced: &Sourced<'_>| sourced.before.is_none() && sourced.route.is_some();
    add("credential", call.credential.as_deref(), &|value| mask(value));
    add("method", call.method.as_deref(), &as_it_is);
    add("path", call.path.as_deref(), &|path| template_of(path));
    add("host", call.host.as_deref(), &as_it_is);
    add("api", call.api.as_deref(), &as_it_is);
    add("operation", call.operation.as_deref(), &as_it_is);
    add("status", call.status.map(|status| status.to_string()).as_deref(), &as_it_is);
    add("outcome", Some(call.outcome.as_str()), &as_it_is);
    add("bytes", call.bytes.map(|bytes| bytes.to_string()).as_deref(), &as_it_is);
    add("latency_us", call.latency_us.map(|us| us.to_string()).as_deref(), &as_it_is);
    for (name, sourced) in [("subject", &call.subject), ("actor", &call.actor)] {
        match from_route(sourced) {
            true => add(name, person(sourced).as_deref(), &as_it_is),
            false => add(name, person(sourced).as_deref(), &present),
        }
    }
    add("remote_addr", call.remote_addr.as_deref(), &present);
    add("user_agent", call.user_agent.as_deref(), &present);
    add("request_id", call.request_id.as_deref(), &present);
    all
}
