//! The laws: the compiled judge and the whole program against the naive twin.

use std::borrow::Cow;
use std::path::Path;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use overstay::call::{Call, Outcome, Sourced};
use overstay::formats::Format;
use overstay::judge::{Judge, Memory, Name};
use overstay::parse::Scratch;
use overstay::register::{self, Level, Source};
use overstay::report::{Expect, Facts, InputFacts};
use overstay::tally::{By, Columns, Dated, Place, Reject, Tally};
use overstay::time::Instant;

use crate::harness::adds_up;
use crate::twin::{self, generate};

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() }
}

fn as_program(call: &twin::Call) -> Call<'_> {
    fn text(text: &Option<String>) -> Option<Cow<'_, str>> {
        text.as_deref().map(Cow::Borrowed)
    }
    Call {
        at: call.at,
        credential: text(&call.credential),
        method: text(&call.method),
        path: text(&call.path),
        host: text(&call.host),
        api: text(&call.api),
        operation: text(&call.operation),
        outcome: Outcome::from_name(call.outcome.as_str()).unwrap(),
        status: call.status,
        bytes: call.bytes,
        latency_us: call.latency_us,
        subject: Sourced { before: text(&call.user), route: Some("user"), after: None },
        actor: Sourced::default(),
        remote_addr: text(&call.remote_addr),
        user_agent: text(&call.user_agent),
        request_id: text(&call.request_id),
    }
}

/// What the program's judge says, in the twin's terms.
fn judged(judge: &Judge<'_>, call: &twin::Call, memory: &mut Memory) -> twin::Judged {
    let call = as_program(call);
    let judged = judge.judge(&call, memory);
    let register = judge.register;
    twin::Judged {
        verdict: judged.verdict,
        also: judged.also.names(),
        grant: judged.grant.map(|id| register.grants[id.0 as usize].id.clone()),
        since: judged.since,
        lapsed_at: judged.lapsed_at,
        partner: judged.partner.map(|id| register.partners[id.0 as usize].id.clone()),
        api: match &judged.api {
            Name::Known(id) => Some(register.apis[id.0 as usize].id.clone()),
            other => other.logged().map(str::to_owned),
        },
        operation: judge.operation_name(&judged.operation).map(str::to_owned),
        subject: judged.subject.map(Cow::into_owned),
        held: Vec::new(),
    }
}

/// The call as one under some grant: its partner, its api, one of its operations.
fn calling_under(rows: &twin::Rows, grant: Index, call: &twin::Call) -> twin::Call {
    if rows.grants.is_empty() {
        return call.clone();
    }
    let grant = grant.get(&rows.grants);
    let credential = rows.credentials.iter().find(|row| row.partner == grant.partner);
    let operation = grant.operations.iter().find(|operation| *operation != "*");
    twin::Call {
        credential: credential.map(|row| row.credential.clone()).or(call.credential.clone()),
        api: Some(grant.api.clone()),
        operation: operation.cloned().or(call.operation.clone()),
        ..call.clone()
    }
}

/// The call at, just before and just after every instant at which anything in the register can change.
fn around_boundaries(rows: &twin::Rows, propagation_s: u64, call: &twin::Call) -> Vec<twin::Call> {
    let mut instants: Vec<Instant> = rows.recordings().into_iter().flatten().collect();
    let mut ends: Vec<Instant> = Vec::new();
    for row in &rows.grants {
        instants.extend(row.granted_at.into_iter().chain(row.certified_until));
        ends.extend(row.expires_at.into_iter().chain(row.revoked_at));
    }
    for row in &rows.credentials {
        instants.extend(row.valid_from);
        ends.extend(row.valid_until);
    }
    instants.extend(rows.purposes.iter().filter_map(|row| row.ended_at));
    instants.extend(rows.apis.iter().filter_map(|row| row.dormant_since));
    instants.extend(rows.consents.iter().map(|row| row.at));
    let of_apis = rows.apis.iter().filter_map(|row| row.propagation_s);
    for propagation_s in of_apis.chain([propagation_s]) {
        instants.extend(ends.iter().map(|end| end.saturating_add_s(propagation_s)));
    }
    instants.extend(ends);
    instants.sort_unstable();
    instants.dedup();
    let around = |at: Instant| [-1, 0, 1].map(|ns| Instant::from_ns(at.ns().saturating_add(ns)));
    instants.into_iter().flat_map(around).map(|at| twin::Call { at, ..call.clone() }).collect()
}

