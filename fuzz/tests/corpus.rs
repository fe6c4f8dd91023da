//! Every input that is kept is replayed.

#![expect(clippy::print_stdout, reason = "how many there are")]

use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
};

use ostiary_fuzz::TARGETS;

/// A corpus with fewer inputs has lost some.
const LEAST: usize = 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, without what follows a dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    entries.filter_map(|entry| stem(entry.ok()?.path())).collect()
}

#[test]
fn what_must_hold_holds_for_all_kept_inputs() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let mut files: Vec<_> =
            fs::read_dir(folder("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= LEAST, "{name} has {} inputs", files.len());
        println!("{:4} {name}", files.len());
        for file in files {
            let input = fs::read(&file).unwrap();
            if panic::catch_unwind(|| target(&input)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
}
