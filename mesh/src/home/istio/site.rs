//! What Istio has of one release.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{CanaryRelease, Routing, RoutingMode};

use super::destination_rule::Hiding;
use super::gateway::{self, Listed};
use super::names::{ObjectNames, routes_written};
use super::{destination_rule, virtual_service};
use crate::conditions::{Condition, Reason};
use crate::desired::Desired;
use crate::entry::Scope;
use crate::home::{Owned, Plan, Reach, Role, RoutingKey, Site};
use crate::names::{dns_label, is_foreign};
use crate::refusal::Refusal;
use crate::{Kind, Name, Object};

/// A release's objects in Istio, and those of others that concern it.
#[derive(Clone, Debug)]
pub(super) struct IstioSite {
    pub(super) id: ReleaseId,
    /// The host of the release; empty where its text cannot be read.
    pub(super) host: String,
    /// What routes of ours ask for behind the version.
    pub(super) routing_key: RoutingKey,
    pub(super) routing: Routing,
    pub(super) names: ObjectNames,
    pub(super) root_namespace: String,
    /// What is under the names that are Serin's.
    pub(super) rule: Option<Object>,
    pub(super) mesh_route: Option<Object>,
    pub(super) gateway_route: Option<Object>,
    /// VirtualServices of others that have one of the hosts.
    pub(super) foreign_routes: Vec<Object>,
    /// DestinationRules of others that apply to the host, wildcards included.
    pub(super) foreign_rules: Vec<Object>,
    /// The Gateways that the release names.
    pub(super) gateways: Vec<Listed>,
    /// Whether a VirtualService of others delegates to Serin's.
    pub(super) delegating: bool,
    /// VirtualServices of others that send requests to the Service as a whole.
    pub(super) passing_by: Vec<String>,
    /// The waypoint that the Service uses.
    pub(super) waypoint: Option<Name>,
    /// Namespaces whose waypoints may serve Services of others.
    pub(super) waypoint_namespaces: BTreeSet<String>,
    /// What an administrator lets namespaces claim at gateways.
    pub(super) gateway_hosts: Vec<(String, String)>,
    /// Whether the Service has no address of its own.
    pub(super) is_headless: bool,
    /// The Sidecar that keeps the Service from clients of the namespace.
    pub(super) cut_off: Option<String>,
    pub(super) has_host: bool,
    pub(super) selector: BTreeMap<String, String>,
    pub(super) endpoints: BTreeMap<String, u32>,
}

impl Site for IstioSite {
    fn has_host(&self) -> bool {
        self.has_host
    }

    fn selector(&self) -> BTreeMap<String, String> {
        self.selector.clone()
    }

    fn endpoints(&self) -> BTreeMap<String, u32> {
        self.endpoints.clone()
    }

    fn scopes(&self) -> BTreeSet<Scope> {
        let waypoint = self
            .waypoint
            .as_ref()
            .filter(|name| self.may_write(name))
            .map(|name| Scope::Waypoint(name.namespace.clone(), name.name.clone()));
        std::iter::once(Scope::Mesh).chain(waypoint).collect()
    }

    fn check(&self, release: &CanaryRelease, routing_header: &str) -> Result<(), Refusal> {
        gateway::check(release, &self.routing, &self.id.namespace, &self.gateways)?;
        gateway::check_allowed(&self.routing, &self.id.namespace, &self.gateway_hosts)?;
        if let (RoutingMode::Managed, Some(route)) = (self.routing.mode, self.foreign_routes.first()) {
            let ours = format!("{}/{}", self.id.namespace, self.names.mesh_route);
            return Err(Refusal::ForeignVirtualService {
                route: route.full_name(),
                ours,
                header: routing_header.to_owned(),
            });
        }
        if let Some((kind, found)) = self.objects().find(|(_, found)| is_foreign(found)) {
            return Err(Refusal::NameTaken(format!("{} {}", kind.name(), found.full_name())));
        }
        let spec = &release.spec;
        let canaries = spec.canaries.iter().map(|canary| canary.version.as_str());
        let versions: Vec<&str> = std::iter::once(spec.stable.version.as_str()).chain(canaries).collect();
        match destination_rule::taken(&self.foreign_rules, &self.id.namespace, self.rule.as_ref(), &versions) {
            Some((rule, version)) => {
                Err(Refusal::SubsetTaken { rule: rule.full_name(), subset: dns_label(version), version: version.to_owned() })
            }
            None => Ok(()),
        }
    }

