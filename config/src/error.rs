//! What can be wrong with a document: where, what, and what to do about it.

use std::fmt;

use crate::document::version::DOCUMENT_VERSION;

/// What is wrong, and what to do for those who write documents: a filter's are written by a program, and what the filter does
/// about a bad one it says itself.
#[cfg(feature = "authoring")]
macro_rules! words {
    ($problem:literal, $fix:literal) => {
        concat!($problem, "; ", $fix)
    };
}

#[cfg(not(feature = "authoring"))]
macro_rules! words {
    ($problem:literal, $fix:literal) => {
        $problem
    };
}

/// Why a text is not a split document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document has a form of another version.
    #[error(
        "version: version {0} of the document is not known; upgrade Serin first, since this one reads version {DOCUMENT_VERSION}"
    )]
    Version(u64),
    /// Its shape is not that of a document, or its parts contradict each other.
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

/// What is wrong at a place of a document. Its text is the problem and the fix, joined by `; `.
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
    /// A header that requests carry under another name; with what to use instead.
    #[cfg(feature = "authoring")]
    HostHeader(&'static str),
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
    /// A pattern that is not a regular expression in RE2 syntax.
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        cause: String,
    },
    /// A pattern whose automaton is too large.
    LargePattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        cause: String,
    },
    /// The patterns of a release take too much together.
    #[cfg(feature = "authoring")]
    PatternBudget,
    /// No key source and nothing instead of it.
    NoKeySource,
    /// Both a salt and a cohort.
    SaltAndCohort,
    /// A prefix longer than an address.
    PrefixLength(u8, u8),
    /// The name of a cookie to issue holds characters that such a name cannot have.
    IssueCookieName(String),
    /// The path or the domain of a cookie to issue is not one.
    IssueCookieScope(String),
    /// A cookie to issue that browsers refuse without `secure`.
    InsecureCookie(String),
    /// A cookie to issue whose name begins with `__Host-` and that has a domain or a path.
    HostCookie(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fill(0, self.text(), &mut |part| f.write_str(part))
    }
}

impl std::error::Error for Cause {}

impl Cause {
    /// What is wrong.
    #[cfg(feature = "authoring")]
    #[must_use]
    pub fn problem(&self) -> String {
        self.parts().0
    }

    /// What to do about it.
    #[cfg(feature = "authoring")]
    #[must_use]
    pub fn fix(&self) -> String {
        self.parts().1
    }

    #[cfg(feature = "authoring")]
    fn parts(&self) -> (String, String) {
        let text = self.text();
        match (self, text.split_once("; ")) {
            (_, Some((problem, fix))) => (self.filled(0, problem), self.filled(problem.matches('@').count(), fix)),
            // Names of the document may stand before what to do, and hold anything.
            (Self::Shape(shape), None) => {
                let (problem, fix) = shape.rsplit_once("; ").unwrap_or((shape, ""));
                (problem.to_owned(), fix.to_owned())
            }
            (_, None) => (text.to_owned(), String::new()),
        }
    }

    #[cfg(feature = "authoring")]
    fn filled(&self, before: usize, text: &str) -> String {
        let mut filled = String::new();
        // Writing into a text cannot fail.
        let _ = self.fill(before, text, &mut |part| {
            filled.push_str(part);
            Ok(())
        });
        filled
    }

