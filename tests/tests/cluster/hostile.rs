//! A tenant with all rights in one namespace, at random, beside a release of another one under load.
//!
//! `HOSTILE_SECONDS` says for how long (a minute), `HOSTILE_SEED` which history. What the tenant may not have in a mesh of Istio's alone
//! is left out: a ServiceEntry for the host of others that is exported to all takes their requests with or without Serin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, agree_within, apply, await_reason, counts, eventually_within, get, kubectl,
    patch, release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[("hostile::a_tenant_with_all_rights_in_a_namespace_harms_nobody", a_hostile_tenant)];

/// Within this time a change of the healthy release acts, whatever the tenant does.
const EFFECT: Duration = Duration::from_secs(20);

const HEALTHY: &str = "healthy";
const HOSTILE: &str = "hostile";

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers that look random, and are the same for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % most
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn object(api: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": HOSTILE}, "spec": spec})
}

/// A host that the tenant would like to have.
fn host(random: &mut Random) -> String {
    let healthy = format!("reviews.{HEALTHY}.svc.cluster.local");
    match random.below(6) {
        0 | 1 => healthy,
        2 => "*.svc.cluster.local".to_owned(),
        3 => "www.example.com".to_owned(),
        4 => format!("own-{}.{HOSTILE}.svc.cluster.local", random.below(3)),
        _ => "*".to_owned(),
    }
}

/// A release of any shape.
fn any_release(random: &mut Random, number: usize) -> Value {
    let service = match random.below(5) {
        0 => format!("reviews.{HEALTHY}.svc.cluster.local"),
        1 => "nosuchservice".to_owned(),
        _ => format!("own-{}", random.below(3)),
    };
    let mut spec = json!({"service": service, "stable": {"version": random.of(&["v1", "v2", "1.0", "v9"])},
        "canaries": [{"version": random.of(&["v3", "v4", "v5"]), "weight": random.of(&["0%", "0.001%", "50%", "100%"])}]});
    if random.below(3) == 0 {
        spec["routing"] =
            json!({"gateways": [random.of(&["own", "istio-system/public", "healthy/front"])], "hosts": [host(random)]});
    }
    if random.below(3) == 0 {
        let domain = random.of(&["example.com", "svc.cluster.local", "www.example.com"]);
        spec["sticky"] =
            json!({"by": [{"cookie": "user"}], "otherwise": {"issueCookie": {"name": "user", "domain": domain}}});
    }
    match random.below(6) {
        0 => {
            let rules = (0..40).map(|n| {
                json!({"name": format!("r{n}"), "version": spec["canaries"][0]["version"],
                "when": [{"path": {"regex": format!("(a|b)*a(a|b){{12}}x{n}-{number}")}}]})
            });
            spec["rules"] = rules.collect();
        }
        1 => {
            let rules = (0..300).map(|n| json!({"name": format!("r{n}"), "version": spec["canaries"][0]["version"],
                "when": [{"header": {"name": "x-user", "exact": format!("{}{n}-{number}", "noise".repeat(random.below(300)))}}]}));
            spec["rules"] = rules.collect();
        }
        2 => spec["takeover"] = spec["canaries"][0]["version"].clone(),
        3 => spec["canaries"][0]["workload"] = json!({"images": {"reviews": "nothing:0"}, "replicas": 1}),
        _ => {}
    }
    object("serin.dev/v1alpha1", "CanaryRelease", &format!("any-{}", random.below(5)), spec)
}

/// What the tenant makes next.
fn any(random: &mut Random, number: usize) -> Value {
    let name = format!("any-{}", random.below(4));
    let ours =
        json!({"app.kubernetes.io/managed-by": "serin", "serin.dev/release": random.of(&["all", "reviews", "any-1"])});
    let mut made = match random.below(9) {
        0..3 => return any_release(random, number),
        3 => {
            let route =
                json!([{"route": [{"destination": {"host": host(random), "subset": random.of(&["v1", "nothing"])}}]}]);
            object("networking.istio.io/v1", "VirtualService", &name, json!({"hosts": [host(random)], "http": route}))
        }
        4 => {
            let policy = json!({"connectionPool": {"http": {"maxRequestsPerConnection": 1}}});
            object(
                "networking.istio.io/v1",
                "DestinationRule",
                &name,
                json!({"host": host(random), "trafficPolicy": policy,
                "subsets": [{"name": "v1", "labels": {"version": "none"}}]}),
            )
        }
        5 => object(
            "networking.istio.io/v1",
            "ServiceEntry",
            &name,
            json!({"hosts": [host(random)], "exportTo": ["."],
            "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}], "resolution": "DNS"}),
        ),
        6 => object(
            "networking.istio.io/v1",
            "Gateway",
            random.of(&["own", "front"]),
            json!({"selector": {"istio": "nobody"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [host(random)]}]}),
        ),
        7 => {
            let split = json!({"release": format!("{HEALTHY}/reviews"), "hosts": [format!("reviews.{HEALTHY}.svc.cluster.local")], "stable": "v1",
                "buckets": [["v2", 100_000]]});
            let document = json!({"version": 1, "splits": [split]}).to_string();
            object(
                "extensions.istio.io/v1alpha1",
                "WasmPlugin",
                random.of(&["serin", "serin-any-1", "any-2"]),
                json!({"url": "file:///none.wasm", "pluginConfig": {"document": document}}),
            )
        }
        _ => {
            let mut service = object(
                "v1",
                "Service",
                &format!("own-{}", random.below(3)),
                json!({"selector": {"app": "reviews"},
                "ports": [{"name": random.of(&["http", "tcp"]), "port": 9080, "targetPort": 8000}]}),
            );
            service["metadata"]["labels"] = json!({"istio.io/use-waypoint": random.of(&["any-1", "waypoint"]),
                "istio.io/use-waypoint-namespace": random.of(&["istio-system", HEALTHY, "no-such-namespace"])});
            service
        }
    };
    if random.below(4) == 0 && made["kind"] != "Service" {
        made["metadata"]["labels"] = ours;
    }
    made
}

/// Makes and deletes until it is told to stop; counts what the API server took.
fn run(seed: u64, stop: &AtomicBool, taken: &AtomicUsize) {
    let mut random = Random(seed);
    let kinds = "crel,virtualservice,destinationrule,serviceentry,gateways.networking.istio.io,wasmplugin";
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Much of it is refused: that too is what a tenant does.
        let done = match random.below(12) {
            0 => kubectl(
                &[
                    "delete",
                    kinds,
                    "-n",
                    HOSTILE,
                    "--field-selector",
                    &format!("metadata.name=any-{}", random.below(4)),
                    "--wait=false",
                ],
                "",
            ),
            1 => kubectl(
                &[
                    "label",
                    "pods",
                    "-n",
                    HOSTILE,
                    "-l",
                    "app=reviews",
                    "--overwrite",
                    &format!("version={}", random.of(&["v1", "v2", "v3"])),
                ],
                "",
            ),
            2 => kubectl(&["scale", "-n", HOSTILE, "deployment/reviews-v1", &format!("--replicas={}", random.below(3))], ""),
            _ => kubectl(&["apply", "-f", "-"], &any(&mut random, number).to_string()),
        };
        taken.fetch_add(usize::from(done.is_ok()), Ordering::Relaxed);
    }
}

