//! The keys below the screen, and what each of them does.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::reboot::RebootMode;

use super::code::{self, Drawing};
use super::context::Context;
use super::keys::{Entered, Number, key};
use super::terminals::{Terminals, Typed};
use super::{kernel_log, pages, restart, screen, shell};
use crate::clock::now;
use crate::error::BootError;
use crate::panic_for_tests::panic_if_told;
use crate::step_name::StepName;
use crate::store::ProfileSummary;

/// Without a console nobody can press a key: time enough to read a log that goes elsewhere.
const WITHOUT_CONSOLE: Duration = Duration::from_secs(30);
/// A screen without a keyboard can be photographed, and the keyboard may come back.
const WITHOUT_KEYBOARD: Duration = Duration::from_secs(300);
/// Rows of the menu, with the line of the time that is left and the cursor's.
const ROWS: usize = 4;

/// The menu, and what it serves.
pub struct Menu<'a> {
    error: &'a BootError,
    context: &'a Context,
    terminals: Terminals,
    /// When the machine restarts by itself.
    until: Option<Instant>,
    /// From the begin of init to here.
    took: Duration,
}

impl<'a> Menu<'a> {
    /// The time that `panic=` gives begins now.
    pub fn new(error: &'a BootError, context: &'a Context) -> Self {
        let wait = match context.panic {
            Some(seconds @ 1..) => Some(Duration::from_secs(seconds.unsigned_abs())),
            Some(..0) => Some(Duration::ZERO),
            Some(0) | None => None,
        };
        let until = wait.and_then(|wait| Instant::now().checked_add(wait));
        let took = now().saturating_sub(context.since);
        Self { error, context, terminals: Terminals::open(), until, took }
    }

    /// Shows the screen and obeys the keys, until the machine restarts.
    pub fn serve(mut self) -> ! {
        self.show();
        if self.error.step == StepName::Rescue && shell::is_there() {
            let on = self.terminals.main();
            self.open_shell(&on);
            // Whoever left the shell is there, and cannot see the keys any more.
            self.until = None;
            self.show();
        }
        loop {
            match self.terminals.wait(self.until) {
                Typed::Bytes(bytes, on) => {
                    let Some(key) = key(&bytes) else { continue };
                    if self.obey(key, &on) {
                        // Somebody is there.
                        self.until = None;
                        self.show();
                    }
                }
                Typed::TimeIsUp => restart::restart(RebootMode::RB_AUTOBOOT),
                Typed::Nobody => self.wait_for_nobody(),
            }
        }
    }

    /// Does what the key stands for; false when it stands for nothing.
    fn obey(&mut self, key: u8, on: &Path) -> bool {
        match key {
            b's' | b'\n' if shell::is_there() => self.open_shell(on),
            b't' if restart::can_retry() => self.retry(None),
            b'o' if self.has_choice() => self.choose(),
            b'r' => self.page_report(),
            b'q' => self.draw_code(),
            b'b' => restart::restart(RebootMode::RB_AUTOBOOT),
            b'p' => restart::restart(RebootMode::RB_POWER_OFF),
            b' ' => {}
            _ => return false,
        }
        true
    }

    /// The screen and the keys below it.
    fn show(&mut self) {
        panic_if_told("recovery");
        let kernel = kernel_log::warnings(self.context.since, &self.context.kernel, self.context.heard_to);
        let text = screen::text(self.error, self.context, &kernel, self.terminals.size(), ROWS);
        self.terminals.write(&text);
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let text = keys(shell::is_there(), restart::can_retry(), self.has_choice()) + &countdown(left);
        self.terminals.write(&text);
    }

    fn has_choice(&self) -> bool {
        restart::can_retry() && !self.context.profiles.is_empty()
    }

    fn open_shell(&mut self, on: &Path) {
        self.terminals.write(&format!(
            "lamina: {} on {}; leave it with `exit`\n",
            crate::paths::SHELL,
            on.display()
        ));
        // The shell's terminal is its own, and hung up when it ends.
        self.terminals.close();
        let result = shell::run(on);
        self.terminals = Terminals::open();
        if let Err(why) = result {
            self.terminals.write(&format!("lamina: {}\n", screen::printable(&why.to_string())));
        }
    }

    fn retry(&mut self, profile: Option<&profiles::Name>) {
        self.terminals.write("lamina: trying again\n");
        self.terminals.close();
        let why = restart::retry(profile);
        self.terminals = Terminals::open();
        self.terminals.write(&format!("lamina: {}\n", screen::printable(&why.to_string())));
    }

    /// Lists the other profiles, and starts the one whose number is typed.
    fn choose(&mut self) {
        let context = self.context;
        let lines = choices(context);
        let size = self.terminals.size();
        for page in pages::pages(&lines, size) {
            let last = lines.last() == page.last();
            let more = if last { "" } else { " (space: more)" };
            self.terminals.write(&format!(
                "\n{}\n  number of the profile, then Enter{more}; any other key leads back: ",
                page.join("\n")
            ));
            let mut number = Number::default();
            loop {
                let Typed::Bytes(bytes, _) = self.terminals.wait(None) else { return };
                if bytes == b" " && !last {
                    break;
                }
                match number.take(&bytes, context.profiles.len()) {
                    Entered::More => self.terminals.write(&format!("\r{}  {}", ERASE_LINE, number.digits())),
                    Entered::Number(chosen) => {
                        let choice = chosen.checked_sub(1).and_then(|index| context.profiles.get(index));
                        let Some(choice) = choice else { return };
                        self.terminals.write(&format!("\n  profile {}\n", choice.name));
                        return self.retry(Some(&choice.name));
                    }
                    Entered::Left => return,
                }
            }
        }
    }

