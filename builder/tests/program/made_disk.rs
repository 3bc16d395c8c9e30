//! A disk by `lamina disk create`, with its partitions as folders; and what a loader and init would find in them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use boot_entry::{BootEntry, EntryFileName, LoaderConf, grub};
use builder::system::target::Target;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};

use super::{json, lamina, told};

/// A store, and a disk that was made from it, its partitions as folders.
pub struct Shop {
    pub folder: tempfile::TempDir,
}

impl Shop {
    /// Profiles `web` (generations 1 and 2) and `rescue`.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with these options of `disk create`.
    pub fn with(options: &[&str]) -> Self {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        super::make_store(shop.folder.path());
        shop.generation("web", 1);
        shop.generation("web", 2);
        shop.generation("rescue", 1);
        fs::create_dir_all(shop.path("kernel/boot")).unwrap();
        fs::create_dir_all(shop.path("kernel/lib/modules/6.1.0-test")).unwrap();
        fs::write(shop.path("kernel/boot/vmlinuz-6.1.0-test"), "a kernel").unwrap();
        fs::write(shop.path("kernel/lib/modules/6.1.0-test/modules.builtin"), "").unwrap();
        fs::write(shop.path("initramfs"), "an initramfs").unwrap();
        let arguments = ["disk", "create", "disk.img", "--kernel", "kernel", "--initramfs", "initramfs"];
        let profiles = ["--profile", "web", "--profile", "rescue", "--generations", "2", "--state", "20M"];
        let made = lamina(shop.folder.path(), &[&arguments[..], &profiles, options].concat());
        assert!(made.status.success(), "{}", told(&made));
        shop.take_apart();
        shop
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The partitions of the disk, as the folders `esp` and `medium`.
    fn take_apart(&self) {
        let found = json(self.folder.path(), &["disk", "inspect", "disk.img", "--json"]);
        for partition in found["partitions"].as_array().unwrap() {
            let (start, size) = (partition["start"].as_u64().unwrap(), partition["size"].as_u64().unwrap());
            let mut disk = File::open(self.path("disk.img")).unwrap();
            disk.seek(SeekFrom::Start(start)).unwrap();
            let part = File::create(self.path(partition["name"].as_str().unwrap())).unwrap();
            std::io::copy(&mut disk.take(size), &mut &part).unwrap();
        }
        fs::create_dir_all(self.path("esp")).unwrap();
        fs::create_dir_all(self.path("medium")).unwrap();
        self.tool("mcopy", &["-s", "-n", "-i", "lamina-esp", "::/", "esp"]);
        self.tool("debugfs", &["-R", "rdump /lamina medium", "lamina-store"]);
        assert!(self.path("esp/loader/loader.conf").exists() && self.path("medium/lamina/profiles").exists());
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(program).args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", told(&output));
    }

    /// Locks a generation, with an image that all have and one of its own.
    pub fn generation(&self, profile: &str, number: u64) {
        let image = |name: &str, text: &str| {
            let site = self.path("site");
            fs::create_dir_all(&site).unwrap();
            fs::write(site.join("who"), text).unwrap();
            let create = ["image", "create", "site", "-o", "image", "--time", "0", "--json"];
            let made = json(self.folder.path(), &create);
            let (digest, verity) = (made["digest"].as_str().unwrap(), &made["verity"]);
            let file = self.path(&format!("store/images/{}.sqfs", &digest["sha256:".len()..]));
            fs::rename(self.path("image"), file).unwrap();
            format!(
                "    image \"{name}\" version=\"{number}\" digest=\"{digest}\" size={} root-hash={} salt={} data-blocks={} fec-roots={}\n",
                made["size"], verity["root_hash"], verity["salt"], verity["data_blocks"], verity["fec_roots"]
            )
        };
        let images = format!("{}{}", image("base", "all"), image("own", &format!("{profile} {number}")));
        let text = format!(
            "profile \"{profile}\" format=1 {{\n    description \"{profile} of {number}\"\n{images}    root writable=\"tmpfs\"\n    \
             verify \"verity\"\n    init \"/init\"\n}}\n"
        );
        fs::create_dir_all(self.path("store/profiles").join(profile)).unwrap();
        fs::write(self.path(&format!("store/profiles/{profile}/{number}.kdl")), text).unwrap();
    }

    pub fn system(&self, arguments: &[&str]) -> std::process::Output {
        let target = ["--medium", "medium", "--esp", "esp"];
        lamina(self.folder.path(), &[&["system"], arguments, &target].concat())
    }

    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.system(arguments);
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }

    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.system(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    }

