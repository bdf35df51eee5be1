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
    let routes = crate::standalone::envoy::routes(&served.spec, &served.defaults);
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
