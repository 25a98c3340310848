//! Findings that need no call, and reports on one partner.

use serde_json::{Value, json};

use crate::harness::{Case, call};

/// A call of `acme`, of this day counted from 2018-11-01, with this method.
fn on_day(day: u32, method: &str) -> String {
    let (month, day) = if day < 30 { (11, day + 1) } else { (12, day - 29) };
    format!(
        "{{\"time\":\"2018-{month:02}-{day:02}T12:00:00Z\",\"client_id\":\"key-acme-1\",\"method\":\"{method}\",\
         \"path\":\"/messages/u1\",\"status\":200}}\n"
    )
}

/// So many days with a read each.
fn days(count: u32) -> String {
    (0..count).map(|day| on_day(day, "GET")).collect()
}

fn case(grants: &str) -> Case {
    Case::with_register()
        .file("register/purposes.csv", "purpose,ended_at\nfinder,2017-06-30\nchat,\n")
        .file(
            "register/apis.csv",
            "api,access,dormant_since\nmessages,,\nattic,,2018-11-10\nstatus,open,2018-01-01\n",
        )
        .file(
            "register/grants.csv",
            format!("grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose,certified_until\n{grants}"),
        )
}

/// Kind, grant or credential, operations and since of the findings without calls, as the report lists them by kind.
fn found(case: &Case, arguments: &[&str]) -> Vec<(String, String, String, Value)> {
    let base = ["audit", "--json", "--register", "register", "logs"];
    let report = case.run(&[&base[..], arguments].concat()).expect_status(0).report();
    let mut all: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["first"].is_null())
        .map(|finding| {
            for name in ["served", "denied", "failed", "hindsight", "bytes_served"] {
                assert_eq!(finding[name], 0, "{name}");
            }
            for name in ["lapsed_at", "last", "overstay_s"] {
                assert!(finding[name].is_null(), "{name}");
            }
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let what =
                text(&finding["grant"]).or_else(|| text(&finding["credentials"][0])).unwrap();
            let operations: Vec<String> =
                finding["operations"].as_array().unwrap().iter().filter_map(text).collect();
            let kind = text(&finding["kind"]).unwrap();
            let severity = if kind == "standing-access" { "high" } else { "low" };
            assert_eq!(finding["severity"], severity, "{kind}");
            (kind, what, operations.join(" "), finding["since"].clone())
        })
        .collect();
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all
}

fn row(kind: &str, what: &str, operations: &str, since: Value) -> (String, String, String, Value) {
    (kind.to_owned(), what.to_owned(), operations.to_owned(), since)
}

#[test]
fn access_that_outlived_what_it_was_for_is_found_without_a_call() {
    let case = case(
        "a-purpose,globex,messages,write|read,2015-02-01,,,finder,\n\
         b-later,globex,messages,read,2018-03-01,,,finder,\n\
         c-dormant,globex,attic,*,,,,chat,\n\
         d-lapsed,acme,messages,read,2018-01-01,,,chat,2018-10-31\n\
         e-both,acme,attic,read,2018-01-01,,,finder,2018-10-31\n\
         f-fine,acme,messages,read,2018-01-01,,,chat,2019-01-01\n\
         g-revoked,globex,messages,read,2015-02-01,,2018-10-31,finder,\n\
         h-expired,globex,messages,read,2015-02-01,2018-10-31,,finder,\n\
         i-future,globex,messages,read,2019-01-01,,,finder,\n\
         j-open,globex,status,read,2015-02-01,,,finder,\n",
    )
    .file("logs/a.log", days(12));
    let standing =
        |what, operations, since: &str| row("standing-access", what, operations, json!(since));
    assert_eq!(
        found(&case, &[]),
        [
            standing("a-purpose", "read write", "2017-06-30T00:00:00Z"),
            // Given when the purpose had ended already.
            standing("b-later", "read", "2018-03-01T00:00:00Z"),
            standing("c-dormant", "*", "2018-11-10T00:00:00Z"),
            standing("d-lapsed", "read", "2018-10-31T00:00:00Z"),
            // The earliest of several, but not before the grant.
            standing("e-both", "read", "2018-01-01T00:00:00Z"),
        ]
    );
    // At the window's end, which --until moves: the api was not dormant yet, and is at that very instant.
    let until =
        |until| found(&case, &["--until", until]).into_iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(until("2018-11-09T23:59:59Z"), ["a-purpose", "b-later", "d-lapsed", "e-both"]);
    assert_eq!(until("2018-11-10"), ["a-purpose", "b-later", "c-dormant", "d-lapsed", "e-both"]);
    // And a grant whose revocation is that instant stands no more.
    assert!(!until("2018-11-10").contains(&"g-revoked".to_owned()));
}

