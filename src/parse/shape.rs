//! The shape of a line: what may be shown of it without showing whose it is.

use crate::limits::SHAPE_CHARS_MAX;

/// The first [`SHAPE_CHARS_MAX`] characters of a line, letters as `a`, digits as `9`, other
/// printable ASCII as it is and everything else as `?`. Invalid UTF-8 counts as `?`.
pub fn shape(line: &[u8]) -> String {
    // No character has more than four bytes, so no more than these can matter.
    let head = &line[..line.len().min(SHAPE_CHARS_MAX * 4 + 4)];
    String::from_utf8_lossy(head)
        .chars()
        .take(SHAPE_CHARS_MAX)
        .map(|c| match c {
            _ if c.is_alphabetic() => 'a',
            _ if c.is_numeric() => '9',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_keeps_the_form_and_nothing_of_the_content() {
        assert_eq!(shape(b"10.0.0.7 - bob [x]"), "99.9.9.9 - aaa [a]");
        assert_eq!(shape("\u{1b}é\u{ff11}\t€".as_bytes()), "?a9??");
        assert_eq!(shape(b"ok\xff!"), "aa?!");
        assert_eq!(shape(&[b'x'; 500]).len(), SHAPE_CHARS_MAX);
    }
}
