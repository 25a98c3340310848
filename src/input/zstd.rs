//! Zstandard frames, giving every byte that can be decoded.
//!
//! At an error the decoder loses what it gave in the same step, and how much that is would depend on how it is fed and
//! on the size of the caller's buffer. What is counted of a damaged log must not depend on such things, so
//! the decoder is given one block at a time, and the next one only after all of that one was taken from it: what is
//! lost of a damaged frame is the block with the damage. It knows nothing of files and lines.
//!
//! Format: RFC 8878.

use std::io::BufRead as _;

use zstd::stream::raw::{Decoder, Operation as _};

use super::buffer::Buffer;
use super::flaw::Flaw;
use super::window::Window;
use crate::error::io_words;
use crate::limits::ZSTD_WINDOW_BYTES_MAX;

/// Decodes the frames that `window` holds.
pub(super) struct Zstd {
    window: Window,
    decoder: Decoder<'static>,
    state: State,
    /// Bytes of the current step that were not yet fed.
    left: usize,
    /// Whether the decoder may hold more of what it was fed.
    is_pending: bool,
    /// Bytes given of the frame that is being decoded.
    open: u64,
}

/// What comes after the current step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A frame, or nothing.
    Frame,
    /// Bytes of a skippable frame, that many.
    Skipped(usize),
    /// The header of a block, in a frame with a checksum or without.
    Block { is_checked: bool },
    /// The content of a block.
    Content { bytes: usize, is_last: bool, is_checked: bool },
    /// The checksum of a frame.
    Checksum,
    /// All was given and what is wrong was said.
    End,
}

const CUT_SHORT: &str = "zstd data ended early";

impl Zstd {
    pub(super) fn new(window: Window) -> std::io::Result<Zstd> {
        Ok(Zstd {
            window,
            decoder: Decoder::new()?,
            state: State::Frame,
            left: 0,
            is_pending: false,
            open: 0,
        })
    }

