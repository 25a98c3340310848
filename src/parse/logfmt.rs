//! Format kind `logfmt`: `key=value` pairs with blanks between them, as Heroku and many Go programs write them.
//!
//! Nobody specified it; the grammar is that of the two parsers most programs are read with (kr/logfmt and
//! go-logfmt/logfmt), made wider in two places where there is only one way to read a line, and narrower in one where
//! there are several. What a value means is not known here.
//!
//! ```text
//! line  = [blank] item *(blank item) [blank]      blank = spaces and tabs; at least one item is a pair
//! item  = pair / word                             a word before or between pairs says nothing
//! pair  = key "=" (bare / quoted)                 bare may be empty
//! key   = word = 1*(any byte but blanks, controls, "=" and DQUOTE)
//! bare  = [any byte but blanks, controls and DQUOTE]*
//! quoted= DQUOTE *(any byte but DQUOTE and "\", or "\" and any byte) DQUOTE
//! ```
//!
//! Wider: a bare value may have `=` (`path=/x?a=b`, `token=YQ==`), and a backslash that is no known escape stays as it is
//! (Go's `%q` writes `\x1b`). Narrower: a closing quote must end its value, since in `path="/a"b` the quote may
//! as well be the caller's, written without an escape.

use crate::call::Reason;
use crate::limits::LAYOUT_VALUES_MAX;
use crate::parse::escape::unescape_log;
use crate::parse::labels::Labels;
use crate::parse::layout::{Kind, Lacks, Layout, Literal};
use crate::parse::{Cell, Scratch};

/// The keys a format asks for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    keys: Labels,
}

impl Plan {
    /// The slot of a key, and asks for it.
    pub(crate) fn ask(&mut self, key: &str) -> usize {
        self.keys.ask(key)
    }

    /// Fills the scratch's slots from a line. Of a repeated key the last pair counts.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] if the line is not as the grammar says, or has a NUL.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        scratch.slots.resize(self.keys.count(), Cell::Absent);
        let bytes = line.as_bytes();
        if memchr::memchr(0, bytes).is_some() {
            return Err(Reason::Malformed);
        }
        let mut any = false;
        let mut at = 0;
        loop {
            at += bytes[at..].iter().take_while(|&&b| is_blank(b)).count();
            if at == bytes.len() {
                break;
            }
            let start = at;
            at += bytes[at..].iter().take_while(|&&b| is_word(b)).count();
            let key = &line[start..at];
            match bytes.get(at) {
                None => break,
                Some(&b) if is_blank(b) => continue,
                Some(b'=') if !key.is_empty() => at += 1,
                Some(_) => return Err(Reason::Malformed),
            }
            any = true;
            let start = at;
            let (value, escaped) = if bytes.get(at) == Some(&b'"') {
                let (end, escaped) = quoted_end(bytes, start + 1).ok_or(Reason::Malformed)?;
                at = end + 1;
                (start + 1..end, escaped)
            } else {
                at += bytes[at..].iter().take_while(|&&b| is_word(b) || b == b'=').count();
                (start..at, false)
            };
            if bytes.get(at).is_some_and(|&b| !is_blank(b)) {
                return Err(Reason::Malformed);
            }
            if let Some(slot) = self.keys.slot(key) {
                let text = scratch.text.len();
                let decoded = escaped
                    && unescape_log(&line[value.clone()], &mut scratch.text, &mut scratch.bytes);
                scratch.slots[slot] = if decoded {
                    Cell::decoded(&scratch.text, text)
                } else {
                    Cell::in_line(line, value.start, value.end)
                };
            }
        }
        if any { Ok(()) } else { Err(Reason::Malformed) }
    }

    /// The layout of a line that [`Plan::fill`] can read, if no value in it has an escape.
    pub(crate) fn layout(&self, line: &str) -> Option<Layout> {
        let bytes = line.as_bytes();
        let mut elements = Vec::new();
        let mut slots = vec![Vec::new(); self.keys.count()];
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            let start = at;
            at += bytes[at..].iter().take_while(|&&b| is_word(b)).count();
            if bytes.get(at) != Some(&b'=') {
                // A word without a value, or a blank.
                at += usize::from(at == start);
                continue;
            }
            if let Some(slot) = self.keys.slot(&line[start..at]) {
                slots[slot] = vec![elements.len()];
            }
            at += 1;
            let is_quoted = bytes.get(at) == Some(&b'"');
            let begin = at + usize::from(is_quoted);
            let (end, kind) = if is_quoted {
                let (end, _) = quoted_end(bytes, begin).filter(|(_, escaped)| !escaped)?;
                (end, Kind::Until { byte: b'"', back: 0, without: b'"' })
            } else {
                let length = bytes[at..].iter().take_while(|&&b| is_word(b) || b == b'=').count();
                let kind = match at + length == bytes.len() {
                    true => Kind::Rest { without: *b" \"" },
                    // One that is quoted in another line has a quote.
                    false => Kind::Until { byte: b' ', back: 0, without: b'"' },
                };
                (at + length, kind)
            };
            elements.push((Literal::new(&bytes[from..begin]), kind));
            (from, at) = (end, end + usize::from(is_quoted));
        }
        let is_short = elements.len() <= LAYOUT_VALUES_MAX;
        let layout = Layout::new(elements, Literal::new(&bytes[from..]), slots);
        is_short.then(|| layout.lacking(Lacks::EscapesAndDelete))
    }
}

