//! Locking: hidden paths are found in real images, and only those that the profile allows pass.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;

use builder::image::{self, ImageFormat};
use builder::lock;
use builder::store::{BuildRecord, Store};
use builder::target::ProfileFolder;
use profiles::{Digest, Name};

/// An image in the store with these files, each with its own path as its contents.
fn image(store: &Store, name: &str, files: &[&str]) -> BuildRecord {
    let scratch = store.scratch("test").unwrap();
    let output = scratch.path().join("out");
    std::fs::create_dir(&output).unwrap();
    for file in files {
        let path = output.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    let tree = image::tree_of(&output).unwrap();
    let options = ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN);
    let written = image::write(&tree, &options, &scratch.path().join("image")).unwrap();
    store.publish(&scratch.path().join("image"), &store.image_path(&written.digest)).unwrap();
    BuildRecord {
        name: Name::parse(name).unwrap(),
        version: "1".to_owned(),
        id: Digest::from_bytes([1; 32]),
        digest: written.digest,
        size: written.size,
        license: "MIT".to_owned(),
        target: "x86_64-linux".to_owned(),
        variant: None,
        features: BTreeMap::new(),
        build_root: Vec::new(),
        depends: Vec::new(),
        sources: Vec::new(),
    }
}

fn lock(folder: &Path, overrides: &str) -> builder::Result<lock::Locked> {
    let store = Store::open(&folder.join("store"))?;
    let layers = [
        image(&store, "base", &["etc/motd", "etc/issue"]),
        image(&store, "site", &["etc/motd", "srv/index"]),
    ];
    let file = folder.join("web.kdl");
    let text = format!(
        "profile \"web\" {{\n    packages {{\n        base\n        site\n    }}\n    {overrides}\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let composition = ProfileFolder::new(folder.to_path_buf()).compose_file(&file)?;
    lock::lock(&composition, &layers.iter().collect::<Vec<_>>(), &store)
}

#[test]
fn a_hidden_path_is_refused_with_both_layers_and_the_line_to_add() {
    let folder = tempfile::tempdir().unwrap();
    let message = lock(folder.path(), "").unwrap_err().to_string();
    assert_eq!(
        message,
        "profile web: layers hide paths of others, and the profile does not allow it\n    \
         /etc/motd: site hides that of base\n\
         help: remove one of the two, or add to the profile\n    \
         override \"/etc/motd\" from=\"site\""
    );
}

#[test]
fn an_override_allows_it_for_the_layer_on_top_alone() {
    let folder = tempfile::tempdir().unwrap();
    let locked = lock(folder.path(), "override \"/etc/motd\" from=\"site\"").unwrap();
    assert_eq!(locked.shadowed.len(), 1);
    assert!(locked.idle_overrides.is_empty());
    assert!(lock(folder.path(), "override \"/etc/motd\" from=\"base\"").is_err());
}

#[test]
fn an_override_that_allows_nothing_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "override \"/etc/motd\" from=\"site\"\n    override \"/etc/issue\" from=\"site\"";
    assert_eq!(lock(folder.path(), lines).unwrap().idle_overrides, ["/etc/issue"]);
}

#[test]
fn a_generation_is_written_only_when_something_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut profile = lock(folder.path(), "override \"/etc/motd\" from=\"site\"").unwrap().profile;
    let store = Store::open(&folder.path().join("store")).unwrap();
    assert_eq!(lock::newest(&store, &profile.name).unwrap(), None);
    assert_eq!(lock::publish(&store, &profile).unwrap(), (1, true));
    assert_eq!(lock::publish(&store, &profile).unwrap(), (1, false));
    profile.description = Some("other".to_owned());
    assert_eq!(lock::publish(&store, &profile).unwrap(), (2, true));
    // Numbers, not texts: 10 is newer than 9.
    for number in 3..=10 {
        profile.description = Some(number.to_string());
        assert_eq!(lock::publish(&store, &profile).unwrap(), (number, true));
    }
    let (number, path) = lock::newest(&store, &profile.name).unwrap().unwrap();
    assert_eq!((number, path.file_name().unwrap().to_str()), (10, Some("10.kdl")));
}

#[test]
fn a_damaged_image_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let layer = image(&store, "base", &["etc/motd"]);
    std::fs::write(store.image_path(&layer.digest), "no squashfs").unwrap();
    std::fs::write(
        folder.path().join("web.kdl"),
        "profile \"web\" {\n    packages {\n        base\n    }\n}\n",
    )
    .unwrap();
    let composition =
        ProfileFolder::new(folder.path().to_path_buf()).compose_file(&folder.path().join("web.kdl")).unwrap();
    let message = lock::lock(&composition, &[&layer], &store).unwrap_err().to_string();
    assert!(message.contains(&layer.digest.hex()) && message.contains("lamina store verify"), "{message}");
}

#[test]
fn generations_written_at_the_same_moment_all_stay() {
    let folder = tempfile::tempdir().unwrap();
    let locked = lock(folder.path(), "override \"/etc/motd\" from=\"site\"").unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (store, mut profile) = (&store, locked.profile.clone());
            profile.description = Some(format!("writer {writer}"));
            scope.spawn(move || assert!(lock::publish(store, &profile).unwrap().1));
        }
    });
    let written = std::fs::read_dir(store.profiles().join("web")).unwrap().count();
    assert_eq!((written, lock::newest(&store, &locked.profile.name).unwrap().unwrap().0), (8, 8));
}
