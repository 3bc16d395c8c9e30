//! User-mode Linux, Debian's package `user-mode-linux`: a kernel that is an ordinary process, boots in about a second, and needs
//! neither root nor an emulator. The soak tests use it where thousands of boots or mounts are wanted; the judge of real boots
//! stays QEMU.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cpio::newc::{Builder, ModeFileType, trailer};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use vm::console::{Console, Missed};

use crate::failure::Failure;
use crate::vm_slots::{self, Slot};

/// The kernel, which is also its own emulator.
const LINUX: &str = "linux.uml";
/// Where the package has the modules, in a folder named after the release.
const MODULES: &str = "/usr/lib/uml/modules";

/// What the kernel prints when dm-verity wants SHA-256 and it counts as broken. On a busy host this kernel fails now and then to start a
/// thread as it boots (a warning in `crypto_wait_for_test`), and the algorithm that the thread was to try is refused from then on.
pub const NOT_SOUND: &str = "Cannot initialize hash function (-ELIBBAD)";

/// What makes a boot three times as fast. This kernel measures for a second which of its RAID-6 and XOR routines, which nothing
/// here uses, is the fastest, and how long its delay loop takes (Documentation/admin-guide/kernel-parameters.txt).
const QUICKLY: [&str; 2] = ["initcall_blacklist=raid6_select_algo,calibrate_xor_blocks", "lpj=24000000"];

/// A machine that is not started yet.
#[derive(Debug, Clone)]
pub struct Uml {
    initramfs: PathBuf,
    disks: Vec<PathBuf>,
    memory_mib: u32,
    parameters: String,
}

impl Uml {
    /// A machine with 96 MiB, no disks, and this initramfs.
    pub fn new(initramfs: &Path) -> Self {
        Self { initramfs: initramfs.to_owned(), disks: Vec::new(), memory_mib: 96, parameters: String::new() }
    }

    /// Adds a writable disk: the first is `/dev/ubda`.
    #[must_use]
    pub fn disk(mut self, file: &Path) -> Self {
        self.disks.push(file.to_owned());
        self
    }

    /// Gives the machine that much memory.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Adds kernel parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: &str) -> Self {
        self.parameters = format!("{} {parameters}", self.parameters);
        self
    }

    /// The command line of user-mode Linux, without the program; `folder` is where it may keep its own files.
    fn arguments(&self, folder: &Path) -> Vec<String> {
        let mut arguments = vec![
            format!("mem={}M", self.memory_mib),
            format!("initrd={}", self.initramfs.display()),
            format!("uml_dir={}/", folder.display()),
            "umid=guest".to_owned(),
            // The first console is the terminal, there are no others.
            "con=null".to_owned(),
            "con0=fd:0,fd:1".to_owned(),
            "ssl=null".to_owned(),
        ];
        arguments.extend(QUICKLY.map(str::to_owned));
        let disks = ('a'..='z').zip(&self.disks);
        arguments.extend(disks.map(|(letter, disk)| format!("ubd{letter}={}", disk.display())));
        arguments.extend(self.parameters.split_whitespace().map(str::to_owned));
        arguments
    }

    /// Waits for a slot and starts it. All that it prints goes to the file `log` as well.
    pub fn boot(&self, log: &Path) -> Result<UmlGuest, Failure> {
        let slot = vm_slots::take()?;
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let file = File::create(log).map_err(Failure::at(log))?;
        // A group of its own: the processes of the guest are processes of this machine, and end with it. Without random
        // addresses, because this kernel takes the gap before its heap for memory, and makes its table for all of it.
        let mut linux = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "setarch", "--addr-no-randomize", LINUX])
            .args(self.arguments(folder.path()))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file.try_clone().map_err(Failure::at(log))?)
            .spawn()
            .map_err(Failure::about("starting linux.uml with setpriv; `make deps-test` installs it"))?;
        let (output, input) = linux.stdout.take().zip(linux.stdin.take()).expect("both are piped");
        Ok(UmlGuest { linux, console: Console::new(output, input, file), _folder: folder, _slot: slot })
    }
}

/// A running user-mode Linux. Dropping it kills it.
#[derive(Debug)]
pub struct UmlGuest {
    linux: Child,
    console: Console,
    _folder: tempfile::TempDir,
    _slot: Slot,
}

impl UmlGuest {
    /// Waits until one of `wanted` is printed and returns which.
    pub fn wait_for_any(&mut self, wanted: &[&str], timeout: Duration) -> Result<usize, Missed> {
        self.console.wait_for_any(wanted, timeout)
    }

