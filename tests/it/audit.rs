//! `overstay audit`: what it reads, what it reports, where to, and how it ends.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::harness::{self, Case, MIXED, Output, calls, gzip, repository, zstd};

/// The report on `logs`, judged by `register`.
fn audit(case: &Case, arguments: &[&str]) -> Output {
    case.run(&[&["audit", "--json", "--register", "register", "logs"], arguments].concat())
}

/// The report by `overstay.toml`.
fn configured(case: &Case, arguments: &[&str]) -> Output {
    case.run(&[&["audit", "--json"], arguments].concat())
}

/// The mixed case with a config of one source, and this at its end.
fn with_config(rest: &str) -> Case {
    let config =
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"logs/*\"]\n";
    Case::mixed().file("overstay.toml", format!("{config}{rest}"))
}

/// The only finding of that kind.
fn finding<'r>(report: &'r Value, kind: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    let mut of_kind = findings.iter().filter(|finding| finding["kind"] == kind);
    let found = of_kind.next().unwrap_or_else(|| panic!("no finding {kind}"));
    assert!(of_kind.next().is_none(), "one finding {kind}");
    found
}

/// A gzip file that ends in the middle, many lines in.
fn cut_gzip() -> Vec<u8> {
    let whole = gzip(calls(3000));
    whole[..whole.len() / 2].to_vec()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn the_mixed_log_has_the_findings_it_was_written_for() {
    let report = audit(&Case::mixed(), &[]).expect_status(0).report();
    let findings = report["findings"].as_array().unwrap();
    let mut told: Vec<Value> = findings
        .iter()
        .map(|f| {
            json!([f["severity"], f["kind"], f["partner"], f["served"], f["denied"], f["failed"]])
        })
        .collect();
    told.sort_by_key(|row| row[1].as_str().unwrap().to_owned());
    assert_eq!(
        json!(told),
        json!([
            ["critical", "after-revocation", "globex", 3, 1, 0],
            ["low", "anonymous", null, 0, 1, 0],
            ["high", "out-of-scope", "acme", 1, 0, 0],
            ["high", "stale-credential", "globex", 1, 0, 0],
            ["high", "unknown-credential", null, 1, 0, 0],
            ["low", "unlisted-api", null, 0, 0, 1],
        ])
    );
    let after = finding(&report, "after-revocation");
    assert_eq!(after["since"], "2018-06-01T00:00:00Z");
    // From 2018-06-01T00:00:00Z to the last served (or unknown) call, a quarter of a second cut off: 200 d 10 h 1 min.
    assert_eq!(after["overstay_s"], (200 * 24 + 10) * 3600 + 60);
    assert_eq!(after["subjects"]["count"], 3);
    assert_eq!(after["bytes_served"], 20 + 80 + 90);
    assert_eq!(after["credentials"], json!(["…ex-2", "…ld-5"]));
    assert_eq!(after["evidence"].as_array().unwrap().len(), 3);
    // The call is judged after the revocation, so the old key lapsed no later than it.
    let stale = finding(&report, "stale-credential");
    assert_eq!(stale["since"], "2018-02-01T00:00:00Z");
    assert_eq!(stale["credentials"], json!(["…ld-5"]));
}

/// A call of globex, whose grant was revoked at 2018-06-01T00:00:00Z.
fn late(at: &str, status: u16) -> String {
    let call = json!({
        "time": at, "client_id": "key-globex-2", "method": "GET", "path": "/messages/ann", "status": status,
    });
    format!("{call}\n")
}

#[test]
fn an_interval_is_half_open() {
    let case = Case::with_register().file("logs/x.log", late("2018-06-01T00:00:00Z", 200));
    let report = audit(&case, &[]).expect_status(0).report();
    let after = finding(&report, "after-revocation");
    assert_eq!((&after["severity"], &after["overstay_s"]), (&json!("critical"), &json!(0)));
    assert_eq!(report["ends"][0]["status"], "open");
    case.write("logs/x.log", late("2018-06-01T00:00:00Z", 403));
    let report = audit(&case, &[]).expect_status(0).report();
    let after = finding(&report, "after-revocation");
    assert_eq!((&after["severity"], &after["overstay_s"]), (&json!("low"), &Value::Null));
    assert_eq!(report["ends"][0]["status"], "cut");
    case.write("logs/x.log", late("2018-05-31T23:59:59.999999999Z", 200));
    let report = audit(&case, &[]).expect_status(0).report();
    assert_eq!((&report["findings"], &report["ends"]), (&json!([]), &json!([])));
}

#[test]
fn caches_may_go_on_for_the_propagation() {
    let log = [late("2018-06-01T00:00:59Z", 200), late("2018-06-01T00:01:00Z", 200)].concat();
    let config = "[register]\nsource = \"register\"\npropagation_s = 60\n[[logs]]\nsource = \"a\"\npaths = [\"x.log\"]\n";
    let case = Case::with_register().file("x.log", log).file("overstay.toml", config);
    let verdicts = || -> Vec<Value> {
        let report = configured(&case, &[]).expect_status(0).report();
        report["usage"].as_array().unwrap().iter().map(|row| row["verdict"].clone()).collect()
    };
    assert_eq!(verdicts(), ["after-revocation", "propagating"]);
    // What an api says of itself goes before the config.
    case.write("register/apis.csv", "api,propagation_s\nmessages,61\n");
    assert_eq!(verdicts(), ["propagating"]);
}

#[test]
fn a_hashed_credential_is_the_plain_one() {
    // SHA-256 of `key-acme-1`, as sha256sum prints it.
    let hash = "sha256:3c6e213e0a0cb7253387f529c2838229a2db3928392972d3e0efe81aab739b2e";
    for hash in [hash.to_owned(), hash.to_uppercase().replace("SHA256", "sha256")] {
        let case = Case::ready().file(
            "register/credentials.csv",
            format!("credential,partner\n{hash},acme\nkey-globex-2,globex\n"),
        );
        let report = audit(&case, &[]).expect_status(0).report();
        assert_eq!(
            (&report["usage"][0]["verdict"], &report["usage"][0]["partner"]),
            (&json!("granted"), &json!("acme"))
        );
    }
}

// --- the exit status --------------------------------------------------------------------------------------------------

#[test]
fn fail_on_turns_the_status() {
    let case = Case::mixed();
    for severity in ["critical", "high", "medium", "low", "info"] {
        let output = audit(&case, &["--fail-on", severity]).expect_status(1);
        // The report is made all the same.
        assert_eq!(output.report()["status"], "complete");
    }
    // Without calls of globex and others nothing is graver than low.
    let case = Case::mixed().file("logs/mixed.log", MIXED.lines().nth(4).unwrap());
    for (severity, status) in [("critical", 0), ("high", 0), ("medium", 0), ("low", 1), ("info", 1)]
    {
        let report = audit(&case, &["--fail-on", severity]).expect_status(status).report();
        assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    }
    // Off unless asked for; and nothing to find is nothing to fail on.
    audit(&Case::mixed(), &[]).expect_status(0);
    audit(&Case::ready(), &["--fail-on", "info"]).expect_status(0);
}

#[test]
fn partial_goes_before_fail_on() {
    let case = Case::mixed().file("logs/cut.log.gz", cut_gzip());
    audit(&case, &["--fail-on", "info"]).expect_status(3);
}

// --- severities and suppressions --------------------------------------------------------------------------------------

#[test]
fn severities_of_the_config_count() {
    let case = with_config(
        "[severity]\nafter-revocation = \"medium\"\nanonymous = \"critical\"\nout-of-scope = \"info\"\n",
    );
    let report = configured(&case, &[]).expect_status(0).report();
    assert_eq!(finding(&report, "after-revocation")["severity"], "medium");
    assert_eq!(finding(&report, "out-of-scope")["severity"], "info");
    // Nothing of it was served: an attempt that was refused is low, whatever its kind.
    assert_eq!(finding(&report, "anonymous")["severity"], "low");
    assert_eq!(finding(&report, "unknown-credential")["severity"], "high");
    configured(&case, &["--fail-on", "critical"]).expect_status(0);
}

fn suppress(what: &str, until: &str) -> String {
    format!("[[suppress]]\n{what}\nowner = \"ann\"\nreason = \"agreed\"\nuntil = \"{until}\"\n")
}

#[test]
fn a_suppressed_finding_stays_and_does_not_fail() {
    let by_kind = suppress(
        "kind = \"after-revocation\"\npartner = \"globex\"\napi = \"messages\"",
        "2019-01-01",
    );
    let case = with_config(&by_kind);
    let report = configured(&case, &["--fail-on", "critical"]).expect_status(0).report();
    let finding = finding(&report, "after-revocation");
    assert_eq!(finding["suppressed_by"], "ann");
    assert_eq!(finding["served"], 3);
    assert_eq!(finding["severity"], "critical");
    assert_eq!(
        report["suppressions"],
        json!([{
            "kind": "after-revocation", "partner": "globex", "api": "messages", "owner": "ann", "reason": "agreed",
            "until": "2019-01-01T00:00:00Z", "expired": false, "hides": 1,
        }])
    );
    configured(&case, &["--fail-on", "high"]).expect_status(1);
    let output = case.run(&["audit"]).expect_status(0);
    assert!(!output.stdout.contains("CRITICAL"), "it is counted, not listed");
    assert!(output.stdout.contains("SUPPRESSED  1"));
    // Another partner or api is not meant.
    for other in ["partner = \"acme\"", "api = \"photos\""] {
        let case =
            with_config(&suppress(&format!("kind = \"after-revocation\"\n{other}"), "2019-01-01"));
        let report = configured(&case, &["--fail-on", "critical"]).expect_status(1).report();
        assert_eq!(report["suppressions"][0]["hides"], 0);
    }
    // A kind alone means all of it.
    let case = with_config(&suppress("kind = \"after-revocation\"", "2019-01-01"));
    configured(&case, &["--fail-on", "critical"]).expect_status(0);
}

#[test]
fn a_finding_is_suppressed_by_its_id_or_as_much_of_it_as_is_unique() {
    let case = with_config("");
    let report = configured(&case, &[]).expect_status(0).report();
    let id = finding(&report, "after-revocation")["id"].as_str().unwrap();
    for text in [id, &id[..8]] {
        let case = with_config(&suppress(&format!("finding = \"{text}\""), "2019-01-01"));
        let report = configured(&case, &["--fail-on", "critical"]).expect_status(0).report();
        assert_eq!(finding(&report, "after-revocation")["suppressed_by"], "ann");
        let others = report["findings"].as_array().unwrap();
        assert_eq!(others.iter().filter(|f| f["suppressed_by"] == Value::Null).count(), 5);
        assert_eq!(report["suppressions"][0]["finding"], id);
        assert_eq!(report["suppressions"][0]["hides"], 1);
    }
}

#[test]
fn a_suppression_whose_id_begins_several_findings_hides_none() {
    // An id's first character is one of 32: of more findings two begin alike.
    let unknown = |n: usize| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"stranger-{n}\",\"path\":\"/messages/ann\",\"status\":200}}\n"
        )
    };
    let log = (0..40).map(unknown).collect::<String>();
    let report =
        configured(&with_config("").file("logs/many.log", &log), &[]).expect_status(0).report();
    let ids = report["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap());
    let mut begun: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    ids.for_each(|id| *begun.entry(id[..4].to_owned()).or_default() += 1);
    let (prefix, several) = begun.into_iter().max_by_key(|(_, count)| *count).unwrap();

    let case = with_config(&suppress(&format!("finding = \"{prefix}\""), "2019-01-01"));
    let output = configured(&case.file("logs/many.log", &log), &["--fail-on", "critical"]);
    let output = output.expect_status(1);
    let report = output.report();
    assert_eq!(report["suppressions"][0]["hides"], 0);
    assert!(
        report["findings"].as_array().unwrap().iter().all(|f| f["suppressed_by"] == Value::Null)
    );
    let told = format!(
        "warning: [[suppress]] finding: `{prefix}` begins {several} findings and hides none\n"
    );
    output.expect_stderr(&[&told]);
}

