//! The serial console: everything the guest printed, a place up to which the caller has read, and waiting with a timeout.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;

/// A kernel that says this will never say anything else.
const PANIC: &str = "Kernel panic - not syncing";

/// So much of what a guest prints is remembered, its end; all of it goes to the log.
const MOST: usize = 32 << 20;
/// A guest waits when it has printed so many pieces, of at most 4 KiB, that nobody has taken.
const UNREAD: usize = 4096;

/// Why waiting for a text on the console ended without it.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// The time was up.
    TimedOut,
    /// The guest's kernel panicked.
    Panicked,
    /// QEMU closed the console: the machine is off.
    Closed,
}

/// Both directions of the guest's first serial port.
#[derive(Debug)]
pub struct Console {
    output: Receiver<Vec<u8>>,
    input: ChildStdin,
    log: File,
    text: String,
    bytes: Vec<u8>,
    /// Byte offset in `text`: what lies before it has been matched.
    read_to: usize,
}

impl Console {
    /// Reads `output` on a thread of its own and copies every byte to `log`.
    pub fn new(output: ChildStdout, input: ChildStdin, log: File) -> Self {
        Self { output: pump(output), input, log, text: String::new(), bytes: Vec::new(), read_to: 0 }
    }

    /// Waits until `wanted` is printed after the last match, and returns what stood between the two.
    pub fn wait_for(&mut self, wanted: &str, timeout: Duration) -> Result<String, Missed> {
        let start = self.read_to;
        self.wait_for_any(&[wanted], timeout)?;
        Ok(self.text[start..self.read_to - wanted.len()].to_owned())
    }

    /// Waits until one of `wanted` is printed after the last match, and returns which: of several the one printed first.
    pub fn wait_for_any(&mut self, wanted: &[&str], timeout: Duration) -> Result<usize, Missed> {
        let deadline = Instant::now() + timeout;
        loop {
            let unread = &self.text[self.read_to..];
            let found = (0..).zip(wanted).filter_map(|(which, word)| Some((unread.find(word)?, which)));
            if let Some((place, which)) = found.min() {
                self.read_to += place + wanted[which].len();
                return Ok(which);
            }
            if !wanted.contains(&PANIC) && unread.contains(PANIC) {
                // The rest of the panic belongs into the log.
                let _ = self.receive(Duration::from_millis(500));
                return Err(Missed::Panicked);
            }
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return Err(Missed::TimedOut),
                Err(RecvTimeoutError::Disconnected) => return Err(Missed::Closed),
            }
        }
    }

    /// Waits until QEMU closes the console.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<(), Missed> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return Err(Missed::TimedOut),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Takes in what has been printed by now, without waiting.
    pub fn take_in(&mut self) {
        // A guest that prints faster than this reads does not keep its caller.
        for _ in 0..UNREAD {
            if self.receive(Duration::ZERO).is_err() {
                return;
            }
        }
    }

    /// Types on the guest's keyboard.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.input.write_all(bytes).and_then(|()| self.input.flush()).map_err(|error| {
            Error::caused("the serial console", error).remedy("the machine is off: see what it printed")
        })
    }

    /// All that was printed so far, with plain line ends and without terminal escapes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All that was printed so far, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn receive(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        let bytes = self.output.recv_timeout(timeout)?;
        // A log that cannot be written must not fail a test that passes.
        let _ = self.log.write_all(&bytes);
        append_plain(&mut self.text, &bytes);
        self.bytes.extend(bytes);
        self.forget_beyond(MOST);
        Ok(())
    }

    /// Forgets the first half of what is longer than `most`.
    fn forget_beyond(&mut self, most: usize) {
        if self.text.len() > most {
            let lost = self.text.floor_char_boundary(self.text.len() / 2);
            self.text.drain(..lost);
            self.read_to = self.read_to.saturating_sub(lost);
        }
        if self.bytes.len() > most {
            self.bytes.drain(..self.bytes.len() / 2);
        }
    }
}

fn pump(mut output: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(UNREAD);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match output.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) if sender.send(buffer[..length].to_vec()).is_err() => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

/// Appends `bytes` without carriage returns and escape sequences, which differ between terminals and cut words in two.
/// Sequences are `ESC [ parameters letter` (ECMA-48, 5.4); a sequence cut by the end of a read is finished by the next.
fn append_plain(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(if byte.is_ascii() { char::from(*byte) } else { '?' });
        if *byte == b'\r' {
            text.pop();
        }
        if byte.is_ascii_alphabetic()
            && let Some(start) = beginning_of_sequence(text)
            && text[start + 2..text.len() - 1]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b";?".contains(&byte))
        {
            text.truncate(start);
        }
    }
}

/// Where the last sequence begins, if that is near the end: the longest that programs write has some twenty bytes.
fn beginning_of_sequence(text: &str) -> Option<usize> {
    const LONGEST: usize = 64;
    // All of it is ASCII.
    let tail = text.len().saturating_sub(LONGEST);
    text[tail..].rfind("\u{1b}[").map(|place| tail + place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn plain(reads: &[&str]) -> String {
        let mut text = String::new();
        for read in reads {
            append_plain(&mut text, read.as_bytes());
        }
        text
    }

    #[test]
    fn colours_and_carriage_returns_are_removed() {
        assert_eq!(plain(&["\u{1b}[1;31mred\u{1b}[0m\r\nplain"]), "red\nplain");
    }

    #[test]
    fn of_endless_words_the_last_are_remembered() {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (output, input) = (cat.stdout.take().unwrap(), cat.stdin.take().unwrap());
        let mut console = Console::new(output, input, tempfile::tempfile().unwrap());
        console.text = "a".repeat(60) + "end";
        console.bytes = vec![0; 63];
        console.read_to = 60;
        console.forget_beyond(40);
        assert_eq!((console.text.len(), console.bytes.len(), console.read_to), (32, 32, 29));
        assert_eq!(console.wait_for("end", Duration::ZERO).unwrap(), "");
        drop(console);
        assert!(cat.wait().unwrap().success());
    }

    #[test]
    fn a_sequence_cut_in_two_reads_is_removed() {
        assert_eq!(plain(&["a\u{1b}[", "6", "nb"]), "ab");
    }

    #[test]
    fn brackets_without_escape_stay() {
        assert_eq!(plain(&["[    0.12] a[1m"]), "[    0.12] a[1m");
    }
}
