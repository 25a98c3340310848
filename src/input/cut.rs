//! Cuts a log into pieces at line ends: a mapped one by ranges, a stream as its bytes come.
//!
//! How it is cut depends on the size of the pieces; which lines there are, and where, never does.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::{memchr, memchr_iter, memmem, memrchr};

use super::buffer::Buffer;
use super::lines::{Long, Piece, leading_nuls};
use super::mapping::Mapping;
use super::members::{Bounds, Members};
use super::records::Records;
use super::source::{BYTE_ORDER_MARK, Ends, Source};
use super::{Fault, Framing, Options, Print, Start, Until};
use crate::limits::{DECODED_CHUNK_BYTES, HEAD_BYTES, HEAD_BYTES_MAX};

/// A log that several workers take pieces of.
pub(super) enum Feed {
    Mapped(Mapped),
    Stream(Box<Turns>),
}

/// A stream that workers read by turns. Who waits decodes what lies ahead.
pub(super) struct Turns {
    stream: Mutex<Stream>,
    members: Arc<Members>,
}

impl Turns {
    pub(super) fn new(stream: Stream) -> Turns {
        let members = Arc::clone(&stream.members);
        Turns { stream: Mutex::new(stream), members }
    }

    pub(super) fn get_mut(&mut self) -> &mut Stream {
        self.stream.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a piece lies. With the feed and the buffer it came with, it makes a [`Piece`].
pub(super) struct Cut {
    index: usize,
    offset: u64,
    gap_bytes: u64,
    long: Option<Long>,
    /// In the mapping; of a stream, all of the buffer.
    range: Range<usize>,
    line_bytes_max: usize,
    /// See [`Piece::directive`].
    directive: Option<Arc<[u8]>>,
    /// Whether NULs are what is left of truncation, not what is between records.
    has_gaps: bool,
    /// Bytes of the log as it lies that were used since the piece before was cut.
    pub(super) taken: u64,
}

impl Feed {
    /// Cuts the next piece. None is the end, for every worker. Only a stream uses the buffer.
    pub(super) fn next(&self, buffer: &mut Buffer) -> Option<Cut> {
        match self {
            Feed::Mapped(mapped) => mapped.next(buffer),
            Feed::Stream(turns) => {
                let _turn = turns.members.turn();
                turns.lock().next(buffer)
            }
        }
    }

    /// Puts the next bytes into the buffer, as they are. Whether there were any. Not to be mixed with [`Feed::next`].
    pub(super) fn drain(&mut self, buffer: &mut Buffer) -> bool {
        buffer.clear();
        match self {
            Feed::Mapped(mapped) => mapped.drain(buffer),
            Feed::Stream(turns) => turns.get_mut().drain(buffer),
        }
    }

    /// Does what can be done for the next pieces while another cuts them.
    pub(super) fn help(&self) {
        if let Feed::Stream(turns) = self {
            turns.members.work();
        }
    }

    /// The piece itself.
    pub(super) fn piece<'a>(&'a self, cut: &'a Cut, buffer: &'a Buffer) -> Piece<'a> {
        let bytes = match self {
            Feed::Mapped(_) if buffer.len() == cut.range.len() => buffer,
            Feed::Mapped(mapped) => &mapped.mapping.bytes()[cut.range.clone()],
            Feed::Stream(_) => buffer,
        };
        Piece {
            index: cut.index,
            offset: cut.offset,
            gap_bytes: cut.gap_bytes,
            bytes,
            line_bytes_max: cut.line_bytes_max,
            long: cut.long,
            directive: cut.directive.as_deref(),
            has_gaps: cut.has_gaps,
        }
    }

