//! Reports into files: CSV tables and Markdown pages, what they hold, and what happens where they can't be written.

use crate::harness::{Case, MIXED};

fn audit(case: &Case, report: &str) -> crate::harness::Output {
    case.run(&["audit", "-q", "--register", "register", "logs", "--report", report])
}

/// The rows of a CSV file, by the names of their columns.
fn rows(case: &Case, name: &str) -> Vec<std::collections::HashMap<String, String>> {
    let text = case.read(name);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn csv_tables_say_what_the_json_report_says() {
    let case = Case::mixed();
    audit(&case, "csv=out").expect_status(0).expect_no_stdout();
    let report = case.run(&["audit", "-q", "--json", "--register", "register", "logs"]).report();
    let usage = rows(&case, "out/usage.csv");
    let calls: u64 = usage.iter().map(|row| row["calls"].parse::<u64>().unwrap()).sum();
    assert_eq!(calls, report["accounting"]["calls"]);
    let findings = rows(&case, "out/findings.csv");
    let json = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), json.len());
    for (row, finding) in findings.iter().zip(json) {
        for key in ["id", "kind", "severity", "summary"] {
            assert_eq!(row[key], finding[key].as_str().unwrap(), "{key}");
        }
        assert_eq!(row["served"], finding["served"].to_string());
        assert_eq!(row["subjects_count"], finding["subjects"]["count"].to_string());
    }
    let evidence: usize = json.iter().map(|f| f["evidence"].as_array().unwrap().len()).sum();
    assert_eq!(rows(&case, "out/evidence.csv").len(), evidence);
    for name in [
        "apis",
        "ends",
        "exceptions",
        "inputs",
        "partners",
        "rejects",
        "series",
        "sources",
        "suppressions",
    ] {
        rows(&case, &format!("out/{name}.csv"));
    }
}

#[test]
fn markdown_is_whole_or_in_pages() {
    let case = Case::mixed();
    let whole = audit(&case, "markdown").expect_status(0).stdout.clone();
    assert!(whole.starts_with("# Access after its end\n\n"));
    audit(&case, "markdown=report.md").expect_status(0).expect_no_stdout();
    assert_eq!(case.read("report.md"), whole);
    audit(&case, "markdown=pages/").expect_status(0);
    assert_eq!(case.read("pages/report.md"), whole);
    let acme = case.read("pages/partners/acme.md");
    assert!(acme.starts_with("# `acme`\n") && !acme.contains("globex"), "{acme}");
    case.read("pages/partners/globex.md");
    // Into the same folder again.
    audit(&case, "markdown=pages").expect_status(0);
    assert_eq!(case.read("pages/partners/acme.md"), acme);
}

#[test]
fn a_partners_page_stays_in_its_folder() {
    let long = "x".repeat(300);
    let partners = format!("partner\n../../evil\n.hidden\na/b\nZoë\n{long}\n");
    let case = Case::mixed();
    let partners = format!("{}{}", partners, "acme\nglobex\n");
    let case = case.file("register/partners.csv", partners);
    audit(&case, "markdown=pages/").expect_status(0);
    let names: Vec<String> =
        case.names().into_iter().filter(|name| name.starts_with("pages/")).collect();
    for name in [
        "pages/partners/%2E.%2F..%2Fevil.md",
        "pages/partners/%2Ehidden.md",
        "pages/partners/a%2Fb.md",
        "pages/partners/Zo%C3%AB.md",
    ] {
        assert!(names.contains(&name.to_owned()), "{name}: {names:?}");
    }
    assert_eq!(names.len(), 8, "{names:?}");
}

#[test]
fn hostile_values_are_neutralised_in_spreadsheets() {
    let line = |api: &str| {
        format!(
            "{{\"time\":\"2018-12-18T09:30:00Z\",\"client_id\":\"key-acme-1\",\"api\":{api:?},\"path\":\"/x\"}}\n"
        )
    };
    let hostile = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "a;=1"];
    let log: String = hostile.iter().map(|api| line(api)).collect();
    let case = Case::mixed().file("logs/mixed.log", log);
    audit(&case, "csv=out").expect_status(0);
    let operations: Vec<String> =
        rows(&case, "out/usage.csv").into_iter().map(|row| row["api"].clone()).collect();
    assert_eq!(operations.len(), hostile.len());
    for api in operations {
        assert!(!api.starts_with(['=', '+', '-', '@']) && !api.contains(";="), "{api}");
    }
}

#[test]
fn what_a_report_is_made_of_is_not_replaced_by_it() {
    let case = Case::mixed().file("pages/partners/a.log", MIXED);
    let before = case.names();
    for (report, told) in [
        ("csv=register", "a table of the register"),
        ("csv=none/out", "none/out: found no such folder"),
        ("csv=logs/mixed.log", "logs/mixed.log: found no such folder"),
    ] {
        let output = audit(&case, report).expect_status(2).expect_no_stdout();
        assert!(output.stderr.contains(told), "{report}: {}", output.stderr);
    }
    let arguments =
        ["audit", "--register", "register", "pages/partners", "--report", "markdown=pages/"];
    case.run(&arguments).expect_status(2).expect_stderr(&["expected another folder for the pages"]);
    case.run(&["audit", "--register", "register", "logs", "--report", "csv"])
        .expect_status(2)
        .expect_stderr(&[
            "expected a folder: there is a file for each table",
            "hint: --report csv=DIR",
        ]);
    assert_eq!(case.names(), before, "nothing is left behind");
}
