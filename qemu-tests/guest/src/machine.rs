//! What every role does to its machine.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::sync;
use stack::mount::{Attributes, Filesystem};

/// Opened once: init deletes the initramfs, the node of the console with it, before the real init runs.
static CONSOLE: OnceLock<Option<File>> = OnceLock::new();

/// Says a line on the console. The line end in front keeps it apart from what another process has begun to write.
pub fn say(line: &str) {
    let text = format!("\nsoak: {line}\n");
    let console = CONSOLE.get_or_init(|| File::options().write(true).open("/dev/console").ok());
    if let Some(mut console) = console.as_ref() {
        let _ = console.write_all(text.as_bytes());
    }
}

/// Ends the machine. PID 1 must not return.
pub fn switch_off() -> ! {
    sync();
    let _ = reboot(RebootMode::RB_POWER_OFF);
    loop {
        std::thread::park();
    }
}

/// Mounts `/proc`, `/sys` and `/dev`, for roles that are PID 1 themselves.
pub fn mount_kernel_file_systems() -> Result<(), String> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        let file_system =
            Filesystem { kind, source: kind, options: &[], flags: &[], attributes: Attributes::empty() };
        file_system.mount(Path::new(target)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Loads the modules of the initramfs, from the list that init reads too.
pub fn load_modules() -> Result<(), String> {
    const LIST: &str = "/etc/lamina/modules";
    let list = fs::read_to_string(LIST).map_err(|error| format!("{LIST}: {error}"))?;
    // What a module needs and what asks for it stand behind its file: here all of them are loaded, in the order of the list.
    let modules = list.lines().filter_map(|line| {
        let (name, rest) = line.split_once('\t')?;
        Some((name, rest.split('\t').next()?))
    });
    for (name, path) in modules.filter(|(_, path)| *path != "builtin") {
        let path = Path::new("/").join(path);
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            Err(errno) => return Err(format!("loading the module {name}: {errno}")),
        }
    }
    Ok(())
}
