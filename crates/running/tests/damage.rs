//! Damage of which the kernel's log tells after the boot.

mod fixture;

use fixture::Fixture;
use running::{damage, report};
use serde_json::json;

const LOG: &str = "4,10,900,-;device-mapper: verity-fec: 7:0: FEC 0: corrected 8 errors
4,20,1000,-;device-mapper: verity-fec: 7:1: FEC 0: corrected 8 errors
 SUBSYSTEM=block
3,21,1001,-;device-mapper: verity: 7:0: data block 20 is corrupted
6,22,1002,-;something else
";

fn heard(log: Option<&str>) -> Vec<String> {
    let mut fixture = Fixture::new(&["base-files", "busybox"]);
    for (layer, (device, backing)) in [("253:0", "7:0"), ("253:1", "7:1")].iter().enumerate() {
        fixture.report["layers"][layer]["device"] = json!(device);
        fixture.report["layers"][layer]["backing"] = json!(backing);
    }
    fixture.report["log_from"] = json!(15);
    // What init has heard by then.
    fixture.report["warnings"] = json!(["the image of busybox 1 is damaged: it was healed, once", "other"]);
    fixture.write_report();
    std::fs::create_dir(fixture.path("dev")).unwrap();
    if let Some(log) = log {
        std::fs::write(fixture.path("dev/kmsg"), log).unwrap();
    }
    let mut report = report::read(&fixture.system()).unwrap();
    damage::add_to(&mut report, &fixture.system());
    report.warnings
}

#[test]
fn what_was_healed_since_the_boot_and_what_was_not_is_told_by_layer() {
    let warnings = heard(Some(LOG));
    assert_eq!(warnings[0], "other");
    assert!(
        warnings[1].starts_with("the image of busybox 1 is damaged: it was healed as it was read, once"),
        "{warnings:?}"
    );
    assert!(
        warnings[2].starts_with(
            "the image of base-files 1 is damaged, and not all of it can be healed (data block 20)"
        ),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn a_log_that_may_not_be_read_is_told() {
    let warnings = heard(None);
    assert!(warnings[2].contains("/dev/kmsg") && warnings[2].contains("ask as root"), "{warnings:?}");
}
