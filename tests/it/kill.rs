//! A run that is killed, wherever it is, has not been: what the next one leaves is what it would have left, to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser as _;
use overstay::cli::{Cli, Command as Asked};
use overstay::state::{Disk, Files, Ledger};

use crate::channels::Receiver;

/// What happens to the step at which a run is stopped, and to those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It fails, as on a full disk; those after it do not.
    Fails,
    /// The process dies before it.
    Before,
    /// The process dies in it: of what is written the half is there.
    Within,
    /// The process dies after it.
    After,
    /// The machine dies after it: what no one had put on the disk is not there.
    PowerLoss,
}

const STOPS: [Stop; 5] = [Stop::Fails, Stop::Before, Stop::Within, Stop::After, Stop::PowerLoss];

/// The file system up to a step.
struct Stopping {
    at: usize,
    stop: Stop,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    steps: usize,
    /// What names held before they were changed, and the folder whose names have not been put on the disk since.
    undone: Vec<(PathBuf, PathBuf, Held)>,
}

/// What a name holds.
#[derive(Clone, Debug)]
enum Held {
    Nothing,
    File(Vec<u8>),
    Link(PathBuf),
    Folder(Vec<(PathBuf, Held)>),
}

fn held(path: &Path) -> Held {
    match fs::symlink_metadata(path) {
        Err(_) => Held::Nothing,
        Ok(metadata) if metadata.is_symlink() => Held::Link(fs::read_link(path).unwrap()),
        Ok(metadata) if metadata.is_dir() => {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            Held::Folder(entries.map(|path| (path.clone(), held(&path))).collect())
        }
        Ok(_) => Held::File(fs::read(path).unwrap()),
    }
}

fn hold(path: &Path, what: &Held) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
    match what {
        Held::Nothing => {}
        Held::File(bytes) => fs::write(path, bytes).unwrap(),
        Held::Link(to) => std::os::unix::fs::symlink(to, path).unwrap(),
        Held::Folder(entries) => {
            fs::create_dir(path).unwrap();
            entries.iter().for_each(|(path, what)| hold(path, what));
        }
    }
}

impl Stopping {
    fn new(at: usize, stop: Stop) -> Stopping {
        Stopping { at, stop, seen: Mutex::default() }
    }

    fn step(
        &self,
        changed: &[&Path],
        synced: Option<&Path>,
        half: impl FnOnce(),
        whole: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        seen.steps += 1;
        let dead = || Err(io::Error::other("the process is dead"));
        if seen.steps > self.at && self.stop != Stop::Fails {
            return dead();
        }
        if seen.steps == self.at {
            match self.stop {
                Stop::Fails => return Err(io::Error::from(io::ErrorKind::StorageFull)),
                Stop::Before => return dead(),
                Stop::Within => {
                    half();
                    return dead();
                }
                Stop::After | Stop::PowerLoss => {}
            }
        }
        for path in changed {
            let folder = path.parent().unwrap().to_owned();
            seen.undone.push((folder, path.to_path_buf(), held(path)));
        }
        let done = whole();
        if let Some(synced) = synced {
            seen.undone.retain(|(folder, _, _)| folder != synced);
        }
        if seen.steps == self.at && self.stop == Stop::PowerLoss {
            while let Some((_, path, before)) = seen.undone.pop() {
                // A folder that is gone has taken its names along.
                if path.parent().unwrap().is_dir() {
                    hold(&path, &before);
                }
            }
        }
        done
    }

    fn steps(&self) -> usize {
        self.seen.lock().unwrap().steps
    }
}

impl Files for Stopping {
    fn create_dir(&self, path: &Path, is_private: bool) -> io::Result<()> {
        // One that is there is not changed.
        let changed = [path];
        let changed = if path.is_dir() { &changed[..0] } else { &changed[..] };
        self.step(changed, None, || {}, || Disk.create_dir(path, is_private))
    }

