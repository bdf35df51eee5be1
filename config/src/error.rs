//! What can be wrong with a document: where, what, and what to do about it.

use std::fmt;

use crate::document::DOCUMENT_VERSION;

/// Why a text is no split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document has another form.
    #[error("version: document version {0} is not known; this engine reads version {DOCUMENT_VERSION}, so upgrade it first")]
    Version(u64),
    /// What it says has not the shape of a document, or does not hold together.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// Why a document cannot be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}", self.path(), separator(self.path()), self.cause())]
pub struct CompileError(Box<Fault>);

/// Boxed: results are handed on through many levels, most of them good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    path: String,
    cause: Cause,
}

/// What is wrong at a place of a document; each sentence ends with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Not JSON, or not the fields of a document.
    Shape(String),
    /// Not a label value.
    VersionName(String),
    /// Not fit for a metric label.
    ReleaseName(String),
    /// Not a token.
    HeaderName(String),
    /// Blanks around it, `;` or `=` in it.
    CookieName(String),
    /// An empty text where a name belongs.
    Empty,
    /// Two rules of one name.
    RuleName(String),
    /// Two entries of one release.
    Release(String),
    /// No host.
    NoHost,
    /// Not a host name.
    Host(String),
    /// Port 0.
    Port,
    /// Two releases for one host and port.
    Taken {
        /// The host in question.
        host: String,
        /// The release that has it.
        other: String,
    },
    /// More buckets than there are.
    TooManyBuckets(u64),
    /// A run of no buckets.
    EmptyRun,
    /// A weight that the algorithm cannot give.
    Granularity(u32),
    /// Neither a version nor a split.
    NoTarget,
    /// Both a version and a split.
    TwoTargets,
    /// Stickiness without a split.
    StickyVersion,
    /// No condition.
    NoCondition,
    /// No operator.
    NoOperator(&'static str),
    /// Several operators.
    TwoOperators(&'static str, &'static str),
    /// `ignoreCase` on an operator that compares no text.
    IgnoreCase,
    /// A list that matches nothing.
    EmptyList,
    /// A path prefix that no path can have.
    PathPrefix(String),
    /// Not an address or network.
    Network(String),
    /// The pattern has no automaton and this engine cannot make one.
    NoAutomaton(String),
    /// An automaton that cannot be read.
    Automaton(String),
    /// A pattern that is no regular expression, or too large a one.
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        cause: String,
    },
    /// No key source and nothing instead of it.
    NoKeySource,
    /// Both a salt and a cohort.
    SaltAndCohort,
    /// A prefix longer than an address.
    PrefixLength(u8, u8),
    /// A cookie to issue that browsers would refuse.
    IssueCookie(String, &'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, most) = match *self {
            Self::TooManyBuckets(number) => (number, 0),
            Self::Granularity(number) => (number.into(), 0),
            Self::PrefixLength(number, most) => (number.into(), most.into()),
            _ => (0_u64, 0_u64),
        };
        let (number, most) = (number.to_string(), most.to_string());
        // A format string for each is several times the code.
        let (first, second): (&str, &str) = match self {
            Self::Shape(text)
            | Self::VersionName(text)
            | Self::ReleaseName(text)
            | Self::HeaderName(text)
            | Self::CookieName(text)
            | Self::RuleName(text)
            | Self::Release(text)
            | Self::Host(text)
            | Self::PathPrefix(text)
            | Self::Network(text)
            | Self::NoAutomaton(text)
            | Self::Automaton(text) => (text, ""),
            Self::NoOperator(names) => (names, ""),
            Self::TooManyBuckets(_) | Self::Granularity(_) | Self::PrefixLength(..) => (&number, &most),
            Self::Taken { host: first, other: second } | Self::Pattern { pattern: first, cause: second } => (first, second),
            Self::TwoOperators(first, second) => (first, second),
            Self::IssueCookie(first, second) => (first, second),
            _ => ("", ""),
        };
        let mut parts = self.text().split('@');
        f.write_str(parts.next().unwrap_or_default())?;
        for (argument, part) in [first, second].iter().zip(parts) {
            f.write_str(argument)?;
            f.write_str(part)?;
        }
        Ok(())
    }
}

impl std::error::Error for Cause {}

impl Cause {
    /// What is wrong, with `@` for each value that stands in it.
    #[inline(never)]
    fn text(&self) -> &'static str {
        match self {
            Self::Shape(..) => "@",
            Self::VersionName(..) => {
                "`@` is no version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends"
            }
            Self::ReleaseName(..) => {
                "`@` is no name of a release; use NAMESPACE/NAME in printable ASCII without `;`, `\"` and `\\`"
            }
            Self::HeaderName(..) => "`@` is no header name; use letters, digits and `-`",
            Self::CookieName(..) => "`@` is no cookie name; leave out blanks around it, `;` and `=`",
            Self::Empty => "a name is missing; write one",
            Self::RuleName(..) => "`@` names two rules; give each its own name, since decisions are reported by it",
            Self::Release(..) => "`@` has an entry already; put all of a release into one",
            Self::NoHost => "no host; list at least one, such as `reviews.bookinfo.svc.cluster.local`",
            Self::Host(..) => "`@` is no host; write it without scheme, port and path",
            Self::Port => "0 is no port; use 1 to 65535",
            Self::Taken { .. } => "`@` is routed by `@` already; a host and port belong to one release",
            Self::TooManyBuckets(..) => "@ buckets in sum; there are 100000",
            Self::EmptyRun => "a run of 0 buckets; leave it out",
            Self::Granularity(..) => {
                "@ buckets are not whole percents; the algorithm `unleash` knows only those, so use multiples of 1000"
            }
            Self::NoTarget => "neither `version` nor `buckets`; say what these requests get",
            Self::TwoTargets => "both `version` and `buckets`; keep one of them",
            Self::StickyVersion => "`sticky` without `buckets`; a single version needs no bucket, so leave it out",
            Self::NoCondition => "no condition; list at least one, requests without any belong to the base split",
            Self::NoOperator(..) => "no operator; write one of @",
            Self::TwoOperators(..) => "`@` and `@`; a condition has one operator, so write two conditions",
            Self::IgnoreCase => "`ignoreCase` does not fit `present`; leave it out",
            Self::EmptyList => "an empty list matches nothing; write at least one value",
            Self::PathPrefix(..) => "`@` is no path prefix; it begins with `/` and holds neither `?` nor `#`",
            Self::Network(..) => "`@` is no network; write an address such as `10.1.2.3`, or a CIDR such as `10.0.0.0/8`",
            Self::NoAutomaton(..) => "no automaton for the pattern `@`; pass the document through `serin compile`",
            Self::Automaton(..) => {
                "the automaton cannot be read (@); pass the document through this version of `serin compile`"
            }
            Self::Pattern { .. } => {
                "`@` cannot be compiled: @; use RE2 syntax (no look-around, no back-references) and fewer repetitions"
            }
            Self::NoKeySource => "no key source; list at least one, or set `otherwise`",
            Self::SaltAndCohort => "both `salt` and `cohort`; a cohort is a salt that releases share, so keep one of them",
            Self::PrefixLength(..) => "@ is too long a prefix; use at most @",
            Self::IssueCookie(..) => "`@` cannot be issued: @",
        }
    }

    pub(crate) fn at(self, path: String) -> CompileError {
        CompileError(Box::new(Fault { path, cause: self }))
    }
}

impl CompileError {
    /// Where, such as `splits[2].rules[0].when[1].header.regex`; empty for the document itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong there.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }
}

fn separator(path: &str) -> &'static str {
    if path.is_empty() { "" } else { ": " }
}
