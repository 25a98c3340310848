//! Records and files that were delivered twice.

use serde_json::Value;

use crate::harness::{Case, Output, calls, gzip, zstd};

/// One call of `globex` after its revocation, with this id and person.
fn record(id: &str, who: &str) -> String {
    format!(
        "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"key-globex-2\",\"method\":\"GET\",\
         \"path\":\"/messages/{who}\",\"status\":200,\"request_id\":\"{id}\"}}\n"
    )
}

fn config(dedupe: &str) -> String {
    format!(
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"a\"]\nformat = \"json\"\n{dedupe}\n\
         [[logs]]\nsource = \"b\"\npaths = [\"b\"]\nformat = \"json\"\n{dedupe}\n"
    )
}

fn audit(case: &Case, arguments: &[&str]) -> Value {
    case.run(&[&["audit", "--json"], arguments].concat()).expect_status(0).report()
}

/// Calls and duplicates of each input, by path.
fn counts(report: &Value) -> Vec<(String, u64, u64)> {
    let rows = report["inputs"].as_array().unwrap().iter();
    rows.map(|row| {
        let number = |name: &str| row[name].as_u64().unwrap();
        (row["path"].as_str().unwrap().to_owned(), number("calls"), number("duplicates"))
    })
    .collect()
}

#[test]
fn of_records_that_are_equal_the_first_by_place_counts() {
    let [one, two, three] = ["u1", "u2", "u3"].map(|who| record(&format!("r-{who}"), who));
    let other = one.replace("\"status\":200", "\"status\":201");
    let nameless = one.replace(",\"request_id\":\"r-u1\"", "");
    let case = Case::with_register()
        .file("overstay.toml", config("dedupe = true"))
        // Of three equal ones the first lies in the first file, though another comes earlier in its own.
        .file("a/1.log", format!("{three}{one}{one}"))
        .file("a/2.log", format!("{one}{two}{other}{nameless}{nameless}"))
        // Another source has records of its own.
        .file("b/1.log", format!("{one}{one}"));
    let row = |path: &str, calls, duplicates| (path.to_owned(), calls, duplicates);
    for arguments in
        [&["--threads", "1"][..], &["--threads", "4", "--chunk-bytes", "1"], &["--io", "mmap"]]
    {
        let report = audit(&case, arguments);
        assert_eq!(
            counts(&report),
            [row("a/1.log", 2, 1), row("a/2.log", 4, 1), row("b/1.log", 1, 1)],
            "{arguments:?}"
        );
        assert_eq!(report["accounting"]["calls"], 7);
        assert_eq!(report["accounting"]["duplicates"], 3);
        let evidence = report["findings"][0]["evidence"].as_array().unwrap();
        let places: Vec<_> = evidence
            .iter()
            .map(|e| (e["path"].as_str().unwrap(), e["offset"].as_u64().unwrap()))
            .collect();
        let length = one.len() as u64;
        assert_eq!(
            places,
            [
                ("a/1.log", 0),
                ("a/1.log", length),
                ("a/2.log", length),
                ("a/2.log", 3 * length),
                ("a/2.log", 3 * length + nameless.len() as u64),
                ("b/1.log", 0),
            ]
        );
    }
    let printed = case.run(&["calls"]).expect_status(0).json_lines();
    assert_eq!(printed.len(), 7);
    let report = audit(&case, &[]);
    let id = report["findings"][0]["id"].as_str().unwrap();
    assert_eq!(case.run(&["calls", "--finding", id]).expect_status(0).json_lines().len(), 7);
    // Not asked for, all count.
    case.write("overstay.toml", config(""));
    assert_eq!(audit(&case, &[])["accounting"]["calls"], 10);
}

