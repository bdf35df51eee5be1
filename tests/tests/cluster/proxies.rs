//! What proxies have and who passes them by, as a real Prometheus tells that scrapes the Envoys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, domain, eventually, half, kubectl, patch, process, release,
    reviews,
};
use serin_tests::upstream;

use crate::routing::gateway;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("proxies::a_release_says_whether_every_proxy_has_it", whether_every_proxy_has_it),
    ("proxies::callers_without_a_proxy_are_told_of", callers_without_a_proxy),
];

/// Proxies that a scrape each second shows have no need of two minutes.
const METRICS: &[&str] = &["--metrics", "main=http://127.0.0.1:19090", "--proxy-grace-seconds", "2"];

const EVERYWHERE: &str =
    "routes and filter are up to date, and so is every proxy with the filter that metric source main knows";

/// What is said where nobody tells.
const UP_TO_DATE: &str = "routes and filter are up to date; requests without a key (cookie user) go to stable";

/// A Prometheus that runs as long as this.
pub(crate) struct Prometheus;

impl Prometheus {
    pub(crate) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        process("start", "prometheus").map(|()| Self)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = process("stop", "prometheus") {
            eprintln!("{error}");
        }
    }
}

/// Waits until so many proxies have the current document, an earlier one, and one that nobody knows.
fn await_proxies(controller: &Controller, expected: [f64; 3]) -> Outcome {
    eventually("metric sources know the proxies", || {
        let count = |document| controller.metric("serin_proxies", &format!("document=\"{document}\""));
        let found = [count("current")?, count("earlier")?, count("unknown")?];
        Ok(if found == expected { Ok(()) } else { Err(format!("{found:?}")) })
    })
}

/// Waits until a release is programmed with this message.
fn await_programmed(space: &str, expected: &str) -> Outcome {
    eventually("the release says how far it has come", || {
        let message = await_reason(space, "reviews", "Programmed", "Programmed")?;
        Ok(if message.starts_with(expected) { Ok(()) } else { Err(message) })
    })
}

fn whether_every_proxy_has_it() -> Outcome {
    let space = "everywhere";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let _prometheus = Prometheus::start()?;
    let controller = Controller::start(space, CONTROLLER, METRICS)?;
    // A gateway without a server has no filter.
    apply(&[gateway(space, "everywhere.example.com"), release(space, half())])?;
    await_programmed(space, EVERYWHERE)?;
    // The sidecar and the gateway.
    await_proxies(&controller, [2.0, 0.0, 0.0])?;
    assert_eq!(controller.metric("serin_metric_source_up", "main")?, 1.0);

    // What Istio does not reach keeps the document before, and serves by it.
    process("stop", "gateway-agent")?;
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "60%"}]}}))?;
    let message = await_reason(space, "reviews", "Programmed", "ProxiesBehind")?;
    assert_eq!(
        message,
        "the split is published, and metric source main knows of proxies that still do not have it: see `istioctl proxy-status`, and the logs \
         of these proxies"
    );
    await_proxies(&controller, [1.0, 1.0, 0.0])?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    // A leader that takes over knows the documents that are there alone, and says nothing of what it does not know.
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start(space, CONTROLLER, METRICS)?;
    await_proxies(&controller, [1.0, 0.0, 1.0])?;
    await_programmed(space, UP_TO_DATE)?;

    process("start", "gateway-agent")?;
    await_programmed(space, EVERYWHERE)?;
    await_proxies(&controller, [2.0, 0.0, 0.0])?;
    // A source that is silent tells nothing.
    process("stop", "prometheus")?;
    await_programmed(space, UP_TO_DATE)?;
    assert_eq!(controller.metric("serin_metric_source_up", "main")?, 0.0);
    kubectl(&["delete", "gateway.networking.istio.io,crel", "-n", space, "--all", "--timeout=60s"], "")?;
    Ok(())
}

fn callers_without_a_proxy() -> Outcome {
    let space = "callers";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let host = format!("reviews.{space}.svc.{}", domain());
    // What a sidecar of the destination tells: one who calls through a proxy, then one who does not.
    let (calls, told) = (Arc::new(AtomicU64::new(0)), host.clone());
    let counted = Arc::clone(&calls);
    upstream::serve_at("127.0.0.1:18099", move |_| {
        let series = |source: &str, policy: &str, value: u64| {
            format!(
                "istio_requests_total{{reporter=\"destination\",source_workload=\"{source}\",destination_service=\"{told}\",\
                 connection_security_policy=\"{policy}\",response_code=\"200\"}} {value}\n"
            )
        };
        let mut text = format!("# TYPE istio_requests_total counter\n{}", series("productpage", "mutual_tls", 1000));
        if let calls @ 1.. = counted.load(Ordering::Relaxed) {
            text.push_str(&series("unknown", "none", calls));
        }
        ("200 OK".to_owned(), "content-type: text/plain; version=0.0.4\r\n".to_owned(), text)
    })?;
    let _prometheus = Prometheus::start()?;
    let controller = Controller::start(space, CONTROLLER, METRICS)?;
    apply(&[release(space, half())])?;
    await_programmed(space, EVERYWHERE)?;
    calls.store(3, Ordering::Relaxed);
    let message = await_reason(space, "reviews", "Programmed", "CallersWithoutProxy")?;
    assert_eq!(
        message,
        format!(
            "{host} was called within the last hour by somebody without a proxy, as metric source main knows: these requests go to any pod of \
             the Service, canaries too; give the caller a sidecar, or let it call through a gateway of the mesh"
        )
    );
    // The series goes with the pod that told it.
    calls.store(0, Ordering::Relaxed);
    await_programmed(space, EVERYWHERE)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
