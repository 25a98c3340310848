//! The only room that touches logs: finds, recognises, decompresses, maps or reads them, and cuts them
//! into pieces of whole lines.
//!
//! What a line is and where it lies is the same however a log is read: mapped or not, compressed or not,
//! whatever the size of the pieces and the number of threads. Formats, calls and counts are unknown here.
//!
//! In reading order: [`find()`] says which files a pattern means, [`Input::open`] recognises one, and
//! [`Input::fold`] or [`Input::for_each_in_order`] hands out its pieces, each with its [`Line`]s.

mod buffer;
mod cut;
mod find;
mod flaw;
mod grown;
mod gzip;
mod lines;
mod look;
mod mapping;
mod members;
mod print;
mod records;
mod source;
mod window;
mod zstd;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use rayon::prelude::*;

use self::buffer::Buffer;
use self::cut::{Cut, Feed, Mapped, ReadTo, Stream, Turns};
use self::mapping::Mapping;
use self::source::{Raw, Source};
use crate::error::{Error, Result};
use crate::limits;

pub use self::find::{Findings, Found, Place, find, once, resolved, would_find};
pub use self::grown::Grown;
pub use self::lines::{Line, Lines, Piece};
pub use self::look::{
    Compared, Held, Holds, Look, begins_with, compare, digest, spans, until, whole,
};
pub use self::print::{Packed, Print};
pub use self::source::Compression;

/// Whether plain regular files are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// Those of at least [`limits::MAP_BYTES_MIN`] are, where that works.
    #[default]
    Auto,
    /// All are.
    Mmap,
    /// None is.
    Read,
}

/// How a log is read. None of it changes what is read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Mapped or read.
    pub io: Io,
    /// About how many decompressed bytes a piece holds; 1 gives a piece for each line.
    pub chunk_bytes: usize,
    /// Whether to compute the BLAKE3 digest of the log as it lies.
    pub digest: bool,
    /// Whether reading goes on another time: then an unfinished last line is left, unless the log is compressed to its
    /// end, and [`Outcome::mark`] tells where.
    pub resumable: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { io: Io::Auto, chunk_bytes: limits::CHUNK_BYTES, digest: false, resumable: false }
    }
}

/// Where reading of a log begins, and where it ends if it ends early. The default is all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Offset of a line, decompressed.
    pub offset: u64,
    /// The last directive before it, where the log's framing has such.
    pub directive: Option<Vec<u8>>,
    /// What must lie before it, or it is another log.
    pub print: Print,
    /// What was hashed of it before, if it is not compressed.
    pub grown: Grown,
    /// How far it can be relied on, where it is known that its compression ends early: it is read no further.
    pub until: Option<Until>,
}

impl Start {
    /// How far is read: what lies before the beginning was read already.
    fn reliable(&self) -> Option<Until> {
        let until = self.until.clone()?;
        Some(Until { offset: until.offset.max(self.offset), ..until })
    }
}

/// How far a log can be relied on whose compression is cut short or corrupt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    /// Decompressed bytes that are what was compressed.
    pub offset: u64,
    /// All that could be decompressed.
    pub decoded: u64,
    /// Why that is not all, in words that follow the log's name.
    pub reason: String,
}

/// What makes a line of a log's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Framing {
    /// Newlines.
    #[default]
    Lines,
    /// Newlines, and lines that begin with this one say how those after them are to be read: each
    /// piece comes with the last of them before it.
    Directives(&'static [u8]),
    /// Newlines, and the first line that is not blank says how those after it are to be read: each piece behind it comes
    /// with it.
    Header,
    /// Records of JSON documents: the elements of an array, which may stand in an object under one of these
    /// names; an object without such an array is a record itself.
    Records(Vec<String>),
}

/// What came of reading a log.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the pieces were folded into; the empty value if the log shrank.
    pub value: T,
    /// Decompressed bytes, all that were read: 0 if the log shrank.
    pub bytes: u64,
    /// BLAKE3 of the log as it lies, in hex, if asked for. None if it shrank or reading was broken off.
    pub digest: Option<String>,
    /// Why the log is not complete.
    pub fault: Option<Fault>,
    /// How far it can be relied on, if that is because of its compression.
    pub until: Option<Until>,
    /// How far it was read, if that was asked for; none of a log of which nothing counts.
    pub mark: Option<Mark>,
}

/// How far a log was read, and by what it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Behind the last line read, in decompressed bytes.
    pub end: u64,
    /// Bytes behind it that were left.
    pub pending_bytes: u64,
    /// The last directive before the end.
    pub directive: Option<Vec<u8>>,
    /// What lies before the end.
    pub print: Print,
    /// What was hashed of the log, if it is not compressed and a digest was asked for.
    pub grown: Grown,
    /// Of a log that is compressed: all of it as it lies.
    pub packed: Option<Packed>,
    /// What is wrong with it, if its compression ends early.
    pub flawed: Option<Flawed>,
    /// Device and inode, where there are such: a hint.
    pub file: Option<(u64, u64)>,
}

/// A log whose compression is cut short or corrupt, as it was when that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flawed {
    /// Why, in words that follow its name.
    pub reason: String,
    /// BLAKE3 of all of it as it lies. Its ends alone may stay as they are when it is mended.
    pub blake3: [u8; 32],
}

/// Why a log is not complete, in words that follow its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Its compression is cut short or corrupt, or reading failed midway. What was read counts.
    EndedEarly(String),
    /// It shrank while it was read. Nothing of it counts.
    Shrank(String),
    /// Reading goes on another time, and can't from where this ends: nothing counts yet.
    Unfinished(String),
    /// Reading goes on another time, and what was read can't be relied on further than that. Nothing counts before it is read
    /// again, no further.
    Unsound(Until),
}

impl Fault {
    /// The words.
    pub fn reason(&self) -> &str {
        match self {
            Fault::EndedEarly(reason) | Fault::Shrank(reason) | Fault::Unfinished(reason) => reason,
            Fault::Unsound(until) => &until.reason,
        }
    }

    /// Whether nothing of the log counts.
    pub fn is_void(&self) -> bool {
        matches!(self, Fault::Shrank(_) | Fault::Unfinished(_) | Fault::Unsound(_))
    }
}

/// An open log, none of whose lines were handed out yet.
pub struct Input {
    feed: Feed,
    compression: Option<Compression>,
    size: Option<u64>,
    /// Whether one piece may hold all of it.
    is_small: bool,
    /// Of a regular file.
    version: Option<Version>,
    start: Start,
    /// The file once more, where its ends are to be looked at when it was read.
    file: Option<File>,
    /// Whether a digest of it was asked for.
    digest: bool,
}

/// Which file it was that was opened, and how much of it there was: all that is read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Device and inode, where there are such.
    file: Option<(u64, u64)>,
    bytes: u64,
    /// None: whenever. It changes a moment before the size does, where somebody writes.
    modified: Option<std::time::SystemTime>,
}

impl Version {
    fn of(metadata: &std::fs::Metadata) -> Version {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt as _;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let file = None;
        Version { file, bytes: metadata.len(), modified: metadata.modified().ok() }
    }

    /// Whether what is there now is that file, with more behind it at most.
    fn is_continued_by(&self, now: &Version) -> bool {
        let is_same =
            now.bytes == self.bytes && (self.modified.is_none() || now.modified == self.modified);
        now.file == self.file && (is_same || now.bytes > self.bytes)
    }
}

impl Input {
    /// Opens and recognises a log. Of a regular file only what it holds now will be read.
    ///
    /// # Errors
    /// Where it cannot be opened or its first bytes cannot be read, or cannot be mapped under [`Io::Mmap`].
    pub fn open(found: &Found, options: &Options) -> Result<Input> {
        Input::open_within(found, options, &Start::default(), None, limits::LINE_BYTES_MAX)
    }

