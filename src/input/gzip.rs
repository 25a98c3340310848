//! Gzip files of any number of members, giving every byte that can be decoded.
//!
//! The readers of `flate2` lose what they decoded just before an error, and how much that is depends on the
//! size of the caller's buffer. What is counted of a damaged log must not depend on such things, so
//! this one drives the inflater itself. It knows nothing of files and lines.
//!
//! Format: RFC 1952. Zeros after the last member are padding, as `gzip` has it.

use std::io::BufRead;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use memchr::memmem;

use super::buffer::Buffer;
use super::flaw::Flaw;
use crate::error::io_words;
use crate::limits::DECODED_STEP_BYTES;

/// Decodes the gzip members that `reader` holds.
pub(super) struct Gzip<R> {
    reader: R,
    inflate: Decompress,
    crc: Crc,
    state: State,
    /// Bytes given of the member that is being decoded.
    open: u64,
}

enum State {
    /// Before a member; `first` tells the file's own start from what follows a member.
    Header {
        first: bool,
    },
    Body,
    Trailer,
    /// All has been given; what is wrong, if anything, is yet to be said.
    End(Option<Flaw>),
}

const CUT_SHORT: &str = "gzip data ended early";

fn cut_short() -> Flaw {
    Flaw::Cut(CUT_SHORT.to_owned())
}

fn corrupt(reason: &str) -> Flaw {
    Flaw::Corrupt(reason.to_owned())
}

