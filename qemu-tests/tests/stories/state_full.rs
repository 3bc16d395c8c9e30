//! A writable top that is full: of blocks, of inodes, or of memory.

use std::process::Command;

use qemu_tests::{Failure, Story};

use crate::state::{COUNT, LABEL, MIB, StateFixture, assert_has, falls_back, root};

#[test]
fn a_full_tmpfs_is_an_error_of_the_program_that_fills_it() -> Story {
    let mut fixture = StateFixture::new("state-full")?;
    let lines = "dd if=/dev/zero of=/full bs=64k 2>&1; rm /full; echo again > /file && cat /file";
    fixture.profile_that_runs("one", "root writable=\"tmpfs\" size=\"1M\"", "1", lines)?;
    assert_has(&fixture.run("lamina.profile=one")?, &["No space left on device", "again\n"]);
    // What would happen if that were filled is what the warning is about.
    fixture.profile_that_runs("two", "root writable=\"tmpfs\" size=\"4G\"", "1", "df /")?;
    let text = fixture.run("lamina.profile=two quiet")?;
    assert_has(&text, &["root size=4096 MiB is more than the memory (", "write at most"]);
    Ok(())
}

/// What is done with a state that is new: it keeps a note, and is filled, also with what root alone may use.
fn once(fill: &str) -> String {
    let new = "[ ! -e /note ] && grep -q '\"kind\": \"state\"' /run/lamina/report.json";
    format!("{new} && {{ echo kept > /note; {fill}; }}; cat /note; {COUNT}; grep ' / ' /proc/mounts")
}

#[test]
fn a_state_without_a_free_block_goes_on_and_takes_no_new_folder() -> Story {
    let mut fixture = StateFixture::new("state-no-blocks")?;
    let fill = "dd if=/dev/zero of=/fill bs=64k 2>/dev/null; sync; dd if=/dev/zero of=/rest bs=512 2>/dev/null; sync; \
                dd if=/dev/zero of=/last bs=512 2>&1 | grep -o 'No space left.*'";
    fixture.profile_that_runs("one", &root(""), "1", &once(fill))?;
    assert_has(&fixture.run("lamina.profile=one")?, &["\"action\": \"created\"", "No space left on device"]);
    fixture.profile("two", &root(""), "1")?;
    let said = [
        "LABEL=state cannot be used: /dev/vdb: cannot make lamina/two.new: it is full: ",
        "remove large files",
    ];
    falls_back(&fixture, "lamina.profile=two", &said)?;
    // Another stack needs a new top: the old one stays where it was.
    fixture.profile_that_runs("one", &root(""), "2", COUNT)?;
    falls_back(&fixture, "lamina.profile=one", &["/dev/vdb: cannot make lamina/one.new: it is full: "])?;
    fixture.profile_that_runs("one", &root(""), "1", &once(fill))?;
    let text = fixture.run("lamina.profile=one")?;
    assert_has(&text, &["kept\n", " folders one\n", "\"action\": \"reused\"", "lamina / overlay rw,"]);
    Ok(())
}

#[test]
fn a_state_without_a_free_inode_gives_way_until_a_file_is_removed() -> Story {
    let mut fixture = StateFixture::new("state-no-inodes")?;
    fixture.format("mkfs.ext4", &["-q", "-F", "-L", LABEL, "-N", "64"], 64 * MIB)?;
    let fill = "number=0; while true > /none$number; do number=$((number + 1)); done";
    fixture.profile_that_runs("one", &root(""), "1", &once(fill))?;
    assert_has(&fixture.run("lamina.profile=one")?, &["\"action\": \"created\"", "No space left on device"]);
    let full = " inodes are used, ";
    // overlayfs itself makes a file when it is mounted.
    let said =
        ["/dev/vdb: cannot stack layers over the top: it is full: all ", full, "remove many small files"];
    falls_back(&fixture, "lamina.profile=one", &said)?;
    fixture.profile("two", &root(""), "1")?;
    falls_back(&fixture, "lamina.profile=two", &["/dev/vdb: cannot make lamina/two.new: ", full])?;
    let free = |name: &str| format!("rm /lamina/one/upper/none{name}");
    for name in ["1", "2", "3"] {
        let done =
            Command::new("/usr/sbin/debugfs").args(["-w", "-R", &free(name)]).arg(&fixture.state).output();
        assert!(done.map_err(Failure::about("debugfs"))?.status.success());
    }
    let text = fixture.run("lamina.profile=one")?;
    assert_has(&text, &["kept\n", " folders one\n", "\"action\": \"reused\"", "lamina / overlay rw,"]);
    Ok(())
}
