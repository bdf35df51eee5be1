//! What changes something: a person's word, looked at first and then said.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serin_console::pages;
use serin_console::pages::word::{Preview, verb};

use super::Console;
use super::answer::{is_part, page, problem};
use super::home::{Home, Refusal, Who};

type Fields = BTreeMap<String, String>;

/// What a form comes to.
pub(super) async fn preview<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let id = format!("{namespace}/{name}");
    let Some(subject) = console.subject(&id) else { return console.no_release(&id) };
    let action = fields.get("action").map(String::as_str).unwrap_or_default();
    let preview = Preview::new(&subject, action, &fields, &console.people(&subject), Timestamp::now());
    shown(&console, &headers, &preview)
}

/// A preview as a page, or as the part that a script asks for.
fn shown<H: Home>(console: &Console<H>, headers: &HeaderMap, preview: &Preview) -> Response {
    let frame = console.frame(&Who::default());
    let status = if preview.problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    match is_part(headers) {
        true => page(status, pages::preview_part(&frame, preview)),
        false => page(status, pages::preview(&frame, preview)),
    }
}

/// Says a word.
pub(super) async fn act<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let id = format!("{namespace}/{name}");
    let who = Who::default();
    let Some(subject) = console.subject(&id) else { return console.no_release(&id) };
    if let Some(why) = console.may(&who, &id).await.speak {
        return problem(StatusCode::FORBIDDEN, &console.frame(&who), "Not allowed", &why);
    }
    // Who looked at something else is shown what it comes to now.
    if fields.get("revision").is_some_and(|revision| *revision != subject.revision()) {
        let mut preview = Preview::new(&subject, &action, &fields, &console.people(&subject), Timestamp::now());
        preview.question =
            format!("The release has changed since you looked: this is what it comes to now. {}", preview.question);
        let frame = console.frame(&who);
        return page(StatusCode::CONFLICT, pages::preview(&frame, &preview));
    }
    let before = subject.revision();
    let said = match verb(&action, &fields) {
        Ok(verb) => console.home.say(&who, &id, verb, fields.get("because").cloned().unwrap_or_default()).await,
        Err(sentence) => Err(Refusal::Invalid(sentence)),
    };
    let frame = console.frame(&who);
    match said {
        Ok(is_news) => {
            if is_news {
                console.until_seen(&id, &before).await;
            }
            Redirect::to(&format!("{}/releases/{id}", frame.base)).into_response()
        }
        Err(Refusal::Invalid(_)) => {
            shown(&console, &headers, &Preview::new(&subject, &action, &fields, &console.people(&subject), Timestamp::now()))
        }
        Err(Refusal::Forbidden(sentence)) => problem(StatusCode::FORBIDDEN, &frame, "Not allowed", &sentence),
        Err(Refusal::Conflict(sentence)) => problem(StatusCode::CONFLICT, &frame, "Somebody else was faster", &sentence),
        Err(Refusal::Failed(sentence)) => problem(StatusCode::BAD_GATEWAY, &frame, "It was not written", &sentence),
    }
}