    /// How many of the bytes given are of a frame of which it is not known yet whether it is whole.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Whether what comes next is a frame, if anything does.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Frame && self.left == 0 && !self.is_pending
    }

    /// Passes over whole frames, where one may begin.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.window.consume(bytes);
        self.open = 0;
    }

    /// Whether all has been given and said.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::End
    }

    /// Decodes into `buffer`, which must not be empty. 0 is the end or a place between frames.
    ///
    /// # Errors
    /// What is wrong with the data or the reader, once, after all that could be decoded.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Flaw> {
        let result = self.steps(buffer);
        if result.is_err() {
            self.state = State::End;
            (self.left, self.is_pending) = (0, false);
        }
        result
    }

    fn steps(&mut self, buffer: &mut [u8]) -> Result<usize, Flaw> {
        loop {
            if self.is_pending {
                let given = self.feed(0, buffer)?;
                if given > 0 {
                    return Ok(given);
                }
            }
            if self.left > 0 {
                let ready = self.window.ahead(self.left).len().min(self.left);
                if ready == 0 {
                    return Err(self.cut_short());
                }
                let given = self.feed(ready, buffer)?;
                if given > 0 {
                    return Ok(given);
                }
            } else {
                self.step()?;
            }
            if self.is_between() || (self.has_ended() && self.left == 0) {
                return Ok(0);
            }
        }
    }

    /// Feeds as much of the next `count` bytes as the decoder takes. How many came out.
    fn feed(&mut self, count: usize, buffer: &mut [u8]) -> Result<usize, Flaw> {
        let input = &self.window.seen()[..count];
        let status = self.decoder.run_on_buffers(input, buffer).map_err(|error| {
            Flaw::Corrupt(format!("corrupt zstd data: {}", corrupt(&io_words(&error))))
        })?;
        self.window.consume(status.bytes_read);
        self.left -= status.bytes_read;
        self.is_pending = status.bytes_written == buffer.len() && status.remaining > 0;
        self.open += status.bytes_written as u64;
        Ok(status.bytes_written)
    }

    /// Goes to the next step.
    fn step(&mut self) -> Result<(), Flaw> {
        (self.left, self.state) = match self.state {
            State::Frame => {
                self.open = 0;
                let next = self.window.ahead(FRAME_HEADER_BYTES_MAX);
                if next.is_empty() {
                    self.state = State::End;
                    let error = self.window.error();
                    return error.map_or(Ok(()), |error| Err(Flaw::Unreadable(io_words(&error))));
                }
                match Header::of(next) {
                    Some(Header::Skippable(bytes)) => {
                        self.window.consume(SKIPPABLE_HEADER_BYTES);
                        (0, State::Skipped(bytes))
                    }
                    Some(Header::Frame { bytes, is_checked, .. }) => {
                        (bytes, State::Block { is_checked })
                    }
                    // The decoder says what is wrong with it, or nothing, and then it is cut short.
                    None => (FRAME_HEADER_BYTES_MAX, State::End),
                }
            }
            State::Skipped(0) => (0, State::Frame),
            State::Skipped(bytes) => {
                let ready = self.window.ahead(1).len().min(bytes);
                if ready == 0 {
                    return Err(self.cut_short());
                }
                self.window.consume(ready);
                (0, State::Skipped(bytes - ready))
            }
            State::Block { is_checked } => {
                let next = match self.window.ahead(BLOCK_HEADER_BYTES) {
                    &[a, b, c, ..] => Block::of([a, b, c]),
                    _ => Block { is_last: true, bytes: 0, size: 0, decoded_max: 0 },
                };
                let Block { is_last, bytes, .. } = next;
                (BLOCK_HEADER_BYTES, State::Content { bytes, is_last, is_checked })
            }
            State::Content { bytes, is_last, is_checked } => {
                let next = match (is_last, is_checked) {
                    (false, is_checked) => State::Block { is_checked },
                    (true, true) => State::Checksum,
                    (true, false) => State::Frame,
                };
                (bytes, next)
            }
            State::Checksum => (CHECKSUM_BYTES, State::Frame),
            State::End => (0, State::End),
        };
        Ok(())
    }

    fn cut_short(&mut self) -> Flaw {
        match self.window.error() {
            None => Flaw::Cut(CUT_SHORT.to_owned()),
            Some(error) => Flaw::Unreadable(io_words(&error)),
        }
    }
}

/// What the decoder says of data that are corrupt. A block that decodes to more than it may is found by its room running out or
/// not, whichever room that was given: it is told by one name.
fn corrupt(words: &str) -> &str {
    match words {
        "destination buffer is too small" => "data corruption detected",
        words => words,
    }
}

/// The longest header of a frame that is not skippable.
const FRAME_HEADER_BYTES_MAX: usize = 18;
const SKIPPABLE_HEADER_BYTES: usize = 8;
const BLOCK_HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;
/// Decoded bytes of a block.
const BLOCK_BYTES_MAX: u64 = 128 << 10;

/// How a frame begins.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// With that many bytes after the header.
    Skippable(usize),
    Frame {
        /// Of the header.
        bytes: usize,
        is_checked: bool,
        /// None where the frame is one window.
        window: Option<u64>,
        /// Decoded, where the header says so.
        content: Option<u64>,
    },
}

impl Header {
    /// None if this is no header, or not all of one.
    fn of(input: &[u8]) -> Option<Header> {
        match *input {
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] => {
                Some(Header::Skippable(usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?))
            }
            [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
                let is_single = descriptor & 0x20 != 0;
                let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
                let content_bytes = match descriptor >> 6 {
                    0 => usize::from(is_single),
                    size => 1 << size,
                };
                let content_at = 5 + usize::from(!is_single) + dictionary;
                let bytes = content_at + content_bytes;
                let field = input.get(content_at..bytes)?;
                let mut content = [0; 8];
                content[..content_bytes].copy_from_slice(field);
                let content = u64::from_le_bytes(content);
                let content = match content_bytes {
                    0 => None,
                    2 => Some(content + 256),
                    _ => Some(content),
                };
                let window = (!is_single).then(|| {
                    let base = 1u64 << (10 + (input[5] >> 3));
                    base + base / 8 * u64::from(input[5] & 7)
                });
                Some(Header::Frame { bytes, is_checked: descriptor & 4 != 0, window, content })
            }
            _ => None,
        }
    }
}

