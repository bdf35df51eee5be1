//! `serin cleanup`: remove what a controller that is gone has left in a cluster.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, Error};
use serde_json::json;
use serin_config::SplitDocument;
use serin_mesh::cleanup::{Cleanup, plan};
use serin_mesh::documents::enveloped;
use serin_mesh::names::{MANAGED_BY, MANAGER};
use serin_mesh::resource::FINALIZER;
use serin_mesh::{Kind, Name, Object};
use tokio::time::sleep;

use super::{Failure, print, say};
use crate::cluster::convert::{api_resource, from_dynamic};
use crate::cluster::{cause, connect};

const EXAMPLES: &str = "\
Examples:
  serin cleanup
  serin cleanup --yes";

/// So long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Remove what a controller that is gone has left in the cluster, in the safe order. Without --yes it only shows what that is.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Clean {
    /// Namespace that the controller was in: while it leads, nothing is removed.
    #[arg(long, default_value = "serin-system")]
    namespace: String,
    /// Time to wait between two steps, until every proxy knows, in milliseconds.
    #[arg(long, default_value = "3000")]
    drain_ms: u64,
    /// Remove it.
    #[arg(long)]
    yes: bool,
}

impl Clean {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
        runtime.block_on(async {
            let client = connect(PATIENCE).await?;
            self.check_lease(&client).await?;
            let cleanup = plan(&left(&client).await?);
            if !self.yes {
                return print(&shown(&cleanup));
            }
            self.remove(&client, &cleanup).await
        })
    }

    /// A controller that leads removes all of it by itself, and would make it again.
    async fn check_lease(&self, client: &Client) -> Result<(), Failure> {
        let leases: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let lease = leases.get_opt("serin").await;
        let lease = lease.map_err(|error| failed(&format!("cannot read the Lease {}/serin", self.namespace), &error))?;
        let Some(spec) = lease.and_then(|lease| lease.spec) else { return Ok(()) };
        let seconds = i64::from(spec.lease_duration_seconds.unwrap_or_default());
        let held = spec.renew_time.is_some_and(|renewed| {
            let ended = renewed.0.as_second().saturating_add(seconds);
            ended > jiff::Timestamp::now().as_second()
        });
        match spec.holder_identity.filter(|holder| held && !holder.is_empty()) {
            None => Ok(()),
            Some(holder) => Err(Failure::Failed(format!(
                "the controller {holder} leads; delete the releases and it removes what it made, or stop it first"
            ))),
        }
    }

    async fn remove(&self, client: &Client, cleanup: &Cleanup) -> Result<(), Failure> {
        let drain = Duration::from_millis(self.drain_ms);
        for (kind, name) in &cleanup.carriers {
            empty(client, *kind, name).await?;
            say(&format!("emptied the document of {} {name}", kind.name()));
        }
        for step in &cleanup.steps {
            sleep(drain).await;
            for (kind, name) in step {
                let objects: Api<DynamicObject> =
                    Api::namespaced_with(client.clone(), &name.namespace, &api_resource(*kind));
                match objects.delete(&name.name, &DeleteParams::default()).await {
                    Ok(_) => say(&format!("deleted {} {name}", kind.name())),
                    Err(Error::Api(status)) if status.code == 404 => {}
                    Err(error) => return Err(failed(&format!("cannot delete {} {name}", kind.name()), &error)),
                }
            }
        }
        for name in &cleanup.releases {
            release(client, name).await?;
            say(&format!("took the finalizer from CanaryRelease {name}"));
        }
        for name in &cleanup.kept {
            say(&format!("left Deployment {name}: its pods may be stable's; delete it if nobody needs them"));
        }
        Ok(())
    }
}

/// All that may have to go; a kind that the cluster does not have has no objects.
async fn left(client: &Client) -> Result<Vec<(Kind, Object)>, Failure> {
    let mut all = Vec::new();
    let kinds = [
        Kind::WasmPlugin,
        Kind::HorizontalPodAutoscaler,
        Kind::Deployment,
        Kind::VirtualService,
        Kind::DestinationRule,
        Kind::CanaryRelease,
    ];
    for kind in kinds {
        let objects: Api<DynamicObject> = Api::all_with(client.clone(), &api_resource(kind));
        let ours = ListParams::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
        let list = objects.list(&if kind == Kind::CanaryRelease { ListParams::default() } else { ours }).await;
        match list {
            Ok(list) => all.extend(list.items.into_iter().map(|object| (kind, from_dynamic(object)))),
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(failed(&format!("cannot list {}", kind.plural()), &error)),
        }
    }
    Ok(all)
}

/// Gives a carrier a document without releases: it decides nothing then, on any connection.
async fn empty(client: &Client, kind: Kind, name: &Name) -> Result<(), Failure> {
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), &name.namespace, &api_resource(kind));
    let config = enveloped(&SplitDocument::new(Vec::new()).to_text(), None);
    let change = Patch::Merge(json!({"spec": {"pluginConfig": config}}));
    match objects.patch(&name.name, &PatchParams::default(), &change).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(failed(&format!("cannot change {} {name}", kind.name()), &error)),
    }
}

/// Takes the finalizer from a release, and no other one.
async fn release(client: &Client, name: &Name) -> Result<(), Failure> {
    let releases: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &name.namespace, &api_resource(Kind::CanaryRelease));
    let change = async {
        let Some(found) = releases.get_opt(&name.name).await? else { return Ok(()) };
        let finalizers: Vec<String> =
            found.metadata.finalizers.unwrap_or_default().into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
        let metadata = json!({"finalizers": finalizers, "resourceVersion": found.metadata.resource_version});
        releases.patch(&name.name, &PatchParams::default(), &Patch::Merge(json!({"metadata": metadata}))).await.map(|_| ())
    };
    change.await.map_err(|error: Error| failed(&format!("cannot take the finalizer from CanaryRelease {name}"), &error))
}

fn failed(what: &str, error: &Error) -> Failure {
    Failure::Failed(format!("{what}: {}", cause(error)))
}

/// The plan for people.
fn shown(cleanup: &Cleanup) -> String {
    if cleanup.is_empty() {
        return "nothing of Serin's is left\n".to_owned();
    }
    let mut text = String::new();
    // Writing into a text cannot fail.
    for (kind, name) in &cleanup.carriers {
        let _ = writeln!(text, "1  empty the document of {} {name}", kind.name());
    }
    for (number, step) in (2..).zip(&cleanup.steps) {
        for (kind, name) in step {
            let _ = writeln!(text, "{number}  delete {} {name}", kind.name());
        }
    }
    let last = cleanup.steps.len() + 2;
    for name in &cleanup.releases {
        let _ = writeln!(text, "{last}  take the finalizer from CanaryRelease {name}");
    }
    for name in &cleanup.kept {
        let _ = writeln!(text, "-  leave Deployment {name}, whose pods may be stable's");
    }
    text + "Nothing was changed; --yes does it.\n"
}
