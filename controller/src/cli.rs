//! The command line.

mod compile;
mod explain;
mod validate;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::file::FileError;

/// Sticky, per-user canary releases for Envoy and Istio.
#[derive(Debug, Parser)]
#[command(name = "serin", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed while running, 2 the command line or a file is not valid.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the services of a file with one Envoy, and follow the file's changes.
    Standalone(crate::standalone::Standalone),
    /// Say which version a request gets, and why.
    Explain(explain::Explain),
    /// Check a file.
    Validate(validate::Validate),
    /// Print the split document of a file, as the filter reads it.
    Compile(compile::Compile),
    /// Turn CanaryReleases of a cluster into what its mesh does.
    #[cfg(feature = "cluster")]
    Controller(Box<crate::cluster::Controller>),
    /// Print the CustomResourceDefinition of CanaryRelease.
    #[cfg(feature = "cluster")]
    Crd,
}

/// The file that a command works on.
#[derive(Args, Debug)]
struct Input {
    /// YAML with CanaryReleases, or a split document in JSON; `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For tools.
    Json,
}

/// Why a command ends without success; each has its exit code.
#[derive(Debug)]
pub enum Failure {
    /// The command line or a file is not valid: 2.
    Invalid(String),
    /// Something failed while running: 1.
    Failed(String),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Failure {
    /// A failure while running: what was tried, and what came of it.
    pub fn running(what: &str, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Standalone(standalone) => standalone.run(),
        Command::Explain(explain) => explain.run(),
        Command::Validate(validate) => validate.run(),
        Command::Compile(compile) => compile.run(),
        #[cfg(feature = "cluster")]
        Command::Controller(controller) => controller.run(),
        #[cfg(feature = "cluster")]
        Command::Crd => print(&crate::api::crd::yaml()),
    };
    let (code, message) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Invalid(message)) => (2, message),
        Err(Failure::Failed(message)) => (1, message),
    };
    report_error(&message);
    ExitCode::from(code)
}

/// Writes an error for people: red on a terminal.
pub(crate) fn report_error(message: &str) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error:{red:#} {message}");
}

/// Writes an answer; a reader that went away ends the command quietly.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::running("cannot write the answer", error))
        }
        _ => Ok(()),
    }
}
