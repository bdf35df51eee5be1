//! Envoy's admin interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take; Envoy's main thread compiles a module in less.
const CAP: Duration = Duration::from_secs(5);

/// A client of the admin interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin(SocketAddr);

impl Admin {
    /// The interface at an address; one that is bound to all addresses is asked at the loopback one.
    pub(super) fn new(mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
            address.set_ip(if address.is_ipv4() { v4 } else { v6 });
        }
        Self(address)
    }

    /// The body of an answer with status 200; `None` for any other outcome.
    async fn ask(self, method: Method, path: &str) -> Option<String> {
        let answer = async {
            let stream = TcpStream::connect(self.0).await.ok()?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            let request =
                Request::builder().method(method).uri(path).header("host", "admin").body(Empty::<Bytes>::new()).ok()?;
            let response = sender.send_request(request).await.ok()?;
            let status = response.status();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            (status == StatusCode::OK).then(|| String::from_utf8_lossy(&body).into_owned())
        };
        timeout(CAP, answer).await.ok().flatten()
    }

    /// Whether Envoy serves.
    pub(super) async fn is_ready(self) -> bool {
        self.ask(Method::GET, "/ready").await.is_some()
    }

    /// Asks Envoy to do something.
    pub(super) async fn post(self, path: &str) -> bool {
        self.ask(Method::POST, path).await.is_some()
    }

    /// The names of the clusters that cannot take requests yet; `None` when Envoy does not answer.
    pub(super) async fn warming_clusters(self) -> Option<BTreeSet<String>> {
        let text = self.ask(Method::GET, "/config_dump?resource=dynamic_warming_clusters&mask=cluster.name").await?;
        let dump: serde_json::Value = serde_json::from_str(&text).ok()?;
        let entries = dump.get("configs").and_then(serde_json::Value::as_array).into_iter().flatten();
        Some(entries.filter_map(|entry| entry.pointer("/cluster/name")?.as_str().map(str::to_owned)).collect())
    }

    /// Statistics whose names begin with a text; `None` when Envoy does not answer.
    pub(super) async fn stats(self, prefix: &str) -> Option<Stats> {
        let filter: String = prefix.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' }).collect();
        self.ask(Method::GET, &format!("/stats?filter=^{filter}")).await.map(|text| Stats::read(&text))
    }

    /// How many requests each cluster has answered, with which class of status and how fast; `None` when Envoy does not answer.
    pub(super) async fn clusters(self) -> Option<Stats> {
        const FILTER: &str = r"^cluster\.outbound.*;\.(canary\.)?upstream_rq_(completed|5xx|time)$";
        let path = format!("/stats?usedonly&histogram_buckets=cumulative&filter={FILTER}");
        self.ask(Method::GET, &path).await.map(|text| Stats::read(&text))
    }

    /// What the filter decided and what clusters answered; `None` when Envoy does not answer.
    pub(super) async fn counters(self) -> Option<Stats> {
        const FILTER: &str = r"(;\.(canary\.)?upstream_rq_(completed|5xx)|decisions_total)$";
        self.ask(Method::GET, &format!("/stats?usedonly&filter={FILTER}")).await.map(|text| Stats::read(&text))
    }

    /// How long requests took, by the names of their histograms: `(lower bound, width, count)` in milliseconds.
    pub(super) async fn times(self) -> Option<BTreeMap<String, Vec<(f64, f64, u64)>>> {
        const FILTER: &str = r";\.(canary\.)?upstream_rq_time$";
        let path = format!("/stats?format=json&usedonly&histogram_buckets=detailed&filter={FILTER}");
        let answer: Histograms = serde_json::from_str(&self.ask(Method::GET, &path).await?).ok()?;
        let all = answer.stats.into_iter().filter_map(|entry| entry.histograms).flat_map(|own| own.details);
        let bins = |own: Histogram| own.totals.into_iter().map(|bin| (bin.lower_bound, bin.width, bin.count)).collect();
        Some(all.map(|own| (own.name.clone(), bins(own))).collect())
    }

    /// What each cluster's hosts are like; `None` when Envoy does not answer.
    pub(super) async fn hosts(self) -> Option<Hosts> {
        serde_json::from_str(&self.ask(Method::GET, "/clusters?format=json").await?).ok()
    }
}

#[derive(Deserialize)]
struct Histograms {
    stats: Vec<HistogramEntry>,
}

#[derive(Deserialize)]
struct HistogramEntry {
    histograms: Option<HistogramDetails>,
}

#[derive(Deserialize)]
struct HistogramDetails {
    #[serde(default)]
    details: Vec<Histogram>,
}

#[derive(Deserialize)]
struct Histogram {
    name: String,
    #[serde(default)]
    totals: Vec<HistogramBin>,
}

#[derive(Deserialize)]
struct HistogramBin {
    lower_bound: f64,
    width: f64,
    count: u64,
}

/// The hosts of all clusters, as Envoy says it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Hosts {
    #[serde(default)]
    cluster_statuses: Vec<ClusterStatus>,
}

#[derive(Debug, Deserialize)]
struct ClusterStatus {
    name: String,
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

#[derive(Debug, Deserialize)]
struct HostStatus {
    address: HostAddress,
    #[serde(default)]
    health_status: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct HostAddress {
    socket_address: Option<SocketStatus>,
}

#[derive(Debug, Deserialize)]
struct SocketStatus {
    address: String,
    port_value: u16,
}

impl Hosts {
    /// Whether each address of a cluster takes requests.
    pub(super) fn ready(&self) -> BTreeMap<(&str, String), bool> {
        let mut ready = BTreeMap::new();
        for cluster in &self.cluster_statuses {
            for host in &cluster.host_statuses {
                let Some(SocketStatus { address, port_value }) = &host.address.socket_address else { continue };
                let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
                // Whatever keeps requests away is a field; one that is well has this alone.
                let is_well =
                    host.health_status.iter().all(|(name, value)| name == "eds_health_status" && value == "HEALTHY");
                ready.insert((cluster.name.as_str(), format!("{address}:{port_value}")), is_well);
            }
        }
        ready
    }
}

/// Some of Envoy's statistics.
#[derive(Debug)]
pub(super) struct Stats(BTreeMap<String, String>);

impl Stats {
    fn read(text: &str) -> Self {
        let line =
            |line: &str| line.rsplit_once(": ").map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
        Self(text.lines().filter_map(line).collect())
    }

    /// All of them, with their values as text.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A counter or gauge; 0 when there is none.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// A text; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}
