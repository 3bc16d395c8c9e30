//! What Lamina has not written on a medium and its partition, under whatever name: it is named and stays, and the rest goes on.

mod program;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use boot_entry::BootEntry;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use program::made_disk::{Shop, judge};
use program::{lamina, told};

use builder::system::target::Target;

fn target(shop: &Shop) -> Target {
    Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap()
}

#[test]
fn what_is_no_file_under_the_name_of_one_is_named_and_left_alone() {
    let shop = Shop::new();
    let (hex, other) = ("ab".repeat(32), "cd".repeat(32));
    let folders = [
        "esp/loader/entries/lamina-web-9.conf".to_owned(),
        "esp/loader/entries/lamina-web-3.conf".to_owned(),
        "esp/loader/entries/x.conf".to_owned(),
        format!("esp/lamina/linux-{hex}"),
        "esp/grub/menu-0123456789abcdef.cfg".to_owned(),
        "medium/lamina/profiles/web/7.kdl".to_owned(),
        "medium/lamina/profiles/web/1.kdl.minisig".to_owned(),
        "medium/lamina/profiles/web/1.keep".to_owned(),
        format!("medium/lamina/images/{hex}.sqfs"),
    ];
    folders.iter().for_each(|path| fs::create_dir(shop.path(path)).unwrap());
    let fifo = format!("medium/lamina/images/{other}.sqfs");
    mkfifo(&shop.path(&fifo), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(shop.path("esp/loader/entries/lamina-web-8.conf")).unwrap();
    symlink("1.kdl", shop.path("medium/lamina/profiles/web/6.kdl")).unwrap();
    let orphan = shop.path(&format!("medium/lamina/images/{}.sqfs", "ef".repeat(32)));
    fs::write(&orphan, "of nobody").unwrap();

    let said = shop.done(&["gc", "--keep", "1"]);
    let named = folders.iter().map(String::as_str).chain([
        fifo.as_str(),
        "esp/loader/entries/lamina-web-8.conf",
        "medium/lamina/profiles/web/6.kdl",
    ]);
    for path in named {
        let inside = path.trim_start_matches("medium/lamina/").trim_start_matches("esp/");
        assert!(
            said.lines().any(|line| line.contains(inside) && line.contains("left alone")),
            "{inside}: {said}"
        );
        assert!(fs::symlink_metadata(shop.path(path)).is_ok(), "{path}");
    }
    assert!(!orphan.exists());
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/2"]);
    for arguments in [&["keep", "web/2"][..], &["keep", "web/2", "--undo"]] {
        fs::create_dir(shop.path("medium/lamina/profiles/web/2.keep")).unwrap();
        let said = shop.refused(arguments);
        assert!(
            said.contains("profiles/web/2.keep: is no regular file") && said.contains("help: remove it"),
            "{said}"
        );
        fs::remove_dir(shop.path("medium/lamina/profiles/web/2.keep")).unwrap();
    }
    // The numbers are taken, and so is the name of the entry.
    shop.generation("web", 3);
    let said = shop.done(&["install", "web"]);
    assert!(said.contains("web/8 boots by itself"), "{said}");
    assert_eq!(shop.marked("default"), ["web/8"]);
    judge(&target(&shop), "install");
}

#[test]
fn what_stands_in_the_way_of_a_file_that_is_needed_is_refused_before_anything_is_written() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let profile = fs::read_to_string(shop.path("store/profiles/web/3.kdl")).unwrap();
    let own = profile.lines().find(|line| line.contains("\"own\"")).unwrap();
    let digest = own.split("digest=\"sha256:").nth(1).unwrap().split('"').next().unwrap();
    let image = shop.path(&format!("medium/lamina/images/{digest}.sqfs"));
    fs::create_dir(&image).unwrap();
    let before = program::made_disk::tree(&shop.path("esp"));
    let said = shop.refused(&["install", "web"]);
    assert!(said.contains(&format!("images/{digest}.sqfs")) && said.contains("help: remove it"), "{said}");
    assert!(!shop.path("medium/lamina/profiles/web/3.kdl").exists());
    fs::remove_dir(&image).unwrap();
    let slot = shop.path("medium/lamina/boot/b");
    fs::rename(&slot, shop.path("slot")).unwrap();
    fs::create_dir(&slot).unwrap();
    let said = shop.refused(&["install", "web"]);
    assert!(
        said.contains("boot/b: is no regular file on the medium") && said.contains("help: remove it"),
        "{said}"
    );
    assert!(!image.exists());
    fs::remove_dir(&slot).unwrap();
    fs::rename(shop.path("slot"), &slot).unwrap();
    for name in ["loader/loader.conf", "grub/grub.cfg"] {
        let path = shop.path("esp").join(name);
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let said = shop.refused(&["install", "web"]);
        assert!(said.contains(name) && said.contains("help: "), "{said}");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, text).unwrap();
    }
    assert!(program::made_disk::tree(&shop.path("esp")) == before);
    shop.done(&["install", "web"]);
}

