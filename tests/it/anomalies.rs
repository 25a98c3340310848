//! What is unlike what was before, from the lines of logs to the finding: by nights beside the days that are kept, and by one look at all.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::Case;
use crate::nightly::{append, case, nightly, of_kind, report};

const CONFIG: &str = r#"
[register]
source = "register"

[[logs]]
source = "core"
paths  = ["logs/core*"]
format = "json"

[[logs]]
source = "edge"
paths  = ["logs/edge*"]
format = "json"
"#;

/// Two partners on two apis, and a grant that sleeps.
fn two(config: &str) -> Case {
    case(config)
        .file("register/apis.csv", "api,name\nmessages,Messages\nphotos,Photos\n")
        .file("register/routes.csv", "path,api\n/messages/{user},messages\n/photos/{user},photos\n")
        .file(
            "register/grants.csv",
            "grant,partner,api,operations,granted_at,revoked_at\n\
             g-acme,acme,messages,read|delete,2018-01-01,\n\
             g-photos,acme,photos,read,2018-01-01,\n\
             g-globex,globex,messages,read,2018-01-01,\n",
        )
}

/// The instant of a minute of a day of 2018, by its number from 1.
fn at(day: u32, hour: u32, second: u32) -> String {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut rest) = (0, day - 1);
    while rest >= DAYS[month] {
        rest -= DAYS[month];
        month += 1;
    }
    format!(
        "2018-{:02}-{:02}T{hour:02}:{:02}:{:02}Z",
        month + 1,
        rest + 1,
        second / 60,
        second % 60
    )
}

/// What partners do in an hour: so many calls, about so many people, so many of them denied.
#[derive(Clone, Copy)]
struct Use {
    calls: u32,
    people: u32,
    denied: u32,
}

const USUAL: Use = Use { calls: 100, people: 10, denied: 2 };

fn lines(day: u32, hour: u32, key: &str, api: &str, of: Use) -> String {
    let mut lines = String::new();
    for i in 0..of.calls {
        let status = if i < of.denied { 403 } else { 200 };
        let person = i % of.people.max(1);
        let at = at(day, hour, i * 3599 / of.calls.max(2).saturating_sub(1));
        writeln!(
            lines,
            "{{\"time\":\"{at}\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"/{api}/p{person}\",\"status\":{status},\"user\":\"p{person}\"}}"
        )
        .unwrap();
    }
    lines
}

/// A day of `acme` on messages, as usual but for some hours.
fn acme(day: u32, odd: &[(u32, Use)]) -> String {
    let hours = (0..24).map(|hour| {
        let odd = odd.iter().find(|(of, _)| *of == hour).map(|(_, odd)| *odd);
        lines(day, hour, "key-acme-1", "messages", odd.unwrap_or(USUAL))
    });
    hours.collect()
}

/// A day of `globex`, as usual.
fn globex(day: u32) -> String {
    (0..24).map(|hour| lines(day, hour, "key-globex-2", "messages", USUAL)).collect()
}

fn days(case: &Case, days: std::ops::RangeInclusive<u32>) {
    for day in days {
        append(case, "logs/core.log", acme(day, &[]));
        append(case, "logs/edge.log", globex(day));
    }
}

fn night_after(case: &Case, day: u32) -> Value {
    let run_at = at(day + 1, 2, 0);
    nightly(case, &run_at, &[]).expect_status(0).report()
}

/// Kind, partner and api of all anomalies.
fn odd(report: &Value) -> Vec<(String, String, String)> {
    let findings = report["findings"].as_array().unwrap();
    let odd = findings.iter().filter(|finding| !finding["anomaly"].is_null());
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("-").to_owned();
    let mut odd: Vec<_> = odd
        .map(|finding| (text(finding, "kind"), text(finding, "partner"), text(finding, "api")))
        .collect();
    odd.sort();
    odd
}

/// From when until when the one finding of a kind was.
fn anomaly_of(report: &Value, kind: &str) -> (String, String) {
    let anomaly = &of_kind(report, kind)[0]["anomaly"];
    let text = |key: &str| anomaly[key].as_str().unwrap().to_owned();
    (text("from"), text("until"))
}

