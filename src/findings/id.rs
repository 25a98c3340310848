//! The stable name of a finding: the same problem has the same id every night.

use super::Kind;

/// What every id begins with, and no kind.
pub const ID_PREFIX: &str = "os-";

/// Characters of an id behind its prefix, and what they are.
const DIGITS: usize = 12;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Whether a text is an id, or the beginning of one longer than its prefix.
pub fn begins_id(text: &str) -> bool {
    text.strip_prefix(ID_PREFIX).is_some_and(|digits| {
        (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| ALPHABET.contains(&b))
    })
}

/// What makes a finding one problem; what its kind does not tell apart stays empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// The partner.
    pub partner: &'a str,
    /// The api.
    pub api: &'a str,
    /// The grant.
    pub grant: &'a str,
    /// The credential's digest in hex.
    pub credential: &'a str,
}

/// `os-` and 60 bits of BLAKE3 over kind and identity, in base 32 (RFC 4648, lower case).
///
/// Each part goes in with its length before it, so that no two identities read alike.
pub fn id(kind: Kind, identity: Identity<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    let Identity { partner, api, grant, credential } = identity;
    for part in [kind.as_str(), partner, api, grant, credential] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize();
    let bits = hash.as_bytes()[..8].iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    let digit = |index: usize| ALPHABET[(bits >> (59 - 5 * index) & 31) as usize] as char;
    ID_PREFIX.chars().chain((0..DIGITS).map(digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Verdict;

    #[test]
    fn ids_are_stable_and_tell_parts_apart() {
        let kind = Kind::Verdict(Verdict::NeverGranted);
        let of = |partner, api| id(kind, Identity { partner, api, ..Identity::default() });
        assert_eq!(of("ab", "c"), of("ab", "c"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        let id = of("ab", "c");
        let (prefix, digits) = id.split_at(3);
        assert_eq!(prefix, "os-");
        assert_eq!(digits.len(), 12);
        assert!(digits.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
    }
}
