//! A damaged copy of an image becomes the image again, where its error correction reaches.

use std::fmt;
use std::fs::File;
use std::num::NonZero;

use cli::progress::Progress;
use profiles::Digest;
use profiles::resolved::VerityRef;
use verity::{Layout, Verity, Work};

use crate::digest_of;

/// Why a copy stays damaged.
#[derive(Debug)]
pub enum NotMended {
    /// More is wrong than error correction mends, or the copy cannot be read or written.
    Beyond(verity::Error),
    /// What was mended is another image, with this digest.
    OtherImage(Digest),
}

impl fmt::Display for NotMended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotMended::Beyond(why) => write!(f, "error correction cannot mend it: {why}"),
            NotMended::OtherImage(_) => f.write_str("its hash tree is that of another image"),
        }
    }
}

impl std::error::Error for NotMended {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotMended::Beyond(why) => Some(why),
            NotMended::OtherImage(_) => None,
        }
    }
}

/// The hash tree that a record or a profile names, with its layout, which follows from the numbers.
///
/// # Errors
/// Numbers that no image can have.
pub fn hash_tree_of(numbers: &VerityRef) -> Result<Verity, verity::Error> {
    let layout = Layout::new(numbers.data_blocks, numbers.fec_roots)?;
    Ok(Verity { root_hash: *numbers.root_hash.bytes(), salt: *numbers.salt.bytes(), layout })
}

/// Mends `copy`, which is open for reading and writing, until it has this digest. Gives how many blocks were wrong. A process that
/// dies meanwhile leaves it half done.
///
/// # Errors
/// [`NotMended`].
pub fn heal(copy: &mut File, digest: &Digest, verity: &VerityRef) -> Result<u64, NotMended> {
    let verity = hash_tree_of(verity).map_err(NotMended::Beyond)?;
    let work = Work { jobs: NonZero::<usize>::MIN, progress: &|_| () };
    let healed = verity::heal(copy, &verity, work).map_err(NotMended::Beyond)?;
    let hashed = digest_of(copy, &Progress::Silent.work("hashing"));
    let read_again = |source| NotMended::Beyond(verity::Error::Io { action: "read", offset: 0, source });
    match hashed.map_err(read_again)? {
        (found, _) if found == *digest => Ok(healed),
        (found, _) => Err(NotMended::OtherImage(found)),
    }
}
