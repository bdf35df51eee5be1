//! A walk over the text of a document that stops at each release, so that what is known already need not be read again.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Cause, DocumentError};
use crate::json::Json;

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
    /// A member other than `splits`, with its text.
    Field(Cow<'t, str>, Json<'t>, &'t [u8]),
    /// The list of releases begins.
    Splits,
    /// A release that was expected here.
    Known,
    /// A member that was expected here, by its name.
    KnownField(Cow<'t, str>),
    /// Another release: its index, what it says and its text.
    Release(usize, Json<'t>, &'t [u8]),
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
    ) -> Result<Part<'t>, DocumentError> {
        self.step(text, known).ok_or_else(|| syntax(text))
    }

    /// `None` where the text is not as it should be: [`syntax`] finds out what it is.
    fn step<'t>(&mut self, text: &'t [u8], known: impl FnOnce(Option<&str>, &'t [u8]) -> Option<usize>) -> Option<Part<'t>> {
        match self.place {
            Place::Start => {
                self.expect(text, b"{")?;
                self.place = Place::Members;
                if self.skip(text, b'}') {
                    return self.end(text);
                }
            }
            Place::Members => {
                if self.expect(text, b",}")? == b'}' {
                    return self.end(text);
                }
            }
            Place::FirstSplit | Place::Splits => {
                let ends = match self.place {
                    Place::FirstSplit => self.skip(text, b']'),
                    _ => self.expect(text, b",]")? == b']',
                };
                if ends {
                    self.place = Place::Members;
                    return self.step(text, known);
                }
                self.place = Place::Splits;
                self.blanks(text);
                self.seen += 1;
                let rest = text.get(self.at..)?;
                if let Some(size) = known(None, rest) {
                    self.at += size;
                    return Some(Part::Known);
                }
                let (release, range) = self.value(text)?;
                return Some(Part::Release(self.seen - 1, release, text.get(range)?));
            }
            Place::End => return Some(Part::End),
        }
        let Json::Text(name) = self.value(text)?.0 else {
            return None;
        };
        self.expect(text, b":")?;
        self.blanks(text);
        if name == "splits" && self.skip(text, b'[') {
            self.place = Place::FirstSplit;
            return Some(Part::Splits);
        }
        if let Some(size) = known(Some(&name), text.get(self.at..)?) {
            self.at += size;
            return Some(Part::KnownField(name));
        }
        let (value, range) = self.value(text)?;
        Some(Part::Field(name, value, text.get(range)?))
    }

    fn end<'t>(&mut self, text: &'t [u8]) -> Option<Part<'t>> {
        self.blanks(text);
        self.place = Place::End;
        (self.at == text.len()).then_some(Part::End)
    }

    fn blanks(&mut self, text: &[u8]) {
        let rest = text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    /// Goes over one of these bytes, and says which.
    fn expect(&mut self, text: &[u8], one_of: &[u8]) -> Option<u8> {
        self.blanks(text);
        let byte = text.get(self.at).copied().filter(|byte| one_of.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// Goes over a byte if it is there.
    fn skip(&mut self, text: &[u8], byte: u8) -> bool {
        self.expect(text, &[byte]).is_some()
    }

    fn value<'t>(&mut self, text: &'t [u8]) -> Option<(Json<'t>, Range<usize>)> {
        self.blanks(text);
        let from = self.at;
        Some((self.read(text)?, from..self.at))
    }

    /// Goes over a value.
    fn pass(&mut self, text: &[u8]) -> Option<()> {
        self.read::<IgnoredAny>(text).map(|_| ())
    }

    fn read<'t, T: Deserialize<'t>>(&mut self, text: &'t [u8]) -> Option<T> {
        let mut values = serde_json::Deserializer::from_slice(text.get(self.at..)?).into_iter();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }
}

/// A member of an object and its text; of duplicates the last counts (RFC 7519, section 4). `None` for what is no object.
pub(crate) fn member<'t>(object: &'t [u8], name: &str) -> Option<(Json<'t>, &'t [u8])> {
    let (mut walk, mut found) = (Walk::default(), None);
    walk.expect(object, b"{")?;
    let mut ends = walk.skip(object, b'}');
    while !ends {
        let Json::Text(key) = walk.value(object)?.0 else {
            return None;
        };
        walk.expect(object, b":")?;
        if key == name {
            let (value, range) = walk.value(object)?;
            found = Some((value, object.get(range)?));
        } else {
            walk.pass(object)?;
        }
        ends = walk.expect(object, b",}")? == b'}';
    }
    walk.end(object)?;
    found
}

/// What is wrong with a text that a walk could not go over.
fn syntax(text: &[u8]) -> DocumentError {
    let cause = match serde_json::from_slice::<IgnoredAny>(text) {
        Err(error) => told(&error),
        Ok(_) => "no object where the document belongs".to_owned(),
    };
    Cause::Shape(cause).at("").into()
}

#[cfg(feature = "authoring")]
fn told(error: &serde_json::Error) -> String {
    error.to_string()
}

/// A filter has no room for all that can be wrong with JSON, and its documents are made by a program.
#[cfg(not(feature = "authoring"))]
fn told(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "JSON that ends early" } else { "no JSON" };
    format!("{what}, at line {} column {}", error.line(), error.column())
}
