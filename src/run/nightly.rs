//! `overstay nightly`: what was appended since the last run, judged, and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use hashbrown::HashMap;
use rayon::prelude::*;

use super::alerts::{self, Sent};
use super::aside::{Aside, Days, Place};
use super::audit::{ambiguous, status, write};
use super::changes::{Changes, changes};
use super::lives;
use super::odd::{ServedBefore, all_odd, note_woken, odd_days, odd_firsts, scope_of};
use super::output::{Folders, check_place};
use super::read::{
    Lines, Reading, format_hint, formats_taken, pool, read, repeated, still_flawed, vain_dedupe,
};
use super::repeats::{Before, RecordId};
use super::survey::{Survey, survey};
use super::uses::{Served, mentioned, note_uses, used};
use super::{Ended, Status, checked_register, load_register, unknown_placeholders};
use crate::alert::Change;
use crate::error::{Error, Result};
use crate::findings::{NetworkScope, Odd, Told, hex};
use crate::input::{Compression, Mark};
use crate::judge::Judge;
use crate::limits;
use crate::plan::{InputPlan, NightlyPlan, Output, ReadPlan, RegisterPlan, StatePlan};
use crate::register::{self, Register, Source, extended, table_files};
use crate::render;
use crate::report::text::{REGISTER_REFUSED, first_of};
use crate::report::{
    self, Facts, InputFacts, Nightly, NightlyDay, Partial, Report, RunBefore, Silence, StateFacts,
};
use crate::state::{
    Day, DayHours, DayUses, Files, Folder, JudgedBy, KnownInput, Ledger, MANIFEST_NAME,
    MANIFEST_SCHEMA, Manifest, ManifestInput, ManifestReport, PrivacyKey, Records, Segment,
    SegmentInput, StateFile, Tables, Unremembered, run_folder,
};
use crate::tally::{By, Hourly, Tally};
use crate::time::{Instant, S_PER_DAY, day_name};

/// How many errors of a register that is refused stand in the report.
const REGISTER_ERRORS_TOLD: usize = 3;
/// How many days that are lost, or touched, are named.
pub(super) const DAYS_TOLD: usize = 5;
/// The name of a run's report, and of a day's behind `rev-N`.
const REPORT: &str = "report";

/// Reads what is new, judges and counts it, and commits it to the state; `files` is the file system that is written to.
///
/// # Errors
///
/// If no report can be made or committed. The state is as it was then.
pub fn nightly(
    plan: NightlyPlan,
    files: &dyn Files,
    stdout: &mut (dyn Write + Send),
) -> Result<Ended> {
    let pool = pool(&plan.read)?;
    pool.install(|| {
        let (run, register) = Run::begin(plan, files)?;
        run.go(&register, stdout)
    })
}

/// A run, once it is known what it goes on from.
struct Run<'f> {
    plan: NightlyPlan,
    folder: Folder<'f>,
    /// The ledger as this run leaves it.
    ledger: Ledger,
    /// The run before, from which this one goes on, if there is one.
    last_run: Option<RunBefore>,
    key: PrivacyKey,
    /// Whether the key is to be written.
    key_is_new: bool,
    /// Whether the state was forgotten.
    anew: bool,
    /// Why the register of the plan is not the one that is judged by.
    refused: Option<String>,
    /// What a change of the register would touch.
    change: Option<Changes>,
    warnings: Vec<String>,
    /// Folders that were made for outputs.
    made: Folders,
    /// The days that were kept before all was read anew, and their calls.
    days_before: BTreeMap<i64, u64>,
    /// What became of the alerts that waited when it began.
    sent: Sent,
}

impl<'f> Run<'f> {
    /// Locks the state, and settles what the run goes on from, and what it judges by.
    fn begin(plan: NightlyPlan, files: &'f dyn Files) -> Result<(Run<'f>, Register)> {
        let made = Folders::make(plan.outputs.iter().flat_map(Output::folders))?;
        let outputs = plan.outputs.iter().flat_map(Output::files).collect::<Vec<_>>();
        outputs.iter().try_for_each(|path| check_place(path))?;
        let (state, reports) = (&plan.state.state, &plan.state.reports);
        let folder = match plan.dry_run {
            true => Folder::look(state, reports, files),
            false => Folder::lock(state, reports, files)?,
        };
        let mut warnings = plan.read.unused.clone();
        warnings.extend(plan.alert.doubts());
        let mut before = match folder.ledger() {
            Err(error) if plan.rebuild => {
                warnings.push(format!("the state can't be used, and is forgotten, with any alerts that waited: {error}"));
                None
            }
            before => before?,
        };
        if let Some(before) = &before {
            check_clock(&plan, before, &mut warnings)?;
        }
        let (key, key_is_new) = privacy_key(&plan, before.as_ref())?;
        let last_good = before.as_ref().and_then(|ledger| ledger.judged_by);
        let last_good = last_good.map(|judged_by| judged_by.register);
        let (register, refused) = good_register(&plan, &folder, &key, last_good)?;
        let anew = plan.rebuild || before.is_none();
        let days_before: BTreeMap<i64, u64> = match (&before, plan.rebuild) {
            (Some(before), true) => {
                before.days.iter().map(|(day, known)| (*day, known.calls)).collect()
            }
            _ => BTreeMap::new(),
        };
        let mut sent = Sent::default();
        if !plan.dry_run {
            folder.tidy(before.as_ref())?;
            // What waits comes first: it is not to depend on whether this run comes to its end.
            if let Some(before) = &mut before {
                alerts::send(&folder, before, &plan.alert, &mut sent)?;
            }
        }
        if let Some(before) = &before
            && folder
                .last_manifest(before.run)
                .map(|hash| Some(hash) != before.head)
                .unwrap_or(true)
        {
            warnings.push(format!(
                "the manifest of run {} is not the one that it wrote: `overstay verify` tells more",
                before.run
            ));
        }
        let last_run = before.as_ref().map(|ledger| RunBefore {
            run: ledger.run,
            run_at: Instant::from_ns(ledger.run_at_ns),
        });
        let change = match &before {
            Some(before) if !plan.rebuild => change(&plan, &folder, &key, before, &register)?,
            _ => None,
        };
        let mut ledger = match before {
            Some(ledger) if !plan.rebuild => ledger,
            Some(ledger) => forgotten(ledger),
            None => Ledger::default(),
        };
        let (last, issued) = folder.history()?;
        if last > ledger.run {
            if ledger.run > 0 {
                warnings.push(format!(
                    "the state is of run {}, and there are reports of run {last}: it was restored, or they share a folder with another state; what was read since is read again",
                    ledger.run
                ));
            }
            go_on_after(&mut ledger, &folder, last, issued)?;
        }
        ledger.pass(plan.run_at);
        ledger.run += 1;
        ledger.run_at_ns = plan.run_at.ns();
        ledger.key_check = key.check();
        let run = Run {
            days_before,
            sent,
            made,
            last_run: last_run.filter(|_| !anew),
            plan,
            folder,
            ledger,
            key,
            key_is_new,
            anew,
            refused,
            change,
            warnings,
        };
        Ok((run, register))
    }

