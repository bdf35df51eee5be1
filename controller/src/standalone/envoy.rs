//! Envoy's configuration of what is served, as JSON. No IO.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::spec::{RetryReason, all_names, own_domains, retry_reasons, split_address};
use super::stats::{stat_name, stats_config};
use super::tracing;
use serin_release::api::standalone::{Address, HealthCheck, Service, StandaloneSpec};

/// The name of the filter, of its plugin and of its discovery.
pub(super) const FILTER_NAME: &str = "serin";

/// The prefix of the connection manager's statistics.
pub(super) const STAT_PREFIX: &str = "serin";

const TYPES: &str = "type.googleapis.com";

/// The cluster of a version, named as Istio names it: the filter reads the destination from it.
pub(super) fn cluster_name(service: &Service, version: &str) -> String {
    format!("outbound|{}|{version}|{}", service.port, service.host)
}

/// A number that tells texts apart.
pub(super) fn fingerprint(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

/// A discovery response. Envoy tells the version of the last one that it took, so it is one of the content.
fn response(resources: Vec<Value>) -> Value {
    let resources = Value::from(resources);
    let version = format!("{:016x}", fingerprint(resources.to_string().as_bytes()));
    json!({ "version_info": version, "resources": resources })
}

/// The version of a discovery response.
pub(super) fn version_of(response: &Value) -> &str {
    response.get("version_info").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn socket(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

/// An address to listen on; one of all IPv6 addresses takes IPv4 too, as it does elsewhere.
fn listening(Address(address): Address) -> Value {
    let mut value = socket(&address.ip().to_string(), address.port());
    if let (true, Some(socket)) = (address.is_ipv6() && address.ip().is_unspecified(), value.get_mut("socket_address")) {
        *socket = json!({"address": "::", "port_value": address.port(), "ipv4_compat": true});
    }
    value
}

pub(super) fn any(kind: &str, mut fields: Value) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("@type".into(), format!("{TYPES}/{kind}").into());
    }
    fields
}

/// Where Envoy finds a file of these. It reads it when another one is moved over it, and at no other event of the directory.
fn from_file(directory: &Path, name: &str) -> Value {
    json!({"path_config_source": {"path": directory.join(name)}, "resource_api_version": "V3"})
}

/// What Envoy starts with. At most so many clients are connected at once; the admin interface can always be reached.
pub(super) fn bootstrap(spec: &StandaloneSpec, directory: &Path, connections: u64) -> Value {
    json!({
        "node": {"id": "serin", "cluster": "serin"},
        "admin": {"address": listening(spec.admin), "ignore_global_conn_limit": true},
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": any(
                "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                json!({"max_active_downstream_connections": connections}),
            ),
        }]},
        "dynamic_resources": {"cds_config": from_file(directory, "cds.json"), "lds_config": from_file(directory, "lds.json")},
        // By default histograms are five seconds old.
        "stats_flush_interval": "1s",
        "stats_config": stats_config(STAT_PREFIX),
        // Spans wait for company; by default for five seconds, and whoever looks for one looks for the request that was just made.
        "layered_runtime": {"layers": [{"name": "spans", "static_layer": {"tracing.zipkin.flush_interval_ms": 1000}}]},
    })
}

/// The clusters of all versions. `defaults` has the version behind each service's default route, in the order of the services.
///
/// Where upstreams are probed, a version that is not the default one leads to the default one while none of its own upstreams
/// answers: a canary that is not ready gets no traffic.
pub(super) fn clusters(spec: &StandaloneSpec, defaults: &[String]) -> Value {
    let mut clusters = Vec::new();
    for (index, service) in spec.services.iter().enumerate() {
        for (version, addresses) in &service.versions {
            let name = cluster_name(service, version);
            match fallback(service, version, defaults.get(index)) {
                Some(default) => {
                    let own = format!("{name}|own");
                    clusters.push(cluster(service, &own, addresses, true));
                    clusters.push(aggregate(service, &name, [own, cluster_name(service, default)]));
                }
                None => clusters.push(cluster(service, &name, addresses, false)),
            }
        }
    }
    clusters.extend(spec.tracing.as_ref().and_then(tracing::cluster));
    response(clusters)
}

