//! Reads all inputs in parallel into one tally.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::Volume;
use super::aside::Aside;
use super::repeats::{Before, RecordId, Repeats};
use crate::call::{Call, Parsed, Reason};
use crate::error::{Error, Result};
use crate::formats::{self, Format};
use crate::input::{Fault, Input, Line, Mark, Piece, Version};
use crate::judge::{Judge, Judged, Memory, Presented};
use crate::limits;
use crate::parse::{self, Scratch, Wanted};
use crate::plan::{InputPlan, MaxRejects, ReadPlan};
use crate::register::{PartnerId, Remembered, credential_digest, template_of};
use crate::report::{Facts, InputFacts};
use crate::tally::{By, Columns, Dated, InputSums, Place, Reject};
use crate::time::Instant;

/// What reading came to.
pub(super) struct Reading {
    /// Everything counted that is not laid aside.
    pub(super) tally: Dated,
    /// Where the lines of each input went.
    pub(super) lines: Vec<Lines>,
    /// Everything else a report needs.
    pub(super) facts: Facts,
    /// How much it was.
    pub(super) volume: Volume,
    /// How far each input was read, where reading goes on another time.
    pub(super) marks: Vec<Option<Mark>>,
    /// Records that later ones may repeat, by day.
    pub(super) records: BTreeMap<i64, BTreeSet<RecordId>>,
    /// Of each input, whether calls may have been counted whose records are not among these, though they have ids.
    pub(super) has_unnoted: Vec<bool>,
}

/// What became of an input.
struct Done {
    /// Its number.
    index: usize,
    lines: Lines,
    facts: InputFacts,
    mark: Option<Mark>,
    has_unnoted: bool,
}

/// Where lines of an input went.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// How many.
    pub(super) sums: InputSums,
    /// The last day with calls of it.
    pub(super) last_day: Option<i64>,
}

impl Lines {
    /// Notes what was counted of an input, of which all of it is.
    pub(super) fn note(&mut self, tally: &Dated, input: u32) {
        self.sums.merge(&tally.input(input));
        self.last_day = self.last_day.max(tally.last_day());
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: &Lines) {
        self.sums.merge(&other.sums);
        self.last_day = self.last_day.max(other.last_day);
    }
}

/// Reads all inputs of the plan, on the current thread pool. Without a judge nothing is judged. Of calls that are not `only`
/// this partner's nothing is counted but that they were read. `remembered` gives records of days that were counted before. What
/// is too much for memory is laid `aside`, if there is such a place.
///
/// # Errors
///
/// If none of them could be read, and those of `remembered`.
pub(super) fn read(
    plan: &ReadPlan,
    judge: Option<&Judge<'_>>,
    only: Option<PartnerId>,
    remembered: &dyn Fn(&BTreeSet<i64>) -> Result<Before>,
    aside: Option<&Aside<'_>>,
) -> Result<Reading> {
    let bar = progress_bar(plan);
    let repeats = Repeats::seek(plan, &bar, remembered)?;
    let idle = Mutex::default();
    let counting = Counting { plan, judge, only, repeats: &repeats, bar: &bar, aside, idle };
    let groups = repeats.groups();
    let (tally, mut inputs, _) = groups
        .par_iter()
        .with_max_len(1)
        .map(|group| {
            let (tally, inputs) = counting.group(group);
            let read_bytes: u64 = inputs.iter().map(|done| done.facts.bytes).sum();
            (tally, inputs, read_bytes)
        })
        .reduce(
            || (Dated::new(plan.by), Vec::new(), 0),
            |(mut tally, mut inputs, read_bytes), (other, others, other_bytes)| {
                tally.merge(other);
                inputs.extend(others);
                let mut unweighed = read_bytes + other_bytes;
                counting.lighten(&mut tally, &mut unweighed);
                (tally, inputs, unweighed)
            },
        );
    let tally = counting.settle(tally);
    bar.finish_and_clear();
    inputs.sort_unstable_by_key(|done| done.index);
    let (mut lines, mut marks, mut has_unnoted) = (Vec::new(), Vec::new(), Vec::new());
    let inputs: Vec<InputFacts> = inputs
        .into_iter()
        .map(|done| {
            lines.push(done.lines);
            marks.push(done.mark);
            has_unnoted.push(done.has_unnoted);
            done.facts
        })
        .collect();
    // A run that goes on from others may find nothing new.
    if let (false, Some(error)) = (plan.options.resumable, nothing_read(&inputs)) {
        return Err(error);
    }
    let volume = Volume {
        lines: lines.iter().map(|lines| lines.sums.lines()).sum(),
        bytes: inputs.iter().map(|input| input.bytes).sum(),
        inputs: inputs.len() as u64,
    };
    let facts = Facts {
        since: plan.since,
        until: plan.until,
        config_digest: plan.config_digest.clone(),
        paths_from: plan.paths_from,
        sources: plan.sources.clone(),
        inputs,
        unread: plan.unread.clone(),
        severities: plan.severities.clone(),
        suppressions: plan.suppressions.clone(),
        thresholds: plan.thresholds,
        notes_networks: plan.notes_networks,
        partner: only,
        state: None,
    };
    let with_lines: Vec<bool> = lines
        .iter()
        .zip(&facts.inputs)
        .map(|(lines, facts)| !facts.unopened && lines.sums.lines() > 0)
        .collect();
    let records = repeats.by_day(|input| with_lines[input as usize]);
    Ok(Reading { tally, lines, facts, volume, marks, records, has_unnoted })
}

