//! Each spec of the table is refused by a file's reader, in the words of the table.
#![cfg(test)]

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use serin_release::file;
use serin_tests::bad_specs::{all, good, release};

fn answer(spec: &Value) -> String {
    let path = Path::new("a.yaml");
    let text = release("reviews", spec).to_string();
    match file::parse(path, text.as_bytes()).and_then(|file| file.compile(path)) {
        Ok(_) => "valid".to_owned(),
        Err(problems) => {
            let problem = problems.0.first().unwrap();
            assert_eq!((problem.object.as_deref(), problem.line), (Some("default/reviews"), Some(1)), "{problem}");
            problem.in_its_object()
        }
    }
}

#[test]
fn the_good_spec_is_good() {
    assert_eq!(answer(&good().unwrap()), "valid");
}

#[test]
fn each_bad_spec_is_refused_in_the_words_of_the_table() {
    let mut wrong = String::new();
    for bad in all().unwrap() {
        let answer = answer(&bad.spec);
        if answer != bad.says {
            writeln!(wrong, "{}\n  is:       {answer}\n  expected: {}", bad.name, bad.says).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