    /// Opens a log to read it from somewhere else than its beginning.
    ///
    /// # Errors
    /// As [`Input::open`], and where what lies before that is not what lay there.
    pub fn open_at(found: &Found, options: &Options, start: &Start) -> Result<Input> {
        Input::open_within(found, options, start, None, limits::LINE_BYTES_MAX)
    }

    /// Opens a log once more, to read of it what it held when it was opened before.
    ///
    /// # Errors
    /// As [`Input::open`], and where it is another file by now, or has changed otherwise than by growing.
    pub fn open_again(
        found: &Found,
        options: &Options,
        start: &Start,
        before: &Version,
    ) -> Result<Input> {
        Input::open_within(found, options, start, Some(before), limits::LINE_BYTES_MAX)
    }

    /// Opens with a limit of its own to the length of lines, so that tests reach it with few bytes.
    fn open_within(
        found: &Found,
        options: &Options,
        start: &Start,
        before: Option<&Version>,
        line_bytes_max: usize,
    ) -> Result<Input> {
        let in_words = |error| Error::io(&found.shown, error);
        match &found.place {
            Place::Stdin => {
                let reader = Box::new(io::stdin());
                Input::from_reader_within(reader, options, line_bytes_max).map_err(in_words)
            }
            Place::File(path) => {
                let file = File::open(path).map_err(in_words)?;
                let metadata = file.metadata().map_err(in_words)?;
                if metadata.is_dir() {
                    return Err(Error::new(format!("{}: is a folder, not a log", found.shown)));
                }
                let mut version = metadata.is_file().then(|| Version::of(&metadata));
                if let Some(before) = before {
                    if version.is_none_or(|version| !before.is_continued_by(&version)) {
                        let shown = &found.shown;
                        return Err(Error::new(format!("{shown}: is another file than before")));
                    }
                    let modified = before.modified.or(version.and_then(|now| now.modified));
                    version = Some(Version { modified, ..*before });
                }
                let size = version.map(|version| version.bytes);
                let again = match options.resumable {
                    true => Some(file.try_clone().map_err(in_words)?),
                    false => None,
                };
                let input = Input::from_file(file, size, start, options, line_bytes_max);
                let input = input.map_err(in_words)?;
                input
                    .map(|input| Input {
                        version,
                        file: again,
                        start: start.clone(),
                        digest: options.digest,
                        ..input
                    })
                    .ok_or_else(|| {
                        let (shown, offset) = (&found.shown, start.offset);
                        Error::new(format!(
                            "{shown}: what was read of it, {offset} bytes, is not what lies there now"
                        ))
                    })
            }
        }
    }

    /// A log that comes from elsewhere.
    ///
    /// # Errors
    /// Where its first bytes cannot be read.
    pub fn from_reader(reader: Box<dyn Read + Send>, options: &Options) -> io::Result<Input> {
        Input::from_reader_within(reader, options, limits::LINE_BYTES_MAX)
    }

    fn from_reader_within(
        reader: Box<dyn Read + Send>,
        options: &Options,
        line_bytes_max: usize,
    ) -> io::Result<Input> {
        let raw = Raw::open(reader, None, options.digest)?;
        let compression = Compression::recognise(raw.first());
        Input::stream(raw, compression, None, None, options, line_bytes_max)
    }

    /// A log that was decompressed already: whatever its first bytes look like, it is taken as it is.
    ///
    /// # Errors
    /// Where its first bytes cannot be read.
    pub fn from_plain(reader: Box<dyn Read + Send>, options: &Options) -> io::Result<Input> {
        let raw = Raw::open(reader, None, options.digest)?;
        Input::stream(raw, None, None, None, options, limits::LINE_BYTES_MAX)
    }

    /// `size`: of a regular file. None where what lies before the start is not what must.
    fn from_file(
        mut file: File,
        size: Option<u64>,
        start: &Start,
        options: &Options,
        line_bytes_max: usize,
    ) -> io::Result<Option<Input>> {
        let mappable = size
            .filter(|size| match options.io {
                Io::Auto => size.saturating_sub(start.offset) >= limits::MAP_BYTES_MIN,
                Io::Mmap => *size > 0,
                Io::Read => false,
            })
            .and_then(|size| usize::try_from(size).ok());
        let again =
            mappable.map(|length| file.try_clone().map(|file| (file, length))).transpose()?;
        let mut base = 0;
        if start.offset > 0 {
            // From its beginning it is told what it is; then what comes before the start is passed over.
            let first = print::block(&mut file, 0, source::FIRST_BYTES as u64)?;
            if Compression::recognise(&first).is_none() {
                if size.is_none_or(|size| size < start.offset)
                    || !start.print.is_of_plain(&mut file, start.offset)?
                {
                    return Ok(None);
                }
                base = start.offset;
            }
            file.seek(SeekFrom::Start(base))?;
        }
        let left = size.map(|size| size - base);
        let raw = Raw::open_at(Box::new(file), base, left, options.digest)?;
        let compression = match base {
            0 => Compression::recognise(raw.first()),
            _ => None,
        };
        let from_start = usize::try_from(start.offset).ok().filter(|_| compression.is_none());
        let mapped = again.zip(from_start);
        let Some(((file, length), from)) = mapped else {
            let input =
                Input::stream(raw, compression, size, start.reliable(), options, line_bytes_max)?;
            return input.after(start, base);
        };
        match Mapping::new(file, length) {
            Ok(mapping) => Ok(Some(Input {
                feed: Feed::Mapped(Mapped::new(mapping, from, options, line_bytes_max)),
                compression: None,
                size,
                version: None,
                is_small: length - from <= options.chunk_bytes,
                start: Start::default(),
                file: None,
                digest: false,
            })),
            // Not every file system can map; all can be read.
            Err(_) if options.io == Io::Auto => {
                let input = Input::stream(
                    raw,
                    compression,
                    size,
                    start.reliable(),
                    options,
                    line_bytes_max,
                )?;
                input.after(start, base)
            }
            Err(error) => Err(error),
        }
    }

    /// The stream, with what lies before the start passed over, if it begins `base` bytes into the log; none if that is not
    /// what must lie there.
    fn after(mut self, start: &Start, base: u64) -> io::Result<Option<Input>> {
        if let (Feed::Stream(turns), true) = (&mut self.feed, start.offset > 0)
            && !turns.get_mut().begin(start, base > 0)
        {
            return Ok(None);
        }
        Ok(Some(self))
    }

    fn stream(
        raw: Raw,
        compression: Option<Compression>,
        size: Option<u64>,
        until: Option<Until>,
        options: &Options,
        line_bytes_max: usize,
    ) -> io::Result<Input> {
        let is_small =
            compression.is_none() && size.is_some_and(|size| size <= options.chunk_bytes as u64);
        let keeps_ends = options.resumable && compression.is_some();
        let source = Source::new(raw, compression, keeps_ends, until)?;
        let stream = Stream::new(source, options, line_bytes_max);
        Ok(Input {
            feed: Feed::Stream(Box::new(Turns::new(stream))),
            compression,
            size,
            is_small,
            version: None,
            start: Start::default(),
            file: None,
            digest: false,
        })
    }

