//! How a state file is framed: what it is, of which version, how long, and a checksum over all of it.
//!
//! The one file that knows bincode. Another codec could take its place behind a new version.

use std::fmt;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The kinds of state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is known of all inputs, days and findings.
    Ledger,
    /// The tally of a day.
    Segment,
    /// The ids of a day's records, where repeats are sought.
    Repeats,
    /// What was called in the hours of a day, and about whom.
    Uses,
    /// The same in numbers.
    Hours,
}

/// Of all kinds. Files of another version are refused: the logs can be read again.
pub(super) const VERSION: u32 = 4;

const MAGIC: &[u8; 8] = b"overstay";
/// Magic, kind, version, length of the payload, checksum.
const HEADER_BYTES: usize = 8 + 8 + 4 + 8 + 32;
/// A fast one: state is written every night.
const ZSTD_LEVEL: i32 = 1;

impl Kind {
    const fn word(self) -> &'static [u8; 8] {
        match self {
            Kind::Ledger => b"ledger\0\0",
            Kind::Segment => b"segment\0",
            Kind::Repeats => b"repeats\0",
            Kind::Uses => b"uses\0\0\0\0",
            Kind::Hours => b"hours\0\0\0",
        }
    }
}

/// Bytes that are stored as they are: a list of numbers is looked at one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Bytes, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> std::result::Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> std::result::Result<Bytes, E> {
        Ok(Bytes(bytes))
    }
}

/// What to do about a file that can't be used.
const HINT: &str = "restore the state folder from a backup, or forget it and read all logs again with `overstay nightly --rebuild`";

/// A value as bytes: the same for the same value.
///
/// # Errors
///
/// None that the types of this room can cause; they are passed on all the same.
pub(super) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let plain = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| Error::new(format!("the state can't be encoded: {error}")))?;
    zstd::bulk::compress(&plain, ZSTD_LEVEL)
        .map_err(|error| Error::io("the state can't be compressed", error))
}

/// The value that was packed; none if it was not packed so.
pub(super) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Option<T> {
    let plain = zstd::stream::decode_all(packed).ok()?;
    let decoded = bincode::serde::decode_from_slice(&plain, bincode::config::standard());
    let (value, length) = decoded.ok()?;
    (length == plain.len()).then_some(value)
}

/// A whole file.
///
/// # Errors
///
/// As [`pack`].
pub(super) fn encode<T: Serialize>(kind: Kind, value: &T) -> Result<Vec<u8>> {
    let payload = pack(value)?;
    let mut file = Vec::with_capacity(HEADER_BYTES + payload.len());
    file.extend(MAGIC);
    file.extend(kind.word());
    file.extend(VERSION.to_le_bytes());
    file.extend((payload.len() as u64).to_le_bytes());
    file.extend(checksum(&file, &payload));
    file.extend(payload);
    Ok(file)
}

/// What a whole file holds; `shown` is its name.
///
/// # Errors
///
/// If it is no state file, of another kind or version, not all there, or damaged.
pub(super) fn decode<T: DeserializeOwned>(shown: &str, kind: Kind, file: &[u8]) -> Result<T> {
    let refused = |what: String| Error::new(format!("{shown}: {what}")).hint(HINT);
    if !file.starts_with(&MAGIC[..file.len().min(MAGIC.len())]) {
        return Err(refused(
            "found a file that overstay did not write, expected its state".to_owned(),
        ));
    }
    let too_short = |expected: u64| {
        let found = file.len();
        refused(format!("found {found} bytes, expected {expected}: it was not written to its end"))
    };
    if file.len() < HEADER_BYTES {
        return Err(too_short(HEADER_BYTES as u64));
    }
    let (header, payload) = file.split_at(HEADER_BYTES);
    let number = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[from..from + 8]);
        u64::from_le_bytes(bytes)
    };
    let version = (number(16) & 0xffff_ffff) as u32;
    if version > VERSION {
        return Err(Error::new(format!(
            "{shown}: found format {version} of a newer overstay, expected format {VERSION}"
        ))
        .hint("run the version of overstay that wrote it, or a newer one; nothing was changed"));
    }
    if version < VERSION {
        return Err(refused(format!(
            "found format {version} of an older overstay, expected format {VERSION}"
        )));
    }
    let length = number(20);
    if (payload.len() as u64) < length {
        return Err(too_short((HEADER_BYTES as u64).saturating_add(length)));
    }
    let damaged = || refused("it is damaged: its checksum does not fit what it holds".to_owned());
    if payload.len() as u64 > length || checksum(&header[..28], payload) != header[28..] {
        return Err(damaged());
    }
    if header[8..16] != kind.word()[..] {
        return Err(refused("found another kind of state file in its place".to_owned()));
    }
    unpack(payload).ok_or_else(damaged)
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_no_byte_may_differ() {
        let value = vec!["some".to_owned(), "names".to_owned()];
        let file = encode(Kind::Ledger, &value).unwrap();
        let decoded: Vec<String> = decode("ledger", Kind::Ledger, &file).unwrap();
        assert_eq!(decoded, value);
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut other = file.clone();
                other[at] ^= 1 << bit;
                let decoded = decode::<Vec<String>>("ledger", Kind::Ledger, &other);
                assert!(decoded.is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let file = encode(Kind::Ledger, &7u32).unwrap();
        let told = |bytes: &[u8], kind| {
            let error = decode::<u32>("state/ledger", kind, bytes).unwrap_err();
            format!("{error}; {}", error.hint_text().unwrap())
        };
        let short = told(&file[..file.len() - 1], Kind::Ledger);
        assert!(short.contains("it was not written to its end"), "{short}");
        assert!(told(&file[..20], Kind::Ledger).contains("found 20 bytes, expected 60"));
        assert!(told(b"", Kind::Ledger).contains("found 0 bytes"));
        let foreign = told(b"%PDF-1.7 and so on, as long as it takes", Kind::Ledger);
        assert!(foreign.contains("did not write") && foreign.contains("--rebuild"), "{foreign}");
        assert!(told(&file, Kind::Segment).contains("another kind"));
        let mut older = file.clone();
        older[16] = 1;
        let older = told(&older, Kind::Ledger);
        assert!(older.contains("older overstay") && older.contains("--rebuild"), "{older}");
        let mut newer = file.clone();
        newer[16] = VERSION as u8 + 1;
        let newer = told(&newer, Kind::Ledger);
        assert!(newer.contains("newer overstay") && !newer.contains("--rebuild"), "{newer}");
    }
}
