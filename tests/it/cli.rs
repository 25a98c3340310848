//! What the program says of itself: help, version, explanations, completions, manual page.

use overstay::findings::Kind;
use overstay::judge::Verdict;

use crate::harness::{Case, repository};

#[test]
fn help_and_version_go_to_standard_output() {
    let case = Case::new();
    let output = case.run(&["--help"]).expect_status(0);
    assert_eq!(output.stderr, "");
    for word in
        ["audit", "calls", "check", "explain", "synth", "completions", "man", "Exit status: 0 done"]
    {
        assert!(output.stdout.contains(word), "{word}");
    }
    let output = case.run(&["--version"]).expect_status(0);
    assert_eq!(output.stdout, format!("overstay {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["audit", "calls", "check", "explain", "synth", "completions", "man"] {
        let output = case.run(&[command, "--help"]).expect_status(0);
        assert!(output.stdout.contains("Usage: overstay "), "{command}");
        // As wide as a page, however wide the terminal.
        assert!(output.stdout.lines().all(|line| line.chars().count() <= 100), "{command}");
    }
}

#[test]
fn every_flag_of_the_contract_is_in_the_help() {
    let case = Case::new();
    let audit = case.run(&["audit", "--help"]).expect_status(0);
    let calls = case.run(&["calls", "--help"]).expect_status(0);
    for flag in [
        "--config",
        "--register",
        "--log-format",
        "--since",
        "--until",
        "--as-known-at",
        "--max-rejects",
        "--threads",
        "--io",
        "--quiet",
    ] {
        assert!(audit.stdout.contains(flag), "audit {flag}");
        assert!(calls.stdout.contains(flag), "calls {flag}");
    }
    for flag in ["--report", "--json", "--fail-on", "--digest", "--color", "COLUMNS", "NO_COLOR"] {
        assert!(audit.stdout.contains(flag), "audit {flag}");
    }
    for flag in [
        "--finding",
        "--partner",
        "--credential",
        "--api",
        "--operation",
        "--verdict",
        "--outcome",
        "--subject",
        "--raw",
        "--distinct",
        "--verify",
    ] {
        assert!(calls.stdout.contains(flag), "calls {flag}");
    }
    let synth = case.run(&["synth", "--help"]).expect_status(0);
    for flag in [
        "--calls",
        "--partners",
        "--credentials",
        "--apis",
        "--grants",
        "--routes",
        "--people",
        "--consents",
        "--days",
        "--seed",
        "--log-format",
        "--violations",
        "--files",
        "--compress",
        "--logs",
        "--timeline",
        "--threads",
    ] {
        assert!(synth.stdout.contains(flag), "synth {flag}");
    }
}

#[test]
fn without_a_command_it_shows_how() {
    let output = Case::new().run::<&str>(&[]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["Usage: overstay", "audit"]);
}

/// Every verdict and kind of finding.
fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect();
    kinds.extend(Kind::all().map(Kind::as_str));
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn every_kind_is_explained() {
    let case = Case::new();
    assert_eq!(kinds().len(), 34);
    for kind in kinds() {
        let output = case.run(&["explain", kind]).expect_status(0);
        assert!(output.stdout.contains(kind), "{kind}");
        assert!(output.stdout.starts_with(&format!("# {kind}\n")), "{kind}");
        assert!(output.stdout.contains("\n## What to do\n"), "{kind}");
        let headings = output.stdout.lines().filter(|line| line.starts_with('#')).count();
        assert!(
            headings >= 4,
            "{kind}: what it means, why it matters, what it cannot see, what to do"
        );
    }
}

#[test]
fn without_a_kind_all_are_listed() {
    let output = Case::new().run(&["explain"]).expect_status(0);
    let listed: Vec<&str> =
        output.stdout.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let mut sorted: Vec<&str> = listed.iter().map(|kind| kind.trim()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, kinds());
    assert!(output.stdout.lines().all(|line| line.trim_end().ends_with('.')), "a sentence on each");
}

#[test]
fn an_unknown_kind_names_the_nearest() {
    let output =
        Case::new().run(&["explain", "after-revokation"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: found `after-revokation`, expected a verdict or a kind of finding\n",
        "hint: did you mean `after-revocation`?\n",
    ]);
    let output = Case::new().run(&["explain", "x"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["hint: `overstay explain` lists them\n"]);
}

#[test]
fn a_finding_is_explained_by_its_kind() {
    let output = Case::new().run(&["explain", "os-7f3k"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["hint: that is a finding's id", "`overstay calls --finding os-7f3k`\n"]);
}

#[test]
fn the_list_of_kinds_fits_the_screen() {
    let case = Case::new();
    let mut command = case.command(&["explain"]);
    command.env("COLUMNS", "72");
    let output = case.finish(command).expect_status(0);
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 72));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&output.stdout), words(&case.run(&["explain"]).stdout));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Case::new().run(&["completions", shell]).expect_status(0);
        for word in ["overstay", "audit", "fail-on"] {
            assert!(output.stdout.contains(word), "{shell}: {word}");
        }
    }
    Case::new().run(&["completions", "sh"]).expect_status(2).expect_no_stdout();
}

#[test]
fn the_manual_page_is_one() {
    let output = Case::new().run(&["man"]).expect_status(0);
    assert!(output.stdout.contains(".TH overstay 1"));
    assert!(output.stdout.contains("audit"));
    let output = Case::new().run(&["man", "audit"]).expect_status(0);
    let version = env!("CARGO_PKG_VERSION");
    assert!(output.stdout.contains(&format!(".TH overstay-audit 1  \"audit {version}\"")));
}

/// The first report in the README is the one that its command prints.
#[test]
fn the_readme_shows_the_first_report_as_it_looks() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let shown = readme.split("<!-- first report -->").nth(1).unwrap();
    let shown = shown.split("<!-- /first report -->").next().unwrap();
    let shown = shown.trim().trim_start_matches("```").trim_end_matches("```").trim();
    let case = Case::new();
    let config = repository("sample-logs/overstay.toml");
    let mut command = case.command(&["audit", "-q", "--config", config.to_str().unwrap()]);
    command.env("COLUMNS", "100");
    let output = case.finish(command).expect_status(0);
    assert!(shown.lines().count() > 30);
    assert!(output.stdout.starts_with(shown), "the README shows another report");
}

/// The files that `docs/report.md` shows give the report that it shows.
#[test]
fn the_docs_show_the_report_of_their_example() {
    let docs = std::fs::read_to_string(repository("docs/report.md")).unwrap();
    let example = docs.split("\n## Example\n").nth(1).unwrap();
    // A block is a file's if its name stands on the line before.
    let mut case = Case::new();
    let mut report = None;
    let mut blocks = example.split("```");
    while let (Some(before), Some(block)) = (blocks.next(), blocks.next()) {
        let (kind, content) = block.split_once('\n').unwrap();
        let name = before.trim_end().lines().next_back().unwrap();
        match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
            Some(name) => case = case.file(name, content),
            None => assert_eq!((kind, report.replace(content)), ("json", None)),
        }
    }
    assert!(example.contains("`overstay audit --json --max-rejects 1`"));
    let output = case.run(&["audit", "--json", "--max-rejects", "1"]).expect_status(0);
    assert_eq!(output.stdout, report.unwrap(), "docs/report.md shows another report");
}
