//! Which loader a file has, and where it looks: ld.so(8) of glibc, and `ldso/dynlink.c` of musl.

use elf_linkage::Linkage;

/// Folders of glibc's loader without a configuration: those of Debian, and those of systems with `lib64`.
const GLIBC_FOLDERS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// What `$LIB` stands for there.
const LIB: [&str; 2] = ["lib/x86_64-linux-gnu", "lib64"];
/// Folders of musl's loader without its file.
const MUSL_USUAL: &str = "/lib:/usr/local/lib:/usr/lib";
/// What musl takes for itself behind `lib`: it is one file, under each of these names.
const MUSL_OWN: [&str; 7] = ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];

/// A loader, by the C library that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loader {
    Glibc,
    Musl,
}

impl Loader {
    /// That of a program, by the path of its interpreter; `None` of one that nobody knows.
    pub(super) fn of_interpreter(path: &str) -> Option<Loader> {
        let name = path.rsplit('/').next().unwrap_or_default();
        match () {
            () if name.starts_with("ld-musl-") => Some(Loader::Musl),
            () if name.starts_with("ld-linux") || name.starts_with("ld.so") => Some(Loader::Glibc),
            () => None,
        }
    }

    /// Those that a library may be made for, by the C library that it needs: both, where it needs none.
    pub(super) fn of_library(linkage: &Linkage) -> &'static [Loader] {
        let needs = |name: &str| linkage.needed.iter().any(|needed| needed == name);
        let glibc = linkage.needed_versions.iter().any(|it| it.version.starts_with("GLIBC_"));
        match () {
            () if glibc || needs("libc.so.6") => &[Loader::Glibc],
            () if needs("libc.so") || linkage.needed.iter().any(|it| it.starts_with("libc.musl-")) => {
                &[Loader::Musl]
            }
            () => &[Loader::Glibc, Loader::Musl],
        }
    }

    /// Whether the loader itself is what this name means.
    pub(super) fn is(self, name: &str) -> bool {
        let own =
            name.strip_prefix("lib").is_some_and(|rest| MUSL_OWN.iter().any(|own| rest.starts_with(own)));
        self == Loader::Musl && (own || name.starts_with("ld-musl-"))
    }

    /// Whether it ends a program whose library lacks a version: musl does not look at them.
    pub(super) fn compares_versions(self) -> bool {
        self == Loader::Glibc
    }

    /// The folders where it looks at last; `musl` is what a file of the layers says.
    pub(super) fn usual_folders(self, musl: Option<&str>) -> Vec<String> {
        match self {
            Loader::Glibc => GLIBC_FOLDERS.map(str::to_owned).to_vec(),
            Loader::Musl => {
                let folders = musl.unwrap_or(MUSL_USUAL).split([':', '\n']);
                folders.filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
            }
        }
    }
}

/// The folders that one of DT_RPATH or DT_RUNPATH means, where `origin` is the folder of the file that has it; none that depends on where
/// a program is started, or on its processor.
pub(super) fn in_place(folder: &str, origin: &str) -> Vec<String> {
    let folder = folder.replace("${ORIGIN}", "$ORIGIN").replace("${LIB}", "$LIB");
    let folder = folder.replace("$ORIGIN", origin);
    let places = match folder.contains("$LIB") {
        true => LIB.map(|lib| folder.replace("$LIB", lib)).to_vec(),
        false => vec![folder],
    };
    places.into_iter().filter(|place| place.starts_with('/') && !place.contains('$')).collect()
}
