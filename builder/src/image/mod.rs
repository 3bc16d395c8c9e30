//! The image file of a package: what goes into it, the bytes that it is written as, and what is read of it.

pub mod attributes;
pub mod capabilities;
pub mod checked;
pub mod differences;
pub mod file_system;
pub mod format;
pub mod hash_tree;
pub mod output;
pub mod overlay_marks;
pub mod path_metadata;
pub mod protect;
pub mod trailing_data;
