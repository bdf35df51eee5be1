//! A path in the form in which proxies compare it.

use std::borrow::Cow;

/// The target of a request with its path normalised (RFC 3986, section 6.2.2, as the URL parsers of browsers do it): `.` and `..`
/// are resolved, also where they are written `%2e`; `\` is `/`; letters, digits and `-._~` are not percent-encoded; and
/// `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}`, blanks, control characters and bytes beyond ASCII are. Other encodings stay as they
/// are, and so do empty segments and everything from `?` or `#` on. A segment `..;x` is `..`, since there are servers that drop
/// what follows the semicolon (path parameters, RFC 3986, section 3.3), and `.;x` is `.`; Envoy does so since 1.39.
///
/// `None` for a path with `%00` in it, which no proxy takes.
///
/// ```
/// let normalized = |target: &str| serin_config::normalized_target(target.as_bytes()).map(|path| String::from_utf8_lossy(&path).into_owned());
/// assert_eq!(normalized("/x/../%61dmin\\.//y%2F?q=/../").as_deref(), Some("/admin//y%2F?q=/../"));
/// assert_eq!(normalized("/%00"), None);
/// ```
#[must_use]
pub fn normalized_target(target: &[u8]) -> Option<Cow<'_, [u8]>> {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    let (path, rest) = target.split_at_checked(end)?;
    let mut normalized = normalized_path(path)?;
    if normalized == path {
        return Some(Cow::Borrowed(target));
    }
    normalized.extend_from_slice(rest);
    Some(Cow::Owned(normalized))
}

fn normalized_path(path: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let bare = without_parameters_of_dots(path);
    let mut rest: &[u8] = &bare;
    while let Some((&byte, after)) = rest.split_first() {
        if out.last() == Some(&b'/')
            && let Some((dots, behind)) = dot_segment(rest)
        {
            if dots == 2 {
                up(&mut out);
            }
            rest = behind;
            continue;
        }
        rest = after;
        match byte {
            b'/' | b'\\' => out.push(b'/'),
            b'%' => match encoded(after) {
                Some((0, _)) => return None,
                Some((byte, behind)) if is_unreserved(byte) => {
                    out.push(byte);
                    rest = behind;
                }
                _ => out.push(b'%'),
            },
            byte if is_plain(byte) => out.push(byte),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    Some(out)
}

fn without_parameters_of_dots(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b".;") {
        return Cow::Borrowed(path);
    }
    let bare = |segment: &[u8]| match segment.iter().position(|byte| *byte == b';') {
        Some(1) if segment.starts_with(b".") => b".".to_vec(),
        Some(2) if segment.starts_with(b"..") => b"..".to_vec(),
        _ => segment.to_vec(),
    };
    Cow::Owned(path.split(|byte| *byte == b'/').map(bare).collect::<Vec<_>>().join(&b'/'))
}

/// Goes over a segment that is one dot or two, with the slash behind it, and says how many they are.
fn dot_segment(text: &[u8]) -> Option<(usize, &[u8])> {
    let (mut dots, mut rest) = (0, text);
    while let Some(behind) = dot(rest) {
        (dots, rest) = (dots + 1, behind);
    }
    match rest.split_first() {
        None => Some((dots, rest)),
        Some((b'/' | b'\\', behind)) => Some((dots, behind)),
        Some(_) => None,
    }
    .filter(|(dots, _)| matches!(dots, 1 | 2))
}

fn dot(text: &[u8]) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    match first {
        b'.' => Some(rest),
        b'%' => encoded(rest).filter(|(byte, _)| *byte == b'.').map(|(_, behind)| behind),
        _ => None,
    }
}

/// Takes the last segment off a path that ends with `/`; the root stays.
fn up(path: &mut Vec<u8>) {
    if path.len() > 1 {
        path.pop();
        while path.pop_if(|byte| *byte != b'/').is_some() {}
    }
}

/// The byte that two hexadecimal digits stand for.
fn encoded(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = text.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    Some((u8::try_from(high? << 4 | low?).ok()?, behind))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        // As a real Envoy does; `tests/tests/standalone/explain.rs` compares any others.
        for (path, expected) in [
            ("/a/../b", "/b"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("/../../x", "/x"),
            ("//a//b", "//a//b"),
            ("/a/..//b", "//b"),
            ("/a//../b", "/a/b"),
            ("/a///../b", "/a//b"),
            ("/%61", "/a"),
            ("/%41%2e%2e", "/A.."),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a/%2e", "/a/"),
            ("/%2f..", "/%2f.."),
            ("/\\a", "//a"),
            ("/a\\..\\b", "/b"),
            ("/a\\b?c\\d", "/a/b?c\\d"),
            ("/%5c", "/%5c"),
            ("/%zz%4%", "/%zz%4%"),
            ("/a%20b%7eb", "/a%20b~b"),
            ("/%2d%2D%5F%2e", "/--_."),
            ("/%01%7f%80%ff%c3%bc", "/%01%7f%80%ff%c3%bc"),
            ("/a\"b<c>d{e}f|g^h`i", "/a%22b%3Cc%3Ed%7Be%7Df%7Cg%5Eh%60i"),
            ("/[a]'b'!$&()*+,;=:@", "/[a]'b'!$&()*+,;=:@"),
            ("/a%3Fb%23%25%2541", "/a%3Fb%23%25%2541"),
            ("/...", "/..."),
            ("/.a/..b/c.", "/.a/..b/c."),
            ("/x/..;/admin", "/admin"),
            ("/x/..;a\\b", "/"),
            ("/x/.;a/y;b", "/x/y;b"),
            ("/x/%2e%2e;a/y", "/x/..;a/y"),
            ("/x/...;/..a;", "/x/...;/..a;"),
            ("/?%61=/./", "/?%61=/./"),
            ("/a#/../b", "/a#/../b"),
            ("/über", "/%C3%BCber"),
            ("", ""),
            ("*", "*"),
        ] {
            let normalized = normalized_target(path.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&normalized), expected, "{path}");
        }
        assert_eq!(normalized_target(b"/a/%00/../b"), None);
    }

    #[test]
    fn what_is_normal_stays() {
        let alphabet = [&b"/"[..], b".", b"%2e", b"a", b"\\", b"%61", b"%2f"];
        for number in 0..7_usize.pow(6) {
            let path: Vec<u8> =
                [0, 1, 2, 3, 4, 5].iter().flat_map(|at| alphabet[number / 7_usize.pow(*at) % 7].iter().copied()).collect();
            let path = [b"/", &path[..]].concat();
            let once = normalized_target(&path).unwrap();
            assert_eq!(normalized_target(&once).unwrap(), once, "{}", path.escape_ascii());
            assert!(once.starts_with(b"/"));
        }
    }
}
