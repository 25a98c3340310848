//! The path of a call where there are no routes: what looks like an id becomes `{id}`,
//! so that calls to one endpoint fall together and no person's id is shown.
//!
//! A guess for runs without a register; nothing is judged by it.

use super::target;

/// Segments of at least this many characters with a digit among them are ids: `inv-2024-01`, but not `v1`.
const CHARS_WITH_DIGIT_MIN: usize = 8;
/// Longer segments are ids whatever is in them: no endpoint has such a name.
const CHARS_MAX: usize = 40;

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

fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let chars = segment.chars().count();
    digits == segment.len()
        || chars > CHARS_MAX
        || (chars >= CHARS_WITH_DIGIT_MIN && digits > 0)
        || is_uuid(segment)
        || target::decode(segment).contains('@')
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
            "abcdefab-abcd-abcd-abcd-abcdefabcdef",
            "a@b",
            "a%40b",
            "abcdefg1",
            &"x".repeat(41),
        ] {
            assert_eq!(template_of(&format!("/users/{id}/mail?x=1")), "/users/{id}/mail");
        }
    }

    #[test]
    fn what_does_not_is_kept() {
        for name in ["v1", "messages", "abcdef1", "a-long-name-without", &"x".repeat(40)] {
            let path = format!("/{name}");
            assert_eq!(template_of(&path), path);
        }
        assert_eq!(template_of("https://api.example//a/./b#c"), "/a/b");
        assert_eq!(template_of(""), "/");
    }
}
