//! Decides what goes in, then writes it.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use atomic_file::{Form, Output};
use cli::progress::Progress;
use initramfs_format::font::FONT;
use initramfs_format::keymap::KEYMAP;
use initramfs_format::paths;
use kernel_config::Group;
use kernel_package::{KernelPackage, Opening};
use profiles::resolved::format_read_by;
use profiles::{Name, StateFileSystem};

use crate::compression::{self, LEVELS};
use crate::contents::{Contents, Source};
use crate::drop_in::{Added, DropIns};
use crate::file_system_maker::FileSystemMaker;
use crate::firmware::{self, Firmware};
use crate::host::Devices;
use crate::kernel_modules::{self, Selection, Wishes};
use crate::keys::Keys;
use crate::microcode::{self, Early};
use crate::programs::{Libraries, MakerFile};
use crate::rules::{self, AllowedProfile};
use crate::{
    archive, console_font, elf, file_system_maker, host_file, keymap, luks, module_list, rescue, store,
};
use fault::Error;

/// What an initramfs is made of.
#[derive(Debug, Clone)]
pub struct Request {
    /// A Debian kernel package, the folder where one was unpacked, `lib/modules/RELEASE`, or a root with several kernels.
    pub kernel: PathBuf,
    /// Which kernel of [`Request::kernel`] is meant, where there are several.
    pub release: Option<String>,
    /// The static program that becomes `/init`.
    pub init: PathBuf,
    /// The groups of `kernel-config`'s table whose modules go in.
    pub groups: Vec<Group>,
    /// Where sysfs describes a machine: what its devices ask for goes in, beside the groups and the file systems of media.
    pub host: Option<PathBuf>,
    /// The folder with the firmware that modules name.
    pub firmware: Firmwares,
    /// More modules, by name.
    pub modules: Vec<String>,
    /// File systems besides ext4 that can keep what was changed. They are large (Debian's 6.1: XFS 4.3 MB, Btrfs 4.5 MB with
    /// what it needs, F2FS 1.7 MB, where all modules of the default groups together have 4 MB), so that none goes in unasked.
    pub state_file_systems: Vec<StateFileSystem>,
    /// A static busybox for the rescue shell.
    pub busybox: Option<PathBuf>,
    /// cryptsetup and the kernel's part of it go in.
    pub luks: bool,
    /// The keymap of the console: a layout of X, a keymap of kbd, or a file.
    pub keymap: Option<String>,
    /// The font of the console: a PC screen font, by its name or its file.
    pub font: Option<String>,
    /// File systems that init can make on an empty device; their drivers go in too.
    pub make_file_systems: Vec<FileSystemMaker>,
    /// Public keys whose signatures of profiles init accepts.
    pub keys: Vec<PathBuf>,
    /// Init refuses a profile without a valid signature.
    pub require_signatures: bool,
    /// The rescue shell may be opened although signatures are required.
    pub allow_shell: bool,
    /// The only profiles of a medium that boot; all when none is named.
    pub allowed_profiles: Vec<AllowedProfile>,
    /// Files of microcode, and folders with such.
    pub microcode: Vec<PathBuf>,
    /// Folders of additions.
    pub drop_ins: Vec<PathBuf>,
    /// A store to pack.
    pub store: Option<PathBuf>,
    /// The profiles of the store to pack, with their images; all when none is named.
    pub profiles: Vec<Name>,
    /// The folder of a cache for what is read of a kernel package.
    pub cache: Option<PathBuf>,
    /// Who is told how far reading and writing came.
    pub progress: Progress,
}

/// Which firmware goes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Firmwares {
    /// None: the same input gives the same bytes, whatever this machine has. The virtual machines of the default groups need none.
    #[default]
    None,
    /// What the system of the kernel, or for a package this machine, has of that which the modules name.
    OfItsSystem,
    /// What this folder has.
    Of(PathBuf),
}

impl Request {
    /// The groups that go in when nobody chooses: all but the file systems of [`Request::state_file_systems`].
    pub const GROUPS: [Group; 7] = [
        Group::Core,
        Group::Media,
        Group::Keyboard,
        Group::Vm,
        Group::Network,
        Group::Verity,
        Group::Console,
    ];

    /// The groups for any machine: all but network cards and graphics cards of some makers, whose drivers are large.
    pub const GENERIC: [Group; 11] = [
        Group::Core,
        Group::Media,
        Group::Keyboard,
        Group::Vm,
        Group::Network,
        Group::Verity,
        Group::State,
        Group::Console,
        Group::Drives,
        Group::Input,
        Group::Display,
    ];
    /// The groups for one machine, whose devices ask for the rest.
    pub const HOST: [Group; 2] = [Group::Core, Group::Verity];

