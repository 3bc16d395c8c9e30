//! From the folder that a build filled to an image.

use std::fs::{self, File};

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cli::progress::Progress;
use profiles::Digest;
use squashfs::{Entry, Kind, Metadata, Owners, ScanOptions, Times, Tree, WriteOptions, Xattr, write_image};

use super::attributes::{Attributes, LeftOut};
use super::capabilities::{self, CAPABILITY};
use super::format::SOURCE_DATE_EPOCH;
use super::hash_tree::{self, Protected};
use super::overlay_marks::refuse_whiteouts;
use super::path_metadata::PathMetadata;
use crate::error::{Error, Result};

/// Names at the top of an image that must be links into `/usr`, which belong to `base-files`.
const USR_LINKS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// The tree of a build's output: everything is root's and has one time. Of the extended attributes it has those that `kept` takes;
/// which there were besides is told as well.
///
/// # Errors
/// A folder in the place of a link into `/usr`; an attribute on which overlayfs acts, or a whiteout; what cannot be read.
pub fn tree_of(output: &Path, kept: &Attributes) -> Result<(Tree, LeftOut)> {
    refuse_usr_folders(output)?;
    let options = ScanOptions {
        owners: Owners::AllRoot,
        times: Times::Set(SOURCE_DATE_EPOCH),
        xattrs: squashfs::Xattrs::Keep,
    };
    let object = "the output of the build";
    // The root's mode is that of a scratch folder, which says nothing about the package.
    let mut modes = vec![(Vec::new(), 0o755)];
    make_readable(output, b"", &mut modes).map_err(Error::on(object))?;
    let mut left_out = LeftOut::default();
    let choose = &mut |path: &Path, name: &[u8]| left_out.choose(kept, in_image(output, path), name);
    let mut tree = Tree::from_directory_choosing(output, &options, choose).map_err(Error::on(object))?;
    left_out.check()?;
    refuse_whiteouts(&tree)?;
    tree.edit_metadata(|metadata| {
        let of_programs = metadata.xattrs.iter_mut().filter(|xattr| xattr.name == CAPABILITY.as_bytes());
        of_programs.for_each(|xattr| capabilities::without_namespace(&mut xattr.value));
    });
    for (path, mode) in modes {
        if let Some(metadata) = tree.metadata_mut(&path).map_err(Error::on(object))? {
            metadata.mode = mode;
        }
    }
    Ok((tree, left_out))
}

/// A path of the output as it is in the image, for people.
fn in_image<'a>(output: &Path, path: &'a Path) -> &'a Path {
    let real = output.canonicalize();
    let inside = real.ok().and_then(|real| path.strip_prefix(real).ok());
    inside.unwrap_or(path)
}

/// Adds the record of the build, a path and its text, and applies what the recipe says of modes and owners.
pub fn finish(tree: &mut Tree, metadata: &[PathMetadata], record: (&str, Vec<u8>)) -> Result<()> {
    add_record(tree, record)?;
    metadata.iter().try_for_each(|entry| apply(tree, entry))
}

/// Writes `tree` with hash tree and error correction to the new file `path` and syncs it.
pub fn write(tree: &Tree, options: &WriteOptions, path: &Path) -> Result<Protected> {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(Error::on(path.display()))?;
    let mut keep = file.try_clone().map_err(Error::on(path.display()))?;
    let summary = write_image(tree, options, file, &mut |_| ()).map_err(Error::on(path.display()))?;
    let (size, data) = (summary.size, Digest::from_bytes(summary.digest));
    let written = hash_tree::complete(&mut keep, path, (size, data), options.jobs, Progress::Silent)?;
    keep.sync_all().map_err(Error::on(path.display()))?;
    Ok(written)
}

fn refuse_usr_folders(output: &Path) -> Result<()> {
    for name in USR_LINKS {
        if fs::symlink_metadata(output.join(name)).is_ok_and(|found| found.is_dir()) {
            return Err(Error::new(
                format!("/{name}"),
                "the build made a folder, which would hide the link of the layers below",
            )
            .remedy(format!("install to \"$OUT/usr/{name}\"")));
        }
    }
    Ok(())
}

