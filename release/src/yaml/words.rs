//! What a reader says to people: never a word of a library or of a type.

use granit_parser::ErrorKind;

use super::node::Content;
use crate::problem::Problem;

/// Why a node is not what belongs there.
#[derive(Debug)]
pub(super) enum Cause {
    /// Another form of value.
    Misfit { expected: Expected, found: Content },
    /// A field that there is not.
    UnknownField { name: String, known: &'static [&'static str] },
    /// A field that must be there.
    Missing(&'static str),
    /// A word that there is not.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// None or several of some fields of which exactly one belongs there.
    NotOne { names: Vec<String>, known: &'static [&'static str], of: &'static str },
    /// What the type itself says: a problem, and a fix behind the last `; `.
    Sentence(String),
}

/// A form of value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Text,
    Bool,
    Whole {
        least: i64,
        most: u64,
    },
    List,
    Fields,
    Word(&'static [&'static str]),
    /// A word that stands alone and has no fields.
    OnlyWord,
}

/// What to write into a field: what it is for, or an example.
const EXAMPLES: [(&str, &str); 49] = [
    ("weight", "a percentage such as `10%`"),
    ("version", "the label `version` of its pods, such as `v2`"),
    ("stable", "`{version: v1}`"),
    ("service", "the name of a Service, such as `reviews`"),
    ("takeover", "a version such as `v2`"),
    ("paused", "`true` or `false`"),
    ("canaries", "a list such as `[{version: v2, weight: 10%}]`"),
    ("rules", "a list such as `[{name: testers, when: [...], version: v2}]`"),
    ("when", "a list such as `[{header: {name: x-team, exact: qa}}]`"),
    ("split", "a list such as `[{version: v2, weight: 10%}]`"),
    ("by", "a list such as `[{cookie: user}]`"),
    ("sticky", "fields such as `{by: [{cookie: user}]}`"),
    ("workload", "fields such as `{images: {reviews: reviews:v2}}`"),
    ("images", "fields such as `{reviews: reviews:v2}`"),
    ("replicas", "a number of pods such as `1`, or `share`"),
    ("minReady", "a number of pods such as `2`"),
    ("patch", "a part of a pod's spec such as `{containers: [...]}`"),
    ("routing", "fields such as `{gateways: [...], hosts: [...]}`"),
    ("gateways", "a list such as `[bookinfo-gateway]`"),
    ("hosts", "a list such as `[bookinfo.example.com]`"),
    ("http", "fields such as `{timeout: 5s}`"),
    ("ports", "a list of ports such as `[9080]`"),
    ("port", "a port from 1 to 65535"),
    ("maxAge", "seconds, such as `2592000` for 30 days"),
    ("ipv4Prefix", "a number of bits from 0 to 32"),
    ("ipv6Prefix", "a number of bits from 0 to 128"),
    ("in", "a list such as `[qa, dev]`"),
    ("not", "a condition such as `{header: {name: x-bot, present: true}}`"),
    ("anyOf", "a list of conditions"),
    ("issueCookie", "fields such as `{name: sid, maxAge: 2592000}`"),
    ("jwtClaim", "fields such as `{claim: sub}`"),
    ("sourceAddress", "fields such as `{in: [10.0.0.0/8]}`, or as a key `{ipv4Prefix: 32}`"),
    ("os", "fields such as `{in: [ios, android]}`"),
    ("method", "fields such as `{exact: GET}`"),
    ("path", "fields such as `{pathPrefix: /api}`"),
    ("authority", "fields such as `{exact: shop.example.com}`"),
    ("name", "a name"),
    ("claim", "the name of a claim, such as `sub`"),
    ("listen", "an address such as `0.0.0.0:8080`"),
    ("admin", "an address such as `127.0.0.1:9901`"),
    ("metrics", "an address such as `127.0.0.1:9902`"),
    ("services", "a list such as `[{host: reviews, port: 9080, versions: {v1: [127.0.0.1:9081]}}]`"),
    ("host", "a host such as `reviews.example.com`"),
    ("aliases", "a list such as `[reviews]`"),
    ("versions", "fields such as `{v1: [127.0.0.1:9081]}`"),
    ("workers", "a number of threads such as `2`"),
    ("metadata", "fields such as `{name: reviews, namespace: bookinfo}`"),
    ("spec", "fields"),
    ("namespace", "a namespace such as `bookinfo`"),
];

