//! The API server, without a process for each request: what is timed begins when it is sent.

use std::path::PathBuf;

use serde_json::Value;
use serin_tests::http::Connection;
use serin_tests::severed::Plain;

use crate::Result;

/// A connection as the administrator.
pub(crate) struct Api {
    connection: Connection,
    /// The way to the server ends with it.
    _way: Plain,
}

impl Api {
    pub(crate) fn open() -> Result<Self> {
        let way = Plain::start(&PathBuf::from(std::env::var_os("KUBECONFIG").ok_or("KUBECONFIG is not set")?))?;
        Ok(Self { connection: Connection::open(way.address())?, _way: way })
    }

    /// Makes an object in a collection.
    pub(crate) fn create(&mut self, collection: &str, object: &Value) -> Result<()> {
        self.send("POST", collection, "application/json", &object.to_string())
    }

    /// Changes an object by a merge patch.
    pub(crate) fn patch(&mut self, object: &str, patch: &Value) -> Result<()> {
        self.send("PATCH", object, "application/merge-patch+json", &patch.to_string())
    }

    /// Deletes an object, or all of a collection.
    pub(crate) fn delete(&mut self, path: &str) -> Result<()> {
        self.send("DELETE", path, "application/json", "")
    }

    fn send(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Result<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.connection.send(request.as_bytes())?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&answer.body)).into()),
        }
    }
}

/// The collection of a kind of Istio's network in a namespace.
pub(crate) fn network(namespace: &str, kind: &str) -> String {
    format!("/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}")
}

/// The collection of releases in a namespace.
pub(crate) fn releases(namespace: &str) -> String {
    format!("/apis/serin.dev/v1alpha1/namespaces/{namespace}/canaryreleases")
}
