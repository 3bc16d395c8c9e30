//! Files of ours, judged by Debian's `veritysetup` (package cryptsetup-bin): it makes the same bytes, and accepts ours.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use verity::{BLOCK, Error, Fec, Format, Part, Unprotectable, Verity, append, verify};

const SALT: [u8; 32] = *b"salt that a test may well repeat";

#[test]
fn the_whole_file_is_what_veritysetup_makes() {
    // From a lone block to one more than two full levels of the tree; 4096 blocks and more are several stripes of parity.
    for blocks in [1, 2, 127, 128, 129, 253, 254, 300, 5000, 128 * 128 + 1] {
        same_as_veritysetup(blocks * BLOCK, 2);
    }
}

#[test]
fn data_that_ends_within_a_block_is_filled_up_with_zeros() {
    for data_len in [1, BLOCK + 1, 3_333_333] {
        same_as_veritysetup(data_len, 2);
    }
}

#[test]
fn every_number_of_roots_is_what_veritysetup_makes() {
    for roots in 2..=24 {
        same_as_veritysetup(260 * BLOCK, roots);
    }
}

#[test]
fn without_error_correction_the_file_ends_with_the_tree() {
    let image = Image::new(300 * BLOCK);
    let verity = image.append(None, 2);
    let peer = image.with_data_alone("peer");
    veritysetup(
        "format",
        &[&peer, &peer],
        &[salt(), image.uuid(&verity), data_blocks(&verity), hash_offset(&verity)],
    );
    assert_same(&image.path, &peer);
    accepts(&image, &verity);
}

#[test]
fn tree_and_parity_in_files_of_their_own_are_the_same_bytes() {
    let image = Image::new(1000 * BLOCK);
    let verity = image.append(Some(2), 2);
    let (data, hash, fec) = (image.with_data_alone("data"), image.beside("hash"), image.beside("fec"));
    let options = [salt(), "--no-superblock".to_owned(), format!("--fec-device={}", fec.display())];
    veritysetup("format", &[&data, &hash], &options);
    let ours = fs::read(&image.path).unwrap();
    let tree = (verity.layout.hash_offset + BLOCK) as usize..verity.layout.fec.unwrap().offset as usize;
    assert!(fs::read(hash).unwrap() == ours[tree.clone()], "the trees differ");
    assert!(fs::read(fec).unwrap() == ours[tree.end..], "the parities differ");
}

#[test]
fn the_number_of_threads_does_not_change_the_file() {
    let image = Image::new(9000 * BLOCK + 77);
    let one = (image.append(Some(2), 1), fs::read(&image.path).unwrap());
    for jobs in [2, 3, 8] {
        let more = (image.append(Some(2), jobs), fs::read(&image.path).unwrap());
        assert!(one == more, "{jobs} threads made another file");
    }
}

#[test]
fn a_flipped_bit_in_data_or_tree_is_refused_and_can_be_healed() {
    let image = Image::new(1000 * BLOCK);
    let verity = image.append(Some(2), 2);
    let hash_start = verity.layout.hash_offset + BLOCK;
    let cases = [
        (0, Part::Data { block: 0 }),
        (700 * BLOCK + 123, Part::Data { block: 700 }),
        (1000 * BLOCK - 1, Part::Data { block: 999 }),
        (hash_start, Part::Tree { block: 1001 }),
        (hash_start + 3 * BLOCK, Part::Tree { block: 1004 }),
    ];
    for (offset, place) in cases {
        image.flip(offset);
        for jobs in [1, 4] {
            assert!(
                matches!(image.verify(&verity, jobs), Err(Error::Mismatch(found)) if found == place),
                "{place:?}"
            );
        }
        let report = refuses(&image, &verity);
        assert!(
            report.contains("Verification of data area failed") || report.contains("root hash"),
            "{report}"
        );
        let report = with_error_correction(&image, &verity);
        assert!(report.contains("Found 1 repairable errors with FEC device"), "{place:?}: {report}");
        image.flip(offset);
    }
    accepts(&image, &verity);
}

#[test]
fn a_burst_of_damage_over_one_block_touches_each_codeword_once() {
    let image = Image::new(1000 * BLOCK);
    let verity = image.append(Some(2), 2);
    (0..BLOCK).for_each(|byte| image.flip(500 * BLOCK + byte));
    let report = with_error_correction(&image, &verity);
    assert!(report.contains("Found 4096 repairable errors with FEC device"), "{report}");
}