    fn write(&self, path: &Path, bytes: &[u8], is_private: bool) -> io::Result<()> {
        let half = || drop(fs::write(path, &bytes[..bytes.len() / 2]));
        self.step(&[path], None, half, || Disk.write(path, bytes, is_private))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(&[to, from], None, || {}, || Disk.rename(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step(&[], Some(path), || {}, || Disk.sync_dir(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(&[path], None, || {}, || Disk.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        // Of a folder that is removed some files may be gone and others not.
        let half = || {
            if let Some(Ok(first)) = fs::read_dir(path).unwrap().next()
                && first.path().is_file()
            {
                fs::remove_file(first.path()).unwrap();
            }
        };
        self.step(&[path], None, half, || Disk.remove_dir(path))
    }

    fn link(&self, to: &Path, path: &Path) -> io::Result<()> {
        self.step(&[path], None, || {}, || Disk.link(to, path))
    }
}

/// A folder in which runs are made: logs and register lie elsewhere and are the same for all.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(logs: &Logs) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("overstay.toml"), logs.config()).unwrap();
        fs::write(folder.path().join("overstay.key"), KEY).unwrap();
        Place { folder }
    }

    /// The same as it is now.
    fn copy(&self) -> Place {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &folder.path().join(entry.file_name()));
        }
        Place { folder }
    }

    fn run(&self, run_at: &str, files: &dyn Files) -> bool {
        let config = self.folder.path().join("overstay.toml");
        let arguments = [
            "overstay",
            "nightly",
            "--quiet",
            "--config",
            config.to_str().unwrap(),
            "--run-at",
            run_at,
        ];
        let Asked::Nightly(args) = Cli::try_parse_from(arguments).unwrap().command else {
            panic!("expected the arguments of nightly");
        };
        let began = Instant::now();
        loop {
            let plan = overstay::plan::nightly(&args).unwrap();
            match overstay::run::nightly(plan, files, &mut io::sink()) {
                Ok(_) => return true,
                // A program that another test starts has all open files of this process until it is itself, the lock among them.
                Err(error)
                    if error.to_string().contains(": held by ")
                        && began.elapsed() < Duration::from_secs(10) =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                #[allow(clippy::print_stderr, reason = "why it ended belongs to what fails by it")]
                Err(error) => {
                    eprintln!("{error}");
                    return false;
                }
            }
        }
    }

    /// All files but the lock, which says nothing but who held it last.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let walk = walkdir::WalkDir::new(self.folder.path()).into_iter().map(Result::unwrap);
        let files = walk.filter(|entry| !entry.file_type().is_dir() && entry.file_name() != "lock");
        files
            .map(|entry| {
                let name = entry.path().strip_prefix(self.folder.path()).unwrap().to_owned();
                let content = match fs::read_link(entry.path()) {
                    Ok(to) => to.to_str().unwrap().as_bytes().to_vec(),
                    Err(_) => fs::read(entry.path()).unwrap(),
                };
                (name, content)
            })
            .collect()
    }

    fn ledger(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join("state/ledger")).ok()
    }
}

fn copy(from: &Path, to: &Path) {
    match held(from) {
        Held::Folder(entries) => {
            fs::create_dir(to).unwrap();
            entries.iter().for_each(|(path, _)| copy(path, &to.join(path.file_name().unwrap())));
        }
        Held::Link(link) => std::os::unix::fs::symlink(link, to).unwrap(),
        Held::File(bytes) => fs::write(to, bytes).unwrap(),
        Held::Nothing => {}
    }
}

const KEY: &str =
    "overstay-key-1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

