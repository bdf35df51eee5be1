//! Pages that show something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serin_console::frame::{ASSETS, Frame, May};
use serin_console::pages;
use serin_console::pages::list::{Filter, List};
use serin_console::pages::release::Release;
use serin_console::pages::requests::Requests;
use serin_console::pages::topology::Topology;
use serin_console::requests::{self, People};
use serin_console::snapshot::Subject;

use super::answer::{json, page, problem};
use super::home::{Home, Who};
use super::{Console, LATELY};

/// The fields of a query.
pub(super) type Fields = Query<BTreeMap<String, String>>;

/// So long a page waits for what was written to be seen.
const PATIENCE: Duration = Duration::from_secs(3);

/// Behind a name it asks for the twin of a page.
const JSON: &str = ".json";

impl<H: Home> Console<H> {
    /// What stands around each page.
    pub(super) fn frame(&self, who: &Who) -> Frame {
        let notices = self.home.snapshots().borrow().notices.clone();
        Frame {
            base: self.settings.base.clone(),
            home: self.home.named(),
            user: who.name.clone(),
            notices,
            has: self.home.has(),
        }
    }

    /// A release that is there.
    pub(super) fn subject(&self, id: &str) -> Option<Arc<Subject>> {
        self.home.snapshots().borrow().releases.get(id).cloned()
    }

    /// What somebody may do about a release here.
    pub(super) async fn may(&self, who: &Who, id: &str) -> May {
        match self.settings.read_only {
            true => May::nothing("this console only shows: it was started to be read only"),
            false => self.home.may(who, id).await,
        }
    }

    /// The people of a release that were seen lately.
    pub(super) fn people(&self, subject: &Subject) -> People {
        let now = Timestamp::now().as_second();
        self.home.with_requests(|ring| ring.people(&subject.addresses(), now - LATELY..now + 1).0)
    }

    /// What a release was like when this was asked; empty where there was none.
    pub(super) fn revision(&self, id: &str) -> String {
        self.subject(id).map(|subject| subject.revision()).unwrap_or_default()
    }

    /// Waits until a release is another one than it was, as long as a person waits for a page.
    pub(super) async fn until_seen(&self, id: &str, before: &str) {
        let mut snapshots = self.home.snapshots();
        let seen = snapshots
            .wait_for(|snapshot| snapshot.releases.get(id).map(|subject| subject.revision()).unwrap_or_default() != before);
        // Later the page shows it by itself.
        let _ = tokio::time::timeout(PATIENCE, seen).await;
    }

    /// There is no such release.
    pub(super) fn no_release(&self, id: &str) -> Response {
        let sentence = format!("There is no release {id}, or no more.");
        problem(StatusCode::NOT_FOUND, &self.frame(&Who::default()), "Not found", &sentence)
    }
}

/// The filter in a query.
pub(super) fn filter(fields: &BTreeMap<String, String>) -> Filter {
    let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    Filter {
        ns: field("ns"),
        q: field("q"),
        phase: field("phase"),
        sort: field("sort"),
        page: field("page").parse().unwrap_or(1),
    }
}

pub(super) async fn start(OriginalUri(uri): OriginalUri) -> Redirect {
    Redirect::to(&format!("{}/releases", uri.path().trim_end_matches('/')))
}

pub(super) async fn list<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    let (snapshot, figures) = (console.home.snapshots().borrow().clone(), console.home.figures().borrow().clone());
    let list = List::new(&snapshot, &figures, filter(&fields), Timestamp::now());
    page(StatusCode::OK, pages::list(&console.frame(&Who::default()), &list))
}

pub(super) async fn list_json<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    let (snapshot, figures) = (console.home.snapshots().borrow().clone(), console.home.figures().borrow().clone());
    json(&List::new(&snapshot, &figures, filter(&fields), Timestamp::now()))
}

