//! What a boot with a failed system call boots: a system that goes through all that init can do on its way. Its image is
//! under dm-verity, with error correction that this kernel has not, so that the second attempt is made too; its medium counts
//! boots, and its writable top is an ext4 of its own.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use tempfile::{Builder, TempDir};

use crate::artifacts;
use crate::failure::Failure;
use crate::fixture::DISK;
use crate::medium::{self, FileSystem};
use crate::soak::log_folder;
use crate::state_disk;
use crate::store::{Layer, ProfileText, TestStore};
use crate::uml::{Archive, Uml, UmlGuest};

const MODULES: [&str; 6] = ["loop", "squashfs", "overlay", "dm_mod", "dm_bufio", "dm_verity"];
const STATE_MIB: u64 = 8;
/// The disks, in the order in which the guest sees them.
const DISKS: [&str; 2] = ["medium.img", "state.img"];

/// What the boots need, made once.
#[derive(Debug)]
pub struct FaultFixture {
    folder: TempDir,
    initramfs: PathBuf,
    parameters: String,
}

impl FaultFixture {
    /// The disks, and an initramfs with init and its tracer.
    pub fn prepare() -> Result<Self, Failure> {
        // On memory, where user-mode Linux keeps its own: a flush of the guest's disk is none of this machine's.
        let folder = Builder::new().prefix("faults").tempdir_in("/dev/shm");
        let folder = folder.map_err(Failure::about("a temporary folder in /dev/shm"))?;
        let at = |name: &str| folder.path().join(name);
        let read = |path: PathBuf| fs::read(&path).map_err(Failure::at(&path));
        let (init, guest) = (read(artifacts::init()?)?, read(artifacts::soak_guest()?)?);
        let store = TestStore::create(&at("medium").join("lamina"))?;
        let image = store.protect(&store.add(&system(&guest)?)?, Some(2))?;
        let root = format!("root writable=\"LABEL={}\"", state_disk::LABEL);
        let profile = ProfileText::new("soak", &[image]).verify("verity").root(&root);
        store.profile(&profile.init("/sbin/soak-arrived"))?;
        store.boot_slots()?;
        medium::write(FileSystem::Ext4, DISK, &at("medium"), &at(DISKS[0]))?;
        state_disk::ext4(&at(DISKS[1]), STATE_MIB)?;
        let initramfs = at("initramfs");
        Archive::new()
            .program("init", init)
            .program("soak-guest", guest)
            .modules(&MODULES)?
            .write(&initramfs)?;
        let parameters = format!(
            "rdinit=/soak-guest soak_role=faults lamina.store=LABEL={} lamina.profile=soak lamina.timeout=5 panic=2",
            DISK.label
        );
        Ok(Self { folder, initramfs, parameters })
    }

    /// Boots with call `call` failing with `error`; call 0 is none. `worker` tells apart those that boot at the same time.
    pub(super) fn boot(
        &self,
        call: u64,
        error: Errno,
        worker: usize,
    ) -> Result<(UmlGuest, PathBuf), Failure> {
        let log = log_folder()?.join(format!("fault-{call}-{error:?}.log"));
        let fault = format!("soak_call={call} soak_errno={}", error as i32);
        let mut machine = Uml::new(&self.initramfs).parameters(&self.parameters).parameters(&fault);
        for name in DISKS {
            // Init writes to them.
            let (whole, copy) = (self.folder.path().join(name), self.copy(name, worker));
            fs::copy(&whole, &copy).map_err(Failure::at(&copy))?;
            machine = machine.disk(&copy);
        }
        Ok((machine.boot(&log)?, log))
    }

    fn copy(&self, name: &str, worker: usize) -> PathBuf {
        self.folder.path().join(Path::new(&format!("{worker}-{name}")))
    }
}

/// The image of a system that only says that it runs.
fn system(guest: &[u8]) -> Result<Layer, Failure> {
    let mut layer = Layer::new("soak-system").program("/sbin/soak-arrived", guest.to_vec())?;
    for folder in ["/dev", "/proc", "/run", "/sys", "/tmp"] {
        layer = layer.folder(folder)?;
    }
    Ok(layer)
}
