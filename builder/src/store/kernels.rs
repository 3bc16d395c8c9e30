//! The kernels that were imported: `kernels/NAME.kdl` says what a profile means by `kernel "NAME"`, and `kernels/HEX` is the bootable file
//! with this SHA-256. The modules are an image like any other, with a record of its build.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use profiles::decode::{Node, Shape, read};
use profiles::quote::Quoted;
use profiles::resolved::KernelPin;
use profiles::{Diagnostics, Digest, Name, suggest};

use super::{BuildRecord, Store, files_in};
use crate::error::{Error, Result};
use crate::removing::remove;
use crate::text_file;

/// The folder of imported kernels, below the store.
pub const KERNELS: &str = "kernels";
/// What the image of a kernel's modules is called, behind the name of the kernel.
const MODULES: &str = "-modules";
/// The format of records; another one is refused.
const FORMAT: u64 = 1;

const KERNEL: Shape = Shape::argument("name").properties(&["format"]).block(&["release", "file", "modules"]);
const FILE: Shape = Shape::BARE.properties(&["digest", "size"]);
const MODULES_NODE: Shape = Shape::BARE.properties(&["id"]);

/// An imported kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRecord {
    /// What a profile that names it pins.
    pub pin: KernelPin,
    /// The id under which the image of its modules was made.
    pub modules: Digest,
}

impl KernelRecord {
    /// The record as it stands in the store.
    pub fn to_kdl(&self) -> String {
        let KernelPin { name, release, digest, size } = &self.pin;
        format!(
            "kernel {} format={FORMAT} {{\n    release {}\n    file digest=\"{digest}\" size={size}\n    modules id=\"{}\"\n}}\n",
            Quoted(name.as_str()),
            Quoted(release.as_str()),
            self.modules.hex()
        )
    }

    /// Reads a record; `label` names the text in messages.
    ///
    /// # Errors
    /// All that is not understood, with its place.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<KernelRecord, Diagnostics> {
        read(label, bytes, |top| {
            top.allow(&["kernel"]);
            record(top.required("kernel")?)
        })
    }
}

fn record(node: Node<'_>) -> Option<KernelRecord> {
    let found = node.property::<u64>("format")?;
    if found != FORMAT {
        let message = format!("the record has format {found}, this version reads format {FORMAT}");
        return node.refuse_property(
            "format",
            message,
            "import the kernel again with this version of Lamina",
        );
    }
    let node = node.shape(&KERNEL)?;
    let block = node.block();
    let file = block.required("file")?.shape(&FILE)?;
    Some(KernelRecord {
        pin: KernelPin {
            name: node.argument("name")?,
            release: block.required("release")?.shape(&Shape::argument("text"))?.argument("text")?,
            digest: file.property("digest")?,
            size: file.property("size")?,
        },
        modules: block.required("modules")?.shape(&MODULES_NODE)?.property("id")?,
    })
}

/// What the image of the modules of the kernel `kernel` is called.
///
/// # Errors
/// The name is longer than names are.
pub fn modules_name(kernel: &Name) -> Result<Name> {
    Name::parse(&format!("{kernel}{MODULES}")).map_err(|error| {
        Error::caused(format!("kernel {kernel}"), error).remedy(
            "the image of its modules is called NAME-modules: give it a shorter name with `--name NAME`",
        )
    })
}

