//! `loader/lamina.kdl` on the EFI system partition: what `lamina disk create` has put there as loaders, so that a disk says by itself whether
//! that is still there. It is no signature: whoever can write to the disk can write this too, and nothing is started because of it.
//!
//! ```kdl
//! loaders format=1 {
//!     file "EFI/BOOT/BOOTX64.EFI" size=103424 digest="sha256:HEX"
//!     file "loader/loader.conf"
//!     boot-code digest="sha256:HEX"
//!     core size=94208 digest="sha256:HEX"
//! }
//! ```
//!
//! A `file` without a digest is one that changes, such as a menu: it must be there. `boot-code` and `core` are what a BIOS starts, as
//! [`BootCodeDigests`] has it.

use std::fmt::Write as _;

use boot_entry::paths;
use disk_image::bios::BootCodeDigests;
use profiles::decode::{self, Shape};
use profiles::quote::Quoted;
use profiles::{Diagnostics, Digest};

/// A newer one is not read.
const FORMAT: u64 = 1;
/// Longer ones are not read, in bytes: one has some 400.
pub const MOST_BYTES: u64 = 1 << 14;

const SHAPE: Shape = Shape::BARE.properties(&["format"]).block(&["file", "boot-code", "core"]);
const FILE: Shape = Shape::argument("path").properties(&["size", "digest"]);
const BOOT_CODE: Shape = Shape::BARE.properties(&["digest"]);
const CORE: Shape = Shape::BARE.properties(&["size", "digest"]);

/// What starts a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderRecord {
    /// Files of the EFI system partition.
    pub files: Vec<RecordedFile>,
    /// What a BIOS starts.
    pub boot_code: Option<BootCodeDigests>,
}

/// A file that starts the disk, or that a loader reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFile {
    /// From the root of its partition.
    pub path: String,
    /// Its SHA-256 and its length in bytes; `None` of a file that changes.
    pub contents: Option<(Digest, u64)>,
}

/// What the text of a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// This.
    Record(LoaderRecord),
    /// It has this format, which only a later version knows.
    Newer(u64),
}

impl LoaderRecord {
    /// The text of the file.
    pub fn to_kdl(&self) -> String {
        let mut text = format!("loaders format={FORMAT} {{\n");
        for RecordedFile { path, contents } in &self.files {
            // Writing to a String cannot fail.
            let _ = write!(text, "    file {}", Quoted(path));
            if let Some((digest, size)) = contents {
                let _ = write!(text, " size={size} digest=\"{digest}\"");
            }
            text.push('\n');
        }
        if let Some(code) = &self.boot_code {
            let _ = writeln!(text, "    boot-code digest=\"{}\"", code.boot);
            let _ = writeln!(text, "    core size={} digest=\"{}\"", code.core_size, code.core);
        }
        text + "}\n"
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// All that is not understood, with its place.
    pub fn parse(bytes: &[u8]) -> Result<Reading, Diagnostics> {
        decode::read(paths::LOADER_RECORD, bytes, |top| {
            let node = top.required("loaders")?;
            // The format first: a newer one may have nodes that this version does not know.
            let format = node.property::<u64>("format")?;
            if format > FORMAT {
                return Some(Reading::Newer(format));
            }
            let block = node.shape(&SHAPE)?.block();
            let files = block.each("file", |node| {
                let node = node.shape(&FILE)?;
                let contents = match node.has("digest") {
                    true => Some((node.property("digest")?, node.property("size")?)),
                    false => None,
                };
                Some(RecordedFile { path: node.argument("path")?, contents })
            })?;
            let boot = block.one("boot-code").map(|node| node.shape(&BOOT_CODE)?.property("digest"));
            let core = block.one("core").map(|node| {
                let node = node.shape(&CORE)?;
                Some((node.property("digest")?, node.property("size")?))
            });
            let boot_code = match (boot, core) {
                (Some(boot), Some(core)) => {
                    let (boot, (core, core_size)) = (boot?, core?);
                    Some(BootCodeDigests { boot, core, core_size })
                }
                (None, None) => None,
                _ => return node.refuse("'boot-code' and 'core' belong together", "make the disk anew"),
            };
            Some(Reading::Record(LoaderRecord { files, boot_code }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LoaderRecord {
        let digest = Digest::from_bytes([7; 32]);
        LoaderRecord {
            files: vec![
                RecordedFile { path: "EFI/BOOT/BOOTX64.EFI".to_owned(), contents: Some((digest, 5)) },
                RecordedFile { path: "loader/loader.conf".to_owned(), contents: None },
            ],
            boot_code: Some(BootCodeDigests { boot: digest, core: digest, core_size: 512 }),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for record in [record(), LoaderRecord::default(), LoaderRecord { boot_code: None, ..record() }] {
            assert_eq!(LoaderRecord::parse(record.to_kdl().as_bytes()), Ok(Reading::Record(record)));
        }
        assert!((record().to_kdl().len() as u64) < MOST_BYTES / 16);
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_a_newer_format_is_none() {
        let newer = b"loaders format=2 { seal \"x\" }";
        assert_eq!(LoaderRecord::parse(newer), Ok(Reading::Newer(2)));
        for text in [
            "",
            "loaders",
            "loaders format=1 { seal }",
            "loaders format=1 { file \"x\" digest=\"sha256:0\" size=1 }",
            "loaders format=1 { core size=1 }",
            "\u{fffd}",
        ] {
            assert!(LoaderRecord::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
