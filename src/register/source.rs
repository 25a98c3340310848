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

/// Reads all tables of a register. What is wrong in them is told by [`super::check()`].
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
    let names = table_names(dir)?;
    let mut tables = of_files(dir, &table_files(&Source::Folder(dir.to_owned()))?);
    for name in &names {
        let stem = stem(name);
        if Table::ALL.iter().any(|table| *name == format!("{}.csv", table.name())) {
            continue;
        }
        let known = nearest(stem, Table::ALL.iter().map(|table| table.name())).unwrap_or_default();
        let message = format!("found an unknown table, the nearest known one is \"{known}.csv\"");
        let problem = Problem::error(&dir.join(name).display().to_string(), message);
        tables.problems.push(problem.hint(format!("make it \"{known}.csv\" or move it away")));
    }
    Ok(tables)
}

/// The tables of files as they lie, each with its name; `dir` is where they are said to be.
pub fn of_files(dir: &Path, files: &[(String, Vec<u8>)]) -> Tables {
    let mut tables = Tables::default();
    for table in Table::ALL {
        let name = format!("{}.csv", table.name());
        tables.set_file(table, dir.join(&name).display().to_string());
        if let Some((_, bytes)) = files.iter().find(|(file, _)| *file == name) {
            read_csv(&mut tables, table, bytes);
        } else if table.is_needed() {
            let problem = Problem::error(tables.file(table), "found no such file, which is needed");
            tables.refuse(table, problem);
        }
    }
    tables.sort();
    tables
}

/// The files of a register's tables as they lie: name and content.
///
/// # Errors
///
/// As [`load`].
pub fn table_files(source: &Source) -> Result<Vec<(String, Vec<u8>)>> {
    let Source::Folder(dir) = source;
    let names = table_names(dir)?;
    let known = Table::ALL.iter().map(|table| format!("{}.csv", table.name()));
    let there = known.filter(|name| names.contains(name));
    there
        .map(|name| {
            let path = dir.join(&name);
            let bytes = fs::read(&path).map_err(|error| Error::io(path.display(), error))?;
            Ok((name, bytes))
        })
        .collect()
}

/// How files end that people mean as tables, or as packed ones, and that are not read.
const OTHER_ENDINGS: [&str; 10] =
    ["tsv", "tab", "txt", "gz", "zst", "xz", "zip", "xlsx", "ods", "json"];

/// Whether a file of that name in a register's folder is a table or meant as one: all of CSV, and those named like a table
/// with an ending that tables have elsewhere, or with none, such as `consents.csv.gz`. Hidden files, left by editors, are
/// none.
pub fn may_be_table(name: &str) -> bool {
    let ending = Path::new(name).extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let is_csv = ending.as_deref() == Some("csv");
    let is_named = ending.is_none_or(|ending| OTHER_ENDINGS.contains(&ending.as_str()))
        && Table::ALL.iter().any(|table| table.name().eq_ignore_ascii_case(stem(name)));
    (is_csv || is_named) && !name.starts_with('.')
}

