//! The lines of a piece of a log: where each begins, what of it is content, what is a gap.
//!
//! Knows nothing of files, compression or formats. What a line is must not depend on how a log was
//! read or cut; the tests hold every way of reading to one naive splitter.

use memchr::memchr;

use crate::limits::LONG_LINE_HEAD_BYTES;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing but spaces and tabs.
    Blank,
    /// A line that may be a call.
    Content {
        /// Of its first byte, in the decompressed input, from 0; after a byte order mark and leading NULs.
        offset: u64,
        /// Without line ending and without NULs at either end; never empty.
        bytes: &'a [u8],
    },
    /// A line longer than [`crate::limits::LINE_BYTES_MAX`].
    TooLong {
        /// As in `Content`.
        offset: u64,
        /// Of its content, in bytes.
        length: u64,
        /// The first bytes of its content: all that is kept of it.
        head: &'a [u8],
    },
}

/// A run of whole lines of one input: it begins where a line begins and ends where one ends.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Rises in file order; some numbers may be left out.
    pub index: usize,
    /// Of the piece's first byte, in the decompressed input, from 0.
    pub offset: u64,
    /// NULs before the first byte that belong to the gap before its first line.
    pub(super) gap_bytes: u64,
    pub(super) bytes: &'a [u8],
    pub(super) line_bytes_max: usize,
    /// Set if the piece is one line of which `bytes` is only the beginning.
    pub(super) long: Option<Long>,
    /// The last directive before the piece, where there are any; see [`super::Framing`].
    pub directive: Option<&'a [u8]>,
    /// Whether NULs are gaps.
    pub(super) has_gaps: bool,
}

impl<'a> Piece<'a> {
    /// All its bytes: the first byte of a line lies as far from the first of these as their offsets are apart.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The lines, in order.
    pub fn lines(&self) -> Lines<'a> {
        Lines {
            rest: self.bytes,
            offset: self.offset,
            gap_bytes: self.gap_bytes,
            line_bytes_max: self.line_bytes_max,
            long: self.long,
            has_gaps: self.has_gaps,
        }
    }
}

/// Iterates over the lines of a [`Piece`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    /// Of `rest`.
    offset: u64,
    gap_bytes: u64,
    line_bytes_max: usize,
    long: Option<Long>,
    has_gaps: bool,
}

impl Lines<'_> {
    /// NULs found so far at either end of lines, and in a stretch of them that no newline ends.
    /// That of the whole piece once the iterator has given `None`.
    pub fn gap_bytes(&self) -> u64 {
        if self.has_gaps { self.gap_bytes } else { 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if let Some(long) = self.long.take() {
            let kept = std::mem::take(&mut self.rest);
            self.gap_bytes += long.gap_bytes();
            return Some(long.line(self.offset, kept, self.line_bytes_max));
        }
        if self.rest.is_empty() {
            return None;
        }
        let newline = memchr(b'\n', self.rest);
        let (mut content, rest) = match newline {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, &[][..]),
        };
        let mut offset = self.offset;
        self.offset += (self.rest.len() - rest.len()) as u64;
        self.rest = rest;

        if content.first() == Some(&0) || content.last() == Some(&0) {
            let leading = leading_nuls(content);
            let trailing = trailing_nuls(&content[leading..]);
            self.gap_bytes += (leading + trailing) as u64;
            offset += leading as u64;
            content = &content[leading..content.len() - trailing];
            if content.is_empty() && newline.is_none() {
                return None;
            }
        }
        if content.last() == Some(&b'\r') {
            content = &content[..content.len() - 1];
        }
        Some(if content.iter().all(|byte| is_blank(*byte)) {
            Line::Blank
        } else if content.len() > self.line_bytes_max {
            Line::TooLong {
                offset,
                length: content.len() as u64,
                head: head(content, self.line_bytes_max),
            }
        } else {
            Line::Content { offset, bytes: content }
        })
    }
}

