//! Columns that fit a screen: widths, truncation, wrapping. Knows nothing of reports.
//!
//! All text that comes in is already harmless (`escape::for_terminal`). Widths are in terminal
//! cells and add up character by character: a sequence that a terminal joins is then counted
//! too wide rather than too narrow.

use anstyle::Style;
use unicode_width::UnicodeWidthChar;

/// Cells between two columns.
const GAP: usize = 2;

/// The width of what is no screen, a file or a pipe: nothing is truncated, nothing wrapped or left out.
pub(super) const UNLIMITED: usize = usize::MAX;
/// There a longer cell does not widen its column: it is shown whole and pushes only the rest of its own row aside.
/// Otherwise one hostile name would pad every row.
const ALIGNED_MAX: usize = 200;

/// One column of a table.
pub(super) struct Column {
    /// Its heading; empty in a table without a heading.
    pub title: &'static str,
    /// How important it is, and what may be done to it.
    pub need: Need,
    /// Whether its cells end at one edge instead of beginning at one.
    pub right: bool,
    /// One cell for each row.
    pub cells: Vec<Cell>,
}

/// What may be done to a column on a narrow screen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Part of the table; dropped, and named as left out, only where it does not fit.
    Whole,
    /// The same, and its cells may be truncated to so many cells before that.
    ShrinkTo(usize),
    /// Shown only where there is room for it after all of the others, those of a smaller number first.
    Extra(u8),
}

/// One cell's text and its colour.
#[derive(Clone, Default)]
pub(super) struct Cell {
    /// Harmless text without a line break.
    pub text: String,
    /// Used only on a screen with colour.
    pub style: Style,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, style: Style::new() }
    }
}

impl Column {
    /// A column whose cells begin at one edge.
    pub(super) fn left(title: &'static str, need: Need) -> Column {
        Column { title, need, right: false, cells: Vec::new() }
    }

    /// A column whose cells end at one edge, for numbers.
    pub(super) fn right(title: &'static str, need: Need) -> Column {
        Column { title, need, right: true, cells: Vec::new() }
    }

    fn natural(&self) -> usize {
        self.cells.iter().map(|cell| width(&cell.text)).fold(width(self.title), usize::max)
    }

    fn least(&self) -> usize {
        match self.need {
            Need::ShrinkTo(least) => least.max(width(self.title)).min(self.natural()),
            Need::Whole | Need::Extra(_) => self.natural(),
        }
    }

    /// Where nothing limits it.
    fn unlimited(&self) -> usize {
        let cells = self.cells.iter().map(|cell| width(&cell.text));
        cells.filter(|&cells| cells <= ALIGNED_MAX).fold(width(self.title), usize::max)
    }

    pub(super) const fn is_extra(&self) -> bool {
        matches!(self.need, Need::Extra(_))
    }
}

/// A table laid out for a screen.
pub(super) struct Laid {
    /// The heading line.
    pub heading: String,
    /// One line for each row.
    pub rows: Vec<String>,
    /// Indexes of the columns that do not fit.
    pub left_out: Vec<usize>,
}

/// How wide the columns are with nothing truncated, extras included.
pub(super) fn natural_width<'a>(columns: impl IntoIterator<Item = &'a Column>) -> usize {
    gapped(columns.into_iter().map(Column::natural))
}

/// How wide the columns are with all truncated that may be, extras left out.
pub(super) fn least_width(columns: &[Column]) -> usize {
    gapped(columns.iter().filter(|column| !column.is_extra()).map(Column::least))
}

fn gapped(widths: impl Iterator<Item = usize>) -> usize {
    widths.reduce(|sum, width| sum + GAP + width).unwrap_or(0)
}

/// Lays the columns out in at most `screen` cells.
pub(super) fn lay_out(columns: &[Column], screen: usize, colour: bool) -> Laid {
    let widths = match screen {
        UNLIMITED => columns.iter().map(|column| Some(column.unlimited())).collect(),
        _ => widths(columns, screen),
    };
    let cut = screen != UNLIMITED;
    let shown: Vec<(&Column, usize)> =
        columns.iter().zip(&widths).filter_map(|(column, w)| w.map(|w| (column, w))).collect();
    let rows = columns.first().map_or(0, |column| column.cells.len());
    Laid {
        heading: line(
            shown.iter().map(|(column, w)| (column.title, Style::new().bold(), *w, column.right)),
            cut,
            colour,
        ),
        rows: (0..rows)
            .map(|row| {
                line(
                    shown.iter().map(|(column, w)| {
                        let cell = &column.cells[row];
                        (cell.text.as_str(), cell.style, *w, column.right)
                    }),
                    cut,
                    colour,
                )
            })
            .collect(),
        left_out: (0..columns.len()).filter(|&i| widths[i].is_none()).collect(),
    }
}

/// The width of each column on a screen; none for those that find no room.
fn widths(columns: &[Column], screen: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = vec![None; columns.len()];
    let mut used = 0;
    let take = |widths: &mut Vec<Option<usize>>, i: usize, least: usize, used: &mut usize| {
        let gap = if *used == 0 { 0 } else { GAP };
        if *used + gap + least <= screen {
            widths[i] = Some(least);
            *used += gap + least;
        }
    };
    for (i, column) in columns.iter().enumerate().filter(|(_, column)| !column.is_extra()) {
        take(&mut widths, i, column.least(), &mut used);
    }
    // Room goes to the narrowest truncated column first, so that short names are whole before long ones grow.
    while used < screen {
        let narrowest = (0..columns.len())
            .filter(|&i| widths[i].is_some_and(|w| w < columns[i].natural()))
            .min_by_key(|&i| widths[i]);
        let Some(i) = narrowest else { break };
        widths[i] = widths[i].map(|w| w + 1);
        used += 1;
    }
    let mut extras: Vec<(u8, usize)> = (0..)
        .zip(columns)
        .filter_map(|(i, column)| match column.need {
            Need::Extra(place) => Some((place, i)),
            Need::Whole | Need::ShrinkTo(_) => None,
        })
        .collect();
    extras.sort_unstable();
    for (_, i) in extras {
        take(&mut widths, i, columns[i].natural(), &mut used);
    }
    widths
}

