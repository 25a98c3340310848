//! What becomes of logs from night to night, with the tools that do it: nothing is counted twice, and nothing is lost that
//! anybody could have read.
//!
//! The first part lets logrotate itself rotate a log for thirty nights while somebody writes it all the time, also while
//! logrotate and `overstay` look at it. What ought to be counted is told without `overstay`: by reading all files after
//! each rotation. The second part takes what can become of a log one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Case, Output, gzip, zstd};

const LOGROTATE: &str = "/usr/sbin/logrotate";
const NIGHTS: u32 = 30;

#[expect(clippy::print_stderr, reason = "says that it is skipped")]
fn are_installed() -> bool {
    let missing: Vec<&str> = [(LOGROTATE, "logrotate"), ("/usr/bin/faketime", "faketime")]
        .into_iter()
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|(_, name)| name)
        .collect();
    for name in &missing {
        eprintln!("skipped: {name} is missing");
    }
    missing.is_empty()
}

/// Nights are those of January 2026.
fn date(night: u32) -> String {
    format!("2026-01-{:02}", night + 1)
}

/// The line of a call, each another one. Its number comes out of it by [`number`] as long as it is whole.
fn line(number: u32, day: &str) -> String {
    format!(
        "{{\"time\":\"{day}T{:02}:{:02}:{:02}.{number:06}Z\",\"client_id\":\"key-acme-1\",\"method\":\"GET\",\
         \"path\":\"/messages/u{}\",\"status\":200,\"bytes\":{},\"request_id\":\"r-{number}\"}}\n",
        number / 3600 % 24,
        number / 60 % 60,
        number % 60,
        number % 7,
        weight(number),
    )
}

/// The bytes of a call. All are different, and of no pattern: where one line counts twice and another one not at all, the
/// sum tells.
fn weight(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

/// The day and the number of a whole line, without its newline.
fn number(line: &[u8]) -> Option<(String, u32)> {
    let text = std::str::from_utf8(line).ok()?;
    let day = text.strip_prefix("{\"time\":\"")?.get(..10)?;
    let (_, end) = text.rsplit_once("\"request_id\":\"r-")?;
    let number = end.strip_suffix("\"}")?.parse().ok()?;
    (text.len() + 1 == self::line(number, day).len()).then(|| (day.to_owned(), number))
}

/// What the writer is to do.
#[derive(Clone, Default)]
struct Orders {
    day: String,
    is_paused: bool,
    /// Whether it goes on with the file that it has open when it is asked to open the log anew.
    keeps_old: bool,
    is_over: bool,
}

/// Somebody who writes a log without end: each line in two halves, some time apart.
struct Writer {
    orders: Arc<Mutex<Orders>>,
    thread: Option<JoinHandle<u32>>,
}

impl Writer {
    fn start(log: PathBuf, request: PathBuf) -> Writer {
        let orders = Arc::new(Mutex::new(Orders { day: date(0), ..Orders::default() }));
        let given = Arc::clone(&orders);
        let thread = std::thread::spawn(move || write_on(&log, &request, &given));
        Writer { orders, thread: Some(thread) }
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock().unwrap());
    }

    /// Lets it finish its last line; how many it wrote.
    fn stop(&mut self) -> u32 {
        self.order(|orders| orders.is_over = true);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Ok(mut orders) = self.orders.lock() {
            orders.is_over = true;
        }
    }
}