/// The version that answers in place of one whose own upstreams do not answer probes.
pub(super) fn fallback<'d>(service: &Service, version: &str, default: Option<&'d String>) -> Option<&'d String> {
    let known = |default: &&String| *default != version && service.versions.contains_key(*default);
    default.filter(|_| service.health_check.is_some()).filter(known)
}

/// A cluster that is the first of two while that has a healthy upstream.
fn aggregate(service: &Service, name: &str, clusters: [String; 2]) -> Value {
    let kind = "envoy.extensions.clusters.aggregate.v3.ClusterConfig";
    any(
        "envoy.config.cluster.v3.Cluster",
        json!({
            "name": name,
            "alt_stat_name": stat_name(name),
            "connect_timeout": service.connect_timeout.envoy(),
            "lb_policy": "CLUSTER_PROVIDED",
            "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": any(kind, json!({ "clusters": clusters }))},
        }),
    )
}

/// The cluster of some addresses; one that is `replaceable` sends nothing to upstreams that do not answer probes.
fn cluster(service: &Service, name: &str, addresses: &[String], replaceable: bool) -> Value {
    let places: Vec<_> = addresses.iter().filter_map(|address| split_address(address)).collect();
    let fixed = places.iter().all(|(host, _)| host.parse::<IpAddr>().is_ok());
    // Envoy counts what they answer once more, apart from what others answer in their place.
    let metadata = replaceable.then(|| json!({"filter_metadata": {"envoy.lb": {"canary": true}}}));
    let endpoint = |(host, port): &(&str, u16)| json!({"endpoint": {"address": socket(host, *port)}, "metadata": metadata});
    let endpoints: Vec<_> = places.iter().map(endpoint).collect();
    let protocol = if service.http2 { "http2_protocol_options" } else { "http_protocol_options" };
    let options = any(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"explicit_http_config": {protocol: {}}, "common_http_protocol_options": {"max_headers_count": 1000}}),
    );
    any(
        "envoy.config.cluster.v3.Cluster",
        json!({
            "name": name,
            "alt_stat_name": stat_name(name),
            "type": if fixed { "STATIC" } else { "STRICT_DNS" },
            // Else `localhost` would be ::1 alone.
            "dns_lookup_family": "V4_PREFERRED",
            "connect_timeout": service.connect_timeout.envoy(),
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            // By default Envoy tries all upstreams when most are unhealthy: right where nothing else can answer.
            "common_lb_config": {"healthy_panic_threshold": {"value": if replaceable { 0 } else { 50 }}},
            "health_checks": service.health_check.iter().map(|check| health_check(service, check)).collect::<Vec<_>>(),
            // Nobody could raise Envoy's defaults, beyond which it answers 503 by itself.
            "circuit_breakers": {"thresholds": [{
                "max_connections": u32::MAX, "max_pending_requests": u32::MAX, "max_requests": u32::MAX, "max_retries": u32::MAX,
            }]},
        }),
    )
}

fn health_check(service: &Service, check: &HealthCheck) -> Value {
    let codec = if service.http2 { "HTTP2" } else { "HTTP1" };
    json!({
        "timeout": check.timeout.envoy(),
        "interval": check.interval.envoy(),
        "no_traffic_interval": check.interval.envoy(),
        "unhealthy_threshold": check.unhealthy_threshold,
        "healthy_threshold": check.healthy_threshold,
        // Without a host it would be the cluster's name, which many servers refuse.
        "http_health_check": {"path": check.path, "host": service.host, "codec_client_type": codec},
    })
}

/// The routes of all services: by one of these routing headers, else the default version.
pub(super) fn routes(spec: &StandaloneSpec, defaults: &[String], headers: &BTreeSet<&str>) -> Value {
    let mut hosts: Vec<Value> = Vec::new();
    for (service, default) in spec.services.iter().zip(defaults) {
        let routed = |version: &str, headers: Vec<Value>| json!({"match": {"prefix": "", "headers": headers}, "route": action(service, version), "name": version});
        let exact = |(header, version): (&&str, &String)| {
            routed(version, vec![json!({"name": header, "string_match": {"exact": version}})])
        };
        let pairs = headers.iter().flat_map(|header| service.versions.keys().map(move |version| (header, version)));
        let mut routes: Vec<_> = pairs.map(exact).collect();
        routes.push(routed(default, Vec::new()));
        let name = format!("{}:{}", service.host, service.port);
        hosts.push(json!({"name": name, "domains": own_domains(spec, service), "routes": routes}));
    }
    if !spec.services.iter().any(|service| service.aliases.iter().any(|alias| alias == "*")) {
        hosts.push(nobody(spec));
    }
    let routes = json!({"name": "serin", "virtual_hosts": hosts, "ignore_port_in_host_matching": false});
    response(vec![any("envoy.config.route.v3.RouteConfiguration", routes)])
}

