//! Whole gzip members and zstd frames, decoded by whoever has nothing else to do before it is their turn.
//!
//! A log has one reader at a time. Where its compression is made of parts that can be decoded each alone, the reader
//! leaves those that lie ahead here as tasks, and who waits for their turn to read works on them. Where a gzip member
//! begins is a guess, so the reader takes what came of a task only if the part before it ended exactly where
//! the task began; and all that comes of one are parts that decoded without a fault. Everything else the reader
//! decodes by itself, as it does a log of one part. So the bytes and the faults never depend on the tasks.
//!
//! Nobody waits here for one who waits: tasks that were begun are worked on, and a turn is ended by who has it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;
use super::window::Window;
use super::{Compression, gzip, zstd};
use crate::limits::{
    PART_BYTES_MAX, TASK_BYTES, TASK_DECODED_BYTES_MAX, TASKS_FAILED_MAX, TASKS_MAX,
};

/// The tasks of one log, and whose turn it is to read.
#[derive(Default)]
pub(super) struct Members {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_being_read: bool,
    tasks: VecDeque<Task>,
    /// Of the next task.
    number: u64,
    /// Used before.
    spare: Vec<Buffer>,
}

struct Task {
    number: u64,
    /// Where it begins in the log as it lies.
    start: u64,
    progress: Progress,
}

/// How to decode a task.
#[derive(Clone, Copy)]
struct Kind {
    compression: Compression,
    decoded_bytes_max: usize,
}

impl Kind {
    fn decode(self, input: &[u8], out: &mut Buffer) -> usize {
        match self.compression {
            Compression::Gzip => gzip::whole_members(input, out, self.decoded_bytes_max),
            Compression::Zstd => zstd::whole_frames(input, out, self.decoded_bytes_max),
        }
    }
}

enum Progress {
    Waiting(Kind, Buffer),
    Running,
    Done(Decoded),
}

/// What came of a task.
#[derive(Default)]
pub(super) struct Decoded {
    /// How many bytes of the log as it lies were used: those of whole parts.
    pub(super) taken: usize,
    /// What they decode to.
    pub(super) bytes: Buffer,
}

/// The turn to read; it ends when dropped.
pub(super) struct Turn<'a>(&'a Members);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_being_read = false;
        self.0.changed.notify_all();
    }
}

/// Makes a task that was begun one that is done, whatever happens.
struct Running<'a> {
    members: &'a Members,
    number: u64,
    decoded: Decoded,
    /// What was decoded, no longer needed.
    input: Buffer,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.members.lock();
        let decoded = std::mem::take(&mut self.decoded);
        match state.tasks.iter_mut().find(|task| task.number == self.number) {
            Some(task) => task.progress = Progress::Done(decoded),
            None => state.keep(decoded.bytes),
        }
        state.keep(std::mem::take(&mut self.input));
        drop(state);
        self.members.changed.notify_all();
    }
}

