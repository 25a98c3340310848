//! Runs that keep state, at their edges: what changes between two nights beside the logs, and what no night can know.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::harness::{Case, Output, gzip, zstd};

const CONFIG: &str = "[register]\nsource = \"register\"\n[[logs]]\nsource = \"core\"\npaths = [\"logs/*\"]\nformat = \"json\"\n";

/// A call of a day of December 2018, `18T09:00`, by the holder of a key.
fn call(at: &str, key: &str) -> String {
    format!(
        "{{\"time\":\"2018-12-{at}:00Z\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"/messages/ann\",\"status\":200}}\n"
    )
}

/// A call in order.
fn good(at: &str) -> String {
    call(at, "key-acme-1")
}

fn case(config: &str) -> Case {
    Case::with_register().file("overstay.toml", config)
}

fn append(case: &Case, name: &str, lines: impl AsRef<[u8]>) {
    let path = case.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(lines.as_ref()).unwrap();
}

/// The run at 02:00 of a day of December 2018.
fn night(case: &Case, day: u32) -> Output {
    let run_at = format!("2018-12-{day:02}T02:00:00Z");
    case.run(&["nightly", "--json", "--run-at", &run_at])
}

/// What it reports, if nothing went wrong.
fn nightly(case: &Case, day: u32) -> Value {
    night(case, day).expect_status(0).report()
}

#[test]
fn of_a_day_that_is_no_longer_kept_no_count_is_made_up() {
    let case = case(&format!("{CONFIG}[state]\nkeep_days = 2\n[privacy]\nkey_file = \"k\"\n"));
    append(&case, "logs/a.log", [good("15T09:00"), good("15T10:00")].concat());
    let first = nightly(&case, 16);
    let of = |day: &str, revision: u64, calls: Value, added: u64| json!({"day": day, "revision": revision, "calls": calls, "added": added});
    assert_eq!(first["nightly"]["days"], json!([of("2018-12-15", 1, 2.into(), 2)]));
    append(&case, "logs/a.log", good("18T09:00"));
    nightly(&case, 19);
    // Of the 15th there were two calls, of which no run knows any more.
    append(&case, "logs/a.log", [good("15T11:00"), good("18T10:00")].concat());
    let late = nightly(&case, 20);
    let expected = [of("2018-12-15", 1, Value::Null, 1), of("2018-12-18", 2, 2.into(), 1)];
    assert_eq!(late["nightly"]["days"], json!(expected));
    assert_eq!(late["accounting"]["calls"], 2);
    let shown = case.read("reports/runs/000003/report.md");
    assert!(shown.contains("| `2018-12-15` | 1 | - | 1 |"), "{shown}");
}

/// One of two sources that log ids of their records.
fn source(name: &str, dedupe: &str) -> String {
    format!("[[logs]]\nsource = \"{name}\"\npaths = [\"{name}/*\"]\nformat = \"json\"\n{dedupe}\n")
}

/// A call in order with an id.
fn record(at: &str, id: &str) -> String {
    good(at).replace('}', &format!(",\"request_id\":\"{id}\"}}"))
}

/// Calls, duplicates, and calls of which nobody knows whether they repeat others, of the one log of a source.
fn repeats(report: &Value, source: &str) -> [u64; 3] {
    let inputs = report["inputs"].as_array().unwrap();
    let input = inputs.iter().find(|input| input["source"] == source).unwrap();
    ["calls", "duplicates", "repeats_unchecked"].map(|key| input[key].as_u64().unwrap())
}

#[test]
fn calls_that_may_repeat_what_was_counted_before_repeats_were_sought_are_told() {
    let config = |core: &str| {
        let (core, edge) = (source("core", core), source("edge", "dedupe = true"));
        format!("[register]\nsource = \"register\"\n{core}{edge}")
    };
    let case = case(&config(""));
    append(&case, "core/a.log", [record("17T09:00", "r1"), record("17T09:01", "r2")].concat());
    append(&case, "edge/a.log", record("17T09:00", "r1"));
    nightly(&case, 18);

    case.write("overstay.toml", config("dedupe = true"));
    let core = [
        // It was counted, and nobody knows any more; these were not, and nobody knows that either.
        record("17T09:00", "r1"),
        record("17T10:00", "r3"),
        record("17T10:00", "r3"),
        // Of a call without an id nobody asks, and of the next day all are known.
        good("17T09:00"),
        record("18T09:00", "r4"),
    ];
    append(&case, "core/a.log", core.concat());
    append(&case, "edge/a.log", [record("17T09:00", "r1"), record("17T09:05", "r5")].concat());
    let report = nightly(&case, 19);
    assert_eq!(repeats(&report, "core"), [4, 1, 2]);
    assert_eq!(repeats(&report, "edge"), [1, 1, 0]);

    // What was noted since is known.
    let core = [record("17T10:00", "r3"), record("17T10:01", "r6"), record("18T09:00", "r4")];
    append(&case, "core/a.log", core.concat());
    let report = nightly(&case, 20);
    assert_eq!(repeats(&report, "core"), [1, 2, 1]);

    // Not sought for a night: of the days of its calls, some are not known from then on.
    case.write("overstay.toml", config("dedupe = false"));
    append(&case, "core/a.log", record("18T10:00", "r7"));
    let report = nightly(&case, 21);
    assert_eq!(repeats(&report, "core"), [1, 0, 0]);
    case.write("overstay.toml", config("dedupe = true"));
    let core = [record("18T09:00", "r4"), record("18T10:00", "r7"), record("20T10:00", "r8")];
    append(&case, "core/a.log", core.concat());
    let report = nightly(&case, 22);
    assert_eq!(repeats(&report, "core"), [2, 1, 1]);

    // The days' reports say the same. (Repeats have no day; they are filed with the last call.)
    let day = |day: &str, revision: u64| -> (u64, u64) {
        let report = case.read(&format!("reports/{day}/rev-{revision}.json"));
        let [calls, _, unchecked] = repeats(&serde_json::from_str(&report).unwrap(), "core");
        (calls, unchecked)
    };
    assert_eq!(day("2018-12-17", 3), (2 + 3 + 1, 2 + 1));
    assert_eq!(day("2018-12-18", 3), (1 + 1 + 1, 1));
}

