//! The attributes of the root, which a new top has to be given: the merged root shows those of the top's folder `upper`.
//!
//! A new top of a state has an empty file beside `upper` until that is done, for a power cut may come between; a top
//! without it keeps what the running system has made of the root, whatever the layers below say.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::console;
use crate::error::Failure;

/// The file, in the folder of the top.
pub const FILE: &str = "fresh";

/// Gives `top/upper` the attributes of `lower`, the root of the topmost layer, when the top is new.
pub fn give_attributes(lower: &Path, top: &Path, is_tmpfs: bool) -> Result<(), Failure> {
    let mark = top.join(FILE);
    if !is_tmpfs && fs::symlink_metadata(&mark).is_err() {
        return Ok(());
    }
    let upper = top.join(stack::overlay::UPPER);
    let left = stack::upper::give_attributes(lower, &upper)?;
    if !left.is_empty() {
        let names = left.iter().take(8).map(|name| name.escape_debug().to_string()).collect::<Vec<_>>();
        let names = names.join(", ");
        console::to_kernel_log(
            4,
            &format!("the writable top cannot take these attributes of the root: {names}"),
        );
    }
    if is_tmpfs {
        return Ok(());
    }
    let sync = |folder: &Path| File::open(folder)?.sync_all();
    let done = sync(&upper).and_then(|()| fs::remove_file(&mark)).and_then(|()| sync(top));
    done.map_err(|error: io::Error| {
        Failure::new(format!("cannot remove {}: {error}", mark.display()))
            .try_this("check the state file system with fsck")
    })
}
