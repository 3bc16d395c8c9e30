//! Locking: hidden paths are found in real images, and only those that the profile allows pass.

mod record;

use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use builder::image::attributes::Attributes;
use builder::image::format::ImageFormat;
use builder::image::output;
use builder::profile::folder::ProfileFolder;
use builder::profile::lock::{self, Builds};
use builder::store::{BuildRecord, Store, generations};
use profiles::Digest;
use profiles::resolved::BootProfile;

/// An image in the store with these files, each with its own path as its contents.
fn image(store: &Store, name: &str, files: &[&str]) -> BuildRecord {
    image_with(store, name, files, |_| ())
}

/// The same after a change to its tree.
fn image_with(
    store: &Store,
    name: &str,
    files: &[&str],
    change: impl FnOnce(&mut squashfs::Tree),
) -> BuildRecord {
    let scratch = store.scratch("test").unwrap();
    let output = scratch.path().join("out");
    std::fs::create_dir(&output).unwrap();
    for file in files {
        let path = output.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (mut tree, _) = output::tree_of(&output, &Attributes::of_package(&[])).unwrap();
    change(&mut tree);
    let options = ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN);
    let written = output::write(&tree, &options, &scratch.path().join("image")).unwrap();
    store.publish(&scratch.path().join("image"), &store.image_path(&written.digest)).unwrap();
    record::of(name, &written)
}

fn lock(folder: &Path, overrides: &str) -> builder::Result<lock::Locked> {
    let store = Store::open(&folder.join("store"))?;
    let layers = [
        image(&store, "base", &["etc/motd", "etc/issue", "init"]),
        image(&store, "site", &["etc/motd", "srv/index"]),
    ];
    let file = folder.join("web.kdl");
    let text = format!(
        "profile \"web\" {{\n    packages {{\n        base\n        site\n    }}\n    {overrides}\n    init \"/init\"\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let composition = ProfileFolder::new(folder.to_path_buf()).compose_file(&file)?;
    lock::lock(
        &composition,
        &Builds { stack: layers.iter().collect(), optional: Vec::new() },
        &store,
        NonZero::<usize>::MIN,
    )
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

/// Locks `base`, whose `/tmp` is 1777, and `site`, which changes its own with `change`.
fn lock_folders(
    folder: &Path,
    overrides: &str,
    change: impl Fn(&mut squashfs::Metadata),
) -> builder::Result<lock::Locked> {
    let store = Store::open(&folder.join("store"))?;
    let made = |name: &str, change: &dyn Fn(&mut squashfs::Metadata)| {
        image_with(&store, name, &[&format!("tmp/{name}")], |tree| {
            let metadata = tree.metadata_mut(b"tmp").unwrap().unwrap();
            metadata.mode = 0o1777;
            change(metadata);
        })
    };
    let layers = [made("base", &|_| ()), made("site", &change)];
    let file = folder.join("web.kdl");
    std::fs::write(
        &file,
        format!("profile \"web\" {{\n    packages {{ base; site; }}\n    {overrides}\n    init \"/tmp/base\"\n}}\n"),
    )
    .unwrap();
    let composition = ProfileFolder::new(folder.to_path_buf()).compose_file(&file)?;
    lock::lock(
        &composition,
        &Builds { stack: layers.iter().collect(), optional: Vec::new() },
        &store,
        NonZero::<usize>::MIN,
    )
}

#[test]
fn a_folder_that_two_layers_have_otherwise_is_refused_until_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let lock = |overrides: &str, change: &dyn Fn(&mut squashfs::Metadata)| {
        lock_folders(folder.path(), overrides, change)
    };
    assert!(lock("", &|_| ()).unwrap().shadowed.is_empty());
    let closed = |metadata: &mut squashfs::Metadata| metadata.mode = 0o755;
    assert_eq!(
        lock("", &closed).unwrap_err().to_string(),
        "profile web: layers hide paths of others, and the profile does not allow it\n    \
         /tmp: the folder of site (mode 0755) hides that of base (mode 1777)\n\
         help: remove one of the two, give a folder the same `metadata` in both recipes, or add to the profile\n    \
         override \"/tmp\" from=\"site\""
    );
    let locked = lock("override \"/tmp\" from=\"site\"", &closed).unwrap();
    assert_eq!((locked.shadowed.len(), locked.idle_overrides.len()), (1, 0));
    assert!(lock("override \"/tmp\" from=\"base\"", &closed).is_err());
    assert!(lock("", &|metadata| metadata.gid = 5).unwrap_err().to_string().contains("(owner 0:5)"));
}

#[test]
fn an_image_with_attributes_on_which_overlayfs_acts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["user.overlay.opaque", "trusted.overlay.opaque"] {
        let opaque = |metadata: &mut squashfs::Metadata| {
            metadata.xattrs.push(squashfs::Xattr { name: name.into(), value: b"y".to_vec() });
        };
        let error = lock_folders(folder.path(), "override \"/tmp\" from=\"site\"", opaque);
        let message = error.unwrap_err().to_string();
        assert!(message.contains(&format!(".sqfs: /tmp: has the attribute {name}, on which")), "{message}");
        assert!(message.contains("\nhelp: "), "{message}");
    }
}

