//! `serin import`: releases out of what other tools have.

use std::path::{Path, PathBuf};

use clap::Args;
use serin_release::import::{Imported, Kind, import};
use serin_release::{Problem, file, yaml};

use super::{Failure, Output, print};

const EXAMPLES: &str = "\
It reads Strategies of KubeSphere, Canaries of Flagger, Rollouts of Argo and of OpenKruise, Ingresses with the canary annotations of \
ingress-nginx, HTTPRoutes and VirtualServices. Pass what belongs to them in the same file: templates of an analysis, VirtualServices, \
DestinationRules, Services.

The releases are YAML on standard output. The report is on standard error, a line each: KIND PATH: TEXT. What cannot be said in a \
release leads to fewer requests for the canary, never to more.

Examples:
  serin import -f canary.yaml > release.yaml
  kubectl get canary,metrictemplate -n shop -o yaml | serin import -f - --strict";

/// Turn the objects of other tools into CanaryReleases, and say what could not be carried over.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// YAML or JSON file with the objects of the other tool; `-` reads standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// End with exit code 3 if anything is lost.
    #[arg(long)]
    strict: bool,
    /// Say also what means the same as before.
    #[arg(short, long)]
    verbose: bool,
    /// Output format; `json` is one object with `releases` and `report`.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Import {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut imported = read(&self.file)?;
        imported.report.retain(|line| self.verbose || line.kind != Kind::Carried);
        let nothing = imported.releases.is_empty();
        if self.output == Output::Json {
            let json = serde_json::to_string(&imported).map_err(|error| Failure::running("cannot write", error))?;
            print(&format!("{json}\n"))?;
        } else {
            imported.report.iter().for_each(|line| anstream::eprintln!("{line}"));
            print(&releases(&imported)?)?;
        }
        let shown = file::display_name(&self.file);
        if nothing {
            return Err(Failure::Invalid(format!("{shown}: nothing in it can be imported; {}", reason(&imported))));
        }
        let lost = imported.report.iter().filter(|line| line.kind == Kind::Lost).count();
        match self.strict && lost > 0 {
            true => Err(Failure::Otherwise(format!("{shown}: {lost} of its fields are lost; see the report"))),
            false => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Imported, Problem> {
    let shown = file::display_name(path);
    let in_file = |problem: Problem| problem.in_file(shown.as_str());
    let bytes = file::bytes(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| in_file(Problem::new("", format!("is not UTF-8: {error}"), "save it as UTF-8")))?;
    yaml::documents(text).and_then(|documents| import(&documents)).map_err(in_file)
}

/// Why nothing comes of a file.
fn reason(imported: &Imported) -> &'static str {
    match imported.report.is_empty() {
        true => "it has no object of a tool that is known, see `serin import --help`",
        false => "the report says why",
    }
}

/// The releases as YAML documents.
fn releases(imported: &Imported) -> Result<String, Failure> {
    let mut text = String::new();
    for release in &imported.releases {
        let yaml = serde_saphyr::to_string(release).map_err(|error| Failure::running("cannot write", error))?;
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&yaml);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}
