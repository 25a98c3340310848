//! What a user of `overstay calls` can see.

use serde_json::Value;

use crate::harness::{Case, calls, gzip};

const CALLS: [&str; 6] = ["calls", "-q", "--register", "register", "--log-format", "json"];

/// Six calls: two of acme in order, one without a credential, one unknown, two of globex after its end.
fn case() -> Case {
    let line = |minute: u32, credential: &str, method: &str, status: u16, user: &str| {
        format!(
            "{{\"time\":\"2018-12-18T09:{minute:02}:00Z\",\"client_id\":{credential},\"method\":\"{method}\",\
             \"path\":\"/messages/{user}?key=secret\",\"status\":{status},\"request_id\":\"r{minute}\"}}"
        )
    };
    let lines = [
        line(1, "\"key-acme-1\"", "GET", 200, "u1"),
        "bad".to_owned(),
        line(2, "\"key-acme-1\"", "GET", 500, "u2"),
        String::new(),
        line(3, "null", "GET", 200, "u1"),
        line(4, "\"key-nobody-9\"", "GET", 401, "u1"),
        line(5, "\"key-globex-2\"", "GET", 200, "u3"),
        line(6, "\"key-globex-2\"", "DELETE", 403, "u3"),
    ];
    Case::with_register().file("a.log", lines.join("\n"))
}

fn minutes(case: &Case, extra: &[&str]) -> Vec<u32> {
    let arguments = [&CALLS[..], &["--max-rejects", "9", "a.log"], extra].concat();
    let minute = |call: Value| call["at"].as_str().unwrap()[14..16].parse().unwrap();
    case.run(&arguments).expect_status(0).json_lines().into_iter().map(minute).collect()
}

#[test]
fn each_filter_leaves_what_it_names() {
    let case = case();
    let filters: [(&[&str], &[u32]); 16] = [
        (&[], &[1, 2, 3, 4, 5, 6]),
        (&["--partner", "acme"], &[1, 2]),
        (&["--partner", "acme", "--partner", "globex"], &[1, 2, 5, 6]),
        (&["--credential", "key-nobody-9"], &[4]),
        (&["--credential", "…dy-9"], &[4]),
        (&["--credential", "key-globex-2"], &[5, 6]),
        (&["--api", "messages"], &[1, 2, 3, 4, 5, 6]),
        (&["--api", "other"], &[]),
        (&["--operation", "delete"], &[6]),
        (&["--verdict", "after-revocation"], &[5]),
        (&["--verdict", "never-granted"], &[6]),
        (&["--outcome", "served"], &[1, 3, 5]),
        (&["--outcome", "denied", "--outcome", "failed"], &[2, 4, 6]),
        (&["--subject", "u3"], &[5, 6]),
        (&["--since", "2018-12-18T09:02:00Z", "--until", "2018-12-18T09:05:00Z"], &[2, 3, 4]),
        (&["--partner", "globex", "--outcome", "served"], &[5]),
    ];
    for (extra, expected) in filters {
        assert_eq!(minutes(&case, extra), expected, "{extra:?}");
    }
}

#[test]
fn a_call_is_told_with_its_place_and_its_judgement() {
    for chunk_bytes in ["1", "100", "4000000"] {
        let extra = [
            "--max-rejects",
            "9",
            "a.log",
            "--chunk-bytes",
            chunk_bytes,
            "--verdict",
            "after-revocation",
        ];
        let output = case().run(&[&CALLS[..], &extra].concat()).expect_status(0);
        let calls = output.json_lines();
        let [call] = calls.as_slice() else { panic!("one call") };
        assert_eq!(call["line"], 7);
        assert_eq!(call["path"], "a.log");
        assert_eq!(call["partner"], "globex");
        assert_eq!(call["credential"], "…ex-2");
        assert_eq!(call["grant"], "g-globex");
        assert_eq!(call["since"], "2018-06-01T00:00:00Z");
        assert_eq!(call["lapsed_at"], "2018-06-01T00:00:00Z");
        assert_eq!(call["subject"], "u3");
        assert_eq!(call["request_id"], "r5");
        assert!(!output.stdout.contains("secret"));
    }
}

#[test]
fn raw_prints_the_logs_own_lines() {
    let case = case();
    let extra = ["--max-rejects", "9", "a.log", "--raw", "--partner", "globex"];
    let output = case.run(&[&CALLS[..], &extra].concat()).expect_status(0);
    let log = case.read("a.log");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("globex")).collect();
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn distinct_prints_each_value_once_in_order() {
    let extra = ["--max-rejects", "9", "a.log", "--distinct", "subject"];
    let output = case().run(&[&CALLS[..], &extra].concat()).expect_status(0);
    assert_eq!(output.stdout, "{\"subject\":\"u1\"}\n{\"subject\":\"u2\"}\n{\"subject\":\"u3\"}\n");
}