fn one(kind: &str) -> Vec<(String, String, String)> {
    vec![(kind.to_owned(), "acme".to_owned(), "messages".to_owned())]
}

#[test]
fn with_too_little_history_nothing_is_claimed_and_the_report_says_why() {
    let case = two(CONFIG);
    days(&case, 1..=3);
    append(&case, "logs/core.log", acme(4, &[(9, Use { calls: 900, ..USUAL })]));
    append(&case, "logs/edge.log", globex(4));
    let first = night_after(&case, 4);
    assert_eq!(odd(&first), []);
    let looked_at = json!({
        "days": 4, "judged": 0, "without_history": 8, "history_days": 3, "history_days_min": 14,
        "networks": null
    });
    assert_eq!(first["anomalies"], looked_at);
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    assert!(
        text.contains("\nANOMALIES   hours not judged: 3 days of history, and it takes 14 days\n"),
        "{text}"
    );
}

/// The sample logs, on the first night: months of revocations, and no anomaly.
#[test]
fn the_first_night_of_the_sample_logs_claims_none() {
    let case = Case::new();
    let from = crate::harness::repository("sample-logs");
    for entry in walkdir::WalkDir::new(&from) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&from).unwrap().to_str().unwrap();
        let is_kept = ["state", "reports"].iter().any(|made| name.starts_with(made));
        if entry.file_type().is_file() && !is_kept {
            case.write(name, std::fs::read(entry.path()).unwrap());
        }
    }
    let output = case.run(&["nightly", "--json", "--quiet"]);
    let report = output.report();
    assert!(!report["findings"].as_array().unwrap().is_empty());
    assert_eq!(odd(&report), []);
    assert_eq!(report["anomalies"]["judged"], 0);
    let text = case.run(&["report"]).stdout.clone();
    assert!(text.contains("\nANOMALIES   hours not judged: "), "{text}");
}

