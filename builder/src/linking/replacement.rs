//! Whether the libraries of one image can take the place of those of another, below programs that were linked with these.

use std::collections::BTreeSet;
use std::fmt;

use cli::numbers::count;
use elf_linkage::{Error, Kind, Symbol, exports};
use squashfs::Image;

use super::facts::{ElfFile, ImageFacts, InImage};
use super::tree::{Here, Tree, View};

/// So many symbols are named; all are counted.
const MOST_NAMED: usize = 5;

/// A library of an image that programs can be linked with: it has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// What programs call it (DT_SONAME).
    pub soname: String,
    /// The paths of the image that end in this name and lead to it, links followed, without a leading slash.
    pub paths: BTreeSet<String>,
    /// The versions that it defines; `None` where it says nothing of versions.
    pub versions: Option<BTreeSet<String>>,
    /// The symbols that it gives to others; why nobody can tell, where that is so.
    pub symbols: Result<BTreeSet<Symbol>, String>,
}

/// The libraries of an image, in the order of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Libraries(pub Vec<Library>);

/// What a program would miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The old image has no library.
    NoLibrary,
    /// The new one has none of this name.
    Missing {
        /// The name.
        soname: String,
    },
    /// It lies elsewhere in the new image.
    NotAt {
        /// The name.
        soname: String,
        /// Where the old one is, and the new one is not.
        path: String,
    },
    /// The new one lacks versions.
    Versions {
        /// The name.
        soname: String,
        /// Those that the old one defines, and the new one does not.
        versions: Vec<String>,
    },
    /// The new one lacks symbols.
    Symbols {
        /// The name.
        soname: String,
        /// Those that the old one gives, and the new one does not.
        symbols: Vec<Symbol>,
    },
    /// Its symbols cannot be read.
    Unreadable {
        /// The name.
        soname: String,
        /// Why, to stand behind its name.
        why: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |names: &[String]| {
            let shown: Vec<String> =
                names.iter().take(MOST_NAMED).map(|name| name.escape_debug().to_string()).collect();
            let more = if names.len() > shown.len() { ", …" } else { "" };
            format!("{}{more}", shown.join(", "))
        };
        match self {
            Difference::NoLibrary => write!(f, "there is no library to be replaced"),
            Difference::Missing { soname } => write!(f, "{} is missing", soname.escape_debug()),
            Difference::NotAt { soname, path } => {
                write!(f, "{} is not at /{}", soname.escape_debug(), path.escape_debug())
            }
            Difference::Versions { soname, versions } => {
                let (soname, versions) = (soname.escape_debug(), named(versions));
                write!(f, "{soname} does not define: {versions}")
            }
            Difference::Symbols { soname, symbols } => {
                let names: Vec<String> = symbols.iter().map(ToString::to_string).collect();
                let (soname, many) = (soname.escape_debug(), count(symbols.len(), "symbol"));
                write!(f, "{soname} lacks {many}: {}", named(&names))
            }
            Difference::Unreadable { soname, why } => {
                write!(f, "{} {}", soname.escape_debug(), why.escape_debug())
            }
        }
    }
}

impl Libraries {
    /// Reads the libraries of an image of which `facts` are known. They are not kept: a large one has a hundred thousand symbols.
    ///
    /// # Errors
    /// The image is damaged.
    pub fn read(image: &Image, facts: &ImageFacts) -> Result<Libraries, squashfs::Error> {
        let tree = Tree::of(&[(facts, &[])]);
        let mut found = Vec::new();
        for file in facts.files.iter().filter(|file| file.is_ours() && file.linkage.kind == Kind::Shared) {
            let Some(soname) = &file.linkage.soname else { continue };
            let paths = paths_of(file, soname, facts, &tree);
            // One that no loader finds by its name is nobody's.
            if paths.is_empty() {
                continue;
            }
            let versions = file.linkage.defined_versions.as_ref().map(|all| all.iter().cloned().collect());
            let symbols = symbols_of(image, file)?;
            found.push(Library { soname: soname.clone(), paths, versions, symbols });
        }
        Ok(Libraries(found))
    }
}

fn paths_of(file: &ElfFile, soname: &str, facts: &ImageFacts, tree: &Tree<'_>) -> BTreeSet<String> {
    let all = facts.links.keys().chain([&file.path]);
    let named = all.filter(|path| path.rsplit('/').next() == Some(soname));
    let view = View { highest: 0, added: None };
    let leads = |path: &&String| {
        let found = tree.follow(view, path).map(|found| found.here);
        matches!(found, Some(Here::Elf(found)) if std::ptr::eq(found, file))
    };
    named.filter(leads).cloned().collect()
}

fn symbols_of(image: &Image, file: &ElfFile) -> Result<Result<BTreeSet<Symbol>, String>, squashfs::Error> {
    let Some(squashfs::Item { kind: squashfs::Kind::File(data), .. }) = image.find(file.path.as_bytes())?
    else {
        return Ok(Err("is not in the image".to_owned()));
    };
    let mut bytes = InImage::new(image, &data);
    let symbols = exports(&mut bytes);
    match (bytes.damaged, symbols) {
        (Some(error), _) => Err(error),
        (None, symbols) => Ok(symbols.map_err(|error: Error| error.to_string())),
    }
}

/// Whether programs that were linked with `old` run with `new` in its place: each library is where it was, defines the versions that it
/// defined, and gives at least the symbols that it gave, each in its version. What the symbols do, nobody can see.
///
/// # Errors
/// All that `new` lacks.
pub fn stands_in_for(old: &Libraries, new: &Libraries) -> Result<(), Vec<Difference>> {
    let mut differences = Vec::new();
    if old.0.is_empty() {
        differences.push(Difference::NoLibrary);
    }
    for library in &old.0 {
        for path in &library.paths {
            match new.0.iter().find(|other| other.soname == library.soname && other.paths.contains(path)) {
                Some(other) => compare(library, other, &mut differences),
                None => {
                    let soname = library.soname.clone();
                    let anywhere = new.0.iter().any(|other| other.soname == soname);
                    let difference = match anywhere {
                        true => Difference::NotAt { soname, path: path.clone() },
                        false => Difference::Missing { soname },
                    };
                    if !differences.contains(&difference) {
                        differences.push(difference);
                    }
                }
            }
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn compare(old: &Library, new: &Library, differences: &mut Vec<Difference>) {
    let soname = || old.soname.clone();
    let none = BTreeSet::new();
    let (had, has) = (old.versions.as_ref().unwrap_or(&none), new.versions.as_ref().unwrap_or(&none));
    let versions: Vec<String> = had.difference(has).cloned().collect();
    let mut found = Vec::new();
    if !versions.is_empty() {
        found.push(Difference::Versions { soname: soname(), versions });
    }
    match (&old.symbols, &new.symbols) {
        (Ok(had), Ok(has)) => {
            let symbols: Vec<Symbol> = had.difference(has).cloned().collect();
            if !symbols.is_empty() {
                found.push(Difference::Symbols { soname: soname(), symbols });
            }
        }
        (Err(why), _) | (_, Err(why)) => {
            found.push(Difference::Unreadable { soname: soname(), why: why.clone() })
        }
    }
    for difference in found {
        if !differences.contains(&difference) {
            differences.push(difference);
        }
    }
}
