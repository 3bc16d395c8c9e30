//! Several works at the same time, each with the last thing that it said.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{MovingLine, Progress};

/// In a log, a work that goes on says so after this time, and after twice this time again, and so on: a work of an hour has
/// some ten lines.
const FIRST_LINE: Duration = Duration::from_secs(10);

/// The works that run, shown as one moving line on a terminal, and as plain lines now and then in a log.
#[derive(Debug)]
pub struct Works {
    progress: Progress,
    line: MovingLine,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    works: Vec<State>,
}

#[derive(Debug)]
struct State {
    number: u64,
    name: String,
    since: Instant,
    says: String,
    /// When a log hears of it next, after `since`.
    next_line: Duration,
}

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub struct Work<'a> {
    all: &'a Works,
    number: u64,
}

impl Works {
    /// None runs yet.
    pub fn new(progress: Progress) -> Self {
        Works { progress, line: MovingLine::new(progress), running: Mutex::default() }
    }

    /// One begins.
    pub fn begin(&self, name: impl fmt::Display) -> Work<'_> {
        let mut running = self.lock();
        let number = running.next;
        running.next += 1;
        running.works.push(State {
            number,
            name: name.to_string(),
            since: Instant::now(),
            says: String::new(),
            next_line: FIRST_LINE,
        });
        Work { all: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work<'_> {
    /// What it does now. To be called now and then also when that is the same: the time moves.
    pub fn says(&self, text: impl FnOnce() -> String) {
        match self.all.progress {
            Progress::Silent => {}
            Progress::Terminal => {
                let mut running = self.all.lock();
                running.set(self.number, text);
                self.all.line.show(|| running.line(Instant::now()));
            }
            Progress::Log => {
                let due = self.all.lock().due(self.number, Instant::now(), text);
                due.into_iter().for_each(super::line);
            }
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.all.lock().works.retain(|work| work.number != self.number);
        self.all.line.clear();
    }
}

impl Running {
    fn set(&mut self, number: u64, text: impl FnOnce() -> String) {
        if let Some(work) = self.works.iter_mut().find(|work| work.number == number) {
            work.says = text();
        }
    }

    /// All in one line: what they are and since when, and in the end what the one says that has run longest.
    fn line(&self, now: Instant) -> String {
        let one = |work: &State| format!("{} {}", work.name, elapsed(now - work.since));
        let names: Vec<String> = self.works.iter().map(one).collect();
        let says = self.works.iter().map(|work| work.says.as_str()).find(|says| !says.is_empty());
        match says {
            Some(says) => format!("{}: {says}", names.join(", ")),
            None => names.join(", "),
        }
    }

    /// The line for a log, when it is time for one.
    fn due(&mut self, number: u64, now: Instant, text: impl FnOnce() -> String) -> Option<String> {
        let work = self.works.iter_mut().find(|work| work.number == number)?;
        let since = now - work.since;
        if since < work.next_line {
            return None;
        }
        work.next_line = since * 2;
        Some(format!("{} {}: {}", work.name, elapsed(since), text()))
    }
}

/// `7 s`, `2 min 5 s`, `1 h 4 min`.
fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_all_works_in_one_line() {
        let works = Works::new(Progress::Silent);
        let (first, second) = (works.begin("build hello"), works.begin("build nano"));
        let now = Instant::now() + Duration::from_secs(65);
        let line = |works: &Works| works.lock().line(now);
        assert_eq!(line(&works), "build hello 1 min 5 s, build nano 1 min 5 s");
        works.lock().set(second.number, || "make: CC a.c".to_owned());
        assert_eq!(line(&works), "build hello 1 min 5 s, build nano 1 min 5 s: make: CC a.c");
        drop(first);
        assert_eq!(line(&works), "build nano 1 min 5 s: make: CC a.c");
        drop(second);
        assert_eq!(line(&works), "");
    }

    #[test]
    fn a_log_hears_of_a_long_work_less_and_less_often() {
        let works = Works::new(Progress::Log);
        let work = works.begin("build hello");
        let since = works.lock().works[0].since;
        let at = |second| {
            let now = since + Duration::from_secs(second);
            works.lock().due(work.number, now, || "make".to_owned()).is_some()
        };
        let lines: Vec<u64> = (0..3600).filter(|second| at(*second)).collect();
        assert_eq!(lines, [10, 20, 40, 80, 160, 320, 640, 1280, 2560]);
    }

    #[test]
    fn times_are_for_people() {
        let seconds = [0, 59, 60, 125, 3599, 3600, 100_000].map(|it| elapsed(Duration::from_secs(it)));
        assert_eq!(
            seconds,
            ["0 s", "59 s", "1 min 0 s", "2 min 5 s", "59 min 59 s", "1 h 0 min", "27 h 46 min"]
        );
    }
}
