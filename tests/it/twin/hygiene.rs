//! Access that nobody uses, or that stands though its reason is gone: the findings that need no call.
//!
//! Looks at the rows of the register and at what calls were judged; knows nothing of files or lines.

use std::collections::{BTreeMap, BTreeSet};

use overstay::findings::Severity;
use overstay::report::Subjects;
use overstay::time::Instant;

use super::count::{Counted, FindingKey, id};
use super::judge::{api_row, credential_hex, credential_rows, end, live, purpose_ended_at, shown};
use super::rows::{CredentialRow, GrantRow, Rows};
use super::told::Finding;

const DAY_NS: i64 = 86_400_000_000_000;

/// "With fewer days, one line says so."
const DAYS_MIN: usize = 30;

/// "the distinct UTC days in which a counted call (any source) came", each as days since 1970.
pub fn days_read(calls: &[Counted]) -> BTreeSet<i64> {
    calls.iter().map(|c| c.call.at.ns().div_euclid(DAY_NS)).collect()
}

/// All of them, judged at the window's end: "`--until`, else the last counted call; none where nothing was counted and no
/// --until".
pub fn hygiene(known: &Rows, calls: &[Counted], until: Option<Instant>) -> Vec<Finding> {
    let last = calls.iter().map(|c| c.call.at).max();
    let Some(window_end) = until.or(last) else { return Vec::new() };
    let days = days_read(calls);
    let mut findings = standing_access(known, window_end);
    // "only if |D| >= 30 and at least one counted call presented a credential the register knows"
    let presented = |c: &Counted| {
        c.call.credential.as_ref().is_some_and(|text| !credential_rows(known, text).is_empty())
    };
    if days.len() >= DAYS_MIN && calls.iter().any(presented) {
        findings.extend(unused_grants(known, calls, window_end, &days));
        findings.extend(unused_operations(known, calls, window_end, &days));
        findings.extend(unused_credentials(known, calls, window_end, &days));
    }
    findings
}

/// "Grants on apis whose access is `open` are left out of all of these.", and those that are not "live at W".
fn live_grants(known: &Rows, window_end: Instant) -> Vec<&GrantRow> {
    let on_open = |grant: &GrantRow| api_row(known, &grant.api).is_some_and(|row| row.open);
    known.grants.iter().filter(|grant| live(grant, window_end) && !on_open(grant)).collect()
}

/// "one for each grant that is live at W … although its purpose's ended_at <= W, or the api's dormant_since <= W, or its
/// certified_until <= W. Whether it was called or not."
fn standing_access(known: &Rows, window_end: Instant) -> Vec<Finding> {
    let mut findings = Vec::new();
    for grant in live_grants(known, window_end) {
        let reasons = [
            purpose_ended_at(known, grant),
            api_row(known, &grant.api).and_then(|row| row.dormant_since),
            grant.certified_until,
        ];
        let hold = reasons.into_iter().flatten().filter(|&reason| reason <= window_end);
        // "since: the earliest of those reasons that hold, but not before granted_at"
        if let Some(earliest) = hold.min() {
            let since = grant.granted_at.map_or(earliest, |granted_at| earliest.max(granted_at));
            findings.push(Finding {
                severity: Severity::High,
                since: Some(since),
                operations: sorted(&grant.operations),
                ..of_grant(known, "standing-access", grant)
            });
        }
    }
    findings
}

/// "a grant live at W, of whose life [granted_at, end) at least 30 days of D see something (the day [d, d+1) overlaps it),
/// that no counted call names (`grant` of the usage rows)"
fn unused_grants(
    known: &Rows,
    calls: &[Counted],
    window_end: Instant,
    days: &BTreeSet<i64>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for grant in live_grants(known, window_end) {
        if lives_long_enough(grant, days) && !is_named(calls, grant) {
            findings.push(Finding {
                operations: sorted(&grant.operations),
                ..of_grant(known, "unused-grant", grant)
            });
        }
    }
    findings
}

/// "one for each grant live at W, living on at least 30 days of D, that some call names, and that lists operations by name
/// (not `*`) of which the partner called some on that api, and others never (no counted call of (partner, api,
/// operation), whatever its verdict)."
fn unused_operations(
    known: &Rows,
    calls: &[Counted],
    window_end: Instant,
    days: &BTreeSet<i64>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for grant in live_grants(known, window_end) {
        let called = |operation: &String| {
            calls.iter().filter_map(|c| c.judged.as_ref()).any(|judged| {
                judged.partner.as_ref() == Some(&grant.partner)
                    && judged.api.as_ref() == Some(&grant.api)
                    && judged.operation.as_ref() == Some(operation)
            })
        };
        let listed: Vec<String> =
            sorted(&grant.operations).into_iter().filter(|operation| operation != "*").collect();
        let (used, unused): (Vec<String>, Vec<String>) = listed.into_iter().partition(called);
        if lives_long_enough(grant, days)
            && is_named(calls, grant)
            && !used.is_empty()
            && !unused.is_empty()
        {
            findings
                .push(Finding { operations: unused, ..of_grant(known, "unused-operation", grant) });
        }
    }
    findings
}

