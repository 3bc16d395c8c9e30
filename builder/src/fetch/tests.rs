//! Fetching from files and from an HTTP server on the loopback address, with everything that servers do wrong.

mod server;
mod strange_servers;

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use server::{Answer, Server};

use super::*;

const BODY: &[u8] = b"the bytes that everybody expects\n";

#[test]
fn a_file_is_copied_checked_and_found_again() {
    let place = Downloads::new();
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
    let place = Downloads::new();
    fs::write(place.path("original"), BODY).unwrap();
    let source = source(BODY, &["file:original"]);
    let path = place.fetch(&source).unwrap();
    fs::write(&path, b"damaged").unwrap();
    assert_eq!(fs::read(place.fetch(&source).unwrap()).unwrap(), BODY);
}

#[test]
fn the_cache_is_asked_first_and_filled() {
    let place = Downloads::new();
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
    let cache = place.path("original/cache");
    let error = Fetcher::new(place.path("fourth")).with_cache(cache.clone());
    let error = error.fetch(&with_mirror, place.folder.path(), &()).unwrap_err().to_string();
    let (cache, file) = (cache.display(), place.path("original"));
    assert!(
        error.starts_with(&format!("{cache}: the cache cannot be made: {} is", file.display())),
        "{error}"
    );
    assert!(error.contains("\nhelp: set LAMINA_CACHE to a folder"), "{error}");
}

#[test]
fn mirrors_that_fail_are_passed_over_and_each_says_why() {
    let server = Server::start([
        ("/short", Answer::Truncated(&BODY[..10])),
        ("/other", Answer::Whole(b"the bytes that nobody expects!!!\n")),
        ("/long", Answer::Whole(b"the bytes that everybody expects, and then some more of them\n")),
        ("/good", Answer::Whole(BODY)),
    ]);
    let place = Downloads::new();
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
        "/other: gives another file: as many bytes as expected (33), expected sha256 ",
        "/long: gives another file: 61 bytes where 33 are expected, expected sha256 ",
        "no-such-file: cannot be opened: No such file or directory",
        "help: the recipe's sha256 is not that of this file, by a slip or because it was released anew: ",
        &format!("`lamina source pin '{}'` prints the node", server.url("/other")),
        "Else get the file another way and put it at ",
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
    assert_eq!(log.iter().filter(|line| line.contains("/short: ")).count(), 5, "four attempts, then one");
    assert_eq!(log.iter().filter(|line| line.contains("/other: ")).count(), 2);
    assert_eq!(log.last().unwrap(), &format!("done {good}"));
}

#[test]
fn what_may_pass_is_tried_again() {
    let server = Server::start([
        ("/busy", Answer::Status("503 Service Unavailable", "")),
        ("/busy", Answer::Status("429 Too Many Requests", "Retry-After: 0\r\n")),
        ("/busy", Answer::Whole(BODY)),
        ("/reset", Answer::Reset),
        ("/reset", Answer::Truncated(&BODY[..10])),
        ("/reset", Answer::WithoutLength(&BODY[..20])),
        ("/reset", Answer::WithoutLength(BODY)),
    ]);
    for path in ["/busy", "/reset"] {
        let place = Downloads::new();
        let log = Log::default();
        let fetched = place.fetch_with(&source(BODY, &[&server.url(path)]), &log).unwrap();
        assert_eq!(fs::read(fetched).unwrap(), BODY);
        let log = log.lines.into_inner().unwrap();
        let failures = if path == "/busy" { 2 } else { 3 };
        // On a busy machine the wait of a millisecond is over before it is announced.
        let (again, others): (Vec<_>, Vec<_>) = log.iter().partition(|line| *line == "again");
        assert!(again.len() <= failures, "{log:?}");
        assert_eq!(others.len(), failures + 1, "{log:?}");
        assert!(others[..failures].iter().all(|line| line.starts_with("failed ")), "{log:?}");
    }
}

#[test]
fn another_mirror_is_asked_before_anybody_waits_and_nobody_waits_for_ever() {
    let server = Server::start([
        ("/busy", Answer::Status("503 Service Unavailable", "Retry-After: 30\r\n")),
        ("/much", Answer::Status("503 Service Unavailable", "Retry-After: 86400\r\n")),
        ("/good", Answer::Whole(BODY)),
    ]);
    let place = Downloads::new();
    let log = Log::default();
    place.fetch_with(&source(BODY, &[&server.url("/busy"), &server.url("/good")]), &log).unwrap();
    let log = log.lines.into_inner().unwrap();
    assert_eq!(log.len(), 2, "{log:?}");
    let error = Downloads::new().fetch(&source(BODY, &[&server.url("/much")])).unwrap_err().to_string();
    assert!(
        error.contains("error: 503; the server asks to wait 86400 s\nhelp: look at the network"),
        "{error}"
    );
}

