//! Cookies of a request.

/// The value of the first cookie of a name, across all `cookie` headers in order.
///
/// `;` splits, the first `=` separates name and value, blanks around both are trimmed, names are case-sensitive. A pair
/// without `=` is skipped. One outer pair of double quotes is removed; nothing is percent-decoded.
///
/// ```
/// let headers = [&b"theme; user = \"ann\""[..], b"user=bob"];
/// assert_eq!(serin_config::cookie(headers, b"user"), Some(&b"ann"[..]));
/// ```
pub fn cookie<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    headers.into_iter().find_map(|header| cookie_in(header, name))
}

/// The value of the first cookie of a name in one header.
pub(crate) fn cookie_in<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = header;
    loop {
        // A name holds neither `=` nor `;`, so what begins with it and goes on with `=` is its pair.
        let value = rest.trim_ascii_start().strip_prefix(name).and_then(|rest| rest.trim_ascii_start().strip_prefix(b"="));
        let pair = value.unwrap_or(rest);
        let end = semicolon(pair);
        match value {
            Some(value) => return Some(unquote(end.and_then(|end| value.get(..end)).unwrap_or(value).trim_ascii())),
            None => rest = pair.get(end? + 1..)?,
        }
    }
}

/// Where the first semicolon is, eight bytes at a time: what is there becomes zero, and the lowest byte that is zero is found
/// as Alan Mycroft does (1987).
fn semicolon(text: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xff;
    const SEMICOLONS: u64 = u64::from_le_bytes([b';'; 8]);
    let (words, rest) = text.as_chunks();
    for (word, at) in words.iter().zip((0..).step_by(8)) {
        let differs = u64::from_le_bytes(*word) ^ SEMICOLONS;
        let zeros = differs.wrapping_sub(EACH) & !differs & (EACH << 7);
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
    }
    Some(words.len() * 8 + rest.iter().position(|&b| b == b';')?)
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules as they are written: pairs, first `=`, blanks, quotes.
    fn by_the_rules<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        header.split(|&b| b == b';').find_map(|pair| {
            let at = pair.iter().position(|&b| b == b'=')?;
            (pair[..at].trim_ascii() == name).then(|| unquote(pair[at + 1..].trim_ascii()))
        })
    }

    #[test]
    fn every_short_header_is_read_by_the_rules() {
        let alphabet = b"u;= \"v";
        for length in 0..=7_u32 {
            for number in 0..alphabet.len().pow(length) {
                let letter = |at| alphabet[number / alphabet.len().pow(at) % alphabet.len()];
                let header: Vec<u8> = (0..length).map(letter).collect();
                assert_eq!(cookie_in(&header, b"u"), by_the_rules(&header, b"u"), "{}", header.escape_ascii());
            }
        }
    }

    #[test]
    fn semicolons_are_found_anywhere() {
        for length in 0..40 {
            for at in 0..=length {
                for other in [b':', b'<', b';' ^ 0x80, 0, 0xff] {
                    let mut text = vec![other; length];
                    assert_eq!(semicolon(&text), None);
                    text[at..].fill(b';');
                    assert_eq!(semicolon(&text), (at < length).then_some(at));
                }
            }
        }
    }
}
