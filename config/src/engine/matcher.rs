//! Conditions in the form in which they are asked.

use crate::document::os::Os;
use crate::engine::automaton::{self, Automaton};
use crate::engine::patterns::Patterns;
use crate::error::Cause;
use crate::json::value::Json;
use crate::request::network::Network;
use crate::request::source::{Named, TextSource};
use crate::request::{RequestView, joined};

/// The kinds of conditions. Each that combines others holds only those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Cookie,
    Query,
    Path,
    Method,
    Authority,
    Os,
    SourceAddress,
    Not,
    AnyOf,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Header,
        Self::Cookie,
        Self::Query,
        Self::Path,
        Self::Method,
        Self::Authority,
        Self::Os,
        Self::SourceAddress,
        Self::Not,
        Self::AnyOf,
    ];

    /// Their names, in the same order.
    const NAMES: [&str; 10] =
        ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress", "not", "anyOf"];
}

/// The fields of conditions on texts: the first one is of some of them alone, the last one is not an operator.
const FIELDS: usize = 9;
const NAMED_FIELDS: [&str; FIELDS] =
    ["name", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];
const PATH_FIELDS: [&str; FIELDS] =
    ["pathPrefix", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];

const TEXT_OPERATORS: &str = "`exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`";
const PATH_OPERATORS: &str = "`pathPrefix`, `exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`";

/// Sources of which at least one must answer as wanted.
#[derive(Clone, Debug)]
pub(crate) struct Matcher(pub(crate) Vec<(bool, Test)>);

/// A question to a request.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Text(TextSource, Text),
    Os(OsTest),
    Source(Vec<Network>),
}

