//! The path of a request and its parameters.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The path without query and fragment.
pub(crate) fn path(target: &[u8]) -> &[u8] {
    target.split(|&b| b == b'?' || b == b'#').next().unwrap_or_default()
}

/// The value of the first parameter of a name; empty when it has no `=`.
///
/// As browsers write it (WHATWG URL, `application/x-www-form-urlencoded`): `+` is a blank, `%XX` a byte; a `%` that no two
/// hexadecimal digits follow stands for itself.
#[inline(never)]
pub(crate) fn parameter<'a>(target: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let target = target.split(|&b| b == b'#').next()?;
    let question = target.iter().position(|&b| b == b'?')?;
    target.get(question + 1..)?.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let at = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
        let (key, value) = pair.split_at_checked(at)?;
        (*decode(key) == *name).then(|| decode(value.get(1..).unwrap_or_default()))
    })
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'+') {
        let blanks: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        return Cow::Owned(percent_decode(&blanks).collect());
    }
    percent_decode(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_and_the_first_wins() {
        let of = |target: &'static str, name: &str| parameter(target.as_bytes(), name.as_bytes()).map(Cow::into_owned);
        assert_eq!(of("/x?a=1&b=2&a=3", "a"), Some(b"1".to_vec()));
        assert_eq!(of("/x?uid=ann%40x.org&b", "uid"), Some(b"ann@x.org".to_vec()));
        assert_eq!(of("/x?u%69d=a+b%2Bc", "uid"), Some(b"a b+c".to_vec()));
        assert_eq!(of("/x?flag&b=1", "flag"), Some(vec![]));
        assert_eq!(of("/x?a=%zz%4", "a"), Some(b"%zz%4".to_vec()));
        assert_eq!(of("/x?a=b=c?d", "a"), Some(b"b=c?d".to_vec()));
        assert_eq!(of("/x?b=1#?a=2&a=3", "a"), None);
        assert_eq!(of("/x#y?a=1", "a"), None);
        assert_eq!(of("/x", "a"), None);
        assert_eq!(of("/x?&&=1&a", ""), Some(b"1".to_vec()));
    }
}
