//! Formats whose lines depend on what stands elsewhere in the log, read by the whole program however it cuts them.

use serde_json::{Value, json};

use crate::harness::{Case, gzip, zstd};

const CONFIG: &str = "[formats.w3c]\nkind = \"w3c\"\nat = \"date time\"\nmethod = \"cs-method\"\n\
    path = \"cs-uri-stem\"\nstatus = \"sc-status\"\n\
    [formats.table]\nkind = \"csv\"\nheader = true\nat = \"at\"\npath = \"path\"\nstatus = \"status\"\n\
    [formats.documents]\nkind = \"json-records\"\nrecords = [\"Records\"]\nat = \"when\"\n\
    api = \"service\"\noperation = \"action\"\n";

/// The accounting and the rejects of a log, the same however it is read.
fn read(format: &str, log: &str) -> (Value, Value) {
    let case = Case::new()
        .file("overstay.toml", CONFIG)
        .file("log/x", log)
        .file("gz/x", gzip(log))
        .file("zst/x", zstd(log));
    let report = |arguments: &[&str]| {
        let given = ["audit", "--json", "--max-rejects", "100%", "--log-format", format];
        let mut report = case.run(&[&given, arguments].concat()).expect_status(0).report();
        crate::harness::adds_up(&report);
        for key in ["inputs", "rejects"] {
            let text = report[key].to_string().replace("gz/x", "log/x").replace("zst/x", "log/x");
            report[key] = serde_json::from_str(&text).unwrap();
        }
        report["inputs"][0]["compression"] = Value::Null;
        report
    };
    let whole = report(&["log/x"]);
    for input in ["log/x", "gz/x", "zst/x"] {
        for chunk_bytes in ["1", "7", "100"] {
            for io in ["read", "mmap"] {
                let arguments = [input, "--chunk-bytes", chunk_bytes, "--io", io, "--threads", "2"];
                assert_eq!(report(&arguments), whole, "{arguments:?}");
            }
        }
    }
    (whole["accounting"].clone(), whole["rejects"]["sample"].clone())
}

fn accounting(lines: u64, blank: u64, calls: u64) -> Value {
    json!({
        "lines": lines, "blank": blank, "calls": calls, "rejected": lines - blank - calls,
        "outside_window": 0, "duplicates": 0,
    })
}

#[test]
fn columns_named_by_directives() {
    let log = "before any\r\n#Software: x\r\n#Fields: date time cs-method cs-uri-stem sc-status\r\n\
        2018-12-18 09:30:00 GET /a 200\r\n2018-12-18 09:30:01 GET /b 403\r\nshort\r\n\
        #Fields: time date sc-status cs-uri-stem\r\n09:30:02 2018-12-18 200 /c\r\n";
    let (accounts, rejects) = read("w3c", log);
    assert_eq!(accounts, accounting(8, 3, 3));
    assert_eq!((&rejects[0]["line"], &rejects[1]["line"]), (&json!(1), &json!(6)));
}

#[test]
fn columns_named_by_the_first_line() {
    let log = "\n\u{feff}".replace("\n", "")
        + "at,\"path\",status\n2018-12-18T09:30:00Z,/a,200\n\n\
        2018-12-18T09:30:00Z,\"/b,c\",200\n2018-12-18T09:30:00Z,/d\n";
    let (accounts, rejects) = read("table", &log);
    assert_eq!(accounts, accounting(5, 2, 2));
    assert_eq!(rejects[0]["line"], json!(5));
}

#[test]
fn records_of_documents() {
    let record = |name: &str| {
        format!("{{\"when\":\"2018-12-18T09:30:00Z\",\n \"service\":\"s3\",\"action\":\"{name}\"}}")
    };
    let (a, b, c, d) = (record("a"), record("b"), record("c"), record("d"));
    let log = format!(
        "{{\"Version\":1,\"Records\":[{a},\n{b} , {{\"when\":\"x\"}}]}}\n[{c}]\n{}\n",
        d.replace('\n', "")
    );
    let (accounts, rejects) = read("documents", &log);
    let lines = accounts["lines"].as_u64().unwrap();
    assert_eq!(accounts["calls"], 4);
    assert_eq!(accounts["rejected"], 1);
    assert_eq!(rejects[0]["offset"], json!(log.find("{\"when\":\"x\"").unwrap()));
    assert_eq!(lines - accounts["blank"].as_u64().unwrap(), 5);
}

