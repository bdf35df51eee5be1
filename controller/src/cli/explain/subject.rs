//! What requests are asked about: a split, and the proxy in front of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use serin_config::{CompileError, Decision, Destination, Request, RequestView, Split, Step, normalized_target};
use serin_console::pages::explain::Explained;
use serin_release::api::standalone::StandaloneSpec;
use serin_release::api::v1alpha1::{CanaryRelease, Status};
use serin_release::file::{self, Controls, File};
use serin_release::lifecycle::live::said;
use serin_release::served::Limits;
use serin_release::{Checked, State};

use super::answer::Answer;
use super::note::Note;
use super::readiness;
use super::request::{Asked, Unclear};
use crate::cli::Failure;
use crate::standalone::edge::{self, Header};
use crate::standalone::{self, Proxied};

/// Where the request id stands that a proxy gives to each request.
const REQUEST_ID: &str = "x-request-id";

/// What requests are asked about.
pub(crate) struct Subject {
    split: Split,
    /// The Envoy in front of it; without one it is a mesh's.
    standalone: Option<Proxied>,
    /// Which releases have a history, and where.
    history: BTreeMap<String, Note>,
    /// Of which releases a person's word acts.
    by_hand: BTreeMap<String, Note>,
    /// Of which releases canaries wait for an endpoint.
    limits: BTreeMap<String, Limits>,
    /// Whether requests are as the filter sees them already.
    as_seen: bool,
}

/// How a file and its requests are taken.
pub(super) struct Taken {
    /// The file of what people say, where there is one.
    pub(super) control: Option<PathBuf>,
    /// The state directory, where one is named; by default the one of the file.
    pub(super) state_dir: Option<PathBuf>,
    /// Without any history.
    pub(super) as_written: bool,
    /// Requests are as the filter sees them already.
    pub(super) as_seen: bool,
}

/// A request as the filter sees it.
struct Seen {
    /// Where it goes; nowhere when no service has its host.
    destination: Option<Destination<'static>>,
    request: Request,
    /// Whether the request id is made up.
    made_up: bool,
    notes: Vec<Note>,
}

/// A request that notes whether anybody asks who the client is.
struct Watched<'a>(&'a Request, Cell<bool>);

impl RequestView for Watched<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.values(name)
    }

    fn source(&self) -> Option<IpAddr> {
        self.1.set(true);
        self.0.source()
    }
}

impl Subject {
    /// Reads a file, and the state directory of one with a `Standalone`.
    pub(super) fn load(path: &Path, taken: Taken) -> Result<Self, Failure> {
        let mut file = file::read(path)?;
        if let (File::Manifest(manifest), Some(control)) = (&mut file, &taken.control) {
            let absent = std::fs::metadata(control).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
            let bytes = if absent { Vec::new() } else { file::bytes(control)? };
            manifest.hear(&Controls::parse(control, &bytes)?)?;
        }
        Self::of_file(path, file, taken)
    }

    /// The same of a file that was read.
    pub(super) fn of_file(path: &Path, mut file: File, taken: Taken) -> Result<Self, Failure> {
        let Taken { state_dir, as_written, as_seen, control: _ } = taken;
        if let (File::Manifest(manifest), true) = (&mut file, as_written) {
            for release in &mut manifest.releases {
                (release.status, release.word) = (None, None);
            }
        }
        let by_hand = if let File::Manifest(manifest) = &file { by_hand(&manifest.releases) } else { BTreeMap::new() };
        let mut history = BTreeMap::new();
        if let File::Manifest(manifest) = &file {
            let all = manifest.releases.iter();
            history.extend(
                all.filter(|release| release.status.as_ref().is_some_and(Status::has_buckets)).map(|release| {
                    (release.id(), Note::History { from: "status", path: None, paused: release.spec.paused })
                }),
            );
        }
        match file {
            File::Manifest(manifest) if !manifest.standalones.is_empty() => {
                let place = standalone::state_place(path, state_dir.as_deref());
                let state = if as_written { State::default() } else { standalone::kept_state(path, state_dir.as_deref())? };
                let proxied = standalone::proxied(path, manifest, &state)?;
                history.extend(kept(&proxied.releases, &state, &place));
                let split = proxied.split.clone();
                Ok(Self { split, standalone: Some(proxied), history, by_hand, limits: BTreeMap::new(), as_seen })
            }
            file => {
                let releases = if let File::Manifest(manifest) = &file { manifest.releases.as_slice() } else { &[] };
                let limits = readiness::limits(releases);
                let Checked { mut document, mut split, .. } = file.compile(path)?;
                for release in &mut document.splits {
                    if let Some(limits) = limits.get(&release.release) {
                        *release = limits.serve(release);
                    }
                }
                if !limits.is_empty() {
                    let invalid = |error: CompileError| Failure::Invalid(format!("{}: {error}", path.display()));
                    split = document.embed_automata().map_err(invalid)?;
                }
                Ok(Self { split, standalone: None, history, by_hand, limits, as_seen })
            }
        }
    }

