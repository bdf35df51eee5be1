use super::*;
use crate::file::{self, File};

const GOOD: &str = "
apiVersion: serin.dev/v1alpha1
kind: Standalone
spec:
  listen: 127.0.0.1:8080
  admin: 127.0.0.1:9901
  services:
  - {host: reviews.bookinfo.svc.cluster.local, port: 9080, aliases: [reviews], versions: {v1: [127.0.0.1:9081], v2: [127.0.0.1:9082]}}
  - {host: ratings.example.com, port: 80, versions: {v1: ['ratings.internal:80']}}
---
apiVersion: serin.dev/v1alpha1
kind: CanaryRelease
metadata: {name: reviews, namespace: bookinfo}
spec:
  service: reviews
  stable: {version: v1}
  canaries: [{version: v2, weight: 10%}]
";

fn resolved(text: &str) -> Result<Served, String> {
    let path = Path::new("serin.yaml");
    match file::parse(path, text.as_bytes()) {
        Ok(File::Manifest(manifest)) => resolve(path, manifest, &State::default()).map_err(|error| error.to_string()),
        Ok(File::Document(_)) => Err("a document".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The error of a good file with one change.
fn error(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD);
    resolved(&text).unwrap_err()
}

#[test]
fn a_release_routes_the_service_of_its_name() {
    let served = resolved(GOOD).unwrap();
    assert_eq!(served.defaults, ["v1", "v1"]);
    let split = &served.checked.document.splits[0];
    assert_eq!(
        (split.hosts.as_slice(), split.ports.as_slice()),
        (&["reviews.bookinfo.svc.cluster.local".to_owned()][..], &[9080][..])
    );
    assert!(resolved(&GOOD.replace("service: reviews", "service: ratings.example.com").replace("v2, w", "v1x, w")).is_err());
}

#[test]
fn each_mistake_is_named_with_its_path_and_fix() {
    let cases = [
        (
            "kind: Standalone",
            "kind: Other",
            "serin.yaml: kind: `Other` of `serin.dev/v1alpha1` is not known; use CanaryRelease or Standalone of serin.dev/v1alpha1",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:8080",
            "serin.yaml: spec.admin: `127.0.0.1:8080` is the address of `listen` too; use another port",
        ),
        (
            "aliases: [reviews]",
            "aliases: [ratings.example.com, 'ratings.example.com:80']",
            "serin.yaml: spec.services[0].aliases[1]: `ratings.example.com:80` is no host; write it without scheme, port and path, or `*.example.com`",
        ),
        (
            "aliases: [reviews]",
            "aliases: [ratings.example.com]",
            "serin.yaml: spec.services[1]: `ratings.example.com` is a name of an earlier service too; a host and port belong to one service",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v2: []",
            "serin.yaml: spec.services[0].versions.v2: no address; list at least one, such as `127.0.0.1:9081`",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v2: ['127.0.0.1']",
            "serin.yaml: spec.services[0].versions.v2[0]: `127.0.0.1` is no address; write `IP:PORT` or `NAME:PORT`",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v3: [127.0.0.1:9082]",
            "serin.yaml: bookinfo/reviews: spec.canaries[0].version: `v2` has no addresses in the service reviews.bookinfo.svc.cluster.local:9080; add them under `versions`, which has v1, v3",
        ),
        (
            "service: reviews",
            "service: nobody",
            "serin.yaml: bookinfo/reviews: spec.service: no service of the Standalone is `nobody.bookinfo.svc.cluster.local`, `nobody`, `nobody.bookinfo`, `nobody.bookinfo.svc`; it serves reviews.bookinfo.svc.cluster.local, ratings.example.com",
        ),
        (
            "service: reviews",
            "service: reviews\n  ports: [80]",
            "serin.yaml: bookinfo/reviews: spec.ports[0]: no service of the Standalone has `reviews` at port 80; add it or leave the port out",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 0.0.0.0:8080",
            "serin.yaml: spec.admin: `0.0.0.0:8080` is the address of `listen` too; use another port",
        ),
        (
            "listen: 127.0.0.1:8080",
            "listen: 127.0.0.1:0",
            "serin.yaml: spec.listen: port 0 would be another one each time; use 1 to 65535",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  workers: 0",
            "serin.yaml: spec.workers: 0 workers serve nobody; use at least 1, or leave it out",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  routingHeader: Cookie",
            "serin.yaml: spec.routingHeader: `Cookie` has another meaning; use one of your own, such as `x-serin-version`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  routingHeader: 'x v'",
            "serin.yaml: spec.routingHeader: `x v` is no header name; use letters, digits and `-`",
        ),
        (
            "aliases: [reviews]",
            "healthCheck: {path: /, unhealthyThreshold: 0}",
            "serin.yaml: spec.services[0].healthCheck.unhealthyThreshold: 0 probes prove nothing; use at least 1",
        ),
        (
            "aliases: [reviews]",
            "aliases: ['http://reviews']",
            "serin.yaml: spec.services[0].aliases[0]: `http://reviews` is no host; write it without scheme, port and path, or `*.example.com`",
        ),
        ("weight: 10%", "weight: 101%", "`101%` is more than 100%"),
        (
            "{version: v2, weight: 10%}",
            "{version: v1}",
            "serin.yaml: bookinfo/reviews: spec.canaries[0].version: `v1` is listed already; name each version once, stable's included",
        ),
    ];
    for (from, to, expected) in cases {
        let error = error(from, to);
        assert!(error == expected || (expected.starts_with('`') && error.contains(expected)), "{error}");
    }
}

#[test]
fn a_file_needs_exactly_one_standalone() {
    let (standalone, release) = GOOD.split_once("---").unwrap();
    assert_eq!(resolved(release).unwrap_err(), "serin.yaml: holds 0 documents of kind Standalone; it needs exactly one");
    assert_eq!(
        resolved(&format!("{GOOD}---{standalone}")).unwrap_err(),
        "serin.yaml: holds 2 documents of kind Standalone; it needs exactly one"
    );
}

#[test]
fn a_paused_release_keeps_its_versions() {
    let path = Path::new("serin.yaml");
    let kept = resolved(GOOD).unwrap().checked.state;
    let again = |text: &str| match file::parse(path, text.as_bytes()).unwrap() {
        File::Manifest(manifest) => resolve(path, manifest, &kept).map_err(|error| error.to_string()),
        File::Document(_) => Err("a document".to_owned()),
    };
    let paused = GOOD.replace(
        "  stable: {version: v1}\n  canaries: [{version: v2, weight: 10%}]",
        "  stable: {version: v3}\n  paused: true",
    );
    let with = paused.replace("v1: [127.0.0.1:9081],", "v1: [127.0.0.1:9081], v3: [127.0.0.1:9083],");
    assert_eq!(again(&with).unwrap().defaults, ["v1", "v1"]);
    assert_eq!(
        again(&with.replace("v2: [127.0.0.1:9082]", "v4: [127.0.0.1:9082]")).unwrap_err(),
        "serin.yaml: bookinfo/reviews: spec.paused: the split is held as it was and leads to `v2`, which has no addresses in the service \
         reviews.bookinfo.svc.cluster.local:9080; add them under `versions`, which has v1, v3, v4, or resume"
    );
}

#[test]
fn versions_without_a_release_are_warned_of() {
    assert!(resolved(GOOD).unwrap().warnings.is_empty());
    let served = resolved(GOOD.split_once("---").unwrap().0).unwrap();
    assert_eq!(served.defaults, ["v1", "v1"]);
    let warning = "reviews.bookinfo.svc.cluster.local:9080 has versions v1, v2 but no release: all its requests go to v1";
    assert_eq!(served.warnings, [warning]);
}

#[test]
fn a_name_that_is_written_twice_in_a_service_counts_once() {
    let served = resolved(&GOOD.replace("aliases: [reviews]", "aliases: [reviews, Reviews]")).unwrap();
    let service = &served.spec.services[0];
    assert_eq!(
        own_domains(&served.spec, service),
        ["reviews.bookinfo.svc.cluster.local", "reviews.bookinfo.svc.cluster.local:9080", "reviews", "reviews:9080"]
    );
}

#[test]
fn two_releases_do_not_share_a_service() {
    let second = GOOD.split("---").nth(1).unwrap().replace("name: reviews", "name: again");
    let error = resolved(&format!("{GOOD}---{second}")).unwrap_err();
    assert_eq!(
        error,
        "serin.yaml: bookinfo/again: spec.service: `reviews.bookinfo.svc.cluster.local` is routed by `bookinfo/reviews` already; \
         a host and port belong to one release"
    );
}

#[test]
fn no_route_names_a_cluster_that_is_not_there() {
    let served = resolved(GOOD).unwrap();
    let clusters = crate::standalone::envoy::clusters(&served.spec, &served.defaults).to_string();
    let headers = BTreeSet::from(["x-serin-version"]);
    let routes = crate::standalone::envoy::routes(&served.spec, &served.defaults, &headers);
    let mut named = 0;
    for host in routes["resources"][0]["virtual_hosts"].as_array().unwrap() {
        for route in host["routes"].as_array().unwrap() {
            if let Some(cluster) = route["route"]["cluster"].as_str() {
                named += 1;
                assert!(clusters.contains(&format!("\"name\":\"{cluster}\"")), "{cluster}");
            }
        }
    }
    assert_eq!(named, 5);
}
