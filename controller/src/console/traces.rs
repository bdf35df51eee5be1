//! Traces: a list, and one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serin_console::pages;
use serin_console::pages::traces::{Asked, List, One};

use super::Console;
use super::answer::{json, page, problem};
use super::home::{Home, Who};
use super::pages::Fields;

fn asked(fields: &BTreeMap<String, String>) -> Asked {
    let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    Asked {
        service: field("service"),
        version: field("version"),
        reason: field("reason"),
        status: field("status"),
        min: field("min"),
    }
}

pub(super) async fn list<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    let hindrance = console.home.no_traces();
    let list = console.home.with_traces(|traces| List::new(traces, asked(&fields), &hindrance));
    page(StatusCode::OK, pages::traces(&console.frame(&Who::default()), &list))
}

pub(super) async fn list_json<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    let hindrance = console.home.no_traces();
    json(&console.home.with_traces(|traces| List::new(traces, asked(&fields), &hindrance)))
}

pub(super) async fn one<H: Home>(State(console): State<Arc<Console<H>>>, Path(id): Path<String>) -> Response {
    let (id, is_json) = id.strip_suffix(".json").map_or((id.as_str(), false), |id| (id, true));
    let frame = console.frame(&Who::default());
    match console.home.with_traces(|traces| traces.get(id).as_ref().map(One::new)) {
        Some(trace) if is_json => json(&trace),
        Some(trace) => page(StatusCode::OK, pages::trace(&frame, &trace)),
        None => {
            let sentence =
                "This trace is not kept: it was not sampled, its spans are not here yet, or newer ones took its place.";
            problem(StatusCode::NOT_FOUND, &frame, "Not found", sentence)
        }
    }
}
