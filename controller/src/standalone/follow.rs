//! Follows FILE: looks at its text, brings what is good of it to Envoy, and tries again what could not be brought there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serin_release::{Checked, Problems};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::analysis::Analyses;
use super::console::Shown;
use super::files::aside;
use super::history::History;
use super::look::{self, DOUBT, Outline};
use super::metrics::Metrics;
use super::publish::{Applied, Publisher};
use super::resolve::Served;
use super::spans::Collector;
use super::text::{Source, Text, parse, read};
use super::watch::Watch;
use super::{access_log, changes, message};
use crate::cli::{report_error, report_warning, say};

/// How often the file is read although nothing reports a change: some file systems report nothing.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// How often what counts of the time is kept while steps go on: a longer gap does not count as a whole.
const KEEP: Duration = Duration::from_secs(240);

/// What follows a file.
pub(super) struct Follower {
    pub(super) source: Source,
    pub(super) watch: Watch,
    /// Somebody wants the file to be read, believed and applied at once.
    pub(super) hurry: Arc<Notify>,
    pub(super) publisher: Publisher,
    pub(super) metrics: Metrics,
    /// What Envoy serves.
    pub(super) served: Arc<Served>,
    pub(super) history: History,
    pub(super) seen: Seen,
    /// The text that it serves.
    pub(super) applied: Text,
    /// When steps go on, although the file stays the same.
    pub(super) steps_due: Option<Instant>,
    pub(super) analyses: Analyses,
    /// Who takes the spans of a spec that names nobody.
    pub(super) collector: Collector,
    /// The text that Envoy is being brought to.
    pub(super) under_way: Option<Text>,
    /// Envoy has been started once more, and does not serve yet.
    pub(super) restarted: bool,
    /// What a console sees.
    pub(super) shown: Shown,
}

/// The text that was looked at last, and what became of it.
pub(super) struct Seen {
    pub(super) text: Text,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Envoy serves it.
    Applied,
    /// It is not valid: only another text helps.
    Refused,
    /// It could not be brought to Envoy, and is to be tried again.
    Failed {
        failures: u32,
        /// Envoys that ended on the way.
        deaths: u32,
        due: Instant,
    },
}

/// Why the file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Something may have changed.
    Change,
    /// Somebody asks for it.
    Hurry,
}

/// What happens while a text must stay the same.
enum Quiet {
    Kept,
    Changed(Text),
    Hurry,
}

impl Follower {
    /// Follows the file for ever.
    pub(super) async fn run(&mut self) {
        if std::mem::take(&mut self.restarted) {
            match (self.publisher.ready(&self.served).await, self.seen.fate) {
                (Ok(()), fate) => {
                    self.say_serving("serving again");
                    if fate == Fate::Applied {
                        self.metrics.agrees();
                    }
                }
                (Err(error), Fate::Applied) => self.postpone(self.seen.text.clone(), 1, 0, &error),
                // It is tried again anyway, or only another text helps.
                (Err(error), _) => report_error(&error),
            }
        }
        loop {
            let why = self.wait().await;
            self.look(why).await;
        }
    }

    pub(super) fn say_serving(&self, word: &str) {
        let spec = &self.served.spec;
        let own = spec.metrics.map(|address| format!(" and {address}/metrics")).unwrap_or_default();
        let spans = spec.tracing.as_ref().and_then(|tracing| tracing.endpoint.as_ref());
        let spans = spans.map(|endpoint| format!(", spans to {endpoint}")).unwrap_or_default();
        say(&format!("{word} on {}, metrics at {}/stats/prometheus{own}{spans}", spec.listen, spec.admin));
    }

    async fn wait(&mut self) -> Why {
        let due = match self.seen.fate {
            Fate::Failed { due, .. } => due,
            _ => Instant::now() + LOOK,
        };
        let due = self.steps_due.into_iter().chain(self.analyses.due()).chain([due]).min().unwrap_or(due);
        tokio::select! {
            () = self.watch.changed() => Why::Change,
            () = self.hurry.notified() => Why::Hurry,
            () = sleep(LOOK) => Why::Change,
            () = sleep_until(due) => Why::Change,
        }
    }

