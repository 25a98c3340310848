//! Tables from a log's values to what they mean: the `map` of a source, and `outcomes`.
//!
//! Knows no call fields; whether values are words or numbers is for the format to say.

use std::collections::BTreeMap;

use crate::parse::number::Decimal;

/// Meanings by the value as written, by the whole number it is, or by how it begins or ends.
///
/// A status is the same however a logger writes it: `302`, `"302"`, `302.0`, `0302`, `3.02e2`. A table that compared
/// texts alone would let a refused call pass as served. Words have no such number, and of them only the text counts.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    by_text: BTreeMap<String, T>,
    by_number: BTreeMap<i128, T>,
    /// Those with the longer text in front.
    by_pattern: Vec<(Pattern, T)>,
}

/// A key with a star in front, behind or both: a value that ends, begins or goes on so.
///
/// Codes come in families (`AccessDenied`, `AccessDeniedException`) that nobody could list.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    open_start: bool,
    open_end: bool,
}

impl Pattern {
    /// The pattern that a key is, if it is one.
    fn new(key: &str) -> Option<Pattern> {
        let rest = key.strip_prefix('*');
        let (open_start, rest) = (rest.is_some(), rest.unwrap_or(key));
        let text = rest.strip_suffix('*');
        let open_end = text.is_some();
        let text = text.unwrap_or(rest).to_owned();
        (open_start || open_end).then_some(Pattern { text, open_start, open_end })
    }

    fn fits(&self, value: &str) -> bool {
        match (self.open_start, self.open_end) {
            (true, true) => value.contains(&self.text),
            (true, false) => value.ends_with(&self.text),
            (false, _) => value.starts_with(&self.text),
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { by_text: BTreeMap::new(), by_number: BTreeMap::new(), by_pattern: Vec::new() }
    }
}

impl<T: Clone> Table<T> {
    /// A table of words.
    pub(crate) fn of_words(entries: impl IntoIterator<Item = (String, T)>) -> Table<T> {
        let by_text: BTreeMap<String, T> = entries.into_iter().collect();
        let mut by_pattern: Vec<(Pattern, T)> = by_text
            .iter()
            .filter_map(|(key, meaning)| Some((Pattern::new(key)?, meaning.clone())))
            .collect();
        by_pattern.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.text.len()));
        Table { by_text, by_number: BTreeMap::new(), by_pattern }
    }

    /// A table of numbers, and of words among them. Of several keys that are one number the
    /// one without zeros, sign and point counts.
    pub(crate) fn of_numbers(entries: impl IntoIterator<Item = (String, T)>) -> Table<T> {
        let mut table = Table::of_words(entries);
        for (text, meaning) in &table.by_text {
            let Some(number) = whole(text) else { continue };
            if number.to_string() == *text {
                table.by_number.insert(number, meaning.clone());
            } else {
                table.by_number.entry(number).or_insert_with(|| meaning.clone());
            }
        }
        table
    }

    /// What a value means: by its text, else by its number, else by the longest pattern that it fits.
    pub(crate) fn get(&self, value: &str) -> Option<&T> {
        // Most tables are of words: no need to read a number to find it is in none.
        let by_number =
            || (!self.by_number.is_empty()).then(|| self.by_number.get(&whole(value)?))?;
        let by_pattern = || {
            let fitting = self.by_pattern.iter().find(|(pattern, _)| pattern.fits(value));
            fitting.map(|(_, meaning)| meaning)
        };
        self.by_text.get(value).or_else(by_number).or_else(by_pattern)
    }

    /// Whether nothing means anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    /// All meanings, in the order of their keys.
    pub(crate) fn meanings(&self) -> impl Iterator<Item = &T> {
        self.by_text.values()
    }
}

/// The whole number that a text is, however it is written.
fn whole(text: &str) -> Option<i128> {
    let number = Decimal::parse(text)?;
    let (magnitude, exact) = number.scaled(0)?;
    let magnitude = i128::try_from(magnitude).ok().filter(|_| exact)?;
    Some(if number.negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, char)]) -> Vec<(String, char)> {
        pairs.iter().map(|(text, meaning)| ((*text).to_owned(), *meaning)).collect()
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let table = Table::of_numbers(entries(&[("302", 'a'), ("-1", 'b'), ("000", 'c')]));
        for same in ["302", "302.0", "0302", "3.02e2", "+302", "30200e-2"] {
            assert_eq!(table.get(same), Some(&'a'), "{same}");
        }
        assert_eq!(table.get("-1.0"), Some(&'b'));
        assert_eq!(table.get("0"), Some(&'c'));
        for other in ["302.5", "3020", "-302", "x302", "", "1e99"] {
            assert_eq!(table.get(other), None, "{other}");
        }
    }

    #[test]
    fn the_text_goes_before_the_number_and_the_plain_key_before_others() {
        let table = Table::of_numbers(entries(&[("0302", 'a'), ("302", 'b'), ("302.0", 'c')]));
        assert_eq!(table.get("0302"), Some(&'a'));
        assert_eq!(table.get("302.0"), Some(&'c'));
        assert_eq!(table.get("302.00"), Some(&'b'));
    }

    #[test]
    fn a_star_stands_for_any_text_and_the_longest_pattern_counts() {
        let pairs =
            [("a*", 'a'), ("*z", 'b'), ("*mid*", 'c'), ("a-mid", 'd'), ("*", 'e'), ("7", 'f')];
        let table = Table::of_numbers(entries(&pairs));
        for (value, meaning) in [
            ("a", 'a'),
            ("ab", 'a'),
            ("xz", 'b'),
            ("mid", 'c'),
            ("a-mid-z", 'c'),
            ("a-mid", 'd'),
            ("x", 'e'),
            ("7.0", 'f'),
            ("8", 'e'),
        ] {
            assert_eq!(table.get(value), Some(&meaning), "{value}");
        }
        // A star within is a star.
        let table = Table::of_words(entries(&[("a*z", 'a')]));
        assert_eq!((table.get("a*z"), table.get("abz")), (Some(&'a'), None));
    }

    #[test]
    fn words_are_compared_as_texts() {
        let table = Table::of_words(entries(&[("1", 'a')]));
        assert_eq!((table.get("1"), table.get("01")), (Some(&'a'), None));
    }
}
