//! Fuzz targets: so many inputs with each test, a minute by `make fuzz`, a guided run by `cargo bolero test -p serin-tests TARGET`.
#![cfg(test)]

use bolero::check;
use serin_config::{Destination, Request, Split, SplitDocument, claim, cookie};
use serin_tests::corpus;

/// Inputs of a target where no time is set.
const RUNS: usize = 20_000;

/// How many inputs a target gets: so many, or with bolero's variable for a time as many as that leaves room for.
fn inputs(count: usize) -> usize {
    if std::env::var_os("BOLERO_RANDOM_TEST_TIME_MS").is_some() { usize::MAX } else { count }
}

/// Changes a seed as the bytes say: three of them are a place, an operation and a byte.
fn mutated(mut seed: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    for edit in bytes.chunks_exact(3) {
        let at = (usize::from(edit[0]) * seed.len().max(1)) >> 8;
        match edit[1] % 4 {
            0 if at < seed.len() => seed[at] = edit[2],
            1 if at < seed.len() => drop(seed.remove(at)),
            2 => seed.insert(at, edit[2]),
            _ => seed.truncate(seed.len() - usize::from(edit[2] % 8).min(seed.len())),
        }
    }
    seed
}

/// One of the seeds, changed; without any, the bytes themselves.
fn input(seeds: &[Vec<u8>], bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((&first, rest)) if usize::from(first) < 240 && !seeds.is_empty() => {
            mutated(seeds[usize::from(first) % seeds.len()].clone(), rest)
        }
        _ => bytes.to_vec(),
    }
}

fn documents() -> Vec<Vec<u8>> {
    let cases = corpus::load().unwrap();
    cases
        .iter()
        .map(|case| case.compile().unwrap().document.to_json().into_bytes())
        .filter(|text| text.len() < 4000)
        .collect()
}

#[test]
fn document() {
    let seeds = documents();
    check!().with_iterations(inputs(RUNS)).for_each(|bytes: &[u8]| {
        let text = input(&seeds, bytes);
        if let Ok(split) = Split::parse(&text) {
            // What compiles survives the way through the wire, and decides.
            let again = SplitDocument::parse(SplitDocument::parse(&text).unwrap().to_json().as_bytes()).unwrap();
            Split::compile(&again).unwrap();
            for release in split.releases() {
                assert!(release.decide(&Request::get("/")).version.is_some());
            }
        }
    });
}

/// The contract's sentence on cookies, as slow and plain as it is written.
fn plain_cookie(header: &str, name: &str) -> Option<String> {
    for pair in header.split(';') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let blank = |c: char| c.is_ascii_whitespace();
        if key.trim_matches(blank) == name {
            let value = value.trim_matches(blank);
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            return Some(inner.unwrap_or(value).to_owned());
        }
    }
    None
}

#[test]
fn cookies() {
    let seeds = vec![b"a=1; user=ann; b=2".to_vec(), b"user=\"ann\";user=bob".to_vec(), b"; =; user = x=y ;;".to_vec()];
    check!().with_iterations(inputs(RUNS)).for_each(|bytes: &[u8]| {
        let header = input(&seeds, bytes);
        let found = cookie([header.as_slice()], b"user");
        if let Ok(text) = std::str::from_utf8(&header) {
            assert_eq!(found.map(|value| String::from_utf8_lossy(value).into_owned()), plain_cookie(text, "user"));
        }
    });
}

#[test]
fn jwt() {
    let token = |payload: &str| {
        use base64::Engine;
        format!("Bearer e30.{}.x", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload)).into_bytes()
    };
    let seeds = vec![token(r#"{"sub":"ann"}"#), token(r#"{"a":[1,{}],"sub":12.50}"#), token(r#"{"sub":null}"#)];
    check!().with_iterations(inputs(RUNS)).for_each(|bytes: &[u8]| {
        let value = input(&seeds, bytes);
        if let Some(key) = claim(&value, "sub") {
            // A claim is text, whatever the token was.
            assert!(std::str::from_utf8(&key).is_ok());
        }
    });
}

#[test]
fn headers() {
    let splits: Vec<Split> = corpus::load().unwrap().iter().map(|case| case.compile().unwrap().split).collect();
    let names = [
        ":path",
        ":method",
        ":authority",
        "cookie",
        "user-agent",
        "authorization",
        "baggage",
        "x-team",
        "x-user-id",
        "x-request-id",
    ];
    check!().with_iterations(inputs(RUNS / 10)).for_each(|bytes: &[u8]| {
        let mut request = Request::new();
        for part in bytes.chunks(24) {
            let name = part.first().map_or(0, |&first| usize::from(first) % names.len());
            request = request.header(names[name], &part[1..]);
        }
        for release in splits.iter().flat_map(Split::releases) {
            let authority = release.authority();
            let decision = release.decide(&request);
            assert!(decision.version.is_some() && decision.release == Some(release.name()), "{authority}");
        }
        assert_eq!(splits[0].decide(&Destination::parse("nobody:1"), &request).release, None);
    });
}

#[test]
fn files() {
    let example = |name: &str| std::fs::read(format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut seeds = vec![example("reviews.yaml"), example("standalone.yaml")];
    seeds.extend(corpus::load().unwrap().iter().map(|case| case.file.clone().into_bytes()).filter(|text| text.len() < 2000));
    let path = std::path::Path::new("a.yaml");
    // Words of the libraries and of Rust's types, which people must not meet.
    let foreign =
        ["mapping", "scalar", "deserialize", "struct ", "u16", "u64", "Option<", "enum ", "variant", "invalid type"];
    check!().with_iterations(inputs(RUNS / 4)).for_each(|bytes: &[u8]| {
        let text = input(&seeds, bytes);
        if let Err(problems) = serin_release::file::parse(path, &text).and_then(|file| file.compile(path)) {
            for problem in &problems.0 {
                let said = format!("{} {}", problem.problem, problem.fix);
                // What the person wrote stands in backticks and may be any word.
                let own: String = said.split('`').step_by(2).collect();
                assert!(!foreign.iter().any(|word| own.contains(word)), "{problem}");
                assert_eq!(problem.file.as_deref(), Some("a.yaml"), "{problem}");
            }
        }
    });
}