    fn go(mut self, register: &Register, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
        let found = survey(
            &self.plan.sources,
            &self.plan.state.folder,
            Some(self.plan.run_at),
            &self.ledger.inputs,
            self.ledger.elapsed_s,
            self.last_run.map(|before| before.run_at),
            &self.ledger.surveyed,
        )?;
        if found.looked_at == 0 {
            let reasons = found.unread.iter().map(|p| format!("{}: {}", p.path, p.reason));
            let reasons: Vec<String> = reasons.collect();
            return Err(Error::new(format!("no input could be read: {}", reasons.join("; ")))
                .hint("nothing was changed"));
        }
        let Survey { to_read, waiting, mut told, unread, repeats, flawed, known, readable, .. } =
            found;
        self.ledger.inputs = known;
        self.ledger.surveyed.extend(self.plan.sources.iter().map(|source| source.name.clone()));
        self.plan.read.unread = unread;
        if let Some(refused) = &self.refused {
            let path = self.plan.read.register.as_ref().map(|register| register.folder.display());
            let path = path.map_or_else(String::new, |path| path.to_string());
            self.plan.read.unread.push(Partial { path, reason: refused.clone() });
        }
        let known: Vec<Option<u64>> = to_read.iter().map(|to_read| to_read.known).collect();
        self.plan.read.inputs = to_read
            .into_iter()
            .map(|to_read| {
                let source = &self.plan.sources[to_read.source as usize];
                let known = to_read.known.and_then(|id| self.known(id));
                let formats = &self.plan.read.formats;
                let as_before = known
                    .and_then(|known| known.format.as_deref())
                    .and_then(|name| formats.iter().position(|format| format.name() == name));
                InputPlan {
                    found: to_read.found,
                    source: to_read.source,
                    // What was told from the first lines stays so.
                    format: source.format.or(as_before),
                    dedupe: source.dedupe,
                    version: Some(to_read.version),
                    start: to_read.start,
                    lines_before: to_read.lines_before,
                }
            })
            .collect();

        let judge = Judge::new(register);
        let remembered = |days: &BTreeSet<i64>| self.remembered(days);
        let key = self.key.clone();
        let place = (!self.plan.dry_run).then(|| self.plan.state.state.clone());
        let aside = Aside::new(&self.plan.read, &judge, &key, place);
        let Reading { tally, lines, mut facts, volume, marks, records, has_unnoted } =
            read(&self.plan.read, Some(&judge), None, &remembered, Some(&aside))?;
        let inputs = self.note_inputs(&known, &facts, &marks, &lines);
        for (input, known) in facts.inputs.iter_mut().zip(&inputs) {
            input.id = Some(known.id);
        }
        let undated_day = self.undated_day();
        let mut days = aside.finish(tally.into_days(undated_day))?;
        // Their bytes are filed under the day of the last of their calls, as other things that have none.
        let filed = |input: usize, day: i64| SegmentInput {
            bytes: match lines[input].last_day.unwrap_or(undated_day) == day {
                true => facts.inputs[input].bytes,
                false => 0,
            },
            ..inputs[input].clone()
        };
        let unnoted = |input: usize| has_unnoted[input].then(|| facts.inputs[input].source.clone());
        let heard_before = self.ledger.uses.sources.clone();
        let served_before = ServedBefore::of(&self.ledger);
        let (new, of_run, served) = self.by_day(&judge, &mut days, &filed, &unnoted)?;
        note_woken(&mut self.ledger, &served_before, &served);
        self.note_heard(&heard_before, &of_run);
        let wide = extended(register, &mentioned(&self.ledger));
        let wide_judge = wide.as_ref().map(Judge::new);
        let of_register = &judge;
        let judge = wide_judge.as_ref().unwrap_or(of_register);

        let horizon = self.horizon();
        let (touched, odd) = self.touched(&new, horizon, register)?;
        self.warn_of_fewer(&new);
        told.extend(self.refused.as_ref().map(|_| Told::RegisterRefused));
        self.add_waiting(&waiting, &mut facts);
        let silence = self.silence(&heard_before);
        let mut run_report =
            self.run_report(of_register, of_run, facts.clone(), (told, silence, odd), &touched);
        let sources_by_path: HashMap<&str, &str> =
            facts.inputs.iter().map(|input| (input.path.as_str(), input.source.as_str())).collect();
        let source_of = |path: &str| sources_by_path.get(path).map(|source| (*source).to_owned());
        let mut heard: BTreeMap<String, Instant> = BTreeMap::new();
        for input in &run_report.inputs {
            let Some(last) = input.last else { continue };
            let known = heard.entry(input.source.clone()).or_insert(last);
            *known = last.max(*known);
        }
        let all_sources: BTreeSet<String> = self
            .ledger
            .inputs
            .iter()
            .filter(|input| input.lines > 0)
            .map(|input| input.source.clone())
            .collect();
        let silent = run_report.coverage.sources.iter().filter(|source| !source.gaps.is_empty());
        let silent: BTreeSet<String> = silent.map(|source| source.source.clone()).collect();
        let seen = lives::Seen {
            run: self.ledger.run,
            run_at: self.plan.run_at,
            keep_s: u64::from(self.plan.state.keep_days) * S_PER_DAY as u64,
            silent: silent.iter().map(String::as_str).collect(),
            sources: heard.iter().map(|(source, last)| (source.as_str(), *last)).collect(),
            all_sources: all_sources.iter().map(String::as_str).collect(),
            source_of: &source_of,
            suppressions: &self.plan.read.suppressions,
        };
        if let Some(nightly) = &mut run_report.nightly {
            (nightly.since, nightly.logs) = (self.last_run, Some(readable as u64));
        }
        lives::live(&mut self.ledger, &mut run_report, &seen);
        let (suppressions, run_at) = (&self.plan.read.suppressions, self.plan.run_at);
        let alert = &self.plan.alert;
        let changes = alerts::changes(&mut self.ledger, &run_report, alert, suppressions, run_at);
        let told = changes.len() as u64;
        if let Some(nightly) = &mut run_report.nightly {
            nightly.alerts = alerts::told(alert, told, &self.ledger.outbox);
        }
        // What is over is no finding that anyone need act on.
        run_report.headline = report::text::headline(&run_report, &run_report.overstayed_people);
        run_report.check()?;

        let mut notes = self.notes(&facts, &repeats, &flawed);
        let mut ended = status(&run_report, self.plan.fail_on);
        if !self.plan.dry_run {
            let counted = Counted { touched, days, new, records, horizon, changes };
            let head = self.commit(judge, &run_report, &facts, counted).inspect_err(|_| {
                // What was written is in nobody's way; but on a full disk it is room.
                if let Ok(ledger) = self.folder.ledger() {
                    let _ = self.folder.tidy(ledger.as_ref());
                }
            })?;
            notes.push(format!("run {}, head of the chain: {head}", self.ledger.run));
            if !self.tell(&run_report, &head) {
                ended = Status::Partial;
            }
            if let Some(nightly) = &mut run_report.nightly {
                nightly.alerts = alerts::told(&self.plan.alert, told, &self.ledger.outbox);
            }
        }
        let ended = Ended {
            status: ended,
            warnings: self.told_warnings(&run_report, register, &facts),
            hint: format_hint(facts.inputs.iter().map(|input| input.unknown_shapes.as_slice())),
            notes,
            read: Some(volume).filter(|volume| volume.inputs > 0),
        };
        write(&run_report, &self.plan.outputs, self.plan.display, stdout).map_err(|error| {
            if self.plan.dry_run || error.is_closed_pipe() {
                return error;
            }
            let place = self.folder.reports().join(run_folder(self.ledger.run));
            error.hint(format!(
                "run {} counts all the same, and its report is in {}",
                self.ledger.run,
                place.display()
            ))
        })?;
        self.made.keep();
        Ok(ended)
    }

