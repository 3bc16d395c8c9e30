//! What the soak tests' guest and its host must do in the same way.

pub mod tree;