fn write_on(log: &Path, request: &Path, orders: &Mutex<Orders>) -> u32 {
    let open = || OpenOptions::new().append(true).create(true).open(log).unwrap();
    let (mut file, mut written) = (open(), 0);
    loop {
        let Orders { day, is_paused, keeps_old, is_over } = orders.lock().unwrap().clone();
        if is_over {
            return written;
        }
        if !keeps_old && request.exists() {
            file = open();
            fs::remove_file(request).unwrap();
        }
        if is_paused {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let line = line(written, &day);
        // Either half tells which line it is of: no two are alike.
        let half = 35 + written as usize * 7 % (line.len() - 35 - 30);
        file.write_all(&line.as_bytes()[..half]).unwrap();
        std::thread::sleep(Duration::from_micros(u64::from(written % 5) * 400));
        file.write_all(&line.as_bytes()[half..]).unwrap();
        written += 1;
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// What anybody could have read up to now.
#[derive(Default)]
struct Readable {
    /// The calls, each with its day.
    calls: BTreeMap<u32, String>,
    /// Lines that are none.
    junk: BTreeSet<Vec<u8>>,
}

impl Readable {
    /// Reads all files of a folder.
    fn look(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let (content, is_packed) = content(&path);
            for line in content.split_inclusive(|byte| *byte == b'\n') {
                let is_whole = line.ends_with(b"\n");
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                if !is_whole && !is_packed {
                    continue;
                }
                match number(line) {
                    Some((day, number)) => drop(self.calls.insert(number, day)),
                    None => drop(self.junk.insert(line.to_owned())),
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.calls.keys().map(|number| u64::from(weight(*number))).sum()
    }

    fn by_day(&self) -> BTreeMap<String, u64> {
        let mut days = BTreeMap::new();
        for day in self.calls.values() {
            *days.entry(day.clone()).or_default() += 1;
        }
        days
    }
}

/// What a file holds, and whether it is compressed.
fn content(path: &Path) -> (Vec<u8>, bool) {
    let file = fs::read(path).unwrap();
    if !file.starts_with(&[0x1f, 0x8b]) {
        return (file, false);
    }
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut content).unwrap();
    (content, true)
}

/// A way to rotate.
struct Rotation {
    /// What logrotate's configuration says of it beside `daily` and `rotate 5`.
    directives: &'static str,
    /// Whether lines may be destroyed.
    copies: bool,
    /// Whether the writer goes on with the old file until a run was.
    is_late: bool,
    /// Whether logrotate goes on only when the writer has opened the new file.
    waits: bool,
    /// Whether runs begin while logrotate is at it.
    is_at_once: bool,
}

const BY_RENAMING: Rotation = Rotation {
    directives: "create",
    copies: false,
    is_late: false,
    waits: false,
    is_at_once: false,
};

struct Nights {
    case: Case,
    rotation: Rotation,
    writer: Writer,
    readable: Readable,
    /// By what runs reported.
    counted: u64,
    rejected: u64,
    /// How often a run saw a line without its end.
    pending: u64,
    /// How many runs found logs changing.
    partial: u64,
    /// How many unfinished lines vanished with the files that they ended.
    vanished: u64,
    lost: u64,
}

impl Nights {
    fn begin(rotation: Rotation) -> Nights {
        let case = Case::with_register().file("logs/access.log", "").file(
            "overstay.toml",
            "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gateway\"\npaths = [\"logs/access.log*\"]\nformat = \"json\"\n",
        );
        let folder = case.path("").display().to_string();
        let folder = folder.trim_end_matches('/');
        let wait = match rotation.waits {
            true => {
                "i=0; while [ -e FOLDER/reopen ] && [ $i -lt 1000 ]; do sleep 0.005; i=$((i+1)); done"
            }
            false => "",
        };
        let postrotate = match rotation.copies {
            true => String::new(),
            false => format!("sharedscripts\npostrotate\ntouch FOLDER/reopen\n{wait}\nendscript\n"),
        };
        let text = format!(
            "FOLDER/logs/access.log {{\ndaily\nrotate 5\nmissingok\n{}\n{postrotate}}}\n",
            rotation.directives
        );
        case.write("rotate.conf", text.replace("FOLDER", folder));
        #[cfg(unix)]
        {
            // It refuses what others could write to.
            use std::os::unix::fs::PermissionsExt as _;
            let set = |name: &str, mode| {
                fs::set_permissions(case.path(name), fs::Permissions::from_mode(mode)).unwrap();
            };
            set("rotate.conf", 0o644);
            set("logs", 0o755);
        }
        let writer = Writer::start(case.path("logs/access.log"), case.path("reopen"));
        Nights {
            case,
            rotation,
            writer,
            readable: Readable::default(),
            counted: 0,
            rejected: 0,
            pending: 0,
            partial: 0,
            vanished: 0,
            lost: 0,
        }
    }

    fn look(&mut self) {
        self.readable.look(&self.case.path("logs"));
    }

    fn rotate(&mut self, night: u32, minute: u32) {
        self.look();
        let before = self.torn();
        if self.rotation.is_late {
            self.writer.order(|orders| orders.keeps_old = true);
        }
        let output = self.case.finish(self.logrotate(night, minute)).expect_status(0);
        assert_eq!(output.stderr, "", "logrotate");
        self.vanished += before.difference(&self.torn()).count() as u64;
        self.look();
    }

    fn logrotate(&self, night: u32, minute: u32) -> Command {
        let when = format!("{} 00:{minute:02}:00", date(night));
        let conf = self.case.path("rotate.conf").display().to_string();
        let state = self.case.path("rotate.state").display().to_string();
        let arguments = [&*when, LOGROTATE, "--force", "--state", &state, &conf];
        let mut command = self.case.tool("/usr/bin/faketime", &arguments);
        command.env("TZ", "UTC");
        command
    }

    /// The unfinished last lines of copies, which nobody goes on with.
    fn torn(&self) -> BTreeSet<Vec<u8>> {
        if !self.rotation.copies {
            return BTreeSet::new();
        }
        let mut torn = BTreeSet::new();
        for entry in fs::read_dir(self.case.path("logs")).unwrap() {
            let path = entry.unwrap().path();
            let (content, is_packed) = content(&path);
            let last = content.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            if !path.ends_with("access.log") && !is_packed && !last.is_empty() {
                torn.insert(last.to_owned());
            }
        }
        torn
    }

    fn run(&mut self, night: u32, hour: u32) -> Output {
        self.look();
        let at_least = self.readable.calls.len() as u64;
        let output = self.case.finish(self.nightly(night, hour)).expect_status(0);
        self.look();
        let at_most = self.readable.calls.len() as u64;
        self.note(&output.report());
        let at_most = match self.may_read_what_is_destroyed() {
            true => u64::MAX,
            false => at_most,
        };
        assert!(
            (at_least..=at_most).contains(&self.counted),
            "night {night}, {hour}:30: {} counted, expected {at_least} to {at_most}",
            self.counted
        );
        output
    }

    fn nightly(&self, night: u32, hour: u32) -> Command {
        let run_at = format!("{}T{hour:02}:30:00Z", date(night));
        let arguments = ["nightly", "--json", "--run-at", &run_at, "--max-rejects", "100%"];
        self.case.command(&arguments)
    }

    /// Runs while logrotate does, from `later` on after that was started. What changed while it was looked at is left to the
    /// next run, which the exit status tells.
    fn at_once(&mut self, night: u32, later: Duration) {
        // A copy of a log that is shorter may not be told from another log, once the log is truncated.
        let started = Instant::now();
        while fs::metadata(self.case.path("logs/access.log")).unwrap().len() < 16 << 10 {
            self.writer.order(|orders| orders.is_paused = false);
            assert!(started.elapsed() < Duration::from_secs(20), "the writer is gone");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.look();
        let before = self.torn();
        let logrotate = self.logrotate(night, 5).spawn().unwrap();
        std::thread::sleep(later);
        let output = self.case.finish(self.nightly(night, 1));
        assert!(logrotate.wait_with_output().unwrap().status.success());
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", output.status);
        self.partial += u64::from(output.status.code() == Some(3));
        self.vanished += before.difference(&self.torn()).count() as u64;
        self.note(&output.report());
        self.look();
        let at_most = self.readable.calls.len() as u64;
        assert!(
            self.may_read_what_is_destroyed() || self.counted <= at_most,
            "night {night}: {} counted, expected no more than {at_most}",
            self.counted
        );
        drop(output);
    }

    /// Whether a run may come between copy and truncation, and so see more than anybody can later.
    fn may_read_what_is_destroyed(&self) -> bool {
        self.rotation.copies && self.rotation.is_at_once
    }

    /// Notes what a run reported.
    fn note(&mut self, report: &Value) {
        self.counted += number_of(&report["accounting"]["calls"]);
        self.rejected += number_of(&report["accounting"]["rejected"]);
        let inputs = report["inputs"].as_array().unwrap();
        self.pending += inputs.iter().filter(|input| input["pending_bytes"] != 0).count() as u64;
        let findings = report["findings"].as_array().unwrap();
        for finding in findings.iter().filter(|finding| !finding["log"].is_null()) {
            if finding["status"] == "resolved" {
                continue;
            }
            assert_eq!(finding["kind"], "log-lost", "{}", finding["log"]);
            assert!(self.rotation.copies, "{}", finding["log"]);
            self.lost += 1;
        }
    }

    fn nights(&mut self) {
        for night in 0..NIGHTS {
            self.writer.order(|orders| {
                orders.day = date(night);
                // Some logs are short, some empty.
                orders.is_paused = night % 6 == 5;
            });
            if night % 6 == 4 {
                self.writer.order(|orders| orders.is_paused = true);
                std::thread::sleep(Duration::from_millis(5));
                self.rotate(night, 1);
                self.writer.order(|orders| orders.is_paused = false);
            }
            std::thread::sleep(Duration::from_millis(20));
            match night % 7 {
                0 | 1 | 4 | 5 if self.rotation.is_at_once => {
                    self.at_once(night, Duration::from_millis(u64::from(night) * 11 % 50));
                }
                // In either order, twice, one without the other.
                0 | 4 => {
                    self.rotate(night, 5);
                    self.run(night, 1);
                }
                1 | 5 => {
                    self.run(night, 1);
                    self.rotate(night, 5);
                }
                2 => {
                    self.run(night, 1);
                    self.rotate(night, 5);
                    self.run(night, 12);
                }
                3 => drop(self.run(night, 1)),
                _ => self.rotate(night, 5),
            }
            if self.rotation.is_late && night % 2 == 1 {
                self.reopen();
            }
        }
    }

    /// Lets the writer turn to the new file.
    fn reopen(&self) {
        self.writer.order(|orders| orders.keeps_old = false);
        let started = Instant::now();
        while self.case.path("reopen").exists() {
            assert!(started.elapsed() < Duration::from_secs(20), "the writer is gone");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn number_of(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Thirty nights of a rotation, and the accounts after them.
#[expect(clippy::print_stderr, reason = "says how many lines there were")]
fn check(name: &str, rotation: Rotation) {
    if !are_installed() {
        return;
    }
    let mut nights = Nights::begin(rotation);
    nights.nights();
    let written = nights.writer.stop();
    let last = nights.run(NIGHTS, 1);
    let mut there = Readable::default();
    there.look(&nights.case.path("logs"));
    let Nights { case, rotation, readable, counted, rejected, pending, partial, .. } = &nights;

    let report = case.run(&["report", "--json"]).expect_status(0).report();
    let calls = readable.calls.len() as u64;
    let destroyed = u64::from(written) - calls;
    eprintln!(
        "{name}: {written} lines written, {destroyed} destroyed by copytruncate, {} torn by it; {counted} counted; \
         unfinished lines seen {pending} times; {partial} runs partial",
        readable.junk.len()
    );
    assert_eq!(report["accounting"]["calls"], *counted, "calls of all runs");
    assert_eq!(report["accounting"]["rejected"], *rejected);
    assert!(*pending > 0, "no run saw an unfinished line");
    assert!(there.calls.len() as u64 * 2 < calls, "old files did not vanish");
    drop(last);
    if nights.may_read_what_is_destroyed() {
        assert!((calls..=u64::from(written)).contains(counted), "{calls} readable");
        assert!(nights.lost <= nights.vanished);
        return;
    }
    assert_eq!(*counted, calls);
    let usage = report["usage"].as_array().unwrap();
    let bytes: u64 = usage.iter().map(|row| number_of(&row["bytes"])).sum();
    assert_eq!(bytes, readable.bytes(), "bytes of all calls");
    let days: BTreeMap<String, u64> = report["nightly"]["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| (day["day"].as_str().unwrap().to_owned(), number_of(&day["calls"])))
        .filter(|(_, calls)| *calls > 0)
        .collect();
    assert_eq!(days, readable.by_day());
    assert_eq!(*rejected, readable.junk.len() as u64);
    assert_eq!(nights.lost, nights.vanished, "unfinished lines that vanished");
    if !rotation.copies {
        assert_eq!((destroyed, *rejected), (0, 0));
    }
}

#[test]
fn logrotate_renames() {
    check("rename", BY_RENAMING);
}

#[test]
fn logrotate_copies_and_truncates() {
    check("copytruncate", Rotation { directives: "copytruncate", copies: true, ..BY_RENAMING });
}

#[test]
fn logrotate_renames_and_compresses() {
    check("compress", Rotation { directives: "create\ncompress", waits: true, ..BY_RENAMING });
}

#[test]
fn logrotate_renames_and_compresses_later() {
    check(
        "delaycompress",
        Rotation { directives: "create\ncompress\ndelaycompress", ..BY_RENAMING },
    );
}

#[test]
fn logrotate_renames_by_date() {
    let directives = "create\ndateext\ndateformat -%Y%m%d-%s\ncompress";
    check("dateext", Rotation { directives, waits: true, ..BY_RENAMING });
}

#[test]
fn logrotate_renames_and_the_writer_lags() {
    check("lagging", Rotation { directives: "nocreate", is_late: true, ..BY_RENAMING });
}

#[test]
fn logrotate_copies_truncates_and_compresses() {
    let directives = "copytruncate\ncompress";
    check("copytruncate, compress", Rotation { directives, copies: true, ..BY_RENAMING });
}

// --- One by one ---------------------------------------------------------------------------

/// A register, and a configuration by which everything in `logs/` is a log of one source.
fn kept() -> Case {
    Case::with_register().file(
        "overstay.toml",
        "[register]\nsource = \"register\"\n[[logs]]\nsource = \"gateway\"\npaths = [\"logs/*\"]\nformat = \"json\"\n",
    )
}

/// Lines of calls of the first night, by number.
fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| line(number, &date(0))).collect()
}

/// A run on a night, which ends with this status and whose report balances.
fn run(case: &Case, night: u32, status: i32) -> (Output, Value) {
    let run_at = format!("{}T12:00:00Z", date(night));
    let output = case.run(&["nightly", "--json", "--run-at", &run_at]).expect_status(status);
    let report = output.report();
    (output, report)
}

/// A run that tells of no log, and counts so many calls.
fn quiet_run(case: &Case, night: u32, calls: u64) -> (Output, Value) {
    let (output, report) = run(case, night, 0);
    assert_eq!(report["accounting"]["calls"], calls);
    assert_eq!(report["accounting"]["rejected"], 0);
    assert_eq!(told(&report), []);
    (output, report)
}

/// What became of logs: kind, path, bytes read and seen last.
fn told(report: &Value) -> Vec<(String, String, u64, u64)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let is_open = |finding: &&Value| finding["status"] != "resolved";
    let of_logs = findings.filter(|finding| !finding["log"].is_null()).filter(is_open);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_logs
        .map(|finding| {
            let log = &finding["log"];
            assert_eq!(finding["severity"], "high");
            assert_eq!(log["source"], "gateway");
            let (kind, path) = (text(&finding["kind"]), text(&log["path"]));
            (kind, path, number_of(&log["read_bytes"]), number_of(&log["seen_bytes"]))
        })
        .collect()
}

fn finding(kind: &str, path: &str, read: usize, seen: usize) -> (String, String, u64, u64) {
    (kind.to_owned(), path.to_owned(), read as u64, seen as u64)
}

/// Asserts that all that is kept is each of these calls, once.
fn holds(case: &Case, numbers: impl IntoIterator<Item = u32>) {
    let report = case.run(&["report", "--json"]).expect_status(0).report();
    let numbers: Vec<u64> = numbers.into_iter().map(|number| weight(number).into()).collect();
    assert_eq!(report["accounting"]["calls"], numbers.len() as u64);
    let usage = report["usage"].as_array().unwrap();
    let bytes: u64 = usage.iter().map(|row| number_of(&row["bytes"])).sum();
    assert_eq!(bytes, numbers.iter().sum::<u64>(), "bytes of all calls");
}

fn append(case: &Case, name: &str, content: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().append(true).open(case.path(name)).unwrap();
    file.write_all(content.as_ref()).unwrap();
}

fn rename(case: &Case, from: &str, to: &str) {
    fs::rename(case.path(from), case.path(to)).unwrap();
}

/// The input of a report at this path.
fn input<'r>(report: &'r Value, path: &str) -> &'r Value {
    let inputs = report["inputs"].as_array().unwrap();
    let input = inputs.iter().find(|input| input["path"] == path);
    input.unwrap_or_else(|| panic!("no input {path} among {inputs:?}"))
}

#[test]
fn a_log_that_grew_is_read_on() {
    let case = kept().file("logs/a.log", lines(0..10));
    quiet_run(&case, 0, 10);
    append(&case, "logs/a.log", lines(10..25));
    let (_, report) = quiet_run(&case, 1, 15);
    assert_eq!(input(&report, "logs/a.log")["bytes"], lines(10..25).len());
    quiet_run(&case, 2, 0);
    holds(&case, 0..25);
}

#[test]
fn a_log_that_was_renamed_is_read_on() {
    let case = kept().file("logs/a.log", lines(0..10));
    quiet_run(&case, 0, 10);
    for night in 1..6 {
        // Late lines go to the renamed file, and new ones to another.
        rename(&case, "logs/a.log", &format!("logs/a.log.{night}"));
        append(&case, &format!("logs/a.log.{night}"), lines(night * 10..night * 10 + 4));
        case.write("logs/a.log", lines(night * 10 + 4..night * 10 + 10));
        quiet_run(&case, night, 10);
    }
    holds(&case, 0..60);
}

#[test]
fn a_log_that_was_renamed_and_compressed_is_read_on() {
    for (ending, pack) in [("gz", gzip as fn(String) -> Vec<u8>), ("zst", zstd)] {
        let case = kept().file("logs/a.log", lines(0..10));
        quiet_run(&case, 0, 10);
        fs::remove_file(case.path("logs/a.log")).unwrap();
        case.write(&format!("logs/a.log.1.{ending}"), pack(lines(0..14)));
        let (_, report) = quiet_run(&case, 1, 4);
        let packed = input(&report, &format!("logs/a.log.1.{ending}"));
        assert_eq!(packed["bytes"], lines(10..14).len());
        // From then on it is known as it lies, and nothing of it is read.
        rename(&case, &format!("logs/a.log.1.{ending}"), &format!("logs/a.log.2.{ending}"));
        let (_, report) = quiet_run(&case, 2, 0);
        assert_eq!(report["inputs"], serde_json::json!([]));
        // Compressed in another way it is the same log still.
        fs::remove_file(case.path(&format!("logs/a.log.2.{ending}"))).unwrap();
        let again = match ending {
            "gz" => zstd(lines(0..14)),
            _ => gzip(lines(0..14)),
        };
        case.write("logs/a.log.3", again);
        quiet_run(&case, 3, 0);
        holds(&case, 0..14);
    }
}

#[test]
fn a_compressed_log_that_was_known_only_in_part_is_no_copy() {
    // Read to 10 lines as it was; compressed with more; and the original goes on anew.
    let case = kept().file("logs/a.log", lines(0..10));
    quiet_run(&case, 0, 10);
    case.write("logs/a.log.1.gz", gzip(lines(0..20)));
    case.write("logs/a.log", lines(20..25));
    quiet_run(&case, 1, 15);
    holds(&case, 0..25);
}

/// A writer that does not append: after its log was truncated, it goes on where it was.
#[test]
fn what_copytruncate_leaves_is_read_and_its_gap_is_none_of_it() {
    let case = kept();
    fs::create_dir(case.path("logs")).unwrap();
    let mut writer = File::create(case.path("logs/a.log")).unwrap();
    let rotate = |night: u32| {
        let numbers = (0..6).rev().filter(|number| *number < night);
        for number in numbers.filter(|number| *number > 0) {
            rename(&case, &format!("logs/a.log.{number}"), &format!("logs/a.log.{}", number + 1));
        }
        fs::copy(case.path("logs/a.log"), case.path("logs/a.log.1")).unwrap();
        OpenOptions::new().write(true).open(case.path("logs/a.log")).unwrap().set_len(0).unwrap();
    };
    writer.write_all(lines(0..40).as_bytes()).unwrap();
    quiet_run(&case, 0, 40);
    for night in 1..5 {
        writer.write_all(lines(night * 40..night * 40 + 10).as_bytes()).unwrap();
        rotate(night);
        writer.write_all(lines(night * 40 + 10..night * 40 + 30).as_bytes()).unwrap();
        let (_, report) = quiet_run(&case, night, 30);
        let original = input(&report, "logs/a.log");
        assert_eq!(original["gap_bytes"], lines(0..night * 40 + 10).len());
        assert_eq!(original["lines"], 20);
        assert_eq!(input(&report, "logs/a.log.1")["lines"], 10);
        // The gap counts once.
        writer.write_all(lines(night * 40 + 30..night * 40 + 40).as_bytes()).unwrap();
        let (_, report) = quiet_run(&case, night, 10);
        assert_eq!(input(&report, "logs/a.log")["gap_bytes"], 0);
    }
    holds(&case, 0..200);
}

#[test]
fn a_line_that_copytruncate_tore_is_a_reject_and_its_beginning_is_lost_with_the_copy() {
    let case = kept().file("logs/a.log", lines(0..10));
    quiet_run(&case, 0, 10);
    let torn = lines(12..13);
    let (first, second) = torn.split_at(70);
    case.write("logs/a.log.1", lines(0..12) + first);
    case.write("logs/a.log", second.to_owned() + &lines(13..20));
    let arguments = ["nightly", "--json", "--run-at", "2026-01-02", "--max-rejects", "1"];
    let report = case.run(&arguments).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 9);
    assert_eq!(report["accounting"]["rejected"], 1);
    assert_eq!(input(&report, "logs/a.log.1")["pending_bytes"], 70);
    assert_eq!(told(&report), []);
    let (_, report) = run(&case, 2, 0);
    assert_eq!(input(&report, "logs/a.log.1")["pending_bytes"], 70);
    fs::remove_file(case.path("logs/a.log.1")).unwrap();
    let (_, report) = run(&case, 3, 0);
    let read = lines(0..12).len();
    assert_eq!(told(&report), [finding("log-lost", "logs/a.log.1", read, read + 70)]);
    // It is told once.
    let (_, report) = run(&case, 4, 0);
    assert_eq!(told(&report), []);
    holds(&case, (0..20).filter(|number| *number != 12));
}

#[test]
fn a_log_that_shrank_was_rewritten() {
    let case = kept().file("logs/a.log", lines(0..30));
    quiet_run(&case, 0, 30);
    let file = OpenOptions::new().write(true).open(case.path("logs/a.log")).unwrap();
    file.set_len(lines(0..20).len() as u64).unwrap();
    append(&case, "logs/a.log", lines(30..35));
    let (_, report) = run(&case, 1, 0);
    let read = lines(0..30).len();
    assert_eq!(told(&report), [finding("log-rewritten", "logs/a.log", read, read)]);
    // What was counted stays, and what is there now is read as a new log.
    assert_eq!(report["accounting"]["calls"], 25);
    holds(&case, (0..30).chain(0..20).chain(30..35));
    append(&case, "logs/a.log", lines(35..37));
    let (_, report) = run(&case, 2, 0);
    assert_eq!((told(&report), &report["accounting"]["calls"]), (vec![], &2.into()));
}

#[test]
fn a_log_that_was_edited_in_place_was_rewritten() {
    let case = kept().file("logs/a.log", lines(0..80));
    quiet_run(&case, 0, 80);
    let read = lines(0..80).len();
    let edited = lines(0..80).replacen("/messages/u0", "/messages/uX", 1);
    assert_ne!(edited, lines(0..80));
    // Not a byte longer, and the file is the same.
    OpenOptions::new()
        .write(true)
        .open(case.path("logs/a.log"))
        .unwrap()
        .write_all(edited.as_bytes())
        .unwrap();
    append(&case, "logs/a.log", lines(80..82));
    let (_, report) = run(&case, 1, 0);
    assert_eq!(told(&report), [finding("log-rewritten", "logs/a.log", read, read)]);
    assert_eq!(report["accounting"]["calls"], 82);
    holds(&case, (0..80).chain(0..82));
    quiet_run(&case, 2, 0);
}

#[test]
fn a_log_that_sed_has_replaced_was_rewritten() {
    // The last lines; then the first: of the file nothing is known any more then but its name.
    for (script, kind) in [("$ s/acme/ACME/", "log-rewritten"), ("1 s/acme/ACME/", "log-lost")] {
        let case = kept().file("logs/a.log", lines(0..80));
        quiet_run(&case, 0, 80);
        let read = lines(0..80).len();
        let sed = case.tool("sed", &["-i", script, "logs/a.log"]);
        case.finish(sed).expect_status(0);
        append(&case, "logs/a.log", lines(80..82));
        let (_, report) = run(&case, 1, 0);
        assert_eq!(told(&report), [finding(kind, "logs/a.log", read, read)]);
        assert_eq!(report["accounting"]["calls"], 82);
        quiet_run(&case, 2, 0);
    }
}

#[test]
fn the_same_content_under_two_names_counts_once() {
    let case = kept().file("logs/a.log", lines(0..20)).file("logs/b.log", lines(0..20));
    let (output, _) = quiet_run(&case, 0, 20);
    let output =
        output.expect_stderr(&["logs/b.log has the same content as logs/a.log: counted once"]);
    drop(output);
    // Also where the copy comes later, under whatever name, compressed or not.
    case.write("logs/0.log", lines(0..20));
    case.write("logs/c.gz", gzip(lines(0..20)));
    let (output, _) = quiet_run(&case, 1, 0);
    let same = "has the same content as logs/a.log: counted once";
    drop(output.expect_stderr(&[&format!("logs/0.log {same}"), &format!("logs/c.gz {same}")]));
    // Where one goes on, that is read; the other is still the same as far as it goes.
    append(&case, "logs/0.log", lines(20..30));
    quiet_run(&case, 2, 10);
    holds(&case, 0..30);
    quiet_run(&case, 3, 0);
    holds(&case, 0..30);
}

#[test]
fn two_logs_that_begin_as_one_are_two_from_where_they_part() {
    let case = kept().file("logs/a.log", lines(0..20)).file("logs/b.log", lines(0..20));
    quiet_run(&case, 0, 20);
    append(&case, "logs/a.log", lines(20..25));
    append(&case, "logs/b.log", lines(25..32));
    quiet_run(&case, 1, 12);
    append(&case, "logs/a.log", lines(32..35));
    append(&case, "logs/b.log", lines(35..40));
    quiet_run(&case, 2, 8);
    quiet_run(&case, 3, 0);
    holds(&case, 0..40);
}

#[test]
fn a_copy_stays_one_however_far_its_log_goes_on() {
    // What a log is known by is more, the longer it is; its copy stays as short as it was.
    for count in [8, 20, 40] {
        let case = kept().file("logs/a.log", lines(0..count)).file("logs/b.log", lines(0..count));
        quiet_run(&case, 0, count.into());
        for night in 1..5 {
            append(&case, "logs/a.log", lines(night * 100..night * 100 + 100));
            quiet_run(&case, night, 100);
        }
        holds(&case, (0..count).chain(100..500));
    }
}

#[test]
fn a_few_lines_may_be_alike_by_chance() {
    assert!(lines(0..5).len() < 1024);
    let case = kept().file("logs/a.log", lines(0..5)).file("logs/b.log", lines(0..5));
    quiet_run(&case, 0, 10);
    quiet_run(&case, 1, 0);
}

#[test]
fn two_names_of_one_file_count_once_however_short_it_is() {
    for count in [1, 5, 200] {
        let case = kept().file("logs/a.log", lines(0..count));
        fs::hard_link(case.path("logs/a.log"), case.path("logs/b.log")).unwrap();
        let (output, _) = quiet_run(&case, 0, count.into());
        let same = "logs/b.log has the same content as logs/a.log: counted once";
        drop(output.expect_stderr(&[same]));
        quiet_run(&case, 1, 0);
        // What is written under either name is in both.
        append(&case, "logs/b.log", lines(200..203));
        quiet_run(&case, 2, 3);
        // A third name, before the others; and the first one goes.
        fs::hard_link(case.path("logs/b.log"), case.path("logs/0.log")).unwrap();
        quiet_run(&case, 3, 0);
        fs::remove_file(case.path("logs/a.log")).unwrap();
        append(&case, "logs/0.log", lines(203..205));
        quiet_run(&case, 4, 2);
        fs::remove_file(case.path("logs/0.log")).unwrap();
        append(&case, "logs/b.log", lines(205..206));
        quiet_run(&case, 5, 1);
        quiet_run(&case, 6, 0);
        holds(&case, (0..count).chain(200..206));
    }
}

#[test]
fn two_names_of_one_compressed_file_count_once_however_short_it_is() {
    for count in [1, 5, 200] {
        let case = kept().file("logs/a.gz", gzip(lines(0..count)));
        fs::hard_link(case.path("logs/a.gz"), case.path("logs/b.gz")).unwrap();
        quiet_run(&case, 0, count.into());
        quiet_run(&case, 1, 0);
        rename(&case, "logs/b.gz", "logs/c.gz");
        quiet_run(&case, 2, 0);
        rename(&case, "logs/a.gz", "logs/d.gz");
        quiet_run(&case, 3, 0);
        holds(&case, 0..count);
    }
}

#[test]
fn short_archives_that_are_alike_count_in_the_first_night_and_in_no_other() {
    for pack in [gzip as fn(String) -> Vec<u8>, zstd] {
        // Two that may be alike by chance, and one that is no chance any more.
        for (count, is_two) in [(5, true), (20, false)] {
            let archive = pack(lines(0..count));
            assert!(archive.len() < 1024, "{} bytes", archive.len());
            let case = kept().file("logs/a.1.gz", &archive).file("logs/a.2.gz", &archive);
            let again = if is_two { 0..count } else { 0..0 };
            quiet_run(&case, 0, u64::from(count) + again.len() as u64);
            quiet_run(&case, 1, 0);
            // Rotated on, each under the name that the other had or under a new one; both; and back.
            rename(&case, "logs/a.2.gz", "logs/a.3.gz");
            rename(&case, "logs/a.1.gz", "logs/a.2.gz");
            quiet_run(&case, 2, 0);
            rename(&case, "logs/a.2.gz", "logs/b.5.gz");
            rename(&case, "logs/a.3.gz", "logs/b.4.gz");
            quiet_run(&case, 3, 0);
            rename(&case, "logs/b.4.gz", "logs/a.2.gz");
            rename(&case, "logs/b.5.gz", "logs/a.1.gz");
            quiet_run(&case, 4, 0);
            // Copied, so that they are other files; one at a time, then both.
            let copy = |from: &str, to: &str| {
                fs::copy(case.path(from), case.path("copy")).unwrap();
                fs::remove_file(case.path(from)).unwrap();
                rename(&case, "copy", to);
            };
            copy("logs/a.1.gz", "logs/a.0.gz");
            quiet_run(&case, 5, 0);
            copy("logs/a.2.gz", "logs/a.4.gz");
            copy("logs/a.0.gz", "logs/a.3.gz");
            quiet_run(&case, 6, 0);
            // One goes and comes back.
            rename(&case, "logs/a.3.gz", "aside");
            quiet_run(&case, 7, 0);
            rename(&case, "aside", "logs/a.6.gz");
            quiet_run(&case, 8, 0);
            holds(&case, (0..count).chain(again));
        }
    }
}

#[test]
fn a_log_that_is_gone_before_it_was_read_to_its_end_is_lost() {
    let case =
        kept().file("logs/a.log", lines(0..10) + "{\"time\":").file("logs/b.log", lines(10..20));
    quiet_run(&case, 0, 20);
    fs::remove_file(case.path("logs/a.log")).unwrap();
    let (_, report) = run(&case, 1, 0);
    let read = lines(0..10).len();
    assert_eq!(told(&report), [finding("log-lost", "logs/a.log", read, read + 8)]);
    let (_, report) = run(&case, 2, 0);
    assert_eq!(told(&report), []);
    holds(&case, 0..20);
}

#[test]
fn a_log_that_is_gone_after_it_was_read_to_its_end_is_not_lost() {
    let case = kept().file("logs/a.log", lines(0..10)).file("logs/b.log", lines(10..20));
    quiet_run(&case, 0, 20);
    fs::remove_file(case.path("logs/a.log")).unwrap();
    quiet_run(&case, 1, 0);
    // It may come back.
    case.write("logs/c.log", lines(0..12));
    quiet_run(&case, 2, 2);
    holds(&case, (0..20).chain(10..12));
}

#[test]
fn a_file_for_a_past_day_counts_in_its_day_and_its_report_is_issued_again() {
    let of = |night: u32, numbers: std::ops::Range<u32>| -> String {
        numbers.map(|number| line(number, &date(night))).collect()
    };
    let case = kept().file("logs/a.log", of(0, 0..10));
    let (_, report) = quiet_run(&case, 0, 10);
    let days = |report: &Value| -> Vec<(String, u64, u64, u64)> {
        let days = report["nightly"]["days"].as_array().unwrap().iter();
        days.map(|day| {
            let number = |key: &str| number_of(&day[key]);
            let name = day["day"].as_str().unwrap().to_owned();
            (name, number("revision"), number("calls"), number("added"))
        })
        .collect()
    };
    assert_eq!(days(&report), [(date(0), 1, 10, 10)]);
    case.write("logs/b.log", of(1, 10..15));
    let (_, report) = quiet_run(&case, 1, 5);
    assert_eq!(days(&report), [(date(1), 1, 5, 5)]);
    let first = case.read("reports/2026-01-01/rev-1.json");
    // Of both days, of the first most.
    case.write("logs/late.log", of(0, 15..30) + &of(1, 30..32));
    let (_, report) = quiet_run(&case, 2, 17);
    assert_eq!(days(&report), [(date(0), 2, 25, 15), (date(1), 2, 7, 2)]);
    assert_eq!(case.read("reports/2026-01-01/rev-1.json"), first);
    for (report, calls) in [(first, 10), (case.read("reports/2026-01-01/rev-2.json"), 25)] {
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["accounting"]["calls"], calls);
        assert_eq!(report["nightly"]["day"], date(0));
    }
    let span = ["report", "--json", "--since", "2026-01-01", "--until", "2026-01-02"];
    let report = case.run(&span).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 25);
    holds(&case, 0..32);
}

#[test]
fn an_unfinished_last_line_waits_for_its_end() {
    let whole = lines(0..11);
    let half = whole.len() - 50;
    let case = kept().file("logs/a.log", &whole[..half]);
    let (_, report) = quiet_run(&case, 0, 10);
    let pending = half - lines(0..10).len();
    assert_eq!(input(&report, "logs/a.log")["pending_bytes"], pending);
    // Also where nothing came after it, and where more came and no end.
    let (_, report) = quiet_run(&case, 1, 0);
    assert_eq!(input(&report, "logs/a.log")["pending_bytes"], pending);
    append(&case, "logs/a.log", &whole[half..half + 20]);
    let (_, report) = quiet_run(&case, 2, 0);
    assert_eq!(input(&report, "logs/a.log")["pending_bytes"], pending + 20);
    append(&case, "logs/a.log", &whole[half + 20..]);
    let (_, report) = quiet_run(&case, 3, 1);
    assert_eq!(input(&report, "logs/a.log")["pending_bytes"], 0);
    holds(&case, 0..11);
}

#[test]
fn an_unfinished_first_line_waits_too() {
    let whole = lines(0..1);
    let case = kept().file("logs/a.log", &whole[..40]).file("logs/b.log", lines(1..2));
    let (_, report) = quiet_run(&case, 0, 1);
    assert_eq!(input(&report, "logs/a.log")["pending_bytes"], 40);
    append(&case, "logs/a.log", &whole[40..]);
    quiet_run(&case, 1, 1);
    holds(&case, 0..2);
}

#[test]
fn a_gzip_that_was_cut_off_counts_once_and_is_read_on_when_it_is_whole() {
    let packed = gzip(lines(0..200));
    let cut = &packed[..packed.len() / 2];
    let mut decoded = Vec::new();
    flate2::read::GzDecoder::new(cut).read_to_end(&mut decoded).unwrap_err();
    let counted = decoded.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!((50..150).contains(&counted), "{counted}");
    let case = kept().file("logs/a.log", lines(200..210)).file("logs/b.gz", cut);
    let (output, report) = run(&case, 0, 3);
    assert_eq!(report["accounting"]["calls"], 10 + counted);
    assert_eq!(report["status"], "partial");
    assert_eq!(report["partial"][0]["path"], "logs/b.gz");
    drop(output.expect_stderr(&["logs/b.gz: gzip data ended early"]));
    assert_eq!(told(&report), []);
    quiet_run(&case, 1, 0);
    case.write("logs/b.gz", &packed);
    quiet_run(&case, 2, 200 - counted);
    quiet_run(&case, 3, 0);
    holds(&case, 0..210);
}

#[test]
fn a_copy_that_is_being_compressed_is_no_new_log() {
    // gzip reads `a.log.1`, which was read up to 150 lines; what it has written yet ends within these.
    let packed = gzip(lines(0..200));
    let case = kept().file("logs/a.log", lines(0..150));
    quiet_run(&case, 0, 150);
    rename(&case, "logs/a.log", "logs/a.log.1");
    append(&case, "logs/a.log.1", lines(150..200));
    case.write("logs/a.log", lines(200..203));
    case.write("logs/a.log.1.gz", &packed[..packed.len() / 2]);
    let (output, _) = quiet_run(&case, 1, 53);
    let same = "logs/a.log.1.gz has the same content as logs/a.log.1: counted once";
    drop(output.expect_stderr(&[same]));
    fs::remove_file(case.path("logs/a.log.1")).unwrap();
    case.write("logs/a.log.1.gz", &packed);
    quiet_run(&case, 2, 0);
    holds(&case, 0..203);
}

#[test]
fn a_copy_that_was_made_before_the_last_lines_that_were_read_is_known() {
    // copytruncate copies 60 lines, a run reads 65, and then comes the truncation.
    for pack in [false, true] {
        let copy = lines(0..60) + &lines(60..61)[..50];
        let case = kept().file("logs/a.log", lines(0..30));
        quiet_run(&case, 0, 30);
        append(&case, "logs/a.log", lines(30..65));
        case.write("logs/a.log.1", &copy);
        quiet_run(&case, 0, 35);
        // Whether the log has become longer since or not.
        OpenOptions::new().write(true).open(case.path("logs/a.log")).unwrap().set_len(0).unwrap();
        append(&case, "logs/a.log", lines(65..70));
        if pack {
            fs::remove_file(case.path("logs/a.log.1")).unwrap();
            case.write("logs/a.log.1.gz", gzip(&copy));
        }
        quiet_run(&case, 1, 5);
        append(&case, "logs/a.log", lines(70..200));
        quiet_run(&case, 2, 130);
        let (old, new) = match pack {
            true => ("logs/a.log.1.gz", "logs/a.log.2.gz"),
            false => ("logs/a.log.1", "logs/a.log.2"),
        };
        rename(&case, old, new);
        quiet_run(&case, 3, 0);
        fs::remove_file(case.path(new)).unwrap();
        quiet_run(&case, 4, 0);
        holds(&case, 0..200);
    }
}

#[test]
fn a_copy_of_a_new_log_that_is_not_complete_is_no_new_log() {
    let copy = lines(0..60) + &lines(60..61)[..50];
    // Whichever comes first by name.
    for (long, short) in [("logs/a.log", "logs/b.log"), ("logs/b.log", "logs/a.log")] {
        let case = kept().file(long, lines(0..65)).file(short, &copy);
        let (output, _) = quiet_run(&case, 0, 65);
        drop(
            output
                .expect_stderr(&[&format!("{short} has the same content as {long}: counted once")]),
        );
        append(&case, short, &lines(60..61)[50..]);
        quiet_run(&case, 1, 0);
        append(&case, short, lines(61..70));
        quiet_run(&case, 2, 5);
        holds(&case, 0..70);
    }
}

#[test]
fn a_copy_of_which_nothing_was_there_yet_is_known() {
    // The copy is as long as what was read, or shorter; or there is no truncation.
    for copied in [65, 60, 0] {
        let case = kept().file("logs/a.log", lines(0..30)).file("logs/a.log.1", "");
        quiet_run(&case, 0, 30);
        append(&case, "logs/a.log", lines(30..65));
        quiet_run(&case, 1, 35);
        let (copy, new) = match copied {
            0 => (lines(0..65), lines(0..70)),
            copied => (lines(0..copied), lines(65..70)),
        };
        case.write("logs/a.log.1", copy);
        case.write("logs/a.log", new);
        quiet_run(&case, 2, 5);
        quiet_run(&case, 3, 0);
        holds(&case, 0..70);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn of_a_log_that_shrinks_while_it_is_read_nothing_is_committed() {
    use crate::bad_input::changed_while_read;
    let big = crate::harness::calls(300_000);
    assert!(big.len() > 16 << 20);
    for _ in 0..50 {
        let case = kept().file("logs/a.log", lines(0..10)).file("big.log", &big);
        let config = case.read("overstay.toml").replace("\"logs/*\"", "\"logs/*\", \"big.log\"");
        case.write("overstay.toml", config);
        let truncate = || {
            let file = OpenOptions::new().write(true).open(case.path("big.log")).unwrap();
            file.set_len(lines(0..1).len() as u64 * 1000).unwrap();
        };
        let arguments = ["nightly", "--json", "--run-at", "2026-01-01T12:00:00Z"];
        let output = changed_while_read(&case, &arguments, true, &truncate);
        let report = output.report();
        if output.status.code() == Some(0) {
            // Too late, or too early: it was read as it was, or as it is.
            continue;
        }
        let output = output.expect_status(3).expect_stderr(&["big.log: shrank"]);
        assert_eq!(report["partial"][0]["path"], "big.log");
        assert_eq!(report["accounting"]["calls"], 10);
        drop(output);
        holds(&case, 0..10);
        // The next run reads it as it is.
        case.write("big.log", crate::harness::calls(1000));
        quiet_run(&case, 1, 1000);
        quiet_run(&case, 2, 0);
        return;
    }
    panic!("no run saw the log shrink");
}

#[test]
fn logrotate_renames_and_compresses_while_a_run_looks() {
    let directives = "create\ncompress";
    check(
        "compress, at once",
        Rotation { directives, waits: true, is_at_once: true, ..BY_RENAMING },
    );
}

#[test]
fn logrotate_copies_and_truncates_while_a_run_looks() {
    let directives = "copytruncate";
    check(
        "copytruncate, at once",
        Rotation { directives, copies: true, is_at_once: true, ..BY_RENAMING },
    );
}
