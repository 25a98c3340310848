//! The sample story: what `sample-logs/README.md` tells and `sample_story.json` counts, as the program must find it.
//!
//! The numbers come from the scenes as they were written. Where the program disagrees, one of the two is wrong.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use overstay::report::text;
use serde_json::{Value, json};

use crate::harness::{Case, repository};

/// The numbers of the scenes.
fn story() -> &'static Value {
    static STORY: OnceLock<Value> = OnceLock::new();
    STORY.get_or_init(|| serde_json::from_str(include_str!("sample_story.json")).unwrap())
}

/// The report on the sample, and what the program prints for people.
fn report() -> &'static Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    REPORT.get_or_init(|| audit(&["--json"]).expect_status(0).report())
}

fn audit(arguments: &[&str]) -> crate::harness::Output {
    let config = repository("sample-logs/overstay.toml");
    let mut all = vec!["audit", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    Case::new().run(&all)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("expected a count, found {value}"))
}

fn rows(of: &Value) -> &Vec<Value> {
    of.as_array().unwrap()
}

/// What tells the rows of an array apart, by the names of its fields.
fn key(row: &Value, fields: &[&str]) -> String {
    fields.iter().map(|field| row[*field].to_string()).collect::<Vec<_>>().join(" ")
}

/// Whether a count of people may stand for the true one: exact up to 512, else within two standard errors.
fn people_fit(actual: &Value, people: u64) -> bool {
    match actual {
        Value::Object(subjects) if subjects["exact"] == json!(true) => {
            ["count", "low", "high"].iter().all(|name| number(&subjects[*name]) == people)
                && people <= 512
        }
        Value::Object(subjects) => {
            people > 512
                && number(&subjects["low"]) <= people
                && people <= number(&subjects["high"])
                && number(&subjects["low"]) <= number(&subjects["count"])
                && number(&subjects["count"]) <= number(&subjects["high"])
        }
        count if people <= 512 => number(count) == people,
        count => number(count).abs_diff(people) as f64 <= 2.0 * 0.017 * people as f64,
    }
}

/// Holds every field that the story has of something to the report's.
fn fields_agree(place: &str, expected: &Value, actual: &Value, wrong: &mut Vec<String>) {
    for (name, expected) in expected.as_object().unwrap() {
        let actual = &actual[name];
        let agrees = match name.as_str() {
            "subjects" => people_fit(actual, number(expected)),
            _ => actual == expected,
        };
        if !agrees {
            wrong.push(format!("{place}: {name}: expected {expected}, found {actual}"));
        }
    }
}

