//! Trying again within a run: how often, how long between, and what is left for the next run.

use std::fmt;
use std::time::Duration;

use crate::limits;
use crate::render::for_terminal;

/// Why something was not delivered. It is never given up: it waits, and the next run tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The receiver was not there, or was busy: another time it may be.
    Later {
        /// What was found and expected, in one line, without secrets.
        reason: String,
    },
    /// It fails again until a person mends something: a secret, a template, a certificate, what the receiver refuses.
    Mend {
        /// The same.
        reason: String,
    },
}

impl Failure {
    /// One for which the next run may be early enough.
    pub(super) fn later(reason: impl AsRef<str>) -> Failure {
        Failure::Later { reason: one_line(reason.as_ref()) }
    }

    /// One that a person must mend.
    pub(super) fn mend(reason: impl AsRef<str>) -> Failure {
        Failure::Mend { reason: one_line(reason.as_ref()) }
    }

    /// What was found and expected, in one line, without secrets.
    pub fn reason(&self) -> &str {
        match self {
            Failure::Later { reason } | Failure::Mend { reason } => reason,
        }
    }

    fn with(self, more: &str) -> Failure {
        match self {
            Failure::Later { reason } => Failure::Later { reason: format!("{reason}; {more}") },
            Failure::Mend { reason } => Failure::Mend { reason: format!("{reason}; {more}") },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// A reason as it is told: receivers and programs had a say in it.
fn one_line(reason: &str) -> String {
    shortened(&for_terminal(reason.trim()), limits::ALERT_REASON_CHARS_MAX)
}

/// The text, cut to so many characters, the last of which is then an ellipsis.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
            format!("{kept}…")
        }
    }
}

/// One attempt that failed.
pub(super) struct Missed {
    /// Why.
    pub(super) failure: Failure,
    /// Whether it may go better in a moment.
    pub(super) again: Again,
}

/// Whether a failed attempt is repeated within the run.
pub(super) enum Again {
    /// It would fail alike.
    No,
    /// As usual.
    Yes,
    /// Not before so long, as the receiver asked.
    After(Duration),
}

impl Missed {
    /// One that would fail alike.
    pub(super) fn for_good(failure: Failure) -> Missed {
        Missed { failure, again: Again::No }
    }

    /// One that may go better in a moment.
    pub(super) fn for_now(failure: Failure) -> Missed {
        Missed { failure, again: Again::Yes }
    }
}

/// Tries until it works, so often at most; `pause` is how to wait.
pub(super) fn attempts(
    pause: &dyn Fn(Duration),
    mut attempt: impl FnMut() -> Result<(), Missed>,
) -> Result<(), Failure> {
    let mut pauses = limits::ALERT_PAUSES.into_iter();
    let mut tried = 1;
    loop {
        let Err(Missed { failure, again }) = attempt() else { return Ok(()) };
        let asked = match again {
            Again::No => return Err(failure),
            Again::Yes => Duration::ZERO,
            Again::After(asked) if asked > limits::ALERT_PAUSE_MAX => {
                let told =
                    format!("it asks to wait {} s, which is left to the next run", asked.as_secs());
                return Err(failure.with(&told));
            }
            Again::After(asked) => asked,
        };
        let Some(usual) = pauses.next() else {
            return Err(failure.with(&format!("tried {tried} times")));
        };
        pause(usual.max(asked));
        tried += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The result of a receiver that answers so in turn, and for how many seconds was waited between.
    fn tried(mut answers: Vec<Again>) -> (Result<(), Failure>, Vec<u64>) {
        answers.reverse();
        let waited = RefCell::new(Vec::new());
        let pause = |wait: Duration| waited.borrow_mut().push(wait.as_secs());
        let result = attempts(&pause, || match answers.pop() {
            None => Ok(()),
            Some(again) => Err(Missed { failure: Failure::later("busy"), again }),
        });
        (result, waited.into_inner())
    }

    #[test]
    fn it_is_tried_three_times_with_pauses() {
        assert_eq!(tried(vec![]), (Ok(()), vec![]));
        assert_eq!(tried(vec![Again::Yes, Again::Yes]), (Ok(()), vec![1, 4]));
        let (result, waited) = tried(vec![Again::Yes, Again::Yes, Again::Yes]);
        assert_eq!(result, Err(Failure::Later { reason: "busy; tried 3 times".to_owned() }));
        assert_eq!(waited, [1, 4]);
        assert_eq!(tried(vec![Again::No]), (Err(Failure::later("busy")), vec![]));
    }

    #[test]
    fn what_the_receiver_asks_for_is_honoured_up_to_a_minute() {
        let after = |s| Again::After(Duration::from_secs(s));
        assert_eq!(tried(vec![after(0), after(60)]), (Ok(()), vec![1, 60]));
        assert_eq!(tried(vec![after(2), after(3)]), (Ok(()), vec![2, 4]));
        let (result, waited) = tried(vec![after(61)]);
        let reason = "busy; it asks to wait 61 s, which is left to the next run".to_owned();
        assert_eq!((result, waited), (Err(Failure::Later { reason }), vec![]));
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let failure = Failure::mend(format!(" a\nb\u{202e}{}", "x".repeat(1000)));
        assert!(failure.reason().starts_with("a\\u{a}b\\u{202e}xx"), "{failure}");
        assert_eq!(failure.reason().chars().count(), limits::ALERT_REASON_CHARS_MAX);
        assert!(failure.reason().ends_with('…'));
    }
}
