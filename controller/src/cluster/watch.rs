//! One watch for each kind, into one channel; a leader that is busy holds them up.

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{Api, DynamicObject};
use kube::runtime::utils::WatchStreamExt;
use kube::runtime::watcher;
use kube::{Client, core::PartialObjectMeta};
use tokio::sync::mpsc::Sender;

use serin_mesh::{Kind, Object};

use super::convert::{api_resource, from_dynamic, from_metadata};
use crate::cluster::metrics::Metrics;
use serin_mesh::store::Event;

/// What happens to a kind, in one namespace or in all. What fails is tried again with a growing delay and jitter.
pub(crate) fn events(
    client: Client,
    kind: Kind,
    namespace: Option<&str>,
) -> BoxStream<'static, Result<Event, watcher::Error>> {
    let resource = api_resource(kind);
    let config = match kind.selector() {
        Some(selector) => watcher::Config::default().labels(selector),
        None => watcher::Config::default(),
    };
    match kind.metadata_only() {
        true => {
            let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            };
            let events = watcher::watcher(api, config).map(|event| event.map(|event| convert(event, from_metadata)));
            events.default_backoff().boxed()
        }
        false => {
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            };
            let events = watcher::watcher(api, config).map(|event| event.map(|event| convert(event, from_dynamic)));
            events.default_backoff().boxed()
        }
    }
}

/// Watches a kind until the receiver is gone.
pub(super) async fn watch(client: Client, kind: Kind, sender: Sender<(Kind, Event)>, metrics: Metrics) {
    let mut events = events(client, kind, None);
    while let Some(event) = events.next().await {
        match event {
            Ok(seen) => {
                if sender.send((kind, seen)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                metrics.watch_error(kind);
                tracing::warn!(kind = kind.name(), error = %super::cause(&error), "cannot watch; trying again");
            }
        }
    }
}

fn convert<T>(event: watcher::Event<T>, object: impl Fn(T) -> Object) -> Event {
    match event {
        watcher::Event::Init => Event::InitStart,
        watcher::Event::InitApply(value) => Event::InitItem(object(value)),
        watcher::Event::InitDone => Event::InitDone,
        watcher::Event::Apply(value) => Event::Applied(object(value)),
        watcher::Event::Delete(value) => Event::Deleted(object(value)),
    }
}
