//! Gives the style a name that changes with its text, so that browsers may keep it for ever.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=assets/console.css");
    // FNV-1a, 64 bits: names apart, nothing more.
    let digest = fs::read("assets/console.css")?
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    println!("cargo::rustc-env=CONSOLE_CSS={digest:016x}");
    Ok(())
}
