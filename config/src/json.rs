//! JSON as a tree, and what a document wants from it, each misfit with its path.
//!
//! Derived readers are one for each type and format, several times the rest of a filter that must be small. Here serde reads one
//! type, and the rest is plain code (`read`).

use std::borrow::Cow;
use std::cell::Cell;
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

/// A place in a document, seen from there to the document itself; and where its first fault goes.
pub(crate) struct Place<'p> {
    up: Option<&'p Place<'p>>,
    step: Step<'p>,
    fault: &'p Cell<Option<CompileError>>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Here,
    Name(&'p str),
    Index(usize),
}

impl<'p> Place<'p> {
    pub(crate) fn name(&'p self, name: &'p str) -> Self {
        Self { up: Some(self), step: Step::Name(name), fault: self.fault }
    }

    fn index(&'p self, index: usize) -> Self {
        Self { up: Some(self), step: Step::Index(index), fault: self.fault }
    }

    /// Notes a fault at this place, if it is the first one.
    pub(crate) fn fault(&self, cause: String) {
        let fault = self.fault.take().unwrap_or_else(|| {
            let (mut error, mut place) = (Cause::Shape(cause).at(""), Some(self));
            while let Some(Place { up, step, .. }) = place {
                error = match step {
                    Step::Here => error,
                    Step::Name(name) => error.within(name),
                    Step::Index(index) => error.within(&format!("[{index}]")),
                };
                place = *up;
            }
            error
        });
        self.fault.set(Some(fault));
    }

    /// Notes that a value is not what belongs here.
    pub(crate) fn misfit(&self, found: &Json<'_>, expected: &str) {
        let found = match found {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Whole(_) | Json::Number => "a number",
            Json::Text(_) => "a text",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        };
        self.fault(format!("{found} where {expected} belongs"));
    }

    /// Notes that a name is none of those that are known.
    pub(crate) fn unknown(&self, what: &str, name: &str, known: &[&str]) {
        self.fault(format!("unknown {what} `{name}`, expected one of `{}`", known.join("`, `")));
    }
}

/// What a value of a document is made from.
///
/// With a fault the place knows, the value is of no use. Reading goes on to the end all the same: a way out at each field would
/// be most of the code.
pub(crate) trait FromJson {
    /// Reads the value that stands at a place.
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self;
}

/// Reads a value.
pub(crate) fn read<T: FromJson>(json: &Json<'_>) -> Result<T, CompileError> {
    let fault = Cell::new(None);
    let value = T::from_json(json, &Place { up: None, step: Step::Here, fault: &fault });
    fault.take().map_or(Ok(value), Err)
}

impl Json<'_> {
    /// The text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, or a fault.
    pub(crate) fn need_text(&self, at: &Place<'_>) -> &str {
        self.text().unwrap_or_else(|| {
            at.misfit(self, "a text");
            ""
        })
    }

    /// The number of the word that it is, among some; of the first one with a fault.
    pub(crate) fn word(&self, words: &[&str], at: &Place<'_>) -> usize {
        let text = self.need_text(at);
        words.iter().position(|word| *word == text).unwrap_or_else(|| {
            at.unknown("word", text, words);
            0
        })
    }

    /// The only member of an object that says by its name what it holds.
    pub(crate) fn variant(&self, at: &Place<'_>) -> (&str, &Self) {
        match self {
            Self::Object(members) => match members.as_slice() {
                [(name, value)] => return (name.text().unwrap_or_default(), value),
                members => at.fault(format!("{} members where one belongs", members.len())),
            },
            other => at.misfit(other, "an object"),
        }
        ("", &Json::Null)
    }

    /// The members of an object of these names and no others.
    pub(crate) fn fields<'a>(&'a self, names: &[&str], at: &'a Place<'a>) -> Fields<'a> {
        let Self::Object(members) = self else {
            at.misfit(self, "an object");
            return Fields { members: &[], at };
        };
        for (index, (name, _)) in members.iter().enumerate() {
            let name = name.text().unwrap_or_default();
            if !names.contains(&name) {
                at.name(name).unknown("field", name, names);
            }
            if members.iter().take(index).any(|(other, _)| other.text() == Some(name)) {
                at.name(name).fault(format!("duplicate field `{name}`"));
            }
        }
        Fields { members, at }
    }
}

/// The members of an object.
pub(crate) struct Fields<'a> {
    members: &'a [(Json<'a>, Json<'a>)],
    at: &'a Place<'a>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Json<'_>> {
        self.members.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// A field that must be there.
    pub(crate) fn need<T: FromJson>(&self, name: &str) -> T {
        let value = self.get(name).unwrap_or_else(|| {
            self.at.fault(format!("missing field `{name}`"));
            &Json::Null
        });
        T::from_json(value, &self.at.name(name))
    }

    /// A field that may be missing, or null.
    pub(crate) fn optional<T: FromJson>(&self, name: &str) -> Option<T> {
        match self.get(name) {
            None | Some(Json::Null) => None,
            Some(value) => Some(T::from_json(value, &self.at.name(name))),
        }
    }

    /// A field that has a value of its own when it is missing.
    pub(crate) fn or<T: FromJson>(&self, name: &str, missing: T) -> T {
        match self.get(name) {
            Some(value) => T::from_json(value, &self.at.name(name)),
            None => missing,
        }
    }
}

impl FromJson for String {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        json.need_text(at).to_owned()
    }
}

impl FromJson for bool {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        if !matches!(json, Json::Bool(_)) {
            at.misfit(json, "a boolean");
        }
        matches!(json, Json::Bool(true))
    }
}

/// A whole number up to a limit.
fn number(json: &Json<'_>, most: u64, at: &Place<'_>) -> u64 {
    match json {
        Json::Whole(value) if *value <= most => return *value,
        Json::Whole(value) => at.fault(format!("{value} is above {most}")),
        other => at.misfit(other, "a whole number"),
    }
    0
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl FromJson for $type {
            fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
                Self::try_from(number(json, u64::from(Self::MAX), at)).unwrap_or_default()
            }
        })*
    };
}

numbers!(u8, u16, u32, u64);

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let Json::List(items) = json else {
            at.misfit(json, "a list");
            return Self::new();
        };
        items.iter().enumerate().map(|(index, item)| T::from_json(item, &at.index(index))).collect()
    }
}

/// A run of buckets: version and number.
impl FromJson for (String, u32) {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let items = match json {
            Json::List(items) => items.as_slice(),
            _ => &[],
        };
        let [version, buckets] = items else {
            at.misfit(json, "a list of version and buckets");
            return Self::default();
        };
        (String::from_json(version, &at.index(0)), u32::from_json(buckets, &at.index(1)))
    }
}
