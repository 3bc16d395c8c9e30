//! The serial port as a stream of bytes (termios(3)).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{ControlFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// The second serial port of a PC.
pub const PATH: &str = "/dev/ttyS1";

/// Opens a port that passes all bytes as they are.
///
/// # Errors
/// It is not there, or is no terminal.
pub fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK it would wait for a modem's carrier; without O_NOCTTY it would become the terminal of this session.
    let flags = (OFlag::O_NOCTTY | OFlag::O_NONBLOCK).bits();
    let port = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let mut settings = tcgetattr(&port)?;
    cfmakeraw(&mut settings);
    settings.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
    tcsetattr(&port, SetArg::TCSANOW, &settings)?;
    fcntl(&port, FcntlArg::F_SETFL(OFlag::O_RDWR))?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use std::io::{Read, Write};

    #[test]
    fn bytes_pass_as_they_are() {
        let pair = openpty(None, None).unwrap();
        let name = nix::unistd::ttyname(&pair.slave).unwrap();
        let (mut port, mut host) = (open(&name).unwrap(), File::from(pair.master));
        let all: Vec<u8> = (0..=255).collect();
        let mut back = vec![0; all.len()];
        host.write_all(&all).unwrap();
        port.read_exact(&mut back).unwrap();
        assert_eq!(back, all);
        port.write_all(&all).unwrap();
        host.read_exact(&mut back).unwrap();
        assert_eq!(back, all);
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        assert!(open(tempfile::NamedTempFile::new().unwrap().path()).is_err());
    }
}
