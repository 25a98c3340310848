//! The rooms of the hot path, each alone: lines → calls, calls → verdicts, verdicts → tally, tallies → one.
//!
//! `cargo bench` prints calls and bytes per second. Every benchmark asserts what it computed.
#![allow(clippy::unwrap_used, missing_docs)] // a bench that finds its own workload broken must stop

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use overstay::call::Call;
use overstay::formats::Format;
use overstay::judge::{Asked, Judge, Judged, Memory};
use overstay::parse::{Scratch, Wanted};
use overstay::register::{self, Register, Source};
use overstay::tally::{By, Columns, Dated, Place, Tally};

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

fn logfmt_lines() -> Vec<String> {
    let line = |n: usize| {
        format!(
            "time=2018-12-18T{:02}:{:02}:{:02}Z level=info client_id=key-{} method=GET path=/v2/api-{}/users/u{} \
             status=200 bytes={} duration_us={} agent=\"sync/4.2 (Linux)\"",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            n * 7 % 50,
            n * 13 % 10,
            n * 7919 % 5_000,
            200 + n % 9000,
            1000 + n * 31 % 80_000,
        )
    };
    (0..LINES).map(line).collect()
}

fn ltsv_lines() -> Vec<String> {
    let as_ltsv = |line: String| {
        line.replace(" (Linux)", "").replace(' ', "\t").replace('=', ":").replace('"', "")
    };
    logfmt_lines().into_iter().map(as_ltsv).collect()
}

fn csv() -> Format {
    let table = "kind = 'csv'\ncolumns = ['ts', '', 'client_id', 'method', 'path', 'status', 'bytes', 'us', '']\n\
                 at = { field = 'ts', as = 'rfc3339' }\ncredential = 'client_id'\nmethod = 'method'\npath = 'path'\n\
                 status = 'status'\nbytes = 'bytes'\nlatency = { field = 'us', unit = 'us' }\nsubject = { route = 'user' }";
    Format::from_toml("bench-csv", &table.parse().unwrap()).unwrap()
}

fn csv_lines() -> Vec<String> {
    let values = |line: String| {
        let quoted = line.replace("\"sync/4.2 (Linux)\"", "\"sync/4.2,(Linux)\"");
        let values = quoted.split(' ').map(|pair| pair.split_once('=').unwrap().1.to_owned());
        values.collect::<Vec<String>>().join(",")
    };
    logfmt_lines().into_iter().map(values).collect()
}

fn parse(bencher: Bencher<'_, '_>, format: &Format, lines: &[String], mut scratch: Scratch) {
    let bytes: usize = lines.iter().map(String::len).sum();
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(LINES)).bench_local(|| {
        let parsed = |line: &&String| format.parse_briefly(line.as_bytes(), &mut scratch).is_ok();
        assert_eq!(black_box(lines).iter().filter(parsed).count(), LINES);
    });
}

/// Lines of each kind, by their layouts, and by the parser of their kind alone.
#[divan::bench_group]
mod parsing {
    use super::*;

    #[divan::bench(args = ["json", "combined", "logfmt", "ltsv", "csv"])]
    fn by_layout(bencher: Bencher<'_, '_>, kind: &str) {
        let (format, lines) = of_kind(kind);
        parse(bencher, &format, &lines, Scratch::wanting(Wanted::Sums));
    }

    #[divan::bench(args = ["json", "combined", "logfmt", "ltsv", "csv"])]
    fn by_kind(bencher: Bencher<'_, '_>, kind: &str) {
        let (format, lines) = of_kind(kind);
        parse(bencher, &format, &lines, Scratch::without_layouts());
    }

    /// Every other line is of another layout than the one before, from its middle on.
    #[divan::bench(args = [true, false])]
    fn of_layouts_that_change(bencher: Bencher<'_, '_>, with_layouts: bool) {
        let changed = |(n, line): (usize, String)| match n % 20 {
            0..10 => line,
            other => line.replace("\"status\"", &format!("\"k{}\":1,\"status\"", n * 31 + other)),
        };
        let lines: Vec<String> = json_lines().into_iter().enumerate().map(changed).collect();
        let scratch = if with_layouts { Scratch::default() } else { Scratch::without_layouts() };
        parse(bencher, &json(), &lines, scratch);
    }

