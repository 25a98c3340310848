//! Runs that keep state, at their edges: what changes between two nights beside the logs, and what no night can know.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use serde_json::{Value, json};

use crate::harness::{Case, Output};

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
    // Nor in a run after it, in the report of that day, or in one of all days.
    append(&case, "logs/a.log", good("19T09:00"));
    as_of_now(&nightly(&case, 20));
    as_of_now(&serde_json::from_str(&case.read("reports/2099-12-18/rev-1.json")).unwrap());
    as_of_now(&case.run(&["report", "--json"]).expect_status(0).report());
    // Who asks what will be by then is told.
    let report = case.run(&["report", "--json", "--until", "2100-01-01"]).expect_status(0).report();
    assert_eq!(of_kind(&report, "standing-access")[0]["since"], "2030-01-01T00:00:00Z");
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
