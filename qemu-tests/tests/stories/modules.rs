//! Kernel modules are loaded when something asks for them, and none is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story};

/// Prints the report, then waits until the modules that nothing asked for are there.
const REPORT_AND_REST: &str = "lamina=/run/lamina/bin/lamina; $lamina report --ascii\n\
    for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do grep -q '^virtio_console ' /proc/modules && break; sleep 1; done\n\
    grep -c . /proc/modules; grep -o '^[a-z0-9_]*' /proc/modules | sort | tr '\\n' ' '";

#[test]
fn each_module_has_its_reason_and_the_rest_follows() -> Story {
    let fixture = Fixture::new("modules")?;
    fixture.profile_that_runs("one", &[], REPORT_AND_REST)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one")?;
    guest.expect("story: begin")?;
    let seen = guest.expect("story: end")?;
    let report = seen.split("Kernel modules").nth(1).unwrap_or_default();
    for (module, why) in [
        ("virtio_ring", "needed by virtio"),
        ("virtio_blk", "device virtio"),
        ("loop", "images on loop devices"),
        ("squashfs", "file system squashfs"),
        ("overlay", "file system overlay"),
    ] {
        let because = |line: &&str| line.contains(&format!(" {module} ")) && line.contains(why);
        assert!(report.lines().any(|line| because(&line)), "{module}: {why}\n{seen}");
    }
    let (listed, followed) = report.split_once("that nothing had asked for").unwrap_or_default();
    for module in ["vfat", "nls_ascii", "isofs", "dm_verity", "erofs"] {
        assert!(!listed.contains(&format!(" {module} ")), "{module} was loaded too early\n{seen}");
        assert!(followed.contains(&format!("{module} ")), "{module} is missing\n{seen}");
    }
    guest.expect_off()
}

#[test]
fn a_store_whose_driver_nothing_asks_for_is_found_all_the_same() -> Story {
    let fixture = Fixture::new("modules-unasked")?;
    fixture.profile_that_runs("one", &[], REPORT_AND_REST)?;
    // The disk asks for virtio:d00000002v00001AF4. With the tab it is the list; the module itself must stay as it was signed.
    let deaf = changed(&fixture, "\tvirtio:d00000002v", "\tvirtio:d0000000Zv")?;
    let parameters = format!("lamina.store=LABEL={} lamina.profile=one", DISK.label);
    let machine = fixture.machine_with(&deaf, &parameters)?.disk(&fixture.disk()?);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("story: begin")?;
    let seen = guest.expect("story: end")?;
    let because = |line: &str| line.contains(" virtio_blk ") && line.contains("nothing answered at once");
    assert!(seen.lines().any(because), "{seen}");
    guest.expect_off()
}

/// The fixture's initramfs with one text for another of the same length, which leaves the archive as it is.
fn changed(fixture: &Fixture, from: &str, to: &str) -> Result<PathBuf, Failure> {
    assert_eq!(from.len(), to.len());
    let (whole, changed) = (fixture.initramfs()?.write()?, fixture.scratch().join("changed.cpio"));
    let command = "zstd -dc \"$1\" | LC_ALL=C sed \"s/$2/$3/\" >\"$4\"";
    let paths: [&Path; 2] = [&whole, &changed];
    let status =
        Command::new("sh").args(["-ec", command, "sh"]).arg(paths[0]).args([from, to]).arg(paths[1]).status();
    let status = status.map_err(Failure::about("sh"))?;
    assert!(status.success(), "{status}");
    Ok(changed)
}
