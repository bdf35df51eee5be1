//! `serin create`: a release of a Service, from a few options.

mod options;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use serin_mesh::resource::Resource;
use serin_mesh::{Kind, Name};
use serin_release::api::v1alpha1::Phase;
use serin_release::lifecycle::span::Span;
use serin_release::validate;

use super::cluster::{Connection, Place};
use super::view::View;
use super::{Failure, print};
use crate::cluster::convert::{api_resource, from_dynamic};
use options::Options;

const EXAMPLES: &str = "\
Examples:
  serin create reviews --image reviews=registry.example/reviews:2.0 --version v2 --weight 5% --by cookie:user
  serin create reviews --version v2 --steps 1%,5%,25%,100% --hold 30m --approve-last --header 'x-team=qa'
  serin create reviews --version v2 --dry-run=client -o yaml > reviews.yaml";

/// Between two looks.
const APART: Duration = Duration::from_millis(100);

/// Create a release of a Service. Stable's version is that of the Service's pods.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Create {
    /// The Service, as `NAME` or `NAMESPACE/NAME`.
    service: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    options: Options,
    /// What to do: `none`, do it; `client`, only print it; `server`, ask the API server too.
    #[arg(long, value_enum, default_value_t = DryRun::None)]
    dry_run: DryRun,
    /// Output format; `yaml` is the release, for Git.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// How long to wait until the controller has seen it.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    None,
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Yaml,
}

impl Create {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        let service = connection.name(&self.service);
        refuse_second(&connection, &service)?;
        let stable = match &self.options.stable {
            Some(stable) => stable.clone(),
            None => stable_of(&connection, &service, self.options.version.as_deref())?,
        };
        let name = Name::new(&*service.namespace, self.options.name.as_deref().unwrap_or(&service.name));
        let spec = self.options.spec(&service.name, &stable).map_err(Failure::Invalid)?;
        let object = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": {"name": name.name, "namespace": name.namespace}, "spec": spec});
        check(&object)?;
        if self.dry_run != DryRun::Client {
            self.write(&connection, &name, &object)?;
        }
        match self.output {
            Format::Yaml => print(&serde_saphyr::to_string(&object).unwrap_or_default())?,
            Format::Json => print(&format!("{object}\n"))?,
            Format::Text if self.dry_run != DryRun::None => print(&format!("{name}: it would be created\n"))?,
            Format::Text => {}
        }
        match self.dry_run {
            DryRun::None => self.wait(&connection, &name),
            DryRun::Client | DryRun::Server => Ok(()),
        }
    }

    fn write(&self, connection: &Connection, name: &Name, object: &Value) -> Result<(), Failure> {
        let releases = connection.api(Kind::CanaryRelease, &name.namespace);
        let parameters = PostParams { dry_run: self.dry_run == DryRun::Server, ..PostParams::default() };
        let mut created =
            kube::api::DynamicObject::new(&name.name, &api_resource(Kind::CanaryRelease)).within(&name.namespace);
        created.data = json!({"spec": object.get("spec")});
        let what = format!("create CanaryRelease {name}");
        let written = connection.answer(&what, async { releases.create(&parameters, &created).await })?;
        written.map(|_| ()).ok_or_else(|| Failure::Failed(format!("cannot {what}: there is one of this name")))
    }

    /// Waits until the controller has seen it, and says what came of it.
    fn wait(&self, connection: &Connection, name: &Name) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout.duration();
        loop {
            let view = View { resource: connection.release(name)? };
            let settled = view.phase().is_some_and(|phase| phase != Phase::Progressing);
            let is_late = Instant::now() >= deadline;
            if settled || (is_late && view.is_observed()) {
                if self.output == Format::Text {
                    print(&(view.line() + "\n"))?;
                }
                return match view.phase() {
                    Some(Phase::Refused) => Err(Failure::Otherwise(String::new())),
                    _ => Ok(()),
                };
            }
            if is_late {
                return Err(Failure::GaveUp(format!(
                    "{name}: it is created, and the controller has not taken it up within {}; look at the controller",
                    self.timeout
                )));
            }
            connection.pause(APART);
        }
    }
}

/// What the text says by itself is wrong before the API server is asked.
fn check(object: &Value) -> Result<(), Failure> {
    let resource = Resource::read(&serin_mesh::Object::from_json(object.clone()));
    let release = resource.parsed.map_err(|problem| Failure::Invalid(problem.to_string()))?;
    validate(&release, "x-serin-version").map_err(Failure::from)
}

/// A Service has one release.
fn refuse_second(connection: &Connection, service: &Name) -> Result<(), Failure> {
    let releases = connection.api(Kind::CanaryRelease, &service.namespace);
    let list = connection.ask("list CanaryReleases", async { releases.list(&ListParams::default()).await })?;
    let mut all = list.items.into_iter().map(|object| Resource::read(&from_dynamic(object)));
    let names = [service.name.clone(), format!("{}.{}.svc.cluster.local", service.name, service.namespace)];
    let other = all.find(|one| one.parsed.as_ref().is_ok_and(|release| names.contains(&release.spec.service)));
    match other {
        None => Ok(()),
        Some(other) => Err(Failure::Invalid(format!(
            "{service}: the release {} has the Service already; change it, or `serin delete {}` first",
            other.id, other.id
        ))),
    }
}

/// The version of the Service's pods, leaving out the one that is to be the canary.
fn stable_of(connection: &Connection, service: &Name, canary: Option<&str>) -> Result<String, Failure> {
    let found = connection.find(Kind::Service, service)?;
    let found = found.ok_or_else(|| Failure::Invalid(format!("there is no Service {service}")))?;
    let selector = found.data.pointer("/spec/selector").and_then(Value::as_object).cloned().unwrap_or_default();
    let labels = selector.iter().filter_map(|(label, value)| Some(format!("{label}={}", value.as_str()?)));
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() {
        return Err(Failure::Invalid(format!("Service {service} selects no pods; say stable's version with --stable")));
    }
    let pods = connection.api(Kind::Pod, &service.namespace);
    let list = connection.ask("list pods", async { pods.list(&ListParams::default().labels(&labels.join(","))).await })?;
    let version = |pod: kube::api::DynamicObject| pod.metadata.labels?.get("version").cloned();
    let mut versions: BTreeSet<String> = list.items.into_iter().filter_map(version).collect();
    if versions.len() > 1 {
        versions.retain(|version| Some(version.as_str()) != canary);
    }
    let all: Vec<String> = versions.into_iter().collect();
    match all.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::Invalid(format!(
            "no pod of Service {service} has the label `version`; label them, or say stable's version with --stable"
        ))),
        _ => Err(Failure::Invalid(format!(
            "pods of Service {service} have the versions {}; say which is stable's with --stable",
            all.join(", ")
        ))),
    }
}
