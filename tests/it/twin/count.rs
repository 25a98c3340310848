//! From judged calls to a report: sections 6 and 7 of the contract, every sum taken anew over all calls.
//!
//! Leaves out texts and the digests of config and register; see [`report`].

use std::collections::{BTreeMap, BTreeSet};

use overstay::findings::{Kind, Severity};
use overstay::judge::Verdict;
use overstay::report;
use overstay::time::Instant;

use super::hygiene::{days_read, hygiene};
use super::judge::{
    Call, Judged, Outcome, active_and_granted, api_row, candidates, credential_hex,
    credential_rows, grant_axis_consent_aside, hash_in, judge, just_before, masked,
    operation_of_method, plus_s, propagation_of, shown, verdict_consent_aside,
};
use super::lines::shape;
use super::odd::{anomalies, novelties};
use super::repeats::{Fate, Read, read};
use super::rows::{GrantRow, Rows};
use super::sizes::{hex, latency, subjects};
use super::target::templated;
use super::told;
use super::{Case, Expect};

/// A call that counts, with where it came from and what the register says of it.
#[derive(Clone, Debug)]
pub struct Counted {
    pub source: String,
    pub path: String,
    pub offset: u64,
    pub content: Vec<u8>,
    pub call: Call,
    /// Absent without a register.
    pub judged: Option<Judged>,
}

impl Counted {
    fn at(&self) -> Instant {
        self.call.at
    }

    fn partner(&self) -> Option<&str> {
        self.judged.as_ref()?.partner.as_deref()
    }

    fn api(&self) -> Option<&str> {
        self.judged.as_ref()?.api.as_deref()
    }

    fn operation(&self) -> Option<&str> {
        self.judged.as_ref()?.operation.as_deref()
    }

    fn subject(&self) -> Option<&str> {
        match &self.judged {
            Some(judged) => judged.subject.as_deref(),
            None => self.call.user.as_deref(),
        }
    }

    fn served(&self) -> bool {
        self.call.outcome.as_served()
    }

    /// "`overstayed` counts served (or unknown) calls with a `lapsed_at` that are not `propagating`": since when.
    fn overstayed_since(&self) -> Option<Instant> {
        let judged = self.judged.as_ref()?;
        if !self.served() || judged.verdict == Verdict::Propagating {
            return None;
        }
        judged.lapsed_at
    }
}

/// Reads and judges all inputs: the calls that count, sorted as evidence is.
pub fn counted(case: &Case) -> Vec<Counted> {
    counted_of(case, &read(case))
}

fn counted_of(case: &Case, inputs: &[Read]) -> Vec<Counted> {
    let mut counted = Vec::new();
    for read in inputs {
        for (line, fate) in &read.lines {
            let Fate::Counted(call) = fate else { continue };
            let judged = case
                .register
                .as_ref()
                .map(|rows| judge(rows, case.as_known_at, case.propagation_s, call));
            counted.push(Counted {
                source: read.input.source.clone(),
                path: read.input.path.clone(),
                offset: line.offset,
                content: line.content.clone(),
                call: (**call).clone(),
                judged,
            });
        }
    }
    counted.sort_by_key(|c| (c.at(), c.source.clone(), c.path.clone(), c.offset));
    counted
}

