//! FILE of the command line: YAML documents, or a split document in JSON.

mod controls;
pub mod documents;
mod object;

pub use controls::Controls;
pub use object::display_name;
pub(crate) use object::objects;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serin_config::SplitDocument;

use crate::api::API_VERSION;
use crate::api::metadata::Metadata;
use crate::api::standalone::Standalone;
use crate::api::v1alpha1::CanaryRelease;
use crate::compile::{Checked, Moment, compile};
use crate::lifecycle::control::{CanaryControl, Control};
use crate::problem::{Problem, Problems};
use crate::state::State;
use crate::target::Target;
use crate::yaml::{Node, documents};
use object::{check_foreign, id_of, not_utf8, of_kind, placed, without_kind};

/// What a file holds.
#[derive(Clone, Debug)]
pub enum File {
    /// A split document.
    Document(SplitDocument),
    /// YAML documents; kinds that are not ours are left out.
    Manifest(Manifest),
}

/// Our kinds in a file, in its order.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// All `Standalone`s.
    pub standalones: Vec<Standalone>,
    /// All `CanaryRelease`s, each with the word of the `CanaryControl` of its name.
    pub releases: Vec<CanaryRelease>,
    /// The `CanaryControl`s that are read, until each is with its release.
    controls: Vec<CanaryControl>,
    /// The file's name and text, to find the lines of problems.
    source: (String, Arc<str>),
}

/// Reads a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, is not text, or does not parse.
pub fn read(path: &Path) -> Result<File, Problems> {
    parse(path, &bytes(path)?)
}

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| cannot_read(path, &error))
}

/// The problem of a file that cannot be read.
#[must_use]
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("", format!("cannot be read: {error}"), "").in_file(display_name(path))
}

/// Reads the text of a file.
///
/// # Errors
/// All documents that are not what they claim to be, with file, line, object and path.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<File, Problems> {
    let name = display_name(path);
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()).in_file(name.as_str()))?;
    if is_split_document(text) {
        let document = SplitDocument::parse(bytes).map_err(|error| of_document(&error).in_file(name.as_str()))?;
        return Ok(File::Document(document));
    }
    let documents = documents(text).map_err(|problem| problem.in_file(name.as_str()))?;
    let mut manifest = Manifest { source: (name, text.into()), ..Manifest::default() };
    let mut problems = Vec::new();
    for node in documents.iter().flat_map(objects) {
        if let Err(problem) = manifest.add(node) {
            problems.push(placed(problem, node).in_file(manifest.source.0.as_str()));
        }
    }
    manifest.join();
    if problems.is_empty() { Ok(File::Manifest(manifest)) } else { Err(Problems(problems)) }
}

fn of_document(error: &serin_config::DocumentError) -> Problem {
    match error {
        serin_config::DocumentError::Compile(error) => Problem::of_sentence(error.path(), &error.cause().to_string()),
        error => {
            let text = error.to_string();
            let (path, sentence) = text.split_once(": ").unwrap_or(("", &text));
            Problem::of_sentence(path, sentence)
        }
    }
}

/// A split document is the one JSON object that has splits; everything else is YAML, JSON objects of a cluster included.
fn is_split_document(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        splits: Option<serde::de::IgnoredAny>,
        kind: Option<serde::de::IgnoredAny>,
    }
    if !text.trim_start().starts_with('{') {
        return false;
    }
    match serde_json::from_str::<Head>(text) {
        Ok(head) => head.kind.is_none() && (head.splits.is_some() || text.contains("\"version\"")),
        // Broken JSON of which the engine can say where.
        Err(_) => text.contains("\"splits\"") && !text.contains("\"kind\""),
    }
}

impl Manifest {
    fn add(&mut self, node: &Node) -> Result<(), Problem> {
        let head = |name: &str| node.get(name).and_then(Node::scalar);
        let (Some(api_version), Some(kind)) = (head("apiVersion"), head("kind")) else {
            return Err(without_kind(node, "CanaryRelease"));
        };
        match (api_version, kind) {
            (API_VERSION, "CanaryRelease") => self.releases.push(of_kind(node)?),
            (API_VERSION, "CanaryControl") => {
                let control: CanaryControl = of_kind(node)?;
                control.spec.check()?;
                self.controls.push(control);
            }
            (API_VERSION, "Standalone") => self.standalones.push(of_kind(node)?),
            _ => check_foreign(node, api_version, kind)?,
        }
        Ok(())
    }

    /// Gives each release the word of the control of its name.
    fn join(&mut self) {
        let mut words: BTreeMap<(String, String), Control> = std::mem::take(&mut self.controls)
            .into_iter()
            .map(|control| ((control.metadata.namespace, control.metadata.name), control.spec))
            .collect();
        for release in &mut self.releases {
            let Metadata { namespace, name } = &release.metadata;
            release.word = words.remove(&(namespace.clone(), name.clone()));
        }
    }

    /// Gives each release what another file says of it.
    ///
    /// # Errors
    /// Both files speak of the same release.
    pub fn hear(&mut self, controls: &Controls) -> Result<(), Problems> {
        let mut problems = Vec::new();
        for release in &mut self.releases {
            let Some((control, place)) = controls.find(&release.id()) else { continue };
            if release.word.is_some() {
                let problem = format!("{} has a CanaryControl of this release too", self.source.0);
                let problem = Problem::new("", problem, "keep one of them").at(place);
                problems.push(problem.in_object(release.id()).in_file(controls.file()));
            }
            release.word = Some(control.clone());
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    /// The same problem with file, line and character, found by its object and path.
    #[must_use]
    pub fn place(&self, problem: Problem) -> Problem {
        let (name, text) = &self.source;
        let problem = if name.is_empty() { problem } else { problem.in_file(name.as_str()) };
        if problem.line.is_some() {
            return problem;
        }
        let documents = documents(text).unwrap_or_default();
        let found = documents.iter().flat_map(objects).find(|node| id_of(node).is_some() && id_of(node) == problem.object);
        match found {
            Some(node) => {
                let place = node.place_of(&problem.path);
                problem.at(place)
            }
            None => problem,
        }
    }

    /// The name of the file, as messages give it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.0
    }
}

impl File {
    /// The checked document of the file: releases apply to the hosts that their Services have in a mesh.
    ///
    /// # Errors
    /// What is wrong with releases or the document.
    pub fn compile(self, path: &Path) -> Result<Checked, Problems> {
        match self {
            Self::Document(mut document) => {
                let split = document.embed_automata().map_err(|error| of_document(&error.into()));
                let split = split.map_err(|problem| problem.in_file(display_name(path)))?;
                Ok(Checked { document, split, state: State::default(), happened: Vec::new(), look_at: None })
            }
            Self::Manifest(manifest) => {
                let targets: Vec<_> =
                    manifest.releases.iter().map(|release| (release.clone(), Target::in_mesh(release))).collect();
                if targets.is_empty() {
                    let problem =
                        Problem::new("", "has no CanaryRelease and is not a split document", "add a CanaryRelease");
                    return Err(problem.in_file(display_name(path)).into());
                }
                compile(&targets, &State::default(), SplitDocument::new(Vec::new()), &Moment::default())
                    .map_err(|Problems(problems)| Problems(problems.into_iter().map(|one| manifest.place(one)).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