#[test]
fn hours_that_are_unlike_those_before_are_found() {
    let case = two(CONFIG);
    days(&case, 1..=21);
    let first = night_after(&case, 21);
    assert_eq!(odd(&first), []);
    assert_eq!(first["anomalies"]["days"], 21);
    assert_eq!(first["anomalies"]["judged"], 14);
    let odd_hours = [
        // The calls are as many as ever, and about ten times as many people.
        (3, Use { people: 100, ..USUAL }),
        (9, Use { calls: 600, ..USUAL }),
        (14, Use { denied: 80, ..USUAL }),
        // Without any, the source would be silent, and nobody could tell.
        (18, Use { calls: 1, ..USUAL }),
        (19, Use { calls: 2, ..USUAL }),
        (20, Use { calls: 1, ..USUAL }),
    ];
    append(&case, "logs/core.log", acme(22, &odd_hours));
    append(&case, "logs/edge.log", globex(22));
    let second = night_after(&case, 22);
    let found = |kind: &str| {
        let found = of_kind(&second, kind);
        assert_eq!(found.len(), 1, "{kind}: {second}");
        assert_eq!((&found[0]["partner"], &found[0]["api"]), (&json!("acme"), &json!("messages")));
        assert_eq!((&found[0]["status"], &found[0]["grant"]), (&json!("new"), &Value::Null));
        found[0]["anomaly"].clone()
    };
    let spike = found("spike");
    assert_eq!(spike["observed"], 600);
    assert_eq!(spike["worst"], "2018-01-22T09:00:00Z");
    assert_eq!(
        (&spike["from"], &spike["until"]),
        (&json!("2018-01-22T09:00:00Z"), &json!("2018-01-22T10:00:00Z"))
    );
    let expected = spike["expected"].as_f64().unwrap();
    assert!((90.0..130.0).contains(&expected), "{spike}");
    assert_eq!((&spike["history_days"], &spike["same_hours"]), (&json!(21), &json!(3)));
    assert_eq!(found("denied-burst")["observed"], 80);
    assert_eq!(found("denied-burst")["denied_ratio"], 0.8);
    let people = found("subject-sweep")["observed"].as_u64().unwrap();
    assert!((75..=100).contains(&people), "{people}");
    let drop = found("drop");
    assert_eq!(drop["observed"], 4, "{drop}");
    assert_eq!(
        (&drop["from"], &drop["until"]),
        (&json!("2018-01-22T18:00:00Z"), &json!("2018-01-22T21:00:00Z"))
    );
    assert_eq!(odd(&second).len(), 4);
    let of_day: Value = serde_json::from_str(&case.read("reports/2018-01-22/rev-1.json")).unwrap();
    assert_eq!(odd(&of_day), odd(&second));
    // One look at all logs finds the same, and so does one at all days that are kept.
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    let kept = report(&case, &[]);
    assert_eq!(odd(&audit), odd(&second));
    for kind in ["spike", "drop", "subject-sweep", "denied-burst"] {
        assert_eq!(of_kind(&audit, kind)[0]["anomaly"], found(kind), "{kind}");
        assert_eq!(of_kind(&kept, kind)[0]["anomaly"], found(kind), "{kind}");
    }
    assert_eq!(audit["anomalies"], kept["anomalies"]);
    assert_eq!(audit["anomalies"]["days"], 22);

    // From the finding to the calls that it counts.
    for (kind, count) in [("spike", 600), ("denied-burst", 80), ("subject-sweep", 98), ("drop", 4)]
    {
        let id = of_kind(&audit, kind)[0]["id"].as_str().unwrap();
        let calls = case.run(&["calls", "--quiet", "--finding", id]).expect_status(0);
        assert_eq!(calls.stdout.lines().count(), count, "{kind}");
        let hours = anomaly_of(&audit, kind);
        for call in calls.stdout.lines() {
            let call: Value = serde_json::from_str(call).unwrap();
            let at = call["at"].as_str().unwrap();
            assert!(hours.0.as_str() <= at && at < hours.1.as_str(), "{kind}: {call}");
            assert_eq!(call["partner"], "acme");
            assert!(kind != "denied-burst" || call["outcome"] == "denied");
        }
    }

    // The next night nothing is odd.
    days(&case, 23..=23);
    let third = night_after(&case, 23);
    let spikes = |report: &Value, status: &str| {
        of_kind(report, "spike").iter().filter(|spike| spike["status"] == status).count()
    };
    assert_eq!((spikes(&third, "resolved"), spikes(&third, "new")), (1, 0));
    // Another day's is another one; and a span of days is judged by those before it, which are kept.
    append(&case, "logs/core.log", acme(24, &[(9, Use { calls: 6000, ..USUAL })]));
    append(&case, "logs/edge.log", globex(24));
    assert_eq!(spikes(&night_after(&case, 24), "new"), 1);
    let span = report(&case, &["--since", "2018-01-22", "--until", "2018-01-25"]);
    let observed: Vec<&Value> =
        of_kind(&span, "spike").iter().map(|spike| &spike["anomaly"]["observed"]).collect();
    assert!(observed.contains(&&json!(600)) && observed.contains(&&json!(6000)), "{observed:?}");
    assert_eq!(observed.len(), 2);
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    assert!(text.contains("\nANOMALIES   5 found in "), "{text}");
    for observed in [" 600 calls, ", " people, ", " 80 denied, ", " 4 calls, "] {
        let is_told = |line: &str| line.contains(observed) && line.ends_with(" expected");
        assert!(text.lines().any(is_told), "{observed}: {text}");
    }
    // What comes late of a day makes its report anew, with all that was odd about it.
    append(
        &case,
        "logs/core-late.log",
        lines(22, 23, "key-acme-1", "messages", Use { calls: 1, people: 1, denied: 0 }),
    );
    night_after(&case, 25);
    let again: Value = serde_json::from_str(&case.read("reports/2018-01-22/rev-2.json")).unwrap();
    assert_eq!(odd(&again), odd(&second));
}

/// Who is refused 400 people's data has not got them.
#[test]
fn a_flood_of_refusals_is_no_sweep() {
    let case = two(CONFIG);
    days(&case, 1..=21);
    append(&case, "logs/core.log", acme(22, &[(9, Use { calls: 420, people: 400, denied: 400 })]));
    append(&case, "logs/edge.log", globex(22));
    let report = night_after(&case, 22);
    assert_eq!(odd(&report), [one("denied-burst"), one("spike")].concat());
}

