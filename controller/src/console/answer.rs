//! Answers: HTML, JSON, a sentence about what went wrong.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serin_console::frame::Frame;
use serin_console::pages::{self, Written};

/// A page, as it is now: nobody keeps it.
pub(super) fn page(status: StatusCode, written: Written) -> Response {
    match written {
        Ok(html) => (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be written: {error}\n")).into_response(),
    }
}

/// The same for tools.
pub(super) fn json(twin: &impl Serialize) -> Response {
    match serde_json::to_string(twin) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, text + "\n").into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {error}\n")).into_response()
        }
    }
}

/// What went wrong, as a page.
pub(super) fn problem(status: StatusCode, frame: &Frame, title: &str, sentence: &str) -> Response {
    page(status, pages::problem(frame, title, sentence))
}

/// Whether a script of the page asks, which takes a part of it.
pub(super) fn is_part(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}
