//! The block devices of this machine.
//!
//! | module | what it does |
//! |---|---|
//! | `block_devices` | what one is called, and what lies on it |
//! | `inventory` | which there are |
//! | `probe_process` | looks at them in a process of its own, because a disk may not answer |
//! | `which_device` | which one is meant of those that answer to a name; pure |
//! | `uevents` | what the kernel announces when devices come and go |

pub mod block_devices;
pub mod inventory;
mod probe_process;
pub mod uevents;
pub mod which_device;
