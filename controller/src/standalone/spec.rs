//! What the spec of a `Standalone` must say beyond its form. No IO.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serin_config::check_header_name;
use serin_release::Problem;
use serin_release::api::standalone::{Service, StandaloneSpec, Tracing};

/// Checks a spec.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(spec: &StandaloneSpec) -> Result<(), Problem> {
    check_fields(spec).map_err(of_sentence)
}

/// The problem of a sentence such as `spec.listen: port 0 ...; use ...`.
fn of_sentence(text: String) -> Problem {
    let (path, sentence) = text.split_once(": ").unwrap_or(("", &text));
    Problem::of_sentence(path, sentence).in_object("Standalone")
}

/// Each address is one of its own.
fn check_addresses(spec: &StandaloneSpec) -> Result<(), String> {
    let all = [("listen", Some(spec.listen)), ("admin", Some(spec.admin)), ("metrics", spec.metrics)];
    let mut known: Vec<(&str, SocketAddr)> = Vec::new();
    for (name, address) in all.into_iter().filter_map(|(name, address)| Some((name, address?.0))) {
        if address.port() == 0 {
            return Err(format!("spec.{name}: port 0 would be another one each time; use 1 to 65535"));
        }
        let every = |address: &SocketAddr| address.ip().is_unspecified();
        let meets = |other: &SocketAddr| {
            other.port() == address.port() && (every(other) || every(&address) || other.ip() == address.ip())
        };
        if let Some((other, _)) = known.iter().find(|(_, other)| meets(other)) {
            return Err(format!("spec.{name}: `{address}` is the address of `{other}` too; use another port"));
        }
        known.push((name, address));
    }
    Ok(())
}

fn check_fields(spec: &StandaloneSpec) -> Result<(), String> {
    check_addresses(spec)?;
    if let Some(header) = &spec.routing_header {
        check_routing_header(header).map_err(|cause| format!("spec.routingHeader: {cause}"))?;
    }
    if spec.services.is_empty() {
        return Err("spec.services: no service; list at least one".into());
    }
    if spec.workers == Some(0) {
        return Err("spec.workers: 0 workers serve nobody; use at least 1, or leave it out".into());
    }
    if let Some(tracing) = &spec.tracing {
        check_tracing(tracing).map_err(|error| format!("spec.tracing.{error}"))?;
    }
    let mut seen = BTreeSet::new();
    for (index, service) in spec.services.iter().enumerate() {
        check_service(service).map_err(|error| format!("spec.services[{index}].{error}"))?;
        for domain in own_domains(spec, service) {
            if !seen.insert(domain.to_ascii_lowercase()) {
                let fix = "a host and port belong to one service";
                return Err(format!("spec.services[{index}]: `{domain}` is a name of an earlier service too; {fix}"));
            }
        }
    }
    Ok(())
}

fn check_tracing(tracing: &Tracing) -> Result<(), String> {
    if !tracing.sampling.buckets().is_multiple_of(10) {
        return Err(format!(
            "sampling: Envoy samples in steps of 0.01%, and `{}` is between two; use one",
            tracing.sampling
        ));
    }
    let Some(endpoint) = tracing.endpoint.as_ref().filter(|endpoint| collector(endpoint).is_none()) else { return Ok(()) };
    let example = "`http://127.0.0.1:9411/api/v2/spans`";
    Err(match endpoint.starts_with("https://") {
        true => format!("endpoint: `{endpoint}` asks for TLS, and spans are sent without it; use a URL such as {example}"),
        false => format!("endpoint: `{endpoint}` is not the URL of a Zipkin collector; write one such as {example}"),
    })
}

/// A collector of spans, by its URL in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Collector {
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as they stand in the URL.
    pub(super) authority: String,
    pub(super) path: String,
}

/// The collector of an `http` URL with a path; port 80 may be left out.
pub(super) fn collector(url: &str) -> Option<Collector> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at_checked(rest.find('/')?)?;
    let usual = format!("{authority}:80");
    let (host, port) = split_address(authority).or_else(|| split_address(&usual))?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let of = |host: &str| Collector { host: host.to_owned(), port, authority: authority.to_owned(), path: path.to_owned() };
    plain.then(|| of(host))
}

/// The domains of a service that are its own: each name without a port, with the service's and with the one that clients
/// connect to. Where two services share a host, the bare name is the first one's.
pub(super) fn own_domains(spec: &StandaloneSpec, service: &Service) -> Vec<String> {
    let (listen, port) = (spec.listen.0.port(), service.port);
    let mut domains = Vec::new();
    for name in names(service) {
        let mut earlier = spec.services.iter().take_while(|other| !std::ptr::eq(*other, service));
        let bare = !earlier.any(|other| other.host == service.host && other.port != service.port && has_name(other, name));
        if bare {
            domains.push(name.clone());
        }
        // Envoy wants `*` by itself; a port behind it would be a suffix match.
        if name == "*" {
            continue;
        }
        domains.push(format!("{name}:{port}"));
        let elsewhere = || spec.services.iter().any(|other| other.port == listen && has_name(other, name));
        if bare && listen != port && !elsewhere() {
            domains.push(format!("{name}:{listen}"));
        }
    }
    domains
}

