//! Which values of `Referer` Envoy passes on.

/// Whether Envoy keeps a `Referer`: a URL without user and fragment, or a reference without a scheme (`isValidRefererValue` in its
/// `header_utility.cc`). Others, such as `about:blank`, are removed.
pub(super) fn is_valid(value: &[u8]) -> bool {
    match url(value) {
        Some(kept) => kept,
        None => {
            // A first segment with a colon would be a scheme (RFC 3986, section 4.2).
            let first = value.split(|byte| *byte == b'/').next().unwrap_or_default();
            !first.contains(&b':') && value.iter().all(|byte| is_reference(*byte))
        }
    }
}

/// Whether a URL has neither user nor fragment; `None` for what is not a URL.
fn url(value: &[u8]) -> Option<bool> {
    let at = value.windows(3).position(|part| part == b"://")?;
    let (scheme, rest) = value.split_at_checked(at)?;
    let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.first()?.is_ascii_alphabetic() || !scheme.iter().all(in_scheme) {
        return None;
    }
    let rest = rest.get(3..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let user = authority.iter().rposition(|byte| *byte == b'@');
    let host = authority.get(user.map_or(0, |at| at + 1)..)?;
    let web = [&b"http"[..], b"https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    // A URL with a user is not one to pass on, whatever else it is.
    if user.is_some_and(|at| at > 0) {
        return Some(false);
    }
    host_and_port(host, web)?;
    let mut parts = path.splitn(2, |byte| *byte == b'#');
    let before = parts.next().unwrap_or_default();
    if parts.next().is_some_and(|fragment| !fragment.is_empty()) {
        return Some(false);
    }
    before.iter().all(u8::is_ascii_graphic).then_some(true)
}

fn host_and_port(text: &[u8], web: bool) -> Option<()> {
    let (host, port) = match text.strip_prefix(b"[") {
        Some(inner) => {
            let end = inner.iter().position(|byte| *byte == b']')?;
            let (host, rest) = inner.split_at_checked(end)?;
            if !host.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
                return None;
            }
            (host, rest.get(1..)?)
        }
        None => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let (host, rest) = text.split_at_checked(end)?;
            let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || (web && *byte == b'_');
            if !host.iter().all(fits) {
                return None;
            }
            (host, rest)
        }
    };
    let port = match port.split_first() {
        None => 0,
        Some((b':', digits)) if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).ok()?.parse::<u32>().ok()?
        }
        Some(_) => return None,
    };
    (!host.is_empty() && port <= u32::from(u16::MAX)).then_some(())
}

/// What a path, a query and their separators may hold (RFC 3986, section 3.3).
fn is_reference(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_without_user_and_fragment_are_passed_on() {
        for kept in [
            "",
            "a",
            "/x?y",
            "//x.org/y",
            "http://x.org",
            "https://x.org:80/a?b=c",
            "HTTP://a_b/",
            "http://[::1]:8/x",
            "android-app://com.example/",
            "ftp://x",
            "http://x/#",
            "http://x/{",
            "http://@x/",
            "http://a/,http://b/",
        ] {
            assert!(is_valid(kept.as_bytes()), "{kept}");
        }
        for dropped in [
            "about:blank",
            "http://",
            "http:///x",
            "http:/x",
            "https://x.org/?a#b",
            "http://user@x.org/",
            "http://a b/",
            "http://x:/",
            "http://x:99999/",
            "http://~x/",
            "http://[x]/",
            "android-app://a_b/",
            "a b",
            "é",
            "http://x/é",
        ] {
            assert!(!is_valid(dropped.as_bytes()), "{dropped}");
        }
    }
}
