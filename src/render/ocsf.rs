//! The findings of a report as events of the Open Cybersecurity Schema Framework, for a SIEM: a JSON object a line.
//! `docs/alerts.md` says what stands where, and why.
//!
//! As in the JSON report no line of a log and no id of a person is in it.

use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value, json};

use super::json::json_line;
use crate::findings::{Kind, Severity};
use crate::report::{Finding, Report};
use crate::time::Instant;

/// The version of the schema.
const VERSION: &str = "1.8.0";
/// The category of both classes, and its name.
const CATEGORY: (u64, &str) = (2, "Findings");
/// "The status is not mapped": what `status` says then is ours.
const OTHER: u64 = 99;
/// A resource's unique id, an observable.
const RESOURCE_UID: u64 = 10;
/// See `RESOURCE_UID`.
const SUBNET: u64 = 12;
/// Likewise a credential's.
const CREDENTIAL_UID: u64 = 19;
/// Likewise a user's.
const USER_UID: u64 = 31;

/// Writes the findings, one JSON object a line, in the order of the report. Harmless to look at like the JSON report.
///
/// Equal events have the same `metadata.uid`, others have others: who gets one twice can drop it.
///
/// # Errors
///
/// Those of `out`.
pub fn ocsf(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    for finding in &report.findings {
        let mut event = event(report, finding);
        let mut text = Vec::new();
        json_line(&event, &mut text)?;
        event["metadata"]["uid"] = blake3::hash(&text).to_hex()[..32].into();
        json_line(&event, &mut out)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// What a finding is to the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Something happened: calls that ought not to have been served, logs that changed.
    Detection,
    /// Something may happen: access that is held, whether or not it is used.
    IamAnalysis,
}

impl Class {
    fn of(kind: Kind) -> Class {
        match kind {
            Kind::StandingAccess
            | Kind::UnusedGrant
            | Kind::UnusedOperation
            | Kind::UnusedCredential => Class::IamAnalysis,
            _ => Class::Detection,
        }
    }

    const fn uid(self) -> (u64, &'static str) {
        match self {
            Class::Detection => (2004, "Detection Finding"),
            Class::IamAnalysis => (2008, "IAM Analysis Finding"),
        }
    }
}

/// What became of a finding. Without state each report is the first.
fn activity(finding: &Finding) -> (u64, &'static str) {
    match finding.status {
        None | Some("new") => (1, "Create"),
        Some("resolved") => (3, "Close"),
        Some(_) => (2, "Update"),
    }
}

/// Where it stands. That someone looks into it is not ours to say: one that goes on is of no status that the schema has.
fn status(finding: &Finding) -> (u64, &'static str) {
    match (&finding.suppressed_by, finding.status) {
        (Some(_), _) => (3, "Suppressed"),
        (None, None | Some("new" | "reopened")) => (1, "New"),
        (None, Some("resolved")) => (4, "Resolved"),
        (None, Some(other)) => (OTHER, other),
    }
}

const fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// The event of a finding, but for its own id.
fn event(report: &Report, finding: &Finding) -> Value {
    let nightly = report.nightly.as_ref();
    let class = Class::of(finding.kind);
    let (class_uid, class_name) = class.uid();
    let (activity_id, activity_name) = activity(finding);
    let (status_id, status_name) = status(finding);
    let (severity_id, severity_name) = severity(finding.severity);
    // When it was said; without a run, as of when it holds. Nothing is found in no time at all.
    let run_at = nightly.and_then(|nightly| nightly.run_at);
    let of_window = report.window.last.or(report.window.until);
    let time = run_at.or(finding.last).or(of_window).map_or(0, ms);
    let (product, version) = report.program.split_once(' ').unwrap_or((&report.program, ""));
    let is_of_calls = finding.kind.is_of_calls();
    let resources = resources(class, finding);
    let mut event = json!({
        "activity_id": activity_id,
        "activity_name": activity_name,
        "category_uid": CATEGORY.0,
        "category_name": CATEGORY.1,
        "class_uid": class_uid,
        "class_name": class_name,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": format!("{class_name}: {activity_name}"),
        "severity_id": severity_id,
        "severity": severity_name,
        "status_id": status_id,
        "status": status_name,
        "status_detail": finding.suppressed_by.as_ref().map(|owner| format!("suppressed by {owner}")),
        "time": time,
        "start_time": finding.first.map(ms),
        "end_time": finding.first.and(finding.last).map(ms),
        "count": is_of_calls.then_some(finding.served + finding.denied + finding.failed),
        "message": finding.summary,
        "metadata": {
            "version": VERSION,
            "event_code": finding.kind,
            "product": {"name": product, "vendor_name": product, "version": version},
        },
        "finding_info": finding_info(finding, time),
        "observables": observables(class, finding, &resources),
        "resources": resources,
        "unmapped": unmapped(report, finding),
    });
    let of_class = match class {
        Class::Detection => {
            let is_grave = finding.severity > Severity::Low;
            let is_alert = is_grave && finding.is_open() && status_id != OTHER;
            json!({"is_alert": is_alert, "evidences": evidences(finding)})
        }
        Class::IamAnalysis => access(finding),
    };
    if let (Value::Object(event), Value::Object(of_class)) = (&mut event, of_class) {
        event.extend(of_class);
    }
    without_absent(event)
}

fn finding_info(finding: &Finding, time: i64) -> Value {
    let (kind, about) = (finding.kind.as_str(), [&finding.partner, &finding.api, &finding.grant]);
    let about: Vec<&str> = about.into_iter().filter_map(Option::as_deref).collect();
    let title =
        if about.is_empty() { kind.to_owned() } else { format!("{kind}: {}", about.join(", ")) };
    // A report holds the first of the calls that it is of, and when a run first told of it: it was there by the earliest of these.
    let seen = [finding.first, finding.first_seen, finding.last];
    let last_seen = finding.last.map(ms).or((!finding.is_resolved()).then_some(time));
    json!({
        "uid": finding.id,
        "title": title,
        "desc": finding.summary,
        "types": [kind],
        "analytic": {"uid": kind, "name": kind, "type_id": 1, "type": "Rule"},
        "created_time": finding.first_seen.map(ms),
        "first_seen_time": seen.into_iter().flatten().min().map(ms),
        "last_seen_time": last_seen,
    })
}

/// Who and what it is about. Who holds access is no resource to the class that analyses access.
fn resources(class: Class, finding: &Finding) -> Vec<Value> {
    let resource = |kind: &str, uid: &str, (role_id, role): (u64, &str)| json!({"uid": uid, "type": kind, "role_id": role_id, "role": role});
    let is_detection = class == Class::Detection;
    let mut all = Vec::new();
    all.extend(
        finding
            .partner
            .iter()
            .filter(|_| is_detection)
            .map(|partner| resource("partner", partner, (2, "Actor"))),
    );
    all.extend(finding.api.iter().map(|api| {
        let mut api = resource("api", api, (1, "Target"));
        if let Some(data_class) = &finding.data_class {
            api["tags"] = json!([{"name": "data_class", "value": data_class}]);
        }
        api
    }));
    all.extend(finding.grant.iter().map(|grant| resource("grant", grant, (4, "Related"))));
    let credentials = finding.credentials.iter();
    all.extend(credentials.map(|credential| resource(CREDENTIAL, credential, (4, "Related"))));
    all.extend(finding.log.iter().map(|log| {
        let mut resource = resource("log", &log.path, (3, "Affected"));
        resource["name"] = log.source.as_str().into();
        resource
    }));
    all
}

/// The type of a credential among the resources.
const CREDENTIAL: &str = "credential";

/// What to search other events for.
fn observables(class: Class, finding: &Finding, resources: &[Value]) -> Vec<Value> {
    let observable = |name: &str, (type_id, type_name): (u64, &str), value: &Value| json!({"name": name, "type_id": type_id, "type": type_name, "value": value});
    let mut all: Vec<Value> = resources
        .iter()
        .enumerate()
        .map(|(i, resource)| {
            let kind = match resource["type"] == CREDENTIAL {
                true => (CREDENTIAL_UID, "User Credential ID"),
                false => (RESOURCE_UID, "Resource UID"),
            };
            observable(&format!("resources[{i}].uid"), kind, &resource["uid"])
        })
        .collect();
    let network = finding.anomaly.as_ref().and_then(|anomaly| anomaly.network.as_ref());
    all.extend(network.map(|network| {
        observable("unmapped.anomaly.network", (SUBNET, "Subnet"), &json!(network))
    }));
    if let (Class::IamAnalysis, Some(partner)) = (class, &finding.partner) {
        all.push(observable("user.uid", (USER_UID, "User Object: uid"), &json!(partner)));
    }
    all
}

/// Where lines lie that prove it, and what they hash to; and the log it is about.
fn evidences(finding: &Finding) -> Vec<Value> {
    let file = |path: &str, size: Option<u64>| {
        let name = path.rsplit('/').next().unwrap_or(path);
        json!({"path": path, "name": name, "type_id": 1, "type": "Regular File", "size": size})
    };
    let lines = finding.evidence.iter().map(|evidence| {
        json!({
            "name": "line",
            "file": file(&evidence.path, None),
            "data": {
                "offset": evidence.offset,
                "length": evidence.length,
                "blake3": evidence.blake3,
                "at": evidence.at,
                "input": evidence.input,
            },
        })
    });
    let log = finding.log.iter().map(|log| {
        json!({
            "name": "log",
            "file": file(&log.path, Some(log.seen_bytes)),
            "data": {"source": log.source, "read_bytes": log.read_bytes, "seen_bytes": log.seen_bytes},
        })
    });
    lines.chain(log).collect()
}

/// What is said of access that is held: whose it is, and of which grant or credential.
fn access(finding: &Finding) -> Value {
    let partner = finding.partner.as_ref();
    let user = partner.map(|partner| json!({"uid": partner, "type_id": OTHER, "type": "Partner"}));
    if finding.kind == Kind::UnusedCredential {
        let credentials = finding.credentials.iter().map(|credential| json!({"uid": credential}));
        let credentials: Vec<Value> = credentials.collect();
        return json!({
            "user": user,
            "identity_activity_metrics": {"programmatic_credentials": credentials},
        });
    }
    let is_unused = finding.kind != Kind::StandingAccess;
    // `*` is no operation, and how many it stands for nobody knows.
    let countable = is_unused && !finding.operations.iter().any(|operation| operation == "*");
    let unused = (countable && !finding.operations.is_empty()).then_some(finding.operations.len());
    // Of a grant that is partly used only the unused operations are known here.
    let is_whole = finding.kind != Kind::UnusedOperation;
    json!({
        "user": user,
        "permission_analysis_results": [{
            "policy": finding.grant.as_ref().map(|grant| json!({"uid": grant, "type": "grant"})),
            "granted_privileges": is_whole.then_some(&finding.operations),
            "unused_privileges_count": unused,
        }],
    })
}

/// What the schema has no place for, by its names in the JSON report.
fn unmapped(report: &Report, finding: &Finding) -> Value {
    let nightly = report.nightly.as_ref();
    let mut unmapped = json!({
        "status": finding.status,
        "suppressed_by": finding.suppressed_by,
        "operations": finding.operations,
        "since": finding.since,
        "lapsed_at": finding.lapsed_at,
        "overstay_s": finding.overstay_s,
        "anomaly": finding.anomaly,
        "report_status": report.status,
        "run": nightly.map(|nightly| nightly.run),
        "day": nightly.and_then(|nightly| nightly.day.as_deref()),
        "revision": nightly.and_then(|nightly| nightly.revision),
    });
    if finding.kind.is_of_calls()
        && let Value::Object(unmapped) = &mut unmapped
    {
        let counts = [
            ("served", finding.served),
            ("denied", finding.denied),
            ("failed", finding.failed),
            ("hindsight", finding.hindsight),
            ("bytes_served", finding.bytes_served),
        ];
        unmapped.extend(counts.map(|(name, count)| (name.to_owned(), count.into())));
        unmapped.insert("subjects".to_owned(), json!(finding.subjects));
    }
    unmapped
}

/// An instant as the schema has it: milliseconds since 1970.
const fn ms(at: Instant) -> i64 {
    at.ns().div_euclid(1_000_000)
}

/// The value without what is null, and without lists of nothing: absent is absent.
fn without_absent(value: Value) -> Value {
    let is_there = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(map) => {
            let there = map.into_iter().filter(|(_, value)| is_there(value));
            Value::Object(
                there.map(|(key, value)| (key, without_absent(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_absent).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::render::escape::is_hostile;
    use crate::report::fixtures;

    const DOCS: &str = include_str!("../../docs/alerts.md");

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        ocsf(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn events(report: &Report) -> Vec<Value> {
        text(report).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The event of the finding of that kind.
    fn of(report: &Report, kind: &str) -> Value {
        let mut of_kind = events(report);
        of_kind.retain(|event| event["metadata"]["event_code"] == kind);
        assert_eq!(of_kind.len(), 1, "{kind}");
        of_kind.remove(0)
    }

    #[test]
    fn misuse_is_a_detection_finding() {
        let mut event = of(&fixtures::small(), "after-revocation");
        let uid = event["metadata"].as_object_mut().unwrap().remove("uid").unwrap();
        assert_eq!(uid.as_str().unwrap().len(), 32);
        let summary = event["message"].clone();
        assert_eq!(summary, fixtures::small().findings[0].summary);
        let expected = json!({
            "activity_id": 1, "activity_name": "Create",
            "category_uid": 2, "category_name": "Findings",
            "class_uid": 2004, "class_name": "Detection Finding",
            "type_uid": 200_401, "type_name": "Detection Finding: Create",
            "severity_id": 5, "severity": "Critical",
            "status_id": 1, "status": "New",
            "is_alert": true,
            // 2018-12-18T09:00:00Z and 10:30:00.25Z
            "time": 1_545_129_000_250_i64,
            "start_time": 1_545_123_600_000_i64,
            "end_time": 1_545_129_000_250_i64,
            "count": 4,
            "message": summary,
            "metadata": {
                "version": "1.8.0",
                "event_code": "after-revocation",
                "product": {"name": "overstay", "vendor_name": "overstay", "version": "0.1.0"},
            },
            "finding_info": {
                "uid": "os-7f3k2mq4t6xa",
                "title": "after-revocation: reelhouse, messages, g-reelhouse-messages",
                "desc": summary,
                "types": ["after-revocation"],
                "analytic": {
                    "uid": "after-revocation", "name": "after-revocation", "type_id": 1, "type": "Rule",
                },
                "first_seen_time": 1_545_123_600_000_i64,
                "last_seen_time": 1_545_129_000_250_i64,
            },
            "resources": [
                {"uid": "reelhouse", "type": "partner", "role_id": 2, "role": "Actor"},
                {
                    "uid": "messages", "type": "api", "role_id": 1, "role": "Target",
                    "tags": [{"name": "data_class", "value": "private messages"}],
                },
                {"uid": "g-reelhouse-messages", "type": "grant", "role_id": 4, "role": "Related"},
                {"uid": "…k7Qa", "type": "credential", "role_id": 4, "role": "Related"},
            ],
            "observables": [
                {"name": "resources[0].uid", "type_id": 10, "type": "Resource UID", "value": "reelhouse"},
                {"name": "resources[1].uid", "type_id": 10, "type": "Resource UID", "value": "messages"},
                {
                    "name": "resources[2].uid", "type_id": 10, "type": "Resource UID",
                    "value": "g-reelhouse-messages",
                },
                {"name": "resources[3].uid", "type_id": 19, "type": "User Credential ID", "value": "…k7Qa"},
            ],
            "evidences": [{
                "name": "line",
                "file": {
                    "path": "gateway.jsonl", "name": "gateway.jsonl", "type_id": 1, "type": "Regular File",
                },
                "data": {
                    "offset": 0, "length": 119, "blake3": "b".repeat(64), "at": "2018-12-18T09:00:00Z",
                },
            }],
            "unmapped": {
                "operations": ["delete", "read"],
                "since": "2017-12-05T00:00:00Z",
                "lapsed_at": "2017-12-05T00:00:00Z",
                "overstay_s": 32_697_000,
                "served": 3, "denied": 1, "failed": 0, "hindsight": 0, "bytes_served": 1536,
                "subjects": {"count": 2, "exact": true, "low": 2, "high": 2},
                "report_status": "complete",
            },
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn access_that_is_held_is_an_iam_analysis_finding() {
        let report = fixtures::full();
        for kind in Kind::all() {
            let held = ["standing-access", "unused-grant", "unused-operation", "unused-credential"];
            let is_held = held.contains(&kind.as_str());
            let event = of(&report, kind.as_str());
            assert_eq!(event["class_uid"], if is_held { 2008 } else { 2004 }, "{kind}");
            assert_eq!(event["user"].is_object(), is_held, "{kind}");
            assert_eq!(event["is_alert"].is_boolean(), !is_held, "{kind}");
            assert_eq!(event["unmapped"]["served"].is_u64(), kind.is_of_calls(), "{kind}");
        }
        for (kind, id, text) in [
            ("after-revocation", 5, "Critical"),
            ("standing-access", 4, "High"),
            ("anonymous", 3, "Medium"),
            ("unused-grant", 2, "Low"),
            ("propagating", 1, "Informational"),
        ] {
            let event = of(&report, kind);
            assert_eq!((&event["severity_id"], &event["severity"]), (&json!(id), &json!(text)));
        }
        assert_eq!(of(&report, "anonymous")["is_alert"], true);
        assert_eq!(of(&report, "never-granted")["is_alert"], false, "all of it was refused");
        let analysis = &of(&report, "unused-grant")["permission_analysis_results"][0];
        let grant = json!({"uid": "g-reelhouse-messages", "type": "grant"});
        assert_eq!(analysis["policy"], grant);
        assert_eq!(analysis["granted_privileges"], json!(["delete", "read"]));
        assert_eq!(analysis["unused_privileges_count"], 2);
        let analysis = &of(&report, "unused-operation")["permission_analysis_results"][0];
        assert_eq!(*analysis, json!({"policy": grant, "unused_privileges_count": 2}));
        let analysis = &of(&report, "standing-access")["permission_analysis_results"][0];
        assert_eq!(*analysis, json!({"policy": grant, "granted_privileges": ["delete", "read"]}));
        let event = of(&report, "unused-credential");
        let metrics = &event["identity_activity_metrics"];
        assert_eq!(*metrics, json!({"programmatic_credentials": [{"uid": "…k7Qa"}]}));
        assert_eq!(event["user"], json!({"uid": "reelhouse", "type_id": 99, "type": "Partner"}));
        assert_eq!(event["time"], 1_545_129_000_250_i64, "of the window's end");
    }

    #[test]
    fn an_unused_grant_for_all_operations_has_no_count() {
        let mut report = fixtures::full();
        for finding in &mut report.findings {
            finding.operations = vec!["*".to_owned()];
        }
        let analysis = &of(&report, "unused-grant")["permission_analysis_results"][0];
        assert_eq!(analysis["granted_privileges"], json!(["*"]));
        assert!(analysis["unused_privileges_count"].is_null());
    }

    #[test]
    fn lives_are_told_by_activity_and_status() {
        let mut report = fixtures::nightly();
        let told = |report: &Report, kind: &str| {
            let event = of(report, kind);
            assert_eq!(event["time"], 1_545_184_800_000_i64, "that of the run");
            assert_eq!(event["unmapped"]["run"], 12);
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            (text("activity_name"), text("status"), event["is_alert"] == true)
        };
        let expect = |report: &Report, kind: &str, activity: &str, status: &str, is_alert: bool| {
            assert_eq!(told(report, kind), (activity.to_owned(), status.to_owned(), is_alert));
        };
        expect(&report, "log-lost", "Create", "New", true);
        expect(&report, "dormant-api", "Close", "Resolved", false);
        expect(&report, "register-refused", "Update", "New", true);
        expect(&report, "after-revocation", "Update", "ongoing", false);
        for finding in &mut report.findings {
            finding.suppressed_by = Some("api-governance".to_owned());
        }
        expect(&report, "log-lost", "Create", "Suppressed", false);
        expect(&report, "after-revocation", "Update", "Suppressed", false);
        let event = of(&report, "log-lost");
        assert_eq!(event["status_detail"], "suppressed by api-governance");
        assert_eq!(event["unmapped"]["suppressed_by"], "api-governance");
        assert_eq!(event["status_id"], 3);
    }

    #[test]
    fn a_finding_is_seen_before_it_is_seen_last() {
        let mut report = fixtures::nightly();
        // First told of by this run, its calls lie before it.
        report.findings[3].first_seen = report.nightly.as_ref().unwrap().run_at;
        let mut resolved = fixtures::finding("os-33333333333c", "dormant-api");
        (resolved.status, resolved.first, resolved.first_seen) =
            (Some("resolved"), None, report.findings[3].first_seen);
        report.findings[1] = resolved;
        for event in events(&report) {
            let info = &event["finding_info"];
            let number = |key: &str| info[key].as_i64().unwrap_or_else(|| panic!("{key}: {info}"));
            assert!(number("first_seen_time") <= number("last_seen_time"), "{info}");
            assert!(number("created_time") <= 1_545_184_800_000, "{info}");
        }
        let ongoing = of(&fixtures::nightly(), "after-revocation");
        // 2018-12-01T02:00:00Z
        assert_eq!(ongoing["finding_info"]["first_seen_time"], 1_543_629_600_000_i64);
    }

    #[test]
    fn a_log_is_evidence_of_its_loss() {
        let event = of(&fixtures::nightly(), "log-lost");
        let expected = json!([{
            "name": "log",
            "file": {
                "path": "edge.log", "name": "edge.log", "type_id": 1, "type": "Regular File", "size": 12_000,
            },
            "data": {"source": "edge", "read_bytes": 10_000, "seen_bytes": 12_000},
        }]);
        assert_eq!(event["evidences"], expected);
        assert_eq!(event["resources"][0]["uid"], "edge.log");
        let refused = of(&fixtures::nightly(), "register-refused");
        assert!(refused["resources"].is_null() && refused["evidences"].is_null());
        assert_eq!(refused["finding_info"]["title"], "register-refused");
    }

    #[test]
    fn equal_events_have_the_same_id_and_others_have_others() {
        let mut ids = BTreeSet::new();
        let mut count = 0;
        let mut later = fixtures::nightly();
        later.nightly.as_mut().unwrap().run = 13;
        for report in [fixtures::full(), fixtures::nightly(), later, fixtures::day()] {
            assert_eq!(text(&report), text(&report));
            let events = events(&report);
            count += events.len();
            ids.extend(events.iter().map(|event| event["metadata"]["uid"].to_string()));
        }
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn hostile_text_is_harmless_to_look_at_and_unchanged_to_a_parser() {
        let poison = "\u{1b}[2J\u{7f}\"\\\n\u{202e}\u{2028}é/x";
        for report in [fixtures::full(), fixtures::nightly()] {
            let report = fixtures::poisoned(report, poison);
            let text = text(&report);
            assert_eq!(text.chars().find(|&c| c != '\n' && is_hostile(c)), None);
            assert_eq!(text.lines().count(), report.findings.len());
            for (event, finding) in events(&report).iter().zip(&report.findings) {
                assert_eq!(event["message"], finding.summary);
                assert!(event["finding_info"]["title"].as_str().unwrap().contains(poison));
            }
        }
    }

    #[test]
    fn the_docs_name_what_is_unmapped() {
        for event in
            [fixtures::full(), fixtures::nightly(), fixtures::day()].iter().flat_map(events)
        {
            for name in event["unmapped"].as_object().unwrap().keys() {
                assert!(DOCS.contains(&format!("`{name}`")), "{name} is not explained");
            }
        }
    }

    /// The published schemas of both classes, by class; none where `scripts/ocsf-schemas` has not brought them.
    #[expect(clippy::print_stderr, reason = "says that it is skipped")]
    fn published() -> Option<[(u64, jsonschema::Validator); 2]> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ocsf");
        if !folder.join("version").exists() {
            eprintln!("skipped: scripts/ocsf-schemas has not brought the published schemas");
            return None;
        }
        let classes = [(2004, "detection_finding"), (2008, "iam_analysis_finding")];
        Some(classes.map(|(uid, name)| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
            let schema: Value = serde_json::from_str(&text).unwrap();
            assert!(schema["$id"].as_str().unwrap().contains(&format!("/{VERSION}/")));
            (uid, jsonschema::validator_for(&schema).unwrap())
        }))
    }

    #[test]
    fn every_event_fits_the_published_schema() {
        let Some(published) = published() else { return };
        let check = |event: &Value| {
            let of_class = published.iter().find(|(uid, _)| event["class_uid"] == *uid);
            let (_, schema) = of_class.unwrap();
            schema.validate(event).map_err(|error| format!("{}: {error}", error.instance_path()))
        };
        let mut resolved = fixtures::full();
        for finding in &mut resolved.findings {
            // As one that is over is told.
            finding.status = Some("resolved");
            finding.operations.clear();
            finding.credentials.clear();
            finding.evidence.clear();
        }
        let mut bare = fixtures::full();
        for finding in &mut bare.findings {
            (finding.partner, finding.api, finding.grant) = (None, None, None);
        }
        let mut reports = vec![fixtures::day(), fixtures::partial(), resolved, bare];
        for report in [fixtures::full(), fixtures::nightly()] {
            reports.push(fixtures::poisoned(report.clone(), "\u{1b}\"\n\u{202e}"));
            reports.push(report);
        }
        let mut count = 0;
        for event in reports.iter().flat_map(events) {
            if let Err(error) = check(&event) {
                panic!("{error}\n{event:#}");
            }
            count += 1;
            // It minds what is missing, what it does not know, and wrong types.
            for (key, value) in [
                ("time", json!("2018")),
                ("severity_id", json!(7)),
                ("finding_info", json!({"title": "no uid"})),
                ("colour", json!("red")),
                ("type_uid", json!(100_401)),
            ] {
                let mut spoiled = event.clone();
                spoiled[key] = value;
                assert!(check(&spoiled).is_err(), "{key}");
            }
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn no_finding_no_line() {
        assert_eq!(text(&fixtures::empty()), "");
    }
}