/// A question to a text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) operator: Operator,
    pub(crate) ignore_case: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Operator {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    PathPrefix(String),
    /// The pattern is for explanations alone.
    Regex(Automaton, #[cfg(feature = "authoring")] String),
    In(Vec<String>),
    Present(bool),
}

/// A question to a `User-Agent`.
#[derive(Clone, Debug)]
pub(crate) enum OsTest {
    In(Vec<Os>),
    Present(bool),
}

impl Matcher {
    /// Reads a condition; with a fault it is of no use.
    pub(crate) fn compile(json: &Json<'_>, patterns: &mut Patterns) -> Self {
        let mut tests = Vec::new();
        alternatives(json, Kind::ALL.len(), true, patterns, &mut tests);
        Self(tests)
    }

    /// The source of a condition that compares with literals alone, whether it ignores case, and the literals.
    pub(crate) fn literals(&self) -> Option<(&TextSource, bool, &[String])> {
        match self.0.as_slice() {
            [(true, Test::Text(source, Text { operator: Operator::In(literals), ignore_case }))] => {
                Some((source, *ignore_case, literals))
            }
            [(true, Test::Text(source, Text { operator: Operator::Exact(literal), ignore_case }))] => {
                Some((source, *ignore_case, std::slice::from_ref(literal)))
            }
            _ => None,
        }
    }

    pub(crate) fn holds(&self, request: &impl RequestView) -> bool {
        self.0.iter().any(|(wanted, test)| test.holds(request) == *wanted)
    }
}

/// Adds the sources of a condition of the first so many kinds: `not` holds no other one, and neither does `anyOf` hold itself.
fn alternatives(json: &Json<'_>, kinds: usize, wanted: bool, patterns: &mut Patterns, tests: &mut Vec<(bool, Test)>) {
    let Some((at, json)) = &json.variant("condition", Kind::NAMES.get(..kinds).unwrap_or_default()) else {
        return;
    };
    match Kind::ALL.get(*at) {
        Some(Kind::Not) => alternatives(json, Kind::Not as usize, false, patterns, tests),
        Some(Kind::AnyOf) => {
            let list = json.some_items(Cause::EmptyList);
            list.each(&mut |json| alternatives(json, Kind::AnyOf as usize, true, patterns, tests));
        }
        Some(kind) => tests.push((wanted, Test::compile(*kind, json, patterns))),
        None => {}
    }
}

/// The one operator of a condition, by its number among those that there are.
fn operator(json: &Json<'_>, fields: &[Json<'_>], names: &[&'static str], all: &'static str) -> Option<usize> {
    let mut given = fields.iter().zip(names).enumerate().filter(|(_, (field, _))| field.given());
    match (given.next(), given.next()) {
        (Some((at, _)), None) => return Some(at),
        (Some((_, (_, first))), Some((_, (_, second)))) => json.fault(Cause::TwoOperators(first, second)),
        (None, _) => json.fault(Cause::NoOperator(all)),
    }
    None
}

impl Test {
    fn compile(kind: Kind, json: &Json<'_>, patterns: &mut Patterns) -> Self {
        match kind {
            Kind::Os => Self::Os(os(json)),
            Kind::SourceAddress => {
                let [list] = &json.fields(&["in"]);
                Self::Source(list.some_items(Cause::EmptyList).read(network))
            }
            _ => text(kind, json, patterns),
        }
    }

    fn holds(&self, request: &impl RequestView) -> bool {
        match self {
            Self::Text(source, text) => text.holds(source.value(request).as_deref()),
            Self::Os(test) => {
                let os = joined(request, "user-agent").and_then(|value| Os::of_user_agent(&value));
                match test {
                    OsTest::In(wanted) => os.is_some_and(|os| wanted.contains(&os)),
                    OsTest::Present(wanted) => os.is_some() == *wanted,
                }
            }
            Self::Source(networks) => {
                let source = request.source().map(|source| source.to_canonical());
                source.is_some_and(|source| networks.iter().any(|network| network.contains(source)))
            }
        }
    }
}

impl Text {
    fn holds(&self, value: Option<&[u8]>) -> bool {
        if let Operator::Present(wanted) = self.operator {
            return value.is_some() == wanted;
        }
        let Some(value) = value else {
            return false;
        };
        let holds = match &self.operator {
            Operator::Exact(text) => self.same(value, text),
            Operator::In(texts) => texts.iter().any(|text| self.same(value, text)),
            Operator::Prefix(text) => value.get(..text.len()).is_some_and(|start| self.same(start, text)),
            Operator::Suffix(text) => {
                let start = value.len().checked_sub(text.len());
                start.and_then(|start| value.get(start..)).is_some_and(|end| self.same(end, text))
            }
            Operator::PathPrefix(prefix) => value
                .split_at_checked(prefix.len())
                .is_some_and(|(start, rest)| (rest.is_empty() || rest.starts_with(b"/")) && self.same(start, prefix)),
            // A search that is quick over large texts takes more room than it is worth for short ones.
            Operator::Contains(text) => text.is_empty() || value.windows(text.len()).any(|part| self.same(part, text)),
            Operator::Regex(automaton, ..) => std::str::from_utf8(value).is_ok_and(|value| automaton.matches(value)),
            Operator::Present(_) => true,
        };
        // Bytes that are not text match no text, but few are worth the look.
        holds && std::str::from_utf8(value).is_ok()
    }

    fn same(&self, value: &[u8], text: &str) -> bool {
        if self.ignore_case { value.eq_ignore_ascii_case(text.as_bytes()) } else { value == text.as_bytes() }
    }
}

/// An operator on a text.
#[inline(never)]
fn text(kind: Kind, json: &Json<'_>, patterns: &mut Patterns) -> Test {
    let mut fields = [json.name("", b""); FIELDS];
    // Methods and authorities have no first field.
    let first = usize::from(matches!(kind, Kind::Method | Kind::Authority));
    let names = if kind == Kind::Path { &PATH_FIELDS } else { &NAMED_FIELDS };
    json.fill(names.get(first..).unwrap_or_default(), fields.get_mut(first..).unwrap_or_default());
    let [name, .., ignore_case] = &fields;
    let source = match kind {
        Kind::Path => TextSource::Path,
        Kind::Method => TextSource::Method,
        Kind::Authority => TextSource::Authority,
        Kind::Header => TextSource::named(Named::Header, name),
        Kind::Cookie => TextSource::named(Named::Cookie, name),
        _ => TextSource::named(Named::Query, name),
    };
    #[cfg(feature = "authoring")]
    source.refuse_host(name, "the condition `authority`");
    let (from, all) = if kind == Kind::Path { (0, PATH_OPERATORS) } else { (1, TEXT_OPERATORS) };
    let operators = fields.get(from..FIELDS - 1).unwrap_or_default();
    let found = operator(json, operators, names.get(from..).unwrap_or_default(), all);
    let ignored = !ignore_case.missing() && ignore_case.boolean();
    let folded = |json: &Json<'_>| {
        let mut text = json.text().into_owned();
        if ignored {
            text.make_ascii_lowercase();
        }
        text
    };
    let Some((at, json)) = found.and_then(|at| Some((at + from, operators.get(at)?))) else {
        return Test::Os(OsTest::Present(true));
    };
    let operator = match at {
        0 => Operator::PathPrefix(path_prefix(json, folded(json))),
        1 => Operator::Exact(folded(json)),
        2 => Operator::Prefix(folded(json)),
        3 => Operator::Suffix(folded(json)),
        4 => Operator::Contains(folded(json)),
        5 => match regex(json, ignored, patterns) {
            // The automaton ignores case by itself.
            Some(operator) => return Test::Text(source, Text { operator, ignore_case: false }),
            None => Operator::Present(true),
        },
        6 => Operator::In(json.some_items(Cause::EmptyList).read(folded)),
        _ => {
            if ignored {
                ignore_case.fault(Cause::IgnoreCase);
            }
            Operator::Present(json.boolean())
        }
    };
    Test::Text(source, Text { operator, ignore_case: ignored })
}