    pub fn listed(&self) -> serde_json::Value {
        let output = self.system(&["list", "--json"]);
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The generations that a mark of `system list --json` holds for.
    pub fn marked(&self, mark: &str) -> Vec<String> {
        let listed = self.listed();
        let rows = listed.as_array().unwrap().iter().filter(|it| it[mark] == true);
        rows.map(|it| format!("{}/{}", it["profile"].as_str().unwrap(), it["generation"])).collect()
    }

    /// What the slots of the medium say is good.
    pub fn bless(&self, profile: &str, number: u64) {
        let store = self.path("medium/lamina");
        let slots = boot_ledger::Slots::open(&store).unwrap().unwrap();
        let mut ledger = slots.read().ledger;
        let file = fs::read(store.join(format!("profiles/{profile}/{number}.kdl"))).unwrap();
        let digest = Digest::of(file.as_slice()).unwrap().0;
        ledger.bless(&Name::parse(profile).unwrap(), &boot_ledger::Generation { number, digest });
        slots.write(&ledger).unwrap();
    }

    /// A copy of medium and partition, for one trial.
    pub fn copy(&self, name: &str) -> Target {
        let folder = self.path(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        self.tool("cp", &["-a", "medium", "esp", name]);
        Target::mounted(&folder.join("medium"), &folder.join("esp")).unwrap()
    }
}

/// All files below a folder, with their bytes.
pub fn tree(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let inside = entry.path().strip_prefix(folder).unwrap().to_owned();
                    found.insert((inside, fs::read(entry.path()).unwrap()));
                }
            }
        }
    }
    found
}

/// What a loader and init would do: every entry that is shown finds all that it names, and the one that boots by itself is there.
pub fn judge(target: &Target, after: &str) {
    let is_file = |path: &str| target.esp.join(path.trim_start_matches('/')).is_file();
    let mut names = Vec::new();
    for file in fs::read_dir(target.esp.join("loader/entries")).unwrap() {
        let file = file.unwrap();
        if !file.file_type().unwrap().is_file() {
            continue;
        }
        let path = file.path();
        let Some(name) = EntryFileName::parse(path.file_name().unwrap().to_str().unwrap()) else { continue };
        // systemd-boot shows no entry without a kernel.
        let Ok(entry) = BootEntry::parse(&fs::read(&path).unwrap()) else { continue };
        for file in [&entry.linux].into_iter().chain(&entry.initrd) {
            assert!(is_file(file), "{after}: {}: {file} is missing", path.display());
        }
        let (profile, digest) = entry.boots().unwrap();
        let files = fs::read_dir(target.store.join("profiles").join(profile.as_str())).unwrap();
        // A folder or a link is no generation.
        let files = files.map(Result::unwrap).filter(|it| it.file_type().unwrap().is_file());
        let mut found = files.map(|it| fs::read(it.path()).unwrap());
        let bytes = found.find(|bytes| Digest::of(bytes.as_slice()).unwrap().0 == digest);
        let bytes =
            bytes.unwrap_or_else(|| panic!("{after}: {}: {profile}@{digest} is missing", path.display()));
        for image in BootProfile::parse("it", &bytes).unwrap().images {
            let image = target.store.join(format!("images/{}.sqfs", image.digest.hex()));
            let read =
                Digest::of(File::open(&image).unwrap_or_else(|_| panic!("{after}: {}", image.display())));
            assert_eq!(
                format!("{}.sqfs", read.unwrap().0.hex()),
                *image.file_name().unwrap().to_str().unwrap()
            );
        }
        names.push(name);
    }
    let conf = LoaderConf::parse(&fs::read(target.esp.join("loader/loader.conf")).unwrap());
    assert!(conf.is_last() || names.iter().any(|name| conf.means(name)), "{after}");
    let shown = fs::read(target.esp.join("grub/grub.cfg")).unwrap();
    let menu = fs::read_to_string(target.esp.join("grub").join(grub::shown_by(&shown).unwrap())).unwrap();
    for path in
        menu.lines().filter_map(|line| line.trim().strip_prefix("linux '")?.split_once('\'')).map(|it| it.0)
    {
        assert!(is_file(path), "{after}: grub: {path} is missing");
    }
}
