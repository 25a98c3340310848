//! What is kept from run to run.

mod codec;
mod files;
mod ledger;
mod seal;
mod segment;

pub use files::{Disk, Files};
pub use ledger::{Day, KnownInput, Ledger, Life, Stage, StateFile, Uses};
pub use seal::PrivacyKey;
pub use segment::{Segment, SegmentInput, Tables};
