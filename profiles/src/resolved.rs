//! The resolved profile: what init boots. Every choice is made; see "The resolved profile" in ARCHITECTURE.md.

mod canonical;

use std::fmt::Write as _;

use crate::decode::{Node, Shape, read};
use crate::quote::Quoted;
use crate::system::{SystemPath, Verify, WritableTop};
use crate::version::Version;
use crate::{Diagnostics, Digest, Name};

/// The newest format that this version reads, and the one it writes.
pub const FORMAT: u64 = 1;
/// overlayfs takes at most 500 lower layers.
const MOST_IMAGES: usize = 500;

const PROFILE: Shape = Shape::argument("name").properties(&["format"]).block(&[
    "description",
    "image",
    "root",
    "verify",
    "init",
]);
const IMAGE: Shape = Shape::argument("name").properties(&["version", "id", "digest", "size"]);

/// A system to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootProfile {
    /// What `lamina.profile=` calls it.
    pub name: Name,
    /// One line for people.
    pub description: Option<String>,
    /// The stack, bottom first: 1 to 500 images, no name twice.
    pub images: Vec<ImageRef>,
    /// What lies on top of the images.
    pub root: WritableTop,
    /// How the images are checked.
    pub verify: Verify,
    /// The absolute path of the first program.
    pub init: String,
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

    /// The profile as KDL: the same bytes for the same profile, and [`BootProfile::parse`] reads the same profile back.
    pub fn to_kdl(&self) -> String {
        let mut out = format!("profile {} format={FORMAT} {{\n", Quoted(self.name.as_str()));
        if let Some(description) = &self.description {
            let _ = writeln!(out, "    description {}", Quoted(description));
        }
        for image in &self.images {
            let _ =
                write!(out, "    image {} version={}", Quoted(image.name.as_str()), Quoted(&image.version));
            if let Some(id) = &image.id {
                let _ = write!(out, " id=\"{}\"", id.hex());
            }
            let _ = writeln!(out, " digest=\"{}\" size={}", image.digest, image.size);
        }
        let _ = writeln!(
            out,
            "    {}\n    verify \"{}\"\n    init {}\n}}",
            self.root,
            self.verify,
            Quoted(&self.init)
        );
        out
    }
}

fn profile(node: Node<'_>) -> Option<BootProfile> {
    let found = node.property::<u64>("format")?;
    if found != FORMAT {
        let message = format!("the profile has format {found}, this version reads format {FORMAT}");
        return node.refuse_property(
            "format",
            message,
            "make initramfs and profile with the same version of Lamina: run 'lamina profile lock' again",
        );
    }
    let node = node.shape(&PROFILE)?;
    let block = node.block();
    let name = node.argument("name");
    let description =
        block.at_most_one("description", |node| node.shape(&Shape::argument("text"))?.argument("text"));
    let images = images(node);
    let root = block.required("root").and_then(WritableTop::read);
    let verify =
        block.required("verify").and_then(|node| node.shape(&Shape::argument("way"))?.argument("way"));
    let init = block
        .required("init")
        .and_then(|node| node.shape(&Shape::argument("path"))?.argument::<SystemPath>("path"));
    Some(BootProfile {
        name: name?,
        description: description?,
        images: images?,
        root: root?,
        verify: verify?,
        init: init?.0,
    })
}

/// The images; several errors in several of them are all noted.
fn images(profile: Node<'_>) -> Option<Vec<ImageRef>> {
    let nodes: Vec<Node<'_>> = profile.block().all("image").collect();
    if nodes.is_empty() {
        if profile.block().has_slip("image") {
            return None;
        }
        return profile.refuse(
            "the profile has no image",
            "a stack needs at least one: image \"NAME\" version=... digest=... size=...",
        );
    }
    if let Some(node) = nodes.get(MOST_IMAGES) {
        let message =
            format!("the profile has {} images, overlayfs takes at most {MOST_IMAGES}", nodes.len());
        return node.refuse(message, "leave packages out, or join several into one image");
    }
    profile.block().distinct("image");
    profile.block().each("image", image)
}

fn image(node: Node<'_>) -> Option<ImageRef> {
    let node = node.shape(&IMAGE)?;
    let (name, version, digest) =
        (node.argument("name"), node.property::<Version>("version"), node.property("digest"));
    let size = node.property::<u64>("size");
    if size == Some(0) {
        node.refuse_property::<()>(
            "size",
            "an image has at least one byte",
            "run 'lamina profile lock' again",
        );
    }
    let id = node.optional("id");
    Some(ImageRef { name: name?, version: version?.to_string(), id, digest: digest?, size: size? })
}
