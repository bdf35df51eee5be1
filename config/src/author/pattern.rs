//! From a pattern to its automaton. Patterns mean what they mean in RE2.

use std::cell::Cell;
use std::collections::HashMap;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind,
};
use regex_syntax::hir::{Hir, Look, translate};

use crate::engine::automaton::{Automaton, NOWHERE, State};
use crate::error::Cause;

/// The most that one pattern may add to a document, before base64.
const MAX_BYTES: usize = 256 * 1024;

thread_local! {
    static COMPILED: Cell<u64> = const { Cell::new(0) };
}

/// How many patterns this thread has compiled so far. It is work that nobody should do twice, so tests count it.
#[must_use]
pub fn compiled() -> u64 {
    COMPILED.get()
}

/// The automaton of a pattern.
pub(crate) fn compile(pattern: &str) -> Result<Automaton, Cause> {
    COMPILED.set(COMPILED.get() + 1);
    let because = |cause: String| Cause::Pattern { pattern: pattern.to_owned(), cause };
    let large = |cause: String| Cause::LargePattern { pattern: pattern.to_owned(), cause };
    let mut ast = parse(pattern).map_err(because)?;
    re2(&mut ast).map_err(because)?;
    let hir = translate::TranslatorBuilder::new()
        .utf8(false)
        .build()
        .translate(pattern, &ast)
        .map_err(|error| because(of_meaning(error.kind()).to_owned()))?;
    let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let limits = thompson::Config::new().which_captures(thompson::WhichCaptures::None).nfa_size_limit(Some(16 * MAX_BYTES));
    let nfa = thompson::Compiler::new().configure(limits).build_from_hir(&whole).map_err(|_| large(too_large("steps")))?;
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
        .map_err(|_| large(too_large("states")))?;
    let automaton = states(&dfa).ok_or_else(|| large(too_large("states")))?;
    let bytes = automaton.to_bytes().len();
    if bytes <= MAX_BYTES {
        Ok(automaton)
    } else {
        Err(large(format!("its automaton has {bytes} bytes, at most {MAX_BYTES} fit")))
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
            let number = if dfa.is_dead_state(next) {
                NOWHERE
            } else {
                *numbers.entry(next).or_insert_with(|| {
                    ids.push(next);
                    u16::try_from(ids.len() - 1).unwrap_or(NOWHERE)
                })
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
    Automaton::new(states)
}

fn parse(pattern: &str) -> Result<Ast, String> {
    let parsed = ast::parse::ParserBuilder::new().nest_limit(100).build().parse(pattern);
    parsed.map_err(|error| of_syntax(error.kind()).to_owned())
}

fn too_large(of: &str) -> String {
    format!("its automaton has too many {of}")
}

/// The parser's kinds of errors in words of our own.
fn of_syntax(kind: &ast::ErrorKind) -> &'static str {
    use ast::ErrorKind as Kind;
    match kind {
        Kind::GroupUnclosed => "a `(` is never closed",
        Kind::GroupUnopened => "a `)` closes nothing",
        Kind::ClassUnclosed => "a `[` is never closed",
        Kind::ClassRangeInvalid | Kind::ClassRangeLiteral => {
            "a range in `[...]` does not go from a lower to a higher character"
        }
        Kind::ClassEscapeInvalid => "an escape in `[...]` has no meaning there",
        Kind::RepetitionMissing => "a `*`, `+`, `?` or `{...}` has nothing to repeat",
        Kind::RepetitionCountInvalid => "in `{m,n}` the second number is smaller than the first",
        Kind::RepetitionCountDecimalEmpty | Kind::DecimalEmpty => "a `{...}` has no number",
        Kind::RepetitionCountUnclosed => "a `{` is never closed",
        Kind::DecimalInvalid => "a number in `{...}` is too large",
        Kind::EscapeUnexpectedEof => "the pattern ends with a `\\`",
        Kind::EscapeUnrecognized => "a `\\` stands before a character that needs none and has no meaning with it",
        Kind::EscapeHexEmpty | Kind::EscapeHexInvalid | Kind::EscapeHexInvalidDigit => {
            "a hexadecimal escape is not a character"
        }
        Kind::FlagDuplicate { .. } | Kind::FlagRepeatedNegation { .. } | Kind::FlagDanglingNegation => {
            "the flags in `(?...)` contradict one another"
        }
        Kind::FlagUnexpectedEof | Kind::FlagUnrecognized => "a flag in `(?...)` is not known",
        Kind::GroupNameDuplicate { .. } => "two groups have one name",
        Kind::GroupNameEmpty | Kind::GroupNameInvalid | Kind::GroupNameUnexpectedEof => "the name of a group is not a name",
        Kind::NestLimitExceeded(_) => "groups are nested more than 100 deep",
        Kind::CaptureLimitExceeded => "there are too many groups",
        Kind::UnicodeClassInvalid => "a `\\p{...}` names no class of characters",
        Kind::UnsupportedBackreference => "it refers back to a group",
        Kind::UnsupportedLookAround => "it looks ahead or behind",
        _ => "it has a form that is not known",
    }
}

/// What a pattern of good form may still mean.
fn of_meaning(kind: &regex_syntax::hir::ErrorKind) -> &'static str {
    use regex_syntax::hir::ErrorKind as Kind;
    match kind {
        Kind::UnicodePropertyNotFound | Kind::UnicodePropertyValueNotFound => "a `\\p{...}` names no class of characters",
        Kind::InvalidUtf8 => "it would match bytes that are not text",
        _ => "a class of characters is not known",
    }
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
    let unknown = flags.items.iter().any(|item| matches!(&item.kind, FlagsItemKind::Flag(flag) if !known.contains(flag)));
    if unknown { Err("only the flags `i`, `m`, `s` and `U` are known".to_owned()) } else { Ok(()) }
}

/// RE2 knows neither classes within classes nor operators on them and reads their signs as characters.
fn re2_set(set: &mut ClassSet) -> Result<(), String> {
    match set {
        ClassSet::Item(item) => re2_item(item),
        ClassSet::BinaryOp(_) => Err(r"`&&`, `--` and `~~` in a class are ambiguous (write `\&`, `\-` and `\~`)".to_owned()),
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
        ClassSetItem::Bracketed(_) => Err(r"`[` in a class is ambiguous (write `\[`)".to_owned()),
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
        let deep = "(".repeat(500);
        for pattern in ["[a&&b]", "[[a]b]", r"[\w--_]", "(?x)a", "(?u:a)", "(", r"(a)\1", "(?=a)", "^(?!bot)", "a**{", &deep]
        {
            let cause = compile(pattern).unwrap_err();
            assert!(matches!(cause, Cause::Pattern { .. }), "{pattern}: {cause}");
        }
        for pattern in [r"(\pL{100}){100}", "[0-9]{99999}", "(a|b)*a(a|b){20}"] {
            let cause = compile(pattern).unwrap_err();
            assert!(matches!(cause, Cause::LargePattern { .. }), "{pattern}: {cause}");
            assert_eq!(cause.fix(), "use fewer or smaller repetitions");
        }
    }
}
