//! The tar archives that deb(5) allows: those before POSIX, ustar, and of GNU's extensions long names and long links alone.
//!
//! The crate `tar` understands more, and some of it wrongly: it takes no notice of the sparse files of the pax format, and would
//! give the map of the holes as a part of the contents. dpkg refuses all of it, and so does this.

use std::io;

use crate::error::{Part, malformed, unsupported, while_doing};

/// Refuses what dpkg would not unpack, or would unpack otherwise.
pub(crate) fn check(entry: &mut tar::Entry<'_, impl io::Read>) -> Part<()> {
    use tar::EntryType;
    let kind = entry.header().entry_type();
    let path = entry.path_bytes().escape_ascii().to_string();
    let has_extensions =
        entry.pax_extensions().map_err(while_doing("reading a pax header of one of its archives"))?.is_some();
    if has_extensions || matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader) {
        return unsupported(format!(
            "`{path}` has a pax header, which Debian packages may not have (deb(5))"
        ));
    }
    match kind {
        EntryType::Regular | EntryType::Continuous => Ok(()),
        EntryType::GNUSparse => unsupported(format!(
            "`{path}` is a sparse file of GNU tar, which Debian packages may not have (deb(5))"
        )),
        // Bytes behind it would be taken for the next header by one reader and skipped by another.
        EntryType::Directory
        | EntryType::Symlink
        | EntryType::Link
        | EntryType::Block
        | EntryType::Char
        | EntryType::Fifo => match entry.size() {
            0 => Ok(()),
            bytes => malformed(format!("`{path}` is no file, and has {bytes} bytes")),
        },
        other => malformed(format!("`{path}` is a tar entry of type {other:?}")),
    }
}

/// Before POSIX a folder was a file whose name ends with a slash; dpkg still takes it for one.
pub(crate) fn is_folder(entry: &tar::Entry<'_, impl io::Read>) -> bool {
    match entry.header().entry_type() {
        tar::EntryType::Directory => true,
        tar::EntryType::Regular => entry.path_bytes().ends_with(b"/"),
        _ => false,
    }
}
