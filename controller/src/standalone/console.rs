//! `serin standalone` as a home of the console: releases are those of FILE, and words go into CONTROL.

mod edit;
mod told;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serin_config::Weight;
use serin_console::figures::Figures;
use serin_console::frame::{Has, May};
use serin_console::pages::edit::Tried;
use serin_console::pages::explain::{self, Explained};
use serin_console::requests::Ring;
use serin_console::snapshot::{Endpoint, Service, Snapshot, Subject, shares};
use serin_console::trace::Traces;
use serin_release::Kept as KeptRelease;
use serin_release::api::v1alpha1::{CanaryRelease, HistoryEntry, Phase, Status, VersionStatus};
use serin_release::file::display_name;
use serin_release::lifecycle::control::{Control, HoldKind};
use serin_release::lifecycle::run::Happened;
use serin_release::lifecycle::verb::Verb;
use tokio::sync::watch;

use super::admin::Admin;
use super::files::aside;
use super::log::Requests;
use super::resolve::Served;
use super::spans::Kept;
use super::text::Source;
use super::{Proxied, figures, message};
use crate::cli::Failure;
use crate::cli::explain::request::Asked;
use crate::cli::explain::subject::Subject as Explaining;
use crate::console::home::{Change, Home, Refusal, Who};
use crate::console::{LATELY, Settings, base_path};
use crate::keeper::files::Files;
use crate::keeper::{self, Keeper};
use edit::Editor;
use told::told;

/// How the console is served.
#[derive(Args, Clone, Debug)]
pub(super) struct Arguments {
    /// Serve the console at this address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    console: Option<SocketAddr>,
    /// Name by which browsers may ask for the console, beside `localhost` and the addresses of this machine. Repeat the option for more.
    #[arg(long, value_name = "NAME", requires = "console")]
    console_host: Vec<String>,
    /// Path under which the console is, such as `/serin`, where a proxy in front of it leads there.
    #[arg(long, value_name = "PATH", requires = "console", value_parser = base_path)]
    console_base_path: Option<String>,
    /// Only show: the console changes nothing.
    #[arg(long, requires = "console")]
    console_read_only: bool,
}

impl Arguments {
    /// The console that is asked for.
    pub(super) fn settings(self) -> Option<Settings> {
        let base = self.console_base_path.unwrap_or_default();
        self.console.map(|listen| Settings { listen, hosts: self.console_host, base, read_only: self.console_read_only })
    }
}

/// What the console sees of what is served. Nothing is made of it where nobody serves a console.
#[derive(Default)]
pub(super) struct Shown {
    is_on: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    served: watch::Sender<Option<Arc<Served>>>,
    requests: Requests,
    history: BTreeMap<String, Vec<HistoryEntry>>,
}

impl Shown {
    /// Nothing yet; `is_on` where there is a console.
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// The last requests of the log, where somebody looks at them.
    pub(super) fn requests(&self) -> Option<&Requests> {
        self.is_on.then_some(&self.requests)
    }

    /// Shows what is served now, and what happened on the way there.
    pub(super) fn serve(&mut self, served: &Arc<Served>) {
        if !self.is_on {
            return;
        }
        let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let before = self.snapshots.borrow().clone();
        let mut happened: BTreeMap<&str, Vec<Happened>> = BTreeMap::new();
        for (id, own) in &served.checked.happened {
            happened.entry(id).or_default().push(own.clone());
        }
        let mut history = BTreeMap::new();
        let releases = served.releases.iter().map(|release| {
            let id = release.id();
            let mut subject = subject(served, release);
            let own = happened.remove(id.as_str()).unwrap_or_default();
            let told = before.releases.get(&id).and_then(|before| told(before, &subject));
            let status = Status { history: self.history.remove(&id).unwrap_or_default(), ..Status::default() };
            let entries = status.history_with(&told.into_iter().chain(own).collect::<Vec<_>>(), &at);
            history.insert(id.clone(), entries.clone());
            if let Some(status) = &mut subject.release.status {
                status.history = entries;
            }
            (id, Arc::new(subject))
        });
        let releases: BTreeMap<_, _> = releases.collect();
        self.history = history;
        self.served.send_replace(Some(Arc::clone(served)));
        self.snapshots.send_modify(|snapshot| {
            let revision = snapshot.revision + 1;
            *snapshot = Arc::new(Snapshot { revision, releases, notices: served.warnings.clone() });
        });
    }

