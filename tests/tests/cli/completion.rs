//! What a shell completes: commands, options and files, and names of a file or a cluster that is there in time.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::file;

const FILE: &str = "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: reviews, namespace: bookinfo}\nspec: {service: reviews, stable: {version: v1}, canaries: [{version: v2}, {version: v3}]}\n---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: ratings, namespace: bookinfo}\nspec: {service: ratings, stable: {version: v1}}\n";

/// The candidates for the last word, as fish gets them.
fn completed<A: AsRef<OsStr>>(words: impl IntoIterator<Item = A>) -> Vec<String> {
    let mut command = Command::new(serin_tests::command().unwrap());
    let output = command.env("SERIN_COMPLETE", "fish").args(["--", "serin"]).args(words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// The same without options, which a shell offers wherever a word may begin.
fn names<A: AsRef<OsStr>>(words: impl IntoIterator<Item = A>) -> Vec<String> {
    completed(words).into_iter().filter(|word| !word.starts_with('-')).collect()
}

/// A kubeconfig with two contexts and a server at an address.
fn kubeconfig(address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\nusers: \
         [{{name: u, user: {{}}}}]\ncontexts:\n- {{name: here, context: {{cluster: c, user: u}}}}\n- {{name: there, context: {{cluster: c, user: \
         u}}}}\n"
    )
}

#[test]
fn commands_options_and_names_of_a_file_are_completed() {
    let (directory, path) = file(FILE);
    let path = path.to_str().unwrap();
    let control = directory.path().join("control.yaml");
    let beside = ["-f", path, "--control", control.to_str().unwrap()];
    let of = |words: &[&str]| completed(words);
    assert_eq!(of(&["roll"]), ["rollback"]);
    assert_eq!(of(&["explain", "--out"]), ["--output"]);
    assert_eq!(of(&["explain", "-o", ""]), ["text", "json"]);
    assert_eq!(of(&["rollback", "--dry-run", ""]), ["none", "client", "server"]);
    let named = |words: &[&'static str], last: &'static str| names(words.iter().copied().chain(beside).chain([last]));
    assert_eq!(named(&["rollback"], "re"), ["reviews"]);
    assert_eq!(named(&["rollback"], ""), ["reviews", "ratings"]);
    assert_eq!(named(&["rollback"], "bookinfo/ra"), ["bookinfo/ratings"]);
    assert_eq!(named(&["rollback", "reviews"], ""), ["v2", "v3"]);
    assert_eq!(named(&["rollback", "bookinfo/reviews"], "v3"), ["v3"]);
    assert_eq!(named(&["takeover", "reviews"], ""), ["v1", "v2", "v3"]);
    assert_eq!(named(&["weight", "reviews"], ""), ["v2=", "v3="]);
    assert_eq!(named(&["rollback", "nobody"], ""), [""; 0]);
    // Files are completed by the folder that they are in.
    let begin = directory.path().join("ser");
    assert_eq!(of(&["validate", "-f", begin.to_str().unwrap()]), [path]);
}

#[test]
fn a_cluster_that_does_not_answer_completes_nothing_and_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    // The first one refuses; the second one takes the connection and never answers.
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [silent, listening.local_addr().unwrap().to_string()] {
        let (_directory, path) = file(&kubeconfig(&address));
        let at = ["--kubeconfig", path.to_str().unwrap()];
        let of = |words: &[&str]| names(words.iter().chain(&at[..]).chain(&[""]));
        let begin = Instant::now();
        assert_eq!(of(&["show"]), [""; 0]);
        assert_eq!(of(&["rollback", "reviews"]), [""; 0]);
        let all = [&["list"], &at[..], &["-n", ""]].concat();
        assert_eq!(completed(all), [""; 0]);
        // A person waits for a second each time, and no longer.
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
        let contexts = [&["list"], &at[..], &["--context", ""]].concat();
        assert_eq!(completed(contexts), ["here", "there"]);
    }
    let nowhere = ["list", "--kubeconfig", "/nowhere", "--context", ""];
    assert_eq!(completed(nowhere), [""; 0]);
}

#[test]
fn shells_and_kubectl_ask_by_what_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let command = serin_tests::command().unwrap();
    for name in ["serin", "kubectl-serin"] {
        std::os::unix::fs::symlink(&command, folder.path().join(name)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let run = |program: &OsStr, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).env("PATH", &path).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let script = "eval \"$(serin completion bash)\"; COMP_WORDS=(serin explain -o j); COMP_CWORD=3; _clap_complete_serin serin j -o; echo ${COMPREPLY[@]}";
    assert_eq!(run(OsStr::new("bash"), &["-c", script]), "json\n");
    for (shell, part) in [("zsh", "compdef "), ("fish", "complete "), ("powershell", "Register-ArgumentCompleter ")] {
        let script = run(OsStr::new("serin"), &["completion", shell]);
        assert!(script.contains(part) && script.contains("SERIN_COMPLETE"), "{script}");
    }
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/krew/kubectl_complete-serin");
    assert_eq!(run(shim.as_os_str(), &["roll"]), "rollback\tSend everybody of a canary back to stable\n:4\n");
    assert_eq!(run(shim.as_os_str(), &["explain", "-o", "j"]), "json\tFor tools\n:4\n");
    assert_eq!(run(shim.as_os_str(), &["nothing", "x"]), ":4\n");
}
