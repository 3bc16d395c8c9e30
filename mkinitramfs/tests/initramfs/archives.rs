//! Listing what others made: every compression, several archives in one file, and damage in any of them. The judge is GNU cpio.

use std::fs;

use crate::fixture::{Fixture, shell};
use mkinitramfs::{Listing, list};

/// Two trees, `early` and `main`, as archives of cpio, and what cpio lists of the second.
fn trees(fixture: &Fixture) -> Vec<String> {
    let line = "mkdir -p early/kernel/x86/microcode main/bin main/etc; \
        echo microcode > early/kernel/x86/microcode/GenuineIntel.bin; \
        head -c 300000 /dev/urandom > main/bin/busybox; ln -s busybox main/bin/sh; ln main/bin/busybox main/bin/again; \
        echo hello > main/etc/hello; printf x > main/etc/one; mkfifo main/fifo; \
        (cd early; find . | sort | cpio --quiet -o -H newc > ../early.cpio); \
        (cd main; find . | sort | cpio --quiet -o -H newc > ../main.cpio; find . | sort | cpio --quiet -o -H crc > ../sums.cpio); \
        cpio --quiet -t < main.cpio";
    shell(fixture.folder.path(), line).lines().map(str::to_owned).collect()
}

fn paths(listing: &Listing, archive: u32) -> Vec<String> {
    let entries = listing.entries.iter().filter(|entry| entry.archive == archive);
    entries.map(|entry| entry.path.clone()).collect()
}

const PACKERS: [(&str, &str); 8] = [
    ("plain", "cat"),
    ("gzip", "gzip -n"),
    ("bzip2", "bzip2"),
    ("lzma", "xz --format=lzma"),
    ("xz", "xz --check=crc32"),
    ("zstd", "zstd -q -19"),
    ("zstd", "zstd -q --no-check"),
    ("lz4", "lz4 -q -l"),
];

#[test]
fn every_compression_of_the_kernel_is_read_alone_and_behind_microcode() {
    let fixture = Fixture::new();
    let expected = trees(&fixture);
    for (name, packer) in PACKERS {
        for source in ["main", "sums"] {
            let line = format!(
                "{packer} < {source}.cpio > alone; cp alone padded; head -c 1000 /dev/zero >> padded; cat early.cpio padded > both"
            );
            shell(fixture.folder.path(), &line);
            for file in ["alone", "padded"] {
                let listing = list(&fixture.path(file)).unwrap_or_else(|error| panic!("{packer}: {error}"));
                assert_eq!(paths(&listing, 1), expected, "{packer} {file}");
                assert_eq!((listing.archives.len(), listing.entries[0].compression), (1, name));
            }
            let listing = list(&fixture.path("both")).unwrap_or_else(|error| panic!("{packer}: {error}"));
            assert_eq!(paths(&listing, 2), expected, "{packer}");
            assert_eq!(
                paths(&listing, 1).last().map(String::as_str),
                Some("kernel/x86/microcode/GenuineIntel.bin")
            );
            let text = listing.to_string();
            assert!(text.starts_with("# archive 1 (plain, at byte 0)\ndrwx"), "{text}");
            assert!(text.contains(&format!("\n# archive 2 ({name}, at byte 1024)\ndrwx")), "{text}");
        }
    }
}

#[test]
fn compressed_archives_follow_each_other_in_any_order() {
    let fixture = Fixture::new();
    let expected = trees(&fixture);
    // Behind a compressed stream the kernel wants a plain archive at a multiple of four.
    let line = "zstd -q < main.cpio > all; gzip -n < early.cpio >> all; xz --check=crc32 < main.cpio >> all; \
        truncate -s %512 all; cat early.cpio early.cpio | bzip2 >> all; truncate -s %512 all; cat main.cpio >> all";
    shell(fixture.folder.path(), line);
    let listing = list(&fixture.path("all")).expect("listed");
    let compressions: Vec<&str> = listing.archives.iter().map(|archive| archive.compression.name()).collect();
    assert_eq!(compressions, ["zstd", "gzip", "xz", "bzip2", "bzip2", "plain"]);
    for number in [1, 3, 6] {
        assert_eq!(paths(&listing, number), expected, "{number}");
    }
}

#[test]
fn names_of_one_file_are_told() {
    let fixture = Fixture::new();
    trees(&fixture);
    let text = list(&fixture.path("main.cpio")).expect("listed").to_string();
    assert!(text.contains(" bin/busybox link to bin/again\n"), "{text}");
    assert!(text.contains(" bin/sh -> busybox\n") && text.contains("prw-"), "{text}");
}

#[test]
fn damage_is_told_with_its_archive_and_the_entry_before_it() {
    let fixture = Fixture::new();
    trees(&fixture);
    let refusal = |bytes: &[u8]| {
        fs::write(fixture.path("damaged"), bytes).expect("the damaged file");
        list(&fixture.path("damaged")).expect_err("a refusal").to_string()
    };
    let read = |name: &str| fs::read(fixture.path(name)).expect(name);
    for (name, packer) in PACKERS {
        shell(fixture.folder.path(), &format!("{packer} < main.cpio > packed; cat early.cpio packed > both"));
        let both = read("both");
        let cut = refusal(&both[..both.len() / 2]);
        let expected = format!("its archive 2 ({name}, at byte 1024) is damaged ");
        assert!(cut.contains(&expected) && cut.ends_with("help: make it again"), "{packer}: {cut}");
        // Of the others, the first block has everything in it.
        let by_blocks = ["bzip2", "lz4"].contains(&name);
        assert!(cut.contains(if by_blocks { "at its beginning" } else { "behind 'bin" }), "{packer}: {cut}");
    }
    // The sum of the data, which the kernel compares too.
    let mut sums = read("sums.cpio");
    let at = sums.windows(6).position(|bytes| bytes == b"hello\n").expect("the text");
    sums[at] = b'j';
    let expected = "is damaged behind 'etc': the data of 'etc/hello' has another sum than its header says";
    assert!(refusal(&sums).contains(expected), "{}", refusal(&sums));
    let behind = [&read("early.cpio")[..], b"junk"].concat();
    let expected =
        "is damaged behind its archives: what stands at byte 1024 is no archive and not compressed";
    assert!(refusal(&behind).contains(expected), "{}", refusal(&behind));
    let moved = [&read("early.cpio")[..], &[0; 2], &read("main.cpio")].concat();
    assert!(
        refusal(&moved).contains("an archive begins at byte 1026: the kernel finds none"),
        "{}",
        refusal(&moved)
    );
}

#[test]
fn what_cannot_be_read_is_named_with_what_unpacks_it() {
    let fixture = Fixture::new();
    trees(&fixture);
    shell(
        fixture.folder.path(),
        "printf '\\211LZO\\0\\r\\n\\032\\nrest' > lzo; lz4 -q < main.cpio > frame; cd main; find . | cpio --quiet -o -H odc > ../old",
    );
    for (name, words) in [("lzo", "lzop -d"), ("frame", "lz4 -d FILE OTHER"), ("old", "cpio -o -H newc")] {
        let refusal = list(&fixture.path(name)).expect_err("a refusal").to_string();
        assert!(
            refusal.contains(words) && refusal.contains("is no initramfs that this program can read"),
            "{refusal}"
        );
    }
}
