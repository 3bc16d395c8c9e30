//! The default of the step `unpack`, done by the stage itself when it has given up its rights: inside the sandbox, so that an
//! archive can do no more than a script could, and without any tool of the build's root.

use std::path::Path;

use source_archive::Outcome;

/// Unpacks and says in the log what became of it. Returns the status of the step.
pub(super) fn run(source: &Path, target: &Path) -> i32 {
    match source_archive::unpack(source, target) {
        Ok(outcome) => {
            println!("lamina: {}: {}", source.display(), told(&outcome, target));
            0
        }
        Err(error) => {
            println!("lamina: {error}");
            1
        }
    }
}

fn told(outcome: &Outcome, target: &Path) -> String {
    let target = target.display();
    match outcome {
        Outcome::NoArchive => format!("is no archive; {target} stays empty"),
        Outcome::Unpacked { entries, without: Some(top) } => {
            let top = top.as_encoded_bytes().escape_ascii();
            format!("{entries} entries unpacked to {target}, without their one top folder {top}")
        }
        Outcome::Unpacked { entries, without: None } => format!("{entries} entries unpacked to {target}"),
    }
}
