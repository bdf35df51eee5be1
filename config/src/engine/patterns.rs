//! The patterns of a document and their automata, each loaded or compiled once however many conditions use it.

#[cfg(feature = "authoring")]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[cfg(feature = "authoring")]
use crate::author::pattern::compile;
use crate::engine::automaton::Automaton;
use crate::error::Cause;
use crate::json::value::Json;

/// The automata of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    /// What the document says of them; equal texts are equal automata.
    pub(crate) text: Arc<[u8]>,
    /// In the order of the patterns.
    known: Vec<Pattern>,
    uses: usize,
    #[cfg(feature = "authoring")]
    budget: Budget,
}

#[derive(Clone, Debug)]
struct Pattern {
    pattern: Arc<str>,
    text: Arc<str>,
    automaton: Option<Automaton>,
}

/// What the patterns of one release may take, and have taken: what compiles them, and each proxy, serve others too.
#[cfg(feature = "authoring")]
#[derive(Clone, Debug, Default)]
struct Budget {
    patterns: BTreeSet<String>,
    bytes: usize,
    /// Nothing more is compiled: one error is enough to refuse a release.
    is_spent: bool,
}

#[cfg(feature = "authoring")]
impl Budget {
    /// In bytes of automata, before base64: a thousand patterns such as `/api/v[0-9]+/item1/.*` take two thirds of it.
    const MOST: usize = 512 * 1024;

    fn check(&self) -> Result<(), Cause> {
        if self.is_spent { Err(Cause::PatternBudget) } else { Ok(()) }
    }

    fn spend(&mut self, pattern: String, bytes: impl FnOnce() -> usize) -> Result<(), Cause> {
        if self.patterns.insert(pattern) {
            self.bytes += bytes();
            self.is_spent = self.bytes > Self::MOST;
        }
        self.check()
    }
}

/// A filter has no compiler.
#[cfg(not(feature = "authoring"))]
fn compile(pattern: &str) -> Result<Automaton, Cause> {
    Err(Cause::NoAutomaton(pattern.to_owned()))
}

impl Patterns {
    /// Patterns with their automata; of duplicates the last counts.
    #[inline(never)]
    pub(crate) fn read(json: &Json<'_>) -> Self {
        let mut known: Vec<Pattern> = Vec::new();
        for (pattern, text) in json.members() {
            let text = json.name(&pattern, text).text().into();
            match known.binary_search_by(|known| (*known.pattern).cmp(&*pattern)) {
                Ok(at) => {
                    if let Some(known) = known.get_mut(at) {
                        known.text = text;
                    }
                }
                Err(at) => known.insert(at, Pattern { pattern: pattern.into(), text, automaton: None }),
            }
        }
        Self { text: json.written().into(), known, ..Self::default() }
    }

    /// How often a pattern was asked for.
    pub(crate) fn uses(&self) -> usize {
        self.uses
    }

    /// The next release begins, with a budget of its own.
    #[cfg(feature = "authoring")]
    pub(crate) fn begin(&mut self) {
        self.budget = Budget::default();
    }

    /// The automaton of a pattern, where the budget of its release allows for it.
    #[cfg(feature = "authoring")]
    pub(crate) fn get(&mut self, pattern: String) -> Result<Automaton, Cause> {
        self.budget.check()?;
        let found = self.find(pattern.clone());
        match &found {
            Ok(automaton) => self.budget.spend(pattern, || automaton.to_bytes().len())?,
            Err(_) => self.budget.is_spent = true,
        }
        found
    }

    /// The automaton of a pattern.
    #[cfg(not(feature = "authoring"))]
    pub(crate) fn get(&mut self, pattern: String) -> Result<Automaton, Cause> {
        self.find(pattern)
    }

    #[inline(never)]
    fn find(&mut self, pattern: String) -> Result<Automaton, Cause> {
        self.uses += 1;
        let at = self.known.binary_search_by(|known| (*known.pattern).cmp(&*pattern));
        let known = at.ok().and_then(|at| self.known.get_mut(at));
        match (known, at) {
            (Some(Pattern { automaton: Some(automaton), .. }), _) => Ok(automaton.clone()),
            (Some(known), _) => Ok(known.automaton.insert(Automaton::load(&known.text)?).clone()),
            (None, Ok(at) | Err(at)) => {
                let automaton = compile(&pattern)?;
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