fn unreadable(error: std::io::Error) -> Flaw {
    Flaw::Unreadable(io_words(&error))
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(reader: R) -> Gzip<R> {
        Gzip {
            reader,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            state: State::Header { first: true },
            open: 0,
        }
    }

    /// How many of the bytes given are of a member of which it is not known yet whether it is whole.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.reader
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Whether what comes next is a member, if anything does.
    pub(super) fn is_between(&mut self) -> bool {
        if let State::Trailer = self.state {
            self.end_member();
        }
        matches!(self.state, State::Header { .. })
    }

    /// Passes over whole members, where one may begin.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.reader.consume(bytes);
        self.state = State::Header { first: false };
        self.open = 0;
    }

    /// Whether all has been given and said.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::End(None))
    }

    /// Decodes into `buffer`, which must not be empty. 0 is the end.
    ///
    /// # Errors
    /// What is wrong with the data or the reader, once, after all that could be decoded; then 0.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Flaw> {
        loop {
            match self.state {
                State::Header { first } => match self.header(first) {
                    Ok(true) => self.begin_body(),
                    Ok(false) => self.state = State::End(None),
                    Err(fault) => self.state = State::End(Some(fault)),
                },
                State::Body => {
                    let count = self.body(buffer);
                    if count > 0 {
                        self.open += count as u64;
                        return Ok(count);
                    }
                }
                State::Trailer => self.end_member(),
                State::End(ref mut fault) => return fault.take().map_or(Ok(0), Err),
            }
        }
    }

    fn begin_body(&mut self) {
        self.inflate.reset(false);
        self.crc.reset();
        self.state = State::Body;
    }

    fn end_member(&mut self) {
        self.state = match self.trailer() {
            Ok(()) => {
                self.open = 0;
                State::Header { first: false }
            }
            Err(fault) => State::End(Some(fault)),
        };
    }

    /// Appends what the member decodes to that begins here. Whether it was whole, without a fault, and `out` holds less
    /// than `decoded_max` bytes with it.
    fn member(&mut self, out: &mut Buffer, decoded_max: usize) -> bool {
        if self.header(true) != Ok(true) {
            return false;
        }
        self.begin_body();
        while let State::Body = self.state {
            let room = decoded_max.saturating_sub(out.len()).min(DECODED_STEP_BYTES);
            if room == 0 {
                return false;
            }
            let count = self.body(out.room(room));
            out.advance(count);
        }
        self.is_between()
    }

    /// Reads a member's header. False if there is none any more.
    fn header(&mut self, first: bool) -> Result<bool, Flaw> {
        if !first {
            if self.skip_padding()? {
                return Ok(false);
            }
            let next = self.reader.fill_buf().map_err(unreadable)?;
            if next.first() != Some(&0x1f) {
                return Err(corrupt("bytes that are no gzip data follow the gzip data"));
            }
        }
        let mut fixed = [0; 10];
        for byte in &mut fixed {
            *byte = self.byte()?;
        }
        let [0x1f, 0x8b, 8, flags, ..] = fixed else {
            return Err(corrupt("corrupt gzip data: not a gzip header"));
        };
        if flags & UNKNOWN_FLAGS != 0 {
            return Err(corrupt("corrupt gzip data: unknown flags in a header"));
        }
        if flags & FEXTRA != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            for _ in 0..length {
                self.byte()?;
            }
        }
        for flag in [FNAME, FCOMMENT] {
            while flags & flag != 0 && self.byte()? != 0 {}
        }
        if flags & FHCRC != 0 {
            self.byte()?;
            self.byte()?;
        }
        Ok(true)
    }

    /// Skips zeros. Whether the end came with them.
    fn skip_padding(&mut self) -> Result<bool, Flaw> {
        loop {
            let next = self.reader.fill_buf().map_err(unreadable)?;
            let zeros = next.iter().take_while(|byte| **byte == 0).count();
            if next.is_empty() || zeros < next.len() {
                let ended = next.is_empty();
                self.reader.consume(zeros);
                return Ok(ended);
            }
            self.reader.consume(zeros);
        }
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        let next = self.reader.fill_buf().map_err(unreadable)?;
        let byte = *next.first().ok_or_else(cut_short)?;
        self.reader.consume(1);
        Ok(byte)
    }

    /// How many bytes were decoded. If 0, the state has moved on.
    fn body(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            let input = match self.reader.fill_buf() {
                Ok(input) => input,
                Err(error) => {
                    self.state = State::End(Some(unreadable(error)));
                    return 0;
                }
            };
            let ended = input.is_empty();
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(input, buffer, FlushDecompress::None);
            // Both differences are at most the length of a slice. They hold for an error too: what
            // was decoded before it is given.
            let taken = (self.inflate.total_in() - taken) as usize;
            let given = (self.inflate.total_out() - given) as usize;
            self.reader.consume(taken);
            self.crc.update(&buffer[..given]);
            match result {
                Ok(Status::StreamEnd) => self.state = State::Trailer,
                Ok(_) if given == 0 && ended => self.state = State::End(Some(cut_short())),
                Ok(_) if given == 0 => continue,
                Ok(_) => {}
                Err(_) => self.state = State::End(Some(corrupt("corrupt gzip data"))),
            }
            return given;
        }
    }

    fn trailer(&mut self) -> Result<(), Flaw> {
        let mut words = [0; 2];
        for word in &mut words {
            *word = u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]);
        }
        if words != [self.crc.sum(), self.crc.amount()] {
            return Err(corrupt("corrupt gzip data: the checksum does not match"));
        }
        Ok(())
    }
}

/// Decodes whole members from the beginning of `input`, up to one that has a fault or is not whole. How many bytes of
/// `input` that were.
pub(super) fn whole_members(input: &[u8], out: &mut Buffer, decoded_max: usize) -> usize {
    let mut gzip = Gzip::new(input);
    let mut at = 0;
    let mut decoded = out.len();
    while at < input.len() && gzip.member(out, decoded_max) {
        at = input.len() - gzip.reader.len();
        decoded = out.len();
    }
    out.truncate(decoded);
    at
}

