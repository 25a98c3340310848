//! Reports for other programs: metrics in Prometheus itself with the rules of the manual, and findings as events of OCSF. Where
//! those programs are not installed, that is skipped.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Case, repository};
use crate::nightly::{CONFIG, append, bad, case, good};
use crate::servers::{SINCE_START, Server, free_port, is_installed, send};

const OUTPUTS: &str = r#"
[report]
outputs = ["json=report.json", "prometheus=metrics/overstay.prom", "ocsf=findings.jsonl"]
"#;

/// The rules of the manual.
fn rules() -> String {
    let manual = std::fs::read_to_string(repository("docs/alerts.md")).unwrap();
    let section = manual.split("## Metrics for Prometheus\n").nth(1).unwrap();
    let block = section.split("```yaml\n").find(|block| block.starts_with("groups:")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The samples of metrics, by name and labels.
fn samples(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

fn night(case: &Case, day: u32, rest: &[&str]) -> crate::harness::Output {
    let at = format!("2018-12-{day:02}T02:00:00Z");
    case.run(&[&["nightly", "--quiet", "--run-at", &at], rest].concat())
}

/// A case whose nights write metrics and events, with a call after its grant's end.
fn found(config: &str) -> Case {
    let case = case(&format!("{CONFIG}{config}{OUTPUTS}")).file("metrics/README", "");
    append(&case, "logs/a.log", bad("12-18T09:00", 200) + &good("12-18T10:00"));
    case
}

const OPEN: &str = "overstay_findings{severity=\"critical\",status=\"";

fn critical(samples: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let of = samples
        .iter()
        .filter_map(|(name, count)| Some((name.strip_prefix(OPEN)?.strip_suffix("\"}")?, *count)));
    of.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn metrics_of_an_audit_say_what_its_report_says() {
    let case = Case::mixed();
    let audit = ["audit", "-q", "--register", "register", "logs", "--report"];
    let shown = case.run(&[&audit[..], &["prometheus"]].concat()).expect_status(0).stdout.clone();
    case.run(&[&audit[..], &["prometheus=out.prom"]].concat()).expect_status(0).expect_no_stdout();
    assert_eq!(case.read("out.prom"), shown);
    let samples = samples(&shown);
    // As the table of the case has them.
    for (name, count) in [
        ("overstay_complete", 1),
        ("overstay_rejects", 0),
        (r#"overstay_calls{partner="",outcome="served"}"#, 1),
        (r#"overstay_calls{partner="",outcome="denied"}"#, 1),
        (r#"overstay_calls{partner="acme",outcome="served"}"#, 2),
        (r#"overstay_calls{partner="acme",outcome="failed"}"#, 1),
        (r#"overstay_calls{partner="globex",outcome="served"}"#, 2),
        (r#"overstay_calls{partner="globex",outcome="denied"}"#, 1),
        (r#"overstay_calls{partner="globex",outcome="unknown"}"#, 1),
        (r#"overstay_overstayed_calls{partner="acme"}"#, 0),
        (r#"overstay_overstayed_calls{partner="globex"}"#, 3),
    ] {
        assert_eq!(samples.get(name), Some(&count), "{name}");
    }
    assert_eq!(critical(&samples), [("found", 1)]);
    assert!(!shown.contains("overstay_last_commit") && !shown.contains("overstay_run"));
}

#[test]
fn what_is_critical_stays_in_the_metrics_until_it_is_over() {
    let case = found("");
    let metrics = || samples(&case.read("metrics/overstay.prom"));
    night(&case, 19, &[]).expect_status(0).expect_no_stdout();
    assert_eq!(critical(&metrics()), [("new", 1)]);
    assert_eq!(metrics()["overstay_run"], 1);
    // `date -u -d 2018-12-19T02:00:00Z +%s`
    assert_eq!(metrics()["overstay_last_commit_timestamp_seconds"], 1_545_184_800);
    // A night without a call: the finding stands.
    night(&case, 20, &[]).expect_status(0);
    assert_eq!(critical(&metrics()), [("ongoing", 1)]);
    assert_eq!(metrics()["overstay_run"], 2);
    // The report of all days has it as the run that found it last told of it.
    let report = case.run(&["report", "--report", "prometheus"]).expect_status(0);
    assert_eq!(critical(&samples(&report.stdout)), [("new", 1)]);
    assert_eq!(samples(&report.stdout)["overstay_run"], 2);
    append(&case, "logs/a.log", good("12-20T10:00"));
    night(&case, 21, &[]).expect_status(0);
    assert_eq!(critical(&metrics()), [("resolved", 1)]);
    append(&case, "logs/a.log", bad("12-21T10:00", 200));
    // What is only tried commits nothing, and writes none.
    let before = case.read("metrics/overstay.prom");
    let tried = night(&case, 22, &["--dry-run", "--report", "prometheus"]).expect_status(0);
    assert_eq!(critical(&samples(&tried.stdout)), [("reopened", 1)]);
    assert!(
        !tried.stdout.contains("overstay_last_commit") && !tried.stdout.contains("overstay_run")
    );
    assert_eq!(case.read("metrics/overstay.prom"), before);
    night(&case, 22, &[]).expect_status(0);
    assert_eq!(critical(&metrics()), [("reopened", 1)]);
    let suppressed = "[[suppress]]\nkind = \"after-revocation\"\nowner = \"us\"\nreason = \"wind-down\"\nuntil = \"2019-12-31\"\n";
    case.write("overstay.toml", format!("{CONFIG}{suppressed}{OUTPUTS}"));
    night(&case, 23, &[]).expect_status(0);
    assert_eq!(critical(&metrics()), []);
    assert_eq!(metrics()[r#"overstay_findings{severity="",status="suppressed"}"#], 1);
}

#[test]
fn events_of_a_night_are_its_findings() {
    let case = found("");
    let events = || -> Vec<Value> {
        let text = case.read("findings.jsonl");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut ids = Vec::new();
    for (day, calls, activity, status) in [
        (19, String::new(), "Create", "New"),
        (20, bad("12-19T10:00", 200), "Update", "ongoing"),
        (21, good("12-20T10:00"), "Close", "Resolved"),
        (22, bad("12-21T10:00", 200), "Update", "New"),
    ] {
        append(&case, "logs/a.log", calls);
        night(&case, day, &[]).expect_status(0);
        let report: Value = serde_json::from_str(&case.read("report.json")).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let events = events();
        assert_eq!(events.len(), findings.len());
        for (event, finding) in events.iter().zip(findings) {
            assert_eq!(event["finding_info"]["uid"], finding["id"]);
            assert_eq!(event["message"], finding["summary"]);
            assert_eq!(event["unmapped"]["status"], finding["status"]);
            assert_eq!(event["unmapped"]["served"], finding["served"]);
            ids.push(event["metadata"]["uid"].as_str().unwrap().to_owned());
        }
        let misuse =
            events.iter().find(|event| event["metadata"]["event_code"] == "after-revocation");
        let misuse = misuse.unwrap();
        assert_eq!(
            (&misuse["activity_name"], &misuse["status"]),
            (&activity.into(), &status.into())
        );
        assert_eq!(misuse["finding_info"]["uid"], events[0]["finding_info"]["uid"]);
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each event has an id of its own");
    // Nobody's id and no line is in it.
    let audit = ["audit", "-q", "--register", "register", "logs", "--report", "ocsf"];
    let mixed = Case::mixed();
    let text = mixed.run(&audit).expect_status(0).stdout.clone();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    for secret in ["ann", "bob", "cat", "dan", "eve", "robot", "nobody", "192"] {
        assert!(!words.contains(&secret), "{secret}");
    }
    assert!(!text.contains("/messages"), "no path of a call");
    assert!(text.contains("\"uid\":\"…"), "credentials are masked");
}

#[test]
fn events_of_the_sample_fit_the_published_schema() {
    let folder = repository("target/ocsf");
    if !folder.join("version").exists() {
        skipped("scripts/ocsf-schemas has not brought the published schemas");
        return;
    }
    let schema = |name: &str| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    let [detection, analysis] = ["detection_finding", "iam_analysis_finding"].map(schema);
    let config = repository("sample-logs/overstay.toml");
    let config = config.to_str().unwrap();
    let case = Case::new();
    let output = case.run(&["audit", "-q", "--config", config, "--report", "ocsf"]);
    let mut classes = BTreeMap::new();
    for event in output.json_lines() {
        let class = event["class_uid"].as_u64().unwrap();
        let schema = if class == 2008 { &analysis } else { &detection };
        if let Err(error) = schema.validate(&event) {
            panic!("{}: {error}\n{event:#}", error.instance_path());
        }
        *classes.entry(class).or_insert(0) += 1;
    }
    assert!(classes[&2004] > 5 && classes[&2008] > 0, "{classes:?}");
}

#[expect(clippy::print_stderr, reason = "says that it is skipped")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Runs promtool, which must be content.
fn promtool(case: &Case, arguments: &[&str]) -> String {
    let output = case.finish(case.tool("promtool", arguments)).expect_status(0);
    format!("{}{}", output.stdout, output.stderr)
}

#[test]
fn promtool_finds_nothing_wrong_with_metrics() {
    if !is_installed("promtool") {
        return;
    }
    let hostile = "a\"b\\c\u{202e}\u{1b}[2J} 1";
    let quoted = format!("\"{}\"", hostile.replace('"', "\"\""));
    let case = Case::mixed()
        .file("register/partners.csv", format!("partner\nacme\nglobex\n{quoted}\n"))
        .file(
            "register/credentials.csv",
            format!("credential,partner\nkey-acme-1,{quoted}\nkey-globex-2,globex\n"),
        );
    let audit =
        ["audit", "-q", "--register", "register", "logs", "--report", "prometheus=out.prom"];
    case.run(&audit).expect_status(0);
    assert!(
        case.read("out.prom")
            .contains(r#"partner="a\"b\\c\\u{202e}\\u{1b}[2J} 1",outcome="served"} 2"#)
    );
    let night = found("expect = \"hourly\"\n");
    self::night(&night, 19, &[]).expect_status(0);
    for text in [case.read("out.prom"), night.read("metrics/overstay.prom")] {
        case.write("in.prom", text);
        let mut command = case.tool("promtool", &["check", "metrics"]);
        command.stdin(std::fs::File::open(case.path("in.prom")).unwrap());
        // Of what it would have otherwise it minds one thing: that time is not in seconds. Coverage is hours, as in the report.
        let output = case.finish(command).expect_status(3).expect_no_stdout();
        let told = "overstay_coverage_hours use base unit \"seconds\" instead of \"hours\"\n";
        assert_eq!(output.stderr, told);
    }
}

#[test]
fn the_rules_of_the_manual_fire_when_they_should() {
    if !is_installed("promtool") {
        return;
    }
    let case = found("expect = \"hourly\"\n").file("rules.yml", rules());
    let told = promtool(&case, &["check", "rules", "rules.yml"]);
    assert!(told.contains("SUCCESS: 6 rules found"), "{told}");
    night(&case, 19, &[]).expect_status(0);
    let written = case.read("metrics/overstay.prom");
    // From 09:00, the first call, to midnight two hours have one, and 13 don't.
    assert_eq!(samples(&written)[r#"overstay_coverage_hours{source="core",state="missing"}"#], 13);
    append(&case, "logs/a.log", "no call\n");
    night(&case, 20, &[]).expect_status(3);
    let partial = case.read("metrics/overstay.prom");
    let quiet = "overstay_complete 1\noverstay_last_commit_timestamp_seconds 0\n\
        overstay_findings{severity=\"critical\",status=\"resolved\"} 3\n\
        overstay_findings{severity=\"critical\",status=\"suppressed\"} 3\n\
        overstay_findings{severity=\"high\",status=\"new\"} 3\n\
        overstay_coverage_hours{source=\"core\",state=\"missing\"} 0\n\
        overstay_coverage_hours{source=\"core\",state=\"seen\"} 24\n";
    // Time begins at 0 here, and each sample stays for 30 hours.
    let series = |text: &str| -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            format!("      - series: '{name}'\n        values: '{value}+0x1800'\n")
        });
        lines.collect()
    };
    // How many hours are missing by the second report is that report's affair, not the rule's.
    let missing = |text: &str| {
        samples(text)
            .get(r#"overstay_coverage_hours{source="core",state="missing"}"#)
            .map_or(0, |hours| *hours)
    };
    let rules = rules();
    let mut tests = "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n".to_owned();
    for (text, at, firing) in [
        (written.as_str(), "1h", &["OverstayCriticalOpen", "OverstayCoverageMissing"][..]),
        (&partial, "1h", &["OverstayCriticalOpen", "OverstayPartial", "OverstayCoverageMissing"]),
        (
            "overstay_alerts_waiting 2\noverstay_last_commit_timestamp_seconds 0\n",
            "1h",
            &["OverstayAlertsWaiting"],
        ),
        (quiet, "26h", &[]),
        (quiet, "26h1m", &["OverstayNotRun"]),
        ("", "59m", &[]),
        ("", "61m", &["OverstayNoMetrics"]),
    ] {
        tests += &format!("  - interval: 1m\n    input_series:\n{}", series(text));
        tests += "    alert_rule_test:\n";
        let hours = format!("{} hours of the logs of core have no call", missing(text));
        for (name, labels, summary) in [
            (
                "OverstayCriticalOpen",
                "severity: critical",
                "1 critical findings of overstay are open",
            ),
            (
                "OverstayNotRun",
                "severity: warning",
                "overstay has committed no run for 1d 2h 1m 0s",
            ),
            ("OverstayNoMetrics", "severity: warning", "there are no metrics of overstay"),
            (
                "OverstayAlertsWaiting",
                "severity: warning",
                "2 alerts of overstay are not delivered",
            ),
            (
                "OverstayPartial",
                "severity: warning",
                "overstay could not read all that it was to read",
            ),
            (
                "OverstayCoverageMissing",
                "severity: warning, source: core, state: missing",
                hours.as_str(),
            ),
        ] {
            tests +=
                &format!("      - alertname: {name}\n        eval_time: {at}\n        exp_alerts:");
            if !firing.contains(&name) {
                tests += " []\n";
                continue;
            }
            let of_rule = rules.split(&format!("alert: {name}\n")).nth(1).unwrap();
            let description = of_rule.split("description: ").nth(1).unwrap();
            let description = description.lines().next().unwrap();
            tests += &format!(
                "\n          - exp_labels: {{ {labels} }}\n            exp_annotations:\n              \
                 summary: \"{summary}\"\n              description: {description}\n"
            );
        }
    }
    case.write("tests.yml", tests);
    promtool(&case, &["test", "rules", "tests.yml"]);
}

/// The alerts that a Prometheus has firing.
fn firing(port: u16) -> Vec<String> {
    let request = "GET /api/v1/alerts HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let answer = send(port, request);
    let Some((_, body)) = answer.split_once("\r\n\r\n") else { return Vec::new() };
    let Ok(answer) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let mut names: Vec<String> =
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Waits until these alerts are firing, and no others.
fn wait_for(port: u16, expected: &[&str]) {
    let started = Instant::now();
    loop {
        let firing = firing(port);
        if firing == expected {
            return;
        }
        assert!(started.elapsed() < 3 * SINCE_START, "found {firing:?}, expected {expected:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// From a log to an alert: overstay writes, node_exporter collects, Prometheus asks it and judges by the rules of the manual.
#[test]
fn prometheus_alerts_until_the_finding_is_over() {
    if !["prometheus", "prometheus-node-exporter"].iter().all(|program| is_installed(program)) {
        return;
    }
    let case = found("").file("rules.yml", rules());
    let [exporter_port, port] = [free_port(), free_port()];
    case.write(
        "prometheus.yml",
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  \
             - job_name: node\n    static_configs: [{{ targets: [\"127.0.0.1:{exporter_port}\"] }}]\n"
        ),
    );
    let start = |program: &str, arguments: &[String]| {
        let mut command = case.tool(program, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Server(command.spawn().unwrap())
    };
    night(&case, 19, &[]).expect_status(0);
    let _exporter = start(
        "prometheus-node-exporter",
        &[
            "--collector.disable-defaults".to_owned(),
            "--collector.textfile".to_owned(),
            format!("--collector.textfile.directory={}", case.path("metrics").display()),
            format!("--web.listen-address=127.0.0.1:{exporter_port}"),
        ],
    );
    let _prometheus = start(
        "prometheus",
        &[
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=tsdb".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
    );
    // By its clock the run of 2018 is long ago.
    wait_for(port, &["OverstayCriticalOpen", "OverstayNotRun"]);
    let answer = send(exporter_port, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(answer.contains("node_textfile_scrape_error 0\n"), "{answer}");
    assert!(answer.contains("overstay_run 1\n"), "{answer}");
    // A night in which the finding only stands, and one that ends it.
    night(&case, 20, &[]).expect_status(0);
    let started = Instant::now();
    while !send(exporter_port, "GET /metrics HTTP/1.0\r\n\r\n").contains("overstay_run 2\n") {
        assert!(started.elapsed() < SINCE_START);
        std::thread::sleep(Duration::from_millis(200));
    }
    // More than one scrape later.
    std::thread::sleep(Duration::from_secs(3));
    wait_for(port, &["OverstayCriticalOpen", "OverstayNotRun"]);
    append(&case, "logs/a.log", good("12-20T10:00"));
    night(&case, 21, &[]).expect_status(0);
    wait_for(port, &["OverstayNotRun"]);
}
