//! Step 1, dereference: what a release names and what concerns it, from the copy of the cluster. Reads only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::hosts::{gateways_of, is_foreign, matches_host, qualified};
use super::resource::Resource;
use crate::cluster::kind::Kind;
use crate::cluster::world::{Object, World};

/// The label of a pod, a Deployment or a WorkloadEntry that names its version.
pub const VERSION_LABEL: &str = "version";

/// All that a release's fate depends on, beside its own text.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// The Service; `None` where the host is another one's or missing.
    pub service: Option<Service>,
    /// Whether a ServiceEntry of the namespace has the host.
    pub entry: bool,
    /// The number of ready endpoints by version.
    pub ready: BTreeMap<String, u32>,
    /// Deployments of the namespace, by name.
    pub deployments: BTreeMap<String, Object>,
    /// The DestinationRule and the VirtualServices under the names that are Serin's.
    pub destination_rule: Option<Object>,
    /// The route for the mesh.
    pub mesh_route: Option<Object>,
    /// The route for gateways.
    pub gateway_route: Option<Object>,
    /// VirtualServices of others that have one of the hosts.
    pub foreign_routes: Vec<Object>,
    /// VirtualServices of others that delegate to Serin's.
    pub delegating: Vec<String>,
    /// DestinationRules of others that apply to the host, wildcards included.
    pub foreign_rules: Vec<Object>,
    /// The release that has the host already.
    pub older: Option<String>,
    /// The waypoint that the Service uses: namespace and name.
    pub waypoint: Option<(String, String)>,
}

/// What counts of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// Whether Istio may take it for HTTP: by its name or `appProtocol`, or because neither says anything.
    pub http: bool,
}

/// What is gathered once for all releases of a pass.
#[derive(Debug, Default)]
pub struct Shared {
    /// The release that each host belongs to: the oldest one that wants it.
    pub owners: BTreeMap<String, String>,
    routes: Vec<Object>,
    rules: Vec<Object>,
}

impl Shared {
    /// Gathers from the copy; the releases come with it, since all of them are read for it anyway.
    #[must_use]
    pub fn new(world: &World, releases: &[&Resource]) -> Self {
        let mut wanted: Vec<_> =
            releases.iter().flat_map(|release| release.claims().into_iter().map(move |host| (host, *release))).collect();
        wanted.sort_by_cached_key(|(_, release)| release.age());
        let mut owners = BTreeMap::new();
        for (host, release) in wanted {
            owners.entry(host).or_insert_with(|| release.id());
        }
        let foreign = |kind| world.all(kind).filter(|object| is_foreign(object)).cloned().collect();
        Self { owners, routes: foreign(Kind::VirtualService), rules: foreign(Kind::DestinationRule) }
    }
}

/// Gathers what concerns a release.
#[must_use]
pub fn dereference(release: &Resource, world: &World, shared: &Shared) -> References {
    let namespace = release.namespace.as_str();
    let (rule, mesh, gateway) = release.object_names();
    let mut references = References {
        destination_rule: world.get(Kind::DestinationRule, namespace, &rule).cloned(),
        mesh_route: world.get(Kind::VirtualService, namespace, &mesh).cloned(),
        gateway_route: world.get(Kind::VirtualService, namespace, &gateway).cloned(),
        deployments: world
            .within(Kind::Deployment, namespace)
            .map(|object| (text(object.metadata.name.as_deref()), object.clone()))
            .collect(),
        ..References::default()
    };
    let Ok(parsed) = &release.parsed else { return references };
    let host = parsed.host();
    let claims = release.claims();
    references.older =
        claims.iter().filter_map(|host| shared.owners.get(host)).find(|owner| **owner != release.id()).cloned();
    let applies = |object: &&Object| {
        let of = text(object.metadata.namespace.as_deref());
        let pattern = object.data.pointer("/spec/host").and_then(Value::as_str).unwrap_or_default();
        matches_host(&qualified(pattern, &of), &host)
    };
    references.foreign_rules = shared.rules.iter().filter(applies).cloned().collect();
    references.foreign_routes =
        shared.routes.iter().filter(|route| touches(route, parsed, &claims, namespace)).cloned().collect();
    references.delegating = shared.routes.iter().filter(|route| delegates(route, namespace, &mesh)).map(full_name).collect();
    let service_name = host.strip_suffix(&format!(".{namespace}.svc.cluster.local"));
    if let Some(service) = service_name.and_then(|name| world.get(Kind::Service, namespace, name)) {
        let name = text(service.metadata.name.as_deref());
        let read = read_service(service);
        references.ready = ready_pods(world, namespace, &name);
        add_workload_entries(&mut references.ready, world, namespace, &read.selector);
        references.waypoint = waypoint(world, service, namespace);
        references.service = Some(read);
    } else if service_name.is_none() {
        let entries = world.within(Kind::ServiceEntry, namespace);
        for entry in entries.filter(|entry| strings(entry, "/spec/hosts").any(|pattern| pattern == host)) {
            references.entry = true;
            for endpoint in list(entry, "/spec/endpoints") {
                count(&mut references.ready, endpoint.pointer("/labels/version").and_then(Value::as_str), 1);
            }
            let selector = entry.data.pointer("/spec/workloadSelector/labels");
            add_workload_entries(&mut references.ready, world, namespace, &string_map(selector));
        }
    }
    references
}

