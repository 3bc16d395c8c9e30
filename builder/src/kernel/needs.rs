//! What a locked profile needs of a kernel, beyond what every stack needs.

use std::collections::BTreeMap;

use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Verify, WritableTop};

use crate::error::Result;
use crate::image::file_system::{self, FileSystem};
use crate::regular_file;
use crate::store::Store;

/// Config symbols without `CONFIG_`, each with what it is for in this profile.
pub type Needs = BTreeMap<&'static str, String>;

/// dm-verity, and what it hashes with.
const VERITY: [&str; 3] = ["BLK_DEV_DM", "DM_VERITY", "CRYPTO_SHA256"];
const EROFS: [&str; 2] = ["EROFS_FS", "EROFS_FS_XATTR"];

/// The symbols without which this profile does not boot as it says. Its images are looked at in the store.
///
/// # Errors
/// An image is not there, or is none.
pub fn of(profile: &BootProfile, store: &Store) -> Result<Needs> {
    let mut needs = Needs::new();
    if profile.verify == Verify::Verity {
        needs.extend(VERITY.map(|symbol| (symbol, "verify \"verity\"".to_owned())));
    }
    for image in profile.images.iter().chain(&profile.optional) {
        if is_erofs(image, store)? {
            for symbol in EROFS {
                needs.entry(symbol).or_insert_with(|| format!("the image {}", image.name));
            }
        }
    }
    // Of a state that is there already nobody knows what it is.
    if let WritableTop::State(state) = &profile.root
        && let Some(made) = state.create
    {
        let parts = made.file_system().kernel.iter().filter(|part| part.module.is_some());
        needs.extend(parts.map(|part| (part.symbol, format!("create=\"{}\"", made.driver()))));
    }
    Ok(needs)
}

fn is_erofs(image: &ImageRef, store: &Store) -> Result<bool> {
    let path = store.image_path(&image.digest);
    let file = regular_file::open(&path)?;
    Ok(file_system::find(&path, &file)?.0 == FileSystem::Erofs)
}
