//! The menu of a medium: tries that are counted, entries and settings of others.

mod program;

use std::fs;

use boot_entry::{BootEntry, GrubTries};
use builder::system::target::Target;
use program::made_disk::{Shop, judge, tree};

#[test]
fn a_menu_that_counts_tries_goes_on_counting() {
    let shop = Shop::with(&["--tries", "3"]);
    let entry = |name: &str| shop.path("esp/loader/entries").join(name);
    let default = || fs::read_to_string(shop.path("esp/loader/loader.conf")).unwrap();
    assert!(
        entry("lamina-web-2+3-0.conf").exists() && default().contains("default lamina-web-[0-9]*.conf\n")
    );
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    assert_eq!(shop.marked("default"), ["web/3"]);
    assert!(
        entry("lamina-web-3+3-0.conf").exists() && default().contains("default lamina-web-[0-9]*.conf\n")
    );
    // It came up.
    fs::rename(entry("lamina-web-3+3-0.conf"), entry("lamina-web-3.conf")).unwrap();
    assert_eq!(shop.marked("default"), ["web/3"]);
    shop.done(&["rollback", "web"]);
    assert_eq!(shop.marked("default"), ["web/2"]);
    assert!(default().contains("\ndefault lamina-web-2_-"), "{}", default());
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "rollback");
    shop.generation("web", 4);
    shop.done(&["install", "web"]);
    let names: Vec<_> = fs::read_dir(entry("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    let counted = |id: &str| {
        let of = |it: &&std::ffi::OsString| it.to_str().unwrap().starts_with(id);
        names.iter().filter(of).map(|it| it.to_str().unwrap().contains('+')).collect::<Vec<_>>()
    };
    // What came up once is not tried again.
    assert_eq!((counted("lamina-web-4"), counted("lamina-web-3")), (vec![true], vec![false]), "{names:?}");
    assert_eq!(shop.marked("default"), ["web/4"]);
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "install");
}

#[test]
fn what_the_loader_gave_up_is_tried_again_by_whoever_asks_for_it() {
    let shop = Shop::with(&["--tries", "3"]);
    let entries = shop.path("esp/loader/entries");
    fs::rename(entries.join("lamina-web-2+3-0.conf"), entries.join("lamina-web-2+0-3.conf")).unwrap();
    assert_eq!(shop.marked("default"), ["web/1"]);
    shop.done(&["gc"]);
    assert!(entries.join("lamina-web-2+0-3.conf").exists());
    shop.done(&["default", "web/2"]);
    assert!(
        entries.join("lamina-web-2+3-0.conf").exists() && !entries.join("lamina-web-2+0-3.conf").exists()
    );
    assert_eq!(shop.marked("default"), ["web/2"]);
}

#[test]
fn grub_counts_what_comes_and_what_it_gave_up_when_somebody_asks_for_it() {
    let shop = Shop::with(&["--tries", "3"]);
    let block = shop.path("esp/grub/tries.env");
    let counted = || GrubTries::parse(&fs::read(&block).unwrap());
    let counts = |entry: &str, left| Ok(Some(GrubTries::of(entry, left)));
    assert_eq!(counted(), counts("lamina-web-2", 3));
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    assert_eq!(counted(), counts("lamina-web-3", 3));
    let left = GrubTries::block(Some(&GrubTries::of("lamina-web-3", 0)));
    fs::write(&block, &left).unwrap();
    shop.done(&["gc"]);
    assert_eq!(counted(), counts("lamina-web-3", 0));
    shop.done(&["default", "web/3"]);
    assert_eq!(counted(), counts("lamina-web-3", 3));
    // It came up.
    fs::write(&block, GrubTries::block(None)).unwrap();
    shop.done(&["gc"]);
    assert_eq!(counted(), Ok(None));
    fs::write(&block, vec![0; left.len()]).unwrap();
    shop.done(&["gc"]);
    assert_eq!(counted(), counts("lamina-web-3", 3), "what was damaged says nothing");
    fs::remove_file(&block).unwrap();
    shop.done(&["gc"]);
    assert_eq!(counted(), counts("lamina-web-3", 3));
}

#[test]
fn what_was_started_last_boots_by_itself_until_somebody_asks_for_another() {
    let shop = Shop::with(&["--last"]);
    let conf = || fs::read_to_string(shop.path("esp/loader/loader.conf")).unwrap().trim_end().to_owned();
    let last = shop.path("esp/grub/last.env");
    let shown = || {
        let shown = fs::read_to_string(shop.path("esp/grub/grub.cfg")).unwrap();
        let name = boot_entry::grub::shown_by(shown.as_bytes()).unwrap();
        boot_entry::grub_last::is_used_by(&fs::read(shop.path("esp/grub").join(name)).unwrap())
    };
    let nothing = boot_entry::grub_last::nothing();
    assert_eq!((conf(), shown()), ("timeout 5\ndefault @saved".to_owned(), true));
    assert_eq!(fs::read_to_string(&last).unwrap(), nothing);
    let of_grub = nothing.replacen("##############################", "lamina_last=lamina-rescue-1\n##", 1);
    assert_eq!(of_grub.len(), nothing.len());
    fs::write(&last, &of_grub).unwrap();
    shop.done(&["gc"]);
    assert_eq!(fs::read_to_string(&last).unwrap(), of_grub);
    // What comes shall boot: GRUB's block says nothing any more, and a firmware's variable is told of.
    shop.generation("web", 3);
    let told = shop.done(&["install", "web"]);
    assert!(told.contains("where systemd-boot shows it, choose web/3 once"), "{told}");
    assert_eq!(fs::read_to_string(&last).unwrap(), nothing);
    assert_eq!((conf(), shown()), ("timeout 5\ndefault @saved".to_owned(), true));
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "install");
    shop.done(&["default", "web/1"]);
    assert_eq!((conf(), shown()), ("timeout 5\ndefault lamina-web-1.conf".to_owned(), false));
    shop.done(&["default", "--last"]);
    assert_eq!((conf(), shown()), ("timeout 5\ndefault @saved".to_owned(), true));
    shop.done(&["rollback", "web"]);
    assert!(!shown() && !conf().contains("@saved"), "{}", conf());
}

