//! Istio: subsets in a DestinationRule, routes in VirtualServices, documents in WasmPlugins.

mod destination_rule;
mod gateway;
mod names;
mod sidecar;
mod site;
mod virtual_service;
mod wasm_plugin;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serin_config::SplitDocument;
use serin_release::api::v1alpha1::{CanaryRelease, Routing};
use serin_release::domain::ClusterDomain;

use crate::desired::Desired;
use crate::documents::{Module, enveloped};
use crate::entry::Scope;
use crate::home::{Home, Site};
use crate::key::{Key, label_keys};
use crate::names::{ALL, VERSION_LABEL, is_foreign, release_of, routing_key};
use crate::reader::Reader;
use crate::resource::Resource;
use crate::service::{Service, count};
use crate::{Content, Kind, Name, Object};
pub use names::ObjectNames;
use names::full_gateway;
use site::IstioSite;

/// A mesh of Istio's.
#[derive(Clone, Debug, Default)]
pub struct Istio {
    /// The namespace in which a WasmPlugin applies to every proxy.
    pub root_namespace: String,
    /// The domain of the cluster.
    pub domain: ClusterDomain,
    /// Namespaces whose waypoints may serve Services of others: Serin writes a WasmPlugin there.
    pub waypoint_namespaces: BTreeSet<String>,
    /// What an administrator lets releases claim at gateways: namespaces, or `*` for all, with hosts or patterns such as
    /// `*.example.com`. Empty: whatever Gateways serve to them.
    pub gateway_hosts: Vec<(String, String)>,
}

impl Home for Istio {
    fn domain(&self) -> ClusterDomain {
        self.domain.clone()
    }

    fn keys(&self, kind: Kind, object: &Content) -> Vec<Key> {
        let namespace = object.metadata.namespace.as_str();
        match kind {
            Kind::WorkloadEntry => label_keys(kind, object, "/spec/labels"),
            Kind::ServiceEntry => object.strings("/spec/hosts").map(|host| Key::Host(kind, host.to_owned())).collect(),
            Kind::DestinationRule if is_foreign(object) => object
                .text("/spec/host")
                .map(|host| Key::Host(kind, self.domain.qualified(host, namespace)))
                .into_iter()
                .collect(),
            Kind::VirtualService if is_foreign(object) => {
                let hosts =
                    object.strings("/spec/hosts").map(|host| Key::Host(kind, self.domain.qualified(host, namespace)));
                let delegates = delegates(object).map(|delegate| Key::Target(kind, kind, delegate));
                let services = whole_services(object, &self.domain).map(|service| Key::Target(kind, Kind::Service, service));
                hosts.chain(delegates).chain(services).collect()
            }
            Kind::Sidecar if sidecar::is_of_namespace(object) => {
                vec![Key::Target(kind, Kind::Namespace, Name::new("", namespace))]
            }
            _ => Vec::new(),
        }
    }

    fn observe(&self, release: &Resource, service: Option<&Object>, reader: &Reader<'_>) -> Box<dyn Site> {
        Box::new(observe(release, service, reader, self))
    }

    fn carrier(&self) -> Kind {
        Kind::WasmPlugin
    }

    fn carrier_name(&self, scope: &Scope) -> Name {
        wasm_plugin::name(scope, &self.root_namespace)
    }

    fn scope_of(&self, carrier: &Object) -> Option<Scope> {
        if release_of(carrier) != Some(ALL) {
            return None;
        }
        let name = carrier.name();
        if name == self.carrier_name(&Scope::Mesh) {
            return Some(Scope::Mesh);
        }
        let gateway = name.name.strip_prefix(wasm_plugin::WAYPOINT_PREFIX)?;
        Some(Scope::Waypoint(name.namespace.clone(), gateway.to_owned()))
    }

    fn carry(&self, scope: &Scope, document: &str, module: &Module, fetch: Option<&str>) -> Desired {
        wasm_plugin::plugin(scope, enveloped(document, fetch), module, &self.root_namespace)
    }

    fn fetch<'a>(&self, carrier: &'a Object) -> Option<&'a str> {
        carrier.text("/spec/pluginConfig/fetch")
    }

    fn module_url<'a>(&self, carrier: &'a Object) -> Option<&'a str> {
        carrier.text("/spec/url")
    }

    fn carried(&self, carrier: &Object) -> Option<Result<SplitDocument, String>> {
        wasm_plugin::document(carrier)
    }

    fn checksum(&self, carrier: &Object) -> Option<u32> {
        wasm_plugin::checksum(carrier)
    }
}

