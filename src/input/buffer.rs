//! A byte buffer that is used again and again without being zeroed each time.
//!
//! `Vec::resize` writes zeros before a reader writes its bytes, which on the way of every log costs as
//! much as reading it from the page cache. This one zeroes memory once, when it grows.

use std::ops::Deref;

/// Bytes `..length` are its content; the others are left over.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// `count` bytes after the content, of any value.
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        let end = self.length + count;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.length..end]
    }

    /// Makes the first `count` bytes of the room content.
    pub(super) fn advance(&mut self, count: usize) {
        self.length += count;
        assert!(self.length <= self.bytes.len());
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    pub(super) fn drop_front(&mut self, count: usize) {
        self.bytes.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
