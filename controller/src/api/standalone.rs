//! `Standalone`: the services that one Envoy serves without a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::v1alpha1::Metadata;

/// One Envoy and the services behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standalone {
    /// `serin.dev/v1alpha1`.
    pub api_version: String,
    /// `Standalone`.
    pub kind: String,
    /// Not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What is wanted.
    pub spec: StandaloneSpec,
}

/// What one Envoy serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandaloneSpec {
    /// Address of all services; they are told apart by host.
    pub listen: SocketAddr,
    /// Address of Envoy's admin interface, whose `/stats/prometheus` has the metrics. Whoever reaches it can stop Envoy.
    pub admin: SocketAddr,
    /// The services, at least one.
    pub services: Vec<Service>,
    /// Where requests are logged, one JSON object a line; standard output unless told, nowhere when empty.
    #[serde(default = "default_access_log")]
    pub access_log: String,
    /// How long requests may take to end after SIGTERM.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: Seconds,
    /// Number of Envoy's workers; one for each processor unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// The request header that carries the version; `x-serin-version` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_header: Option<String>,
}

/// A service and the addresses of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Its host, by which releases name it.
    pub host: String,
    /// Its port, by which releases name it; clients may leave it out.
    pub port: u16,
    /// Other hosts by which clients may call it; `*.example.com` and `*` as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Version to addresses, `IP:PORT` or `NAME:PORT`; each version has at least one.
    pub versions: BTreeMap<String, Vec<String>>,
    /// How long a whole request may take; no limit unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Seconds>,
    /// How long a connection to an upstream may take to open.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Seconds,
    /// When a request is tried again; never unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// How upstreams are probed; never unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Whether upstreams speak HTTP/2 (gRPC needs it).
    #[serde(default)]
    pub http2: bool,
}

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// How often, beyond the first time.
    pub attempts: u32,
    /// How long each time may take; the rest of the timeout unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Seconds>,
    /// After what, in Envoy's words.
    #[serde(default = "default_retry_on")]
    pub on: String,
}

/// How upstreams are probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// The path that answers 200.
    pub path: String,
    /// Time between probes.
    #[serde(default = "default_interval")]
    pub interval: Seconds,
    /// How long a probe may take.
    #[serde(default = "default_probe_timeout")]
    pub timeout: Seconds,
    /// Failures in a row that take an upstream out.
    #[serde(default = "default_unhealthy")]
    pub unhealthy_threshold: u32,
    /// Successes in a row that bring it back.
    #[serde(default = "default_healthy")]
    pub healthy_threshold: u32,
}

/// A time with its unit, as Istio and Kubernetes write it: `500ms`, `15s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Seconds {
    /// As Envoy's JSON writes a duration: `0.5s`.
    #[must_use]
    pub fn envoy(self) -> String {
        format!("{}s", self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let error = || {
            serde::de::Error::custom(format!("`{text}` is no time; write digits and `ms`, `s`, `m` or `h`, such as `15s`"))
        };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (digits, unit) = text.split_at_checked(at).ok_or_else(error)?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(error()),
        };
        let number: u64 = digits.parse().map_err(|_| error())?;
        // A year is enough for anybody and keeps Envoy's durations in range.
        let total = number.checked_mul(milliseconds).filter(|total| (1..=365 * 24 * 3_600_000).contains(total));
        Ok(Self(Duration::from_millis(total.ok_or_else(error)?)))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})
    }
}

fn default_access_log() -> String {
    "/dev/stdout".to_owned()
}

fn default_drain_timeout() -> Seconds {
    Seconds(Duration::from_secs(10))
}

fn default_connect_timeout() -> Seconds {
    Seconds(Duration::from_secs(1))
}

fn default_retry_on() -> String {
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes".to_owned()
}

fn default_interval() -> Seconds {
    Seconds(Duration::from_secs(5))
}

fn default_probe_timeout() -> Seconds {
    Seconds(Duration::from_secs(1))
}

fn default_unhealthy() -> u32 {
    3
}

fn default_healthy() -> u32 {
    2
}
