//! What stands in for what the command line does not say, and which of its choices exclude each other.

use std::path::{Path, PathBuf};

use kernel_config::Group;
use mkinitramfs::{Firmwares, Request};

/// Where sysfs describes this machine.
const SYSFS: &str = "/sys";

/// What the command line says of it.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    pub generic: bool,
    pub host: bool,
    pub groups: &'a [Group],
    /// Beside those that go in anyway.
    pub more_groups: &'a [Group],
    pub modules: &'a [String],
    /// They may name modules.
    pub drop_ins: &'a [PathBuf],
    pub sysfs: Option<&'a Path>,
    pub firmware: Option<&'a Path>,
}

/// Which modules go in, and whose firmware.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Groups of the table.
    pub groups: Vec<Group>,
    /// The sysfs of the machine whose devices ask.
    pub host: Option<PathBuf>,
    /// The firmware that the modules name.
    pub firmware: Firmwares,
}

impl Asked<'_> {
    /// What was chosen.
    ///
    /// # Errors
    /// Two choices that exclude each other.
    pub fn choice(&self) -> Result<Choice, String> {
        let given =
            [("--generic", self.generic), ("--host", self.host), ("--group", !self.groups.is_empty())];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
        if let (Some(one), Some(other)) = (given.next(), given.next()) {
            return Err(format!(
                "{one}: and {other} exclude each other\nhelp: give one of them; --add-group adds a group to what goes in anyway"
            ));
        }
        if self.sysfs.is_some() && !self.host {
            return Err(
                "--sysfs needs --host\nhelp: it says where that finds the devices of a machine".to_owned()
            );
        }
        let mut groups = match (self.generic, self.host, self.groups) {
            (true, ..) => Request::GENERIC.to_vec(),
            (_, true, _) => Request::HOST.to_vec(),
            (.., []) => Request::GROUPS.to_vec(),
            (.., chosen) => chosen.to_vec(),
        };
        groups.extend(self.more_groups);
        let host = self.host.then(|| self.sysfs.unwrap_or(Path::new(SYSFS)).to_owned());
        Ok(Choice { groups, host, firmware: self.firmware() })
    }

    /// The usual groups are for virtual machines, which need none: the same input gives the same bytes there, whatever this machine has.
    fn firmware(&self) -> Firmwares {
        let is_usual = !self.generic
            && !self.host
            && self.more_groups.is_empty()
            && self.modules.is_empty()
            && self.drop_ins.is_empty();
        match self.firmware {
            Some(folder) => Firmwares::Of(folder.to_owned()),
            None if is_usual => Firmwares::None,
            None => Firmwares::OfItsSystem,
        }
    }
}

/// The init that was named, else the one that belongs to this program.
///
/// # Errors
/// There is none.
pub fn init(named: Option<&Path>) -> Result<PathBuf, String> {
    named.map(Path::to_owned).or_else(installation::own_init).ok_or_else(|| {
        format!(
            "init: {}\nhelp: `make init` makes out/init; name it with --init FILE",
            installation::NOT_FOUND
        )
    })
}
