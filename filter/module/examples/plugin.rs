//! Writes the filter that the command carries to standard output: `cargo run -p serin-module --example plugin > plugin.wasm`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(serin_module::FILTER)
}
