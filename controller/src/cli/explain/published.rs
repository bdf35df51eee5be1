//! A release of a cluster: as proxies have it, or as its text alone would have it.

use std::path::Path;

use serin_config::{Split, SplitDocument};
use serin_mesh::entry::Scope;
use serin_mesh::home::Home;
use serin_mesh::home::istio::Istio;
use serin_mesh::{Kind, Name};
use serin_release::file;

use super::subject::{Subject, Taken};
use crate::cli::Failure;
use crate::cli::cluster::Connection;
use crate::cluster::convert::from_dynamic;

/// What is published of a release in the mesh.
pub(crate) fn published(connection: &Connection, name: &Name, root_namespace: &str) -> Result<Subject, Failure> {
    let home = Istio { root_namespace: root_namespace.to_owned(), ..Istio::default() };
    let carrier = home.carrier_name(&Scope::Mesh);
    let found = connection.find(Kind::WasmPlugin, &carrier)?.map(from_dynamic);
    let document = found.as_ref().and_then(|plugin| home.carried(plugin));
    let document = match document {
        Some(Ok(document)) => document,
        Some(Err(cause)) => return Err(Failure::Failed(format!("WasmPlugin {carrier}: {cause}"))),
        None => SplitDocument::new(Vec::new()),
    };
    let id = name.to_string();
    let mut own = document;
    own.splits.retain(|split| split.release.as_str() == id);
    if own.splits.is_empty() {
        // A release that is not there at all is said to be so.
        connection.release(name)?;
        return Err(Failure::Failed(format!(
            "{id}: nothing of it is published in WasmPlugin {carrier}; `serin show {id}` says why, and --as-written what its text would do"
        )));
    }
    let split = Split::compile(&own).map_err(|error| Failure::Failed(format!("WasmPlugin {carrier}: {error}")))?;
    Ok(Subject::of(split))
}

/// What the text of a release would do, without what acts in its place.
pub(super) fn written(connection: &Connection, name: &Name, taken: Taken) -> Result<Subject, Failure> {
    let found = connection.find(Kind::CanaryRelease, name)?;
    let found =
        found.ok_or_else(|| Failure::Failed(format!("CanaryRelease {name} is not there; `serin list -A` shows all")))?;
    let text = serde_json::to_vec(&found).map_err(|error| Failure::running("cannot read the release", error))?;
    let path = Path::new("-");
    Subject::of_file(path, file::parse(path, &text)?, taken)
}
