//! Waits until a block device is there, and loads modules meanwhile that it may need.

mod media_polling;
pub mod wait_for_device;
