//! Conditions in the form in which they are asked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::condition::{Alternative, Condition, NamedMatch, Operators, OsMatch, PathMatch, Source, SourceRef};
use crate::cookie::cookie;
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
    Header(String, Text),
    Cookie(String, Text),
    Query(String, Text),
    Path(Text),
    Method(Text),
    Authority(Text),
    Os(OsTest),
    Source(Vec<Network>),
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
pub(crate) struct Patterns<'d> {
    document: &'d BTreeMap<String, String>,
    loaded: BTreeMap<String, Automaton>,
}

impl<'d> Patterns<'d> {
    pub(crate) fn new(document: &'d BTreeMap<String, String>) -> Self {
        Self { document, loaded: BTreeMap::new() }
    }

    fn get(&mut self, pattern: String) -> Result<Automaton, Cause> {
        if let Some(automaton) = self.loaded.get(&pattern) {
            return Ok(automaton.clone());
        }
        let automaton = match self.document.get(&pattern) {
            Some(text) => Automaton::load(text)?,
            None => regex::compile(&pattern)?,
        };
        self.loaded.insert(pattern, automaton.clone());
        Ok(automaton)
    }

    /// The automata that were asked for, as they stand in a document.
    #[cfg(feature = "authoring")]
    pub(crate) fn into_texts(self) -> BTreeMap<String, String> {
        self.loaded.into_iter().map(|(pattern, automaton)| (pattern, automaton.to_text())).collect()
    }
}

impl Matcher {
    pub(crate) fn compile(condition: &Condition, patterns: &mut Patterns<'_>) -> Result<Self, CompileError> {
        let tests = match condition.source() {
            Ok(source) => vec![(true, Test::compile(source, patterns)?)],
            Err(Condition::Not(source)) => vec![negated(source, patterns)?],
            Err(Condition::AnyOf(alternatives)) => {
                if alternatives.is_empty() {
                    return Err(Cause::EmptyList.at("anyOf"));
                }
                let compile = |(index, alternative): (usize, &Alternative)| {
                    let test = match alternative.source() {
                        Ok(source) => Test::compile(source, patterns).map(|test| (true, test)),
                        Err(Alternative::Not(source)) => negated(source, patterns),
                        Err(_) => Err(Cause::NoCondition.at("")),
                    };
                    test.map_err(|error| error.within(&format!("anyOf[{index}]")))
                };
                alternatives.iter().enumerate().map(compile).collect::<Result<_, _>>()?
            }
            Err(_) => return Err(Cause::NoCondition.at("")),
        };
        Ok(Self(tests))
    }

    pub(crate) fn holds(&self, request: &impl RequestView) -> bool {
        self.0.iter().any(|(wanted, test)| test.holds(request) == *wanted)
    }
}

fn negated(source: &Source, patterns: &mut Patterns<'_>) -> Result<(bool, Test), CompileError> {
    let compiled = source.source().map_err(|_| Cause::NoCondition.at("")).and_then(|source| Test::compile(source, patterns));
    compiled.map(|test| (false, test)).map_err(|error| error.within("not"))
}

impl Test {
    fn compile(source: SourceRef<'_>, patterns: &mut Patterns<'_>) -> Result<Self, CompileError> {
        let mut text = |of: Operators<'_>| Text::compile(&of, patterns, TEXT_OPERATORS);
        let (name, test) = match source {
            SourceRef::Header(of) => {
                ("header", text(of.operators()).and_then(|text| Ok(Self::Header(header_name(of)?, text))))
            }
            SourceRef::Cookie(of) => {
                ("cookie", text(of.operators()).and_then(|text| Ok(Self::Cookie(cookie_name(of)?, text))))
            }
            SourceRef::Query(of) => ("query", text(of.operators()).and_then(|text| Ok(Self::Query(query_name(of)?, text)))),
            SourceRef::Method(of) => ("method", text(of.operators()).map(Self::Method)),
            SourceRef::Authority(of) => ("authority", text(of.operators()).map(Self::Authority)),
            SourceRef::Path(of) => ("path", path(of, patterns).map(Self::Path)),
            SourceRef::Os(of) => ("os", os(of).map(Self::Os)),
            SourceRef::SourceAddress(of) => ("sourceAddress", networks(&of.one_of).map(Self::Source)),
        };
        test.map_err(|error| error.within(name))
    }

    fn holds(&self, request: &impl RequestView) -> bool {
        match self {
            Self::Header(name, text) => text.holds(joined(request, name).as_deref()),
            Self::Cookie(name, text) => text.holds(cookie(request.values("cookie"), name.as_bytes())),
            Self::Query(name, text) => {
                let value = target(request).and_then(|target| query::parameter(target, name.as_bytes()));
                text.holds(value.as_deref())
            }
            Self::Path(text) => text.holds(target(request).map(query::path)),
            Self::Method(text) => text.holds(request.values(":method").next()),
            Self::Authority(text) => text.holds(request.values(":authority").next()),
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

fn target(request: &impl RequestView) -> Option<&[u8]> {
    request.values(":path").next()
}

impl Text {
    fn compile(of: &Operators<'_>, patterns: &mut Patterns<'_>, names: &'static str) -> Result<Self, CompileError> {
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
        let Some(value) = value.and_then(|value| std::str::from_utf8(value).ok()) else {
            return false;
        };
        let value = match self.ignore_case {
            true => Cow::Owned(value.to_ascii_lowercase()),
            false => Cow::Borrowed(value),
        };
        match &self.operator {
            Operator::Exact(text) => value == *text,
            Operator::Prefix(text) => value.starts_with(text),
            Operator::Suffix(text) => value.ends_with(text),
            Operator::Contains(text) => value.contains(text),
            Operator::PathPrefix(prefix) => {
                value.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Operator::Regex(automaton) => automaton.matches(&value),
            Operator::In(texts) => texts.iter().any(|text| value == *text),
            Operator::Present(_) => true,
        }
    }
}

fn header_name(of: &NamedMatch) -> Result<String, CompileError> {
    check_header_name(&of.name).map_err(|cause| cause.at("name"))
}

fn cookie_name(of: &NamedMatch) -> Result<String, CompileError> {
    check_cookie_name(&of.name).map(|()| of.name.clone()).map_err(|cause| cause.at("name"))
}

fn query_name(of: &NamedMatch) -> Result<String, CompileError> {
    match of.name.is_empty() {
        true => Err(Cause::Empty.at("name")),
        false => Ok(of.name.clone()),
    }
}

fn path(of: &PathMatch, patterns: &mut Patterns<'_>) -> Result<Text, CompileError> {
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
    let parse = |(index, text): (usize, &String)| {
        network(text).ok_or_else(|| Cause::Network(text.clone()).at(format!("in[{index}]")))
    };
    list.iter().enumerate().map(parse).collect()
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
