//! What was counted, where it is too much for memory: laid aside in a file without a name, and taken up again day by day.
//!
//! Sums by day grow with the days that logs tell of, and a first run may read years of them. Whoever counts looks now and then
//! how much memory its sums take; if it is too much, they are stored as a day's tally is stored, and it begins with none.
//! Sums merge in any order to the same result, so it makes no difference when that happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::judge::Judge;
use crate::limits;
use crate::plan::ReadPlan;
use crate::state::{PrivacyKey, Segment, SegmentInput, Tables};
use crate::tally::Tally;

/// Where sums are laid aside.
pub(super) struct Aside<'a> {
    judge: &'a Judge<'a>,
    /// The sources and inputs, known by their numbers in the plan.
    tables: Tables,
    key: &'a PrivacyKey,
    /// The folder of the file; none for that of temporary files.
    folder: Option<PathBuf>,
    /// How many bytes whoever counts may keep in memory.
    bytes_max: usize,
    /// After how many bytes of logs that is looked at.
    weighed_bytes: u64,
    laid: Mutex<Laid>,
}

/// What is laid aside.
#[derive(Default)]
struct Laid {
    file: Option<File>,
    end: u64,
    parts: Vec<Part>,
    /// Why nothing more can be laid aside.
    fault: Option<Error>,
}

/// A part of a day's tally.
struct Part {
    day: i64,
    /// The input that it is of, as long as that may turn out not to count.
    input: Option<u32>,
    place: Place,
}

/// Where something lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    offset: u64,
    bytes: u64,
}

/// An input of which nothing but its number in the plan is of interest.
fn of_number(id: u64) -> SegmentInput {
    SegmentInput { id, ..SegmentInput::default() }
}

impl<'a> Aside<'a> {
    /// For what is counted by a plan. Nothing is written before there is a need.
    pub(super) fn new(
        plan: &ReadPlan,
        judge: &'a Judge<'a>,
        key: &'a PrivacyKey,
        folder: Option<PathBuf>,
    ) -> Aside<'a> {
        let inputs = (0..plan.inputs.len() as u64).map(of_number);
        let sources = plan.sources.iter().map(|(name, _)| name.clone());
        let holders = rayon::current_num_threads() + 1;
        Aside {
            judge,
            tables: Tables { sources: sources.collect(), inputs: inputs.collect() },
            key,
            folder,
            bytes_max: plan.counted_bytes_max / holders,
            weighed_bytes: limits::COUNTED_WEIGHED_BYTES.min(plan.counted_bytes_max as u64),
            laid: Mutex::default(),
        }
    }

    /// Whether sums are too much for memory. That is looked at only where enough of logs was read since it last was:
    /// `unweighed` is how many bytes.
    pub(super) fn is_full(&self, unweighed: &mut u64, heap_bytes: impl FnOnce() -> usize) -> bool {
        if *unweighed < self.weighed_bytes {
            return false;
        }
        *unweighed = 0;
        heap_bytes() > self.bytes_max
    }

    /// Lays sums aside; those of an input that may turn out not to count say so.
    pub(super) fn lay(&self, days: BTreeMap<i64, Tally>, input: Option<u32>) {
        for (day, mut tally) in days {
            let Tables { sources, inputs } = &self.tables;
            let bytes =
                Segment::store(self.judge, &mut tally, sources, |input| inputs[input].clone())
                    .encode(self.key);
            drop(tally);
            let placed = bytes.and_then(|bytes| self.write(&bytes));
            let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
            match placed {
                Ok(place) => laid.parts.push(Part { day, input, place }),
                // Told when all is taken up: this run comes to nothing.
                Err(error) => drop(laid.fault.get_or_insert(error)),
            }
        }
    }

    /// Forgets what is laid aside of an input that does not count, or is read once more.
    pub(super) fn forget(&self, input: u32) {
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        laid.parts.retain(|part| part.input != Some(input));
    }

    /// Writes bytes behind those that are there.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn write(&self, bytes: &[u8]) -> Result<Place> {
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = laid.end;
        let file = match &mut laid.file {
            Some(file) => file,
            none => none.insert(self.in_words(match &self.folder {
                Some(folder) => tempfile::tempfile_in(folder),
                None => tempfile::tempfile(),
            })?),
        };
        self.in_words(file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes)))?;
        let bytes = bytes.len() as u64;
        laid.end += bytes;
        Ok(Place { offset, bytes })
    }

    fn read(&self, place: Place) -> Result<Segment> {
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        if let Some(file) = &mut laid.file {
            let read = file
                .seek(SeekFrom::Start(place.offset))
                .and_then(|_| file.take(place.bytes).read_to_end(&mut bytes));
            self.in_words(read)?;
        }
        drop(laid);
        Segment::decode(&self.shown(), &bytes)
    }

    fn shown(&self) -> String {
        match &self.folder {
            Some(folder) => format!("a temporary file in {}", folder.display()),
            None => "a temporary file".to_owned(),
        }
    }

    fn in_words<T>(&self, done: std::io::Result<T>) -> Result<T> {
        done.map_err(|error| {
            Error::io(self.shown(), error)
                .hint("sums that are too large for memory are kept there; nothing was changed")
        })
    }

    /// All that was counted, by day: what is laid aside, and the rest.
    ///
    /// # Errors
    ///
    /// If something could not be laid aside.
    pub(super) fn finish(mut self, rest: BTreeMap<i64, Tally>) -> Result<Days<'a>> {
        let laid = self.laid.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = laid.fault.take() {
            return Err(fault);
        }
        let mut parts: BTreeMap<i64, Vec<Place>> = BTreeMap::new();
        for Part { day, place, .. } in std::mem::take(&mut laid.parts) {
            parts.entry(day).or_default().push(place);
        }
        Ok(Days { aside: self, parts, rest })
    }
}

