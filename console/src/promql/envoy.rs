//! Envoy's own counters of clusters, in two dialects. A cluster's name is `outbound|PORT|SUBSET|HOST`; with a health check of its own the version's
//! hosts are in `NAME|own`, and `NAME` may be served by stable: one is *decided*, the other *served*.

use crate::promql::selector::{Selector, any, rate, success, sum};

/// How Envoy's metrics and labels are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy's own: `envoy_cluster_name`, `envoy_response_code_class`.
    Standalone,
    /// Istio's tags: `cluster_name`, `response_code_class`. Its sidecars expose clusters only where `proxyStatsMatcher` includes them.
    Mesh,
}

impl Dialect {
    /// The label of the cluster's name, by which all answers are.
    #[must_use]
    pub fn cluster(self) -> &'static str {
        match self {
            Self::Standalone => "envoy_cluster_name",
            Self::Mesh => "cluster_name",
        }
    }

    fn of(self, metric: &'static str, hosts: &[&str], suffix: &str) -> Selector {
        let selector = Selector::new(metric);
        if hosts.is_empty() {
            return selector.one_of(self.cluster(), &[]);
        }
        selector.matches(self.cluster(), &format!(r"outbound\|[0-9]+\|[^|]*\|({}){suffix}", any(hosts.iter().copied())))
    }

    /// Answered requests. In the mesh one name has two breakdowns, and a sum of both counts twice.
    fn answered(self, hosts: &[&str]) -> Selector {
        match self {
            Self::Standalone => self.of("envoy_cluster_upstream_rq_xx", hosts, ""),
            Self::Mesh => self.of("envoy_cluster_upstream_rq", hosts, "").not("response_code_class", ""),
        }
    }

    fn failed(self, hosts: &[&str]) -> Selector {
        match self {
            Self::Standalone => self.answered(hosts).is("envoy_response_code_class", "5"),
            Self::Mesh => self.of("envoy_cluster_upstream_rq", hosts, "").is("response_code_class", "5xx"),
        }
    }
}

/// Answered requests per second, by cluster, for whom the version was decided.
#[must_use]
pub fn requests(dialect: Dialect, hosts: &[&str], window: u64) -> String {
    sum(&[dialect.cluster()], &rate(&dialect.answered(hosts), window))
}

/// Answers with 5xx per second, by cluster; 0 where there are answers and none of these.
#[must_use]
pub fn errors(dialect: Dialect, hosts: &[&str], window: u64) -> String {
    let failed = sum(&[dialect.cluster()], &rate(&dialect.failed(hosts), window));
    format!("{failed} or {} * 0", requests(dialect, hosts, window))
}

/// The part of answers without 5xx, from 0 to 1, by cluster. Not a number where there are none.
#[must_use]
pub fn success_ratio(dialect: Dialect, hosts: &[&str], window: u64) -> String {
    let failed = sum(&[dialect.cluster()], &rate(&dialect.failed(hosts), window));
    success(&requests(dialect, hosts, window), &[failed])
}

/// Requests per second that were sent to hosts, by cluster, `NAME|own` included: a version with a health check was served by its own hosts as
/// often as `NAME|own` counts.
#[must_use]
pub fn served(dialect: Dialect, hosts: &[&str], window: u64) -> String {
    sum(&[dialect.cluster()], &rate(&dialect.of("envoy_cluster_upstream_rq_total", hosts, r"(\|own)?"), window))
}

/// Healthy hosts, by cluster, `NAME|own` included. Of an aggregate it is always 0: there `NAME|own` counts.
#[must_use]
pub fn healthy(dialect: Dialect, hosts: &[&str]) -> String {
    format!("max by ({})({})", dialect.cluster(), dialect.of("envoy_cluster_membership_healthy", hosts, r"(\|own)?"))
}

/// The buckets of durations per second, in ms and cumulative, by `le` and cluster.
#[must_use]
pub fn buckets(dialect: Dialect, hosts: &[&str], window: u64) -> String {
    let selector = dialect.of("envoy_cluster_upstream_rq_time_bucket", hosts, "");
    sum(&["le", dialect.cluster()], &rate(&selector, window))
}

/// A quantile of durations in ms, by cluster; a point within a bucket that may be wide.
#[must_use]
pub fn quantile(dialect: Dialect, hosts: &[&str], q: f64, window: u64) -> String {
    format!("histogram_quantile({q}, {})", buckets(dialect, hosts, window))
}