#[test]
fn calls_of_a_day_that_is_kept_no_longer_may_repeat_others() {
    let logs = source("core", "dedupe = true");
    let config = format!("[register]\nsource = \"register\"\n{logs}[state]\nkeep_days = 2\n");
    let case = case(&config);
    append(&case, "core/a.log", record("15T09:00", "r1"));
    assert_eq!(repeats(&nightly(&case, 16), "core"), [1, 0, 0]);
    append(&case, "core/a.log", record("18T09:00", "r2"));
    assert_eq!(repeats(&nightly(&case, 19), "core"), [1, 0, 0]);
    // The second is of a day that nothing was ever counted of.
    append(&case, "core/a.log", [record("15T09:00", "r1"), record("14T09:00", "r3")].concat());
    assert_eq!(repeats(&nightly(&case, 20), "core"), [2, 0, 1]);
}

#[test]
fn a_change_of_the_propagation_is_one_of_what_is_judged_by() {
    let config = |propagation_s: u64| {
        CONFIG.replace("[[logs]]", &format!("propagation_s = {propagation_s}\n[[logs]]"))
    };
    let grants = "grant,partner,api,operations,granted_at,revoked_at\n\
                  g-acme,acme,messages,read,2018-01-01,\n\
                  g-globex,globex,messages,read,2018-01-01,2018-12-15T09:00:00Z\n";
    let credentials = "credential,partner,valid_until\n\
                       key-acme-1,acme,\nkey-acme-old,acme,2018-12-16T09:00:00Z\nkey-globex-2,globex,\n";
    let case = case(&config(0))
        .file("register/grants.csv", grants)
        .file("register/credentials.csv", credentials);
    let calls = [
        // A minute after the revocation, and half an hour; and by a credential that had been replaced.
        call("15T09:01", "key-globex-2"),
        call("15T09:30", "key-globex-2"),
        call("16T09:01", "key-acme-old"),
        call("16T09:30", "key-acme-old"),
        good("15T09:01"),
        good("16T09:01"),
        good("17T09:00"),
        call("17T09:00", "key-globex-2"),
    ];
    append(&case, "logs/a.log", calls.concat());
    let first = nightly(&case, 18);
    assert_eq!(first["nightly"]["register_change"], Value::Null);
    let affected = |partner: &str, calls: u64| json!({"partner": partner, "api": "messages", "operation": "read", "calls": calls});
    let change = |before: Value| {
        json!({
            "from": first["register"]["digest"],
            "from_propagation_s": before,
            "days": ["2018-12-15", "2018-12-16"],
            // All calls of that kind on those days: their sums can't be told apart.
            "affected": [affected("acme", 2), affected("globex", 2)],
            "tables": [],
        })
    };

    case.write("overstay.toml", config(120));
    let told = "warning: propagation_s has changed since the last run: verdicts are those of the registers that calls were judged by";
    drop(case.run(&["report"]).expect_status(0).expect_stderr(&[told]));
    let second = nightly(&case, 19);
    assert_eq!(second["register"], first["register"]);
    assert_eq!(second["nightly"]["register_change"], change(0.into()));
    let shown = case.read("reports/runs/000002/report.md");
    let told = "propagation\\_s changed from 0: verdicts of 2 days may be others now (2018-12-15 … 2018-12-16)";
    assert!(shown.contains(told), "{shown}");
    assert_eq!(nightly(&case, 20)["nightly"]["register_change"], Value::Null);
    let days = "2 days of this time were judged by an earlier register or propagation_s, and what run 3 judged by may say otherwise of them: 2018-12-15, 2018-12-16";
    assert_eq!(case.run(&["report"]).expect_status(0).stderr, touched_warning(days));

    // Likewise where an api says so itself: then it is the register that changed. It says what the days were judged by.
    case.write("register/apis.csv", "api,name,propagation_s\nmessages,Messages,0\n");
    let again = nightly(&case, 21);
    assert_ne!(again["register"]["digest"], first["register"]["digest"]);
    let mut none = change(Value::Null);
    (none["days"], none["affected"]) = (json!([]), json!([]));
    assert_eq!(again["nightly"]["register_change"], none);
    assert_eq!(case.run(&["report"]).expect_status(0).stderr, "");
    case.write("register/apis.csv", "api,name,propagation_s\nmessages,Messages,120\n");
    let mut again_otherwise = change(Value::Null);
    again_otherwise["from"] = again["register"]["digest"].clone();
    assert_eq!(nightly(&case, 22)["nightly"]["register_change"], again_otherwise);
}

