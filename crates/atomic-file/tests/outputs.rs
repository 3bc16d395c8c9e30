//! What becomes of a result under every kind of name.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use atomic_file::{Form, Output, UnnamedFile};
use nix::sys::stat::Mode;

fn put(path: &Path, form: Form) -> Result<(), String> {
    let output = Output::create(path, form).map_err(|error| error.to_string())?;
    output.handle().unwrap().write_all(b"new").unwrap();
    output.publish().map_err(|error| error.to_string())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_symlink()
}

#[test]
fn a_link_stays_and_its_file_is_replaced_in_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("a/b")).unwrap();
    fs::write(path("a/b/file"), "old").unwrap();
    fs::hard_link(path("a/b/file"), path("other-name")).unwrap();
    symlink("b/file", path("a/second")).unwrap();
    symlink(path("a/second"), path("first")).unwrap();
    for form in [Form::Text, Form::Stream, Form::Seeking] {
        fs::write(path("a/b/file"), "old").unwrap();
        put(&path("first"), form).unwrap();
        assert_eq!(fs::read(path("a/b/file")).unwrap(), b"new");
    }
    // Replaced, not overwritten.
    assert_eq!(fs::read(path("other-name")).unwrap(), b"old");
    assert!(is_link(&path("first")) && is_link(&path("a/second")));
    assert_eq!((names(folder.path()).len(), names(&path("a/b"))), (3, vec!["file".to_owned()]));
}

#[test]
fn a_link_to_nothing_yet_is_followed_and_a_circle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("there")).unwrap();
    symlink("there/file", path("link")).unwrap();
    put(&path("link"), Form::Seeking).unwrap();
    assert!(is_link(&path("link")) && fs::read(path("there/file")).unwrap() == b"new");
    symlink("nowhere/file", path("lost")).unwrap();
    let error = put(&path("lost"), Form::Seeking).unwrap_err();
    assert!(error.starts_with("nowhere: cannot make a file in this folder"), "{error}");
    symlink("two", path("one")).unwrap();
    symlink("one", path("two")).unwrap();
    let error = put(&path("one"), Form::Seeking).unwrap_err();
    assert!(error.contains("Too many levels of symbolic links") && error.contains("\nhelp: "), "{error}");
    symlink("there", path("folder")).unwrap();
    assert!(put(&path("folder"), Form::Text).unwrap_err().contains("is a folder"));
}

#[test]
fn a_fifo_is_written_through_or_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    symlink("fifo", folder.path().join("link")).unwrap();
    for (name, form) in [("fifo", Form::Stream), ("link", Form::Text)] {
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        put(&folder.path().join(name), form).unwrap();
        assert_eq!(reader.join().unwrap(), b"new");
    }
    for name in ["fifo", "link"] {
        let error = put(&folder.path().join(name), Form::Seeking).unwrap_err();
        assert!(error.contains(&format!("{name}: is a FIFO, and this format")), "{error}");
        assert!(error.contains("\nhelp: "), "{error}");
    }
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert_eq!(names(folder.path()), ["fifo", "link"]);
}

#[test]
fn a_character_device_is_written_through_and_a_terminal_gets_only_text() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let path =
        fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&terminal.slave))).unwrap();
    assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
    put(&path, Form::Text).unwrap();
    let mut seen = [0; 3];
    File::from(terminal.master.try_clone().unwrap()).read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"new");
    let error = put(&path, Form::Stream).unwrap_err();
    assert!(error.contains("is a terminal, and this is no text\nhelp: "), "{error}");
    let error = put(&path, Form::Seeking).unwrap_err();
    assert!(error.contains("is a character device, and this format"), "{error}");
    assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
}

#[test]
fn of_open_descriptors_only_those_of_streams_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let open = File::create(&path).unwrap();
    let link = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
    for form in [Form::Text, Form::Stream, Form::Seeking] {
        let error = put(&link, form).unwrap_err();
        assert!(error.contains("is an open file of a process\nhelp: "), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let link = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
    put(&link, Form::Stream).unwrap();
    assert!(put(&link, Form::Seeking).unwrap_err().contains("is a FIFO"));
    drop(writer);
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, b"new");
}

#[test]
fn standard_output_is_refused_where_a_format_needs_seeking() {
    let error = Output::create(Path::new("-"), Form::Seeking).unwrap_err().to_string();
    assert!(error.starts_with("-: is standard output, and this format"), "{error}");
    assert!(Output::create(Path::new("-"), Form::Text).unwrap().is_standard_output());
}

#[test]
fn what_is_neither_file_nor_stream_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(put(&socket, Form::Text).unwrap_err().contains("is neither a file nor a FIFO"));
    for name in ["no-such-folder/", "socket/.", "socket/x"] {
        put(&folder.path().join(name), Form::Text).unwrap_err();
    }
    assert_eq!(names(folder.path()), ["socket"]);
}

#[test]
fn a_name_of_the_program_is_replaced_itself_and_a_special_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("victim"), "old").unwrap();
    symlink("victim", path("link")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    UnnamedFile::beside(&path("link")).unwrap().publish().unwrap();
    assert!(!is_link(&path("link")) && fs::read(path("victim")).unwrap() == b"old");
    let error = UnnamedFile::beside(&path("fifo")).unwrap_err().to_string();
    assert!(error.contains("fifo: is no regular file, and is not replaced by one\nhelp: "), "{error}");
}

#[test]
fn the_longest_name_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // Of 255 bytes: one more character of two bytes would not fit.
    let path = folder.path().join("é".repeat(127) + "x");
    put(&path, Form::Seeking).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_folder_that_was_moved_meanwhile_keeps_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("here")).unwrap();
    let output = Output::create(&path("here/file"), Form::Seeking).unwrap();
    fs::rename(path("here"), path("moved")).unwrap();
    fs::create_dir(path("here")).unwrap();
    output.publish().unwrap();
    assert_eq!((names(&path("moved")).len(), names(&path("here")).len()), (1, 0));
}
