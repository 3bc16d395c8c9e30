//! The block devices of this machine.
//!
//! | module | what it does |
//! |---|---|
//! | `block_devices` | which there are, and what lies on them |
//! | `examination` | looks at them in a process of its own, because a disk may not answer |
//! | `which_device` | which one is meant of those that answer to a name; pure |
//! | `uevents` | what the kernel announces when devices come and go |

pub mod block_devices;
mod examination;
pub mod uevents;
pub mod which_device;
