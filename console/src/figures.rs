//! What was counted of releases: decided by the filter, served by upstreams. Pure numbers; where they come from is their source's affair.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::snapshot::Endpoint;
use crate::stats::{Bins, Range};
use crate::verdict::{Counts, Observed};

/// The figures of all releases, over one window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Where they come from, for people: `Envoy's admin interface`.
    pub source: String,
    /// When they were read last; `None` before the first time.
    pub at: Option<Timestamp>,
    /// Between two readings, in seconds.
    pub tick: u32,
    /// The window that they cover, in seconds: shorter than asked for while it has not passed yet.
    pub window: u32,
    /// Why there are none, or why they grow old; `None` while all is well.
    pub problem: Option<String>,
    /// By `NAMESPACE/NAME`.
    pub releases: BTreeMap<String, ReleaseFigures>,
}

/// The figures of one release.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseFigures {
    /// Decisions of the filter in the window, by version and reason; versions without any are not there.
    pub decided: BTreeMap<String, BTreeMap<String, u64>>,
    /// What upstreams served in the window, by the version whose upstreams they are.
    pub served: BTreeMap<String, Served>,
    /// The last half hour, by version.
    pub past: BTreeMap<String, Vec<Point>>,
    /// Whether the endpoints of a version take requests, by version and name.
    #[serde(skip)]
    pub ready: BTreeMap<(String, String), bool>,
    /// What was seen of each version's share, the newest last: by distinct people, or why nothing was.
    #[serde(skip)]
    pub shares: BTreeMap<String, Vec<Result<Observed, String>>>,
}

/// What the upstreams of a version served.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// Requests.
    pub requests: u64,
    /// Those answered with 5xx, or not at all.
    pub failures: u64,
    /// Requests that were decided for the version and answered by another one's upstreams, since none of its own could.
    pub elsewhere: u64,
    /// How long they took, in milliseconds; without any where nothing measured it.
    #[serde(skip)]
    pub times: Bins,
}

/// A moment of the last half hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Its end.
    pub at: Timestamp,
    /// Requests a second.
    pub rate: f64,
    /// The part that did not fail, 0 to 1; `None` without requests.
    pub success: Option<f64>,
    /// In milliseconds; `None` where nothing measured it.
    pub p99: Option<f64>,
}

impl Served {
    /// The counts of requests and failures.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { errors: self.failures, all: self.requests }
    }

    /// The time under which a part of requests stayed, 0 to 1; `None` where nothing measured it.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Range> {
        self.times.quantile(part)
    }

    /// The part that did not fail, 0 to 1; `None` without requests: no data is no success.
    #[must_use]
    pub fn success(&self) -> Option<f64> {
        (self.requests > 0).then(|| 1.0 - self.failures as f64 / self.requests as f64)
    }
}

impl ReleaseFigures {
    /// An endpoint of a version as it is now.
    #[must_use]
    pub fn now(&self, version: &str, endpoint: &Endpoint) -> Endpoint {
        let seen = self.ready.get(&(version.to_owned(), endpoint.name.clone())).copied();
        Endpoint { ready: seen.or(endpoint.ready), ..endpoint.clone() }
    }

    /// Decisions for a version.
    #[must_use]
    pub fn decided_for(&self, version: &str) -> u64 {
        self.decided.get(version).map_or(0, |reasons| reasons.values().sum())
    }

    /// Decisions by weight for a version: what compares with its share.
    #[must_use]
    pub fn by_weight(&self, version: &str) -> u64 {
        self.decided.get(version).and_then(|reasons| reasons.get("weight")).copied().unwrap_or(0)
    }

    /// Decisions by weight for any version.
    #[must_use]
    pub fn all_by_weight(&self) -> u64 {
        self.decided.keys().map(|version| self.by_weight(version)).sum()
    }
}

impl Figures {
    /// For how many seconds nothing was read, where that is longer than three ticks.
    #[must_use]
    pub fn old(&self, now: Timestamp) -> Option<i64> {
        let age = now.as_second().saturating_sub(self.at?.as_second());
        (age > 3 * i64::from(self.tick.max(1))).then_some(age)
    }
}
