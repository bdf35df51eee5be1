//! The documentation does what it says: commands run, outputs are those that stand there, links lead somewhere.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use serin_tests::docs::{Kind, Page, Session, broken, pages};
use serin_tests::named;
use serin_tests::need::{self, Need, Outcome, Tests};

const TESTS: Tests =
    named![every_link_leads_somewhere, every_page_is_found_from_the_index, the_pictures_are_those_that_the_script_draws];

fn main() -> ExitCode {
    let pages = pages().unwrap();
    let runs = pages.into_iter().filter(|page| page.consoles(false).next().is_some());
    let trials = need::tests(TESTS, &[]).into_iter().chain(runs.map(trial));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A test that types what a page says.
fn trial(page: Page) -> Trial {
    let envoy = page.consoles(false).any(|block| matches!(block.kind, Kind::Console { envoy: true, .. }));
    let needs: &[Need] = if envoy { &[Need::Envoy] } else { &[] };
    need::test(&format!("page::{}", page.path.display()), needs, move || run(&page))
}

fn run(page: &Page) -> Outcome {
    let mut session = Session::start(&[("serin", serin_tests::command()?)], false)?;
    for block in page.blocks.iter().filter(|block| block.runs(false)) {
        session.block(block).map_err(|error| format!("{}:{error}", page.path.display()))?;
    }
    println!("{}: {} commands", page.path.display(), session.commands());
    Ok(())
}

fn every_link_leads_somewhere() {
    assert_eq!(broken(&pages().unwrap()), Vec::<String>::new());
}

/// A page that no other leads to is never read.
fn every_page_is_found_from_the_index() {
    let pages = pages().unwrap();
    let docs: Vec<&Page> = pages.iter().filter(|page| page.path.starts_with("docs")).collect();
    let index = docs.iter().find(|page| page.path == Path::new("docs/README.md")).unwrap();
    let linked: BTreeSet<PathBuf> = index.links.iter().map(|(_, target)| Path::new("docs").join(target)).collect();
    let lost: Vec<_> = docs.iter().filter(|page| page.path != index.path && !linked.contains(&page.path)).collect();
    assert_eq!(lost.iter().map(|page| page.path.display().to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    assert!(docs.len() > 8, "{}", docs.len());
}

fn the_pictures_are_those_that_the_script_draws() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/draw.py");
    let output = Command::new("python3").arg(script).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
