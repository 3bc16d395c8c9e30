//! The resolved profile: what init boots. Every choice is made; see "The resolved profile" in ARCHITECTURE.md.

mod canonical;
mod kernel_pin;

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::decode::{Node, Shape, read};
use crate::quote::Quoted;
use crate::seal::Seal;
use crate::system::{SystemPath, Verify};
use crate::version::Version;
use crate::written_line::Rest;
use crate::{Diagnostics, Digest, Name, WritableTop};

pub use kernel_pin::KernelPin;

/// The newest format that this version reads. It is written only where the profile has what it brought, the node `kernel`: whatever boots
/// older profiles goes on booting all others.
pub const FORMAT: u64 = 2;
/// What every program that reads resolved profiles has in it as text. By this, `mkinitramfs` finds out which ones an init boots
/// ([`format_read_by`]).
const READS: &str = "this version reads formats up to 2";
/// overlayfs takes at most 500 lower layers.
const MOST_IMAGES: usize = 500;
/// Bytes of a block of dm-verity.
const BLOCK: u64 = 4096;
/// What dm-verity takes as `fec_roots` (Documentation/admin-guide/device-mapper/verity.rst).
const FEC_ROOTS: std::ops::RangeInclusive<u64> = 2..=24;

/// Bytes of the node of an image, of which few are longer.
const LONGEST_IMAGE: usize = 480;

const LOCK_AGAIN: &str = "run 'lamina profile lock' again";

const PROFILE: Shape = Shape::argument("name").properties(&["format"]).block(&[
    "description",
    "sealed",
    "kernel",
    "image",
    "optional",
    "root",
    "verify",
    "init",
]);
const IMAGE: Shape = Shape::argument("name").properties(&[
    "version",
    "id",
    "digest",
    "size",
    "root-hash",
    "salt",
    "data-blocks",
    "fec-roots",
]);

/// A system to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootProfile {
    /// What `lamina.profile=` calls it.
    pub name: Name,
    /// One line for people.
    pub description: Option<String>,
    /// The stack, bottom first: 1 to 500 images, no name twice.
    pub images: Vec<ImageRef>,
    /// Images that `lamina.add=` puts on top, in this order: at most 500, no name twice, and none that the stack has.
    pub optional: Vec<ImageRef>,
    /// What lies on top of the images.
    pub root: WritableTop,
    /// How the images are checked.
    pub verify: Verify,
    /// The absolute path of the first program.
    pub init: String,
    /// Whether overrides that would weaken it are refused, and which kernel parameters are not.
    pub sealed: Option<Seal>,
    /// The kernel that it boots on; any when there is none.
    pub kernel: Option<KernelPin>,
}

/// One image of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// The package.
    pub name: Name,
    /// The version of the package, for people.
    pub version: String,
    /// The id of the build that made it, when it was built here.
    pub id: Option<Digest>,
    /// SHA-256 of the whole file; also its name on the medium.
    pub digest: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// What opens it through dm-verity, when it carries a hash tree.
    pub verity: Option<VerityRef>,
}

/// The dm-verity data of an image: version 1, SHA-256, blocks of 4096 bytes, a salt of 32 bytes. The layout of tree and
/// error correction in the file follows from these numbers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerityRef {
    /// The hash of the top block of the tree.
    pub root_hash: Digest,
    /// What is hashed before each block.
    pub salt: Digest,
    /// Blocks that are covered, at least 1; the tree follows them in the file.
    pub data_blocks: u64,
    /// Roots of the Reed-Solomon code, 2 to 24, when the image carries error correction.
    pub fec_roots: Option<u8>,
}

/// The newest format of resolved profiles that a program reads, by what its file has in it; 1 where it says nothing.
pub fn format_read_by(program: &[u8]) -> u64 {
    let (word, _) = READS.rsplit_once(' ').unwrap_or_default();
    let mut windows = program.windows(word.len() + 2);
    let said =
        windows.find_map(|it| it.strip_prefix(word.as_bytes())?.last().filter(|it| it.is_ascii_digit()));
    said.map_or(1, |digit| u64::from(digit - b'0'))
}

