//! A claim of a JSON Web Token, read without verifying the token: it buckets, it does not authorise.

use crate::json::lexer::{member, text};
use crate::request::base64::decode;

/// The text of a top-level claim: a string's content, a number or boolean as written. `None` for a token that cannot be read,
/// a missing claim, and one that is null, a list or an object.
///
/// The value may begin with the scheme `Bearer`.
///
/// ```
/// let token = b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
/// assert_eq!(serin_config::claim(token, "sub").as_deref(), Some(&b"ann"[..]));
/// ```
#[must_use]
#[inline(never)]
pub fn claim(value: &[u8], name: &str) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let token = match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    };
    let mut parts = token.split(|&b| b == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    // RFC 7515 has no padding; some issuers pad all the same.
    let payload = decode(payload, *b"-_")?;
    let value = member(&payload, name)?;
    match value.first()? {
        b'"' => Some(text(value)?.into_owned().into_bytes()),
        b'n' | b'[' | b'{' => None,
        _ => Some(value.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &[u8]) -> Vec<u8> {
        use ::base64::Engine;
        format!("e30.{}.x", ::base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload)).into_bytes()
    }

    #[test]
    fn scalars_are_keys_and_nothing_else_is() {
        let of = |payload: &str| claim(&token(payload.as_bytes()), "sub").map(|text| String::from_utf8(text).unwrap());
        assert_eq!(of(r#"{"sub":"ann"}"#).as_deref(), Some("ann"));
        assert_eq!(of(r#"{"sub":"\u00e9\n"}"#).as_deref(), Some("é\n"));
        assert_eq!(of(r#"{"a":{"sub":1},"sub":90071992547409931234}"#).as_deref(), Some("90071992547409931234"));
        assert_eq!(of(r#"{"sub":1,"sub":true}"#).as_deref(), Some("true"));
        for payload in [r#"{"sub":null}"#, r#"{"sub":[1]}"#, r#"{"sub":{}}"#, r#"{"x":1}"#, "[]", "", "{", r#"{"sub":1}}"#] {
            assert_eq!(of(payload), None, "{payload}");
        }
    }

    #[test]
    fn broken_tokens_have_no_claims() {
        for value in
            [&b""[..], b"Bearer", b"Bearer ", b"a.b", b"..", b"Bearer !!.!!.!!", b"\xff.\xff.\xff", b"e30.eyJzdWIiOiI.x"]
        {
            assert_eq!(claim(value, "sub"), None, "{value:?}");
        }
        let deep = [b"{\"x\":".to_vec(), vec![b'['; 60_000]].concat();
        assert_eq!(claim(&token(&deep), "sub"), None);
    }

    #[test]
    fn the_scheme_and_padding_are_optional() {
        for value in ["e30.eyJzdWIiOiJhIn0.", "bearer  e30.eyJzdWIiOiJhIn0.x", "BEARER e30.eyJzdWIiOiJhIn0=.x"] {
            assert_eq!(claim(value.as_bytes(), "sub").as_deref(), Some(&b"a"[..]), "{value}");
        }
    }
}