#[test]
fn an_image_with_a_whiteout_is_refused_whatever_the_profile_allows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let whiteout = |tree: &mut squashfs::Tree| {
        let kind = squashfs::Kind::CharDevice(squashfs::Device { major: 0, minor: 0 });
        tree.insert(b"etc/passwd", squashfs::Entry::new(squashfs::Metadata::mode(0o644), kind)).unwrap();
    };
    let base = image(&store, "base", &["etc/passwd", "init"]);
    let site = image_with(&store, "site", &["etc/x"], whiteout);
    let file = folder.path().join("web.kdl");
    let text = "profile \"web\" {\n    packages { base; site; }\n    init \"/init\"\n    \
                override \"/etc/passwd\" from=\"site\"\n}\n";
    std::fs::write(&file, text).unwrap();
    let composition = ProfileFolder::new(folder.path().to_path_buf()).compose_file(&file).unwrap();
    let builds = Builds { stack: vec![&base, &site], optional: Vec::new() };
    let message = lock::lock(&composition, &builds, &store, NonZero::<usize>::MIN).unwrap_err().to_string();
    assert!(
        message.contains(".sqfs: /etc/passwd is a character device 0:0, overlayfs's whiteout"),
        "{message}"
    );
    assert!(message.contains("it would make /etc/passwd of the layers below vanish\nhelp: "), "{message}");
}

/// What init would find out at every boot is found before anything is locked.
#[test]
fn a_first_program_that_no_layer_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let link = |tree: &mut squashfs::Tree| {
        let mut add = |path: &str, target: &str| {
            let kind = squashfs::Kind::Symlink(target.as_bytes().to_vec());
            tree.insert(path.as_bytes(), squashfs::Entry::new(squashfs::Metadata::mode(0o777), kind))
                .unwrap();
        };
        add("sbin", "usr/sbin");
        add("usr/sbin/lost", "/usr/lib/none");
    };
    let (base, system) =
        (image_with(&store, "base", &["usr/sbin/x"], link), image(&store, "system", &["usr/sbin/init"]));
    let lock = |init: &str, stack: Vec<&BuildRecord>, optional: Vec<&BuildRecord>| {
        let file = folder.path().join("web.kdl");
        std::fs::write(
            &file,
            format!("profile \"web\" {{\n    packages {{ base; system; }}\n    init \"{init}\"\n}}\n"),
        )
        .unwrap();
        let composition = ProfileFolder::new(folder.path().to_path_buf()).compose_file(&file).unwrap();
        lock::lock(&composition, &Builds { stack, optional }, &store, NonZero::<usize>::MIN)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(lock("/sbin/init", vec![&base, &system], Vec::new()), Ok(()));
    for (init, cause) in [
        ("/sbin/nope", "/sbin/nope leads to /usr/sbin/nope, which no layer has"),
        ("/usr/nope", "no layer has /usr/nope"),
        ("/opt/nope", "no layer has /opt/nope: there is no /opt"),
        ("/sbin/lost", "/sbin/lost leads to /usr/lib, which no layer has"),
    ] {
        let message = lock(init, vec![&base, &system], Vec::new()).unwrap_err();
        let expected =
            format!("profile web: its first program cannot be started: {cause}\nhelp: name another");
        assert!(message.starts_with(&expected), "{message}");
    }
    // What is only added sometimes does not count.
    assert!(lock("/sbin/init", vec![&base], vec![&system]).is_err());
}

#[test]
fn an_override_that_allows_nothing_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "override \"/etc/motd\" from=\"site\"\n    override \"/etc/issue\" from=\"site\"";
    assert_eq!(lock(folder.path(), lines).unwrap().idle_overrides, ["/etc/issue"]);
}