/// Reads what Istio has of a release and around it.
fn observe(release: &Resource, service: Option<&Object>, reader: &Reader<'_>, home: &Istio) -> IstioSite {
    let namespace = release.id.namespace.as_str();
    let names = ObjectNames::of(&release.id);
    let ours = |kind, name: &str| reader.get(kind, namespace, name).cloned();
    let mut site = IstioSite {
        id: release.id.clone(),
        host: String::new(),
        routing_key: routing_key(&release.uid),
        routing: Routing::default(),
        rule: ours(Kind::DestinationRule, &names.rule),
        mesh_route: ours(Kind::VirtualService, &names.mesh_route),
        gateway_route: ours(Kind::VirtualService, &names.gateway_route),
        names,
        root_namespace: home.root_namespace.clone(),
        foreign_routes: Vec::new(),
        foreign_rules: Vec::new(),
        gateways: Vec::new(),
        delegating: false,
        passing_by: Vec::new(),
        waypoint: service.and_then(|service| waypoint(reader, service, namespace)),
        waypoint_namespaces: home.waypoint_namespaces.clone(),
        gateway_hosts: home.gateway_hosts.clone(),
        is_headless: service.is_some_and(|service| Service::read(service).headless),
        cut_off: None,
        has_host: false,
        selector: BTreeMap::new(),
        endpoints: BTreeMap::new(),
    };
    let Ok(parsed) = &release.parsed else { return site };
    let host = parsed.host();
    site.host.clone_from(&host);
    site.routing = parsed.spec.routing.clone().unwrap_or_default();
    site.gateways = gateway::listed(&site.routing, namespace, reader);
    site.cut_off = sidecar::cut_off(reader, namespace, &home.root_namespace, &host);
    site.foreign_rules = reader.of_host(Kind::DestinationRule, &host).into_iter().cloned().collect();
    let ours = [&site.mesh_route, &site.gateway_route].map(|route| route.as_ref().filter(|route| !is_foreign(route)));
    site.foreign_routes = foreign_routes(parsed, ours, namespace, reader);
    let pointing = |kind, name: &str| reader.pointing_at(Kind::VirtualService, kind, Name::new(namespace, name));
    site.delegating = pointing(Kind::VirtualService, &site.names.mesh_route).next().is_some();
    if let Some(service) = service {
        let shadowed = |route: &Object| {
            let mut hosts =
                route.strings("/spec/hosts").map(|named| parsed.domain.qualified(named, &route.metadata.namespace));
            comes_after(route, site.mesh_route.as_ref())
                && gateways_of(route) == ["mesh"]
                && hosts.all(|named| named == host)
        };
        let routes = pointing(Kind::Service, &service.metadata.name);
        let routes = routes.filter(|route| concerns(route, namespace) && !shadowed(route));
        site.passing_by = routes.map(|route| route.full_name()).collect();
    }
    match service {
        Some(service) => {
            site.selector = service.string_map("/spec/selector");
            add_workload_entries(&mut site.endpoints, reader, namespace, &site.selector);
        }
        None if parsed.domain.service_of(&host, namespace).is_none() => read_entries(&mut site, &host, reader),
        None => {}
    }
    site
}

/// What the ServiceEntries of the namespace say of a host that no Service has.
fn read_entries(site: &mut IstioSite, host: &str, reader: &Reader<'_>) {
    let namespace = site.id.namespace.clone();
    let of_namespace = |entry: &&Object| entry.metadata.namespace == namespace;
    let exact = |entry: &&Object| entry.strings("/spec/hosts").any(|pattern| pattern == host);
    for entry in reader.of_host(Kind::ServiceEntry, host).into_iter().filter(of_namespace).filter(exact) {
        site.has_host = true;
        for endpoint in entry.list("/spec/endpoints") {
            count(&mut site.endpoints, endpoint.pointer("/labels/version").and_then(Value::as_str), 1);
        }
        let selector = entry.string_map("/spec/workloadSelector/labels");
        add_workload_entries(&mut site.endpoints, reader, &namespace, &selector);
        site.selector.extend(selector);
    }
}

fn add_workload_entries(
    ready: &mut BTreeMap<String, u32>,
    reader: &Reader<'_>,
    namespace: &str,
    selector: &BTreeMap<String, String>,
) {
    let Some((label, value)) = selector.iter().next() else { return };
    for entry in reader.labelled(Kind::WorkloadEntry, namespace, label, value) {
        let labels = entry.string_map("/spec/labels");
        let selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let sick = |condition: &Value| {
            condition.get("type").and_then(Value::as_str) == Some("Healthy")
                && condition.get("status").and_then(Value::as_str) == Some("False")
        };
        if selected && !entry.list("/status/conditions").any(sick) {
            count(ready, labels.get(VERSION_LABEL).map(String::as_str), 1);
        }
    }
}

