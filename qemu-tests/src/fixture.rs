//! What one story starts from: a folder that vanishes with it, a store, and a kernel with an initramfs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vm::machine::{ForwardedPort, Machine};

use crate::artifacts::{self, Kernel};
use crate::failure::Failure;
use crate::guest::Guest;
use crate::initramfs::Initramfs;
use crate::medium::{self, FileSystem, Identity};
use crate::outside::free_port;
use crate::store::{ImageLine, Layer, ProfileText, TestStore, newest_profile};

/// What the ext4 disks of [`Fixture::disk`] are called.
pub const DISK: Identity<'static> =
    Identity { label: "LAMINA", uuid: "6c616d69-6e61-4000-8000-000000000001" };

/// A folder, a store and a kernel of one story.
#[derive(Debug)]
pub struct Fixture {
    name: String,
    scratch: TempDir,
    store: TestStore,
    kernel: Kernel,
    rescue_shell: bool,
}

impl Fixture {
    /// An empty store, and Debian's kernel 6.1.
    pub fn new(name: &str) -> Result<Self, Failure> {
        Self::on_kernel(name, "6.1")
    }

    /// As [`Fixture::new`], with the kernel series named.
    pub fn on_kernel(name: &str, series: &str) -> Result<Self, Failure> {
        let scratch = artifacts::scratch(name)?;
        let store = TestStore::create(&scratch.path().join("medium/lamina"))?;
        Ok(Self {
            name: name.to_owned(),
            scratch,
            store,
            kernel: artifacts::kernel(series)?,
            rescue_shell: false,
        })
    }

    /// Puts a rescue shell into the initramfs.
    #[must_use]
    pub fn with_rescue_shell(mut self) -> Self {
        self.rescue_shell = true;
        self
    }

    /// The store that the medium will carry.
    pub fn store(&self) -> &TestStore {
        &self.store
    }

    /// The folder whose content becomes the medium; the store lies in it under `lamina`.
    pub fn medium_folder(&self) -> PathBuf {
        self.scratch.path().join("medium")
    }

    /// A folder for whatever else the story makes.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Takes the images `base-files` and `busybox`, as `make packages` built them: the smallest system that runs a script.
    pub fn small_system(&self) -> Result<Vec<ImageLine>, Failure> {
        let (_, images) = real_profile("console")?;
        let wanted = |image: &ImageLine| ["base-files", "busybox"].contains(&image.name.as_str());
        let system: Vec<ImageLine> = images.into_iter().filter(wanted).collect();
        for image in &system {
            self.store.take(image, &artifacts::store())?;
        }
        Ok(system)
    }

    /// Writes a profile on the small system with these layers above it. Its first program is a script that runs `lines`, says
    /// `story: end`, and powers off.
    pub fn profile_that_runs(&self, name: &str, layers: &[Layer], lines: &str) -> Result<(), Failure> {
        let mut images = self.small_system()?;
        for layer in layers {
            images.push(self.store.add(layer)?);
        }
        images.push(self.script_layer(name, lines)?);
        self.store.profile(&ProfileText::new(name, &images).init("/story"))
    }

    /// The image of the script that [`Fixture::profile_that_runs`] starts.
    pub fn script_layer(&self, name: &str, lines: &str) -> Result<ImageLine, Failure> {
        let lines = format!("echo story: begin\n{lines}\necho story: end\npoweroff -f");
        self.store.add(&Layer::new(&format!("story-{name}")).script("/story", &lines)?)
    }

    /// Copies the profile `name` of the real store, with its images.
    pub fn take_profile(&self, name: &str) -> Result<Vec<ImageLine>, Failure> {
        let (path, images) = real_profile(name)?;
        for image in &images {
            self.store.take(image, &artifacts::store())?;
        }
        let text = std::fs::read_to_string(&path).map_err(Failure::at(&path))?;
        self.store.profile_text(name, &text)?;
        Ok(images)
    }

    /// Writes an ext4 disk labelled `LAMINA` that carries the store.
    pub fn disk(&self) -> Result<PathBuf, Failure> {
        self.disk_as(FileSystem::Ext4, DISK)
    }

    /// Writes a disk that carries the store.
    pub fn disk_as(&self, file_system: FileSystem, identity: Identity) -> Result<PathBuf, Failure> {
        let disk = self.scratch.path().join(format!("{}.img", identity.label));
        medium::write(file_system, identity, &self.medium_folder(), &disk)?;
        Ok(disk)
    }