/// The error if no input at all could be read.
pub(super) fn nothing_read(inputs: &[InputFacts]) -> Option<Error> {
    let faults: Option<Vec<String>> = inputs
        .iter()
        .map(|input| {
            let fault = input.fault.as_ref().filter(|_| input.unopened)?;
            Some(format!("{}: {fault}", input.path))
        })
        .collect();
    let faults = faults?;
    let error = Error::new(format!("no input could be read: {}", faults.join("; ")));
    let shapes = inputs.iter().map(|input| input.unknown_shapes.as_slice());
    Some(match format_hint(shapes) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// What to do about inputs whose format could not be told, given the shapes of each one's lines.
pub(super) fn format_hint<'a>(shapes: impl Iterator<Item = &'a [String]>) -> Option<String> {
    let shapes: Vec<&[String]> = shapes.collect();
    // The first of each, then the second of each: no input's lines take all the room.
    let by_turns =
        (0..limits::SHAPES_TOLD_MAX).flat_map(|i| shapes.iter().filter_map(move |of| of.get(i)));
    let mut distinct: Vec<&str> = Vec::new();
    for shape in by_turns {
        if distinct.len() < limits::SHAPES_TOLD_MAX && !distinct.contains(&shape.as_str()) {
            distinct.push(shape);
        }
    }
    if distinct.is_empty() {
        return None;
    }
    Some(format!(
        "set the format with --log-format NAME, or describe it under [formats.NAME] of overstay.toml: an nginx or Apache \
         log format string will do, see docs/formats.md; the lines look like\n  {}",
        distinct.join("\n  ")
    ))
}

/// How many inputs a note names.
const NAMED_MAX: usize = 3;

/// Which formats were told from the lines themselves, a note for each.
pub(super) fn formats_taken(plan: &ReadPlan, facts: &Facts) -> Vec<String> {
    let told = plan.inputs.iter().zip(&facts.inputs).filter(|(input, _)| input.format.is_none());
    taken(told.filter_map(|(_, facts)| Some((facts.format.as_deref()?, facts.path.as_str()))))
}

/// The notes on inputs whose format was told from their lines, given as format and path.
pub(super) fn taken<'a>(told: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (format, path) in told {
        paths.entry(format).or_default().push(path);
    }
    let note = |(format, paths): (&str, Vec<&str>)| {
        let named = paths[..paths.len().min(NAMED_MAX)].join(", ");
        match paths.len().saturating_sub(NAMED_MAX) {
            0 => format!("format {format}, told from the lines: {named}"),
            more => format!("format {format}, told from the lines: {named} and {more} more"),
        }
    };
    paths.into_iter().map(note).collect()
}

