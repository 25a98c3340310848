//! Runs that keep state: what goes wrong is told and changes nothing, findings live from run to run, and what is kept is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::concatenation::but_places;
use crate::harness::{Case, Output, adds_up, gzip, repository};

const KEY: &str =
    "overstay-key-1:0707070707070707070707070707070707070707070707070707070707070707\n";
const OTHER_KEY: &str =
    "overstay-key-1:0909090909090909090909090909090909090909090909090909090909090909\n";

pub const CONFIG: &str = r#"
[register]
source = "register"

[[logs]]
source = "core"
paths  = ["logs/*"]
format = "json"
"#;

/// When the run after that of [`Nights::new`] is.
pub const NEXT: &str = "2018-12-21T02:00:00Z";

/// A call: `12-18T09:00` of 2018, by the holder of this key.
pub fn call(at: &str, key: &str, path: &str, status: u16) -> String {
    format!(
        "{{\"time\":\"2018-{at}:00Z\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"{path}\",\"status\":{status},\"bytes\":10}}\n"
    )
}

/// A call in order.
pub fn good(at: &str) -> String {
    call(at, "key-acme-1", "/messages/ann", 200)
}

/// A call after the revocation of `globex`.
pub fn bad(at: &str, status: u16) -> String {
    call(at, "key-globex-2", "/messages/bob", status)
}

pub fn append(case: &Case, name: &str, lines: impl AsRef<[u8]>) {
    let path = case.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(lines.as_ref()).unwrap();
}

pub fn case(config: &str) -> Case {
    Case::with_register().file("overstay.toml", config).file("overstay.key", KEY)
}

pub fn nightly(case: &Case, run_at: &str, rest: &[&str]) -> Output {
    let base = ["nightly", "--json", "--quiet", "--run-at", run_at];
    case.run(&[&base[..], rest].concat())
}

pub fn report(case: &Case, rest: &[&str]) -> Value {
    case.run(&[&["report", "--json"], rest].concat()).expect_status(0).report()
}

/// The findings of a kind.
pub fn of_kind<'r>(report: &'r Value, kind: &str) -> Vec<&'r Value> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().filter(|finding| finding["kind"] == kind).collect()
}

/// The status of the one finding of a kind; null if there is none.
pub fn status_of(report: &Value, kind: &str) -> Value {
    let found = of_kind(report, kind);
    assert!(found.len() <= 1, "{kind}: {} findings", found.len());
    found.first().map_or(Value::Null, |finding| finding["status"].clone())
}

/// What lies at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    Folder,
    File(Vec<u8>),
    Link(String),
}

pub type Things = BTreeMap<String, Thing>;

/// What is kept, and what it is made from: all but the logs, and the lock.
const ROOTS: [&str; 6] = ["state", "reports", "disk", "register", "overstay.key", "overstay.toml"];

pub fn things(case: &Case) -> Things {
    things_in(&case.path(""), &ROOTS)
}

pub fn things_in(folder: &Path, roots: &[&str]) -> Things {
    let mut things = Things::new();
    for root in roots.iter().filter(|root| folder.join(root).exists()) {
        for entry in walkdir::WalkDir::new(folder.join(root)) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap();
            if name.ends_with("state/lock") {
                continue;
            }
            let thing = match entry.file_type() {
                kind if kind.is_dir() => Thing::Folder,
                kind if kind.is_symlink() => {
                    Thing::Link(fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned())
                }
                _ => Thing::File(fs::read(entry.path()).unwrap()),
            };
            things.insert(name.trim_end_matches('/').to_owned(), thing);
        }
    }
    things
}

pub fn put_back(case: &Case, things: &Things) {
    for root in ROOTS.map(|root| case.path(root)) {
        if root.is_dir() {
            fs::remove_dir_all(root).unwrap();
        } else if root.exists() {
            fs::remove_file(root).unwrap();
        }
    }
    for (name, thing) in things {
        match thing {
            Thing::Folder => fs::create_dir(case.path(name)).unwrap(),
            Thing::File(bytes) => fs::write(case.path(name), bytes).unwrap(),
            Thing::Link(to) => symlink(to, case.path(name)).unwrap(),
        }
    }
}

#[track_caller]
pub fn assert_same(found: &Things, expected: &Things) {
    let names = |things: &Things| things.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "what is there");
    for (name, thing) in found {
        assert!(*thing == expected[name], "{name} is another");
    }
}

/// A first run, and how the next goes if nothing comes between.
struct Nights {
    case: Case,
    before: Things,
    stdout: String,
    after: Things,
}

impl Nights {
    fn new() -> Nights {
        Nights::with(CONFIG)
    }

    fn with(config: &str) -> Nights {
        let case = case(config);
        if config.contains("disk/") {
            fs::create_dir(case.path("disk")).unwrap();
        }
        let mut first = bad("12-18T10:00", 200) + &call("12-18T11:00", "stranger", "/nowhere", 404);
        for minute in 10..40 {
            first += &good(&format!("12-18T09:{minute}"));
            first += &good(&format!("12-19T09:{minute}"));
        }
        append(&case, "logs/a.log", first);
        nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0).report();
        // Of both days and a third.
        let more = [bad("12-18T23:00", 200), good("12-19T23:30"), good("12-20T08:00")].concat();
        append(&case, "logs/a.log", more);
        let before = things(&case);
        let output = nightly(&case, NEXT, &[]).expect_status(0);
        assert_eq!(output.report()["accounting"]["calls"], 3);
        let (stdout, after) = (output.stdout.clone(), things(&case));
        put_back(&case, &before);
        Nights { case, before, stdout, after }
    }

    /// The next run goes as if nothing had come between.
    #[track_caller]
    fn goes_on(&self) {
        let output = nightly(&self.case, NEXT, &[]).expect_status(0);
        assert!(output.stdout == self.stdout, "the report is another");
        assert_same(&things(&self.case), &self.after);
        put_back(&self.case, &self.before);
    }

    /// Something is spoilt: the run fails with these words, and changes nothing; and once it is as it was the next one goes on.
    #[track_caller]
    fn spoilt(&self, spoil: impl FnOnce(&Case), words: &[&str]) {
        spoil(&self.case);
        let spoilt = things(&self.case);
        nightly(&self.case, NEXT, &[]).expect_status(2).expect_stderr(words).expect_no_stdout();
        assert_same(&things(&self.case), &spoilt);
        put_back(&self.case, &self.before);
        self.goes_on();
    }
}

fn change(case: &Case, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(case.path(name)).unwrap();
    change(&mut bytes);
    fs::write(case.path(name), bytes).unwrap();
}

const RESTORE: &str = "hint: restore the state folder from a backup, or forget it and read all logs again with `overstay nightly --rebuild`";

