//! `overstay verify`: no byte of what runs wrote, and of what they found, can be another in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Case, gzip};

const CONFIG: &str =
    "[register]\nsource = \"register\"\n[[logs]]\nsource = \"core\"\npaths = [\"logs\"]\n";

/// Three runs, the logs between them renamed and compressed.
fn ready() -> (Case, Vec<String>) {
    let case = Case::mixed().file("overstay.toml", CONFIG);
    let mut heads = Vec::new();
    let mut run = |day: u32| {
        let output = case.run(&["nightly", "--run-at", &format!("2018-07-{day:02}T02:00:00Z")]);
        let stderr = &output.stderr;
        let head = stderr.split("head of the chain: ").nth(1).unwrap().lines().next().unwrap();
        heads.push(head.to_owned());
    };
    run(2);
    let line = |day: u32, user: &str| {
        format!(
            "{{\"ts\":\"2018-07-{day:02}T10:00:00Z\",\"client_id\":\"key-globex-2\",\"method\":\"GET\",\"path\":\"/messages/{user}\",\"status\":200,\"user\":\"{user}\"}}\n"
        )
    };
    case.write("logs/new.log", line(2, "ann") + &line(2, "bob"));
    run(3);
    case.write("logs/new.log.1", line(2, "ann") + &line(2, "bob") + &line(2, "cat"));
    fs::remove_file(case.path("logs/new.log")).unwrap();
    case.write("logs/new.log", line(3, "dan"));
    run(4);
    (case, heads)
}

fn verify(case: &Case, head: &str) -> (i32, String) {
    let output = case.run(&["verify", "--head", head]);
    (output.status.code().unwrap(), format!("{}{}", output.stdout, output.stderr))
}

/// The files of reports and manifests.
fn files(case: &Case) -> BTreeMap<PathBuf, Vec<u8>> {
    let names = case
        .names()
        .into_iter()
        .filter(|name| name.starts_with("reports/") && !name.ends_with("latest"));
    names.map(|name| (case.path(&name), fs::read(case.path(&name)).unwrap())).collect()
}

#[test]
fn what_is_as_it_was_verifies_from_any_head() {
    let (case, heads) = ready();
    for head in &heads {
        let (code, told) = verify(&case, head);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("3 runs, all reports and manifests as they were written"), "{told}");
        assert!(told.contains("of evidence, all the same"), "{told}");
    }
    let (code, told) = verify(&case, &"0".repeat(64));
    assert!(code == 2 && told.contains("no manifest has this hash"), "{told}");
}

/// One bit of one byte of any report or manifest.
#[test]
fn every_byte_of_reports_and_manifests_counts() {
    let (case, heads) = ready();
    let head = heads.last().unwrap();
    let files = files(&case);
    assert!(files.len() >= 12, "{:?}", files.keys());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(any::<Index>(), any::<Index>(), 0u32..8), |(file, byte, bit)| {
            let (path, content) = files.iter().nth(file.index(files.len())).unwrap();
            let mut other = content.clone();
            let at = byte.index(other.len());
            other[at] ^= 1 << bit;
            fs::write(path, &other).unwrap();
            let (code, told) = verify(&case, head);
            fs::write(path, content).unwrap();
            prop_assert!(code == 2, "bit {bit} of byte {at} of {}: {told}", path.display());
            Ok(())
        })
        .unwrap();
    assert_eq!(verify(&case, head).0, 0, "all bytes are back");
}

