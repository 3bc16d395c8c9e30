//! The first program of a profile's system: whether the stack has it, as the kernel will look for it once the layers are joined.
//! init finds the same at every boot, on a machine that is far away by then.

use profiles::written::Composition;
use squashfs::{Image, Kind};

use super::joined::{self, Joined};
use crate::error::{Error, Result};

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
    let seen = match Joined::new(layers).follow(path)? {
        joined::Way::Found(seen) => seen,
        joined::Way::Missing { path, .. } => return Ok(Way::Missing(path)),
        joined::Way::Not(path, what) => return Ok(Way::Not(path, what)),
    };
    Ok(match seen.item.kind {
        Kind::Directory => Way::Not(seen.path, "is a folder"),
        Kind::File(_) if seen.item.metadata.mode & 0o111 != 0 => Way::Program,
        Kind::File(_) => Way::Not(seen.path, "is not executable"),
        _ => Way::Not(seen.path, "is no program"),
    })
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
