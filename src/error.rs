//! Failures of operations: what was found, where, what was expected, what to do.
//!
//! A bad log line is no error but data, a [`crate::call::Reason`].

use std::fmt;
use std::io;

/// An operation that failed.
#[derive(Debug)]
pub struct Error {
    /// What happened, lower case, without a final period: `PATH: LINE: COLUMN: what was found, what was expected`.
    message: String,
    /// What to do about it.
    hint: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// An error with its message.
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), hint: None, source: None }
    }

    /// An error of the operating system on a file.
    pub fn io(path: impl fmt::Display, source: io::Error) -> Error {
        Error {
            message: format!("{path}: {}", io_words(&source)),
            hint: None,
            source: Some(source),
        }
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with a remedy, if there is one to tell.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Error {
        Error { hint: hint.or(self.hint), ..self }
    }

    /// What to do, if there is something to say.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message, its hint on a line of its own: one of several errors told at once.
    pub fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\n  hint: {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether a reader closed its end of a pipe: no failure, it has seen enough.
    pub fn is_closed_pipe(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What is wrong with something a person wrote, all of it: it is mended in one go.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Error>);

impl Problems {
    /// The value, or nothing where it is one more problem.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// Nothing, or all of them in one error, which says that `what` has them.
    ///
    /// # Errors
    ///
    /// If there are any.
    pub fn told(mut self, what: &str) -> Result<()> {
        if self.0.len() <= 1 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let told: Vec<String> = self.0.iter().map(Error::with_hint).collect();
        Err(Error::new(format!("{what} has {} errors:\n{}", told.len(), told.join("\n"))))
    }
}

/// The operating system's words, lower case and without its error number.
pub fn io_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// What a fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
