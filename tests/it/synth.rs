//! `overstay synth`: workloads for benchmarks, as those who measure need them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::Case;

/// Small enough to be quick, large enough that all kinds of violations come about.
const SMALL: [&str; 14] = [
    "--calls",
    "20k",
    "--partners",
    "40",
    "--credentials",
    "120",
    "--apis",
    "20",
    "--grants",
    "400",
    "--people",
    "5k",
    "--consents",
    "3k",
];

fn synth(case: &Case, folder: &str, more: &[&str]) {
    let arguments = [&["synth", folder], &SMALL[..], more].concat();
    case.run(&arguments).expect_status(0);
}

/// All files of a folder, by their names in it.
fn bytes_of(case: &Case, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("{folder}/");
    case.names()
        .into_iter()
        .filter_map(|name| {
            let within = name.strip_prefix(&prefix)?.to_owned();
            Some((within, std::fs::read(case.path(&name)).unwrap()))
        })
        .collect()
}

fn audit(case: &Case, folder: &str) -> Value {
    let config = format!("{folder}/overstay.toml");
    case.run(&["audit", "--json", "--config", &config]).expect_status(0).report()
}

/// Calls by verdict.
fn verdicts(report: &Value) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in report["usage"].as_array().unwrap() {
        let verdict = row["verdict"].as_str().unwrap().to_owned();
        *sums.entry(verdict).or_default() += row["calls"].as_u64().unwrap();
    }
    sums
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

#[test]
fn the_same_arguments_give_the_same_bytes_on_any_number_of_threads() {
    let case = Case::new();
    let more = ["--timeline", "--files", "3"];
    synth(&case, "one", &[&more[..], &["--threads", "1"]].concat());
    synth(&case, "three", &[&more[..], &["--threads", "3"]].concat());
    synth(&case, "again", &[&more[..], &["--threads", "3"]].concat());
    synth(&case, "other", &[&more[..], &["--seed", "2"]].concat());
    let (one, three) = (bytes_of(&case, "one"), bytes_of(&case, "three"));
    let names: Vec<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "logs/access-0001.jsonl",
            "logs/access-0002.jsonl",
            "logs/access-0003.jsonl",
            "overstay.toml",
            "register/apis.csv",
            "register/consents.csv",
            "register/credentials.csv",
            "register/grants.csv",
            "register/partners.csv",
            "register/purposes.csv",
            "register/routes.csv",
            "timeline.csv",
        ]
    );
    assert!(one == three, "threads");
    assert!(three == bytes_of(&case, "again"), "again");
    let other = bytes_of(&case, "other");
    for name in ["logs/access-0001.jsonl", "register/grants.csv", "register/credentials.csv"] {
        assert!(one[name] != other[name], "{name}");
    }
}

#[test]
fn a_register_is_as_large_as_asked_for_and_has_no_problems() {
    let case = Case::new();
    synth(&case, "w", &["--routes", "77"]);
    let rows = |table: &str| lines(&case.read(&format!("w/register/{table}.csv"))) - 1;
    let counts = ["partners", "credentials", "apis", "routes", "grants", "consents"].map(rows);
    assert_eq!(counts, [40, 120, 20, 77, 400, 3000]);
    let checked = case.run(&["check", "--config", "w/overstay.toml"]).expect_status(0);
    assert_eq!(
        checked.stdout,
        "w/register: no problems; 40 partners, 120 rows of credentials, 20 apis, 400 grants\n\
         w/overstay.toml: no problems\n"
    );
    // Each credential is another, also by its last characters, of which reports show some.
    let credentials = case.read("w/register/credentials.csv");
    let of_row = |row: &'_ str| row.split(',').next().unwrap()[20..].to_owned();
    let ends: BTreeSet<String> = credentials.lines().skip(1).map(of_row).collect();
    assert!(ends.len() >= 119, "{ends:?}");
    // Revoked or expired before the log ends, on the 18th: about a fifth.
    let grants = case.read("w/register/grants.csv");
    let ended = grants.lines().skip(1).filter(|row| {
        let columns: Vec<&str> = row.split(',').collect();
        [columns[5], columns[6]].iter().any(|end| !end.is_empty() && *end < "2018-12-19")
    });
    let ended = ended.count();
    assert!((60..=100).contains(&ended), "{ended} of 400");
}

