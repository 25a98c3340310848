//! The known word nearest to one that is not known: for hints.
//!
//! Knows nothing of what the words are.

/// Longer words are compared by this many characters; nobody mistypes more.
const CHARS_MAX: usize = 64;

/// The known word with the fewest edits to `word`, the first of them if several; `None` without any.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|candidate| distance(word, candidate))
}

/// As [`nearest`], but `None` if even that one differs in more than a third of the word:
/// for names a user made up, where a far one would only mislead.
pub(crate) fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits_max = (word.chars().count() / 3).max(1);
    nearest(word, known).filter(|candidate| distance(word, candidate) <= edits_max)
}

/// The hint on a word that is not known, if one that is known is [`similar`].
pub(crate) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    similar(word, known).map(|similar| format!("did you mean `{similar}`?"))
}

/// A message on a word that is not known, with that hint behind it.
pub(crate) fn with_hint<'a>(
    message: String,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match did_you_mean(word, known) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// Edits (insert, delete, replace, swap neighbours) between two words, without regard to case:
/// the restricted Damerau-Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| -> Vec<char> {
        word.chars().take(CHARS_MAX).flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (letters(a), letters(b));
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_with_fewest_edits() {
        let columns = ["partner", "granted_at", "expires_at", "revoked_at"];
        assert_eq!(nearest("revokedat", columns), Some("revoked_at"));
        assert_eq!(nearest("Partner", columns), Some("partner"));
        assert_eq!(nearest("aprtner", columns), Some("partner"));
        assert_eq!(nearest("", columns), Some("partner"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_far_word_is_not_similar() {
        assert_eq!(similar("reelhous", ["reelhouse", "seekly"]), Some("reelhouse"));
        assert_eq!(similar("acme", ["reelhouse", "seekly"]), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ABC", "abc"), 0);
    }
}
