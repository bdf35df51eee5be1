//! Entries whose patterns take long go through the gate on threads of their own: a release that takes seconds holds nobody up.

use std::collections::BTreeSet;
use std::sync::Arc;

use serin_mesh::gate::{Answer, Work};
use serin_release::ReleaseId;
use tokio::sync::{Semaphore, mpsc};

/// Entries that are compiled at the same time; others wait in the order in which they came.
const AT_ONCE: usize = 1;

/// A release, and what the gate said of its entry; `None` if that broke.
pub(super) type Done = (ReleaseId, Option<Answer>);

/// What is compiled elsewhere, and what came of it.
pub(super) struct Compiler {
    permits: Arc<Semaphore>,
    under_way: BTreeSet<ReleaseId>,
    sender: mpsc::UnboundedSender<Done>,
    done: mpsc::UnboundedReceiver<Done>,
}

impl Compiler {
    pub(super) fn new() -> Self {
        // One answer for each release at most is under way.
        let (sender, done) = mpsc::unbounded_channel();
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), under_way: BTreeSet::new(), sender, done }
    }

    /// Begins with an entry, unless one of the release is under way: then its answer comes first, and the release is looked at again.
    pub(super) fn begin(&mut self, id: &ReleaseId, work: Work) {
        if !self.under_way.insert(id.clone()) {
            return;
        }
        let (permits, sender, id) = (Arc::clone(&self.permits), self.sender.clone(), id.clone());
        tokio::spawn(async move {
            // It is never closed.
            let permit = permits.acquire_owned().await;
            let answer = tokio::task::spawn_blocking(move || work.run()).await;
            drop(permit);
            // Nobody waits for it where this process leads no more.
            let _ = sender.send((id, answer.ok()));
        });
    }

    /// Waits for the next answer.
    pub(super) async fn next(&mut self) -> Done {
        match self.done.recv().await {
            Some((id, answer)) => {
                self.under_way.remove(&id);
                (id, answer)
            }
            // This holds a sender.
            None => std::future::pending().await,
        }
    }
}