/// A pattern's operator; `None` once its fault is noted.
fn regex(json: &Json<'_>, ignore_case: bool, patterns: &mut Patterns) -> Option<Operator> {
    let pattern = automaton::effective(&json.text(), ignore_case);
    #[cfg(feature = "authoring")]
    let shown = pattern.clone();
    match patterns.get(pattern) {
        Ok(automaton) => Some(Operator::Regex(
            automaton,
            #[cfg(feature = "authoring")]
            shown,
        )),
        Err(cause) => {
            json.fault(cause);
            None
        }
    }
}

/// `/api/` means what `/api` means (Gateway API, HTTPPathMatch), so `/` is left with no text at all.
fn path_prefix(json: &Json<'_>, mut prefix: String) -> String {
    if !prefix.starts_with('/') || prefix.bytes().any(|byte| matches!(byte, b'?' | b'#')) {
        json.fault(Cause::PathPrefix(json.text().into_owned()));
    }
    if prefix.ends_with('/') {
        prefix.pop();
    }
    prefix
}

#[inline(never)]
fn os(json: &Json<'_>) -> OsTest {
    let names = ["exact", "in", "present"];
    let fields = &json.fields(&names);
    let [exact, list, present] = fields;
    let system = |json: &Json<'_>| match json.word(&["windows", "macos", "linux", "android", "ios"]) {
        0 => Os::Windows,
        1 => Os::Macos,
        2 => Os::Linux,
        3 => Os::Android,
        _ => Os::Ios,
    };
    match operator(json, fields, &names, "`exact`, `in`, `present`") {
        Some(0) => OsTest::In(vec![system(exact)]),
        Some(1) => OsTest::In(list.some_items(Cause::EmptyList).read(system)),
        Some(_) => OsTest::Present(present.boolean()),
        None => OsTest::Present(true),
    }
}

fn network(json: &Json<'_>) -> Network {
    let text = json.text();
    Network::parse(&text).unwrap_or_else(|| {
        json.fault(Cause::Network(text.into_owned()));
        Network::default()
    })
}
