//! Recipes, sources, builds, images, the store and locked profiles: everything behind the `lamina` command.
//!
//! A build goes this way; each arrow is a type of its own, and only the last two change anything:
//!
//! recipe text -> [`recipe::Recipe`] -> [`graph::Graph`] (features, variants, ids) -> [`build::plan::Plan`] (keep or build)
//! -> [`build::Builder`] (sources, [`sandbox`], image) -> [`store::Store`].
//!
//! ARCHITECTURE.md says what each folder is for, and what would change there.

pub mod bootstrap;
pub mod build;
pub mod choice;
pub mod collection;
pub mod command;
pub mod digest;
pub mod disk;
pub mod error;
pub mod fetch;
pub mod graph;
pub mod image;
pub mod kernel;
pub mod limits;
pub mod line_sorting;
pub mod linking;
pub mod medium;
mod new_folder;
mod presence;
pub mod profile;
pub mod recipe;
pub mod records;
pub mod regular_file;
mod removing;
pub mod report;
pub mod sandbox;
pub mod scratch;
pub mod settings;
pub mod shell_word;
pub mod stacking;
pub mod store;
pub mod system;
pub mod text_file;
pub mod vm;

pub use error::{Error, Result};
