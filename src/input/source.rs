//! A log as a stream of decompressed bytes: recognised by its first bytes, whatever its name.
//!
//! Knows nothing of lines.

use std::io::{self, BufRead as _, ErrorKind, Read};
use std::sync::Arc;

use super::buffer::Buffer;
use super::flaw::Flaw;
use super::gzip::Gzip;
use super::members::{Bounds, Decoded, Members, Planner};
use super::window::Window;
use super::zstd::Zstd;
use super::{Fault, Until};
use crate::error::io_words;
use crate::limits::{DECODED_CHUNK_BYTES, MARK_BYTES};

/// How a log is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames, some of them skippable.
    Zstd,
}

impl Compression {
    /// As it stands in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// What the first bytes say: plain where nothing matches.
    pub(super) fn recognise(first: &[u8]) -> Option<Compression> {
        match first {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Compression::Zstd)
            }
            _ => None,
        }
    }
}

/// As many bytes as it takes to recognise a compression.
pub(super) const FIRST_BYTES: usize = 4;

/// The bytes of a log as they lie.
pub(super) struct Raw {
    source: Box<dyn Read + Send>,
    /// Where in the log the first of them lies.
    base: u64,
    /// Read already, to be given first.
    first: Vec<u8>,
    /// Bytes not yet read of those that the file had when it was opened. None if it is no regular file.
    left: Option<u64>,
    /// Given so far.
    taken: u64,
    /// Whether the source said that there is no more.
    ended: bool,
    hasher: Option<blake3::Hasher>,
    /// An error that is told on the next call, because the bytes before it had to be given first.
    failed: Option<io::Error>,
}

impl Raw {
    /// Reads the first bytes, to recognise. `size`: read no more than this, and miss what there is less.
    pub(super) fn open(
        source: Box<dyn Read + Send>,
        size: Option<u64>,
        digest: bool,
    ) -> io::Result<Raw> {
        Raw::open_at(source, 0, size, digest)
    }

    /// The same of a source of which what lies before `base` is passed already.
    pub(super) fn open_at(
        source: Box<dyn Read + Send>,
        base: u64,
        size: Option<u64>,
        digest: bool,
    ) -> io::Result<Raw> {
        let mut raw = Raw {
            source,
            base,
            first: Vec::new(),
            left: size,
            taken: 0,
            ended: false,
            hasher: digest.then(blake3::Hasher::new),
            failed: None,
        };
        let mut first = [0; FIRST_BYTES];
        let count = raw.fill(&mut first)?;
        raw.first = first[..count].to_vec();
        Ok(raw)
    }

    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Fills `buffer` as far as the source reaches, so that what follows never depends on how
    /// a pipe happened to deliver.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let room = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let room = room.min(buffer.len());
        let mut count = 0;
        while count < room {
            match self.source.read(&mut buffer[count..room]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if count == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = if self.first.is_empty() {
            self.fill(buffer)?
        } else {
            let count = self.first.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.first[..count]);
            self.first.drain(..count);
            count
        };
        self.taken += count as u64;
        Ok(count)
    }
}

enum Decoder {
    Plain(Box<Window>),
    Gzip(Box<Gzip<Window>>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// Whether what comes next is a member or a frame, if anything does.
    fn is_between(&mut self) -> bool {
        match self {
            Decoder::Plain(_) => false,
            Decoder::Gzip(gzip) => gzip.is_between(),
            Decoder::Zstd(zstd) => zstd.is_between(),
        }
    }

    /// Whether all has been given and said, once no more came.
    fn has_ended(&self) -> bool {
        match self {
            Decoder::Plain(_) => true,
            Decoder::Gzip(gzip) => gzip.has_ended(),
            Decoder::Zstd(zstd) => zstd.has_ended(),
        }
    }

    /// Passes over whole members or frames, where one may begin.
    fn pass(&mut self, bytes: usize) {
        match self {
            Decoder::Plain(window) => window.consume(bytes),
            Decoder::Gzip(gzip) => gzip.pass(bytes),
            Decoder::Zstd(zstd) => zstd.pass(bytes),
        }
    }

    /// How many of the bytes given are of a member or a frame that is not known to be whole.
    fn open(&self) -> u64 {
        match self {
            Decoder::Plain(_) => 0,
            Decoder::Gzip(gzip) => gzip.open(),
            Decoder::Zstd(zstd) => zstd.open(),
        }
    }

    fn window(&self) -> &Window {
        match self {
            Decoder::Plain(window) => window,
            Decoder::Gzip(gzip) => gzip.get_ref(),
            Decoder::Zstd(zstd) => zstd.window(),
        }
    }

    fn window_mut(&mut self) -> &mut Window {
        match self {
            Decoder::Plain(window) => window,
            Decoder::Gzip(gzip) => gzip.get_mut(),
            Decoder::Zstd(zstd) => zstd.window_mut(),
        }
    }
}

/// What is decoded before its turn.
struct Early {
    planner: Planner,
    members: Arc<Members>,
    /// Whole members or frames.
    decoded: Decoded,
    /// Of what they decode to, given already.
    given: usize,
}

impl Early {
    /// Gives what is left of the whole members or frames that were taken. 0 if nothing is.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.decoded.bytes[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        count
    }

