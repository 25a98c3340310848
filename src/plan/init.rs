//! The plan of `init`: what to draft from, where to write, and how the logs are named from there.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{
    CONFIG_NAME, ConfigFile, Gathered, ReadPlan, find_config, format_index, formats_of, how,
    sources_of,
};
use crate::cli::InitArgs;
use crate::error::{Error, Problems, Result};
use crate::input;
use crate::register::may_be_table;

/// The folder of the register beside the configuration.
pub const REGISTER_NAME: &str = "register";
/// The tables that are drafted.
pub const TABLE_NAMES: [&str; 5] = ["partners", "credentials", "apis", "routes", "grants"];

/// The plan of `init`.
#[derive(Debug)]
pub struct InitPlan {
    /// What to read.
    pub read: ReadPlan,
    /// Where to write.
    pub into: PathBuf,
    /// The folders on the way there that are not there yet, the outer before the inner.
    pub folders: Vec<PathBuf>,
    /// The logs, as given.
    pub given: Vec<Given>,
    /// The formats of the configuration that the logs may be in.
    pub formats: BTreeMap<String, toml::Table>,
}

/// What one LOG argument means.
#[derive(Debug)]
pub struct Given {
    /// The argument, as the new configuration can name it.
    pub named: String,
    /// The logs that it means: names in reports, and as the new configuration can name each.
    pub logs: Vec<(String, String)>,
}

impl InitPlan {
    /// The new configuration.
    pub fn config(&self) -> PathBuf {
        self.into.join(CONFIG_NAME)
    }

    /// A table of the new register.
    pub fn table(&self, name: &str) -> PathBuf {
        self.into.join(REGISTER_NAME).join(format!("{name}.csv"))
    }
}

/// Plans `init`.
///
/// # Errors
///
/// On wrong usage, where logs are not there, and where there is a config or register already.
pub fn init(args: &InitArgs) -> Result<InitPlan> {
    let into = without_dots(&args.into);
    spare_existing(&into)?;
    let config = find_config(args.config.as_deref())?;
    let mut problems = Problems::default();
    let formats = formats_of(config.as_ref(), &mut problems);
    let sources = sources_of(config.as_ref(), &formats, &mut problems);
    problems.told("the configuration")?;
    let log_format = match &args.log_format {
        Some(name) => Some(format_index(&formats, name, "--log-format")?),
        None => None,
    };
    let places = Places::new(&into)?;
    let mut gathered = Gathered::default();
    let folder = config.as_ref().map_or(Path::new(""), ConfigFile::folder);
    gathered.arguments(&args.logs, folder, &sources)?;
    let given = args.logs.iter().map(|log| places.given(log)).collect::<Result<Vec<_>>>()?;
    places.spare_logs(&args.logs, &into)?;
    let read = gathered.finish(&sources, log_format);
    if read.inputs.is_empty() {
        let reasons = read.unread.iter().map(|p| format!("{}: {}", p.path, p.reason));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        return Err(Error::new(format!("no input could be read: {reasons}")));
    }
    let own = config.as_ref().map(|config| &config.tables.formats).into_iter().flatten();
    let own = own.map(|(name, table)| (name.clone(), table.get_ref().clone())).collect();
    Ok(InitPlan {
        read: ReadPlan { formats, ..how(&args.how, read)? },
        folders: missing_folders(&into.join(REGISTER_NAME)),
        into,
        given,
        formats: own,
    })
}

