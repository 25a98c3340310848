//! Which logs a pattern means: a file, a folder, a glob, or standard input.
//!
//! Looks at names and kinds of files only, and opens none.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::error::{Error, Result, io_words};

/// A log that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub place: Place,
    /// Its name in reports: as the user wrote it, or below what the user wrote; `-` for standard input.
    /// Not escaped, and lossy where it is not UTF-8.
    pub shown: String,
}

/// Where a log lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard input.
    Stdin,
    /// A path to open: a regular file, or a pipe or device that was named.
    File(PathBuf),
}

/// What a pattern means.
#[derive(Debug, Default)]
pub struct Findings {
    /// The logs, sorted by the bytes of their names, each real file once. Empty: nothing matches.
    pub found: Vec<Found>,
    /// Name and reason of what could not be looked at, in the same order.
    pub unreadable: Vec<(String, String)>,
}

/// Finds the logs that a pattern means.
///
/// `-` is standard input. What exists under the very name is that file, or all regular files below that
/// folder but for hidden ones; symbolic links are followed. Else `*`, `?`, `[…]` and `**` are a glob (which
/// matches hidden names only if it says so), as are `{yyyy}`, `{mm}`, `{dd}` for digits; a folder
/// that it matches stands for what is below it.
///
/// `base` is the folder that the pattern is relative to, which names in reports leave out; without
/// it, the current one.
///
/// # Errors
/// A glob that cannot be read.
pub fn find(pattern: &str, base: Option<&Path>) -> Result<Findings> {
    let mut findings = Findings::default();
    if pattern == "-" {
        findings.found.push(Found { place: Place::Stdin, shown: pattern.to_owned() });
        return Ok(findings);
    }
    if pattern.is_empty() {
        return Ok(findings);
    }
    let base = without_dots(base.unwrap_or(Path::new("")));
    let mut search = Search { base: &base, findings };

    let path = base.join(pattern);
    match fs::metadata(&path) {
        Ok(metadata) => search.add(path, metadata.is_dir()),
        Err(error) if is_absent(error.kind()) => search.glob(pattern)?,
        Err(error) => search.unreadable(&path, io_words(&error)),
    }
    let Findings { found, mut unreadable } = search.findings;
    unreadable.sort();
    unreadable.dedup();
    Ok(Findings { found: once(found), unreadable })
}

/// Whether a pattern would find a file that is not there yet. Its path is without links and relative parts.
pub fn would_find(pattern: &str, base: Option<&Path>, path: &Path) -> bool {
    let base = base.filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A folder that is not there yet may come to be with the file.
    let is_below = |folder: &Path| {
        resolved(folder).is_some_and(|folder| {
            path.strip_prefix(&folder).is_ok_and(|below| {
                below.components().all(|part| !is_hidden(Path::new(part.as_os_str())))
            })
        })
    };
    let whole = base.join(pattern);
    if pattern == "-" || pattern.is_empty() || whole.is_file() {
        return false;
    }
    if whole.is_dir() {
        return is_below(&whole);
    }
    // The folder up to which nothing is a wildcard, and the rest.
    let whole = whole.to_string_lossy();
    let whole = dated(&whole);
    let parts: Vec<Component<'_>> = Path::new(&whole).components().collect();
    let literal =
        parts.iter().take_while(|part| !is_glob(&part.as_os_str().to_string_lossy())).count();
    if literal == parts.len() {
        return is_below(Path::new(&whole));
    }
    let Some(folder) = resolved(&parts[..literal].iter().collect::<PathBuf>()) else {
        return false;
    };
    let rest = parts[literal..].iter().collect::<PathBuf>();
    let glob = Path::new(&glob::Pattern::escape(&folder.to_string_lossy())).join(rest);
    glob::Pattern::new(&glob.to_string_lossy()).is_ok_and(|glob| {
        // A folder that it matches stands for what is below it.
        path.ancestors().any(|matched| {
            matches_strictly(&glob, matched, STRICT) && (matched == path || is_below(matched))
        })
    })
}