#[test]
fn a_suppression_may_end_at_a_date_of_toml() {
    let quoted = suppress("kind = \"anonymous\"", "2019-01-31");
    let case = with_config(&quoted.replace("\"2019-01-31\"", "2019-01-31"));
    let report = configured(&case, &[]).expect_status(0).report();
    assert_eq!(report["suppressions"][0]["until"], "2019-01-31T00:00:00Z");
}

#[test]
fn suppressions_are_sorted_by_what_they_name() {
    let of = |partner: &str| {
        suppress(&format!("kind = \"anonymous\"\npartner = \"{partner}\""), "2019-01-01")
    };
    let any = suppress("kind = \"anonymous\"", "2019-01-01");
    for text in [of("b") + &any + &of("a"), of("a") + &of("b") + &any] {
        let report = configured(&with_config(&text), &[]).expect_status(0).report();
        let rows = report["suppressions"].as_array().unwrap();
        let partners: Vec<&Value> = rows.iter().map(|row| &row["partner"]).collect();
        assert_eq!(partners, [&Value::Null, &json!("a"), &json!("b")]);
    }
}

#[test]
fn a_suppression_ends_by_the_windows_end_not_by_the_clock() {
    // The last call is at 2018-12-18T10:01:00.25Z.
    for (until, arguments, expired) in [
        ("2018-12-18T10:01:00.25Z", &[][..], true),
        ("2018-12-18T10:01:00.250000001Z", &[], false),
        ("2018-12-18T10:01:00.25Z", &["--until", "2018-12-18T10:00:30Z"], false),
        ("2018-12-18T10:00:30Z", &["--until", "2018-12-18T10:00:30Z"], true),
        ("2018-12-31", &["--until", "2019-01-01"], true),
        ("2019-01-01", &[], false),
    ] {
        let case = with_config(&suppress("kind = \"after-revocation\"", until));
        let status = i32::from(expired);
        let arguments = [&["--fail-on", "critical"], arguments].concat();
        let report = configured(&case, &arguments).expect_status(status).report();
        let suppression = &report["suppressions"][0];
        assert_eq!(suppression["expired"], expired, "until {until}");
        assert_eq!(suppression["hides"], u64::from(!expired));
    }
}

