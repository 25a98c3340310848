//! Which of the logs that are there are known, and what of them is new: the first phase of a run that keeps state.
//!
//! A log is known by its content, within its source, whatever it is called. Names and inodes decide only between logs whose
//! content does not.
//!
//! | what is found | what it is taken for |
//! | --- | --- |
//! | the content that was read, and more behind it | the log, which grew: it is read on |
//! | the content under another name only | the log, renamed, and perhaps compressed |
//! | the content under two names, nothing but more of it in one | one log: it is read where there is more, and counts once |
//! | the content under two names, other lines behind it in each | two logs: what they share counted once |
//! | less than that content at the name that it had, or other content | a rewritten log; what is there is a new one |
//! | other content at the name, of another file, the old one nowhere | a lost log; what is there is a new one |
//! | a beginning of the content, or of a new log, under another name | a copy that is not complete yet: nothing of it is new |
//! | more of the content, but cut short or corrupt, and the same content under another name | a copy that is not complete: nothing of it is new |
//! | less of the content, cut short or corrupt, and the rest nowhere | the log, of which nothing is new before more of it is there |
//! | the same, the content nowhere, and its file begun anew | a copy that was complete before the last lines that were read: the log, renamed |
//! | other content at the name, the log renamed before and read to its end, others renamed now | nothing: its rotation came to an end |
//! | nothing at the name, the content nowhere | a log that is gone: lost if not all that was seen of it was read |
//!
//! What is less than [`limits::REPEATED_FILE_BYTES_MIN`] may be alike by chance: under a second name it is another log.
//!
//! A compressed log that is cut short or corrupt is compared as far as it can be relied on. (Who compresses a log writes one that
//! is cut short until it is complete, beside its original.) It is told when it is found so, and again when it changed; as
//! long as it lies there as it did it is known by the hash of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use crate::error::{Error, Problems, Result};
use crate::findings::{Log, Told};
use crate::input::{
    self, Compared, Compression, Found, Held, Holds, Look, Packed, Print, Start, Until, Version,
};
use crate::limits;
use crate::plan::NightlySource;
use crate::report::Partial;
use crate::state::KnownInput;
use crate::tally::By;
use crate::time::{Instant, civil_from_days};

/// What there is to read, and what became of the rest.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What is new, or may be.
    pub(super) to_read: Vec<ToRead>,
    /// Logs of which nothing is new but the beginning of a line that waits for its end, or nothing at all as long as they end
    /// early: by their numbers, with how they are compressed.
    pub(super) waiting: Vec<(u64, Option<Compression>)>,
    /// What became of logs.
    pub(super) told: Vec<Told>,
    /// What can't be read now, or should be there and is not.
    pub(super) unread: Vec<Partial>,
    /// Logs whose content is that of another: both paths.
    pub(super) repeats: Vec<(String, String)>,
    /// Logs that are new to their source and were read as another's: its number, and their path.
    pub(super) moved: Vec<(u64, String)>,
    /// Logs that end early, where that is no news, or of no matter: their paths, and words about it.
    pub(super) flawed: Vec<(String, String)>,
    /// All logs that are known, as they were found now.
    pub(super) known: Vec<KnownInput>,
    /// How many logs were looked at.
    pub(super) looked_at: usize,
    /// How many of them could be read.
    pub(super) readable: usize,
}

/// A log to be read.
#[derive(Debug)]
pub(super) struct ToRead {
    pub(super) found: Found,
    /// What it was taken for is true of this file, as it was.
    pub(super) version: Version,
    /// Its source's number.
    pub(super) source: u32,
    /// Its number in the ledger; none if it is new.
    pub(super) known: Option<u64>,
    pub(super) start: Start,
    pub(super) lines_before: u64,
}

/// Looks at all logs of the sources, whose paths start from a folder. `known` are those of the runs before, `elapsed_s` the time
/// by which they are forgotten; `last_run` is when the last run was, `run_at` when this one is; of the sources that were `surveyed`
/// before, logs of all dates were looked for.
///
/// # Errors
///
/// If a pattern is none, or a log is in two sources.
pub(super) fn survey(
    sources: &[NightlySource],
    folder: &Path,
    run_at: Option<Instant>,
    known: &[KnownInput],
    elapsed_s: u64,
    last_run: Option<Instant>,
    surveyed: &BTreeSet<String>,
) -> Result<Survey> {
    let dates = run_at.zip(last_run);
    let survey = survey_once(sources, folder, dates, known, elapsed_s, surveyed)?;
    if survey.told.is_empty() {
        return Ok(survey);
    }
    // While one looks at one name after the other, logs may be renamed: what is missing may only have been missed.
    survey_once(sources, folder, dates, known, elapsed_s, surveyed)
}

