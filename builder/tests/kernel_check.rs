//! `lamina kernel check`: what a kernel lacks for all stacks, and for one profile.

mod program;
mod shop;

use std::fs;
use std::path::Path;
use std::process::Command;

use program::{lamina, told};
use shop::shop;

/// The configuration of Debian's cloud kernel 6.1, without these symbols.
fn config_without(folder: &Path, symbols: &[&str]) {
    let debian =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../kernel-config/tests/configs/debian-6.1-cloud.config");
    let whole = fs::read_to_string(debian).unwrap();
    let is_left = |line: &&str| !symbols.iter().any(|symbol| line.starts_with(&format!("CONFIG_{symbol}=")));
    let left: Vec<&str> = whole.lines().filter(is_left).collect();
    assert_eq!(left.len() + symbols.len(), whole.lines().count());
    fs::write(folder.join("config"), left.join("\n") + "\n").unwrap();
}

/// What `lamina kernel check config` with these words says, and its exit status.
fn checked(folder: &Path, more: &[&str]) -> (String, Option<i32>) {
    let output = lamina(folder, &[&["kernel", "check", "config"], more].concat());
    (told(&output) + &String::from_utf8_lossy(&output.stdout), output.status.code())
}

#[test]
fn what_a_profile_cannot_do_without_is_missing_and_not_limited() {
    let shop = shop();
    config_without(shop.path(), &["DM_VERITY"]);
    let (said, status) = checked(shop.path(), &[]);
    assert!(said.contains("limited: CONFIG_DM_VERITY is off") && status == Some(0), "{said}");
    let (said, status) = checked(shop.path(), &["--profile", "web"]);
    let wanted = "missing (profile web, verify \"verity\"): CONFIG_DM_VERITY is off: ";
    assert!(
        said.contains(wanted) && said.contains("Set CONFIG_DM_VERITY=y, or =m for the module dm_verity."),
        "{said}"
    );
    assert!(said.contains(
        "config: the profile web does not boot on this kernel: it lacks what is missing above (1)"
    ));
    assert_eq!(status, Some(1));
    config_without(shop.path(), &[]);
    let (said, status) = checked(shop.path(), &["--profile", "web"]);
    assert!(said.contains("the profile web boots on this kernel") && status == Some(0), "{said}");
}

#[test]
fn images_and_states_ask_for_their_file_systems() {
    let shop = shop();
    let path = |inside: &str| shop.path().join(inside);
    let made = Command::new("mkfs.erofs").arg(path("erofs")).arg(path("site")).output().unwrap();
    assert!(made.status.success(), "{}", told(&made));
    let bytes = fs::read(path("erofs")).unwrap();
    let digest = profiles::Digest::of_bytes(&bytes);
    fs::write(path(&format!("store/images/{}.sqfs", digest.hex())), &bytes).unwrap();
    let text = format!(
        "profile \"web\" format=1 {{\n    image \"pages\" version=\"1\" digest=\"{digest}\" size={}\n    \
         root writable=\"LABEL=state\" create=\"xfs\"\n    verify \"digest\"\n    init \"/init\"\n}}\n",
        bytes.len()
    );
    fs::write(path("store/profiles/web/1.kdl"), text).unwrap();
    config_without(shop.path(), &["EROFS_FS", "XFS_FS", "BTRFS_FS", "DM_VERITY"]);
    let (said, status) = checked(shop.path(), &["--profile", "web"]);
    for wanted in [
        "missing (profile web, the image pages): CONFIG_EROFS_FS is off: ",
        "missing (profile web, create=\"xfs\"): CONFIG_XFS_FS is off: ",
        "limited: CONFIG_BTRFS_FS is off",
        "limited: CONFIG_DM_VERITY is off",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert_eq!(status, Some(1));
    let (said, _) = checked(shop.path(), &["--profile", "nobody"]);
    assert!(said.contains("profile nobody: has not been locked"), "{said}");
}