#[test]
fn a_log_tells_its_kind_itself() {
    let case = Case::new()
        .file("overstay.toml", CONFIG)
        .file("a", "#Fields: date time cs-uri-stem sc-status\n2018-12-18 09:30:00 /a 200\n")
        .file("b", "at,path,status\n2018-12-18T09:30:00Z,/a,200\n")
        .file("c", "{\"Records\":[{\"when\":\"2018-12-18T09:30:00Z\",\"service\":\"s3\"}]}");
    let report = case.run(&["audit", "--json", "a", "b", "c"]).expect_status(0).report();
    let formats: Vec<&str> =
        (0..3).map(|i| report["inputs"][i]["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["w3c", "table", "documents"]);
    assert_eq!(report["accounting"]["calls"], 3);
}

// --- `overstay formats` -------------------------------------------------------------------------------------------------

#[test]
fn formats_are_listed_with_what_they_can_tell() {
    let case = Case::new().file("overstay.toml", CONFIG);
    let output = case.run(&["formats"]).expect_status(0);
    let of = |name: &str| -> Vec<&str> {
        let line = output.stdout.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name}\n{}", output.stdout)).split("  ").collect()
    };
    let told = |name: &str| {
        of(name).into_iter().map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(
        told("common")[..7],
        ["common", "pattern", "yes", "route {user}", "yes", "-", "request"]
    );
    assert_eq!(told("w3c"), ["w3c", "w3c", "-", "-", "yes", "-", "request"]);
    // Where the response's time is all there is, that is said.
    let nginx = "[formats.n]\nkind = \"pattern\"\npattern = '$time_local \"$request\" $request_time'\n\
        [formats.m]\nkind = \"pattern\"\npattern = '$time_local \"$request\"'\n";
    let output = Case::new().file("overstay.toml", nginx).run(&["formats"]).expect_status(0);
    assert!(output.stdout.contains("yes      response, less latency\n"), "{}", output.stdout);
    assert!(
        output
            .stdout
            .lines()
            .any(|line| line.starts_with("m ") && line.ends_with("-        response"))
    );
}

#[test]
fn a_log_tells_which_format_fits_without_showing_anybody() {
    let line = "10.0.0.7 - key-ann-secret [18/Dec/2018:09:30:00 +0000] \"GET /users/u-81 HTTP/1.1\" 200 5\n";
    let case = Case::new()
        .file("x.log", format!("{line}{line}no call\n").repeat(8))
        .file("bad.log", "no\nlog\n");
    let output = case.run(&["formats", "x.log", "--log-format", "common"]).expect_status(0);
    assert!(
        output.stdout.starts_with("x.log: common (pattern): 16 of the first 24 lines are calls\n")
    );
    for told in [
        "\n99.9.9.9 - aaa-aaa-aaaaaa [99/aaa/9999:99:99:99 +9999] \"aaa /aaaaa/a-99 aaaa/9.9\n",
        "\n  credential  …cret\n",
        "\n  path        /users/{id}\n",
        "\n  subject     the route's {user}\n",
        "\n  no call: malformed\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
    for hidden in ["u-81", "secret", "10.0.0.7"] {
        assert!(!output.stdout.contains(hidden), "{hidden}\n{}", output.stdout);
    }
    let output =
        case.run(&["formats", "x.log", "--log-format", "common", "--raw"]).expect_status(0);
    assert!(
        output.stdout.contains("\n  path        /users/u-81\n")
            && output.stdout.contains(line.trim())
    );
    // Too many lines are none: not guessed.
    let output = case.run(&["formats", "x.log"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: x.log: no format fits its first lines\n",
        "the lines look like\n  99.9.9.9 - ",
    ]);
    let output = case.run(&["formats", "bad.log", "--log-format", "json"]).expect_status(2);
    assert!(output.stdout.contains("0 of the first 2 lines"));
    case.run(&["formats", "none.log"])
        .expect_status(2)
        .expect_stderr(&["found 0 logs, expected one"]);
}
