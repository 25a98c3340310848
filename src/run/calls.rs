//! `overstay calls`: the judged calls as a stream, in the order of the logs.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::ops::ControlFlow;

use serde::Serialize;

use super::read::{self, Opened, Reading};
use super::repeats::{Before, Repeats};
use super::verify::verify;
use super::{Ended, Status, Volume, load_register, partner_id, vain_as_known_at};
use crate::call::{Call, Reason};
use crate::cli::DistinctArg;
use crate::error::{Error, Result};
use crate::findings::{Apart, Found, Kind, beginning, ids_of_call};
use crate::formats::Format;
use crate::input::{Line, Piece};
use crate::judge::{Judge, Judged, Memory, Name, Presented, Verdict};
use crate::nearest::with_hint;
use crate::parse::Scratch;
use crate::plan::{CallsOutput, CallsPlan, Filters, ReadPlan};
use crate::register::{credential_digest, mask};
use crate::render::json_line;
use crate::report::{Judgement, judgement};
use crate::tally::InputSums;
use crate::time::Instant;

/// Prints the calls of the plan to `stdout`.
///
/// # Errors
///
/// If there is no register, no such finding, or nothing could be read.
pub fn calls(plan: &CallsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    match plan {
        CallsPlan::Stream { read, filters, output } => stream(read, filters, *output, stdout),
        CallsPlan::Verify { report, config_folder } => {
            verify(report, config_folder.as_deref(), stdout)
        }
    }
}

