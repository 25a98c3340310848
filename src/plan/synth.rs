//! The plan of `synth`: how large the workload is, and where it goes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::init::missing_folders;
use super::{CONFIG_NAME, REGISTER_NAME};
use crate::cli::{CompressArg, LogFormatArg, LogsArg, SynthArgs};
use crate::error::{Error, Problems, Result};
use crate::limits;
use crate::synth::{CONSENTS_PER_PERSON_MAX, LogFormat, PEOPLE_MAX, Params};

/// The folder of the logs beside the configuration.
const LOGS_NAME: &str = "logs";

/// The plan of `synth`.
#[derive(Debug)]
pub struct SynthPlan {
    /// What is drawn.
    pub params: Params,
    /// Where to.
    pub folder: PathBuf,
    /// The folders that are not there yet, the outer before the inner.
    pub folders: Vec<PathBuf>,
    /// The text of the configuration.
    pub config: String,
    /// Whether the folder holds what would be written there, of the same parameters.
    pub is_there: bool,
    /// Where the log goes.
    pub logs: LogsTo,
    /// How the log is written.
    pub format: LogFormat,
    /// How it is compressed.
    pub compress: Compress,
    /// Whether the timelines are written too.
    pub timeline: bool,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogsTo {
    /// To these files, each a consecutive share.
    Files(Vec<PathBuf>),
    /// To standard output.
    Stdout,
    /// It is not written.
    Nowhere,
}

/// How a log is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// By gzip, as one member.
    Gzip,
    /// By Zstandard, as one frame.
    Zstd,
}

impl SynthPlan {
    /// The new configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join(CONFIG_NAME)
    }

    /// The folder of the new register.
    pub fn register(&self) -> PathBuf {
        self.folder.join(REGISTER_NAME)
    }
}

/// Plans `synth`.
///
/// # Errors
///
/// On parameters that no workload has, and where the folder has something in it.
pub fn synth(args: &SynthArgs) -> Result<SynthPlan> {
    let mut problems = Problems::default();
    let params = params(args, &mut problems);
    let files = problems.note(count("--files", &args.files, 1, limits::SYNTH_FILES_MAX));
    problems.told("synth")?;
    // Nothing was left out, or it would have been told.
    let (Some(params), Some(files)) = (params, files) else {
        return Err(Error::new("synth: found no parameters"));
    };
    if files > 1 && args.logs != LogsArg::Files {
        return Err(Error::new(format!(
            "--files: found {files}, expected 1 where --logs is no files"
        ))
        .hint("leave out one of --files and --logs"));
    }
    if files > params.calls {
        return Err(Error::new(format!(
            "--files: found {files}, expected at most {}: one for each call",
            params.calls
        )));
    }
    let format = match args.log_format {
        LogFormatArg::Json => LogFormat::Json,
        LogFormatArg::Combined => LogFormat::Combined,
        LogFormatArg::Logfmt => LogFormat::Logfmt,
        LogFormatArg::Ltsv => LogFormat::Ltsv,
        LogFormatArg::Csv => LogFormat::Csv,
        LogFormatArg::AwsAlb => LogFormat::AwsAlb,
    };
    let compress = match args.compress {
        CompressArg::None => Compress::None,
        CompressArg::Gzip => Compress::Gzip,
        CompressArg::Zstd => Compress::Zstd,
    };
    let folder = args.dir.clone();
    let ending = ending(format, compress);
    let (paths, logs) = match args.logs {
        LogsArg::Stdout => ("-".to_owned(), LogsTo::Stdout),
        LogsArg::None => ("-".to_owned(), LogsTo::Nowhere),
        LogsArg::Files => {
            let glob = if files == 1 { "access" } else { "access-*" };
            let names = file_names(files, &ending).into_iter();
            let files = names.map(|name| folder.join(LOGS_NAME).join(name)).collect();
            (format!("{LOGS_NAME}/{glob}{ending}"), LogsTo::Files(files))
        }
    };
    let config = config_text(args, &params, format, compress, &paths);
    let is_there = is_there(&folder, &config, &logs)?;
    let mut folders = missing_folders(&folder.join(REGISTER_NAME));
    if let LogsTo::Files(_) = &logs {
        folders.push(folder.join(LOGS_NAME));
    }
    Ok(SynthPlan {
        params,
        folder,
        folders,
        config,
        is_there,
        logs,
        format,
        compress,
        timeline: args.timeline,
        threads: args.threads.map(usize::from),
    })
}