    /// Whether what was read so far is known to be worthless.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Feed::Mapped(mapped) => mapped.mapping.fault().is_some(),
            Feed::Stream(turns) => turns.lock().source.shrank().is_some(),
        }
    }

    /// See [`super::Input::ended_in_first_line`].
    pub(super) fn ended_in_first_line(&self) -> bool {
        match self {
            Feed::Mapped(_) => false,
            Feed::Stream(turns) => {
                let source = &turns.lock().source;
                source.ended_early() && memchr(b'\n', source.ahead()).is_none()
            }
        }
    }

    /// Decompressed bytes that pieces were cut from so far, what lies before the start not among them.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Feed::Mapped(mapped) => (mapped.end - mapped.base) as u64,
            Feed::Stream(turns) => {
                let stream = turns.lock();
                stream.end() - stream.base
            }
        }
    }

    /// How far it was read. Only after `next` gave none.
    pub(super) fn read_to(&self) -> ReadTo {
        match self {
            Feed::Mapped(mapped) => ReadTo {
                end: mapped.end as u64,
                pending_bytes: (mapped.mapping.bytes().len() - mapped.end) as u64,
                directive: None,
                ends: None,
            },
            Feed::Stream(turns) => {
                let stream = turns.lock();
                let directive = match &stream.framing {
                    Framed::Directives(_, last) | Framed::Header(last) => last.as_deref(),
                    Framed::Lines | Framed::Records(_) => None,
                };
                ReadTo {
                    end: stream.end(),
                    pending_bytes: stream.source.decoded() - stream.end(),
                    directive: directive.map(<[u8]>::to_vec),
                    ends: stream.source.ends().cloned(),
                }
            }
        }
    }

    /// How far what was read can be relied on, if its compression ends early. Only after the end.
    pub(super) fn until(&self) -> Option<Until> {
        match self {
            Feed::Mapped(_) => None,
            Feed::Stream(turns) => turns.lock().until(),
        }
    }

    /// Whether what is read is known to be other than what was compressed. Only after [`super::Input::head`].
    pub(super) fn is_corrupt(&self) -> bool {
        self.until().is_some_and(|until| until.offset < until.decoded)
    }

    /// The digest, if one was asked for, and what went wrong. Only after `next` gave none.
    pub(super) fn finish(&self) -> (Option<String>, Option<Fault>) {
        match self {
            Feed::Mapped(mapped) => {
                let digest = (mapped.digest && !self.is_lost()).then(|| {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update_rayon(mapped.mapping.bytes());
                    hasher.finalize().to_hex().to_string()
                });
                match mapped.mapping.fault() {
                    None => (digest, None),
                    Some(fault) => (None, Some(Fault::Shrank(fault))),
                }
            }
            Feed::Stream(turns) => turns.lock().source.finish(),
        }
    }
}

/// How far a log was read.
pub(super) struct ReadTo {
    /// Behind the last line that was handed out.
    pub(super) end: u64,
    /// Bytes behind it, left to another time.
    pub(super) pending_bytes: u64,
    /// The last directive before the end.
    pub(super) directive: Option<Vec<u8>>,
    /// Of a stream that is to be known again.
    pub(super) ends: Option<Ends>,
}

/// A mapped log. Piece k holds the lines that begin in the k-th range of `chunk_bytes`, so
/// that workers cut without waiting for each other.
pub(super) struct Mapped {
    mapping: Mapping,
    /// Where reading begins, and the end of what is read: that of the mapping, or of its last line that is finished.
    base: usize,
    end: usize,
    /// Where the first line begins: after a byte order mark and NULs.
    start: usize,
    /// NULs before it.
    gap_bytes: u64,
    /// A copy of the first lines, once they were asked for.
    head: Vec<u8>,
    next: AtomicUsize,
    chunk_bytes: usize,
    line_bytes_max: usize,
    digest: bool,
}

impl Mapped {
    /// `base`: where reading begins, no further than the mapping's end.
    pub(super) fn new(
        mapping: Mapping,
        base: usize,
        options: &Options,
        line_bytes_max: usize,
    ) -> Mapped {
        let bytes = mapping.bytes();
        let end = match options.resumable {
            true => memrchr(b'\n', &bytes[base..]).map_or(base, |at| base + at + 1),
            false => bytes.len(),
        };
        let bytes = &bytes[..end];
        let mark = if base == 0 && bytes.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        let gap = leading_nuls(&bytes[base + mark..]);
        Mapped {
            base,
            end,
            start: base + mark + gap,
            gap_bytes: gap as u64,
            head: Vec::new(),
            next: AtomicUsize::new(0),
            chunk_bytes: options.chunk_bytes.max(1),
            line_bytes_max,
            // Of one that is read on another time it is made without reading all of it.
            digest: options.digest && !options.resumable,
            mapping,
        }
    }

