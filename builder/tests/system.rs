//! Generations on a medium: listed, installed, chosen, kept, compared and collected.

mod program;

use std::fs;
use std::io::Read;
use std::process::Command;

use boot_entry::BootEntry;
use builder::report::Report;
use builder::system::target::Target;
use profiles::Digest;
use program::made_disk::{Shop, judge, tree};
use program::{lamina, told};

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
         check lamina/initrd-HEX on the ESP\n\
         check lamina/linux-HEX on the ESP\n\
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

/// A folder that cannot be listed is none that is empty. A link is such a folder for everybody, root too.
#[test]
fn nothing_goes_while_the_generations_of_a_profile_are_not_known() {
    let shop = Shop::new();
    fs::create_dir_all(shop.path("medium/elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", shop.path("medium/lamina/profiles/mail")).unwrap();
    let before = (tree(&shop.path("esp")), fs::read_dir(shop.path("medium/lamina/images")).unwrap().count());
    shop.generation("web", 3);
    for arguments in [&["gc", "--keep", "1"][..], &["install", "web", "--keep", "1"]] {
        let said = shop.refused(arguments);
        assert!(said.contains("profiles/mail cannot be listed: "), "{said}");
    }
    let after = (tree(&shop.path("esp")), fs::read_dir(shop.path("medium/lamina/images")).unwrap().count());
    assert!(before == after);
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
    assert_eq!(shop.done(&["install", "web", "--dry-run"]).lines().count(), 4);

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
    // Without its image nobody knows what becomes of files; all else is told.
    let own = packages[0]["after"]["digest"].as_str().unwrap();
    fs::remove_file(shop.path(&format!("store/images/{}.sqfs", &own["sha256:".len()..]))).unwrap();
    let text = shop.done(&["diff", "web/2", "web"]);
    assert!(text.contains("what becomes of its files is not known: an image is not at hand"), "{text}");
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
fn a_new_generation_may_have_a_kernel_of_its_own() {
    let shop = Shop::new();
    shop.generation("web", 3);
    fs::write(shop.path("kernel/boot/vmlinuz-6.1.0-test"), "a newer kernel").unwrap();
    let kernel = ["install", "web", "--kernel", "kernel", "--initramfs", "initramfs"];
    assert!(shop.refused(&kernel[..4]).contains("--kernel: is of no use without --initramfs"));
    let plan = shop.done(&[&kernel[..], &["--dry-run"]].concat());
    // The initramfs has not changed: it is there already, and only looked at.
    assert!(plan.contains("copy lamina/linux-") && plan.contains("check lamina/initrd-"), "{plan}");
    shop.done(&kernel);
    let linux = |number: u64| {
        let names = fs::read_dir(shop.path("esp/loader/entries")).unwrap().map(|it| it.unwrap().path());
        let of = format!("lamina-web-{number}");
        let path =
            names.into_iter().find(|it| it.file_name().unwrap().to_string_lossy().starts_with(&of)).unwrap();
        let linux = BootEntry::parse(&fs::read(path).unwrap()).unwrap().linux;
        fs::read_to_string(shop.path("esp").join(linux.trim_start_matches('/'))).unwrap()
    };
    assert_eq!([linux(3), linux(2)], ["a newer kernel", "a kernel"]);
    shop.done(&["gc", "--keep", "1"]);
    assert_eq!(
        fs::read_dir(shop.path("esp/lamina")).unwrap().count(),
        3,
        "the rescue has the old kernel still"
    );
}

#[test]
fn an_update_says_what_it_would_build_lock_and_install() {
    let shop = Shop::new();
    let of_ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    let before = tree(&shop.path("esp"));
    let plan = shop.done(&["update", "--dry-run", "--tree", &of_ours]);
    assert!(plan.contains("busybox") && plan.contains("lock web, and install it when it is new"), "{plan}");
    assert!(plan.contains("lock rescue"), "{plan}");
    assert!(tree(&shop.path("esp")) == before);
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