/// One line of cells: text, style, width, whether it ends at the edge.
fn line<'a>(
    cells: impl Iterator<Item = (&'a str, Style, usize, bool)>,
    cut: bool,
    colour: bool,
) -> String {
    let mut line = String::new();
    // Spaces are kept back until something follows them: no line ends in any.
    let mut spaces = 0;
    for (i, (text, style, cell_width, right)) in cells.enumerate() {
        let text = if cut { truncate(text, cell_width) } else { text.to_owned() };
        let rest = cell_width.saturating_sub(width(&text));
        spaces += if i == 0 { 0 } else { GAP } + if right { rest } else { 0 };
        if !text.is_empty() {
            line.push_str(&" ".repeat(spaces));
            spaces = 0;
            line.push_str(&paint(&text, style, colour));
        }
        spaces += if right { 0 } else { rest };
    }
    line
}

/// The text in its style, if there is colour.
pub(super) fn paint(text: &str, style: Style, colour: bool) -> String {
    if colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// How many cells the text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text's start with `…` in at most `max` cells; all of it if it fits.
pub(super) fn truncate(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > max {
            break;
        }
        cut.push(c);
    }
    if max > 0 {
        cut.push('…');
    }
    cut
}

/// Fills lines of at most `max` cells with the pieces, which stay whole where they can.
pub(super) fn flow<'a>(
    pieces: impl IntoIterator<Item = &'a str>,
    between: &str,
    max: usize,
) -> Vec<String> {
    let max = max.max(1);
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(last) if width(last) + width(between) + width(piece) <= max => {
                last.push_str(between);
                last.push_str(piece);
            }
            _ => lines.extend(broken(piece, max)),
        }
    }
    lines
}

/// Words filled into lines of at most `max` cells.
pub(super) fn wrap(text: &str, max: usize) -> Vec<String> {
    flow(text.split(' ').filter(|word| !word.is_empty()), " ", max)
}

/// One piece, cut where it is longer than a line.
fn broken(piece: &str, max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in piece.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells > max && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        used += cells;
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(mut column: Column, cells: &[&str]) -> Column {
        column.cells = cells.iter().map(|text| Cell::from((*text).to_owned())).collect();
        column
    }

    fn people() -> Vec<Column> {
        vec![
            column(Column::left("WHO", Need::ShrinkTo(4)), &["a", "reelhouse", "東京東京東京"]),
            column(Column::right("CALLS", Need::Whole), &["1", "41,207", ""]),
            column(Column::left("NOTE", Need::Extra(0)), &["x", "", "y"]),
        ]
    }

    fn shown(screen: usize) -> Vec<String> {
        let laid = lay_out(&people(), screen, false);
        [laid.heading].into_iter().chain(laid.rows).collect()
    }

    #[test]
    fn a_wide_screen_shows_all_of_it() {
        assert_eq!(
            shown(40),
            [
                "WHO            CALLS  NOTE",
                "a                  1  x",
                "reelhouse     41,207",
                "東京東京東京          y",
            ]
        );
        assert_eq!(natural_width(&people()), 26);
        assert_eq!(least_width(&people()), 4 + 2 + 6);
    }

    #[test]
    fn a_narrow_one_truncates_then_leaves_out() {
        assert_eq!(shown(15), ["WHO       CALLS", "a             1", "reelho…  41,207", "東京東…"]);
        let laid = lay_out(&people(), 9, false);
        assert_eq!(laid.left_out, [1, 2]);
        assert_eq!(laid.rows, ["a", "reelhouse", "東京東京…"]);
    }

    #[test]
    fn extras_come_by_their_number() {
        let mut columns = people();
        columns.insert(1, column(Column::right("N", Need::Extra(1)), &["1", "2", "3"]));
        assert_eq!(lay_out(&columns, 26, false).left_out, [1]);
        columns[1].need = Need::Extra(0);
        columns[3].need = Need::Extra(1);
        let laid = lay_out(&columns, 26, false);
        assert_eq!((laid.left_out, laid.heading), (vec![3], "WHO           N   CALLS".to_owned()));
    }

    #[test]
    fn without_a_screen_nothing_is_lost_and_one_long_cell_moves_its_own_row_only() {
        let mut columns = people();
        let long = "x".repeat(ALIGNED_MAX + 1);
        columns[0].cells[1].text.clone_from(&long);
        let laid = lay_out(&columns, UNLIMITED, false);
        assert!(laid.left_out.is_empty());
        assert_eq!(laid.heading, "WHO            CALLS  NOTE");
        assert_eq!(laid.rows[0], "a                  1  x");
        assert_eq!(laid.rows[1], format!("{long}  41,207"));
    }

    #[test]
    fn lines_are_filled_and_long_words_broken() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(flow(["a b", "c"], "  ", 6), ["a b  c"]);
        assert_eq!(truncate("abc", 0), "");
    }
}
