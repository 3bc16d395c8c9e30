//! Kernels that profiles can name: what an import makes of a package, and what a profile makes of a kernel.

mod kernel;
mod program;
mod record;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use builder::profile::folder::ProfileFolder;
use builder::profile::lock::{self, Builds, Locked};
use builder::store::{BuildRecord, Store, generations};
use profiles::Name;
use profiles::resolved::BootProfile;
use program::{json, lamina, told};
use squashfs::{Image, Kind, Tree};

const RELEASE: &str = "6.1.0-test";

/// A folder with an unpacked kernel, `kernel`.
fn shop() -> tempfile::TempDir {
    let shop = tempfile::tempdir().unwrap();
    kernel::folder(&shop.path().join("kernel"), RELEASE);
    shop
}

fn import(shop: &Path) -> serde_json::Value {
    json(shop, &["kernel", "import", "kernel", "--name", "linux-test", "--json"])
}

fn image_of(shop: &Path, imported: &serde_json::Value) -> Image {
    let digest = imported["modules"]["digest"].as_str().unwrap();
    let file = format!("store/images/{}.sqfs", digest.strip_prefix("sha256:").unwrap());
    Image::open(&shop.join(file)).unwrap()
}

fn text(image: &Image, path: &str) -> String {
    String::from_utf8_lossy(&image.read(path.as_bytes()).unwrap()).into_owned()
}