/// The report on a case, but for its texts and two digests: `headline`, each finding's `summary`, `register.digest` and
/// `config.digest` stay empty. It is that of a run with `--max-rejects 100%`, without suppressions or state.
pub fn report(case: &Case) -> told::Report {
    let read = read(case);
    let all = counted_of(case, &read);
    let inputs: Vec<told::Input> = read.iter().map(input).collect();
    // Without a register nothing is known and nothing is listed.
    let known = case.register.as_ref().map(|rows| rows.known_at(case.as_known_at));
    let listed = known.clone().unwrap_or_default();
    // "All logs are read and accounting, rejects, inputs, coverage.sources, window are of everything. Everything else is
    // as if only the calls of P (by verdict's partner) had been counted"
    let of_partner =
        |c: &&Counted| case.partner.is_none() || c.partner() == case.partner.as_deref();
    let calls: Vec<Counted> = all.iter().filter(of_partner).cloned().collect();
    let window = report::Window {
        since: case.since,
        until: case.until,
        first: all.first().map(Counted::at),
        last: all.last().map(Counted::at),
    };
    told::Report {
        schema: "overstay.report/1",
        program: format!("overstay {}", env!("CARGO_PKG_VERSION")),
        status: report::Status::Complete,
        partial: Vec::new(),
        headline: String::new(),
        partner: case.partner.clone(),
        config: report::Config { digest: None, paths_from: report::PathsFrom::Config },
        // "`register` counts distinct keys valid as known"
        register: report::Register {
            digest: None,
            partners: listed.partners.len() as u64,
            credentials: listed.credentials.len() as u64,
            apis: listed.apis.len() as u64,
            grants: listed.grants.len() as u64,
            as_known_at: known.as_ref().and(case.as_known_at),
        },
        accounting: accounting(&inputs),
        inputs,
        rejects: rejects(&read),
        usage: usage(&listed, &calls),
        partners: partners(case, &listed, &calls),
        apis: apis(case, &listed, &calls),
        series: series(&calls),
        ends: ends(case, &listed, &window, &calls),
        findings: findings(case, &listed, &all, &calls),
        anomalies: anomalies(case, &listed, &all, &calls),
        exceptions: exceptions(case, &listed, &calls),
        suppressions: Vec::new(),
        flipped: Vec::new(),
        coverage: coverage(case, &listed, &all),
        nightly: None,
        window,
    }
}

/// Whether something of this partner's is told: all is, unless one partner is asked for.
fn asked_for(case: &Case, partner: &str) -> bool {
    case.partner.as_deref().is_none_or(|asked| asked == partner)
}

fn sum_of<T>(items: &[T], number: impl Fn(&T) -> u64) -> u64 {
    items.iter().map(number).sum()
}

fn count_of(calls: &[&Counted], outcome: Outcome) -> u64 {
    calls.iter().filter(|c| c.call.outcome == outcome).count() as u64
}

fn first_of(calls: &[&Counted]) -> Option<Instant> {
    calls.iter().map(|c| c.at()).min()
}

fn last_of(calls: &[&Counted]) -> Option<Instant> {
    calls.iter().map(|c| c.at()).max()
}

fn served_of<'a>(calls: &[&'a Counted]) -> Vec<&'a Counted> {
    calls.iter().copied().filter(|c| c.served()).collect()
}

fn bytes_of(calls: &[&Counted]) -> u64 {
    calls.iter().filter_map(|c| c.call.bytes).sum()
}

fn subjects_of(calls: &[&Counted]) -> report::Subjects {
    subjects(calls.iter().filter_map(|c| c.subject()))
}

fn latency_of(calls: &[&Counted]) -> report::Latency {
    latency(calls.iter().filter_map(|c| c.call.latency_us).collect())
}

/// Whole seconds from one instant to another that is not before it, rounded down.
fn whole_s(from: Instant, to: Instant) -> u64 {
    let ns = i128::from(to.ns()) - i128::from(from.ns());
    u64::try_from(ns / 1_000_000_000).unwrap()
}

fn input(read: &Read) -> told::Input {
    let count = |is: &dyn Fn(&Fate) -> bool| read.lines.iter().filter(|(_, fate)| is(fate)).count();
    // "inputs[].first/last … go by the one that counts"
    let at = read.lines.iter().filter_map(|(_, fate)| match fate {
        Fate::Counted(call) => Some(call.at),
        _ => None,
    });
    told::Input {
        path: read.input.path.clone(),
        source: read.input.source.clone(),
        format: Some(read.input.format.clone()),
        compression: read.input.compression,
        bytes: read.input.bytes().len() as u64,
        digest: None,
        lines: read.lines.len() as u64,
        blank: count(&|fate| *fate == Fate::Blank) as u64,
        calls: count(&|fate| matches!(fate, Fate::Counted(_))) as u64,
        rejected: count(&|fate| matches!(fate, Fate::Rejected(_))) as u64,
        outside_window: count(&|fate| *fate == Fate::OutsideWindow) as u64,
        duplicates: count(&|fate| *fate == Fate::Duplicate) as u64,
        repeats_unchecked: 0,
        pending_bytes: 0,
        gap_bytes: read.gap_bytes,
        first: at.clone().min(),
        last: at.max(),
        complete: true,
        repeats: read.repeats.clone(),
    }
}

fn accounting(inputs: &[told::Input]) -> report::Accounting {
    report::Accounting {
        lines: sum_of(inputs, |input| input.lines),
        blank: sum_of(inputs, |input| input.blank),
        calls: sum_of(inputs, |input| input.calls),
        rejected: sum_of(inputs, |input| input.rejected),
        outside_window: sum_of(inputs, |input| input.outside_window),
        duplicates: sum_of(inputs, |input| input.duplicates),
    }
}

