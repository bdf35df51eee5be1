//! `serin document`: print the split document that proxies of a cluster have.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use serin_config::SplitDocument;
use serin_mesh::entry::Scope;
use serin_mesh::home::Home;
use serin_mesh::home::istio::Istio;
use serin_mesh::{Kind, Object};
use serin_release::{file, yaml};

use super::{Failure, Output, cluster, print};

const EXAMPLES: &str = "\
Examples:
  serin document -o text
  kubectl get wasmplugin -n istio-system serin -o yaml | serin document -f -
  serin document --waypoint bookinfo/waypoint";

/// Print the split document that a WasmPlugin carries: of the cluster, or of a file.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Document {
    /// YAML or JSON file with the WasmPlugin, instead of the cluster of the kubeconfig; `-` reads standard input.
    #[arg(short = 'f', long = "file", value_name = "WASMPLUGIN", conflicts_with_all = ["root_namespace", "waypoint"])]
    file: Option<PathBuf>,
    /// Root namespace of the mesh.
    #[arg(long, env = "SERIN_ROOT_NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// Waypoint whose document to print, instead of that of sidecars and gateways.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = waypoint)]
    waypoint: Option<Scope>,
    /// Output format: `json` on one line, or `text`, the same JSON with indentation.
    #[arg(short, long, value_enum, default_value_t = Output::Json)]
    output: Output,
}

fn waypoint(text: &str) -> Result<Scope, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Scope::Waypoint(namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME of its Gateway".to_owned()),
    }
}

impl Document {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let document = match &self.file {
            Some(path) => of_file(path)?,
            None => self.of_cluster()?,
        };
        let text = match self.output {
            Output::Json => document.to_json(),
            Output::Text => {
                serde_json::to_string_pretty(&document).map_err(|error| Failure::running("cannot write", error))?
            }
        };
        print(&format!("{text}\n"))
    }

    fn of_cluster(&self) -> Result<SplitDocument, Failure> {
        let home = Istio { root_namespace: self.root_namespace.clone(), ..Istio::default() };
        let name = home.carrier_name(self.waypoint.as_ref().unwrap_or(&Scope::Mesh));
        let full = format!("WasmPlugin {}/{}", name.namespace, name.name);
        let found = cluster::object(Kind::WasmPlugin, &name)?;
        let found = found.ok_or_else(|| {
            Failure::Failed(format!(
                "{full} is not there; the controller makes it once a release is accepted, in --root-namespace"
            ))
        })?;
        carried(&found, &full).map_err(Failure::Failed)
    }
}

/// The document of the only WasmPlugin of a file.
fn of_file(path: &Path) -> Result<SplitDocument, Failure> {
    let shown = file::display_name(path);
    let text = String::from_utf8_lossy(&file::bytes(path)?).into_owned();
    let nodes = yaml::documents(&text).map_err(|problem| problem.in_file(&shown))?;
    let values: Result<Vec<Value>, _> = nodes.iter().map(|node| yaml::from_node(node, "")).collect();
    let values = values.map_err(|problem| problem.in_file(&shown))?;
    let items = values.into_iter().flat_map(|value| match value.get("items").and_then(Value::as_array) {
        Some(items) => items.clone(),
        None => vec![value],
    });
    let is_plugin = |value: &Value| value.get("kind").and_then(Value::as_str) == Some(Kind::WasmPlugin.name());
    let plugins: Vec<Object> = items.filter(is_plugin).map(Object::from_json).collect();
    match plugins.as_slice() {
        [plugin] => {
            let full = format!("{shown}: WasmPlugin {}", plugin.full_name());
            carried(plugin, &full).map_err(Failure::Invalid)
        }
        [] => Err(Failure::Invalid(format!(
            "{shown}: it has no WasmPlugin; pass what `kubectl get wasmplugin -o yaml` prints of one"
        ))),
        several => {
            let names: Vec<String> = several.iter().map(|plugin| plugin.full_name()).collect();
            Err(Failure::Invalid(format!("{shown}: it has several WasmPlugins ({}); pass one", names.join(", "))))
        }
    }
}

fn carried(plugin: &Object, full: &str) -> Result<SplitDocument, String> {
    match Istio::default().carried(plugin) {
        Some(Ok(document)) => Ok(document),
        Some(Err(cause)) => Err(format!("{full} carries no split document that this version reads: {cause}")),
        None => Err(format!("{full} carries nothing: spec.pluginConfig is empty")),
    }
}
