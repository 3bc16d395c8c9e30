//! Where `lamina.store=` says that the store is: read, and printed.

use std::fmt;

use profiles::DeviceSpec;

use crate::error::Failure;

/// Where `lamina.store=` says that the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSpec {
    /// `LABEL=`, `UUID=`, `PARTLABEL=`, `PARTUUID=` or `/dev/NAME`.
    Device(DeviceSpec),
    /// `9p:TAG` or `virtiofs:TAG`: a folder that the host of a virtual machine shares.
    Share(Share),
    /// `initramfs`: the store is packed into the initramfs.
    Initramfs,
}

/// A folder shared by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// How it is shared.
    pub protocol: Protocol,
    /// The name that the host gave it.
    pub tag: String,
}

/// How a host shares a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `Documentation/filesystems/9p.rst`.
    NineP,
    /// `Documentation/filesystems/virtiofs.rst`.
    Virtiofs,
}

impl Protocol {
    /// The name of the kernel's file system.
    pub fn driver(self) -> &'static str {
        match self {
            Self::NineP => "9p",
            Self::Virtiofs => "virtiofs",
        }
    }
}

impl StoreSpec {
    /// Reads the value of `lamina.store=`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let share = |protocol, tag: &str| Self::Share(Share { protocol, tag: tag.to_owned() });
        let spec = match text.split_once(':') {
            Some(("9p" | "virtiofs", "")) => None,
            Some(("9p", tag)) => Some(share(Protocol::NineP, tag)),
            Some(("virtiofs", tag)) => Some(share(Protocol::Virtiofs, tag)),
            _ if text == "initramfs" => Some(Self::Initramfs),
            _ => DeviceSpec::parse(text).map(Self::Device),
        };
        spec.ok_or_else(|| {
            Failure::new("it names no place that a store can be").try_this(
                "write LABEL=, UUID=, PARTLABEL=, PARTUUID=, /dev/NAME, 9p:TAG, virtiofs:TAG or initramfs",
            )
        })
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => device.fmt(f),
            Self::Share(share) => write!(f, "{}:{}", share.protocol.driver(), share.tag),
            Self::Initramfs => f.write_str("initramfs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_read_and_printed() {
        let specs = [
            "LABEL=a b",
            "UUID=1=2",
            "PARTLABEL=x",
            "PARTUUID=y",
            "/dev/vda1",
            "9p:store",
            "virtiofs:t:u",
            "initramfs",
        ];
        for text in specs {
            assert_eq!(StoreSpec::parse(text).unwrap().to_string(), text);
        }
        for text in ["LABEL=", "9p:", "label=x", "vda", "nfs:host", "", "initramfs:x"] {
            assert!(StoreSpec::parse(text).is_err(), "{text}");
        }
    }
}