impl State {
    fn keep(&mut self, mut buffer: Buffer) {
        if self.spare.len() < 2 * TASKS_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl Members {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to read, and works on tasks meanwhile.
    pub(super) fn turn(&self) -> Turn<'_> {
        let mut state = self.lock();
        while state.is_being_read {
            state = self.work_or_wait(state);
        }
        state.is_being_read = true;
        Turn(self)
    }

    /// Works on all tasks that nobody has begun.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        while let Ok(after) = self.work_on_one(state) {
            state = after;
        }
    }

    fn work_or_wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        match self.work_on_one(state) {
            Ok(state) => state,
            Err(state) => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Works on the first task that nobody has begun. `Err` if there is none.
    fn work_on_one<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, MutexGuard<'a, State>> {
        let mut tasks = state.tasks.iter_mut();
        let Some(task) = tasks.find(|task| matches!(task.progress, Progress::Waiting(..))) else {
            return Err(state);
        };
        let number = task.number;
        let Progress::Waiting(kind, input) =
            std::mem::replace(&mut task.progress, Progress::Running)
        else {
            return Err(state);
        };
        let bytes = state.spare.pop().unwrap_or_default();
        drop(state);
        let decoded = Decoded { taken: 0, bytes };
        let mut running = Running { members: self, number, decoded, input };
        let Running { decoded: Decoded { taken, bytes }, input, .. } = &mut running;
        *taken = kind.decode(input, bytes);
        drop(running);
        Ok(self.lock())
    }

    /// What came of the task that begins at `start`, if there is one. Those that begin before are of no use any more.
    fn take(&self, start: u64) -> Option<Decoded> {
        let mut state = self.lock();
        loop {
            let task = state.tasks.front()?;
            if task.start > start {
                return None;
            }
            let is_done = matches!(task.progress, Progress::Done(_));
            if task.start == start && !is_done {
                state = self.work_or_wait(state);
                continue;
            }
            let (is_it, task) = (task.start == start, state.tasks.pop_front()?);
            match task.progress {
                Progress::Done(decoded) if is_it => return Some(decoded),
                Progress::Done(Decoded { bytes, .. }) | Progress::Waiting(_, bytes) => {
                    state.keep(bytes);
                }
                Progress::Running => {}
            }
        }
    }

    fn add(&self, kind: Kind, start: u64, input: &[u8]) {
        let mut state = self.lock();
        let mut buffer = state.spare.pop().unwrap_or_default();
        buffer.push(input);
        let number = state.number;
        state.number += 1;
        let progress = Progress::Waiting(kind, buffer);
        state.tasks.push_back(Task { number, start, progress });
        drop(state);
        self.changed.notify_all();
    }

    /// Gives back a buffer that is used up.
    pub(super) fn give_back(&self, buffer: Buffer) {
        self.lock().keep(buffer);
    }
}

/// Plans the tasks of one log.
pub(super) struct Planner {
    compression: Compression,
    bounds: Bounds,
    /// Up to where there are tasks, or nothing to make one of.
    planned: u64,
    /// A place where no task can begin.
    barren: Option<u64>,
    /// Tasks of which nothing came.
    failures: usize,
}

/// What tasks there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many at a time. None are planned if 0.
    tasks: usize,
    /// What one takes of the log as it lies, or little more.
    task_bytes: usize,
    /// What one decodes to at most.
    decoded_bytes_max: usize,
    /// How far is looked for the end of a part.
    part_bytes_max: usize,
}

impl Bounds {
    /// Enough that none of so many threads waits for the next task. A single one gains nothing by taking gzip members
    /// out of their turn; frames are faster decoded whole.
    pub(super) fn for_threads(threads: usize, compression: Compression) -> Bounds {
        let tasks = match (threads, compression) {
            (0..=1, Compression::Gzip) => 0,
            _ => TASKS_MAX.min(threads.saturating_mul(2)),
        };
        Bounds {
            tasks,
            task_bytes: TASK_BYTES,
            decoded_bytes_max: TASK_DECODED_BYTES_MAX,
            part_bytes_max: PART_BYTES_MAX,
        }
    }
}

impl Planner {
    pub(super) fn new(compression: Compression, bounds: Bounds) -> Planner {
        Planner { compression, bounds, planned: 0, barren: None, failures: 0 }
    }

    /// What was decoded already of the parts that begin where the window does; at least one, or none. Only where a part
    /// may begin.
    pub(super) fn take(&mut self, members: &Members, window: &mut Window) -> Option<Decoded> {
        self.plan(members, window);
        let decoded = members.take(window.position())?;
        if decoded.taken > 0 {
            return Some(decoded);
        }
        members.give_back(decoded.bytes);
        self.failures += 1;
        if self.failures == TASKS_FAILED_MAX {
            self.bounds.tasks = 0;
        }
        None
    }

