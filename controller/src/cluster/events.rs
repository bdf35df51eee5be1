//! Events for what an owner wants to hear of: refusals, canaries that are not ready, takeovers and their end.
//!
//! They are written on a task of their own: however slow the API server takes them, no pass waits for it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use serin_mesh::Kind;
use serin_mesh::conditions::{self, ConditionType, Reason};
use serin_mesh::resource::Resource;
use serin_release::api::v1alpha1::{HistoryEntry, Status};
use serin_release::lifecycle::run::What;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Events that wait; what comes while so many do is dropped, since conditions say the same.
const WAITING: usize = 1000;
/// The API server takes 1 024 bytes.
const NOTE: usize = 1000;

/// The way to the task that writes events.
pub(super) struct Events(mpsc::Sender<(Event, ObjectReference)>);

impl Events {
    /// Starts the task; one event may take as long as `patience`.
    pub(super) fn start(recorder: Recorder, patience: Duration, tasks: &mut JoinSet<()>) -> Self {
        let (sender, mut events) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
        tasks.spawn(async move {
            while let Some((event, about)) = events.recv().await {
                let release = format!(
                    "{}/{}",
                    about.namespace.as_deref().unwrap_or_default(),
                    about.name.as_deref().unwrap_or_default()
                );
                match tokio::time::timeout(patience, recorder.publish(&event, &about)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(release, error = %super::cause(&error), "cannot write an event"),
                    Err(_) => tracing::debug!(release, "the API server did not take an event in time"),
                }
            }
        });
        Self(sender)
    }

    /// Writes events for the conditions of a status that have another reason than before, and for what happened since.
    pub(super) fn emit(&self, resource: &Resource, before: &Status, status: &Status) {
        for event in events(before, status) {
            let release = &resource.id;
            let about = ObjectReference {
                api_version: Some(Kind::CanaryRelease.api_version()),
                kind: Some(Kind::CanaryRelease.name().to_owned()),
                name: Some(release.name.clone()),
                namespace: Some(release.namespace.clone()),
                uid: Some(resource.uid.clone()),
                ..ObjectReference::default()
            };
            if self.0.try_send((event, about)).is_err() {
                tracing::warn!(%release, "dropped an event: the API server is slow to take them");
            }
        }
    }
}

/// The events of a change of status.
fn events(before: &Status, after: &Status) -> Vec<Event> {
    let find = |status: &Status, kind: ConditionType| {
        status.conditions.iter().find(|condition| condition.kind == kind.name()).cloned()
    };
    let event = |kind: ConditionType| {
        let (before, after) = (find(before, kind), find(after, kind)?);
        let reason = Reason::of(&after)?;
        if before.as_ref().is_some_and(|before| before.reason == after.reason) {
            return None;
        }
        let type_ = match reason.event() {
            conditions::Event::Quiet => return None,
            conditions::Event::Return if before.is_none() => return None,
            conditions::Event::Return | conditions::Event::Normal => EventType::Normal,
            conditions::Event::Warning => EventType::Warning,
        };
        let note = Some(after.message.chars().take(NOTE).collect());
        Some(Event { type_, reason: after.reason, note, action: "Reconcile".to_owned(), secondary: None })
    };
    let happened = after.happened_since(before).map(of_entry);
    ConditionType::ALL.into_iter().filter_map(event).chain(happened).collect()
}

/// The event of something that happened.
fn of_entry(entry: &HistoryEntry) -> Event {
    let HistoryEntry { what, from, to, by, because, .. } = entry;
    let shares = |shares: &str| if shares.is_empty() { "nobody".to_owned() } else { shares.to_owned() };
    let because = if because.is_empty() { String::new() } else { format!(": {because}") };
    let note = format!("{} → {} by {by}{because}", shares(from), shares(to));
    let type_ = if *what == What::RolledBack { EventType::Warning } else { EventType::Normal };
    let note = Some(note.chars().take(NOTE).collect());
    Event { type_, reason: format!("{what:?}"), note, action: "Reconcile".to_owned(), secondary: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::{Bytes, to_bytes};
    use axum::extract::Request;
    use kube::Client;
    use kube::runtime::events::Reporter;
    use serde_json::Value;
    use serin_mesh::conditions::Condition;
    use serin_release::ReleaseId;
    use tokio::sync::Semaphore;

    use super::*;

    fn status(reasons: &[Reason]) -> Status {
        let conditions = reasons.iter().map(|reason| Condition::new(*reason, reason.help()).at(&[], 1, "now")).collect();
        Status { conditions, ..Status::default() }
    }

    #[test]
    fn an_event_comes_with_a_new_reason() {
        let of = |before: &[Reason], after: &[Reason]| -> Vec<(bool, String)> {
            let events = events(&status(before), &status(after)).into_iter();
            events.map(|event| (matches!(event.type_, EventType::Warning), event.reason)).collect()
        };
        let said = |warns, reason: Reason| (warns, reason.name().to_owned());
        assert_eq!(of(&[], &[Reason::Accepted, Reason::AllReady, Reason::Pending]), []);
        assert_eq!(of(&[], &[Reason::Invalid]), [said(true, Reason::Invalid)]);
        assert_eq!(of(&[Reason::Invalid], &[Reason::Invalid]), []);
        assert_eq!(of(&[Reason::Invalid], &[Reason::Accepted]), [said(false, Reason::Accepted)]);
        assert_eq!(
            of(&[Reason::Accepted, Reason::Programmed], &[Reason::Accepted, Reason::DocumentUnreadable, Reason::TakenOver]),
            [said(true, Reason::DocumentUnreadable), said(false, Reason::TakenOver)]
        );
    }

    /// An API server that answers nothing before the gate is closed, and says what it was asked.
    fn api(gate: Arc<Semaphore>) -> (Client, mpsc::UnboundedReceiver<Bytes>) {
        let (asked, requests) = mpsc::unbounded_channel();
        let answer = move |request: Request| {
            let (asked, gate) = (asked.clone(), Arc::clone(&gate));
            async move {
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                asked.send(body.clone()).unwrap();
                assert!(gate.acquire().await.is_err(), "the gate has no permits");
                body
            }
        };
        (Client::new(Router::new().fallback(answer), "default"), requests)
    }

    // On one thread, so that nobody takes an event while more are emitted.
    #[tokio::test]
    async fn nobody_waits_for_a_slow_api_and_what_exceeds_the_room_is_dropped() {
        let gate = Arc::new(Semaphore::new(0));
        let (client, mut requests) = api(Arc::clone(&gate));
        let reporter = Reporter { controller: "serin".to_owned(), instance: None };
        let mut tasks = JoinSet::new();
        let events = Events::start(Recorder::new(client, reporter), Duration::from_secs(3600), &mut tasks);
        let emit = |n: usize| {
            events.emit(
                &Resource::gone(ReleaseId::new("shop", format!("r{n}"))),
                &Status::default(),
                &status(&[Reason::Invalid]),
            )
        };
        let of = |body: Bytes| serde_json::from_slice::<Value>(&body).unwrap()["regarding"]["name"].clone();
        emit(0);
        assert_eq!(of(requests.recv().await.unwrap()), "r0");
        // One is being written for as long as the gate is open, and these do not wait for it.
        (1..=WAITING + 100).for_each(emit);
        gate.close();
        drop(events);
        while tasks.join_next().await.is_some() {}
        let mut written = Vec::new();
        while let Ok(body) = requests.try_recv() {
            written.push(of(body));
        }
        assert_eq!(written, (1..=WAITING).map(|n| format!("r{n}")).collect::<Vec<_>>());
    }
}
