//! What a run has to tell: which findings changed, what waits for which channel, and sending it once the run counts.
//!
//! What there is to tell is in the ledger before anything is sent, and no longer in it once it was accepted. A run that is killed
//! in between leaves it to the next one, which sends it under the same delivery id.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{
    self, AlertPlan, Beat, BySeverity, Change, Channel, Delivery, Failure, Message, Observed, What,
};
use crate::error::{Error, Result};
use crate::findings::{Severity, Suppression};
use crate::limits;
use crate::report::{Alerts, Finding, Report, Status, WaitingAlert};
use crate::state::{Alerted, Folder, Ledger, Outbox, Stage, Waiting};
use crate::time::Instant;

use super::lives::{standing_as_counted, still_open};

/// What is told of the findings of a run, and of those that stand; noted in the ledger, so that it is told once. What no channel
/// is told of is not noted: who sets one up later hears of all that is open then.
///
/// A finding is told of when it is new to the receivers, is back, or has become more severe; a critical one that is open again
/// after `remind_every`; and that it is over, or suppressed, if it was told of, under the severity that was. What a suppression
/// hides is not, until that runs out. An anomaly is of its day: it is told of in its night, again if a run finds it graver, and
/// that is all.
pub(super) fn changes(
    ledger: &mut Ledger,
    report: &Report,
    plan: &AlertPlan,
    suppressions: &[Suppression],
    run_at: Instant,
) -> Vec<Change> {
    let found: BTreeSet<String> =
        report.findings.iter().map(|finding| finding.id.clone()).collect();
    let standing = still_open(ledger, suppressions, &found).into_iter();
    let standing: Vec<Finding> = standing
        .filter_map(|(id, life, is_hidden)| {
            // An anomaly is told of in its night or not at all: of what it was no run knows the figures later.
            let finding =
                standing_as_counted(id, life).filter(|finding| !finding.kind.is_anomaly())?;
            Some(Finding { suppressed_by: is_hidden.then(String::new), ..finding })
        })
        .collect();
    let mut changes = Vec::new();
    for finding in report.findings.iter().chain(&standing) {
        let Some(life) = ledger.findings.get_mut(&finding.id) else { continue };
        let told = life.alerted.as_ref().and_then(|alerted| Severity::from_name(&alerted.severity));
        let is_over = finding.is_resolved() || finding.suppressed_by.is_some();
        let what = match (told, is_over) {
            // The end of its day tells nothing, nor does time that passes; that it is graver than was told does.
            (Some(told), _)
                if finding.kind.is_anomaly() && (is_over || finding.severity <= told) =>
            {
                continue;
            }
            (None, true) => continue,
            (Some(_), true) if finding.is_resolved() => What::Resolved,
            (Some(_), true) => What::Suppressed,
            (None, false) if finding.status == Some(Stage::Reopened.as_str()) => What::Reopened,
            (None, false) => What::New,
            (Some(told), false) if told < finding.severity => What::MoreSevere,
            (Some(_), false) if is_due(life.alerted.as_ref(), finding, plan, run_at) => {
                What::Reminder
            }
            (Some(_), false) => continue,
        };
        let severity = match told {
            Some(told) if what.is_over() => told,
            _ => finding.severity,
        };
        // That it is over is noted, whether or not anybody is left to be told.
        let is_told = plan.channels.iter().any(|channel| channel.min_severity <= severity);
        if what.is_over() {
            life.alerted = None;
        } else if is_told {
            let severity = severity.as_str().to_owned();
            life.alerted = Some(Alerted { severity, at_ns: run_at.ns() });
        }
        if is_told {
            let before = told.filter(|_| what == What::MoreSevere);
            changes.push(change(finding, what, (severity, before), run_at));
        }
    }
    changes
}

/// Whether it is time to tell again of a finding that is open.
fn is_due(alerted: Option<&Alerted>, finding: &Finding, plan: &AlertPlan, run_at: Instant) -> bool {
    // Nights are not always as long: a timer fires a little early or late.
    let is_due = alerted.is_some_and(|alerted| {
        let last = Instant::from_ns(alerted.at_ns);
        let passed_s = run_at.seconds_since(last) + limits::REMINDER_EARLY_S;
        // Of a clock that was ahead nobody knows how long ago it was.
        passed_s >= plan.remind_every_s || run_at < last
    });
    finding.severity == Severity::Critical && is_due
}

