//! The life of findings from run to run: new, ongoing, resolved, reopened.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Kind, Severity, Suppression};
use crate::limits;
use crate::report::text::thousands;
use crate::report::{Finding, FindingLog, Report, Standing, Status, Subjects};
use crate::state::{Ledger, Life, Stage};
use crate::tally::By;
use crate::time::{Instant, S_PER_DAY};

/// What a run saw, as far as it tells whether a finding is over.
pub(super) struct Seen<'r> {
    /// Its number.
    pub(super) run: u64,
    /// When it was.
    pub(super) run_at: Instant,
    /// The sources of which it counted calls, with the last of them.
    pub(super) sources: BTreeMap<&'r str, Instant>,
    /// The sources of which any run did.
    pub(super) all_sources: BTreeSet<&'r str>,
    /// The source of each input, by path.
    pub(super) source_of: &'r dyn Fn(&str) -> Option<String>,
    /// For how many days one is remembered that is over.
    pub(super) keep_days: u32,
    /// The first day that is kept.
    pub(super) horizon: i64,
    /// Configured suppressions.
    pub(super) suppressions: &'r [Suppression],
}

/// Takes the findings of a run over into the ledger, and says in the report where each is in its life. Those that are over are
/// added to it. What there is to warn of, if more came than are remembered.
///
/// One is over when a run that read all it was to read, and calls of the sources that the finding came from, found no served
/// call of it.
pub(super) fn live(ledger: &mut Ledger, report: &mut Report, seen: &Seen<'_>) -> Option<String> {
    forget(ledger, seen);
    let now_s = ledger.elapsed_s;
    let is_whole = report.status == Status::Complete;
    let covers = |life: &Life| {
        // Whether the register is refused does not depend on logs.
        if life.kind == Kind::RegisterRefused.as_str() {
            return true;
        }
        // What came late, of days before the finding's last call, does not tell that it is over.
        let is_later = |source: &str| {
            let last = life.last_ns.map(Instant::from_ns);
            seen.sources.get(source).is_some_and(|heard| last.is_none_or(|last| last < *heard))
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
            told_at_s: now_s,
            was_served,
            sources,
            partner: finding.partner.clone(),
            api: finding.api.clone(),
            grant: finding.grant.clone(),
            log: finding.log.as_ref().map(|log| (log.source.clone(), log.path.clone())),
            since_ns: finding.since.map(Instant::ns),
            lapsed_at_ns: finding.lapsed_at.map(Instant::ns),
            // Calls that come late are not the last.
            last_ns: finding.last.map(Instant::ns).max(before.and_then(|life| life.last_ns)),
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
            life.told_at_s = now_s;
            over.extend(resolved(id, life));
        }
    }
    report.findings.extend(over);
    report.findings.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(nightly) = &mut report.nightly {
        nightly.standing = Some(standing(ledger, seen.suppressions, &found));
    }
    bound(&mut ledger.findings, seen.run, limits::FINDINGS_REMEMBERED_MAX)
}

/// The findings that are not over, and not among those that a run found.
fn standing(ledger: &Ledger, suppressions: &[Suppression], found: &BTreeSet<String>) -> Standing {
    let last_call = ledger.last_call_ns.map(Instant::from_ns);
    let in_force = suppressions.iter().filter(|suppression| !suppression.expired(last_call));
    let ids = || ledger.findings.keys().map(String::as_str);
    let in_force: Vec<Suppression> = in_force.map(|suppression| suppression.among(ids())).collect();
    let mut standing = Standing::default();
    let open = ledger.findings.iter();
    let open =
        open.filter(|(id, life)| life.stage != Stage::Resolved && !found.contains(id.as_str()));
    for (id, life) in open {
        // Those of another version, whose names nobody knows, stand all the same.
        let is_hidden = Kind::from_name(&life.kind).is_some_and(|kind| {
            let (partner, api) = (life.partner.as_deref(), life.api.as_deref());
            in_force.iter().any(|suppression| suppression.is_about(id, kind, partner, api))
        });
        match is_hidden {
            true => standing.suppressed += 1,
            false => {
                standing.add(Severity::from_name(&life.severity).unwrap_or(Severity::Critical));
            }
        }
    }
    standing
}

/// Forgets findings that have been over for as long as days are kept, by the time that runs saw pass, and of which no day is
/// kept any more. One that is not over never is: nothing says that it will not go on.
fn forget(ledger: &mut Ledger, seen: &Seen<'_>) {
    let (now_s, keep_s) = (ledger.elapsed_s, u64::from(seen.keep_days) * S_PER_DAY as u64);
    let is_kept = |ns: i64| By::Day.of(Instant::from_ns(ns)) >= seen.horizon;
    ledger.findings.retain(|_, life| {
        life.stage != Stage::Resolved
            || now_s.saturating_sub(life.told_at_s) < keep_s
            || life.last_ns.is_some_and(is_kept)
    });
}

