//! The kernel's last warnings, which often say what an error number does not.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The last words of the kernel that fit on a screen.
const LINES: usize = 5;

/// The last warnings and errors of the kernel's log since then. A record of /dev/kmsg is `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`
/// (`Documentation/ABI/testing/dev-kmsg`); the lowest three bits of the priority are the level.
pub fn warnings(since: Duration) -> Vec<String> {
    let Ok(mut log) = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg")
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut record = vec![0; 8192];
    loop {
        match log.read(&mut record) {
            Ok(count @ 1..) => lines.extend(warning(&String::from_utf8_lossy(&record[..count]), since)),
            // EPIPE: records were overwritten while they were read; the next read goes on with the oldest.
            Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
            _ => break,
        }
    }
    lines.split_off(lines.len().saturating_sub(LINES))
}

fn warning(record: &str, since: Duration) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',').map(str::parse::<u64>);
    let (priority, _sequence, micros) = (fields.next()?.ok()?, fields.next()?, fields.next()?.ok()?);
    if Duration::from_micros(micros) < since {
        return None;
    }
    let text = text.lines().next()?;
    (priority & 7 <= 4 && !text.starts_with("lamina:")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_worse_are_kept_but_not_our_own() {
        let warning = |record| warning(record, Duration::from_micros(50));
        assert_eq!(warning("4,12,99,-;squashfs: bad\n SUBSYSTEM=x\n").as_deref(), Some("squashfs: bad"));
        assert_eq!(warning("4,12,49,-;before init"), None);
        assert_eq!(warning("30,12,99,-;information"), None);
        assert_eq!(warning("3,12,99,-;lamina: boot stopped"), None);
        assert_eq!(warning("garbage"), None);
    }
}
