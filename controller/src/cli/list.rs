//! `serin list`: the releases of a cluster in a table.

use clap::Args;
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::json;
use serin_mesh::Kind;
use serin_mesh::resource::Resource;

use super::cluster::{Connection, Place};
use super::screen::{Size, follow};
use super::table::{head_of, narrow, table};
use super::view::{HEAD, View};
use super::{Failure, Output, print};
use crate::cluster::convert::from_dynamic;

const EXAMPLES: &str = "\
Examples:
  serin list -A
  serin list -n bookinfo --phase AwaitingApproval";

/// Show the releases of a cluster.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    place: Place,
    /// Those of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Those in this phase alone, such as `Advancing`.
    #[arg(long, value_name = "PHASE")]
    phase: Option<String>,
    /// Show it again as it changes, until `q` or Ctrl-C: on a terminal on a screen of its own.
    #[arg(short, long)]
    watch: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl List {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.place)?;
        if !self.watch {
            return print(&self.shown(&self.views(&connection)?, None));
        }
        follow(&connection, self.output, |size| Ok((self.shown(&self.views(&connection)?, size), false)))
    }

    fn views(&self, connection: &Connection) -> Result<Vec<View>, Failure> {
        let releases = connection.all(Kind::CanaryRelease, self.all_namespaces);
        let list = connection.ask("list CanaryReleases", async { releases.list(&ListParams::default()).await })?;
        let mut views: Vec<View> =
            list.items.into_iter().map(|object| View { resource: Resource::read(&from_dynamic(object)) }).collect();
        views.retain(|view| self.phase.as_deref().is_none_or(|phase| view.phase_name().eq_ignore_ascii_case(phase)));
        views.sort_by(|a, b| a.resource.id.cmp(&b.resource.id));
        Ok(views)
    }

    fn shown(&self, views: &[View], size: Option<Size>) -> String {
        if self.output == Output::Json {
            let releases: Vec<_> = views.iter().map(View::json).collect();
            return format!("{}\n", json!({ "releases": releases }));
        }
        if views.is_empty() {
            return "no releases\n".to_owned();
        }
        let now = Timestamp::now();
        let head = HEAD.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(views.iter().map(|view| view.row(now))).collect();
        let skip = usize::from(!self.all_namespaces);
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().skip(skip).collect()).collect();
        match size {
            None => table(&rows),
            Some(size) => head_of(&table(&narrow(rows, size.columns)), size.lines),
        }
    }
}
