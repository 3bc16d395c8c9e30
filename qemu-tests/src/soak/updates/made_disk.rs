//! A disk by `lamina disk create`, and for each generation that an update brings a store, a kernel and an initramfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::artifacts;
use crate::failure::Failure;
use crate::initramfs::Initramfs;
use crate::programs::{lamina, run};
use crate::soak::random::Random;
use crate::store::{Layer, ProfileText, TestStore, sha256};
use crate::uml::Archive;

/// The profile that is updated.
pub const PROFILE: &str = "web";
/// What takes its place when nothing else does.
pub const RESCUE: &str = "rescue";
/// Generations of [`PROFILE`] that are on the disk before the first update.
pub const FIRST: u64 = 2;
/// Its newest generation in the newest store.
pub const LAST: u64 = 6;
/// Of the layer that a generation has for itself, in bytes: random ones, so that its image has them all.
const OWN_BYTES: usize = 128 << 10;
/// Modules of user-mode Linux that init needs for a store on ext4.
const MODULES: [&str; 6] = ["loop", "squashfs", "overlay", "dm_mod", "dm_bufio", "dm_verity"];

/// What starts the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// User-mode Linux, in the place of whatever kernel an entry names: that is a file that only the reader of entries looks at.
    Uml,
    /// The firmware of a virtual PC, and the loaders on the disk.
    Firmware,
}

/// One generation, as the disk and its stores have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// `web 3`: what its layer says of itself.
    pub name: String,
    /// Its number.
    pub number: u64,
    /// The SHA-256 of its profile.
    pub digest: String,
    /// The SHA-256 of the image that no other generation has.
    pub image: String,
}

/// A partition, in bytes from the beginning of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub size: u64,
}

/// The disk before any update, with all that updates bring.
#[derive(Debug)]
pub struct MadeDisk {
    folder: TempDir,
    /// What starts it.
    pub starter: Starter,
    /// All generations of all stores.
    pub generations: Vec<Generation>,
    /// The EFI system partition.
    pub esp: Place,
    /// The ext4 with the store.
    pub store: Place,
}

impl MadeDisk {
    /// Fills the stores and makes the disk.
    pub fn make(starter: Starter) -> Result<Self, Failure> {
        let folder = artifacts::scratch("updates")?;
        let nowhere = Place { start: 0, size: 0 };
        let mut made = Self { folder, starter, generations: Vec::new(), esp: nowhere, store: nowhere };
        made.fill_stores()?;
        (FIRST..=LAST).try_for_each(|number| made.write_boot_files(number))?;
        for folder in ["esp", "medium"] {
            let folder = made.path(folder);
            fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        }
        made.create()?;
        (made.esp, made.store) = (made.partition("lamina-esp")?, made.partition("lamina-store")?);
        Ok(made)
    }

    /// A file or folder beside the disk.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The image of the disk.
    pub fn image(&self) -> PathBuf {
        self.path("disk.img")
    }

    /// The store whose newest generation of [`PROFILE`] has this number.
    pub fn store_with(&self, number: u64) -> PathBuf {
        self.path(&format!("store-{number}"))
    }

    /// The kernel and the initramfs that come with this generation, as `--kernel` and `--initramfs` take them.
    pub fn boot_files(&self, number: u64) -> Result<[PathBuf; 2], Failure> {
        match self.starter {
            Starter::Uml => {
                Ok([self.path(&format!("kernel-{number}")), self.path(&format!("initramfs-{number}"))])
            }
            Starter::Firmware => {
                let kernel = artifacts::kernel(["6.1", "6.12"][(number % 2) as usize])?;
                let initramfs = Initramfs::new(&kernel).write()?;
                Ok([kernel.package, initramfs])
            }
        }
    }

    /// The generation whose profile has this digest.
    pub fn generation(&self, digest: &str) -> Option<&Generation> {
        self.generations.iter().find(|it| it.digest == digest)
    }

