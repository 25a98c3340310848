//! What the commands that keep state say to the people who run them: help, headlines, tables, what to do next, and who may read
//! what they keep.

use crate::harness::Case;

/// What the help of a command says of a flag, its words in one line.
fn help_of(case: &Case, command: &str, flag: &str) -> String {
    let output = case.run(&[command, "--help"]).expect_status(0);
    let help = &output.stdout;
    let is_flag = |line: &str| line.trim_start().starts_with('-');
    let mut lines = help.lines().skip_while(|line| !is_flag(line) || !line.contains(flag));
    let head = lines.next().unwrap_or_else(|| panic!("{command} has no {flag}: {help}"));
    let body = lines.take_while(|line| !is_flag(line) && !line.starts_with(char::is_alphabetic));
    [head].into_iter().chain(body).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_flag_is_told_in_the_same_words() {
    let case = Case::new();
    for flag in ["--report ", "--json", "--fail-on ", "--color "] {
        let told = help_of(&case, "audit", flag);
        assert!(told.len() > flag.len() + 10, "{told}");
        for command in ["nightly", "report"] {
            assert_eq!(help_of(&case, command, flag), told, "{command}");
        }
    }
}
