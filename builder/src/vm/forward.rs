//! `--forward HOST:GUEST`.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use vm::machine::ForwardedPort;

use crate::error::{Error, Result};

/// Reads `8080:80`, or `80` for the same number on both sides.
///
/// # Errors
/// It is neither; a sentence for people.
pub fn parse(text: &str) -> Result<ForwardedPort, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("'{}' is no port: write a number from 1 to 65535", text.escape_debug())),
    };
    let (host, guest) = text.split_once(':').unwrap_or((text, text));
    Ok(ForwardedPort { host: port(host)?, guest: port(guest)? })
}

/// Sees that the ports of this machine can be had, before anything is started.
///
/// # Errors
/// One is in use, or named twice; this user may not have it.
pub fn are_free(ports: &[ForwardedPort]) -> Result<()> {
    for ForwardedPort { host, guest } in ports {
        let object = format!("--forward {host}:{guest}");
        if ports.iter().filter(|port| port.host == *host).count() > 1 {
            let cause = format!("port {host} of this machine leads to one port of the guest");
            return Err(Error::new(object, cause).remedy("give each --forward a port of its own"));
        }
        TcpListener::bind((Ipv4Addr::LOCALHOST, *host)).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => Error::new(object, format!("port {host} of this machine is in use"))
                .remedy(format!("give another one, as `--forward PORT:{guest}`; `ss -ltnp` shows who has it"))
                .because_of(error),
            ErrorKind::PermissionDenied => Error::caused(object, error).remedy(format!(
                "ports below 1024 are for root: give another one, as `--forward 8080:{guest}`"
            )),
            _ => Error::caused(object, error),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_had_is_named_before_anything_is_started() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = other.local_addr().unwrap().port();
        let port = ForwardedPort { host, guest: 80 };
        let error = are_free(&[port]).unwrap_err();
        let cause = format!("port {host} of this machine is in use");
        assert_eq!((error.object(), error.cause()), (&*format!("--forward {host}:80"), &*cause));
        assert!(error.known_remedy().is_some_and(|remedy| remedy.contains("--forward PORT:80")), "{error}");
        drop(other);
        are_free(&[port]).unwrap();
        assert!(are_free(&[port, port]).unwrap_err().cause().contains("leads to one port"));
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_of_the_guest() {
        let pair = |text| parse(text).map(|port| (port.host, port.guest));
        assert_eq!(pair("8080:80"), Ok((8080, 80)));
        assert_eq!(pair("22"), Ok((22, 22)));
        for wrong in ["", ":", "0:80", "80:65536", "a:80", "1:2:3", "-1"] {
            assert!(pair(wrong).unwrap_err().contains("is no port: write a number"), "{wrong}");
        }
    }
}
