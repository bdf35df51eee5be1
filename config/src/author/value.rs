//! Bytes of a request, shown to people and tools.

use std::fmt;

use serde::{Serialize, Serializer};

/// More characters than this are not shown to people.
const SHOWN: usize = 80;

/// A value as it was seen in a request.
///
/// As JSON it is a text; each byte that is not UTF-8 is written as `\xff`. As text for people it stands in backticks, control
/// characters are escaped, and of a long one only the beginning and the size are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenValue(pub(crate) Vec<u8>);

impl From<Vec<u8>> for SeenValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl SeenValue {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is text; bytes that are not match no text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok()
    }

    /// Its characters, each as it is shown.
    fn characters(&self, escaped: fn(char) -> bool) -> impl Iterator<Item = String> {
        self.0.utf8_chunks().flat_map(move |chunk| {
            let valid = chunk
                .valid()
                .chars()
                .map(move |letter| if escaped(letter) { letter.escape_default().to_string() } else { letter.to_string() });
            valid.chain(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")))
        })
    }
}

impl Serialize for SeenValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.characters(|_| false).collect::<String>())
    }
}

impl fmt::Display for SeenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("empty");
        }
        let mut characters = self.characters(char::is_control);
        let shown: String = characters.by_ref().take(SHOWN).collect();
        match characters.next() {
            None => write!(f, "`{shown}`"),
            Some(_) => write!(f, "`{shown}…` ({} bytes)", self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_can_be_shown() {
        let shown = |bytes: &[u8]| SeenValue(bytes.to_vec()).to_string();
        let written = |bytes: &[u8]| serde_json::to_string(&SeenValue(bytes.to_vec())).unwrap();
        assert_eq!((shown(b""), written(b"")), ("empty".to_owned(), r#""""#.to_owned()));
        assert_eq!((shown("é\t".as_bytes()), written("é\t".as_bytes())), ("`é\\t`".to_owned(), r#""é\t""#.to_owned()));
        assert_eq!((shown(b"caf\xe9"), written(b"caf\xe9")), ("`caf\\xe9`".to_owned(), r#""caf\\xe9""#.to_owned()));
        assert_eq!(shown(&[b'a'; 80]), format!("`{}`", "a".repeat(80)));
        assert_eq!(shown(&[b'a'; 60_000]), format!("`{}…` (60000 bytes)", "a".repeat(80)));
        assert_eq!(written(&[b'a'; 60_000]).len(), 60_002);
    }
}