const TRAIL: &str = r#"{"Records":[{"eventVersion":"1.05","eventTime":"2018-12-18T09:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1","userAgent":"x","userIdentity":{"type":"IAMUser","accessKeyId":"AKIAEXAMPLE"},"eventID":"e-1","eventType":"AwsApiCall"},
{"eventVersion":"1.05","eventTime":"2018-12-18T09:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1","userAgent":"x","userIdentity":{"type":"IAMUser","accessKeyId":"AKIAEXAMPLE"},"eventID":"e-1","eventType":"AwsApiCall","additionalEventData":{"x":1}}]}"#;

/// CloudTrail delivers at least once: there it is the default, also of a stream, which can be read but once.
#[test]
fn cloudtrail_is_rid_of_repeats_without_being_asked() {
    let case = Case::new().file("trail.json", TRAIL).file("trail.json.gz", gzip(TRAIL));
    let report = audit(&case, &["trail.json"]);
    assert_eq!(counts(&report), [("trail.json".to_owned(), 1, 1)]);
    for stream in
        [gzip(TRAIL), zstd(TRAIL), TRAIL.into(), format!("\u{feff}\0\0{TRAIL}").into_bytes()]
    {
        for format in ["auto", "aws-cloudtrail"] {
            let arguments = ["audit", "--json", "--digest", "--log-format", format, "-"];
            let streamed = case.run_with_input(&arguments, &stream).expect_status(0).report();
            assert_eq!(counts(&streamed), [("-".to_owned(), 1, 1)], "{streamed}");
            let input = &streamed["inputs"][0];
            assert_eq!(input["digest"], blake3::hash(&stream).to_hex().as_str());
            let compression = match stream[0] {
                0x1f => Value::from("gzip"),
                0x28 => Value::from("zstd"),
                _ => Value::Null,
            };
            assert_eq!(input["compression"], compression);
        }
    }
    // A stream that ends early is told so, though it was kept.
    let whole = gzip(TRAIL.repeat(50));
    let arguments = ["audit", "--json", "--log-format", "aws-cloudtrail", "-"];
    let output = case.run_with_input(&arguments, &whole[..whole.len() - 9]).expect_status(3);
    output.expect_stderr(&["ended early"]);
    let source = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"t\"\npaths = [\"trail.json\"]\ndedupe = false\n";
    let case = Case::with_register().file("trail.json", TRAIL).file("overstay.toml", source);
    assert_eq!(counts(&audit(&case, &[])), [("trail.json".to_owned(), 2, 0)]);
}

#[test]
fn files_with_the_same_content_count_once() {
    let log = format!("{}\nno call\n", calls(12));
    let short = calls(2);
    let case = Case::with_register()
        .file("logs/a.log", &log)
        .file("logs/a.log.gz", gzip(&log))
        .file("logs/a.log.zst", zstd(&log))
        .file("logs/longer.log", format!("{log}{}", calls(1)))
        .file("logs/short.log", &short)
        .file("logs/short.log.gz", gzip(&short));
    let arguments =
        ["audit", "--json", "--register", "register", "--max-rejects", "1", "--digest", "logs"];
    let output = case.run(&arguments).expect_status(0).expect_stderr(&[
        "logs/a.log.gz has the same content as logs/a.log: counted once",
        "logs/a.log.zst has the same content as logs/a.log: counted once",
    ]);
    let report = output.report();
    let row = |path: &str, calls, duplicates| (path.to_owned(), calls, duplicates);
    assert_eq!(
        counts(&report),
        [
            row("logs/a.log", 12, 0),
            row("logs/a.log.gz", 0, 13),
            row("logs/a.log.zst", 0, 13),
            row("logs/longer.log", 13, 0),
            // Too short to be told from one that is alike by chance.
            row("logs/short.log", 2, 0),
            row("logs/short.log.gz", 2, 0),
        ]
    );
    let copy = &report["inputs"][1];
    assert_eq!(copy["repeats"], "logs/a.log");
    assert_eq!(
        (&copy["lines"], &copy["blank"], &copy["rejected"]),
        (&14.into(), &1.into(), &0.into())
    );
    assert_eq!(copy["compression"], "gzip");
    assert_eq!(copy["digest"], blake3::hash(&gzip(&log)).to_hex().as_str());
    assert!(copy["first"].is_null());
    assert!(report["inputs"][0]["repeats"].is_null());
    let shown = case.run(&["audit", "--register", "register", "--max-rejects", "1", "logs"]);
    let shown = shown.expect_status(0);
    assert!(shown.stdout.contains("26 repeats, 2 inputs that repeat others"), "{}", shown.stdout);
    let printed: Output =
        case.run(&["calls", "--register", "register", "--max-rejects", "1", "logs"]);
    assert_eq!(printed.expect_status(0).json_lines().len(), 12 + 13 + 4);
}

