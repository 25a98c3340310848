//! `overstay verify`: the chain of manifests, the reports that they name, the state, and the evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;

use super::nightly::key_of;
use super::read::pool;
use super::survey::survey;
use super::{Ended, Status};
use crate::error::{Error, Result};
use crate::findings::{Told, hex};
use crate::input::{self, Found, Place};
use crate::plan::VerifyPlan;
use crate::register;
use crate::report::text::counted;
use crate::state::{Disk, Folder, Ledger, MANIFEST_NAME, Manifest, run_folder};

/// Checks all of it. Each problem is a line on standard output.
///
/// # Errors
///
/// If there is nothing to check, or the state can't be read.
pub fn verify(plan: &VerifyPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    pool(&plan.read)?.install(|| {
        let mut checking = Checking::default();
        checking.all(plan)?;
        let Checking { problems, notes, warnings, .. } = checking;
        for problem in &problems {
            let told = writeln!(stdout, "{}", crate::render::for_terminal(problem));
            told.map_err(|error| Error::io("standard output", error))?;
        }
        stdout.flush().map_err(|error| Error::io("standard output", error))?;
        let status = if problems.is_empty() { Status::Done } else { Status::Failed };
        let mut ended = Ended { warnings, notes, ..Ended::new(status) };
        if !problems.is_empty() {
            let count = counted(problems.len() as u64, "problem", "problems");
            ended.warnings.push(format!("{count}: what is kept is not what the runs wrote"));
        }
        Ok(ended)
    })
}

/// A line of evidence: the log's number, its path, offset, length and hash.
type Line = (Option<u64>, String, u64, u64, String);

/// Lines of one log, each with a report that has it.
type Lines<'l> = Vec<(&'l Line, &'l String)>;

#[derive(Default)]
struct Checking {
    problems: Vec<String>,
    notes: Vec<String>,
    warnings: Vec<String>,
    /// Lines of evidence, and a report that has each.
    evidence: BTreeMap<Line, String>,
}

/// What of a report is needed.
#[derive(Deserialize)]
struct OfReport {
    findings: Vec<OfFinding>,
}

#[derive(Deserialize)]
struct OfFinding {
    evidence: Vec<OfEvidence>,
}

#[derive(Deserialize)]
struct OfEvidence {
    path: String,
    offset: u64,
    length: u64,
    blake3: String,
    input: Option<u64>,
}

impl Checking {
    fn all(&mut self, plan: &VerifyPlan) -> Result<()> {
        let folder = Folder::look(&plan.state.state, &plan.state.reports, &Disk);
        let before = folder.ledger().ok().flatten();
        if folder.is_being_written(before.as_ref()) {
            return Err(Error::new(format!(
                "{}: a run is at work, or was killed before its reports were in their places",
                plan.state.reports.display()
            ))
            .hint(
                "verify again when it has ended; if it was killed, the next run puts them there",
            ));
        }
        let (last, _) = folder.history()?;
        if last == 0 {
            return Err(Error::new(format!(
                "{}: there is no run to verify",
                plan.state.reports.display()
            ))
            .hint("`overstay nightly` writes them"));
        }
        let heads = self.manifests(folder.reports(), last);
        let latest = folder.reports().join("latest");
        if std::fs::read_link(&latest).ok().as_deref() != Some(Path::new(&run_folder(last))) {
            self.problems.push(format!(
                "{}: it does not lead to the last run, {}",
                latest.display(),
                run_folder(last)
            ));
        }
        match (&plan.head, heads.last()) {
            (None, Some((run, head))) => {
                self.notes.push(format!(
                    "nobody vouches for the head of the chain, run {run}, {head}: give one that was noted elsewhere with --head"
                ));
            }
            (Some(head), _) => match heads.iter().find(|(_, known)| known == head) {
                Some((run, _)) => self.notes.push(format!("--head is that of run {run} of {last}")),
                None => self.problems.push(format!(
                    "--head {head}: no manifest has this hash: the chain was rewritten, or it is the head of another"
                )),
            },
            (None, None) => {}
        }
        match folder.ledger() {
            Ok(Some(ledger)) => self.state(plan, &folder, &ledger, heads.last()),
            Ok(None) => {
                self.warnings.push("there is no state: only reports were checked".to_owned())
            }
            Err(error) => self.problems.push(error.to_string()),
        }
        let ledger = folder.ledger().ok().flatten();
        if !plan.no_evidence {
            self.lines(plan, ledger.as_ref())?;
        }
        let is_another = ledger.as_ref().map(|l| l.run) != before.as_ref().map(|l| l.run);
        if is_another || folder.is_being_written(ledger.as_ref()) {
            return Err(Error::new(format!(
                "{}: a run began meanwhile: what was found may be half of it",
                plan.state.reports.display()
            ))
            .hint("verify again when it has ended"));
        }
        if self.problems.is_empty() {
            let runs = counted(last, "run", "runs");
            self.notes.push(format!("{runs}, all reports and manifests as they were written"));
        }
        Ok(())
    }

