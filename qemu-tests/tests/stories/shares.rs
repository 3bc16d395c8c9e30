//! Boots are counted and blessed on a folder that the host shares as on a disk; where the host lets nobody write, the boot goes
//! on, and whoever asks is told why nothing is counted.

use qemu_tests::Story;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use vm::machine::Machine;
use vm::share::{Access, VirtioFsDaemon};

const LAMINA: &str = "/run/lamina/bin/lamina";

/// A system that says how often it was tried, and blesses itself when the kernel parameter `bless` is there.
fn fixture(name: &str) -> Result<Fixture, Failure> {
    // Debian's cloud kernels have no 9p.
    let fixture = Fixture::on_kernel(name, "6.1-all")?;
    fixture.store().boot_slots()?;
    let lines = format!(
        "grep -A3 '\"ledger\"' /run/lamina/report.json\n\
         if grep -q bless.it /proc/cmdline; then {LAMINA} bless 2>&1; {LAMINA} bless 2>&1; fi\n\
         grep ' /run/lamina/medium ' /proc/mounts\n\
         touch /run/lamina/medium/x || echo nothing else can be written"
    );
    fixture.profile_that_runs("web", &[], &lines)?;
    Ok(fixture)
}

/// Boots on the share, and judges what is said between the report and the end.
fn counts(boot: impl Fn(&str) -> Result<Guest, Failure>) -> Story {
    // Nobody blesses the first two; the third is the last that counts on.
    for (parameter, attempt, said) in [
        ("", 1, ""),
        ("", 2, ""),
        ("bless.it", 3, "web, generation 1 is good from now on"),
        ("bless.it", 1, "web, generation 1 is known to be good"),
    ] {
        let mut guest = boot(parameter)?;
        guest.expect(&format!("\"attempt\": {attempt}"))?;
        guest.expect(said)?;
        let mounts = guest.expect("nothing else can be written")?;
        assert!(mounts.contains(" ro,"), "the medium is read-only again:\n{mounts}");
        guest.expect_off()?;
    }
    Ok(())
}

/// The share cannot be written to: the system runs all the same, and both report and command say why.
fn goes_on(boot: impl Fn(&str) -> Result<Guest, Failure>) -> Story {
    let mut guest = boot("bless.it")?;
    guest.expect("\"counted\": false")?;
    guest.expect("the medium cannot be written: ")?;
    let why = guest.expect("\n")?;
    assert!(why.contains("Read-only file system"), "{why}");
    guest.expect("cannot be blessed: ")?;
    let why = guest.expect("\n")?;
    assert!(why.contains("Read-only file system"), "{why}");
    guest.expect("help: the medium is write-protected")?;
    guest.expect("nothing else can be written")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

fn machine(fixture: &Fixture, protocol: &str, parameter: &str) -> Result<Machine, Failure> {
    fixture.machine(&format!("lamina.profile=web lamina.store={protocol}:store {parameter}"))
}

fn nine_p(fixture: &Fixture, access: Access) -> impl Fn(&str) -> Result<Guest, Failure> {
    move |parameter| {
        let machine = machine(fixture, "9p", parameter)?;
        Guest::boot(&machine.nine_p("store", &fixture.medium_folder(), access))
    }
}

/// A daemon ends with its guest.
fn virtiofs(fixture: &Fixture, access: Access) -> impl Fn(&str) -> Result<Guest, Failure> {
    move |parameter| {
        let daemon = VirtioFsDaemon::serve(&fixture.medium_folder(), fixture.scratch(), access)?;
        let mut guest =
            Guest::boot(&machine(fixture, "virtiofs", parameter)?.virtiofs("store", daemon.socket()))?;
        guest.keep(daemon);
        Ok(guest)
    }
}

#[test]
fn boots_are_counted_and_blessed_on_9p() -> Story {
    let fixture = fixture("ledger-9p")?;
    counts(nine_p(&fixture, Access::Write))
}

#[test]
fn boots_are_counted_and_blessed_on_virtiofs() -> Story {
    let fixture = fixture("ledger-virtiofs")?;
    counts(virtiofs(&fixture, Access::Write))
}

#[test]
fn a_9p_share_that_nobody_may_write_to_boots_uncounted() -> Story {
    let fixture = fixture("ledger-9p-ro")?;
    goes_on(nine_p(&fixture, Access::Read))
}

#[test]
fn a_virtiofs_share_that_nobody_may_write_to_boots_uncounted() -> Story {
    let fixture = fixture("ledger-virtiofs-ro")?;
    goes_on(virtiofs(&fixture, Access::Read))
}