/// How many names are listed to a client that knows none.
const LISTED_NAMES: usize = 10;

/// An address of a private network or of this machine (RFC 1918, RFC 4193).
const PRIVATE: &str =
    r"(127|10)\.[0-9.]+|192\.168\.[0-9.]+|172\.(1[6-9]|2[0-9]|3[01])\.[0-9.]+|::1|f[cd][0-9a-f]{2}:[0-9a-f:]+";

/// The answer where no service has the name that a client asks for. Only clients of private networks get the names.
fn nobody(spec: &StandaloneSpec) -> Value {
    let names = all_names(spec);
    let listed = names.iter().take(LISTED_NAMES).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(LISTED_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    // Envoy overwrites the first with the peer and appends it to the second. Its own word for all this, `x-envoy-internal`,
    // would have it obey the peer's other `x-envoy-` headers.
    let matches = |name: &str, regex: &str| json!({"name": name, "string_match": {"safe_regex": {"regex": regex}}});
    let inside = json!([matches("x-envoy-external-address", PRIVATE), matches("x-forwarded-for", "[^,]*")]);
    let answer = |headers: Value, body: String| json!({"match": {"prefix": "", "headers": headers}, "direct_response": {"status": 404, "body": {"inline_string": body}}});
    json!({"name": "nobody", "domains": ["*"], "routes": [
        answer(inside, format!("no service of this name; there are {listed}{more}\n")),
        answer(json!([]), "no service of this name\n".to_owned()),
    ]})
}

fn action(service: &Service, version: &str) -> Value {
    let mut action = json!({
        "cluster": cluster_name(service, version),
        "timeout": service.timeout.map_or_else(|| "0s".to_owned(), |timeout| timeout.envoy()),
    });
    if let (Some(retries), Some(action)) = (&service.retries, action.as_object_mut()) {
        let (mut words, mut codes) = (Vec::new(), Vec::new());
        for reason in retry_reasons(&retries.on).flatten() {
            match reason {
                RetryReason::Word(word) => words.push(word),
                RetryReason::Status(code) => codes.push(code),
            }
        }
        if !codes.is_empty() && !words.contains(&"retriable-status-codes") {
            words.push("retriable-status-codes");
        }
        let mut policy =
            json!({"retry_on": words.join(","), "num_retries": retries.attempts, "retriable_status_codes": codes});
        if let (Some(timeout), Some(policy)) = (retries.per_try_timeout, policy.as_object_mut()) {
            policy.insert("per_try_timeout".into(), timeout.envoy().into());
        }
        action.insert("retry_policy".into(), policy);
    }
    action
}

/// The header that carries the version.
pub(super) fn routing_header(spec: &StandaloneSpec) -> &str {
    spec.routing_header.as_deref().unwrap_or("x-serin-version")
}

/// The listener of all services.
pub(super) fn listener(spec: &StandaloneSpec, directory: &Path) -> Value {
    let discovered = json!({"name": FILTER_NAME, "config_discovery": {
        "config_source": from_file(directory, "ecds.json"),
        "type_urls": [format!("{TYPES}/envoy.extensions.filters.http.wasm.v3.Wasm")],
    }});
    // The filter removes it too; this holds even where Envoy goes past the filter.
    let unspoofed = json!({"name": "unspoofed", "typed_config": any(
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        json!({"mutations": [{"remove": routing_header(spec)}]}),
    )});
    let router = json!({"name": "router", "typed_config": any("envoy.extensions.filters.http.router.v3.Router", json!({}))});
    let mut manager = json!({
        "stat_prefix": STAT_PREFIX,
        "codec_type": "AUTO",
        // The peer is the client; what it says of others in `x-forwarded-for` is not believed.
        "use_remote_address": true,
        // As other proxies and browsers do: `shop.example.com.` is `shop.example.com`.
        "strip_trailing_host_dot": true,
        // Probes, and nginx unless it is configured otherwise; without a host they mean the first service.
        "http_protocol_options": {"accept_http_10": true, "default_host_for_http_10": spec.services.first().map(|service| &service.host)},
        // CONNECT is not among them: it would make this an open proxy.
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "normalize_path": true,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "max_request_headers_kb": 96,
        "common_http_protocol_options": {"max_headers_count": 1000, "idle_timeout": spec.idle_timeout.envoy(), "headers_with_underscores_action": "ALLOW"},
        "request_headers_timeout": "10s",
        "stream_idle_timeout": spec.stream_idle_timeout.envoy(),
        "rds": {"route_config_name": "serin", "config_source": from_file(directory, "rds.json")},
        "early_header_mutation_extensions": [unspoofed],
        "http_filters": [discovered, router],
        "access_log": access_log(spec),
    });
    if let (Some(tracing), Some(manager)) = (tracing::settings(spec), manager.as_object_mut()) {
        manager.insert("tracing".into(), tracing);
    }
    let manager = any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager);
    let listener = json!({
        "name": "serin",
        "address": listening(spec.listen),
        "per_connection_buffer_limit_bytes": 1 << 20,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    });
    response(vec![any("envoy.config.listener.v3.Listener", listener)])
}

