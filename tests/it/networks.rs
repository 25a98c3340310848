//! From where credentials are presented, where that is asked for: what is new, what is not looked at, and that nothing else changes.

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

[anomaly]
new_network = true
"#;

/// A call at noon of a day of January 2018; without an address, of one that its log does not have.
fn call(day: u32, key: &str, address: &str, status: u32) -> String {
    let mut line = format!(
        "{{\"time\":\"2018-01-{day:02}T12:00:00Z\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"/messages/p1\",\"status\":{status}"
    );
    if !address.is_empty() {
        write!(line, ",\"remote_addr\":{}", json!(address)).unwrap();
    }
    line + "}\n"
}

fn acme(day: u32, address: &str) -> String {
    call(day, "key-acme-1", address, 200)
}

fn globex(day: u32, address: &str) -> String {
    call(day, "key-globex-2", address, 200)
}

fn night_after(case: &Case, day: u32) -> Value {
    let run_at = format!("2018-01-{:02}T02:00:00Z", day + 1);
    nightly(case, &run_at, &[]).expect_status(0).report()
}

/// Networks, and of how many days of history, of findings that are not over, in their order.
fn new(report: &Value) -> Vec<(String, u64)> {
    let found = of_kind(report, "new-network");
    let open = found.iter().filter(|finding| finding["status"] != "resolved");
    let told = open.map(|finding| {
        let anomaly = &finding["anomaly"];
        let network = anomaly["network"].as_str().unwrap_or("(many)");
        (network.to_owned(), anomaly["history_days"].as_u64().unwrap())
    });
    let mut told: Vec<(String, u64)> = told.collect();
    told.sort();
    told
}

fn one(network: &str, days: u64) -> Vec<(String, u64)> {
    vec![(network.to_owned(), days)]
}

#[test]
fn a_credential_that_comes_from_somewhere_else_is_told_once() {
    let case = case(CONFIG);
    for day in 1..=20 {
        append(&case, "logs/core.log", acme(day, &format!("203.0.113.{day}")));
        append(&case, "logs/core.log", globex(day, "198.51.100.1"));
    }
    let first = night_after(&case, 20);
    assert_eq!(new(&first), []);
    let looked_at =
        json!({"credentials": 2, "without_history": 0, "untied": 0, "without_address": 0});
    assert_eq!(first["anomalies"]["networks"], looked_at);

    append(&case, "logs/core.log", acme(21, "203.0.113.7"));
    // Somebody else's network is new for it.
    for status in [200, 200, 500] {
        append(&case, "logs/core.log", call(21, "key-acme-1", "198.51.100.1:4711", status));
    }
    append(&case, "logs/core.log", call(21, "key-globex-2", "[2001:db8:7:8::1]:4711", 200));
    let second = night_after(&case, 21);
    assert_eq!(
        new(&second),
        [one("198.51.100.0/24", 20), one("2001:db8:7::/48", 20)].concat(),
        "{second}"
    );
    let found = of_kind(&second, "new-network");
    let of_acme = found.iter().find(|finding| finding["partner"] == "acme").unwrap();
    assert_eq!(of_acme["severity"], "low");
    assert_eq!(of_acme["status"], "new");
    assert_eq!((&of_acme["served"], &of_acme["failed"]), (&json!(2), &json!(1)));
    assert_eq!(of_acme["credentials"].as_array().unwrap().len(), 1);
    assert_eq!((&of_acme["api"], &of_acme["grant"]), (&Value::Null, &Value::Null));
    assert_eq!(of_acme["anomaly"]["observed"], 3);
    assert_eq!(
        (&of_acme["anomaly"]["from"], &of_acme["anomaly"]["until"]),
        (&json!("2018-01-21T00:00:00Z"), &json!("2018-01-22T00:00:00Z"))
    );
    let credential = of_acme["credentials"][0].as_str().unwrap();
    assert_eq!(
        of_acme["summary"].as_str().unwrap(),
        format!(
            "acme presented credential {credential} from 198.51.100.0/24 for the first time, after 20 days of logs since its first address: 2 served calls, 1 failed"
        )
    );
    let of_day: Value = serde_json::from_str(&case.read("reports/2018-01-21/rev-1.json")).unwrap();
    assert_eq!(new(&of_day), new(&second));

    // One look at all logs, however many threads look, and one at all days that are kept.
    let kept = report(&case, &[]);
    let audits = ["1", "2", "7"].map(|threads| {
        case.run(&["audit", "--json", "--quiet", "--threads", threads])
            .expect_status(0)
            .stdout
            .clone()
    });
    assert!(audits.iter().all(|audit| *audit == audits[0]));
    let audit: Value = serde_json::from_str(&audits[0]).unwrap();
    assert_eq!(new(&audit), new(&second));
    assert_eq!(new(&kept), new(&second));
    assert_eq!(audit["anomalies"], kept["anomalies"]);
    let ids = |report: &Value| -> Vec<Value> {
        of_kind(report, "new-network").iter().map(|finding| finding["id"].clone()).collect()
    };
    assert_eq!(ids(&audit), ids(&second));
    assert_eq!(ids(&kept), ids(&second));
    let id = of_acme["id"].as_str().unwrap();
    let calls = case.run(&["calls", "--quiet", "--finding", id]).expect_status(0);
    assert_eq!(calls.stdout.lines().count(), 3, "{}", calls.stdout);
    // And of one partner, what is of its credentials.
    for report in [
        report(&case, &["--partner", "globex"]),
        case.run(&["audit", "--json", "--quiet", "--partner", "globex"]).report(),
    ] {
        assert_eq!(new(&report), one("2001:db8:7::/48", 20));
        assert_eq!(report["anomalies"]["networks"]["credentials"], 1);
    }

    // On the terminal, in CSV and in Markdown.
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    assert!(text.contains("  from 198.51.100.0/24, 1 failed\n"), "{text}");
    assert!(text.contains("2 new networks in 2 credentials\n"), "{text}");
    case.run(&["report", "--report", "csv=tables", "--report", "markdown=all.md"]).expect_status(0);
    assert!(case.read("tables/anomalies.csv").contains(",198.51.100.0/24\n"));
    assert!(case.read("all.md").contains("2001:db8:7::/48"));

    // It is known from then on.
    append(&case, "logs/core.log", acme(22, "198.51.100.2"));
    append(&case, "logs/core.log", globex(22, "2001:db8:7:ffff::"));
    let third = night_after(&case, 22);
    assert_eq!(new(&third), []);
    // Another day's is another finding.
    append(&case, "logs/core.log", acme(23, "192.0.2.1"));
    assert_eq!(new(&night_after(&case, 23)), one("192.0.2.0/24", 22));
}