/// In two sources they are two logs that happen to be equal: two hosts with one call each.
#[test]
fn equal_files_of_two_sources_count_twice() {
    let log = calls(20);
    let case = Case::with_register()
        .file("overstay.toml", config(""))
        .file("a/x.log", &log)
        .file("b/x.log", &log);
    assert_eq!(audit(&case, &[])["accounting"]["calls"], 40);
}

/// Logs that are rotated between looking for repeats and counting: what would be missed is told.
#[cfg(unix)]
#[test]
fn a_log_that_becomes_another_meanwhile_is_no_all_clear() {
    let lines = |from: usize, until: usize| -> String {
        (from..until).map(|n| record(&format!("r-{n}"), "u1")).collect()
    };
    let config = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"access.log\", \"access.log.1\", \"grown.log\", \"pipe\"]\nformat = \"json\"\ndedupe = true\n";
    let case = Case::with_register()
        .file("overstay.toml", config)
        .file("access.log", lines(100, 200))
        .file("access.log.1", lines(0, 100))
        .file("grown.log", lines(300, 310));
    assert!(case.tool("mkfifo", &["pipe"]).status().unwrap().success());
    let mut command = case.command(&["audit", "--json", "--threads", "1"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let mut pipe = std::fs::OpenOptions::new().write(true).open(case.path("pipe")).unwrap();
    std::io::Write::write_all(&mut pipe, lines(400, 401).as_bytes()).unwrap();
    // The pipe comes last: by now all others were looked at.
    std::thread::sleep(std::time::Duration::from_secs(1));
    std::fs::rename(case.path("access.log"), case.path("access.log.2")).unwrap();
    std::fs::rename(case.path("access.log.2"), case.path("access.log.1")).unwrap();
    case.write("access.log", lines(200, 205));
    case.write("grown.log", lines(300, 310) + &lines(400, 401));
    drop(pipe);
    let output = case.output("audit".to_owned(), child.wait_with_output().unwrap());
    let report = output.expect_status(3).report();
    let partial = report["partial"].as_array().unwrap();
    let paths: Vec<&str> = partial.iter().map(|p| p["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["access.log", "access.log.1"]);
    assert!(partial[0]["reason"].as_str().unwrap().contains("run again"), "{partial:?}");
    // What was only added to is read as it was.
    let of = |path: &str| counts(&report).into_iter().find(|row| row.0 == path).unwrap();
    assert_eq!(of("grown.log"), ("grown.log".to_owned(), 10, 0));
    assert_eq!(of("pipe"), ("pipe".to_owned(), 1, 0));
}

#[test]
fn records_without_ids_are_not_compared_in_silence() {
    let log = "192.0.2.1 - key-globex-2 [18/Dec/2018:09:00:00 +0000] \"GET /messages/u1 HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    let config = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"a\"]\ndedupe = true\n";
    let case = Case::with_register().file("overstay.toml", config).file("a/1.log", log.repeat(2));
    let output = case.run(&["audit", "--json"]).expect_status(0);
    assert_eq!(output.report()["accounting"]["calls"], 2);
    output.expect_stderr(&[
        "source a: `dedupe = true` finds no repeats: format combined maps no request_id",
    ]);
}