/// Sources whose records are to be compared and have nothing to compare them by, a warning for each.
pub(super) fn vain_dedupe(plan: &ReadPlan, facts: &Facts) -> Vec<String> {
    let asked = plan.inputs.iter().zip(&facts.inputs);
    let vain = asked.filter(|(input, _)| input.dedupe == Some(true)).filter_map(|(_, facts)| {
        let name = facts.format.as_deref()?;
        let format = plan.formats.iter().find(|format| format.name() == name)?;
        (!format.maps_request_id()).then_some((facts.source.as_str(), name))
    });
    let vain: BTreeSet<(&str, &str)> = vain.collect();
    let told = vain.into_iter().map(|(source, format)| {
        format!(
            "source {source}: `dedupe = true` finds no repeats: format {format} maps no request_id to tell them by"
        )
    });
    told.collect()
}

/// The notes on inputs that repeat others, given as path and the other's path.
pub(super) fn repeated<'a>(repeats: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let all = repeats
        .map(|(path, first)| format!("{path} has the same content as {first}: counted once"));
    few_named(all.collect(), |more| format!("{more} more inputs repeat others: counted once"))
}

/// The notes on inputs that end early where that is no news, or of no matter, given as path and words.
pub(super) fn still_flawed(flawed: &[(String, String)]) -> Vec<String> {
    let all = flawed.iter().map(|(path, words)| format!("{path}: {words}"));
    few_named(all.collect(), |more| format!("{more} more inputs end early"))
}

/// Notes that name an input each, or of many the first, and how many more there are.
fn few_named(mut notes: Vec<String>, told: impl Fn(usize) -> String) -> Vec<String> {
    match notes.len().saturating_sub(NAMED_MAX) {
        0 | 1 => {}
        more => {
            notes.truncate(NAMED_MAX);
            notes.push(told(more));
        }
    }
    notes
}

/// A pool of as many threads as the plan says.
pub(super) fn pool(plan: &ReadPlan) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads.unwrap_or(0))
        .build()
        .map_err(|error| Error::new(format!("could not start worker threads: {error}")))
}

/// A bar over the bytes of all inputs as they lie, hidden unless the plan shows progress.
pub(super) fn progress_bar(plan: &ReadPlan) -> ProgressBar {
    if !plan.progress {
        return ProgressBar::hidden();
    }
    let bytes = plan.inputs.iter().map(|input| input.found.size()).sum::<Option<u64>>();
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
        ),
        // Standard input and pipes have no end that is known beforehand.
        None => (ProgressBar::no_length(), "{spinner} {bytes}  {bytes_per_sec}  {elapsed}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// An input that is open, with the format it is read in.
pub(super) struct Opened<'p> {
    /// The lines.
    pub(super) input: Input,
    /// Their format; `None` if there is not a line to tell it from, or none that still stands.
    pub(super) format: Option<&'p Format>,
    /// Its index in the plan.
    pub(super) index: Option<usize>,
}

/// Opens an input and settles its format.
///
/// # Errors
///
/// The facts that tell why not.
pub(super) fn open<'p>(
    plan: &'p ReadPlan,
    input: &InputPlan,
    before: Option<&Version>,
) -> std::result::Result<Opened<'p>, Box<InputFacts>> {
    let opened = match before.or(input.version.as_ref()) {
        None => Input::open_at(&input.found, &plan.options, &input.start),
        Some(before) => Input::open_again(&input.found, &plan.options, &input.start, before),
    };
    settle(plan, input, opened)
}

/// Settles the format of an input that was opened.
///
/// # Errors
///
/// As [`open`].
pub(super) fn settle<'p>(
    plan: &'p ReadPlan,
    input: &InputPlan,
    opened: Result<Input>,
) -> std::result::Result<Opened<'p>, Box<InputFacts>> {
    let facts = || InputFacts {
        path: input.found.shown.clone(),
        source: plan.sources[input.source as usize].0.clone(),
        unopened: true,
        ..InputFacts::default()
    };
    let mut opened = opened.map_err(|error| {
        // The error names the input, and so does every report of it.
        let text = error.to_string();
        let prefix = format!("{}: ", input.found.shown);
        let fault = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
        Box::new(InputFacts { fault: Some(fault), ..facts() })
    })?;
    let formats: Vec<&Format> = plan.formats.iter().collect();
    let detected = match input.format {
        Some(index) => Ok(index),
        None => formats::detect(&formats, opened.head()),
    };
    match detected {
        Ok(index) => {
            let format = formats[index];
            let framed = opened.framed(format.framing(), &input.found, &plan.options);
            let input = framed.map_err(|error| {
                Box::new(InputFacts { fault: Some(error.to_string()), ..facts() })
            })?;
            Ok(Opened { input, format: Some(format), index: Some(index) })
        }
        // Of a log that shrank meanwhile no shape tells anything; reading on will say what became of it.
        // Nor does a line that was cut off: what is worth telling is that it was. Nor one that may never have been written.
        Err(undetected)
            if undetected.shapes.is_empty()
                || opened.is_lost()
                || opened.ended_in_first_line()
                || plan.options.resumable && opened.is_corrupt() =>
        {
            Ok(Opened { input: opened, format: None, index: None })
        }
        Err(undetected) => Err(Box::new(InputFacts {
            compression: opened.compression().map(|compression| compression.as_str()),
            fault: Some(undetected.to_string()),
            unknown_shapes: undetected.shapes,
            ..facts()
        })),
    }
}

