//! The JSON report has every key that the contract names, at every depth, and its words are those of the contract.

use serde_json::Value;

use crate::harness::Case;

/// The report's form: an object has at least these keys, an array is of such items. `null` stands for any value.
const FORM: &str = r#"{
 "schema": null, "program": null, "status": null, "partial": [{"path": null, "reason": null}], "headline": null,
 "window": {"since": null, "until": null, "first": null, "last": null},
 "config": {"digest": null},
 "register": {"digest": null, "partners": null, "credentials": null, "apis": null, "grants": null, "as_known_at": null},
 "inputs": [{"path": null, "source": null, "format": null, "compression": null, "bytes": null, "digest": null,
   "lines": null, "blank": null, "calls": null, "rejected": null, "outside_window": null, "duplicates": null,
   "repeats_unchecked": null, "pending_bytes": null, "gap_bytes": null, "first": null, "last": null, "complete": null}],
 "accounting": {"lines": null, "blank": null, "calls": null, "rejected": null, "outside_window": null, "duplicates": null},
 "rejects": {"by_reason": {"too-long": null, "not-utf8": null, "malformed": null, "no-time": null, "no-target": null,
   "bad-value": null}, "sample": [{"path": null, "line": null, "offset": null, "reason": null, "shape": null}]},
 "usage": [{"partner": null, "api": null, "operation": null, "verdict": null, "also": [], "grant": null, "outcome": null,
   "calls": null, "bytes": null, "subjects": null, "first": null, "last": null}],
 "partners": [{"partner": null, "name": null, "calls": null, "served": null, "denied": null, "failed": null,
   "unknown": null, "bytes_served": null, "subjects": null, "apis": null, "overstayed_calls": null,
   "overstay_s_max": null, "latency_us": {"count": null, "p50": null, "p90": null, "p99": null, "max": null},
   "first": null, "last": null}],
 "apis": [{"api": null, "name": null, "data_class": null, "dormant_since": null, "calls": null, "served": null,
   "partners": null, "subjects": null, "calls_without_subject": null,
   "latency_us": {"count": null, "p50": null, "p90": null, "p99": null, "max": null}, "first": null, "last": null}],
 "series": [{"hour": null, "partner": null, "served": null, "denied": null, "failed": null, "overstayed": null}],
 "ends": [{"partner": null, "api": null, "grant": null, "reason": null, "ended_at": null, "operations": [],
   "last_served": null, "first_denied": null, "lag_s": null, "status": null}],
 "findings": [{"id": null, "kind": null, "severity": null, "status": null, "first_seen": null, "suppressed_by": null,
   "partner": null, "api": null, "data_class": null, "grant": null, "operations": [], "credentials": [], "since": null,
   "lapsed_at": null, "first": null, "last": null, "overstay_s": null, "served": null, "denied": null, "failed": null,
   "hindsight": null, "bytes_served": null, "subjects": {"count": null, "exact": null, "low": null, "high": null},
   "log": null, "anomaly": null, "summary": null,
   "evidence": [{"path": null, "offset": null, "length": null, "blake3": null, "at": null}]}],
 "exceptions": [{"grant": null, "partner": null, "api": null, "justification": null, "calls": null, "subjects": null}],
 "suppressions": [{"owner": null, "reason": null, "until": null, "expired": null, "hides": null}],
 "flipped": [],
 "coverage": {"sources": [{"source": null, "expect": null, "hours_expected": null, "hours_seen": null,
   "gaps": [{"from": null, "until": null}], "calls": null, "anonymous": null}],
   "partners_without_calls": null, "grants_without_calls": null},
 "nightly": null
}"#;

/// Names in `value` what the form has and it lacks, and what null stands for an array or an object.
fn lacks(form: &Value, value: &Value, place: &str, lacking: &mut Vec<String>) {
    match (form, value) {
        (Value::Object(form), Value::Object(value)) => {
            for (key, form) in form {
                let place = format!("{place}.{key}");
                match value.get(key) {
                    Some(value) => lacks(form, value, &place, lacking),
                    None => lacking.push(place),
                }
            }
        }
        (Value::Array(form), Value::Array(items)) => {
            for (form, item) in items.iter().flat_map(|item| form.first().map(|form| (form, item)))
            {
                lacks(form, item, place, lacking);
            }
        }
        (Value::Null, _) => {}
        _ => lacking.push(format!("{place}: {value}")),
    }
}

/// Arrays of the form of which the report has no item, and so nothing was compared.
fn unseen(form: &Value, value: &Value, place: &str, none: &mut Vec<String>) {
    match (form, value) {
        (Value::Object(form), _) => {
            for (key, form) in form {
                unseen(form, &value[key], &format!("{place}.{key}"), none);
            }
        }
        (Value::Array(form), Value::Array(items)) if !form.is_empty() => {
            let seen = items.iter().map(|item| {
                let mut none = Vec::new();
                unseen(&form[0], item, place, &mut none);
                none
            });
            // The fullest of the items tells.
            match seen.min_by_key(Vec::len) {
                Some(least) => none.extend(least),
                None => none.push(place.to_owned()),
            }
        }
        _ => {}
    }
}

