//! A disk for the writable top, and whether a shutdown left it clean.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// What `LABEL=` finds it by.
pub const LABEL: &str = "state";

/// Writes an empty ext4 with a journal, as a person would make it.
pub fn ext4(disk: &Path, mib: u64) -> Result<(), Failure> {
    let file = File::create(disk).map_err(Failure::at(disk))?;
    file.set_len(mib * 1024 * 1024).map_err(Failure::at(disk))?;
    run(Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-F", "-L", LABEL]).arg(disk)).map(drop)
}

/// Asks e2fsck(8) and dumpe2fs(8): nothing to repair, nothing to replay, unmounted by the kernel itself.
pub fn expect_clean_ext4(disk: &Path) -> Result<(), Failure> {
    let header = run(Command::new("/usr/sbin/dumpe2fs").arg("-h").arg(disk))?;
    let field = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    let (state, features) = (field("Filesystem state:"), field("Filesystem features:"));
    if state != "clean" || features.contains("needs_recovery") {
        let shown = disk.display();
        return Err(Failure::new(format!("{shown} was not left clean: state {state}, features {features}")));
    }
    run(Command::new("/usr/sbin/e2fsck").arg("-fn").arg(disk)).map(drop)
}

/// Writes an empty XFS, btrfs or F2FS, by its mkfs.
pub fn other(file_system: &str, disk: &Path, mib: u64) -> Result<(), Failure> {
    let file = File::create(disk).map_err(Failure::at(disk))?;
    file.set_len(mib * 1024 * 1024).map_err(Failure::at(disk))?;
    let label = top_of(file_system)?.maker.label_option;
    let program = format!("/usr/sbin/mkfs.{file_system}");
    run(Command::new(program).args(["-q", label, LABEL]).arg(disk)).map(drop)
}

/// Asks the tools of XFS, btrfs or F2FS: nothing to repair, and an empty log. btrfs has no mark of an unmount: what is on it
/// stands in its last commit or nowhere, so that the file `written` must stand there.
pub fn expect_clean_other(file_system: &str, disk: &Path, written: &str) -> Result<(), Failure> {
    // The program that knows, and its words.
    let (program, arguments, wanted): (_, &[&str], _) = match file_system {
        "xfs" => ("/usr/sbin/xfs_logprint", &["-t"], "state: <CLEAN>".to_owned()),
        "btrfs" => (
            "/usr/bin/btrfs",
            &["inspect-internal", "dump-tree", "--tree", "5"],
            format!("name: {written}\n"),
        ),
        _ => ("/usr/sbin/fsck.f2fs", &["--dry-run"], " unmount\n".to_owned()),
    };
    let said = run(Command::new(program).args(arguments).arg(disk))?;
    if !said.contains(&wanted) {
        return Err(Failure::new(format!("{} was not left clean: {said}", disk.display())));
    }
    let checker = &top_of(file_system)?.checker;
    // Not every user has the folders of these programs on the path.
    let mut command = Command::new(checker.program);
    run(command.env("PATH", "/usr/sbin:/usr/bin").args(checker.arguments).arg(disk)).map(drop)
}

fn top_of(file_system: &str) -> Result<&'static file_systems::Top, Failure> {
    let row = file_systems::of_driver(file_system);
    row.and_then(|row| row.top.as_ref()).ok_or_else(|| Failure::new(format!("{file_system} holds no state")))
}

/// Asks fsck.vfat(8), which tells of the dirty bit too.
pub fn expect_clean_vfat(disk: &Path) -> Result<(), Failure> {
    let said = run(Command::new("/usr/sbin/fsck.vfat").arg("-n").arg(disk))?;
    if said.contains("irty bit") || said.contains("improperly unmounted") {
        return Err(Failure::new(format!("{} was not left clean: {said}", disk.display())));
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.map_err(|error| Failure::new(format!("{command:?}: {error}; run `make deps-test`")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let more = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{command:?} ended with {}: {said}{more}", output.status)))
}