    pub(super) fn head(&mut self) -> &[u8] {
        let ahead = &self.mapping.bytes()[self.start..self.end];
        let mut length = ahead.len().min(HEAD_BYTES);
        while length < ahead.len().min(HEAD_BYTES_MAX)
            && !has_usable_line(&ahead[..length], self.line_bytes_max)
        {
            length = (length * 2).min(ahead.len());
        }
        self.head = ahead[..length].to_vec();
        whole_lines(&self.head, length == ahead.len())
    }

    /// Cuts the next piece and copies it into the buffer.
    ///
    /// What is mapped can change at any time, and nobody who reads lines expects a byte to be another when it is
    /// looked at again: they are given a copy that stays as it is. It takes a fiftieth of the time that parsing
    /// takes. Only a piece with a line that is too long anyway is left where it is, so as not to take its memory.
    fn next(&self, buffer: &mut Buffer) -> Option<Cut> {
        loop {
            if self.mapping.fault().is_some() {
                return None;
            }
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let range = self.range(index)?;
            // An empty first piece still carries the gap of a log that is nothing but a gap.
            if range.is_empty() && index > 0 {
                continue;
            }
            buffer.clear();
            if range.len() <= self.chunk_bytes + self.line_bytes_max + 2 {
                self.mapping.read(range.clone(), |bytes| buffer.push(bytes));
                if self.mapping.fault().is_some() {
                    return None;
                }
            }
            return Some(Cut {
                index,
                offset: range.start as u64,
                gap_bytes: if index == 0 { self.gap_bytes } else { 0 },
                long: None,
                taken: (range.len() + if index == 0 { self.start - self.base } else { 0 }) as u64,
                range,
                line_bytes_max: self.line_bytes_max,
                directive: None,
                has_gaps: true,
            });
        }
    }

    /// See [`Feed::drain`].
    fn drain(&mut self, buffer: &mut Buffer) -> bool {
        let bytes = self.mapping.bytes();
        let index = self.next.get_mut();
        let low = index.saturating_mul(self.chunk_bytes).min(bytes.len());
        let high = low.saturating_add(self.chunk_bytes).min(bytes.len());
        *index += 1;
        buffer.push(&bytes[low..high]);
        low < high && self.mapping.fault().is_none()
    }

    /// The lines that begin in range `index`, from the first one's beginning to the last one's end.
    /// Empty if none does. None after the last range.
    fn range(&self, index: usize) -> Option<Range<usize>> {
        let bytes = &self.mapping.bytes()[..self.end];
        let low = index.checked_mul(self.chunk_bytes)?.checked_add(self.start)?;
        if index > 0 && low >= bytes.len() {
            return None;
        }
        let high = low.saturating_add(self.chunk_bytes).min(bytes.len());
        let from = if index == 0 {
            low
        } else {
            // Only this range is searched: of a line that spans many, each looks at its own share.
            match memchr(b'\n', &bytes[low - 1..high - 1]) {
                Some(at) => low + at,
                None => return Some(low..low),
            }
        };
        if from == high {
            return Some(from..from);
        }
        let until = memchr(b'\n', &bytes[high - 1..]).map_or(bytes.len(), |at| high + at);
        Some(from..until)
    }
}