    fn is_elsewhere(&self) -> bool {
        // A host that somebody else has written there is put right at once.
        let is_ours = |object: &&Object| !is_foreign(object) && object.metadata.changed_by.is_none();
        let (rule, route) = (self.rule.as_ref().filter(is_ours), self.mesh_route.as_ref().filter(is_ours));
        let host = rule.and_then(|rule| rule.text("/spec/host"));
        host.into_iter().chain(route.iter().flat_map(|route| route.strings("/spec/hosts"))).any(|host| host != self.host)
    }

    fn reach(&self, versions: &BTreeSet<String>, routing_header: &str) -> Reach {
        let rule = self.rule.as_ref().filter(|rule| !is_foreign(rule));
        let subsets = rule.into_iter().flat_map(|rule| rule.list("/spec/subsets")).filter_map(|subset| {
            Some((subset.get("name")?.as_str()?.to_owned(), subset.pointer("/labels/version")?.as_str()?.to_owned()))
        });
        let subsets: BTreeMap<String, String> = subsets.collect();
        let mut named: BTreeMap<String, String> =
            versions.iter().map(|version| (dns_label(version), version.clone())).collect();
        named.extend(subsets.clone());
        let of_route = |route: &Option<Object>| self.routed_subsets(route.as_ref(), &named);
        let (mesh, gateway) = (of_route(&self.mesh_route), of_route(&self.gateway_route));
        let routed = |subset: &String| match routes_written(&self.routing) {
            (false, _) => subsets.contains_key(subset),
            (true, false) => mesh.contains(subset),
            (true, true) => mesh.contains(subset) && gateway.contains(subset),
        };
        let mentioned = |subset: &String| mesh.contains(subset) || gateway.contains(subset);
        let of = |holds: &dyn Fn(&String) -> bool| -> BTreeSet<String> {
            named.iter().filter(|(subset, _)| holds(subset)).map(|(_, version)| version.clone()).collect()
        };
        let key = self.routing_key.clone().filter(|_| self.routing.mode != RoutingMode::External);
        let keys = self.asked_keys(&named, routing_header);
        let other_keys: BTreeSet<RoutingKey> = keys.iter().flatten().filter(|asked| **asked != key).cloned().collect();
        Reach {
            routed: of(&routed),
            mentioned: of(&mentioned),
            known: subsets.values().cloned().collect(),
            keyed: keys.iter().all(|keys| keys.contains(&key)),
            other_keys,
            key,
        }
    }

    fn desired(&self, plan: &Plan<'_>) -> Vec<Desired> {
        let mut desired = vec![destination_rule::desired(plan, &self.names.rule, &self.foreign_rules)];
        let (routed, gateways) = routes_written(&self.routing);
        if routed && plan.routes.contains(plan.stable) {
            let hiding = self.hiding(plan.routes);
            let clients: Vec<&str> = hiding.iter().map(|hiding| hiding.namespace.as_str()).collect();
            desired.push(virtual_service::in_mesh(plan, &self.routing, &self.names.mesh_route, &clients));
            if gateways {
                desired.push(virtual_service::at_gateways(plan, &self.routing, &self.names.gateway_route));
            }
        }
        desired
    }

    fn surplus(&self, _: &Plan<'_>) -> Vec<(Kind, String)> {
        let (routed, gateways) = routes_written(&self.routing);
        let routes = [(routed, &self.mesh_route), (gateways, &self.gateway_route)];
        let surplus = routes.into_iter().filter(|(wanted, _)| !wanted).filter_map(|(_, found)| found.as_ref());
        surplus.map(|found| (Kind::VirtualService, found.metadata.name.clone())).collect()
    }

