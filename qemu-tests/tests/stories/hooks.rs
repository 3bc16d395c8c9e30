//! Programs of a drop-in run at their points of a boot, and none of them ends it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story};

/// Three that do what hooks are for, and two that fail.
const HOOKS: [(&str, &str); 5] = [
    ("before-store/00-asks", "#!/bin/sh\necho hook: asks\nread answer\necho \"hook: heard $answer\"\n"),
    (
        "before-store/10-first",
        "#!/bin/sh\necho \"hook: $LAMINA_POINT, $(ls -d /newroot/* 2>/dev/null | wc -l) in the root\"\n",
    ),
    ("before-store/20-fails", "#!/bin/sh\necho hook: fails\nexit 3\n"),
    (
        "before-switch/10-writes",
        "#!/bin/sh\necho \"hook: $LAMINA_POINT\"; echo made by a hook > /newroot/etc/hooked\n",
    ),
    ("before-switch/20-dies", "#!/bin/sh\nkill -SEGV $$\n"),
];

#[test]
fn hooks_of_a_drop_in_run_in_order_and_what_fails_is_a_warning() -> Story {
    let fixture = Fixture::new("hooks")?.with_rescue_shell();
    let drop_in = fixture.scratch().join("drop-in");
    for (path, script) in HOOKS {
        put(&drop_in.join("hooks").join(path), script)?;
    }
    fixture.profile_that_runs("one", &[], "cat /etc/hooked; /run/lamina/bin/lamina report --ascii")?;
    let initramfs = fixture.initramfs()?.option("--drop-in", Some(&drop_in)).write()?;
    let parameters = format!("lamina.store=LABEL={} lamina.profile=one", DISK.label);
    let mut guest = Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.disk(&fixture.disk()?))?;
    guest.expect("hook: asks")?;
    guest.type_line("a person")?;
    guest.expect("hook: heard a person")?;
    let before = guest.expect("story: begin")?;
    let said = [
        "hook: before-store, 0 in the root",
        "hook: fails",
        "20-fails ended with exit status: 3",
        "hook: before-switch",
    ];
    let places: Vec<_> = said.iter().map(|line| before.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{before}");
    let seen = guest.expect("story: end")?;
    assert!(seen.contains("made by a hook"), "{seen}");
    for warning in
        ["before-store/20-fails ended with exit status: 3", "before-switch/20-dies ended with signal: 11"]
    {
        assert!(seen.contains(warning), "{warning}\n{seen}");
    }
    guest.expect_off()
}

fn put(path: &Path, script: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = fs::create_dir_all(folder).and_then(|()| fs::write(path, script));
    let made = made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
    made.map_err(Failure::at(path))
}
