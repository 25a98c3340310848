//! What a user of `overstay audit` can see.

use serde_json::Value;

use crate::harness::{Case, adds_up, call, calls};

const JSON: [&str; 5] = ["audit", "--json", "--quiet", "--register", "register"];

fn with(extra: &[&str]) -> Vec<String> {
    JSON.iter().chain(extra).map(|argument| (*argument).to_owned()).collect()
}

/// A call of globex, whose grant was revoked on 2018-06-01.
fn late(at: &str, status: u16) -> String {
    format!(
        "{{\"time\":\"{at}\",\"client_id\":\"key-globex-2\",\"method\":\"GET\",\"path\":\"/messages/u1\",\
         \"status\":{status},\"bytes\":50,\"user\":\"u1\"}}\n"
    )
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

#[test]
fn a_served_call_after_a_revocation_is_critical_a_refused_one_low() {
    let case = Case::with_register().file("a.log", late("2018-06-01T00:00:00Z", 200));
    let report = case.run(&with(&["a.log"])).expect_status(0).report();
    let finding = &report["findings"][0];
    assert_eq!(finding["kind"], "after-revocation");
    assert_eq!(finding["severity"], "critical");
    assert_eq!(finding["overstay_s"], 0);
    assert_eq!(finding["credentials"], serde_json::json!(["…ex-2"]));
    assert_eq!(report["ends"][0]["status"], "open");
    let case = Case::with_register().file("a.log", late("2018-06-01T00:00:00Z", 403));
    let report = case.run(&with(&["a.log"])).expect_status(0).report();
    assert_eq!(report["findings"][0]["severity"], "low");
    assert_eq!(report["findings"][0]["overstay_s"], Value::Null);
    assert_eq!(report["ends"][0]["status"], "cut");
    // One nanosecond earlier it was in order.
    let case = Case::with_register().file("a.log", late("2018-05-31T23:59:59.999999999Z", 200));
    let report = case.run(&with(&["a.log"])).expect_status(0).report();
    assert_eq!(list(&report["findings"]).len(), 0);
}

#[test]
fn fail_on_turns_the_exit_status() {
    let case = Case::with_register().file("a.log", late("2018-07-01T00:00:00Z", 200));
    case.run(&with(&["a.log", "--fail-on", "critical"])).expect_status(1);
    case.run(&with(&["a.log"])).expect_status(0);
    let refused = Case::with_register().file("a.log", late("2018-07-01T00:00:00Z", 403));
    refused.run(&with(&["a.log", "--fail-on", "medium"])).expect_status(0);
    refused.run(&with(&["a.log", "--fail-on", "low"])).expect_status(1);
}

fn configured(extra: &str) -> Case {
    let config = format!(
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gw\"\npaths = [\"a.log\"]\nformat = \"json\"\n{extra}"
    );
    Case::with_register()
        .file("overstay.toml", config)
        .file("a.log", late("2018-07-01T00:00:00Z", 200))
}

#[test]
fn a_severity_can_be_configured() {
    let case = configured("[severity]\nafter-revocation = \"medium\"\n");
    let report = case.run(&["audit", "--json", "-q"]).expect_status(0).report();
    assert_eq!(report["findings"][0]["severity"], "medium");
}

#[test]
fn a_suppression_hides_until_it_expires() {
    let suppress = |what: &str, until: &str| {
        configured(&format!(
            "[[suppress]]\n{what}\nowner = \"gov\"\nreason = \"agreed\"\nuntil = {until}\n"
        ))
    };
    let kind = "kind = \"after-revocation\"\npartner = \"globex\"\napi = \"messages\"";
    let case = suppress(kind, "\"2018-07-02\"");
    let report =
        case.run(&["audit", "--json", "-q", "--fail-on", "info"]).expect_status(0).report();
    assert_eq!(report["findings"][0]["suppressed_by"], "gov");
    assert_eq!(report["suppressions"][0]["hides"], 1);
    assert_eq!(report["suppressions"][0]["expired"], false);
    let id = report["findings"][0]["id"].as_str().unwrap().to_owned();
    assert!(case.run(&["audit"]).expect_status(0).stdout.contains("SUPPRESSED  1"));

    // The window ends with the last call: until then it holds, at that instant it has expired.
    for (until, status) in [("2018-07-01", 1), ("2018-07-01T00:00:00.000000001Z", 0)] {
        let case = suppress(kind, until);
        case.run(&["audit", "-q", "--fail-on", "info"]).expect_status(status);
    }
    let case = suppress(&format!("finding = \"{}\"", &id[..7]), "\"2030-01-01\"");
    case.run(&["audit", "-q", "--fail-on", "info"]).expect_status(0);
    let case = suppress("kind = \"after-revocation\"\npartner = \"acme\"", "\"2030-01-01\"");
    case.run(&["audit", "-q", "--fail-on", "info"]).expect_status(1);
}

#[test]
fn calls_outside_the_window_are_counted_apart() {
    let case = Case::with_register().file("a.log", format!("{}bad\n", calls(400)));
    let window = ["--since", "2018-12-18T09:01:00Z", "--until", "2018-12-18T09:03:00Z"];
    let output = case.run(&with(&[&["a.log"], &window[..]].concat())).expect_status(0);
    let report = output.report();
    assert_eq!(report["accounting"]["calls"], 2);
    assert_eq!(report["accounting"]["outside_window"], 398);
    assert_eq!(report["accounting"]["rejected"], 1);
    assert_eq!(report["window"]["first"], "2018-12-18T09:01:00Z");
    assert_eq!(report["inputs"][0]["last"], "2018-12-18T09:02:00Z");
}

#[test]
fn standard_input_folders_and_globs_are_logs() {
    let case = Case::with_register()
        .file("logs/deep/a.log", calls(3))
        .file("logs/b.txt", calls(4))
        .file("logs/.hidden", calls(5));
    let report = case.run_with_input(&with(&["-"]), calls(6).as_bytes()).expect_status(0).report();
    assert_eq!(report["inputs"][0]["path"], "-");
    assert_eq!(report["accounting"]["calls"], 6);
    let zipped = crate::harness::gzip(calls(6));
    let report = case.run_with_input(&with(&["-"]), &zipped).expect_status(0).report();
    assert_eq!(report["inputs"][0]["compression"], "gzip");
    assert_eq!(report["accounting"]["calls"], 6);
    assert_eq!(case.run(&with(&["logs"])).report()["accounting"]["calls"], 7);
    assert_eq!(case.run(&with(&["logs/*.txt"])).report()["accounting"]["calls"], 4);
    assert_eq!(case.run(&with(&["logs/**/*.log"])).report()["accounting"]["calls"], 3);
}

/// Paths of a config start from its folder: where one stands when running it does not show.
#[test]
fn a_config_gives_the_same_bytes_from_anywhere() {
    let case = configured("");
    let here = case.run(&["audit", "--json", "-q"]).expect_status(0);
    let mut command = case.command(&["audit", "--json", "-q", "--config"]);
    command.arg(case.path("overstay.toml")).current_dir("/");
    let there = case.finish(command).expect_status(0);
    assert_eq!(here.stdout_bytes, there.stdout_bytes);
    assert_eq!(here.report()["inputs"][0]["path"], "a.log");
}

/// A log given as argument is read as the source of the config that claims it says.
#[test]
fn an_argument_keeps_the_source_that_claims_it() {
    let case = configured("");
    case.write("other.log", calls(2));
    let report =
        case.run(&["audit", "--json", "-q", "a.log", "other.log"]).expect_status(0).report();
    let sources: Vec<&Value> =
        list(&report["inputs"]).iter().map(|input| &input["source"]).collect();
    assert_eq!(sources, ["gw", "logs"]);
}

#[test]
fn digests_are_of_the_files_as_they_lie() {
    let zipped = crate::harness::gzip(calls(3));
    let case = Case::with_register().file("a.gz", &zipped).file("b.log", calls(3));
    let report = case.run(&with(&["a.gz", "b.log", "--digest"])).expect_status(0).report();
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(report["inputs"][0]["digest"], digest(&zipped));
    assert_eq!(report["inputs"][1]["digest"], digest(calls(3).as_bytes()));
    let report = case.run(&with(&["a.gz"])).expect_status(0).report();
    assert_eq!(report["inputs"][0]["digest"], Value::Null);
}

#[test]
fn reports_go_to_files_whole() {
    let case = Case::ready();
    let arguments = ["audit", "-q", "logs", "--register", "register"];
    let files = ["--report", "json=r.json", "--report", "terminal=r.txt", "--report", "terminal"];
    let output = case.run(&[&arguments[..], &files].concat()).expect_status(0);
    assert_eq!(case.read("r.txt"), output.stdout);
    adds_up(&serde_json::from_str(&case.read("r.json")).unwrap());
    let names = case.names();
    assert!(names.iter().all(|name| !name.contains("tmp") && !name.starts_with('.')), "{names:?}");
}

/// Nothing is judged without a register, and nothing pretends to be.
#[test]
fn without_a_register_use_is_shown() {
    let case =
        Case::new().file("a.log", format!("{}{}", calls(3), late("2018-07-01T00:00:00Z", 403)));
    let report = case.run(&["audit", "--json", "-q", "a.log"]).expect_status(0).report();
    assert!(report["headline"].as_str().unwrap().starts_with("Nothing was judged"));
    assert_eq!(list(&report["findings"]).len(), 0);
    assert_eq!(report["register"]["digest"], Value::Null);
    assert!(list(&report["usage"]).iter().all(|row| row["verdict"] == Value::Null));
    let credentials: Vec<&Value> =
        list(&report["usage"]).iter().map(|row| &row["credential"]).collect();
    assert!(credentials.contains(&&Value::from("…me-1")));
    let text = case.run(&["audit", "-q", "a.log"]).expect_status(0).stdout.clone();
    assert!(text.starts_with("Nothing was judged"), "{text}");
}

#[test]
fn caches_may_go_on_for_the_propagation() {
    let log = [late("2018-06-01T00:00:59Z", 200), late("2018-06-01T00:01:00Z", 200)].concat();
    let config = "[register]\nsource = \"register\"\npropagation_s = 60\n[[logs]]\nsource = \"a\"\npaths = [\"a.log\"]\n";
    let case = Case::with_register().file("a.log", log).file("overstay.toml", config);
    let verdicts = |case: &Case| -> Vec<Value> {
        let report = case.run(&["audit", "--json", "-q"]).expect_status(0).report();
        list(&report["usage"]).iter().map(|row| row["verdict"].clone()).collect()
    };
    assert_eq!(verdicts(&case), ["after-revocation", "propagating"]);
    case.write("register/apis.csv", "api,propagation_s\nmessages,61\n");
    assert_eq!(verdicts(&case), ["propagating"]);
}

#[test]
fn a_hashed_credential_is_the_plain_one() {
    // SHA-256 of "key-acme-1", from sha256sum.
    let hex = sha256("key-acme-1").to_uppercase();
    let case = Case::ready().file(
        "register/credentials.csv",
        format!("credential,partner\nsha256:{hex},acme\nkey-globex-2,globex\n"),
    );
    let report = case.run(&with(&["logs"])).expect_status(0).report();
    assert_eq!(report["usage"][0]["verdict"], "granted");
    assert_eq!(report["usage"][0]["partner"], "acme");
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

const HOSTILE: &str = "a\u{1b}[31mb\u{202e}c\u{9b}d\u{200f}<b>&\u{7}e\u{2028}f\u{feff}";

/// Whatever stands in a log, a register or a name, a terminal shows it and does not obey it.
#[test]
fn hostile_text_is_neutralised() {
    let json = serde_json::to_string(HOSTILE).unwrap();
    let log = format!(
        "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":{json},\"path\":\"/x\",\"user\":{json}}}\n\
         {{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"key-acme-1\",\"api\":{json},\"operation\":{json},\"user\":{json}}}\n\
         {}{HOSTILE}\n",
        calls(300),
    );
    let config = format!(
        "[register]\nsource = \"register\"\n[[logs]]\nsource = {json}\npaths = [\"*.log\"]\nformat = \"json\"\n\
         [[suppress]]\nkind = \"anonymous\"\nowner = {json}\nreason = {json}\nuntil = \"2030-01-01\"\n"
    );
    let toml_text = toml_escaped(&config);
    let case = Case::with_register()
        .file("register/partners.csv", format!("partner,name\nacme,\"{HOSTILE}\"\nglobex,Globex\n"))
        .file(
            "register/apis.csv",
            format!("api,name,data_class\nmessages,\"{HOSTILE}\",\"{HOSTILE}\"\n"),
        )
        .file("overstay.toml", toml_text)
        .file(&format!("{}.log", HOSTILE.replace('/', "")), log);
    for arguments in [
        vec!["audit", "--color", "never"],
        vec!["audit", "--json"],
        vec!["calls"],
        vec!["calls", "--distinct", "credential"],
        vec!["check"],
    ] {
        let output = case.run(&arguments);
        for (stream, text) in [("output", &output.stdout), ("error", &output.stderr)] {
            for c in text.chars().filter(|c| *c != '\n') {
                let hostile = c.is_control()
                    || ('\u{200b}'..='\u{200f}').contains(&c)
                    || ('\u{2028}'..='\u{202e}').contains(&c)
                    || ('\u{2066}'..='\u{2069}').contains(&c)
                    || c == '\u{feff}';
                assert!(!hostile, "{c:?} in standard {stream} of {arguments:?}");
            }
        }
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
    let terminal = case.run(&["audit", "--color", "never"]).stdout.clone();
    assert!(terminal.contains("a\\u{1b}[31mb\\u{202e}c"), "{terminal}");
}

/// JSON's escapes of characters that TOML forbids in a raw form are TOML's too, but DEL and C1 need theirs.
fn toml_escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

#[test]
fn no_line_is_wider_than_the_terminal_and_colour_is_asked_for() {
    let log = [late("2018-07-01T00:00:00Z", 200), calls(50)].concat();
    let case = Case::with_register().file("a.log", log);
    let arguments = ["audit", "-q", "a.log", "--register", "register"];
    for columns in ["80", "160"] {
        let mut command = case.command(&arguments);
        command.env("COLUMNS", columns);
        let output = case.finish(command).expect_status(0);
        for line in output.stdout.lines() {
            assert!(
                unicode_width::UnicodeWidthStr::width(line) <= columns.parse().unwrap(),
                "{line}"
            );
        }
        assert!(!output.stdout.contains('\u{1b}'));
    }
    let coloured = case.run(&[&arguments[..], &["--color", "always"]].concat()).stdout.clone();
    assert!(coloured.contains('\u{1b}'));
    let mut command = case.command(&arguments);
    command.env("NO_COLOR", "1");
    assert!(!case.finish(command).stdout.contains('\u{1b}'));
}

/// The report fits its schema whatever there is to report, and has every key of the contract.
#[test]
fn the_report_validates() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(root.join("docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let log = [late("2018-07-01T00:00:00Z", 200), calls(15), "bad\n".to_owned(), call(9)].concat();
    let case =
        Case::with_register().file("a.log", log).file("empty.log", "").file("odd.log", "x y\n");
    let sample = root.join("sample-logs/overstay.toml");
    let runs = [
        vec!["audit", "--json", "a.log", "--register", "register"],
        vec!["audit", "--json", "empty.log", "--register", "register"],
        vec!["audit", "--json", "empty.log"],
        vec!["audit", "--json", "a.log"],
        vec!["audit", "--json", "a.log", "odd.log", "--register", "register", "--digest"],
        vec!["audit", "--json", "--config", sample.to_str().unwrap()],
    ];
    for arguments in runs {
        let report = case.run(&arguments).report();
        let errors: Vec<String> = validator.iter_errors(&report).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{arguments:?}: {errors:?}");
        let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
        for key in [
            "schema",
            "program",
            "status",
            "partial",
            "headline",
            "window",
            "config",
            "register",
            "inputs",
            "accounting",
            "rejects",
            "usage",
            "partners",
            "apis",
            "series",
            "ends",
            "findings",
            "exceptions",
            "suppressions",
            "flipped",
            "coverage",
        ] {
            assert!(keys.iter().any(|k| *k == key), "{key}");
        }
    }
}
