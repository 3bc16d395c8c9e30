//! Makes small Debian packages in memory with the crates `ar` and `tar`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug)]
pub enum Compressor {
    None,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Zstd,
}

/// One entry of `data.tar`. Paths are written into the header as they are, so that hostile ones can be made.
pub struct Entry {
    kind: tar::EntryType,
    path: String,
    target: String,
    bytes: Vec<u8>,
}

impl Entry {
    pub fn file(path: &str, bytes: &[u8]) -> Entry {
        Entry { kind: tar::EntryType::Regular, path: path.into(), target: String::new(), bytes: bytes.into() }
    }

    /// An entry of any type.
    pub fn other(kind: u8, path: &str, bytes: &[u8]) -> Entry {
        let kind = tar::EntryType::new(kind);
        Entry { kind, path: path.into(), target: String::new(), bytes: bytes.into() }
    }

    pub fn symlink(path: &str, target: &str) -> Entry {
        Entry { kind: tar::EntryType::Symlink, path: path.into(), target: target.into(), bytes: Vec::new() }
    }

    pub fn hard_link(path: &str, target: &str) -> Entry {
        Entry { kind: tar::EntryType::Link, path: path.into(), target: target.into(), bytes: Vec::new() }
    }
}

pub fn control(text: &str) -> Vec<Entry> {
    vec![Entry::file("./control", text.as_bytes())]
}

pub fn package(compressor: Compressor, control: &[Entry], data: &[Entry]) -> Vec<u8> {
    let ending = match compressor {
        Compressor::None => "",
        Compressor::Gzip => ".gz",
        Compressor::Bzip2 => ".bz2",
        Compressor::Lzma => ".lzma",
        Compressor::Xz => ".xz",
        Compressor::Zstd => ".zst",
    };
    let mut archive = ar::Builder::new(Vec::new());
    let mut append = |name: String, bytes: Vec<u8>| {
        archive.append(&ar::Header::new(name.into_bytes(), bytes.len() as u64), &bytes[..]).unwrap();
    };
    append("debian-binary".into(), b"2.0\n".to_vec());
    append(format!("control.tar{ending}"), compress(compressor, &tarball(control)));
    append(format!("data.tar{ending}"), compress(compressor, &tarball(data)));
    archive.into_inner().unwrap()
}

fn tarball(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.as_old_mut().linkname[..entry.target.len()].copy_from_slice(entry.target.as_bytes());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(entry.bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, &entry.bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn compress(compressor: Compressor, bytes: &[u8]) -> Vec<u8> {
    match compressor {
        Compressor::None => bytes.to_vec(),
        Compressor::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compressor::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compressor::Lzma => {
            let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
            let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compressor::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compressor::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub fn scratch() -> File {
    tempfile::tempfile().unwrap()
}