fn rejects(inputs: &[Read]) -> report::Rejects {
    let mut all = Vec::new();
    for read in inputs {
        for (line, fate) in &read.lines {
            if let Fate::Rejected(reason) = *fate {
                all.push(report::Reject {
                    path: read.input.path.clone(),
                    line: line.number,
                    offset: line.offset,
                    reason,
                    shape: shape(&line.content),
                });
            }
        }
    }
    // "for each reason the first 20 by (path, line); all sorted by (path, line, offset, reason)"
    all.sort();
    let of = |reason| all.iter().filter(move |reject| reject.reason == reason);
    let count = |reason| of(reason).count() as u64;
    let by_reason = report::RejectCounts {
        too_long: count("too-long"),
        not_utf8: count("not-utf8"),
        malformed: count("malformed"),
        no_time: count("no-time"),
        no_target: count("no-target"),
        bad_value: count("bad-value"),
    };
    let reasons = ["too-long", "not-utf8", "malformed", "no-time", "no-target", "bad-value"];
    let mut sample: Vec<report::Reject> =
        reasons.iter().flat_map(|reason| of(reason).take(20)).cloned().collect();
    sample.sort();
    report::Rejects { by_reason, sample }
}

/// Null first, then bytes: the order of `Option<&str>`.
type UsageKey = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<&'static str>,
    Vec<&'static str>,
    Option<String>,
    &'static str,
    Option<(String, String)>,
);

fn usage(known: &Rows, calls: &[Counted]) -> Vec<report::Usage> {
    let all: Vec<&Counted> = calls.iter().collect();
    let mut rows: BTreeMap<UsageKey, Vec<&Counted>> = BTreeMap::new();
    for c in calls {
        let outcome = c.call.outcome.as_str();
        let key: UsageKey = match &c.judged {
            Some(judged) => (
                judged.partner.clone(),
                judged.api.clone(),
                judged.operation.clone(),
                Some(judged.verdict.as_str()),
                judged.also.clone(),
                judged.grant.clone(),
                outcome,
                None,
            ),
            // "Without a register: usage per credential and templated path"
            None => (
                None,
                c.call.api.clone().or(c.call.path.as_deref().map(templated)),
                Some(
                    c.call
                        .operation
                        .clone()
                        .unwrap_or_else(|| operation_of_method(c.call.method.as_deref())),
                ),
                None,
                Vec::new(),
                None,
                outcome,
                c.call
                    .credential
                    .as_deref()
                    .map(|text| (shown_among(known, &all, text), credential_hex(text))),
            ),
        };
        rows.entry(key).or_default().push(c);
    }
    let mut usage = Vec::new();
    for ((partner, api, operation, verdict, also, grant, outcome, credential), calls) in rows {
        usage.push(report::Usage {
            partner,
            api,
            operation,
            verdict: verdict.map(|name| Verdict::from_name(name).unwrap()),
            also,
            grant,
            outcome,
            calls: calls.len() as u64,
            bytes: bytes_of(&calls),
            subjects: subjects_of(&calls).count,
            first: first_of(&calls).unwrap(),
            last: last_of(&calls).unwrap(),
            credential: credential.map(|(shown, _)| shown),
        });
    }
    usage
}

/// "`partners` and `apis` list the whole register"; with `--partner`, "partners (only P's row), apis (only those P called)"
fn partners(case: &Case, known: &Rows, calls: &[Counted]) -> Vec<report::Partner> {
    let mut partners = Vec::new();
    for row in known.partners.iter().filter(|row| asked_for(case, &row.partner)) {
        let of: Vec<&Counted> =
            calls.iter().filter(|c| c.partner() == Some(&row.partner)).collect();
        let overstays: Vec<u64> =
            of.iter().filter_map(|c| Some(whole_s(c.overstayed_since()?, c.at()))).collect();
        let apis: BTreeSet<&str> = of.iter().filter_map(|c| c.api()).collect();
        partners.push(report::Partner {
            partner: row.partner.clone(),
            name: row.name.clone(),
            calls: of.len() as u64,
            served: count_of(&of, Outcome::Served),
            denied: count_of(&of, Outcome::Denied),
            failed: count_of(&of, Outcome::Failed),
            unknown: count_of(&of, Outcome::Unknown),
            bytes_served: bytes_of(&served_of(&of)),
            subjects: subjects_of(&of).count,
            apis: apis.len() as u64,
            overstayed_calls: overstays.len() as u64,
            overstay_s_max: overstays.iter().max().copied(),
            latency_us: latency_of(&of),
            first: first_of(&of),
            last: last_of(&of),
        });
    }
    partners.sort_by_key(|row| row.partner.clone());
    partners
}

