//! Generations on a medium: listed, installed, chosen, kept; and what is there when an installation stops at any of its steps.

mod program;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use boot_entry::{BootEntry, EntryFileName, LoaderConf, grub};
use builder::report::Report;
use builder::store::Store;
use builder::system::esp::Room;
use builder::system::execution;
use builder::system::installed::Installed;
use builder::system::plan::SystemPlan;
use builder::system::request::{NewGeneration, NewKernel, Request};
use builder::system::target::Target;
use disk_image::DiskFile;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use program::{json, lamina, told};

/// A store, and a disk that was made from it, its partitions as folders.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    /// Profiles `web` (generations 1 and 2) and `rescue`.
    fn new() -> Self {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        program::make_store(shop.folder.path());
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
        let made = lamina(shop.folder.path(), &[&arguments[..], &profiles].concat());
        assert!(made.status.success(), "{}", told(&made));
        shop.take_apart();
        shop
    }

    fn path(&self, inside: &str) -> PathBuf {
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
    fn generation(&self, profile: &str, number: u64) {
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

    fn system(&self, arguments: &[&str]) -> std::process::Output {
        let target = ["--medium", "medium", "--esp", "esp"];
        lamina(self.folder.path(), &[&["system"], arguments, &target].concat())
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.system(arguments);
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.system(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    }

    fn listed(&self) -> serde_json::Value {
        let output = self.system(&["list", "--json"]);
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The generations that a mark of `system list --json` holds for.
    fn marked(&self, mark: &str) -> Vec<String> {
        let listed = self.listed();
        let rows = listed.as_array().unwrap().iter().filter(|it| it[mark] == true);
        rows.map(|it| format!("{}/{}", it["profile"].as_str().unwrap(), it["generation"])).collect()
    }

    /// What the slots of the medium say is good.
    fn bless(&self, profile: &str, number: u64) {
        let store = self.path("medium/lamina");
        let slots = boot_ledger::Slots::open(&store).unwrap().unwrap();
        let mut ledger = slots.read().ledger;
        let file = fs::read(store.join(format!("profiles/{profile}/{number}.kdl"))).unwrap();
        let digest = Digest::of(file.as_slice()).unwrap().0;
        ledger.bless(&Name::parse(profile).unwrap(), &boot_ledger::Generation { number, digest });
        slots.write(&ledger).unwrap();
    }

    /// A copy of medium and partition, for one trial.
    fn copy(&self, name: &str) -> Target {
        let folder = self.path(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        self.tool("cp", &["-a", "medium", "esp", name]);
        Target::mounted(&folder.join("medium"), &folder.join("esp")).unwrap()
    }
}

/// All files below a folder, with their bytes.
fn tree(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
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
fn judge(target: &Target, after: &str) {
    let is_file = |path: &str| target.esp.join(path.trim_start_matches('/')).is_file();
    let mut ids = BTreeSet::new();
    for file in fs::read_dir(target.esp.join("loader/entries")).unwrap() {
        let path = file.unwrap().path();
        let Some(name) = EntryFileName::parse(path.file_name().unwrap().to_str().unwrap()) else { continue };
        // systemd-boot shows no entry without a kernel.
        let Ok(entry) = BootEntry::parse(&fs::read(&path).unwrap()) else { continue };
        for file in [&entry.linux].into_iter().chain(&entry.initrd) {
            assert!(is_file(file), "{after}: {}: {file} is missing", path.display());
        }
        let (profile, digest) = entry.boots().unwrap();
        let files = fs::read_dir(target.store.join("profiles").join(profile.as_str())).unwrap();
        let found = files.map(|it| fs::read(it.unwrap().path()).unwrap());
        let bytes = found.into_iter().find(|bytes| Digest::of(bytes.as_slice()).unwrap().0 == digest);
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
        ids.insert(name.id);
    }
    let conf = LoaderConf::parse(&fs::read(target.esp.join("loader/loader.conf")).unwrap());
    assert!(ids.contains(&conf.default.unwrap()), "{after}");
    let shown = fs::read(target.esp.join("grub/grub.cfg")).unwrap();
    let menu = fs::read_to_string(target.esp.join("grub").join(grub::shown_by(&shown).unwrap())).unwrap();
    for path in
        menu.lines().filter_map(|line| line.trim().strip_prefix("linux '")?.split_once('\'')).map(|it| it.0)
    {
        assert!(is_file(path), "{after}: grub: {path} is missing");
    }
}

#[test]
fn a_made_disk_is_listed() {
    let shop = Shop::new();
    assert_eq!(shop.marked("default"), ["web/2"]);
    assert_eq!(shop.marked("last_good"), [""; 0]);
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/2", "web/1"]);
    let text = shop.done(&["list"]);
    let line = text.lines().find(|line| line.starts_with("web/2 ")).unwrap();
    assert!(line.contains("default") && line.contains("2 images") && line.ends_with("web of 2"), "{text}");
    shop.bless("web", 1);
    fs::remove_file(shop.path("medium/lamina/profiles/rescue/1.kdl")).unwrap();
    fs::write(shop.path("medium/lamina/profiles/rescue/1.kdl"), "profile").unwrap();
    let text = shop.done(&["list"]);
    let has = |row: &str, word: &str| text.lines().any(|line| line.starts_with(row) && line.contains(word));
    assert!(has("web/1 ", "last good") && has("rescue/1 ", "damaged"), "{text}");
}

#[test]
fn a_plan_says_each_step_and_does_none() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let before = tree(&shop.path("esp"));
    let plan = shop.done(&["install", "web", "--keep", "2", "--dry-run"]);
    // Words of hexadecimal digits are digests, whole or their beginnings.
    let is_digest = |word: &str| word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = plan.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
        let end =
            word.len() - word.chars().last().filter(|c| !c.is_ascii_alphanumeric()).map_or(0, char::len_utf8);
        if is_digest(&word[..end]) { format!("HEX{}", &word[end..]) } else { word.to_owned() }
    });
    let plain: String = words.collect();
    assert_eq!(
        plain,
        "check 1 image of the medium, 16.0 KiB\n\
         copy the image of own 3, 16.0 KiB\n\
         write profiles/web/3.kdl on the medium\n\
         make the slots that count boots\n\
         write loader/entries/lamina-web-3.conf on the ESP\n\
         write loader/entries/lamina-web-2_-HEX.conf on the ESP\n\
         write grub/menu-HEX.cfg on the ESP\n\
         choose the default in loader/loader.conf\n\
         choose the default in grub/grub.cfg\n\
         remove loader/entries/lamina-web-2.conf from the ESP\n\
         remove loader/entries/lamina-web-1.conf from the ESP\n\
         remove grub/menu-HEX.cfg from the ESP\n\
         remove profiles/web/1.kdl from the medium\n\
         remove images/HEX.sqfs from the medium\n"
    );
    assert!(tree(&shop.path("esp")) == before);
}

#[test]
fn generations_come_and_go_back_and_stay_when_somebody_wants_them() {
    let shop = Shop::new();
    shop.bless("web", 1);
    for number in 3..=6 {
        shop.generation("web", number);
        if number == 4 {
            shop.done(&["keep", "web/3"]);
        }
        let said = shop.done(&["install", "web"]);
        assert!(said.contains(&format!("web/{number} boots by itself")), "{said}");
        judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "install");
    }
    // The newest three, the last good one, and the one that is kept.
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/6", "web/5", "web/4", "web/3", "web/1"]);
    assert_eq!((shop.marked("default"), shop.marked("kept")), (vec!["web/6".into()], vec!["web/3".into()]));
    let entry = fs::read(shop.path("esp/loader/entries/lamina-web-6.conf")).unwrap();
    let entry = BootEntry::parse(&entry).unwrap();
    let of = |path: &str| Digest::of(fs::read(shop.path(path)).unwrap().as_slice()).unwrap().0;
    let fallbacks = entry.fallbacks().into_iter().map(|it| it.1).collect::<Vec<_>>();
    let good = of("medium/lamina/profiles/web/1.kdl");
    assert_eq!(fallbacks, [good, of("medium/lamina/profiles/rescue/1.kdl")]);
    assert!(entry.options.iter().any(|it| it.name() == "lamina.state"), "{:?}", entry.options);
    // Again: nothing is to be done.
    assert_eq!(shop.done(&["install", "web", "--dry-run"]).lines().count(), 2);

    shop.done(&["rollback"]);
    assert_eq!(shop.marked("default"), ["web/1"], "the last good one");
    assert!(shop.refused(&["rollback"]).contains("is the oldest generation on the medium that can boot"));
    shop.done(&["default", "rescue"]);
    assert_eq!(shop.marked("default"), ["rescue/1"]);
    shop.done(&["default", "web/5"]);
    shop.bless("web", 5);
    shop.done(&["rollback", "web"]);
    assert_eq!(shop.marked("default"), ["web/4"]);
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "rollback");

    shop.done(&["keep", "web/3", "--undo"]);
    shop.generation("web", 7);
    shop.done(&["install", "web", "--keep", "1"]);
    // web/4 booted by itself before, and nothing has run 7 yet; 5 is good.
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/7", "web/5"]);
}

