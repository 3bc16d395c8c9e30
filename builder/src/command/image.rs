//! `lamina image`: images from folders, and what is in an image.

use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use atomic_file::{Form, Output};
use cli::numbers::{count, human_size};
use cli::progress::Progress;
use profiles::Digest;
use profiles::resolved::VerityRef;
use serde_json::json;
use squashfs::{
    Compressor, Image, Kind, Metadata, Owners, ScanOptions, Summary, Times, Tree, WriteOptions, write_image,
};
use verified_store::open_file;

use super::{image_cat, image_name, image_verity, print, print_json};
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::image::attributes::{self, Attributes, LeftOut};
use crate::image::file_system::{self, FileSystem};
use crate::image::hash_tree;

/// Make images, and look into them.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "image",
    example = "lamina image create tree -o tree.sqfs\nlamina image inspect tree.sqfs"
)]
pub struct ImageCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Cat(image_cat::Cat),
    Create(Create),
    Inspect(Inspect),
    Protect(image_verity::Protect),
    Verify(image_verity::Verify),
}

/// Write a folder as a squashfs image with a dm-verity hash tree and error correction; the same folder gives the same bytes
/// at any number of jobs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "create",
    example = "lamina image create site -o site.sqfs --all-root --time 0\nlamina image create site --no-verity --json",
    example = "lamina image create site --attributes user.*,trusted.note",
    note = "Of extended attributes, those of the machine (security.selinux, POSIX ACLs) are left out, and each name is told once. \
squashfs holds no ACLs. An attribute on which overlayfs acts is taken only when it is named in full. A whiteout (a character \
device 0:0) is kept; neither `lamina build` nor `lamina profile lock` takes such an image as a layer."
)]
struct Create {
    /// the folder whose contents become the image
    #[argh(positional)]
    dir: PathBuf,
    /// the image to write (default: the folder's name with .sqfs)
    #[argh(option, short = 'o', arg_name = "file")]
    output: Option<PathBuf>,
    /// threads that compress (default: all processors)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// the level of zstd, 1 to 22 (default: 15)
    #[argh(option, arg_name = "n", default = "15")]
    level: i32,
    /// kibibytes of a data block, 4 to 1024 (default: 128)
    #[argh(option, arg_name = "kib", default = "128")]
    block_size: u32,
    /// give everything to user 0 and group 0
    #[argh(switch)]
    all_root: bool,
    /// give everything this time, in seconds since 1970
    #[argh(option, arg_name = "seconds")]
    time: Option<u32>,
    /// the extended attributes to take: names and families with commas, all, or none (default: user.*,security.capability)
    #[argh(option, arg_name = "list", default = "attributes::DEFAULT.to_owned()")]
    attributes: String,
    /// append no hash tree and no error correction
    #[argh(switch)]
    no_verity: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Show the superblock, the sizes and the ratio of an image.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "inspect",
    example = "lamina image inspect site.sqfs --files",
    note = "In JSON the path of a file is text; one that is not UTF-8 is the list of its bytes."
)]
struct Inspect {
    /// the image: a file, or a package
    #[argh(positional)]
    image: String,
    /// list every name in it
    #[argh(switch)]
    files: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl ImageCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Cat(cat) => cat.run(context),
            Action::Create(create) => create.run(context),
            Action::Inspect(inspect) => inspect.run(context),
            Action::Protect(protect) => protect.run(context),
            Action::Verify(verify) => verify.run(context),
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Result<ExitCode> {
        self.check()?;
        let attributes = Attributes::parse(&self.attributes)?;
        let output = self.output()?;
        let file = Output::create(&output, Form::Seeking)?;
        self.check_place(&output, &file)?;
        let scan = ScanOptions {
            owners: if self.all_root { Owners::AllRoot } else { Owners::Keep },
            times: self.time.map_or(Times::Keep, Times::Set),
            xattrs: squashfs::Xattrs::Keep,
        };
        let progress = context.report.progress();
        let reading = progress.work(format_args!("reading {}", self.dir.display()));
        let mut left_out = LeftOut::default();
        let choose = &mut |path: &Path, name: &[u8]| left_out.choose(&attributes, path, name);
        let tree = Tree::from_directory_choosing(&self.dir, &scan, choose).map_err(Error::on(""))?;
        drop(reading);
        left_out.check()?;
        left_out.lines().for_each(|(_, line)| context.report.line(format_args!("{line}")));
        let options = WriteOptions {
            compressor: Compressor::Zstd { level: self.level },
            block_size: self.block_size.saturating_mul(1024),
            jobs: jobs_or_processors(self.jobs),
            made: self.time.unwrap_or(0),
            exportable: true,
        };
        let summary = write(&tree, &options, file.handle()?, &output, progress)?;
        let data = (summary.size, Digest::from_bytes(summary.digest));
        let protect = || hash_tree::complete(&mut file.handle()?, &output, data, options.jobs, progress);
        let protected = (!self.no_verity).then(protect).transpose()?;
        let (size, digest) = protected.map_or(data, |made| (made.size, made.digest));
        let verity = protected.map(|made| made.verity);
        file.publish()?;
        let (inodes, duplicates) = (count(summary.inodes, "inode"), count(summary.duplicates, "duplicate"));
        context.report.detail(format_args!("{inodes}, {duplicates}"));
        if self.json {
            print_json(&json!({
                "file": output, "digest": digest.to_string(), "size": size, "content": summary.content,
                "inodes": summary.inodes, "duplicates": summary.duplicates,
                "verity": verity.as_ref().map(image_verity::as_json).transpose()?,
            }))?;
        } else {
            print(format_args!("{} {} {digest}", output.display(), human_size(size)))?;
            if let Some(verity) = &verity {
                print(image_verity::as_text(verity)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses what would only be found when much was read already.
    fn check(&self) -> Result<()> {
        if !self.dir.is_dir() {
            let cause = if self.dir.exists() { "is not a directory" } else { "No such file or directory" };
            return Err(
                Error::new(self.dir.display(), cause).remedy("give the folder that becomes the image")
            );
        }
        if !(1..=22).contains(&self.level) {
            return Err(
                Error::new(format!("--level {}", self.level), "is no level of zstd").remedy("give 1 to 22")
            );
        }
        if !(4..=1024).contains(&self.block_size) || !self.block_size.is_power_of_two() {
            return Err(Error::new(
                format!("--block-size {}", self.block_size),
                "is not a size of squashfs's blocks",
            )
            .remedy("give 4, 8, 16, 32, 64, 128, 256, 512 or 1024"));
        }
        Ok(())
    }

    /// An image must not lie in the folder that it is made of, also not at the end of a link.
    fn check_place(&self, output: &Path, file: &Output) -> Result<()> {
        match (file.folder(), self.dir.canonicalize().ok()) {
            (Some(folder), Some(dir)) if folder.starts_with(&dir) => Err(Error::new(
                output.display(),
                "lies in the folder that becomes the image, and would be in the next one",
            )
            .remedy("write to another folder with `-o FILE`")),
            _ => Ok(()),
        }
    }

    fn output(&self) -> Result<PathBuf> {
        if let Some(output) = &self.output {
            return Ok(output.clone());
        }
        let real = self.dir.canonicalize().map_err(Error::on(self.dir.display()))?;
        let name = real.file_name().ok_or_else(|| {
            Error::new(self.dir.display(), "has no name to make the image's from").remedy("give `-o FILE`")
        })?;
        let mut name = name.to_os_string();
        name.push(".sqfs");
        Ok(PathBuf::from(name))
    }
}

fn write(tree: &Tree, options: &WriteOptions, out: File, path: &Path, progress: Progress) -> Result<Summary> {
    let mut meter = None;
    let mut tell = |now: squashfs::Progress| {
        let begin = || progress.meter(format_args!("writing {}", path.display()), now.total);
        meter.get_or_insert_with(begin).reach(now.done);
    };
    write_image(tree, options, out, &mut tell).map_err(Error::on(path.display()))
}

/// What `inspect` shows.
struct Seen {
    superblock: squashfs::Superblock,
    /// What the file says of a dm-verity tree behind the data, if there is one.
    verity: Option<VerityRef>,
    /// Bytes of the image file.
    size: u64,
    /// Bytes of all files in it.
    content: u64,
    /// Path, metadata and kind of everything.
    names: Vec<(Vec<u8>, Metadata, &'static str)>,
}

impl Inspect {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let file = image_name::find(context, &self.image)?.path();
        Shown { file, files: self.files, json: self.json }.run()
    }
}

/// An image, and how it is shown.
struct Shown {
    file: PathBuf,
    files: bool,
    json: bool,
}

impl Shown {
    fn run(self) -> Result<ExitCode> {
        let file = open_file(&self.file)?;
        if let (FileSystem::Erofs, own) = file_system::find(&self.file, &file)? {
            self.show_erofs(&file, own)?;
            return Ok(ExitCode::SUCCESS);
        }
        let seen = self.look()?;
        if self.json {
            self.print_json(&seen)?
        } else {
            self.print(&seen)?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Of an EROFS, which others write and read, what is Lamina's: where the data ends, and dm-verity.
    fn show_erofs(&self, file: &File, data: u64) -> Result<()> {
        if self.files {
            return Err(Error::new(self.file.display(), "is an EROFS, whose names are not listed here")
                .remedy(format!("`dump.erofs --ls --path=/ {}`", self.file.display())));
        }
        let size = file.metadata().map_err(Error::on(self.file.display()))?.len();
        let verity = hash_tree::claimed(&self.file, file)?;
        if self.json {
            return print_json(&json!({
                "file": self.file, "file_system": "erofs", "size": size, "data": data,
                "verity": verity.as_ref().map(image_verity::as_json).transpose()?,
            }));
        }
        print(format_args!("{}: erofs, {} of {}", self.file.display(), human_size(data), human_size(size)))?;
        verity.as_ref().map_or(Ok(()), |verity| print(image_verity::as_text(verity)?))
    }

    /// Walks the whole image, so that a damaged one is found here.
    fn look(&self) -> Result<Seen> {
        // They name the file themselves.
        let on = || Error::on::<squashfs::Error>("");
        let image = Image::open(&self.file).map_err(on())?;
        let size = fs::metadata(&self.file).map_err(Error::on(self.file.display()))?.len();
        let (mut names, mut content) = (Vec::new(), 0);
        for item in image.walk() {
            let item = item.map_err(on())?;
            if let Kind::File(data) = &item.kind {
                content += data.len();
            }
            names.push((item.path, item.metadata, kind_name(&item.kind)));
        }
        let file = File::open(&self.file).map_err(Error::on(self.file.display()))?;
        let verity = hash_tree::claimed(&self.file, &file)?;
        Ok(Seen { superblock: image.superblock().clone(), verity, size, content, names })
    }

    fn print(&self, seen: &Seen) -> Result<()> {
        let (file, superblock) = (self.file.display(), &seen.superblock);
        print(format_args!(
            "{file}: squashfs 4.0, {:?}, blocks of {}, {}, {}, {}",
            superblock.compressor,
            human_size(u64::from(superblock.block_size)),
            count(superblock.inodes, "inode"),
            count(superblock.fragments, "fragment"),
            count(superblock.ids, "owner"),
        ))?;
        let (size, content) = (human_size(seen.size), human_size(seen.content));
        print(format_args!("{size} on disk, {content} of files, ratio {:.2}", seen.ratio()))?;
        if let Some(verity) = &seen.verity {
            print(image_verity::as_text(verity)?)?;
        }
        for (path, metadata, kind) in seen.names.iter().filter(|_| self.files) {
            let path = path.escape_ascii();
            print(format_args!(
                "{kind:<9} {:04o} {:>5} {:>5} /{path}",
                metadata.mode, metadata.uid, metadata.gid
            ))?;
        }
        Ok(())
    }

    fn print_json(&self, seen: &Seen) -> Result<()> {
        let superblock = &seen.superblock;
        let file = |(path, metadata, kind): &(Vec<u8>, Metadata, &str)| {
            json!({
                "path": path_as_json(path), "kind": kind, "mode": format!("{:04o}", metadata.mode),
                "user": metadata.uid, "group": metadata.gid, "time": metadata.mtime,
            })
        };
        let files: Vec<_> = seen.names.iter().filter(|_| self.files).map(file).collect();
        print_json(&json!({
            "file": self.file, "file_system": "squashfs", "size": seen.size, "content": seen.content, "ratio": seen.ratio(),
            "compressor": format!("{:?}", superblock.compressor), "block_size": superblock.block_size,
            "inodes": superblock.inodes, "fragments": superblock.fragments, "owners": superblock.ids,
            "made": superblock.made, "files": files,
            "verity": seen.verity.as_ref().map(image_verity::as_json).transpose()?,
        }))
    }
}

impl Seen {
    /// How many bytes of files one byte of the image holds.
    fn ratio(&self) -> f64 {
        self.content as f64 / self.size.max(1) as f64
    }
}

/// A name is bytes and JSON has text. What is no text is the list of its bytes, so that no two names are one.
fn path_as_json(path: &[u8]) -> serde_json::Value {
    std::str::from_utf8(path).map_or_else(|_| json!(path), |text| json!(text))
}

fn kind_name<F>(kind: &Kind<F>) -> &'static str {
    match kind {
        Kind::Directory => "folder",
        Kind::File(_) => "file",
        Kind::Symlink(_) => "link",
        Kind::BlockDevice(_) => "block",
        Kind::CharDevice(_) => "character",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}