#[test]
fn the_address_behind_redirects_is_said() {
    let server = Server::start([
        ("/old", Answer::Status("302 Found", "Location: /older\r\n")),
        ("/older", Answer::Status("301 Moved", "Location: /nowhere\r\n")),
        ("/login", Answer::Status("302 Found", "Location: /page\r\n")),
        ("/page", Answer::Whole(b"<html>log in first</html>")),
    ]);
    let error =
        |path: &str| Downloads::new().fetch(&source(BODY, &[&server.url(path)])).unwrap_err().to_string();
    let shown = |path: &str, to: &str| format!("{} (redirected to {}): ", server.url(path), server.url(to));
    let gone = error("/old");
    assert!(gone.contains(&shown("/old", "/nowhere")), "{gone}");
    assert!(gone.contains("\nhelp: look at the address: there is no such file"), "{gone}");
    let page = error("/login");
    assert!(
        page.contains(&(shown("/login", "/page") + "gives another file: 25 bytes where 33 are expected")),
        "{page}"
    );
}

#[test]
fn a_wrong_size_is_the_recipes_and_both_are_shown() {
    let server = Server::start([("/good", Answer::Whole(BODY))]);
    let (place, url) = (Downloads::new(), server.url("/good"));
    fs::write(place.path("original"), BODY).unwrap();
    for mirror in ["file:original", &url] {
        for size in [1, 32, 34, 1 << 40] {
            let wrong = Source { size, ..source(BODY, &[mirror]) };
            let error = place.fetch(&wrong).unwrap_err().to_string();
            let expected = format!(
                "source.tar: the recipe says size={size}, and the file with its sha256 has 33 bytes ({})\n\
                 help: write size=33 where the source is pinned",
                wrong.sha256.hex()
            );
            assert_eq!(error, expected);
        }
    }
    // What is there already is no exception.
    place.fetch(&source(BODY, &["file:original"])).unwrap();
    let error = place.fetch(&Source { size: 7, ..source(BODY, &[]) }).unwrap_err().to_string();
    assert!(error.contains("the recipe says size=7, and the file with its sha256 has 33 bytes"), "{error}");
}

#[test]
fn a_fault_of_this_machine_is_not_blamed_on_a_mirror() {
    let place = Downloads::new();
    fs::write(place.path("original"), BODY).unwrap();
    let source = source(BODY, &["file:original", "http://127.0.0.1:1/x"]);
    // A folder where the file shall be: as a full disk, it would meet every mirror.
    fs::create_dir_all(place.path("sources").join(source.sha256.hex()).join("x")).unwrap();
    let error = place.fetch(&source).unwrap_err().to_string();
    assert!(!error.contains("no mirror gave") && error.contains("Is a directory"), "{error}");
}

/// Else every build that wants the source would wait for a writer.
#[test]
fn a_fifo_in_the_place_of_a_source_is_not_waited_for() {
    let place = Downloads::new();
    fs::write(place.path("original"), BODY).unwrap();
    let source = source(BODY, &["file:original"]);
    fs::create_dir_all(place.path("sources")).unwrap();
    let fifo = place.path("sources").join(source.sha256.hex());
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = place.fetch(&source).unwrap_err().to_string();
    assert!(error.contains("is no regular file, and is not replaced by one"), "{error}");
}

#[test]
fn every_archive_of_apt_is_tried() {
    let server = Server::start([("/two/pool/x", Answer::Whole(BODY))]);
    let place = Downloads::new();
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
        let curl = curl::start(&url, None, u64::MAX >> 1).unwrap();
        (curl, silent.accept().unwrap())
    });
    let (mut curl, _connection) = thread.join().unwrap();
    let status = curl.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
}

#[test]
fn several_sources_come_in_the_order_asked_for() {
    let bodies: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 100 + usize::from(number)]).collect();
    let place = Downloads::new();
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
    let place = Downloads::new();
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
struct Downloads {
    folder: tempfile::TempDir,
}

impl Downloads {
    fn new() -> Downloads {
        Downloads { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fetch(&self, source: &Source) -> Result<PathBuf> {
        self.fetch_with(source, &())
    }

    fn fetch_with(&self, source: &Source, progress: &dyn Progress) -> Result<PathBuf> {
        let patience = Patience { first_wait: Duration::from_millis(1), ..Patience::default() };
        Fetcher::new(self.path("sources")).with_patience(patience).fetch(source, self.folder.path(), progress)
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
            Event::Again { .. } => "again".to_owned(),
            Event::Present | Event::Bytes { .. } => return,
        };
        self.lines.lock().unwrap().push(line);
    }
}