/// The VirtualServices of somebody else that have a host which the release wants to route itself. `ours` are those of the mesh and at
/// gateways that are there.
fn foreign_routes(
    parsed: &CanaryRelease,
    [in_mesh, at_gateways]: [Option<&Object>; 2],
    namespace: &str,
    reader: &Reader<'_>,
) -> Vec<Object> {
    let service = parsed.host();
    let routing = parsed.spec.routing.as_ref();
    let gateways = routing.map(|routing| routing.gateways.as_slice()).unwrap_or_default();
    let gateways: Vec<String> = gateways.iter().map(|name| full_gateway(name, namespace)).collect();
    let mut found: Vec<Object> = Vec::new();
    for host in &parsed.claims() {
        let ours = if *host == service { in_mesh } else { at_gateways };
        let here = |route: &&Object| {
            let theirs = gateways_of(route);
            concerns(route, namespace)
                && !comes_after(route, ours)
                && match *host == service {
                    true => theirs.iter().any(|gateway| gateway == "mesh"),
                    false => theirs.iter().any(|gateway| gateways.contains(gateway)),
                }
        };
        let routes = reader.of_host(Kind::VirtualService, host).into_iter().filter(here);
        // Of several that cover a host Istio prefers the one that names it, which ours does. What has no routes for HTTP takes none.
        let covers = |route: &&Object| {
            let mut hosts =
                route.strings("/spec/hosts").map(|named| parsed.domain.qualified(named, &route.metadata.namespace));
            hosts.any(|named| named.eq_ignore_ascii_case(host)) && route.list("/spec/http").next().is_some()
        };
        found.extend(routes.filter(covers).cloned());
    }
    found.sort_by_key(|route| route.name());
    found.dedup_by_key(|route| route.name());
    found
}

/// Whether a route acts for clients of the whole mesh, or of this namespace. What is exported to others alone acts for their clients
/// before ours does.
fn concerns(route: &Object, namespace: &str) -> bool {
    let exported: Vec<&str> = route.strings("/spec/exportTo").collect();
    let own = if route.metadata.namespace == namespace { "." } else { namespace };
    exported.is_empty() || exported.iter().any(|to| *to == "*" || *to == own || *to == namespace)
}

/// Whether a route of another namespace is younger than ours: Istio takes the oldest, so nobody comes in between later. Times have seconds.
fn comes_after(route: &Object, ours: Option<&Object>) -> bool {
    ours.is_some_and(|ours| {
        route.metadata.namespace != ours.metadata.namespace
            && ours.metadata.created.is_some()
            && route.metadata.created > ours.metadata.created
    })
}

/// The gateways of a VirtualService with their namespaces; `mesh` when it names none.
fn gateways_of(route: &Object) -> Vec<String> {
    let named: Vec<String> =
        route.strings("/spec/gateways").map(|name| full_gateway(name, &route.metadata.namespace)).collect();
    // A delegate has no hosts and is reached through its root alone.
    if named.is_empty() && route.list("/spec/hosts").next().is_some() { vec!["mesh".to_owned()] } else { named }
}

/// The VirtualServices that a route delegates to.
fn delegates(route: &Content) -> impl Iterator<Item = Name> + use<'_> {
    route.list("/spec/http").filter_map(|http| {
        let field = |field: &str| http.pointer("/delegate")?.get(field)?.as_str();
        Some(Name::new(field("namespace").unwrap_or(&route.metadata.namespace), field("name")?))
    })
}

/// The Services that a route sends requests to as a whole, to no subset of them.
fn whole_services<'a>(route: &'a Content, domain: &'a ClusterDomain) -> impl Iterator<Item = Name> + use<'a> {
    let routes = route.list("/spec/http").filter_map(|http| http.get("route")?.as_array()).flatten();
    let destinations = routes.filter_map(|route| route.get("destination")).filter(|to| to.get("subset").is_none());
    destinations.filter_map(|to| {
        let host = domain.qualified(to.get("host")?.as_str()?, &route.metadata.namespace);
        let (name, namespace) = domain.service(&host)?;
        Some(Name::new(namespace, name))
    })
}

/// The waypoint of a Service: its own label, else its namespace's (Istio's ambient mode).
fn waypoint(reader: &Reader<'_>, service: &Object, namespace: &str) -> Option<Name> {
    let of_namespace = reader.get(Kind::Namespace, "", namespace).map(|namespace| &namespace.metadata.labels);
    let mut labels = std::iter::once(&service.metadata.labels).chain(of_namespace);
    let labels = labels.find(|labels| labels.contains_key("istio.io/use-waypoint"))?;
    let name = labels.get("istio.io/use-waypoint").filter(|name| *name != "none")?;
    let within = labels.get("istio.io/use-waypoint-namespace").map_or(namespace, String::as_str);
    Some(Name::new(within, name))
}
