//! Several bytes of a text at once, as a number: the first byte lowest, and zeros for those behind the text's end.
//!
//! To compare short texts so takes a few instructions, where a call to compare memory takes many.

/// Bytes of a long word.
pub(crate) const LONG: usize = size_of::<u128>();

/// The sixteen bytes from `at` on. None if the text itself is shorter than that, or `at` behind its end.
#[inline(always)]
pub(crate) fn long_at(text: &[u8], at: usize) -> Option<u128> {
    let rest = text.get(at..)?;
    if let Some(whole) = rest.first_chunk() {
        return Some(u128::from_le_bytes(*whole));
    }
    let last = u128::from_le_bytes(*text.last_chunk::<LONG>()?);
    // Of the last sixteen those that lie before `at` are moved out; all of them, where nothing is behind it.
    Some(last.checked_shr(8 * (LONG - rest.len()) as u32).unwrap_or(0))
}

/// The eight bytes from `at` on. None if the text itself is shorter than that, or `at` behind its end.
#[inline(always)]
pub(crate) fn short_at(text: &[u8], at: usize) -> Option<u64> {
    const SHORT: usize = size_of::<u64>();
    let rest = text.get(at..)?;
    if let Some(whole) = rest.first_chunk() {
        return Some(u64::from_le_bytes(*whole));
    }
    let last = u64::from_le_bytes(*text.last_chunk::<SHORT>()?);
    Some(last.checked_shr(8 * (SHORT - rest.len()) as u32).unwrap_or(0))
}

/// The bits of a long word's first so many bytes, up to [`LONG`].
pub(crate) const FIRST: [u128; LONG + 1] = {
    let mut masks = [u128::MAX; LONG + 1];
    let mut count = 0;
    while count < LONG {
        masks[count] = (1 << (8 * count)) - 1;
        count += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_the_bytes_and_zeros_behind(text in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..42) {
            let padded = |count: usize| {
                let rest = text.get(at..)?;
                let mut bytes = rest.iter().copied().chain(std::iter::repeat(0));
                (text.len() >= count).then(|| (0..count).fold(0u128, |word, i| word | u128::from(bytes.next().unwrap_or(0)) << (8 * i)))
            };
            prop_assert_eq!(long_at(&text, at), padded(16));
            prop_assert_eq!(short_at(&text, at).map(u128::from), padded(8));
        }
    }

    #[test]
    fn the_first_bytes_are_the_lowest() {
        for (count, mask) in FIRST.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..LONG).map(|i| if i < count { 0xff } else { 0 }).collect();
            assert_eq!(mask.to_le_bytes().as_slice(), bytes.as_slice());
        }
    }
}
