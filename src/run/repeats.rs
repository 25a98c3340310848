//! What of the logs was delivered twice: found before anything is counted, so that the first counts wherever it lies.
//!
//! Two things are sought: whole files of one source with the same content (`x` beside `x.gz`), and, where a source or
//! its format asks for it, records that are equal in all that calls are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use hashbrown::{HashMap, HashSet};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::read::{Opened, open, parsed, settle, within};
use crate::call::{Call, Sourced};
use crate::error::{Error, Result};
use crate::input::{
    Compression, Fault, Found, Input, Io, Line, Options, Piece, Start, Until, Version,
};
use crate::limits;
use crate::parse::Scratch;
use crate::plan::{InputPlan, ReadPlan};
use crate::report::{Expect, InputFacts};
use crate::state::Unremembered;
use crate::tally::By;

/// What was found.
pub(super) struct Repeats<'p> {
    /// Of each input of the plan.
    inputs: Vec<Ready<'p>>,
    firsts: Firsts,
    before: Before,
    /// By their numbers.
    sources: &'p [(String, Option<Expect>)],
}

/// What is remembered of records that were counted before.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Those of the days that were asked for.
    pub(super) records: HashSet<RecordId>,
    /// The days among these of which calls were counted whose records are not known.
    pub(super) unremembered: BTreeMap<i64, Unremembered>,
}

/// An input of which is known whether and how it is to be read.
pub(super) struct Ready<'p> {
    /// How to open it: in the format that was told already, from the file that it is kept in.
    pub(super) plan: InputPlan,
    /// Whether records of it may repeat others, or be repeated.
    pub(super) dedupe: bool,
    /// The input that has the same content and counts instead, and how many bytes that is.
    pub(super) repeats: Option<(usize, u64)>,
    /// What could be read but once, where it had to be read twice.
    pub(super) kept: Option<Kept>,
    /// What was opened to look at it, and is still to be read from its beginning.
    opened: Mutex<Option<OpenResult<'p>>>,
    /// Which file its records were noted of: the same bytes of it are to be read once more.
    version: Option<Version>,
}

type OpenResult<'p> = std::result::Result<Opened<'p>, Box<InputFacts>>;

/// A stream's content in a file.
pub(super) struct Kept {
    /// Without a name: gone when this is, whatever ends the program.
    file: File,
    /// What it was when it came.
    pub(super) compression: Option<Compression>,
    /// BLAKE3 of it as it came, if asked for.
    pub(super) digest: Option<String>,
    /// Why it ended early.
    pub(super) fault: Option<Fault>,
}

impl Kept {
    /// Its content once more, from the beginning.
    fn open(&self, plan: &ReadPlan) -> Result<Input> {
        let in_words = |error| Error::io("the temporary file of a stream", error);
        let mut file = self.file.try_clone().map_err(in_words)?;
        file.seek(SeekFrom::Start(0)).map_err(in_words)?;
        // The digest is of the stream as it came.
        let options = Options { digest: false, ..plan.options };
        Input::from_plain(Box::new(file), &options).map_err(in_words)
    }
}

impl<'p> Ready<'p> {
    /// Opens it. Only once.
    pub(super) fn open(&self, plan: &'p ReadPlan) -> OpenResult<'p> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        opened.unwrap_or_else(|| match &self.kept {
            Some(kept) => settle(plan, &self.plan, kept.open(plan)),
            None => open(plan, &self.plan, self.version.as_ref()),
        })
    }

    /// Opens it once more, to be read no further than it can be relied on.
    pub(super) fn open_until(&self, plan: &'p ReadPlan, until: &Until) -> OpenResult<'p> {
        open(plan, &bounded(&self.plan, until), self.version.as_ref())
    }

    /// Why it could not be read, and what else does not count for it.
    pub(super) fn told(&self, facts: InputFacts) -> InputFacts {
        let mut facts = facts;
        if let Some(fault) = facts.fault.as_mut().filter(|_| self.version.is_some()) {
            fault.push_str(
                "; records of other logs that repeat some of it were not counted either: run again",
            );
        }
        facts
    }
}

impl<'p> Repeats<'p> {
    /// Looks for repeats among all inputs of the plan, on the current thread pool; `remembered` gives the records that were
    /// counted before.
    ///
    /// # Errors
    ///
    /// Those of `remembered`.
    pub(super) fn seek(
        plan: &'p ReadPlan,
        bar: &ProgressBar,
        remembered: &dyn Fn(&BTreeSet<i64>) -> Result<Before>,
    ) -> Result<Repeats<'p>> {
        let files = whole_files(plan);
        let firsts = Shards::default();
        let inputs = (0..plan.inputs.len()).into_par_iter().with_max_len(1).map(|index| {
            let mut ready = Ready {
                plan: plan.inputs[index].clone(),
                dedupe: false,
                repeats: files[index],
                kept: None,
                opened: Mutex::new(None),
                version: None,
            };
            if ready.repeats.is_none() && may_dedupe(plan, &ready.plan) {
                look(plan, index as u32, &mut ready, &firsts, bar);
            }
            ready
        });
        let inputs = inputs.collect();
        let firsts = firsts.into_firsts();
        let days: BTreeSet<i64> = firsts.all().map(|(_, first)| first.day).collect();
        let before = if days.is_empty() { Before::default() } else { remembered(&days)? };
        Ok(Repeats { inputs, firsts, before, sources: &plan.sources })
    }

