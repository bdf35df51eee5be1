//! `serin status`: a line for each change of a release, until what is waited for has come.

use std::time::{Duration, Instant};

use clap::{ArgAction, Args};

use super::cluster::{Connection, Place};
use super::goal::{Goal, Reach};
use super::view::View;
use super::{Failure, Output, print};

const EXAMPLES: &str = "\
Ends with 0 when it has come, 3 when something else came instead, 4 when it took too long, 5 when a person is needed.

Examples:
  serin status bookinfo/reviews --for done --timeout 2h
  serin status reviews --watch=false";

/// Between two looks.
const APART: Duration = Duration::from_millis(500);

/// Wait for a release, with a line for each change.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    #[arg(add = super::complete::releases())]
    name: String,
    #[command(flatten)]
    place: Place,
    /// What to wait for: done, approval, step=N, programmed or rolledBack.
    #[arg(long = "for", value_name = "WHAT", default_value = "done")]
    goal: Goal,
    /// How long to wait, such as `90s` or `2h`.
    #[arg(long, value_name = "TIME", default_value = "10m")]
    timeout: serin_release::lifecycle::span::Span,
    /// Whether to wait; without it the line of now is all.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    watch: bool,
    /// Output format: one object a line.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Status {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        let name = connection.name(&self.name);
        let deadline = Instant::now() + self.timeout.duration();
        let mut last = String::new();
        loop {
            let view = View { resource: connection.release(&name)? };
            let line = self.line(&view);
            if line != last {
                print(&line)?;
                last = line;
            }
            match self.goal.of(&view) {
                Reach::Reached => return Ok(()),
                Reach::Otherwise => return Err(Failure::Otherwise(String::new())),
                Reach::Person => return Err(Failure::Person(String::new())),
                Reach::Waiting if !self.watch => return Err(Failure::GaveUp(String::new())),
                Reach::Waiting if Instant::now() >= deadline => {
                    return Err(Failure::GaveUp(format!("{name}: it has not come within {}", self.timeout)));
                }
                Reach::Waiting => connection.pause(APART),
            }
        }
    }

    fn line(&self, view: &View) -> String {
        match self.output {
            Output::Text => view.line() + "\n",
            Output::Json => format!("{}\n", view.json()),
        }
    }
}