#[test]
fn calls_are_as_many_as_asked_for_and_of_every_verdict() {
    let case = Case::new();
    for (folder, asked, from, to) in
        [("none", "0%", 0, 0), ("some", "10%", 1_850, 2_150), ("all", "100%", 20_000, 20_000)]
    {
        synth(&case, folder, &["--violations", asked]);
        let report = audit(&case, folder);
        let verdicts = verdicts(&report);
        assert_eq!(verdicts.values().sum::<u64>(), 20_000, "{asked}");
        let violations = 20_000 - verdicts.get("granted").copied().unwrap_or(0);
        assert!((from..=to).contains(&violations), "{asked}: {violations}, {verdicts:?}");
        let input = &report["inputs"][0];
        let lines = ["lines", "calls", "rejected"].map(|key| input[key].as_u64());
        assert_eq!(lines, [Some(20_000), Some(20_000), Some(0)], "{asked}");
        if asked == "10%" {
            let names: BTreeSet<&str> = verdicts.keys().map(String::as_str).collect();
            let promised = BTreeSet::from([
                "after-expiry",
                "after-revocation",
                "before-grant",
                "dormant-api",
                "granted",
                "never-granted",
                "out-of-scope",
                "propagating",
                "purpose-ended",
                "stale-credential",
                "uncertified",
                "unknown-credential",
                "without-consent",
            ]);
            assert_eq!(names, promised);
        }
    }
}

#[test]
fn every_format_has_the_same_calls() {
    let case = Case::new();
    synth(&case, "json", &[]);
    let expected = verdicts(&audit(&case, "json"));
    let names = [
        ("combined", "access.log"),
        ("logfmt", "access.log"),
        ("ltsv", "access.log"),
        ("csv", "access.csv"),
        ("aws-alb", "access.log"),
    ];
    for (format, name) in names {
        synth(&case, format, &["--log-format", format]);
        assert_eq!(verdicts(&audit(&case, format)), expected, "{format}");
        let lines = lines(&case.read(&format!("{format}/logs/{name}")));
        assert_eq!(lines, if format == "csv" { 20_001 } else { 20_000 }, "{format}");
        if format != "csv" {
            let log = format!("{format}/logs/{name}");
            case.run(&["formats", &log]).expect_status(0);
        }
    }
    // Those of a described format are told by their first lines too, where they are built in.
    let recognised = case.run(&["formats", "json/logs/access.jsonl"]).expect_status(0);
    assert!(recognised.stdout.contains("json"), "{}", recognised.stdout);
}

#[test]
fn a_line_of_json_has_eleven_keys_and_some_three_hundred_bytes() {
    let case = Case::new();
    synth(&case, "w", &[]);
    let log = case.read("w/logs/access.jsonl");
    let keys = [
        "ts",
        "level",
        "request_id",
        "client_id",
        "remote_addr",
        "method",
        "path",
        "status",
        "bytes",
        "latency_us",
        "user_agent",
    ];
    let mut last = String::new();
    for line in log.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let mut places = keys.iter().map(|key| line.find(&format!("\"{key}\":")).unwrap());
        assert!(places.by_ref().is_sorted(), "{line}");
        assert_eq!(call.as_object().unwrap().len(), keys.len());
        let at = call["ts"].as_str().unwrap().to_owned();
        assert!(at.starts_with("2018-12-18T") && at >= last, "{last} {at}");
        last = at;
    }
    let mean = log.len() / 20_000;
    assert!((290..=330).contains(&mean), "{mean}");
}

#[test]
fn compressed_logs_and_several_hold_the_same() {
    let case = Case::new();
    synth(&case, "plain", &["--days", "3"]);
    let whole = std::fs::read(case.path("plain/logs/access.jsonl")).unwrap();
    let expected = verdicts(&audit(&case, "plain"));
    for (compress, ending) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        synth(&case, compress, &["--days", "3", "--files", "4", "--compress", compress]);
        let files = bytes_of(&case, compress);
        let logs: Vec<&String> = files.keys().filter(|name| name.starts_with("logs/")).collect();
        let names = (1..=4).map(|n| format!("logs/access-000{n}.jsonl{ending}"));
        assert!(logs.iter().copied().eq(&names.collect::<Vec<_>>()), "{logs:?}");
        assert_eq!(verdicts(&audit(&case, compress)), expected, "{compress}");
        if compress == "none" {
            let joined: Vec<u8> = logs.iter().flat_map(|name| files[*name].clone()).collect();
            assert!(joined == whole);
        }
    }
    let days: BTreeSet<&[u8]> =
        whole.split(|byte| *byte == b'\n').filter_map(|line| line.get(7..17)).collect();
    let expected: [&[u8]; 3] = [b"2018-12-18", b"2018-12-19", b"2018-12-20"];
    assert_eq!(days, BTreeSet::from(expected));
}