#[test]
fn a_day_is_judged_whole_however_it_comes() {
    let case = two(CONFIG);
    days(&case, 1..=21);
    night_after(&case, 21);
    let day = acme(22, &[(9, Use { calls: 600, people: 90, ..USUAL })]);
    let lines: Vec<&str> = day.split_inclusive('\n').collect();
    // The half of it up to the middle of the odd hour, of which every other call comes a night later by another log.
    let (early, late): (Vec<_>, Vec<_>) = lines.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let text =
        |some: Vec<(usize, &&str)>| some.into_iter().map(|(_, line)| *line).collect::<String>();
    append(&case, "logs/core.log", text(early));
    append(&case, "logs/edge.log", globex(22));
    let second = night_after(&case, 22);
    // Half of all calls are missing, all day long: that is a quiet day, and no spike yet.
    assert_eq!(
        of_kind(&second, "spike")
            .first()
            .map_or(300, |s| s["anomaly"]["observed"].as_u64().unwrap()),
        300
    );
    append(&case, "logs/core-late.log", text(late));
    days(&case, 23..=23);
    let third = night_after(&case, 23);
    assert_eq!(of_kind(&third, "spike")[0]["anomaly"]["observed"], 600);
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    let sweep = |report: &Value| of_kind(report, "subject-sweep")[0]["anomaly"].clone();
    assert_eq!(
        sweep(&third),
        sweep(&audit),
        "people are counted once, in however many parts they come"
    );
}

