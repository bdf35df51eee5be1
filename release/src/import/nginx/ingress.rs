//! An Ingress, as far as it says which paths lead where.

use serde::Deserialize;
use serde_json::Value;
use serin_config::{Condition, PathMatch};

use super::super::objects::Rest;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ingress {
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    pub(super) ingress_class_name: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) host: String,
    #[serde(default)]
    pub(super) http: Http,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Http {
    #[serde(default)]
    pub(super) paths: Vec<Path>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Path {
    pub(super) path: Option<String>,
    path_type: Option<String>,
    #[serde(default)]
    pub(super) backend: Backend,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backend {
    service: Option<Service>,
    /// As in `extensions/v1beta1`.
    service_name: Option<String>,
    service_port: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Service {
    #[serde(default)]
    name: String,
    #[serde(default)]
    port: Port,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Port {
    number: Option<u16>,
}

impl Backend {
    pub(super) fn name(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.name.as_str()).or(self.service_name.as_deref())
    }

    pub(super) fn port(&self) -> Option<u16> {
        let older = || self.service_port.as_ref().and_then(Value::as_u64).and_then(|port| port.try_into().ok());
        self.service.as_ref().and_then(|service| service.port.number).or_else(older)
    }
}

impl Path {
    /// Its text; `/` where it has none.
    pub(super) fn text(&self) -> &str {
        self.path.as_deref().filter(|text| !text.is_empty()).unwrap_or("/")
    }

    /// Its condition: none where it takes every path, and an error where it is a pattern of nginx's.
    pub(super) fn condition(&self) -> Result<Option<Condition>, String> {
        let text = self.text().to_owned();
        let usual = PathMatch::default();
        let matched = match self.path_type.as_deref() {
            Some("Exact") => PathMatch { exact: Some(text), ..usual },
            _ if text == "/" => return Ok(None),
            Some("Prefix") => PathMatch { path_prefix: Some(text.trim_end_matches('/').to_owned()), ..usual },
            _ if text.contains(['(', '[', '*', '+', '|', '$', '^', '\\']) => {
                return Err(format!("`{text}` is a pattern of nginx's; write it as `path: {{regex: ...}}`"));
            }
            _ => PathMatch { prefix: Some(text), ..usual },
        };
        Ok(Some(Condition::Path(matched)))
    }

    /// What a rule for it is called.
    pub(super) fn rule(&self) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.text().chars().map(letter).collect();
        match name.trim_matches('-') {
            "" => "path".to_owned(),
            name => name.to_owned(),
        }
    }
}

impl Ingress {
    /// The paths of its first host.
    pub(super) fn paths(&self) -> &[Path] {
        self.rules.first().map(|rule| rule.http.paths.as_slice()).unwrap_or_default()
    }
}
