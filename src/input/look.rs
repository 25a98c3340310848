//! Looks at a log without reading it: what it is, how it begins, and whether it holds what was read of another.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use super::print::{block, hash, head_lengths};
use super::source::Ends;
use super::{
    Compression, Found, Grown, Input, Io, Options, Packed, Place, Print, Start, Until, Version,
};
use crate::error::{Error, Result};
use crate::limits::{DECODED_CHUNK_BYTES, MARK_BYTES};

/// What a log looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// Its bytes as it lies.
    pub bytes: u64,
    /// Device and inode, where there are such: a hint.
    pub file: Option<(u64, u64)>,
    /// Which file was looked at.
    pub version: Version,
    /// All of it as it lies, if it is compressed.
    pub packed: Option<Packed>,
    /// Its first block, decompressed.
    head: Vec<u8>,
    /// How far it can be relied on, once somebody has looked for that: see [`until()`].
    pub until: Option<Until>,
}

/// What a log holds of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Of each of them.
    pub holds: Vec<Holds>,
    /// How far it can be relied on, if that came out: it always does where it does not hold all of one.
    pub until: Option<Until>,
}

/// Whether a log holds what was read of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// All of it.
    Yes,
    /// It begins so, and ends before.
    Short,
    /// No.
    No,
}

/// How what follows in two logs compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The first holds no more than the second, which begins with all of it.
    Within,
    /// The first begins with all of the second, and goes on.
    Beyond,
    /// They part.
    Apart,
}

const OPTIONS: Options =
    Options { io: Io::Read, chunk_bytes: DECODED_CHUNK_BYTES, digest: false, resumable: false };

impl Look {
    /// Looks at a log.
    ///
    /// # Errors
    /// Where it can't be opened or read, or is no file that keeps what was written to it.
    pub fn at(found: &Found) -> Result<Look> {
        let Place::File(path) = &found.place else {
            return Err(Error::new(format!("{}: can be read only once", found.shown)));
        };
        let in_words = |error| Error::io(&found.shown, error);
        let mut file = File::open(path).map_err(in_words)?;
        let metadata = file.metadata().map_err(in_words)?;
        if !metadata.is_file() {
            return Err(Error::new(format!("{}: is no regular file", found.shown)));
        }
        // Logs that are looked at are being written; what lies before a start is compared where it counts.
        let version = Version { modified: None, ..Version::of(&metadata) };
        let Version { file: hint, bytes, .. } = version;
        // What comes meanwhile is not looked at either.
        let first = block(&mut file, 0, bytes.min(MARK_BYTES as u64)).map_err(in_words)?;
        let compression = Compression::recognise(&first);
        let (head, packed) = match compression {
            None => (first, None),
            Some(_) => {
                let packed = Packed::of(&mut file, bytes).map_err(in_words)?;
                (decoded_head(found)?, Some(packed))
            }
        };
        Ok(Look { compression, bytes, file: hint, version, packed, head, until: None })
    }

