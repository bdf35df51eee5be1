//! The header map as the host hands it over.

use crate::buffer::Buffer;

/// All headers of a request in one buffer, as Proxy-Wasm serialises maps: the number of pairs, the two lengths of each, then
/// names and values, each followed by a zero byte. Numbers are 32 bits, little-endian.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Buffer);

impl Pairs {
    /// Reads a buffer; what lies beyond its end is left out.
    #[must_use]
    pub(crate) fn new(buffer: Buffer) -> Self {
        Self(buffer)
    }

    /// The values of a header in order; names are lower-case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        // A walk over the lengths is shorter than an index of them would be to make: most requests ask for one or two names.
        let named = move |&(key, _): &(&[u8], _)| key == name.as_bytes();
        self.iter().filter(named).map(|(_, value)| value)
    }

    fn iter(&self) -> Iter<'_> {
        let (count, rest) = self.0.split_first_chunk().map_or((0, &[][..]), |(count, rest)| (size(*count), rest));
        let (lengths, texts) = rest.split_at_checked(count.saturating_mul(8)).unwrap_or_default();
        Iter { lengths: lengths.as_chunks().0, texts }
    }
}

struct Iter<'a> {
    lengths: &'a [[u8; 8]],
    texts: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d, e, f, g, h], lengths) = self.lengths.split_first()?;
        self.lengths = lengths;
        let (key, rest) = self.texts.split_at_checked(size([a, b, c, d]))?;
        let (value, rest) = rest.get(1..)?.split_at_checked(size([e, f, g, h]))?;
        self.texts = rest.get(1..)?;
        Some((key, value))
    }
}

fn size(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Pairs {
        Pairs::new(Buffer::from(bytes.to_vec()))
    }

    fn serialised(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
        let mut bytes = number(pairs.len()).to_vec();
        for (key, value) in pairs {
            bytes.extend([number(key.len()), number(value.len())].concat());
        }
        for (key, value) in pairs {
            bytes.extend([key, &b"\0"[..], value, b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn all_values_of_a_name_are_found() {
        let pairs = of(&serialised(&[(b"a", b"1"), (b"b", b""), (b"a", b"\xff\0x")]));
        assert_eq!(pairs.values("a").collect::<Vec<_>>(), [&b"1"[..], b"\xff\0x"]);
        assert_eq!(pairs.values("b").collect::<Vec<_>>(), [b""]);
        assert_eq!(pairs.values("c").count(), 0);
    }

    #[test]
    fn a_buffer_that_ends_early_has_what_fits() {
        let whole = serialised(&[(b"a", b"1"), (b"b", b"2")]);
        for length in 0..whole.len() - 1 {
            let pairs = of(&whole[..length]);
            assert_eq!(pairs.values("b").count(), 0, "{length}");
        }
        assert_eq!(of(&[0xff; 64]).values("a").count(), 0);
    }
}
