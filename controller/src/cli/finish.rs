//! `serin finish`: the canary that has everybody becomes stable.

use clap::Args;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use serin_config::Weight;
use serin_mesh::{Kind, Name};
use serin_release::api::v1alpha1::{Rule, Share, Spec};

use super::ask::ask;
use super::cluster::{Connection, Place};
use super::view::View;
use super::{Failure, print};

const EXAMPLES: &str = "\
Where a Git tool owns the release, the patch to commit is printed and nothing is written; the exit code is 5 then.

Example:
  serin finish bookinfo/reviews";

/// Make the canary that has everybody stable, and leave out its canary and its steps. Nobody moves.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Finish {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    #[arg(add = super::complete::releases())]
    name: String,
    #[command(flatten)]
    place: Place,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
}

impl Finish {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        let name = connection.name(&self.name);
        let object = connection.find(Kind::CanaryRelease, &name)?;
        let owner = object.as_ref().and_then(owner);
        let view = View { resource: connection.release(&name)? };
        let release = view.resource.parsed.as_ref().map_err(|problem| Failure::Failed(problem.to_string()))?;
        let version = everybody_has(&view)?;
        let patch =
            json!({"spec": patch(&release.spec, &version).map_err(|cause| Failure::Invalid(format!("{name}: {cause}")))?});
        if let Some(owner) = owner {
            print(&format!("{}\n", serde_json::to_string_pretty(&patch).unwrap_or_default()))?;
            return Err(Failure::Person(format!(
                "{name}: {owner} owns the release and would take the change back; commit the patch above"
            )));
        }
        if !self.yes {
            ask(&format!("{name}: {version} becomes stable, and the canary and its steps are left out. Nobody moves. "))?;
        }
        let releases = connection.api(Kind::CanaryRelease, &name.namespace);
        connection.ask(&format!("change CanaryRelease {name}"), async {
            releases.patch(&name.name, &PatchParams::default(), &Patch::Merge(&patch)).await
        })?;
        take_back(&connection, &name)?;
        print(&format!("{name}: {version} is stable\n"))
    }
}

/// A person's takeover has done what it was for.
fn take_back(connection: &Connection, name: &Name) -> Result<(), Failure> {
    let Some(mut control) = connection.find(Kind::CanaryControl, name)? else { return Ok(()) };
    if control.data.pointer("/spec/hold").is_none_or(Value::is_null) {
        return Ok(());
    }
    if let Some(spec) = control.data.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("hold");
    }
    let controls = connection.api(Kind::CanaryControl, &name.namespace);
    let write = async { controls.replace(&name.name, &PostParams::default(), &control).await };
    connection.ask(&format!("take the hold of CanaryControl {name} back"), write).map(|_| ())
}

/// The canary that everybody has.
fn everybody_has(view: &View) -> Result<String, Failure> {
    let id = &view.resource.id;
    let all = view.status().versions.iter().find(|own| own.share == Weight::ALL).filter(|_| view.is_observed());
    match all {
        Some(own) if own.version == view.stable() => Err(Failure::Invalid(format!(
            "{id}: stable has everybody, so there is nothing to finish; `serin delete {id}` ends the release"
        ))),
        Some(own) => Ok(own.version.clone()),
        None => {
            let shares = view.status().versions.iter().map(|own| format!("{} {}", own.version, own.share));
            Err(Failure::Invalid(format!(
                "{id}: no canary has everybody ({}), so people would move; `serin takeover {id} VERSION` gives everybody to one",
                shares.collect::<Vec<_>>().join(", ")
            )))
        }
    }
}

/// The fields that change; `null` leaves one out.
fn patch(spec: &Spec, version: &str) -> Result<Value, String> {
    let rules: Vec<Rule> = spec.rules.iter().map(|rule| without_split(rule, version)).collect::<Result<_, _>>()?;
    let others: Vec<_> = spec.canaries.iter().filter(|canary| canary.version != version).collect();
    let mut patch = json!({
        "stable": {"version": version, "deployment": null},
        "canaries": others, "takeover": null, "steps": null, "schedule": null, "analysis": null,
    });
    // Where there are none the field stays as it is.
    if let Some(fields) = patch.as_object_mut().filter(|_| !rules.is_empty()) {
        fields.insert("rules".to_owned(), json!(rules));
    }
    Ok(patch)
}

/// A rule that leads to nobody's share of a version that becomes stable.
fn without_split(rule: &Rule, version: &str) -> Result<Rule, String> {
    let Some(split) = &rule.split else { return Ok(rule.clone()) };
    let (own, others): (Vec<&Share>, Vec<&Share>) = split.iter().partition(|share| share.version == version);
    match own.first() {
        None => Ok(rule.clone()),
        Some(share) if share.weight == Weight::ALL => {
            Ok(Rule { version: Some(version.to_owned()), split: None, sticky: None, ..rule.clone() })
        }
        Some(share) => Err(format!(
            "the rule `{}` gives {version} {} of its requests and the rest to others{}, so people would move; give it everything first",
            rule.name,
            share.weight,
            if others.is_empty() { " (stable)" } else { "" }
        )),
    }
}

/// The Git tool that applies an object, if one does: by its own marks, else by who has written the fields.
fn owner(object: &DynamicObject) -> Option<String> {
    const MARKS: [(&str, &str); 3] = [
        ("argocd.argoproj.io/tracking-id", "Argo CD"),
        ("kustomize.toolkit.fluxcd.io/name", "Flux"),
        ("helm.toolkit.fluxcd.io/name", "Flux"),
    ];
    const MANAGERS: [(&str, &str); 4] =
        [("argocd-controller", "Argo CD"), ("kustomize-controller", "Flux"), ("helm-controller", "Flux"), ("helm", "Helm")];
    let meta = &object.metadata;
    let has = |mark: &str| [&meta.annotations, &meta.labels].into_iter().flatten().any(|all| all.contains_key(mark));
    let manages = |manager: &str| {
        let fields = meta.managed_fields.iter().flatten();
        fields.into_iter().any(|entry| entry.subresource.is_none() && entry.manager.as_deref() == Some(manager))
    };
    let marked = MARKS.into_iter().find(|(mark, _)| has(mark));
    let managed = MANAGERS.into_iter().find(|(manager, _)| manages(manager));
    marked.or(managed).map(|(_, name)| name.to_owned())
}