#[test]
fn nobody_looks_unless_asked_to_and_looking_changes_nothing_else() {
    let off = CONFIG.replace("new_network = true", "");
    let case = case(&off);
    for day in 1..=21 {
        let address = if day == 21 { "198.51.100.1" } else { "203.0.113.9" };
        append(&case, "logs/core.log", acme(day, address));
        append(&case, "logs/core.log", call(day, "key-unknown", address, 401));
    }
    let audit = |case: &Case| case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    let without = audit(&case);
    assert_eq!(new(&without), []);
    assert_eq!(without["anomalies"]["networks"], Value::Null);
    case.write("overstay.toml", CONFIG);
    let mut with = audit(&case);
    assert_eq!(new(&with), one("198.51.100.0/24", 20));
    let findings = with["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["kind"] != "new-network");
    with["anomalies"]["networks"] = Value::Null;
    for key in ["headline", "config"] {
        with[key] = without[key].clone();
    }
    assert_eq!(with, without);
}

/// "with at least 14 days of its history".
#[test]
fn with_too_little_history_nothing_is_new() {
    for (days, told) in [(13, vec![]), (14, one("198.51.100.0/24", 14))] {
        let case = case(CONFIG);
        for day in 1..=days {
            append(&case, "logs/core.log", acme(day, "203.0.113.9"));
        }
        append(&case, "logs/core.log", acme(days + 1, "198.51.100.1"));
        let report = night_after(&case, days + 1);
        assert_eq!(new(&report), told);
        let networks = &report["anomalies"]["networks"];
        assert_eq!(networks["credentials"], u64::from(days == 14));
        assert_eq!(networks["without_history"], u64::from(days == 13));
    }
    // Days whose logs have no addresses are no history.
    let case = case(CONFIG);
    append(&case, "logs/core.log", acme(1, "203.0.113.9"));
    for day in 2..=20 {
        append(&case, "logs/core.log", acme(day, ""));
    }
    append(&case, "logs/core.log", acme(21, "198.51.100.1"));
    let report = night_after(&case, 21);
    assert_eq!(new(&report), []);
    assert_eq!(
        report["anomalies"]["networks"],
        json!({"credentials": 0, "without_history": 1, "untied": 0, "without_address": 19})
    );
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    let told = "no new network in 0 credentials, not looked for in 1 with less than 14 days, nor of 19 calls without an address";
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(told), "{text}");
}

