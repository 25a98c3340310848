//! `overstay calls --verify`: does the evidence of a report still lie where the report says, unchanged?

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Ended, Status};
use crate::error::{Error, Result};
use crate::findings::hex;
use crate::input::{self, Found, Input, Line, Options, Place};
use crate::render::json_line;
use crate::report::text::counted;
use crate::report::{PathsFrom, SCHEMA};

/// What every version of a report has.
#[derive(Deserialize)]
struct Versioned {
    schema: String,
}

/// What of a report is verified.
#[derive(Deserialize)]
struct Report {
    config: Config,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Config {
    paths_from: PathsFrom,
}

#[derive(Deserialize)]
struct Finding {
    id: String,
    evidence: Vec<Evidence>,
}

#[derive(Clone, Deserialize)]
struct Evidence {
    path: String,
    offset: u64,
    length: u64,
    blake3: String,
}

/// How one line of evidence fared.
#[derive(Serialize)]
struct Verified<'a> {
    finding: &'a str,
    path: &'a str,
    offset: u64,
    length: u64,
    status: &'static str,
}

/// Compares every line of evidence, printing a JSON object for each to `stdout`.
///
/// Paths start from the folder that the report says they start from: that of the configuration, or the current one.
///
/// # Errors
///
/// If the report can't be read, or its paths start from a configuration's folder and there is none.
pub(super) fn verify(
    path: &Path,
    config_folder: Option<&Path>,
    stdout: &mut (dyn Write + Send),
) -> Result<Ended> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| Error::io(&shown, error))?;
    let no_report = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        Error::new(format!("{shown}: {line}: {column}: found no JSON report: {error}"))
            .hint("give a file that `overstay audit --report json=FILE` wrote")
    };
    let Versioned { schema } = serde_json::from_slice(&bytes).map_err(no_report)?;
    if schema != SCHEMA {
        return Err(Error::new(format!("{shown}: found schema `{schema}`, expected `{SCHEMA}`")));
    }
    let report: Report = serde_json::from_slice(&bytes).map_err(no_report)?;
    let base = match (report.config.paths_from, config_folder) {
        (PathsFrom::WorkingFolder, _) => Path::new(""),
        (PathsFrom::Config, Some(folder)) => folder,
        (PathsFrom::Config, None) => {
            return Err(Error::new(format!(
                "{shown}: its paths are relative to the folder of its configuration, and there is none"
            ))
            .hint("give the configuration that the report was made with: --config FILE"));
        }
    };
    let mut by_path: BTreeMap<&str, Vec<(&str, &Evidence)>> = BTreeMap::new();
    for finding in &report.findings {
        for evidence in &finding.evidence {
            by_path.entry(&evidence.path).or_default().push((&finding.id, evidence));
        }
    }
    let (mut checked, mut warnings) = (0u64, Vec::new());
    for (path, mut evidence) in by_path {
        evidence.sort_by_key(|(id, evidence)| (evidence.offset, *id));
        let hashes = hashes(path, base, &evidence);
        let mut changed = 0;
        for (finding, evidence) in &evidence {
            let status = match &hashes {
                Err(_) => "unreadable",
                Ok(hashes)
                    if hashes.get(&evidence.offset)
                        == Some(&(evidence.length, evidence.blake3.clone())) =>
                {
                    "same"
                }
                Ok(_) => "changed",
            };
            changed += u64::from(status == "changed");
            checked += 1;
            let Evidence { path, offset, length, .. } = evidence;
            let verified = Verified { finding, path, offset: *offset, length: *length, status };
            json_line(&verified, stdout)
                .and_then(|()| stdout.write_all(b"\n"))
                .map_err(|error| Error::io("standard output", error))?;
        }
        if let Err(error) = hashes {
            warnings.push(error.to_string());
        } else if changed > 0 {
            warnings.push(format!(
                "{path}: {changed} of {} lines of evidence changed or are gone",
                evidence.len()
            ));
        }
    }
    stdout.flush().map_err(|error| Error::io("standard output", error))?;
    let status = if warnings.is_empty() { Status::Done } else { Status::Failed };
    let mut ended = Ended::new(status);
    if checked == 0 {
        warnings.push(format!("{shown}: its findings have no evidence to verify"));
    } else if status == Status::Done {
        let lines = counted(checked, "line", "lines");
        ended.notes.push(format!("{shown}: {lines} of evidence, all the same"));
    }
    ended.warnings = warnings;
    Ok(ended)
}

/// Length and hash of each line of evidence that lies at the offset of one, by that offset.
fn hashes(
    path: &str,
    base: &Path,
    evidence: &[(&str, &Evidence)],
) -> Result<BTreeMap<u64, (u64, String)>> {
    if path == "-" {
        return Err(Error::new("-: standard input can't be read again"));
    }
    // By its very name: another log that a pattern would find proves nothing of this one. Only that it may have been
    // compressed since, since offsets and hashes are those of what is compressed.
    let place = base.join(path);
    let compressed = ["", ".gz", ".zst"].map(|ending| {
        let mut place = place.clone().into_os_string();
        place.push(ending);
        PathBuf::from(place)
    });
    let metadata =
        compressed.into_iter().map(|place| std::fs::metadata(&place).map(|m| (place, m)));
    let is_absent = |found: &io::Result<_>| {
        found.as_ref().is_err_and(|error: &io::Error| error.kind() == ErrorKind::NotFound)
    };
    let found = match metadata.into_iter().find(|found| !is_absent(found)) {
        Some(Ok((place, metadata))) if metadata.is_file() => {
            Found { place: Place::File(place), shown: path.to_owned() }
        }
        Some(Ok(_)) => {
            return Err(Error::new(format!("{path}: found what is no file, expected a log")));
        }
        Some(Err(error)) => return Err(Error::io(path, error)),
        None => return Err(Error::new(format!("{}: the log is not there", place.display()))),
    };
    let input = Input::open(&found, &Options::default())?;
    let wanted: Vec<u64> = evidence.iter().map(|(_, evidence)| evidence.offset).collect();
    let last = wanted.last().copied().unwrap_or(0);
    let mut hashes = BTreeMap::new();
    let outcome = input.for_each_in_order(
        &|_| {},
        |piece| {
            let mut of_piece = Vec::new();
            for line in piece.lines() {
                if let Line::Content { offset, bytes } = line
                    && wanted.binary_search(&offset).is_ok()
                {
                    let hash = hex(blake3::hash(bytes).as_bytes());
                    of_piece.push((offset, (bytes.len() as u64, hash)));
                }
            }
            (piece.offset, of_piece)
        },
        |(piece_offset, of_piece)| {
            hashes.extend(of_piece);
            // Pieces come in order: past the last wanted line there is nothing to learn.
            if piece_offset > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    match outcome.fault {
        Some(input::Fault::Shrank(reason)) => Err(Error::new(format!("{path}: {reason}"))),
        _ => Ok(hashes),
    }
}
