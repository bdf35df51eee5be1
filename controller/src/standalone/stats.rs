//! Envoy's statistics: how they are named, and which of them are kept. No IO.

use serde_json::{Value, json};
use serin_release::api::standalone::Service;

use super::envoy::{cluster_name, fallback};

/// What is kept of what Envoy says of itself: whether it has a file, how it lives, what the filter decided.
const KEPT: [&str; 8] = [
    "cluster_manager.",
    "extension_config_discovery.",
    "listener_manager.",
    "overload.",
    "server.",
    "tracing.",
    "wasm.",
    "wasmcustom.",
];

/// What is kept of clients, behind the prefix of the connection manager.
const KEPT_OF_CLIENTS: &str = r"(downstream_(cx_(active|total)|rq_.*)|rds\..*|tracing\..*)";

/// What is kept of a cluster. There are a hundred others, and most of these once more for clients inside and outside.
const KEPT_OF_A_CLUSTER: &str = r"cluster\..*;\.((canary\.)?upstream_rq_([1-5](xx|[0-9][0-9])|completed|time)|upstream_rq_(active|retry|timeout|total)|upstream_cx_(active|connect_fail|total)|membership_(degraded|healthy|total))";

/// What is kept of the listener, which is named by its address: who is connected, and who was refused. Of each of its workers nothing.
const KEPT_OF_THE_LISTENER: &str =
    r"listener\.[0-9a-f_.\[\]]*_[0-9]+\.downstream_(cx_(active|total|overflow|overload_reject)|global_cx_overflow)";

/// What statistics call a cluster, as in a mesh of Istio: its end is marked, so that a label can have its dots.
pub(super) fn stat_name(cluster: &str) -> String {
    format!("{cluster};")
}

/// The name of a statistic of what a version's own upstreams answered.
///
/// Where another version answers in place of one that is not ready, the cluster's counters hold both: a canary that is down would be as
/// good as stable. Envoy counts upstreams that are marked as a canary's once more, and these are nobody else's.
pub(super) fn of_own_upstreams(service: &Service, version: &str, default: Option<&String>, what: &str) -> String {
    let own = if fallback(service, version, default).is_some() { "canary." } else { "" };
    format!("cluster.{}.{own}{what}", stat_name(&cluster_name(service, version)))
}

/// Names and choice of statistics. The host of a cluster is in a label, so that a metric of all services has one name: Envoy's own pattern
/// ends a cluster's name at its first dot. That one would win over another pattern of the same label, so the others are named.
pub(super) fn stats_config(prefix: &str) -> Value {
    let own = |name: &str| json!({"tag_name": name, "regex": format!("({name}=\\.=(.*?);\\.;)")});
    let usual = ["response_code", "response_code_class", "http_conn_manager_prefix", "listener_address"];
    let mut tags: Vec<Value> = usual.iter().map(|name| json!({"tag_name": format!("envoy.{name}")})).collect();
    tags.push(json!({"tag_name": "envoy.cluster_name", "regex": r"^cluster\.((.+?);\.)"}));
    tags.extend(["release", "version", "reason", "result"].map(own));
    let clients = format!(r"http\.{prefix}\.{KEPT_OF_CLIENTS}");
    let regex = |regex: &str| json!({"safe_regex": {"regex": regex}});
    let patterns = [KEPT_OF_A_CLUSTER, KEPT_OF_THE_LISTENER, &clients].map(regex);
    let patterns: Vec<Value> = KEPT.iter().map(|prefix| json!({"prefix": prefix})).chain(patterns).collect();
    json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_in_place_of_a_version_is_not_its_own() {
        let service = |more: &str| -> Service {
            let text = format!(r#"{{"host": "a.b", "port": 80, "versions": {{"v1": ["x:1"], "v2": ["x:2"]}}{more}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let (plain, probed) = (service(""), service(r#", "healthCheck": {"path": "/"}"#));
        let stable = "v1".to_owned();
        let name = |service: &Service, version: &str| of_own_upstreams(service, version, Some(&stable), "upstream_rq_5xx");
        assert_eq!(name(&plain, "v1"), "cluster.outbound|80|v1|a.b;.upstream_rq_5xx");
        assert_eq!(name(&plain, "v2"), "cluster.outbound|80|v2|a.b;.upstream_rq_5xx");
        assert_eq!(name(&probed, "v1"), "cluster.outbound|80|v1|a.b;.upstream_rq_5xx");
        assert_eq!(name(&probed, "v2"), "cluster.outbound|80|v2|a.b;.canary.upstream_rq_5xx");
        // A default version that has no addresses any more answers for nobody.
        let gone = "v9".to_owned();
        assert_eq!(of_own_upstreams(&probed, "v2", Some(&gone), ""), "cluster.outbound|80|v2|a.b;.");
    }
}
