//! What counts of a Service, and of its endpoints.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Content;

/// What counts of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
    /// Whether it is a name of something outside of the cluster.
    pub external: bool,
    /// Whether it has no address of its own, so that its name is that of its pods.
    pub headless: bool,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// Whether Istio may take it for HTTP: by its name or `appProtocol`, or because neither says anything.
    pub http: bool,
}

impl Service {
    /// Reads a Service.
    #[must_use]
    pub fn read(service: &Content) -> Self {
        let port = |port: &Value| {
            let number = u16::try_from(port.get("port")?.as_u64()?).ok()?;
            let protocol = port.get("appProtocol").and_then(Value::as_str);
            let name = port.get("name").and_then(Value::as_str).map(|name| name.split('-').next().unwrap_or(name));
            let tcp = port.get("protocol").and_then(Value::as_str).is_none_or(|protocol| protocol == "TCP");
            let says = protocol.map(|protocol| protocol.rsplit('/').next().unwrap_or(protocol)).or(name);
            // A name that is not a protocol leaves the choice to Istio's detection, which may find HTTP.
            let other = says.is_some_and(|says| ["tcp", "tls", "https", "mongo", "mysql", "redis", "udp"].contains(&says));
            Some(Port { number, http: tcp && !other })
        };
        Self {
            ports: service.list("/spec/ports").filter_map(port).collect(),
            selector: service.string_map("/spec/selector"),
            external: service.text("/spec/type") == Some("ExternalName"),
            headless: service.text("/spec/clusterIP") == Some("None"),
        }
    }
}

/// Counts endpoints of a version, where it is known.
pub(crate) fn count(ready: &mut BTreeMap<String, u32>, version: Option<&str>, number: u32) {
    if let Some(version) = version {
        *ready.entry(version.to_owned()).or_default() += number;
    }
}
