//! The life of findings from run to run: new, ongoing, resolved, reopened.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Kind, Log, Severity, Suppression, Told};
use crate::limits;
use crate::report::{Finding, FindingLog, Report, Standing, Status, Subjects, text};
use crate::state::{Ledger, Life, LifeCounts, LifeLog, Stage};
use crate::time::Instant;

/// What a run saw, as far as it tells whether a finding is over.
pub(super) struct Seen<'r> {
    /// Its number.
    pub(super) run: u64,
    /// When it was.
    pub(super) run_at: Instant,
    /// For how long a finding stands that no later call can tell to be over.
    pub(super) keep_s: u64,
    /// The sources of which calls are missing: nobody knows what these were.
    pub(super) silent: BTreeSet<&'r str>,
    /// The sources of which it counted calls, with the last of them.
    pub(super) sources: BTreeMap<&'r str, Instant>,
    /// The sources of which any run did.
    pub(super) all_sources: BTreeSet<&'r str>,
    /// The source of each input, by path.
    pub(super) source_of: &'r dyn Fn(&str) -> Option<String>,
    /// Configured suppressions.
    pub(super) suppressions: &'r [Suppression],
}

/// Takes the findings of a run over into the ledger, and says in the report where each is in its life. Those that are over are
/// added to it.
///
/// One is over when a run that read all it was to read, and calls of the sources that the finding came from, of which none are
/// missing, found no served call of it. That a log is lost is over when the days that it may be of are.
pub(super) fn live(ledger: &mut Ledger, report: &mut Report, seen: &Seen<'_>) {
    let is_whole = report.status == Status::Complete;
    let covers = |life: &Life| {
        match Kind::from_name(&life.kind) {
            // Whether the register is refused does not depend on logs.
            Some(Kind::RegisterRefused) => return true,
            // What is gone is as gone as before, whatever is read later.
            Some(Kind::LogLost | Kind::LogRewritten) => {
                let first_seen = Instant::from_ns(life.first_seen_ns);
                return seen.run_at.seconds_since(first_seen) >= seen.keep_s;
            }
            _ => {}
        }
        // What came late, of days before the finding's last call, does not tell that it is over.
        let is_later = |source: &str| {
            let last = life.last_ns.map(Instant::from_ns);
            // A call from the future has a wrong date, and tells of no time that has passed.
            let passed = seen.run_at.saturating_add_s(limits::CLOCK_AHEAD_MAX_S);
            let heard = seen.sources.get(source);
            let heard = heard.filter(|heard| **heard <= passed && !seen.silent.contains(source));
            heard.is_some_and(|heard| last.is_none_or(|last| last < *heard))
        };
        // Nothing is known of where refused attempts came from: then all sources must have been heard.
        is_whole
            && match life.sources.is_empty() {
                true => seen.all_sources.iter().all(|source| is_later(source)),
                false => life.sources.iter().all(|source| is_later(source)),
            }
    };
    for finding in &mut report.findings {
        let needs_no_call = !finding.kind.is_of_calls();
        let before = ledger.findings.get(&finding.id);
        let occurs = needs_no_call || finding.served > 0;
        let stage = match before.map(|life| (life.stage, life)) {
            None => Stage::New,
            Some((Stage::Resolved, _)) if occurs => Stage::Reopened,
            Some((Stage::Resolved, _)) => Stage::Resolved,
            Some((_, life)) if !occurs && life.was_served && covers(life) => Stage::Resolved,
            Some(_) => Stage::Ongoing,
        };
        let first_seen_ns = before.map_or(seen.run_at.ns(), |life| life.first_seen_ns);
        let mut sources = before.map(|life| life.sources.clone()).unwrap_or_default();
        let of_evidence = finding.evidence.iter();
        sources.extend(of_evidence.filter_map(|evidence| (seen.source_of)(&evidence.path)));
        let was_served = finding.served > 0 || before.is_some_and(|life| life.was_served);
        finding.status = Some(stage.as_str());
        finding.first_seen = Some(Instant::from_ns(first_seen_ns));
        let life = Life {
            kind: finding.kind.as_str().to_owned(),
            severity: finding.severity.as_str().to_owned(),
            stage,
            first_seen_ns,
            last_run: seen.run,
            was_served,
            sources,
            partner: finding.partner.clone(),
            api: finding.api.clone(),
            grant: finding.grant.clone(),
            log: finding.log.as_ref().map(|log| LifeLog {
                source: log.source.clone(),
                path: log.path.clone(),
                read_bytes: log.read_bytes,
                seen_bytes: log.seen_bytes,
            }),
            since_ns: finding.since.map(Instant::ns),
            lapsed_at_ns: finding.lapsed_at.map(Instant::ns),
            // Calls that come late are not the last, nor are those with a date that is still to come.
            last_ns: finding
                .last
                .map(|last| last.min(seen.run_at).ns())
                .max(before.and_then(|life| life.last_ns)),
            counted: counts(finding),
            alerted: before.and_then(|life| life.alerted.clone()),
        };
        ledger.findings.insert(finding.id.clone(), life);
    }
    let found: BTreeSet<String> =
        report.findings.iter().map(|finding| finding.id.clone()).collect();
    let mut over = Vec::new();
    for (id, life) in &mut ledger.findings {
        let is_open = life.stage != Stage::Resolved;
        if is_open && !found.contains(id) && covers(life) {
            life.stage = Stage::Resolved;
            over.extend(as_last_found(id, life));
        }
    }
    report.findings.extend(over);
    report.findings.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(nightly) = &mut report.nightly {
        nightly.standing = Some(standing(ledger, seen.suppressions, &found));
    }
}

