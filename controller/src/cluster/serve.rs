//! What the controller serves over HTTP: health, metrics, and the filter for proxies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;
use super::modules::Modules;

/// What the answers come from.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) metrics: Metrics,
    pub(super) modules: Modules,
    /// Whether the API server has answered once, and the process is not about to end.
    pub(super) ready: Arc<AtomicBool>,
}

/// Serves until `stop` is done; requests under way are answered.
pub(super) async fn serve(
    listener: TcpListener,
    served: Served,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/filter/{file}", get(filter))
        .with_state(served);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ready(State(served): State<Served>) -> (StatusCode, &'static str) {
    match served.ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet, or the controller is stopping\n"),
    }
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], served.metrics.text())
}

async fn filter(State(served): State<Served>, Path(file): Path<String>) -> Response {
    let module = match file.strip_suffix(".wasm") {
        Some(sha256) => served.modules.get(sha256).await,
        None => None,
    };
    match module {
        Some(bytes) => {
            let headers =
                [(header::CONTENT_TYPE, "application/wasm"), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no filter of this digest\n").into_response(),
    }
}
