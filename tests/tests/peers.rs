//! The answers that others published for the same questions; `peers/*.yaml` say where each comes from.
#![cfg(test)]

use std::io::Cursor;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serin_config::{Algorithm, Destination, Request, Split, cookie};

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[derive(Deserialize)]
struct Murmur3 {
    x86_32: Hashes<String>,
    x64_128: Hashes<[String; 2]>,
}

#[derive(Deserialize)]
struct Hashes<T> {
    verification: Verification,
    vectors: Vec<Hash<T>>,
}

#[derive(Deserialize)]
struct Verification {
    constant: String,
}

#[derive(Deserialize)]
struct Hash<T> {
    seed: String,
    input: String,
    expected: T,
}

fn x86_32(input: &[u8], seed: u32) -> u32 {
    murmur3::murmur3_32(&mut Cursor::new(input), seed).unwrap()
}

fn x64_128(input: &[u8], seed: u32) -> [u64; 2] {
    let hash = murmur3::murmur3_x64_128(&mut Cursor::new(input), seed).unwrap();
    [hash as u64, (hash >> 64) as u64]
}

/// SMHasher's `VerificationTest`: the hash of the hashes of the keys 0, 0 1, 0 1 2, ...
fn verification(hash: impl Fn(&[u8], u32) -> Vec<u8>) -> u32 {
    let keys: Vec<u8> = (0..=255).collect();
    let hashes: Vec<u8> = (0..256).flat_map(|length| hash(&keys[..length], 256 - length as u32)).collect();
    u32::from_le_bytes(hash(&hashes, 0)[..4].try_into().unwrap())
}

#[test]
fn murmur3() {
    let seed = |text: &str| u32::from_str_radix(text, 16).unwrap();
    let Murmur3 { x86_32: short, x64_128: long } = read("murmur3.yaml");
    assert_eq!(
        format!("{:08x}", verification(|key, seed| x86_32(key, seed).to_le_bytes().to_vec())),
        short.verification.constant
    );
    let bytes = |[first, second]: [u64; 2]| [first.to_le_bytes(), second.to_le_bytes()].concat();
    assert_eq!(format!("{:08x}", verification(|key, seed| bytes(x64_128(key, seed)))), long.verification.constant);
    assert!(short.vectors.len() >= 100 && long.vectors.len() >= 48);
    for vector in short.vectors {
        assert_eq!(format!("{:08x}", x86_32(&hex(&vector.input), seed(&vector.seed))), vector.expected, "{}", vector.input);
    }
    for vector in long.vectors {
        assert_eq!(x64_128(&hex(&vector.input), seed(&vector.seed)).map(|part| format!("{part:016x}")), vector.expected);
    }
}

/// The version that a key gets with these weights in percent, in listed order, and its bucket.
fn decided(algorithm: &str, salt: &str, key: &str, weights: &[(String, u32)]) -> (String, u32) {
    let buckets: Vec<_> =
        weights.iter().filter(|(_, weight)| *weight > 0).map(|(name, weight)| json!([name, weight * 1000])).collect();
    let document = json!({"version": 1, "splits": [{"release": "a/b", "hosts": ["b"], "stable": "none-of-them", "buckets": buckets,
        "sticky": {"by": [{"header": "x-key"}], "salt": salt, "algorithm": algorithm}}]});
    let split = Split::parse(document.to_string().as_bytes()).unwrap();
    let decision = split.decide(&Destination::parse("b"), &Request::get("/").header("x-key", key));
    (decision.version.unwrap().to_owned(), decision.bucket.unwrap())
}

#[test]
fn flagd_rollouts() {
    #[derive(Deserialize)]
    struct Flagd {
        vectors: Vec<Rollout>,
        unsalted: Vec<Rollout>,
    }
    #[derive(Deserialize)]
    struct Rollout {
        salt: String,
        key: String,
        weights: Vec<(String, u32)>,
        expected: String,
    }
    let Flagd { vectors, unsalted } = read("flagd.yaml");
    assert!(vectors.len() >= 31 && unsalted.len() >= 21);
    for Rollout { salt, key, weights, expected } in vectors {
        assert_eq!(decided("flagd", &salt, &key, &weights).0, expected, "{salt} {key}");
    }
    // A release always has a salt; the hash of the key alone is the same function.
    for Rollout { key, weights, expected, .. } in unsalted {
        let bucket = Algorithm::Flagd.bucket(b"", key.as_bytes());
        let mut end = 0;
        let holder = weights.iter().find(|(_, weight)| {
            end += weight * 1000;
            bucket < end
        });
        assert_eq!(holder.map(|(name, _)| name), Some(&expected), "{key}");
    }
}

#[test]
#[expect(non_snake_case, reason = "the field's name in Unleash")]
fn unleash_rollouts() {
    #[derive(Deserialize)]
    struct Unleash {
        values: Vec<Value>,
        rollouts: Vec<Rollout>,
    }
    #[derive(Deserialize)]
    struct Value {
        groupId: String,
        key: String,
        value: u32,
    }
    #[derive(Deserialize)]
    struct Rollout {
        groupId: String,
        key: String,
        percentage: u32,
        enabled: bool,
    }
    let Unleash { values, rollouts } = read("unleash.yaml");
    assert!(values.len() >= 2 && rollouts.len() >= 21);
    for Value { groupId, key, value } in values {
        assert_eq!(decided("unleash", &groupId, &key, &[("in".to_owned(), 50)]).1, value);
    }
    for Rollout { groupId, key, percentage, enabled } in rollouts {
        let version = decided("unleash", &groupId, &key, &[("in".to_owned(), percentage)]).0;
        assert_eq!(version == "in", enabled, "{groupId} {key} {percentage}");
    }
}

#[test]
fn envoy_cookies() {
    #[derive(Deserialize)]
    struct Cookies {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        test: String,
        headers: Vec<String>,
        name: String,
        expected: String,
    }
    let Cookies { cases } = read("envoy-cookies.yaml");
    assert!(cases.len() >= 17);
    for Case { test, headers, name, expected } in cases {
        let found = cookie(headers.iter().map(String::as_bytes), name.as_bytes());
        assert_eq!(found, Some(expected.as_bytes()), "{test}: {name}");
    }
}

#[test]
fn gateway_api_path_prefixes() {
    #[derive(Deserialize)]
    struct Prefixes {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        prefix: String,
        path: String,
        matches: bool,
    }
    let Prefixes { cases } = read("gateway-api-path-prefix.yaml");
    assert!(cases.len() >= 53);
    for Case { prefix, path, matches } in cases {
        let document = json!({"version": 1, "splits": [{"release": "a/b", "hosts": ["b"], "stable": "no", "rules": [
            {"name": "prefix", "when": [{"path": {"pathPrefix": prefix}}], "version": "yes"}]}]});
        let split = Split::parse(document.to_string().as_bytes()).unwrap();
        let decision = split.decide(&Destination::parse("b"), &Request::get(&path));
        assert_eq!(decision.version == Some("yes"), matches, "{prefix} {path}");
    }
}
