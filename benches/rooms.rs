//! The rooms of the hot path, each alone: lines → calls, calls → steps, steps → tally, tallies → one.
//!
//! `cargo bench` prints lines and bytes per second. Every benchmark asserts what it computed.
#![allow(clippy::unwrap_used, missing_docs)] // a bench that finds its own workload broken must stop

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use overstay::formats::Format;
use overstay::judge::{Judge, Memory};
use overstay::parse::Scratch;
use overstay::register::{self, Register, Source};
use overstay::tally::{Place, Tally};

const LINES: usize = 10_000;

fn main() {
    divan::main();
}

/// Lines of a platform with 50 partners, of whom every fifth call comes after a revocation.
fn json_lines() -> Vec<String> {
    let line = |n: usize| {
        let (partner, api, user) = (n * 7 % 50, n * 13 % 10, n * 7919 % 5_000);
        format!(
            "{{\"ts\":\"2018-12-18T{:02}:{:02}:{:02}.{:03}Z\",\"level\":\"info\",\"client_id\":\"key-{partner}\",\
             \"method\":\"GET\",\"path\":\"/v2/api-{api}/users/u{user}?page=2\",\"status\":200,\"bytes\":{},\
             \"latency_us\":{},\"ua\":\"sync/4.2 (Linux)\"}}",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            n % 1000,
            200 + n % 9000,
            1000 + n * 31 % 80_000,
        )
    };
    (0..LINES).map(line).collect()
}

fn combined_lines() -> Vec<String> {
    let line = |n: usize| {
        format!(
            "192.0.2.{} - key-{} [18/Dec/2018:{:02}:{:02}:{:02} +0000] \"GET /v2/api-{}/users/u{} HTTP/1.1\" 200 {} \
             \"-\" \"sync/4.2 (Linux)\"",
            n % 250,
            n * 7 % 50,
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            n * 13 % 10,
            n * 7919 % 5_000,
            200 + n % 9000,
        )
    };
    (0..LINES).map(line).collect()
}

fn json() -> Format {
    let table = "kind = 'json'\nat = { field = 'ts', as = 'rfc3339' }\ncredential = 'client_id'\nmethod = 'method'\n\
                 path = 'path'\nstatus = 'status'\nbytes = 'bytes'\nsubject = { route = 'user' }\n\
                 latency = { field = 'latency_us', unit = 'us' }";
    Format::from_toml("bench", &table.parse().unwrap()).unwrap()
}

fn register() -> Register {
    let folder = tempfile::tempdir().unwrap();
    let write = |table: &str, header: &str, rows: Vec<String>| {
        let text = format!("{header}\n{}\n", rows.join("\n"));
        std::fs::write(folder.path().join(format!("{table}.csv")), text).unwrap();
    };
    let each = |count: usize, row: &dyn Fn(usize) -> String| (0..count).map(row).collect();
    write("partners", "partner", each(50, &|n| format!("partner-{n}")));
    write("credentials", "credential,partner", each(50, &|n| format!("key-{n},partner-{n}")));
    write("apis", "api", each(10, &|n| format!("api-{n}")));
    write("routes", "path,api", each(10, &|n| format!("/v2/api-{n}/users/{{user}},api-{n}")));
    let grant = |n: usize| {
        let revoked_at = if n.is_multiple_of(5) { "2018-12-01" } else { "" };
        format!("g{n},partner-{},api-{},read,2015-01-01,{revoked_at}", n / 10, n % 10)
    };
    write("grants", "grant,partner,api,operations,granted_at,revoked_at", each(500, &grant));
    let tables = register::load(&Source::Folder(folder.path().to_owned())).unwrap();
    assert!(register::check(&tables).iter().all(|p| p.level == register::Level::Warning));
    register::build(&tables, None, 0)
}

fn parse(bencher: Bencher<'_, '_>, format: &Format, lines: &[String]) {
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut scratch = Scratch::default();
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(LINES)).bench_local(|| {
        let parsed = |line: &&String| format.parse(line.as_bytes(), &mut scratch).is_ok();
        assert_eq!(black_box(lines).iter().filter(parsed).count(), LINES);
    });
}

#[divan::bench]
fn parse_json(bencher: Bencher<'_, '_>) {
    parse(bencher, &json(), &json_lines());
}

#[divan::bench]
fn parse_combined(bencher: Bencher<'_, '_>) {
    parse(bencher, &Format::built_in("combined").unwrap(), &combined_lines());
}

#[divan::bench]
fn parse_and_judge(bencher: Bencher<'_, '_>) {
    let (format, lines, register) = (json(), json_lines(), register());
    let judge = Judge::new(&register);
    let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let in_order = |line: &&String| {
            let call = format.parse(line.as_bytes(), &mut scratch).unwrap();
            judge.judge(&call, &mut memory).verdict.in_order()
        };
        let in_order = black_box(&lines).iter().filter(in_order).count();
        assert_eq!(in_order, LINES * 4 / 5);
    });
}

/// A tally of all lines.
fn tally(format: &Format, judge: &Judge<'_>, lines: &[String]) -> Tally {
    let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
    let mut tally = Tally::default();
    for (line, offset) in lines.iter().zip(0..) {
        let call = format.parse(line.as_bytes(), &mut scratch).unwrap();
        let judged = judge.judge(&call, &mut memory);
        let place = Place { source: 0, input: 0, offset };
        tally.add(judge, &call, &judged, place, line.as_bytes());
    }
    tally
}

#[divan::bench]
fn parse_judge_and_count(bencher: Bencher<'_, '_>) {
    let (format, lines, register) = (json(), json_lines(), register());
    let judge = Judge::new(&register);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let tally = tally(&format, &judge, black_box(&lines));
        assert_eq!(tally.inputs[&0].calls, LINES as u64);
        tally
    });
}

#[divan::bench]
fn merge(bencher: Bencher<'_, '_>) {
    let (format, lines, register) = (json(), json_lines(), register());
    let judge = Judge::new(&register);
    let half = tally(&format, &judge, &lines);
    bencher.with_inputs(|| (half.clone(), half.clone())).bench_local_values(|(mut a, b)| {
        a.merge(b);
        assert_eq!(a.inputs[&0].calls, 2 * LINES as u64);
        a
    });
}
