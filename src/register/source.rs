//! Where a register lies, and reading it from there into [`Tables`].
//!
//! The only file access to registers. Knows the shape of files, not what is in the tables.

use std::fs;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::tables::{Layout, Table, Tables};
use crate::error::{Error, Result};
use crate::nearest::nearest;

/// Where a register lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of CSV files, one a table.
    Folder(PathBuf),
}

/// Reads all tables of a register. What is wrong in them is told by [`super::check`].
///
/// # Errors
///
/// If the folder or a file in it can't be read.
pub fn load(source: &Source) -> Result<Tables> {
    match source {
        Source::Folder(dir) => load_folder(dir),
    }
}

fn load_folder(dir: &Path) -> Result<Tables> {
    let mut tables = Tables::default();
    let names = csv_names(dir)?;
    for table in Table::ALL {
        let name = format!("{}.csv", table.name());
        let path = dir.join(&name);
        tables.set_file(table, path.display().to_string());
        if names.contains(&name) {
            let bytes = fs::read(&path).map_err(|error| Error::io(path.display(), error))?;
            read_csv(&mut tables, table, &bytes);
        } else if table.is_needed() {
            let problem = Problem::error(tables.file(table), "found no such file, which is needed");
            tables.problems.push(problem);
        }
    }
    for name in &names {
        let stem = &name[..name.len() - ".csv".len()];
        if Table::ALL.iter().any(|table| table.name() == stem) {
            continue;
        }
        let known = nearest(stem, Table::ALL.iter().map(|table| table.name())).unwrap_or_default();
        let message = format!("found an unknown table, the nearest known one is \"{known}.csv\"");
        let problem = Problem::error(&dir.join(name).display().to_string(), message);
        tables.problems.push(problem.hint(format!("rename it to \"{known}.csv\" or move it away")));
    }
    Ok(tables)
}

/// The names of the folder's CSV files, sorted; hidden ones, left by editors, are none.
fn csv_names(dir: &Path) -> Result<Vec<String>> {
    let io = |error| {
        Error::io(dir.display(), error).hint("a register is a folder with partners.csv and others")
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension();
        if extension.is_some_and(|csv| csv.eq_ignore_ascii_case("csv")) && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Takes in one table's CSV: UTF-8, a header row, `\n` or `\r\n`, quoted fields, blank lines skipped.
pub(super) fn read_csv(tables: &mut Tables, table: Table, bytes: &[u8]) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Err(error) = std::str::from_utf8(bytes) {
        let line = 1 + newlines(&bytes[..error.valid_up_to()]);
        let problem =
            Problem::error(tables.file(table), "found bytes that are not UTF-8").row(line);
        tables.problems.push(problem.hint("save the file as UTF-8"));
        return;
    }
    let mut layout = None;
    let unclosed = each_record(bytes, |line, texts| match &layout {
        None => layout = Some(Layout::read(tables, table, line, texts)),
        Some(layout) => layout.row(tables, line, texts),
    });
    let file = tables.file(table);
    let problem = match (unclosed, layout) {
        (Some(line), _) => Problem::error(file, "found a quote that is never closed").row(line),
        (None, None) => Problem::error(file, "found an empty file, expected a header row"),
        (None, Some(_)) => return,
    };
    tables.problems.push(problem);
}

/// A record that no table holds, put behind the last line: if a quote is never closed, the CSV
/// reader, which says nothing of that, takes it for a part of the record before.
const SENTINEL: &str = "\n\0\n";

/// Gives each record that is not blank with the line, from 1, in which it begins.
/// Returns the line of a record, left out, with a quote that is never closed.
fn each_record(utf8: &[u8], mut take: impl FnMut(u64, &[&str])) -> Option<u64> {
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(std::io::Read::chain(utf8, SENTINEL.as_bytes()));
    let mut lines = Lines { bytes: utf8, at: 0, line: 1 };
    let mut record = csv::StringRecord::new();
    // Reading UTF-8 from memory does not fail.
    while let Ok(true) = csv.read_record(&mut record) {
        let byte = record.position().map_or(0, csv::Position::byte);
        let line = lines.advance(byte)?;
        let texts: Vec<&str> = record.iter().collect();
        if texts.last().is_some_and(|text| text.ends_with(SENTINEL)) {
            return Some(line);
        }
        if texts.len() > 1 || texts.iter().any(|text| !text.trim().is_empty()) {
            take(line, &texts);
        }
    }
    None
}

/// Finds the line in which a record begins. The CSV reader's own count stops at the line
/// ending before a record, which is a line too early, or more after blank lines.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line, from 1, of the record found at `byte` or after line endings there;
    /// `None` behind the last one. `byte` must not go back.
    fn advance(&mut self, byte: u64) -> Option<u64> {
        let byte = usize::try_from(byte).ok()?;
        let rest = self.bytes.get(byte..)?;
        let start = byte + rest.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
        self.line += newlines(&self.bytes[self.at..start]);
        self.at = start;
        Some(self.line)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
