//! What a cluster says of a release before it is applied: what the controller would refuse, and what is perhaps not meant. No client
//! required.

use std::collections::BTreeMap;

use serin_config::Sticky;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lint::Finding;

use crate::Object;
use crate::check::check;
use crate::conditions::{ConditionType, Reason};
use crate::deployments::{autoscaler_of, stable_deployment};
use crate::pass::{Memory, Pass};
use crate::references::References;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// So many seconds an autoscaler should wait at least before it takes pods away that a rollback would need.
const STABLE_FOR: u64 = 1800;

/// What is found about a release with what is around it: the autoscalers of its namespace by name, and what the cluster has of it.
#[must_use]
pub fn lint(pass: &Pass<'_>, autoscalers: &BTreeMap<String, Object>, live: Option<&Resource>) -> Vec<Finding> {
    let Ok(release) = &pass.resource.parsed else { return Vec::new() };
    let found =
        |code: &'static str, path: &str, text: String| Finding { code, release: release.id(), path: path.to_owned(), text };
    let refused = check(pass, &mut Memory::default()).err().map(|refusal| {
        let text = refusal.to_string();
        let (path, cause) = text.split_once(": ").filter(|(path, _)| path.starts_with("spec")).unwrap_or(("spec", &text));
        found(code(&refusal), path, format!("the controller would refuse it: {cause}"))
    });
    let mut all: Vec<Finding> = refused.into_iter().collect();
    all.extend(unready(release, pass.references).into_iter().map(|(path, text)| found("version-unready", &path, text)));
    all.extend(
        shrinks(release, pass.references, autoscalers).map(|text| found("hpa-will-shrink-stable", "spec.stable", text)),
    );
    if let Some(live) = live {
        all.extend(reshuffles(release, live).map(|text| found("salt-changed", "spec.sticky", text)));
        let is_mute = Reason::among(&live.status.conditions, ConditionType::Healthy) == Some(Reason::NoSource);
        let message = live.status.conditions.iter().find(|condition| condition.kind == ConditionType::Healthy.name());
        let message = message.filter(|_| is_mute && release.spec.analysis.is_some());
        all.extend(message.map(|told| found("analysis-without-source", "spec.analysis.source", told.message.clone())));
    }
    all
}

/// The code of a refusal.
fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotHttp { .. } | Refusal::ExternalName => "service-not-http",
        Refusal::GatewayNotFound { .. } | Refusal::HostNotServed { .. } | Refusal::HostNotAllowed { .. } => {
            "gateway-unknown"
        }
        Refusal::Invalid { path, .. } if path.ends_with("workload.images") => "images-unknown-container",
        Refusal::StableNotFound { .. } => "version-unready",
        _ => "refused",
    }
}

/// Canaries that somebody else runs and that nobody could get.
fn unready(release: &CanaryRelease, references: &References) -> Vec<(String, String)> {
    let is_ready = |version: &String| references.ready.get(version).is_some_and(|ready| *ready > 0);
    let canaries = release.spec.canaries.iter().enumerate();
    let missing = canaries.filter(|(_, canary)| canary.workload.is_none() && !is_ready(&canary.version));
    missing
        .map(|(index, canary)| {
            let text = format!(
                "no ready pod of the Service has the label version={}, so that stable would get its people; run its pods first, or let Serin do it \
                 with `workload`",
                canary.version
            );
            (format!("spec.canaries[{index}].version"), text)
        })
        .collect()
}

/// Whether stable's autoscaler takes pods away that a rollback would need.
fn shrinks(release: &CanaryRelease, references: &References, autoscalers: &BTreeMap<String, Object>) -> Option<String> {
    let selector = references.service.as_ref().map(|service| service.selector.clone()).unwrap_or_default();
    let stable = stable_deployment(release, &selector, &references.deployments).ok()?;
    let autoscaler = autoscaler_of(autoscalers, stable)?;
    let waits = autoscaler.data.pointer("/spec/behavior/scaleDown/stabilizationWindowSeconds");
    // What Kubernetes takes where nothing is said.
    let waits = waits.and_then(serde_json::Value::as_u64).unwrap_or(300);
    (waits < STABLE_FOR && !release.spec.canaries.is_empty()).then(|| {
        format!(
            "HorizontalPodAutoscaler {} takes stable's pods away {waits} s after people have left them, and a rollback brings all of them back \
             at once; set spec.behavior.scaleDown.stabilizationWindowSeconds to {STABLE_FOR} or more there",
            autoscaler.metadata.name
        )
    })
}

/// What makes the buckets of a release its own.
fn salt(release: &CanaryRelease, sticky: &Sticky) -> String {
    sticky.cohort.clone().or_else(|| sticky.salt.clone()).unwrap_or_else(|| release.id())
}

/// Whether everybody may get another version than by the release that is there.
fn reshuffles(release: &CanaryRelease, live: &Resource) -> Option<String> {
    let before = live.parsed.as_ref().ok()?.spec.sticky.as_ref()?;
    let changed = match &release.spec.sticky {
        None => "`sticky` is gone",
        Some(now) if salt(release, now) != salt(release, before) => "the salt is another one",
        Some(now) if now.algorithm != before.algorithm => "the algorithm is another one",
        Some(now) if now.by != before.by => "people are known by something else",
        Some(_) => return None,
    };
    Some(format!("{changed} than in the cluster, so that everybody may get another version at once; keep what is there"))
}
