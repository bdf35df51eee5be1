//! Prometheus's answer to an instant query.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// The labels of a series, by name.
pub type Labels = BTreeMap<String, String>;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Series with a value that is a number, in the order of the answer.
    pub samples: Vec<(Labels, f64)>,
    /// Series whose value is not a number, or not finite: 0 of 0 requests. They have no data, and never 0.
    pub no_data: Vec<Labels>,
    /// What Prometheus warns of: then figures may be incomplete.
    pub warnings: Vec<String>,
    /// What it remarks.
    pub infos: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// It is not what Prometheus answers: another server's page, or half an answer.
    NotPrometheus(String),
    /// Prometheus refused: its kind of error and its sentence, such as `bad_data` or `timeout`.
    Refused(String, String),
    /// It is not of a kind that an instant query has.
    Kind(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrometheus(why) => {
                write!(f, "this is not an answer of Prometheus: {why}; give the address under which `/api/v1/query` answers")
            }
            Self::Refused(kind, message) => write!(f, "Prometheus refused the query: `{kind}`: {message}"),
            Self::Kind(kind) => write!(f, "Prometheus answered with a `{kind}`; an instant query gives a vector"),
        }
    }
}

impl std::error::Error for AnswerError {}

#[derive(Deserialize)]
struct Whole {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    /// A native histogram has none.
    value: Option<(f64, String)>,
}

impl Answer {
    /// Reads an answer of `/api/v1/query`, whatever its HTTP status: refusals are JSON too.
    ///
    /// # Errors
    /// It is no answer, a refusal, or a matrix.
    pub fn read(json: &[u8]) -> Result<Self, AnswerError> {
        let not = |error: serde_json::Error| AnswerError::NotPrometheus(error.to_string());
        let Whole { status, data, error_type, error, warnings, infos } = serde_json::from_slice(json).map_err(not)?;
        let data = match (status.as_str(), data) {
            ("success", Some(data)) => data,
            ("error", _) => return Err(AnswerError::Refused(error_type, error)),
            _ => return Err(AnswerError::NotPrometheus(format!("its status is `{status}`, and it has no data"))),
        };
        let mut answer = Self { warnings, infos, ..Self::default() };
        match data.result_type.as_str() {
            "vector" => {
                for series in serde_json::from_value::<Vec<Series>>(data.result).map_err(not)? {
                    answer.add(series.metric, series.value.map(|(_, value)| value).as_deref());
                }
            }
            "scalar" => {
                let (_, value) = serde_json::from_value::<(f64, String)>(data.result).map_err(not)?;
                answer.add(Labels::new(), Some(&value));
            }
            _ => return Err(AnswerError::Kind(data.result_type)),
        }
        Ok(answer)
    }

    fn add(&mut self, labels: Labels, value: Option<&str>) {
        // `NaN`, `+Inf` and `-Inf` are what Rust reads too.
        match value.and_then(|value| value.parse::<f64>().ok()).filter(|value| value.is_finite()) {
            Some(value) => self.samples.push((labels, value)),
            None => self.no_data.push(labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, AnswerError};

    fn read(json: &str) -> Result<Answer, AnswerError> {
        Answer::read(json.as_bytes())
    }

    #[test]
    fn a_vector_is_samples_and_what_has_no_data() {
        let json = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"destination_workload":"reviews-v2","le":"+Inf"},"value":[1753970600.123,"0.806"]},
            {"metric":{"destination_workload":"reviews-v3"},"value":[1753970600.123,"NaN"]},
            {"metric":{},"value":[1753970600,"+Inf"]},
            {"metric":{"a":"b"},"value":[1753970600,"-Inf"]},
            {"metric":{"a":"h"},"histogram":[1753970600,{"count":"1","sum":"2"}]},
            {"metric":{"a":"c"},"value":[1753970600,"1e-05"]}]},
            "warnings":["a store did not answer"],"infos":["PromQL info: metric might not be a counter"]}"#;
        let found = read(json).unwrap();
        let samples: Vec<(String, f64)> =
            found.samples.iter().map(|(labels, value)| (format!("{labels:?}"), *value)).collect();
        let expected = [
            (r#"{"destination_workload": "reviews-v2", "le": "+Inf"}"#.to_owned(), 0.806),
            (r#"{"a": "c"}"#.to_owned(), 0.000_01),
        ];
        assert_eq!(samples, expected);
        assert_eq!(found.no_data.len(), 4);
        assert_eq!(found.warnings, ["a store did not answer"]);
        assert_eq!(found.infos, ["PromQL info: metric might not be a counter"]);
    }

    #[test]
    fn nothing_is_an_answer_and_a_scalar_too() {
        assert_eq!(read(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#), Ok(Answer::default()));
        let scalar = read(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2.5"]}}"#).unwrap();
        assert_eq!(scalar.samples, [(super::Labels::new(), 2.5)]);
    }

    #[test]
    fn no_answer_says_why() {
        let error = |json: &str| read(json).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error"}"#),
            "Prometheus refused the query: `bad_data`: invalid parameter \"query\": 1:3: parse error"
        );
        assert_eq!(
            error(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#),
            "Prometheus answered with a `matrix`; an instant query gives a vector"
        );
        assert_eq!(
            error("<!doctype html>"),
            "this is not an answer of Prometheus: expected value at line 1 column 1; give the address under which `/api/v1/query` answers"
        );
        assert_eq!(
            error(r#"{"status":"success"}"#),
            "this is not an answer of Prometheus: its status is `success`, and it has no data; give the address under which `/api/v1/query` \
             answers"
        );
        assert!(
            error(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["x"]}]}}"#)
                .contains("invalid type")
        );
    }
}