pub(super) async fn release<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let (name, is_json) = name.strip_suffix(JSON).map_or((name.as_str(), false), |name| (name, true));
    let id = format!("{namespace}/{name}");
    let who = Who::default();
    let Some(subject) = console.subject(&id) else { return console.no_release(&id) };
    let figures = console.home.figures().borrow().clone();
    let release = Release::new(&subject, &figures, console.may(&who, &id).await, Timestamp::now());
    match is_json {
        true => json(&release),
        false => page(StatusCode::OK, pages::release(&console.frame(&who), &release)),
    }
}

pub(super) async fn history<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let id = format!("{namespace}/{name}");
    let Some(subject) = console.subject(&id) else { return console.no_release(&id) };
    let figures = console.home.figures().borrow().clone();
    let release = Release::new(&subject, &figures, May::default(), Timestamp::now());
    page(StatusCode::OK, pages::history(&console.frame(&Who::default()), &release))
}

impl<H: Home> Console<H> {
    /// The last requests of a release, or of all; `None` where there is no such release.
    pub(super) fn requests(&self, release: Option<&str>, filter: requests::Filter) -> Option<Requests> {
        let subject = match release {
            Some(id) => Some(self.subject(id)?),
            None => None,
        };
        let hindrance = self.home.no_requests();
        Some(self.home.with_requests(|ring| Requests::new(subject.as_deref(), ring, filter, &hindrance)))
    }
}

impl<H: Home> Console<H> {
    /// Who calls whom, of a release or of all; `None` where there is no such release.
    pub(super) fn topology(&self, release: Option<&str>) -> Option<Topology> {
        let (snapshot, figures) = (self.home.snapshots().borrow().clone(), self.home.figures().borrow().clone());
        let subjects: Vec<&Subject> = match release {
            Some(id) => vec![snapshot.releases.get(id)?],
            None => snapshot.releases.values().map(|subject| &**subject).collect(),
        };
        let name = release.unwrap_or_default();
        Some(Topology::new(&subjects, name, &figures, &self.settings.base, Timestamp::now()))
    }
}

pub(super) async fn topology<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Option<Path<(String, String)>>,
) -> Response {
    let id = named.map(|Path((namespace, name))| format!("{namespace}/{name}"));
    match console.topology(id.as_deref()) {
        Some(topology) => page(StatusCode::OK, pages::topology(&console.frame(&Who::default()), &topology)),
        None => console.no_release(&id.unwrap_or_default()),
    }
}

pub(super) async fn topology_json<H: Home>(State(console): State<Arc<Console<H>>>) -> Response {
    match console.topology(None) {
        Some(topology) => json(&topology),
        None => console.no_release(""),
    }
}

/// The filter in a query.
pub(super) fn request_filter(fields: &BTreeMap<String, String>) -> requests::Filter {
    let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    requests::Filter { version: field("version"), reason: field("reason"), status: field("status"), q: field("q") }
}

pub(super) async fn requests<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Option<Path<(String, String)>>,
    Query(fields): Fields,
) -> Response {
    let id = named.map(|Path((namespace, name))| format!("{namespace}/{name}"));
    match console.requests(id.as_deref(), request_filter(&fields)) {
        Some(requests) => page(StatusCode::OK, pages::requests(&console.frame(&Who::default()), &requests)),
        None => console.no_release(&id.unwrap_or_default()),
    }
}

pub(super) async fn requests_json<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    match console.requests(None, request_filter(&fields)) {
        Some(requests) => json(&requests),
        None => console.no_release(""),
    }
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        // Its name has its version.
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such file; load the page again\n").into_response(),
    }
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready once releases were seen.
pub(super) async fn readyz<H: Home>(State(console): State<Arc<Console<H>>>) -> Response {
    match console.home.snapshots().borrow().revision {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "nothing was seen of releases yet\n").into_response(),
        _ => "ok\n".into_response(),
    }
}

pub(super) async fn nowhere<H: Home>(State(console): State<Arc<Console<H>>>, OriginalUri(uri): OriginalUri) -> Response {
    let sentence = format!("There is no page {}.", uri.path());
    problem(StatusCode::NOT_FOUND, &console.frame(&Who::default()), "Not found", &sentence)
}