fn survey_once(
    sources: &[NightlySource],
    folder: &Path,
    dates: Option<(Instant, Instant)>,
    known: &[KnownInput],
    elapsed_s: u64,
    surveyed: &BTreeSet<String>,
) -> Result<Survey> {
    let mut survey = Survey { known: known.to_vec(), ..Survey::default() };
    let mut problems = Problems::default();
    let mut claimed: HashMap<std::path::PathBuf, &str> = HashMap::new();
    for (source, number) in sources.iter().zip(0..) {
        // The first time, logs of all dates are looked for.
        let dates = dates.filter(|_| surveyed.contains(&source.name));
        let found = list(source, folder, dates, &mut survey.unread, &mut problems);
        for found in &found {
            let Some(path) = found.canonical() else { continue };
            if let Some(other) = claimed.insert(path, &source.name) {
                let error = Error::new(format!(
                    "{}: found in the sources {other} and {}, expected each log in one",
                    found.shown, source.name
                ));
                problems
                    .0
                    .push(error.hint(
                        "its calls would count twice; make the paths of one source narrower",
                    ));
                break;
            }
        }
        let looks: Vec<Result<Look>> = found.par_iter().map(Look::at).collect();
        survey.looked_at += found.len();
        let mut logs = Vec::new();
        let mut unreadable = BTreeSet::new();
        for (found, look) in found.into_iter().zip(looks) {
            match look {
                Ok(look) => logs.push((found, look)),
                Err(error) => {
                    unreadable.insert(found.shown.clone());
                    survey.unread.push(unread(&found, &error));
                }
            }
        }
        survey.readable += logs.len();
        let of_source = survey.known.iter().filter(|input| input.source == source.name);
        let whole = of_source.filter(|input| input.flaw.is_none()).filter_map(KnownInput::packed);
        look_for_ends(&mut logs, &whole.collect());
        let mut of_others: HashMap<(u32, [u8; 32]), Vec<usize>> = HashMap::new();
        let names: HashSet<&str> = logs.iter().map(|(found, _)| found.shown.as_str()).collect();
        for (place, input) in survey.known.iter().enumerate() {
            // What is short may be alike by chance, but not where it lay.
            let enough = match names.contains(input.path.as_str()) {
                true => 1,
                false => limits::REPEATED_FILE_BYTES_MIN as u64,
            };
            if input.source != source.name && input.offset >= enough {
                of_others.entry(input.head).or_default().push(place);
            }
        }
        let mut of_source = OfSource {
            source,
            folder,
            of_others,
            number,
            logs: &logs,
            unreadable: &unreadable,
            elapsed_s,
            has_renamed: false,
            survey: &mut survey,
        };
        of_source.recognise();
    }
    // Where it still lies in the source that it was read as, it is a copy, and that source's own business.
    for (id, path) in std::mem::take(&mut survey.moved) {
        let input =
            survey.known.iter().find(|input| input.id == id && input.seen_at_s != elapsed_s);
        let Some(KnownInput { source, path: before, .. }) = input else { continue };
        problems.0.push(
            Error::new(format!(
                "{path}: was read as {before} of source {source}, expected it there: its calls would count twice"
            ))
            .hint("give the source its name back, or read all anew with --rebuild; nothing was changed"),
        );
        break;
    }
    problems.told("the configuration")?;
    // What nobody asks for any more is remembered as long as any: it may come back.
    let lookback_s = |name: &str| {
        let source = sources.iter().find(|source| source.name == name);
        source.map_or(u64::MAX, |source| source.lookback_s)
    };
    survey.known.retain(|input| elapsed_s - input.seen_at_s <= lookback_s(&input.source));
    survey.to_read.sort_by(|a, b| (&a.found.shown, a.source).cmp(&(&b.found.shown, b.source)));
    Ok(survey)
}

/// The hash of as much of the beginning of a log as tells it from others; none where it holds less.
fn first(look: &Look) -> Option<[u8; 32]> {
    let mut heads = look.heads();
    let first = heads.find(|(bytes, _)| *bytes as usize == limits::REPEATED_FILE_BYTES_MIN);
    first.map(|(_, hash)| hash)
}

