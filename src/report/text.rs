//! Numbers and facts as people read them: the headline, a finding's sentence, durations, sizes.
//!
//! Pure text from plain data. Names go in as the register and the logs have them:
//! whoever shows the text escapes it for its medium.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Affected, Alerts, Finding, Nightly, Partner, RegisterChange, Report, RunBefore, Standing,
    Status, Subjects, WaitingAlert,
};
use crate::findings::{Kind, Severity};
use crate::judge::Verdict;
use crate::limits::{self, SUBJECTS_EXACT_MAX};
use crate::time::{Instant, NS_PER_S};

/// The first line a person reads.
///
/// `overstayed_people` counts the distinct people of all overstayed calls, as
/// [`Partner::overstayed_calls`] defines them; no row of a report has that sum.
/// It never sounds like an all-clear where something was not read, nothing was
/// read, nothing was judged, or there are findings of another kind, or of another run.
pub fn headline(report: &Report, overstayed_people: &Subjects) -> String {
    let is_overstayed = report.partners.iter().any(|partner| partner.overstayed_calls > 0);
    let standing = report.nightly.as_ref().and_then(|nightly| nightly.standing);
    let mut text = if let Some((logs, since)) = nothing_new(report) {
        headline_of_quiet_run(report, logs, since, standing.unwrap_or_default())
    } else {
        let mut text = if report.accounting.calls == 0 {
            headline_without_calls(report)
        } else if report.register.digest.is_none() {
            headline_unjudged(report)
        } else if let Some(partner) = &report.partner {
            headline_of_partner(report, partner, overstayed_people)
        } else if is_overstayed {
            headline_overstayed(report, overstayed_people)
        } else {
            headline_in_time(report)
        };
        let standing = standing.filter(|_| !is_overstayed).unwrap_or_default();
        text.push_str(&sentence_of_standing(standing.open(), " of earlier runs"));
        text
    };
    if report.status == Status::Partial {
        text.push(' ');
        text.push_str(&partial_sentence(report));
    }
    text
}

/// Where a run found nothing in any log that was not there at the run before: how many logs that is true of, and which run that
/// was.
fn nothing_new(report: &Report) -> Option<(u64, RunBefore)> {
    let nightly = report.nightly.as_ref()?;
    let (logs, since) = (nightly.logs.filter(|logs| *logs > 0)?, nightly.since?);
    let is_old = report.inputs.iter().all(|input| input.bytes == 0 && input.lines == 0);
    is_old.then_some((logs, since))
}

fn headline_of_quiet_run(
    report: &Report,
    logs: u64,
    since: RunBefore,
    mut standing: Standing,
) -> String {
    let were = counted(logs, "log was", "logs were");
    let had = if logs == 1 { "it had not" } else { "none had" };
    // The beginning of a line may have come, which the next run reads.
    let has_begun = report.inputs.iter().any(|input| input.pending_bytes > 0);
    let more = if has_begun { "a whole line more" } else { "a line more" };
    let mut text = format!(
        "Nothing new, which clears nobody: {were} looked at, and {had} {more} than at run {}, {}.",
        thousands(since.run),
        to_the_second(since.run_at)
    );
    let open = report.findings.iter().filter(|finding| finding.is_open());
    open.for_each(|finding| standing.add(finding.severity));
    text.push_str(&sentence_of_standing(standing.open(), ""));
    text
}

/// ` 24 findings of earlier runs stand, the gravest critical.`
fn sentence_of_standing((count, gravest): (u64, Option<Severity>), of: &str) -> String {
    match (count, gravest) {
        (_, None) => String::new(),
        (1, Some(gravest)) => format!(" 1 finding{of} stands, of severity {gravest}."),
        (n, Some(gravest)) => {
            format!(" {} findings{of} stand, the gravest {gravest}.", thousands(n))
        }
    }
}

/// `24 findings of earlier runs, of which this one found nothing: 8 critical, 15 high, 1 suppressed`; none if there are none.
pub fn standing_findings(standing: &Standing) -> Option<String> {
    let by_severity = standing.by_severity().into_iter().filter(|(_, n)| *n > 0);
    let by_severity: Vec<String> =
        by_severity.map(|(severity, n)| format!("{} {severity}", thousands(n))).collect();
    let suppressed = match standing.suppressed {
        0 => None,
        n => Some(format!("{} suppressed", thousands(n))),
    };
    let parts: Vec<String> = by_severity.into_iter().chain(suppressed).collect();
    (!parts.is_empty()).then(|| {
        let count = standing.open().0 + standing.suppressed;
        format!(
            "{} of earlier runs, of which this one found nothing: {}",
            counted(count, "finding", "findings"),
            parts.join(", ")
        )
    })
}

/// Of a report on one partner alone.
fn headline_of_partner(report: &Report, partner: &str, people: &Subjects) -> String {
    let row = report.partners.iter().find(|row| row.partner == partner);
    let (calls, overstayed) = row.map_or((0, 0), |row| (row.calls, row.overstayed_calls));
    if overstayed == 0 {
        let calls = counted(calls, "call", "calls");
        let read = if report.status == Status::Complete { "" } else { " in what was read" };
        let mut text = format!("{partner} did not overstay{read}: {calls}.");
        text.push_str(&but_findings(report));
        return text;
    }
    let mut text =
        format!("{partner} overstayed: {}", counted(overstayed, "served call", "served calls"));
    if people.count > 0 {
        text.push_str(&format!(", {}", people_of(people)));
    }
    if let Some(seconds) = row.and_then(|row| row.overstay_s_max) {
        text.push_str(&format!(", at most {}", duration(seconds)));
    }
    text.push('.');
    text
}

/// What keeps a headline without an overstay from being an all-clear.
fn but_findings(report: &Report) -> String {
    let open = || report.findings.iter().filter(|finding| finding.is_open());
    let Some(gravest) = open().map(|finding| finding.severity).max() else { return String::new() };
    match open().count() as u64 {
        1 => format!(" But there is 1 finding, of severity {gravest}."),
        n => format!(" But there are {} findings, the gravest {gravest}.", thousands(n)),
    }
}