    /// The same log with another framing, before any piece of it was handed out. One that is mapped is opened again, to be
    /// read from its beginning: what comes before a byte says what it is.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn framed(self, framing: Framing, found: &Found, options: &Options) -> Result<Input> {
        if framing == Framing::Lines {
            return Ok(self);
        }
        let mut input = match &self.feed {
            Feed::Stream(_) => self,
            Feed::Mapped(_) => {
                let (options, before) = (Options { io: Io::Read, ..*options }, self.version);
                let (start, before) = (&self.start, before.as_ref());
                Input::open_within(found, &options, start, before, limits::LINE_BYTES_MAX)?
            }
        };
        if let Feed::Stream(turns) = &mut input.feed {
            turns.get_mut().frame(framing, input.start.directive.as_deref());
        }
        Ok(input)
    }

    /// The head of a log, as far as its end, with another framing.
    pub fn framed_head<'h>(head: &'h [u8], framing: &Framing) -> Cow<'h, [u8]> {
        let Framing::Records(names) = framing else { return Cow::Borrowed(head) };
        let mut records = records::Records::new(names, limits::LINE_BYTES_MAX);
        let mut framed = Buffer::default();
        records.push(head, &mut framed);
        Cow::Owned(framed.to_vec())
    }

    /// Which file it is; none where it can be read but once.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// How the log is compressed, if it is.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Bytes of the log as it lies: what progress adds up to. None where only its end will tell.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Whether it was seen to shrink already. Whatever [`Input::head`] gave is then worthless, and what is read
    /// to the end will say so.
    pub fn is_lost(&self) -> bool {
        self.feed.is_lost()
    }

    /// The first lines, decompressed: up to [`limits::HEAD_BYTES`], from the first byte that belongs to a
    /// line, to the end of a line. Where none of these lines could be a call, since all are blank or too long, up to
    /// [`limits::HEAD_BYTES_MAX`]. (Where the first line alone is longer: its beginning.) Nothing is lost by
    /// looking, also of a pipe.
    pub fn head(&mut self) -> &[u8] {
        match &mut self.feed {
            Feed::Mapped(mapped) => mapped.head(),
            Feed::Stream(turns) => turns.get_mut().head(),
        }
    }

    /// Whether the log is known to have ended early before the end of its first line. Only after [`Input::head`].
    pub fn ended_in_first_line(&self) -> bool {
        self.feed.ended_in_first_line()
    }

    /// Whether its first lines may be other than what was compressed. Only after [`Input::head`].
    pub fn is_corrupt(&self) -> bool {
        self.feed.is_corrupt()
    }

    /// Folds all pieces, in parallel on the current thread pool and in no particular order: each worker adds pieces to a
    /// value of its own that begins as `empty`, and is `done` with it at the end. What comes of that is a commutative monoid
    /// with `merge`. At most one value for each thread exists besides the merged one.
    ///
    /// `progress` is told how many more bytes of the log as it lies were used.
    pub fn fold<W, T: Send>(
        self,
        progress: &(dyn Fn(u64) + Sync),
        empty: impl Fn() -> W + Sync,
        each: impl Fn(&mut W, Piece<'_>) + Sync,
        done: impl Fn(W) -> T + Sync,
        merge: impl Fn(T, T) -> T + Sync,
    ) -> Outcome<T> {
        // Each worker takes pieces until there are none. None waits for another while it holds the feed, so
        // whatever else the pool does meanwhile, this comes to an end.
        let work = || {
            let mut value = None;
            let mut buffer = Buffer::default();
            while let Some(cut) = self.feed.next(&mut buffer) {
                each(value.get_or_insert_with(&empty), self.feed.piece(&cut, &buffer));
                progress(cut.taken);
            }
            value.map(&done)
        };
        let workers = if self.is_small { 1 } else { rayon::current_num_threads() };
        let value = if workers == 1 {
            work()
        } else {
            (0..workers).into_par_iter().with_max_len(1).filter_map(|_| work()).reduce_with(&merge)
        };
        let (digest, fault) = self.feed.finish();
        let void = |fault| Outcome {
            value: done(empty()),
            bytes: 0,
            digest: None,
            fault: Some(fault),
            until: None,
            mark: None,
        };
        let until = self.feed.until();
        match (fault.as_ref(), self.file.as_ref()) {
            (Some(fault), _) if fault.is_void() => return void(fault.clone()),
            (Some(fault), Some(_)) => match &until {
                // It may be read better another time.
                None => return void(Fault::Unfinished(fault.reason().to_owned())),
                Some(until) => {
                    let reliable = self.reliable(until);
                    if self.feed.read_to().end > reliable.offset {
                        return void(Fault::Unsound(reliable));
                    }
                }
            },
            _ => {}
        }
        let (bytes, file) = (self.feed.bytes(), self.file.as_ref());
        let (mark, digest) = match file {
            None => (None, digest),
            Some(file) => match self.mark(file, digest, until.as_ref()) {
                Ok((mark, digest)) => (Some(mark), digest),
                Err(error) => return void(Fault::Unfinished(crate::error::io_words(&error))),
            },
        };
        let value = value.unwrap_or_else(|| done(empty()));
        Outcome { value, bytes, digest, fault, until, mark }
    }

    /// How far of a log that ends early it counts.
    ///
    /// What holds less than tells it from others may be the beginning of one that is read under another name: somebody may just
    /// be compressing that. Nothing of it counts before there is more.
    fn reliable(&self, until: &Until) -> Until {
        let is_too_short = self.start.offset == 0
            && self.feed.read_to().end < limits::REPEATED_FILE_BYTES_MIN as u64;
        let offset = if is_too_short { 0 } else { until.offset.max(self.start.offset) };
        Until { offset, ..until.clone() }
    }

    /// How far it was read, and its digest, which is `digest` if it is compressed.
    fn mark(
        &self,
        file: &File,
        digest: Option<String>,
        until: Option<&Until>,
    ) -> io::Result<(Mark, Option<String>)> {
        let ReadTo { end, pending_bytes, directive, ends } = self.feed.read_to();
        let mut file = file;
        let (print, packed) = match ends {
            Some(ends) => {
                // Of one that ends early more was decompressed than counts.
                let print = match until {
                    None => Print::of_ends(&ends.head, &ends.tail),
                    Some(_) => print_before(file, self.size, end)?,
                };
                (print, Some(Packed::of(&mut file, self.size.unwrap_or(0))?))
            }
            None => (Print::of_plain(&mut file, end)?, None),
        };
        let pending_bytes = until.map_or(pending_bytes, |until| until.decoded.saturating_sub(end));
        let (digest, grown) = match self.size {
            // What was there before need not be read again.
            Some(size) if self.digest && packed.is_none() => {
                let (hash, grown) = self.start.grown.grow(&mut file, end, size)?;
                (Some(hash.to_hex().to_string()), grown)
            }
            _ => (digest, Grown::default()),
        };
        let file = self.version.and_then(|version| version.file);
        let blake3 = || blake3::Hash::from_hex(digest.as_deref()?).ok().map(blake3::Hash::into);
        let flawed = until
            .and_then(|until| Some(Flawed { reason: until.reason.clone(), blake3: blake3()? }));
        let mark = Mark { end, pending_bytes, directive, print, grown, packed, flawed, file };
        Ok((mark, digest))
    }

    /// Hands over all decompressed bytes in order, a byte order mark included, until `sink` breaks it off. How they are
    /// framed does not matter.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn drain(
        mut self,
        mut sink: impl FnMut(&[u8]) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<Outcome<()>> {
        let mut buffer = Buffer::default();
        while self.feed.drain(&mut buffer) {
            if sink(&buffer)?.is_break() {
                return Ok(Outcome {
                    value: (),
                    bytes: self.feed.bytes(),
                    digest: None,
                    fault: None,
                    until: None,
                    mark: None,
                });
            }
        }
        let (digest, fault) = self.feed.finish();
        let (bytes, until) = (self.feed.bytes(), self.feed.until());
        Ok(Outcome { value: (), bytes, digest, fault, until, mark: None })
    }

    /// All decompressed bytes in order, as [`Input::drain`] hands them over; what ends early simply ends.
    fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(Drained { input: self, buffer: Buffer::default(), start: 0 })
    }

    /// Maps pieces in parallel on the current thread pool and hands the results over in file order, until `sink`
    /// breaks it off.
    ///
    /// What was handed over before a log was seen to shrink cannot be taken back; the fault then says so.
    pub fn for_each_in_order<R: Send>(
        self,
        progress: &(dyn Fn(u64) + Sync),
        each: impl Fn(Piece<'_>) -> R + Sync,
        mut sink: impl FnMut(R) -> ControlFlow<()>,
    ) -> Outcome<()> {
        let feed = &self.feed;
        let width = if self.is_small { 1 } else { rayon::current_num_threads() };
        let fill = |spare: Window| -> Window {
            let buffers = spare.into_iter().map(|(buffer, _)| buffer);
            let buffers = buffers.chain(std::iter::repeat_with(Buffer::default)).take(width);
            buffers
                .map_while(|mut buffer| feed.next(&mut buffer).map(|cut| (buffer, cut)))
                .collect()
        };
        let mut window = fill(Vec::new());
        let mut spare = Vec::new();
        while !window.is_empty() {
            // The next window is read while this one is worked on.
            let (results, next) = rayon::join(
                || -> Vec<R> {
                    let pieces = window.par_iter();
                    let results =
                        pieces.map(|(buffer, cut)| each(feed.piece(cut, buffer))).collect();
                    feed.help();
                    results
                },
                || fill(std::mem::take(&mut spare)),
            );
            if feed.is_lost() {
                break;
            }
            for result in results {
                if sink(result).is_break() {
                    return Outcome {
                        value: (),
                        bytes: feed.bytes(),
                        digest: None,
                        fault: None,
                        until: None,
                        mark: None,
                    };
                }
            }
            progress(window.iter().map(|(_, cut)| cut.taken).sum());
            spare = std::mem::replace(&mut window, next);
        }
        let (digest, fault) = feed.finish();
        let bytes = if matches!(fault, Some(Fault::Shrank(_))) { 0 } else { feed.bytes() };
        Outcome { value: (), bytes, digest, fault, until: feed.until(), mark: None }
    }
}

