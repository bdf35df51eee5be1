//! The header map as the host hands it over.

use std::ops::Range;

/// All headers of a request in one buffer, as Proxy-Wasm serialises maps: the number of pairs, the two lengths of each, then
/// names and values, each followed by a zero byte. Numbers are 32 bits, little-endian.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    buffer: Vec<u8>,
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Pairs {
    /// Reads a buffer; what lies beyond its end is left out.
    #[must_use]
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        let places = places(&buffer).unwrap_or_default();
        Self { buffer, places }
    }

    /// The values of a header in order; names are lower-case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |range: &Range<usize>| self.buffer.get(range.clone()) == Some(name.as_bytes());
        self.places.iter().filter(move |(key, _)| named(key)).filter_map(|(_, value)| self.buffer.get(value.clone()))
    }
}

fn places(buffer: &[u8]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let number = |at: usize| {
        let bytes = buffer.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let count = number(0)?;
    let lengths = buffer.get(4..4usize.checked_add(count.checked_mul(8)?)?)?;
    let mut at = 4 + lengths.len();
    let mut places = Vec::with_capacity(count);
    for index in 0..count {
        let key = at..at.checked_add(number(4 + 8 * index)?)?;
        let value = key.end.checked_add(1)?..key.end.checked_add(1)?.checked_add(number(8 + 8 * index)?)?;
        at = value.end.checked_add(1)?;
        places.push((key, value));
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let pairs = Pairs::new(serialised(&[(b"a", b"1"), (b"b", b""), (b"a", b"\xff\0x")]));
        assert_eq!(pairs.values("a").collect::<Vec<_>>(), [&b"1"[..], b"\xff\0x"]);
        assert_eq!(pairs.values("b").collect::<Vec<_>>(), [b""]);
        assert_eq!(pairs.values("c").count(), 0);
    }

    #[test]
    fn a_buffer_that_ends_early_has_what_fits() {
        let whole = serialised(&[(b"a", b"1"), (b"b", b"2")]);
        for length in 0..whole.len() - 1 {
            let pairs = Pairs::new(whole[..length].to_vec());
            assert_eq!(pairs.values("b").count(), 0, "{length}");
        }
        assert_eq!(Pairs::new(vec![0xff; 64]).values("a").count(), 0);
    }
}