/// 20,000 registers with ties, overlaps, versions, purposes, certificates, propagation, consents, moved credentials, open
/// and dormant apis; each with calls at and around all its boundaries.
#[test]
fn the_compiled_judge_says_what_the_twin_says() {
    let folder = tempfile::tempdir().unwrap();
    let known_at = prop_oneof![7 => Just(None), 3 => generate::call_at().prop_map(Some)];
    let propagation_s = prop_oneof![Just(0), Just(1800), Just(3600)];
    let cases =
        (generate::register(), known_at, propagation_s, any::<Index>(), vec(generate::call(), 4));
    TestRunner::new(config(20_000))
        .run(&cases, |(rows, as_known_at, propagation_s, grant, mut calls)| {
            let under_grant = calling_under(&rows, grant, &calls[0]);
            calls.extend(around_boundaries(&rows, propagation_s, &under_grant));
            rows.write_csv(folder.path());
            let tables = register::load(&Source::Folder(folder.path().to_owned())).unwrap();
            let errors: Vec<String> = register::check(&tables)
                .iter()
                .filter(|problem| problem.level == Level::Error)
                .map(ToString::to_string)
                .collect();
            prop_assert!(errors.is_empty(), "the register drawn has errors: {errors:?}");
            let register = register::build(&tables, as_known_at, propagation_s);
            let judge = Judge::new(&register);
            let mut memory = Memory::default();
            for call in &calls {
                let twin = twin::judge(&rows, as_known_at, propagation_s, call);
                let program = judged(&judge, call, &mut memory);
                let twin = twin::Judged { held: Vec::new(), ..twin };
                prop_assert_eq!(program, twin, "{:?}", call);
            }
            Ok(())
        })
        .unwrap();
}

/// How the program is told to read: nothing of it may show in the report.
#[derive(Clone, Copy, Debug)]
struct Reading {
    threads: u32,
    chunk_bytes: u32,
    io: &'static str,
}

