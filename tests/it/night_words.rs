//! What the commands that keep state say to the people who run them: help, headlines, tables, what to do next, and who may read
//! what they keep.

use std::fs;

use serde_json::{Value, json};

use crate::concatenation::but_places;
use crate::harness::{Case, Output, repository};
use crate::nightly::CONFIG;

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

/// A case with the logs, the register and the config of `sample-logs`.
fn samples() -> Case {
    let case = Case::new();
    let folder = repository("sample-logs");
    for entry in walkdir::WalkDir::new(&folder).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            case.write(&name, fs::read(entry.path()).unwrap());
        }
    }
    case
}

fn nightly(case: &Case, run_at: &str, rest: &[&str]) -> Output {
    case.run(&[&["nightly", "--quiet", "--run-at", run_at], rest].concat())
}

/// What a report on one partner tells that `audit` and the state tell alike: all of it, but for places, what only runs that
/// keep state tell, and how long calls to apis took, which is not kept by partner.
fn of_partner(mut report: Value) -> Value {
    for api in report["apis"].as_array_mut().unwrap() {
        api.as_object_mut().unwrap().remove("latency_us");
    }
    but_places(report)
}

/// From the state as from the logs, for each partner of the sample and one that made no call.
#[test]
fn a_report_on_one_partner_is_what_audit_tells_of_it() {
    let case = samples();
    nightly(&case, "2018-12-20T02:00:00Z", &["--json"]).expect_status(0);
    let whole = case.run(&["report", "--json"]).expect_status(0).report();
    let partners = whole["partners"].as_array().unwrap();
    assert_eq!(partners.len(), 14);
    let (mut calls, mut without_subject) = (0, 0);
    for partner in partners {
        let partner = partner["partner"].as_str().unwrap();
        let of = |command: &str| {
            case.run(&[command, "--json", "--partner", partner]).expect_status(0).report()
        };
        let (told, audited) = (of("report"), of("audit"));
        assert_eq!(told["partner"], partner);
        for api in told["apis"].as_array().unwrap() {
            assert_eq!(api["latency_us"]["count"], 0, "{api}");
            without_subject += api["calls_without_subject"].as_u64().unwrap();
        }
        calls += told["partners"][0]["calls"].as_u64().unwrap();
        assert_eq!(
            told["findings"].as_array().unwrap().len(),
            audited["findings"].as_array().unwrap().len()
        );
        assert_eq!(of_partner(told), of_partner(audited), "{partner}");
    }
    // As the README shows them.
    assert_eq!((calls, without_subject), (4_893, 6));

    let output = case.run(&["report", "--partner", "reelhous"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["--partner: found `reelhous`", "did you mean `reelhouse`?"]);
    let markdown = case.run(&["report", "--partner", "reelhouse", "--report", "markdown"]);
    let markdown = markdown.expect_status(0);
    assert!(markdown.stdout.contains("\nreelhouse overstayed: 1,404 served calls"));
    assert!(!markdown.stdout.contains("seekly"));
}

/// One that the register no longer lists, of whom calls are kept.
#[test]
fn a_partner_that_is_gone_from_the_register_can_be_reported_on() {
    let case = Case::mixed().file("overstay.toml", CONFIG);
    nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0);
    case.write("register/partners.csv", "partner,name\nglobex,Globex\n");
    case.write("register/credentials.csv", "credential,partner\nkey-globex-2,globex\n");
    let grants = case.read("register/grants.csv");
    let kept: Vec<&str> = grants.lines().filter(|line| !line.starts_with("g-acme")).collect();
    case.write("register/grants.csv", kept.join("\n"));
    let report = case.run(&["report", "--json", "--partner", "acme"]).expect_status(0).report();
    assert_eq!(report["partners"][0]["calls"], 3);
    assert_eq!(report["accounting"]["calls"], 9);
    let kinds = report["findings"].as_array().unwrap().iter();
    let mut kinds: Vec<&str> = kinds.map(|finding| finding["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["out-of-scope", "unlisted-api"]);
}

/// Notes are for people who look; what is wrong is told all the same.
#[test]
fn quiet_leaves_notes_out_and_nothing_else() {
    let case = Case::mixed().file("overstay.toml", CONFIG);
    case.write("register/grants.csv", "grant,partner,api,operations\ng,globex,messages,read\n");
    nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0);
    let told = case.run(&["verify"]).expect_status(0).expect_stderr(&["note: nobody vouches"]);
    assert!(told.stderr.contains("note: 1 run, all reports"));
    for flag in ["--quiet", "-q"] {
        let quiet = case.run(&["verify", flag]).expect_status(0);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    }
    // As `audit` does.
    for command in ["report", "audit"] {
        let told = case.run(&[command]).expect_status(0);
        let told = told.expect_stderr(&["note: 1 of 2 partners with calls has no grant"]);
        let quiet = case.run(&[command, "--quiet"]).expect_status(0);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), (told.stdout.as_str(), ""));
    }

    case.write("reports/runs/000001/report.md", "");
    let told = case.run(&["verify", "--quiet"]).expect_status(2);
    assert!(told.stdout.contains("report.md"), "{}", told.stdout);
    assert!(told.stderr.contains("warning: 1 problem"), "{}", told.stderr);
}