/// One bit of one byte of any line of evidence; of all else in a log only the ends of what was read are looked at.
#[test]
fn every_byte_of_evidence_counts() {
    let (case, heads) = ready();
    let report: serde_json::Value = {
        let mut all = Vec::new();
        for run in 1..=3 {
            let text = case.read(&format!("reports/runs/{run:06}/report.json"));
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            for finding in report["findings"].as_array().unwrap() {
                all.extend(finding["evidence"].as_array().unwrap().clone());
            }
        }
        all.into()
    };
    let lines: Vec<(String, usize, usize)> = report
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let number = |key: &str| line[key].as_u64().unwrap() as usize;
            (line["path"].as_str().unwrap().to_owned(), number("offset"), number("length"))
        })
        .collect();
    assert!(lines.len() > 5);
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(any::<Index>(), any::<Index>(), 0u32..8), |(line, byte, bit)| {
            let (path, offset, length) = &lines[line.index(lines.len())];
            // What was read as new.log on the second night is new.log.1 since.
            for path in [path.clone(), format!("{path}.1")] {
                let place = case.path(&path);
                let Ok(content) = fs::read(&place) else { continue };
                let at = offset + byte.index(*length);
                if at >= content.len() {
                    continue;
                }
                let mut other = content.clone();
                other[at] ^= 1 << bit;
                fs::write(&place, &other).unwrap();
                let (code, told) = verify(&case, heads.last().unwrap());
                fs::write(&place, &content).unwrap();
                prop_assert!(code == 2, "bit {bit} of byte {at} of {path}: {told}");
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(verify(&case, heads.last().unwrap()).0, 0, "all bytes are back");
}

fn swap(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    fs::rename(a, &aside).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(&aside, b).unwrap();
}

/// Runs in another order, runs that are gone, and files that no run wrote.
#[test]
fn order_and_number_count() {
    let (case, heads) = ready();
    let head = heads.last().unwrap();
    let (second, third) = (case.path("reports/runs/000002"), case.path("reports/runs/000003"));
    swap(&second, &third);
    let (code, told) = verify(&case, head);
    assert!(code == 2 && told.contains("found run 3, expected run 2"), "{told}");
    swap(&second, &third);
    let manifests = [second.join("manifest.json"), third.join("manifest.json")];
    swap(&manifests[0], &manifests[1]);
    assert_eq!(verify(&case, head).0, 2);
    swap(&manifests[0], &manifests[1]);
    assert_eq!(verify(&case, head).0, 0);

    let aside = case.path("aside");
    for gone in ["reports/runs/000002", "reports/runs/000003", "reports/2018-07-02/rev-1.json"] {
        fs::rename(case.path(gone), &aside).unwrap();
        let (code, told) = verify(&case, head);
        assert!(code == 2, "{gone}: {told}");
        fs::rename(&aside, case.path(gone)).unwrap();
    }
    case.write("reports/2018-07-02/rev-9.json", "{}");
    let (code, told) = verify(&case, head);
    assert!(code == 2 && told.contains("no run wrote this"), "{told}");
    fs::remove_file(case.path("reports/2018-07-02/rev-9.json")).unwrap();
    assert_eq!(verify(&case, head).0, 0);
}

/// State and registers are checked against what the ledger names; logs that are gone are told, and are no error.
#[test]
fn the_state_is_checked_and_logs_may_be_gone() {
    let (case, heads) = ready();
    let head = heads.last().unwrap();
    let segments = case.names().into_iter().filter(|name| name.starts_with("state/segments/"));
    let registers = case
        .names()
        .into_iter()
        .filter(|name| name.ends_with("grants.csv") && name.starts_with("state/"));
    for name in segments.chain(registers) {
        let content = fs::read(case.path(&name)).unwrap();
        let mut other = content.clone();
        let last = other.len() - 2;
        other[last] ^= 1;
        case.write(&name, &other);
        let (code, told) = verify(&case, head);
        assert!(code == 2, "{name}: {told}");
        case.write(&name, &content);
    }
    fs::rename(case.path("logs/mixed.log"), case.path("mixed.log")).unwrap();
    let (code, told) = verify(&case, head);
    assert!(code == 0 && told.contains("could not be read again"), "{told}");
    let output = case.run(&["verify", "--no-evidence"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.contains("nobody vouches for the head"), "{}", output.stderr);
}

/// Lines of a log that is its own evidence, more than 1 KiB.
fn served(day: u32, count: u32) -> String {
    let line = |i: u32| {
        format!(
            "{{\"ts\":\"2018-07-{day:02}T{:02}:{:02}:00Z\",\"client_id\":\"key-globex-2\",\"method\":\"GET\",\"path\":\"/messages/u{i}\",\"status\":200,\"user\":\"u{i}\"}}\n",
            i / 60,
            i % 60
        )
    };
    (0..count).map(line).collect()
}

fn run(case: &Case, day: u32, rest: &[&str]) {
    let run_at = format!("2018-07-{day:02}T02:00:00Z");
    case.run(&[&["nightly", "--run-at", &run_at][..], rest].concat()).expect_status(0);
}

fn assert_verifies(case: &Case, what: &str) {
    let output = case.run(&["verify"]);
    assert_eq!(output.status.code(), Some(0), "{what}: {}{}", output.stdout, output.stderr);
}

/// Numbers of logs are given once: what is read anew is another log to those who hold an older report.
#[test]
fn what_is_read_anew_makes_no_evidence_of_before_wrong() {
    let copy = |case: &Case, from: &str, to: &str| {
        let done = Command::new("cp").arg("-a").args([case.path(from), case.path(to)]).status();
        assert!(done.unwrap().success());
    };
    for begin_anew in ["rebuild", "lost", "restored"] {
        let case = Case::mixed().file("overstay.toml", CONFIG);
        fs::remove_file(case.path("logs/mixed.log")).unwrap();
        case.write("logs/m.log", served(1, 30));
        run(&case, 2, &[]);
        copy(&case, "state", "backup");
        case.write("logs/z.log", served(3, 20));
        run(&case, 4, &[]);
        // What comes first by name is a new one, with other lines.
        case.write("logs/a.log", served(4, 25));
        let mut rest = &[][..];
        match begin_anew {
            "rebuild" => rest = &["--rebuild"],
            _ => fs::remove_dir_all(case.path("state")).unwrap(),
        }
        if begin_anew == "restored" {
            copy(&case, "backup", "state");
        }
        run(&case, 5, rest);
        assert_verifies(&case, begin_anew);
        run(&case, 6, &[]);
        assert_verifies(&case, begin_anew);
    }
}

/// Between a rotation and the next run a log may be compressed already.
#[test]
fn a_log_that_was_compressed_since_is_what_it_was() {
    let case = Case::mixed().file("overstay.toml", CONFIG);
    let text = served(1, 300);
    case.write("logs/a.log", &text);
    run(&case, 2, &[]);
    fs::remove_file(case.path("logs/a.log")).unwrap();
    case.write("logs/a.log.1.gz", gzip(&text));
    assert_verifies(&case, "compressed");
    // In the midst of it no line is evidence, and the hash of all of it tells.
    case.write("logs/a.log.1.gz", gzip(text.replace("/messages/u150", "/messages/u151")));
    let output = case.run(&["verify"]).expect_status(2);
    let told = "logs/a.log.1.gz: what was read of it was changed: its hash is another\n";
    assert_eq!(output.stdout, told);
}

/// A run that is at work, or was killed when it counted already, has changed nothing that it must not.
#[test]
fn reports_that_are_not_in_their_places_yet_are_no_tampering() {
    let (case, heads) = ready();
    let to = case.path("reports/.new/000003");
    fs::create_dir_all(to.join("runs")).unwrap();
    fs::rename(case.path("reports/runs/000003"), to.join("runs/000003")).unwrap();
    let output = case.run(&["verify"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: reports: a run is at work, or was killed before its reports were in their places",
        "hint: verify again when it has ended; if it was killed, the next run puts them there",
    ]);
    let next = ["nightly", "--run-at", "2018-07-05T02:00:00Z"];
    let dry = case.run(&[&next[..], &["--dry-run"]].concat()).expect_status(0);
    let output = case.run(&next).expect_status(0);
    for told in [&dry.stderr, &output.stderr] {
        assert!(!told.contains("is not the one that it wrote"), "{told}");
    }
    assert_eq!(verify(&case, &heads[2]).0, 0);
    // While it is held by a run.
    let lock = fs::File::open(case.path("state/lock")).unwrap();
    lock.lock().unwrap();
    case.run(&["verify"]).expect_status(2).expect_stderr(&["a run is at work"]);
}
