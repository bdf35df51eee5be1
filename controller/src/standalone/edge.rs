//! What Envoy makes of a request before the filter sees it, with the connection manager that `envoy.rs` writes. No IO.
//!
//! Envoy is the edge: the peer is the client, nobody in front of it is trusted, and no address is an internal one. The order is that of
//! Envoy's HTTP/1 codec and `ConnectionManagerUtility::mutateRequestHeaders`; `tests/tests/standalone/explain.rs` compares it with a
//! real Envoy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serin_config::normalized_target;
use serin_release::api::standalone::{Service, StandaloneSpec};

use super::envoy::routing_header;
use super::referer;
pub(crate) use super::spec::all_names;
use super::spec::own_domains;

/// A header by its name in lower case.
pub(crate) type Header = (String, Vec<u8>);

/// A request as the filter sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// All headers, pseudo-headers included.
    pub(crate) headers: Vec<Header>,
    /// Why Envoy answers 400 and no filter sees the request.
    pub(crate) refusal: Option<&'static str>,
}

/// Headers of which Envoy keeps one value: several are joined by `,`, empty ones are left out.
const SINGLE: [&str; 33] = [
    ":authority",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-encoding",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "proxy-status",
    "referer",
    "te",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-is-timeout-retry",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
];

/// Headers that no client of an edge may set.
const REMOVED: [&str; 25] = [
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
];

/// What `Connection` may name besides headers.
const OPTIONS: [&str; 4] = ["close", "keep-alive", "upgrade", "http2-settings"];

/// What `Connection` must not name, so many names included.
const NOT_NAMED: [&str; 4] = ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const NAMED_AT_MOST: usize = 9;

/// Turns what a client sends into what the filter sees. `client` is the peer's address, and `own` says which one Envoy has on the
/// network, which it puts into `x-forwarded-for` in place of 127.0.0.1 and ::1.
pub(crate) fn arrive(
    spec: &StandaloneSpec,
    headers: Vec<Header>,
    client: IpAddr,
    own: impl FnOnce(IpAddr) -> IpAddr,
) -> Arrival {
    let mut request = Request(Vec::with_capacity(headers.len() + 4));
    for (name, value) in headers {
        request.add(name.to_ascii_lowercase(), value.trim_ascii().to_vec());
    }
    let refusal = request.sanitize_connection().or_else(|| request.normalize_path());
    request.remove(routing_header(spec));
    if request.get("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        request.remove("expect");
    }
    request.strip_host_dot();
    if request.get("referer").is_some_and(|value| !referer::is_valid(value)) {
        request.remove("referer");
    }
    REMOVED.iter().for_each(|name| request.remove(name));
    let lone = matches!(client, IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST));
    let peer = if lone { own(client) } else { client };
    request.add("x-forwarded-for".to_owned(), peer.to_string().into_bytes());
    request.set("x-forwarded-proto", b"http".to_vec());
    request.set("x-envoy-external-address", client.to_string().into_bytes());
    Arrival { headers: request.0, refusal }
}

struct Request(Vec<Header>);

impl Request {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    fn add(&mut self, name: String, value: Vec<u8>) {
        let name = if name == "host" { ":authority".to_owned() } else { name };
        let known = self.0.iter_mut().find(|(key, _)| *key == name).filter(|_| SINGLE.contains(&name.as_str()));
        match known {
            Some((_, known)) if known.is_empty() => *known = value,
            Some(_) if value.is_empty() => {}
            Some((_, known)) => {
                known.push(b',');
                known.extend(value);
            }
            None => self.0.push((name, value)),
        }
    }

    fn set(&mut self, name: &str, value: Vec<u8>) {
        self.remove(name);
        self.0.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Removes what `Connection` names, and itself (RFC 9110, section 7.6.1); an upgrade keeps all.
    fn sanitize_connection(&mut self) -> Option<&'static str> {
        let value = self.get("connection").unwrap_or_default().to_ascii_lowercase();
        let named: Vec<String> =
            value.split(|byte| *byte == b',').map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
        let upgrade = self.get("upgrade").map(<[u8]>::to_ascii_lowercase);
        let plain = |upgrade: &Vec<u8>| upgrade.windows(3).any(|part| part == b"h2c");
        if named.iter().any(|name| name == "upgrade") && upgrade.as_ref().is_some_and(|upgrade| !plain(upgrade)) {
            return None;
        }
        let mut refusal = (named.len() > NAMED_AT_MOST).then_some("`Connection` names too many headers");
        for name in named.iter().filter(|name| !OPTIONS.contains(&name.as_str())) {
            if NOT_NAMED.contains(&name.as_str()) || name.starts_with(':') {
                refusal = Some("`Connection` names a header that must not be removed");
            }
            if name == "te" {
                self.keep_trailers(<[u8]>::eq_ignore_ascii_case);
            } else if !name.starts_with(':') {
                self.remove(name);
            }
        }
        if named.iter().any(|name| name == "http2-settings") {
            self.remove("http2-settings");
        }
        self.remove("connection");
        self.remove("upgrade");
        self.keep_trailers(|one, other| one == other);
        refusal
    }