/// Leaves so many findings after a run: those go first that have been over the longest, then those that it was the first to
/// find, which will be new again. What there is to warn of.
fn bound(findings: &mut BTreeMap<String, Life>, run: u64, most: usize) -> Option<String> {
    let surplus = findings.len().checked_sub(most).filter(|surplus| *surplus > 0)?;
    let over = findings.iter().filter(|(_, life)| life.stage == Stage::Resolved);
    let mut over: Vec<(u64, String)> =
        over.map(|(id, life)| (life.told_at_s, id.clone())).collect();
    over.sort();
    over.truncate(surplus);
    let is_new = |life: &Life| life.stage == Stage::New && life.last_run == run;
    let new = findings.iter().rev().filter(|(_, life)| is_new(life)).map(|(id, _)| id.clone());
    let new: Vec<String> = new.take(surplus - over.len()).collect();
    for id in over.iter().map(|(_, id)| id).chain(&new) {
        findings.remove(id);
    }
    Some(format!(
        "there are more findings than the {} that the state remembers: {} that are over are forgotten, and {} of the new ones not remembered; whatever comes again will be new",
        thousands(most as u64),
        thousands(over.len() as u64),
        thousands(new.len() as u64),
    ))
}

/// Says in a report where each of its findings is in its life, as the ledger has it.
pub(super) fn tell(ledger: &Ledger, report: &mut Report) {
    for finding in &mut report.findings {
        let Some(life) = ledger.findings.get(&finding.id) else { continue };
        finding.status = Some(life.stage.as_str());
        finding.first_seen = Some(Instant::from_ns(life.first_seen_ns));
    }
}

/// A finding that is over, as it was when it was last found. None of a kind that this version does not know.
fn resolved(id: &str, life: &Life) -> Option<Finding> {
    let instant = |ns: Option<i64>| ns.map(Instant::from_ns);
    let mut finding = Finding {
        id: id.to_owned(),
        kind: Kind::from_name(&life.kind)?,
        severity: Severity::from_name(&life.severity)?,
        status: Some(Stage::Resolved.as_str()),
        first_seen: Some(Instant::from_ns(life.first_seen_ns)),
        suppressed_by: None,
        partner: life.partner.clone(),
        api: life.api.clone(),
        data_class: None,
        grant: life.grant.clone(),
        operations: Vec::new(),
        credentials: Vec::new(),
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
        log: life.log.as_ref().map(|(source, path)| FindingLog {
            source: source.clone(),
            path: path.clone(),
            read_bytes: 0,
            seen_bytes: 0,
        }),
        anomaly: None,
        summary: String::new(),
        evidence: Vec::new(),
    };
    let last =
        finding.last.map_or_else(String::new, |last| format!(", whose last call was at {last}"));
    let what = [("partner", &finding.partner), ("api", &finding.api), ("grant", &finding.grant)];
    let what: Vec<String> = what
        .into_iter()
        .filter_map(|(word, name)| Some(format!("{word} {}", name.as_deref()?)))
        .collect();
    let of = if what.is_empty() { String::new() } else { format!(" of {}", what.join(", ")) };
    finding.summary = format!("no longer found: {}{of}{last}", life.kind);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_are_over_are_forgotten_first_and_none_that_goes_on() {
        let life = |stage, told_at_s: u64| Life {
            kind: "after-revocation".to_owned(),
            severity: "critical".to_owned(),
            stage,
            first_seen_ns: 0,
            last_run: told_at_s / 10,
            told_at_s,
            was_served: true,
            sources: BTreeSet::new(),
            partner: None,
            api: None,
            grant: None,
            log: None,
            since_ns: None,
            lapsed_at_ns: None,
            last_ns: None,
        };
        let lives = [
            ("os-a", Stage::Resolved, 30),
            ("os-b", Stage::Ongoing, 10),
            ("os-c", Stage::New, 40),
            ("os-d", Stage::Resolved, 20),
            ("os-e", Stage::New, 40),
            ("os-f", Stage::Reopened, 40),
            // It was new in a run before, and no run has found it since.
            ("os-g", Stage::New, 10),
        ];
        let left = |most| {
            let lives = lives.map(|(id, stage, at)| (id.to_owned(), life(stage, at)));
            let mut findings = BTreeMap::from(lives);
            let told = bound(&mut findings, 4, most);
            (findings.into_keys().map(|id| id.replace("os-", "")).collect::<String>(), told)
        };
        assert_eq!(left(7), ("abcdefg".to_owned(), None));
        assert_eq!(left(6).0, "abcefg");
        assert_eq!(left(5).0, "bcefg");
        let (kept, told) = left(4);
        assert_eq!(kept, "bcfg");
        assert_eq!(
            told.unwrap(),
            "there are more findings than the 4 that the state remembers: 2 that are over are forgotten, and 1 of the new ones not remembered; whatever comes again will be new"
        );
        // What goes on is remembered whatever the bound.
        assert_eq!(left(0).0, "bfg");
    }
}
