//! `lamina why`: which layer gave a file.
//!
//! The layers are still mounted one by one, below `/run/lamina`, and are looked at as overlayfs does: from the top, and
//! component by component. Links to folders on the way are followed; a link at the end of the path is what is asked about, not its
//! target.

mod answer;
mod layers;
mod lookup;

pub use answer::{Answer, Verdict};

use std::path::{Component, Path, PathBuf};

use boot_report::paths::REPORT;
use stack::mount_table;

use crate::error::refusal;
use crate::{Result, System, report};

/// Says which layer gave each of these paths. Relative ones start from `folder`.
///
/// # Errors
/// Lamina did not boot this system.
pub fn why(system: &System, folder: &Path, paths: &[PathBuf]) -> Result<Vec<Answer>> {
    let report = report::read(system)?;
    if report.layers.is_empty() {
        return Err(refusal(REPORT, "names no layers").remedy("boot a profile first"));
    }
    let layers = layers::Layers::of(system, &report);
    let mounts = mount_table::read(&system.path(mount_table::PATH));
    let answer = |path: &PathBuf| {
        let mount =
            |path: &Path| mount_table::under(&mounts, path).filter(|mount| mount.target != Path::new("/"));
        let mut answer = lookup::look_up(&layers, &folder.join(path), |way| mount(way).is_some());
        answer.mount = mount(&answer.real).cloned();
        answer.notes.extend(layers.notes.iter().cloned());
        answer
    };
    Ok(paths.iter().map(answer).collect())
}

/// Where a link in `folder` leads: the path without `.` and `..`, which are taken as they are written.
fn absolute(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().fold(PathBuf::from("/"), |mut absolute, component| {
        match component {
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir => drop(absolute.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
        absolute
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_as_they_are_written() {
        let resolved = |path: &str| absolute(Path::new("/usr/lib"), Path::new(path));
        let cases = [
            ("/etc/motd", "/etc/motd"),
            ("motd", "/usr/lib/motd"),
            ("../bin/./sh", "/usr/bin/sh"),
            ("../../../../etc//", "/etc"),
            (".", "/usr/lib"),
            ("/", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(resolved(path), Path::new(expected), "{path}");
        }
    }
}