fn change(
    finding: &Finding,
    what: What,
    (severity, severity_before): (Severity, Option<Severity>),
    run_at: Instant,
) -> Change {
    Change {
        id: finding.id.clone(),
        kind: finding.kind.as_str().to_owned(),
        severity,
        change: what,
        severity_before,
        partner: finding.partner.clone(),
        api: finding.api.clone(),
        data_class: finding.data_class.clone(),
        grant: finding.grant.clone(),
        operations: finding.operations.clone(),
        first_seen: finding.first_seen.unwrap_or(run_at),
        since: finding.since,
        lapsed_at: finding.lapsed_at,
        first: finding.first,
        last: finding.last,
        overstay_s: finding.overstay_s,
        served: finding.served,
        denied: finding.denied,
        failed: finding.failed,
        subjects: finding.subjects.count,
        subjects_exact: finding.subjects.exact,
        anomaly: finding.anomaly.as_ref().map(|anomaly| Observed {
            observed: anomaly.observed,
            expected: anomaly.expected,
            score: anomaly.score,
            from: anomaly.from,
            until: anomaly.until,
            network: anomaly.network.clone(),
        }),
        summary: finding.summary.clone(),
    }
}

/// The message of a run; none if there is nothing to tell. `head` is that of the chain, hex.
pub(super) fn message(
    report: &Report,
    run: u64,
    run_at: Instant,
    head: &str,
    changes: Vec<Change>,
) -> Option<Message> {
    if changes.is_empty() {
        return None;
    }
    let names: BTreeMap<&str, &str> = report
        .partners
        .iter()
        .filter_map(|partner| Some((partner.partner.as_str(), partner.name.as_deref()?)))
        .collect();
    let mut groups = Message::group(changes);
    for group in &mut groups {
        let name = group.partner.as_deref().and_then(|partner| names.get(partner));
        group.partner_name = name.map(|name| (*name).to_owned());
    }
    Some(Message {
        schema: alert::SCHEMA.to_owned(),
        program: report.program.clone(),
        run,
        run_at,
        head: head.to_owned(),
        status: word(report.status).to_owned(),
        is_test: false,
        headline: report.headline.clone(),
        counts: Message::count(&groups),
        groups,
    })
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Complete => "complete",
        Status::Partial => "partial",
    }
}

/// Has a message wait for each channel that is to have some of it.
///
/// # Errors
///
/// None that its types can cause.
pub(super) fn post(outbox: &mut Outbox, message: &Message, plan: &AlertPlan) -> Result<()> {
    let run = message.run;
    for channel in &plan.channels {
        let Some(part) = message.at_least(channel.min_severity) else { continue };
        let waiting = Waiting {
            delivery_id: delivery_id(&message.head, &channel.name),
            changes: part.groups.iter().map(|group| group.changes.len() as u64).sum(),
            tries: 0,
            failure: None,
        };
        outbox.waiting.insert((channel.name.clone(), run), waiting);
    }
    if outbox.waiting.keys().any(|(_, of)| *of == run) {
        let json = serde_json::to_string(message)
            .map_err(|error| Error::new(format!("an alert can't be written as JSON: {error}")))?;
        outbox.messages.insert(run, json);
    }
    Ok(())
}

/// What tells a receiver whether it has had a message: the run's place in the chain, and the channel.
pub(super) fn delivery_id(head: &str, channel: &str) -> String {
    let mut hash = blake3::Hasher::new_derive_key("overstay 2026 alert delivery id");
    hash.update(head.as_bytes()).update(b"\0").update(channel.as_bytes());
    hash.finalize().to_hex()[..32].to_owned()
}

/// What became of what was to be sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// How many messages were accepted.
    pub(super) accepted: u64,
    /// The channels that failed: what else there is for them waits too.
    pub(super) failed: BTreeSet<String>,
    /// Messages that a channel did not take, or that could not be made: they are not tried twice.
    refused: BTreeSet<(String, u64)>,
}

/// Sends what waits, the oldest first, to all channels but those that have failed already; each that is accepted no longer waits
/// from then on, whatever happens next.
///
/// # Errors
///
/// If it can't be noted what was accepted, or not.
pub(super) fn send(
    folder: &Folder<'_>,
    ledger: &mut Ledger,
    plan: &AlertPlan,
    sent: &mut Sent,
) -> Result<()> {
    let mut is_noted = true;
    for channel in &plan.channels {
        if sent.failed.contains(&channel.name) {
            continue;
        }
        let waiting = ledger.outbox.waiting.keys().filter(|(name, _)| *name == channel.name);
        let is_open = |run: &u64| !sent.refused.contains(&(channel.name.clone(), *run));
        let runs: Vec<u64> = waiting.map(|(_, run)| *run).filter(is_open).collect();
        for run in runs {
            match deliver(&ledger.outbox, channel, run) {
                Ok(is_sent) => {
                    sent.accepted += u64::from(is_sent);
                    ledger.outbox.remove(&channel.name, run);
                    folder.commit(ledger)?;
                    is_noted = true;
                }
                Err((failure, is_of_message)) => {
                    if let Some(waiting) =
                        ledger.outbox.waiting.get_mut(&(channel.name.clone(), run))
                    {
                        waiting.tries += 1;
                        waiting.failure = Some(failure);
                        is_noted = false;
                    }
                    // Where the channel is down, what else there is for it would fail likewise, and should not come before. One
                    // message that it does not take, or that can't be made, holds up none.
                    if is_of_message {
                        sent.refused.insert((channel.name.clone(), run));
                        continue;
                    }
                    sent.failed.insert(channel.name.clone());
                    break;
                }
            }
        }
    }
    if is_noted { Ok(()) } else { folder.commit(ledger) }
}

