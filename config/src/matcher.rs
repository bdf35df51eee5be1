//! Conditions in the form in which they are asked.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::cookie::cookie;
use crate::error::Cause;
use crate::json::Json;
use crate::lexer::whole;
use crate::name::{check_cookie_name, check_filled, header};
use crate::os::Os;
use crate::patterns::Patterns;
use crate::query;
use crate::regex::{self, Automaton};
use crate::request::{RequestView, joined};

/// The kinds of conditions, by number. Each that combines others holds only those before it.
const CONDITIONS: [&str; 10] =
    ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress", "not", "anyOf"];
pub(crate) const HEADER: usize = 0;
pub(crate) const COOKIE: usize = 1;
pub(crate) const QUERY: usize = 2;
const PATH: usize = 3;
const METHOD: usize = 4;
const AUTHORITY: usize = 5;
const OS: usize = 6;
const SOURCE_ADDRESS: usize = 7;
const NOT: usize = 8;
const ANY_OF: usize = 9;

/// The fields of conditions on texts: the first one is of some of them alone, the last one is no operator.
const FIELDS: usize = 9;
const NAMED_FIELDS: [&str; FIELDS] =
    ["name", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];
const PATH_FIELDS: [&str; FIELDS] =
    ["pathPrefix", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];

const TEXT_OPERATORS: &str = "`exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`";
const PATH_OPERATORS: &str = "`pathPrefix`, `exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`";

/// Sources of which at least one must answer as wanted.
#[derive(Clone, Debug)]
pub(crate) struct Matcher(Vec<(bool, Test)>);

#[derive(Clone, Debug)]
enum Test {
    Text(TextSource, Text),
    Os(OsTest),
    Source(Vec<Network>),
}

/// Where a text stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextSource {
    Header(String),
    Cookie(String),
    Query(String),
    Path,
    Method,
    Authority,
}

#[derive(Clone, Debug)]
struct Text {
    operator: Operator,
    ignore_case: bool,
}

#[derive(Clone, Debug)]
enum Operator {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    PathPrefix(String),
    Regex(Automaton),
    In(Vec<String>),
    Present(bool),
}

#[derive(Clone, Debug)]
enum OsTest {
    In(Vec<Os>),
    Present(bool),
}

/// An address block; IPv4 is held in its IPv6-mapped form.
#[derive(Clone, Copy, Debug)]
struct Network {
    ipv4: bool,
    bits: u128,
    mask: u128,
}

impl Matcher {
    /// Reads a condition; with a fault it is of no use.
    pub(crate) fn compile(json: &Json<'_>, patterns: &mut Patterns) -> Self {
        let mut tests = Vec::new();
        alternatives(json, CONDITIONS.len(), true, patterns, &mut tests);
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
    match &json.variant("condition", CONDITIONS.get(..kinds).unwrap_or_default()) {
        Some((NOT, json)) => alternatives(json, NOT, false, patterns, tests),
        Some((ANY_OF, json)) => {
            let list = json.some_items(Cause::EmptyList);
            list.each(&mut |json| alternatives(json, ANY_OF, true, patterns, tests));
        }
        Some((kind, json)) => tests.push((wanted, Test::compile(*kind, json, patterns))),
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
    fn compile(kind: usize, json: &Json<'_>, patterns: &mut Patterns) -> Self {
        match kind {
            OS => Self::Os(os(json)),
            SOURCE_ADDRESS => {
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

impl TextSource {
    /// A header, a cookie or a parameter of the name that stands there.
    #[inline(never)]
    pub(crate) fn named(kind: usize, name: &Json<'_>) -> Self {
        match kind {
            HEADER => Self::Header(header(name)),
            COOKIE => Self::Cookie(name.checked(check_cookie_name)),
            _ => Self::Query(name.checked(check_filled)),
        }
    }

    /// What stands there in a request.
    pub(crate) fn value<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Header(name) => joined(request, name),
            Self::Cookie(name) => cookie(request.values("cookie"), name.as_bytes()).map(Cow::Borrowed),
            Self::Query(name) => query::parameter(target(request)?, name.as_bytes()),
            Self::Path => target(request).map(query::path).map(Cow::Borrowed),
            Self::Method => request.values(":method").next().map(Cow::Borrowed),
            Self::Authority => request.values(":authority").next().map(Cow::Borrowed),
        }
    }
}

fn target(request: &impl RequestView) -> Option<&[u8]> {
    request.values(":path").next()
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
            Operator::Regex(automaton) => std::str::from_utf8(value).is_ok_and(|value| automaton.matches(value)),
            Operator::Present(_) => true,
        };
        // Bytes that are no text match no text, but few are worth the look.
        holds && std::str::from_utf8(value).is_ok()
    }

    fn same(&self, value: &[u8], text: &str) -> bool {
        match self.ignore_case {
            true => value.eq_ignore_ascii_case(text.as_bytes()),
            false => value == text.as_bytes(),
        }
    }
}

/// An operator on a text.
#[inline(never)]
fn text(kind: usize, json: &Json<'_>, patterns: &mut Patterns) -> Test {
    let mut fields = [json.name("", b""); FIELDS];
    // Methods and authorities have no first field.
    let first = usize::from(matches!(kind, METHOD | AUTHORITY));
    let names = if kind == PATH { &PATH_FIELDS } else { &NAMED_FIELDS };
    json.fill(names.get(first..).unwrap_or_default(), fields.get_mut(first..).unwrap_or_default());
    let [name, .., ignore_case] = &fields;
    let source = match kind {
        PATH => TextSource::Path,
        METHOD => TextSource::Method,
        AUTHORITY => TextSource::Authority,
        _ => TextSource::named(kind, name),
    };
    let (from, all) = if kind == PATH { (0, PATH_OPERATORS) } else { (1, TEXT_OPERATORS) };
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
        5 => match patterns.get(regex::effective(&json.text(), ignored)) {
            // The automaton ignores case by itself.
            Ok(automaton) => return Test::Text(source, Text { operator: Operator::Regex(automaton), ignore_case: false }),
            Err(cause) => {
                json.fault(cause);
                Operator::Present(true)
            }
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
        Network { ipv4: false, bits: 0, mask: 0 }
    })
}

impl Network {
    #[inline(never)]
    fn parse(text: &str) -> Option<Self> {
        let slash = text.bytes().position(|byte| byte == b'/');
        let address: IpAddr = text.get(..slash.unwrap_or(text.len()))?.parse().ok()?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = match slash {
            Some(at) => whole(text.as_bytes().get(at + 1..)?).and_then(|length| u32::try_from(length).ok())?,
            None => width,
        };
        let length = (length <= width).then_some(length + offset)?;
        let mask = mask(length);
        Some(Self { ipv4: length >= 96 && address.to_canonical().is_ipv4(), bits: bits(address) & mask, mask })
    }

    /// Whether an address, in its canonical form, lies in the block; no IPv4 address lies in one of IPv6, `::/0` included.
    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.ipv4 && bits(address) & self.mask == self.bits
    }
}

/// The first bits of an address set, the rest clear.
pub(crate) fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length.min(128)).unwrap_or_default()
}

/// An address as bits; IPv4 and IPv4-mapped IPv6 are the same.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
