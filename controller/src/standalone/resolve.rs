//! From a manifest to what is served: which release routes which service. No IO.

use std::collections::BTreeSet;
use std::path::Path;

use serin_config::{ReleaseSplit, SplitDocument};

use serin_release::api::standalone::{Service, StandaloneSpec};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::file::{Manifest, display_name};
use serin_release::lifecycle::baseline;
use serin_release::{Checked, Moment, Problem, Problems, State, Target};

use super::{analysis, spec};

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
pub(super) fn resolve(path: &Path, manifest: Manifest, previous: &State, moment: &Moment) -> Result<Served, Problems> {
    resolve_manifest(&manifest, previous, moment).map_err(|Problems(problems)| {
        let placed = problems.into_iter().map(|problem| manifest.place(problem).in_file(display_name(path)));
        Problems(placed.collect())
    })
}

fn resolve_manifest(manifest: &Manifest, previous: &State, moment: &Moment) -> Result<Served, Problems> {
    let spec = match manifest.standalones.as_slice() {
        [standalone] => with_baselines(standalone.spec.clone(), &manifest.releases),
        [] => return Err(Problem::new("", "there is no `kind: Standalone`", "add one (examples/standalone.yaml)").into()),
        several => {
            let problem = format!("there are {} documents of `kind: Standalone`", several.len());
            return Err(Problem::new("", problem, "keep one, since it is one Envoy").into());
        }
    };
    spec::check(&spec)?;
    let mut targets = Vec::new();
    for release in &manifest.releases {
        let services = services_of(&spec, release)?;
        check_versions(release, &services)?;
        let analysis = release.spec.analysis.as_ref().map_or(Ok(()), analysis::check);
        analysis.map_err(|problem| problem.in_object(release.id()))?;
        let hosts: BTreeSet<String> = services.iter().map(|service| service.host.clone()).collect();
        let ports = services.iter().map(|service| service.port).collect();
        targets.push((release.clone(), Target { hosts: hosts.into_iter().collect(), ports }));
    }
    let mut settings = SplitDocument::new(Vec::new());
    settings.report_reason = true;
    if let Some(header) = &spec.routing_header {
        settings.routing_header.clone_from(header);
    }
    let checked = serin_release::compile(&targets, previous, settings, moment)?;
    let (mut defaults, mut warnings) = (Vec::new(), Vec::new());
    for service in &spec.services {
        let routes = |split: &&ReleaseSplit| split.hosts.contains(&service.host) && split.ports.contains(&service.port);
        let split = checked.document.splits.iter().find(routes);
        if let Some(split) = split {
            check_paused(split, service)?;
        }
        let first = service.versions.keys().next().cloned().unwrap_or_default();
        if split.is_none() && service.versions.len() > 1 {
            let (host, port, all) = (&service.host, service.port, known(service));
            let fix = "add a CanaryRelease, or leave the other versions out";
            warnings.push(format!("{host}:{port} has versions {all} and no release, so all requests go to {first}; {fix}"));
        }
        defaults.push(split.map_or(first, |split| split.stable.clone()));
    }
    Ok(Served { defaults, warnings, releases: manifest.releases.clone(), checked, spec })
}

/// Baselines are stable's addresses once more, with counters of their own, unless they have others.
fn with_baselines(mut spec: StandaloneSpec, releases: &[CanaryRelease]) -> StandaloneSpec {
    let asks = |release: &&CanaryRelease| release.spec.analysis.as_ref().is_some_and(|analysis| analysis.baseline.is_some());
    for release in releases.iter().filter(asks) {
        let names = names_of(release);
        for service in spec.services.iter_mut().filter(|service| is_named(service, &names)) {
            let Some(stable) = service.versions.get(&release.spec.stable.version).cloned() else { continue };
            for canary in &release.spec.canaries {
                service.versions.entry(baseline::version(&canary.version)).or_insert_with(|| stable.clone());
            }
        }
    }
    spec
}

/// What a service of a release may be called.
fn names_of(release: &CanaryRelease) -> [String; 4] {
    let (name, namespace) = (&release.spec.service, &release.metadata.namespace);
    [release.host(), name.clone(), format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")]
}

fn is_named(service: &Service, names: &[String]) -> bool {
    let mut own = std::iter::once(&service.host).chain(&service.aliases);
    own.any(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own)))
}

/// A paused split leads to the versions that it had, whatever the release lists now: they need addresses too.
fn check_paused(split: &ReleaseSplit, service: &Service) -> Result<(), Problem> {
    let runs = split.rules.iter().filter_map(|rule| rule.buckets.as_ref()).chain([&split.buckets]).flatten();
    let ruled = split.rules.iter().filter_map(|rule| rule.version.as_ref());
    let mut all = runs.map(|(version, _)| version).chain(ruled).chain([&split.stable]);
    match all.find(|version| !service.versions.contains_key(*version)) {
        Some(version) => {
            let (host, port) = (&service.host, service.port);
            let problem = format!(
                "the split is held as it was and leads to `{version}`, which has no addresses in the service {host}:{port}"
            );
            let fix = format!("add them under `versions`, which has {}, or resume", known(service));
            Err(Problem::new("spec.paused", problem, fix).in_object(split.release.as_str()))
        }
        None => Ok(()),
    }
}

/// The versions of a service.
fn known(service: &Service) -> String {
    service.versions.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The services that a release routes.
fn services_of<'s>(spec: &'s StandaloneSpec, release: &CanaryRelease) -> Result<Vec<&'s Service>, Problem> {
    let (name, names) = (&release.spec.service, names_of(release));
    let all: Vec<&Service> = spec.services.iter().filter(|service| is_named(service, &names)).collect();
    if all.is_empty() {
        let hosts: Vec<_> = spec.services.iter().map(|service| service.host.as_str()).collect();
        let cause = format!("no service of the Standalone is `{}`; it serves {}", names.join("`, `"), hosts.join(", "));
        return Err(Problem::of_sentence("spec.service", &cause).in_object(release.id()));
    }
    for (index, port) in release.spec.ports.iter().enumerate() {
        if !all.iter().any(|service| service.port == *port) {
            let cause = format!("no service of the Standalone has `{name}` at port {port}; add it or leave the port out");
            return Err(Problem::of_sentence(format!("spec.ports[{index}]"), &cause).in_object(release.id()));
        }
    }
    let listed = |service: &&Service| release.spec.ports.is_empty() || release.spec.ports.contains(&service.port);
    Ok(all.into_iter().filter(listed).collect())
}

/// A version that could get a request must have an address.
fn check_versions(release: &CanaryRelease, services: &[&Service]) -> Result<(), Problem> {
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
            return Err(Problem::of_sentence(path, &cause).in_object(release.id()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
