//! Extended attributes: what the machine puts on files does not enter images, and what a recipe or a command names does.

mod program;
#[allow(dead_code, reason = "other tests use the rest")]
mod sandbox;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use program::{lamina, site, told};
use rustix::fs::XattrFlags;
use sandbox::Workshop;

/// Attributes and modes that new files get from a folder: a default ACL with another user, and the setgid bit.
///
/// The ACL is `user::rwx user:1234:rwx group::rwx mask::rwx other::---` as the kernel stores it (include/uapi/linux/posix_acl_xattr.h).
fn hand_down(folder: &Path) {
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 7, u32::MAX), (0x02, 7, 1234), (0x04, 7, u32::MAX), (0x10, 7, u32::MAX), (0x20, 0, u32::MAX)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        value.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    rustix::fs::setxattr(folder, "system.posix_acl_default", &value, XattrFlags::empty())
        .expect("a file system with POSIX ACLs, as ext4 and tmpfs are");
    let mode = fs::metadata(folder).unwrap().permissions().mode();
    fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o2000)).unwrap();
}

fn set(path: &Path, name: &str) {
    rustix::fs::setxattr(path, name, b"value", XattrFlags::empty())
        .expect("a file system with user attributes");
}

fn attributes(image: &Path, of: &str) -> Vec<String> {
    let image = squashfs::Image::open(image).unwrap();
    let item = image.walk().map(|item| item.unwrap()).find(|item| item.path == of.as_bytes()).unwrap();
    item.metadata.xattrs.iter().map(|xattr| String::from_utf8(xattr.name.clone()).unwrap()).collect()
}

#[test]
fn an_image_takes_the_attributes_that_are_named_and_tells_the_others() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    hand_down(&path("site"));
    set(&path("site/etc/motd"), "user.one");
    set(&path("site/etc/motd"), "user.two");
    for (choice, taken, left) in [
        (&[][..], &["user.one", "user.two"][..], &["system.posix_acl_default of "][..]),
        (&["--attributes", "all"], &["user.one", "user.two"], &["system.posix_acl_default of "]),
        (&["--attributes", "user.two"], &["user.two"], &["user.one of ", "system.posix_acl_default of "]),
        (&["--attributes", "none"], &[], &["user.one of ", "user.two of ", "system.posix_acl_default of "]),
    ] {
        let made = lamina(folder.path(), &[&["image", "create", "site"], choice].concat());
        assert!(made.status.success(), "{}", told(&made));
        assert_eq!(attributes(&path("site.sqfs"), "etc/motd"), taken, "{choice:?}");
        assert_eq!(attributes(&path("site.sqfs"), ""), [] as [&str; 0]);
        let said = String::from_utf8_lossy(&made.stderr);
        for name in left {
            assert!(said.contains(&format!("left out the attribute {name}")), "{name} in {said}");
        }
        assert_eq!(said.matches("left out").count(), left.len(), "{said}");
    }
    set(&path("site/etc"), "user.overlay.opaque");
    let before = fs::read(path("site.sqfs")).unwrap();
    for choice in [&[][..], &["--attributes", "none"]] {
        let refused = lamina(folder.path(), &[&["image", "create", "site"], choice].concat());
        let message = told(&refused);
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(message.contains("site/etc: has the attribute user.overlay.opaque, on which"), "{message}");
        assert_eq!(fs::read(path("site.sqfs")).unwrap(), before);
    }
    let named = lamina(folder.path(), &["image", "create", "site", "--attributes", "user.overlay.opaque"]);
    assert!(named.status.success(), "{}", told(&named));
    assert_eq!(attributes(&path("site.sqfs"), "etc"), ["user.overlay.opaque"]);
    let wrong = told(&lamina(folder.path(), &["image", "create", "site", "--attributes", "system.x"]));
    assert!(wrong.contains("--attributes system.x: `system.x` is no attribute"), "{wrong}");
}

/// setxattr(2) is 188 on this processor.
const ATTRIBUTED: &str = r#"
    build-depends { below; }
    attribute "user.kept"
    metadata "/usr/bin/tool" capabilities="cap_net_raw=ep"
    step "install" """
        mkdir -p "$OUT/usr/bin" "$OUT/usr/lib/deep"
        printf '#!/bin/sh\n' > "$OUT/usr/bin/tool"
        chmod 755 "$OUT/usr/bin/tool"
        mkdir "$OUT/new" && touch "$OUT/new/file"
        for name in user.kept user.lost; do
            perl -e 'my $value = "1"; syscall(188, $ARGV[0], $ARGV[1], $value, 1, 0) == 0 or die $!' "$OUT/usr/bin/tool" "$name"
        done
        stat -c '%a %n' /below /below/file > "$OUT/below"
        """
"#;

