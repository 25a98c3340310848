//! `overstay calls`: which calls it prints, as what, and whether evidence still stands.

use serde_json::{Value, json};

use crate::harness::{Case, MIXED, Output, calls, gzip, zstd};

fn run(case: &Case, arguments: &[&str]) -> Output {
    case.run(&[&["calls", "--register", "register", "--quiet"], arguments].concat())
}

/// The lines of the calls printed.
fn lines(output: &Output) -> Vec<u64> {
    output.json_lines().iter().map(|call| call["line"].as_u64().unwrap()).collect()
}

/// Asserts which calls of the mixed log are printed with these filters.
#[track_caller]
fn check(arguments: &[&str], expected: &[u64]) {
    let output = run(&Case::mixed(), &[&["logs"], arguments].concat()).expect_status(0);
    assert_eq!(lines(&output), expected, "{arguments:?}");
}

/// The id of the only finding of that kind in the mixed log.
fn finding(case: &Case, kind: &str) -> String {
    let output = case.run(&["audit", "--json", "--register", "register", "logs"]);
    let report = output.expect_status(0).report();
    let mut ids = report["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == kind);
    let id = ids.next().unwrap()["id"].as_str().unwrap().to_owned();
    assert!(ids.next().is_none(), "one finding of {kind}");
    id
}

#[test]
fn a_call_has_all_that_is_known_of_it() {
    let output = run(&Case::mixed(), &["logs"]).expect_status(0);
    let calls = output.json_lines();
    assert_eq!(calls.len(), 9);
    let offset = MIXED.lines().next().unwrap().len() + 1;
    assert_eq!(
        calls[1],
        json!({
            "at": "2018-12-18T09:01:00Z", "source": "logs", "path": "logs/mixed.log", "offset": offset, "line": 2,
            "partner": "globex", "credential": "…ex-2", "api": "messages", "operation": "read",
            "verdict": "after-revocation", "also": [], "grant": "g-globex",
            "since": "2018-06-01T00:00:00Z", "lapsed_at": "2018-06-01T00:00:00Z", "outcome": "served",
            "status": 200, "bytes": 20, "latency_us": 1500, "subject": "ann", "actor": "robot", "method": "GET", "target": "/messages/ann",
            "host": "api.example", "remote_addr": "192.0.2.7", "user_agent": "globex/1", "request_id": "r-2",
        })
    );
    // Absent is absent: never 0 or empty.
    for name in [
        "partner",
        "credential",
        "grant",
        "since",
        "lapsed_at",
        "latency_us",
        "actor",
        "request_id",
    ] {
        assert_eq!(calls[4][name], Value::Null, "{name}");
    }
    let verdicts: Vec<&str> = calls.iter().map(|call| call["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        verdicts,
        [
            "granted",
            "after-revocation",
            "after-revocation",
            "unknown-credential",
            "anonymous",
            "out-of-scope",
            "unlisted-api",
            "after-revocation",
            "after-revocation",
        ]
    );
    assert_eq!(calls[8]["also"], json!(["stale-credential"]));
    assert_eq!((&calls[8]["outcome"], &calls[8]["status"]), (&json!("unknown"), &Value::Null));
    assert_eq!(calls[8]["at"], "2018-12-18T10:01:00.25Z");
    // An api that no route lists has no name, and neither has what is done there.
    assert_eq!((&calls[6]["api"], &calls[6]["operation"]), (&Value::Null, &Value::Null));
    assert_eq!(calls[3]["credential"], "…dy-9");
}

#[test]
fn asked_for_json_it_prints_the_json_that_it_prints_anyway() {
    let case = Case::mixed();
    let plain = run(&case, &["logs"]).expect_status(0).stdout.clone();
    assert_eq!(run(&case, &["logs", "--json"]).expect_status(0).stdout, plain);
    let _ = run(&case, &["logs", "--json", "--raw"]).expect_status(2).expect_no_stdout();
}

#[test]
fn filters_by_partner() {
    check(&["--partner", "acme"], &[1, 6, 7]);
    check(&["--partner", "acme", "--partner", "globex"], &[1, 2, 3, 6, 7, 8, 9]);
}

/// A mistyped partner must not look like one without calls.
#[test]
fn a_partner_that_the_register_does_not_list_is_refused() {
    let case = Case::ready();
    let arguments = ["calls", "-q", "--register", "register", "logs", "--partner", "Acme"];
    let output = case.run(&arguments).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["found `Acme`", "hint: did you mean `acme`?"]);
}

/// Without a register nothing is judged, so nothing could fail: a job that lost its register must not stay green.
#[test]
fn fail_on_without_a_register_is_refused() {
    let case = Case::ready();
    let output = case.run(&["audit", "-q", "logs", "--fail-on", "low"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["--fail-on needs a register", "hint: "]);
}

#[test]
fn filters_by_credential() {
    check(&["--credential", "key-globex-2"], &[2, 3, 8]);
    check(&["--credential", "…ex-2"], &[2, 3, 8]);
    check(&["--credential", "key-nobody-9"], &[4]);
    check(&["--credential", "…dy-9", "--credential", "key-old-5"], &[4, 9]);
    // As a register may write it; in either case.
    let whole = format!("sha256:{}", sha256("key-nobody-9"));
    check(&["--credential", &whole], &[4]);
    check(&["--credential", &whole.to_uppercase().replace("SHA256", "sha256")], &[4]);
    check(&["--credential", "ex-2"], &[]);
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn filters_by_api_and_operation() {
    check(&["--api", "messages"], &[1, 2, 3, 4, 5, 6, 8, 9]);
    check(&["--operation", "write"], &[6]);
    check(&["--operation", "read"], &[1, 2, 3, 4, 5, 8, 9]);
    check(&["--api", "message"], &[]);
}

#[test]
fn filters_by_verdict_and_by_what_is_also_held() {
    check(&["--verdict", "after-revocation"], &[2, 3, 8, 9]);
    check(&["--verdict", "stale-credential"], &[9]);
    check(&["--verdict", "granted", "--verdict", "anonymous"], &[1, 5]);
    check(&["--verdict", "open"], &[]);
    check(&["--verdict", "hindsight"], &[]);
}

#[test]
fn filters_by_outcome() {
    check(&["--outcome", "served"], &[1, 2, 4, 6, 8]);
    check(&["--outcome", "denied", "--outcome", "failed"], &[3, 5, 7]);
    check(&["--outcome", "unknown"], &[9]);
}

#[test]
fn filters_by_subject() {
    check(&["--subject", "ann"], &[1, 2, 6]);
    check(&["--subject", "nobody"], &[]);
}

#[test]
fn filters_by_window() {
    check(&["--since", "2018-12-18T09:03:00Z", "--until", "2018-12-18T10:00:00Z"], &[4, 5, 6, 7]);
    check(&["--until", "2018-12-18T09:00:00.000000001Z"], &[1]);
    check(&["--since", "1545127260.25"], &[9]);
}

#[test]
fn filters_of_different_kinds_must_all_hold() {
    check(&["--partner", "globex", "--outcome", "served", "--subject", "bob"], &[8]);
    check(&["--partner", "acme", "--verdict", "after-revocation"], &[]);
}

#[test]
fn a_finding_leads_to_its_calls() {
    let case = Case::mixed();
    for (kind, expected) in [
        ("after-revocation", &[2, 3, 8, 9][..]),
        ("stale-credential", &[9]),
        ("unknown-credential", &[4]),
        ("anonymous", &[5]),
        ("out-of-scope", &[6]),
        ("unlisted-api", &[7]),
    ] {
        let id = finding(&case, kind);
        assert_eq!(lines(&run(&case, &["logs", "--finding", &id]).expect_status(0)), expected);
        // As much of it as is unique will do.
        assert_eq!(lines(&run(&case, &["logs", "--finding", &id[..9]]).expect_status(0)), expected);
    }
    let id = finding(&case, "after-revocation");
    let output = run(&case, &["logs", "--finding", &id, "--outcome", "denied"]).expect_status(0);
    assert_eq!(lines(&output), [3]);
}

#[test]
fn a_finding_that_is_not_told_apart_or_not_there() {
    let case = Case::mixed();
    let output = run(&case, &["logs", "--finding", "os-"]).expect_status(2).expect_no_stdout();
    let id = finding(&case, "anonymous");
    output.expect_stderr(&[
        "error: --finding: `os-` begins 6 findings: ",
        &id,
        "hint: give more of the id",
    ]);
    let output = run(&case, &["logs", "--finding", "os-0"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: --finding: found no finding that begins with `os-0`"]);
    // It is judged by the same window: there the finding is not.
    let arguments = ["logs", "--finding", &id, "--until", "2018-12-18T09:01:00Z"];
    run(&case, &arguments).expect_status(2).expect_no_stdout();
}

#[test]
fn a_finding_is_not_sought_in_what_can_be_read_once() {
    let case = Case::mixed();
    let arguments = ["calls", "--register", "register", "--finding", "os-a", "-"];
    let output = case.run_with_input(&arguments, MIXED.as_bytes()).expect_status(2);
    output
        .expect_no_stdout()
        .expect_stderr(&["error: --finding reads the logs twice", "hint: save it"]);
    // Other filters do with one reading.
    let arguments = ["calls", "--register", "register", "--partner", "acme", "-"];
    let output = case.run_with_input(&arguments, MIXED.as_bytes()).expect_status(0);
    assert_eq!(lines(&output), [1, 6, 7]);
    assert_eq!(output.json_lines()[0]["path"], "-");
}

#[test]
fn the_hundredth_and_first_unknown_key_is_among_the_others() {
    // 100 keys with two calls each are findings of their own; the two with one call share one.
    let mut log = String::new();
    for key in 0..102 {
        let times = if key < 100 { 2 } else { 1 };
        log += &calls(1).replace("key-acme-1", &format!("guess-{key:03}")).repeat(times);
    }
    let case = Case::with_register().file("logs/x.log", &log);
    let report =
        case.run(&["audit", "--json", "--register", "register", "logs"]).expect_status(0).report();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 101);
    let other = findings.iter().find(|f| f["credentials"] == json!(["(other)"])).unwrap();
    assert_eq!(other["served"], 2);
    let output = run(&case, &["logs", "--finding", other["id"].as_str().unwrap()]).expect_status(0);
    assert_eq!(lines(&output), [201, 202]);
}

#[test]
fn raw_prints_the_logs_own_lines() {
    let case = Case::mixed();
    let output = run(&case, &["logs", "--raw", "--partner", "globex"]).expect_status(0);
    let wanted: Vec<&str> = [1, 2, 7, 8].iter().map(|i| MIXED.lines().nth(*i).unwrap()).collect();
    assert_eq!(output.stdout, wanted.join("\n") + "\n");
    // To the byte, but for the line ending; whatever the compression.
    let case = case.file("logs/mixed.log", gzip(MIXED.replace('\n', "\r\n")));
    let output = run(&case, &["logs", "--raw", "--partner", "globex"]).expect_status(0);
    assert_eq!(output.stdout_bytes, (wanted.join("\n") + "\n").into_bytes());
}

#[test]
fn distinct_prints_each_value_once() {
    let case = Case::mixed();
    for (field, expected) in [
        ("subject", &["ann", "bob", "cat", "dan", "eve"][..]),
        ("partner", &["acme", "globex"]),
        ("credential", &["…me-1", "…ex-2", "…dy-9", "…ld-5"]),
        ("api", &["messages"]),
        ("operation", &["read", "write"]),
        ("actor", &["robot"]),
    ] {
        let output = run(&case, &["logs", "--distinct", field]).expect_status(0);
        let expected: Vec<Value> = expected.iter().map(|value| json!({ field: value })).collect();
        assert_eq!(output.json_lines(), expected);
    }
    let arguments = ["logs", "--distinct", "subject", "--verdict", "after-revocation"];
    let output = run(&case, &arguments).expect_status(0);
    assert_eq!(
        output.json_lines(),
        [json!({"subject": "ann"}), json!({"subject": "bob"}), json!({"subject": "eve"})]
    );
}

#[test]
fn distinct_is_over_all_logs() {
    let case = Case::mixed().file("logs/again.log", MIXED);
    let output = run(&case, &["logs", "--distinct", "subject"]).expect_status(0);
    assert_eq!(output.json_lines().len(), 5);
}

#[test]
fn line_numbers_and_order_do_not_depend_on_how_a_log_is_read() {
    let mixed = format!("\n{}\n \n", MIXED.replacen('\n', "\ngarbage\n\n", 1));
    let case = Case::mixed()
        .file("logs/mixed.log", &mixed)
        .file("logs/a.log.gz", gzip(MIXED))
        .file("logs/z.log", calls(300));
    let arguments = ["logs", "--max-rejects", "100%"];
    let expected = run(&case, &arguments).expect_status(0);
    for call in expected.json_lines() {
        if call["path"] == "logs/mixed.log" {
            // What stands there is this call.
            let (line, offset) = (call["line"].as_u64().unwrap(), call["offset"].as_u64().unwrap());
            let text = mixed.lines().nth(line as usize - 1).unwrap();
            assert!(mixed[offset as usize..].starts_with(text));
            let at = call["at"].as_str().unwrap();
            assert!(text.contains(at), "{text} at {at}");
        }
    }
    for way in [
        &["--chunk-bytes", "1"][..],
        &["--chunk-bytes", "1", "--threads", "1"],
        &["--chunk-bytes", "100", "--threads", "4", "--io", "mmap"],
        &["--io", "read", "--threads", "2"],
    ] {
        let output = run(&case, &[&arguments, way].concat()).expect_status(0);
        assert_eq!(output.stdout, expected.stdout, "{way:?}");
    }
}

#[test]
fn calls_are_judged_as_known_at_an_instant() {
    let case = Case::mixed().file(
        "register/grants.csv",
        "grant,partner,api,operations,granted_at,revoked_at,recorded_at\n\
         g-acme,acme,messages,read,2018-01-01,,\n\
         g-globex,globex,messages,read,2018-01-01,,\n\
         g-globex,globex,messages,read,2018-01-01,2018-06-01,2019-01-01\n",
    );
    let verdict = |arguments: &[&str]| {
        let output = run(&case, &[&["logs", "--subject", "bob"], arguments].concat());
        let output = output.expect_status(0);
        let call = output.json_lines().remove(0);
        (call["verdict"].clone(), call["also"].clone())
    };
    assert_eq!(verdict(&[]), (json!("after-revocation"), json!(["hindsight"])));
    assert_eq!(verdict(&["--as-known-at", "2018-12-31"]), (json!("granted"), json!([])));
    assert_eq!(verdict(&["--as-known-at", "2019-01-01"]).0, "after-revocation");
}

// --- evidence ---------------------------------------------------------------------------------------------------------

/// The mixed case with its report in `report.json`.
fn with_report() -> Case {
    let case = Case::mixed();
    let arguments = ["audit", "--register", "register", "logs", "--report", "json=report.json"];
    case.run(&arguments).expect_status(0);
    case
}

/// How the lines of evidence fare, each with its offset; there must be as many as findings have.
fn verified(output: &Output) -> Vec<(u64, String)> {
    let lines = output.json_lines();
    // Served or unknown: after-revocation 2, 8, 9; stale-credential 9; unknown-credential 4; out-of-scope 6.
    assert_eq!(lines.len(), 6);
    let mut all: Vec<(u64, String)> = lines
        .iter()
        .map(|line| {
            assert!(line["finding"].as_str().unwrap().starts_with("os-"));
            assert_eq!(line["path"], "logs/mixed.log");
            (line["offset"].as_u64().unwrap(), line["status"].as_str().unwrap().to_owned())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn evidence_that_stands_is_verified() {
    let case = with_report();
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(0);
    assert!(verified(&output).iter().all(|(_, status)| status == "same"));
    assert_eq!(output.stderr, "note: report.json: 6 lines of evidence, all the same\n");
    // What was appended since does not matter, nor whether the log was compressed meanwhile.
    case.write("logs/mixed.log", gzip(format!("{MIXED}{}", calls(3))));
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(0);
    assert!(verified(&output).iter().all(|(_, status)| status == "same"));
}

/// A rotated log is compressed under a longer name.
#[test]
fn evidence_is_found_in_a_log_compressed_since() {
    let case = with_report();
    std::fs::remove_file(case.path("logs/mixed.log")).unwrap();
    for (name, content) in [("logs/mixed.log.gz", gzip(MIXED)), ("logs/mixed.log.zst", zstd(MIXED))]
    {
        case.write(name, content);
        let output = case.run(&["calls", "--verify", "report.json", "--quiet"]).expect_status(0);
        assert!(verified(&output).iter().all(|(_, status)| status == "same"));
        assert_eq!(output.stderr, "");
        std::fs::remove_file(case.path(name)).unwrap();
    }
}

#[test]
fn nothing_that_matched_is_said() {
    let case = Case::mixed();
    let output = case.run(&["calls", "--register", "register", "logs", "--subject", "nobody"]);
    output.expect_status(0).expect_no_stdout().expect_stderr(&["note: no call matched\n"]);
}

#[test]
fn evidence_that_changed_is_told() {
    let case = with_report();
    case.write("logs/mixed.log", MIXED.replace("/messages/cat", "/messages/dog"));
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(2);
    let offset = MIXED.lines().take(3).map(|line| line.len() as u64 + 1).sum::<u64>();
    for (at, status) in verified(&output) {
        assert_eq!(status, if at == offset { "changed" } else { "same" }, "at {at}");
    }
    output.expect_stderr(&[
        "warning: logs/mixed.log: 1 of 6 lines of evidence changed or are gone\n",
    ]);
}

#[test]
fn evidence_that_moved_or_is_cut_off_is_told() {
    let case = with_report();
    case.write("logs/mixed.log", format!("\n{MIXED}"));
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(2);
    assert!(verified(&output).iter().all(|(_, status)| status == "changed"));
    case.write(
        "logs/mixed.log",
        MIXED.lines().take(8).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(2);
    let changed = verified(&output).iter().filter(|(_, status)| status == "changed").count();
    assert_eq!(changed, 2, "the ninth line is evidence of two findings");
}

#[test]
fn evidence_whose_log_is_gone_is_told() {
    let case = with_report();
    std::fs::remove_file(case.path("logs/mixed.log")).unwrap();
    let output = case.run(&["calls", "--verify", "report.json"]).expect_status(2);
    assert!(verified(&output).iter().all(|(_, status)| status == "unreadable"));
    output.expect_stderr(&["warning: logs/mixed.log: the log is not there\n"]);
}

#[test]
fn evidence_of_a_config_starts_from_its_folder() {
    let config =
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"logs/*\"]\n";
    let case = Case::mixed().file("overstay.toml", config);
    case.run(&["audit", "--report", "json=report.json"]).expect_status(0);
    let elsewhere = Case::new();
    let (config, report) = (case.path("overstay.toml"), case.path("report.json"));
    let arguments = [
        "calls".as_ref(),
        "--config".as_ref(),
        config.as_os_str(),
        "--verify".as_ref(),
        report.as_os_str(),
    ];
    let output = elsewhere.run(&arguments).expect_status(0);
    assert!(verified(&output).iter().all(|(_, status)| status == "same"));
}

/// A log of the same name elsewhere is another log: a comparison with it would accuse or clear nobody.
#[test]
fn evidence_is_looked_for_in_no_other_folder() {
    let config =
        "[register]\nsource = \"../register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"logs/*\"]\n";
    let case =
        Case::mixed().file("conf/overstay.toml", config).file("conf/logs/mixed.log", calls(3));
    let by_argument = ["audit", "--config", "conf/overstay.toml"];
    case.run(&[&by_argument[..], &["logs/mixed.log", "--report", "json=report.json"]].concat())
        .expect_status(0);
    let verify = ["calls", "--config", "conf/overstay.toml", "--verify", "report.json"];
    let output = case.run(&verify).expect_status(0);
    assert!(verified(&output).iter().all(|(_, status)| status == "same"));

    std::fs::remove_file(case.path("logs/mixed.log")).unwrap();
    let output = case.run(&verify).expect_status(2);
    assert!(verified(&output).iter().all(|(_, status)| status == "unreadable"));
    // A folder or a pattern of that name holds other logs.
    case.write("logs/mixed.log/a", MIXED);
    let output = case.run(&verify).expect_status(2);
    output.expect_stderr(&["warning: logs/mixed.log: found what is no file, expected a log\n"]);
}

#[test]
fn evidence_of_a_config_needs_it() {
    let config = "[register]\nsource = \"../register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"../logs/*\"]\n";
    let case = Case::mixed().file("conf/overstay.toml", config);
    case.run(&["audit", "--config", "conf/overstay.toml", "--report", "json=report.json"])
        .expect_status(0);
    let output =
        case.run(&["calls", "--verify", "report.json"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: report.json: its paths are relative to the folder of its configuration",
        "hint: ",
    ]);
}

#[test]
fn what_is_no_report_is_not_verified() {
    let case = Case::new()
        .file("x.json", "{\"schema\": 1")
        .file("y.json", "{\"schema\":\"other/1\",\"findings\":[]}");
    let output = case.run(&["calls", "--verify", "x.json"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: x.json: 1: ", "found no JSON report", "hint: "]);
    let output = case.run(&["calls", "--verify", "y.json"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: y.json: found schema `other/1`, expected `overstay.report/1`"]);
    let output = case.run(&["calls", "--verify", "missing.json"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["error: missing.json: no such file or directory"]);
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
    let logs = ["--log-format", "json", "many.log"];
    let arguments = [&["audit", "--json", "--register", "register"], &logs[..]].concat();
    let report = case.run(&arguments).expect_status(0).report();
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
        let output = run(&case, &[&logs[..], &["--finding", id]].concat()).expect_status(0);
        let served = finding["served"].as_u64().unwrap();
        assert_eq!(output.stdout.lines().count() as u64, served);
        if finding["api"] == "(other)" {
            assert_eq!(served, 70_000 - 65_536);
        }
    }
}

/// What was absent stays absent beyond the bound: one problem is one finding, however many names a scan brings.
#[test]
fn a_bound_splits_no_finding_of_calls_without_an_api() {
    let line = |n: usize| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"key-acme-1\",\"path\":\"/no/route\",\"operation\":\"op-{n}\",\"status\":200}}\n"
        )
    };
    let case = Case::with_register().file("many.log", (0..70_000).map(line).collect::<String>());
    let logs = ["--log-format", "json", "many.log"];
    let arguments = [&["audit", "--json", "--register", "register"], &logs[..]].concat();
    let report = case.run(&arguments).expect_status(0).report();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["api"], Value::Null);
    assert_eq!(findings[0]["served"], 70_000);
    // 32 names are as many as a person reads.
    let operations = findings[0]["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 33);
    assert_eq!(operations[0], "(other)");
    let id = findings[0]["id"].as_str().unwrap();
    let output = run(&case, &[&logs[..], &["--finding", id]].concat()).expect_status(0);
    assert_eq!(output.stdout.lines().count(), 70_000);
}

/// A megabyte is no name, and a few thousand of them would fill memory.
#[test]
fn a_name_that_nobody_gives_is_other() {
    let long = |n: usize| format!("{n}{}", "x".repeat(2000));
    let line = |n: usize| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"key-acme-1\",\"api\":\"{}\",\"status\":200}}\n",
            long(n)
        )
    };
    let case = Case::with_register().file("long.log", (0..5).map(line).collect::<String>());
    let logs = ["--log-format", "json", "long.log"];
    let arguments = [&["audit", "--json", "--register", "register"], &logs[..]].concat();
    let report = case.run(&arguments).expect_status(0).report();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(
        (findings.len(), &findings[0]["api"], &findings[0]["served"]),
        (1, &json!("(other)"), &json!(5))
    );
    let id = findings[0]["id"].as_str().unwrap();
    let output = run(&case, &[&logs[..], &["--finding", id]].concat()).expect_status(0);
    assert_eq!(output.stdout.lines().count(), 5);
}

/// Two keys may end alike; masked, they look like one.
#[test]
fn credentials_that_end_alike_are_told_apart() {
    let line = |key: &str| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"{key}\",\"path\":\"/messages/ann\",\"status\":200}}\n"
        )
    };
    let log = ["first-1234", "second-1234", "first-1234", "third-5678"].map(line).concat();
    let case = Case::with_register().file("alike.log", log);
    let logs = ["--log-format", "json", "alike.log"];
    let output = run(&case, &[&logs[..], &["--distinct", "credential"]].concat()).expect_status(0);
    let alike = json!({"credential": "…1234"});
    assert_eq!(output.json_lines(), [alike.clone(), alike, json!({"credential": "…5678"})]);
    for end in ["…1234", "...1234"] {
        let output = run(&case, &[&logs[..], &["--credential", end]].concat()).expect_status(0);
        assert_eq!(lines(&output), [1, 2, 3]);
    }
    // Without a register the report counts by credential.
    let audit = [&["audit", "--json"], &logs[..]].concat();
    let report = case.run(&audit).expect_status(0).report();
    assert!(report["headline"].as_str().unwrap().contains("3 credentials"));
    let shown: Vec<(&str, u64)> = report["usage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["credential"].as_str().unwrap(), row["calls"].as_u64().unwrap()))
        .collect();
    assert_eq!(shown.len(), 3);
    // The one with the smaller SHA-256 is the first: `printf first-1234 | sha256sum`.
    assert_eq!(shown, [("…1234", 2), ("…1234 (2)", 1), ("…5678", 1)]);
}