    /// An initramfs with init and the modules of this fixture's kernel.
    pub fn initramfs(&self) -> Result<Initramfs, Failure> {
        let initramfs = Initramfs::new(&self.kernel);
        if !self.rescue_shell {
            return Ok(initramfs);
        }
        Ok(initramfs.rescue_shell(&self.busybox()?))
    }

    /// A machine with this fixture's kernel and initramfs, and these kernel parameters.
    pub fn machine(&self, parameters: &str) -> Result<Machine, Failure> {
        self.machine_with(&self.initramfs()?.write()?, parameters)
    }

    /// As [`Fixture::machine`], on the disk of the store, and with the host's port that leads to its SSH server.
    pub fn machine_with_ssh(&self, parameters: &str) -> Result<(Machine, u16), Failure> {
        let port = free_port(0)?;
        let machine = self.machine(parameters)?.disk(&self.disk()?);
        Ok((machine.network(&[ForwardedPort { host: port, guest: 22 }]), port))
    }

    /// As [`Fixture::machine`], with an initramfs of the story's own.
    pub fn machine_with(&self, initramfs: &Path, parameters: &str) -> Result<Machine, Failure> {
        Ok(Machine::new(&self.name, &self.kernel.vmlinuz, initramfs).parameters(parameters))
    }

    /// Boots a machine with the disk `disk` as its store.
    pub fn boot(&self, disk: &Path, parameters: &str) -> Result<Guest, Failure> {
        let parameters = format!("lamina.store=LABEL={} {parameters}", DISK.label);
        Guest::boot(&self.machine(&parameters)?.disk(disk))
    }

    /// The bytes of the static shell out of the image `busybox`.
    pub fn busybox_bytes(&self) -> Result<Vec<u8>, Failure> {
        let path = self.busybox()?;
        std::fs::read(&path).map_err(Failure::at(&path))
    }

    /// As [`Fixture::boot`], and the disk keeps what the machine writes, for the next one.
    pub fn boot_kept(&self, disk: &Path, parameters: &str) -> Result<Guest, Failure> {
        let parameters = format!("lamina.store=LABEL={} {parameters}", DISK.label);
        Guest::boot(&self.machine(&parameters)?.kept_disk(disk))
    }

    /// The static shell out of the image `busybox`.
    fn busybox(&self) -> Result<PathBuf, Failure> {
        let (_, images) = real_profile("console")?;
        let line = images.iter().find(|image| image.name == "busybox");
        let line = line
            .ok_or_else(|| Failure::new("the profile console has no image busybox: run `make profiles`"))?;
        let image = artifacts::store().join("images").join(format!("{}.sqfs", line.digest));
        extract_busybox(&image, &self.scratch.path().join("busybox"))
    }
}

/// Reads the program out of the image `busybox` into the file `target`.
pub fn extract_busybox(image: &Path, target: &Path) -> Result<PathBuf, Failure> {
    extract(image, "usr/bin/busybox", target)
}

/// Reads a program that was built for the package `package` into the file `target`.
pub fn built_program(package: &str, program: &str, target: &Path) -> Result<PathBuf, Failure> {
    let builds = artifacts::store().join("builds");
    let records = std::fs::read_dir(&builds).map_err(Failure::at(&builds))?;
    let image = |record: std::fs::DirEntry| {
        let text = std::fs::read_to_string(record.path()).ok()?;
        text.starts_with(&format!("build \"{package}\" ")).then_some(())?;
        let digest = text.split_once("image digest=\"sha256:")?.1.get(..64)?;
        Some(artifacts::store().join("images").join(format!("{digest}.sqfs")))
    };
    let image = records.flatten().filter_map(image).find(|image| image.exists());
    let image = image.ok_or_else(|| Failure::new(format!("{package} is not built: run `make packages`")))?;
    extract(&image, program, target)
}

fn extract(image: &Path, program: &str, target: &Path) -> Result<PathBuf, Failure> {
    let opened = squashfs::Image::open(image).map_err(Failure::at(image))?;
    let bytes = opened.read(program.as_bytes()).map_err(Failure::at(image))?;
    std::fs::write(target, bytes).map_err(Failure::at(target))?;
    Ok(target.to_owned())
}

/// The newest generation of a profile of the real store.
pub fn real_profile(name: &str) -> Result<(PathBuf, Vec<ImageLine>), Failure> {
    newest_profile(&artifacts::store(), name).map_err(|failure| {
        Failure::new(format!("{failure}: run `make profiles`, or `make vm-test` for everything"))
    })
}
