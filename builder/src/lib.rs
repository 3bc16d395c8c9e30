//! Recipes, sources, builds, images, the store and locked profiles: everything behind the `lamina` command.
//!
//! A build goes this way; each arrow is a type of its own, and only the last two change anything:
//!
//! recipe text -> [`recipe::Recipe`] -> [`graph::Graph`] (features, variants, ids) -> [`build::plan::Plan`] (keep or build)
//! -> [`build::Builder`] (sources, [`sandbox`], image) -> [`store::Store`].
//!
//! The folders, those below importing only those above:
//!
//! | folder | subject |
//! |---|---|
//! | [`image`] | the image file: format, attributes, hash tree, what lies behind it, reading it checked, comparing two |
//! | [`sandbox`] | a root of layers and nothing else of the machine, for one command |
//! | [`store`] | images, records, sources, locked profiles and logs in one folder |
//! | [`fetch`] | the files that recipes pin, from mirrors into the store |
//! | [`stacking`] | what layers do to each other when they are joined |
//! | [`recipe`] | `packages/NAME/recipe.kdl`, read and pinned |
//! | [`bootstrap`] | the layer below every build, from Debian packages |
//! | [`graph`] | what a request needs: features, variants, ids |
//! | [`build`] | the plan of a build and who carries it out: schedule, sources, sandbox, limits watched, `--check` |
//! | [`profile`] | written profiles, what a name stands for, locking, signatures |
//! | [`medium`] | a boot medium from locked profiles |
//! | [`disk`] | the image of a disk: store, kernel, loader and menu |
//! | [`command`] | the command line: one module a family of verbs |

pub mod bootstrap;
pub mod build;
pub mod command;
pub mod digest;
pub mod disk;
pub mod error;
pub mod fetch;
pub mod graph;
pub mod image;
pub mod kernels;
pub mod limits;
pub mod medium;
pub mod profile;
pub mod recipe;
pub mod report;
pub mod sandbox;
pub mod shell_word;
pub mod stacking;
pub mod store;
pub mod text_file;

pub use error::{Error, Result};