#[test]
fn a_ledger_that_is_damaged_foreign_newer_or_half_written_is_refused() {
    let nights = Nights::new();
    let Thing::File(ledger) = nights.before["state/ledger"].clone() else { panic!() };
    let length = ledger.len();
    for place in [8, 15, 20, 27, 28, 59, 60, length / 2, length - 1] {
        let flip = |case: &Case| change(case, "state/ledger", |bytes| bytes[place] ^= 1);
        // A length that is too long says that something is missing.
        let words = if (20..28).contains(&place) {
            "error: state/ledger: "
        } else {
            "it is damaged: its checksum does not fit"
        };
        nights.spoilt(flip, &[words, RESTORE]);
    }
    for place in [0, 7] {
        let flip = |case: &Case| change(case, "state/ledger", |bytes| bytes[place] ^= 0x20);
        nights.spoilt(
            flip,
            &["error: state/ledger: found a file that overstay did not write", RESTORE],
        );
    }
    for kept in [0, 7, 59, 60, length - 1] {
        let cut = |case: &Case| change(case, "state/ledger", |bytes| bytes.truncate(kept));
        let found = format!("error: state/ledger: found {kept} bytes, expected ");
        nights.spoilt(cut, &[&found, ": it was not written to its end", RESTORE]);
    }
    let longer = |case: &Case| change(case, "state/ledger", |bytes| bytes.push(0));
    nights.spoilt(longer, &["it is damaged", RESTORE]);
    let foreign = |case: &Case| case.write("state/ledger", "%PDF-1.7 and no ledger at all");
    nights.spoilt(
        foreign,
        &["found a file that overstay did not write, expected its state", RESTORE],
    );
    let segment = |case: &Case| {
        fs::copy(case.path("state/segments/2018-12-18.000001"), case.path("state/ledger")).unwrap();
    };
    nights.spoilt(segment, &["found another kind of state file in its place", RESTORE]);
    let newer = |case: &Case| change(case, "state/ledger", |bytes| bytes[16] = 9);
    let words = [
        "found format 9 of a newer overstay, expected format 4",
        "hint: run the version of overstay that wrote it, or a newer one",
    ];
    nights.spoilt(newer, &words);
    let folder = |case: &Case| {
        fs::remove_file(case.path("state/ledger")).unwrap();
        fs::create_dir(case.path("state/ledger")).unwrap();
    };
    nights.spoilt(folder, &["error: state/ledger: "]);

    // `report` reads the same ledger, and changes nothing either.
    change(&nights.case, "state/ledger", |bytes| bytes[length / 2] ^= 1);
    let spoilt = things(&nights.case);
    nights.case.run(&["report"]).expect_status(2).expect_stderr(&["it is damaged", RESTORE]);
    // What can't be used can be forgotten: all logs are read again, and the chain goes on.
    let output = nightly(&nights.case, NEXT, &["--rebuild"]).expect_status(0);
    let output = output.expect_stderr(&[
        "warning: the state can't be used, and is forgotten, with any alerts that waited: state/ledger: it is damaged",
    ]);
    let rebuilt = output.report();
    assert_eq!(rebuilt["accounting"]["calls"], 65);
    assert_eq!(rebuilt["nightly"]["run"], 2);
    let Thing::File(manifest) = &spoilt["reports/runs/000001/manifest.json"] else { panic!() };
    assert_eq!(rebuilt["nightly"]["previous"], blake3::hash(manifest).to_hex().to_string());
}

#[test]
fn a_ledger_of_another_state_is_not_taken_for_this_one() {
    let nights = Nights::new();
    let other =
        case(CONFIG).file("overstay.key", OTHER_KEY).file("logs/a.log", good("12-18T09:00"));
    nightly(&other, "2018-12-20T02:00:00Z", &[]).expect_status(0);
    let foreign = |case: &Case| {
        fs::copy(other.path("state/ledger"), case.path("state/ledger")).unwrap();
    };
    nights.spoilt(foreign, &["error: overstay.key: found another privacy key than the one that the state is sealed with"]);
}

#[test]
fn a_segment_that_is_damaged_is_refused() {
    let nights = Nights::new();
    let name = "state/segments/2018-12-18.000001";
    let changed = [
        &format!("error: {name}: it is not the file that the ledger names: it was changed"),
        RESTORE,
    ];
    let Thing::File(segment) = nights.before[name].clone() else { panic!() };
    for place in [0, 16, 30, segment.len() / 2, segment.len() - 1] {
        nights.spoilt(|case| change(case, name, |bytes| bytes[place] ^= 4), &changed);
    }
    for kept in [0, 20, segment.len() - 1] {
        nights.spoilt(|case| change(case, name, |bytes| bytes.truncate(kept)), &changed);
    }
    // A whole one of another day, whose checksum fits.
    let swap = |case: &Case| {
        fs::copy(case.path("state/segments/2018-12-19.000001"), case.path(name)).unwrap();
    };
    nights.spoilt(swap, &changed);
    let gone = |case: &Case| fs::remove_file(case.path(name)).unwrap();
    nights.spoilt(gone, &[&format!("error: {name}: "), RESTORE]);

    change(&nights.case, name, |bytes| bytes[100] ^= 1);
    nights.case.run(&["report"]).expect_status(2).expect_stderr(&changed).expect_no_stdout();
    // Of other days it still tells.
    let other = report(&nights.case, &["--since", "2018-12-19"]);
    assert_eq!(other["accounting"]["calls"], 30);
}

#[test]
fn what_a_killed_run_left_is_cleared_away() {
    let nights = Nights::new();
    let left = |name: &str, content: &[u8]| nights.case.write(name, content);
    let Thing::File(ledger) = nights.after["state/ledger"].clone() else { panic!() };
    // Half of the next ledger, all of it, and whatever else was written before it.
    for ledger in [&ledger[..ledger.len() / 2], &ledger] {
        left("state/ledger.new", ledger);
        left("state/segments/2018-12-18.000002", b"half a segm");
        left("state/segments/2018-12-25.000002", b"");
        left("state/registers/.new/grants.csv", b"grant,par");
        left("reports/.new/000002/runs/000002/report.json", b"{");
        left("reports/.new/000002/2018-12-18/rev-2.json", b"");
        left("reports/.new/000007/nothing", b"");
        symlink("runs/000009", nights.case.path("reports/.latest.new")).unwrap();
        nights.goes_on();
    }
    // It had committed, and had not put its reports in their places.
    let case = &nights.case;
    let (from, to) = (case.path("reports"), case.path("reports/.new/000001"));
    fs::create_dir_all(to.join("runs")).unwrap();
    for name in ["runs/000001", "2018-12-18"] {
        fs::rename(from.join(name), to.join(name)).unwrap();
    }
    fs::remove_file(from.join("latest")).unwrap();
    nights.goes_on();
}

/// What was there before is there still, and nothing else but what the next run clears away.
#[track_caller]
fn assert_only_left(found: &Things, before: &Things) {
    for (name, thing) in before {
        assert!(found.get(name) == Some(thing), "{name} is another, or gone");
    }
    for name in found.keys().filter(|name| !before.contains_key(*name)) {
        let is_left = ["state/ledger.new", "state/segments/", "reports/.new"]
            .iter()
            .any(|left| name.trim_start_matches("disk/").starts_with(left));
        assert!(is_left, "{name} was left");
    }
}

#[allow(clippy::print_stderr, reason = "a test that could not run must say so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

