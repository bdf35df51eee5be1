//! Releases of a cluster and what people said of them, as watches see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serin_console::snapshot::{Service, Snapshot, Subject};
use serin_mesh::resource::Resource;
use serin_mesh::store::Event;
use serin_mesh::word::Word;
use serin_mesh::{Kind, Object};
use serin_release::Target;
use serin_release::api::v1alpha1::CanaryRelease;
use tokio::sync::{mpsc, watch};

use crate::cluster::metrics::Metrics;
use crate::cluster::watch::watch as watch_kind;

/// The kinds that are watched.
const KINDS: [Kind; 2] = [Kind::CanaryRelease, Kind::CanaryControl];
/// Events that may wait.
const EVENTS: usize = 256;

/// The objects of a kind, by `NAMESPACE/NAME`; those of a list that is not whole yet wait beside them.
#[derive(Default)]
struct Objects {
    all: BTreeMap<String, Object>,
    list: Option<BTreeMap<String, Object>>,
    is_whole: bool,
}

impl Objects {
    fn take(&mut self, event: Event) {
        match event {
            Event::InitStart => self.list = Some(BTreeMap::new()),
            Event::InitItem(object) => drop(self.list.get_or_insert_default().insert(id(&object), object)),
            Event::InitDone => (self.all, self.is_whole) = (self.list.take().unwrap_or_default(), true),
            Event::Applied(object) => drop(self.all.insert(id(&object), object)),
            Event::Deleted(object) => drop(self.all.remove(&id(&object))),
        }
    }
}

fn id(object: &Object) -> String {
    object.name().to_string()
}

/// Watches as long as somebody looks.
pub(super) fn follow(client: Client) -> watch::Receiver<Arc<Snapshot>> {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let (events, mut seen) = mpsc::channel(EVENTS);
    for kind in KINDS {
        tokio::spawn(watch_kind(client.clone(), kind, events.clone(), Metrics::default()));
    }
    tokio::spawn(async move {
        let (mut releases, mut controls) = (Objects::default(), Objects::default());
        while let Some((kind, event)) = seen.recv().await {
            let objects = if kind == Kind::CanaryRelease { &mut releases } else { &mut controls };
            objects.take(event);
            if !releases.is_whole || !controls.is_whole || !seen.is_empty() {
                continue;
            }
            sender.send_modify(|last| *last = Arc::new(snapshot(&releases, &controls, last.revision + 1)));
        }
    });
    receiver
}

fn snapshot(releases: &Objects, controls: &Objects, revision: u64) -> Snapshot {
    let mut notices = Vec::new();
    let mut subjects = BTreeMap::new();
    for (id, object) in &releases.all {
        let resource = Resource::read(object);
        let status = resource.status;
        match resource.parsed {
            Ok(release) => {
                let control = Word::read(controls.all.get(id)).control;
                let release = CanaryRelease { status: Some(status), ..release };
                let services = services(&release);
                subjects.insert(id.clone(), Arc::new(Subject { release, control, entry: None, services }));
            }
            Err(problem) => notices.push(format!("{id}: it cannot be read: {}", problem.sentence())),
        }
    }
    Snapshot { revision, releases: subjects, notices }
}

/// What a release routes. Which pods stand behind a version only its status says.
fn services(release: &CanaryRelease) -> Vec<Service> {
    let Target { hosts, ports } = Target::in_mesh(release);
    let ports = if ports.is_empty() { vec![80] } else { ports };
    let all = hosts.iter().flat_map(|host| ports.iter().map(move |port| (host, port)));
    all.map(|(host, port)| Service { host: host.clone(), port: *port, versions: BTreeMap::new() }).collect()
}
