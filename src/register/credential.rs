//! What a credential is and how it may be shown. The same for logs and register.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use crate::limits;
use crate::word;

/// What a credential's hash begins with where it stands for the credential.
const HASH_PREFIX: &str = "sha256:";

/// The identity of a credential: the hash where `text` is `sha256:` and 64 hex digits
/// in either case, else the SHA-256 of `text`.
pub fn credential_digest(text: &str) -> [u8; 32] {
    hashed(text).and_then(digest_of_hex).unwrap_or_else(|| Sha256::digest(text.as_bytes()).into())
}

/// How reports show a credential: `…` and its last four characters, or hex digits of its hash
/// in lower case. One of four characters or fewer stands whole behind the `…`.
pub fn mask(text: &str) -> String {
    let start = text.char_indices().rev().nth(3).map_or(0, |(start, _)| start);
    let end = &text[start..];
    match is_hash(text) {
        true => format!("…{}", end.to_ascii_lowercase()),
        false => format!("…{end}"),
    }
}

/// How a credential is shown that calls or rows may spell in plain or as its hash: of its spellings
/// the smallest counts, in plain before its hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    is_hash: bool,
    masked: String,
}

impl Shown {
    /// How this spelling is shown.
    pub fn new(text: &str) -> Shown {
        Shown { is_hash: is_hash(text), masked: mask(text) }
    }

    /// One that was shown so before; `is_hash`: as the hash of what was presented.
    pub fn again(masked: String, is_hash: bool) -> Shown {
        Shown { is_hash, masked }
    }

    /// Whether it is the hash of what was presented.
    pub fn is_hash(&self) -> bool {
        self.is_hash
    }

    /// What reports print.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// Takes its place in `shown` if it is the first or the smaller.
    pub fn note_in(self, shown: &mut Option<Shown>) {
        *shown = Some(match shown.take() {
            Some(other) => other.min(self),
            None => self,
        });
    }
}

/// What is known of credentials by their text. Hashing one is dear, and a log repeats few of them.
///
/// Bounded in their number and their length: a log may bring as many as it has lines.
#[derive(Clone, Debug)]
pub struct Remembered<T> {
    /// Those of at most [`SHORT_BYTES`], as most are. They stand in the table itself: to find one is to look at one place
    /// in memory.
    short: HashMap<Short, T>,
    long: HashMap<String, T>,
}

/// A text's bytes, zeros behind them, and its length.
#[derive(Clone, Copy, Debug)]
struct Short([u64; 4]);

const SHORT_BYTES: usize = 31;

impl Short {
    #[inline]
    fn new(text: &str) -> Option<Short> {
        let bytes = text.as_bytes();
        if bytes.len() > SHORT_BYTES {
            return None;
        }
        let word = |at: usize| match word::short_at(bytes, at) {
            Some(word) => word,
            // A text of less than eight bytes, or nothing of it.
            None => {
                let rest = bytes.get(at..).unwrap_or_default().iter().zip((0..).step_by(8));
                rest.fold(0, |word, (byte, shift)| word | u64::from(*byte) << shift)
            }
        };
        // The last byte is free.
        Some(Short([word(0), word(8), word(16), word(24) | (bytes.len() as u64) << 56]))
    }
}

// Word by word: what was just made of words is not to be loaded in other pieces.
impl PartialEq for Short {
    #[inline]
    fn eq(&self, other: &Short) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0
    }
}

impl Eq for Short {}

impl Hash for Short {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_u64(*word));
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Remembered<T> {
        Remembered { short: HashMap::new(), long: HashMap::new() }
    }
}

impl<T: Copy> Remembered<T> {
    /// What is known of `text`, found out by `find` if it is not remembered.
    #[inline]
    pub fn get(&mut self, text: &str, find: impl FnOnce(&str) -> T) -> T {
        let Some(short) = Short::new(text) else { return self.get_long(text, find) };
        if let Some(&known) = self.short.get(&short) {
            return known;
        }
        let found = find(text);
        if self.short.len() >= limits::CREDENTIALS_REMEMBERED_MAX {
            self.short.clear();
        }
        self.short.insert(short, found);
        found
    }

    fn get_long(&mut self, text: &str, find: impl FnOnce(&str) -> T) -> T {
        if let Some(&known) = self.long.get(text) {
            return known;
        }
        let found = find(text);
        if text.len() <= limits::NAME_BYTES_MAX {
            if self.long.len() >= limits::CREDENTIALS_REMEMBERED_MAX {
                self.long.clear();
            }
            self.long.insert(text.to_owned(), found);
        }
        found
    }
}

/// Whether `text` is a credential's hash: `sha256:` and 64 hex digits.
pub(super) fn is_hash(text: &str) -> bool {
    hashed(text).is_some_and(|hex| digest_of_hex(hex).is_some())
}

/// What follows `sha256:`, if `text` begins with it.
pub(super) fn hashed(text: &str) -> Option<&str> {
    text.strip_prefix(HASH_PREFIX)
}

/// Reads 64 hex digits.
fn digest_of_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
        *byte = (high * 16 + low) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the example "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_plain_value_and_its_hash_are_one_credential() {
        let plain = credential_digest("abc");
        assert_eq!(plain, credential_digest(&format!("sha256:{ABC}")));
        assert_eq!(plain, credential_digest(&format!("sha256:{}", ABC.to_uppercase())));
    }

    #[test]
    fn what_only_looks_like_a_hash_is_a_plain_value() {
        for text in [format!("sha256:{}", &ABC[1..]), format!("sha256:{}g", &ABC[1..])] {
            assert!(!is_hash(&text));
            assert_eq!(credential_digest(&text), <[u8; 32]>::from(Sha256::digest(&text)));
        }
        assert_ne!(credential_digest(ABC), credential_digest("abc"));
    }

    #[test]
    fn texts_that_differ_are_remembered_apart() {
        let texts: Vec<String> = (0..=40)
            .flat_map(|length| {
                ["a".repeat(length), "\0".repeat(length), format!("{}b", "a".repeat(length))]
            })
            .collect();
        let mut remembered = Remembered::default();
        for _ in 0..2 {
            for text in &texts {
                let found = remembered.get(text, |text| (text.len(), text.bytes().last()));
                assert_eq!(found, (text.len(), text.bytes().last()), "{text:?}");
            }
        }
    }

    #[test]
    fn masked_but_for_the_last_four() {
        assert_eq!(mask("key-12345678"), "…5678");
        assert_eq!(mask("1234"), "…1234");
        assert_eq!(mask("ab"), "…ab");
        assert_eq!(mask("schlüßel"), "…üßel");
        assert_eq!(mask(&format!("sha256:{}", ABC.to_uppercase())), "…15ad");
        assert_eq!(mask("sha256:XYZW"), "…XYZW");
    }
}
