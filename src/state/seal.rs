//! The privacy key: what of a state tells of people is enciphered under it.
//!
//! AES-SIV (RFC 5297) is deterministic: the same hashes under the same key give the same bytes, so that two runs over the same
//! logs write the same state. It tells whether anything was changed, too. Losing the key makes what it sealed meaningless.

use std::fs;
use std::path::Path;

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;

use crate::error::{Error, Result};
use crate::findings::hex;

/// A privacy key.
#[derive(Clone)]
pub struct PrivacyKey([u8; KEY_BYTES]);

const KEY_BYTES: usize = 32;
/// What a key file says of itself before the key.
const PREFIX: &str = "overstay-key-1:";
const SEAL_CONTEXT: &str = "overstay 2026-11 state seal first half";
const SEAL_CONTEXT_2: &str = "overstay 2026-11 state seal second half";
const CHECK_CONTEXT: &str = "overstay 2026-11 privacy key check";

impl std::fmt::Debug for PrivacyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivacyKey(…)")
    }
}

impl PrivacyKey {
    /// A new one, from the operating system's source of chance.
    ///
    /// # Errors
    ///
    /// If that gives none.
    pub fn random() -> Result<PrivacyKey> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)
            .map_err(|error| Error::new(format!("no random bytes for a privacy key: {error}")))?;
        Ok(PrivacyKey(key))
    }

    /// The key that a file holds; none if there is no such file.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or holds no key.
    pub fn read(path: &Path) -> Result<Option<PrivacyKey>> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(shown, error)),
        };
        let key = text.trim_end().strip_prefix(PREFIX).and_then(of_hex);
        key.map(PrivacyKey).map(Some).ok_or_else(|| {
            Error::new(format!(
                "{shown}: found no privacy key, expected `{PREFIX}` and {} hex digits",
                2 * KEY_BYTES
            ))
            .hint("it is a file that `overstay nightly` makes; restore it from a backup")
        })
    }

    /// What its file holds.
    pub fn file(&self) -> String {
        format!("{PREFIX}{}\n", hex(&self.0))
    }

    /// Tells this key from others, and nothing else of it.
    pub fn check(&self) -> [u8; 32] {
        blake3::derive_key(CHECK_CONTEXT, &self.0)
    }

    fn cipher(&self) -> Aes256Siv {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&blake3::derive_key(SEAL_CONTEXT, &self.0));
        key[32..].copy_from_slice(&blake3::derive_key(SEAL_CONTEXT_2, &self.0));
        Aes256Siv::new(&key.into())
    }

    /// Enciphers. `about` is what it belongs to: it opens for that alone.
    ///
    /// # Errors
    ///
    /// If it is longer than the cipher allows: 2^36 bytes.
    pub(super) fn seal(&self, about: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        self.cipher()
            .encrypt([about], plain)
            .map_err(|error| Error::new(format!("the state can't be enciphered: {error}")))
    }

    /// Deciphers; none if it was sealed with another key or about something else, or has changed.
    pub(super) fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.cipher().decrypt([about], sealed).ok()
    }
}

fn of_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits = text.as_bytes();
    let mut key = [0; KEY_BYTES];
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overstay.key");
        assert!(PrivacyKey::read(&path).unwrap().is_none());
        let key = PrivacyKey::random().unwrap();
        fs::write(&path, key.file()).unwrap();
        assert_eq!(PrivacyKey::read(&path).unwrap().unwrap().0, key.0);
        for wrong in ["", "overstay-key-1:", "overstay-key-1:zz", &key.file()[..40]] {
            fs::write(&path, wrong).unwrap();
            assert!(PrivacyKey::read(&path).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_alone() {
        let [key, other] = [1, 2].map(|byte| PrivacyKey([byte; KEY_BYTES]));
        let sealed = key.seal(b"day 1", b"people").unwrap();
        assert_eq!(sealed, key.seal(b"day 1", b"people").unwrap(), "it is deterministic");
        assert_eq!(key.open(b"day 1", &sealed).as_deref(), Some(&b"people"[..]));
        assert_eq!(other.open(b"day 1", &sealed), None);
        assert_eq!(key.open(b"day 2", &sealed), None);
        assert!(!sealed.windows(6).any(|bytes| bytes == b"people"));
        assert_ne!(key.check(), other.check());
    }
}