fn headline_overstayed(report: &Report, people: &Subjects) -> String {
    let overstayed: Vec<&Partner> =
        report.partners.iter().filter(|partner| partner.overstayed_calls > 0).collect();
    let calls = overstayed.iter().map(|partner| partner.overstayed_calls).sum();
    let mut text = format!(
        "{} of {} overstayed: {}",
        thousands(overstayed.len() as u64),
        counted(report.partners.len() as u64, "partner", "partners"),
        counted(calls, "served call", "served calls"),
    );
    // A log that names no subject has touched people all the same: "0 people" would deny it.
    if people.count > 0 {
        text.push_str(&format!(", {}", people_of(people)));
    }
    text.push('.');
    // Partners come sorted by id, so of two equal ones the first is named.
    let longest = overstayed
        .iter()
        .filter_map(|partner| partner.overstay_s_max.map(|s| (s, partner)))
        .reduce(|a, b| if b.0 > a.0 { b } else { a });
    if let Some((seconds, partner)) = longest {
        text.push_str(&format!(" Longest: {}, {}.", partner.partner, duration(seconds)));
    }
    text
}

fn headline_in_time(report: &Report) -> String {
    let calls = report.accounting.calls;
    let by_partners: u64 = report.partners.iter().map(|partner| partner.calls).sum();
    let callers = report.partners.iter().filter(|partner| partner.calls > 0).count() as u64;
    let callers = counted(callers, "partner", "partners");
    let whole = report.status == Status::Complete;
    let mut text = String::from("No partner overstayed");
    text.push_str(if whole { ": " } else { " in what was read: " });
    text.push_str(&counted(calls, "call", "calls"));
    if by_partners == calls {
        text.push_str(&format!(" of {callers}"));
    } else if by_partners == 0 {
        text.push_str(", none of them a partner's");
    } else {
        text.push_str(&format!(", {} of them of {callers}", thousands(by_partners)));
    }
    if whole {
        let inputs = counted(report.inputs.len() as u64, "input", "inputs");
        match report.accounting.rejected {
            0 => text.push_str(&format!(", all read from {inputs}")),
            n => text.push_str(&format!(
                ", read from {inputs} with {}",
                counted(n, "reject", "rejects")
            )),
        }
    }
    text.push('.');
    text.push_str(&but_findings(report));
    text
}

fn headline_unjudged(report: &Report) -> String {
    let credentials: BTreeSet<&str> =
        report.usage.iter().filter_map(|row| row.credential.as_deref()).collect();
    let paths: BTreeSet<&str> = report.usage.iter().filter_map(|row| row.api.as_deref()).collect();
    format!(
        "Nothing was judged: there is no register. Counted: {}, {}, {}.",
        counted(report.accounting.calls, "call", "calls"),
        counted(credentials.len() as u64, "credential", "credentials"),
        counted(paths.len() as u64, "path", "paths"),
    )
}

fn headline_without_calls(report: &Report) -> String {
    if report.inputs.is_empty() {
        return "No calls were read, which clears nobody: there was no input.".to_owned();
    }
    let inputs = counted(report.inputs.len() as u64, "input", "inputs");
    let accounting = &report.accounting;
    let kinds = [
        (accounting.rejected, "rejected"),
        (accounting.outside_window, "outside the window"),
        (accounting.duplicates, "repeats"),
        (accounting.blank, "blank"),
    ];
    let kinds: Vec<String> = kinds
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", thousands(n)))
        .collect();
    let lines = counted(accounting.lines, "line", "lines");
    let mut text = format!("No calls were read from {inputs}, which clears nobody: {lines}");
    if !kinds.is_empty() {
        text.push_str(&format!(", of them {}", kinds.join(", ")));
    }
    text.push('.');
    text
}

fn partial_sentence(report: &Report) -> String {
    // The register is no input.
    let refused = report
        .findings
        .iter()
        .any(|finding| finding.kind == Kind::RegisterRefused && !finding.is_resolved());
    let of_logs = report
        .partial
        .iter()
        .filter(|partial| !(refused && partial.reason.starts_with(REGISTER_REFUSED)));
    let bad: BTreeSet<&str> = of_logs.map(|partial| partial.path.as_str()).collect();
    if bad.is_empty() && refused {
        return "PARTIAL: the register was refused, and the last good one used.".to_owned();
    }
    let known: BTreeSet<&str> = report.inputs.iter().map(|input| input.path.as_str()).collect();
    let all = match report.nightly.as_ref().and_then(|nightly| nightly.logs) {
        // Logs of which there was nothing to read are no inputs of the run, and were looked at.
        Some(logs) => logs + bad.difference(&known).count() as u64,
        None => known.union(&bad).count() as u64,
    };
    // One that was read to its end is partial for its rejects.
    let read = |path: &str| report.inputs.iter().any(|input| input.path == path && input.complete);
    let whole = bad.iter().filter(|path| read(path)).count();
    let (were, have) = if bad.len() == 1 { ("was", "has") } else { ("were", "have") };
    let fault = match whole {
        0 => format!("{were} not read whole"),
        whole if whole == bad.len() => format!("{have} too many rejects"),
        _ => "were not read whole or have too many rejects".to_owned(),
    };
    match bad.len() as u64 {
        0 => "PARTIAL: not everything was read.".to_owned(),
        n => format!("PARTIAL: {} of {} {fault}.", thousands(n), counted(all, "input", "inputs")),
    }
}

/// How the reason begins for which a report is partial whose register was refused.
pub const REGISTER_REFUSED: &str = "the register was refused";

/// Days named of a run; the rest is counted.
const DAYS_MAX: usize = 10;
/// What of a change of the register is named; the rest is counted.
const AFFECTED_MAX: usize = 8;