/// Who may look into what, by the umask that most systems have.
#[cfg(unix)]
#[test]
fn only_the_owner_may_look_into_the_state() {
    use std::os::unix::fs::PermissionsExt as _;

    let case = Case::mixed().file("overstay.toml", CONFIG);
    let run = format!(
        "umask 022 && exec {} nightly --quiet --run-at 2018-12-20T02:00:00Z",
        env!("CARGO_BIN_EXE_overstay")
    );
    case.finish(case.tool("sh", &["-c", &run])).expect_status(0);
    let kept: Vec<_> = walkdir::WalkDir::new(case.path("state")).into_iter().collect();
    let folders = kept.iter().flatten().filter(|entry| entry.file_type().is_dir());
    let mut seen = Vec::new();
    for folder in folders {
        let mode = folder.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}: {mode:o}", folder.path().display());
        seen.push(folder.path().strip_prefix(case.path("state")).unwrap().to_owned());
    }
    // The state, its segments and its registers, of which there is one.
    assert_eq!(seen.len(), 4, "{seen:?}");
    for folder in ["reports", "reports/runs", "reports/runs/000001", "reports/2018-12-18"] {
        let mode = fs::metadata(case.path(folder)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o755, "{folder}: {mode:o}");
    }
    // What somebody has let others see stays so.
    fs::set_permissions(case.path("state"), fs::Permissions::from_mode(0o750)).unwrap();
    nightly(&case, "2018-12-21T02:00:00Z", &[]).expect_status(0);
    let mode = fs::metadata(case.path("state")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o750);
}

/// A call of 2018-12 by `globex`, whose grant was revoked, or by `acme`, whose grant is live.
fn call(day: u32, is_good: bool) -> String {
    let key = if is_good { "key-acme-1" } else { "key-globex-2" };
    format!(
        "{{\"time\":\"2018-12-{day:02}T09:00:00Z\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"/messages/ann\",\"status\":200}}\n"
    )
}

/// What a run at 02:00 of that day says of the one finding of `globex` after the calls of the day before have come, of which it
/// is told whether they are in order: its status and since when it is known.
fn life(case: &Case, day: u32, calls: &[bool]) -> (Value, Value) {
    for is_good in calls {
        let line = call(day - 1, *is_good);
        let mut log = fs::read(case.path("logs/a.log")).unwrap_or_default();
        log.extend(line.as_bytes());
        case.write("logs/a.log", log);
    }
    let run_at = format!("2018-12-{day:02}T02:00:00Z");
    let report = nightly(case, &run_at, &["--json"]).expect_status(0).report();
    let of_globex = report["findings"].as_array().unwrap().iter();
    let mut of_globex = of_globex.filter(|finding| finding["partner"] == "globex");
    let told = of_globex.next().map_or((Value::Null, Value::Null), |finding| {
        (finding["status"].clone(), finding["first_seen"].clone())
    });
    assert!(of_globex.next().is_none());
    told
}

/// What stands of the sample's findings on the nights after, in which nothing comes.
const STANDING: &str = "STANDING    23 findings of earlier runs, of which this one found nothing: 8 critical, 5 high, 4 medium, 4 low, 1 info, 1 suppressed\n";

