//! Istio's standard metrics. By `destination_workload`: neither `destination_version` nor the canonical revision is the subset's for sure, and
//! what cannot connect has no version at all; whoever reads an answer knows the workloads of each version.

use crate::promql::selector::{Selector, rate, success, sum};

const REQUESTS: &str = "istio_requests_total";
const BUCKETS: &str = "istio_request_duration_milliseconds_bucket";
const BY: [&str; 2] = ["destination_service", "destination_workload"];

/// Who counted. A call between two sidecars is counted by both, so reporters are not added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// The caller's sidecar or gateway: with what did not reach any pod.
    Source,
    /// The server's sidecar: with callers that have none.
    Destination,
    /// A waypoint of ambient mode.
    Waypoint,
    /// [`Source`](Self::Source) and [`Waypoint`](Self::Waypoint), for edges.
    Callers,
}

impl Reporter {
    fn of(self, metric: &'static str, hosts: &[&str]) -> Selector {
        let selector = Selector::new(metric).one_of("destination_service", hosts);
        match self {
            Self::Source => selector.is("reporter", "source"),
            Self::Destination => selector.is("reporter", "destination"),
            Self::Waypoint => selector.is("reporter", "waypoint"),
            Self::Callers => selector.matches("reporter", "source|waypoint"),
        }
    }
}

/// Requests per second, by service and workload.
#[must_use]
pub fn requests(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    sum(&BY, &rate(&reporter.of(REQUESTS, hosts), window))
}

/// HTTP errors per second, by service and workload: 5xx, and no answer but where the client went away (`DC`). Without gRPC.
#[must_use]
pub fn http_errors(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    let errors = reporter.of(REQUESTS, hosts).not("request_protocol", "grpc").matches("response_code", "5..|0");
    sum(&BY, &rate(&errors.differs("response_flags", ".*DC.*"), window))
}

/// gRPC errors per second, by service and workload: a status that is there and not 0. Its HTTP code is 200 all the same.
#[must_use]
pub fn grpc_errors(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    let errors = reporter.of(REQUESTS, hosts).is("request_protocol", "grpc").differs("grpc_response_status", "0|");
    sum(&BY, &rate(&errors, window))
}

/// All errors per second, by service and workload; 0 where there are requests and no errors.
#[must_use]
pub fn errors(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    let all = requests(reporter, hosts, window);
    let [http, grpc] = [http_errors(reporter, hosts, window), grpc_errors(reporter, hosts, window)];
    format!("({http} or {all} * 0) + ({grpc} or {all} * 0)")
}

/// The part of requests without error, from 0 to 1, by service and workload. Not a number where there are no requests. From the side of
/// callers: the server's knows nothing of what did not reach it.
#[must_use]
pub fn success_ratio(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    let errors = [http_errors(reporter, hosts, window), grpc_errors(reporter, hosts, window)];
    success(&requests(reporter, hosts, window), &errors)
}

/// The buckets of durations per second, in ms and cumulative, by `le`, service and workload: what
/// [`Bins::cumulative`](crate::stats::Bins::cumulative) takes.
#[must_use]
pub fn buckets(reporter: Reporter, hosts: &[&str], window: u64) -> String {
    let [service, workload] = BY;
    sum(&["le", service, workload], &rate(&reporter.of(BUCKETS, hosts), window))
}

/// A quantile of durations in ms, by service and workload; a point within a bucket that may be wide.
#[must_use]
pub fn quantile(reporter: Reporter, hosts: &[&str], q: f64, window: u64) -> String {
    format!("histogram_quantile({q}, {})", buckets(reporter, hosts, window))
}

/// Requests per second from each caller to each workload, with codes and flags.
#[must_use]
pub fn edges(hosts: &[&str], window: u64) -> String {
    let [service, workload] = BY;
    let by = ["source_workload_namespace", "source_workload", service, workload, "response_code", "response_flags"];
    sum(&by, &rate(&Reporter::Callers.of(REQUESTS, hosts), window))
}

/// Requests per second that reached no workload, by service and flag: a row of their own, and nobody's success.
#[must_use]
pub fn unreached(hosts: &[&str], window: u64) -> String {
    let selector = Reporter::Callers.of(REQUESTS, hosts).is("destination_workload", "unknown");
    sum(&["destination_service", "response_flags"], &rate(&selector, window))
}
