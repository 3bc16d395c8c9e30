//! Parameters that cannot be read: what each of them stops, and what goes on without it.
//!
//! One slip must not end a boot that has something to boot. What has a default gets it, loudly; what says what is booted and how cannot
//! be guessed, and then only what was asked for does not boot: the chain goes on behind it.

use crate::error::{BootError, Failure};
use crate::step_name::StepName;

/// The step that these errors name.
pub(super) const STEP: StepName = StepName::ReadCommandLine;

/// What cannot be done without a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stops {
    /// Nothing: the boot goes on as if the parameter were not there.
    Nothing,
    /// The store: where it is, is not known.
    Store,
    /// The store of a medium: in which folder it is, is not known.
    Folder,
    /// What was asked for: to leave out what was wanted of it would boot something else, perhaps something that is checked less.
    Asked,
}

impl Stops {
    fn without(parameter: &str) -> Self {
        match parameter {
            "lamina.store" => Self::Store,
            "lamina.dir" => Self::Folder,
            "lamina.timeout" | "lamina.debug" | "lamina.rescue" | "lamina.fallback" | "lamina.share"
            | "panic" => Self::Nothing,
            _ => Self::Asked,
        }
    }
}

/// One that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Misread {
    parameter: String,
    /// As it was written.
    written: String,
    failure: Failure,
    /// It names a digest, or takes the place of one that does.
    binds: bool,
}

impl Misread {
    fn line(&self) -> String {
        format!("{}: {}", self.written, self.failure.why)
    }
}

/// All that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misreadings {
    /// Those that count.
    all: Vec<Misread>,
    /// Those that do not stop anything, and those after which the same parameter was written better.
    ignored: Vec<Misread>,
}

impl Misreadings {
    /// Notes one. `bound`: what it takes the place of had a digest.
    pub(super) fn note(&mut self, parameter: &str, value: Option<&str>, failure: Failure, bound: bool) {
        let written = value.map_or_else(|| parameter.to_owned(), |value| format!("{parameter}={value}"));
        // Whoever writes a digest, however badly, means those bytes and no others.
        let named = value.is_some_and(|value| value.contains('@'));
        let binds = Stops::without(parameter) == Stops::Asked && (bound || named);
        let misread = Misread { parameter: parameter.to_owned(), written, failure, binds };
        match Stops::without(parameter) {
            Stops::Nothing => self.ignored.push(misread),
            Stops::Store | Stops::Folder | Stops::Asked => self.all.push(misread),
        }
    }

    /// Of a repeated parameter the last one counts, and this one could be read. Those of `lamina.add=` and `lamina.without=` add up.
    pub(super) fn was_written_again(&mut self, parameter: &str) {
        if matches!(parameter, "lamina.add" | "lamina.without") {
            return;
        }
        let (again, all) =
            std::mem::take(&mut self.all).into_iter().partition(|misread| misread.parameter == parameter);
        self.all = all;
        self.ignored.extend::<Vec<Misread>>(again);
    }

    /// What concerned what was asked for does not concern what a person chose in its place.
    pub(super) fn forget_asked(&mut self) {
        self.all.retain(|misread| Stops::without(&misread.parameter) != Stops::Asked);
    }

    /// Whether one of them binds a digest: then nothing that is not bound may take its place.
    pub fn bind(&self) -> bool {
        self.all.iter().any(|misread| misread.binds)
    }

    /// Why the store cannot be looked for.
    pub fn of_store(&self) -> Option<BootError> {
        self.error(Stops::Store)
    }

    /// Why the store cannot be found on its medium.
    pub fn of_folder(&self) -> Option<BootError> {
        self.error(Stops::Folder)
    }

    /// Why what was asked for cannot be booted.
    pub fn of_asked(&self) -> Option<BootError> {
        self.error(Stops::Asked)
    }

    /// One sentence for each of those that stop nothing.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.ignored.iter().map(|misread| {
            let remedy = misread.failure.remedies.first().map(|remedy| format!(" ({remedy})"));
            format!("{} was ignored: {}{}", misread.written, misread.failure.why, remedy.unwrap_or_default())
        })
    }

    fn error(&self, stops: Stops) -> Option<BootError> {
        let first = self.all.iter().find(|misread| Stops::without(&misread.parameter) == stops)?;
        let mut error = first.failure.clone().at(STEP, &first.written);
        error.also = self.all.iter().filter(|other| *other != first).map(Misread::line).collect();
        Some(error)
    }
}