fn add_record(tree: &mut Tree, (path, bytes): (&str, Vec<u8>)) -> Result<()> {
    let at = |mode| Metadata { mtime: i64::from(SOURCE_DATE_EPOCH), ..Metadata::mode(mode) };
    let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
    for folder in folders {
        if tree.get(folder.as_bytes()).map_err(Error::on(folder))?.is_none() {
            tree.insert(folder.as_bytes(), Entry::new(at(0o755), Kind::Directory))
                .map_err(Error::on(folder))?;
        }
    }
    tree.insert(path.as_bytes(), Entry::new(at(0o644), Kind::File(bytes.into()))).map_err(|error| {
        Error::caused(path, error)
            .remedy("the builder writes its record there; let the recipe not install it")
    })
}

fn apply(tree: &mut Tree, wanted: &PathMetadata) -> Result<()> {
    let missing = || {
        Error::new(&wanted.path, "a `metadata` node names this path, and the build did not make it")
            .remedy("correct the path, or remove the node")
    };
    let path = wanted.path.trim_start_matches('/').as_bytes();
    let metadata = tree.metadata_mut(path).map_err(Error::on(&wanted.path))?.ok_or_else(missing)?;
    metadata.mode = wanted.mode.unwrap_or(metadata.mode);
    metadata.uid = wanted.user.unwrap_or(metadata.uid);
    metadata.gid = wanted.group.unwrap_or(metadata.gid);
    let Some(capabilities) = wanted.capabilities else { return Ok(()) };
    metadata.xattrs.retain(|xattr| xattr.name != CAPABILITY.as_bytes());
    metadata.xattrs.push(Xattr { name: CAPABILITY.into(), value: capabilities.value() });
    match tree.get(path).map_err(Error::on(&wanted.path))?.map(|entry| &entry.kind) {
        Some(Kind::File(_)) => Ok(()),
        _ => Err(Error::new(&wanted.path, "a `metadata` node gives it capabilities, and it is no file")
            .remedy("give the path of the program itself, not of a link or a folder")),
    }
}

