//! Queries in PromQL, and what their answers mean.

use std::collections::BTreeMap;

use serin_release::lifecycle::evidence::counts::Counts;
use serin_release::lifecycle::verdict::watch::Series;

/// What is asked of a metric source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The name of the source.
    pub source: String,
    /// The query; its answer is an instant vector.
    pub promql: String,
}

/// What sources answered; a question without an answer is not in it.
pub type Answers = BTreeMap<Question, Vec<Sample>>;

/// One line of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The value of a counter.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of what is no count gives 0 or the most"
    )]
    pub(super) fn count(&self) -> u64 {
        self.value.round() as u64
    }

    fn is_of(&self, host: &str, version: &str) -> bool {
        self.label("destination_service") == host && self.label("destination_version") == version
    }
}

/// Who reports: the proxy of the caller, which also knows of calls that reached nobody, and a waypoint, which stands for it.
const REPORTER: &str = r#"reporter=~"source|waypoint""#;

/// What tells series apart that a restart or another pod begins anew.
const SERIES: &str = "instance, pod, reporter, destination_service, destination_version";

/// The edges of Istio's histograms in milliseconds.
const EDGES: [u32; 19] = [
    1,
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1000,
    2500,
    5000,
    10_000,
    30_000,
    60_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    u32::MAX,
];

fn matchers(namespace: &str, labels: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{REPORTER},destination_service_namespace={namespace:?}{comma}{labels}")
}

/// All requests of a namespace's services.
pub(super) fn requests(namespace: &str, labels: &str) -> String {
    let matchers = matchers(namespace, labels);
    format!("sum by ({SERIES}, response_code, response_flags, grpc_response_status) (istio_requests_total{{{matchers}}})")
}

/// How long they took: those within a time, which is rounded up to an edge, and all.
pub(super) fn durations(namespace: &str, milliseconds: u32, labels: &str) -> String {
    let edge = EDGES.into_iter().find(|edge| *edge >= milliseconds).unwrap_or(milliseconds);
    let matchers = matchers(namespace, labels);
    // Prometheus 3 writes whole numbers with a decimal.
    let edges = format!(r#"le=~"{edge}([.]0)?|[+]Inf""#);
    format!("sum by ({SERIES}, le) (istio_request_duration_milliseconds_bucket{{{matchers},{edges}}})")
}

/// A query of an owner's, about one version.
pub(super) fn filled_in(query: &str, version: &str, service: &str, namespace: &str) -> String {
    // Names hold no `$`, so that one does not fill in another.
    query.replace("$version", version).replace("$service", service).replace("$namespace", namespace)
}

/// The requests of a version, and those that failed: with a status from 500 on or no answer, and for gRPC with a status that a server is to
/// blame for (UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS). A caller that went away is nobody's failure.
pub(super) fn failures(samples: &[Sample], host: &str, version: &str) -> Series {
    let series = |sample: &Sample| {
        let all = sample.count();
        let code: u16 = sample.label("response_code").parse().unwrap_or_default();
        let fails = match sample.label("grpc_response_status") {
            "" => code >= 500 || code == 0 && !sample.label("response_flags").split(',').any(|flag| flag == "DC"),
            status => code >= 500 || ["2", "4", "8", "13", "14", "15"].contains(&status),
        };
        (format!("{:?}", sample.labels), Counts { bad: if fails { all } else { 0 }, all })
    };
    samples.iter().filter(|sample| sample.is_of(host, version)).map(series).collect()
}

/// The requests of a version, and those that took longer than the edge that was asked for.
pub(super) fn slow(samples: &[Sample], host: &str, version: &str) -> Series {
    let mut both: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.is_of(host, version)) {
        let mut labels = sample.labels.clone();
        let is_all = labels.remove("le").is_some_and(|le| le == "+Inf");
        let (within, all) = both.entry(format!("{labels:?}")).or_default();
        *(if is_all { all } else { within }) += sample.count();
    }
    both.into_iter().map(|(name, (within, all))| (name, Counts { bad: all.saturating_sub(within), all })).collect()
}
