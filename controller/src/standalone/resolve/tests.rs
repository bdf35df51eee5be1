use super::spec::own_domains;
use super::*;
use serin_release::file::{self, File};

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
        Ok(File::Manifest(manifest)) => {
            resolve(path, manifest, &State::default(), &serin_release::Moment::default()).map_err(|error| error.to_string())
        }
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
    let other = GOOD.replace("service: reviews", "service: ratings.example.com").replace("v2, w", "v1x, w");
    assert_eq!(
        resolved(&other).unwrap_err(),
        "serin.yaml:17:15: bookinfo/reviews: spec.canaries[0].version: `v1x` has no addresses in the service ratings.example.com:80; \
         add them under `versions`, which has v1"
    );
}

#[test]
fn each_mistake_is_named_with_its_path_and_fix() {
    let cases = [
        (
            "kind: Standalone",
            "kind: Other",
            "serin.yaml:3:1: kind: `Other` of `serin.dev/v1alpha1` is not known; write `CanaryRelease`, `CanaryControl` or `Standalone`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:8080",
            "serin.yaml:6:3: Standalone: spec.admin: `127.0.0.1:8080` is the address of `listen` too; use another port",
        ),
        (
            "aliases: [reviews]",
            "aliases: [ratings.example.com, 'ratings.example.com:80']",
            "serin.yaml:8:91: Standalone: spec.services[0].aliases[1]: `ratings.example.com:80` is not a host; write it without scheme, port and path, or `*.example.com`",
        ),
        (
            "aliases: [reviews]",
            "aliases: [ratings.example.com]",
            "serin.yaml:9:5: Standalone: spec.services[1]: `ratings.example.com` is a name of an earlier service too; a host and port belong to one service",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v2: []",
            "serin.yaml:8:113: Standalone: spec.services[0].versions.v2: no address; list at least one, such as `127.0.0.1:9081`",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v2: ['127.0.0.1']",
            "serin.yaml:8:118: Standalone: spec.services[0].versions.v2[0]: `127.0.0.1` is not an address; write `IP:PORT` or `NAME:PORT`",
        ),
        (
            "v2: [127.0.0.1:9082]",
            "v3: [127.0.0.1:9082]",
            "serin.yaml:17:15: bookinfo/reviews: spec.canaries[0].version: `v2` has no addresses in the service reviews.bookinfo.svc.cluster.local:9080; add them under `versions`, which has v1, v3",
        ),
        (
            "service: reviews",
            "service: nobody",
            "serin.yaml:15:3: bookinfo/reviews: spec.service: no service of the Standalone is `nobody.bookinfo.svc.cluster.local`, `nobody`, `nobody.bookinfo`, `nobody.bookinfo.svc`; it serves reviews.bookinfo.svc.cluster.local, ratings.example.com",
        ),
        (
            "service: reviews",
            "service: reviews\n  ports: [80]",
            "serin.yaml:16:11: bookinfo/reviews: spec.ports[0]: no service of the Standalone has `reviews` at port 80; add it or leave the port out",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 0.0.0.0:8080",
            "serin.yaml:6:3: Standalone: spec.admin: `0.0.0.0:8080` is the address of `listen` too; use another port",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  metrics: '[::]:9901'",
            "serin.yaml:7:3: Standalone: spec.metrics: `[::]:9901` is the address of `admin` too; use another port",
        ),
        (
            "listen: 127.0.0.1:8080",
            "listen: 127.0.0.1:0",
            "serin.yaml:5:3: Standalone: spec.listen: port 0 would be another one each time; use 1 to 65535",
        ),
        (
            "listen: 127.0.0.1:8080",
            "listen: :8080",
            "serin.yaml:5:11: Standalone: spec.listen: `:8080` is not an address; write IP:PORT, such as `0.0.0.0:8080`",
        ),
        (
            "listen: 127.0.0.1:8080",
            "listen: 8080",
            "serin.yaml:5:11: Standalone: spec.listen: `8080` is not an address; write an address such as `0.0.0.0:8080`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: localhost:9901",
            "serin.yaml:6:10: Standalone: spec.admin: `localhost:9901` is not an address; write IP:PORT, such as `127.0.0.1:9901`",
        ),
        (
            "listen: 127.0.0.1:8080",
            "listen: unix:/run/serin.sock",
            "serin.yaml:5:11: Standalone: spec.listen: `unix:/run/serin.sock` names a Unix socket, and only TCP is served; write IP:PORT, such as `127.0.0.1:8080`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  streamIdleTimeout: 15",
            "serin.yaml:7:22: Standalone: spec.streamIdleTimeout: `15` is not a time; write its unit too, such as `15s`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  workers: 0",
            "serin.yaml:7:3: Standalone: spec.workers: 0 workers serve nobody; use at least 1, or leave it out",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  routingHeader: Cookie",
            "serin.yaml:7:3: Standalone: spec.routingHeader: `Cookie` is already used by HTTP or Envoy; use one of your own, such as `x-serin-version`",
        ),
        (
            "admin: 127.0.0.1:9901",
            "admin: 127.0.0.1:9901\n  routingHeader: 'x v'",
            "serin.yaml:7:3: Standalone: spec.routingHeader: `x v` is not a header name; use letters, digits and `-`",
        ),
        (
            "aliases: [reviews]",
            "healthCheck: {path: /, unhealthyThreshold: 0}",
            "serin.yaml:8:83: Standalone: spec.services[0].healthCheck.unhealthyThreshold: 0 probes prove nothing; use at least 1",
        ),
        (
            "aliases: [reviews]",
            "retries: {attempts: 1, on: 'connect-failure, conect-failure'}",
            "serin.yaml:8:83: Standalone: spec.services[0].retries.on: `conect-failure` is not a reason to try again; use status codes such as 503, or 5xx, gateway-error, reset, reset-before-request, connect-failure, envoy-ratelimited, retriable-4xx, refused-stream, retriable-status-codes, retriable-headers, http3-post-connect-failure, cancelled, deadline-exceeded, internal, resource-exhausted, unavailable",
        ),
        (
            "aliases: [reviews]",
            "aliases: ['http://reviews']",
            "serin.yaml:8:70: Standalone: spec.services[0].aliases[0]: `http://reviews` is not a host; write it without scheme, port and path, or `*.example.com`",
        ),
        (
            "weight: 10%",
            "weight: 101%",
            "serin.yaml:17:36: bookinfo/reviews: spec.canaries[0].weight: `101%` is more than 100%; lower it, since the canaries share 100% with stable",
        ),
        (
            "{version: v2, weight: 10%}",
            "{version: v1}",
            "serin.yaml:17:15: bookinfo/reviews: spec.canaries[0].version: a canary has stable's version; give it its own",
        ),
    ];
    for (from, to, expected) in cases {
        let error = error(from, to);
        assert_eq!(error, expected);
    }
}