#[test]
fn damage_outside_data_and_tree_is_found_too() {
    let image = Image::new(300 * BLOCK);
    let verity = image.append(Some(2), 2);
    let (superblock, parity) = (verity.layout.hash_offset, verity.layout.fec.unwrap().offset);
    let cases = [
        (superblock + 5, Part::Superblock { block: 300 }),
        (superblock + 4000, Part::Superblock { block: 300 }),
        (parity + 4567, Part::Parity { offset: parity + 4567 }),
    ];
    for (offset, place) in cases {
        image.flip(offset);
        assert!(
            matches!(image.verify(&verity, 2), Err(Error::Mismatch(found)) if found == place),
            "{place:?}"
        );
        image.flip(offset);
    }
}

#[test]
fn another_root_hash_or_salt_is_refused() {
    let image = Image::new(300 * BLOCK);
    let verity = image.append(Some(2), 2);
    let top = Part::Tree { block: verity.layout.hash_start_block() };
    for other in [Verity { root_hash: [0; 32], ..verity }, Verity { salt: [0; 32], ..verity }] {
        assert!(matches!(image.verify(&other, 2), Err(Error::Mismatch(found)) if found == top));
    }
}

#[test]
fn the_superblock_says_what_was_appended() {
    for roots in [None, Some(2), Some(24)] {
        let image = Image::new(300 * BLOCK - 7);
        let bare = File::open(&image.path).unwrap();
        assert_eq!(verity::describe(&bare, image.data_len).unwrap(), None);
        let verity = image.append(roots, 2);
        let describe = || verity::describe(&File::open(&image.path).unwrap(), image.data_len);
        assert_eq!(describe().unwrap(), Some((SALT, verity.layout)));
        let superblock = verity.layout.hash_offset;
        for (offset, what) in [(superblock + 12, "another hash"), (superblock + 73, "number of data blocks")]
        {
            image.flip(offset);
            let message = describe().unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
            image.flip(offset);
        }
        image.open().set_len(verity.layout.total_len - 1).unwrap();
        let message = describe().unwrap_err().to_string();
        assert!(message.contains("too long or too short"), "{message}");
    }
}

#[test]
fn a_file_that_ends_too_early_is_refused() {
    let image = Image::new(10 * BLOCK);
    let verity = image.append(Some(2), 2);
    image.open().set_len(verity.layout.total_len - 1).unwrap();
    let error = image.verify(&verity, 2).unwrap_err();
    assert!(matches!(error, Error::Io { action: "read the error correction", .. }), "{error}");
    let error = append(&image.open(), 1 << 30, &Format::new(SALT), jobs(2)).unwrap_err();
    assert!(matches!(error, Error::Short { expected: 1_073_741_824, .. }), "{error}");
}

#[test]
fn what_cannot_be_protected_leaves_the_file_alone() {
    let image = Image::new(5000);
    let bad_roots = Format { salt: SALT, fec_roots: Some(25) };
    assert!(matches!(
        append(&image.open(), 5000, &bad_roots, jobs(1)),
        Err(Error::Unprotectable(Unprotectable::Roots(25)))
    ));
    assert!(matches!(
        append(&image.open(), 0, &Format::new(SALT), jobs(1)),
        Err(Error::Unprotectable(Unprotectable::Size { .. }))
    ));
    assert_eq!(image.open().metadata().unwrap().len(), 5000);
}

/// Appends with two numbers of threads; both times the file must be the one that veritysetup makes, and be accepted.
fn same_as_veritysetup(data_len: u64, roots: u8) {
    let image = Image::new(data_len);
    let verity = image.append(Some(roots), 3);
    let peer = image.with_data_alone("peer");
    let mut options = vec![salt(), image.uuid(&verity), data_blocks(&verity), hash_offset(&verity)];
    options.extend(fec_options(&peer, &verity.layout.fec.unwrap()));
    veritysetup("format", &[&peer, &peer], &options);
    assert_same(&image.path, &peer);
    accepts(&image, &verity);
    image.verify(&verity, 3).unwrap();
}

