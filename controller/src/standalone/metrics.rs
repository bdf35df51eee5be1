//! What tells a scraper whether file and proxy agree.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

use crate::cli::Failure;

/// How long a client may take to ask.
const CAP: Duration = Duration::from_secs(10);

/// All metrics; a copy speaks of the same.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    file_applied: Gauge,
    file_generation: Gauge,
    applied_generation: Gauge,
    apply_failures: Counter,
    envoy_restarts: Counter,
    last_apply: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Metrics of a file whose first text is not served yet.
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("serin_standalone");
        let (file_applied, file_generation, applied_generation) = (Gauge::default(), Gauge::default(), Gauge::default());
        let (apply_failures, envoy_restarts, last_apply) = (Counter::default(), Counter::default(), Gauge::default());
        registry.register(
            "file_applied",
            "1 while Envoy serves FILE as it stands, 0 while they differ",
            file_applied.clone(),
        );
        registry.register("file_generation", "Texts of FILE that were seen since the start", file_generation.clone());
        registry.register("applied_generation", "The text of FILE that Envoy serves", applied_generation.clone());
        registry.register(
            "apply_failures",
            "Tries to bring a text of FILE to Envoy that failed, those of texts that are not valid included",
            apply_failures.clone(),
        );
        registry.register(
            "envoy_restarts",
            "Envoys that ended by themselves and were started again",
            envoy_restarts.clone(),
        );
        let help = "When a text of FILE was last brought to Envoy, in seconds since 1970";
        registry.register_with_unit("last_apply_timestamp", help, Unit::Seconds, last_apply.clone());
        file_generation.set(1);
        Self(Arc::new(Families {
            registry,
            file_applied,
            file_generation,
            applied_generation,
            apply_failures,
            envoy_restarts,
            last_apply,
        }))
    }

    /// FILE has another text.
    pub(super) fn file_changed(&self) {
        self.0.file_generation.inc();
        self.0.file_applied.set(0);
    }

    /// Envoy serves the text that FILE has.
    pub(super) fn applied(&self) {
        self.0.applied_generation.set(self.0.file_generation.get());
        self.0.file_applied.set(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.last_apply.set(now.as_secs_f64());
    }

    /// FILE has the text again that Envoy serves.
    pub(super) fn agrees(&self) {
        self.0.applied_generation.set(self.0.file_generation.get());
        self.0.file_applied.set(1);
    }

    pub(super) fn apply_failed(&self) {
        self.0.apply_failures.inc();
    }

    /// An Envoy has ended by itself, and another one does not serve yet.
    pub(super) fn envoy_restarted(&self) {
        self.0.envoy_restarts.inc();
        self.0.file_applied.set(0);
    }

    /// The text that Prometheus reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, kind, body) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => {
                (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", self.text())
            }
            _ => (StatusCode::NOT_FOUND, "text/plain", "only GET /metrics is answered here\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

/// Answers at an address as long as the process lives.
pub(super) async fn serve(address: SocketAddr, metrics: Metrics) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| Failure::running(&format!("`{address}`"), error))?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely: they become fewer.
                tokio::time::sleep(CAP / 100).await;
                continue;
            };
            let metrics = metrics.clone();
            let service = service_fn(move |request| {
                let response = metrics.answer(&request);
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = http1::Builder::new();
            server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(CAP);
            // A client that goes away or asks for too long is the client's affair.
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_proxy_agree_or_not() {
        let metrics = Metrics::new();
        let values = || {
            let text = metrics.text();
            let value = |name: &str| {
                let prefix = format!("serin_standalone_{name} ");
                let line = text.lines().find_map(|line| line.strip_prefix(prefix.as_str()).map(str::to_owned));
                line.unwrap_or_else(|| panic!("no {name} in {text}"))
            };
            ["file_applied", "file_generation", "applied_generation", "apply_failures_total", "envoy_restarts_total"]
                .map(value)
        };
        assert_eq!(values(), ["0", "1", "0", "0", "0"]);
        metrics.applied();
        assert_eq!(values(), ["1", "1", "1", "0", "0"]);
        metrics.file_changed();
        metrics.apply_failed();
        assert_eq!(values(), ["0", "2", "1", "1", "0"]);
        metrics.file_changed();
        metrics.agrees();
        assert_eq!(values(), ["1", "3", "3", "1", "0"]);
        metrics.envoy_restarted();
        assert_eq!(values(), ["0", "3", "3", "1", "1"]);
        assert!(metrics.text().contains("serin_standalone_last_apply_timestamp_seconds 1"), "{}", metrics.text());
    }
}
