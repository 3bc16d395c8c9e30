//! What a build may use: time, silence, memory, processes. A limit decides whether a build ends, never what it makes, so it
//! is part of no id. docs/recipes.md, "Limits", is the contract.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use profiles::TmpfsSize;
use profiles::decode::{KdlValue, Problem, Value, text};

use crate::sandbox::Bounds;

/// Of the machine's memory, what a build may use in all when nobody says.
const MEMORY: TmpfsSize = TmpfsSize::Percent(90);
/// The same for each tmpfs. Three of them together stay below the memory.
const TMPFS: TmpfsSize = TmpfsSize::Percent(25);
/// Processes and threads at one time when nobody says: far more than `make -j` on the largest machines needs, and few
/// enough for the smallest to stay alive.
const PROCESSES: u32 = 4096;
/// The stages of the sandbox, a shell and what it calls.
const FEWEST_PROCESSES: u32 = 16;
/// The most that a kernel numbers (PID_MAX_LIMIT, proc(5)).
const MOST_PROCESSES: u32 = 1 << 22;
/// About 114 years in seconds; sums with a moment of the clock stay far from overflow.
const LONGEST: u64 = 3600 * 1_000_000;

/// A length of time, or none: `90s`, `15min`, `2h`, `1h30min`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(pub Option<Duration>);

/// A size in memory: bytes with K, M, G or T, or a part of the machine's memory in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit(TmpfsSize);

/// A number of processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimit(NonZero<u32>);

/// What a recipe or a command line says of limits; what it leaves out is for the next to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitWishes {
    /// How long a build may take.
    pub timeout: Option<TimeLimit>,
    /// How long it may write nothing.
    pub silence: Option<TimeLimit>,
    /// What all its processes together may hold in memory, and each of them alone.
    pub memory: Option<MemoryLimit>,
    /// How many there may be.
    pub processes: Option<ProcessLimit>,
    /// What each of its tmpfs may hold.
    pub tmpfs: Option<MemoryLimit>,
}

/// The limits of one build on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the sandbox; CLOCK_MONOTONIC, so that a suspended machine does not count.
    pub timeout: Option<Duration>,
    /// Since the last byte of output.
    pub silence: Option<Duration>,
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes of each tmpfs.
    pub tmpfs: u64,
}

impl LimitWishes {
    /// These, and for what they leave out those of `other`.
    pub fn or(self, other: LimitWishes) -> LimitWishes {
        LimitWishes {
            timeout: self.timeout.or(other.timeout),
            silence: self.silence.or(other.silence),
            memory: self.memory.or(other.memory),
            processes: self.processes.or(other.processes),
            tmpfs: self.tmpfs.or(other.tmpfs),
        }
    }

    /// Decides for a machine with so many bytes of memory.
    pub fn on(self, machine: u64) -> Limits {
        let bytes = |limit: Option<MemoryLimit>, usual| match limit.map_or(usual, |limit| limit.0) {
            TmpfsSize::Bytes(bytes) => bytes,
            TmpfsSize::Percent(percent) => machine / 100 * u64::from(percent),
        };
        Limits {
            timeout: self.timeout.and_then(|limit| limit.0),
            silence: self.silence.and_then(|limit| limit.0),
            memory: bytes(self.memory, MEMORY),
            processes: self.processes.map_or(PROCESSES, |limit| limit.0.get()).into(),
            tmpfs: bytes(self.tmpfs, TMPFS),
        }
    }
}

impl Limits {
    /// What the kernel keeps of them.
    pub fn bounds(&self) -> Bounds {
        Bounds { processes: self.processes, memory: self.memory, tmpfs: self.tmpfs }
    }
}

/// The memory of this machine in bytes (sysinfo(2)).
pub fn machine_memory() -> u64 {
    // The call fails only for a bad pointer; then nothing is known, and only limits in bytes say something.
    nix::sys::sysinfo::sysinfo().map_or(u64::MAX, |found| found.ram_total())
}

/// A length of time as [`TimeLimit`] reads it: `90s`, `1h30min`.
pub fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let shown: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

const TIME_HELP: &str = "write hours, minutes and seconds, such as 2h, 90min or 1h30min, or none";
const MEMORY_HELP: &str = "write bytes with K, M, G or T, such as 4G, or a part of the memory, such as 50%";
const PROCESS_HELP: &str = "write a whole number from 16 to 4194304";

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(TimeLimit(None));
        }
        seconds(text)
            .filter(|seconds| (1..=LONGEST).contains(seconds))
            .map(|seconds| TimeLimit(Some(Duration::from_secs(seconds))))
            .ok_or_else(|| format!("{text:?} is no length of time from a second on\nhelp: {TIME_HELP}"))
    }
}

