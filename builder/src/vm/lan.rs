//! `--network NAME`: guests of one user on one network.
//!
//! Each gets a card whose packets go to a multicast group on the loopback interface of this machine (`-netdev socket,mcast=` of qemu(1)), so that no
//! switch has to run and nobody needs rights. Whoever can send to that interface can join in: it is for tests, and for no secrets.

use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;

use profiles::Digest;
use vm::machine::Lan;

use crate::error::{Error, Result};

/// The longest name.
const LONGEST: usize = 64;
/// The ports that the kernel gives out begin later (`ip_local_port_range`).
const FIRST_PORT: u16 = 20_000;

/// A card on the network of this name.
///
/// # Errors
/// It is no name; there is no random number for the card's address.
pub fn card(name: &str) -> Result<Lan> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
        return Err(Error::new(format!("--network {}", name.escape_debug()), "is no name for a network")
            .remedy(format!("write letters, digits, dashes, dots and underlines, at most {LONGEST}")));
    }
    let mut random = [0; 3];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(|error: io::Error| Error::caused("/dev/urandom", error))?;
    Ok(on(name, nix::unistd::getuid().as_raw(), random))
}

fn on(name: &str, user: u32, [a, b, c]: [u8; 3]) -> Lan {
    let digest = Digest::of_bytes(format!("lamina vm network 1\n{user}\n{name}"));
    let [first, second, third, fourth, ..] = *digest.bytes();
    Lan {
        // Of the local scope (RFC 2365, section 6.1).
        group: Ipv4Addr::new(239, 255, first, second),
        port: FIRST_PORT + u16::from_le_bytes([third, fourth]) % 10_000,
        // Locally administered, and QEMU's own beginning.
        mac: [0x52, 0x54, 0, a, b, c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_of_one_name_and_user_meet_and_no_others() {
        let key = |lan: Lan| (lan.group, lan.port);
        let lab = on("lab", 1000, [1, 2, 3]);
        assert_eq!(key(lab), key(on("lab", 1000, [4, 5, 6])));
        assert_ne!(key(lab), key(on("lab", 1001, [1, 2, 3])));
        assert_ne!(key(lab), key(on("lab2", 1000, [1, 2, 3])));
        assert_eq!(lab.mac, [0x52, 0x54, 0, 1, 2, 3]);
        assert!(lab.group.octets().starts_with(&[239, 255]) && (20_000..30_000).contains(&lab.port));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in ["", "a,b", "a b", "ä", &"a".repeat(65)] {
            assert!(card(wrong).unwrap_err().to_string().contains("is no name for a network"), "{wrong}");
        }
        assert_ne!(card("lab").unwrap().mac, card("lab").unwrap().mac);
    }
}
