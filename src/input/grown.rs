//! BLAKE3 of a log that grows, without reading again what was there before.
//!
//! BLAKE3 is a tree over chunks of 1 KiB (section 2.1 of its paper). Of what lies before the last chunk the tree is made of whole
//! subtrees, whose sizes are the binary digits of the number of chunks; they are all that need be kept.

use std::io::{self, Read, Seek, SeekFrom};

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use blake3::{CHUNK_LEN, Hash, Hasher};

use crate::limits::HASHED_BYTES;

/// The subtrees of the chunks that were hashed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grown {
    /// How many bytes they are of: whole chunks, behind which more follows.
    pub bytes: u64,
    /// Their chaining values, from the left, the largest first.
    pub subtrees: Vec<[u8; 32]>,
}

impl Grown {
    /// Whether it is one that can be.
    fn is_whole(&self) -> bool {
        let chunks = self.bytes / CHUNK_LEN as u64;
        self.bytes.is_multiple_of(CHUNK_LEN as u64)
            && self.subtrees.len() == chunks.count_ones() as usize
    }

    /// Adds whole chunks, behind which more follows.
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (at, chunks) = (self.bytes / CHUNK_LEN as u64, bytes.len() / CHUNK_LEN);
            // The largest subtree that can begin here.
            let aligned = if at == 0 { u32::MAX } else { at.trailing_zeros() };
            let length = CHUNK_LEN << aligned.min(chunks.ilog2());
            let (subtree, rest) = bytes.split_at(length);
            let mut hasher = Hasher::new();
            hasher.set_input_offset(self.bytes);
            hasher.update_rayon(subtree);
            self.subtrees.push(hasher.finalize_non_root());
            self.bytes += length as u64;
            let whole = (self.bytes / CHUNK_LEN as u64).count_ones() as usize;
            while self.subtrees.len() > whole {
                let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) else {
                    break;
                };
                self.subtrees.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
            bytes = rest;
        }
    }

    /// The hash of all bytes, of which `last` are the last: at most a chunk, and none only if there is nothing else.
    fn finish(&self, last: &[u8]) -> Hash {
        let mut hasher = Hasher::new();
        if self.bytes == 0 {
            return hasher.update(last).finalize();
        }
        hasher.set_input_offset(self.bytes);
        hasher.update(last);
        let mut right = hasher.finalize_non_root();
        for (depth, left) in self.subtrees.iter().enumerate().rev() {
            if depth == 0 {
                return merge_subtrees_root(left, &right, Mode::Hash);
            }
            right = merge_subtrees_non_root(left, &right, Mode::Hash);
        }
        hasher.finalize()
    }

    /// The hash of the first `size` bytes of a log, and what of it is to be kept: no more than of the first `end` bytes. What
    /// lies before that which was kept before is not read.
    ///
    /// # Errors
    /// Those of reading, and where there is less.
    pub(super) fn grow(
        &self,
        file: &mut (impl Read + Seek + Send),
        end: u64,
        size: u64,
    ) -> io::Result<(Hash, Grown)> {
        let mut all = match self.is_whole() && self.bytes <= keep(size) {
            true => self.clone(),
            false => Grown::default(),
        };
        let mut kept = if all.bytes <= keep(end) { all.clone() } else { Grown::default() };
        file.seek(SeekFrom::Start(all.bytes))?;
        let hash = all.read_on(file, end, size, &mut kept)?;
        Ok((hash, kept))
    }

    /// What is to be kept of the first `size` bytes of what is read from its beginning.
    ///
    /// # Errors
    /// Those of reading, and where there is less.
    pub(super) fn of(reader: &mut (impl Read + Send), size: u64) -> io::Result<Grown> {
        let mut kept = Grown::default();
        Grown::default().read_on(reader, size, size, &mut kept)?;
        Ok(kept)
    }

    /// Adds the rest of the first `size` bytes, which `reader` reads. Their hash.
    fn read_on(
        &mut self,
        reader: &mut (impl Read + Send),
        end: u64,
        size: u64,
        kept: &mut Grown,
    ) -> io::Result<Hash> {
        // Blocks end where a block would end that begins at 0, and where what is kept ends.
        let end_of = |at: u64| -> u64 {
            let until = (at / HASHED_BYTES as u64 + 1) * HASHED_BYTES as u64;
            let until = until.min(keep(size));
            if at < keep(end) { until.min(keep(end)) } else { until }
        };
        let (mut block, mut next) = (Vec::new(), Vec::new());
        read(reader, end_of(self.bytes) - self.bytes, &mut block)?;
        while !block.is_empty() {
            // The next one is read meanwhile.
            let until = self.bytes + block.len() as u64;
            match end_of(until) - until {
                0 => {
                    self.push(&block);
                    next.clear();
                }
                ahead => {
                    let (_, came) =
                        rayon::join(|| self.push(&block), || read(reader, ahead, &mut next));
                    came?;
                }
            }
            if self.bytes <= keep(end) {
                kept.clone_from(self);
            }
            std::mem::swap(&mut block, &mut next);
        }
        read(reader, size - self.bytes, &mut block)?;
        Ok(self.finish(&block))
    }
}

/// How many of so many bytes are kept: behind each chunk of them lies at least a byte that was read.
fn keep(bytes: u64) -> u64 {
    let chunk = CHUNK_LEN as u64;
    bytes.saturating_sub(1) / chunk * chunk
}

/// Reads so many bytes.
fn read(file: &mut impl Read, bytes: u64, block: &mut Vec<u8>) -> io::Result<()> {
    block.clear();
    file.take(bytes).read_to_end(block)?;
    match block.len() as u64 == bytes {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However it grows, the hash is that of all of it.
        #[test]
        fn the_hash_of_a_log_that_grows_is_that_of_all_of_it(
            mut sizes in prop::collection::vec(
                prop_oneof![0usize..5000, 0usize..300, (0usize..2200).prop_map(|n| n * CHUNK_LEN), 0usize..2_300_000],
                1..5,
            ),
            pending in 0usize..3000,
        ) {
            sizes.sort_unstable();
            let bytes: Vec<u8> = (0..2_300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let mut grown = Grown::default();
            for size in sizes {
                let mut file = Cursor::new(&bytes[..size]);
                let end = size.saturating_sub(pending) as u64;
                let (hash, kept) = grown.grow(&mut file, end, size as u64).unwrap();
                prop_assert_eq!(hash, blake3::hash(&bytes[..size]));
                prop_assert!(kept.is_whole() && kept.bytes < end.max(1));
                grown = kept;
            }
        }
    }
}
