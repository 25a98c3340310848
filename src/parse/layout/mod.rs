//! The layout of a log's lines, learned from one of them.
//!
//! Logs are written by programs, so the names in a line come in the order of the line before. A layout is the bytes
//! between the values of one line, and what each value may be. Another line that has the same bytes there is read by
//! comparing them in place and looking for the ends of the values, without asking what any name is. Any surprise sends the
//! line, whole, to the parser of its kind, which alone decides what a line says: a layout may be faster, never different.

mod scan;

use std::sync::Arc;

use crate::call::{Call, Reason};
use crate::limits::LAYOUTS_KEPT_MAX;
use crate::parse::escape::unescape_json;
use crate::parse::fields::Fields;
use crate::parse::plain::Plain;
use crate::parse::{Cell, Scratch, Values, Wanted};

use scan::Quotes;
pub(crate) use scan::json_scalar_end;

/// A stretch of bytes that every line of a layout has.
#[derive(Debug)]
pub(crate) struct Literal {
    bytes: Box<[u8]>,
    /// Its first bytes, as many as a word holds, and which bits of the word they take.
    head: u128,
    mask: u128,
    /// Its last bytes, if it is longer than one word and not than two.
    tail: Option<u128>,
}

const WORD: usize = size_of::<u128>();

impl Literal {
    pub(crate) fn new(bytes: &[u8]) -> Literal {
        let (mut head, mut mask) = ([0; WORD], [0; WORD]);
        for (i, byte) in bytes.iter().take(WORD).enumerate() {
            (head[i], mask[i]) = (*byte, 0xff);
        }
        let (head, mask) = (u128::from_le_bytes(head), u128::from_le_bytes(mask));
        let is_of_two = (WORD + 1..=2 * WORD).contains(&bytes.len());
        let tail = bytes.last_chunk().filter(|_| is_of_two).copied().map(u128::from_le_bytes);
        Literal { bytes: bytes.into(), head, mask, tail }
    }

    /// Where it ends in a line, if it begins at `at`.
    #[inline(always)]
    fn end(&self, line: &[u8], at: usize) -> Option<usize> {
        let end = at + self.bytes.len();
        // Nearly every literal fits two words; a call to compare memory would cost more than the comparison.
        let word = |at: usize| line.get(at..)?.first_chunk().copied().map(u128::from_le_bytes);
        let Some(first) = word(at) else {
            return line.get(at..)?.starts_with(&self.bytes).then_some(end);
        };
        if (first ^ self.head) & self.mask != 0 {
            return None;
        }
        let fits = match self.tail {
            _ if self.bytes.len() <= WORD => true,
            Some(tail) => word(end - WORD) == Some(tail),
            None => line[at..].starts_with(&self.bytes),
        };
        fits.then_some(end)
    }
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What is between the quotes of a JSON string (RFC 8259, section 7).
    JsonString,
    /// A JSON number, `true`, `false` or `null`.
    JsonScalar,
    /// Anything up to the first such byte, which is so many bytes from the beginning of the literal behind it; without
    /// another byte in it.
    Until { byte: u8, back: usize, without: u8 },
    /// Anything up to the first blank that ends in `Z`.
    Zulu,
    /// All there is, without these bytes in it, if it does not end in a blank.
    Rest { without: [u8; 2] },
}

/// What every line of a layout lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacks {
    /// Nothing: its values say what they may hold.
    Nothing,
    /// Backslashes and control characters.
    Escapes,
    /// These, and DEL.
    EscapesAndDelete,
    /// NULs and carriage returns.
    NulsAndReturns,
}

/// A value, and the bytes before it.
#[derive(Debug)]
struct Element {
    literal: Literal,
    kind: Kind,
    /// Whether anybody asked for it.
    wanted: bool,
}

/// The bytes between the values of a line, and where its values go.
#[derive(Debug)]
pub(crate) struct Layout {
    elements: Vec<Element>,
    /// After the last value.
    tail: Literal,
    /// For each slot of the format the elements that may fill it, the one that counts first in front.
    slots: Vec<Vec<usize>>,
    /// Slots that several elements may fill. Their cells are behind those of the elements.
    several: Vec<Vec<usize>>,
    lacks: Lacks,
}

impl Layout {
    /// The layout of these values, each with the bytes before it.
    pub(crate) fn new(
        elements: impl IntoIterator<Item = (Literal, Kind)>,
        tail: Literal,
        slots: Vec<Vec<usize>>,
    ) -> Layout {
        let elements = elements.into_iter();
        let elements =
            elements.map(|(literal, kind)| Element { literal, kind, wanted: false }).collect();
        Layout { elements, tail, slots, several: Vec::new(), lacks: Lacks::Nothing }
    }

    /// The same for lines only that lack something.
    pub(crate) fn lacking(self, lacks: Lacks) -> Layout {
        Layout { lacks, ..self }
    }