/// Where members behind the first one of `input` may begin, each with what should be the length of the decoded member
/// before it.
pub(super) fn may_begin(input: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    memmem::find_iter(input, MAGIC).filter_map(|at| {
        let flags = *input.get(at + MAGIC.len())?;
        let trailer = input.get(at.checked_sub(LENGTH_BYTES)?..at)?;
        (flags & UNKNOWN_FLAGS == 0).then_some((at, length_before(trailer)?))
    })
}

/// What should be the length of the decoded member that `input` ends with, modulo 2³².
pub(super) fn length_before(input: &[u8]) -> Option<u32> {
    input.last_chunk::<LENGTH_BYTES>().map(|length| u32::from_le_bytes(*length))
}

const MAGIC: &[u8] = &[0x1f, 0x8b, 8];
const LENGTH_BYTES: usize = 4;
const UNKNOWN_FLAGS: u8 = 0xe0;
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    pub(in super::super) fn compress(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// Log-like bytes that do not compress to nothing.
    fn text() -> Vec<u8> {
        (0..20_000u64)
            .flat_map(|i| format!("line {}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes())
            .collect()
    }

    fn decode(file: &[u8], step: usize) -> (Vec<u8>, Option<String>) {
        let mut gzip = Gzip::new(std::io::BufReader::with_capacity(step, file));
        let mut out = Vec::new();
        let mut buffer = vec![0; step];
        loop {
            match gzip.read(&mut buffer) {
                Ok(0) => return (out, None),
                Ok(count) => out.extend_from_slice(&buffer[..count]),
                Err(flaw) => {
                    assert_eq!(gzip.read(&mut buffer), Ok(0));
                    return (out, Some(flaw.reason().to_owned()));
                }
            }
        }
    }

    #[test]
    fn members_follow_each_other_and_padding_is_none() {
        let file = [compress(b"one\n"), compress(b""), compress(b"two\n"), vec![0; 700]].concat();
        for step in [1, 7, 4096] {
            assert_eq!(decode(&file, step), (b"one\ntwo\n".to_vec(), None));
        }
    }

    #[test]
    fn header_fields_are_skipped() {
        let mut encoder = flate2::GzBuilder::new()
            .filename("access.log")
            .comment("of a day")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"one\n").unwrap();
        assert_eq!(decode(&encoder.finish().unwrap(), 3), (b"one\n".to_vec(), None));
    }

    #[test]
    fn other_bytes_behind_are_a_fault() {
        let file = [compress(b"one\n"), b"two\n".to_vec()].concat();
        let (data, fault) = decode(&file, 64);
        assert_eq!(data, b"one\n");
        assert!(fault.unwrap().contains("no gzip data"));
    }

    #[test]
    fn a_cut_file_gives_what_decodes_whatever_the_buffers() {
        let (text, file) = (text(), compress(&text()));
        for end in [2, 9, 12, file.len() / 2, file.len() - 9, file.len() - 1] {
            let (data, fault) = decode(&file[..end], 1);
            assert_eq!(fault.as_deref(), Some(CUT_SHORT), "{end}");
            assert!(text.starts_with(&data));
            assert_eq!(decode(&file[..end], 5000).0, data, "{end}");
        }
        assert!(decode(&file[..file.len() - 9], 100).0.len() > text.len() - 100);
    }

    #[test]
    fn a_damaged_file_gives_the_same_whatever_the_buffers() {
        let mut file = compress(&text());
        let middle = file.len() / 2;
        file[middle..middle + 40].fill(0xff);
        let (data, fault) = decode(&file, 1);
        assert!(fault.unwrap().starts_with("corrupt gzip data"));
        assert!(data.len() > text().len() / 4, "{}", data.len());
        for step in [2, 100, 1 << 16] {
            assert_eq!(decode(&file, step).0.len(), data.len(), "{step}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_a_fault() {
        let mut file = compress(b"one\n");
        let at = file.len() - 8;
        file[at] ^= 1;
        let (data, fault) = decode(&file, 64);
        assert_eq!(data, b"one\n");
        assert!(fault.unwrap().contains("checksum"));
    }
}