/// The parts stand from large to small, each at most once.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    for (unit, factor) in [("h", 3600), ("min", 60), ("s", 1)] {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if let Some(behind) = rest[digits..].strip_prefix(unit) {
            sum = sum.checked_add(rest[..digits].parse::<u64>().ok()?.checked_mul(factor)?)?;
            rest = behind;
        }
    }
    rest.is_empty().then_some(sum)
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tebibytes = || {
            let gibibytes = text.strip_suffix(['T', 't'])?.parse::<u64>().ok()?.checked_mul(1024)?;
            TmpfsSize::parse(&format!("{gibibytes}G"))
        };
        TmpfsSize::parse(text)
            .or_else(tebibytes)
            .filter(|size| !matches!(size, TmpfsSize::Bytes(..1_048_576)))
            .map(MemoryLimit)
            .ok_or_else(|| format!("{text:?} is no size in memory from 1M on\nhelp: {MEMORY_HELP}"))
    }
}

impl FromStr for ProcessLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().and_then(process_limit);
        number.ok_or_else(|| format!("{text:?} is no number of processes\nhelp: {PROCESS_HELP}"))
    }
}

fn process_limit(number: u64) -> Option<ProcessLimit> {
    let number = u32::try_from(number).ok().filter(|it| (FEWEST_PROCESSES..=MOST_PROCESSES).contains(it))?;
    NonZero::new(number).map(ProcessLimit)
}

/// What a text says, as an error at a place of a recipe.
fn problem(message: &str) -> Problem {
    let (cause, help) = message.split_once("\nhelp: ").unwrap_or((message, ""));
    Problem::new(cause, help)
}

impl Value for TimeLimit {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        text(value)?.parse().map_err(|message: String| problem(&message))
    }
}

impl Value for MemoryLimit {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        text(value)?.parse().map_err(|message: String| problem(&message))
    }
}

impl Value for ProcessLimit {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        let number = u64::decode(value)?;
        process_limit(number)
            .ok_or_else(|| Problem::new(format!("{number} is no number of processes"), PROCESS_HELP))
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |limit: Option<Duration>| limit.map_or("none".to_owned(), shown);
        let [memory, tmpfs] = [self.memory, self.tmpfs].map(cli::numbers::human_size);
        write!(out, "timeout {}, silence {}, memory {memory}, ", time(self.timeout), time(self.silence))?;
        write!(out, "{} processes, {tmpfs} in each tmpfs", self.processes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown_alike() {
        for (text, seconds) in [("90s", 90), ("15min", 900), ("2h", 7200), ("1h30min", 5400), ("1h1s", 3601)]
        {
            assert_eq!(text.parse(), Ok(TimeLimit(Some(Duration::from_secs(seconds)))), "{text}");
        }
        assert_eq!("none".parse(), Ok(TimeLimit(None)));
        for text in ["90s", "15min", "2h", "1h30min", "1h1s"] {
            let TimeLimit(Some(time)) = text.parse().unwrap() else { panic!("{text}") };
            assert_eq!(shown(time).parse(), Ok(TimeLimit(Some(time))));
        }
        let wrong = [
            "",
            "0",
            "0s",
            "10",
            "h",
            "-1s",
            "+1s",
            "1.5h",
            "1s1h",
            "1h1h",
            "5 s",
            "1d",
            "1m",
            "\u{661}s",
            "18446744073709551615h",
            "99999999999999999999s",
            "2000000h",
            "None",
            "1s\u{1b}",
        ];
        for text in wrong {
            let message = text.parse::<TimeLimit>().unwrap_err();
            assert!(message.contains("\nhelp: write hours"), "{text}");
            assert!(!message.contains('\u{1b}'), "{message:?}");
        }
    }

    #[test]
    fn sizes_and_numbers_have_bounds() {
        let bytes =
            |text: &str| LimitWishes { memory: Some(text.parse().unwrap()), ..LimitWishes::default() };
        assert_eq!(bytes("512M").on(0).memory, 512 << 20);
        assert_eq!(bytes("2T").on(0).memory, 2 << 40);
        assert_eq!(bytes("50%").on(1000).memory, 500);
        for text in ["", "0", "1K", "1023K", "0%", "101%", "-1G", "9999999999T", "1GiB", "none"] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text}");
        }
        for text in ["", "0", "15", "4194305", "-20", "20.0", "99999999999999999999"] {
            assert!(text.parse::<ProcessLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_command_line_comes_before_a_recipe_and_both_before_the_usual() {
        let said = |timeout: Option<&str>, processes: Option<&str>| LimitWishes {
            timeout: timeout.map(|text| text.parse().unwrap()),
            processes: processes.map(|text| text.parse().unwrap()),
            ..LimitWishes::default()
        };
        let limits = said(Some("none"), None).or(said(Some("2h"), Some("64"))).on(1 << 30);
        assert_eq!((limits.timeout, limits.silence, limits.processes), (None, None, 64));
        assert_eq!((limits.memory, limits.tmpfs), ((1 << 30) / 100 * 90, (1 << 30) / 100 * 25));
        assert_eq!(LimitWishes::default().on(1 << 30).processes, 4096);
    }
}