    /// The records of days that were counted before.
    fn remembered(&self, days: &BTreeSet<i64>) -> Result<Before> {
        let mut remembered = Before::default();
        // Of a day that is kept no longer nothing is remembered either. (One that all is read anew of is no such day.)
        let is_dropped = |day: &i64| {
            !self.anew && *day < self.horizon() && self.ledger.revisions.contains_key(day)
        };
        for &day in days {
            let unremembered = match self.ledger.days.get(&day) {
                Some(known) => {
                    if let Some(file) = &known.repeats {
                        let (shown, bytes) = self.folder.read(file)?;
                        remembered.records.extend(Records::decode(&shown, &bytes, &self.key)?.0);
                    }
                    known.unremembered.clone()
                }
                None if is_dropped(&day) => Unremembered::All,
                None => continue,
            };
            remembered.unremembered.insert(day, unremembered);
        }
        Ok(remembered)
    }

    fn known(&self, id: u64) -> Option<&KnownInput> {
        let place = self.ledger.inputs.binary_search_by_key(&id, |input| input.id).ok()?;
        self.ledger.inputs.get(place)
    }

    /// The day under which lines are filed whose log has no call at all.
    fn undated_day(&self) -> i64 {
        let last_call = self.ledger.last_call_ns.map(Instant::from_ns);
        By::Day.of(last_call.unwrap_or(self.plan.run_at))
    }

    /// The first day that is kept. Neither a clock that jumped nor a call with a wrong time makes it jump: the earlier of both
    /// counts.
    fn horizon(&self) -> i64 {
        self.days_back(self.plan.state.keep_days)
    }

    /// The first day of which records are remembered.
    fn repeats_horizon(&self) -> i64 {
        self.days_back(self.plan.state.repeat_days)
    }

    fn days_back(&self, days: u32) -> i64 {
        let run_day = By::Day.of(self.plan.run_at);
        let last_day = self.ledger.last_call_ns.map(|ns| By::Day.of(Instant::from_ns(ns)));
        last_day.map_or(run_day, |last| last.min(run_day)) - i64::from(days) + 1
    }

    /// Notes how far each log was read, and gives them as segments know them.
    fn note_inputs(
        &mut self,
        ids: &[Option<u64>],
        facts: &Facts,
        marks: &[Option<Mark>],
        lines: &[Lines],
    ) -> Vec<SegmentInput> {
        let places: BTreeMap<u64, usize> =
            self.ledger.inputs.iter().zip(0..).map(|(input, place)| (input.id, place)).collect();
        let mut inputs = Vec::new();
        for (number, ((facts, mark), known)) in facts.inputs.iter().zip(marks).zip(ids).enumerate()
        {
            let place = known.and_then(|id| places.get(&id).copied());
            let id = known.unwrap_or_else(|| {
                self.ledger.next_input += 1;
                self.ledger.next_input
            });
            let lines = lines[number].sums.lines();
            if let Some(mark) = mark {
                let start = &self.plan.read.inputs[number];
                let mut input = place
                    .map(|place| self.ledger.inputs[place].clone())
                    .unwrap_or_else(|| KnownInput {
                        id,
                        source: facts.source.clone(),
                        path: facts.path.clone(),
                        format: None,
                        lines: start.lines_before,
                        offset: 0,
                        seen_bytes: 0,
                        directive: None,
                        head: (0, [0; 32]),
                        tail: (0, [0; 32]),
                        grown: (0, Vec::new()),
                        packed: None,
                        flaw: None,
                        file: None,
                        is_renamed: false,
                        seen_at_s: self.ledger.elapsed_s,
                        is_told: false,
                    });
                if mark.end > 0 {
                    input.format = facts.format.clone().or(input.format);
                }
                input.advance(mark, lines);
                match place {
                    Some(place) => self.ledger.inputs[place] = input,
                    None => self.ledger.inputs.push(input),
                }
            }
            inputs.push(SegmentInput {
                path: facts.path.clone(),
                source: facts.source.clone(),
                id,
                run: self.ledger.run,
                format: facts.format.clone(),
                compression: facts.compression.map(str::to_owned),
                bytes: 0,
            });
        }
        self.ledger.inputs.sort_by_key(|input| input.id);
        inputs
    }

