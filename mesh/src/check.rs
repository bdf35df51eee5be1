//! Step 2, validate: whether a release may be routed, first by its text, then by what is around it. No client required.

use std::collections::BTreeSet;
use std::sync::Arc;

use serin_config::Otherwise;
use serin_release::Problems;
use serin_release::api::v1alpha1::{Allocation, CanaryRelease};

use crate::gate::Compiled;
use crate::pass::{Memory, Pass};
use crate::references::References;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::{Object, workload};

/// A release that may be routed.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// Its text.
    pub release: &'a CanaryRelease,
    /// Stable's Deployment, where a canary is a clone of it.
    pub stable_deployment: Option<Object>,
    /// The bucket maps that its spec asks for.
    pub allocation: Allocation,
    /// Its entry, through the gate.
    pub compiled: Arc<Compiled>,
}

/// What a check comes to: a release that may be routed, `None` where it leaves the mesh and nothing is to check, or the first
/// reason why it may not be routed.
pub type Checked<'a> = Result<Option<Accepted<'a>>, Refusal>;

/// Checks a release.
///
/// # Errors
/// The first reason why it may not be routed. What its text shows comes before what is around it.
pub fn check<'a>(pass: &Pass<'a>, memory: &mut Memory) -> Checked<'a> {
    if pass.resource.leaves() {
        return Ok(None);
    }
    let release = pass.resource.parsed.as_ref().map_err(|problem| Refusal::from(problem.clone()))?;
    let header = &pass.settings.document.routing_header;
    if let Err(Problems(problems)) = serin_release::validate(release, header) {
        return Err(problems.into_iter().next().unwrap_or_default().into());
    }
    let (allocation, compiled) = memory.gate.compile(release, pass.resource, pass.entry)?;
    check_host(pass.resource, release, pass.references)?;
    check_cookies(release)?;
    check_ports(release, pass.references)?;
    check_http(release, pass.references)?;
    pass.references.site.check(release, header)?;
    let stable_deployment = workload::check(pass, release)?;
    check_stable(pass, release)?;
    Ok(Some(Accepted { release, stable_deployment, allocation, compiled }))
}

/// The host is there, in this namespace, and no other release has it.
fn check_host(resource: &Resource, release: &CanaryRelease, references: &References) -> Result<(), Refusal> {
    // A ServiceEntry for it, or a gateway that serves it, gives nobody a Service of another namespace.
    let (domain, namespace) = (&release.domain, &resource.id.namespace);
    let others = |host: &String| domain.has(host) && domain.service_of(host, namespace).is_none();
    if let Some(host) = release.claims().into_iter().find(others) {
        return Err(Refusal::OtherNamespace(host));
    }
    if let Some(rival) = &references.rival {
        return Err(Refusal::HostTaken(rival.clone()));
    }
    if references.service.is_some() || references.site.has_host() {
        return Ok(());
    }
    Err(Refusal::ServiceNotFound { host: release.host(), fix: fix_of_service(release) })
}

/// What to do about a Service that is not there; people write names as clients in other namespaces do.
fn fix_of_service(release: &CanaryRelease) -> String {
    let (service, namespace) = (&release.spec.service, &release.metadata.namespace);
    match service.split_once('.') {
        Some((name, rest))
            if rest == *namespace || rest.strip_prefix(namespace.as_str()).is_some_and(|rest| rest == ".svc") =>
        {
            format!("write `{name}`, the name of the Service in this namespace")
        }
        _ => "create one or correct the name".to_owned(),
    }
}

/// A cookie goes to no host that the release does not have: others would be sent it too.
fn check_cookies(release: &CanaryRelease) -> Result<(), Refusal> {
    let spec = &release.spec;
    let base = spec.sticky.iter().map(|sticky| ("spec.sticky".to_owned(), sticky));
    let rules = spec.rules.iter().enumerate();
    let of_rules = rules.filter_map(|(index, rule)| Some((format!("spec.rules[{index}].sticky"), rule.sticky.as_ref()?)));
    let hosts = release.claims();
    for (path, sticky) in base.chain(of_rules) {
        let Otherwise::IssueCookie(cookie) = &sticky.otherwise else { continue };
        let Some(domain) = &cookie.domain else { continue };
        let named = domain.trim_start_matches('.').to_ascii_lowercase();
        let within = |host: &String| named == *host || named.ends_with(&format!(".{host}"));
        if !hosts.iter().any(within) {
            return Err(Refusal::Invalid {
                path: format!("{path}.otherwise.issueCookie.domain"),
                cause: format!(
                    "browsers would send the cookie to all of `{named}`, which is not a host of this release; leave `domain` out, or list \
                     `{named}` in spec.routing.hosts"
                ),
            });
        }
    }
    Ok(())
}

fn check_ports(release: &CanaryRelease, references: &References) -> Result<(), Refusal> {
    let Some(service) = &references.service else { return Ok(()) };
    let known: Vec<u16> = service.ports.iter().map(|port| port.number).collect();
    let missing = release.spec.ports.iter().enumerate().find(|(_, port)| !known.contains(port));
    match missing {
        Some((index, &port)) => {
            let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(Refusal::PortNotFound { index, port, known })
        }
        None => Ok(()),
    }
}

/// Istio routes requests of ports that it takes for HTTP.
fn check_http(release: &CanaryRelease, references: &References) -> Result<(), Refusal> {
    let Some(service) = &references.service else { return Ok(()) };
    if service.external {
        return Err(Refusal::ExternalName);
    }
    let is_http = |number: u16| service.ports.iter().any(|port| port.number == number && port.http);
    if let Some((index, port)) = release.spec.ports.iter().enumerate().find(|(_, port)| !is_http(**port)) {
        let cause = format!(
            "port {port} does not speak HTTP, by its name and appProtocol, so that no request could be routed; leave it out, or name it \
             `http` in the Service"
        );
        return Err(Refusal::NotHttp { path: format!("spec.ports[{index}]"), cause });
    }
    if release.spec.ports.is_empty() && !service.ports.iter().any(|port| port.http) {
        let cause = "no port of the Service speaks HTTP, by name and appProtocol, so that no request could be routed; name one `http`, or \
                     set its appProtocol";
        return Err(Refusal::NotHttp { path: "spec.service".to_owned(), cause: cause.to_owned() });
    }
    Ok(())
}

/// Before the first route to it stable has answered once: a route to a label that no pod has is an outage for everybody.
fn check_stable(pass: &Pass<'_>, release: &CanaryRelease) -> Result<(), Refusal> {
    let version = &release.spec.stable.version;
    let (references, header) = (pass.references, &pass.settings.document.routing_header);
    let is_ready = references.ready.get(version).is_some_and(|ready| *ready > 0);
    let was_stable = || pass.entry.is_some_and(|entry| entry.wanted.stable == *version);
    let is_routed = || references.site.reach(&BTreeSet::from([version.clone()]), header).mentioned.contains(version);
    // At another host it is another version.
    let has_answered = !references.site.is_elsewhere() && (was_stable() || is_routed());
    if is_ready || has_answered {
        return Ok(());
    }
    let there: Vec<&str> = references.ready.keys().map(String::as_str).collect();
    let seen = match (there.is_empty(), references.unlabelled) {
        (false, _) => format!("there are {}; use one of them, or wait until its pods are ready", there.join(", ")),
        (true, 0) => "none is ready; wait for its pods, or correct the version".to_owned(),
        (true, _) => "its pods do not have the label `version`; add it to the template of their Deployment".to_owned(),
    };
    Err(Refusal::StableNotFound { version: version.clone(), seen })
}
