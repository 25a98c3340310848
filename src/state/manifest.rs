//! The manifest of a run: what it read, what it judged by, what it wrote, and the hash of the manifest before.
//!
//! It stands beside the run's report as `manifest.json`. Its own hash is the head of the chain: who knows that knows all runs,
//! reports and digests before it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Name and version of the form.
pub const MANIFEST_SCHEMA: &str = "overstay.manifest/1";
/// The name of its file.
pub const MANIFEST_NAME: &str = "manifest.json";

/// What stands in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`MANIFEST_SCHEMA`].
    pub schema: String,
    /// Program and version.
    pub program: String,
    /// The run's number, from 1.
    pub run: u64,
    /// When it was, in RFC 3339.
    pub run_at: String,
    /// Whether the state was forgotten before it: by `--rebuild`, or since there was none.
    pub anew: bool,
    /// BLAKE3 of the register's content, hex.
    pub register: String,
    /// BLAKE3 of the configuration, hex.
    pub config: Option<String>,
    /// What was read, by path and source.
    pub inputs: Vec<ManifestInput>,
    /// What was written, by path.
    pub reports: Vec<ManifestReport>,
    /// BLAKE3 of the manifest before, hex; null of the first.
    pub previous: Option<String>,
}

/// A log, and what was read of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// Its path.
    pub path: String,
    /// Its source.
    pub source: String,
    /// Its number: the same in all runs, whatever it is called.
    pub id: u64,
    /// Where reading began, in decompressed bytes.
    pub from: u64,
    /// Where it ended.
    pub until: u64,
    /// BLAKE3 of the log as it lay, hex.
    pub digest: Option<String>,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestReport {
    /// Its path below the folder of all reports.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of it, hex.
    pub blake3: String,
}

impl ManifestReport {
    /// Of a report that is written.
    pub fn of(path: &str, content: &[u8]) -> ManifestReport {
        ManifestReport {
            path: path.to_owned(),
            bytes: content.len() as u64,
            blake3: blake3::hash(content).to_hex().to_string(),
        }
    }
}

impl Manifest {
    /// The file that holds it: JSON, indented, with a newline at its end.
    ///
    /// # Errors
    ///
    /// None that these types can cause; they are passed on all the same.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut file = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(format!("the manifest can't be written: {error}")))?;
        file.push(b'\n');
        Ok(file)
    }

    /// Reads a manifest; `shown` is its file's name.
    ///
    /// # Errors
    ///
    /// If it is none, or of another version.
    pub fn decode(shown: &str, file: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(file).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::new(format!("{shown}: {line}: {column}: found no manifest of a run: {error}"))
        })?;
        if manifest.schema != MANIFEST_SCHEMA {
            let found = manifest.schema;
            return Err(Error::new(format!(
                "{shown}: found schema `{found}`, expected `{MANIFEST_SCHEMA}`"
            )));
        }
        Ok(manifest)
    }
}
