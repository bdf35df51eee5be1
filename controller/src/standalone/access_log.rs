//! The access log: whether it can be written, which Envoy says in its own log alone, and in words of its own.

use std::fs::{self, OpenOptions};
use std::path::Path;

use serin_release::Problem;
use serin_release::file::display_name;

use super::files::aside;
use super::message;

/// Checks that a log can be written, as Envoy will.
///
/// # Errors
/// It cannot; the message names the setting.
pub(super) async fn check(file: &Path, log: &str) -> Result<(), String> {
    let (file, log) = (file.to_owned(), log.to_owned());
    aside(move || check_now(&file, &log)).await.unwrap_or_else(|failure| Err(message(failure)))
}

fn check_now(file: &Path, log: &str) -> Result<(), String> {
    if log.is_empty() || fs::metadata(log).is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
        // A pipe or a device: opening it may wait for its other end.
        return Ok(());
    }
    match OpenOptions::new().append(true).create(true).open(log) {
        Ok(_) => Ok(()),
        Err(error) => {
            let fix = "name a file in a folder that exists and that serin may write to";
            let problem = Problem::new("spec.accessLog", format!("`{log}` cannot be written: {error}"), fix);
            Err(problem.in_object("Standalone").in_file(display_name(file)).to_string())
        }
    }
}
