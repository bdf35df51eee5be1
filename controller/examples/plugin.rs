//! Writes the filter that the command carries to standard output: `cargo run --example plugin > plugin.wasm`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(serin_controller::FILTER)
}
