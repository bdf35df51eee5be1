//! What a change costs the controller, and how soon it is seen: one release among all, followed into Envoy.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value does not have is null")]

use std::time::{Duration, Instant};

use serde_json::json;
use serin_tests::mesh::{Client, Controller, apply, await_reason, eventually, get, half, release};

use crate::Result;
use crate::api::{Api, releases};

const CHANGES: usize = 50;

/// What was seen of the changes.
pub(crate) struct Changes {
    /// Milliseconds to the first effect in Envoy, in order.
    latencies: Vec<f64>,
    /// The most writes for one.
    pub(crate) most_writes: f64,
    /// The mean of the controller's rounds.
    pub(crate) round: Duration,
}

impl Changes {
    /// A share of them took at most so many milliseconds.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let index = (share * (CHANGES - 1) as f64).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }

    pub(crate) const fn count(&self) -> usize {
        CHANGES
    }
}

/// Takes one release over to v2 and back, again and again.
pub(crate) fn follow(controller: &Controller, api: &mut Api) -> Result<Changes> {
    let before = rounds(controller)?;
    apply(&[release("watched", half())])?;
    await_reason("watched", "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of("watched")?;
    let (mut latencies, mut most_writes) = (Vec::new(), 0.0);
    for change in 0..CHANGES {
        let version = if change % 2 == 0 { "v2" } else { "v1" };
        let writes = controller.writes()?;
        let start = Instant::now();
        api.patch(&format!("{}/reviews", releases("watched")), &json!({"spec": {"takeover": version}}))?;
        while client.ask("/", &[("cookie", "user=ann")])?.version != version {}
        latencies.push(start.elapsed().as_secs_f64() * 1000.0);
        is_observed("watched", "reviews")?;
        most_writes = f64::max(most_writes, controller.writes()? - writes);
    }
    let after = rounds(controller)?;
    latencies.sort_by(f64::total_cmp);
    let round = Duration::from_secs_f64((after.0 - before.0) / (after.1 - before.1).max(1.0));
    Ok(Changes { latencies, most_writes, round })
}

/// Waits until the status of a release tells of its spec.
fn is_observed(namespace: &str, name: &str) -> Result<()> {
    eventually("the status tells of it", || {
        let object = get("crel", namespace, name)?;
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        Ok(if current { Ok(()) } else { Err("not yet".into()) })
    })
}

/// The sum of all rounds in seconds, and their number.
fn rounds(controller: &Controller) -> Result<(f64, f64)> {
    Ok((
        controller.metric("serin_round_duration_seconds_sum", "")?,
        controller.metric("serin_round_duration_seconds_count", "")?,
    ))
}
