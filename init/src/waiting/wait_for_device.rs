//! Waits until a block device is there: the kernel says when something new is there, also in a drive.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use profiles::DeviceSpec;

use crate::console;
use crate::devices::block_devices::BlockDevice;
use crate::devices::inventory::Inventory;
use crate::devices::uevents::{Uevents, Waited};
use crate::error::Failure;
use crate::modules::Modules;
use crate::waiting::media_polling::MediaPolling;

/// A device that was waited for in vain has had its time: each candidate of the chain may want it again.
const SECOND_WAIT: Duration = Duration::from_millis(500);

/// After this time a person should know what the machine is doing, also when it is quiet.
const SILENT: Duration = Duration::from_secs(5);

/// How often it is looked whether a device that did not answer at first has done so.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The devices that were waited for in vain, in this boot.
#[derive(Debug, Default)]
pub struct Waits {
    in_vain: RefCell<Vec<DeviceSpec>>,
}

impl Waits {
    /// How long to wait for it, where somebody asked for `timeout`.
    fn patience(&self, spec: &DeviceSpec, timeout: Duration) -> Duration {
        if self.in_vain.borrow().contains(spec) { timeout.min(SECOND_WAIT) } else { timeout }
    }

    /// What the devices that are there mean to `choose`, as soon as that is something; it is asked again when devices come or
    /// change. `absent` says what it means when `timeout` is over, or a moment where `spec` was waited for before: it gets the
    /// devices that were there.
    pub fn wait<T>(
        &self,
        spec: &DeviceSpec,
        timeout: Duration,
        modules: &Modules,
        mut choose: impl FnMut(&[BlockDevice]) -> Result<Option<T>, Failure>,
        absent: impl FnOnce(&[BlockDevice]) -> Failure,
    ) -> Result<T, Failure> {
        let patience = self.patience(spec, timeout);
        let (mut chosen, mut left) = (None, Vec::new());
        // The order matters: what appears between the subscription and the first look is announced again.
        let uevents = Uevents::subscribe()?;
        let mut inventory = Inventory::default();
        let mut polling = None;
        for (time, is_silent) in [(patience.min(SILENT), true), (patience.saturating_sub(SILENT), false)] {
            if !is_silent {
                if chosen.is_some() || time.is_zero() {
                    break;
                }
                console::write_line(&format!("waiting for {spec}, at most {} s more", time.as_secs()));
            }
            left = until(time, modules, &uevents, &mut inventory, &mut |devices| {
                chosen = choose(devices)?;
                if chosen.is_none() && polling.is_none() {
                    polling = Some(MediaPolling::begin());
                }
                Ok(chosen.is_some())
            })?;
        }
        chosen.ok_or_else(|| {
            self.in_vain.borrow_mut().push(spec.clone());
            absent(&left)
        })
    }
}

/// Waits until `ready` says so; the devices that were there at the end. Not generic, because it is a lot of code.
fn until(
    timeout: Duration,
    modules: &Modules,
    uevents: &Uevents,
    inventory: &mut Inventory,
    ready: &mut dyn FnMut(&[BlockDevice]) -> Result<bool, Failure>,
) -> Result<Vec<BlockDevice>, Failure> {
    let deadline = Instant::now() + timeout;
    let mut patience = Patience::begin(deadline);
    loop {
        modules.follow_devices();
        inventory.refresh();
        let devices = inventory.devices();
        if ready(&devices)? {
            return Ok(devices);
        }
        let again = Instant::now() + BETWEEN_LOOKS;
        let until = if inventory.is_waiting() { patience.until.min(again) } else { patience.until };
        loop {
            match uevents.wait(until)? {
                Waited::Event(event) if event.subsystem == "block" => {
                    // Partitions of a disk whose medium changed are announced on their own.
                    event.device.iter().for_each(|device| inventory.forget(device));
                    break;
                }
                Waited::Event(_) => modules.follow_devices(),
                Waited::Overflow => {
                    *inventory = Inventory::default();
                    break;
                }
                Waited::TimedOut if until < patience.until => break,
                Waited::TimedOut if patience.is_over(modules) => return Ok(devices),
                Waited::TimedOut => break,
            }
        }
    }
}

