//! Whether clients of a namespace see a host: a Sidecar may leave it out of their `egress`.

use crate::names::matches_host;
use crate::reader::Reader;
use crate::{Content, Kind, Name};

/// Whether a Sidecar is for all clients of its namespace; in the root namespace it is for those of namespaces without one.
pub(super) fn is_of_namespace(sidecar: &Content) -> bool {
    sidecar.data.pointer("/spec/workloadSelector").is_none()
}

/// The Sidecar that keeps a host of a namespace from the clients there, whose requests then go past every route.
pub(super) fn cut_off(reader: &Reader<'_>, namespace: &str, root_namespace: &str, host: &str) -> Option<String> {
    let of = |namespace: &str| reader.pointing_at(Kind::Sidecar, Kind::Namespace, Name::new("", namespace)).next();
    let sidecar = of(namespace).or_else(|| of(root_namespace))?;
    (!shows(sidecar, namespace, host)).then(|| sidecar.full_name())
}

/// Whether a Sidecar shows a host of a namespace to the clients there. Without `egress` it shows all.
fn shows(sidecar: &Content, namespace: &str, host: &str) -> bool {
    let mut lists = sidecar.list("/spec/egress").filter_map(|egress| egress.get("hosts")?.as_array()).peekable();
    let covers = |entry: &str| {
        let (from, pattern) = entry.split_once('/').unwrap_or(("*", entry));
        matches!(from, "*" | ".") && matches_host(pattern, host) || from == namespace && matches_host(pattern, host)
    };
    lists.peek().is_none() || lists.flatten().filter_map(|host| host.as_str()).any(covers)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Object;

    #[test]
    fn a_sidecar_says_which_hosts_its_clients_see() {
        let host = "reviews.shop.svc.cluster.local";
        let of = |egress: Value| shows(&Object::from_json(json!({"spec": {"egress": egress}})), "shop", host);
        for (hosts, seen) in [
            (json!(["./*"]), true),
            (json!(["*/*"]), true),
            (json!(["shop/*"]), true),
            (json!(["istio-system/*", "shop/reviews.shop.svc.cluster.local"]), true),
            (json!(["*/*.shop.svc.cluster.local"]), true),
            (json!(["istio-system/*"]), false),
            (json!(["~/*"]), false),
            (json!(["./ratings.shop.svc.cluster.local"]), false),
        ] {
            assert_eq!(of(json!([{"hosts": hosts}])), seen, "{hosts}");
        }
        assert!(of(Value::Null) && of(json!([])));
        assert!(of(json!([{"port": {"number": 9080}, "hosts": ["istio-system/*"]}, {"hosts": ["./*"]}])));
    }
}
