//! `Standalone`: the services that one Envoy serves without a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serin_config::{BUCKETS, Weight, WeightError};

use super::v1alpha1::Metadata;

/// One Envoy and the services behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standalone {
    /// `serin.dev/v1alpha1`.
    pub api_version: String,
    /// `Standalone`.
    pub kind: String,
    /// Ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Desired state.
    pub spec: StandaloneSpec,
}

/// What one Envoy serves, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandaloneSpec {
    /// Address on which Envoy serves all services, `IP:PORT`. The host of a request selects the service. `[::]:PORT` takes IPv4 too.
    /// Requests come in HTTP/1.1 or HTTP/2; WebSockets in HTTP/1.1 only.
    pub listen: Address,
    /// Address of Envoy's admin interface; `/stats/prometheus` has Envoy's metrics. Anyone who reaches it can stop Envoy, so keep it on loopback.
    #[serde(default = "default_admin")]
    pub admin: Address,
    /// Address of Serin's own metrics, at `/metrics`. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Address>,
    /// The services behind Envoy, at least one.
    pub services: Vec<Service>,
    /// File for the access log, one JSON object per line. Empty turns the log off.
    #[serde(default = "default_access_log")]
    pub access_log: String,
    /// Which requests are traced, and who takes their spans. Defaults to no tracing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Time after which a client's connection without a request is closed. `0s` means no limit.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: TimeLimit,
    /// Time after which a request, response or WebSocket without a byte in either direction ends. `0s` means no limit.
    #[serde(default = "default_idle_timeout")]
    pub stream_idle_timeout: TimeLimit,
    /// Time limit for open requests to finish after SIGTERM.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: Seconds,
    /// Number of Envoy's worker threads. Defaults to one for each processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Request header that carries the version. Defaults to `x-serin-version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_header: Option<String>,
}

/// The port that Envoy's own examples have.
fn default_admin() -> Address {
    Address(SocketAddr::from(([127, 0, 0, 1], 9901)))
}

/// Which requests are traced, and who takes their spans: each trace has a span of the request and one of each attempt, with the version as
/// `serin.version` and the reason as `serin.reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Share of the requests that are traced, in steps of 0.01 %. A request that comes with a trace of its caller's goes on with it, as its
    /// headers say.
    #[serde(default = "default_sampling", deserialize_with = "sampling")]
    pub sampling: Weight,
    /// URL of a collector that takes spans as JSON of Zipkin, version 2, over HTTP without TLS, such as `http://127.0.0.1:9411/api/v2/spans`.
    /// Defaults to Serin itself, which keeps the last 1 000 traces in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// A share that costs little, and shows something after a hundred requests.
fn default_sampling() -> Weight {
    Weight::from_buckets(BUCKETS / 100).unwrap_or(Weight::NONE)
}

/// A share; one of more than everything is refused in other words than a canary's.
fn sampling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weight, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| match error {
        WeightError::TooLarge(text) => serde::de::Error::custom(format!("`{text}` is more than 100%; lower it")),
        other @ WeightError::Syntax(_) => serde::de::Error::custom(other),
    })
}

/// A service and the addresses of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Host of the service. Releases name the service by it.
    pub host: String,
    /// Port of the service, from 1 to 65535. Releases name the service by it; clients may leave it out of the host.
    pub port: u16,
    /// Other hosts by which clients may call the service, such as `reviews`, `*.example.com` or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Addresses of each version, as `IP:PORT` or `NAME:PORT`, at least one.
    pub versions: BTreeMap<String, Vec<String>>,
    /// Time limit of a whole request. Defaults to no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Seconds>,
    /// Time limit for opening a connection to an upstream.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Seconds,
    /// When a request is retried. Defaults to never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// How upstreams are probed. Defaults to no probes. While no upstream of a canary answers, stable gets its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Whether upstreams speak HTTP/2 (gRPC needs it).
    #[serde(default)]
    pub http2: bool,
}

/// When a request is retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// Number of retries, beyond the first attempt.
    pub attempts: u32,
    /// Time limit of each attempt. Defaults to the rest of `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Seconds>,
    /// Conditions of a retry: words of Envoy's `x-envoy-retry-on`, and status codes.
    #[serde(default = "default_retry_on")]
    pub on: String,
}

/// How upstreams are probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// Path of the probe. An upstream is healthy when it answers 200.
    pub path: String,
    /// Time between probes.
    #[serde(default = "default_interval")]
    pub interval: Seconds,
    /// Time limit of a probe.
    #[serde(default = "default_probe_timeout")]
    pub timeout: Seconds,
    /// Failed probes in a row after which an upstream counts as unhealthy.
    #[serde(default = "default_unhealthy")]
    pub unhealthy_threshold: u32,
    /// Successful probes in a row after which an upstream counts as healthy again.
    #[serde(default = "default_healthy")]
    pub healthy_threshold: u32,
}

