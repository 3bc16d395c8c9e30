//! The archive of `make release`, in roots that have nothing in common but the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts;
use qemu_tests::debian_root::{self, Recipe};
use qemu_tests::programs::{run, said};
use qemu_tests::store::newest_profile;
use qemu_tests::{Failure, Story};

/// A release that the archive was not made on.
const DEBIAN_13: Recipe =
    Recipe { name: "trixie", release: "trixie", packages: &["bash"], layers: &[("trixie", &[])] };

/// Makes an image of what the archive itself holds, reads it back, and packs an initramfs around the init that came with it.
const WORK: [&[&str]; 5] = [
    &["bin/lamina", "image", "create", "/release/share", "-o", "/made.sqfs"],
    &["bin/lamina", "image", "inspect", "/made.sqfs"],
    &["bin/lamina", "image", "cat", "/made.sqfs", "lamina/units/lamina-bless.service"],
    &["bin/mkinitramfs", "--kernel", "/kernel.deb", "--output", "/made.img"],
    &["bin/mkinitramfs", "list", "/made.img"],
];

#[test]
fn the_archive_is_what_its_checksums_say_and_works_where_nothing_else_is() -> Story {
    let root = artifacts::scratch("empty")?;
    for folder in ["proc", "tmp"] {
        fs::create_dir(root.path().join(folder)).map_err(Failure::at(root.path()))?;
    }
    works_in(root.path())
}

#[test]
fn the_archive_works_in_debian_13() -> Story {
    let root = artifacts::scratch("debian-13")?;
    let (store, images) = debian_root::images(&DEBIAN_13)?;
    for image in images {
        unpack(&store.join("images").join(format!("{}.sqfs", image.digest)), root.path())?;
    }
    works_in(root.path())
}

#[test]
fn the_archive_works_in_the_base_of_this_tree() -> Story {
    let root = artifacts::scratch("base")?;
    let (_, images) = newest_profile(&artifacts::store(), "console")?;
    for image in images {
        unpack(&artifacts::store().join("images").join(format!("{}.sqfs", image.digest)), root.path())?;
    }
    works_in(root.path())
}

/// Unpacks the archive below `root`, compares all of it with its checksums, and works with it there.
fn works_in(root: &Path) -> Story {
    let folder = artifacts::release()?;
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&folder))?;
    let release = root.join("release");
    fs::create_dir(&release).map_err(Failure::at(&release))?;
    run(Command::new("tar")
        .arg("-xzf")
        .arg(archive(&folder)?)
        .args(["--strip-components=1", "-C"])
        .arg(&release))?;
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&release))?;
    let kernel = artifacts::kernel("6.1")?.package;
    fs::copy(&kernel, root.join("kernel.deb")).map_err(Failure::at(&kernel))?;
    let agent = fs::metadata(release.join("lib/lamina/guest-agent")).map_err(Failure::at(&release))?;
    assert_eq!(agent.permissions().mode() & 0o777, 0o755, "`lamina vm --run` needs it");
    let told = WORK.into_iter().map(|arguments| inside(root, arguments)).collect::<Result<Vec<_>, _>>()?;
    let unit = release.join("share/lamina/units/lamina-bless.service");
    assert_eq!(told[2], fs::read_to_string(&unit).map_err(Failure::at(&unit))?);
    assert!(told[4].lines().any(|line| line.ends_with(" init")), "{}", told[4]);
    Ok(())
}

fn archive(folder: &Path) -> Result<PathBuf, Failure> {
    let list = fs::read_to_string(folder.join("SHA256SUMS")).map_err(Failure::at(folder))?;
    let name = list.split_whitespace().nth(1).ok_or(Failure::new("SHA256SUMS names no file"))?;
    Ok(folder.join(name))
}

/// Runs a program of the archive as user 0 of a user namespace whose root is `root`.
fn inside(root: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg("--root").arg(root).arg("--mount-proc").arg(format!("/release/{}", arguments[0]));
    said(command.args(&arguments[1..]).env_clear())
}

fn unpack(image: &Path, root: &Path) -> Story {
    run(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-force", "-dest"]).arg(root).arg(image))
        .map(drop)
}
