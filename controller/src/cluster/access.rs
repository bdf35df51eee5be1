//! Who may read metrics: whom the API server knows by the token, and lets `get` the URL `/metrics`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use serin_mesh::digest::digest;
use tokio::time::{sleep_until, timeout};

/// The URL that a user must be allowed to get.
pub(super) const PATH: &str = "/metrics";
/// How long an answer of the API server is used again.
const HOLDS: Duration = Duration::from_secs(30);
/// Tokens whose answers are kept.
const KEPT: usize = 128;
/// Between two questions to the API server, whatever is sent to this port.
const APART: Duration = Duration::from_millis(20);

/// Why metrics are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoToken,
    Unknown,
    Forbidden,
    NoAnswer,
}

impl Refused {
    const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "metrics need a token; send `Authorization: Bearer TOKEN` of an account that has the ClusterRole serin-metrics-reader\n",
            ),
            Self::Unknown => (StatusCode::UNAUTHORIZED, "the API server does not know this token; send one that is valid\n"),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "the account of this token may not get /metrics; bind it to the ClusterRole serin-metrics-reader\n",
            ),
            Self::NoAnswer => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the API server does not say whether this token may read metrics; try again in some seconds\n",
            ),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, sentence) = self.answer();
        let mut response = (status, sentence).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answers of the API server, by the digests of tokens.
#[derive(Default)]
struct Known(HashMap<String, (Instant, Result<(), Refused>)>);

impl Known {
    fn get(&self, token: &str, now: Instant) -> Option<Result<(), Refused>> {
        let (since, answer) = self.0.get(token)?;
        (now.duration_since(*since) < HOLDS).then_some(*answer)
    }

    fn learn(&mut self, token: String, answer: Result<(), Refused>, now: Instant) {
        self.0.retain(|_, (since, _)| now.duration_since(*since) < HOLDS);
        if self.0.len() >= KEPT {
            let oldest = self.0.iter().min_by_key(|(_, (since, _))| *since).map(|(token, _)| token.clone());
            oldest.and_then(|token| self.0.remove(&token));
        }
        self.0.insert(token, (now, answer));
    }
}

/// The one who decides.
pub(super) struct Access {
    client: Client,
    patience: Duration,
    known: Mutex<Known>,
    /// When the last question was asked; one at a time.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Access {
    /// Asks with this client, and waits so long for an answer.
    pub(super) fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience, known: Mutex::default(), asked: tokio::sync::Mutex::default() }
    }

    /// Whether a request with these headers may read metrics.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) async fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let token = bearer(headers).ok_or(Refused::NoToken)?;
        // A token is a secret: nothing here keeps one.
        let key = digest(token.as_bytes());
        if let Some(answer) = self.known(&key) {
            return answer;
        }
        let mut asked = self.asked.lock().await;
        if let Some(answer) = self.known(&key) {
            return answer;
        }
        if let Some(last) = *asked {
            sleep_until((last + APART).into()).await;
        }
        *asked = Some(Instant::now());
        let error = match timeout(self.patience, self.ask(token)).await {
            Ok(Ok(answer)) => {
                self.learn(key, answer);
                return answer;
            }
            Ok(Err(error)) => super::cause(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(error, "cannot ask the API server who reads metrics");
        Err(Refused::NoAnswer)
    }

    fn learn(&self, key: String, answer: Result<(), Refused>) {
        if let Ok(mut known) = self.known.lock() {
            known.learn(key, answer, Instant::now());
        }
    }

    fn known(&self, key: &str) -> Option<Result<(), Refused>> {
        self.known.lock().ok()?.get(key, Instant::now())
    }

    async fn ask(&self, token: &str) -> Result<Result<(), Refused>, kube::Error> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let review = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let status = review.status.unwrap_or_default();
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true)) else {
            return Ok(Err(Refused::Unknown));
        };
        let review = SubjectAccessReview { spec: may_get(user), ..SubjectAccessReview::default() };
        let review = Api::<SubjectAccessReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        Ok(if review.status.is_some_and(|status| status.allowed) { Ok(()) } else { Err(Refused::Forbidden) })
    }
}

/// The question whether a user may get the metrics.
fn may_get(user: UserInfo) -> SubjectAccessReviewSpec {
    let attributes = NonResourceAttributes { path: Some(PATH.to_owned()), verb: Some("get".to_owned()) };
    SubjectAccessReviewSpec {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        non_resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_comes_behind_bearer() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!([of("Basic abc"), of("Bearer"), of("Bearer "), of("")], [const { None }; 4]);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn few_answers_are_kept_and_for_a_short_time() {
        let (mut known, start) = (Known::default(), Instant::now());
        known.learn("first".to_owned(), Ok(()), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!((known.get("first", at(29)), known.get("first", at(30))), (Some(Ok(())), None));
        for number in 0..KEPT {
            known.learn(number.to_string(), Err(Refused::Unknown), at(1));
        }
        assert_eq!((known.0.len(), known.get("first", at(1))), (KEPT, None));
        assert_eq!(known.get("0", at(1)), Some(Err(Refused::Unknown)));
        known.learn("last".to_owned(), Ok(()), at(40));
        assert_eq!(known.0.len(), 1);
    }
}