    /// A plain initramfs: `init` and the modules of the default groups.
    pub fn new(kernel: impl Into<PathBuf>, init: impl Into<PathBuf>) -> Request {
        Request {
            kernel: kernel.into(),
            init: init.into(),
            release: None,
            groups: Request::GROUPS.to_vec(),
            host: None,
            firmware: Firmwares::None,
            modules: Vec::new(),
            state_file_systems: Vec::new(),
            busybox: None,
            luks: false,
            keymap: None,
            font: None,
            make_file_systems: Vec::new(),
            keys: Vec::new(),
            require_signatures: false,
            allow_shell: false,
            allowed_profiles: Vec::new(),
            microcode: Vec::new(),
            drop_ins: Vec::new(),
            store: None,
            profiles: Vec::new(),
            cache: None,
            progress: Progress::Silent,
        }
    }

    /// Reads everything and decides what goes in. Writes nothing.
    ///
    /// # Errors
    /// Something is missing, damaged, or does not fit the kernel; names it, and what to do.
    pub fn plan(&self) -> Result<Plan, Error> {
        // The kernel last: it takes seconds, and what is wrong with the others shows at once.
        let (init, keys) = (read_init(&self.init)?, Keys::read(&self.keys, self.require_signatures)?);
        let (early, drop_ins) = (microcode::early(&self.microcode)?, DropIns::read(&self.drop_ins)?);
        let for_people = self.for_people()?;
        let reading = self.progress.work(format_args!("reading {}", self.kernel.display()));
        let opening = Opening { release: self.release.as_deref(), cache: self.cache.as_deref() };
        let kernel = opening.open(&self.kernel)?;
        let mut modules = self.pick(&kernel, &drop_ins.modules(&kernel, &self.modules)?)?;
        drop(reading);
        let mut contents = Contents::default();
        for folder in ["dev", "newroot", "proc", "run", "sys"] {
            contents.add(folder, 0o755, Source::Folder)?;
        }
        contents.add("dev/console", 0o600, Source::CharDevice(5, 1))?;
        // Where the kernel has no console, its open fails; Rust's runtime then puts this in the place of the standard streams,
        // and ends the process, which no PID 1 may, when it is not there either.
        contents.add("dev/null", 0o666, Source::CharDevice(1, 3))?;
        let made_for = (kernel.release(), format_read_by(&init));
        contents.add("init", 0o755, Source::Bytes(init))?;
        let about = rules::description(made_for, &keys, self.allow_shell, &self.allowed_profiles)?;
        contents.add(paths::entry(paths::DESCRIPTION), 0o644, Source::Bytes(about.to_kdl().into_bytes()))?;
        add_modules(&mut contents, kernel.release(), &mut modules)?;
        let firmware = self.add_firmware(&mut contents, &modules, &kernel)?;
        keys.add(&mut contents)?;
        if let Some(busybox) = &self.busybox {
            rescue::add(&mut contents, busybox)?;
        }
        for (path, bytes) in for_people {
            contents.add(paths::entry(path), 0o644, Source::Bytes(bytes))?;
        }
        let mut libraries = Libraries::default();
        let mut makers = self.add_programs(&mut contents, &mut libraries)?;
        let profiles = match &self.store {
            Some(store) => {
                store::add(&mut contents, store, (&self.profiles, made_for), &keys, self.progress)?
            }
            None => store::Packed::default(),
        };
        let drop_ins = drop_ins.add(&mut contents, &mut libraries)?;
        makers.extend(libraries.put(&mut contents)?);
        let (release, progress) = (kernel.release().to_owned(), self.progress);
        let shell = rules::about_shell(&keys, self.busybox.is_some(), self.allow_shell).map(str::to_owned);
        let rescue = rules::about_rescue(&keys, &profiles.unsealed, self.allow_shell);
        let warnings = shell.into_iter().chain(rescue).chain(firmware.warning).chain(profiles.mended);
        let (warnings, profiles, firmware) = (warnings.collect(), profiles.taken, firmware.files);
        Ok(Plan {
            release,
            early,
            contents,
            modules,
            firmware,
            makers,
            drop_ins,
            profiles,
            warnings,
            progress,
        })
    }

    /// What a person at the screen and the keyboard needs, with its paths.
    fn for_people(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let keymap = self.keymap.as_deref().map(|named| Ok((KEYMAP, keymap::read(named)?)));
        let font = self.font.as_deref().map(|named| Ok((FONT, console_font::read(named)?)));
        keymap.into_iter().chain(font).collect()
    }

    fn add_programs(
        &self,
        contents: &mut Contents,
        libraries: &mut Libraries,
    ) -> Result<Vec<MakerFile>, Error> {
        let mut programs = file_system_maker::add(contents, &self.make_file_systems, libraries)?;
        if self.luks {
            programs.push(luks::add(contents, libraries)?);
        }
        Ok(programs)
    }

