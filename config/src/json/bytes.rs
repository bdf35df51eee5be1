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
