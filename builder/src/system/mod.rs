//! The systems on a medium: generations of profiles, and the menu that boots them.
//!
//! What is there is read first ([`installed`]); pure code decides what is to be there and gives a [`plan`]; [`execution`] carries it
//! out, and may be killed after every system call: something whole boots always.
//!
//! | module | subject |
//! |---|---|
//! | [`target`] | a medium and its EFI system partition, and who works on them |
//! | [`on_disk`] | a disk as an image or a device: looked at without root, and mounted for who changes it |
//! | [`esp`] | entries, loaders, kernels and room of the partition |
//! | [`installed`] | the contents of the medium, and which of its generations the menu boots |
//! | [`listing`] | that, as rows for people and programs |
//! | [`menu`] | the menu for the generations that stay |
//! | [`room`] | how much fits into a file system |
//! | [`step`] | one step of a plan |
//! | [`plan`] | steps from what is there to what is to be there: their order; those of the medium, and those of the partition |
//! | [`execution`], `esp_files` | carries out a plan; files of a partition that is mounted or not |
//! | [`copy`] | a medium copied to another disk |
//! | [`difference`] | what differs between two generations |
//! | [`kernels`] | what new generations start with whose profiles are for one kernel |
//! | [`request`] | what is asked for: a new generation, another default |

pub mod copy;
pub mod difference;
pub mod esp;
mod esp_files;
pub mod execution;
pub mod installed;
pub mod kernels;
pub mod listing;
pub mod menu;
pub mod on_disk;
pub mod plan;
pub mod request;
pub mod room;
pub mod step;
pub mod target;
