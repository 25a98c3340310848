//! `overstay init`: read, draft, write.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use rayon::prelude::*;

use super::output::{Folders, Written, check_place, write_file};
use super::read::{self, Opened};
use super::repeats::whole_files;
use super::{Ended, Status, Volume};
use crate::call::Reason;
use crate::draft::{Batch, Draft, Seen, draft};
use crate::error::{Error, Result};
use crate::formats::Format;
use crate::input::{Fault, Line, Piece};
use crate::parse::Scratch;
use crate::plan::{CONFIG_NAME, InitPlan, InputPlan, REGISTER_NAME, ReadPlan, TABLE_NAMES};
use crate::render::{Logs, Taken, draft_config, draft_summary, draft_table};
use crate::report::InputFacts;
use crate::tally::InputSums;

/// Built-in formats whose logs name credentials by ids and hold nothing that is presented as a secret.
const FORMATS_OF_IDS: [&str; 8] = [
    "aws-cloudtrail",
    "aws-s3",
    "azure-apim",
    "gcp-audit",
    "google-workspace-token",
    "k8s-audit",
    "kong",
    "ms-graph-activity",
];

/// Drafts a config and a register from the logs of the plan; tells on `stdout` what came of it.
///
/// # Errors
///
/// If no call could be read, or a file can't be written; nothing is changed then.
pub fn init(plan: &InitPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let made = Folders::make(plan.folders.iter().cloned())?;
    let tables = TABLE_NAMES.map(|name| (name, plan.table(name)));
    tables.iter().try_for_each(|(_, path)| check_place(path))?;
    check_place(&plan.config())?;

    let Read { seen, inputs, sums, volume } = read_all(plan)?;
    if seen.calls() == 0 {
        return Err(no_call(&inputs, &sums));
    }
    let draft = draft(seen);
    let logs = logs_of(plan, &inputs);
    let taken = Taken {
        folder: &plan.into,
        config: CONFIG_NAME,
        register: REGISTER_NAME,
        logs: &logs,
        formats: &plan.formats,
        volume: (volume.inputs, inputs.len() as u64),
        rejected: sums.rejected,
    };
    write(&tables, &plan.config(), &draft, &taken)?;
    made.keep();
    draft_summary(&draft, &taken, stdout)
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::io("standard output", error))?;

    let unread = plan.read.unread.iter().map(|p| format!("{}: {}", p.path, p.reason));
    let faults = inputs.iter().flat_map(|input| {
        let faults = input.fault.iter().chain(&input.rejects_fault);
        faults.map(|fault| format!("{}: {fault}", input.path))
    });
    let partial: Vec<String> = unread.chain(faults).collect();
    let status = if partial.is_empty() { Status::Done } else { Status::Partial };
    let told = plan.read.inputs.iter().zip(&inputs).filter(|(input, _)| input.format.is_none());
    let told = told.filter_map(|(_, facts)| Some((facts.format.as_deref()?, facts.path.as_str())));
    let repeats = inputs.iter();
    let repeats =
        repeats.filter_map(|input| Some((input.path.as_str(), input.repeats.as_deref()?)));
    Ok(Ended {
        status,
        warnings: draft.left_out.told().into_iter().chain(partial).collect(),
        hint: read::format_hint(inputs.iter().map(|input| input.unknown_shapes.as_slice())),
        notes: read::taken(told).into_iter().chain(read::repeated(repeats)).collect(),
        read: Some(volume),
    })
}

/// The error where every log was read and none holds a call.
fn no_call(inputs: &[InputFacts], sums: &InputSums) -> Error {
    let logs = match inputs {
        [one] => one.path.clone(),
        several => format!("{} logs", several.len()),
    };
    let error =
        Error::new(format!("{logs}: found no call, expected some to draft a register from"));
    match sums.rejected {
        0 => error,
        n => error.hint(format!(
            "{n} lines were rejected: `overstay formats FILE` tells which format fits a log"
        )),
    }
}

/// What reading came to.
struct Read {
    seen: Seen,
    /// By path, as the plan has them.
    inputs: Vec<InputFacts>,
    sums: InputSums,
    volume: Volume,
}

fn read_all(plan: &InitPlan) -> Result<Read> {
    let bar = read::progress_bar(&plan.read);
    let mut all = Read {
        seen: Seen::default(),
        inputs: Vec::new(),
        sums: InputSums::default(),
        volume: Volume::default(),
    };
    read::pool(&plan.read)?.install(|| {
        // Files with the same content are drafted from once.
        let repeats = whole_files(&plan.read);
        let inputs: Vec<(&InputPlan, Option<(usize, u64)>)> =
            plan.read.inputs.iter().zip(repeats).collect();
        // As many at a time as there are threads, taken in by the order of their names: what a bound lets in then never
        // depends on which was read first.
        for some in inputs.chunks(rayon::current_num_threads()) {
            let read = |(input, repeats): &(&InputPlan, Option<(usize, u64)>)| match repeats {
                None => read_input(plan, input, &|bytes| bar.inc(bytes)),
                Some((first, _)) => repeat(plan, input, *first),
            };
            let read: Vec<_> = some.par_iter().with_max_len(1).map(read).collect();
            for (seen, sums, facts) in read {
                all.seen.merge(seen);
                all.volume.lines += sums.lines();
                all.volume.bytes += facts.bytes;
                all.volume.inputs += u64::from(!facts.unopened);
                all.sums.merge(&sums);
                all.inputs.push(facts);
            }
        }
    });
    bar.finish_and_clear();
    match read::nothing_read(&all.inputs) {
        Some(error) => Err(error),
        None => Ok(all),
    }
}

