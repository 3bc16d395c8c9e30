//! `lamina vm --run` and `--test`: what is done in a guest that nobody sits at, and how it is told.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use atomic_file::{Form, Output};
use guest_agent::message::{End, Stream};
use serde_json::{Value, json};
use vm::acceleration::Acceleration;
use vm::agent::Done;

use super::VmCommand;
use super::planned::Planned;
use crate::command::at_most_one;
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::vm::asked_for::AskedFor;
use crate::vm::attended::AttendedGuest;
use crate::vm::job::{GuestJob, Outcome};
use crate::vm::junit;
use crate::vm::snapshot::Snapshot;

/// Of docker(1) and timeout(1): not the program has failed, but what runs it.
pub(super) const OWN_FAILURE: u8 = 125;
/// Of timeout(1) and every shell: 128 and the number of SIGPIPE.
pub(super) const NOBODY_READS: u8 = 128 + nix::libc::SIGPIPE as u8;
const OUTPUT: &str = "standard output";
const ERRORS: &str = "standard error";
/// So much of what a failed test has printed is shown, of each stream.
const LINES: usize = 40;

/// What a guest that nobody sits at is there for.
pub(super) struct Work {
    jobs: Vec<GuestJob>,
    /// Where the boot report goes.
    report: Option<Output>,
    /// Where the picture goes, and the ending that says of which kind it is.
    picture: Option<(Output, &'static str)>,
}

impl VmCommand {
    /// Whether the guest is there for something that it does by itself.
    pub(super) fn nobody_sits_at_it(&self) -> bool {
        self.run.is_some() || !self.test.is_empty() || self.screenshot.is_some()
    }

    /// Where the XML goes. It is made before all else can fail: the one of an earlier call, in which perhaps all is well, must not stay.
    pub(super) fn junit(&self) -> Result<Option<Output>> {
        let file = self.junit.as_ref().filter(|_| self.nobody_sits_at_it());
        file.map(|path| output("--junit", path)).transpose()
    }