#[test]
fn a_stream_is_what_the_file_would_be() {
    let case = Case::new();
    for format in ["json", "csv"] {
        let (file, stream) = (format!("{format}-file"), format!("{format}-stream"));
        synth(&case, &file, &["--log-format", format]);
        let arguments =
            [&["synth", &stream], &SMALL[..], &["--log-format", format, "--logs"]].concat();
        // The register first; the stream then goes with the register that is there.
        let output = case.run(&[&arguments[..], &["none"]].concat()).expect_status(0);
        assert!(output.stdout.starts_with(&format!("{stream}/register: 40 partners, ")));
        let before = bytes_of(&case, &stream);
        assert!(!before.keys().any(|name| name.starts_with("logs/")), "{:?}", before.keys());
        let output = case.run(&[&arguments[..], &["-"]].concat()).expect_status(0);
        let log = bytes_of(&case, &file).remove(if format == "csv" {
            "logs/access.csv"
        } else {
            "logs/access.jsonl"
        });
        assert!(Some(&output.stdout_bytes) == log.as_ref(), "{format}");
        assert!(before == bytes_of(&case, &stream));

        let config = format!("{stream}/overstay.toml");
        let audit_arguments = ["audit", "-", "--json", "--config", &config];
        let judged = case.run_with_input(&audit_arguments, &output.stdout_bytes);
        let judged = verdicts(&judged.expect_status(0).report());
        assert_eq!(judged, verdicts(&audit(&case, &file)), "{format}");

        // At once, where nothing was.
        let at_once = format!("{format}-at-once");
        let mut arguments = arguments.clone();
        arguments[1] = &at_once;
        let again = case.run(&[&arguments[..], &["-"]].concat()).expect_status(0);
        assert!(again.stdout_bytes == output.stdout_bytes);
        assert!(before == bytes_of(&case, &at_once));
        // That of another seed is none of this register's.
        let another = [&arguments[..], &["-", "--seed", "5"]].concat();
        case.run(&another).expect_status(2).expect_no_stdout();
    }
}

/// The timelines judge as the audit does: every call with a known and valid credential, and nothing said by a person.
#[test]
fn timelines_are_the_register_as_databases_read_it() {
    let case = Case::new();
    let more = ["--timeline", "--consents", "0"];
    let arguments = [&["synth", "w"], &SMALL[..12], &more].concat();
    case.run(&arguments).expect_status(0);
    let table = case.read("w/timeline.csv");
    let mut rows = table.lines();
    assert_eq!(rows.next(), Some("partner,api,operation,from,from_us,verdict"));
    type Key<'t> = (&'t str, &'t str, &'t str);
    let mut steps: BTreeMap<Key<'_>, Vec<(i64, &str)>> = BTreeMap::new();
    for row in rows {
        let columns: Vec<&str> = row.split(',').collect();
        let [partner, api, operation, from, from_us, verdict] = columns[..] else {
            panic!("{row}")
        };
        let from_us: i64 = from_us.parse().unwrap();
        if from_us == -9_223_372_036_854_775 {
            assert_eq!(from, "1677-09-21T00:12:43.145225Z");
        } else {
            assert_eq!(microseconds(from), from_us, "{row}");
        }
        steps.entry((partner, api, operation)).or_default().push((from_us, verdict));
    }
    for steps in steps.values() {
        assert_eq!(steps[0].0, -9_223_372_036_854_775);
        assert!(steps.is_sorted_by(|a, b| a.0 < b.0));
    }
    let output = case.run(&["calls", "--config", "w/overstay.toml"]).expect_status(0);
    let mut judged = 0;
    for call in output.json_lines() {
        let text = |key: &str| call[key].as_str().unwrap_or_default();
        if matches!(text("verdict"), "unknown-credential" | "stale-credential") {
            continue;
        }
        let at = microseconds(text("at"));
        let (partner, api, operation) = (text("partner"), text("api"), text("operation"));
        let found = [(partner, api, operation), (partner, api, ""), ("", api, "")]
            .into_iter()
            .find_map(|key| steps.get(&key));
        let step = found.unwrap().iter().rfind(|(from, _)| *from <= at).unwrap();
        assert_eq!(step.1, text("verdict"), "{call}");
        judged += 1;
    }
    assert!(judged > 19_000, "{judged}");
}

