//! The crate `loopdev-3` opens a loop device that `stack` attached, and detaches it. It has no call that asks a device for its
//! file and flags, so those are read where the kernel shows them, at the number that the crate gives (sysfs, `loop/`).
//!
//! Needs root: `sudo -E cargo test -p judges --test loop_devices`.

use std::fs;
use std::path::PathBuf;

use loopdev::LoopDevice;
use stack::image::OpenImage;
use stack::loop_device::attach;

#[test]
fn loopdev_sees_what_was_attached_and_detaches_it() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test attaches a loop device: run it as root, as in `sudo -E cargo test -p judges --test loop_devices`"
    );
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("judged-by-loopdev.sqfs");
    let out = fs::File::options().read(true).write(true).create_new(true).open(&image).unwrap();
    let options = squashfs::WriteOptions::default();
    squashfs::write_image(&squashfs::Tree::new(), &options, out, &mut |_| ()).unwrap();

    let ours = attach(&OpenImage::open(&image).unwrap()).unwrap();
    let theirs = LoopDevice::open(ours.path()).unwrap();
    assert_eq!(theirs.path().as_deref(), Some(ours.path()));
    let number = format!("{}:{}", theirs.major().unwrap(), theirs.minor().unwrap());
    let shown = PathBuf::from("/sys/dev/block").join(number);
    let fact = |name: &str| fs::read_to_string(shown.join(name)).map(|text| text.trim_end().to_owned());
    assert_eq!(fact("loop/backing_file").unwrap(), fs::canonicalize(&image).unwrap().to_str().unwrap());
    assert_eq!(fact("loop/offset").unwrap(), "0");
    assert_eq!(fact("loop/autoclear").unwrap(), "1");
    assert_eq!(fact("ro").unwrap(), "1");
    assert!(theirs.attach_file(&image).is_err(), "it is taken");

    theirs.detach().unwrap();
    drop((ours, theirs));
    let still_ours = fact("loop/backing_file").is_ok_and(|file| file.ends_with("judged-by-loopdev.sqfs"));
    assert!(!still_ours, "{} is still attached", shown.display());
}