#[test]
fn a_file_needs_exactly_one_standalone() {
    let (standalone, release) = GOOD.split_once("---").unwrap();
    assert_eq!(
        resolved(release).unwrap_err(),
        "serin.yaml: there is no `kind: Standalone`; add one (examples/standalone.yaml)"
    );
    assert_eq!(
        resolved(&format!("{GOOD}---{standalone}")).unwrap_err(),
        "serin.yaml: there are 2 documents of `kind: Standalone`; keep one, since it is one Envoy"
    );
}

#[test]
fn a_paused_release_keeps_its_versions() {
    let path = Path::new("serin.yaml");
    let kept = resolved(GOOD).unwrap().checked.state;
    let again = |text: &str| match file::parse(path, text.as_bytes()).unwrap() {
        File::Manifest(manifest) => {
            resolve(path, manifest, &kept, &serin_release::Moment::default()).map_err(|error| error.to_string())
        }
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
        "serin.yaml:17:3: bookinfo/reviews: spec.paused: the split is held as it was and leads to `v2`, which has no addresses in the service \
         reviews.bookinfo.svc.cluster.local:9080; add them under `versions`, which has v1, v3, v4, or resume"
    );
}

#[test]
fn versions_without_a_release_are_warned_of() {
    assert!(resolved(GOOD).unwrap().warnings.is_empty());
    let served = resolved(GOOD.split_once("---").unwrap().0).unwrap();
    assert_eq!(served.defaults, ["v1", "v1"]);
    let warning = "reviews.bookinfo.svc.cluster.local:9080 has versions v1, v2 and no release, so all requests go to v1; \
                   add a CanaryRelease, or leave the other versions out";
    assert_eq!(served.warnings, [warning]);
}

#[test]
fn a_service_has_each_name_without_a_port_with_its_own_and_with_the_listeners() {
    let names = |text: &str| {
        let served = resolved(text).unwrap();
        served.spec.services.iter().map(|service| own_domains(&served.spec, service).join(" ")).collect::<Vec<_>>()
    };
    let host = "reviews.bookinfo.svc.cluster.local";
    let own = |name: &str| format!("{name} {name}:9080 {name}:8080");
    // A name that is written twice counts once.
    let twice = names(&GOOD.replace("aliases: [reviews]", "aliases: [reviews, Reviews, '*']"));
    assert_eq!(twice[0], format!("{} {} *", own(host), own("reviews")));
    // Where another service has the listener's port as its own, a name with it is that service's.
    let second = format!("  - {{host: {host}, port: 8080, versions: {{v1: [127.0.0.1:1], v2: [127.0.0.1:2]}}}}\n---");
    let split = names(&GOOD.replacen("---", &second, 1));
    assert_eq!([split[0].as_str(), &split[2]], [format!("{host} {host}:9080 {}", own("reviews")), format!("{host}:8080")]);
    assert_eq!(names(&GOOD.replace("127.0.0.1:8080", "127.0.0.1:80"))[1], "ratings.example.com ratings.example.com:80");
}

#[test]
fn two_releases_do_not_share_a_service() {
    let second = GOOD.split("---").nth(1).unwrap().replace("name: reviews", "name: again");
    let error = resolved(&format!("{GOOD}---{second}")).unwrap_err();
    assert_eq!(
        error,
        "serin.yaml:23:3: bookinfo/again: spec.service: `reviews.bookinfo.svc.cluster.local` is already routed by `bookinfo/reviews`; \
         let one release have a host and port"
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
