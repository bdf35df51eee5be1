//! The state directory: files that are replaced in one step each, and waited for on a thread of their own.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use crate::cli::Failure;

/// A directory that only this process writes to.
pub(super) struct Directory {
    path: PathBuf,
    /// Its lock lasts as long as the file is open.
    _lock: File,
}

impl Directory {
    /// Makes the directory and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |error: &dyn std::fmt::Display| {
            let fix = "name another one with --state-dir";
            Failure::Failed(format!("{}: the state directory cannot be used: {error}; {fix}", path.display()))
        };
        fs::create_dir_all(path).map_err(|error| fail(&error))?;
        let path = path.canonicalize().map_err(|error| fail(&error))?;
        let lock = File::create(path.join("lock")).map_err(|error| fail(&error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => fail(&"another serin uses it"),
            TryLockError::Error(error) => fail(&error),
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, from the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file where its content differs. It need not survive a loss of power: at each start it is compared anew.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        if fs::read(self.path.join(name)).is_ok_and(|old| old == content) {
            return Ok(());
        }
        self.replace(name, content)
    }

    /// Writes a file also where its content is the same, so that whoever watches it looks at it again.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        self.replace_after(name, content, |_| Ok(()))
    }

    /// Writes a file that survives a loss of power, where its content differs.
    pub(super) fn keep(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        if fs::read(self.path.join(name)).is_ok_and(|old| old == content) {
            return Ok(());
        }
        self.replace_after(name, content, File::sync_data)
    }

    fn replace_after(
        &self,
        name: &str,
        content: &[u8],
        written: impl FnOnce(&File) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let path = self.path.join(name);
        let replace = || -> std::io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.path)?;
            file.write_all(content)?;
            written(file.as_file())?;
            file.persist(&path)?;
            Ok(())
        };
        replace().map_err(|error| Failure::running(&format!("{}: cannot be written", path.display()), error))
    }
}

/// The content of a file; `None` where there is no such file.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Failure::running(&format!("{}: cannot be read", path.display()), error)),
    }
}

/// A directory whose files are written one after the other where waiting for a disk holds up nothing else. A job that was begun
/// is done, in its turn, also where nobody waits for it any more.
#[derive(Clone)]
pub(super) struct Disk {
    directory: Arc<Directory>,
    queue: Arc<Mutex<()>>,
}

impl Disk {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory: Arc::new(directory), queue: Arc::default() }
    }

    /// The same directory with a queue of its own: what waits in one does not hold up the other.
    pub(super) fn with_another_queue(&self) -> Self {
        Self { directory: Arc::clone(&self.directory), queue: Arc::default() }
    }

    /// Where it is, from the root.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Does a job in its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Directory) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (directory, turn) = (Arc::clone(&self.directory), Arc::clone(&self.queue).lock_owned().await);
        aside(move || {
            let done = job(&directory);
            drop(turn);
            done
        })
        .await?
    }
}

/// Does what takes long or waits for a disk, aside from the tasks that serve signals.
pub(super) async fn aside<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(job).await.map_err(|error| Failure::running("a worker has ended", error))
}
