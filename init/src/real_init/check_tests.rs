use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["bin", "sbin"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    root
}

fn program(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program for x86-64 that does nothing: `xor edi,edi; mov eax,60; syscall`, exit(0), in one segment that is the whole file.
fn elf(machine: u16, interpreter: Option<&str>) -> Vec<u8> {
    let put =
        |bytes: &mut Vec<u8>, at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let mut bytes = vec![0; 64 + 2 * 56];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (bytes[16], bytes[20]) = (2, 1);
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    put(&mut bytes, 24, 0x40_0000 + 176);
    put(&mut bytes, 32, 64);
    (bytes[52], bytes[54], bytes[56]) = (64, 56, 1);
    let (load, interp) = (64, 64 + 56);
    bytes.extend([0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05]);
    if let Some(path) = interpreter {
        (bytes[56], bytes[interp]) = (2, 3);
        let (offset, length) = (bytes.len() as u64, path.len() as u64 + 1);
        put(&mut bytes, interp + 8, offset);
        put(&mut bytes, interp + 32, length);
        bytes.extend(path.as_bytes());
        bytes.push(0);
    }
    (bytes[load], bytes[load + 4]) = (1, 5);
    put(&mut bytes, load + 16, 0x40_0000);
    let length = bytes.len() as u64;
    put(&mut bytes, load + 32, length);
    put(&mut bytes, load + 40, length);
    put(&mut bytes, load + 48, 4096);
    bytes
}

fn machine() -> u16 {
    let header = fs::read("/proc/self/exe").unwrap();
    u16::from_le_bytes([header[18], header[19]])
}

fn why(root: &Path, init: &str) -> String {
    check(root, init).unwrap_err().why
}

#[test]
fn absolute_links_are_followed_inside_the_root() {
    let root = root();
    program(root.path(), "bin/busybox", &elf(machine(), None));
    symlink("/bin/busybox", root.path().join("sbin/init")).unwrap();
    check(root.path(), "/sbin/init").unwrap();
    symlink("../../../../../../bin/busybox", root.path().join("sbin/up")).unwrap();
    check(root.path(), "/sbin/up").unwrap();
}

#[test]
fn a_missing_init_lists_what_could_start() {
    let root = root();
    program(root.path(), "bin/sh", &elf(machine(), None));
    let failure = check(root.path(), "/sbin/init").unwrap_err();
    assert_eq!(failure.why, "/sbin/init does not exist in the stack");
    assert_eq!(failure.seen, ["these can start: /bin/sh"]);
}

#[test]
fn each_thing_that_would_stop_the_kernel_is_told() {
    let root = root();
    let path = root.path();
    fs::write(path.join("bin/plain"), elf(machine(), None)).unwrap();
    assert!(why(path, "/bin/plain").contains("may not be executed"));
    program(path, "bin/foreign", &elf(0xfff0, None));
    assert!(why(path, "/bin/foreign").contains("is for another machine (ELF machine 65520"));
    program(path, "bin/dynamic", &elf(machine(), Some("/lib/ld.so")));
    let expected =
        "/bin/dynamic needs /lib/ld.so, which cannot start: /lib/ld.so does not exist in the stack";
    assert_eq!(why(path, "/bin/dynamic"), expected);
    program(path, "bin/script", b"#! /bin/interpreter -x\n");
    assert!(why(path, "/bin/script").contains("needs /bin/interpreter"));
    program(path, "bin/text", b"hello");
    assert!(why(path, "/bin/text").contains("neither an ELF program nor a script"));
    program(path, "bin/empty", b"");
    assert_eq!(why(path, "/bin/empty"), "/bin/empty is empty");
    program(path, "bin/self", b"#!/bin/self\n");
    assert!(why(path, "/bin/self").contains("nested too deeply"));
    assert_eq!(why(path, "/bin"), "/bin is not a file");
    symlink("circle", path.join("bin/circle")).unwrap();
    assert!(why(path, "/bin/circle").contains("circle"));
}

/// What this machine's kernel says: whether it starts the program, in a root of its own, and the program comes to its end.
#[cfg(target_arch = "x86_64")]
fn kernel_starts(root: &Path, path: &str) -> bool {
    use std::process::{Command, Stdio};
    let mut command = Command::new(if rustix::process::geteuid().is_root() { "env" } else { "unshare" });
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let path_of_root = "/usr/sbin:/sbin:/usr/bin:/bin";
    let status =
        command.arg("chroot").arg(root).arg(path).env("PATH", path_of_root).stderr(Stdio::null()).status();
    status.unwrap().success()
}

#[cfg(target_arch = "x86_64")]
/// What the programs below ask for.
fn linkers(here: &Path) {
    let good = || elf(machine(), None);
    fs::create_dir(here.join("lib")).unwrap();
    program(here, "lib/ld", &good());
    program(here, "lib/script", b"#!/lib/ld\n");
    program(here, "lib/text", b"text");
    program(here, "lib/cut", &good()[..100]);
}

#[cfg(target_arch = "x86_64")]
/// Whether `check` and the kernel say the same.
fn judge(here: &Path, name: &str, bytes: &[u8]) {
    program(here, &format!("bin/{name}"), bytes);
    let path = format!("/bin/{name}");
    let verdict = check(here, &path).map_err(|failure| failure.why);
    assert_eq!(verdict.is_ok(), kernel_starts(here, &path), "{name}: {verdict:?}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_verdict_on_programs_is_the_kernels() {
    let root = root();
    let here = root.path();
    linkers(here);
    let good = || elf(machine(), None);
    let changed = |at: usize, value: &[u8]| {
        let mut bytes = good();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let mut large = good();
    large.resize(3 * 4096, 0);
    large[64 + 32..64 + 40].copy_from_slice(&(3_u64 << 12).to_le_bytes());
    large[64 + 40..64 + 48].copy_from_slice(&(3_u64 << 12).to_le_bytes());
    // Its first instruction is on the last page.
    large.copy_within(176..185, 2 * 4096);
    large[24..32].copy_from_slice(&0x40_2000_u64.to_le_bytes());
    let mut unended = elf(machine(), Some("/lib/ld"));
    *unended.last_mut().unwrap() = b'x';
    for (name, bytes) in [
        ("good", good()),
        ("large", large.clone()),
        ("dynamic", elf(machine(), Some("/lib/ld"))),
        ("relative", elf(machine(), Some("lib/ld"))),
        ("to-script", elf(machine(), Some("/lib/script"))),
        ("to-text", elf(machine(), Some("/lib/text"))),
        ("to-cut", elf(machine(), Some("/lib/cut"))),
        ("to-folder", elf(machine(), Some("/lib"))),
        ("to-nothing", elf(machine(), Some("/lib/gone"))),
        ("two-names", elf(machine(), Some("/lib/ld\0more"))),
        ("unended", unended),
        ("no-name", elf(machine(), Some(""))),
        ("cut-on-a-page", large[..2 * 4096].to_vec()),
        ("cut-in-headers", good()[..100].to_vec()),
        ("cut-in-header", good()[..40].to_vec()),
        ("nothing-to-load", changed(64, &[0])),
        ("core", changed(16, &[4])),
        ("object", changed(16, &[1])),
        ("foreign", changed(18, &[183, 0])),
        ("headers-of-32", changed(54, &[32])),
        ("74-headers", changed(56, &[74])),
        ("no-headers", changed(56, &[0])),
        ("entry-nowhere", changed(24, &0x90_0000_u64.to_le_bytes())),
        ("too-high", changed(64 + 16, &(1_u64 << 47).to_le_bytes())),
        ("larger-in-file", changed(64 + 40, &[1, 0])),
        ("other-place-in-page", changed(64 + 16, &0x40_0010_u64.to_le_bytes())),
    ] {
        judge(here, name, &bytes);
    }
    // Set-user-ID and one bit for others are no hindrance; no bit at all is one, for root too. Who is not root must be allowed to read it too.
    let for_others = if rustix::process::geteuid().is_root() { 0o001 } else { 0o501 };
    for mode in [0o4755, for_others, 0o644] {
        fs::set_permissions(here.join("bin/good"), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(check(here, "/bin/good").is_ok(), kernel_starts(here, "/bin/good"), "{mode:o}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_verdict_on_scripts_is_the_kernels() {
    let root = root();
    let here = root.path();
    linkers(here);
    let line = |before: usize| [b"#!".to_vec(), vec![b' '; before], b"/lib/ld".to_vec()].concat();
    let long = format!("#!/{}lib/ld", "/".repeat(246));
    let longest = format!("#!/{}lib/ld", "/".repeat(245));
    for (name, bytes) in [
        ("script", b"#!/lib/ld\n".to_vec()),
        ("script-without-end", b"#!/lib/ld".to_vec()),
        ("script-blanks", b"#! \t /lib/ld \t -x y \n".to_vec()),
        ("script-relative", b"#!lib/ld\n".to_vec()),
        ("script-of-windows", b"#!/lib/ld\r\n".to_vec()),
        ("script-of-windows-with-an-option", b"#!/lib/ld -x\r\n".to_vec()),
        ("script-form-feed", b"#!/lib/ld\x0c\n".to_vec()),
        ("script-form-feed-first", b"#!\x0c/lib/ld\n".to_vec()),
        ("script-vertical-tab", b"#!/lib/ld\x0b-x\n".to_vec()),
        ("script-nul", b"#!/lib/ld\0more\n".to_vec()),
        ("script-mark-of-bytes", b"\xef\xbb\xbf#!/lib/ld\n".to_vec()),
        ("script-nothing", b"#!\n".to_vec()),
        ("script-blank", b"#!  \t\n/lib/ld\n".to_vec()),
        ("script-only-mark", b"#!".to_vec()),
        ("script-second-line", b"#!\n/lib/ld\n".to_vec()),
        ("script-247-blanks", line(247)),
        ("script-246-blanks", line(246)),
        ("script-246-blanks-newline", [line(246), b"\n".to_vec()].concat()),
        ("script-247-blanks-newline", [line(247), b"\n".to_vec()].concat()),
        ("script-300-blanks", line(300)),
        ("script-long", long.clone().into_bytes()),
        ("script-long-newline", format!("{long}\n").into_bytes()),
        ("script-long-and-on", format!("{long}/more -x\n").into_bytes()),
        ("script-longest-option", format!("{longest} {}\n", "x".repeat(300)).into_bytes()),
        ("script-to-folder", b"#!/lib\n".to_vec()),
        ("script-to-text", b"#!/lib/text\n".to_vec()),
        ("text", b"echo hello\n".to_vec()),
        ("one-byte", b"#".to_vec()),
        ("empty", Vec::new()),
    ] {
        judge(here, name, &bytes);
    }
    // Scripts of scripts: the kernel follows five.
    program(here, "bin/chain0", &elf(machine(), Some("/lib/ld")));
    for depth in 1..8 {
        program(here, &format!("bin/chain{depth}"), format!("#!/bin/chain{}\n", depth - 1).as_bytes());
        let path = format!("/bin/chain{depth}");
        assert_eq!(check(here, &path).is_ok(), kernel_starts(here, &path), "{depth}");
        assert_eq!(check(here, &path).is_ok(), depth <= 5, "{depth}");
    }
}

#[test]
fn a_line_of_windows_is_told_as_one() {
    let root = root();
    program(root.path(), "bin/sh", &elf(machine(), None));
    program(root.path(), "sbin/init", b"#!/bin/sh\r\nexec something\r\n");
    let expected = "/sbin/init needs /bin/sh\\r, which cannot start: /bin/sh\\r does not exist in the stack \
                    (its line ends as on Windows, with \\r\\n: write it anew with \\n)";
    assert_eq!(why(root.path(), "/sbin/init"), expected);
}

#[test]
fn a_truncated_program_is_told_with_its_length() {
    let root = root();
    let mut bytes = elf(machine(), None);
    bytes.pop();
    program(root.path(), "bin/cut", &bytes);
    assert_eq!(
        why(root.path(), "/bin/cut"),
        "/bin/cut: it is cut off: a segment ends at 185 bytes, and the file at 184"
    );
}
