//! Where releases live, as the console needs it.

use std::future::Future;
use std::sync::Arc;

use serin_console::figures::Figures;
use serin_console::frame::{Has, May};
use serin_console::pages::edit::Tried;
use serin_console::pages::explain::{self, Explained};
use serin_console::requests::Ring;
use serin_console::snapshot::Snapshot;
use serin_console::trace::Traces;
use serin_release::lifecycle::verb::Verb;
use tokio::sync::watch;

use crate::cli::explain::request::Asked;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// Their name; empty where nobody has to sign in.
    pub(crate) name: String,
}

/// Why a word was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// That person may not: the sentence of who refused.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "only a cluster asks who may"))]
    Forbidden(String),
    /// It says what cannot be.
    Invalid(String),
    /// Others keep changing what it is about.
    Conflict(String),
    /// Something does not work.
    Failed(String),
}

/// A text in the place of what was there.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The release, as `NAMESPACE/NAME`; `None` for one that is made.
    pub(crate) release: Option<String>,
    /// What was there when it was read.
    pub(crate) before: String,
    /// The text; `None` takes the release away.
    pub(crate) text: Option<String>,
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
    /// A release as its owner wrote it, as YAML.
    fn text(&self, who: &Who, release: &str) -> impl Future<Output = Result<String, Refusal>> + Send;
    /// What a text would come to. Nothing is written.
    fn attempt(&self, who: &Who, release: Option<&str>, text: &str) -> impl Future<Output = Result<Tried, Refusal>> + Send;
    /// Writes what its owner wants, with that person's rights, and says which release it is.
    fn change(&self, who: &Who, change: Change) -> impl Future<Output = Result<String, Refusal>> + Send;
    /// Why a request would get its version; of this release, where one is named.
    fn explain(&self, release: Option<&str>, asked: Asked) -> impl Future<Output = Result<Explained, String>> + Send;
    /// Why there are no requests to look at; empty where there may be.
    fn no_requests(&self) -> String;
    /// Looks at the last requests.
    fn with_requests<T>(&self, look: impl FnOnce(&Ring) -> T) -> T;
    /// Why there are no traces to look at; empty where there may be.
    fn no_traces(&self) -> String;
    /// Looks at the traces.
    fn with_traces<T>(&self, look: impl FnOnce(&Traces) -> T) -> T;
    /// The command that explains the same.
    fn command(&self, release: Option<&str>, asked: &explain::Asked) -> String;
    /// Writes a person's word about a release, with that person's rights, and says whether it is another one than before.
    fn say(
        &self,
        who: &Who,
        release: &str,
        verb: Verb,
        because: String,
    ) -> impl Future<Output = Result<bool, Refusal>> + Send;
}
