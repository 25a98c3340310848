//! Runs the built program as a user would: in a fresh folder, in a clean environment, and tells all about it if a
//! test fails. Knows nothing of what the program does inside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

/// A fresh folder, in which the program runs. It goes when the case is dropped.
pub struct Case {
    folder: tempfile::TempDir,
}

impl Default for Case {
    fn default() -> Case {
        Case::new()
    }
}

impl Case {
    /// An empty folder.
    pub fn new() -> Case {
        Case { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with the small register below (`register/`), and no log.
    ///
    /// Partner `acme` presents `key-acme-1` and may read `messages` (GET `/messages/{user}`) from 2018 on; `globex`
    /// presents `key-globex-2` and its grant on `messages` was revoked at 2018-06-01T00:00:00Z.
    pub fn with_register() -> Case {
        Case::new()
            .file("register/partners.csv", "partner,name\nacme,Acme\nglobex,Globex\n")
            .file(
                "register/credentials.csv",
                "credential,partner\nkey-acme-1,acme\nkey-globex-2,globex\n",
            )
            .file("register/apis.csv", "api,name\nmessages,Messages\n")
            .file("register/routes.csv", "path,api\n/messages/{user},messages\n")
            .file(
                "register/grants.csv",
                "grant,partner,api,operations,granted_at,revoked_at\n\
                 g-acme,acme,messages,read,2018-01-01,\n\
                 g-globex,globex,messages,read,2018-01-01,2018-06-01\n",
            )
    }

    /// The register, and ten calls in order in `logs/good.log`.
    pub fn ready() -> Case {
        Case::with_register().file("logs/good.log", calls(10))
    }

    /// The register with one more key of `globex`, closed on 2018-02-01, and `logs/mixed.log`: nine calls, of which each
    /// is of another kind. Their lines, from 1:
    ///
    /// | line | at | who | what | verdict | outcome | subject |
    /// | --- | --- | --- | --- | --- | --- | --- |
    /// | 1 | 09:00 | acme | read | granted | served | ann |
    /// | 2 | 09:01 | globex | read | after-revocation | served | ann |
    /// | 3 | 09:02 | globex | read | after-revocation | denied | bob |
    /// | 4 | 09:03 | an unknown key | read | unknown-credential | served | cat |
    /// | 5 | 09:04 | nobody | read | anonymous | denied | dan |
    /// | 6 | 09:05 | acme | write | out-of-scope | served | ann |
    /// | 7 | 09:06 | acme | a path without route | unlisted-api | failed | – |
    /// | 8 | 10:00 | globex | read | after-revocation | served | bob |
    /// | 9 | 10:01 | globex, its old key | read | after-revocation, also stale-credential | unknown | eve |
    pub fn mixed() -> Case {
        let case = Case::with_register().file(
            "register/credentials.csv",
            "credential,partner,valid_until\nkey-acme-1,acme,\nkey-globex-2,globex,\nkey-old-5,globex,2018-02-01\n",
        );
        case.file("logs/mixed.log", MIXED)
    }

    /// Writes a file, with the folders it needs.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Case {
        self.write(name, content);
        self
    }

    /// The same, on a case that is at hand already.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Where a file of the case lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a file holds now.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// The names of all files and links below the folder, with `/` between, sorted.
    pub fn names(&self) -> Vec<String> {
        let folder = self.folder.path();
        let mut names: Vec<String> = walkdir::WalkDir::new(folder)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// The program with these arguments, ready to be started in the folder: an environment of nothing but PATH, no
    /// standard input.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        self.tool(env!("CARGO_BIN_EXE_overstay"), arguments)
    }

    /// The same for any program, such as one that starts `overstay` under a limit.
    pub fn tool<A: AsRef<OsStr>>(&self, program: &str, arguments: &[A]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        self.finish(self.command(arguments))
    }

    /// Runs the program to its end with these bytes as standard input.
    pub fn run_with_input<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // It may refuse its input: a closed pipe is not this test's failure.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        self.output(shown, output)
    }

    /// Runs a prepared command to its end.
    pub fn finish(&self, mut command: Command) -> Output {
        let output = command.output().unwrap();
        self.output(format!("{command:?}"), output)
    }

    /// The same for a command whose standard output goes elsewhere.
    pub fn finish_with(&self, mut command: Command) -> Output {
        let shown = format!("{command:?}");
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        self.output(shown, child.wait_with_output().unwrap())
    }

    /// Tells a child's end as that of [`Case::run`].
    pub fn output(&self, command: String, output: std::process::Output) -> Output {
        Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout_bytes: output.stdout,
            command,
            files: files(self.folder.path()),
        }
    }
}

/// How the program ended, and what it said. If a test fails while it holds one, all of it is printed.
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output, with `\u{fffd}` for what is not UTF-8.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
    /// Its standard output, to the byte.
    pub stdout_bytes: Vec<u8>,
    command: String,
    files: BTreeMap<String, String>,
}

impl Output {
    /// Fails unless the program exited by itself, with this status.
    pub fn expect_status(self, status: i32) -> Output {
        assert_eq!(self.status.code(), Some(status), "exit status ({})", self.status);
        self
    }

    /// Fails unless standard error has each of these texts.
    pub fn expect_stderr(self, texts: &[&str]) -> Output {
        for text in texts {
            assert!(self.stderr.contains(text), "standard error lacks `{text}`");
        }
        self
    }

