//! Why a condition does not hold, with what was seen and what was wanted.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::author::value::SeenValue;
use crate::author::words::{any_of, subject, the_subject};
use crate::document::os::Os;
use crate::engine::matcher::{Matcher, Operator, OsTest, Test, Text};
use crate::request::source::TextSource;
use crate::request::{RequestView, joined};

/// Why a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmet {
    /// What the condition looks at: `header:x-team`, `cookie:beta`, `query:v`, `path`, `method`, `authority`, `os`,
    /// `sourceAddress`; or `anyOf`.
    pub source: String,
    /// What was there; `None` where there was nothing.
    pub seen: Option<SeenValue>,
    /// What the condition compares it with, joined by `, ` in JSON.
    #[serde(serialize_with = "in_one")]
    pub wanted: Vec<String>,
    /// How; left out of JSON where the value must be equal.
    #[serde(skip_serializing_if = "Comparison::is_equal")]
    pub operator: Comparison,
    /// Whether the condition is a `not`, so that this holds and must not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// Whether `A` to `Z` equal `a` to `z`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
    /// Of `anyOf`: why none of its alternatives holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Unmet>,
}

/// How a value is compared with what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    /// It is one of the texts (`exact` and `in`).
    Equal,
    /// It begins with the text.
    Prefix,
    /// It ends with the text.
    Suffix,
    /// It contains the text.
    Contains,
    /// It is the path or lies below it.
    PathPrefix,
    /// The pattern matches all of it.
    Regex,
    /// It is there, or it is not.
    Present,
    /// It lies in one of the networks.
    Network,
    /// One of the alternatives holds.
    AnyOf,
}

impl Comparison {
    fn is_equal(&self) -> bool {
        *self == Self::Equal
    }

    /// As a sentence goes on behind `which`: what does not hold, and what holds.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Equal => ["is not", "is"],
            Self::Prefix => ["does not begin with", "begins with"],
            Self::Suffix => ["does not end with", "ends with"],
            Self::Contains => ["does not contain", "contains"],
            Self::PathPrefix => ["is not below", "is below"],
            Self::Regex => ["does not match", "matches"],
            Self::Network => ["is not in", "is in"],
            Self::Present | Self::AnyOf => ["is not as wanted", "is as wanted"],
        }
    }
}

fn in_one<S: Serializer>(wanted: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&wanted.join(", "))
}

impl Matcher {
    /// Why the condition does not hold for a request for which it does not.
    pub(crate) fn unmet(&self, request: &impl RequestView) -> Unmet {
        let mut all: Vec<Unmet> = self.0.iter().map(|(wanted, test)| test.unmet(!*wanted, request)).collect();
        if let (Some(only), true) = (all.pop_if(|_| self.0.len() == 1), self.0.len() == 1) {
            return only;
        }
        let wanted = vec![format!("one of {} alternatives", all.len())];
        Unmet { alternatives: all, ..Unmet::new("anyOf".to_owned(), None, Comparison::AnyOf, wanted) }
    }
}

impl Test {
    fn unmet(&self, not: bool, request: &impl RequestView) -> Unmet {
        let unmet = match self {
            Self::Text(source, text) => text.unmet(source, request),
            Self::Os(test) => {
                let os = joined(request, "user-agent").and_then(|value| Os::of_user_agent(&value));
                let seen = os.map(|os| SeenValue(name(os).into_bytes()));
                let (operator, wanted) = match test {
                    OsTest::In(wanted) => (Comparison::Equal, wanted.iter().map(|os| name(*os)).collect()),
                    OsTest::Present(wanted) => (Comparison::Present, vec![wanted.to_string()]),
                };
                Unmet::new("os".to_owned(), seen, operator, wanted)
            }
            Self::Source(networks) => {
                let source = request.source().map(|source| SeenValue(source.to_canonical().to_string().into_bytes()));
                let networks = networks.iter().map(ToString::to_string).collect();
                Unmet::new("sourceAddress".to_owned(), source, Comparison::Network, networks)
            }
        };
        Unmet { not, ..unmet }
    }
}

/// As documents name it.
fn name(os: Os) -> String {
    serde_json::to_value(os).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

impl Text {
    fn unmet(&self, source: &TextSource, request: &impl RequestView) -> Unmet {
        let one = |text: &String| vec![text.clone()];
        let (operator, wanted) = match &self.operator {
            Operator::Exact(text) => (Comparison::Equal, one(text)),
            Operator::In(texts) => (Comparison::Equal, texts.clone()),
            Operator::Prefix(text) => (Comparison::Prefix, one(text)),
            Operator::Suffix(text) => (Comparison::Suffix, one(text)),
            Operator::Contains(text) => (Comparison::Contains, one(text)),
            // The root is kept as an empty text.
            Operator::PathPrefix(text) if text.is_empty() => (Comparison::PathPrefix, vec!["/".to_owned()]),
            Operator::PathPrefix(text) => (Comparison::PathPrefix, one(text)),
            Operator::Regex(_, pattern) => (Comparison::Regex, one(pattern)),
            Operator::Present(wanted) => (Comparison::Present, vec![wanted.to_string()]),
        };
        let seen = source.value(request).map(|value| SeenValue(value.into_owned()));
        Unmet { ignore_case: self.ignore_case, ..Unmet::new(source.label(), seen, operator, wanted) }
    }
}

impl TextSource {
    /// As explanations name it, such as `header:x-team`.
    fn label(&self) -> String {
        match self {
            Self::Header(name) => format!("header:{name}"),
            Self::Cookie(name) => format!("cookie:{name}"),
            Self::Query(name) => format!("query:{name}"),
            Self::Path => "path".to_owned(),
            Self::Method => "method".to_owned(),
            Self::Authority => "authority".to_owned(),
        }
    }
}

impl Unmet {
    fn new(source: String, seen: Option<SeenValue>, operator: Comparison, wanted: Vec<String>) -> Self {
        Self { source, seen, wanted, operator, not: false, ignore_case: false, alternatives: Vec::new() }
    }

    fn wanted(&self) -> String {
        let wanted = any_of(&self.wanted);
        if self.ignore_case { format!("{wanted} in any case") } else { wanted }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operator == Comparison::AnyOf {
            let why: Vec<String> = self.alternatives.iter().map(ToString::to_string).collect();
            return write!(f, "no alternative of `anyOf` holds: {}", why.join(", and "));
        }
        let (the, excluded) = (the_subject(&self.source), if self.not { ", which `not` excludes" } else { "" });
        let Some(seen) = &self.seen else {
            return match self.source.as_str() {
                "os" => write!(f, "header `user-agent` names no operating system{excluded}"),
                "sourceAddress" => write!(f, "the client address is not known{excluded}"),
                _ => write!(f, "there is no {}{excluded}", subject(&self.source)),
            };
        };
        let [fails, holds] = self.operator.words();
        match (self.operator, self.not) {
            (Comparison::Present, _) if self.source == "os" => write!(f, "{the} is {seen}{excluded}"),
            (Comparison::Present, _) => write!(f, "{the} is present{excluded}"),
            (Comparison::Equal, true) => write!(f, "{the} is {seen}{excluded}"),
            (_, true) => write!(f, "{the} is {seen}, which {holds} {}, and `not` excludes that", self.wanted()),
            _ if !seen.is_text() => write!(f, "{the} is {seen}, which is not UTF-8 and so matches no text"),
            (Comparison::Equal, false) => write!(f, "{the} is {seen}, not {}", self.wanted()),
            (_, false) => write!(f, "{the} is {seen}, which {fails} {}", self.wanted()),
        }
    }
}
