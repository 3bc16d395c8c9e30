//! PID 1 of an initramfs that gives a disk new generations: the commands that the host has written into `steps` are run one after
//! the other on a disk that remembers ([`logged`]). A line is the name of a step and, each behind a tab, the store that its command
//! takes from, and the words of that.

use std::fs::{self, File};
use std::path::Path;

use stack::mount::{Attributes, Filesystem};

use crate::host;
use crate::logged::{self, mark, setting};
use crate::machine::{load_modules, mount_kernel_file_systems, say, switch_off};

/// The partitions that a person mounts: name of the setting and of the folder, and file system.
const PARTITIONS: [(&str, &str); 2] = [("esp", "vfat"), ("medium", "ext4")];

/// What makes the kernel write back whatever is dirty every hundredth of a second, and not after half a minute (kernel:
/// Documentation/admin-guide/sysctl/vm.rst).
const EAGERLY: [(&str, &str); 3] =
    [("dirty_writeback_centisecs", "1"), ("dirty_expire_centisecs", "1"), ("dirty_background_bytes", "4096")];

/// Runs the steps, and says of each how it ended.
pub fn run() -> Result<(), String> {
    mount_kernel_file_systems()?;
    load_modules()?;
    host::show()?;
    // A command looks at its devices, and makes a folder in /run: those are this machine's, and not the host's.
    ["/sys", "/run"].into_iter().try_for_each(|folder| host::bind(Path::new(folder), folder))?;
    // Files without a name, which a cache begins with, cannot be opened again through hostfs.
    host::bind(Path::new("/soak"), "/tmp")?;
    let work = setting("work")?;
    let path = format!("/host{work}/steps");
    let steps = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    logged::create()?;
    if setting("writeback")? == "eager" {
        for (name, value) in EAGERLY {
            let path = format!("/proc/sys/vm/{name}");
            fs::write(&path, value).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    let is_mounted = setting("way")? == "mounted";
    let settles = setting("settles")? == "yes";
    if is_mounted {
        PARTITIONS.into_iter().zip(1..).try_for_each(|(it, number)| mount_part(&work, it, number))?;
    }
    mark("mounted")?;
    for line in steps.lines() {
        let name = step(line)?;
        if settles {
            settle(name)?;
        }
    }
    if is_mounted {
        PARTITIONS.iter().try_for_each(|(name, _)| host::unbind(&format!("{work}/{name}")))?;
    }
    nix::unistd::sync();
    mark("end")?;
    say("steps done");
    switch_off()
}

/// `soak.esp=FIRST,SECTORS`, mounted where the command looks for it.
fn mount_part(work: &str, (name, kind): (&str, &str), number: u32) -> Result<(), String> {
    let place = setting(name)?;
    let (first, sectors) = place.split_once(',').ok_or("a partition has a first sector and a length")?;
    let sector = |text: &str| text.parse().map_err(|_| format!("{text} is no sector"));
    logged::part(name, sector(first)?, sector(sectors)?)?;
    let source = format!("/dev/dm-{number}");
    let file_system =
        Filesystem { kind, source: &source, options: &[], flags: &[], attributes: Attributes::empty() };
    let folder = format!("/host{work}/{name}");
    file_system.mount(Path::new(&folder)).map_err(|error| error.to_string())
}

/// A refusal is no failure of the guest: the host knows what it expects.
fn step(line: &str) -> Result<&str, String> {
    let mut words = line.split('\t');
    let name = words.next().unwrap_or_default();
    let store = words.next().unwrap_or_default();
    let command: Vec<&str> = words.collect();
    mark(&format!("begun-{name}"))?;
    let variables = [("LAMINA_STORE", store), ("HOME", "/tmp"), ("TMPDIR", "/tmp")];
    let done = host::run(&command, &variables);
    mark(&format!("{}-{name}", if done.is_ok() { "done" } else { "refused" }))?;
    match done {
        Ok(()) => say(&format!("step {name} done")),
        Err(why) => say(&format!("step {name} refused: {}", why.replace('\n', " | "))),
    }
    Ok(name)
}

/// Writes all that a step has left to be written. sync(2) flushes no disk below FAT, so that the disk itself is synced too.
fn settle(name: &str) -> Result<(), String> {
    nix::unistd::sync();
    let synced = File::open(logged::NODE).and_then(|disk| disk.sync_all());
    synced.map_err(|error| format!("{}: {error}", logged::NODE))?;
    mark(&format!("settled-{name}"))
}
