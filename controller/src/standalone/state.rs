//! Which state directory is a file's own, and what is kept there.

use std::env;
use std::path::{Path, PathBuf};

use serin_release::State;

use super::files::content;
use super::history::History;
use crate::cli::Failure;

/// The file with the bucket maps.
pub(super) const NAME: &str = "state.json";

/// The state directory of a file: the one that is named, else systemd's, else one of the file's name in `.serin` beside it.
pub(crate) fn directory(file: &Path, named: Option<&Path>) -> PathBuf {
    match (named, env::var_os("STATE_DIRECTORY")) {
        (Some(named), _) => named.to_owned(),
        // Several directories of a unit are joined by colons; the first is as good as any.
        (None, Some(directories)) => env::split_paths(&directories).next().unwrap_or_default(),
        (None, None) => shared_directory(file).join(file.file_name().unwrap_or_default()),
    }
}

/// Where earlier serins kept the state of all files beside each other.
fn shared_directory(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(".serin")
}

/// What a file is called in its state: its folder as the system names it. The file itself may be a link, whose end changes with
/// each version of it.
pub(super) fn identity(file: &Path) -> String {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
    parent.join(file.file_name().unwrap_or_default()).display().to_string()
}

/// Where the state of a file may lie, in the order in which it is looked for.
fn places(directory: &Path, file: &Path) -> Vec<PathBuf> {
    let shared = shared_directory(file);
    let mut places = vec![directory.join(NAME)];
    if directory == shared.join(file.file_name().unwrap_or_default()) {
        places.push(shared.join(NAME));
    }
    places
}

/// Where the state of a file lies, or will.
pub(crate) fn place(file: &Path, state_dir: Option<&Path>) -> PathBuf {
    let places = places(&directory(file, state_dir), file);
    places.iter().find(|place| place.exists()).or_else(|| places.first()).cloned().unwrap_or_default()
}

/// What is kept of a file's releases in a directory.
///
/// # Errors
/// The state cannot be read or is that of another file.
pub(super) fn history(directory: &Path, file: &Path) -> Result<History, Failure> {
    for place in places(directory, file) {
        if let Some(text) = content(&place)? {
            return read(&place, &text, &identity(file));
        }
    }
    Ok(History::default().of_file(identity(file)))
}

fn read(place: &Path, text: &[u8], file: &str) -> Result<History, Failure> {
    let history = History::parse(text).map_err(|error| {
        let fix = "restore it, or remove it, after which users are assigned to versions afresh";
        Failure::Failed(format!("{}: the bucket maps cannot be read: {error}; {fix}", place.display()))
    })?;
    match &history.file {
        // One that was moved or renamed takes its state along.
        Some(other) if other != file && Path::new(other).exists() => {
            let fix = "name a directory of its own with --state-dir, since the two files would forget each other's users";
            Err(Failure::Failed(format!("{}: the state directory belongs to `{other}`; {fix}", place.display())))
        }
        _ => Ok(history.of_file(file.to_owned())),
    }
}

/// The bucket maps that `serin standalone` would go on with for a file, as the last one has left them.
///
/// # Errors
/// They cannot be read, or are those of another file.
pub fn kept(file: &Path, state_dir: Option<&Path>) -> Result<State, Failure> {
    Ok(history(&directory(file, state_dir), file)?.state())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_state_belongs_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one.yaml", "two.yaml"].map(|name| folder.path().join(name));
        fs::write(&one, "").unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        let first = history(&state, &one).unwrap();
        assert_eq!(first.file, Some(identity(&one)));
        fs::write(state.join(NAME), first.to_json()).unwrap();
        assert_eq!(history(&state, &one).unwrap(), first);
        let Err(Failure::Failed(message)) = history(&state, &two) else { panic!("another file's state is taken") };
        let (place, one_name) = (state.join(NAME), identity(&one));
        let expected = format!(
            "{}: the state directory belongs to `{one_name}`; name a directory of its own with --state-dir, since the two files would \
             forget each other's users",
            place.display()
        );
        assert_eq!(message, expected);
        fs::rename(&one, &two).unwrap();
        assert_eq!(history(&state, &two).unwrap().file, Some(identity(&two)));
    }

    #[test]
    fn the_state_that_files_shared_is_where_each_begins() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.yaml");
        let own = directory(&file, None);
        assert_eq!(own, folder.path().join(".serin/one.yaml"));
        fs::create_dir(folder.path().join(".serin")).unwrap();
        fs::write(
            folder.path().join(".serin").join(NAME),
            r#"{"a/b": {"allocation": {"base": [{"version": "v2", "buckets": 7}]},
            "split": {"release": "a/b", "hosts": ["b"], "stable": "v1"}}}"#,
        )
        .unwrap();
        assert_eq!(kept(&file, None).unwrap().0.keys().collect::<Vec<_>>(), ["a/b"]);
        assert!(kept(&file, Some(&folder.path().join("elsewhere"))).unwrap().0.is_empty());
        fs::create_dir(&own).unwrap();
        fs::write(own.join(NAME), History::default().to_json()).unwrap();
        assert!(kept(&file, None).unwrap().0.is_empty());
        fs::write(own.join(NAME), "{").unwrap();
        let Err(Failure::Failed(message)) = kept(&file, None) else { panic!("half a state is taken") };
        let place = own.join(NAME);
        assert!(message.starts_with(&format!("{}: the bucket maps cannot be read: EOF", place.display())), "{message}");
    }
}
