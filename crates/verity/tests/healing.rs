//! Damaged images: read right, or refused; healed to the very bytes that they had, or left alone.

use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;

use verity::{BLOCK, Checked, Error, Format, Part, Verity, append, heal, verify};

const JOBS: NonZero<usize> = NonZero::<usize>::MIN;

/// Noise that is the same every time, without a block like another.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

struct Image {
    verity: Verity,
    /// As it was made.
    bytes: Vec<u8>,
}

impl Image {
    fn new(blocks: u64, fec_roots: Option<u8>) -> Self {
        let file = tempfile::tempfile().unwrap();
        let data = noise((blocks * BLOCK) as usize - 100);
        file.write_all_at(&data, 0).unwrap();
        let verity = append(&file, data.len() as u64, &Format { salt: [7; 32], fec_roots }, JOBS).unwrap();
        Image { verity, bytes: contents(&file) }
    }

    /// A file with these bytes changed.
    fn damaged(&self, offsets: impl IntoIterator<Item = u64>) -> File {
        let mut bytes = self.bytes.clone();
        for offset in offsets {
            bytes[offset as usize] ^= 0x5a;
        }
        file_of(&bytes)
    }

    /// Heals and says how many blocks were wrong; the file is as it was made.
    fn heals(&self, file: &File) -> u64 {
        let healed = heal(file, &self.verity, JOBS).unwrap();
        assert!(contents(file) == self.bytes, "healed to other bytes");
        verify(file, &self.verity, JOBS).unwrap();
        healed
    }
}

fn file_of(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn one_byte_anywhere_is_healed() {
    for (blocks, roots) in [(1, 2), (2, 2), (128, 2), (129, 3), (300, 2), (300, 24), (17_000, 2)] {
        let image = Image::new(blocks, Some(roots));
        let layout = &image.verity.layout;
        let fec = layout.fec.unwrap();
        let mut places =
            vec![0, layout.hash_offset - 1, layout.hash_offset, fec.offset, layout.total_len - 1];
        let levels = layout.levels();
        places.extend(levels.iter().flat_map(|level| [level.start * BLOCK + 5, level.end * BLOCK - 1]));
        for place in places {
            let in_the_run =
                place < layout.hash_offset || (layout.hash_offset + BLOCK..fec.offset).contains(&place);
            let healed = image.heals(&image.damaged([place]));
            assert_eq!(healed, u64::from(in_the_run), "{blocks} blocks, {roots} roots, byte {place}");
        }
        assert_eq!(image.heals(&image.damaged([])), 0);
    }
}

/// The hash tree says which blocks are wrong, so that each parity byte of a codeword mends one of them.
#[test]
fn as_many_blocks_of_a_codeword_as_there_are_roots_are_healed() {
    for roots in [2, 5] {
        let image = Image::new(5000, Some(roots));
        let fec = image.verity.layout.fec.unwrap();
        // A burst, across parts, of whole blocks.
        let burst = (fec.rounds * u64::from(roots)) * BLOCK;
        let start = 100 * BLOCK;
        assert_eq!(image.heals(&image.damaged(start..start + burst)), fec.rounds * u64::from(roots));
        let file = image.damaged(start..start + burst + BLOCK);
        let before = contents(&file);
        let error = heal(&file, &image.verity, JOBS).unwrap_err();
        assert!(
            matches!(error, Error::Mismatch(Part::Data { block }) if (100..200).contains(&block)),
            "{error}"
        );
        assert!(contents(&file) == before, "what cannot be healed is left as it is");
    }
}

#[test]
fn a_wrong_hash_block_hides_nothing() {
    let image = Image::new(300, Some(2));
    let leaf = image.verity.layout.levels()[0].start;
    // With a block that it vouches for, which nothing else does, and with a byte of the parity.
    let fec = image.verity.layout.fec.unwrap();
    let parity = fec.offset + ((leaf - 1) % fec.rounds) * BLOCK * 2;
    let same_column = (leaf - 1) % fec.rounds + fec.rounds * 3;
    assert_eq!(image.heals(&image.damaged([leaf * BLOCK + 7, same_column * BLOCK + 7])), 2);
    assert_eq!(image.heals(&image.damaged([leaf * BLOCK + 7, parity, parity + 2])), 1);
    assert_eq!(image.heals(&image.damaged([leaf * BLOCK + 7, parity + 1])), 1);
}

#[test]
fn a_file_of_another_length_is_healed() {
    let image = Image::new(300, Some(2));
    for length in [image.bytes.len() - 1, image.verity.layout.fec.unwrap().offset as usize] {
        assert_eq!(image.heals(&file_of(&image.bytes[..length])), 0);
    }
    assert_eq!(image.heals(&file_of(&[image.bytes.as_slice(), b"more"].concat())), 0);
    let error = heal(&file_of(&image.bytes[..2 * BLOCK as usize]), &image.verity, JOBS).unwrap_err();
    assert!(matches!(error, Error::Mismatch(_)), "{error}");
}

#[test]
fn reading_gives_the_right_bytes_or_none() {
    for roots in [Some(2), None] {
        let image = Image::new(300, roots);
        let file = image.damaged([3 * BLOCK, 5 * BLOCK + 17, 128 * BLOCK]);
        let damaged = contents(&file);
        let checked = Checked::new(file.try_clone().unwrap(), image.verity);
        for (offset, length) in
            [(0, 10), (BLOCK - 3, 6), (2 * BLOCK, 20_000), (128 * BLOCK + 1, 1), (0, 300 * BLOCK)]
        {
            let mut bytes = vec![0; length as usize];
            let read = checked.read_exact_at(&mut bytes, offset);
            let touched = [3, 5, 128]
                .iter()
                .any(|bad| (offset / BLOCK..(offset + length).div_ceil(BLOCK)).contains(bad));
            match roots {
                None if touched => assert!(matches!(read, Err(Error::Mismatch(Part::Data { .. })))),
                _ => {
                    read.unwrap();
                    assert!(bytes == image.bytes[offset as usize..][..length as usize]);
                }
            }
        }
        assert_eq!(checked.healed(), if roots.is_some() { 3 } else { 0 });
        assert!(contents(&file) == damaged, "reading changes nothing");
        assert!(matches!(checked.read_exact_at(&mut [0; 2], 300 * BLOCK - 1), Err(Error::Short { .. })));
        checked.read_exact_at(&mut [], 0).unwrap();
    }
}

/// A hash tree is as good as its root hash: that of another image is refused, and nothing is mended towards it.
#[test]
fn another_root_hash_refuses_everything() {
    let image = Image::new(300, Some(2));
    let verity = Verity { root_hash: [1; 32], ..image.verity };
    let checked = Checked::new(image.damaged([]), verity);
    assert!(matches!(checked.read_exact_at(&mut [0; 1], 0), Err(Error::Mismatch(Part::Tree { .. }))));
    assert!(heal(&image.damaged([]), &verity, JOBS).is_err());
}
