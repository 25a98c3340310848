//! Memory-mapped logs, and what happens when one shrinks under the reader.
//!
//! The one room of the crate with `unsafe`. Knows nothing of lines.
//!
//! Reading a page of a mapping that lies beyond the end of its file raises SIGBUS, which kills the
//! process. Logs do get truncated while they are read (copytruncate). So a handler, installed with the
//! first mapping, puts pages of zeros in place of what is lost of the mapping, marks it, and lets
//! the reader go on. What was read from a marked mapping is worthless and the caller must drop it.
//! A SIGBUS anywhere else goes to whoever handled it before.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// A file mapped from its start, read-only.
pub(super) struct Mapping {
    map: Mmap,
    file: File,
    #[cfg(unix)]
    watch: guard::Watch,
}

impl Mapping {
    /// Maps the first `length` bytes.
    ///
    /// # Errors
    /// Where the file cannot be mapped or the guard cannot be set up; reading may still work.
    pub(super) fn new(file: File, length: usize) -> io::Result<Mapping> {
        // SAFETY: the bytes of a mapping must not change while they are borrowed, which no program can
        // promise for a file that others may write. Logs are append-only by contract; where one is
        // truncated all the same, no access faults (see `guard`), and bytes that change only change
        // which lines are seen: they are treated as hostile text, nothing in them is trusted to be
        // the same when looked at twice.
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(&file)? };
        #[cfg(unix)]
        {
            // Only advice: where it is refused, reading is merely slower.
            let _ = map.advise(memmap2::Advice::Sequential);
            let start = map.as_ptr().expose_provenance();
            let watch = guard::Watch::new(start, start + length)?;
            Ok(Mapping { map, file, watch })
        }
        #[cfg(not(unix))]
        Ok(Mapping { map, file })
    }

    /// The mapped bytes. Zeros, or what else the file now holds, if [`Mapping::fault`] says so.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Hands over some of the bytes, and lets go of their pages: they are read once, and a log of forty gigabytes is not to
    /// look as if it lay in the process's memory.
    pub(super) fn read<T>(
        &self,
        range: std::ops::Range<usize>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> T {
        // All at once is less work than a fault for every few pages. Only advice: what can't be had yet faults as ever.
        #[cfg(target_os = "linux")]
        let _ = self.map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len());
        let result = read(&self.map[range.clone()]);
        #[cfg(unix)]
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // With as much again of what lies before: the kernel maps whole blocks of pages, and who looks for the end of a
            // line there may have had them mapped again.
            let start = range.start.saturating_sub(range.len());
            // SAFETY: pages of a mapping that nobody writes hold what the file holds (or, where the guard put them, zeros). Who
            // looks at one that was let go gets the same again, so nothing borrowed changes that would not have changed with
            // the file itself.
            let _ = unsafe { self.map.unchecked_advise_range(advice, start, range.end - start) };
        }
        result
    }

    /// Why nothing read from the mapping up to now may be used.
    pub(super) fn fault(&self) -> Option<String> {
        let mapped = self.map.len() as u64;
        match self.file.metadata() {
            Ok(now) if now.len() < mapped => {
                Some(format!("shrank from {mapped} to {} bytes while it was read", now.len()))
            }
            _ if self.faulted() => {
                Some("shrank or could not be read while it was mapped".to_owned())
            }
            _ => None,
        }
    }

    #[cfg(unix)]
    fn faulted(&self) -> bool {
        self.watch.faulted()
    }

    /// Elsewhere a mapped file cannot be truncated.
    #[cfg(not(unix))]
    fn faulted(&self) -> bool {
        false
    }
}

#[cfg(unix)]
mod guard {
    //! The list of live mappings and the handler that looks into it.
    //!
    //! The handler may interrupt any code, so all it touches is atomic: the list only grows, and its
    //! slots are used again. A slot is written under a sequence number (odd while it changes), so that the
    //! handler never combines the start of one mapping with the end of another. The slot of the mapping
    //! that a thread is reading cannot change meanwhile, because the reader borrows its [`Watch`]'s owner.

    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::{io, mem, ptr};

