//! The state directory: Envoy's files, replaced in one step each, and what survives a restart.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::Failure;
use crate::release::State;

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

    /// Whether a file has this content.
    pub(super) fn holds(&self, name: &str, content: &[u8]) -> bool {
        fs::read(self.path.join(name)).is_ok_and(|old| old == content)
    }

    /// Replaces a file where its content differs.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        if self.holds(name, content) {
            return Ok(());
        }
        let path = self.path.join(name);
        let replace = || -> std::io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.path)?;
            file.write_all(content)?;
            file.as_file().sync_data()?;
            file.persist(&path)?;
            Ok(())
        };
        replace().map_err(|error| Failure::running(&format!("{}: cannot be written", path.display()), error))
    }

    /// The bucket maps of the last document; none when there was no document yet.
    pub(super) fn state(&self) -> Result<State, Failure> {
        let path = self.path.join("state.json");
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(Failure::running(&format!("{}: cannot be read", path.display()), error)),
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                let fix = "restore it, or remove it, which lays all buckets anew";
                Failure::Failed(format!("{}: is damaged: {error}; {fix}", path.display()))
            }),
        }
    }

    /// Keeps the bucket maps.
    pub(super) fn keep(&self, state: &State) -> Result<(), Failure> {
        let text =
            serde_json::to_vec(state).map_err(|error| Failure::running("the bucket maps cannot be written", error))?;
        self.write("state.json", &text)
    }
}
