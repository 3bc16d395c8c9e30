//! The keymap of the console: what kbd's loadkeys makes of a keymap's name or file, and of a layout of X for which Debian's ckbcomp has it.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use initramfs_format::keymap::Key;

use crate::host_file;
use bkeymap::keys;
use fault::Error;

mod bkeymap;
mod tables;

/// That of X with most levels has 120 KB as text.
const MOST_BYTES: u64 = 4 << 20;
const REMEDY: &str = "give a keymap's file, or a name: 'us', 'de', 'de-nodeadkeys' (layout and variant of X, by Debian's \
console-setup), or what kbd has in its folder of keymaps";

/// The keymap with this name, or in this file, as init reads it.
///
/// # Errors
/// It is not there or is none, or the programs that compile it are missing.
pub(crate) fn read(named: &str) -> Result<Vec<u8>, Error> {
    find(named).map_err(|error| error.about(format!("--keymap {named}")))
}

fn find(named: &str) -> Result<Vec<u8>, Error> {
    let path = Path::new(named);
    if !path.is_file() && !named.contains('/') {
        return of_name(named);
    }
    let bytes = host_file::read_unpacked(path, MOST_BYTES).map_err(Error::on(path.display()))?;
    // What loadkeys made before; text is for it to read. It gets no path: it would have a shell unpack what a path's name says.
    match to_bytes(&bytes) {
        Some(keymap) => Ok(keymap),
        None => compile("-", &bytes),
    }
}

/// kbd's own keymaps first, which Debian 12 does not have; then those of X.
fn of_name(name: &str) -> Result<Vec<u8>, Error> {
    let (layout, variant) = name.split_once('-').unwrap_or((name, ""));
    if layout.is_empty() || variant.starts_with('-') {
        return Err(Error::new(name, "is no name of a keymap").remedy(REMEDY));
    }
    let own = match compile(name, &[]) {
        Ok(bytes) => return Ok(bytes),
        Err(error) => error,
    };
    match run(Command::new("ckbcomp").args([layout, variant]), &[]) {
        // It takes a variant that it does not know for none.
        Ok((text, said)) if !said.contains("Can not find") => compile("-", &text),
        Ok((_, said)) => Err(Error::new("ckbcomp", lines_with(&said, "Can not find")).remedy(REMEDY)),
        Err(Failure::Missing) => Err(own),
        Err(Failure::Said(said)) => Err(Error::new("ckbcomp", said).remedy(REMEDY)),
    }
}

/// What loadkeys makes of a keymap's name, or of `text` for `-`.
fn compile(keymap: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
    let command = &mut Command::new("loadkeys");
    match run(command.args(["--unicode", "--bkeymap", "--", keymap]), text) {
        Ok((bytes, _)) => to_bytes(&bytes)
            .filter(|keymap| !keymap.is_empty())
            .ok_or_else(|| Error::new("loadkeys", "made a keymap of it that has no key").remedy(REMEDY)),
        Err(Failure::Missing) => Err(Error::new("loadkeys", "is missing")
            .remedy("install kbd, and for the layouts of X Debian's console-setup; or give a file that loadkeys --bkeymap made")),
        Err(Failure::Said(said)) => Err(Error::new("loadkeys", said).remedy(REMEDY)),
    }
}

/// As init reads it, without the tables that no keys lead to; nothing when it is no `bkeymap`.
fn to_bytes(bkeymap: &[u8]) -> Option<Vec<u8>> {
    let keys = tables::reached(keys(bkeymap)?.collect());
    Some(keys.into_iter().flat_map(Key::to_bytes).collect())
}

enum Failure {
    Missing,
    Said(String),
}

/// Both streams of a program that did what it should.
fn run(command: &mut Command, input: &[u8]) -> Result<(Vec<u8>, String), Failure> {
    let started =
        command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = started.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Missing,
        _ => Failure::Said(error.to_string()),
    })?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        // One that ended early has said why.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    });
    let output = output.map_err(|error| Failure::Said(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok((output.stdout, said)),
        false => Err(Failure::Said(lines_with(&said, ""))),
    }
}

