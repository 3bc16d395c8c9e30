//! Programs of a drop-in run at their points of a boot, and none of them ends it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story};

/// Those that do what hooks are for (what the keys do is in the kernel then: dumpkmap writes 263 bytes and then two for each key, of which
/// KEY_Q has the number 16), and three that fail, the first as one that is killed while a passphrase is typed.
const HOOKS: [(&str, &str); 6] = [
    (
        "before-store/00-spoils",
        "#!/bin/sh\nbusybox stty -echo -icanon\n/usr/bin/dd iflag=nonblock count=0 2>/dev/null\n\
         busybox stty -a | grep -q -e -icanon && grep -q '^flags.*4...$' /proc/self/fdinfo/0 && echo hook: spoils\nkill -KILL $$\n",
    ),
    (
        "before-store/10-asks",
        "#!/bin/sh\necho \"hook: KEY_Q types $(busybox dumpkmap | /usr/bin/dd bs=1 skip=295 count=1 2>/dev/null)\"\n\
         busybox stty -a | grep -q -e -icanon -e '-echo ' && echo hook: spoilt settings\n\
         grep -q '^flags.*4...$' /proc/self/fdinfo/0 && echo hook: spoilt opening\n\
         echo hook: asks\nread answer\necho \"hook: heard $answer\"\n",
    ),
    (
        "before-store/20-maps",
        "#!/bin/sh\necho hook: waits\nuntil [ -b /dev/vda ]; do sleep 0.1; done\n\
         dmsetup create store --table \"0 $(($(cat /sys/class/block/vda/size) - 2048)) linear /dev/vda 2048\" || exit 1\n\
         echo \"hook: $LAMINA_POINT, $(ls -d /newroot/* 2>/dev/null | wc -l) in the root\"\n",
    ),
    ("before-store/30-fails", "#!/bin/sh\necho hook: fails\nexit 3\n"),
    (
        "before-switch/10-writes",
        "#!/bin/sh\necho \"hook: $LAMINA_POINT\"; echo made by a hook > /newroot/etc/hooked\n",
    ),
    ("before-switch/20-dies", "#!/bin/sh\nkill -SEGV $$\n"),
];
/// What lies before the store on its disk, so that only device-mapper shows it.
const BEFORE: usize = 1 << 20;

#[test]
fn hooks_of_a_drop_in_run_in_order_and_what_fails_is_a_warning() -> Story {
    let fixture = Fixture::new("hooks")?.with_rescue_shell();
    let drop_in = fixture.scratch().join("drop-in");
    for (path, script) in HOOKS {
        put(&drop_in.join("hooks").join(path), script)?;
    }
    put(&drop_in.join("programs"), "/usr/bin/dd\n/usr/sbin/dmsetup\n")?;
    put(&drop_in.join("modules"), "dm_mod\n")?;
    fixture.profile_that_runs(
        "one",
        &[],
        "cat /etc/hooked; grep /run/lamina/medium /proc/mounts; /run/lamina/bin/lamina report --ascii",
    )?;
    let initramfs = fixture.initramfs()?.option("--drop-in", Some(&drop_in));
    let initramfs = initramfs.option("--keymap", Some(Path::new("fr"))).write()?;
    let parameters = format!("lamina.store=LABEL={} lamina.profile=one", DISK.label);
    let (disk, monitor) = (hidden(&fixture)?, fixture.scratch().join("monitor"));
    let mut guest = Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.late_disk(&disk, &monitor))?;
    guest.expect("hook: spoils")?;
    let seen = guest.expect("hook: asks")?;
    assert!(seen.contains("00-spoils ended with signal: 9") && !seen.contains("hook: spoilt"), "{seen}");
    assert!(seen.contains("hook: KEY_Q types a"), "{seen}");
    guest.type_line("a person")?;
    guest.expect("hook: heard a person")?;
    // The medium is there because of a hook, which waits for its disk.
    guest.expect("hook: waits")?;
    guest.plug_in()?;
    let before = guest.expect("story: begin")?;
    let said = [
        "hook: before-store, 0 in the root",
        "hook: fails",
        "30-fails ended with exit status: 3",
        "hook: before-switch",
    ];
    let places: Vec<_> = said.iter().map(|line| before.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{before}");
    let seen = guest.expect("story: end")?;
    for line in [
        "made by a hook",
        "/dev/dm-0 /run/lamina/medium ext4 ro",
        "before-store/30-fails ended with exit status: 3",
        "before-switch/20-dies ended with signal: 11",
    ] {
        assert!(seen.contains(line), "{line}\n{seen}");
    }
    guest.expect_off()
}

/// A disk on which the store is not to be seen.
fn hidden(fixture: &Fixture) -> Result<PathBuf, Failure> {
    let (disk, hidden) = (fixture.disk()?, fixture.scratch().join("hidden.img"));
    let bytes = fs::read(&disk).map_err(Failure::at(&disk))?;
    fs::write(&hidden, [vec![0; BEFORE], bytes].concat()).map_err(Failure::at(&hidden))?;
    Ok(hidden)
}

fn put(path: &Path, script: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = fs::create_dir_all(folder).and_then(|()| fs::write(path, script));
    let made = made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
    made.map_err(Failure::at(path))
}