    /// Takes the next whole members or frames, if there are any and one may begin where the decoder is.
    fn take(&mut self, decoder: &mut Decoder) -> bool {
        if !decoder.is_between() {
            return false;
        }
        let Some(decoded) = self.planner.take(&self.members, decoder.window_mut()) else {
            return false;
        };
        decoder.pass(decoded.taken);
        self.members.give_back(std::mem::replace(&mut self.decoded, decoded).bytes);
        self.given = 0;
        true
    }
}

/// The decompressed bytes of a log, without its byte order mark.
pub(super) struct Source {
    decoder: Decoder,
    compression: Option<Compression>,
    /// None before that was asked for, and of a log that is not compressed.
    early: Option<Early>,
    /// Decompressed already; given from `ahead_start` on, before the decoder is asked.
    ahead: Buffer,
    ahead_start: usize,
    /// Decompressed bytes so far, a byte order mark included.
    decoded: u64,
    /// The first and the last of them, of a log that is to be known again.
    ends: Option<Ends>,
    ended: bool,
    /// Why the end came early.
    flaw: Option<Flaw>,
    /// How far it is to be read, where it is known already that it ends early.
    until: Option<Until>,
    /// Why nothing counts yet.
    left: Option<String>,
}

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The first and the last bytes of what was decompressed so far, a block of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
}

impl Ends {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let missing = MARK_BYTES - self.head.len();
        self.head.extend(&bytes[..bytes.len().min(missing)]);
        let last = &bytes[bytes.len().saturating_sub(MARK_BYTES)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(MARK_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend(last);
    }
}

impl Source {
    /// Decompresses as it is told. Of a log that is to be known again the ends are kept; of one that is compressed no more is
    /// given than lies before `until`.
    pub(super) fn new(
        raw: Raw,
        compression: Option<Compression>,
        keeps_ends: bool,
        until: Option<Until>,
    ) -> io::Result<Source> {
        let base = raw.base;
        let window = Window::new(raw);
        let decoder = match compression {
            None => Decoder::Plain(Box::new(window)),
            Some(Compression::Gzip) => Decoder::Gzip(Box::new(Gzip::new(window))),
            Some(Compression::Zstd) => Decoder::Zstd(Box::new(Zstd::new(window)?)),
        };
        let mut source = Source {
            decoder,
            compression,
            early: None,
            ahead: Buffer::default(),
            ahead_start: 0,
            decoded: base,
            ends: keeps_ends.then(Ends::default),
            ended: false,
            flaw: None,
            until: until.filter(|_| compression.is_some()),
            left: None,
        };
        if base == 0 {
            source.look_ahead(BYTE_ORDER_MARK.len());
            if *source.ahead == *BYTE_ORDER_MARK {
                source.ahead_start = BYTE_ORDER_MARK.len();
            }
        }
        Ok(source)
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Passes over what lies before `offset`, and gives the ends of that; none if there is not so much. Only at the beginning.
    pub(super) fn pass(&mut self, offset: u64) -> Option<Ends> {
        // A byte order mark is part of it.
        self.ahead_start = 0;
        let mut passed = Buffer::default();
        let mut ends = Ends::default();
        while self.offset() < offset {
            passed.clear();
            let missing = usize::try_from(offset - self.offset()).unwrap_or(usize::MAX);
            if self.append(&mut passed, missing.min(DECODED_CHUNK_BYTES)) == 0 {
                return None;
            }
            ends.push(&passed);
        }
        Some(ends)
    }

    /// The first and the last bytes up to now, if they are kept. Nothing may be left ahead.
    pub(super) fn ends(&self) -> Option<&Ends> {
        self.ends.as_ref()
    }

    /// Whether more may come another time: a log that is compressed to its end is complete.
    pub(super) fn may_grow(&self) -> bool {
        self.compression.is_none() || self.flaw.is_some()
    }

    /// From now on leaves whole members and frames that lie ahead as tasks.
    pub(super) fn plan_early(&mut self, members: &Arc<Members>, bounds: Bounds) {
        self.early = self.compression.map(|compression| Early {
            planner: Planner::new(compression, bounds),
            members: Arc::clone(members),
            decoded: Decoded::default(),
            given: 0,
        });
    }

    /// Offset of the next byte in the decompressed input.
    pub(super) fn offset(&self) -> u64 {
        self.decoded - self.ahead().len() as u64
    }

    /// Decompressed bytes so far.
    pub(super) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Whether `ahead` holds all that there is yet to come.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether that is because of a fault.
    pub(super) fn ended_early(&self) -> bool {
        self.ended && self.flaw.is_some()
    }

    /// How far what was decompressed can be relied on, if the log ended early by its own fault.
    pub(super) fn until(&self) -> Option<Until> {
        let until = self.flaw.as_ref()?.until(self.decoded, self.decoder.open())?;
        // It was read no further than that.
        Some(self.until.clone().unwrap_or(until))
    }

    /// Bytes of the log as it lies that were used so far.
    pub(super) fn taken(&self) -> u64 {
        self.decoder.window().raw().taken()
    }

    /// What was decompressed but not yet given.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead[self.ahead_start..]
    }