    /// Checks every manifest and what it names; the run and the hash of each that can be read.
    fn manifests(&mut self, reports: &Path, last: u64) -> Vec<(u64, String)> {
        let mut heads: Vec<(u64, String)> = Vec::new();
        let mut named: BTreeSet<String> = BTreeSet::new();
        for run in 1..=last {
            let name = format!("{}/{MANIFEST_NAME}", run_folder(run));
            let path = reports.join(&name);
            let shown = path.display().to_string();
            named.insert(name);
            let file = match std::fs::read(&path) {
                Ok(file) => file,
                Err(error) => {
                    self.problems.push(Error::io(&shown, error).to_string());
                    continue;
                }
            };
            let head = blake3::hash(&file).to_hex().to_string();
            let before = heads.last().filter(|(before, _)| before + 1 == run);
            let before = before.map(|(_, head)| head.clone());
            heads.push((run, head));
            let manifest = match Manifest::decode(&shown, &file) {
                Ok(manifest) => manifest,
                Err(error) => {
                    self.problems.push(error.to_string());
                    continue;
                }
            };
            if manifest.encode().ok().as_ref() != Some(&file) {
                self.problems.push(format!("{shown}: it is not as a run writes it"));
            }
            if manifest.run != run {
                let found = manifest.run;
                self.problems.push(format!("{shown}: found run {found}, expected run {run}"));
            }
            if manifest.previous != before {
                let word =
                    |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".to_owned());
                self.problems.push(format!(
                    "{shown}: found {} as the manifest before, expected {}",
                    word(&manifest.previous),
                    word(&before)
                ));
            }
            for report in &manifest.reports {
                named.insert(report.path.clone());
                self.report(reports, &report.path, report.bytes, &report.blake3);
            }
        }
        for file in files_below(reports) {
            if !named.contains(&file) {
                let shown = reports.join(&file);
                self.problems.push(format!("{}: no run wrote this", shown.display()));
            }
        }
        heads
    }

