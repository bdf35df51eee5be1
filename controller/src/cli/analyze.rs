//! `serin analyze`: what an analysis thinks of recorded counts, tick by tick.

use std::collections::BTreeSet;
use std::fs::File as FsFile;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::file::{self, File};
use serin_release::lifecycle::verdict::analysis::{Analysis, Report, Setup, Tick};

use super::{Failure, Input, Output, report_warning};

const EXAMPLES: &str = "\
A line of the counts is a tick: `t` is the time since the step began in seconds, `counts` are requests since the line before, by metric and \
version, and `values` those of a `query`.

Examples:
  serin analyze -f release.yaml --counts counts.jsonl
  echo '{\"t\":10,\"counts\":{\"failures\":{\"v2\":{\"bad\":9,\"all\":50},\"v1\":{\"bad\":3,\"all\":950}}}}' | serin analyze -f release.yaml";

/// Show what the analysis of a release thinks of recorded counts, tick by tick. No metric source is asked.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Analyze {
    #[command(flatten)]
    input: Input,
    /// File with one tick per line, as JSON; `-` reads standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    counts: PathBuf,
    /// Release of the file, as NAMESPACE/NAME [default: the only one with an analysis].
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Analyze {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let is_standard_input = |path: &Path| path.as_os_str() == "-";
        if is_standard_input(&self.input.file) && is_standard_input(&self.counts) {
            let both = "both -f and --counts are standard input; name a file for one of them";
            return Err(Failure::Invalid(both.to_owned()));
        }
        let release = self.release()?;
        let setup = release.spec.analysed();
        let setup = setup.ok_or_else(|| self.invalid("the release has no `spec.analysis`; add one"))?;
        if is_standard_input(&self.counts) {
            return self.replay(&setup, io::stdin().lock());
        }
        let counts = FsFile::open(&self.counts).map_err(|error| file::cannot_read(&self.counts, &error))?;
        self.replay(&setup, BufReader::new(counts))
    }

    fn invalid(&self, cause: &str) -> Failure {
        Failure::Invalid(format!("{}: {cause}", file::display_name(&self.input.file)))
    }

    /// The release that is asked for, once the whole file is valid.
    fn release(&self) -> Result<CanaryRelease, Failure> {
        let path = &self.input.file;
        let File::Manifest(manifest) = file::read(path)? else {
            return Err(self.invalid("this is a split document; analyses are in CanaryReleases"));
        };
        let releases = manifest.releases.clone();
        File::Manifest(manifest).compile(path)?;
        let is_asked_for = |release: &CanaryRelease| match &self.release {
            Some(name) => release.id() == *name,
            None => release.spec.analysis.is_some(),
        };
        let names: Vec<String> = releases.iter().map(CanaryRelease::id).collect();
        let mut found: Vec<CanaryRelease> = releases.into_iter().filter(is_asked_for).collect();
        match (found.len(), &self.release) {
            (1, _) => Ok(found.remove(0)),
            (0, Some(name)) => Err(self.invalid(&format!("there is no release `{name}`; use one of {}", names.join(", ")))),
            (0, None) => Err(self.invalid("no release has `spec.analysis`; add one")),
            _ => {
                let names: Vec<String> = found.iter().map(CanaryRelease::id).collect();
                Err(self
                    .invalid(&format!("several releases have an analysis; choose one of {} by --release", names.join(", "))))
            }
        }
    }

    fn replay(&self, setup: &Setup, counts: impl BufRead) -> Result<(), Failure> {
        let (mut analysis, mut strangers, mut out) = (Analysis::new(setup), Strangers::default(), io::stdout().lock());
        let mut last = None;
        for (number, line) in (1..).zip(counts.split(b'\n')) {
            let line = line.map_err(|error| Failure::running("cannot read the counts", error))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let at =
                |cause: String| Failure::Invalid(format!("{}: line {number}: {cause}", file::display_name(&self.counts)));
            let tick = tick(&line).map_err(at)?;
            if last.is_some_and(|last| tick.t <= last) {
                return Err(at(format!(
                    "`t` is {}, and the line before has as much or more; write lines in their order",
                    tick.t
                )));
            }
            last = Some(tick.t);
            strangers.meet(setup, &tick);
            let report = analysis.tick(&tick);
            let answer = match self.output {
                Output::Json => serde_json::to_string(&report).unwrap_or_default() + "\n",
                Output::Text => shown(&report),
            };
            match out.write_all(answer.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                other => other.map_err(|error| Failure::running("cannot write the answers", error))?,
            }
        }
        Ok(())
    }
}

/// Reads a line of counts.
fn tick(line: &[u8]) -> Result<Tick, String> {
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        let cause = text.split(" at line ").next().unwrap_or(&text);
        format!(
            "{cause}; write such as `{{\"t\":10,\"counts\":{{\"failures\":{{\"v2\":{{\"bad\":1,\"all\":50}},\"v1\":{{\"bad\":3,\"all\":950}}}}}}}}`"
        )
    })
}

/// What a tick came to, for people.
fn shown(report: &Report) -> String {
    let mut text = format!("{:>6}s  {}\n", report.t, report.verdict);
    for answer in &report.metrics {
        text.push_str(&format!("         {}: {}\n", answer.name, answer.sentence));
    }
    text
}

/// Metrics and versions that nobody asked for, each told once: they are perhaps mistyped.
#[derive(Default)]
struct Strangers(BTreeSet<String>);

impl Strangers {
    fn meet(&mut self, setup: &Setup, tick: &Tick) {
        let versions: Vec<&str> = std::iter::once(&setup.stable).chain(&setup.canaries).map(String::as_str).collect();
        let metrics: Vec<&str> = setup.metrics.iter().map(|metric| metric.name.as_str()).collect();
        let counted = tick.counts.iter().map(|(metric, own)| (metric, own.keys().collect::<Vec<_>>()));
        let valued = tick.values.iter().map(|(metric, own)| (metric, own.keys().collect::<Vec<_>>()));
        for (metric, own) in counted.chain(valued) {
            self.tell("metric", metric, &metrics);
            own.into_iter().for_each(|version| self.tell("version", version, &versions));
        }
    }

    fn tell(&mut self, what: &str, name: &str, known: &[&str]) {
        if !known.contains(&name) && self.0.insert(format!("{what} {name}")) {
            report_warning(&format!(
                "the release has no {what} `{name}`, so its counts are left out; it has {}",
                known.join(", ")
            ));
        }
    }
}
