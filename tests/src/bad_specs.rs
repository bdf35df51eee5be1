//! The table of specs that are refused: one table for the file, the API server and the controller.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

/// A spec that is good but for one value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadSpec {
    /// What is wrong, in words.
    pub name: String,
    /// Where in the spec, as a JSON pointer.
    pub at: String,
    /// The value there; null where the field is left out.
    put: Value,
    /// What `serin validate` says behind file and release, and the condition `Accepted` of the controller.
    pub says: String,
    /// A part of what the API server says by the definition alone; absent where it lets the spec through.
    #[serde(default)]
    pub admission: Option<String>,
    /// The good spec with that one value.
    #[serde(skip)]
    pub spec: Value,
}

#[derive(Deserialize)]
struct Table {
    good: Value,
    bad: Vec<BadSpec>,
}

fn table() -> Result<Table, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bad-specs.yaml");
    Ok(serde_saphyr::from_str(&fs::read_to_string(path)?)?)
}

/// The good spec, with everything in it that the contract shows.
///
/// # Errors
/// The table cannot be read.
pub fn good() -> Result<Value, Box<dyn Error>> {
    Ok(table()?.good)
}

/// All bad specs.
///
/// # Errors
/// The table cannot be read, or names a place that the good spec has not.
pub fn all() -> Result<Vec<BadSpec>, Box<dyn Error>> {
    let Table { good, bad } = table()?;
    let changed = |mut bad: BadSpec| {
        bad.spec = good.clone();
        put(&mut bad.spec, &bad.at, bad.put.clone()).ok_or_else(|| format!("{}: there is no place {}", bad.name, bad.at))?;
        Ok(bad)
    };
    bad.into_iter().map(changed).collect()
}

/// Sets what a JSON pointer names, also where nothing is yet; null removes it.
fn put(target: &mut Value, at: &str, value: Value) -> Option<()> {
    let (parent, name) = at.rsplit_once('/')?;
    match target.pointer_mut(parent)? {
        Value::Array(list) => *list.get_mut(name.parse::<usize>().ok()?)? = value,
        Value::Object(fields) if value.is_null() => drop(fields.remove(name)?),
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        _ => return None,
    }
    Some(())
}

/// A release of this spec in the namespace `default`, as one line of JSON.
#[must_use]
pub fn release(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}
