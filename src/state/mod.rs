//! What is kept from run to run.

mod codec;
mod files;
mod folder;
mod ledger;
mod manifest;
mod hours;
mod seal;
mod segment;

pub use files::{Disk, Files};
pub use folder::{Folder, run_folder};
pub use hours::{DayHours, DayUses, OneHour};
pub use ledger::{
    Alerted, Day, JudgedBy, KnownInput, Ledger, Life, LifeCounts, LifeLog, Outbox, Stage,
    StateFile, Unremembered, Uses, Waiting,
};
pub use manifest::{MANIFEST_NAME, MANIFEST_SCHEMA, Manifest, ManifestInput, ManifestReport};
pub use seal::PrivacyKey;
pub use segment::{JudgedSums, Records, Segment, SegmentInput, Tables};
