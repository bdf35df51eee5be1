//! One round: passes over some releases, their writes, the documents, their status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::StreamExt;
use jiff::Timestamp;
use kube::runtime::events::{Event, EventType};

use super::kind::Kind;
use super::lead::{ALL, Leader, backoff};
use super::turn::{Turn, Written, write, write_status};
use super::world::{Name, Object, name_of};
use crate::api::v1alpha1::Status;
use crate::reconcile::apply::WriteError;
use crate::reconcile::conditions::{ACCEPTED, Condition, READY, TAKEN_OVER};
use crate::reconcile::hosts::is_foreign;
use crate::reconcile::plan::versions_of;
use crate::reconcile::publish::{self, Entry};
use crate::reconcile::references::{Shared, dereference};
use crate::reconcile::resource::Resource;
use crate::reconcile::{Change, pass, status};

/// Writes under way at once.
const CONCURRENT: usize = 16;

impl Leader {
    /// One round over the releases that are due.
    pub(super) async fn round(&mut self, now: Instant) {
        let shared = self.share();
        let batch = self.batch();
        if batch.is_empty() && !self.documents_due {
            return;
        }
        let mut turns = Vec::with_capacity(batch.len());
        for name in batch {
            if let Some(turn) = self.turn(name, &shared, now) {
                turns.push(turn);
            }
        }
        let writer = self.writer.clone();
        let written: Vec<Written> = futures::stream::iter(turns.into_iter().map(|turn| write(&writer, turn)))
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        let mut turns = Vec::with_capacity(written.len());
        for Written { turn, answers, deleted, error } in written {
            // From when they are there the next step's time runs; the watch tells nothing that is known already.
            if answers.iter().any(|(kind, _)| matches!(kind, Kind::DestinationRule | Kind::VirtualService)) {
                self.again(turn.name.clone());
            }
            for (kind, object) in answers {
                self.wrote(kind, object);
            }
            for (kind, object) in deleted {
                let (namespace, name) = name_of(&object);
                self.world.forget(kind, &namespace, &name);
                // What waited for it to go goes on.
                self.again(turn.name.clone());
            }
            if error.is_none() {
                self.change(&turn);
            }
            turns.push((turn, error));
        }
        let trouble = self.publish().await;
        self.finish(turns, trouble).await;
        self.metrics.releases(
            self.resources.values().map(|resource| (resource.namespace.as_str(), resource.name.as_str(), &resource.status)),
        );
        self.metrics.round(now.elapsed().as_secs_f64(), self.waiting());
    }

    /// Steps 1 to 4 for a release; `None` when nothing is left of it.
    fn turn(&mut self, name: Name, shared: &Shared, now: Instant) -> Option<Turn> {
        let id = format!("{}/{}", name.0, name.1);
        let resource = self.resources.get(&name).cloned().unwrap_or_else(|| Resource::gone(&name.0, &name.1));
        let references = dereference(&resource, &self.world, shared);
        let published = self.published.get(&id).map(|entry| &entry.served);
        let (rule, mesh, gateway) = (&references.destination_rule, &references.mesh_route, &references.gateway_route);
        let left = [rule, mesh, gateway].into_iter().flatten().any(|object| !is_foreign(object));
        if !resource.exists && published.is_none() && !left {
            self.memories.remove(&name);
            self.wakes.remove(&name);
            self.failures.remove(&name);
            return None;
        }
        let memory = self.memories.entry(name.clone()).or_default();
        let outcome = pass(&resource, &references, memory, published, &self.settings, now);
        self.metrics.reconciled(match (resource.deleting, &outcome.refusal) {
            (true, _) => "deleting",
            (false, None) => "accepted",
            (false, Some(_)) => "refused",
        });
        let found = |kind, namespace: &str, name: &str| self.world.get(kind, namespace, name).cloned();
        let objects =
            outcome.objects.iter().map(|wanted| (wanted.clone(), found(wanted.kind, &wanted.namespace, &wanted.name)));
        let objects = objects.filter(|(wanted, found)| !found.as_ref().is_some_and(|found| wanted.is(found))).collect();
        let removals = outcome.removals.iter().filter_map(|(kind, of)| Some((*kind, found(*kind, &name.0, of)?))).collect();
        let served_changes = match &outcome.change {
            Change::Set(entry) => published != Some(&entry.served),
            Change::Keep | Change::Remove => false,
        };
        let keep_allocation = served_changes && outcome.allocation != resource.status.allocation;
        Some(Turn { name, resource, references, outcome, objects, removals, keep_allocation })
    }

