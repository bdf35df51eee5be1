//! What the tests share: the corpus, a host for the filter, a client and a proxy, and what becomes of a test that lacks a part.

pub mod bad_specs;
pub mod corpus;
#[cfg(feature = "system")]
pub mod docs;
pub mod envoy;
pub mod golden;
pub mod host;
pub mod http;
#[cfg(feature = "system")]
pub mod mesh;
pub mod names;
pub mod need;
pub mod patience;
pub mod reference;
#[cfg(feature = "system")]
pub mod severed;
#[cfg(feature = "system")]
pub mod standalone;
pub mod upstream;

/// The built `serin` command: the one that `SERIN` names, else the one beside the test that runs.
///
/// # Errors
/// It is not built, or a source of it has changed since; the message says how to build it.
#[cfg(feature = "system")]
pub fn command() -> Result<std::path::PathBuf, String> {
    static BUILT: std::sync::LazyLock<Result<std::path::PathBuf, String>> = std::sync::LazyLock::new(built);
    match std::env::var_os("SERIN") {
        Some(path) => Ok(path.into()),
        None => BUILT.clone(),
    }
}

#[cfg(feature = "system")]
fn built() -> Result<std::path::PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let command = test.ancestors().nth(2).map(|directory| directory.join("serin"));
    let command = command.filter(|path| path.is_file()).ok_or("the command is not built; run `make build`")?;
    // Cargo lists the sources beside it. Tests of a command from before a change would show nothing.
    let sources = std::fs::read_to_string(command.with_extension("d")).unwrap_or_default();
    let changed = |path: &std::path::Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = changed(&command);
    let newer = sources.split_ascii_whitespace().filter(|path| path.ends_with(".rs"));
    match newer.map(std::path::Path::new).find(|path| changed(path) > built) {
        Some(source) => Err(format!("the command is older than {}; run `make build`", source.display())),
        None => Ok(command),
    }
}
