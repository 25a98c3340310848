//! The sample's story, number by number: `sample_story.json` was worked out from the scenes that
//! `scripts/make-sample-logs` writes, not from the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Case, Output};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn config() -> String {
    root().join("sample-logs/overstay.toml").to_str().unwrap().to_owned()
}

fn overstay(arguments: &[&str]) -> Output {
    let config = config();
    let (command, rest) = arguments.split_first().unwrap();
    let mut all = vec![*command, "--quiet", "--config", &config];
    all.extend(rest);
    Case::new().run(&all).expect_status(0)
}

fn expected() -> Value {
    serde_json::from_str(include_str!("sample_story.json")).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

/// Every key of `expected` has the same value in `actual`, but those that are compared otherwise.
fn same_but(expected: &Value, actual: &Value, otherwise: &[&str], what: &str) {
    for (key, value) in expected.as_object().unwrap() {
        if !otherwise.contains(&key.as_str()) {
            assert_eq!(&actual[key], value, "{key} of {what}");
        }
    }
}

/// Rows in order, key by key. `subjects` beyond 512 are estimates, within two standard errors.
fn same_rows(expected: &Value, actual: &Value, what: &str) {
    let (expected, actual) = (list(expected), list(actual));
    assert_eq!(expected.len(), actual.len(), "how many {what}");
    for (expected, actual) in expected.iter().zip(actual) {
        let what = format!("{what}: {expected}");
        same_but(expected, actual, &["subjects"], &what);
        if let Some(people) = expected["subjects"].as_u64() {
            people_agree(people, actual["subjects"].as_u64().unwrap(), &what);
        }
    }
}

fn people_agree(expected: u64, actual: u64, what: &str) {
    let margin = if expected <= 512 { 0.0 } else { 2.0 * 1.04 / 64.0 * expected as f64 };
    assert!((expected as f64 - actual as f64).abs() <= margin, "{actual} people in {what}");
}

#[test]
fn the_story_is_told_number_by_number() {
    let report = overstay(&["audit", "--json"]).report();
    let story = expected();
    assert_eq!(report["status"], "complete");
    for part in ["window", "register", "accounting"] {
        same_but(&story[part], &report[part], &[], part);
    }
    same_but(&story["rejects"]["by_reason"], &report["rejects"]["by_reason"], &[], "rejects");
    same_rows(&story["rejects"]["sample"], &report["rejects"]["sample"], "rejects");
    for part in ["inputs", "partners", "apis", "ends", "exceptions", "suppressions"] {
        same_rows(&story[part], &report[part], part);
    }
    same_rows(&story["usage"], &report["usage"], "usage");
    same_rows(&story["coverage"]["sources"], &report["coverage"]["sources"], "sources");
    same_but(&story["coverage"], &report["coverage"], &["sources"], "coverage");
}

#[test]
fn verdicts_partition_the_calls() {
    let report = overstay(&["audit", "--json"]).report();
    let story = expected();
    let (mut verdicts, mut also) = (BTreeMap::new(), BTreeMap::new());
    for row in list(&report["usage"]) {
        let calls = row["calls"].as_u64().unwrap();
        *verdicts.entry(row["verdict"].as_str().unwrap().to_owned()).or_insert(0) += calls;
        for name in list(&row["also"]) {
            *also.entry(name.as_str().unwrap().to_owned()).or_insert(0) += calls;
        }
    }
    assert_eq!(serde_json::to_value(verdicts).unwrap(), story["verdicts"]);
    assert_eq!(serde_json::to_value(also).unwrap(), story["also"]);
}

/// What makes a finding one problem.
fn problem(finding: &Value) -> String {
    let keys = ["kind", "partner", "api", "grant", "credentials"];
    keys.map(|key| finding[key].to_string()).join(" ")
}

#[test]
fn every_finding_is_as_told() {
    let report = overstay(&["audit", "--json"]).report();
    let story = expected();
    assert_eq!(list(&story["findings"]).len(), list(&report["findings"]).len());
    for told in list(&story["findings"]) {
        let what = problem(told);
        let found = list(&report["findings"]).iter().find(|found| problem(found) == what);
        let found = found.unwrap_or_else(|| panic!("no finding {what}"));
        same_but(told, found, &["subjects"], &what);
        let people = told["subjects"].as_u64().unwrap();
        let subjects = &found["subjects"];
        assert_eq!(subjects["exact"], people <= 512, "{what}");
        let (low, high) = (subjects["low"].as_u64().unwrap(), subjects["high"].as_u64().unwrap());
        assert!(low <= people && people <= high, "{people} people of {what}: {subjects}");
        if people <= 512 {
            assert_eq!((low, high), (people, people), "{what}");
        }
    }
}

#[test]
fn the_headline_sums_it_up() {
    let report = overstay(&["audit", "--json"]).report();
    let story = &expected()["headline"];
    let headline = report["headline"].as_str().unwrap();
    let words = format!(
        "{} of {} partners overstayed: 2,927 served calls, ",
        story["partners_overstayed"], story["partners"]
    );
    assert_eq!(story["served_calls"], 2927);
    assert!(headline.starts_with(&words), "{headline}");
    let longest = format!("Longest: seekly, {}.", story["longest_words"].as_str().unwrap());
    assert!(headline.ends_with(&longest), "{headline}");
    let people: String =
        headline[words.len()..].chars().filter(char::is_ascii_digit).take(4).collect();
    people_agree(story["people"].as_u64().unwrap(), people.parse().unwrap(), headline);
}

/// Each finding's calls, asked for by its id, are as many as the finding says; its people too.
#[test]
fn the_calls_of_each_finding_can_be_printed() {
    let report = overstay(&["audit", "--json"]).report();
    let story = expected();
    for finding in list(&report["findings"]) {
        let id = finding["id"].as_str().unwrap();
        let calls = overstay(&["calls", "--finding", id]).json_lines();
        let of = |outcomes: &[&str]| {
            let one_of = |call: &&Value| outcomes.contains(&call["outcome"].as_str().unwrap());
            calls.iter().filter(one_of).count() as u64
        };
        assert_eq!(of(&["served", "unknown"]), finding["served"].as_u64().unwrap(), "{finding}");
        assert_eq!(of(&["denied"]), finding["denied"].as_u64().unwrap(), "{finding}");
        assert_eq!(of(&["failed"]), finding["failed"].as_u64().unwrap(), "{finding}");
        let told = list(&story["findings"]).iter().find(|told| problem(told) == problem(finding));
        let people = overstay(&[
            "calls",
            "--finding",
            id,
            "--outcome",
            "served",
            "--outcome",
            "unknown",
            "--distinct",
            "subject",
        ]);
        let people = people.json_lines().len() as u64;
        assert_eq!(people, told.unwrap()["subjects"].as_u64().unwrap(), "people of {finding}");
    }
}

#[test]
fn the_evidence_can_be_read_again() {
    let case = Case::new();
    case.run(&["audit", "-q", "--config", &config(), "--report", "json=report.json"])
        .expect_status(0);
    let report: Value = serde_json::from_str(&case.read("report.json")).unwrap();
    let lines: usize = list(&report["findings"]).iter().map(|f| list(&f["evidence"]).len()).sum();
    let verified =
        case.run(&["calls", "--config", &config(), "--verify", "report.json"]).expect_status(0);
    let verified = verified.json_lines();
    assert_eq!(verified.len(), lines);
    assert!(lines > 80);
    assert!(verified.iter().all(|line| line["status"] == "same"));
}

/// What was known a day earlier judges the same calls otherwise: the numbers stand in the sample's README.
#[test]
fn as_known_a_day_earlier() {
    let report = overstay(&["audit", "--json", "--as-known-at", "2018-12-18T00:00:00Z"]).report();
    let of = |verdict: &str| -> u64 {
        let rows = list(&report["usage"]).iter().filter(|row| row["verdict"] == verdict);
        rows.map(|row| row["calls"].as_u64().unwrap()).sum()
    };
    let told = [
        ("granted", 1532),
        ("after-revocation", 1456),
        ("never-granted", 205),
        ("purpose-ended", 272),
    ];
    for (verdict, calls) in told {
        assert_eq!(of(verdict), calls, "{verdict}");
    }
}

/// The story in words has the numbers too.
#[test]
fn the_readme_of_the_sample_has_every_number() {
    let readme = fs::read_to_string(root().join("sample-logs/README.md")).unwrap();
    let thousands = |n: u64| match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", n / 1000, n % 1000),
    };
    for finding in list(&expected()["findings"]) {
        for number in ["served", "denied"] {
            let number = thousands(finding[number].as_u64().unwrap());
            assert!(readme.contains(&number), "{number} of {finding}");
        }
        for name in ["kind", "partner", "grant"] {
            if let Some(name) = finding[name].as_str() {
                assert!(readme.contains(name), "{name} of {finding}");
            }
        }
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// The script that writes the logs still writes these, to the byte.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_sample_can_be_made_again() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3 is not installed");
        return;
    }
    let case = Case::new();
    fs::create_dir_all(case.path("scripts")).unwrap();
    fs::copy(root().join("scripts/make-sample-logs"), case.path("scripts/make-sample-logs"))
        .unwrap();
    let before = files(&root().join("sample-logs"));
    for (name, content) in &before {
        case.write(&format!("sample-logs/{}", name.display()), content);
    }
    let made = Command::new("python3").arg(case.path("scripts/make-sample-logs")).status().unwrap();
    assert!(made.success());
    let after = files(&case.path("sample-logs"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, content) in &before {
        assert!(after[name] == *content, "{} differs", name.display());
    }
}
