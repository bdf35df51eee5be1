//! The modules that are measured: Serin's filter, as this build carries it, and its peers, which are built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Result;

const TARGET: &str = "wasm32-unknown-unknown";

/// Where the modules are.
pub(crate) struct Modules {
    directory: TempDir,
    /// Filters given on the command line, by name.
    pub(crate) others: Vec<(String, PathBuf)>,
}

impl Modules {
    /// Builds the peers and puts all modules into one place.
    pub(crate) fn build(others: &[(String, PathBuf)]) -> Result<Self> {
        for (name, path) in others {
            fs::metadata(path).map_err(|error| format!("filter {name}: {}: {error}", path.display()))?;
        }
        let modules = Self { directory: TempDir::new()?, others: others.to_vec() };
        fs::write(modules.serin(), serin_module::REQUEST_FILTER)?;
        fs::write(modules.of("serin-any"), serin_module::FILTER)?;
        peer("sdk", "", &modules.of("sdk-empty"))?;
        peer("sdk", "decide", &modules.of("sdk-decide"))?;
        peer("bare", "", &modules.of("bare-empty"))?;
        peer("bare", "calls", &modules.of("bare-calls"))?;
        Ok(modules)
    }

    /// A module by its name.
    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.directory.path().join(name).with_extension("wasm")
    }

    /// Serin's filter, as proxies have it where no release issues cookies.
    pub(crate) fn serin(&self) -> PathBuf {
        self.of("serin")
    }
}

fn peer(package: &str, feature: &str, to: &Path) -> Result<()> {
    // Beside this program, so that a folder of one's own for what is built holds for the peers too.
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("the program is not where cargo puts it")?.join("bench");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules").join(package).join("Cargo.toml");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--target", TARGET, "--features", feature, "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        // Flags of the surrounding build are left out, as they are for Serin's filter.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()?;
    if !output.status.success() {
        return Err(format!("the peer `{package}` does not build:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    fs::copy(target.join(TARGET).join("release").join(format!("serin_bench_{package}.wasm")), to)?;
    Ok(())
}