/// A path without links and relative parts, also of what is not there yet: then the nearest folder around it tells.
pub fn resolved(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|part| {
        let part = if part.as_os_str().is_empty() { Path::new(".") } else { part };
        let known = fs::canonicalize(part).ok()?;
        Some(known.join(path.strip_prefix(part).unwrap_or(path)))
    })
}

/// Sorts logs by the bytes of their names and leaves each real file once, under the first of its names.
pub fn once(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| (&a.shown, a.place.path()).cmp(&(&b.shown, b.place.path())));
    let mut seen = HashSet::new();
    // By path rather than by device and inode, which some network file systems give to several files: a
    // log that is left out by mistake is worse than one that is read twice.
    found.retain(|found| {
        let path = found.place.path();
        let real = path.map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        seen.insert(real)
    });
    found
}

impl Found {
    /// Its path without links and relative parts; `None` for standard input, or if it is gone.
    pub fn canonical(&self) -> Option<PathBuf> {
        self.place.path().and_then(|path| fs::canonicalize(path).ok())
    }

    /// Whether it can be read only once: standard input, a pipe or a device.
    pub fn is_stream(&self) -> bool {
        self.place.path().is_none_or(|path| fs::metadata(path).is_ok_and(|m| !m.is_file()))
    }

    /// Its bytes as it lies; `None` where only its end will tell.
    pub fn size(&self) -> Option<u64> {
        let metadata = fs::metadata(self.place.path()?).ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

impl Place {
    fn path(&self) -> Option<&Path> {
        match self {
            Place::Stdin => None,
            Place::File(path) => Some(path),
        }
    }
}

struct Search<'a> {
    base: &'a Path,
    findings: Findings,
}

impl Search<'_> {
    fn add(&mut self, path: PathBuf, is_folder: bool) {
        if is_folder {
            self.walk(&path);
        } else {
            let shown = self.shown(&path);
            self.findings.found.push(Found { place: Place::File(path), shown });
        }
    }