#[test]
fn a_call_from_the_future_is_no_end_of_what_is_looked_at() {
    let config = format!(
        "{CONFIG}[[suppress]]\nkind = \"after-revocation\"\npartner = \"globex\"\napi = \"messages\"\n\
         owner = \"governance\"\nreason = \"wind-down\"\nuntil = \"2019-03-31\"\n"
    );
    // A grant whose certification lapses in years.
    let grants = "grant,partner,api,operations,granted_at,revoked_at,certified_until\n\
                  g-acme,acme,messages,read,2018-01-01,,2030-01-01\n\
                  g-globex,globex,messages,read,2018-01-01,2018-06-01,\n";
    let case = case(&config).file("register/grants.csv", grants);
    let of_kind = |report: &Value, kind: &str| -> Vec<Value> {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.filter(|finding| finding["kind"] == kind).cloned().collect()
    };
    let as_of_now = |report: &Value| {
        assert_eq!(of_kind(report, "standing-access"), [] as [Value; 0]);
        assert_eq!(report["suppressions"][0]["expired"], false);
    };
    append(&case, "logs/a.log", good("17T09:00") + &call("17T09:00", "key-globex-2"));
    as_of_now(&nightly(&case, 18));
    append(&case, "logs/a.log", good("18T09:00").replace("2018", "2099"));
    append(&case, "logs/a.log", call("18T09:00", "key-globex-2"));
    let report = nightly(&case, 19);
    assert_eq!(report["window"]["last"], "2099-12-18T09:00:00Z");
    as_of_now(&report);
    assert_eq!(of_kind(&report, "after-revocation")[0]["suppressed_by"], "governance");
    // Nor in a run after it, or in the report of that day.
    append(&case, "logs/a.log", good("19T09:00"));
    as_of_now(&nightly(&case, 20));
    as_of_now(&serde_json::from_str(&case.read("reports/2099-12-18/rev-1.json")).unwrap());
    let until = ["report", "--json", "--until", "2019-01-01"];
    as_of_now(&case.run(&until).expect_status(0).report());
    // Of all days it is as an audit of all logs.
    for command in ["report", "audit"] {
        let report = case.run(&[command, "--json"]).expect_status(0).report();
        assert_eq!(of_kind(&report, "standing-access")[0]["since"], "2030-01-01T00:00:00Z");
    }
}

// --- Logs whose compression ends early -----------------------------------------------------

/// The bytes of a call, of no pattern: where one counts twice and another one not at all, their sum tells.
fn weight(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Calls of the 17th, each another one.
fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |number: usize| {
        format!(
            "{{\"time\":\"2018-12-17T09:00:00Z\",\"client_id\":\"key-acme-1\",\"method\":\"GET\",\"path\":\"/messages/u{}\",\"status\":200,\"bytes\":{},\"request_id\":\"r-{number}\"}}\n",
            number % 7,
            weight(number)
        )
    };
    numbers.map(line).collect()
}

/// A run that counts so many calls, and tells what of a log ends early only if `told` names it and why.
#[track_caller]
fn count(case: &Case, day: u32, calls: usize, told: Option<(&str, &str)>) -> Value {
    let output = night(case, day).expect_status(if told.is_some() { 3 } else { 0 });
    let report = output.report();
    assert_eq!(report["accounting"]["calls"], calls, "calls of the run at the {day}th");
    assert_eq!(report["accounting"]["rejected"], 0);
    let partial = report["partial"].as_array().unwrap();
    match told {
        None => assert_eq!(*partial, [] as [Value; 0]),
        Some((path, reason)) => {
            assert_eq!((partial.len(), &partial[0]["path"]), (1, &path.into()));
            let found = partial[0]["reason"].as_str().unwrap();
            assert!(found.starts_with(reason), "{found}");
        }
    }
    report
}