/// The numbers, each within what makes sense, and all of them together.
fn params(args: &SynthArgs, problems: &mut Problems) -> Option<Params> {
    let mut rows = |flag: &'static str, text: &str| {
        problems
            .note(count(flag, text, 1, limits::SYNTH_ROWS_MAX))
            .and_then(|count| u32::try_from(count).ok())
    };
    let partners = rows("--partners", &args.partners);
    let credentials = rows("--credentials", &args.credentials);
    let apis = rows("--apis", &args.apis);
    let grants = rows("--grants", &args.grants);
    let routes = match &args.routes {
        Some(routes) => rows("--routes", routes),
        // One for what is a person's, one for what is not.
        None => apis.map(|apis| apis.saturating_mul(2)),
    };
    let calls = problems.note(count("--calls", &args.calls, 1, limits::SYNTH_CALLS_MAX));
    let people = problems.note(count("--people", &args.people, 1, PEOPLE_MAX));
    let consents = problems.note(count("--consents", &args.consents, 0, u64::MAX));
    let days = problems.note(count("--days", &args.days, 1, limits::SYNTH_DAYS_MAX));
    let violations_ppm = problems.note(percent("--violations", &args.violations));
    let params = Params {
        calls: calls?,
        partners: partners?,
        credentials: credentials?,
        apis: apis?,
        grants: grants?,
        routes: routes?,
        people: people?,
        consents: consents?,
        days: u32::try_from(days?).ok()?,
        seed: args.seed,
        violations_ppm: violations_ppm?,
    };
    let mut unless = |holds: bool, message: String, hint: &str| {
        if !holds {
            problems.0.push(Error::new(message).hint(hint));
        }
    };
    unless(
        params.credentials >= params.partners,
        format!(
            "--credentials: found {}, expected at least {}: each partner presents one",
            params.credentials, params.partners
        ),
        "ask for more credentials or for fewer --partners",
    );
    unless(
        params.routes >= params.apis,
        format!(
            "--routes: found {}, expected at least {}: each api is reached by one",
            params.routes, params.apis
        ),
        "ask for more routes or for fewer --apis",
    );
    let pairs = u64::from(params.partners) * u64::from(params.apis);
    unless(
        u64::from(params.grants) <= pairs,
        format!(
            "--grants: found {}, expected at most {pairs}: one for each partner and api",
            params.grants
        ),
        "ask for fewer grants or for more --partners or --apis",
    );
    let consents_max = params.people * CONSENTS_PER_PERSON_MAX;
    unless(
        params.consents <= consents_max,
        format!(
            "--consents: found {}, expected at most {consents_max}: {CONSENTS_PER_PERSON_MAX} for each person",
            params.consents
        ),
        "ask for fewer consents or for more --people",
    );
    Some(params)
}

/// A number, perhaps with a suffix: `k`, `M` and `G` are powers of 1000.
fn count(flag: &str, text: &str, min: u64, max: u64) -> Result<u64> {
    let (digits, unit) = match text.as_bytes() {
        [digits @ .., b'k'] => (digits.len(), 1_000),
        [digits @ .., b'M'] => (digits.len(), 1_000_000),
        [digits @ .., b'G'] => (digits.len(), 1_000_000_000),
        digits => (digits.len(), 1),
    };
    let digits = &text[..digits];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Error::new(format!("{flag}: found `{text}`, expected a number"))
            .hint("k, M and G behind it are powers of 1000: 500k, 4M, 1G"));
    }
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match number {
        Some(number) if number < min => {
            Err(Error::new(format!("{flag}: found {text}, expected at least {min}")))
        }
        Some(number) if number <= max => Ok(number),
        _ => Err(Error::new(format!("{flag}: found {text}, expected at most {max}"))),
    }
}

/// A share in percent, as parts of a million.
fn percent(flag: &str, text: &str) -> Result<u32> {
    let share = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match share.filter(|share| (0.0..=100.0).contains(share)) {
        Some(share) => Ok((share * 10_000.0).round() as u32),
        None => Err(Error::new(format!(
            "{flag}: found `{text}`, expected a share of the calls from 0% to 100%, such as 2.5%"
        ))),
    }
}

fn ending(format: LogFormat, compress: Compress) -> String {
    let plain = match format {
        LogFormat::Json => ".jsonl",
        LogFormat::Csv => ".csv",
        LogFormat::Combined | LogFormat::Logfmt | LogFormat::Ltsv | LogFormat::AwsAlb => ".log",
    };
    let packed = match compress {
        Compress::None => "",
        Compress::Gzip => ".gz",
        Compress::Zstd => ".zst",
    };
    format!("{plain}{packed}")
}

fn file_names(files: u64, ending: &str) -> Vec<String> {
    if files == 1 {
        return vec![format!("access{ending}")];
    }
    let width = files.to_string().len().max(4);
    (1..=files).map(|file| format!("access-{file:0width$}{ending}")).collect()
}