/// RFC 3339 to microseconds, by another way than the program's.
fn microseconds(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let case = Case::new().file("full/mine.txt", "mine").file("a-file", "x");
    let arguments = [&["synth", "full"], &SMALL[..]].concat();
    let output = case.run(&arguments).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: full: found a folder with something in it, expected an empty folder or none\n",
        "hint: name another folder; nothing was changed\n",
    ]);
    case.run(&["synth", "a-file"]).expect_status(2).expect_no_stdout();
    assert_eq!(case.names(), ["a-file", "full/mine.txt"]);

    std::fs::create_dir(case.path("empty")).unwrap();
    synth(&case, "empty", &[]);
    assert!(case.names().contains(&"empty/overstay.toml".to_owned()));
    // Twice to the same place is once too often.
    let again = case.run(&[&["synth", "empty"], &SMALL[..]].concat()).expect_status(2);
    again.expect_stderr(&["error: empty: found a workload that was drawn before,", "remove it"]);
    // A stream of other calls than those that the folder was made for.
    let other = [&["synth", "empty", "--logs", "-", "--seed", "99"], &SMALL[..]].concat();
    let other = case.run(&other).expect_status(2).expect_no_stdout();
    other.expect_stderr(&[
        "error: empty: found a workload drawn with other arguments,",
        "give the same",
    ]);
    // As a run that is stopped leaves it.
    std::fs::remove_file(case.path("empty/overstay.toml")).unwrap();
    let stopped = case.run(&[&["synth", "empty"], &SMALL[..]].concat()).expect_status(2);
    stopped.expect_stderr(&["error: empty: found what an interrupted run may have left:"]);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_no_part() {
    let case = Case::new();
    // No file may be larger than so many blocks.
    let script =
        "ulimit -f 1000; trap '' XFSZ; exec \"$0\" synth some/where --calls 100k --threads 1";
    let command = case.tool("bash", &["-c", script, env!("CARGO_BIN_EXE_overstay")]);
    let output = case.finish(command).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: some/where/logs/access.jsonl: file too large\n"]);
    assert!(!case.path("some").exists());
}

#[test]
fn what_makes_no_sense_is_told() {
    let case = Case::new();
    for (arguments, told) in [
        (&["--partners", "0"][..], "--partners: found 0, expected at least 1\n"),
        (&["--calls", "many"], "--calls: found `many`, expected a number\n"),
        (&["--calls", "0"], "--calls: found 0, expected at least 1\n"),
        (
            &["--partners", "2k"],
            "--credentials: found 1000, expected at least 2000: each partner presents one\n",
        ),
        (
            &["--routes", "39"],
            "--routes: found 39, expected at least 40: each api is reached by one\n",
        ),
        (
            &["--apis", "7"],
            "--grants: found 3700, expected at most 3500: one for each partner and api\n",
        ),
        (
            &["--people", "10", "--consents", "101"],
            "--consents: found 101, expected at most 100: 10 for each person\n",
        ),
        (&["--people", "91M"], "--people: found 91M, expected at most 90000000\n"),
        (&["--violations", "10"], "--violations: found `10`, expected a share of the calls"),
        (
            &["--calls", "3", "--files", "4"],
            "--files: found 4, expected at most 3: one for each call\n",
        ),
        (
            &["--files", "2", "--logs", "-"],
            "--files: found 2, expected 1 where --logs is no files\n",
        ),
    ] {
        let arguments = [&["synth", "w"], arguments].concat();
        let output = case.run(&arguments).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[told]);
    }
    // All at once.
    let output = case.run(&["synth", "w", "--partners", "0", "--days", "x"]).expect_status(2);
    output.expect_stderr(&["--partners: found 0", "--days: found `x`"]);
    assert!(case.names().is_empty());
}

#[test]
fn the_smallest_and_odd_ones_are_whole_too() {
    let case = Case::new();
    let one =
        ["--partners", "1", "--credentials", "1", "--apis", "1", "--grants", "1", "--people", "1"];
    let full = ["--partners", "9", "--credentials", "9", "--apis", "11", "--grants", "99"];
    let few = ["--partners", "30", "--credentials", "31", "--apis", "4", "--grants", "3"];
    let words = ["--people", "19", "--consents", "190"];
    for (folder, arguments) in
        [("one", &one[..]), ("full", &full), ("few", &few), ("words", &words)]
    {
        let arguments =
            [&["synth", folder, "--calls", "2k", "--violations", "30%"], arguments].concat();
        case.run(&arguments).expect_status(0);
        let config = format!("{folder}/overstay.toml");
        let checked = case.run(&["check", "--config", &config]).expect_status(0);
        assert!(checked.stdout.contains("no problems;"), "{}", checked.stdout);
        let verdicts = verdicts(&audit(&case, folder));
        assert_eq!(verdicts.values().sum::<u64>(), 2_000, "{folder}");
        let violations = 2_000 - verdicts["granted"];
        assert!((500..=700).contains(&violations), "{folder}: {verdicts:?}");
    }
}