/// Where the report stands among the runs: of one day `2018-12-18, rev 2, run 12`, else
/// `12 at 2018-12-19T02:00:00Z: 2018-12-18 rev 2 (+12,011 calls)`.
pub fn standing(nightly: &Nightly) -> String {
    if let Some(day) = &nightly.day {
        let revision = nightly.revision.map_or_else(String::new, |n| format!(", rev {n}"));
        return format!("{day}{revision}, run {}", nightly.run);
    }
    let mut text = nightly.run.to_string();
    if let Some(at) = nightly.run_at {
        text.push_str(&format!(" at {}", to_the_second(at)));
    }
    let days = nightly.days.iter().map(|day| match day.added {
        0 => format!("{} rev {}", day.day, day.revision),
        added => {
            format!("{} rev {} (+{})", day.day, day.revision, counted(added, "call", "calls"))
        }
    });
    match nightly.days.is_empty() {
        true => text.push_str(": no calls added"),
        false => text.push_str(&format!(": {}", first_of(days, DAYS_MAX))),
    }
    text
}

/// What was told of findings, and what waits to be: `3 changes of findings; waiting for webhook:ops since run 5: 12 changes
/// (503 Service Unavailable)`.
pub fn alerts(alerts: &Alerts) -> String {
    let changes = match alerts.changes {
        0 => "no change of findings to tell".to_owned(),
        changes => counted(changes, "change of findings", "changes of findings"),
    };
    let mut by_channel: BTreeMap<&str, Vec<&WaitingAlert>> = BTreeMap::new();
    for waiting in &alerts.waiting {
        by_channel.entry(&waiting.channel).or_default().push(waiting);
    }
    let waiting = by_channel.into_iter().map(|(channel, waiting)| {
        let since = waiting.iter().map(|waiting| waiting.run).min().unwrap_or_default();
        let changes = waiting.iter().map(|waiting| waiting.changes).sum();
        let changes = counted(changes, "change", "changes");
        let failure = waiting.iter().find_map(|waiting| waiting.failure.as_deref());
        let failure = failure.map_or_else(String::new, |failure| format!(" ({failure})"));
        format!("; waiting for {channel} since run {since}: {changes}{failure}")
    });
    [changes].into_iter().chain(waiting).collect()
}

/// What a change of the register since `from` means for days before:
/// `changed since 7af0: verdicts of 12 days may be others now (2018-12-01 … 2018-12-12)`. None: it is the same, and only
/// judged by another `propagation_s`.
pub fn register_change(change: &RegisterChange, from: Option<&str>) -> String {
    let what = [
        from.map(|from| format!("changed since {from}")),
        change.from_propagation_s.map(|s| format!("propagation_s changed from {s}")),
    ];
    let what = what.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let days = match &change.days[..] {
        [] => return format!("{what}: no verdict given before may be another now"),
        [day] => day.clone(),
        [first, .., last] => format!("{first} … {last}"),
    };
    let count = counted(change.days.len() as u64, "day", "days");
    format!("{what}: verdicts of {count} may be others now ({days})")
}

/// What verdicts these are, as far as can be told: `reelhouse messages read (1,204 calls)`; `*` stands for all operations
/// that no grant names.
pub fn affected(change: &RegisterChange) -> Option<String> {
    let names = change.affected.iter().map(|Affected { partner, api, operation, calls }| {
        let operation = operation.as_deref().unwrap_or("*");
        format!("{partner} {api} {operation} ({})", counted(*calls, "call", "calls"))
    });
    (!change.affected.is_empty()).then(|| first_of(names, AFFECTED_MAX))
}

/// What else a change of the register may touch, where calls don't tell.
pub fn affected_by_tables(change: &RegisterChange) -> Option<String> {
    (!change.tables.is_empty())
        .then(|| format!("what changed in {} may touch any call", change.tables.join(", ")))
}

/// So many of the texts, and how many more there are.
pub fn first_of(texts: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let more = texts.len().saturating_sub(most);
    let mut text = texts.take(most).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {} more", thousands(more as u64)));
    }
    text
}

/// The finding in a sentence, without a final period. Its own `summary` is not looked at.
pub fn summary(finding: &Finding) -> String {
    let partner = finding.partner.as_deref().unwrap_or("an unknown partner");
    let api = finding.api.as_deref().unwrap_or("an unlisted api");
    let grant = finding.grant.as_deref().unwrap_or("(none)");
    match finding.kind {
        Kind::Verdict(verdict) => summary_of_verdict(finding, verdict),
        Kind::Hindsight => format!(
            "{}, in order only by what was recorded after the calls{}: {}",
            used(finding),
            finding.grant.as_deref().map_or_else(String::new, |g| format!(" (grant {g})")),
            tally(finding),
        ),
        Kind::StandingAccess => {
            let since = finding.since.map_or_else(String::new, |since| format!(" at {since}"));
            format!(
                "{partner} still holds grant {grant} on {api}{}, though what it was given for ended{since}",
                called(finding)
            )
        }
        Kind::UnusedGrant => {
            format!(
                "{partner} holds grant {grant} on {api}{}, and no call used it",
                called(finding)
            )
        }
        Kind::UnusedOperation => format!(
            "{partner} holds grant {grant} on {api} also for {}, and never called that",
            finding.operations.join(", ")
        ),
        Kind::UnusedCredential => format!(
            "{partner} holds credential {}, and no call presented it",
            finding.credentials.join(", ")
        ),
        Kind::Spike | Kind::Drop | Kind::SubjectSweep | Kind::DeniedBurst => {
            summary_of_hours(finding, partner, api)
        }
        Kind::NewApi | Kind::NewOperation | Kind::WokenGrant | Kind::WokenApi => {
            summary_of_first(finding, partner, api, grant)
        }
        Kind::NewNetwork => {
            let anomaly = finding.anomaly.as_ref();
            let network = anomaly.and_then(|anomaly| anomaly.network.as_deref());
            let days = anomaly.map_or(0, |anomaly| anomaly.history_days);
            let days = counted(days, "day", "days");
            let (credential, tally) = (finding.credentials.join(", "), tally(finding));
            match network {
                Some(network) => format!(
                    "{partner} presented credential {credential} from {network} for the first time, after {days} of logs since its first address: {tally}"
                ),
                None => format!(
                    "{partner} presented credential {credential} from more than {} networks by now, after {days} of logs since its first address, and no other is told as new: {tally}",
                    limits::NETWORKS_MAX
                ),
            }
        }
        Kind::LogRewritten => format!(
            "{} no longer holds what was read of it, {}; what it holds now was read as a new log, and lines of it that were counted before count twice",
            log_name(finding),
            finding.log.as_ref().map_or_else(String::new, |log| bytes(log.read_bytes)),
        ),
        Kind::LogLost => match &finding.log {
            Some(log) => format!(
                "{} is gone, or another file has its name: {} of {} seen were read, and nobody can tell what was written after; lines that it and a file of its name both hold count twice",
                log_name(finding),
                thousands(log.read_bytes),
                counted(log.seen_bytes, "byte", "bytes"),
            ),
            None => "a log is gone before it was read to its end".to_owned(),
        },
        Kind::RegisterRefused => {
            "the register has errors: the last good one was used in its place".to_owned()
        }
    }
}