fn a_hostile_tenant() -> Outcome {
    let (seconds, seed) = (variable("HOSTILE_SECONDS", 60), variable("HOSTILE_SEED", 1));
    reviews(HEALTHY, &[("v1", 1), ("v2", 1)])?;
    reviews(HOSTILE, &[("v1", 1), ("v3", 1)])?;
    let controller = Controller::start("hostile", CONTROLLER, &[])?;
    let spec =
        |weight: &str| json!({"canaries": [{"version": "v2", "weight": weight}], "sticky": {"by": [{"cookie": "user"}]}});
    apply(&[release(HEALTHY, spec("50%"))])?;
    await_reason(HEALTHY, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(HEALTHY)?;
    agree(HEALTHY, &mut client)?;
    let requests = users();
    let lease = || get("lease", "serin-system", "serin").map(|lease| lease["spec"]["leaseTransitions"].clone());
    let leader = lease()?;

    let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let tenant = {
        let (stop, taken) = (Arc::clone(&stop), Arc::clone(&taken));
        std::thread::spawn(move || run(seed, &stop, &taken))
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut longest, mut longest_rollback) = (0, Duration::ZERO, Duration::ZERO);
    let mut healthy = || -> Outcome {
        while Instant::now() < end {
            rounds += 1;
            // Between changes nobody moves, and everybody is answered.
            let before = counts(&mut client, &requests)?;
            for look in 0..5 {
                assert_eq!(counts(&mut client, &requests)?, before, "round {rounds}, look {look}");
            }
            // The owner's changes act: a weight, and a rollback.
            let change = match rounds % 4 {
                0 => json!({"spec": {"takeover": "v1"}}),
                1 => json!({"spec": {"takeover": null, "canaries": [{"version": "v2", "weight": "30%"}]}}),
                _ => json!({"spec": {"canaries": [{"version": "v2", "weight": format!("{}%", 10 + rounds % 7 * 10)}]}}),
            };
            let start = Instant::now();
            patch("crel", HEALTHY, "reviews", &change)?;
            if change["spec"]["takeover"] == "v1" {
                // Twenty who had the canary; asking all would take longer than the rollback.
                let moved: Vec<_> = requests
                    .iter()
                    .zip(&before)
                    .filter(|(_, had)| *had != "v1")
                    .map(|(who, _)| who.clone())
                    .take(20)
                    .collect();
                eventually_within(EFFECT, "a rollback acts", || {
                    let others = counts(&mut client, &moved)?.iter().filter(|version| *version != "v1").count();
                    Ok(if others == 0 { Ok(()) } else { Err(format!("{others} of {} do not", moved.len())) })
                })?;
                longest_rollback = longest_rollback.max(start.elapsed());
            }
            agree_within(EFFECT, HEALTHY, &mut client)?;
            longest = longest.max(start.elapsed());
            await_reason(HEALTHY, "reviews", "Accepted", "Accepted")?;
        }
        Ok(())
    };
    let outcome = healthy();
    stop.store(true, Ordering::Relaxed);
    tenant.join().map_err(|_| "the tenant's process panicked")?;
    println!(
        "seed {seed}: {} objects taken, {rounds} changes: a rollback acted after {longest_rollback:?} at most, and all that is asked after a \
         change agreed after {longest:?}",
        taken.load(Ordering::Relaxed)
    );
    outcome?;
    assert!(taken.load(Ordering::Relaxed) > rounds, "the tenant did next to nothing");
    assert_eq!(lease()?, leader, "{}", controller.log());

    // What is left of the tenant goes as it wants to.
    kubectl(&["delete", "crel", "-n", HOSTILE, "--all", "--timeout=60s"], "")?;
    agree(HEALTHY, &mut client)?;
    kubectl(&["delete", "crel", "-n", HEALTHY, "reviews", "--timeout=60s"], "")?;
    kubectl(
        &[
            "delete",
            "virtualservice,destinationrule,serviceentry,gateways.networking.istio.io,wasmplugin",
            "-n",
            HOSTILE,
            "--all",
            "--timeout=60s",
        ],
        "",
    )?;
    drop(controller);
    Ok(())
}
