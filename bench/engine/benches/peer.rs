//! The peer: Unleash's own engine (yggdrasil) with a rollout that a split document can say too, beside ours.

use std::error::Error;
use std::hint::black_box;

use serde_json::json;
use serin_bench_engine::{GROUP, ROLLOUT, ROLLOUT_HOST, bare, full, in_canary, rollout, users};
use serin_config::{Destination, Request, Split};
use unleash_yggdrasil::{ClientFeatures, Context, EngineState};

/// How many users a round asks for.
pub(crate) const CALLS: usize = 1_000;

/// How many users both engines must agree on before anything is timed.
pub(crate) const CHECKED: usize = 10_000;

const TOGGLE: &str = "new-checkout";

/// What a round does for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Asks; what is asked was built before and holds no more than who asks.
    Asked,
    /// Builds the same and asks.
    BuiltAndAsked,
    /// Asks; our request has the headers of a browser before the one that counts.
    AskedInFull,
}

impl Work {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 3] = [Self::Asked, Self::BuiltAndAsked, Self::AskedInFull];

    /// The name of the measurement.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Asked => "rollout-asked",
            Self::BuiltAndAsked => "rollout-built-and-asked",
            Self::AskedInFull => "rollout-asked-in-full",
        }
    }
}

/// Both engines with the same rollout, and what they are asked.
pub(crate) struct Pair {
    split: Split,
    destination: Destination<'static>,
    engine: EngineState,
    users: Vec<String>,
    bare: Vec<Request>,
    full: Vec<Request>,
    contexts: Vec<Context>,
}

impl Pair {
    /// Builds both engines, and refuses when they do not give the same answers.
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let users = users(CALLS);
        let pair = Self {
            split: rollout()?,
            destination: Destination::parse(ROLLOUT_HOST),
            engine: engine()?,
            bare: users.iter().map(|user| bare(user)).collect(),
            full: users.iter().map(|user| full(user)).collect(),
            contexts: users.iter().map(|user| context(user)).collect(),
            users,
        };
        pair.check()?;
        Ok(pair)
    }

    fn check(&self) -> Result<(), Box<dyn Error>> {
        let mut canary = 0;
        for user in users(CHECKED) {
            let theirs = self.engine.is_enabled(TOGGLE, &context(&user), &None);
            for request in [bare(&user), full(&user)] {
                let ours = in_canary(&self.split, &self.destination, &request);
                if ours != theirs {
                    return Err(format!("`{user}`: decide says {ours}, yggdrasil says {theirs}").into());
                }
            }
            canary += usize::from(theirs);
        }
        // A rollout that is not taken up says the same for everybody.
        if canary.abs_diff(CHECKED * ROLLOUT as usize / 100) > CHECKED / 50 {
            return Err(format!("{canary} of {CHECKED} users are in the canary, of a rollout to {ROLLOUT} %").into());
        }
        Ok(())
    }

    /// Our engine's round: how many users get the canary.
    pub(crate) fn decide(&self, work: Work) -> usize {
        let ask = |request: &&Request| in_canary(&self.split, &self.destination, black_box(request));
        match work {
            Work::Asked => self.bare.iter().filter(ask).count(),
            Work::AskedInFull => self.full.iter().filter(ask).count(),
            Work::BuiltAndAsked => {
                let ask = |user: &&String| {
                    let destination = Destination::parse(black_box(ROLLOUT_HOST));
                    in_canary(&self.split, &destination, &bare(black_box(user)))
                };
                self.users.iter().filter(ask).count()
            }
        }
    }

    /// The peer's round: for how many users the toggle is on.
    pub(crate) fn yggdrasil(&self, work: Work) -> usize {
        let ask = |context: &Context| self.engine.is_enabled(black_box(TOGGLE), black_box(context), &None);
        match work {
            Work::Asked | Work::AskedInFull => self.contexts.iter().filter(|built| ask(built)).count(),
            Work::BuiltAndAsked => self.users.iter().filter(|user| ask(&context(black_box(user)))).count(),
        }
    }
}

fn engine() -> Result<EngineState, Box<dyn Error>> {
    let parameters = json!({"rollout": ROLLOUT.to_string(), "stickiness": "userId", "groupId": GROUP});
    let strategy = json!({"name": "flexibleRollout", "parameters": parameters});
    let features: ClientFeatures = serde_json::from_value(json!({
        "version": 2,
        "features": [{"name": TOGGLE, "type": "release", "enabled": true, "strategies": [strategy]}]
    }))?;
    let engine = EngineState::initial_state(Default::default());
    match engine.apply_client_features(features) {
        None => Ok(engine),
        Some(warnings) => Err(format!("yggdrasil does not take the toggle: {warnings:?}").into()),
    }
}

fn context(user: &str) -> Context {
    Context {
        user_id: Some(user.to_owned()),
        session_id: None,
        environment: None,
        app_name: None,
        current_time: None,
        remote_address: None,
        properties: None,
    }
}