    fn of_kind(kind: &str) -> (Format, Vec<String>) {
        match kind {
            "json" => (json(), json_lines()),
            "combined" => (Format::built_in(kind).unwrap(), combined_lines()),
            "ltsv" => (Format::built_in(kind).unwrap(), ltsv_lines()),
            "csv" => (csv(), csv_lines()),
            _ => (Format::built_in("logfmt").unwrap(), logfmt_lines()),
        }
    }
}

/// All calls of the lines, which are kept for as long as the process.
fn calls(lines: &'static [String]) -> Vec<Call<'static>> {
    let format: &'static Format = Box::leak(Box::new(json()));
    let call = |line: &'static String| {
        let scratch = Box::leak(Box::new(Scratch::without_layouts()));
        format.parse(line.as_bytes(), scratch).unwrap()
    };
    lines.iter().map(call).collect()
}

/// A register, its judge, lines and calls, kept for as long as the process.
fn kept() -> (&'static Judge<'static>, &'static [String], &'static [Call<'static>]) {
    let register: &'static Register = Box::leak(Box::new(register()));
    let lines: &'static [String] = json_lines().leak();
    (Box::leak(Box::new(Judge::new(register))), lines, calls(lines).leak())
}

/// What goes the long way, each call for itself.
#[divan::bench]
fn judging(bencher: Bencher<'_, '_>) {
    let (judge, _, calls) = kept();
    let mut memory = Memory::default();
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let in_order = |call: &&Call<'_>| judge.judge(call, &mut memory).verdict.in_order();
        let in_order = black_box(calls).iter().filter(in_order).count();
        assert_eq!(in_order, LINES * 4 / 5);
    });
}

const PLACE: Place = Place { source: 0, input: 0, offset: 0 };

/// Each call for itself.
#[divan::bench]
fn counting_one_by_one(bencher: Bencher<'_, '_>) {
    let (judge, lines, calls) = kept();
    let judged = |call: &'static Call<'static>| judge.judge(call, Box::leak(Box::default()));
    let judged: Vec<Judged<'_>> = calls.iter().map(judged).collect();
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut tally = Tally::default();
        for ((call, judged), (line, offset)) in calls.iter().zip(&judged).zip(lines.iter().zip(0..))
        {
            let place = Place { offset, ..PLACE };
            tally.add(judge, call, judged, place, line.as_bytes());
        }
        assert_eq!(tally.inputs[&0].calls, LINES as u64);
        tally
    });
}

/// By columns, in which judging is included; a worker keeps them from input to input.
#[divan::bench]
fn counting_by_columns(bencher: Bencher<'_, '_>) {
    let (judge, lines, calls) = kept();
    let asked = |call: &'static Call<'static>| judge.ask(call, Box::leak(Box::default()));
    let asked: Vec<Asked<'_>> = calls.iter().map(asked).collect();
    let piece: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let mut columns = Columns::new(By::Whole, None);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut tally = Dated::new(By::Whole);
        let mut at = 0;
        for ((call, asked), line) in calls.iter().zip(&asked).zip(lines) {
            assert!(columns.add(judge, call.into(), asked.known().unwrap(), at, line.len()));
            at += line.len() + 1;
        }
        columns.fold(judge, &mut tally, PLACE, piece.as_bytes(), |_, _, _| unreachable!());
        columns.commit();
        columns.settle(&mut tally);
        assert_eq!(tally.input(0).calls, LINES as u64);
        tally
    });
}

/// A tally of all lines.
fn tally(judge: &Judge<'_>, calls: &[Call<'_>], lines: &[String]) -> Tally {
    let (mut memory, mut tally) = (Memory::default(), Tally::default());
    for ((call, line), offset) in calls.iter().zip(lines).zip(0..) {
        let judged = judge.judge(call, &mut memory);
        tally.add(judge, call, &judged, Place { offset, ..PLACE }, line.as_bytes());
    }
    tally
}

#[divan::bench]
fn merging(bencher: Bencher<'_, '_>) {
    let (judge, lines, calls) = kept();
    let half = tally(judge, calls, lines);
    bencher.with_inputs(|| (half.clone(), half.clone())).bench_local_values(|(mut a, b)| {
        a.merge(b);
        assert_eq!(a.inputs[&0].calls, 2 * LINES as u64);
        a
    });
}
