//! The WasmPlugins: one for each scope, which carries the document and the way to the filter.

use serde_json::{Map, Value, json};
use serin_config::SplitDocument;

use crate::desired::{Desired, content, set};
use crate::documents::Module;
use crate::entry::Scope;
use crate::names::ALL;
use crate::{Kind, Name, Object};

/// What the name of a waypoint's plugin begins with.
pub(super) const WAYPOINT_PREFIX: &str = "serin-";

/// Namespace and name of a scope's plugin.
pub(super) fn name(scope: &Scope, root_namespace: &str) -> Name {
    match scope {
        Scope::Mesh => Name::new(root_namespace, "serin"),
        Scope::Waypoint(namespace, name) => Name::new(&**namespace, format!("{WAYPOINT_PREFIX}{name}")),
    }
}

/// The plugin of a scope.
pub(super) fn plugin(scope: &Scope, config: Value, module: &Module, root_namespace: &str) -> Desired {
    let mut spec = json!({
        "url": module.url,
        "imagePullPolicy": "IfNotPresent",
        // Where the filter fails requests take the default route, to stable.
        "failStrategy": "FAIL_OPEN",
        // One text: istiod would turn a Struct into JSON again for each proxy.
        "pluginConfig": config,
    });
    if let Some(sha256) = &module.sha256 {
        set(&mut spec, &["sha256"], sha256.as_str().into());
    }
    match scope {
        Scope::Mesh => set(&mut spec, &["match"], json!([{"mode": "CLIENT"}])),
        Scope::Waypoint(_, gateway) => {
            // Before faults and CORS, which a waypoint has at the end of its chain, so that they see the route of the decision.
            set(&mut spec, &["phase"], "AUTHZ".into());
            let target = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway});
            set(&mut spec, &["targetRefs"], json!([target]));
        }
    }
    let name = name(scope, root_namespace);
    Desired::new(Kind::WasmPlugin, &name.namespace, &name.name, ALL, content(spec))
}

/// The document that a plugin carries.
pub(super) fn document(plugin: &Object) -> Option<Result<SplitDocument, String>> {
    let config = plugin.data.pointer("/spec/pluginConfig").filter(|config| !config.is_null())?;
    Some(SplitDocument::parse(integers(config.clone()).to_string().as_bytes()).map_err(|error| error.to_string()))
}

/// The checksum of the document that a plugin carries.
pub(super) fn checksum(plugin: &Object) -> Option<u32> {
    serin_config::checksum(plugin.data.pointer("/spec/pluginConfig")?.to_string().as_bytes())
}

/// Earlier versions wrote the document as a Struct, and numbers that went through one may have become doubles.
fn integers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "documents hold integers below 2^53")]
            Some(double) if number.as_i64().is_none() && double.fract() == 0.0 => (double as i64).into(),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(integers).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, integers(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
