//! The image file of a package: what goes into it, and the bytes that it is written as. Images are read by the crate `verified-store`.

pub mod attributes;
pub mod capabilities;
pub mod differences;
pub mod file_system;
pub mod format;
pub mod hash_tree;
pub mod output;
pub mod overlay_marks;
pub mod path_metadata;
pub mod protect;
pub mod trailing_data;