/// A log that comes as a stream, with at most one unfinished line carried from piece to piece.
pub(super) struct Stream {
    source: Source,
    /// Where reading begins.
    base: u64,
    /// Behind the last piece.
    cut: u64,
    /// Whether an unfinished last line is left to another time.
    is_resumable: bool,
    /// Whether one was.
    is_unfinished: bool,
    /// Of documents of which the last is not all there: where the one before it ends.
    whole: Option<u64>,
    members: Arc<Members>,
    /// Whether what lies ahead is decoded by others. Not before the first piece: a log that is only looked at takes
    /// little memory.
    is_planned: bool,
    /// The bytes after the last newline of the piece before: the beginning of a line, without a newline.
    carry: Buffer,
    /// Of the next piece.
    index: usize,
    offset: u64,
    /// NULs dropped before that offset since the line before ended.
    gap_bytes: u64,
    /// See [`Cut::taken`].
    taken: u64,
    chunk_bytes: usize,
    line_bytes_max: usize,
    framing: Framed,
    /// Framed already, to be given before the source is asked.
    framed: Buffer,
    /// What the source gave last, before it was framed.
    unframed: Buffer,
}

/// How far a stream is framed.
enum Framed {
    Lines,
    /// The beginning of directives, and the last one so far.
    Directives(&'static [u8], Option<Arc<[u8]>>),
    /// The first line that is not blank, once it was seen.
    Header(Option<Arc<[u8]>>),
    /// None once the log has ended.
    Records(Option<Box<Records>>),
}

impl Stream {
    pub(super) fn new(source: Source, options: &Options, line_bytes_max: usize) -> Stream {
        // What was just decoded is still in a cache that way when it is parsed.
        let chunk_bytes = match source.compression() {
            Some(_) => options.chunk_bytes.min(DECODED_CHUNK_BYTES),
            None => options.chunk_bytes,
        };
        Stream {
            carry: Buffer::default(),
            index: 0,
            base: 0,
            is_resumable: options.resumable,
            cut: 0,
            is_unfinished: false,
            whole: None,
            offset: source.offset(),
            gap_bytes: 0,
            taken: 0,
            source,
            members: Arc::default(),
            is_planned: false,
            chunk_bytes: chunk_bytes.max(1),
            line_bytes_max,
            framing: Framed::Lines,
            framed: Buffer::default(),
            unframed: Buffer::default(),
        }
    }

    /// Begins somewhere else than at the beginning: where the source is, or further on. Whether what is passed is what must
    /// lie there.
    pub(super) fn begin(&mut self, start: &Start, is_there: bool) -> bool {
        let is_print = |ends: Ends| start.print == Print::of_ends(&ends.head, &ends.tail);
        if !is_there && !self.source.pass(start.offset).is_some_and(is_print) {
            return false;
        }
        self.base = start.offset;
        self.offset = start.offset;
        self.cut = start.offset;
        true
    }

    /// Where what was read ends.
    fn end(&self) -> u64 {
        if self.is_unfinished { self.cut } else { self.source.decoded() }
    }

    /// See [`Feed::until`]. Reading can't go on from within a document.
    fn until(&self) -> Option<Until> {
        let until = self.source.until()?;
        let offset = self.whole.map_or(until.offset, |whole| whole.min(until.offset));
        Some(Until { offset, ..until })
    }

    /// Only before the first piece. `directive` is the last one before it.
    pub(super) fn frame(&mut self, framing: Framing, directive: Option<&[u8]>) {
        let directive = directive.map(Arc::from);
        self.framing = match framing {
            Framing::Lines => Framed::Lines,
            Framing::Directives(beginning) => Framed::Directives(beginning, directive),
            Framing::Header => Framed::Header(directive),
            Framing::Records(names) => {
                Framed::Records(Some(Box::new(Records::new(&names, self.line_bytes_max))))
            }
        };
    }

    /// Appends about `wanted` bytes, framed; none only at the end.
    fn append(&mut self, buffer: &mut Buffer, wanted: usize) -> usize {
        let Framed::Records(records) = &mut self.framing else {
            return self.source.append(buffer, wanted);
        };
        while self.framed.is_empty() {
            let Some(framer) = records else { return 0 };
            self.unframed.clear();
            if self.source.append(&mut self.unframed, wanted) > 0 {
                framer.push(&self.unframed, &mut self.framed);
            } else {
                self.whole = Some(self.base + framer.whole()).filter(|_| !framer.is_between());
                if self.is_resumable && !framer.is_between() {
                    // What ends early by its own fault may stay so: then what lies before counts.
                    if !self.source.ended_early() {
                        self.source.leave("ends within a record or a document that holds some");
                    }
                } else if framer.finish(&mut self.framed) {
                    self.source.fail("ended within a document that holds records");
                }
                *records = None;
            }
        }
        let count = self.framed.len();
        buffer.push(&self.framed);
        self.framed.clear();
        count
    }