/// What was counted, to be taken up day by day.
pub(super) struct Days<'a> {
    aside: Aside<'a>,
    parts: BTreeMap<i64, Vec<Place>>,
    rest: BTreeMap<i64, Tally>,
}

impl Days<'_> {
    /// All days.
    pub(super) fn numbers(&self) -> BTreeSet<i64> {
        self.parts.keys().chain(self.rest.keys()).copied().collect()
    }

    /// Whether not all of it fits into memory.
    pub(super) fn is_large(&self) -> bool {
        self.aside.laid.lock().unwrap_or_else(PoisonError::into_inner).file.is_some()
    }

    /// Takes out what is in memory of some days.
    pub(super) fn take_rest(&mut self, days: &[i64]) -> Vec<(i64, Tally)> {
        days.iter().map(|day| (*day, self.rest.remove(day).unwrap_or_default())).collect()
    }

    /// Adds to a day's tally what is laid aside of it.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub(super) fn complete(&self, day: i64, tally: &mut Tally) -> Result<()> {
        let Aside { judge, tables, key, .. } = &self.aside;
        for place in self.parts.get(&day).into_iter().flatten() {
            let part = self.aside.read(*place)?;
            tally.merge(part.tally(judge, tables, key, &self.aside.shown())?);
        }
        Ok(())
    }

    /// Lays aside what was made of a day.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub(super) fn lay(&self, segment: Segment) -> Result<Place> {
        self.aside.write(&segment.encode(self.aside.key)?)
    }

    /// What [`Days::lay`] laid aside.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub(super) fn read(&self, place: Place) -> Result<Segment> {
        self.aside.read(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register;
    use crate::tally::{By, Dated, InputSums};

    fn calls(input: u32, day: i64, calls: u64) -> BTreeMap<i64, Tally> {
        let mut dated = Dated::new(By::Day);
        dated.day(day).inputs.insert(input, InputSums { calls, ..InputSums::default() });
        dated.take_days()
    }

    #[test]
    fn what_is_laid_aside_of_an_input_that_does_not_count_is_forgotten() {
        let register = register::build(&register::Tables::default(), None, 0);
        let key = PrivacyKey::random().unwrap();
        let judge = Judge::new(&register);
        let aside = Aside {
            judge: &judge,
            tables: Tables { sources: Vec::new(), inputs: (0..3).map(of_number).collect() },
            key: &key,
            folder: None,
            bytes_max: 0,
            weighed_bytes: 0,
            laid: Mutex::default(),
        };
        aside.lay(calls(0, 5, 1), Some(0));
        aside.lay(calls(1, 5, 20), Some(1));
        aside.lay(calls(1, 6, 40), None);
        aside.forget(1);
        aside.lay(calls(1, 7, 80), Some(1));
        let mut days = aside.finish(calls(2, 6, 300)).unwrap();
        assert_eq!(days.numbers().into_iter().collect::<Vec<_>>(), [5, 6, 7]);
        let sums = days.take_rest(&[5, 6, 7]).into_iter().map(|(day, mut tally)| {
            days.complete(day, &mut tally).unwrap();
            tally.inputs.values().map(|sums| sums.calls).sum::<u64>()
        });
        assert_eq!(sums.collect::<Vec<_>>(), [1, 340, 80]);
    }
}
