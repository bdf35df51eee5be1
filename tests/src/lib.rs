//! What the tests share: the corpus, a host for the filter, a client and a proxy.

pub mod corpus;
pub mod envoy;
pub mod golden;
pub mod host;
pub mod http;
pub mod mesh;
pub mod severed;
pub mod standalone;

use std::path::PathBuf;

/// The built `serin` command: the one that `SERIN` names, else the one beside the test that runs.
///
/// # Errors
/// It is not built; the message says how.
pub fn command() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("SERIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let built = test.ancestors().nth(2).map(|directory| directory.join("serin"));
    built.filter(|path| path.is_file()).ok_or_else(|| "the command is not built; run `cargo build` first".to_owned())
}
