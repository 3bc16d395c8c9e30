//! Which layer is at fault.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::{major, minor};
use running::layer_devices::Device;
use stack::beneath::Folder;

use crate::error::Failure;
use crate::paths;
use crate::plan::Image;
use crate::real_init::read_init::{Unreadable, is_damage};

/// A device number of stat(2).
pub fn device(number: u64) -> Device {
    // The kernel's own are 12 and 20 bits.
    Device { major: major(number) as u32, minor: minor(number) as u32 }
}

/// Why a file of the new root that the real init needs cannot be read: with the layer that it comes from, and the image's file.
pub fn unreadable(unreadable: &Unreadable, layers: &[Arc<Image>]) -> Failure {
    let Unreadable { path, at, error } = unreadable;
    let place = at.map_or_else(String::new, |at| format!(" at byte {at}"));
    let what = format!("{} cannot be read{place}: {error}", path.display());
    let below = path.strip_prefix("/").unwrap_or(path);
    let upper = Path::new(paths::TOP).join(stack::overlay::UPPER);
    if is_there(&upper, below) {
        return Failure {
            of_top: true,
            ..Failure::new(format!("{what}; it lies in the writable top, {}", upper.join(below).display()))
                .try_this("check the file system of the state, or boot once without it: lamina.state=tmpfs")
        };
    }
    let damaged = error.raw_os_error().is_some_and(|errno| is_damage(Errno::from_raw(errno)));
    match layers.iter().rev().find(|image| is_there(&image.layer(), below)) {
        Some(image) if damaged => {
            Failure::new(format!("{what}; the image of {image}, which it comes from, is damaged"))
                .try_this(format!("copy the image of {image} to the medium again: {}", image.path().display()))
                .try_this("if that does not help, the medium itself may be failing")
        }
        Some(image) => Failure::new(format!("{what}; it comes from {image}")),
        None => Failure::new(format!("{what}; the image that it comes from is damaged"))
            .try_this("the kernel's words name the layer, and so does the kernel's log: copy its image to the medium again"),
    }
}

/// How a missing image comes into its store. The command knows all images that a profile needs; a file that is copied by hand is one of them.
pub fn how_to_have(image: &Image) -> String {
    // The store of the initramfs is no folder of the medium.
    let medium = image.store.strip_prefix(paths::MEDIUM).ok();
    let again = match medium {
        Some(store) => {
            format!("lamina medium create --profile {} MEDIUM/{}", image.profile.name, store.display())
        }
        None => format!("mkinitramfs --store STORE --profile {}", image.profile.name),
    };
    format!("copy the image of {image} there, or all images of the profile: {again}")
}

/// The kernel says only EIO: that it was dm-verity which found the image changed is in its log.
pub fn refused_by_verity(failure: Failure) -> Failure {
    failure
        .try_this("the image is damaged or not the one that the profile means: copy it to the medium again")
        .try_this("if you made it anew yourself, lock the profile again")
}

/// Names of a folder that are counted; it is done for each image that is missing.
const MOST_BESIDE: usize = 10_000;

/// How many images there are where one is missing: none at all is another mistake than one too few, and one whose name was cut a
/// third.
pub fn images_beside(store: &Folder, image: &Path) -> Vec<String> {
    let folder = image.parent().unwrap_or(image);
    let shown = store.path().join(folder);
    let names = match store.names(folder) {
        Ok(names) => names.take(MOST_BESIDE).filter_map(|name| String::from_utf8(name).ok()),
        Err(error) => return vec![format!("{}: {error}", shown.display())],
    };
    let names: Vec<String> = names.collect();
    let images = names.iter().filter(|name| name.ends_with(".sqfs")).count();
    let more = if names.len() == MOST_BESIDE { " or more" } else { "" };
    let count = format!("{} holds {}{more}", shown.display(), cli::numbers::count(images, "image"));
    let wanted = image.file_name().unwrap_or_default().to_string_lossy();
    let cut = names.iter().find(|name| is_cut(name, &wanted)).map(|name| {
        format!(
            "{} may be it, under a name that was cut: an ISO needs Rock Ridge (xorriso -as mkisofs -R), and FAT long names",
            shown.join(name).display()
        )
    });
    [Some(count), cut].into_iter().flatten().collect()
}

/// Whether `name` is what is left of `wanted` on an ISO 9660 without Rock Ridge or a FAT without long names: 6 characters and `~1`, 8, 30
/// or 64, and as much of the rest.
fn is_cut(name: &str, wanted: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split(['.', '~', ';']).next().unwrap_or_default();
    stem.len() >= 6 && name != wanted && wanted.starts_with(stem)
}

/// Whether the layer has the file. What is on the way is the layer's own: no link leads out of it, because the path has none left.
fn is_there(layer: &Path, below: &Path) -> bool {
    fs::symlink_metadata(layer.join(below)).is_ok_and(|metadata| metadata.is_file())
}
