//! A value of a text, with the place where it stands.

use serde_json::Value;

/// A value and its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Line and character of its first letter, both from 1; 0 where it stands in no text.
    pub place: (u32, u32),
    /// What it holds.
    pub content: Content,
}

/// What a value holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Content {
    /// Nothing: `null`, `~` or no text at all.
    #[default]
    Null,
    /// A boolean, as it is written.
    Bool(bool, String),
    /// A number, as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Fields in order, each name once.
    Map(Vec<(Key, Node)>),
}

/// The name of a field and its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// As in [`Node::place`].
    pub place: (u32, u32),
    /// The name.
    pub name: String,
}

impl Node {
    /// The field of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The field of a name, with its key.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        match &self.content {
            Content::Map(fields) => fields.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node)),
            _ => None,
        }
    }

    /// The text of a scalar, however it is written.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Bool(_, text) | Content::Number(text) | Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place of a path such as `spec.canaries[1].weight`: of the field's name, or of the nearest one around it.
    #[must_use]
    pub fn place_of(&self, path: &str) -> (u32, u32) {
        let (mut here, mut place) = (self, self.place);
        let steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        for step in steps {
            let next = match (&here.content, step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok())) {
                (Content::List(items), Some(index)) => items.get(index).map(|item| (item.place, item)),
                _ => here.entry(step).map(|(key, node)| (key.place, node)),
            };
            let Some((at, node)) = next else { break };
            (here, place) = (node, at);
        }
        place
    }
}

/// What a plain scalar means to `kubectl`: YAML 1.1 as goyaml reads it, where `yes` and `off` are booleans too.
pub(super) fn plain(text: String) -> Content {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Content::Bool(true, text);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Content::Bool(false, text);
        }
        _ => {}
    }
    if is_number(&text) { Content::Number(text) } else { Content::Text(text) }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((unsigned.strip_prefix(prefix)?, radix)));
    if let Some((digits, radix)) = radix {
        return !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix) || c == '_');
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some =
        mantissa.starts_with(|c: char| c.is_ascii_digit() || c == '.') && mantissa.contains(|c: char| c.is_ascii_digit());
    some && digits(whole) && digits(decimals) && !exponent.is_empty() && exponent.chars().all(|c| c.is_ascii_digit())
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(*value, value.to_string()),
            Value::Number(number) => Content::Number(number.to_string()),
            Value::String(text) => Content::Text(text.clone()),
            Value::Array(items) => Content::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let field =
                    |(name, value): (&String, &Value)| (Key { name: name.clone(), ..Key::default() }, Self::from(value));
                Content::Map(fields.iter().map(field).collect())
            }
        };
        Self { place: (0, 0), content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        for text in ["1", "-1", "1.5", "1e3", ".5", "0x1F", "0o17", "0b1", "1_000", "+1.", ".inf", "-.inf", ".nan", "007"] {
            assert_eq!(plain(text.to_owned()), Content::Number(text.to_owned()), "{text}");
        }
        for text in ["v1", "1.2.3", "10%", "-", ".", "1e", "0x", "--1", "1:2", "e3", "_1", "5s", "Nan", "1.5.", "yesterday"]
        {
            assert_eq!(plain(text.to_owned()), Content::Text(text.to_owned()), "{text}");
        }
        assert_eq!(plain("off".to_owned()), Content::Bool(false, "off".to_owned()));
        assert_eq!(plain("~".to_owned()), Content::Null);
    }
}