/// Whether a route of somebody else has a host that the release wants to route itself.
fn touches(route: &Object, parsed: &crate::api::v1alpha1::CanaryRelease, claims: &[String], namespace: &str) -> bool {
    let of = text(route.metadata.namespace.as_deref());
    // What is not exported acts for its own namespace alone, and there before ours.
    if of != namespace && strings(route, "/spec/exportTo").eq(["."]) {
        return false;
    }
    let theirs = gateways_of(route);
    let routing = parsed.spec.routing.as_ref();
    let ours: Vec<String> = routing
        .map(|routing| routing.gateways.iter().map(|name| full_gateway(name, namespace)).collect())
        .unwrap_or_default();
    let service = parsed.host();
    strings(route, "/spec/hosts").any(|pattern| {
        let pattern = qualified(pattern, &of);
        claims.iter().any(|host| {
            let here = match *host == service {
                true => theirs.iter().any(|gateway| gateway == "mesh"),
                false => theirs.iter().any(|gateway| ours.contains(gateway)),
            };
            here && matches_host(&pattern, host)
        })
    })
}

/// The name of a gateway with its namespace, as VirtualServices may leave it out.
#[must_use]
pub fn full_gateway(name: &str, namespace: &str) -> String {
    match name.contains('/') || name == "mesh" {
        true => name.to_owned(),
        false => format!("{namespace}/{name}"),
    }
}

fn delegates(route: &Object, namespace: &str, name: &str) -> bool {
    let of = text(route.metadata.namespace.as_deref());
    list(route, "/spec/http").any(|http| {
        let delegate = |field: &str| http.pointer(&format!("/delegate/{field}")).and_then(Value::as_str);
        delegate("name") == Some(name) && delegate("namespace").unwrap_or(&of) == namespace
    })
}

fn read_service(service: &Object) -> Service {
    let port = |port: &Value| {
        let number = u16::try_from(port.get("port")?.as_u64()?).ok()?;
        let protocol = port.get("appProtocol").and_then(Value::as_str);
        let name = port.get("name").and_then(Value::as_str).map(|name| name.split('-').next().unwrap_or(name));
        let tcp = port.get("protocol").and_then(Value::as_str).is_none_or(|protocol| protocol == "TCP");
        let says = protocol.map(|protocol| protocol.rsplit('/').next().unwrap_or(protocol)).or(name);
        // A name that is no protocol leaves the choice to Istio's detection, which may find HTTP.
        let other = says.is_some_and(|says| ["tcp", "tls", "https", "mongo", "mysql", "redis", "udp"].contains(&says));
        Some(Port { number, http: tcp && !other })
    };
    Service {
        ports: list(service, "/spec/ports").filter_map(port).collect(),
        selector: string_map(service.data.pointer("/spec/selector")),
    }
}

/// The ready endpoints of a Service whose pods say their version.
fn ready_pods(world: &World, namespace: &str, service: &str) -> BTreeMap<String, u32> {
    let of_service = |slice: &&Object| {
        slice
            .metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.get("kubernetes.io/service-name").is_some_and(|name| name == service))
    };
    let mut ready = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for endpoint in
        world.within(Kind::EndpointSlice, namespace).filter(of_service).flat_map(|slice| list(slice, "/endpoints"))
    {
        // Absent means unknown, which is to be taken for ready.
        let is_ready = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
        let Some(pod) = endpoint.pointer("/targetRef/name").and_then(Value::as_str).filter(|_| is_ready) else { continue };
        // A pod with addresses of both families is in two slices.
        if seen.insert(pod) {
            let labels = world.get(Kind::Pod, namespace, pod).and_then(|pod| pod.metadata.labels.as_ref());
            count(&mut ready, labels.and_then(|labels| labels.get(VERSION_LABEL)).map(String::as_str), 1);
        }
    }
    ready
}

fn add_workload_entries(
    ready: &mut BTreeMap<String, u32>,
    world: &World,
    namespace: &str,
    selector: &BTreeMap<String, String>,
) {
    if selector.is_empty() {
        return;
    }
    for entry in world.within(Kind::WorkloadEntry, namespace) {
        let labels = string_map(entry.data.pointer("/spec/labels"));
        let selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let sick = |condition: &Value| {
            condition.get("type").and_then(Value::as_str) == Some("Healthy")
                && condition.get("status").and_then(Value::as_str) == Some("False")
        };
        if selected && !list(entry, "/status/conditions").any(sick) {
            count(ready, labels.get(VERSION_LABEL).map(String::as_str), 1);
        }
    }
}

fn count(ready: &mut BTreeMap<String, u32>, version: Option<&str>, number: u32) {
    if let Some(version) = version {
        *ready.entry(version.to_owned()).or_default() += number;
    }
}

/// The waypoint of a Service: its own label, else its namespace's (Istio's ambient mode).
fn waypoint(world: &World, service: &Object, namespace: &str) -> Option<(String, String)> {
    let of_service = service.metadata.labels.as_ref();
    let of_namespace = world.get(Kind::Namespace, "", namespace).and_then(|namespace| namespace.metadata.labels.as_ref());
    let labels =
        [of_service, of_namespace].into_iter().flatten().find(|labels| labels.contains_key("istio.io/use-waypoint"))?;
    let name = labels.get("istio.io/use-waypoint").filter(|name| *name != "none")?;
    let within = labels.get("istio.io/use-waypoint-namespace").cloned().unwrap_or_else(|| namespace.to_owned());
    Some((within, name.clone()))
}

/// `NAMESPACE/NAME` of an object.
#[must_use]
pub fn full_name(object: &Object) -> String {
    format!("{}/{}", text(object.metadata.namespace.as_deref()), text(object.metadata.name.as_deref()))
}

pub(super) fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// The elements of a list in an object.
pub(super) fn list<'a>(object: &'a Object, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.data.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// The texts of a list in an object.
pub(super) fn strings<'a>(object: &'a Object, path: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    list(object, path).filter_map(Value::as_str)
}

pub(super) fn string_map(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
