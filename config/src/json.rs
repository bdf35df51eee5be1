//! A document as it is read: a value is its text and its place, and says what it holds when it is asked.
//!
//! Reading never stops at a fault. The first one is noted, with its place, and reading goes on with a harmless value: a way out
//! at each field would be most of the code.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write;

use crate::error::{Cause, CompileError};
use crate::lexer::{Items, text, whole};

/// Where the first fault goes.
#[derive(Default)]
pub(crate) struct Faults(Cell<Option<CompileError>>);

impl Faults {
    /// What was read, unless there was a fault.
    pub(crate) fn or<T>(&self, value: T) -> Result<T, CompileError> {
        match self.0.take() {
            Some(fault) => Err(fault),
            None => Ok(value),
        }
    }
}

/// A value of a document, or a field that is missing.
#[derive(Clone, Copy)]
pub(crate) struct Json<'a> {
    /// What a lexer went over; empty for what is missing.
    text: &'a [u8],
    step: Step<'a>,
    up: Option<&'a Json<'a>>,
    faults: &'a Faults,
}

/// How to come to a value from the one around it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Json<'a> {
    /// A value that stands at the top.
    pub(crate) fn top(text: &'a [u8], faults: &'a Faults) -> Self {
        Self { text, step: Step::Name(""), up: None, faults }
    }

    /// A member.
    pub(crate) fn name(&'a self, name: &'a str, text: &'a [u8]) -> Self {
        Self { text, step: Step::Name(name), up: Some(self), faults: self.faults }
    }

    /// An item.
    pub(crate) fn index(&'a self, index: usize, text: &'a [u8]) -> Self {
        Self { text, step: Step::Index(index), up: Some(self), faults: self.faults }
    }

    /// Whether there is a value other than null.
    pub(crate) fn given(&self) -> bool {
        !matches!(self.text.first(), None | Some(b'n'))
    }

    /// Whether a field is missing.
    pub(crate) fn missing(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it is a text.
    pub(crate) fn is_text(&self) -> bool {
        self.text.first() == Some(&b'"')
    }

    /// Notes a fault here, if it is the first one.
    #[cold]
    #[inline(never)]
    pub(crate) fn fault(&self, cause: Cause) {
        let fault = self.faults.0.take().unwrap_or_else(|| {
            let mut path = String::new();
            self.path(&mut path);
            cause.at(path)
        });
        self.faults.0.set(Some(fault));
    }

    fn path(&self, path: &mut String) {
        if let Some(up) = self.up {
            up.path(path);
        }
        match self.step {
            Step::Name(name) => {
                if !path.is_empty() && !name.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Index(index) => {
                // Writing into a text cannot fail.
                let _ = write!(path, "[{index}]");
            }
        }
    }

    /// Notes that something else belongs here.
    #[cold]
    #[inline(never)]
    pub(crate) fn misfit(&self, expected: &str) {
        let found = match (self.text.first(), self.step, self.up) {
            (None, Step::Name(name), Some(up)) => return up.fault(Cause::Shape(["missing field `", name, "`"].concat())),
            (None | Some(b'n'), ..) => "null",
            (Some(b't' | b'f'), ..) => "a boolean",
            (Some(b'"'), ..) => "a text",
            (Some(b'['), ..) => "a list",
            (Some(b'{'), ..) => "an object",
            _ => "a number",
        };
        self.fault(Cause::Shape([found, " where ", expected, " belongs"].concat()));
    }

    /// Notes that a name is none of those that are known.
    #[cold]
    #[inline(never)]
    pub(crate) fn unknown(&self, what: &str, name: &str, known: &[&str]) {
        let known = known.join("`, `");
        self.fault(Cause::Shape(["unknown ", what, " `", name, "`, expected one of `", &known, "`"].concat()));
    }

    /// The text.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        text(self.text).unwrap_or_else(|| {
            self.misfit("a text");
            Cow::Borrowed("")
        })
    }

    /// Whether it is true.
    pub(crate) fn boolean(&self) -> bool {
        if !matches!(self.text.first(), Some(b't' | b'f')) {
            self.misfit("a boolean");
        }
        self.text.first() == Some(&b't')
    }

    /// A whole number up to a limit.
    pub(crate) fn number(&self, most: u64) -> u64 {
        match whole(self.text) {
            Some(number) if number <= most => return number,
            Some(number) => self.fault(Cause::Shape(format!("{number} is above {most}"))),
            None => self.misfit("a whole number"),
        }
        0
    }

    /// The number of the word that it is, among some; of the first one with a fault.
    pub(crate) fn word(&self, words: &[&str]) -> usize {
        let text = self.text();
        words.iter().position(|word| *word == text).unwrap_or_else(|| {
            self.unknown("word", &text, words);
            0
        })
    }

    /// The items of a list.
    pub(crate) fn items(&'a self) -> impl Iterator<Item = Json<'a>> {
        if self.text.first() != Some(&b'[') {
            self.misfit("a list");
        }
        let list = if self.text.starts_with(b"[") { self.text } else { b"" };
        Items::of(list).enumerate().map(|(index, text)| self.index(index, text))
    }

    /// The two items of a list of two.
    pub(crate) fn pair(&'a self, expected: &str) -> [Self; 2] {
        let mut items = Items::of(if self.text.starts_with(b"[") { self.text } else { b"" });
        match (items.next(), items.next(), items.next()) {
            (Some(first), Some(second), None) => [self.index(0, first), self.index(1, second)],
            _ => {
                self.misfit(expected);
                [*self; 2]
            }
        }
    }

    /// The members of an object in order.
    pub(crate) fn members(&'a self) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> {
        let object = if self.text.starts_with(b"{") { self.text } else { b"" };
        if object.is_empty() {
            self.misfit("an object");
        }
        let mut items = Items::of(object);
        std::iter::from_fn(move || Some((text(items.next()?)?, items.next()?)))
    }

    /// The only member of an object that says by its name what it holds, and the number of its name.
    pub(crate) fn variant(&'a self, what: &str, known: &[&'static str]) -> (usize, Self) {
        let mut members = self.members();
        let first = members.next();
        if let (Some((name, value)), None) = (&first, members.next()) {
            if let Some((at, name)) = known.iter().enumerate().find(|(_, known)| *known == name) {
                return (at, self.name(name, value));
            }
            self.name(name, value).unknown(what, name, known);
        } else {
            self.fault(Cause::Shape(format!("{} members where one belongs", self.members().count())));
        }
        (known.len(), self.name("", b""))
    }

    /// Takes the members of an object of these names; there must be no others.
    #[inline(never)]
    fn fill(&'a self, names: &[&'static str], fields: &mut [Self]) {
        for (field, name) in fields.iter_mut().zip(names) {
            field.step = Step::Name(name);
        }
        for (name, value) in self.members() {
            match fields.iter_mut().zip(names).find(|(_, known)| **known == name) {
                None => self.name(&name, value).unknown("field", &name, names),
                Some((field, _)) if field.missing() => field.text = value,
                Some((field, _)) => field.fault(Cause::Shape(["duplicate field `", &name, "`"].concat())),
            }
        }
    }
}

