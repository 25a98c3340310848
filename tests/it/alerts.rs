//! Runs that tell of what they found: once for each change, to each channel, whatever becomes of the channel or of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::channels::Receiver;
use crate::harness::{Case, Output};
use crate::nightly::{CONFIG, append, bad, case, good, nightly, status_of};

/// A channel that keeps each message as a file of its own, `inbox/RUN-ID`, unless there is a file `down`.
const INBOX: &str = r#"
[alert]
command = [{ name = "inbox", command = ["/bin/sh", "-c", "PATH=/usr/bin:/bin; test ! -e down || { cat down >&2; exit 75; }; cat >inbox/$OVERSTAY_RUN-$OVERSTAY_DELIVERY_ID"] }]
"#;

fn told_case(more: &str) -> Case {
    let case = case(&format!("{CONFIG}{INBOX}{more}"));
    fs::create_dir(case.path("inbox")).unwrap();
    case
}

/// The messages that were delivered, by run.
fn inbox(case: &Case) -> BTreeMap<u64, Value> {
    let entries = fs::read_dir(case.path("inbox")).unwrap().map(|entry| entry.unwrap());
    let messages = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let (run, id) = name.split_once('-').unwrap();
        let message: Value = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
        assert_eq!(message["delivery_id"], *id);
        (run.parse().unwrap(), message)
    });
    messages.collect()
}

/// What a message tells: kind, change and severity of each finding.
fn changes(message: &Value) -> Vec<(String, String, String)> {
    let groups = message["groups"].as_array().unwrap();
    let all = groups.iter().flat_map(|group| group["changes"].as_array().unwrap());
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    all.map(|change| (text(change, "kind"), text(change, "change"), text(change, "severity")))
        .collect()
}

fn change(kind: &str, change: &str, severity: &str) -> (String, String, String) {
    (kind.to_owned(), change.to_owned(), severity.to_owned())
}

/// The changes of a run's message; none if it sent none.
fn told(case: &Case, run: u64) -> Vec<(String, String, String)> {
    inbox(case).get(&run).map(changes).unwrap_or_default()
}

fn night(case: &Case, day: u32) -> Output {
    nightly(case, &format!("2018-12-{day:02}T02:00:00Z"), &[])
}

/// A line for each hour of a day, so that nobody takes its log for silent.
fn day(day: u32) -> String {
    (0..24).map(|hour| good(&format!("12-{day:02}T{hour:02}:30"))).collect()
}

#[test]
fn a_finding_is_told_of_once_and_again_when_it_is_over_or_back() {
    let case = told_case("");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    assert_eq!(told(&case, 1), [change("after-revocation", "new", "critical")]);
    append(&case, "logs/a.jsonl", day(2) + &bad("12-02T09:00", 200));
    night(&case, 3).expect_status(0);
    append(&case, "logs/a.jsonl", day(3));
    let third = night(&case, 4).expect_status(0);
    assert_eq!(third.report()["nightly"]["alerts"]["changes"], 1);
    append(&case, "logs/a.jsonl", day(4) + &bad("12-04T09:00", 200));
    night(&case, 5).expect_status(0);
    append(&case, "logs/a.jsonl", day(5) + &bad("12-05T09:00", 200));
    night(&case, 6).expect_status(0);
    let all: BTreeMap<u64, _> =
        inbox(&case).iter().map(|(run, message)| (*run, changes(message))).collect();
    let expected = BTreeMap::from([
        (1, vec![change("after-revocation", "new", "critical")]),
        (3, vec![change("after-revocation", "resolved", "critical")]),
        (4, vec![change("after-revocation", "reopened", "critical")]),
    ]);
    assert_eq!(all, expected);
    // It can be held against the chain of runs.
    let manifest = case.read("reports/runs/000001/manifest.json");
    let head = blake3::hash(manifest.as_bytes()).to_hex().to_string();
    assert_eq!(inbox(&case)[&1]["head"], *head);
    case.run(&["verify", "--head", &head]).expect_status(0);
}

