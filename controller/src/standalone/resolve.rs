//! From a manifest to what is served: which release routes which service. No IO.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use serin_config::{ReleaseSplit, SplitDocument, check_header_name};

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
    /// What is allowed but perhaps not meant.
    pub(super) warnings: Vec<String>,
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
    let (mut defaults, mut warnings) = (Vec::new(), Vec::new());
    for service in &spec.services {
        let routes = |split: &&ReleaseSplit| split.hosts.contains(&service.host) && split.ports.contains(&service.port);
        let split = checked.document.splits.iter().find(routes);
        if let Some(split) = split {
            check_paused(split, service).map_err(|error| fail(error.to_string()))?;
        }
        let first = service.versions.keys().next().cloned().unwrap_or_default();
        if split.is_none() && service.versions.len() > 1 {
            let (host, port, all) = (&service.host, service.port, known(service));
            warnings.push(format!("{host}:{port} has versions {all} but no release: all its requests go to {first}"));
        }
        defaults.push(split.map_or(first, |split| split.stable.clone()));
    }
    Ok(Served { defaults, warnings, releases: manifest.releases, checked, spec })
}

/// A paused split leads to the versions that it had, whatever the release lists now: they need addresses too.
fn check_paused(split: &ReleaseSplit, service: &Service) -> Result<(), ReleaseError> {
    let runs = split.rules.iter().filter_map(|rule| rule.buckets.as_ref()).chain([&split.buckets]).flatten();
    let ruled = split.rules.iter().filter_map(|rule| rule.version.as_ref());
    let mut all = runs.map(|(version, _)| version).chain(ruled).chain([&split.stable]);
    match all.find(|version| !service.versions.contains_key(*version)) {
        Some(version) => Err(ReleaseError {
            release: split.release.clone(),
            path: "spec.paused".into(),
            cause: format!(
                "the split is held as it was and leads to `{version}`, which has no addresses in the service {}:{}; \
                 add them under `versions`, which has {}, or resume",
                service.host,
                service.port,
                known(service)
            ),
        }),
        None => Ok(()),
    }
}

/// The versions of a service.
fn known(service: &Service) -> String {
    service.versions.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
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
            let cause = format!(
                "`{version}` has no addresses in the service {}:{}; add them under `versions`, which has {}",
                service.host,
                service.port,
                known(service)
            );
            return Err(ReleaseError::new(release, path, cause));
        }
    }
    Ok(())
}

/// All domains of a service, without and with its port.
fn domains(service: &Service) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = std::iter::once(&service.host).chain(&service.aliases);
    let names = names.filter(|name| seen.insert(name.to_ascii_lowercase()));
    // Envoy wants `*` by itself; a port behind it would be a suffix match.
    names
        .flat_map(|name| std::iter::once(name.clone()).chain((name != "*").then(|| format!("{name}:{}", service.port))))
        .collect()
}

fn check_spec(spec: &StandaloneSpec) -> Result<(), String> {
    for (name, address) in [("listen", spec.listen), ("admin", spec.admin)] {
        if address.port() == 0 {
            return Err(format!("spec.{name}: port 0 would be another one each time; use 1 to 65535"));
        }
    }
    let every = spec.listen.ip().is_unspecified() || spec.admin.ip().is_unspecified();
    if spec.listen.port() == spec.admin.port() && (every || spec.listen.ip() == spec.admin.ip()) {
        return Err(format!("spec.admin: `{}` is the address of `listen` too; use another port", spec.admin));
    }
    if let Some(header) = &spec.routing_header {
        check_routing_header(header).map_err(|cause| format!("spec.routingHeader: {cause}"))?;
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

/// The header is removed from what clients send, so it must not be one that HTTP, Envoy or stickiness needs.
fn check_routing_header(header: &str) -> Result<(), String> {
    let lower = check_header_name(header).map_err(|cause| cause.to_string())?;
    // Envoy's log format has its own use for `%`.
    let reserved = [
        "host",
        "cookie",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "baggage",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    match reserved.contains(&lower.as_str()) || lower.starts_with("x-envoy-") || lower.contains('%') {
        true => Err(format!("`{header}` has another meaning; use one of your own, such as `x-serin-version`")),
        false => Ok(()),
    }
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
