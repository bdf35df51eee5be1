//! The corpus: files with requests and the answers that every runner must give.
//!
//! `corpus/AREA/CASE.yaml` holds `file`, the text of a FILE as the command line reads it, and named requests.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serin_config::{Decision, Destination, Request};
use serin_release::Checked;
use serin_release::file;

/// A case of the corpus.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// What it shows.
    pub about: String,
    /// Where the facts come from, when others published them.
    #[serde(default)]
    pub source: Option<String>,
    /// The text of a FILE.
    pub file: String,
    /// The requests.
    pub requests: Vec<Asked>,
    /// `AREA/CASE`.
    #[serde(skip)]
    pub name: String,
}

/// A request with its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Asked {
    /// What it shows.
    pub name: String,
    /// Where it goes; by default the only release.
    #[serde(default)]
    pub destination: Option<String>,
    /// Its headers; `:method`, `:path` and `:authority` are added where they are missing.
    #[serde(default)]
    pub headers: Vec<(String, Value)>,
    /// The client's address.
    #[serde(default)]
    pub source: Option<String>,
    /// The answer.
    pub expect: Expect,
    /// Why a proxy never shows such a request to the filter, where it does not.
    #[serde(default)]
    pub not_by_proxy: Option<String>,
}

/// A header's value.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// As it stands.
    Text(String),
    /// Bytes in base64.
    Base64 {
        /// The bytes.
        base64: String,
    },
    /// A text many times over.
    Repeat {
        /// The text; `{}` in it is the number of the repetition.
        repeat: String,
        /// How often.
        times: usize,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expect {
    /// The version; none without a release.
    #[serde(default)]
    pub version: Option<String>,
    /// The reason.
    pub reason: String,
    /// The rule.
    #[serde(default)]
    pub rule: Option<String>,
    /// Where the key came from.
    #[serde(default)]
    pub key: Option<String>,
    /// The bucket.
    #[serde(default)]
    pub bucket: Option<u32>,
    /// The value of the cookie that the response sets.
    #[serde(default)]
    pub set_cookie: Option<String>,
}

impl Value {
    /// The bytes.
    ///
    /// # Errors
    /// The base64 is none.
    pub fn bytes(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64 { base64 } => STANDARD.decode(base64).map_err(|error| error.to_string())?,
            Self::Repeat { repeat, times } => {
                (0..*times).map(|number| repeat.replace("{}", &number.to_string())).collect::<String>().into_bytes()
            }
        })
    }
}

impl Expect {
    /// A decision in the form of an expectation.
    #[must_use]
    pub fn of(decision: &Decision<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            version: owned(decision.version),
            reason: decision.reason.as_str().to_owned(),
            rule: owned(decision.rule),
            key: owned(decision.key),
            bucket: decision.bucket,
            set_cookie: decision.set_cookie.as_ref().map(|cookie| cookie.header_value()),
        }
    }

    /// The answer as access logs write it.
    #[must_use]
    pub fn summary(&self) -> String {
        let bucket = self.bucket.map(|bucket| bucket.to_string());
        let parts: Vec<&str> = [&self.rule, &self.key, &bucket].into_iter().filter_map(|part| part.as_deref()).collect();
        match parts.is_empty() {
            true => self.reason.clone(),
            false => format!("{}({})", self.reason, parts.join(",")),
        }
    }
}

impl Asked {
    /// The destination, and the headers with what a client sends by itself.
    ///
    /// # Errors
    /// A value cannot be read.
    pub fn complete(&self, checked: &Checked) -> Result<(String, crate::host::Headers), Box<dyn Error>> {
        let only = checked.split.releases().next().map(|release| release.authority()).unwrap_or_default();
        let destination = self.destination.clone().unwrap_or(only);
        let mut headers = crate::host::Headers::new();
        for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", destination.as_str())] {
            if !self.headers.iter().any(|(key, _)| key == name) {
                headers.push((name.into(), value.into()));
            }
        }
        for (name, value) in &self.headers {
            headers.push((name.clone().into_bytes(), value.bytes()?));
        }
        Ok((destination, headers))
    }

    /// The request as the engine reads it, and where it goes.
    ///
    /// # Errors
    /// A value cannot be read, or the source is not an address.
    pub fn request(&self, checked: &Checked) -> Result<(Destination<'static>, Request), Box<dyn Error>> {
        let (destination, headers) = self.complete(checked)?;
        let parsed = Destination::parse(&destination);
        let parsed = Destination { host: parsed.host.into_owned().into(), port: parsed.port };
        let mut request = Request::new();
        for (name, value) in headers {
            request = request.header(&String::from_utf8(name)?, value);
        }
        Ok((
            parsed,
            match &self.source {
                Some(source) => request.from(source.parse()?),
                None => request,
            },
        ))
    }
}

impl Case {
    /// The case's file, compiled.
    ///
    /// # Errors
    /// It does not compile.
    pub fn compile(&self) -> Result<Checked, Box<dyn Error>> {
        let path = Path::new("case.yaml");
        Ok(file::parse(path, self.file.as_bytes())?.compile(path)?)
    }
}

/// Where the corpus lies.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// All cases, sorted by name.
///
/// # Errors
/// A file cannot be read or is not a case.
pub fn load() -> Result<Vec<Case>, Box<dyn Error>> {
    let mut cases = Vec::new();
    for area in fs::read_dir(root())? {
        for file in fs::read_dir(area?.path())? {
            let path = file?.path();
            let text = fs::read_to_string(&path)?;
            let case: Case = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.strip_prefix(root())?.with_extension("").display().to_string();
            cases.push(Case { name, ..case });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    match cases.is_empty() {
        true => Err("the corpus is empty".into()),
        false => Ok(cases),
    }
}
