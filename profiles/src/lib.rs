//! The profile language: KDL 2.0 for people and for the boot.
//!
//! Two types, two jobs: [`written`] is what people write (names, versions, features, includes), [`resolved`] is what
//! init boots (exact images, bottom first). Both are read through [`decode`], which refuses what it does not know and
//! says where, why and what to do ([`Diagnostics`]).
//!
//! This crate becomes part of PID 1: it does no input or output, and its only dependency is `kdl`.

mod choice;
pub mod decode;
mod device_spec;
mod diagnostics;
mod digest;
mod lexer;
pub mod linkage;
mod misleading;
mod name;
pub mod quote;
pub mod resolved;
mod seal;
mod source;
mod state_file_system;
pub mod suggest;
mod system;
pub mod version;
mod writable_top;
pub mod written;
pub mod written_line;

pub use choice::Choice;
pub use device_spec::DeviceSpec;
pub use diagnostics::{Diagnostic, Diagnostics};
pub use digest::{Digest, DigestError};
pub use lexer::LARGEST;
pub use misleading::is_misleading;
pub use name::{Name, NameError};
pub use seal::{ParameterName, Seal};
pub use source::{Source, Span};
pub use state_file_system::StateFileSystem;
pub use system::{SystemPath, Verify};
pub use writable_top::{State, TmpfsSize, WhenChanged, WritableTop};
