//! `serin delete`: a release goes, in the safe order.

use clap::Args;
use kube::api::DeleteParams;
use serin_mesh::Kind;
use serin_release::lifecycle::span::Span;

use super::ask::ask;
use super::cluster::{Connection, Place};
use super::view::View;
use super::{Failure, print};

const EXAMPLES: &str = "\
Example:
  serin delete bookinfo/reviews";

/// Between two looks.
const APART: std::time::Duration = std::time::Duration::from_millis(200);

/// Delete a release: everybody goes to stable, then its routes go. Pods that Serin runs for a canary go with it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Delete {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    #[arg(add = super::complete::releases())]
    name: String,
    #[command(flatten)]
    place: Place,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
    /// How long to wait until it is gone.
    #[arg(long, value_name = "TIME", default_value = "1m")]
    timeout: Span,
}

impl Delete {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        let name = connection.name(&self.name);
        let view = View { resource: connection.release(&name)? };
        let costs = costs(&view);
        if !costs.is_empty() && !self.yes {
            ask(&format!("{name}: {}. ", costs.join(", and ")))?;
        }
        connection.ask(&format!("delete CanaryRelease {name}"), async {
            connection.api(Kind::CanaryRelease, &name.namespace).delete(&name.name, &DeleteParams::default()).await
        })?;
        let deadline = std::time::Instant::now() + self.timeout.duration();
        while connection.find(Kind::CanaryRelease, &name)?.is_some() {
            if std::time::Instant::now() >= deadline {
                return Err(Failure::GaveUp(format!(
                    "{name}: it is deleted, and the controller has not cleaned up within {}; look at the controller",
                    self.timeout
                )));
            }
            connection.pause(APART);
        }
        // A control that no command wrote has no owner that it would go with.
        if connection.find(Kind::CanaryControl, &name)?.is_some() {
            let controls = connection.api(Kind::CanaryControl, &name.namespace);
            let delete = async { controls.delete(&name.name, &DeleteParams::default()).await };
            // Who it goes with may have taken it meanwhile.
            let _ = connection.ask(&format!("delete CanaryControl {name}"), delete);
        }
        print(&format!("{name}: deleted; stable's pods and Service are as they were\n"))
    }
}

/// What it costs to delete a release.
fn costs(view: &View) -> Vec<String> {
    let mut costs = Vec::new();
    let people = view.status().versions.iter().filter(|own| own.version != view.stable() && own.share.buckets() > 0);
    costs.extend(people.map(|own| format!("{} of people move from {} to {}", own.share, own.version, view.stable())));
    let canaries = view.resource.parsed.iter().flat_map(|release| &release.spec.canaries);
    let run = canaries.filter(|canary| canary.workload.is_some());
    costs.extend(run.map(|canary| format!("the pods that Serin runs for {} go", canary.version)));
    costs
}
