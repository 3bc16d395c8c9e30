//! Addresses of a network card.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::decode::{KdlValue, Problem, Value, text};

/// Most name servers (MAXNS of resolv.conf(5)).
const MOST_SERVERS: usize = 3;

/// The address of a card and the length of its network's prefix, as `192.0.2.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkAddress {
    /// The address.
    pub address: IpAddr,
    /// Bits that all addresses of the network share.
    pub prefix: u8,
}

impl NetworkAddress {
    /// Reads `ADDRESS/PREFIX`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(written: &str) -> Result<NetworkAddress, String> {
        let (address, prefix) = written
            .split_once('/')
            .ok_or_else(|| format!("'{written}' does not say how long the prefix of its network is"))?;
        let address = card(address)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse::<u8>().ok().filter(|prefix| digits && (1..=bits).contains(prefix));
        let found = NetworkAddress {
            address,
            prefix: prefix.ok_or_else(|| format!("the prefix of '{written}' is none of 1 to {bits}"))?,
        };
        match found.address {
            IpAddr::V4(address) if found.prefix < 31 && found.is_whole_network(address) => {
                Err(format!("'{written}' is the address of a network, or of all its machines"))
            }
            _ => Ok(found),
        }
    }

    /// All bits behind the prefix are 0 or 1.
    fn is_whole_network(&self, address: Ipv4Addr) -> bool {
        let rest = address.to_bits() & (u32::MAX >> self.prefix);
        rest == 0 || rest == u32::MAX >> self.prefix
    }

    /// Whether a router of this address can be reached without another one.
    pub fn reaches(&self, router: IpAddr) -> bool {
        let same =
            |mine: u128, other: u128, bits: u32| (mine ^ other) >> (bits - u32::from(self.prefix)) == 0;
        match (self.address, router) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                mine != other && same(mine.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                mine != other && (other.is_unicast_link_local() || same(mine.to_bits(), other.to_bits(), 128))
            }
            _ => false,
        }
    }

    /// The prefix as IPv4 writes it: 24 is `255.255.255.0`.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0))
    }
}

impl fmt::Display for NetworkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An address that one machine can have.
fn card(written: &str) -> Result<IpAddr, String> {
    let address: IpAddr = written.parse().map_err(|_| format!("'{written}' is no IP address"))?;
    let everybody = matches!(address, IpAddr::V4(Ipv4Addr::BROADCAST));
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || everybody {
        return Err(format!("'{written}' is no address of one machine"));
    }
    Ok(address)
}

impl Value for NetworkAddress {
    fn decode(value: &KdlValue) -> Result<NetworkAddress, Problem> {
        let help = "write address and prefix, such as \"192.0.2.5/24\" or \"2001:db8::5/64\"";
        NetworkAddress::parse(text(value)?).map_err(|rule| Problem::new(rule, help))
    }
}

/// The way to other networks.
pub(super) struct Gateway(pub IpAddr);

impl Value for Gateway {
    fn decode(value: &KdlValue) -> Result<Gateway, Problem> {
        let help = "write the address of the router, without a prefix, such as \"192.0.2.1\"";
        card(text(value)?).map(Gateway).map_err(|rule| Problem::new(rule, help))
    }
}

/// Name servers, between blanks or commas.
#[derive(Default)]
pub(super) struct NameServers(pub Vec<IpAddr>);

impl Value for NameServers {
    fn decode(value: &KdlValue) -> Result<NameServers, Problem> {
        let help = "write one to three addresses, such as \"192.0.2.53 2001:db8::53\"";
        let server = |word: &str| match word.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(address),
            Ok(_) => Err(Problem::new(format!("'{word}' is no address of one machine"), help)),
            Err(_) => Err(Problem::new(format!("'{word}' is no IP address"), help)),
        };
        let words = text(value)?.split([' ', ',']).filter(|word| !word.is_empty());
        let servers = words.map(server).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() || servers.len() > MOST_SERVERS {
            return Err(Problem::new(
                format!("{} name servers, and programs ask at most three", servers.len()),
                help,
            ));
        }
        Ok(NameServers(servers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_one_machine_is_one() {
        let parse = |text: &str| NetworkAddress::parse(text).map(|address| address.to_string());
        for text in ["192.0.2.5/24", "10.0.0.1/31", "10.0.0.0/31", "198.51.100.7/32", "2001:db8::5/64"] {
            assert_eq!(parse(text), Ok(text.to_owned()));
        }
        for (text, rule) in [
            ("192.0.2.5", "does not say how long"),
            ("192.0.2.5/0", "none of 1 to 32"),
            ("192.0.2.5/33", "none of 1 to 32"),
            ("192.0.2.5/+24", "none of 1 to 32"),
            ("192.0.2.256/24", "is no IP address"),
            ("192.0.2.0/24", "is the address of a network"),
            ("192.0.2.255/24", "is the address of a network"),
            ("127.0.0.1/8", "no address of one machine"),
            ("224.0.0.1/4", "no address of one machine"),
            ("2001:db8::/129", "none of 1 to 128"),
            ("::/64", "no address of one machine"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.contains(rule), "{text}: {found}");
        }
    }

    #[test]
    fn a_router_is_in_the_network() {
        let reaches =
            |card: &str, router: &str| NetworkAddress::parse(card).unwrap().reaches(router.parse().unwrap());
        assert!(reaches("192.0.2.5/24", "192.0.2.1") && reaches("2001:db8::5/64", "fe80::1"));
        assert!(reaches("2001:db8::5/128", "fe80::1") && reaches("192.0.2.5/1", "130.0.0.1"));
        for (card, router) in [
            ("192.0.2.5/24", "192.0.3.1"),
            ("192.0.2.5/24", "192.0.2.5"),
            ("192.0.2.5/24", "2001:db8::1"),
            ("2001:db8::5/64", "2001:db8:1::1"),
        ] {
            assert!(!reaches(card, router), "{card} {router}");
        }
        assert_eq!(NetworkAddress::parse("192.0.2.5/20").unwrap().mask().to_string(), "255.255.240.0");
    }
}