/// What is known of a log with the same content as another.
fn repeat(plan: &InitPlan, input: &InputPlan, first: usize) -> (Seen, InputSums, InputFacts) {
    let facts = InputFacts {
        path: input.found.shown.clone(),
        source: source_name(&plan.read, input),
        repeats: Some(plan.read.inputs[first].found.shown.clone()),
        ..InputFacts::default()
    };
    (Seen::default(), InputSums::default(), facts)
}

fn read_input(
    plan: &InitPlan,
    input: &InputPlan,
    progress: &(dyn Fn(u64) + Sync),
) -> (Seen, InputSums, InputFacts) {
    let Opened { input: opened, format, .. } = match read::open(&plan.read, input, None) {
        Ok(opened) => opened,
        Err(facts) => return (Seen::default(), InputSums::default(), *facts),
    };
    let compression = opened.compression().map(|compression| compression.as_str());
    let name = format.map_or("", Format::name);
    let of_ids = FORMATS_OF_IDS.contains(&name) && !plan.formats.contains_key(name);
    let (mut seen, mut sums) = (Seen::default(), InputSums::default());
    let outcome = opened.for_each_in_order(
        progress,
        |piece| batch(format, of_ids, piece),
        |(batch, lines)| {
            seen.take(batch, name);
            sums.merge(&lines);
            std::ops::ControlFlow::Continue(())
        },
    );
    if matches!(outcome.fault, Some(Fault::Shrank(_))) {
        (seen, sums) = (Seen::default(), InputSums::default());
    }
    let facts = InputFacts {
        path: input.found.shown.clone(),
        source: source_name(&plan.read, input),
        format: format.map(|format| format.name().to_owned()),
        compression,
        bytes: outcome.bytes,
        fault: outcome.fault.as_ref().map(|fault| fault.reason().to_owned()),
        rejects_fault: read::too_many_rejects(plan.read.max_rejects, &sums),
        ..InputFacts::default()
    };
    (seen, sums, facts)
}

fn source_name(plan: &ReadPlan, input: &InputPlan) -> String {
    plan.sources.get(input.source as usize).map(|(name, _)| name.clone()).unwrap_or_default()
}

/// What a piece of a log shows, and where its lines went.
fn batch(format: Option<&Format>, of_ids: bool, piece: Piece<'_>) -> (Batch, InputSums) {
    let (mut batch, mut sums, mut scratch) =
        (Batch::default(), InputSums::default(), Scratch::default());
    if let Some(format) = format {
        format.begin(piece.directive, &mut scratch);
    }
    let mut lines = piece.lines();
    for line in lines.by_ref() {
        match line {
            Line::Blank => sums.blank += 1,
            Line::TooLong { .. } => sums.reject(Reason::TooLong),
            Line::Content { bytes, .. } => {
                if format.is_some_and(|format| format.directive(bytes, &mut scratch)) {
                    sums.blank += 1;
                    continue;
                }
                match read::parsed(format, bytes, &mut scratch) {
                    Ok(call) => {
                        sums.calls += 1;
                        batch.add(&call, of_ids);
                    }
                    Err(reason) => sums.reject(reason),
                }
            }
        }
    }
    sums.gap_bytes += lines.gap_bytes();
    (batch, sums)
}

/// The logs by the format they are in, each named so that the new configuration finds it.
fn logs_of(plan: &InitPlan, inputs: &[InputFacts]) -> Vec<Logs> {
    let by_path: BTreeMap<&str, &InputFacts> =
        inputs.iter().map(|input| (input.path.as_str(), input)).collect();
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for given in &plan.given {
        let facts: Vec<(Option<&InputFacts>, &str)> = given
            .logs
            .iter()
            .map(|(shown, named)| (by_path.get(shown.as_str()).copied(), named.as_str()))
            .collect();
        let formats = || facts.iter().filter_map(|(input, _)| input.as_ref()?.format.as_deref());
        // One that is known by another name too is in the source of that name's format.
        let is_whole = facts.iter().all(|(input, _)| input.is_some_and(|input| !input.unopened));
        let first = formats().next();
        // What is of several formats, or of none that is known, stays one source, with what will come there later: each
        // log's format is told when it is read, and one that can't be told is reported each time.
        let format = match first {
            Some(format) if is_whole && formats().all(|other| other == format) => format,
            _ => Logs::AUTO,
        };
        all.entry(format).or_default().push(given.named.clone());
    }
    let several = all.len() > 1;
    all.into_iter()
        .map(|(format, mut paths)| {
            let mut seen = std::collections::BTreeSet::new();
            paths.retain(|path| seen.insert(path.clone()));
            let source = if several && format != Logs::AUTO { format } else { "logs" };
            Logs { source: source.to_owned(), format: format.to_owned(), paths }
        })
        .collect()
}

/// Writes all files beside their places, then puts them there. Where one can't be, none is.
fn write(
    tables: &[(&'static str, PathBuf)],
    config: &std::path::Path,
    draft: &Draft,
    taken: &Taken<'_>,
) -> Result<()> {
    let mut files: Vec<(PathBuf, Option<Written>)> = Vec::new();
    for (name, path) in tables {
        let written = write_file(path, |out| draft_table(draft, name, out))?;
        files.push((path.clone(), written));
    }
    let written = write_file(config, |out| draft_config(draft, taken, out))?;
    files.push((config.to_owned(), written));
    let mut there: Vec<PathBuf> = Vec::new();
    for (path, written) in files {
        if let Some(Err(error)) = written.map(Written::put_where_nothing_is) {
            for path in there {
                // There was nothing there before.
                let _ = std::fs::remove_file(path);
            }
            return Err(error.hint("nothing was changed"));
        }
        there.push(path);
    }
    Ok(())
}
