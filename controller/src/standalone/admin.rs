//! Envoy's admin interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
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

    /// A counter or gauge; 0 when there is none.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// A text; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}
