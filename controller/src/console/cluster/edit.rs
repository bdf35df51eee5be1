//! Releases of a cluster as their owners write them: read, tried, written, with the user's own rights.

use kube::api::{DeleteParams, DynamicObject, PostParams, Preconditions};
use serde_json::{Value, json};
use serin_console::pages::edit::{Tried, Wrong};
use serin_mesh::resource::Resource;
use serin_mesh::{Kind, Name};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::difference::Difference;
use serin_release::file::{self, File};
use serin_release::{Problems, validate};

use super::refusal;
use crate::cli::Failure;
use crate::cli::cluster::{Connection, Place};
use crate::cli::diff::change;
use crate::cluster::convert::{api_resource, from_dynamic};
use crate::console::home::{Change, Refusal};

/// Who reads and writes.
pub(super) struct Editor {
    pub(super) place: Place,
}

/// The header that proxies route by, unless an administrator chose another one: rules may not ask for it.
const ROUTING_HEADER: &str = "x-serin-version";

impl Editor {
    fn connect(&self) -> Result<Connection, Refusal> {
        Connection::open(&self.place).map_err(refusal)
    }

    /// A release as its owner wrote it.
    pub(super) fn text(&self, release: &str) -> Result<String, Refusal> {
        let connection = self.connect()?;
        let object = found(&connection, &connection.name(release))?;
        Ok(written(&object))
    }

    /// What a text would come to: first by itself, then as the API server sees it.
    pub(super) fn attempt(&self, release: Option<&str>, text: &str) -> Result<Tried, Refusal> {
        let wanted = match wanted(release, text) {
            Ok(wanted) => wanted,
            Err(problems) => return Ok(wrong(problems)),
        };
        let connection = self.connect()?;
        let name = Name::new(&*wanted.metadata.namespace, &*wanted.metadata.name);
        let there = connection.find(Kind::CanaryRelease, &name).map_err(refusal)?;
        if release.is_none() && there.is_some() {
            return Ok(said(&format!("there is a release {name} already; edit it, or use another name")));
        }
        let object = object(&name, text, there.as_ref())?;
        if let Err(failure) = write(&connection, &name, &object, true) {
            return match failure {
                Failure::Failed(sentence) => Ok(said(&sentence)),
                failure => Err(refusal(failure)),
            };
        }
        let known = there.map(|there| Resource::read(&from_dynamic(there)));
        let before = known.as_ref().and_then(|known| known.parsed.as_ref().ok());
        let change = change(before, &wanted).map_err(refusal)?;
        let begins = change.begins.then(|| "steps begin again from the first".to_owned());
        Ok(Tried {
            problems: Vec::new(),
            difference: before.map(|_| Difference::of(&change.before, &change.now)),
            people: String::new(),
            warnings: begins.into_iter().collect(),
            same: before.is_some_and(|before| before.spec == wanted.spec),
        })
    }

    /// Writes a change.
    pub(super) fn change(&self, change: &Change) -> Result<String, Refusal> {
        let connection = self.connect()?;
        let Some(text) = &change.text else { return delete(&connection, change) };
        let wanted = wanted(change.release.as_deref(), text).map_err(|problems| Refusal::Invalid(problems.to_string()))?;
        let name = Name::new(&*wanted.metadata.namespace, &*wanted.metadata.name);
        let there = connection.find(Kind::CanaryRelease, &name).map_err(refusal)?;
        let is_same = there.as_ref().map(written) == change.release.as_ref().map(|_| change.before.clone());
        let conflict =
            || Refusal::Conflict(format!("{name} was changed meanwhile, and nothing was written; look at it again"));
        if !is_same {
            return Err(conflict());
        }
        let object = object(&name, text, there.as_ref())?;
        match write(&connection, &name, &object, false).map_err(refusal)? {
            Some(_) => Ok(name.to_string()),
            None => Err(conflict()),
        }
    }
}

fn found(connection: &Connection, name: &Name) -> Result<DynamicObject, Refusal> {
    let found = connection.find(Kind::CanaryRelease, name).map_err(refusal)?;
    found.ok_or_else(|| Refusal::Failed(format!("there is no release {name}, or no more")))
}

