//! What to say of a build that failed.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use cli::numbers::human_size;
use cli::safe_text::as_shown;

use super::End;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::store::opening;

/// How many lines of a log a failed build shows.
const LOG_LINES: usize = 20;
/// Where they are looked for, in bytes from the end.
const LOG_END: u64 = 64 << 10;

/// How the cause of a build begins that no limit ended.
const BY_ITSELF: &str = "the build failed";

/// Whether an error is about a build whose steps failed, and not about one that a limit ended.
pub fn failed_by_itself(error: &Error) -> bool {
    error.cause().starts_with(BY_ITSELF)
}

/// The error about the build `object` that ended so; success is none.
pub fn failure(object: String, end: &End, limits: &Limits, log: &Path) -> Result<()> {
    let (cause, remedy) = match end {
        End::Exited(status) if status.success() => return Ok(()),
        End::Exited(status) => (format!("{BY_ITSELF} ({status})"), None),
        End::Stopped(stop) => (stop.cause(), Some(stop.remedy().to_owned())),
    };
    let tail = last_lines(log).map_err(Error::on(log.display()))?;
    let remedy = remedy.or_else(|| hint(&tail, limits));
    let whole = format!("the whole log is {}", log.display());
    let help = remedy.map_or(whole.clone(), |remedy| format!("{remedy}; {whole}"));
    Err(Error::new(object, format!("{cause}; the end of its log:\n{tail}")).remedy(help))
}

/// A limit that the kernel keeps shows only in what the tools of the build say of it.
fn hint(tail: &str, limits: &Limits) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|word| tail.contains(word));
    let (processes, memory, tmpfs) = (limits.processes, human_size(limits.memory), human_size(limits.tmpfs));
    if says(&["No space left on device"]) {
        return Some(format!(
            "make room where the store is; outside of /build and /out a build writes into memory, at most {tmpfs} \
             each: `--tmpfs 8G` or `limits tmpfs=\"8G\"` in the recipe allow more"
        ));
    }
    if says(&["Cannot fork", "Resource temporarily unavailable"]) {
        return Some(format!(
            "if {processes} processes and threads are too few: `--processes 20000` or `limits processes=20000` in the recipe"
        ));
    }
    says(&["Cannot allocate memory", "memory exhausted", "Out of memory", "out of memory", "std::bad_alloc"])
        .then(|| {
            format!(
                "if {memory} of memory are too few: `--memory 16G` or `limits memory=\"16G\"` in the recipe"
            )
        })
}

fn last_lines(path: &Path) -> std::io::Result<String> {
    let mut file = opening::file(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
    let mut bytes = Vec::new();
    file.take(LOG_END).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    let lines = lines.strip_suffix(&[""]).unwrap_or(&lines);
    let shown = &lines[lines.len().saturating_sub(LOG_LINES)..];
    Ok(shown.iter().map(|line| format!("    {}", as_shown(line))).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::watch::Stop;
    use crate::limits::LimitWishes;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    fn said(end: &End, log: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, log).unwrap();
        let limits = LimitWishes::default().on(1 << 30);
        failure("package a 1".to_owned(), end, &limits, &path).unwrap_err().to_string()
    }

    #[test]
    fn the_end_of_a_log_cannot_command_a_terminal() {
        let failed = End::Exited(ExitStatus::from_raw(256));
        let log = "\x1b[2J\x1b]0;title\x07red \x1b[31mtext\x1b[0m\n\u{9b}31m\x1b7\rlast\u{202e}\n";
        let message = said(&failed, log);
        assert!(message.contains("\n    red text\n    last\\u{202e}\n"), "{message}");
        assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
    }

    #[test]
    fn what_the_kernel_refused_is_explained() {
        let failed = End::Exited(ExitStatus::from_raw(256));
        for (line, help) in [
            ("cc1: error: x.s: No space left on device", "`--tmpfs 8G`"),
            ("sh: 3: Cannot fork", "if 4096 processes"),
            ("virtual memory exhausted: Cannot allocate memory", "`--memory 16G`"),
            ("no rule to make target", "help: the whole log is"),
        ] {
            let message = said(&failed, line);
            assert!(message.contains(help) && message.contains("the whole log is"), "{message}");
        }
        let message = said(&End::Stopped(Stop::Time(Duration::from_secs(7200))), "x");
        assert!(
            message.contains("it ran for 2h, its time limit") && message.contains("--timeout"),
            "{message}"
        );
    }
}
