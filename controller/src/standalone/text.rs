//! The text of FILE: read, and resolved.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use serin_release::file::{self, File, Manifest};
use serin_release::{Moment, Problem, Problems, State};

use super::files::aside;
use super::look::Outline;
use super::message;
use super::resolve::{Served, resolve};

/// A file's text, or why it cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Text {
    content: Result<Arc<Vec<u8>>, Problems>,
    /// What differs when the file is written once more, whatever its text is: device, inode, and time of its last change.
    pub(super) stamp: Option<[i64; 4]>,
}

impl Text {
    /// Whether two texts are the same, whenever they were written.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.content == other.content
    }

    /// The bytes, where they can be read.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.content.as_ref().ok().map(|content| content.as_slice())
    }
}

/// Reads a file aside: one that is not a plain file may make its reader wait.
pub(super) async fn read(path: &Path) -> Text {
    let path = path.to_owned();
    aside(move || read_now(&path)).await.unwrap_or_else(|failure| {
        let problem = Problem::new("", message(failure), "");
        Text { content: Err(problem.into()), stamp: None }
    })
}

/// Reads a file.
pub(super) fn read_now(path: &Path) -> Text {
    let stamp = fs::metadata(path).ok().map(|file| {
        let number = |number: u64| i64::from_ne_bytes(number.to_ne_bytes());
        [number(file.dev()), number(file.ino()), file.mtime(), file.mtime_nsec()]
    });
    let content = match fs::metadata(path) {
        // Reading a pipe would take its text away, or wait for it.
        Ok(kind) if !kind.is_file() && !kind.is_dir() => {
            let problem =
                Problem::new("", "this is not a plain file", "write the text into one, so that it can be read again");
            Err(problem.in_file(file::display_name(path)).into())
        }
        _ => fs::read(path).map(Arc::new).map_err(|error| file::cannot_read(path, &error).into()),
    };
    Text { content, stamp }
}

/// What a text holds as far as it can be read, and what is served by it.
pub(super) fn parse(
    path: &Path,
    text: &Text,
    state: &State,
    moment: &Moment,
) -> (Option<Outline>, Result<Served, Problems>) {
    let manifest = match text.content.as_ref() {
        Ok(content) => manifest(path, content),
        Err(problems) => Err(problems.clone()),
    };
    match manifest {
        Ok(manifest) => {
            let releases = manifest.releases.iter().map(|release| release.id()).collect();
            let outline = Outline { standalone: !manifest.standalones.is_empty(), releases };
            (Some(outline), resolve(path, manifest, state, moment))
        }
        Err(problems) => (None, Err(problems)),
    }
}

/// The manifest in a file's text.
pub(super) fn manifest(path: &Path, text: &[u8]) -> Result<Manifest, Problems> {
    match file::parse(path, text)? {
        File::Manifest(manifest) => Ok(manifest),
        File::Document(_) => {
            let problem = Problem::new("", "this is a split document", "write YAML with a Standalone and CanaryReleases");
            Err(problem.in_file(file::display_name(path)).into())
        }
    }
}
