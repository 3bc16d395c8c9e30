//! Names that a system takes: of the machine, its users, its network cards, its services and its time zone.

use crate::decode::{KdlValue, Problem, Value, text};

/// Types that are one checked text.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:ident, $help:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// As it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Value for $name {
            fn decode(value: &KdlValue) -> Result<$name, Problem> {
                let word = text(value)?;
                match $check(word) {
                    Ok(()) => Ok($name(word.to_owned())),
                    Err(rule) => Err(Problem::new(format!("'{word}' {rule}"), $help)),
                }
            }
        }
    };
}

checked_name!(
    /// The name of a machine (hostname(7)): labels of letters, digits and `-`, joined by dots, at most 64 bytes (HOST_NAME_MAX).
    HostName,
    host_name,
    "write letters, digits and '-', such as \"web1\" or \"web1.example.org\""
);
checked_name!(
    /// The name of an account, by the rules of useradd(8): `[a-z_][a-z0-9_-]*`, at most 32 bytes.
    UserName,
    user_name,
    "begin with a small letter or '_', go on with those, digits and '-', 32 at most, as useradd(8) asks"
);
checked_name!(
    /// The name of a network card (dev_valid_name() of the kernel's net/core/dev.c, and no signs that shells or systemd act on): at most
    /// 15 bytes.
    InterfaceName,
    interface_name,
    "`ip link` lists the names, such as \"eth0\" or \"enp1s0\""
);
checked_name!(
    /// The name of a service: a script of `/etc/init.d` without its number, or a unit of systemd, `.service` when it has no ending.
    ServiceName,
    service_name,
    "write the name of the service, such as \"ssh\""
);
checked_name!(
    /// The name of a time zone, a path below `/usr/share/zoneinfo` (tzfile(5)).
    TimeZone,
    time_zone,
    "write the name of the zone, such as \"Europe/Berlin\" or \"UTC\""
);

fn host_name(name: &str) -> Result<(), &'static str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    for label in name.split('.') {
        match label {
            "" => return Err("is no host name: there is nothing before or behind a dot"),
            _ if label.len() > 63 => return Err("is no host name: a label is longer than 63 bytes"),
            _ if !label.bytes().all(inside) => return Err("is no host name: it holds other signs"),
            _ if label.starts_with('-') || label.ends_with('-') => {
                return Err("is no host name: a label begins or ends with '-'");
            }
            _ => {}
        }
    }
    if name.len() > 64 { Err("is no host name: it is longer than 64 bytes") } else { Ok(()) }
}

fn user_name(name: &str) -> Result<(), &'static str> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let inside = |byte: u8| first(byte) || byte.is_ascii_digit() || byte == b'-';
    match name.as_bytes() {
        [] => Err("is no name of a user: it is empty"),
        [begin, rest @ ..] if !first(*begin) || !rest.iter().all(|byte| inside(*byte)) => {
            Err("is no name of a user: it holds or begins with another sign")
        }
        _ if name.len() > 32 => Err("is no name of a user: it is longer than 32 bytes"),
        _ => Ok(()),
    }
}

fn interface_name(name: &str) -> Result<(), &'static str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match name {
        "" | "." | ".." => Err("is no name of a network card"),
        "lo" => Err("is the loopback device, which is always up"),
        _ if !name.bytes().all(inside) || name.starts_with('-') => {
            Err("is no name of a network card: it holds other signs")
        }
        _ if name.len() > 15 => Err("is no name of a network card: it is longer than 15 bytes"),
        _ => Ok(()),
    }
}

fn service_name(name: &str) -> Result<(), &'static str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    match name {
        _ if name.is_empty() || name.len() > 128 => Err("is no name of a service: it is empty or too long"),
        _ if !name.bytes().all(inside) || name.starts_with(['.', '-']) => {
            Err("is no name of a service: it holds or begins with another sign")
        }
        _ => Ok(()),
    }
}

fn time_zone(name: &str) -> Result<(), &'static str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"+_-".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(inside);
    if name.len() > 128 || !name.split('/').all(part) {
        return Err("is no name of a time zone");
    }
    Ok(())
}
