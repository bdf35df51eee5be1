//! Regular expressions as automata that travel in the document: compiled once, searched in linear time.
//!
//! A matcher for patterns would be several times the rest of the filter; a search of a finished automaton is small. See
//! "Serialization" in the documentation of `regex_automata::dfa`.

use std::sync::Arc;

use regex_automata::Anchored;
use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::sparse::DFA;
use regex_automata::util::start;

use crate::base64;
use crate::error::Cause;

/// A compiled pattern, which matches whole values.
#[derive(Clone, Debug)]
pub(crate) struct Automaton(Arc<DFA<Vec<u8>>>);

impl Automaton {
    /// Reads an automaton as it stands in a document.
    #[inline(never)]
    pub(crate) fn load(text: &str) -> Result<Self, Cause> {
        let read = base64::decode(text.as_bytes(), *b"+/").and_then(|bytes| Self::from_bytes(&bytes));
        read.ok_or_else(|| Cause::Automaton("it is none of this version".to_owned()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (dfa, _) = DFA::from_bytes(bytes).ok()?;
        Some(Self(Arc::new(dfa.to_owned())))
    }

    /// The automaton as it stands in a document.
    #[cfg(feature = "authoring")]
    pub(crate) fn to_text(&self) -> String {
        use ::base64::Engine;
        ::base64::engine::general_purpose::STANDARD.encode(self.0.to_bytes_little_endian())
    }

    /// Whether the whole text matches. Patterns are anchored at both ends, so only the state behind the end says it.
    #[inline(never)]
    pub(crate) fn matches(&self, text: &str) -> bool {
        let dfa = &*self.0;
        let Ok(mut state) = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)) else {
            return false;
        };
        for byte in text.bytes() {
            state = dfa.next_state(state, byte);
            if dfa.is_dead_state(state) {
                return false;
            }
        }
        dfa.is_match_state(dfa.next_eoi_state(state))
    }
}

/// The pattern under which an automaton stands in the document.
pub(crate) fn effective(pattern: &str, ignore_case: bool) -> String {
    match ignore_case {
        true => format!("(?i:{pattern})"),
        false => pattern.to_owned(),
    }
}

/// Compiles a pattern here, where the engine can.
#[cfg(not(feature = "authoring"))]
pub(crate) fn compile(pattern: &str) -> Result<Automaton, Cause> {
    Err(Cause::NoAutomaton(pattern.to_owned()))
}

#[cfg(feature = "authoring")]
pub(crate) use native::compile;

#[cfg(feature = "authoring")]
mod native {
    use super::*;
    use regex_automata::MatchKind;
    use regex_automata::dfa::{StartKind, dense};
    use regex_automata::nfa::thompson;
    use regex_syntax::ast::{
        self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind,
    };
    use regex_syntax::hir::{Hir, Look, translate};

    /// The most that one pattern may add to a document, before base64.
    const MAX_BYTES: usize = 256 * 1024;

    pub(crate) fn compile(pattern: &str) -> Result<Automaton, Cause> {
        let read = Automaton::from_bytes(&bytes(pattern)?);
        read.ok_or_else(|| Cause::Pattern { pattern: pattern.to_owned(), cause: "its automaton cannot be read".to_owned() })
    }

