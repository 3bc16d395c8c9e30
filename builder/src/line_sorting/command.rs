//! A command of the caller's sorts: it gets the lines on its standard input, and what it prints must be the same lines.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// The lines as the command of `/bin/sh` orders them, or in its order turned round.
///
/// # Errors
/// It cannot be started, fails, or prints other lines than it was given.
pub fn by_command(lines: &[&str], command: &str, reverse: bool) -> Result<Vec<String>> {
    let input: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let output = output_of(command, &input)?;
    let output = String::from_utf8(output).map_err(|_| other_lines(command, "prints what is no UTF-8"))?;
    let mut sorted: Vec<String> = output.lines().map(str::to_owned).collect();
    check(lines, &sorted, command)?;
    if reverse {
        sorted.reverse();
    }
    Ok(sorted)
}

/// What it prints when it is given `input`, which is as much as it may print.
fn output_of(command: &str, input: &str) -> Result<Vec<u8>> {
    let on = || Error::on::<io::Error>(format!("`{command}`"));
    // A group of its own, so that all of it can be ended.
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(on())?;
    let mut output = Vec::new();
    let stdout = child.stdout.take();
    let stdin = child.stdin.take();
    let most = input.len() as u64 + 1;
    let read = thread::scope(|scope| {
        // It may have read enough before all is written: `head` ends so. What is missing then is seen in its output.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(most).read_to_end(&mut output));
        if output.len() as u64 == most || read.is_err() {
            end(&child);
        }
        read
    });
    let status = child.wait().map_err(on())?;
    read.map_err(on())?;
    if output.len() as u64 == most {
        return Err(other_lines(command, "prints more than it was given"));
    }
    match status.success() {
        true => Ok(output),
        false => Err(Error::new(format!("`{command}`"), format!("failed: {status}"))
            .remedy("give a command that sorts the lines of its standard input, like `sort -V`")),
    }
}

/// Ends the command and what it started. It may be gone already.
fn end(child: &Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Whether these are the same lines, each as often.
fn check(given: &[&str], sorted: &[String], command: &str) -> Result<()> {
    let mut before = given.to_vec();
    let mut after: Vec<&str> = sorted.iter().map(String::as_str).collect();
    before.sort_unstable();
    after.sort_unstable();
    if before == after {
        return Ok(());
    }
    let differs = before.iter().zip(&after).position(|(one, other)| one != other);
    let at = differs.unwrap_or(before.len().min(after.len()));
    let cause = match (before.get(at), after.get(at)) {
        (Some(lost), Some(new)) if lost > new => format!("prints '{new}', which it was not given"),
        (None, Some(new)) => format!("prints '{new}', which it was not given"),
        (Some(lost), _) => format!("leaves out '{lost}'"),
        (None, None) => "prints other lines than it was given".to_owned(),
    };
    Err(other_lines(command, &cause))
}

fn other_lines(command: &str, cause: &str) -> Error {
    Error::new(format!("`{command}`"), cause.to_owned())
        .remedy("give a command that prints the lines of its standard input in another order, like `sort -V`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lines_in_another_order_are_taken() {
        let lines = ["b", "a", "b", ""];
        assert_eq!(by_command(&lines, "sort", false).unwrap(), ["", "a", "b", "b"]);
        assert_eq!(by_command(&lines, "sort", true).unwrap(), ["b", "b", "a", ""]);
        assert_eq!(by_command(&lines, "cat", false).unwrap(), lines);
        assert_eq!(by_command(&[], "cat", false).unwrap(), [] as [&str; 0]);
        // As large as no pipe holds (pipe(7): 64 KiB).
        let many = vec!["1.2.3.4.5.6.7.8"; 100_000];
        assert_eq!(by_command(&many, "cat", false).unwrap(), many);
    }

    #[test]
    fn other_lines_are_refused() {
        let lines = ["1", "2", "2", "3"];
        for (command, part) in [
            ("sort -u", "`sort -u`: leaves out '2'\nhelp: give a command that prints"),
            ("head -n 1", "leaves out '2'"),
            ("true", "leaves out '1'"),
            ("sed s/3/4/", "leaves out '3'"),
            ("sed s/1/0/", "prints '0', which it was not given"),
            ("printf '1\\n2\\n3\\n3\\n'", "leaves out '2'"),
            ("cat; echo 5", "prints more than it was given"),
            ("yes", "prints more than it was given"),
            ("yes; sleep 1000", "prints more than it was given"),
            ("printf '\\377'", "prints what is no UTF-8"),
            ("cat; exit 3", "failed: exit status: 3"),
            ("no-such-program 2>/dev/null", "failed: exit status: 127"),
        ] {
            let message = by_command(&lines, command, false).unwrap_err().to_string();
            assert!(message.contains(part), "{command}: {message}");
        }
    }

    #[test]
    fn one_that_reads_nothing_and_never_ends_is_ended_when_it_prints_too_much() {
        let many = vec!["1.2.3.4.5.6.7.8"; 100_000];
        let command = "exec 3<&0; sleep 1000 <&3 & yes 1.2.3.4.5.6.7.8";
        let message = by_command(&many, command, false).unwrap_err().to_string();
        assert!(message.contains("prints more than it was given"), "{message}");
    }
}
