//! Releases out of what other tools have: an import, and what it could not carry over.
//!
//! ```text
//! documents ─ objects ─► Strategy, Canary, Rollout ─┐
//!                        Ingress, HTTPRoute,        ├─► Draft ─ rules, steps ─ validate ─► Imported: releases, report
//!                        VirtualService ────────────┘
//! ```
//! Never a guess towards more traffic: what cannot be said leads to fewer canary requests. A rule that is lost caps what comes behind it,
//! a check that is lost lets a person approve, a share is rounded down. Pure.

mod amounts;
mod argo;
mod draft;
mod flagger;
mod gateway;
mod istio;
mod kruise;
mod kubesphere;
mod naming;
mod nginx;
mod objects;
mod queries;
mod report;
mod routes;
mod rules;
mod when;

use std::collections::BTreeSet;

use draft::{Draft, Finished};
use objects::Object;
pub use report::{Imported, Kind, Line};

use crate::problem::Problem;
use crate::yaml::Node;

/// Imports all that documents hold of other tools.
///
/// # Errors
/// An object that is not what it claims to be.
pub fn import(documents: &[Node]) -> Result<Imported, Problem> {
    let objects = objects::objects(documents)?;
    let mut import = Import::default();
    // Tools write routes, so that these are no source of their own.
    for object in &objects {
        if let Some(draft) = of_tool(object, &objects)? {
            import.take(object, draft);
        }
    }
    for object in &objects {
        if let Some(draft) = of_route(object, &objects, &import)? {
            import.take(object, draft);
        }
    }
    Ok(import.done())
}

fn of_tool(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Option<Draft>, Problem> {
    Ok(Some(match (object.group, object.kind) {
        ("servicemesh.kubesphere.io", "Strategy") => kubesphere::strategy(object)?,
        ("servicemesh.kubesphere.io", "ServicePolicy") => {
            Draft::refused(&object.meta, "ServicePolicy", "stays in a DestinationRule of your own; Serin adds subsets only")
        }
        ("flagger.app", "Canary") => flagger::canary(object, objects)?,
        ("argoproj.io", "Rollout") => argo::rollout(object, objects)?,
        ("rollouts.kruise.io", "Rollout") => kruise::rollout(object)?,
        _ if nginx::is_canary(object) => nginx::ingress(object, objects)?,
        _ => return Ok(None),
    }))
}

fn of_route(object: &Object<'_>, objects: &[Object<'_>], import: &Import) -> Result<Option<Draft>, Problem> {
    let is_owned = import.owned.contains(&(object.kind.to_owned(), object.id()));
    Ok(match (object.group, object.kind) {
        _ if is_owned => None,
        ("networking.istio.io", "VirtualService") => Some(istio::virtual_service(object, objects)?),
        ("gateway.networking.k8s.io", "HTTPRoute") => Some(gateway::http_route(object, objects)?),
        _ => None,
    })
}

/// An import under way.
#[derive(Default)]
struct Import {
    found: Vec<(String, Finished)>,
    /// Kind and `NAMESPACE/NAME` of objects that a tool writes.
    owned: BTreeSet<(String, String)>,
    hosts: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Import {
    /// Takes what came of an object, unless another object says the same.
    fn take(&mut self, object: &Object<'_>, draft: Draft) {
        let mut finished = draft.finish();
        for (kind, name) in &finished.owned {
            self.owned.insert(((*kind).to_owned(), format!("{}/{name}", object.meta.namespace)));
        }
        let clash = finished
            .release
            .as_ref()
            .is_some_and(|release| self.ids.contains(&release.id()) || self.hosts.contains(&release.host()));
        if clash {
            let text =
                "another release of this file has its name or its Service; delete this object, or import it by itself";
            finished.report = vec![Line::new(Kind::Lost, "metadata.name", text)];
            finished.release = None;
        }
        if let Some(release) = &finished.release {
            self.ids.insert(release.id());
            self.hosts.insert(release.host());
        }
        self.found.push((format!("{} {}", object.kind, object.id()), finished));
    }

    /// Releases and lines: what changed, what is lost, what is left to do. Of several objects each line says which.
    fn done(self) -> Imported {
        let several = self.found.len() > 1;
        let mut imported = Imported::default();
        for (object, finished) in self.found {
            imported.releases.extend(finished.release);
            let mut lines: Vec<Line> = Vec::new();
            for line in finished.report {
                let path = if several { format!("{object} {}", line.path) } else { line.path };
                let line = Line { path, ..line };
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            lines.sort_by_key(|line| line.kind);
            imported.report.extend(lines);
        }
        imported
    }
}