fn apis(case: &Case, known: &Rows, calls: &[Counted]) -> Vec<report::Api> {
    let mut apis = Vec::new();
    for row in &known.apis {
        let of: Vec<&Counted> = calls.iter().filter(|c| c.api() == Some(&row.api)).collect();
        if case.partner.is_some() && of.is_empty() {
            continue;
        }
        let partners: BTreeSet<&str> = of.iter().filter_map(|c| c.partner()).collect();
        // "on an api with `consent = required` it is counted as `calls_without_subject`"
        let without_subject = of.iter().filter(|c| row.consent_required && c.subject().is_none());
        apis.push(report::Api {
            api: row.api.clone(),
            name: row.name.clone(),
            data_class: row.data_class.clone(),
            dormant_since: row.dormant_since,
            calls: of.len() as u64,
            served: count_of(&of, Outcome::Served),
            partners: partners.len() as u64,
            subjects: subjects_of(&of).count,
            calls_without_subject: without_subject.count() as u64,
            latency_us: latency_of(&of),
            first: first_of(&of),
            last: last_of(&of),
        });
    }
    apis.sort_by_key(|row| row.api.clone());
    apis
}

const HOUR_NS: i64 = 3_600_000_000_000;

/// The start of the stretch of that length, counted from the epoch, that contains an instant.
fn start_of(at: Instant, length_ns: i64) -> Instant {
    Instant::from_ns(at.ns().div_euclid(length_ns) * length_ns)
}

fn series(calls: &[Counted]) -> Vec<report::Hour> {
    let mut rows: BTreeMap<(Instant, Option<String>), Vec<&Counted>> = BTreeMap::new();
    for c in calls {
        let key = (start_of(c.at(), HOUR_NS), c.partner().map(str::to_owned));
        rows.entry(key).or_default().push(c);
    }
    let row = |((hour, partner), calls): ((Instant, Option<String>), Vec<&Counted>)| report::Hour {
        hour: Some(hour),
        partner,
        served: count_of(&calls, Outcome::Served),
        denied: count_of(&calls, Outcome::Denied),
        failed: count_of(&calls, Outcome::Failed),
        overstayed: calls.iter().filter(|c| c.overstayed_since().is_some()).count() as u64,
    };
    rows.into_iter().map(row).collect()
}

/// What all operations that no grant names are called in `ends`.
const ANY: &str = "*";

/// An operation of a (partner, api) whose access ended at some instant.
struct Ended<'a> {
    operation: String,
    reason: Verdict,
    /// The calls from the end until access was in order again.
    calls: Vec<&'a Counted>,
}

/// "One row for each (partner, api, grant that covered it until then, instant) at which some operations went from
/// active-and-granted to something else (`reason`), within the window, or before it if a call came after it in the
/// window."
fn ends(case: &Case, known: &Rows, window: &report::Window, calls: &[Counted]) -> Vec<report::End> {
    let pairs: BTreeSet<(&str, &str)> =
        known.grants.iter().map(|row| (row.partner.as_str(), row.api.as_str())).collect();
    let mut ends = Vec::new();
    for (partner, api) in pairs.into_iter().filter(|(partner, _)| asked_for(case, partner)) {
        // Calls to an open api are in order whatever the grants say: no access ends there.
        if api_row(known, api).is_none_or(|row| row.open) {
            continue;
        }
        let propagation_s = propagation_of(known, Some(api), case.propagation_s);
        for ended_at in candidates(known) {
            for (grant, ended) in ended_at_instant(case, known, calls, (partner, api), ended_at) {
                if listed(window, ended_at, &ended) {
                    ends.push(end_row((partner, api), grant, ended_at, &ended, propagation_s));
                }
            }
        }
    }
    ends.sort_by_key(|row| {
        (
            row.partner.clone(),
            row.api.clone(),
            row.grant.clone(),
            row.reason.as_str(),
            row.ended_at,
            row.operations.clone(),
        )
    });
    ends
}

