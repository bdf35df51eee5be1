//! The console: pages over a home, which is where releases live.
//!
//! ```text
//! request ─ guard: Host, same origin, headers ─► page ─ console/ (pure) ─► HTML, JSON
//!                                              ├► stream: one task renders each part for all who look at it
//!                                              └► act ─ the home writes a person's word ─► 303, or 422, 403, 409 with a sentence
//! ```

mod act;
mod answer;
#[cfg(feature = "cluster")]
pub(crate) mod cluster;
mod edit;
mod explain;
mod guard;
pub(crate) mod home;
mod live;
mod pages;
mod traces;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;

use crate::cli::{Failure, say};
use guard::Hosts;
use home::Home;
use live::Streams;

/// So many seconds ago is lately.
pub(crate) const LATELY: i64 = 600;

/// How a console is served.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Names by which browsers may ask for it, beside those of this machine.
    pub(crate) hosts: Vec<String>,
    /// What comes before each path: empty, or such as `/serin`.
    pub(crate) base: String,
    /// Whether nothing can be done.
    pub(crate) read_only: bool,
}

/// A console over a home.
struct Console<H> {
    home: H,
    settings: Settings,
    streams: Streams,
}

/// The pages of a home.
fn router<H: Home>(home: H, settings: Settings) -> Router {
    let hosts = Hosts::new(&settings);
    let (base, read_only) = (settings.base.clone(), settings.read_only);
    let console = Arc::new(Console { home, settings, streams: Streams::default() });
    let mut pages = Router::new()
        .route("/", get(pages::start))
        .route("/releases", get(pages::list::<H>))
        .route("/releases.json", get(pages::list_json::<H>))
        .route("/releases/live", get(live::list::<H>))
        .route("/releases/{namespace}/{name}", get(pages::release::<H>))
        .route("/releases/{namespace}/{name}/live", get(live::release::<H>))
        .route("/releases/{namespace}/{name}/edit", get(edit::form::<H>))
        .route("/releases/{namespace}/{name}/explain", get(explain::form::<H>).post(explain::ask::<H>))
        .route("/releases/{namespace}/{name}/history", get(pages::history::<H>))
        .route("/releases/{namespace}/{name}/requests", get(pages::requests::<H>))
        .route("/releases/{namespace}/{name}/requests/live", get(live::requests::<H>))
        .route("/releases/{namespace}/{name}/topology", get(pages::topology::<H>))
        .route("/releases/{namespace}/{name}/topology/live", get(live::topology::<H>))
        .route("/topology", get(pages::topology::<H>))
        .route("/topology.json", get(pages::topology_json::<H>))
        .route("/topology/live", get(live::topology::<H>))
        .route("/traces", get(traces::list::<H>))
        .route("/traces.json", get(traces::list_json::<H>))
        .route("/traces/{id}", get(traces::one::<H>))
        .route("/requests", get(pages::requests::<H>))
        .route("/requests.json", get(pages::requests_json::<H>))
        .route("/requests/live", get(live::requests::<H>))
        .route("/explain", get(explain::form::<H>).post(explain::ask::<H>))
        .route("/new", get(edit::form::<H>))
        .route("/assets/{name}", get(pages::asset))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz::<H>));
    // A console that only shows has no route that changes anything.
    if !read_only {
        pages = pages
            .route("/releases/{namespace}/{name}/preview", post(act::preview::<H>))
            .route("/releases/{namespace}/{name}/edit", post(edit::save::<H>))
            .route("/releases/{namespace}/{name}/edit/preview", post(edit::preview::<H>))
            .route("/releases/{namespace}/{name}/delete", post(edit::delete::<H>))
            .route("/releases/{namespace}/{name}/{action}", post(act::act::<H>))
            .route("/new", post(edit::save::<H>))
            .route("/new/preview", post(edit::preview::<H>));
    }
    let pages = pages.fallback(pages::nowhere::<H>).with_state(console);
    let all = if base.is_empty() { pages } else { Router::new().nest(&base, pages) };
    all.layer(CompressionLayer::new()).layer(axum::middleware::from_fn_with_state(Arc::new(hosts), guard::guard))
}

/// Serves the pages of a home as long as the process lives, and says where.
pub(crate) async fn serve<H: Home>(home: H, settings: Settings) -> Result<(), Failure> {
    let Settings { listen, base, .. } = settings.clone();
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::Failed(format!("the console cannot listen on `{listen}`: {error}; use another address"))
    })?;
    let address = listener.local_addr().unwrap_or(listen);
    let router = router(home, settings);
    // An accept that fails is tried again inside; it ends with the process.
    tokio::spawn(async move { axum::serve(listener, router).await });
    say(&format!("console at http://{address}{base}/"));
    Ok(())
}

/// Reads a path that stands before all others.
pub(crate) fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.~".contains(letter);
    match path.is_empty() || path.starts_with('/') && path.chars().all(is_plain) {
        true => Ok(path.to_owned()),
        false => Err("write a path of letters, digits, `-`, `_` and `.`, such as `/serin`".to_owned()),
    }
}
