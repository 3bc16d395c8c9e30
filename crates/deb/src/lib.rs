//! Reads Debian packages without dpkg.
//!
//! A package is an `ar` archive of three members in this order: `debian-binary` (the format version, `2.0`), `control.tar`
//! and `data.tar`, the last two optionally compressed (deb(5)). [`Package::open`] reads the control fields;
//! [`Package::contents`] decompresses the files once into a scratch file that the caller provides and finds every member
//! in it, so that any of them can be read later, in any order, without holding the package in memory.
//!
//! Packages may come from anywhere: bad input gives an [`Error`] that names the package, never a panic, and no member
//! path leaves the root of the package. Maintainer scripts are never run, nor even read.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let package = deb::Package::open("zlib1g_1.2.13_amd64.deb".as_ref())?;
//! println!("{} {}", package.control().package(), package.control().version());
//! let contents = package.contents(std::fs::File::create_new("scratch")?)?;
//! for member in contents.members() {
//!     println!("{:o} {}", member.mode, String::from_utf8_lossy(&member.path));
//! }
//! # Ok(()) }
//! ```

mod archive;
mod contents;
mod control;
mod error;
mod package;
mod tar_dialect;

pub use contents::{Contents, Kind, Member};
pub use control::Control;
pub use error::Error;
pub use package::Package;
