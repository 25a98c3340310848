//! The state folder: its lock, its files, and the one rename that makes a run's work count.
//!
//! ```text
//! state/ledger              names all others
//! state/lock                held by the run that writes
//! state/segments/           a tally for each day
//! state/registers/DIGEST/   every register that any run judged by
//! reports/runs/000012/      a run's report and its manifest
//! reports/2018-12-18/       a day's reports, one for each time that it was issued
//! reports/latest            leads to the last run's
//! reports/.new/000012/      what a run has written and not put in its place yet
//! ```
//!
//! A run writes new files under new names, has them on the disk, and then renames its ledger over the old one: now it counts.
//! Only then are its reports put in their places. A run that finds some of another does what that one did not come to: where
//! the ledger says that it counts, it puts them in their places; else it clears them away. What is in place is never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::files::Files;
use super::ledger::{Day, Ledger, StateFile};
use super::manifest::{MANIFEST_NAME, Manifest};
use super::seal::PrivacyKey;
use crate::error::{Error, Result};
use crate::findings::hex;
use crate::register::{self, Source, Tables};

/// The names of what is in the folder.
const LEDGER: &str = "ledger";
const LEDGER_NEW: &str = "ledger.new";
const LOCK: &str = "lock";
const SEGMENTS: &str = "segments";
const REGISTERS: &str = "registers";
const REGISTER_NEW: &str = ".new";
const CONSENTS: &str = "consents.csv";
const CONSENTS_SEALED: &str = "consents.sealed";
const RUNS: &str = "runs";
const LATEST: &str = "latest";
const LATEST_NEW: &str = ".latest.new";
const REPORTS_NEW: &str = ".new";

/// A state folder and the folder of its reports.
pub struct Folder<'f> {
    files: &'f dyn Files,
    state: PathBuf,
    reports: PathBuf,
    /// Held while it lives.
    _lock: Option<File>,
}

impl std::fmt::Debug for Folder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The folder of a run's reports, below that of all reports.
pub fn run_folder(run: u64) -> String {
    format!("{RUNS}/{run:06}")
}

