//! Conditions in the form in which they are asked.

use std::borrow::Cow;
#[cfg(feature = "authoring")]
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::condition::{Alternative, Condition, NamedMatch, Operators, OsMatch, PathMatch, Source, SourceRef};
use crate::cookie::cookie;
use crate::document::SplitDocument;
use crate::error::{Cause, CompileError};
use crate::name::{check_cookie_name, check_header_name};
use crate::os::Os;
use crate::query;
use crate::regex::{self, Automaton};
use crate::request::{RequestView, joined};

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

/// The automata of a document, loaded or compiled once per pattern.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    /// What the document says of them; equal texts are equal automata.
    pub(crate) text: Vec<u8>,
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
    /// Patterns with their automata, in order, and the text in which they stand.
    pub(crate) fn new(text: Vec<u8>, automata: Vec<(String, String)>) -> Self {
        let known = automata.into_iter().map(|(pattern, text)| Pattern {
            pattern: pattern.into(),
            text: text.into(),
            automaton: None,
        });
        Self { text, known: known.collect(), uses: 0 }
    }

    pub(crate) fn of(document: &SplitDocument) -> Self {
        let automata = document.automata.iter().map(|(pattern, text)| (pattern.clone(), text.clone()));
        Self::new(Vec::new(), automata.collect())
    }

    /// How often a pattern was asked for.
    pub(crate) fn uses(&self) -> usize {
        self.uses
    }

    fn get(&mut self, pattern: String) -> Result<Automaton, Cause> {
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

impl Matcher {
    pub(crate) fn compile(condition: &Condition, patterns: &mut Patterns) -> Result<Self, CompileError> {
        let tests = match condition.source() {
            Ok(source) => vec![(true, Test::compile(source, patterns)?)],
            Err(Condition::Not(source)) => vec![negated(source, patterns)?],
            Err(Condition::AnyOf(alternatives)) => {
                if alternatives.is_empty() {
                    return Err(Cause::EmptyList.at("anyOf"));
                }
                let mut tests = Vec::with_capacity(alternatives.len());
                for (index, alternative) in alternatives.iter().enumerate() {
                    let test = match alternative.source() {
                        Ok(source) => Test::compile(source, patterns).map(|test| (true, test)),
                        Err(Alternative::Not(source)) => negated(source, patterns),
                        Err(_) => Err(Cause::NoCondition.at("")),
                    };
                    tests.push(test.map_err(|error| error.within(&format!("anyOf[{index}]")))?);
                }
                tests
            }
            Err(_) => return Err(Cause::NoCondition.at("")),
        };
        Ok(Self(tests))
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

fn negated(source: &Source, patterns: &mut Patterns) -> Result<(bool, Test), CompileError> {
    let compiled = source.source().map_err(|_| Cause::NoCondition.at("")).and_then(|source| Test::compile(source, patterns));
    compiled.map(|test| (false, test)).map_err(|error| error.within("not"))
}

impl Test {
    fn compile(source: SourceRef<'_>, patterns: &mut Patterns) -> Result<Self, CompileError> {
        let mut text = |of: Operators<'_>| Text::compile(&of, patterns, TEXT_OPERATORS);
        let (name, test) = match source {
            SourceRef::Header(of) => ("header", text(of.operators()).and_then(|text| Ok((header_name(of)?, text)))),
            SourceRef::Cookie(of) => ("cookie", text(of.operators()).and_then(|text| Ok((cookie_name(of)?, text)))),
            SourceRef::Query(of) => ("query", text(of.operators()).and_then(|text| Ok((query_name(of)?, text)))),
            SourceRef::Method(of) => ("method", text(of.operators()).map(|text| (TextSource::Method, text))),
            SourceRef::Authority(of) => ("authority", text(of.operators()).map(|text| (TextSource::Authority, text))),
            SourceRef::Path(of) => ("path", path(of, patterns).map(|text| (TextSource::Path, text))),
            SourceRef::Os(of) => return os(of).map(Self::Os).map_err(|error| error.within("os")),
            SourceRef::SourceAddress(of) => {
                return networks(&of.one_of).map(Self::Source).map_err(|error| error.within("sourceAddress"));
            }
        };
        test.map(|(source, text)| Self::Text(source, text)).map_err(|error| error.within(name))
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
    fn compile(of: &Operators<'_>, patterns: &mut Patterns, names: &'static str) -> Result<Self, CompileError> {
        let texts = of.texts.iter().filter_map(|&(name, text)| text.map(|_| name));
        let rest = [of.one_of.map(|_| "in"), of.present.map(|_| "present")];
        let mut written = texts.chain(rest.into_iter().flatten());
        let operator = match (written.next(), written.next()) {
            (None, _) => return Err(Cause::NoOperator(names).at("")),
            (Some(first), Some(second)) => return Err(Cause::TwoOperators(first, second).at("")),
            (Some(name), None) => name,
        };
        let text = of.texts.iter().find_map(|&(_, text)| text).unwrap_or_default();
        let folded = || if of.ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
        let operator = match (operator, of.one_of, of.present) {
            (_, _, Some(_)) if of.ignore_case => return Err(Cause::IgnoreCase.at("ignoreCase")),
            (_, _, Some(wanted)) => Operator::Present(wanted),
            (_, Some([]), _) => return Err(Cause::EmptyList.at("in")),
            (_, Some(list), _) if of.ignore_case => {
                Operator::In(list.iter().map(|text| text.to_ascii_lowercase()).collect())
            }
            (_, Some(list), _) => Operator::In(list.to_vec()),
            ("prefix", ..) => Operator::Prefix(folded()),
            ("suffix", ..) => Operator::Suffix(folded()),
            ("contains", ..) => Operator::Contains(folded()),
            ("regex", ..) => {
                let automaton = patterns.get(regex::effective(text, of.ignore_case)).map_err(|cause| cause.at("regex"))?;
                // The automaton ignores case by itself.
                return Ok(Self { operator: Operator::Regex(automaton), ignore_case: false });
            }
            _ => Operator::Exact(folded()),
        };
        Ok(Self { operator, ignore_case: of.ignore_case })
    }

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
            Operator::Contains(text) => std::str::from_utf8(value).is_ok_and(|value| match self.ignore_case {
                true => value.to_ascii_lowercase().contains(text),
                false => value.contains(text),
            }),
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

fn header_name(of: &NamedMatch) -> Result<TextSource, CompileError> {
    check_header_name(&of.name).map(TextSource::Header).map_err(|cause| cause.at("name"))
}

fn cookie_name(of: &NamedMatch) -> Result<TextSource, CompileError> {
    check_cookie_name(&of.name).map(|()| TextSource::Cookie(of.name.clone())).map_err(|cause| cause.at("name"))
}

fn query_name(of: &NamedMatch) -> Result<TextSource, CompileError> {
    match of.name.is_empty() {
        true => Err(Cause::Empty.at("name")),
        false => Ok(TextSource::Query(of.name.clone())),
    }
}

fn path(of: &PathMatch, patterns: &mut Patterns) -> Result<Text, CompileError> {
    let operators = of.operators();
    let Some(prefix) = &of.path_prefix else {
        return Text::compile(&operators, patterns, PATH_OPERATORS);
    };
    let other = operators.texts.iter().find_map(|&(name, text)| text.map(|_| name));
    let rest = [operators.one_of.map(|_| "in"), operators.present.map(|_| "present")];
    if let Some(other) = other.or(rest.into_iter().flatten().next()) {
        return Err(Cause::TwoOperators("pathPrefix", other).at(""));
    }
    if !prefix.starts_with('/') || prefix.contains(['?', '#']) {
        return Err(Cause::PathPrefix(prefix.clone()).at("pathPrefix"));
    }
    // `/api/` means what `/api` means (Gateway API, HTTPPathMatch), so `/` is left with no text at all.
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let prefix = if of.ignore_case { prefix.to_ascii_lowercase() } else { prefix.to_owned() };
    Ok(Text { operator: Operator::PathPrefix(prefix), ignore_case: of.ignore_case })
}

fn os(of: &OsMatch) -> Result<OsTest, CompileError> {
    match (of.exact, &of.one_of, of.present) {
        (Some(os), None, None) => Ok(OsTest::In(vec![os])),
        (None, Some(list), None) if list.is_empty() => Err(Cause::EmptyList.at("in")),
        (None, Some(list), None) => Ok(OsTest::In(list.clone())),
        (None, None, Some(wanted)) => Ok(OsTest::Present(wanted)),
        (None, None, None) => Err(Cause::NoOperator("`exact`, `in`, `present`").at("")),
        (Some(_), Some(_), _) => Err(Cause::TwoOperators("exact", "in").at("")),
        (Some(_), _, _) => Err(Cause::TwoOperators("exact", "present").at("")),
        (None, ..) => Err(Cause::TwoOperators("in", "present").at("")),
    }
}

fn networks(list: &[String]) -> Result<Vec<Network>, CompileError> {
    if list.is_empty() {
        return Err(Cause::EmptyList.at("in"));
    }
    let mut networks = Vec::with_capacity(list.len());
    for (index, text) in list.iter().enumerate() {
        networks.push(network(text).ok_or_else(|| Cause::Network(text.clone()).at(format!("in[{index}]")))?);
    }
    Ok(networks)
}

fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|b| b.is_ascii_digit()) => {
            (address, Some(length.parse::<u32>().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length = length.unwrap_or(width);
    let length = (length <= width).then_some(length + offset)?;
    let mask = mask(length);
    Some(Network { ipv4: length >= 96 && address.to_canonical().is_ipv4(), bits: bits(address) & mask, mask })
}

impl Network {
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
