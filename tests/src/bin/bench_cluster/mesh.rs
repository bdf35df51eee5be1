//! The large mesh: 1 000 Services in 100 namespaces, and what acts on them.
//!
//! All endpoints but those of one Service are WorkloadEntries, so that the bench measures Serin and not the scheduler.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value does not have is null")]

use serde_json::{Value, json};
use serin_tests::mesh::release;
use serin_tests::names::{Name, names};

use crate::Result;
use crate::api::{Api, network};

pub(crate) const NAMESPACES: usize = 100;
pub(crate) const SERVICES: usize = 10;

/// Makes Services with two versions each.
pub(crate) fn services(api: &mut Api) -> Result<Vec<Name>> {
    let all = names(NAMESPACES, SERVICES);
    for (number, several) in all.chunks(SERVICES).enumerate() {
        for (index, name) in several.iter().enumerate() {
            let core = "/api/v1/namespaces";
            if index == 0 {
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name.namespace}});
                api.create(core, &namespace)?;
            }
            api.create(&format!("{core}/{}/services", name.namespace), &service(name))?;
            for (version, last) in [("v1", 1), ("v2", 2)] {
                let address = format!("10.244.{}.{}", 100 + number, index * 2 + last);
                api.create(&network(&name.namespace, "workloadentries"), &endpoint(name, version, &address))?;
            }
        }
    }
    Ok(all)
}

/// Makes a release of each.
pub(crate) fn releases(api: &mut Api, names: &[Name]) -> Result<()> {
    names.iter().try_for_each(|name| api.create(&crate::api::releases(&name.namespace), &a_release(name)))
}

fn service(Name { namespace, service }: &Name) -> Value {
    let ports = json!([{"name": "http", "port": 9080, "targetPort": 8000}]);
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": namespace},
        "spec": {"selector": {"app": service}, "ports": ports}})
}

/// An endpoint of a Service, which nobody asks.
fn endpoint(Name { namespace, service }: &Name, version: &str, address: &str) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": format!("{service}-{version}"), "namespace": namespace},
        "spec": {"address": address, "labels": {"app": service, "version": version}}})
}

fn a_release(Name { namespace, service }: &Name) -> Value {
    let sticky = json!({"by": [{"cookie": "user"}]});
    let spec = json!({"service": service, "canaries": [{"version": "v2", "weight": "5%"}], "sticky": sticky});
    let mut object = release(namespace, spec);
    object["metadata"]["name"] = json!(service);
    object
}

/// Puts a weight in a VirtualService of each Service, as one would without Serin, in place of what a controller that is gone has left.
pub(crate) fn weights(api: &mut Api, names: &[Name]) -> Result<()> {
    for name in names.iter().step_by(SERVICES) {
        for kind in ["virtualservices", "destinationrules"] {
            api.delete(&network(&name.namespace, kind))?;
        }
    }
    for name in names {
        let metadata = json!({"name": name.service, "namespace": name.namespace});
        let subsets = ["v1", "v2"].map(|version| json!({"name": version, "labels": {"version": version}}));
        let rule = json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata,
            "spec": {"host": name.host(), "subsets": subsets}});
        api.create(&network(&name.namespace, "destinationrules"), &rule)?;
        let mut service = weighted(name, 5);
        service["apiVersion"] = json!("networking.istio.io/v1");
        service["kind"] = json!("VirtualService");
        service["metadata"] = metadata;
        api.create(&network(&name.namespace, "virtualservices"), &service)?;
    }
    Ok(())
}

/// The spec of a VirtualService with so many percent on v2.
pub(crate) fn weighted(name: &Name, percent: usize) -> Value {
    let to =
        |version: &str, weight: usize| json!({"destination": {"host": name.host(), "subset": version}, "weight": weight});
    json!({"spec": {"hosts": [name.host()], "http": [{"route": [to("v1", 100 - percent), to("v2", percent)]}]}})
}
