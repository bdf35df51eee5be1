//! Conditions of other tools as conditions of a rule.

use serde::Deserialize;
use serin_config::{Condition, NamedMatch, Os, OsMatch, PathMatch, Source, TextMatch};

use super::objects::Rest;
use super::report::{Kind, Line};

/// A text match as Istio writes it: one of these, or none of them for a value that is there.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct StringMatch {
    pub(super) exact: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) regex: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// What a text has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Exact(String),
    Prefix(String),
    /// By element of a path.
    PathPrefix(String),
    Regex(String),
    Present,
}

impl StringMatch {
    /// What it wants; `None` if it says something else, or several things.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        match (&self.exact, &self.prefix, &self.regex, self.rest.is_empty()) {
            (Some(text), None, None, true) => Some(Wanted::Exact(text.clone())),
            (None, Some(text), None, true) => Some(Wanted::Prefix(text.clone())),
            (None, None, Some(text), true) => Some(Wanted::Regex(text.clone())),
            (None, None, None, true) => Some(Wanted::Present),
            _ => None,
        }
    }
}

/// Whether conditions can be said in Serin's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fit {
    #[default]
    Fits,
    /// They can, and no request ever meets them.
    Never,
    /// They cannot.
    Lost,
}

/// Conditions under way, all of which must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    pub(super) conditions: Vec<Condition>,
    pub(super) fit: Fit,
    pub(super) notes: Vec<Line>,
}

impl When {
    /// Says that conditions cannot be carried over.
    pub(super) fn lost(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.fit = Fit::Lost;
        self.notes.push(Line::new(Kind::Lost, path, text));
    }

    /// Says that no request meets them.
    fn never(&mut self, path: impl Into<String>, text: impl Into<String>) {
        if self.fit == Fit::Fits {
            self.fit = Fit::Never;
        }
        self.notes.push(Line::new(Kind::ByHand, path, text));
    }

    fn changed(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.notes.push(Line::new(Kind::Changed, path, text));
    }

    /// Reports each field that is not known.
    pub(super) fn rest(&mut self, path: &str, rest: &Rest) {
        for name in rest.keys() {
            let text = match name.as_str() {
                "sourceLabels" | "sourceNamespace" => "Serin knows no labels of the caller; use a header or sourceAddress",
                _ => "Serin has no such condition; the rule is left out",
            };
            self.lost(format!("{path}.{name}"), text);
        }
    }

    /// A header has to be so.
    pub(super) fn header(&mut self, path: &str, name: &str, wanted: Option<Wanted>) {
        let name = name.to_ascii_lowercase();
        let Some(wanted) = wanted else { return self.lost(path, "Serin has no such comparison; the rule is left out") };
        if name.starts_with(':') {
            return self
                .lost(path, "Serin matches path, method and authority by conditions of their own; the rule is left out");
        }
        if name == "cookie" {
            return self.cookie_header(path, wanted);
        }
        self.conditions.push(Condition::Header(named(name, wanted)));
    }

    /// The whole header of cookies has to be so.
    fn cookie_header(&mut self, path: &str, wanted: Wanted) {
        let (cookie, text) = match &wanted {
            Wanted::Exact(text) => {
                let cookie = text.split_once('=').filter(|_| !text.contains(';'));
                let told =
                    format!("was the whole Cookie header `{text}`; now the cookie `{}`, also beside others", first(cookie));
                (cookie.map(|(name, value)| (name.trim(), value.trim())), told)
            }
            Wanted::Regex(pattern) => {
                (one_cookie(pattern), "a pattern that finds one cookie in the header becomes that cookie".to_owned())
            }
            _ => (None, String::new()),
        };
        match cookie.filter(|(name, _)| !name.is_empty()) {
            Some((name, value)) => {
                let wanted = Wanted::Exact(value.to_owned());
                self.conditions.push(Condition::Cookie(named(name.to_owned(), wanted)));
                self.changed(path, text);
            }
            None => {
                self.conditions.push(Condition::Header(named("cookie".to_owned(), wanted)));
                self.changed(
                    path,
                    "is still the whole Cookie header; `{cookie: {name: N, exact: V}}` finds one cookie in it",
                );
            }
        }
    }

    /// A header must not be so.
    pub(super) fn without_header(&mut self, path: &str, name: &str, wanted: Option<Wanted>) {
        match wanted {
            Some(wanted) => self.conditions.push(Condition::Not(Source::Header(named(name.to_ascii_lowercase(), wanted)))),
            None => self.lost(path, "Serin has no such comparison; the rule is left out"),
        }
    }

    /// A cookie has to be so.
    pub(super) fn cookie(&mut self, name: &str, wanted: Wanted) {
        self.conditions.push(Condition::Cookie(named(name.to_owned(), wanted)));
    }

    /// A parameter of the query has to be so.
    pub(super) fn query(&mut self, path: &str, name: &str, wanted: Option<Wanted>) {
        match wanted {
            Some(wanted) => self.conditions.push(Condition::Query(named(name.to_owned(), wanted))),
            None => self.lost(path, "Serin has no such comparison; the rule is left out"),
        }
    }

