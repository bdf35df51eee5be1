//! JSON as a tree, and what a document wants from it, each misfit with its path.
//!
//! Derived readers are one for each type and format, several times the rest of a filter that must be small. Here serde reads one
//! type, and the rest is plain code (`read`).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::{Cause, CompileError};

/// Any JSON value. Objects keep their members in order, duplicates included.
#[derive(Clone, Debug)]
pub(crate) enum Json<'t> {
    Null,
    Bool(bool),
    /// A whole number from 0.
    Whole(u64),
    /// Any other number: no document has one.
    Number,
    Text(Cow<'t, str>),
    List(Vec<Json<'t>>),
    Object(Vec<(Json<'t>, Json<'t>)>),
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Whole(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).map_or(Json::Number, Json::Whole))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Json::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

/// What a value of a document is made from.
pub(crate) trait FromJson: Sized {
    /// Reads the value; the error's path starts here.
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError>;
}

impl Json<'_> {
    /// The error for a value that should be something else.
    pub(crate) fn misfit(&self, expected: &str) -> CompileError {
        let found = match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Whole(_) | Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        };
        Cause::Shape(format!("{found} where {expected} belongs")).at("")
    }

    /// The text.
    pub(crate) fn text(&self) -> Result<&str, CompileError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.misfit("a text")),
        }
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, CompileError> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| unknown("word", text, words.iter().map(|(word, _)| *word)))
    }

    /// The only member of an object that says by its name what it holds.
    pub(crate) fn variant(&self) -> Result<(&str, &Self), CompileError> {
        match self {
            Self::Object(members) => match members.as_slice() {
                [(name, value)] => Ok((name.text()?, value)),
                members => Err(Cause::Shape(format!("{} members where one belongs", members.len())).at("")),
            },
            other => Err(other.misfit("an object")),
        }
    }

    /// The members of an object of these names and no others.
    pub(crate) fn fields(&self, names: &'static [&'static str]) -> Result<Fields<'_>, CompileError> {
        let Self::Object(members) = self else {
            return Err(self.misfit("an object"));
        };
        for (index, (name, _)) in members.iter().enumerate() {
            let name = name.text()?;
            if !names.contains(&name) {
                return Err(unknown("field", name, names.iter().copied()).within(name));
            }
            if members.iter().take(index).any(|(other, _)| other.text() == Ok(name)) {
                return Err(Cause::Shape(format!("duplicate field `{name}`")).at(name));
            }
        }
        Ok(Fields(members))
    }
}

/// The error for a name that is none of those that are known.
pub(crate) fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>) -> CompileError {
    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    Cause::Shape(format!("unknown {what} `{name}`, expected one of {}", known.join(", "))).at("")
}

/// The members of an object, all of them known.
pub(crate) struct Fields<'j>(&'j [(Json<'j>, Json<'j>)]);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Json<'_>> {
        self.0.iter().find(|(key, _)| key.text() == Ok(name)).map(|(_, value)| value)
    }

    /// A field that must be there.
    pub(crate) fn need<T: FromJson>(&self, name: &str) -> Result<T, CompileError> {
        match self.get(name) {
            Some(value) => T::from_json(value).map_err(|error| error.within(name)),
            None => Err(Cause::Shape(format!("missing field `{name}`")).at("")),
        }
    }

    /// A field that may be missing, or null.
    pub(crate) fn optional<T: FromJson>(&self, name: &str) -> Result<Option<T>, CompileError> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => T::from_json(value).map(Some).map_err(|error| error.within(name)),
        }
    }

    /// A field that has a value of its own when it is missing.
    pub(crate) fn or<T: FromJson>(&self, name: &str, missing: T) -> Result<T, CompileError> {
        match self.get(name) {
            Some(value) => T::from_json(value).map_err(|error| error.within(name)),
            None => Ok(missing),
        }
    }
}

impl FromJson for String {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        json.text().map(str::to_owned)
    }
}

impl FromJson for bool {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        match json {
            Json::Bool(value) => Ok(*value),
            other => Err(other.misfit("a boolean")),
        }
    }
}

impl FromJson for u64 {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        match json {
            Json::Whole(value) => Ok(*value),
            other => Err(other.misfit("a whole number")),
        }
    }
}

macro_rules! narrow {
    ($($type:ty),*) => {
        $(impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
                let value = u64::from_json(json)?;
                Self::try_from(value).map_err(|_| Cause::Shape(format!("{value} is above {}", Self::MAX)).at(""))
            }
        })*
    };
}

narrow!(u8, u16, u32);

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let Json::List(items) = json else {
            return Err(json.misfit("a list"));
        };
        let mut list = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            list.push(T::from_json(item).map_err(|error| error.within(&format!("[{index}]")))?);
        }
        Ok(list)
    }
}

/// A run of buckets: version and number.
impl FromJson for (String, u32) {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        match json {
            Json::List(items) => match items.as_slice() {
                [version, buckets] => Ok((String::from_json(version)?, u32::from_json(buckets)?)),
                items => Err(Cause::Shape(format!("a list of {} where version and buckets belong", items.len())).at("")),
            },
            other => Err(other.misfit("a list of version and buckets")),
        }
    }
}
