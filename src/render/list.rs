//! Names with a sentence on each, for people. Knows nothing of what is listed.

use std::io::{self, Write};

use super::table::{UNLIMITED, width, wrap};

/// Cells between a name and its sentence.
const GAP: usize = 2;
/// A sentence is not squeezed below this, however narrow the screen.
const SENTENCE_MIN: usize = 20;

/// Writes each name and its sentence, which is wrapped under itself where it is wider than the screen; on one line
/// where there is no screen. Both come from the program, so neither is escaped.
///
/// # Errors
///
/// Those of `out`.
pub fn list(
    entries: &[(&str, String)],
    screen: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names = entries.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let room =
        screen.map_or(UNLIMITED, |screen| screen.saturating_sub(names + GAP).max(SENTENCE_MIN));
    for (name, sentence) in entries {
        for (i, line) in wrap(sentence, room).iter().enumerate() {
            let name = if i == 0 { name } else { "" };
            writeln!(out, "{name:names$}{}{line}", " ".repeat(GAP))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_under_themselves() {
        let entries =
            [("open", "In order for everybody.".to_owned()), ("granted", "By a grant.".to_owned())];
        let listed = |screen| {
            let mut out = Vec::new();
            list(&entries, screen, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            listed(Some(30)),
            "open     In order for\n         everybody.\ngranted  By a grant.\n"
        );
        assert_eq!(listed(Some(1)), listed(Some(29)));
        assert_eq!(listed(None), "open     In order for everybody.\ngranted  By a grant.\n");
    }
}
