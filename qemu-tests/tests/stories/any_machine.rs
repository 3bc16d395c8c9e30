//! One initramfs for any machine: the store lies behind controllers of other hypervisors and computers.

use std::fs::File;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story};
use vm::machine::Controller;

/// The cloud kernels have no drivers for most of them. Of QEMU's LSI SAS 1068 the driver starts, and is told of no disk.
#[test]
fn the_store_is_found_behind_the_controllers_of_any_machine() -> Story {
    let fixture = Fixture::on_kernel("any-machine", "6.1-all")?;
    fixture.profile_that_runs("one", &[], "echo it runs")?;
    let disk = fixture.disk()?;
    // SD cards are that long.
    let length = |file: &File| file.metadata().map(|found| found.len().next_power_of_two());
    let grown = File::options().write(true).open(&disk).and_then(|file| file.set_len(length(&file)?));
    grown.map_err(Failure::at(&disk))?;
    let initramfs = fixture.initramfs()?.option("--generic", None).write()?;
    let parameters = format!("lamina.profile=one lamina.store=LABEL={}", DISK.label);
    for controller in Controller::ALL {
        let machine = fixture.machine_with(&initramfs, &parameters)?.disk_behind(&disk, controller);
        let mut guest = Guest::boot(&machine)?;
        guest.expect("it runs").map_err(|failure| Failure::new(format!("{controller:?}: {failure}")))?;
        guest.expect_off()?;
    }
    Ok(())
}