/// The header is removed from what clients send, so it must not be one that HTTP, Envoy or stickiness needs.
fn check_routing_header(header: &str) -> Result<(), String> {
    let lower = check_header_name(header).map_err(|cause| cause.to_string())?;
    // Envoy's log format has its own use for `%`.
    let reserved = [
        "host",
        "cookie",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "baggage",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    match reserved.contains(&lower.as_str()) || lower.starts_with("x-envoy-") || lower.contains('%') {
        true => Err(format!("`{header}` is already used by HTTP or Envoy; use one of your own, such as `x-serin-version`")),
        false => Ok(()),
    }
}

fn check_service(service: &Service) -> Result<(), String> {
    let host =
        |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !host(&service.host) {
        return Err(format!("host: `{}` is not a host; write it without scheme, port and path", service.host));
    }
    if service.port == 0 {
        return Err("port: 0 is not a port; use 1 to 65535".into());
    }
    for (index, alias) in service.aliases.iter().enumerate() {
        if alias != "*" && !host(alias.strip_prefix("*.").unwrap_or(alias)) {
            return Err(format!(
                "aliases[{index}]: `{alias}` is not a host; write it without scheme, port and path, or `*.example.com`"
            ));
        }
    }
    if service.versions.is_empty() {
        return Err("versions: no version; list at least one with its addresses".into());
    }
    for (version, addresses) in &service.versions {
        serin_config::check_version_name(version).map_err(|cause| format!("versions: {cause}"))?;
        if addresses.is_empty() {
            return Err(format!("versions.{version}: no address; list at least one, such as `127.0.0.1:9081`"));
        }
        for (index, address) in addresses.iter().enumerate() {
            if split_address(address).is_none() {
                return Err(format!(
                    "versions.{version}[{index}]: `{address}` is not an address; write `IP:PORT` or `NAME:PORT`"
                ));
            }
        }
    }
    if let Some(retries) = &service.retries {
        check_retries(&retries.on).map_err(|error| format!("retries.on: {error}"))?;
    }
    if let Some(check) = &service.health_check {
        if !check.path.starts_with('/') {
            return Err(format!("healthCheck.path: `{}` is not a path; begin it with `/`", check.path));
        }
        for (name, threshold) in
            [("unhealthyThreshold", check.unhealthy_threshold), ("healthyThreshold", check.healthy_threshold)]
        {
            if threshold == 0 {
                return Err(format!("healthCheck.{name}: 0 probes prove nothing; use at least 1"));
            }
        }
    }
    Ok(())
}

/// The reasons to try a request again that Envoy knows: those of `x-envoy-retry-on`, then those of `x-envoy-retry-grpc-on`.
const RETRY_REASONS: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// A reason of a list such as `connect-failure, 503`: a word of Envoy's, or a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryReason<'a> {
    Word(&'a str),
    Status(u16),
}

/// The reasons of a list; one that is not known comes as an error.
pub(super) fn retry_reasons(list: &str) -> impl Iterator<Item = Result<RetryReason<'_>, &str>> {
    let known = |word: &str| RETRY_REASONS.contains(&word);
    list.split(',').map(str::trim).map(move |word| match word.parse() {
        Ok(status) if (100..600).contains(&status) => Ok(RetryReason::Status(status)),
        _ if known(word) => Ok(RetryReason::Word(word)),
        _ => Err(word),
    })
}

/// Envoy ignores a reason that it does not know, and logs that.
fn check_retries(list: &str) -> Result<(), String> {
    match retry_reasons(list).find_map(Result::err) {
        Some(word) => {
            let known = RETRY_REASONS.join(", ");
            Err(format!("`{word}` is not a reason to try again; use status codes such as 503, or {known}"))
        }
        None => Ok(()),
    }
}

/// Host and port of an upstream's address; brackets around IPv6 are removed.
pub(super) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        Some(inner) => inner.parse::<IpAddr>().ok().map(|_| (inner, port)),
        None => {
            let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            (!host.is_empty() && name).then_some((host, port))
        }
    }
}

/// Host and aliases of a service, each once.
fn names(service: &Service) -> impl Iterator<Item = &String> {
    let mut seen = BTreeSet::new();
    std::iter::once(&service.host).chain(&service.aliases).filter(move |name| seen.insert(name.to_ascii_lowercase()))
}

fn has_name(service: &Service, name: &str) -> bool {
    names(service).any(|own| own.eq_ignore_ascii_case(name))
}

/// The names of all services, for a client that knows none of them.
pub(crate) fn all_names(spec: &StandaloneSpec) -> Vec<&str> {
    let all: BTreeSet<&str> = spec.services.iter().flat_map(names).map(String::as_str).collect();
    all.into_iter().filter(|name| *name != "*").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_a_host_a_port_and_a_path() {
        let parts = |url: &str| collector(url).map(|found| (found.host, found.port, found.authority, found.path));
        let all = |host: &str, port, authority: &str, path: &str| {
            Some((host.to_owned(), port, authority.to_owned(), path.to_owned()))
        };
        assert_eq!(parts("http://127.0.0.1:9411/api/v2/spans"), all("127.0.0.1", 9411, "127.0.0.1:9411", "/api/v2/spans"));
        assert_eq!(parts("http://zipkin.tracing/spans?x=1"), all("zipkin.tracing", 80, "zipkin.tracing", "/spans?x=1"));
        assert_eq!(parts("http://[::1]:9411/"), all("::1", 9411, "[::1]:9411", "/"));
        assert_eq!(parts("http://[::1]/spans"), all("::1", 80, "[::1]", "/spans"));
        for url in [
            "",
            "127.0.0.1:9411",
            "https://zipkin/spans",
            "http://zipkin",
            "http:///spans",
            "http://zipkin:0/spans",
            "http://zipkin:99999/spans",
            "http://me:secret@zipkin:9411/spans",
            "http://zipkin/a b",
            "http://zipkin/spans#top",
        ] {
            assert_eq!(collector(url), None, "{url}");
        }
    }
}