#[test]
fn unused_access_needs_thirty_days_of_logs() {
    let case = case(
        "a-used,acme,messages,read|write|delete,2018-01-01,,,chat,\n\
         b-unused,globex,messages,read,2018-01-01,,,chat,\n\
         c-young,globex,messages,read,2018-11-20,,,chat,\n\
         d-ended,globex,messages,read,2018-01-01,2018-11-30,,chat,\n\
         e-all,acme,attic,*,2018-01-01,,,chat,\n",
    )
    .file(
        "register/credentials.csv",
        "credential,partner,valid_from,valid_until\nkey-acme-1,acme,,\nkey-globex-2,globex,,\n\
         key-young-3,globex,2018-11-20,\nkey-closed-4,globex,,2018-11-30\nkey-moved-5,acme,2018-01-01,2018-11-15T12:00:00Z\n\
         key-moved-5,globex,2018-11-15T12:00:00Z,\n",
    );
    let unused = [
        row("unused-credential", "…ex-2", "", Value::Null),
        row("unused-credential", "…ed-5", "", Value::Null),
        row("unused-grant", "b-unused", "read", Value::Null),
        row("unused-grant", "e-all", "*", Value::Null),
        row("unused-operation", "a-used", "delete write", Value::Null),
    ];
    let of_kind = |case: &Case| {
        let found = found(case, &[]).into_iter().filter(|row| row.0 != "standing-access");
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        found
    };
    case.write("logs/a.log", days(29));
    assert_eq!(of_kind(&case), []);
    let output = case.run(&["audit", "--register", "register", "logs"]).expect_status(0);
    assert!(
        output
            .stdout
            .contains("\nUNUSED      not looked for: 29 days with calls, and it takes 30\n"),
        "{}",
        output.stdout
    );
    case.write("logs/a.log", days(30));
    let mut expected = unused.to_vec();
    expected.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    assert_eq!(of_kind(&case), expected);
    let output = case.run(&["audit", "--register", "register", "logs"]).expect_status(0);
    assert!(!output.stdout.contains("\nUNUSED "), "{}", output.stdout);
    // Days without a call are no days read, however far the first and the last are apart.
    case.write("logs/a.log", format!("{}{}", days(28), on_day(45, "GET")));
    assert_eq!(of_kind(&case), []);
    // Used, whatever became of the call.
    let delete = on_day(30, "DELETE").replace("200", "403");
    case.write("logs/a.log", format!("{}{delete}", days(30)));
    assert!(of_kind(&case).contains(&row("unused-operation", "a-used", "write", Value::Null)));
}

/// Logs that name nobody of the register must not make all of it look unused.
#[test]
fn logs_that_do_not_tell_who_called_call_nothing_unused() {
    let case = case("a,acme,messages,read,2018-01-01,,,chat,\n")
        .file("logs/a.log", days(40).replace("key-acme-1", "key-of-nobody"));
    assert_eq!(found(&case, &[]), []);
}

#[test]
fn a_severity_and_a_suppression_hold_for_them_too() {
    let case = case("a,globex,messages,read,2018-01-01,,,finder,\n").file("logs/a.log", days(2)).file(
        "overstay.toml",
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"logs\"]\n[severity]\nstanding-access = \"critical\"\n\
         [[suppress]]\nkind = \"standing-access\"\npartner = \"globex\"\nowner = \"me\"\nreason = \"wind-down\"\nuntil = \"2019-01-01\"\n",
    );
    let report = case.run(&["audit", "--json", "--fail-on", "critical"]).expect_status(0).report();
    let finding = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["kind"] == "standing-access")
        .unwrap();
    assert_eq!(finding["severity"], "critical");
    assert_eq!(finding["suppressed_by"], "me");
    assert_eq!(report["suppressions"][0]["hides"], 1);
    case.run(&["audit", "--json", "--fail-on", "critical", "--until", "2019-01-01"])
        .expect_status(1);
}

#[test]
fn a_report_on_one_partner_is_about_no_other() {
    let case = Case::mixed().file("logs/good.log", call(0));
    let run = |arguments: &[&str]| {
        let base = ["audit", "--register", "register", "logs"];
        case.run(&[&base[..], arguments].concat())
    };
    let whole = run(&["--json"]).expect_status(0).report();
    let report = run(&["--json", "--partner", "globex"]).expect_status(0).report();
    assert_eq!(report["partner"], "globex");
    assert!(whole["partner"].is_null());
    // What was read is all the same.
    for name in ["accounting", "inputs", "rejects", "window", "status"] {
        assert_eq!(report[name], whole[name], "{name}");
    }
    assert_eq!(report["coverage"]["sources"], whole["coverage"]["sources"]);
    let of_globex = |array: &str| -> Vec<Value> {
        let rows = whole[array].as_array().unwrap().iter();
        rows.filter(|row| row["partner"] == "globex").cloned().collect()
    };
    for array in ["usage", "partners", "series", "ends", "findings"] {
        assert_eq!(report[array], json!(of_globex(array)), "{array}");
        assert!(!of_globex(array).is_empty(), "{array}");
    }
    assert_eq!(report["apis"].as_array().unwrap().len(), 1);
    assert_eq!(report["apis"][0]["calls"], 4);
    assert_eq!(report["apis"][0]["partners"], 1);
    let shown = run(&["--partner", "globex"]).expect_status(0);
    assert!(
        shown.stdout.starts_with("globex overstayed: 3 served calls, 3 people, at most "),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("acme"), "{}", shown.stdout);
    let shown = run(&["--partner", "acme"]).expect_status(0);
    assert!(
        shown.stdout.starts_with("acme did not overstay: 4 calls. But there "),
        "{}",
        shown.stdout
    );
    run(&["--partner", "globx"])
        .expect_status(2)
        .expect_stderr(&["--partner: found `globx`", "did you mean `globex`?"]);
    let output = case.run(&["audit", "logs", "--partner", "globex"]).expect_status(2);
    output.expect_stderr(&["--partner needs a register"]);
}
