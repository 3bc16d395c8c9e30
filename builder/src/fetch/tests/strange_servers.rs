//! Answers that are no file, addresses that are patterns to curl, and secrets in addresses.

use std::fs;
use std::process::Stdio;

use super::server::{Answer, Server};
use super::{BODY, Downloads, Log, source};
use crate::fetch::{Fetcher, Mirror, tied_program};

/// 204 and 304 were pinned as the empty file, and an unasked part as the whole.
#[test]
fn only_a_whole_file_is_pinned() {
    let server = Server::start([
        ("/204", Answer::Status("204 No Content", "")),
        ("/304", Answer::Raw("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")),
        (
            "/206",
            Answer::Raw(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-3/9\r\nContent-Length: 3\r\n\r\nabc",
            ),
        ),
        ("/empty", Answer::Whole(b"")),
        ("/packed", Answer::Raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")),
    ]);
    let place = Downloads::new();
    let pin = |path: &str| {
        let mirror = Mirror::parse(&server.url(path)).unwrap();
        Fetcher::new(place.path("sources")).pin(&mirror, place.folder.path(), "x", &())
    };
    for (path, expected) in [
        ("/204", "answers with status 204"),
        ("/304", "answers with status 304"),
        ("/206", "answers with status 206, and only 200 comes with the whole file"),
        ("/empty", "gives an empty file"),
    ] {
        let error = pin(path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("help: check the address"), "{path}: {error}");
    }
    assert_eq!(pin("/packed").unwrap().encoding.as_deref(), Some("gzip"));
}

/// curl would have asked for three addresses, and shown our marks between their answers.
#[test]
fn brackets_and_braces_are_a_part_of_the_address() {
    let server = Server::start([("/[1-3]{a,b}", Answer::Whole(BODY))]);
    let place = Downloads::new();
    let fetched = place.fetch(&source(BODY, &[&server.url("/[1-3]{a,b}")])).unwrap();
    assert_eq!(fs::read(fetched).unwrap(), BODY);
}

#[test]
fn a_server_that_never_ends_is_left_and_one_that_announces_too_much_is_not_begun() {
    let server = Server::start([
        ("/huge", Answer::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc")),
        ("/endless", Answer::Endless),
    ]);
    let error = Downloads::new().fetch(&source(BODY, &[&server.url("/huge")])).unwrap_err().to_string();
    assert!(error.contains("gives another file: 99999999999 bytes where 33 are expected"), "{error}");
    let error = Downloads::new().fetch(&source(BODY, &[&server.url("/endless")])).unwrap_err().to_string();
    let (_, count) = error.split_once("gives another file: more than ").expect(&error);
    let count: u64 = count.split(' ').next().unwrap().parse().unwrap();
    assert!(count < (64 << 20) + (1 << 20), "{error}");
}

#[test]
fn passwords_are_shown_nowhere() {
    let server = Server::start([
        ("/moved", Answer::Status("302 Found", "Location: http://u:s3cret@127.0.0.1:1/x\r\n")),
        ("/other", Answer::Whole(b"other")),
        ("/good", Answer::Whole(BODY)),
    ]);
    let place = Downloads::new();
    let secret = |path: &str| server.url(path).replace("//", "//user:s3cret@");
    let (all, log) = (["/gone", "/moved", "/other"].map(secret), Log::default());
    let mut mirrors: Vec<&str> = all.iter().map(String::as_str).collect();
    let error = place.fetch_with(&source(BODY, &mirrors), &log).unwrap_err().to_string();
    assert!(error.matches("http://***@127.0.0.1").count() >= 4 && !error.contains("s3cret"), "{error}");
    let good = secret("/good");
    mirrors.push(&good);
    place.fetch_with(&source(BODY, &mirrors), &log).unwrap();
    let log = log.lines.into_inner().unwrap().join("\n");
    assert!(log.contains("done http://***@") && !log.contains("s3cret"), "{log}");
    let bad = Mirror::parse("gopher://user:s3cret@a").unwrap_err().to_string();
    assert!(bad.contains("***@a") && !bad.contains("s3cret"), "{bad}");
    assert_eq!(Mirror::parse(&good).unwrap().text(), good);
}

/// `apt-get` was left behind when `lamina` was killed while it waited for it.
#[test]
fn every_program_dies_with_the_thread_that_waits_for_it() {
    let thread = std::thread::spawn(|| {
        let mut command = tied_program::command("sh");
        let mut child = command.args(["-c", "echo; exec sleep 100"]).stdout(Stdio::piped()).spawn().unwrap();
        // From here on it is tied.
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        child
    });
    let status = thread.join().unwrap().wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
}
