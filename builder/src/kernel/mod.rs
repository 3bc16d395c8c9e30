//! A kernel that profiles can name: out of its package into the store, with an image of its modules and firmware.
//!
//! | module | subject |
//! |---|---|
//! | `fragment_lines` | what a line of a fragment of others may be |
//! | [`listed`] | kernel packages with a short name, which can be fetched |
//! | [`module_tree`] | modules and firmware as files of one tree, with the indexes that depmod makes of them |
//! | [`needs`] | what a profile needs of a kernel |
//! | [`own`] | the recipes of a kernel that is made here, with fragments of others |
//! | [`import`] | a package becomes a kernel of the store |

mod fragment_lines;
pub mod import;
pub mod listed;
pub mod module_tree;
pub mod needs;
pub mod own;