    /// Stores what was counted of each day, notes what it used, and adds all of it up. `filed` gives an input as the segment of a
    /// day has it, `unnoted` its source, if it may hold calls whose records were not noted.
    fn by_day(
        &mut self,
        judge: &Judge<'_>,
        days: &mut Days<'_>,
        filed: &(dyn Fn(usize, i64) -> SegmentInput + Sync),
        unnoted: &dyn Fn(usize) -> Option<String>,
    ) -> Result<(BTreeMap<i64, New>, Tally, Served)> {
        let sources: Vec<String> =
            self.plan.read.sources.iter().map(|(name, _)| name.clone()).collect();
        let (mut all, mut of_run) = (BTreeMap::new(), Tally::default());
        let mut served = Served::default();
        let numbers: Vec<i64> = days.numbers().into_iter().collect();
        // As many days at a time as there are threads: of no more are all sums in memory.
        for some in numbers.chunks(rayon::current_num_threads()) {
            let rest = days.take_rest(some);
            let (days, this) = (&*days, &*self);
            let stored = rest.into_par_iter().map(|(day, mut tally)| {
                days.complete(day, &mut tally)?;
                let hourly = std::mem::take(&mut tally.hourly);
                let heard = heard(day, &tally, &sources);
                let (hours, segment) = rayon::join(
                    || this.hours_of_day(judge, day, hourly, heard),
                    || Segment::store(judge, &mut tally, &sources, |input| filed(input, day)),
                );
                Ok((day, tally, segment.calls(), NewTally::of(segment, days)?, hours?))
            });
            for stored in stored.collect::<Vec<Result<_>>>() {
                let (day, of_day, calls, tally, hours) = stored?;
                served.note(&mut self.ledger, judge, day, &of_day);
                note_uses(&mut self.ledger, judge, day, &of_day, &sources);
                let counted = of_day.inputs.iter().filter(|(_, sums)| sums.calls > 0);
                let unnoted = counted.filter_map(|(input, _)| unnoted(*input as usize)).collect();
                of_run.merge(of_day);
                all.insert(day, New { calls, unnoted, tally, hours });
            }
        }
        Ok((all, of_run, served))
    }

    /// The hours of a day, with those that are known, as they are kept. What can be added to is written at once: of many days it
    /// is much. What no ledger names is not there.
    fn hours_of_day(
        &self,
        judge: &Judge<'_>,
        day: i64,
        hourly: Hourly,
        mut heard: BTreeMap<String, u32>,
    ) -> Result<NewHours> {
        let mut uses = DayUses::new(judge.register, hourly);
        if let Some(known) = self.ledger.days.get(&day) {
            let (shown, file) = self.folder.read(&known.uses)?;
            uses.merge(DayUses::decode(&shown, &file, &self.key)?);
            let (shown, file) = self.folder.read(&known.hours)?;
            for (source, bits) in DayHours::decode(&shown, &file)?.sources {
                *heard.entry(source).or_default() |= bits;
            }
        }
        let sources = heard.into_iter().filter(|(_, bits)| *bits != 0).collect();
        let numbers = uses.numbers(sources).encode()?;
        let uses = match self.plan.dry_run {
            true => None,
            false => {
                let name = format!("{}.{:06}.uses", day_name(day), self.ledger.run);
                Some(self.folder.write(name, &uses.encode(&self.key)?)?)
            }
        };
        Ok(NewHours { uses, numbers })
    }

    /// Warns of days of which less was read anew than was kept: their logs are not all there any more.
    fn warn_of_fewer(&mut self, new: &BTreeMap<i64, New>) {
        let now = |day: &i64| new.get(day).map_or(0, |new| new.calls);
        let fewer = self.days_before.iter().filter(|(day, calls)| now(day) < **calls);
        let fewer: Vec<String> = fewer
            .map(|(day, calls)| format!("{} {} of {calls}", day_name(*day), now(day)))
            .collect();
        if fewer.is_empty() {
            return;
        }
        self.warnings.push(format!(
            "not all that was counted is in the logs that are there: the rest is gone from the state, not from the reports of these days that were issued before; calls: {}",
            first_of(fewer.into_iter(), DAYS_TOLD)
        ));
    }

    /// The days that the run counted calls of, and what is odd about all of them.
    fn touched(
        &self,
        new: &BTreeMap<i64, New>,
        horizon: i64,
        register: &Register,
    ) -> Result<(Vec<Touched>, Odd)> {
        let touched = new.iter().map(|(&day, new)| {
            let before = self.ledger.days.get(&day);
            let issued = self.ledger.revisions.get(&day).copied();
            // What was counted of it before may no longer be kept: a report of the rest would be wrong.
            let is_issued = before.is_some() || issued.is_none() || day >= horizon;
            let last = before.map(|day| day.revision).or(issued).unwrap_or(0);
            let added = new.calls;
            Touched {
                day,
                revision: last + u64::from(is_issued),
                added,
                calls: before.map_or(0, |before| before.calls) + added,
                unnoted: new.unnoted.clone(),
                is_issued,
                odd: Odd::default(),
            }
        });
        let mut touched: Vec<Touched> = touched.collect();
        // Of a day of which only a part is known nothing can be said.
        let issued = touched.iter().filter(|touched| touched.is_issued).map(|touched| touched.day);
        let hours =
            issued.filter_map(|day| Some((day, new.get(&day)?.hours.numbers.as_slice().into())));
        let (thresholds, run_at) = (&self.plan.read.thresholds, self.plan.run_at);
        let hours = hours.collect();
        let is_listed = |partner: &str, api: &str| {
            register.partner_id(partner).is_some() && register.api_id(api).is_some()
        };
        let mut odd = odd_days(&self.folder, &self.ledger, &hours, thresholds, run_at, &is_listed)?;
        let with_networks = self.plan.read.notes_networks;
        let firsts = odd_firsts(&self.ledger, with_networks, |day| hours.contains_key(&day));
        let all = all_odd(&mut odd, firsts, register);
        for touched in &mut touched {
            touched.odd = odd.remove(&touched.day).unwrap_or_default();
        }
        Ok((touched, all))
    }

    /// All that was ever counted of a day, and the same to be kept.
    fn whole_day(
        &self,
        judge: &Judge<'_>,
        day: i64,
        new: Segment,
    ) -> Result<(Tally, Tables, Segment)> {
        let shown_new = "the day's new tally";
        let Some(before) = self.ledger.days.get(&day) else {
            let tables = self.tables([&new]);
            return Ok((new.tally(judge, &tables, &self.key, shown_new)?, tables, new));
        };
        let (shown, bytes) = self.folder.read(&before.segment)?;
        let old = Segment::decode(&shown, &bytes)?;
        let tables = self.tables([&old, &new]);
        let (tally, old) = rayon::join(
            || new.tally(judge, &tables, &self.key, shown_new),
            || old.tally(judge, &tables, &self.key, &shown),
        );
        let mut tally = tally?;
        tally.merge(old?);
        let all = Segment::store(judge, &mut tally, &tables.sources, |input| {
            tables.inputs[input].clone()
        });
        Ok((tally, tables, all))
    }