    fn glob(&mut self, pattern: &str) -> Result<()> {
        let dated = dated(pattern);
        if !is_glob(&dated) {
            return Ok(());
        }
        let dated = without_dots(Path::new(&dated));
        let unreadable = |what: &dyn std::fmt::Display| {
            Error::new(format!("{pattern}: found {what}, expected a glob"))
                .hint("`*`, `?`, `[a-z]` and `**/` are wildcards; write `[[]` for a `[` itself")
        };
        let whole = if dated.is_absolute() || self.base.as_os_str().is_empty() {
            dated.to_string_lossy().into_owned()
        } else {
            let base =
                self.base.to_str().ok_or_else(|| unreadable(&"a folder name that is not UTF-8"))?;
            Path::new(&glob::Pattern::escape(base)).join(&dated).to_string_lossy().into_owned()
        };
        // The library leaves out hidden names even where the pattern spells their dot, unless it is told to
        // match them all; so the strict reading is applied to what it then finds.
        let spells_a_dot = dated.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.starts_with('.') && is_glob(&part)
        });
        // Never strict here: the library panics on a neighbour whose name is not UTF-8 if it is.
        let lenient = glob::MatchOptions { require_literal_leading_dot: false, ..STRICT };
        let compiled = glob::Pattern::new(&whole).map_err(|error| unreadable(&error.msg))?;
        for entry in glob::glob_with(&whole, lenient).map_err(|error| unreadable(&error.msg))? {
            match entry {
                // `.*` means neither the folder itself nor the one above.
                Ok(path)
                    if spells_a_dot && dot_parts(&path.to_string_lossy()) > dot_parts(&whole) => {}
                Ok(path) if !matches_strictly(&compiled, &path, STRICT) => {}
                Ok(path) => match fs::metadata(&path) {
                    Ok(metadata) => self.add(path, metadata.is_dir()),
                    Err(error) => self.unreadable(&path, io_words(&error)),
                },
                Err(error) => self.unreadable(error.path(), io_words(error.error())),
            }
        }
        Ok(())
    }

    fn walk(&mut self, folder: &Path) {
        let entries = WalkDir::new(folder)
            .follow_links(true)
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path()));
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_file() => self.add(entry.into_path(), false),
                Ok(_) => {}
                // A link back to a folder above: its files are found already.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => {
                    let path = error.path().unwrap_or(folder);
                    if path == folder || !is_hidden(path) {
                        let reason = error.io_error().map_or_else(|| error.to_string(), io_words);
                        self.unreadable(path, reason);
                    }
                }
            }
        }
    }

    fn unreadable(&mut self, path: &Path, reason: String) {
        let shown = self.shown(path);
        self.findings.unreadable.push((shown, reason));
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.base).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// Globs match as shells do it.
const STRICT: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A pattern with its dates as digits.
fn dated(pattern: &str) -> String {
    pattern
        .replace("{yyyy}", "[0-9][0-9][0-9][0-9]")
        .replace("{mm}", "[0-9][0-9]")
        .replace("{dd}", "[0-9][0-9]")
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// The path without its `.` parts, which say nothing and which globs would not match.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Whether a path that was found is meant: hidden names only where the pattern spells their dot. What
/// is not UTF-8 is compared by its lossy form.
fn matches_strictly(pattern: &glob::Pattern, path: &Path, strict: glob::MatchOptions) -> bool {
    pattern.matches_with(&path.to_string_lossy(), strict)
}

/// How many parts of a path are `.` or `..`.
fn dot_parts(path: &str) -> usize {
    path.split('/').filter(|part| matches!(*part, "." | "..")).count()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether there is nothing of that name. (A glob may be too long for a name, or go on below a file.)
fn is_absent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that holds an empty file under each name.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn shown(pattern: &str, base: &Path) -> Vec<String> {
        let findings = find(pattern, Some(base)).unwrap();
        assert_eq!(findings.unreadable, []);
        for found in &findings.found {
            assert!(found.place.path().unwrap().is_file());
        }
        findings.found.into_iter().map(|found| found.shown).collect()
    }

    #[test]
    fn a_file_a_folder_a_glob() {
        let folder = folder(&["b.log", "a/x.log", "a/y/z.gz", "a.log"]);
        let base = folder.path();
        assert_eq!(shown("b.log", base), ["b.log"]);
        assert_eq!(shown("a", base), ["a/x.log", "a/y/z.gz"]);
        assert_eq!(shown("a/", base), ["a/x.log", "a/y/z.gz"]);
        assert_eq!(shown(".", base), ["a.log", "a/x.log", "a/y/z.gz", "b.log"]);
        assert_eq!(shown("*.log", base), ["a.log", "b.log"]);
        assert_eq!(shown("**/*.log", base), ["a.log", "a/x.log", "b.log"]);
        assert_eq!(shown("*", base), ["a.log", "a/x.log", "a/y/z.gz", "b.log"]);
        assert_eq!(shown("a/../?.log", base), ["a/../a.log", "a/../b.log"]);
        assert_eq!(shown("../?/x.log", &base.join("a")), ["../a/x.log"]);
    }

    #[test]
    fn what_is_not_there_yet_would_be_found_or_not() {
        let folder = folder(&["logs/2018/a.log", "a.log"]);
        let base = folder.path();
        for pattern in [
            "logs",
            ".",
            "*",
            "*.log",
            "**/*",
            "logs/*/*.log",
            "logs/{yyyy}/x.log",
            "lo*",
            "a.log",
            "none/*",
            "new",
            "ne*",
            "new/*",
            "-",
            "logs/*.gz",
        ] {
            for name in [
                "logs/x.log",
                "logs/2018/x.log",
                "x.log",
                "x.json",
                "logs/.x.log",
                "logs/x.gz",
                "new/x.log",
                "new/.er/x.log",
            ] {
                let path = fs::canonicalize(base).unwrap().join(name);
                let would = would_find(pattern, Some(base), &path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
                let found = find(pattern, Some(base)).unwrap().found;
                let does = found.iter().any(|found| found.canonical().as_ref() == Some(&path));
                fs::remove_file(&path).unwrap();
                let _ = fs::remove_dir_all(base.join("new"));
                assert_eq!(would, does, "{pattern} {name}");
            }
        }
    }

    #[test]
    fn without_a_base_names_are_as_typed() {
        let folder = folder(&["logs/a.log"]);
        for pattern in ["logs", "logs/a.log", "logs/*.log"] {
            let typed = folder.path().join(pattern);
            let found = find(typed.to_str().unwrap(), None).unwrap().found;
            assert_eq!(found.len(), 1, "{pattern}");
            assert_eq!(found[0].shown, folder.path().join("logs/a.log").to_str().unwrap());
        }
    }

    #[test]
    fn nothing_matches_is_empty() {
        let folder = folder(&["a.log"]);
        for pattern in ["b.log", "b*", "a.log/b", "", "a.log/*", &format!("{}*", "x".repeat(300))] {
            assert_eq!(shown(pattern, folder.path()), [""; 0], "{pattern}");
        }
    }

    #[test]
    fn a_name_that_exists_is_no_glob() {
        let folder = folder(&["a[1].log", "a1.log", "x*/y.log"]);
        assert_eq!(shown("a[1].log", folder.path()), ["a[1].log"]);
        assert_eq!(shown("a[12].log", folder.path()), ["a1.log"]);
        assert_eq!(shown("*.log", &folder.path().join("x*")), ["y.log"]);
    }

    #[test]
    fn an_unreadable_glob_is_an_error() {
        let folder = folder(&[]);
        let error = find("a**b", Some(folder.path())).unwrap_err();
        assert!(error.to_string().starts_with("a**b: found "), "{error}");
        assert!(error.hint_text().is_some());
    }

    #[test]
    fn hidden_names_must_be_named() {
        let folder = folder(&[".h/a.log", "d/.b.log", "d/c.log", ".e.log", "d/.f/up.log"]);
        assert_eq!(shown(".", folder.path()), ["d/c.log"]);
        assert_eq!(shown("*", folder.path()), ["d/c.log"]);
        assert_eq!(shown("**/*.log", folder.path()), ["d/c.log"]);
        assert_eq!(shown(".h", folder.path()), [".h/a.log"]);
        assert_eq!(shown(".*.log", folder.path()), [".e.log"]);
        assert_eq!(shown("./.*/*.log", folder.path()), [".h/a.log"]);
        assert_eq!(shown("./*/.?.log", folder.path()), ["d/.b.log"]);
    }

    #[test]
    fn dates_stand_for_digits() {
        let folder = folder(&["2018/12/a-18.log", "2018/xx/a-18.log"]);
        assert_eq!(shown("{yyyy}/{mm}/a-{dd}.log", folder.path()), ["2018/12/a-18.log"]);
    }

    #[test]
    fn standard_input_is_a_dash() {
        let found = find("-", None).unwrap().found;
        assert_eq!(found, [Found { place: Place::Stdin, shown: "-".to_owned() }]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_each_real_file_comes_once() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["d/real.log"]);
        symlink("real.log", folder.path().join("d/now.log")).unwrap();
        symlink(folder.path(), folder.path().join("d/up")).unwrap();
        symlink("d", folder.path().join("e")).unwrap();
        assert_eq!(shown(".", folder.path()), ["d/now.log"]);
        assert_eq!(shown("d/*.log", folder.path()), ["d/now.log"]);
        assert_eq!(shown("e", folder.path()), ["e/now.log"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nowhere_is_unreadable_below_a_folder_and_nothing_when_named() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["d/a.log"]);
        symlink("gone", folder.path().join("d/b.log")).unwrap();
        symlink("gone", folder.path().join("d/.c.log")).unwrap();
        let findings = find("d", Some(folder.path())).unwrap();
        assert_eq!(findings.found.len(), 1);
        let [(name, reason)] = &findings.unreadable[..] else { panic!("{findings:?}") };
        assert_eq!((name.as_str(), reason.as_str()), ("d/b.log", "no such file or directory"));
        assert!(find("d/b.log", Some(folder.path())).unwrap().found.is_empty());
    }
}