    /// The records that were found, by day: those that lie in one of the inputs.
    pub(super) fn by_day(&self, counts: impl Fn(u32) -> bool) -> BTreeMap<i64, BTreeSet<RecordId>> {
        let mut by_day: BTreeMap<i64, BTreeSet<RecordId>> = BTreeMap::new();
        for (id, first) in self.firsts.all().filter(|(_, first)| counts(first.at.0)) {
            by_day.entry(first.day).or_default().insert(*id);
        }
        by_day
    }

    /// Whether a call of a source may repeat one whose record is not known.
    pub(super) fn is_unchecked(&self, source: u32, call: &Call<'_>) -> bool {
        let unremembered = || self.before.unremembered.get(&By::Day.of(call.at));
        call.request_id.is_some()
            && unremembered().is_some_and(|those| those.has(&self.sources[source as usize].0))
    }

    /// What is known of an input.
    pub(super) fn of(&self, index: usize) -> &Ready<'p> {
        &self.inputs[index]
    }

    /// The inputs that are read together: one, and those that repeat it.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, ready) in self.inputs.iter().enumerate() {
            groups.entry(ready.repeats.map_or(index, |(first, _)| first)).or_default().push(index);
        }
        groups.into_values().collect()
    }

    /// Whether a call of a source repeats one that lies before it, by input and offset.
    pub(super) fn is_repeat(&self, source: u32, call: &Call<'_>, input: u32, offset: u64) -> bool {
        let id = record_id(&self.sources[source as usize].0, call);
        id.is_some_and(|id| {
            self.before.records.contains(&id)
                || self.firsts.get(&id).is_some_and(|first| first != (input, offset))
        })
    }
}

/// Whether records of an input might have to be compared, as far as the plan can tell.
fn may_dedupe(plan: &ReadPlan, input: &InputPlan) -> bool {
    let format = input.format.map(|index| &plan.formats[index]);
    input.dedupe.unwrap_or_else(|| format.is_none_or(|format| format.dedupe()))
}

/// Opens an input and notes its records, if they are to be compared.
fn look<'p>(
    plan: &'p ReadPlan,
    index: u32,
    ready: &mut Ready<'p>,
    firsts: &Shards,
    bar: &ProgressBar,
) {
    let is_stream = ready.plan.found.is_stream();
    let opened = match open(plan, &ready.plan, None) {
        Ok(opened) => opened,
        // A file says the same again when it is read.
        Err(_) if !is_stream => return,
        Err(facts) => return later(ready, Err(facts)),
    };
    ready.plan.format = opened.index.or(ready.plan.format);
    ready.dedupe = opened.format.is_some_and(|format| ready.plan.dedupe.unwrap_or(format.dedupe()));
    if !ready.dedupe {
        // A file too stays open, if not too many do: it is then read as it was now, and its head not again.
        if is_stream || plan.inputs.len() <= limits::INPUTS_OPEN_MAX {
            later(ready, Ok(opened));
        }
        return;
    }
    let opened = if is_stream {
        let settled = match keep(opened.input) {
            Ok(kept) => {
                let again = settle(plan, &ready.plan, kept.open(plan));
                ready.kept = Some(kept);
                again
            }
            Err(error) => Err(Box::new(InputFacts {
                path: ready.plan.found.shown.clone(),
                source: plan.sources[ready.plan.source as usize].0.clone(),
                fault: Some(format!(
                    "could not be kept in a temporary file to look for repeats: {error}"
                )),
                unopened: true,
                ..InputFacts::default()
            })),
        };
        match settled {
            Ok(opened) => opened,
            Err(facts) => return later(ready, Err(facts)),
        }
    } else {
        ready.version = opened.input.version();
        opened
    };
    let source = ready.plan.source;
    let mut opened = opened;
    loop {
        bar.inc_length(opened.input.size().unwrap_or(0));
        let outcome = opened.input.fold(
            &|bytes| bar.inc(bytes),
            || (Vec::new(), Scratch::default()),
            |(seen, scratch), piece| note(plan, source, opened.format, piece, scratch, seen),
            |(seen, _)| seen,
            |mut seen, others| {
                seen.extend(others);
                seen
            },
        );
        for (id, offset, day) in outcome.value {
            firsts.note(id, First { at: (index, offset), day });
        }
        let Some(Fault::Unsound(until)) = outcome.fault else { return };
        // What is noted is what will be read.
        ready.plan = bounded(&ready.plan, &until);
        match open(plan, &ready.plan, ready.version.as_ref()) {
            Ok(again) => opened = again,
            // It says the same again when it is read.
            Err(_) => return,
        }
    }
}

