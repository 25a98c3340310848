//! A command that is given an alert on its standard input. No shell has a part in it.

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::attempts::{Failure, Missed};
use super::channel::Delivery;
use crate::error::io_words;
use crate::limits;

/// A command.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// What errors call it.
    pub(crate) place: String,
    /// The program: a path, or a name that is looked for in `PATH`.
    pub(crate) program: OsString,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

impl Command {
    /// That there is no such program, where its path says which it is.
    pub(super) fn missing(&self) -> Option<String> {
        let path = Path::new(&self.program);
        let is_absent = path.is_absolute() && !path.is_file();
        is_absent.then(|| format!("{}: found no such file, expected a program to run", self.place))
    }

    /// Runs it once.
    pub(super) fn run(&self, body: &[u8], delivery: &Delivery<'_>) -> Result<(), Missed> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env("OVERSTAY_DELIVERY_ID", delivery.delivery_id)
            .env("OVERSTAY_RUN", delivery.message.run.to_string())
            .stdin(Stdio::piped())
            // Standard output is for reports.
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        in_own_group(&mut command);
        let mut child = command.spawn().map_err(|error| {
            let told = format!("{}: {}, expected a program to run", self.place, io_words(&error));
            Missed::for_good(Failure::mend(told))
        })?;
        feed(&mut child, body);
        let words = words(&mut child);
        let ended = wait(&mut child, self.timeout).map_err(|error| {
            Missed::for_now(Failure::later(format!("{}: {}", self.place, io_words(&error))))
        })?;
        let told = match ended {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                // What it left behind may hold its standard error open.
                let words =
                    words.recv_timeout(limits::ALERT_COMMAND_WORDS_WAIT).unwrap_or_default();
                match last_line(&words) {
                    Some(line) => format!("found {}: {line}", how(status)),
                    None => format!("found {}, and no word of why", how(status)),
                }
            }
            None => {
                format!("was killed, since it had not ended after {} s", self.timeout.as_secs())
            }
        };
        Err(Missed::for_now(Failure::later(format!("{}: {told}", self.place))))
    }
}

/// Gives it its standard input, beside what else goes on. One that does not read it to its end needs it not.
fn feed(child: &mut Child, body: &[u8]) {
    let Some(mut stdin) = child.stdin.take() else { return };
    let mut body = body.to_vec();
    // What reads lines would not take one that does not end.
    if body.last().is_some_and(|last| *last != b'\n') {
        body.push(b'\n');
    }
    std::thread::spawn(move || drop(stdin.write_all(&body)));
}

/// The end of its standard error, once that is closed.
fn words(child: &mut Child) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stderr) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut piece = [0; limits::ALERT_COMMAND_WORDS_BYTES];
            while let Ok(count @ 1..) = stderr.read(&mut piece) {
                kept.extend_from_slice(&piece[..count]);
                let spare = kept.len().saturating_sub(limits::ALERT_COMMAND_WORDS_BYTES);
                kept.drain(..spare);
            }
            // Nobody may wait for it any more.
            let _ = sender.send(kept);
        });
    }
    receiver
}

/// How it ended; `None`: it took too long, and it and all that it started in its group were killed.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let (mut waited, mut pause) = (Duration::ZERO, Duration::from_millis(1));
    // It is waited for by looking, so that its process id stays its own until it is killed.
    while waited < timeout {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let pausing = pause.min(timeout - waited);
        std::thread::sleep(pausing);
        waited += pausing;
        pause = (pause * 2).min(limits::ALERT_COMMAND_LOOK_MAX);
    }
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    kill(child)?;
    child.wait()?;
    Ok(None)
}

#[cfg(unix)]
fn in_own_group(command: &mut std::process::Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn in_own_group(_: &mut std::process::Command) {}

#[cfg(unix)]
fn kill(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process_group};
    match i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        Some(group) => Ok(kill_process_group(group, Signal::KILL)?),
        None => child.kill(),
    }
}

#[cfg(not(unix))]
fn kill(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("an end by signal {signal}, expected exit status 0");
    }
    match status.code() {
        Some(code) => format!("exit status {code}, expected 0"),
        None => "no exit status, expected 0".to_owned(),
    }
}

/// The last line that is not blank.
fn last_line(words: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(words);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
