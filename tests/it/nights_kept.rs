//! What is kept from night to night, and what happens to it when something beside the logs has become another: a source's
//! name, the register, the state itself, the places of reports.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::harness::{Case, gzip};
use crate::nightly::{
    CONFIG, TWO_SOURCES, Thing, Things, append, assert_same, bad, call, case, good, manifest,
    nightly, of_kind, put_back, report, report_of_run, status_of, things, things_in,
};

/// The report of the run in the night to this day of December 2018, which reads all there is.
pub fn night(case: &Case, day: u32) -> Value {
    nightly(case, &run_at(day), &[]).expect_status(0).report()
}

pub fn run_at(day: u32) -> String {
    format!("2018-12-{day:02}T02:00:00Z")
}

fn calls_of(report: &Value) -> u64 {
    report["accounting"]["calls"].as_u64().unwrap()
}

/// Calls in order, a minute apart from this hour (`12-18T09`) on: more than 1 KiB, so that they are known again by content.
pub fn hour_of_calls(hour: &str) -> String {
    (0..60).map(|minute| good(&format!("{hour}:{minute:02}"))).collect()
}

fn head_of(output: &crate::harness::Output) -> String {
    let stderr = &output.stderr;
    stderr.split("head of the chain: ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn a_source_that_is_renamed_is_refused_until_it_has_its_name_back() {
    let renamed = CONFIG.replace("source = \"core\"", "source = \"gateway\"");
    assert_ne!(renamed, CONFIG);
    let case = case(CONFIG);
    append(&case, "logs/a.log", hour_of_calls("12-18T09"));
    assert_eq!(calls_of(&night(&case, 19)), 60);
    append(&case, "logs/a.log", good("12-19T09:00"));
    let log = case.read("logs/a.log");
    case.write("overstay.toml", &renamed);
    let before = things(&case);
    // As it lies; renamed as well; and compressed.
    for (name, content) in
        [("a.log", log.clone().into_bytes()), ("b.log", log.clone().into()), ("c.gz", gzip(&log))]
    {
        fs::remove_dir_all(case.path("logs")).unwrap();
        case.write(&format!("logs/{name}"), content);
        let told = format!(
            "error: logs/{name}: was read as logs/a.log of source core, expected it there: its calls would count twice"
        );
        let words = [
            &*told,
            "hint: give the source its name back, or read all anew with --rebuild; nothing was changed",
        ];
        for rest in [&[][..], &["--dry-run"]] {
            let output = nightly(&case, &run_at(20), rest).expect_status(2);
            output.expect_stderr(&words).expect_no_stdout();
            assert_same(&things(&case), &before);
        }
    }
    // It goes on as ever once it has its name back.
    case.write("overstay.toml", CONFIG);
    assert_eq!(calls_of(&night(&case, 20)), 1);
    assert_eq!(calls_of(&report(&case, &[])), 61);
    // Or it begins anew under the new one.
    put_back(&case, &before);
    let rebuilt = nightly(&case, &run_at(20), &["--rebuild"]).expect_status(0).report();
    assert_eq!(calls_of(&rebuilt), 61);
    assert_eq!(rebuilt["inputs"][0]["source"], "gateway");
    assert_eq!(calls_of(&report(&case, &[])), 61);
    assert_eq!(calls_of(&night(&case, 21)), 0);
}

/// A line may be alike by chance, but not where it lay.
#[test]
fn a_short_log_of_a_source_that_is_renamed_is_refused_too() {
    let renamed = CONFIG.replace("source = \"core\"", "source = \"gateway\"");
    let case = case(CONFIG);
    append(&case, "logs/a.log", good("12-18T09:00"));
    assert_eq!(calls_of(&night(&case, 19)), 1);
    case.write("overstay.toml", renamed);
    let before = things(&case);
    let output = nightly(&case, &run_at(20), &[]).expect_status(2);
    output.expect_stderr(&["error: logs/a.log: was read as logs/a.log of source core"]);
    assert_same(&things(&case), &before);
}

/// The near miss: where the source has its log still, another one may have the same content.
#[test]
fn a_copy_of_a_log_in_another_source_is_a_log_of_its_own() {
    let case = case(&format!("{CONFIG}{TWO_SOURCES}")).file("edge/e.log", good("12-18T08:00"));
    append(&case, "logs/a.log", hour_of_calls("12-18T09"));
    assert_eq!(calls_of(&night(&case, 19)), 61);
    case.write("edge/copy.log", hour_of_calls("12-18T09"));
    let copied = night(&case, 20);
    assert_eq!(calls_of(&copied), 60);
    assert_eq!(copied["inputs"][0]["path"], "edge/copy.log");
    assert_eq!(calls_of(&night(&case, 21)), 0);
}

/// Hours expected, hours seen, and the gaps of a source.
pub fn coverage(report: &Value, source: &str) -> (u64, u64, Vec<(String, String)>) {
    let sources = report["coverage"]["sources"].as_array().unwrap();
    let of = sources.iter().find(|of| of["source"] == source).unwrap();
    let number = |key: &str| of[key].as_u64().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let gaps = of["gaps"].as_array().unwrap().iter();
    let gaps = gaps.map(|gap| (text(&gap["from"]), text(&gap["until"]))).collect();
    (number("hours_expected"), number("hours_seen"), gaps)
}

pub fn gap(from: &str, until: &str) -> (String, String) {
    (format!("2018-12-{from}:00:00Z"), format!("2018-12-{until}:00:00Z"))
}

#[test]
fn a_source_that_falls_silent_is_told_every_night_until_it_is_heard() {
    for (expect, unit) in [("hourly", 1), ("daily", 24)] {
        let expects = format!("format = \"json\"\nexpect = \"{expect}\"\n");
        let config = format!("{CONFIG}{TWO_SOURCES}").replace("format = \"json\"\n", &expects);
        let case = case(&config);
        let hours = |name: &str, day: u32, hours: std::ops::Range<u32>| {
            let calls = hours.map(|hour| good(&format!("12-{day}T{hour:02}:30")));
            append(&case, name, calls.collect::<String>());
        };
        let (core, edge) = ("logs/a.log", "edge/e.log");
        // Both are heard all day.
        hours(core, 17, 0..24);
        hours(edge, 17, 0..24);
        let both = night(&case, 18);
        assert_eq!(coverage(&both, "core"), (24, 24, vec![]));
        assert_eq!(coverage(&both, "edge"), (24, 24, vec![]));
        // One is heard in the morning, which is enough where calls are expected daily.
        hours(core, 18, 0..24);
        hours(edge, 18, 0..10);
        let morning = night(&case, 19);
        assert_eq!(coverage(&morning, "core"), (24, 24, vec![]));
        let expected = match unit {
            1 => (24, 10, vec![gap("18T10", "19T00")]),
            _ => (24, 24, vec![]),
        };
        assert_eq!(coverage(&morning, "edge"), expected, "{expect}");
        // Then not at all, and its log lies there as it lay. Of the day of the run nobody knows yet.
        let since = if unit == 1 { "18T10" } else { "19T00" };
        let missing = |until: u64| if unit == 1 { until + 14 } else { until };
        hours(core, 19, 0..24);
        let silent = night(&case, 20);
        assert_eq!(coverage(&silent, "core"), (24, 24, vec![]));
        assert_eq!(coverage(&silent, "edge"), (missing(24), 0, vec![gap(since, "20T00")]));
        // Then both, which no call tells.
        let mute = night(&case, 21);
        assert_eq!(calls_of(&mute), 0);
        assert_eq!(coverage(&mute, "core"), (24, 0, vec![gap("20T00", "21T00")]));
        assert_eq!(coverage(&mute, "edge"), (missing(48), 0, vec![gap(since, "21T00")]));
        // People read it too.
        let told = case.read("reports/runs/000004/report.md");
        let silent = match unit {
            1 => "0 of 2 sources (core silent 24 h, edge silent 62 h)",
            _ => "0 of 2 sources (core silent 1 d, edge silent 2 d)",
        };
        assert!(told.contains(silent), "{told}");
        // And once they are back, what lies between, for the last time.
        hours(core, 21, 0..24);
        hours(edge, 21, 3..24);
        let back = night(&case, 22);
        assert_eq!(coverage(&back, "core"), (48, 24, vec![gap("20T00", "21T00")]));
        let expected = match unit {
            1 => (24 - 10 + 72, 21, vec![gap(since, "21T03")]),
            _ => (72, 24, vec![gap(since, "21T00")]),
        };
        assert_eq!(coverage(&back, "edge"), expected);
        hours(core, 22, 0..24);
        hours(edge, 22, 0..24);
        let whole = night(&case, 23);
        assert_eq!(coverage(&whole, "core"), (24, 24, vec![]));
        assert_eq!(coverage(&whole, "edge"), (24, 24, vec![]));
        // Of all days it is what the days make of it.
        let all = report(&case, &["--since", "2018-12-17", "--until", "2018-12-22"]);
        assert_eq!(coverage(&all, "core"), (120, 96, vec![gap("20T00", "21T00")]));
        let until = if unit == 1 { "21T03" } else { "21T00" };
        let seen = if unit == 1 { 24 + 10 + 21 } else { 72 };
        assert_eq!(coverage(&all, "edge"), (120, seen, vec![gap(since, until)]));
    }
}

#[test]
fn a_source_of_which_nothing_is_expected_is_silent_in_peace() {
    let case = case(&format!("{CONFIG}{TWO_SOURCES}"));
    append(&case, "logs/a.log", good("12-17T09:00") + &good("12-18T09:00"));
    append(&case, "edge/e.log", good("12-17T09:00"));
    night(&case, 19);
    append(&case, "logs/a.log", good("12-19T09:00"));
    assert_eq!(coverage(&night(&case, 20), "edge"), (0, 0, vec![]));
}

/// Calls by verdict.
fn verdicts(report: &Value) -> BTreeMap<String, u64> {
    let mut verdicts = BTreeMap::new();
    for row in report["usage"].as_array().unwrap() {
        let verdict = row["verdict"].as_str().unwrap().to_owned();
        *verdicts.entry(verdict).or_default() += row["calls"].as_u64().unwrap();
    }
    verdicts
}

fn told<const N: usize>(verdicts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    verdicts.into_iter().map(|(verdict, calls)| (verdict.to_owned(), calls)).collect()
}

#[test]
fn consents_of_a_register_that_is_kept_are_sealed_and_judged_by() {
    let people = ["ann-of-the-lake", "bob-of-the-hill", "cid-of-the-wood"];
    let [ann, bob, cid] = people;
    let consents = format!(
        "subject,partner,api,at,state\n{ann},acme,messages,2018-01-01,given\n{bob},*,*,2018-01-01,given\n{bob},acme,messages,2018-12-18T12:00:00Z,withdrawn\n"
    );
    let case = case(CONFIG)
        .file("register/apis.csv", "api,name,consent\nmessages,Messages,required\n")
        .file("register/consents.csv", &consents);
    let of = |at: &str, person: &str| call(at, "key-acme-1", &format!("/messages/{person}"), 200);
    let first = [
        of("12-18T09:00", ann),
        of("12-18T09:01", bob),
        of("12-18T13:00", bob),
        of("12-18T13:01", cid),
    ];
    append(&case, "logs/a.log", first.concat());
    let by_its_own = night(&case, 19);
    assert_eq!(verdicts(&by_its_own), told([("granted", 2), ("without-consent", 2)]));
    let nobody_is_named = || {
        for (name, thing) in things_in(&case.path(""), &["state", "reports"]) {
            let Thing::File(bytes) = thing else { continue };
            for person in people {
                let named = bytes.windows(person.len()).any(|part| part == person.as_bytes());
                assert!(!named, "{name} names {person}");
            }
        }
    };
    nobody_is_named();
    let kept = |name: &str| {
        let names = case.names();
        let of = |path: &&String| path.starts_with("state/registers/") && path.ends_with(name);
        names.iter().filter(of).count()
    };
    assert_eq!((kept("/grants.csv"), kept("/consents.sealed"), kept("consents.csv")), (1, 1, 0));

    // The register is spoilt: it is judged by the one that is kept, and the words of people with it.
    let grants = case.read("register/grants.csv");
    case.write("register/grants.csv", grants.replace("messages", "nowhere"));
    // That they are gone from the register, too, does not matter.
    fs::remove_file(case.path("register/consents.csv")).unwrap();
    let second = [of("12-19T09:00", ann), of("12-19T09:01", bob), of("12-19T09:02", cid)];
    append(&case, "logs/a.log", second.concat());
    let refused = nightly(&case, &run_at(20), &[]).expect_status(3).report();
    assert_eq!(refused["register"], by_its_own["register"]);
    assert_eq!(status_of(&refused, "register-refused"), "new");
    assert_eq!(verdicts(&refused), told([("granted", 1), ("without-consent", 2)]));
    nobody_is_named();
    let sum = case.run(&["report", "--json"]).expect_status(0).report();
    assert_eq!(verdicts(&sum), told([("granted", 3), ("without-consent", 4)]));

    // A good one again, in which only the word of a person is another: that is seen, so the old words were at hand.
    case.write("register/grants.csv", &grants);
    let again = format!("{consents}{bob},acme,messages,2018-12-20,given\n");
    case.write("register/consents.csv", again);
    let third = [of("12-20T09:00", ann), of("12-20T09:01", bob), of("12-20T09:02", cid)];
    append(&case, "logs/a.log", third.concat());
    let changed = night(&case, 21);
    assert_eq!(verdicts(&changed), told([("granted", 2), ("without-consent", 1)]));
    let change = &changed["nightly"]["register_change"];
    assert_eq!(change["from"], by_its_own["register"]["digest"]);
    assert_eq!(
        (&change["tables"], &change["days"]),
        (&json!(["consents"]), &json!(["2018-12-18", "2018-12-19"]))
    );
    nobody_is_named();
    assert_eq!((kept("/consents.sealed"), kept("consents.csv")), (2, 0));
    case.run(&["verify"]).expect_status(0);
}

#[test]
fn a_state_from_a_backup_goes_on_after_the_reports_that_are_there() {
    let case = case(CONFIG);
    append(&case, "logs/a.log", hour_of_calls("12-18T09") + &bad("12-18T10:00", 200));
    night(&case, 19);
    let backup = things_in(&case.path(""), &["state"]);
    // More of that day, and two others.
    append(&case, "logs/a.log", good("12-18T23:00") + &good("12-19T09:00"));
    night(&case, 20);
    append(&case, "logs/a.log", hour_of_calls("12-20T09"));
    night(&case, 21);
    let issued = things_in(&case.path(""), &["reports"]);
    assert!(issued.contains_key("reports/2018-12-18/rev-2.json"));
    assert!(issued.contains_key("reports/2018-12-20/rev-1.json"));

    fs::remove_dir_all(case.path("state")).unwrap();
    for (name, thing) in &backup {
        match thing {
            Thing::Folder => fs::create_dir(case.path(name)).unwrap(),
            Thing::File(bytes) => fs::write(case.path(name), bytes).unwrap(),
            Thing::Link(to) => symlink(to, case.path(name)).unwrap(),
        }
    }
    let output = case.run(&["verify"]).expect_status(2);
    assert!(output.stdout.starts_with("state: the last run is 1 with head "), "{}", output.stdout);
    append(&case, "logs/a.log", good("12-18T23:30") + &good("12-21T09:00"));
    let warning = "warning: the state is of run 1, and there are reports of run 3: it was restored, or they share a folder with another state; what was read since is read again";
    let restored = things(&case);
    let dry = nightly(&case, &run_at(22), &["--dry-run"]).expect_status(0);
    let dry = dry.expect_stderr(&[warning]);
    assert_same(&things(&case), &restored);
    let output = nightly(&case, &run_at(22), &[]).expect_status(0).expect_stderr(&[warning]);
    assert_eq!(dry.stdout, output.stdout);
    let again = output.report();
    // Of the second run 2 calls, of the third 60, and 2 new ones.
    assert_eq!(calls_of(&again), 64);
    let (third, fourth) = (manifest(&case, 3), manifest(&case, 4));
    assert_eq!(
        (&again["nightly"]["run"], &again["nightly"]["previous"]),
        (&json!(4), &json!(third.1))
    );
    let day = |day: &str, revision: u64, calls: u64, added: u64| json!({"day": day, "revision": revision, "calls": calls, "added": added});
    assert_eq!(
        again["nightly"]["days"],
        json!([
            day("2018-12-18", 3, 63, 2),
            day("2018-12-19", 2, 1, 1),
            day("2018-12-20", 2, 60, 60),
            day("2018-12-21", 1, 1, 1)
        ])
    );
    // No report that was there is another now.
    let now = things_in(&case.path(""), &["reports"]);
    for (name, thing) in issued.iter().filter(|(name, _)| *name != "reports/latest") {
        assert!(now.get(name) == Some(thing), "{name} is another, or gone");
    }
    assert_eq!(now["reports/latest"], Thing::Link("runs/000004".to_owned()));
    assert_eq!(status_of(&again, "log-rewritten"), Value::Null);
    assert_eq!(calls_of(&report(&case, &[])), 125);
    let head = &fourth.1;
    let output = case.run(&["verify", "--head", head]).expect_status(0);
    let words = "4 runs, all reports and manifests as they were written";
    assert!(format!("{}{}", output.stdout, output.stderr).contains(words));
    // From then on it is as ever.
    append(&case, "logs/a.log", good("12-22T09:00"));
    let output = nightly(&case, &run_at(23), &[]).expect_status(0);
    assert_eq!(output.stderr, "");
    assert_eq!((&output.report()["nightly"]["run"], calls_of(&output.report())), (&json!(5), 1));
    case.run(&["verify", "--head", head]).expect_status(0);
}

#[test]
fn a_folder_of_that_name_is_not_taken_for_the_way_to_the_last_run() {
    let case = case(CONFIG).file("reports/latest/minutes.txt", "of somebody");
    append(&case, "logs/a.log", good("12-18T09:00"));
    for day in 19..22 {
        assert_eq!(calls_of(&night(&case, day)), 1);
        append(&case, "logs/a.log", good(&format!("12-{day}T09:00")));
        assert_eq!(case.read("reports/latest/minutes.txt"), "of somebody");
        assert!(!case.path("reports/latest").is_symlink());
        assert!(case.path("reports/.latest.new").symlink_metadata().is_err());
    }
    // Whoever looks for the last run there is told, and so is whoever runs it.
    let output = case.run(&["verify"]).expect_status(2);
    assert_eq!(output.stdout, "reports/latest: it does not lead to the last run, runs/000003\n");
    let told = "warning: reports/latest: it is a folder, and left as it is; move it away";
    nightly(&case, &run_at(22), &[]).expect_status(0).expect_stderr(&[told]);
    // Once it is out of the way, the next run leads there again.
    fs::rename(case.path("reports/latest"), case.path("minutes")).unwrap();
    night(&case, 23);
    assert_eq!(fs::read_link(case.path("reports/latest")).unwrap().to_str(), Some("runs/000005"));
    case.run(&["verify"]).expect_status(0);
}

#[test]
fn the_format_is_not_told_from_half_a_line() {
    let config = CONFIG.replace("format = \"json\"\n", "");
    let request = |minute: u32| {
        format!(
            "192.0.2.1 - key-acme-1 [18/Dec/2018:09:{minute:02}:00 +0000] \"GET /messages/u{minute} HTTP/1.1\" 200 10 \"-\" \"curl/7.1\"\n"
        )
    };
    let object = |minute: u32| good(&format!("12-18T09:{minute:02}"));
    // What of it is there in the first night: a whole line of another format, or of none.
    let of_requests = request(0).find(" \"-\"").unwrap();
    for (format, line, half) in [
        ("combined", &request as &dyn Fn(u32) -> String, of_requests),
        ("json", &object, object(0).len() - 20),
        ("json", &object, 1),
    ] {
        for io in ["auto", "read", "mmap"] {
            let case = case(&config).file("logs/a.log", &line(0)[..half]);
            let run =
                |day: u32| nightly(&case, &run_at(day), &["--io", io]).expect_status(0).report();
            let input = |report: &Value| {
                let input = &report["inputs"][0];
                (input["format"].clone(), input["calls"].clone(), input["pending_bytes"].clone())
            };
            let first = run(19);
            assert_eq!(first["status"], "complete");
            assert_eq!(input(&first), (Value::Null, json!(0), json!(half)), "{format}, {io}");
            // The rest of it, and the beginning of the next.
            append(&case, "logs/a.log", &line(0)[half..]);
            append(&case, "logs/a.log", &line(1)[..half]);
            assert_eq!(input(&run(20)), (json!(format), json!(1), json!(half)), "{format}, {io}");
            append(&case, "logs/a.log", line(1)[half..].to_owned() + &line(2));
            assert_eq!(input(&run(21)), (json!(format), json!(2), json!(0)), "{format}, {io}");
            let sum = report(&case, &[]);
            assert_eq!(verdicts(&sum), told([("granted", 3)]));
            assert_eq!(sum["accounting"]["rejected"], 0);
        }
    }
}

#[test]
fn what_comes_late_resolves_no_finding() {
    let case = case(CONFIG);
    let kind = "after-revocation";
    let run = |day: u32, lines: String| {
        append(&case, "logs/a.log", lines);
        status_of(&night(&case, day), kind)
    };
    let at = |report: &Value| of_kind(report, kind)[0]["last"].clone();
    assert_eq!(run(19, good("12-18T09:00") + &bad("12-18T10:00", 200)), "new");
    // Of the day before, of the same day, of the same instant.
    for (day, late) in [(20, "12-17T23:00"), (21, "12-18T09:59"), (22, "12-18T10:00")] {
        assert_eq!(run(day, good(late)), Value::Null, "{late}");
        assert_eq!(status_of(&report(&case, &[]), kind), "new", "{late}");
    }
    // One of its own calls that comes late is not its last.
    assert_eq!(run(23, bad("12-17T08:00", 200)), "ongoing");
    assert_eq!(at(&report_of_run(&case, 5)), "2018-12-17T08:00:00Z");
    assert_eq!(run(24, good("12-17T12:00")), Value::Null);
    // A run that has later ones, and could not read all, does not know.
    case.write("logs/cut.gz", &gzip(hour_of_calls("12-18T12"))[..80]);
    append(&case, "logs/a.log", good("12-19T09:00"));
    let partial = nightly(&case, &run_at(25), &[]).expect_status(3).report();
    assert_eq!(status_of(&partial, kind), Value::Null);
    assert!(calls_of(&partial) > 0);
    fs::remove_file(case.path("logs/cut.gz")).unwrap();
    // One that has read all, and later ones among it, does.
    assert_eq!(run(26, good("12-17T12:30") + &good("12-18T10:01")), "resolved");
    assert_eq!(at(&report_of_run(&case, 8)), "2018-12-18T10:00:00Z");
    assert_eq!(status_of(&report(&case, &[]), kind), "resolved");
}

/// The calls in the table of usage of a folder of tables.
fn calls_of_table(case: &Case, folder: &str) -> u64 {
    let text = case.read(&format!("{folder}/usage.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize().map(Result::<BTreeMap<String, String>, _>::unwrap);
    rows.map(|row| row["calls"].parse::<u64>().unwrap()).sum()
}

#[test]
fn reports_go_where_they_are_asked_for() {
    let case = case(CONFIG);
    append(&case, "logs/a.log", bad("12-18T09:00", 200) + &good("12-18T10:00"));
    let places = |name: &str| {
        let kinds = ["csv=NAME", "markdown=NAME.md", "markdown=NAME.pages/", "json=NAME.json"];
        let kinds = kinds.map(|kind| kind.replace("NAME", name));
        kinds.into_iter().flat_map(|kind| ["--report".to_owned(), kind]).collect::<Vec<_>>()
    };
    let run = |command: &[&str], name: &str| {
        let places = places(name);
        let arguments = command.iter().copied().chain(places.iter().map(String::as_str));
        case.run(&arguments.collect::<Vec<_>>()).expect_status(0)
    };
    // What goes to files alone is not shown.
    for (day, calls) in [(19, 2), (20, 1)] {
        let name = format!("of-{day}");
        let at = run_at(day);
        run(&["nightly", "--run-at", &at], &name).expect_no_stdout();
        let of_run = format!("reports/runs/{:06}/report", day - 18);
        let [json, markdown] =
            ["json", "md"].map(|ending| case.read(&format!("{of_run}.{ending}")));
        assert_eq!(case.read(&format!("{name}.json")), json);
        assert_eq!(case.read(&format!("{name}.md")), markdown);
        assert_eq!(case.read(&format!("{name}.pages/report.md")), markdown);
        assert!(case.path(&format!("{name}.pages/partners/globex.md")).exists());
        assert_eq!(calls_of_table(&case, &name), calls);
        append(&case, "logs/a.log", good("12-19T09:00"));
    }
    // Of all days, and of one; over what was written there before.
    let json = case.run(&["report", "--json"]).expect_status(0).stdout.clone();
    for (span, calls) in [(&["--since", "2018-12-19"][..], 1), (&[], 3)] {
        let output = run(&[&["report"], span].concat(), "span");
        output.expect_no_stdout();
        assert_eq!(calls_of_table(&case, "span"), calls);
        let of_file: Value = serde_json::from_str(&case.read("span.json")).unwrap();
        assert_eq!(calls_of(&of_file), calls);
        let markdown = case.run(&[&["report", "--report", "markdown"], span].concat());
        assert_eq!(case.read("span.md"), markdown.expect_status(0).stdout);
    }
    assert_eq!(case.read("span.json"), json);
}

#[test]
fn no_folder_stays_that_was_made_for_a_report_which_is_not_there() {
    let case = case(CONFIG).file("ours/minutes.txt", "of somebody");
    fs::create_dir(case.path("empty")).unwrap();
    append(&case, "logs/a.log", bad("12-18T09:00", 200));
    let places = ["csv=new", "csv=empty", "csv=ours", "markdown=pages/"];
    let places: Vec<&str> = places.iter().flat_map(|place| ["--report", place]).collect();
    let fails = |command: &[&str], words: &str| {
        let output = case.run(&[command, &places].concat()).expect_status(2);
        output.expect_stderr(&[words]).expect_no_stdout();
        for made in ["new", "pages"] {
            assert!(case.path(made).symlink_metadata().is_err(), "{command:?}: {made} is left");
        }
        // Those that were there are, and nothing else is in them.
        assert!(fs::read_dir(case.path("empty")).unwrap().next().is_none(), "{command:?}");
        assert_eq!(fs::read_dir(case.path("ours")).unwrap().count(), 1, "{command:?}");
    };
    let at = run_at(19);
    let nightly = ["nightly", "--quiet", "--run-at", &at];
    let also = |rest: [&'static str; 2]| [&nightly[..], &rest].concat();
    let report = |rest: &[&'static str]| [&["report"], rest].concat();

    fails(&report(&[]), "error: state: there is no state");
    fails(
        &also(["--report", "json=nowhere/x.json"]),
        "error: nowhere/x.json: found no such folder",
    );
    let grants = case.read("register/grants.csv");
    case.write("register/grants.csv", "grant\n");
    fails(&nightly, "error: register: the register has ");
    case.write("register/grants.csv", grants);
    fs::rename(case.path("logs"), case.path("aside")).unwrap();
    fails(&nightly, "error: no input could be read: logs/*: matches nothing");
    fs::rename(case.path("aside"), case.path("logs")).unwrap();
    // This run counts, and its report is where all are, but not where it was asked for.
    fails(&also(["--report", "json=/dev/full"]), "hint: run 1 counts all the same");
    fails(&report(&["--report", "json=/dev/full"]), "error: /dev/full: no space left on device");
    fails(&report(&["--since", "2019-01-01"]), "error: none of these days is kept");
    fs::rename(case.path("overstay.key"), case.path("aside")).unwrap();
    fails(&nightly, "error: overstay.key: found no privacy key");
    fails(&report(&[]), "error: overstay.key: found no privacy key");
    fs::rename(case.path("aside"), case.path("overstay.key")).unwrap();

    // Where there is a report, they are there: also of a run that ends with 1, or with 3.
    let ends = |command: &[&str], status: i32| {
        case.run(&[command, &places].concat()).expect_status(status);
        for made in ["new/usage.csv", "empty/usage.csv", "ours/usage.csv", "pages/report.md"] {
            assert!(case.path(made).exists(), "{command:?}: {made} is not there");
        }
        fs::remove_dir_all(case.path("new")).unwrap();
        fs::remove_dir_all(case.path("pages")).unwrap();
    };
    ends(&report(&["--fail-on", "critical"]), 1);
    append(&case, "logs/a.log", "no call\n");
    ends(&nightly, 3);
}

#[test]
fn a_rebuild_names_the_days_whose_logs_are_gone() {
    let case = case(CONFIG);
    for day in 17..21 {
        append(&case, &format!("logs/{day}.log"), hour_of_calls(&format!("12-{day}T09")));
    }
    night(&case, 21);
    let before = report(&case, &[]);
    assert_eq!(calls_of(&before), 240);
    let issued = things_in(&case.path(""), &["reports"]);
    for name in ["logs/17.log", "logs/18.log"] {
        fs::remove_file(case.path(name)).unwrap();
    }
    // That they are gone is nothing to the next run: they were read.
    let output = nightly(&case, &run_at(22), &[]).expect_status(0);
    assert_eq!((&*output.stderr, calls_of(&report(&case, &[]))), ("", 240));
    // Of a third day only some is there.
    append(&case, "logs/20.log", hour_of_calls("12-19T10"));
    assert_eq!(calls_of(&night(&case, 22)), 60);
    fs::remove_file(case.path("logs/19.log")).unwrap();
    let gone = "warning: not all that was counted is in the logs that are there: the rest is gone from the state, not from the reports of these days that were issued before; calls: 2018-12-17 0 of 60, 2018-12-18 0 of 60, 2018-12-19 60 of 120\n";
    let kept = things(&case);
    nightly(&case, &run_at(23), &["--rebuild", "--dry-run"])
        .expect_status(0)
        .expect_stderr(&[gone]);
    assert_same(&things(&case), &kept);
    let output = nightly(&case, &run_at(23), &["--rebuild"]).expect_status(0);
    assert_eq!(calls_of(&output.expect_stderr(&[gone]).report()), 120);
    let output = case.run(&["report", "--json"]).expect_status(0);
    let output = output.expect_stderr(&["warning: 2 days of this time, 2018-12-17 to 2018-12-18, are no longer kept (keep_days under [state], or --rebuild without their logs); their reports are"]);
    assert_eq!(calls_of(&output.report()), 120);
    let now = things_in(&case.path(""), &["reports"]);
    for (name, thing) in issued.iter().filter(|(name, _)| *name != "reports/latest") {
        assert!(now.get(name) == Some(thing), "{name} is another, or gone");
    }
    case.run(&["verify"]).expect_status(0);
    // A rebuild that has them all says nothing, and it is said once.
    let output = nightly(&case, &run_at(24), &["--rebuild"]).expect_status(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn days_are_reported_by_the_last_good_register_where_that_of_the_config_is_broken() {
    let case = case(CONFIG);
    append(&case, "logs/a.log", bad("12-18T09:00", 200) + &good("12-18T10:00"));
    night(&case, 19);
    let sound = case.run(&["report", "--json"]).expect_status(0);
    assert_eq!(sound.stderr, "");
    let (grants, whole) = (case.read("register/grants.csv"), things(&case));
    for (broken, words) in [
        (
            Some(grants.replace("messages", "nowhere")),
            "register: the register has 2 errors: register/grants.csv: 2: api: found \"nowhere\", expected one of the apis table; register/grants.csv: 3: ",
        ),
        (None, "register: the register has 1 error: register/grants.csv: "),
    ] {
        match broken {
            Some(text) => case.write("register/grants.csv", text),
            None => fs::remove_file(case.path("register/grants.csv")).unwrap(),
        }
        let before = things(&case);
        let output = case.run(&["report", "--json"]).expect_status(0);
        let told =
            format!("warning: the register was refused, and the last good one used: {words}");
        let output = output.expect_stderr(&[&told]);
        // On one line, and nothing of it as an escape.
        assert!(output.stderr.ends_with("(`overstay check` tells all that is wrong with it)\n"));
        assert_eq!((output.stderr.lines().count(), output.stderr.contains('\\')), (1, false));
        // It is what it was, to the byte.
        assert_eq!(output.stdout, sound.stdout);
        assert_same(&things(&case), &before);
    }
    // The one that is kept may be damaged as well: then there is nothing to go by.
    let names = case.names();
    let kept =
        |name: &&String| name.starts_with("state/registers/") && name.ends_with("grants.csv");
    let kept = names.iter().find(kept).unwrap();
    case.write(kept, grants.replace("2018-06-01", "2018-06-02"));
    case.run(&["report", "--json"]).expect_status(2).expect_no_stdout().expect_stderr(&[
        "it is not the register that was judged by: it was changed",
        "hint: mend the register of the configuration, or restore the state from a backup",
    ]);
    // A sound register needs no other.
    put_back(&case, &whole);
    assert_eq!(case.run(&["report", "--json"]).expect_status(0).stdout, sound.stdout);
}

/// All that is there, and when it was written.
fn tree(case: &Case) -> (Things, BTreeMap<String, SystemTime>) {
    let entries = fs::read_dir(case.path("")).unwrap();
    let roots = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let roots: Vec<String> = roots.collect();
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let things = things_in(&case.path(""), &roots);
    let written = |name: &String| {
        let metadata = case.path(name).symlink_metadata().unwrap();
        (name.clone(), metadata.modified().unwrap())
    };
    let times = things.keys().map(written).collect();
    (things, times)
}

#[test]
fn a_dry_run_leaves_no_trace_wherever_its_reports_would_go() {
    let config = format!(
        "{CONFIG}\n[report]\noutputs = [\"markdown=pages/\", \"csv=tables\"]\n\n[state]\ndir = \"kept/state\"\n"
    );
    let case = Case::with_register().file("overstay.toml", config);
    fs::create_dir(case.path("kept")).unwrap();
    append(&case, "logs/a.log", bad("12-18T09:00", 200) + &good("12-19T09:00"));
    let at = run_at(20);
    let dry = |rest: &[&str]| {
        let before = tree(&case);
        let base = ["nightly", "--dry-run", "--run-at", &at];
        let output = case.run(&[&base[..], rest].concat()).expect_status(0);
        let after = tree(&case);
        assert_same(&after.0, &before.0);
        assert_eq!(after.1, before.1, "{rest:?}: written anew");
        output
    };
    for rest in [
        &[][..],
        &["--report", "json=night.json", "--report", "csv=out"],
        &["--rebuild", "--report", "markdown=there/is/no/such/folder.md"],
    ] {
        // What would have gone to files is shown instead.
        let output = dry(rest);
        let shown = &output.stdout;
        assert!(shown.starts_with("1 of 2 partners overstayed: 1 served call, "), "{shown}");
        assert!(!output.stderr.contains("head of the chain"), "{}", output.stderr);
    }
    let dry_report = dry(&["--json"]).report();
    assert_eq!(calls_of(&dry_report), 2);
    let days = &dry_report["nightly"]["days"];
    let day = |day: &str| json!({"day": day, "revision": 1, "calls": 1, "added": 1});
    assert_eq!(days, &json!([day("2018-12-18"), day("2018-12-19")]));
    for place in ["kept/state", "reports", "pages", "tables", "overstay.key"] {
        assert!(!case.path(place).exists(), "{place}");
    }
    // The run itself does as it said; and one after that, dry, has a state to leave alone.
    let wet = case.run(&["nightly", "--json", "--run-at", &at]).expect_status(0);
    assert_eq!(wet.report(), dry_report);
    assert!(head_of(&wet).len() == 64 && case.path("kept/state/ledger").exists());
    append(&case, "logs/a.log", good("12-19T10:00"));
    assert_eq!(calls_of(&dry(&["--json"]).report()), 1);
    let output = dry(&["--report", "csv=tables"]);
    assert!(output.stdout.starts_with("No partner overstayed"), "{}", output.stdout);
}

/// What was listed once is not listed for the first time again, however long nothing of its source is remembered.
#[test]
fn a_source_of_dated_logs_that_falls_silent_is_not_counted_again() {
    let paths = "[\"logs/{yyyy}-{mm}-{dd}.log\"]\nlookback = \"2d\"";
    let dated = CONFIG.replace("[\"logs/*\"]", paths);
    let case = case(&format!("{dated}{TWO_SOURCES}"));
    for day in 10..13 {
        append(&case, &format!("logs/2018-12-{day}.log"), hour_of_calls(&format!("12-{day}T09")));
    }
    for day in 13..29 {
        append(&case, "edge/e.log", good(&format!("12-{}T10:00", day - 1)));
        // Of the days since the last run, and two before it, logs are looked for.
        let (status, expected) = match day {
            13 => (0, 181),
            14..16 => (0, 1),
            _ => (3, 1),
        };
        let output = nightly(&case, &run_at(day), &[]).expect_status(status);
        assert_eq!(calls_of(&output.report()), expected, "{day}");
        let told = "matches nothing (source core)";
        assert_eq!(output.stderr.contains(told), status == 3, "{day}: {}", output.stderr);
    }
    assert_eq!(calls_of(&report(&case, &[])), 196);
}