impl<'f> Folder<'f> {
    /// The folders as they are, to be looked at.
    pub fn look(state: &Path, reports: &Path, files: &'f dyn Files) -> Folder<'f> {
        Folder { files, state: state.to_owned(), reports: reports.to_owned(), _lock: None }
    }

    /// Makes the folders where they are not there, and locks them against other runs.
    ///
    /// # Errors
    ///
    /// Those of the file system, and if another run holds the lock.
    pub fn lock(state: &Path, reports: &Path, files: &'f dyn Files) -> Result<Folder<'f>> {
        let folder = Folder::look(state, reports, files);
        for (path, is_private) in [
            (folder.state.clone(), true),
            (folder.state.join(SEGMENTS), true),
            (folder.state.join(REGISTERS), true),
            (folder.reports.clone(), false),
            (folder.reports.join(RUNS), false),
        ] {
            let is_new = !path.is_dir();
            folder.files.create_dir(&path, is_private).map_err(|error| {
                Error::io(path.display(), error).hint(
                    "the folder must be writable, and the one around it exist; nothing was changed",
                )
            })?;
            if is_new {
                // A folder that is not on the disk takes all that is in it along.
                let around = path.parent().filter(|around| !around.as_os_str().is_empty());
                folder.sync(around.unwrap_or(Path::new(".")))?;
            }
        }
        let path = folder.state.join(LOCK);
        let in_words = |error| Error::io(path.display(), error);
        let hint = "the state folder must be writable; nothing was changed";
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(&path).map_err(|error| in_words(error).hint(hint))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let holder = match holder.trim().parse::<u32>() {
                    Ok(pid) => format!("process {pid}"),
                    Err(_) => "another process".to_owned(),
                };
                return Err(Error::new(format!(
                    "{}: held by {holder}, which writes this state: one run at a time",
                    path.display()
                ))
                .hint("wait for it to end; nothing was changed"));
            }
            Err(fs::TryLockError::Error(error)) => return Err(in_words(error)),
        }
        // Who holds it, for whoever finds it held. That is no part of the state.
        let told = lock
            .set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()));
        told.map_err(|error| in_words(error).hint(hint))?;
        Ok(Folder { _lock: Some(lock), ..folder })
    }

    /// The ledger; none if no run ever committed one.
    ///
    /// # Errors
    ///
    /// If it can't be read or used.
    pub fn ledger(&self) -> Result<Option<Ledger>> {
        let path = self.state.join(LEDGER);
        let shown = path.display().to_string();
        match fs::read(&path) {
            Ok(file) => Ledger::decode(&shown, &file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(shown, error)),
        }
    }

    /// What a segment or another file of the ledger holds, and its name.
    ///
    /// # Errors
    ///
    /// If it can't be read, or is not the file that the ledger names.
    pub fn read(&self, file: &StateFile) -> Result<(String, Vec<u8>)> {
        let path = self.state.join(SEGMENTS).join(&file.name);
        let shown = path.display().to_string();
        let hint = "restore the state folder from a backup, or forget it and read all logs again with `overstay nightly --rebuild`";
        let bytes = fs::read(&path).map_err(|error| Error::io(&shown, error).hint(hint))?;
        if *blake3::hash(&bytes).as_bytes() != file.blake3 {
            return Err(Error::new(format!(
                "{shown}: it is not the file that the ledger names: it was changed"
            ))
            .hint(hint));
        }
        Ok((shown, bytes))
    }

    /// Whether a file is still the one that the ledger names.
    ///
    /// # Errors
    ///
    /// As [`Folder::read`].
    pub fn check(&self, file: &StateFile) -> Result<()> {
        self.read(file).map(drop)
    }

    /// Where a register lies that was judged by.
    pub fn register(&self, digest: &[u8; 32]) -> PathBuf {
        self.state.join(REGISTERS).join(hex(digest))
    }

    /// The folder of all reports.
    pub fn reports(&self) -> &Path {
        &self.reports
    }

    /// Writes a file of the ledger.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write(&self, name: String, bytes: &[u8]) -> Result<StateFile> {
        let path = self.state.join(SEGMENTS).join(&name);
        self.write_to(&path, bytes, true)?;
        Ok(StateFile { name, bytes: bytes.len() as u64, blake3: *blake3::hash(bytes).as_bytes() })
    }

    /// Writes the reports of a run, at paths below the folder of all reports, where nobody sees them yet.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write_reports(&self, run: u64, reports: &[(String, Vec<u8>)]) -> Result<()> {
        let new = self.reports.join(REPORTS_NEW);
        let of_run = new.join(format!("{run:06}"));
        let mut folders: BTreeSet<PathBuf> = BTreeSet::from([new, of_run.clone()]);
        for (path, _) in reports {
            let inner = Path::new(path).ancestors().skip(1);
            folders.extend(inner.map(|inner| of_run.join(inner)));
        }
        for folder in &folders {
            self.files.create_dir(folder, false).map_err(|error| not_written(folder, error))?;
        }
        for (path, bytes) in reports {
            self.write_to(&of_run.join(path), bytes, false)?;
        }
        folders.iter().rev().try_for_each(|folder| self.sync(folder))?;
        self.sync(&self.reports)
    }

    fn write_to(&self, path: &Path, bytes: &[u8], is_private: bool) -> Result<()> {
        self.files.write(path, bytes, is_private).map_err(|error| not_written(path, error))
    }

    fn sync(&self, path: &Path) -> Result<()> {
        self.files.sync_dir(path).map_err(|error| not_written(path, error))
    }

    /// Keeps a register, table by table, if it is not kept yet: first under a name that says it is not all there. Consents name
    /// people: they are sealed.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write_register(
        &self,
        digest: &[u8; 32],
        tables: &[(String, Vec<u8>)],
        key: &PrivacyKey,
    ) -> Result<()> {
        let place = self.register(digest);
        if place.is_dir() {
            return Ok(());
        }
        let registers = self.state.join(REGISTERS);
        let new = registers.join(REGISTER_NEW);
        self.files.create_dir(&new, true).map_err(|error| not_written(&new, error))?;
        for (name, bytes) in tables {
            match name == CONSENTS {
                true => {
                    let sealed = key.seal(CONSENTS.as_bytes(), bytes)?;
                    self.write_to(&new.join(CONSENTS_SEALED), &sealed, true)?;
                }
                false => self.write_to(&new.join(name), bytes, true)?,
            }
        }
        self.sync(&new)?;
        self.files.rename(&new, &place).map_err(|error| not_written(&place, error))?;
        self.sync(&registers)
    }

    /// The tables of a register that is kept.
    ///
    /// # Errors
    ///
    /// Those of the file system, and if the key does not open what is sealed.
    pub fn kept_tables(&self, digest: &[u8; 32], key: &PrivacyKey) -> Result<Tables> {
        let place = self.register(digest);
        let mut files = register::table_files(&Source::Folder(place.clone()))?;
        let path = place.join(CONSENTS_SEALED);
        match fs::read(&path) {
            Ok(sealed) => {
                let opened = key.open(CONSENTS.as_bytes(), &sealed).ok_or_else(|| {
                    Error::new(format!("{}: the privacy key does not open it", path.display()))
                })?;
                files.push((CONSENTS.to_owned(), opened));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(path.display(), error)),
        }
        Ok(register::of_files(&place, &files))
    }

    /// Makes a privacy key's file, for its owner alone.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write_key(&self, path: &Path, content: &str) -> Result<()> {
        let mut new = path.to_owned().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        self.write_to(&new, content.as_bytes(), true)?;
        self.files.rename(&new, path).map_err(|error| not_written(path, error))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.sync(folder.unwrap_or(Path::new(".")))
    }

    /// Makes a ledger the one that counts: all that it names must have been written.
    ///
    /// # Errors
    ///
    /// Those of the file system; then the ledger before still counts, unless only the last step failed.
    pub fn commit(&self, ledger: &Ledger) -> Result<()> {
        let bytes = ledger.encode()?;
        self.sync(&self.state.join(SEGMENTS))?;
        let (new, place) = (self.state.join(LEDGER_NEW), self.state.join(LEDGER));
        self.write_to(&new, &bytes, true)?;
        self.files.rename(&new, &place).map_err(|error| not_written(&place, error))?;
        self.sync(&self.state)
    }

    /// Puts in order what is beside a ledger: reports of its run that are not in their places are put there, and `latest` leads
    /// to them; what it does not name is gone.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn tidy(&self, ledger: Option<&Ledger>) -> Result<()> {
        let run = ledger.map_or(0, |ledger| ledger.run);
        let of_run = format!("{run:06}");
        let new = self.reports.join(REPORTS_NEW);
        for (path, name) in entries(&new)? {
            if name == of_run && run > 0 {
                self.publish(&path)?;
            }
            self.step(&path, |files, path| files.remove_dir(path))?;
        }
        if new.exists() {
            self.step(&new, |files, path| files.remove_dir(path))?;
        }
        if run > 0 {
            self.lead_to(Path::new(&run_folder(run)))?;
        }

        let days = ledger.iter().flat_map(|ledger| ledger.days.values());
        let files = days.flat_map(Day::files);
        let named: BTreeSet<&str> = files.map(|file| file.name.as_str()).collect();
        for (path, name) in entries(&self.state.join(SEGMENTS))? {
            if !named.contains(name.as_str()) {
                self.step(&path, |files, path| files.remove(path))?;
            }
        }
        let new = self.state.join(LEDGER_NEW);
        if new.exists() {
            self.step(&new, |files, path| files.remove(path))?;
        }
        let new = self.state.join(REGISTERS).join(REGISTER_NEW);
        if new.exists() {
            self.step(&new, |files, path| files.remove_dir(path))?;
        }
        Ok(())
    }

    fn step(
        &self,
        path: &Path,
        step: impl FnOnce(&dyn Files, &Path) -> io::Result<()>,
    ) -> Result<()> {
        step(self.files, path).map_err(|error| Error::io(path.display(), error))
    }

    /// Puts all files below a folder in their places in that of reports.
    fn publish(&self, of_run: &Path) -> Result<()> {
        let mut folders = vec![PathBuf::new()];
        let mut filled = Vec::new();
        while let Some(folder) = folders.pop() {
            for (path, name) in entries(&of_run.join(&folder))? {
                let inner = folder.join(name);
                let place = self.reports.join(&inner);
                if path.is_dir() {
                    self.step(&place, |files, place| files.create_dir(place, false))?;
                    folders.push(inner);
                } else {
                    self.step(&place, |files, place| files.rename(&path, place))?;
                }
            }
            filled.push(self.reports.join(folder));
        }
        filled
            .iter()
            .rev()
            .try_for_each(|folder| self.step(folder, |files, folder| files.sync_dir(folder)))
    }

    /// Has `latest` lead somewhere.
    fn lead_to(&self, to: &Path) -> Result<()> {
        let (new, place) = (self.reports.join(LATEST_NEW), self.reports.join(LATEST));
        if new.symlink_metadata().is_ok() {
            self.step(&new, |files, new| files.remove(new))?;
        }
        // What somebody else has put there stays.
        if self.is_latest_taken() || fs::read_link(&place).is_ok_and(|leads| leads == to) {
            return Ok(());
        }
        self.step(&new, |files, new| files.link(to, new))?;
        self.step(&place, |files, place| files.rename(&new, place))
    }

    /// Whether somebody else has put something where `latest` stands.
    pub fn is_latest_taken(&self) -> bool {
        self.reports.join(LATEST).symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
    }

    /// The hash of a run's manifest, whether its reports are in their places or not yet.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn last_manifest(&self, run: u64) -> Result<[u8; 32]> {
        let name = format!("{}/{MANIFEST_NAME}", run_folder(run));
        let path = self.reports.join(&name);
        let file = fs::read(&path)
            .or_else(|error| fs::read(self.staged(run).join(&name)).map_err(|_| error))
            .map_err(|error| Error::io(path.display(), error))?;
        Ok(*blake3::hash(&file).as_bytes())
    }

    /// Where a run's reports are until they are in their places.
    fn staged(&self, run: u64) -> PathBuf {
        self.reports.join(REPORTS_NEW).join(format!("{run:06}"))
    }

    /// Whether a run is at work, or was killed before its reports were in their places.
    pub fn is_being_written(&self, ledger: Option<&Ledger>) -> bool {
        let is_locked = File::open(self.state.join(LOCK))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)));
        is_locked || ledger.is_some_and(|ledger| self.staged(ledger.run).exists())
    }

    /// The largest number of a log in the manifests of the runs after one.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn last_input(&self, after: u64) -> Result<u64> {
        let mut last = 0;
        for (folder, name) in entries(&self.reports.join(RUNS))? {
            if name.parse::<u64>().is_ok_and(|run| run > after) {
                // What is wrong with one of them is for `verify` to tell.
                let path = folder.join(MANIFEST_NAME);
                let manifest =
                    fs::read(&path).ok().and_then(|file| Manifest::decode("", &file).ok());
                let ids =
                    manifest.iter().flat_map(|manifest| &manifest.inputs).map(|input| input.id);
                last = ids.max().unwrap_or(0).max(last);
            }
        }
        Ok(last)
    }

    /// What reports tell of runs of which no ledger is left: the number of the last, and how often each day was issued.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn history(&self) -> Result<(u64, BTreeMap<i64, u64>)> {
        let runs = entries(&self.reports.join(RUNS))?;
        let last = runs.iter().filter_map(|(_, name)| name.parse::<u64>().ok()).max();
        let mut revisions = BTreeMap::new();
        for (folder, name) in entries(&self.reports)? {
            let Some(day) = day_of(&name) else { continue };
            let issued = entries(&folder)?.into_iter().filter_map(|(_, name)| revision_of(&name));
            revisions.extend(issued.max().map(|revision| (day, revision)));
        }
        Ok((last.unwrap_or(0), revisions))
    }
}

/// The number of a revision that is a report's name.
fn revision_of(name: &str) -> Option<u64> {
    name.strip_prefix("rev-")?.split('.').next()?.parse().ok()
}

fn not_written(path: &Path, error: io::Error) -> Error {
    Error::io(path.display(), error)
        .hint("nothing counts of this run: the state is as it was before")
}

/// What is in a folder, by name; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let in_words = |error| Error::io(folder.display(), error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(in_words(error)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(in_words)?;
        all.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
    }
    all.sort();
    Ok(all)
}

/// The number of a day that is a folder's name.
fn day_of(name: &str) -> Option<i64> {
    let digits: &[u8; 10] = name.as_bytes().try_into().ok()?;
    crate::time::date(digits)
}
