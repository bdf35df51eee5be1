//! Builds the filter for wasm32.
//!
//! The filter's bytes depend on the sources and Cargo.lock alone: flags of the surrounding build are left out, and no path of
//! the machine gets into it.
//!
//! Rust's own library is built with it. As it comes with Rust it says in many words why it panics, a sixth of the module, and a
//! proxy has nowhere to write that: here a panic is a trap and no more. Cargo and rustc do this only where they are told that
//! unstable flags may be used, and since rust-toolchain.toml names one version these do not change under us.

#[path = "exports.rs"]
mod exports;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "filter";

/// Flags with which a panic is a trap.
const TRAP: [&str; 2] = ["-Zunstable-options", "-Cpanic=immediate-abort"];

fn main() -> Result<(), String> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set; build with cargo"));
    let here = variable("CARGO_MANIFEST_DIR")?;
    let root = here.ancestors().nth(2).ok_or("the crate has no workspace around it")?;
    let out = variable("OUT_DIR")?;
    let sources = [
        "config/src",
        "config/Cargo.toml",
        "filter/src",
        "filter/module/exports.rs",
        "filter/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ];
    for path in sources {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let target = out.join("wasm");
    build(root, &target, &variable("CARGO")?)?;
    let library = target.join(TARGET).join(PROFILE).join("libserin_filter.a");
    let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    exports::link(&library, &out.join("serin_filter.wasm"), &rustc, exports::ANY)?;
    exports::link(&library, &out.join("serin_request_filter.wasm"), &rustc, exports::REQUESTS)
}

fn build(root: &Path, target: &Path, cargo: &Path) -> Result<(), String> {
    let path = |name: &str| env::var_os(name).map(PathBuf::from);
    let home = path("CARGO_HOME").or_else(|| Some(path("HOME")?.join(".cargo")));
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    let remap = |path: PathBuf| format!("--remap-path-prefix={}=registry", path.display());
    let remaps = registries.into_iter().flatten().flatten().map(|entry| remap(entry.path()));
    let flags: Vec<_> = TRAP.map(str::to_owned).into_iter().chain(remaps).collect();
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--locked", "--package", "serin-filter", "--target", TARGET, "--profile", PROFILE])
        .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=", "--target-dir"])
        .arg(target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        // Unlike RUSTFLAGS, this one may hold paths with blanks.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .status()
        .map_err(|error| format!("cannot run {}: {error}", cargo.display()))?;
    match status.success() {
        true => Ok(()),
        false => Err("the filter does not build; if only the sources of Rust's library are missing: \
                      rustup component add rust-src"
            .to_owned()),
    }
}