fn run(folder: &Path, arguments: &[String], strategy: Reading) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_overstay"))
        .args(["audit", "--json", "--quiet", "--config"])
        .arg(folder.join("overstay.toml"))
        .args(arguments)
        .args(["--threads", &strategy.threads.to_string()])
        .args(["--chunk-bytes", &strategy.chunk_bytes.to_string(), "--io", strategy.io])
        .env_clear()
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{strategy:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sentences and digests are not the twin's business: it takes over the program's.
fn with_texts_of(mut twin: twin::told::Report, program: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    twin.headline = text(&program["headline"]).unwrap();
    twin.config.digest = text(&program["config"]["digest"]);
    twin.register.digest = text(&program["register"]["digest"]);
    for finding in &mut twin.findings {
        let findings = program["findings"].as_array().unwrap();
        let same = findings.iter().find(|f| f["id"] == finding.id.as_str());
        finding.summary = same.and_then(|same| text(&same["summary"])).unwrap_or_default();
    }
    // No name that the generator draws has a character that must be escaped further.
    serde_json::to_string_pretty(&twin).unwrap() + "\n"
}

/// Any thread count, chunks down to one line, mapped and read, plain, gzip and zstd: the twin's report, to the byte.
#[test]
fn the_program_reports_what_the_twin_reports() {
    let strategies = (
        1..5u32,
        prop_oneof![Just(1), Just(64), Just(1000), Just(4 << 20)],
        prop_oneof![Just("mmap"), Just("read"), Just("auto")],
    );
    let cases = (generate::case(), vec(strategies, 3));
    TestRunner::new(config(1_000))
        .run(&cases, |(case, strategies)| {
            let folder = tempfile::tempdir().unwrap();
            case.write(folder.path());
            let mut expected = None;
            for (threads, chunk_bytes, io) in strategies {
                let strategy = Reading { threads, chunk_bytes, io };
                let program = run(folder.path(), &case.arguments(), strategy);
                let json: serde_json::Value = serde_json::from_str(&program).unwrap();
                adds_up(&json);
                let expected =
                    expected.get_or_insert_with(|| with_texts_of(twin::report(&case), &json));
                if program != *expected {
                    prop_assert!(false, "{strategy:?}\n{}", difference(&program, expected));
                }
            }
            Ok(())
        })
        .unwrap();
}

/// People past the bound of exact counting: the estimates too are the twin's.
#[test]
fn crowds_are_estimated_as_the_twin_estimates_them() {
    for people in [512, 513, 600, 2_000, 20_000] {
        let case = generate::crowd(people);
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let mut expected = None;
        for (threads, chunk_bytes) in [(1, 4 << 20), (3, 1000)] {
            let reading = Reading { threads, chunk_bytes, io: "auto" };
            let program = run(folder.path(), &case.arguments(), reading);
            let json = serde_json::from_str(&program).unwrap();
            let expected =
                expected.get_or_insert_with(|| with_texts_of(twin::report(&case), &json));
            assert!(program == *expected, "{people} people: {}", difference(&program, expected));
        }
    }
}

/// Counts a line as what it is, one by one.
fn count(tally: &mut Dated, judge: &Judge<'_>, format: &Format, place: Place, bytes: &[u8]) {
    let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
    match format.parse(bytes, &mut scratch) {
        Ok(call) => {
            let judged = judge.judge(&call, &mut memory);
            tally.of(call.at).add(judge, &call, &judged, place, bytes);
        }
        Err(reason) => tally.undated.add_reject(Reject {
            input: place.input,
            offset: place.offset,
            line: place.offset,
            piece: 0,
            reason,
            shape: overstay::parse::shape(bytes),
        }),
    }
}

/// A tally of some lines, each given with its place.
fn tally(judge: &Judge<'_>, format: &Format, lines: &[(Place, Vec<u8>)]) -> Tally {
    let mut tally = Dated::new(By::Whole);
    lines.iter().for_each(|(place, bytes)| count(&mut tally, judge, format, *place, bytes));
    tally.into_whole()
}

/// The report of a tally of so many inputs.
fn report(judge: &Judge<'_>, tally: Tally, inputs: usize) -> String {
    let facts = Facts {
        sources: vec![("core".to_owned(), Some(Expect::Hourly))],
        inputs: vec![InputFacts::default(); inputs],
        ..Facts::default()
    };
    let mut bytes = Vec::new();
    let report = overstay::report::build(Some(judge), tally, &facts);
    overstay::render::json(&report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Calls that go into columns are counted as those that are counted one by one, however the lines are cut into pieces; and of
/// inputs that turn out not to count nothing is left. Days that are counted apart are those of the calls.
#[test]
fn columns_count_what_a_tally_counts() {
    let format = twin_format();
    let folder = tempfile::tempdir().unwrap();
    let inputs = vec((generate::input_case(), 1usize..50, prop::bool::weighted(0.7)), 1..6);
    let rows_folded = prop_oneof![Just(1usize), 2usize..60, Just(1 << 17)];
    let by = prop_oneof![Just(By::Whole), Just(By::Day)];
    let cases = (generate::register(), inputs, rows_folded, by);
    TestRunner::new(config(1_500))
        .run(&cases, |(rows, inputs, rows_folded, by)| {
            rows.write_csv(folder.path());
            let tables = register::load(&Source::Folder(folder.path().to_owned())).unwrap();
            let register = register::build(&tables, None, 0);
            let judge = Judge::new(&register);
            let mut columns = Columns::folding(by, None, rows_folded);
            let (mut counted, mut expected) = (Dated::new(by), Dated::new(by));
            let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
            for (input, (case, lines_per_piece, counts)) in (0..).zip(&inputs) {
                let (mut of_input, mut one_by_one) = (Dated::new(by), Dated::new(by));
                let mut offset = 0;
                for lines in case.lines.chunks(*lines_per_piece) {
                    let place = |in_piece: usize| Place {
                        source: 0,
                        input,
                        offset: offset + in_piece as u64,
                    };
                    let mut piece: Vec<u8> = Vec::new();
                    for line in lines {
                        let (at, bytes) = (piece.len(), &line.content);
                        piece.extend(bytes);
                        piece.push(b'\n');
                        count(&mut one_by_one, &judge, &format, place(at), bytes);
                        if let Ok(call) = format.parse(bytes, &mut scratch) {
                            let asked = judge.ask(&call, &mut memory);
                            if let Some(known) = asked.known()
                                && columns.add(&judge, (&call).into(), known, at, bytes.len())
                            {
                                continue;
                            }
                        }
                        count(&mut of_input, &judge, &format, place(at), bytes);
                    }
                    columns.fold(&judge, &mut of_input, place(0), &piece, |tally, at, bytes| {
                        count(tally, &judge, &format, place(at), bytes);
                    });
                    offset += piece.len() as u64;
                }
                match counts {
                    true => {
                        columns.commit();
                        counted.merge(of_input);
                        expected.merge(one_by_one);
                    }
                    false => columns.roll_back(),
                }
            }
            columns.settle(&mut counted);
            let (counted, expected) = (counted.into_days(-1), expected.into_days(-1));
            prop_assert!(counted.keys().eq(expected.keys()));
            for ((day, counted), (_, expected)) in counted.into_iter().zip(expected) {
                let counted = report(&judge, counted, inputs.len());
                let expected = report(&judge, expected, inputs.len());
                prop_assert!(counted == expected, "{day}: {}", difference(&counted, &expected));
            }
            Ok(())
        })
        .unwrap();
}

fn twin_format() -> Format {
    let config_text: toml::Table = twin::FORMAT.parse().unwrap();
    Format::from_toml("twin", config_text["formats"]["twin"].as_table().unwrap()).unwrap()
}

/// `merge` is associative and commutative, and the empty tally its identity: seen in the report of any split, in any order.
#[test]
fn tallies_merge_in_any_order() {
    let format = twin_format();
    let folder = tempfile::tempdir().unwrap();
    let splits = vec(0..4usize, 60);
    let cases = (generate::register(), vec(generate::input_case(), 1..3), splits);
    TestRunner::new(config(1_000))
        .run(&cases, |(rows, inputs, splits)| {
            rows.write_csv(folder.path());
            let tables = register::load(&Source::Folder(folder.path().to_owned())).unwrap();
            let register = register::build(&tables, None, 0);
            let judge = Judge::new(&register);
            let mut parts: Vec<Vec<(Place, Vec<u8>)>> = vec![Vec::new(); 4];
            let mut all = Vec::new();
            for (input, case) in (0..).zip(&inputs) {
                for (offset, line) in (0..).zip(&case.lines) {
                    let place = Place { source: 0, input, offset };
                    parts[splits[all.len() % splits.len()]].push((place, line.content.clone()));
                    all.push((place, line.content.clone()));
                }
            }
            let report = |tally: Tally| report(&judge, tally, inputs.len());
            let part = |i: usize| tally(&judge, &format, &parts[i]);
            let sum = |mut a: Tally, b: Tally| {
                a.merge(b);
                a
            };
            let whole = report(tally(&judge, &format, &all));
            let left = sum(sum(sum(part(0), part(1)), part(2)), part(3));
            let right = sum(part(3), sum(part(2), sum(part(1), part(0))));
            let pairs = sum(sum(part(2), part(0)), sum(Tally::default(), sum(part(3), part(1))));
            for merged in [left, right, sum(pairs, Tally::default())] {
                let merged = report(merged);
                prop_assert!(merged == whole, "{}", difference(&merged, &whole));
            }
            Ok(())
        })
        .unwrap();
}

/// The lines around the first that differ.
pub fn difference(program: &str, twin: &str) -> String {
    let (program, twin): (Vec<&str>, Vec<&str>) =
        (program.lines().collect(), twin.lines().collect());
    let at = program.iter().zip(&twin).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str]| lines[at.saturating_sub(12)..(at + 8).min(lines.len())].join("\n");
    format!("from line {at}, the program:\n{}\n\nthe twin:\n{}", part(&program), part(&twin))
}
