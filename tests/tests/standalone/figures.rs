//! What Envoy counts: names, labels and numbers, as Prometheus and an analysis read them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serin_tests::standalone::Setup;
use serin_tests::upstream::{Request, serve};

use super::life::probed;
use super::*;

/// All samples by name and labels.
type Samples = BTreeMap<String, f64>;

fn samples(standalone: &Standalone) -> Samples {
    let answer = Connection::open(standalone.admin).unwrap().get("admin", "/stats/prometheus", &[]).unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// By how much samples of a metric have grown, without those that have not.
fn grown(before: &Samples, after: &Samples, metric: &str) -> BTreeMap<String, u64> {
    let prefix = format!("{metric}{{");
    let own = after.iter().filter(|(name, _)| name.starts_with(&prefix));
    let grown = own.map(|(name, value)| (name.clone(), (value - before.get(name).unwrap_or(&0.0)) as u64));
    grown.filter(|(_, count)| *count > 0).collect()
}

/// An upstream that answers with its version, with 404 to `/missing` and with 500 to `/broken`.
fn upstream(version: &'static str) -> Value {
    let answer = move |request: &Request| {
        let status = match request.line.split(' ').nth(1).unwrap_or_default() {
            "/missing" => "404 Not Found",
            "/broken" => "500 Internal Server Error",
            _ => "200 OK",
        };
        (status.to_owned(), String::new(), version.to_owned())
    };
    json!([serve(answer).unwrap().to_string()])
}

const OTHER: &str = "ratings.shop.svc.cluster.local";

/// The names of all metrics of clusters that are left.
const OF_CLUSTERS: [&str; 13] = [
    "envoy_cluster_membership_degraded",
    "envoy_cluster_membership_healthy",
    "envoy_cluster_membership_total",
    "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_cx_connect_fail",
    "envoy_cluster_upstream_cx_total",
    "envoy_cluster_upstream_rq",
    "envoy_cluster_upstream_rq_active",
    "envoy_cluster_upstream_rq_completed",
    "envoy_cluster_upstream_rq_retry",
    "envoy_cluster_upstream_rq_timeout",
    "envoy_cluster_upstream_rq_total",
    "envoy_cluster_upstream_rq_xx",
];

/// What the names of all others begin with.
const OF_OTHERS: [&str; 14] = [
    "envoy_cluster_manager_",
    "envoy_cluster_upstream_rq_time_",
    "envoy_extension_config_discovery_http_filter_serin_",
    "envoy_http_downstream_cx_active",
    "envoy_http_downstream_cx_total",
    "envoy_http_downstream_rq_",
    "envoy_http_rds_serin_",
    "envoy_http_tracing_",
    "envoy_listener_downstream_",
    "envoy_listener_manager_",
    "envoy_overload_",
    "envoy_server_",
    "envoy_wasm_",
    "serin_",
];

pub(super) fn metrics_of_all_services_have_one_name_and_exact_counts() {
    let versions = json!({"v1": upstream("v1"), "v2": upstream("v2")});
    let standalone = Standalone::start_with(Setup::new(versions.clone(), &spec(&[("v2", "30%")]))).unwrap();
    let text = standalone.manifest(&spec(&[("v2", "30%")]));
    let (first, release) = text.split_once("\n---\n").unwrap();
    let mut first: Value = serde_json::from_str(first).unwrap();
    let other = json!({"host": OTHER, "port": 9080, "versions": {"v1": versions["v1"]}});
    first["spec"]["services"].as_array_mut().unwrap().push(other);
    standalone.replace(&format!("{first}\n---\n{release}")).unwrap();
    let ask = |host: &str, user: usize, path: &str| {
        let cookie = format!("user=user-{user}");
        let answer = Connection::open(standalone.listen).unwrap().get(host, path, &[("cookie", cookie.as_bytes())]);
        answer.unwrap().status
    };
    eventually("the other service answers", || ask(OTHER, 0, "/") == 200).unwrap();
    let decided = || stats(standalone.admin, "decisions_total").unwrap().values().sum::<u64>();
    eventually("the request that waited for the start is counted", || decided() == 1).unwrap();
    let before = samples(&standalone);
    let (stable, canary): (Vec<usize>, Vec<usize>) = (0..200).partition(|user| bucket(*user) >= 30_000);
    assert!(stable.len() > 100 && canary.len() > 30);
    for user in &stable {
        assert_eq!(ask(HOST, *user, "/"), 200);
    }
    for user in &canary {
        assert_eq!(ask(HOST, *user, "/"), 200);
    }
    for (count, path, status) in [(3, "/broken", 500), (2, "/missing", 404)] {
        for user in canary.iter().take(count) {
            assert_eq!(ask(HOST, *user, path), status);
        }
    }
    for _ in 0..5 {
        assert_eq!(ask(OTHER, 0, "/"), 200);
    }
    let count = |users: &[usize]| users.len() as u64;
    let of = |version: &str, host: &str| format!("envoy_cluster_name=\"outbound|9080|{version}|{host}\"");
    let class = |class: &str, cluster: String| {
        format!("envoy_cluster_upstream_rq_xx{{envoy_response_code_class=\"{class}\",{cluster}}}")
    };
    let expected = BTreeMap::from([
        (class("2", of("v1", HOST)), count(&stable)),
        (class("2", of("v2", HOST)), count(&canary)),
        (class("4", of("v2", HOST)), 2),
        (class("5", of("v2", HOST)), 3),
        (class("2", of("v1", OTHER)), 5),
    ]);
    let after = samples(&standalone);
    assert_eq!(grown(&before, &after, "envoy_cluster_upstream_rq_xx"), expected);
    let status = |status: u16| format!("envoy_cluster_upstream_rq{{envoy_response_code=\"{status}\",{}}}", of("v2", HOST));
    let by_status = grown(&before, &after, "envoy_cluster_upstream_rq");
    assert_eq!([500, 404, 200].map(|code| by_status[&status(code)]), [3, 2, count(&canary)]);
    let total = |cluster: String| format!("envoy_cluster_upstream_rq_total{{{cluster}}}");
    let expected = BTreeMap::from([
        (total(of("v1", HOST)), count(&stable)),
        (total(of("v2", HOST)), count(&canary) + 5),
        (total(of("v1", OTHER)), 5),
    ]);
    assert_eq!(grown(&before, &after, "envoy_cluster_upstream_rq_total"), expected);
    let timed = format!("envoy_cluster_upstream_rq_time_count{{{}}}", of("v2", HOST));
    eventually("times are counted", || {
        grown(&before, &samples(&standalone), "envoy_cluster_upstream_rq_time_count").get(&timed)
            == Some(&(count(&canary) + 5))
    })
    .unwrap();
    let decided = |version: &str| {
        let labels = format!("reason=\"weight\",release=\"bookinfo/reviews\",version=\"{version}\"");
        format!("serin_decisions_total{{{labels}}}")
    };
    let sorted = |samples: BTreeMap<String, u64>| -> BTreeMap<String, u64> {
        let sort = |name: String| {
            let (metric, labels) = name.split_once('{').unwrap();
            let labels: BTreeSet<&str> = labels.trim_end_matches('}').split(',').collect();
            format!("{metric}{{{}}}", labels.into_iter().collect::<Vec<_>>().join(","))
        };
        samples.into_iter().map(|(name, count)| (sort(name), count)).collect()
    };
    let expected = BTreeMap::from([(decided("v1"), count(&stable)), (decided("v2"), count(&canary) + 5)]);
    let mut seen = BTreeMap::new();
    eventually("decisions are counted", || {
        seen = sorted(grown(&before, &samples(&standalone), "serin_decisions_total"));
        seen == expected
    })
    .unwrap_or_else(|error| panic!("{error}: {seen:?}, not {expected:?}"));
    nothing_else_is_kept(&standalone);
}

/// Nothing is kept that nobody reads: Envoy has a hundred counters for each cluster.
fn nothing_else_is_kept(standalone: &Standalone) {
    let all = samples(standalone);
    let names: BTreeSet<&str> = all.keys().map(|name| name.split('{').next().unwrap()).collect();
    let (others, of_clusters): (BTreeSet<&str>, BTreeSet<&str>) =
        names.into_iter().partition(|name| OF_OTHERS.iter().any(|other| name.starts_with(other)));
    assert_eq!(of_clusters, BTreeSet::from(OF_CLUSTERS));
    for other in OF_OTHERS {
        assert!(others.iter().any(|name| name.starts_with(other)), "nothing of {other}");
    }
    // The names have no part of a host.
    assert!(others.iter().all(|name| !name.contains("svc") && !name.contains("outbound")), "{others:?}");
    let answer = Connection::open(standalone.admin).unwrap().get("admin", "/stats", &[]).unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    for gone in [".external.", ".internal.", "\nhttp.admin", "\nlistener.admin", "\nworkers.", "\ndns."] {
        assert!(!text.contains(gone), "{gone}");
    }
}

/// Two versions that are probed; the flag says whether `v2` is ready.
fn probed_versions(is_ready: bool, release: &Value) -> (Standalone, Arc<AtomicBool>) {
    let ready = Arc::new(AtomicBool::new(is_ready));
    let v1 = probed("v1", Arc::new(AtomicBool::new(true)));
    let versions = json!({"v1": [v1.to_string()], "v2": [probed("v2", Arc::clone(&ready)).to_string()]});
    let check =
        json!({"path": "/healthz", "interval": "100ms", "timeout": "2s", "unhealthyThreshold": 1, "healthyThreshold": 1});
    let setup = Setup { service: json!({"healthCheck": check}), ..Setup::new(versions, release) };
    (Standalone::start_with(setup).unwrap(), ready)
}

pub(super) fn what_stable_serves_for_a_sick_canary_is_told_apart() {
    let (standalone, ready) = probed_versions(true, &spec(&[("v2", "30%")]));
    let users: Vec<usize> = (0..200).collect();
    let canary = users.iter().filter(|user| bucket(**user) < 30_000).count() as u64;
    let split: Vec<&str> = users.iter().map(|user| if bucket(*user) < 30_000 { "v2" } else { "v1" }).collect();
    eventually("the canary gets its share", || versions(&standalone, &users) == split).unwrap();
    let name =
        |metric: &str, version: &str| format!("envoy_cluster_{metric}{{envoy_cluster_name=\"outbound|9080|{version}\"}}");
    let xx = |metric: &str, version: &str| {
        let labels = format!("envoy_response_code_class=\"2\",envoy_cluster_name=\"outbound|9080|{version}|{HOST}\"");
        format!("envoy_cluster_{metric}{{{labels}}}")
    };
    let (stable, own) = (format!("v1|{HOST}"), format!("v2|{HOST}|own"));
    // Decided for each version, answered by the canary, attempts at each.
    let counted = |round: &dyn Fn()| {
        let before = samples(&standalone);
        round();
        let after = samples(&standalone);
        [
            xx("upstream_rq_xx", "v1"),
            xx("upstream_rq_xx", "v2"),
            xx("canary_upstream_rq_xx", "v2"),
            name("upstream_rq_total", &stable),
            name("upstream_rq_total", &own),
        ]
        .map(|name| (after.get(&name).unwrap_or(&0.0) - before.get(&name).unwrap_or(&0.0)) as u64)
    };
    let others = users.len() as u64 - canary;
    let healthy = counted(&|| assert_eq!(versions(&standalone, &users), split));
    assert_eq!(healthy, [others, canary, canary, others, canary]);
    ready.store(false, Ordering::Relaxed);
    eventually("stable answers for the canary", || versions(&standalone, &users).iter().all(|version| version == "v1"))
        .unwrap();
    let sick = counted(&|| assert!(versions(&standalone, &users).iter().all(|version| version == "v1")));
    assert_eq!(sick, [others, canary, 0, others + canary, 0]);
    let after = samples(&standalone);
    assert_eq!((after[&name("membership_healthy", &own)], after[&name("membership_total", &own)]), (0.0, 1.0));
    // What is decided is counted by the filter too.
    let decided = || -> u64 {
        let counters = stats(standalone.admin, "version=.=v2;.;reason=.=weight;.;decisions_total").unwrap();
        counters.values().sum()
    };
    let before = decided();
    assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    eventually("decisions are counted", || (decided() - before).is_multiple_of(canary) && decided() > before).unwrap();
}

pub(super) fn a_canary_that_is_down_is_not_found_to_be_good() {
    let mut release = spec(&[("v2", "0%")]);
    release["steps"] = json!([{"weight": "50%"}, {"weight": "100%"}]);
    release["analysis"] = json!({"metrics": [{"failures": {}, "margin": "5%"}, {"slower": {"than": "1s"}, "margin": "5%"}]});
    let (standalone, ready) = probed_versions(false, &release);
    eventually("the first step", || standalone.log().contains("Stepped: nobody -> v2=50%, step 1 of 2")).unwrap();
    let users: Vec<usize> = (0..400).collect();
    // Two readings are enough for a canary that is up.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(16) {
        assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    }
    let log = standalone.log();
    assert!(!log.contains("good") && log.matches("Stepped").count() == 1, "{log}");
    ready.store(true, Ordering::Relaxed);
    eventually("v2 has everybody", || versions(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
    let log = standalone.log();
    assert!(log.contains("analysis of v2: good: v2 had "), "{log}");
}
