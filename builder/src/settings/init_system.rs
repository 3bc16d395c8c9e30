//! Which init reads the settings: found by what the first program of the profile is, never by the name of a package.

use profiles::written::settings::Settings;

use super::draft::{Draft, Line, Read};
use crate::stacking::joined::{Joined, Way};

/// The programs that start a system, as far as their settings are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitSystem {
    /// busybox init: `/etc/inittab`, and scripts of `/etc/init.d`.
    Busybox,
    /// systemd: units.
    Systemd,
    /// Anything else.
    Other,
}

impl InitSystem {
    /// The first program `init` leads to the same file as one of the paths where each of the two lies.
    pub fn find(joined: &Joined<'_>, init: &str) -> Read<InitSystem> {
        let place = |path: &str| -> Read<Option<Vec<u8>>> {
            match joined.follow(path.as_bytes())? {
                Way::Found(seen) => Ok(Some(seen.path)),
                Way::Missing { .. } | Way::Not(..) => Ok(None),
            }
        };
        let first = place(init)?;
        let is_one_of = |paths: &[&str]| -> Read<bool> {
            for path in paths {
                if first.is_some() && place(path)? == first {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if is_one_of(&["/usr/lib/systemd/systemd", "/lib/systemd/systemd"])? {
            return Ok(InitSystem::Systemd);
        }
        if is_one_of(&["/usr/bin/busybox", "/bin/busybox"])? && place("/etc/inittab")?.is_some() {
            return Ok(InitSystem::Busybox);
        }
        Ok(InitSystem::Other)
    }
}

/// Refuses what only a known init reads.
pub(super) fn refuse(settings: &Settings, draft: &mut Draft<'_>) {
    let init = draft.target.init;
    let lines = settings.host_name.iter().map(|it| (&it.span, "host name"));
    let lines = lines.chain(settings.networks.iter().map(|it| (&it.span, "network")));
    for (span, what) in lines.chain(settings.services.iter().map(|it| (&it.span, "service"))) {
        let message = format!(
            "the first program {init} is neither busybox's init nor systemd: its {what} is not known"
        );
        draft.refuse(
            Line { setting: what, span },
            message,
            "write the file that it reads, with `file \"/PATH\" from=\"FILE\"`",
        );
    }
}
