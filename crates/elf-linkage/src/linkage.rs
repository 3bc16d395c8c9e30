//! What one file asks of the loader, and what it gives to others.

use object::elf::{
    DF_1_NODEFLIB, DF_1_PIE, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_VERSYM,
    DynamicFlags1, DynamicTag,
};
use serde::{Deserialize, Serialize};

use crate::dynamic::Dynamic;
use crate::error::{Error, at_most};
use crate::kind::{Kind, Machine};
use crate::segments::Segments;
use crate::source::Source;
use crate::versions::{self, NeededVersion};

/// More than any program links with.
const MOST_LIBRARIES: u64 = 1_024;

/// What one file asks of the loader, and what it gives to others. Names are as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linkage {
    /// What it is made for.
    pub machine: Machine,
    /// What it is for.
    pub kind: Kind,
    /// Whether it has a dynamic section. A static program that can be loaded anywhere has one too, and needs nothing.
    pub dynamic: bool,
    /// The program that loads it (PT_INTERP), a path.
    pub interpreter: Option<String>,
    /// What programs that were linked with it call it (DT_SONAME).
    pub soname: Option<String>,
    /// The libraries that it needs (DT_NEEDED), in order: names, or paths.
    pub needed: Vec<String>,
    /// Folders where its libraries, and theirs, are looked for (DT_RPATH), with `$ORIGIN`.
    pub rpath: Vec<String>,
    /// Folders where its own libraries are looked for (DT_RUNPATH), with `$ORIGIN`. Where there are any, `rpath` does not count.
    pub runpath: Vec<String>,
    /// Its libraries are in no usual folder (DF_1_NODEFLIB).
    pub no_usual_folders: bool,
    /// The versions that it needs of its libraries (DT_VERNEED).
    pub needed_versions: Vec<NeededVersion>,
    /// Whether it says of its symbols, of those that it needs at least, which version they are (DT_VERSYM).
    pub versioned: bool,
    /// The versions that it defines (DT_VERDEF), the library itself among them; `None` where it says nothing of versions.
    pub defined_versions: Option<Vec<String>>,
}

impl Linkage {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no ELF file; what it says cannot be, or is more than the limits of this crate; it cannot be read.
    pub fn read(source: &mut impl Source) -> Result<Linkage, Error> {
        let mut segments = Segments::read(source)?;
        let interpreter = segments.interpreter()?;
        let mut linkage = Linkage {
            machine: segments.machine,
            kind: segments.kind,
            dynamic: false,
            interpreter,
            soname: None,
            needed: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
            no_usual_folders: false,
            needed_versions: Vec::new(),
            versioned: false,
            defined_versions: None,
        };
        if let Some(dynamic) = Dynamic::read(&mut segments)? {
            linkage.take(&dynamic, &mut segments)?;
        }
        Ok(linkage)
    }

    fn take(&mut self, dynamic: &Dynamic, segments: &mut Segments<'_, impl Source>) -> Result<(), Error> {
        at_most("needed libraries", dynamic.values(DT_NEEDED).count() as u64, MOST_LIBRARIES)?;
        let soname = dynamic.value(DT_SONAME).map(|offset| dynamic.name(segments, offset));
        let flags = DynamicFlags1(dynamic.value(DT_FLAGS_1).unwrap_or_default() as _);
        self.dynamic = true;
        self.soname = soname.transpose()?.filter(|name| !name.is_empty());
        self.needed = dynamic
            .values(DT_NEEDED)
            .map(|offset| dynamic.name(segments, offset))
            .collect::<Result<_, _>>()?;
        self.rpath = folders(dynamic, segments, DT_RPATH)?;
        self.runpath = folders(dynamic, segments, DT_RUNPATH)?;
        self.no_usual_folders = flags.contains(DF_1_NODEFLIB);
        if self.kind == Kind::Shared && flags.contains(DF_1_PIE) {
            self.kind = Kind::Executable;
        }
        self.needed_versions = versions::needed(segments, dynamic)?;
        self.versioned = dynamic.value(DT_VERSYM).is_some();
        let defined = versions::defined(segments, dynamic)?;
        self.defined_versions = defined.map(|all| all.into_iter().map(|version| version.name).collect());
        Ok(())
    }
}

/// A list of folders, joined by colons; an empty one would be the current folder.
fn folders(
    dynamic: &Dynamic,
    segments: &mut Segments<'_, impl Source>,
    tag: DynamicTag,
) -> Result<Vec<String>, Error> {
    let Some(offset) = dynamic.value(tag) else { return Ok(Vec::new()) };
    let text = dynamic.name(segments, offset)?;
    Ok(text.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect())
}