    /// Takes over what a pass says of the document.
    fn change(&mut self, turn: &Turn) {
        let memory = self.memories.entry(turn.name.clone()).or_default();
        match &turn.outcome.change {
            Change::Keep => {}
            Change::Set(entry) => memory.entry = Some(Entry::clone(entry)),
            Change::Remove => memory.entry = None,
        }
    }

    /// Step 5 and its writes: the documents, where they differ from what is there.
    async fn publish(&mut self) -> Trouble {
        let entries: BTreeMap<String, Entry> = self
            .memories
            .iter()
            .filter_map(|((namespace, name), memory)| Some((format!("{namespace}/{name}"), memory.entry.clone()?)))
            .collect();
        let same = entries.len() == self.published.len()
            && entries.iter().all(|(id, entry)| self.published.get(id).is_some_and(|known| known.same_for_proxies(entry)));
        if same && !self.documents_due {
            return Trouble::default();
        }
        if let Some(until) = self.documents_held.filter(|until| *until > Instant::now()) {
            (self.documents_due, self.documents_wake, self.documents_late) = (false, Some(until), true);
            let changes =
                |(id, entry): &(String, Entry)| !self.published.get(id).is_some_and(|known| known.same_for_proxies(entry));
            let held = entries.into_iter().filter(changes).map(|(id, _)| id).collect();
            return Trouble { held, ..Trouble::default() };
        }
        let documents = match publish::documents(&entries, &self.published, &self.settings.document) {
            Ok(documents) => documents,
            Err(cause) => {
                tracing::error!(cause, "the document of all releases does not compile; the last one stays");
                return Trouble {
                    all: Some(format!("the document of all releases does not compile: {cause}")),
                    ..Trouble::default()
                };
            }
        };
        let mut trouble = Trouble { left_out: documents.left_out.clone(), ..Trouble::default() };
        for (scope, document) in &documents.scopes {
            let (namespace, name) = publish::plugin_name(scope, &self.root_namespace);
            let found = self.world.get(Kind::WasmPlugin, &namespace, &name).cloned();
            let url = found.as_ref().and_then(|found| publish::url_of(found));
            let module = self.filter.module(documents.issuing.contains(scope), url);
            let other_module = found.is_some() && url != Some(&module.url);
            let wanted = publish::plugin(scope, document, module, &self.root_namespace);
            if *scope == publish::Scope::Mesh {
                self.metrics.document(document.to_json().len());
            }
            if !found.as_ref().is_some_and(|found| wanted.is(found)) {
                let done = match found.as_ref().is_some_and(is_foreign) {
                    true => Err(format!(
                        "WasmPlugin {}/{} is there already and was not made by Serin; delete it",
                        wanted.namespace, wanted.name
                    )),
                    false => self.writer.apply(&wanted, found.as_ref()).await.map_err(|error| error.to_string()),
                };
                match done {
                    Ok(object) => {
                        self.wrote(Kind::WasmPlugin, object);
                        if other_module {
                            self.documents_held = Some(Instant::now() + self.settings.pace.settle);
                        }
                    }
                    Err(cause) => {
                        tracing::warn!(cause, "cannot publish");
                        trouble.all = Some(cause);
                        continue;
                    }
                }
            }
        }
        if trouble.all.is_none() {
            self.took(documents.entries.clone());
            self.remove_scopes(&documents).await;
        }
        self.documents_due = false;
        match &trouble.all {
            Some(_) => {
                self.documents_late = true;
                self.documents_wake = Some(Instant::now() + backoff(self.documents_failures));
                self.documents_failures += 1;
            }
            None => self.documents_failures = 0,
        }
        trouble
    }

