//! The destination in the name of a cluster.

use serin_config::Destination;

/// Reads the name that Istio gives to the cluster of a service, `outbound|PORT|SUBSET|HOST` (a waypoint's has `inbound-vip`
/// and the protocol instead). `None` for any other name.
#[must_use]
pub(crate) fn of_cluster(name: &[u8]) -> Option<Destination<'_>> {
    // The host is most of it, and is looked at once.
    let mut parts = name.rsplit(|&b| b == b'|');
    let (host, _, port, _) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || host.is_empty() {
        return None;
    }
    Destination::with_port(host, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_read_and_others_are_not() {
        let of = |name: &'static str| {
            of_cluster(name.as_bytes())
                .map(|destination| (String::from_utf8(destination.host.into_owned()).unwrap(), destination.port))
        };
        assert_eq!(of("outbound|9080|v1|reviews.shop.svc"), Some(("reviews.shop.svc".to_owned(), Some(9080))));
        assert_eq!(of("outbound|80||reviews.shop.svc"), Some(("reviews.shop.svc".to_owned(), Some(80))));
        assert_eq!(of("inbound-vip|80|http|reviews.shop.svc"), Some(("reviews.shop.svc".to_owned(), Some(80))));
        for name in
            ["", "PassthroughCluster", "inbound|9080||", "outbound|x|v1|a", "outbound|99999||a", "outbound|80||a|b", "|||"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
