//! A walk over the text of a document that stops at each release, so that what is known already need not be read.

use std::borrow::Cow;

use crate::error::{Cause, CompileError};
use crate::json::lexer::{self, Lexer};

/// A place in the text of a document: an object whose member `splits` is a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    at: usize,
    place: Place,
    /// How many releases lie behind.
    seen: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Members,
    FirstSplit,
    Splits,
    End,
}

/// What stands at a place.
pub(crate) enum Part<'t> {
    /// A member other than `splits`, and its value.
    Field(Cow<'t, str>, &'t [u8]),
    /// The list of releases begins.
    Splits,
    /// A release that was expected here.
    Known,
    /// A member that was expected here, by its name.
    KnownField(Cow<'t, str>),
    /// Another release, and its index.
    Release(usize, &'t [u8]),
    /// The document ends.
    End,
}

impl Walk {
    /// Goes on to the next part. `known` gets the name of a member, or none at a release, and the rest of the text: how many
    /// bytes of it are a value that it knows?
    pub(crate) fn next<'t>(
        &mut self,
        text: &'t [u8],
        known: impl FnOnce(Option<&str>, &'t [u8]) -> Option<usize>,
    ) -> Result<Part<'t>, CompileError> {
        let mut lexer = Lexer(text.get(self.at..).unwrap_or_default());
        let part = self.step(&mut lexer, known);
        self.at = text.len() - lexer.0.len();
        part.ok_or_else(|| syntax(text))
    }

    /// `None` where the text is not as it should be: [`syntax`] finds out what it is.
    fn step<'t>(
        &mut self,
        lexer: &mut Lexer<'t>,
        known: impl FnOnce(Option<&str>, &'t [u8]) -> Option<usize>,
    ) -> Option<Part<'t>> {
        if matches!(self.place, Place::FirstSplit | Place::Splits) {
            let ends = match self.place {
                Place::FirstSplit => lexer.expect(b"]").is_some(),
                _ => lexer.expect(b",]")? == b']',
            };
            if !ends {
                self.place = Place::Splits;
                lexer.blanks();
                self.seen += 1;
                if let Some(size) = known(None, lexer.0) {
                    lexer.0 = lexer.0.get(size..)?;
                    return Some(Part::Known);
                }
                return Some(Part::Release(self.seen - 1, lexer.value()?));
            }
            self.place = Place::Members;
        }
        let ends = match self.place {
            Place::End => return Some(Part::End),
            Place::Start => {
                lexer.expect(b"{")?;
                self.place = Place::Members;
                lexer.expect(b"}").is_some()
            }
            _ => lexer.expect(b",}")? == b'}',
        };
        if ends {
            lexer.blanks();
            self.place = Place::End;
            return lexer.0.is_empty().then_some(Part::End);
        }
        let name = lexer::text(lexer.value()?)?;
        lexer.expect(b":")?;
        if name == "splits" && lexer.expect(b"[").is_some() {
            self.place = Place::FirstSplit;
            return Some(Part::Splits);
        }
        lexer.blanks();
        if let Some(size) = known(Some(&name), lexer.0) {
            lexer.0 = lexer.0.get(size..)?;
            return Some(Part::KnownField(name));
        }
        Some(Part::Field(name, lexer.value()?))
    }
}

/// What is wrong with a text that a walk could not go over.
#[cold]
#[inline(never)]
fn syntax(text: &[u8]) -> CompileError {
    let mut lexer = Lexer(text);
    let whole = lexer.value().is_some();
    lexer.blanks();
    let cause = match lexer.0.len() {
        0 if whole => Cause::shape(&["the document is not an object"], &["write an object"]),
        left => Cause::shape(&[&fault(text, left)], &["correct it there"]),
    };
    cause.at(String::new())
}

#[cfg(feature = "authoring")]
fn fault(text: &[u8], left: usize) -> String {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Err(error) => format!("not JSON: {error}"),
        Ok(_) => format!("not JSON {left} bytes before the end"),
    }
}

/// A filter has no room for all that can be wrong with JSON, and its documents are made by a program.
#[cfg(not(feature = "authoring"))]
fn fault(text: &[u8], left: usize) -> String {
    let read = text.get(..text.len() - left).unwrap_or_default();
    let column = read.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let line = read.iter().filter(|byte| **byte == b'\n').count() + 1;
    let what = if left == 0 { "JSON that ends early" } else { "not JSON" };
    format!("{what}, at line {line} column {column}")
}