/// The operations of a pair whose access ended at this very instant, by the grant that covered them until then.
fn ended_at_instant<'a>(
    case: &Case,
    known: &Rows,
    calls: &'a [Counted],
    (partner, api): (&str, &str),
    ended_at: Instant,
) -> BTreeMap<String, Vec<Ended<'a>>> {
    let grants: Vec<_> =
        known.grants.iter().filter(|row| row.partner == partner && row.api == api).collect();
    // With `*` among them where a `*` grant covers it: an operation of that name is one that no grant names.
    let operations: BTreeSet<&String> = grants.iter().flat_map(|row| &row.operations).collect();
    let named = |operation: &str| {
        operation != ANY && operations.iter().any(|named| named.as_str() == operation)
    };
    let mut by_grant: BTreeMap<String, Vec<Ended>> = BTreeMap::new();
    for operation in &operations {
        let what = (partner, api, operation.as_str());
        let Some(before) = just_before(ended_at) else { continue };
        if !active_and_granted(known, what, before) || active_and_granted(known, what, ended_at) {
            continue;
        }
        // "a call of that (partner, api, operations) came at >= t within the window before access was in order again"
        let regained = candidates(known)
            .into_iter()
            .find(|&at| at > ended_at && active_and_granted(known, what, at));
        let is_of = |c: &&Counted| {
            let of_operation = match operation.as_str() {
                ANY => c.operation().is_some_and(|operation| !named(operation)),
                operation => c.operation() == Some(operation),
            };
            c.partner() == Some(partner)
                && c.api() == Some(api)
                && of_operation
                && c.at() >= ended_at
                && regained.is_none_or(|regained| c.at() < regained)
        };
        let grant = grant_axis_consent_aside(known, what, before, 0).grant.unwrap();
        by_grant.entry(grant).or_default().push(Ended {
            operation: (*operation).clone(),
            reason: verdict_consent_aside(known, what, ended_at, case.propagation_s),
            calls: calls.iter().filter(is_of).collect(),
        });
    }
    by_grant
}

/// "Listed if window start <= t (start: --since, else first call) and t before window end (t < --until, t <= last
/// call), or t before the start and a call … came"
fn listed(window: &report::Window, ended_at: Instant, ended: &[Ended]) -> bool {
    let Some(start) = window.since.or(window.first) else { return false };
    if ended_at < start {
        return ended.iter().any(|ended| !ended.calls.is_empty());
    }
    match (window.until, window.last) {
        (Some(until), _) => ended_at < until,
        (None, Some(last)) => ended_at <= last,
        (None, None) => false,
    }
}

fn end_row(
    (partner, api): (&str, &str),
    grant: String,
    ended_at: Instant,
    ended: &[Ended],
    propagation_s: u64,
) -> report::End {
    let calls: Vec<&Counted> = ended.iter().flat_map(|ended| ended.calls.clone()).collect();
    let denied: Vec<&Counted> =
        calls.iter().copied().filter(|c| c.call.outcome == Outcome::Denied).collect();
    let last_served = last_of(&served_of(&calls));
    // "open: a served|unknown call at or after t + propagation_s; else cut if a denied call is in the stretch; else
    // untested."
    let status = if last_served.is_some_and(|last| last >= plus_s(ended_at, propagation_s)) {
        report::EndStatus::Open
    } else if !denied.is_empty() {
        report::EndStatus::Cut
    } else {
        report::EndStatus::Untested
    };
    let mut operations: Vec<String> = ended.iter().map(|ended| ended.operation.clone()).collect();
    operations.sort();
    report::End {
        partner: partner.to_owned(),
        api: api.to_owned(),
        grant,
        // "first in verdict order if the operations differ"
        reason: ended.iter().map(|ended| ended.reason).min().unwrap(),
        ended_at,
        operations,
        last_served,
        first_denied: first_of(&denied),
        lag_s: last_served.map(|last| whole_s(ended_at, last)),
        status,
    }
}

/// What makes calls one finding: kind, partner, api, grant, canonical credential.
pub type FindingKey =
    (&'static str, Option<String>, Option<String>, Option<String>, Option<String>);

/// A call under a finding, with the `since` it has there.
type Covered<'a> = (&'a Counted, Option<Instant>);

