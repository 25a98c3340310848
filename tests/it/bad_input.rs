//! Whatever a log, a register or a command line may be that it should not be: the exit status, the words, the accounts.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{self, Case, Output, calls, gzip, zstd};

/// Audits with the small register, the report on standard output.
fn audit(case: &Case, arguments: &[&str]) -> Output {
    case.run(&with(arguments))
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["audit", "--json", "--register", "register"], arguments].concat()
}

/// Asserts the accounts of a run on one bad thing: lines, blank, calls, rejected, by the words of the report.
#[track_caller]
fn accounts(report: &Value, expected: &[(&str, u64)]) {
    let accounting = report["accounting"].as_object().unwrap();
    for (name, found) in accounting {
        let expected = expected.iter().find(|(known, _)| known == name).map_or(0, |(_, n)| *n);
        assert_eq!(found, expected, "{name}");
    }
}

/// Asserts how many rejects have which reason; none has another.
#[track_caller]
fn rejects(report: &Value, expected: &[(&str, u64)]) {
    for (reason, found) in report["rejects"]["by_reason"].as_object().unwrap() {
        let expected = expected.iter().find(|(known, _)| known == reason).map_or(0, |(_, n)| *n);
        assert_eq!(found, expected, "{reason}");
    }
}

/// The input of that path.
fn input<'r>(report: &'r Value, path: &str) -> &'r Value {
    report["inputs"].as_array().unwrap().iter().find(|input| input["path"] == path).unwrap()
}

/// Asserts that the report is partial for one path alone, and why; standard error says the same.
#[track_caller]
fn partial(output: &Output, report: &Value, path: &str, reason: &str) {
    assert_eq!(report["status"], "partial");
    let partial = report["partial"].as_array().unwrap();
    assert_eq!(partial.len(), 1, "{partial:?}");
    assert_eq!(partial[0]["path"], path);
    let why = partial[0]["reason"].as_str().unwrap();
    assert!(why.contains(reason), "`{why}` lacks `{reason}`");
    assert!(output.stderr.contains(&format!("warning: {path}: {why}\n")), "standard error");
}

/// How a log may be read. None of it may change what is found.
const WAYS: [&[&str]; 5] = [
    &["--io", "read"],
    &["--io", "mmap"],
    &["--io", "read", "--chunk-bytes", "1"],
    &["--io", "mmap", "--chunk-bytes", "1", "--threads", "1"],
    &["--chunk-bytes", "97", "--threads", "3"],
];

/// Audits one log of these bytes in every way, plain and compressed; all must agree in all but what they must not.
#[track_caller]
fn every_way(bytes: &[u8], arguments: &[&str]) -> Output {
    let mut first: Option<(Output, Value)> = None;
    for (name, bytes) in [("plain", bytes.to_vec()), ("gzip", gzip(bytes)), ("zstd", zstd(bytes))] {
        for way in WAYS {
            let case = Case::with_register().file("x.log", &bytes);
            let output = audit(&case, &[way, arguments, &["x.log"]].concat());
            let mut report = match output.stdout.as_str() {
                "" => Value::Null,
                _ => output.report(),
            };
            if name != "plain" && report != Value::Null {
                assert_eq!(report["inputs"][0]["compression"], name);
                report["inputs"][0]["compression"] = Value::Null;
            }
            match &first {
                None => first = Some((output, report)),
                Some((other, expected)) => {
                    assert_eq!(output.status, other.status, "{name} {way:?}");
                    assert_eq!(&report, expected, "{name} {way:?}");
                }
            }
        }
    }
    first.unwrap().0
}

#[test]
fn the_ready_case_has_nothing_bad() {
    let output = audit(&Case::ready(), &["logs"]).expect_status(0);
    let report = output.report();
    accounts(&report, &[("lines", 10), ("calls", 10)]);
    assert_eq!(report["usage"][0]["verdict"], "granted");
    assert_eq!(report["usage"].as_array().unwrap().len(), 1);
}

// --- lines that are no calls ------------------------------------------------------------------------------------------

#[test]
fn garbage_lines_are_rejects_with_their_place_and_shape() {
    let log = format!("{}%% gärbage 7!\n\n{}\u{1b}[31m{{\"a\":\n", calls(2), calls(1));
    let output = every_way(log.as_bytes(), &["--log-format", "json"]).expect_status(3);
    let report = output.report();
    accounts(&report, &[("lines", 6), ("blank", 1), ("calls", 3), ("rejected", 2)]);
    rejects(&report, &[("malformed", 2)]);
    let at = calls(2).len();
    let second = at + "%% gärbage 7!\n\n".len() + calls(1).len();
    assert_eq!(
        report["rejects"]["sample"],
        json!([
            {"path": "x.log", "line": 3, "offset": at, "reason": "malformed", "shape": "%% aaaaaaa 9!"},
            {"path": "x.log", "line": 6, "offset": second, "reason": "malformed", "shape": "?[99a{\"a\":"},
        ])
    );
    partial(&output, &report, "x.log", "2 of 5 lines rejected, more than --max-rejects 1%");
}

#[test]
fn each_reason_for_a_reject() {
    let line = |time: &str, path: &str, status: &str| {
        format!(
            "{{\"time\":{time},\"client_id\":\"key-acme-1\",\"path\":{path},\"status\":{status}}}\n"
        )
    };
    let now = "\"2018-12-18T09:00:00Z\"";
    let mut log = Vec::new();
    log.extend(calls(1).as_bytes());
    log.extend(b"\xff\n");
    log.extend(b"[1]\n");
    log.extend(line("null", "\"/x\"", "200").as_bytes());
    log.extend(line("\"soon\"", "\"/x\"", "200").as_bytes());
    log.extend(line(now, "null", "200").as_bytes());
    log.extend(line(now, "\"/x\"", "600").as_bytes());
    log.extend(line(now, "\"/x\"", "\"ok\"").as_bytes());
    // Of several reasons the first counts: no-time before no-target before bad-value.
    log.extend(line("\"\"", "null", "999").as_bytes());
    log.extend(line(now, "\"\"", "999").as_bytes());
    log.extend(vec![b'x'; (1 << 20) + 1]);
    let output = every_way(&log, &["--log-format", "json"]).expect_status(3);
    let report = output.report();
    accounts(&report, &[("lines", 11), ("calls", 1), ("rejected", 10)]);
    rejects(
        &report,
        &[
            ("too-long", 1),
            ("not-utf8", 1),
            ("malformed", 1),
            ("no-time", 3),
            ("no-target", 2),
            ("bad-value", 2),
        ],
    );
    // `no-target` is left out of the share: scanners must not turn the job red.
    partial(&output, &report, "x.log", "8 of 9 lines rejected");
}

/// Asserts that a line is a reject, and why, by itself after a thousand calls and before another.
#[track_caller]
fn rejected(line: &str, reason: &str) {
    let log = format!("{}{line}\n{}", calls(1000), calls(1));
    let case = Case::with_register().file("x.log", log);
    let report = audit(&case, &["x.log"]).expect_status(0).report();
    accounts(&report, &[("lines", 1002), ("calls", 1001), ("rejected", 1)]);
    rejects(&report, &[(reason, 1)]);
    let sample = &report["rejects"]["sample"][0];
    assert_eq!((&sample["line"], &sample["offset"]), (&json!(1001), &json!(calls(1000).len())));
}

#[test]
fn what_is_no_object_is_malformed() {
    rejected("this is no log line", "malformed");
    rejected("{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/x\"", "malformed");
    rejected("{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/x\",\"bytes\":1e}", "malformed");
    rejected("{} {}", "malformed");
}

#[test]
fn deep_nesting_is_no_crash() {
    rejected(&"[".repeat(900_000), "malformed");
    rejected(&format!("{{\"a\":{}", "{\"a\":".repeat(100_000)), "malformed");
}

#[test]
fn times_that_cannot_be_are_no_time() {
    for time in
        ["yesterday", "2018-02-30T00:00:00Z", "2018-12-18T24:00:00Z", "9999-01-01T00:00:00Z", "-"]
    {
        rejected(&format!("{{\"time\":\"{time}\",\"path\":\"/messages/u1\"}}"), "no-time");
    }
    rejected("{\"path\":\"/messages/u1\"}", "no-time");
}

#[test]
fn numbers_that_cannot_be_are_bad_values() {
    for value in [
        "\"status\":99999",
        "\"status\":99",
        "\"status\":12345678901234567890",
        "\"bytes\":-1",
        "\"bytes\":1.5",
        "\"bytes\":1e400",
        "\"bytes\":\"many\"",
        "\"latency_us\":\"long\"",
    ] {
        let time = "\"time\":\"2018-12-18T09:00:00Z\"";
        rejected(&format!("{{{time},\"path\":\"/messages/u1\",{value}}}"), "bad-value");
    }
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let line = calls(1).replace("\"client_id\"", "\"client_id\":\"nobody\",\"client_id\"");
    let case = Case::with_register().file("x.log", line);
    let report = audit(&case, &["x.log"]).expect_status(0).report();
    assert_eq!(report["usage"][0]["verdict"], "granted");
}

#[test]
fn a_line_of_exactly_one_mebibyte_is_not_too_long() {
    let line = call_of_length(1 << 20);
    let log = format!("{}{line}\n{line}\r\n{line}x\n{line}", calls(1));
    let output = every_way(log.as_bytes(), &["--max-rejects", "1"]).expect_status(0);
    let report = output.report();
    accounts(&report, &[("lines", 5), ("calls", 4), ("rejected", 1)]);
    rejects(&report, &[("too-long", 1)]);
}

