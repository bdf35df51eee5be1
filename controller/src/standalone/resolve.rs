//! From a manifest to what is served: which release routes which service. No IO.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use serin_config::SplitDocument;

use crate::api::standalone::{Service, StandaloneSpec};
use crate::api::v1alpha1::CanaryRelease;
use crate::file::{FileError, Manifest};
use crate::release::{self, Checked, ReleaseError, State, Target};

/// A manifest that holds together.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// Its `Standalone`.
    pub(super) spec: StandaloneSpec,
    /// The version that each service's default route leads to, in the order of the services.
    pub(super) defaults: Vec<String>,
    /// Its releases.
    pub(super) releases: Vec<CanaryRelease>,
    /// The document.
    pub(super) checked: Checked,
}

/// Finds the services of all releases and compiles the document.
pub(super) fn resolve(path: &Path, manifest: Manifest, previous: &State) -> Result<Served, FileError> {
    let fail = |problem: String| FileError::new(path, problem);
    let count = manifest.standalones.len();
    let spec = match <[_; 1]>::try_from(manifest.standalones) {
        Ok([standalone]) => standalone.spec,
        Err(_) => return Err(fail(format!("holds {count} documents of kind Standalone; it needs exactly one"))),
    };
    check_spec(&spec).map_err(fail)?;
    let mut targets = Vec::new();
    for release in &manifest.releases {
        let services = services_of(&spec, release).map_err(|error| fail(error.to_string()))?;
        check_versions(release, &services).map_err(|error| fail(error.to_string()))?;
        let hosts: BTreeSet<String> = services.iter().map(|service| service.host.clone()).collect();
        let ports = services.iter().map(|service| service.port).collect();
        targets.push((release.clone(), Target { hosts: hosts.into_iter().collect(), ports }));
    }
    let mut settings = SplitDocument::new(Vec::new());
    settings.report_reason = true;
    if let Some(header) = &spec.routing_header {
        settings.routing_header.clone_from(header);
    }
    let checked = release::compile(&targets, previous, settings).map_err(|error| fail(error.to_string()))?;
    let default = |service: &Service| {
        let routed = |target: &Target| target.hosts.contains(&service.host) && target.ports.contains(&service.port);
        let release = targets.iter().find(|(_, target)| routed(target)).map(|(release, _)| release);
        let stable = release.map(|release| release.spec.stable.version.clone());
        stable.or_else(|| service.versions.keys().next().cloned()).unwrap_or_default()
    };
    let defaults = spec.services.iter().map(default).collect();
    Ok(Served { defaults, releases: manifest.releases, checked, spec })
}

/// The services that a release routes.
fn services_of<'s>(spec: &'s StandaloneSpec, release: &CanaryRelease) -> Result<Vec<&'s Service>, ReleaseError> {
    let (name, namespace) = (&release.spec.service, &release.metadata.namespace);
    let names = [release.host(), name.clone(), format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")];
    let named = |service: &&Service| {
        let mut own = std::iter::once(&service.host).chain(&service.aliases);
        own.any(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own)))
    };
    let all: Vec<&Service> = spec.services.iter().filter(named).collect();
    if all.is_empty() {
        let hosts: Vec<_> = spec.services.iter().map(|service| service.host.as_str()).collect();
        let cause = format!("no service of the Standalone is `{}`; it serves {}", names.join("`, `"), hosts.join(", "));
        return Err(ReleaseError::new(release, "spec.service", cause));
    }
    for (index, port) in release.spec.ports.iter().enumerate() {
        if !all.iter().any(|service| service.port == *port) {
            let cause = format!("no service of the Standalone has `{name}` at port {port}; add it or leave the port out");
            return Err(ReleaseError::new(release, format!("spec.ports[{index}]"), cause));
        }
    }
    let listed = |service: &&Service| release.spec.ports.is_empty() || release.spec.ports.contains(&service.port);
    Ok(all.into_iter().filter(listed).collect())
}

/// A version that could get a request must have an address.
fn check_versions(release: &CanaryRelease, services: &[&Service]) -> Result<(), ReleaseError> {
    let spec = &release.spec;
    let stable = std::iter::once(("spec.stable.version".to_owned(), &spec.stable.version));
    let canaries = spec.canaries.iter().enumerate();
    let canaries = canaries.map(|(index, canary)| (format!("spec.canaries[{index}].version"), &canary.version));
    for (path, version) in stable.chain(canaries) {
        if let Some(service) = services.iter().find(|service| !service.versions.contains_key(version)) {
            let known: Vec<_> = service.versions.keys().map(String::as_str).collect();
            let cause = format!(
                "`{version}` has no addresses in the service {}:{}; add them under `versions`, which has {}",
                service.host,
                service.port,
                known.join(", ")
            );
            return Err(ReleaseError::new(release, path, cause));
        }
    }
    Ok(())
}

