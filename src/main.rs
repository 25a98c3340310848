//! `overstay`: command line → plan → run → exit status.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory as _, Parser as _};
use overstay::cli::{Cli, Command, LogsArg};
use overstay::error::{Error, Result};
use overstay::render::for_terminal;
use overstay::report::text::{bytes, counted};
use overstay::run::{Ended, Status};
use overstay::state::Disk;
use overstay::{plan, run};

#[expect(
    clippy::disallowed_methods,
    reason = "the only clock there is, for the note on throughput"
)]
fn main() -> ExitCode {
    let started = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap sends them to standard output.
            let failed = error.use_stderr();
            let _ = error.print();
            return code(if failed { Status::Failed } else { Status::Done });
        }
    };
    let streams = match &cli.command {
        Command::Calls(args) => args.verify.is_none(),
        Command::Synth(args) => args.logs == LogsArg::Stdout,
        _ => false,
    };
    let mut stdout = BufWriter::new(Stdout { inner: io::stdout(), streams, closed: false });
    match run(&cli, &mut stdout).and_then(|ended| flushed(ended, &mut stdout)) {
        Ok(ended) => {
            say(&cli, &ended, started);
            code(ended.status)
        }
        Err(error) if error.is_closed_pipe() => {
            // The reader has seen enough; what is still buffered is not for it.
            std::mem::forget(stdout);
            code(Status::Done)
        }
        Err(error) => {
            let _ = tell(&error);
            code(Status::Failed)
        }
    }
}

/// Standard output.
///
/// Once its reader has gone, a stream ends: nobody wants the rest. Of all else the exit status tells what was found,
/// which must not depend on how much of it somebody reads: it is worked out all the same, and written to nobody.
struct Stdout {
    inner: io::Stdout,
    streams: bool,
    closed: bool,
}

impl Stdout {
    fn unless_closed<T>(&mut self, written: io::Result<T>, otherwise: T) -> io::Result<T> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.streams => {
                self.closed = true;
                Ok(otherwise)
            }
            written => written,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        self.unless_closed(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.unless_closed(flushed, ())
    }
}

fn run(cli: &Cli, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    match &cli.command {
        Command::Audit(args) => run::audit(&plan::audit(args)?, stdout),
        Command::Nightly(args) => run::nightly(plan::nightly(args)?, &Disk, stdout),
        Command::Report(args) => run::report(&plan::report(args)?, stdout),
        Command::Verify(args) => run::verify(&plan::verify(args)?, stdout),
        Command::Alert(args) => run::alert(&plan::alerts(args)?, stdout),
        Command::Calls(args) => run::calls(&plan::calls(args)?, stdout),
        Command::Init(args) => run::init(&plan::init(args)?, stdout),
        Command::Check(args) => run::check(&plan::check(args)?, stdout),
        Command::Formats(args) => run::formats(&plan::formats(args)?, stdout),
        Command::Explain(args) => run::explain(args.kind.as_deref(), plan::width(), stdout),
        Command::Synth(args) => run::synth(&plan::synth(args)?, stdout),
        Command::Completions { shell } => {
            // By way of memory: the generator panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "overstay", &mut script);
            stdout
                .write_all(&script)
                .map(|()| Ended::new(Status::Done))
                .map_err(|error| Error::io("standard output", error))
        }
        Command::Man { command } => manual(command.as_deref(), stdout),
    }
}

/// The manual page of the program, or of one of its commands.
fn manual(command: Option<&str>, stdout: &mut dyn Write) -> Result<Ended> {
    let mut program = Cli::command();
    program.build();
    let page = match command {
        None => program,
        Some(name) => {
            let versioned = |page: clap::Command| page.version(env!("CARGO_PKG_VERSION"));
            let known = program.find_subcommand(name).cloned().map(versioned);
            let words = program.get_subcommands().map(|known| known.get_name());
            let words = words.collect::<Vec<_>>().join(", ");
            known.ok_or_else(|| {
                Error::new(format!("man: found `{name}`, expected one of {words}"))
            })?
        }
    };
    let rendered = clap_mangen::Man::new(page).render(&mut &mut *stdout);
    rendered.map(|()| Ended::new(Status::Done)).map_err(|error| Error::io("standard output", error))
}

fn flushed(ended: Ended, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    stdout.flush().map(|()| ended).map_err(|error| Error::io("standard output", error))
}

fn code(status: Status) -> ExitCode {
    ExitCode::from(status.code())
}

/// Warnings, notes, and how fast it went, on standard error. It may be closed; the exit status stands.
fn say(cli: &Cli, ended: &Ended, started: Instant) {
    let mut stderr = anstream::stderr().lock();
    for warning in &ended.warnings {
        let _ = writeln!(stderr, "warning: {}", for_terminal(warning));
    }
    if let Some(hint) = &ended.hint {
        let _ = tell_lines(&mut stderr, "hint: ", hint);
    }
    let quiet = match &cli.command {
        Command::Audit(args) => args.read.how.run.quiet,
        Command::Nightly(args) => args.how.run.quiet,
        Command::Report(args) => args.run.quiet,
        Command::Verify(args) => args.run.quiet,
        Command::Calls(args) => args.read.how.run.quiet,
        Command::Init(args) => args.how.run.quiet,
        _ => true,
    };
    for note in ended.notes.iter().filter(|_| !quiet) {
        let _ = writeln!(stderr, "note: {}", for_terminal(note));
    }
    if let Some(read) = ended.read.filter(|_| !quiet) {
        let seconds = started.elapsed().as_secs_f64();
        let _ = writeln!(
            stderr,
            "read {}, {} of {} in {seconds:.2} s ({}/s)",
            counted(read.lines, "line", "lines"),
            bytes(read.bytes),
            counted(read.inputs, "input", "inputs"),
            bytes((read.bytes as f64 / seconds.max(1e-9)) as u64),
        );
    }
}

/// An error, with its hint on a line of its own.
fn tell(error: &Error) -> io::Result<()> {
    let mut stderr = anstream::stderr().lock();
    tell_lines(&mut stderr, "error: ", &error.to_string())?;
    match error.hint_text() {
        Some(hint) => tell_lines(&mut stderr, "hint: ", hint),
        None => Ok(()),
    }
}

/// A text of several lines, the first with a label.
fn tell_lines(stderr: &mut dyn Write, label: &str, text: &str) -> std::io::Result<()> {
    for (index, line) in text.lines().enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(stderr, "{label}{}", for_terminal(line))?;
    }
    Ok(())
}
