//! A document as it is read: a value is its text and its place, and says what it holds when it is asked.
//!
//! Reading never stops at a fault. The first one is noted, with its place, and reading goes on with a harmless value: a way out
//! at each field would be most of the code.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write;

use crate::error::{Cause, CompileError};
use crate::json::lexer::{Items, member, text, whole};

/// Where the first fault goes.
#[derive(Default)]
pub(crate) struct Faults(Cell<Option<CompileError>>);

impl Faults {
    /// The first fault.
    pub(crate) fn first(&self) -> Option<CompileError> {
        self.0.take()
    }
}

/// The items of a list, with their places.
pub(crate) struct List<'a> {
    list: &'a Json<'a>,
    items: Items<'a>,
    next: usize,
}

impl List<'_> {
    /// All items, read.
    pub(crate) fn read<T>(self, mut read: impl FnMut(&Json<'_>) -> T) -> Vec<T> {
        let mut all = Vec::new();
        self.each(&mut |item| all.push(read(item)));
        all.shrink_to_fit();
        all
    }

    /// Shows each item; one loop for all lists.
    #[inline(never)]
    pub(crate) fn each(self, see: &mut dyn FnMut(&Json<'_>)) {
        for item in self {
            see(&item);
        }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let item = self.list.index(self.next, self.items.next()?);
        self.next += 1;
        Some(item)
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
    /// A member of the document itself.
    pub(crate) fn top(name: &'a str, text: &'a [u8], faults: &'a Faults) -> Self {
        Self { text, step: Step::Name(name), up: None, faults }
    }

    /// A member.
    pub(crate) fn name(&'a self, name: &'a str, text: &'a [u8]) -> Self {
        Self { text, step: Step::Name(name), up: Some(self), faults: self.faults }
    }

    /// An item.
    pub(crate) fn index(&'a self, index: usize, text: &'a [u8]) -> Self {
        Self { text, step: Step::Index(index), up: Some(self), faults: self.faults }
    }

    /// The member of a name, without a look at the others.
    pub(crate) fn member(&'a self, name: &'a str) -> Self {
        self.name(name, member(self.text, name).unwrap_or_default())
    }

    /// As it is written.
    pub(crate) fn written(&self) -> &'a [u8] {
        self.text
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
            (None, Step::Name(name), Some(up)) => {
                return up.fault(Cause::shape(&["missing field `", name, "`"], &["add it"]));
            }
            (None | Some(b'n'), ..) => "null",
            (Some(b't' | b'f'), ..) => "a boolean",
            (Some(b'"'), ..) => "a text",
            (Some(b'['), ..) => "a list",
            (Some(b'{'), ..) => "an object",
            _ => "a number",
        };
        self.fault(Cause::shape(&[found, " where ", expected, " belongs"], &["write ", expected]));
    }

    /// Notes that a name is none of those that are known.
    #[cold]
    #[inline(never)]
    pub(crate) fn unknown(&self, what: &str, name: &str, known: &[&str]) {
        let known = if cfg!(feature = "authoring") { known.join("`, `") } else { String::new() };
        self.fault(Cause::shape(&["unknown ", what, " `", name, "`"], &["use one of `", &known, "`"]));
    }

    /// Notes that a name was there before.
    #[cold]
    #[inline(never)]
    pub(crate) fn duplicate(&self, name: &str) {
        self.fault(Cause::shape(&["duplicate field `", name, "`"], &["keep one"]));
    }

    /// The text.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        text(self.text).unwrap_or_else(|| {
            self.misfit("a text");
            Cow::Borrowed("")
        })
    }

    /// The text, which a check must like.
    #[inline(never)]
    pub(crate) fn checked(&self, check: fn(&str) -> Result<(), Cause>) -> String {
        let text = self.text();
        if let Err(cause) = check(&text) {
            self.fault(cause);
        }
        text.into_owned()
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
            Some(number) => {
                self.fault(Cause::shape(&[&number.to_string(), " is too large"], &["use at most ", &most.to_string()]))
            }
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

    /// The items of a list; a field that is missing has none.
    pub(crate) fn items(&'a self) -> List<'a> {
        if !self.missing() && !self.text.starts_with(b"[") {
            self.misfit("a list");
        }
        List { list: self, items: Items::of(if self.text.starts_with(b"{") { b"" } else { self.text }), next: 0 }
    }

    /// The items of a list that must be there and not be empty.
    pub(crate) fn some_items(&'a self, none: Cause) -> List<'a> {
        match self.text.first() {
            Some(b'[') if Items::of(self.text).next().is_none() => self.fault(none),
            Some(_) => {}
            None => self.misfit("a list"),
        }
        self.items()
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
    pub(crate) fn variant(&'a self, what: &str, known: &[&'static str]) -> Option<(usize, Self)> {
        let mut members = self.members();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            self.fault(Cause::shape(
                &[&self.members().count().to_string(), " members where one belongs"],
                &["write exactly one"],
            ));
            return None;
        };
        match known.iter().enumerate().find(|(_, known)| **known == name) {
            Some((at, name)) => Some((at, self.name(name, value))),
            None => {
                self.name(&name, value).unknown(what, &name, known);
                None
            }
        }
    }

    /// The members of an object of these names and no others.
    pub(crate) fn fields<const N: usize>(&'a self, names: &[&'static str; N]) -> [Self; N] {
        let mut fields = [self.name("", b""); N];
        self.fill(names, &mut fields);
        fields
    }

    /// The same, into memory that is there.
    #[inline(never)]
    pub(crate) fn fill(&'a self, names: &[&'static str], fields: &mut [Self]) {
        for (field, name) in fields.iter_mut().zip(names) {
            field.step = Step::Name(name);
        }
        for (name, value) in self.members() {
            match fields.iter_mut().zip(names).find(|(_, known)| **known == name) {
                None => self.name(&name, value).unknown("field", &name, names),
                Some((field, _)) if field.missing() => field.text = value,
                Some((field, _)) => field.duplicate(&name),
            }
        }
    }
}
