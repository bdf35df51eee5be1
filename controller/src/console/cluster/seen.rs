//! Releases of a cluster and what people said of them, as watches see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::select;
use kube::Client;
use serin_console::snapshot::{Service, Snapshot, Subject};
use serin_mesh::resource::Resource;
use serin_mesh::store::Event;
use serin_mesh::word::Word;
use serin_mesh::{Kind, Object};
use serin_release::Target;
use serin_release::api::v1alpha1::CanaryRelease;
use tokio::sync::watch;

use crate::cluster::cause;
use crate::cluster::watch::events;

/// So many events make one picture, where they come at once.
const EVENTS: usize = 256;

/// The objects of a kind, by `NAMESPACE/NAME`; those of a list that is not whole yet wait beside them.
#[derive(Default)]
struct Objects {
    all: BTreeMap<String, Object>,
    list: Option<BTreeMap<String, Object>>,
    is_whole: bool,
    /// Why it is not seen; what was seen last goes on to be shown.
    problem: Option<String>,
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

/// Watches a namespace, or all, as long as the process lives.
pub(super) fn follow(client: Client, namespace: Option<String>) -> watch::Receiver<Arc<Snapshot>> {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let of = |kind| events(client.clone(), kind, namespace.as_deref()).map(move |event| (kind, event));
    let mut seen = select(of(Kind::CanaryRelease), of(Kind::CanaryControl)).ready_chunks(EVENTS);
    tokio::spawn(async move {
        let (mut releases, mut controls) = (Objects::default(), Objects::default());
        while let Some(chunk) = seen.next().await {
            for (kind, event) in chunk {
                let objects = if kind == Kind::CanaryRelease { &mut releases } else { &mut controls };
                match event {
                    Ok(event) => {
                        objects.problem = None;
                        objects.take(event);
                    }
                    Err(error) => objects.problem = Some(format!("cannot watch {}: {}", kind.name(), cause(&error))),
                }
            }
            // A list is shown once it is whole; that it does not come is shown at once.
            let is_told = releases.problem.is_some() || controls.problem.is_some();
            if is_told || releases.is_whole && (controls.is_whole || controls.list.is_none()) {
                sender.send_modify(|last| *last = Arc::new(snapshot(&releases, &controls, last.revision + 1)));
            }
        }
    });
    receiver
}

fn snapshot(releases: &Objects, controls: &Objects, revision: u64) -> Snapshot {
    let problems = releases.problem.iter().chain(&controls.problem);
    let mut notices: Vec<String> = problems.map(|problem| format!("{problem}; what was seen last is shown.")).collect();
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
