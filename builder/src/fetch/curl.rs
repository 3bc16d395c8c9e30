//! The program curl: how it is started, and what it says of a transfer.

use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use super::failure::{Failure, Kind};
use super::passwords::without_passwords;
use super::tied_program;
use crate::error::{Error, Result};

/// What the line begins with that curl writes to standard error behind its own words.
const MARK: &str = "\nlamina-transfer\t";

/// Longest address that is shown: those of clouds carry keys of a kilobyte.
const LONGEST_ADDRESS: usize = 300;

/// Exit statuses of curl (curl(1), EXIT CODES) after which the same transfer may go well: a part of the file, nothing at all, an
/// error of sending or receiving, a broken HTTP/2 or HTTP/3 stream. A connection that is refused, an unknown host and a timeout are
/// not among them: who is not there now is not there in a second, and another mirror is.
const PASSING_STATUSES: [i32; 7] = [16, 18, 52, 55, 56, 92, 95];

/// What curl exits with for a file beyond `--max-filesize`: at its head, where its length is announced.
const TOO_LONG: i32 = 63;

/// Answers that speak of now and not of the file (RFC 9110, section 15; 429: RFC 6585).
const PASSING_ANSWERS: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// The only answer whose body is the file that was asked for: 204 and 304 have none, 206 has a part (RFC 9110, section 15).
const WHOLE_FILE: u16 = 200;