    fn normalize_path(&mut self) -> Option<&'static str> {
        let path = self.0.iter_mut().find(|(name, _)| name == ":path").map(|(_, value)| value)?;
        if !path.starts_with(b"/") {
            return Some("the path does not begin with `/`");
        }
        if path.contains(&b'#') {
            return Some("the path has a fragment");
        }
        if path.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Some("the path has a blank, a control character or a byte that is not ASCII");
        }
        match normalized_target(path) {
            Some(normalized) => {
                *path = normalized.into_owned();
                None
            }
            None => Some("the path has `%00`"),
        }
    }

    /// `shop.example.com.` is `shop.example.com`, also before a port.
    fn strip_host_dot(&mut self) {
        let Some((_, host)) = self.0.iter_mut().find(|(name, _)| name == ":authority") else {
            return;
        };
        let end = host.iter().rposition(|byte| *byte == b':').unwrap_or(host.len());
        if let Some(dot) = end.checked_sub(1).filter(|dot| host.get(*dot) == Some(&b'.')) {
            host.remove(dot);
        }
    }

    /// Of `TE` only `trailers` goes further. Its letter case counts, unless `Connection` names it.
    fn keep_trailers(&mut self, equal: fn(&[u8], &[u8]) -> bool) {
        let value = self.get("te").unwrap_or_default();
        if value.split(|byte| *byte == b',').any(|option| equal(option.trim_ascii(), b"trailers")) {
            self.set("te", b"trailers".to_vec());
        } else {
            self.remove("te");
        }
    }
}

/// The service that a request with this authority is routed to, as Envoy finds a virtual host: the whole name, else the longest
/// `*.example.com`, else `*`. Letter case does not count.
pub(crate) fn service<'s>(spec: &'s StandaloneSpec, authority: &[u8]) -> Option<&'s Service> {
    let authority = authority.to_ascii_lowercase();
    let fit = |domain: &str| {
        let domain = domain.to_ascii_lowercase();
        match domain.strip_prefix('*') {
            None => (domain.as_bytes() == authority).then_some(usize::MAX),
            Some("") => Some(0),
            Some(suffix) => {
                (authority.len() > suffix.len() && authority.ends_with(suffix.as_bytes())).then_some(suffix.len())
            }
        }
    };
    let best = |service: &Service| own_domains(spec, service).iter().filter_map(|domain| fit(domain)).max();
    let fitting = spec.services.iter().filter_map(|service| Some((best(service)?, service)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, service)| service)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of these headers beside those that each request has.
    fn arrived(sent: &[(&str, &str)]) -> Vec<(String, String)> {
        let text = "{\"listen\": \"127.0.0.1:1\", \"admin\": \"127.0.0.1:2\", \"services\": []}";
        let spec: StandaloneSpec = serde_json::from_str(text).unwrap();
        let headers = sent.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let arrival = arrive(&spec, headers, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), |own| own);
        let each = ["x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address"];
        let shown = arrival.headers.into_iter().filter(|(name, _)| !each.contains(&name.as_str()));
        shown.map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
    }

    /// As a real Envoy 1.40 does with a listener of ours; the test that compares it with one sends no upgrades.
    #[test]
    fn an_upgrade_keeps_what_is_removed_otherwise() {
        let upgrade =
            [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade, te"), ("te", "Trailers"), ("x-team", "1")];
        let kept = arrived(&upgrade);
        assert_eq!(kept, upgrade.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            arrived(&[("upgrade", "websocket"), ("connection", "x-team"), ("x-team", "1"), ("x-other", "2")]).len(),
            1
        );
        assert_eq!(arrived(&[("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings"), ("http2-settings", "x")]), []);
        assert_eq!(arrived(&[("upgrade", "websocket"), ("connection", "upgrade"), ("keep-alive", "1")]).len(), 2);
    }

    #[test]
    fn names_are_found_as_virtual_hosts_are() {
        let service = |host: &str, aliases: &[&str]| serde_json::json!({"host": host, "port": 80, "aliases": aliases, "versions": {"v1": ["a:1"]}});
        let spec = serde_json::json!({"listen": "127.0.0.1:8080", "admin": "127.0.0.1:2", "services": [
            service("one", &["*.example.com"]), service("two", &["*.shop.example.com", "shop.example.com"]), service("three", &["*"])]});
        let spec: StandaloneSpec = serde_json::from_value(spec).unwrap();
        for (authority, expected) in [
            ("ONE", "one"),
            ("one:80", "one"),
            ("a.example.com", "one"),
            ("shop.example.com", "two"),
            ("a.shop.example.com:8080", "two"),
            (".example.com", "three"),
            ("one:81", "three"),
            ("", "three"),
        ] {
            assert_eq!(
                super::service(&spec, authority.as_bytes()).map(|service| service.host.as_str()),
                Some(expected),
                "{authority}"
            );
        }
    }
}