    /// Takes back bytes that were appended last.
    fn give_back(&mut self, bytes: &[u8]) {
        match &self.framing {
            Framed::Records(_) => self.framed.push(bytes),
            Framed::Lines | Framed::Directives(..) | Framed::Header(_) => {
                self.source.give_back(bytes)
            }
        }
    }

    /// The last directive before the piece in `buffer`, whose own are noted for the next one.
    fn directive(&mut self, buffer: &[u8]) -> Option<Arc<[u8]>> {
        let buffer = match self.offset {
            0 => buffer.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(buffer),
            _ => buffer,
        };
        let (last, found) = match &mut self.framing {
            Framed::Directives(beginning, last) => {
                let mut all = memmem::rfind_iter(buffer, *beginning);
                (last, all.find(|&at| at == 0 || buffer[at - 1] == b'\n'))
            }
            Framed::Header(last) => {
                // What is blank is as for all lines: NULs around one are a gap, and one carriage return ends it.
                let mut at = 0;
                let mut first = None;
                for line in buffer.split(|b| *b == b'\n') {
                    let content = &line[leading_nuls(line)..];
                    let end = content.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                    let content = content[..end].strip_suffix(b"\r").unwrap_or(&content[..end]);
                    if first.is_none() && !content.iter().all(|b| matches!(b, b' ' | b'\t')) {
                        first = Some(at);
                        break;
                    }
                    at += line.len() + 1;
                }
                let found = if last.is_some() { None } else { first };
                (last, found)
            }
            Framed::Lines | Framed::Records(_) => return None,
        };
        let before = last.clone();
        if let Some(at) = found {
            let line = &buffer[at..];
            let end = memchr(b'\n', line).unwrap_or(line.len());
            let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
            let nuls = line.iter().take_while(|b| **b == 0).count();
            *last = Some(Arc::from(&line[nuls..]));
        }
        before
    }

    /// Only before the first piece.
    pub(super) fn head(&mut self) -> &[u8] {
        let mut length = HEAD_BYTES;
        loop {
            self.source.look_ahead(length);
            let nuls = leading_nuls(self.source.ahead());
            if nuls > 0 {
                self.source.skip(nuls);
                self.offset += nuls as u64;
                self.gap_bytes += nuls as u64;
            } else if length >= HEAD_BYTES_MAX
                || self.source.ended()
                || has_usable_line(self.source.ahead(), self.line_bytes_max)
            {
                break;
            } else {
                length *= 2;
            }
        }
        let ahead = self.source.ahead();
        match self.is_resumable && self.source.may_grow() {
            // The beginning of a line looks like another line.
            true => &ahead[..memrchr(b'\n', ahead).map_or(0, |at| at + 1)],
            false => whole_lines(ahead, self.source.ended()),
        }
    }

    /// See [`Feed::drain`].
    fn drain(&mut self, buffer: &mut Buffer) -> bool {
        // First what opening and looking at the head have passed over: a byte order mark, then NULs.
        if self.offset > self.gap_bytes {
            buffer.push(BYTE_ORDER_MARK);
            self.offset = self.gap_bytes;
            return true;
        }
        if self.gap_bytes > 0 {
            let count = usize::try_from(self.gap_bytes)
                .map_or(self.chunk_bytes, |gap| gap.min(self.chunk_bytes));
            buffer.room(count).fill(0);
            buffer.advance(count);
            self.gap_bytes -= count as u64;
            self.offset = self.gap_bytes;
            return true;
        }
        self.source.append(buffer, self.chunk_bytes) > 0
    }

