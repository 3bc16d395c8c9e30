//! The first program of a profile's system: whether the stack has it, as the kernel will look for it once the layers are joined.
//!
//! Links are followed from layer to layer, also in the folders on the way, as path_resolution(7) does; whiteouts and files hide what
//! lies below them, as overlayfs does. init finds the same at every boot, on a machine that is far away by then.

use std::collections::VecDeque;

use profiles::written::Composition;
use squashfs::{Image, Item, Kind};

use crate::error::{Error, Result};
use crate::image::overlay_marks::is_whiteout;

/// So many links the kernel follows on one way (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// What is on the way to a program.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// It is there, and may be run.
    Program,
    /// Nothing is at this path.
    Missing(Vec<u8>),
    /// Something else is, which cannot be run or passed.
    Not(Vec<u8>, &'static str),
}

/// Refuses a profile whose first program none of the `layers` has; the bottom one comes first.
pub fn check(composition: &Composition, layers: &[&Image]) -> Result<()> {
    let init = composition.init.as_str();
    let cause =
        match find(layers, init.as_bytes()).map_err(Error::on(format!("profile {}", composition.name)))? {
            Way::Program => return Ok(()),
            Way::Missing(path) if [b"/", path.as_slice()].concat() == init.as_bytes() => {
                format!("no layer has {init}")
            }
            Way::Missing(path) if init.as_bytes().starts_with(&[b"/", path.as_slice(), b"/"].concat()) => {
                format!("no layer has {init}: there is no /{}", path.escape_ascii())
            }
            Way::Missing(path) => format!("{init} leads to /{}, which no layer has", path.escape_ascii()),
            Way::Not(path, what) => format!("{init} leads to /{}, which {what}", path.escape_ascii()),
        };
    let cause = format!("its first program cannot be started: {cause}");
    Err(Error::new(format!("profile {}", composition.name), cause)
        .remedy("name another with `init \"PATH\"`, or add the package that has it"))
}

/// Follows `path` from the root.
fn find(layers: &[&Image], path: &[u8]) -> Result<Way, squashfs::Error> {
    let components = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty() && *name != b".")
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut ahead: VecDeque<Vec<u8>> = components(path).into();
    // Each folder on the way with the layers that it is joined from, the top one first.
    let root: Vec<&Image> = layers.iter().rev().copied().collect();
    let mut here: Vec<(Vec<u8>, Vec<&Image>)> = vec![(Vec::new(), root)];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == b".." {
            // The root is above itself.
            here.truncate((here.len() - 1).max(1));
            continue;
        }
        let Some((folder, joined)) = here.last() else { break };
        let below = if folder.is_empty() { name } else { [folder.as_slice(), &name].join(&b'/') };
        let (item, joined) = seen(joined, &below)?;
        match item.map(|item| (item.kind, item.metadata.mode)) {
            None => return Ok(Way::Missing(below)),
            Some((Kind::Directory, _)) => here.push((below, joined)),
            Some((Kind::Symlink(target), _)) => {
                links += 1;
                if links > MOST_LINKS {
                    return Ok(Way::Not(below, "is one of too many links"));
                }
                if target.starts_with(b"/") {
                    here.truncate(1);
                }
                components(&target).into_iter().rev().for_each(|name| ahead.push_front(name));
            }
            Some(_) if !ahead.is_empty() => return Ok(Way::Not(below, "is no folder")),
            Some((Kind::File(_), mode)) if mode & 0o111 != 0 => return Ok(Way::Program),
            Some((Kind::File(_), _)) => return Ok(Way::Not(below, "is not executable")),
            Some(_) => return Ok(Way::Not(below, "is no program")),
        }
    }
    let folder = here.pop().map(|(folder, _)| folder).unwrap_or_default();
    Ok(Way::Not(folder, "is a folder"))
}

