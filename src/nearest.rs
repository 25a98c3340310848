//! The known word nearest to a mistyped one, for error messages.
//!
//! Knows nothing of what the words stand for.

/// The known word that `word` most likely means, or `None` where none is near.
///
/// Near means an edit distance of at most a third of the longer word, and at least 1;
/// of equally near ones the first counts. Case does not matter.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let far = (word.chars().count().max(candidate.chars().count()) / 3).max(1);
        let distance = distance(word, candidate);
        if distance <= far && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, removed or replaced to turn `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["partner", "api", "granted_at", "revoked_at"];
        assert_eq!(nearest("parnter", known), Some("partner"));
        assert_eq!(nearest("granted", known), Some("granted_at"));
        assert_eq!(nearest("API", known), Some("api"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