    fn tables<'s>(&self, segments: impl IntoIterator<Item = &'s Segment>) -> Tables {
        let sources = self.plan.read.sources.iter().map(|(name, _)| name.clone());
        Tables::new(segments, sources)
    }

    /// Adds logs of which nothing is new but the beginning of a line, or which end early as they did.
    fn add_waiting(&self, waiting: &[(u64, Option<Compression>)], facts: &mut Facts) {
        for &(id, compression) in waiting {
            let Some(input) = self.known(id) else { continue };
            facts.inputs.push(InputFacts {
                path: input.path.clone(),
                source: input.source.clone(),
                format: input.format.clone(),
                compression: compression.map(Compression::as_str),
                pending_bytes: input.seen_bytes - input.offset,
                ends_early: input.flaw.is_some(),
                ..InputFacts::default()
            });
        }
    }

    /// Takes back that a source was heard at a time that is still to come: a call with a wrong date would have it be silent
    /// unseen until then.
    fn note_heard(&mut self, before: &BTreeMap<String, i64>, of_run: &Tally) {
        let run_at_ns = self.plan.run_at.ns();
        for (number, (source, _)) in (0..).zip(&self.plan.read.sources) {
            let Some(sums) = of_run.sources.get(&number) else { continue };
            let hours = sums.hours.iter().rev().map(|hour| Instant::from_hour(*hour).ns());
            let heard = hours.into_iter().find(|hour_ns| *hour_ns < run_at_ns);
            match heard.max(before.get(source).copied()) {
                Some(heard) => drop(self.ledger.uses.sources.insert(source.clone(), heard)),
                None => drop(self.ledger.uses.sources.remove(source)),
            }
        }
    }

    /// Since when sources may have been silent, when they were heard last by the runs before.
    fn silence(&self, heard_before: &BTreeMap<String, i64>) -> Silence {
        Silence {
            last_heard: heard_before
                .iter()
                .map(|(source, ns)| (source.clone(), Instant::from_ns(*ns)))
                .collect(),
            since: self.last_run.map(|before| before.run_at),
            // Of the day of the run nobody knows yet what will come of it.
            until: By::Day.span(By::Day.of(self.plan.run_at)).start,
        }
    }

    /// The report of what the run read.
    fn run_report(
        &self,
        judge: &Judge<'_>,
        tally: Tally,
        facts: Facts,
        (told, silence, mut odd): (Vec<Told>, Silence, Odd),
        touched: &[Touched],
    ) -> Report {
        let days = touched.iter().map(|touched| NightlyDay {
            day: day_name(touched.day),
            revision: touched.revision,
            calls: touched.is_issued.then_some(touched.calls),
            added: touched.added,
        });
        odd.scope.networks = self.network_scope(judge, &tally);
        let state = StateFacts {
            end_max: Some(self.plan.run_at),
            used: Some(used(&self.ledger, judge)),
            silence: Some(silence),
            told,
            odd: Some(odd),
            nightly: Nightly {
                days: days.collect(),
                register_change: self.change.as_ref().map(|change| change.told.clone()),
                ..self.stands()
            },
        };
        let facts = Facts { state: Some(state), ..facts };
        let mut report = report::build(Some(judge), tally, &facts);
        // Those that only wait were added last.
        report.inputs.sort_by(|a, b| (&a.path, &a.source).cmp(&(&b.path, &b.source)));
        report
    }

    /// What there was to find new networks in, if that is looked for.
    fn network_scope(&self, judge: &Judge<'_>, tally: &Tally) -> Option<NetworkScope> {
        let is_asked = self.plan.read.notes_networks;
        is_asked.then(|| scope_of(&self.ledger, judge.register, &tally.networks, None))
    }

    /// Where reports of this run stand.
    fn stands(&self) -> Nightly {
        Nightly {
            run: self.ledger.run,
            run_at: Some(self.plan.run_at),
            is_committed: !self.plan.dry_run,
            previous: self.ledger.head.map(|head| hex(&head)),
            ..Nightly::default()
        }
    }

    /// Counts a day's new calls with those that are known, and makes its report.
    fn prepare_day(
        &self,
        judge: &Judge<'_>,
        touched: &Touched,
        (new, hours): (Segment, NewHours),
        records: Option<BTreeSet<RecordId>>,
    ) -> Result<PreparedDay> {
        let day = touched.day;
        let (tally, tables, stored) = self.whole_day(judge, day, new)?;
        // What takes long, side by side.
        let (reports, segment) = rayon::join(
            || {
                let facts = facts_of(&self.plan.read, &tables);
                let stands = Nightly {
                    day: Some(day_name(day)),
                    revision: Some(touched.revision),
                    ..self.stands()
                };
                let of_day = day..day + 1;
                let mut odd = touched.odd.clone();
                odd.scope.networks = self.network_scope(judge, &tally);
                let odd = Some(odd);
                let mut report = day_report(judge, tally, facts, (stands, Vec::new(), odd), of_day);
                lives::tell(&self.ledger, &mut report);
                report.check()?;
                rendered(&report, &format!("{}/rev-{}", day_name(day), touched.revision))
            },
            || stored.encode(&self.key),
        );
        let records = match records {
            Some(records) => self.records_file(day, records)?,
            None => None,
        };
        Ok(PreparedDay { reports: reports?, segment: segment?, records, hours })
    }

    /// Writes what was made of a day: its tally, its records and its reports.
    fn write_day(
        &mut self,
        touched: &Touched,
        prepared: PreparedDay,
        by: JudgedBy,
        written: &mut Vec<ManifestReport>,
    ) -> Result<()> {
        let (day, run) = (touched.day, self.ledger.run);
        self.write_reports(&prepared.reports, written)?;
        let name = format!("{}.{run:06}", day_name(day));
        let before = self.ledger.days.get(&day);
        let repeats = match prepared.records {
            Some(records) => Some(self.folder.write(format!("{name}.repeats"), &records)?),
            // No new ones: the old ones stay.
            None => before.and_then(|known| known.repeats.clone()),
        };
        let unremembered = before.map(|known| known.unremembered.clone()).unwrap_or_default();
        let unremembered = unremembered.with(&touched.unnoted);
        let mut judged_by = BTreeSet::from([by]);
        judged_by.extend(before.iter().flat_map(|day| &day.judged_by));
        let is_touched = before.is_some_and(|day| day.is_touched);
        let hours = self.folder.write(format!("{name}.hours"), &prepared.hours.numbers)?;
        let uses =
            prepared.hours.uses.ok_or_else(|| Error::new("the hours of a day are not kept"))?;
        let segment = self.folder.write(name, &prepared.segment)?;
        let (revision, calls) = (touched.revision, touched.calls);
        let new = Day {
            revision,
            segment,
            uses,
            hours,
            repeats,
            unremembered,
            calls,
            judged_by,
            is_touched,
        };
        self.ledger.days.insert(day, new);
        Ok(())
    }

    fn write_reports(
        &self,
        files: &[(String, Vec<u8>)],
        written: &mut Vec<ManifestReport>,
    ) -> Result<()> {
        written.extend(files.iter().map(|(path, content)| ManifestReport::of(path, content)));
        self.folder.write_reports(self.ledger.run, files)
    }

    /// The file of a day's records, with those that are known already; none of a day that is too long ago to be remembered, or
    /// of which they were forgotten.
    fn records_file(&self, day: i64, records: BTreeSet<RecordId>) -> Result<Option<Vec<u8>>> {
        let known = self.ledger.days.get(&day);
        let is_forgotten = known.is_some_and(|known| known.unremembered == Unremembered::All);
        if day < self.repeats_horizon() || is_forgotten {
            return Ok(None);
        }
        let mut all = records;
        if let Some(file) = known.and_then(|known| known.repeats.as_ref()) {
            let (shown, bytes) = self.folder.read(file)?;
            all.extend(Records::decode(&shown, &bytes, &self.key)?.0);
        }
        Records(all.into_iter().collect()).encode(&self.key).map(Some)
    }

    /// Writes all of it, and makes it count. The head of the chain.
    fn commit(
        &mut self,
        judge: &Judge<'_>,
        run_report: &Report,
        facts: &Facts,
        counted: Counted<'_>,
    ) -> Result<String> {
        let Counted { touched, days, mut new, mut records, horizon, changes } = counted;
        if self.key_is_new {
            self.folder.write_key(&self.plan.state.key_file, &self.key.file())?;
        }
        let by = JudgedBy::of(judge.register);
        let digest = by.register;
        if let Some(change) = &self.change {
            for (day, known) in &mut self.ledger.days {
                known.is_touched = change.days.contains(day);
            }
        }
        let source = self.plan.read.register.as_ref();
        let source = source.map(|plan| Source::Folder(plan.folder.clone()));
        if let Some(source) = source.filter(|_| self.refused.is_none())
            && !self.folder.register(&digest).is_dir()
        {
            // What is kept must be what was judged by, whatever somebody writes meanwhile.
            let files = table_files(&source)?;
            let tables = register::of_files(Path::new(""), &files);
            if register::build(&tables, None, judge.register.propagation_s).digest != digest {
                return Err(Error::new("the register was changed while it was read")
                    .hint("run again; nothing counts of this run: the state is as it was before"));
            }
            self.folder.write_register(&digest, &files, &self.key)?;
        }
        let run = self.ledger.run;
        let mut reports = Vec::new();
        let of_run = rendered(run_report, &format!("{}/{REPORT}", run_folder(run)))?;
        self.write_reports(&of_run, &mut reports)?;
        // As many days at a time as there are threads: of no more are all sums in memory.
        let issued: Vec<&Touched> = touched.iter().filter(|touched| touched.is_issued).collect();
        for some in issued.chunks(rayon::current_num_threads()) {
            let parts = some.iter().filter_map(|touched| {
                let of_day = new.remove(&touched.day)?;
                Some((*touched, of_day, records.remove(&touched.day)))
            });
            let parts: Vec<_> = parts.collect();
            let this = &*self;
            let prepared: Vec<Result<PreparedDay>> = parts
                .into_par_iter()
                .map(|(touched, new, records)| {
                    let New { tally, hours, .. } = new;
                    let new = (tally.segment(&days)?, hours);
                    this.prepare_day(judge, touched, new, records)
                })
                .collect();
            for (touched, prepared) in some.iter().zip(prepared) {
                self.write_day(touched, prepared?, by, &mut reports)?;
            }
        }
        let gone: Vec<i64> = self.ledger.days.range(..horizon).map(|(day, _)| *day).collect();
        for day in gone {
            let revision = self.ledger.days.remove(&day).map_or(0, |day| day.revision);
            self.ledger.revisions.insert(day, revision);
        }
        let forgotten = ..self.repeats_horizon();
        for (_, known) in self.ledger.days.range_mut(forgotten) {
            known.repeats = None;
            known.unremembered = Unremembered::All;
        }
        self.ledger.judged_by = Some(by);
        self.ledger.registers.insert(digest);
        self.ledger.uses.forget_before(horizon);

        reports.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Manifest {
            schema: MANIFEST_SCHEMA.to_owned(),
            program: run_report.program.clone(),
            run,
            run_at: self.plan.run_at.to_string(),
            anew: self.anew,
            register: hex(&digest),
            config: self.plan.read.config_digest.clone(),
            inputs: self.manifest_inputs(facts),
            reports,
            previous: self.ledger.head.map(|head| hex(&head)),
        };
        let manifest = manifest.encode()?;
        let head = *blake3::hash(&manifest).as_bytes();
        self.ledger.head = Some(head);
        let run_at = self.plan.run_at;
        if let Some(message) = alerts::message(run_report, run, run_at, &hex(&head), changes) {
            alerts::post(&mut self.ledger.outbox, &message, &self.plan.alert)?;
        }
        let path = format!("{}/{MANIFEST_NAME}", run_folder(run));
        self.folder.write_reports(run, &[(path, manifest)])?;
        self.folder.commit(&self.ledger)?;
        if self.folder.is_latest_taken() {
            self.warnings.push(format!(
                "{}: it is a folder, and left as it is; move it away, and the next run has it lead to its reports",
                self.folder.reports().join("latest").display()
            ));
        }
        // It counts by now: what can't be put in order will be by the next run.
        if let Err(error) = self.folder.tidy(Some(&self.ledger)) {
            self.warnings
                .push(format!("the run counts, but its reports are not all in place: {error}"));
        }
        Ok(hex(&head))
    }

    /// Sends what there is to tell, now that the run counts. Whether all of it was accepted.
    fn tell(&mut self, run_report: &Report, head: &str) -> bool {
        let alert = &self.plan.alert;
        let sent = alerts::send(&self.folder, &mut self.ledger, alert, &mut self.sent);
        if let Err(error) = &sent {
            self.warnings.push(format!("the run counts, but not what became of its alerts: they go out again, under the same delivery ids: {error}"));
        }
        self.warnings.extend(alerts::warnings(&self.ledger.outbox, alert));
        let beat = alerts::beat(alert, run_report, &self.ledger, head);
        if let Err(failure) = &beat {
            self.warnings.push(format!("the heartbeat was not accepted: {failure}"));
        }
        sent.is_ok() && beat.is_ok() && self.ledger.outbox.waiting.is_empty()
    }

    fn manifest_inputs(&self, facts: &Facts) -> Vec<ManifestInput> {
        let starts = self.plan.read.inputs.iter().map(|input| input.start.offset);
        facts
            .inputs
            .iter()
            .zip(starts)
            .map(|(input, from)| ManifestInput {
                path: input.path.clone(),
                source: input.source.clone(),
                id: input.id.unwrap_or(0),
                from,
                until: from + input.bytes,
                digest: input.digest.clone(),
            })
            .collect()
    }

    fn told_warnings(
        &mut self,
        report: &Report,
        register: &Register,
        facts: &Facts,
    ) -> Vec<String> {
        let mut told = std::mem::take(&mut self.warnings);
        told.extend(unknown_placeholders(&self.plan.read.formats, register));
        told.extend(vain_dedupe(&self.plan.read, facts));
        told.extend(ambiguous(report));
        told.extend(report.partial.iter().map(|p| format!("{}: {}", p.path, p.reason)));
        told
    }

    /// What people may want to know: logs that repeat others, and logs that end early as they did before, with why.
    fn notes(
        &self,
        facts: &Facts,
        repeats: &[(String, String)],
        flawed: &[(String, String)],
    ) -> Vec<String> {
        let mut notes = formats_taken(&self.plan.read, facts);
        notes.extend(still_flawed(flawed));
        let found = repeats.iter().map(|(path, first)| (path.as_str(), first.as_str()));
        let read = facts.inputs.iter();
        let read = read.filter_map(|input| Some((input.path.as_str(), input.repeats.as_deref()?)));
        notes.extend(repeated(found.chain(read)));
        notes
    }
}

