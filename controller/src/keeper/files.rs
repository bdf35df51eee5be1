//! A release in the file of `serin standalone`, and the file beside it in which people speak of it.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serin_release::api::API_VERSION;
use serin_release::api::v1alpha1::{CanaryRelease, ControlStatus, Status};
use serin_release::file::{self, Controls, Manifest};
use serin_release::lifecycle::control::{CanaryControl, Control};
use serin_release::{Kept, Problem};

use super::{Found, Keeper, Written};
use crate::cli::Failure;
use crate::standalone;

/// A release of a file.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    pub(crate) name: String,
    /// FILE.
    pub(crate) file: PathBuf,
    /// What people say of its releases.
    pub(crate) control: PathBuf,
    /// The state directory, where it is named.
    pub(crate) state_dir: Option<PathBuf>,
}

/// What was read of the file of controls.
pub(crate) struct Read {
    /// The release, as `NAMESPACE/NAME`.
    release: CanaryRelease,
    /// The bytes, which alone are replaced; `None` where there is no such file.
    bytes: Option<Vec<u8>>,
}

impl Files {
    /// The release of the name among those of the file.
    fn release(&self, manifest: &Manifest) -> Result<CanaryRelease, Failure> {
        let matches = |release: &&CanaryRelease| release.id() == self.name || release.metadata.name == self.name;
        let found: Vec<&CanaryRelease> = manifest.releases.iter().filter(matches).collect();
        let ids = |releases: &mut dyn Iterator<Item = &CanaryRelease>| {
            releases.map(CanaryRelease::id).collect::<Vec<_>>().join(", ")
        };
        let (file, name) = (file::display_name(&self.file), &self.name);
        match found.as_slice() {
            [release] => Ok((*release).clone()),
            [] if manifest.releases.is_empty() => {
                Err(Failure::Invalid(format!("{file}: it has no CanaryRelease; pass the FILE of `serin standalone`")))
            }
            [] => {
                let all = ids(&mut manifest.releases.iter());
                Err(Failure::Invalid(format!("{file}: it has no CanaryRelease `{name}`; use one of {all}")))
            }
            several => {
                let all = ids(&mut several.iter().copied());
                Err(Failure::Invalid(format!("{file}: several CanaryReleases are called `{name}`; use one of {all}")))
            }
        }
    }

    /// What people say in a text.
    fn controls(&self, bytes: Option<&[u8]>) -> Result<Controls, Failure> {
        Ok(Controls::parse(&self.control, bytes.unwrap_or_default())?)
    }

    fn cannot(&self, what: &str, error: impl std::fmt::Display) -> Failure {
        Failure::Failed(format!("{}: cannot be {what}: {error}", self.control.display()))
    }
}

/// The bytes of a file; `None` where there is none.
pub(crate) fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Failed(format!("{}: cannot be read: {error}", path.display()))),
    }
}

/// Puts a text in the place of another in one step, unless that has changed. False where it has.
pub(crate) fn replace(file: &Path, before: Option<&[u8]>, text: &str) -> Result<bool, Failure> {
    let written = |error: std::io::Error| Failure::Failed(format!("{}: cannot be written: {error}", file.display()));
    // What a link leads to is written, and the link stays.
    let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // One writer at a time, by a lock that leaves no file behind.
    let lock = File::open(parent).map_err(written)?;
    lock.lock().map_err(written)?;
    if bytes_of(file)?.as_deref() != before {
        return Ok(false);
    }
    // As any new file: whoever runs `serin standalone` has to read it.
    let mut new = tempfile::Builder::new();
    let mut new = new.permissions(Permissions::from_mode(0o666)).tempfile_in(parent).map_err(written)?;
    if let Ok(old) = fs::metadata(&path) {
        new.as_file().set_permissions(old.permissions()).map_err(written)?;
    }
    new.write_all(text.as_bytes()).map_err(written)?;
    new.as_file().sync_data().map_err(written)?;
    new.persist(&path).map_err(|error| written(error.error))?;
    Ok(true)
}

/// What a person said, as a status says it.
pub(crate) fn status_of(word: &Control) -> Status {
    let hold = word.hold.as_ref();
    let control = ControlStatus {
        kind: hold.map(|hold| hold.kind),
        version: hold.and_then(|hold| hold.version.clone()),
        weights: hold.map(|hold| hold.weights.clone()).unwrap_or_default(),
        paused: word.paused,
        ..ControlStatus::default()
    };
    Status { control: Some(control), ..Status::default() }
}

/// What is kept of a release, as a status says it.
fn status(kept: &Kept, word: &Control) -> Status {
    Status { allocation: kept.allocation.clone(), run: kept.run.clone(), ..status_of(word) }
}

impl Keeper for Files {
    type Read = Read;

    fn find(&self) -> Result<(Found, Read), Failure> {
        let manifest = standalone::manifest(&self.file)?;
        let mut release = self.release(&manifest)?;
        let bytes = bytes_of(&self.control)?;
        let controls = self.controls(bytes.as_deref())?;
        if release.word.is_some() {
            let problem = "FILE has a CanaryControl of this release itself, and only one may speak of it";
            let fix = format!("move it into {}", self.control.display());
            let problem = Problem::new("", problem, fix).in_object(release.id());
            return Err(problem.in_file(file::display_name(&self.file)).into());
        }
        let control = controls.of(&release.id()).cloned().unwrap_or_default();
        let state = standalone::kept_state(&self.file, self.state_dir.as_deref())?;
        release.status = state.0.get(&release.id()).map(|kept| status(kept, &control));
        Ok((Found { release: release.clone(), control }, Read { release, bytes }))
    }

    fn who(&self) -> Result<String, Failure> {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let said = || Command::new("id").arg("-un").output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
        Ok(user.or_else(said).unwrap_or_default().trim().to_owned())
    }

    fn write(&self, read: &Read, control: &Control, _dry_run: bool) -> Result<Written, Failure> {
        let Read { release, bytes } = read;
        let (api_version, kind) = (API_VERSION.to_owned(), "CanaryControl".to_owned());
        let object = CanaryControl { api_version, kind, metadata: release.metadata.clone(), spec: control.clone() };
        let document = serde_saphyr::to_string(&object).map_err(|error| self.cannot("written", error))?;
        let text = self.controls(bytes.as_deref())?.rewritten(&release.id(), &document)?;
        // What is written is read again first: nobody's word may be lost.
        let others = |controls: &Controls| controls.ids().filter(|id| *id != release.id()).collect::<Vec<_>>();
        let (old, new) = (self.controls(bytes.as_deref())?, self.controls(Some(text.as_bytes()))?);
        if new.of(&release.id()) != Some(control) || others(&old) != others(&new) {
            return Err(self.cannot("written", "it would say something else; write the CanaryControl by hand"));
        }
        Ok(if replace(&self.control, bytes.as_deref(), &text)? { Written::Whole(0) } else { Written::Outdated })
    }

    fn wait(&self, _generation: i64) -> Result<(), Failure> {
        // A file says of nobody whether it was read.
        Ok(())
    }

    fn place(&self) -> String {
        self.control.display().to_string()
    }
}
