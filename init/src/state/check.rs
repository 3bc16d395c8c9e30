//! Looks at all of the state's metadata with the file system's own program, before it is mounted: damage that is scattered over it goes
//! unnoticed otherwise, until something meets it. `check` in the profile or in `lamina.state=` asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use file_systems::Checker;
use nix::mount::umount;

use crate::console;
use crate::error::Failure;
use crate::subprocess::{self, Ended};

/// What it found, when the state can be used; the report has its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// No damage.
    Good,
    /// Damage that the program repaired, and lost nothing by it.
    Repaired,
    /// The program is not there.
    NotPacked,
}

impl Checked {
    /// For the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Repaired => "repaired",
            Self::NotPacked => "not packed",
        }
    }
}

/// What a program says by its exit status.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine(Checked),
    Damaged,
    /// It could not look.
    Failed,
}

/// Checks the device; `mount` mounts it where it can be unmounted again, for those that must have been. `say` hears what a person should know.
///
/// # Errors
/// It is damaged beyond what the program repairs, or could not be looked at.
pub fn check(
    device: &str,
    driver: &str,
    mount: impl FnOnce() -> Result<PathBuf, Failure>,
    say: &mut dyn FnMut(&str),
) -> Result<Checked, Failure> {
    let program = PathBuf::from(format!("/sbin/fsck.{driver}"));
    let Some(checker) = super::top_of(driver).map(|top| &top.checker).filter(|_| program.exists()) else {
        say(&format!(
            "{device} is not checked: the initramfs has no {}; make it again with mkinitramfs --check-file-system {driver}",
            program.display()
        ));
        return Ok(Checked::NotPacked);
    };
    if checker.after_mount {
        let place = mount()?;
        umount(&place)
            .map_err(|errno| Failure::new(format!("{device} cannot be unmounted: {}", errno.desc())))?;
    }
    let checked = run(&program, checker, device)?;
    if checked == Checked::Repaired {
        say(&format!("{device} was damaged, and {} repaired it", program.display()));
    }
    Ok(checked)
}

fn run(program: &Path, checker: &Checker, device: &str) -> Result<Checked, Failure> {
    let mut command = Command::new(program);
    command.args(checker.arguments).arg(device).stdin(Stdio::null());
    let still = |time: Duration| {
        console::write_line(&format!("still checking the file system on {device}, for {} s", time.as_secs()));
    };
    let failure = |why: String| Failure::new(format!("{} {why}", program.display()));
    let Ended { status, said } = subprocess::run(&mut command, &subprocess::CHECKING, still)
        .map_err(|why| failure(why.to_string()))?;
    let verdict = status.code().map_or(Verdict::Failed, |code| verdict(checker, code));
    match verdict {
        Verdict::Fine(checked) => Ok(checked),
        Verdict::Damaged => {
            Err(failure(format!("found damage that it does not repair by itself: {}", last_words(&said)))
                .try_this("check the state file system with fsck")
                .try_this("what it says is at stake there; copy the files that you need before a repair"))
        }
        Verdict::Failed => Err(failure(format!("could not check it ({status}): {}", last_words(&said)))
            .try_this("boot once without the check, or without the state: lamina.state=tmpfs")),
    }
}

fn verdict(checker: &Checker, code: i32) -> Verdict {
    match code {
        0 => Verdict::Fine(Checked::Good),
        _ if checker.repaired.contains(&code) => Verdict::Fine(Checked::Repaired),
        _ if checker.damaged.contains(&code) => Verdict::Damaged,
        _ => Verdict::Failed,
    }
}

