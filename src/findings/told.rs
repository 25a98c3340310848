//! What a run that keeps state found out about logs and register, beside the calls.

use super::Kind;
use super::collect::{Found, Severities};
use super::hygiene::without_calls;
use super::id::{Identity, id};

/// A log that something became of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Log {
    /// Its source.
    pub source: String,
    /// Its path when it was last read.
    pub path: String,
    /// How far it was read, in decompressed bytes.
    pub read_bytes: u64,
    /// How many bytes were seen there last.
    pub seen_bytes: u64,
    /// Its number: two logs may have lain at one path.
    pub id: u64,
}

/// One thing found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What was read of a log is no longer what lies there.
    Rewritten(Log),
    /// A log is gone, and was not read to its end, or nobody can tell.
    Lost(Log),
    /// The register has errors; the last good one was used.
    RegisterRefused,
    /// One of these that a run before has told, and that is not over.
    Before {
        /// The finding's id.
        id: String,
        /// Its kind.
        kind: Kind,
        /// The log it is about, if it is about one.
        log: Option<Log>,
    },
}

impl Told {
    /// The finding. One log's is the same each night, whatever it is called.
    pub(super) fn found(&self, severities: &Severities) -> Found {
        let (kind, log) = match self {
            Told::Rewritten(log) => (Kind::LogRewritten, Some(log)),
            Told::Lost(log) => (Kind::LogLost, Some(log)),
            Told::RegisterRefused => (Kind::RegisterRefused, None),
            Told::Before { id, kind, log } => {
                let found = without_calls(id.clone(), *kind, severities);
                return Found { log: log.clone(), ..found };
            }
        };
        // What makes it one problem is where the log lay.
        let number = log.map_or_else(String::new, |log| log.id.to_string());
        let identity = log.map_or_else(Identity::default, |log| Identity {
            partner: &log.source,
            api: &log.path,
            credential: &number,
            ..Identity::default()
        });
        Found { log: log.cloned(), ..without_calls(id(kind, identity), kind, severities) }
    }
}