    /// Shows why a text was not taken, while what was served before goes on.
    pub(super) fn refuse(&self, problem: &str) {
        self.snapshots.send_modify(|snapshot| {
            let notices = vec![format!("{problem}\nThe last good state keeps serving.")];
            *snapshot = Arc::new(Snapshot { revision: snapshot.revision + 1, notices, ..Snapshot::clone(snapshot) });
        });
    }
}

/// A release as it is served.
fn subject(served: &Served, release: &CanaryRelease) -> Subject {
    let id = release.id();
    let entry = served.checked.document.splits.iter().find(|split| split.release == id).cloned();
    let control = release.word.clone().unwrap_or_default();
    let services = served.spec.services.iter().filter(|service| {
        entry.as_ref().is_some_and(|entry| entry.hosts.contains(&service.host) && entry.ports.contains(&service.port))
    });
    let endpoint = |address: &String| Endpoint { name: address.clone(), ready: None };
    let services = services.map(|service| Service {
        host: service.host.clone(),
        port: service.port,
        versions: service
            .versions
            .iter()
            .map(|(version, addresses)| (version.clone(), addresses.iter().map(endpoint).collect()))
            .collect(),
    });
    let services: Vec<Service> = services.collect();
    let shares = entry.as_ref().map(shares).unwrap_or_default();
    let kept = served.checked.state.0.get(&id);
    let status = status(release, &control, kept, &shares);
    let release = CanaryRelease { status: Some(status), ..release.clone() };
    Subject { release, control, entry, services }
}

/// What is kept of a release, as the status of a cluster would say it.
fn status(
    release: &CanaryRelease,
    control: &Control,
    kept: Option<&KeptRelease>,
    shares: &BTreeMap<String, Weight>,
) -> Status {
    let spec = &release.spec;
    let names = std::iter::once(&spec.stable.version).chain(spec.canaries.iter().map(|canary| &canary.version));
    // A file names addresses, and each of its versions is taken for ready.
    let versions = names.map(|version| VersionStatus {
        version: version.clone(),
        share: shares.get(version).copied().unwrap_or(Weight::NONE),
        ready: 1,
    });
    let run = kept.and_then(|kept| kept.run.clone());
    Status {
        phase: Some(phase(release, control, kept, shares)),
        versions: versions.collect(),
        allocation: kept.map(|kept| kept.allocation.clone()).unwrap_or_default(),
        analysis: kept.and_then(|kept| kept.analysis.clone()),
        run,
        ..crate::keeper::files::status_of(control)
    }
}

fn phase(
    release: &CanaryRelease,
    control: &Control,
    kept: Option<&KeptRelease>,
    shares: &BTreeMap<String, Weight>,
) -> Phase {
    let spec = &release.spec;
    let kind = control.hold.as_ref().map(|hold| hold.kind);
    let is_taken = kind == Some(HoldKind::Takeover) || kind.is_none() && spec.takeover.is_some();
    let has_all = |version: &str| shares.get(version) == Some(&Weight::ALL);
    match kind {
        _ if is_taken && !has_all(&spec.stable.version) => Phase::TakenOver,
        _ if is_taken => Phase::RolledBack,
        Some(HoldKind::Rollback) if has_all(&spec.stable.version) => Phase::RolledBack,
        _ if control.paused || spec.paused => Phase::Paused,
        _ => kept.and_then(|kept| kept.run.as_ref()).map_or(Phase::Active, |run| Phase::of_run(run.state)),
    }
}

/// The home.
pub(super) struct Standalone {
    source: Source,
    state_dir: PathBuf,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    figures: watch::Receiver<Arc<Figures>>,
    served: watch::Receiver<Option<Arc<Served>>>,
    requests: Requests,
    traces: Kept,
}

impl Standalone {
    /// The home of what is shown, which begins to read figures.
    pub(super) fn new(source: &Source, state_dir: &Path, shown: &Shown, served: &Served, traces: Kept) -> Self {
        let admin = Admin::new(served.spec.admin.0);
        Self {
            source: source.clone(),
            state_dir: state_dir.to_owned(),
            snapshots: shown.snapshots.subscribe(),
            figures: figures::follow(admin, shown.served.subscribe(), shown.requests.clone()),
            served: shown.served.subscribe(),
            requests: shown.requests.clone(),
            traces,
        }
    }

    fn editor(&self) -> Editor {
        Editor { source: self.source.clone(), state_dir: self.state_dir.clone() }
    }
}

/// What was done aside, or why not.
async fn done<T: Send + 'static>(job: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    aside(job).await.unwrap_or_else(|failure| Err(Refusal::Failed(message(failure))))
}

impl Home for Standalone {
    fn named(&self) -> String {
        format!("serin standalone -f {}", display_name(&self.source.file))
    }

