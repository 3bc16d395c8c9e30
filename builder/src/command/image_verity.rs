//! `lamina image verify` and `lamina image protect`, and what the other image commands say of dm-verity.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use profiles::Digest;
use profiles::resolved::VerityRef;
use serde_json::{Value, json};
use verified_store::{hash_tree_of, open_file};
use verity::{BLOCK, Work};

use super::image_name::{self, Named};
use super::{print, print_json};
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::image::hash_tree;
use crate::image::protect::protect;

/// Check every byte of an image against the root hash of its dm-verity tree.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "verify",
    example = "lamina image verify site.sqfs --root-hash \"$(cat site.root-hash)\"",
    note = "`lamina image create` and `lamina image protect` append the tree and print the root hash."
)]
pub(super) struct Verify {
    /// the image: a file, or a package
    #[argh(positional)]
    image: String,
    /// the root hash, 64 hexadecimal digits, from where nobody can change it (default for a package: that of its record)
    #[argh(option, arg_name = "hex")]
    root_hash: Option<String>,
    /// threads that hash (default: all processors)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Append a dm-verity hash tree and error correction to an image that was made elsewhere, squashfs or EROFS.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "protect",
    example = "mksquashfs site site.sqfs && lamina image protect site.sqfs\nlamina image protect root.erofs -o protected.erofs --json",
    note = "The same image gives the same bytes. veritysetup opens what comes out.",
    note = "A file with something else than zeros or such a tree behind its file system is refused: it would be lost."
)]
pub(super) struct Protect {
    /// the image: a file, or a package, which needs --output
    #[argh(positional)]
    image: String,
    /// the file to write (default: the image itself, replaced when all is written)
    #[argh(option, short = 'o', arg_name = "file")]
    output: Option<PathBuf>,
    /// threads that hash (default: all processors)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let given = self.root_hash.as_deref().map(parse_root_hash).transpose()?;
        let named = image_name::find(context, &self.image)?;
        let path = named.path();
        let recorded = match &named {
            Named::Build(_, record) => record.verity.map(|verity| verity.root_hash),
            Named::File(_) => None,
        };
        let wanted = given.or(recorded).ok_or_else(|| {
            Error::new(path.display(), "nothing says which root hash it is to have")
                .remedy("give `--root-hash HEX`, which `lamina image protect` printed")
        })?;
        let file = open_file(&path)?;
        let claimed = hash_tree::claimed(&path, &file)?.ok_or_else(|| {
            Error::new(path.display(), "has no dm-verity tree behind its data")
                .remedy("`lamina image protect FILE` adds one")
        })?;
        let verity = VerityRef { root_hash: wanted, ..claimed };
        let layout = hash_tree_of(&verity).map_err(Error::on(path.display()))?.layout;
        let what = format!("checking {}", path.display());
        let meter = context.report.progress().passes(what, layout.total_len, Work::bytes(&layout));
        let work = Work { jobs: jobs_or_processors(self.jobs), progress: &|bytes| meter.advance(bytes) };
        hash_tree::check(&file, &verity, work).map_err(|error| {
            Error::caused(path.display(), error).remedy(
                "the root hash is that of another image, or the image was changed or damaged: get it again",
            )
        })?;
        drop(meter);
        if self.json {
            print_json(&json!({ "file": path, "verified": true, "verity": as_json(&verity)? }))?;
        } else {
            let blocks = count(verity.data_blocks, "data block");
            print(format_args!("{}: {blocks}, all as the root hash says", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse_root_hash(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|error| {
        Error::caused(format!("--root-hash {text}"), error)
            .remedy("give the 64 hexadecimal digits that `lamina image protect` printed")
    })
}

impl Protect {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let named = image_name::find(context, &self.image)?;
        if let (Named::Build(..), None) = (&named, &self.output) {
            return Err(Error::new(&self.image, "is an image of the store, which never changes")
                .remedy("write another one with `-o FILE`, or give the path of a file"));
        }
        let file = named.path();
        let output = self.output.as_ref().unwrap_or(&file);
        let (kind, made) = protect(&file, output, jobs_or_processors(self.jobs), context.report.progress())?;
        if self.json {
            print_json(&json!({
                "file": output, "file_system": kind.to_string(), "digest": made.digest.to_string(),
                "size": made.size, "verity": as_json(&made.verity)?,
            }))?;
        } else {
            print(format_args!("{} {} {}", output.display(), human_size(made.size), made.digest))?;
            print(as_text(&made.verity)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Everything that opening the image with dm-verity needs, as people read it.
pub(super) fn as_text(verity: &VerityRef) -> Result<String> {
    let layout = hash_tree_of(verity).map_err(Error::on("dm-verity"))?.layout;
    let correction =
        layout.fec.map_or("none".to_owned(), |fec| format!("{} roots, from byte {}", fec.roots, fec.offset));
    Ok(format!(
        "verity:\n  root hash    {}\n  salt         {}\n  data blocks  {} of {BLOCK} bytes\n  hash tree    from byte \
         {}\n  correction   {correction}",
        verity.root_hash.hex(),
        verity.salt.hex(),
        layout.data_blocks,
        layout.hash_offset,
    ))
}

/// The same as JSON; offsets in bytes.
pub(super) fn as_json(verity: &VerityRef) -> Result<Value> {
    let layout = hash_tree_of(verity).map_err(Error::on("dm-verity"))?.layout;
    Ok(json!({
        "root_hash": verity.root_hash.hex(), "salt": verity.salt.hex(), "data_blocks": layout.data_blocks,
        "block_size": BLOCK, "hash_offset": layout.hash_offset, "fec_roots": layout.fec.map(|fec| fec.roots),
        "fec_offset": layout.fec.map(|fec| fec.offset),
    }))
}
