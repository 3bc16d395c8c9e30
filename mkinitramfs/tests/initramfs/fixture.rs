//! A small kernel package in a folder: modules that are real ELF files with a `.modinfo`, and nothing else in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mkinitramfs::Request;
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use tempfile::TempDir;

/// The release of the kernel.
pub const RELEASE: &str = "6.1.0-test";

/// A folder with a kernel, a static program, and room for the results.
pub struct Fixture {
    /// Removed with the value.
    pub folder: TempDir,
}

impl Fixture {
    /// A kernel with the modules that every stack needs, and `ext4` built in.
    pub fn new() -> Fixture {
        let fixture = Fixture { folder: tempfile::tempdir().expect("a temporary folder") };
        fixture.put("kernel/boot/vmlinuz-6.1.0-test", b"kernel");
        fixture.put("kernel/boot/config-6.1.0-test", b"CONFIG_EXT4_FS=y\nCONFIG_BLK_DEV_LOOP=m\n");
        fixture.put(&format!("kernel/lib/modules/{RELEASE}/modules.builtin"), b"kernel/fs/ext4/ext4.ko\n");
        fixture.put("init", &static_program());
        for (path, depends) in [
            ("kernel/drivers/block/loop.ko", ""),
            ("kernel/fs/overlayfs/overlay.ko", ""),
            ("kernel/fs/squashfs.ko", "lib-a,lib-b"),
            ("kernel/lib/lib-a.ko", "lib-b"),
            ("kernel/lib/lib-b.ko", ""),
            ("kernel/drivers/odd.ko", "ext4"),
        ] {
            fixture.put_module(path, &module(depends, "", RELEASE));
        }
        fixture
    }

    /// Where `name` lies in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a path with a folder")).expect("the folder");
        fs::write(&path, bytes).expect("the file");
        path
    }

    /// Writes a module of the kernel.
    pub fn put_module(&self, path: &str, bytes: &[u8]) {
        self.put(&format!("kernel/lib/modules/{RELEASE}/{path}"), bytes);
    }

    /// Takes a module away.
    pub fn remove_module(&self, path: &str) {
        fs::remove_file(self.path(&format!("kernel/lib/modules/{RELEASE}/{path}")))
            .expect("the module was there");
    }

    /// A plain request.
    pub fn request(&self) -> Request {
        Request::new(self.path("kernel"), self.path("init"))
    }

    /// The refusal of a request.
    pub fn refusal(&self, request: &Request) -> String {
        let error = request.plan().expect_err("a refusal").to_string();
        error.replace(&self.folder.path().display().to_string(), "DIR")
    }
}

/// A module's bytes.
pub fn module(depends: &str, softdep: &str, release: &str) -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    let text = format!("license=GPL\0depends={depends}\0{softdep}vermagic={release} SMP mod_unload \0");
    file.append_section_data(section, text.as_bytes(), 1);
    file.write().expect("an ELF file")
}

/// The smallest ELF program: a header and one segment (elf(5)).
pub fn static_program() -> Vec<u8> {
    let mut program = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    program.resize(16, 0);
    for half in [2u16, 62] {
        program.extend(half.to_le_bytes());
    }
    program.extend(1u32.to_le_bytes());
    for long in [0x40_0078u64, 64, 0] {
        program.extend(long.to_le_bytes());
    }
    program.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        program.extend(half.to_le_bytes());
    }
    for word in [1u32, 5] {
        program.extend(word.to_le_bytes());
    }
    for long in [0u64, 0x40_0000, 0x40_0000, 120, 120, 4096] {
        program.extend(long.to_le_bytes());
    }
    program
}

/// Runs a line of shell in `folder` and returns what it printed.
pub fn shell(folder: &Path, line: &str) -> String {
    for tool in ["zstd", "cpio", "lz4"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(
            found.is_ok(),
            "{tool} judges the archives: install it (Debian: apt-get install zstd cpio lz4)"
        );
    }
    let output = Command::new("sh").args(["-ec", line]).current_dir(folder).output().expect("sh runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