    /// What the Envoy of `serin standalone` serves.
    pub(crate) fn of_proxied(proxied: Proxied) -> Self {
        let (history, by_hand, limits) = (BTreeMap::new(), by_hand(&proxied.releases), BTreeMap::new());
        Self { split: proxied.split.clone(), standalone: Some(proxied), history, by_hand, limits, as_seen: false }
    }

    /// Decides a request of a form, and says how.
    pub(crate) fn answer(&self, asked: Asked) -> Result<Explained, String> {
        let answer = self.explain(asked).map_err(|unclear| unclear.in_a_form())?;
        let Decision { release, version, .. } = &answer.decision;
        Ok(Explained {
            version: version.unwrap_or_default().to_owned(),
            release: release.unwrap_or_default().to_owned(),
            reason: answer.decision.summary(),
            steps: answer.shown_steps(),
        })
    }

    /// A split in a mesh, without history and with all versions ready.
    pub(in crate::cli) fn of(split: Split) -> Self {
        let (history, by_hand, limits) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { split, standalone: None, history, by_hand, limits, as_seen: false }
    }

    /// Decides a request.
    pub(in crate::cli) fn decide(&self, asked: Asked) -> Result<Decision<'_>, Unclear> {
        let seen = self.seen(asked)?;
        Ok(self.split.decide(&seen.destination.unwrap_or_default(), &seen.request))
    }

    /// Decides a request and says how.
    pub(super) fn explain(&self, asked: Asked) -> Result<Answer<'_>, Unclear> {
        let client = asked.source;
        let Seen { destination, request, made_up: is_made_up, mut notes } = self.seen(asked)?;
        let nowhere = destination.is_none();
        let watched = Watched(&request, Cell::new(false));
        let mut explained = self.split.explain(&destination.unwrap_or_default(), &watched);
        if let (true, None, Some(address)) = (watched.1.get(), client, request.source()) {
            notes.push(Note::Client { address: address.to_string() });
        }
        for step in &mut explained.steps {
            if let Step::FirstVisit { made_up, .. } = step {
                *made_up = is_made_up;
            }
        }
        if nowhere {
            // The note says already which names there are.
            explained.steps.clear();
        }
        let history = explained.decision.release.and_then(|release| self.history.get(release)).cloned();
        let (before, after) = match history {
            Some(Note::History { paused: true, .. }) => (history, None),
            // Where no bucket decides, nothing hangs on who has which.
            Some(_) if explained.decision.bucket.is_some() => (None, history),
            _ => (None, None),
        };
        notes.extend(before);
        notes.extend(explained.decision.release.and_then(|release| self.by_hand.get(release)).cloned());
        let limits = explained.decision.release.and_then(|release| self.limits.get(release));
        notes.extend(limits.into_iter().flat_map(readiness::notes));
        Ok(Answer { decision: explained.decision, notes, steps: explained.steps, after })
    }

    fn seen(&self, asked: Asked) -> Result<Seen, Unclear> {
        let made_up = !self.as_seen && !asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(REQUEST_ID));
        let id = made_up.then(|| (REQUEST_ID.to_owned(), asked.made_up_id().into_bytes()));
        let source = asked.source;
        let (destination, sent) = asked.fill(&self.split)?;
        let (headers, source, mut notes) = match &self.standalone {
            _ if self.as_seen => (sent, source, Vec::new()),
            Some(Proxied { spec, .. }) => {
                let client = source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let (headers, notes) = at_edge(spec, sent, client);
                (headers, Some(client), notes)
            }
            None => {
                let (headers, notes) = in_mesh(sent);
                (headers, source, notes)
            }
        };
        let destination = match &self.standalone {
            Some(proxied) => {
                let (destination, found) = routed(proxied, &headers);
                notes.extend(found);
                destination
            }
            None => {
                let Destination { host, port } = Destination::parse(&destination);
                Some(Destination { host: host.into_owned().into(), port })
            }
        };
        Ok(Seen { destination, made_up, request: request(headers, id, source), notes })
    }
}

