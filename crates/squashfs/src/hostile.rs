//! Images made to harm: every byte may lie, and the answer is an error or data.

use std::fs;
use std::io::Read;

use crate::round_trip::{directory, file, image_of, noise, small_blocks, varied_tree, write_to_memory};
use crate::*;

/// Reads all that an image offers, as far as it goes.
fn read_all(image: &Image) -> Result<(), Error> {
    for item in image.walk() {
        let item = item?;
        if let Kind::File(data) = &item.kind {
            let mut reader = image.reader(data).take(16 << 20);
            // An error here is an answer too; the rest of the image is read all the same.
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
            let mut reader = image.anywhere(data);
            for offset in [data.len().saturating_sub(7), 4090, 0] {
                let _ = reader.read_exact_at(&mut [0; 7], offset);
            }
        }
        let _ = image.find(&item.path);
    }
    Ok(())
}

/// `rounds` variants of an image: cut short, or with a bit flipped in its superblock or in its tables.
fn attack(whole: &[u8], tables: usize, rounds: usize) -> (u32, u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile");
    let (mut refused, mut survived) = (0, 0);
    for (round, seed) in noise(4 * rounds, 42).chunks(4).enumerate() {
        let seed = u32::from_le_bytes(seed.try_into().unwrap()) as usize;
        let mut bytes = whole.to_vec();
        let flipped = match round % 8 {
            0 => {
                bytes.truncate(seed % whole.len());
                None
            }
            1 => Some(seed % 120),
            _ => Some(tables + seed % (whole.len() - tables)),
        };
        if let Some(at) = flipped {
            bytes[at] ^= 1 << (seed >> 28 & 7);
        }
        fs::write(&path, &bytes).unwrap();
        match Image::open(&path).and_then(|image| read_all(&image)) {
            Ok(()) => survived += 1,
            Err(_) => refused += 1,
        }
    }
    (refused, survived)
}

#[test]
fn hostile_images_give_errors_or_data_but_never_a_panic() {
    for compressor in [Compressor::default(), Compressor::Stored] {
        // Where tables are stored, a flip reaches numbers and positions instead of breaking the compression.
        let (whole, _) = write_to_memory(&varied_tree(), &WriteOptions { compressor, ..small_blocks() });
        let tables = image_of(&whole).superblock().inode_table as usize;
        let (refused, survived) = attack(&whole, tables, 3000);
        assert!(refused > 500 && survived > 50, "{refused} refused, {survived} survived");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo.as_path(), folder.path(), std::path::Path::new("/dev/zero")] {
        let message = Image::open(path).err().unwrap().to_string();
        assert!(message.contains("it is not a regular file"), "{message}");
    }
}

#[test]
fn hostile_images_unpack_below_their_target_or_not_at_all() {
    let (whole, _) =
        write_to_memory(&varied_tree(), &WriteOptions { compressor: Compressor::Stored, ..small_blocks() });
    let folder = tempfile::tempdir().unwrap();
    // Every name of the root becomes one that leads out.
    for (name, evil) in
        [(&b"fifo"[..], &b"a/.."[..]), (b"fifo", b"/tmp"), (b"link", b"..\0x"), (b"disk", b"./.x")]
    {
        let mut bytes = whole.clone();
        let tables = image_of(&whole).superblock().directory_table as usize;
        let at = tables + bytes[tables..].windows(4).position(|window| window == name).unwrap();
        bytes[at..at + 4].copy_from_slice(evil);
        let target = folder.path().join("target");
        let error = image_of(&bytes).unpack(&target, &UnpackOptions::user()).unwrap_err();
        assert!(error.to_string().contains("contains `/` or NUL"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn a_link_cannot_stand_in_for_a_directory() {
    let mut tree = Tree::new();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().as_os_str().as_encoded_bytes().to_vec();
    tree.insert(b"aa", Entry::new(Metadata::mode(0o777), Kind::Symlink(target))).unwrap();
    tree.insert(b"ab", directory()).unwrap();
    tree.insert(b"ab/escaped", file(*b"x")).unwrap();
    let (mut bytes, _) =
        write_to_memory(&tree, &WriteOptions { compressor: Compressor::Stored, ..small_blocks() });
    let at = bytes.windows(2).rposition(|window| window == b"ab").unwrap();
    bytes[at + 1] = b'a';
    let folder = tempfile::tempdir().unwrap();
    let error = image_of(&bytes).unpack(&folder.path().join("t"), &UnpackOptions::user()).unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}
