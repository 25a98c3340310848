//! The bytes of one line → a call, or the reason why they are none. No I/O.
//!
//! In two steps: a module per format kind (`json`, `pattern`, `csv`, `ltsv`, `logfmt`, `regex`) is asked for names,
//! finds their values in a line and leaves each in a numbered slot; `fields` makes a call of the slots. A kind knows
//! nothing of calls, and the fields know nothing of kinds, so either can be added to or made faster alone.

pub(crate) mod csv;
mod directive;
pub(crate) mod escape;
pub(crate) mod fields;
pub(crate) mod instant;
pub(crate) mod json;
mod labels;
pub(crate) mod layout;
pub(crate) mod logfmt;
pub(crate) mod ltsv;
pub(crate) mod number;
pub(crate) mod pattern;
pub(crate) mod plain;
pub(crate) mod regex;
pub(crate) mod request;
mod shape;
pub(crate) mod shipped;
pub(crate) mod table;
pub(crate) mod w3c;

pub use shape::shape;

/// Which fields of a call whoever parses lines looks at. Those that nobody looks at may be left out of a call, also where
/// its line has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All, as whoever compares calls needs.
    #[default]
    Everything,
    /// All but those that no sum depends on: `actor`, `remote_addr`, `user_agent` and `request_id`.
    Sums,
}

/// What parsing a line needs besides the line: buffers that are reused from line to line.
///
/// A call may borrow from it, so each worker has its own.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One for each slot of the format.
    slots: Vec<Cell>,
    /// Candidates for slots, for kinds where several places may hold one value.
    candidates: Vec<Cell>,
    /// Decoded text, of values that are not in the line as they are.
    text: String,
    bytes: Vec<u8>,
    /// A record that a string of the line holds.
    record: String,
    /// The slot of each column that is asked for, where a log itself names its columns: as it did last. Empty before.
    pub(crate) columns: Vec<Option<usize>>,
    /// Where the groups of a regular expression lie, and of which plan's.
    groups: Option<(usize, ::regex::CaptureLocations)>,
    /// Layouts that were learned from lines before.
    pub(crate) layouts: layout::Learned,
}

impl Scratch {
    /// A scratch for calls of which only these fields are looked at.
    pub fn wanting(wanted: Wanted) -> Scratch {
        Scratch { layouts: layout::Learned::wanting(wanted), ..Scratch::default() }
    }

    /// A scratch with which every line goes to the parser of its kind, whatever the lines before it were: the judge of
    /// layouts in tests and benchmarks.
    pub fn without_layouts() -> Scratch {
        Scratch { layouts: layout::Learned::none(), ..Scratch::default() }
    }

    /// The value of a cell.
    fn value<'a>(&'a self, line: &'a str, cell: Cell) -> Option<&'a str> {
        match cell {
            Cell::Absent => None,
            Cell::Line { start, end } => line.get(start as usize..end as usize),
            Cell::Text { start, end } => self.text.get(start as usize..end as usize),
        }
    }

    /// Fills a slot with the values of others, a blank between; absent if one of them is.
    fn join(&mut self, line: &str, slot: usize, parts: &[usize]) {
        let values: Option<Vec<&str>> =
            parts.iter().map(|&part| self.value(line, self.slots[part])).collect();
        let joined = values.map(|values| values.join(" "));
        self.slots[slot] = match joined {
            Some(joined) => {
                let begin = self.text.len();
                self.text.push_str(&joined);
                Cell::decoded(&self.text, begin)
            }
            None => Cell::Absent,
        };
    }
}

/// A name that a format asks a kind for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// A field of the log, as the kind names it.
    Field(&'a str),
    /// A request header, by its name in any case.
    Header(&'a str),
}

/// Where a value is. Offsets are `u32`, since no line is longer than [`crate::limits::LINE_BYTES_MAX`]
/// and decoding never makes it longer than thrice that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Nowhere: missing, empty, null or `-`.
    #[default]
    Absent,
    /// In the line as it is.
    Line { start: u32, end: u32 },
    /// In the scratch's decoded text.
    Text { start: u32, end: u32 },
}

impl Cell {
    /// The cell of a value that stands in the line as it is.
    #[inline]
    fn in_line(line: &str, start: usize, end: usize) -> Cell {
        let is_absent =
            end <= start || (end - start == 1 && line.as_bytes().get(start) == Some(&b'-'));
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) if !is_absent => Cell::Line { start, end },
            _ => Cell::Absent,
        }
    }

    /// The cell of the value that was decoded to the end of `text`, from `start` on.
    fn decoded(text: &str, start: usize) -> Cell {
        match (&text[start..], u32::try_from(start), u32::try_from(text.len())) {
            ("" | "-", ..) => Cell::Absent,
            (_, Ok(start), Ok(end)) => Cell::Text { start, end },
            _ => Cell::Absent,
        }
    }
}

/// The values of one line, by slot.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    line: &'a str,
    text: &'a str,
    slots: &'a [Cell],
}

impl<'a> Values<'a> {
    /// The values that a kind left in the scratch.
    pub(crate) fn new(line: &'a str, scratch: &'a Scratch) -> Values<'a> {
        Values { line, text: &scratch.text, slots: &scratch.slots }
    }

    /// The line.
    fn line(&self) -> &'a str {
        self.line
    }

    /// The value in a slot; never empty and never `-`.
    #[inline]
    fn get(&self, slot: usize) -> Option<&'a str> {
        match self.slots.get(slot)? {
            Cell::Absent => None,
            Cell::Line { start, end } => self.line.get(*start as usize..*end as usize),
            Cell::Text { start, end } => self.text.get(*start as usize..*end as usize),
        }
    }
}
