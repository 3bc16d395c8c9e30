use std::error::Error as _;

use nix::errno::Errno;

use super::*;

fn system(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno as i32)
}

fn full() -> io::Error {
    system(Errno::ENOSPC)
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn names_object_cause_and_remedy() {
    let error = Error::new("images/ab.sqfs", "is cut short").remedy("run `lamina build hello`");
    assert_eq!(error.to_string(), "images/ab.sqfs: is cut short\nhelp: run `lamina build hello`");
    assert_eq!((error.object(), error.cause()), ("images/ab.sqfs", "is cut short"));
    assert_eq!(error.known_remedy(), Some("run `lamina build hello`"));
}

#[test]
fn what_the_system_says_of_a_path_has_a_remedy() {
    let said = |errno| Error::on("x")(system(errno)).known_remedy().map(str::to_owned);
    assert_eq!(said(Errno::ENOSPC).as_deref(), Some("make room on its file system, or write to another one"));
    assert_eq!(said(Errno::ENOENT).as_deref(), Some("check the path"));
    assert_eq!(said(Errno::EISDIR).as_deref(), Some("give the path of a file"));
    assert_eq!(said(Errno::EMFILE).as_deref(), Some("raise the limit with `ulimit -n`"));
    assert!(said(Errno::EACCES).is_some_and(|remedy| remedy.contains("root")));
    assert_eq!((said(Errno::EPERM), said(Errno::EIO)), (None, None));
    assert_eq!(Error::on("x")(Errno::ENOENT).known_remedy(), Some("check the path"));
    assert_eq!(Error::on("x")(rustix::io::Errno::NOENT).known_remedy(), Some("check the path"));
}

#[test]
fn words_alone_choose_no_remedy() {
    let error = Error::new("x", "its first line is: No such file or directory");
    assert_eq!(error.known_remedy(), None, "{error}");
}

#[test]
fn what_it_came_from_stays() {
    let error = Error::on("package a")(Error::on("images/x")(full()).remedy("buy a disk"));
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
    assert_eq!(error.system_said().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    let told = Error::new("a", "its disk is full").because_of(full());
    assert_eq!(
        told.to_string(),
        "a: its disk is full\nhelp: make room on its file system, or write to another one"
    );
}

#[test]
fn help_is_shown_once_however_often_an_error_is_wrapped() {
    let missing = || system(Errno::ENOENT);
    let twice = Error::on("package a")(Error::on("images/x")(missing()));
    assert_eq!(
        twice.to_string(),
        "package a: images/x: No such file or directory (os error 2)\nhelp: check the path"
    );
    let inner = Error::on("b")(missing()).remedy("build it");
    assert!(Error::on("a")(inner.clone()).to_string().ends_with("(os error 2)\nhelp: build it"));
    let outer = Error::on("a")(Error::on("b")(inner.clone())).remedy("build all");
    assert!(outer.to_string().ends_with("(os error 2)\nhelp: build all"));
    assert_eq!(Error::new("a", inner.to_string()).to_string().matches("help: ").count(), 1);
    assert_eq!(Error::on("")(inner.clone()), inner);
    let (one, two) = (Error::new("a", "x").remedy("y"), Error::on("b")(missing()));
    let several = Error::new("", format!("{one}\n{two}")).to_string();
    assert_eq!(several.matches("help: ").count(), 2, "{several}");
}

#[test]
fn an_empty_object_leaves_no_colon() {
    assert_eq!(Error::new("", "recipe.kdl:1:1: error: no").to_string(), "recipe.kdl:1:1: error: no");
}

/// As those that leave the system's words to their source.
#[derive(Debug)]
struct Silent(io::Error);

impl fmt::Display for Silent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("cannot mount x")
    }
}

impl error::Error for Silent {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn the_sources_of_a_cause_are_told_to_the_end_of_the_line_and_once() {
    let error = Error::on("a.sqfs")(Silent(full()));
    assert_eq!(first_line(&error), "a.sqfs: cannot mount x: No space left on device (os error 28)");
    assert!(error.known_remedy().is_some_and(|remedy| remedy.starts_with("make room")), "{error}");
    // An io::Error shows what it wraps, and has that one's source as its own.
    let error = Error::on("a.sqfs")(io::Error::other(Silent(full())));
    assert_eq!(first_line(&error), "a.sqfs: cannot mount x: No space left on device (os error 28)");
    assert!(error.known_remedy().is_some_and(|remedy| remedy.starts_with("make room")), "{error}");
}
