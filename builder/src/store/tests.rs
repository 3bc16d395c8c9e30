use std::collections::BTreeMap;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use cli::progress::Progress;
use profiles::resolved::VerityRef;
use profiles::{Choice, Name};

use super::*;
use crate::report::Report;

mod replaced;

const JOBS: NonZero<usize> = NonZero::<usize>::MIN;

fn digest(text: &str) -> Digest {
    Digest::of_bytes(text)
}

fn record(content: &str) -> BuildRecord {
    let name = |text| Name::parse(text).unwrap();
    BuildRecord {
        name: name("hello"),
        version: "2.10".to_owned(),
        id: digest("id"),
        digest: digest(content),
        size: content.len() as u64,
        verity: None,
        license: "GPL-3.0-or-later".to_owned(),
        target: "x86_64-linux".to_owned(),
        variant: Some("static".to_owned()),
        features: BTreeMap::from([("nls".to_owned(), Choice::Off), ("tls".to_owned(), Choice::On)]),
        build_root: vec![Dependency {
            name: name("musl"),
            version: "1.2.3".to_owned(),
            id: digest("musl"),
            digest: digest("musl image"),
        }],
        depends: vec![name("base-files")],
        sources: vec![SourceRecord { file: "hello \"2\".tar.gz".to_owned(), sha256: digest("source") }],
    }
}

/// A store with one build whose image is `content`.
fn store_with(folder: &Path, content: &str) -> (Store, BuildRecord) {
    let (store, record) = (Store::open(folder).unwrap(), record(content));
    store.write(&store.image_path(&record.digest), content.as_bytes()).unwrap();
    store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
    (store, record)
}

#[test]
fn a_record_reads_back() {
    let mut record = record("image");
    let verity =
        VerityRef { root_hash: digest("root"), salt: digest("salt"), data_blocks: 1, fec_roots: Some(2) };
    for verity in [None, Some(verity), Some(VerityRef { fec_roots: None, ..verity })] {
        (record.verity, record.size) = (verity, 16_384);
        let read = BuildRecord::parse("x", record.to_kdl().as_bytes()).unwrap();
        assert_eq!(read, record);
        assert!(!record.to_kdl_inside().contains("image digest"));
    }
}

/// What older versions read is written as they read it; a value needs the newer format.
#[test]
fn a_record_is_written_in_the_oldest_format_that_can_hold_it() {
    let mut record = record("image");
    assert!(record.to_kdl().starts_with("build \"hello\" format=1 {\n"));
    record.features.insert("tls".to_owned(), Choice::Of(Name::parse("libressl").unwrap()));
    let text = record.to_kdl();
    assert!(text.starts_with("build \"hello\" format=2 {\n"), "{text}");
    assert!(text.contains("    feature \"tls\" value=\"libressl\"\n"), "{text}");
    assert_eq!(BuildRecord::parse("x", text.as_bytes()).unwrap(), record);
    assert_eq!(record.choices(), " static -nls tls=libressl");
}

#[test]
fn a_record_of_another_format_is_refused_with_its_remedy() {
    let text = record("image").to_kdl().replace("format=1", "format=3");
    let message = BuildRecord::parse("builds/x.kdl", text.as_bytes()).unwrap_err().to_string();
    assert!(message.contains("builds/x.kdl:1:") && message.contains("has format 3"), "{message}");
    assert!(message.ends_with("help: remove this record and build again"), "{message}");
}

#[test]
fn a_finished_build_needs_its_image_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let (store, record) = store_with(folder.path(), "image");
    assert_eq!(store.finished_build(&record.id).unwrap(), Some(record.clone()));
    fs::write(store.image_path(&record.digest), "imag").unwrap();
    assert_eq!(store.finished_build(&record.id).unwrap(), None);
    fs::remove_file(store.image_path(&record.digest)).unwrap();
    assert_eq!(store.finished_build(&record.id).unwrap(), None);
    assert_eq!(store.finished_build(&digest("other")).unwrap(), None);
}

#[test]
fn verify_names_the_bad_image_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (store, record) = store_with(folder.path(), "image");
    assert_eq!(store.verify(JOBS, Progress::Silent).unwrap().findings, []);
    fs::write(store.image_path(&record.digest), "imagE").unwrap();
    let report = store.verify(JOBS, Progress::Silent).unwrap();
    assert_eq!((report.images, report.records, report.bytes), (1, 1, 5));
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.object(), format!("images/{}.sqfs", record.digest.hex()));
    assert!(
        finding.cause().contains(&digest("imagE").hex())
            && finding.known_remedy().unwrap().contains("lamina build hello")
    );
    fs::remove_file(store.image_path(&record.digest)).unwrap();
    let findings = store.verify(JOBS, Progress::Silent).unwrap().findings;
    assert_eq!(findings[0].cause(), "the image of hello 2.10 is missing");
}

