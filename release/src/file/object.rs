//! The objects of a YAML text, and what is wrong with those that are not ours.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::api::{API_VERSION, GROUP};
use crate::problem::Problem;
use crate::yaml::{Content, Node, from_node};

/// What a path is called in messages.
#[must_use]
pub fn display_name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

/// The problem of bytes that are not UTF-8 from a place on.
pub(super) fn not_utf8(bytes: &[u8], at: usize) -> Problem {
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let byte = bytes.get(at).copied().unwrap_or_default();
    Problem::new("", format!("byte 0x{byte:02x} is not UTF-8"), "save the file as UTF-8").at((number(line), number(column)))
}

/// The objects of a document: those of a list, as `kubectl get -o yaml` prints several, else the document itself.
pub(crate) fn objects(document: &Node) -> Vec<&Node> {
    let kind = document.get("kind").and_then(Node::scalar).unwrap_or_default();
    match document.get("items").map(|items| &items.content) {
        Some(Content::List(items)) if kind.ends_with("List") => items.iter().collect(),
        Some(Content::Null) if kind.ends_with("List") => Vec::new(),
        _ => vec![document],
    }
}

/// The problem of an object, with its name and place.
pub(super) fn placed(problem: Problem, object: &Node) -> Problem {
    let id = (problem.object.is_none() && !problem.path.is_empty()).then(|| id_of(object)).flatten();
    let place = (problem.line.is_none() && !problem.path.is_empty()).then(|| object.place_of(&problem.path));
    let problem = Problem { object: id.or(problem.object.clone()), ..problem };
    match place {
        Some(place) => problem.at(place),
        None => problem,
    }
}

/// `NAMESPACE/NAME` of an object, as far as it says so; `Standalone` for that kind, of which a file has one.
pub(super) fn id_of(object: &Node) -> Option<String> {
    let kind = object.get("kind").and_then(Node::scalar)?;
    if kind == "Standalone" {
        return Some(kind.to_owned());
    }
    let metadata = object.get("metadata")?;
    let text = |name: &str| metadata.get(name).and_then(Node::scalar);
    Some(format!("{}/{}", text("namespace").unwrap_or("default"), text("name")?))
}

/// An object as one of ours.
pub(super) fn of_kind<T: DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    from_node(node, "")
}

/// The problem of a document that does not say what it is.
pub(super) fn without_kind(node: &Node, kind: &str) -> Problem {
    let example = format!("start it with `apiVersion: {API_VERSION}` and `kind: {kind}`");
    let problem = match &node.content {
        Content::Map(_) if node.get("kind").is_some() => "this document has no `apiVersion`",
        Content::Map(_) if node.get("apiVersion").is_some() => "this document has no `kind`",
        Content::Map(_) => "this document has no `apiVersion` and `kind`",
        _ => "this document is not an object with fields",
    };
    Problem::new("", problem, example).at(node.place)
}

/// Objects of others pass; one that is probably meant to be ours does not.
pub(super) fn check_foreign(node: &Node, api_version: &str, kind: &str) -> Result<(), Problem> {
    let group = api_version.split('/').next().unwrap_or_default();
    let ours = ["CanaryRelease", "CanaryControl", "Standalone"].iter().find(|ours| ours.eq_ignore_ascii_case(kind));
    let place = |field: &str| node.entry(field).map_or(node.place, |(key, _)| key.place);
    let meant = group == GROUP || group.starts_with("serin") || matches!(ours, Some(&"CanaryRelease" | &"CanaryControl"));
    match ours {
        Some(ours) if meant && api_version != API_VERSION => {
            let problem = format!("`{api_version}` has no {ours}");
            Err(Problem::new("apiVersion", problem, format!("write `{API_VERSION}`")).at(place("apiVersion")))
        }
        _ if group == GROUP => {
            let problem = format!("`{kind}` of `{api_version}` is not known");
            Err(Problem::new("kind", problem, "write `CanaryRelease`, `CanaryControl` or `Standalone`").at(place("kind")))
        }
        _ => Ok(()),
    }
}