    fn has(&self) -> Has {
        Has { requests: true, traces: true }
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn figures(&self) -> watch::Receiver<Arc<Figures>> {
        self.figures.clone()
    }

    async fn may(&self, _who: &Who, _release: &str) -> May {
        let none = || Some("start `serin standalone` with --control FILE, into which words are written".to_owned());
        let file = self.source.file.clone();
        let is_writable = aside(move || OpenOptions::new().append(true).open(file).map(drop)).await;
        let fixed = match is_writable {
            Ok(Err(error)) => Some(format!("{}: cannot be written: {error}", self.source.file.display())),
            _ => None,
        };
        let (edit, create, delete) = (fixed.clone(), fixed.clone(), fixed);
        May { speak: self.source.control.is_none().then(none).flatten(), edit, create, delete }
    }

    async fn text(&self, _who: &Who, release: &str) -> Result<String, Refusal> {
        let (editor, release) = (self.editor(), release.to_owned());
        done(move || editor.text(&release)).await
    }

    async fn attempt(&self, _who: &Who, release: Option<&str>, text: &str) -> Result<Tried, Refusal> {
        let (editor, now) = (self.editor(), self.snapshots.borrow().clone());
        let (release, text) = (release.map(str::to_owned), text.to_owned());
        let at = Timestamp::now().as_second();
        let addresses = release.as_ref().and_then(|release| now.releases.get(release)).map(|own| own.addresses());
        let people = addresses.map(|own| self.requests.look().people(&own, at - LATELY..at + 1).0).unwrap_or_default();
        done(move || editor.attempt(release.as_deref(), &text, &now, &people)).await
    }

    async fn change(&self, _who: &Who, change: Change) -> Result<String, Refusal> {
        let editor = self.editor();
        done(move || editor.change(&change)).await
    }

    async fn explain(&self, _release: Option<&str>, asked: Asked) -> Result<Explained, String> {
        let served = self.served.borrow().clone().ok_or("nothing is served yet")?;
        let Served { spec, defaults, releases, checked, .. } = &*served;
        let (spec, defaults, releases) = (spec.clone(), defaults.clone(), releases.clone());
        let proxied = Proxied { spec, defaults, releases, split: checked.split.clone() };
        Explaining::of_proxied(proxied).answer(asked)
    }

    fn no_requests(&self) -> String {
        let log = self.served.borrow().as_ref().map(|served| served.spec.access_log.clone());
        match log.as_deref() {
            None | Some("/dev/stdout") => String::new(),
            Some("") => "There is no access log; set `spec.accessLog: /dev/stdout` in the Standalone, and it is shown here."
                .to_owned(),
            Some(log) => {
                format!(
                    "The access log goes to {log}; set `spec.accessLog: /dev/stdout` in the Standalone, and it is shown here."
                )
            }
        }
    }

    fn with_requests<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&self.requests.look())
    }

    fn no_traces(&self) -> String {
        let served = self.served.borrow();
        match served.as_ref().map(|served| served.spec.tracing.as_ref()) {
            Some(None) => {
                "Nothing is traced; set `spec.tracing: {sampling: 1%}` in the Standalone, and traces are shown here."
                    .to_owned()
            }
            Some(Some(tracing)) => match &tracing.endpoint {
                Some(endpoint) if !self.traces.is(endpoint) => {
                    format!("Spans go to {endpoint}: look there, or leave `endpoint` out, and traces are shown here.")
                }
                _ => String::new(),
            },
            None => String::new(),
        }
    }

    fn with_traces<T>(&self, look: impl FnOnce(&Traces) -> T) -> T {
        self.traces.read(look)
    }

    fn command(&self, _release: Option<&str>, asked: &explain::Asked) -> String {
        let control = self.source.control.iter().map(|control| format!(" --control {}", control.display()));
        format!("serin explain -f {}{} {}", self.source.file.display(), control.collect::<String>(), asked.arguments())
    }

    async fn say(&self, _who: &Who, release: &str, verb: Verb, because: String) -> Result<bool, Refusal> {
        let Some(control) = self.source.control.clone() else {
            return Err(Refusal::Failed("there is no file for words: start with --control FILE".to_owned()));
        };
        let (file, state_dir) = (self.source.file.clone(), Some(self.state_dir.clone()));
        let files = Files { name: release.to_owned(), file, control, state_dir };
        done(move || {
            let said = files.who().and_then(|by| keeper::say(&files, &verb, &by, &because));
            said.map_err(|failure| match failure {
                failure @ Failure::Invalid(_) => Refusal::Invalid(message(failure)),
                failure => Refusal::Failed(message(failure)),
            })
        })
        .await
    }
}