/// Init too takes the highest number for the newest: what it cannot read there is not passed over.
#[test]
fn what_is_no_file_and_cannot_be_passed_over_is_refused_with_a_remedy() {
    let shop = Shop::new();
    let refused = |path: &str, arguments: &[&str]| {
        let said = shop.refused(arguments);
        assert!(said.contains(path) && said.contains("help: "), "{said}");
    };
    fs::create_dir(shop.path("store/profiles/web/7.kdl")).unwrap();
    refused("store/profiles/web/7.kdl", &["install", "web"]);
    refused("store/profiles/web/7.kdl", &["diff", "web/1", "web"]);
    fs::remove_dir(shop.path("store/profiles/web/7.kdl")).unwrap();
    mkfifo(&shop.path("store/profiles/web/2.kdl.minisig"), Mode::S_IRWXU).unwrap();
    refused("store/profiles/web/2.kdl.minisig", &["install", "web"]);
    symlink("web", shop.path("medium/lamina/profiles/mail")).unwrap();
    refused("lamina/profiles/mail", &["gc"]);
    fs::remove_file(shop.path("medium/lamina/profiles/mail")).unwrap();
    fs::rename(shop.path("esp/loader/entries"), shop.path("esp/loader/e")).unwrap();
    symlink("e", shop.path("esp/loader/entries")).unwrap();
    refused("esp/loader/entries", &["gc"]);
}

#[test]
fn a_store_is_collected_around_what_is_no_file() {
    let shop = Shop::new();
    let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    let hex = "ab".repeat(32);
    let folders = [
        "profiles/web/7.kdl".to_owned(),
        "profiles/web/1.keep".to_owned(),
        format!("images/{hex}.sqfs"),
        format!("builds/{hex}.kdl"),
        format!("sources/{hex}"),
    ];
    for folder in &folders {
        fs::create_dir_all(shop.path("store").join(folder)).unwrap();
        fs::write(shop.path("store").join(folder).join("mine"), "of somebody").unwrap();
    }
    fs::create_dir_all(shop.path("store/trees")).unwrap();
    fs::write(shop.path(&format!("store/trees/{hex}")), "a file").unwrap();
    mkfifo(&shop.path("store/profiles/web/8.kdl"), Mode::S_IRWXU).unwrap();
    let gc = ["--tree", &tree, "store", "gc", "--keep", "1", "--grace", "0"];
    let output = lamina(shop.folder.path(), &gc);
    assert!(output.status.success(), "{}", told(&output));
    for folder in &folders {
        assert!(shop.path("store").join(folder).join("mine").exists(), "{folder}");
    }
    assert!(shop.path(&format!("store/trees/{hex}")).exists());
    assert!(
        !shop.path("store/profiles/web/1.kdl").exists() && shop.path("store/profiles/web/2.kdl").exists()
    );
}

