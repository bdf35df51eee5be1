//! The names that a document may use.

use crate::error::Cause;
use crate::json::value::Json;

/// Checks a version: a Kubernetes label value, which is a safe header value and metric label too. Example: `v2`.
///
/// # Errors
/// The cause, when the text is not a label value.
pub fn check_version_name(name: &str) -> Result<(), Cause> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let bytes = name.as_bytes();
    let fits = bytes.len() <= 63 && bytes.iter().all(|&b| inner(b));
    if fits && outer(bytes.first().copied()) && outer(bytes.last().copied()) {
        Ok(())
    } else {
        Err(Cause::VersionName(name.to_owned()))
    }
}

/// Checks the name of a release: printable ASCII without blanks, `;`, `"` and `\`, so that it can be a metric label. Example:
/// `bookinfo/reviews`.
///
/// # Errors
/// The cause, when the text is empty, longer than 317 bytes or holds another character.
pub fn check_release_name(name: &str) -> Result<(), Cause> {
    let fits = (1..=317).contains(&name.len());
    if fits && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b'"' | b'\\')) {
        Ok(())
    } else {
        Err(Cause::ReleaseName(name.to_owned()))
    }
}

/// Checks the name of a header and turns it to lower case. Example: `x-team`.
///
/// # Errors
/// The cause, when the text is not a token of RFC 9110 (neither is a pseudo-header).
pub fn check_header_name(name: &str) -> Result<String, Cause> {
    if is_token(name) { Ok(name.to_ascii_lowercase()) } else { Err(Cause::HeaderName(name.to_owned())) }
}

/// Checks the name of a cookie that is read: no blanks around it, neither `;` nor `=`.
pub(crate) fn check_cookie_name(name: &str) -> Result<(), Cause> {
    let blanks = name.trim_ascii().len() != name.len();
    if !name.is_empty() && !blanks && !name.bytes().any(|b| matches!(b, b';' | b'=')) {
        Ok(())
    } else {
        Err(Cause::CookieName(name.to_owned()))
    }
}

/// Checks a name that may be any text.
pub(crate) fn check_filled(name: &str) -> Result<(), Cause> {
    match name {
        "" => Err(Cause::Empty),
        _ => Ok(()),
    }
}

/// The name of a header in a document, in lower case.
pub(crate) fn header(json: &Json<'_>) -> String {
    let mut name = json.checked(|name| check_header_name(name).map(|_| ()));
    name.make_ascii_lowercase();
    name
}

/// Whether a text is a token of RFC 9110, section 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    let mark = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || mark(b))
}
