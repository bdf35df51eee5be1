//! Why a request gets its version: a form, or what a person pasted.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serin_console::pages::explain::{self, Explain};
use serin_console::pages::word::Fields;
use serin_console::{pages, pasted};

use super::Console;
use super::answer::{is_part, page};
use super::home::{Home, Who};
use crate::cli::explain::request::Asked;

type Named = Option<Path<(String, String)>>;

/// The page, with an answer where the query of a link asks for one.
pub(super) async fn form<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Named,
    Query(fields): Query<Fields>,
) -> Response {
    let explain = answered(&console, named, &fields).await;
    page(StatusCode::OK, pages::explain(&console.frame(&Who::default()), &explain))
}

/// The answer to a form: what it holds is not in an address, where logs would keep it.
pub(super) async fn ask<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Named,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let explain = answered(&console, named, &fields).await;
    let status = if explain.problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = console.frame(&Who::default());
    match is_part(&headers) {
        true => page(status, pages::explain_part(&frame, &explain)),
        false => page(status, pages::explain(&frame, &explain)),
    }
}

async fn answered<H: Home>(console: &Console<H>, named: Named, fields: &Fields) -> Explain {
    let release = named.map(|Path((namespace, name))| format!("{namespace}/{name}")).unwrap_or_default();
    let mut asked = explain::Asked::read(fields);
    let service = console.subject(&release).and_then(|subject| subject.services.first().cloned());
    if let Some(service) = service.filter(|_| asked.destination.is_empty()) {
        asked.destination = format!("{}:{}", service.host, service.port);
    }
    let mut explain = Explain { release, asked, ..Explain::default() };
    if explain.asked.is_nothing() {
        return explain;
    }
    // What was pasted says all of the request, but for the client's address.
    let read = match pasted::read(&explain.asked.pasted) {
        _ if explain.asked.pasted.is_empty() => Ok(explain.asked.clone()),
        Ok(pasted) => {
            explain.notes.clone_from(&pasted.notes);
            Ok(explain.asked.with(&pasted))
        }
        Err(error) => Err(error.to_string()),
    };
    let told = match read.and_then(|asked| request(&asked).map(|request| (asked, request))) {
        Ok((asked, request)) => {
            let release = Some(explain.release.as_str()).filter(|release| !release.is_empty());
            explain.command = console.home.command(release, &asked);
            console.home.explain(release, request).await
        }
        Err(sentence) => Err(sentence),
    };
    match told {
        Ok(answer) => {
            explain.answer = Some(answer);
        }
        Err(sentence) => explain.problem = sentence,
    }
    explain
}

/// The request of a form.
fn request(asked: &explain::Asked) -> Result<Asked, String> {
    let is_set = |text: &String| !text.is_empty();
    let headers = asked.all_headers()?.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    let source: Result<Option<IpAddr>, String> = Some(&asked.source)
        .filter(|source| is_set(source))
        .map(|source| source.parse().map_err(|_| format!("`{source}` is not an IP address; write one such as 10.0.0.1")))
        .transpose();
    Ok(Asked { destination: Some(asked.destination.clone()).filter(is_set), headers, source: source?, number: 0 })
}
