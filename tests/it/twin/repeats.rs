//! What becomes of each line of a case: the records and files that are repeats are told from those that count.
//!
//! Knows nothing of the register: who called, and whether they might, does not matter to a repeat.

use overstay::time::Instant;

use super::judge::Call;
use super::lines::{Line, blank, lines, parse};
use super::{Case, InputCase};

/// "Equal whole files of at least 1 KiB (decompressed)"
const FILE_BYTES_MIN: usize = 1024;

/// Where a line went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a few hundred at a time")]
pub enum Fate {
    Blank,
    /// With the reason.
    Rejected(&'static str),
    OutsideWindow,
    Duplicate,
    Counted(Box<Call>),
}

/// An input with the fate of each of its lines.
#[derive(Clone, Debug)]
pub struct Read<'a> {
    pub input: &'a InputCase,
    /// The path of the input that it repeats as a whole.
    pub repeats: Option<String>,
    pub gap_bytes: u64,
    pub lines: Vec<(Line, Fate)>,
}

/// All inputs "sorted by (path, source)".
pub fn read(case: &Case) -> Vec<Read<'_>> {
    let mut inputs: Vec<&InputCase> = case.inputs.iter().collect();
    inputs.sort_by_key(|input| (&input.path, &input.source));
    let mut read: Vec<Read> = Vec::new();
    for input in inputs {
        let repeats = repeated(&read, input);
        let (lines, gap_bytes) = lines(&input.bytes());
        let fate = |line: &Line| match &repeats {
            // "of the others: blank stays blank, everything else is `duplicates`"
            Some(_) if blank(&line.content) => Fate::Blank,
            Some(_) => Fate::Duplicate,
            None => fate(case, line),
        };
        let lines = lines.into_iter().map(|line| (line.clone(), fate(&line))).collect();
        read.push(Read { input, repeats, gap_bytes, lines });
    }
    count_repeated_records_once(case, &mut read);
    read
}

/// "Equal whole files of one source (decompressed content equal, at least 1 KiB): the first by path counts"
fn repeated(before: &[Read], input: &InputCase) -> Option<String> {
    let bytes = input.bytes();
    let is_same = |other: &&Read| {
        other.repeats.is_none()
            && other.input.source == input.source
            && other.input.bytes() == bytes
            && bytes.len() >= FILE_BYTES_MIN
    };
    before.iter().find(is_same).map(|other| other.input.path.clone())
}

/// That of a line taken by itself.
fn fate(case: &Case, line: &Line) -> Fate {
    if blank(&line.content) {
        return Fate::Blank;
    }
    match parse(&line.content) {
        Err(reason) => Fate::Rejected(reason),
        Ok(call) if outside(case, call.at) => Fate::OutsideWindow,
        Ok(call) => Fate::Counted(Box::new(call)),
    }
}

/// "Calls outside [--since, --until) are `outside_window`"
fn outside(case: &Case, at: Instant) -> bool {
    case.since.is_some_and(|since| at < since) || case.until.is_some_and(|until| at >= until)
}

/// "A record repeats another of the same source if both have a request_id and all call fields are equal …. The one that
/// counts is the first by (path of the input in report order, offset). The others are `duplicates` of their input."
fn count_repeated_records_once(case: &Case, read: &mut [Read]) {
    let mut counting: Vec<(String, Call)> = Vec::new();
    for read in read {
        let source = &read.input.source;
        if case.dedupe.get(source) != Some(&true) {
            continue;
        }
        for (_, fate) in &mut read.lines {
            let Fate::Counted(call) = fate else { continue };
            if call.request_id.is_none() {
                continue;
            }
            // The subject is compared as the line has it: where it has none, the path, which is equal too, gives it.
            if counting.iter().any(|(of, other)| of == source && *other == **call) {
                *fate = Fate::Duplicate;
            } else {
                counting.push((source.clone(), (**call).clone()));
            }
        }
    }
}