/// Logs and a register.
struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    fn new() -> Logs {
        let logs = Logs { folder: tempfile::tempdir().unwrap() };
        for (name, text) in [
            ("partners", "partner,name\nacme,Acme\nglobex,Globex\n"),
            ("credentials", "credential,partner\nkey-acme-1,acme\nkey-globex-2,globex\n"),
            ("apis", "api,name\nmessages,Messages\n"),
            ("routes", "path,api\n/messages/{user},messages\n"),
            (
                "grants",
                "grant,partner,api,operations,granted_at,revoked_at\n\
                 g-acme,acme,messages,read,2018-01-01,\n\
                 g-globex,globex,messages,read,2018-01-01,2018-06-01\n",
            ),
        ] {
            logs.write(&format!("register/{name}.csv"), text.as_bytes());
        }
        logs
    }

    fn config(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "[register]\nsource = \"{folder}/register\"\n[[logs]]\nsource = \"core\"\npaths = [\"{folder}/logs\"]\n\
             [state]\nkeep_days = 3\n"
        )
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn append(&self, name: &str, day: u32, count: u32) {
        let path = self.folder.path().join(name);
        let before = fs::read(&path).unwrap_or_default();
        let mut text = String::from_utf8(before).unwrap();
        for i in 0..count {
            let key = if i % 2 == 0 { "key-acme-1" } else { "key-globex-2" };
            text += &format!(
                "{{\"ts\":\"2018-07-{day:02}T{:02}:{:02}:00Z\",\"client_id\":\"{key}\",\"method\":\"GET\",\"path\":\"/messages/u{i}\",\"status\":200,\"user\":\"u{i}\"}}\n",
                i / 60 % 24,
                i % 60
            );
        }
        self.write(name, text.as_bytes());
    }

    /// What has come by the first night, or the second: a log that grew, one for a past day, one renamed and compressed, one of
    /// which the first night saw only a part, a day that is no longer kept, and another register.
    fn come(&self, night: u32) {
        if night == 1 {
            self.append("c.log", 3, 300);
        }
        let packed = crate::harness::gzip(fs::read(self.folder.path().join("c.log")).unwrap());
        let there = if night == 1 { packed.len() / 2 } else { packed.len() };
        self.write("logs/c.gz", &packed[..there]);
        if night == 1 {
            self.append("logs/a.log", 1, 40);
            self.append("logs/a.log", 2, 30);
            self.append("logs/b.log", 2, 20);
            return;
        }
        self.append("logs/a.log", 4, 50);
        self.append("logs/late.log", 2, 7);
        let old = self.folder.path().join("logs/b.log");
        let content = fs::read(&old).unwrap();
        self.write("logs/b.log.1.zst", &zstd::encode_all(content.as_slice(), 1).unwrap());
        fs::remove_file(old).unwrap();
        self.append("logs/b.log", 4, 5);
        self.write(
            "register/grants.csv",
            b"grant,partner,api,operations,granted_at,revoked_at\n\
              g-acme,acme,messages,read,2018-01-01,2018-07-03\n\
              g-globex,globex,messages,read,2018-01-01,2018-06-01\n",
        );
    }
}

const NIGHTS: [&str; 2] = ["2018-07-03T02:00:00Z", "2018-07-05T02:00:00Z"];

/// The difference between two trees, as a person can read it.
fn difference(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let names = a.keys().chain(b.keys());
    let mut told: Vec<String> = names
        .filter(|name| a.get(*name) != b.get(*name))
        .map(|name| {
            format!(
                "{} ({:?}, {:?})",
                name.display(),
                a.get(name).map(Vec::len),
                b.get(name).map(Vec::len)
            )
        })
        .collect();
    told.dedup();
    told.join(", ")
}

/// Where one ledger first says something else than another.
fn told_ledgers(found: &Option<Vec<u8>>, expected: &Option<Vec<u8>>) -> String {
    let lines = |ledger: &Option<Vec<u8>>| -> Vec<String> {
        let ledger = ledger.as_ref().map(|file| Ledger::decode("ledger", file));
        format!("{ledger:#?}").lines().map(str::to_owned).collect()
    };
    let (found, expected) = (lines(found), lines(expected));
    let differ = |at: &usize| found.get(*at) != expected.get(*at);
    let at = (0..found.len().max(expected.len())).find(differ).unwrap_or(0);
    let around = |lines: &[String]| -> String {
        let some = lines.iter().skip(at.saturating_sub(12)).take(20);
        some.map(|line| format!("{line}\n")).collect()
    };
    format!("found\n{}expected\n{}", around(&found), around(&expected))
}