/// A day that the run counted calls of.
struct Touched {
    day: i64,
    /// How often its report was issued, this time included.
    revision: u64,
    /// Its calls of this run, and all that are known.
    added: u64,
    calls: u64,
    /// The sources of calls of this run whose records were not noted.
    unnoted: BTreeSet<String>,
    /// Whether its report is issued: not if what was counted before is no longer kept.
    is_issued: bool,
    /// What is odd about it.
    odd: Odd,
}

/// What was made of a day, to be written.
struct PreparedDay {
    reports: [(String, Vec<u8>); 2],
    segment: Vec<u8>,
    hours: NewHours,
    /// The file of its records, if there are new ones.
    records: Option<Vec<u8>>,
}

/// Of each source a bit for each hour of a day in which it had a call.
fn heard(day: i64, tally: &Tally, sources: &[String]) -> BTreeMap<String, u32> {
    // Sets do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    let of_day = tally.sources.iter().filter_map(|(source, sums)| {
        Some((sources[*source as usize].clone(), sums.heard().remove(&day)?))
    });
    of_day.collect()
}

/// A report as JSON and as Markdown, by path.
fn rendered(report: &Report, path: &str) -> Result<[(String, Vec<u8>); 2]> {
    let in_words = |error| Error::io(path, error);
    let (mut json, mut markdown) = (Vec::new(), Vec::new());
    let (json_made, markdown_made) =
        rayon::join(|| render::json(report, &mut json), || render::markdown(report, &mut markdown));
    json_made.and(markdown_made).map_err(in_words)?;
    Ok([(format!("{path}.json"), json), (format!("{path}.md"), markdown)])
}