#[test]
fn kernels_that_others_name_in_any_spelling_stay() {
    let shop = Shop::new();
    let entries = shop.path("esp/loader/entries");
    let digit = |at: usize| format!("{at:x}").repeat(64);
    let linux = |at: usize| format!("lamina/linux-{}", digit(at));
    (1..=9).for_each(|at| fs::write(shop.path("esp").join(linux(at)), "of another").unwrap());
    let upper = |at: usize| linux(at).to_uppercase();
    for (file, text) in [
        ("OTHER.CONF", format!("title x\nlinux /{}\n", linux(1))),
        ("capitals.conf", format!("title x\nlinux /{}\n", upper(2))),
        ("slashes.conf", format!("title x\nlinux //lamina//{}\n", &linux(3)[7..])),
        ("backslashes.conf", format!("title x\nlinux \\lamina\\{}\n", &linux(4)[7..])),
        ("program.conf", format!("title x\nefi \\LAMINA\\{}\n", upper(5)[7..].to_owned())),
        ("tabs.conf", format!("title x\nlinux\t/./lamina/./{}\n", &linux(6)[7..])),
        ("initrd.conf", format!("title x\nlinux /vmlinuz\ninitrd /Lamina/{}\n", &linux(7)[7..])),
    ] {
        fs::write(entries.join(file), text).unwrap();
    }
    shop.done(&["gc", "--keep", "1"]);
    let stays: Vec<usize> = (1..=9).filter(|at| shop.path("esp").join(linux(*at)).exists()).collect();
    assert_eq!(stays, [1, 2, 3, 4, 5, 6, 7]);
    // Its own entry in another spelling.
    let own = fs::read_to_string(entries.join("lamina-rescue-1.conf")).unwrap();
    let entry = BootEntry::parse(own.as_bytes()).unwrap();
    let odd = entry.linux.replace("/lamina/", "//LAMINA/");
    fs::write(entries.join("lamina-rescue-1.conf"), own.replace(&entry.linux, &odd)).unwrap();
    shop.done(&["gc", "--keep", "1"]);
    assert!(shop.path(&format!("esp{}", entry.linux)).exists());
}

#[test]
fn a_grub_cfg_of_somebody_else_stays_and_so_does_what_it_names() {
    let shop = Shop::new();
    let cfg = shop.path("esp/grub/grub.cfg");
    let linux = format!("lamina/linux-{}", "1".repeat(64));
    fs::write(shop.path("esp").join(&linux), "of another").unwrap();
    let menus = || -> Vec<String> {
        let names = fs::read_dir(shop.path("esp/grub")).unwrap().map(|it| it.unwrap().file_name());
        names.map(|it| it.into_string().unwrap()).filter(|it| it.starts_with("menu-")).collect()
    };
    let shown = menus();
    let mine = format!("menuentry mine {{\n    linux /{linux}\n}}\nsource $prefix/{}\n", shown[0]);
    fs::write(&cfg, &mine).unwrap();
    shop.generation("web", 3);
    let commands: [&[&str]; 4] =
        [&["gc", "--keep", "2"], &["install", "web", "--keep", "2"], &["rollback"], &["default", "rescue"]];
    for arguments in commands {
        let said = shop.done(arguments);
        assert_eq!(fs::read_to_string(&cfg).unwrap(), mine, "{arguments:?}");
        assert!(said.contains("grub/grub.cfg") && said.contains("help: "), "{said}");
        assert!(shop.path("esp").join(&linux).exists() && menus() == shown, "{arguments:?}");
    }
    // By that remedy.
    fs::write(&cfg, "").unwrap();
    shop.done(&["gc"]);
    assert!(boot_entry::grub::shown_by(&fs::read(&cfg).unwrap()).is_some());
    judge(&target(&shop), "gc");
}

#[test]
fn a_long_loader_conf_loses_nothing_of_what_others_have_set() {
    let shop = Shop::new();
    let conf = shop.path("esp/loader/loader.conf");
    let long = format!("default lamina-web-2.conf\n# {}\neditor no\n", "x".repeat(600));
    fs::write(&conf, &long).unwrap();
    shop.generation("web", 3);
    for arguments in [&["gc"][..], &["install", "web"]] {
        shop.done(arguments);
        let text = fs::read_to_string(&conf).unwrap();
        assert!(text.contains(&"x".repeat(600)) && text.contains("editor no"), "{text}");
    }
    assert_eq!(shop.marked("default"), ["web/3"]);
}
