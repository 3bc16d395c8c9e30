//! `lamina vm --run` and `--test`: what is done in a guest that nobody sits at, and how it is told.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use atomic_file::{Form, Output};
use guest_agent::message::{End, Stream};
use serde_json::{Value, json};
use vm::acceleration::Acceleration;
use vm::agent::Done;

use super::VmCommand;
use super::planned::Planned;
use crate::command::context::Context;
use crate::command::{at_most_one, print, print_json};
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::vm::attended::AttendedGuest;
use crate::vm::job::{GuestJob, Outcome};
use crate::vm::junit;
use crate::vm::snapshot::Snapshot;

/// Of docker(1) and timeout(1): not the program has failed, but what runs it.
pub(super) const OWN_FAILURE: u8 = 125;
/// So much of what a failed test has printed is shown, of each stream.
const LINES: usize = 40;

/// What a guest that nobody sits at is there for.
pub(super) struct Work {
    jobs: Vec<GuestJob>,
    /// Where the boot report goes.
    report: Option<Output>,
    /// Where the XML goes.
    junit: Option<Output>,
    /// Where the picture goes, and the ending that says of which kind it is.
    picture: Option<(Output, &'static str)>,
}

impl Work {
    /// Writes the XML that was asked for, once.
    fn tell_junit(&mut self, guest: &str, outcomes: &[Outcome], lost: Option<&Error>) -> Result<()> {
        let Some(output) = self.junit.take() else { return Ok(()) };
        let left: Vec<&str> = self.jobs.iter().skip(outcomes.len()).map(|job| job.name.as_str()).collect();
        let text = junit::text(guest, outcomes, &left, lost);
        write("--junit", output, text.map_err(|error| Error::new("--junit", error.to_string()))?.as_bytes())
    }

    /// There was no guest at all: else the XML of an earlier call would stay, in which perhaps all is well.
    pub(super) fn tell_of_no_guest(mut self, guest: &str, error: &Error) {
        // Why there was none is told in any case.
        let _ = self.tell_junit(guest, &[], Some(error));
    }
}

impl VmCommand {
    /// Whether the guest is there for something that it does by itself.
    pub(super) fn nobody_sits_at_it(&self) -> bool {
        self.run.is_some() || !self.test.is_empty() || self.screenshot.is_some()
    }