/// Finds out of compressed logs that begin like others how far they can be relied on; `whole` are known to be whole.
fn look_for_ends(logs: &mut [(Found, Look)], whole: &HashSet<Packed>) {
    let mut alike: HashMap<[u8; 32], usize> = HashMap::new();
    for first in logs.iter().filter_map(|(_, look)| first(look)) {
        *alike.entry(first).or_default() += 1;
    }
    logs.par_iter_mut().for_each(|(found, look)| {
        let is_alike = first(look).and_then(|first| alike.get(&first)).is_some_and(|n| *n > 1);
        if look.packed.is_some_and(|packed| !whole.contains(&packed)) && is_alike {
            // What can't be read will say so where it is compared.
            look.until = input::until(found, look).unwrap_or_default();
        }
    });
}

/// An error about a log, as what could not be read.
fn unread(found: &Found, error: &Error) -> Partial {
    let text = error.to_string();
    let prefix = format!("{}: ", found.shown);
    let reason = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
    Partial { path: found.shown.clone(), reason }
}

/// The logs of a source.
fn list(
    source: &NightlySource,
    folder: &Path,
    dates: Option<(Instant, Instant)>,
    unread: &mut Vec<Partial>,
    problems: &mut Problems,
) -> Vec<Found> {
    let mut all = Vec::new();
    for pattern in &source.patterns {
        if pattern.contains("://") {
            problems.0.push(
                Error::new(format!("{pattern}: this version reads files, no URLs"))
                    .hint("fetch them to a folder first"),
            );
            continue;
        }
        let mut findings = input::Findings::default();
        for pattern in dated(pattern, source, dates) {
            let found = problems.note(input::find(&pattern, Some(folder)));
            let Some(found) = found else { break };
            findings.found.extend(found.found);
            findings.unreadable.extend(found.unreadable);
        }
        if findings.found.is_empty() && findings.unreadable.is_empty() {
            unread.push(Partial {
                path: pattern.clone(),
                reason: format!("matches nothing (source {})", source.name),
            });
        }
        unread
            .extend(findings.unreadable.into_iter().map(|(path, reason)| Partial { path, reason }));
        all.extend(findings.found);
    }
    input::once(all)
}

/// The patterns that a pattern with a date stands for: of the days since the last run, less how far its source looks back.
/// Before there was any run, that of any day.
fn dated(pattern: &str, source: &NightlySource, dates: Option<(Instant, Instant)>) -> Vec<String> {
    let is_dated = ["{yyyy}", "{mm}", "{dd}"].iter().any(|part| pattern.contains(part));
    let Some((run_at, last_run)) = dates.filter(|_| is_dated) else {
        return vec![pattern.to_owned()];
    };
    let lookback_ns =
        i64::try_from(source.lookback_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    let first = By::Day.of(last_run.min(run_at).saturating_sub_ns(lookback_ns));
    // Clocks of gateways, and their midnights, may be ahead.
    let last = By::Day.of(run_at.max(last_run)) + 1;
    let mut patterns: Vec<String> = (first..=last)
        .map(|day| {
            let (year, month, day) = civil_from_days(day);
            pattern
                .replace("{yyyy}", &format!("{year:04}"))
                .replace("{mm}", &format!("{month:02}"))
                .replace("{dd}", &format!("{day:02}"))
        })
        .collect();
    patterns.dedup();
    patterns
}

/// A source whose logs are recognised.
struct OfSource<'s> {
    source: &'s NightlySource,
    /// The folder that names are relative to.
    folder: &'s Path,
    number: u32,
    /// By name.
    logs: &'s [(Found, Look)],
    /// Names of those that can't be read now.
    unreadable: &'s BTreeSet<String>,
    /// Known logs of other sources, by their first blocks: their places.
    of_others: HashMap<(u32, [u8; 32]), Vec<usize>>,
    elapsed_s: u64,
    /// Whether a log of it was found under another name than before.
    has_renamed: bool,
    survey: &'s mut Survey,
}

/// What is known of a log beside its look.
#[derive(Clone, Debug, Default)]
struct Matches {
    /// Known logs, all of whose content it holds, by their places.
    whole: Vec<usize>,
    /// Known logs that it begins like, and of which it holds less.
    short: Vec<usize>,
    /// Whether it is that known log as it lies, compressed.
    is_exact: bool,
    /// How far it can be relied on, if it is known to end early.
    until: Option<Until>,
    /// Whether it can no longer be read: it is left to the next run.
    is_unreadable: bool,
}