    fn owned(&self) -> Vec<Owned> {
        let ours = self.objects().filter(|(_, found)| !is_foreign(found));
        ours.map(|(kind, found)| Owned {
            kind,
            name: found.metadata.name.clone(),
            role: if kind == Kind::DestinationRule { Role::Knows } else { Role::Routes },
        })
        .collect()
    }

    fn gap(&self, versions: &[&str], routing_header: &str) -> Option<Condition> {
        let of_mode = match self.routing.mode {
            RoutingMode::Delegate if !self.delegating => Some(self.not_delegated()),
            RoutingMode::External => self.not_routed(versions, routing_header),
            RoutingMode::Delegate | RoutingMode::Managed => None,
        };
        of_mode
            .or_else(|| self.passed_by(routing_header))
            .or_else(|| self.unreached())
            .or_else(|| self.foreign_waypoint())
            .or_else(|| self.hidden(&versions.iter().map(|version| (*version).to_owned()).collect()))
    }
}

impl IstioSite {
    /// What is under the names that are Serin's, in the order in which it is written.
    fn objects(&self) -> impl Iterator<Item = (Kind, &Object)> {
        let rule = self.rule.iter().map(|rule| (Kind::DestinationRule, rule));
        let routes = self.mesh_route.iter().chain(&self.gateway_route).map(|route| (Kind::VirtualService, route));
        rule.chain(routes)
    }

    /// The subsets that a route of ours leads to; one that names the whole host leads to the version of its name.
    fn routed_subsets(&self, route: Option<&Object>, named: &BTreeMap<String, String>) -> BTreeSet<String> {
        let ours = route.filter(|route| !is_foreign(route));
        let subset = |http: &Value| {
            let destination = http.pointer("/route/0/destination")?;
            let whole = || {
                let is_of = |version: &&String| {
                    http.get("name").and_then(Value::as_str) == Some(&*virtual_service::route_name(&self.id, version))
                };
                named.values().find(is_of).map(|version| dns_label(version))
            };
            destination.get("subset").and_then(Value::as_str).map(str::to_owned).or_else(whole)
        };
        ours.into_iter().flat_map(|route| route.list("/spec/http")).filter_map(subset).collect()
    }

    /// What each route of ours that asks for the routing header takes behind the version.
    fn asked_keys(&self, named: &BTreeMap<String, String>, routing_header: &str) -> Vec<BTreeSet<RoutingKey>> {
        let routes = [&self.mesh_route, &self.gateway_route].into_iter().flatten().filter(|route| !is_foreign(route));
        let of_http = |http: &Value| {
            let subset = http.pointer("/route/0/destination/subset")?.as_str()?;
            let version = named.get(subset)?;
            let values = http
                .get("match")?
                .as_array()?
                .iter()
                .filter_map(|one| one.get("headers")?.as_object()?.get(routing_header)?.get("exact")?.as_str());
            let keys: BTreeSet<RoutingKey> = values
                .filter_map(|value| match value.strip_prefix(version.as_str())? {
                    "" => Some(None),
                    key => key.strip_prefix('.').map(|key| Some(key.to_owned())),
                })
                .collect();
            (!keys.is_empty()).then_some(keys)
        };
        routes.flat_map(|route| route.list("/spec/http")).filter_map(of_http).collect()
    }

    /// A label alone must not make Serin write into another namespace.
    fn may_write(&self, waypoint: &Name) -> bool {
        waypoint.namespace == self.id.namespace || self.waypoint_namespaces.contains(&waypoint.namespace)
    }

    fn foreign_waypoint(&self) -> Option<Condition> {
        let waypoint = self.waypoint.as_ref().filter(|name| !self.may_write(name))?;
        let message = format!(
            "the Service uses the waypoint {waypoint} of another namespace, which decides nothing: let an administrator list {} in \
             --waypoint-namespaces, or use a waypoint of this namespace",
            waypoint.namespace
        );
        Some(Condition::new(Reason::WaypointNotAllowed, message))
    }

