//! The profiles that a command names, one by one.

use std::process::ExitCode;

use profiles::Name;
use profiles::written::Composition;

use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::profile::named::{self, Meaning, Named};

/// The word of a command line as the name of a profile.
pub(super) fn name(text: &str) -> Result<Name> {
    Name::parse(text).map_err(|error| {
        Error::caused(format!("'{text}'"), error).remedy("`lamina profile list` says which there are")
    })
}

/// Reads the profile `name` with all that it includes.
pub(super) fn compose(context: &Context, name: &str) -> Result<Composition> {
    match named::find(name, Meaning::Profile, &context.recipes()?, &context.profiles()?)? {
        Named::Profile(composition) => Ok(*composition),
        Named::Package(_) => Err(Error::new(name, "is a package, not a profile")),
    }
}

/// What can be had, and the exit status. What cannot is told on standard error, and is no reason to leave out the rest.
pub(super) fn what_works<T>(
    context: &Context,
    results: impl Iterator<Item = Result<T>>,
) -> (Vec<T>, ExitCode) {
    let (mut found, mut status) = (Vec::new(), ExitCode::SUCCESS);
    for result in results {
        match result {
            Ok(value) => found.push(value),
            Err(error) => {
                context.report.line(format_args!("lamina: {error}"));
                status = ExitCode::FAILURE;
            }
        }
    }
    (found, status)
}
