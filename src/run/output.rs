//! Writes reports: to standard output, or whole files by rename.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file whole: readers see what was there before or all of the new one, never a part.
///
/// A pipe or a device is written to as it is.
///
/// # Errors
///
/// Those of the file system; the path then holds what it held before.
pub(super) fn write_file(
    path: &Path,
    render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let in_words = |error: io::Error| Error::io(path.display(), error);
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(in_words)?;
        return render(&mut file).map_err(in_words);
    }
    // A link stays one: what it points to is replaced.
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
    let mut file = builder.tempfile_in(folder).map_err(|error| {
        in_words(error).hint("the folder must exist and be writable; nothing was changed")
    })?;
    render(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(in_words)?;
    file.persist(&target).map(drop).map_err(|error| in_words(error.error))
}