/// Holds an array to the story's: the same rows by their key, no more, no fewer, and every field of each.
#[track_caller]
fn check(array: &str, fields: &[&str], expected: &Value, actual: &Value) {
    let by_key = |rows: &'static Value| -> BTreeMap<String, &'static Value> {
        let rows: Vec<_> = self::rows(rows).iter().map(|row| (key(row, fields), row)).collect();
        let count = rows.len();
        let map: BTreeMap<_, _> = rows.into_iter().collect();
        assert_eq!(map.len(), count, "{array}: its rows can't be told apart");
        map
    };
    let (expected, actual) = (by_key(leak(expected)), by_key(leak(actual)));
    let mut wrong = Vec::new();
    for (key, expected) in &expected {
        match actual.get(key) {
            Some(actual) => fields_agree(&format!("{array}: {key}"), expected, actual, &mut wrong),
            None => wrong.push(format!("{array}: {key}: not in the report")),
        }
    }
    for key in actual.keys().filter(|key| !expected.contains_key(*key)) {
        wrong.push(format!("{array}: {key}: not in the story"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A value that lives as long as the test program.
fn leak(value: &Value) -> &'static Value {
    Box::leak(Box::new(value.clone()))
}

/// The same for an array of the same name in both.
#[track_caller]
fn check_array(array: &str, fields: &[&str]) {
    check(array, fields, &story()[array], &report()[array]);
}

#[test]
fn every_finding() {
    // Two apis without a name, or two keys of a partner, make no two findings of one kind here.
    check_array("findings", &["kind", "partner", "api", "grant", "credentials"]);
}

#[test]
fn findings_carry_what_the_scenes_cannot_know() {
    for finding in rows(&report()["findings"]) {
        let id = finding["id"].as_str().unwrap();
        let (prefix, rest) = id.split_at(3);
        assert_eq!((prefix, rest.len()), ("os-", 12), "{id}");
        assert!(rest.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7')), "{id}");
        for absent in ["status", "first_seen", "log", "anomaly"] {
            assert_eq!(finding[absent], Value::Null, "{id}: {absent}");
        }
        let evidence = rows(&finding["evidence"]);
        let served = number(&finding["served"]);
        assert_eq!(evidence.len() as u64, served.min(6), "{id}: lines of evidence");
        if let (Some(first), Some(last)) = (evidence.first(), evidence.last()) {
            // Refused calls may come before and after, and are no evidence.
            assert!(first["at"].as_str() >= finding["first"].as_str(), "{id}");
            assert!(last["at"].as_str() <= finding["last"].as_str(), "{id}");
        }
        assert!(!finding["summary"].as_str().unwrap().is_empty(), "{id}");
    }
}

/// The people of a finding are beyond 512 an estimate; asked for one by one they are as many as the story says.
#[test]
fn the_calls_of_each_finding_can_be_printed() {
    let fields = ["kind", "partner", "api", "grant", "credentials"];
    let config = repository("sample-logs/overstay.toml");
    let calls = |rest: &[&str]| {
        let arguments = [&["calls", "--config", config.to_str().unwrap()], rest].concat();
        Case::new().run(&arguments).expect_status(0).json_lines()
    };
    for finding in rows(&report()["findings"]) {
        let id = finding["id"].as_str().unwrap();
        if finding["kind"] == "standing-access" {
            let arguments = ["calls", "--config", config.to_str().unwrap(), "--finding", id];
            let output = Case::new().run(&arguments).expect_status(2);
            let told = format!(
                "error: --finding: no call belongs to {id}: it is about access that stands"
            );
            assert!(output.stderr.contains(&told), "{}", output.stderr);
            continue;
        }
        let of_finding = calls(&["--finding", id]);
        let of = |outcomes: &[&str]| {
            let one_of = |call: &&Value| outcomes.contains(&call["outcome"].as_str().unwrap());
            of_finding.iter().filter(one_of).count() as u64
        };
        assert_eq!(of(&["served", "unknown"]), number(&finding["served"]), "{id}");
        assert_eq!(of(&["denied"]), number(&finding["denied"]), "{id}");
        assert_eq!(of(&["failed"]), number(&finding["failed"]), "{id}");
        let told = rows(&story()["findings"])
            .iter()
            .find(|told| key(told, &fields) == key(finding, &fields));
        let served = ["--outcome", "served", "--outcome", "unknown", "--distinct", "subject"];
        let people = calls(&[&["--finding", id], &served[..]].concat()).len();
        assert_eq!(people as u64, number(&told.unwrap()["subjects"]), "{id}");
    }
}

#[test]
fn the_evidence_can_be_read_again() {
    let case = Case::new().file("report.json", report().to_string());
    let config = repository("sample-logs/overstay.toml");
    let output =
        case.run(&["calls", "--config", config.to_str().unwrap(), "--verify", "report.json"]);
    let verified = output.expect_status(0).json_lines();
    let lines: usize = rows(&report()["findings"]).iter().map(|f| rows(&f["evidence"]).len()).sum();
    assert_eq!(verified.len(), lines);
    assert!(lines > 80);
    assert!(verified.iter().all(|line| line["status"] == "same"));
}

#[test]
fn the_headline() {
    let story = &story()["headline"];
    let headline = report()["headline"].as_str().unwrap();
    let start = format!(
        "{} of {} partners overstayed: 2,927 served calls, ",
        story["partners_overstayed"], story["partners"]
    );
    assert_eq!(story["served_calls"], 2927);
    let rest = headline.strip_prefix(&start).unwrap_or_else(|| panic!("{headline}"));
    let longest = format!(
        " people. Longest: {}, {}.",
        story["longest_partner"].as_str().unwrap(),
        story["longest_words"].as_str().unwrap()
    );
    let people = rest.strip_suffix(&longest).unwrap_or_else(|| panic!("{headline}"));
    // Beyond 512 it is an estimate, and says so.
    let people = people.strip_prefix('~').unwrap_or_else(|| panic!("{headline}"));
    let people: u64 = people.replace(',', "").parse().unwrap();
    assert!(people_fit(&json!(people), number(&story["people"])), "{headline}");
    let longest = rows(&report()["partners"]).iter().map(|p| p["overstay_s_max"].as_u64()).max();
    assert_eq!(longest.flatten(), story["longest_s"].as_u64());
}

#[test]
fn window_register_and_accounting() {
    let mut wrong = Vec::new();
    for name in ["window", "register", "accounting"] {
        fields_agree(name, &story()[name], &report()[name], &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(report()["status"], "complete");
    assert_eq!(report()["partial"], json!([]));
    assert_eq!(report()["flipped"], json!([]));
}

#[test]
fn rejects_are_counted_and_shown_by_their_shape() {
    assert_eq!(report()["rejects"]["by_reason"], story()["rejects"]["by_reason"]);
    let sample = &report()["rejects"]["sample"];
    check("rejects", &["path", "line"], &story()["rejects"]["sample"], sample);
}

#[test]
fn verdicts_partition_the_calls() {
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut also: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows(&report()["usage"]) {
        let calls = number(&row["calls"]);
        *verdicts.entry(row["verdict"].as_str().unwrap()).or_default() += calls;
        for kind in rows(&row["also"]) {
            *also.entry(kind.as_str().unwrap()).or_default() += calls;
        }
    }
    assert_eq!(json!(verdicts), story()["verdicts"]);
    assert_eq!(json!(also), story()["also"]);
}

#[test]
fn every_partner() {
    check_array("partners", &["partner"]);
}

#[test]
fn every_api() {
    check_array("apis", &["api"]);
}

#[test]
fn every_end() {
    check_array("ends", &["partner", "api", "grant", "ended_at"]);
}

#[test]
fn every_exception() {
    check_array("exceptions", &["grant"]);
}

#[test]
fn every_suppression() {
    check_array("suppressions", &["kind", "owner"]);
}

#[test]
fn coverage() {
    let (story, report) = (&story()["coverage"], &report()["coverage"]);
    check("sources", &["source"], &story["sources"], &report["sources"]);
    for name in ["partners_without_calls", "grants_without_calls"] {
        assert_eq!(report[name], story[name], "{name}");
    }
}

#[test]
fn every_usage_row() {
    check_array("usage", &["partner", "api", "operation", "verdict", "also", "grant", "outcome"]);
}

#[test]
fn every_input() {
    check_array("inputs", &["path", "source"]);
}

#[test]
fn the_register_as_known_on_the_first_evening() {
    let report = audit(&["--json", "--as-known-at", "2018-12-18T00:00:00Z"]);
    let report = report.expect_status(0).report();
    assert_eq!(report["register"]["as_known_at"], "2018-12-18T00:00:00Z");
    let calls = |of: &dyn Fn(&Value) -> bool| -> u64 {
        rows(&report["usage"]).iter().filter(|row| of(row)).map(|row| number(&row["calls"])).sum()
    };
    let verdict = |name: &str| calls(&|row| row["verdict"] == name);
    assert_eq!(verdict("granted"), 1532);
    assert_eq!(verdict("after-revocation"), 1456);
    assert_eq!(verdict("never-granted"), 205);
    assert_eq!(verdict("purpose-ended"), 272);
    // Nothing that happens to other verdicts was written down late.
    for (name, count) in story()["verdicts"].as_object().unwrap() {
        if !["granted", "after-revocation", "never-granted", "purpose-ended"].contains(&&**name) {
            assert_eq!(verdict(name), number(count), "{name}");
        }
    }
    let of = |partner: &str, verdict: &str| {
        calls(&|row| row["partner"] == partner && row["verdict"] == verdict)
    };
    assert_eq!(of("polldeck", "granted"), 180);
    assert_eq!(of("mapwright", "never-granted"), 180);
    assert_eq!(of("quillbank", "purpose-ended"), 272);
    // Nobody can act on hindsight that is not there yet.
    assert!(!rows(&report["findings"]).iter().any(|finding| finding["kind"] == "hindsight"));
}

#[test]
fn the_sample_has_no_problem_but_those_the_story_needs() {
    let config = repository("sample-logs/overstay.toml");
    let checked = Case::new().run(&["check", "--config", config.to_str().unwrap()]);
    let checked = checked.expect_status(0);
    assert!(!checked.stdout.contains("error"), "no errors");
}

// --- the page that tells the story ------------------------------------------------------------------------------------

fn readme() -> String {
    std::fs::read_to_string(repository("sample-logs/README.md")).unwrap()
}

#[test]
fn the_page_quotes_what_the_program_prints() {
    let (page, report) = (readme(), report());
    assert!(page.contains(&format!("\n> {}\n", report["headline"].as_str().unwrap())));
    for finding in report["findings"].as_array().unwrap() {
        if let Some(overstay_s) = finding["overstay_s"].as_u64() {
            let (n, duration) = (text::thousands(overstay_s), text::duration(overstay_s));
            assert!(page.contains(&format!("{n} ({duration})")), "{n} ({duration})");
            // In the prose, too, wherever it is given in words.
            for words in page.split(&format!("{n} s = ")).skip(1) {
                assert!(
                    words.trim_start_matches('*').starts_with(&duration),
                    "{n} s = {words:.20}"
                );
            }
        }
    }
}

/// The cells of the first table whose header begins so.
fn table(page: &str, header: &str) -> Vec<Vec<String>> {
    let lines = page.lines().skip_while(|line| !line.starts_with(header));
    let rows: Vec<Vec<String>> = lines
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table {header}");
    rows
}

/// A cell as the report would have it: `1,404`, `2017-12-06`, `–`, `201 (2 d)`, a name.
fn cell(text: &str) -> Value {
    let text = text.split(" (").next().unwrap();
    let digits = text.replace(',', "");
    if text == "–" {
        Value::Null
    } else if let Ok(count) = digits.parse::<u64>() {
        json!(count)
    } else if text.len() == 10 && text.chars().filter(|c| *c == '-').count() == 2 {
        json!(format!("{text}T00:00:00Z"))
    } else {
        json!(text)
    }
}

/// Holds a row of the page to a row of the report, cell by cell.
fn cells_agree(cells: &[String], fields: &[&str], row: &Value) -> bool {
    assert_eq!(cells.len(), fields.len());
    fields.iter().zip(cells).all(|(field, text)| match *field {
        "" => true,
        "subjects" => people_fit(&row["subjects"], number(&cell(text))),
        "operations" => {
            let names: Vec<&str> =
                rows(&row["operations"]).iter().map(|name| name.as_str().unwrap()).collect();
            names.join(", ") == *text
        }
        _ => row[*field] == cell(text),
    })
}

/// Finds each row of a table in an array of the report; both have as many.
#[track_caller]
fn check_table(header: &str, array: &str, fields: &[&str]) {
    let page = table(&readme(), header);
    assert_eq!(page.len(), rows(&report()[array]).len(), "rows of {array}");
    for cells in page {
        let fitting =
            rows(&report()[array]).iter().filter(|row| cells_agree(&cells, fields, row)).count();
        assert_eq!(fitting, 1, "{array}: rows as the page has them: {cells:?}");
    }
}

#[test]
fn the_page_tells_the_findings() {
    let keys = ["unknown-credential", "stale-credential"];
    let fields = [
        "severity",
        "kind",
        "partner",
        "api",
        "",
        "served",
        "denied",
        "failed",
        "hindsight",
        "subjects",
        "since",
        "lapsed_at",
        "overstay_s",
    ];
    check_table("| severity | kind |", "findings", &fields);
    for cells in table(&readme(), "| severity | kind |") {
        let finding =
            rows(&report()["findings"]).iter().find(|row| cells_agree(&cells, &fields, row));
        let finding = finding.unwrap();
        let named =
            if keys.contains(&cells[1].as_str()) { json!([cells[4]]) } else { cell(&cells[4]) };
        let field = if named.is_array() { "credentials" } else { "grant" };
        assert_eq!(finding[field], named, "{cells:?}");
    }
}

#[test]
fn the_page_tells_the_partners() {
    check_table(
        "| partner | calls |",
        "partners",
        &[
            "partner",
            "calls",
            "served",
            "denied",
            "failed",
            "unknown",
            "overstayed_calls",
            "subjects",
            "apis",
            "overstay_s_max",
        ],
    );
}

#[test]
fn the_page_tells_the_ends() {
    check_table(
        "| partner | api | grant |",
        "ends",
        &[
            "partner",
            "api",
            "grant",
            "reason",
            "ended_at",
            "operations",
            "last_served",
            "first_denied",
            "lag_s",
            "status",
        ],
    );
}

#[test]
fn the_page_tells_the_logs() {
    check_table(
        "| file | format |",
        "inputs",
        &["path", "format", "lines", "blank", "calls", "rejected", "bytes"],
    );
}

#[test]
fn the_page_tells_the_verdicts() {
    let told: BTreeMap<String, Value> = table(&readme(), "| verdict | calls |")
        .into_iter()
        .map(|cells| (cells[0].clone(), cell(&cells[1])))
        .collect();
    assert_eq!(json!(told), story()["verdicts"]);
}

#[test]
fn each_scene_names_what_its_findings_served() {
    let page = readme();
    // A scene begins with a name in bold at the start of a paragraph, or is a whole section.
    let scene = |name: &str| -> String {
        let start = page.find(&format!("\n**{name}**")).unwrap_or_else(|| panic!("{name}")) + 1;
        let rest = &page[start + 2..];
        let end = ["\n**", "\n## "].iter().filter_map(|mark| rest.find(mark)).min();
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    for finding in rows(&report()["findings"]) {
        let name = match (finding["kind"].as_str().unwrap(), finding["partner"].as_str()) {
            (_, Some(partner)) => partner,
            ("unknown-credential", None) => "An unknown key",
            ("anonymous", None) => "Nobody",
            ("unlisted-api", None) => "loomworks",
            (kind, None) => panic!("{kind}: a finding without a scene"),
        };
        let told = scene(name);
        if finding["kind"] == "standing-access" {
            assert!(told.contains("`standing-access`, high"), "{name}");
            continue;
        }
        let served = number(&finding["served"]);
        let numbers =
            told.split(|c: char| !c.is_ascii_digit() && c != ',').map(|n| n.replace(',', ""));
        let is_told = match served {
            0 => told.contains("all denied") || told.contains("all failed"),
            _ => numbers.into_iter().any(|n| n == served.to_string()),
        };
        assert!(is_told, "{name}: {served} served calls are not in its scene:\n{told}");
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run must say so")]
fn the_script_writes_the_same_bytes_again() {
    let python = |arguments: &[&std::ffi::OsStr]| Command::new("python3").args(arguments).output();
    if !python(&["--version".as_ref()]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no python3");
        return;
    }
    let case = Case::new();
    // The script writes beside itself: a copy of it, with nothing but the tables that are written by hand.
    for name in ["scripts", "sample-logs/register"] {
        std::fs::create_dir_all(case.path(name)).unwrap();
    }
    std::fs::copy(repository("scripts/make-sample-logs"), case.path("scripts/make-sample-logs"))
        .unwrap();
    let output = python(&[case.path("scripts/make-sample-logs").as_os_str()]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = case.names();
    let written: Vec<&String> =
        written.iter().filter(|name| name.starts_with("sample-logs/")).collect();
    assert!(written.len() > 8, "{written:?}");
    for name in &written {
        let committed = std::fs::read(repository(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = std::fs::read(case.path(name)).unwrap();
        assert!(committed == again, "{name}: other bytes than those committed");
    }
    // And no log is there that no scene wrote.
    for input in rows(&report()["inputs"]) {
        let name = format!("sample-logs/{}", input["path"].as_str().unwrap());
        assert!(written.contains(&&name), "{name}: not written by the script");
    }
}
