//! The image of a machine's own settings: its bytes, its place in a stack, and what the commands say of it.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use builder::profile::lock::Locked;
use builder::store::{BuildRecord, Store, generations};

#[path = "settings/mod.rs"]
mod stacks;
mod tree;

use stacks::{Stage, What, all_lines, busybox, debian, golden, hash, layer, with_files};

/// What unsquashfs says of the image: mode, owner and path of each entry, and the bytes of its files.
fn listing(image: &Path) -> String {
    let run = Command::new("unsquashfs").args(["-lln", "-d", ""]).arg(image).output().expect("unsquashfs");
    assert!(run.status.success(), "{run:?}");
    let text = String::from_utf8(run.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(['-', 'd', 'l']));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn the_image_says_the_same_to_unsquashfs_and_has_the_same_bytes_with_any_number_of_jobs() {
    let lines = all_lines();
    let made: Vec<(Stage, Locked)> = [1, 4]
        .into_iter()
        .map(|jobs| {
            let stage = with_files(Stage::new(&debian()));
            let locked = stage.lock(&lines, &[], jobs).unwrap();
            (stage, locked)
        })
        .collect();
    let [(stage, locked), (other, again)] = &made[..] else { panic!("two") };
    assert_eq!(locked.profile.to_kdl(), again.profile.to_kdl());
    let system = locked.system.as_ref().unwrap();
    assert_eq!(locked.profile.images.last().unwrap().name.as_str(), "system-web");
    // Nothing is in the store before it is published, so that --dry-run changes nothing.
    assert!(!stage.store.image_path(&system.record.digest).exists());
    for (stage, locked) in &made {
        locked.publish_images(&stage.store).unwrap();
        assert_eq!(generations::publish(&stage.store, &locked.profile).unwrap(), (1, true));
    }
    let image = stage.store.image_path(&system.record.digest);
    let bytes = |stage: &Stage| fs::read(stage.store.image_path(&system.record.digest)).unwrap();
    assert_eq!(bytes(stage), bytes(other));
    golden("debian.listing", &listing(&image));
    let cat = |path: &str| {
        let run = Command::new("unsquashfs").arg("-cat").arg(&image).arg(path).output().expect("unsquashfs");
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!((cat("etc/hostname"), cat("etc/motd")), ("web1\n".to_owned(), "above\n".to_owned()));
    assert!(cat("etc/shadow").starts_with("root:*:19700:0:99999:7:::\n"));
    assert!(cat("etc/shadow").contains(&format!("\nme:{}:3652:", hash("6"))));
    assert_eq!(cat("usr/share/lamina/system-web.kdl"), system.record.to_kdl_inside());
    assert_eq!(stage.store.record(&system.record.id).unwrap().as_ref(), Some(&system.record));
    assert_eq!(
        stage.store.verify(NonZero::<usize>::MIN, cli::progress::Progress::Silent).unwrap().findings,
        []
    );
    // Locked once more, it is the same, and nothing is made.
    let unchanged = stage.lock(&lines, &[], 2).unwrap();
    assert_eq!(unchanged.profile.to_kdl(), locked.profile.to_kdl());
    let before = fs::metadata(&image).unwrap().ino();
    unchanged.publish_images(&stage.store).unwrap();
    assert_eq!(
        (fs::metadata(&image).unwrap().ino(), fs::metadata(&image).unwrap().permissions().mode() & 0o777),
        (before, 0o644)
    );
}

#[test]
fn a_damaged_image_is_mended_or_named_with_what_makes_it_again() {
    let stage = Stage::new(&busybox());
    let lock = || stage.lock("hostname \"web1\"", &[], 1);
    let locked = lock().unwrap();
    locked.publish_images(&stage.store).unwrap();
    let image = stage.store.image_path(&locked.system.unwrap().record.digest);
    let sound = fs::read(&image).unwrap();
    let damaged = |change: fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        fs::write(&image, bytes).unwrap();
        lock().map(|locked| locked.mended.len()).map_err(|error| error.to_string())
    };
    assert_eq!(damaged(|_| ()), Ok(0));
    assert_eq!(damaged(|bytes| bytes[1000] ^= 1), Ok(1));
    let noise = |bytes: &mut Vec<u8>| {
        let mut last = 1_u32;
        bytes.iter_mut().for_each(|byte| {
            last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (last >> 24) as u8;
        });
    };
    let message = damaged(noise).unwrap_err();
    assert!(message.ends_with("help: remove it, then `lamina build web` makes it again"), "{message}");
    fs::remove_file(&image).unwrap();
    let report = stage.store.verify(NonZero::<usize>::MIN, cli::progress::Progress::Silent).unwrap();
    assert_eq!(report.findings[0].known_remedy(), Some("`lamina build web` makes it again"));
    lock().unwrap().publish_images(&stage.store).unwrap();
    assert_eq!(fs::read(&image).unwrap(), sound);
}

#[test]
fn what_is_set_is_told_and_needs_no_override() {
    let stage = with_files(Stage::new(&busybox()));
    let locked = stage.lock(&all_lines(), &[], 1).unwrap();
    let system = locked.system.as_ref().unwrap();
    let told: Vec<String> = system.lines.iter().map(ToString::to_string).collect();
    assert!(told.contains(&"/etc/motd: file, in the place of that of base".to_owned()), "{told:#?}");
    assert!(told.contains(&"/etc/hostname: hostname".to_owned()), "{told:#?}");
    assert!(locked.shadowed.is_empty());
    let warning = system.warning().unwrap();
    assert!(
        warning.contains("system-web holds the password hash of me: whoever has the image can read it"),
        "{warning}"
    );
    assert!(stage.lock("hostname \"a\"", &[], 1).unwrap().system.unwrap().warning().is_none());
    // Without settings there is no image.
    assert_eq!(stage.lock("", &[], 1).unwrap().profile.images.len(), 1);
}

#[test]
fn packages_that_hide_each_other_are_refused_as_without_settings() {
    let stage = Stage::new(&busybox());
    let other =
        [("etc", What::Folder(0o755)), ("etc/passwd", What::File(0o644, (0, 0), "root:x:0:0::/:/bin/sh\n"))];
    let other = layer(&stage.store, "other", &other);
    for lines in ["", "user \"me\""] {
        let message = stage.lock_below(&[&other], lines, &[], 1).unwrap_err().to_string();
        assert!(message.contains("/etc/passwd: other hides that of base"), "{lines}: {message}");
    }
}

#[test]
fn a_package_that_is_added_at_a_boot_may_not_hide_a_setting() {
    let stage = Stage::new(&busybox());
    let above =
        layer(&stage.store, "above", &[("etc", What::Folder(0o755)), ("etc/hostname", What::Link("x"))]);
    let message = stage.lock("hostname \"web\"", &[&above], 1).unwrap_err().to_string();
    assert!(message.contains("/etc/hostname: above hides that of system-web"), "{message}");
}

#[test]
fn a_package_may_not_be_called_as_the_image() {
    let stage = Stage::new(&busybox());
    let twin = layer(&stage.store, "system-web", &[("x", What::Folder(0o755))]);
    let message = stage.lock("hostname \"web\"", &[&twin], 1).unwrap_err().to_string();
    assert!(
        message.contains("the image of its settings is called system-web, and so is a package"),
        "{message}"
    );
}

/// Locking and building say what is set, warn of hashes, and come to the same image; a dry run writes nothing.
#[test]
fn the_commands_say_what_is_set_and_come_to_one_image() {
    let tree = tree::Tree::new();
    tree.recipe("base", "version \"1\"\nstep \"install\" \"true\"");
    let (graph, roots) = tree.resolve(&["base"]).unwrap();
    let folder = tree.path().parent().unwrap().to_owned();
    let store = Store::open(&folder.join("store")).unwrap();
    let record = BuildRecord { id: graph.packages()[roots[0]].id, ..layer(&store, "base", &busybox()) };
    store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
    fs::create_dir(folder.join("profiles")).unwrap();
    let hash = hash("6");
    let text = format!(
        "profile \"web\" {{\npackages {{ base; }}\nsystem {{\nuser \"me\" password-hash=\"{hash}\"\n\
         file \"/etc/motd\" from=\"motd\"\n}}\n}}\n"
    );
    fs::write(folder.join("profiles/web.kdl"), text).unwrap();
    let lamina = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"));
        let done =
            command.arg("--store").arg(store.root()).arg("--tree").arg(&folder).args(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.success(), text(done.stdout), text(done.stderr))
    };
    let (checked, _, said) = lamina(&["profile", "check", "web"]);
    assert!(!checked && said.contains("web.kdl:5:1: error: cannot read"), "{said}");
    fs::write(folder.join("profiles/motd"), "above\n").unwrap();
    assert!(lamina(&["profile", "check", "web"]).0);
    let (_, resolved, said) = lamina(&["profile", "lock", "web", "--dry-run"]);
    assert!(resolved.contains("    image \"system-web\" version=\"1\" id="), "{resolved}");
    assert!(said.contains("profile web sets /etc/motd: file, in the place of that of base\n"), "{said}");
    assert!(
        said.contains("warning: profile web: the image system-web holds the password hash of me"),
        "{said}"
    );
    let images = || fs::read_dir(store.root().join("images")).unwrap().count();
    assert_eq!((images(), store.profiles().exists()), (1, false));
    let (built, _, said) = lamina(&["build", "web", "--jobs", "1"]);
    assert!(built && said.contains("warning: profile web: the image system-web holds"), "{said}");
    let locked = fs::read_to_string(store.profiles().join("web/1.kdl")).unwrap();
    assert_eq!((resolved, images()), (locked, 2));
    let (_, told, _) = lamina(&["profile", "lock", "web", "--json"]);
    assert!(
        told.contains("\"new\": false") && told.contains("\"password_hashes\": [\n      \"me\""),
        "{told}"
    );
}