    struct Slot {
        taken: AtomicBool,
        sequence: AtomicUsize,
        /// Addresses of the mapping; equal if there is none.
        start: AtomicUsize,
        end: AtomicUsize,
        faulted: AtomicBool,
        next: OnceLock<&'static Slot>,
    }

    impl Slot {
        const fn new() -> Slot {
            Slot {
                taken: AtomicBool::new(false),
                sequence: AtomicUsize::new(0),
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                faulted: AtomicBool::new(false),
                next: OnceLock::new(),
            }
        }

        /// Only for who has taken the slot.
        fn set(&self, start: usize, end: usize) {
            let sequence = self.sequence.load(Ordering::Relaxed);
            self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
            fence(Ordering::Release);
            self.start.store(start, Ordering::Relaxed);
            self.end.store(end, Ordering::Relaxed);
            self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
        }

        /// The addresses, or none if they are just changing.
        fn get(&self) -> Option<(usize, usize)> {
            let before = self.sequence.load(Ordering::Acquire);
            let start = self.start.load(Ordering::Relaxed);
            let end = self.end.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let after = self.sequence.load(Ordering::Relaxed);
            (before == after && before.is_multiple_of(2)).then_some((start, end))
        }
    }

    static FIRST: Slot = Slot::new();
    static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
    static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

    /// Keeps a range of addresses under guard for as long as it lives.
    pub(super) struct Watch {
        slot: &'static Slot,
    }

    impl Watch {
        pub(super) fn new(start: usize, end: usize) -> io::Result<Watch> {
            install()?;
            let slot = take_slot();
            slot.faulted.store(false, Ordering::SeqCst);
            slot.set(start, end);
            Ok(Watch { slot })
        }

        pub(super) fn faulted(&self) -> bool {
            self.slot.faulted.load(Ordering::SeqCst)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.slot.set(0, 0);
            self.slot.taken.store(false, Ordering::Release);
        }
    }