/// What one worker makes of the pieces of an input that it takes.
struct Work {
    made: Made,
    worker: Worker,
}

/// What came of pieces of an input, but for what is in columns.
#[derive(Default)]
struct Made {
    tally: Dated,
    /// Lines of each piece, by its index.
    lines: Vec<(usize, u64)>,
    /// What of it was laid aside.
    away: Lines,
}

impl Made {
    fn new(by: By) -> Made {
        Made { tally: Dated::new(by), ..Made::default() }
    }

    fn merge(mut self, other: Made) -> Made {
        self.tally.merge(other.tally);
        self.lines.extend(other.lines);
        self.away.merge(&other.away);
        self
    }
}

/// What a worker keeps from input to input: what it knows from the calls before, and columns that wait.
struct Worker {
    columns: Columns,
    scratch: Scratch,
    /// Which fields that is for.
    wanted: Wanted,
    memory: Memory,
    /// Digests of credentials, where nothing is judged.
    digests: Remembered<[u8; 32]>,
    /// Bytes read since it was last looked how much memory the sums take.
    unweighed: u64,
}

/// What is the same for all inputs.
struct Counting<'p> {
    plan: &'p ReadPlan,
    judge: Option<&'p Judge<'p>>,
    only: Option<PartnerId>,
    repeats: &'p Repeats<'p>,
    bar: &'p ProgressBar,
    aside: Option<&'p Aside<'p>>,
    /// Of workers that are between two inputs.
    idle: Mutex<Vec<Worker>>,
}