/// Nothing came: that is said, and that it clears nobody, with what stands.
#[test]
fn a_quiet_night_is_told_as_one() {
    let case = samples();
    let first = nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0);
    assert!(!first.stdout.contains("STANDING"), "{}", first.stdout);
    let quiet = nightly(&case, "2018-12-21T02:00:00Z", &[]).expect_status(0);
    let head = "\
Nothing new, which clears nobody: 8 logs were looked at, and none had a line more than at run 1, 2018-12-20T02:00:00Z. 24 findings stand, the gravest critical.

RUN         2 at 2018-12-21T02:00:00Z: no calls added

SEVERITY  KIND             PARTNER    API              PEOPLE  OVERSTAY  STATUS   ID               OPERATIONS  CALLS
HIGH      standing-access  seekly     friend-profiles  -       -         ongoing  os-6ppslxqnkgpr  read        grant sk-friends
HIGH      standing-access  loomworks  photos           -       -         ongoing  os-if6p2z2iqlbe  read        grant lw-photos
";
    let rest = quiet.stdout.strip_prefix(head).unwrap();
    let rest = rest.strip_prefix(STANDING).unwrap();
    assert!(rest.starts_with("ENDS        0 in the window\n"), "{rest}");
    assert!(rest.ends_with("\nnext: overstay explain standing-access\n      overstay report\n"));
    assert!(!rest.contains("made no call") && !rest.contains("PARTNER  CALLS"), "{rest}");
    // Told to be quiet, it tells nothing else; else nothing of no bytes a second.
    assert_eq!(quiet.stderr, "");
    let told = case.run(&["nightly", "--dry-run", "--run-at", "2018-12-22T02:00:00Z"]);
    assert_eq!(told.expect_status(0).stderr, "");

    // On a terminal no line is longer than it.
    let mut command =
        case.command(&["nightly", "-q", "--dry-run", "--run-at", "2018-12-22T02:00:00Z"]);
    command.env("COLUMNS", "80");
    let narrow = case.finish(command).expect_status(0);
    assert!(narrow.stdout.lines().all(|line| line.chars().count() <= 80), "{}", narrow.stdout);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&narrow.stdout).contains(&words(STANDING)), "{}", narrow.stdout);

    let report: Value =
        serde_json::from_str(&case.read("reports/runs/000002/report.json")).unwrap();
    assert_eq!(report["headline"], head.lines().next().unwrap());
    let nightly = &report["nightly"];
    assert_eq!(nightly["since"], json!({ "run": 1, "run_at": "2018-12-20T02:00:00Z" }));
    assert_eq!(nightly["logs"], 8);
    let standing =
        json!({ "critical": 8, "high": 5, "medium": 4, "low": 4, "info": 1, "suppressed": 1 });
    assert_eq!(nightly["standing"], standing);
    assert!(case.read("reports/runs/000002/report.md").contains(STANDING[12..].trim_end()));
    // Of days and spans nothing of the kind is told.
    for report in [
        serde_json::from_str(&case.read("reports/2018-12-18/rev-1.json")).unwrap(),
        case.run(&["report", "--json"]).expect_status(0).report(),
    ] {
        for key in ["since", "logs", "standing"] {
            assert_eq!(report["nightly"][key], Value::Null, "{key}");
        }
    }
}