    /// Looks at the file and brings its changes to Envoy. Whatever is wrong is reported, and the last good state goes on.
    async fn look(&mut self, mut why: Why) {
        self.analyse().await;
        if self.seen.fate != Fate::Applied && self.are_steps_due() {
            self.go_on().await;
        }
        loop {
            let text = read(&self.source).await;
            if !self.is_news(&text, why) {
                return;
            }
            let Some((text, next)) = self.settled(text, why).await else { return };
            match next {
                Err(problems) => {
                    report_error(&format!("{problems}\nthe last good state keeps serving"));
                    self.shown.refuse(&problems.to_string());
                    self.metrics.apply_failed();
                    self.seen = Seen { text, fate: Fate::Refused };
                    return self.heed().await;
                }
                Ok(next) => {
                    if self.apply(text, next).await == Applied::Whole {
                        return self.heed().await;
                    }
                }
            }
            // There is a newer text.
            why = Why::Change;
        }
    }

    /// Reads Envoy's counters where that is due. Another verdict lets steps go on, or takes people back.
    async fn analyse(&mut self) {
        let news = self.analyses.read(self.publisher.admin, &self.served).await;
        if !news.is_empty() {
            self.steps_due = Some(Instant::now());
        }
        news.iter().for_each(|line| say(line));
    }

    fn are_steps_due(&self) -> bool {
        self.steps_due.is_some_and(|due| Instant::now() >= due)
    }

    /// Whether there is something to do about a text.
    fn is_news(&self, text: &Text, why: Why) -> bool {
        if !self.seen.text.says_the_same(text) {
            return true;
        }
        match self.seen.fate {
            Fate::Applied => self.are_steps_due(),
            Fate::Refused => why == Why::Hurry,
            Fate::Failed { due, .. } => why == Why::Hurry || Instant::now() >= due || self.seen.text.stamps != text.stamps,
        }
    }

    /// The file once it is believed; `None` when it has become what was seen before.
    async fn settled(&mut self, mut text: Text, mut why: Why) -> Option<(Text, Result<Served, Problems>)> {
        let begun = Instant::now();
        let mut doubted = None;
        loop {
            self.count_change(&text);
            let (outline, next) = self.resolved(&text).await;
            let served = self.served.releases.iter().map(|release| release.id()).collect();
            let doubt = text.bytes().and_then(|bytes| look::doubt(&served, bytes, outline.as_ref()));
            let doubt =
                doubt.map(|doubt| (self.source.file.clone(), doubt)).or_else(|| self.doubt_of_controls(outline.as_ref()));
            // What was believed once is not doubted when it is tried again.
            let doubt = doubt.filter(|_| !self.seen.text.says_the_same(&text));
            if why == Why::Hurry {
                return Some((text, next));
            }
            let patience = look::patience(doubt.is_some(), next.is_ok());
            // A file that is written in place is empty for a moment, and then doubted for another reason.
            if let Some((file, doubt)) = doubt.filter(|doubt| doubted.as_ref() != Some(doubt)) {
                let shown = file.display();
                report_warning(&format!(
                    "{shown}: {doubt}; waiting {DOUBT:?} for the rest of it, SIGHUP applies it at once"
                ));
                doubted = Some((file, doubt));
            }
            match self.quiet(&text, patience).await {
                Quiet::Kept => return Some((text, next)),
                Quiet::Changed(_) if begun.elapsed() >= look::most_patience(patience) => return Some((text, next)),
                Quiet::Changed(other) => text = other,
                Quiet::Hurry => (text, why) = (read(&self.source).await, Why::Hurry),
            }
            if self.seen.text.says_the_same(&text) && self.seen.fate == Fate::Applied {
                self.metrics.agrees();
                self.shown.serve(&self.served);
                self.seen.text = text;
                return None;
            }
        }
    }