    /// Fails unless standard output is empty.
    pub fn expect_no_stdout(self) -> Output {
        assert_eq!(self.stdout, "", "standard output");
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Standard output as a report whose accounts balance.
    pub fn report(&self) -> Value {
        let report = self.json();
        adds_up(&report);
        report
    }

    /// Standard output as JSON, an object a line.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "--- command\n{}", self.command)?;
        for (name, content) in &self.files {
            writeln!(f, "--- file {name}\n{content}")?;
        }
        writeln!(f, "--- standard output\n{}", cut(&self.stdout, 20_000))?;
        writeln!(f, "--- standard error\n{}", cut(&self.stderr, 20_000))?;
        writeln!(f, "--- status\n{}", self.status)
    }
}

impl Drop for Output {
    #[allow(clippy::print_stderr, reason = "the test harness keeps it for the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self}");
        }
    }
}

/// The beginning of each file, as far as it helps to understand a failure.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
        let mut head = Vec::new();
        if let Ok(file) = fs::File::open(entry.path()) {
            let _ = std::io::Read::read_to_end(&mut std::io::Read::take(file, 1_000), &mut head);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let content = match metadata.len() {
            0..=1_000 => head,
            bytes => format!("{head}… ({bytes} bytes)"),
        };
        files.insert(name, content);
    }
    files
}

fn cut(text: &str, bytes_max: usize) -> String {
    match text.char_indices().find(|(at, _)| *at >= bytes_max) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}

/// The log of [`Case::mixed`].
pub const MIXED: &str = r#"{"time":"2018-12-18T09:00:00Z","client_id":"key-acme-1","method":"GET","path":"/messages/ann","status":200,"bytes":10}
{"time":"2018-12-18T09:01:00Z","client_id":"key-globex-2","method":"GET","path":"/messages/ann?page=2","status":200,"bytes":20,"latency_ms":1.5,"host":"api.example","actor":"robot","ip":"192.0.2.7","user_agent":"globex/1","request_id":"r-2"}
{"time":"2018-12-18T09:02:00Z","client_id":"key-globex-2","method":"GET","path":"/messages/bob","status":403,"bytes":30}
{"time":"2018-12-18T09:03:00Z","client_id":"key-nobody-9","method":"GET","path":"/messages/cat","status":200,"bytes":40}
{"time":"2018-12-18T09:04:00Z","method":"GET","path":"/messages/dan","status":401,"bytes":50}
{"time":"2018-12-18T09:05:00Z","client_id":"key-acme-1","method":"POST","path":"/messages/ann","status":201,"bytes":60}
{"time":"2018-12-18T09:06:00Z","client_id":"key-acme-1","method":"GET","path":"/nowhere","status":404,"bytes":70}
{"time":"2018-12-18T10:00:00Z","client_id":"key-globex-2","method":"GET","path":"/messages/bob","status":200,"bytes":80,"actor":"robot"}
{"time":"2018-12-18T10:01:00.25Z","client_id":"key-old-5","method":"GET","path":"/messages/eve","bytes":90}
"#;

/// A file of the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Lines of `count` calls in order by [`Case::with_register`], a minute apart from 2018-12-18T09:00:00Z on.
pub fn calls(count: usize) -> String {
    (0..count).map(call).collect()
}

/// The line of one call: `acme` reads somebody's messages, in the format `json`.
pub fn call(minute: usize) -> String {
    let (hour, minute, user) = (9 + minute / 60 % 14, minute % 60, minute % 7);
    format!(
        "{{\"time\":\"2018-12-18T{hour:02}:{minute:02}:00Z\",\"client_id\":\"key-acme-1\",\"method\":\"GET\",\
         \"path\":\"/messages/u{user}\",\"status\":200,\"bytes\":100}}\n"
    )
}

/// As gzip writes it.
pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// As zstd writes it, with a checksum.
pub fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Every line is accounted for, every call is in a usage row, every reject under a reason.
pub fn adds_up(report: &Value) {
    let number = |value: &Value| value.as_u64().unwrap();
    let parts = ["blank", "calls", "rejected", "outside_window", "duplicates"];
    let sum_of = |of: &Value| parts.iter().map(|part| number(&of[*part])).sum::<u64>();
    let accounting = &report["accounting"];
    assert_eq!(number(&accounting["lines"]), sum_of(accounting), "accounting: {accounting}");
    let inputs = report["inputs"].as_array().unwrap();
    for input in inputs {
        assert_eq!(number(&input["lines"]), sum_of(input), "input: {input}");
    }
    for name in parts.into_iter().chain(["lines"]) {
        let total = inputs.iter().map(|input| number(&input[name])).sum::<u64>();
        assert_eq!(number(&accounting[name]), total, "{name} of all inputs");
    }
    // A report on one partner accounts for all lines, and tells only of that partner's calls.
    if report["partner"].is_null() {
        let usage = report["usage"].as_array().unwrap();
        let calls = usage.iter().map(|row| number(&row["calls"])).sum::<u64>();
        assert_eq!(calls, number(&accounting["calls"]), "calls of all usage rows");
    }
    let reasons = report["rejects"]["by_reason"].as_object().unwrap();
    let rejected = reasons.values().map(number).sum::<u64>();
    assert_eq!(rejected, number(&accounting["rejected"]), "rejects by reason");
}
