//! Pictures as texts: charts and graphs. `SERIN_BLESS=1` writes the expected ones.
#![cfg(test)]

#[path = "pictures/chart.rs"]
mod chart;
#[path = "pictures/graph.rs"]
mod graph;

/// Compares a picture with the file of it, or writes the file; and holds what is true of each.
fn check(name: &str, svg: &str) {
    for never in ["style=", "<script", "NaN", "\"inf", "-inf", "<svg width", "fill=\"#", "stroke=\"#"] {
        assert!(!svg.contains(never), "{name} has {never}");
    }
    assert_eq!(svg.matches("<title id=").count(), 1, "{name}");
    let file = format!("{}/tests/golden/{name}.svg", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SERIN_BLESS").is_some() {
        std::fs::write(file, svg).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(svg, expected, "{file}; if that is meant: `SERIN_BLESS=1 cargo test -p serin-console`");
}
