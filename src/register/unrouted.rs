//! The path of a call where there are no routes: what looks like an id becomes `{id}`,
//! so that calls to one endpoint fall together and no person's id is shown.
//!
//! A guess for runs without a register; nothing is judged by it.

use super::target;

/// Longer segments are ids whatever is in them: no endpoint has such a name.
const CHARS_MAX: usize = 40;
/// A version's numbers have at most so many digits: `v2`, `v2.11`, `v201`, but `v81234` is somebody.
const VERSION_DIGITS_MAX: usize = 3;

/// The normalised path of a target, without its query, with `{id}` for segments that look like ids.
pub fn template_of(target: &str) -> String {
    let mut target = target::normalise(target);
    for segment in &mut target.segments {
        if is_id(segment) {
            "{id}".clone_into(segment);
        }
    }
    target.to_string()
}

/// Whether a segment of a normalised path looks like an id.
///
/// Rather an endpoint with a digit in its name too many (`/oauth2` becomes `/{id}`) than one person's `t-7` shown.
pub fn is_id(segment: &str) -> bool {
    let has_digit = segment.chars().any(char::is_numeric);
    (has_digit && !is_version(segment))
        || segment.chars().count() > CHARS_MAX
        || is_uuid(segment)
        || segment.contains('@')
}

/// Whether a segment is `v` and numbers with dots between.
pub fn is_version(segment: &str) -> bool {
    segment.strip_prefix(['v', 'V']).is_some_and(|numbers| {
        numbers.split('.').all(|number| {
            (1..=VERSION_DIGITS_MAX).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// Whether it is a UUID as RFC 9562 writes it, in either case.
fn is_uuid(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_id_is_folded() {
        for id in [
            "7",
            "0123456789",
            "a@b",
            "a%40b",
            "abcdefg1",
            "t-7",
            "user_81",
            "u81",
            "7b",
            "2018-12",
            "v81234",
            "v1.",
            "v2-7",
            "\u{663}",
            "a%40b.example",
            "abcdefab-abcd-abcd-abcd-abcdefabcdef",
            &"x".repeat(41),
        ] {
            assert_eq!(template_of(&format!("/users/{id}/mail?x=1")), "/users/{id}/mail");
        }
    }

    #[test]
    fn what_does_not_is_kept() {
        for name in
            ["v1", "V2", "v2.1", "v2.11.104", "messages", "a-long-name-without", &"x".repeat(40)]
        {
            let path = format!("/{name}");
            assert_eq!(template_of(&path), path);
        }
        assert_eq!(template_of("https://api.example//a/./b#c"), "/a/b");
        assert_eq!(template_of(""), "/");
    }
}