/// Section 7, its first table.
fn finding_key(kind: Kind, judged: &Judged, credential: Option<&str>) -> FindingKey {
    let name = kind.as_str();
    let partner = judged.partner.clone();
    let api = judged.api.clone();
    let grant = judged.grant.clone();
    let by_credential = || credential.map(credential_hex);
    let Kind::Verdict(verdict) = kind else { return (name, partner, api, grant, None) };
    match verdict {
        Verdict::AfterRevocation
        | Verdict::AfterExpiry
        | Verdict::PurposeEnded
        | Verdict::Uncertified
        | Verdict::WithoutConsent
        | Verdict::ConsentOverridden
        | Verdict::BeforeGrant
        | Verdict::Propagating => (name, partner, api, grant, None),
        Verdict::DormantApi | Verdict::NeverGranted | Verdict::OutOfScope => {
            (name, partner, api, None, None)
        }
        Verdict::StaleCredential | Verdict::UnknownCredential => {
            (name, None, None, None, by_credential())
        }
        Verdict::Anonymous | Verdict::UnlistedApi => (name, None, api, None, None),
        Verdict::Open | Verdict::Granted => unreachable!("calls in order are no finding"),
    }
}

fn findings(case: &Case, known: &Rows, all: &[Counted], calls: &[Counted]) -> Vec<told::Finding> {
    let mut by_key: BTreeMap<FindingKey, Vec<Covered>> = BTreeMap::new();
    for c in calls {
        let Some(judged) = &c.judged else { continue };
        for &(kind, since) in &judged.held {
            let key = finding_key(kind, judged, c.call.credential.as_deref());
            by_key.entry(key).or_default().push((c, since));
        }
    }
    // "the top 100 by (calls desc, digest asc) are findings, one each, all others together one with credential
    // `(other)`"
    let mut unknown: Vec<(FindingKey, usize)> = by_key
        .iter()
        .filter(|(key, _)| key.0 == Verdict::UnknownCredential.as_str())
        .map(|(key, covered)| (key.clone(), covered.len()))
        .collect();
    unknown.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), key.clone()));
    for (key, _) in unknown.into_iter().skip(100) {
        let covered = by_key.remove(&key).unwrap();
        let other = (key.0, None, None, None, Some("(other)".to_owned()));
        by_key.entry(other).or_default().extend(covered);
    }
    let mut findings: Vec<told::Finding> =
        by_key.iter().map(|(key, covered)| finding(known, key, covered)).collect();
    if case.register.is_some() {
        // What is not used is not used by anyone: it is looked for in all calls, and then only P's is told.
        let of_partner =
            |f: &told::Finding| f.partner.as_deref().is_some_and(|p| asked_for(case, p));
        findings.extend(hygiene(known, all, case.until).into_iter().filter(of_partner));
        findings.extend(novelties(case, known, all, calls));
    }
    findings.sort_by_key(|finding| finding.id.clone());
    findings
}

fn finding(known: &Rows, key: &FindingKey, covered: &[Covered]) -> told::Finding {
    let (name, partner, api, grant, credential) = key;
    let kind = Kind::from_name(name).unwrap();
    let calls: Vec<&Counted> = covered.iter().map(|(c, _)| *c).collect();
    let served = served_of(&calls);
    let judged = |c: &Counted| c.judged.clone().unwrap();

    // "A finding's `since` and `lapsed_at` are those of its last served call (none: its last call; at the same instant:
    // the earlier)."
    let eligible: Vec<&Covered> =
        covered.iter().filter(|(c, _)| c.served() || served.is_empty()).collect();
    let last = eligible.iter().map(|(c, _)| c.at()).max();
    let last_ones: Vec<&&Covered> = eligible.iter().filter(|(c, _)| Some(c.at()) == last).collect();
    let since = last_ones.iter().filter_map(|(_, since)| *since).min();
    let lapsed_at = last_ones.iter().filter_map(|(c, _)| judged(c).lapsed_at).min();
    // "whole seconds from `lapsed_at` to the last served call, rounded down; null if nothing was served or never
    // lapsed"
    let overstay_s = match (lapsed_at, last_of(&served)) {
        (Some(lapsed_at), Some(last_served)) => Some(whole_s(lapsed_at, last_served)),
        _ => None,
    };
    // A stale credential may have been several partners' in turn: the finding names that of its last calls.
    let partner = match kind {
        Kind::Verdict(Verdict::StaleCredential) => {
            last_ones.iter().filter_map(|(c, _)| judged(c).partner).min()
        }
        _ => partner.clone(),
    };
    let severity = match (kind.severity(), served.is_empty()) {
        (severity, false) => severity,
        // "With no served call the finding is `low` (`propagating` stays `info`)"
        (Severity::Info, true) => Severity::Info,
        (_, true) => Severity::Low,
    };
    let hindsight = calls.iter().filter(|c| judged(c).also.contains(&"hindsight")).count();
    told::Finding {
        id: id(key),
        kind: name,
        severity,
        status: None,
        first_seen: None,
        suppressed_by: None,
        partner,
        api: api.clone(),
        data_class: api
            .as_ref()
            .and_then(|api| api_row(known, api))
            .and_then(|row| row.data_class.clone()),
        grant: grant.clone(),
        operations: sorted(calls.iter().filter_map(|c| c.operation().map(str::to_owned))),
        credentials: match credential.as_deref() {
            Some("(other)") => vec!["(other)".to_owned()],
            _ => credentials(known, &calls),
        },
        since,
        lapsed_at,
        first: first_of(&calls),
        last: last_of(&calls),
        overstay_s,
        served: served.len() as u64,
        denied: count_of(&calls, Outcome::Denied),
        failed: count_of(&calls, Outcome::Failed),
        hindsight: hindsight as u64,
        bytes_served: bytes_of(&served),
        subjects: subjects_of(&served),
        log: None,
        anomaly: None,
        summary: String::new(),
        evidence: evidence(&served),
    }
}

