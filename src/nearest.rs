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

/// How many characters must be inserted, removed, replaced or swapped with their neighbour to turn
/// `a` into `b`, no place touched twice (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (a, b) = (lower(a), lower(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i.max(j);
                continue;
            }
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["partner", "api", "granted_at", "revoked_at"];
        assert_eq!(nearest("parnter", known), Some("partner"));
        assert_eq!(nearest("granted", known), Some("granted_at"));
        assert_eq!(nearest("aip", known), Some("api"));
        assert_eq!(nearest("API", known), Some("api"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
