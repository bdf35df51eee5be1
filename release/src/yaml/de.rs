//! From a node to a type: serde's data model with the strictness of the API server, and errors that know their place.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Value;

use super::node::{Content, Key, Node};
use super::words::{self, Cause, Expected};
use crate::problem::Problem;

/// Reads a type from a node; `root` is the path of the node itself, such as `spec`.
///
/// # Errors
/// The first thing that does not fit, with its path and place.
pub fn from_node<T: DeserializeOwned>(node: &Node, root: &str) -> Result<T, Problem> {
    T::deserialize(De(node)).map_err(|error| error.problem(root))
}

/// Reads a type from an object of a cluster, which has no lines.
///
/// # Errors
/// As [`from_node`].
pub fn from_value<T: DeserializeOwned>(value: &Value, root: &str) -> Result<T, Problem> {
    from_node(&Node::from(value), root)
}

/// Why a node is not of a type.
#[derive(Debug)]
pub(super) struct Error(Box<Fault>);

#[derive(Debug)]
struct Fault {
    cause: Cause,
    /// From the inside to the outside.
    path: Vec<Step>,
    place: Option<(u32, u32)>,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
}

impl Error {
    fn new(cause: Cause) -> Self {
        Self(Box::new(Fault { cause, path: Vec::new(), place: None }))
    }

    fn at(mut self, place: (u32, u32)) -> Self {
        self.0.place.get_or_insert(place);
        self
    }

    fn within(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }

    fn problem(self, root: &str) -> Problem {
        let Fault { cause, mut path, place } = *self.0;
        if let Cause::Missing(field) = &cause {
            path.insert(0, Step::Name((*field).to_owned()));
        }
        let mut text = root.to_owned();
        for step in path.iter().rev() {
            match step {
                Step::Name(name) if text.is_empty() => text.push_str(name),
                Step::Name(name) => text.extend([".", name]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        let problem = words::misfit(&cause, &text);
        match place {
            Some(place) if place.0 > 0 => problem.at(place),
            _ => problem,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.cause)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Sentence(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        // Only where a visitor takes several forms: the others are checked before it is asked.
        Self::new(Cause::Sentence(format!("{found} does not belong here")))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownWord { word: word.to_owned(), known })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownField { name: name.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Cause::Missing(field))
    }
}

#[derive(Clone, Copy)]
struct De<'n>(&'n Node);

impl<'n> De<'n> {
    fn misfit(self, expected: Expected) -> Error {
        Error::new(Cause::Misfit { expected, found: self.0.content.clone() }).at(self.0.place)
    }

    fn here<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(self.0.place))
    }

    fn text(self) -> Result<&'n str, Error> {
        match &self.0.content {
            Content::Text(text) => Ok(text),
            _ => Err(self.misfit(Expected::Text)),
        }
    }

    /// A whole number from `least` to `most`.
    fn whole(self, least: i64, most: u64) -> Result<i128, Error> {
        let expected = Expected::Whole { least, most };
        let Content::Number(text) = &self.0.content else { return Err(self.misfit(expected)) };
        let number = text.replace('_', "").parse::<i128>().ok();
        let number = number.filter(|number| (i128::from(least)..=i128::from(most)).contains(number));
        number.ok_or_else(|| self.misfit(expected))
    }

    fn list<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::List(items) => self.here(visitor.visit_seq(Items { items, next: 0 })),
            _ => Err(self.misfit(Expected::List)),
        }
    }

    fn fields<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Map(fields) => self.here(visitor.visit_map(Fields { fields, next: 0 })),
            _ => Err(self.misfit(Expected::Fields)),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $kind:ty,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.whole(i64::try_from(<$kind>::MIN).unwrap_or_default(), <$kind>::MAX as u64)?;
            self.here(visitor.$visit(<$kind>::try_from(number).unwrap_or_default()))
        })*
    };
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value, _) => visitor.visit_bool(*value),
            Content::Text(text) => self.here(visitor.visit_borrowed_str(text)),
            Content::Number(text) => match (text.parse::<i64>(), text.parse::<u64>(), text.parse::<f64>()) {
                (Ok(number), ..) => visitor.visit_i64(number),
                (_, Ok(number), _) => visitor.visit_u64(number),
                (_, _, Ok(number)) => visitor.visit_f64(number),
                _ => self.here(visitor.visit_borrowed_str(text)),
            },
            Content::List(_) => self.list(visitor),
            Content::Map(_) => self.fields(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Bool(value, _) => visitor.visit_bool(*value),
            _ => Err(self.misfit(Expected::Bool)),
        }
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.text()?;
        self.here(visitor.visit_borrowed_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.fields(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Text(word) => {
                let unit: de::value::StrDeserializer<'_, Error> = word.as_str().into_deserializer();
                self.here(visitor.visit_enum(unit))
            }
            Content::Map(fields) => match fields.as_slice() {
                [(key, node)] => self.here(visitor.visit_enum(Variant { key, node })),
                _ => {
                    let names = fields.iter().map(|(key, _)| key.name.clone()).collect();
                    Err(Error::new(Cause::NotOne { names, known: variants, of: name }).at(self.0.place))
                }
            },
            _ => Err(self.misfit(Expected::Word(variants))),
        }
    }

    forward_to_deserialize_any! { i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct identifier }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items<'n> {
    items: &'n [Node],
    next: usize,
}

impl<'n> de::SeqAccess<'n> for Items<'n> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        self.next += 1;
        let index = self.next - 1;
        seed.deserialize(De(item)).map(Some).map_err(|error| error.at(item.place).within(Step::Index(index)))
    }
}

struct Fields<'n> {
    fields: &'n [(Key, Node)],
    next: usize,
}

impl<'n> de::MapAccess<'n> for Fields<'n> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, _)) = self.fields.get(self.next) else { return Ok(None) };
        let name = de::value::BorrowedStrDeserializer::new(key.name.as_str());
        let read = seed.deserialize(name).map(Some);
        read.map_err(|error: Error| error.at(key.place).within(Step::Name(key.name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.fields.get(self.next) else {
            return Err(de::Error::custom("a field has no value"));
        };
        self.next += 1;
        // An empty value stands nowhere, so its name does.
        let place = if node.content == Content::Null { key.place } else { node.place };
        seed.deserialize(De(node)).map_err(|error| error.at(place).within(Step::Name(key.name.clone())))
    }
}

/// The only field of a map, whose name says which of several forms it has.
struct Variant<'n> {
    key: &'n Key,
    node: &'n Node,
}

impl<'n> de::EnumAccess<'n> for Variant<'n> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = de::value::BorrowedStrDeserializer::new(self.key.name.as_str());
        let read = seed.deserialize(name).map_err(|error: Error| match error.0.cause {
            Cause::UnknownWord { word, known } => Error::new(Cause::UnknownField { name: word, known }),
            _ => error,
        });
        let read = read.map_err(|error| error.at(self.key.place).within(Step::Name(self.key.name.clone())))?;
        Ok((read, self))
    }
}

impl<'n> de::VariantAccess<'n> for Variant<'n> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        let word = Content::Text(self.key.name.clone());
        Err(Error::new(Cause::Misfit { expected: Expected::OnlyWord, found: word }).at(self.key.place))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Error> {
        let read = seed.deserialize(De(self.node));
        read.map_err(|error| error.at(self.key.place).within(Step::Name(self.key.name.clone())))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        De(self.node).list(visitor)
    }

    fn struct_variant<V: Visitor<'n>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        De(self.node).fields(visitor)
    }
}
