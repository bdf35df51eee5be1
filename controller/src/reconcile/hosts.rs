//! How Istio reads the names of hosts and gateways.

use serde_json::Value;

use super::references::{full_gateway, strings, text};
use crate::cluster::world::Object;

/// The label of all objects that Serin writes.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGER: &str = "serin";
/// The label that names the release of an object.
pub const RELEASE_LABEL: &str = "serin.dev/release";

/// Whether somebody else wrote an object.
#[must_use]
pub fn is_foreign(object: &Object) -> bool {
    release_of(object).is_none()
}

/// The release that an object was written for.
#[must_use]
pub fn release_of(object: &Object) -> Option<&str> {
    let labels = object.metadata.labels.as_ref()?;
    labels.get(MANAGED_BY).filter(|manager| *manager == MANAGER)?;
    labels.get(RELEASE_LABEL).map(String::as_str)
}

/// A host as Istio reads it in an object of a namespace: a name without dots is a Service there.
#[must_use]
pub fn qualified(host: &str, namespace: &str) -> String {
    match host.contains('.') || host == "*" {
        true => host.to_owned(),
        false => format!("{host}.{namespace}.svc.cluster.local"),
    }
}

/// Whether a host, or a wildcard such as `*.example.com`, covers a host.
#[must_use]
pub fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// The gateways of a VirtualService with their namespaces; `mesh` when it names none.
#[must_use]
pub fn gateways_of(route: &Object) -> Vec<String> {
    let namespace = text(route.metadata.namespace.as_deref());
    let named: Vec<String> = strings(route, "/spec/gateways").map(|name| full_gateway(name, &namespace)).collect();
    // A delegate has no hosts and is reached through its root alone.
    match named.is_empty()
        && route.data.pointer("/spec/hosts").and_then(Value::as_array).is_some_and(|hosts| !hosts.is_empty())
    {
        true => vec!["mesh".to_owned()],
        false => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_istio_reads_them() {
        assert_eq!(qualified("reviews", "shop"), "reviews.shop.svc.cluster.local");
        assert_eq!(qualified("reviews.other", "shop"), "reviews.other");
        let host = "reviews.shop.svc.cluster.local";
        for (pattern, covers) in [
            ("*", true),
            ("*.shop.svc.cluster.local", true),
            ("*.local", true),
            ("reviews.shop.svc.cluster.local", true),
            ("Reviews.shop.svc.cluster.local", true),
            ("*.reviews.shop.svc.cluster.local", false),
            ("views.shop.svc.cluster.local", false),
            ("reviews.shop", false),
        ] {
            assert_eq!(matches_host(pattern, host), covers, "{pattern}");
        }
    }
}
