//! Reads the real init whole, with its interpreters and the shared libraries that it needs, before anything is given up.
//!
//! dm-verity finds damage when a block is read. Without this step that is after the switch to the new root, where the fault of a page of
//! PID 1 ends it, and with it the kernel: `Attempted to kill init!`, and nobody tries the next profile. What is read stays in the
//! kernel's cache of pages, from which the real init starts.
//!
//! Libraries are looked for as the dynamic linkers do, musl's (`ldso/dynlink.c`) and glibc's (ld.so(8)): DT_RUNPATH and DT_RPATH,
//! `/etc/ld-musl-ARCH.path`, the folder in which the linker really lies, Debian's and the usual ones. `/etc/ld.so.cache` is not read: a library that is
//! found through it alone is not read ahead, and neither is what a program opens by itself (dlopen(3)).

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::elf::{self, Dynamic};
use super::open::{open_in, read_at};
use super::script::{LONGEST_SCRIPT_LINE, script_interpreter};

/// More is not read: systemd needs some 40 files of 20 MiB together.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 64 << 20;
/// Asked for at once.
const PIECE: usize = 128 << 10;
/// A file of folders (`/etc/ld-musl-ARCH.path`) that is longer is cut.
const LONGEST_LIST: usize = 16 << 10;
/// Where the linkers look last.
const USUAL: [&str; 5] = ["/lib64", "/usr/lib64", "/lib", "/usr/local/lib", "/usr/lib"];

/// A file that is there and cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// In the new root, links resolved where it could be opened.
    pub path: PathBuf,
    /// The first byte that could not be read; `None` when the file could not be opened.
    pub at: Option<u64>,
    /// What open(2) or read(2) said.
    pub error: io::Error,
}

/// What was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Files that were opened and read.
    pub files: usize,
    /// Their sum, 64 MiB at most.
    pub bytes: u64,
}

/// Reads them. What is not there, or is no program, is for `real_init::check` to tell.
///
/// # Errors
/// The first file that is there and cannot be read.
pub fn read(root: &Path, init: &str) -> Result<Amount, Unreadable> {
    let folder = File::open(root).map_err(|error| Unreadable { path: root.to_owned(), at: None, error })?;
    let mut reader = Reader {
        folder,
        root: fs::canonicalize(root).unwrap_or_else(|_| root.to_owned()),
        amount: Amount::default(),
        seen: BTreeSet::new(),
        piece: vec![0; PIECE],
    };
    let mut next = Some(init.to_owned());
    // Each file is read once, so that a circle of scripts ends.
    while let Some(program) = next.take() {
        let Some(object) = reader.whole(&program)? else { break };
        let read = |offset, length| read_at(&object.file, offset, length);
        let head = read(0, LONGEST_SCRIPT_LINE);
        if head.starts_with(b"#!") {
            next = script_interpreter(&head);
        } else if let Ok(elf::Program { interpreter: Some(linker), .. }) = elf::parse(read) {
            let folders = reader.folders(&linker)?;
            reader.libraries(object, &folders)?;
        }
    }
    Ok(reader.amount)
}

/// A file that was read whole.
struct Object {
    file: File,
    /// Where it really lies, in the new root.
    path: PathBuf,
}

struct Reader {
    folder: File,
    /// As the kernel names it.
    root: PathBuf,
    amount: Amount,
    /// Device and inode of what was read.
    seen: BTreeSet<(u64, u64)>,
    piece: Vec<u8>,
}

