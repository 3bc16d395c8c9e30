//! When a system is up.
//!
//! systemd says it itself. Others are up when somebody can work there: their init has run what comes first, and a program has the console for
//! its own. A system that shows neither is waited for no longer than [`AT_MOST`].

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::job::ENVIRONMENT;

/// For systems that say nothing.
pub const AT_MOST: Duration = Duration::from_secs(60);

/// Waits until the system is up; returns how that is known, for people.
pub fn wait() -> String {
    let begin = Instant::now();
    loop {
        if Path::new("/run/systemd/system").exists() {
            if let Some(state) = asked_systemd() {
                return format!("systemd is {state}");
            }
        } else if terminal_is_in_use(Path::new("/proc")) {
            return "a program has the console".to_owned();
        }
        if begin.elapsed() > AT_MOST {
            return format!("it has said nothing for {} s", AT_MOST.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Waits for the end of systemd's boot (systemctl(1), `is-system-running --wait`). `None`: it cannot be asked, yet or at all.
fn asked_systemd() -> Option<String> {
    let mut systemctl = Command::new("systemctl");
    let asked = systemctl
        .args(["is-system-running", "--wait"])
        .envs(ENVIRONMENT)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let state = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    // A boot with a failed unit is over too.
    matches!(state.as_str(), "running" | "degraded" | "maintenance").then_some(state)
}

/// Whether any process has a controlling terminal: the seventh field of its `stat` (proc_pid_stat(5)) is not 0.
fn terminal_is_in_use(proc: &Path) -> bool {
    let Ok(entries) = fs::read_dir(proc) else { return false };
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).any(
        |entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // The name of the program, in parentheses, may have anything in it.
            let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
            fields.split(' ').nth(4).is_some_and(|terminal| terminal != "0")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_terminal_is_seen_whatever_it_is_called() {
        let proc = tempfile::tempdir().unwrap();
        let put = |pid: &str, stat: &str| {
            fs::create_dir_all(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("stat"), stat).unwrap();
        };
        put("1", "1 (init) S 0 1 1 0 -1 4194560");
        put("7", "7 (a) S 0 1 1 1025 ) S 1 7 7 0 -1 0");
        put("self", "8 (sh) S 1 8 8 1088 8 0");
        assert!(!terminal_is_in_use(proc.path()));
        put("8", "8 (sh) S 1 8 8 1088 8 0");
        assert!(terminal_is_in_use(proc.path()));
    }
}
