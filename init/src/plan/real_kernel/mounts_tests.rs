use super::*;
use std::os::unix::fs::symlink;

#[test]
fn mount_points_are_made_only_on_a_writable_top() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("dev")).unwrap();
    let failure = mount_points(root.path(), false).unwrap_err();
    assert!(failure.why.starts_with("the stack has no folder /proc, /sys, /run,"), "{}", failure.why);
    mount_points(root.path(), true).unwrap();
    mount_points(root.path(), false).unwrap();
}

#[test]
fn a_link_in_place_of_a_mount_point_is_refused() {
    let root = tempfile::tempdir().unwrap();
    symlink("/tmp", root.path().join("run")).unwrap();
    for writable in [true, false] {
        let failure = mount_points(root.path(), writable).unwrap_err();
        assert_eq!(failure.why, "/run of the stack is not a folder");
    }
}