impl BootProfile {
    /// Reads a resolved profile; `label` names it in messages.
    ///
    /// # Errors
    /// Every error in the text, by position.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<BootProfile, Diagnostics> {
        canonical::read(bytes).map_or_else(|| Self::parse_kdl(label, bytes), Ok)
    }

    fn parse_kdl(label: &str, bytes: &[u8]) -> Result<BootProfile, Diagnostics> {
        read(label, bytes, |top| {
            top.allow(&["profile"]);
            profile(top.required("profile")?)
        })
    }

    /// Every image that it names: those of the stack, and behind them those that can be added.
    pub fn all_images(&self) -> impl Iterator<Item = &ImageRef> + Clone {
        self.images.iter().chain(&self.optional)
    }

    /// Whether a state can take the place of its writable top: it has one, loses its changes, and no seal forbids it.
    pub fn takes_a_state(&self) -> bool {
        matches!(self.root, WritableTop::Tmpfs { .. }) && self.sealed.is_none()
    }

    /// The profile as KDL: the same bytes for the same profile, and [`BootProfile::parse`] reads the same profile back.
    pub fn to_kdl(&self) -> String {
        let mut out = String::with_capacity(1024 + LONGEST_IMAGE * (self.images.len() + self.optional.len()));
        // A string takes everything.
        let _ = self.write_kdl(&mut out);
        out
    }

    /// The format in which it is written: the lowest that has all its nodes.
    pub fn format(&self) -> u64 {
        1 + u64::from(self.kernel.is_some())
    }

    fn write_kdl(&self, out: &mut impl fmt::Write) -> fmt::Result {
        writeln!(out, "profile {} format={} {{", Quoted(self.name.as_str()), self.format())?;
        if let Some(description) = &self.description {
            writeln!(out, "    description {}", Quoted(description))?;
        }
        if let Some(seal) = &self.sealed {
            writeln!(out, "    {seal}")?;
        }
        if let Some(kernel) = &self.kernel {
            writeln!(out, "    {kernel}")?;
        }
        for image in &self.images {
            writeln!(out, "    image {image}")?;
        }
        for image in &self.optional {
            writeln!(out, "    optional {image}")?;
        }
        let init = Quoted(&self.init);
        writeln!(out, "    {}\n    verify \"{}\"\n    init {init}\n}}", self.root, self.verify)
    }

    /// What identifies the stack: the SHA-256 of its images' digests, bottom first, one `sha256:HEX` a line.
    pub fn stack_digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        for image in &self.images {
            hasher.update(format!("{}\n", image.digest));
        }
        Digest::from_bytes(hasher.finalize().into())
    }
}

/// The name and the properties, as the node of a profile has them.
impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version={}", Quoted(self.name.as_str()), Quoted(&self.version))?;
        if let Some(id) = &self.id {
            write!(f, " id=\"{id:x}\"")?;
        }
        write!(f, " digest=\"{}\" size={}", self.digest, self.size)?;
        self.verity.iter().try_for_each(|verity| write!(f, " {verity}"))
    }
}

/// The properties of the node.
impl fmt::Display for VerityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "root-hash=\"{:x}\" salt=\"{:x}\" data-blocks={}",
            self.root_hash, self.salt, self.data_blocks
        )?;
        self.fec_roots.iter().try_for_each(|roots| write!(f, " fec-roots={roots}"))
    }
}

fn profile(node: Node<'_>) -> Option<BootProfile> {
    let found = node.property::<u64>("format")?;
    if !(1..=FORMAT).contains(&found) {
        let message = format!("the profile has format {found}, {READS}");
        return node.refuse_property(
            "format",
            message,
            "make the initramfs with a newer Lamina, or run 'lamina profile lock' again",
        );
    }
    let node = node.shape(&PROFILE)?;
    let block = node.block();
    let name = node.argument("name");
    let description =
        block.at_most_one("description", |node| node.shape(&Shape::argument("text"))?.argument("text"));
    let sealed = block.at_most_one("sealed", Seal::read);
    let kernel = block.at_most_one("kernel", KernelPin::read);
    if found == 1 && matches!(kernel, Some(Some(_))) {
        node.refuse_property::<()>("format", "a profile with a kernel has format 2", LOCK_AGAIN);
    }
    let root = block.required("root").and_then(WritableTop::read);
    let verify =
        block.required("verify").and_then(|node| node.shape(&Shape::argument("way"))?.argument("way"));
    let init = block
        .required("init")
        .and_then(|node| node.shape(&Shape::argument("path"))?.argument::<SystemPath>("path"));
    let (images, optional) = (images(node, verify), optional(node, verify));
    Some(BootProfile {
        name: name?,
        description: description?,
        images: images?,
        optional: optional?,
        root: root?,
        verify: verify?,
        init: init?.0,
        sealed: sealed?,
        kernel: kernel?,
    })
}

/// The images of the stack; several errors in several of them are all noted.
fn images(profile: Node<'_>, verify: Option<Verify>) -> Option<Vec<ImageRef>> {
    if profile.block().all("image").next().is_none() {
        if profile.block().has_slip("image") {
            return None;
        }
        return profile.refuse(
            "the profile has no image",
            "a stack needs at least one: image \"NAME\" version=... digest=... size=...",
        );
    }
    image_nodes(profile, "image", verify)
}

