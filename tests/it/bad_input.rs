//! Whatever a log, a register or a command line may be that it should not be: the exit status, the words, the accounts.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Case, Output, call, calls, gzip, zstd};

const AUDIT: [&str; 6] = ["audit", "--json", "--quiet", "--register", "register", "logs"];

fn audit(case: &Case) -> Output {
    case.run(&AUDIT)
}

fn with(extra: &[&str]) -> Vec<String> {
    AUDIT.iter().chain(extra).map(|argument| (*argument).to_owned()).collect()
}

/// Of one reject each line: what the report says of `logs/bad.log` beside the ten good calls.
fn rejected(line: &[u8], reason: &str) {
    let mut log = calls(1000).into_bytes();
    log.extend(line);
    log.push(b'\n');
    log.extend(call(3).bytes());
    let output = audit(&Case::with_register().file("logs/bad.log", log)).expect_status(0);
    let report = output.report();
    assert_eq!(report["accounting"]["calls"], 1001);
    assert_eq!(report["rejects"]["by_reason"][reason], 1);
    let sample = &report["rejects"]["sample"][0];
    assert_eq!(sample["line"], 1001);
    assert_eq!(sample["offset"], calls(1000).len());
    assert_eq!(sample["reason"], reason);
}

#[test]
fn garbage_lines_are_malformed() {
    rejected(b"this is no log line", "malformed");
    rejected(b"{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/x\"", "malformed");
    rejected(b"[1,2]", "malformed");
    rejected(b"{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/x\",\"bytes\":1e}", "malformed");
    rejected(b"{} {}", "malformed");
}

#[test]
fn binary_is_not_utf8() {
    rejected(b"\x80\xff\xfe\x01\x02", "not-utf8");
    rejected(b"\x1f\x8b\x08\x00", "not-utf8");
}

#[test]
fn a_line_without_a_readable_time_has_no_time() {
    rejected(b"{\"path\":\"/messages/u1\"}", "no-time");
    rejected(b"{\"time\":\"yesterday\",\"path\":\"/messages/u1\"}", "no-time");
    rejected(b"{\"time\":\"2018-02-30T00:00:00Z\",\"path\":\"/messages/u1\"}", "no-time");
    rejected(b"{\"time\":\"9999-01-01T00:00:00Z\",\"path\":\"/messages/u1\"}", "no-time");
}

#[test]
fn a_line_without_path_and_api_has_no_target() {
    rejected(b"{\"time\":\"2018-12-18T09:00:00Z\",\"status\":200}", "no-target");
    rejected(b"{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"-\",\"status\":\"x\"}", "no-target");
}

#[test]
fn unreadable_numbers_are_bad_values() {
    for value in [
        "\"status\":99999",
        "\"status\":\"abc\"",
        "\"bytes\":-1",
        "\"bytes\":1.5",
        "\"bytes\":1e400",
    ] {
        let line =
            format!("{{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/messages/u1\",{value}}}");
        rejected(line.as_bytes(), "bad-value");
    }
    rejected(
        b"{\"time\":\"2018-12-18T09:00:00Z\",\"path\":\"/messages/u1\",\"status\":12345678901234567890}",
        "bad-value",
    );
}

#[test]
fn deep_nesting_is_no_crash() {
    rejected("[".repeat(900_000).as_bytes(), "malformed");
    rejected(format!("{{\"a\":{}", "{\"a\":".repeat(100_000)).as_bytes(), "malformed");
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let line = "{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"nobody\",\"path\":\"/messages/u1\",\"method\":\"GET\",\
                \"client_id\":\"key-acme-1\",\"status\":200}\n";
    let output = audit(&Case::with_register().file("logs/twice.log", line)).expect_status(0);
    assert_eq!(output.report()["usage"][0]["verdict"], "granted");
}

