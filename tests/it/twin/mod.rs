//! The naive twin: the whole main job a second time, slow and obvious, written from the contract alone.
//!
//! It judges the fast program, so it shares no logic with it: of the crate it takes the plain data of reports, the names
//! of verdicts and kinds, and instants as numbers. A case is a register, inputs and a window; [`report`] says what the
//! program must answer, [`judge`] what the register says of one call, [`generate`] draws cases full of ties and
//! boundaries.

#![allow(dead_code, reason = "what the twin offers is used by one test or another")]

pub mod count;
pub mod generate;
pub mod hygiene;
pub mod judge;
pub mod lines;
pub mod odd;
pub mod repeats;
pub mod rows;
pub mod sizes;
pub mod target;
mod tests;
pub mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;

use overstay::time::Instant;

#[allow(unused_imports, reason = "the twin's front")]
pub use self::{
    count::{counted, report},
    judge::{Call, Judged, Outcome, judge},
    lines::FORMAT,
    rows::Rows,
};

/// One run of the program: what it is given.
#[derive(Clone, Debug)]
pub struct Case {
    /// The register; none: nothing is judged.
    pub register: Option<Rows>,
    pub inputs: Vec<InputCase>,
    pub since: Option<Instant>,
    pub until: Option<Instant>,
    pub as_known_at: Option<Instant>,
    /// `[register] propagation_s`.
    pub propagation_s: u64,
    /// The sources whose completeness is declared.
    pub expect: BTreeMap<String, Expect>,
    /// The sources that say whether their repeated records count once; `false` unless said.
    pub dedupe: BTreeMap<String, bool>,
    /// `[anomaly] new_network`.
    pub new_network: bool,
    /// `--partner`; only with a register.
    pub partner: Option<String>,
}

/// How often a source logs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Hourly,
    Daily,
}

impl Expect {
    pub fn as_str(self) -> &'static str {
        match self {
            Expect::Hourly => "hourly",
            Expect::Daily => "daily",
        }
    }
}

/// One log file.
#[derive(Clone, Debug)]
pub struct InputCase {
    /// Relative to the case's folder.
    pub path: String,
    pub source: String,
    /// Always `twin` for now.
    pub format: String,
    /// `gzip`, `zstd` or none.
    pub compression: Option<&'static str>,
    pub byte_order_mark: bool,
    pub lines: Vec<LineCase>,
    /// Whether the last line ends with a line ending.
    pub finished: bool,
}

/// One line with what stands around it.
#[derive(Clone, PartialEq, Eq)]
pub struct LineCase {
    pub nuls_before: usize,
    pub content: Vec<u8>,
    pub nuls_after: usize,
    pub carriage_return: bool,
}

impl LineCase {
    /// A line of this text and nothing else.
    pub fn plain(text: &str) -> LineCase {
        LineCase {
            nuls_before: 0,
            content: text.as_bytes().to_vec(),
            nuls_after: 0,
            carriage_return: false,
        }
    }
}

impl fmt::Debug for LineCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.content))?;
        let around = (self.nuls_before, self.nuls_after, self.carriage_return);
        if around == (0, 0, false) { Ok(()) } else { write!(f, " (NULs, NULs, CR: {around:?})") }
    }
}

impl InputCase {
    /// A plain file of these lines.
    pub fn plain(path: &str, source: &str, lines: &[&str]) -> InputCase {
        InputCase {
            path: path.to_owned(),
            source: source.to_owned(),
            format: "twin".to_owned(),
            compression: None,
            byte_order_mark: false,
            lines: lines.iter().map(|text| LineCase::plain(text)).collect(),
            finished: true,
        }
    }

    /// The decompressed content.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        if self.byte_order_mark {
            bytes.extend(b"\xef\xbb\xbf");
        }
        for (i, line) in self.lines.iter().enumerate() {
            bytes.extend(vec![0; line.nuls_before]);
            bytes.extend(&line.content);
            let is_last = i + 1 == self.lines.len();
            // NULs before a carriage return would stand inside the line: they come with a bare newline only.
            if line.carriage_return {
                bytes.push(b'\r');
            } else {
                bytes.extend(vec![0; line.nuls_after]);
            }
            if !is_last || self.finished {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    /// The file as it lies.
    pub fn file(&self) -> Vec<u8> {
        let bytes = self.bytes();
        match self.compression {
            None => bytes,
            Some("gzip") => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            Some("zstd") => zstd::encode_all(bytes.as_slice(), 1).unwrap(),
            Some(other) => panic!("no such compression: {other}"),
        }
    }
}

impl Case {
    /// `overstay.toml`, as the case needs it. Its window and `as_known_at` are flags: [`Case::arguments`].
    pub fn config(&self) -> String {
        let mut config = String::new();
        if self.register.is_some() {
            config += "[register]\nsource = \"register\"\n";
            config += &format!("propagation_s = {}\n", self.propagation_s);
        }
        let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for input in &self.inputs {
            sources.entry(&input.source).or_default().push(&input.path);
        }
        for (source, paths) in sources {
            config += &format!("\n[[logs]]\nsource = {source:?}\npaths = {paths:?}\n");
            config += "format = \"twin\"\n";
            if let Some(expect) = self.expect.get(source) {
                config += &format!("expect = \"{}\"\n", expect.as_str());
            }
            if let Some(dedupe) = self.dedupe.get(source) {
                config += &format!("dedupe = {dedupe}\n");
            }
        }
        if self.new_network {
            config += "\n[anomaly]\nnew_network = true\n";
        }
        config + FORMAT
    }

    /// The flags that go with [`Case::config`].
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--max-rejects".to_owned(), "100%".to_owned()];
        let flags =
            [("--since", self.since), ("--until", self.until), ("--as-known-at", self.as_known_at)];
        for (flag, at) in flags {
            if let Some(at) = at {
                arguments.extend([flag.to_owned(), at.to_string()]);
            }
        }
        if let Some(partner) = &self.partner {
            arguments.extend(["--partner".to_owned(), partner.clone()]);
        }
        arguments
    }

    /// Writes config, register and logs into a folder that exists.
    pub fn write(&self, dir: &Path) {
        fs::write(dir.join("overstay.toml"), self.config()).unwrap();
        if let Some(register) = &self.register {
            fs::create_dir_all(dir.join("register")).unwrap();
            register.write_csv(&dir.join("register"));
        }
        for input in &self.inputs {
            let path = dir.join(&input.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, input.file()).unwrap();
        }
    }
}
