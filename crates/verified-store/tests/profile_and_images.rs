//! A profile with an image that is sound, damaged, or of somebody else: what is read and copied is what was named, or nothing.

use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use boot_store::BootStore;
use cli::progress::{Meter, Progress};
use profiles::resolved::{ImageRef, VerityRef};
use profiles::{Digest, Name};
use squashfs::{Entry, Kind, Metadata, Tree, WriteOptions, write_image};
use verified_store::{CheckedImage, Damage, LockedProfile, NotMended, SoundFile, make_sound};

struct Shelf {
    folder: tempfile::TempDir,
    /// The image as it was made.
    bytes: Vec<u8>,
    image: ImageRef,
}

fn noise() -> Vec<u8> {
    (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut tree = Tree::new();
        tree.insert(b"noise", Entry::new(Metadata::mode(0o644), Kind::File(noise().into()))).unwrap();
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let kept = file.try_clone().unwrap();
        let size = write_image(&tree, &WriteOptions::default(), file, &mut |_| ()).unwrap().size;
        let made = verity::append(&kept, size, &verity::Format::new([7; 32]), NonZero::<usize>::MIN).unwrap();
        let bytes = fs::read(&path).unwrap();
        let verity = VerityRef {
            root_hash: Digest::from_bytes(made.root_hash),
            salt: Digest::from_bytes(made.salt),
            data_blocks: made.layout.data_blocks,
            fec_roots: made.layout.fec.map(|fec| fec.roots),
        };
        let image = ImageRef {
            name: Name::parse("site").unwrap(),
            version: "1".to_owned(),
            id: None,
            digest: Digest::of(&*bytes).unwrap().0,
            size: bytes.len() as u64,
            verity: Some(verity),
        };
        Shelf { folder, bytes, image }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn damage(&self, offsets: impl IntoIterator<Item = usize>) {
        let mut bytes = self.bytes.clone();
        offsets.into_iter().for_each(|offset| bytes[offset] ^= 1);
        fs::write(self.path(), bytes).unwrap();
    }

    fn without_tree(&self) -> ImageRef {
        ImageRef { verity: None, ..self.image.clone() }
    }
}

fn meter() -> Meter {
    Progress::Silent.work("hashing")
}

#[test]
fn damage_is_mended_in_what_is_read_and_in_no_file() {
    let shelf = Shelf::new();
    let open = |image: &ImageRef| CheckedImage::open(&shelf.path(), &image.digest, image.verity.as_ref());
    assert_eq!(open(&shelf.image).unwrap().image().read(b"noise").unwrap(), noise());
    shelf.damage([5000, 100_000]);
    let image = open(&shelf.image).unwrap();
    assert_eq!(image.image().read(b"noise").unwrap(), noise());
    assert_eq!(image.healed(), 2);
    assert!(image.told().unwrap().contains("2 damaged blocks, mended by error correction in what was read"));
    assert!(fs::read(shelf.path()).unwrap() != shelf.bytes);
    let refused = open(&shelf.without_tree()).unwrap_err().to_string();
    assert!(refused.contains("the file was changed or damaged\nhelp: get or make it again"), "{refused}");
}

#[test]
fn a_copy_becomes_the_image_or_is_refused() {
    let shelf = Shelf::new();
    let copy = || File::options().read(true).write(true).open(shelf.path()).unwrap();
    let make = |image: &ImageRef| make_sound(&mut copy(), &shelf.path(), image, &meter());
    assert_eq!(make(&shelf.image).unwrap(), 0);
    shelf.damage([5000, 100_000]);
    assert!(matches!(make(&shelf.without_tree()), Err(Damage::Other { not_mended: None, .. })));
    assert_eq!(make(&shelf.image).unwrap(), 2);
    assert!(fs::read(shelf.path()).unwrap() == shelf.bytes);
    shelf.damage((0..90_000).step_by(4096));
    let refused = make(&shelf.image).unwrap_err().at(&shelf.path(), "look").to_string();
    assert!(refused.contains("image: error correction cannot mend it: data block"), "{refused}");
    assert!(refused.ends_with("\nhelp: look"), "{refused}");
    // The tree is sound, and the name is another's.
    shelf.damage([]);
    let renamed = ImageRef { digest: Digest::from_bytes([9; 32]), ..shelf.image.clone() };
    let other = make(&renamed);
    assert!(
        matches!(other, Err(Damage::Other { not_mended: Some(NotMended::OtherImage(_)), .. })),
        "{other:?}"
    );
}

#[test]
fn what_is_written_was_checked_and_mended_before() {
    let shelf = Shelf::new();
    let check = || SoundFile::check(&shelf.path(), &shelf.image, &meter());
    let written = |file: &SoundFile| {
        let mut bytes = Vec::new();
        file.copy(&mut bytes).map(|()| bytes)
    };
    let (sound, healed) = check().unwrap();
    assert_eq!((sound.size(), healed), (shelf.image.size, 0));
    assert!(written(&sound).unwrap() == shelf.bytes);
    shelf.damage([5000, 100_000]);
    // It was sound when it was looked at.
    let changed = written(&sound).unwrap_err().to_string();
    assert!(changed.contains("changed while it was read\nhelp: try again"), "{changed}");
    let (mended, healed) = check().unwrap();
    assert_eq!(healed, 2);
    assert!(written(&mended).unwrap() == shelf.bytes && written(&mended).unwrap() == shelf.bytes);
    shelf.damage((0..90_000).step_by(4096));
    assert!(matches!(check(), Err(Damage::Other { not_mended: Some(NotMended::Beyond(_)), .. })));
    fs::remove_file(shelf.path()).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, shelf.path(), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert!(matches!(check(), Err(Damage::Unreadable(why)) if why.cause() == "is not a regular file"));
}

#[test]
fn a_profile_goes_with_its_signature_and_is_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let text = |name: &str| {
        format!(
            "profile \"{name}\" format=1 {{\n    image \"all\" version=\"1\" digest=\"{}\" size=5\n    root writable=\"no\"\n    \
             verify \"digest\"\n    init \"/init\"\n}}\n",
            Digest::from_bytes([1; 32])
        )
    };
    put("profiles/web/9.kdl", &text("web"));
    put("profiles/web/10.kdl", &text("web"));
    // The example of minisign's own page, with other comments.
    let signature = |generation: u64| {
        format!(
            "untrusted comment: x\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
             trusted comment: profile web generation {generation}\ny/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n"
        )
    };
    put("profiles/web/10.kdl.minisig", &signature(10));
    put("profiles/other/1.kdl", &text("web"));
    put("profiles/empty/notes.txt", "");
    let store = BootStore::open(folder.path(), Path::new("")).unwrap();
    let newest = |name: &str| LockedProfile::newest(&store, &Name::parse(name).unwrap());
    let web = newest("web").unwrap().unwrap();
    let files: Vec<_> =
        web.files().unwrap().map(|(path, bytes)| (path.display().to_string(), bytes.len())).collect();
    let length = text("web").len();
    assert_eq!(
        files,
        [
            ("profiles/web/10.kdl.minisig".to_owned(), signature(10).len()),
            ("profiles/web/10.kdl".to_owned(), length)
        ]
    );
    put("profiles/web/10.kdl.minisig", &signature(9));
    let refused = newest("web").unwrap().unwrap().files().err().unwrap().to_string();
    assert!(refused.contains("that of generation 9") && refused.contains("profile sign web"), "{refused}");
    assert!(newest("empty").unwrap().is_none() && newest("nothing").unwrap().is_none());
    let other = newest("other").unwrap_err().to_string();
    assert!(other.contains("other/1.kdl is a file of another profile: it says that it is `web`"), "{other}");
}
