//! Where releases and what people say of them are kept: files beside `serin standalone`, or a cluster.

#[cfg(feature = "cluster")]
pub(crate) mod cluster;
pub(crate) mod files;

use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::verb::{Said, Verb};

use crate::cli::Failure;

/// What is there of a release.
pub(crate) struct Found {
    /// The release, with its status.
    pub(crate) release: CanaryRelease,
    /// What a person said of it.
    pub(crate) control: Control,
}

/// What became of a write.
pub(crate) enum Written {
    /// It is there, with this generation.
    Whole(i64),
    /// Somebody else has written meanwhile: what was read is out of date, and nothing was written.
    Outdated,
}

/// Where the words about a release are kept.
pub(crate) trait Keeper {
    /// What was read, and alone is replaced.
    type Read;

    /// The release and its control.
    fn find(&self) -> Result<(Found, Self::Read), Failure>;
    /// Who says it.
    fn who(&self) -> Result<String, Failure>;
    /// Writes the control in the place of what was read.
    fn write(&self, read: &Self::Read, control: &Control, dry_run: bool) -> Result<Written, Failure>;
    /// Waits until it acts, as far as that can be known.
    fn wait(&self, generation: i64) -> Result<(), Failure>;
    /// What to look at where others keep changing it.
    fn place(&self) -> String;
}

/// So often a word is said again that another person's word overtakes.
pub(crate) const TRIES: u32 = 5;

/// Says a word that was thought of: writes it beside what others said meanwhile. False where it was said already.
pub(crate) fn say<K: Keeper>(keeper: &K, verb: &Verb, by: &str, because: &str) -> Result<bool, Failure> {
    for _ in 0..TRIES {
        let (found, read) = keeper.find()?;
        let Said { mut control, .. } = verb.said(&found.release, &found.control).map_err(Failure::Invalid)?;
        by.clone_into(&mut control.by);
        because.clone_into(&mut control.because);
        if let Written::Whole(generation) = keeper.write(&read, &control, false)? {
            keeper.wait(generation)?;
            return Ok(control != found.control);
        }
    }
    Err(overtaken(keeper))
}

/// Others keep writing.
pub(crate) fn overtaken<K: Keeper>(keeper: &K) -> Failure {
    Failure::Failed(format!(
        "others have changed the CanaryControl {TRIES} times meanwhile, and nothing was written; look at `{}` and try again",
        keeper.place()
    ))
}