/// A finding of what is new or woke: whose calls these are.
pub fn novel(known: &Rows, id: String, severity: Severity, calls: &[&Counted]) -> told::Finding {
    let served = served_of(calls);
    let key = ("new-api", None, None, None, None);
    told::Finding {
        id,
        severity,
        first: first_of(calls),
        last: last_of(calls),
        served: served.len() as u64,
        denied: count_of(calls, Outcome::Denied),
        failed: count_of(calls, Outcome::Failed),
        bytes_served: bytes_of(&served),
        subjects: subjects_of(&served),
        evidence: Vec::new(),
        credentials: Vec::new(),
        operations: Vec::new(),
        since: None,
        lapsed_at: None,
        overstay_s: None,
        hindsight: 0,
        ..finding(known, &key, &[])
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.collect::<BTreeSet<String>>().into_iter().collect()
}

/// Masked, distinct, sorted.
fn credentials(known: &Rows, calls: &[&Counted]) -> Vec<String> {
    let presented = calls.iter().filter_map(|c| c.call.credential.as_deref());
    sorted(presented.map(|text| shown_among(known, calls, text)))
}

/// How a credential is shown: "An unknown credential is shown from what the call presents." If some calls present it in
/// plain and others as its hash, the plain one is shown.
fn shown_among(known: &Rows, calls: &[&Counted], text: &str) -> String {
    let hex = credential_hex(text);
    if !credential_rows(known, text).is_empty() {
        return shown(known, text);
    }
    let presented = calls.iter().filter_map(|c| c.call.credential.as_deref());
    let mut same = presented.filter(|other| credential_hex(other) == hex);
    masked(same.find(|other| hash_in(other).is_none()).unwrap_or(text))
}

/// "Evidence is the three earliest and three latest served lines of a finding by (at, source, input, offset)."
fn evidence(served: &[&Counted]) -> Vec<report::Evidence> {
    let mut served = served.to_vec();
    served.sort_by_key(|c| (c.at(), c.source.clone(), c.path.clone(), c.offset));
    let count = served.len();
    let mut evidence = Vec::new();
    for (i, c) in served.into_iter().enumerate() {
        if i < 3 || i + 3 >= count {
            evidence.push(report::Evidence {
                path: c.path.clone(),
                offset: c.offset,
                length: c.content.len() as u64,
                blake3: hex(blake3::hash(&c.content).as_bytes()),
                at: c.at(),
                input: None,
            });
        }
    }
    evidence
}

/// "`os-` + first 60 bits of BLAKE3 over the concatenation, for each part of [kind, partner or "", api or "", grant or
/// "", credential canonical hex or "" or "(other)"], of (length as u64 little-endian, bytes), as 12 characters of RFC
/// 4648 base32, lower case (most significant bits first)."
pub fn id((kind, partner, api, grant, credential): &FindingKey) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    for part in [(*kind).to_owned(), part(partner), part(api), part(grant), part(credential)] {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    let hash = blake3::hash(&bytes);
    let bits: String = hash.as_bytes().iter().map(|byte| format!("{byte:08b}")).collect();
    let mut id = "os-".to_owned();
    for i in 0..12 {
        let five = &bits[i * 5..i * 5 + 5];
        let digit = usize::from_str_radix(five, 2).unwrap();
        id.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[digit]));
    }
    id
}

