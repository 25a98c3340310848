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