#[test]
fn a_damaged_record_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, record) = store_with(folder.path(), "image");
    let bad = |name: &str, bytes: &[u8]| fs::write(store.root().join("builds").join(name), bytes).unwrap();
    let other = digest("other");
    bad(&format!("{}.kdl", other.hex()), &record.to_kdl().as_bytes()[..40]);
    bad("empty.kdl", b"");
    bad("copied.kdl", record.to_kdl().as_bytes());
    fs::create_dir(store.root().join("builds/folder.kdl")).unwrap();
    let records = store.records().unwrap();
    assert_eq!(records.sound, std::slice::from_ref(&record));
    let mut causes: Vec<_> =
        records.damaged.iter().map(|it| format!("{}: {}", it.object(), it.cause())).collect();
    causes.sort();
    assert_eq!(causes.len(), 4, "{causes:?}");
    let other_name = format!("builds/{}.kdl: line 2: ", other.hex());
    assert!(causes.iter().any(|it| it.starts_with(&other_name)), "{causes:?}");
    assert!(causes.contains(&"builds/folder.kdl: is not a regular file".to_owned()), "{causes:?}");
    let copied = format!("builds/copied.kdl: is the record of another build, {}", record.id.hex());
    assert!(causes.contains(&copied), "{causes:?}");
    let report = store.verify(JOBS, Progress::Silent).unwrap();
    assert_eq!((report.images, report.records, report.findings.len()), (1, 5, 4));
    assert!(report.findings.iter().all(|it| it.known_remedy().unwrap().contains("remove it")), "{report:?}");
    // A damaged record is built over, not stumbled over.
    assert_eq!(store.finished_build(&other).unwrap(), None);
    assert!(store.record(&other).is_err());
}

#[test]
fn verify_compares_the_hash_tree_with_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let scratch = store.scratch("test").unwrap();
    let path = scratch.path().join("image");
    let options = crate::image::format::ImageFormat::PACKAGE.write_options(JOBS);
    let written = crate::image::output::write(&squashfs::Tree::new(), &options, &path).unwrap();
    store.publish(&path, &store.image_path(&written.digest)).unwrap();
    let mut record = BuildRecord {
        digest: written.digest,
        size: written.size,
        verity: Some(written.verity),
        ..record("")
    };
    let findings = |record: &BuildRecord| {
        store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
        store.verify(NonZero::new(3).unwrap(), Progress::Silent).unwrap().findings
    };
    assert_eq!(findings(&record), []);
    record.verity = Some(VerityRef { root_hash: digest("another"), ..written.verity });
    let [finding] = findings(&record).try_into().unwrap();
    assert!(finding.cause().ends_with("it is not what its record says"), "{finding:?}");
    assert!(finding.known_remedy().unwrap().contains("`lamina build hello`"), "{finding:?}");
}

/// A store with an image that has all kinds of entries.
fn store_with_every_kind(folder: &Path) -> (Store, Digest) {
    use squashfs::{Content, Device, Entry, Kind, Metadata, Tree};
    let store = Store::open(folder).unwrap();
    let mut tree = Tree::new();
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    for (path, mode, kind) in [
        ("bin", 0o755, Kind::Directory),
        ("bin/su", 0o4755, Kind::File(Content::from(b"program".to_vec()))),
        ("bin/large", 0o644, Kind::File(Content::from(large))),
        ("bin/link", 0o777, Kind::Symlink(b"su".to_vec())),
        ("bin/pipe", 0o600, Kind::Fifo),
        ("null", 0o666, Kind::CharDevice(Device { major: 1, minor: 3 })),
    ] {
        tree.insert(path.as_bytes(), Entry::new(Metadata::mode(mode), kind)).unwrap();
    }
    let scratch = store.scratch("test").unwrap();
    let path = scratch.path().join("image");
    let options = crate::image::format::ImageFormat::PACKAGE.write_options(JOBS);
    let written = crate::image::output::write(&tree, &options, &path).unwrap();
    store.publish(&path, &store.image_path(&written.digest)).unwrap();
    (store, written.digest)
}

