//! FILE of the command line: YAML documents, or a split document in JSON.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_config::{Split, SplitDocument};

use crate::api::API_VERSION;
use crate::api::standalone::Standalone;
use crate::api::v1alpha1::CanaryRelease;
use crate::release::{self, Checked, ReleaseError, State, Target};

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
    /// All `CanaryRelease`s.
    pub releases: Vec<CanaryRelease>,
}

/// What is wrong with a file: its name, the place, the cause with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    file: String,
    problem: String,
}

impl std::error::Error for FileError {}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl FileError {
    /// An error of a file.
    #[must_use]
    pub fn new(file: &Path, problem: impl fmt::Display) -> Self {
        Self { file: file.display().to_string(), problem: problem.to_string() }
    }
}

/// Reads a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, is no text, or does not parse.
pub fn read(path: &Path) -> Result<File, FileError> {
    let bytes = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
        }
        false => std::fs::read(path),
    };
    let bytes = bytes.map_err(|error| FileError::new(path, format!("cannot be read: {error}")))?;
    parse(path, &bytes)
}

/// Reads the text of a file.
///
/// # Errors
/// It is no text or does not parse; the message names the file, the path and the line.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<File, FileError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FileError::new(path, format!("is no UTF-8 text: {error}; save it as UTF-8")))?;
    if is_split_document(text) {
        return SplitDocument::parse(bytes).map(File::Document).map_err(|error| FileError::new(path, error));
    }
    let mut manifest = Manifest::default();
    for document in documents(text) {
        let head: Option<Head> = yaml(path, &document)?;
        let Some(head) = head else { continue };
        match (head.api_version.as_deref(), head.kind.as_deref()) {
            (Some(API_VERSION), Some("CanaryRelease")) => manifest.releases.push(yaml(path, &document)?),
            (Some(API_VERSION), Some("Standalone")) => manifest.standalones.push(yaml(path, &document)?),
            (Some(version), Some(kind)) if version.starts_with("serin.dev/") => {
                return Err(unknown_kind(path, version, kind));
            }
            // What `kubectl get -o yaml` prints of several objects.
            (Some("v1"), Some("List")) => {
                let list: List = yaml(path, &document)?;
                for (index, item) in list.items.iter().enumerate() {
                    match (item.get("apiVersion").and_then(Value::as_str), item.get("kind").and_then(Value::as_str)) {
                        (Some(API_VERSION), Some("CanaryRelease")) => manifest.releases.push(element(path, index, item)?),
                        (Some(version), Some(kind)) if version.starts_with("serin.dev/") => {
                            return Err(unknown_kind(path, version, kind));
                        }
                        _ => {}
                    }
                }
            }
            (Some(_), Some(_)) => {}
            _ => return Err(FileError::new(path, "a document has no `apiVersion` and `kind`; write both")),
        }
    }
    Ok(File::Manifest(manifest))
}

/// A split document is the one JSON object that has splits; everything else is YAML, JSON objects of a cluster included.
fn is_split_document(text: &str) -> bool {
    let begins = text.trim_start().starts_with('{');
    begins && !text.contains("\"kind\"")
        || serde_json::from_str::<Value>(text).is_ok_and(|value| value.get("splits").is_some())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Value>,
}

/// An element of a list.
fn element<T: DeserializeOwned>(path: &Path, index: usize, item: &Value) -> Result<T, FileError> {
    serde_path_to_error::deserialize(item)
        .map_err(|error| FileError::new(path, format!("items[{index}].{}: {}", error.path(), error.inner())))
}

fn unknown_kind(path: &Path, version: &str, kind: &str) -> FileError {
    FileError::new(
        path,
        format!("kind: `{kind}` of `{version}` is not known; use CanaryRelease or Standalone of {API_VERSION}"),
    )
}

/// The documents of a YAML text. Lines before each are kept as empty ones, so that errors name the lines of the file. A line
/// that begins with `---` ends a document wherever it stands (YAML 1.2.2, section 9.1.2).
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- ") {
            documents.push("\n".repeat(number));
        }
        if let Some(last) = documents.last_mut() {
            last.push_str(line);
        }
    }
    let blank = |line: &str| matches!(line.trim(), "" | "---") || line.trim_start().starts_with('#');
    documents.retain(|document| !document.lines().all(blank));
    documents
}

fn yaml<T: DeserializeOwned>(path: &Path, document: &str) -> Result<T, FileError> {
    let mut place = String::new();
    let result = serde_saphyr::with_deserializer_from_str(document, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            place = error.path().to_string();
            error.into_inner()
        })
    });
    result.map_err(|error| {
        // The parser knows neither the file's name nor that an error is being told already.
        let text = error.to_string().replace("<input>", &path.display().to_string());
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        match place.as_str() {
            "" | "." => FileError::new(path, text),
            place => FileError::new(path, format!("{place}: {text}")),
        }
    })
}

impl File {
    /// The checked document of the file: releases apply to the hosts that their Services have in a mesh, unless a
    /// `Standalone` of the file names them otherwise.
    ///
    /// # Errors
    /// What is wrong with a release or the document.
    pub fn compile(self, path: &Path) -> Result<Checked, FileError> {
        match self {
            Self::Document(mut document) => {
                let split: Split = document.embed_automata().map_err(|error| FileError::new(path, error))?;
                Ok(Checked { document, split, state: State::default() })
            }
            Self::Manifest(manifest) => {
                let targets = manifest.releases.into_iter().map(in_mesh).collect::<Vec<_>>();
                if targets.is_empty() {
                    return Err(FileError::new(path, "holds no CanaryRelease and no split document; add one"));
                }
                release::compile(&targets, &State::default(), SplitDocument::new(Vec::new()))
                    .map_err(|error: ReleaseError| FileError::new(path, error))
            }
        }
    }
}

/// Where a release applies in a mesh: its Service's host, and the hosts that it has at gateways.
fn in_mesh(release: CanaryRelease) -> (CanaryRelease, Target) {
    let gateways = release.spec.routing.iter().flat_map(|routing| routing.hosts.iter().cloned());
    let hosts = std::iter::once(release.host()).chain(gateways.filter(|host| !host.contains('*'))).collect();
    let ports = release.spec.ports.clone();
    (release, Target { hosts, ports })
}