// --- the window -------------------------------------------------------------------------------------------------------

#[test]
fn calls_outside_the_window_are_counted_apart() {
    let case = Case::mixed().file("logs/mixed.log", format!("{MIXED}garbage\n"));
    let window = [
        "--since",
        "2018-12-18T09:03:00Z",
        "--until",
        "2018-12-18T10:00:00Z",
        "--max-rejects",
        "1",
    ];
    let report = audit(&case, &window).expect_status(0).report();
    // At the start is within, at the end is not; a reject is one whatever the window.
    assert_eq!(
        report["accounting"],
        json!({"lines": 10, "blank": 0, "calls": 4, "rejected": 1, "outside_window": 5, "duplicates": 0})
    );
    assert_eq!(
        report["window"],
        json!({
            "since": "2018-12-18T09:03:00Z", "until": "2018-12-18T10:00:00Z",
            "first": "2018-12-18T09:03:00Z", "last": "2018-12-18T09:06:00Z",
        })
    );
    assert_eq!(report["inputs"][0]["first"], "2018-12-18T09:03:00Z");
    assert_eq!(report["inputs"][0]["last"], "2018-12-18T09:06:00Z");
    let kinds: BTreeSet<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["anonymous", "out-of-scope", "unknown-credential", "unlisted-api"])
    );
    assert_eq!(report["partners"][1]["calls"], 0, "globex");
    // As reports write hours.
    let minutes = ["--since", "2018-12-18T09:03Z", "--until", "2018-12-18T10:00Z"];
    let again = audit(&case, &[&minutes[..], &window[4..]].concat()).expect_status(0).report();
    assert_eq!(again["accounting"], report["accounting"]);
    assert_eq!(again["window"], report["window"]);
}

#[test]
fn a_window_without_calls() {
    let report = audit(&Case::mixed(), &["--since", "2019-01-01"]).expect_status(0).report();
    assert_eq!(report["accounting"]["outside_window"], 9);
    assert_eq!(report["accounting"]["calls"], 0);
    assert_eq!(report["window"]["first"], Value::Null);
    assert_eq!(report["findings"], json!([]));
}

/// Nothing is told as complete of which nothing was seen.
#[test]
fn a_source_without_a_call_in_the_window_is_not_told_as_whole() {
    let output = two_sources().run(&["audit", "--until", "2017-01-01"]).expect_status(0);
    let read = "READ        no hour to go by, 0 of 1 source, 1 more source (completeness not declared), 0 rejects,";
    assert!(output.stdout.contains(read), "{}", output.stdout);
}

/// As for logs, `-` is the standard stream, and no file's name.
#[test]
fn a_report_to_a_dash_goes_to_standard_output() {
    let case = Case::mixed();
    let before = case.names();
    let arguments = ["audit", "--register", "register", "logs", "--report", "json=-"];
    let output = case.run(&arguments).expect_status(0);
    assert_eq!(output.stdout, audit(&case, &[]).stdout);
    assert_eq!(case.names(), before);
}

// --- what is read -----------------------------------------------------------------------------------------------------

/// The paths and sources that a report says it read.
fn inputs(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (text(&i["path"]), text(&i["source"])))
        .collect()
}