struct Block {
    is_last: bool,
    /// Of its content, encoded.
    bytes: usize,
    /// As its header says: of its content, encoded or, where that is as it is or one byte again and again, decoded.
    size: u64,
    decoded_max: u64,
}

impl Block {
    fn of([a, b, c]: [u8; BLOCK_HEADER_BYTES]) -> Block {
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = header >> 3;
        let (bytes, decoded_max) = match header >> 1 & 3 {
            0 => (size as usize, u64::from(size)),
            1 => (1, u64::from(size)),
            _ => (size as usize, BLOCK_BYTES_MAX),
        };
        Block { is_last: header & 1 != 0, bytes, size: u64::from(size), decoded_max }
    }
}

/// A frame as far as it can be told without decoding it.
pub(super) struct Extent {
    /// Encoded, all of it.
    pub(super) bytes: usize,
    /// What it decodes to takes no more than this.
    pub(super) decoded_max: u64,
}

/// The frame that `input` begins with. None if it holds none, or not all of it, or the decoder takes none such.
pub(super) fn extent(input: &[u8]) -> Option<Extent> {
    let (mut at, is_checked, content, window) = match Header::of(input)? {
        Header::Skippable(bytes) => {
            let bytes = bytes.checked_add(SKIPPABLE_HEADER_BYTES)?;
            return (bytes <= input.len()).then_some(Extent { bytes, decoded_max: 0 });
        }
        Header::Frame { window: Some(window), .. } if window > ZSTD_WINDOW_BYTES_MAX => {
            return None;
        }
        Header::Frame { bytes, is_checked, content, window } => {
            (bytes, is_checked, content, window)
        }
    };
    // A single segment is its own window.
    let block_max = window.or(content)?.min(BLOCK_BYTES_MAX);
    let mut decoded_max = 0u64;
    loop {
        let header = input.get(at..at + BLOCK_HEADER_BYTES)?;
        let block = Block::of([header[0], header[1], header[2]]);
        // RFC 8878, section 3.1.1.2.4. To decode a frame in one go is to be less strict; whoever decodes it step by step tells.
        if block.size > block_max {
            return None;
        }
        decoded_max += block.decoded_max;
        at += BLOCK_HEADER_BYTES + block.bytes;
        if block.is_last {
            break;
        }
    }
    let bytes = at + if is_checked { CHECKSUM_BYTES } else { 0 };
    let decoded_max = content.unwrap_or(decoded_max);
    (bytes <= input.len()).then_some(Extent { bytes, decoded_max })
}

/// Decodes whole frames from the beginning of `input`, up to one that has a fault or is not whole. How many bytes of
/// `input` that were.
pub(super) fn whole_frames(input: &[u8], out: &mut Buffer, decoded_max: usize) -> usize {
    let Ok(mut decoder) = zstd::bulk::Decompressor::new() else { return 0 };
    let mut at = 0;
    while let Some(extent) = extent(&input[at..]) {
        let room = usize::try_from(extent.decoded_max).unwrap_or(usize::MAX);
        if room > decoded_max.saturating_sub(out.len()) {
            break;
        }
        let frame = &input[at..at + extent.bytes];
        match decoder.decompress_to_buffer(frame, out.room(room)) {
            Ok(count) => out.advance(count),
            Err(_) => break,
        }
        at += extent.bytes;
    }
    at
}
