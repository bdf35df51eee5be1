//! The corpus through a real Envoy: a listener for each case, a route for each destination.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use serin_module::{FILTER, REQUEST_FILTER};
use serin_tests::corpus::{Asked, Case};
use serin_tests::envoy::{Envoy, filter};
use serin_tests::http::Connection;
use serin_tests::need::Outcome;

use super::same;

/// Says to which destination a request goes.
const DESTINATION: &str = "x-corpus-destination";

/// One Envoy for some cases; it starts with the first that runs.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Mutex<State>>);

struct State {
    cases: Vec<Case>,
    running: Option<Result<(Envoy, tempfile::TempDir), String>>,
}

impl Proxy {
    pub(crate) fn of(cases: Vec<Case>) -> Self {
        Self(Arc::new(Mutex::new(State { cases, running: None })))
    }

    pub(crate) fn run(&self, case: &Case) -> Outcome {
        let mut state = self.0.lock().map_err(|_| "another case panicked")?;
        if state.running.is_none() {
            state.running = Some(start(&state.cases).map_err(|error| error.to_string()));
        }
        let (envoy, _) = match &state.running {
            Some(Ok(running)) => running,
            Some(Err(error)) => return Err(error.clone().into()),
            None => return Err("Envoy was not started".into()),
        };
        let address = envoy.listener(&case.name)?;
        drop(state);
        let checked = case.compile()?;
        let mut connection = Connection::open(address)?;
        for asked in case.requests.iter().filter(|asked| asked.not_by_proxy.is_none()) {
            let (destination, headers) = asked.complete(&checked)?;
            let response = connection.send(&request(asked, &destination, headers))?;
            same(asked, "the status", &response.status, &200)?;
            let expected = &asked.expect;
            let version = expected.version.clone().unwrap_or_default();
            same(asked, "the version", &response.header("x-version"), &Some(version))?;
            same(asked, "the reason", &response.header("x-reason"), &Some(expected.summary()))?;
            same(asked, "the cookie", &response.header("set-cookie"), &expected.set_cookie)?;
        }
        Ok(())
    }
}

fn request(asked: &Asked, destination: &str, headers: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let pseudo =
        |name: &[u8]| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let line = [&pseudo(b":method")[..], b" ", &pseudo(b":path"), b" HTTP/1.1\r\nhost: ", &pseudo(b":authority"), b"\r\n"];
    let mut bytes = line.concat();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(b":")) {
        bytes.extend([name, &b": "[..], value, b"\r\n"].concat());
    }
    let source = asked.source.iter().map(|source| format!("x-forwarded-for: {source}\r\n")).collect::<String>();
    bytes.extend(format!("{DESTINATION}: {destination}\r\n{source}x-serin-version: spoofed\r\n\r\n").into_bytes());
    bytes
}

fn start(cases: &[Case]) -> Result<(Envoy, tempfile::TempDir), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let (any, requests) = (directory.path().join("filter.wasm"), directory.path().join("request_filter.wasm"));
    std::fs::write(&any, FILTER)?;
    std::fs::write(&requests, REQUEST_FILTER)?;
    // The upstream of all clusters is this Envoy's own listener on a socket file, which answers 200.
    let upstream = directory.path().join("upstream");
    let mut listeners = vec![json!({
        "name": "upstream", "address": {"pipe": {"path": upstream}}, "filter_chains": [{"filters": [http("upstream", vec![], json!([
            {"match": {"prefix": "/"}, "direct_response": {"status": 200}},
        ]))]}],
    })];
    let mut clusters = BTreeSet::new();
    for case in cases {
        let mut checked = case.compile()?;
        checked.document.report_reason = true;
        let mut routes = Vec::new();
        for asked in &case.requests {
            let (destination, _) = asked.complete(&checked)?;
            let (host, port) = destination.rsplit_once(':').unwrap_or((&destination, "80"));
            let cluster = format!("outbound|{port}||{host}");
            let matches = json!({"prefix": "", "headers": [{"name": DESTINATION, "string_match": {"exact": destination}}]});
            routes.push(json!({"match": matches, "route": {"cluster": cluster, "timeout": "5s"}}));
            clusters.insert(cluster);
        }
        let module = if checked.split.issues_cookies() { &any } else { &requests };
        let wasm = filter(&case.name, module, &checked.document.to_json());
        listeners.push(json!({
            "name": case.name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [http("cases", vec![wasm], Value::from(routes))]}],
        }));
    }
    let clusters: Vec<Value> = clusters
        .into_iter()
        .map(|name| {
            let endpoint = json!({"endpoint": {"address": {"pipe": {"path": upstream}}}});
            json!({"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {"max_headers_count": 2000},
                    "explicit_http_config": {"http_protocol_options": {}}}}})
        })
        .collect();
    let bootstrap = json!({"node": {"id": "test", "cluster": "test"}, "static_resources": {"listeners": listeners, "clusters": clusters}});
    Ok((Envoy::start(bootstrap, 1)?, directory))
}

/// A connection manager that takes all that the corpus sends, and tells what the filter did.
fn http(prefix: &str, filters: Vec<Value>, routes: Value) -> Value {
    let router = json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    let told = !filters.is_empty();
    let tell = |name: &str, value: &str| json!({"header": {"key": name, "value": value}, "keep_empty_value": true});
    let tells = match told {
        true => {
            vec![tell("x-version", "%REQ(x-serin-version)%"), tell("x-reason", "%FILTER_STATE(wasm.serin_reason:PLAIN)%")]
        }
        false => Vec::new(),
    };
    json!({"name": "http", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": prefix,
        "max_request_headers_kb": 256,
        "common_http_protocol_options": {"max_headers_count": 2000},
        "preserve_external_request_id": true,
        "http_filters": filters.into_iter().chain([router]).collect::<Vec<_>>(),
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes, "response_headers_to_add": tells}]},
    }})
}