impl Counting<'_> {
    /// The work of a worker on an input whose calls are compared, or not.
    fn begin(&self, is_compared: bool) -> Work {
        let is_whole = is_compared || self.plan.notes_networks;
        let wanted = if is_whole { Wanted::Everything } else { Wanted::Sums };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|worker| worker.wanted == wanted);
        let worker = found.map(|index| idle.swap_remove(index)).unwrap_or_else(|| Worker {
            columns: Columns::new(self.plan.by, self.only),
            scratch: Scratch::wanting(wanted),
            wanted,
            memory: Memory::default(),
            digests: Remembered::default(),
            unweighed: 0,
        });
        Work { made: Made::new(self.plan.by), worker }
    }

    /// What it came to but the sums in columns. What the worker knows goes to `ended`: there it waits until the input is known
    /// to count.
    fn end(&self, work: Work, ended: &Mutex<Vec<Worker>>) -> Made {
        let Work { made, worker } = work;
        ended.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        made
    }

    /// Lays sums aside if they are too much for memory, where so many bytes were read since that was last looked at.
    fn lighten(&self, tally: &mut Dated, unweighed: &mut u64) {
        let Some(aside) = self.aside else { return };
        if aside.is_full(unweighed, || tally.heap_bytes()) {
            aside.lay(tally.take_days(), None);
        }
    }

    /// Ends an input that counts, or not.
    fn conclude(&self, ended: Mutex<Vec<Worker>>, counts: bool) {
        let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        for Worker { columns, unweighed, .. } in &mut ended {
            match counts {
                true => columns.commit(),
                false => columns.roll_back(),
            }
            if let Some(aside) = self.aside
                && aside.is_full(unweighed, || columns.heap_bytes())
            {
                // Nothing is of an input that is being read: this one has just ended.
                let by = self.plan.by;
                let (mut committed, mut none) = (Dated::new(by), Dated::new(by));
                columns.clear_into(&mut committed, &mut none);
                aside.lay(committed.take_days(), None);
            }
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).append(&mut ended);
    }

    /// Adds to a tally the sums that workers keep in columns.
    fn settle(self, tally: Dated) -> Dated {
        let idle = self.idle.into_inner().unwrap_or_else(PoisonError::into_inner);
        let settled = idle.into_par_iter().with_max_len(1).map(|mut worker| {
            let mut tally = Dated::new(self.plan.by);
            worker.columns.settle(&mut tally);
            tally
        });
        let mut all = settled.reduce(Dated::default, |mut tally, other| {
            tally.merge(other);
            tally
        });
        all.merge(tally);
        all
    }

    /// Counts the first of some inputs with the same content, and of the others that they repeat it. If it can't be
    /// read, the next one is the first.
    fn group(&self, group: &[usize]) -> (Dated, Vec<Done>) {
        let (mut tally, mut inputs) = (Dated::new(self.plan.by), Vec::new());
        let mut first: Option<(InputSums, InputFacts)> = None;
        for &index in group {
            inputs.push(match &first {
                None => {
                    let (read, done) =
                        self.input(index, group.first().map_or(index, |&first| first));
                    if done.facts.bytes > 0 {
                        first = Some((done.lines.sums.clone(), done.facts.clone()));
                    }
                    tally.merge(read);
                    done
                }
                Some((sums, first)) => {
                    let lines = Lines { sums: sums.of_repeat(), last_day: None };
                    tally.undated.inputs.insert(index as u32, lines.sums.clone());
                    let facts = self.repeat(index, first);
                    Done { index, lines, facts, mark: None, has_unnoted: false }
                }
            });
        }
        (tally, inputs)
    }

    /// The facts of an input that repeats another.
    fn repeat(&self, index: usize, first: &InputFacts) -> InputFacts {
        let input = &self.plan.inputs[index];
        let opened = Input::open(&input.found, &self.plan.options).ok();
        let compression = opened.as_ref().and_then(Input::compression);
        let digest = opened.filter(|_| self.plan.options.digest).and_then(|opened| {
            let drained = opened.drain(|_| Ok(ControlFlow::Continue(())));
            drained.ok().and_then(|outcome| outcome.digest)
        });
        self.bar.inc(input.found.size().unwrap_or(0));
        // What the first leaves to another time is part of what they have in common.
        let now = first.bytes + first.pending_bytes;
        let changed = self.repeats.of(index).repeats.is_some_and(|(_, bytes)| bytes != now);
        InputFacts {
            path: input.found.shown.clone(),
            compression: compression.map(|compression| compression.as_str()),
            digest,
            fault: match changed {
                true => Some(format!(
                    "had the same content as {}, which changed while it was read; run again",
                    first.path
                )),
                false => first.fault.clone(),
            },
            rejects_fault: None,
            repeats: Some(first.path.clone()),
            ..first.clone()
        }
    }

    /// Counts an input. Its records were noted as those of input `noted`, which has the same content.
    fn input(&self, index: usize, noted: usize) -> (Dated, Done) {
        let &Counting { plan, judge, only, repeats, bar, aside, .. } = self;
        let ready = repeats.of(index);
        let (input, number) = (&plan.inputs[index], index as u32);
        let kept = ready.kept.as_ref();
        let seek = repeats.of(noted).dedupe.then_some((repeats, noted as u32));
        let mut opened = ready.open(plan);
        let (outcome, format, compression) = loop {
            let Opened { input: log, format, .. } = match opened {
                Ok(opened) => opened,
                Err(facts) => {
                    let (lines, facts) = (Lines::default(), ready.told(*facts));
                    let done = Done { index, lines, facts, mark: None, has_unnoted: false };
                    return (Dated::new(plan.by), done);
                }
            };
            let compression = kept.map_or(log.compression(), |kept| kept.compression);
            let source = input.source;
            let reader = Reader { plan, judge, only, format, input: number, source, seek, aside };
            let ended = Mutex::default();
            let outcome = log.fold(
                &|bytes| bar.inc(bytes),
                || self.begin(seek.is_some()),
                |work, piece| reader.piece(work, piece),
                |work| self.end(work, &ended),
                Made::merge,
            );
            let is_void = outcome.fault.as_ref().is_some_and(Fault::is_void);
            self.conclude(ended, !is_void);
            if let (Some(aside), true) = (aside, is_void) {
                aside.forget(number);
            }
            match &outcome.fault {
                Some(Fault::Unsound(until)) => opened = ready.open_until(plan, until),
                _ => break (outcome, format, compression),
            }
        };
        let Made { mut tally, lines: mut of_pieces, away: mut lines } = outcome.value;
        of_pieces.sort_unstable();
        let mut before = input.lines_before;
        for (_, count) in &mut of_pieces {
            before += std::mem::replace(count, before);
        }
        tally.undated.rejects.number_lines(&of_pieces);

        lines.note(&tally, number);
        tally.file(lines.last_day);
        let fault = kept.and_then(|kept| kept.fault.as_ref()).or(outcome.fault.as_ref());
        let facts = InputFacts {
            path: input.found.shown.clone(),
            source: plan.sources[input.source as usize].0.clone(),
            format: format.map(|format| format.name().to_owned()),
            compression: compression.map(|compression| compression.as_str()),
            bytes: outcome.bytes,
            pending_bytes: outcome.mark.as_ref().map_or(0, |mark| mark.pending_bytes),
            digest: kept.map_or(outcome.digest, |kept| kept.digest.clone()),
            fault: fault.map(|fault| told(fault, outcome.mark.as_ref())),
            rejects_fault: too_many_rejects(plan.max_rejects, &lines.sums),
            ends_early: false,
            repeats: None,
            unopened: false,
            unknown_shapes: Vec::new(),
            id: None,
        };
        // What was noted of another input is kept only if that could be read.
        let is_noted = seek.is_some() && index == noted;
        let has_unnoted = !is_noted && format.is_some_and(Format::maps_request_id);
        (tally, Done { index, lines, facts, mark: outcome.mark, has_unnoted })
    }
}