    fn page_report(&mut self) {
        let size = self.terminals.size();
        let lines = pages::lines(self.context, size.columns);
        let count = pages::pages(&lines, size).count();
        for (index, page) in pages::pages(&lines, size).enumerate() {
            let end =
                if index + 1 == count { "the end; any key leads back" } else { "any key: more, q: back" };
            self.terminals.write(&format!(
                "\n{}\n-- report, page {} of {count}; {end} --\n",
                page.join("\n"),
                index + 1
            ));
            match self.any_key() {
                Some(b'q') | None => return,
                Some(_) => {}
            }
        }
    }

    fn draw_code(&mut self) {
        let text = code::text(self.error, self.context, self.took);
        let mut drawing = Drawing::HalfBlocks;
        loop {
            match code::draw(&text, drawing, self.terminals.size()) {
                Some(code) => self.terminals.write(&format!("\n{code}")),
                None => self.terminals.write("\n  this console is too small for a QR code\n"),
            }
            self.terminals.write("  q: draw it another way; any other key leads back ");
            match self.any_key() {
                Some(b'q') => drawing = drawing.other(),
                _ => return self.terminals.write("\n"),
            }
        }
    }

    /// The next key, which may be any; none when nobody can press one.
    fn any_key(&mut self) -> Option<u8> {
        loop {
            let Typed::Bytes(bytes, _) = self.terminals.wait(None) else { return None };
            if let Some(key) = key(&bytes) {
                return Some(key);
            }
        }
    }

    /// No console, or none that can be read: the machine must not stand for ever.
    fn wait_for_nobody(&mut self) {
        let time = if self.terminals.had_one() { WITHOUT_KEYBOARD } else { WITHOUT_CONSOLE };
        self.terminals.write(&format!("  no keyboard answers: rebooting in {} s\n", time.as_secs()));
        self.until = Instant::now().checked_add(time);
    }
}

/// Clears the line that the cursor is on (ECMA-48, EL).
const ERASE_LINE: &str = "\x1b[2K";

/// The keys, in rows of at most 80 columns.
fn keys(has_shell: bool, can_retry: bool, has_choice: bool) -> String {
    let offered = [
        (has_shell, "[s] shell"),
        (can_retry, "[t] try again"),
        (has_choice, "[o] other profile"),
        (true, "[r] report"),
        (true, "[q] QR code"),
        (true, "[b] reboot"),
        (true, "[p] power off"),
    ];
    let mut rows = vec![String::new()];
    for (_, text) in offered.into_iter().filter(|(is_there, _)| *is_there) {
        let row = match rows.last_mut() {
            Some(row) if row.len() + 3 + text.len() <= 78 => row,
            _ => rows.push_mut(String::new()),
        };
        *row += if row.is_empty() { "  " } else { "   " };
        *row += text;
    }
    rows.join("\n") + "\n"
}

fn countdown(left: Option<Duration>) -> String {
    match left.map(|left| left.as_secs_f64().ceil()) {
        None => String::new(),
        Some(0.0) => "  rebooting\n".to_owned(),
        Some(seconds) => format!("  rebooting in {seconds} s unless one of these keys is pressed\n"),
    }
}

/// The profiles with their numbers, from 1.
fn choices(context: &Context) -> Vec<String> {
    let widest = context.profiles.iter().map(|choice| choice.name.as_str().len()).max().unwrap_or_default();
    let line = |(index, choice): (usize, &ProfileSummary)| {
        let description = choice.description.as_deref().unwrap_or_default();
        let line = format!("  {:>4}  {:<widest$}  {description}", index + 1, choice.name.as_str());
        screen::printable(line.trim_end())
    };
    context.profiles.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_done_is_offered() {
        assert_eq!(
            keys(true, true, true),
            "  [s] shell   [t] try again   [o] other profile   [r] report   [q] QR code\n  [b] reboot   [p] power off\n"
        );
        assert_eq!(keys(false, false, false), "  [r] report   [q] QR code   [b] reboot   [p] power off\n");
    }

    #[test]
    fn the_time_that_is_left_is_rounded_up() {
        assert_eq!(countdown(None), "");
        assert_eq!(countdown(Some(Duration::ZERO)), "  rebooting\n");
        let seconds = |milliseconds| countdown(Some(Duration::from_millis(milliseconds)));
        assert_eq!(seconds(29_990), "  rebooting in 30 s unless one of these keys is pressed\n");
    }

    #[test]
    fn profiles_have_numbers_and_their_own_words() {
        let choice = |name: &str, description: Option<&str>| ProfileSummary {
            name: profiles::Name::parse(name).unwrap(),
            description: description.map(str::to_owned),
        };
        let profiles = vec![choice("web", Some("a \u{1b}[2J server")), choice("rescue", None)];
        let context = Context { profiles, ..Context::default() };
        assert_eq!(choices(&context), [r"     1  web     a \u{1b}[2J server", "     2  rescue"]);
    }
}
