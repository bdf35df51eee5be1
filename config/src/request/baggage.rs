//! Entries of W3C baggage.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The value of the first entry of a name (W3C Baggage, section 3.2.1): members split by `,`, properties behind `;` dropped,
/// blanks trimmed, the value percent-decoded.
#[inline(never)]
pub(crate) fn entry<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    headers.into_iter().find_map(|header| entry_in(header, name))
}

fn entry_in<'a>(header: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    header.split(|&b| b == b',').find_map(|member| {
        let pair = member.split(|&b| b == b';').next()?;
        let at = pair.iter().position(|&b| b == b'=')?;
        let (key, value) = pair.split_at_checked(at)?;
        (key.trim_ascii() == name).then(|| percent_decode(value.get(1..).unwrap_or_default().trim_ascii()).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_across_headers_without_their_properties() {
        let headers = [&b"junk, a = 1;p=2 ,user = ann%20lee;ttl=5"[..], b"user=bob,b=%zz"];
        let of = |name: &str| entry(headers, name.as_bytes()).map(Cow::into_owned);
        assert_eq!(of("user"), Some(b"ann lee".to_vec()));
        assert_eq!(of("a"), Some(b"1".to_vec()));
        assert_eq!(of("b"), Some(b"%zz".to_vec()));
        assert_eq!(of("p"), None);
        assert_eq!(of("junk"), None);
    }
}
