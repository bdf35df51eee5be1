//! What is wrong with a text that a person wrote: one value from the parser to a condition, a terminal or a page.

use std::fmt;

use serde::Serialize;

/// What is wrong, where, and what to do about it, in the words of the text that the person wrote.
///
/// As text: `FILE:LINE:COLUMN: OBJECT: PATH: PROBLEM; FIX`, without the parts that are not known. As JSON: an object of these
/// fields, where what is not known is null or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the person named it, or `standard input`; `None` for an object of a cluster.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<u32>,
    /// The character in the line, from 1.
    pub column: Option<u32>,
    /// The object, such as `bookinfo/reviews`; `None` outside of any.
    pub object: Option<String>,
    /// The field in the object, such as `spec.canaries[0].weight`; empty for the whole text.
    pub path: String,
    /// What is wrong: lower case, no full stop, input in backticks.
    pub problem: String,
    /// What to do; empty where the problem says it all.
    pub fix: String,
}

impl Problem {
    /// A problem at a path.
    #[must_use]
    pub fn new(path: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), fix: fix.into(), ..Self::default() }
    }

    /// A problem at a path whose sentence has its fix behind the last `; `.
    #[must_use]
    pub fn of_sentence(path: impl Into<String>, sentence: &str) -> Self {
        let (problem, fix) = sentence.rsplit_once("; ").unwrap_or((sentence, ""));
        Self::new(path, problem, fix)
    }

    /// The same in a file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file.get_or_insert_with(|| file.into());
        self
    }

    /// The same in an object.
    #[must_use]
    pub fn in_object(mut self, object: impl Into<String>) -> Self {
        self.object.get_or_insert_with(|| object.into());
        self
    }

    /// The same at a line and a character of it, both from 1.
    #[must_use]
    pub fn at(mut self, (line, column): (u32, u32)) -> Self {
        (self.line, self.column) = (Some(line), Some(column));
        self
    }

    /// The problem and its fix, without the place.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.fix.is_empty() { self.problem.clone() } else { format!("{}; {}", self.problem, self.fix) }
    }

    /// The path and the sentence: what an object's own status says.
    #[must_use]
    pub fn in_its_object(&self) -> String {
        if self.path.is_empty() { self.sentence() } else { format!("{}: {}", self.path, self.sentence()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.in_its_object())
    }
}

impl std::error::Error for Problem {}

/// All that is wrong with a file, at least one problem, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// So many problems are shown as text: the rest follows once these are mended.
const SHOWN: usize = 20;

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_is_known() {
        let problem = Problem::of_sentence("spec.takeover", "`v9` is not a version; use v1 or v2");
        assert_eq!((problem.problem.as_str(), problem.fix.as_str()), ("`v9` is not a version", "use v1 or v2"));
        assert_eq!(problem.to_string(), "spec.takeover: `v9` is not a version; use v1 or v2");
        let placed = problem.in_object("shop/cart").in_file("cart.yaml").at((7, 13));
        assert_eq!(placed.to_string(), "cart.yaml:7:13: shop/cart: spec.takeover: `v9` is not a version; use v1 or v2");
        assert_eq!(Problem::new("", "is empty", "").in_file("a.yaml").to_string(), "a.yaml: is empty");
        let json = serde_json::to_value(&placed).unwrap_or_default();
        assert_eq!(json["line"], 7);
        assert_eq!(json["path"], "spec.takeover");
    }
}