#[test]
fn its_history_begins_when_it_is_switched_on() {
    let case = case(&CONFIG.replace("new_network = true", ""));
    for day in 1..=10 {
        append(&case, "logs/core.log", acme(day, "198.51.100.1"));
    }
    night_after(&case, 10);
    case.write("overstay.toml", CONFIG);
    for day in 11..=24 {
        append(&case, "logs/core.log", acme(day, "203.0.113.9"));
    }
    night_after(&case, 24);
    append(&case, "logs/core.log", acme(25, "198.51.100.1"));
    assert_eq!(new(&night_after(&case, 25)), one("198.51.100.0/24", 14));
    // Where it is switched off, what is kept of it is told no more; and on again, all is there still.
    case.write("overstay.toml", CONFIG.replace("new_network = true", ""));
    assert_eq!(of_kind(&report(&case, &[]), "new-network").len(), 0);
    case.write("overstay.toml", CONFIG);
    assert_eq!(of_kind(&report(&case, &[]), "new-network").len(), 1);
}

#[test]
fn a_credential_used_from_everywhere_is_not_tied_to_networks() {
    let case = case(CONFIG);
    let some = |day: u32, from: u32, to: u32| -> String {
        (from..to).map(|i| acme(day, &format!("10.0.{i}.1"))).collect()
    };
    for day in 1..=19 {
        append(&case, "logs/core.log", some(day, 0, 10) + &globex(day, "198.51.100.1"));
    }
    // As many as there may be. What is denied does not count: anybody may try.
    append(&case, "logs/core.log", some(20, 0, 64));
    for i in 100..200 {
        append(&case, "logs/core.log", call(20, "key-acme-1", &format!("10.9.{i}.1"), 401));
    }
    let first = night_after(&case, 20);
    assert_eq!(new(&first).len(), 54);
    // One more, which is told, and it is on the road for good; others are not.
    append(&case, "logs/core.log", some(21, 64, 70) + &globex(21, "192.0.2.1"));
    let second = night_after(&case, 21);
    assert_eq!(new(&second), [one("(many)", 20), one("192.0.2.0/24", 20)].concat());
    let many = of_kind(&second, "new-network");
    let many = many
        .iter()
        .find(|finding| finding["anomaly"]["network"].is_null() && finding["status"] == "new")
        .unwrap();
    let credential = many["credentials"][0].as_str().unwrap();
    assert_eq!(
        many["summary"].as_str().unwrap(),
        format!(
            "acme presented credential {credential} from more than 64 networks by now, after 20 days of logs since its first address, and no other is told as new: 6 served calls"
        )
    );
    let text = case.run(&["report", "--since", "2018-01-21"]).expect_status(0).stdout.clone();
    assert!(text.contains("  from more than 64 networks\n"), "{text}");
    // All that was told before is still there.
    assert_eq!(of_kind(&report(&case, &[]), "new-network").len(), 56);
    assert_eq!(
        second["anomalies"]["networks"],
        json!({"credentials": 1, "without_history": 0, "untied": 1, "without_address": 0})
    );
    append(&case, "logs/core.log", some(22, 65, 67));
    assert_eq!(new(&night_after(&case, 22)), []);
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(", not in 1 used from too many"), "{text}");
}

#[test]
fn what_is_no_address_is_no_network() {
    let case = case(CONFIG);
    for day in 1..=15 {
        append(&case, "logs/core.log", acme(day, "203.0.113.9"));
    }
    let hostile = [
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "\u{1b}[31m198.51.100.1",
        "198.51.100.1/24",
        "198.51.100.999",
        "%",
        "::::",
        &"9".repeat(5000),
    ];
    for address in hostile {
        append(&case, "logs/core.log", acme(16, address));
    }
    let report = night_after(&case, 16);
    assert_eq!(new(&report), []);
    assert_eq!(report["anomalies"]["networks"]["without_address"], hostile.len());
    assert_eq!(report["accounting"]["calls"], 15 + hostile.len());
    assert_eq!(report["accounting"]["rejected"], 0);
}