    /// The path has to be so. Every path begins with `/`, so that prefix says nothing.
    pub(super) fn path(&mut self, path: &str, wanted: Option<Wanted>, ignore_case: bool) {
        let Some(wanted) = wanted else { return self.lost(path, "Serin has no such comparison; the rule is left out") };
        if let Wanted::Exact(text) | Wanted::Prefix(text) | Wanted::PathPrefix(text) = &wanted
            && !text.starts_with('/')
            && !text.is_empty()
        {
            let text = format!("`{text}` never matches: a path begins with `/`; did you mean `/{text}`?");
            return self.never(path, text);
        }
        let matched = match wanted {
            Wanted::Prefix(text) | Wanted::PathPrefix(text) if matches!(text.as_str(), "" | "/") => return,
            Wanted::Present => return,
            Wanted::Exact(text) => PathMatch { exact: Some(text), ..PathMatch::default() },
            Wanted::Prefix(text) => PathMatch { prefix: Some(text), ..PathMatch::default() },
            Wanted::PathPrefix(text) => PathMatch { path_prefix: Some(text), ..PathMatch::default() },
            Wanted::Regex(text) => PathMatch { regex: Some(text), ..PathMatch::default() },
        };
        self.conditions.push(Condition::Path(PathMatch { ignore_case, ..matched }));
    }

    /// The method has to be so.
    pub(super) fn method(&mut self, path: &str, wanted: Option<Wanted>) {
        match wanted {
            Some(wanted) => self.conditions.push(Condition::Method(text(wanted))),
            None => self.lost(path, "Serin has no such comparison; the rule is left out"),
        }
    }

    /// The authority has to be so.
    pub(super) fn authority(&mut self, path: &str, wanted: Option<Wanted>) {
        match wanted {
            Some(wanted) => self.conditions.push(Condition::Authority(text(wanted))),
            None => self.lost(path, "Serin has no such comparison; the rule is left out"),
        }
    }

    /// The operating system that KubeSphere's console finds by a pattern such as `.*(Android|iPhone).*`; `false` for any other pattern.
    pub(super) fn os(&mut self, path: &str, pattern: &str) -> bool {
        let Some(systems) = systems(pattern) else { return false };
        self.conditions.push(Condition::Os(OsMatch { one_of: Some(systems), ..OsMatch::default() }));
        self.changed(path, "the console's pattern for operating systems becomes `os`");
        true
    }
}

fn first(cookie: Option<(&str, &str)>) -> String {
    cookie.map(|(name, _)| name.trim().to_owned()).unwrap_or_default()
}

fn named(name: String, wanted: Wanted) -> NamedMatch {
    let TextMatch { exact, prefix, regex, present, .. } = text(wanted);
    NamedMatch { name, exact, prefix, regex, present, ..NamedMatch::default() }
}

fn text(wanted: Wanted) -> TextMatch {
    match wanted {
        Wanted::Exact(text) => TextMatch { exact: Some(text), ..TextMatch::default() },
        Wanted::Prefix(text) | Wanted::PathPrefix(text) => TextMatch { prefix: Some(text), ..TextMatch::default() },
        Wanted::Regex(text) => TextMatch { regex: Some(text), ..TextMatch::default() },
        Wanted::Present => TextMatch { present: Some(true), ..TextMatch::default() },
    }
}

/// Name and value where a pattern of a whole Cookie header looks for one cookie, such as `^(.*?;)?(type=insider)(;.*)?$`.
fn one_cookie(pattern: &str) -> Option<(&str, &str)> {
    const BEFORE: [&str; 8] =
        ["(.*?;)?", "(.*;)?", r"(.*?;\s*)?", r"(.*;\s*)?", "(.*?; ?)?", "(.*; ?)?", r"(.*?;\s?)?", r"(.*;\s?)?"];
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let inner = BEFORE.iter().find_map(|before| inner.strip_prefix(before))?;
    let inner = inner.strip_suffix("(;.*)?").or_else(|| inner.strip_suffix("(;.*?)?"))?;
    let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
    let (name, value) = inner.split_once('=')?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (!name.is_empty() && is_plain(name) && is_plain(value)).then_some((name, value))
}

/// The systems of a pattern of KubeSphere's console.
fn systems(pattern: &str) -> Option<Vec<Os>> {
    let inner = pattern.strip_prefix(".*").and_then(|inner| inner.strip_suffix(".*"))?;
    let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
    let system = |word: &str| match word.trim() {
        "Windows" | "Windows NT" => Some(Os::Windows),
        "Mac OS" | "Mac OS X" | "Macintosh" | "macOS" => Some(Os::Macos),
        "Linux" => Some(Os::Linux),
        "Android" => Some(Os::Android),
        "iPhone" | "iPhone OS" | "iOS" => Some(Os::Ios),
        _ => None,
    };
    inner.split('|').map(system).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_one_cookie_is_found() {
        assert_eq!(one_cookie("^(.*?;)?(type=insider)(;.*)?$"), Some(("type", "insider")));
        assert_eq!(one_cookie(r"(.*;\s*)?canary=1(;.*)?"), Some(("canary", "1")));
        for pattern in [".*type=insider.*", "^(.*?;)?(type=.*)(;.*)?$", "type=insider", "^(.*?;)?(=x)(;.*)?$"] {
            assert_eq!(one_cookie(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_of_systems_is_that_of_the_console_alone() {
        assert_eq!(systems(".*(Linux |Android).*"), Some(vec![Os::Linux, Os::Android]));
        assert_eq!(systems(".*iPhone.*"), Some(vec![Os::Ios]));
        for pattern in [".*(Linux|Chrome).*", "Linux", ".*", ".*(Linux)"] {
            assert_eq!(systems(pattern), None, "{pattern}");
        }
    }
}