/// Where the quote is that ends the value which begins at `start`, and whether there are backslashes before it.
fn quoted_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a key may have the byte.
fn is_word(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && byte != b'=' && byte != b'"'
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::parse::Values;

    const KEYS: [&str; 4] = ["at", "path", "k", "é.x"];

    /// The values of [`KEYS`] in a line.
    fn values(line: &str) -> Result<Vec<Option<String>>, Reason> {
        let mut plan = Plan::default();
        for (slot, key) in KEYS.iter().enumerate() {
            assert_eq!(plan.ask(key), slot);
        }
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        let values = Values::new(line, &scratch);
        Ok((0..KEYS.len()).map(|slot| values.get(slot).map(str::to_owned)).collect())
    }

    /// The value of `k`.
    fn k(line: &str) -> Result<Option<String>, Reason> {
        values(line).map(|values| values[2].clone())
    }

    fn some(text: &str) -> Result<Option<String>, Reason> {
        Ok(Some(text.to_owned()))
    }

    /// The grammar with a character at a time and everything copied.
    fn naive(line: &str) -> Result<Vec<Option<String>>, Reason> {
        let chars: Vec<char> = line.chars().collect();
        if chars.contains(&'\0') {
            return Err(Reason::Malformed);
        }
        let blank = |c: char| c == ' ' || c == '\t';
        let word = |c: char| !c.is_ascii_control() && c != ' ' && c != '=' && c != '"';
        let mut found = HashMap::new();
        let mut i = 0;
        while i < chars.len() {
            if blank(chars[i]) {
                i += 1;
                continue;
            }
            let mut key = String::new();
            while i < chars.len() && word(chars[i]) {
                key.push(chars[i]);
                i += 1;
            }
            if i == chars.len() || blank(chars[i]) {
                continue;
            }
            if chars[i] != '=' || key.is_empty() {
                return Err(Reason::Malformed);
            }
            i += 1;
            let mut value = String::new();
            if i < chars.len() && chars[i] == '"' {
                i += 1;
                loop {
                    match *chars.get(i).ok_or(Reason::Malformed)? {
                        '"' => break,
                        '\\' => {
                            let next = *chars.get(i + 1).ok_or(Reason::Malformed)?;
                            match next {
                                'n' => value.push('\n'),
                                't' => value.push('\t'),
                                '"' | '\\' => value.push(next),
                                other => value.extend(['\\', other]),
                            }
                            i += 2;
                        }
                        c => {
                            value.push(c);
                            i += 1;
                        }
                    }
                }
                i += 1;
            } else {
                while i < chars.len() && (word(chars[i]) || chars[i] == '=') {
                    value.push(chars[i]);
                    i += 1;
                }
            }
            if i < chars.len() && !blank(chars[i]) {
                return Err(Reason::Malformed);
            }
            found.insert(key, value);
        }
        if found.is_empty() {
            return Err(Reason::Malformed);
        }
        let present = |value: &String| !matches!(value.as_str(), "" | "-");
        Ok(KEYS.map(|key| found.get(key).cloned().filter(present)).into())
    }

    #[test]
    fn values_are_bare_or_quoted() {
        let line = "at=2018-12-18T09:30:00Z path=\"/x y?a=b\"\tk=1 é.x=\"\" other=z";
        let all = [Some("2018-12-18T09:30:00Z"), Some("/x y?a=b"), Some("1"), None];
        assert_eq!(values(line), Ok(all.map(|value| value.map(str::to_owned)).into()));
    }

    #[test]
    fn escapes_are_resolved_and_unknown_ones_stay() {
        assert_eq!(k(r#"k="a \"b\" \\ \n \t \u00e9 \ud83d\ude00""#), some("a \"b\" \\ \n \t é 😀"));
        assert_eq!(k(r#"k="\q \x1b \xff""#), some(r"\q \x1b \xff"));
        assert_eq!(k(r#"k="\q \x1b""#), some("\\q \u{1b}"));
        assert_eq!(k(r"k=a\nb"), some(r"a\nb"));
        assert_eq!(k(r#"k="\\""#), some("\\"));
    }

    #[test]
    fn a_bare_value_may_have_equals_signs() {
        assert_eq!(k("k=/x?a=b&c=d at=1"), some("/x?a=b&c=d"));
        assert_eq!(k("k=YQ=="), some("YQ=="));
        assert_eq!(k("k=="), some("="));
    }

    #[test]
    fn a_word_alone_says_nothing() {
        assert_eq!(k("Dec 18 09:30:00 web app[1]: k=1 k done"), some("1"));
        assert_eq!(k("k at=1"), Ok(None));
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        assert_eq!(k("k=1 k=2"), some("2"));
        assert_eq!(k("k=1 k="), Ok(None));
        assert_eq!(k("k=1 k=\"-\""), Ok(None));
    }

    #[test]
    fn what_is_no_logfmt_is_malformed() {
        for bad in ["", " ", "k", "GET /x 200", "=x", "k=1 =x", "k=1 = 2", "k\"=1", "\"k\"=1"] {
            assert_eq!(k(bad), Err(Reason::Malformed), "{bad}");
        }
        for bad in ["k=\"1", "k=\"1\\\"", "k=\"\\", "k=\"1\"2", "k=\"1\"at=2", "k=1\"", "k=a\"b\""]
        {
            assert_eq!(k(bad), Err(Reason::Malformed), "{bad}");
        }
        for bad in ["k=1\0", "k=\"\0\"", "k=1\u{1b}[0m", "\u{1b}[36mk\u{1b}[0m=1", "k=\x7f"] {
            assert_eq!(k(bad), Err(Reason::Malformed), "{bad:?}");
        }
        assert_eq!(k(r#"{"k":"1","path":"/x?a=b"}"#), Err(Reason::Malformed));
        assert_eq!(k(r#"10.0.0.7 - - [t] "GET /x?k=1 HTTP/1.1" 200 5"#), Err(Reason::Malformed));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn equals_the_grammar_on_mutated_lines(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "at", "path", "k", "é.x", "=", "=", "=", "\"", "\"", "\"", "\\", " ", " ", " ", "\t", "-", "1",
                    "/x?a=b", "k=\"1 2\" ", "n", "\u{7f}", "\u{1b}", "\0",
                ]),
                0..24,
            )
        ) {
            let line = parts.concat();
            prop_assert_eq!(values(&line), naive(&line), "{:?}", line);
        }

        #[test]
        fn a_quoted_value_reads_back(value in "[^\0]{0,12}") {
            let mut written = String::new();
            for c in value.chars() {
                match c {
                    '"' | '\\' => written.extend(['\\', c]),
                    '\n' => written.push_str("\\n"),
                    c => written.push(c),
                }
            }
            let read = k(&format!("at=1 k=\"{written}\" word")).unwrap();
            prop_assert_eq!(read, Some(value).filter(|value| !value.is_empty() && value != "-"));
        }
    }
}
