//! The patterns of a document and their automata, each loaded or compiled once however many conditions use it.

#[cfg(feature = "authoring")]
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Cause;
use crate::json::Json;
use crate::regex::{self, Automaton};

/// The automata of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    /// What the document says of them; equal texts are equal automata.
    pub(crate) text: Arc<[u8]>,
    /// In the order of the patterns.
    known: Vec<Pattern>,
    uses: usize,
}

#[derive(Clone, Debug)]
struct Pattern {
    pattern: Arc<str>,
    text: Arc<str>,
    automaton: Option<Automaton>,
}

impl Patterns {
    /// Patterns with their automata; of duplicates the last counts.
    #[inline(never)]
    pub(crate) fn read(json: &Json<'_>) -> Self {
        let mut known: Vec<Pattern> = Vec::new();
        for (pattern, text) in json.members() {
            let text = json.name(&pattern, text).text().into();
            match known.binary_search_by(|known| (*known.pattern).cmp(&*pattern)) {
                Ok(at) => known.iter_mut().skip(at).take(1).for_each(|known| known.text = Arc::clone(&text)),
                Err(at) => known.insert(at, Pattern { pattern: pattern.into(), text, automaton: None }),
            }
        }
        Self { text: json.written().into(), known, uses: 0 }
    }

    /// How often a pattern was asked for.
    pub(crate) fn uses(&self) -> usize {
        self.uses
    }

    /// The automaton of a pattern.
    #[inline(never)]
    pub(crate) fn get(&mut self, pattern: String) -> Result<Automaton, Cause> {
        self.uses += 1;
        let at = self.known.binary_search_by(|known| (*known.pattern).cmp(&*pattern));
        let known = at.ok().and_then(|at| self.known.get_mut(at));
        match (known, at) {
            (Some(Pattern { automaton: Some(automaton), .. }), _) => Ok(automaton.clone()),
            (Some(known), _) => Ok(known.automaton.insert(Automaton::load(&known.text)?).clone()),
            (None, Ok(at) | Err(at)) => {
                let automaton = regex::compile(&pattern)?;
                let known = Pattern { pattern: pattern.into(), text: Arc::default(), automaton: Some(automaton.clone()) };
                self.known.insert(at, known);
                Ok(automaton)
            }
        }
    }

    /// The automata that were asked for, as they stand in a document.
    #[cfg(feature = "authoring")]
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let used =
            self.known.iter().filter_map(|known| Some((known.pattern.to_string(), known.automaton.as_ref()?.to_text())));
        used.collect()
    }
}
