//! Regular expressions as automata that travel in the document: compiled once, searched in linear time.
//!
//! A matcher for patterns would be several times the rest of the filter; the search of a finished automaton is a loop. Its bytes
//! are one that says their form, then the states, the first of which is where a text begins: one byte (1 where a text may end),
//! the number of ranges, and for each range its last byte and the number of the state behind it. A range begins where the one
//! before ends; what is behind the last one leads nowhere, and neither does [`NOWHERE`]. Numbers are 16 bits, little-endian.

use std::sync::Arc;

use crate::base64;
use crate::error::Cause;

/// The form of the bytes, so that another version of Serin can tell them from its own.
const FORM: u8 = 1;

/// The number of no state.
const NOWHERE: u16 = u16::MAX;

/// A compiled pattern, which matches whole values.
#[derive(Clone, Debug)]
pub(crate) struct Automaton(Arc<[State]>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// Whether a text may end here.
    end: bool,
    /// Last bytes, increasing, and the states behind.
    ranges: Vec<(u8, u16)>,
}

impl Automaton {
    /// Reads an automaton as it stands in a document.
    #[inline(never)]
    pub(crate) fn load(text: &str) -> Result<Self, Cause> {
        let read = base64::decode(text.as_bytes(), *b"+/").and_then(|bytes| Self::from_bytes(&bytes));
        read.ok_or_else(|| Cause::Automaton("it is none of this version".to_owned()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, mut rest) = bytes.split_first()?;
        let (mut states, mut highest) = (Vec::new(), 0);
        while let Some(([end @ (0 | 1), low, high], after)) = rest.split_first_chunk() {
            let (ranges, after) = after.split_at_checked(3 * usize::from(u16::from_le_bytes([*low, *high])))?;
            let ranges: Vec<_> =
                ranges.as_chunks().0.iter().map(|[last, low, high]| (*last, u16::from_le_bytes([*low, *high]))).collect();
            if !ranges.is_sorted_by(|(one, _), (next, _)| one < next) {
                return None;
            }
            let behind = ranges.iter().map(|(_, state)| *state).filter(|state| *state != NOWHERE);
            highest = behind.fold(highest, u16::max);
            states.push(State { end: *end == 1, ranges });
            rest = after;
        }
        (*form == FORM && rest.is_empty() && usize::from(highest) < states.len()).then(|| Self(states.into()))
    }

    /// The automaton as it stands in a document.
    #[cfg(feature = "authoring")]
    pub(crate) fn to_text(&self) -> String {
        use ::base64::Engine;
        ::base64::engine::general_purpose::STANDARD.encode(self.to_bytes())
    }

    #[cfg(feature = "authoring")]
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for State { end, ranges } in &*self.0 {
            bytes.push(u8::from(*end));
            bytes.extend(u16::try_from(ranges.len()).unwrap_or_default().to_le_bytes());
            for (last, state) in ranges {
                bytes.push(*last);
                bytes.extend(state.to_le_bytes());
            }
        }
        bytes
    }

    /// Whether the whole text matches.
    #[inline(never)]
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut here = self.0.first();
        for byte in text.bytes() {
            let Some(State { ranges, .. }) = here else {
                return false;
            };
            let at = ranges.partition_point(|(last, _)| *last < byte);
            // There is no state behind `NOWHERE`.
            here = ranges.get(at).and_then(|(_, state)| self.0.get(usize::from(*state)));
        }
        here.is_some_and(|state| state.end)
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
    use std::collections::HashMap;

    use super::*;
    use regex_automata::dfa::{Automaton as _, StartKind, dense};
    use regex_automata::nfa::thompson;
    use regex_automata::util::start;
    use regex_automata::{Anchored, MatchKind};
    use regex_syntax::ast::{
        self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind,
    };
    use regex_syntax::hir::{Hir, Look, translate};

    /// The most that one pattern may add to a document, before base64.
    const MAX_BYTES: usize = 256 * 1024;

    pub(crate) fn compile(pattern: &str) -> Result<Automaton, Cause> {
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
        let automaton = states(&dfa).ok_or_else(|| because("its automaton has too many states".to_owned()))?;
        let bytes = automaton.to_bytes().len();
        match bytes <= MAX_BYTES {
            true => Ok(automaton),
            false => Err(because(format!("its automaton has {bytes} bytes, at most {MAX_BYTES} fit"))),
        }
    }

    /// The states of an automaton that a text can come to.
    fn states(dfa: &dense::DFA<Vec<u32>>) -> Option<Automaton> {
        let first = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let (mut ids, mut numbers) = (vec![first], HashMap::from([(first, 0)]));
        let mut states = Vec::new();
        while let Some(&id) = ids.get(states.len()) {
            let mut ranges: Vec<(u8, u16)> = Vec::new();
            for byte in 0..=u8::MAX {
                let next = dfa.next_state(id, byte);
                let number = match dfa.is_dead_state(next) {
                    true => NOWHERE,
                    false => *numbers.entry(next).or_insert_with(|| {
                        ids.push(next);
                        u16::try_from(ids.len() - 1).unwrap_or(NOWHERE)
                    }),
                };
                match ranges.last_mut() {
                    Some((last, state)) if *state == number => *last = byte,
                    _ => ranges.push((byte, number)),
                }
            }
            ranges.pop_if(|(_, state)| *state == NOWHERE);
            // Patterns are anchored at both ends, so only the state behind the end says whether they match.
            states.push(State { end: dfa.is_match_state(dfa.next_eoi_state(id)), ranges });
        }
        (states.len() <= usize::from(NOWHERE)).then(|| Automaton(states.into()))
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
        fn bytes_that_are_no_automaton_are_refused() {
            let bytes = compile("(a|b)*c[0-9]{2,4}").unwrap().to_bytes();
            assert_eq!(Automaton::from_bytes(&bytes).unwrap().to_bytes(), bytes);
            for length in 0..bytes.len() {
                if let Some(shorter) = Automaton::from_bytes(&bytes[..length]) {
                    assert_eq!(shorter.to_bytes(), bytes[..length]);
                }
            }
            for at in 0..bytes.len() {
                for value in 0..=u8::MAX {
                    let mut other = bytes.clone();
                    other[at] = value;
                    if let Some(other) = Automaton::from_bytes(&other) {
                        for State { ranges, .. } in &*other.0 {
                            assert!(
                                ranges.iter().all(|(_, state)| *state == NOWHERE || usize::from(*state) < other.0.len())
                            );
                        }
                        other.matches("abc123");
                    }
                }
            }
            assert!(Automaton::from_bytes(&[]).is_none());
            assert!(Automaton::from_bytes(&[FORM]).is_none());
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
