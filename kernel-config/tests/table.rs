//! The table against real configurations, and the files made from it.

use std::path::Path;

use kernel_config::table::REQUIREMENTS;
use kernel_config::{Config, Finding, Group, Need, Severity, check, fragment, place};

#[test]
fn fragments_are_up_to_date() {
    for group in Group::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/linux").join(place(group));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            fragment(group),
            "{} is not what the table says; run: cargo run -p kernel-config --example fragments",
            path.display()
        );
    }
}

#[test]
fn a_kernel_made_from_the_fragments_lacks_nothing() {
    let all: String = Group::ALL.into_iter().map(fragment).collect();
    assert_eq!(check(&Config::parse("all".as_ref(), &all).unwrap()), []);
}

#[test]
fn debian_kernels_boot_stacks_and_their_limits_are_named() {
    assert_eq!(
        lost(&findings("debian-6.1-cloud")),
        [
            "SQUASHFS_DECOMP_MULTI",
            "EROFS_FS_BACKED_BY_FILE",
            "SATA_AHCI",
            "USB_XHCI_HCD",
            "USB_XHCI_PCI",
            "USB_EHCI_PCI",
            "USB_STORAGE",
            "USB_UAS",
            "USB_HID",
            "USB_UHCI_HCD",
            "USB_OHCI_HCD_PCI",
            "NET_9P",
            "NET_9P_VIRTIO",
            "9P_FS",
            "E1000",
            "E1000E",
            "F2FS_FS",
        ]
    );
    let newer = findings("debian-6.12-cloud");
    assert!(!lost(&newer).contains(&"SATA_AHCI") && lost(&newer).contains(&"9P_FS"), "{newer:?}");
    assert!(!lost(&newer).contains(&"EROFS_FS_BACKED_BY_FILE"), "{newer:?}");
    for found in findings("debian-6.1-cloud").iter().chain(&newer) {
        assert_eq!(found.severity, Severity::Limited, "{found}");
    }
}

/// A kernel of a cloud has no driver for the card readers of laptops, and lacks nothing there.
#[test]
fn what_some_machines_have_is_nothing_that_a_kernel_lacks() {
    let of_machines = |found: &&Finding| {
        let group = found.requirement.group;
        group.is_of_some_machines() || group.is_of_own_kernels()
    };
    assert_eq!(findings("tiny").iter().find(of_machines), None);
    for group in [Group::Drives, Group::Input, Group::Display, Group::Cards, Group::Graphics] {
        assert!(kernel_config::modules(group).next().is_some(), "{}", group.name());
    }
    // An initramfs is not asked for groups of which it could take nothing.
    for group in Group::ALL.into_iter().filter(|group| group.is_of_own_kernels()) {
        assert!(kernel_config::modules(group).next().is_none(), "{}", group.name());
    }
}

#[test]
fn a_tiny_kernel_is_told_in_sentences_what_it_lacks() {
    let sentences: Vec<String> = findings("tiny")
        .iter()
        .filter(|found| found.severity == Severity::Missing)
        .map(ToString::to_string)
        .collect();
    for expected in [
        "CONFIG_BLK_DEV_INITRD is off: init comes in an initramfs. Set CONFIG_BLK_DEV_INITRD=y.",
        "CONFIG_SQUASHFS is off: images are squashfs. Set CONFIG_SQUASHFS=y, or =m for the module squashfs.",
        "CONFIG_64BIT is off: init and the shipped packages are 64-bit programs. Set CONFIG_64BIT=y.",
    ] {
        assert!(sentences.iter().any(|sentence| sentence == expected), "{expected}\nin {sentences:#?}");
    }
    let required = REQUIREMENTS.iter().filter(|row| row.need == Need::Required).count();
    assert_eq!(sentences.len(), required, "it has nothing of what is required");
}

#[test]
fn what_is_needed_before_modules_can_be_loaded_must_be_built_in() {
    let all: String = Group::ALL.into_iter().map(fragment).collect();
    let config = Config::parse("x".as_ref(), &all.replace("CONFIG_TMPFS=y", "CONFIG_TMPFS=m")).unwrap();
    let sentences: Vec<String> = check(&config).iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "CONFIG_TMPFS is a module and must be built in: /run and the writable top are tmpfs. Set CONFIG_TMPFS=y."
        ]
    );
}

fn findings(name: &str) -> Vec<Finding> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/configs/{name}.config"));
    check(&Config::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap())
}

fn lost(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|found| found.requirement.symbol).collect()
}
