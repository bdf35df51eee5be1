//! What an import has to say beside its releases.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::api::v1alpha1::CanaryRelease;

/// What comes of an import: releases, and what became of everything that they do not say in the same words.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Imported {
    /// The releases, each of them valid.
    pub releases: Vec<CanaryRelease>,
    /// What became of the fields of their sources.
    pub report: Vec<Line>,
}

/// What became of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It means the same.
    Carried,
    /// It means something else now.
    Changed,
    /// It is gone.
    Lost,
    /// A person has to do it.
    ByHand,
}

impl Kind {
    /// Its name in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Changed => "changed",
            Self::Lost => "lost",
            Self::ByHand => "by-hand",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A line of the report: `KIND PATH: TEXT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    /// What became of the field.
    pub kind: Kind,
    /// The field in its source.
    pub path: String,
    /// How, and what to do about it.
    pub text: String,
}

impl Line {
    pub(super) fn new(kind: Kind, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, path: path.into(), text: text.into() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Texts of the source may have several lines, and a line of the report is one.
        let path = self.path.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{} {path}: {text}", self.kind.name())
    }
}