/// What is remembered of a line that does not fit a buffer while its bytes pass by.
///
/// Positions count from the first byte of the line, which is no NUL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Long {
    /// Bytes seen, NULs included, without the newline.
    seen: u64,
    /// After the last byte that is no NUL.
    end: u64,
    /// Whether that byte is a carriage return.
    ends_in_return: bool,
    /// Position of the first byte that is neither space nor tab.
    first_nonblank: Option<u64>,
}

impl Long {
    pub(super) fn new() -> Long {
        Long { seen: 0, end: 0, ends_in_return: false, first_nonblank: None }
    }

    /// Takes note of the next bytes of the line.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.first_nonblank.is_none() {
            let at = bytes.iter().position(|byte| !is_blank(*byte));
            self.first_nonblank = at.map(|at| self.seen + at as u64);
        }
        let kept = bytes.len() - trailing_nuls(bytes);
        if let Some(last) = bytes[..kept].last() {
            self.end = self.seen + kept as u64;
            self.ends_in_return = *last == b'\r';
        }
        self.seen += bytes.len() as u64;
    }

    /// Bytes seen so far, without the newline.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    fn gap_bytes(&self) -> u64 {
        self.seen - self.end
    }

    /// The line, of which `kept` is the beginning: all of it or at least `line_bytes_max` bytes.
    fn line<'a>(&self, offset: u64, kept: &'a [u8], line_bytes_max: usize) -> Line<'a> {
        let length = self.end - u64::from(self.ends_in_return);
        if self.first_nonblank.is_none_or(|at| at >= length) {
            return Line::Blank;
        }
        match usize::try_from(length) {
            Ok(length) if length <= line_bytes_max => {
                Line::Content { offset, bytes: &kept[..length] }
            }
            _ => Line::TooLong { offset, length, head: head(kept, line_bytes_max) },
        }
    }
}