#[test]
fn what_is_critical_and_open_is_told_again_after_a_while() {
    let case = told_case("remind_every = \"7d\"\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    // Nothing more comes, so nothing ends it; a day early is early, an hour is not.
    night(&case, 8).expect_status(0);
    nightly(&case, "2018-12-09T00:59:59Z", &[]).expect_status(0);
    assert_eq!(inbox(&case).len(), 1);
    nightly(&case, "2018-12-09T01:00:00Z", &[]).expect_status(0);
    assert_eq!(told(&case, 4), [change("after-revocation", "reminder", "critical")]);
    // With what was counted when it was found: from 1 June to 1 December at nine.
    assert_as_found_by_run_1(&inbox(&case)[&4]["groups"][0]["changes"][0]);
    night(&case, 12).expect_status(0);
    assert_eq!(inbox(&case).len(), 2);
    night(&case, 16).expect_status(0);
    assert_eq!(told(&case, 6), [change("after-revocation", "reminder", "critical")]);
}

/// One served call, 183 days and 9 hours after the revocation.
fn assert_as_found_by_run_1(change: &Value) {
    assert_eq!((&change["served"], &change["subjects"]), (&json!(1), &json!(1)), "{change}");
    assert_eq!(change["overstay_s"], 183 * 86_400 + 9 * 3600);
    assert_eq!(change["operations"], json!(["read"]));
    let summary = change["summary"].as_str().unwrap();
    assert!(summary.contains("183 d 9 h"), "{summary}");
    assert!(summary.ends_with("; found by run 1, and nothing of it is new since"), "{summary}");
}

#[test]
fn a_channel_that_comes_later_hears_of_what_stands_and_how_much_it_is() {
    let case = told_case("");
    let config = case.read("overstay.toml");
    let (before, _) = config.split_once("[alert]").unwrap();
    case.write("overstay.toml", before);
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    case.write("overstay.toml", &config);
    night(&case, 3).expect_status(0);
    assert_eq!(told(&case, 2), [change("after-revocation", "new", "critical")]);
    assert_as_found_by_run_1(&inbox(&case)[&2]["groups"][0]["changes"][0]);
}

#[test]
fn one_that_is_back_is_told_of_once_also_if_nothing_more_of_it_comes() {
    let case = told_case("");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    append(&case, "logs/a.jsonl", day(2));
    night(&case, 3).expect_status(0);
    append(&case, "logs/a.jsonl", bad("12-03T09:00", 200));
    night(&case, 4).expect_status(0);
    // Nights without a line end nothing, and tell nothing.
    for day in 5..9 {
        night(&case, day).expect_status(0);
    }
    assert_eq!(inbox(&case).keys().collect::<Vec<_>>(), [&1, &2, &3]);
    assert_eq!(told(&case, 3), [change("after-revocation", "reopened", "critical")]);
}

#[test]
fn what_is_over_is_told_to_whom_it_was_told() {
    let case = told_case("");
    let config =
        case.read("overstay.toml").replace("\"] }]", "\"], min_severity = \"critical\" }]");
    case.write("overstay.toml", &config);
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    // The control works by now: what is left are refused attempts, which are low.
    append(&case, "logs/a.jsonl", day(2) + &bad("12-02T09:00", 403));
    let second = night(&case, 3).expect_status(0).report();
    assert_eq!(crate::nightly::of_kind(&second, "after-revocation")[0]["severity"], "low");
    assert_eq!(told(&case, 2), [change("after-revocation", "resolved", "critical")]);
}

#[test]
fn what_is_suppressed_after_it_was_told_of_is_told_so_once() {
    let case = told_case("");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    let config = case.read("overstay.toml");
    let suppress = "\n[[suppress]]\nkind = \"after-revocation\"\nowner = \"me\"\nreason = \"agreed\"\nuntil = \"2019-12-03\"\n";
    case.write("overstay.toml", config + suppress);
    for night_of in 3..6 {
        night(&case, night_of).expect_status(0);
    }
    assert_eq!(inbox(&case).keys().collect::<Vec<_>>(), [&1, &2]);
    assert_eq!(told(&case, 2), [change("after-revocation", "suppressed", "critical")]);
}

#[test]
fn what_gets_worse_is_told_and_what_is_not_critical_not_again() {
    let case = told_case("remind_every = \"1d\"\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 403));
    night(&case, 2).expect_status(0);
    assert_eq!(told(&case, 1), [change("after-revocation", "new", "low")]);
    append(&case, "logs/a.jsonl", day(2) + &bad("12-02T09:00", 403));
    night(&case, 3).expect_status(0);
    append(&case, "logs/a.jsonl", day(3) + &bad("12-03T09:00", 200));
    night(&case, 4).expect_status(0);
    assert_eq!(inbox(&case).keys().collect::<Vec<_>>(), [&1, &3]);
    assert_eq!(told(&case, 3), [change("after-revocation", "more-severe", "critical")]);
    assert_eq!(inbox(&case)[&3]["groups"][0]["changes"][0]["severity_before"], "low");
}

#[test]
fn what_is_suppressed_is_told_when_that_runs_out() {
    let suppress = "\n[[suppress]]\nkind = \"after-revocation\"\nowner = \"me\"\nreason = \"agreed\"\nuntil = \"2018-12-03\"\n";
    let case = told_case(suppress);
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    assert_eq!(inbox(&case).len(), 0);
    append(&case, "logs/a.jsonl", day(2) + &day(3));
    // In the run after it nothing is found of it but that it stands no more: it was over before it could be told of.
    append(&case, "logs/a.jsonl", bad("12-03T23:59", 200));
    night(&case, 4).expect_status(0);
    assert_eq!(told(&case, 2), [change("after-revocation", "new", "critical")]);
}

#[test]
fn who_sets_up_a_channel_later_hears_of_what_is_open() {
    let case = case(CONFIG);
    fs::create_dir(case.path("inbox")).unwrap();
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    let first = night(&case, 2).expect_status(0);
    assert_eq!(first.report()["nightly"]["alerts"], Value::Null);
    case.write("overstay.toml", format!("{CONFIG}{INBOX}"));
    night(&case, 3).expect_status(0);
    assert_eq!(told(&case, 2), [change("after-revocation", "new", "critical")]);
}

#[test]
fn what_is_not_delivered_waits_and_is_told_of_in_order() {
    let case = told_case("");
    case.write("down", "the server is away\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    // Three nights on which nobody can be reached: the report comes all the same, and says what waits.
    let first = night(&case, 2).expect_status(3);
    let report = first.report();
    assert_eq!(status_of(&report, "after-revocation"), "new");
    assert_eq!(report["status"], "complete");
    let waiting = &report["nightly"]["alerts"]["waiting"];
    assert_eq!(waiting.as_array().unwrap().len(), 1);
    assert_eq!((&waiting[0]["channel"], &waiting[0]["run"]), (&"inbox".into(), &1.into()));
    assert_eq!((&waiting[0]["changes"], &waiting[0]["tries"]), (&1.into(), &1.into()));
    assert!(waiting[0]["failure"].as_str().unwrap().contains("the server is away"));
    first.expect_stderr(&[
        "warning: the alert of run 1 waits for inbox: ",
        "the server is away",
        "overstay alert --send",
    ]);
    append(&case, "logs/a.jsonl", day(2));
    night(&case, 3).expect_status(3);
    append(&case, "logs/a.jsonl", day(3) + &bad("12-03T09:00", 200));
    let third = night(&case, 4).expect_status(3);
    let waiting = third.report()["nightly"]["alerts"]["waiting"].clone();
    let ids: BTreeSet<&str> = waiting
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["delivery_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
    let kept: Value = serde_json::from_str(&case.read("reports/runs/000003/report.json")).unwrap();
    let kept = kept["nightly"]["alerts"]["waiting"].as_array().unwrap().len();
    assert_eq!(kept, 2, "what is kept was made before its own message was sent");
    let shown = case.run(&["alert"]).expect_status(0);
    assert!(
        shown.stdout.contains("inbox")
            && shown.stdout.contains("3 alerts wait (runs 1, 2, 3; tried "),
        "{}",
        shown.stdout
    );
    assert_eq!(inbox(&case).len(), 0);

    fs::remove_file(case.path("down")).unwrap();
    append(&case, "logs/a.jsonl", day(4) + &bad("12-04T09:00", 200));
    let fourth = night(&case, 5).expect_status(0);
    assert_eq!(fourth.report()["nightly"]["alerts"]["waiting"], Value::Array(Vec::new()));
    let all: Vec<_> = inbox(&case).values().map(changes).collect();
    let expected = ["new", "resolved", "reopened"]
        .map(|what| vec![change("after-revocation", what, "critical")]);
    assert_eq!(all, expected);
    let delivered: BTreeSet<String> = inbox(&case)
        .values()
        .map(|message| message["delivery_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(delivered, ids.into_iter().map(str::to_owned).collect());
}

#[test]
fn what_waits_goes_out_though_the_next_run_fails() {
    let case = told_case("");
    case.write("down", "away\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(3);
    fs::remove_file(case.path("down")).unwrap();
    fs::rename(case.path("logs"), case.path("elsewhere")).unwrap();
    night(&case, 3).expect_status(2);
    assert_eq!(told(&case, 1), [change("after-revocation", "new", "critical")]);
    fs::rename(case.path("elsewhere"), case.path("logs")).unwrap();
    night(&case, 3).expect_status(0);
    assert_eq!(inbox(&case).len(), 1, "and not again");
}

#[test]
fn by_hand_what_waits_is_sent_or_let_go_of() {
    let case = told_case("");
    case.write("down", "away\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(3);
    case.run(&["alert", "--send"]).expect_status(3).expect_stderr(&["waits for inbox"]);
    fs::remove_file(case.path("down")).unwrap();
    let sent = case.run(&["alert", "--send"]).expect_status(0);
    assert_eq!(sent.stdout, "1 alert was accepted, 0 wait for a channel\n");
    assert_eq!(inbox(&case).len(), 1);
    assert_eq!(
        case.run(&["alert"]).expect_status(0).stdout,
        "inbox  told of info and above; nothing waits\n"
    );

    case.write("down", "away\n");
    append(&case, "logs/a.jsonl", day(2));
    night(&case, 3).expect_status(3);
    // Another name: nobody is asked whether it is the same channel.
    let config = case.read("overstay.toml").replace("\"inbox\"", "\"post\"");
    case.write("overstay.toml", config);
    fs::remove_file(case.path("down")).unwrap();
    append(&case, "logs/a.jsonl", day(3));
    night(&case, 4).expect_status(3).expect_stderr(&[
        "the alert of run 2 waits for inbox, which is no longer configured",
        "overstay alert --drop inbox",
    ]);
    case.run(&["alert", "--drop", "inbx"]).expect_status(2).expect_stderr(&["inbox"]);
    let dropped = case.run(&["alert", "--drop", "inbox"]).expect_status(0);
    assert_eq!(dropped.stdout, "let go of 1 alert for inbox: never to be sent\n");
    append(&case, "logs/a.jsonl", day(4));
    night(&case, 5).expect_status(0);
    assert_eq!(inbox(&case).len(), 1);
}

#[test]
fn a_test_goes_through_every_channel_and_leaves_nothing() {
    let case = told_case("");
    let tested = case.run(&["alert", "--test"]).expect_status(0);
    assert_eq!(tested.stdout, "inbox: accepted a test\n");
    let message = &inbox(&case)[&0];
    assert_eq!((&message["is_test"], &message["groups"]), (&true.into(), &Value::Array(vec![])));
    assert!(!case.path("state").exists());
    case.write("down", "away\n");
    case.run(&["alert", "--test"])
        .expect_status(2)
        .expect_stderr(&["error: 1 of 1 channel did not take the test"]);
    let two = case.read("overstay.toml").replacen(
        "command = [",
        "command = [{ name = \"other\", command = [\"/bin/true\"] }, ",
        1,
    );
    case.write("overstay.toml", two);
    let one = case.run(&["alert", "--channel", "other"]).expect_status(0);
    assert_eq!(one.stdout, "other  told of info and above; nothing waits\n");
    case.run(&["alert", "--test", "--channel", "other"]).expect_status(0);
    case.run(&["alert", "--test", "--channel", "inbo"])
        .expect_status(2)
        .expect_stderr(&["--channel: found `inbo`, expected one of other, inbox", "inbox"]);
    let none = Case::with_register().file("overstay.toml", CONFIG);
    none.run(&["alert", "--test"]).expect_status(2).expect_stderr(&["no channel is configured"]);
    none.run(&["alert"]).expect_status(2).expect_stderr(&["docs/alerts.md"]);
}

#[test]
fn each_channel_has_its_own_severity() {
    let config = r#"
[alert]
command = [
  { name = "all", command = ["/bin/sh", "-c", "PATH=/usr/bin:/bin; cat >inbox/1-$OVERSTAY_DELIVERY_ID"] },
  { name = "grave", command = ["/bin/sh", "-c", "PATH=/usr/bin:/bin; cat >inbox/2-$OVERSTAY_DELIVERY_ID"], min_severity = "critical" },
]
"#;
    let case = case(&format!("{CONFIG}{config}"));
    fs::create_dir(case.path("inbox")).unwrap();
    let low = crate::nightly::call("12-01T09:00", "key-acme-1", "/photos/ann", 403);
    append(&case, "logs/a.jsonl", day(1) + &low);
    night(&case, 2).expect_status(0);
    let first = inbox(&case);
    assert_eq!(first.keys().collect::<Vec<_>>(), [&1], "nothing for the other");
    append(&case, "logs/a.jsonl", day(2) + &bad("12-02T09:00", 200) + &low);
    night(&case, 3).expect_status(0);
    assert_eq!(changes(&inbox(&case)[&2]), [change("after-revocation", "new", "critical")]);
    assert_eq!(inbox(&case)[&2]["counts"]["critical"], 1);
}

#[test]
fn a_missing_secret_or_a_broken_template_keeps_alerts_waiting_and_no_report() {
    let config = r#"
[alert]
webhook = [{ name = "chat", url_env = "OVERSTAY_NO_SUCH_SECRET", template = "chat" }]
command = [{ name = "mine", command = ["/bin/sh", "-c", "PATH=/usr/bin:/bin; cat >inbox/1-x"], template_file = "mine.j2" }]
"#;
    let case = case(&format!("{CONFIG}{config}")).file("mine.j2", "{{ no_such_word }}\n");
    fs::create_dir(case.path("inbox")).unwrap();
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    let output = night(&case, 2).expect_status(3);
    assert_eq!(status_of(&output.report(), "after-revocation"), "new");
    let waiting = output.report()["nightly"]["alerts"]["waiting"].clone();
    let failure = |i: usize| waiting[i]["failure"].as_str().unwrap().to_owned();
    assert!(failure(0).contains("OVERSTAY_NO_SUCH_SECRET"), "{}", failure(0));
    assert!(failure(1).contains("mine.j2"), "{}", failure(1));
    // Once both are mended, all of it is delivered.
    case.write("mine.j2", "{{ headline }}\n");
    let config = case.read("overstay.toml").replace(
        "webhook = [{ name = \"chat\", url_env = \"OVERSTAY_NO_SUCH_SECRET\", template = \"chat\" }]\n",
        "",
    );
    case.write("overstay.toml", config);
    case.run(&["alert", "--drop", "chat"]).expect_status(0);
    case.run(&["alert", "--send"]).expect_status(0);
    assert!(case.read("inbox/1-x").contains("1 of 2 partners overstayed"));
}

#[test]
fn dry_runs_and_audits_tell_nobody() {
    let case = told_case("");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    let dry = nightly(&case, "2018-12-02T02:00:00Z", &["--dry-run"]).expect_status(0);
    assert_eq!(dry.report()["nightly"]["alerts"]["changes"], 1);
    case.run(&["audit", "--quiet"]).expect_status(0);
    assert_eq!(inbox(&case).len(), 0);
    night(&case, 2).expect_status(0);
    assert_eq!(inbox(&case).len(), 1);
}

/// A night whose clock was years ahead tells what is critical; the nights after it do not wait for those years to pass.
#[test]
fn a_clock_that_was_ahead_stops_no_reminder() {
    let case = told_case("remind_every = \"7d\"\n");
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(0);
    append(&case, "logs/a.jsonl", bad("12-01T10:00", 200));
    nightly(&case, "2030-01-05T02:00:00Z", &[]).expect_status(0);
    assert_eq!(told(&case, 2), [change("after-revocation", "reminder", "critical")]);
    append(&case, "logs/a.jsonl", bad("12-01T11:00", 200));
    night(&case, 6).expect_status(0);
    assert_eq!(told(&case, 3), [change("after-revocation", "reminder", "critical")]);
    append(&case, "logs/a.jsonl", bad("12-01T12:00", 200));
    night(&case, 7).expect_status(0);
    assert_eq!(told(&case, 4), []);
    append(&case, "logs/a.jsonl", bad("12-01T13:00", 200));
    night(&case, 13).expect_status(0);
    assert_eq!(told(&case, 5), [change("after-revocation", "reminder", "critical")]);
}

#[test]
fn a_message_that_is_refused_for_good_holds_up_no_other() {
    let receiver = Receiver::answers(&["413 No", "413 No", "200 OK"]);
    let case = case(&format!("{CONFIG}\n[alert]\nwebhook = [{{ url_file = \"hook.url\" }}]\n"))
        .file("hook.url", format!("http://127.0.0.1:{}/hook\n", receiver.port));
    append(&case, "logs/a.jsonl", day(1) + &bad("12-01T09:00", 200));
    night(&case, 2).expect_status(3).expect_stderr(&["the alert of run 1 waits", "413"]);
    append(&case, "logs/a.jsonl", day(2));
    night(&case, 3).expect_status(3).expect_stderr(&["the alert of run 1 waits", "413"]);
    let runs = |receiver: &Receiver| -> Vec<u64> {
        receiver.requests().iter().map(|request| request.json()["run"].as_u64().unwrap()).collect()
    };
    assert_eq!(runs(&receiver), [1, 1, 2]);
    append(&case, "logs/a.jsonl", day(3));
    night(&case, 4).expect_status(0);
    assert_eq!(runs(&receiver), [1, 1, 2, 1]);
}
