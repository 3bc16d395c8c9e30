//! A kernel, whether it lies in a Debian package or in the folder where one was unpacked: [`KernelPackage`] gives its image, the text
//! of its configuration and its modules.

mod files;
mod kept;
mod links;
mod package;
mod package_files;
mod place;
mod reading;

pub use links::relative;
pub use package::{KernelPackage, Module, Opening};
pub use place::{installed, modules_of};
pub use reading::{read_limited, refuse_special};
