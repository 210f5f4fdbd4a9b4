use super::*;

/// What is in the tree.
fn known(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            known(&path, files);
        } else {
            let name = path.strip_prefix(super::folder()).unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_bindings_are_those_of_the_contract() {
    let mut known_files = Files::new();
    known(&folder(), &mut known_files);
    let wanted = files().unwrap();
    let differ: std::collections::BTreeSet<_> = wanted
        .keys()
        .chain(known_files.keys())
        .filter(|path| wanted.get(*path) != known_files.get(*path))
        .map(|path| path.display().to_string())
        .collect();
    assert!(
        differ.is_empty(),
        "sdk/rust/src/bindings/generated is not what wit/ says: `cargo run -p wharf-sdk-bindings` writes it; {}",
        differ.into_iter().collect::<Vec<_>>().join(", ")
    );
}

#[test]
fn no_file_is_too_long_for_a_reader() {
    for (path, text) in files().unwrap() {
        assert!(text.lines().count() < 600, "{} has {} lines", path.display(), text.lines().count());
        let wide = text.lines().find(|line| line.len() > dense::WIDTH);
        assert_eq!(wide, None, "{}", path.display());
    }
}