    fn report(&mut self, reports: &Path, name: &str, bytes: u64, blake3: &str) {
        let path = reports.join(name);
        let shown = path.display();
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) => return self.problems.push(Error::io(shown, error).to_string()),
        };
        if content.len() as u64 != bytes || blake3::hash(&content).to_hex().as_str() != blake3 {
            return self
                .problems
                .push(format!("{shown}: it is not what the run wrote: its hash is another"));
        }
        if !name.ends_with(".json") {
            return;
        }
        match serde_json::from_slice::<OfReport>(&content) {
            Ok(report) => {
                for line in report.findings.into_iter().flat_map(|finding| finding.evidence) {
                    let OfEvidence { path, offset, length, blake3, input } = line;
                    let line = (input, path, offset, length, blake3);
                    self.evidence.entry(line).or_insert_with(|| name.to_owned());
                }
            }
            Err(error) => self.problems.push(format!("{shown}: found no report: {error}")),
        }
    }

    /// Checks the state against the chain, and its files against it.
    fn state(
        &mut self,
        plan: &VerifyPlan,
        folder: &Folder<'_>,
        ledger: &Ledger,
        last: Option<&(u64, String)>,
    ) {
        let shown = plan.state.state.display();
        let head = ledger.head.map(|head| hex(&head));
        if last.map(|(run, head)| (*run, Some(head))) != Some((ledger.run, head.as_ref())) {
            let head = head.unwrap_or_default();
            let run = ledger.run;
            self.problems.push(format!(
                "{shown}: the last run is {run} with head {head}, and the last manifest is another's: manifests were changed or removed"
            ));
        }
        for (day, known) in &ledger.days {
            for file in known.files() {
                if let Err(error) = folder.check(file) {
                    let day = crate::time::day_name(*day);
                    self.problems.push(format!("{error} (day {day})"));
                }
            }
        }
        let key = match key_of(&plan.state, ledger) {
            Ok(key) => key,
            Err(error) => {
                self.warnings
                    .push(format!("the registers that are kept were not checked: {error}"));
                return;
            }
        };
        for digest in &ledger.registers {
            let path = folder.register(digest);
            let tables = folder.kept_tables(digest, &key);
            let same = tables.map(|tables| register::build(&tables, None, 0).digest == *digest);
            match same {
                Ok(true) => {}
                Ok(false) => self.problems.push(format!(
                    "{}: it is not the register that was judged by: it was changed",
                    path.display()
                )),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
    }

    /// Reads every line of evidence again.
    fn lines(&mut self, plan: &VerifyPlan, ledger: Option<&Ledger>) -> Result<()> {
        let evidence = std::mem::take(&mut self.evidence);
        let known = ledger.map(|ledger| ledger.inputs.as_slice()).unwrap_or_default();
        // Marks what is found now.
        let now_s = ledger.map_or(0, |ledger| ledger.elapsed_s) + 1;
        let surveyed = BTreeSet::new();
        let there = survey(&plan.sources, &plan.state.folder, None, known, now_s, None, &surveyed)?;
        for told in &there.told {
            if let Told::Rewritten(log) = told {
                self.problems.push(format!(
                    "{}: what was read of it is no longer what lies there (source {})",
                    log.path, log.source
                ));
            }
        }
        let place = |path: &str| Found {
            place: Place::File(plan.state.folder.join(path)),
            shown: path.to_owned(),
        };
        // Of a log that was not compressed when it was read the hash of all that was read is known, and is that of what it holds,
        // however it lies there now.
        let found_now = there.known.par_iter().filter(|input| input.seen_at_s == now_s);
        let changed: Vec<String> = found_now
            .filter_map(|input| {
                let grown = input.start().grown;
                let is_hashed = grown.bytes > 0;
                let is_changed =
                    || !input::begins_with(&place(&input.path), &grown).unwrap_or(true);
                (is_hashed && is_changed()).then(|| input.path.clone())
            })
            .collect();
        self.problems.extend(
            changed.into_iter().map(|path| {
                format!("{path}: what was read of it was changed: its hash is another")
            }),
        );
        let mut by_log: BTreeMap<(Option<u64>, &str), Lines<'_>> = BTreeMap::new();
        for (line, report) in &evidence {
            by_log.entry((line.0, &line.1)).or_default().push((line, report));
        }
        let (mut same, mut gone) = (0u64, 0u64);
        let mut gone_logs = BTreeSet::new();
        for ((id, path), mut lines) in by_log {
            lines.sort_by_key(|(line, _)| (line.2, line.3));
            let input = id.and_then(|id| there.known.iter().find(|input| input.id == id));
            let is_found = input.is_some_and(|input| input.seen_at_s == now_s);
            let path_now = input.map_or(path, |input| input.path.as_str());
            let found = place(path_now);
            let rewritten = there
                .told
                .iter()
                .any(|told| matches!(told, Told::Rewritten(log) if log.path == path_now));
            let wanted: Vec<(u64, u64)> = lines.iter().map(|(line, _)| (line.2, line.3)).collect();
            let spans = input::spans(&found, &wanted).ok();
            for (at, (line, report)) in lines.into_iter().enumerate() {
                let span = spans.as_ref().and_then(|spans| spans[at].as_ref());
                let is_same = span.is_some_and(|span| is_hash_of(&line.4, span));
                match is_same {
                    true => same += 1,
                    // Elsewhere another log may lie under its name by now.
                    false if is_found || rewritten => self.problems.push(format!(
                        "{path_now}: the line at byte {} is no longer the one that {report} has as evidence",
                        line.2
                    )),
                    false => {
                        gone += 1;
                        gone_logs.insert(path_now.to_owned());
                    }
                }
            }
        }
        if gone > 0 {
            let lines = counted(gone, "line", "lines");
            let logs = counted(gone_logs.len() as u64, "log", "logs");
            self.warnings.push(format!(
                "{lines} of evidence could not be read again: {logs} gone, the first {}",
                gone_logs.first().map_or("", String::as_str)
            ));
        }
        if same > 0 {
            self.notes
                .push(format!("{} of evidence, all the same", counted(same, "line", "lines")));
        }
        Ok(())
    }
}

/// Whether a line has that hash. A record of a document is hashed with spaces where it had line ends.
fn is_hash_of(hash: &str, line: &[u8]) -> bool {
    let is_hash = |line: &[u8]| blake3::hash(line).to_hex().as_str() == hash;
    let spaced = || -> Vec<u8> {
        line.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect()
    };
    is_hash(line) || is_hash(&spaced())
}

/// The files below the folder of reports that only runs write: those of runs and of days.
fn files_below(reports: &Path) -> BTreeSet<String> {
    let is_ours = |name: &str| {
        name == "runs" || name.len() == 10 && crate::time::parse_date(name.as_bytes()).is_some()
    };
    let walk = walkdir::WalkDir::new(reports).min_depth(1).into_iter().filter_entry(move |entry| {
        entry.depth() > 1 || is_ours(&entry.file_name().to_string_lossy())
    });
    walk.filter_map(|entry| {
        let entry = entry.ok().filter(|entry| !entry.file_type().is_dir())?;
        Some(entry.path().strip_prefix(reports).ok()?.to_string_lossy().into_owned())
    })
    .collect()
}