/// The layer of an image whose record is not in the store.
fn layer(digest: Digest) -> Dependency {
    let name = Name::parse("layer").unwrap();
    Dependency { name, version: "1".to_owned(), id: self::digest("layer"), digest }
}

/// The image of a store with every kind of entry, with a record that says what its hash tree is.
fn recorded(store: &Store, image: &Digest) -> Dependency {
    let path = store.image_path(image);
    let file = File::open(&path).unwrap();
    let verity = crate::image::hash_tree::claimed(&path, &file).unwrap();
    let size = file.metadata().unwrap().len();
    let record = BuildRecord { digest: *image, size, verity, ..record("") };
    store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
    Dependency { id: record.id, ..layer(*image) }
}

/// Changes a byte of a file in place, for every offset.
fn flip(path: &Path, offsets: impl IntoIterator<Item = usize>) {
    let mut bytes = fs::read(path).unwrap();
    offsets.into_iter().for_each(|offset| bytes[offset] ^= 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_unpacked_of_a_damaged_image_is_mended_and_so_is_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let (store, image) = store_with_every_kind(folder.path());
    let layer = recorded(&store, &image);
    let path = store.image_path(&image);
    let before = fs::read(&path).unwrap();
    flip(&path, [100, 5000]);
    let root = store.unpacked(&layer, &Report::default()).unwrap();
    assert_eq!(fs::read(root.join("bin/su")).unwrap(), b"program");
    assert!(fs::read(&path).unwrap() == before, "the image was mended");
    assert_eq!(store.verify(JOBS, Progress::Silent).unwrap().findings, []);
}

#[test]
fn an_image_that_is_damaged_beyond_mending_feeds_no_build() {
    for without_record in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (store, image) = store_with_every_kind(folder.path());
        let layer = if without_record { layer(image) } else { recorded(&store, &image) };
        // In the middle of the data of a large file: the file system itself would not notice.
        flip(&store.image_path(&image), (4096..100_000).step_by(4096));
        let message = store.unpacked(&layer, &Report::default()).unwrap_err().to_string();
        assert!(message.contains(&image.hex()) && message.contains("lamina store verify"), "{message}");
        let why = if without_record { "its SHA-256 is" } else { "does not match its hash" };
        assert!(message.contains(why), "{message}");
        assert_eq!(files_in(&store.root().join("trees")).unwrap(), [] as [PathBuf; 0]);
    }
}

/// Whatever is changed in a tree is noticed before it is used again, also what its times hide.
#[test]
fn a_changed_tree_is_unpacked_again() {
    use std::time::{Duration, SystemTime};
    let folder = tempfile::tempdir().unwrap();
    let (store, image) = store_with_every_kind(folder.path());
    let layer = layer(image);
    let unpack = || store.unpacked(&layer, &Report::default()).unwrap();
    let root = unpack();
    let identity = || fs::metadata(&root).unwrap().ino();
    let place = root.parent().unwrap().to_path_buf();
    let first = identity();
    assert_eq!((unpack(), identity()), (root.clone(), first), "a sound tree is used as it is");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&store.root().join("trees")), mode(&place)), (0o700, 0o700));
    let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let set = |path: &Path, time: SystemTime| File::open(path).unwrap().set_modified(time).unwrap();
    let changes: [&dyn Fn(); 7] = [
        &|| {
            let path = root.join("bin/su");
            let before = time(&path);
            fs::write(&path, "PROGRAM").unwrap();
            set(&path, before);
        },
        &|| {
            let before = time(&root);
            fs::write(root.join("more"), "").unwrap();
            set(&root, before);
        },
        &|| fs::set_permissions(root.join("bin"), fs::Permissions::from_mode(0o777)).unwrap(),
        &|| set(&root.join("bin/su"), SystemTime::UNIX_EPOCH + Duration::from_nanos(1)),
        &|| fs::hard_link(root.join("bin/su"), folder.path().join("name")).unwrap(),
        &|| fs::write(place.join("stamp"), "another").unwrap(),
        // What an earlier version made.
        &|| {
            fs::remove_dir_all(&place).unwrap();
            fs::create_dir_all(place.join("bin")).unwrap();
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        change();
        assert_eq!(unpack(), root);
        assert_eq!(fs::read(root.join("bin/su")).unwrap(), b"program", "change {index}");
        assert!(!root.join("more").exists() && mode(&root.join("bin")) == 0o755, "change {index}");
        assert_eq!(store.verify(JOBS, Progress::Silent).unwrap().findings, [], "change {index}");
        let now = identity();
        assert_eq!((unpack(), identity()), (root.clone(), now), "change {index}");
    }
}

