//! The law of nights: however logs come in, night after night, what was counted in the end is what one look at all of them counts.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::adds_up;
use crate::twin::{self, generate};

/// What becomes of a log until a night's run.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// How much of what is yet to come has come: of 255 parts.
    more: u8,
    /// Whether the file is then put away under another name, and the log goes on in a new one.
    rotated: bool,
    /// Whether one that was put away is compressed, and how.
    compressed: Option<bool>,
    /// Whether one that was put away gets yet another name.
    renamed: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    let compressed = prop_oneof![4 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    let more = prop_oneof![Just(0u8), Just(255u8), any::<u8>()];
    (more, prop::bool::weighted(0.3), compressed, prop::bool::weighted(0.2)).prop_map(
        |(more, rotated, compressed, renamed)| Turn { more, rotated, compressed, renamed },
    )
}

/// A log as it comes.
struct Log {
    folder: PathBuf,
    name: String,
    content: Vec<u8>,
    /// What has come, and where the file that is written to begins.
    come: usize,
    begun: usize,
    /// Files that were put away and are not compressed, and how many ever were.
    away: Vec<PathBuf>,
    count: usize,
}

impl Log {
    fn turn(&mut self, turn: Turn) {
        let left = self.content.len() - self.come;
        self.come(self.come + left * usize::from(turn.more) / 255);
        if turn.rotated {
            // A file is put away at the end of a line: what is written after is in the next.
            let end = self.content[self.begun..self.come].iter().rposition(|b| *b == b'\n');
            if let Some(end) = end {
                let end = self.begun + end + 1;
                self.come(end.max(self.come));
                let away = self.folder.join(format!("{}.{}", self.name, self.count));
                self.count += 1;
                let current = self.folder.join(&self.name);
                // What had come of the next line comes again, to the new file.
                let (kept, rest) = (&self.content[self.begun..end], &self.content[end..self.come]);
                let file = fs::OpenOptions::new().write(true).open(&current).unwrap();
                file.set_len(kept.len() as u64).unwrap();
                fs::rename(&current, &away).unwrap();
                self.away.push(away);
                self.begun = end;
                fs::write(&current, rest).unwrap();
            }
        }
        if turn.renamed
            && let Some(away) = self.away.last_mut()
        {
            let other = self.folder.join(format!("{}.moved-{}", self.name, self.count));
            self.count += 1;
            fs::rename(&*away, &other).unwrap();
            *away = other;
        }
        if let Some(gzip) = turn.compressed
            && let Some(away) = self.away.pop()
        {
            compress(&away, gzip);
        }
    }

    fn come(&mut self, until: usize) {
        if until > self.come {
            let path = self.folder.join(&self.name);
            let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(&self.content[self.come..until]).unwrap();
            self.come = until;
        }
    }
}

fn compress(path: &Path, gzip: bool) {
    let content = fs::read(path).unwrap();
    let (packed, ending) = match gzip {
        true => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&content).unwrap();
            (encoder.finish().unwrap(), "gz")
        }
        false => (zstd::encode_all(content.as_slice(), 1).unwrap(), "zst"),
    };
    fs::write(format!("{}.{ending}", path.display()), packed).unwrap();
    fs::remove_file(path).unwrap();
}

