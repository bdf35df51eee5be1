//! What comes out of a pasted text, and why nothing does.

use std::fmt;

use serde::Serialize;

use crate::pasted::url::Url;

/// What may be pasted, for messages.
pub const ACCEPTED: &str =
    "paste a curl command (bash or cmd), the text of an HTTP request, a HAR, or what a browser copies as fetch";

/// A request that was pasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pasted {
    /// The method, `GET` for example.
    pub method: String,
    /// Where it goes. A `Host` header is its authority.
    pub url: Url,
    /// The other headers, in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// What the user should know of how it was read, for example that cookies were not copied.
    pub notes: Vec<String>,
}

impl Pasted {
    /// A request without headers.
    #[must_use]
    pub fn new(method: &str, url: Url) -> Self {
        Self { method: method.to_owned(), url, headers: Vec::new(), notes: Vec::new() }
    }

    /// Adds a header. `Host` and `:authority` become the authority, and other pseudo headers, which repeat the method and the address, are left
    /// out.
    ///
    /// # Errors
    /// Its name or its value cannot be one of HTTP; the message says why.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        let value = value.trim_matches([' ', '\t']);
        if let Some(char) = value.chars().find(|char| char.is_control() && *char != '\t') {
            return Err(format!("the value of `{name}` holds the control character U+{:04X}", char as u32));
        }
        if name == "host" || name == ":authority" {
            if value.is_empty() {
                return Err(format!("`{name}` is empty"));
            }
            value.clone_into(&mut self.url.authority);
            return Ok(());
        }
        if [":method", ":path", ":scheme", ":protocol"].contains(&name.as_str()) {
            return Ok(());
        }
        if !is_token(&name) {
            return Err(format!("`{name}` is not the name of a header"));
        }
        self.headers.push((name, value.to_owned()));
        Ok(())
    }

    /// Whether there is a header of a name in lower case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other == name)
    }
}

/// Whether a text is a token of HTTP (RFC 9110, 5.6.2): a method, a header's name.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char))
}

/// Why a text was not read as a request: `what is wrong; what to do`, with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastedError {
    /// The line, from 1 on.
    pub line: usize,
    /// The character within the line, from 1 on.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl PastedError {
    /// An error at a place, which is given by the characters before it.
    #[must_use]
    pub fn at(text: &str, characters: usize, message: impl Into<String>) -> Self {
        let (mut line, mut column) = (1, 1);
        for char in text.chars().take(characters) {
            (line, column) = if char == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Self { line, column, message: message.into() }
    }
}

impl fmt::Display for PastedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, character {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for PastedError {}
