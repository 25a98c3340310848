//! By what a log is known another time, whatever its name: the first and the last block of what was read of it.
//!
//! Both are of decompressed bytes, so that a log is known when it was compressed meanwhile. The first is a power of two long: a
//! log that is looked at need be hashed a dozen times, not once for each length that any log was read to.

use std::io::{self, Read, Seek, SeekFrom};

use crate::limits::MARK_BYTES;

/// Hashes of the ends of what was read of a log. The default is that of a log of which nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Print {
    /// How long the first block is: the largest power of two up to [`MARK_BYTES`] that is no more than what was read.
    pub head_bytes: u32,
    /// BLAKE3 of it.
    pub head: [u8; 32],
    /// How long the last block is: [`MARK_BYTES`], or all of what was read.
    pub tail_bytes: u32,
    /// BLAKE3 of it.
    pub tail: [u8; 32],
}

/// A log that is compressed, as it lies: enough to know that it is the same without decompressing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packed {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its first and its last block. (The last block of gzip holds the length and a checksum of what it holds.)
    pub ends: [u8; 32],
}

/// `length` bytes from `offset` on, or as many as there are.
pub(super) fn block(
    file: &mut (impl Read + Seek),
    offset: u64,
    length: u64,
) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut block = Vec::new();
    file.take(length).read_to_end(&mut block)?;
    Ok(block)
}

/// The lengths of first blocks up to `length`, the longest first.
pub(super) fn head_lengths(length: usize) -> impl Iterator<Item = usize> {
    let longest = length.min(MARK_BYTES).checked_ilog2();
    longest.into_iter().flat_map(|longest| (0..=longest).rev().map(|exponent| 1 << exponent))
}

/// BLAKE3 of a block.
pub(super) fn hash(block: &[u8]) -> [u8; 32] {
    *blake3::hash(block).as_bytes()
}

impl Print {
    /// Of what was read, given its first and last block.
    pub(super) fn of_ends(head: &[u8], tail: &[u8]) -> Print {
        let Some(head_bytes) = head_lengths(head.len()).next() else { return Print::default() };
        Print {
            head_bytes: head_bytes as u32,
            head: hash(&head[..head_bytes]),
            tail_bytes: tail.len() as u32,
            tail: hash(tail),
        }
    }

    /// Of what lies before `end` in a file that is not compressed.
    pub(super) fn of_plain(file: &mut (impl Read + Seek), end: u64) -> io::Result<Print> {
        let length = end.min(MARK_BYTES as u64);
        let (head, tail) = (block(file, 0, length)?, block(file, end - length, length)?);
        Ok(Print::of_ends(&head, &tail))
    }

    /// Whether it is that of what lies before `end` in a file that is not compressed.
    pub(super) fn is_of_plain(&self, file: &mut (impl Read + Seek), end: u64) -> io::Result<bool> {
        Ok(*self == Print::of_plain(file, end)?)
    }
}

impl Packed {
    /// Of a file of that size.
    pub(super) fn of(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<Packed> {
        let length = bytes.min(MARK_BYTES as u64);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&block(file, 0, length)?);
        hasher.update(&block(file, bytes - length, length)?);
        Ok(Packed { bytes, ends: *hasher.finalize().as_bytes() })
    }
}
