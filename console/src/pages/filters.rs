//! What templates do with texts.

#![expect(unreachable_pub, reason = "the macro's own functions are public")]

use std::fmt::Display;

/// A dash for what nobody knows: an empty cell could be one that was forgotten.
#[askama::filter_fn]
pub(crate) fn dash(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
    let text = text.to_string();
    Ok(if text.is_empty() { "–".to_owned() } else { text })
}

/// A word as a class.
#[askama::filter_fn]
pub(crate) fn class(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(text.to_string().replace(' ', "-"))
}
