//! `serin lint`: what is valid in a file, and perhaps not meant.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serin_release::file::{self, File};
use serin_release::lint::{Finding, lint};

use super::{Failure, Input, Output, print};

const EXAMPLES: &str = "\
Ends with 2 where the file is not valid, and with 3 if --strict is given and something is found.

Examples:
  serin lint -f release.yaml
  kubectl get crel -A -o yaml | serin lint -f - --strict";

/// Show what is valid in a file, and perhaps not meant.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lint {
    #[command(flatten)]
    input: Input,
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
        let findings: Vec<Finding> = manifest.releases.iter().flat_map(|release| lint(release, now)).collect();
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
}