    /// The documents are written. Releases that send requests elsewhere now get another pass, which starts the time
    /// after which routes may go.
    fn took(&mut self, entries: BTreeMap<String, Entry>) {
        let all: BTreeSet<&String> = entries.keys().chain(self.published.keys()).collect();
        let leads = |entries: &BTreeMap<String, Entry>, id: &String| entries.get(id).map(|entry| versions_of(&entry.served));
        // Those of a document that was late were told so, and hear now that it is there.
        let late = std::mem::take(&mut self.documents_late);
        let served = |entries: &BTreeMap<String, Entry>, id: &String| entries.get(id).map(|entry| entry.served.clone());
        let moved: Vec<Name> = all
            .into_iter()
            .filter(|id| {
                leads(&entries, id) != leads(&self.published, id)
                    || late && served(&entries, id) != served(&self.published, id)
            })
            .filter_map(|id| id.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned())))
            .collect();
        for name in moved {
            self.again(name);
        }
        self.published = entries;
    }

    /// WasmPlugins of waypoints that no release uses any more.
    async fn remove_scopes(&mut self, documents: &publish::Documents) {
        let wanted: BTreeSet<Name> =
            documents.scopes.keys().map(|scope| publish::plugin_name(scope, &self.root_namespace)).collect();
        let ours =
            self.world.all(Kind::WasmPlugin).filter(|plugin| crate::reconcile::hosts::release_of(plugin) == Some(ALL));
        let gone: Vec<Object> = ours.filter(|plugin| !wanted.contains(&name_of(plugin))).cloned().collect();
        for plugin in gone {
            match self.writer.delete(Kind::WasmPlugin, &plugin).await {
                Ok(()) => {
                    let (namespace, name) = name_of(&plugin);
                    self.world.forget(Kind::WasmPlugin, &namespace, &name);
                }
                Err(error) => tracing::warn!(%error, "cannot remove the filter of a waypoint"),
            }
        }
    }

    /// Step 7 for the releases of a round, and when to look at them again.
    async fn finish(&mut self, turns: Vec<(Turn, Option<WriteError>)>, trouble: Trouble) {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut statuses = Vec::new();
        for (turn, error) in turns {
            let id = turn.resource.id();
            let (attempt, waits) = match &error {
                None => (false, turn.outcome.wake),
                // The next event brings the object as it is now; should none come, a look after a moment.
                Some(WriteError::Conflict(_)) => (true, Some(Instant::now() + backoff(0))),
                Some(WriteError::NotLeader) => return,
                Some(WriteError::Failed { .. }) => {
                    let failures = self.failures.entry(turn.name.clone()).or_insert(0);
                    *failures += 1;
                    (true, Some(Instant::now() + backoff(*failures)))
                }
            };
            if let Some(error) = error.as_ref().filter(|error| !matches!(error, WriteError::Conflict(_))) {
                tracing::warn!(release = id, %error, "cannot write; trying again");
            }
            if !attempt {
                self.failures.remove(&turn.name);
            }
            match waits {
                Some(due) => self.wakes.insert(turn.name.clone(), due),
                None => self.wakes.remove(&turn.name),
            };
            let Some(current) = self.resources.get(&turn.name).cloned().filter(|current| current.uid == turn.resource.uid)
            else {
                continue;
            };
            if matches!(error, Some(WriteError::Conflict(_))) {
                continue;
            }
            let kept_from_document = trouble.condition(&id);
            let failed = error.map(|error| Condition::not_programmed("WriteFailed", error.to_string()));
            let mut outcome = turn.outcome;
            if failed.is_some() {
                // What was not kept must not be told as if it were.
                outcome.allocation = current.status.allocation.clone();
            }
            let served = self.published.get(&id).map(|entry| &entry.served);
            let mut read = turn.resource;
            read.status = current.status.clone();
            let status =
                status::status(&read, &turn.references, &outcome, served, failed.or(kept_from_document).as_ref(), &now);
            statuses.push((turn.name, read, current.version, status, outcome.finalizer));
        }
        let writer = self.writer.clone();
        let done: Vec<_> =
            futures::stream::iter(statuses.into_iter().map(|(name, resource, version, status, finalizer)| {
                let writer = &writer;
                async move {
                    let result = write_status(writer, &resource, version.as_deref(), &status, finalizer).await;
                    (name, resource, status, result)
                }
            }))
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        for (name, resource, status, result) in done {
            match result {
                Ok(Some(object)) => {
                    self.wrote(Kind::CanaryRelease, object);
                    self.tell(&resource, &status).await;
                }
                Ok(None) => {}
                Err(error) => {
                    if matches!(error, WriteError::Failed { .. }) {
                        tracing::warn!(release = resource.id(), %error, "cannot tell the status; trying again");
                    }
                    let failures = self.failures.entry(name.clone()).or_insert(0);
                    *failures += 1;
                    self.wakes.insert(name, Instant::now() + backoff(*failures));
                }
            }
        }
    }

    /// Events for what an owner wants to hear of: refusals, canaries that are not ready, takeovers and their end.
    async fn tell(&self, resource: &Resource, status: &Status) {
        let find = |status: &Status, kind: &str| status.conditions.iter().find(|condition| condition.kind == kind).cloned();
        let reference = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(Kind::CanaryRelease.api_version()),
            kind: Some(Kind::CanaryRelease.name().to_owned()),
            name: Some(resource.name.clone()),
            namespace: Some(resource.namespace.clone()),
            uid: Some(resource.uid.clone()),
            ..Default::default()
        };
        for kind in [ACCEPTED, READY, TAKEN_OVER] {
            let (before, after) = (find(&resource.status, kind), find(status, kind));
            let Some(after) = after.filter(|after| before.as_ref().is_none_or(|before| before.reason != after.reason))
            else {
                continue;
            };
            let quiet = before.is_none() && (after.status == "True" || after.reason == "NotAsked") && kind != TAKEN_OVER
                || after.reason == "NotAsked" && before.is_none();
            if quiet {
                continue;
            }
            let warns = after.status == "False" && kind != TAKEN_OVER || after.reason == "CanaryNotReady";
            let note: String = after.message.chars().take(1000).collect();
            let event = Event {
                type_: if warns { EventType::Warning } else { EventType::Normal },
                reason: after.reason.clone(),
                note: Some(note),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            let (recorder, patience) = &self.recorder;
            if let Ok(Err(error)) = tokio::time::timeout(*patience, recorder.publish(&event, &reference)).await {
                tracing::debug!(release = resource.id(), error = %super::cause(&error), "cannot write an event");
            }
        }
    }
}

/// What kept documents from being written as they should be.
#[derive(Default)]
struct Trouble {
    left_out: BTreeSet<String>,
    /// Releases whose change waits for the proxies.
    held: BTreeSet<String>,
    all: Option<String>,
}

impl Trouble {
    fn condition(&self, id: &str) -> Option<Condition> {
        if let Some(cause) = &self.all {
            return Some(Condition::not_programmed("WriteFailed", cause.clone()));
        }
        if self.held.contains(id) {
            let message = "proxies are taking up another module of the filter; the change follows in a moment";
            return Some(Condition::not_programmed("Pending", message.to_owned()));
        }
        self.left_out.contains(id).then(|| {
            let message = format!(
                "the document of the mesh is full ({} bytes); shorten rules or delete releases that are done, its last state stays until then",
                publish::DOCUMENT_LIMIT
            );
            Condition::not_programmed("DocumentFull", message)
        })
    }
}