/// What a value of a document is made from.
pub(crate) trait FromJson {
    /// Reads a value; with a fault it is of no use.
    fn from_json(json: &Json<'_>) -> Self;
}

/// Reads a value at a place.
pub(crate) fn read<T: FromJson>(text: &[u8]) -> Result<T, CompileError> {
    let faults = Faults::default();
    let value = T::from_json(&Json::top(text, &faults));
    faults.or(value)
}

/// The members of an object.
pub(crate) struct Fields<'a>(Vec<Json<'a>>, Json<'a>);

impl<'a> Fields<'a> {
    /// The members of an object of these names and no others.
    pub(crate) fn of(json: &'a Json<'a>, names: &[&'static str]) -> Self {
        let mut fields = vec![json.name("", b""); names.len()];
        json.fill(names, &mut fields);
        Self(fields, json.name("", b""))
    }

    fn get(&self, name: &str) -> Json<'a> {
        let found = self.0.iter().find(|field| matches!(field.step, Step::Name(known) if known == name));
        found.copied().unwrap_or(self.1)
    }

    /// A field that must be there.
    pub(crate) fn need<T: FromJson>(&self, name: &str) -> T {
        T::from_json(&self.get(name))
    }

    /// A field that may be missing, or null.
    pub(crate) fn optional<T: FromJson>(&self, name: &str) -> Option<T> {
        let field = self.get(name);
        field.given().then(|| T::from_json(&field))
    }

    /// A field that has a value of its own when it is missing.
    pub(crate) fn or<T: FromJson>(&self, name: &str, missing: T) -> T {
        let field = self.get(name);
        if field.missing() { missing } else { T::from_json(&field) }
    }
}

impl FromJson for String {
    fn from_json(json: &Json<'_>) -> Self {
        json.text().into_owned()
    }
}

impl FromJson for bool {
    fn from_json(json: &Json<'_>) -> Self {
        json.boolean()
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Self {
                Self::try_from(json.number(u64::from(Self::MAX))).unwrap_or_default()
            }
        })*
    };
}

numbers!(u8, u16, u32, u64);

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: &Json<'_>) -> Self {
        json.items().map(|item| T::from_json(&item)).collect()
    }
}

/// A run of buckets: version and number.
impl FromJson for (String, u32) {
    fn from_json(json: &Json<'_>) -> Self {
        let [version, buckets] = &json.pair("a list of version and buckets");
        (String::from_json(version), u32::from_json(buckets))
    }
}
