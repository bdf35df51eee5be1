//! What a cluster says of the releases of a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, ListParams};
use serin_config::SplitDocument;
use serin_mesh::home::istio::Istio;
use serin_mesh::hosts::Hosts;
use serin_mesh::life::Life;
use serin_mesh::order::{Pace, Served};
use serin_mesh::pass::{Pass, Settings};
use serin_mesh::proxies::Seen;
use serin_mesh::reader::Reader;
use serin_mesh::references::dereference;
use serin_mesh::resource::Resource;
use serin_mesh::store::Store;
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lint::Finding;

use crate::cli::Failure;
use crate::cli::cluster::{Connection, Place};
use crate::cluster::convert::{api_resource, from_dynamic};

/// The namespaces of Istio and of the controller, as they are installed.
const ROOT: &str = "istio-system";
const CONTROLLER: &str = "serin-system";

/// What is found about releases with what is around them.
pub(super) fn lint(place: &Place, releases: &[CanaryRelease]) -> Result<Vec<Finding>, Failure> {
    let connection = Connection::open(place)?;
    let home = Istio { root_namespace: ROOT.to_owned(), ..Istio::default() };
    let mut found = Vec::new();
    for release in releases {
        let mut store = serin_mesh::home::store(Arc::new(home.clone()));
        let namespace = release.metadata.namespace.as_str();
        for kind in Kind::ALL {
            for object in objects(&connection, kind, namespace)? {
                drop(store.put(kind, object));
            }
        }
        found.extend(of(release, store, &home));
    }
    Ok(found)
}

/// All objects of a kind, or those of a namespace where no more may be read; none of a kind that the cluster does not have.
fn objects(connection: &Connection, kind: Kind, namespace: &str) -> Result<Vec<Object>, Failure> {
    let resource = api_resource(kind);
    let everywhere: Api<DynamicObject> = Api::all_with(connection.client(), &resource);
    let here = || Api::namespaced_with(connection.client(), namespace, &resource);
    let what = format!("list {}", kind.plural());
    let list = |api: Api<DynamicObject>| {
        connection.ask(&what, async {
            match api.list(&ListParams::default()).await {
                Ok(list) => Ok(Some(list.items)),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(Some(Vec::new())),
                Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
                Err(error) => Err(error),
            }
        })
    };
    let found = match list(everywhere)? {
        Some(found) => found,
        None if kind == Kind::Namespace => Vec::new(),
        None => list(here())?.ok_or_else(|| {
            Failure::Failed(format!("cannot {what} in namespace {namespace}: you have no right to; ask for `view` there"))
        })?,
    };
    Ok(found.into_iter().map(from_dynamic).collect())
}

fn of(release: &CanaryRelease, mut store: Store, home: &Istio) -> Vec<Finding> {
    let id = ReleaseId::new(&*release.metadata.namespace, &*release.metadata.name);
    let live = store.release(&id).cloned();
    let name = Name::new(&*id.namespace, &*id.name);
    let mut object = store.get(Kind::CanaryRelease, &name).cloned().map_or_else(
        || serde_json::json!({"metadata": {"namespace": id.namespace, "name": id.name}}),
        |object| object.to_json(),
    );
    // As the API server would have it once it is applied.
    if let Some(fields) = object.as_object_mut() {
        fields.insert("spec".to_owned(), serde_json::to_value(&release.spec).unwrap_or_default());
    }
    store.forget(Kind::CanaryRelease, &name);
    let object = Object::from_json(object);
    store.put(Kind::CanaryRelease, object.clone());
    let resource = Resource::read(&object);
    let references = dereference(&resource, &Reader::new(&store), home, &Hosts::default(), CONTROLLER);
    let pace = Pace { settle: Duration::ZERO, drain: Duration::ZERO };
    let settings = Settings { document: SplitDocument::new(Vec::new()), pace, workloads: true };
    let pass = Pass {
        resource: &resource,
        references: &references,
        entry: None,
        served: Served::Entry(None),
        life: &Life::default(),
        seen: Seen::default(),
        settings: &settings,
        now: Instant::now(),
    };
    let here = store.all(Kind::HorizontalPodAutoscaler).filter(|object| object.metadata.namespace == id.namespace);
    let autoscalers: BTreeMap<String, Object> = here.map(|object| (object.metadata.name.clone(), object.clone())).collect();
    serin_mesh::lint::lint(&pass, &autoscalers, live.as_deref())
}
