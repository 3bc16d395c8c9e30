//! Adding a hash tree to an image that was made elsewhere.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::Path;

use atomic_file::{Form, Output};
use cli::progress::Progress;
use profiles::Digest;
use verified_store::{digest_of, open_file};

use super::file_system::{self, FileSystem};
use super::hash_tree::{Protected, complete};
use super::trailing_data::refuse_loss;
use crate::error::{Error, Result};

/// Writes the image `from` with hash tree and error correction to `to`, which appears whole or not at all, and may be the
/// same file. A hash tree that is there is made again; what else lies behind the file system is refused
/// ([`refuse_loss`]). Says also which file system it is.
pub fn protect(
    from: &Path,
    to: &Path,
    jobs: NonZero<usize>,
    progress: Progress,
) -> Result<(FileSystem, Protected)> {
    let source = open_file(from)?;
    let (kind, length) = file_system::find(from, &source)?;
    refuse_loss(from, &source, (kind, length), jobs, progress)?;
    let target = Output::create(to, Form::Seeking)?;
    let mut file = target.handle()?;
    // An image that only some may read stays so.
    let permissions = source.metadata().map_err(Error::on(from.display()))?.permissions();
    file.set_permissions(permissions).map_err(Error::on(to.display()))?;
    let data = copy(from, &source, to, &mut file, length, progress)?;
    let made = complete(&mut file, to, (length, data), jobs, progress)?;
    target.publish()?;
    Ok((kind, made))
}

/// Copies the first `length` bytes and gives their SHA-256.
fn copy(
    from: &Path,
    source: &File,
    to: &Path,
    file: &mut File,
    length: u64,
    progress: Progress,
) -> Result<Digest> {
    let meter = progress.passes(format_args!("copying {}", from.display()), length, 2 * length);
    let own = io::Read::take(source, length);
    let mut out = BufWriter::with_capacity(1 << 17, &*file);
    let copied = io::copy(&mut meter.reader(own), &mut out).and_then(|copied| out.flush().map(|()| copied));
    drop(out);
    let copied = copied.map_err(Error::on(to.display()))?;
    if copied != length {
        return Err(Error::new(from.display(), "became shorter while it was read").remedy("try again"));
    }
    Ok(digest_of(file, &meter).map_err(Error::on(to.display()))?.0)
}