    /// What is to be done; nothing, where a person sits at the guest.
    pub(super) fn work(&self) -> Result<Option<Work>> {
        at_most_one(&[("--run", self.run.is_some()), ("--test", !self.test.is_empty())])?;
        at_most_one(&[("--tpm", self.tpm), ("--dry-run", self.dry_run)])?;
        at_most_one(&[("--display", self.display), ("--screenshot", self.screenshot.is_some())])?;
        if self.nobody_sits_at_it() {
            return self.work_that_is_given().map(Some);
        }
        let alone = [
            ("--snapshot", self.snapshot),
            ("--timeout", self.timeout.is_some()),
            ("--junit", self.junit.is_some()),
            ("--report", self.report.is_some()),
            ("--log", self.log.is_some()),
            ("--json", self.json && !self.dry_run),
        ];
        match alone.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::new(option, "is for a guest that nobody sits at")
                .remedy("add `--run COMMAND` or `--test SCRIPT`, or leave it out")),
            None => Ok(None),
        }
    }

    fn work_that_is_given(&self) -> Result<Work> {
        let files = [
            ("--report", &self.report),
            ("--junit", &self.junit),
            ("--screenshot", &self.screenshot),
            ("--log", &self.log),
        ];
        if let Some((option, _)) = files.iter().find(|(_, file)| file.as_deref() == Some(Path::new("-"))) {
            return Err(Error::new(*option, "cannot be standard output, which is that of the command")
                .remedy("give a file"));
        }
        let picture = self.screenshot.as_deref().map(picture).transpose()?;
        self.refuse_what_cannot_be_kept()?;
        let text = |path: &PathBuf| Output::create(path, Form::Text);
        Ok(Work {
            jobs: self.jobs()?,
            report: self.report.as_ref().map(text).transpose()?,
            junit: self.junit.as_ref().map(text).transpose()?,
            picture,
        })
    }

    /// A guest that comes back finds its disks and folders as they were, or they break.
    fn refuse_what_cannot_be_kept(&self) -> Result<()> {
        let changing = [
            ("--state", self.state.is_some()),
            ("--share", !self.share.is_empty()),
            ("--usb", !self.usb.is_empty()),
            ("--network", self.network.is_some()),
            ("--tpm", self.tpm),
        ];
        changing.into_iter().try_for_each(|other| at_most_one(&[("--snapshot", self.snapshot), other]))
    }

    fn jobs(&self) -> Result<Vec<GuestJob>> {
        let option = match (&self.run, self.test.as_slice()) {
            (Some(_), _) => "--run",
            (None, []) => "--screenshot",
            _ => "--test",
        };
        if self.disk.is_some() {
            let cause = "needs a profile: a disk starts with the initramfs that is on it";
            return Err(Error::new(option, cause).remedy("give the profile in place of `--disk`"));
        }
        at_most_one(&[(option, true), ("--dry-run", self.dry_run)])?;
        match &self.run {
            Some(words) => Ok(vec![GuestJob::of_words(words)]),
            None => self.test.iter().map(|path| GuestJob::of_file(path)).collect(),
        }
    }

    /// Starts the guest, does all jobs, and tells what became of them, however far that went.
    pub(super) fn attend(
        &self,
        context: &Context,
        (planned, scratch): (&Planned, &TemporaryFolder),
        acceleration: Acceleration,
        work: &mut Work,
    ) -> Result<ExitCode> {
        let mut outcomes = Vec::new();
        let ended = self.do_all(context, (planned, scratch.path()), acceleration, work, &mut outcomes);
        work.tell_junit(&planned.machine.name, &outcomes, ended.as_ref().err())?;
        if self.json {
            print_json(&outcomes.iter().map(as_json).collect::<Vec<_>>())?;
        }
        ended?;
        let failed = outcomes.iter().filter(|it| !it.passed()).count();
        match (&self.run, outcomes.as_slice()) {
            (_, []) => Ok(ExitCode::SUCCESS),
            (Some(_), [only, ..]) => Ok(only.status().into()),
            (None, all) => {
                if !self.json {
                    print(format_args!("{} passed, {failed} failed", all.len() - failed))?;
                }
                Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }

    fn do_all(
        &self,
        context: &Context,
        (planned, folder): (&Planned, &Path),
        acceleration: Acceleration,
        work: &mut Work,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<()> {
        let mut guest = self.guest(context, (planned, folder), acceleration)?;
        if let Some(output) = work.report.take() {
            write("--report", output, &guest.report()?)?;
        }
        for job in &work.jobs {
            outcomes.push(self.do_one(&mut guest, job)?);
        }
        if let Some((output, kind)) = work.picture.take() {
            let picture = folder.join(format!("picture.{kind}"));
            guest.take_picture(&picture)?;
            write("--screenshot", output, &std::fs::read(&picture).map_err(Error::on(picture.display()))?)?;
        }
        // What else it has written is forgotten, and it need not be asked.
        if self.state.is_some() || self.keep {
            guest.power_off()?;
        }
        Ok(())
    }

    /// One that is up: it comes back, or boots, and is kept then.
    fn guest(
        &self,
        context: &Context,
        (planned, folder): (&Planned, &Path),
        acceleration: Acceleration,
    ) -> Result<AttendedGuest> {
        let usual = folder.join("console.log");
        let (log, machine) = (self.log.as_deref().unwrap_or(&usual), &planned.machine);
        let at_most = Duration::from_secs(self.timeout.unwrap_or(super::TIMEOUT).into());
        let place = || Snapshot::of(machine, acceleration, folder, &planned.files);
        let snapshot = self.snapshot.then(place).transpose()?;
        if let Some(file) = snapshot.as_ref().and_then(Snapshot::found) {
            let _meter = context.report.progress().work("the guest comes back");
            match AttendedGuest::come_back(
                machine,
                acceleration,
                (&folder.join("again"), log),
                &file,
                at_most,
            ) {
                Ok(guest) => return Ok(guest),
                // It stays until another takes its place: perhaps it is not at fault, but a port that is in use.
                Err(error) => context.report.detail(format_args!("{}: {}", error.object(), error.cause())),
            }
        }
        let starting = context.report.progress().work("waiting for the system in the guest");
        let mut guest = AttendedGuest::start(machine, acceleration, (&folder.join("agent"), log), at_most)?;
        drop(starting);
        if let Some(state) = &self.state {
            guest.must_use_its_state(state)?;
        }
        if let Some(snapshot) = snapshot {
            let _meter = context.report.progress().work("keeping the guest");
            if let Err(error) = snapshot.keep(&mut guest) {
                cli::progress::line(format_args!(
                    "lamina: warning: the guest is not kept, and boots each time: {error}"
                ));
            }
        }
        Ok(guest)
    }

    fn do_one(&self, guest: &mut AttendedGuest, job: &GuestJob) -> Result<Outcome> {
        let (streams, mut shown_all) = (self.run.is_some() && !self.json, Ok(()));
        let outcome = guest.run(job, |stream, bytes| {
            if streams && shown_all.is_ok() {
                shown_all = show(stream, bytes);
            }
        })?;
        shown_all?;
        match (&self.run, &outcome.done) {
            _ if self.json => {}
            (None, _) => tell(&outcome)?,
            (Some(_), Done::Ended(End::Exited(_))) => {}
            (Some(_), _) => cli::progress::line(format_args!("lamina: {}: {outcome}", shown(&job.name))),
        }
        Ok(outcome)
    }
}

/// A picture, PNG or PPM, by the ending of its name.
fn picture(file: &Path) -> Result<(Output, &'static str)> {
    let ending = file.extension().unwrap_or_default();
    let kind =
        ["png", "ppm"].into_iter().find(|kind| ending.eq_ignore_ascii_case(kind)).ok_or_else(|| {
            Error::new(format!("--screenshot {}", file.display()), "ends neither in .png nor in .ppm")
                .remedy("its ending says what kind of picture it is")
        })?;
    Ok((Output::create(file, Form::Stream)?, kind))
}

/// The bytes of a program in the guest go where they would go if it ran here.
fn show(stream: Stream, bytes: &[u8]) -> Result<()> {
    let (written, name) = match stream {
        Stream::Output => {
            (io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()), "standard output")
        }
        Stream::Error => (io::stderr().write_all(bytes), "standard error"),
    };
    match written {
        // A reader that went away (`| head`) ends the program without a word, and the guest with it; a shell says so of one that ran here.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(128 + nix::libc::SIGPIPE),
        outcome => outcome.map_err(Error::on(name)),
    }
}

fn tell(outcome: &Outcome) -> Result<()> {
    let word = if outcome.passed() { "ok    " } else { "FAILED" };
    print(format_args!("{word} {}: {}", shown(&outcome.name), shown(&outcome.to_string())))?;
    if outcome.passed() {
        return Ok(());
    }
    for (name, words) in [("standard output", &outcome.output), ("standard error", &outcome.error)] {
        let text = words.clone().text();
        let lines: Vec<&str> = text.lines().collect();
        if !lines.is_empty() {
            print(format_args!("       {name}:"))?;
        }
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            print(format_args!("         {}", cli::safe_text::as_shown(line)))?;
        }
    }
    Ok(())
}

fn shown(name: &str) -> String {
    cli::safe_text::clean(name)
}

fn as_json(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "passed": outcome.passed(),
        "status": outcome.status(),
        "end": outcome.to_string(),
        "milliseconds": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        "standard_output": outcome.output.clone().text(),
        "standard_error": outcome.error.clone().text(),
    })
}

fn write(option: &'static str, output: Output, bytes: &[u8]) -> Result<()> {
    output.handle()?.write_all(bytes).map_err(Error::on(option))?;
    output.publish()
}