/// NULs that copytruncate left are a gap: before a line, after one, alone, and without a newline behind them.
#[test]
fn runs_of_nul_are_gaps() {
    let nuls = |n: usize| "\0".repeat(n);
    let case = Case::with_register()
        .file("logs/a.log", format!("{}{}", nuls(1000), calls(10)))
        .file("logs/b.log", format!("{}{}\n{}", calls(5), nuls(7), calls(5)))
        .file("logs/c.log", format!("{}{}", calls(10), nuls(9)))
        .file("logs/d.log", format!("{}\n{}", calls(9), call(1).replace('\n', "\0\0\n")));
    let report = audit(&case).expect_status(0).report();
    let gaps: Vec<&Value> =
        report["inputs"].as_array().unwrap().iter().map(|i| &i["gap_bytes"]).collect();
    assert_eq!(gaps, [1000, 7, 9, 2]);
    assert_eq!(report["accounting"]["calls"], 40);
    assert_eq!(report["accounting"]["rejected"], 0);
    assert_eq!(report["accounting"]["blank"], 2);
}

#[test]
fn nul_inside_a_line_spoils_it() {
    rejected(b"{\"time\":\"2018-12-18T09:00:00Z\",\0\0\"path\":\"/messages/u1\"}", "malformed");
}

/// A file of nothing but NULs, as long as a day's log: read whichever way, it takes no memory and holds no line.
#[test]
fn a_huge_hole_is_one_gap() {
    let case = Case::with_register().file("logs/hole.log", "");
    let file = fs::OpenOptions::new().write(true).open(case.path("logs/hole.log")).unwrap();
    file.set_len(200 << 20).unwrap();
    for io in ["mmap", "read"] {
        let report = case.run(&with(&["--io", io])).expect_status(0).report();
        assert_eq!(report["accounting"]["lines"], 0);
        assert_eq!(report["inputs"][0]["gap_bytes"], 200 << 20);
    }
}

/// A line of 100 MB, however it is read, is one reject and takes no memory to speak of.
#[test]
fn a_line_of_100_mb_is_too_long() {
    let mut log = calls(500).into_bytes();
    log.resize(log.len() + 100_000_000, b'x');
    log.extend(format!("\n{}", calls(500)).bytes());
    let case = Case::with_register().file("logs/long.log", &log);
    let zipped = Case::with_register().file("logs/long.log.gz", gzip(&log));
    drop(log);
    let check = |output: Output| {
        let report = output.expect_status(0).report();
        assert_eq!(report["accounting"]["calls"], 1000);
        assert_eq!(report["rejects"]["by_reason"]["too-long"], 1);
        assert_eq!(report["rejects"]["sample"][0]["line"], 501);
    };
    check(case.run(&with(&["--io", "mmap"])));
    for (case, io) in [(&case, "read"), (&zipped, "auto")] {
        let mut arguments =
            vec!["-c".to_owned(), "ulimit -v 400000; exec \"$@\"".to_owned(), "sh".to_owned()];
        arguments.push(env!("CARGO_BIN_EXE_overstay").to_owned());
        arguments.extend(with(&["--io", io, "--threads", "2"]));
        check(case.finish(case.tool("sh", &arguments)));
    }
}

#[test]
fn latin_1_is_not_utf8() {
    let log = format!("{}{}", calls(10), call(1).replace("u1", "Ren\u{e9}"));
    let latin_1: Vec<u8> = log.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let output = audit(&Case::with_register().file("logs/latin.log", latin_1));
    // One in eleven is more than 1 %.
    let output =
        output.expect_status(3).expect_stderr(&["logs/latin.log", "1 of 11 lines rejected"]);
    let report = output.report();
    assert_eq!(report["status"], "partial");
    assert_eq!(report["rejects"]["by_reason"]["not-utf8"], 1);
}

