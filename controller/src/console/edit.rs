//! A release is changed, made or taken away.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serin_console::frame::May;
use serin_console::pages;
use serin_console::pages::edit::{Edit, Tried, Wrong};
use serin_console::pages::word::Fields;

use super::Console;
use super::answer::{is_part, page, problem};
use super::home::{Change, Home, Refusal, Who};

/// What a new release looks like until somebody says otherwise.
const NEW: &str = "\
apiVersion: serin.dev/v1alpha1
kind: CanaryRelease
metadata:
  name: reviews
  namespace: default
spec:
  service: reviews
  stable: {version: v1}
  canaries:
    - {version: v2, weight: 5%}
  sticky: {by: [{cookie: user}]}
";

type Named = Option<Path<(String, String)>>;

/// The release in a path.
fn id(named: Named) -> Option<String> {
    named.map(|Path((namespace, name))| format!("{namespace}/{name}"))
}

/// Why it cannot be written.
fn hindrance(may: &May, release: Option<&String>) -> String {
    let why = if release.is_some() { &may.edit } else { &may.create };
    why.clone().unwrap_or_default()
}

pub(super) async fn form<H: Home>(State(console): State<Arc<Console<H>>>, named: Named) -> Response {
    let (who, release) = (Who::default(), id(named));
    let frame = console.frame(&who);
    let text = match &release {
        Some(release) if console.subject(release).is_none() => return console.no_release(release),
        Some(release) => console.home.text(&who, release).await,
        None => Ok(NEW.to_owned()),
    };
    let may = console.may(&who, release.as_deref().unwrap_or_default()).await;
    let hindrance = hindrance(&may, release.as_ref());
    match text {
        Ok(text) => {
            let edit =
                Edit { release: release.unwrap_or_default(), before: text.clone(), text, hindrance, ..Edit::default() };
            page(StatusCode::OK, pages::edit(&frame, &edit))
        }
        Err(refusal) => refused(&console, refusal),
    }
}

/// What became of a write that was not done.
fn refused<H: Home>(console: &Console<H>, refusal: Refusal) -> Response {
    let frame = console.frame(&Who::default());
    match refusal {
        Refusal::Invalid(sentence) => problem(StatusCode::UNPROCESSABLE_ENTITY, &frame, "It cannot be so", &sentence),
        Refusal::Forbidden(sentence) => problem(StatusCode::FORBIDDEN, &frame, "Not allowed", &sentence),
        Refusal::Conflict(sentence) => problem(StatusCode::CONFLICT, &frame, "Somebody else was faster", &sentence),
        Refusal::Failed(sentence) => problem(StatusCode::BAD_GATEWAY, &frame, "It does not work", &sentence),
    }
}

fn read(release: Option<String>, fields: &Fields) -> Edit {
    // Browsers send lines as HTTP has them.
    let field = |name: &str| fields.get(name).map(|value| value.replace("\r\n", "\n")).unwrap_or_default();
    let mut text = field("text");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Edit { release: release.unwrap_or_default(), text, before: field("before"), ..Edit::default() }
}

pub(super) async fn preview<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Named,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let (who, release) = (Who::default(), id(named));
    let mut edit = read(release.clone(), &fields);
    match console.home.attempt(&who, release.as_deref(), &edit.text).await {
        Ok(tried) => shown(&console, &headers, Edit { tried: Some(tried), ..edit }),
        Err(Refusal::Invalid(sentence)) => {
            edit.tried = Some(Tried { problems: vec![Wrong { line: None, sentence }], ..Tried::default() });
            shown(&console, &headers, edit)
        }
        Err(refusal) => refused(&console, refusal),
    }
}

/// The page, or what a script asks for.
fn shown<H: Home>(console: &Console<H>, headers: &HeaderMap, edit: Edit) -> Response {
    let is_good = edit.tried.as_ref().is_none_or(|tried| tried.problems.is_empty());
    let status = if is_good { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    match is_part(headers) {
        true => page(status, pages::edit_part(&edit)),
        false => page(status, pages::edit(&console.frame(&Who::default()), &edit)),
    }
}

pub(super) async fn save<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Named,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let (who, release) = (Who::default(), id(named));
    let edit = read(release.clone(), &fields);
    let may = console.may(&who, release.as_deref().unwrap_or_default()).await;
    let hindrance = hindrance(&may, release.as_ref());
    if !hindrance.is_empty() {
        return problem(StatusCode::FORBIDDEN, &console.frame(&who), "Not allowed", &hindrance);
    }
    let same = match console.home.attempt(&who, release.as_deref(), &edit.text).await {
        Ok(tried) if tried.problems.is_empty() => tried.same,
        Ok(tried) => return shown(&console, &headers, Edit { tried: Some(tried), ..edit }),
        Err(refusal) => return refused(&console, refusal),
    };
    let change = Change { release: release.clone(), before: edit.before.clone(), text: Some(edit.text.clone()) };
    let seen = console.revision(release.as_deref().unwrap_or_default());
    match console.home.change(&who, change).await {
        Ok(id) => {
            if !same {
                console.until_seen(&id, &seen).await;
            }
            Redirect::to(&format!("{}/releases/{id}", console.settings.base)).into_response()
        }
        Err(Refusal::Conflict(_)) if release.is_some() => {
            let other = console.home.text(&who, release.as_deref().unwrap_or_default()).await.unwrap_or_default();
            let edit = Edit { before: other.clone(), other, ..edit };
            page(StatusCode::CONFLICT, pages::edit(&console.frame(&who), &edit))
        }
        Err(refusal) => refused(&console, refusal),
    }
}

pub(super) async fn delete<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let (who, id) = (Who::default(), format!("{namespace}/{name}"));
    if let Some(why) = console.may(&who, &id).await.delete {
        return problem(StatusCode::FORBIDDEN, &console.frame(&who), "Not allowed", &why);
    }
    if fields.get("name").map(|name| name.trim()) != Some(name.as_str()) {
        let sentence = format!("Nothing was deleted: type the name `{name}` to delete {id}.");
        return problem(StatusCode::UNPROCESSABLE_ENTITY, &console.frame(&who), "Not deleted", &sentence);
    }
    let before = match console.home.text(&who, &id).await {
        Ok(before) => before,
        Err(refusal) => return refused(&console, refusal),
    };
    let seen = console.revision(&id);
    match console.home.change(&who, Change { release: Some(id.clone()), before, text: None }).await {
        Ok(_) => {
            console.until_seen(&id, &seen).await;
            Redirect::to(&format!("{}/releases", console.settings.base)).into_response()
        }
        Err(refusal) => refused(&console, refusal),
    }
}
