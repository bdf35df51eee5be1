//! Where a request goes.

use percent_encoding::percent_decode_str;
use serde::Serialize;

/// An address in its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Url {
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with the port where one was given.
    pub authority: String,
    /// The path and the query, as it was given.
    pub target: String,
    /// What stands before an `@`, decoded: `user:password`. A client makes a header of it.
    #[serde(skip)]
    pub credentials: Option<String>,
}

impl Url {
    /// Reads an address. Without a scheme it is of `http`, as curl has it; what follows a `#` is no part of a request.
    ///
    /// # Errors
    /// It has another scheme, no host, or characters that an address cannot have.
    pub fn read(text: &str) -> Result<Self, String> {
        let bad = text.chars().find(|char| char.is_whitespace() || char.is_control());
        if let Some(bad) = bad {
            return Err(format!(
                "the URL holds {}; write it percent-encoded",
                if bad == ' ' { "a space" } else { "a control character" }
            ));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (scheme.to_ascii_lowercase(), rest),
            _ => ("http".to_owned(), text),
        };
        if scheme != "http" && scheme != "https" {
            return Err(format!("`{scheme}` is not a scheme of HTTP; write `http://` or `https://`"));
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.char_indices().find(|(_, char)| "/?".contains(*char)).map_or(rest.len(), |(at, _)| at);
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => {
                (Some(percent_decode_str(credentials).decode_utf8_lossy().into_owned()), authority)
            }
            None => (None, authority),
        };
        if authority.is_empty() || authority.starts_with(':') {
            return Err(format!("the URL `{text}` has no host; write it as `https://HOST/PATH`"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { scheme, authority: authority.to_owned(), target, credentials })
    }

    /// Adds to the query.
    pub fn add_query(&mut self, more: &str) {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(more);
    }
}

/// Base64 with padding (RFC 4648, 4), for `Authorization: Basic`.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS.get((group >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Url, base64};

    #[test]
    fn addresses_have_parts() {
        let parts = |text: &str| Url::read(text).map(|url| (url.scheme, url.authority, url.target, url.credentials));
        let of =
            |scheme: &str, authority: &str, target: &str| (scheme.to_owned(), authority.to_owned(), target.to_owned(), None);
        assert_eq!(parts("https://a.example/x?y=/z#f"), Ok(of("https", "a.example", "/x?y=/z")));
        assert_eq!(parts("a.example:8080"), Ok(of("http", "a.example:8080", "/")));
        assert_eq!(parts("HTTP://[::1]:80?q"), Ok(of("http", "[::1]:80", "/?q")));
        assert_eq!(parts("localhost/a?u=http://b"), Ok(of("http", "localhost", "/a?u=http://b")));
        let (.., credentials) = parts("http://us%20er:p%40ss@h/").unwrap();
        assert_eq!(credentials.as_deref(), Some("us er:p@ss"));
        for (text, error) in [
            ("ftp://h/", "`ftp` is not a scheme of HTTP; write `http://` or `https://`"),
            ("https:///x", "the URL `https:///x` has no host; write it as `https://HOST/PATH`"),
            ("", "the URL `` has no host; write it as `https://HOST/PATH`"),
            ("http://h/a b", "the URL holds a space; write it percent-encoded"),
        ] {
            assert_eq!(parts(text), Err(error.to_owned()));
        }
    }

    /// The vectors of RFC 4648, 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let found = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(found, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