/// Conditions and keys have fields of the same names: what stands around tells them apart.
fn example(path: &str) -> Option<String> {
    let (around, field) = path.rsplit_once('.').unwrap_or(("", path));
    let field = field.split('[').next().unwrap_or(field);
    let is_condition = ["when", "anyOf", "not"]
        .iter()
        .any(|list| around.rsplit('.').next().is_some_and(|last| last.split('[').next() == Some(list)));
    match field {
        "header" if is_condition => return Some("fields such as `{name: x-team, exact: qa}`".to_owned()),
        "cookie" | "query" if is_condition => return Some("fields such as `{name: beta, exact: \"1\"}`".to_owned()),
        "header" | "cookie" | "query" | "baggage" => return Some(format!("the name of the {field}, such as `user`")),
        _ => {}
    }
    EXAMPLES.iter().find(|(name, _)| *name == field).map(|(_, example)| (*example).to_owned())
}

/// The problem of a cause at a path.
pub(super) fn misfit(cause: &Cause, path: &str) -> Problem {
    let (problem, fix) = match cause {
        Cause::Sentence(sentence) => return Problem::of_sentence(path, sentence),
        Cause::Missing(field) => (
            format!("`{field}` is missing"),
            example(path).map_or_else(|| "add it".to_owned(), |example| format!("write {example}")),
        ),
        Cause::UnknownField { name, .. } if name.contains(is_odd) => {
            let odd = name.chars().find(|c| is_odd(*c)).unwrap_or_default();
            (format!("the name of this field has {}", name_of(odd)), "replace it by blanks".to_owned())
        }
        Cause::UnknownField { name, known } => (format!("unknown field `{name}`"), closest(name, known)),
        Cause::UnknownWord { word, known } => (format!("`{word}` is not known here"), closest(word, known)),
        Cause::NotOne { names, known, of } => not_one(names, known, of),
        Cause::Misfit { expected, found } => not_of_form(*expected, found, path),
    };
    Problem::new(path, problem, fix)
}

fn not_one(names: &[String], known: &[&str], of: &str) -> (String, String) {
    match names {
        [] => ("nothing is in here".to_owned(), format!("write one of {}", list(known))),
        _ => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let fix = match of {
                "Condition" | "Alternative" | "KeySource" => "make each an item of the list",
                _ => "keep one of them",
            };
            (format!("{} in one item", names.join(" and ")), fix.to_owned())
        }
    }
}

fn not_of_form(expected: Expected, found: &Content, path: &str) -> (String, String) {
    let example = example(path);
    let write = |fallback: &str| format!("write {}", example.as_deref().unwrap_or(fallback));
    let found_words = match found {
        Content::Null => return ("there is no value".to_owned(), format!("{}, or leave the field out", write("one"))),
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "an object with fields".to_owned(),
        Content::Bool(_, text) | Content::Number(text) | Content::Text(text) => format!("`{}`", shortened(text)),
    };
    match (expected, found) {
        (Expected::Text, Content::Number(text) | Content::Bool(_, text)) => not_a_text(text, found, path, example),
        (Expected::Text, _) => (format!("{found_words} where a text belongs"), write("a text")),
        (Expected::Bool, Content::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            (format!("`{text}` is a text where a boolean belongs"), "remove the quotes".to_owned())
        }
        (Expected::Bool, _) => (format!("{found_words} is not a boolean"), "write `true` or `false`".to_owned()),
        (Expected::Whole { least, most }, _) => not_whole(found, &found_words, (least, most), path, example),
        (Expected::List, Content::Text(text) | Content::Number(text)) => {
            (format!("{found_words} is not a list"), format!("write `[{text}]`"))
        }
        (Expected::List, _) => (format!("{found_words} where a list belongs"), write("a list")),
        (Expected::Fields, _) => (format!("{found_words} where an object with fields belongs"), write("its fields")),
        (Expected::Word(known), _) => (format!("{found_words} is not known here"), format!("write one of {}", list(known))),
        (Expected::OnlyWord, _) => (format!("{found_words} has no fields"), format!("write {found_words} alone")),
    }
}

