//! The pages of the documentation that need a mesh, typed as they stand.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serin_tests::docs::{Page, Session, pages};
use serin_tests::mesh::{CONTROLLER, Controller, kubectl};
use serin_tests::need::{self, Need};

use crate::Outcome;

/// A test for each page with commands for the mesh.
pub(crate) fn trials(needs: &'static [Need]) -> Vec<Trial> {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => {
            let message = error.to_string();
            return vec![need::test("docs::pages", &[], move || Err(message.into()))];
        }
    };
    let in_mesh = pages.into_iter().filter(|page| page.consoles(true).next().is_some());
    in_mesh
        .map(|page| need::test(&format!("docs::{}", page.path.display()), needs, move || crate::tidied(|| run(&page))))
        .collect()
}

/// Bookinfo, the controller, and somebody who reads the page.
fn run(page: &Page) -> Outcome {
    let bookinfo = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/bookinfo.yaml");
    // A page may have scaled one of them.
    kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &fs::read_to_string(bookinfo)?)?;
    for deployment in ["productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2"] {
        kubectl(&["rollout", "status", "-n", "bookinfo", &format!("deployment/{deployment}"), "--timeout=60s"], "")?;
    }
    let controller = Controller::start("docs", CONTROLLER, &[])?;
    let kubectl_program = std::env::var_os("KUBECTL").map(PathBuf::from).ok_or("KUBECTL is not set")?;
    let serin = serin_tests::command()?;
    let programs = [("serin", serin.clone()), ("kubectl-serin", serin), ("kubectl", kubectl_program)];
    let mut session = Session::start(&programs, true)?;
    let blocks = page.blocks.iter().filter(|block| block.runs(true));
    let typed = blocks.map(|block| session.block(block)).collect::<Result<Vec<_>, _>>();
    // What a page that failed leaves must not fail the next one.
    let left = kubectl(
        &["delete", "crel,virtualservice,gateways.networking.istio.io", "-n", "bookinfo", "--all", "--timeout=60s"],
        "",
    );
    typed.map_err(|error| format!("{}:{error}", page.path.display()))?;
    println!("{}: {} commands", page.path.display(), session.commands());
    left.map(|_| ()).and(controller.terminate().map(|_| ()))
}
