//! The analysis of a release, as its owner writes it, and what it asks for.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_config::Weight;

use super::evidence::tolerance::Tolerance;
use super::span::Span;
use super::steps::Step;
use super::verdict::analysis::Setup;
use super::verdict::metric::{Bounds, Kind, Metric};
use super::verdict::plan::Plan;

/// Compares each canary with stable, tick by tick: a canary that is shown to be worse is rolled back, and steps wait until it is shown to be good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnalysisSpec {
    /// Where counts come from: the name of a metric source that the administrator has set up. Defaults to the only one. `serin standalone` reads its own Envoy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The largest chance that a canary as good as stable is rolled back by the comparison, at any time of the release. Defaults to `1%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms: Option<Weight>,
    /// How much alike the requests of one user are: so many requests count as one. From 1 to 100, defaults to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub design_effect: Option<Number>,
    /// Time for which a clone of stable, of the version `VERSION-baseline`, has the people of the first step before the canary gets them: bad requests that these people cause anyway then count against nobody. With a `workload` Serin runs its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Span>,
    /// What is compared.
    pub metrics: Vec<MetricSpec>,
    /// What happens to a canary that is worse: `rollBack`, it gets nobody; `hold`, the release stays where it is. Defaults to `rollBack`.
    #[serde(default, skip_serializing_if = "OnFail::is_default")]
    pub on_fail: OnFail,
    /// Time after which a step that waits for a verdict is reported. It goes on waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided_for: Option<Span>,
    /// Time for which limits are watched after the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_after: Option<Span>,
}

/// What happens to a canary that is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFail {
    /// It gets nobody.
    #[default]
    RollBack,
    /// The release stays where it is.
    Hold,
}

impl OnFail {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_default(&self) -> bool {
        *self == Self::RollBack
    }
}

/// Something that is compared, or watched. Write one of `failures`, `slower`, `counts` and `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSpec {
    /// Name of the metric, unique in the release. Defaults to its kind, such as `failures`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests that fail: status 5xx or no answer, and for gRPC the statuses that a server is to blame for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Requests that take longer than a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower: Option<Slower>,
    /// Anything else that is counted: bad ones among all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountQueries>,
    /// A value of the canary alone, as a PromQL query in which `$version`, `$service` and `$namespace` are replaced. No statistics are claimed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The smallest good value of `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The largest good value of `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// Time for which the value of `query` has to be beyond `min` or `max` until the canary fails. Without it the first such value fails.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
    /// How much worse than stable a canary may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<Tolerate>,
    /// By how much the canary's part of bad requests may be above what is tolerated and still be good. Defaults to `0.5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Weight>,
    /// The part of bad requests that a canary must not exceed, whatever stable does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Weight>,
}

/// Requests that fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failures {}

/// Requests that take longer than a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slower {
    /// The time, in milliseconds or seconds such as `500ms` or `2s`. It is rounded up to a time at which the source has a bucket.
    pub than: Latency,
}

/// Queries of counters that only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountQueries {
    /// The bad ones, as a PromQL selector of counters in which `$version`, `$service` and `$namespace` are replaced.
    pub bad: String,
    /// All of them.
    pub all: String,
}

/// How much worse than stable a canary may be. It is harmful when it is shown to be beyond both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tolerate {
    /// How many times as bad as stable is still as good as stable. From 1 to 1000, defaults to 1.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: Option<Number>,
    /// By how much its part of bad requests has to be above that. Defaults to `0.1%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plus: Option<Weight>,
}

/// A number that is neither infinite nor none.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Number(f64);

// One that is no number is refused, so that each equals itself.
impl Eq for Number {}

impl TryFrom<f64> for Number {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if number.is_finite() {
            Ok(Self(number))
        } else {
            Err("this is not a finite number; write one such as `1.25`".into())
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        number.0
    }
}

/// A time that a request takes, from 1 ms to 10 min.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9]{1,6}(ms|s)$"))]
pub struct Latency(u32);

impl Latency {
    /// Its milliseconds.
    #[must_use]
    pub const fn milliseconds(self) -> u32 {
        self.0
    }
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, size) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').unwrap_or_default(), 1000),
        };
        let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let milliseconds = number.and_then(|digits| digits.parse::<u32>().ok()?.checked_mul(size));
        let milliseconds = milliseconds.filter(|milliseconds| (1..=600_000).contains(milliseconds));
        milliseconds
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a time from 1ms to 600s; write such as `500ms` or `2s`"))
    }
}

impl TryFrom<String> for Latency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Latency> for String {
    fn from(latency: Latency) -> Self {
        latency.to_string()
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}s", self.0 / 1000),
            _ => write!(f, "{}ms", self.0),
        }
    }
}

/// A part of 1.
fn part(percent: Weight) -> f64 {
    f64::from(percent.buckets()) / f64::from(Weight::ALL.buckets())
}

impl MetricSpec {
    /// The kinds that it says, of which one is right.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        let kinds = [
            ("failures", self.failures.is_some()),
            ("slower", self.slower.is_some()),
            ("counts", self.counts.is_some()),
            ("query", self.query.is_some()),
        ];
        kinds.into_iter().filter_map(|(kind, is_there)| is_there.then_some(kind)).collect()
    }

    /// Its name, by which counts and reports know it.
    #[must_use]
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.kinds().first().copied().unwrap_or_default().to_owned())
    }

    fn metric(&self, design_effect: f64) -> Metric {
        let noun = match (&self.name, self.slower) {
            (_, Some(slower)) => format!("requests slower than {}", slower.than),
            (Some(name), None) => name.clone(),
            (None, None) if self.failures.is_some() => "failures".to_owned(),
            (None, None) => "bad requests".to_owned(),
        };
        let kind = match &self.query {
            Some(_) => Kind::Value(Bounds {
                min: self.min.map(f64::from),
                max: self.max.map(f64::from),
                lasting: self.lasting.map_or(0, |lasting| u64::from(lasting.seconds())),
            }),
            None => {
                let usual = Tolerance::default();
                let own = self.tolerate.unwrap_or_default();
                let tolerance = Tolerance {
                    times: own.times.map_or(usual.times, f64::from),
                    plus: own.plus.map_or(usual.plus, part),
                    margin: self.margin.map_or(usual.margin, part),
                    limit: self.limit.map(part),
                    share: usual.share,
                    design_effect,
                };
                Kind::Counts { tolerance, noun }
            }
        };
        Metric { name: self.called(), kind }
    }
}

impl AnalysisSpec {
    /// The largest chance of a false alarm.
    const FALSE_ALARMS: f64 = 0.01;

    /// What is analysed of these versions along these steps.
    #[must_use]
    pub fn setup(&self, stable: &str, canaries: Vec<String>, steps: &[Step]) -> Setup {
        let design_effect = self.design_effect.map_or(Tolerance::default().design_effect, f64::from);
        let seconds = |step: &Step| u64::from(step.over_seconds()) + u64::from(step.hold_seconds());
        let planned = steps.iter().map(seconds).sum();
        let false_alarms = self.false_alarms.map_or(Self::FALSE_ALARMS, part);
        Setup {
            stable: stable.to_owned(),
            canaries,
            metrics: self.metrics.iter().map(|metric| metric.metric(design_effect)).collect(),
            plan: Plan::new(self.metrics.len(), steps.len(), planned, false_alarms),
            measured: Vec::new(),
        }
    }
}