/// A call whose line has so many bytes, without its line ending.
fn call_of_length(bytes: usize) -> String {
    let (head, tail) = ("{\"pad\":\"", "\",");
    let call = harness::call(0);
    let rest = call.trim_end().strip_prefix('{').unwrap();
    let pad = bytes - head.len() - tail.len() - rest.len();
    format!("{head}{}{tail}{rest}", "x".repeat(pad))
}

#[test]
fn binary_is_counted_line_by_line() {
    let log = b"\x7fELF\x02\x01\x01\n\x80\x81\x82\n\xff\xfe\x00a\x00\n\x01\x02\x03";
    let output = every_way(log, &["--log-format", "json"]).expect_status(3);
    let report = output.report();
    accounts(&report, &[("lines", 4), ("rejected", 4)]);
    rejects(&report, &[("malformed", 2), ("not-utf8", 2)]);
    assert_eq!(report["window"]["first"], Value::Null);
}

#[test]
fn every_byte_value_adds_up() {
    // All pairs of bytes, so every one before and after every other, newline and NUL among them.
    let log: Vec<u8> = (0..=255u8).flat_map(|a| (0..=255u8).flat_map(move |b| [a, b])).collect();
    let output = every_way(&log, &["--log-format", "common"]).expect_status(3);
    // What stands between newlines, but for a last stretch of nothing and of NULs.
    let stripped = |line: &[u8]| -> Vec<u8> {
        let text: Vec<u8> = line.iter().copied().skip_while(|b| *b == 0).collect();
        let end = text.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let text = &text[..end];
        text.strip_suffix(b"\r").unwrap_or(text).to_vec()
    };
    let lines: Vec<Vec<u8>> = log.split(|b| *b == b'\n').map(stripped).collect();
    let blank = |line: &Vec<u8>| line.iter().all(|b| matches!(b, b' ' | b'\t'));
    assert_eq!(log.last(), Some(&255), "the last line is unfinished, and a line");
    let blanks = lines.iter().filter(|line| blank(line)).count() as u64;
    let utf8 = lines.iter().filter(|line| !blank(line) && std::str::from_utf8(line).is_ok());
    let (malformed, lines) = (utf8.count() as u64, lines.len() as u64);
    let report = output.report();
    let rejected = lines - blanks;
    accounts(&report, &[("lines", lines), ("blank", blanks), ("rejected", rejected)]);
    rejects(&report, &[("malformed", malformed), ("not-utf8", rejected - malformed)]);
}

// --- NULs -------------------------------------------------------------------------------------------------------------

/// One call by itself, with this before and after: calls, blank lines and gap bytes.
#[track_caller]
fn gap(log: &[u8], counts: [u64; 3]) {
    let output = every_way(log, &[]).expect_status(0);
    let report = output.report();
    let [calls, blank, gap_bytes] = counts;
    accounts(&report, &[("lines", calls + blank), ("blank", blank), ("calls", calls)]);
    let input = input(&report, "x.log");
    assert_eq!(input["gap_bytes"], gap_bytes);
    assert_eq!(input["bytes"], log.len());
    assert_eq!(input["complete"], true);
}

#[test]
fn nuls_at_the_start_are_a_gap() {
    gap(&[&[0; 100], calls(3).as_bytes()].concat(), [3, 0, 100]);
}

#[test]
fn nuls_in_the_middle_are_a_gap() {
    gap(&[calls(2).as_bytes(), &[0; 100], calls(3).as_bytes()].concat(), [5, 0, 100]);
}

#[test]
fn nuls_before_a_line_ending_are_a_gap() {
    gap(&[calls(2).trim_end().as_bytes(), &[0; 9], b"\n", calls(3).as_bytes()].concat(), [5, 0, 9]);
}

#[test]
fn nuls_at_the_end_are_a_gap_and_no_line() {
    gap(&[calls(3).as_bytes(), &[0; 100]].concat(), [3, 0, 100]);
    gap(&[calls(3).trim_end().as_bytes(), &[0; 100]].concat(), [3, 0, 100]);
}

#[test]
fn nuls_and_a_line_ending_are_a_blank_line() {
    gap(&[calls(1).as_bytes(), &[0; 7], b"\n\n", calls(1).as_bytes()].concat(), [2, 2, 7]);
}

#[test]
fn a_log_of_nothing_but_nuls_holds_no_line() {
    gap(&[0; 5000], [0, 0, 5000]);
}

#[test]
fn nuls_inside_a_line_make_it_malformed() {
    let log = calls(1).replace("\"GET\"", "\"G\0ET\"");
    let report = every_way(log.as_bytes(), &["--log-format", "json"]).expect_status(3).report();
    rejects(&report, &[("malformed", 1)]);
    assert_eq!(input(&report, "x.log")["gap_bytes"], 0);
}

#[test]
fn evidence_begins_after_the_nuls() {
    // A served call of the partner whose grant was revoked, so that there is a finding.
    let line = calls(1).replace("key-acme-1", "key-globex-2");
    let log = [&[0; 64], line.as_bytes()].concat();
    let report = every_way(&log, &[]).expect_status(0).report();
    let evidence = &report["findings"][0]["evidence"];
    assert_eq!(evidence[0]["offset"], 64);
    assert_eq!(evidence[0]["length"], line.trim_end().len());
    let hash = blake3::hash(line.trim_end().as_bytes()).to_hex().to_string();
    assert_eq!(evidence[0]["blake3"], hash);
}

#[test]
fn a_huge_run_of_nuls_is_a_gap() {
    const GAP: u64 = 300 << 20;
    let case = Case::with_register().file("x.log", calls(2));
    // A hole of the file system: what copytruncate leaves, and no work to write.
    let mut file = fs::OpenOptions::new().append(true).open(case.path("x.log")).unwrap();
    let before = calls(2).len() as u64;
    file.set_len(before + GAP).unwrap();
    file.write_all(calls(3).as_bytes()).unwrap();
    for way in [&["--io", "read"], &["--io", "mmap"]] {
        let report = audit(&case, &[way.as_slice(), &["x.log"]].concat()).expect_status(0).report();
        accounts(&report, &[("lines", 5), ("calls", 5)]);
        assert_eq!(input(&report, "x.log")["gap_bytes"], GAP);
    }
}

// --- a line without end -----------------------------------------------------------------------------------------------

const LONG: usize = 100 << 20;

/// Two calls, a line of 100 MiB, two calls.
fn with_a_long_line() -> Vec<u8> {
    let mut log = calls(2).into_bytes();
    log.resize(log.len() + LONG, b'x');
    log.push(b'\n');
    log.extend(calls(2).as_bytes());
    log
}

#[track_caller]
fn long_line(output: Output) {
    let output = output.expect_status(0);
    let report = output.report();
    accounts(&report, &[("lines", 5), ("calls", 4), ("rejected", 1)]);
    rejects(&report, &[("too-long", 1)]);
    assert_eq!(
        report["rejects"]["sample"],
        json!([{
            "path": "x.log", "line": 3, "offset": calls(2).len(), "reason": "too-long",
            "shape": "a".repeat(80),
        }])
    );
    assert_eq!(report["inputs"][0]["bytes"], with_a_long_line().len());
}

#[test]
fn a_line_of_100_mib_is_one_reject_and_takes_no_memory() {
    let log = with_a_long_line();
    for (bytes, ways) in [
        (
            log.clone(),
            vec![
                vec!["--io", "read"],
                vec!["--io", "mmap"],
                vec!["--io", "read", "--chunk-bytes", "1000"],
            ],
        ),
        (gzip(&log), vec![vec![]]),
        (zstd(&log), vec![vec![]]),
    ] {
        let case = Case::with_register().file("x.log", &bytes);
        for way in ways {
            let arguments =
                [&["--max-rejects", "1", "--threads", "2", "x.log"], way.as_slice()].concat();
            let (output, peak_bytes) = run_measured(&case, &with(&arguments));
            long_line(output);
            assert!(peak_bytes < LONG as u64 / 2, "{way:?}: took {peak_bytes} bytes of memory");
        }
    }
}

/// Runs the program, and tells the most anonymous memory that it was seen to hold (0 where nothing tells).
fn run_measured(case: &Case, arguments: &[&str]) -> (Output, u64) {
    let mut command = case.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // Gone or a zombie, it holds nothing that the file would tell.
        while let Some(kib) = fs::read_to_string(&status).ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("RssAnon:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        }) {
            peak = peak.max(kib << 10);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        peak
    });
    let output = child.wait_with_output().unwrap();
    (case.output(shown, output), watch.join().unwrap())
}

#[test]
fn a_log_that_is_one_endless_line() {
    let case = Case::with_register().file("x.log", vec![b'x'; 3 << 20]);
    let output = audit(&case, &["--log-format", "json", "x.log"]).expect_status(3);
    let report = output.report();
    accounts(&report, &[("lines", 1), ("rejected", 1)]);
    rejects(&report, &[("too-long", 1)]);
    // Nothing can be told from it, and what is shown of it is short.
    let output = audit(&case, &["x.log"]).expect_status(2).expect_no_stdout();
    assert!(output.stderr.len() < 1000, "{}", output.stderr.len());
}

// --- other encodings --------------------------------------------------------------------------------------------------

