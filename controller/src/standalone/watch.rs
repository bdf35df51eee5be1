//! Tells when a file may have changed.

use std::collections::BTreeSet;
use std::path::Path;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::cli::Failure;

/// Watches the directories of files, since editors, `mv` and mounted volumes replace a file rather than write to it.
pub(super) struct Watch {
    _watcher: notify::RecommendedWatcher,
    events: mpsc::Receiver<()>,
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Watch {
    pub(super) fn of<'p>(files: impl IntoIterator<Item = &'p Path>) -> Result<Self, Failure> {
        let parents: BTreeSet<&Path> = files.into_iter().map(parent).collect();
        // One event waiting is enough: it makes the files be read.
        let (sender, events) = mpsc::channel(1);
        let cannot = |parent: &Path, error| Failure::running(&format!("{}: cannot be watched", parent.display()), error);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        });
        let mut watcher = watcher.map_err(|error| Failure::running("files cannot be watched", error))?;
        for parent in parents {
            watcher.watch(parent, RecursiveMode::NonRecursive).map_err(|error| cannot(parent, error))?;
        }
        Ok(Self { _watcher: watcher, events })
    }

    /// Waits until something happens in the files' directories.
    pub(super) async fn changed(&mut self) {
        if self.events.recv().await.is_none() {
            // The watcher lives as long as this value, so this does not happen; waiting is the harmless answer.
            std::future::pending::<()>().await;
        }
    }
}
