//! What runs say of what they did not see: hours of which no call came, and logs that are lost.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Case;
use crate::nightly::{
    CONFIG, TWO_SOURCES, append, bad, case, good, nightly, of_kind, report, status_of,
};
use crate::nights_kept::{coverage, gap, hour_of_calls, night, run_at};

const CORE: &str = "logs/a.log";
const EDGE: &str = "edge/e.log";
const OVERSTAYED: &str = "after-revocation";

fn expecting(expect: &str) -> Case {
    let expects = format!("format = \"json\"\nexpect = \"{expect}\"\n");
    case(&CONFIG.replace("format = \"json\"\n", &expects))
}

/// A call in each of these hours of a day of December.
fn hours(case: &Case, name: &str, day: u32, hours: std::ops::Range<u32>) {
    let calls = hours.map(|hour| good(&format!("12-{day}T{hour:02}:15")));
    append(case, name, calls.collect::<String>());
}

fn report_of_day(case: &Case, day: u32, revision: u64) -> Value {
    let text = case.read(&format!("reports/2018-12-{day}/rev-{revision}.json"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_hole_between_two_runs_is_told_and_nothing_is_over_for_it() {
    let case = expecting("hourly");
    hours(&case, CORE, 17, 0..24);
    append(&case, CORE, bad("12-17T10:30", 200));
    assert_eq!(coverage(&night(&case, 18), "core"), (24, 24, vec![]));
    // Six hours are missing between what that run read last and what this one reads first.
    hours(&case, CORE, 18, 6..24);
    let hole = night(&case, 19);
    assert_eq!(coverage(&hole, "core"), (24, 18, vec![gap("18T00", "18T06")]));
    assert_eq!(status_of(&hole, OVERSTAYED), Value::Null);
    assert_eq!(status_of(&report(&case, &[]), OVERSTAYED), "new");
    // In the middle of what came.
    hours(&case, CORE, 19, 0..9);
    hours(&case, CORE, 19, 10..24);
    let hole = night(&case, 20);
    assert_eq!(coverage(&hole, "core"), (24, 23, vec![gap("19T09", "19T10")]));
    assert_eq!(status_of(&hole, OVERSTAYED), Value::Null);
    // No hole, and no call of it.
    hours(&case, CORE, 20, 0..24);
    let whole = night(&case, 21);
    assert_eq!(coverage(&whole, "core"), (24, 24, vec![]));
    assert_eq!(status_of(&whole, OVERSTAYED), "resolved");
}

/// What came from no source that is known is over only if nothing is missing of any; what came from another is.
#[test]
fn a_hole_of_one_source_keeps_no_finding_of_another() {
    let expects = "format = \"json\"\nexpect = \"hourly\"\n";
    let case = case(&format!("{CONFIG}{TWO_SOURCES}").replace("format = \"json\"\n", expects));
    hours(&case, CORE, 17, 0..24);
    hours(&case, EDGE, 17, 0..24);
    append(&case, CORE, bad("12-17T10:30", 200));
    night(&case, 18);
    hours(&case, CORE, 18, 0..24);
    hours(&case, EDGE, 18, 6..24);
    let hole = night(&case, 19);
    assert_eq!(coverage(&hole, "core"), (24, 24, vec![]));
    assert_eq!(coverage(&hole, "edge"), (24, 18, vec![gap("18T00", "18T06")]));
    assert_eq!(status_of(&hole, OVERSTAYED), "resolved");
}

#[test]
fn hours_of_calls_that_come_late_are_neither_expected_nor_gaps() {
    for (expect, day) in [("hourly", "18T00"), ("daily", "18T00")] {
        let case = expecting(expect);
        hours(&case, CORE, 17, 0..24);
        assert_eq!(coverage(&night(&case, 18), "core"), (24, 24, vec![]));
        // Nothing but calls of days before.
        hours(&case, CORE, 13, 11..12);
        assert_eq!(coverage(&night(&case, 19), "core"), (24, 0, vec![gap(day, "19T00")]));
        // All there is, and some of days before.
        hours(&case, CORE, 12, 4..5);
        hours(&case, CORE, 18, 0..24);
        hours(&case, CORE, 19, 0..24);
        assert_eq!(coverage(&night(&case, 20), "core"), (48, 48, vec![]), "{expect}");
    }
}

#[test]
fn what_is_still_to_come_is_not_silent() {
    for (expect, of_day, of_both) in [("hourly", 2, 26), ("daily", 0, 24)] {
        let case = expecting(expect);
        hours(&case, CORE, 18, 0..24);
        hours(&case, CORE, 19, 0..2);
        let first = night(&case, 19);
        assert_eq!(coverage(&first, "core"), (of_both, of_both, vec![]), "{expect}");
        assert_eq!(coverage(&report_of_day(&case, 18, 1), "core"), (24, 24, vec![]));
        assert_eq!(coverage(&report_of_day(&case, 19, 1), "core"), (of_day, of_day, vec![]));
        for until in ["2018-12-20", "2019-01-01"] {
            let all = report(&case, &["--since", "2018-12-18", "--until", until]);
            assert_eq!(coverage(&all, "core"), (of_both, of_both, vec![]), "{until}");
        }
        // Of all days it is as an audit of all logs: what is there was expected.
        let all = coverage(&report(&case, &[]), "core");
        assert_eq!(
            all,
            coverage(&case.run(&["audit", "--json"]).expect_status(0).report(), "core")
        );
        assert_eq!(all, if expect == "daily" { (48, 48, vec![]) } else { (26, 26, vec![]) });
        // When it is over it is.
        hours(&case, CORE, 19, 2..20);
        let second = night(&case, 20);
        let (expected, seen, gaps) = match expect {
            "hourly" => (22, 18, vec![gap("19T20", "20T00")]),
            _ => (24, 24, vec![]),
        };
        assert_eq!(coverage(&second, "core"), (expected, seen, gaps.clone()));
        let seen = if gaps.is_empty() { 24 } else { 20 };
        assert_eq!(coverage(&report_of_day(&case, 19, 2), "core"), (24, seen, gaps));
    }
}

/// Each hour and day is expected by one run, and what one heard of it another need not hear again.
#[test]
fn what_was_not_over_when_one_run_was_counts_for_the_next() {
    let case = expecting("hourly");
    hours(&case, CORE, 18, 0..24);
    hours(&case, CORE, 19, 0..3);
    let half_past = nightly(&case, "2018-12-19T02:30:00Z", &[]).expect_status(0).report();
    assert_eq!(coverage(&half_past, "core"), (26, 26, vec![]));
    assert_eq!(coverage(&report_of_day(&case, 19, 1), "core"), (2, 2, vec![]));
    hours(&case, CORE, 19, 3..24);
    assert_eq!(coverage(&night(&case, 20), "core"), (22, 22, vec![]));

    let case = expecting("daily");
    hours(&case, CORE, 18, 0..24);
    hours(&case, CORE, 19, 0..2);
    assert_eq!(coverage(&night(&case, 19), "core"), (24, 24, vec![]));
    assert_eq!(coverage(&night(&case, 20), "core"), (24, 24, vec![]));
    assert_eq!(coverage(&night(&case, 21), "core"), (24, 0, vec![gap("20T00", "21T00")]));
}

#[test]
fn a_call_from_the_future_does_not_hide_that_its_source_is_silent() {
    let case = expecting("hourly");
    hours(&case, CORE, 17, 0..24);
    hours(&case, CORE, 30, 10..11);
    assert_eq!(coverage(&night(&case, 18), "core"), (24, 24, vec![]));
    assert_eq!(coverage(&night(&case, 19), "core"), (24, 0, vec![gap("18T00", "19T00")]));
    assert_eq!(coverage(&night(&case, 20), "core"), (48, 0, vec![gap("18T00", "20T00")]));
}

/// A case of which a log is told to be lost by the run in the night to the 20th, and kept for ten days; how much of it was read.
fn lost() -> (Case, usize) {
    let case = case(&format!("{CONFIG}\n[state]\nkeep_days = 10\n"));
    let read = hour_of_calls("12-18T09");
    append(&case, CORE, read.clone() + "{\"time\":");
    append(&case, "logs/b.log", good("12-18T10:00"));
    night(&case, 19);
    fs::remove_file(case.path(CORE)).unwrap();
    append(&case, "logs/b.log", good("12-19T09:00"));
    assert_eq!(status_of(&night(&case, 20), "log-lost"), "new");
    (case, read.len())
}

#[test]
fn a_log_that_is_lost_stands_for_as_long_as_its_days_are_kept() {
    let (case, read) = lost();
    let log = json!({"source": "core", "path": CORE, "read_bytes": read, "seen_bytes": read + 8});
    for day in [21, 29] {
        append(&case, "logs/b.log", good(&format!("12-{}T09:00", day - 1)));
        let ran = night(&case, day);
        assert_eq!(status_of(&ran, "log-lost"), Value::Null, "{day}");
        assert_eq!(ran["nightly"]["standing"]["high"], 1, "{day}");
        let all = report(&case, &[]);
        let found = of_kind(&all, "log-lost");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["log"], log);
        assert_eq!(
            (&found[0]["status"], &found[0]["first_seen"], &found[0]["severity"]),
            (&json!("new"), &json!("2018-12-20T02:00:00Z"), &json!("high"))
        );
    }
    // Ten days after it was told first it is over, with what was known of it.
    let over = night(&case, 30);
    let found = of_kind(&over, "log-lost");
    assert_eq!((&found[0]["status"], &found[0]["log"]), (&json!("resolved"), &log));
    assert_eq!(
        found[0]["summary"],
        "no longer told, for keep_days have passed: log-lost of logs/a.log (source core), first seen at 2018-12-20T02:00:00Z"
    );
    assert_eq!(over["nightly"]["standing"]["high"], 0);
    assert_eq!(status_of(&report(&case, &[]), "log-lost"), Value::Null);
    assert_eq!(status_of(&night(&case, 31), "log-lost"), Value::Null);
}

#[test]
fn a_report_of_days_lists_logs_that_may_have_held_calls_of_theirs() {
    let (case, _) = lost();
    append(&case, "logs/b.log", good("12-20T09:00"));
    night(&case, 21);
    let listed = |rest: &[&str]| of_kind(&report(&case, rest), "log-lost").len();
    // It was found to be lost on the 20th: until then it may have held anything, and nothing of the day after.
    for rest in [
        &["--since", "2018-12-20"][..],
        &["--until", "2018-12-19"],
        &["--since", "2018-12-18", "--until", "2018-12-20"],
    ] {
        assert_eq!(listed(rest), 1, "{rest:?}");
    }
    append(&case, "logs/b.log", good("12-21T09:00"));
    night(&case, 22);
    assert_eq!(listed(&["--since", "2018-12-21"]), 0);
    // No partner's business.
    assert_eq!(listed(&["--partner", "acme"]), 0);
    // It is a finding as others: it fails, and can be answered for.
    case.run(&["report", "--json", "--fail-on", "high"]).expect_status(1);
    let text = case.run(&["report"]).expect_status(0).stdout.clone();
    assert!(text.contains("log-lost"), "{text}");
    let config = case.read("overstay.toml");
    let suppress = "\n[[suppress]]\nkind = \"log-lost\"\nowner = \"ops\"\nreason = \"disk died\"\nuntil = \"2019-01-01\"\n";
    case.write("overstay.toml", config + suppress);
    let hidden = case.run(&["report", "--json", "--fail-on", "high"]).expect_status(0).report();
    assert_eq!(of_kind(&hidden, "log-lost")[0]["suppressed_by"], "ops");
    assert_eq!(hidden["suppressions"][0]["hides"], 1);
    // No day's own report has it: it is of no day.
    assert_eq!(status_of(&report_of_day(&case, 19, 1), "log-lost"), Value::Null);
}

#[test]
fn a_register_that_is_refused_is_in_the_report_of_any_days_until_it_is_mended() {
    let case = case(CONFIG);
    append(&case, CORE, good("12-18T09:00"));
    night(&case, 19);
    let grants = case.read("register/grants.csv");
    case.write("register/grants.csv", grants.replace("messages", "nowhere"));
    append(&case, CORE, good("12-19T09:00"));
    for status in ["new", "ongoing"] {
        nightly(&case, &run_at(20), &[]).expect_status(3);
        for rest in [&[][..], &["--since", "2018-12-19"], &["--until", "2018-12-19"]] {
            let days = report(&case, rest);
            assert_eq!(status_of(&days, "register-refused"), status, "{rest:?}");
            let found = of_kind(&days, "register-refused")[0];
            assert_eq!(found["first_seen"], "2018-12-20T02:00:00Z");
        }
        assert_eq!(
            status_of(&report(&case, &["--partner", "acme"]), "register-refused"),
            Value::Null
        );
    }
    case.write("register/grants.csv", grants);
    assert_eq!(status_of(&night(&case, 21), "register-refused"), "resolved");
    assert_eq!(status_of(&report(&case, &[]), "register-refused"), Value::Null);
}

/// Its date is wrong: it neither shows that what was found is over, nor that it goes on until then.
#[test]
fn a_call_from_the_future_neither_ends_a_finding_nor_keeps_it() {
    let ahead = |line: String| line.replace("2018-", "2099-");
    let case = case(CONFIG);
    append(&case, CORE, bad("12-17T10:30", 200) + &good("12-17T11:00"));
    assert_eq!(status_of(&night(&case, 18), OVERSTAYED), "new");
    // Beside calls that came late there is one of 2099.
    append(&case, CORE, good("12-16T09:00") + &ahead(good("12-18T09:00")));
    assert_eq!(status_of(&night(&case, 19), OVERSTAYED), Value::Null);
    append(&case, CORE, good("12-19T09:00"));
    assert_eq!(status_of(&night(&case, 20), OVERSTAYED), "resolved");
    // The other way round: it is served once more, by a call of 2099, and then no more.
    append(&case, CORE, ahead(bad("12-20T09:00", 200)));
    assert_eq!(status_of(&night(&case, 21), OVERSTAYED), "reopened");
    append(&case, CORE, good("12-21T09:00"));
    assert_eq!(status_of(&night(&case, 22), OVERSTAYED), "resolved");
}