#[test]
fn utf_16_is_no_format() {
    let utf_16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(calls(3).encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let case = Case::with_register().file("logs/utf16.log", utf_16);
    audit(&case).expect_status(2).expect_no_stdout().expect_stderr(&[
        "logs/utf16.log",
        "no format fits its first lines",
        "hint: set the format",
    ]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let case = Case::with_register().file("logs/bom.log", format!("\u{feff}{}", calls(3)));
    let report = audit(&case).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 3);
}

/// What comes out of a compressed log before it breaks counts, and the exit status tells of the rest.
fn broken_compression(bytes: Vec<u8>, calls_least: u64, calls_most: u64) {
    let case = Case::with_register().file("logs/cut.log.z", bytes).file("logs/good.log", calls(10));
    let output = audit(&case).expect_status(3).expect_stderr(&["warning: logs/cut.log.z: "]);
    let report = output.report();
    assert_eq!(report["status"], "partial");
    assert_eq!(report["partial"][0]["path"], "logs/cut.log.z");
    let input = &report["inputs"][0];
    assert_eq!(input["complete"], false);
    let read = input["calls"].as_u64().unwrap();
    assert!((calls_least..=calls_most).contains(&read), "{read} calls of the broken log");
    assert_eq!(report["inputs"][1]["calls"], 10);
}

#[test]
fn gzip_cut_short_counts_what_decodes() {
    let whole = gzip(calls(5000));
    broken_compression(whole[..whole.len() - 4].to_vec(), 5000, 5000);
    broken_compression(whole[..whole.len() / 2].to_vec(), 100, 4999);
}

#[test]
fn corrupt_gzip_counts_what_decodes() {
    let first = gzip(calls(100));
    let mut second = gzip(calls(5000));
    let middle = second.len() / 2;
    second[middle..middle + 8].fill(0xff);
    broken_compression([first, second].concat(), 100, 5099);
}

#[test]
fn gzip_with_something_behind_it_says_so() {
    broken_compression([gzip(calls(100)), b"and some text".to_vec()].concat(), 100, 100);
}

#[test]
fn zstd_cut_short_counts_what_decodes() {
    let whole = [zstd(calls(100)), zstd(calls(5000))].concat();
    broken_compression(whole[..whole.len() - 10].to_vec(), 100, 5099);
}

#[test]
fn many_members_and_frames_are_one_log() {
    let case = Case::with_register()
        .file("logs/a", [gzip(calls(10)), gzip(calls(20))].concat())
        .file("logs/b", [zstd(calls(10)), zstd(calls(20))].concat());
    let report = audit(&case).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 60);
    assert_eq!(report["inputs"][0]["compression"], "gzip");
    assert_eq!(report["inputs"][1]["compression"], "zstd");
}

#[test]
fn empty_logs_are_fine() {
    let case = Case::with_register().file("logs/empty", "").file("logs/empty.gz", gzip(""));
    let output = audit(&case).expect_status(0);
    let report = output.report();
    assert_eq!(report["accounting"]["lines"], 0);
    assert_eq!(report["inputs"].as_array().unwrap().len(), 2);
    assert!(report["headline"].as_str().unwrap().starts_with("No calls were read"));
}

#[test]
fn a_folder_without_logs_matches_nothing() {
    let case = Case::with_register();
    fs::create_dir(case.path("logs")).unwrap();
    let told = ["error: logs: matches nothing"];
    audit(&case).expect_status(2).expect_no_stdout().expect_stderr(&told);
}

#[test]
fn a_log_that_is_not_there_matches_nothing() {
    let case = Case::ready();
    for missing in ["nowhere.log", "logs/*.gz"] {
        let output = case.run(&with(&[missing])).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[&format!("error: {missing}: matches nothing")]);
    }
}

#[test]
fn a_url_is_refused() {
    let output = Case::ready().run(&["audit", "s3://bucket/access.log"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["no URLs", "hint: "]);
}

#[test]
#[cfg(unix)]
fn an_unreadable_log_among_good_ones_makes_the_report_partial() {
    let case = Case::ready();
    std::os::unix::fs::symlink("gone", case.path("logs/dangling.log")).unwrap();
    let output = audit(&case).expect_status(3).expect_stderr(&["warning: logs/dangling.log: "]);
    let report = output.report();
    assert_eq!(report["partial"][0]["path"], "logs/dangling.log");
    assert_eq!(report["accounting"]["calls"], 10);
    assert!(report["headline"].as_str().unwrap().contains("PARTIAL"));
}

#[test]
#[cfg(unix)]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn a_log_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::ready().file("logs/secret.log", calls(1));
    let secret = case.path("logs/secret.log");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::File::open(&secret).is_ok() {
        eprintln!("skipped: to root every file is readable");
        return;
    }
    let output = audit(&case).expect_status(3);
    output.expect_stderr(&["warning: logs/secret.log: permission denied"]);
}

