//! Recipes, sources, builds, images, the store and locked profiles: everything behind the `lamina` command.
//!
//! A build goes this way; each arrow is a type of its own, and only the last two change anything:
//!
//! recipe text -> [`recipe::Recipe`] -> [`graph::Graph`] (features, variants, ids) -> [`plan::Plan`] (keep or build)
//! -> [`build::Builder`] (sources, [`sandbox`], image) -> [`store::Store`].

pub mod attributes;
pub mod behind;
pub mod bootstrap;
pub mod build;
mod check;
pub mod checked_image;
pub mod command;
pub mod context;
pub mod error;
pub mod fetch;
pub mod file_system;
pub mod first_program;
pub mod graph;
pub mod image;
pub mod image_differences;
pub mod kernels;
pub mod limits;
pub mod lock;
pub mod medium;
pub mod package_id;
pub mod plan;
pub mod protection;
pub mod recipe;
pub mod report;
pub mod sandbox;
pub mod schedule;
pub mod selection;
pub mod shell_word;
pub mod signature;
pub mod source_plan;
pub mod stacking;
pub mod store;
pub mod target;
pub mod text_file;
pub mod watch;

pub use error::{Error, Result};
