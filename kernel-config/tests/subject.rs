//! What a person may name when a kernel is to be checked.

use std::fs;

use kernel_config::{Severity, Subject};

#[test]
fn a_promised_module_that_is_not_there_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("boot/config-6.1.0-1-sample", b"CONFIG_BLK_DEV_LOOP=m\nCONFIG_OVERLAY_FS=m\n");
    write("lib/modules/6.1.0-1-sample/kernel/drivers/block/loop.ko", b"\x7fELF loop");
    let sentence = "CONFIG_OVERLAY_FS is a module, and the package has no module overlay: the images are joined by \
                    overlayfs. Give the package that holds the kernel's modules.";
    let findings = Subject::open(folder.path()).unwrap().check().unwrap();
    let found = findings.iter().find(|found| found.to_string() == sentence).expect(sentence);
    assert_eq!(found.severity, Severity::Missing);
}

#[test]
fn a_text_that_is_no_configuration_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes");
    fs::write(&text, "hello\n").unwrap();
    assert!(Subject::open(&text).unwrap_err().to_string().contains("line 1: `hello` is not a setting"));
}

#[test]
fn the_running_kernel_is_judged_by_what_it_says_of_itself_else_by_what_is_installed() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let place = || Subject::running(root.path(), "6.1-x").map(|(_, place)| place);
    let error = place().unwrap_err().to_string();
    assert!(error.contains("6.1-x runs here, and says nothing of how it was made"), "{error}");
    write("boot/config-6.1-x", b"CONFIG_OVERLAY_FS=y\n");
    write("boot/config-6.2", b"CONFIG_OVERLAY_FS=y\n");
    assert_eq!(place().unwrap(), root.path().join("boot/config-6.1-x"));
    write("proc/config.gz", b"CONFIG_OVERLAY_FS=y\n");
    assert_eq!(place().unwrap(), root.path().join("proc/config.gz"));
}
