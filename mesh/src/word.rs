//! A person's word about a release, as the cluster holds it.

use serin_release::Problem;
use serin_release::lifecycle::control::Control;

use crate::Object;

/// What a CanaryControl says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub control: Control,
    /// Its generation; 0 where there is none.
    pub generation: i64,
    /// What is wrong with one that cannot be read: then nothing of it acts.
    pub problem: Option<Problem>,
}

impl Word {
    /// Reads the CanaryControl of a release, if there is one.
    #[must_use]
    pub fn read(object: Option<&Object>) -> Self {
        let Some(object) = object.filter(|object| !object.metadata.deleting) else { return Self::default() };
        let generation = object.metadata.generation;
        let spec = object.data.get("spec").cloned().unwrap_or_else(|| serde_json::json!({}));
        match serin_release::yaml::from_value(&spec, "spec") {
            Ok(control) => Self { control, generation, problem: None },
            Err(problem) => Self { generation, problem: Some(problem), ..Self::default() },
        }
    }
}