/// Lets the owner read all that a build left, and returns what was changed: path in the image, mode before.
///
/// In the sandbox a build may read everything (CAP_DAC_OVERRIDE), outside an ordinary user needs the permission bits.
fn make_readable(folder: &Path, inside: &[u8], changed: &mut Vec<(Vec<u8>, u32)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (found, path) = (entry.metadata()?, entry.path());
        let needed = match () {
            () if found.is_dir() => 0o500,
            () if found.is_file() => 0o400,
            () => continue,
        };
        let (mode, inside) = (found.mode() & 0o7777, [inside, b"/", entry.file_name().as_bytes()].concat());
        if mode & needed != needed {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | needed))?;
            changed.push((inside.clone(), mode));
        }
        if found.is_dir() {
            make_readable(&path, &inside, changed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::image::capabilities::FileCapabilities;
    use crate::image::format::ImageFormat;

    fn metadata(path: &str, mode: Option<u32>, user: Option<u32>) -> PathMetadata {
        PathMetadata { path: path.to_owned(), mode, user, group: None, capabilities: None }
    }

    #[test]
    fn the_image_has_the_files_the_record_and_the_wished_owners() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        fs::create_dir_all(output.join("usr/bin")).unwrap();
        fs::write(output.join("usr/bin/su"), "su").unwrap();
        let (mut tree, _) = tree_of(&output, &Attributes::of_package(&[])).unwrap();
        let record = ("usr/share/lamina/su.kdl", b"record".to_vec());
        finish(&mut tree, &[metadata("/usr/bin/su", Some(0o4755), Some(7))], record).unwrap();
        let path = folder.path().join("image");
        let written =
            write(&tree, &ImageFormat::PACKAGE.write_options(NonZero::<usize>::MIN), &path).unwrap();
        assert_eq!((written.digest, written.size), crate::digest::digest_file(&path).unwrap());
        let image = squashfs::Image::open(&path).unwrap();
        assert_eq!(image.read(b"usr/share/lamina/su.kdl").unwrap(), b"record");
        for item in image.walk() {
            let item = item.unwrap();
            assert_eq!(item.metadata.mtime, i64::from(SOURCE_DATE_EPOCH));
            let expected = if item.path == b"usr/bin/su" { (0o4755, 7) } else { (item.metadata.mode, 0) };
            assert_eq!((item.metadata.mode, item.metadata.uid), expected);
        }
    }

    #[test]
    fn files_that_nobody_may_read_keep_their_modes_and_hard_links_stay_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let close = |name: &str, mode| {
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir(path("closed")).unwrap();
        fs::write(path("closed/secret"), "secret").unwrap();
        fs::write(path("program"), "program").unwrap();
        fs::hard_link(path("program"), path("second-name")).unwrap();
        close("closed/secret", 0);
        close("closed", 0);
        close("program", 0o111);
        let (mut tree, _) = tree_of(folder.path(), &Attributes::of_package(&[])).unwrap();
        let modes: Vec<u32> = tree.entries().map(|(_, entry)| entry.metadata.mode).collect();
        assert_eq!(modes, [0o755, 0, 0, 0o111, 0o111]);
        finish(&mut tree, &[metadata("/program", Some(0o4711), Some(7))], ("record", Vec::new())).unwrap();
        let image = folder.path().join("image");
        write(&tree, &ImageFormat::PACKAGE.write_options(NonZero::<usize>::MIN), &image).unwrap();
        let image = squashfs::Image::open(&image).unwrap();
        assert_eq!(image.read(b"closed/secret").unwrap(), b"secret");
        let owner = |name: &str| {
            let items = image.walk().map(|item| item.unwrap());
            let found = items.into_iter().find(|item| item.path == name.as_bytes()).unwrap();
            (found.metadata.mode, found.metadata.uid)
        };
        assert_eq!((owner("program"), owner("second-name")), ((0o4711, 7), (0o4711, 7)));
    }

    #[test]
    fn capabilities_replace_those_of_a_file_and_are_for_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ping"), "ping").unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let tree = || tree_of(folder.path(), &Attributes::of_package(&[])).unwrap().0;
        let capabilities = FileCapabilities::parse("cap_net_raw=ep").unwrap();
        let wanted = |path| PathMetadata { capabilities: Some(capabilities), ..metadata(path, None, None) };
        let mut finished = tree();
        let old = Xattr { name: CAPABILITY.into(), value: b"old".to_vec() };
        finished.metadata_mut(b"ping").unwrap().unwrap().xattrs.push(old);
        finish(&mut finished, &[wanted("/ping")], ("record", Vec::new())).unwrap();
        let found = &finished.get(b"ping").unwrap().unwrap().metadata.xattrs;
        let value = capabilities.value();
        assert_eq!(found, &[Xattr { name: CAPABILITY.into(), value }]);
        let message = finish(&mut tree(), &[wanted("/etc")], ("record", Vec::new())).unwrap_err().to_string();
        assert!(
            message.contains("/etc: a `metadata` node gives it capabilities, and it is no file"),
            "{message}"
        );
    }

    #[test]
    fn metadata_of_a_path_that_was_not_made_is_an_error() {
        let mut tree = Tree::new();
        let message =
            finish(&mut tree, &[metadata("/etc/shadow", Some(0o600), None)], ("record", Vec::new()));
        assert!(
            message.unwrap_err().to_string().starts_with("/etc/shadow: a `metadata` node names this path")
        );
    }

    /// Anybody may make one (mknod(2), since Linux 5.8).
    #[test]
    fn a_whiteout_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let path = folder.path().join("etc/passwd");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::CharacterDevice, 0o644.into(), 0)
            .unwrap();
        let message = tree_of(folder.path(), &Attributes::of_package(&[])).unwrap_err().to_string();
        assert!(message.contains("/etc/passwd is a character device 0:0"), "{message}");
        assert!(
            message.contains("it would make /etc/passwd of the layers below vanish\nhelp: "),
            "{message}"
        );
    }

    #[test]
    fn a_folder_in_place_of_a_link_into_usr_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        let message = tree_of(folder.path(), &Attributes::of_package(&[])).unwrap_err().to_string();
        assert!(
            message.contains("/lib: the build made a folder") && message.contains("$OUT/usr/lib"),
            "{message}"
        );
    }
}