#[test]
fn the_order_is_that_of_the_logs_at_any_thread_count() {
    let case = Case::with_register().file("b.log", calls(3000)).file("a.log", gzip(calls(2000)));
    let run = |threads: &str, chunk: &str| {
        let extra = ["a.log", "b.log", "--threads", threads, "--chunk-bytes", chunk];
        case.run(&[&CALLS[..], &extra].concat()).expect_status(0).stdout_bytes.clone()
    };
    let one = run("1", "4000000");
    assert!(run("3", "1000") == one && run("7", "1") == one);
    assert_eq!(one.iter().filter(|b| **b == b'\n').count(), 5000);
}

#[test]
fn a_finding_is_named_by_any_unique_start_of_its_id() {
    let case = case();
    let report = case
        .run(&[
            "audit",
            "--json",
            "-q",
            "--max-rejects",
            "9",
            "--log-format",
            "json",
            "--register",
            "register",
            "a.log",
        ])
        .report();
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|f| f["kind"] == "after-revocation").unwrap();
    let id = finding["id"].as_str().unwrap();
    assert_eq!(minutes(&case, &["--finding", id]), [5]);
    let unique = (4..=id.len())
        .find(|n| {
            findings.iter().filter(|f| f["id"].as_str().unwrap().starts_with(&id[..*n])).count()
                == 1
        })
        .unwrap();
    assert_eq!(minutes(&case, &["--finding", &id[..unique]]), [5]);
    let refused = |extra: &[&str], told: &str| {
        let arguments = [&CALLS[..], &["--max-rejects", "9"], extra].concat();
        case.run(&arguments).expect_status(2).expect_no_stdout().expect_stderr(&[told]);
    };
    refused(&["a.log", "--finding", "os-"], "begins 4 findings");
    refused(&["a.log", "--finding", "os-0"], "no finding that begins with `os-0`");
    refused(&["-", "--finding", id], "can be read once");
}

#[test]
fn evidence_is_verified() {
    let case = case();
    let audit = [
        "audit",
        "-q",
        "--max-rejects",
        "9",
        "--log-format",
        "json",
        "--register",
        "register",
        "a.log",
    ];
    case.run(&[&audit[..], &["--report", "json=r.json"]].concat()).expect_status(0);
    let statuses = |expected: i32| -> Vec<Value> {
        let output = case.run(&["calls", "--verify", "r.json"]).expect_status(expected);
        output.json_lines().into_iter().map(|line| line["status"].clone()).collect()
    };
    let all = statuses(0);
    assert!(!all.is_empty() && all.iter().all(|status| status == "same"));
    // The same content, compressed.
    let log = case.read("a.log");
    case.write("a.log", gzip(&log));
    assert_eq!(statuses(0), all);
    // One byte of the one line that was served after the revocation.
    case.write("a.log", log.replace("\"r5\"", "\"r7\""));
    assert_eq!(statuses(2).iter().filter(|status| *status == "changed").count(), 1);
    std::fs::remove_file(case.path("a.log")).unwrap();
    assert!(statuses(2).iter().all(|status| status == "unreadable"));
    case.run(&["calls", "--verify", "register/apis.csv"]).expect_status(2);
}

#[test]
fn without_a_register_no_call_is_judged() {
    let case = case();
    case.run(&["calls", "a.log"]).expect_status(2).expect_no_stdout().expect_stderr(&["hint: "]);
}

#[test]
fn unknown_words_are_refused_with_the_known_ones() {
    let case = case();
    for (flag, word) in
        [("--verdict", "after-revoked"), ("--outcome", "ok"), ("--distinct", "people")]
    {
        let output = case.run(&[&CALLS[..], &["a.log", flag, word]].concat()).expect_status(2);
        output.expect_no_stdout().expect_stderr(&[word]);
    }
}

/// Past the bounds all else is `(other)`: a finding too, and its calls can be printed like any other's.
#[test]
fn what_a_bound_cut_off_is_a_finding_with_calls() {
    let line = |n: usize| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"key-acme-1\",\"api\":\"api-{n}\",\"status\":200}}\n\
                 {{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"stranger-{}\",\"api\":\"messages\",\"status\":200}}\n",
            n % 300
        )
    };
    let case = Case::with_register().file("many.log", (0..70_000).map(line).collect::<String>());
    let audit =
        ["audit", "--json", "-q", "--register", "register", "--log-format", "json", "many.log"];
    let report = case.run(&audit).expect_status(0).report();
    let findings = report["findings"].as_array().unwrap();
    let others: Vec<&Value> = findings
        .iter()
        .filter(|f| f["api"] == "(other)" || f["credentials"][0] == "(other)")
        .collect();
    assert_eq!(others.len(), 2);
    let unlisted = findings.iter().filter(|f| f["kind"] == "unlisted-api").count();
    assert_eq!(unlisted, 65_536 + 1);
    for finding in others {
        let id = finding["id"].as_str().unwrap();
        let output =
            case.run(&[&CALLS[..], &["many.log", "--finding", id]].concat()).expect_status(0);
        let expected = if finding["api"] == "(other)" { 70_000 - 65_536 } else { 0 };
        let served = finding["served"].as_u64().unwrap();
        assert_eq!(output.stdout.lines().count() as u64, served);
        if expected > 0 {
            assert_eq!(served, expected);
        }
    }
}