/// Why an input was not read to its end, and what of it counts all the same where that is not told by the report itself.
fn told(fault: &Fault, mark: Option<&Mark>) -> String {
    let reason = fault.reason();
    match mark.map(|mark| mark.end) {
        None => reason.to_owned(),
        Some(0) => format!("{reason}; nothing of it counts"),
        Some(end) => format!("{reason}; of what it holds the first {end} bytes count"),
    }
}

/// What is the same for all lines of an input.
struct Reader<'p> {
    plan: &'p ReadPlan,
    judge: Option<&'p Judge<'p>>,
    only: Option<PartnerId>,
    format: Option<&'p Format>,
    input: u32,
    source: u32,
    /// Where to ask for repeats, and by which input's number, if records of this one may be some.
    seek: Option<(&'p Repeats<'p>, u32)>,
    aside: Option<&'p Aside<'p>>,
}

impl Reader<'_> {
    fn piece(&self, work: &mut Work, piece: Piece<'_>) {
        if let Some(format) = self.format {
            format.begin(piece.directive, &mut work.worker.scratch);
        }
        let mut lines = piece.lines();
        let mut count = 0;
        for line in lines.by_ref() {
            if let Line::Content { bytes, .. } = line
                && self.format.is_some_and(|format| format.may_be_directive(bytes))
            {
                // What goes the long way is read once more, which must be as it was read before.
                self.fold(work, &piece);
            }
            match line {
                Line::Content { bytes, .. }
                    if self
                        .format
                        .is_some_and(|f| f.directive(bytes, &mut work.worker.scratch)) =>
                {
                    self.sums(&mut work.made.tally).blank += 1;
                }
                Line::Blank => self.sums(&mut work.made.tally).blank += 1,
                Line::Content { offset, bytes } => self.line(work, &piece, count, offset, bytes),
                Line::TooLong { offset, head, .. } => {
                    let reject = self.reject(piece.index, count, offset, Reason::TooLong, head);
                    work.made.tally.undated.add_reject(reject);
                }
            }
            count += 1;
        }
        let gap_bytes = lines.gap_bytes();
        if gap_bytes > 0 {
            self.sums(&mut work.made.tally).gap_bytes += gap_bytes;
        }
        work.made.lines.push((piece.index, count));
        self.fold(work, &piece);
        work.worker.unweighed += piece.bytes().len() as u64;
        if let Some(aside) = self.aside
            && aside.is_full(&mut work.worker.unweighed, || {
                work.worker.columns.heap_bytes() + work.made.tally.heap_bytes()
            })
        {
            self.lighten(work, aside);
        }
    }

    /// Lays aside what is counted.
    #[cold]
    fn lighten(&self, work: &mut Work, aside: &Aside<'_>) {
        let Work { made, worker } = work;
        let mut committed = Dated::new(self.plan.by);
        // What has no day stays here.
        let undated = std::mem::take(&mut made.tally.undated);
        worker.columns.clear_into(&mut committed, &mut made.tally);
        made.away.note(&made.tally, self.input);
        aside.lay(committed.take_days(), None);
        // Whether this input counts is known at its end.
        aside.lay(made.tally.take_days(), Some(self.input));
        made.tally.undated = undated;
    }

    /// Counts the calls that were kept in columns.
    fn fold(&self, work: &mut Work, piece: &Piece<'_>) {
        let Some(judge) = self.judge else { return };
        let Work { made: Made { tally, .. }, worker: Worker { columns, scratch, memory, .. } } =
            work;
        let place = Place { source: self.source, input: self.input, offset: piece.offset };
        columns.fold(judge, tally, place, piece.bytes(), |tally, line, bytes| {
            let offset = place.offset + line as u64;
            match parsed(self.format, bytes, scratch) {
                Ok(call) => {
                    let judged = judge.judge(&call, memory);
                    self.count(tally, judge, &call, &judged, Place { offset, ..place }, bytes);
                }
                // It was a call: somebody has written over a mapped log meanwhile. No line is lost for that.
                Err(reason) => {
                    let before = piece.bytes()[..line].iter().filter(|byte| **byte == b'\n');
                    let number = before.count() as u64;
                    tally.undated.add_reject(self.reject(
                        piece.index,
                        number,
                        offset,
                        reason,
                        bytes,
                    ));
                }
            }
        });
    }

    fn count(
        &self,
        tally: &mut Dated,
        judge: &Judge<'_>,
        call: &Call<'_>,
        judged: &Judged<'_>,
        place: Place,
        line: &[u8],
    ) {
        if self.only.is_some() && self.only != judged.partner {
            let known = matches!(judged.presented, Presented::Known(_));
            tally.of(call.at).count_read(call, known, place);
        } else {
            tally.of(call.at).add(judge, call, judged, place, line);
        }
    }

    #[inline]
    fn line(&self, work: &mut Work, piece: &Piece<'_>, line: u64, offset: u64, bytes: &[u8]) {
        let Worker { columns, scratch, memory, digests, .. } = &mut work.worker;
        let parsed = parsed_briefly(self.format, bytes, scratch);
        let in_piece = (offset - piece.offset) as usize;
        // Of most calls nothing more than this is asked. (Looked at where it is: a whole call is too large to be moved.)
        if let (Ok(Parsed::Brief(brief)), Some(judge), None) = (&parsed, self.judge, self.seek)
            && !self.plan.notes_networks
            && within(brief.at, self.plan)
            && let Some(known) = judge.recall(brief, memory)
            && columns.add(judge, brief.into(), known, in_piece, bytes.len())
        {
            return;
        }
        let call = match parsed {
            Ok(parsed) => Call::from(parsed),
            Err(reason) => {
                let reject = self.reject(piece.index, line, offset, reason, bytes);
                work.made.tally.undated.add_reject(reject);
                return;
            }
        };
        if !within(call.at, self.plan) {
            self.sums(&mut work.made.tally).outside_window += 1;
            return;
        }
        if self
            .seek
            .is_some_and(|(repeats, input)| repeats.is_repeat(self.source, &call, input, offset))
        {
            self.sums(&mut work.made.tally).duplicates += 1;
            return;
        }
        if self.seek.is_some_and(|(repeats, _)| repeats.is_unchecked(self.source, &call)) {
            let sums = work.made.tally.of(call.at).inputs.entry(self.input).or_default();
            sums.repeats_unchecked += 1;
        }
        let place = Place { source: self.source, input: self.input, offset };
        match self.judge {
            Some(judge) => {
                let asked = judge.ask(&call, memory);
                if self.plan.notes_networks {
                    note_network(&mut work.made.tally, judge, &call, asked.presented);
                }
                if let Some(known) = asked.known()
                    && columns.add(judge, (&call).into(), known, in_piece, bytes.len())
                {
                    return;
                }
                let judged = judge.pronounce(call.at, asked);
                self.count(&mut work.made.tally, judge, &call, &judged, place, bytes);
            }
            None => {
                let (path, operation) = as_logged(&call);
                let credential = call.credential.as_deref();
                let credential = credential.map(|text| digests.get(text, credential_digest));
                work.made
                    .tally
                    .of(call.at)
                    .add_unjudged(&call, credential, &path, &operation, place);
            }
        }
    }

    fn sums<'t>(&self, tally: &'t mut Dated) -> &'t mut InputSums {
        tally.undated.inputs.entry(self.input).or_default()
    }

    fn reject(&self, piece: usize, line: u64, offset: u64, reason: Reason, bytes: &[u8]) -> Reject {
        Reject { input: self.input, offset, line, piece, reason, shape: parse::shape(bytes) }
    }
}