    fn count_change(&mut self, text: &Text) {
        if !self.seen.text.says_the_same(text) {
            self.metrics.file_changed();
        }
    }

    pub(super) async fn resolved(&self, text: &Text) -> (Option<Outline>, Result<Served, Problems>) {
        let (source, text, state, moment) =
            (self.source.clone(), text.clone(), self.history.state(), self.analyses.moment());
        aside(move || parse(&source, &text, &state, &moment)).await.unwrap_or_else(|failure| {
            let problem = serin_release::Problem::new("", message(failure), "");
            (None, Err(problem.into()))
        })
    }

    /// Waits for a time in which a text must stay the same.
    async fn quiet(&mut self, text: &Text, patience: Duration) -> Quiet {
        let end = Instant::now() + patience;
        loop {
            tokio::select! {
                () = self.watch.changed() => {}
                () = self.hurry.notified() => return Quiet::Hurry,
                () = sleep_until(end) => {}
            }
            let other = read(&self.source).await;
            if !other.says_the_same(text) {
                return Quiet::Changed(other);
            }
            if Instant::now() >= end {
                return Quiet::Kept;
            }
        }
    }

    /// Brings a text to Envoy, and remembers what became of it.
    async fn apply(&mut self, text: Text, next: Served) -> Applied {
        match self.bring(&text, next, true).await {
            Ok(Applied::Whole) => {
                self.seen = Seen { text, fate: Fate::Applied };
                self.metrics.applied();
            }
            Ok(Applied::Superseded) => {
                say("the file has changed again while serin waited for new upstreams");
                // Envoy has some of this one: even the text before it is to be brought there anew.
                self.seen = Seen { text, fate: Fate::Failed { failures: 0, deaths: 0, due: Instant::now() } };
                return Applied::Superseded;
            }
            Err(error) => self.fail(text, &error).await,
        }
        Applied::Whole
    }

    /// Brings what a text comes to to Envoy. A newer text of the file may be waited for meanwhile.
    pub(super) async fn bring(&mut self, text: &Text, mut next: Served, may_be_superseded: bool) -> Result<Applied, String> {
        self.hold_back(&mut next);
        self.collector.stand_in(&mut next.spec).await?;
        self.under_way = Some(text.clone());
        let next = Arc::new(next);
        let (history, forgotten) = self.history.followed_by(&next.checked.state, super::now());
        let applied = match access_log::check(&self.source.file, &next.spec.access_log).await {
            Ok(()) => {
                let (source, watch) = (&self.source, &mut self.watch);
                let newer = async {
                    match may_be_superseded {
                        true => newer(source, watch, text).await,
                        false => std::future::pending().await,
                    }
                };
                let both = (Arc::clone(&self.served), Arc::clone(&next));
                self.publisher.apply(both, history.to_json(), newer).await
            }
            Err(error) => Err(error),
        };
        self.under_way = None;
        if applied == Ok(Applied::Whole) {
            self.adopt(next);
            self.history = history;
            self.applied = text.clone();
            say_forgotten(&forgotten);
        }
        applied
    }

    /// Some settings belong to the process, not to what it serves.
    fn hold_back(&self, next: &mut Served) {
        let (old, new) = (&self.served.spec, &mut next.spec);
        if (old.admin, old.workers, old.metrics) != (new.admin, new.workers, new.metrics) {
            let rest = "the rest of the change is applied";
            report_warning(&format!("spec.admin, spec.metrics and spec.workers take effect when serin starts; {rest}"));
            (new.admin, new.workers, new.metrics) = (old.admin, old.workers, old.metrics);
        }
    }

    fn adopt(&mut self, next: Arc<Served>) {
        let old = std::mem::replace(&mut self.served, next);
        let new = &self.served;
        changes::services(&old.spec.services, &new.spec.services).iter().for_each(|line| say(line));
        changes::settings(&old.spec, &new.spec).iter().for_each(|line| say(line));
        changes::releases(&old, new).iter().for_each(|line| say(line));
        changes::steps(new).iter().for_each(|line| say(line));
        self.steps_due = steps_due(&new.checked);
        self.analyses.follow(new);
        self.shown.serve(new);
        new.warnings.iter().filter(|warning| !old.warnings.contains(warning)).for_each(|warning| report_warning(warning));
    }