#[test]
fn latin_1_is_not_utf8() {
    let mut log = calls(200).into_bytes();
    log.extend(calls(1).replace("u0", "J@rg").bytes().map(|b| if b == b'@' { 0xf6 } else { b }));
    let report = every_way(&log, &[]).expect_status(0).report();
    accounts(&report, &[("lines", 201), ("calls", 200), ("rejected", 1)]);
    rejects(&report, &[("not-utf8", 1)]);
    assert_eq!(report["rejects"]["sample"][0]["line"], 201);
}

#[test]
fn utf_16_is_no_log_and_says_what_it_looks_like() {
    let mut log = vec![0xff, 0xfe];
    log.extend(calls(3).encode_utf16().flat_map(u16::to_le_bytes));
    let case = Case::with_register().file("x.log", &log);
    let output = audit(&case, &["x.log"]).expect_status(2).expect_no_stdout();
    let output = output.expect_stderr(&["x.log: no format fits its first lines", "hint: "]);
    assert!(!output.stderr.contains('\0'));
    let report = every_way(&log, &["--log-format", "json"]).expect_status(3).report();
    // The high byte of the character before each newline ends a line; that of the newline begins the next, or stands alone.
    accounts(&report, &[("lines", 3), ("rejected", 3)]);
    rejects(&report, &[("not-utf8", 1), ("malformed", 2)]);
    assert_eq!(input(&report, "x.log")["gap_bytes"], 6);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let log = format!("\u{feff}{}", calls(3));
    let report = every_way(log.as_bytes(), &[]).expect_status(0).report();
    accounts(&report, &[("lines", 3), ("calls", 3)]);
    assert_eq!(input(&report, "x.log")["bytes"], log.len());
    let log = "\u{feff}garbage\n\u{feff}garbage\n";
    let report = every_way(log.as_bytes(), &["--log-format", "json"]).expect_status(3).report();
    let offsets: Vec<&Value> =
        report["rejects"]["sample"].as_array().unwrap().iter().map(|r| &r["offset"]).collect();
    // Only the first is a mark; later it is a character like others.
    assert_eq!(offsets, [3, "\u{feff}garbage\n".len()]);
}

#[test]
fn carriage_returns_and_an_unfinished_last_line() {
    let log = calls(3).replace('\n', "\r\n");
    let log = format!("\r\n \t\r\n{}", log.trim_end());
    let report = every_way(log.as_bytes(), &[]).expect_status(0).report();
    accounts(&report, &[("lines", 5), ("blank", 2), ("calls", 3)]);
}

// --- compression that is damaged --------------------------------------------------------------------------------------

#[test]
fn a_truncated_gzip_counts_what_decodes() {
    let whole = gzip(calls(5000));
    let cut = &whole[..whole.len() / 2];
    let mut decoded = Vec::new();
    flate2::read::GzDecoder::new(cut).read_to_end(&mut decoded).unwrap_err();
    let newlines = decoded.iter().filter(|b| **b == b'\n').count() as u64;
    let case = Case::ready().file("logs/cut.log.gz", cut);
    for way in WAYS {
        let output = audit(&case, &[way, &["logs"]].concat()).expect_status(3);
        let report = output.report();
        partial(&output, &report, "logs/cut.log.gz", "gzip data ended early");
        let input = input(&report, "logs/cut.log.gz");
        assert_eq!(input["complete"], false);
        assert_eq!(input["compression"], "gzip");
        let calls = input["calls"].as_u64().unwrap();
        // At least what another decoder makes of it; what its reader loses at the error may come on top.
        assert!(newlines <= calls && calls < 5000, "{newlines} <= {calls}");
        assert!(input["rejected"].as_u64().unwrap() <= 1, "only the line where it breaks off");
        assert_eq!(self::input(&report, "logs/good.log")["calls"], 10);
    }
}

#[test]
fn a_gzip_cut_within_its_first_bytes() {
    for length in [2, 9, 10, 11] {
        let case = Case::ready().file("logs/cut.log.gz", &gzip(calls(9))[..length]);
        let output = audit(&case, &["logs"]).expect_status(3);
        let report = output.report();
        partial(&output, &report, "logs/cut.log.gz", "gzip data ended early");
        accounts(&report, &[("lines", 10), ("calls", 10)]);
    }
}