impl Reader {
    /// Opens and reads a file. `None` when it is not there, is no file, was read before, or when enough was read.
    fn whole(&mut self, path: &str) -> Result<Option<Object>, Unreadable> {
        if self.amount.files >= MOST_FILES || self.amount.bytes >= MOST_BYTES {
            return Ok(None);
        }
        let file = match open_in(&self.folder, path) {
            Ok(file) => file,
            Err(errno) if is_damage(errno) => {
                return Err(Unreadable { path: path.into(), at: None, error: errno.into() });
            }
            Err(_) => return Ok(None),
        };
        let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        let real = real.and_then(|real| Some(Path::new("/").join(real.strip_prefix(&self.root).ok()?)));
        let mut object = Object { file, path: real.unwrap_or_else(|| path.into()) };
        let failed = |at, error| Unreadable { path: object.path.clone(), at, error };
        let metadata = object.file.metadata().map_err(|error| failed(None, error))?;
        if !metadata.is_file() || !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(None);
        }
        self.amount.files += 1;
        let mut at = 0;
        while self.amount.bytes < MOST_BYTES {
            match object.file.read(&mut self.piece) {
                Ok(0) => break,
                Ok(length) => {
                    at += length as u64;
                    self.amount.bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Unreadable { path: object.path, at: Some(at), error }),
            }
        }
        object.path = object.path.components().collect();
        Ok(Some(object))
    }

    /// Reads the linker, and says in which folders it looks.
    fn folders(&mut self, linker: &str) -> Result<Vec<String>, Unreadable> {
        let mut folders = Vec::new();
        let name = linker.rsplit('/').next().unwrap_or_default();
        if let Some(architecture) = name.strip_prefix("ld-musl-").and_then(|name| name.strip_suffix(".so.1"))
        {
            let list = format!("/etc/ld-musl-{architecture}.path");
            if let Some(list) = self.whole(&list)? {
                let text = String::from_utf8_lossy(&read_at(&list.file, 0, LONGEST_LIST)).into_owned();
                folders.extend(text.split([':', '\n']).map(str::trim).map(str::to_owned));
            }
        }
        let lies_in = |path: &Path| path.parent().map(|folder| folder.display().to_string());
        folders.extend(lies_in(Path::new(linker)));
        folders.extend(self.whole(linker)?.and_then(|linker| lies_in(&linker.path)));
        let multiarch =
            ["/lib", "/usr/lib"].map(|folder| format!("{folder}/{}-linux-gnu", std::env::consts::ARCH));
        folders.extend(multiarch);
        folders.extend(USUAL.map(str::to_owned));
        folders.retain(|folder| folder.starts_with('/'));
        Ok(folders)
    }

    /// Reads the libraries that a program needs, and those that they need.
    fn libraries(&mut self, program: Object, folders: &[String]) -> Result<(), Unreadable> {
        let Some(linked) = linked(&program) else { return Ok(()) };
        let (machine, bits) = (linked.machine, linked.bits);
        let mut names = BTreeSet::new();
        let mut open = VecDeque::from([(program.path, linked, Vec::new())]);
        while let Some((path, linked, inherited)) = open.pop_front() {
            // Of those that it was loaded for, too: musl does so always, glibc with DT_RPATH.
            let mut search: Vec<String> =
                linked.search.iter().map(|folder| in_place(folder, &path)).collect();
            search.extend(inherited);
            for name in linked.needed {
                if !names.insert(name.clone()) || names.len() > MOST_FILES {
                    continue;
                }
                for candidate in candidates(&name, search.iter().chain(folders)) {
                    let Some(library) = self.whole(&candidate)? else { continue };
                    let fits = |linked: &Dynamic| (linked.machine, linked.bits) == (machine, bits);
                    if let Some(linked) = self::linked(&library).filter(fits) {
                        open.push_back((library.path, linked, search.clone()));
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

fn linked(object: &Object) -> Option<Dynamic> {
    elf::dynamic(|offset, length| read_at(&object.file, offset, length))
}

/// The paths under which a library may lie; a name with a slash is a path.
fn candidates<'a>(name: &'a str, folders: impl Iterator<Item = &'a String>) -> Vec<String> {
    match name.contains('/') {
        true => vec![name.to_owned()],
        false => folders.map(|folder| format!("{folder}/{name}")).collect(),
    }
}

/// `$ORIGIN` is the folder of the file that has it.
fn in_place(folder: &str, file: &Path) -> String {
    let origin = file.parent().unwrap_or(Path::new("/")).display().to_string();
    folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)
}

/// Whether the kernel could not read what it needed, as opposed to what is not there, or cannot be what is wanted.
pub fn is_damage(errno: Errno) -> bool {
    // The last two are EFSBADCRC and EFSCORRUPTED of the kernel.
    matches!(errno, Errno::EIO | Errno::EREMOTEIO | Errno::ENODATA | Errno::EBADMSG | Errno::EUCLEAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// A root with a program of this machine, and what ldd(1) says that it needs, at the same paths.
    fn root_with(program: &str) -> (tempfile::TempDir, BTreeMap<PathBuf, u64>) {
        let root = tempfile::tempdir().unwrap();
        let listed = Command::new("ldd").arg(program).output().expect("ldd, of Debian's libc-bin");
        let listed = String::from_utf8(listed.stdout).unwrap();
        let paths =
            listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        let mut sizes = BTreeMap::new();
        for path in paths.chain([program]) {
            let target = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            sizes.insert(target.clone(), fs::copy(path, &target).unwrap());
        }
        (root, sizes)
    }

    fn of(root: &Path, init: &str) -> Amount {
        read(root, init).unwrap_or_else(|unreadable| panic!("{unreadable:?}"))
    }

    #[test]
    fn a_script_its_interpreter_and_all_libraries_are_read_to_the_last_byte() {
        let (root, mut sizes) = root_with("/usr/sbin/mkfs.ext4");
        let whole =
            |sizes: &BTreeMap<PathBuf, u64>| Amount { files: sizes.len(), bytes: sizes.values().sum() };
        assert!(sizes.len() >= 6, "{sizes:?}");
        assert_eq!(of(root.path(), "/usr/sbin/mkfs.ext4"), whole(&sizes));
        fs::create_dir(root.path().join("sbin")).unwrap();
        symlink("/usr/sbin/story", root.path().join("sbin/init")).unwrap();
        let script = b"#! /usr/sbin/mkfs.ext4 -x\n";
        fs::write(root.path().join("usr/sbin/story"), script).unwrap();
        sizes.insert("story".into(), script.len() as u64);
        assert_eq!(of(root.path(), "/sbin/init"), whole(&sizes));
    }

    #[test]
    fn what_is_not_there_or_goes_in_a_circle_is_left_to_the_check() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(of(root.path(), "/sbin/init"), Amount::default());
        fs::write(root.path().join("self"), "#!/self\n").unwrap();
        assert_eq!(of(root.path(), "/self").files, 1);
        nix::unistd::mkfifo(&root.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(of(root.path(), "/fifo"), Amount::default());
        assert_eq!(of(root.path(), "/"), Amount::default());
    }

    #[test]
    fn no_more_than_is_documented_is_read() {
        let root = tempfile::tempdir().unwrap();
        let file = File::create(root.path().join("init")).unwrap();
        file.set_len(MOST_BYTES * 4).unwrap();
        let amount = of(root.path(), "/init");
        assert!((MOST_BYTES..MOST_BYTES + PIECE as u64).contains(&amount.bytes), "{amount:?}");
    }

    #[test]
    fn the_folders_of_a_file_count_for_it() {
        let file = Path::new("/usr/lib/x/y.so");
        assert_eq!(in_place("$ORIGIN/../z:${ORIGIN}", file), "/usr/lib/x/../z:/usr/lib/x");
        let folders = ["/a".to_owned(), "/b".to_owned()];
        assert_eq!(candidates("l.so", folders.iter()), ["/a/l.so", "/b/l.so"]);
        assert_eq!(candidates("/l.so", folders.iter()), ["/l.so"]);
    }

    #[test]
    fn damage_is_told_from_absence() {
        assert!(is_damage(Errno::EIO) && is_damage(Errno::EUCLEAN));
        assert!(!is_damage(Errno::ENOENT) && !is_damage(Errno::ELOOP) && !is_damage(Errno::EACCES));
    }
}