#[test]
fn no_key_of_the_contract_is_ever_missing() {
    let form: Value = serde_json::from_str(FORM).unwrap();
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs/overstay.toml");
    let sample = sample.to_str().unwrap();
    let case = Case::ready().file("empty.log", "").file("odd.log", "x y\n");
    let register = ["--register", "register"];
    let runs: [(&[&str], i32); 6] = [
        (&["--config", sample], 0),
        (&["--config", sample, "--until", "2018-12-18", "--digest"], 0),
        (&["empty.log"], 0),
        (&["logs"], 0),
        (&[&["empty.log"], &register[..]].concat(), 0),
        (&[&["logs", "odd.log"], &register[..]].concat(), 3),
    ];
    for (arguments, status) in runs {
        let output = case.run(&[&["audit", "--json", "-q"], arguments].concat());
        let report = output.expect_status(status).report();
        let mut lacking = Vec::new();
        lacks(&form, &report, "", &mut lacking);
        assert!(lacking.is_empty(), "{arguments:?}: {lacking:?}");
        // An audit keeps no state.
        assert_eq!(report["nightly"], Value::Null);
    }
    // The sample has an item of every array, but those that a good run leaves empty.
    let report = case.run(&["audit", "--json", "-q", "--config", sample]).report();
    let mut none = Vec::new();
    unseen(&form, &report, "", &mut none);
    assert_eq!(none, [".partial"]);
}

/// Arrays are sorted by their keys in the order in which they are listed, null before all else, then by bytes.
#[test]
fn arrays_are_sorted_by_their_keys() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs/overstay.toml");
    let arguments = ["audit", "--json", "-q", "--config", sample.to_str().unwrap()];
    let report = Case::new().run(&arguments).expect_status(0).report();
    let keys: [(&str, &[&str]); 10] = [
        ("/inputs", &["path", "source"]),
        ("/usage", &["partner", "api", "operation", "verdict", "also", "grant", "outcome"]),
        ("/partners", &["partner"]),
        ("/apis", &["api"]),
        ("/series", &["hour", "partner"]),
        ("/ends", &["partner", "api", "grant"]),
        ("/findings", &["id"]),
        ("/exceptions", &["grant"]),
        ("/rejects/sample", &["path", "line"]),
        ("/coverage/sources", &["source"]),
    ];
    for (array, keys) in keys {
        let items = report.pointer(array).unwrap().as_array().unwrap();
        let of = |item: &Value| -> Vec<(bool, Vec<u8>)> {
            keys.iter()
                .map(|key| match &item[key] {
                    Value::Null => (false, Vec::new()),
                    Value::String(text) => (true, text.as_bytes().to_vec()),
                    Value::Number(number) => {
                        (true, number.as_u64().unwrap().to_be_bytes().to_vec())
                    }
                    list => {
                        let names = list.as_array().unwrap().iter().map(|n| n.as_str().unwrap());
                        (true, names.collect::<Vec<_>>().join("\0").into_bytes())
                    }
                })
                .collect()
        };
        let sorted = items.windows(2).all(|two| of(&two[0]) < of(&two[1]));
        assert!(!items.is_empty() && sorted, "{array} is not sorted by {keys:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_report_has_the_mode_that_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt as _;
    for (umask, mode) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        let case = Case::ready();
        let program = env!("CARGO_BIN_EXE_overstay");
        let script = format!(
            "umask {umask}; exec '{program}' audit -q logs --register register --report json=r.json"
        );
        let _ = case.finish(case.tool("sh", &["-c", &script])).expect_status(0);
        let metadata = std::fs::metadata(case.path("r.json")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "umask {umask}");
    }
}

/// Colour can be forced on a pipe by those who ask, and who wants none gets none.
#[test]
fn no_color_goes_before_forced_colour() {
    let case = Case::ready();
    let run = |variables: &[(&str, &str)]| {
        let mut command = case.command(&["audit", "-q", "logs", "--register", "register"]);
        command.envs(variables.iter().copied());
        case.finish(command).expect_status(0).stdout.contains('\u{1b}')
    };
    assert!(!run(&[]));
    assert!(run(&[("CLICOLOR_FORCE", "1")]));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

/// A report replaces what is at its path; the log that it is about must not be that.
#[test]
fn a_report_never_replaces_a_log_it_is_about() {
    let case = Case::ready();
    let before = case.read("logs/good.log");
    let audit = ["audit", "-q", "--register", "register", "logs"];
    for path in ["logs/good.log", "register/../logs/./good.log"] {
        let report = format!("json={path}");
        let output = case.run(&[&audit[..], &["--report", &report]].concat()).expect_status(2);
        let _ = output.expect_no_stdout().expect_stderr(&["expected another path", "hint: "]);
        assert_eq!(case.read("logs/good.log"), before);
    }
    // Any other file is replaced, an earlier report above all.
    case.write("r.json", "old");
    let _ = case.run(&[&audit[..], &["--report", "json=r.json"]].concat()).expect_status(0);
    assert!(case.read("r.json").starts_with('{'));
}

#[test]
fn columns_of_0_mean_that_nobody_knows() {
    let case = Case::ready();
    let run = |columns: &str| {
        let mut command = case.command(&["audit", "-q", "logs", "--register", "register"]);
        command.env("COLUMNS", columns);
        case.finish(command).expect_status(0).stdout.clone()
    };
    let unset = case.run(&["audit", "-q", "logs", "--register", "register"]).expect_status(0);
    assert_eq!(run("0"), unset.stdout);
    assert_ne!(run("48"), unset.stdout);
}