    fn plan(&mut self, members: &Members, window: &mut Window) {
        let position = window.position();
        self.planned = self.planned.max(position);
        let Bounds { tasks, decoded_bytes_max, .. } = self.bounds;
        let kind = Kind { compression: self.compression, decoded_bytes_max };
        while self.barren != Some(self.planned) && members.lock().tasks.len() < tasks {
            let Ok(skipped) = usize::try_from(self.planned - position) else { return };
            let Some(found) = self.find(window, skipped) else {
                self.barren = Some(self.planned);
                return;
            };
            if found.is_task {
                let input = &window.seen()[skipped..skipped + found.bytes];
                members.add(kind, self.planned, input);
            }
            self.planned += found.bytes as u64;
        }
    }

    /// What comes after the next `skipped` bytes. None if no more can be told than that a part may begin there.
    fn find(&self, window: &mut Window, skipped: usize) -> Option<Stretch> {
        let mut wanted = self.bounds.task_bytes + self.bounds.task_bytes / 4;
        loop {
            let seen = window.ahead(skipped + wanted);
            let is_all = seen.len() < skipped + wanted;
            let is_enough = is_all || wanted > self.bounds.part_bytes_max;
            let input = seen.get(skipped..)?;
            let input = &input[..input.len().min(wanted)];
            let found = match self.compression {
                Compression::Gzip => members_stretch(input, is_all, self.bounds),
                Compression::Zstd => frames_stretch(input, self.bounds),
            };
            if is_enough || found.as_ref().is_some_and(|found| found.is_full) {
                return found;
            }
            wanted *= 2;
        }
    }
}

/// Some parts of a log that follow each other.
struct Stretch {
    bytes: usize,
    /// Whether a task can be made of it: it decodes to no more than one may.
    is_task: bool,
    /// Whether no part that may follow would be taken into it.
    is_full: bool,
}

impl Stretch {
    /// Some parts, each given as where it ends and what it decodes to, as many as make a task. None if there are none.
    fn of(parts: impl Iterator<Item = (usize, u64)>, bounds: Bounds) -> Option<Stretch> {
        let mut bytes = 0;
        let mut decoded = 0u64;
        for (end, length) in parts {
            decoded = decoded.saturating_add(length);
            if decoded > bounds.decoded_bytes_max as u64 {
                let is_task = bytes > 0;
                let bytes = if is_task { bytes } else { end };
                return Some(Stretch { bytes, is_task, is_full: true });
            }
            bytes = end;
            if bytes >= bounds.task_bytes {
                return Some(Stretch { bytes, is_task: true, is_full: true });
            }
        }
        (bytes > 0).then_some(Stretch { bytes, is_task: true, is_full: false })
    }
}

/// The members that `input` begins with, whose end is that of the last one if it is all there is.
fn members_stretch(input: &[u8], is_all: bool, bounds: Bounds) -> Option<Stretch> {
    let last = gzip::length_before(input).filter(|_| is_all).map(|length| (input.len(), length));
    let ends = gzip::may_begin(input).chain(last);
    Stretch::of(ends.map(|(end, length)| (end, u64::from(length))), bounds)
}