/// The sentence of hours that are unlike those before.
fn summary_of_hours(finding: &Finding, partner: &str, api: &str) -> String {
    let Some(anomaly) = &finding.anomaly else {
        return format!("hours of {partner} on {api} that are unlike those before");
    };
    let observed = thousands(anomaly.observed);
    let expected = format!("where {} were expected", about(anomaly.expected));
    let hour = anomaly
        .worst
        .map_or_else(String::new, |worst| format!("in the hour from {}", to_the_minute(worst)));
    let basis = format!(
        "score {:.1}, by {} of history",
        anomaly.score.unwrap_or_default(),
        counted(anomaly.history_days, "day", "days"),
    );
    match finding.kind {
        Kind::Drop => {
            let (from, until) = (to_the_minute(anomaly.from), to_the_minute(anomaly.until));
            let calls = counted(anomaly.observed, "call", "calls");
            format!("{partner} made {calls} to {api} from {from} to {until}, {expected} ({basis})")
        }
        Kind::SubjectSweep => format!(
            "calls of {partner} to {api} were about some {observed} people {hour}, {expected} ({basis})"
        ),
        Kind::DeniedBurst => {
            let percent =
                |ratio: Option<f64>| format!("{:.0} %", 100.0 * ratio.unwrap_or_default());
            let ratio = percent(anomaly.denied_ratio);
            let usual = percent(anomaly.denied_ratio_usual);
            format!(
                "{observed} calls of {partner} to {api} were denied {hour}, {expected}: {ratio} of its calls, usually {usual} ({basis})"
            )
        }
        _ => format!("{partner} called {api} {observed} times {hour}, {expected} ({basis})"),
    }
}

/// An expectation, as precise as it is of use: `2.4`, `98`, `1,204`.
fn about(expected: f64) -> String {
    match expected < 10.0 {
        true => format!("{expected:.1}"),
        false => thousands(expected.round() as u64),
    }
}

/// The sentence of what is done for the first time, or again after a long time.
fn summary_of_first(finding: &Finding, partner: &str, api: &str, grant: &str) -> String {
    let tally = tally(finding);
    let days = finding.anomaly.as_ref().map_or(0, |anomaly| anomaly.history_days);
    let days = counted(days, "day", "days");
    let last = finding.anomaly.as_ref().and_then(|anomaly| anomaly.last_before.as_deref());
    let last = last.map_or_else(String::new, |day| format!(", the last time on {day}"));
    match finding.kind {
        Kind::NewOperation => format!(
            "{partner} called {} of {api} for the first time, with {days} of logs since its first call to any api: {tally}",
            finding.operations.join(", ")
        ),
        Kind::WokenGrant => format!(
            "{partner} was served on {api} by grant {grant} after {days} of logs without{last}: {tally}"
        ),
        Kind::WokenApi => {
            format!("{api} was served to somebody after {days} of logs without{last}: {tally}")
        }
        _ => format!(
            "{partner} called {api} for the first time, with {days} of logs since its first call to any api: {tally}"
        ),
    }
}

/// The log that a finding is about.
fn log_name(finding: &Finding) -> String {
    match &finding.log {
        Some(log) => format!("{} (source {})", log.path, log.source),
        None => "a log".to_owned(),
    }
}

/// The sentence of a finding whose calls have a verdict.
fn summary_of_verdict(finding: &Finding, verdict: Verdict) -> String {
    let api = finding.api.as_deref();
    let grant = finding.grant.as_deref().unwrap_or("(none)");
    let tally = tally(finding);
    let happened = match verdict {
        Verdict::Anonymous => {
            let target = api.unwrap_or("targets of no listed api");
            return format!("calls without a credential to {target}{}: {tally}", called(finding));
        }
        Verdict::UnknownCredential => {
            let credential = finding.credentials.first().map_or("(none)", String::as_str);
            return if credential == "(other)" {
                format!("other credentials that the register does not know: {tally}")
            } else {
                format!("credential {credential}, which the register does not know: {tally}")
            };
        }
        Verdict::UnlistedApi => {
            return match api {
                Some(api) => {
                    let called = called(finding);
                    format!("calls to {api}{called}, which the register does not list: {tally}")
                }
                None => format!("calls to targets that no route of the register fits: {tally}"),
            };
        }
        Verdict::ConsentOverridden => {
            return format!(
                "{} without the consent of the people concerned, which grant {grant} overrides: {tally}",
                used(finding)
            );
        }
        Verdict::WithoutConsent => {
            let last = match (finding.since, finding.overstay_s) {
                (Some(since), Some(s)) => {
                    format!(", the last {} after a withdrawal at {since}", duration(s))
                }
                _ => String::new(),
            };
            return format!(
                "{} under grant {grant} without the consent of the people concerned: {tally}{last}",
                used(finding)
            );
        }
        Verdict::BeforeGrant => format!("before grant {grant} began"),
        Verdict::OutOfScope => "for operations that none of its live grants covers".to_owned(),
        Verdict::NeverGranted => "without any grant that ever covered it".to_owned(),
        Verdict::DormantApi => after(finding, "the api was declared dormant"),
        Verdict::Uncertified => {
            after(finding, &format!("the certification of grant {grant} lapsed"))
        }
        Verdict::PurposeEnded => after(finding, &format!("the purpose of grant {grant} ended")),
        Verdict::AfterRevocation => after(finding, &format!("grant {grant} was revoked")),
        Verdict::AfterExpiry => after(finding, &format!("grant {grant} expired")),
        Verdict::Propagating => {
            let after = after(finding, &format!("grant {grant} was revoked"));
            format!("{after}, while caches may still serve")
        }
        Verdict::StaleCredential if finding.since.is_none() => "before it was valid".to_owned(),
        Verdict::StaleCredential => after(finding, "it ceased to be valid"),
        // In order, so never a finding; said all the same rather than assumed away.
        Verdict::Open | Verdict::Granted => "in order".to_owned(),
    };
    format!("{} {happened}: {tally}", used(finding))
}