#[test]
fn what_a_folder_hands_down_neither_breaks_nor_enters_builds() {
    for way in Workshop::ways() {
        let build = |prepare: &dyn Fn(&Path)| {
            let workshop = Workshop::new(way);
            prepare(&workshop.store());
            workshop.recipe(
                "below",
                "step \"install\" \"\"\"\n    mkdir \"$OUT/below\"\n    touch \"$OUT/below/file\"\n    \"\"\"",
            );
            workshop.recipe("attributed", ATTRIBUTED);
            let said = workshop.succeed(&["build", "attributed", "--check"]);
            assert!(said.contains("left out the attribute user.lost of usr/bin/tool"), "{said}");
            assert!(said.contains("`attribute \"user.lost\"` in its recipe keeps it"), "{said}");
            assert!(!said.contains("user.kept") && !said.contains("posix_acl"), "{said}");
            assert_eq!(workshop.read_from_image("attributed", "below"), "755 /below\n644 /below/file\n");
            let digest = workshop.record("attributed")["digest"].as_str().unwrap().replace("sha256:", "");
            let image = workshop.store().join(format!("images/{digest}.sqfs"));
            let mut found = attributes(&image, "usr/bin/tool");
            found.sort();
            assert_eq!(found, ["security.capability", "user.kept"]);
            digest
        };
        assert_eq!(build(&hand_down), build(&|_| ()), "{way:?}");
    }
}

#[test]
fn a_build_that_leaves_what_overlayfs_acts_on_fails() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    let set = "perl -e 'my $value = \"y\"; syscall(188, @ARGV, $value, 1, 0) == 0 or die $!' \"$OUT/etc\" user.overlay.opaque";
    workshop
        .recipe("opaque", &format!("step \"install\" \"\"\"\n    mkdir \"$OUT/etc\"\n    {set}\n    \"\"\""));
    let message = workshop.fail(&["build", "opaque"]);
    assert!(
        message.contains("etc: has the attribute user.overlay.opaque, on which overlayfs acts"),
        "{message}"
    );
    assert!(!workshop.has_record("opaque"));
}

/// `mknod c 0 0` is the one device that a build may make.
#[test]
fn a_build_that_leaves_a_whiteout_fails() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.recipe(
            "hiding",
            "step \"install\" \"mkdir $OUT/etc; perl -e 'syscall(133, @ARGV, 020644, 0) == 0 or die $!' $OUT/etc/passwd\"",
        );
        let message = workshop.fail(&["build", "hiding"]);
        let cause = "/etc/passwd is a character device 0:0, overlayfs's whiteout: \
                     it would make /etc/passwd of the layers below vanish\nhelp: let the recipe make no such";
        assert!(message.contains(cause), "{message}");
        assert!(!workshop.has_record("hiding"));
    }
}

/// What a builder before 2026-11-26 left in a store: an image with such an attribute, and the record that names it.
#[test]
fn an_old_image_with_what_overlayfs_acts_on_is_refused_as_a_layer() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("below", "step \"install\" \"mkdir $OUT/etc; touch $OUT/etc/x\"");
    workshop.recipe("above", "build-depends { below; }\nstep \"install\" \"touch $OUT/x\"");
    workshop.succeed(&["build", "below"]);
    let record = workshop.record("below");
    let (id, digest) = (record["id"].as_str().unwrap(), record["digest"].as_str().unwrap());
    let tree = workshop.path("old");
    fs::create_dir_all(tree.join("etc")).unwrap();
    set(&tree.join("etc"), "user.overlay.opaque");
    let create = ["image", "create", "old", "--attributes", "user.overlay.opaque", "--json"];
    let output = workshop.command(&create).output().unwrap();
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let old = made["digest"].as_str().unwrap();
    let image = format!("store/images/{}.sqfs", old.replace("sha256:", ""));
    fs::copy(workshop.path("old.sqfs"), workshop.path(&image)).unwrap();
    let path = workshop.path(&format!("store/builds/{id}.kdl"));
    let text = fs::read_to_string(&path).unwrap();
    let verity = &made["verity"];
    let line = format!(
        "    image digest=\"{old}\" size={} root-hash={} salt={} data-blocks={} fec-roots={}\n}}\n",
        made["size"], verity["root_hash"], verity["salt"], verity["data_blocks"], verity["fec_roots"]
    );
    fs::write(&path, format!("{}{line}", text.split("    image ").next().unwrap())).unwrap();
    let message = workshop.fail(&["build", "above"]);
    assert!(
        message.contains("/etc: has the attribute user.overlay.opaque, on which overlayfs acts"),
        "{message}"
    );
    let remedy = format!("help: remove builds/{id}.kdl and build below again");
    assert!(message.contains(&remedy), "{message}");
    fs::remove_file(&path).unwrap();
    workshop.succeed(&["build", "above"]);
    assert_eq!(workshop.record("below")["digest"].as_str().unwrap(), digest);
}