    /// A generation of [`PROFILE`].
    pub fn number(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|it| it.name == format!("{PROFILE} {number}"))
    }

    /// The bytes of an image that only another generation has.
    pub fn other_image(&self, generation: &Generation) -> Result<Vec<u8>, Failure> {
        let other = self.generations.iter().find(|it| it.image != generation.image);
        let other = other.ok_or_else(|| Failure::new("there is no other image"))?;
        let path = self.store_with(FIRST).join(format!("images/{}.sqfs", other.image));
        fs::read(&path).map_err(Failure::at(&path))
    }

    fn fill_stores(&mut self) -> Result<(), Failure> {
        let guest = artifacts::soak_guest()?;
        let guest = fs::read(&guest).map_err(Failure::at(&guest))?;
        let mut system = Layer::new("soak-system").program("/sbin/soak-whole", guest)?;
        for name in ["/dev", "/proc", "/run", "/sys", "/tmp"] {
            system = system.folder(name)?;
        }
        for newest in FIRST..=LAST {
            let store = TestStore::create(&self.store_with(newest))?;
            // The first has the older ones, and the rescue.
            let old = if newest == FIRST { 1 } else { newest };
            for number in old..=newest {
                self.add(&store, &system, PROFILE, number)?;
            }
            if newest == FIRST {
                self.add(&store, &system, RESCUE, 1)?;
            }
        }
        Ok(())
    }

    /// Every second generation is checked by dm-verity, block by block when it is read, and the others before they start.
    fn add(&mut self, store: &TestStore, system: &Layer, profile: &str, number: u64) -> Result<(), Failure> {
        let name = format!("{profile} {number}");
        let mut random = Random::new(number);
        let mut bytes = format!("{name}\n").into_bytes();
        bytes.extend((0..OWN_BYTES / 8).flat_map(|_| random.bits().to_le_bytes()));
        let own = store.add(&Layer::new("own").program("/generation", bytes)?)?;
        let mut images = vec![store.add(system)?, own];
        let is_by_blocks = number.is_multiple_of(2);
        if is_by_blocks {
            images = images.iter().map(|line| store.protect(line, None)).collect::<Result<_, _>>()?;
        }
        let text = ProfileText::new(profile, &images).init("/sbin/soak-whole");
        let text = text.verify(if is_by_blocks { "verity" } else { "digest" });
        let digest = sha256(&store.generation(number, &text)?)?;
        self.generations.push(Generation { name, number, digest, image: images[1].digest.clone() });
        Ok(())
    }

    /// A kernel that user-mode Linux takes the place of, as the folder of an unpacked one, and an initramfs. No two are the same.
    fn write_boot_files(&self, number: u64) -> Result<(), Failure> {
        if self.starter == Starter::Firmware {
            return Ok(());
        }
        let [kernel, initramfs] = self.boot_files(number)?;
        let release = format!("6.1.{number}-soak");
        let modules = kernel.join("lib/modules").join(&release);
        let boot = kernel.join("boot");
        let made = fs::create_dir_all(&boot).and_then(|()| fs::create_dir_all(&modules));
        made.and_then(|()| fs::write(modules.join("modules.builtin"), "")).map_err(Failure::at(&kernel))?;
        let mut random = Random::new(1000 + number);
        let bytes: Vec<u8> = (0..16 << 10).flat_map(|_| random.bits().to_le_bytes()).collect();
        let file = boot.join(format!("vmlinuz-{release}"));
        fs::write(&file, bytes).map_err(Failure::at(&file))?;
        let init = artifacts::init()?;
        let init = fs::read(&init).map_err(Failure::at(&init))?;
        let archive = Archive::new().program("init", init).modules(&MODULES)?;
        archive.file("etc/soak-number", number.to_string().into_bytes()).write(&initramfs)
    }

    fn create(&self) -> Result<(), Failure> {
        let [kernel, initramfs] = self.boot_files(FIRST)?;
        let mut command = lamina(&self.store_with(FIRST));
        command.args(["disk", "create"]).arg(self.image());
        for profile in [PROFILE, RESCUE] {
            command.args(["--profile", profile]);
        }
        command.arg("--kernel").arg(kernel).arg("--initramfs").arg(initramfs);
        command.args(["--generations", "2", "--tries", "3", "--timeout", "1", "--size", "160M"]);
        for option in self.options() {
            command.args(["--option", option]);
        }
        run(command.env("LAMINA_CACHE", artifacts::cache())).map(drop)
    }

    /// What entries say to the kernel beside what they boot. The store is there whatever was torn: that it comes late is this machine's doing.
    fn options(&self) -> &'static [&'static str] {
        match self.starter {
            Starter::Uml => &["console=tty0", "panic=2", "lamina.timeout=60"],
            // As in every machine of these stories; a kernel that panics ends it.
            Starter::Firmware => &[
                "console=ttyS0",
                "loglevel=4",
                "no_timer_check",
                "nohz=off",
                "highres=off",
                "panic=-1",
                "lamina.timeout=60",
            ],
        }
    }

    fn partition(&self, name: &str) -> Result<Place, Failure> {
        let found =
            run(lamina(&self.store_with(FIRST)).args(["disk", "inspect", "--json"]).arg(self.image()))?;
        let found: serde_json::Value =
            serde_json::from_slice(&found.stdout).map_err(Failure::about("inspect"))?;
        let partitions = found["partitions"].as_array().cloned().unwrap_or_default();
        let partition = partitions.iter().find(|it| it["name"] == name);
        let partition = partition.ok_or_else(|| Failure::new(format!("the disk has no partition {name}")))?;
        let number = |key: &str| partition[key].as_u64().unwrap_or_default();
        Ok(Place { start: number("start"), size: number("size") })
    }
}

/// What a program of mtools calls a FAT in a disk image (mtools(1), "Drive letters").
pub fn fat(disk: &Path, esp: Place) -> String {
    format!("{}@@{}", disk.display(), esp.start)
}

/// A program of mtools: it looks for no other file system than the one it is given.
pub fn mtools(program: &str, disk: &Path, esp: Place) -> Command {
    let mut command = Command::new(program);
    command.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(fat(disk, esp));
    command
}