    /// A text could not be brought to Envoy: it gets its old files back, and the text is tried again.
    async fn fail(&mut self, text: Text, error: &str) {
        let failures = match self.seen.fate {
            Fate::Failed { failures, .. } if self.seen.text.says_the_same(&text) => failures + 1,
            _ => 1,
        };
        self.postpone(text, failures, 0, error);
        if let Err(failure) = self.publisher.restore(Arc::clone(&self.served), self.history.to_json()).await {
            report_error(&message(failure));
        }
    }

    fn postpone(&mut self, text: Text, failures: u32, deaths: u32, error: &str) {
        let delay = look::delay(failures, deaths, fastrand::f64());
        let seconds = delay.as_secs_f64();
        report_error(&format!("{error}\nthe last good state keeps serving; next try in {seconds:.1}s, at once by SIGHUP"));
        self.metrics.apply_failed();
        self.shown.refuse(error);
        self.seen = Seen { text, fate: Fate::Failed { failures, deaths, due: Instant::now() + delay } };
    }

    /// An Envoy has ended. A change that was on its way need not have been the cause: it is tried once more at once, then rarely.
    pub(super) fn interrupted(&mut self) {
        let Some(text) = self.under_way.take() else { return };
        let (failures, deaths) = match self.seen.fate {
            Fate::Failed { failures, deaths, .. } if self.seen.text.says_the_same(&text) => (failures + 1, deaths + 1),
            _ => (1, 1),
        };
        let often = if deaths == 1 { "once".to_owned() } else { format!("{deaths} times") };
        self.postpone(text, failures, deaths, &format!("Envoy has ended {often} while it applied this change"));
    }
}

/// When steps ask for another document, or for what counts of the time to be kept.
pub(super) fn steps_due(checked: &Checked) -> Option<Instant> {
    let at = checked.look_at.map(|at| at.duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO));
    let runs = checked.state.0.values().filter_map(|kept| kept.run.as_ref());
    let counts = runs.filter(|run| run.state.counts()).map(|_| KEEP);
    at.into_iter().chain(counts).min().map(|wait: Duration| Instant::now() + wait)
}

/// Waits until the file has another text.
async fn newer(source: &Source, watch: &mut Watch, text: &Text) {
    loop {
        tokio::select! {
            () = watch.changed() => {}
            () = sleep(LOOK) => {}
        }
        if !read(source).await.says_the_same(text) {
            return;
        }
    }
}

/// Says which bucket maps are not kept any longer.
pub(super) fn say_forgotten(forgotten: &[String]) {
    if let Some(warning) = forgotten_words(forgotten) {
        report_warning(&warning);
    }
}

fn forgotten_words(forgotten: &[String]) -> Option<String> {
    let maps = match forgotten.len() {
        0 => return None,
        1 => "the bucket map of a release is".to_owned(),
        count => format!("{count} bucket maps of releases are"),
    };
    let names = look::listed(forgotten);
    let left = if forgotten.len() == 1 { "it" } else { "they" };
    Some(format!("{maps} forgotten: {names}; {left} left the file more than 30 days ago, or 10000 others have since"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_named() {
        let of = |count: usize| forgotten_words(&(1..=count).map(|n| format!("shop/r{n}")).collect::<Vec<_>>());
        assert_eq!(of(0), None);
        assert_eq!(
            of(1).unwrap(),
            "the bucket map of a release is forgotten: shop/r1; it left the file more than 30 days ago, or 10000 others have since"
        );
        assert_eq!(
            of(7).unwrap(),
            "7 bucket maps of releases are forgotten: shop/r1, shop/r2, shop/r3, shop/r4, shop/r5 and 2 more; they left the file more \
             than 30 days ago, or 10000 others have since"
        );
    }
}
