//! Tables from a log's values to what they mean: the `map` of a source, and `outcomes`.
//!
//! Knows no call fields; whether values are words or numbers is for the format to say.

use std::collections::BTreeMap;

use crate::parse::number::Decimal;

/// Meanings by the value as written, or by the whole number it is.
///
/// A status is the same however a logger writes it: `302`, `"302"`, `302.0`, `0302`, `3.02e2`. A table that compared
/// texts alone would let a refused call pass as served. Words have no such number, and of them only the text counts.
#[derive(Debug)]
pub(crate) struct Table<T> {
    by_text: BTreeMap<String, T>,
    by_number: BTreeMap<i128, T>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { by_text: BTreeMap::new(), by_number: BTreeMap::new() }
    }
}

impl<T: Clone> Table<T> {
    /// A table of words.
    pub(crate) fn of_words(entries: impl IntoIterator<Item = (String, T)>) -> Table<T> {
        Table { by_text: entries.into_iter().collect(), by_number: BTreeMap::new() }
    }

    /// A table of numbers, and of words among them. Of several keys that are one number the
    /// one without zeros, sign and point counts.
    pub(crate) fn of_numbers(entries: impl IntoIterator<Item = (String, T)>) -> Table<T> {
        let by_text: BTreeMap<String, T> = entries.into_iter().collect();
        let mut by_number = BTreeMap::new();
        for (text, meaning) in &by_text {
            let Some(number) = whole(text) else { continue };
            if number.to_string() == *text {
                by_number.insert(number, meaning.clone());
            } else {
                by_number.entry(number).or_insert_with(|| meaning.clone());
            }
        }
        Table { by_text, by_number }
    }

    /// What a value means: by its text, else by its number.
    pub(crate) fn get(&self, value: &str) -> Option<&T> {
        self.by_text.get(value).or_else(|| {
            // Most tables are of words: no need to read a number to find it is in none.
            (!self.by_number.is_empty()).then(|| self.by_number.get(&whole(value)?))?
        })
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
    fn words_are_compared_as_texts() {
        let table = Table::of_words(entries(&[("1", 'a')]));
        assert_eq!((table.get("1"), table.get("01")), (Some(&'a'), None));
    }
}