/// How to open an input that is to be read no further than it can be relied on.
fn bounded(input: &InputPlan, until: &Until) -> InputPlan {
    let start = Start { until: Some(until.clone()), ..input.start.clone() };
    InputPlan { start, ..input.clone() }
}

/// Leaves what was opened for when it is read.
fn later<'p>(ready: &mut Ready<'p>, opened: OpenResult<'p>) {
    *ready.opened.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(opened);
}

/// Writes a stream's content into a file.
fn keep(input: Input) -> std::io::Result<Kept> {
    let compression = input.compression();
    let mut file = tempfile::tempfile()?;
    let outcome = input.drain(|bytes| {
        file.write_all(bytes)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Kept { file, compression, digest: outcome.digest, fault: outcome.fault })
}

/// Notes the records of a piece: their ids, and where they lie.
fn note(
    plan: &ReadPlan,
    source: u32,
    format: Option<&crate::formats::Format>,
    piece: Piece<'_>,
    scratch: &mut Scratch,
    seen: &mut Vec<(RecordId, u64, i64)>,
) {
    let Some(format) = format else { return };
    format.begin(piece.directive, scratch);
    for line in piece.lines() {
        let Line::Content { offset, bytes } = line else { continue };
        if format.directive(bytes, scratch) {
            continue;
        }
        if let Ok(call) = parsed(Some(format), bytes, scratch)
            && within(call.at, plan)
            && let Some(id) = record_id(&plan.sources[source as usize].0, &call)
        {
            seen.push((id, offset, By::Day.of(call.at)));
        }
    }
}

/// Equal for calls of one source that are equal in every field.
pub(super) type RecordId = [u8; 16];

/// None for a call that the platform gave no id: two of them may be alike and two.
fn record_id(source: &str, call: &Call<'_>) -> Option<RecordId> {
    let Call {
        at,
        credential,
        method,
        path,
        host,
        api,
        operation,
        outcome,
        status,
        bytes,
        latency_us,
        subject,
        actor,
        remote_addr,
        user_agent,
        request_id,
    } = call;
    request_id.as_ref()?;
    // Half of it is what a partner sends, who must not be able to make a call look like another.
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(source.len() as u64).to_le_bytes());
    hasher.update(source.as_bytes());
    hasher.update(&at.ns().to_le_bytes());
    hasher.update(outcome.as_str().as_bytes());
    let Sourced { before: subject, after: subject_after, .. } = subject;
    let Sourced { before: actor, after: actor_after, .. } = actor;
    let texts = [
        credential,
        method,
        path,
        host,
        api,
        operation,
        subject,
        subject_after,
        actor,
        actor_after,
        remote_addr,
        user_agent,
        request_id,
    ];
    for text in texts {
        match text {
            None => hasher.update(&[0]),
            Some(text) => hasher
                .update(&[1])
                .update(&(text.len() as u64).to_le_bytes())
                .update(text.as_bytes()),
        };
    }
    for number in [status.map(u64::from), *bytes, *latency_us] {
        match number {
            None => hasher.update(&[0]),
            Some(number) => hasher.update(&[1]).update(&number.to_le_bytes()),
        };
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    Some(id)
}

/// Input and offset.
type At = (u32, u64);

/// Where a record lies first, and of which day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct First {
    at: At,
    day: i64,
}

/// Where each record lies first.
struct Firsts(Vec<HashMap<RecordId, First>>);

impl Firsts {
    fn get(&self, id: &RecordId) -> Option<At> {
        self.0.get(shard(id)).and_then(|shard| shard.get(id)).map(|first| first.at)
    }

    /// All of them, in no order.
    fn all(&self) -> impl Iterator<Item = (&RecordId, &First)> {
        self.0.iter().flatten()
    }
}

/// The same while it is being learnt, so that threads seldom wait for each other.
struct Shards(Vec<Mutex<HashMap<RecordId, First>>>);

const SHARDS: usize = 64;

fn shard(id: &RecordId) -> usize {
    usize::from(id[0]) % SHARDS
}

