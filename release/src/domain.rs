//! The domain of a cluster, in which the hosts of its Services are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The domain of a cluster, such as `cluster.local`: the host of a Service is `NAME.NAMESPACE.svc.DOMAIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDomain {
    /// `.svc.DOMAIN`.
    suffix: Arc<str>,
}

impl ClusterDomain {
    /// The domain of most clusters.
    pub const USUAL: &str = "cluster.local";

    /// The domain that a pod's resolver has: the kubelet writes `search NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN` into `resolv.conf`.
    #[must_use]
    pub fn of_resolver(resolv_conf: &str) -> Option<Self> {
        let searches = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("search"));
        searches.flat_map(str::split_whitespace).find_map(|name| name.strip_prefix("svc.")?.parse().ok())
    }

    /// The host of a Service.
    #[must_use]
    pub fn host(&self, service: &str, namespace: &str) -> String {
        format!("{service}.{namespace}{}", self.suffix)
    }

    /// A host as it is read in an object of a namespace: a name without dots is a Service there.
    #[must_use]
    pub fn qualified(&self, host: &str, namespace: &str) -> String {
        if host.contains('.') || host == "*" { host.to_owned() } else { self.host(host, namespace) }
    }

    /// The name and the namespace of the Service that a host is of.
    #[must_use]
    pub fn service<'a>(&self, host: &'a str) -> Option<(&'a str, &'a str)> {
        host.strip_suffix(&*self.suffix)?
            .split_once('.')
            .filter(|(name, namespace)| !name.is_empty() && !namespace.contains('.'))
    }

    /// The Service of a namespace that a host is of.
    #[must_use]
    pub fn service_of<'a>(&self, host: &'a str, namespace: &str) -> Option<&'a str> {
        self.service(host).filter(|(_, within)| *within == namespace).map(|(name, _)| name)
    }

    /// Whether a host is one of a Service, of whatever namespace.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        host.ends_with(&*self.suffix)
    }
}

impl Default for ClusterDomain {
    fn default() -> Self {
        Self { suffix: format!(".svc.{}", Self::USUAL).into() }
    }
}

impl fmt::Display for ClusterDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix.strip_prefix(".svc.").unwrap_or_default())
    }
}

impl FromStr for ClusterDomain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let domain = text.trim_end_matches('.');
        let is_label = |label: &str| {
            let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty() && label.bytes().all(of_label)
        };
        if domain.split('.').all(is_label) {
            Ok(Self { suffix: format!(".svc.{domain}").into() })
        } else {
            Err(format!("`{text}` is not a domain; write one such as `{}`", Self::USUAL))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_dots_is_a_service_of_the_namespace() {
        let (usual, other) = (ClusterDomain::default(), "corp.local".parse::<ClusterDomain>().unwrap());
        assert_eq!(usual.qualified("reviews", "shop"), "reviews.shop.svc.cluster.local");
        assert_eq!(other.qualified("reviews", "shop"), "reviews.shop.svc.corp.local");
        assert_eq!(
            (usual.qualified("reviews.other", "shop"), usual.qualified("*", "shop")),
            ("reviews.other".into(), "*".into())
        );
        assert_eq!((usual.to_string(), other.to_string()), ("cluster.local".to_owned(), "corp.local".to_owned()));
    }

    #[test]
    fn a_host_of_the_domain_is_that_of_a_service() {
        let (usual, other) = (ClusterDomain::default(), "corp.local".parse::<ClusterDomain>().unwrap());
        assert_eq!(usual.service_of("reviews.shop.svc.cluster.local", "shop"), Some("reviews"));
        assert_eq!(other.service("reviews.shop.svc.corp.local"), Some(("reviews", "shop")));
        assert!(other.has("reviews.shop.svc.corp.local") && !other.has("reviews.shop.svc.cluster.local"));
        for host in [
            "reviews.other.svc.cluster.local",
            "reviews.shop.example.com",
            "reviews.shop.svc.corp.local",
            "shop.svc.cluster.local",
            "a.bshop.svc.cluster.local",
            "a.b.shop.svc.cluster.local",
        ] {
            assert_eq!(usual.service_of(host, "shop"), None, "{host}");
        }
    }

    #[test]
    fn the_resolver_of_a_pod_knows_the_domain() {
        let of = |text: &str| ClusterDomain::of_resolver(text).map(|domain| domain.to_string());
        let pod = "search serin-system.svc.corp.local svc.corp.local corp.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(of(pod).as_deref(), Some("corp.local"));
        assert_eq!((of("nameserver 10.0.0.2\nsearch example.com\n"), of("")), (None, None));
        for wrong in ["", "Corp.local", "a..b", "a b"] {
            assert!(wrong.parse::<ClusterDomain>().unwrap_err().contains("is not a domain"), "{wrong}");
        }
    }
}
