//! The name of a release, as decisions, conditions and metrics give it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release among all releases: `NAMESPACE/NAME`.
///
/// ```
/// use serin_release::ReleaseId;
///
/// let id: ReleaseId = "bookinfo/reviews".parse()?;
/// assert_eq!((id.namespace.as_str(), id.name.as_str()), ("bookinfo", "reviews"));
/// assert_eq!(id.to_string(), "bookinfo/reviews");
/// # Ok::<(), serin_release::ReleaseIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ReleaseId {
    /// The namespace.
    pub namespace: String,
    /// The name within it.
    pub name: String,
}

/// A text that does not name a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a release; write NAMESPACE/NAME")]
pub struct ReleaseIdError(String);

impl ReleaseId {
    /// The release of a name in a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ReleaseId {
    type Err = ReleaseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(ReleaseIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = ReleaseIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_names_no_release_is_refused() {
        for text in ["", "reviews", "/reviews", "bookinfo/", "bookinfo/reviews/v1"] {
            let error = text.parse::<ReleaseId>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` does not name a release; write NAMESPACE/NAME"));
        }
    }
}
