//! What a user of the other commands can see.

use crate::harness::Case;

#[test]
fn every_verdict_and_kind_is_explained() {
    let case = Case::new();
    let listed = case.run(&["explain"]).expect_status(0);
    let kinds: Vec<&str> =
        listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(kinds.len(), 18);
    for kind in kinds {
        let text = case.run(&["explain", kind]).expect_status(0).stdout.clone();
        assert!(
            text.starts_with(&format!("# {kind}\n")) && text.contains("## What to do"),
            "{kind}"
        );
    }
    let output = case.run(&["explain", "after-revokation"]).expect_status(2);
    output.expect_no_stdout().expect_stderr(&["hint: did you mean `after-revocation`?"]);
}

#[test]
fn completions_and_the_manual_are_printed() {
    let case = Case::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = case.run(&["completions", shell]).expect_status(0);
        assert!(output.stdout.contains("as-known-at"), "{shell}");
    }
    let manual = case.run(&["man"]).expect_status(0);
    assert!(manual.stdout.contains(".TH overstay 1"));
    assert!(case.run(&["--version"]).expect_status(0).stdout.starts_with("overstay 0."));
    assert!(case.run(&["audit", "--help"]).expect_status(0).stdout.contains("Examples:"));
    case.run(&["audti"]).expect_status(2).expect_no_stdout();
}

#[test]
fn check_tells_errors_from_warnings() {
    let case = Case::with_register();
    let arguments = ["check", "--register", "register"];
    let output = case.run(&arguments).expect_status(0);
    // The grants of the small register name no purpose: legal but odd.
    assert_eq!(output.stdout.lines().filter(|line| line.starts_with("warning: ")).count(), 2);
    assert!(output.stdout.contains("0 errors, 2 warnings"));
    case.write("register/apis.csv", "api,access\nmessages,opened\n");
    let output = case.run(&arguments).expect_status(2);
    assert!(output.stdout.starts_with("error: register/apis.csv: 2: access: found \"opened\""));
    case.run(&["check"]).expect_status(2).expect_stderr(&["there is nothing to check"]);
}

#[test]
fn check_reads_the_config_too() {
    let case = Case::with_register()
        .file("overstay.toml", "[register]\nsource = \"register\"\n[state]\ndir = \"s\"\n");
    let output = case.run(&["check"]).expect_status(0);
    assert!(output.stdout.contains("overstay.toml: no problems"));
    assert!(output.stdout.contains("[state] is not used by this version"));
    case.write("overstay.toml", "[severity]\nafter-expiry = \"grave\"\n");
    case.run(&["check"])
        .expect_status(2)
        .expect_stderr(&["grave", "critical, high, medium, low or info"]);
}

/// The first report in the README is the one that its command prints.
#[test]
fn the_readme_shows_the_first_report_as_it_looks() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let shown = readme.split("<!-- first report -->").nth(1).unwrap();
    let shown = shown.split("<!-- /first report -->").next().unwrap();
    let shown = shown.trim().trim_start_matches("```").trim_end_matches("```").trim();
    let case = Case::new();
    let config = root.join("sample-logs/overstay.toml");
    let mut command = case.command(&["audit", "-q", "--config", config.to_str().unwrap()]);
    command.env("COLUMNS", "100");
    let output = case.finish(command).expect_status(0);
    assert!(shown.lines().count() > 30);
    assert!(output.stdout.starts_with(shown), "the README shows another report");
}
