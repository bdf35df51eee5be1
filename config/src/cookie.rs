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
        let (key, behind) = rest.split_at_checked(rest.iter().position(|&b| b == b'=' || b == b';')?)?;
        let (separator, behind) = behind.split_first()?;
        if *separator == b';' {
            rest = behind;
            continue;
        }
        let (value, behind) = behind.split_at_checked(memchr::memchr(b';', behind).unwrap_or(behind.len()))?;
        if key.trim_ascii() == name {
            return Some(unquote(value.trim_ascii()));
        }
        rest = behind.get(1..)?;
    }
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}
