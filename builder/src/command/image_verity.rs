//! `lamina image verify`, and what the other image commands say of dm-verity.

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Digest;
use serde_json::{Value, json};
use squashfs::Image;
use verity::{BLOCK, Format, Layout, Verity};

use super::{print, print_json};
use crate::context::jobs_or_processors;
use crate::error::{Error, Result};

/// Check every byte of an image against the root hash of its dm-verity tree.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "verify",
    example = "lamina image verify site.sqfs --root-hash \"$(cat site.root-hash)\"",
    note = "`lamina image create --verity` appends the tree and prints the root hash."
)]
pub(super) struct Verify {
    /// the image
    #[argh(positional)]
    file: PathBuf,
    /// the root hash, 64 hexadecimal digits, from where nobody can change it
    #[argh(option, arg_name = "hex")]
    root_hash: String,
    /// threads that hash (default: all processors)
    #[argh(option, arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<ExitCode> {
        let wanted = Digest::parse(&self.root_hash)
            .map_err(|error| Error::new(format!("--root-hash {}", self.root_hash), error))?;
        let image = Image::open(&self.file).map_err(Error::on(self.file.display()))?;
        let (salt, layout) = describe(&self.file, &image)?.ok_or_else(|| {
            Error::new(self.file.display(), "has no dm-verity tree behind its data")
                .remedy("`lamina image create DIR --verity` makes an image with one")
        })?;
        let file = File::open(&self.file).map_err(Error::on(self.file.display()))?;
        let verity = Verity { root_hash: *wanted.bytes(), salt, layout };
        verity::verify(&file, &verity, jobs_or_processors(self.jobs)).map_err(|error| {
            Error::new(self.file.display(), error).remedy(
                "the root hash is that of another image, or the image was changed or damaged: get it again",
            )
        })?;
        if self.json {
            print_json(&json!({ "file": self.file, "verified": true, "verity": as_json(&verity) }))?;
        } else {
            let blocks = layout.data_blocks;
            print(format_args!("{}: {blocks} data blocks, all as the root hash says", self.file.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Appends hash tree and error correction to the image in `file`, whose SHA-256 is `digest` and becomes the salt: the same
/// folder still gives the same bytes.
pub(super) fn append(
    file: &File,
    size: u64,
    digest: [u8; 32],
    jobs: NonZero<usize>,
) -> Result<Verity, verity::Error> {
    verity::append(file, size, &Format::new(digest), jobs)
}

/// The salt and layout of the image's dm-verity tree, if it has one.
pub(super) fn describe(path: &Path, image: &Image) -> Result<Option<([u8; 32], Layout)>> {
    let file = File::open(path).map_err(Error::on(path.display()))?;
    verity::describe(&file, image.superblock().bytes_used).map_err(Error::on(path.display()))
}

/// Everything that opening the image with dm-verity needs, as people read it.
pub(super) fn as_text(root_hash: Option<&[u8; 32]>, salt: &[u8; 32], layout: &Layout) -> String {
    let hex = |bytes: &[u8; 32]| Digest::from_bytes(*bytes).hex();
    let root_hash = root_hash.map_or(String::new(), |hash| format!("  root hash    {}\n", hex(hash)));
    let correction =
        layout.fec.map_or("none".to_owned(), |fec| format!("{} roots, from byte {}", fec.roots, fec.offset));
    format!(
        "verity:\n{root_hash}  salt         {}\n  data blocks  {} of {BLOCK} bytes\n  hash tree    from byte {}\n  \
         correction   {correction}",
        hex(salt),
        layout.data_blocks,
        layout.hash_offset,
    )
}

/// The same as JSON.
pub(super) fn as_json(verity: &Verity) -> Value {
    let mut value = layout_as_json(&verity.salt, &verity.layout);
    value["root_hash"] = Digest::from_bytes(verity.root_hash).hex().into();
    value
}

/// What the superblock alone tells, as JSON; offsets in bytes.
pub(super) fn layout_as_json(salt: &[u8; 32], layout: &Layout) -> Value {
    json!({
        "salt": Digest::from_bytes(*salt).hex(), "data_blocks": layout.data_blocks, "block_size": BLOCK,
        "hash_offset": layout.hash_offset, "fec_roots": layout.fec.map(|fec| fec.roots),
        "fec_offset": layout.fec.map(|fec| fec.offset),
    })
}
