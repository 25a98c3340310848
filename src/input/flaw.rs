//! Why what a log's compression holds can't be decoded to its end, and how much of what was decoded can be relied on.
//!
//! Where the data ends too early, all that was decoded lay before the end: it is what was compressed, and where the rest comes
//! later it follows. Where the data is not what was written, a decoder seldom notices at once: of deflate it gives other bytes
//! for a while, perhaps to the end of the member, and only the checksum behind that tells. What was decoded since the last
//! member or frame that was whole may then be anything.
//!
//! A report of all logs counts that too, and says that it is partial. Where reading goes on another time only what can be
//! relied on may count. What is counted stays: a call that nobody made would be there for good, and a good copy that comes
//! later would be another log by its content, and count once more. What does not count is told, and is read if it is mended.
//!
//! Two things can't be told. A damaged byte may lead a decoder past the end of the data, which is taken for data that is cut
//! short; it takes one near the end. And some zstd frames have no checksum.

use super::{Fault, Until};

/// Why a log ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Its data does. What was decoded can be relied on.
    Cut(String),
    /// Its data is not what was written. What was decoded since the last whole part can't be relied on.
    Corrupt(String),
    /// It could not be read. Of what another try will give nothing is known.
    Unreadable(String),
}

impl Flaw {
    /// In words that follow the log's name.
    pub(super) fn reason(&self) -> &str {
        match self {
            Flaw::Cut(reason) | Flaw::Corrupt(reason) | Flaw::Unreadable(reason) => reason,
        }
    }

    /// How far can be relied on what was decoded, `open` bytes of it since the last whole part; none if it may be read better.
    pub(super) fn until(&self, decoded: u64, open: u64) -> Option<Until> {
        let offset = match self {
            Flaw::Cut(_) => decoded,
            Flaw::Corrupt(_) => decoded - open,
            Flaw::Unreadable(_) => return None,
        };
        Some(Until { offset, decoded, reason: self.reason().to_owned() })
    }
}

impl From<&Flaw> for Fault {
    fn from(flaw: &Flaw) -> Fault {
        Fault::EndedEarly(flaw.reason().to_owned())
    }
}
