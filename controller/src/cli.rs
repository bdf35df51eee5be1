//! The command line.

mod analyze;
mod ask;
#[cfg(feature = "cluster")]
mod cleanup;
#[cfg(feature = "cluster")]
pub(crate) mod cluster;
mod compile;
mod complete;
#[cfg(feature = "cluster")]
mod console;
#[cfg(feature = "cluster")]
mod create;
#[cfg(feature = "cluster")]
mod delete;
pub(crate) mod diff;
#[cfg(feature = "cluster")]
mod document;
pub(crate) mod explain;
#[cfg(feature = "cluster")]
mod finish;
#[cfg(feature = "cluster")]
mod goal;
mod import;
mod lint;
#[cfg(feature = "cluster")]
mod list;
mod person;
mod reference;
#[cfg(feature = "cluster")]
mod screen;
#[cfg(feature = "cluster")]
mod show;
#[cfg(feature = "cluster")]
mod status;
#[cfg(feature = "cluster")]
mod table;
mod validate;
#[cfg(feature = "cluster")]
mod view;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use reference::reference;

use serin_release::{Problem, Problems};

/// Sticky, per-user canary releases for Envoy and Istio.
#[derive(Debug, Parser)]
#[command(name = "serin", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure while running, 2 invalid command line or file, 3 it came otherwise (rolled back, refused, somebody moves, \
     something is lost), 4 it did not come in time, 5 a person is needed.";

const COMPLETION_EXAMPLES: &str = "\
Load it in the start file of your shell, as in eval \"$(serin completion bash)\". It completes commands, options and files, and names of releases, versions, \
namespaces and contexts: those of the cluster if it answers within 1 s. For `kubectl serin` put deploy/krew/kubectl_complete-serin on the PATH.

Examples:
  serin completion bash
  serin completion zsh";

#[cfg(feature = "cluster")]
const CRD_EXAMPLE: &str = "\
Example:
  serin crd | kubectl apply --server-side -f -";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one Envoy in front of the services of a file, and apply the file's changes as they happen.
    Standalone(crate::standalone::Standalone),
    /// Show which version a request gets, and why.
    Explain(explain::Explain),
    /// Check a file without running anything.
    Validate(validate::Validate),
    /// Show what is valid in a file, and perhaps not meant.
    Lint(lint::Lint),
    /// Show what the analysis of a release thinks of recorded counts.
    Analyze(analyze::Analyze),
    /// Show who moves if a file is applied.
    Diff(diff::Diff),
    /// Turn the objects of other tools into CanaryReleases, and say what could not be carried over.
    Import(import::Import),
    /// Print the split document that the filter reads.
    Compile(compile::Compile),
    /// Print the split document that proxies of a cluster have.
    #[cfg(feature = "cluster")]
    Document(document::Document),
    /// Create a release of a Service.
    #[cfg(feature = "cluster")]
    Create(Box<create::Create>),
    /// Show the releases of a cluster.
    #[cfg(feature = "cluster")]
    List(list::List),
    /// Serve pages about the releases of a cluster, with your own rights.
    #[cfg(feature = "cluster")]
    Console(console::Console),
    /// Show all of one release.
    #[cfg(feature = "cluster")]
    Show(show::Show),
    /// Wait for a release, with a line for each change.
    #[cfg(feature = "cluster")]
    Status(status::Status),
    /// Make the canary that has everybody stable.
    #[cfg(feature = "cluster")]
    Finish(finish::Finish),
    /// Delete a release.
    #[cfg(feature = "cluster")]
    Delete(delete::Delete),
    /// Send everybody of a canary back to stable.
    Rollback(person::Rollback),
    /// Send everybody to one version.
    Takeover(person::Takeover),
    /// Set the weights of canaries by hand.
    Weight(person::Weight),
    /// Let a release go on that waits for a person.
    Approve(person::Approve),
    /// Keep the split as it is.
    Pause(person::Pause),
    /// Take back what was done by hand.
    Resume(person::Resume),
    /// Remove what a controller that is gone has left in the cluster.
    #[cfg(feature = "cluster")]
    Cleanup(cleanup::Clean),
    /// Print the completion script of a shell.
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Run the controller in a Kubernetes cluster.
    #[cfg(feature = "cluster")]
    Controller(Box<crate::cluster::Controller>),
    /// Print the CustomResourceDefinition of CanaryRelease.
    #[cfg(feature = "cluster")]
    #[command(after_help = CRD_EXAMPLE)]
    Crd,
}

