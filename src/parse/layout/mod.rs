//! The layout of a log's lines, learned from one of them.
//!
//! Logs are written by programs, so the names in a line come in the order of the line before. A layout is the bytes
//! between the values of one line, and what each value may be. Another line that has the same bytes there is read by
//! comparing them in place and looking for the ends of the values, without asking what any name is. Any surprise sends the
//! line, whole, to the parser of its kind, which alone decides what a line says: a layout may be faster, never different.

mod scan;

use std::sync::Arc;

use crate::call::{Parsed, Reason};
use crate::limits::LAYOUTS_KEPT_MAX;
use crate::parse::escape::unescape_json;
use crate::parse::fields::Fields;
use crate::parse::plain::{Goal, Plain, PlainValues};
use crate::parse::{Cell, Scratch, Values, Wanted};
use crate::word;

use scan::Quotes;
pub(crate) use scan::json_scalar_end;

/// A stretch of bytes that every line of a layout has.
#[derive(Debug)]
pub(crate) struct Literal {
    bytes: Box<[u8]>,
    /// Its first bytes, as many as a word holds.
    head: u128,
    /// Which bits of the word they take.
    mask: u128,
    /// Its last bytes, if it is longer than one word and not than two.
    tail: Option<u128>,
}

impl Literal {
    pub(crate) fn new(bytes: &[u8]) -> Literal {
        let mut head = [0; word::LONG];
        for (head, byte) in head.iter_mut().zip(bytes) {
            *head = *byte;
        }
        let (head, mask) = (u128::from_le_bytes(head), word::FIRST[bytes.len().min(word::LONG)]);
        let is_of_two = (word::LONG + 1..=2 * word::LONG).contains(&bytes.len());
        let tail = bytes.last_chunk().filter(|_| is_of_two).copied().map(u128::from_le_bytes);
        Literal { bytes: bytes.into(), head, mask, tail }
    }

    /// Where it ends in a line, if it begins at `at`.
    #[inline(always)]
    fn end(&self, line: &[u8], at: usize) -> Option<usize> {
        let length = self.bytes.len();
        let end = at + length;
        // Nearly every literal fits two words.
        let fits = match (word::long_at(line, at), self.tail) {
            (Some(first), _) if (first ^ self.head) & self.mask != 0 => false,
            (Some(_), _) if length <= word::LONG => end <= line.len(),
            (Some(_), Some(tail)) => {
                end <= line.len() && word::long_at(line, end - word::LONG) == Some(tail)
            }
            _ => line.get(at..)?.starts_with(&self.bytes),
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

impl Kind {
    /// Where a value of a kind that is none of JSON's ends.
    #[inline(always)]
    fn end(&self, bytes: &[u8], begin: usize) -> Option<usize> {
        match *self {
            Kind::JsonString | Kind::JsonScalar => None,
            Kind::Until { byte, back, without } => {
                scan::find(bytes, begin, byte, without)?.checked_sub(back)
            }
            Kind::Zulu => {
                let end = scan::find(bytes, begin, b' ', b' ')?;
                (bytes[..end].last() == Some(&b'Z')).then_some(end)
            }
            Kind::Rest { without: [a, b] } => {
                let is_whole = !matches!(bytes.last(), Some(b' ' | b'\t'))
                    && memchr::memchr2(a, b, &bytes[begin..]).is_none();
                is_whole.then_some(bytes.len())
            }
        }
    }
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
    /// What a plain line is read for.
    goal: Goal,
}

/// Takes the values of a line, one after the other.
trait Sink {
    /// Takes the value of the element of that index. False if it is refused.
    fn take(&mut self, element: &Element, index: usize, line: &str, value: Value) -> bool;
}

/// What stands in a line from byte to byte.
#[derive(Clone, Copy, Debug)]
struct Value {
    begin: usize,
    end: usize,
    /// Whether it is a string's inner part with escapes in it.
    is_escaped: bool,
}

/// Leaves the values that are wanted in cells.
struct Filler<'s> {
    cells: &'s mut [Cell],
    text: &'s mut String,
}

impl Sink for Filler<'_> {
    #[inline(always)]
    fn take(&mut self, element: &Element, index: usize, line: &str, value: Value) -> bool {
        let Value { begin, end, is_escaped } = value;
        if element.wanted {
            self.cells[index] = if is_escaped {
                let start = self.text.len();
                unescape_json(&line[begin..end], self.text);
                Cell::decoded(self.text, start)
            } else {
                Cell::in_line(line, begin, end)
            };
        }
        true
    }
}

/// Reads the values of a plain line for what they are.
struct Reader<'s> {
    plain: &'s Plain,
    plain_values: &'s mut PlainValues,
}