#[test]
fn what_is_old_is_collected_and_the_plan_says_why() {
    let shop = Shop::new();
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    let orphan = shop.path(&format!("medium/lamina/images/{}.sqfs", "ab".repeat(32)));
    fs::write(&orphan, "of nobody").unwrap();
    let plan = shop.done(&["gc", "--keep", "2", "--dry-run"]);
    for line in [
        "rescue/1 stays: is the newest",
        "web/3 stays: boots by itself",
        "web/2 stays: one of the newest 2",
        "web/1 goes: older than the newest 2",
        "remove profiles/web/1.kdl from the medium",
    ] {
        assert!(plan.lines().any(|it| it == line), "{line}: {plan}");
    }
    assert!(orphan.exists() && plan.contains("abab.sqfs"), "{plan}");
    shop.done(&["gc", "--keep", "2"]);
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/3", "web/2"]);
    assert!(!orphan.exists());
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "gc");
    // Of a profile that cannot be read nobody knows what it needs.
    fs::write(&orphan, "of nobody").unwrap();
    fs::write(shop.path("medium/lamina/profiles/web/2.kdl"), "profile").unwrap();
    let said = shop.done(&["gc", "--keep", "2"]);
    assert!(said.contains("web/2 cannot be read: no image is removed") && orphan.exists(), "{said}");
}

