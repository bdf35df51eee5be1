//! Tracing: the spans that Envoy makes, and the cluster of who takes them. No IO.

use std::net::IpAddr;

use serde_json::{Value, json};
use serin_release::api::standalone::{StandaloneSpec, Tracing};

use super::envoy::{any, routing_header, socket};
use super::spec::collector;
use super::stats::stat_name;

/// The cluster of the collector.
const CLUSTER: &str = "collector";

/// The cluster of who takes the spans.
pub(super) fn cluster(tracing: &Tracing) -> Option<Value> {
    let collector = collector(tracing.endpoint.as_deref()?)?;
    let fixed = collector.host.parse::<IpAddr>().is_ok();
    let endpoint = json!({"endpoint": {"address": socket(&collector.host, collector.port)}});
    Some(any(
        "envoy.config.cluster.v3.Cluster",
        json!({
            "name": CLUSTER,
            "alt_stat_name": stat_name(CLUSTER),
            "type": if fixed { "STATIC" } else { "STRICT_DNS" },
            "dns_lookup_family": "V4_PREFERRED",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }),
    ))
}

/// What the connection manager traces.
pub(super) fn settings(spec: &StandaloneSpec) -> Option<Value> {
    let tracing = spec.tracing.as_ref()?;
    let collector = collector(tracing.endpoint.as_deref()?)?;
    let zipkin = any(
        "envoy.config.trace.v3.ZipkinConfig",
        json!({
            "collector_cluster": CLUSTER,
            "collector_endpoint": collector.path,
            "collector_hostname": collector.authority,
            "collector_endpoint_version": "HTTP_JSON",
            "trace_id_128bit": true,
            // Services that go on with a trace may know either form of its headers.
            "trace_context_option": "USE_B3_WITH_W3C_PROPAGATION",
        }),
    );
    Some(json!({
        "provider": {"name": "envoy.tracers.zipkin", "typed_config": zipkin},
        "random_sampling": {"value": f64::from(tracing.sampling.buckets()) / 1000.0},
        // By default a header of a client's own would have its request traced.
        "client_sampling": {"value": 0},
        "spawn_upstream_span": true,
        "custom_tags": [
            {"tag": "serin.version", "request_header": {"name": routing_header(spec)}},
            {"tag": "serin.reason", "value": "%FILTER_STATE(wasm.serin_reason:PLAIN)%"},
        ],
    }))
}
