//! What the ELF files of an image say depends on nothing but the image. It is read once and kept in `elf/DIGEST` of the store, where DIGEST is
//! that of the image: locking again reads one small file for each layer.

use std::io::Read;
use std::path::Path;

use profiles::Digest;
use serde::{Deserialize, Serialize};
use verified_store::CheckedImage;

use super::ImageFacts;
use crate::store::{Store, opening};

/// The form of what is kept. Another one, also of a newer builder, is read from the image again.
const FORMAT: u32 = 1;
/// More than the image of any distribution has: a library takes some 500 bytes.
const MOST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Kept<F> {
    format: u32,
    facts: F,
}

/// The facts of an image of the store, kept or read now. That they could not be kept is no error.
///
/// # Errors
/// The image is damaged.
pub fn facts_of(store: &Store, digest: &Digest, image: &CheckedImage) -> Result<ImageFacts, squashfs::Error> {
    let path = store.elf_path(digest);
    if let Some(known) = read(&path) {
        return Ok(known);
    }
    let facts = ImageFacts::read(image.image())?;
    if let Ok(bytes) = serde_json::to_vec(&Kept { format: FORMAT, facts: &facts }) {
        // A store that is read-only is locked from too (`--dry-run`).
        let _ = store.write(&path, &bytes);
    }
    Ok(facts)
}

/// What is no file of ours is read from the image again.
fn read(path: &Path) -> Option<ImageFacts> {
    let mut bytes = Vec::new();
    opening::file(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    let kept: Kept<ImageFacts> = serde_json::from_slice(&bytes).ok()?;
    (kept.format == FORMAT).then_some(kept.facts)
}