/// The findings that are not over, and not among those that a run found.
fn standing(ledger: &Ledger, suppressions: &[Suppression], found: &BTreeSet<String>) -> Standing {
    let mut standing = Standing::default();
    for (_, life, is_hidden) in still_open(ledger, suppressions, found) {
        match is_hidden {
            true => standing.suppressed += 1,
            false => {
                standing.add(Severity::from_name(&life.severity).unwrap_or(Severity::Critical));
            }
        }
    }
    standing
}

/// The findings of a ledger that are not over, and not among these, by id; and whether a suppression hides each.
pub(super) fn still_open<'l>(
    ledger: &'l Ledger,
    suppressions: &[Suppression],
    found: &BTreeSet<String>,
) -> Vec<(&'l String, &'l Life, bool)> {
    let last_call = ledger.last_call_ns.map(Instant::from_ns);
    let in_force = suppressions.iter().filter(|suppression| !suppression.expired(last_call));
    let ids = || ledger.findings.keys().map(String::as_str);
    let in_force: Vec<Suppression> = in_force.map(|suppression| suppression.among(ids())).collect();
    let open = ledger.findings.iter();
    let open = open.filter(|(id, life)| life.stage != Stage::Resolved && !found.contains(*id));
    let open = open.map(|(id, life)| {
        // Those of another version, whose names nobody knows, stand all the same.
        let is_hidden = Kind::from_name(&life.kind).is_some_and(|kind| {
            let (partner, api) = (life.partner.as_deref(), life.api.as_deref());
            in_force.iter().any(|suppression| suppression.is_about(id, kind, partner, api))
        });
        (id, life, is_hidden)
    });
    open.collect()
}

/// Says in a report where each of its findings is in its life, as the ledger has it.
pub(super) fn tell(ledger: &Ledger, report: &mut Report) {
    for finding in &mut report.findings {
        let Some(life) = ledger.findings.get(&finding.id) else { continue };
        finding.status = Some(life.stage.as_str());
        finding.first_seen = Some(Instant::from_ns(life.first_seen_ns));
    }
}

/// What runs have told of logs and of the register, and is not over: no calls of days show it. `since` is the beginning of the
/// days that are looked at: logs that were lost before it held no calls of theirs. Those that are found to be lost after their
/// end may have.
pub(super) fn told(ledger: &Ledger, since: Option<Instant>) -> Vec<Told> {
    let open = ledger.findings.iter().filter(|(_, life)| life.stage != Stage::Resolved);
    let told = open.filter_map(|(id, life)| {
        let kind = Kind::from_name(&life.kind)?;
        let first_seen = Instant::from_ns(life.first_seen_ns);
        let is_told = match kind {
            Kind::RegisterRefused => true,
            Kind::LogLost | Kind::LogRewritten => since.is_none_or(|since| since <= first_seen),
            _ => false,
        };
        let log = life.log.as_ref().map(|log| Log {
            source: log.source.clone(),
            path: log.path.clone(),
            read_bytes: log.read_bytes,
            seen_bytes: log.seen_bytes,
            ..Log::default()
        });
        is_told.then(|| Told::Before { id: id.clone(), kind, log })
    });
    told.collect()
}

