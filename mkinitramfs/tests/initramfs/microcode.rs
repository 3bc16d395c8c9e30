//! Microcode in front of the initramfs. The files are made after the formats of Intel and AMD; the judge is GNU cpio.

use std::fs;

use crate::fixture::{Fixture, shell};
use mkinitramfs::list;

/// An update of Intel: 48 bytes of header and `data` of one byte, with the right sum.
fn intel(fill: u8, data: usize) -> Vec<u8> {
    let (data, whole) = (data as u32, data as u32 + 48);
    let mut words = vec![1, 7, 0x0101_2026, 0x0005_0654, 0, 1, 1, data, whole, 0, 0, 0];
    words.extend(std::iter::repeat_n(u32::from_le_bytes([fill; 4]), data as usize / 4));
    words[4] = words.iter().fold(0u32, |sum, word| sum.wrapping_add(*word)).wrapping_neg();
    words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}

/// A container of AMD: a table of processors, and so many updates.
fn amd(updates: usize) -> Vec<u8> {
    let mut bytes = b"DMA\0\0\0\0\0\x10\0\0\0".to_vec();
    bytes.extend([0; 16]);
    for _ in 0..updates {
        bytes.extend(b"\x01\0\0\0\x40\0\0\0");
        bytes.extend([5; 64]);
    }
    bytes
}

#[test]
fn files_are_joined_in_a_plain_archive_in_front() {
    let fixture = Fixture::new();
    let (one, two) = (intel(1, 2000), intel(2, 976));
    fixture.put("fw/intel-ucode/06-55-04", &one);
    fixture.put("fw/intel-ucode/06-55-07", &two);
    fixture.put("fw/intel-ucode/list", b"intel-ucode/06-55-04");
    fixture.put("fw/amd-ucode/microcode_amd.bin", &[amd(1), amd(2)].concat());
    fixture.put("fw/amd-ucode/microcode_amd.bin.asc", b"-----BEGIN PGP SIGNATURE-----");
    shell(&fixture.path("fw"), "xz --check=crc32 intel-ucode/06-55-07");
    let mut request = fixture.request();
    let plain = fixture.path("plain.img");
    request.plan().expect("a plan").write(3, &plain).expect("written");
    request.microcode = vec![fixture.path("fw")];
    let plan = request.plan().expect("a plan");
    assert!(plan.to_string().contains("microcode, in front of all: 3 updates"), "{plan}");
    plan.write(3, &fixture.path("out.img")).expect("written");
    request.plan().expect("a plan").write(3, &fixture.path("again.img")).expect("written");
    let bytes = fs::read(fixture.path("out.img")).expect("the file");
    assert_eq!(bytes, fs::read(fixture.path("again.img")).expect("the file"));
    // Behind it stands the initramfs as it is without.
    let front = bytes.len() - fs::metadata(&plain).expect("the file").len() as usize;
    assert_eq!((front % 512, &bytes[front..]), (0, &fs::read(&plain).expect("the file")[..]));
    let names =
        shell(&fixture.path(""), "cpio --quiet -t < out.img; mkdir x; cd x; cpio --quiet -i < ../out.img");
    let below = "kernel\nkernel/x86\nkernel/x86/microcode\n";
    assert_eq!(
        names,
        format!("{below}kernel/x86/microcode/AuthenticAMD.bin\nkernel/x86/microcode/GenuineIntel.bin\n")
    );
    let joined = |name: &str| fs::read(fixture.path("x/kernel/x86/microcode").join(name)).expect(name);
    assert_eq!(joined("GenuineIntel.bin"), [&one[..], &two].concat());
    assert_eq!(joined("AuthenticAMD.bin"), [amd(1), amd(2)].concat());
    let at = bytes.windows(one.len()).position(|window| window == one).expect("the update");
    assert_eq!(at % 16, 0, "{at}");
    let listing = list(&fixture.path("out.img")).expect("listed");
    assert_eq!(listing.archives.iter().map(|one| one.offset).collect::<Vec<_>>(), [0, front as u64]);
}

#[test]
fn what_is_no_microcode_or_damaged_is_refused_by_name() {
    let fixture = Fixture::new();
    let refusal = |bytes: &[u8]| {
        let mut request = fixture.request();
        request.microcode = vec![fixture.put("m/file", bytes)];
        fixture.refusal(&request)
    };
    let good = intel(3, 2000);
    let mut changed = good.clone();
    changed[100] ^= 1;
    for (bytes, expected) in [
        (
            &b"hello"[..],
            "DIR/m/file: is no microcode of Intel or AMD\nhelp: give a file of Intel's intel-ucode/",
        ),
        (&[], "DIR/m/file: is no microcode of Intel or AMD"),
        (&changed, "DIR/m/file: is damaged at byte 0: the sum of an update is wrong\nhelp: take it anew"),
        (&good[..900], "DIR/m/file: is damaged at byte 0: an update has another length than its header says"),
        (
            &[&good[..], b"more"].concat(),
            "DIR/m/file: is damaged at byte 2048: there is no header of an update",
        ),
        (&amd(0), "DIR/m/file: has a table of processors and no update"),
        (&amd(1)[..90], "DIR/m/file: is damaged at byte 28: a section is cut short"),
        (
            &[&amd(1)[..], b"more"].concat(),
            "DIR/m/file: is damaged at byte 100: there is neither an update nor",
        ),
    ] {
        assert!(refusal(bytes).starts_with(expected), "{}", refusal(bytes));
    }
    let mut request = fixture.request();
    request.microcode = vec![fixture.path("kernel")];
    let expected = "DIR/kernel: has no microcode of Intel or AMD\nhelp: distributions have it in /lib/firmware/intel-ucode";
    assert!(fixture.refusal(&request).starts_with(expected), "{}", fixture.refusal(&request));
}
