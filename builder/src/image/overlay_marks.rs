//! What overlayfs itself acts on in a layer (Documentation/filesystems/overlayfs.rst of the kernel): attributes, and whiteouts, which are
//! character devices 0:0 and the one device node that anybody may make. No package has them.

use std::path::Path;

use squashfs::{Device, Kind, Metadata, Tree};

use crate::error::{Error, Result};

/// Attributes by which overlayfs hides, moves and redirects. `trusted.` ones act where root mounts, as init does, and `user.` ones
/// where an ordinary user does, as in a build: one image would be two.
const OF_OVERLAYFS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Refuses the attributes and the whiteouts of overlayfs in an image; `object` is what holds the path.
pub fn refuse_overlay_marks<F>(
    object: &Path,
    path: &[u8],
    metadata: &Metadata,
    kind: &Kind<F>,
) -> Result<()> {
    if is_whiteout(kind) {
        let remedy = "make the image without this device node: take a folder from below an overlay's mount, never from its upper folder";
        return Err(whiteout(&object.display().to_string(), path).remedy(remedy));
    }
    match metadata.xattrs.iter().find(|xattr| acts_in_overlayfs(&xattr.name)) {
        None => Ok(()),
        Some(xattr) => {
            let place = format!("{}: /{}", object.display(), path.escape_ascii());
            Err(overlay_attribute(&place, &xattr.name.escape_ascii().to_string()))
        }
    }
}

/// Refuses whiteouts in what a build left.
pub fn refuse_whiteouts(tree: &Tree) -> Result<()> {
    match tree.entries().find(|(_, entry)| is_whiteout(&entry.kind)) {
        None => Ok(()),
        Some((path, _)) => Err(whiteout("the output of the build", &path)
            .remedy("let the recipe make no such device node; what a package below has too much, leave out of that package")),
    }
}

/// Whether overlayfs takes it for the word that nothing is there.
pub fn is_whiteout<F>(kind: &Kind<F>) -> bool {
    matches!(kind, Kind::CharDevice(Device { major: 0, minor: 0 }))
}

/// What to say of one; who says it knows the remedy.
pub fn whiteout(object: &str, path: &[u8]) -> Error {
    let path = path.escape_ascii();
    let cause = format!(
        "/{path} is a character device 0:0, overlayfs's whiteout: it would make /{path} of the layers below vanish"
    );
    Error::new(object, cause)
}

/// Whether overlayfs acts on an attribute of this name.
pub fn acts_in_overlayfs(name: &[u8]) -> bool {
    OF_OVERLAYFS.iter().any(|family| name.starts_with(family))
}

/// What to say of such an attribute.
pub fn overlay_attribute(place: &str, name: &str) -> Error {
    let cause = format!("has the attribute {name}, on which overlayfs acts in some mounts and in others not");
    Error::new(place, cause)
        .remedy("make it without: take a folder from below an overlay's mount, never from its upper folder")
}