/// All domains of a service, without and with its port.
pub(super) fn domains(service: &Service) -> Vec<String> {
    let names = std::iter::once(&service.host).chain(&service.aliases);
    // Envoy wants `*` by itself; a port behind it would be a suffix match.
    names
        .flat_map(|name| std::iter::once(name.clone()).chain((name != "*").then(|| format!("{name}:{}", service.port))))
        .collect()
}

fn check_spec(spec: &StandaloneSpec) -> Result<(), String> {
    if spec.listen == spec.admin {
        return Err(format!("spec.admin: `{}` is the address of `listen` too; use another port", spec.admin));
    }
    if spec.services.is_empty() {
        return Err("spec.services: no service; list at least one".into());
    }
    if spec.workers == Some(0) {
        return Err("spec.workers: 0 workers serve nobody; use at least 1, or leave it out".into());
    }
    let mut seen = BTreeSet::new();
    for (index, service) in spec.services.iter().enumerate() {
        check_service(service).map_err(|error| format!("spec.services[{index}].{error}"))?;
        for domain in own_domains(spec, service) {
            if !seen.insert(domain.to_ascii_lowercase()) {
                let fix = "a host and port belong to one service";
                return Err(format!("spec.services[{index}]: `{domain}` is a name of an earlier service too; {fix}"));
            }
        }
    }
    Ok(())
}

/// The domains of a service that are its own: where two services share a host, the bare name is the first one's.
pub(super) fn own_domains(spec: &StandaloneSpec, service: &Service) -> Vec<String> {
    let earlier = spec.services.iter().take_while(|other| !std::ptr::eq(*other, service));
    let taken: Vec<&Service> = earlier.filter(|other| other.host == service.host && other.port != service.port).collect();
    let bare = |domain: &String| taken.iter().any(|other| other.host == *domain || other.aliases.contains(domain));
    domains(service).into_iter().filter(|domain| !bare(domain)).collect()
}

fn check_service(service: &Service) -> Result<(), String> {
    let host =
        |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !host(&service.host) {
        return Err(format!("host: `{}` is no host; write it without scheme, port and path", service.host));
    }
    if service.port == 0 {
        return Err("port: 0 is no port; use 1 to 65535".into());
    }
    for (index, alias) in service.aliases.iter().enumerate() {
        if alias != "*" && !host(alias.strip_prefix("*.").unwrap_or(alias)) {
            return Err(format!(
                "aliases[{index}]: `{alias}` is no host; write it without scheme, port and path, or `*.example.com`"
            ));
        }
    }
    if service.versions.is_empty() {
        return Err("versions: no version; list at least one with its addresses".into());
    }
    for (version, addresses) in &service.versions {
        serin_config::check_version_name(version).map_err(|cause| format!("versions: {cause}"))?;
        if addresses.is_empty() {
            return Err(format!("versions.{version}: no address; list at least one, such as `127.0.0.1:9081`"));
        }
        for (index, address) in addresses.iter().enumerate() {
            if split_address(address).is_none() {
                return Err(format!(
                    "versions.{version}[{index}]: `{address}` is no address; write `IP:PORT` or `NAME:PORT`"
                ));
            }
        }
    }
    if let Some(check) = &service.health_check {
        if !check.path.starts_with('/') {
            return Err(format!("healthCheck.path: `{}` is no path; it begins with `/`", check.path));
        }
        for (name, threshold) in
            [("unhealthyThreshold", check.unhealthy_threshold), ("healthyThreshold", check.healthy_threshold)]
        {
            if threshold == 0 {
                return Err(format!("healthCheck.{name}: 0 probes prove nothing; use at least 1"));
            }
        }
    }
    Ok(())
}

/// Host and port of an upstream's address; brackets around IPv6 are removed.
pub(super) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        Some(inner) => inner.parse::<IpAddr>().ok().map(|_| (inner, port)),
        None => {
            let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            (!host.is_empty() && name).then_some((host, port))
        }
    }
}

#[cfg(test)]
mod tests;