/// The images that can be added; none of them is in the stack.
fn optional(profile: Node<'_>, verify: Option<Verify>) -> Option<Vec<ImageRef>> {
    let optional = image_nodes(profile, "optional", verify)?;
    let block = profile.block();
    let stack: BTreeSet<&str> = block.all("image").filter_map(|node| node.key()).collect();
    for node in block.all("optional").filter(|node| node.key().is_some_and(|name| stack.contains(name))) {
        node.error("this image is in the stack already", "keep one of the two lines");
    }
    Some(optional)
}

fn image_nodes(profile: Node<'_>, word: &str, verify: Option<Verify>) -> Option<Vec<ImageRef>> {
    let block = profile.block();
    if let Some(node) = block.all(word).nth(MOST_IMAGES) {
        let message = format!(
            "the profile has {} nodes '{word}', overlayfs takes at most {MOST_IMAGES} layers",
            block.all(word).count()
        );
        return node.refuse(message, "leave packages out, or join several into one image");
    }
    block.distinct(word);
    block.each(word, |node| {
        let image = image(node)?;
        if verify == Some(Verify::Verity) && image.verity.is_none() {
            let message = "verify \"verity\" needs root-hash, salt and data-blocks here";
            return node.refuse(
                message,
                "run 'lamina profile lock' again; 'lamina image protect' adds a hash tree to an image",
            );
        }
        Some(image)
    })
}

/// Name, digest and length of what a node names.
fn file(node: Node<'_>) -> (Option<Name>, Option<Digest>, Option<u64>) {
    let (name, digest, size) = (node.argument("name"), node.property("digest"), node.property::<u64>("size"));
    if size == Some(0) {
        node.refuse_property::<()>("size", "the file has at least one byte", LOCK_AGAIN);
    }
    (name, digest, size)
}

fn image(node: Node<'_>) -> Option<ImageRef> {
    let node = node.shape(&IMAGE)?;
    let (name, digest, size) = file(node);
    let version = node.property::<Version>("version");
    let id = node.optional("id");
    let verity = VerityRef::read(node);
    Some(ImageRef {
        name: name?,
        version: version?.to_string(),
        id,
        digest: digest?,
        size: size?,
        verity: verity?,
    })
}

impl VerityRef {
    /// Reads the properties root-hash, salt, data-blocks and fec-roots of a node that also has `size`, the length of the file:
    /// `Some(None)` when it has none of them, `None` when an error was noted.
    pub fn read(node: Node<'_>) -> Option<Option<VerityRef>> {
        if !["root-hash", "salt", "data-blocks", "fec-roots"].iter().any(|name| node.has(name)) {
            return Some(None);
        }
        let (root_hash, salt) = (node.property("root-hash"), node.property("salt"));
        let (data_blocks, fec_roots) = (node.property("data-blocks"), node.optional::<u64>("fec-roots"));
        let verity = VerityRef {
            root_hash: root_hash?,
            salt: salt?,
            data_blocks: data_blocks?,
            fec_roots: fec_roots.and_then(|roots| u8::try_from(roots).ok()),
        };
        if let Some(size) = node.optional::<u64>("size")
            && !verity.fits(size)
        {
            let blocks = verity.data_blocks;
            let message = format!("{blocks} blocks of {BLOCK} bytes and a tree do not fit {size} bytes");
            return node.refuse_property("data-blocks", message, LOCK_AGAIN);
        }
        if fec_roots.is_some_and(|roots| !FEC_ROOTS.contains(&roots)) {
            return node.refuse_property("fec-roots", "dm-verity takes 2 to 24 roots", LOCK_AGAIN);
        }
        Some(Some(verity))
    }

    /// Reads what [`VerityRef`] prints, with the space before it, for a file of `size` bytes; `None` says nothing about the text, which may
    /// be right in another spelling.
    pub fn from_written(text: &str, size: u64) -> Option<VerityRef> {
        canonical::verity(Rest(text)).filter(|verity| verity.fits(size))
    }

    /// Bytes that are covered: the length of the file system, up to a block.
    pub fn length(&self) -> u64 {
        self.data_blocks.saturating_mul(BLOCK)
    }

    /// Whether a file of `size` bytes can hold the blocks and something behind them.
    fn fits(&self, size: u64) -> bool {
        self.data_blocks > 0 && self.data_blocks.checked_mul(BLOCK).is_some_and(|bytes| bytes < size)
    }
}