/// "Every exception granted (`overrides_consent`) is listed every time, also with zero calls"
fn exceptions(case: &Case, known: &Rows, calls: &[Counted]) -> Vec<report::Exception> {
    let mut exceptions = Vec::new();
    let of_partner = |row: &&GrantRow| asked_for(case, &row.partner);
    for row in known.grants.iter().filter(|row| row.overrides_consent).filter(of_partner) {
        // "all calls whose verdict or also is consent-overridden and whose grant it is"
        let excused = |judged: &Judged| {
            let name = Verdict::ConsentOverridden;
            (judged.verdict == name || judged.also.contains(&name.as_str()))
                && judged.grant.as_ref() == Some(&row.grant)
        };
        let of: Vec<&Counted> =
            calls.iter().filter(|c| c.judged.as_ref().is_some_and(excused)).collect();
        exceptions.push(report::Exception {
            grant: row.grant.clone(),
            partner: row.partner.clone(),
            api: row.api.clone(),
            justification: row.justification.clone(),
            calls: of.len() as u64,
            subjects: subjects_of(&of).count,
        });
    }
    exceptions.sort_by_key(|row| row.grant.clone());
    exceptions
}

fn coverage(case: &Case, known: &Rows, calls: &[Counted]) -> told::Coverage {
    let names: BTreeSet<&String> = case.inputs.iter().map(|input| &input.source).collect();
    let called = |partner: &str| calls.iter().any(|c| c.partner() == Some(partner));
    let named = |grant: &String| {
        calls.iter().any(|c| c.judged.as_ref().is_some_and(|j| j.grant.as_ref() == Some(grant)))
    };
    told::Coverage {
        sources: names.into_iter().map(|source| source_coverage(case, calls, source)).collect(),
        partners_without_calls: known
            .partners
            .iter()
            .filter(|row| asked_for(case, &row.partner) && !called(&row.partner))
            .count() as u64,
        grants_without_calls: known
            .grants
            .iter()
            .filter(|row| asked_for(case, &row.partner) && !named(&row.grant))
            .count() as u64,
        days_read: days_read(calls).len() as u64,
    }
}

fn source_coverage(case: &Case, calls: &[Counted], source: &str) -> report::SourceCoverage {
    let of: Vec<&Counted> = calls.iter().filter(|c| c.source == source).collect();
    let expect = case.expect.get(source).copied();
    let length_ns = match expect {
        Some(Expect::Daily) => 24 * HOUR_NS,
        Some(Expect::Hourly) | None => HOUR_NS,
    };
    let seen: BTreeSet<Instant> = of.iter().map(|c| start_of(c.at(), length_ns)).collect();
    // "for hourly/daily the hours/days from window.since (or first call) to window end"
    let from = case.since.or(calls.first().map(Counted::at));
    let to = case.until.and_then(just_before).or(calls.last().map(Counted::at));
    let mut expected: Vec<Instant> = Vec::new();
    if let (Some(_), Some(from), Some(to)) = (expect, from, to) {
        let mut at = start_of(from, length_ns);
        while at <= to {
            expected.push(at);
            at = Instant::from_ns(at.ns() + length_ns);
        }
    }
    let mut gaps: Vec<report::Gap> = Vec::new();
    for &from in expected.iter().filter(|at| !seen.contains(at)) {
        let until = Instant::from_ns(from.ns() + length_ns);
        match gaps.last_mut() {
            Some(gap) if gap.until == from => gap.until = until,
            _ => gaps.push(report::Gap { from, until }),
        }
    }
    report::SourceCoverage {
        source: source.to_owned(),
        expect: expect.map(Expect::as_str),
        // A day counts as its hours.
        hours_expected: expected.len() as u64 * (length_ns / HOUR_NS) as u64,
        hours_seen: seen.len() as u64 * (length_ns / HOUR_NS) as u64,
        gaps,
        calls: of.len() as u64,
        anonymous: of.iter().filter(|c| c.call.credential.is_none()).count() as u64,
    }
}
