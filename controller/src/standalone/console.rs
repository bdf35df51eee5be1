//! `serin standalone` as a home of the console: releases are those of FILE, and words go into CONTROL.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serin_config::Weight;
use serin_console::figures::Figures;
use serin_console::frame::{Has, May};
use serin_console::snapshot::{Endpoint, Service, Snapshot, Subject, shares};
use serin_release::Kept;
use serin_release::api::v1alpha1::{CanaryRelease, HistoryEntry, Phase, Status, VersionStatus};
use serin_release::file::display_name;
use serin_release::lifecycle::control::{Control, HoldKind};
use serin_release::lifecycle::verb::Verb;
use tokio::sync::watch;

use super::files::aside;
use super::message;
use super::resolve::Served;
use super::text::Source;
use crate::cli::Failure;
use crate::console::Settings;
use crate::console::home::{Home, Refusal, Who};
use crate::keeper::files::Files;
use crate::keeper::{self, Keeper};

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

/// Reads a path before all others.
fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.~".contains(letter);
    match path.is_empty() || path.starts_with('/') && path.chars().all(is_plain) {
        true => Ok(path.to_owned()),
        false => Err("write a path of letters, digits, `-`, `_` and `.`, such as `/serin`".to_owned()),
    }
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
    history: BTreeMap<String, Vec<HistoryEntry>>,
}

impl Shown {
    /// Nothing yet; `is_on` where there is a console.
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Those who are told of each change.
    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// Shows what is served now, and what happened on the way there.
    pub(super) fn serve(&mut self, served: &Served) {
        if !self.is_on {
            return;
        }
        let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (id, happened) in &served.checked.happened {
            let before = Status { history: self.history.remove(id).unwrap_or_default(), ..Status::default() };
            self.history.insert(id.clone(), before.history_with(std::slice::from_ref(happened), &at));
        }
        let ids = served.releases.iter().map(CanaryRelease::id);
        let releases = ids.zip(&served.releases).map(|(id, release)| {
            let history = self.history.get(&id).cloned().unwrap_or_default();
            let subject = subject(served, release, history);
            (id, Arc::new(subject))
        });
        let releases: BTreeMap<_, _> = releases.collect();
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
fn subject(served: &Served, release: &CanaryRelease, history: Vec<HistoryEntry>) -> Subject {
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
    let release = CanaryRelease { status: Some(Status { history, ..status }), ..release.clone() };
    Subject { release, control, entry, services }
}

/// What is kept of a release, as the status of a cluster would say it.
fn status(release: &CanaryRelease, control: &Control, kept: Option<&Kept>, shares: &BTreeMap<String, Weight>) -> Status {
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

fn phase(release: &CanaryRelease, control: &Control, kept: Option<&Kept>, shares: &BTreeMap<String, Weight>) -> Phase {
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
    pub(super) source: Source,
    pub(super) state_dir: PathBuf,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) figures: watch::Receiver<Arc<Figures>>,
}

impl Home for Standalone {
    fn named(&self) -> String {
        format!("serin standalone -f {}", display_name(&self.source.file))
    }

    fn has(&self) -> Has {
        Has::default()
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn figures(&self) -> watch::Receiver<Arc<Figures>> {
        self.figures.clone()
    }

    async fn may(&self, _who: &Who, _release: &str) -> May {
        let none = || Some("start `serin standalone` with --control FILE, into which words are written".to_owned());
        May { speak: self.source.control.is_none().then(none).flatten(), ..May::default() }
    }

    async fn say(&self, _who: &Who, release: &str, verb: Verb, because: String) -> Result<(), Refusal> {
        let Some(control) = self.source.control.clone() else {
            return Err(Refusal::Failed("there is no file for words: start with --control FILE".to_owned()));
        };
        let (file, state_dir) = (self.source.file.clone(), Some(self.state_dir.clone()));
        let files = Files { name: release.to_owned(), file, control, state_dir };
        let said = aside(move || {
            let by = files.who()?;
            keeper::say(&files, &verb, &by, &because)
        });
        match said.await.and_then(|said| said) {
            Ok(()) => Ok(()),
            Err(failure @ Failure::Invalid(_)) => Err(Refusal::Invalid(message(failure))),
            Err(failure) => Err(Refusal::Failed(message(failure))),
        }
    }
}
