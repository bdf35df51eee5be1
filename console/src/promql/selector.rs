//! Selectors and the few expressions around them.

use std::collections::BTreeSet;
use std::fmt;

/// A metric with matchers, which stand in the order of their labels.
///
/// ```
/// use serin_console::promql::Selector;
///
/// let found = Selector::new("up").one_of("job", &["b", "a.x"]).not("zone", "\"").to_string();
/// assert_eq!(found, r#"up{job=~"a\\.x|b",zone!="\""}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Selector {
    metric: &'static str,
    /// The label, the operator, the value.
    matchers: BTreeSet<(String, &'static str, String)>,
}

impl Selector {
    /// All series of a metric.
    #[must_use]
    pub fn new(metric: &'static str) -> Self {
        Self { metric, matchers: BTreeSet::new() }
    }

    /// Those whose label has a value.
    #[must_use]
    pub fn is(self, label: &str, value: &str) -> Self {
        self.with(label, "=", value)
    }

    /// Those whose label has another value.
    #[must_use]
    pub fn not(self, label: &str, value: &str) -> Self {
        self.with(label, "!=", value)
    }

    /// Those whose label matches an expression as a whole.
    #[must_use]
    pub fn matches(self, label: &str, regex: &str) -> Self {
        self.with(label, "=~", regex)
    }

    /// Those whose label does not match an expression as a whole.
    #[must_use]
    pub fn differs(self, label: &str, regex: &str) -> Self {
        self.with(label, "!~", regex)
    }

    /// Those whose label has one of the values, in whatever order these come; none where there is none.
    #[must_use]
    pub fn one_of(self, label: &str, values: &[&str]) -> Self {
        let values: BTreeSet<&str> = values.iter().copied().collect();
        match (values.len(), values.first()) {
            // A label cannot be both.
            (0, _) => self.is(label, "").not(label, ""),
            (1, Some(value)) => self.is(label, value),
            _ => self.matches(label, &any(values)),
        }
    }

    fn with(mut self, label: &str, operator: &'static str, value: &str) -> Self {
        self.matchers.insert((label.to_owned(), operator, value.to_owned()));
        self
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric)?;
        let matchers: Vec<String> =
            self.matchers.iter().map(|(label, operator, value)| format!("{label}{operator}{}", quoted(value))).collect();
        if matchers.is_empty() { Ok(()) } else { write!(f, "{{{}}}", matchers.join(",")) }
    }
}

/// Values as alternatives of an expression, in order, each taken by its letters.
pub(crate) fn any<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let values: BTreeSet<&str> = values.into_iter().collect();
    values.into_iter().map(literal).collect::<Vec<_>>().join("|")
}

/// A text as a regular expression (RE2) that matches it alone.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if r"\.+*?()|[]{}^$".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A text between double quotes, as PromQL reads strings.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '\\' | '"' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// `sum by (labels)(inner)`.
pub(crate) fn sum(labels: &[&str], inner: &str) -> String {
    format!("sum by ({})({inner})", labels.join(", "))
}

/// The rate per second over a window in seconds.
pub(crate) fn rate(selector: &Selector, window: u64) -> String {
    format!("rate({selector}[{window}s])")
}

/// A part without errors. A version without any error has no series of errors, so each part counts as `0` where it has none.
pub(crate) fn success(all: &str, errors: &[String]) -> String {
    let parts: Vec<String> = errors.iter().map(|errors| format!("({errors} or {all} * 0)")).collect();
    format!("1 - ({}) / {all}", parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::{Selector, literal};

    #[test]
    fn matchers_are_in_order_and_escaped() {
        let one = Selector::new("m").is("b", "a\\b\nc").matches("a", "x|y").differs("c", "z").to_string();
        assert_eq!(one, r#"m{a=~"x|y",b="a\\b\nc",c!~"z"}"#);
        let other = Selector::new("m").differs("c", "z").matches("a", "x|y").is("b", "a\\b\nc").to_string();
        assert_eq!(one, other);
        assert_eq!(Selector::new("m").to_string(), "m");
    }

    #[test]
    fn lists_are_sorted_and_none_selects_nothing() {
        let list = |values: &[&str]| Selector::new("m").one_of("l", values).to_string();
        assert_eq!(list(&["b|c", "a.b", "b|c"]), r#"m{l=~"a\\.b|b\\|c"}"#);
        assert_eq!(list(&["a.b", "a.b"]), r#"m{l="a.b"}"#);
        assert_eq!(list(&[]), r#"m{l!="",l=""}"#);
        assert_eq!(literal("a-b_1/ä"), "a-b_1/ä");
        assert_eq!(literal("^$\\(){}[]*+?"), r"\^\$\\\(\)\{\}\[\]\*\+\?");
    }
}