/// All that is kept is each of these calls, once.
#[track_caller]
fn holds(case: &Case, numbers: impl IntoIterator<Item = usize>) {
    let report = case.run(&["report", "--json"]).expect_status(0).report();
    let weights: Vec<u64> = numbers.into_iter().map(weight).collect();
    assert_eq!(report["accounting"]["calls"], weights.len());
    let usage = report["usage"].as_array().unwrap();
    let bytes: u64 = usage.iter().map(|row| row["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, weights.iter().sum::<u64>(), "bytes of all calls");
}

/// How many lines are whole in what decodes of data that is cut short.
fn decoded_lines(packed: &[u8]) -> usize {
    let mut decoded = Vec::new();
    let _ = match packed.starts_with(&[0x1f]) {
        true => flate2::read::GzDecoder::new(packed).read_to_end(&mut decoded),
        false => ::zstd::Decoder::new(packed).unwrap().read_to_end(&mut decoded),
    };
    decoded.iter().filter(|byte| **byte == b'\n').count()
}

/// What became of logs: kind and path.
fn logs_told(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let of_logs = findings.filter(|f| !f["log"].is_null() && f["status"] != "resolved");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_logs.map(|f| (text(&f["kind"]), text(&f["log"]["path"]))).collect()
}

const CUT: &str = "gzip data ended early";

#[test]
fn of_a_log_that_is_cut_off_what_decodes_counts_once_and_it_is_read_on() {
    for (name, pack, reason) in [
        ("logs/a.gz", gzip as fn(String) -> Vec<u8>, CUT),
        ("logs/a.zst", zstd, "zstd data ended early"),
    ] {
        let packed = pack(lines(0..9000));
        // Of zstd whole blocks decode.
        let (some, more) = (packed.len() * 2 / 3, packed.len() - 40);
        let (first, second) = (decoded_lines(&packed[..some]), decoded_lines(&packed[..more]));
        assert!(100 < first && first < second && second < 9000, "{first} {second}");
        let case = case(CONFIG).file(name, &packed[..some]).file("logs/b.log", lines(9000..9001));
        let report = count(&case, 18, first + 1, Some((name, reason)));
        let told = report["partial"][0]["reason"].as_str().unwrap();
        drop(case.run(&["verify"]).expect_status(0));
        let counted = lines(0..first).len();
        assert!(told.ends_with(&format!("; of what it holds the first {counted} bytes count")));
        assert_eq!(report["inputs"][0]["complete"], false);
        holds(&case, (0..first).chain([9000]));

        // As long as it lies there as it did it is no news, whatever it is called and whoever comes by.
        for day in [19, 20] {
            let output = night(&case, day).expect_status(0);
            let note = format!("{name}: {reason}, as before");
            let output = output.expect_stderr(&[&note]);
            assert_eq!(output.report()["status"], "complete");
            assert_eq!(output.report()["accounting"]["calls"], 0);
            let row = &output.report()["inputs"][0];
            assert_eq!((&row["path"], &row["complete"]), (&name.into(), &false.into()));
        }
        // It goes on, and is whole.
        case.write(name, &packed[..more]);
        count(&case, 21, second - first, Some((name, reason)));
        case.write(name, &packed);
        let report = count(&case, 22, 9000 - second, None);
        assert_eq!(logs_told(&report), []);
        count(&case, 23, 0, None);
        holds(&case, 0..9001);
        let verified = case.run(&["verify"]).expect_status(0);
        assert!(verified.stdout.is_empty(), "{}", verified.stdout);
    }
}

#[test]
fn of_a_log_that_is_corrupt_only_whole_members_count() {
    let parts = [gzip(lines(0..1500)), gzip(lines(1500..3000)), gzip(lines(3000..3100))];
    for (content, before) in [(parts.concat(), 1500), (gzip(lines(0..3100)), 0)] {
        let mut corrupt = content.clone();
        // Far from the ends, by which a compressed log is known.
        let at = content.len() / 2 + 3000;
        corrupt[at] ^= 0x40;
        let case = case(CONFIG).file("logs/a.gz", &corrupt).file("logs/b.log", lines(5000..5001));
        let told = Some(("logs/a.gz", "corrupt gzip data"));
        let report = count(&case, 18, before + 1, told);
        if before == 0 {
            let reason = report["partial"][0]["reason"].as_str().unwrap();
            assert!(reason.ends_with("; nothing of it counts"), "{reason}");
        }
        let pending = report["inputs"][0]["pending_bytes"].as_u64().unwrap();
        assert!(pending > 1000, "{pending}");
        count(&case, 19, 0, None);
        holds(&case, (0..before).chain([5000]));
        // Mended, it is as long as it was, and begins and ends alike.
        case.write("logs/a.gz", &content);
        let report = count(&case, 20, 3100 - before, None);
        assert_eq!(logs_told(&report), []);
        count(&case, 21, 0, None);
        holds(&case, (0..3100).chain([5000]));
    }
}

/// Of what a decoder makes of damage no format can be told.
#[test]
fn a_log_that_is_corrupt_from_its_beginning_on_is_told_so_and_not_of_no_format() {
    let config = CONFIG.replace("format = \"json\"", "");
    let content = gzip(lines(0..3000));
    // Bytes of literals: of the first lines hardly one is left as it was.
    let mut corrupt = content.clone();
    corrupt[30..4000].fill(0x55);
    let case = case(&config).file("logs/a.gz", &corrupt).file("logs/b.log", lines(5000..5001));
    count(&case, 18, 1, Some(("logs/a.gz", "corrupt gzip data")));
    count(&case, 19, 0, None);
    case.write("logs/a.gz", &content);
    count(&case, 20, 3000, None);
    holds(&case, (0..3000).chain([5000]));
}

/// Reading can't go on from within a document.
#[test]
fn of_documents_that_are_cut_off_the_whole_ones_count() {
    let record = |number: usize| {
        format!(
            "{{\"eventVersion\":\"1.05\",\"eventTime\":\"2018-12-17T09:00:00Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\
             \"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"192.0.2.1\",\"userAgent\":\"x\",\"userIdentity\":{{\"type\":\"IAMUser\",\"accessKeyId\":\"key-acme-1\"}},\
             \"eventID\":\"e-{}\",\"eventType\":\"AwsApiCall\"}}",
            weight(number)
        )
    };
    let document = |numbers: std::ops::Range<usize>| {
        format!("{{\"Records\":[{}]}}\n", numbers.map(record).collect::<Vec<_>>().join(","))
    };
    for (ends, whole) in [(&[2000][..], 0), (&[500, 900, 2000], 900)] {
        let documents = [0].iter().chain(ends).zip(ends).map(|(from, until)| *from..*until);
        let packed = gzip(documents.map(document).collect::<String>());
        let config = CONFIG.replace("\"json\"", "\"aws-cloudtrail\"");
        let case = case(&config).file("logs/a.json.gz", &packed[..packed.len() * 3 / 4]);
        count(&case, 18, whole, Some(("logs/a.json.gz", CUT)));
        count(&case, 19, 0, None);
        case.write("logs/a.json.gz", &packed);
        let report = count(&case, 20, 2000 - whole, None);
        assert_eq!(report["accounting"]["duplicates"], 0);
        count(&case, 21, 0, None);
    }
}

#[test]
fn a_log_that_was_cut_off_and_is_another_now_was_rewritten_or_is_lost() {
    let packed = gzip(lines(0..3000));
    let cut = &packed[..packed.len() / 2];
    let first = decoded_lines(cut);
    let begin = || {
        let case = case(CONFIG).file("logs/a.gz", cut).file("logs/b.log", lines(5000..5001));
        count(&case, 18, first + 1, Some(("logs/a.gz", CUT)));
        case
    };
    // Other lines lie where the last lay, or the first, or all are others.
    for content in [
        lines(0..first - 1) + &lines(4000..4500),
        lines(4000..4001) + &lines(1..3000),
        lines(4000..4500),
    ] {
        let case = begin();
        fs::remove_file(case.path("logs/a.gz")).unwrap();
        case.write("logs/new", gzip(&content));
        fs::rename(case.path("logs/new"), case.path("logs/a.gz")).unwrap();
        let calls = content.lines().count();
        let report = count(&case, 19, calls, None);
        assert_eq!(logs_told(&report), [("log-rewritten".to_owned(), "logs/a.gz".to_owned())]);
        assert_eq!(logs_told(&count(&case, 20, 0, None)), []);
    }
    // It is gone before the rest of it came.
    let case = begin();
    fs::remove_file(case.path("logs/a.gz")).unwrap();
    let report = count(&case, 19, 0, None);
    assert_eq!(logs_told(&report), [("log-lost".to_owned(), "logs/a.gz".to_owned())]);
    assert_eq!(logs_told(&count(&case, 20, 0, None)), []);
    holds(&case, (0..first).chain([5000]));
    // So is one of which nothing could be relied on.
    let mut corrupt = packed.clone();
    corrupt[packed.len() / 2] ^= 0x40;
    let case = self::case(CONFIG).file("logs/a.gz", corrupt).file("logs/b.log", lines(5000..5001));
    count(&case, 18, 1, Some(("logs/a.gz", "corrupt gzip data")));
    fs::remove_file(case.path("logs/a.gz")).unwrap();
    let report = count(&case, 19, 0, None);
    assert_eq!(logs_told(&report), [("log-lost".to_owned(), "logs/a.gz".to_owned())]);
}

/// Of so little nobody can tell whether it is the beginning of a copy.
#[test]
fn of_a_log_that_is_cut_off_within_its_first_lines_nothing_counts_yet() {
    let packed = zstd(lines(0..5));
    for content in [&gzip(lines(0..5))[..60], &packed[..packed.len() - 2], &packed[..9]] {
        let case = case(CONFIG).file("logs/a", content).file("logs/b.log", lines(10..11));
        let reason = if content[0] == 0x1f { CUT } else { "zstd data ended early" };
        count(&case, 18, 1, Some(("logs/a", reason)));
        count(&case, 19, 0, None);
        // Whether it becomes whole or was never one.
        case.write("logs/a", gzip(lines(0..5)));
        count(&case, 20, 5, None);
        count(&case, 21, 0, None);
        holds(&case, (0..5).chain([10]));
    }
}

/// Somebody compresses a log and has not come to its end: whatever is known of the original, and whichever is found first,
/// nothing counts twice.
#[test]
fn a_copy_that_is_being_compressed_counts_no_line_twice() {
    let whole = lines(0..4000);
    // Some members, of which one may be damaged when the disk was full.
    let parts = [gzip(lines(0..1000)), gzip(lines(1000..2000)), gzip(lines(2000..4000))];
    let packed = parts.concat();
    let mut corrupt = packed.clone();
    corrupt[parts[0].len() + 200] ^= 0x40;
    let cut = |thousandths: usize| packed[..packed.len() * thousandths / 1000].to_vec();
    for (original, copy) in [("logs/a.log", "logs/a.log.gz"), ("logs/b.log", "logs/a.gz")] {
        for known in [0, 5, 800, 2500] {
            for content in [cut(2), cut(100), cut(400), cut(999), corrupt.clone()] {
                let case = case(CONFIG).file(original, lines(0..known));
                if known > 0 {
                    count(&case, 18, known, None);
                }
                append(&case, original, &whole[lines(0..known).len()..]);
                case.write(copy, &content);
                let output = night(&case, 19);
                assert_eq!(output.report()["accounting"]["calls"], 4000 - known);
                // What decodes to next to nothing is not known for a copy, and told.
                let is_known = decoded_lines(&content) > 10;
                drop(output.expect_status(if is_known { 0 } else { 3 }));
                holds(&case, 0..4000);
                count(&case, 20, 0, None);
                // It is done, and the original gone.
                fs::remove_file(case.path(original)).unwrap();
                case.write(copy, &packed);
                let report = count(&case, 21, 0, None);
                assert_eq!(logs_told(&report), []);
                count(&case, 22, 0, None);
                holds(&case, 0..4000);
            }
        }
    }
}

/// Likewise where the original itself is known only by what it is a copy of, or shares its beginning with.
#[test]
fn a_copy_of_a_copy_that_is_being_compressed_counts_no_line_twice() {
    for name in ["logs/0.gz", "logs/z.gz"] {
        // copytruncate copied 600 lines, a run read 650, and then came the truncation.
        let copy = lines(0..600) + &lines(600..601)[..50];
        let case = case(CONFIG).file("logs/a.log", lines(0..650)).file("logs/a.log.1", &copy);
        count(&case, 18, 650, None);
        fs::write(case.path("logs/a.log"), lines(650..700)).unwrap();
        let packed = gzip(&copy);
        case.write(name, &packed[..packed.len() / 2]);
        let report = count(&case, 19, 50, None);
        assert_eq!(logs_told(&report), []);
        fs::remove_file(case.path("logs/a.log.1")).unwrap();
        case.write(name, &packed);
        assert_eq!(logs_told(&count(&case, 20, 0, None)), []);
        holds(&case, 0..700);

        // Two logs begin alike, and one of them is being compressed.
        let other = lines(0..600) + &lines(1000..1400);
        let case = self::case(CONFIG).file("logs/a.log", lines(0..600));
        count(&case, 18, 600, None);
        case.write("logs/b.log", &other);
        let packed = gzip(&other);
        case.write(name, &packed[..packed.len() * 9 / 10]);
        count(&case, 19, 400, None);
        fs::remove_file(case.path("logs/b.log")).unwrap();
        case.write(name, &packed);
        let report = count(&case, 20, 0, None);
        assert_eq!(logs_told(&report), []);
        holds(&case, (0..600).chain(1000..1400));
    }
}

#[test]
fn two_logs_that_are_alike_to_the_middle_of_a_line_are_one() {
    let content = lines(0..20) + &lines(20..21)[..40];
    let case = case(CONFIG).file("logs/a.log", &content).file("logs/b.log", &content);
    count(&case, 18, 20, None);
    append(&case, "logs/a.log", &lines(20..21)[40..]);
    count(&case, 19, 1, None);
    holds(&case, 0..21);
}

/// The machine went down just after a log was compressed: the original is gone, and its copy not all there.
#[test]
fn a_log_of_which_only_a_damaged_copy_is_left_is_that_log() {
    let packed = [gzip(lines(0..1000)), gzip(lines(1000..3000))].concat();
    let mut corrupt = packed.clone();
    corrupt[packed.len() / 2] ^= 0x40;
    let cut = packed[..packed.len() / 2].to_vec();
    let in_cut = {
        let first = gzip(lines(0..1000)).len();
        1000 + decoded_lines(&cut[first..])
    };
    assert!((1100..2500).contains(&in_cut), "{in_cut}");
    for (content, decoded, reason) in [(corrupt, 1000, "corrupt gzip data"), (cut, in_cut, CUT)] {
        for known in [900, 1000, 1050, 2600] {
            let case = case(CONFIG).file("logs/a.log", lines(0..known));
            append(&case, "logs/c.log", lines(5000..5001));
            count(&case, 18, known + 1, None);
            fs::remove_file(case.path("logs/a.log")).unwrap();
            case.write("logs/a.log.gz", &content);
            let new = decoded.max(known) - known;
            let report = count(&case, 19, new, Some(("logs/a.log.gz", reason)));
            assert_eq!(logs_told(&report), []);
            count(&case, 20, 0, None);
            holds(&case, (0..known.max(decoded)).chain([5000]));
            // It was restored from where it had been copied to.
            case.write("logs/a.log.gz", &packed);
            let report = count(&case, 21, 3000 - known - new, None);
            assert_eq!(logs_told(&report), []);
            count(&case, 22, 0, None);
            holds(&case, (0..3000).chain([5000]));
        }
    }
}

#[test]
fn records_of_a_log_that_is_cut_off_are_remembered_as_far_as_they_count() {
    let config = CONFIG.replace("format = \"json\"", "dedupe = true");
    let packed = gzip(lines(0..3000));
    let parts = [gzip(lines(0..1000)), gzip(lines(1000..3000))];
    let mut corrupt = parts.concat();
    corrupt[parts[0].len() + 300] ^= 0x40;
    let cut = packed[..packed.len() / 2].to_vec();
    let decoded = decoded_lines(&cut);
    for (content, counted, reason) in [(cut, decoded, CUT), (corrupt, 1000, "corrupt gzip data")] {
        let case = case(&config).file("logs/a.gz", content);
        count(&case, 18, counted, Some(("logs/a.gz", reason)));
        // All of it is delivered once more, in another order.
        case.write("logs/b.log", lines(1500..3000) + &lines(0..1500));
        let report = count(&case, 19, 3000 - counted, None);
        assert_eq!(report["accounting"]["duplicates"], counted);
        case.write("logs/a.gz", gzip(lines(0..3000)));
        count(&case, 20, 0, None);
        holds(&case, 0..3000);
    }
}

#[test]
fn what_ends_early_is_the_same_at_any_number_of_threads() {
    let parts: Vec<Vec<u8>> = (0..20).map(|n| gzip(lines(n * 200..n * 200 + 200))).collect();
    let mut corrupt = parts.concat();
    let at = parts[..13].iter().map(Vec::len).sum::<usize>() + 500;
    corrupt[at] ^= 0x40;
    let cut = &parts.concat()[..at];
    let key = "overstay-key-1:0707070707070707070707070707070707070707070707070707070707070707\n";
    let case = case(CONFIG).file("overstay.key", key).file("logs/a.gz", &corrupt);
    // A copy of it that is cut short: only one of the two counts.
    case.write("logs/b.gz", cut);
    let mut expected = None;
    for threads in ["1", "2", "7"] {
        let arguments = ["nightly", "--json", "--run-at", "2018-12-18T02:00:00Z", "--quiet"];
        let arguments = [&arguments[..], &["--threads", threads, "--chunk-bytes", "5000"]].concat();
        let output = case.run(&arguments).expect_status(3);
        let calls = output.report()["accounting"]["calls"].as_u64().unwrap();
        assert!((2600..2800).contains(&calls), "{calls}");
        let found = (output.stdout.clone(), fs::read(case.path("state/ledger")).unwrap());
        assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{threads} threads");
        fs::remove_dir_all(case.path("state")).unwrap();
        fs::remove_dir_all(case.path("reports")).unwrap();
    }
}

/// A call of acme to messages whose log names the operation.
fn named(at: &str, operation: &str) -> String {
    good(at).replace('}', &format!(",\"api\":\"messages\",\"operation\":\"{operation}\"}}"))
}

/// The whole warning that tells which days are judged otherwise by now.
fn touched_warning(days: &str) -> String {
    format!(
        "warning: calls of {days} (`overstay nightly --rebuild` judges them anew, if their logs are still there)\n"
    )
}

/// The grants table with these of acme on messages: ids and operations, since January.
fn grants(rows: &[(&str, &str)]) -> String {
    let rows = rows.iter();
    let rows = rows.map(|(id, operations)| format!("{id},acme,messages,{operations},2018-01-01\n"));
    format!("grant,partner,api,operations,granted_at\n{}", rows.collect::<String>())
}

#[test]
fn a_word_for_what_only_the_log_named_is_a_change_of_the_days_that_named_it() {
    let case = case(CONFIG).file("register/grants.csv", grants(&[("g-read", "read")]));
    let first = [named("16T09:00", "read"), named("16T10:00", "list"), named("17T09:00", "purge")];
    append(&case, "logs/a.log", first.concat());
    let verdicts = |report: &Value| -> Vec<(Value, Value)> {
        let rows = report["usage"].as_array().unwrap().iter();
        rows.map(|row| (row["operation"].clone(), row["verdict"].clone())).collect()
    };
    let told = |purge: &str| {
        let rows = [("list", "out-of-scope"), ("purge", purge), ("read", "granted")];
        rows.map(|(operation, verdict)| (json!(operation), json!(verdict))).to_vec()
    };
    assert_eq!(verdicts(&nightly(&case, 18)), told("out-of-scope"));

    case.write("register/grants.csv", grants(&[("g-read", "read"), ("g-purge", "purge")]));
    let audited = case.run(&["audit", "--json"]).expect_status(0).report();
    assert_eq!(verdicts(&audited), told("granted"));
    let change = &nightly(&case, 19)["nightly"]["register_change"];
    assert_eq!(change["days"], json!(["2018-12-17"]));
    let affected = |operation: Value, calls: u64| json!({"partner": "acme", "api": "messages", "operation": operation, "calls": calls});
    assert_eq!(change["affected"], json!([affected("purge".into(), 1)]));
    assert_eq!(change["tables"], json!([]));

    // What no register has a word for stays without a name, however many the names are.
    case.write("register/grants.csv", grants(&[("g-all", "*"), ("g-purge", "purge")]));
    append(&case, "logs/a.log", [named("16T11:00", "zip"), named("19T09:00", "read")].concat());
    let change = &nightly(&case, 20)["nightly"]["register_change"];
    assert_eq!(change["days"], json!(["2018-12-16", "2018-12-17"]));
    let expected =
        [affected(Value::Null, 1), affected("purge".into(), 1), affected("read".into(), 1)];
    assert_eq!(change["affected"], json!(expected));
}

/// A name that is longer than is kept is any that the register had no word for.
#[test]
fn a_name_that_was_cut_off_may_be_any_that_gets_a_word() {
    let case = case(CONFIG).file("register/grants.csv", grants(&[("g-read", "read")]));
    append(
        &case,
        "logs/a.log",
        named("16T09:00", &"purge".repeat(300)) + &named("17T09:00", "list"),
    );
    nightly(&case, 18);
    case.write("register/grants.csv", grants(&[("g-read", "read"), ("g-purge", "purge")]));
    let change = &nightly(&case, 19)["nightly"]["register_change"];
    assert_eq!(change["days"], json!(["2018-12-16"]));
    assert_eq!(change["affected"][0]["operation"], Value::Null);
}

#[test]
fn what_was_called_before_the_register_had_a_word_for_it_is_not_unused() {
    let unused = |report: &Value| -> Vec<Value> {
        let findings = report["findings"].as_array().unwrap().iter();
        let found = findings.filter(|finding| finding["kind"] == "unused-operation");
        found.map(|finding| finding["operations"].clone()).collect()
    };
    // Thirty-three days, on each of which `more` operations are called that no register ever has a word for.
    let after = |more: usize, operations: &str| {
        let case = case(CONFIG).file("register/grants.csv", grants(&[("g-read", "read")]));
        for day in 0..33 {
            let at = |line: String| match day {
                0..30 => line.replace("2018-12-01", &format!("2018-11-{:02}", day + 1)),
                _ => line.replace("2018-12-01", &format!("2018-12-{:02}", day - 29)),
            };
            append(
                &case,
                "logs/a.log",
                at(named("01T09:00", "read") + &named("01T09:01", "purge")),
            );
        }
        let others = (0..more).map(|number| named("03T10:00", &format!("a-{number:03}")));
        append(&case, "logs/a.log", others.collect::<String>());
        nightly(&case, 4);
        case.write("register/grants.csv", grants(&[("g-read", operations)]));
        append(&case, "logs/a.log", named("04T09:00", "read"));
        unused(&nightly(&case, 5))
    };
    assert_eq!(after(0, "read|purge"), [] as [Value; 0]);
    assert_eq!(after(127, "read|purge|shred"), [json!(["shred"])]);
    // Of more names than are remembered nobody knows whether it was among them.
    assert_eq!(after(128, "read|purge|shred"), [] as [Value; 0]);
}

/// A register that is put back says nothing else of days that it judged, whatever another said of them meanwhile.
#[test]
fn days_are_compared_with_what_they_were_judged_by() {
    let (read, purge) = (("g-read", "read"), ("g-purge", "purge"));
    let (without, with) = (grants(&[read]), grants(&[read, purge]));
    let case = case(CONFIG).file("register/grants.csv", &without);
    let affected = |calls: u64| json!([{"partner": "acme", "api": "messages", "operation": "purge", "calls": calls}]);
    let change = |report: &Value| {
        let change = &report["nightly"]["register_change"];
        (change["days"].clone(), change["affected"].clone())
    };
    let told = |days: &[&str], calls: u64| (json!(days), affected(calls));
    let report =
        |rest: &[&str]| case.run(&[&["report"], rest].concat()).expect_status(0).stderr.clone();
    let touched = |run: u64, count: &str, days: &str| {
        touched_warning(&format!(
            "{count} of this time were judged by an earlier register or propagation_s, and what run {run} judged by may say otherwise of them: {days}"
        ))
    };

    append(&case, "logs/a.log", named("16T09:00", "read") + &named("17T09:00", "purge"));
    let first = nightly(&case, 18);
    assert_eq!(first["nightly"]["register_change"], Value::Null);
    assert_eq!(report(&[]), "");

    case.write("register/grants.csv", &with);
    append(&case, "logs/a.log", named("18T09:00", "purge"));
    let dry = case.run(&["nightly", "--json", "--dry-run", "--run-at", "2018-12-19T02:00:00Z"]);
    assert_eq!(change(&dry.expect_status(0).report()), told(&["2018-12-17"], 1));
    // Nothing was written, so nothing is known of it.
    assert_eq!(report(&[]).matches("warning: ").count(), 1);
    assert_eq!(change(&nightly(&case, 19)), told(&["2018-12-17"], 1));
    assert_eq!(report(&[]), touched(2, "1 day", "2018-12-17"));
    assert_eq!(report(&["--until", "2018-12-17"]), "");
    // It stays so as long as nothing changes.
    append(&case, "logs/a.log", named("19T09:00", "read"));
    assert_eq!(nightly(&case, 20)["nightly"]["register_change"], Value::Null);
    assert_eq!(report(&[]), touched(3, "1 day", "2018-12-17"));

    // Put back: the 17th was judged by it, the 18th was not.
    case.write("register/grants.csv", &without);
    append(&case, "logs/a.log", named("17T10:00", "purge"));
    assert_eq!(change(&nightly(&case, 21)), told(&["2018-12-18"], 1));
    assert_eq!(report(&[]), touched(4, "1 day", "2018-12-18"));

    case.write("register/grants.csv", &with);
    append(&case, "logs/a.log", named("17T11:00", "purge"));
    assert_eq!(change(&nightly(&case, 22)), told(&["2018-12-17"], 2));
    // By now one call of the 17th was judged by this one; nobody can tell which is judged otherwise.
    assert_eq!(report(&[]), touched(5, "1 day", "2018-12-17"));
    case.write("register/grants.csv", &without);
    assert_eq!(change(&nightly(&case, 23)), told(&["2018-12-17", "2018-12-18"], 3 + 1));
    assert_eq!(report(&[]), touched(6, "2 days", "2018-12-17, 2018-12-18"));
    // One that says the same of these calls as the first. Of the 17th both are asked, and each call counts once.
    case.write("register/grants.csv", grants(&[read, ("g-list", "list")]));
    assert_eq!(change(&nightly(&case, 24)), told(&["2018-12-17", "2018-12-18"], 3 + 1));
    // And one that both differ from on the 17th, where calls of the 16th are concerned, too.
    case.write("register/grants.csv", grants(&[("g-all", "*")]));
    let (days, all) = change(&nightly(&case, 25));
    assert_eq!(days, json!(["2018-12-16", "2018-12-17", "2018-12-18", "2018-12-19"]));
    assert_eq!((&all[0], &all[1]["calls"]), (&affected(3 + 1)[0], &json!(2)));

    let rebuilt = case.run(&["nightly", "--json", "--rebuild", "--run-at", "2018-12-26T02:00:00Z"]);
    assert_eq!(rebuilt.expect_status(0).report()["nightly"]["register_change"], Value::Null);
    assert_eq!(report(&[]), "");
}

/// Each night another register, each of which judges the calls of one day.
#[test]
fn with_registers_of_long_ago_none_is_compared() {
    let of = |number: u32| grants(&[(&format!("g-{number:02}"), "read")]);
    // The same to acme, in other words.
    let like = |number: u32| of(number) + "g-globex,globex,messages,read,2018-01-01\n";
    let case = case(CONFIG);
    for number in 1..=18 {
        case.write("register/grants.csv", of(number));
        append(&case, "logs/a.log", good(&format!("{number:02}T09:00")));
        nightly(&case, number + 1);
    }
    let days = |run: u32, grants: String| -> Vec<u32> {
        case.write("register/grants.csv", grants);
        let report = nightly(&case, run);
        let days = report["nightly"]["register_change"]["days"].as_array().unwrap().iter();
        days.map(|day| day.as_str().unwrap()[8..].parse().unwrap()).collect()
    };
    let all_but = |but: u32| (1..=18).filter(|day| *day != but).collect::<Vec<u32>>();
    // Sixteen are: those of the 18th to the 3rd.
    assert_eq!(days(20, like(3)), all_but(3));
    assert_eq!(days(21, like(1)), all_but(0));
    // That it is the same need not be found out.
    assert_eq!(days(22, of(1)), all_but(1));
}