#[test]
fn what_others_have_set_for_the_loader_stays() {
    let shop = Shop::new();
    let conf = shop.path("esp/loader/loader.conf");
    fs::write(&conf, "default auto-windows\neditor no\ntimeout menu-force\n").unwrap();
    shop.done(&["gc"]);
    let kept = fs::read_to_string(&conf).unwrap();
    assert_eq!(kept.trim_end(), "default auto-windows\neditor no\ntimeout menu-force");
    shop.done(&["default", "web/1"]);
    let chosen = fs::read_to_string(&conf).unwrap();
    assert_eq!(chosen.trim_end(), "default lamina-web-1.conf\neditor no\ntimeout menu-force");
}

#[test]
fn entries_of_another_medium_stay_with_their_kernels() {
    let shop = Shop::new();
    let entries = shop.path("esp/loader/entries");
    // The same rescue on another stick, whose kernel nobody here names.
    let own = fs::read_to_string(entries.join("lamina-rescue-1.conf")).unwrap();
    let entry = BootEntry::parse(own.as_bytes()).unwrap();
    let store = entry.options.iter().find(|it| it.name() == "lamina.store").unwrap().value().unwrap();
    let kernel = format!("/lamina/linux-{}", "5".repeat(64));
    let other =
        own.replace(store, "PARTUUID=11111111-2222-3333-4444-555555555555").replace(&entry.linux, &kernel);
    fs::write(entries.join("lamina-rescue-1_-00000000.conf"), &other).unwrap();
    fs::write(shop.path(&format!("esp{kernel}")), "another kernel").unwrap();
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    shop.done(&["gc", "--keep", "1"]);
    assert_eq!(fs::read_to_string(entries.join("lamina-rescue-1_-00000000.conf")).unwrap(), other);
    assert!(shop.path(&format!("esp{kernel}")).exists());
}

#[test]
fn what_lacks_an_image_keeps_its_entry_and_one_in_another_spelling_goes_with_its_generation() {
    let shop = Shop::with(&["--tries", "3"]);
    let entries = shop.path("esp/loader/entries");
    let rescue = fs::read_to_string(shop.path("medium/lamina/profiles/rescue/1.kdl")).unwrap();
    let own = rescue.lines().find(|line| line.contains("\"own\"")).unwrap();
    let digest = own.split("digest=\"sha256:").nth(1).unwrap().split('"').next().unwrap();
    fs::write(shop.path(&format!("medium/lamina/images/{digest}.sqfs")), "").unwrap();
    // As the Boot Loader Specification also has it.
    fs::rename(entries.join("lamina-web-2+3-0.conf"), entries.join("lamina-web-2+3.conf")).unwrap();
    shop.generation("web", 3);
    let said = shop.done(&["install", "web", "--keep", "1"]);
    assert!(said.contains("rescue/1: 1 image missing"), "{said}");
    let names: Vec<String> =
        fs::read_dir(&entries).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name == "lamina-rescue-1.conf"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("lamina-web-2")), "{names:?}");
    assert_eq!(shop.marked("default"), ["web/3"]);
}

#[test]
fn nothing_is_made_to_boot_on_a_kernel_that_is_gone_or_damaged() {
    let shop = Shop::new();
    let started = |name: &str| {
        let entry = fs::read(shop.path("esp/loader/entries").join(name)).unwrap();
        let entry = BootEntry::parse(&entry).unwrap();
        [entry.linux.clone(), entry.initrd[0].clone()].map(|path| shop.path(&format!("esp{path}")))
    };
    for path in started("lamina-web-2.conf") {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        shop.generation("web", 3);
        let before = tree(&shop.path("esp"));
        fs::write(&path, "damaged").unwrap();
        let said = shop.refused(&["install", "web"]);
        assert!(said.contains(name) && said.contains("is damaged") && said.contains("--kernel"), "{said}");
        fs::write(&path, "").unwrap();
        let said = shop.refused(&["install", "web"]);
        assert!(said.contains(name) && said.contains("is not on the ESP, or is empty"), "{said}");
        fs::remove_file(&path).unwrap();
        let said = shop.refused(&["install", "web"]);
        assert!(said.contains(name) && said.contains("is not on the ESP, or is empty"), "{said}");
        assert_eq!(shop.marked("whole"), Vec::<String>::new());
        let what = if name.starts_with("linux") { "kernel missing" } else { "initramfs missing" };
        assert!(shop.done(&["list"]).contains(what));
        for verb in [&["rollback", "web"][..], &["default", "web/1"]] {
            shop.refused(verb);
        }
        assert!(shop.done(&["gc"]).contains(&format!("web/2: lamina/{name} is not on the ESP, or is empty")));
        fs::write(&path, bytes).unwrap();
        assert_eq!(tree(&shop.path("esp")), before);
    }
    let [linux, initramfs] = started("lamina-web-2.conf");
    fs::remove_file(&linux).unwrap();
    fs::write(initramfs, "damaged").unwrap();
    shop.done(&["install", "web", "--kernel", "kernel", "--initramfs", "initramfs"]);
    assert_eq!(fs::read_to_string(&linux).unwrap(), "a kernel");
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), "install");
}