    fn pick(&self, kernel: &KernelPackage, named: &[String]) -> Result<Selection, Error> {
        let makers = self.make_file_systems.iter().map(|maker| maker.kind);
        let file_systems: Vec<_> = self.state_file_systems.iter().copied().chain(makers).collect();
        let host = self.host.as_deref().map(Devices::read).transpose()?;
        let wishes = Wishes {
            groups: &self.groups,
            file_systems: &file_systems,
            extra: named,
            luks: self.luks,
            host: host.as_ref(),
        };
        let modules = kernel_modules::pick(kernel, &wishes)?;
        // Without it the next one takes longer, and is the same.
        let _ = kernel.keep();
        Ok(modules)
    }

    fn add_firmware(
        &self,
        contents: &mut Contents,
        modules: &Selection,
        kernel: &KernelPackage,
    ) -> Result<Firmware, Error> {
        let folder = match &self.firmware {
            Firmwares::None => return Ok(Firmware::default()),
            Firmwares::OfItsSystem => firmware::of_system(kernel.root()),
            Firmwares::Of(folder) => firmware::named(folder)?,
        };
        firmware::add(contents, &modules.picked, kernel.release(), &folder)
    }
}

fn read_init(path: &Path) -> Result<Vec<u8>, Error> {
    let remedy = "'make init' makes out/init";
    let bytes = host_file::read(path).map_err(|error| Error::caused(path.display(), error).remedy(remedy))?;
    let cannot_run =
        |cause| Error::new(path.display(), format!("{cause}; the initramfs has no libraries")).remedy(remedy);
    elf::check_static(&bytes).map_err(cannot_run)?;
    Ok(bytes)
}

/// The bytes of the modules are moved: all of them together are most of what this program holds.
fn add_modules(contents: &mut Contents, release: &str, modules: &mut Selection) -> Result<(), Error> {
    let list = module_list::text(release, modules);
    for module in &mut modules.picked {
        if let Some(path) = &module.path {
            let path = format!("lib/modules/{release}/{path}");
            contents.add(path, 0o644, Source::Bytes(std::mem::take(&mut module.bytes)))?;
        }
    }
    contents.add(paths::entry(paths::MODULES), 0o644, Source::Bytes(list.into_bytes()))
}

/// What goes in, and why. Its Display is the report for people.
#[derive(Debug)]
pub struct Plan {
    /// The kernel's release.
    pub release: String,
    /// What goes in front: microcode.
    pub early: Option<Early>,
    /// The files.
    pub contents: Contents,
    /// The modules, with their reasons.
    pub modules: Selection,
    /// Firmware by its path in the initramfs, with the modules that name it.
    pub firmware: Vec<(String, String)>,
    /// The programs that make file systems, and the libraries of all programs.
    pub makers: Vec<MakerFile>,
    /// What drop-ins brought.
    pub drop_ins: Vec<Added>,
    /// The packed profiles, as `NAME generation N`.
    pub profiles: Vec<String>,
    /// What whoever makes this should know, one sentence each.
    pub warnings: Vec<String>,
    progress: Progress,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Entries of the archive, folders included.
    pub entries: usize,
    /// Bytes of file data, not compressed.
    pub unpacked: u64,
    /// Bytes of the file.
    pub packed: u64,
    /// It went to standard output, where nothing else may be written then.
    pub to_standard_output: bool,
}

impl Plan {
    /// Writes the archive to `output`, compressed with zstd at `level`. A file is there whole or not at all; `-`, a FIFO and a
    /// character device are written through ([`Output`]).
    ///
    /// # Errors
    /// `level` is not in [`LEVELS`]; an image changed meanwhile; the output cannot be written.
    pub fn write(&self, level: i32, output: &Path) -> Result<Written, Error> {
        if !LEVELS.contains(&level) {
            let cause =
                format!("the zstd level {level} is not one of {} to {}", LEVELS.start(), LEVELS.end());
            return Err(Error::new("", cause));
        }
        let failed = |error: std::io::Error| Error::caused(output.display(), error);
        let file = Output::create(output, Form::Stream)?;
        let mut buffer = BufWriter::with_capacity(1 << 17, archive::Counted::new(file.handle()?));
        let early = self.early.as_ref().map_or(&[][..], |early| &early.bytes);
        buffer.write_all(early).map_err(|error| archive::full(output, error))?;
        let mut encoder = compression::encoder(buffer, level, compression::threads()).map_err(failed)?;
        let unpacked = self.contents.iter().map(|(_, entry)| entry.source.size()).sum();
        let meter = self.progress.meter(format_args!("writing {}", output.display()), unpacked);
        archive::write(&self.contents, &mut encoder, output, &meter)?;
        let whole = encoder.finish().and_then(|buffer| Ok(buffer.into_inner()?));
        let packed = whole.map_err(|error| archive::full(output, error))?.bytes;
        let to_standard_output = file.is_standard_output();
        file.publish()?;
        Ok(Written { entries: self.contents.iter().count(), unpacked, packed, to_standard_output })
    }
}
