//! What comes before a decision: where the file's history is, and what the proxy makes of a request.

use std::fmt;

use serde::Serialize;
use serin_config::{SeenValue, Weight};

/// So many names are listed.
const LISTED: usize = 10;

/// A canary that has fewer pods than its weight needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Partial {
    /// The canary.
    pub(super) version: String,
    /// What it gets.
    pub(super) share: Weight,
}

/// A note beside the steps of a decision: as JSON an object whose `kind` says which, as text a line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Note {
    /// The bucket maps are not those that the file alone would give.
    History {
        /// `state-directory` or `status`.
        from: &'static str,
        /// The file that holds them.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Whether the release is paused, so that the split of these is held.
        paused: bool,
    },
    /// A person's word acts instead of the spec.
    ByHand {
        /// Who has done what, and why.
        said: String,
    },
    /// By the release's status these canaries have no ready endpoint, so that stable gets what would go to them.
    NotReady {
        /// The canaries.
        versions: Vec<String>,
    },
    /// By the release's status these canaries have fewer pods than their weights need, so that they get so much.
    PodsMissing {
        /// The canaries.
        versions: Vec<Partial>,
    },
    /// A service has this host among its names.
    Service {
        /// The host as the client says it.
        authority: String,
        /// The service, `HOST:PORT`.
        service: String,
    },
    /// No service has this host among its names.
    NoService {
        /// The host as the client says it.
        authority: String,
        /// What Envoy answers.
        status: u16,
        /// All names that there are, without ports.
        services: Vec<String>,
    },
    /// No release routes the service.
    NoReleaseOfService {
        /// The service, `HOST:PORT`.
        service: String,
        /// The version that its requests get.
        version: String,
    },
    /// The proxy answers by itself, and no filter sees the request.
    Refused {
        /// What it answers.
        status: u16,
        /// Why.
        why: &'static str,
    },
    /// The proxy changes a header that the request has.
    Proxy {
        /// Its name.
        header: String,
        /// What the client sends.
        was: SeenValue,
        /// What the filter sees; nothing where the header is removed.
        is: Option<SeenValue>,
    },
    /// Nobody said who the client is, and the decision asks for it.
    Client {
        /// What is taken for its address.
        address: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History { path: Some(path), paused: false, .. } => write!(f, "buckets are as kept in {path}"),
            Self::History { path: Some(path), .. } => write!(f, "the release is paused: its split is held as kept in {path}"),
            Self::History { paused: false, .. } => f.write_str("buckets are as in the release's status"),
            Self::History { .. } => f.write_str(
                "the release is paused: buckets are held as in its status, rules and stickiness are as written, since a status has none",
            ),
            Self::ByHand { said } => write!(f, "{said}, and that acts instead of the spec"),
            Self::NotReady { versions } => {
                let all = versions.join(", ");
                write!(f, "by the release's status no endpoint of {all} is ready, so stable gets what would go there")
            }
            Self::PodsMissing { versions } => {
                let all: Vec<String> = versions.iter().map(|one| format!("{} gets {}", one.version, one.share)).collect();
                write!(f, "by the release's status pods are missing, so {} for the time being", all.join(", "))
            }
            Self::Service { authority, service } => write!(f, "host `{authority}` is the service {service}"),
            Self::NoService { authority, status, services } => {
                let listed = services.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let more = services.len().saturating_sub(LISTED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let port = if authority.contains(':') { " (a port must be the service's own or that of `listen`)" } else { "" };
                write!(f, "no service has the host `{authority}`, so Envoy answers {status}; there are {listed}{more}{port}")
            }
            Self::NoReleaseOfService { service, version } => {
                write!(f, "no release routes the service {service}, so its requests go to {version}")
            }
            Self::Refused { status, why } => write!(f, "Envoy answers {status} and no filter sees this request: {why}"),
            Self::Proxy { header, was, is: None } => write!(f, "the proxy removes the header `{header}`, which was {was}"),
            Self::Proxy { header, was, is: Some(is) } => match header.as_str() {
                ":path" => write!(f, "the proxy normalises the path {was} to {is}"),
                ":authority" => write!(f, "the proxy makes the authority {was} to {is}"),
                header => write!(f, "the proxy makes the header `{header}` {is}; it was {was}"),
            },
            Self::Client { address } => write!(f, "the client is taken to be {address}; --source says another address"),
        }
    }
}
