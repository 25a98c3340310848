//! Backslash escapes in quoted values: those of JSON strings, and those of nginx and Apache.
//!
//! Both write into a caller's buffer, so that a line with escapes costs no allocation.

use crate::parse::request::hex_pair;

/// Appends the text of a JSON string, given without its quotes and already found to be valid.
///
/// A surrogate without its partner becomes U+FFFD: a line must not be lost for one broken emoji.
pub(crate) fn unescape_json(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..i]);
        rest = &rest[i + 1..];
        let Some(letter) = rest.chars().next() else { return };
        rest = &rest[letter.len_utf8()..];
        match letter {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let (c, taken) = unicode_escape(rest);
                out.push(c);
                rest = &rest[taken..];
            }
            other => out.push(other),
        }
    }
    out.push_str(rest);
}

/// The character of the four hex digits after `\u`, or of two such escapes that make a pair;
/// and how many bytes of the text it took.
fn unicode_escape(text: &str) -> (char, usize) {
    let Some(first) = four_hex(text) else { return (char::REPLACEMENT_CHARACTER, 0) };
    if let Some(c) = char::from_u32(first) {
        return (c, 4);
    }
    let second = text.get(4..).and_then(|rest| rest.strip_prefix("\\u")).and_then(four_hex);
    match second {
        Some(low @ 0xDC00..=0xDFFF) if first < 0xDC00 => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10)
        }
        _ => (char::REPLACEMENT_CHARACTER, 4),
    }
}

fn four_hex(text: &str) -> Option<u32> {
    let digits = text.as_bytes().get(..4)?;
    let (high, low) = (hex_pair(&digits[..2])?, hex_pair(&digits[2..])?);
    Some(u32::from(high) << 8 | u32::from(low))
}

/// Appends the text of a quoted value as nginx (default and `escape=json`) and Apache write it:
/// `\xHH`, `\uXXXX`, `\"`, `\\`, `\/` and the letters of C. Any other backslash stays.
///
/// Returns false and appends nothing if the result is no UTF-8: the value then stays as written.
pub(crate) fn unescape_log(raw: &str, out: &mut String, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    let mut rest = raw;
    while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
        buffer.extend_from_slice(&rest.as_bytes()[..i]);
        let escape = &rest[i + 1..];
        let (byte, taken) = match escape.as_bytes().first() {
            Some(b'x') => match escape.as_bytes().get(1..3).and_then(hex_pair) {
                Some(byte) => (byte, 3),
                None => (b'\\', 0),
            },
            Some(b'u') if four_hex(&escape[1..]).is_some() => {
                let (c, taken) = unicode_escape(&escape[1..]);
                buffer.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &escape[1 + taken..];
                continue;
            }
            Some(&byte @ (b'"' | b'\\' | b'/' | b'\'')) => (byte, 1),
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'b') => (8, 1),
            Some(b'v') => (11, 1),
            Some(b'f') => (12, 1),
            _ => (b'\\', 0),
        };
        buffer.push(byte);
        rest = &escape[taken..];
    }
    buffer.extend_from_slice(rest.as_bytes());
    match std::str::from_utf8(buffer) {
        Ok(text) => {
            out.push_str(text);
            true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(raw: &str) -> String {
        let mut out = String::new();
        unescape_json(raw, &mut out);
        out
    }

    fn log(raw: &str) -> Option<String> {
        let mut out = String::new();
        unescape_log(raw, &mut out, &mut Vec::new()).then_some(out)
    }

    #[test]
    fn json_escapes() {
        assert_eq!(json(r#"a\"b\\c\/d\n\u00e9\ud83d\ude00"#), "a\"b\\c/d\né😀");
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_loses_nothing_else() {
        assert_eq!(json(r"a\ud83dz"), "a\u{fffd}z");
        assert_eq!(json(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
        assert_eq!(json(r"\ud83d\u0041"), "\u{fffd}A");
        assert_eq!(json(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    }

    #[test]
    fn log_escapes() {
        assert_eq!(log(r"a\x22b\\c\xC3\xA9"), Some("a\"b\\cé".to_owned()));
        assert_eq!(log(r#"\"x\" \t\u00e9"#), Some("\"x\" \té".to_owned()));
        assert_eq!(log(r"C:\dir \xZZ \"), Some(r"C:\dir \xZZ \".to_owned()));
        assert_eq!(log(r"\uéa"), Some(r"\uéa".to_owned()));
    }

    #[test]
    fn escapes_that_give_no_utf8_leave_the_value_as_written() {
        assert_eq!(log(r"\xff\xfe"), None);
    }
}