#[test]
#[cfg(unix)]
fn without_any_readable_log_there_is_no_report() {
    let case = Case::with_register();
    fs::create_dir(case.path("logs")).unwrap();
    std::os::unix::fs::symlink("gone", case.path("logs/dangling.log")).unwrap();
    audit(&case)
        .expect_status(2)
        .expect_no_stdout()
        .expect_stderr(&["error: no input could be read", "logs/dangling.log"]);
}

#[test]
fn a_config_pattern_that_matches_nothing_makes_the_report_partial() {
    let config = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"logs/*.log\"]\n\
                  [[logs]]\nsource = \"b\"\npaths = [\"elsewhere/*.log\"]\n";
    let output =
        Case::ready().file("overstay.toml", config).run(&["audit", "--json"]).expect_status(3);
    let report = output.report();
    assert_eq!(report["partial"][0]["path"], "elsewhere/*.log");
    assert_eq!(report["coverage"]["sources"][1]["calls"], 0);
}

#[test]
fn a_log_in_two_sources_is_refused() {
    let config = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"logs/*.log\"]\n\
                  [[logs]]\nsource = \"b\"\npaths = [\"logs/good.log\"]\n";
    let output = Case::ready().file("overstay.toml", config).run(&["audit"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["logs/good.log", "sources a and b", "count twice"]);
}

/// The same log by two names of one pattern counts once.
#[test]
fn a_log_named_twice_counts_once() {
    let output = Case::ready().run(&with(&["logs/good.log", "logs/*"])).expect_status(0);
    assert_eq!(output.report()["accounting"]["calls"], 10);
}

#[test]
fn a_broken_register_is_refused_with_every_problem() {
    let case = Case::ready()
        .file("register/partners.csv", "partner,nam\nacme,Acme\nglobex,Globex\n")
        .file(
            "register/credentials.csv",
            "credential,partner,valid_from,valid_until\nkey-acme-1,acme,2018-01-01,2018-06-01\n\
             key-acme-1,acme,2018-03-01,\nkey-globex-2,nobody,,\n",
        )
        .file("register/apis.csv", "api,dormant_since\nmessages,soon\n")
        .file("register/routes.csv", "path,api\n/messages/{user},messages\n/messages/{other},messages\n")
        .file(
            "register/grants.csv",
            "grant,partner,api,operations,granted_at,revoked_at\ng1,acme,messages,read,2018-01-01,2017-01-01\n\
             g2,acme,mesages,read,,\n",
        );
    let problems = [
        "partners.csv: 1: ",
        "\"nam\"",
        "\"name\"",
        "credentials.csv: 3: valid_from: ",
        "credentials.csv: 4: partner: ",
        "apis.csv: 2: dormant_since: ",
        "routes.csv: 3: path: ",
        "grants.csv: 2: revoked_at: ",
        "grants.csv: 3: api: ",
    ];
    audit(&case).expect_status(2).expect_no_stdout().expect_stderr(&problems);
    let checked = case.run(&["check", "--register", "register"]).expect_status(2);
    for problem in problems {
        assert!(checked.stdout.contains(problem), "{problem}");
    }
}

#[test]
fn a_register_that_is_not_there_is_named() {
    let case = Case::new().file("logs/good.log", calls(1));
    audit(&case).expect_status(2).expect_no_stdout().expect_stderr(&["error: register"]);
}

#[test]
fn a_needed_table_that_is_missing_is_named() {
    let case = Case::ready();
    fs::remove_file(case.path("register/grants.csv")).unwrap();
    audit(&case).expect_status(2).expect_no_stdout().expect_stderr(&["grants"]);
}

#[test]
fn a_config_that_does_not_fit_is_told_with_its_place() {
    let tell = |config: &str, texts: &[&str]| {
        let case = Case::ready().file("overstay.toml", config);
        case.run(&["audit"]).expect_status(2).expect_no_stdout().expect_stderr(texts);
    };
    tell("[register\n", &["error: overstay.toml: 1: 10: "]);
    tell("\n[regster]\n", &["overstay.toml: 2: 2: ", "regster", "register"]);
    tell("[[logs]]\nsource = \"a\"\npath = [\"x\"]\n", &["overstay.toml: 3: 1: ", "`path`"]);
    tell(
        "[[logs]]\nsource = \"a\"\npaths = [\"logs/*\"]\nformat = \"jsn\"\n",
        &["format: found `jsn`", "hint: did you mean `json`?"],
    );
    tell(
        "[formats.x]\nkind = \"json\"\nat = \"t\"\npth = \"p\"\n",
        &["[formats.x]", "pth", "`path`"],
    );
    tell(
        "[severity]\nafter-revoked = \"high\"\n[[logs]]\nsource=\"a\"\npaths=[\"logs/*\"]",
        &["after-revoked"],
    );
    tell(
        "[[suppress]]\nkind = \"open\"\nowner = \"x\"\nreason = \"y\"\nuntil = \"2020-01-01\"\n[[logs]]\nsource=\"a\"\npaths=[\"logs/*\"]",
        &["open"],
    );
    tell("[[logs]]\nsource=\"a\"\npaths=[\"logs/*\"]\ndedupe = true\n", &["dedupe", "hint: "]);
}

#[test]
fn wrong_usage_is_2_and_writes_nothing() {
    let wrong = [
        (vec!["--since", "soon"], "--since: found `soon`"),
        (vec!["--since", "2019-01-01", "--until", "2018-01-01"], "is not before"),
        (vec!["--max-rejects", "many"], "--max-rejects: found `many`"),
        (vec!["--max-rejects", "101%"], "--max-rejects"),
        (vec!["--fail-on", "severe"], "--fail-on: found `severe`"),
        (vec!["--report", "pdf"], "--report: found `pdf`"),
        (vec!["--report", "json="], "found no path"),
        (vec!["--report", "terminal"], "two reports to standard output"),
        (vec!["--log-format", "combine"], "did you mean `combined`?"),
        (vec!["--threads", "100000"], "1..=1024"),
        (vec!["--threads", "0"], "1..=1024"),
        (vec!["--config", "nowhere.toml"], "nowhere.toml"),
        (vec!["--frobnicate"], "--frobnicate"),
    ];
    let case = Case::ready();
    for (extra, told) in wrong {
        case.run(&with(&extra)).expect_status(2).expect_no_stdout().expect_stderr(&[told]);
    }
}

/// 1 % of calls and counted rejects is tolerated, more is not; `no-target` does not count; each input for itself.
#[test]
fn rejects_past_the_limit_make_the_report_partial() {
    let log = |calls: usize, bad: usize, scans: usize| {
        let scan = "{\"time\":\"2018-12-18T09:00:00Z\",\"status\":400}\n";
        format!("{}{}{}", self::calls(calls), "bad\n".repeat(bad), scan.repeat(scans))
    };
    let at_limit = Case::with_register().file("logs/a", log(99, 1, 50));
    audit(&at_limit).expect_status(0);
    let past = Case::with_register().file("logs/a", log(98, 1, 0)).file("logs/b", log(5000, 0, 0));
    let output = audit(&past).expect_status(3).expect_stderr(&["logs/a: 1 of 99 lines rejected"]);
    let report = output.report();
    assert_eq!(report["partial"].as_array().unwrap().len(), 1);
    assert_eq!(report["inputs"][0]["complete"], true);
    past.run(&with(&["--max-rejects", "1"])).expect_status(0);
    past.run(&with(&["--max-rejects", "0"])).expect_status(3);
    past.run(&with(&["--max-rejects", "2%"])).expect_status(0);
    // 3 wins over 1.
    past.run(&with(&["--fail-on", "info"])).expect_status(3);
}

#[test]
fn a_log_of_no_known_format_is_named_with_what_it_looks_like() {
    let case = Case::ready().file("logs/odd.txt", "one 22 three\n".repeat(5));
    let output = audit(&case).expect_status(3);
    let output = output.expect_stderr(&["logs/odd.txt: no format fits", "`aaa 99 aaaaa`"]);
    let report = output.report();
    assert_eq!(report["inputs"][1]["complete"], false);
    assert_eq!(report["inputs"][1]["format"], Value::Null);
    case.run(&["audit", "logs/odd.txt"])
        .expect_status(2)
        .expect_no_stdout()
        .expect_stderr(&["hint: "]);
}

#[test]
fn a_report_that_cannot_be_written_leaves_nothing_behind() {
    let case = Case::ready().file("old.json", "old");
    let names = case.names();
    case.run(&["audit", "logs", "--report", "json=nowhere/report.json"])
        .expect_status(2)
        .expect_stderr(&["nowhere/report.json", "hint: "]);
    assert_eq!(case.names(), names);
    fs::create_dir(case.path("folder")).unwrap();
    case.run(&["audit", "logs", "--report", "json=folder"]).expect_status(2);
    case.run(&["audit", "nothing", "--report", "json=old.json"]).expect_status(2);
    assert_eq!(case.names(), names);
    assert_eq!(case.read("old.json"), "old");
}

/// Whoever reads the pipe has seen enough: no failure, and no word of one.
#[test]
fn a_closed_pipe_is_success() {
    let case = Case::with_register().file("logs/good.log", calls(50_000));
    for arguments in [vec!["calls", "--quiet", "--register", "register", "logs"], AUDIT.to_vec()] {
        let mut command = case.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

/// A big log, of which nobody knows how far it was read when it is cut.
fn truncated_while_read(io: &str) {
    let big = calls(1000).repeat(200);
    let mut seen = false;
    for attempt in 0..40 {
        let case =
            Case::with_register().file("logs/big.log", &big).file("logs/good.log", calls(10));
        // One line a piece, so that reading takes longer than it takes to cut the log.
        let command =
            &mut case.command(&with(&["--io", io, "--chunk-bytes", "1", "--threads", "2"]));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(20 + attempt * 7));
        let file = fs::OpenOptions::new().write(true).open(case.path("logs/big.log")).unwrap();
        file.set_len(1000).unwrap();
        let output = child.wait_with_output().unwrap();
        let output = case.output(format!("audit --io {io}, cut after {attempt}"), output);
        match output.status.code() {
            Some(0) => continue,
            Some(3) => {}
            other => panic!("the program ended with {other:?}"),
        }
        let report = output.report();
        assert_eq!(report["partial"][0]["path"], "logs/big.log");
        assert_eq!(report["inputs"][0]["calls"], 0);
        assert_eq!(report["accounting"]["calls"], 10);
        output.expect_stderr(&["warning: logs/big.log: "]);
        seen = true;
        break;
    }
    assert!(seen, "the log was never cut while it was read");
}

#[test]
fn a_mapped_log_that_shrinks_is_named_and_nothing_of_it_counts() {
    truncated_while_read("mmap");
}

#[test]
fn a_log_that_shrinks_while_it_is_read_is_named_and_nothing_of_it_counts() {
    truncated_while_read("read");
}

/// What is appended while a log is read waits for the next run.
#[test]
fn a_log_that_grows_is_read_as_it_was() {
    let case = Case::with_register().file("logs/big.log", calls(1000).repeat(100));
    let mut command = case.command(&with(&["--chunk-bytes", "1", "--threads", "1"]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let path = case.path("logs/big.log");
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    for _ in 0..50 {
        file.write_all(calls(10).as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    let output = case.output("audit while it grows".to_owned(), child.wait_with_output().unwrap());
    let read = output.expect_status(0).report()["accounting"]["calls"].as_u64().unwrap();
    assert!((100_000..=100_500).contains(&read), "{read} calls");
}