fn stream(
    plan: &ReadPlan,
    filters: &Filters,
    output: CallsOutput,
    stdout: &mut (dyn Write + Send),
) -> Result<Ended> {
    let register = plan.register.as_ref().ok_or_else(|| {
        Error::new("calls are judged by a register, and there is none")
            .hint("give --register DIR, or the configuration with --config FILE")
    })?;
    let pool = read::pool(plan)?;
    let register = pool.install(|| load_register(register))?;
    for partner in &filters.partners {
        partner_id(&register, partner)?;
    }
    let judge = pool.install(|| Judge::new(&register));
    let finding = match &filters.finding {
        Some(prefix) => Some(pool.install(|| find(plan, &judge, prefix))?),
        None => None,
    };
    let selection = Selection::new(&judge, filters, finding);
    let mut out = Out { stdout, printed: 0, seen: HashSet::new(), closed: None };
    let (mut warnings, mut volume, mut unopened) = (Vec::new(), Volume::default(), Vec::new());
    let (mut shapes, mut told) = (Vec::new(), Vec::new());
    warnings.extend(plan.unread.iter().map(|p| format!("{}: {}", p.path, p.reason)));
    let bar = read::progress_bar(plan);
    let nothing_before = |_: &_| Ok(Before::default());
    let repeats = pool.install(|| Repeats::seek(plan, &bar, &nothing_before))?;
    let (mut repeated, mut stood_for) = (Vec::new(), HashSet::new());
    for (index, input) in plan.inputs.iter().enumerate() {
        let ready = repeats.of(index);
        // The first of those with the same content that can be read stands for all of them.
        let first = ready.repeats.map_or(index, |(first, _)| first);
        if stood_for.contains(&first) {
            repeated.push((input.found.shown.as_str(), plan.inputs[first].found.shown.as_str()));
            continue;
        }
        let Opened { input: opened, format, .. } = match ready.open(plan) {
            Ok(opened) => opened,
            Err(facts) => {
                let facts = ready.told(*facts);
                let fault = facts.fault.unwrap_or_default();
                unopened.push(format!("{}: {fault}", facts.path));
                shapes.push(facts.unknown_shapes);
                continue;
            }
        };
        stood_for.insert(first);
        if let (None, Some(format)) = (input.format, format) {
            told.push((format.name(), input.found.shown.as_str()));
        }
        let source = &plan.sources[input.source as usize].0;
        let work = Work {
            plan,
            judge: &judge,
            selection: &selection,
            output,
            source,
            path: &input.found.shown,
            seek: repeats.of(first).dedupe.then_some((&repeats, input.source, first as u32)),
        };
        let mut sums = InputSums::default();
        let mut lines_before = 0;
        let outcome = pool.install(|| {
            opened.for_each_in_order(
                &|bytes| bar.inc(bytes),
                |piece| work.piece(format, piece),
                |printed| {
                    sums.merge(&printed.sums);
                    let flow = out.print(&printed, lines_before);
                    lines_before += printed.lines;
                    flow
                },
            )
        });
        volume.lines += lines_before;
        volume.bytes += outcome.bytes;
        volume.inputs += 1;
        if let Some(error) = out.closed.take() {
            return Err(Error::io("standard output", error));
        }
        let of_stream = ready.kept.as_ref().and_then(|kept| kept.fault.as_ref());
        let fault = of_stream.or(outcome.fault.as_ref()).map(|fault| fault.reason().to_owned());
        let rejects = read::too_many_rejects(plan.max_rejects, &sums);
        warnings.extend(
            fault.into_iter().chain(rejects).map(|why| format!("{}: {why}", input.found.shown)),
        );
    }
    bar.finish_and_clear();
    let hint = read::format_hint(shapes.iter().map(Vec::as_slice));
    if volume.inputs == 0 && !unopened.is_empty() {
        let error = Error::new(format!("no input could be read: {}", unopened.join("; ")));
        return Err(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    warnings.extend(unopened);
    out.stdout.flush().map_err(|error| Error::io("standard output", error))?;
    let status = if warnings.is_empty() { Status::Done } else { Status::Partial };
    warnings.extend(plan.unused.iter().cloned());
    warnings.extend(vain_as_known_at(&register));
    warnings.extend(unknown_names(&judge, filters));
    let mut notes = read::taken(told.into_iter());
    notes.extend(read::repeated(repeated.into_iter()));
    if out.printed == 0 {
        notes.push("no call matched".to_owned());
    }
    Ok(Ended { status, warnings, hint, notes, read: Some(volume) })
}

/// Apis and operations asked for that the register has no word for. Logs may name them all the same.
fn unknown_names(judge: &Judge<'_>, filters: &Filters) -> Vec<String> {
    let apis: Vec<&str> = judge.register.listed_apis().map(|(_, api)| api.id.as_str()).collect();
    let operations: Vec<&str> = judge.operations.iter().map(String::as_str).collect();
    let told = |flag: &str, asked: &[String], known: &[&str]| -> Vec<String> {
        let unknown = asked.iter().filter(|name| !known.contains(&name.as_str()));
        unknown
            .map(|name| {
                let told = format!(
                    "{flag} {name}: the register has no such word, only logs could name it"
                );
                with_hint(told, name, known.iter().copied())
            })
            .collect()
    };
    let mut all = told("--api", &filters.apis, &apis);
    all.extend(told("--operation", &filters.operations, &operations));
    all
}

/// The finding that is asked for, and what findings of these logs tell apart.
struct Wanted {
    id: String,
    apart: Apart,
    /// The finding itself, if it is an anomaly.
    odd: Option<Found>,
}

/// Reads the logs once to learn which findings there are.
fn find(plan: &ReadPlan, judge: &Judge<'_>, prefix: &str) -> Result<Wanted> {
    let Reading { tally, facts, .. } =
        read::read(plan, Some(judge), None, &|_| Ok(Before::default()), None)?;
    let Judgement { found, apart } = judgement(judge, tally.into_whole(), &facts);
    let matching = beginning(prefix, found.iter().map(|found| found.id.as_str()));
    let kind = |id: &str| found.iter().find(|found| found.id == id).map(|found| found.kind);
    match matching.as_slice() {
        [one] if kind(one).is_some_and(|kind| !kind.is_of_calls() && !kind.is_anomaly()) => {
            let kind = kind(one).map_or("", Kind::as_str);
            Err(Error::new(format!("--finding: no call belongs to {one}: it is about access that stands ({kind})"))
                .hint(format!("`overstay explain {kind}` tells what it means")))
        }
        [one] => {
            let odd = found.iter().find(|found| found.id == *one && found.odd.is_some()).cloned();
            Ok(Wanted { id: (*one).to_owned(), apart, odd })
        }
        [] => Err(Error::new(format!("--finding: found no finding that begins with `{prefix}` in these logs"))
            .hint("`overstay audit` lists the findings; the same logs, register and window give the same ids. An anomaly that shows only beside the days of a state is none of these logs': ask for calls of its --partner and --api, from --since to --until. What is told of a log or of the register has no calls")),
        ids => Err(Error::new(format!("--finding: `{prefix}` begins {} findings: {}", ids.len(), ids.join(", ")))
            .hint("give more of the id")),
    }
}

/// Which calls are asked for.
struct Selection<'p> {
    judge: &'p Judge<'p>,
    filters: &'p Filters,
    finding: Option<Wanted>,
    /// Credentials asked for whole.
    digests: Vec<[u8; 32]>,
    /// Credentials asked for by their ends, as reports show them.
    shown: Vec<String>,
}

impl<'p> Selection<'p> {
    fn new(judge: &'p Judge<'p>, filters: &'p Filters, finding: Option<Wanted>) -> Selection<'p> {
        let (mut digests, mut shown) = (Vec::new(), Vec::new());
        for text in &filters.credentials {
            // Not every keyboard has the one character.
            match text.strip_prefix('…').or_else(|| text.strip_prefix("...")) {
                Some(end) => shown.push(format!("…{end}")),
                None => digests.push(credential_digest(text)),
            }
        }
        Selection { judge, filters, finding, digests, shown }
    }

    fn includes(&self, call: &Call<'_>, judged: &Judged<'_>, names: &Names<'_>) -> bool {
        let one_of = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || wanted.iter().any(|wanted| Some(wanted.as_str()) == name)
        };
        let filters = self.filters;
        (filters.outcomes.is_empty() || filters.outcomes.contains(&call.outcome))
            && one_of(&filters.partners, names.partner)
            && one_of(&filters.apis, names.api)
            && one_of(&filters.operations, names.operation)
            && one_of(&filters.subjects, judged.subject.as_deref())
            && self.has_verdict(judged)
            && self.has_credential(judged, names)
            && self.has_finding(call, judged)
    }

    fn has_verdict(&self, judged: &Judged<'_>) -> bool {
        let wanted = &self.filters.verdicts;
        let also = || judged.also.names();
        wanted.is_empty()
            || wanted.iter().any(|name| judged.verdict.as_str() == name)
            || wanted.iter().any(|name| also().contains(&name.as_str()))
    }

    fn has_credential(&self, judged: &Judged<'_>, names: &Names<'_>) -> bool {
        if self.filters.credentials.is_empty() {
            return true;
        }
        digest(self.judge, judged).is_some_and(|digest| self.digests.contains(&digest))
            || names
                .credential
                .as_deref()
                .is_some_and(|shown| self.shown.iter().any(|s| s == shown))
    }

    fn has_finding(&self, call: &Call<'_>, judged: &Judged<'_>) -> bool {
        let Some(wanted) = &self.finding else { return true };
        if let Some(odd) = &wanted.odd {
            return odd.is_odd_by(self.judge, call, judged);
        }
        ids_of_call(self.judge, call, judged, &wanted.apart).contains(&wanted.id)
    }
}

/// The digest of the credential that a call presents.
fn digest(judge: &Judge<'_>, judged: &Judged<'_>) -> Option<[u8; 32]> {
    match judged.presented {
        Presented::Nothing => None,
        Presented::Known(id) => Some(judge.register.credentials[id.0 as usize].digest),
        Presented::Unknown(digest) => Some(digest),
    }
}

/// The names of what a call involves.
struct Names<'a> {
    partner: Option<&'a str>,
    credential: Option<Cow<'a, str>>,
    api: Option<&'a str>,
    operation: Option<&'a str>,
    grant: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn new(judge: &'a Judge<'_>, call: &Call<'_>, judged: &'a Judged<'_>) -> Names<'a> {
        let register = judge.register;
        Names {
            partner: judged.partner.map(|id| register.partners[id.0 as usize].id.as_str()),
            credential: match judged.presented {
                Presented::Known(id) => {
                    Some(Cow::Borrowed(&register.credentials[id.0 as usize].shown))
                }
                Presented::Nothing | Presented::Unknown(_) => {
                    call.credential.as_deref().map(|text| Cow::Owned(mask(text)))
                }
            },
            api: match &judged.api {
                Name::Known(id) => Some(&register.apis[id.0 as usize].id),
                other => other.logged(),
            },
            operation: judge.operation_name(&judged.operation),
            grant: judged.grant.map(|id| register.grants[id.0 as usize].id.as_str()),
        }
    }
}

/// A call's fields before the line number, which is known only when its turn comes.
#[derive(Serialize)]
struct Head<'a> {
    at: Instant,
    source: &'a str,
    path: &'a str,
    offset: u64,
}