    /// Asks for the value of a slot: the cell in which [`Layout::fill`] leaves it, if these lines have it.
    pub(crate) fn ask(&mut self, slot: usize) -> Option<usize> {
        let of_slot = self.slots.get(slot)?;
        for &element in of_slot {
            self.elements[element].wanted = true;
        }
        match of_slot.as_slice() {
            [] => None,
            [element] => Some(*element),
            several => {
                let known = self.several.iter().position(|known| known == several);
                let index = known.unwrap_or_else(|| {
                    self.several.push(several.to_vec());
                    self.several.len() - 1
                });
                Some(self.elements.len() + index)
            }
        }
    }

    /// Fills cells from a line that has this layout from `start` on, decoding into `text`. False if it has not: then they
    /// hold nothing of use.
    fn fill(&self, line: &str, start: usize, cells: &mut Vec<Cell>, text: &mut String) -> bool {
        text.clear();
        // The cells of values that nobody asked for keep what they had, which nobody looks at.
        let count = self.elements.len() + self.several.len();
        if cells.len() != count {
            cells.clear();
            cells.resize(count, Cell::Absent);
        }
        let bytes = line.as_bytes();
        let fits = match self.lacks {
            // Where no byte has to be looked at twice, all quotes are found at once.
            Lacks::Nothing => match Quotes::of(bytes) {
                Some(quotes) => {
                    self.walk(line, start, cells, text, |_, at| Some((quotes.next(at)?, false)))
                }
                None => self.walk(line, start, cells, text, scan::json_string_end),
            },
            lacks => {
                let lacks_them = match lacks {
                    Lacks::NulsAndReturns => memchr::memchr2(0, b'\r', bytes).is_none(),
                    Lacks::EscapesAndDelete => {
                        memchr::memchr(0x7f, bytes).is_none() && scan::lacks_escapes(bytes)
                    }
                    _ => scan::lacks_escapes(bytes),
                };
                lacks_them && self.walk(line, start, cells, text, |_, _| None)
            }
        };
        if !fits {
            return false;
        }
        for (i, several) in self.several.iter().enumerate() {
            let mut present = several.iter().map(|&element| cells[element]);
            let first = present.find(|cell| *cell != Cell::Absent).unwrap_or_default();
            cells[self.elements.len() + i] = first;
        }
        true
    }

    /// `string_end` says where a string ends, and whether there are escapes in it.
    #[inline(always)]
    fn walk(
        &self,
        line: &str,
        start: usize,
        cells: &mut [Cell],
        text: &mut String,
        string_end: impl Fn(&[u8], usize) -> Option<(usize, bool)>,
    ) -> bool {
        let bytes = line.as_bytes();
        let mut at = start;
        for (element, cell) in self.elements.iter().zip(cells) {
            let Some(begin) = element.literal.end(bytes, at) else { return false };
            match element.kind {
                Kind::JsonString => {
                    let Some((end, escaped)) = string_end(bytes, begin) else {
                        return false;
                    };
                    at = end;
                    if element.wanted {
                        *cell = if escaped {
                            let start = text.len();
                            unescape_json(&line[begin..end], text);
                            Cell::decoded(text, start)
                        } else {
                            Cell::in_line(line, begin, end)
                        };
                    }
                }
                Kind::Until { .. } | Kind::Zulu | Kind::Rest { .. } => {
                    let end = match element.kind {
                        Kind::Until { byte, back, without } => {
                            let found = scan::find(bytes, begin, byte, without);
                            found.and_then(|found| found.checked_sub(back))
                        }
                        Kind::Zulu => scan::find(bytes, begin, b' ', b' ')
                            .filter(|&end| bytes[..end].last() == Some(&b'Z')),
                        Kind::Rest { without: [a, b] } => {
                            let is_whole = !matches!(bytes.last(), Some(b' ' | b'\t'))
                                && memchr::memchr2(a, b, &bytes[begin..]).is_none();
                            is_whole.then_some(bytes.len())
                        }
                        _ => None,
                    };
                    let Some(end) = end.filter(|end| *end >= begin) else { return false };
                    at = end;
                    if element.wanted {
                        *cell = Cell::in_line(line, begin, end);
                    }
                }
                Kind::JsonScalar => {
                    let Some(end) = scan::json_scalar_end(bytes, begin) else { return false };
                    at = end;
                    if element.wanted {
                        *cell = match bytes[begin] {
                            b'n' => Cell::Absent,
                            _ => Cell::in_line(line, begin, end),
                        };
                    }
                }
            }
        }
        self.tail.end(bytes, at) == Some(bytes.len())
    }
}

/// Where the inner part of a JSON string ends that begins at `begin`, if it is one.
pub(crate) fn json_string_end(bytes: &[u8], begin: usize) -> Option<usize> {
    scan::json_string_end(bytes, begin).map(|(end, _)| end)
}