    fn bytes(pattern: &str) -> Result<Vec<u8>, Cause> {
        let because = |cause: String| Cause::Pattern { pattern: pattern.to_owned(), cause };
        let mut ast = parse(pattern).map_err(because)?;
        re2(&mut ast).map_err(because)?;
        let hir = translate::TranslatorBuilder::new()
            .utf8(false)
            .build()
            .translate(pattern, &ast)
            .map_err(|error| because(error.kind().to_string()))?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let limits =
            thompson::Config::new().which_captures(thompson::WhichCaptures::None).nfa_size_limit(Some(16 * MAX_BYTES));
        let nfa = thompson::Compiler::new()
            .configure(limits)
            .build_from_hir(&whole)
            .map_err(|error| because(error.to_string()))?;
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::LeftmostFirst)
                    .start_kind(StartKind::Anchored)
                    .minimize(true)
                    .dfa_size_limit(Some(4 * MAX_BYTES))
                    .determinize_size_limit(Some(16 * MAX_BYTES)),
            )
            .build_from_nfa(&nfa)
            .map_err(|error| because(error.to_string()))?;
        let sparse = dfa.to_sparse().map_err(|error| because(error.to_string()))?;
        let bytes = sparse.to_bytes_little_endian();
        match bytes.len() <= MAX_BYTES {
            true => Ok(bytes),
            false => Err(because(format!("its automaton has {} bytes, at most {MAX_BYTES} fit", bytes.len()))),
        }
    }

    fn parse(pattern: &str) -> Result<Ast, String> {
        let parsed = ast::parse::ParserBuilder::new().nest_limit(100).build().parse(pattern);
        parsed.map_err(|error| error.kind().to_string())
    }

    /// Gives `\d`, `\s`, `\w` and `\b` the meaning that they have in RE2, which is ASCII, while `.` and negated classes go on
    /// matching whole characters.
    fn re2(ast: &mut Ast) -> Result<(), String> {
        match ast {
            Ast::ClassPerl(class) => *ast = ascii(class)?,
            Ast::ClassBracketed(class) => re2_set(&mut class.kind)?,
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => *ast = parse(r"(?-u:\b)")?,
                AssertionKind::NotWordBoundary => *ast = parse(r"(?-u:\B)")?,
                _ => {}
            },
            Ast::Repetition(repetition) => re2(&mut repetition.ast)?,
            Ast::Flags(set) => re2_flags(&set.flags)?,
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    re2_flags(flags)?;
                }
                re2(&mut group.ast)?;
            }
            Ast::Alternation(alternation) => alternation.asts.iter_mut().try_for_each(re2)?,
            Ast::Concat(concat) => concat.asts.iter_mut().try_for_each(re2)?,
            _ => {}
        }
        Ok(())
    }

    /// RE2 has the flags `i`, `m`, `s` and `U`.
    fn re2_flags(flags: &Flags) -> Result<(), String> {
        let known = [Flag::CaseInsensitive, Flag::MultiLine, Flag::DotMatchesNewLine, Flag::SwapGreed];
        let unknown =
            flags.items.iter().any(|item| matches!(&item.kind, FlagsItemKind::Flag(flag) if !known.contains(flag)));
        match unknown {
            true => Err("only the flags `i`, `m`, `s` and `U` are known".to_owned()),
            false => Ok(()),
        }
    }

    /// RE2 knows neither classes within classes nor operators on them and reads their signs as characters.
    fn re2_set(set: &mut ClassSet) -> Result<(), String> {
        match set {
            ClassSet::Item(item) => re2_item(item),
            ClassSet::BinaryOp(_) => {
                Err(r"`&&`, `--` and `~~` in a class are ambiguous; write `\&`, `\-` and `\~`".to_owned())
            }
        }
    }

    fn re2_item(item: &mut ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Perl(class) => {
                if let Ast::ClassBracketed(class) = &mut ascii(class)? {
                    *item = ClassSetItem::Bracketed(class.clone());
                }
                Ok(())
            }
            ClassSetItem::Bracketed(_) => Err(r"`[` in a class is ambiguous; write `\[`".to_owned()),
            ClassSetItem::Union(union) => union.items.iter_mut().try_for_each(re2_item),
            _ => Ok(()),
        }
    }

    fn ascii(class: &ClassPerl) -> Result<Ast, String> {
        parse(match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn matches(pattern: &str, text: &str) -> bool {
            Automaton::load(&compile(pattern).unwrap().to_text()).unwrap().matches(text)
        }

        #[test]
        fn the_whole_value_must_match() {
            assert!(matches(r"2(\.[0-9]+)?", "2.15"));
            assert!(!matches(r"2(\.[0-9]+)?", "2.15a"));
            assert!(matches("foo|foobar", "foobar"));
            assert!(!matches("a|b", "ab"));
            assert!(matches("a*", ""));
            assert!(!matches("^a$", "a\n"));
            assert!(matches("(?i)a(?s:.)", "A\n"));
        }

        #[test]
        fn perl_classes_are_ascii_and_a_dot_is_a_character() {
            assert!(matches(r"\d\s\w\D\S\W", "1 _éé-"));
            assert!(!matches(r"\d", "٣"));
            assert!(!matches(r"[\w]", "é"));
            assert!(matches(r"[^\d]", "é"));
            assert!(matches(r".", "é"));
            assert!(matches(r"a\b.*\bb", "a é b"));
            assert!(!matches(r"a\bb", "ab"));
            assert!(!matches(r"\s", "\u{b}"));
            assert!(matches(r"\pL+", "éü"));
            assert!(matches("(?i:straße)", "STRAßE"));
        }

        #[test]
        fn what_no_automaton_can_do_is_refused() {
            for pattern in [
                "[a&&b]",
                "[[a]b]",
                r"[\w--_]",
                "(?x)a",
                "(?u:a)",
                "(",
                r"(a)\1",
                "(?=a)",
                "a**{",
                &"(".repeat(500),
                r"(\pL{100}){100}",
                "[0-9]{99999}",
            ] {
                assert!(matches!(compile(pattern), Err(Cause::Pattern { .. })), "{pattern}");
            }
        }
    }
}
