//! A real Debian system as a person would have it: on a medium, with its changes on a disk of its own.

use std::path::PathBuf;

use crate::debian_root::{self, Recipe};
use crate::failure::Failure;
use crate::fixture::{DISK, Fixture};
use crate::guest::Guest;
use crate::state_disk;
use crate::store::{Layer, ProfileText};

/// A system with a persistent top on a disk of its own. Both disks keep what a guest writes.
#[derive(Debug)]
pub struct Installed {
    fixture: Fixture,
    series: String,
    profile: &'static str,
    medium: PathBuf,
    state: PathBuf,
}

impl Installed {
    /// `recipe`, and above it a layer that lets root log in without a password, and whatever `story` adds. The kernel is
    /// that of `series`. The console log is `NAME-SERIES.log`: several stories of one recipe run at once.
    pub fn new(
        name: &str,
        series: &str,
        recipe: &Recipe,
        story: impl FnOnce(Layer) -> Result<Layer, Failure>,
    ) -> Result<Self, Failure> {
        let fixture = Fixture::on_kernel(&format!("{name}-{series}"), series)?;
        // As `lamina medium create` makes them: boots of a real medium are counted.
        fixture.store().boot_slots()?;
        let (store, mut images) = debian_root::images(recipe)?;
        images.iter().try_for_each(|image| fixture.store().take(image, &store))?;
        let layer = Layer::new("story")
            .file("/etc/shadow", "root::19000:0:99999:7:::\n")?
            .file("/etc/machine-id", "6c616d696e61400080000000000000aa\n")?
            .file("/etc/hostname", "stacked\n")?;
        images.push(fixture.store().add(&story(layer)?)?);
        let profile = ProfileText::new(recipe.name, &images).verify("none");
        fixture.store().profile(&profile.root("root writable=\"LABEL=state\""))?;
        let medium = fixture.disk()?;
        let state = fixture.scratch().join("state.img");
        state_disk::ext4(&state, 256)?;
        Ok(Self { fixture, series: series.to_owned(), profile: recipe.name, medium, state })
    }

    /// Boots it, and waits until init has named the kernel.
    pub fn boot(&self) -> Result<Guest, Failure> {
        self.boot_with("")
    }

    /// As [`Installed::boot`], with more kernel parameters.
    pub fn boot_with(&self, more: &str) -> Result<Guest, Failure> {
        let parameters = format!("lamina.store=LABEL={} lamina.profile={} {more}", DISK.label, self.profile);
        let machine = self.fixture.machine(&parameters)?.kept_disk(&self.medium).kept_disk(&self.state);
        let mut guest = Guest::boot(&machine)?;
        expect_kernel(&mut guest, &self.series)?;
        Ok(guest)
    }

    /// Asks e2fsck(8) whether both disks were left clean.
    pub fn expect_clean(&self) -> Result<(), Failure> {
        state_disk::expect_clean_ext4(&self.medium)?;
        state_disk::expect_clean_ext4(&self.state)
    }
}

/// Waits until init names the kernel that runs it, as at the begin of each boot.
pub fn expect_kernel(guest: &mut Guest, series: &str) -> Result<(), Failure> {
    guest.expect(&format!("lamina: kernel {series}.")).map(drop)
}

/// Logs in as root, whom nobody asks for a password.
pub fn log_in(guest: &mut Guest) -> Result<(), Failure> {
    guest.expect("login:")?;
    guest.type_line("root")?;
    guest.expect("# ").map(drop)
}