/// An address to listen on, `IP:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has another form.
    #[error("`{text}` is not an address; write IP:PORT, such as `{example}`")]
    Form {
        /// The text.
        text: String,
        /// An address that is close to it.
        example: SocketAddr,
    },
    /// It is a path.
    #[error("`{0}` names a Unix socket, and only TCP is served; write IP:PORT, such as `127.0.0.1:8080`")]
    UnixSocket(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        if text.contains('/') {
            return Err(AddressError::UnixSocket(text.to_owned()));
        }
        Err(AddressError::Form { text: text.to_owned(), example: example(text) })
    }
}

/// The address that somebody who wrote this text may have meant.
fn example(text: &str) -> SocketAddr {
    let local = |text: &str| if text == "localhost" { "127.0.0.1".parse() } else { text.parse() };
    if let Ok(ip) = local(text) {
        return SocketAddr::new(ip, 8080);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse().ok().filter(|port| *port != 0).unwrap_or(8080);
    SocketAddr::new(local(host).unwrap_or([0, 0, 0, 0].into()), port)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

/// A time with its unit, as Istio and Kubernetes write it: `500ms`, `15s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

/// A limit of time; zero is written for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit(pub Option<Duration>);

/// A year is enough for anybody and keeps Envoy's durations in range.
const MAX_MILLISECONDS: u64 = 365 * 24 * 3_600_000;

/// The milliseconds of a text such as `15s`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let error = || format!("`{text}` is not a time; write digits and `ms`, `s`, `m` or `h`, such as `15s`");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (digits, unit) = text.split_at_checked(at).ok_or_else(error)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(error()),
    };
    let number: u64 = digits.parse().map_err(|_| error())?;
    number.checked_mul(factor).filter(|total| *total <= MAX_MILLISECONDS).ok_or_else(error)
}

/// As Envoy's JSON writes a duration: `0.5s`.
fn envoy(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

impl Seconds {
    /// As Envoy's JSON writes a duration: `0.5s`.
    #[must_use]
    pub fn envoy(self) -> String {
        envoy(self.0)
    }
}

impl TimeLimit {
    /// As Envoy's JSON writes a duration; Envoy reads zero as no limit too.
    #[must_use]
    pub fn envoy(self) -> String {
        envoy(self.0.unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match milliseconds(&text).map_err(serde::de::Error::custom)? {
            0 => Err(serde::de::Error::custom(format!("`{text}` is too short; write at least `1ms`, or leave it out"))),
            total => Ok(Self(Duration::from_millis(total))),
        }
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let total = milliseconds(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)?;
        Ok(Self((total != 0).then(|| Duration::from_millis(total))))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

impl Serialize for TimeLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Seconds(self.0.unwrap_or_default()).serialize(serializer)
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

impl JsonSchema for TimeLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Seconds::json_schema(generator)
    }
}

fn default_access_log() -> String {
    "/dev/stdout".to_owned()
}

fn default_idle_timeout() -> TimeLimit {
    TimeLimit(Some(Duration::from_secs(300)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        for text in ["127.0.0.1:8080", "[::]:8080", "[fe80::1]:1"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for (text, example) in [
            (":8080", "0.0.0.0:8080"),
            ("8080", "0.0.0.0:8080"),
            ("*:80", "0.0.0.0:80"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("web.local:9000", "0.0.0.0:9000"),
            ("10.0.0.1", "10.0.0.1:8080"),
            ("10.0.0.1:99999", "10.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("", "0.0.0.0:8080"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not an address; write IP:PORT, such as `{example}`"));
        }
        for text in ["/run/serin.sock", "unix:/run/serin.sock"] {
            let expected =
                format!("`{text}` names a Unix socket, and only TCP is served; write IP:PORT, such as `127.0.0.1:8080`");
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_time_has_a_unit_and_a_limit_may_be_none() {
        let seconds = |text: &str| serde_json::from_value::<Seconds>(text.into()).map_err(|error| error.to_string());
        let limit = |text: &str| serde_json::from_value::<TimeLimit>(text.into()).map_err(|error| error.to_string());
        assert_eq!(seconds("1500ms").unwrap().envoy(), "1.5s");
        assert_eq!(seconds("2m").unwrap().envoy(), "120s");
        assert_eq!((limit("0s").unwrap(), limit("0s").unwrap().envoy()), (TimeLimit(None), "0s".to_owned()));
        assert_eq!(limit("1h").unwrap().envoy(), "3600s");
        for text in ["15", "s", "1.5s", "-1s", "9000h", "1 s", ""] {
            let expected = format!("`{text}` is not a time; write digits and `ms`, `s`, `m` or `h`, such as `15s`");
            assert_eq!((seconds(text).unwrap_err(), limit(text).unwrap_err()), (expected.clone(), expected));
        }
        assert_eq!(seconds("0s").unwrap_err(), "`0s` is too short; write at least `1ms`, or leave it out");
    }
}