/// What is seen at a path, and, of a folder, the layers that it is joined from.
fn seen<'a>(joined: &[&'a Image], path: &[u8]) -> Result<(Option<Item>, Vec<&'a Image>), squashfs::Error> {
    let (mut top, mut parts) = (None, Vec::new());
    for image in joined {
        match image.find(path)? {
            None => {}
            Some(item) if matches!(item.kind, Kind::Directory) => {
                top.get_or_insert(item);
                parts.push(*image);
            }
            Some(item) => {
                let whiteout = is_whiteout(&item.kind);
                if top.is_none() && !whiteout {
                    top = Some(item);
                }
                // It hides what is below it, and a folder above it is joined with nothing further down.
                break;
            }
        }
    }
    Ok((top, parts))
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use squashfs::{Content, Device, Entry, Metadata, Tree};

    use super::*;

    fn image(entries: &[(&str, &str)]) -> (tempfile::NamedTempFile, Image) {
        let mut tree = Tree::new();
        for (path, what) in entries {
            let (mode, kind) = match *what {
                "folder" => (0o755, Kind::Directory),
                "program" => (0o755, Kind::File(Content::from(b"#!".to_vec()))),
                "text" => (0o644, Kind::File(Content::from(b"text".to_vec()))),
                "gone" => (0, Kind::CharDevice(Device { major: 0, minor: 0 })),
                target => (0o777, Kind::Symlink(target.as_bytes().to_vec())),
            };
            tree.insert(path.as_bytes(), Entry::new(Metadata::mode(mode), kind)).unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = crate::image::format::ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN);
        squashfs::write_image(&tree, &options, file.reopen().unwrap(), &mut |_| ()).unwrap();
        let image = Image::open(file.path()).unwrap();
        (file, image)
    }

    #[test]
    fn links_are_followed_from_layer_to_layer() {
        let base = image(&[
            ("sbin", "usr/sbin"),
            ("usr", "folder"),
            ("usr/sbin", "folder"),
            ("usr/sbin/loop", "loop"),
        ]);
        let system = image(&[
            ("usr", "folder"),
            ("usr/sbin", "folder"),
            ("usr/sbin/init", "../lib/../lib/init/main"),
            ("usr/sbin/lost", "/usr/lib/none"),
            ("usr/lib", "folder"),
            ("usr/lib/init", "folder"),
            ("usr/lib/init/main", "program"),
            ("usr/lib/init/text", "text"),
        ]);
        let top = image(&[("usr", "folder"), ("usr/lib", "folder"), ("usr/lib/more", "folder")]);
        let layers = [&base.1, &system.1, &top.1];
        let way = |path: &str| find(&layers, path.as_bytes()).unwrap();
        assert_eq!(way("/sbin/init"), Way::Program);
        assert_eq!(way("/../sbin/.//init"), Way::Program);
        assert_eq!(way("/sbin/nope"), Way::Missing(b"usr/sbin/nope".to_vec()));
        assert_eq!(way("/sbin/lost"), Way::Missing(b"usr/lib/none".to_vec()));
        assert_eq!(way("/sbin/loop"), Way::Not(b"usr/sbin/loop".to_vec(), "is one of too many links"));
        assert_eq!(way("/usr/lib"), Way::Not(b"usr/lib".to_vec(), "is a folder"));
        assert_eq!(way("/usr/lib/init/text"), Way::Not(b"usr/lib/init/text".to_vec(), "is not executable"));
        assert_eq!(way("/sbin/init/x"), Way::Not(b"usr/lib/init/main".to_vec(), "is no folder"));
    }

    #[test]
    fn what_is_hidden_is_not_there() {
        let base = image(&[
            ("a", "folder"),
            ("a/init", "program"),
            ("b", "folder"),
            ("b/init", "program"),
            ("init", "program"),
        ]);
        let top = image(&[("a", "text"), ("b", "folder"), ("b/init", "gone"), ("init", "gone")]);
        let last = image(&[("a", "folder")]);
        let layers = [&base.1, &top.1, &last.1];
        assert_eq!(find(&layers, b"/a/init").unwrap(), Way::Missing(b"a/init".to_vec()));
        assert_eq!(find(&layers, b"/b/init").unwrap(), Way::Missing(b"b/init".to_vec()));
        assert_eq!(find(&layers, b"/init").unwrap(), Way::Missing(b"init".to_vec()));
    }
}