/// No finding of the run, and one that stands; one that is over stands no more.
#[test]
fn no_night_gives_a_false_all_clear() {
    let case = Case::with_register().file("overstay.toml", CONFIG);
    life(&case, 11, &[true, false]);
    let run = |day: u32| {
        let run_at = format!("2018-12-{day:02}T02:00:00Z");
        nightly(&case, &run_at, &["--dry-run"]).expect_status(0).stdout.clone()
    };
    let quiet = run(12);
    let expected = "\
Nothing new, which clears nobody: 1 log was looked at, and it had not a line more than at run 1, 2018-12-11T02:00:00Z. 1 finding stands, of severity critical.

RUN         2 at 2018-12-12T02:00:00Z: no calls added

No findings in what is new.
STANDING    1 finding of earlier runs, of which this one found nothing: 1 critical
";
    assert!(quiet.starts_with(expected), "{quiet}");
    assert!(quiet.ends_with("\nnext: overstay report\n"), "{quiet}");
    // The beginning of a line is no line.
    let log = case.read("logs/a.log");
    case.write("logs/a.log", format!("{log}{{\"time\":"));
    let begun = run(12);
    assert!(begun.contains("and it had not a whole line more than at run 1"), "{begun}");
    assert!(begun.contains("1 unfinished last line left to the next run"), "{begun}");
    // Calls, and of none of them is known whether the finding is over: they came late.
    case.write("logs/a.log", log.clone() + &call(9, true));
    let late = run(12);
    let expected = "No partner overstayed: 1 call of 1 partner, all read from 1 input. 1 finding of earlier runs stands, of severity critical.\n";
    assert!(late.starts_with(expected), "{late}");
    // Answered for, it is counted apart.
    let suppressed = "\n[[suppress]]\nkind = \"after-revocation\"\npartner = \"globex\"\nowner = \"o\"\nreason = \"r\"\nuntil = \"2019-01-01\"\n";
    case.write("overstay.toml", format!("{CONFIG}{suppressed}"));
    let hidden = run(12);
    assert!(
        hidden.starts_with("No partner overstayed: 1 call of 1 partner, all read from 1 input.\n")
    );
    assert!(hidden.contains("of which this one found nothing: 1 suppressed\n"), "{hidden}");
    case.write("overstay.toml", CONFIG);
    // It is over.
    case.write("logs/a.log", log + &call(11, true));
    let over = run(12);
    assert!(over.contains("\nNo findings but 1 resolved one.\n"), "{over}");
    assert!(!over.contains("STANDING") && !over.contains("0 failed"), "{over}");
}

/// A log that can't be read was not looked at; of a run that reads all anew there is none before.
#[test]
fn what_was_not_looked_at_is_not_counted() {
    let case = Case::with_register().file("overstay.toml", CONFIG);
    life(&case, 11, &[true]);
    let paths = "[\"logs/*\", \"more/*\"]";
    case.write("overstay.toml", CONFIG.replace("[\"logs/*\"]", paths));
    let run_at = "2018-12-12T02:00:00Z";
    let partial = nightly(&case, run_at, &["--dry-run"]).expect_status(3);
    let expected = "1 log was looked at, and it had not a line more than at run 1, 2018-12-11T02:00:00Z. PARTIAL: 1 of 2 inputs was not read whole.\n";
    assert!(partial.stdout.contains(expected), "{}", partial.stdout);
    case.write("overstay.toml", CONFIG);
    let anew = nightly(&case, run_at, &["--dry-run", "--rebuild", "--json"]).expect_status(0);
    let anew = anew.report();
    assert_eq!((&anew["nightly"]["since"], &anew["nightly"]["logs"]), (&Value::Null, &json!(1)));
    assert!(anew["headline"].as_str().unwrap().starts_with("No partner overstayed: 1 call"));
}

/// What a run suggests works when the logs it read are gone.
#[test]
fn what_is_suggested_works_without_the_logs() {
    let case = Case::mixed().file("overstay.toml", CONFIG);
    let told = nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0);
    let next = "
next: overstay explain after-revocation
      overstay report --partner globex
      overstay calls --finding os-ahdvwd4mhllt
      (with the flags of this run; calls reads the logs, as far as they are still there)
";
    assert!(told.stdout.ends_with(next), "{}", told.stdout);
    fs::remove_file(case.path("logs/mixed.log")).unwrap();
    case.run(&["explain", "after-revocation"]).expect_status(0);
    let report = case.run(&["report", "--partner", "globex"]).expect_status(0);
    assert!(report.stdout.contains("os-ahdvwd4mhllt"), "{}", report.stdout);
    // Of one partner's report, no further one; `audit` has read the logs just now.
    assert!(!report.stdout.contains("overstay report"), "{}", report.stdout);
    case.run(&["calls", "--finding", "os-ahdvwd4mhllt"]).expect_status(2);
    let audited = Case::mixed().file("overstay.toml", CONFIG).run(&["audit"]).expect_status(0);
    let next = "
next: overstay explain after-revocation
      overstay calls --finding os-ahdvwd4mhllt
      (with the logs and flags of this run)
";
    assert!(audited.stdout.ends_with(next), "{}", audited.stdout);
}