/// How long it is thought that what asked for a driver was all that is needed.
#[derive(Debug)]
pub struct Patience {
    /// When to look at [`Patience::is_over`].
    pub until: Instant,
    deadline: Instant,
    all_are_loaded: bool,
}

impl Patience {
    /// Most disks have answered by then.
    const FIRST: Duration = Duration::from_secs(1);

    /// Waits until `deadline` at most.
    pub fn begin(deadline: Instant) -> Self {
        Self { until: deadline.min(Instant::now() + Self::FIRST), deadline, all_are_loaded: false }
    }

    /// The time is up. At first every module that is left is loaded, and there is another look at least: no boot is lost because
    /// a device does not ask for its driver in the way that is expected.
    pub fn is_over(&mut self, modules: &Modules) -> bool {
        self.until = self.deadline;
        if !self.all_are_loaded {
            modules.load_left("nothing answered at once");
        }
        std::mem::replace(&mut self.all_are_loaded, true)
    }
}

/// What is said when the time is up. `seen`: what is there instead, called `noun`; `parameter`: where the name was written.
pub fn nothing_answers(
    spec: &str,
    timeout: Duration,
    mut seen: Vec<String>,
    modules: &Modules,
    noun: &str,
    parameter: &str,
) -> Failure {
    let has_empty_drive = seen.iter().any(|line| line.ends_with(" no medium"));
    if seen.is_empty() {
        seen.push(format!("no {noun} at all"));
    }
    seen.extend(modules.suspects().iter().map(|module| format!("module not loaded: {module}")));
    let mut failure = Failure::new(format!("nothing answers to {spec} after {} s", timeout.as_secs()))
        .having_seen(seen)
        .try_this(format!("compare {parameter} with what was seen"));
    if has_empty_drive {
        failure = failure
            .try_this("put the medium in, also while init waits: an empty drive is looked at every second");
    }
    if spec.starts_with("/dev/disk/") {
        failure =
            failure.try_this("links in /dev/disk are not made this early: use LABEL=, UUID= or PARTUUID=");
    }
    failure
        .try_this(format!("if the {noun} is missing there, add its driver's module to the initramfs"))
        .try_this("if it is slow, give it more time: lamina.timeout=60")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_waited_for_once() {
        let (waits, modules) = (Waits::default(), Modules::default());
        let (timeout, gone) = (Duration::from_millis(700), DeviceSpec::Label("no such disk".into()));
        let wait =
            |timeout| waits.wait(&gone, timeout, &modules, |_| Ok(None::<()>), |_| Failure::new("gone"));
        assert_eq!(waits.patience(&gone, timeout), timeout);
        assert_eq!(wait(Duration::from_millis(10)).unwrap_err().why, "gone");
        assert_eq!(waits.patience(&gone, timeout), SECOND_WAIT);
        assert_eq!(waits.patience(&gone, Duration::ZERO), Duration::ZERO);
        assert_eq!(waits.patience(&DeviceSpec::Label("another".into()), timeout), timeout);
        // What fails for another reason was there, and may be waited for again.
        let broken = DeviceSpec::Path("/dev/broken".into());
        let wait = waits.wait(
            &broken,
            timeout,
            &modules,
            |_| Err::<Option<()>, _>(Failure::new("bad")),
            |_| Failure::new(""),
        );
        assert_eq!(wait.unwrap_err().why, "bad");
        assert_eq!(waits.patience(&broken, timeout), timeout);
        // It may have come by now.
        assert!(waits.wait(&gone, timeout, &modules, |_| Ok(Some(())), |_| Failure::new("")).is_ok());
    }
}
