//! The part of metadata that all kinds share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The part of an object's metadata that Serin reads; other fields are allowed and ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name of the object.
    pub name: String,
    /// The namespace of the object.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

fn default_namespace() -> String {
    "default".to_owned()
}
