//! How many pods a canary has.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many pods a canary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// So many.
    Count(u32),
    /// As many of stable's as its share of the requests is, rounded up and at least one.
    Share,
}

const SHARE: &str = "share";

/// The most that a Deployment can have.
const MOST: u32 = i32::MAX.unsigned_abs();

struct ReplicasVisitor;

impl Visitor<'_> for ReplicasVisitor {
    type Value = Replicas;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of pods, or `share`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Replicas, E> {
        let count = u32::try_from(number).ok().filter(|count| *count <= MOST);
        count.map(Replicas::Count).ok_or_else(|| wrong(&number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Replicas, E> {
        u64::try_from(number).map_err(|_| wrong(&number)).and_then(|number| self.visit_u64(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Replicas, E> {
        Err(wrong(&number))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Replicas, E> {
        Err(wrong(&value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Replicas, E> {
        if text == SHARE { Ok(Replicas::Share) } else { Err(wrong(&text)) }
    }
}

fn wrong<E: Error>(found: &dyn fmt::Display) -> E {
    E::custom(format!("`{found}` is not a number of pods; write a whole number such as `2`, or `share`"))
}

impl<'de> Deserialize<'de> for Replicas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReplicasVisitor)
    }
}

impl Serialize for Replicas {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Share => serializer.serialize_str(SHARE),
        }
    }
}

impl JsonSchema for Replicas {
    fn schema_name() -> Cow<'static, str> {
        "Replicas".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}
