//! Fetching from files and from an HTTP server on the loopback address, with everything that servers do wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const BODY: &[u8] = b"the bytes that everybody expects\n";

#[test]
fn a_file_is_copied_checked_and_found_again() {
    let place = Place::new();
    fs::write(place.path("original"), BODY).unwrap();
    let source = source(BODY, &["file:original"]);
    let path = place.fetch(&source).unwrap();
    assert_eq!(path, place.path("sources").join(source.sha256.hex()));
    assert_eq!(fs::read(&path).unwrap(), BODY);
    fs::remove_file(place.path("original")).unwrap();
    assert_eq!(place.fetch(&source).unwrap(), path, "it is there already");
}

#[test]
fn damage_in_the_folder_is_noticed_and_healed() {
    let place = Place::new();
    fs::write(place.path("original"), BODY).unwrap();
    let source = source(BODY, &["file:original"]);
    let path = place.fetch(&source).unwrap();
    fs::write(&path, b"damaged").unwrap();
    assert_eq!(fs::read(place.fetch(&source).unwrap()).unwrap(), BODY);
}

#[test]
fn the_cache_is_asked_first_and_filled() {
    let place = Place::new();
    fs::write(place.path("original"), BODY).unwrap();
    let with_mirror = source(BODY, &["file:original"]);
    let fetcher = |folder: &str| Fetcher::new(place.path(folder)).with_cache(place.path("cache"));
    fetcher("first").fetch(&with_mirror, place.folder.path(), &()).unwrap();
    let without_mirror = source(BODY, &[]);
    let path = fetcher("second").fetch(&without_mirror, place.folder.path(), &()).unwrap();
    assert_eq!(fs::read(path).unwrap(), BODY);

    fs::write(place.path("cache").join(without_mirror.sha256.hex()), b"damaged").unwrap();
    let error = fetcher("third").fetch(&without_mirror, place.folder.path(), &()).unwrap_err().to_string();
    assert!(error.contains(&format!("put it at {}/", place.path("cache").display())), "{error}");
}

#[test]
fn mirrors_that_fail_are_passed_over_and_each_says_why() {
    let server = Server::start([
        ("/short", Answer::Truncated(&BODY[..10])),
        ("/other", Answer::Whole(b"the bytes that nobody expects!!!\n")),
        ("/long", Answer::Whole(b"the bytes that everybody expects, and then some more of them\n")),
        ("/good", Answer::Whole(BODY)),
    ]);
    let place = Place::new();
    let bad = ["/gone", "/short", "/other", "/long"].map(|path| server.url(path));
    let mut mirrors: Vec<&str> = bad.iter().map(String::as_str).collect();
    mirrors.push("file:no-such-file");
    let log = Log::default();
    let error = place.fetch_with(&source(BODY, &mirrors), &log).unwrap_err().to_string();
    for expected in [
        "source.tar: no mirror gave the bytes with sha256:",
        "/gone: curl: (22) The requested URL returned error: 404",
        // Which words curl has for it depends on its version.
        "/short: curl: (18) ",
        " 23 bytes ",
        "/other: gives other bytes: expected sha256 ",
        "/long: gives more than the expected 33 bytes",
        "no-such-file: cannot be opened: No such file or directory",
        "help: look at the network and the proxy, or get the file another way and put it at ",
        "mirror \"file:/PATH\"",
    ] {
        assert!(error.contains(expected), "{expected}\nnot in:\n{error}");
    }
    assert_eq!(place.files("sources"), [] as [String; 0], "nothing of what was wrong is kept");

    let good = server.url("/good");
    mirrors.push(&good);
    let path = place.fetch_with(&source(BODY, &mirrors), &log).unwrap();
    assert_eq!(fs::read(path).unwrap(), BODY);
    let log = log.lines.into_inner().unwrap();
    assert_eq!(log.iter().filter(|line| line.starts_with("failed ")).count(), 10);
    assert_eq!(log.last().unwrap(), &format!("done {good}"));
}

#[test]
fn every_archive_of_apt_is_tried() {
    let server = Server::start([("/two/pool/x", Answer::Whole(BODY))]);
    let place = Place::new();
    let archives = Archives::at(&[&server.url("/one"), &server.url("/two/")]);
    let fetcher = Fetcher::new(place.path("sources")).with_archives(archives);
    fetcher.fetch(&source(BODY, &["debian:pool/x"]), place.folder.path(), &()).unwrap();
}

