//! A cluster as a home of the console: what is there is watched, and each change is made with the user's own rights.

mod edit;
mod rights;
mod seen;

use std::sync::Arc;

use kube::Client;
use serin_console::figures::Figures;
use serin_console::frame::{Has, May};
use serin_console::pages::edit::Tried;
use serin_console::pages::explain::{self, Explained};
use serin_console::requests::Ring;
use serin_console::snapshot::Snapshot;
use serin_console::trace::Traces;
use serin_release::lifecycle::verb::Verb;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::home::{Change, Home, Refusal, Who};
use crate::cli::Failure;
use crate::cli::cluster::{Connection, Place, client};
use crate::cli::explain::published::published;
use crate::cli::explain::request::Asked;
use crate::keeper::{self, Keeper, cluster};
use crate::standalone::message;
use edit::Editor;
use rights::Rights;

/// How long a word may wait until the controller has seen it, in seconds.
const PATIENCE: u64 = 5;

/// The cluster of a kubeconfig, or of the account of a pod.
pub(crate) struct Cluster {
    place: Place,
    root_namespace: String,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    figures: watch::Receiver<Arc<Figures>>,
    rights: Rights,
}

impl Cluster {
    /// Begins to watch the releases of a cluster.
    ///
    /// # Errors
    /// The kubeconfig cannot be used.
    pub(crate) async fn watch(place: Place, root_namespace: String) -> Result<Self, Failure> {
        let (client, _): (Client, String) = client(&place).await?;
        let problem = "no metric source is named".to_owned();
        // It is never told of anything: nobody counts here yet.
        let (_, figures) = watch::channel(Arc::new(Figures { problem: Some(problem), ..Figures::default() }));
        let (snapshots, rights) = (seen::follow(client.clone(), place.namespace.clone()), Rights::new(client));
        Ok(Self { place, root_namespace, snapshots, figures, rights })
    }
}

/// What was done aside, or why not.
async fn done<T: Send + 'static>(job: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    spawn_blocking(job).await.unwrap_or_else(|error| Err(Refusal::Failed(format!("a worker has ended: {error}"))))
}

/// A failure of a command as the page tells it.
fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Forbidden(sentence) => Refusal::Forbidden(sentence),
        Failure::Invalid(sentence) => Refusal::Invalid(sentence),
        failure => Refusal::Failed(message(failure)),
    }
}

impl Home for Cluster {
    fn named(&self) -> String {
        "the cluster of your kubeconfig".to_owned()
    }

    fn has(&self) -> Has {
        Has::default()
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn figures(&self) -> watch::Receiver<Arc<Figures>> {
        self.figures.clone()
    }

    async fn may(&self, _who: &Who, release: &str) -> May {
        self.rights.may(release.split_once('/').map_or("", |(namespace, _)| namespace)).await
    }

    async fn text(&self, _who: &Who, release: &str) -> Result<String, Refusal> {
        let (editor, release) = (Editor { place: self.place.clone() }, release.to_owned());
        done(move || editor.text(&release)).await
    }

    async fn attempt(&self, _who: &Who, release: Option<&str>, text: &str) -> Result<Tried, Refusal> {
        let editor = Editor { place: self.place.clone() };
        let (release, text) = (release.map(str::to_owned), text.to_owned());
        done(move || editor.attempt(release.as_deref(), &text)).await
    }

    async fn change(&self, _who: &Who, change: Change) -> Result<String, Refusal> {
        let editor = Editor { place: self.place.clone() };
        done(move || editor.change(&change)).await
    }

    async fn explain(&self, release: Option<&str>, asked: Asked) -> Result<Explained, String> {
        let Some(release) = release.map(str::to_owned) else {
            return Err("open a release first: in a cluster a request is explained by one of them".to_owned());
        };
        let (place, root_namespace) = (self.place.clone(), self.root_namespace.clone());
        let answered = spawn_blocking(move || {
            let connection = Connection::open(&place).map_err(message)?;
            published(&connection, &connection.name(&release), &root_namespace).map_err(message)?.answer(asked)
        });
        answered.await.unwrap_or_else(|error| Err(format!("a worker has ended: {error}")))
    }

    fn no_requests(&self) -> String {
        "Requests are in the access logs of callers' proxies; this console does not read them.".to_owned()
    }

    fn with_requests<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&Ring::default())
    }

    fn no_traces(&self) -> String {
        "Traces are where the mesh sends them; this console does not read them.".to_owned()
    }

    fn with_traces<T>(&self, look: impl FnOnce(&Traces) -> T) -> T {
        look(&Traces::default())
    }

    fn command(&self, release: Option<&str>, asked: &explain::Asked) -> String {
        format!("serin explain --release {} {}", release.unwrap_or_default(), asked.arguments())
    }

    async fn say(&self, _who: &Who, release: &str, verb: Verb, because: String) -> Result<bool, Refusal> {
        let (place, release) = (self.place.clone(), release.to_owned());
        done(move || {
            let keeper = cluster::Cluster::connect(&place, &release, PATIENCE).map_err(refusal)?;
            let by = keeper.who().map_err(refusal)?;
            keeper::say(&keeper, &verb, &by, &because).map_err(refusal)
        })
        .await
    }
}