fn counts(finding: &Finding) -> LifeCounts {
    let Subjects { count, exact, low, high } = finding.subjects;
    LifeCounts {
        served: finding.served,
        denied: finding.denied,
        failed: finding.failed,
        people: count,
        people_exact: exact,
        people_low: low,
        people_high: high,
        operations: finding.operations.clone(),
        credentials: finding.credentials.clone(),
        overstay_s: finding.overstay_s,
    }
}

/// A finding that stands, as it is told to who has not heard of it lately: with what the run that last found it counted. No
/// report has these counts, for no call of its run is among them.
pub(super) fn standing_as_counted(id: &str, life: &Life) -> Option<Finding> {
    let finding = as_last_found(id, life)?;
    // What is said of a log is whole.
    if life.log.is_some() {
        return Some(finding);
    }
    let counted = &life.counted;
    let finding = Finding {
        served: counted.served,
        denied: counted.denied,
        failed: counted.failed,
        subjects: Subjects {
            count: counted.people,
            exact: counted.people_exact,
            low: counted.people_low,
            high: counted.people_high,
        },
        operations: counted.operations.clone(),
        overstay_s: counted.overstay_s,
        ..finding
    };
    let summary = format!(
        "{}; found by run {}, and nothing of it is new since",
        text::summary(&finding),
        life.last_run
    );
    Some(Finding { summary, ..finding })
}

/// A finding as it was when it was last found, with what can be said of it now: that it is over, or that it is not. None of a kind
/// that this version does not know.
pub(super) fn as_last_found(id: &str, life: &Life) -> Option<Finding> {
    let instant = |ns: Option<i64>| ns.map(Instant::from_ns);
    let mut finding = Finding {
        id: id.to_owned(),
        kind: Kind::from_name(&life.kind)?,
        severity: Severity::from_name(&life.severity)?,
        status: Some(life.stage.as_str()),
        first_seen: Some(Instant::from_ns(life.first_seen_ns)),
        suppressed_by: None,
        partner: life.partner.clone(),
        api: life.api.clone(),
        data_class: None,
        grant: life.grant.clone(),
        operations: Vec::new(),
        credentials: life.counted.credentials.clone(),
        since: instant(life.since_ns),
        lapsed_at: instant(life.lapsed_at_ns),
        first: None,
        last: instant(life.last_ns),
        overstay_s: None,
        served: 0,
        denied: 0,
        failed: 0,
        hindsight: 0,
        bytes_served: 0,
        subjects: Subjects { count: 0, exact: true, low: 0, high: 0 },
        log: life.log.as_ref().map(|log| FindingLog {
            source: log.source.clone(),
            path: log.path.clone(),
            read_bytes: log.read_bytes,
            seen_bytes: log.seen_bytes,
        }),
        anomaly: None,
        summary: String::new(),
        evidence: Vec::new(),
    };
    let is_over = life.stage == Stage::Resolved;
    if let Some(log) = &life.log {
        let how = match is_over {
            true => "no longer told, for keep_days have passed",
            false => "still told",
        };
        finding.summary = format!(
            "{how}: {} of {} (source {}), first seen at {}",
            life.kind,
            log.path,
            log.source,
            Instant::from_ns(life.first_seen_ns)
        );
        return Some(finding);
    }
    let last =
        finding.last.map_or_else(String::new, |last| format!(", whose last call was at {last}"));
    let what = [("partner", &finding.partner), ("api", &finding.api), ("grant", &finding.grant)];
    let what =
        what.into_iter().filter_map(|(word, name)| Some(format!("{word} {}", name.as_deref()?)));
    let credential = match &finding.credentials[..] {
        [credential] => Some(format!("credential {credential}")),
        _ => None,
    };
    let what: Vec<String> = what.chain(credential).collect();
    let of = if what.is_empty() { String::new() } else { format!(" of {}", what.join(", ")) };
    let how = if is_over { "no longer found" } else { "not over, and nothing of it is new" };
    finding.summary = format!("{how}: {}{of}{last}", life.kind);
    Some(finding)
}
