//! `serin lint`: what is valid in a file, and perhaps not meant.

#[cfg(feature = "cluster")]
mod cluster;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::file::{self, File};
use serin_release::lint::{Finding, lint};

use super::{Failure, Input, Output, print};

const EXAMPLES: &str = "\
Ends with 2 where the file is not valid, and with 3 if --strict is given and something is found.

Examples:
  serin lint -f release.yaml --rate 20
  serin lint -f release.yaml --cluster
  kubectl get crel -A -o yaml | serin lint -f - --strict";

/// Show what is valid in a file, and perhaps not meant.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lint {
    #[command(flatten)]
    input: Input,
    /// How many requests a second the Service gets: finds steps that are too short for a verdict.
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,
    /// Ask the cluster too: what the controller would refuse, versions without pods, another salt, an autoscaler that takes stable's pods away.
    #[cfg(feature = "cluster")]
    #[arg(long)]
    cluster: bool,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    place: super::cluster::Place,
    /// End with exit code 3 if something is found.
    #[arg(long)]
    strict: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Lint {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let path = &self.input.file;
        let file = file::read(path)?;
        file.clone().compile(path)?;
        let File::Manifest(manifest) = file else {
            let shown = file::display_name(path);
            return Err(Failure::Invalid(format!("{shown}: this is a split document; pass CanaryReleases")));
        };
        let now = Timestamp::now();
        let found = manifest.releases.iter().flat_map(|release| lint(release, now, self.rate));
        let findings: Vec<Finding> = found.chain(self.around(&manifest.releases)?).collect();
        let text = match self.output {
            Output::Json => format!("{}\n", json!({ "findings": findings })),
            Output::Text if findings.is_empty() => "nothing is found\n".to_owned(),
            Output::Text => findings.iter().map(|finding| format!("{finding}\n")).collect(),
        };
        print(&text)?;
        match self.strict && !findings.is_empty() {
            true => Err(Failure::Otherwise(String::new())),
            false => Ok(()),
        }
    }

    /// What the cluster says, where it is asked.
    #[cfg(feature = "cluster")]
    fn around(&self, releases: &[CanaryRelease]) -> Result<Vec<Finding>, Failure> {
        if self.cluster { cluster::lint(&self.place, releases) } else { Ok(Vec::new()) }
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a build for a cluster asks it")]
    fn around(&self, _: &[CanaryRelease]) -> Result<Vec<Finding>, Failure> {
        Ok(Vec::new())
    }
}

/// A number of requests a second.
fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0, such as `20` or `0.5`".to_owned())
}
