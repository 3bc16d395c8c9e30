//! What is missing, in words, and what of it a profile allows.

use std::fmt;

use profiles::Name;
use profiles::quote::Quoted;
use profiles::written::{Composition, Unresolved};

use super::facts::{ElfFile, ImageFacts};
use crate::error::{Error, Result};

/// More findings than this are counted, not listed.
const MOST_SHOWN: usize = 20;

/// What a program or a library needs and cannot have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The program that loads it, a path.
    Interpreter(String),
    /// A library, as it is named there.
    Library(String),
    /// A version of a library that is there.
    Version {
        /// The library, as it is named there.
        library: String,
        /// The version.
        version: String,
    },
}

impl Missing {
    /// What a line `unresolved` of a profile names.
    pub fn name(&self) -> &str {
        match self {
            Missing::Interpreter(name) | Missing::Library(name) | Missing::Version { library: name, .. } => {
                name
            }
        }
    }

    /// Whether an image would give it, wherever in the image it lies.
    pub(super) fn is_in(&self, facts: &ImageFacts) -> bool {
        let name = self.name().rsplit('/').next().unwrap_or_default();
        let is_it = |path: &str| path.rsplit('/').next() == Some(name);
        let gives = |file: &&ElfFile| {
            file.is_ours() && (file.linkage.soname.as_deref() == Some(name) || is_it(&file.path))
        };
        match self {
            Missing::Version { version, .. } => facts.files.iter().filter(gives).any(|file| {
                file.linkage.defined_versions.as_ref().is_some_and(|versions| versions.contains(version))
            }),
            _ => facts.files.iter().any(|file| gives(&file)) || facts.links.keys().any(|path| is_it(path)),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Interpreter(path) => write!(f, "the interpreter {}", path.escape_debug()),
            Missing::Library(name) => write!(f, "{}", name.escape_debug()),
            Missing::Version { library, version } => {
                write!(f, "version {} of {}", version.escape_debug(), library.escape_debug())
            }
        }
    }
}

/// Something that files of a layer need, and neither the layer nor one below it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The package whose files need it.
    pub layer: Name,
    /// What is missing.
    pub missing: Missing,
    /// These files, with a leading slash.
    pub by: Vec<String>,
    /// What lies there and cannot be used, and why.
    pub instead: Option<String>,
    /// The packages that have it, and do not lie below.
    pub above: Vec<Name>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { layer, missing, by, instead, above } = self;
        write!(f, "{layer}: {}", by.first().map_or("", String::as_str).escape_debug())?;
        match by.len() {
            0 | 1 => write!(f, " needs {missing}")?,
            2 => write!(f, " and one other file need {missing}")?,
            more => write!(f, " and {} other files need {missing}", more - 1)?,
        }
        if let Some(instead) = instead {
            write!(f, " ({})", instead.escape_debug())?;
        }
        if let Some(first) = above.first() {
            write!(f, "; {first} has it, and does not lie below {layer}")?;
        }
        Ok(())
    }
}

/// What a profile allows of what is missing, and lines of it that nothing needs.
///
/// # Errors
/// Everything else, at once.
pub fn allowed(composition: &Composition, found: Vec<Finding>) -> Result<(Vec<Finding>, Vec<String>)> {
    let allows = |line: &Unresolved, finding: &Finding| {
        line.library == finding.missing.name() && line.from == finding.layer
    };
    let (allowed, refused): (Vec<Finding>, Vec<Finding>) = found
        .into_iter()
        .partition(|finding| composition.unresolved.iter().any(|line| allows(line, finding)));
    if !refused.is_empty() {
        return Err(refusal(composition, &refused));
    }
    let used = |line: &&Unresolved| allowed.iter().any(|finding| allows(line, finding));
    let idle = composition.unresolved.iter().filter(|line| !used(line)).map(|line| line.library.clone());
    let idle = idle.collect();
    Ok((allowed, idle))
}

fn refusal(composition: &Composition, refused: &[Finding]) -> Error {
    let mut cause =
        "programs and libraries of its layers need what neither their layer nor one below it has".to_owned();
    for finding in refused.iter().take(MOST_SHOWN) {
        cause.push_str(&format!("\n    {finding}"));
    }
    if let Some(more) = refused.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        cause.push_str(&format!("\n    and {more} more"));
    }
    let mut remedy = "let a package that has it lie below: name it in `depends` of the recipe, or before the other in `packages`; \
                      for what is missing on purpose add to the profile"
        .to_owned();
    let mut lines: Vec<String> = Vec::new();
    for finding in refused {
        let line = format!("\n    unresolved {} from=\"{}\"", Quoted(finding.missing.name()), finding.layer);
        if !lines.contains(&line) && lines.len() < MOST_SHOWN {
            lines.push(line);
        }
    }
    remedy.push_str(&lines.concat());
    Error::new(format!("profile {}", composition.name), cause).remedy(remedy)
}