    /// Routes of others that send requests past the release.
    fn passed_by(&self, header: &str) -> Option<Condition> {
        // What the owner routes himself is his business in this mode.
        let first = self.passing_by.first().filter(|_| self.routing.mode != RoutingMode::External)?;
        let more =
            if self.passing_by.len() > 1 { format!(" (and {} more)", self.passing_by.len() - 1) } else { String::new() };
        let message = format!(
            "VirtualService {first}{more} sends requests to the whole Service, to any version: list its gateways and hosts in spec.routing \
             and delete it, or let it delegate to {}, or set spec.routing.mode to `external` and route by the header {header} there",
            self.names.mesh_route
        );
        Some(Condition::new(Reason::NotRouted, message))
    }

    /// Clients of the namespace whose requests go past every route.
    fn unreached(&self) -> Option<Condition> {
        let message = match &self.cut_off {
            _ if self.is_headless => "the Service is headless, so that a client of the mesh picks a pod itself, by DNS, and no route changes it; give \
                                      the Service a cluster IP"
                .to_owned(),
            Some(sidecar) => format!(
                "Sidecar {sidecar} keeps the Service from clients of namespace {}, whose requests go past the release, to any version; add `./*` or \
                 the host to the `egress` of the Sidecar",
                self.id.namespace
            ),
            None => return None,
        };
        Some(Condition::new(Reason::NotRouted, message))
    }

    fn hiding(&self, versions: &BTreeSet<String>) -> Vec<Hiding> {
        destination_rule::hiding(&self.foreign_rules, [&self.id.namespace, &self.root_namespace], versions)
    }

    /// Clients that cannot tell the versions apart.
    fn hidden(&self, versions: &BTreeSet<String>) -> Option<Condition> {
        let hiding = self.hiding(versions);
        let Hiding { namespace, rule, missing } = hiding.first()?;
        let more = if hiding.len() > 1 { format!(" (and {} more)", hiding.len() - 1) } else { String::new() };
        let message = format!(
            "clients in namespace {namespace} are sent to any pod of the Service, since DestinationRule {rule}{more} hides the versions from \
             them; add the subsets {} to it, or move its policy to the namespace of the Service",
            missing.join(", ")
        );
        Some(Condition::new(Reason::SubsetsHidden, message))
    }

    fn not_delegated(&self) -> Condition {
        let owners = match self.foreign_routes.first() {
            Some(route) => format!(", which is {}", route.full_name()),
            None => String::new(),
        };
        let message = format!(
            "no VirtualService delegates to this release; add `delegate: {{name: {}, namespace: {}}}` to a route of the host's{owners}",
            self.names.mesh_route, self.id.namespace
        );
        Condition::new(Reason::NotDelegated, message)
    }

    /// The canaries that no VirtualService of the owner's selects by the header.
    fn not_routed(&self, versions: &[&str], header: &str) -> Option<Condition> {
        let matched = |version: &str| {
            self.foreign_routes.iter().flat_map(|route| route.list("/spec/http")).any(|http| {
                let matches = http.get("match").and_then(Value::as_array).into_iter().flatten();
                matches.filter_map(|one| one.get("headers")?.as_object()).any(|headers| {
                    let mut ours = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
                    // What a pattern covers is the owner's business.
                    ours.any(|(_, value)| value.get("exact").is_none_or(|exact| exact.as_str() == Some(version)))
                })
            })
        };
        let missing: Vec<&str> = versions.iter().skip(1).copied().filter(|version| !matched(version)).collect();
        let message = format!(
            "no VirtualService of the host matches `{header}` exactly on {}; add such routes, before the default one",
            missing.join(", ")
        );
        (!missing.is_empty()).then(|| Condition::new(Reason::NotRouted, message))
    }
}
