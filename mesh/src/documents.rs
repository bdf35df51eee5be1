//! Step 6, publish: one document for each scope, through the gate. No client required.
//!
//! A scope is what one carrier reaches: all sidecars and gateways of the mesh, or one waypoint.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_config::{Split, SplitDocument};

use crate::desired::set;
use crate::entry::{Entries, Scope};
use crate::fit::{DOCUMENT_LIMIT, Fit, Limits, fit};

/// A document may have so many bytes as it is carried: the API server's store takes 1.5 MiB (1 572 864) for an object, and little else is in it.
pub const CARRIED_LIMIT: usize = 1_500_000;

/// So often a smaller one is tried; then nothing that is published grows.
const TRIES: u32 = 4;

/// How proxies get the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The url.
    pub url: String,
    /// The digest, where it is known.
    pub sha256: Option<String>,
}

/// The modules of the filter: for any document, and for those that issue no cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The one that also enters on responses.
    pub any: Module,
    /// The one that does not, if proxies can get it: each stream costs less there.
    pub requests: Option<Module>,
}

impl Filter {
    /// The module of a scope, by whether its document issues cookies and by the url that its carrier has now.
    ///
    /// A proxy reads the whole document anew for another module, so a carrier that has the one for any document keeps it: a
    /// version of Serin changes the module once.
    #[must_use]
    pub fn module(&self, issues_cookies: bool, url: Option<&str>) -> &Module {
        match &self.requests {
            Some(requests) if !issues_cookies && url != Some(&self.any.url) => requests,
            _ => &self.any,
        }
    }
}

/// The documents of all scopes.
#[derive(Debug, Default)]
pub struct Documents {
    /// By scope.
    pub scopes: BTreeMap<Scope, Document>,
    /// What they hold of each release, and what they had no room for.
    pub fit: Fit,
}

/// A document that went through the gate as it is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// As it is carried: [`SplitDocument::to_text`].
    pub text: String,
    /// The size of its JSON.
    pub bytes: usize,
    /// The checksum that proxies tell of it.
    pub checksum: Option<u32>,
    /// Whether a release in it issues cookies.
    pub issues_cookies: bool,
}

/// Makes the documents of what is wanted, as far as there is room beside what is published. The quota is in bytes of JSON for each
/// namespace.
///
/// # Errors
/// What the gate says; each entry went through it alone before, so that this is a fault of Serin's.
pub fn documents(
    wanted: &Entries,
    published: &Entries,
    settings: &SplitDocument,
    quota: usize,
) -> Result<Documents, String> {
    let mut limit = DOCUMENT_LIMIT;
    for tries in 1.. {
        let fit = fit(wanted, published, Limits { document: limit, namespace: quota });
        let scopes = scopes(&fit.entries, settings)?;
        let largest = scopes.values().max_by_key(|document| document.text.len());
        let Some(large) = largest.filter(|document| document.text.len() > CARRIED_LIMIT && limit > 0) else {
            return Ok(Documents { scopes, fit });
        };
        // How small a text is packed shows when it is: automata and values that look like noise hardly shrink.
        limit = if tries < TRIES { large.bytes.min(limit) / 20 * 19 * CARRIED_LIMIT / large.text.len() } else { 0 };
    }
    Err("no document has room".to_owned())
}

fn scopes(entries: &Entries, settings: &SplitDocument) -> Result<BTreeMap<Scope, Document>, String> {
    let mut scopes = BTreeMap::from([(Scope::Mesh, settings.clone())]);
    // By name, whatever order they came in: the same releases give the same text.
    for entry in entries.values() {
        for scope in &entry.scopes {
            let document = scopes.entry(scope.clone()).or_insert_with(|| settings.clone());
            document.splits.push(entry.served.clone());
            document.automata.extend(entry.automata.iter().map(|(pattern, automaton)| (pattern.clone(), automaton.clone())));
        }
    }
    scopes.into_iter().map(|(scope, document)| Ok((scope, Document::new(&document)?))).collect()
}

impl Document {
    /// Passes a document through the gate.
    ///
    /// # Errors
    /// It does not compile.
    pub fn new(document: &SplitDocument) -> Result<Self, String> {
        let text = document.to_text();
        let configuration = enveloped(&text, None).to_string();
        let split = Split::parse(configuration.as_bytes()).map_err(|error| error.to_string())?;
        let checksum = serin_config::checksum(configuration.as_bytes());
        Ok(Self { bytes: document.to_json().len(), checksum, issues_cookies: split.issues_cookies(), text })
    }
}

/// The configuration of the filter that carries a document as one text. The filter reads nothing but the text; what else differs makes
/// proxies take the configuration up again.
#[must_use]
pub fn enveloped(text: &str, fetch: Option<&str>) -> Value {
    let mut config = json!({ "document": text });
    if let Some(fetch) = fetch {
        set(&mut config, &["fetch"], fetch.into());
    }
    config
}