/// The configuration. All that the folder's content depends on stands in it: equal texts, equal folders.
fn config_text(
    args: &SynthArgs,
    params: &Params,
    format: LogFormat,
    compress: Compress,
    paths: &str,
) -> String {
    let Params {
        calls,
        partners,
        credentials,
        apis,
        grants,
        routes,
        people,
        consents,
        days,
        seed,
        ..
    } = params;
    let violations = f64::from(params.violations_ppm) / 10_000.0;
    let compress = match compress {
        Compress::None => "none",
        Compress::Gzip => "gzip",
        Compress::Zstd => "zstd",
    };
    let files = &args.files;
    let timeline = if args.timeline { " --timeline" } else { "" };
    let version = env!("CARGO_PKG_VERSION");
    let name = format.as_str();
    // The one that is not built in is described.
    let (name, described) = match format {
        LogFormat::Csv => ("synth-csv", CSV_FORMAT),
        _ => (name, ""),
    };
    format!(
        "{HEADING} {version}:
# overstay synth DIR --calls {calls} --partners {partners} --credentials {credentials} --apis {apis} \\
#   --grants {grants} --routes {routes} --people {people} --consents {consents} --days {days} --seed {seed} \\
#   --log-format {} --violations {violations}% --files {files} --compress {compress}{timeline}

[register]
source = \"{REGISTER_NAME}\"

[[logs]]
source = \"synth\"
paths  = [\"{paths}\"]
format = \"{name}\"
{described}",
        format.as_str()
    )
}

const CSV_FORMAT: &str = "
[formats.synth-csv]
kind        = \"csv\"
header      = true
at          = { field = \"ts\", as = \"rfc3339\" }
credential  = \"client_id\"
method      = \"method\"
path        = \"path\"
status      = \"status\"
bytes       = \"bytes\"
latency     = { field = \"latency_us\", unit = \"us\" }
subject     = { route = \"user\" }
remote_addr = \"remote_addr\"
user_agent  = \"user_agent\"
request_id  = \"request_id\"
";

/// How the config of a workload begins.
const HEADING: &str = "# A workload for benchmarks, drawn by overstay";

/// Whether the folder is the one that would be written, where the log itself goes elsewhere. Else nothing may be in it.
fn is_there(folder: &Path, config: &str, logs: &LogsTo) -> Result<bool> {
    let found = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(Error::io(folder.display(), error)
                .hint("name a folder that is empty or not there; nothing was changed"));
        }
    };
    if !found {
        return Ok(false);
    }
    let there = fs::read(folder.join(CONFIG_NAME)).ok();
    if *logs == LogsTo::Stdout && there.as_deref() == Some(config.as_bytes()) {
        return Ok(true);
    }
    let shown = folder.display();
    let refused = |what: &str, hint: &str| {
        let found = format!("{shown}: found {what}, expected an empty folder or none");
        Err(Error::new(found).hint(format!("{hint}; nothing was changed")))
    };
    let is_register = folder.join(REGISTER_NAME).is_dir();
    match there {
        Some(there) if there.starts_with(HEADING.as_bytes()) && *logs == LogsTo::Stdout => refused(
            "a workload drawn with other arguments",
            "its overstay.toml names them: give the same to get its log, or name another folder",
        ),
        Some(there) if there.starts_with(HEADING.as_bytes()) => {
            refused("a workload that was drawn before", "remove it, or name another folder")
        }
        None if is_register => refused(
            "what an interrupted run may have left: a register, and no overstay.toml",
            "remove it, or name another folder",
        ),
        _ => refused("a folder with something in it", "name another folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_and_without_a_suffix() {
        for (text, number) in
            [("0", 0), ("7", 7), ("500k", 500_000), ("120M", 120_000_000), ("2G", 2_000_000_000)]
        {
            assert_eq!(count("--calls", text, 0, u64::MAX).unwrap(), number, "{text}");
        }
        for text in ["", "k", "-1", "1.5M", "1K", "1 k", "+3", "1kk", "ä"] {
            assert!(count("--calls", text, 0, u64::MAX).is_err(), "{text}");
        }
        // 2^64 and above is no smaller number.
        assert!(count("--calls", "18446744073709551616", 0, u64::MAX).is_err());
        assert!(count("--calls", "18446744073709552k", 0, u64::MAX).is_err());
        let error = count("--files", "4", 5, 9).unwrap_err();
        assert_eq!(error.to_string(), "--files: found 4, expected at least 5");
        let error = count("--files", "10", 5, 9).unwrap_err();
        assert_eq!(error.to_string(), "--files: found 10, expected at most 9");
    }

    #[test]
    fn shares_in_percent() {
        for (text, ppm) in [("0%", 0), ("10%", 100_000), ("2.5%", 25_000), ("100%", 1_000_000)] {
            assert_eq!(percent("--violations", text).unwrap(), ppm, "{text}");
        }
        for text in ["10", "", "%", "-1%", "100.1%", "NaN%", "x%"] {
            assert!(percent("--violations", text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_sort_as_the_calls_do() {
        assert_eq!(file_names(1, ".log"), ["access.log"]);
        let names = file_names(12_000, ".log.gz");
        assert_eq!(
            (names[0].as_str(), names[11_999].as_str()),
            ("access-00001.log.gz", "access-12000.log.gz")
        );
        assert!(names.is_sorted());
        assert_eq!(file_names(3, ".log")[2], "access-0003.log");
    }
}