fn paths(report: &Value) -> Vec<String> {
    inputs(report).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn standard_input_is_read_plain_or_compressed() {
    let case = Case::mixed();
    for bytes in [MIXED.as_bytes().to_vec(), gzip(MIXED), zstd(MIXED)] {
        let arguments = ["audit", "--json", "--register", "register", "-"];
        let report = case.run_with_input(&arguments, &bytes).expect_status(0).report();
        assert_eq!(inputs(&report), [("-".to_owned(), "logs".to_owned())]);
        assert_eq!(report["accounting"]["calls"], 9);
        let evidence = &finding(&report, "out-of-scope")["evidence"][0];
        assert_eq!(evidence["path"], "-");
    }
    // Beside files, too.
    let arguments = ["audit", "--json", "--register", "register", "-", "logs"];
    let report = case.run_with_input(&arguments, MIXED.as_bytes()).expect_status(0).report();
    assert_eq!(paths(&report), ["-", "logs/mixed.log"]);
    assert_eq!(report["accounting"]["calls"], 18);
}

#[test]
fn folders_and_globs_mean_files() {
    let case = Case::with_register();
    for name in [
        "logs/a.log",
        "logs/old/b.log",
        "logs/old/c.txt",
        "logs/.hidden",
        "logs/.git/d.log",
        "logs/[x].log",
    ] {
        case.write(name, calls(1));
    }
    let read = |logs: &[&str]| {
        let arguments = [&["audit", "--json", "--register", "register"], logs].concat();
        paths(&case.run(&arguments).expect_status(0).report())
    };
    assert_eq!(read(&["logs"]), ["logs/[x].log", "logs/a.log", "logs/old/b.log", "logs/old/c.txt"]);
    assert_eq!(read(&["logs/"]), read(&["logs"]));
    assert_eq!(read(&["./logs/a.log"]), ["./logs/a.log"], "as the user wrote it");
    assert_eq!(read(&["logs/*.log"]), ["logs/[x].log", "logs/a.log"]);
    assert_eq!(read(&["logs/**/*.log"]), ["logs/[x].log", "logs/a.log", "logs/old/b.log"]);
    assert_eq!(read(&["logs/?ld"]), ["logs/old/b.log", "logs/old/c.txt"]);
    assert_eq!(read(&["logs/.h*"]), ["logs/.hidden"]);
    // A name that exists is that file, whatever it looks like.
    assert_eq!(read(&["logs/[x].log"]), ["logs/[x].log"]);
    assert_eq!(read(&["logs/[a].log"]), ["logs/a.log"]);
    // Each file counts once, however often it is named.
    assert_eq!(read(&["logs/a.log", "logs", "logs/*.log", "logs/a.log"]).len(), 4);
}

#[test]
fn a_compressed_log_needs_no_name() {
    let case = Case::with_register()
        .file("logs/a.log", gzip(calls(1)))
        .file("logs/b.gz", calls(2))
        .file("logs/c", zstd(calls(3)));
    let report = audit(&case, &[]).expect_status(0).report();
    let told: Vec<Value> = report["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| json!([i["compression"], i["calls"]]))
        .collect();
    assert_eq!(json!(told), json!([["gzip", 1], [null, 2], ["zstd", 3]]));
    assert_eq!(report["inputs"][0]["bytes"], calls(1).len(), "decompressed");
}

const TWO_SOURCES: &str = "[register]\nsource = \"register\"\n\
    [[logs]]\nsource = \"gw\"\npaths = [\"gw/{yyyy}-{mm}-{dd}.log\"]\nexpect = \"hourly\"\n\
    [[logs]]\nsource = \"edge\"\npaths = [\"edge/*.log\"]\nformat = \"common\"\n";

const EDGE: &str =
    "10.0.0.7 - key-globex-2 [18/Dec/2018:11:30:00 +0200] \"GET /messages/zoe HTTP/1.1\" 200 5\n";

fn two_sources() -> Case {
    Case::mixed()
        .file("overstay.toml", TWO_SOURCES)
        .file("gw/2018-12-18.log", MIXED)
        .file("gw/latest.log", "no date, not meant")
        .file("edge/a.log", EDGE)
}

#[test]
fn sources_are_read_each_in_its_format() {
    let report = configured(&two_sources(), &[]).expect_status(0).report();
    let owned = |path: &str, source: &str| (path.to_owned(), source.to_owned());
    assert_eq!(inputs(&report), [owned("edge/a.log", "edge"), owned("gw/2018-12-18.log", "gw")]);
    assert_eq!(report["inputs"][0]["format"], "common");
    assert_eq!(report["inputs"][1]["format"], "json");
    // Its offset is honoured.
    assert_eq!(report["inputs"][0]["first"], "2018-12-18T09:30:00Z");
    assert_eq!(finding(&report, "after-revocation")["served"], 4);
    let sources = report["coverage"]["sources"].as_array().unwrap();
    assert_eq!(
        sources[0],
        json!({"source": "edge", "expect": null, "hours_expected": 0, "hours_seen": 1, "gaps": [], "calls": 1, "anonymous": 0})
    );
    // From 09:00 to 10:01: two hours.
    assert_eq!(
        sources[1],
        json!({"source": "gw", "expect": "hourly", "hours_expected": 2, "hours_seen": 2, "gaps": [], "calls": 9, "anonymous": 1})
    );
}

#[test]
fn an_argument_belongs_to_the_source_that_claims_it() {
    let case = two_sources();
    let report = configured(&case, &["edge/a.log", "logs/mixed.log"]).expect_status(0).report();
    let owned = |path: &str, source: &str| (path.to_owned(), source.to_owned());
    assert_eq!(inputs(&report), [owned("edge/a.log", "edge"), owned("logs/mixed.log", "logs")]);
    assert_eq!(report["inputs"][0]["format"], "common");
}

#[test]
fn a_silent_hour_is_a_gap() {
    let case = two_sources().file("gw/2018-12-19.log", MIXED.replace("12-18T10", "12-18T13"));
    let report = configured(&case, &["--until", "2018-12-18T15:00:00Z"]).expect_status(0).report();
    let gw = &report["coverage"]["sources"][1];
    assert_eq!((number(&gw["hours_expected"]), number(&gw["hours_seen"])), (6, 3));
    assert_eq!(
        gw["gaps"],
        json!([
            {"from": "2018-12-18T11:00:00Z", "until": "2018-12-18T13:00:00Z"},
            {"from": "2018-12-18T14:00:00Z", "until": "2018-12-18T15:00:00Z"},
        ])
    );
}

#[test]
fn a_log_of_two_sources_would_count_twice() {
    let config = TWO_SOURCES.replace("edge/*.log", "gw/*.log");
    let output = configured(&two_sources().file("overstay.toml", config), &[]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&[
        "error: gw/2018-12-18.log: found in the sources gw and edge, expected each log in one\n",
        "hint: its calls would count twice",
    ]);
}

#[test]
fn paths_of_a_config_start_from_its_folder() {
    let case = two_sources();
    let expected = configured(&case, &[]).expect_status(0);
    let config = case.path("overstay.toml");
    let elsewhere = Case::new();
    let output = configured(&elsewhere, &["--config", config.to_str().unwrap()]).expect_status(0);
    assert_eq!(output.stdout, expected.stdout);
    // Also from a folder below, by a path that goes up.
    let mut command = case.command(&["audit", "--json", "--config", "../overstay.toml"]);
    command.current_dir(case.path("gw"));
    assert_eq!(case.finish(command).expect_status(0).stdout, expected.stdout);
    // Arguments start from the current folder.
    configured(&elsewhere, &["--config", config.to_str().unwrap(), "gw"]).expect_status(2);
}

#[test]
fn what_this_version_has_no_use_for_is_told() {
    let case = with_config("[state]\narchive = true\n");
    let before = case.names();
    let output = configured(&case, &[]).expect_status(0);
    assert_eq!(case.names(), before, "no state");
    output
        .expect_stderr(&["warning: overstay.toml: [state] archive is not used by this version\n"]);
}

#[test]
fn digests_are_of_the_files_as_they_lie() {
    let bytes = gzip(MIXED);
    let case = Case::with_register().file("logs/a.log.gz", &bytes).file("logs/b.log", "");
    let report = audit(&case, &["--digest"]).expect_status(0).report();
    let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(report["inputs"][0]["digest"], hex(&bytes));
    assert_eq!(report["inputs"][1]["digest"], hex(b""));
    for io in ["mmap", "read"] {
        let case = Case::mixed();
        let report = audit(&case, &["--digest", "--io", io]).expect_status(0).report();
        assert_eq!(report["inputs"][0]["digest"], hex(MIXED.as_bytes()));
    }
    let report = audit(&case, &[]).expect_status(0).report();
    assert_eq!(report["inputs"][0]["digest"], Value::Null);
}

#[test]
fn the_config_and_the_register_have_digests() {
    let case = with_config("");
    let report = configured(&case, &[]).expect_status(0).report();
    let config = blake3::hash(case.read("overstay.toml").as_bytes()).to_hex().to_string();
    assert_eq!(report["config"]["digest"], config);
    let digest = report["register"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 64);
    // Of what the tables say, not of how they are written.
    case.write("register/partners.csv", "name,partner\r\n\"Globex\",globex\r\n\r\nAcme, acme \r\n");
    let report = configured(&case, &[]).expect_status(0).report();
    assert_eq!(report["register"]["digest"], digest);
    case.write("register/partners.csv", "name,partner\nGlobex,globex\nAcme2,acme\n");
    let report = configured(&case, &[]).expect_status(0).report();
    assert_ne!(report["register"]["digest"], digest);
    let report = Case::mixed().run(&["audit", "--json", "logs"]).expect_status(0).report();
    assert_eq!(
        (&report["config"]["digest"], &report["register"]["digest"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn the_sample_gives_the_same_bytes_however_it_is_read() {
    let config = repository("sample-logs/overstay.toml");
    let case = Case::new();
    let run = |way: &[&str]| {
        let arguments = [&["audit", "--json", "--config", config.to_str().unwrap()], way].concat();
        case.run(&arguments).expect_status(0).stdout.clone()
    };
    let expected = run(&[]);
    for way in [
        &["--threads", "1"][..],
        &["--threads", "8"],
        &["--chunk-bytes", "1"],
        &["--chunk-bytes", "5000", "--threads", "3"],
        &["--io", "mmap"],
        &["--io", "read", "--chunk-bytes", "77"],
        &["--io", "mmap", "--threads", "1", "--chunk-bytes", "1"],
    ] {
        assert!(run(way) == expected, "{way:?}: other bytes");
    }
}

// --- without a register -----------------------------------------------------------------------------------------------

#[test]
fn without_a_register_nothing_is_judged() {
    let log = format!("{MIXED}{}", calls(1).replace("/messages/u0", "/users/12345/mail?x=1"));
    let case = Case::new().file("logs/x.log", log);
    let report = case.run(&["audit", "--json", "logs"]).expect_status(0).report();
    for name in ["findings", "ends", "exceptions", "partners", "apis"] {
        assert_eq!(report[name], json!([]), "{name}");
    }
    assert!(report["headline"].as_str().unwrap().contains("judged"), "{}", report["headline"]);
    let usage = report["usage"].as_array().unwrap();
    for row in usage {
        for name in ["partner", "verdict", "grant"] {
            assert_eq!(row[name], Value::Null, "{name}");
        }
    }
    let row = |credential: Value, api: &str, outcome: &str| {
        let found = usage.iter().find(|row| {
            row["credential"] == credential && row["api"] == api && row["outcome"] == outcome
        });
        found.unwrap_or_else(|| panic!("{credential} {api} {outcome}"))["calls"].clone()
    };
    assert_eq!(row(json!("…me-1"), "/messages/ann", "served"), 1);
    assert_eq!(row(json!("…me-1"), "/users/{id}/mail", "served"), 1);
    assert_eq!(row(Value::Null, "/messages/dan", "denied"), 1);
    let output = case.run(&["audit", "logs"]).expect_status(0);
    assert!(output.stdout.contains("judged"));
    assert!(output.stdout.contains("…me-1"));
    assert!(!output.stdout.contains("key-acme-1"));
}

// --- where reports go -------------------------------------------------------------------------------------------------

#[test]
fn a_report_goes_to_a_file() {
    let case = Case::mixed().file("out/old.json", "old");
    let arguments = ["audit", "--register", "register", "logs", "--report", "json=out/report.json"];
    let before = case.names();
    let output = case.run(&arguments).expect_status(0).expect_no_stdout();
    assert!(output.stderr.contains("read 9 lines"));
    let mut names = case.names();
    names.retain(|name| !before.contains(name));
    assert_eq!(names, ["out/report.json"], "no file but the report");
    let report: Value = serde_json::from_str(&case.read("out/report.json")).unwrap();
    harness::adds_up(&report);
    assert_eq!(case.read("out/report.json"), audit(&case, &[]).stdout);
    // Over an old one, beside one for people.
    let arguments = [
        "audit",
        "--register",
        "register",
        "logs",
        "--report",
        "terminal",
        "--report",
        "json=out/old.json",
    ];
    let output = case.run(&arguments).expect_status(0);
    assert!(output.stdout.contains("CRITICAL"));
    assert_eq!(case.read("out/old.json"), case.read("out/report.json"));
    assert_eq!(case.names().len(), before.len() + 1, "nothing else is left behind");
}

#[test]
fn the_config_says_where_reports_go() {
    let case = with_config("[report]\noutputs = [\"terminal\", \"json=out.json\"]\n");
    let elsewhere = Case::new();
    let config = case.path("overstay.toml");
    let output = elsewhere.run(&["audit", "--config", config.to_str().unwrap()]).expect_status(0);
    assert!(output.stdout.contains("CRITICAL"));
    let report: Value = serde_json::from_str(&case.read("out.json")).unwrap();
    assert_eq!(report["schema"], "overstay.report/1");
    assert_eq!(elsewhere.names(), [""; 0], "relative to the config");
    // The command line goes before it.
    fs::remove_file(case.path("out.json")).unwrap();
    case.run(&["audit", "--json"]).expect_status(0).report();
    assert!(!case.path("out.json").exists());
}

#[test]
fn audit_creates_no_file() {
    let case = with_config("");
    let before = case.names();
    configured(&case, &["--digest"]).expect_status(0);
    case.run(&["audit"]).expect_status(0);
    case.run(&["calls"]).expect_status(0);
    assert_eq!(case.names(), before);
}

#[test]
fn quiet_keeps_notes_and_not_warnings() {
    let case = Case::mixed().file("logs/cut.gz", cut_gzip());
    let output = audit(&case, &["--quiet"]).expect_status(3);
    assert!(!output.stderr.contains("read "));
    output.expect_stderr(&["warning: logs/cut.gz: gzip data ended early"]);
    let output = audit(&Case::mixed(), &["-q"]).expect_status(0);
    assert_eq!(output.stderr, "");
}

// --- the screen -------------------------------------------------------------------------------------------------------

/// What people see of `logs`, in this environment.
fn screen(case: &Case, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command =
        case.command(&[&["audit", "--register", "register", "logs"], arguments].concat());
    command.envs(environment.iter().copied());
    case.finish(command)
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let case = Case::mixed();
    let plain = screen(&case, &[], &[]).expect_status(0).stdout.clone();
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(screen(&case, &[], &[("NO_COLOR", "1")]).stdout, plain);
    assert_eq!(screen(&case, &["--color", "never"], &[]).stdout, plain);
    let coloured = screen(&case, &["--color", "always"], &[]).expect_status(0).stdout.clone();
    assert!(coloured.contains("\u{1b}["));
    // The flag was asked for now, the variable some time ago.
    assert_eq!(screen(&case, &["--color", "always"], &[("NO_COLOR", "1")]).stdout, coloured);
    // Colour never carries meaning alone: without it the text is the same.
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find("\u{1b}[") {
        stripped.push_str(&rest[..start]);
        rest = &rest[start + rest[start..].find('m').unwrap() + 1..];
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
    // Never in a file.
    let arguments = ["--color", "always", "--report", "terminal=report.txt"];
    screen(&case, &arguments, &[]).expect_status(0);
    assert_eq!(case.read("report.txt"), plain);
}

/// Asserts that no line of any screen is wider than the columns there are.
#[track_caller]
fn fits(case: &Case, arguments: &[&str]) {
    for columns in ["48", "60", "80", "120", "160", "300"] {
        let mut command = case.command(&[&["audit"], arguments].concat());
        command.env("COLUMNS", columns);
        let output = case.finish(command);
        assert!(output.stdout.contains("READ"));
        for line in output.stdout.lines() {
            assert!(line.width() <= columns.parse().unwrap(), "{columns}: {line}");
        }
    }
    // What is no screen has no width, and loses nothing to one.
    let output = case.run(&[&["audit"], arguments].concat());
    assert!(!output.stdout.contains("hidden for width"));
}

#[test]
fn no_line_is_wider_than_the_screen() {
    fits(&Case::mixed(), &["--register", "register", "logs"]);
    fits(&Case::mixed(), &["logs"]);
    let config = repository("sample-logs/overstay.toml");
    fits(&Case::new(), &["--config", config.to_str().unwrap()]);
    fits(&hostile(), &["--config", "overstay.toml"]);
    let wide = "日本語の取引先名".repeat(12);
    let case = Case::mixed()
        .file("register/partners.csv", format!("partner,name\nacme,{wide}\nglobex,{wide}\n"))
        .file(&format!("logs/{}.log", &wide[..96]), "x\n");
    fits(&case, &["--register", "register", "logs"]);
}

#[test]
fn a_redirected_report_is_whole_whatever_the_width() {
    let justification = "the board's decision of 2018-01-17, item 9: ".repeat(4);
    let case = Case::mixed().file(
        "register/grants.csv",
        format!(
            "grant,partner,api,operations,granted_at,revoked_at,overrides_consent,justification\n\
             g-acme,acme,messages,read,2018-01-01,,true,\"{justification}\"\n\
             g-globex,globex,messages,read,2018-01-01,2018-06-01,,\n"
        ),
    );
    let whole = screen(&case, &["--report", "terminal"], &[]).expect_status(0).stdout.clone();
    assert!(whole.contains(justification.trim_end()));
    assert!(!whole.contains("hidden for width"));
    // A file is as whole, but for who asks for a width.
    let _ = screen(&case, &["--report", "terminal=report.txt"], &[]).expect_status(0);
    assert_eq!(case.read("report.txt"), whole);
    let narrow = [("COLUMNS", "80")];
    let _ = screen(&case, &["--report", "terminal=report.txt"], &narrow).expect_status(0);
    assert!(case.read("report.txt").lines().all(|line| line.width() <= 80));
    assert!(case.read("report.txt").contains("hidden for width: APIS"));
}

#[test]
fn the_screen_begins_with_what_matters() {
    let output = screen(&Case::mixed(), &[], &[("COLUMNS", "120")]).expect_status(0);
    let mut lines = output.stdout.lines();
    assert_eq!(
        lines.next().unwrap(),
        "1 of 2 partners overstayed: 3 served calls, 3 people. Longest: globex, 200 d 10 h."
    );
    assert_eq!(lines.next().unwrap(), "");
    assert!(lines.next().unwrap().starts_with("SEVERITY  KIND "));
    assert!(
        lines
            .find(|line| !line.starts_with(' '))
            .unwrap()
            .starts_with("CRITICAL  after-revocation")
    );
}

#[test]
fn a_partial_report_says_so_on_the_screen() {
    let case = Case::mixed().file("logs/cut.gz", cut_gzip());
    let output = screen(&case, &[], &[]).expect_status(3);
    let head: String = output.stdout.lines().take(6).collect::<Vec<_>>().join("\n");
    assert!(head.contains("logs/cut.gz"), "{head}");
    assert!(head.to_lowercase().contains("partial"), "{head}");
}

// --- hostile text -----------------------------------------------------------------------------------------------------

/// Commands to a terminal, deceptions of the eye, markup, a formula.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}gpj\u{2066}\u{200b}\u{feff}\r<b>&\"'|`$(x)=1+1";

/// As CSV quotes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A case with it wherever a log or a register has text of its own.
fn hostile() -> Case {
    let text = quoted(HOSTILE);
    // The id of a partner, an api, a grant.
    let id = |name: &str| quoted(&format!("{name}{HOSTILE}"));
    let (partner, api, grant) = (id("partner"), id("api"), id("grant"));
    let line = |key: &str, path: &str| {
        let call = json!({
            "time": "2018-12-18T09:00:00Z", "client_id": key, "method": format!("M{HOSTILE}"), "path": path,
            "status": 200, "host": HOSTILE, "user": HOSTILE, "user_agent": HOSTILE, "request_id": HOSTILE,
        });
        format!("{call}\n")
    };
    let log = [
        line("key-1", "/m/x"),
        line(HOSTILE, "/m/x"),
        line("key-1", &format!("/{HOSTILE}")),
        format!("{HOSTILE}\n"),
    ]
    .concat()
        // JSON escapes what it must, not all that is hostile.
        + &line("key-1", "/m/y");
    let source = format!("source{HOSTILE}");
    let config = toml::Table::from_iter([
        (
            "register".to_owned(),
            toml::Value::Table(toml::Table::from_iter([("source".to_owned(), "register".into())])),
        ),
        (
            "logs".to_owned(),
            vec![toml::Table::from_iter([
                ("source".to_owned(), toml::Value::from(source)),
                ("paths".to_owned(), vec!["logs/*"].into()),
                ("expect".to_owned(), "hourly".into()),
                ("format".to_owned(), "json".into()),
            ])]
            .into(),
        ),
        (
            "suppress".to_owned(),
            vec![toml::Table::from_iter([
                ("kind".to_owned(), toml::Value::from("anonymous")),
                ("owner".to_owned(), HOSTILE.into()),
                ("reason".to_owned(), HOSTILE.into()),
                ("until".to_owned(), "2019-01-01".into()),
            ])]
            .into(),
        ),
    ]);
    Case::new()
        .file("overstay.toml", config.to_string())
        .file("register/partners.csv", format!("partner,name,contact\n{partner},{text},{text}\n"))
        .file("register/credentials.csv", format!("credential,partner\nkey-1,{partner}\n"))
        .file("register/apis.csv", format!("api,name,data_class\n{api},{text},{text}\n"))
        .file("register/routes.csv", format!("path,api,operation\n/m/{{user}},{api},{text}\n"))
        .file(
            "register/grants.csv",
            format!(
                "grant,partner,api,operations,revoked_at,overrides_consent,justification\n\
                 {grant},{partner},{api},*,2018-01-01,true,{text}\n"
            ),
        )
        .file(&format!("logs/{}.log", HOSTILE.replace('/', "_")), log)
}

/// Asserts that a text commands no terminal and deceives no eye; its line endings are its own.
#[track_caller]
fn harmless(text: &str) {
    for c in text.chars().filter(|c| *c != '\n') {
        assert!(!c.is_control(), "control character {c:?}");
        assert!(
            !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'),
            "invisible {c:?}"
        );
    }
}

#[test]
fn hostile_text_is_neutralised_wherever_it_is_shown() {
    let case = hostile();
    for arguments in [
        &["audit"][..],
        &["audit", "--json"],
        &["audit", "--max-rejects", "50%", "--fail-on", "low"],
        &["calls"],
        &["calls", "--distinct", "partner"],
        &["calls", "--distinct", "subject"],
        &["calls", "--distinct", "credential"],
        &["calls", "--finding", HOSTILE],
        &["calls", "--partner", HOSTILE],
        &["check"],
        &["explain", HOSTILE],
        &["audit", HOSTILE],
        &["audit", "--config", HOSTILE],
        &["audit", "--register", HOSTILE],
        &["audit", "--since", HOSTILE],
        &["audit", "--fail-on", HOSTILE],
        &["audit", "--log-format", HOSTILE],
        &["audit", "--report", HOSTILE],
        &["calls", "--verify", HOSTILE],
    ] {
        let output = case.run(arguments);
        assert!(
            output.status.code().is_some_and(|code| code <= 3),
            "{arguments:?}: {}",
            output.status
        );
        harmless(&output.stdout);
        harmless(&output.stderr);
    }
    // Of the wide screen, on which nothing is cut off, one sees what stood there.
    let mut command = case.command(&["audit"]);
    command.env("COLUMNS", "2000");
    let output = case.finish(command).expect_status(3);
    harmless(&output.stdout);
    assert!(output.stdout.contains("partner\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{202e}gpj\\u{2066}\\u{200b}\\u{feff}\\u{d}<b>&\"'|`$(x)=1+1"));
}

#[test]
fn hostile_text_reaches_a_json_reader_unchanged() {
    let report = hostile().run(&["audit", "--json"]).expect_status(3).report();
    let named = |name: &str| format!("{name}{HOSTILE}");
    assert_eq!(report["partners"][0]["partner"], named("partner"));
    assert_eq!(report["partners"][0]["name"], HOSTILE);
    assert_eq!(report["apis"][0]["api"], named("api"));
    assert_eq!(report["inputs"][0]["source"], named("source"));
    assert_eq!(report["inputs"][0]["path"], format!("logs/{HOSTILE}.log"));
    assert_eq!(report["exceptions"][0]["justification"], HOSTILE);
    assert_eq!(report["suppressions"][0]["owner"], HOSTILE);
    let after = finding(&report, "after-revocation");
    assert_eq!((after["grant"].clone(), number(&after["served"])), (json!(named("grant")), 2));
    assert_eq!(after["operations"], json!([HOSTILE]));
    // Neither people nor lines are in it.
    assert_eq!(report["rejects"]["sample"][0]["reason"], "malformed");
    assert!(!report["rejects"]["sample"][0]["shape"].as_str().unwrap().contains('\u{1b}'));
}

#[test]
fn without_a_register_no_path_shows_whose_it_is() {
    let line = |path: &str| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"k\",\"method\":\"GET\",\"path\":\"{path}\"}}\n"
        )
    };
    let paths = ["/v2/messages/t-7", "/v2/messages/u-81", "/v2/users/user_4/mail"];
    let case = Case::new().file("a.log", paths.map(line).concat());
    for arguments in [&["audit", "a.log"][..], &["audit", "--json", "a.log"]] {
        let output = case.run(arguments).expect_status(0);
        for (path, id) in paths.into_iter().zip(["t-7", "u-81", "user_4"]) {
            assert!(!output.stdout.contains(id), "{path}: {}", output.stdout);
        }
        assert!(output.stdout.contains("/v2/messages/{id}"));
        assert!(output.stdout.contains("/v2/users/{id}/mail"));
    }
}

#[test]
fn no_person_and_no_credential_is_in_a_report() {
    for arguments in [&["--json"][..], &[]] {
        let case = Case::mixed();
        let output = case.run(&[&["audit", "--register", "register", "logs"], arguments].concat());
        for secret in
            ["ann", "bob", "cat", "eve", "robot", "key-acme-1", "key-nobody-9", "192.0.2.7", "r-2"]
        {
            let word = |text: &str| {
                text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.')
                    .any(|w| w == secret)
            };
            assert!(!word(&output.stdout), "{secret}");
            assert!(!word(&output.stderr), "{secret}");
        }
    }
}

// --- the schema -------------------------------------------------------------------------------------------------------

/// Asserts that a report is what `docs/report.schema.json` says.
#[track_caller]
fn valid(report: &Value) {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = schema
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn reports_are_as_the_schema_says() {
    let config = repository("sample-logs/overstay.toml");
    let sample =
        Case::new().run(&["audit", "--json", "--digest", "--config", config.to_str().unwrap()]);
    valid(&sample.expect_status(0).report());
    let empty = Case::with_register().file("logs/x.log", "");
    valid(&audit(&empty, &[]).expect_status(0).report());
    valid(&audit(&Case::mixed(), &[]).expect_status(0).report());
    valid(&audit(&Case::mixed(), &["--as-known-at", "2018-01-01"]).expect_status(0).report());
    valid(
        &audit(&Case::mixed(), &["--since", "2019-01-01", "--until", "2019-02-01"])
            .expect_status(0)
            .report(),
    );
    valid(&Case::mixed().run(&["audit", "--json", "logs"]).expect_status(0).report());
    valid(&empty.run(&["audit", "--json", "logs"]).expect_status(0).report());
    let partial = Case::mixed()
        .file("logs/cut.gz", cut_gzip())
        .file("logs/strange.log", "what is this\n")
        .file("logs/bad.log", format!("{}x\n", calls(20)));
    let report = audit(&partial, &[]).expect_status(3).report();
    assert_eq!(report["partial"].as_array().unwrap().len(), 3);
    valid(&report);
    valid(&hostile().run(&["audit", "--json"]).expect_status(3).report());
    valid(&configured(&two_sources(), &[]).expect_status(0).report());
    let suppressed = with_config(
        &(suppress("kind = \"anonymous\"", "2019-01-01")
            + &suppress("finding = \"os-aa\"", "2018-01-01")),
    );
    valid(&configured(&suppressed, &[]).expect_status(0).report());
}

/// Of a source expected daily the terminal counts days, the JSON report hours.
#[test]
fn a_daily_source_is_told_in_days() {
    let day = |day: u32| crate::harness::call(0).replace("12-18", &format!("12-{day:02}"));
    let log: String = [1, 2, 3, 4, 7, 8, 9, 10].into_iter().map(day).collect();
    let config = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"a.log\"]\nexpect = \"daily\"\n";
    let case = Case::with_register().file("a.log", log).file("overstay.toml", config);
    let terminal = case.run(&["audit", "-q"]).expect_status(0);
    assert!(terminal.stdout.contains("8 of 10 days"), "{}", terminal.stdout);
    assert!(terminal.stdout.contains("gw silent 2 d"), "{}", terminal.stdout);
    let report = case.run(&["audit", "-q", "--json"]).expect_status(0).report();
    assert_eq!(report["coverage"]["sources"][0]["hours_expected"], 240);
    assert_eq!(report["coverage"]["sources"][0]["hours_seen"], 192);
}

/// `-` in a path is a placeholder for nobody, and so is the template that some gateways log for the path.
#[test]
fn a_dash_or_a_template_in_a_path_is_no_person() {
    for nobody in ["-", "{user}", "%7Bid%7D"] {
        let line = crate::harness::call(0).replace("/messages/u0", &format!("/messages/{nobody}"));
        let case = Case::with_register()
            .file("register/apis.csv", "api,consent\nmessages,required\n")
            .file("a.log", line);
        let report = case
            .run(&["audit", "-q", "--json", "--register", "register", "a.log"])
            .expect_status(0)
            .report();
        assert_eq!(report["usage"][0]["verdict"], "granted");
        assert_eq!(report["apis"][0]["calls_without_subject"], 1, "{nobody}");
    }
}

#[test]
#[cfg(unix)]
fn a_neighbour_whose_name_is_not_utf_8_stops_no_glob() {
    use std::os::unix::ffi::OsStrExt as _;
    let case = Case::ready();
    let odd = std::ffi::OsStr::from_bytes(b"bad\xff.txt");
    std::fs::write(case.path("logs").join(odd), "x").unwrap();
    let report = case
        .run(&["audit", "-q", "--json", "--register", "register", "logs/*.log"])
        .expect_status(0)
        .report();
    assert_eq!(report["accounting"]["calls"], 10);
}

/// Consent that nobody could look at is no consent.
#[test]
fn calls_that_name_nobody_where_consent_is_required_are_told() {
    let case = Case::ready()
        .file("register/apis.csv", "api,consent\nmessages,required\n")
        .file("register/routes.csv", "path,api\n/messages/*,messages\n");
    let output = case.run(&["audit", "--register", "register", "logs"]).expect_status(0);
    let told = "10 of 10 calls to messages named no person: consent, which it requires, was not looked at\n";
    assert!(output.stdout.contains(told), "{}", output.stdout);
}

/// Too many rejects are something else than a log that could not be read to its end.
#[test]
fn the_headline_says_in_which_way_a_report_is_partial() {
    let case = Case::ready().file("logs/bad.log", format!("{}oops\n", calls(20)));
    let output = case.run(&["audit", "--register", "register", "logs"]).expect_status(3);
    assert!(
        output.stdout.contains("PARTIAL: 1 of 2 inputs has too many rejects."),
        "{}",
        output.stdout
    );
    let audit = ["audit", "--register", "register", "logs/good.log", "--log-format", "common"];
    let output = case.run(&audit).expect_status(3);
    assert!(
        output.stdout.contains(
            "10 of 10 lines rejected, more than --max-rejects 1%; is it the right format?"
        )
    );
}

/// Around the instant at which a grant was revoked, calls of one credential come in no order, as from several servers: those
/// before and those after are told apart, and none is lost.
#[test]
fn calls_in_no_order_around_a_revocation_are_all_counted() {
    // Of somebody, or of nobody in particular.
    let line = |at: &str, user: &str, status: u16| {
        format!(
            "{{\"time\":\"{at}\",\"client_id\":\"key-globex-2\",\"method\":\"GET\",\"path\":\"/messages/{user}\",\
             \"status\":{status}}}\n"
        )
    };
    let (before, after) = ("2018-05-31T23:59:59Z", "2018-06-01T00:00:01Z");
    let mut log = line(before, "u1", 200).repeat(32);
    log += &line(after, "-", 200);
    log += &line(before, "u1", 403);
    log += &line(before, "u1", 200).repeat(30);
    log += &line(after, "u1", 403);
    let case = Case::with_register()
        .file("register/apis.csv", "api,consent\nmessages,required\n")
        .file(
            "register/consents.csv",
            "subject,partner,api,at,state\nu1,globex,messages,2018-01-01,given\n",
        )
        .file("logs/a.log", &log);
    let report = case
        .run(&["audit", "--json", "--register", "register", "logs/a.log"])
        .expect_status(0)
        .report();
    let usage: Vec<_> = report["usage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("verdict"), text("outcome"), row["calls"].as_u64().unwrap())
        })
        .collect();
    let row = |verdict: &str, outcome: &str, calls| (verdict.to_owned(), outcome.to_owned(), calls);
    assert_eq!(
        usage,
        [
            row("after-revocation", "denied", 1),
            row("after-revocation", "served", 1),
            row("granted", "denied", 1),
            row("granted", "served", 62),
        ]
    );
}
