//! What authors of documents need and a filter does not.

pub(crate) mod envelope;
pub(crate) mod explain;
pub(crate) mod pattern;
pub(crate) mod unmet;
pub(crate) mod value;
mod words;

use crate::document::SplitDocument;
use crate::document::version::DOCUMENT_VERSION;
use crate::engine::envelope::Envelope;
use crate::engine::split::Split;
use crate::error::{Cause, CompileError, DocumentError};

impl SplitDocument {
    /// Reads a document, whatever it travels in.
    ///
    /// # Errors
    /// [`DocumentError::Version`] for a version that this engine does not know, else what is wrong with the first field that
    /// does not fit, and its path.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let mut opened = text.to_vec();
        Envelope::default().open(&mut opened, usize::MAX)?;
        let text = &*opened;
        match serde_json::from_slice(text) {
            Ok(document @ Self { version: DOCUMENT_VERSION, .. }) => Ok(document),
            // The engine says where; serde would say it by line and column.
            derived => match (Split::parse(text), derived) {
                (Err(error), _) => Err(error),
                (Ok(_), Ok(document)) => Ok(document),
                (Ok(_), Err(error)) => {
                    Err(Cause::shape(&[&error.to_string()], &["correct it there"]).at(String::new()).into())
                }
            },
        }
    }

    /// Compiles the document and gives it the automata of exactly the patterns that it uses, so that a filter can read it.
    ///
    /// # Errors
    /// As [`Split::compile`].
    pub fn embed_automata(&mut self) -> Result<Split, CompileError> {
        self.automata.clear();
        self.embed_missing_automata()
    }

    /// The same for a document that has automata already: those are believed, and only other patterns are compiled.
    ///
    /// # Errors
    /// As [`Split::compile`].
    pub fn embed_missing_automata(&mut self) -> Result<Split, CompileError> {
        let split = Split::compile(self)?;
        self.automata = split.patterns.texts();
        Ok(split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::pattern::compiled;

    fn document(patterns: &[&str]) -> SplitDocument {
        let rules = patterns
            .iter()
            .enumerate()
            .map(|(n, pattern)| format!(r#"{{"name":"r{n}","when":[{{"path":{{"regex":"{pattern}"}}}}],"version":"v2"}}"#));
        let rules: Vec<_> = rules.collect();
        let text = format!(
            r#"{{"version":1,"splits":[{{"release":"a/b","hosts":["h"],"stable":"v1","rules":[{}]}}]}}"#,
            rules.join(",")
        );
        SplitDocument::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_patterns_of_a_release_have_a_budget_and_work_ends_with_it() {
        let hostile: Vec<String> = (0..60).map(|n| format!("(a|b)*a(a|b){{11}}x{n}")).collect();
        let mut document = document(&hostile.iter().map(String::as_str).collect::<Vec<_>>());
        let start = compiled();
        let error = document.embed_automata().unwrap_err();
        let compiled = compiled() - start;
        assert!(error.path().starts_with("splits[0].rules[") && matches!(error.cause(), Cause::PatternBudget), "{error}");
        assert!(compiled < 20, "{compiled}");
        // After one that is refused by itself nothing more is compiled.
        let start = self::compiled();
        super::tests::document(&["/(", "/a", "/b"]).embed_automata().unwrap_err();
        assert_eq!(self::compiled() - start, 1);
        // Honest ones fit, and each release has its own.
        let honest: Vec<String> = (0..1000).map(|n| format!("/api/v[0-9]+/item{n}/.*")).collect();
        super::tests::document(&honest.iter().map(String::as_str).collect::<Vec<_>>()).embed_automata().unwrap();
    }

    #[test]
    fn a_pattern_that_has_its_automaton_is_not_compiled_again() {
        let mut first = document(&["/a[0-9]+", "/b+"]);
        let start = compiled();
        first.embed_automata().unwrap();
        assert_eq!(compiled() - start, 2);
        let mut next = document(&["/b+", "/c+"]);
        next.automata = first.automata.clone();
        let start = compiled();
        next.embed_missing_automata().unwrap();
        assert_eq!(compiled() - start, 1);
        // What is not used is not kept.
        let mut fresh = document(&["/b+", "/c+"]);
        fresh.embed_automata().unwrap();
        assert_eq!(next, fresh);
    }
}
