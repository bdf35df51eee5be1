//! What can be wrong with a document: where, what, and what to do about it.

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not JSON, or not the fields of a document.
    #[error("{0}")]
    Shape(String),
    /// Not a label value.
    #[error("`{0}` is no version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends")]
    VersionName(String),
    /// Not fit for a metric label.
    #[error("`{0}` is no name of a release; use NAMESPACE/NAME in printable ASCII without `;`, `\"` and `\\`")]
    ReleaseName(String),
    /// Not a token.
    #[error("`{0}` is no header name; use letters, digits and `-`")]
    HeaderName(String),
    /// Blanks around it, `;` or `=` in it.
    #[error("`{0}` is no cookie name; leave out blanks around it, `;` and `=`")]
    CookieName(String),
    /// An empty text where a name belongs.
    #[error("a name is missing; write one")]
    Empty,
    /// Two rules of one name.
    #[error("`{0}` names two rules; give each its own name, since decisions are reported by it")]
    RuleName(String),
    /// Two entries of one release.
    #[error("`{0}` has an entry already; put all of a release into one")]
    Release(String),
    /// No host.
    #[error("no host; list at least one, such as `reviews.bookinfo.svc.cluster.local`")]
    NoHost,
    /// Not a host name.
    #[error("`{0}` is no host; write it without scheme, port and path")]
    Host(String),
    /// Port 0.
    #[error("0 is no port; use 1 to 65535")]
    Port,
    /// Two releases for one host and port.
    #[error("`{host}` is routed by `{other}` already; a host and port belong to one release")]
    Taken {
        /// The host in question.
        host: String,
        /// The release that has it.
        other: String,
    },
    /// More buckets than there are.
    #[error("{0} buckets in sum; there are 100000")]
    TooManyBuckets(u64),
    /// A run of no buckets.
    #[error("a run of 0 buckets; leave it out")]
    EmptyRun,
    /// A weight that the algorithm cannot give.
    #[error("{0} buckets are not whole percents; the algorithm `unleash` knows only those, so use multiples of 1000")]
    Granularity(u32),
    /// Neither a version nor a split.
    #[error("neither `version` nor `buckets`; say what these requests get")]
    NoTarget,
    /// Both a version and a split.
    #[error("both `version` and `buckets`; keep one of them")]
    TwoTargets,
    /// Stickiness without a split.
    #[error("`sticky` without `buckets`; a single version needs no bucket, so leave it out")]
    StickyVersion,
    /// No condition.
    #[error("no condition; list at least one, requests without any belong to the base split")]
    NoCondition,
    /// No operator.
    #[error("no operator; write one of {0}")]
    NoOperator(&'static str),
    /// Several operators.
    #[error("`{0}` and `{1}`; a condition has one operator, so write two conditions")]
    TwoOperators(&'static str, &'static str),
    /// `ignoreCase` on an operator that compares no text.
    #[error("`ignoreCase` does not fit `present`; leave it out")]
    IgnoreCase,
    /// A list that matches nothing.
    #[error("an empty list matches nothing; write at least one value")]
    EmptyList,
    /// A path prefix that no path can have.
    #[error("`{0}` is no path prefix; it begins with `/` and holds neither `?` nor `#`")]
    PathPrefix(String),
    /// Not an address or network.
    #[error("`{0}` is no network; write an address such as `10.1.2.3`, or a CIDR such as `10.0.0.0/8`")]
    Network(String),
    /// The pattern has no automaton and this engine cannot make one.
    #[error("no automaton for the pattern `{0}`; pass the document through `serin compile`")]
    NoAutomaton(String),
    /// An automaton that cannot be read.
    #[error("the automaton cannot be read ({0}); pass the document through this version of `serin compile`")]
    Automaton(String),
    /// A pattern that is no regular expression, or too large a one.
    #[error(
        "`{pattern}` cannot be compiled: {cause}; use RE2 syntax (no look-around, no back-references) and fewer repetitions"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        cause: String,
    },
    /// No key source and nothing instead of it.
    #[error("no key source; list at least one, or set `otherwise`")]
    NoKeySource,
    /// Both a salt and a cohort.
    #[error("both `salt` and `cohort`; a cohort is a salt that releases share, so keep one of them")]
    SaltAndCohort,
    /// A prefix longer than an address.
    #[error("{0} is too long a prefix; use at most {1}")]
    PrefixLength(u8, u8),
    /// A cookie to issue that browsers would refuse.
    #[error("`{0}` cannot be issued: {1}")]
    IssueCookie(String, &'static str),
}

impl Cause {
    pub(crate) fn at(self, path: impl Into<String>) -> CompileError {
        CompileError(Box::new(Fault { path: path.into(), cause: self }))
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