fn is_possible(case: &Case, program: &str, arguments: &[&str]) -> bool {
    case.tool(program, arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_fails_the_run_and_the_next_one_goes_on() {
    let config =
        format!("{CONFIG}\n[state]\ndir = \"disk/state\"\n[report]\ndir = \"disk/reports\"\n");
    let nights = Nights::with(&config);
    let case = &nights.case;
    fs::create_dir(case.path("probe")).unwrap();
    if !is_possible(case, "unshare", &["-m", "mount", "-t", "tmpfs", "none", "probe"]) {
        return skipped("a file system of its own can only be had by root");
    }
    // The mount is of this process alone, and goes with it.
    let script = r#"mv disk saved && mkdir disk || exit 98
        trap 'rm -rf disk/*; umount disk; rm -rf disk; mv saved disk' EXIT
        mount -t tmpfs -o "size=$2k" none disk || exit 98
        cp -a saved/. disk/ 2>/dev/null || exit 99
        "$1" nightly --json --quiet --run-at "$3" $4; code=$?
        rm -rf after && cp -a disk after && exit $code"#;
    let (mut failed_at, mut failed) = (BTreeSet::new(), 0);
    let in_memory = (4..4000).step_by(4).map(|size_kib| (size_kib, ""));
    let laid_aside = (6..4000).step_by(10).map(|size_kib| (size_kib, "--counted-bytes=0"));
    let mut is_done = "none";
    for (size_kib, memory) in in_memory.chain(laid_aside) {
        if memory == is_done {
            continue;
        }
        let size = size_kib.to_string();
        let program = env!("CARGO_BIN_EXE_overstay");
        let arguments = ["-m", "sh", "-c", script, "sh", program, &size, NEXT, memory];
        let output = case.finish(case.tool("unshare", &arguments));
        match output.status.code() {
            Some(99) => continue,
            Some(0) => {
                assert!(output.stdout == nights.stdout);
                is_done = memory;
                continue;
            }
            _ => {}
        }
        let output =
            output.expect_status(2).expect_stderr(&["no space left on device"]).expect_no_stdout();
        failed += 1;
        let place = output.stderr.split("disk/").nth(1).unwrap();
        failed_at.insert(place.split(['/', ':', '.']).take(2).collect::<Vec<_>>().join("/"));
        let hints = [
            "hint: nothing counts of this run: the state is as it was before",
            "hint: the state folder must be writable; nothing was changed",
            "hint: sums that are too large for memory are kept there; nothing was changed",
        ];
        assert!(hints.iter().any(|hint| output.stderr.contains(hint)));
        let left = things_in(&case.path("after"), &["state", "reports"]);
        let before = things_in(&case.path("disk"), &["state", "reports"]);
        assert_only_left(&left, &before);
        // There is room again.
        fs::remove_dir_all(case.path("disk")).unwrap();
        fs::rename(case.path("after"), case.path("disk")).unwrap();
        nights.goes_on();
    }
    assert!(failed > 5, "{failed} failed, at {failed_at:?}");
    let places: Vec<&str> = failed_at.iter().map(String::as_str).collect();
    for place in ["state/segments", "state/ledger", "reports/"] {
        assert!(places.contains(&place), "none failed at {place}, but at {places:?}");
    }
}

#[test]
fn files_that_may_not_grow_fail_or_kill_the_run_and_the_next_one_goes_on() {
    let nights = Nights::new();
    let case = &nights.case;
    if !is_possible(case, "prlimit", &["--fsize=1000", "true"]) {
        return skipped("there is no prlimit");
    }
    let (mut failed, mut killed) = (0, 0);
    for (trap, is_killed) in [("trap '' XFSZ", false), ("ulimit -c 0", true)] {
        for bytes in [0, 1, 100, 1_000, 1_500, 2_000, 3_000, 4_000, 8_000, 20_000, 1 << 30] {
            let script = format!(
                "{trap}; exec prlimit --fsize={bytes} '{}' nightly --json --quiet --run-at {NEXT}",
                env!("CARGO_BIN_EXE_overstay")
            );
            let output = case.finish(case.tool("sh", &["-c", &script]));
            match output.status.code() {
                Some(0) => {
                    assert!(output.stdout == nights.stdout);
                    put_back(case, &nights.before);
                    continue;
                }
                None => {
                    assert!(is_killed, "{}", output.status);
                    killed += 1;
                }
                Some(_) => {
                    output
                        .expect_status(2)
                        .expect_stderr(&["error: ", "too large"])
                        .expect_no_stdout();
                    failed += 1;
                }
            }
            assert_only_left(&things(case), &nights.before);
            nights.goes_on();
        }
    }
    assert!(failed > 3 && killed > 3, "{failed} failed, {killed} were killed");
}

#[test]
fn folders_that_are_read_only_are_refused() {
    let nights = Nights::new();
    let case = &nights.case;
    let script = r#"mount --bind "$2" "$2" && mount -o remount,ro,bind "$2" || exit 98
        exec "$1" nightly --json --quiet --run-at "$3""#;
    let program = env!("CARGO_BIN_EXE_overstay");
    if !is_possible(case, "unshare", &["-m", "mount", "--bind", "state", "state"]) {
        return skipped("folders can be made read-only for root by root alone");
    }
    for (folder, words) in [
        (
            "state",
            ["error: state/lock: ", "hint: the state folder must be writable; nothing was changed"],
        ),
        (
            "reports",
            ["error: reports/", "hint: nothing counts of this run: the state is as it was before"],
        ),
    ] {
        let arguments = ["-m", "sh", "-c", script, "sh", program, folder, NEXT];
        let output = case.finish(case.tool("unshare", &arguments));
        output
            .expect_status(2)
            .expect_stderr(&words)
            .expect_stderr(&["ead-only"])
            .expect_no_stdout();
        assert_only_left(&things(case), &nights.before);
        nights.goes_on();
    }
    // `report` writes nothing, and needs no more than to read.
    let script = script.replace("nightly --json --quiet --run-at \"$3\"", "report --json");
    let output =
        case.finish(case.tool("unshare", &["-m", "sh", "-c", &script, "sh", program, "state"]));
    assert_eq!(output.expect_status(0).report()["accounting"]["calls"], 62);
}

#[test]
fn one_run_at_a_time() {
    let nights = Nights::new();
    let case = &nights.case;
    let path = case.path("state/lock");
    let lock = fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    let words = |holder: &str| {
        format!("error: state/lock: held by {holder}, which writes this state: one run at a time")
    };
    for (told, holder) in [
        (std::process::id().to_string(), format!("process {}", std::process::id())),
        (String::new(), "another process".to_owned()),
    ] {
        fs::write(&path, told).unwrap();
        let words = words(&holder);
        nights_blocked(&nights, &[&words, "hint: wait for it to end; nothing was changed"]);
    }
    // Who only looks need not wait.
    assert_eq!(report(case, &[])["accounting"]["calls"], 62);
    assert!(nightly(case, NEXT, &["--dry-run"]).expect_status(0).stdout == nights.stdout);
    drop(lock);
    nights.goes_on();
}

#[track_caller]
fn nights_blocked(nights: &Nights, words: &[&str]) {
    nightly(&nights.case, NEXT, &[]).expect_status(2).expect_stderr(words).expect_no_stdout();
    assert_same(&things(&nights.case), &nights.before);
}

#[test]
fn runs_that_start_together_count_each_call_once() {
    let nights = Nights::new();
    let case = &nights.case;
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = case.command(&["nightly", "--json", "--quiet", "--run-at", NEXT]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let (well, blocked): (Vec<_>, Vec<_>) =
        outputs.into_iter().partition(|output| output.status.code() == Some(0));
    assert!(!well.is_empty());
    for output in blocked {
        let output = case.output("nightly".to_owned(), output).expect_status(2);
        output.expect_stderr(&["state/lock: held by ", ": one run at a time"]);
    }
    let sum = report(case, &[]);
    assert_eq!(sum["accounting"]["calls"], 65);
    assert_eq!(sum["nightly"]["run"], 1 + well.len());
}

#[test]
fn a_clock_that_jumped_forgets_nothing() {
    let config = format!("{CONFIG}\n[state]\nkeep_days = 5\n");
    let nights = Nights::with(&config);
    let case = &nights.case;
    // A little back, and time goes on: clocks are put right.
    nightly(case, "2018-12-20T01:30:00Z", &[]).expect_status(0);
    put_back(case, &nights.before);

    let output = nightly(case, "2200-01-01T02:00:00Z", &[]).expect_status(0);
    let output = output.expect_stderr(&[
        "warning: the last run was ",
        "at 2018-12-20T02:00:00Z: is the clock right?",
    ]);
    assert_eq!(output.report()["accounting"]["calls"], 3);
    let jumped = things(case);
    // The clock of whoever runs this is right.
    let output = case.run(&["nightly"]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&[
        "error: the clock says ",
        ", and the last run was at 2200-01-01T02:00:00Z: it has jumped back, or had jumped ahead",
        "hint: put the clock right; where it is, and the last run's was not, give the right time once with --run-at",
        "Nothing was changed",
    ]);
    assert_same(&things(case), &jumped);
    // All logs are known still, and all days kept.
    fs::write(case.path("logs/a.log.1.gz"), gzip(fs::read(case.path("logs/a.log")).unwrap()))
        .unwrap();
    fs::remove_file(case.path("logs/a.log")).unwrap();
    case.write("logs/a.log", good("12-21T09:00"));
    let output = nightly(case, "2018-12-22T02:00:00Z", &[]).expect_status(0);
    let output = output.expect_stderr(&["warning: --run-at 2018-12-22T02:00:00Z is before the last run, which was at 2200-01-01T02:00:00Z: taken as it was given"]);
    let right = output.report();
    assert_eq!(right["accounting"]["calls"], 1);
    assert_eq!(of_kind(&right, "log-lost").len() + of_kind(&right, "log-rewritten").len(), 0);
    let sum = report(case, &[]);
    assert_eq!(sum["accounting"]["calls"], 66);
    assert_eq!(sum["nightly"]["days"].as_array().unwrap().len(), 4);
    // From now on the clock is as it was.
    append(case, "logs/a.log", good("12-22T09:00"));
    let output = nightly(case, "2018-12-23T02:00:00Z", &[]).expect_status(0);
    assert_eq!(output.stderr, "");
    assert_eq!(output.report()["accounting"]["calls"], 1);
}

#[test]
fn a_call_from_far_ahead_makes_no_day_go() {
    let config = format!("{CONFIG}\n[state]\nkeep_days = 3\n");
    let nights = Nights::with(&config);
    let case = &nights.case;
    append(case, "logs/a.log", good("12-20T09:00").replace("2018", "2199"));
    nightly(case, NEXT, &[]).expect_status(0);
    let days = report(case, &[])["nightly"]["days"].clone();
    let days: Vec<&str> =
        days.as_array().unwrap().iter().map(|day| day["day"].as_str().unwrap()).collect();
    assert_eq!(days, ["2018-12-19", "2018-12-20", "2199-12-20"]);
}

#[test]
fn a_first_register_with_errors_makes_no_state() {
    let case = case(CONFIG).file("logs/a.log", good("12-18T09:00"));
    case.write("register/grants.csv", "grant,partner,api,operations\ng-acme,acme,nowhere,read\n");
    let output = nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(2).expect_no_stdout();
    output.expect_stderr(&["error: register: the register has 1 error", "grants.csv", "nowhere"]);
    let names = case.names();
    let kept: Vec<_> =
        names.iter().filter(|n| n.starts_with("state/") || n.starts_with("reports/")).collect();
    assert_eq!(kept, ["state/lock"]);
    let good_one = "grant,partner,api,operations\ng-acme,acme,messages,read\n";
    case.write("register/grants.csv", good_one);
    let first = nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0).report();
    assert_eq!(
        (&first["nightly"]["run"], &first["nightly"]["previous"]),
        (&json!(1), &Value::Null)
    );
}

#[test]
fn a_register_that_is_refused_is_told_and_the_last_good_one_used() {
    let case = case(CONFIG).file("logs/a.log", bad("12-18T09:00", 200));
    let first = nightly(&case, "2018-12-19T02:00:00Z", &[]).expect_status(0).report();
    let grants = case.read("register/grants.csv");
    let state_of = |report: &Value| {
        let refused = of_kind(report, "register-refused");
        refused.first().map(|finding| {
            assert_eq!(finding["severity"], "critical");
            (finding["status"].as_str().unwrap().to_owned(), finding["first_seen"].clone())
        })
    };
    assert_eq!(state_of(&first), None);
    let seen = json!("2018-12-20T02:00:00Z");

    case.write("register/grants.csv", "grant,partner,api,operations\ng,acme,nowhere,read\nh,acme,nowhere,read\ni,acme,nowhere,read\nj,acme,nowhere,read\n");
    append(&case, "logs/a.log", bad("12-19T09:00", 200));
    for (run_at, status) in [("2018-12-20T02:00:00Z", "new"), ("2018-12-21T02:00:00Z", "ongoing")] {
        let output = nightly(&case, run_at, &["--fail-on", "critical"]).expect_status(3);
        let report = output.report();
        assert_eq!(state_of(&report), Some((status.to_owned(), seen.clone())));
        assert_eq!(report["register"], first["register"]);
        assert_eq!(report["status"], "partial");
        assert_eq!(report["partial"][0]["path"], "register");
        let reason = report["partial"][0]["reason"].as_str().unwrap();
        let begins =
            "the register was refused, and the last good one used: register: the register has ";
        assert!(reason.starts_with(begins), "{reason}");
        assert!(reason.contains("grants.csv") && !reason.contains('\n'), "{reason}");
        assert!(
            reason.ends_with("; … (`overstay check` tells all that is wrong with it)"),
            "{reason}"
        );
        output.expect_stderr(&[&format!("warning: register: {reason}")]);
    }
    // It was judged by the register that was kept.
    assert_eq!(status_of(&report_of_run(&case, 2), "after-revocation"), "ongoing");

    // That too may be damaged.
    let kept = case
        .names()
        .into_iter()
        .find(|n| n.starts_with("state/registers/") && n.ends_with("/grants.csv"))
        .unwrap();
    let was = case.read(&kept);
    case.write(&kept, was.replace("2018-06-01", "2018-06-02"));
    let before = things(&case);
    let output = nightly(&case, "2018-12-22T02:00:00Z", &[]).expect_status(2);
    output.expect_stderr(&[
        "it is not the register that was judged by: it was changed",
        "hint: mend the register of the configuration, or restore the state from a backup",
    ]);
    assert_same(&things(&case), &before);
    case.write(&kept, was);

    // A good one is refused no longer, whether there are calls or not.
    case.write("register/grants.csv", &grants);
    let mended = nightly(&case, "2018-12-22T02:00:00Z", &[]).expect_status(0).report();
    assert_eq!(state_of(&mended), Some(("resolved".to_owned(), seen.clone())));
    let later = nightly(&case, "2018-12-23T02:00:00Z", &[]).expect_status(0).report();
    assert_eq!(state_of(&later), None);
    fs::remove_file(case.path("register/grants.csv")).unwrap();
    let again = nightly(&case, "2018-12-24T02:00:00Z", &[]).expect_status(3).report();
    assert_eq!(state_of(&again), Some(("reopened".to_owned(), seen)));
}

pub fn report_of_run(case: &Case, run: u32) -> Value {
    serde_json::from_str(&case.read(&format!("reports/runs/{run:06}/report.json"))).unwrap()
}

#[test]
fn the_privacy_key_must_be_the_one_that_sealed_the_state() {
    let nights = Nights::new();
    let hint = "hint: restore it from a backup; without it the state can't be read, and `overstay nightly --rebuild` reads all logs that are there again";
    let gone = |case: &Case| fs::remove_file(case.path("overstay.key")).unwrap();
    nights.spoilt(
        gone,
        &["error: overstay.key: found no privacy key, and the state is sealed with one", hint],
    );
    let other = |case: &Case| case.write("overstay.key", OTHER_KEY);
    let words = [
        "error: overstay.key: found another privacy key than the one that the state is sealed with",
        hint,
    ];
    nights.spoilt(other, &words);
    for text in ["", "secret", &KEY[..40], &KEY.replace("key-1", "key-9")] {
        let none = |case: &Case| case.write("overstay.key", text);
        nights.spoilt(none, &["error: overstay.key: found no privacy key, expected `overstay-key-1:` and 64 hex digits", "restore it from a backup"]);
    }
    // `report` needs it as well.
    let case = &nights.case;
    case.write("overstay.key", OTHER_KEY);
    case.run(&["report"]).expect_status(2).expect_stderr(&words);
    // Without it all can be read again: a new key is made, for its owner alone.
    fs::remove_file(case.path("overstay.key")).unwrap();
    let rebuilt = nightly(case, NEXT, &["--rebuild"]).expect_status(0).report();
    assert_eq!(rebuilt["accounting"]["calls"], 65);
    let key = case.read("overstay.key");
    assert!(key.len() == KEY.len() && key != KEY && key != OTHER_KEY, "{key}");
    for name in ["overstay.key", "state/ledger", "state/segments/2018-12-18.000002"] {
        let mode = fs::metadata(case.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[test]
fn a_configuration_that_does_not_fit_makes_no_state() {
    let logs = |paths: &str| CONFIG.replace("[\"logs/*\"]", paths);
    let narrower = "hint: make the paths of the source narrower, or keep it elsewhere: [state] dir, [report] dir";
    for (config, words) in [
        (
            logs("[\".\"]"),
            vec![
                "[[logs]] core: `.` finds the state in state, expected logs only",
                "`.` finds reports in reports",
                narrower,
            ],
        ),
        (logs("[\"**/*\"]"), vec!["`**/*` finds the state in state", narrower]),
        (logs("[\"logs/*\", \"state\"]"), vec!["`state` finds the state in state", narrower]),
        (
            format!("{CONFIG}[state]\ndir = \"logs/state\"\n").replace("logs/*", "logs"),
            vec!["`logs` finds the state in logs/state", narrower],
        ),
        (
            format!("{CONFIG}[report]\ndir = \"logs/deep/er\"\n").replace("logs/*", "logs"),
            vec!["`logs` finds reports in logs/deep/er", narrower],
        ),
        (
            logs("[\"-\"]"),
            vec![
                "[[logs]] core: paths: found `-`, expected files",
                "hint: save it to files first; `overstay audit` reads standard input",
            ],
        ),
        (
            "[register]\nsource = \"register\"\n".to_owned(),
            vec![
                "error: overstay.toml: there are no logs to read",
                "hint: name them under [[logs]]: `source` and `paths`",
            ],
        ),
        (
            CONFIG.replace("[register]\nsource = \"register\"", ""),
            vec!["there is no register, and nothing to judge by", "hint: name it in overstay.toml"],
        ),
        (
            format!("{CONFIG}[state]\ndir = \" \"\n"),
            vec!["overstay.toml: [state] dir: found nothing, expected a path"],
        ),
        (
            format!("{CONFIG}[state]\nkeep_days = 0\n"),
            vec!["overstay.toml: ", "expected a nonzero"],
        ),
    ] {
        let case = case(&config).file("logs/a.log", good("12-18T09:00"));
        let before = case.names();
        nightly(&case, "2018-12-20T02:00:00Z", &[])
            .expect_status(2)
            .expect_stderr(&words)
            .expect_no_stdout();
        assert_eq!(case.names(), before);
        assert!(!case.path("state").exists() && !case.path("reports").exists());
    }
    let case = Case::with_register();
    let output = case.run(&["nightly"]).expect_status(2);
    output.expect_stderr(&[
        "there is no configuration, which says where the logs and the state are",
        "hint: run it where overstay.toml is",
    ]);

    // What only the logs tell is told then, and changes nothing.
    let nights = Nights::new();
    let words = [
        "logs/a.log: found in the sources ",
        "expected each log in one",
        "its calls would count twice; make the paths of one source narrower",
    ];
    let twice = |case: &Case| {
        let second = "\n[[logs]]\nsource = \"edge\"\npaths = [\"logs/a.*\"]\nformat = \"json\"\n";
        case.write("overstay.toml", format!("{CONFIG}{second}"));
    };
    nights.spoilt(twice, &words);
    let nothing = |case: &Case| case.write("overstay.toml", CONFIG.replace("logs/*", "nowhere/*"));
    nights.spoilt(
        nothing,
        &[
            "error: no input could be read: nowhere/*: matches nothing (source core)",
            "hint: nothing was changed",
        ],
    );
}

#[test]
fn a_report_that_can_not_be_written_leaves_a_run_that_counts() {
    let nights = Nights::new();
    let case = &nights.case;
    // Known before anything is done.
    let words = [
        "error: nowhere/report.json: found no such folder, expected one for the report",
        "nothing was changed",
    ];
    nightly(case, NEXT, &["--report", "json=nowhere/report.json"])
        .expect_status(2)
        .expect_stderr(&words);
    assert_same(&things(case), &nights.before);
    // Known only then.
    let words = [
        "error: /dev/full: no space left on device",
        "hint: run 2 counts all the same, and its report is in reports/runs/000002",
    ];
    nightly(case, NEXT, &["--report", "json=/dev/full"]).expect_status(2).expect_stderr(&words);
    assert_same(&things(case), &nights.after);
}

pub const TWO_SOURCES: &str = r#"
[[logs]]
source = "edge"
paths  = ["edge/*"]
format = "json"
"#;

#[test]
fn findings_live_from_run_to_run() {
    let case = case(&format!("{CONFIG}{TWO_SOURCES}")).file("edge/e.log", "");
    let kind = "after-revocation";
    let (core, edge) = ("logs/a.log", "edge/e.log");
    let night = |day: u32, lines: &[(&str, String)], status: i32| {
        for (name, line) in lines {
            append(&case, name, line);
        }
        let report = nightly(&case, &format!("2018-12-{:02}T02:00:00Z", day + 1), &[])
            .expect_status(status)
            .report();
        for finding in of_kind(&report, kind) {
            assert_eq!(finding["first_seen"], "2018-12-02T02:00:00Z");
        }
        report
    };
    let at = |day: u32| format!("12-{day:02}T09:00");
    let of = |report: &Value| status_of(report, kind);

    let report_1 = night(1, &[(core, bad(&at(1), 200)), (edge, good(&at(1)))], 0);
    assert_eq!(of(&report_1), "new");
    let id = of_kind(&report_1, kind)[0]["id"].clone();
    assert_eq!(of(&night(2, &[(core, bad(&at(2), 200))], 0)), "ongoing");
    // The source was not heard: nobody knows.
    assert_eq!(of(&night(3, &[(edge, good(&at(3)))], 0)), Value::Null);
    // It was, but not all of it could be read.
    case.write("edge/broken.log", "no call\n".repeat(50));
    let partial = night(4, &[(core, good(&at(4)))], 3);
    assert_eq!((&partial["status"], of(&partial)), (&json!("partial"), Value::Null));
    fs::remove_file(case.path("edge/broken.log")).unwrap();
    // Nothing at all was new.
    assert_eq!(of(&night(5, &[], 0)), Value::Null);
    assert_eq!(of(&report(&case, &[])), "ongoing");
    // It was heard, and did not have it any more.
    let over = night(6, &[(core, good(&at(6)))], 0);
    assert_eq!(of(&over), "resolved");
    let finding = of_kind(&over, kind)[0];
    assert_eq!(finding["id"], id);
    assert_eq!(
        (&finding["served"], &finding["partner"], &finding["grant"]),
        (&json!(0), &json!("globex"), &json!("g-globex"))
    );
    assert_eq!(
        (&finding["lapsed_at"], &finding["last"]),
        (&json!("2018-06-01T00:00:00Z"), &json!("2018-12-02T09:00:00Z"))
    );
    let summary = finding["summary"].as_str().unwrap();
    assert!(
        summary.starts_with(
            "no longer found: after-revocation of partner globex, api messages, grant g-globex"
        ),
        "{summary}"
    );
    // Over all days it is what it was, and over.
    let sum = report(&case, &[]);
    assert_eq!((of(&sum), &of_kind(&sum, kind)[0]["served"]), (json!("resolved"), &json!(2)));
    assert_eq!(of(&night(7, &[(core, good(&at(7)))], 0)), Value::Null, "it is told once");
    assert_eq!(of(&night(8, &[(core, bad(&at(8), 200))], 0)), "reopened");
    assert_eq!(of(&night(9, &[(core, bad(&at(9), 200))], 0)), "ongoing");
    // Refused calls are none that were served: the control works.
    let refused = night(10, &[(core, bad(&at(10), 403))], 0);
    assert_eq!(
        (of(&refused), &of_kind(&refused, kind)[0]["denied"]),
        (json!("resolved"), &json!(1))
    );
    assert_eq!(of(&night(11, &[(core, bad(&at(11), 403))], 0)), "resolved");
    assert_eq!(of(&night(12, &[(core, bad(&at(12), 200))], 0)), "reopened");
}

#[test]
fn a_suppression_hides_until_its_end() {
    let suppress = "[[suppress]]\nkind = \"after-revocation\"\nowner = \"api-governance\"\nreason = \"wind-down\"\nuntil = \"2018-12-20\"\n";
    let case = case(&format!("{CONFIG}{suppress}"));
    let night = |at: &str, run_at: &str, status: i32| {
        append(&case, "logs/a.log", bad(at, 200));
        let output = nightly(&case, run_at, &["--fail-on", "critical"]).expect_status(status);
        let report = output.report();
        let finding = of_kind(&report, "after-revocation")[0].clone();
        let suppression = &report["suppressions"][0];
        (
            finding["status"].clone(),
            finding["suppressed_by"].is_null(),
            suppression["hides"].clone(),
            suppression["expired"].clone(),
        )
    };
    // The run's own time does not count: the end of what it saw does.
    assert_eq!(
        night("12-18T09:00", "2018-12-27T02:00:00Z", 0),
        (json!("new"), false, json!(1), json!(false))
    );
    assert_eq!(
        night("12-19T23:59", "2018-12-28T02:00:00Z", 0),
        (json!("ongoing"), false, json!(1), json!(false))
    );
    assert_eq!(
        night("12-20T00:01", "2018-12-29T02:00:00Z", 1),
        (json!("ongoing"), true, json!(0), json!(true))
    );
}

#[test]
fn a_dry_run_writes_nothing_and_reports_what_the_run_will() {
    let case = Case::with_register().file("overstay.toml", CONFIG);
    append(&case, "logs/a.log", bad("12-18T09:00", 200) + &good("12-19T09:00"));
    for run_at in ["2018-12-20T02:00:00Z", NEXT] {
        let before = (case.names(), things(&case));
        let dry = nightly(&case, run_at, &["--dry-run"]).expect_status(0);
        assert_eq!((case.names(), things(&case)), before);
        let wet = nightly(&case, run_at, &[]).expect_status(0);
        assert!(
            dry.stdout == wet.stdout,
            "{}",
            crate::properties::difference(&dry.stdout, &wet.stdout)
        );
        append(&case, "logs/a.log", bad("12-18T10:00", 200) + &good("12-20T09:00"));
    }
    assert!(case.path("overstay.key").exists());
    // Nor does one that is to forget all.
    let before = (case.names(), things(&case));
    let dry = nightly(&case, "2018-12-22T02:00:00Z", &["--dry-run", "--rebuild"]).expect_status(0);
    assert_eq!(dry.report()["accounting"]["calls"], 6);
    assert_eq!((case.names(), things(&case)), before);
    let wet = nightly(&case, "2018-12-22T02:00:00Z", &["--rebuild"]).expect_status(0);
    assert!(dry.stdout == wet.stdout);
}

pub fn manifest(case: &Case, run: u32) -> (Value, String) {
    let text = case.read(&format!("reports/runs/{run:06}/manifest.json"));
    (serde_json::from_str(&text).unwrap(), blake3::hash(text.as_bytes()).to_hex().to_string())
}

#[test]
fn a_rebuild_reads_all_again_and_keeps_the_chain() {
    let nights = Nights::new();
    let case = &nights.case;
    nightly(case, NEXT, &[]).expect_status(0);
    let before = report(case, &[]);
    let output = nightly(case, "2018-12-22T02:00:00Z", &["--rebuild"]).expect_status(0);
    assert_eq!(output.report()["accounting"]["calls"], 65);
    let after = report(case, &[]);
    let (first, second, third) = (manifest(case, 1), manifest(case, 2), manifest(case, 3));
    assert_eq!(first.0["previous"], Value::Null);
    assert_eq!((&second.0["previous"], &third.0["previous"]), (&json!(first.1), &json!(second.1)));
    let anew = [&first, &second, &third].map(|(manifest, _)| manifest["anew"].clone());
    assert_eq!(anew, [json!(true), json!(false), json!(true)]);
    assert_eq!(third.0["run"], 3);
    assert_eq!(after["nightly"]["previous"], json!(third.1));
    // The same in all that was counted, but that each day was issued once more.
    let day = |report: &Value, day: usize| report["nightly"]["days"][day]["revision"].clone();
    assert_eq!([0, 1, 2].map(|n| day(&before, n)), [json!(2), json!(2), json!(1)]);
    assert_eq!([0, 1, 2].map(|n| day(&after, n)), [json!(3), json!(3), json!(2)]);
    let finding = |report: &Value| of_kind(report, "after-revocation")[0]["first_seen"].clone();
    assert_eq!(finding(&after), finding(&before));
    // Logs that are read anew have numbers that no other had.
    let mut numbers = [BTreeSet::new(), BTreeSet::new()];
    let mut but_runs = |mut report: Value, of: usize| {
        report.as_object_mut().unwrap().remove("nightly");
        for finding in report["findings"].as_array_mut().unwrap() {
            for line in finding["evidence"].as_array_mut().unwrap() {
                numbers[of].insert(line.as_object_mut().unwrap().remove("input").unwrap().as_u64());
            }
        }
        report
    };
    assert_eq!(but_runs(after, 0), but_runs(before, 1));
    assert!(!numbers[1].is_empty() && numbers[0].is_disjoint(&numbers[1]), "{numbers:?}");
    for name in [
        "reports/2018-12-18/rev-1.json",
        "reports/2018-12-18/rev-2.json",
        "reports/2018-12-18/rev-3.json",
    ] {
        assert!(case.path(name).exists(), "{name}");
    }
    assert!(nights.after.iter().all(|(name, thing)| !name.starts_with("reports/")
        || name == "reports/latest"
        || things(case).get(name) == Some(thing)));
}

#[test]
fn a_state_that_is_lost_begins_after_the_runs_that_are_reported() {
    let nights = Nights::new();
    let case = &nights.case;
    fs::remove_dir_all(case.path("state")).unwrap();
    let again = nightly(case, NEXT, &[]).expect_status(0).report();
    assert_eq!((&again["nightly"]["run"], &again["accounting"]["calls"]), (&json!(2), &json!(65)));
    assert_eq!(again["nightly"]["previous"], json!(manifest(case, 1).1));
    assert!(case.path("reports/2018-12-18/rev-2.json").exists());
    put_back(case, &nights.before);
    // Where the chain is broken, someone must say so.
    fs::remove_dir_all(case.path("state")).unwrap();
    fs::remove_file(case.path("reports/runs/000001/manifest.json")).unwrap();
    let output = nightly(case, NEXT, &[]).expect_status(2);
    output.expect_stderr(&["reports/runs/000001/manifest.json", "hint: the reports of earlier runs are there, and the chain of their manifests is broken; move them away to begin anew"]);
}

#[test]
fn days_are_kept_for_keep_days() {
    let case = case(&format!("{CONFIG}[state]\nkeep_days = 2\n"));
    for day in 17..21 {
        append(
            &case,
            "logs/a.log",
            good(&format!("12-{day}T09:00")) + &bad(&format!("12-{day}T10:00"), 200),
        );
        let run_at = format!("2018-12-{}T02:00:00Z", day + 1);
        nightly(&case, &run_at, &[]).expect_status(0);
    }
    let segments = |case: &Case| -> Vec<String> {
        let names = case.names();
        let of = names.iter().filter_map(|name| name.strip_prefix("state/segments/"));
        // Its tally, and its hours twice.
        let days: BTreeSet<String> = of.map(|name| name[..10].to_owned()).collect();
        days.into_iter().collect()
    };
    assert_eq!(segments(&case), ["2018-12-19", "2018-12-20"]);
    let kept = |words: &[&str]| {
        let output = case.run(&["report", "--json"]).expect_status(0).expect_stderr(words);
        output.report()["accounting"]["calls"].clone()
    };
    let gone = "are no longer kept (keep_days under [state], or --rebuild without their logs); their reports are";
    assert_eq!(kept(&[gone]), 4);
    // Their reports stay.
    assert!(case.path("reports/2018-12-17/rev-1.json").exists());
    let output =
        case.run(&["report", "--since", "2018-12-17", "--until", "2018-12-19"]).expect_status(2);
    output.expect_stderr(&[
        "error: none of these days is kept: the state keeps 2018-12-19 to 2018-12-20",
    ]);
    assert_eq!(report(&case, &["--since", "2018-12-20"])["accounting"]["calls"], 2);

    // What comes late of a day that is gone is in the run's report, and in no day's.
    append(&case, "logs/a.log", bad("12-17T23:00", 200) + &good("12-20T23:00"));
    let late = nightly(&case, "2018-12-22T02:00:00Z", &[]).expect_status(0).report();
    assert_eq!(late["accounting"]["calls"], 2);
    assert_eq!(of_kind(&late, "after-revocation")[0]["last"], "2018-12-17T23:00:00Z");
    let days = late["nightly"]["days"].as_array().unwrap();
    assert_eq!(days[0], json!({"day": "2018-12-17", "revision": 1, "calls": null, "added": 1}));
    assert_eq!(days[1], json!({"day": "2018-12-20", "revision": 2, "calls": 3, "added": 1}));
    assert!(!case.path("reports/2018-12-17/rev-2.json").exists());
    assert!(case.path("reports/2018-12-20/rev-2.json").exists());
    assert_eq!(segments(&case), ["2018-12-19", "2018-12-20"]);
    assert_eq!(kept(&[gone]), 5);
}

#[test]
fn a_report_of_days_is_an_audit_of_them() {
    let nights = Nights::new();
    let case = &nights.case;
    nightly(case, NEXT, &[]).expect_status(0);
    let spans = [
        vec![],
        vec!["--since", "2018-12-19"],
        vec!["--until", "2018-12-19"],
        vec!["--since", "2018-12-18", "--until", "2018-12-20"],
        vec!["--since", "2018-12-20T01:00:00+01:00", "--until", "2018-12-21"],
        vec!["--since", "2017-01-01", "--until", "2019-01-01T00:00:00Z"],
    ];
    for span in spans {
        let of_state = report(case, &span);
        let mut of_logs =
            case.run(&[&["audit", "--json"], &span[..]].concat()).expect_status(0).report();
        // The state has other days apart, and does not read them.
        let outside = of_logs["accounting"]["outside_window"].as_u64().unwrap();
        let lines = of_logs["accounting"]["lines"].as_u64().unwrap();
        of_logs["accounting"]["outside_window"] = json!(0);
        of_logs["accounting"]["lines"] = json!(lines - outside);
        // And knows the days before a span.
        assert_eq!(of_state["anomalies"]["judged"], 0);
        of_logs["anomalies"] = of_state["anomalies"].clone();
        let text = |value: Value| serde_json::to_string_pretty(&but_places(value)).unwrap();
        let (of_state, of_logs) = (text(of_state), text(of_logs));
        assert!(
            of_state == of_logs,
            "{span:?}: {}",
            crate::properties::difference(&of_state, &of_logs)
        );
    }
    for (flag, text) in [
        ("--since", "2018-12-19T00:00:01Z"),
        ("--until", "2018-12-19T12:00:00Z"),
        ("--since", "2018-12-19T00:00:00+01:00"),
    ] {
        let output = case.run(&["report", flag, text]).expect_status(2).expect_no_stdout();
        output.expect_stderr(&[
            &format!("error: {flag}: found `{text}`, expected the beginning of a day of UTC, such as 2018-12-18: the state keeps days"),
            "hint: `overstay audit` reads the logs themselves, from and to any instant",
        ]);
    }
    let output = case.run(&["report", "--since", "yesterday"]).expect_status(2);
    output.expect_stderr(&["--since: found `yesterday`"]);
    let output = case.run(&["report", "--since", "2019-02-01"]).expect_status(2);
    output.expect_stderr(&["none of these days is kept: the state keeps 2018-12-18 to 2018-12-20"]);
    let empty = self::case(CONFIG);
    let output = empty.run(&["report"]).expect_status(2);
    output.expect_stderr(&[
        "error: state: there is no state, so there is nothing to report on",
        "hint: `overstay nightly` makes it",
    ]);
    assert!(!empty.path("state").exists());
}

#[test]
fn state_and_reports_are_the_same_bytes_at_any_number_of_threads() {
    let case = case(&format!("{CONFIG}{TWO_SOURCES}")).file("edge/e.log", "");
    for (number, name) in ["logs/a.log", "logs/b.log", "edge/e.log"].iter().enumerate() {
        for minute in 0..400 {
            let at = format!("12-{:02}T{:02}:{:02}", 17 + minute / 150, number + 5, minute % 60);
            let key = ["key-acme-1", "key-globex-2", "stranger-1", "stranger-2"][minute % 4];
            append(&case, name, call(&at, key, &format!("/messages/u{}", minute % 97), 200));
        }
        append(&case, name, "no call\n");
    }
    let empty = things(&case);
    let chunk = ["--chunk-bytes", "3000", "--max-rejects", "9"];
    let mut expected = None;
    let none_in_memory = ["--counted-bytes", "0"];
    let ways = ["1", "2", "7"].map(|threads| [(threads, &[][..]), (threads, &none_in_memory[..])]);
    for (threads, memory) in ways.into_iter().flatten() {
        put_back(&case, &empty);
        let mut outputs = Vec::new();
        for run_at in ["2018-12-20T02:00:00Z", NEXT] {
            let arguments = [&chunk[..], &["--threads", threads], memory].concat();
            let output = nightly(&case, run_at, &arguments).expect_status(0);
            outputs.push(output.stdout.clone());
            if expected.is_none() && outputs.len() == 1 {
                // Read in two turns by all alike: the logs are longer only the first time.
                assert_eq!(output.report()["accounting"]["calls"], 1200);
            }
        }
        let sum = case.run(&["report", "--json", "--threads", threads]).expect_status(0);
        outputs.push(sum.stdout.clone());
        let found = (outputs, things(&case));
        let expected = expected.get_or_insert_with(|| found.clone());
        assert!(found.0 == expected.0, "{threads} threads {memory:?}: other reports");
        assert_same(&found.1, &expected.1);
    }
}

#[test]
fn what_is_removed_from_the_register_is_named_in_old_days() {
    let files = [
        ("partners.csv", "partner,name\nacme,Acme\nglobex,Globex\ninitech,Initech\n"),
        (
            "credentials.csv",
            "credential,partner\nkey-acme-1,acme\nkey-acme-old,acme\nkey-globex-2,globex\nkey-initech,initech\n",
        ),
        ("apis.csv", "api,name\nmessages,Messages\nphotos,Photos\n"),
        (
            "routes.csv",
            "method,path,api,operation\n,/messages/{user},messages,\nGET,/messages/{user}/dump,messages,export\n,/photos/{user},photos,\n",
        ),
        (
            "grants.csv",
            "grant,partner,api,operations,granted_at,revoked_at\n\
             g-acme,acme,messages,read,2018-01-01,\ng-dump,acme,messages,export,2018-01-01,\n\
             g-globex,globex,messages,read,2018-01-01,2018-06-01\ng-photos,initech,photos,read,2018-01-01,2018-07-01\n",
        ),
    ];
    let case = files.iter().fold(case(CONFIG), |case, (name, content)| {
        case.file(&format!("register/{name}"), content)
    });
    let calls = |day: &str| {
        let of = [
            ("key-acme-1", "/messages/ann"),
            ("key-acme-old", "/messages/ann"),
            ("key-acme-1", "/messages/ann/dump"),
            ("key-globex-2", "/messages/bob"),
            ("key-initech", "/photos/cid"),
        ];
        of.iter()
            .map(|(key, path)| call(&format!("12-{day}T09:00"), key, path, 200))
            .collect::<String>()
    };
    append(&case, "logs/a.log", calls("18"));
    nightly(&case, "2018-12-19T02:00:00Z", &[]).expect_status(0);
    // (partner, api, operation, verdict, grant) → calls
    let usage = |report: &Value| -> BTreeMap<String, u64> {
        let rows = report["usage"].as_array().unwrap();
        let key = |row: &Value| {
            ["partner", "api", "operation", "verdict", "grant"]
                .map(|name| row[name].as_str().unwrap_or("-").to_owned())
                .join(" ")
        };
        let mut usage = BTreeMap::new();
        for row in rows {
            *usage.entry(key(row)).or_default() += row["calls"].as_u64().unwrap();
        }
        usage
    };
    let told = |rows: &[(&str, u64)]| {
        rows.iter().map(|(row, calls)| ((*row).to_owned(), *calls)).collect::<BTreeMap<_, _>>()
    };
    let day_1 = [
        ("acme messages read granted g-acme", 2),
        ("acme messages export granted g-dump", 1),
        ("globex messages read after-revocation g-globex", 1),
        ("initech photos read after-revocation g-photos", 1),
    ];
    assert_eq!(usage(&report(&case, &[])), told(&day_1));

    // A partner, a credential, a grant, an api, an operation.
    for (name, removed) in [
        ("partners.csv", "globex,Globex\n"),
        ("credentials.csv", "key-globex-2,globex\n"),
        ("credentials.csv", "key-acme-old,acme\n"),
        ("grants.csv", "g-globex,globex,messages,read,2018-01-01,2018-06-01\n"),
        ("grants.csv", "g-dump,acme,messages,export,2018-01-01,\n"),
        ("grants.csv", "g-photos,initech,photos,read,2018-01-01,2018-07-01\n"),
        ("apis.csv", "photos,Photos\n"),
        ("routes.csv", "GET,/messages/{user}/dump,messages,export\n"),
        ("routes.csv", ",/photos/{user},photos,\n"),
    ] {
        let name = format!("register/{name}");
        let text = case.read(&name);
        assert!(text.contains(removed), "{removed}");
        case.write(&name, text.replace(removed, ""));
    }
    case.run(&["check"]).expect_status(0);
    let output = case.run(&["report", "--json"]).expect_status(0);
    let output = output.expect_stderr(&["warning: the register has changed since the last run: verdicts are those of the registers that calls were judged by"]);
    assert_eq!(usage(&output.report()), told(&day_1));

    // Of a new day, and late ones of the old.
    append(&case, "logs/a.log", calls("19") + &calls("18"));
    let night_2 = nightly(&case, "2018-12-20T02:00:00Z", &[]).expect_status(0).report();
    let new = [
        ("acme messages read granted g-acme", 1),
        ("- messages read unknown-credential -", 2),
        ("acme - - unlisted-api -", 1),
        ("initech - - unlisted-api -", 1),
    ];
    let twice: Vec<(&str, u64)> = new.iter().map(|(row, calls)| (*row, 2 * calls)).collect();
    assert_eq!(usage(&night_2), told(&twice));
    let of_day = |day: &str, revision: u32| -> Value {
        let text = case.read(&format!("reports/{day}/rev-{revision}.json"));
        let report = serde_json::from_str(&text).unwrap();
        adds_up(&report);
        report
    };
    assert_eq!(usage(&of_day("2018-12-19", 1)), told(&new));
    let mut both = told(&day_1);
    new.iter().for_each(|(row, calls)| *both.entry((*row).to_owned()).or_default() += calls);
    assert_eq!(usage(&of_day("2018-12-18", 2)), both);
    let day_2 = of_day("2018-12-18", 2);
    let findings: BTreeSet<String> = of_kind(&day_2, "after-revocation")
        .iter()
        .map(|f| f["grant"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(findings, BTreeSet::from(["g-globex".to_owned(), "g-photos".to_owned()]));
    let names = |list: &str, key: &str| -> Vec<String> {
        day_2[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[key].as_str().unwrap_or("-").to_owned())
            .collect()
    };
    assert!(names("partners", "partner").contains(&"globex".to_owned()));
    assert!(names("apis", "api").contains(&"photos".to_owned()));
    assert!(case.read("reports/2018-12-18/rev-2.md").contains("globex"));
    let sum = report(&case, &[]);
    assert_eq!(sum["accounting"]["calls"], 15);
    // Both registers are kept.
    let registers: BTreeSet<String> = case
        .names()
        .iter()
        .filter_map(|n| n.strip_prefix("state/registers/")?.split('/').next().map(str::to_owned))
        .collect();
    assert_eq!(registers.len(), 2);
    // And once more without anything new.
    nightly(&case, NEXT, &[]).expect_status(0);
    assert_eq!(usage(&report(&case, &[])), usage(&sum));
}

#[test]
fn the_commands_of_the_readme_run() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let section = readme.split("\n## Every night\n").nth(1).unwrap();
    let commands: Vec<&str> = section.split("```").nth(1).unwrap().trim().lines().collect();
    let case = Case::new();
    let sample = repository("sample-logs");
    for entry in walkdir::WalkDir::new(&sample).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&sample).unwrap().to_str().unwrap();
            case.write(name, fs::read(entry.path()).unwrap());
        }
    }
    let run = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "overstay");
        case.run(&words[1..]).expect_status(0).stdout.clone()
    };
    let [night, span] = commands[..] else { panic!("{commands:?}") };
    // The first night has it all, and the report shown above.
    let first = run(&format!("{night} --run-at 2018-12-20T02:00:00Z"));
    assert!(first.starts_with("8 of 14 partners overstayed: 2,927 served calls, ~1,203 people."));
    let two_days = run(span);
    assert!(
        two_days.contains("since 2018-12-18T00:00:00Z, until 2018-12-20T00:00:00Z;"),
        "{two_days}"
    );
}

/// The units as they are shipped, where systemd is there to look at them.
#[test]
fn the_units_for_systemd_are_well_formed() {
    let case = Case::new();
    if !is_possible(&case, "systemd-analyze", &["--version"]) {
        return skipped("there is no systemd-analyze");
    }
    let service = fs::read_to_string(repository("docs/systemd/overstay.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_overstay");
    case.write("overstay.service", service.replace("/usr/local/bin/overstay", program));
    fs::copy(repository("docs/systemd/overstay.timer"), case.path("overstay.timer")).unwrap();
    let arguments = ["verify", "--man=no", "./overstay.service", "./overstay.timer"];
    let output = case.finish(case.tool("systemd-analyze", &arguments)).expect_status(0);
    assert_eq!(output.stderr, "");
    // What it starts is wrong usage neither.
    let line = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let output = case.run(&words).expect_status(2);
    output.expect_stderr(&["error: /etc/overstay/overstay.toml: "]);
}
