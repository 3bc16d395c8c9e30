//! Images as layers: loop devices, and files without one.

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use block_probe::image_kind::ImageKind;
use stack::image::OpenImage;
use stack::loop_device::{Caching, attach, attach_with};
use stack::mount::{self, Backing};

use super::{alone_in_namespace, in_namespace, make_erofs_image, make_folder, make_image};

#[test]
fn loop_devices_are_free_again_when_their_last_user_is_gone() {
    alone_in_namespace(|folder| {
        // A name that no other test uses: the number of the device may be theirs a moment later.
        let image = make_image(folder, "freed", &[("a", "a")]);
        let device = attach_with(&OpenImage::open(&image).unwrap(), Caching::Direct).unwrap();
        let backing =
            Path::new("/sys/block").join(device.path().file_name().unwrap()).join("loop/backing_file");
        assert!(fs::read_to_string(&backing).unwrap().trim_end().ends_with("freed.sqfs"));
        let target = folder.join("mounted");
        fs::create_dir(&target).unwrap();
        let layer = mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), &image).unwrap();
        layer.show_at(&target).unwrap();
        drop(layer);
        drop(device);
        assert!(target.join("a").exists());
        rustix::mount::unmount(&target, rustix::mount::UnmountFlags::empty()).unwrap();
        let still_ours =
            fs::read_to_string(&backing).is_ok_and(|text| text.trim_end().ends_with("freed.sqfs"));
        assert!(!still_ours, "{} is still attached", backing.display());
    });
}

/// What the root is asked for first, the kernel has then read: the same again reads nothing from the device.
#[test]
fn a_layer_that_was_looked_into_is_not_read_for_that_again() {
    in_namespace(|folder| {
        let image = make_image(folder, "looked", &[("dev", "a")]);
        let device = attach(&OpenImage::open(&image).unwrap()).unwrap();
        let counts = Path::new("/sys/block").join(device.path().file_name().unwrap()).join("stat");
        // The first number: reads that were completed (Documentation/block/stat.rst of the kernel).
        let reads = || -> u64 {
            fs::read_to_string(&counts).unwrap().split_whitespace().next().unwrap().parse().unwrap()
        };
        let layer = mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), &image).unwrap();
        let target = make_folder(folder, "target");
        layer.show_at(&target).unwrap();
        let mounted = reads();
        layer.look_up("dev");
        let looked = reads();
        assert!(looked > mounted, "{mounted} reads, then {looked}");
        assert!(target.join("dev").is_file() && !target.join("proc").exists());
        assert_eq!(reads(), looked);
    });
}

/// Without another try after EBUSY some round fails.
#[test]
fn many_threads_attach_without_taking_each_others_device() {
    const ROUNDS: usize = 50;
    in_namespace(|folder| {
        let image = make_image(folder, "one", &[("a", "a")]);
        for _ in 0..ROUNDS {
            let begin = Barrier::new(4);
            let devices: Vec<_> = std::thread::scope(|scope| {
                let attach_some = || {
                    begin.wait();
                    (0..8).map(|_| attach(&OpenImage::open(&image).unwrap()).unwrap()).collect::<Vec<_>>()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(attach_some)).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            let mut paths: Vec<_> = devices.iter().map(|device| device.path().to_owned()).collect();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), 32);
        }
    });
}

#[test]
fn a_layer_is_mounted_before_it_is_shown_anywhere() {
    in_namespace(|folder| {
        let squashfs_image = make_image(folder, "one", &[("a", "squashfs")]);
        let erofs_image = make_erofs_image(folder, "two", &[("a", "erofs")]);
        for (name, path, kind) in
            [("s", squashfs_image, ImageKind::Squashfs), ("e", erofs_image, ImageKind::Erofs)]
        {
            let image = OpenImage::open(&path).unwrap();
            assert_eq!(image.file_system().unwrap(), kind);
            let device = attach(&image).unwrap();
            let layer = mount::layer(kind, &Backing::Loop(&device), &path).unwrap();
            drop((device, image));
            let target = make_folder(folder, name);
            layer.show_at(&target).unwrap();
            drop(layer);
            assert_eq!(fs::read_to_string(target.join("a")).unwrap(), kind.driver());
            let refused = fs::write(target.join("b"), "").unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        }
    });
}

#[test]
fn an_erofs_image_needs_no_device_and_a_squashfs_says_that_it_does() {
    // Not on the tmpfs: its files cannot be mounted so.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    in_namespace(move |folder| {
        let files = [("a", "a")];
        let erofs_image = make_erofs_image(disk.path(), "e", &files);
        let squashfs_image = make_image(disk.path(), "s", &files);
        let try_file =
            |kind, path: &Path| mount::layer(kind, &Backing::File(&OpenImage::open(path).unwrap()), path);
        let error = try_file(ImageKind::Squashfs, &squashfs_image).unwrap_err();
        assert!(error.is_unsupported(), "{error}: {}", error.why());
        match try_file(ImageKind::Erofs, &erofs_image) {
            Ok(layer) => {
                let target = make_folder(folder, "shown");
                layer.show_at(&target).unwrap();
                assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "a");
                let error = try_file(ImageKind::Erofs, &squashfs_image).unwrap_err();
                assert!(!error.is_unsupported(), "a file that is no EROFS: {}", error.why());
            }
            // A kernel before 6.12, or one without CONFIG_EROFS_FS_BACKED_BY_FILE; a machine in a VM test has it.
            Err(error) => assert!(error.is_unsupported(), "{error}: {}", error.why()),
        }
        let on_tmpfs = make_erofs_image(folder, "e", &files);
        let error = try_file(ImageKind::Erofs, &on_tmpfs).unwrap_err();
        assert!(error.is_unsupported(), "{error}: {}", error.why());
    });
}