/// What its owner wrote of an object, as YAML: without what the API server and controllers add.
fn written(object: &DynamicObject) -> String {
    let mut metadata = json!({"name": object.metadata.name, "namespace": object.metadata.namespace});
    let annotations = object.metadata.annotations.iter().flatten();
    let annotations = annotations.filter(|(name, _)| *name != "kubectl.kubernetes.io/last-applied-configuration");
    let annotations: serde_json::Map<String, Value> =
        annotations.map(|(name, value)| (name.clone(), json!(value))).collect();
    if let Some(metadata) = metadata.as_object_mut() {
        if let Some(labels) = &object.metadata.labels {
            metadata.insert("labels".to_owned(), json!(labels));
        }
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
    }
    let kind = Kind::CanaryRelease;
    let spec = object.data.get("spec");
    let text = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": metadata, "spec": spec});
    serde_saphyr::to_string(&text).unwrap_or_default()
}

/// The release that a text is; the one that it has to be.
fn wanted(release: Option<&str>, text: &str) -> Result<CanaryRelease, Problems> {
    let parsed = file::parse(std::path::Path::new("the text"), text.as_bytes())?;
    let releases = match parsed {
        File::Manifest(manifest) if manifest.standalones.is_empty() => manifest.releases,
        _ => Vec::new(),
    };
    let problem = |problem: String, fix: &str| Problems::from(serin_release::Problem::new("", problem, fix));
    let [only] = releases.as_slice() else {
        return Err(problem("this is not one CanaryRelease".to_owned(), "write one document of `kind: CanaryRelease`"));
    };
    if let Some(release) = release.filter(|release| *release != only.id()) {
        let fix = "keep name and namespace, since people's buckets hang on them; make another release for another name";
        return Err(problem(format!("this is {}, and no longer {release}", only.id()), fix));
    }
    validate(only, ROUTING_HEADER)?;
    Ok(only.clone())
}

/// The object that is written: what is there with another text, so that nobody's later change is lost.
fn object(name: &Name, text: &str, there: Option<&DynamicObject>) -> Result<DynamicObject, Refusal> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let mut object = match there {
        Some(there) => there.clone(),
        None => DynamicObject::new(&name.name, &api_resource(Kind::CanaryRelease)).within(&name.namespace),
    };
    let texts =
        |field: &str| value.pointer(&format!("/metadata/{field}")).and_then(|own| serde_json::from_value(own.clone()).ok());
    object.metadata.labels = texts("labels");
    object.metadata.annotations = texts("annotations");
    object.metadata.managed_fields = None;
    object.data = json!({"spec": value.get("spec")});
    Ok(object)
}

fn write(
    connection: &Connection,
    name: &Name,
    object: &DynamicObject,
    dry_run: bool,
) -> Result<Option<DynamicObject>, Failure> {
    let releases = connection.api(Kind::CanaryRelease, &name.namespace);
    let manager = Some("serin-console".to_owned());
    let parameters = PostParams { dry_run, field_manager: manager };
    let what = format!("write CanaryRelease {name}");
    connection.answer(&what, async {
        match &object.metadata.resource_version {
            Some(_) => releases.replace(&name.name, &parameters, object).await,
            None => releases.create(&parameters, object).await,
        }
    })
}

fn delete(connection: &Connection, change: &Change) -> Result<String, Refusal> {
    let release = change.release.clone().unwrap_or_default();
    let name = connection.name(&release);
    let there = found(connection, &name)?;
    if written(&there) != change.before {
        return Err(Refusal::Conflict(format!("{name} was changed meanwhile, and nothing was deleted; look at it again")));
    }
    let preconditions = Preconditions { uid: there.metadata.uid.clone(), resource_version: there.metadata.resource_version };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let releases = connection.api(Kind::CanaryRelease, &name.namespace);
    let what = format!("delete CanaryRelease {name}");
    let deleted = connection.ask(&what, async { releases.delete(&name.name, &parameters).await });
    deleted.map(|_| release).map_err(refusal)
}

/// Problems of a text, by its lines.
fn wrong(Problems(problems): Problems) -> Tried {
    let problems = problems.into_iter().map(|problem| Wrong { line: problem.line, sentence: problem.in_its_object() });
    Tried { problems: problems.collect(), ..Tried::default() }
}

/// What was said of the whole.
fn said(sentence: &str) -> Tried {
    Tried { problems: vec![Wrong { line: None, sentence: sentence.to_owned() }], ..Tried::default() }
}