/// How sure it may become that the next line has one of the layouts.
const TRUST_MAX: i32 = 64;

/// Of lines that hardly ever have one of the layouts, every so many-th is tried.
const RETRY_LINES: u32 = 64;

/// For so many lines that have none of the layouts one more may be learned. To learn one takes as long as to parse some
/// twenty of them.
const LINES_PER_LESSON: u32 = 256;

/// Lessons that may be taken at once.
const LESSONS_MAX: u32 = LAYOUTS_KEPT_MAX as u32;

/// The layouts of the lines before, that of the last one in front.
#[derive(Debug)]
pub(crate) struct Learned {
    kept: Vec<Known>,
    wanted: Wanted,
    /// Falls with each line that has none of the layouts, and rises by two with each that has one. Below 0 most lines are not
    /// tried: where hardly any has one, trying costs next to nothing.
    trust: i32,
    /// Lines not tried since one was.
    untried: u32,
    /// How many more layouts may be learned now.
    lessons: u32,
    /// Lines since there was one more.
    lines: u32,
    is_off: bool,
    #[cfg(test)]
    taken: u32,
}

/// A layout, and what its values mean.
#[derive(Debug)]
struct Known {
    /// Of which format.
    format: Arc<()>,
    layout: Layout,
    fields: Fields,
    plain: Option<Plain>,
}

impl Default for Learned {
    fn default() -> Learned {
        Learned::wanting(Wanted::Everything)
    }
}

impl Learned {
    /// None yet, for calls of which these fields are wanted.
    pub(crate) fn wanting(wanted: Wanted) -> Learned {
        Learned {
            kept: Vec::new(),
            wanted,
            trust: 0,
            untried: 0,
            lessons: LESSONS_MAX,
            lines: 0,
            is_off: false,
            #[cfg(test)]
            taken: 0,
        }
    }

    /// None, ever.
    pub(crate) fn none() -> Learned {
        Learned { is_off: true, ..Learned::default() }
    }

    /// How often something was learned.
    #[cfg(test)]
    pub(crate) fn lessons_taken(&self) -> u32 {
        self.taken
    }

    /// The call of the values that the layout found last was filled with; only where one was.
    ///
    /// # Errors
    ///
    /// As [`Fields::call`].
    #[inline]
    pub(crate) fn call<'a>(&'a self, values: Values<'a>) -> Result<Call<'a>, Reason> {
        let Known { fields, plain, .. } = &self.kept[0];
        match plain.as_ref().and_then(|plain| plain.call(values)) {
            Some(call) => Ok(call),
            None => fields.call(values),
        }
    }

    /// Whether a line of that format has one of the layouts, its record beginning at `start`. Then the cells are filled, and
    /// [`Learned::call`] says what they mean.
    #[inline]
    fn find(
        &mut self,
        format: &Arc<()>,
        line: &str,
        start: usize,
        cells: &mut Vec<Cell>,
        text: &mut String,
    ) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        if self.trust < 0 {
            self.untried += 1;
            if self.untried < RETRY_LINES {
                return false;
            }
            self.untried = 0;
        }
        let fits = |known: &Known| {
            Arc::ptr_eq(&known.format, format) && known.layout.fill(line, start, cells, text)
        };
        let found = self.kept.iter().position(fits);
        match found {
            Some(index) => {
                self.kept[..=index].rotate_right(1);
                self.trust = (self.trust + 2).min(TRUST_MAX);
            }
            // One line that has one again is enough to try the next.
            None => self.trust = (self.trust - 1).max(-1),
        }
        found.is_some()
    }

    /// Whether it is time to learn from a line that has none of the layouts.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.lines += 1;
        if self.lines >= LINES_PER_LESSON {
            self.lines = 0;
            self.lessons = (self.lessons + 1).min(LESSONS_MAX);
        }
        self.lessons > 0 && !self.is_off
    }

    /// Takes note that a line was learned from, whatever came of it.
    pub(crate) fn learn(&mut self, format: &Arc<()>, fields: &Fields, layout: Option<Layout>) {
        self.lessons -= 1;
        #[cfg(test)]
        {
            self.taken += 1;
        }
        let Some(mut layout) = layout else { return };
        let Some(fields) = fields.within(&mut layout, self.wanted) else { return };
        self.kept.truncate(LAYOUTS_KEPT_MAX - 1);
        let plain = Plain::new(&fields);
        self.kept.insert(0, Known { format: Arc::clone(format), layout, fields, plain });
        self.trust = self.trust.max(0);
    }
}

impl Scratch {
    /// See [`Learned::find`].
    #[inline]
    pub(crate) fn has_layout(&mut self, format: &Arc<()>, line: &str, start: usize) -> bool {
        let Scratch { layouts, slots, text, .. } = self;
        layouts.find(format, line, start, slots, text)
    }
}