/// A call's fields after the line number.
#[derive(Serialize)]
struct Tail<'a> {
    partner: Option<&'a str>,
    credential: Option<&'a str>,
    api: Option<&'a str>,
    operation: Option<&'a str>,
    verdict: Verdict,
    also: Vec<&'static str>,
    grant: Option<&'a str>,
    since: Option<Instant>,
    lapsed_at: Option<Instant>,
    outcome: &'static str,
    status: Option<u16>,
    bytes: Option<u64>,
    latency_us: Option<u64>,
    subject: Option<&'a str>,
    actor: Option<&'a str>,
    method: Option<&'a str>,
    target: Option<&'a str>,
    host: Option<&'a str>,
    remote_addr: Option<&'a str>,
    user_agent: Option<&'a str>,
    request_id: Option<&'a str>,
}

/// What is printed of a piece.
#[derive(Default)]
struct Printed {
    /// Lines of the piece.
    lines: u64,
    /// Where they went, but for blank ones.
    sums: InputSums,
    items: Vec<Item>,
}

enum Item {
    /// A call: its line in the piece, what goes before and after the line number.
    Json { line: u64, head: Vec<u8>, tail: Vec<u8> },
    /// A line as it is.
    Raw(Vec<u8>),
    /// A value of the field asked for, as it is printed, and a hash of what makes it another one.
    Value { field: DistinctArg, shown: String, identity: [u8; 32] },
}

