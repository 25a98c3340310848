//! `overstay alert`: the channels, what waits for them, and sending by hand.

use std::io::Write;

use super::alerts::{self, Sent};
use super::{Ended, Status};
use crate::alert::{Delivery, Message};
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::plan::{AlertTask, AlertsPlan};
use crate::render::{self, for_terminal};
use crate::report::PROGRAM;
use crate::report::text::counted;
use crate::state::{Disk, Folder, Ledger, Outbox};

/// Shows the channels and what waits; or sends a test, or what waits; or lets go of it.
///
/// # Errors
///
/// If a test is not accepted, and if the state can't be read or written.
pub fn alert(plan: &AlertsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    match &plan.task {
        AlertTask::Show => show(plan, stdout),
        AlertTask::Test => test(plan, stdout),
        AlertTask::Send => send(plan, stdout),
        AlertTask::Drop(channel) => let_go(plan, channel, stdout),
    }
}

fn say(stdout: &mut (dyn Write + Send), line: &str) -> Result<()> {
    writeln!(stdout, "{}", for_terminal(line)).map_err(|error| Error::io("standard output", error))
}

fn none_configured() -> Error {
    Error::new("no channel is configured, and nobody is told of anything")
        .hint("set one up under [alert] in overstay.toml: docs/alerts.md has recipes")
}

fn show(plan: &AlertsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let folder = Folder::look(&plan.state.state, &plan.state.reports, &Disk);
    let outbox = folder.ledger()?.map(|ledger| ledger.outbox).unwrap_or_default();
    if plan.alert.channels.is_empty() && outbox.waiting.is_empty() {
        return Err(none_configured());
    }
    let mut entries: Vec<(String, String)> = Vec::new();
    for channel in plan.alert.channels.iter().filter(|channel| is_meant(plan, &channel.name)) {
        let told = format!(
            "told of {} and above; {}",
            channel.min_severity,
            waiting_for(&outbox, &channel.name)
        );
        entries.push((for_terminal(&channel.name).into_owned(), told));
    }
    let others = outbox.waiting.keys().map(|(channel, _)| channel.as_str());
    let mut others: Vec<&str> = others
        .filter(|name| is_meant(plan, name))
        .filter(|name| !plan.alert.channels.iter().any(|channel| channel.name == *name))
        .collect();
    others.dedup();
    for name in others {
        let told = format!("no longer configured; {}", waiting_for(&outbox, name));
        entries.push((for_terminal(name).into_owned(), told));
    }
    let entries: Vec<(&str, String)> = entries
        .iter()
        .map(|(name, told)| (name.as_str(), for_terminal(told).into_owned()))
        .collect();
    render::list(&entries, plan.width, stdout)
        .map_err(|error| Error::io("standard output", error))?;
    Ok(Ended::new(Status::Done))
}

/// Whether a channel is asked for.
fn is_meant(plan: &AlertsPlan, channel: &str) -> bool {
    plan.only.as_ref().is_none_or(|only| only == channel)
}

/// `2 alerts wait (runs 5, 6; tried 3 times: 503 Service Unavailable)`.
fn waiting_for(outbox: &Outbox, channel: &str) -> String {
    let waiting: Vec<_> = alerts::waiting(outbox);
    let waiting: Vec<_> =
        waiting.into_iter().filter(|waiting| waiting.channel == channel).collect();
    if waiting.is_empty() {
        return "nothing waits".to_owned();
    }
    let runs: Vec<String> = waiting.iter().map(|waiting| waiting.run.to_string()).collect();
    let word = if runs.len() == 1 { "run" } else { "runs" };
    let tries = waiting.iter().map(|waiting| waiting.tries).max().unwrap_or_default();
    let failure = waiting.iter().find_map(|waiting| waiting.failure.as_deref());
    let failure = failure.map_or_else(String::new, |failure| format!(": {failure}"));
    format!(
        "{} ({word} {}; tried {}{failure})",
        counted(waiting.len() as u64, "alert waits", "alerts wait"),
        runs.join(", "),
        counted(tries, "time", "times"),
    )
}