/// The last lines, which say what it came to.
fn last_words(said: &str) -> String {
    const MOST: usize = 3;
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(MOST)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;

    /// A file system that Debian's program makes in a file.
    fn made(driver: &str, mib: u64) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk").display().to_string();
        File::create(&path).unwrap().set_len(mib << 20).unwrap();
        let force = if driver == "ext4" { "-F" } else { "-f" };
        let output = Command::new(format!("/usr/sbin/mkfs.{driver}")).args(["-q", force, &path]).output();
        assert!(output.expect("make deps-test").status.success());
        (folder, path)
    }

    fn checker(driver: &str) -> &'static Checker {
        &super::super::top_of(driver).unwrap().checker
    }

    fn checked(program: &str, driver: &str, path: &str) -> Result<Checked, Failure> {
        run(Path::new(program), checker(driver), path)
    }

    /// The judges are the programs themselves.
    #[test]
    fn scattered_damage_is_found_by_the_programs_of_each_file_system() {
        let cases = [
            ("ext4", "/usr/sbin/fsck.ext4", 32, 0x400_u64),
            ("xfs", "/usr/sbin/xfs_repair", 320, 0x1000),
            ("btrfs", "/usr/bin/btrfs", 128, 0),
            ("f2fs", "/usr/sbin/fsck.f2fs", 80, 0x20_0000),
        ];
        assert!(file_systems::with_top().map(|(row, _)| row.driver).eq(cases.map(|(driver, ..)| driver)));
        for (driver, program, mib, damage) in cases {
            assert!(program.ends_with(checker(driver).program), "{program}");
            assert!(Path::new(program).exists(), "{program}: missing: run `make deps-test`");
            let (_folder, path) = made(driver, mib);
            assert_eq!(checked(program, driver, &path), Ok(Checked::Good), "{driver}");
            let disk = File::options().read(true).write(true).open(&path).unwrap();
            if driver == "btrfs" {
                // Both copies of every tree are somewhere in there; the superblock at 64 KiB stays.
                for at in (0x10_0000..mib << 20).step_by(4096) {
                    disk.write_all_at(&[0x5a; 16], at + 512).unwrap();
                }
            } else if driver == "ext4" {
                // The root folder's inode and those beside it, which no copy has.
                let bytes = fs::read(&path).unwrap();
                let table = u32::from_le_bytes(bytes[0x1008..0x100c].try_into().unwrap());
                let table = if table == 0 { 0x1008 } else { u64::from(table) * 1024 };
                disk.write_all_at(&[0x5a; 4096], table).unwrap();
            } else {
                (0..8).for_each(|sector| disk.write_all_at(&[0x5a; 24], damage + sector * 4096).unwrap());
            }
            let found = checked(program, driver, &path);
            match driver {
                "ext4" => assert!(found != Ok(Checked::Good), "{driver}: {found:?}"),
                _ => {
                    assert!(found.as_ref().is_err_and(|it| it.why.contains("damage")), "{driver}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn each_exit_status_has_a_meaning() {
        for (driver, code, expected) in [
            ("ext4", 0, Verdict::Fine(Checked::Good)),
            ("ext4", 1, Verdict::Fine(Checked::Repaired)),
            ("ext4", 3, Verdict::Fine(Checked::Repaired)),
            ("ext4", 4, Verdict::Damaged),
            ("ext4", 5, Verdict::Damaged),
            ("ext4", 8, Verdict::Failed),
            ("ext4", 12, Verdict::Failed),
            ("xfs", 1, Verdict::Damaged),
            ("xfs", 2, Verdict::Failed),
            ("btrfs", 1, Verdict::Damaged),
            ("f2fs", 255, Verdict::Damaged),
        ] {
            assert_eq!(verdict(checker(driver), code), expected, "{driver} {code}");
        }
    }

    #[test]
    fn a_program_that_is_not_packed_is_told_and_one_that_does_not_start_is_a_reason() {
        let mut said = Vec::new();
        let mount = || -> Result<PathBuf, Failure> { panic!("not needed") };
        let checked = check("/dev/vdb", "no-such", mount, &mut |line| said.push(line.to_owned()));
        assert_eq!(checked, Ok(Checked::NotPacked));
        assert!(said[0].contains("mkinitramfs --check-file-system no-such"), "{said:?}");
        let failure = run(Path::new("/nowhere"), checker("ext4"), "/dev/vdb").unwrap_err();
        assert!(failure.why.starts_with("/nowhere does not start"), "{failure:?}");
        assert_eq!(last_words("a\n\nb\n c \nd\n"), "b; c; d");
        assert_eq!(last_words(""), "");
    }
}
