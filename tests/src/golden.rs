//! Files that hold what is expected; `make golden` writes them anew.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Compares a text with the file of it, or writes the file where `SERIN_BLESS` is set. The path is relative to the workspace.
///
/// # Errors
/// They differ; the message shows the first line that does.
pub fn check(path: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("SERIN_BLESS").is_some() {
        return Ok(fs::write(file, text)?);
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected == text {
        return Ok(());
    }
    let lines = || text.lines().chain([""]).zip(expected.lines().chain(["(the file ends)"])).enumerate();
    let (number, (is, was)) = lines().find(|(_, (is, was))| is != was).unwrap_or_default();
    Err(format!(
        "{path}:{}: is `{is}`, expected `{was}`; if that is meant: `make golden`, and review the change",
        number + 1
    )
    .into())
}
