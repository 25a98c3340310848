//! The list of log formats, for people.

use std::io::{self, Write};

use super::escape::for_terminal;
use super::table::{Column, Need, UNLIMITED, lay_out};

/// What is said of a format.
pub struct FormatRow {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Whether it tells the credential.
    pub credential: String,
    /// Whether it tells the person, or from where.
    pub subject: String,
    /// Whether it tells what the API did.
    pub outcome: String,
    /// Whether it tells how long calls took.
    pub latency: String,
    /// Which time it has.
    pub time: &'static str,
    /// A sentence on it.
    pub about: String,
}

/// Writes a line for each format, on a screen of so many columns.
///
/// # Errors
///
/// Those of `out`.
pub fn formats(rows: &[FormatRow], screen: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut columns = [
        Column::left("FORMAT", Need::Whole),
        Column::left("KIND", Need::Whole),
        Column::left("CREDENTIAL", Need::Whole),
        Column::left("SUBJECT", Need::Whole),
        Column::left("OUTCOME", Need::Whole),
        Column::left("LATENCY", Need::Whole),
        Column::left("TIME OF", Need::Whole),
        Column::left("LINES", Need::Extra(1)),
    ];
    for row in rows {
        let cells = [
            &row.name,
            row.kind,
            &row.credential,
            &row.subject,
            &row.outcome,
            &row.latency,
            row.time,
            &row.about,
        ];
        for (column, text) in columns.iter_mut().zip(cells) {
            column.cells.push(for_terminal(text).into_owned().into());
        }
    }
    let laid = lay_out(&columns, screen.unwrap_or(UNLIMITED), false);
    writeln!(out, "{}", laid.heading)?;
    laid.rows.iter().try_for_each(|row| writeln!(out, "{row}"))
}