    /// The hashes of its first blocks by their lengths, as [`Print`]s have them, the longest first.
    pub fn heads(&self) -> impl Iterator<Item = (u32, [u8; 32])> + '_ {
        let head = |length: usize| (length as u32, hash(&self.head[..length]));
        head_lengths(self.head.len()).map(head)
    }

    /// Whether the first blocks of both are alike, as far as the shorter goes.
    pub fn begins_like(&self, other: &Look) -> bool {
        let common = self.head.len().min(other.head.len());
        self.head[..common] == other.head[..common]
    }

    /// Whether the log holds what was read of others, each given by its end and its print; it begins like all of them.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn holds(&self, found: &Found, others: &[(u64, Print)]) -> Result<Held> {
        if self.compression.is_some() {
            return self.holds_decoded(found, others);
        }
        let Place::File(path) = &found.place else {
            return Ok(Held { holds: vec![Holds::No; others.len()], until: None });
        };
        let in_words = |error| Error::io(&found.shown, error);
        let mut file = File::open(path).map_err(in_words)?;
        let holds = others.iter().map(|(end, print)| {
            if self.bytes < *end {
                return Ok(Holds::Short);
            }
            let is = print.is_of_plain(&mut file, *end)?;
            Ok(if is { Holds::Yes } else { Holds::No })
        });
        let holds = holds.collect::<io::Result<_>>().map_err(in_words)?;
        Ok(Held { holds, until: None })
    }

    /// [`Look::holds`] by decompressing as far as the furthest end.
    fn holds_decoded(&self, found: &Found, others: &[(u64, Print)]) -> Result<Held> {
        let mut order: Vec<usize> = (0..others.len()).collect();
        order.sort_unstable_by_key(|&index| others[index].0);
        let mut holds = vec![Holds::Short; others.len()];
        let mut left = order.into_iter().peekable();
        let (mut ends, mut passed, mut differs) = (Ends::default(), 0u64, false);
        let input = Input::open_again(found, &OPTIONS, &Start::default(), &self.version)?;
        let drained = input.drain(|bytes| {
            let mut bytes = bytes;
            while let Some(&index) = left.peek() {
                let (end, print) = others[index];
                let missing = usize::try_from(end - passed).unwrap_or(usize::MAX);
                if missing > bytes.len() {
                    break;
                }
                let (before, after) = bytes.split_at(missing);
                ends.push(before);
                (passed, bytes) = (end, after);
                let is = print == Print::of_ends(&ends.head, &ends.tail);
                holds[index] = if is { Holds::Yes } else { Holds::No };
                differs |= !is;
                left.next();
            }
            ends.push(bytes);
            passed += bytes.len() as u64;
            // Where it differs that may be because it is corrupt, which its end tells.
            Ok(match left.peek() {
                None if !differs => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        let until = drained.map_err(|error| Error::io(&found.shown, error))?.until;
        if let Some(until) = &until {
            for (holds, (end, _)) in holds.iter_mut().zip(others) {
                if *holds == Holds::No && *end > until.offset {
                    *holds = Holds::Short;
                }
            }
        }
        Ok(Held { holds, until })
    }
}

/// How much a log holds, decompressed, and the print of all that.
///
/// # Errors
/// Those of reading it, and where its compression ends early: then it may not be all there yet.
pub fn whole(found: &Found) -> Result<(u64, Print)> {
    let (mut ends, mut bytes) = (Ends::default(), 0);
    let drained = Input::open(found, &OPTIONS)?.drain(|piece| {
        ends.push(piece);
        bytes += piece.len() as u64;
        Ok(ControlFlow::Continue(()))
    });
    let outcome = drained.map_err(|error| Error::io(&found.shown, error))?;
    match outcome.fault {
        Some(fault) => Err(Error::new(format!("{}: {}", found.shown, fault.reason()))),
        None => Ok((bytes, Print::of_ends(&ends.head, &ends.tail))),
    }
}

/// The first block of a compressed log; less where it is damaged.
fn decoded_head(found: &Found) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let options = Options { chunk_bytes: MARK_BYTES, ..OPTIONS };
    let drained = Input::open(found, &options)?.drain(|bytes| {
        head.extend(bytes);
        Ok(if head.len() < MARK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    });
    drained.map_err(|error| Error::io(&found.shown, error))?;
    head.truncate(MARK_BYTES);
    Ok(head)
}

/// How far a log can be relied on, as it was when it was looked at; none if all of it can.
///
/// # Errors
/// Those of reading it, and where it is another file by now.
pub fn until(found: &Found, look: &Look) -> Result<Option<Until>> {
    let input = Input::open_again(found, &OPTIONS, &Start::default(), &look.version)?;
    let drained = input.drain(|_| Ok(ControlFlow::Continue(())));
    let outcome = drained.map_err(|error| Error::io(&found.shown, error))?;
    match (outcome.until, outcome.fault) {
        (None, Some(fault)) => Err(Error::new(format!("{}: {}", found.shown, fault.reason()))),
        (until, _) => Ok(until),
    }
}

/// BLAKE3 of a log as it lies, as it was when it was looked at.
///
/// # Errors
/// Those of reading it, and where it is another file by now.
pub fn digest(found: &Found, look: &Look) -> Result<[u8; 32]> {
    let Place::File(path) = &found.place else { return Ok([0; 32]) };
    let in_words = |error| Error::io(&found.shown, error);
    let file = File::open(path).map_err(in_words)?;
    let now = Version::of(&file.metadata().map_err(in_words)?);
    if !look.version.is_continued_by(&now) {
        return Err(Error::new(format!("{}: is another file than before", found.shown)));
    }
    let mut hasher = blake3::Hasher::new();
    let mut as_it_was = io::Read::take(file, look.bytes);
    hasher.update_reader(&mut as_it_was).map_err(in_words)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Compares what two logs hold from an offset on, decompressed, as they were when they were looked at.
///
/// # Errors
/// Those of reading them, and where one is another file by now.
pub fn compare(first: &(Found, Look), second: &(Found, Look), from: u64) -> Result<Compared> {
    let mut readers = [Following::open(first, from)?, Following::open(second, from)?];
    loop {
        let [one, other] = &mut readers;
        let (one_ended, other_ended) = (!one.fill()?, !other.fill()?);
        match (one_ended, other_ended) {
            (true, _) => return Ok(Compared::Within),
            (false, true) => return Ok(Compared::Beyond),
            (false, false) => {}
        }
        let common = one.ahead().len().min(other.ahead().len());
        if one.ahead()[..common] != other.ahead()[..common] {
            return Ok(Compared::Apart);
        }
        one.start += common;
        other.start += common;
    }
}

/// A log that is read on, a piece at a time.
struct Following {
    shown: String,
    reader: Box<dyn io::Read>,
    buffer: Vec<u8>,
    start: usize,
}

impl Following {
    fn open((found, look): &(Found, Look), from: u64) -> Result<Following> {
        let start = Start { until: look.until.clone(), ..Start::default() };
        let input = Input::open_again(found, &OPTIONS, &start, &look.version)?;
        let mut following = Following {
            shown: found.shown.clone(),
            reader: input.into_reader(),
            buffer: Vec::new(),
            start: 0,
        };
        let mut missing = from;
        while missing > 0 && following.fill()? {
            let passed =
                following.ahead().len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            following.start += passed;
            missing -= passed as u64;
        }
        Ok(following)
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether anything lies ahead.
    fn fill(&mut self) -> Result<bool> {
        use io::Read as _;
        if self.ahead().is_empty() {
            self.buffer.clear();
            self.start = 0;
            let mut block = (&mut self.reader).take(DECODED_CHUNK_BYTES as u64);
            block.read_to_end(&mut self.buffer).map_err(|error| Error::io(&self.shown, error))?;
        }
        Ok(!self.ahead().is_empty())
    }
}

/// Whether a log still begins with all that was hashed of it, decompressed.
///
/// # Errors
/// Where it can't be opened or read.
pub fn begins_with(found: &Found, grown: &Grown) -> Result<bool> {
    let mut reader = Input::open(found, &OPTIONS)?.into_reader();
    // Behind the last chunk that was hashed lies at least a byte more.
    match Grown::of(&mut reader, grown.bytes + 1) {
        Ok(now) => Ok(now == *grown),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::io(&found.shown, error)),
    }
}

/// What lies at places of a log, decompressed: each given by offset and length, in the order of offsets. None where the log ends
/// before.
///
/// # Errors
/// Where it can't be opened or read.
pub fn spans(found: &Found, wanted: &[(u64, u64)]) -> Result<Vec<Option<Vec<u8>>>> {
    let in_words = |error| Error::io(&found.shown, error);
    let whole = |bytes: Vec<u8>, length: u64| Some(bytes).filter(|b| b.len() as u64 == length);
    let look = Look::at(found)?;
    if let (None, Place::File(path)) = (look.compression, &found.place) {
        let mut file = File::open(path).map_err(in_words)?;
        let span = |&(offset, length): &(u64, u64)| {
            block(&mut file, offset, length).map(|bytes| whole(bytes, length))
        };
        return wanted.iter().map(span).collect::<io::Result<_>>().map_err(in_words);
    }
    let mut all = vec![Vec::new(); wanted.len()];
    let mut passed = 0u64;
    let drained = Input::open(found, &OPTIONS)?.drain(|bytes| {
        let until = passed + bytes.len() as u64;
        for (span, &(offset, length)) in all.iter_mut().zip(wanted) {
            let (from, to) = (offset.max(passed), offset.saturating_add(length).min(until));
            if from < to {
                span.extend(&bytes[(from - passed) as usize..(to - passed) as usize]);
            }
        }
        passed = until;
        let is_done = wanted.iter().all(|(offset, length)| offset.saturating_add(*length) <= until);
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    drained.map_err(in_words)?;
    Ok(all.into_iter().zip(wanted).map(|(span, (_, length))| whole(span, *length)).collect())
}
