//! Writes reports: to standard output, or whole files by rename.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::error::{Error, Result};

/// A file written whole, beside the place it is meant for. Dropped, it is gone. It is closed: a report may have more
/// pages than a process may have open files.
pub(super) struct Written {
    file: TempPath,
    /// As the user wrote it.
    path: PathBuf,
    target: PathBuf,
}

impl Written {
    /// Puts it in its place: readers see what was there before or all of the new one, never a part.
    ///
    /// # Errors
    ///
    /// Those of the file system; the path then holds what it held before.
    pub(super) fn put_in_place(self) -> Result<()> {
        let path = self.path.display();
        self.file.persist(&self.target).map(drop).map_err(|error| Error::io(path, error.error))
    }
}

impl Written {
    /// The same where nothing is there, or has come to be there meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the file system, and where something is there: it stays as it is.
    pub(super) fn put_where_nothing_is(self) -> Result<()> {
        let path = self.path.display();
        let put = self.file.persist_noclobber(&self.target).map(drop);
        put.map_err(|error| Error::io(path, error.error))
    }
}

/// Tells early what [`write_file`] would tell after a night of reading: that a file can't be written there.
///
/// Nothing is created but a file beside the place, which is gone at once, and nothing is changed. Of pipes and devices
/// nothing is tried: to open one is to be heard at its other end.
///
/// # Errors
///
/// Those of the file system.
pub(super) fn check_place(path: &Path) -> Result<()> {
    beside(path).map(drop)
}

/// Writes a file beside its place. A pipe or a device is written to as it is, and nothing is left to be done.
///
/// # Errors
///
/// Those of the file system; no file was changed then.
pub(super) fn write_file(
    path: &Path,
    render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Option<Written>> {
    let in_words = |error: io::Error| Error::io(path.display(), error);
    let Some(Beside { mut file, target }) = beside(path)? else {
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(in_words)?;
        return render(&mut file).map(|()| None).map_err(in_words);
    };
    render(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(in_words)?;
    Ok(Some(Written { file: file.into_temp_path(), path: path.to_owned(), target }))
}

/// Folders that were made for files. Dropped, those that are empty are gone: nothing was written.
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes those that are not there, each after the one around it.
    ///
    /// # Errors
    ///
    /// Those of the file system; the folders made until then are gone.
    pub(super) fn make(folders: impl IntoIterator<Item = PathBuf>) -> Result<Folders> {
        let mut made = Folders(Vec::new());
        for folder in folders {
            match fs::create_dir(&folder) {
                Ok(()) => made.0.push(folder),
                Err(_) if folder.is_dir() => {}
                Err(error) => {
                    return Err(Error::io(folder.display(), error).hint(
                        "the folder around it must exist and be writable; nothing was changed",
                    ));
                }
            }
        }
        Ok(made)
    }

    /// They are in use: they stay.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // One that has something in it by now stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// An empty file beside the place it is meant for.
struct Beside {
    file: NamedTempFile,
    target: PathBuf,
}

/// An empty file beside the place; none where a pipe or a device is there.
fn beside(path: &Path) -> Result<Option<Beside>> {
    let in_words = |error: io::Error| Error::io(path.display(), error);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(in_words(io::ErrorKind::IsADirectory.into()));
        }
        Ok(metadata) if !metadata.is_file() => return Ok(None),
        _ => {}
    }
    // A link stays one: what it points to is replaced. One that leads nowhere is replaced itself.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".overstay-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any other new file: what the umask leaves of it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(|error| {
        in_words(error).hint("the folder must exist and be writable; nothing was changed")
    })?;
    Ok(Some(Beside { file, target }))
}