    /// Writes a text with values for each `@`; so many values stand before it.
    fn fill(&self, before: usize, text: &str, write: &mut dyn FnMut(&str) -> fmt::Result) -> fmt::Result {
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
            | Self::Automaton(text)
            | Self::IssueCookieName(text)
            | Self::IssueCookieScope(text)
            | Self::InsecureCookie(text)
            | Self::HostCookie(text) => (text, ""),
            Self::NoOperator(names) => (names, ""),
            #[cfg(feature = "authoring")]
            Self::HostHeader(instead) => (instead, ""),
            Self::TooManyBuckets(_) | Self::Granularity(_) | Self::PrefixLength(..) => (&number, &most),
            Self::Taken { host: first, other: second }
            | Self::Pattern { pattern: first, cause: second }
            | Self::LargePattern { pattern: first, cause: second } => (first, second),
            Self::TwoOperators(first, second) => (first, second),
            _ => ("", ""),
        };
        let mut parts = text.split('@');
        write(parts.next().unwrap_or_default())?;
        for (value, part) in [first, second].iter().skip(before).zip(parts) {
            write(value)?;
            write(part)?;
        }
        Ok(())
    }

    /// What is wrong and what to do, with `@` for each value that stands in it.
    #[inline(never)]
    fn text(&self) -> &'static str {
        match self {
            Self::Shape(..) => "@",
            Self::VersionName(..) => {
                words!(
                    "`@` is not a version",
                    "use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends"
                )
            }
            Self::ReleaseName(..) => {
                words!(
                    "`@` is not the name of a release",
                    "use NAMESPACE/NAME in printable ASCII without `;`, `\"` and `\\`"
                )
            }
            Self::HeaderName(..) => words!("`@` is not a header name", "use letters, digits and `-`"),
            #[cfg(feature = "authoring")]
            Self::HostHeader(..) => words!("`host` is not a header to a proxy", "use @"),
            Self::CookieName(..) => words!("`@` is not a cookie name", "leave out blanks around it, `;` and `=`"),
            Self::Empty => words!("an empty text", "write at least one character"),
            Self::RuleName(..) => {
                words!("two rules have the name `@`", "give each its own, since decisions are reported by it")
            }
            Self::Release(..) => words!("`@` already has an entry", "put all of a release into one"),
            Self::NoHost => words!("there is no host", "list at least one, such as `reviews.bookinfo.svc.cluster.local`"),
            Self::Host(..) => words!("`@` is not a host name", "write it without scheme, port and path"),
            Self::Port => words!("0 is not a port", "use 1 to 65535"),
            Self::Taken { .. } => words!("`@` is already routed by `@`", "let one release have a host and port"),
            Self::TooManyBuckets(..) => words!("@ buckets in sum are more than 100000", "lower a run"),
            Self::EmptyRun => words!("a run of 0 buckets", "leave it out"),
            Self::Granularity(..) => {
                words!("@ buckets are not whole percents, and Unleash knows only these", "use a multiple of 1000")
            }
            Self::NoTarget => words!("this rule sends nobody anywhere", "add `version`, or `buckets` for a share"),
            Self::TwoTargets => words!("this rule has both `version` and `buckets`", "keep one"),
            Self::StickyVersion => words!("`sticky` has no use without `buckets`", "leave it out"),
            Self::NoCondition => words!("there is no condition", "list at least one, or use the base split"),
            Self::NoOperator(..) => words!("there is no operator", "use one of @"),
            Self::TwoOperators(..) => words!("one condition has both `@` and `@`", "write two conditions"),
            Self::IgnoreCase => words!("`ignoreCase` does not fit `present`", "leave it out"),
            Self::EmptyList => words!("an empty list matches nothing", "write at least one value"),
            _ => self.text_of_value(),
        }
    }

    /// The same for the values of conditions, patterns, keys and cookies.
    #[inline(always)]
    fn text_of_value(&self) -> &'static str {
        match self {
            Self::PathPrefix(..) => words!("`@` is not a path prefix", "begin it with `/`, and leave out `?` and `#`"),
            Self::Network(..) => {
                words!("`@` is not an address or a network", "write one such as `10.1.2.3` or `10.0.0.0/8`")
            }
            Self::NoAutomaton(..) => "the pattern `@` has no automaton; pass the document through `serin compile`",
            Self::Automaton(..) => {
                "the automaton cannot be read (@); pass the document through `serin compile` of this version"
            }
            Self::Pattern { .. } => {
                words!("`@` is not a pattern: @", "use RE2 syntax, which has no look-around and no back-references")
            }
            Self::LargePattern { .. } => words!("`@` is too large a pattern: @", "use fewer or smaller repetitions"),
            #[cfg(feature = "authoring")]
            Self::PatternBudget => words!(
                "with this pattern those of the release take more than 524288 bytes as automata",
                "use fewer or simpler ones"
            ),
            Self::NoKeySource => words!("there is no key source", "list at least one, or set `otherwise`"),
            Self::SaltAndCohort => words!("both `salt` and `cohort` are given", "keep one, since a cohort is a shared salt"),
            Self::PrefixLength(..) => words!("a prefix of @ bits is longer than the address", "use at most @"),
            Self::IssueCookieName(..) => {
                words!("`@` is not a name that a cookie can be issued by", "use letters, digits and `!#$%&'*+-.^_`|~`")
            }
            Self::IssueCookieScope(..) => {
                words!(
                    "`@` is not a path or domain of a cookie",
                    "begin a path with `/`, and use printable ASCII without `;`"
                )
            }
            Self::InsecureCookie(..) => words!("browsers refuse the cookie `@`", "set `secure: true`"),
            Self::HostCookie(..) => words!("browsers refuse the cookie `@` with `domain` or `path`", "leave both out"),
            // The others are above.
            _ => "@",
        }
    }

    /// Another shape than that of a document.
    #[inline]
    pub(crate) fn shape(problem: &[&str], fix: &[&str]) -> Self {
        if cfg!(feature = "authoring") {
            return Self::Shape([problem, &["; "], fix].concat().concat());
        }
        Self::Shape(problem.concat())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_a_problem_and_a_fix() {
        let text = || "a; @ b".to_owned();
        for cause in [
            Cause::VersionName(text()),
            Cause::ReleaseName(text()),
            Cause::HeaderName(text()),
            Cause::HostHeader("a"),
            Cause::CookieName(text()),
            Cause::Empty,
            Cause::RuleName(text()),
            Cause::Release(text()),
            Cause::NoHost,
            Cause::Host(text()),
            Cause::Port,
            Cause::Taken { host: text(), other: text() },
            Cause::TooManyBuckets(100_001),
            Cause::EmptyRun,
            Cause::Granularity(7),
            Cause::NoTarget,
            Cause::TwoTargets,
            Cause::StickyVersion,
            Cause::NoCondition,
            Cause::NoOperator("`in`"),
            Cause::TwoOperators("in", "exact"),
            Cause::IgnoreCase,
            Cause::EmptyList,
            Cause::PathPrefix(text()),
            Cause::Network(text()),
            Cause::NoAutomaton(text()),
            Cause::Automaton(text()),
            Cause::Pattern { pattern: text(), cause: text() },
            Cause::LargePattern { pattern: text(), cause: text() },
            Cause::PatternBudget,
            Cause::NoKeySource,
            Cause::SaltAndCohort,
            Cause::PrefixLength(33, 32),
            Cause::IssueCookieName(text()),
            Cause::IssueCookieScope(text()),
            Cause::InsecureCookie(text()),
            Cause::HostCookie(text()),
            Cause::Shape("unknown field `a; @ b`; use one of `c`, `d`".to_owned()),
        ] {
            let (problem, fix) = (cause.problem(), cause.fix());
            assert_eq!(cause.to_string(), format!("{problem}; {fix}"));
            assert!(!problem.is_empty() && !fix.is_empty() && !fix.contains("; "), "{cause}");
            let written = cause.text().matches("; ").count();
            assert_eq!(written, usize::from(!matches!(cause, Cause::Shape(_))), "{cause}");
        }
    }

    #[test]
    fn values_stand_on_their_side() {
        let parts = |cause: Cause| (cause.problem(), cause.fix());
        let expected = ("a prefix of 33 bits is longer than the address".to_owned(), "use at most 32".to_owned());
        assert_eq!(parts(Cause::PrefixLength(33, 32)), expected);
        let expected = ("there is no operator".to_owned(), "use one of `exact`, `in`".to_owned());
        assert_eq!(parts(Cause::NoOperator("`exact`, `in`")), expected);
    }
}
