//! What scripts are read by, followed as the kernel follows it: `load_script()` of `fs/binfmt_script.c` and `exec_binprm()` of `fs/exec.c`.

use std::fs::File;
use std::io::Read as _;

use initramfs_format::paths::entry;

use super::links;
use crate::contents::{Contents, Entry, Source};
use fault::Error;

/// BINPRM_BUF_SIZE of `include/uapi/linux/binfmts.h`: the kernel reads so much of a file to see what it is.
const HEAD: usize = 256;
/// `exec_binprm()` opens what reads a script five times (its loop ends at a depth above 5) and ends with ELOOP at a sixth script.
const MOST_SCRIPTS: usize = 5;
const BROUGHT: &str =
    "a shell comes with --busybox FILE; other programs are named in the list programs of a drop-in";

/// Whether the kernel can start the file at `path` of the initramfs: whether what reads it, if it is a script, and what reads that, leads to
/// a program. To be asked when everything is in it.
///
/// # Errors
/// It is not so; says by which files it goes.
pub(super) fn check(contents: &Contents, path: &str) -> Result<(), Error> {
    let (mut path, mut by, mut scripts) = (path.to_owned(), Vec::new(), 0);
    loop {
        let head = contents.get(&path).map(|it| head(&it.source)).transpose()?.unwrap_or_default();
        match interpreter(&head) {
            None if by.is_empty() || head.starts_with(b"\x7fELF") => return Ok(()),
            None => {
                return Err(refused(&by, &format!("and /{path} is neither a program nor a script"), BROUGHT));
            }
            Some(_) if scripts == MOST_SCRIPTS => {
                let why = format!("and the kernel follows {MOST_SCRIPTS} scripts and no more");
                return Err(refused(&by, &why, "let a program read it, such as /bin/sh"));
            }
            Some(Err(why)) => return Err(refused(&by, why, "write #!, and behind it a path from / on")),
            Some(Ok(interpreter)) => {
                by.push(interpreter);
                path = follow(contents, &by)?;
                scripts += 1;
            }
        }
    }
}

/// The executable file that the last of `by` leads to; the kernel follows links too.
fn follow(contents: &Contents, by: &[String]) -> Result<String, Error> {
    let interpreter = by.last().map_or("", String::as_str);
    let end = links::end(contents, interpreter)?;
    match contents.get(&end) {
        Some(Entry { source: Source::Bytes(_) | Source::HostFile(..), mode }) if mode & 0o111 != 0 => Ok(end),
        Some(Entry { source: Source::Bytes(_) | Source::HostFile(..), .. }) => {
            Err(refused(by, &format!("and /{end} may not be executed"), "make it a program: chmod +x"))
        }
        Some(_) => Err(refused(by, &format!("and /{end} is no regular file"), BROUGHT)),
        None if end == entry(interpreter) => Err(refused(by, "which is not in the initramfs", BROUGHT)),
        None => Err(refused(by, &format!("which leads to /{end}, which is not in the initramfs"), BROUGHT)),
    }
}

fn refused(by: &[String], why: &str, remedy: &str) -> Error {
    let chain =
        by.iter().map(|it| it.escape_debug().to_string()).collect::<Vec<_>>().join(", which is read by ");
    let cause = if by.is_empty() { why.to_owned() } else { format!("is read by {chain}, {why}") };
    Error::new("", cause).remedy(remedy)
}

/// What the kernel reads of a file to see what it is.
fn head(source: &Source) -> Result<Vec<u8>, Error> {
    match source {
        Source::Bytes(bytes) => Ok(bytes[..bytes.len().min(HEAD)].to_vec()),
        Source::HostFile(host, _) => {
            let mut head = Vec::new();
            let read = File::open(host).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
            read.map(|_| head).map_err(Error::on(host.display()))
        }
        _ => Ok(Vec::new()),
    }
}

/// The path behind `#!`; nothing when that is not how the file begins.
fn interpreter(head: &[u8]) -> Option<Result<String, &'static str>> {
    let behind = head.strip_prefix(b"#!")?;
    let line = behind.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let named = &line[start..];
    let end = named.iter().position(|byte| matches!(byte, b' ' | b'\t' | 0));
    // Without an end in what it reads the kernel would start what is called like the beginning, and does not.
    let is_cut = head.len() == HEAD && line.len() == behind.len() && end.is_none();
    Some(match &named[..end.unwrap_or(named.len())] {
        _ if is_cut => Err("has a first line of which the kernel does not read the whole path"),
        [] => Err("has nothing behind its #!"),
        path => Ok(String::from_utf8_lossy(path).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_interpreter_is_the_first_word() {
        let long = |length: usize, behind: &str| format!("#!/{}{behind}", "x".repeat(length)).into_bytes();
        let read = |bytes: &[u8]| {
            let found = interpreter(&bytes[..bytes.len().min(HEAD)])?;
            Some(found.map_err(str::to_owned).unwrap_or_else(|why| why[..11].to_owned()))
        };
        for (line, expected) in [
            (b"#!/bin/sh\n#!/bin/other".to_vec(), Some("/bin/sh")),
            (b"#! \t/bin/sh -e\n".to_vec(), Some("/bin/sh")),
            (b"#!/bin/sh\r\n".to_vec(), Some("/bin/sh\r")),
            (b"#!/bin/sh".to_vec(), Some("/bin/sh")),
            (b"#!".to_vec(), Some("has nothing")),
            (b"#! \n/bin/sh".to_vec(), Some("has nothing")),
            (b"\x7fELF".to_vec(), None),
            (b"".to_vec(), None),
            (long(252, "\n"), Some(&format!("/{}", "x".repeat(252)))),
            (long(252, " -e"), Some(&format!("/{}", "x".repeat(252)))),
            (long(253, "\n"), Some("has a first")),
            (long(300, "\n"), Some("has a first")),
        ] {
            assert_eq!(read(&line).as_deref(), expected, "{}", line.escape_ascii());
        }
    }

    /// As the kernel of this machine does it. A shell writes the scripts: what this process has open for writing while another test starts
    /// something, nothing can start (ETXTBSY).
    #[test]
    fn five_scripts_may_read_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |number: usize| folder.path().join(number.to_string()).display().to_string();
        let line = r"reader=/bin/true; for n in 1 2 3 4 5 6; do printf '#!%s\n' $reader >$n; reader=$PWD/$n; done; chmod 755 *";
        let made = Command::new("sh").args(["-ec", line]).current_dir(folder.path()).status();
        assert!(made.expect("a shell").success());
        let mut contents = Contents::default();
        let mut add = |path: &str, host: &str| {
            let bytes = std::fs::read(host).expect("a file");
            contents.add(entry(path), 0o755, Source::Bytes(bytes)).expect("free");
        };
        add("/bin/true", "/bin/true");
        (1..=MOST_SCRIPTS + 1).for_each(|number| add(&place(number), &place(number)));
        for number in 1..=MOST_SCRIPTS + 1 {
            let found = check(&contents, entry(&place(number)));
            let started = Command::new(place(number)).status().is_ok_and(|it| it.success());
            assert_eq!(
                (found.is_ok(), started),
                (number <= MOST_SCRIPTS, number <= MOST_SCRIPTS),
                "{found:?}"
            );
        }
        let last = check(&contents, entry(&place(MOST_SCRIPTS + 1))).expect_err("one too many").to_string();
        assert!(
            last.starts_with(&format!("is read by {}, which is read by ", place(MOST_SCRIPTS))),
            "{last}"
        );
        assert!(last.contains(", and the kernel follows 5 scripts and no more\nhelp: "), "{last}");
    }
}