#[test]
fn optional_packages_are_locked_beside_the_stack_and_hide_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let base = image(&store, "base", &["etc/motd"]);
    let (tool, site) = (image(&store, "tool", &["usr/bin/tool"]), image(&store, "site", &["etc/motd"]));
    let file = folder.path().join("web.kdl");
    let text = "profile \"web\" {\n    packages { base; }\n    optional { tool; site; }\n    verify \"verity\"\n    sealed\n    init \"/etc/motd\"\n}\n";
    std::fs::write(&file, text).unwrap();
    let composition = ProfileFolder::new(folder.path().to_path_buf()).compose_file(&file).unwrap();
    let lock = |optional: Vec<&BuildRecord>| {
        lock::lock(&composition, &Builds { stack: vec![&base], optional }, &store, NonZero::<usize>::MIN)
    };
    let profile = lock(vec![&tool]).unwrap().profile;
    assert_eq!((profile.images.len(), profile.optional.len(), profile.sealed.is_some()), (1, 1, true));
    assert_eq!(profile.optional[0].verity, tool.verity);
    assert_eq!(BootProfile::parse("x", profile.to_kdl().as_bytes()), Ok(profile.clone()));
    let digest = Digest::of(profile.to_kdl().as_bytes()).unwrap().0;
    assert_eq!(lock::boot_parameter(&profile), format!("lamina.profile=web@{digest}"));
    let message = lock(vec![&tool, &site]).unwrap_err().to_string();
    assert!(message.contains("/etc/motd: site hides that of base"), "{message}");
    let old = BuildRecord { verity: None, ..tool.clone() };
    let message = lock(vec![&old]).unwrap_err().to_string();
    assert!(
        message.contains("tool 1 has no hash tree") && message.contains("`lamina build tool`"),
        "{message}"
    );
}

#[test]
fn a_generation_is_written_only_when_something_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut profile = lock(folder.path(), "override \"/etc/motd\" from=\"site\"").unwrap().profile;
    let store = Store::open(&folder.path().join("store")).unwrap();
    assert_eq!(generations::newest(&store, &profile.name).unwrap(), None);
    assert_eq!(generations::publish(&store, &profile).unwrap(), (1, true));
    assert_eq!(generations::publish(&store, &profile).unwrap(), (1, false));
    profile.description = Some("other".to_owned());
    assert_eq!(generations::publish(&store, &profile).unwrap(), (2, true));
    // Numbers, not texts: 10 is newer than 9.
    for number in 3..=10 {
        profile.description = Some(number.to_string());
        assert_eq!(generations::publish(&store, &profile).unwrap(), (number, true));
    }
    let (number, path) = generations::newest(&store, &profile.name).unwrap().unwrap();
    assert_eq!((number, path.file_name().unwrap().to_str()), (10, Some("10.kdl")));
}

#[test]
fn veritysetup_accepts_images_with_the_numbers_of_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let many: Vec<String> = (0..2000).map(|number| format!("usr/share/words/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for files in [&["etc/motd"][..], &many] {
        let record = image(&store, "base", files);
        let (numbers, path) = (record.verity.unwrap(), store.image_path(&record.digest));
        let layout = verified_store::hash_tree_of(&numbers).unwrap().layout;
        assert_eq!(layout.total_len, record.size);
        let judge = std::process::Command::new("/usr/sbin/veritysetup")
            .arg("verify")
            .args([&path, &path])
            .arg(numbers.root_hash.hex())
            .arg("--no-superblock")
            .arg(format!("--salt={}", numbers.salt.hex()))
            .arg(format!("--data-blocks={}", numbers.data_blocks))
            .arg(format!("--hash-offset={}", layout.hash_offset + 4096))
            .output()
            .expect("veritysetup runs: apt-get install cryptsetup-bin");
        assert!(judge.status.success(), "{}", String::from_utf8_lossy(&judge.stderr));
    }
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
    let builds = Builds { stack: vec![&layer], optional: Vec::new() };
    let message = lock::lock(&composition, &builds, &store, NonZero::<usize>::MIN).unwrap_err().to_string();
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
            scope.spawn(move || assert!(generations::publish(store, &profile).unwrap().1));
        }
    });
    let written = std::fs::read_dir(store.profiles().join("web")).unwrap().count();
    assert_eq!((written, generations::newest(&store, &locked.profile.name).unwrap().unwrap().0), (8, 8));
}
