//! Where a value ends.

use wide::u8x16;

use crate::limits::LAYOUT_QUOTED_BYTES_MAX;
use crate::time;
use crate::word;

/// Bytes looked at in one step.
const STEP: usize = 16;

/// Where a JSON string's inner part ends that begins at `begin`: the position of its closing quote, and whether there are
/// escapes before it. None if it does not end, holds a control character, or an escape that is none (RFC 8259, section 7;
/// as serde_json has it, a surrogate need not have its partner).
#[inline(always)]
pub(super) fn json_string_end(bytes: &[u8], begin: usize) -> Option<(usize, bool)> {
    let mut at = begin;
    let mut escaped = false;
    loop {
        let special = next_special(bytes, at)?;
        match bytes[special] {
            b'"' => return Some((special, escaped)),
            b'\\' => {
                escaped = true;
                at = special + 1 + escape_length(&bytes[special + 1..])?;
            }
            _ => return None,
        }
    }
}

/// The quotes of a line without backslashes and control characters.
pub(super) struct Quotes {
    /// A bit for each byte, and none behind them.
    words: [u64; LAYOUT_QUOTED_BYTES_MAX / WORD + 1],
}

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

impl Quotes {
    /// None of a line that is too long, or has bytes that stand for others or must not be in a string.
    #[inline(always)]
    pub(super) fn of(line: &[u8]) -> Option<Quotes> {
        if line.len() > LAYOUT_QUOTED_BYTES_MAX {
            return None;
        }
        let mut quotes = Quotes { words: [0; LAYOUT_QUOTED_BYTES_MAX / WORD + 1] };
        let mut others = u8x16::splat(0);
        let (blocks, rest) = line.as_chunks::<WORD>();
        for (block, word) in blocks.iter().zip(&mut quotes.words) {
            let odd;
            (*word, odd) = look(block);
            others |= odd;
        }
        if let Some(word) = quotes.words.get_mut(blocks.len()).filter(|_| !rest.is_empty()) {
            let mut block = [b' '; WORD];
            block[..rest.len()].copy_from_slice(rest);
            let odd;
            (*word, odd) = look(&block);
            others |= odd;
        }
        (others.to_bitmask() == 0).then_some(quotes)
    }

    /// The first quote from `at` on.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        let mut index = at / WORD;
        // The bits from `at` on, of this word and the next: whether a value crosses from one to the other can't be foreseen.
        let ([word, next], bit) = (*self.words.get(index..)?.first_chunk()?, at % WORD);
        let window = word >> bit | next << 1 << (WORD - 1 - bit);
        if window != 0 {
            return Some(at + window.trailing_zeros() as usize);
        }
        index += 1;
        loop {
            let word = *self.words.get(index)?;
            if word != 0 {
                return Some(index * WORD + word.trailing_zeros() as usize);
            }
            index += 1;
        }
    }
}

/// A bit for each quote of a block, and whether there are backslashes or control characters.
#[inline(always)]
fn look(block: &[u8; WORD]) -> (u64, u8x16) {
    let quotes = |step: u8x16| u64::from(step.simd_eq(u8x16::splat(b'"')).to_bitmask());
    // Control characters are those that a minimum with the last of them leaves as they are.
    let odd = |step: u8x16| {
        step.simd_eq(u8x16::splat(b'\\')) | step.min(u8x16::splat(0x1f)).simd_eq(step)
    };
    let (steps, _) = block.as_chunks::<STEP>();
    let [a, b, c, d] = steps else { return (0, u8x16::splat(u8::MAX)) };
    let [a, b, c, d] = [a, b, c, d].map(|step| u8x16::new(*step));
    let word = quotes(a) | quotes(b) << 16 | quotes(c) << 32 | quotes(d) << 48;
    (word, (odd(a) | odd(b)) | (odd(c) | odd(d)))
}

/// Whether there are neither backslashes nor control characters.
#[inline(always)]
pub(super) fn lacks_escapes(line: &[u8]) -> bool {
    // Without an early exit this is a few vector instructions.
    line.iter().fold(true, |lacks, byte| lacks & (*byte >= 0x20) & (*byte != b'\\'))
}

/// How long the escape is whose backslash stands before these bytes.
#[cold]
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' if bytes.get(1..5)?.iter().all(u8::is_ascii_hexdigit) => Some(5),
        _ => None,
    }
}

/// The first quote, backslash or control character from `at` on.
#[inline(always)]
fn next_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(step) = bytes.get(at..).and_then(<[u8]>::first_chunk::<STEP>) {
        let found = specials(step);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += STEP;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| is_special(*byte)).map(|index| at + index)
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// A bit for each byte that is special.
#[inline(always)]
fn specials(step: &[u8; STEP]) -> u32 {
    let bytes = u8x16::new(*step);
    let quotes = bytes.simd_eq(u8x16::splat(b'"'));
    let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
    // Control characters are those that a minimum with the last of them leaves as they are.
    let controls = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (quotes | backslashes | controls).to_bitmask()
}

