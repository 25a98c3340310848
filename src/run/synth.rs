//! `overstay synth`: draw a register, write it, write calls.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::output::Folders;
use super::{Ended, Status, load_register};
use crate::error::{Error, Result};
use crate::judge::Timelines;
use crate::limits::SYNTH_BLOCK_CALLS;
use crate::plan::{Compress, LogsTo, RegisterPlan, SynthPlan};
use crate::report::text::{bytes, counted};
use crate::synth::{LogFormat, Table, World, timeline};

/// The table of all timelines.
const TIMELINE_NAME: &str = "timeline.csv";

/// Writes the workload of the plan; tells on `stdout` what it is, unless the log goes there.
///
/// # Errors
///
/// If something can't be written: what was written until then is gone, unless it was whole and the log was a stream.
pub fn synth(plan: &SynthPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads.unwrap_or(0))
        .build()
        .map_err(|error| Error::new(format!("could not start worker threads: {error}")))?;
    let world = World::new(&plan.params);
    pool.install(|| match &plan.logs {
        LogsTo::Stdout if plan.is_there => stream(plan, &world, stdout),
        LogsTo::Stdout => {
            // Who reads the stream reads the register too: it is whole before the first call.
            write_folder(plan, &world, &[])?;
            stream(plan, &world, stdout)
        }
        LogsTo::Files(files) => {
            let written = write_folder(plan, &world, files)?;
            summary(plan, files, written, stdout)
        }
        LogsTo::Nowhere => {
            write_folder(plan, &world, &[])?;
            summary(plan, &[], 0, stdout)
        }
    })?;
    Ok(Ended::new(Status::Done))
}

/// Writes all files, the configuration last: where it is, the folder is whole. Returns the bytes of the logs.
fn write_folder(plan: &SynthPlan, world: &World, logs: &[PathBuf]) -> Result<u64> {
    let folders = Folders::make(plan.folders.iter().cloned())?;
    // Dropped before the folders: they have to be empty to go.
    let mut files = Files::default();
    for table in Table::ALL.into_iter().filter(|table| world.has(*table)) {
        files.write(&plan.register().join(table.file_name()), |out| world.table(table, out))?;
    }
    if plan.timeline {
        let register = load_register(&RegisterPlan {
            folder: plan.register(),
            as_known_at: None,
            propagation_s: 0,
        })?;
        let timelines = Timelines::compile(&register);
        let path = plan.folder.join(TIMELINE_NAME);
        files.write(&path, |out| timeline(&register, &timelines, out))?;
    }
    let mut written = 0;
    for (path, nth) in logs.iter().zip(0u64..) {
        let calls = share(plan.params.calls, nth, logs.len() as u64);
        let mut file = files.create(path)?;
        written += write_calls(plan, world, calls, &mut file)
            .map_err(|error| Error::io(path.display(), error))?;
    }
    files.write(&plan.config(), |out| out.write_all(plan.config.as_bytes()))?;
    files.keep();
    folders.keep();
    Ok(written)
}

fn stream(plan: &SynthPlan, world: &World, stdout: &mut (dyn Write + Send)) -> Result<()> {
    let written = write_calls(plan, world, 0..plan.params.calls, stdout);
    written.map(drop).map_err(|error| Error::io("standard output", error))
}

/// The numbers of the calls of the `nth` of so many files.
fn share(calls: u64, nth: u64, files: u64) -> Range<u64> {
    let first = |nth: u64| (u128::from(calls) * u128::from(nth) / u128::from(files)) as u64;
    first(nth)..first(nth + 1)
}

/// Writes one log; returns its bytes as they lie.
fn write_calls(
    plan: &SynthPlan,
    world: &World,
    calls: Range<u64>,
    out: &mut (dyn Write + Send),
) -> io::Result<u64> {
    let out = Counted { inner: out, bytes: 0 };
    match plan.compress {
        Compress::None => {
            let mut out = out;
            write_plain(plan.format, world, calls, &mut out)?;
            out.flush()?;
            Ok(out.bytes)
        }
        Compress::Gzip => {
            let mut out = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            write_plain(plan.format, world, calls, &mut out)?;
            let mut out = out.finish()?;
            out.flush()?;
            Ok(out.bytes)
        }
        Compress::Zstd => {
            let mut out = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            write_plain(plan.format, world, calls, &mut out)?;
            let mut out = out.finish()?;
            out.flush()?;
            Ok(out.bytes)
        }
    }
}

/// Calls are drawn in blocks, some at a time, on all threads, and written in their order while the next are drawn.
fn write_plain(
    format: LogFormat,
    world: &World,
    calls: Range<u64>,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    out.write_all(format.header().as_bytes())?;
    let at_a_time = 2 * rayon::current_num_threads();
    let mut next = calls.start;
    let mut draw = |blocks: &mut [Vec<u8>]| {
        let ranges: Vec<Range<u64>> = (0..blocks.len())
            .map(|_| {
                let first = next;
                next = (first + SYNTH_BLOCK_CALLS).min(calls.end);
                first..next
            })
            .collect();
        blocks.par_iter_mut().zip(ranges).with_max_len(1).for_each(|(block, range)| {
            block.clear();
            world.write(format, range, block);
        });
    };
    let mut drawn = vec![Vec::new(); at_a_time];
    let mut ready = vec![Vec::new(); at_a_time];
    draw(&mut ready);
    while ready.iter().any(|block| !block.is_empty()) {
        let (written, ()) = rayon::join(
            || ready.iter().try_for_each(|block| out.write_all(block)),
            || draw(&mut drawn),
        );
        written?;
        std::mem::swap(&mut ready, &mut drawn);
    }
    Ok(())
}

/// How much went through.
struct Counted<'w> {
    inner: &'w mut (dyn Write + Send),
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// New files. Dropped, they are gone.
#[derive(Default)]
struct Files(Vec<PathBuf>);

impl Files {
    /// Makes one where nothing is.
    fn create(&mut self, path: &Path) -> Result<File> {
        let file = File::create_new(path)
            .map_err(|error| Error::io(path.display(), error).hint("nothing was changed"))?;
        self.0.push(path.to_owned());
        Ok(file)
    }

    fn write(
        &mut self,
        path: &Path,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let mut out = BufWriter::new(self.create(path)?);
        let written = render(&mut out).and_then(|()| out.flush());
        written.map_err(|error| Error::io(path.display(), error))
    }

    /// They are whole: they stay.
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What was written, and what to do with it.
fn summary(
    plan: &SynthPlan,
    logs: &[PathBuf],
    written: u64,
    stdout: &mut (dyn Write + Send),
) -> Result<()> {
    let params = &plan.params;
    let count = |count: u32, one, several| counted(u64::from(count), one, several);
    let told = [
        count(params.partners, "partner", "partners"),
        count(params.credentials, "credential", "credentials"),
        count(params.apis, "api", "apis"),
        count(params.routes, "route", "routes"),
        count(params.grants, "grant", "grants"),
        counted(params.consents, "consent", "consents"),
    ];
    let mut text = format!("{}: {}\n", plan.register().display(), told.join(", "));
    match logs {
        [] => {}
        [log] => {
            let calls = counted(params.calls, "call", "calls");
            text += &format!("{}: {calls}, {}\n", log.display(), bytes(written));
        }
        [first, ..] => {
            let folder = first.parent().unwrap_or(first).display();
            let calls = counted(params.calls, "call", "calls");
            text += &format!("{folder}: {calls} in {} logs, {}\n", logs.len(), bytes(written));
        }
    }
    let told = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    told.map_err(|error| Error::io("standard output", error))
}
