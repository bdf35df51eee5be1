//! Envoy's configuration, as JSON: a listener for each row, with the routes that a mesh has for two versions.

use std::path::Path;

use serde_json::{Value, json};

const TYPES: &str = "type.googleapis.com";

/// A message of a type.
pub(crate) fn any(kind: &str, mut fields: Value) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("@type".into(), format!("{TYPES}/{kind}").into());
    }
    fields
}

/// The cluster of a version, named as Istio names it.
pub(crate) fn cluster_name(host: &str, version: &str) -> String {
    format!("outbound|9080|{version}|{host}")
}

/// A cluster without endpoints: the router selects it and answers 503.
pub(crate) fn cluster(name: &str) -> Value {
    json!({"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": name}})
}

/// Routes by the header of a version, then stable's. Each is counted under the name of its version, the last one as `default`.
pub(crate) fn routes(host: &str) -> Vec<Value> {
    let route = |version: &str, name: &str, headers: Value| {
        json!({
            "match": {"prefix": "/", "headers": headers}, "route": {"cluster": cluster_name(host, version)},
            "name": name, "stat_prefix": name,
        })
    };
    let by =
        |version: &str| route(version, version, json!([{"name": "x-serin-version", "string_match": {"exact": version}}]));
    vec![by("v2"), by("v1"), route("v1", "default", json!([]))]
}

/// One route whose clusters Envoy chooses by itself, by a hash of the cookie.
pub(crate) fn weighted_routes(clusters: [&str; 2]) -> Vec<Value> {
    let weighted = clusters.map(|name| json!({"name": name, "weight": 50}));
    vec![json!({
        "match": {"prefix": "/"}, "name": "default", "stat_prefix": "default",
        "route": {
            "weighted_clusters": {"clusters": weighted, "use_hash_policy": true},
            "hash_policy": [{"cookie": {"name": "user"}}],
        },
    })]
}

/// A listener on any port of this machine, with filters before the router.
pub(crate) fn listener(name: &str, mut filters: Vec<Value>, routes: Vec<Value>) -> Value {
    filters
        .push(json!({"name": "router", "typed_config": any("envoy.extensions.filters.http.router.v3.Router", json!({}))}));
    let manager = json!({
        "stat_prefix": name,
        // As a sidecar does: what the client says of others is kept.
        "use_remote_address": false,
        "generate_request_id": false,
        "route_config": {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
    });
    let manager = any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager);
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// The configuration of a Wasm filter. Its VM is its own by its id: plugins in one VM would share memory and compiled code.
pub(crate) fn wasm(name: &str, module: &Path, configuration: &str) -> Value {
    let text = any("google.protobuf.StringValue", json!({"value": configuration}));
    let code = json!({"local": {"filename": module}});
    any(
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": {
            "name": name,
            "configuration": text,
            "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": code},
            "failure_policy": "FAIL_OPEN",
        }}),
    )
}

/// A Lua filter.
pub(crate) fn lua(script: &str) -> Value {
    any("envoy.extensions.filters.http.lua.v3.Lua", json!({"default_source_code": {"inline_string": script}}))
}

/// A filter that writes the cluster of the route into a header of the request.
pub(crate) fn cluster_header(name: &str) -> Value {
    let header = json!({"key": name, "value": "%UPSTREAM_CLUSTER%"});
    let mutation = json!({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}});
    any(
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({"mutations": {"request_mutations": [mutation]}}),
    )
}

/// A filter under a name.
pub(crate) fn filter(name: &str, config: Value) -> Value {
    json!({ "name": name, "typed_config": config })
}