/// `PARTNER used API (OPERATIONS)`, or `tried` where nothing was served.
fn used(finding: &Finding) -> String {
    let verb = if finding.served > 0 { "used" } else { "tried" };
    let partner = finding.partner.as_deref().unwrap_or("an unknown partner");
    let target = match (&finding.api, finding.kind) {
        (_, Kind::Verdict(Verdict::StaleCredential)) => {
            format!("credential {}", finding.credentials.join(", "))
        }
        (Some(api), _) => api.clone(),
        (None, _) => "an unlisted api".to_owned(),
    };
    format!("{partner} {verb} {target}{}", called(finding))
}

/// ` (read, delete)`, or nothing.
fn called(finding: &Finding) -> String {
    match finding.operations.as_slice() {
        [] => String::new(),
        operations => format!(" ({})", operations.join(", ")),
    }
}

/// `for 1 y 12 d after EVENT at T`.
///
/// The overstay runs from the instant at which access was last in order, which
/// may lie before the event (a dormant api whose grant is revoked later): then
/// the two are told apart.
fn after(finding: &Finding, event: &str) -> String {
    let at = finding.since.map_or_else(String::new, |since| format!(" at {since}"));
    match finding.overstay_s {
        Some(s) if finding.since == finding.lapsed_at => {
            format!("for {} after {event}{at}", duration(s))
        }
        Some(s) => {
            format!("after {event}{at}, up to {} after access was last in order", duration(s))
        }
        None => format!("after {event}{at}"),
    }
}

/// `41,207 served calls, 8,201 people, 12 denied`, or `12 calls, all refused`.
fn tally(finding: &Finding) -> String {
    let Finding { served, denied, failed, .. } = *finding;
    if served == 0 {
        let calls = counted(denied + failed, "call", "calls");
        return match (denied, failed) {
            (_, 0) if denied == 1 => format!("{calls}, refused"),
            (_, 0) => format!("{calls}, all refused"),
            (0, _) if failed == 1 => format!("{calls}, failed"),
            (0, _) => format!("{calls}, all failed"),
            _ => format!(
                "{calls}, none served ({} denied, {} failed)",
                thousands(denied),
                thousands(failed)
            ),
        };
    }
    let mut text = counted(served, "served call", "served calls");
    if finding.subjects.count > 0 {
        text.push_str(&format!(", {}", people_of(&finding.subjects)));
    }
    for (n, what) in [(denied, "denied"), (failed, "failed")] {
        if n > 0 {
            text.push_str(&format!(", {} {what}", thousands(n)));
        }
    }
    text
}

/// `8,201 people`, `1 person`; an estimate is marked: `~8,201 people`.
pub fn people_of(subjects: &Subjects) -> String {
    let mark = if subjects.exact { "" } else { "~" };
    format!("{mark}{}", counted(subjects.count, "person", "people"))
}

/// A count of people that says nothing of its exactness: beyond
/// [`SUBJECTS_EXACT_MAX`] every count is an estimate, and marked `~`.
pub fn people(count: u64) -> String {
    let mark = if count > SUBJECTS_EXACT_MAX as u64 { "~" } else { "" };
    format!("{mark}{}", thousands(count))
}

/// `1 call`, `41,207 calls`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// A number with separators: `41,207`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whole seconds in their biggest unit and the next one, rounded down: `2 y 112 d`,
/// `3 d 4 h`, `5 h 12 min`, `38 s`. A year is 365 days.
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(unit_s, _)| seconds >= *unit_s).unwrap_or(4);
    let (unit_s, unit) = UNITS[first];
    let mut text = format!("{} {unit}", thousands(seconds / unit_s));
    if let Some((next_s, next)) = UNITS.get(first + 1) {
        let rest = seconds % unit_s / next_s;
        if rest > 0 {
            text.push_str(&format!(" {rest} {next}"));
        }
    }
    text
}

/// Bytes in their biggest binary unit with one decimal, rounded down: `1.2 GiB`, `512 B`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let power = n.ilog2() / 10;
    let tenths = (u128::from(n) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power as usize - 1])
}

/// Microseconds as `850 us`, `38 ms` or `1.2 s`, rounded down.
pub fn latency(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{}.{} s", thousands(us / 1_000_000), us / 100_000 % 10),
    }
}

/// The instant without its fraction of a second.
pub fn to_the_second(at: Instant) -> String {
    Instant::from_ns(at.ns().div_euclid(NS_PER_S).saturating_mul(NS_PER_S)).to_string()
}