/// At every step of a first run, and of a second one, in turn.
#[test]
fn a_run_that_stops_at_any_step_has_not_been() {
    let logs = Logs::new();
    let place = Place::new(&logs);
    let mut all_steps = Vec::new();
    for (night, run_at) in (1..).zip(NIGHTS) {
        logs.come(night);
        let once = place.copy();
        let counting = Stopping::new(usize::MAX, Stop::After);
        assert!(once.run(run_at, &counting));
        let (steps, tree, ledger) = (counting.steps(), once.tree(), once.ledger());
        let twice = once.copy();
        assert!(twice.run(run_at, &Disk));
        let tree_of_twice = twice.tree();
        for at in 1..=steps {
            for stop in STOPS {
                let stopped = place.copy();
                let files = Stopping::new(at, stop);
                let ended_well = stopped.run(run_at, &files);
                let counts = stopped.ledger() == ledger;
                let told = || told_ledgers(&stopped.ledger(), &ledger);
                assert!(!ended_well || counts, "night {night}, step {at}, {stop:?}: {}", told());
                // What counted before is still there, or what counts now is.
                assert!(
                    counts || stopped.ledger() == place.ledger(),
                    "step {at}, {stop:?}: {}",
                    told()
                );
                assert!(stopped.run(run_at, &Disk), "night {night}, step {at}, {stop:?}");
                let expected = if counts { &tree_of_twice } else { &tree };
                let found = stopped.tree();
                assert!(
                    found == *expected,
                    "night {night}, step {at} of {steps}, {stop:?}: {}",
                    difference(&found, expected)
                );
            }
        }
        all_steps.push(steps);
        assert!(place.run(run_at, &Disk));
        assert_eq!(difference(&place.tree(), &tree), "");
    }
    #[allow(clippy::print_stderr, reason = "what was done belongs to the result")]
    {
        eprintln!("stopped at each of {all_steps:?} steps, in {} ways", STOPS.len());
    }
    assert!(all_steps.iter().all(|steps| *steps > 20), "{all_steps:?}");
}

