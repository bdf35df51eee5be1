//! Tells when a file may have changed.

use std::path::Path;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::cli::Failure;

/// Watches a file's directory, since editors, `mv` and mounted volumes replace the file rather than write to it.
pub(super) struct Watch {
    _watcher: notify::RecommendedWatcher,
    events: mpsc::Receiver<()>,
}

impl Watch {
    pub(super) fn of(file: &Path) -> Result<Self, Failure> {
        let parent = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // One event waiting is enough: it makes the file be read.
        let (sender, events) = mpsc::channel(1);
        let fail = |error: notify::Error| Failure::running(&format!("{}: cannot be watched", parent.display()), error);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        })
        .map_err(fail)?;
        watcher.watch(parent, RecursiveMode::NonRecursive).map_err(fail)?;
        Ok(Self { _watcher: watcher, events })
    }

    /// Waits until something happens in the file's directory.
    pub(super) async fn changed(&mut self) {
        if self.events.recv().await.is_none() {
            // The watcher lives as long as this value, so this does not happen; waiting is the harmless answer.
            std::future::pending::<()>().await;
        }
    }
}