fn test(plan: &AlertsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    if plan.alert.channels.is_empty() {
        return Err(none_configured());
    }
    let message = Message::test(PROGRAM.to_owned(), plan.run_at);
    let mut failed = 0;
    let meant = plan.alert.channels.iter().filter(|channel| is_meant(plan, &channel.name));
    let meant: Vec<_> = meant.collect();
    for channel in &meant {
        let delivery_id = alerts::delivery_id(&format!("test {}", plan.run_at), &channel.name);
        let delivery = Delivery { delivery_id: &delivery_id, message: &message };
        match channel.deliver(&delivery, &std::thread::sleep) {
            Ok(()) => say(stdout, &format!("{}: accepted a test", channel.name))?,
            Err(failure) => {
                failed += 1;
                say(stdout, &format!("{}: {failure}", channel.name))?;
            }
        }
    }
    let mut ended = Ended::new(Status::Done);
    if plan.alert.heartbeat.is_some() {
        ended.notes.push("the heartbeat was not called: it would say that a run counts".to_owned());
    }
    match failed {
        0 => Ok(ended),
        _ => Err(Error::new(format!(
            "{failed} of {} did not take the test",
            counted(meant.len() as u64, "channel", "channels")
        ))
        .hint("docs/alerts.md has a table of what can go wrong")),
    }
}

/// The state, locked, and its ledger.
fn opened(plan: &AlertsPlan) -> Result<(Folder<'static>, Ledger)> {
    let (state, reports) = (&plan.state.state, &plan.state.reports);
    let none = || {
        Error::new(format!("{}: there is no state, and nothing waits", state.display()))
            .hint("`overstay nightly` makes it; run it where overstay.toml is")
    };
    if Folder::look(state, reports, &Disk).ledger()?.is_none() {
        return Err(none());
    }
    let folder = Folder::lock(state, reports, &Disk)?;
    // Nobody writes it any more.
    let ledger = folder.ledger()?.ok_or_else(none)?;
    Ok((folder, ledger))
}

fn send(plan: &AlertsPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let (folder, mut ledger) = opened(plan)?;
    let mut sent = Sent::default();
    // What is not meant is left alone, as what has failed.
    let names = plan.alert.channels.iter().map(|channel| channel.name.clone());
    sent.failed.extend(names.filter(|name| !is_meant(plan, name)));
    alerts::send(&folder, &mut ledger, &plan.alert, &mut sent)?;
    let accepted = counted(sent.accepted, "alert was accepted", "alerts were accepted");
    let left = ledger.outbox.waiting.len() as u64;
    say(stdout, &format!("{accepted}, {} for a channel", counted(left, "waits", "wait")))?;
    let mut ended = Ended::new(if left == 0 { Status::Done } else { Status::Partial });
    ended.warnings = alerts::warnings(&ledger.outbox, &plan.alert);
    Ok(ended)
}

fn let_go(plan: &AlertsPlan, channel: &str, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let (folder, mut ledger) = opened(plan)?;
    let waiting = ledger.outbox.waiting.keys();
    let runs: Vec<u64> = waiting.filter(|(name, _)| name == channel).map(|(_, run)| *run).collect();
    if runs.is_empty() {
        let names: Vec<String> =
            ledger.outbox.waiting.keys().map(|(name, _)| name.clone()).collect();
        return Err(Error::new(format!("--drop: nothing waits for `{channel}`"))
            .maybe_hint(did_you_mean(channel, names.iter().map(String::as_str))));
    }
    for run in &runs {
        ledger.outbox.remove(channel, *run);
    }
    folder.commit(&ledger)?;
    let alerts = counted(runs.len() as u64, "alert", "alerts");
    say(stdout, &format!("let go of {alerts} for {channel}: never to be sent"))?;
    Ok(Ended::new(Status::Done))
}