/// The first lines with these words, as one.
fn lines_with(said: &str, words: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && line.contains(words));
    lines.take(3).map(|line| line.escape_debug().to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a key types this letter: kind and value are KT_LATIN or KT_LETTER and the character (`include/uapi/linux/keyboard.h`).
    fn types(keymap: &[u8], code: u8, letter: u8) -> bool {
        let of = keymap.chunks_exact(4).find(|key| key[..2] == [0, code]).expect("the key");
        of[2] == letter
    }

    /// Of a layout's name and of a file's, nothing goes to a shell, and no name is an option.
    #[test]
    fn a_name_is_only_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = b"keymaps 0\nkeycode 21 = z\n";
        for name in ["a;touch pwned;.map.gz", "a b.map.gz", "-x", "plain.map"] {
            let path = folder.path().join(name);
            let made =
                Command::new("gzip").args(["-n", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut gzip = made.expect("gzip");
            gzip.stdin.take().expect("its input").write_all(text).expect("written");
            std::fs::write(&path, gzip.wait_with_output().expect("gzip").stdout).expect("a file");
            let keymap = read(path.to_str().expect("a path")).expect(name);
            assert_eq!(keymap, [0, KEY_Y, b'z', 0x0b], "{name}");
        }
        assert!(!folder.path().join("pwned").exists() && !Path::new("pwned").exists());
        std::fs::write(folder.path().join("none.map"), "# nothing\n").expect("a file");
        let none = folder.path().join("none.map").display().to_string();
        let error = read(&none).expect_err("no key").to_string();
        assert!(error.contains("has no key"), "{error}");
        assert!(read("us--help").is_err());
    }

    const KEY_Y: u8 = 21;
    const KEY_GRAVE: u8 = 41;

    #[test]
    fn a_layout_of_x_is_found_with_its_variant() {
        let german = read("de-nodeadkeys").expect("a layout");
        assert!(types(&german, KEY_Y, b'z') && types(&german, KEY_GRAVE, b'^'));
        assert!(types(&read("us").expect("a layout"), KEY_Y, b'y'));
    }

    /// ckbcomp writes 128 tables for every layout, of which 96 are for modifiers that no key of this one has.
    #[test]
    fn a_layout_of_x_has_the_tables_that_its_keys_lead_to() {
        let german = read("de-nodeadkeys").expect("a layout");
        let tables: std::collections::BTreeSet<u8> = german.chunks_exact(4).map(|key| key[0]).collect();
        // Shift, AltGr, control, alt, and the lock by which ckbcomp has letters beyond ASCII in capitals.
        let expected = (0..128).filter(|table| table & 0b11_0000 == 0);
        assert_eq!(tables, expected.collect());
        assert!(german.len() < 14_000, "{} bytes", german.len());
    }

    #[test]
    fn a_file_is_read_as_text_compressed_or_compiled() {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, compiled) = (folder.path().join("own.map"), folder.path().join("own.bin"));
        std::fs::write(&text, "keymaps 0\nkeycode 21 = z\n").expect("a file");
        let path = text.to_str().expect("a path");
        let keys = read(path).expect("a keymap");
        assert_eq!(keys, [0, KEY_Y, b'z', 0x0b], "what it does not name stays as it is");
        let made = Command::new("loadkeys").args(["--unicode", "--bkeymap", path]).output().expect("kbd");
        std::fs::write(&compiled, made.stdout).expect("a file");
        assert_eq!(read(compiled.to_str().expect("a path")).expect("a keymap"), keys);
    }

    #[test]
    fn what_is_none_is_refused_with_what_the_program_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let bad = folder.path().join("bad.map");
        std::fs::write(&bad, "keycode 21 = no_such_key\n").expect("a file");
        for (named, words) in [
            ("qq", "qq"),
            ("de-qq", "Can not find \\\"qq\\\" in \\\"de\\\""),
            ("-x", "is no name of a keymap"),
            ("", "is no name of a keymap"),
            ("/nowhere/de.map", "No such file"),
            ("/dev/zero", "is not a regular file"),
            (bad.to_str().expect("a path"), "no_such_key"),
        ] {
            let error = read(named).expect_err(named).to_string();
            assert!(error.starts_with(&format!("--keymap {named}: ")) && error.contains(words), "{error}");
        }
    }
}
