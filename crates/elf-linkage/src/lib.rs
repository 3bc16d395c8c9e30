//! What an ELF file asks of the loader, and what it gives to others: elf(5), and the versions of symbols as the Linux Standard Base has them
//! (its chapter "Symbol Versioning").
//!
//! Everything is found as a loader finds it, through program headers and the dynamic section. Section headers are never looked at: they may be
//! stripped, and no loader believes them.
//!
//! ```
//! use elf_linkage::Linkage;
//!
//! let program = std::fs::read("/bin/sh")?;
//! let linkage = Linkage::read(&mut program.as_slice())?;
//! assert!(linkage.needed.iter().all(|library| !library.is_empty()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Nothing is believed.** A file can make nobody take more memory than these limits say, and every loop ends:
//!
//! | what | most |
//! |---|---|
//! | program headers | 1170, which is what the kernel takes |
//! | entries of the dynamic section | 4096 |
//! | a name of a library, a version or an interpreter; a search path | 4096 bytes |
//! | libraries that a file needs | 1024 |
//! | versions that it needs, and that it defines | 8192 of each |
//! | symbols | 1,048,576 |
//! | the table of names, and all exported names together | 64 MiB |
//!
//! | module | job |
//! |---|---|
//! | `source` | where the bytes of a file come from |
//! | `kind` | what a file is for, and which machines |
//! | `segments` | the header, and what lies where once the file is loaded |
//! | `dynamic` | the dynamic section |
//! | `versions` | versions of symbols, needed and defined |
//! | `linkage` | all that in one value |
//! | `exports` | the symbols that others can use |

mod dynamic;
mod error;
mod exports;
mod kind;
mod linkage;
mod segments;
mod source;
mod versions;

pub use error::Error;
pub use exports::{Symbol, exports};
pub use kind::{Kind, Machine};
pub use linkage::Linkage;
pub use source::{MAGIC, Source};
pub use versions::NeededVersion;
