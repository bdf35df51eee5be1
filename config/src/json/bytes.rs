//! Comparing texts.

/// Whether two texts are equal. Rust's library for wasm32 compares byte by byte, so there it goes eight at a time.
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if !cfg!(target_family = "wasm") {
        return one == other;
    }
    by_words(one, other)
}

/// Whether a text begins with another one.
pub(crate) fn begins(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len()).is_some_and(|head| same(head, with))
}

/// Where a byte stands first in a text; eight at a time.
#[inline(never)]
pub(crate) fn position(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let has = |word: &[u8; 8]| {
        // Zero is the only byte from which a borrow reaches its own highest bit first.
        let zero_where_equal = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7) != 0
    };
    let (words, _) = text.as_chunks();
    let begin = words.iter().position(has).unwrap_or(words.len()) * 8;
    text.get(begin..)?.iter().position(|each| *each == byte).map(|at| begin + at)
}

#[inline]
fn by_words(one: &[u8], other: &[u8]) -> bool {
    let ((one, left), (other, right)) = (one.as_chunks(), other.as_chunks());
    let words = one.iter().zip(other).all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other));
    words && one.len() == other.len() && left == right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_where_it_stands_first() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).map(|number| [0, 1, 0x21, 0x23, 0x80, 0xa2, 0xff][number % 7]).collect();
            assert_eq!(position(&text, b'"'), None);
            for at in 0..text.len() {
                let mut text = text.clone();
                text[at..].iter_mut().step_by(3).for_each(|byte| *byte = b'"');
                assert_eq!(position(&text, b'"'), Some(at), "{text:?}");
            }
        }
    }

    #[test]
    fn texts_are_equal_where_all_bytes_are() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..=text.len() {
            let own = &text[..length];
            assert!(by_words(own, own) && begins(&text, own));
            assert_eq!(by_words(own, &text), length == text.len());
            assert_eq!(begins(own, &text), length == text.len());
            for at in 0..length {
                let mut other = own.to_vec();
                other[at] ^= 0x80;
                assert!(!by_words(own, &other) && !same(own, &other) && !begins(&text, &other), "{at} of {length}");
            }
        }
    }
}
