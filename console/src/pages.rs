//! What pages show, and their HTML.

pub mod edit;
pub mod explain;
pub mod list;
pub mod release;
pub mod requests;
pub mod topology;
pub mod traces;
pub mod word;

mod filters;

use askama::Template;
use serin_release::api::v1alpha1::Phase;

use crate::frame::Frame;
use edit::Edit;
use explain::Explain;
use list::List;
use release::Release;
use requests::Requests;
use topology::Topology;
use word::Preview;

/// The names of all phases, for a choice.
fn phases() -> [&'static str; Phase::ALL.len()] {
    Phase::ALL.map(Phase::name)
}

/// What is wrong when a page cannot be written: nothing that a person could cause.
pub type Written = Result<String, askama::Error>;

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    list: &'a List,
}

#[derive(Template)]
#[template(path = "list_live.html")]
struct ListLive<'a> {
    frame: &'a Frame,
    list: &'a List,
}

#[derive(Template)]
#[template(path = "release.html")]
struct ReleasePage<'a> {
    frame: &'a Frame,
    release: &'a Release,
}

#[derive(Template)]
#[template(path = "release_live.html")]
struct ReleaseLive<'a> {
    release: &'a Release,
}

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage<'a> {
    frame: &'a Frame,
    preview: &'a Preview,
}

#[derive(Template)]
#[template(path = "preview_part.html")]
struct PreviewPart<'a> {
    frame: &'a Frame,
    preview: &'a Preview,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage<'a> {
    frame: &'a Frame,
    explain: &'a Explain,
}

#[derive(Template)]
#[template(path = "explain_part.html")]
struct ExplainPart<'a> {
    frame: &'a Frame,
    explain: &'a Explain,
}

#[derive(Template)]
#[template(path = "edit.html")]
struct EditPage<'a> {
    frame: &'a Frame,
    edit: &'a Edit,
}

#[derive(Template)]
#[template(path = "edit_part.html")]
struct EditPart<'a> {
    edit: &'a Edit,
}

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage<'a> {
    frame: &'a Frame,
    requests: &'a Requests,
}

#[derive(Template)]
#[template(path = "requests_live.html")]
struct RequestsLive<'a> {
    frame: &'a Frame,
    requests: &'a Requests,
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage<'a> {
    frame: &'a Frame,
    release: &'a Release,
}

#[derive(Template)]
#[template(path = "topology.html")]
struct TopologyPage<'a> {
    frame: &'a Frame,
    topology: &'a Topology,
}

#[derive(Template)]
#[template(path = "topology_live.html")]
struct TopologyLive<'a> {
    topology: &'a Topology,
}

#[derive(Template)]
#[template(path = "traces.html")]
struct TracesPage<'a> {
    frame: &'a Frame,
    traces: &'a traces::List,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage<'a> {
    frame: &'a Frame,
    trace: &'a traces::One,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: &'a Frame,
    title: &'a str,
    sentence: &'a str,
}

/// The list as a page.
///
/// # Errors
/// See [`Written`].
pub fn list(frame: &Frame, list: &List) -> Written {
    ListPage { frame, list }.render()
}

/// The part of the list that follows its stream.
///
/// # Errors
/// See [`Written`].
pub fn list_live(frame: &Frame, list: &List) -> Written {
    ListLive { frame, list }.render()
}

/// A release as a page.
///
/// # Errors
/// See [`Written`].
pub fn release(frame: &Frame, release: &Release) -> Written {
    ReleasePage { frame, release }.render()
}

/// The part of a release that follows its stream: nothing in it depends on who looks.
///
/// # Errors
/// See [`Written`].
pub fn release_live(release: &Release) -> Written {
    ReleaseLive { release }.render()
}

/// What a word comes to, as a page that asks.
///
/// # Errors
/// See [`Written`].
pub fn preview(frame: &Frame, preview: &Preview) -> Written {
    PreviewPage { frame, preview }.render()
}

/// The same as a part of the release's page.
///
/// # Errors
/// See [`Written`].
pub fn preview_part(frame: &Frame, preview: &Preview) -> Written {
    PreviewPart { frame, preview }.render()
}

/// Why a request gets its version.
///
/// # Errors
/// See [`Written`].
pub fn explain(frame: &Frame, explain: &Explain) -> Written {
    ExplainPage { frame, explain }.render()
}

/// The answer alone.
///
/// # Errors
/// See [`Written`].
pub fn explain_part(frame: &Frame, explain: &Explain) -> Written {
    ExplainPart { frame, explain }.render()
}

/// A release to be changed, or made.
///
/// # Errors
/// See [`Written`].
pub fn edit(frame: &Frame, edit: &Edit) -> Written {
    EditPage { frame, edit }.render()
}

/// What its text would come to alone.
///
/// # Errors
/// See [`Written`].
pub fn edit_part(edit: &Edit) -> Written {
    EditPart { edit }.render()
}

/// The last requests.
///
/// # Errors
/// See [`Written`].
pub fn requests(frame: &Frame, requests: &Requests) -> Written {
    RequestsPage { frame, requests }.render()
}

/// The part of them that follows its stream.
///
/// # Errors
/// See [`Written`].
pub fn requests_live(frame: &Frame, requests: &Requests) -> Written {
    RequestsLive { frame, requests }.render()
}

/// What happened to a release.
///
/// # Errors
/// See [`Written`].
pub fn history(frame: &Frame, release: &Release) -> Written {
    HistoryPage { frame, release }.render()
}

/// Who calls whom.
///
/// # Errors
/// See [`Written`].
pub fn topology(frame: &Frame, topology: &Topology) -> Written {
    TopologyPage { frame, topology }.render()
}

/// The part of it that follows its stream.
///
/// # Errors
/// See [`Written`].
pub fn topology_live(topology: &Topology) -> Written {
    TopologyLive { topology }.render()
}

/// The traces that are kept.
///
/// # Errors
/// See [`Written`].
pub fn traces(frame: &Frame, traces: &traces::List) -> Written {
    TracesPage { frame, traces }.render()
}

/// One trace.
///
/// # Errors
/// See [`Written`].
pub fn trace(frame: &Frame, trace: &traces::One) -> Written {
    TracePage { frame, trace }.render()
}

/// What went wrong, in a sentence.
///
/// # Errors
/// See [`Written`].
pub fn problem(frame: &Frame, title: &str, sentence: &str) -> Written {
    ProblemPage { frame, title, sentence }.render()
}