fn not_a_text(text: &str, found: &Content, path: &str, example: Option<String>) -> (String, String) {
    match path.rsplit('.').next().unwrap_or_default() {
        "weight" if matches!(found, Content::Number(_)) => {
            return (format!("`{text}` is not a percentage"), format!("write `{text}%`"));
        }
        "listen" | "admin" | "metrics" => {
            return (format!("`{text}` is not an address"), format!("write {}", example.unwrap_or_default()));
        }
        field if field.to_ascii_lowercase().ends_with("timeout") || field == "interval" => {
            return (format!("`{text}` is not a time"), format!("write its unit too, such as `{text}s`"));
        }
        _ => {}
    }
    let kind = if matches!(found, Content::Number(_)) { "a number" } else { "a boolean" };
    (format!("`{text}` is {kind} where a text belongs"), format!("put it in quotes: `\"{text}\"`"))
}

fn not_whole(
    found: &Content,
    found_words: &str,
    (least, most): (i64, u64),
    path: &str,
    example: Option<String>,
) -> (String, String) {
    if matches!(found, Content::Text(text) if text.parse::<u64>().is_ok()) {
        return (format!("{found_words} is a text where a number belongs"), "remove the quotes".to_owned());
    }
    if path.contains("ports[") || path.ends_with(".port") {
        return (format!("{found_words} is not a port"), "write 1 to 65535".to_owned());
    }
    let range = match (least, most) {
        (0, most) if most >= u64::from(u32::MAX) => "a whole number of 0 or more".to_owned(),
        (least, most) => format!("a whole number from {least} to {most}"),
    };
    let fix = format!("write {}", example.as_deref().unwrap_or(&range));
    match found {
        Content::Number(_) => (format!("{found_words} is not {range}"), fix),
        _ => (format!("{found_words} is not a whole number"), fix),
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn list(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What was probably meant, else all that there is.
fn closest(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (distance(name, known), known)).min();
    match near {
        Some((distance, known)) if distance <= (name.len() / 3).max(1) => format!("did you mean `{known}`?"),
        _ if known.is_empty() => "leave it out".to_owned(),
        _ => format!("write one of {}", list(known)),
    }
}

/// How many letters must be added, removed, changed or swapped with the next one (optimal string alignment), letter case aside.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) =
        (one.to_lowercase().chars().collect(), other.to_lowercase().chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    let at = |row: Option<&Vec<usize>>, index: usize| row.and_then(|row| row.get(index)).copied().unwrap_or(usize::MAX / 2);
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = at(rows.last(), j) + usize::from(a != b);
            let mut least = changed.min(at(rows.last(), j + 1) + 1).min(at(Some(&row), j) + 1);
            if i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a) {
                least = least.min(at(rows.get(i - 1), j - 1) + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    at(rows.last(), other.len())
}

/// The words for a text that is not YAML.
pub(super) fn syntax(text: &str, (line, column): (u32, u32), kind: &ErrorKind) -> Problem {
    if let Some(problem) = odd_character(text, line) {
        return problem;
    }
    let here = line_of(text, line);
    if here.contains("{{") {
        return template();
    }
    let (problem, fix) = not_yaml(kind);
    if here.trim().is_empty() {
        return Problem::new("", problem, fix);
    }
    Problem::new("", format!("{problem}, at `{}`", point(here, column)), fix)
}

fn not_yaml(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as Kind;
    match kind {
        Kind::UnclosedFlowCollection { open } => (format!("`{open}` is never closed"), "close it"),
        Kind::MismatchedFlowCollectionEnd { open, close } => {
            (format!("`{open}` is closed by `{close}`"), "close it with its own bracket")
        }
        Kind::UnexpectedCharacter { character } => (format!("`{character}` cannot begin a text"), "put the text in quotes"),
        kind => {
            let (problem, fix) = not_yaml_fixed(kind);
            (problem.to_owned(), fix)
        }
    }
}

fn not_yaml_fixed(kind: &ErrorKind) -> (&'static str, &'static str) {
    use ErrorKind as Kind;
    match kind {
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => {
            ("a quote is never closed", "close it, or remove it")
        }
        Kind::UnexpectedEofFlowSequence => ("`[` is never closed", "close it with `]`"),
        Kind::UnexpectedEofFlowMapping | Kind::UnexpectedEofImplicitFlowMapping => {
            ("`{` is never closed", "close it with `}`")
        }
        Kind::MisplacedFlowCollectionEnd => ("a bracket is closed that was never opened", "remove it"),
        Kind::ExpectedFlowMappingSeparator | Kind::ExpectedFlowSequenceSeparator => {
            ("there is no comma between two items", "write `,` between them, or close the bracket before")
        }
        Kind::MappingValueNotAllowed | Kind::InvalidMappingValueWhitespace | Kind::SimpleKeyExpected => (
            "there is a second `:` in one field, or a field is indented too far",
            "put the text in quotes, or indent it like its neighbours",
        ),
        Kind::ExpectedBlockMappingKey
        | Kind::InvalidIndentation
        | Kind::ExpectedBlockSequenceEntry
        | Kind::MappingKeyNotAllowed
        | Kind::BlockSequenceEntryNotAllowed
        | Kind::InvalidSimpleKey => {
            ("this line is not indented like its neighbours", "indent the fields of one object alike")
        }
        Kind::UnknownAnchor => ("an alias names an anchor that does not exist", "write the value out"),
        Kind::RecursionLimitExceeded => ("values are nested too deep", "flatten them"),
        Kind::UnknownQuotedScalarEscape | Kind::InvalidQuotedScalarHexEscape => {
            ("a `\\` in double quotes begins an unknown escape", "write `\\\\`, or use single quotes")
        }
        Kind::ExpectedDocumentStart | Kind::MissingDocumentEndBeforeDirective => {
            ("there is text behind the end of a document", "begin the next document with `---`")
        }
        _ => ("this is not YAML", "check quotes, brackets and indentation around it"),
    }
}

/// The rest of a line from a column, or all of it where nothing is left.
fn point(line: &str, column: u32) -> String {
    let from = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
    let rest: String = line.chars().skip(from).take(40).collect();
    let rest = if rest.trim().is_empty() { line.trim().chars().take(40).collect() } else { rest };
    rest.trim().to_owned()
}

fn template() -> Problem {
    Problem::new(
        "",
        "`{{` begins a template that nothing has filled in",
        "render it first, for example with `helm template`",
    )
}

/// The words for a field whose name is a list or an object.
pub(super) fn not_a_name(text: &str, (line, _): (u32, u32)) -> Problem {
    if line_of(text, line).contains("{{") {
        return template();
    }
    Problem::new("", "a list or an object where the name of a field belongs", "write a text as the name")
}

fn line_of(text: &str, line: u32) -> &str {
    let index = usize::try_from(line.saturating_sub(1)).unwrap_or_default();
    text.lines().nth(index).unwrap_or_default()
}

/// A character that looks like a blank and is not one: near it parsers find faults elsewhere.
fn odd_character(text: &str, line: u32) -> Option<Problem> {
    for near in [line, line.saturating_sub(1), line + 1] {
        let here = if near == 0 { "" } else { line_of(text, near) };
        let indent = here.chars().take_while(|c| c.is_whitespace());
        let odd = indent.zip(1..).find(|(c, _)| *c != ' ');
        let within = here.chars().zip(1..).find(|(c, _)| is_odd(*c));
        let Some((character, column)) = odd.or(within) else { continue };
        let problem = format!("{} stands where only blanks may", name_of(character));
        return Some(Problem {
            line: Some(near),
            column: Some(column),
            ..Problem::new("", problem, "replace it by blanks")
        });
    }
    None
}

fn is_odd(character: char) -> bool {
    matches!(character, '\u{a0}' | '\u{200b}' | '\u{feff}' | '\u{3000}')
}

fn name_of(character: char) -> String {
    match character {
        '\t' => "a tab".to_owned(),
        '\u{a0}' => "a no-break space (U+00A0)".to_owned(),
        '\u{200b}' => "a zero-width space (U+200B)".to_owned(),
        other => format!("the character U+{:04X}", u32::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_near_and_another_word_is_not() {
        assert_eq!(distance("wieght", "weight"), 1);
        assert_eq!(distance("canarys", "canaries"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(closest("stickey", &["sticky", "stable"]), "did you mean `sticky`?");
        assert_eq!(closest("x", &["sticky", "stable"]), "write one of `sticky`, `stable`");
    }
}