#[test]
fn where_logs_are_missing_nobody_dropped() {
    let case = two(CONFIG);
    days(&case, 1..=21);
    night_after(&case, 21);
    // Those of globex do not come; acme is as ever, but for one hour.
    append(&case, "logs/core.log", acme(22, &[(9, Use { calls: 700, ..USUAL })]));
    let second = night_after(&case, 22);
    assert_eq!(odd(&second), one("spike"));
    // Nor what is not written yet: the night comes in the middle of the day.
    days(&case, 23..=23);
    night_after(&case, 23);
    let morning: String =
        (0..6).map(|hour| lines(24, hour, "key-acme-1", "messages", USUAL)).collect();
    append(&case, "logs/core.log", morning);
    append(
        &case,
        "logs/edge.log",
        globex(24).lines().take(600).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let third = nightly(&case, &at(24, 6, 5), &[]).expect_status(0).report();
    assert_eq!(of_kind(&third, "drop").len(), 0);
}

#[test]
fn what_is_done_first_is_told_once() {
    let case = two(CONFIG);
    days(&case, 1..=20);
    night_after(&case, 20);
    days(&case, 21..=21);
    append(
        &case,
        "logs/core.log",
        lines(21, 23, "key-acme-1", "photos", Use { calls: 3, people: 3, denied: 1 }),
    );
    let delete = format!(
        "{{\"time\":\"{}\",\"client_id\":\"key-acme-1\",\"method\":\"DELETE\",\"path\":\"/messages/p1\",\"status\":200}}\n",
        at(21, 23, 3599)
    );
    append(&case, "logs/core.log", delete);
    let second = night_after(&case, 21);
    let api = of_kind(&second, "new-api");
    assert_eq!(api.len(), 1);
    assert_eq!(
        (&api[0]["api"], &api[0]["served"], &api[0]["denied"]),
        (&json!("photos"), &json!(2), &json!(1))
    );
    assert_eq!(api[0]["severity"], "low");
    assert_eq!(api[0]["anomaly"]["history_days"], 20);
    assert_eq!(api[0]["anomaly"]["score"], Value::Null);
    let operation = of_kind(&second, "new-operation");
    assert_eq!(operation.len(), 1);
    assert_eq!(operation[0]["operations"], json!(["delete"]));
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    let kept = report(&case, &[]);
    assert_eq!(odd(&audit), odd(&second));
    assert_eq!(odd(&kept), odd(&second));
    for (kind, count) in [("new-api", 3), ("new-operation", 1)] {
        let id = of_kind(&audit, kind)[0]["id"].as_str().unwrap();
        let calls = case.run(&["calls", "--quiet", "--finding", id]).expect_status(0);
        assert_eq!(calls.stdout.lines().count(), count, "{kind}");
    }
    days(&case, 22..=22);
    append(&case, "logs/core.log", lines(22, 23, "key-acme-1", "photos", USUAL));
    let third = night_after(&case, 22);
    let told = |report: &Value| {
        let all = of_kind(report, "new-api");
        all.iter().filter(|finding| finding["status"] != "resolved").count()
    };
    assert_eq!(told(&third), 0);
}

#[test]
fn what_slept_is_told_when_it_wakes() {
    let quiet = Use { calls: 2, people: 1, denied: 0 };
    let call = |day: u32, api: &str| lines(day, 12, "key-acme-1", api, quiet);
    let case = two(CONFIG);
    append(&case, "logs/edge.log", "");
    append(&case, "logs/core.log", call(1, "photos"));
    for day in 1..=61 {
        append(&case, "logs/core.log", call(day, "messages"));
    }
    night_after(&case, 61);
    append(&case, "logs/core.log", call(62, "messages") + &call(62, "photos"));
    let second = night_after(&case, 62);
    for kind in ["woken-grant", "woken-api"] {
        let found = of_kind(&second, kind);
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!((&found[0]["api"], &found[0]["served"]), (&json!("photos"), &json!(2)));
        assert_eq!(found[0]["anomaly"]["history_days"], 60);
        assert_eq!(found[0]["anomaly"]["last_before"], "2018-01-01");
    }
    assert_eq!(of_kind(&second, "woken-grant")[0]["grant"], "g-photos");
    assert_eq!(of_kind(&second, "woken-grant")[0]["partner"], "acme");
    assert_eq!(of_kind(&second, "woken-api")[0]["partner"], Value::Null);
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    assert_eq!(odd(&audit), odd(&second));
    assert_eq!(odd(&report(&case, &[])), odd(&second));

    // A day less is no sleep.
    let case = two(CONFIG);
    append(&case, "logs/edge.log", "");
    append(&case, "logs/core.log", call(2, "photos"));
    for day in 1..=62 {
        append(&case, "logs/core.log", call(day, "messages"));
    }
    append(&case, "logs/core.log", call(62, "photos"));
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    assert_eq!(of_kind(&audit, "woken-grant").len(), 0);
}

#[test]
fn what_it_takes_can_be_set() {
    let case = two(&format!("{CONFIG}[anomaly]\nspike_ratio_min = 7\n"));
    days(&case, 1..=15);
    append(&case, "logs/core.log", acme(16, &[(9, Use { calls: 600, ..USUAL })]));
    append(&case, "logs/edge.log", globex(16));
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    assert_eq!(odd(&audit), []);
    case.write(
        "overstay.toml",
        format!("{CONFIG}[anomaly]\nspike_ratio_min = 5.5\n[severity]\nspike = \"critical\"\n"),
    );
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    assert_eq!(odd(&audit), one("spike"));
    assert_eq!(of_kind(&audit, "spike")[0]["severity"], "critical");
    case.run(&["audit", "--quiet", "--fail-on", "critical"]).expect_status(1);

    case.write(
        "overstay.toml",
        format!(
            "{CONFIG}[anomaly]\nhistory_days = 500\nspike_calls_min = 0\ndrop_ratio_max = 1.5\n"
        ),
    );
    case.run(&["audit"]).expect_status(2).expect_stderr(&[
        "[anomaly] history_days: found 500, expected a number from 1 to 112",
        "[anomaly] spike_calls_min: found 0, expected a number from 1 to ",
        "[anomaly] drop_ratio_max: found 1.5, expected a number from 0 to 1",
    ]);
    case.write("overstay.toml", format!("{CONFIG}[anomaly]\nhistory_days = 10\n"));
    case.run(&["check"]).expect_status(2);
    case.write("overstay.toml", format!("{CONFIG}[anomaly]\nspike_ratio = 3\n"));
    case.run(&["check"]).expect_status(2).expect_stderr(&["spike_ratio_min"]);
}