/// By a signal that no process can catch, at 300 moments drawn from the whole time that a run takes.
#[test]
fn a_run_that_is_killed_at_any_moment_has_not_been() {
    const KILLS: u32 = 300;
    let logs = Logs::new();
    logs.append("logs/a.log", 1, 2000);
    logs.append("logs/b.log", 2, 2000);
    let place = Place::new(&logs);
    let start = |place: &Place| {
        Command::new(env!("CARGO_BIN_EXE_overstay"))
            .args(["nightly", "--quiet", "--run-at", NIGHTS[0]])
            .current_dir(place.folder.path())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let once = place.copy();
    let began = Instant::now();
    assert!(start(&once).wait().unwrap().success());
    let takes = began.elapsed();
    let (tree, ledger) = (once.tree(), once.ledger());
    let twice = once.copy();
    assert!(start(&twice).wait().unwrap().success());
    let tree_of_twice = twice.tree();
    let (mut killed, mut counted) = (0, 0);
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for kill in 0..KILLS {
        // xorshift: moments that are the same in no two tests, and need not be.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let moment = takes.mul_f64(seed as f64 / u64::MAX as f64 * 1.1);
        let place = place.copy();
        let mut child = start(&place);
        std::thread::sleep(moment);
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let counts = place.ledger().is_some();
        assert!(!counts || place.ledger() == ledger, "kill {kill}");
        counted += u32::from(counts);
        assert!(start(&place).wait().unwrap().success(), "kill {kill} after {moment:?}");
        let (found, expected) = (place.tree(), if counts { &tree_of_twice } else { &tree });
        assert!(
            found == *expected,
            "kill {kill} after {moment:?}: {}",
            difference(&found, expected)
        );
    }
    #[allow(clippy::print_stderr, reason = "what was done belongs to the result")]
    {
        eprintln!(
            "{killed} of {KILLS} runs were killed, {counted} had counted by then; a run takes {takes:?}"
        );
    }
    assert!(killed > KILLS / 2 && killed > counted, "{killed} were killed, {counted} counted");
    assert!(takes > Duration::from_millis(1));
}

/// What a receiver was told, from a request on: how often under each delivery id, the body the same each time.
fn told(receiver: &Receiver, from: usize) -> BTreeMap<String, usize> {
    let mut told: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for request in receiver.requests().into_iter().skip(from) {
        let id = request.header("idempotency-key").unwrap().to_owned();
        assert_eq!(request.json()["delivery_id"], *id);
        let (count, body) = told.entry(id).or_insert((0, request.body.clone()));
        assert_eq!(*body, request.body, "what is repeated is the same");
        *count += 1;
    }
    told.into_iter().map(|(id, (count, _))| (id, count)).collect()
}

/// A place whose runs tell a receiver of what they find.
fn telling(logs: &Logs) -> (Place, Receiver) {
    let receiver = Receiver::answers(&["200 OK"]);
    let place = Place::new(logs);
    let config = place.folder.path().join("overstay.toml");
    let alert = format!(
        "[alert]\nwebhook = [{{ name = \"ops\", url = \"http://127.0.0.1:{}/\" }}]\n",
        receiver.port
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &alert).unwrap();
    (place, receiver)
}

/// Every change is delivered, wherever a run stops: and what is delivered twice, since it stopped between acceptance and note, has
/// the delivery id that it had.
#[test]
fn what_a_run_that_stops_at_any_step_had_to_tell_is_told() {
    let logs = Logs::new();
    let (place, receiver) = telling(&logs);
    let mut repeated = 0;
    for (night, run_at) in (1..).zip(NIGHTS) {
        logs.come(night);
        let once = place.copy();
        let counting = Stopping::new(usize::MAX, Stop::After);
        let from = receiver.requests().len();
        assert!(once.run(run_at, &counting));
        let ids = told(&receiver, from);
        assert_eq!(ids.values().collect::<Vec<_>>(), [&1], "night {night}");
        for at in 1..=counting.steps() {
            for stop in STOPS {
                let from = receiver.requests().len();
                let stopped = place.copy();
                stopped.run(run_at, &Stopping::new(at, stop));
                assert!(stopped.run(run_at, &Disk), "night {night}, step {at}, {stop:?}");
                let found = told(&receiver, from);
                assert_eq!(
                    found.keys().collect::<Vec<_>>(),
                    ids.keys().collect::<Vec<_>>(),
                    "night {night}, step {at}, {stop:?}"
                );
                assert!(found.values().all(|count| *count <= 2), "{found:?}");
                repeated += found.values().filter(|count| **count > 1).count();
                let from = receiver.requests().len();
                assert!(stopped.run(run_at, &Disk));
                assert_eq!(told(&receiver, from), BTreeMap::new(), "nothing waits any more");
            }
        }
        assert!(place.run(run_at, &Disk));
    }
    // A run whose files have stopped goes on to tell, as no process that is dead would: all the more is told twice.
    assert!(
        repeated > 0,
        "the moment between acceptance and note was not among those that were tried"
    );
}

/// The same by a signal that no process can catch, at 300 moments.
#[test]
fn what_a_run_that_is_killed_at_any_moment_had_to_tell_is_told() {
    const KILLS: u32 = 300;
    let logs = Logs::new();
    logs.append("logs/a.log", 1, 400);
    let (place, receiver) = telling(&logs);
    let start = |place: &Place| {
        Command::new(env!("CARGO_BIN_EXE_overstay"))
            .args(["nightly", "--quiet", "--run-at", NIGHTS[0]])
            .current_dir(place.folder.path())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let once = place.copy();
    let began = Instant::now();
    assert!(start(&once).wait().unwrap().success());
    let takes = began.elapsed();
    let ids = told(&receiver, 0);
    assert_eq!(ids.values().collect::<Vec<_>>(), [&1]);
    let (mut killed, mut accepted, mut repeated) = (0, 0, 0);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for kill in 0..KILLS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let moment = takes.mul_f64(seed as f64 / u64::MAX as f64 * 1.1);
        let place = place.copy();
        let from = receiver.requests().len();
        let mut child = start(&place);
        std::thread::sleep(moment);
        child.kill().unwrap();
        let was_killed = !child.wait().unwrap().success();
        killed += u32::from(was_killed);
        accepted += u32::from(was_killed && receiver.requests().len() > from);
        assert!(start(&place).wait().unwrap().success(), "kill {kill} after {moment:?}");
        let found = told(&receiver, from);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ids.keys().collect::<Vec<_>>(),
            "kill {kill} after {moment:?}"
        );
        repeated += found.values().filter(|count| **count > 1).count();
    }
    #[allow(clippy::print_stderr, reason = "what was done belongs to the result")]
    {
        eprintln!(
            "{killed} of {KILLS} runs were killed, {accepted} had told by then, {repeated} told twice under one delivery id; a run takes {takes:?}"
        );
    }
    assert!(killed > KILLS / 2, "{killed} were killed");
}