/// What a run counted, to be written.
struct Counted<'a> {
    touched: Vec<Touched>,
    days: Days<'a>,
    /// The new tallies, by day.
    new: BTreeMap<i64, New>,
    /// The new records, by day.
    records: BTreeMap<i64, BTreeSet<RecordId>>,
    /// The first day that is kept.
    horizon: i64,
    /// What there is to tell of findings.
    changes: Vec<Change>,
}

/// What is new of a day.
struct New {
    calls: u64,
    /// The sources of calls whose records were not noted.
    unnoted: BTreeSet<String>,
    tally: NewTally,
    hours: NewHours,
}

/// The hours of a day, with those that were known.
struct NewHours {
    /// Where what can be added to is written; none where nothing is written.
    uses: Option<StateFile>,
    /// The file of the numbers.
    numbers: Vec<u8>,
}

enum NewTally {
    Here(Box<Segment>),
    /// Laid aside, as others of this run.
    Laid(Place),
}

impl NewTally {
    fn of(segment: Segment, days: &Days<'_>) -> Result<NewTally> {
        Ok(match days.is_large() {
            true => NewTally::Laid(days.lay(segment)?),
            false => NewTally::Here(Box::new(segment)),
        })
    }

    fn segment(self, days: &Days<'_>) -> Result<Segment> {
        match self {
            NewTally::Here(segment) => Ok(*segment),
            NewTally::Laid(place) => days.read(place),
        }
    }
}

/// A report of whole days, from a tally of them all; beside where it stands, what runs have told that no call shows.
pub(super) fn day_report(
    judge: &Judge<'_>,
    tally: Tally,
    facts: Facts,
    (nightly, told, odd): (Nightly, Vec<Told>, Option<Odd>),
    days: std::ops::Range<i64>,
) -> Report {
    let start = |day: i64| Some(By::Day.span(day).start);
    // A report of any span is that of its calls alone, as an audit of the logs is.
    let end_max = nightly.run_at.filter(|_| nightly.day.is_some());
    let facts = Facts {
        since: if days.start == i64::MIN { None } else { start(days.start) },
        until: if days.end == i64::MAX { None } else { start(days.end) },
        state: Some(StateFacts { end_max, told, nightly, odd, ..StateFacts::default() }),
        ..facts
    };
    report::build(Some(judge), tally, &facts)
}

/// What a report of days that are kept is made of beside their tally: what the plan says, and logs that were read in whatever
/// run.
pub(super) fn facts_of(plan: &ReadPlan, tables: &Tables) -> Facts {
    let expect = |name: &String| {
        let declared = plan.sources.iter().find(|(declared, _)| declared == name);
        declared.and_then(|(_, expect)| *expect)
    };
    let input = |input: &SegmentInput| InputFacts {
        path: input.path.clone(),
        source: input.source.clone(),
        format: input.format.clone(),
        compression: match input.compression.as_deref() {
            Some("gzip") => Some("gzip"),
            Some("zstd") => Some("zstd"),
            _ => None,
        },
        bytes: input.bytes,
        id: Some(input.id),
        ..InputFacts::default()
    };
    Facts {
        sources: tables.sources.iter().map(|name| (name.clone(), expect(name))).collect(),
        inputs: tables.inputs.iter().map(input).collect(),
        config_digest: plan.config_digest.clone(),
        paths_from: plan.paths_from,
        severities: plan.severities.clone(),
        suppressions: plan.suppressions.clone(),
        thresholds: plan.thresholds,
        notes_networks: plan.notes_networks,
        ..Facts::default()
    }
}