#[test]
fn it_can_be_made_grave_and_hidden() {
    let case = case(&format!(
        "{CONFIG}[severity]\nnew-network = \"high\"\n\n[[suppress]]\nkind = \"new-network\"\npartner = \"globex\"\nowner = \"api-governance\"\nreason = \"moving to another cloud\"\nuntil = \"2018-06-01\"\n"
    ));
    for day in 1..=15 {
        append(&case, "logs/core.log", acme(day, "203.0.113.9") + &globex(day, "203.0.113.9"));
    }
    append(&case, "logs/core.log", acme(16, "198.51.100.1") + &globex(16, "198.51.100.1"));
    // Of one from which nothing was served: low.
    append(&case, "logs/core.log", call(16, "key-acme-1", "192.0.2.1", 500));
    let audit = case.run(&["audit", "--json", "--quiet"]).expect_status(0).report();
    let told: Vec<(&Value, &Value, &Value)> = of_kind(&audit, "new-network")
        .iter()
        .map(|finding| {
            (&finding["anomaly"]["network"], &finding["severity"], &finding["suppressed_by"])
        })
        .collect::<Vec<_>>();
    assert_eq!(told.len(), 3);
    for of in [
        (&json!("198.51.100.0/24"), &json!("high"), &Value::Null),
        (&json!("198.51.100.0/24"), &json!("high"), &json!("api-governance")),
        (&json!("192.0.2.0/24"), &json!("low"), &Value::Null),
    ] {
        assert!(told.contains(&of), "{of:?}: {told:?}");
    }
    case.write("overstay.toml", CONFIG.replace("new_network = true", "new_network = 3"));
    case.run(&["check"])
        .expect_status(2)
        .expect_stderr(&["invalid type: integer `3`, expected a boolean"]);
}

/// A run in the middle of the day finds what failed; the next one, what was served: that is told, also to who hears of grave ones only.
#[test]
fn one_that_gets_graver_is_told_again() {
    let channel = |name: &str, least: &str| {
        format!(
            "{{ name = \"{name}\", command = [\"/bin/sh\", \"-c\", \"cat >{name}-$OVERSTAY_RUN\"], min_severity = \"{least}\" }}"
        )
    };
    let case = case(&format!(
        "{CONFIG}[severity]\nnew-network = \"critical\"\n[alert]\ncommand = [{}, {}]\n",
        channel("all", "low"),
        channel("grave", "high")
    ));
    for day in 1..=20 {
        append(&case, "logs/core.log", acme(day, "203.0.113.9"));
    }
    night_after(&case, 20);
    append(&case, "logs/core.log", call(21, "key-acme-1", "198.51.100.1", 500));
    nightly(&case, "2018-01-21T13:00:00Z", &[]).expect_status(0);
    append(&case, "logs/core.log", acme(21, "198.51.100.1"));
    let second = nightly(&case, "2018-01-21T14:00:00Z", &[]).expect_status(0).report();
    assert_eq!(of_kind(&second, "new-network")[0]["severity"], "critical");
    let told = |name: &str| -> Value {
        let message: Value = serde_json::from_str(&case.read(name)).unwrap();
        let change = &message["groups"][0]["changes"][0];
        json!([change["change"], change["severity"]])
    };
    assert_eq!(told("all-2"), json!(["new", "low"]));
    assert!(!case.path("grave-2").exists());
    assert_eq!(told("all-3"), json!(["more-severe", "critical"]));
    assert_eq!(told("grave-3"), json!(["more-severe", "critical"]));
    // And that is all.
    append(&case, "logs/core.log", acme(22, "203.0.113.9"));
    night_after(&case, 22);
    assert!(!case.path("all-4").exists());
}

/// Whose a credential was when it came from a network first is whose that is, however long after one looks.
#[test]
fn a_credential_that_moved_leaves_its_networks_behind() {
    let case = case(CONFIG);
    case.write(
        "register/credentials.csv",
        "credential,partner,valid_from,valid_until\n\
         key-acme-1,acme,,2018-01-22\n\
         key-acme-1,globex,2018-01-22,\n",
    );
    for day in 1..=20 {
        append(&case, "logs/core.log", acme(day, "203.0.113.9"));
    }
    append(&case, "logs/core.log", acme(21, "198.51.100.1"));
    let first = night_after(&case, 21);
    append(&case, "logs/core.log", acme(23, "203.0.113.9"));
    night_after(&case, 23);
    let audit =
        |rest: &[&str]| case.run(&[&["audit", "--json", "--quiet"], rest].concat()).report();
    for report in [first, audit(&[]), report(&case, &[]), audit(&["--partner", "acme"])] {
        let found = of_kind(&report, "new-network");
        assert_eq!((found.len(), &found[0]["partner"]), (1, &json!("acme")));
    }
    assert_eq!(of_kind(&audit(&["--partner", "globex"]), "new-network").len(), 0);
}
