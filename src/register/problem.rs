//! What is wrong with a register: facts with their place, for people to mend.
//!
//! Knows no table; the sentence is made here, printing and escaping are the renderer's.

use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The register can't be judged by.
    Error,
    /// Legal but odd.
    Warning,
}

/// One problem of a register. Ordered by place: file, row, column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The table's file, as the source names it.
    pub file: String,
    /// The line of the file, the header being 1; `None` where the whole table is meant.
    pub row: Option<u64>,
    /// The column, where one is meant.
    pub column: Option<String>,
    /// How bad it is.
    pub level: Level,
    /// What was found and what was expected, lower case, without a final period.
    /// Never holds a credential in full or a subject.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// An error on a whole table.
    pub(super) fn error(file: &str, message: impl Into<String>) -> Problem {
        Problem {
            file: file.to_owned(),
            row: None,
            column: None,
            level: Level::Error,
            message: message.into(),
            hint: None,
        }
    }

    /// The same at a line of the file.
    #[must_use]
    pub(super) fn row(mut self, row: u64) -> Problem {
        self.row = Some(row);
        self
    }

    /// The same in a column.
    #[must_use]
    pub(super) fn column(mut self, column: &str) -> Problem {
        self.column = Some(column.to_owned());
        self
    }

    /// The same with a remedy.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The same as a mere warning.
    #[must_use]
    pub(super) fn warning(mut self) -> Problem {
        self.level = Level::Warning;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some(row) = self.row {
            write!(f, "{row}: ")?;
        }
        if let Some(column) = &self.column {
            write!(f, "{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A cell's text as a message quotes it: control characters escaped, at most 60 characters.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_where_and_what() {
        let problem = Problem::error("register/grants.csv", "found \"soon\", expected an instant");
        assert_eq!(problem.to_string(), "register/grants.csv: found \"soon\", expected an instant");
        let problem = problem.row(12).column("revoked_at");
        assert_eq!(
            problem.to_string(),
            "register/grants.csv: 12: revoked_at: found \"soon\", expected an instant"
        );
    }

    #[test]
    fn hostile_cells_are_quoted() {
        assert_eq!(quoted("a\u{1b}[2J"), "\"a\\u{1b}[2J\"");
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}\"…", "é".repeat(60)));
    }
}
