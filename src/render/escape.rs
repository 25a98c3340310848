//! Hostile text made harmless: what a log line or a register field may do to a terminal, and
//! to the person who reads it. Knows nothing of reports.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character commands the terminal or deceives the eye instead of showing itself:
/// controls (C0, DEL, C1), bidirectional controls, line and paragraph separators, and
/// characters that are invisible by design.
///
/// The invisible ones are those of Unicode's `Default_Ignorable_Code_Point`
/// (DerivedCoreProperties.txt), with the interlinear annotation marks. Joiners that some
/// scripts need are among them: an id that differs only by one must not look the same.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with each hostile character spelled out, as `\u{202e}`. Never longer in lines
/// than one; markup stays as it is, since no terminal acts on it.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_deceptions_are_spelled_out() {
        for (text, shown) in [
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
            ("\u{7f}\u{9b}31m", "\\u{7f}\\u{9b}31m"),
            ("file\u{202e}gpj.exe", "file\\u{202e}gpj.exe"),
            ("a\u{2028}b\u{2067}\u{61c}", "a\\u{2028}b\\u{2067}\\u{61c}"),
            ("pay\u{200b}pal\u{feff}", "pay\\u{200b}pal\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(for_terminal(text), shown);
        }
    }

    #[test]
    fn what_shows_itself_stays_borrowed() {
        for text in ["", "<b>bold</b>", "Zoë 東京 …wxyz", "C:\\logs", "`rm`"] {
            assert!(matches!(for_terminal(text), Cow::Borrowed(same) if same == text));
        }
    }
}