/// Refuses to run by a clock that lies before the last run's, unless a person says what time it is: a run whose clock had jumped
/// ahead would have all others refused until that time comes.
fn check_clock(plan: &NightlyPlan, before: &Ledger, warnings: &mut Vec<String>) -> Result<()> {
    let run_at = plan.run_at;
    let last = Instant::from_ns(before.run_at_ns);
    let back_s = last.seconds_since(run_at);
    if back_s > limits::CLOCK_BACK_MAX_S && plan.is_run_at_given {
        warnings.push(format!(
            "--run-at {run_at} is before the last run, which was at {last}: taken as it was given"
        ));
    } else if back_s > limits::CLOCK_BACK_MAX_S {
        return Err(Error::new(format!(
            "the clock says {run_at}, and the last run was at {last}: it has jumped back, or had jumped ahead"
        ))
        .hint("put the clock right; where it is, and the last run's was not, give the right time once with --run-at. Nothing was changed"));
    }
    let days = run_at.seconds_since(last) / S_PER_DAY as u64;
    if days > 31 {
        warnings.push(format!("the last run was {days} days ago, at {last}: is the clock right?"));
    }
    Ok(())
}

/// The privacy key, and whether it is a new one.
fn privacy_key(plan: &NightlyPlan, before: Option<&Ledger>) -> Result<(PrivacyKey, bool)> {
    if let Some(before) = before.filter(|_| !plan.rebuild) {
        return Ok((key_of(&plan.state, before)?, false));
    }
    match PrivacyKey::read(&plan.state.key_file)? {
        Some(key) => Ok((key, false)),
        None => Ok((PrivacyKey::random()?, true)),
    }
}

/// The privacy key that a state is sealed with.
pub(super) fn key_of(plan: &StatePlan, ledger: &Ledger) -> Result<PrivacyKey> {
    let shown = plan.key_file.display();
    let hint = "restore it from a backup; without it the state can't be read, and `overstay nightly --rebuild` reads all logs that are there again";
    match PrivacyKey::read(&plan.key_file)? {
        Some(key) if key.check() == ledger.key_check => Ok(key),
        Some(_) => Err(Error::new(format!(
            "{shown}: found another privacy key than the one that the state is sealed with"
        ))
        .hint(hint)),
        None => Err(Error::new(format!(
            "{shown}: found no privacy key, and the state is sealed with one"
        ))
        .hint(hint)),
    }
}

/// The register of the plan; if it has errors, the last one that had none, and why.
fn good_register(
    plan: &NightlyPlan,
    folder: &Folder<'_>,
    key: &PrivacyKey,
    last_good: Option<[u8; 32]>,
) -> Result<(Register, Option<String>)> {
    let Some(of_plan) = &plan.read.register else {
        return Err(Error::new("there is no register, and nothing to judge by"));
    };
    let refused = match load_register(of_plan) {
        Ok(register) => return Ok((register, None)),
        Err(error) => error,
    };
    let Some(digest) = last_good else { return Err(refused) };
    let register = kept_register(folder, of_plan, digest, key)?;
    Ok((register, Some(refused_told(&refused))))
}

/// A register that is kept, as it was judged by.
pub(super) fn kept_register(
    folder: &Folder<'_>,
    of_plan: &RegisterPlan,
    digest: [u8; 32],
    key: &PrivacyKey,
) -> Result<Register> {
    let kept = RegisterPlan { folder: folder.register(&digest), ..of_plan.clone() };
    let register = checked_register(&kept, &folder.kept_tables(&digest, key)?)?;
    if register.digest == digest {
        return Ok(register);
    }
    Err(Error::new(format!(
        "{}: it is not the register that was judged by: it was changed",
        kept.folder.display()
    ))
    .hint("mend the register of the configuration, or restore the state from a backup"))
}

/// That a register was refused and what is wrong with it, as far as it fits on a line.
pub(super) fn refused_told(refused: &Error) -> String {
    let text = refused.to_string();
    let mut lines = text.lines();
    let told: Vec<&str> = lines.by_ref().take(1 + REGISTER_ERRORS_TOLD).collect();
    let (head, errors) = told.split_first().unwrap_or((&"", &[]));
    let more = if lines.next().is_some() { "; …" } else { "" };
    let errors = errors.join("; ");
    let space = if errors.is_empty() { "" } else { " " };
    format!(
        "{REGISTER_REFUSED}, and the last good one used: {head}{space}{errors}{more} (`overstay check` tells all that is wrong with it)"
    )
}

/// What the register would touch of the days that were judged before, if it is another than they were judged by.
fn change(
    plan: &NightlyPlan,
    folder: &Folder<'_>,
    key: &PrivacyKey,
    before: &Ledger,
    register: &Register,
) -> Result<Option<Changes>> {
    let (Some(judged_by), Some(of_plan)) = (before.judged_by, &plan.read.register) else {
        return Ok(None);
    };
    if judged_by == JudgedBy::of(register) {
        return Ok(None);
    }
    let kept = |by: JudgedBy| {
        let of_plan = RegisterPlan { propagation_s: by.propagation_s, ..of_plan.clone() };
        kept_register(folder, &of_plan, by.register, key)
    };
    changes(folder, before, judged_by, register, &kept).map(Some)
}

/// A ledger that has forgotten what was read, and not that it was.
fn forgotten(before: Ledger) -> Ledger {
    let mut revisions = before.revisions;
    revisions.extend(before.days.iter().map(|(day, known)| (*day, known.revision)));
    Ledger {
        run: before.run,
        run_at_ns: before.run_at_ns,
        elapsed_s: before.elapsed_s,
        head: before.head,
        judged_by: before.judged_by,
        registers: before.registers,
        next_input: before.next_input,
        surveyed: before.surveyed,
        revisions,
        findings: before.findings,
        outbox: before.outbox,
        ..Ledger::default()
    }
}

/// Has a ledger go on after runs that reports tell of and it does not: nothing that is there is written over, and no number is
/// given twice.
fn go_on_after(
    ledger: &mut Ledger,
    folder: &Folder<'_>,
    last: u64,
    issued: BTreeMap<i64, u64>,
) -> Result<()> {
    ledger.next_input = ledger.next_input.max(folder.last_input(ledger.run)?);
    ledger.run = last;
    let head = folder.last_manifest(last).map_err(|error| {
        error.hint("the reports of earlier runs are there, and the chain of their manifests is broken; move them away to begin anew")
    })?;
    ledger.head = Some(head);
    for (day, revision) in issued {
        match ledger.days.get_mut(&day) {
            Some(known) => known.revision = known.revision.max(revision),
            None => drop(ledger.revisions.insert(day, revision)),
        }
    }
    Ok(())
}
