//! Streams: a part of a page is rendered once for all who look at it, and sent where it is another one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use jiff::Timestamp;
use serin_console::frame::May;
use serin_console::pages;
use serin_console::pages::list::List;
use serin_console::pages::release::Release;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use super::Console;
use super::home::{Home, Who};
use super::pages::{Fields, filter, request_filter};

/// Between two looks: ages of figures grow where nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// After so long without news a stream shows that it is there.
const ALIVE: Duration = Duration::from_secs(15);
/// So many may look at once.
const MOST: usize = 256;

/// A part as it was rendered last.
#[derive(Clone, Debug, Default)]
struct Part {
    number: u64,
    html: Arc<str>,
}

/// The parts that somebody looks at.
pub(super) struct Streams {
    parts: Mutex<HashMap<String, watch::Sender<Part>>>,
    room: Arc<Semaphore>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { parts: Mutex::default(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Streams {
    /// The part of this name, and whether nobody renders it yet.
    fn join(&self, name: &str) -> (watch::Receiver<Part>, bool) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.get(name) {
            Some(part) => (part.subscribe(), false),
            None => {
                let (sender, receiver) = watch::channel(Part::default());
                parts.insert(name.to_owned(), sender);
                (receiver, true)
            }
        }
    }

    /// Gives a part its new text. False once nobody looks: then it is gone.
    fn put(&self, name: &str, html: Option<String>) -> bool {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(part) = parts.get(name).filter(|part| html.is_some() && part.receiver_count() > 0) else {
            parts.remove(name);
            return false;
        };
        let html = html.unwrap_or_default();
        part.send_if_modified(|part| {
            let is_news = *part.html != *html;
            if is_news {
                *part = Part { number: part.number + 1, html: html.into() };
            }
            is_news
        });
        true
    }
}

/// The stream of a part; `render` says what it is now, and nothing once it is gone.
fn follow<H: Home>(
    console: &Arc<Console<H>>,
    name: String,
    render: impl Fn(&Console<H>) -> Option<String> + Send + 'static,
) -> Response {
    let Ok(place) = Arc::clone(&console.streams.room).try_acquire_owned() else {
        let sentence = format!("{MOST} pages follow this console already; load the page again to see what is new\n");
        return (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response();
    };
    let (part, is_new) = console.streams.join(&name);
    if is_new {
        let console = Arc::clone(console);
        tokio::spawn(async move {
            let (mut snapshots, mut figures) = (console.home.snapshots(), console.home.figures());
            while console.streams.put(&name, render(&console)) {
                tokio::select! {
                    _ = snapshots.changed() => {}
                    _ = figures.changed() => {}
                    () = sleep(TICK) => {}
                }
            }
        });
    }
    let events = stream::unfold(Reader { part, sent: 0, _place: place }, next);
    // A proxy in between must not collect them.
    let headers = [(header::CACHE_CONTROL, "no-cache"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))).into_response()
}

/// Somebody who looks at a part.
struct Reader {
    part: watch::Receiver<Part>,
    sent: u64,
    _place: OwnedSemaphorePermit,
}

/// The next text of a part, once there is one. Who reads slowly gets the newest.
async fn next(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    loop {
        let now = reader.part.borrow_and_update().clone();
        if now.number != reader.sent {
            reader.sent = now.number;
            let event = Event::default().id(now.number.to_string()).data(now.html.replace('\r', ""));
            return Some((Ok(event), reader));
        }
        reader.part.changed().await.ok()?;
    }
}

pub(super) async fn list<H: Home>(State(console): State<Arc<Console<H>>>, Query(fields): Fields) -> Response {
    let filter = filter(&fields);
    let name = format!("releases?{}", filter.query());
    follow(&console, name, move |console| {
        let (snapshot, figures) = (console.home.snapshots().borrow().clone(), console.home.figures().borrow().clone());
        let list = List::new(&snapshot, &figures, filter.clone(), Timestamp::now());
        pages::list_live(&console.frame(&Who::default()), &list).ok()
    })
}

pub(super) async fn release<H: Home>(
    State(console): State<Arc<Console<H>>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let id = format!("{namespace}/{name}");
    if console.subject(&id).is_none() {
        return console.no_release(&id);
    }
    follow(&console, format!("releases/{id}"), move |console| {
        let figures = console.home.figures().borrow().clone();
        let release = Release::new(&*console.subject(&id)?, &figures, May::default(), Timestamp::now());
        pages::release_live(&release).ok()
    })
}

pub(super) async fn requests<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Option<Path<(String, String)>>,
    Query(fields): Fields,
) -> Response {
    let id = named.map(|Path((namespace, name))| format!("{namespace}/{name}"));
    let filter = request_filter(&fields);
    let Some(now) = console.requests(id.as_deref(), filter.clone()) else {
        return console.no_release(&id.unwrap_or_default());
    };
    let name = format!("{}?{}", now.path(""), now.query());
    follow(&console, name, move |console| {
        let requests = console.requests(id.as_deref(), filter.clone())?;
        pages::requests_live(&console.frame(&Who::default()), &requests).ok()
    })
}

pub(super) async fn topology<H: Home>(
    State(console): State<Arc<Console<H>>>,
    named: Option<Path<(String, String)>>,
) -> Response {
    let id = named.map(|Path((namespace, name))| format!("{namespace}/{name}"));
    let Some(now) = console.topology(id.as_deref()) else { return console.no_release(&id.unwrap_or_default()) };
    follow(&console, now.path(""), move |console| pages::topology_live(&console.topology(id.as_deref())?).ok())
}