/// A file that is announced to be longer than `most` bytes is not begun.
pub(super) fn start(url: &str, proxy: Option<&str>, most: u64) -> Result<Child> {
    let mut command = tied_program::command("curl");
    // -q first: a personal .curlrc must not change what is fetched. An address is one address, whatever brackets and braces it has.
    command.args([
        "-q",
        "--globoff",
        "--max-filesize",
        &most.to_string(),
        "--silent",
        "--show-error",
        "--fail",
        "--location",
        "--proto",
        "=http,https",
    ]);
    command.args(["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "30"]);
    if let Some(proxy) = proxy {
        command.args(["--proxy", proxy]);
    }
    let facts = "%{http_code}\t%{num_redirects}\t%{url_effective}\t%header{content-length}\t%header{transfer-encoding}\
                 \t%header{retry-after}\t%header{content-encoding}\n";
    command.arg("--write-out").arg(format!("%{{stderr}}{MARK}{facts}"));
    command.args(["--output", "-", "--url", url]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(tied_program::not_started)
}

/// What curl said of a transfer when it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    /// Its own words, when it failed.
    pub words: Option<String>,
    /// The same transfer may go well a little later.
    pub passing: bool,
    /// The server does not have the file: 404 or 410.
    pub not_there: bool,
    /// How long the server asks to wait (`Retry-After`, RFC 9110, section 10.2.3).
    pub wait: Option<Duration>,
    /// Where redirects led.
    pub redirected: Option<String>,
    /// The end of the file is known from more than the end of the connection.
    pub has_length: bool,
    /// The file is longer than what is taken.
    pub too_long: bool,
    /// How long the server said the file is.
    pub announced: Option<u64>,
    /// How the server says that it packed the bytes, although nobody asked (`Content-Encoding`, RFC 9110, section 8.4).
    pub encoding: Option<String>,
}

impl Transfer {
    /// From the status and standard error of curl. `stopped`: we ended it before its end, so that its status means nothing.
    pub fn of(status: ExitStatus, stderr: &[u8], stopped: bool) -> Result<Transfer> {
        if tied_program::is_missing(status) {
            return Err(Error::new("curl", "cannot be started").remedy("install it: apt-get install curl"));
        }
        let text = String::from_utf8_lossy(stderr);
        let (words, facts) = text.rsplit_once(MARK).unwrap_or((&text, ""));
        let mut facts = facts.trim_end_matches('\n').split('\t');
        let mut next = || facts.next().unwrap_or_default();
        let (answer, redirects, address) = (next().parse().unwrap_or(0u16), next(), next());
        let (length, encoding, wait, packed) = (next(), next(), next(), next());
        let no_file = status.success() && !matches!(answer, 0 | WHOLE_FILE);
        let failed = (no_file || !status.success()) && !stopped;
        let code = status.code().unwrap_or_default();
        let words = match words.trim() {
            _ if no_file => {
                format!("answers with status {answer}, and only {WHOLE_FILE} comes with the whole file")
            }
            "" => format!("curl ended with {status}"),
            words => without_passwords(words),
        };
        let announced = length.parse().ok();
        Ok(Transfer {
            words: failed.then_some(words),
            passing: failed && (PASSING_STATUSES.contains(&code) || PASSING_ANSWERS.contains(&answer)),
            not_there: failed && matches!(answer, 404 | 410),
            wait: retry_after(wait, SystemTime::now()),
            redirected: redirects
                .parse()
                .is_ok_and(|count: u32| count > 0)
                .then(|| shortened(&without_passwords(address))),
            has_length: announced.is_some() || encoding.eq_ignore_ascii_case("chunked"),
            too_long: failed && code == TOO_LONG,
            announced,
            // An older curl gives the word back.
            encoding: Some(packed)
                .filter(|packed| !packed.is_empty() && !packed.starts_with('%'))
                .map(str::to_owned),
        })
    }
}

impl Transfer {
    /// What a transfer that failed means; `None` for one that went well.
    pub fn failure(self) -> Option<Failure> {
        let words = self.words?;
        let kind = match (self.passing, self.not_there) {
            (true, _) => Kind::Passing(self.wait),
            (_, true) => Kind::NotThere,
            _ => Kind::Unreachable,
        };
        let asks = self.wait.filter(|_| self.passing);
        let asks = asks.map(|wait| format!("; the server asks to wait {} s", wait.as_secs()));
        Some(Failure::new(kind, words + &asks.unwrap_or_default()))
    }
}

fn shortened(address: &str) -> String {
    match address.char_indices().nth(LONGEST_ADDRESS) {
        Some((end, _)) => format!("{}...", &address[..end]),
        None => address.to_owned(),
    }
}

/// Seconds or a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn of(code: i32, stderr: &str) -> Transfer {
        Transfer::of(ExitStatus::from_raw(code << 8), stderr.as_bytes(), false).unwrap()
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let answer = |answer: u16| {
            of(22, &format!("curl: (22) error: {answer}\n{MARK}{answer}\t0\thttp://a/x\t0\t\t\n"))
        };
        for passing in PASSING_ANSWERS {
            assert!(answer(passing).passing, "{passing}");
        }
        assert!(!answer(403).passing && !answer(403).not_there);
        assert!(!answer(404).passing && answer(404).not_there);
        assert!(of(18, "curl: (18) end of response\n").passing);
        assert!(!of(7, "curl: (7) refused\n").passing && !of(6, "").passing && !of(28, "").passing);
        assert_eq!(of(7, "").words.as_deref(), Some("curl ended with exit status: 7"));
    }

    #[test]
    fn the_last_line_counts_and_may_be_cut_or_missing() {
        let said = format!("words{MARK}503\t9\tx\n{MARK}200\t2\thttp://b/y\t\tChunked\t\n");
        let transfer = of(0, &said);
        assert_eq!(
            (transfer.redirected.as_deref(), transfer.has_length, transfer.words),
            (Some("http://b/y"), true, None)
        );
        let long = of(0, &format!("{MARK}200\t1\t{}", "\u{e9}".repeat(5000)));
        assert_eq!(long.redirected.unwrap().chars().count(), LONGEST_ADDRESS + 3);
        assert!(!long.has_length);
        // An older curl does not know %header{}.
        let old = of(
            0,
            &format!("{MARK}200\t0\tx\t%header{{content-length}}\t%header{{a}}\t%header{{retry-after}}\n"),
        );
        assert_eq!(old, Transfer::default());
    }

    #[test]
    fn servers_ask_for_seconds_or_for_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 40);
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(40)),
            ("Sun, 06 Nov 1993 08:49:37 GMT", None),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("-1", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