/// The print of what lies before `end` in a compressed file of that size.
fn print_before(file: &File, size: Option<u64>, end: u64) -> io::Result<Print> {
    let mut again = file.try_clone()?;
    again.seek(SeekFrom::Start(0))?;
    let raw = Raw::open(Box::new(again), size, false)?;
    let compression = Compression::recognise(raw.first());
    let ends = Source::new(raw, compression, false, None)?.pass(end);
    let ends = ends.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Print::of_ends(&ends.head, &ends.tail))
}

/// A log that is drained as it is read.
struct Drained {
    input: Input,
    buffer: Buffer,
    start: usize,
}

impl Read for Drained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.buffer.len() {
            self.start = 0;
            if !self.input.feed.drain(&mut self.buffer) {
                self.buffer.clear();
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.buffer.len() - self.start);
        buffer[..count].copy_from_slice(&self.buffer[self.start..][..count]);
        self.start += count;
        Ok(count)
    }
}

/// Pieces that are worked on at the same time.
type Window = Vec<(Buffer, Cut)>;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::lines::naive::{self, Owned};
    use super::*;

    /// All that reading a log tells.
    #[derive(Debug, PartialEq)]
    struct Seen {
        lines: Vec<Owned>,
        gap_bytes: u64,
        bytes: u64,
        fault: Option<Fault>,
    }

    /// Lines of pieces, each piece under its index.
    type Pieces = Vec<(usize, Vec<Owned>, u64)>;

    fn piece_seen(piece: Piece<'_>) -> (usize, Vec<Owned>, u64) {
        let mut lines = piece.lines();
        let owned = lines.by_ref().map(Owned::from).collect();
        (piece.index, owned, lines.gap_bytes())
    }

    fn seen(pieces: Pieces, bytes: u64, fault: Option<Fault>) -> Seen {
        let gap_bytes = pieces.iter().map(|(_, _, gap_bytes)| gap_bytes).sum();
        let lines = pieces.into_iter().flat_map(|(_, lines, _)| lines).collect();
        Seen { lines, gap_bytes, bytes, fault }
    }

    fn pieces(input: Input) -> Outcome<Pieces> {
        input.fold(
            &|_| {},
            Pieces::new,
            |all, piece| all.push(piece_seen(piece)),
            |all| all,
            |mut a, mut b| {
                a.append(&mut b);
                a
            },
        )
    }

    fn fold(input: Input) -> Seen {
        let outcome = pieces(input);
        let mut pieces = outcome.value;
        pieces.sort_by_key(|(index, _, _)| *index);
        seen(pieces, outcome.bytes, outcome.fault)
    }

    fn in_order(input: Input) -> Seen {
        let mut pieces = Pieces::new();
        let outcome = input.for_each_in_order(&|_| {}, piece_seen, |piece| {
            pieces.push(piece);
            ControlFlow::Continue(())
        });
        assert!(pieces.is_sorted_by_key(|(index, _, _)| *index));
        seen(pieces, outcome.bytes, outcome.fault)
    }

    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, Found) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let found = Found { place: Place::File(file.path().to_owned()), shown: "a.log".to_owned() };
        (file, found)
    }

    /// Gives a few bytes at a time, like a slow pipe.
    struct Trickle(io::Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(7);
            self.0.read(&mut buffer[..count])
        }
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let (a, b) = data.split_at(data.len() / 2);
        [gzip::tests::compress(a), gzip::tests::compress(b)].concat()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        let (a, b) = data.split_at(data.len() / 3);
        let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        let frames = [a, b].map(|data| {
            let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        });
        [&skippable[..], &frames[0], &skippable[..], &frames[1]].concat()
    }

    /// Every way of reading gives what the naive splitter gives.
    fn check_all_ways(data: &[u8], line_bytes_max: usize, chunks: &[usize]) {
        let (lines, gap_bytes) = naive::split(data, line_bytes_max);
        let expected = Seen { lines, gap_bytes, bytes: data.len() as u64, fault: None };
        let (_plain, plain) = file(data);
        let (_gzip, gzip) = file(&gzip(data));
        let (_zstd, zstd) = file(&zstd(data));
        for chunk_bytes in chunks.iter().copied() {
            for digest in [false, true] {
                let options = |io| Options { io, chunk_bytes, digest, resumable: false };
                for (found, io) in [
                    (&plain, Io::Auto),
                    (&plain, Io::Read),
                    (&plain, Io::Mmap),
                    (&gzip, Io::Mmap),
                    (&zstd, Io::Auto),
                ] {
                    let open = || {
                        Input::open_within(
                            found,
                            &options(io),
                            &Start::default(),
                            None,
                            line_bytes_max,
                        )
                        .unwrap()
                    };
                    assert_eq!(fold(open()), expected, "{io:?} {chunk_bytes} {data:?}");
                    let mut input = open();
                    let head = input.head().to_vec();
                    assert_head(&head, data);
                    assert_eq!(fold(input), expected, "after head {io:?} {chunk_bytes} {data:?}");
                    assert_eq!(
                        in_order(open()),
                        expected,
                        "in order {io:?} {chunk_bytes} {data:?}"
                    );
                }
                let trickle = Box::new(Trickle(io::Cursor::new(data.to_vec())));
                let mut input =
                    Input::from_reader_within(trickle, &options(Io::Auto), line_bytes_max).unwrap();
                assert_head(input.head(), data);
                assert_eq!(fold(input), expected, "trickle {chunk_bytes} {data:?}");
            }
        }
    }

    fn assert_head(head: &[u8], data: &[u8]) {
        let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
        let start = data.iter().take_while(|byte| **byte == 0).count();
        if data.len() < limits::HEAD_BYTES {
            assert_eq!(head, &data[start..]);
        }
    }

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn all_ways_agree_on_the_odd_ones() {
        for data in [
            &b""[..],
            b"\n",
            b"a",
            b"a\r\nb\r\n",
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbfa\nb",
            b"\xef\xbb\xbf\0\0a\n",
            b"\xef\xbb\xbf\0\0",
            b"\0\0\xef\xbb\xbfa\n",
            b"\xef\xbb",
            b"\0\0\0",
            b"\0\0\0\n",
            b"\0\0\0\r\n",
            b"\0\0\0abc\n",
            b"ab\n\0\0\0\0\0\0\0\0\0\0\0\0cd\n",
            b"ab\n\0\0\0\0\0\0\0\0\0\0\0\0\nx\n",
            b"ab\0\0\0\0\0\0\0\0\0\0\0\0\n",
            b"ab\0\0\0\0\0\0\0\0\0\0\0\0",
            b"ab\r\0\0\0\0\0\0\0\0\0\0\n",
            b"ab\n\0\0\0\0\0\0\0\0\0\0\0\0",
            b"            \r\nab\n",
            b"            \0x\nab\n",
            b"12345678\n123456789\n12345678\r\n",
            b"12345678901234567890\nab\n12345678901234567890",
        ] {
            check_all_ways(data, 8, &[1, 2, 3, 7, 64]);
        }
    }

    /// What logs are made of, the more likely ones several times.
    const PARTS: &[&[u8]] = &[
        b"\n",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b"\0",
        b"\0\0\0\0\0\0\0",
        b"a",
        b"a",
        b" ",
        b" ",
        b"{\"a\":1}",
        b"0123456789abc",
        b"\xef\xbb\xbf",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn all_ways_agree(
            parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..40),
            chunk_bytes in 1..24usize,
            line_bytes_max in 1..12usize,
            threads in 1..4usize,
        ) {
            pool(threads).install(|| check_all_ways(&parts.concat(), line_bytes_max, &[chunk_bytes]));
        }
    }

    /// What is read of a log that grows, time after time, is what is read of all its finished lines at once.
    fn check_growing(data: &[u8], cuts: &[usize], line_bytes_max: usize, chunk_bytes: usize) {
        let finished = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (lines, gap_bytes) = naive::split(&data[..finished], line_bytes_max);
        for (io, pack) in [
            (Io::Read, None),
            (Io::Mmap, None),
            (Io::Read, Some(gzip as fn(&[u8]) -> Vec<u8>)),
            (Io::Auto, Some(zstd)),
        ] {
            let options = Options { io, chunk_bytes, digest: true, resumable: true };
            let mut all = Seen { lines: Vec::new(), gap_bytes: 0, bytes: 0, fault: None };
            let mut start = Start::default();
            for cut in cuts.iter().copied().chain([data.len()]) {
                // One that is compressed is complete: only whole lines are.
                let cut = match pack {
                    Some(_) => data[..cut].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1),
                    None => cut,
                };
                if (cut as u64) < start.offset {
                    continue;
                }
                let content = pack.map_or_else(|| data[..cut].to_vec(), |pack| pack(&data[..cut]));
                let (_file, found) = file(&content);
                let input =
                    Input::open_within(&found, &options, &start, None, line_bytes_max).unwrap();
                let outcome = pieces(input);
                let mut pieces = outcome.value;
                pieces.sort_by_key(|(index, _, _)| *index);
                let mark = outcome.mark.unwrap();
                let digest = blake3::hash(&content).to_hex().to_string();
                assert_eq!(outcome.digest, Some(digest), "{io:?} {cut} {data:?}");
                assert_eq!(outcome.fault, None);
                assert_eq!(mark.end - start.offset, outcome.bytes, "{io:?} {cut} {data:?}");
                assert_eq!(mark.end + mark.pending_bytes, cut as u64, "{io:?} {cut} {data:?}");
                assert_eq!(mark.packed.is_some(), pack.is_some());
                let seen = seen(pieces, outcome.bytes, None);
                all.lines.extend(seen.lines);
                all.gap_bytes += seen.gap_bytes;
                all.bytes += seen.bytes;
                start = Start {
                    offset: mark.end,
                    directive: mark.directive,
                    print: mark.print,
                    grown: mark.grown,
                    until: None,
                };
            }
            let bytes = if finished == 0 && start.offset == 0 { 0 } else { finished as u64 };
            let expected = Seen { lines: lines.clone(), gap_bytes, bytes, fault: None };
            assert_eq!(all, expected, "{io:?} {pack:?} {cuts:?} {chunk_bytes} {data:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        #[test]
        fn a_log_that_grows_is_read_once(
            parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..40),
            mut cuts in proptest::collection::vec(0..300usize, 0..4),
            chunk_bytes in 1..24usize,
            line_bytes_max in 1..12usize,
            threads in 1..4usize,
        ) {
            let data = parts.concat();
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(data.len()));
            cuts.sort_unstable();
            pool(threads).install(|| check_growing(&data, &cuts, line_bytes_max, chunk_bytes));
        }
    }

    /// The lines of a log from a start on, as far as it can be relied on, and where that is. How it is cut makes no difference.
    fn read_on(content: &[u8], start: &Start) -> (Vec<Owned>, Mark, Option<Fault>) {
        let (_file, found) = file(content);
        let read = |chunk_bytes| {
            let options = Options { chunk_bytes, digest: true, resumable: true, io: Io::Read };
            let mut start = start.clone();
            loop {
                let outcome = pieces(Input::open_at(&found, &options, &start).unwrap());
                if let Some(Fault::Unsound(until)) = outcome.fault {
                    assert!(outcome.value.is_empty() && outcome.mark.is_none());
                    start.until = Some(until);
                    continue;
                }
                let mut pieces = outcome.value;
                pieces.sort_by_key(|(index, _, _)| *index);
                let lines: Vec<Owned> = pieces.into_iter().flat_map(|piece| piece.1).collect();
                break (lines, outcome.mark.unwrap(), outcome.fault);
            }
        };
        let all = read(limits::CHUNK_BYTES);
        for (chunk_bytes, threads) in [(100, 1), (3000, 3)] {
            assert!(pool(threads).install(|| read(chunk_bytes)) == all, "{chunk_bytes}");
        }
        all
    }

    #[test]
    fn what_ends_early_counts_as_far_as_it_can_be_relied_on_and_is_read_on() {
        let line =
            |number: u64| format!("line {number} {}\n", number.wrapping_mul(0x9e37_79b9_7f4a));
        let parts: Vec<Vec<u8>> = (0..30u64)
            .map(|part| (part * 40..part * 40 + 40).flat_map(|n| line(n).into_bytes()).collect())
            .collect();
        let data = parts.concat();
        let (lines, _) = naive::split(&data, limits::LINE_BYTES_MAX);
        let decoded_before = |part: usize| parts[..part].iter().map(Vec::len).sum::<usize>();
        let frame = |data: &[u8]| {
            let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        };
        for pack in [gzip::tests::compress as fn(&[u8]) -> Vec<u8>, frame] {
            let packed: Vec<Vec<u8>> = parts.iter().map(|part| pack(part)).collect();
            let whole = packed.concat();
            let before = |part: usize| packed[..part].iter().map(Vec::len).sum::<usize>();
            // Each case: what is there of it, and how many bytes count at least and at most, to the end of a line.
            let mut cases: Vec<(Vec<u8>, usize, usize)> = Vec::new();
            for part in [0, 1, 2, 17, 29] {
                for share in [1, 5, 9] {
                    let at = before(part) + packed[part].len() * share / 10;
                    let (least, most) = (decoded_before(part), decoded_before(part + 1));
                    cases.push((whole[..at].to_vec(), least, most));
                    let mut corrupt = whole.clone();
                    corrupt[at.max(before(part) + 20)] ^= 0x10;
                    cases.push((corrupt, least, least));
                }
            }
            for (number, (content, least, most)) in cases.into_iter().enumerate() {
                let (some, mark, fault) = read_on(&content, &Start::default());
                let Some(Fault::EndedEarly(reason)) = &fault else { panic!("{number}: {fault:?}") };
                let end = mark.end as usize;
                if end == 0 {
                    assert!(least < limits::REPEATED_FILE_BYTES_MIN, "{number}: {least}");
                } else {
                    assert!((least..=most).contains(&end), "{number}: {end} of {least}..={most}");
                    assert!(end >= limits::REPEATED_FILE_BYTES_MIN && data[end - 1] == b'\n');
                }
                assert_eq!(some, naive::split(&data[..end], limits::LINE_BYTES_MAX).0);
                let flawed = mark.flawed.unwrap();
                assert_eq!(&flawed.reason, reason);
                assert_eq!(flawed.blake3, *blake3::hash(&content).as_bytes());

                let start = Start { offset: mark.end, print: mark.print, ..Start::default() };
                let (rest, mark, fault) = read_on(&whole, &start);
                assert_eq!((mark.end, mark.flawed, fault), (data.len() as u64, None, None));
                assert!(some.into_iter().chain(rest).eq(lines.iter().cloned()), "{number}");
            }
        }
    }

    /// Documents count when they are whole.
    #[test]
    fn of_documents_that_end_early_the_whole_ones_count() {
        let document = |number: u32| {
            let records: Vec<String> =
                (0..9).map(|n| format!("{{\"n\":{}}}", number * 9 + n)).collect();
            format!("{{\"Records\":[{}]}}\n", records.join(",\n"))
        };
        let data: String = (0..40).map(document).collect();
        let packed = gzip(data.as_bytes());
        let (_file, found) = file(&packed[..packed.len() - 60]);
        let options = Options { digest: true, resumable: true, ..Options::default() };
        let mut start = Start::default();
        let (count, mark) = loop {
            let framing = Framing::Records(vec!["Records".to_owned()]);
            let input = Input::open_at(&found, &options, &start).unwrap();
            let input = input.framed(framing, &found, &options).unwrap();
            let count = |count: &mut usize, piece: Piece<'_>| *count += piece.lines().count();
            let outcome = input.fold(&|_| {}, || 0, count, |count| count, |a, b| a + b);
            match outcome.fault {
                Some(Fault::Unsound(until)) => start.until = Some(until),
                _ => break (outcome.value, outcome.mark.unwrap()),
            }
        };
        let end = mark.end as usize;
        assert!(data.len() / 2 < end && end < data.len(), "{end}");
        assert!(data[..end].ends_with("]}") && mark.pending_bytes > 0);
        assert_eq!(count, data[..end].matches("\"n\"").count());
    }

    /// A log whose read part is another by now is not read on.
    #[test]
    fn a_log_that_changed_before_the_start_is_refused() {
        let options = Options { resumable: true, ..Options::default() };
        let (_file, found) = file(b"one\ntwo\n");
        let input = Input::open(&found, &options).unwrap();
        let outcome = input.fold(&|_| {}, || (), |(), _| {}, |()| (), |(), ()| ());
        let Mark { end, print, .. } = outcome.mark.unwrap();
        let start = Start { offset: end, print, ..Start::default() };
        for (content, fits) in [
            (&b"one\ntwo\nthree\n"[..], true),
            (b"one\ntwo\n", true),
            (b"one\ntwO\nthree\n", false),
            (b"One\ntwo\nthree\n", false),
            (b"one\n", false),
        ] {
            for content in [content.to_vec(), gzip(content), zstd(content)] {
                let (_file, found) = file(&content);
                let opened = Input::open_at(&found, &options, &start);
                assert_eq!(opened.is_ok(), fits, "{:?}", String::from_utf8_lossy(&content));
            }
        }
    }

    #[test]
    fn all_ways_agree_at_full_size() {
        let mut data = Vec::new();
        for i in 0..20_000u64 {
            writeln!(data, "{{\"call\":{i},\"x\":{}}}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .unwrap();
        }
        data.extend(std::iter::repeat_n(b'y', limits::LINE_BYTES_MAX + 1));
        data.extend(b"\nlast");
        let way = pool(3);
        way.install(|| {
            check_all_ways(&data, limits::LINE_BYTES_MAX, &[limits::CHUNK_BYTES, 100_000])
        });
    }

    #[test]
    fn logs_of_many_members_or_frames_read_the_same_at_any_number_of_threads() {
        let lines = (0..120_000u64).map(|i| format!("{i} {}\n", i.wrapping_mul(0x9e37_79b9)));
        let data = lines.collect::<String>().into_bytes();
        let (lines, gap_bytes) = naive::split(&data, limits::LINE_BYTES_MAX);
        let expected = Seen { lines, gap_bytes, bytes: data.len() as u64, fault: None };
        for compress in [gzip as fn(&[u8]) -> Vec<u8>, zstd] {
            let log: Vec<u8> = data.chunks(50_001).flat_map(compress).collect();
            assert!(log.len() > 3 * limits::TASK_BYTES, "{}", log.len());
            let (_file, whole) = file(&log);
            let at = log.len() * 2 / 3;
            let (_file, harmed) = file(&[&log[..at], &[0xff; 40], &log[at + 40..]].concat());
            let read = |threads, found: &Found, chunk_bytes, way: fn(Input) -> Seen| {
                let options = Options { chunk_bytes, ..Options::default() };
                pool(threads).install(|| way(Input::open(found, &options).unwrap()))
            };
            let until_harm = read(1, &harmed, 7000, fold);
            assert!(until_harm.fault.is_some() && until_harm.bytes > expected.bytes / 2);
            // What is decoded of the member with the harm may be wrong before that is noticed.
            assert!(expected.lines.starts_with(&until_harm.lines[..expected.lines.len() / 2]));
            for threads in [1, 2, 7] {
                for way in [fold, in_order] {
                    for chunk_bytes in [30_000, limits::CHUNK_BYTES] {
                        assert!(read(threads, &whole, chunk_bytes, way) == expected, "{threads}");
                        assert!(read(threads, &harmed, chunk_bytes, way) == until_harm);
                    }
                }
            }
        }
    }

    #[test]
    fn a_chunk_of_one_byte_is_a_piece_for_each_line() {
        let (_file, found) = file(b"one\n\ntwo\nthree");
        for io in [Io::Read, Io::Mmap] {
            let options = Options { io, chunk_bytes: 1, ..Options::default() };
            let input = Input::open(&found, &options).unwrap();
            let mut counts = Vec::new();
            input.for_each_in_order(
                &|_| {},
                |piece| piece.lines().count(),
                |count| {
                    counts.push(count);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(counts, [1, 1, 1, 1], "{io:?}");
        }
    }

    #[test]
    fn the_digest_is_of_the_log_as_it_lies() {
        let data = b"one\ntwo\n".repeat(1000);
        let broken = {
            let mut broken = gzip(&data);
            let middle = broken.len() - 3;
            broken[middle] ^= 1;
            [broken, vec![7; 200_000]].concat()
        };
        for bytes in [data.clone(), gzip(&data), zstd(&data), broken] {
            let (_file, found) = file(&bytes);
            for io in [Io::Read, Io::Mmap] {
                let options = Options { io, digest: true, ..Options::default() };
                let outcome = Input::open(&found, &options).unwrap().fold(
                    &|_| {},
                    || (),
                    |_, _| {},
                    |()| (),
                    |_, _| (),
                );
                assert_eq!(outcome.digest, Some(blake3::hash(&bytes).to_hex().to_string()));
                assert_eq!(outcome.fault.is_some(), bytes.ends_with(&[7, 7]));
            }
        }
    }

    #[test]
    fn progress_adds_up_to_the_size() {
        let data = b"\xef\xbb\xbf\0\0one\ntwo\n".repeat(1000);
        for bytes in [data.clone(), gzip(&data), zstd(&data)] {
            let (_file, found) = file(&bytes);
            for io in [Io::Read, Io::Mmap] {
                let options = Options { io, chunk_bytes: 500, ..Options::default() };
                let input = Input::open(&found, &options).unwrap();
                let (size, sum) = (input.size(), AtomicU64::new(0));
                let add = |more| {
                    sum.fetch_add(more, Ordering::Relaxed);
                };
                input.fold(&add, || (), |_, _| {}, |()| (), |_, _| ());
                assert_eq!(Some(sum.into_inner()), size);
            }
        }
    }

    #[test]
    fn what_decodes_of_a_cut_log_counts() {
        let data = b"one\ntwo\n".repeat(50_000);
        for whole in [gzip(&data), zstd(&data)] {
            let (_file, found) = file(&whole[..whole.len() - 10]);
            let seen = [1000, limits::CHUNK_BYTES].map(|chunk_bytes| {
                let options = Options { chunk_bytes, ..Options::default() };
                fold(Input::open(&found, &options).unwrap())
            });
            assert_eq!(seen[0], seen[1]);
            assert!(seen[0].lines.len() > 20_000, "{}", seen[0].lines.len());
            let Some(Fault::EndedEarly(reason)) = &seen[0].fault else {
                panic!("{:?}", seen[0].fault)
            };
            assert!(reason.ends_with("data ended early"), "{reason}");
        }
    }

    #[test]
    fn a_damaged_log_gives_the_same_at_any_chunk_size_and_pipe() {
        let data: Vec<u8> = (0..100_000u32)
            .flat_map(|i| format!("{}\n", i.wrapping_mul(0x9e37_79b9)).into_bytes())
            .collect();
        for mut whole in [gzip(&data), zstd(&data)] {
            let at = whole.len() * 3 / 4;
            whole[at..at + 64].fill(0xff);
            let (_file, found) = file(&whole);
            let from_file = |chunk_bytes| {
                fold(Input::open(&found, &Options { chunk_bytes, ..Options::default() }).unwrap())
            };
            let expected = from_file(limits::CHUNK_BYTES);
            let Some(Fault::EndedEarly(reason)) = &expected.fault else {
                panic!("{:?}", expected.fault)
            };
            assert!(reason.contains("corrupt"), "{reason}");
            assert!(expected.bytes > data.len() as u64 / 2);
            assert!(from_file(777) == expected);
            let trickle = Box::new(Trickle(io::Cursor::new(whole)));
            assert!(fold(Input::from_reader(trickle, &Options::default()).unwrap()) == expected);
        }
    }

    #[test]
    fn an_error_midway_ends_a_log_early() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        for data in [b"one\ntwo".to_vec(), gzip::tests::compress(b"one\ntwo")[..20].to_vec()] {
            let reader = Box::new(io::Cursor::new(data).chain(Failing));
            let seen = fold(Input::from_reader(reader, &Options::default()).unwrap());
            let Some(Fault::EndedEarly(reason)) = &seen.fault else { panic!("{seen:?}") };
            assert!(!reason.contains("early"), "{reason}");
        }
    }

    #[test]
    fn nothing_of_a_log_that_shrinks_counts() {
        let data = b"one line of a log\n".repeat(100_000);
        for (bytes, io) in [
            (data.clone(), Io::Read),
            (data.clone(), Io::Mmap),
            (zstd(&data).repeat(3000), Io::Read),
        ] {
            let (file, found) = file(&bytes);
            let options = Options { io, chunk_bytes: 10_000, digest: true, resumable: false };
            let input = Input::open(&found, &options).unwrap();
            let cut = std::sync::Once::new();
            let outcome = input.fold(
                &|_| {},
                || 0,
                |count, piece| {
                    cut.call_once(|| file.as_file().set_len(100_000).unwrap());
                    *count += piece.lines().count();
                },
                |sum| sum,
                |a, b| a + b,
            );
            assert_eq!((outcome.value, outcome.bytes, &outcome.digest), (0, 0, &None), "{io:?}");
            let Some(Fault::Shrank(reason)) = &outcome.fault else { panic!("{:?}", outcome.fault) };
            assert!(reason.starts_with("shrank"), "{reason}");
        }
    }

    #[test]
    fn growth_after_opening_is_not_read() {
        for io in [Io::Read, Io::Mmap] {
            let (mut file, found) = file(b"one\ntw");
            let input = Input::open(&found, &Options { io, ..Options::default() }).unwrap();
            file.write_all(b"o\nthree\n").unwrap();
            let seen = fold(input);
            assert_eq!(seen.lines, naive::split(b"one\ntw", 100).0);
            assert_eq!((seen.bytes, seen.fault), (6, None));
        }
    }

    #[test]
    fn a_line_or_a_gap_of_any_length_takes_bounded_memory() {
        struct Endless {
            head: &'static [u8],
            byte: u8,
            left: u64,
            tail: &'static [u8],
        }
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                // No caller may ask for more than a few chunks at once: that would be its memory.
                assert!(buffer.len() <= 2 * limits::CHUNK_BYTES);
                let count = usize::try_from(self.left).unwrap().min(buffer.len());
                if !self.head.is_empty() || count == 0 {
                    let part = if self.head.is_empty() { &mut self.tail } else { &mut self.head };
                    return part.read(buffer);
                }
                buffer[..count].fill(self.byte);
                self.left -= count as u64;
                Ok(count)
            }
        }
        let read = |head: &'static [u8], byte, tail: &'static [u8]| {
            let endless = Endless { head, byte, left: 100 << 20, tail };
            let input = Input::from_reader(Box::new(endless), &Options::default()).unwrap();
            input.fold(
                &|_| {},
                || (Vec::new(), 0),
                |all, piece| {
                    assert!(piece.bytes.len() <= 2 * limits::CHUNK_BYTES);
                    let (_, lines, gap_bytes) = piece_seen(piece);
                    all.0.extend(lines);
                    all.1 += gap_bytes;
                },
                |all| all,
                |mut a, b| {
                    a.0.extend(b.0);
                    (a.0, a.1 + b.1)
                },
            )
        };
        let length = 100 << 20;
        let line = |offset, bytes: &[u8]| Owned::Content(offset, bytes.to_vec());
        let too_long = |outcome: &Outcome<(Vec<Owned>, u64)>| {
            outcome.value.0.iter().find_map(|line| match line {
                Owned::TooLong(offset, length, head) => Some((*offset, *length, head.len())),
                _ => None,
            })
        };
        let outcome = read(b"one\n", b'x', b"\r\ntwo\n");
        assert_eq!(too_long(&outcome), Some((4, length, limits::LONG_LINE_HEAD_BYTES)));
        assert!(outcome.value.0.contains(&line(length + 6, b"two")));
        assert_eq!(outcome.value.0.len(), 3);

        let outcome = read(b"one\n", 0, b"two\n");
        assert!(outcome.value.0.contains(&line(length + 4, b"two")));
        assert_eq!((outcome.value.0.len(), outcome.value.1), (2, length));

        let outcome = read(b"one", 0, b"\ntwo\n");
        assert!(outcome.value.0.contains(&line(0, b"one")));
        assert_eq!((outcome.value.0.len(), outcome.value.1), (2, length));

        let outcome = read(b"one", 0, b"two\n");
        assert_eq!(too_long(&outcome), Some((0, length + 6, limits::LONG_LINE_HEAD_BYTES)));
    }

    #[test]
    fn a_head_begins_after_a_long_gap_and_ends_with_a_line() {
        let data = [vec![0; 3 * limits::HEAD_BYTES], b"some line\n".repeat(60_000)].concat();
        let (_plain, plain) = file(&data);
        let (_gzip, gzip) = file(&gzip(&data));
        for (found, io) in [(&plain, Io::Read), (&plain, Io::Mmap), (&gzip, Io::Read)] {
            let mut input = Input::open(found, &Options { io, ..Options::default() }).unwrap();
            let head = input.head().to_vec();
            assert!(head.starts_with(b"some line\n") && head.ends_with(b"some line\n"));
            assert_eq!(head.len(), limits::HEAD_BYTES / 10 * 10);
            let seen = fold(input);
            assert_eq!((seen.lines, seen.gap_bytes), naive::split(&data, limits::LINE_BYTES_MAX));
        }
    }

    #[test]
    fn plain_files_are_mapped_as_told() {
        let (log, found) = file(b"one\n");
        let is_mapped = |io| {
            let input = Input::open(&found, &Options { io, ..Options::default() }).unwrap();
            matches!(input.feed, Feed::Mapped(_))
        };
        assert_eq!([Io::Auto, Io::Mmap, Io::Read].map(is_mapped), [false, true, false]);
        log.as_file().set_len(limits::MAP_BYTES_MIN).unwrap();
        assert_eq!([Io::Auto, Io::Mmap, Io::Read].map(is_mapped), [true, true, false]);
        log.as_file().set_len(0).unwrap();
        assert_eq!([Io::Auto, Io::Mmap, Io::Read].map(is_mapped), [false, false, false]);
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_a_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(find(".", Some(folder.path())).unwrap().found.is_empty());
        let found = find("pipe", Some(folder.path())).unwrap().found;
        let writer = std::thread::spawn(move || std::fs::write(path, "one\ntwo\n").unwrap());
        let mut input =
            Input::open(&found[0], &Options { io: Io::Mmap, ..Options::default() }).unwrap();
        assert_eq!(input.size(), None);
        assert_eq!(input.head(), b"one\ntwo\n");
        assert_eq!(fold(input).lines.len(), 2);
        writer.join().unwrap();
    }

    #[test]
    fn in_order_stops_when_told() {
        let (_file, found) = file(&b"line\n".repeat(1000));
        let options = Options { chunk_bytes: 1, ..Options::default() };
        let mut count = 0;
        let outcome = Input::open(&found, &options).unwrap().for_each_in_order(
            &|_| {},
            |_| {},
            |()| {
                count += 1;
                if count == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!((count, outcome.fault), (10, None));
        assert!(outcome.bytes < 5000);
    }

    #[test]
    fn a_folder_or_a_missing_file_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("gone")] {
            let found = Found { place: Place::File(path), shown: "x".to_owned() };
            let error = Input::open(&found, &Options::default()).err().unwrap();
            assert!(error.to_string().starts_with("x: "), "{error}");
        }
    }

    #[test]
    fn many_logs_at_once_on_one_pool() {
        let logs: Vec<_> = (0..40)
            .map(|i| file(&gzip(&format!("line {i}\n").repeat(2000).into_bytes())))
            .collect();
        let options = Options { chunk_bytes: 300, ..Options::default() };
        let sum: usize = pool(4).install(|| {
            logs.par_iter()
                .map(|(_, found)| {
                    let input = Input::open(found, &options).unwrap();
                    input
                        .fold(
                            &|_| {},
                            || 0,
                            |sum, piece| *sum += piece.lines().count(),
                            |sum| sum,
                            |a, b| a + b,
                        )
                        .value
                })
                .sum()
        });
        assert_eq!(sum, 80_000);
    }

    /// Lines with the directive in force and what else is told, however a log is read.
    fn framed(data: &[u8], framing: &Framing) -> Vec<(u64, String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = |found: &Found, options: Options| {
            let input =
                Input::open(found, &options).unwrap().framed(framing.clone(), found, &options);
            let mut all = Vec::new();
            let outcome = input.unwrap().for_each_in_order(
                &|_| {},
                |piece| {
                    let mut directive = piece.directive.map(text);
                    let mut seen = Vec::new();
                    let mut lines = piece.lines();
                    for line in lines.by_ref() {
                        if let Line::Content { offset, bytes } = line {
                            let is_header = *framing == Framing::Header && directive.is_none();
                            if bytes.starts_with(b"#F") || is_header {
                                directive = Some(text(bytes));
                            }
                            seen.push((offset, text(bytes), directive.clone()));
                        }
                    }
                    (seen, lines.gap_bytes())
                },
                |(seen, _)| {
                    all.extend(seen);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(outcome.bytes, data.len() as u64);
            all
        };
        let (_plain, plain) = file(data);
        let (_zstd, zstd) = file(&zstd(data));
        let whole = read(&plain, Options::default());
        for chunk_bytes in [1, 7, 64] {
            for (found, io) in [(&plain, Io::Read), (&plain, Io::Mmap), (&zstd, Io::Auto)] {
                let options = Options { io, chunk_bytes, digest: false, resumable: false };
                assert_eq!(read(found, options), whole, "{io:?} {chunk_bytes}");
            }
        }
        whole
    }

    #[test]
    fn records_are_lines_at_their_offsets() {
        let log =
            "{\"Records\": [\n {\"a\":\n1},{\"b\":2} ,\n{\"c\":3}]}\n{\"Records\":[{\"d\":4}]}";
        let records = framed(log.as_bytes(), &Framing::Records(vec!["Records".to_owned()]));
        let expected = [
            ("{\"a\": 1}", "{\"a\""),
            ("{\"b\":2}", "{\"b\""),
            ("{\"c\":3}", "{\"c\""),
            ("{\"d\":4}", "{\"d\""),
        ];
        let expected =
            expected.map(|(line, at)| (log.find(at).unwrap() as u64, line.to_owned(), None));
        assert_eq!(records, expected);
    }

    #[test]
    fn a_piece_knows_the_directive_before_it() {
        let log =
            "#Software: x\r\n#Fields: a b\r\n1 2\r\n3 4 #Fields: no\r\n#Fields: c\r\n5\r\n6\r\n";
        let lines = framed(log.as_bytes(), &Framing::Directives(b"#Fields:"));
        let of: Vec<(&str, Option<&str>)> =
            lines.iter().map(|(_, line, d)| (line.as_str(), d.as_deref())).collect();
        let (ab, c) = (Some("#Fields: a b"), Some("#Fields: c"));
        assert_eq!(
            of,
            [
                ("#Software: x", None),
                ("#Fields: a b", ab),
                ("1 2", ab),
                ("3 4 #Fields: no", ab),
                ("#Fields: c", c),
                ("5", c),
                ("6", c)
            ]
        );
    }

    #[test]
    fn a_piece_knows_the_header_of_its_log() {
        for (before, header) in
            [("", "a,b"), ("\u{feff}", "a,b"), (" \r\n\n", "a,b"), ("\0\0", "a,b")]
        {
            let log = format!("{before}{header}\r\n1,2\n3,4\n");
            let lines = framed(log.as_bytes(), &Framing::Header);
            let of: Vec<(&str, Option<&str>)> =
                lines.iter().map(|(_, line, d)| (line.as_str(), d.as_deref())).collect();
            assert_eq!(of, ["a,b", "1,2", "3,4"].map(|line| (line, Some(header))), "{before:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_hides_no_directive() {
        let lines = framed("\u{feff}#Fields: a\n1\n".as_bytes(), &Framing::Directives(b"#Fields:"));
        assert_eq!(lines[1].2.as_deref(), Some("#Fields: a"));
    }

    #[test]
    fn a_document_that_is_not_closed_ends_early() {
        let (_file, found) = file(b"{\"Records\":[{\"a\":1}");
        let framing = Framing::Records(vec!["Records".to_owned()]);
        let options = Options::default();
        let input =
            Input::open(&found, &options).unwrap().framed(framing, &found, &options).unwrap();
        let outcome = input.for_each_in_order(&|_| {}, |_| (), |()| ControlFlow::Continue(()));
        let fault = Fault::EndedEarly("ended within a document that holds records".to_owned());
        assert_eq!(outcome.fault, Some(fault));
    }
}
