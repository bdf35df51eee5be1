//! The text of FILE and of what people say beside it: read, and resolved.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serin_release::file::{self, Controls, File, Manifest};
use serin_release::{Moment, Problem, Problems, State};

use super::files::aside;
use super::look::Outline;
use super::message;
use super::resolve::{Served, resolve};

/// What is followed: FILE, and the file of what people say, where there is one.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) control: Option<PathBuf>,
}

/// The bytes of a file, or why it cannot be read.
type Content = Result<Arc<Vec<u8>>, Problems>;

/// What differs when a file is written once more, whatever its text is: device, inode, and time of its last change.
type Stamp = Option<[i64; 4]>;

/// The text of what is followed.
#[derive(Clone, Debug)]
pub(super) struct Text {
    content: Content,
    /// What people say; nothing where no such file is.
    control: Content,
    pub(super) stamps: [Stamp; 2],
}

impl Text {
    /// A text of FILE that is written nowhere yet, beside what people say now.
    pub(super) fn imagined(source: &Source, content: Vec<u8>) -> Self {
        Self { content: Ok(Arc::new(content)), ..read_now(source) }
    }

    /// Whether two texts are the same, whenever they were written.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.content == other.content && self.control == other.control
    }

    /// The bytes of FILE, where they can be read.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.content.as_ref().ok().map(|content| content.as_slice())
    }

    /// This text of FILE with what people say in another one.
    pub(super) fn with_control_of(&self, other: &Self) -> Self {
        Self { control: other.control.clone(), ..self.clone() }
    }
}

impl Source {
    /// What people say in a text.
    pub(super) fn controls(&self, text: &Text) -> Result<Controls, Problems> {
        match (&self.control, &text.control) {
            (Some(path), Ok(content)) => Controls::parse(path, content),
            (None, _) => Ok(Controls::default()),
            (_, Err(problems)) => Err(problems.clone()),
        }
    }
}

/// Reads what is followed aside: what is not a plain file may make its reader wait.
pub(super) async fn read(source: &Source) -> Text {
    let source = source.clone();
    aside(move || read_now(&source)).await.unwrap_or_else(|failure| {
        let problem = Problem::new("", message(failure), "");
        Text { content: Err(problem.into()), control: Ok(Arc::default()), stamps: [None; 2] }
    })
}

/// Reads what is followed.
pub(super) fn read_now(source: &Source) -> Text {
    let control = source.control.as_deref();
    let absent = control.is_none_or(|path| fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound));
    Text {
        content: content(&source.file),
        control: control.filter(|_| !absent).map_or_else(|| Ok(Arc::default()), content),
        stamps: [stamp(&source.file), control.and_then(stamp)],
    }
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).ok().map(|file| {
        let number = |number: u64| i64::from_ne_bytes(number.to_ne_bytes());
        [number(file.dev()), number(file.ino()), file.mtime(), file.mtime_nsec()]
    })
}

fn content(path: &Path) -> Content {
    match fs::metadata(path) {
        // Reading a pipe would take its text away, or wait for it.
        Ok(kind) if !kind.is_file() && !kind.is_dir() => {
            let problem =
                Problem::new("", "this is not a plain file", "write the text into one, so that it can be read again");
            Err(problem.in_file(file::display_name(path)).into())
        }
        _ => fs::read(path).map(Arc::new).map_err(|error| file::cannot_read(path, &error).into()),
    }
}

/// What a text holds as far as it can be read, and what is served by it.
pub(super) fn parse(
    source: &Source,
    text: &Text,
    state: &State,
    moment: &Moment,
) -> (Option<Outline>, Result<Served, Problems>) {
    let own = text.content.clone().and_then(|content| manifest(&source.file, &content));
    let controls = source.controls(text);
    let outline = own.as_ref().ok().map(|manifest| Outline {
        standalone: !manifest.standalones.is_empty(),
        releases: manifest.releases.iter().map(|release| release.id()).collect(),
        controls: controls.as_ref().ok().map(|controls| controls.ids().collect()),
    });
    let whole = match (own, controls) {
        (Ok(mut manifest), Ok(controls)) => manifest.hear(&controls).map(|()| manifest),
        (own, controls) => {
            let problems = own.err().into_iter().chain(controls.err());
            Err(Problems(problems.flat_map(|Problems(problems)| problems).collect()))
        }
    };
    (outline, whole.and_then(|manifest| resolve(&source.file, manifest, state, moment)))
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
