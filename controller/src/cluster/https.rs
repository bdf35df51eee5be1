//! A client for http and https.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::cause;

/// A client that trusts what the system trusts.
pub(super) type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Makes a client.
pub(super) fn https() -> Result<Https, String> {
    let provider = rustls::crypto::ring::default_provider();
    let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider).map_err(|error| cause(&error))?;
    Ok(Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build()))
}
