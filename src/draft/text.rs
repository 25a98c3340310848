//! Texts of logs as parts of names.

/// The longest slug, in bytes.
const SLUG_MAX: usize = 48;

/// A text as an id that is easily typed: lower case, letters, digits, `_` and points, with a `-` for all between.
/// Empty if nothing is left.
pub fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len().min(SLUG_MAX));
    for c in text.chars().flat_map(char::to_lowercase) {
        if slug.len() >= SLUG_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() || c == '_' || (c == '.' && !slug.is_empty()) {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches(['-', '.']).len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_easily_typed() {
        for (text, expected) in [
            ("Reelhouse App", "reelhouse-app"),
            ("..a..b..", "a..b"),
            ("--", ""),
            ("a/\u{202e}\n,b", "a-b"),
            ("Zoë", "zo"),
            (&"x".repeat(90), &"x".repeat(48)),
        ] {
            assert_eq!(slug(text), expected);
        }
    }
}
