//! The destination in the name of a cluster.

use serin_config::Destination;

/// Reads the name that Istio gives to the cluster of a service, `outbound|PORT|SUBSET|HOST` (a waypoint's has `inbound-vip`
/// and the protocol instead). `None` for any other name, but the host is not looked at: [`is_host`] says whether it is one.
#[must_use]
pub(crate) fn of_cluster(name: &[u8]) -> Option<Destination<'_>> {
    let (_, rest) = at_bar(name)?;
    let (port, rest) = at_bar(rest)?;
    let (_, host) = at_bar(rest)?;
    Destination::with_port(host, port)
}

#[inline]
fn at_bar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, behind) = text.split_at_checked(text.iter().position(|&b| b == b'|')?)?;
    Some((before, behind.get(1..)?))
}

/// Whether what stands behind the third bar is a host. No release is on what is none, so only those ask who found none.
#[must_use]
pub(crate) fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && !host.contains(&b'|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_read_and_others_are_not() {
        let of = |name: &'static str| {
            of_cluster(name.as_bytes())
                .filter(|destination| is_host(&destination.host))
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
