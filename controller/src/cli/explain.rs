//! `serin explain`: show which version a request gets, and why.

mod answer;
mod batch;
pub(super) mod line;
mod note;
#[cfg(feature = "cluster")]
pub(crate) mod published;
mod readiness;
pub(crate) mod request;
pub(crate) mod subject;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Output, print};
use request::Asked;
use subject::{Subject, Taken};

const EXAMPLES: &str = "\
Examples:
  serin explain -f release.yaml --header 'cookie: user=ann'
  serin explain -f serin.yaml --requests requests.jsonl
  serin explain --release bookinfo/reviews --header 'cookie: user=ann'";

const ASSUMED: &str = "\
What the proxy does before the filter sees a request is done here too. In front of a Standalone that is Envoy as `serin standalone` runs it: \
its services, their aliases and ports find the release, the path is normalised, and headers that clients may not set are removed. For other \
files it is Istio's default: the path is normalised (`/x/../%61` is `/a`), and `host` is the authority. A request without `x-request-id` is a \
visit of which only the proxy knows the id: one is made up from the request, always the same. An `x-request-id` counts as the one that \
the proxy logged. Without --source the client of a Standalone is taken to be 127.0.0.1.";

/// Show which version a request gets, and why.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{ASSUMED}"))]
pub(super) struct Explain {
    /// YAML file with CanaryReleases, or a split document in JSON; `-` reads standard input.
    #[cfg_attr(
        feature = "cluster",
        arg(short = 'f', long = "file", value_name = "FILE", required_unless_present = "release")
    )]
    #[cfg_attr(not(feature = "cluster"), arg(short = 'f', long = "file", value_name = "FILE", required = true))]
    file: Option<PathBuf>,
    /// A release of the cluster instead of a file, as `NAME` or `NAMESPACE/NAME`: what proxies have of it.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "state_dir"], add = super::complete::releases())]
    release: Option<String>,
    /// Root namespace of the mesh, for --release.
    #[cfg(feature = "cluster")]
    #[arg(long, env = "SERIN_ROOT_NAMESPACE", default_value = "istio-system", value_name = "NAMESPACE")]
    root_namespace: String,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    place: super::cluster::Place,
    /// File with one request per line, as JSON; each gets one line of output, in order. `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["destination", "header", "path", "method", "source"])]
    requests: Option<PathBuf>,
    /// Answer each of `--requests` with the steps of its decision.
    #[arg(long, requires = "requests")]
    steps: bool,
    /// Output format [default: `text` for one request, `json` with `--requests`].
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// File with the CanaryControls of FILE, as `serin standalone` has it.
    #[arg(long, value_name = "CONTROL", requires = "file")]
    control: Option<PathBuf>,
    /// State directory of `serin standalone`, for a FILE with a Standalone [default: as `serin standalone` has it].
    #[arg(long, value_name = "DIR", env = "SERIN_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Ignore the bucket maps of the state directory and of a `status`.
    #[arg(long)]
    as_written: bool,
    /// Take requests as the filter sees them: normalise no path, remove no header, make up no request id.
    #[arg(long)]
    as_seen: bool,
    /// Destination of the request [default: the only release of the file].
    #[arg(long, value_name = "HOST:PORT", value_parser = request::destination)]
    destination: Option<String>,
    /// Header of the request. Repeat the option for more headers.
    #[arg(long, value_name = "NAME: VALUE", value_parser = request::header)]
    header: Vec<(String, String)>,
    /// Path and query of the request [default: `/`].
    #[arg(long, value_name = "PATH", value_parser = request::path)]
    path: Option<String>,
    /// Method of the request [default: GET].
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// IP address of the client.
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
}

impl Explain {
    pub(super) fn run(self) -> Result<(), Failure> {
        let taken = Taken {
            control: self.control.clone(),
            state_dir: self.state_dir.clone(),
            as_written: self.as_written,
            as_seen: self.as_seen,
        };
        let subject = self.subject(taken)?;
        let form = batch::Form { json: self.output != Some(Output::Text), steps: self.steps };
        match &self.requests {
            Some(path) if path.as_os_str() == "-" => batch::answer(&subject, io::stdin(), io::stdout().lock(), form),
            Some(path) => {
                let file = fs::File::open(path).map_err(|error| serin_release::file::cannot_read(path, &error))?;
                batch::answer(&subject, file, io::stdout().lock(), form)
            }
            None => self.single(&subject),
        }
    }

    /// What is asked about.
    fn subject(&self, taken: Taken) -> Result<Subject, Failure> {
        #[cfg(feature = "cluster")]
        if let Some(name) = &self.release {
            let connection = super::cluster::Connection::open(&self.place)?;
            let name = connection.name(name);
            return match self.as_written {
                true => published::written(&connection, &name, taken),
                false => published::published(&connection, &name, &self.root_namespace),
            };
        }
        Subject::load(self.file.as_deref().unwrap_or(Path::new("-")), taken)
    }

    fn single(self, subject: &Subject) -> Result<(), Failure> {
        let method = self.method.into_iter().map(|method| (":method".to_owned(), method.into_bytes()));
        let path = self.path.into_iter().map(|path| (":path".to_owned(), path.into_bytes()));
        let headers = self.header.into_iter().map(|(name, value)| (name, value.into_bytes()));
        let asked = Asked {
            destination: self.destination,
            headers: method.chain(path).chain(headers).collect(),
            source: self.source,
            number: 0,
        };
        let answer = subject.explain(asked).map_err(|all| Failure::Invalid(all.on_the_command_line()))?;
        match self.output {
            Some(Output::Json) => print(&format!("{}\n", answer.json("null", true))),
            _ => print(&answer.to_string()),
        }
    }
}
