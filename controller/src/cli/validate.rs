//! `serin validate`: check a file without running anything.

use clap::Args;
use serde_json::json;

use super::{Failure, Input, Output, print, report_warning};
use crate::standalone;
use serin_release::Problems;
use serin_release::file::{self, File};

const EXAMPLES: &str = "\
Examples:
  serin validate -f release.yaml
  kubectl get crel -A -o yaml | serin validate -f -";

/// Check a file without running anything.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Validate {
    #[command(flatten)]
    input: Input,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Contents of a valid file.
struct Summary {
    releases: usize,
    bytes: usize,
    /// What is allowed but perhaps not meant.
    warnings: Vec<String>,
}

impl Validate {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let file = self.input.file.display().to_string();
        match (self.check(), self.output) {
            (Ok(Summary { releases, bytes, warnings }), Output::Text) => {
                warnings.iter().for_each(|warning| report_warning(&format!("{file}: {warning}")));
                let plural = if releases == 1 { "" } else { "s" };
                print(&format!("{file}: valid, {releases} release{plural}, a split document of {bytes} bytes\n"))
            }
            (Ok(Summary { releases, bytes, warnings }), Output::Json) => print(&format!(
                "{}\n",
                json!({"file": file, "valid": true, "releases": releases, "documentBytes": bytes, "warnings": warnings})
            )),
            (Err(error), Output::Text) => Err(error.into()),
            (Err(error), Output::Json) => {
                print(&format!(
                    "{}\n",
                    json!({"file": file, "valid": false, "error": error.to_string(), "problems": error.0})
                ))?;
                Err(error.into())
            }
        }
    }

    fn check(&self) -> Result<Summary, Problems> {
        let path = &self.input.file;
        let file = file::read(path)?;
        let (checked, warnings) = match file {
            File::Manifest(manifest) if !manifest.standalones.is_empty() => standalone::check(path, manifest)?,
            file => (file.compile(path)?, Vec::new()),
        };
        Ok(Summary { releases: checked.split.len(), bytes: checked.document.to_json().len(), warnings })
    }
}