fn overstay(folder: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_overstay"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Before its first log has come, a source matches nothing: that makes a report partial.
    let ends_well = output.status.code() == Some(0) || stderr.contains("matches nothing");
    assert!(ends_well, "{arguments:?}: {:?} {stderr}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the law leaves out: inputs, the paths and offsets of evidence and rejects, and what only runs that keep state tell.
pub fn but_places(mut report: Value) -> Value {
    let members = report.as_object_mut().unwrap();
    members.remove("inputs");
    members.remove("nightly");
    // The first line tells how many inputs there were, and without a line whether there were any.
    if members["accounting"]["lines"] == 0 {
        members.insert("headline".to_owned(), Value::Null);
        return report;
    }
    let headline = members["headline"].as_str().unwrap();
    let from = headline.split_once(" from ").and_then(|(before, rest)| {
        let (count, after) = rest.split_once(' ')?;
        let after = after.strip_prefix("inputs").or(after.strip_prefix("input"))?;
        count.parse::<u64>().ok().map(|_| format!("{before}{after}"))
    });
    if let Some(headline) = from {
        members.insert("headline".to_owned(), headline.into());
    }
    for finding in report["findings"].as_array_mut().unwrap() {
        let members = finding.as_object_mut().unwrap();
        members.remove("status");
        members.remove("first_seen");
        for evidence in finding["evidence"].as_array_mut().unwrap() {
            // Of lines at one instant the places decide which are kept.
            *evidence = json!({ "at": evidence["at"] });
        }
    }
    let rejects = &mut report["rejects"];
    let few = rejects["by_reason"].as_object().unwrap().values().all(|n| n.as_u64() <= Some(20));
    let mut sample: Vec<Value> = rejects["sample"].as_array().unwrap().clone();
    sample.iter_mut().for_each(|reject| *reject = json!([reject["reason"], reject["shape"]]));
    sample.sort_by_key(Value::to_string);
    rejects["sample"] = if few { sample.into() } else { Value::Null };
    report
}

#[test]
fn nights_add_up_to_one_look_at_all() {
    let nights = vec(vec((turn(), turn()), 7), 1..5);
    let order = prop_oneof![Just(false), Just(true)];
    let config =
        Config { cases: 250, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    TestRunner::new(config)
        .run(&(generate::case(), nights, order), |(case, nights, reverse)| {
            let case = twin::Case {
                since: None,
                until: None,
                as_known_at: None,
                partner: None,
                ..case
            };
            if case.register.is_none() {
                return Ok(());
            }
            let folder = tempfile::tempdir().unwrap();
            let written = twin::Case { inputs: Vec::new(), ..case.clone() };
            written.write(folder.path());
            let mut config = written.config();
            let mut logs = Vec::new();
            // That whole files are alike is no matter of nights: of two that came at once one would count.
            let mut inputs: Vec<twin::InputCase> = Vec::new();
            for input in &case.inputs {
                let input = twin::InputCase { finished: true, ..input.clone() };
                let is_like = |other: &twin::InputCase| {
                    other.source == input.source && other.bytes() == input.bytes()
                };
                if !inputs.iter().any(is_like) {
                    inputs.push(input);
                }
            }
            for (input, name) in inputs.iter().zip(["d", "b", "f", "a", "g", "c", "e"]) {
                let of_source = folder.path().join("logs").join(&input.source);
                if !of_source.is_dir() {
                    fs::create_dir_all(&of_source).unwrap();
                    let source = &input.source;
                    let expect = case.expect.get(source).map_or_else(String::new, |expect| {
                        format!("expect = \"{}\"\n", expect.as_str())
                    });
                    let dedupe = case.dedupe.get(source);
                    let dedupe = dedupe.map_or_else(String::new, |word| format!("dedupe = {word}\n"));
                    config = format!(
                        "[[logs]]\nsource = {source:?}\npaths = [\"logs/{source}\"]\nformat = \"twin\"\n{expect}{dedupe}\n{config}"
                    );
                }
                let mut content = input.bytes();
                // A run of NULs that no line follows is no line, and may still become the beginning of one.
                while content.last() == Some(&0) {
                    content.pop();
                }
                logs.push(Log {
                    folder: of_source,
                    name: format!("{name}.log"),
                    content,
                    come: 0,
                    begun: 0,
                    away: Vec::new(),
                    count: 0,
                });
            }
            let config = format!("{config}\n[state]\nrepeat_days = 20000\n");
            fs::write(folder.path().join("overstay.toml"), config).unwrap();
            if reverse {
                logs.reverse();
            }
            let last = nights.len();
            for (night, turns) in nights.iter().enumerate() {
                for (log, (first, second)) in logs.iter_mut().zip(turns) {
                    log.turn(*first);
                    log.turn(*second);
                }
                let come = logs.iter().any(|log| log.folder.read_dir().unwrap().next().is_some());
                if come {
                    nightly(folder.path(), night);
                }
            }
            for log in &mut logs {
                log.come(log.content.len());
                if log.content.is_empty() {
                    fs::write(log.folder.join(&log.name), "").unwrap();
                }
            }
            nightly(folder.path(), last);
            let sum = overstay(folder.path(), &["report", "--json"]);
            let arguments = ["audit", "--json", "--quiet", "--max-rejects", "100%"];
            let whole = overstay(folder.path(), &arguments);
            adds_up(&sum);
            let (sum, whole) = (but_places(sum), but_places(whole));
            let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
            let (sum, whole) = (text(&sum), text(&whole));
            prop_assert!(sum == whole, "{}", super::properties::difference(&sum, &whole));
            Ok(())
        })
        .unwrap();
}

fn nightly(folder: &Path, night: usize) {
    let run_at = format!("2019-06-{:02}T02:00:00Z", night + 1);
    let mut arguments =
        vec!["nightly", "--json", "--quiet", "--max-rejects", "100%", "--run-at", run_at.as_str()];
    // Where sums are does not matter: every other night lays them aside after each piece.
    if night.is_multiple_of(2) {
        arguments.extend(["--counted-bytes", "0", "--chunk-bytes", "300"]);
    }
    let report = overstay(folder, &arguments);
    adds_up(&report);
}
