//! Which hosts a Gateway serves, and to whose routes: `servers[].hosts` are its owner's word.

use serde_json::Value;
use serin_release::api::v1alpha1::{CanaryRelease, Routing, RoutingMode};

use super::names::full_gateway;
use crate::names::matches_host;
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::{Kind, Object};

/// A Gateway that a release names, as far as it is there.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its full name.
    pub(super) name: String,
    pub(super) found: Option<Object>,
}

/// The Gateways that a release names.
pub(super) fn listed(routing: &Routing, namespace: &str, reader: &Reader<'_>) -> Vec<Listed> {
    let names = routing.gateways.iter().map(|name| full_gateway(name, namespace));
    names
        .map(|name| {
            let found = name.split_once('/').and_then(|(namespace, name)| reader.get(Kind::Gateway, namespace, name));
            Listed { found: found.cloned(), name }
        })
        .collect()
}

/// Each gateway is there, and one of them serves each host to routes of the namespace: what its owner does not let the namespace
/// have, proxies shall not decide for it either.
pub(super) fn check(release: &CanaryRelease, routing: &Routing, namespace: &str, listed: &[Listed]) -> Result<(), Refusal> {
    if routing.mode != RoutingMode::Managed || release.spec.routing.is_none() {
        return Ok(());
    }
    if let Some((index, gateway)) = listed.iter().enumerate().find(|(_, gateway)| gateway.found.is_none()) {
        return Err(Refusal::GatewayNotFound { index, name: gateway.name.clone() });
    }
    let serves =
        |host: &str| listed.iter().filter_map(|gateway| gateway.found.as_ref()).any(|found| admits(found, namespace, host));
    match routing.hosts.iter().enumerate().find(|(_, host)| !serves(host)) {
        Some((index, host)) if !listed.is_empty() => {
            let gateways: Vec<&str> = listed.iter().map(|gateway| gateway.name.as_str()).collect();
            Err(Refusal::HostNotServed {
                index,
                host: host.clone(),
                gateways: gateways.join(", "),
                namespace: namespace.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Each host is one that an administrator lets the namespace have, where there is a list of them.
pub(super) fn check_allowed(routing: &Routing, namespace: &str, allowed: &[(String, String)]) -> Result<(), Refusal> {
    let of_namespace: Vec<&str> =
        allowed.iter().filter(|(of, _)| of == "*" || of == namespace).map(|(_, pattern)| pattern.as_str()).collect();
    let is_allowed = |host: &str| of_namespace.iter().any(|pattern| matches_host(pattern, &host.to_ascii_lowercase()));
    match routing.hosts.iter().enumerate().find(|(_, host)| !allowed.is_empty() && !is_allowed(host)) {
        Some((index, host)) => {
            let hosts = if of_namespace.is_empty() { "no host".to_owned() } else { of_namespace.join(", ") };
            Err(Refusal::HostNotAllowed { index, host: host.clone(), namespace: namespace.to_owned(), hosts })
        }
        None => Ok(()),
    }
}

/// Whether a Gateway serves a host to VirtualServices of a namespace.
fn admits(gateway: &Object, namespace: &str, host: &str) -> bool {
    let own = gateway.metadata.namespace.as_str();
    let allows = |entry: &str| {
        let (from, pattern) = entry.split_once('/').unwrap_or(("*", entry));
        let from_here = match from {
            "*" => true,
            "." => namespace == own,
            from => namespace == from,
        };
        from_here && matches_host(&pattern.to_ascii_lowercase(), &host.to_ascii_lowercase())
    };
    let servers = gateway.list("/spec/servers").filter(|server| speaks_http(server));
    let mut hosts = servers.flat_map(|server| server.get("hosts").and_then(Value::as_array).into_iter().flatten());
    hosts.any(|host| host.as_str().is_some_and(allows))
}

/// Whether a server ends connections at HTTP, so that routes act there.
fn speaks_http(server: &Value) -> bool {
    let protocol = server.pointer("/port/protocol").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
    let passes_on = matches!(server.pointer("/tls/mode").and_then(Value::as_str), Some("PASSTHROUGH" | "AUTO_PASSTHROUGH"));
    matches!(protocol.as_str(), "HTTP" | "HTTPS" | "HTTP2" | "GRPC" | "GRPC-WEB") && !passes_on
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_administrator_says_which_hosts_a_namespace_may_have() {
        let allowed = |list: &[(&str, &str)], host: &str| {
            let list: Vec<(String, String)> = list.iter().map(|(of, host)| ((*of).to_owned(), (*host).to_owned())).collect();
            let routing = Routing { hosts: vec![host.to_owned()], ..Routing::default() };
            check_allowed(&routing, "shop", &list).map_err(|refusal| refusal.to_string())
        };
        let list = [("shop", "*.shop.example.com"), ("*", "*.dev.example.com"), ("bank", "bank.example.com")];
        assert_eq!(allowed(&list, "WWW.shop.example.com"), Ok(()));
        assert_eq!((allowed(&list, "a.dev.example.com"), allowed(&[], "bank.example.com")), (Ok(()), Ok(())));
        assert_eq!(
            allowed(&list, "bank.example.com").unwrap_err(),
            "spec.routing.hosts[0]: an administrator lets namespace shop have *.shop.example.com, *.dev.example.com at gateways, and not \
             `bank.example.com`; ask one to add it to --gateway-hosts, or correct the host"
        );
        assert!(
            allowed(&list[2..], "bank.example.com").unwrap_err().contains("lets namespace shop have no host at gateways")
        );
    }

    #[test]
    fn the_servers_of_a_gateway_say_who_has_which_host() {
        let gateway = |server: Value| {
            Object::from_json(json!({"metadata": {"namespace": "edge", "name": "public"}, "spec": {"servers": [server]}}))
        };
        let http = |hosts: &[&str]| gateway(json!({"port": {"number": 80, "protocol": "HTTP"}, "hosts": hosts}));
        for (hosts, namespace, host, admitted) in [
            (&["*"][..], "shop", "www.example.com", true),
            (&["www.example.com"], "shop", "WWW.example.com", true),
            (&["*.example.com"], "shop", "www.example.com", true),
            (&["*.example.com"], "shop", "example.com", false),
            (&["shop/www.example.com"], "shop", "www.example.com", true),
            (&["shop/www.example.com"], "squat", "www.example.com", false),
            (&["shop/*", "*/open.example.com"], "squat", "open.example.com", true),
            (&["shop/*", "*/open.example.com"], "squat", "www.example.com", false),
            (&["./*"], "edge", "www.example.com", true),
            (&["./*"], "shop", "www.example.com", false),
            (&[], "shop", "www.example.com", false),
        ] {
            assert_eq!(admits(&http(hosts), namespace, host), admitted, "{hosts:?} {namespace} {host}");
        }
        let of = |protocol: &str, tls: Value| gateway(json!({"port": {"protocol": protocol}, "tls": tls, "hosts": ["*"]}));
        assert!(admits(&of("HTTPS", json!({"mode": "SIMPLE"})), "shop", "www.example.com"));
        for other in
            [of("TLS", json!({"mode": "PASSTHROUGH"})), of("HTTPS", json!({"mode": "PASSTHROUGH"})), of("TCP", Value::Null)]
        {
            assert!(!admits(&other, "shop", "www.example.com"));
        }
    }
}