impl Store {
    /// `kernels/HEX`.
    pub fn kernel_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(KERNELS).join(digest.hex())
    }

    /// `kernels/NAME.kdl`.
    pub fn kernel_record_path(&self, name: &Name) -> PathBuf {
        self.root.join(KERNELS).join(format!("{name}.kdl"))
    }

    /// The kernel that was imported under this name.
    ///
    /// # Errors
    /// Its record is damaged.
    pub fn kernel(&self, name: &Name) -> Result<Option<KernelRecord>> {
        match self.has_kernel(name) {
            true => self.read_kernel(&self.kernel_record_path(name)).map(Some),
            false => Ok(None),
        }
    }

    /// Every record of a kernel, by name, or why it cannot be read. An error is only for a folder that cannot be read.
    pub fn kernels(&self) -> Result<Vec<Result<KernelRecord>>> {
        let files = files_in(&self.root.join(KERNELS))?;
        let records = files.iter().filter(|path| path.extension().is_some_and(|end| end == "kdl"));
        Ok(records.map(|path| self.read_kernel(path)).collect())
    }

    fn read_kernel(&self, path: &Path) -> Result<KernelRecord> {
        let object = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let damaged = |cause: String| {
            Error::new(&object, cause)
                .remedy("remove it, and import the kernel again: `lamina kernel import`")
        };
        let bytes = text_file::read(path).map_err(|error| damaged(error.cause().to_owned()))?;
        let record = KernelRecord::parse(&object, &bytes).map_err(|errors| {
            let first = errors.iter().next().map(|it| format!("line {}: {}", it.position().0, it.message()));
            damaged(first.unwrap_or_default())
        })?;
        match self.kernel_record_path(&record.pin.name) == path {
            true => Ok(record),
            false => Err(damaged(format!("is the record of another kernel, {}", record.pin.name))),
        }
    }

    /// The record of the image of a kernel's modules.
    ///
    /// # Errors
    /// It, or the image, is gone.
    pub fn modules_of(&self, kernel: &KernelRecord) -> Result<BuildRecord> {
        let name = &kernel.pin.name;
        let refused = |why: &str| {
            Error::new(format!("kernel {name}"), why)
                .remedy(format!("`lamina kernel import PACKAGE --name {name}` makes it again"))
        };
        let record = self
            .finished_build(&kernel.modules)?
            .ok_or_else(|| refused("the image of its modules is missing or has another length"))?;
        match record.name.as_str() == format!("{name}{MODULES}") {
            true => Ok(record),
            false => Err(refused("its record names an image that is not that of its modules")),
        }
    }

    /// Puts a kernel into the store: the file `image`, then the record that names it. The image of the modules is there already.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn publish_kernel(&self, image: &Path, record: &KernelRecord) -> Result<()> {
        self.publish(image, &self.kernel_path(&record.pin.digest))?;
        self.write(&self.kernel_record_path(&record.pin.name), record.to_kdl().as_bytes())
    }

    /// Takes its meaning from a name, whatever its record says. The file and the modules stay for what was locked with them, and go with
    /// `store gc` when nothing needs them.
    ///
    /// # Errors
    /// No kernel has this name; the store cannot be written.
    pub fn forget_kernel(&self, name: &Name) -> Result<()> {
        let _held = self.hold(&self.root)?;
        match self.has_kernel(name) {
            true => remove(&self.root, &[Path::new(KERNELS).join(format!("{name}.kdl"))]),
            false => Err(self.no_kernel(name)?),
        }
    }

    /// Whether a kernel has this name, also when its record cannot be read.
    pub fn has_kernel(&self, name: &Name) -> bool {
        let found = fs::symlink_metadata(self.kernel_record_path(name));
        !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Every name that [`Store::has_kernel`] knows, sorted: a kernel whose record is damaged has its name too.
    ///
    /// # Errors
    /// The folder of the kernels cannot be read.
    pub fn kernel_names(&self) -> Result<Vec<Name>> {
        let files = files_in(&self.root.join(KERNELS))?;
        let name = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".kdl").map(Name::parse);
        Ok(files.iter().filter_map(|path| name(path)?.ok()).collect())
    }

    /// The error for a name that no kernel has.
    ///
    /// # Errors
    /// The folder of the kernels cannot be read.
    pub fn no_kernel(&self, name: &Name) -> Result<Error> {
        let usual = "`lamina kernel list` shows which there are";
        let known = self.kernel_names()?;
        let known: Vec<&str> = known.iter().map(Name::as_str).collect();
        let remedy = suggest::remedy_or(name.as_str(), &known, usual);
        Ok(Error::new(format!("kernel {name}"), "no kernel was imported under this name").remedy(remedy))
    }

    /// Finds the bootable file of a kernel that a profile pins, by its length: whoever copies it looks at its bytes.
    ///
    /// # Errors
    /// It is missing, or has another length.
    pub fn require_kernel(&self, pin: &KernelPin) -> Result<PathBuf> {
        let path = self.kernel_path(&pin.digest);
        let cause = match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => "it is no file".to_owned(),
            Ok(found) if found.len() != pin.size => super::wrong_length(found.len(), pin.size),
            Ok(_) => return Ok(path),
            Err(error) => error.to_string(),
        };
        let KernelPin { name, release, .. } = pin;
        Err(Error::new(path.display(), format!("is the kernel {name} ({release}) of a profile: {cause}"))
            .remedy(format!(
                "`lamina kernel import PACKAGE --name {name}` with the same package puts it there again"
            )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let name = |text| Name::parse(text).unwrap();
        let digest = Digest::from_bytes([7; 32]);
        let pin = KernelPin { name: name("linux-6.12"), release: name("6.12.95+deb12"), digest, size: 9 };
        let record = KernelRecord { pin, modules: digest };
        let text = record.to_kdl();
        assert_eq!(KernelRecord::parse("x", text.as_bytes()).as_ref(), Ok(&record));
        for (from, to) in [("format=1", "format=2"), ("6.12.95", "../6.12"), ("    modules", "    module")] {
            assert!(KernelRecord::parse("x", text.replacen(from, to, 1).as_bytes()).is_err(), "{from}");
        }
        assert!(modules_name(&name(&"k".repeat(60))).is_err());
    }
}