/// An image in a folder of its own.
struct Image {
    folder: TempDir,
    path: PathBuf,
    data_len: u64,
}

impl Image {
    /// Bytes that no compressor would find a pattern in, the same every time.
    fn new(data_len: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut state = data_len | 1;
        let words = (0..data_len.div_ceil(8)).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        fs::write(&path, words.take(data_len as usize).collect::<Vec<u8>>()).unwrap();
        Self { folder, path, data_len }
    }

    fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.path).unwrap()
    }

    fn append(&self, fec_roots: Option<u8>, threads: usize) -> Verity {
        append(&self.open(), self.data_len, &Format { salt: SALT, fec_roots }, jobs(threads)).unwrap()
    }

    fn verify(&self, verity: &Verity, threads: usize) -> Result<(), Error> {
        verify(&File::open(&self.path).unwrap(), verity, jobs(threads))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with the data and the zeros that fill its last block, for veritysetup to start from.
    fn with_data_alone(&self, name: &str) -> PathBuf {
        let path = self.beside(name);
        fs::copy(&self.path, &path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(self.data_len).unwrap();
        file.set_len(self.data_len.next_multiple_of(BLOCK)).unwrap();
        path
    }

    fn flip(&self, offset: u64) {
        let (file, mut byte) = (self.open(), [0]);
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
    }

    /// The UUID in our superblock, as an option.
    fn uuid(&self, verity: &Verity) -> String {
        let mut uuid = [0; 16];
        self.open().read_exact_at(&mut uuid, verity.layout.hash_offset + 16).unwrap();
        let hex = hex(&uuid);
        let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("--uuid={}", groups.join("-"))
    }
}

fn jobs(count: usize) -> NonZero<usize> {
    NonZero::new(count).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn salt() -> String {
    format!("--salt={}", hex(&SALT))
}

fn data_blocks(verity: &Verity) -> String {
    format!("--data-blocks={}", verity.layout.data_blocks)
}

fn hash_offset(verity: &Verity) -> String {
    format!("--hash-offset={}", verity.layout.hash_offset)
}

fn fec_options(file: &Path, fec: &Fec) -> [String; 3] {
    let device = format!("--fec-device={}", file.display());
    [device, format!("--fec-offset={}", fec.offset), format!("--fec-roots={}", fec.roots)]
}

/// `veritysetup verify` of the image, with salt and sizes from the superblock of ours; whether it accepted, and what it said.
fn veritysetup_verify(image: &Image, verity: &Verity, fec: bool) -> (bool, String) {
    let root_hash = PathBuf::from(hex(&verity.root_hash));
    let mut options = vec![hash_offset(verity)];
    options
        .extend(verity.layout.fec.iter().filter(|_| fec).flat_map(|layout| fec_options(&image.path, layout)));
    run("verify", &[&image.path, &image.path, &root_hash], &options)
}

fn accepts(image: &Image, verity: &Verity) {
    for fec in [false, true] {
        let (accepted, report) = veritysetup_verify(image, verity, fec);
        assert!(accepted && report.is_empty(), "{report}");
    }
}

fn refuses(image: &Image, verity: &Verity) -> String {
    let (accepted, report) = veritysetup_verify(image, verity, false);
    assert!(!accepted, "veritysetup took a damaged image for a good one");
    report
}

fn with_error_correction(image: &Image, verity: &Verity) -> String {
    veritysetup_verify(image, verity, true).1
}

fn veritysetup(action: &str, paths: &[&Path], options: &[String]) {
    let (accepted, report) = run(action, paths, options);
    assert!(accepted, "veritysetup {action}: {report}");
}

/// Whether it succeeded, and what it wrote to the standard error stream.
fn run(action: &str, paths: &[&Path], options: &[String]) -> (bool, String) {
    // On Debian it is in a folder that only root has in PATH.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let mut command = Command::new("veritysetup");
    command.arg(action).args(options).args(paths).env("PATH", path).env("LC_ALL", "C");
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run veritysetup: {error}. Install the Debian package cryptsetup-bin")
    });
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn assert_same(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (fs::read(ours).unwrap(), fs::read(theirs).unwrap());
    let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!((ours.len(), first), (theirs.len(), None), "length and first byte that differs");
}
