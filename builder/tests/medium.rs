//! Media that are brought up to date: what lies there already is checked, what is sent is checked, and what nobody needs goes.

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use boot_ledger::{Generation, Slots};
use profiles::{Digest, Name};
use program::{json, lamina, site, told};

/// A store whose profiles have images of their own.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        program::make_store(folder.path());
        Shop { folder }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Locks a generation with an image that no other has. Gives the image's name.
    fn generation(&self, profile: &str, number: u64) -> String {
        let site = self.path("site");
        fs::create_dir_all(&site).unwrap();
        let noise: Vec<u8> = (0..40_000u32)
            .flat_map(|n| (n ^ number as u32).wrapping_mul(2_654_435_761).to_be_bytes())
            .collect();
        fs::write(site.join("noise"), noise).unwrap();
        fs::write(site.join("who"), format!("{profile} {number}")).unwrap();
        let made =
            json(self.folder.path(), &["image", "create", "site", "-o", "image", "--time", "0", "--json"]);
        let (digest, verity) = (made["digest"].as_str().unwrap(), &made["verity"]);
        let name = format!("{}.sqfs", &digest["sha256:".len()..]);
        fs::rename(self.path("image"), self.path("store/images").join(&name)).unwrap();
        let text = format!(
            "profile \"{profile}\" format=1 {{\n    image \"site\" version=\"1\" digest=\"{digest}\" size={} root-hash={} \
             salt={} data-blocks={} fec-roots={}\n    root writable=\"no\"\n    verify \"verity\"\n    init \"/init\"\n}}\n",
            made["size"], verity["root_hash"], verity["salt"], verity["data_blocks"], verity["fec_roots"]
        );
        fs::create_dir_all(self.path("store/profiles").join(profile)).unwrap();
        fs::write(self.path(&format!("store/profiles/{profile}/{number}.kdl")), text).unwrap();
        name
    }

    fn create(&self, profile: &str, more: &[&str]) -> String {
        let arguments = [&["medium", "create", "disk", "--profile", profile], more].concat();
        let output = lamina(self.folder.path(), &arguments);
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }

    fn names(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(inside)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn flip(path: &Path, offsets: impl IntoIterator<Item = usize>) {
    let mut bytes = fs::read(path).unwrap();
    offsets.into_iter().for_each(|offset| bytes[offset] ^= 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_damaged_on_the_medium_is_put_there_again() {
    let shop = Shop::new();
    let name = shop.generation("web", 1);
    let (stored, there) = (shop.path("store/images").join(&name), shop.path("disk/images").join(&name));
    shop.create("web", &[]);
    assert!(!shop.create("web", &[]).contains("warning"));
    let replaced = |said: &str| {
        assert!(said.contains("was damaged on the medium, and was put there again"), "{said}");
        assert!(fs::symlink_metadata(&there).unwrap().is_file());
        assert_eq!(fs::read(&there).unwrap(), fs::read(&stored).unwrap());
    };
    // Of the right length: only its bytes tell.
    flip(&there, [5000]);
    replaced(&shop.create("web", &[]));
    fs::write(&there, "short").unwrap();
    replaced(&shop.create("web", &[]));
    // init follows no link.
    fs::remove_file(&there).unwrap();
    std::os::unix::fs::symlink(&stored, &there).unwrap();
    replaced(&shop.create("web", &[]));
}

#[test]
fn what_is_damaged_in_the_store_is_mended_in_the_copy_or_refused() {
    let shop = Shop::new();
    let name = shop.generation("web", 1);
    let stored = shop.path("store/images").join(&name);
    let sound = fs::read(&stored).unwrap();
    flip(&stored, [5000, 100_000]);
    let said = shop.create("web", &[]);
    assert!(said.contains("2 damaged blocks, mended by error correction in the copy"), "{said}");
    assert!(fs::read(shop.path("disk/images").join(&name)).unwrap() == sound);
    flip(&stored, (8192..90_000).step_by(4096));
    let output = lamina(shop.folder.path(), &["medium", "create", "other", "--profile", "web"]);
    let message = told(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("error correction cannot mend it") && message.contains("store verify"),
        "{message}"
    );
    assert!(!shop.path("other").exists(), "nothing of it is there");
}

#[test]
fn a_truncated_image_of_the_store_is_called_that_by_every_command() {
    let shop = Shop::new();
    let name = shop.generation("web", 1);
    let stored = shop.path("store/images").join(&name);
    let sound = fs::read(&stored).unwrap();
    let said = |arguments: &[&str]| {
        let output = lamina(shop.folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    };
    for length in [0, 1, 4096, sound.len() - 1] {
        fs::write(&stored, &sound[..length]).unwrap();
        let truncated = format!("is truncated: it has {length} of {} bytes", sound.len());
        let message = said(&["medium", "create", "disk", "--profile", "web"]);
        let expected = format!(
            "images/{name}: the image of site 1, which profile web needs, {truncated}\nhelp: `lamina build web` makes it again; \
             `lamina store verify` finds what else is damaged\n"
        );
        assert!(message.ends_with(&expected), "{message}");
        assert!(!shop.path("disk").exists());
        let message = said(&["store", "verify"]);
        assert!(message.contains(&format!("images/{name}: {truncated}\n")), "{message}");
        assert!(
            message.contains(&format!("profiles/web/1.kdl: its image site 1 (images/{name}) {truncated}")),
            "{message}"
        );
    }
    fs::write(&stored, [&sound[..], b"more"].concat()).unwrap();
    let message = said(&["medium", "create", "disk", "--profile", "web"]);
    assert!(message.contains("is too long: it has "), "{message}");
}

#[test]
fn older_generations_go_but_for_those_that_the_slots_name() {
    let shop = Shop::new();
    let images: Vec<String> = (1..=5)
        .map(|number| {
            let image = shop.generation("web", number);
            if number < 5 {
                shop.create("web", &["--keep", "9"]);
            }
            image
        })
        .collect();
    let kiosk = shop.generation("kiosk", 1);
    shop.create("kiosk", &[]);
    fs::write(shop.path("disk/profiles/web/3.kdl.minisig"), "x").unwrap();
    fs::write(shop.path("disk/profiles/web/notes"), "x").unwrap();
    // The first was blessed, the second is only a number of another store, and was tried there.
    let bytes = fs::read(shop.path("disk/profiles/web/1.kdl")).unwrap();
    let slots = Slots::open(&shop.path("disk")).unwrap().unwrap();
    let mut ledger = slots.read().ledger;
    let web = Name::parse("web").unwrap();
    ledger.bless(&web, &Generation { number: 1, digest: Digest::of(bytes.as_slice()).unwrap().0 });
    ledger.note_attempt(&web, &Generation { number: 2, digest: Digest::from_bytes([0; 32]) });
    slots.write(&ledger).unwrap();
    let said = shop.create("web", &["--dry-run"]);
    assert!(
        said.contains("remove disk/profiles/web/2.kdl\n")
            && said.contains(&format!("remove disk/images/{}", images[1])),
        "{said}"
    );
    assert_eq!(shop.names("disk/profiles/web").len(), 6);
    shop.create("web", &[]);
    assert_eq!(shop.names("disk/profiles/web"), ["1.kdl", "4.kdl", "5.kdl", "notes"]);
    let mut kept = vec![images[0].clone(), images[3].clone(), images[4].clone(), kiosk];
    kept.sort();
    assert_eq!(shop.names("disk/images"), kept);
    shop.create("web", &["--keep", "1"]);
    assert_eq!(shop.names("disk/profiles/web"), ["1.kdl", "5.kdl", "notes"]);
}

#[test]
fn nothing_goes_where_it_is_not_known_what_is_needed() {
    let shop = Shop::new();
    for number in 1..=3 {
        shop.generation("web", number);
        shop.create("web", &["--keep", "3"]);
    }
    // A profile that cannot be read may name any image.
    fs::create_dir_all(shop.path("disk/profiles/mail")).unwrap();
    fs::write(shop.path("disk/profiles/mail/1.kdl"), "profile \"mail\" format=9 {}").unwrap();
    let said = shop.create("web", &["--keep", "2"]);
    assert!(said.contains("mail/1 cannot be read: no image is removed"), "{said}");
    assert_eq!((shop.names("disk/profiles/web").len(), shop.names("disk/images").len()), (2, 3));
    fs::remove_dir_all(shop.path("disk/profiles/mail")).unwrap();
    // Slots that a newer Lamina wrote, or that are damaged both.
    let slot = fs::read(shop.path("disk/boot/a")).unwrap();
    for slot in ["a", "b"] {
        fs::write(shop.path("disk/boot").join(slot), [7; 4096]).unwrap();
    }
    let said = shop.create("web", &["--keep", "1"]);
    assert!(said.contains("the slots that count boots cannot be read: is damaged"), "{said}");
    assert_eq!((shop.names("disk/profiles/web").len(), shop.names("disk/images").len()), (2, 3));
    fs::write(shop.path("disk/boot/a"), slot).unwrap();
    // The store itself is no medium.
    let output =
        lamina(shop.folder.path(), &["medium", "create", "store", "--profile", "web", "--keep", "1"]);
    fs::create_dir_all(shop.path("store/builds")).unwrap();
    assert!(told(&output).contains("is a store: nothing is removed"), "{}", told(&output));
    assert_eq!((shop.names("store/profiles/web").len(), shop.names("store/images").len()), (3, 3));
    shop.create("web", &["--keep", "1"]);
    assert_eq!((shop.names("disk/profiles/web").len(), shop.names("disk/images").len()), (1, 1));
}

/// A folder that cannot be listed is none that is empty. A link is such a folder for everybody, root too.
#[test]
fn no_image_goes_while_the_generations_of_a_profile_are_not_known() {
    let shop = Shop::new();
    for number in 1..=3 {
        shop.generation("web", number);
        shop.create("web", &["--keep", "3"]);
    }
    std::os::unix::fs::symlink("../images", shop.path("disk/profiles/mail")).unwrap();
    let said = shop.create("web", &["--keep", "1"]);
    assert!(said.contains("profiles/mail cannot be listed: "), "{said}");
    assert_eq!((shop.names("disk/profiles/web").len(), shop.names("disk/images").len()), (1, 3));
    fs::remove_file(shop.path("disk/profiles/mail")).unwrap();
    shop.create("web", &["--keep", "1"]);
    assert_eq!(shop.names("disk/images").len(), 1);
}

/// A name that cannot be looked at may be that of a store's folder: one that leads to itself is so for everybody, root too.
#[test]
fn nothing_goes_where_nobody_can_tell_whether_it_is_a_medium() {
    let shop = Shop::new();
    for number in 1..=2 {
        shop.generation("web", number);
        shop.create("web", &["--keep", "2"]);
    }
    std::os::unix::fs::symlink("builds", shop.path("disk/builds")).unwrap();
    let said = shop.create("web", &["--keep", "1"]);
    assert!(said.contains("nothing is removed: ") && said.contains("disk/builds: "), "{said}");
    assert_eq!((shop.names("disk/profiles/web").len(), shop.names("disk/images").len()), (2, 2));
}

/// Whatever a medium holds, only files of its own are removed.
#[test]
fn nothing_is_removed_through_a_link() {
    let shop = Shop::new();
    let name = shop.generation("web", 1);
    shop.create("web", &[]);
    let other = format!("{}.sqfs", "0".repeat(64));
    fs::create_dir_all(shop.path("elsewhere")).unwrap();
    fs::rename(shop.path("disk/images"), shop.path("elsewhere/images")).unwrap();
    fs::write(shop.path("elsewhere/images").join(&other), "kept").unwrap();
    std::os::unix::fs::symlink(shop.path("elsewhere/images"), shop.path("disk/images")).unwrap();
    std::os::unix::fs::symlink(shop.path("elsewhere"), shop.path("disk/profiles/link")).unwrap();
    fs::write(shop.path("elsewhere/1.kdl"), "kept").unwrap();
    shop.create("web", &[]);
    assert_eq!(fs::read(shop.path("elsewhere/images").join(&other)).unwrap(), b"kept");
    assert!(shop.path("elsewhere/1.kdl").is_file() && shop.path("elsewhere/images").join(name).is_file());
}

/// init follows no link on a medium, and what one names is somebody else's folder.
#[test]
fn nothing_is_written_through_a_link() {
    for name in ["images", "profiles", "profiles/web"] {
        let shop = Shop::new();
        shop.generation("web", 1);
        fs::create_dir(shop.path("elsewhere")).unwrap();
        fs::create_dir_all(shop.path("disk").join(name).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(shop.path("elsewhere"), shop.path("disk").join(name)).unwrap();
        let output = lamina(shop.folder.path(), &["medium", "create", "disk", "--profile", "web"]);
        let message = told(&output);
        assert!(!output.status.success(), "{name}: {message}");
        assert!(message.contains("link") && message.contains("help: "), "{name}: {message}");
        assert_eq!(shop.names("elsewhere"), [] as [&str; 0], "{name}");
    }
}

#[test]
fn a_medium_has_the_images_and_the_newest_generation() {
    let folder = site();
    let made = json(folder.path(), &["image", "create", "site", "--json"]);
    let digest = made["digest"].as_str().unwrap();
    let hex = digest.replace("sha256:", "");
    program::make_store(folder.path());
    let store = folder.path().join("store");
    fs::rename(folder.path().join("site.sqfs"), store.join(format!("images/{hex}.sqfs"))).unwrap();
    fs::create_dir(store.join("profiles/web")).unwrap();
    for generation in [9, 10] {
        let text = format!(
            "profile \"web\" format=1 {{\n    description \"{generation}\"\n    \
             image \"site\" version=\"1\" digest=\"{digest}\" size={}\n    root writable=\"no\"\n    \
             verify \"none\"\n    init \"/init\"\n}}\n",
            made["size"]
        );
        fs::write(store.join(format!("profiles/web/{generation}.kdl")), text).unwrap();
    }
    for _ in 0..2 {
        let output = lamina(folder.path(), &["medium", "create", "disk/lamina", "--profile", "web"]);
        assert!(output.status.success(), "{}", told(&output));
    }
    let disk = folder.path().join("disk/lamina");
    let image = fs::read(disk.join(format!("images/{hex}.sqfs"))).unwrap();
    assert_eq!(image, fs::read(store.join(format!("images/{hex}.sqfs"))).unwrap());
    assert!(disk.join("profiles/web/10.kdl").is_file() && !disk.join("profiles/web/9.kdl").exists());
    for slot in ["a", "b"] {
        assert_eq!(fs::metadata(disk.join("boot").join(slot)).unwrap().len(), 4096);
    }
    let other = fs::read_to_string(store.join("profiles/web/10.kdl")).unwrap().replace("\"10\"", "\"11\"");
    // A medium that was filled from another store: init would go on to boot that generation.
    let create = ["medium", "create", "disk/lamina", "--profile", "web"];
    assert!(!told(&lamina(folder.path(), &create)).contains("warning"));
    fs::write(disk.join("profiles/web/12.kdl"), &other).unwrap();
    let message = told(&lamina(folder.path(), &create));
    assert!(message.contains("warning: disk/lamina/profiles/web/12.kdl: has a higher number"), "{message}");
    fs::write(store.join(format!("images/{hex}.sqfs")), "short").unwrap();
    let message = told(&lamina(folder.path(), &["medium", "create", "other", "--profile", "web"]));
    assert!(
        message.contains(&hex)
            && message.contains("is truncated: it has 5 of ")
            && message.contains("store verify"),
        "{message}"
    );
    let message = told(&lamina(folder.path(), &["medium", "create", "other", "--profile", "mail"]));
    assert!(
        message.contains("profile mail: has not been locked") && message.contains("lamina build mail"),
        "{message}"
    );
}

#[test]
fn a_generation_that_somebody_keeps_stays_however_old_it_gets() {
    let shop = Shop::new();
    let image = shop.generation("web", 1);
    shop.create("web", &[]);
    fs::write(shop.path("disk/profiles/web/1.keep"), "").unwrap();
    for number in [2, 3] {
        shop.generation("web", number);
        shop.create("web", &["--keep", "1"]);
    }
    assert_eq!(shop.names("disk/profiles/web"), ["1.kdl", "1.keep", "3.kdl"]);
    assert!(shop.names("disk/images").contains(&image));
}

#[test]
fn a_signature_travels_with_its_profile_and_that_of_something_else_is_refused() {
    let shop = Shop::new();
    shop.generation("web", 9);
    shop.generation("web", 10);
    let path = |file: &str| shop.path(file);
    let (stored, on_medium) =
        (path("store/profiles/web/10.kdl.minisig"), path("disk/profiles/web/10.kdl.minisig"));
    for key in ["one", "two"] {
        for arguments in
            [&["key", "create", key, "--no-password"][..], &["profile", "sign", "web", "--key", key]]
        {
            let output = lamina(shop.folder.path(), arguments);
            assert!(output.status.success(), "{}", told(&output));
        }
        shop.create("web", &[]);
        assert_eq!(fs::read(&on_medium).unwrap(), fs::read(&stored).unwrap());
    }
    // With it the profile would not boot.
    fs::copy(&stored, path("store/profiles/web/11.kdl.minisig")).unwrap();
    fs::copy(path("store/profiles/web/10.kdl"), path("store/profiles/web/11.kdl")).unwrap();
    let refused = lamina(shop.folder.path(), &["medium", "create", "disk", "--profile", "web"]);
    let message = told(&refused);
    assert!(!refused.status.success() && message.contains("that of generation 10"), "{message}");
    assert!(message.contains("11.kdl.minisig") && message.contains("help: "), "{message}");
    assert!(!path("disk/profiles/web/11.kdl").exists());
    ["11.kdl", "11.kdl.minisig", "10.kdl.minisig"].iter().for_each(|name| {
        fs::remove_file(path("store/profiles/web").join(name)).unwrap();
    });
    // A profile that another store counted as the same generation, not signed: the old signature would refuse it.
    let other = fs::read_to_string(path("store/profiles/web/10.kdl")).unwrap() + "\n";
    fs::write(path("store/profiles/web/10.kdl"), &other).unwrap();
    shop.create("web", &[]);
    assert_eq!(fs::read_to_string(path("disk/profiles/web/10.kdl")).unwrap(), other);
    assert!(!on_medium.exists());
}