    /// A slot that nobody else has. There are at most as many as there were mappings at one time.
    fn take_slot() -> &'static Slot {
        let mut slot = &FIRST;
        loop {
            if !slot.taken.swap(true, Ordering::AcqRel) {
                return slot;
            }
            slot = slot.next.get_or_init(|| Box::leak(Box::new(Slot::new())));
        }
    }

    fn install() -> io::Result<()> {
        static INSTALLED: Mutex<bool> = Mutex::new(false);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if *installed {
            return Ok(());
        }
        // SAFETY: sysconf takes a number and has no preconditions.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page_bytes = usize::try_from(page_bytes).map_err(io::Error::other)?;
        PAGE_BYTES.store(page_bytes, Ordering::SeqCst);

        // SAFETY: `sigaction` is plain data for which all zeros are valid (no handler, no flags).
        let mut previous: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: `previous` is valid for writing; a null new action only asks.
        if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Known before the handler can run, and never changed after.
        PREVIOUS.get_or_init(|| previous);

        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as usize;
        // On the alternate stack, because the handler before ours may be that of the standard library,
        // which needs it to report an overflow of the stack.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `action` names a handler of the type that SA_SIGINFO asks for, with an empty
        // mask (all zeros, and set again here for systems where empty is something else), and the
        // handler calls only async-signal-safe functions.
        let result = unsafe {
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut())
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        *installed = true;
        Ok(())
    }

    /// Async-signal-safe: atomics, `mmap` and `sigaction`, no allocation, no lock. (POSIX does not list
    /// `mmap`, but it is a bare system call in every libc we know, and the code it interrupts was
    /// reading memory.)
    extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
        // SAFETY: with SA_SIGINFO the kernel passes a valid `info`, and SIGBUS sets its address.
        let address = unsafe { (*info).si_addr() }.addr();
        if replace_with_zeros(address) {
            return;
        }
        // None of ours: whoever was there before shall have it, when the access is tried again.
        if let Some(previous) = PREVIOUS.get() {
            // SAFETY: `previous` is what `sigaction` itself gave.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
        }
    }

    /// Puts zeros in place of the mapping around `address`, from its page on. False if there is none.
    fn replace_with_zeros(address: usize) -> bool {
        let mut next = Some(&FIRST);
        while let Some(slot) = next {
            next = slot.next.get().copied();
            let Some((start, end)) = slot.get() else { continue };
            if !(start..end).contains(&address) {
                continue;
            }
            let page = address & !(PAGE_BYTES.load(Ordering::Relaxed) - 1);
            // SAFETY: `page..end` is the tail of a live mapping of ours (its start is the start of a page, so
            // `page` is not before it; the last page belongs to it whole). It stays mapped while this
            // thread reads it, and nothing but that mapping is replaced. It is only ever read, so pages
            // that other threads see change under them are the same hazard as the truncation itself.
            let zeros = unsafe {
                libc::mmap(
                    ptr::with_exposed_provenance_mut(page),
                    end - page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if zeros == libc::MAP_FAILED {
                return false;
            }
            slot.faulted.store(true, Ordering::SeqCst);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mapped(length: usize) -> (tempfile::NamedTempFile, Mapping) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; length]).unwrap();
        let mapping = Mapping::new(file.reopen().unwrap(), length).unwrap();
        (file, mapping)
    }

    #[test]
    fn a_mapping_that_stays_whole_has_no_fault() {
        let (mut file, mapping) = mapped(10_000);
        file.write_all(b"more").unwrap();
        assert!(mapping.bytes().iter().all(|byte| *byte == b'x'));
        assert_eq!(mapping.fault(), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_lost_reads_as_zeros_and_is_a_fault() {
        let (file, mapping) = mapped(1 << 20);
        file.as_file().set_len(8192).unwrap();
        assert_eq!(mapping.bytes()[0], b'x');
        assert_eq!(mapping.bytes()[1 << 19], 0);
        assert_eq!(mapping.bytes()[(1 << 20) - 1], 0);
        assert!(mapping.fault().unwrap().contains("shrank from 1048576 to 8192 bytes"));
    }

    #[cfg(unix)]
    #[test]
    fn growing_again_does_not_hide_a_fault() {
        let (file, mapping) = mapped(1 << 20);
        file.as_file().set_len(0).unwrap();
        assert_eq!(mapping.bytes()[1 << 19], 0);
        file.as_file().set_len(2 << 20).unwrap();
        assert!(mapping.fault().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn many_at_once_are_told_apart() {
        let all: Vec<_> = (0..40).map(|_| mapped(1 << 16)).collect();
        for (file, _) in all.iter().step_by(2) {
            file.as_file().set_len(0).unwrap();
        }
        std::thread::scope(|scope| {
            for (_, mapping) in &all {
                scope
                    .spawn(|| mapping.bytes().iter().map(|byte| usize::from(*byte)).sum::<usize>());
            }
        });
        for (i, (_, mapping)) in all.iter().enumerate() {
            assert_eq!(mapping.fault().is_some(), i % 2 == 0, "{i}");
        }
    }

    /// Not a test by itself: dies of a SIGBUS that is none of the guard's.
    #[cfg(unix)]
    #[test]
    #[ignore = "run by a_fault_elsewhere_still_kills"]
    fn child_faults_elsewhere() {
        let (_guarded_file, _guarded) = mapped(1 << 16);
        let (file, _) = mapped(1 << 16);
        // SAFETY: no promise is kept here, the fault is the point; the process ends with it.
        let elsewhere = unsafe { Mmap::map(file.as_file()).unwrap() };
        file.as_file().set_len(0).unwrap();
        assert_eq!(elsewhere[0], b'x');
    }

    #[cfg(unix)]
    #[test]
    fn a_fault_elsewhere_still_kills() {
        use std::os::unix::process::ExitStatusExt;
        // It dies before it can remove its files.
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .env("TMPDIR", folder.path())
            .args(["--ignored", "--exact", "input::mapping::tests::child_faults_elsewhere"])
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
    }
}