#[test]
fn an_import_gives_a_kernel_and_an_image_of_its_modules_and_the_same_bytes_each_time() {
    let (one, other) = (shop(), shop());
    let (first, second) = (import(one.path()), import(other.path()));
    assert_eq!(first, second);
    assert_eq!(first["release"], RELEASE);
    let file = first["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert_eq!(
        fs::read_to_string(one.path().join("store/kernels").join(file)).unwrap(),
        format!("the kernel {RELEASE}")
    );
    let image = image_of(one.path(), &first);
    let modules = format!("usr/lib/modules/{RELEASE}");
    let mut files: Vec<String> = image
        .walk()
        .map(Result::unwrap)
        .filter(|item| matches!(item.kind, Kind::File(_)))
        .map(|item| String::from_utf8(item.path).unwrap())
        .filter(|path| !path.contains("modules.") || path.ends_with("modules.dep"))
        .collect();
    files.sort();
    let inside = |name: &str| format!("{modules}/{name}");
    let expected = ["config", "kernel/lib/low.ko", "kernel/net/high.ko", "modules.dep"].map(inside);
    assert_eq!(files, [&["usr/lib/firmware/a card of 1.bin".to_owned()], &expected[..]].concat());
    assert!(text(&image, "usr/share/lamina/linux-test-modules.kdl").contains("version \"6.1.0-test\""));
    let dep = text(&image, &inside("modules.dep"));
    assert!(dep.contains("kernel/net/high.ko: kernel/lib/low.ko\n"), "{dep}");
    assert_eq!(text(&image, &inside("modules.order")), "kernel/net/high.ko\nkernel/lib/low.ko\n");
    // A second time it is known.
    assert_eq!(import(one.path()), first);
    let listed = json(one.path(), &["kernel", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().iter().filter(|it| it["imported"] == true).count(), 1);
}

#[test]
fn links_of_firmware_are_links_of_the_image_and_what_is_left_out_is_told() {
    use std::os::unix::fs::symlink;
    let shop = shop();
    let before = import(shop.path());
    let firmware = shop.path().join("kernel/lib/firmware");
    fs::create_dir(firmware.join("new")).unwrap();
    fs::write(firmware.join("new/card.bin"), "card").unwrap();
    symlink("new", firmware.join("old")).unwrap();
    symlink("/lib/firmware/new/card.bin", firmware.join("new/second.bin")).unwrap();
    symlink("/etc/passwd", firmware.join("passwd")).unwrap();
    let output = lamina(shop.path(), &["kernel", "import", "kernel", "--name", "linux-test"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let left_out =
        "kernel linux-test: left out: lib/firmware/passwd leads to /etc/passwd, which is not there\n";
    assert!(told(&output).contains(left_out), "{}", told(&output));
    // The links to sources are no loss.
    assert_eq!(told(&output).matches("left out").count(), 1, "{}", told(&output));
    let imported = import(shop.path());
    assert_ne!(imported["modules"], before["modules"]);
    let links: Vec<(String, String)> = image_of(shop.path(), &imported)
        .walk()
        .map(Result::unwrap)
        .filter_map(|item| match item.kind {
            Kind::Symlink(target) => {
                Some((String::from_utf8(item.path).unwrap(), String::from_utf8(target).unwrap()))
            }
            _ => None,
        })
        .collect();
    let link = |path: &str, target: &str| (format!("usr/lib/firmware/{path}"), target.to_owned());
    assert_eq!(links, [link("new/second.bin", "card.bin"), link("old", "new")]);
}

/// depmod's own word for it: the tools of a system find what the image has.
#[test]
fn modprobe_finds_the_modules_of_the_image() {
    let shop = shop();
    let imported = import(shop.path());
    let root = shop.path().join("root");
    image_of(shop.path(), &imported).unpack(&root, &squashfs::UnpackOptions::user()).unwrap();
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    let modprobe = |name: &str| {
        let mut command = Command::new("/usr/sbin/modprobe");
        command.args(["--dirname".as_ref(), root.as_os_str()]).args([
            "--set-version",
            RELEASE,
            "--show-depends",
            name,
        ]);
        let output = command.output().unwrap();
        (output.status.success(), told(&output))
    };
    let (found, said) = modprobe("high");
    assert!(found, "{said}");
    let lines: Vec<&str> = said.lines().map(|line| line.trim().rsplit('/').next().unwrap()).collect();
    assert_eq!(lines, ["low.ko", "high.ko"], "{said}");
    assert!(modprobe("pci:high1").0);
}

#[test]
fn what_is_no_kernel_for_profiles_is_refused_with_what_helps() {
    let shop = shop();
    let refused = |arguments: &[&str]| {
        let output = lamina(shop.path(), &[&["kernel", "import"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    };
    assert!(refused(&["nothing/here"]).contains("nothing/here: does not exist"));
    assert!(refused(&["6.13"]).contains("kernel 6.13: is not in the list"));
    assert!(refused(&["kernel", "--name", "a b"]).contains("'a b': the name holds ' '"));
    let long = "k".repeat(60);
    assert!(refused(&["kernel", "--name", &long]).contains("give it a shorter name with `--name NAME`"));
    let modules = shop.path().join("kernel/lib/modules").join(RELEASE);
    fs::write(modules.join("a\nb"), "").unwrap();
    assert!(refused(&["kernel"]).contains("a\\nb: has a name that no file of a kernel has"));
    fs::remove_file(modules.join("a\nb")).unwrap();
    fs::write(modules.join("kernel/lib/low.ko"), "twice").unwrap();
    assert!(refused(&["kernel"]).contains("kernel/lib/low.ko.xz: is there twice"));
    fs::remove_file(modules.join("kernel/lib/low.ko")).unwrap();
    fs::remove_file(shop.path().join("kernel/boot").join(format!("vmlinuz-{RELEASE}"))).unwrap();
    assert!(refused(&["kernel"]).contains("it has no kernel image"));
    // Nothing of all that is left.
    assert!(!shop.path().join("store/kernels").exists() && !shop.path().join("store/images").exists());
}

/// A tree in which the profile `web` boots on the imported kernel.
struct PinnedTree {
    shop: tempfile::TempDir,
    store: Store,
}

impl PinnedTree {
    fn new() -> PinnedTree {
        let shop = shop();
        import(shop.path());
        let store = Store::open(&shop.path().join("store")).unwrap();
        PinnedTree { shop, store }
    }

    fn base(&self) -> BuildRecord {
        let mut tree = Tree::new();
        use builder::kernel::module_tree::{insert, insert_folders};
        insert_folders(&mut tree, "usr/lib/x").unwrap();
        insert(&mut tree, "lib", Kind::Symlink(b"usr/lib".to_vec())).unwrap();
        insert(&mut tree, "init", Kind::File(b"#!/init\n".to_vec().into())).unwrap();
        tree.metadata_mut(b"init").unwrap().unwrap().mode = 0o755;
        kernel::put(&self.store, "base", &tree)
    }

    fn lock(&self, stack: &[&BuildRecord], optional: &[&BuildRecord]) -> builder::Result<Locked> {
        self.lock_with("kernel \"linux-test\"", stack, optional)
    }

    fn lock_with(
        &self,
        line: &str,
        stack: &[&BuildRecord],
        optional: &[&BuildRecord],
    ) -> builder::Result<Locked> {
        let file = self.shop.path().join("web.kdl");
        fs::write(
            &file,
            format!("profile \"web\" {{\n    {line}\n    verify \"verity\"\n    init \"/init\"\n}}\n"),
        )
        .unwrap();
        let composition = ProfileFolder::new(self.shop.path().to_owned()).compose_file(&file)?;
        let builds = Builds { stack: stack.to_vec(), optional: optional.to_vec() };
        lock::lock(&composition, &builds, &self.store, NonZero::<usize>::MIN)
    }

    fn refused(&self, stack: &[&BuildRecord], optional: &[&BuildRecord]) -> String {
        self.lock(stack, optional).unwrap_err().to_string()
    }

    fn open(&self, locked: &Locked, name: &str) -> Image {
        locked.publish_images(&self.store).unwrap();
        let image = locked.profile.images.iter().find(|it| it.name.as_str() == name).unwrap();
        Image::open(&self.store.image_path(&image.digest)).unwrap()
    }
}

fn names(profile: &BootProfile) -> Vec<&str> {
    profile.images.iter().map(|it| it.name.as_str()).collect()
}

#[test]
fn a_locked_profile_pins_the_kernel_and_has_its_modules_at_the_bottom() {
    let tree = PinnedTree::new();
    let base = tree.base();
    let locked = tree.lock(&[&base], &[]).unwrap();
    assert_eq!(names(&locked.profile), ["linux-test-modules", "base"]);
    let pin = locked.profile.kernel.as_ref().unwrap();
    assert_eq!((pin.name.as_str(), pin.release.as_str()), ("linux-test", RELEASE));
    assert!(locked.profile.to_kdl().starts_with("profile \"web\" format=2 {\n    kernel \"linux-test\""));
    locked.publish_images(&tree.store).unwrap();
    assert_eq!(generations::publish(&tree.store, &locked.profile).unwrap(), (1, true));
    // Without the node it is what it was in every version.
    let without = tree.lock_with("", &[&base], &[]).unwrap();
    assert_eq!(names(&without.profile), ["base"]);
    assert!(without.profile.to_kdl().starts_with("profile \"web\" format=1 {\n    image \"base\""));
}

#[test]
fn a_kernel_that_was_not_imported_is_told_at_its_line_with_the_nearest_name() {
    let tree = PinnedTree::new();
    let base = tree.base();
    let error = tree.lock_with("kernel \"linux-tset\"", &[&base], &[]).unwrap_err().to_string();
    assert!(error.contains("web.kdl:2:"), "{error}");
    for part in [
        "no kernel was imported as 'linux-tset'",
        "did you mean 'linux-test'?",
        "`lamina kernel import KERNEL --name linux-tset`",
    ] {
        assert!(error.contains(part), "{part}\nnot in: {error}");
    }
}

#[test]
fn the_indexes_of_several_images_with_modules_are_merged() {
    let tree = PinnedTree::new();
    let extra = kernel::module("extra", "extra_symbol", Some("high_symbol"));
    let place = format!("usr/lib/modules/{RELEASE}/extra/extra.ko");
    // As `make modules_install` leaves it: indexes that know its own module alone.
    let dep = format!("usr/lib/modules/{RELEASE}/modules.dep");
    let package = kernel::package(&tree.store, "extra", &[(&place, &extra), (&dep, b"extra/extra.ko:\n")]);
    let base = tree.base();
    let locked = tree.lock(&[&base, &package], &[]).unwrap();
    assert_eq!(names(&locked.profile), ["linux-test-modules", "base", "extra", "module-indexes-web"]);
    let image = tree.open(&locked, "module-indexes-web");
    let dep = text(&image, &dep);
    assert!(dep.contains("extra/extra.ko: kernel/net/high.ko kernel/lib/low.ko\n"), "{dep}");
    assert!(dep.contains("kernel/net/high.ko: kernel/lib/low.ko\n"), "{dep}");
    // Locked again it is the same, and nothing is made.
    let again = tree.lock(&[&base, &package], &[]).unwrap();
    assert_eq!(again.profile, locked.profile);
}

#[test]
fn where_lib_is_a_folder_a_link_leads_to_the_modules() {
    let tree = PinnedTree::new();
    let base = kernel::package(&tree.store, "base", &[("init", b"#!/init\n"), ("lib/libc.so", b"x")]);
    let locked = tree.lock(&[&base], &[]).unwrap();
    let image = tree.open(&locked, "module-indexes-web");
    let found = image.find(b"lib/modules").unwrap().unwrap();
    assert_eq!(found.kind, Kind::Symlink(b"../usr/lib/modules".to_vec()));
}

#[test]
fn modules_that_do_not_belong_to_the_kernel_are_refused_with_the_image() {
    let tree = PinnedTree::new();
    let base = tree.base();
    let module = kernel::module("extra", "extra_symbol", None);
    let package = |path: &str| kernel::package(&tree.store, "extra", &[(path, &module)]);
    let of_another = package("usr/lib/modules/6.12.0/extra/extra.ko");
    let told = tree.refused(&[&base, &of_another], &[]);
    assert!(
        told.contains(
            "profile web: the image extra has modules for 6.12.0, and its kernel linux-test is 6.1.0-test"
        ),
        "{told}"
    );
    let own = package(&format!("usr/lib/modules/{RELEASE}/extra/extra.ko"));
    assert!(tree.refused(&[&base], &[&own]).contains("move it from `optional` to `packages`"));
    let same = package(&format!("usr/lib/modules/{RELEASE}/kernel/net/high.ko"));
    let told = tree.refused(&[&base, &same], &[]);
    assert!(told.contains("/kernel/net/high.ko: extra hides that of linux-test-modules"), "{told}");
    let called_so = kernel::package(&tree.store, "linux-test-modules", &[("srv/x", b"x")]);
    assert!(tree.refused(&[&base, &called_so], &[]).contains("give the package or the kernel another name"));
}

#[test]
fn a_kernel_stays_in_the_store_as_long_as_anything_names_it() {
    let tree = PinnedTree::new();
    let (shop, base) = (tree.shop.path(), tree.base());
    let locked = tree.lock(&[&base], &[]).unwrap();
    generations::publish(&tree.store, &locked.profile).unwrap();
    let first = locked.profile.kernel.clone().unwrap();
    // A newer kernel under the same name.
    fs::remove_dir_all(shop.join("kernel")).unwrap();
    kernel::folder(&shop.join("kernel"), "6.1.1-test");
    import(shop);
    let second = tree.store.kernel(&Name::parse("linux-test").unwrap()).unwrap().unwrap();
    fs::create_dir_all(shop.join("packages")).unwrap();
    fs::create_dir_all(shop.join("profiles")).unwrap();
    let gc = || {
        let done = lamina(shop, &["--tree", ".", "store", "gc", "--grace", "0", "--keep", "1"]);
        assert!(done.status.success(), "{}", told(&done));
    };
    gc();
    assert!(tree.store.require_kernel(&first).is_ok() && tree.store.require_kernel(&second.pin).is_ok());
    assert!(tree.store.modules_of(&second).is_ok());
    let why =
        lamina(shop, &["--tree", ".", "store", "list", "--why", &format!("kernels/{}", first.digest.hex())]);
    assert!(told(&why).contains("profile web/1 boots on it"), "{}", told(&why));
    fs::remove_dir_all(shop.join("store/profiles/web")).unwrap();
    gc();
    assert!(tree.store.require_kernel(&first).is_err() && tree.store.require_kernel(&second.pin).is_ok());
    let sound = lamina(shop, &["store", "verify"]);
    assert!(sound.status.success() && told(&sound).contains("1 kernel"), "{}", told(&sound));
    fs::write(tree.store.kernel_path(&second.pin.digest), "another kernel").unwrap();
    let damaged = told(&lamina(shop, &["store", "verify"]));
    assert!(damaged.contains("the file was changed or damaged"), "{damaged}");
}

/// A record that somebody has edited.
#[test]
fn modules_of_another_kernel_are_damage() {
    let folder = shop();
    let shop = folder.path();
    import(shop);
    kernel::folder(&shop.join("other"), "6.2.0-test");
    let done = lamina(shop, &["kernel", "import", "other", "--name", "linux-other"]);
    assert!(done.status.success(), "{}", told(&done));
    let text = |name: &str| fs::read_to_string(shop.join(format!("store/kernels/{name}.kdl"))).unwrap();
    let id = |text: &str| text.split("id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (own, other) = (text("linux-test"), text("linux-other"));
    fs::write(shop.join("store/kernels/linux-test.kdl"), own.replace(&id(&own), &id(&other))).unwrap();
    let damaged = told(&lamina(shop, &["store", "verify"]));
    assert!(
        damaged.contains("kernel linux-test: its record names an image that is not that of its modules"),
        "{damaged}"
    );
}
