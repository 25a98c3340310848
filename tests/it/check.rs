//! `overstay check`: what it says of a config and a register, and how it ends.

use crate::harness::{self, Case, Output};

/// A register without anything odd.
fn tidy() -> Case {
    Case::with_register()
        .file(
            "register/grants.csv",
            "grant,partner,api,operations,granted_at,revoked_at,purpose\n\
             g-acme,acme,messages,read,2018-01-01,,chat\n\
             g-globex,globex,messages,read,2018-01-01,2018-06-01,chat\n",
        )
        .file("register/purposes.csv", "purpose,name\nchat,Chat\n")
}

fn check(case: &Case, arguments: &[&str]) -> Output {
    case.run(&[&["check"], arguments].concat())
}

#[test]
fn a_tidy_register_has_no_problems() {
    let output = check(&tidy(), &["--register", "register"]).expect_status(0);
    assert_eq!(
        output.stdout,
        "register: no problems; 2 partners, 2 rows of credentials, 1 api, 2 grants\n"
    );
    let output = check(&tidy(), &["--register", "register", "--quiet"]).expect_status(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

#[test]
fn what_is_legal_but_odd_is_a_warning_and_no_failure() {
    let case = tidy()
        .file("register/partners.csv", "partner\nacme\nglobex\nidle\n")
        .file("register/apis.csv", "api\nmessages\nquiet\n")
        .file(
            "register/grants.csv",
            "grant,partner,api,operations,purpose\n\
             g-acme,acme,messages,read,\ng-globex,globex,messages,read|list,chat\n",
        );
    let output = check(&case, &["--register", "register"]).expect_status(0);
    let told: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(
        told,
        [
            "warning: register/apis.csv: 3: api: found \"quiet\", which has no routes",
            "warning: register/grants.csv: 2: purpose: found \"g-acme\" without a purpose",
            "warning: register/grants.csv: 3: operations: found \"list\", which no route of \"messages\" nor its method yields",
            "warning: register/partners.csv: 4: partner: found \"idle\", which has no credentials",
            "register: 0 errors, 4 warnings; 3 partners, 2 rows of credentials, 2 apis, 2 grants",
        ]
    );
    // And nobody is kept from judging by it.
    let case = case.file("x.log", "");
    case.run(&["audit", "--register", "register", "x.log"]).expect_status(0);
}

#[test]
fn errors_end_with_status_2() {
    let case = tidy().file("register/apis.csv", "api,access\nmessages,shut\n");
    let output = check(&case, &["--register", "register"]).expect_status(2);
    let told: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        told[0],
        "error: register/apis.csv: 2: access: found \"shut\", expected \"open\" or a blank"
    );
    assert!(told[1].starts_with("register: 1 error, 0 warnings; "), "{}", told[1]);
    let output = check(&case, &["--register", "register", "--quiet"]).expect_status(2);
    assert_eq!(output.stdout.lines().count(), 1);
}

#[test]
fn a_hint_says_what_may_be_meant() {
    let case = tidy().file("register/routes.csv", "path,api\n/m,mesages\n/n,messages\n");
    let output = check(&case, &["--register", "register"]).expect_status(2);
    assert!(output.stdout.contains(
        "error: register/routes.csv: 2: api: found \"mesages\", expected one of the apis table\n  hint: did you mean \"messages\"?\n"
    ));
}

#[test]
fn the_config_of_the_folder_is_checked_with_its_register() {
    let case = tidy().file("overstay.toml", "[register]\nsource = \"register\"\n");
    let output = check(&case, &[]).expect_status(0);
    assert!(output.stdout.contains("register: no problems; "));
    assert!(output.stdout.ends_with("overstay.toml: no problems\n"));
    // Its register, by its own folder; wherever one stands.
    let config = case.path("overstay.toml");
    let output = check(&Case::new(), &["--config", config.to_str().unwrap()]).expect_status(0);
    assert!(output.stdout.contains("no problems; 2 partners"));
    let case = case.file("register/partners.csv", "partner\n");
    check(&case, &[]).expect_status(2);
}

#[test]
fn a_config_alone_is_checked() {
    let case = Case::new().file("overstay.toml", "[report]\noutputs = [\"json=-\"]\n");
    let output = check(&case, &[]).expect_status(0);
    assert_eq!(output.stdout, "overstay.toml: no problems\n");
    let case = case.file("overstay.toml", "[severity]\nanonymous = \"low\"\n");
    let output = check(&case, &[]).expect_status(0);
    assert_eq!(
        output.stdout,
        "warning: overstay.toml: [severity] and [[suppress]] without a register: nothing is judged, so they have no effect\n\
         overstay.toml: 0 errors, 1 warning\n"
    );
}

/// What `audit` would refuse of a configuration's logs and reports, `check` tells before the night.
#[test]
fn logs_and_reports_of_a_config_are_looked_for() {
    let logs = |paths: &str| format!("[[logs]]\nsource = \"{paths}\"\npaths = [\"{paths}\"]\n");
    let case = tidy().file("logs/a.jsonl", "").file(
        "overstay.toml",
        format!(
            "[register]\nsource = \"register\"\n{}{}{}[report]\noutputs = [\"json=logs/a.jsonl\"]\n",
            logs("logs/*.jsonl"),
            logs("logs/a.*"),
            logs("none/*.log"),
        ),
    );
    let output = check(&case, &[]).expect_status(2);
    let told = "error: logs/a.jsonl: found in the sources logs/*.jsonl and logs/a.*, expected each log in one\n";
    assert!(output.stdout.contains(told), "{}", output.stdout);
    let case = case.file(
        "overstay.toml",
        format!(
            "[register]\nsource = \"register\"\n{}{}[report]\noutputs = [\"json=logs/a.jsonl\"]\n",
            logs("logs/*.jsonl"),
            logs("none/*.log"),
        ),
    );
    let output = check(&case, &[]).expect_status(2);
    for told in [
        "warning: overstay.toml: none/*.log: matches nothing (source none/*.log)\n",
        "error: logs/a.jsonl: found a log to read, expected another path for the report\n",
        "overstay.toml: 1 error, 1 warning\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

#[test]
fn reports_that_audit_would_refuse_are_told_all() {
    let outputs = [
        "terminal",
        "json",
        "json=folder",
        "json=none/x.json",
        "json=logs/new.jsonl",
        "json=register/grants.json",
    ];
    let config = format!(
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"a\"\npaths = [\"logs/*.jsonl\"]\n\
         [[logs]]\nsource = \"b\"\npaths = [\"s3://bucket/logs\"]\n[report]\noutputs = {outputs:?}\n"
    );
    let case = tidy().file("overstay.toml", config).file("logs/a.jsonl", "").file("folder/x", "");
    let output = check(&case, &[]).expect_status(2);
    for told in [
        "error: overstay.toml: 10: [report] outputs: two reports to standard output, expected one at most\n",
        "error: folder: found a folder, expected a file's path\n",
        "error: none/x.json: found no such folder, expected one for the report\n",
        "error: logs/new.jsonl: found where logs are looked for, expected another path for the report\n",
        "error: register/grants.json: found a table of the register, expected another path for the report\n",
        "error: s3://bucket/logs: this version reads files and standard input, no URLs\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

#[test]
fn a_register_that_is_not_there_is_told_with_all_else() {
    let config = "[register]\nsource = \"none\"\n[severity]\nopen = \"low\"\n";
    let case = Case::new().file("overstay.toml", config);
    let output = check(&case, &[]).expect_status(2);
    for told in [
        "error: none: no such file or directory\n  hint: a register is a folder",
        "error: overstay.toml: 4: [severity]",
        "overstay.toml: 1 error, 0 warnings\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

#[test]
fn a_suppression_tells_all_that_is_wrong_with_it_and_takes_only_ids_that_can_be() {
    for (id, fits) in [
        ("os-7f3k2mq4t6xa", true),
        ("os-7f3", true),
        ("os-7f3k2mq4t6xab", false),
        ("os-7F3", false),
        ("os-7f1", false),
        ("os-", false),
    ] {
        let suppress = format!(
            "[[suppress]]\nfinding = \"{id}\"\nowner = \"{}\"\nreason = \"r\"\nuntil = \"{}\"\n",
            if fits { "o" } else { "" },
            if fits { "2030-01-01" } else { "soon" },
        );
        let config = format!("[register]\nsource = \"register\"\n{suppress}");
        let case = tidy().file("overstay.toml", config);
        let output = check(&case, &[]).expect_status(if fits { 0 } else { 2 });
        for told in [
            format!("[[suppress]] finding: found `{id}`"),
            "[[suppress]] owner: found nothing".to_owned(),
            "[[suppress]] until: found `soon`".to_owned(),
        ] {
            assert_eq!(output.stdout.contains(&told), !fits, "{id}: {told}\n{}", output.stdout);
        }
    }
}

#[test]
fn words_that_stand_for_one_where_several_were_meant_are_odd() {
    let case = tidy()
        .file("register/routes.csv", "path,api,operation\n/m,messages,read|write\n/n,messages,*\n")
        .file("register/consents.csv", "subject,partner,api,at,state\n*,*,*,2018-01-01,given\n");
    let output = check(&case, &["--register", "register"]).expect_status(0);
    for told in [
        "warning: register/routes.csv: 2: operation: found \"read|write\", which is taken as the name of one operation",
        "warning: register/routes.csv: 3: operation: found \"*\", which is taken as the name of one operation",
        "warning: register/consents.csv: 2: subject: found \"*\", which is taken as the name of one person",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

#[test]
fn what_this_version_has_no_use_for_is_named() {
    let case = tidy()
        .file("overstay.toml", "[register]\nsource = \"register\"\n[state]\narchive = true\n");
    let output = check(&case, &[]).expect_status(0);
    assert!(
        output
            .stdout
            .contains("warning: overstay.toml: [state] archive is not used by this version\n")
    );
}

#[test]
fn without_anything_to_check_it_fails() {
    let output = check(&Case::new(), &[]).expect_status(2).expect_no_stdout();
    let _ =
        output.expect_stderr(&["error: there is nothing to check\n", "hint: give --config FILE"]);
}

#[test]
fn cells_that_command_a_terminal_are_spelled_out() {
    let case = tidy().file("register/routes.csv", "path,api\n/m,\u{1b}[2Jx\u{202e}y\n");
    let output = check(&case, &["--register", "register"]).expect_status(2);
    assert!(output.stdout.contains("[2Jx"));
    assert!(!output.stdout.contains(['\u{1b}', '\u{202e}']));
}

/// What `audit` would refuse in a config, `check` refuses.
#[test]
fn check_looks_at_outputs_and_suppressions() {
    let case = Case::with_register();
    case.write(
        "overstay.toml",
        "[register]\nsource = \"register\"\n[report]\noutputs = [\"pdf\"]\n",
    );
    let output = case.run(&["check"]).expect_status(2);
    assert!(
        output.stdout.contains("error: overstay.toml: 4: [report] outputs: --report: found `pdf`")
    );
    for id in ["", "7f3k2mq4t6xa", "os-"] {
        let config = format!(
            "[[suppress]]\nfinding = \"{id}\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"2030-01-01\"\n"
        );
        case.write("overstay.toml", config);
        let output = case.run(&["check"]).expect_status(2);
        assert!(output.stdout.contains("error: overstay.toml: 1: [[suppress]] finding: found"));
    }
}

/// Everything at once, config and register, each with its line.
#[test]
fn check_tells_all_problems_of_a_config_and_its_register() {
    let case = tidy().file("register/apis.csv", "api,access\nmessages,shut\n").file(
        "overstay.toml",
        "[register]\nsource = \"register\"\n\
         [[logs]]\nsource = \"a\"\npaths = []\n\
         [[logs]]\nsource = \" \"\npaths = [\"x\"]\n\
         [[logs]]\nsource = \"b\"\npaths = [\"x\"]\nlookback = \"banana\"\n\
         [[logs]]\nsource = \"c\"\npaths = [\"x\"]\nformat = \"jsn\"\n\
         [formats.auto]\nkind = \"json\"\n\
         [formats.f]\nkind = \"json\"\nats = \"time\"\n\
         [severity]\nafter-expiry = \"grave\"\nafter-expry = \"low\"\n\
         [[suppress]]\nkind = \"open\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"20261231\"\n\
         [report]\noutputs = [\"pdf\"]\n",
    );
    let output = check(&case, &[]).expect_status(2);
    for told in [
        "error: overstay.toml: 3: [[logs]] a: paths: found nothing",
        "error: overstay.toml: 6: [[logs]] source: found nothing",
        "error: overstay.toml: 12: [[logs]] b: lookback: found `banana`",
        "error: overstay.toml: 13: [[logs]] c: format: found `jsn`",
        "  hint: did you mean `json`?\n",
        "error: overstay.toml: 17: [formats.auto]: found a name",
        "error: overstay.toml: 19: [formats.f]: unknown key `ats`",
        "error: overstay.toml: 19: [formats.f]: neither `path` nor `api`",
        "error: overstay.toml: 23: [severity] after-expiry: found `grave`",
        "error: overstay.toml: 24: [severity]: found kind `after-expry`",
        "error: overstay.toml: 25: [[suppress]]: found kind `open`",
        "error: register/apis.csv: 2: access: found \"shut\"",
        "error: overstay.toml: 31: [report] outputs: --report: found `pdf`",
        "error: overstay.toml: 25: [[suppress]] until: found `20261231`",
        "overstay.toml: 13 errors, 0 warnings\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
    // What check refuses, audit refuses, and says it all.
    let case = case.file("x", "");
    let output = case.run(&["audit"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: the configuration has 13 errors:\n",
        "12: [[logs]] b",
        "25: [[suppress]]",
    ]);
}

/// In these tables a key or a person stands in the next column.
#[test]
fn columns_that_changed_places_leak_no_key_and_no_person() {
    let case = tidy()
        .file(
            "register/credentials.csv",
            "partner,valid_from,credential\nAKIA-SECRET-1,KEY-SECRET-2,acme\n",
        )
        .file(
            "register/consents.csv",
            "api,at,partner,subject,state\nann-person,bob-person,cat-person,acme,dan-person\n",
        );
    let output = check(&case, &["--register", "register"]).expect_status(2);
    assert!(
        !output.stdout.contains("SECRET") && !output.stdout.contains("person"),
        "{}",
        output.stdout
    );
    for told in [
        "register/credentials.csv: 2: partner: found something else, expected one of the partners table",
        "register/credentials.csv: 2: valid_from: found something else, expected an instant",
        "register/consents.csv: 2: state: found something else, expected \"given\" or \"withdrawn\"",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

#[test]
fn numbers_that_are_surely_no_unix_seconds_are_refused() {
    let case = tidy().file(
        "register/grants.csv",
        "grant,partner,api,operations,granted_at,revoked_at,purpose\n\
         g-acme,acme,messages,read,20180101,,chat\n\
         g-globex,globex,messages,read,+1514764800,1545004800000,chat\n",
    );
    let output = check(&case, &["--register", "register"]).expect_status(2);
    let told: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with(
        "error: register/grants.csv: 2: granted_at: found \"20180101\", expected an instant"
    ));
    assert!(told[1].starts_with(
        "error: register/grants.csv: 3: revoked_at: found \"1545004800000\", expected an instant"
    ));
    // On the command line nobody means the year 1970.
    let case = case.file("x.log", "");
    for number in ["2020", "20181218", "1545004800000"] {
        let audit = ["audit", "--register", "register", "x.log", "--since", number];
        let output = case.run(&audit).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[
            &format!("error: --since: found `{number}`, expected RFC 3339"),
            "as seconds it lies",
        ]);
    }
}

#[test]
fn a_hash_in_capitals_is_no_key() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for prefix in ["SHA256:", "sha256=", "sha256-"] {
        let credentials = format!("credential,partner\n{prefix}{hash},acme\n");
        let case = tidy().file("register/credentials.csv", credentials);
        let output = check(&case, &["--register", "register"]).expect_status(2);
        let told = format!(
            "register/credentials.csv: 2: credential: found {prefix}, expected sha256: in lower case"
        );
        assert!(output.stdout.contains(&told), "{}", output.stdout);
    }
}

#[test]
fn other_separators_are_named() {
    let case = tidy().file("register/partners.csv", "partner;name\nacme;Acme\n");
    let output = check(&case, &["--register", "register"]).expect_status(2);
    assert!(output.stdout.starts_with(
        "error: register/partners.csv: 1: found semicolons between the columns, expected commas\n  hint: "
    ), "{}", output.stdout);
    assert!(output.stdout.contains("register: 1 error, 0 warnings"), "{}", output.stdout);
}

#[test]
fn many_grants_without_a_purpose_are_one_warning() {
    let grants: String = (0..9).map(|n| format!("g{n},acme,messages,read\n")).collect();
    let case =
        tidy().file("register/grants.csv", format!("grant,partner,api,operations\n{grants}"));
    let output = check(&case, &["--register", "register"]).expect_status(0);
    assert!(output.stdout.starts_with(
        "warning: register/grants.csv: 2: purpose: found 9 grants without a purpose, this one the first"
    ));
    assert_eq!(output.stdout.lines().count(), 2);
}

/// What is legal and in vain: whom calls are about would never be known, and nothing would be hidden.
#[test]
fn names_that_lead_nowhere_are_odd() {
    let case = tidy().file("logs/x.log", harness::calls(2)).file(
        "overstay.toml",
        "[register]\nsource = \"register\"\n\
         [[logs]]\nsource = \"a\"\npaths = [\"logs/*\"]\nformat = \"f\"\n\
         [formats.f]\nkind = \"json\"\nat = \"time\"\npath = \"path\"\ncredential = \"clientid\"\nsubject = { route = \"usr\" }\n\
         [[suppress]]\nkind = \"anonymous\"\npartner = \"acmee\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"2030-01-01\"\n",
    );
    let output = check(&case, &[]).expect_status(0);
    for told in [
        "warning: [formats.f]: no route of the register has the placeholder `usr`; did you mean `user`?\n",
        "warning: [[suppress]] partner: the register has no `acmee`, so nothing is hidden; did you mean `acme`?\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
    let output = case.run(&["audit"]).expect_status(0);
    assert!(
        output.stdout.contains(
            "source a: none of its 2 calls named a credential: does its format say where it is?\n"
        ),
        "{}",
        output.stdout
    );
    output.expect_stderr(&[
        "warning: [formats.f]: no route of the register has the placeholder `usr`",
    ]);
}

#[test]
fn other_ways_to_write_lists_and_placeholders_are_odd() {
    let case = tidy()
        .file(
            "register/routes.csv",
            "path,api\n/messages/{user},messages\n/orders/:order,messages\n",
        )
        .file(
            "register/grants.csv",
            "grant,partner,api,operations,granted_at,revoked_at,purpose\n\
             g-acme,acme,messages,read write,2018-01-01,,chat\n",
        );
    let output = check(&case, &["--register", "register"]).expect_status(0);
    for told in [
        "warning: register/grants.csv: 2: operations: found \"read write\", taken as one operation; several have | between them\n",
        "warning: register/routes.csv: 3: path: found \"/orders/:order\", of which each part stands for itself; a placeholder is written {name}\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
}

/// Also where other rows are in order, and where the header is missing and a row stands in its place.
#[test]
fn a_row_or_a_header_out_of_place_leaks_no_key_and_no_person() {
    let register = |credentials: &str, consents: &str| {
        tidy().file("register/credentials.csv", credentials).file("register/consents.csv", consents)
    };
    for case in [
        register(
            "credential,partner\nkey-acme-1,acme\nacme,SECRET-2\n",
            "subject,partner,api,at,state\nacme,person-1,messages,0,given\nann,acme,messages,0,given\nacme,acme,person-2,0,given\n",
        ),
        register("SECRET-1,acme\nSECRET-2,globex\n", "person-1,acme,messages,0,given\n"),
    ] {
        let output = check(&case, &["--register", "register"]).expect_status(2);
        assert!(
            !output.stdout.contains("SECRET") && !output.stdout.contains("person"),
            "{}",
            output.stdout
        );
        let case = case.file("x.log", "");
        let output = case.run(&["audit", "--register", "register", "x.log"]).expect_status(2);
        assert!(
            !output.stderr.contains("SECRET") && !output.stderr.contains("person"),
            "{}",
            output.stderr
        );
    }
}