/// Nothing that a person wrote is replaced, nor read together with what is new.
fn spare_existing(into: &Path) -> Result<()> {
    let mut there: Vec<PathBuf> = Vec::new();
    let config = into.join(CONFIG_NAME);
    if config.symlink_metadata().is_ok() {
        there.push(config);
    }
    let register = into.join(REGISTER_NAME);
    if register.symlink_metadata().is_ok() && !register.is_dir() {
        there.push(register.clone());
    }
    let entries = std::fs::read_dir(&register).into_iter().flatten().flatten();
    let mut tables: Vec<PathBuf> = entries
        .filter(|entry| may_be_table(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    tables.sort();
    there.extend(tables);
    if there.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
    Err(Error::new(format!("found {} already, expected a place for new ones", shown.join(", ")))
        .hint("write to another folder with --into DIR; nothing was changed"))
}

/// The folder and those around it that are not there, the outer before the inner.
pub(super) fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    missing
}

/// Without parts that say nothing; what is left of `.` is empty.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// How paths are named from the folder of the new configuration.
struct Places {
    /// The current folder, without links.
    current: PathBuf,
    /// The new configuration's folder, without links as far as it is there.
    into: PathBuf,
}

impl Places {
    fn new(into: &Path) -> Result<Places> {
        let current = std::fs::canonicalize(".").map_err(|error| Error::io(".", error))?;
        let whole = current.join(into);
        let there = whole.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
        let real =
            std::fs::canonicalize(there).map_err(|error| Error::io(there.display(), error))?;
        // A last part that is empty would leave a slash at the end.
        let into = real.join(rest).components().collect();
        Ok(Places { current, into })
    }

    fn given(&self, log: &str) -> Result<Given> {
        let logs = input::find(log, None)?.found;
        Ok(Given {
            named: self.named(log),
            logs: logs.into_iter().map(|log| (log.shown.clone(), self.named(&log.shown))).collect(),
        })
    }

    /// A path or glob of the command line as the configuration can name it: relative, unless it was given from the root
    /// and is not below.
    fn named(&self, log: &str) -> String {
        if log == "-" {
            return log.to_owned();
        }
        let path = without_dots(Path::new(log));
        // What is behind a folder that may be a link and then goes up is nobody's guess.
        let mut parts = path.components().skip_while(|part| *part == Component::ParentDir);
        let turns = parts.any(|part| part == Component::ParentDir);
        let mut whole = self.current.clone();
        for part in path.components() {
            match part {
                Component::ParentDir if !turns => {
                    whole.pop();
                }
                part => whole.push(part),
            }
        }
        if let Ok(below) = whole.strip_prefix(&self.into) {
            let below = below.to_string_lossy();
            return if below.is_empty() { ".".to_owned() } else { below.into_owned() };
        }
        if path.is_absolute() || turns {
            return whole.to_string_lossy().into_owned();
        }
        let (from, to): (Vec<_>, Vec<_>) =
            (self.into.components().collect(), whole.components().collect());
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
        let relative: PathBuf = up.chain(to[shared..].iter().copied()).collect();
        relative.to_string_lossy().into_owned()
    }

    /// What is written must not be found among the logs by the next run.
    fn spare_logs(&self, logs: &[String], into: &Path) -> Result<()> {
        let written = |name: &str| self.into.join(REGISTER_NAME).join(format!("{name}.csv"));
        let tables = TABLE_NAMES.iter().map(|name| written(name));
        for path in tables.chain([self.into.join(CONFIG_NAME)]) {
            if let Some(log) = logs.iter().find(|log| input::would_find(log, None, &path)) {
                let name = into.join(path.strip_prefix(&self.into).unwrap_or(&path));
                return Err(Error::new(format!(
                    "{}: found where logs are looked for ({log}), expected another place",
                    name.display()
                ))
                .hint("write to another folder with --into DIR, or name the logs more closely; nothing was changed"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_from_the_new_folder() {
        let places = |into: &str| Places {
            current: PathBuf::from("/data/ann/jobs"),
            into: PathBuf::from(into),
        };
        for (into, log, named) in [
            ("/data/ann/jobs", "access.log", "access.log"),
            ("/data/ann/jobs", "./logs/*.gz", "logs/*.gz"),
            ("/data/ann/jobs", "-", "-"),
            ("/data/ann/jobs", "/data/ann/jobs/a.log", "a.log"),
            ("/data/ann/jobs", "/var/log/a.log", "/var/log/a.log"),
            ("/data/ann/jobs", "../a.log", "../a.log"),
            ("/data/ann/jobs/audit", "logs/a.log", "../logs/a.log"),
            ("/data/ann/jobs/audit", "audit/a.log", "a.log"),
            ("/data/ann/jobs/audit", ".", ".."),
            ("/data/ann/jobs/audit/x", "../a.log", "../../../a.log"),
            ("/srv/audit", "a.log", "../../data/ann/jobs/a.log"),
            ("/data/ann/jobs", "link/../a.log", "link/../a.log"),
            ("/srv", "link/../a.log", "/data/ann/jobs/link/../a.log"),
        ] {
            assert_eq!(places(into).named(log), named, "{into} {log}");
        }
    }
}