    fn next(&mut self, buffer: &mut Buffer) -> Option<Cut> {
        if !self.is_planned {
            self.is_planned = true;
            if let Some(compression) = self.source.compression() {
                let bounds = Bounds::for_threads(rayon::current_num_threads(), compression);
                self.source.plan_early(&self.members, bounds);
            }
        }
        buffer.clear();
        buffer.push(&self.carry);
        self.carry.clear();
        let mut searched = buffer.len();
        loop {
            let wanted = match self.chunk_bytes.saturating_sub(buffer.len()) {
                0 => self.chunk_bytes,
                missing => missing,
            };
            if self.append(buffer, wanted) == 0 {
                if self.leaves_unfinished() {
                    self.is_unfinished = true;
                    self.gap_bytes = 0;
                    return None;
                }
                let is_end = buffer.is_empty() && self.gap_bytes == 0;
                return (!is_end).then(|| self.cut(buffer, buffer.len() as u64, None));
            }
            // A gap may be longer than memory, so NULs before a line are dropped as they come.
            if buffer[0] == 0 {
                let nuls = leading_nuls(buffer);
                buffer.drop_front(nuls);
                self.offset += nuls as u64;
                self.gap_bytes += nuls as u64;
                searched = searched.saturating_sub(nuls);
            }
            if let Some(at) = memrchr(b'\n', &buffer[searched..]) {
                let end = searched + at + 1;
                self.carry.push(&buffer[end..]);
                buffer.truncate(end);
                return Some(self.cut(buffer, end as u64, None));
            }
            searched = buffer.len();
            if searched > self.chunk_bytes.max(self.line_bytes_max) {
                return self.long(buffer);
            }
        }
    }

    /// Reads to its end the line of which `buffer` holds the beginning, keeping only what counts.
    fn long(&mut self, buffer: &mut Buffer) -> Option<Cut> {
        let mut long = Long::new();
        long.push(buffer);
        buffer.truncate(self.line_bytes_max);
        let mut more = Buffer::default();
        let mut newline = None;
        while newline.is_none() {
            more.clear();
            if self.append(&mut more, self.chunk_bytes) == 0 {
                break;
            }
            newline = memchr(b'\n', &more);
            let end = newline.unwrap_or(more.len());
            long.push(&more[..end]);
            if newline.is_some() {
                self.give_back(&more[end + 1..]);
            }
        }
        if newline.is_none() && self.leaves_unfinished() {
            self.is_unfinished = true;
            self.gap_bytes = 0;
            return None;
        }
        Some(self.cut(buffer, long.seen() + u64::from(newline.is_some()), Some(long)))
    }

    /// Whether a line without an end is left to another time, the log having ended.
    fn leaves_unfinished(&self) -> bool {
        let is_of_lines = !matches!(self.framing, Framed::Records(_));
        self.is_resumable && is_of_lines && self.source.may_grow()
    }

    /// The next `bytes` of the input become a piece, of which `buffer` holds what is kept.
    fn cut(&mut self, buffer: &[u8], bytes: u64, long: Option<Long>) -> Cut {
        let taken = self.source.taken();
        let has_gaps = !matches!(self.framing, Framed::Records(_));
        let cut = Cut {
            index: self.index,
            offset: self.offset,
            gap_bytes: if has_gaps { self.gap_bytes } else { 0 },
            long,
            range: 0..0,
            line_bytes_max: self.line_bytes_max,
            directive: self.directive(buffer),
            has_gaps,
            taken: taken - self.taken,
        };
        self.index += 1;
        self.offset += bytes;
        self.cut = self.offset;
        self.gap_bytes = 0;
        self.taken = taken;
        cut
    }
}

/// Whether some line of a head, the last one aside if it is unfinished, is neither blank nor too long.
fn has_usable_line(head: &[u8], line_bytes_max: usize) -> bool {
    let mut start = 0;
    memchr_iter(b'\n', head).any(|end| {
        let line = &head[start..end];
        start = end + 1;
        line.len() <= line_bytes_max && !line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | 0))
    })
}

/// Cuts the beginning of a log after its last newline, unless it is all there is or has none.
fn whole_lines(head: &[u8], is_all: bool) -> &[u8] {
    match memrchr(b'\n', head) {
        Some(at) if !is_all => &head[..=at],
        _ => head,
    }
}