/// Each change of an unpacked image is found, and an unchanged one is as its image.
#[test]
fn verify_compares_a_tree_with_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let (store, digest) = store_with_every_kind(folder.path());
    let cause = || {
        let report = store.verify(JOBS, Progress::Silent).unwrap();
        assert_eq!((report.images, report.trees), (1, 1));
        report.findings.first().map(|finding| {
            assert!(
                finding.object().starts_with("trees/")
                    && finding.known_remedy().unwrap().starts_with("remove the folder")
            );
            finding.cause().to_owned()
        })
    };
    let place = store.unpacked(&layer(digest), &Report::default()).unwrap();
    assert_eq!(cause(), None);
    let changes: [(&dyn Fn(), &str); 6] = [
        (&|| fs::write(place.join("bin/su"), "progrAm").unwrap(), "/bin/su: has other contents"),
        (
            &|| fs::set_permissions(place.join("bin/su"), fs::Permissions::from_mode(0o777)).unwrap(),
            "/bin/su: has other permissions",
        ),
        (
            &|| {
                fs::remove_file(place.join("bin/link")).unwrap();
                std::os::unix::fs::symlink("sh", place.join("bin/link")).unwrap();
            },
            "/bin/link: leads elsewhere",
        ),
        (&|| fs::write(place.join("more"), "").unwrap(), "/more: is not in the image"),
        (&|| fs::remove_file(place.join("bin/large")).unwrap(), "/bin/large: No such file"),
        (
            &|| {
                fs::remove_file(place.join("bin/pipe")).unwrap();
                fs::create_dir(place.join("bin/pipe")).unwrap();
            },
            "/bin/pipe: is something else",
        ),
    ];
    for (change, wanted) in changes {
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
        store.unpacked(&layer(digest), &Report::default()).unwrap();
        change();
        let cause = cause().unwrap_or_default();
        assert!(cause.starts_with(wanted), "{wanted}: {cause}");
    }
    fs::remove_dir_all(place.parent().unwrap()).unwrap();
    fs::create_dir(store.root().join("trees").join("0".repeat(64))).unwrap();
    assert!(cause().unwrap().starts_with("its image cannot be read: "));
}

/// What is read is empty where nothing is, and nothing is made for it.
#[test]
fn reading_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for root in [folder.path().to_path_buf(), folder.path().join("none")] {
        let store = Store::open(&root).unwrap();
        assert_eq!(store.sweep(), []);
        assert_eq!(store.records().unwrap(), Records::default());
        assert_eq!(store.verify(JOBS, Progress::Silent).unwrap(), VerifyReport::default());
        assert_eq!(store.finished_build(&digest("id")).unwrap(), None);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A store of root or of a team, filled under any umask, can be read by those who may reach it; scratch by its owner alone.
#[test]
fn what_is_published_has_fixed_modes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let (store, record) = store_with(&root, "image");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let closed = store.root().join("tmp/closed");
    fs::write(&closed, "x").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let published = store.root().join("profiles/web/1.kdl");
    store.publish(&closed, &published).unwrap();
    store.take_log(&store.log_path(&record.id), || ()).unwrap();
    for file in [published, store.image_path(&record.digest), store.log_path(&record.id)] {
        assert_eq!(mode(&file), 0o644, "{}", file.display());
    }
    for folder in [root.clone(), root.join("images"), root.join("profiles/web"), root.join("logs")] {
        assert_eq!(mode(&folder), 0o755, "{}", folder.display());
    }
    assert_eq!(mode(&root.join("tmp")), 0o700);
    // An earlier version made it as the umask said.
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o755)).unwrap();
    store.sweep();
    assert_eq!(mode(&root.join("tmp")), 0o700);
}

#[test]
fn writing_leaves_nothing_in_tmp() {
    let folder = tempfile::tempdir().unwrap();
    let (store, record) = store_with(folder.path(), "image");
    assert_eq!(fs::read(store.image_path(&record.digest)).unwrap(), b"image");
    let left: Vec<_> = files_in(&store.root().join("tmp")).unwrap();
    assert!(left.iter().all(|path| path.ends_with(".lock")), "{left:?}");
}
