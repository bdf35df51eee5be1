//! Names of a cluster and of the kubeconfig.

use clap_complete::engine::ArgValueCompleter;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::config::Kubeconfig;
use serin_mesh::Kind;
use serin_release::api::v1alpha1::CanaryRelease;

use super::{Typed, completer};
use crate::cli::cluster::{Connection, Place};

/// So many names are read: nobody chooses among more.
const MOST: u32 = 1000;

fn connection(typed: &Typed) -> Option<Connection> {
    Connection::open(&Place::of(typed.text("namespace"), typed.text("context"), typed.path("kubeconfig"))).ok()
}

/// Releases: those of the namespace by their names, and those of all as `NAMESPACE/NAME` where it may be asked for them.
pub(super) fn releases(typed: &Typed, current: &str) -> Option<Vec<String>> {
    let connection = connection(typed)?;
    let list = |everywhere: bool| {
        let api = connection.all(Kind::CanaryRelease, everywhere);
        connection.ask("list CanaryReleases", async { api.list_metadata(&ListParams::default().limit(MOST)).await }).ok()
    };
    let is_narrow = typed.text("namespace").is_some();
    let found = if is_narrow { list(false) } else { list(true).or_else(|| list(false)) }?;
    let own = connection.name("").namespace;
    let mut names = Vec::new();
    for PartialObjectMeta { metadata, .. } in found.items {
        let (Some(namespace), Some(name)) = (metadata.namespace, metadata.name) else { continue };
        if !is_narrow || current.contains('/') {
            names.push(format!("{namespace}/{name}"));
        }
        if namespace == own {
            names.push(name);
        }
    }
    names.sort();
    Some(names)
}

/// A release of the cluster.
pub(super) fn release(typed: &Typed, name: &str) -> Option<CanaryRelease> {
    let connection = connection(typed)?;
    connection.release(&connection.name(name)).ok()?.parsed.ok()
}

/// Names of namespaces.
pub(in crate::cli) fn namespaces() -> ArgValueCompleter {
    completer(|_| {
        let connection = connection(&Typed::read()?)?;
        let namespaces: Api<Namespace> = Api::all(connection.client());
        let list = async { namespaces.list_metadata(&ListParams::default().limit(MOST)).await };
        let found = connection.ask("list namespaces", list).ok()?;
        Some(found.items.into_iter().filter_map(|one| one.metadata.name).collect())
    })
}

/// Names of the contexts of the kubeconfig.
pub(in crate::cli) fn contexts() -> ArgValueCompleter {
    completer(|_| {
        let read = Typed::read().and_then(|typed| typed.path("kubeconfig"));
        let kubeconfig = read.map_or_else(Kubeconfig::read, Kubeconfig::read_from).ok()?;
        Some(kubeconfig.contexts.into_iter().map(|context| context.name).collect())
    })
}
