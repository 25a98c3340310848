//! The bytes of a log as they lie, as many of them in sight as a decoder asks for.
//!
//! Knows nothing of compression.

use std::io::{self, BufRead, Read};

use super::buffer::Buffer;
use super::source::Raw;
use crate::limits::READ_BYTES;

/// A [`Raw`] with what was read of it but not used.
pub(super) struct Window {
    raw: Raw,
    buffer: Buffer,
    /// Of the buffer, used already.
    start: usize,
    /// Told once all bytes before it are used.
    failed: Option<io::Error>,
}

impl Window {
    pub(super) fn new(raw: Raw) -> Window {
        Window { raw, buffer: Buffer::default(), start: 0, failed: None }
    }

    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// Where the next byte lies.
    pub(super) fn position(&self) -> u64 {
        self.raw.taken() - self.seen().len() as u64
    }

    /// At least the next `count` bytes; fewer only before the end or an error.
    pub(super) fn ahead(&mut self, count: usize) -> &[u8] {
        if self.seen().len() < count {
            self.buffer.drop_front(self.start);
            self.start = 0;
        }
        // What was read to recognise the log comes first, and by itself.
        while self.seen().len() < count && self.failed.is_none() {
            let missing = (count - self.buffer.len()).max(READ_BYTES);
            match self.raw.read(self.buffer.room(missing)) {
                Ok(0) => break,
                Ok(more) => self.buffer.advance(more),
                Err(error) => self.failed = Some(error),
            }
        }
        self.seen()
    }

    /// What is in sight without reading.
    pub(super) fn seen(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The error that ends the log, if nothing is left before it.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        if self.seen().is_empty() { self.failed.take() } else { None }
    }
}

impl BufRead for Window {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ahead(1);
        match self.error() {
            Some(error) => Err(error),
            None => Ok(self.seen()),
        }
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.seen().is_empty() && self.failed.is_none() && buffer.len() >= READ_BYTES {
            return self.raw.read(buffer);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