    /// The first of its processes; all of them are in the group that is named after it.
    pub fn id(&self) -> u32 {
        self.linux.id()
    }

    /// Waits until the machine has ended by itself.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<(), Missed> {
        self.console.wait_for_end(timeout)
    }

    /// Presses one key.
    pub fn press(&mut self, key: &str) -> Result<(), Failure> {
        Ok(self.console.send(key.as_bytes())?)
    }

    /// All that was printed so far.
    pub fn text(&self) -> &str {
        self.console.text()
    }
}

impl Drop for UmlGuest {
    fn drop(&mut self) {
        // Fails only when all have ended already, which is as good.
        let group = i32::try_from(self.linux.id()).map(Pid::from_raw);
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        let _ = self.linux.wait();
    }
}

/// What goes into an initramfs that is written here and not by mkinitramfs, because a soak test puts other things into it.
#[derive(Debug, Default)]
pub struct Archive {
    /// Path, permissions, and the bytes of a file or nothing for a folder.
    entries: Vec<(String, u32, Option<Vec<u8>>)>,
}

impl Archive {
    /// The folders that init wants, the two device nodes, and nothing else.
    pub fn new() -> Self {
        let mut archive = Self::default();
        for folder in ["bin", "dev", "etc", "etc/lamina", "lib", "newroot", "proc", "run", "soak", "sys"] {
            archive.entries.push((folder.to_owned(), 0o755, None));
        }
        archive
    }

    /// Adds folders. A file's own must stand before it.
    #[must_use]
    pub fn folders(mut self, paths: &[&str]) -> Self {
        self.entries.extend(paths.iter().map(|path| ((*path).to_owned(), 0o755, None)));
        self
    }

    /// Adds an executable file.
    #[must_use]
    pub fn program(self, path: &str, bytes: Vec<u8>) -> Self {
        self.entry(path, 0o755, bytes)
    }

    /// Adds a file that nobody executes.
    #[must_use]
    pub fn file(self, path: &str, bytes: Vec<u8>) -> Self {
        self.entry(path, 0o644, bytes)
    }

    fn entry(mut self, path: &str, mode: u32, bytes: Vec<u8>) -> Self {
        self.entries.push((path.to_owned(), mode, Some(bytes)));
        self
    }

    /// Adds modules of user-mode Linux and the list of them that init reads; dependencies stand before what needs them.
    pub fn modules(mut self, names: &[&str]) -> Result<Self, Failure> {
        let mut list = String::new();
        for name in names {
            let file = module(name)?;
            let path = format!("{name}.ko");
            list += &format!("{name}\t{path}\n");
            self = self.file(&path, fs::read(&file).map_err(Failure::at(&file))?);
        }
        Ok(self.file("etc/lamina/modules", list.into_bytes()))
    }

    /// Writes the newc archive, uncompressed: nothing is saved by packing what is read once.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut file = File::create(path).map_err(Failure::at(path))?;
        for (number, (name, mode, content)) in (1..).zip(&self.entries) {
            let kind = if content.is_some() { ModeFileType::Regular } else { ModeFileType::Directory };
            let header = Builder::new(name).ino(number).mode(*mode).set_mode_file_type(kind);
            let bytes = content.as_deref().unwrap_or_default();
            let size = u32::try_from(bytes.len()).map_err(Failure::at(path))?;
            let mut entry = header.write(&mut file, size);
            entry.write_all(bytes).map_err(Failure::at(path))?;
            entry.finish().map_err(Failure::at(path))?;
        }
        for (number, (name, minor)) in (9000..).zip([("dev/console", 1), ("dev/null", 3)]) {
            let major = if minor == 1 { 5 } else { 1 };
            let header = Builder::new(name).ino(number).mode(0o600).set_mode_file_type(ModeFileType::Char);
            let entry = header.rdev_major(major).rdev_minor(minor).write(&mut file, 0);
            entry.finish().map_err(Failure::at(path))?;
        }
        trailer(file).map(drop).map_err(Failure::at(path))
    }
}

/// The file of a module of the installed user-mode Linux. The names of files have dashes or underscores, as their authors liked.
fn module(name: &str) -> Result<PathBuf, Failure> {
    let mut folders = vec![PathBuf::from(MODULES)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::at(&folder))? {
            let path = entry.map_err(Failure::at(&folder))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace('-', "_");
            if path.is_dir() {
                folders.push(path);
            } else if stem == name && path.extension().is_some_and(|extension| extension == "ko") {
                return Ok(path);
            }
        }
    }
    Err(Failure::new(format!("{MODULES}: no module {name}: is the package user-mode-linux complete?")))
}
