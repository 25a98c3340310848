//! The file system as a run changes it: every step, one by one, so that tests can stop a run at any of them.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// What a run does to files. Each call is one step, and has its whole effect or, as after a crash, none, a part, or all of it.
pub trait Files: Sync {
    /// Makes a folder, if it is not there. `is_private`: one that is made is its owner's alone.
    ///
    /// # Errors
    /// Those of the file system, as for all others.
    fn create_dir(&self, path: &Path, is_private: bool) -> io::Result<()>;
    /// Writes a new file, or writes an old one anew, and has it on the disk. `is_private`: for its owner alone.
    fn write(&self, path: &Path, bytes: &[u8], is_private: bool) -> io::Result<()>;
    /// Puts a file or a folder in another's place.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Has the names in a folder on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a symbolic link, where there are such.
    fn link(&self, to: &Path, path: &Path) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn create_dir(&self, path: &Path, is_private: bool) -> io::Result<()> {
        let builder = fs::DirBuilder::new();
        #[cfg(unix)]
        let builder = {
            use std::os::unix::fs::DirBuilderExt as _;
            let mut builder = builder;
            // When it is made: there is no moment at which others may look into it.
            builder.mode(if is_private { 0o700 } else { 0o777 });
            builder
        };
        #[cfg(not(unix))]
        let _ = is_private;
        match builder.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    fn write(&self, path: &Path, bytes: &[u8], is_private: bool) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if is_private {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        #[cfg(not(unix))]
        let _ = is_private;
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a folder can't be opened, and need not be.
        if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    #[cfg(unix)]
    fn link(&self, to: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(to, path)
    }

    #[cfg(not(unix))]
    fn link(&self, to: &Path, path: &Path) -> io::Result<()> {
        // What it leads to is said in a file.
        fs::write(path, to.to_string_lossy().as_bytes())
    }
}