/// The first such byte from `begin` on, if the other does not come before it.
#[inline(always)]
pub(super) fn find(bytes: &[u8], begin: usize, byte: u8, other: u8) -> Option<usize> {
    let mut at = begin;
    while let Some(step) = bytes.get(at..).and_then(<[u8]>::first_chunk::<STEP>) {
        let step = u8x16::new(*step);
        let found = step.simd_eq(u8x16::splat(byte)) | step.simd_eq(u8x16::splat(other));
        let found = found.to_bitmask();
        if found != 0 {
            at += found.trailing_zeros() as usize;
            return (bytes[at] == byte).then_some(at);
        }
        at += STEP;
    }
    let rest = bytes.get(at..)?;
    let found = at + rest.iter().position(|b| *b == byte || *b == other)?;
    (bytes[found] == byte).then_some(found)
}

/// Where a JSON number, `true`, `false` or `null` ends that begins at `begin` (RFC 8259, section 6). None if there is none.
/// Whether what follows may follow is for the layout to say.
#[inline(always)]
pub(crate) fn json_scalar_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let first = *bytes.get(begin)?;
    let digits = digits_end(bytes, begin);
    // Nearly every number is a short run of digits.
    if digits > begin && (first != b'0' || digits == begin + 1) {
        return match bytes.get(digits) {
            Some(b'.' | b'e' | b'E') => number_end(bytes, begin),
            _ => Some(digits),
        };
    }
    match first {
        b'-' => number_end(bytes, begin),
        b't' if bytes[begin..].starts_with(b"true") => Some(begin + 4),
        b'f' if bytes[begin..].starts_with(b"false") => Some(begin + 5),
        b'n' if bytes[begin..].starts_with(b"null") => Some(begin + 4),
        _ => None,
    }
}

#[inline(always)]
fn digits_end(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin;
    // Eight at once: how many digits a number has can't be foreseen.
    if let Some(eight) = word::short_at(bytes, begin) {
        let count = time::digits(eight);
        if count < size_of_val(&eight) {
            return begin + count;
        }
        at += count;
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// Where a number ends, of whatever form.
fn number_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let some_digits = |begin: usize| Some(digits_end(bytes, begin)).filter(|&end| end > begin);
    let whole = begin + usize::from(bytes.get(begin) == Some(&b'-'));
    let mut at = some_digits(whole)?;
    if bytes[whole] == b'0' && at > whole + 1 {
        return None;
    }
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = some_digits(at + 1 + sign)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_special_byte_is_seen(step in prop::array::uniform16(any::<u8>())) {
            let naive = (0..STEP).filter(|&i| is_special(step[i])).fold(0, |all, i| all | 1 << i);
            prop_assert_eq!(specials(&step), naive);
        }

        #[test]
        fn all_quotes_are_found_at_once(line in "([ -~\u{e9}]{0,90}|[\"a\u{7f}]{0,300}|[\"a\\\\\u{1f}]{0,40})") {
            let is_odd = |byte: u8| is_special(byte) && byte != b'"';
            let quotes = Quotes::of(line.as_bytes());
            prop_assert_eq!(quotes.is_none(), line.bytes().any(is_odd));
            for at in 0..=line.len() {
                let next = line.as_bytes()[at..].iter().position(|byte| *byte == b'"').map(|i| at + i);
                prop_assert!(quotes.as_ref().is_none_or(|quotes| quotes.next(at) == next));
            }
        }

        /// A text that serde_json takes as a string, or as a scalar, ends where it ends; one that it refuses does not.
        #[test]
        fn strings_and_scalars_end_where_serde_json_ends_them(
            text in prop_oneof![
                "[ a-c\"\\\\u0-9\u{1}é/]{0,40}",
                "-?[0-9.eE+-]{0,8}",
                "(true|false|null|tru|nulll|0|-|01|1e5|-0.0){1,2}",
            ],
        ) {
            let quoted = format!("\"{text}\"");
            let is_string = serde_json::from_str::<&serde_json::value::RawValue>(&quoted).is_ok();
            let end = json_string_end(quoted.as_bytes(), 1);
            prop_assert_eq!(end.is_some_and(|(end, _)| end + 1 == quoted.len()), is_string);
            prop_assert!(end.is_none_or(|(end, escaped)| escaped == quoted[1..end].contains('\\')));

            let is_scalar = !text.starts_with(['"', ' '])
                && !text.ends_with(' ')
                && serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(json_scalar_end(text.as_bytes(), 0) == Some(text.len()) && !text.is_empty(), is_scalar);
        }
    }
}