impl Sink for Reader<'_> {
    #[inline(always)]
    fn take(&mut self, element: &Element, _: usize, line: &str, value: Value) -> bool {
        let Value { begin, end, is_escaped } = value;
        !is_escaped && self.plain.read(element.goal, line, begin, end, self.plain_values)
    }
}

/// What came of walking along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walked {
    /// It has another layout.
    Misfit,
    /// The sink refused a value.
    Refused,
    /// All values were taken.
    Whole,
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
        let elements = elements
            .map(|(literal, kind)| Element { literal, kind, wanted: false, goal: Goal::None })
            .collect();
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

    /// Says what values are read for, those of the first slots of [`Layout::ask`].
    fn aim(&mut self, goals: Vec<Goal>) {
        for (element, goal) in self.elements.iter_mut().zip(goals) {
            element.goal = goal;
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
        let fits = match self.lacks {
            Lacks::Nothing => {
                let mut filler = Filler { cells, text };
                self.walk(line, start, scan::json_string_end, &mut filler)
            }
            _ if !self.lacks_all(line) => Walked::Misfit,
            _ => self.walk(line, start, |_, _| None, &mut Filler { cells, text }),
        };
        if fits != Walked::Whole {
            return false;
        }
        for (i, several) in self.several.iter().enumerate() {
            let mut present = several.iter().map(|&element| cells[element]);
            let first = present.find(|cell| *cell != Cell::Absent).unwrap_or_default();
            cells[self.elements.len() + i] = first;
        }
        true
    }

    /// Reads a plain line that has this layout from `start` on. [`Walked::Refused`] also where whether it has
    /// was not seen.
    fn read(
        &self,
        plain: &Plain,
        line: &str,
        start: usize,
        plain_values: &mut PlainValues,
    ) -> Walked {
        *plain_values = PlainValues::default();
        let walked = match self.lacks {
            // Where no byte has to be looked at twice, all quotes are found at once.
            Lacks::Nothing => match Quotes::of(line.as_bytes()) {
                Some(quotes) => {
                    let string_end = |_: &[u8], at| Some((quotes.next(at)?, false));
                    self.walk(line, start, string_end, &mut Reader { plain, plain_values })
                }
                None => Walked::Refused,
            },
            _ if !self.lacks_all(line) => Walked::Misfit,
            _ => self.walk(line, start, |_, _| None, &mut Reader { plain, plain_values }),
        };
        match walked {
            Walked::Whole if !plain.complete(line, plain_values) => Walked::Refused,
            walked => walked,
        }
    }

    /// Whether a line lacks what every line of this layout lacks.
    fn lacks_all(&self, line: &str) -> bool {
        let bytes = line.as_bytes();
        match self.lacks {
            Lacks::Nothing => true,
            Lacks::Escapes => scan::lacks_escapes(bytes),
            Lacks::EscapesAndDelete => {
                memchr::memchr(0x7f, bytes).is_none() && scan::lacks_escapes(bytes)
            }
            Lacks::NulsAndReturns => memchr::memchr2(0, b'\r', bytes).is_none(),
        }
    }

    /// Walks along a line from `start` on, literal by literal, and hands over each value when its end is found. `string_end`
    /// says where a string ends, and whether there are escapes in it.
    #[inline(always)]
    fn walk(
        &self,
        line: &str,
        start: usize,
        string_end: impl Fn(&[u8], usize) -> Option<(usize, bool)>,
        sink: &mut impl Sink,
    ) -> Walked {
        let bytes = line.as_bytes();
        let mut at = start;
        for (index, element) in self.elements.iter().enumerate() {
            let Some(begin) = element.literal.end(bytes, at) else { return Walked::Misfit };
            let mut is_escaped = false;
            let end = match element.kind {
                Kind::JsonString => {
                    let Some((end, escaped)) = string_end(bytes, begin) else {
                        return Walked::Misfit;
                    };
                    (at, is_escaped) = (end, escaped);
                    end
                }
                Kind::JsonScalar => {
                    let Some(end) = scan::json_scalar_end(bytes, begin) else {
                        return Walked::Misfit;
                    };
                    at = end;
                    // A `null` is absent, as an empty text is.
                    if bytes[begin] == b'n' { begin } else { end }
                }
                ref other => {
                    let Some(end) = other.end(bytes, begin).filter(|end| *end >= begin) else {
                        return Walked::Misfit;
                    };
                    at = end;
                    end
                }
            };
            if !sink.take(element, index, line, Value { begin, end, is_escaped }) {
                return Walked::Refused;
            }
        }
        match self.tail.end(bytes, at) {
            Some(end) if end == bytes.len() => Walked::Whole,
            _ => Walked::Misfit,
        }
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
    kept: Vec<Kept>,
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
    /// Of the line that was found last, if that is plain; else its values are in cells.
    plain_values: Option<PlainValues>,
    #[cfg(test)]
    taken: u32,
}

/// A layout, and what its values mean.
#[derive(Debug)]
struct Kept {
    /// Of which format.
    format: Arc<()>,
    layout: Layout,
    fields: Fields,
    plain: Option<Plain>,
    /// Rises with each line that is not plain, and falls with each that is; up to [`ODD_MAX`]. Then most lines are taken to
    /// be odd without being tried.
    odd: u32,
    /// Lines taken so since one was tried.
    untried: u32,
}

/// So many more lines of a layout that are not plain than such as are.
const ODD_MAX: u32 = 64;

impl Kept {
    /// Whether a line has the layout: then its values are read, or the cells are filled.
    #[inline]
    fn find(
        &mut self,
        line: &str,
        start: usize,
        plain_values: &mut Option<PlainValues>,
        cells: &mut Vec<Cell>,
        text: &mut String,
    ) -> bool {
        self.untried = self.untried.saturating_add(1);
        let is_tried = self.odd < ODD_MAX || self.untried >= RETRY_LINES;
        if let Some(plain) = self.plain.as_ref().filter(|_| is_tried) {
            self.untried = 0;
            let walked = self.layout.read(
                plain,
                line,
                start,
                plain_values.get_or_insert_with(PlainValues::default),
            );
            match walked {
                Walked::Misfit => return false,
                Walked::Whole => {
                    self.odd = self.odd.saturating_sub(1);
                    return true;
                }
                Walked::Refused => self.odd = (self.odd + 1).min(ODD_MAX),
            }
        }
        *plain_values = None;
        self.layout.fill(line, start, cells, text)
    }
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
            plain_values: None,
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
    pub(crate) fn call<'a>(&'a self, values: Values<'a>) -> Result<Parsed<'a>, Reason> {
        let Kept { fields, plain, .. } = &self.kept[0];
        let read = plain.as_ref().zip(self.plain_values.as_ref());
        match read.and_then(|(plain, plain_values)| plain.brief(values.line(), plain_values)) {
            Some(brief) => Ok(Parsed::Brief(brief)),
            None => fields.call(values).map(Parsed::Whole),
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
        let plain_values = &mut self.plain_values;
        let fits = |known: &mut Kept| {
            Arc::ptr_eq(&known.format, format) && known.find(line, start, plain_values, cells, text)
        };
        let found = self.kept.iter_mut().position(fits);
        match found {
            Some(0) => self.trust = (self.trust + 2).min(TRUST_MAX),
            Some(index) => {
                self.kept[..=index].rotate_right(1);
                self.trust = (self.trust + 2).min(TRUST_MAX);
            }
            // One line that has one again is enough to try the next.
            None => self.trust = (self.trust - 1).max(-1),
        }
        found.is_some()
    }

    /// Forgets the layouts of a format.
    pub(crate) fn forget(&mut self, format: &Arc<()>) {
        self.kept.retain(|known| !Arc::ptr_eq(&known.format, format));
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
        let plain = Plain::new(&fields, layout.elements.len()).map(|(plain, goals)| {
            layout.aim(goals);
            plain
        });
        let format = Arc::clone(format);
        self.kept.insert(0, Kept { format, layout, fields, plain, odd: 0, untried: 0 });
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