/// "a credential with a row valid at W (valid_from <= W < valid_until), rows of which (any) are valid on at least 30 days
/// of D, that no counted call presented. partner: of the row valid at W."
fn unused_credentials(
    known: &Rows,
    calls: &[Counted],
    window_end: Instant,
    days: &BTreeSet<i64>,
) -> Vec<Finding> {
    let presented: BTreeSet<String> =
        calls.iter().filter_map(|c| c.call.credential.as_deref()).map(credential_hex).collect();
    let mut rows_of: BTreeMap<String, Vec<&CredentialRow>> = BTreeMap::new();
    for row in &known.credentials {
        rows_of.entry(credential_hex(&row.credential)).or_default().push(row);
    }
    let mut findings = Vec::new();
    for (hex, rows) in rows_of {
        let contains = |row: &&&CredentialRow| {
            row.valid_from.is_none_or(|from| from <= window_end)
                && row.valid_until.is_none_or(|until| window_end < until)
        };
        let Some(row) = rows.iter().find(contains) else { continue };
        let valid_on =
            |day: i64| rows.iter().any(|row| sees_something(day, row.valid_from, row.valid_until));
        let long_enough = days.iter().filter(|&&day| valid_on(day)).count() >= DAYS_MIN;
        if long_enough && !presented.contains(&hex) {
            let key = ("unused-credential", None, None, None, Some(hex));
            findings.push(Finding {
                partner: Some(row.partner.clone()),
                credentials: vec![shown(known, &row.credential)],
                ..without_calls(&key)
            });
        }
    }
    findings
}

/// Whether the day overlaps `[from, until)`.
fn sees_something(day: i64, from: Option<Instant>, until: Option<Instant>) -> bool {
    let of_day = (i128::from(day) * i128::from(DAY_NS), i128::from(day + 1) * i128::from(DAY_NS));
    let from = from.map_or(i128::MIN, |from| from.ns().into());
    let until = until.map_or(i128::MAX, |until| until.ns().into());
    of_day.0.max(from) < of_day.1.min(until)
}

fn lives_long_enough(grant: &GrantRow, days: &BTreeSet<i64>) -> bool {
    let seen = days.iter().filter(|&&day| sees_something(day, grant.granted_at, end(grant)));
    seen.count() >= DAYS_MIN
}

fn is_named(calls: &[Counted], grant: &GrantRow) -> bool {
    let named = calls.iter().filter_map(|c| c.judged.as_ref()?.grant.as_ref());
    named.into_iter().any(|named| named == &grant.grant)
}

fn sorted(operations: &[String]) -> Vec<String> {
    operations.iter().cloned().collect::<BTreeSet<String>>().into_iter().collect()
}

/// "id parts: kind, partner, api, grant. partner, api, grant, data_class filled"
fn of_grant(known: &Rows, kind: &'static str, grant: &GrantRow) -> Finding {
    let some = |text: &String| Some(text.clone());
    let key = (kind, some(&grant.partner), some(&grant.api), some(&grant.grant), None);
    let data_class = api_row(known, &grant.api).and_then(|row| row.data_class.clone());
    Finding { data_class, ..without_calls(&key) }
}

/// "All of them: first, last, lapsed_at, overstay_s null; served, denied, failed, hindsight, bytes_served 0; subjects 0
/// exact; evidence []." "Severity low."
fn without_calls(key: &FindingKey) -> Finding {
    let (kind, partner, api, grant, _) = key.clone();
    Finding {
        id: id(key),
        kind,
        severity: Severity::Low,
        status: None,
        first_seen: None,
        suppressed_by: None,
        partner,
        api,
        data_class: None,
        grant,
        operations: Vec::new(),
        credentials: Vec::new(),
        since: None,
        lapsed_at: None,
        first: None,
        last: None,
        overstay_s: None,
        served: 0,
        denied: 0,
        failed: 0,
        hindsight: 0,
        bytes_served: 0,
        subjects: Subjects { count: 0, exact: true, low: 0, high: 0 },
        log: None,
        anomaly: None,
        summary: String::new(),
        evidence: Vec::new(),
    }
}
