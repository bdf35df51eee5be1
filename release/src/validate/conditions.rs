//! Conditions that no request can meet, although each of their fields is right by itself.

use serin_config::{Alternative, Condition, NamedMatch, PathMatch, Source, TextMatch, check_header_name};

use super::Check;

/// One source with its operator, whatever stands around it.
enum One<'a> {
    Header(&'a NamedMatch),
    Path(&'a PathMatch),
    Method(&'a TextMatch),
    Authority(&'a TextMatch),
    Not(&'a Source),
    AnyOf(&'a [Alternative]),
    Other,
}

/// The sources that three kinds of conditions share; what each has beyond them stands in `more`.
macro_rules! one {
    ($condition:expr, $kind:ident, $($more:tt)*) => {
        match $condition {
            $kind::Header(named) => (".header", One::Header(named)),
            $kind::Path(path) => (".path", One::Path(path)),
            $kind::Method(text) => (".method", One::Method(text)),
            $kind::Authority(text) => (".authority", One::Authority(text)),
            $kind::Cookie(_) | $kind::Query(_) | $kind::Os(_) | $kind::SourceAddress(_) => ("", One::Other),
            $($more)*
        }
    };
}

impl Check<'_> {
    pub(super) fn conditions(&mut self, path: &str, conditions: &[Condition]) {
        for (index, condition) in conditions.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let one = one!(condition, Condition,
                Condition::Not(source) => (".not", One::Not(source)),
                Condition::AnyOf(alternatives) => (".anyOf", One::AnyOf(alternatives)),);
            self.one(&path, one);
        }
    }

    fn one(&mut self, path: &str, (field, one): (&str, One<'_>)) {
        let path = format!("{path}{field}");
        match one {
            One::Not(source) => self.one(&path, one!(source, Source,)),
            One::AnyOf(alternatives) => {
                for (at, alternative) in alternatives.iter().enumerate() {
                    let one = one!(alternative, Alternative, Alternative::Not(source) => (".not", One::Not(source)),);
                    self.one(&format!("{path}[{at}]"), one);
                }
            }
            One::Header(named) => {
                if check_header_name(&named.name).is_ok() {
                    self.header(&format!("{path}.name"), &named.name);
                }
            }
            One::Path(matched) => self.path(&path, matched),
            One::Method(text) => self.method(&path, text),
            One::Authority(text) => self.authority(&path, text),
            One::Other => {}
        }
    }

    fn path(&mut self, path: &str, matched: &PathMatch) {
        let exact = matched.exact.iter().map(|text| ("exact".to_owned(), text));
        let prefix = matched.prefix.iter().map(|text| ("prefix".to_owned(), text));
        let by_element = matched.path_prefix.iter().map(|text| ("pathPrefix".to_owned(), text));
        let values = matched.one_of.iter().flatten().enumerate().map(|(at, text)| (format!("in[{at}]"), text));
        for (field, text) in exact.chain(prefix).chain(by_element).chain(values) {
            let place = format!("{path}.{field}");
            if let Some((problem, fix)) = never_a_path(text, field == "pathPrefix") {
                self.refuse(place, problem, fix);
            }
        }
        let suffix = matched.suffix.iter().map(|text| ("suffix", text));
        for (field, text) in suffix.chain(matched.contains.iter().map(|text| ("contains", text))) {
            if let Some((problem, fix)) = never_in_a_path(text) {
                self.refuse(format!("{path}.{field}"), problem, fix);
            }
        }
    }

    fn method(&mut self, path: &str, matched: &TextMatch) {
        for (field, text) in whole_values(matched) {
            if !matched.ignore_case && text.bytes().any(|b| b.is_ascii_lowercase()) {
                let fix = format!("write `{}`, since methods have upper case", text.to_ascii_uppercase());
                self.refuse(format!("{path}.{field}"), format!("no request has the method `{text}`"), fix);
            }
        }
    }

    fn authority(&mut self, path: &str, matched: &TextMatch) {
        let ends = [("prefix", &matched.prefix), ("suffix", &matched.suffix), ("contains", &matched.contains)];
        let parts = ends.into_iter().filter_map(|(field, text)| Some((field.to_owned(), text.as_ref()?)));
        for (field, text) in whole_values(matched).chain(parts) {
            let place = format!("{path}.{field}");
            if let Some(scheme) = text.find("://") {
                let rest = text.get(scheme + 3..).unwrap_or_default().trim_end_matches('/');
                self.refuse(place, format!("`{text}` has a scheme, which no `Host` has"), format!("write `{rest}`"));
            } else if text.contains('/') {
                self.refuse(place, format!("`{text}` has a path, which no `Host` has"), "write the host alone");
            } else if !matched.ignore_case && text.bytes().any(|b| b.is_ascii_uppercase()) {
                let fix = format!("write `{}`, or add `ignoreCase: true`", text.to_ascii_lowercase());
                self.refuse(place, format!("browsers send `{text}` in lower case"), fix);
            }
        }
    }
}

fn whole_values(matched: &TextMatch) -> impl Iterator<Item = (String, &String)> {
    let values = matched.one_of.iter().flatten().enumerate().map(|(at, text)| (format!("in[{at}]"), text));
    matched.exact.iter().map(|text| ("exact".to_owned(), text)).chain(values)
}

/// Why no path begins with a text, and what to write.
fn never_a_path(text: &str, by_element: bool) -> Option<(String, String)> {
    // `OPTIONS *` has a path that does not begin with a slash.
    if !matches!(text, "" | "*") && !text.starts_with('/') {
        return Some((format!("`{text}` begins no path"), format!("write `/{text}`")));
    }
    if by_element && text.ends_with("/*") {
        let fix = format!("write `{}`, which covers all below it", text.trim_end_matches("/*"));
        return Some((format!("`*` in `{text}` is not a wildcard"), fix));
    }
    never_in_a_path(text)
}

/// Why a text stands in no path that a filter sees.
fn never_in_a_path(text: &str) -> Option<(String, String)> {
    if text.contains(['?', '#']) {
        let fix = "leave the query out, and use the condition `query` for a parameter".to_owned();
        return Some((format!("`{text}` has a query or fragment, and the path is matched without them"), fix));
    }
    if text.split('/').any(|element| matches!(element, "." | "..")) {
        return Some((
            format!("`{text}` has `.` or `..`, which a proxy resolves"),
            "write the path that they lead to".to_owned(),
        ));
    }
    if text.contains('\\') {
        return Some((
            format!("`{text}` has `\\`, which a proxy turns into `/`"),
            format!("write `{}`", text.replace('\\', "/")),
        ));
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii() || *c == ' ') {
        let encoded: String =
            text.chars().map(|c| if c.is_ascii() && c != ' ' { c.to_string() } else { encode(c) }).collect();
        return Some((format!("`{text}` has `{odd}`, which clients send encoded"), format!("write `{encoded}`")));
    }
    None
}

fn encode(character: char) -> String {
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}
