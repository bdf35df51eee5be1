//! `serin show`: all of one release on a screen.

mod page;

use clap::Args;
use serde_json::{Value, json};

use super::cluster::{Connection, Place};
use super::goal::{Goal, Reach};
use super::screen::follow;
use super::view::View;
use super::{Failure, Output, print};

const EXAMPLES: &str = "\
Examples:
  serin show bookinfo/reviews
  serin show reviews -w --until done
  serin show reviews -o json | jq .run";

/// Show all of one release: versions, steps, verdict, conditions, history.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    #[arg(add = super::complete::releases())]
    name: String,
    #[command(flatten)]
    place: Place,
    /// Show it again as it changes, until `q`, Ctrl-C or --until: on a terminal on a screen of its own.
    #[arg(short, long)]
    watch: bool,
    /// With --watch, end when it has come: done, approval, step=N, programmed or rolledBack. Ends as `serin status` does.
    #[arg(long, value_name = "WHAT", requires = "watch")]
    until: Option<Goal>,
    /// Output format; with --watch one object a line.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Show {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        let name = connection.name(&self.name);
        if !self.watch {
            return print(&self.shown(&View { resource: connection.release(&name)? }));
        }
        let mut reach = Reach::Waiting;
        follow(&connection, self.output, |size| {
            let view = View { resource: connection.release(&name)? };
            reach = self.until.map_or(Reach::Waiting, |goal| goal.of(&view));
            let text = size.map_or_else(|| self.shown(&view), |size| page::fitted(&view, size));
            Ok((text, reach != Reach::Waiting))
        })?;
        match reach {
            Reach::Reached | Reach::Waiting => Ok(()),
            Reach::Otherwise => Err(Failure::Otherwise(String::new())),
            Reach::Person => Err(Failure::Person(String::new())),
        }
    }

    fn shown(&self, view: &View) -> String {
        match self.output {
            Output::Text => page::page(view),
            Output::Json => format!("{}\n", json(view)),
        }
    }
}

/// All of a release for tools.
fn json(view: &View) -> Value {
    let status = view.status();
    let mut all = view.json();
    let more = json!({
        "spec": view.resource.parsed.as_ref().ok().map(|release| &release.spec),
        "run": status.run,
        "control": status.control,
        "analysis": status.analysis,
        "conditions": status.conditions,
        "history": status.history,
    });
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
    all
}
