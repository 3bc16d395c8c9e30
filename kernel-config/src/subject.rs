//! What a person names when a kernel is to be checked.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use decompress::Compression;
use fault::Error;
use kernel_package::{KernelPackage, read_limited, refuse_special};

use crate::check::{Finding, check, check_package};
use crate::config::Config;

/// A kernel to check: a package, the root folder of an unpacked one, or only a configuration.
#[derive(Debug)]
pub enum Subject {
    /// A kernel with its modules.
    Package(Box<KernelPackage>),
    /// A configuration alone.
    Config(Config),
}

impl Subject {
    /// Opens `path` and tells by its first bytes what it is: a Debian package, a folder, a configuration, or one that is
    /// compressed with gzip, like `/proc/config.gz`.
    ///
    /// # Errors
    /// It cannot be read, or is none of these.
    pub fn open(path: &Path) -> Result<Subject, Error> {
        let failed = |error: std::io::Error| {
            Error::new(path.display(), format!("reading it: {error}"))
                .remedy("check the path")
                .because_of(error)
        };
        if path.is_dir() {
            return KernelPackage::open(path).map(|kernel| Subject::Package(Box::new(kernel)));
        }
        refuse_special(path)?;
        let mut start = Vec::new();
        File::open(path).and_then(|file| file.take(8).read_to_end(&mut start)).map_err(failed)?;
        if start.starts_with(b"!<arch>") {
            return KernelPackage::open(path).map(|kernel| Subject::Package(Box::new(kernel)));
        }
        let compression =
            if start.starts_with(&[0x1f, 0x8b]) { Compression::Gzip } else { Compression::None };
        let file = File::open(path).map_err(failed)?;
        let bytes = compression.reader(file).and_then(read_limited).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let text = "it is neither a Debian package nor the text of a kernel configuration";
            Error::new(path.display(), text)
        })?;
        Config::parse(path, &text).map(Subject::Config)
    }

    /// The kernel that runs on this machine, by what it says of itself (`/proc/config.gz`, where it was made with IKCONFIG_PROC), else by what
    /// is installed: `/lib/modules/RELEASE`, or `/boot/config-RELEASE` alone. Its path is the second.
    ///
    /// # Errors
    /// None of these is there; or it cannot be read.
    pub fn running(root: &Path, release: &str) -> Result<(Subject, PathBuf), Error> {
        let places = ["proc/config.gz", &format!("lib/modules/{release}"), &format!("boot/config-{release}")];
        let mut places = places.map(|place| root.join(place)).into_iter();
        let place = places.find(|place| place.exists()).ok_or_else(|| {
            let cause = format!("{release} runs here, and says nothing of how it was made");
            Error::new("the running kernel", cause)
                .remedy("name a kernel package, the folder of an unpacked one, or a configuration")
        })?;
        Ok((Subject::open(&place)?, place))
    }

    /// What the kernel lacks; see [`check`] and [`check_package`].
    ///
    /// # Errors
    /// The package has no configuration, or it cannot be read.
    pub fn check(&self) -> Result<Vec<Finding>, Error> {
        match self {
            Subject::Package(kernel) => check_package(kernel),
            Subject::Config(config) => Ok(check(config)),
        }
    }
}