/// The releases of which the state at a place has bucket maps.
fn kept(releases: &[CanaryRelease], state: &State, place: &Path) -> Vec<(String, Note)> {
    let path = place.display().to_string();
    let known = releases.iter().filter(|release| state.0.contains_key(&release.id()));
    let note = |release: &CanaryRelease| Note::History {
        from: "state-directory",
        path: Some(path.clone()),
        paused: release.spec.paused,
    };
    known.map(|release| (release.id(), note(release))).collect()
}

/// What people's words do, by release.
fn by_hand(releases: &[CanaryRelease]) -> BTreeMap<String, Note> {
    releases.iter().filter_map(|release| Some((release.id(), Note::ByHand { said: said(release)? }))).collect()
}

/// The headers as a mesh's proxy shows them to the filter.
fn in_mesh(mut headers: Vec<Header>) -> (Vec<Header>, Vec<Note>) {
    let mut notes = Vec::new();
    for (name, value) in headers.iter_mut().filter(|(name, _)| name == ":path") {
        if let Some(normalized) = normalized_target(value).filter(|normalized| **normalized != **value) {
            let normalized = normalized.into_owned();
            let was = std::mem::replace(value, normalized);
            notes.push(Note::Proxy { header: name.clone(), was: was.into(), is: Some(value.clone().into()) });
        }
    }
    (headers, notes)
}

/// The headers as the Envoy of `serin standalone` shows them to the filter.
fn at_edge(spec: &StandaloneSpec, sent: Vec<Header>, client: IpAddr) -> (Vec<Header>, Vec<Note>) {
    let arrival = edge::arrive(spec, sent.clone(), client, own_address);
    let mut notes: Vec<Note> = arrival.refusal.map(|why| Note::Refused { status: 400, why }).into_iter().collect();
    notes.extend(changes(&sent, &arrival.headers));
    (arrival.headers, notes)
}

/// Where the Envoy of `serin standalone` routes a request; nowhere when no service has its host.
fn routed(proxied: &Proxied, headers: &[Header]) -> (Option<Destination<'static>>, Vec<Note>) {
    let spec = &proxied.spec;
    let authority = value_of(headers, ":authority").unwrap_or_default();
    let shown = String::from_utf8_lossy(&authority).into_owned();
    let Some(service) = edge::service(spec, &authority) else {
        return (
            None,
            vec![Note::NoService {
                authority: shown,
                status: 404,
                services: edge::all_names(spec).into_iter().map(str::to_owned).collect(),
            }],
        );
    };
    let name = format!("{}:{}", service.host, service.port);
    let mut notes = Vec::new();
    if shown != name {
        notes.push(Note::Service { authority: shown, service: name.clone() });
    }
    let destination = Destination { host: service.host.clone().into_bytes().into(), port: Some(service.port) };
    if proxied.split.release(&destination).is_none() {
        let index = spec.services.iter().position(|other| std::ptr::eq(other, service));
        let version = index.and_then(|index| proxied.defaults.get(index)).cloned().unwrap_or_default();
        notes.push(Note::NoReleaseOfService { service: name, version });
    }
    (Some(destination), notes)
}

fn request(headers: Vec<Header>, id: Option<Header>, source: Option<IpAddr>) -> Request {
    let request = headers.into_iter().chain(id).fold(Request::new(), |request, (name, value)| request.header(&name, value));
    match source {
        Some(source) => request.from(source),
        None => request,
    }
}

/// The values of a header, joined by `,`.
fn value_of(headers: &[Header], name: &str) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_slice()).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

/// What became of the headers that were sent.
fn changes(sent: &[Header], arrived: &[Header]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (index, (name, _)) in sent.iter().enumerate() {
        if sent.iter().take(index).any(|(earlier, _)| earlier == name) {
            continue;
        }
        let (was, is) = (value_of(sent, name).unwrap_or_default(), value_of(arrived, name));
        if is.as_deref() != Some(was.trim_ascii()) {
            notes.push(Note::Proxy { header: name.clone(), was: was.into(), is: is.map(Into::into) });
        }
    }
    notes
}

/// The address of this machine on its network, which Envoy names in place of a loopback address. No packet is sent.
fn own_address(loopback: IpAddr) -> IpAddr {
    let (any, outside) = match loopback {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9"),
    };
    let local = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(outside)?;
        socket.local_addr()
    });
    local.map_or(loopback, |address| address.ip())
}