/// The file that a command works on.
#[derive(Args, Debug)]
struct Input {
    /// YAML file with CanaryReleases, or a split document in JSON; `-` reads standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For tools.
    Json,
}

/// Why a command fails; each kind has its exit code.
#[derive(Debug)]
pub enum Failure {
    /// The command line or a file is invalid: exit code 2.
    Invalid(String),
    /// Something failed while running: exit code 1.
    Failed(String),
    /// The API server does not let this user do it.
    Forbidden(String),
    /// What was asked for was done, and what came is not what was hoped for: exit code 3. The answer has said why, else the text does.
    Otherwise(String),
    /// What was waited for has not come in time: exit code 4.
    GaveUp(String),
    /// It goes on only when a person acts: exit code 5. The answer has said how, else the text does.
    Person(String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem.to_string())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems.to_string())
    }
}

impl Failure {
    /// A failure while running: the action, and its error.
    pub fn running(what: &str, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    if let Some(code) = complete::answered() {
        return code;
    }
    let done = match parsed().command {
        Command::Standalone(standalone) => standalone.run(),
        Command::Explain(explain) => explain.run(),
        Command::Validate(validate) => validate.run(),
        Command::Lint(lint) => lint.run(),
        Command::Analyze(analyze) => analyze.run(),
        Command::Diff(diff) => diff.run(),
        Command::Import(import) => import.run(),
        Command::Compile(compile) => compile.run(),
        #[cfg(feature = "cluster")]
        Command::Cleanup(cleanup) => cleanup.run(),
        #[cfg(feature = "cluster")]
        Command::Create(create) => create.run(),
        #[cfg(feature = "cluster")]
        Command::List(list) => list.run(),
        #[cfg(feature = "cluster")]
        Command::Console(console) => console.run(),
        #[cfg(feature = "cluster")]
        Command::Show(show) => show.run(),
        #[cfg(feature = "cluster")]
        Command::Status(status) => status.run(),
        #[cfg(feature = "cluster")]
        Command::Finish(finish) => finish.run(),
        #[cfg(feature = "cluster")]
        Command::Delete(delete) => delete.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Takeover(takeover) => takeover.run(),
        Command::Weight(weight) => weight.run(),
        Command::Approve(approve) => approve.run(),
        Command::Pause(pause) => pause.run(),
        Command::Resume(resume) => resume.run(),
        Command::Completion { shell } => complete::script(shell),
        #[cfg(feature = "cluster")]
        Command::Document(document) => document.run(),
        #[cfg(feature = "cluster")]
        Command::Controller(controller) => controller.run(),
        #[cfg(feature = "cluster")]
        Command::Crd => print(&crate::cluster::crd::yaml()),
    };
    let (code, message) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Invalid(message)) => (2, message),
        Err(Failure::Failed(message) | Failure::Forbidden(message)) => (1, message),
        Err(Failure::Otherwise(message)) => (3, message),
        Err(Failure::GaveUp(message)) => (4, message),
        Err(Failure::Person(message)) => (5, message),
    };
    if !message.is_empty() {
        report_error(&message);
    }
    ExitCode::from(code)
}

/// The arguments of the process. As a plugin of kubectl it is called `kubectl-serin`, and typed `kubectl serin`.
fn parsed() -> Cli {
    let called = std::env::args_os().next().map(PathBuf::from);
    let stem = called.as_deref().and_then(|path| path.file_stem()).and_then(|stem| stem.to_str());
    let command = match stem {
        Some("kubectl-serin") => Cli::command().bin_name("kubectl serin"),
        _ => Cli::command(),
    };
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Writes an error for people: red on a terminal.
pub(crate) fn report_error(message: &str) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error:{red:#} {message}");
}

/// Writes news for people: green on a terminal.
pub(crate) fn say(message: &str) {
    let green = anstyle::AnsiColor::Green.on_default().bold();
    anstream::eprintln!("{green}serin{green:#} {message}");
}

/// Writes a warning for people: yellow on a terminal.
pub(crate) fn report_warning(message: &str) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{yellow}warning:{yellow:#} {message}");
}

/// Writes an answer. A closed pipe is not an error.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::running("cannot write the answer", error))
        }
        _ => Ok(()),
    }
}
