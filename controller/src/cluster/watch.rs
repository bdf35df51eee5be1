//! One watch for each kind, into one channel; a leader that is busy holds them up.

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::utils::WatchStreamExt;
use kube::runtime::watcher;
use kube::{Client, core::PartialObjectMeta};
use tokio::sync::mpsc::Sender;

use serin_mesh::{Kind, Object};

use super::convert::{api_resource, from_dynamic, from_metadata};
use crate::cluster::metrics::Metrics;
use serin_mesh::store::Event;

/// Watches a kind until the receiver is gone. What fails is tried again with a growing delay and jitter.
pub(crate) async fn watch(client: Client, kind: Kind, sender: Sender<(Kind, Event)>, metrics: Metrics) {
    let resource = api_resource(kind);
    let config = match kind.selector() {
        Some(selector) => watcher::Config::default().labels(selector),
        None => watcher::Config::default(),
    };
    let events = match kind.metadata_only() {
        true => {
            let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
            watcher::watcher(api, config).map(|event| event.map(|event| convert(event, from_metadata))).boxed()
        }
        false => {
            let api: Api<DynamicObject> = Api::all_with(client, &resource);
            watcher::watcher(api, config).map(|event| event.map(|event| convert(event, from_dynamic))).boxed()
        }
    };
    let mut events = std::pin::pin!(events.default_backoff());
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
