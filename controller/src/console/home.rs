//! Where releases live, as the console needs it.

use std::future::Future;
use std::sync::Arc;

use serin_console::figures::Figures;
use serin_console::frame::{Has, May};
use serin_console::snapshot::Snapshot;
use serin_release::lifecycle::verb::Verb;
use tokio::sync::watch;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// Their name; empty where nobody has to sign in.
    pub(crate) name: String,
}

/// Why a word was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It says what cannot be.
    Invalid(String),
    /// Others keep changing what it is about.
    Conflict(String),
    /// Something does not work.
    Failed(String),
}

/// Where releases live.
pub(crate) trait Home: Send + Sync + 'static {
    /// What it is, for people.
    fn named(&self) -> String;
    /// Which pages it has.
    fn has(&self) -> Has;
    /// What is seen of releases; a change wakes all who wait.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;
    /// What was counted of them.
    fn figures(&self) -> watch::Receiver<Arc<Figures>>;
    /// What somebody may do about a release.
    fn may(&self, who: &Who, release: &str) -> impl Future<Output = May> + Send;
    /// Writes a person's word about a release, with that person's rights.
    fn say(&self, who: &Who, release: &str, verb: Verb, because: String)
    -> impl Future<Output = Result<(), Refusal>> + Send;
}