/// Notes from where a call came, whoever's it is: where a credential was known from, its holder before may have called. Of a
/// call that goes the long way later, too, this is once.
fn note_network(tally: &mut Dated, judge: &Judge<'_>, call: &Call<'_>, presented: Presented) {
    let Presented::Known(credential) = presented else { return };
    let partner = judge.partner_of(credential, call.at);
    tally.of(call.at).networks.add(credential, partner, call);
}

/// The call of a line, or why it is none. Without a format, since the first lines of its log were all blank and there
/// was nothing to tell one from, no line fits.
pub(super) fn parsed<'l>(
    format: Option<&'l Format>,
    line: &'l [u8],
    scratch: &'l mut Scratch,
) -> std::result::Result<Call<'l>, Reason> {
    parsed_briefly(format, line, scratch).map(Call::from)
}

/// As [`parsed`]; but a plain call may be left as brief as it is.
#[inline]
fn parsed_briefly<'l>(
    format: Option<&'l Format>,
    line: &'l [u8],
    scratch: &'l mut Scratch,
) -> std::result::Result<Parsed<'l>, Reason> {
    format.map_or(Err(Reason::Malformed), |format| format.parse_briefly(line, scratch))
}

/// Whether an instant lies in the plan's window.
pub(super) fn within(at: Instant, plan: &ReadPlan) -> bool {
    plan.since.is_none_or(|since| since <= at) && plan.until.is_none_or(|until| at < until)
}