impl Default for Shards {
    fn default() -> Shards {
        Shards((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Shards {
    fn note(&self, id: RecordId, first: First) {
        let mut firsts = self.0[shard(&id)].lock().unwrap_or_else(PoisonError::into_inner);
        let known = firsts.entry(id).or_insert(first);
        *known = first.min(*known);
    }

    fn into_firsts(self) -> Firsts {
        let shards = self.0.into_iter();
        Firsts(
            shards
                .map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner))
                .collect(),
        )
    }
}

/// For each input the one of its source that has the same content and comes before it, and the bytes of that.
///
/// Files that can't be read to their end are like no other.
pub(super) fn whole_files(plan: &ReadPlan) -> Vec<Option<(usize, u64)>> {
    let mut of_source: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, input) in plan.inputs.iter().enumerate() {
        of_source.entry(input.source).or_default().push(index);
    }
    // One that is alone is not even opened.
    let several = of_source.into_values().filter(|inputs| inputs.len() > 1).flatten();
    let found = |index: &usize| &plan.inputs[*index].found;
    // What is read on is known already.
    let is_new = |index: &usize| plan.inputs[*index].start.offset == 0;
    let candidates: Vec<usize> =
        several.filter(|index| is_new(index) && !found(index).is_stream()).collect();
    let beginnings: Vec<Beginning> = candidates
        .into_par_iter()
        .filter_map(|index| Beginning::of(index, found(&index)))
        .collect();
    let mut alike: BTreeMap<(u32, [u8; 32]), Vec<Beginning>> = BTreeMap::new();
    for beginning in beginnings {
        let source = plan.inputs[beginning.input].source;
        alike.entry((source, beginning.blake3)).or_default().push(beginning);
    }
    let suspects: Vec<usize> = alike
        .into_values()
        .flat_map(|group| {
            let suspect = |one: &&Beginning| {
                group.iter().any(|other| other.input != one.input && one.may_be_followed_as(other))
            };
            group.iter().filter(suspect).map(|one| one.input).collect::<Vec<_>>()
        })
        .collect();
    let mut contents: Vec<(usize, u64, [u8; 32])> = suspects
        .into_par_iter()
        .with_max_len(1)
        .filter_map(|index| {
            let (bytes, blake3) = content(found(&index))?;
            Some((index, bytes, blake3))
        })
        .collect();
    contents.sort_unstable();
    let mut firsts: BTreeMap<(u32, u64, [u8; 32]), usize> = BTreeMap::new();
    let mut repeats = vec![None; plan.inputs.len()];
    for (index, bytes, blake3) in contents {
        let first = *firsts.entry((plan.inputs[index].source, bytes, blake3)).or_insert(index);
        if first != index {
            repeats[index] = Some((first, bytes));
        }
    }
    repeats
}

/// How a log begins.
struct Beginning {
    /// Its number.
    input: usize,
    /// Of as much of it as is compared first.
    blake3: [u8; 32],
    /// All its bytes, where it is not compressed.
    plain_bytes: Option<u64>,
}

const READ: Options =
    Options { io: Io::Read, chunk_bytes: limits::COMPARED_BYTES, digest: false, resumable: false };

impl Beginning {
    /// None of a log that is too short to be told from another by its content, or can't be read.
    fn of(number: usize, found: &Found) -> Option<Beginning> {
        let input = Input::open(found, &READ).ok()?;
        let plain_bytes = input.size().filter(|_| input.compression().is_none());
        let mut beginning = Vec::new();
        let drained = input.drain(|bytes| {
            let room = limits::COMPARED_BYTES - beginning.len();
            beginning.extend(&bytes[..bytes.len().min(room)]);
            Ok(match beginning.len() {
                limits::COMPARED_BYTES => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        drained.ok()?;
        (beginning.len() >= limits::REPEATED_FILE_BYTES_MIN).then(|| Beginning {
            input: number,
            blake3: blake3::hash(&beginning).into(),
            plain_bytes,
        })
    }

    /// Whether two that begin alike may be alike to their ends: plain files of different sizes are not.
    fn may_be_followed_as(&self, other: &Beginning) -> bool {
        self.plain_bytes.is_none()
            || other.plain_bytes.is_none()
            || self.plain_bytes == other.plain_bytes
    }
}

/// How many decompressed bytes a log has, and their hash. None if they are not all there.
fn content(found: &Found) -> Option<(u64, [u8; 32])> {
    let options = Options { chunk_bytes: limits::CHUNK_BYTES, ..READ };
    let input = Input::open(found, &options).ok()?;
    let mut hasher = blake3::Hasher::new();
    let drained = input.drain(|bytes| {
        hasher.update(bytes);
        Ok(ControlFlow::Continue(()))
    });
    let outcome = drained.ok().filter(|outcome| outcome.fault.is_none())?;
    Some((outcome.bytes, hasher.finalize().into()))
}