/// What is the same for all lines of an input.
struct Work<'p> {
    plan: &'p ReadPlan,
    judge: &'p Judge<'p>,
    selection: &'p Selection<'p>,
    output: CallsOutput,
    source: &'p str,
    path: &'p str,
    /// Where to ask for repeats, and the numbers of source and input, if records of this input may be some.
    seek: Option<(&'p Repeats<'p>, u32, u32)>,
}

impl Work<'_> {
    fn piece(&self, format: Option<&Format>, piece: Piece<'_>) -> Printed {
        let mut printed = Printed::default();
        let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
        if let Some(format) = format {
            format.begin(piece.directive, &mut scratch);
        }
        for line in piece.lines() {
            match line {
                Line::Content { bytes, .. }
                    if format.is_some_and(|format| format.directive(bytes, &mut scratch)) => {}
                Line::Blank => {}
                Line::TooLong { .. } => printed.sums.reject(Reason::TooLong),
                Line::Content { offset, bytes } => {
                    match read::parsed(format, bytes, &mut scratch) {
                        Err(reason) => printed.sums.reject(reason),
                        Ok(call) if !read::within(call.at, self.plan) => {
                            printed.sums.outside_window += 1;
                        }
                        Ok(call)
                            if self.seek.is_some_and(|(repeats, source, input)| {
                                repeats.is_repeat(source, &call, input, offset)
                            }) =>
                        {
                            printed.sums.duplicates += 1;
                        }
                        Ok(call) => {
                            printed.sums.calls += 1;
                            let judged = self.judge.judge(&call, &mut memory);
                            let line = printed.lines;
                            printed.items.extend(self.item(&call, &judged, line, offset, bytes));
                        }
                    }
                }
            }
            printed.lines += 1;
        }
        printed
    }

    fn item(
        &self,
        call: &Call<'_>,
        judged: &Judged<'_>,
        line: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Option<Item> {
        let names = Names::new(self.judge, call, judged);
        if !self.selection.includes(call, judged, &names) {
            return None;
        }
        Some(match self.output {
            CallsOutput::Raw => Item::Raw(bytes.to_vec()),
            CallsOutput::Distinct(field) => {
                let shown = match field {
                    DistinctArg::Subject => judged.subject.as_deref(),
                    DistinctArg::Actor => judged.actor.as_deref(),
                    DistinctArg::Partner => names.partner,
                    DistinctArg::Credential => names.credential.as_deref(),
                    DistinctArg::Api => names.api,
                    DistinctArg::Operation => names.operation,
                }?;
                // Two credentials may look alike when masked.
                let identity = match field {
                    DistinctArg::Credential => digest(self.judge, judged)?,
                    _ => blake3::hash(shown.as_bytes()).into(),
                };
                Item::Value { field, shown: shown.to_owned(), identity }
            }
            CallsOutput::Json => {
                let head = Head { at: call.at, source: self.source, path: self.path, offset };
                let tail = Tail {
                    partner: names.partner,
                    credential: names.credential.as_deref(),
                    api: names.api,
                    operation: names.operation,
                    verdict: judged.verdict,
                    also: judged.also.names(),
                    grant: names.grant,
                    since: judged.since,
                    lapsed_at: judged.lapsed_at,
                    outcome: call.outcome.as_str(),
                    status: call.status,
                    bytes: call.bytes,
                    latency_us: call.latency_us,
                    subject: judged.subject.as_deref(),
                    actor: judged.actor.as_deref(),
                    method: call.method.as_deref(),
                    // Its query may hold a credential.
                    target: call.path.as_deref().and_then(|path| path.split(['?', '#']).next()),
                    host: call.host.as_deref(),
                    remote_addr: call.remote_addr.as_deref(),
                    user_agent: call.user_agent.as_deref(),
                    request_id: call.request_id.as_deref(),
                };
                Item::Json { line, head: to_json(&head), tail: to_json(&tail) }
            }
        })
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = Vec::new();
    // Writing to memory does not fail, and these values have nothing that JSON lacks.
    let written = json_line(value, &mut line);
    debug_assert!(written.is_ok());
    line
}

/// Standard output, and what went there.
struct Out<'o> {
    stdout: &'o mut (dyn Write + Send),
    /// How many lines.
    printed: u64,
    /// Hashes of the distinct values printed.
    seen: HashSet<[u8; 32]>,
    closed: Option<io::Error>,
}

impl Out<'_> {
    fn print(&mut self, printed: &Printed, lines_before: u64) -> ControlFlow<()> {
        for item in &printed.items {
            if let Err(error) = self.item(item, lines_before) {
                self.closed = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn item(&mut self, item: &Item, lines_before: u64) -> io::Result<()> {
        match item {
            Item::Json { line, head, tail } => {
                self.stdout.write_all(&head[..head.len() - 1])?;
                write!(self.stdout, ",\"line\":{},", lines_before + line + 1)?;
                self.stdout.write_all(&tail[1..])?;
            }
            Item::Raw(bytes) => self.stdout.write_all(bytes)?,
            Item::Value { field, shown, identity } => {
                if !self.seen.insert(*identity) {
                    return Ok(());
                }
                json_line(&BTreeMap::from([(field.as_str(), shown)]), self.stdout)?;
            }
        }
        self.printed += 1;
        self.stdout.write_all(b"\n")
    }
}
