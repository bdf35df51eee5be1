//! A canary that is worse is rolled back by itself, and a good one goes on by itself.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serin_tests::standalone::Setup;
use serin_tests::upstream::{Request, serve};

use super::*;

/// Two versions; of `v2`'s answers one in five is a 500 while it is bad.
fn reviews(release: &Value) -> (Standalone, Arc<AtomicBool>) {
    let (is_bad, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let bad = Arc::clone(&is_bad);
    let v2 = move |request: &Request| {
        let fails = bad.load(Ordering::Relaxed) && asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(5);
        let fails = fails || request.line.contains("/broken");
        (if fails { "500 Internal Server Error" } else { "200 OK" }.to_owned(), String::new(), "v2".to_owned())
    };
    let v1 = |request: &Request| {
        if request.line.contains("/slow") {
            sleep(Duration::from_millis(30));
        }
        let fails = request.line.contains("/broken");
        (if fails { "500 Internal Server Error" } else { "200 OK" }.to_owned(), String::new(), "v1".to_owned())
    };
    let address = |address: std::io::Result<std::net::SocketAddr>| json!([address.unwrap().to_string()]);
    let versions = json!({"v1": address(serve(v1)), "v2": address(serve(v2))});
    (Standalone::start_with(Setup::new(versions, release)).unwrap(), is_bad)
}

/// The steps of a release with an analysis.
fn stepped(steps: &Value, metrics: &Value) -> Value {
    let mut stepped = spec(&[("v2", "0%")]);
    stepped["steps"] = steps.clone();
    stepped["analysis"] = json!({"metrics": metrics});
    stepped
}

/// Who answers, failures included.
fn answers(standalone: &Standalone, users: &[usize]) -> Vec<String> {
    let all = standalone.ask(users, 8, |&user| user_request(user, "")).unwrap();
    all.iter().map(|answer| String::from_utf8(answer.body.clone()).unwrap()).collect()
}

pub(super) fn a_bad_canary_is_rolled_back_although_the_file_is_broken() {
    let (standalone, is_bad) =
        reviews(&stepped(&json!([{"weight": "50%", "hold": "1h"}, {"weight": "100%"}]), &json!([{"failures": {}}])));
    let users: Vec<usize> = (0..400).collect();
    eventually("the first step", || standalone.log().contains("Stepped: nobody -> v2=50%, step 1 of 2")).unwrap();
    let expected: Vec<&str> = users.iter().map(|user| if bucket(*user) < BUCKETS / 2 { "v2" } else { "v1" }).collect();
    eventually("half have v2", || answers(&standalone, &users) == expected).unwrap();
    is_bad.store(true, Ordering::Relaxed);
    let text = std::fs::read_to_string(standalone.file()).unwrap();
    standalone.replace("kind: [").unwrap();
    eventually("v2 is rolled back", || {
        let all = answers(&standalone, &users);
        all.iter().all(|version| version == "v1")
    })
    .unwrap();
    let log = standalone.log();
    let told = log.lines().find(|line| line.contains("RolledBack")).unwrap();
    assert!(told.contains("bookinfo/reviews: RolledBack: v2=50% -> nobody, v2 made "), "{told}");
    assert!(told.contains(" failures but ") && told.contains("Odds for harm"), "{told}");
    // It stays so: in the file that is whole again, and for another process.
    standalone.replace(&text).unwrap();
    eventually("the file is taken up", || standalone.log().matches("Stepped").count() == 1).unwrap();
    assert!(answers(&standalone, &users).iter().all(|version| version == "v1"));
    let state = std::fs::read_to_string(standalone.state().join("state.json")).unwrap();
    assert!(state.contains("\"failed\":[{\"version\":\"v2\""), "{state}");
}

pub(super) fn a_good_canary_goes_to_everybody_when_it_is_shown_to_be_good() {
    let metrics = json!([{"failures": {}, "margin": "5%"}, {"slower": {"than": "1s"}, "margin": "5%"}]);
    let (standalone, _) = reviews(&stepped(&json!([{"weight": "50%"}, {"weight": "100%"}]), &metrics));
    let users: Vec<usize> = (0..400).collect();
    eventually("v2 has everybody", || answers(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
    let log = standalone.log();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words} in {log}"));
    let words = ["Stepped: nobody -> v2=50%", "analysis of v2: good: v2 had ", "Stepped: v2=50% -> v2=100%"];
    let places = words.map(at);
    assert!(places.is_sorted(), "{log}");
    assert!(!log.contains("RolledBack"), "{log}");
}

/// Asks as users of whom some have broken clients, whose requests fail on any version: one in ten of the canary's users, and one in twenty of
/// the others.
fn ask_with_broken_clients(standalone: &Standalone, users: &[usize]) -> Vec<String> {
    let request = |&user: &usize| {
        let request = String::from_utf8(user_request(user, "")).unwrap();
        let is_broken = user.is_multiple_of(if bucket(user) < BUCKETS / 5 { 10 } else { 20 });
        if is_broken { request.replacen("/reviews/0", "/broken", 1) } else { request }.into_bytes()
    };
    let all = standalone.ask(users, 8, request).unwrap();
    all.iter().map(|answer| String::from_utf8(answer.body.clone()).unwrap()).collect()
}

pub(super) fn what_people_cause_anyway_is_measured_before_and_counts_against_nobody() {
    let users: Vec<usize> = (0..1000).collect();
    let has = |standalone: &Standalone, canary: &str| {
        let expected = users.iter().map(|user| if bucket(*user) < BUCKETS / 5 { canary } else { "v1" });
        ask_with_broken_clients(standalone, &users).iter().eq(expected)
    };
    let steps = json!([{"weight": "20%", "hold": "1h"}, {"weight": "100%"}]);
    let metrics = json!([{"failures": {}}]);
    // Without a baseline the canary is blamed.
    let (blamed, _) = reviews(&stepped(&steps, &metrics));
    eventually("v2 is blamed", || {
        has(&blamed, "v2");
        blamed.log().contains("RolledBack: v2=20% -> nobody")
    })
    .unwrap();
    drop(blamed);
    let mut spec = stepped(&steps, &metrics);
    spec["analysis"]["baseline"] = json!("15s");
    let (standalone, is_bad) = reviews(&spec);
    eventually("they are measured", || {
        let is_stable = has(&standalone, "v1");
        standalone.log().contains("Measured: v2-baseline=20% -> nobody, failures: ") || !is_stable
    })
    .unwrap();
    let log = standalone.log();
    let told = log.lines().find(|line| line.contains("Measured: ")).unwrap_or_else(|| panic!("{log}")).to_owned();
    let numbers: Vec<u32> =
        told.split_once("failures: ").unwrap().1.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(matches!(numbers.as_slice(), [own, all] if 0 < *own && own < all), "{told}");
    eventually("the canary has them", || has(&standalone, "v2")).unwrap();
    // Three readings later nobody thinks ill of it.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(16) {
        assert!(has(&standalone, "v2"), "{}", standalone.log());
    }
    is_bad.store(true, Ordering::Relaxed);
    eventually("what it does itself is found", || {
        ask_with_broken_clients(&standalone, &users);
        standalone.log().contains("RolledBack: v2=20% -> nobody")
    })
    .unwrap();
}

pub(super) fn an_analysis_needs_what_envoy_counts() {
    let (standalone, _) = reviews(&spec(&[("v2", "10%")]));
    let metrics = json!([{"query": "up", "max": 1}]);
    let text = standalone.manifest(&stepped(&json!([{"weight": "50%"}]), &metrics));
    standalone.replace(&text).unwrap();
    let refusal = "spec.analysis.metrics[0].query: `serin standalone` reads the counters of its own Envoy, and asks no metric source; use \
                   `failures` or `slower`";
    eventually("it is refused", || standalone.log().contains(refusal)).unwrap();
}
