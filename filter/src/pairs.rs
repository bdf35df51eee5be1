//! The header map as the host hands it over.

/// All headers of a request or a response in one piece, as Proxy-Wasm serialises maps: the number of pairs, the two lengths of each, then
/// names and values, each followed by a zero byte. Numbers are 32 bits, little-endian.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pairs<'e> {
    lengths: &'e [[[u8; 4]; 2]],
    texts: &'e [u8],
}

impl<'e> Pairs<'e> {
    /// Reads a map; what lies beyond its end is left out.
    #[must_use]
    pub(crate) fn new(map: &'e [u8]) -> Self {
        let (count, rest) = map.split_first_chunk().map_or((0, &[][..]), |(count, rest)| (size(*count), rest));
        let (lengths, texts) = rest.split_at_checked(count.saturating_mul(8)).unwrap_or_default();
        Self { lengths: lengths.as_chunks().0.as_chunks().0, texts }
    }

    /// The values of a header in order; names are lower-case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'e [u8]> {
        let (texts, mut next) = (self.texts, 0_usize);
        // Lengths alone tell most headers apart. The sum wraps with lengths that no map has, and then leads to no text.
        self.lengths.iter().filter_map(move |&[key, value]| {
            let (at, key, value) = (next, size(key), size(value));
            next = at.wrapping_add(key).wrapping_add(value).wrapping_add(2);
            if key != name.len() {
                return None;
            }
            let (found, rest) = texts.get(at..)?.split_at_checked(key)?;
            // Without its zero byte the map has ended early.
            let value = rest.get(1..)?.split_at_checked(value).filter(|(_, rest)| !rest.is_empty());
            value.filter(|_| found == name.as_bytes()).map(|(value, _)| value)
        })
    }
}

fn size(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

/// A map as a host hands it over.
#[cfg(test)]
pub(crate) fn serialised(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_of_a_name_are_found() {
        let map = serialised(&[(b"a", b"1"), (b"b", b""), (b"a", b"\xff\0x")]);
        let pairs = Pairs::new(&map);
        assert_eq!(pairs.values("a").collect::<Vec<_>>(), [&b"1"[..], b"\xff\0x"]);
        assert_eq!(pairs.values("b").collect::<Vec<_>>(), [b""]);
        assert_eq!(pairs.values("c").count(), 0);
    }

    #[test]
    fn a_buffer_that_ends_early_has_what_fits() {
        let whole = serialised(&[(b"a", b"1"), (b"b", b"2")]);
        for length in 0..whole.len() - 1 {
            let pairs = Pairs::new(&whole[..length]);
            assert_eq!(pairs.values("b").count(), 0, "{length}");
        }
        assert_eq!(Pairs::new(&[0xff; 64]).values("a").count(), 0);
    }
}