/// The names of the folder's files that are tables or meant as such, sorted.
fn table_names(dir: &Path) -> Result<Vec<String>> {
    let io = |error| {
        Error::io(dir.display(), error).hint("a register is a folder with partners.csv and others")
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A folder that is called as a table is read as one, and told to be none.
        let is_other_folder = entry.path().is_dir() && !name.ends_with(".csv");
        if may_be_table(&name) && !is_other_folder {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A file's name up to its first dot.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Takes in one table's CSV: UTF-8, a header row, `\n` or `\r\n`, quoted fields, blank lines skipped.
pub(super) fn read_csv(tables: &mut Tables, table: Table, bytes: &[u8]) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Err(error) = std::str::from_utf8(bytes) {
        let line = 1 + newlines(&bytes[..error.valid_up_to()]);
        let problem =
            Problem::error(tables.file(table), "found bytes that are not UTF-8").row(line);
        tables.refuse(table, problem.hint("save the file as UTF-8"));
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
    tables.refuse(table, problem);
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

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    /// The records of a text with their lines, and the line of an unclosed quote.
    fn records(text: &str) -> (Vec<(u64, String)>, Option<u64>) {
        let mut records = Vec::new();
        let unclosed =
            each_record(text.as_bytes(), |line, texts| records.push((line, texts.join("|"))));
        (records, unclosed)
    }

    fn row(line: u64, texts: &str) -> (u64, String) {
        (line, texts.to_owned())
    }

    #[test]
    fn lines_are_counted_over_blank_ones_crlf_and_quoted_line_endings() {
        let text = "\n\na,b\r\n\r\n  \r\n1,\"x\ny\"\r\n\"2\"\"\",z";
        let expected = vec![row(3, "a|b"), row(6, "1|x\ny"), row(8, "2\"|z")];
        assert_eq!(records(text), (expected, None));
        assert_eq!(records(""), (vec![], None));
        assert_eq!(records("a\n\n\n"), (vec![row(1, "a")], None));
        assert_eq!(records("a,b\n,\n"), (vec![row(1, "a|b"), row(2, "|")], None));
    }

    #[test]
    fn a_quote_never_closed_is_told() {
        assert_eq!(records("a,b\n1,\"x\n2,y\n"), (vec![row(1, "a|b")], Some(2)));
        assert_eq!(records("a,b\n1,\""), (vec![row(1, "a|b")], Some(2)));
        assert_eq!(records("a,b\n1,5\" x\n"), (vec![row(1, "a|b"), row(2, "1|5\" x")], None));
        assert_eq!(records("a\n\"\"\n\"x\""), (vec![row(1, "a"), row(3, "x")], None));
    }

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn problems(dir: &Path) -> Vec<String> {
        let tables = load(&Source::Folder(dir.to_owned())).unwrap();
        let prefix = format!("{}/", dir.display());
        check(&tables).iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
    }

    const GOOD: [(&str, &[u8]); 5] = [
        ("partners.csv", b"\xEF\xBB\xBF\"partner\" , name\r\n\r\n seekly ,\"Seekly, Ltd\"\r\n"),
        ("credentials.csv", b"partner,credential\nseekly,k1\n"),
        ("apis.csv", b"api\nmessages\n"),
        ("grants.csv", b"operations,api,partner,grant,purpose\nread,messages,seekly,g1,search\n"),
        ("routes.csv", b"api,path\nmessages,/m\n"),
    ];

    #[test]
    fn byte_order_mark_crlf_quotes_spaces_and_column_order_do_not_matter() {
        let dir = folder(&GOOD);
        fs::write(dir.path().join("purposes.csv"), "purpose\nsearch\n").unwrap();
        fs::write(dir.path().join("README.md"), "not a table").unwrap();
        fs::write(dir.path().join(".partners.csv"), "left by an editor").unwrap();
        assert_eq!(problems(dir.path()), [""; 0]);
        let tables = load(&Source::Folder(dir.path().to_owned())).unwrap();
        assert_eq!(tables.partners[0].cells.partner, "seekly");
        assert_eq!(tables.partners[0].cells.name.as_deref(), Some("Seekly, Ltd"));
        assert_eq!(tables.partners[0].line, 3);
    }

    #[test]
    fn missing_and_unknown_tables() {
        let dir = folder(&[GOOD[0], GOOD[2], GOOD[3], GOOD[4], ("purpose.csv", b"purpose\n")]);
        fs::write(dir.path().join("credentials.csv"), b"").unwrap();
        fs::remove_file(dir.path().join("grants.csv")).unwrap();
        assert_eq!(
            problems(dir.path()),
            [
                "credentials.csv: found an empty file, expected a header row",
                "grants.csv: found no such file, which is needed",
                "purpose.csv: found an unknown table, the nearest known one is \"purposes.csv\"",
            ]
        );
    }

    #[test]
    fn a_table_under_another_ending_is_not_passed_over() {
        let dir = folder(&GOOD);
        fs::write(dir.path().join("purposes.csv"), "purpose\nsearch\n").unwrap();
        for name in ["Consents.CSV", "consents.csv.gz", "purposes.tsv", "routes"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        // What editors leave and what is no table is passed over.
        for name in ["grants.csv~", "grants.csv.bak", "grants.md", "README.md", "LICENSE"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("partners")).unwrap();
        let told = problems(dir.path());
        let unknown = |name: &str, nearest: &str| {
            format!("{name}: found an unknown table, the nearest known one is \"{nearest}.csv\"")
        };
        assert_eq!(
            told,
            [
                unknown("Consents.CSV", "consents"),
                unknown("consents.csv.gz", "consents"),
                unknown("purposes.tsv", "purposes"),
                unknown("routes", "routes"),
            ]
        );
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_line() {
        let dir = folder(&GOOD);
        fs::write(dir.path().join("purposes.csv"), b"purpose,name\nsearch,\nx,caf\xE9\n").unwrap();
        // That is all: grants for purposes nobody could read are not held against them.
        assert_eq!(problems(dir.path()), ["purposes.csv: 3: found bytes that are not UTF-8"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(&Source::Folder(dir.path().join("register"))).unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
        assert!(error.hint_text().is_some());
    }
}