/// An instant at which an hour begins: `2018-12-18T09:00Z`.
fn to_the_minute(at: Instant) -> String {
    to_the_second(at).replacen(":00Z", "Z", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{self, exactly};
    use crate::report::{NightlyDay, Standing};

    #[test]
    fn headlines() {
        let check = |report: &Report, people: u64, expected: &str| {
            assert_eq!(headline(report, &exactly(people)), expected);
        };
        let mut report = fixtures::small();
        check(
            &report,
            2,
            "1 of 1 partner overstayed: 3 served calls, 2 people. Longest: reelhouse, 1 y 13 d.",
        );
        check(
            &report,
            0,
            "1 of 1 partner overstayed: 3 served calls. Longest: reelhouse, 1 y 13 d.",
        );
        check(
            &fixtures::partial(),
            1,
            "1 of 1 partner overstayed: 3 served calls, 1 person. Longest: reelhouse, 1 y 13 d. \
             PARTIAL: 2 of 3 inputs were not read whole.",
        );

        report.partners = vec![fixtures::partner("a", 3, 0, 0), fixtures::partner("b", 1, 0, 0)];
        report.findings.clear();
        check(
            &report,
            0,
            "No partner overstayed: 4 calls of 2 partners, read from 1 input with 1 reject.",
        );
        report.accounting.rejected = 0;
        check(&report, 0, "No partner overstayed: 4 calls of 2 partners, all read from 1 input.");
        report.accounting.calls = 6;
        check(
            &report,
            0,
            "No partner overstayed: 6 calls, 4 of them of 2 partners, all read from 1 input.",
        );
    }

    #[test]
    fn a_quiet_night_says_what_was_looked_at() {
        let people = Subjects::default();
        let mut report = fixtures::empty();
        report.partners.iter_mut().for_each(|partner| partner.calls = 0);
        report.findings = vec![fixtures::finding("os-", "standing-access")];
        let nothing = "Nothing new, which clears nobody: ";
        let mut check = |logs, standing: Standing, expected: &str| {
            report.nightly = Some(Nightly {
                run: 12,
                since: Some(RunBefore { run: 11, run_at: fixtures::at("2018-12-18T02:00:00.5Z") }),
                logs: Some(logs),
                standing: Some(standing),
                ..Nightly::default()
            });
            assert_eq!(headline(&report, &people), format!("{nothing}{expected}"));
        };
        let none = Standing::default();
        check(
            8,
            Standing { critical: 2, low: 20, suppressed: 1, ..none },
            "8 logs were looked at, and none had a line more than at run 11, 2018-12-18T02:00:00Z. \
             23 findings stand, the gravest critical.",
        );
        check(
            1,
            none,
            "1 log was looked at, and it had not a line more than at run 11, 2018-12-18T02:00:00Z. \
             1 finding stands, of severity high.",
        );
        report.findings[0].suppressed_by = Some("api-governance".to_owned());
        report.inputs =
            vec![super::super::Input { bytes: 0, ..fixtures::small().inputs[0].clone() }];
        let input = &mut report.inputs[0];
        (input.lines, input.calls, input.blank, input.rejected) = (0, 0, 0, 0);
        input.pending_bytes = 9;
        report.status = Status::Partial;
        report.partial = vec![super::super::Partial {
            path: "locked.log".to_owned(),
            reason: "permission denied".to_owned(),
        }];
        let nightly = report.nightly.as_mut().unwrap();
        nightly.logs = Some(3);
        assert_eq!(
            headline(&report, &people),
            format!(
                "{nothing}3 logs were looked at, and none had a whole line more than at run 11, \
                 2018-12-18T02:00:00Z. PARTIAL: 1 of 4 inputs was not read whole."
            )
        );
        // What has come is no call, and no longer nothing.
        report.inputs[0].bytes = 1;
        assert!(headline(&report, &people).starts_with("No calls were read from 1 input, which"));
        // Of the first run nothing can be said that is new.
        report.inputs[0].bytes = 0;
        report.nightly.as_mut().unwrap().since = None;
        assert!(headline(&report, &people).starts_with("No calls were read from 1 input, which"));
    }

    #[test]
    fn what_stands_from_earlier_runs_keeps_a_headline_from_being_an_all_clear() {
        let people = Subjects::default();
        let mut report = fixtures::nightly();
        report.partners[0].overstayed_calls = 0;
        report.findings.clear();
        let nightly = report.nightly.as_mut().unwrap();
        nightly.standing = Some(Standing { high: 1, ..Standing::default() });
        let in_time =
            "No partner overstayed: 4 calls of 1 partner, read from 1 input with 1 reject.";
        assert_eq!(
            headline(&report, &people),
            format!("{in_time} 1 finding of earlier runs stands, of severity high.")
        );
        let nightly = report.nightly.as_mut().unwrap();
        nightly.standing = Some(Standing { suppressed: 1, ..Standing::default() });
        assert_eq!(headline(&report, &people), in_time);
    }

    #[test]
    fn no_headline_gives_a_false_all_clear() {
        let mut report = fixtures::partial();
        report.partners[0].overstayed_calls = 0;
        let people = Subjects::default();
        assert_eq!(
            headline(&report, &people),
            "No partner overstayed in what was read: 4 calls of 1 partner. But there is 1 finding, \
             of severity critical. PARTIAL: 2 of 3 inputs were not read whole."
        );
        report.findings[0].suppressed_by = Some("api-governance".to_owned());
        assert!(!headline(&report, &people).contains("finding"));
        // Nor is one counted that is resolved.
        report.findings[0].suppressed_by = None;
        report.findings[0].status = Some("resolved");
        assert!(!headline(&report, &people).contains("finding"));
        report.findings[0].status = Some("reopened");
        assert!(headline(&report, &people).contains("But there is 1 finding"));
        report.partial.clear();
        assert!(headline(&report, &people).ends_with(" PARTIAL: not everything was read."));

        assert_eq!(
            headline(&fixtures::empty(), &people),
            "No calls were read from 1 input, which clears nobody: 0 lines."
        );
        let mut report = fixtures::empty();
        report.accounting = crate::report::Accounting {
            lines: 1100,
            rejected: 1099,
            blank: 1,
            ..Default::default()
        };
        assert_eq!(
            headline(&report, &people),
            "No calls were read from 1 input, which clears nobody: 1,100 lines, of them 1,099 rejected, 1 blank."
        );
        report.inputs.clear();
        assert!(headline(&report, &people).starts_with("No calls were read"));
        assert_eq!(
            headline(&fixtures::unjudged(), &people),
            "Nothing was judged: there is no register. Counted: 4 calls, 1 credential, 1 path."
        );
    }

    #[test]
    fn runs_and_days() {
        let mut nightly = fixtures::nightly().nightly.unwrap();
        assert_eq!(
            standing(&nightly),
            "12 at 2018-12-19T02:00:00Z: 2018-12-17 rev 3, 2018-12-18 rev 2 (+12,011 calls), \
             2018-12-19 rev 1 (+1 call)"
        );
        nightly.days = (1..=12)
            .map(|day| NightlyDay {
                day: format!("d{day}"),
                revision: day,
                calls: Some(9),
                added: 1,
            })
            .collect();
        let text = standing(&nightly);
        assert!(text.ends_with(", d10 rev 10 (+1 call) and 2 more"), "{text}");
        nightly.days.truncate(10);
        assert!(standing(&nightly).ends_with(", d10 rev 10 (+1 call)"));
        nightly.days.clear();
        assert_eq!(standing(&nightly), "12 at 2018-12-19T02:00:00Z: no calls added");
        let nightly = fixtures::day().nightly.unwrap();
        assert_eq!(standing(&nightly), "2018-12-18, rev 2, run 12");
    }

    #[test]
    fn what_a_change_of_the_register_touches() {
        let nightly = fixtures::nightly().nightly.unwrap();
        let mut change = nightly.register_change.unwrap();
        assert_eq!(
            register_change(&change, Some("abc")),
            "changed since abc: verdicts of 12 days may be others now (2018-12-01 … 2018-12-12)"
        );
        let told = "reelhouse messages read (1,204 calls), seekly location * (1 call)";
        assert_eq!(affected(&change).unwrap(), told);
        assert_eq!(
            affected_by_tables(&change).unwrap(),
            "what changed in routes may touch any call"
        );
        change.affected =
            (0..10).map(|i| Affected { calls: i, ..change.affected[0].clone() }).collect();
        let text = affected(&change).unwrap();
        assert!(text.ends_with("(7 calls) and 2 more"), "{text}");
        change.days.truncate(1);
        assert_eq!(
            register_change(&change, Some("abc")),
            "changed since abc: verdicts of 1 day may be others now (2018-12-01)"
        );
        change.from_propagation_s = Some(60);
        assert_eq!(
            register_change(&change, Some("abc")),
            "changed since abc, propagation_s changed from 60: verdicts of 1 day may be others now (2018-12-01)"
        );
        assert_eq!(
            register_change(&change, None),
            "propagation_s changed from 60: verdicts of 1 day may be others now (2018-12-01)"
        );
        let none = RegisterChange::default();
        assert_eq!(
            register_change(&none, Some("abc")),
            "changed since abc: no verdict given before may be another now"
        );
        assert_eq!((affected(&none), affected_by_tables(&none)), (None, None));
    }

    #[test]
    fn every_kind_has_its_sentence() {
        let expected = [
            (
                "anonymous",
                "calls without a credential to messages (delete, read): 3 served calls, 2 people, 1 denied",
            ),
            (
                "unknown-credential",
                "credential …k7Qa, which the register does not know: 3 served calls, 2 people, 1 denied",
            ),
            (
                "unlisted-api",
                "calls to messages (delete, read), which the register does not list: 3 served calls, 2 people, 1 denied",
            ),
            (
                "dormant-api",
                "reelhouse used messages (delete, read) for 1 y 13 d after the api was declared dormant at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "consent-overridden",
                "reelhouse used messages (delete, read) without the consent of the people concerned, which grant g overrides: 3 served calls, 2 people, 1 denied",
            ),
            (
                "without-consent",
                "reelhouse used messages (delete, read) under grant g without the consent of the people concerned: 3 served calls, 2 people, 1 denied, the last 1 y 13 d after a withdrawal at 2017-12-05T00:00:00Z",
            ),
            (
                "uncertified",
                "reelhouse used messages (delete, read) for 1 y 13 d after the certification of grant g lapsed at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "purpose-ended",
                "reelhouse used messages (delete, read) for 1 y 13 d after the purpose of grant g ended at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "propagating",
                "reelhouse used messages (delete, read) for 1 y 13 d after grant g was revoked at 2017-12-05T00:00:00Z, while caches may still serve: 3 served calls, 2 people, 1 denied",
            ),
            (
                "after-revocation",
                "reelhouse used messages (delete, read) for 1 y 13 d after grant g was revoked at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "after-expiry",
                "reelhouse used messages (delete, read) for 1 y 13 d after grant g expired at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "before-grant",
                "reelhouse used messages (delete, read) before grant g began: 3 served calls, 2 people, 1 denied",
            ),
            (
                "out-of-scope",
                "reelhouse used messages (delete, read) for operations that none of its live grants covers: 3 served calls, 2 people, 1 denied",
            ),
            (
                "never-granted",
                "reelhouse used messages (delete, read) without any grant that ever covered it: 3 served calls, 2 people, 1 denied",
            ),
            (
                "stale-credential",
                "reelhouse used credential …k7Qa (delete, read) for 1 y 13 d after it ceased to be valid at 2017-12-05T00:00:00Z: 3 served calls, 2 people, 1 denied",
            ),
            (
                "hindsight",
                "reelhouse used messages (delete, read), in order only by what was recorded after the calls (grant g): 3 served calls, 2 people, 1 denied",
            ),
            (
                "standing-access",
                "reelhouse still holds grant g on messages (delete, read), though what it was given for ended at 2017-12-05T00:00:00Z",
            ),
            (
                "unused-grant",
                "reelhouse holds grant g on messages (delete, read), and no call used it",
            ),
            (
                "unused-operation",
                "reelhouse holds grant g on messages also for delete, read, and never called that",
            ),
            ("unused-credential", "reelhouse holds credential …k7Qa, and no call presented it"),
            (
                "spike",
                "reelhouse called messages 1,900 times in the hour from 2018-12-18T10:00Z, where 104 were expected (score 17.1, by 56 days of history)",
            ),
            (
                "drop",
                "reelhouse made 1,900 calls to messages from 2018-12-18T09:00Z to 2018-12-18T12:00Z, where 104 were expected (score 17.1, by 56 days of history)",
            ),
            (
                "subject-sweep",
                "calls of reelhouse to messages were about some 1,900 people in the hour from 2018-12-18T10:00Z, where 104 were expected (score 17.1, by 56 days of history)",
            ),
            (
                "denied-burst",
                "1,900 calls of reelhouse to messages were denied in the hour from 2018-12-18T10:00Z, where 104 were expected: 62 % of its calls, usually 2 % (score 17.1, by 56 days of history)",
            ),
            (
                "new-api",
                "reelhouse called messages for the first time, with 56 days of logs since its first call to any api: 3 served calls, 2 people, 1 denied",
            ),
            (
                "new-operation",
                "reelhouse called delete, read of messages for the first time, with 56 days of logs since its first call to any api: 3 served calls, 2 people, 1 denied",
            ),
            (
                "woken-grant",
                "reelhouse was served on messages by grant g after 56 days of logs without, the last time on 2018-09-03: 3 served calls, 2 people, 1 denied",
            ),
            (
                "woken-api",
                "messages was served to somebody after 56 days of logs without, the last time on 2018-09-03: 3 served calls, 2 people, 1 denied",
            ),
            (
                "new-network",
                "reelhouse presented credential …k7Qa from 203.0.113.0/24 for the first time, after 56 days of logs since its first address: 3 served calls, 2 people, 1 denied",
            ),
            (
                "log-rewritten",
                "edge.log (source edge) no longer holds what was read of it, 9.7 KiB; what it holds now was read as a new log, and lines of it that were counted before count twice",
            ),
            (
                "log-lost",
                "edge.log (source edge) is gone, or another file has its name: 10,000 of 12,000 bytes seen were read, and nobody can tell what was written after; lines that it and a file of its name both hold count twice",
            ),
            (
                "register-refused",
                "the register has errors: the last good one was used in its place",
            ),
        ];
        let kinds: Vec<&str> = Kind::all().map(Kind::as_str).collect();
        assert_eq!(kinds, expected.map(|(kind, _)| kind));
        for (kind, sentence) in expected {
            let finding = Finding { grant: Some("g".to_owned()), ..fixtures::finding("os-", kind) };
            assert_eq!(summary(&finding), sentence);
        }
    }

    #[test]
    fn a_sentence_says_what_was_refused_and_what_is_not_known() {
        let refused = Finding {
            served: 0,
            denied: 1200,
            overstay_s: None,
            subjects: exactly(0),
            grant: Some("g".to_owned()),
            ..fixtures::finding("os-", "after-revocation")
        };
        let tried = "reelhouse tried messages (delete, read) after grant g was revoked at 2017-12-05T00:00:00Z: ";
        assert_eq!(summary(&refused), format!("{tried}1,200 calls, all refused"));
        let mixed = Finding { denied: 1, failed: 2, ..refused.clone() };
        assert_eq!(summary(&mixed), format!("{tried}3 calls, none served (1 denied, 2 failed)"));
        let one = Finding { denied: 1, ..refused.clone() };
        assert_eq!(summary(&one), format!("{tried}1 call, refused"));

        // Access had lapsed before the revocation: the two are told apart.
        let lapsed = Finding {
            lapsed_at: Some(fixtures::at("2017-01-01")),
            operations: Vec::new(),
            denied: 0,
            ..fixtures::finding("os-", "after-expiry")
        };
        assert_eq!(
            summary(&lapsed),
            "reelhouse used messages after grant g-reelhouse-messages expired at 2017-12-05T00:00:00Z, \
             up to 1 y 13 d after access was last in order: 3 served calls, 2 people"
        );
        let early = Finding {
            since: None,
            overstay_s: None,
            ..fixtures::finding("os-", "stale-credential")
        };
        assert!(summary(&early).contains("before it was valid"));
        let others = Finding {
            credentials: vec!["(other)".to_owned()],
            ..fixtures::finding("os-", "unknown-credential")
        };
        assert!(
            summary(&others).starts_with("other credentials that the register does not know: ")
        );
    }

    #[test]
    fn numbers_for_people() {
        for (n, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(thousands(n), text);
        }
        for (s, text) in [
            (0, "0 s"),
            (38, "38 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (5 * 3600 + 12 * 60 + 59, "5 h 12 min"),
            (3 * 86_400 + 4 * 3600, "3 d 4 h"),
            (3 * 86_400 + 59, "3 d"),
            ((365 + 12) * 86_400, "1 y 12 d"),
            ((2 * 365 + 112) * 86_400 + 86_399, "2 y 112 d"),
        ] {
            assert_eq!(duration(s), text);
        }
        for (n, text) in [
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (1_288_490_189, "1.2 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (us, text) in [(999, "999 us"), (38_400, "38 ms"), (1_290_000, "1.2 s")] {
            assert_eq!(latency(us), text);
        }
        assert_eq!((people(512), people(513)), ("512".to_owned(), "~513".to_owned()));
        assert_eq!(
            people_of(&Subjects { exact: false, count: 8201, low: 1, high: 1 }),
            "~8,201 people"
        );
        assert_eq!(to_the_second(Instant::from_ns(-1)), "1969-12-31T23:59:59Z");
    }
}