/// What a log was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// This known one.
    For(usize),
    /// This known one, of which it lacks the last that was read.
    Cut(usize),
    /// This known one, cut short or corrupt before the end of what was read.
    Behind(usize),
    /// No known one; what it shares with this known one was counted.
    After(usize),
    /// Nothing of it counts: the log at this place holds all of it.
    Repeat(usize),
    New,
}

impl OfSource<'_> {
    fn recognise(&mut self) {
        let places: Vec<usize> = (0..self.survey.known.len())
            .filter(|&place| self.survey.known[place].source == self.source.name)
            .collect();
        let matches = self.matches(&places);
        let taken = self.take(&places, &matches);
        for (place, taken) in taken.iter().enumerate() {
            self.settle(place, *taken, &matches[place]);
        }
        self.missing(&places, &taken);
    }

    /// For each log the known ones whose content it holds.
    fn matches(&mut self, places: &[usize]) -> Vec<Matches> {
        let known = &self.survey.known;
        let mut by_head: HashMap<(u32, [u8; 32]), Vec<usize>> = HashMap::new();
        for &place in places {
            let input = &known[place];
            if input.offset > 0 {
                by_head.entry(input.head).or_default().push(place);
            }
        }
        let exact = self.exact(places);
        let matched: Vec<Result<Matches>> = self
            .logs
            .par_iter()
            .zip(&exact)
            .map(|((found, look), exact)| {
                let exact = match exact.map(|place| (place, &known[place].flaw)) {
                    // Of one that is mended the ends may be as they were.
                    Some((place, Some((_, blake3)))) => {
                        (input::digest(found, look)? == *blake3).then_some(place)
                    }
                    exact => exact.map(|(place, _)| place),
                };
                if let Some(place) = exact {
                    let whole = vec![place];
                    return Ok(Matches { whole, is_exact: true, ..Matches::default() });
                }
                let alike: Vec<usize> =
                    look.heads().filter_map(|head| by_head.get(&head)).flatten().copied().collect();
                if alike.is_empty() {
                    return Ok(Matches { until: look.until.clone(), ..Matches::default() });
                }
                let wanted: Vec<(u64, Print)> = alike
                    .iter()
                    .map(|&place| (known[place].offset, known[place].print()))
                    .collect();
                let Held { holds, until } = look.holds(found, &wanted)?;
                let until = until.or_else(|| look.until.clone());
                let of = |wanted: Holds| {
                    let places =
                        alike.iter().zip(&holds).filter(move |(_, holds)| **holds == wanted);
                    places.map(|(place, _)| *place).collect()
                };
                let (whole, short) = (of(Holds::Yes), of(Holds::Short));
                Ok(Matches { whole, short, until, ..Matches::default() })
            })
            .collect();
        let mut all = Vec::new();
        for ((found, _), matches) in self.logs.iter().zip(matched) {
            // One that can't be read any more is not new either: it is left to the next run.
            all.push(matches.unwrap_or_else(|error| {
                self.survey.unread.push(unread(found, &error));
                Matches { is_unreadable: true, ..Matches::default() }
            }));
        }
        all
    }

    /// For each log the known one that it is as it lies, compressed. Where several are alike each log is another one of them, as
    /// far as there are so many: the one that lay here, else the one that was this file, else any.
    fn exact(&self, places: &[usize]) -> Vec<Option<usize>> {
        let known = &self.survey.known;
        let mut by_packed: HashMap<Packed, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for &place in places {
            if let Some(packed) = known[place].packed() {
                by_packed.entry(packed).or_default().0.push(place);
            }
        }
        for (log, (_, look)) in self.logs.iter().enumerate() {
            if let Some((_, logs)) = look.packed.and_then(|packed| by_packed.get_mut(&packed)) {
                logs.push(log);
            }
        }
        let mut exact = vec![None; self.logs.len()];
        for (places, logs) in by_packed.values() {
            let mut free: BTreeSet<usize> = places.iter().copied().collect();
            let from_last = || places.iter().rev().copied();
            let by_path: HashMap<&str, usize> =
                from_last().map(|place| (known[place].path.as_str(), place)).collect();
            let by_file: HashMap<(u64, u64), usize> =
                from_last().filter_map(|place| Some((known[place].file?, place))).collect();
            let here = |log: usize| by_path.get(self.logs[log].0.shown.as_str()).copied();
            let same = |log: usize| by_file.get(&self.logs[log].1.file?).copied();
            for told in [&here as &dyn Fn(usize) -> Option<usize>, &same] {
                for &log in logs {
                    if exact[log].is_none() {
                        exact[log] = told(log).filter(|place| free.remove(place));
                    }
                }
            }
            for &log in logs {
                exact[log] = exact[log].or_else(|| free.pop_first()).or(places.first().copied());
            }
        }
        exact
    }

    fn take(&mut self, places: &[usize], matches: &[Matches]) -> Vec<Taken> {
        let known = self.survey.known.clone();
        let mut taken = vec![None; self.logs.len()];
        let mut holder: BTreeMap<usize, usize> = BTreeMap::new();
        let further = |&&place: &&usize| (known[place].offset, std::cmp::Reverse(known[place].id));
        // Where it lay before.
        for (log, (found, _)) in self.logs.iter().enumerate() {
            let at_home = matches[log]
                .whole
                .iter()
                .filter(|&&place| known[place].path == found.shown && !holder.contains_key(&place));
            if let Some(&place) = at_home.max_by_key(further) {
                taken[log] = Some(Taken::For(place));
                holder.insert(place, log);
            }
        }
        // Elsewhere: the same file first, and those that end early last. They may be copies that are not complete.
        let (whole, early): (Vec<usize>, Vec<usize>) =
            (0..self.logs.len()).partition(|&log| matches[log].until.is_none());
        let in_turn = || whole.iter().chain(&early).copied();
        for by_file in [true, false] {
            for log in in_turn() {
                let look = &self.logs[log].1;
                if taken[log].is_some() {
                    continue;
                }
                let free = matches[log].whole.iter().filter(|&&place| {
                    let same_file = look.file.is_some() && known[place].file == look.file;
                    !holder.contains_key(&place) && (same_file || !by_file)
                });
                if let Some(&place) = free.max_by_key(further) {
                    taken[log] = Some(Taken::For(place));
                    holder.insert(place, log);
                }
            }
        }
        // Two names of one file are one log, however short. (Some file systems give one number to several files.)
        let mut by_file: HashMap<(u64, u64), usize> = HashMap::new();
        // Whatever the names: one that was taken for a known log stays that, and the others are its names.
        for (log, taken) in taken.iter().enumerate() {
            if let (Some(_), Some(file)) = (taken, self.logs[log].1.file) {
                by_file.entry(file).or_insert(log);
            }
        }
        for (log, taken) in taken.iter_mut().enumerate() {
            let Some(file) = self.logs[log].1.file else { continue };
            let first = *by_file.entry(file).or_insert(log);
            let is_same = || {
                matches!(
                    input::compare(&self.logs[log], &self.logs[first], 0),
                    Ok(Compared::Within)
                )
            };
            if first != log && taken.is_none() && is_same() {
                *taken = Some(Taken::Repeat(first));
            }
        }
        let mut alike: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (log, taken) in taken.iter().enumerate() {
            // Not those that only have the name of another: what that is taken for is not settled yet.
            if let (Some(Taken::For(_)), Some(first)) = (taken, self.first(log)) {
                alike.entry(first).or_default().push(log);
            }
        }
        for log in in_turn() {
            if taken[log].is_none() {
                let alike = self.first(log).and_then(|first| alike.get(&first));
                let alike = alike.map_or(&[][..], Vec::as_slice);
                taken[log] = Some(self.take_other(log, &matches[log], &known, &mut holder, alike));
            }
        }
        self.take_beginnings(&mut taken);
        self.take_early(&early, matches, &known, &mut taken, &mut holder);
        // Nothing was read of it yet, and its content is no other's: only its name tells.
        let is_free = |place: usize| known[place].offset == 0 && !holder.contains_key(&place);
        let nothing_read = places.iter().filter(|&&place| is_free(place));
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for &place in nothing_read {
            by_name.entry(&known[place].path).or_insert(place);
        }
        for (log, (found, _)) in self.logs.iter().enumerate() {
            if let (Some(Taken::New), Some(&place)) = (taken[log], by_name.get(&*found.shown)) {
                taken[log] = Some(Taken::For(place));
                holder.insert(place, log);
            }
        }
        // A log that holds more than the one that had been taken for the known one has taken its place.
        let mut all: Vec<Taken> =
            taken.into_iter().map(|taken| taken.unwrap_or(Taken::New)).collect();
        for (log, taken) in all.iter_mut().enumerate() {
            if let Taken::For(place) = *taken
                && let Some(&other) = holder.get(&place)
                && other != log
            {
                *taken = Taken::Repeat(other);
            }
        }
        all
    }

    /// New logs that are the beginnings of others that are new: copies that are not complete yet. (Those that are as long as the
    /// others are found where logs are read.)
    fn take_beginnings(&self, taken: &mut [Option<Taken>]) {
        let mut alike: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
        for (log, taken) in taken.iter().enumerate() {
            if let (Some(Taken::New), Some(first)) = (taken, self.first(log)) {
                alike.entry(first).or_default().push(log);
            }
        }
        for group in alike.into_values() {
            for &log in &group {
                let is_within = |other: usize| {
                    let [one, further] = [&self.logs[log], &self.logs[other]];
                    one.1.begins_like(&further.1)
                        && matches!(input::compare(further, one, 0), Ok(Compared::Beyond))
                };
                let mut others = group.iter().copied().filter(|&other| {
                    other != log && taken[other] == Some(Taken::New) && is_within(other)
                });
                if let Some(other) = others.next() {
                    taken[log] = Some(Taken::Repeat(other));
                }
            }
        }
    }

    /// Logs that end early and would be read as new: copies that are not complete are none, whatever their originals were taken
    /// for, and those of which more was read than they hold are not either.
    fn take_early(
        &mut self,
        early: &[usize],
        matches: &[Matches],
        known: &[KnownInput],
        taken: &mut [Option<Taken>],
        holder: &mut BTreeMap<usize, usize>,
    ) {
        for &log in early {
            if !matches!(taken[log], Some(Taken::New | Taken::After(_))) {
                continue;
            }
            let first = self.first(log);
            let is_other = |&other: &usize| {
                other != log
                    && first.is_some()
                    && self.first(other) == first
                    && !matches!(taken[other], None | Some(Taken::Repeat(_)))
            };
            let others: Vec<usize> = (0..self.logs.len()).filter(is_other).collect();
            let compared = others.into_iter().find_map(|other| {
                match input::compare(&self.logs[log], &self.logs[other], 0) {
                    Ok(Compared::Within) => Some(Ok(other)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            });
            let enough = limits::REPEATED_FILE_BYTES_MIN as u32;
            let behind = matches[log]
                .short
                .iter()
                .filter(|&&place| known[place].head.0 >= enough && !holder.contains_key(&place));
            taken[log] = match (compared, behind.max_by_key(|&&place| known[place].offset)) {
                (Some(Ok(other)), _) => Some(Taken::Repeat(other)),
                // Before nobody knows whether it is a copy nothing of it may count.
                (Some(Err(error)), _) => {
                    self.survey.unread.push(unread(&self.logs[log].0, &error));
                    Some(Taken::Repeat(log))
                }
                (None, Some(&place)) => {
                    holder.insert(place, log);
                    Some(Taken::Behind(place))
                }
                (None, None) => taken[log],
            };
        }
    }

    /// See [`first()`].
    fn first(&self, log: usize) -> Option<[u8; 32]> {
        first(&self.logs[log].1)
    }

    /// What a log is taken for whose content, or the beginning of it, is that of known logs that are found elsewhere;
    /// `alike` begin like it and were taken for known ones.
    fn take_other(
        &mut self,
        log: usize,
        matches: &Matches,
        known: &[KnownInput],
        holder: &mut BTreeMap<usize, usize>,
        alike: &[usize],
    ) -> Taken {
        if matches.is_unreadable {
            return Taken::Repeat(log);
        }
        let enough = limits::REPEATED_FILE_BYTES_MIN as u64;
        let whole = matches.whole.iter().max_by_key(|&&place| known[place].offset);
        if let Some(&place) = whole.filter(|&&place| known[place].offset >= enough) {
            let Some(&other) = holder.get(&place) else { return Taken::New };
            if matches.is_exact {
                return Taken::Repeat(other);
            }
            return match input::compare(&self.logs[log], &self.logs[other], known[place].offset) {
                Ok(Compared::Within) => Taken::Repeat(other),
                Ok(Compared::Beyond) => {
                    holder.insert(place, log);
                    Taken::For(place)
                }
                Ok(Compared::Apart) => Taken::After(place),
                Err(error) => {
                    self.survey.unread.push(unread(&self.logs[log].0, &error));
                    Taken::Repeat(log)
                }
            };
        }
        for &other in alike {
            if !self.logs[log].1.begins_like(&self.logs[other].1) {
                continue;
            }
            // A log may begin like another by chance: headers are alike.
            if let Ok(Compared::Within) = input::compare(&self.logs[log], &self.logs[other], 0) {
                return Taken::Repeat(other);
            }
        }
        if matches.until.is_some() {
            // What that is is told when all others are known for what they are.
            return Taken::New;
        }
        let cut = matches.short.iter().filter(|&&place| {
            known[place].head.0 as u64 >= enough
                && !holder.contains_key(&place)
                && self.was_truncated(&known[place], log)
        });
        if let Some(&place) = cut.max_by_key(|&&place| known[place].offset) {
            holder.insert(place, log);
            return Taken::Cut(place);
        }
        Taken::New
    }

    /// Whether the file that a known log was lies at its name still, with other content; `but` is not that.
    fn was_truncated(&self, known: &KnownInput, but: usize) -> bool {
        self.logs.iter().enumerate().any(|(log, (found, look))| {
            log != but && found.shown == known.path && look.file == known.file
        })
    }

    /// The known log of another source whose content this one holds, if there is one that is not alike by chance.
    fn of_other_source(&self, found: &Found, look: &Look) -> Option<u64> {
        let alike = look.heads().filter_map(|head| self.of_others.get(&head)).flatten();
        let alike = alike.map(|&place| &self.survey.known[place]);
        let enough = limits::REPEATED_FILE_BYTES_MIN as u64;
        let alike: Vec<&KnownInput> =
            alike.filter(|input| input.offset >= enough || input.path == found.shown).collect();
        let wanted: Vec<(u64, Print)> =
            alike.iter().map(|input| (input.offset, input.print())).collect();
        if wanted.is_empty() {
            return None;
        }
        let holds = look.holds(found, &wanted).ok()?.holds;
        let whole = alike.iter().zip(holds).find(|(_, holds)| *holds == Holds::Yes);
        whole.map(|(input, _)| input.id)
    }

    /// Notes what a log was taken for, and what of it is to be read.
    fn settle(&mut self, log: usize, taken: Taken, matches: &Matches) {
        let (found, look) = &self.logs[log];
        let (source, elapsed_s) = (self.number, self.elapsed_s);
        let read = |known, start: Start, lines_before| ToRead {
            found: found.clone(),
            version: look.version,
            source,
            known,
            start: Start { until: matches.until.clone(), ..start },
            lines_before,
        };
        match taken {
            Taken::For(place) => {
                self.has_renamed |= self.survey.known[place].path != found.shown;
                let input = &mut self.survey.known[place];
                found_as(input, &found.shown, elapsed_s);
                if look.file.is_some() {
                    input.file = look.file;
                }
                let nothing_new = match look.compression {
                    Some(_) => matches.is_exact,
                    None => look.bytes == input.seen_bytes && input.packed.is_none(),
                };
                if nothing_new {
                    if let Some((reason, _)) = &input.flaw {
                        let words = format!("{reason}, as before");
                        self.survey.flawed.push((found.shown.clone(), words));
                    }
                    if input.seen_bytes > input.offset || input.flaw.is_some() {
                        self.survey.waiting.push((input.id, look.compression));
                    }
                } else {
                    let (id, start, lines) = (input.id, input.start(), input.lines);
                    self.survey.to_read.push(read(Some(id), start, lines));
                }
            }
            Taken::Cut(place) => {
                self.has_renamed = true;
                match input::whole(found) {
                    Ok((bytes, print)) => {
                        let input = &mut self.survey.known[place];
                        found_as(input, &found.shown, elapsed_s);
                        // All of it was read, and all that it lacks was read before that was destroyed.
                        (input.offset, input.seen_bytes) = (bytes, bytes);
                        input.head = (print.head_bytes, print.head);
                        input.tail = (print.tail_bytes, print.tail);
                        input.grown = (0, Vec::new());
                        input.packed = look.packed.map(|packed| (packed.bytes, packed.ends));
                        input.flaw = None;
                        input.file = look.file;
                    }
                    Err(error) => self.survey.unread.push(unread(found, &error)),
                }
            }
            Taken::Behind(place) => {
                self.has_renamed |= self.survey.known[place].path != found.shown;
                let reason = matches.until.as_ref().map_or("", |until| &until.reason);
                match input::digest(found, look) {
                    Ok(blake3) => {
                        let input = &mut self.survey.known[place];
                        found_as(input, &found.shown, elapsed_s);
                        input.packed = look.packed.map(|packed| (packed.bytes, packed.ends));
                        input.flaw = Some((reason.to_owned(), blake3));
                        input.file = look.file;
                        let reason = format!("{reason}; of what it held more was read before");
                        self.survey.unread.push(Partial { path: found.shown.clone(), reason });
                    }
                    Err(error) => self.survey.unread.push(unread(found, &error)),
                }
            }
            Taken::After(place) => {
                let input = &self.survey.known[place];
                let (start, lines) = (input.start(), input.lines);
                self.survey.to_read.push(read(None, start, lines));
            }
            Taken::Repeat(other) if other == log => {}
            Taken::Repeat(other) => {
                let first = self.logs[other].0.shown.clone();
                match &matches.until {
                    Some(until) if until.offset < until.decoded => {
                        let words =
                            format!("{}; up to there it has the content of {first}", until.reason);
                        self.survey.flawed.push((found.shown.clone(), words));
                    }
                    _ => self.survey.repeats.push((found.shown.clone(), first)),
                }
                // It shows the content of each that it holds.
                for &place in &matches.whole {
                    self.survey.known[place].seen_at_s = elapsed_s;
                }
            }
            Taken::New => {
                let of_others = self.of_other_source(found, look);
                self.survey.moved.extend(of_others.map(|id| (id, found.shown.clone())));
                self.survey.to_read.push(read(None, Start::default(), 0));
            }
        }
    }

    /// What became of the known logs that are found nowhere.
    fn missing(&mut self, places: &[usize], taken: &[Taken]) {
        let holders: BTreeSet<usize> = taken
            .iter()
            .filter_map(|taken| match taken {
                Taken::For(place) | Taken::Cut(place) | Taken::Behind(place) => Some(*place),
                _ => None,
            })
            .collect();
        let at: BTreeMap<&str, usize> = self
            .logs
            .iter()
            .enumerate()
            .map(|(log, (found, _))| (found.shown.as_str(), log))
            .collect();
        for &place in places.iter().filter(|place| !holders.contains(place)) {
            let elapsed_s = self.elapsed_s;
            let input = &mut self.survey.known[place];
            if self.unreadable.contains(&input.path) {
                input.seen_at_s = elapsed_s;
                continue;
            }
            if input.is_told {
                continue;
            }
            let log = || Log {
                source: input.source.clone(),
                path: input.path.clone(),
                read_bytes: input.offset,
                seen_bytes: input.seen_bytes,
                id: input.id,
            };
            let there = at.get(input.path.as_str()).map(|&log| (log, taken[log]));
            let told = match there {
                // Another known log has its name: it was at the end of a rotation.
                Some((other, Taken::New)) => {
                    let look = &self.logs[other].1;
                    let same_file = look.file.is_some() && look.file == input.file;
                    let begins_alike = look.heads().any(|head| head == input.head);
                    // Rotations between two runs may have moved a log past the last name, and what no run has seen yet to its
                    // name. The number of a file that is gone is given to a new one, and so tells nothing then.
                    let was_moved = self.has_renamed && input.is_renamed;
                    let is_at_end = was_moved && !input.is_unread();
                    // One that was damaged was replaced by a good one.
                    let is_mended = input.flaw.is_some() && input.offset > 0 && !was_moved;
                    match (begins_alike, is_at_end) {
                        (true, _) => Some(Told::Rewritten(log())),
                        (false, true) => None,
                        (false, false) if same_file || is_mended => Some(Told::Rewritten(log())),
                        (false, false) => Some(Told::Lost(log())),
                    }
                }
                // Another known log has its name: it was at the end of a rotation.
                Some(_) => input.is_unread().then(|| Told::Lost(log())),
                // It may lie where it lay, and only not be looked for: its date is too long ago.
                None => (input.is_unread() && !self.folder.join(&input.path).exists())
                    .then(|| Told::Lost(log())),
            };
            if let Some(told) = told {
                input.is_told = true;
                self.survey.told.push(told);
            }
        }
    }
}

/// Notes that a known log was found, and where.
fn found_as(input: &mut KnownInput, path: &str, elapsed_s: u64) {
    if input.path != path {
        input.is_renamed = true;
        path.clone_into(&mut input.path);
    }
    input.seen_at_s = elapsed_s;
    input.is_told = false;
}