    /// Decompresses until `ahead` holds `length` bytes or all that there is.
    pub(super) fn look_ahead(&mut self, length: usize) {
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.drop_front(self.ahead_start);
        self.ahead_start = 0;
        let missing = length.saturating_sub(ahead.len());
        self.decode(&mut ahead, missing);
        self.ahead = ahead;
    }

    /// Drops the first `count` bytes of `ahead`.
    pub(super) fn skip(&mut self, count: usize) {
        self.ahead_start += count;
    }

    /// Takes back bytes that were given last.
    pub(super) fn give_back(&mut self, bytes: &[u8]) {
        let mut ahead = Buffer::default();
        ahead.push(bytes);
        ahead.push(self.ahead());
        self.ahead = ahead;
        self.ahead_start = 0;
    }

    /// Appends the next `count` bytes, or as many as there are. How many: fewer only at the end.
    pub(super) fn append(&mut self, buffer: &mut Buffer, count: usize) -> usize {
        let before = buffer.len();
        let ahead = self.ahead();
        let ready = ahead.len().min(count);
        buffer.push(&ahead[..ready]);
        self.ahead_start += ready;
        if self.ahead().is_empty() {
            self.ahead = Buffer::default();
            self.ahead_start = 0;
        }
        self.decode(buffer, count - ready);
        buffer.len() - before
    }

    fn decode(&mut self, buffer: &mut Buffer, count: usize) {
        let count = match &self.until {
            None => count,
            Some(until) => {
                let left = until.offset.saturating_sub(self.decoded);
                usize::try_from(left).map_or(count, |left| count.min(left))
            }
        };
        let room = buffer.room(count);
        let mut filled = 0;
        while filled < count && !self.ended {
            let room = &mut room[filled..];
            if let Some(early) = &mut self.early {
                let count = early.read(room);
                filled += count;
                if count > 0 || early.take(&mut self.decoder) {
                    continue;
                }
            }
            let result = match &mut self.decoder {
                Decoder::Plain(window) => {
                    window.read(room).map_err(|error| Flaw::Unreadable(io_words(&error)))
                }
                Decoder::Gzip(gzip) => gzip.read(room),
                Decoder::Zstd(zstd) => zstd.read(room),
            };
            match result {
                Ok(0) => self.ended = self.decoder.has_ended(),
                Ok(more) => filled += more,
                Err(flaw) => {
                    self.flaw = Some(flaw);
                    self.ended = true;
                }
            }
        }
        if let Some(ends) = &mut self.ends {
            ends.push(&room[..filled]);
        }
        buffer.advance(filled);
        self.decoded += filled as u64;
        if let Some(until) = &self.until
            && self.decoded >= until.offset
            && !self.ended
        {
            self.flaw = Some(Flaw::Cut(until.reason.clone()));
            self.ended = true;
        }
    }

    /// Notes that nothing of the log counts before more of it is there.
    pub(super) fn leave(&mut self, why: &str) {
        self.left.get_or_insert_with(|| why.to_owned());
    }

    /// Notes what is wrong with an end that decompressed well.
    pub(super) fn fail(&mut self, fault: &str) {
        self.flaw.get_or_insert_with(|| Flaw::Cut(fault.to_owned()));
    }

    /// The digest, if one was asked for, and what went wrong. Only after the end.
    pub(super) fn finish(&mut self) -> (Option<String>, Option<Fault>) {
        let mut flaw = self.flaw.clone();
        let window = self.decoder.window_mut();
        if window.raw().hasher.is_some()
            // The digest is of the whole log, also of what no decoder wanted.
            && let Err(error) = io::copy(window, &mut io::sink())
        {
            flaw.get_or_insert_with(|| Flaw::Unreadable(io_words(&error)));
        }
        if let Some(shrank) = self.shrank() {
            return (None, Some(Fault::Shrank(shrank)));
        }
        let raw = self.decoder.window().raw();
        let digest = raw.hasher.as_ref().map(|hasher| hasher.finalize().to_hex().to_string());
        let left = self.left.take().map(Fault::Unfinished);
        (digest, left.or(flaw.as_ref().map(Fault::from)))
    }

    /// What to say if the log ended before the size that it had when it was opened.
    pub(super) fn shrank(&self) -> Option<String> {
        let raw = self.decoder.window().raw();
        let lost = raw.left.filter(|left| raw.ended && *left > 0)?;
        let now = raw.base + raw.taken;
        let before = now + lost;
        Some(format!("shrank from {before} to {now} bytes while it was read"))
    }
}