fn head(content: &[u8], line_bytes_max: usize) -> &[u8] {
    &content[..content.len().min(line_bytes_max).min(LONG_LINE_HEAD_BYTES)]
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// How many NULs `bytes` begins with. A gap may be gigabytes long, so it goes by blocks.
pub(super) fn leading_nuls(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks_exact(NUL_BLOCK).take_while(|block| is_nul(block)).count();
    let start = blocks * NUL_BLOCK;
    start + bytes[start..].iter().take_while(|byte| **byte == 0).count()
}

fn trailing_nuls(bytes: &[u8]) -> usize {
    let blocks = bytes.rchunks_exact(NUL_BLOCK).take_while(|block| is_nul(block)).count();
    let end = bytes.len() - blocks * NUL_BLOCK;
    blocks * NUL_BLOCK + bytes[..end].iter().rev().take_while(|byte| **byte == 0).count()
}

const NUL_BLOCK: usize = 256;

fn is_nul(block: &[u8]) -> bool {
    block.iter().fold(0, |all, byte| all | byte) == 0
}

#[cfg(test)]
pub(super) mod naive {
    //! The slow obvious splitter: the judge of all ways of reading.

    /// A line with bytes of its own. A blank one has neither offset nor bytes.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(in super::super) enum Owned {
        Blank,
        Content(u64, Vec<u8>),
        TooLong(u64, u64, Vec<u8>),
    }

    impl From<super::Line<'_>> for Owned {
        fn from(line: super::Line<'_>) -> Owned {
            match line {
                super::Line::Blank => Owned::Blank,
                super::Line::Content { offset, bytes } => Owned::Content(offset, bytes.to_vec()),
                super::Line::TooLong { offset, length, head } => {
                    Owned::TooLong(offset, length, head.to_vec())
                }
            }
        }
    }

    /// The lines and the gap bytes of a whole decompressed input.
    pub(in super::super) fn split(data: &[u8], line_bytes_max: usize) -> (Vec<Owned>, u64) {
        let mut lines = Vec::new();
        let mut gap_bytes = 0;
        let mut start = if data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while start < data.len() {
            let newline = data[start..].iter().position(|byte| *byte == b'\n');
            let end = newline.map_or(data.len(), |at| start + at);
            let (mut from, mut until) = (start, end);
            while from < until && data[from] == 0 {
                from += 1;
                gap_bytes += 1;
            }
            while from < until && data[until - 1] == 0 {
                until -= 1;
                gap_bytes += 1;
            }
            start = end + 1;
            if from == until && newline.is_none() {
                continue;
            }
            if from < until && data[until - 1] == b'\r' {
                until -= 1;
            }
            let content = &data[from..until];
            lines.push(if content.iter().all(|byte| b" \t".contains(byte)) {
                Owned::Blank
            } else if content.len() > line_bytes_max {
                let head = content.len().min(line_bytes_max).min(super::LONG_LINE_HEAD_BYTES);
                Owned::TooLong(from as u64, content.len() as u64, content[..head].to_vec())
            } else {
                Owned::Content(from as u64, content.to_vec())
            });
        }
        (lines, gap_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::naive::Owned;
    use super::*;

    fn check(bytes: &[u8], expected: &[Owned], gap_bytes: u64) {
        let piece = Piece {
            index: 0,
            offset: 100,
            gap_bytes: 0,
            bytes,
            line_bytes_max: 8,
            long: None,
            directive: None,
            has_gaps: true,
        };
        let mut lines = piece.lines();
        let seen: Vec<Owned> = lines.by_ref().map(Owned::from).collect();
        assert_eq!((seen.as_slice(), lines.gap_bytes()), (expected, gap_bytes), "{bytes:?}");
    }

    fn content(offset: u64, bytes: &[u8]) -> Owned {
        Owned::Content(offset, bytes.to_vec())
    }

    #[test]
    fn an_ending_is_a_newline_with_or_without_one_return() {
        check(
            b"ab\ncd\r\nef\r\r\n",
            &[content(100, b"ab"), content(103, b"cd"), content(107, b"ef\r")],
            0,
        );
    }

    #[test]
    fn an_unfinished_last_line_is_a_line() {
        check(b"ab\ncd", &[content(100, b"ab"), content(103, b"cd")], 0);
    }

    #[test]
    fn spaces_and_tabs_are_blank_at_any_length() {
        check(b"\n \t\r\n            \n", &[Owned::Blank, Owned::Blank, Owned::Blank], 0);
    }

    #[test]
    fn nuls_at_either_end_are_a_gap_and_inside_stay() {
        check(b"\0\0ab\0\r\0\n", &[content(102, b"ab\0")], 3);
        check(b"a\0b\n", &[content(100, b"a\0b")], 0);
    }

    #[test]
    fn nuls_before_a_newline_are_a_blank_line_and_without_one_no_line() {
        check(b"\0\0\n", &[Owned::Blank], 2);
        check(b"ab\n\0\0\0", &[content(100, b"ab")], 3);
    }

    #[test]
    fn too_long_counts_content_only() {
        check(b"12345678\r\n", &[content(100, b"12345678")], 0);
        check(b"\x00123456789\n", &[Owned::TooLong(101, 9, b"12345678".to_vec())], 1);
    }

    #[test]
    fn nul_runs_are_counted_by_blocks_and_by_bytes() {
        for length in [0, 1, NUL_BLOCK - 1, NUL_BLOCK, NUL_BLOCK + 1, 3 * NUL_BLOCK + 7] {
            let mut bytes = vec![0; length];
            assert_eq!((leading_nuls(&bytes), trailing_nuls(&bytes)), (length, length));
            bytes.push(b'x');
            assert_eq!((leading_nuls(&bytes), trailing_nuls(&bytes)), (length, 0));
            bytes.reverse();
            assert_eq!((leading_nuls(&bytes), trailing_nuls(&bytes)), (0, length));
        }
    }
}
