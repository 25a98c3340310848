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
use crate::limits::{PART_BYTES_MAX, TASK_BYTES, TASK_DECODED_BYTES_MAX, TASKS_MAX};

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

enum Progress {
    Waiting(Compression, Buffer),
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

    fn work_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waiting =
            state.tasks.iter_mut().find(|task| matches!(task.progress, Progress::Waiting(..)));
        let Some(task) = waiting else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let number = task.number;
        let Progress::Waiting(compression, input) =
            std::mem::replace(&mut task.progress, Progress::Running)
        else {
            return state;
        };
        let bytes = state.spare.pop().unwrap_or_default();
        drop(state);
        let decoded = Decoded { taken: 0, bytes };
        let mut running = Running { members: self, number, decoded, input };
        let Running { decoded: Decoded { taken, bytes }, input, .. } = &mut running;
        *taken = match compression {
            Compression::Gzip => gzip::whole_members(input, bytes, TASK_DECODED_BYTES_MAX),
            Compression::Zstd => zstd::whole_frames(input, bytes, TASK_DECODED_BYTES_MAX),
        };
        drop(running);
        self.lock()
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

    fn add(&self, compression: Compression, start: u64, input: &[u8]) {
        let mut state = self.lock();
        let mut buffer = state.spare.pop().unwrap_or_default();
        buffer.push(input);
        let number = state.number;
        state.number += 1;
        let progress = Progress::Waiting(compression, buffer);
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
    /// How many tasks there may be at a time. None are planned if 0.
    width: usize,
    /// Up to where there are tasks, or nothing to make one of.
    planned: u64,
    /// A place where no task can begin.
    barren: Option<u64>,
    /// Tasks of which nothing came.
    failures: usize,
}

/// After so many tasks in vain no more are planned: the log is not what it seemed.
const FAILURES_MAX: usize = 16;

impl Planner {
    pub(super) fn new(compression: Compression, width: usize) -> Planner {
        let width = width.min(TASKS_MAX);
        Planner { compression, width, planned: 0, barren: None, failures: 0 }
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
        if self.failures == FAILURES_MAX {
            self.width = 0;
        }
        None
    }

    fn plan(&mut self, members: &Members, window: &mut Window) {
        let position = window.position();
        self.planned = self.planned.max(position);
        while self.barren != Some(self.planned) && members.lock().tasks.len() < self.width {
            let Ok(skipped) = usize::try_from(self.planned - position) else { return };
            let Some(found) = self.find(window, skipped) else {
                self.barren = Some(self.planned);
                return;
            };
            if found.is_task {
                let input = &window.seen()[skipped..skipped + found.bytes];
                members.add(self.compression, self.planned, input);
            }
            self.planned += found.bytes as u64;
        }
    }

    /// What comes after the next `skipped` bytes. None if no more can be told than that a part may begin there.
    fn find(&self, window: &mut Window, skipped: usize) -> Option<Stretch> {
        let mut wanted = TASK_BYTES + SLACK_BYTES;
        loop {
            let seen = window.ahead(skipped + wanted);
            let is_all = seen.len() < skipped + wanted;
            let is_enough = is_all || wanted > PART_BYTES_MAX;
            let input = seen.get(skipped..)?;
            let input = &input[..input.len().min(wanted)];
            let found = match self.compression {
                Compression::Gzip => members_stretch(input, is_all),
                Compression::Zstd => frames_stretch(input),
            };
            if is_enough || found.as_ref().is_some_and(|found| found.is_full) {
                return found;
            }
            wanted *= 2;
        }
    }
}

/// So much more than a task is looked at that its end can be seen.
const SLACK_BYTES: usize = 64 << 10;

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
    fn of(parts: impl Iterator<Item = (usize, u64)>) -> Option<Stretch> {
        let mut bytes = 0;
        let mut decoded = 0u64;
        for (end, length) in parts {
            decoded = decoded.saturating_add(length);
            if decoded > TASK_DECODED_BYTES_MAX as u64 {
                let is_task = bytes > 0;
                let bytes = if is_task { bytes } else { end };
                return Some(Stretch { bytes, is_task, is_full: true });
            }
            bytes = end;
            if bytes >= TASK_BYTES {
                return Some(Stretch { bytes, is_task: true, is_full: true });
            }
        }
        (bytes > 0).then_some(Stretch { bytes, is_task: true, is_full: false })
    }
}

/// The members that `input` begins with, whose end is that of the last one if it is all there is.
fn members_stretch(input: &[u8], is_all: bool) -> Option<Stretch> {
    let last = gzip::length_before(input).filter(|_| is_all).map(|length| (input.len(), length));
    let ends = gzip::may_begin(input).chain(last);
    Stretch::of(ends.map(|(end, length)| (end, u64::from(length))))
}

/// The frames that `input` begins with.
fn frames_stretch(input: &[u8]) -> Option<Stretch> {
    let mut at = 0;
    Stretch::of(std::iter::from_fn(|| {
        let extent = zstd::extent(&input[at..])?;
        at += extent.bytes;
        Some((at, extent.decoded_max))
    }))
}
