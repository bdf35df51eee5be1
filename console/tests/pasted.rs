//! What is pasted, and what comes of it: each `pasted/NAME.txt` with its `NAME.json`. `SERIN_BLESS=1` writes the expected ones.
#![cfg(test)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use serin_console::pasted::read;

fn answer(text: &str) -> Value {
    match read(text) {
        Ok(pasted) => json!(pasted),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn what_is_pasted_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pasted");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "txt")) {
        cases += 1;
        let found = format!("{:#}\n", answer(&fs::read_to_string(file).unwrap()));
        let expected = file.with_extension("json");
        if std::env::var_os("SERIN_BLESS").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 25, "{cases}");
}

#[test]
fn whatever_is_cut_off_is_an_answer_or_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pasted");
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for (first, last) in (0..text.len()).filter_map(|at| text.split_at_checked(at)) {
            for error in [first, last].into_iter().filter_map(|part| read(part).err()) {
                assert!(error.message.contains("; "), "{error}");
            }
        }
    }
}
