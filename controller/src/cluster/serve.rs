//! What the controller serves over HTTP: the filter for proxies and its health, and metrics, there or at a port of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::{self, Access};
use super::metrics::Metrics;
use super::modules::Modules;

/// What the answers come from.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) metrics: Metrics,
    pub(super) modules: Modules,
    /// Whether the API server has answered once, and the process is not about to end.
    pub(super) ready: Arc<AtomicBool>,
    /// Who may read metrics; `None` where everybody may who reaches them.
    pub(super) access: Option<Arc<Access>>,
}

/// What every port answers.
fn health() -> Router<Served> {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
}

/// The port of the proxies, with the metrics where they have no port of their own.
pub(super) fn for_proxies(served: Served, with_metrics: bool) -> Router {
    let router = health().route("/filter/{file}", get(filter));
    let router = if with_metrics { router.route(access::PATH, get(metrics)) } else { router };
    router.with_state(served)
}

/// The port of the metrics. Its health does not depend on what is sent to the other one.
pub(super) fn for_metrics(served: Served) -> Router {
    health().route(access::PATH, get(metrics)).with_state(served)
}

async fn ready(State(served): State<Served>) -> (StatusCode, &'static str) {
    match served.ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the API server has not answered yet, the controller is stopping, or that of another namespace writes to this mesh\n",
        ),
    }
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Some(access) = &served.access
        && let Err(refused) = access.check(&headers).await
    {
        return refused.into_response();
    }
    let kind = (header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([kind], served.metrics.text()).into_response()
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
