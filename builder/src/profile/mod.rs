//! Profiles: the written ones of a tree, what a name given to a command stands for, and how a written profile becomes a locked one.

pub mod demands;
pub mod folder;
pub mod kernel;
pub mod layers;
pub mod lock;
mod missing;
pub mod named;
pub mod replacing;
pub mod signature;
pub mod system_image;