/// Sends a run's message to a channel, and says whether there was anything to send; else why it was not accepted, and whether
/// that may be because of the message itself.
fn deliver(
    outbox: &Outbox,
    channel: &Channel,
    run: u64,
) -> std::result::Result<bool, (String, bool)> {
    let waiting = outbox.waiting.get(&(channel.name.clone(), run));
    let (Some(waiting), Some(json)) = (waiting, outbox.messages.get(&run)) else {
        return Err(("what was to be sent is not in the state".to_owned(), true));
    };
    let message: Message = serde_json::from_str(json)
        .map_err(|error| (format!("what was to be sent can't be read: {error}"), true))?;
    // Its least severity may have been raised since.
    let Some(message) = message.at_least(channel.min_severity) else { return Ok(false) };
    let delivery = Delivery { delivery_id: &waiting.delivery_id, message: &message };
    let sent = channel.deliver(&delivery, &std::thread::sleep);
    sent.map(|()| true)
        .map_err(|failure| (failure.to_string(), matches!(failure, Failure::Mend { .. })))
}

/// Tells whoever waits for it that a run counts.
///
/// # Errors
///
/// Why it was not accepted.
pub(super) fn beat(
    plan: &AlertPlan,
    report: &Report,
    ledger: &Ledger,
    head: &str,
) -> std::result::Result<(), String> {
    let Some(heartbeat) = &plan.heartbeat else { return Ok(()) };
    let open = report.findings.iter().filter(|finding| finding.is_open());
    let standing = report.nightly.as_ref().and_then(|nightly| nightly.standing);
    let mut findings = standing.unwrap_or_default();
    open.for_each(|finding| findings.add(finding.severity));
    let beat = Beat {
        run: ledger.run,
        run_at: Instant::from_ns(ledger.run_at_ns),
        head: head.to_owned(),
        status: word(report.status).to_owned(),
        findings: BySeverity {
            critical: findings.critical,
            high: findings.high,
            medium: findings.medium,
            low: findings.low,
            info: findings.info,
        },
        alerts_waiting: ledger.outbox.waiting.len() as u64,
    };
    heartbeat.beat(&beat, &std::thread::sleep).map_err(|failure| failure.to_string())
}

/// What waits, as reports have it: by channel, then run.
pub(super) fn waiting(outbox: &Outbox) -> Vec<WaitingAlert> {
    let waiting = outbox.waiting.iter().map(|((channel, run), waiting)| WaitingAlert {
        channel: channel.clone(),
        run: *run,
        delivery_id: waiting.delivery_id.clone(),
        changes: waiting.changes,
        tries: u64::from(waiting.tries),
        failure: waiting.failure.clone(),
    });
    waiting.collect()
}

/// What a report says of alerts; none where nobody asked for any, and none waits.
pub(super) fn told(plan: &AlertPlan, changes: u64, outbox: &Outbox) -> Option<Alerts> {
    let is_asked = !plan.channels.is_empty() || !outbox.waiting.is_empty();
    is_asked.then(|| Alerts { changes, waiting: waiting(outbox) })
}

/// A line for each channel for which something waits.
pub(super) fn warnings(outbox: &Outbox, plan: &AlertPlan) -> Vec<String> {
    let mut by_channel: BTreeMap<&str, Vec<(u64, &Waiting)>> = BTreeMap::new();
    for ((channel, run), waiting) in &outbox.waiting {
        by_channel.entry(channel).or_default().push((*run, waiting));
    }
    let warnings = by_channel.into_iter().map(|(channel, waiting)| {
        let count = match &waiting[..] {
            [(run, _)] => format!("the alert of run {run} waits"),
            [(first, _), .., (last, _)] => {
                format!("the alerts of {} runs ({first} to {last}) wait", waiting.len())
            }
            [] => String::new(),
        };
        if !plan.channels.iter().any(|known| known.name == channel) {
            return format!(
                "{count} for {channel}, which is no longer configured: configure it again, or let go of them with `overstay alert --drop {channel}`"
            );
        }
        let failure = waiting.iter().find_map(|(_, waiting)| waiting.failure.as_deref());
        let why = failure.map_or_else(String::new, |failure| format!(": {failure}"));
        format!("{count} for {channel}{why}; the next run tries again, or now: `overstay alert --send`")
    });
    warnings.collect()
}
