//! While a text is of no use: the last good one goes on, and of two files each has its own.

use std::path::PathBuf;

use serin_release::Problems;
use tokio::time::Instant;

use super::follow::{Fate, Follower, LOOK};
use super::look::{self, Outline};
use super::resolve::Served;
use super::text::Text;
use crate::cli::report_error;

impl Follower {
    /// Lets steps of the last good text go on, and a bad canary be rolled back, while the file holds another text that is of no use.
    pub(super) async fn go_on(&mut self) {
        let (text, next) = match self.of_use().await {
            Some((text, next)) => (text, Ok(next)),
            None => (self.applied.clone(), self.resolved(&self.applied).await.1),
        };
        self.bring_of_use(&text, next, "the steps of the last good state are tried again").await;
    }

    /// Of two files one may be of no use: what is new in the other one acts all the same, with the last good text of the first.
    pub(super) async fn heed(&mut self) {
        if let Some((text, next)) = self.of_use().await {
            self.bring_of_use(&text, Ok(next), "what is new in the other file is tried again").await;
        }
    }

    async fn bring_of_use(&mut self, text: &Text, next: Result<Served, Problems>, again: &str) {
        let brought = match next {
            Ok(next) => self.bring(text, next, false).await.map(|_| ()),
            Err(problems) => Err(problems.to_string()),
        };
        if let Err(error) = brought {
            report_error(&format!("{error}\n{again}"));
            self.steps_due = Some(Instant::now() + LOOK);
        }
    }

    /// What is seen of one file with what acts of the other, where only one of them is of no use.
    async fn of_use(&self) -> Option<(Text, Served)> {
        let (acting, seen) = (&self.applied, &self.seen.text);
        if self.source.control.is_none() || self.seen.fate == Fate::Applied {
            return None;
        }
        let said = Some(acting.with_control_of(seen));
        // One that is valid and cannot be brought to Envoy is tried again in its own time.
        let plan = (self.seen.fate == Fate::Refused).then(|| seen.with_control_of(acting));
        let other = |text: &Text| !text.says_the_same(acting) && !text.says_the_same(seen);
        for text in said.into_iter().chain(plan).filter(other) {
            if let (_, Ok(next)) = self.resolved(&text).await {
                return Some((text, next));
            }
        }
        None
    }

    /// Why the text of what people say may be the beginning of one that is still being written.
    pub(super) fn doubt_of_controls(&self, outline: Option<&Outline>) -> Option<(PathBuf, String)> {
        let path = self.source.control.as_ref()?;
        let acting = self.source.controls(&self.applied).ok()?.ids().collect();
        look::doubt_of_controls(&acting, outline).map(|doubt| (path.clone(), doubt))
    }
}
