//! Base64 (RFC 4648), decoded: two short places need it, and a general decoder is larger than both.

/// The bytes that a text stands for. The alphabet ends with the two characters given. Padding may be missing, and bits that
/// are too many for whole bytes may be set.
#[inline(never)]
pub(crate) fn decode(text: &[u8], last: [u8; 2]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count, mut length) = (0_u32, 0_u32, 0_usize);
    for byte in text {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            _ if *byte == last[0] => 62,
            _ if *byte == last[1] => 63,
            _ => break,
        };
        length += 1;
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    // What follows pads the last four characters at most; of one alone nothing can be made.
    let padding = text.get(length..)?;
    let fits = padding.len() <= (4 - length % 4) % 4 && padding.iter().all(|byte| *byte == b'=');
    (fits && length % 4 != 1).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_may_be_missing_and_nothing_else() {
        for (text, expected) in [
            ("", ""),
            ("YQ==", "a"),
            ("YQ=", "a"),
            ("YQ", "a"),
            ("YR", "a"),
            ("YWI=", "ab"),
            ("YWI", "ab"),
            ("YWJj", "abc"),
            ("YWJjZA", "abcd"),
        ] {
            assert_eq!(decode(text.as_bytes(), *b"+/").as_deref(), Some(expected.as_bytes()), "{text}");
        }
        for text in ["Y", "YQ===", "YWJj=", "YWI==", "Y=Q=", "YWJjZ", "YWJjZ===", " YQ", "YQ\n", "Y-", "="] {
            assert_eq!(decode(text.as_bytes(), *b"+/"), None, "{text}");
        }
        assert_eq!(decode(b"-_-_", *b"-_"), decode(b"+/+/", *b"+/"));
    }
}