/// Where a call went and what for, by its log alone.
fn as_logged(call: &Call<'_>) -> (String, String) {
    let path = match (&call.api, &call.path) {
        (Some(api), _) => api.clone().into_owned(),
        (None, Some(path)) => template_of(path),
        (None, None) => String::new(),
    };
    let operation = match &call.operation {
        Some(operation) => operation.clone().into_owned(),
        None => crate::register::operation_of_method(call.method.as_deref()).into_owned(),
    };
    (path, operation)
}

/// Why an input's rejects are too many, if they are. `no-target` does not count.
pub(super) fn too_many_rejects(max: MaxRejects, sums: &InputSums) -> Option<String> {
    let rejected = sums.rejected_counted;
    // A call is any record that parsed. A reject has no readable time, so neither side of the share knows the window.
    let records = sums.calls + sums.outside_window + sums.duplicates;
    let lines = records + rejected;
    let (passed, limit) = match max {
        MaxRejects::Count(count) => (rejected > count, count.to_string()),
        // In integers the product would overflow late and the share round; a double is exact enough to compare.
        MaxRejects::Percent(percent) => {
            (rejected as f64 * 100.0 > percent * lines as f64, format!("{percent}%"))
        }
    };
    passed.then(|| {
        // Where not one line is a call, it is hardly the lines' fault.
        let format = if records == 0 { "; is it the right format?" } else { "" };
        format!("{rejected} of {lines} lines rejected, more than --max-rejects {limit}{format}")
    })
}
