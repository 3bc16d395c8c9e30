//! Whether the programs and libraries of layers find what they were linked with: interpreters, libraries and versions of symbols, as the
//! loaders of glibc and musl look for them in the layers below. docs/linking.md has the rules.
//!
//! | module | what it does |
//! |---|---|
//! | `facts` | what the ELF files of an image ask for and give, read from it |
//! | `kept` | the same from the store: `elf/DIGEST` |
//! | `tree` | what of all that is seen at a path, once some layers are joined |
//! | `loader` | which loader a file has, and where it looks |
//! | `loading` | one program with all that its loader would load |
//! | `resolve` | all layers, bottom first |
//! | `finding` | what is missing, in words, and what a profile allows |
//! | `replacement` | whether the libraries of one image can take the place of those of another |
//!
//! Reading and deciding are apart: all but the first two are pure.

mod facts;
mod finding;
mod kept;
mod loader;
mod loading;
mod replacement;
mod resolve;
mod tree;

#[cfg(test)]
mod judged;
#[cfg(test)]
mod tests;

pub use facts::{ElfFile, ImageFacts, Unreadable, first_dynamic};
pub use finding::{Finding, Missing, allowed};
pub use kept::facts_of;
pub use replacement::{Difference, Libraries, Library, stands_in_for};
pub use resolve::{Layer, findings};