/// The frames that `input` begins with.
fn frames_stretch(input: &[u8], bounds: Bounds) -> Option<Stretch> {
    let mut at = 0;
    let ends = std::iter::from_fn(|| {
        let extent = zstd::extent(&input[at..])?;
        at += extent.bytes;
        Some((at, extent.decoded_max))
    });
    Stretch::of(ends, bounds)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::source::{Raw, Source};
    use super::*;
    use crate::input::Fault;

    /// All that reading a log tells: bytes, digest, fault.
    type Read3 = (Vec<u8>, Option<String>, Option<Fault>);

    fn open(log: &[u8]) -> Source {
        let raw = Raw::open(Box::new(Cursor::new(log.to_vec())), None, true).unwrap();
        let compression = Compression::recognise(raw.first());
        Source::new(raw, compression, false, None).unwrap()
    }

    /// One reader, `step` bytes at a time, no tasks.
    fn in_sequence(log: &[u8], step: usize) -> Read3 {
        let mut source = open(log);
        let mut all = Buffer::default();
        while source.append(&mut all, step) > 0 {}
        let (digest, fault) = source.finish();
        (all.to_vec(), digest, fault)
    }

    /// Some readers by turns. Also how many tasks there were.
    fn by_turns(log: &[u8], step: usize, readers: usize, bounds: Bounds) -> (Read3, u64) {
        let members = Arc::new(Members::default());
        let mut source = open(log);
        source.plan_early(&members, bounds);
        let shared = Mutex::new((source, Buffer::default()));
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| {
                    loop {
                        let _turn = members.turn();
                        let (source, all) = &mut *shared.try_lock().unwrap();
                        if source.append(all, step) == 0 {
                            break;
                        }
                    }
                });
            }
        });
        let (mut source, all) = shared.into_inner().unwrap();
        let (digest, fault) = source.finish();
        ((all.to_vec(), digest, fault), members.lock().number)
    }

    fn gzip_member(data: &[u8], level: u32) -> Vec<u8> {
        let level = flate2::Compression::new(level);
        let mut encoder = flate2::GzBuilder::new().filename("a").write(Vec::new(), level);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_frame(data: &[u8], kind: u32) -> Vec<u8> {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(kind & 1 != 0).unwrap();
        if kind & 2 != 0 {
            encoder.set_pledged_src_size(Some(data.len() as u64)).unwrap();
        }
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// Text that compresses a little; now and then one that looks like a member, stored as it is.
    fn text(seed: u64, length: usize) -> Vec<u8> {
        if seed.is_multiple_of(5) {
            return gzip_member(&vec![b'x'; length], 0);
        }
        let lines = (0u64..)
            .flat_map(|i| format!("{}\n", (seed + i).wrapping_mul(0x9e37_79b9) % 97).into_bytes());
        lines.take(length).collect()
    }

    /// What happens to a log.
    #[derive(Debug, Clone)]
    enum Harm {
        None,
        Cut(usize),
        Flipped(usize, u8),
        Followed(Vec<u8>),
        Repeated(usize),
    }

    fn harm() -> impl Strategy<Value = Harm> {
        prop_oneof![
            Just(Harm::None),
            any::<usize>().prop_map(Harm::Cut),
            (any::<usize>(), 1..=255u8).prop_map(|(at, by)| Harm::Flipped(at, by)),
            proptest::collection::vec(
                prop_oneof![Just(0), Just(0x1f), Just(0x8b), any::<u8>()],
                0..9
            )
            .prop_map(Harm::Followed),
            any::<usize>().prop_map(Harm::Repeated),
        ]
    }

    fn harmed(mut log: Vec<u8>, harm: &Harm) -> Vec<u8> {
        match harm {
            Harm::None => {}
            Harm::Cut(at) => log.truncate(at % (log.len() + 1)),
            Harm::Flipped(at, by) => {
                let at = at % log.len();
                log[at] ^= by;
            }
            Harm::Followed(bytes) => log.extend(bytes),
            // The middle twice: members follow that begin within one.
            Harm::Repeated(at) => {
                let rest = log[at % log.len()..].to_vec();
                log.extend(rest);
            }
        }
        log
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn tasks_change_nothing(
            is_gzip in any::<bool>(),
            parts in proptest::collection::vec((0..9u64, 0..700usize, 0..8u32, 0..3usize), 1..14),
            harm in harm(),
            step in prop_oneof![Just(1usize), 1..50usize, 50..5000usize],
            readers in proptest::sample::select(&[1usize, 2, 7][..]),
            tasks in 1..6usize,
            task_bytes in 1..900usize,
            decoded_bytes_max in prop_oneof![1..400usize, 400..3000usize],
            part_bytes_max in 1..2000usize,
        ) {
            let mut log = Vec::new();
            let mut whole = Vec::new();
            for (seed, length, kind, padding) in parts {
                let data = text(seed, length);
                if is_gzip {
                    log.extend(gzip_member(&data, kind));
                    log.extend(vec![0; padding / 2 * 40]);
                } else {
                    log.extend(zstd_frame(&data, kind));
                    if padding == 2 {
                        log.extend(b"\x5a\x2a\x4d\x18\x03\0\0\0abc");
                    }
                }
                whole.extend(data);
            }
            let log = harmed(log, &harm);
            // A log of which nothing is left that tells its compression is a plain one.
            let expected = in_sequence(&log, 4096);
            let bounds = Bounds { tasks, task_bytes, decoded_bytes_max, part_bytes_max };
            let (read, _) = by_turns(&log, step, readers, bounds);
            prop_assert_eq!(&read, &expected, "{:?}", log);
            prop_assert_eq!(&in_sequence(&log, step), &expected);
            if matches!(harm, Harm::None) {
                prop_assert_eq!((&read.0, &read.2), (&whole, &None));
            }
        }
    }

    fn many(is_gzip: bool) -> (Vec<u8>, Vec<u8>) {
        let texts: Vec<Vec<u8>> = (1..60).map(|seed| text(seed * 5 + 1, 40_000)).collect();
        let parts = texts.iter().map(|text| match is_gzip {
            true => gzip_member(text, 6),
            false => zstd_frame(text, 1),
        });
        (texts.concat(), parts.collect::<Vec<_>>().concat())
    }

    #[test]
    fn logs_of_many_parts_are_made_tasks_of() {
        for is_gzip in [true, false] {
            let (whole, log) = many(is_gzip);
            let bounds =
                Bounds { task_bytes: log.len() / 20, ..Bounds::for_threads(2, Compression::Gzip) };
            for readers in [1, 2, 7] {
                let ((bytes, _, fault), tasks) = by_turns(&log, 10_000, readers, bounds);
                assert!(bytes == whole && fault.is_none(), "{is_gzip}: {fault:?}");
                assert!((15..=21).contains(&tasks), "{tasks}");
            }
        }
    }

    #[test]
    fn parts_that_decode_to_too_much_are_left_to_the_reader() {
        for is_gzip in [true, false] {
            let (whole, log) = many(is_gzip);
            let bounds =
                Bounds { decoded_bytes_max: 30_000, ..Bounds::for_threads(2, Compression::Gzip) };
            let ((bytes, _, fault), tasks) = by_turns(&log, 10_000, 2, bounds);
            assert!(bytes == whole && fault.is_none() && tasks == 0, "{is_gzip} {tasks} {fault:?}");
        }
    }

    /// Frames that do not say what they decode to are bound by their blocks.
    #[test]
    fn what_a_frame_decodes_to_is_told_without_decoding_it() {
        let data = text(1, 300_000);
        for (kind, decoded_max) in [(0, 3 * (128 << 10)), (3, 300_000)] {
            let frame = zstd_frame(&data, kind);
            let log = [&frame[..], b"more"].concat();
            let extent = zstd::extent(&log).unwrap();
            assert_eq!((extent.bytes, extent.decoded_max), (frame.len(), decoded_max));
            assert!(zstd::extent(&frame[..frame.len() - 1]).is_none());
        }
    }

    #[test]
    fn an_error_of_the_reader_is_told_after_all_that_lies_before_it() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from_raw_os_error(5))
            }
        }
        for is_gzip in [true, false] {
            let (whole, log) = many(is_gzip);
            let reader = Cursor::new(log.clone()).chain(Failing);
            let raw = Raw::open(Box::new(reader), None, false).unwrap();
            let mut source = Source::new(raw, Compression::recognise(&log), false, None).unwrap();
            source.plan_early(&Arc::default(), Bounds::for_threads(2, Compression::Gzip));
            let mut all = Buffer::default();
            while source.append(&mut all, 1000) > 0 {}
            assert!(*all == *whole);
            let Some(Fault::EndedEarly(fault)) = source.finish().1 else { panic!("no fault") };
            assert!(fault.contains("error"), "{fault}");
        }
    }
}