#[test]
fn a_corrupt_gzip_counts_what_decodes() {
    let mut bytes = gzip(calls(5000));
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let case = Case::ready().file("logs/bad.log.gz", bytes);
    let output = audit(&case, &["--max-rejects", "100%", "logs"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "logs/bad.log.gz", "gzip data");
    assert_eq!(input(&report, "logs/bad.log.gz")["complete"], false);
    assert!(input(&report, "logs/bad.log.gz")["calls"].as_u64().unwrap() < 5000);
}

#[test]
fn the_members_before_a_corrupt_one_count() {
    let mut second = gzip(calls(5000));
    let middle = second.len() / 2;
    second[middle..middle + 8].fill(0xff);
    let case = Case::with_register().file("x.log.gz", [gzip(calls(100)), second].concat());
    let output = audit(&case, &["--max-rejects", "100%", "x.log.gz"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "x.log.gz", "gzip data");
    assert!(report["accounting"]["calls"].as_u64().unwrap() >= 100);
}

#[test]
fn a_gzip_cut_within_its_last_bytes_loses_no_line() {
    let whole = gzip(calls(500));
    let case = Case::with_register().file("x.log.gz", &whole[..whole.len() - 4]);
    let output = audit(&case, &["x.log.gz"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "x.log.gz", "gzip data ended early");
    accounts(&report, &[("lines", 500), ("calls", 500)]);
}

#[test]
fn a_gzip_whose_checksum_differs_is_not_complete() {
    let mut bytes = gzip(calls(50));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    let case = Case::with_register().file("x.log.gz", bytes);
    let output = audit(&case, &["x.log.gz"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "x.log.gz", "corrupt gzip data");
    accounts(&report, &[("lines", 50), ("calls", 50)]);
}

#[test]
fn garbage_after_a_gzip_is_told() {
    let bytes = [gzip(calls(50)), b"and then something else".to_vec()].concat();
    let case = Case::with_register().file("x.log.gz", bytes);
    let output = audit(&case, &["x.log.gz"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "x.log.gz", "bytes that are no gzip data follow the gzip data");
    accounts(&report, &[("lines", 50), ("calls", 50)]);
}

#[test]
fn several_members_or_frames_are_one_log() {
    let log = calls(5);
    let (first, second) = log.split_at(300);
    for bytes in [
        [gzip(first), gzip(""), gzip(second), vec![0; 512]].concat(),
        [zstd(first), zstd(""), zstd(second)].concat(),
    ] {
        let case = Case::with_register().file("x.log", bytes);
        let report = audit(&case, &["x.log"]).expect_status(0).report();
        accounts(&report, &[("lines", 5), ("calls", 5)]);
    }
}

#[test]
fn a_truncated_zstd_counts_what_decodes() {
    let whole = zstd(calls(20_000));
    let case = Case::ready().file("logs/cut.log.zst", &whole[..whole.len() / 2]);
    for way in WAYS {
        let output = audit(&case, &[way, &["logs"]].concat()).expect_status(3);
        let report = output.report();
        partial(&output, &report, "logs/cut.log.zst", "zstd data ended early");
        let input = input(&report, "logs/cut.log.zst");
        let calls = input["calls"].as_u64().unwrap();
        assert!(1000 < calls && calls < 20_000, "{calls}");
        assert_eq!(input["complete"], false);
    }
}

#[test]
fn a_zstd_whose_checksum_differs_is_not_complete() {
    let mut bytes = zstd(calls(50));
    *bytes.last_mut().unwrap() ^= 1;
    let case = Case::ready().file("logs/x.log.zst", bytes);
    let output = audit(&case, &["logs"]).expect_status(3);
    partial(&output, &output.report(), "logs/x.log.zst", "corrupt zstd data");
}

// --- nothing to read --------------------------------------------------------------------------------------------------

#[test]
fn empty_logs_are_fine() {
    for bytes in [Vec::new(), gzip(""), zstd(""), b"\n \n".to_vec(), "\u{feff}".into()] {
        let case = Case::with_register().file("x.log", &bytes);
        for way in WAYS {
            let output = audit(&case, &[way, &["x.log"]].concat()).expect_status(0);
            let report = output.report();
            let blank = u64::from(bytes.starts_with(b"\n")) * 2;
            accounts(&report, &[("lines", blank), ("blank", blank)]);
            assert_eq!(report["status"], "complete");
            assert_eq!(report["window"]["first"], Value::Null);
            assert_eq!(report["inputs"][0]["format"], Value::Null);
            assert_eq!(report["findings"], json!([]));
        }
        // For people too.
        let output = case.run(&["audit", "--register", "register", "x.log"]).expect_status(0);
        assert!(output.stdout.contains("READ"));
    }
}

#[test]
fn a_folder_without_logs_matches_nothing() {
    let case = Case::with_register();
    fs::create_dir(case.path("logs")).unwrap();
    let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: logs: matches nothing, expected "]);
}

#[test]
fn a_log_that_is_not_there_matches_nothing() {
    for log in ["missing.log", "logs/*.gz", "logs/{yyyy}.log", ""] {
        let output = audit(&Case::ready(), &["logs", log]).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[&format!("error: {log}: matches nothing")]);
    }
}

#[test]
fn paths_of_the_config_that_match_nothing_make_the_report_partial() {
    let config = |paths: &str| {
        format!("[register]\nsource = \"register\"\n[[logs]]\nsource = \"gw\"\npaths = {paths}\n")
    };
    let case = Case::ready().file("overstay.toml", config("[\"logs/*.log\", \"old/*.log\"]"));
    let output = case.run(&["audit", "--json"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "old/*.log", "matches nothing (source gw)");
    accounts(&report, &[("lines", 10), ("calls", 10)]);
    let case = case.file("overstay.toml", config("[\"old/*.log\"]"));
    let output = case.run(&["audit", "--json"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: no input could be read: old/*.log: matches nothing"]);
}

#[test]
fn no_logs_at_all() {
    let output = audit(&Case::ready(), &[]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: there are no logs to read\n", "hint: name them"]);
}

#[test]
fn calls_reads_what_audit_reads_where_the_first_lines_are_blank() {
    // More blank lines than are looked at to tell a format: none is told, and nothing passes unseen.
    let log = format!("{}{}", "\n".repeat(9 << 20), calls(3));
    let case = Case::with_register().file("x.log", log);
    let output = audit(&case, &["x.log"]).expect_status(3);
    let report = output.report();
    accounts(&report, &[("lines", (9 << 20) + 3), ("blank", 9 << 20), ("rejected", 3)]);
    let why = "3 of 3 lines rejected, more than --max-rejects 1%";
    partial(&output, &report, "x.log", why);
    let output = case.run(&["calls", "--register", "register", "x.log"]).expect_status(3);
    output.expect_no_stdout().expect_stderr(&[&format!("warning: x.log: {why}")]);
    let output = audit(&case, &["x.log", "--log-format", "json"]).expect_status(0);
    accounts(&output.report(), &[("lines", (9 << 20) + 3), ("blank", 9 << 20), ("calls", 3)]);
}

// --- what can't be read -----------------------------------------------------------------------------------------------

#[test]
#[cfg(unix)]
fn a_dangling_link_among_good_logs_is_named() {
    let case = Case::ready();
    std::os::unix::fs::symlink("nowhere.log", case.path("logs/lost.log")).unwrap();
    let output = audit(&case, &["logs"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "logs/lost.log", "no such file or directory");
    accounts(&report, &[("lines", 10), ("calls", 10)]);
    // `calls` prints what it can, and says so in its status.
    let output = case.run(&["calls", "--register", "register", "logs"]).expect_status(3);
    assert_eq!(output.json_lines().len(), 10);
    output.expect_stderr(&["warning: logs/lost.log: no such file or directory"]);
}

#[test]
#[cfg(unix)]
fn when_no_log_can_be_read_there_is_no_report() {
    let case = Case::with_register();
    fs::create_dir(case.path("logs")).unwrap();
    for name in ["a.log", "b.log"] {
        std::os::unix::fs::symlink("nowhere.log", case.path("logs").join(name)).unwrap();
    }
    let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: no input could be read: ",
        "logs/a.log: no such file or directory",
        "logs/b.log: no such file or directory",
    ]);
}

#[test]
#[cfg(unix)]
#[allow(clippy::print_stderr, reason = "a test that could not run must say so")]
fn a_log_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::ready().file("logs/secret.log", calls(5));
    let path = case.path("logs/secret.log");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let output = audit(&case, &["logs"]).expect_status(3);
    let report = output.report();
    partial(&output, &report, "logs/secret.log", "permission denied");
    accounts(&report, &[("lines", 10), ("calls", 10)]);
    let output = audit(&case, &["logs/secret.log"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: no input could be read: logs/secret.log: permission denied"]);
}

#[cfg(unix)]
#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let case = Case::ready();
    std::os::unix::fs::symlink("nowhere", case.path("logs/a\u{1b}[2J\nwarning: b.log")).unwrap();
    std::os::unix::fs::symlink("loop.log", case.path("logs/loop.log")).unwrap();
    let output = case.run(&["audit", "--register", "register", "logs"]).expect_status(3);
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains('\u{1b}'));
        assert!(!text.contains("\nwarning: b.log"), "a newline of a name begins no line");
    }
    assert!(output.stderr.contains("warning: logs/loop.log: "));
}

#[test]
fn a_folder_where_a_file_is_expected() {
    let case = Case::ready();
    fs::create_dir(case.path("folder")).unwrap();
    for arguments in [
        ["audit", "logs", "--config", "folder"],
        ["calls", "--register", "register", "--verify=folder"],
    ] {
        let output = case.run(&arguments).expect_status(2).expect_no_stdout();
        output.expect_stderr(&["error: folder: is a directory"]);
    }
    fs::remove_file(case.path("register/routes.csv")).unwrap();
    fs::create_dir(case.path("register/routes.csv")).unwrap();
    let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: register/routes.csv: is a directory"]);
}

#[test]
fn a_format_that_cannot_be_told_shows_shapes() {
    let strange = "Jan  1 x7\nJan  1 y8 Zoë\n";
    let case = Case::ready().file("logs/strange.log", strange);
    let output = audit(&case, &["logs"]).expect_status(3);
    let report = output.report();
    let reason = "no format fits its first lines";
    partial(&output, &report, "logs/strange.log", reason);
    // The flag to set, and the shapes a line each.
    let shapes = "the lines look like\n  aaa  9 a9\n  aaa  9 a9 aaa\n";
    let output = output.expect_stderr(&["\nhint: set the format with --log-format NAME", shapes]);
    assert_eq!(output.stderr.matches("hint: ").count(), 1);
    accounts(&report, &[("lines", 10), ("calls", 10)]);
    let input = input(&report, "logs/strange.log");
    assert_eq!((&input["format"], &input["complete"]), (&Value::Null, &json!(false)));
    let output = audit(&case, &["logs/strange.log"]).expect_status(2).expect_no_stdout();
    let told =
        ["strange.log: no format fits its first lines\nhint: set the format with --log-format"];
    output.expect_stderr(&told).expect_stderr(&[shapes]);
    let output = calls_of(&case, &["logs/strange.log"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&told).expect_stderr(&[shapes]);
    let output = calls_of(&case, &["logs"]).expect_status(3);
    output.expect_stderr(&["warning: logs/strange.log: no format fits", "\nhint: set", shapes]);
}

/// `overstay calls` of these logs.
fn calls_of(case: &Case, logs: &[&str]) -> Output {
    case.run(&[&["calls", "--register", "register"], logs].concat())
}

#[test]
fn the_format_that_was_told_is_named() {
    let common =
        "10.0.0.7 - key-acme-1 [18/Dec/2018:09:30:00 +0000] \"GET /messages/a HTTP/1.1\" 200 5\n";
    let mut case = Case::with_register().file("logs/edge.log", common);
    for name in ["a", "b", "c", "d", "e"] {
        case = case.file(&format!("logs/{name}.log"), calls(1));
    }
    let notes = "note: format common, told from the lines: logs/edge.log\n\
                 note: format json, told from the lines: logs/a.log, logs/b.log, logs/c.log and 2 more\n";
    audit(&case, &["logs"]).expect_status(0).expect_stderr(&[notes]);
    calls_of(&case, &["logs"]).expect_status(0).expect_stderr(&[notes]);
    assert_eq!(audit(&case, &["logs", "--quiet"]).expect_status(0).stderr, "");
    // Nothing was told where the user said it.
    let output = audit(&case, &["logs/a.log", "--log-format", "json"]).expect_status(0);
    assert!(!output.stderr.contains("told from"), "standard error");
}

#[test]
fn a_first_line_longer_than_the_head_hides_no_format() {
    let long = |bytes: usize| calls(1).replace("/u0", &format!("/u0?{}", "x".repeat(bytes)));
    // It is a call itself, up to 1 MiB; longer ones are passed over.
    for (first, rejected) in [(300 << 10, 0), (900 << 10, 0), (2 << 20, 1), (5 << 20, 1)] {
        let log = long(first) + &calls(20);
        let case = Case::with_register().file("x.log", &log).file("x.log.gz", gzip(&log));
        for (name, io) in [("x.log", "read"), ("x.log", "mmap"), ("x.log.gz", "auto")] {
            let arguments = [name, "--io", io, "--max-rejects", "1"];
            let report = audit(&case, &arguments).expect_status(0).report();
            assert_eq!(input(&report, name)["format"], "json", "{first} {name} {io}");
            accounts(&report, &[("lines", 21), ("calls", 21 - rejected), ("rejected", rejected)]);
        }
    }
    // Looking ahead has an end.
    let case = Case::with_register().file("x.log", long(9 << 20) + &calls(1));
    audit(&case, &["x.log"]).expect_status(2).expect_stderr(&["no format fits its first lines"]);
}

#[test]
fn a_log_cut_off_in_its_first_line_says_that_it_was() {
    let log = calls(1).replace("/u0", &format!("/u0?{}", "0123456789abcdef".repeat(100)));
    for (name, kind, whole) in [("x.gz", "gzip", gzip(&log)), ("x.zst", "zstd", zstd(&log))] {
        let case = Case::with_register().file(name, &whole[..whole.len() - 12]);
        let output = audit(&case, &[name, "--max-rejects", "1"]).expect_status(3);
        let report = output.report();
        partial(&output, &report, name, &format!("{kind} data ended early"));
        assert!(!output.stderr.contains("no format fits"), "standard error");
    }
}

#[test]
fn two_formats_that_fit_equally_are_both_named() {
    let format = "kind = \"pattern\"\npattern = '%h %l %u %t \"%r\" %>s %b'\n";
    let config = format!("[formats.mine]\n{format}");
    let line =
        "10.0.0.7 - key-acme-1 [18/Dec/2018:09:30:00 +0000] \"GET /messages/a HTTP/1.1\" 200 5\n";
    let case = Case::with_register().file("overstay.toml", config).file("x.log", line);
    let output = audit(&case, &["x.log"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["x.log: its first lines fit common and mine equally"]);
    let report = audit(&case, &["x.log", "--log-format", "mine"]).expect_status(0).report();
    accounts(&report, &[("lines", 1), ("calls", 1)]);
}

// --- the share of rejects ---------------------------------------------------------------------------------------------

#[test]
fn rejects_pass_the_limit_when_they_are_more_than_it() {
    // 97 calls and 3 rejects: three of a hundred.
    let log = format!("{}x\ny\nz\n", calls(97));
    let case = Case::with_register().file("x.log", log);
    for (limit, status) in
        [("3", 0), ("3%", 0), ("3.0%", 0), ("100%", 0), ("2", 3), ("2.99%", 3), ("0", 3), ("0%", 3)]
    {
        let output = audit(&case, &["x.log", "--max-rejects", limit]).expect_status(status);
        let report = output.report();
        accounts(&report, &[("lines", 100), ("calls", 97), ("rejected", 3)]);
        let input = input(&report, "x.log");
        if status == 3 {
            let why = format!("3 of 100 lines rejected, more than --max-rejects {limit}");
            partial(&output, &report, "x.log", &why);
            // It was read to its end all the same.
            assert_eq!(input["complete"], true);
        } else {
            assert_eq!(report["status"], "complete");
        }
        let output =
            case.run(&["calls", "--register", "register", "x.log", "--max-rejects", limit]);
        assert_eq!(output.expect_status(status).json_lines().len(), 97);
    }
}

#[test]
fn the_limit_holds_for_each_input() {
    let case = Case::with_register()
        .file("logs/a.log", format!("{}x\n", calls(10)))
        .file("logs/b.log", calls(1000));
    let output = audit(&case, &["logs"]).expect_status(3);
    partial(&output, &output.report(), "logs/a.log", "1 of 11 lines rejected");
}

#[test]
fn scanners_do_not_pass_the_limit() {
    let line = "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"GET /messages/a HTTP/1.1\" 401 5\n";
    let hello = "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"\\x16\\x03\" 400 5\n";
    let log = format!("{line}{}", hello.repeat(50));
    let case = Case::with_register().file("x.log", &log);
    let report = audit(&case, &["x.log", "--max-rejects", "0"]).expect_status(0).report();
    accounts(&report, &[("lines", 51), ("calls", 1), ("rejected", 50)]);
    rejects(&report, &[("no-target", 50)]);
}

// --- registers --------------------------------------------------------------------------------------------------------

/// A register with every kind of error, each with the words that tell it.
const ERRORS: [(&str, &str, &str); 23] = [
    ("partners", "acme,Again", "partners.csv: 4: partner: found the key of line 2 again"),
    ("partners", ",Nameless", "partners.csv: 5: partner: found a blank, which must be filled"),
    (
        "credentials",
        "key-1,nobody,,",
        "credentials.csv: 4: partner: found something else, expected one of the partners table",
    ),
    ("credentials", "key-2,acme,2018-01-01,2018-03-01", ""),
    (
        "credentials",
        "key-2,acme,2018-02-01,",
        "credentials.csv: 6: valid_from: found …ey-2 valid while line 5 is",
    ),
    ("credentials", "sha256:12ab,acme,,", "credentials.csv: 7: credential: found sha256:"),
    (
        "apis",
        "b,B,closed,,,",
        "apis.csv: 3: access: found \"closed\", expected \"open\" or a blank",
    ),
    (
        "apis",
        "c,C,,maybe,,",
        "apis.csv: 4: consent: found \"maybe\", expected \"required\" or a blank",
    ),
    ("apis", "d,D,,,soon,", "apis.csv: 5: dormant_since: found \"soon\", expected an instant"),
    ("apis", "e,E,,,,-1", "apis.csv: 6: propagation_s: found \"-1\", expected whole seconds"),
    ("routes", ",GET,/messages/{id},messages,", ""),
    (
        "routes",
        ",get,/messages//{other}/,messages,",
        "routes.csv: 4: path: found a route that can't be told from line 3",
    ),
    ("routes", ",,/x,mesages,", "routes.csv: 5: api: found \"mesages\""),
    ("routes", ",,/a/*/b,messages,", "routes.csv: 6: path: "),
    ("routes", ",GET|PUT,/c,messages,", "routes.csv: 7: method: "),
    ("grants", "g-1,acme,messages,read,2018-01-01,2018-01-01,,", "grants.csv: 4: revoked_at: "),
    ("grants", "g-2,acmee,messages,read,,,,", "grants.csv: 5: partner: found \"acmee\""),
    ("grants", "g-3,acme,messages,read,,,serch,", "grants.csv: 6: purpose: found \"serch\""),
    ("grants", "g-4,acme,messages,read|,,,,", "grants.csv: 7: operations: "),
    (
        "grants",
        "g-5,acme,messages,read,,,,TRUE",
        "grants.csv: 8: overrides_consent: found \"TRUE\"",
    ),
    ("grants", "g-6,acme,messages", "grants.csv: 9: found 3 fields, expected 8"),
    ("consents", "ann,*,*,2018-01-01,maybe", "consents.csv: 2: state: found something else"),
    (
        "consents",
        "ann,*,*,2018-01-01T00:00:00,given",
        "consents.csv: 3: at: found something else, expected an instant",
    ),
];

/// The folder `register` with all of [`ERRORS`], an unknown column and an unknown table.
fn broken_register() -> Case {
    let mut texts = vec![
        ("partners", "partner,name\nacme,Acme\nglobex,\n".to_owned()),
        ("credentials", "credential,partner,valid_from,valid_until\nkey-acme-1,acme,,\nkey-globex-2,globex,,\n".to_owned()),
        ("apis", "api,name,access,consent,dormant_since,propagation_s\nmessages,,,,,\n".to_owned()),
        ("routes", "host,method,path,api,operation\n,,/m,messages,\n".to_owned()),
        ("grants", "grant,partner,api,operations,granted_at,revoked_at,purpose,overrides_consent\ng-a,acme,messages,read,,,search,\ng-b,acme,messages,read,,,search,\n".to_owned()),
        ("purposes", "purpose,endedat\nsearch,\n".to_owned()),
        ("consents", "subject,partner,api,at,state\n".to_owned()),
    ];
    let mut case = Case::new().file("logs/good.log", calls(10));
    for (table, text) in &mut texts {
        for (_, row, _) in ERRORS.iter().filter(|(of, ..)| of == table) {
            text.push_str(row);
            text.push('\n');
        }
        case = case.file(&format!("register/{table}.csv"), text.as_str());
    }
    case.file("register/purpose.csv", "purpose\n")
}

/// The words of every problem of [`broken_register`].
fn broken_words() -> Vec<String> {
    let told = ERRORS.iter().map(|(.., words)| *words).filter(|words| !words.is_empty());
    let also = [
        "purposes.csv: 1: found the unknown column \"endedat\", the nearest known one is \"ended_at\"",
        "purpose.csv: found an unknown table, the nearest known one is \"purposes.csv\"",
    ];
    told.chain(also).map(|words| format!("register/{words}")).collect()
}

#[test]
fn a_broken_register_is_refused_with_every_error_at_once() {
    let words = broken_words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let case = broken_register();
    for command in ["audit", "calls"] {
        let output = case.run(&[command, "--register", "register", "logs"]);
        let output = output.expect_status(2).expect_no_stdout().expect_stderr(&words);
        let count = format!("error: register: the register has {} errors:\n", words.len());
        output.expect_stderr(&[&count, "\nhint: nothing was judged"]);
    }
}

#[test]
fn check_tells_every_error_at_once() {
    let output = broken_register().run(&["check", "--register", "register"]).expect_status(2);
    for words in broken_words() {
        assert!(output.stdout.contains(&format!("error: {words}")), "`{words}` is not told");
    }
    assert!(output.stdout.contains("did you mean \"acme\"?"));
    let errors = output.stdout.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, broken_words().len());
}

#[test]
fn an_error_of_the_register_is_told_before_any_log_is_read() {
    let case = broken_register();
    let output = case.run_with_input(&["audit", "--register", "register", "-"], b"");
    output.expect_status(2).expect_no_stdout();
}

#[test]
fn a_register_that_is_not_there() {
    let case = Case::ready();
    let output = case.run(&["audit", "--register", "registre", "logs"]);
    let output = output.expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: registre: no such file or directory", "hint: "]);
    let output = case.run(&["check", "--register", "logs/good.log"]).expect_status(2);
    output.expect_stderr(&["error: logs/good.log: not a directory"]);
}

#[test]
fn a_needed_table_that_is_missing_is_named() {
    for table in ["partners", "credentials", "apis", "grants"] {
        let case = Case::ready();
        fs::remove_file(case.path(&format!("register/{table}.csv"))).unwrap();
        let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
        let words = format!("register/{table}.csv: found no such file, which is needed");
        output.expect_stderr(&["the register has 1 error:\n", &words]);
    }
    // The others may be absent: without routes no api is reached by a path.
    let case = Case::ready();
    fs::remove_file(case.path("register/routes.csv")).unwrap();
    let report = audit(&case, &["logs"]).expect_status(0).report();
    assert_eq!(report["usage"][0]["verdict"], "unlisted-api");
}

#[test]
fn an_unknown_column_names_the_nearest() {
    let case = Case::ready();
    case.write("register/partners.csv", "partner,nmae\nacme,\nglobex,\n");
    let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
    let words = "register/partners.csv: 1: found the unknown column \"nmae\", the nearest known one is \"name\"";
    output.expect_stderr(&[words]);
}

#[test]
fn a_table_that_is_no_csv_of_text() {
    for (text, words) in [
        (
            &b"partner,name\nacme,\xe9\nglobex,\n"[..],
            "partners.csv: 2: found bytes that are not UTF-8",
        ),
        (
            b"partner,name\nacme,\"x\nglobex,\n",
            "partners.csv: 2: found a quote that is never closed",
        ),
        (b"", "partners.csv: found an empty file, expected a header row"),
        (b"name\nAcme\n", "partners.csv: 1: found no column \"partner\", which must be there"),
    ] {
        let case = Case::ready().file("register/partners.csv", text);
        let output = audit(&case, &["logs"]).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[words]);
    }
}

#[test]
fn a_secret_of_the_register_is_in_no_message() {
    let case = Case::ready().file(
        "register/credentials.csv",
        "credential,partner\nkey-acme-1,acme\nkey-globex-2,globex\nvery-secret-key,nobody\nvery-secret-key,acme\n",
    );
    for arguments in
        [&["check", "--register", "register"][..], &["audit", "--register", "register", "logs"]]
    {
        let output = case.run(arguments).expect_status(2);
        assert!(!output.stdout.contains("secret"));
        assert!(!output.stderr.contains("secret"));
    }
}

// --- configs ----------------------------------------------------------------------------------------------------------

/// Asserts what is said of a config: by `audit` and by `check`, with status 2 and no report.
#[track_caller]
fn config(text: impl AsRef<[u8]>, words: &[&str]) {
    let case = Case::ready().file("overstay.toml", text);
    case.run(&["audit", "--json", "logs"]).expect_status(2).expect_no_stdout().expect_stderr(words);
    // What it finds is what `check` is run for: it is told on standard output, unless there is no config to look at.
    let output = case.run(&["check"]).expect_status(2);
    let told = format!("{}{}", output.stdout, output.stderr);
    words.iter().for_each(|words| assert!(told.contains(words), "{words}: {told}"));
}

#[test]
fn an_unknown_key_of_the_config_is_named_with_its_place() {
    config(
        "[register]\nsource = \"register\"\n\n[[logs]]\nsource = \"gw\"\npath = [\"x\"]\n",
        &["error: overstay.toml: 6: 1: unknown field `path`", "`paths`"],
    );
    config(
        "regster = 1\n",
        &["error: overstay.toml: 1: 1: unknown field `regster`", "hint: did you mean `register`?"],
    );
    config("[report]\noutput = []\n", &["overstay.toml: 2: 1: unknown field `output`"]);
}

#[test]
fn malformed_toml_is_told_with_line_and_column() {
    config("[register]\nsource = \n", &["error: overstay.toml: 2: 10: "]);
    config(
        "[register]\nsource = \"register\"\npropagation_s = \"x\"\n",
        &["overstay.toml: 3: 17: "],
    );
    config("[register\n", &["overstay.toml: 1: 10: "]);
    config(b"[register]\n# \xff\n", &["overstay.toml: found bytes that are not UTF-8"]);
}

#[test]
fn values_of_the_config_that_do_not_fit() {
    config(
        "[severity]\nafter-revocatoin = \"high\"\n",
        &[
            "overstay.toml: 2: [severity]: found kind `after-revocatoin`",
            "hint: did you mean `after-revocation`?",
        ],
    );
    config(
        "[severity]\nafter-expiry = \"grave\"\n",
        &["[severity] after-expiry: found `grave`, expected critical, high, medium, low or info"],
    );
    let suppress = |keys: &str| format!("[[suppress]]\n{keys}\n");
    config(suppress("kind = \"anonymous\"\nreason = \"r\"\nuntil = \"2019-01-01\""), &["owner"]);
    config(
        suppress("kind = \"anonymous\"\nowner = \" \"\nreason = \"r\"\nuntil = \"2019-01-01\""),
        &["[[suppress]] owner: found nothing"],
    );
    config(suppress("kind = \"anonymous\"\nowner = \"o\"\nreason = \"r\""), &["until"]);
    config(
        suppress("kind = \"anonymous\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"soon\""),
        &["[[suppress]] until: found `soon`"],
    );
    config(
        suppress("owner = \"o\"\nreason = \"r\"\nuntil = \"2019-01-01\""),
        &["[[suppress]]: expected either `finding`, or `kind`"],
    );
    config(
        suppress(
            "finding = \"os-a\"\nkind = \"anonymous\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"2019-01-01\"",
        ),
        &["[[suppress]]: expected either `finding`, or `kind`"],
    );
    let logs = |keys: &str| format!("[[logs]]\nsource = \"gw\"\npaths = [\"logs/*\"]\n{keys}\n");
    config(
        logs("format = \"jsn\""),
        &["[[logs]] gw: format: found `jsn`", "hint: did you mean `json`?"],
    );
    config(logs("expect = \"weekly\""), &["overstay.toml: 4: 10: unknown variant `weekly`"]);
    config(logs("dedupe = \"yes\""), &["overstay.toml: 4: 10: ", "expected a boolean"]);
    config(logs("") + &logs(""), &["[[logs]] source: found `gw` twice"]);
    let format = |keys: &str| format!("[formats.mine]\n{keys}\n");
    config(format("kind = \"xml\""), &["[formats.mine]", "xml"]);
    config(format("kind = \"json\"\npath = \"path\""), &["[formats.mine]", "at"]);
    config(
        format("kind = \"json\"\nat = \"t\"\npath = \"path\"\nstatsu = \"s\""),
        &["[formats.mine]", "statsu", "`status`"],
    );
    config(format("kind = \"pattern\"\npattern = '%h \"%r'\nat = \"t\""), &["[formats.mine]"]);
}

#[test]
fn a_config_that_is_not_there() {
    let case = Case::ready();
    let output = case.run(&["audit", "--config", "missing.toml", "logs"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["error: missing.toml: no such file or directory"]);
}

// --- command lines ----------------------------------------------------------------------------------------------------

#[test]
fn wrong_usage() {
    let case = Case::ready();
    for (arguments, words) in [
        (&["--since", "soon"][..], &["error: --since: found `soon`, expected RFC 3339"][..]),
        (&["--since", "2018-12-18T09:00:00"], &["--since: found `2018-12-18T09:00:00`"]),
        (&["--until", "2018-13-01"], &["error: --until: found `2018-13-01`"]),
        (
            &["--since", "2018-12-19", "--until", "2018-12-18"],
            &["--since 2018-12-19T00:00:00Z is not before --until 2018-12-18T00:00:00Z"],
        ),
        (&["--since", "2018-12-18", "--until", "2018-12-18"], &["is not before"]),
        (&["--as-known-at", "then"], &["error: --as-known-at: found `then`"]),
        (
            &["--max-rejects", "many"],
            &["error: --max-rejects: found `many`, expected a number (100) or a share (1%)"],
        ),
        (&["--max-rejects", "101%"], &["--max-rejects: found `101%`"]),
        (&["--max-rejects", "-1%"], &["-1"]),
        (&["--max-rejects=-1"], &["--max-rejects: found `-1`"]),
        (&["--max-rejects", "NaN%"], &["--max-rejects: found `NaN%`"]),
        (&["--max-rejects", ""], &["--max-rejects: found ``"]),
        (&["--fail-on", "hihg"], &["error: --fail-on: found `hihg`", "hint: did you mean `high`?"]),
        (&["--report", "jsno"], &["--report: found `jsno`, expected one of terminal, json"]),
        (&["--report", "json="], &["--report json=: found no path after `=`"]),
        (
            &["--report", "terminal"],
            &["two reports to standard output, expected one at most", "hint: "],
        ),
        (
            &["--log-format", "jsonn"],
            &["--log-format: found `jsonn`", "hint: did you mean `json`?"],
        ),
        (&["--threads", "0"], &["--threads"]),
        (&["--io", "fast"], &["--io"]),
        (&["--color", "sometimes"], &["--color"]),
        (&["--sicne", "2018-12-18"], &["--sicne", "--since"]),
    ] {
        let output = audit(&case, &[&["logs"], arguments].concat());
        output.expect_status(2).expect_no_stdout().expect_stderr(words);
    }
    let output = case.run(&["audit", "logs", "--as-known-at", "2018-12-18"]).expect_status(2);
    let _ =
        output.expect_stderr(&["error: --as-known-at needs a register", "hint: give --register"]);
    let output = case.run(&["audti"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["audti", "audit"]);
}

#[test]
fn wrong_usage_of_calls() {
    let case = Case::ready();
    for (arguments, words) in [
        (
            &["--verdict", "after-revocatoin"][..],
            &["error: --verdict: found `after-revocatoin`", "hint: did you mean"][..],
        ),
        (
            &["--outcome", "ok"],
            &["error: --outcome: found `ok`, expected one of served, denied, failed, unknown"],
        ),
        (
            &["--finding", "os-"],
            &["--finding: found no finding that begins with `os-` in these logs", "hint: "],
        ),
        (&["--raw", "--distinct", "subject"], &["--raw", "--distinct"]),
        (&["--distinct", "path"], &["--distinct", "subject"]),
        (&["--verify", "report.json"], &["--verify"]),
    ] {
        let output = case.run(&[&["calls", "--register", "register", "logs"], arguments].concat());
        output.expect_status(2).expect_no_stdout().expect_stderr(words);
    }
    let output = case.run(&["calls", "logs"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: calls are judged by a register, and there is none", "hint: "]);
}

#[test]
fn urls_are_refused() {
    let case = Case::ready();
    let output = audit(&case, &["https://logs.example/x.log"]).expect_status(2).expect_no_stdout();
    output
        .expect_stderr(&["error: https://logs.example/x.log: this version reads files", "hint: "]);
    for register in ["sqlite:register.db", "postgres://db.example/register"] {
        let output = case.run(&["audit", "--register", register, "logs"]).expect_status(2);
        output
            .expect_no_stdout()
            .expect_stderr(&["this version reads registers from folders", "hint: "]);
    }
}

// --- output that can't be written -------------------------------------------------------------------------------------

#[test]
fn a_report_that_cannot_be_written_leaves_nothing() {
    let case = Case::ready();
    fs::create_dir(case.path("folder")).unwrap();
    let before = case.names();
    for (target, words) in [
        ("json=missing/report.json", "error: missing/report.json: found no such folder"),
        (
            "json=logs/good.log/report.json",
            "error: logs/good.log/report.json: found no such folder",
        ),
        ("json=folder", "error: folder: found a folder, expected a file's path"),
    ] {
        for first in [&[][..], &["--report", "terminal"]] {
            let arguments =
                [&["audit", "--register", "register", "logs"], first, &["--report", target]]
                    .concat();
            // No report: also none on standard output.
            let output = case.run(&arguments).expect_status(2).expect_no_stdout();
            output.expect_stderr(&[words]);
            assert_eq!(case.names(), before);
        }
    }
}

/// Not after hours of reading: of these logs the end never comes.
#[test]
fn a_report_that_cannot_be_written_is_told_before_the_logs_are_read() {
    let case = Case::ready();
    fs::create_dir(case.path("folder")).unwrap();
    let before = case.names();
    for path in ["missing/report.json", "folder", "logs/good.log/report.json"] {
        let report = format!("json={path}");
        let mut command =
            case.command(&["audit", "--log-format", "json", "-", "--report", report.as_str()]);
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = command.stdin(reader).stderr(Stdio::piped()).spawn().unwrap();
        let in_time = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            child.try_wait().unwrap().is_some()
        });
        drop(writer);
        let output = child.wait_with_output().unwrap();
        assert!(in_time, "{path}: it waited for the log");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("error: {path}: ")));
        assert_eq!(case.names(), before);
    }
}

#[test]
fn where_one_report_cannot_be_written_none_is() {
    let case = Case::ready().file("old.json", "old");
    let before = case.names();
    let arguments = ["audit", "--register", "register", "logs", "--report", "terminal"];
    let outputs = ["--report", "json=old.json", "--report", "json=missing/report.json"];
    case.run(&[&arguments[..], &outputs].concat())
        .expect_status(2)
        .expect_no_stdout()
        .expect_stderr(&["error: missing/report.json: found no such folder"]);
    assert_eq!(case.names(), before);
    assert_eq!(case.read("old.json"), "old");
}

#[test]
fn a_run_that_fails_leaves_the_old_report() {
    let case = Case::ready().file("old.json", "old").file("odd.log", "foo 12\n");
    let before = case.names();
    let report = ["audit", "--report", "json=old.json", "--register"];
    for rest in [["register", "odd.log"], ["nowhere", "logs"]] {
        case.run(&[&report[..], &rest].concat()).expect_status(2).expect_no_stdout();
        assert_eq!(case.names(), before);
        assert_eq!(case.read("old.json"), "old");
    }
    case.run(&[&report[..], &["register", "logs"]].concat()).expect_status(0).expect_no_stdout();
    assert_eq!(case.names(), before);
    harness::adds_up(&serde_json::from_str(&case.read("old.json")).unwrap());
}

#[test]
fn a_closed_pipe_does_not_keep_a_file_from_being_written() {
    let case = Case::ready();
    let arguments = ["audit", "--register", "register", "logs"];
    let outputs = ["--report", "terminal", "--report", "json=report.json"];
    unread(&case, &[&arguments[..], &outputs].concat()).expect_status(0);
    let report: Value = serde_json::from_str(&case.read("report.json")).unwrap();
    harness::adds_up(&report);
}

/// Runs the program with a standard output that nobody reads.
fn unread(case: &Case, arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = case.command(arguments);
    command.stdout(writer).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    // The command holds the other end of the pipe until here.
    drop(command);
    case.output(shown, output)
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let case = Case::ready().file("logs/more.log", calls(5000));
    for arguments in [
        &["audit", "--json", "--register", "register", "logs"][..],
        &["audit", "--register", "register", "logs"],
        &["audit", "--register", "register", "logs", "--fail-on", "info"],
        &["calls", "--register", "register", "logs"],
        &["calls", "--register", "register", "logs", "--raw"],
        &["calls", "--register", "register", "logs", "--distinct", "subject"],
        &["check", "--register", "register"],
        &["explain"],
        &["explain", "after-revocation"],
        &["man"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["--help"],
        &["--version"],
    ] {
        let output = unread(&case, arguments).expect_status(0);
        assert!(!output.stderr.contains("panicked"));
        assert!(!output.stderr.contains("error"));
    }
}

/// The exit status tells what was found, also where nobody reads what is said of it.
#[test]
fn a_closed_pipe_hides_no_exit_status() {
    let case = Case::mixed().file("logs/cut.gz", &gzip(calls(50))[..60]);
    let found = ["audit", "--register", "register", "logs/mixed.log", "--fail-on", "low"];
    unread(&case, &found).expect_status(1);
    let partial = ["audit", "--register", "register", "logs/cut.gz", "logs/mixed.log"];
    unread(&case, &partial).expect_status(3);
    case.run(&[
        "audit",
        "--register",
        "register",
        "logs/mixed.log",
        "--report",
        "json=report.json",
    ])
    .expect_status(0);
    case.write("logs/mixed.log", "");
    unread(&case, &["calls", "--verify", "report.json"]).expect_status(2);
    case.write("register/apis.csv", "api,colour\nmessages,red\n");
    unread(&case, &["check", "--register", "register"]).expect_status(2);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_is_a_failure() {
    let case = Case::ready();
    for arguments in [
        &["audit", "--json", "--register", "register", "logs"][..],
        &["calls", "--register", "register", "logs"],
        &["check", "--register", "register"],
        &["explain"],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut command = case.command(arguments);
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let output = case.finish_with(command).expect_status(2);
        let output = output.expect_stderr(&["error: standard output: no space left on device"]);
        assert!(!output.stderr.contains("panicked"));
    }
}

// --- logs that change while they are read -----------------------------------------------------------------------------

/// Enough lines that reading them takes a while: about 100 bytes each.
const MANY: usize = 300_000;

/// Starts the program on `big.log`, waits until it has it open (or mapped), lets `change` loose on it, and tells
/// how it ended.
#[cfg(target_os = "linux")]
pub fn changed_while_read(
    case: &Case,
    arguments: &[&str],
    mapped: bool,
    change: &dyn Fn(),
) -> Output {
    let mut command = case.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let mut child = command.spawn().unwrap();
    let proc = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    let big = fs::canonicalize(case.path("big.log")).unwrap();
    let has_it = || match mapped {
        true => fs::read_to_string(proc.join("maps"))
            .is_ok_and(|maps| maps.contains(&*big.to_string_lossy())),
        false => fs::read_dir(proc.join("fd")).is_ok_and(|files| {
            files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link == big))
        }),
    };
    while child.try_wait().unwrap().is_none() {
        if has_it() {
            change();
            break;
        }
    }
    let output = child.wait_with_output().unwrap();
    case.output(shown, output)
}

/// Truncates a big log under the reader until a run sees it, and asserts what that run says.
#[cfg(target_os = "linux")]
fn shrinks(how: &[&str], mapped: bool, remaining: u64) {
    let big = calls(MANY);
    assert!(big.len() > 16 << 20);
    let case = Case::ready();
    for _ in 0..50 {
        case.write("big.log", &big);
        let truncate = || {
            let file = fs::OpenOptions::new().write(true).open(case.path("big.log")).unwrap();
            file.set_len(remaining).unwrap();
        };
        let arguments = with(&[how, &["logs/good.log", "big.log"]].concat());
        let output = changed_while_read(&case, &arguments, mapped, &truncate);
        assert!(output.status.code().is_some(), "killed by a signal: {output}");
        let report = output.report();
        if input(&report, "big.log")["complete"] == true {
            // Too late, or too early: it was read whole.
            continue;
        }
        assert_eq!(output.status.code(), Some(3));
        if output.stderr.contains("big.log: no format fits its first lines") {
            // Too early in another way: logs of one source are first looked at for copies, and it was cut short
            // between that and being opened to be read. It was no log then, and that is what it is told to be.
            continue;
        }
        partial(&output, &report, "big.log", "shrank");
        // Nothing of it counts; the other log does.
        accounts(&report, &[("lines", 10), ("calls", 10)]);
        let input = input(&report, "big.log");
        for name in ["lines", "calls", "bytes", "gap_bytes", "rejected"] {
            assert_eq!(input[name], 0, "{name}");
        }
        return;
    }
    panic!("no run saw the log shrink");
}

#[test]
#[cfg(target_os = "linux")]
fn a_mapped_log_that_shrinks_is_named_and_not_counted() {
    shrinks(&["--io", "mmap"], true, 5);
    shrinks(&["--io", "mmap", "--digest"], true, 5);
    // Less than a page is lost: no fault of memory tells of it.
    let most = calls(MANY).len() as u64 - 3;
    shrinks(&["--io", "mmap", "--threads", "1", "--chunk-bytes", "100000"], true, most);
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_shrinks_while_it_is_read_is_named_and_not_counted() {
    let how = ["--io", "read", "--threads", "1", "--chunk-bytes", "100000"];
    shrinks(&how, false, 5);
    shrinks(&how, false, calls(MANY).len() as u64 - 3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_shrinks_before_its_format_is_told_is_partial_too() {
    // By itself, so that nothing else keeps the run from failing; at once, so that some runs see it while they look at
    // the first lines.
    let big = calls(MANY);
    let case = Case::with_register();
    let mut seen = false;
    for _ in 0..20 {
        case.write("big.log", &big);
        let truncate = || {
            let file = fs::OpenOptions::new().write(true).open(case.path("big.log")).unwrap();
            file.set_len(5).unwrap();
        };
        let output =
            changed_while_read(&case, &with(&["--io", "mmap", "big.log"]), true, &truncate);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", output.status);
        let report = output.report();
        if output.status.code() == Some(3) {
            partial(&output, &report, "big.log", "shrank");
            accounts(&report, &[]);
            seen = true;
        }
    }
    assert!(seen, "no run saw the log shrink");
}

#[test]
#[cfg(target_os = "linux")]
fn calls_of_a_log_that_shrinks_end_with_status_3() {
    let big = calls(MANY);
    let case = Case::with_register();
    for _ in 0..50 {
        case.write("big.log", &big);
        let truncate = || {
            fs::OpenOptions::new()
                .write(true)
                .open(case.path("big.log"))
                .unwrap()
                .set_len(5)
                .unwrap()
        };
        let arguments =
            ["calls", "--register", "register", "--io", "mmap", "big.log", "--outcome", "failed"];
        let output = changed_while_read(&case, &arguments, true, &truncate);
        assert!(output.status.code().is_some(), "killed by a signal: {output}");
        if output.status.code() == Some(0) {
            continue;
        }
        let _ =
            output.expect_status(3).expect_no_stdout().expect_stderr(&["warning: big.log: shrank"]);
        return;
    }
    panic!("no run saw the log shrink");
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_grows_while_it_is_read_counts_as_it_was() {
    let big = calls(MANY);
    for (how, mapped) in [("mmap", true), ("read", false)] {
        let case = Case::with_register().file("big.log", &big);
        let grow = || {
            let mut file = fs::OpenOptions::new().append(true).open(case.path("big.log")).unwrap();
            file.write_all(calls(1000).as_bytes()).unwrap();
        };
        let output = changed_while_read(&case, &with(&["--io", how, "big.log"]), mapped, &grow);
        let report = output.expect_status(0).report();
        accounts(&report, &[("lines", MANY as u64), ("calls", MANY as u64)]);
        assert_eq!(report["inputs"][0]["bytes"], big.len());
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_is_read_to_its_end() {
    let case = Case::with_register();
    assert!(Command::new("mkfifo").arg(case.path("pipe")).status().unwrap().success());
    let path = case.path("pipe");
    let writer = std::thread::spawn(move || fs::write(path, calls(1000)).unwrap());
    let report = audit(&case, &["--io", "mmap", "pipe"]).expect_status(0).report();
    writer.join().unwrap();
    accounts(&report, &[("lines", 1000), ("calls", 1000)]);
}

#[test]
fn a_report_replaces_nothing_it_is_made_of_and_no_other_report() {
    let case = Case::ready().file("overstay.toml", "[register]\nsource = \"register\"\n");
    let before = case.names();
    for (path, found) in [
        ("register/grants.csv", "a table of the register"),
        ("register/new.csv", "a table of the register"),
        ("register/consents.json", "a table of the register"),
        ("logs/report.json", "where logs are looked for"),
        ("overstay.toml", "the configuration"),
        ("./logs/../overstay.toml", "the configuration"),
        ("logs/good.log", "a log to read"),
    ] {
        let report = format!("json={path}");
        let output =
            case.run(&["audit", "logs", "--report", &report]).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[&format!(
            "error: {path}: found {found}, expected another path for the report"
        )]);
    }
    // The table itself behind a link, and the register that the command line puts aside.
    let behind = case.path("real.csv");
    std::fs::rename(case.path("register/grants.csv"), &behind).unwrap();
    std::os::unix::fs::symlink(&behind, case.path("register/grants.csv")).unwrap();
    let output = case.run(&["audit", "logs", "--report", "json=real.csv"]).expect_status(2);
    output.expect_stderr(&["error: real.csv: found a table of the register"]);
    std::fs::remove_file(case.path("register/grants.csv")).unwrap();
    std::fs::rename(&behind, case.path("register/grants.csv")).unwrap();
    case.write("other/partners.csv", "partner\nacme\n");
    let aside = ["audit", "logs", "--register", "other", "--report", "json=register/apis.csv"];
    let output = case.run(&aside).expect_status(2);
    output.expect_stderr(&["error: register/apis.csv: found a table of the register"]);
    std::fs::remove_dir_all(case.path("other")).unwrap();
    let twice = ["audit", "logs", "--report", "json=r.out", "--report", "terminal=./r.out"];
    let output = case.run(&twice).expect_status(2);
    output.expect_stderr(&["error: ./r.out: found the path of another report"]);
    assert_eq!(case.names(), before);
    case.run(&["audit", "logs", "--report", "json=register/report.json"]).expect_status(0);
}

#[test]
fn a_log_belongs_to_one_source() {
    let logs = |source: &str, paths: &str| {
        format!("[[logs]]\nsource = \"{source}\"\npaths = [\"{paths}\"]\n")
    };
    let register = "[register]\nsource = \"register\"\n";
    let case = Case::ready().file(
        "overstay.toml",
        format!("{register}{}{}", logs("a", "logs/*"), logs("b", "logs/good.log")),
    );
    for arguments in [&["audit"][..], &["audit", "logs/good.log"]] {
        let output = case.run(arguments).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[
            "error: logs/good.log: found in the sources a and b, expected each log in one",
            "hint: ",
        ]);
    }
    let case =
        case.file("overstay.toml", format!("{register}{}{}", logs("a", "-"), logs("b", "-")));
    let output = case.run(&["audit"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: overstay.toml: 6: [[logs]] paths: found `-` in two sources"]);
}

#[test]
fn pieces_have_sizes_that_memory_holds() {
    let case = Case::ready();
    for bytes in ["0", "1073741825", "18446744073709551615"] {
        let audit = ["audit", "--register", "register", "logs", "--chunk-bytes", bytes];
        case.run(&audit).expect_status(2).expect_stderr(&["--chunk-bytes"]);
    }
}

/// What changes nothing is said, or a person would think that it had.
#[test]
fn flags_in_vain_are_named() {
    let case = Case::ready();
    let as_known = ["--register", "register", "logs", "--as-known-at", "2018-06-01"];
    let told =
        "warning: --as-known-at 2018-06-01T00:00:00Z changes nothing: no row of the register";
    for command in ["audit", "calls"] {
        case.run(&[&[command], &as_known[..]].concat()).expect_status(0).expect_stderr(&[told]);
    }
    let typo =
        ["calls", "--register", "register", "logs", "--api", "mesages", "--operation", "raed"];
    let output = case.run(&typo).expect_status(0).expect_no_stdout();
    output.expect_stderr(&[
        "warning: --api mesages: the register has no such word, only logs could name it; did you mean `messages`?",
        "warning: --operation raed: the register has no such word, only logs could name it; did you mean `read`?",
    ]);
}

/// A frame of raw blocks (RFC 8878), whose window is 2 to this power.
fn raw_zstd_frame(content: &[u8], block_bytes: usize, window_log: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    let blocks: Vec<&[u8]> = content.chunks(block_bytes).collect();
    for (i, block) in blocks.iter().enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(i + 1 == blocks.len());
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

/// Blocks larger than a frame may have: such a frame is corrupt wherever it lies, whoever decodes it.
#[test]
fn zstd_blocks_beyond_their_maximum_end_a_log_early() {
    let lines = calls(10).repeat(300);
    for (block_bytes, window_log) in [(200 << 10, 18), (4 << 10, 10)] {
        let good = raw_zstd_frame(calls(10).as_bytes(), 1 << 10, 18);
        let bad = raw_zstd_frame(lines.as_bytes(), block_bytes, window_log);
        for good_before in [1, 30] {
            let log = [good.repeat(good_before), bad.clone(), good.repeat(3)].concat();
            let case = Case::with_register().file("logs/a.zst", log);
            for arguments in [
                &["--threads", "1"][..],
                &["--threads", "7"],
                &["--threads", "1", "--log-format", "json"],
                &["--threads", "7", "--log-format", "json", "--chunk-bytes", "1000"],
            ] {
                let base = ["audit", "--json", "--register", "register", "logs/a.zst"];
                let report = case.run(&[&base, arguments].concat()).expect_status(3).report();
                let reason = report["partial"][0]["reason"].as_str().unwrap();
                assert!(reason.contains("corrupt zstd data"), "{reason}");
                assert_eq!(report["accounting"]["calls"], good_before * 10, "{arguments:?}");
            }
        }
    }
}