    /// Writes the XML: what became of each job, and of those that did not end why.
    pub(super) fn tell_junit(&self, file: Output, outcomes: &[Outcome], lost: Option<&Error>) -> Result<()> {
        let names = self.run.iter().cloned().chain(self.test.iter().map(|path| path.display().to_string()));
        let left: Vec<String> = names.skip(outcomes.len()).collect();
        let text = junit::text(self.profile.as_deref().unwrap_or("vm"), outcomes, &left, lost);
        write("--junit", file, text.map_err(|error| Error::new("--junit", error.to_string()))?.as_bytes())
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
        if let Some(log) = &self.log {
            refuse_standard_output("--log", log)?;
        }
        let picture = self.screenshot.as_deref().map(picture).transpose()?;
        self.refuse_what_cannot_be_kept()?;
        let report = self.report.as_ref().map(|path| output("--report", path)).transpose()?;
        Ok(Work { jobs: self.jobs()?, report, picture })
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
        work: Work,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<ExitCode> {
        let ended = self.do_all(context, (planned, scratch.path()), acceleration, work, outcomes);
        let told = if self.json { tell_as_json(outcomes) } else { Ok(()) };
        ended.and(told)?;
        let failed = outcomes.iter().filter(|it| !it.passed()).count();
        match (&self.run, outcomes.as_slice()) {
            (_, []) => Ok(ExitCode::SUCCESS),
            (Some(_), [only, ..]) => Ok(only.status().into()),
            (None, all) => {
                if !self.json {
                    line(format_args!("{} passed, {failed} failed", all.len() - failed))?;
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
        work: Work,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<()> {
        let mut guest = self.guest(context, (planned, folder), acceleration)?;
        if let Some(output) = work.report {
            write("--report", output, &guest.report()?)?;
        }
        for job in &work.jobs {
            let outcome = self.do_one(&mut guest, job)?;
            // It has ended, whether anybody reads of it or not.
            outcomes.push(outcome.clone());
            self.tell_end(&outcome)?;
        }
        if let Some((output, kind)) = work.picture {
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
        guest.must_have(&AskedFor { state: self.state.as_deref(), shares: &planned.shares })?;
        if let Some(snapshot) = snapshot {
            let _meter = context.report.progress().work("keeping the guest");
            if let Err(error) = snapshot.keep(&mut guest) {
                if !guest.runs() {
                    return Err(error);
                }
                cli::progress::line(format_args!(
                    "lamina: warning: the guest is not kept, and boots each time: {error}"
                ));
            }
        }
        Ok(guest)
    }

    fn do_one(&self, guest: &mut AttendedGuest, job: &GuestJob) -> Result<Outcome> {
        let streams = self.run.is_some() && !self.json;
        guest.run(job, |stream, bytes| if streams { show(stream, bytes) } else { Ok(()) })
    }

    fn tell_end(&self, outcome: &Outcome) -> Result<()> {
        match (&self.run, &outcome.done) {
            _ if self.json => {}
            (None, _) => tell_of_test(outcome)?,
            (Some(_), Done::Ended(End::Exited(_))) => {}
            (Some(_), _) => cli::progress::line(format_args!("lamina: {}: {outcome}", shown(&outcome.name))),
        }
        Ok(())
    }
}

/// The file of an option, for text.
fn output(option: &'static str, path: &Path) -> Result<Output> {
    refuse_standard_output(option, path)?;
    Output::create(path, Form::Text)
}

fn refuse_standard_output(option: &'static str, path: &Path) -> Result<()> {
    let cause = "cannot be standard output, which is that of the command";
    match path == Path::new("-") {
        true => Err(Error::new(option, cause).remedy("give a file")),
        false => Ok(()),
    }
}

/// A picture, PNG or PPM, by the ending of its name.
fn picture(file: &Path) -> Result<(Output, &'static str)> {
    refuse_standard_output("--screenshot", file)?;
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
    match stream {
        Stream::Output => {
            let written = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
            written.map_err(Error::on(OUTPUT))
        }
        Stream::Error => io::stderr().write_all(bytes).map_err(Error::on(ERRORS)),
    }
}

/// Whether all went well until a reader went away (`| head`): that ends the program without a word, and the guest with it; a shell says so of
/// one that ran here.
pub(super) fn nobody_reads_it(error: &Error) -> bool {
    [OUTPUT, ERRORS].contains(&error.object())
        && error.system_said().is_some_and(|it| it.kind() == ErrorKind::BrokenPipe)
}

/// Not by [`crate::command::print`], which ends this process where nobody reads: `--junit` is still to be written.
fn line(text: impl Display) -> Result<()> {
    show(Stream::Output, format!("{text}\n").as_bytes())
}

fn tell_of_test(outcome: &Outcome) -> Result<()> {
    let word = if outcome.passed() { "ok    " } else { "FAILED" };
    line(format_args!("{word} {}: {}", shown(&outcome.name), shown(&outcome.to_string())))?;
    if outcome.passed() {
        return Ok(());
    }
    for (name, printed) in [(OUTPUT, &outcome.output), (ERRORS, &outcome.error)] {
        let text = printed.clone().text();
        let lines: Vec<&str> = text.lines().collect();
        if !lines.is_empty() {
            line(format_args!("       {name}:"))?;
        }
        for words in &lines[lines.len().saturating_sub(LINES)..] {
            line(format_args!("         {}", cli::safe_text::as_shown(words)))?;
        }
    }
    Ok(())
}

fn shown(name: &str) -> String {
    cli::safe_text::clean(name)
}

fn tell_as_json(outcomes: &[Outcome]) -> Result<()> {
    let all: Vec<Value> = outcomes.iter().map(as_json).collect();
    line(serde_json::to_string_pretty(&all).map_err(Error::on(OUTPUT))?)
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