fn access_log(spec: &StandaloneSpec) -> Vec<Value> {
    if spec.access_log.is_empty() {
        return Vec::new();
    }
    let mut format = json!({"json_format": {
        "time": "%START_TIME%", "method": "%REQ(:METHOD)%", "authority": "%REQ(:AUTHORITY)%", "path": "%REQ(:PATH)%",
        "protocol": "%PROTOCOL%", "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%", "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "request_id": "%REQ(X-REQUEST-ID)%", "user_agent": "%REQ(USER-AGENT)%",
        "version": format!("%REQ({})%", routing_header(spec)), "reason": "%FILTER_STATE(wasm.serin_reason:PLAIN)%",
        // Without `RAW` it would be what statistics call it.
        "upstream": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER_RAW%",
    }});
    if let (Some(_), Some(format)) = (&spec.tracing, format.pointer_mut("/json_format").and_then(Value::as_object_mut)) {
        format.insert("trace_id".into(), "%TRACE_ID%".into());
    }
    // A service manager's standard output may be a socket, which has no path that could be opened.
    let (kind, config) = match spec.access_log.as_str() {
        "/dev/stdout" => ("stream.v3.StdoutAccessLog", json!({"log_format": format})),
        "/dev/stderr" => ("stream.v3.StderrAccessLog", json!({"log_format": format})),
        path => ("file.v3.FileAccessLog", json!({"path": path, "log_format": format})),
    };
    vec![json!({"name": "log", "typed_config": any(&format!("envoy.extensions.access_loggers.{kind}"), config)})]
}

/// The filter with its document.
pub(super) fn filter(module: &Path, document: &str) -> Value {
    let config = json!({"config": {
        "name": FILTER_NAME,
        "configuration": any("google.protobuf.StringValue", json!({"value": document})),
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        // A filter that fails must not take the service with it: the default route is stable.
        "failure_policy": "FAIL_OPEN",
    }});
    let wasm = any("envoy.extensions.filters.http.wasm.v3.Wasm", config);
    response(vec![any("envoy.config.core.v3.TypedExtensionConfig", json!({"name": FILTER_NAME, "typed_config": wasm}))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_ipv6_take_ipv4_too() {
        let listening = |text: &str| listening(text.parse().unwrap());
        let all = json!({"socket_address": {"address": "::", "port_value": 80, "ipv4_compat": true}});
        assert_eq!(listening("[::]:80"), all);
        assert_eq!(listening("[::1]:80"), json!({"socket_address": {"address": "::1", "port_value": 80}}));
        assert_eq!(listening("0.0.0.0:80"), json!({"socket_address": {"address": "0.0.0.0", "port_value": 80}}));
    }
}