#[test]
fn a_download_dies_with_the_thread_that_waits_for_it() {
    // A mirror that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", silent.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let curl = download::start_curl(&url, None).unwrap();
        (curl, silent.accept().unwrap())
    });
    let (mut curl, _connection) = thread.join().unwrap();
    let status = curl.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
}

#[test]
fn several_sources_come_in_the_order_asked_for() {
    let bodies: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 100 + usize::from(number)]).collect();
    let place = Place::new();
    let sources: Vec<Source> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| {
            fs::write(place.path(&number.to_string()), body).unwrap();
            source(body, &[&format!("file:{number}")])
        })
        .collect();
    let fetcher = Fetcher::new(place.path("sources"));
    let paths = fetcher.fetch_all(&sources, place.folder.path(), &()).unwrap();
    let fetched: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(fetched, bodies);

    fs::remove_file(place.path("7")).unwrap();
    let error = Fetcher::new(place.path("others")).fetch_all(&sources, place.folder.path(), &()).unwrap_err();
    assert!(error.to_string().contains("/7: cannot be opened"), "{error}");
}

/// The test below runs this one in a process of its own, and kills it.
#[test]
fn fetch_for_the_test_that_kills() {
    let (Ok(url), Ok(folder)) = (std::env::var("LAMINA_TEST_URL"), std::env::var("LAMINA_TEST_FOLDER"))
    else {
        return;
    };
    let _ = Fetcher::new(folder.into()).fetch(&source(BODY, &[&url]), "/".as_ref(), &());
}

#[test]
fn a_killed_process_leaves_nothing() {
    let server = Server::start([("/slow", Answer::Stalled(&BODY[..10]))]);
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fetch::tests::fetch_for_the_test_that_kills"])
        .env("LAMINA_TEST_URL", server.url("/slow"))
        .env("LAMINA_TEST_FOLDER", place.path("sources"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    server.stalled.recv_timeout(Duration::from_secs(30)).expect("the download began");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.files("sources"), [] as [String; 0]);
}

fn source(body: &[u8], mirrors: &[&str]) -> Source {
    Source {
        file: "source.tar".to_owned(),
        sha256: Digest::of(body).unwrap().0,
        size: body.len() as u64,
        mirrors: mirrors.iter().map(|mirror| (*mirror).to_owned()).collect(),
    }
}

/// A folder of the test's own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fetch(&self, source: &Source) -> Result<PathBuf> {
        self.fetch_with(source, &())
    }

    fn fetch_with(&self, source: &Source, progress: &dyn Progress) -> Result<PathBuf> {
        Fetcher::new(self.path("sources")).fetch(source, self.folder.path(), progress)
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
}

impl Progress for Log {
    fn report(&self, _: &str, event: Event<'_>) {
        let line = match event {
            Event::Done { from } => format!("done {from}"),
            Event::MirrorFailed { why } => format!("failed {why}"),
            Event::Present | Event::Bytes { .. } => return,
        };
        self.lines.lock().unwrap().push(line);
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Whole(&'static [u8]),
    /// Says that it is as long as [`BODY`], and ends early.
    Truncated(&'static [u8]),
    /// The same, and then never ends nor goes on.
    Stalled(&'static [u8]),
}

/// The smallest HTTP server that curl talks to. Its thread ends with the test's process.
struct Server {
    port: u16,
    stalled: mpsc::Receiver<()>,
}

impl Server {
    fn start<const N: usize>(answers: [(&'static str, Answer); N]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, stalled) = mpsc::channel();
        let answers = BTreeMap::from(answers);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = request.split(' ').nth(1).unwrap();
                let (status, length, body) = match answers.get(path) {
                    Some(Answer::Whole(body)) => ("200 OK", body.len(), *body),
                    Some(Answer::Truncated(body) | Answer::Stalled(body)) => ("200 OK", BODY.len(), *body),
                    None => ("404 Not Found", 0, &b""[..]),
                };
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
                if let Some(Answer::Stalled(_)) = answers.get(path) {
                    kept.push(connection);
                    sender.send(()).unwrap();
                }
            }
        });
        Server { port, stalled }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