#[test]
fn two_commands_do_not_change_a_medium_at_once() {
    let shop = Shop::new();
    let held =
        Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap().hold(&Report::default()).unwrap();
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(["system", "default", "web/1", "--medium", "medium", "--esp", "esp"])
        .current_dir(shop.folder.path())
        .env("LAMINA_STORE", shop.path("store"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 1024];
    let length = waiting.stderr.as_mut().unwrap().read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..length]).into_owned();
    assert!(said.contains("waiting for another command"), "{said}");
    assert_eq!(shop.marked("default"), ["web/2"]);
    drop(held);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(shop.marked("default"), ["web/1"]);
}

#[test]
fn two_generations_are_compared() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = shop.system(&[&["diff", "--json"], arguments].concat());
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let found = json(&["web/2", "web"]);
    assert_eq!((&found["before"], &found["after"]), (&"web/2".into(), &"web/3".into()));
    let packages = found["packages"].as_array().unwrap();
    assert_eq!(packages.len(), 1, "{packages:?}");
    assert_eq!((&packages[0]["name"], &packages[0]["before"]["version"]), (&"own".into(), &"2".into()));
    assert_eq!(packages[0]["files"]["changed"][0]["path"], "/who");
    assert_eq!(found["to_copy"], packages[0]["after"]["size"]);
    assert_eq!(
        found["settings"],
        serde_json::json!([{ "name": "description", "before": "web of 2", "after": "web of 3" }])
    );
    // What is on the medium already need not be copied.
    assert_eq!(json(&["web/2", "web/1"])["to_copy"], 0);
    let text = shop.done(&["diff", "web/2", "web", "--files"]);
    let lines = [
        "web/2 -> web/3",
        "~ own 2, 16.0 KiB -> 3, 16.0 KiB; 1 file changed",
        "    ~ /who: contents from byte 4 on, of 5 and 5 bytes",
        "description: web of 2 -> web of 3",
        "images 32.0 KiB -> 32.0 KiB, 16.0 KiB to copy",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    assert!(shop.refused(&["diff", "web/9", "web"]).contains("there are web/2, web/1"));
    let said = told(&lamina(shop.folder.path(), &["system", "diff", "web/9", "web"]));
    assert!(said.contains("web/9: is not in the store") && said.contains("help: "), "{said}");
    let said = told(&lamina(shop.folder.path(), &["system", "diff", "web/1", "rescue", "--files"]));
    assert!(said.contains("profile: web -> rescue"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let shop = Shop::new();
    for (arguments, parts) in [
        (&["default", "web/9"][..], ["web/9: is not on the medium", "there are web/2, web/1"]),
        (&["default", "web/01"], ["its number is none", "write NAME/NUMBER"]),
        (&["default", "../x"], ["'../x': ", "help: "]),
        (&["rollback", "console"], ["profile console: is not on the medium", "system list"]),
        (&["keep", "web"], ["names no generation", "write NAME/NUMBER"]),
        (&["install"], ["no profile is named", "locked profile"]),
        (&["install", "nothing"], ["profile nothing: has not been locked", "lamina build nothing"]),
    ] {
        let said = shop.refused(arguments);
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
    let said = told(&lamina(shop.folder.path(), &["system", "list", "--medium", "esp", "--esp", "esp"]));
    assert!(said.contains("esp: is no medium") && said.contains("help: "), "{said}");
    let said = told(&lamina(shop.folder.path(), &["system", "list", "--medium", "medium"]));
    assert!(said.contains("give its folder with `--esp DIR`"), "{said}");
    fs::remove_dir_all(shop.path("esp/loader/entries")).unwrap();
    shop.generation("web", 3);
    assert!(shop.refused(&["install", "web"]).contains("nothing says how it is booted"));
}

#[test]
fn entries_of_others_stay_and_so_do_their_kernels() {
    let shop = Shop::new();
    let entries = shop.path("esp/loader/entries");
    let linux = format!("lamina/linux-{}", "ab".repeat(32));
    fs::write(shop.path("esp").join(&linux), "of another medium").unwrap();
    fs::write(entries.join("debian.conf"), "title Debian\nlinux /vmlinuz\n").unwrap();
    let other = format!(
        "title x\nlinux /{linux}\noptions lamina.profile=web@sha256:{} lamina.store=LABEL=OTHER\n",
        "cd".repeat(32)
    );
    fs::write(entries.join("lamina-web-9.conf"), other).unwrap();
    fs::write(entries.join("lamina-torn-1.conf"), "title").unwrap();
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    assert!(entries.join("debian.conf").exists() && entries.join("lamina-web-9.conf").exists());
    assert!(shop.path("esp").join(&linux).exists() && !entries.join("lamina-torn-1.conf").exists());
    assert_eq!(shop.marked("default"), ["web/3"]);
}

/// Stops an installation with a new kernel before each of its steps, and, as a power cut would, with the file of that step torn.
#[test]
fn whatever_step_it_stops_at_something_whole_boots_and_the_same_command_goes_on() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let store = Store::open(&shop.path("store")).unwrap();
    let report = Report::default();
    let make = |target: &Target| {
        let installed = Installed::read(target).unwrap();
        let web = Name::parse("web").unwrap();
        let new = vec![NewGeneration::newest(&store, target, &installed, &web).unwrap()];
        let file = |kind: &str| {
            let digest = Digest::of(kind.as_bytes()).unwrap().0;
            let path = format!("lamina/{kind}-{}", digest.hex());
            DiskFile { digest: Some(digest), ..DiskFile::bytes(path, kind.as_bytes()) }
        };
        let kernel = NewKernel { release: "6.12".into(), linux: file("linux"), initrd: file("initrd") };
        let default = Some((web.clone(), new[0].number));
        let keep = Some((vec![web], 1.try_into().unwrap()));
        let request = Request { new, kernel: Some(kernel), default, keep, ..Request::default() };
        SystemPlan::make(&installed, &request, Room::of(&target.store).unwrap()).unwrap()
    };
    let whole = shop.copy("whole");
    let plan = make(&whole);
    execution::carry_out(&plan, &whole, &report, &mut |_| Ok(())).unwrap();
    judge(&whole, "all of it");
    let (medium, esp) = (tree(&whole.store.join("profiles")), tree(&whole.esp));
    assert!(plan.steps.len() > 12, "{:?}", plan.steps);
    for at in 0..plan.steps.len() {
        for torn in [false, true] {
            let target = shop.copy("trial");
            let mut count = 0;
            let mut torn_file = None;
            let stopped = execution::carry_out(&make(&target), &target, &report, &mut |step| {
                count += 1;
                if count <= at {
                    return Ok(());
                }
                torn_file = step.new_file(&target);
                Err(builder::Error::new("test", "stopped"))
            });
            assert!(stopped.is_err());
            let after = format!("stopped before '{}', torn: {torn}", plan.steps[at]);
            if let Some(path) = torn_file.filter(|_| torn) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                File::create(&path).unwrap().write_all(b"to").unwrap();
            }
            judge(&target, &after);
            execution::carry_out(&make(&target), &target, &report, &mut |_| Ok(())).unwrap();
            judge(&target, &format!("{after}, then done"));
            assert!(tree(&target.store.join("profiles")) == medium, "{after}");
            // Names of entries may differ, for a torn one has its own; what they say does not.
            let texts = |tree: &BTreeSet<(PathBuf, Vec<u8>)>| {
                let conf = |it: &&(PathBuf, Vec<u8>)| {
                    !it.0.starts_with("loader/loader.conf") && !it.0.starts_with("grub")
                };
                tree.iter().filter(conf).map(|it| it.1.clone()).collect::<BTreeSet<_>>()
            };
            assert!(texts(&tree(&target.esp)) == texts(&esp), "{after}");
        }
    }
}

#[test]
fn a_partition_that_would_get_too_full_is_refused_before_anything_is_written() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let store = Store::open(&shop.path("store")).unwrap();
    let target = shop.copy("trial");
    let mut installed = Installed::read(&target).unwrap();
    let web = Name::parse("web").unwrap();
    let new = vec![NewGeneration::newest(&store, &target, &installed, &web).unwrap()];
    let request = Request { new, default: Some((web, 3)), ..Request::default() };
    installed.esp.room = Room { free: 4 * 512, cluster: 512 };
    let error =
        SystemPlan::make(&installed, &request, Room::of(&target.store).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("the EFI system partition: has 2.0 KiB free, and "), "{error}");
    assert!(error.contains("help: "), "{error}");
    let error =
        SystemPlan::make(&installed, &request, Room { free: 4096, cluster: 4096 }).unwrap_err().to_string();
    assert!(error.starts_with("the medium: has 4.0 KiB free, and the images take 16.0 KiB"), "{error}");
}
