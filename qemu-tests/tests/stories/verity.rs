//! Images that are checked block by block, by dm-verity of real kernels. The hash trees are made by Debian's `veritysetup`, so
//! that these stories also show that its images boot; `verity_judge` shows that it opens ours.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qemu_tests::artifacts::{self, Kernel};
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::medium::flip_a_bit;
use qemu_tests::report::BootReport;
use qemu_tests::soak::log_folder;
use qemu_tests::store::{ImageLine, Layer, ProfileText};
use qemu_tests::uml::{Archive, Uml};
use qemu_tests::{Failure, Story};
use sha2::{Digest, Sha256};
use soak_guest::hex;

/// Error correction as `lamina image create` gives it.
pub const ROOTS: Option<u8> = Some(2);

/// Text that does not shrink much, so that most of an image is one file's data.
pub fn noise() -> String {
    let mut text = String::new();
    for number in 0..8192u32 {
        let digest = Sha256::digest(number.to_le_bytes());
        text.push_str(&hex(&digest[..16]));
    }
    text
}

pub fn sum(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// A profile `one` of protected images, with a layer that has the noise in `/data/noise`, whose image the story may damage. Its
/// first program reads the noise, and says what the kernel says.
fn fixture(name: &str, kernel: &str, fec_roots: Option<u8>) -> Result<(Fixture, Vec<ImageLine>), Failure> {
    let fixture = Fixture::on_kernel(&format!("verity-{name}-{kernel}"), kernel)?;
    let look = "echo sum=$(sha256sum /data/noise 2>&1); \
                dmesg | grep -E 'device-mapper: verity|lamina: layers: '; \
                echo $(/run/lamina/bin/lamina report --ascii); \
                echo devices=$(cat /sys/block/dm-*/dm/name | grep -c ^lamina-); \
                cat /run/lamina/report.json; echo; echo report: end";
    let mut plain = fixture.small_system()?;
    plain.push(fixture.store().add(&Layer::new("noise").file("/data/noise", &noise())?)?);
    plain.push(fixture.script_layer(name, look)?);
    let images =
        plain.iter().map(|line| fixture.store().protect(line, fec_roots)).collect::<Result<Vec<_>, _>>()?;
    fixture.store().profile(&ProfileText::new("one", &images).verify("verity").init("/story"))?;
    Ok((fixture, images))
}

pub fn boot(fixture: &Fixture) -> Result<Guest, Failure> {
    fixture.boot(&fixture.disk()?, "lamina.profile=one")
}

/// What the story's program printed before the report, and the report.
fn told(guest: &mut Guest) -> Result<(String, BootReport), Failure> {
    guest.expect("story: begin\n")?;
    let seen = guest.expect("{")?;
    let report = guest.expect("report: end")?;
    guest.expect_off()?;
    Ok((seen, BootReport::parse(&format!("{{{report}"))?))
}

/// The noise's image is the third of the stack.
fn damaged(fixture: &Fixture, images: &[ImageLine]) -> PathBuf {
    fixture.store().image_path(&images[2])
}

fn overwrite(file: &Path, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
    let open = OpenOptions::new().write(true).open(file).map_err(Failure::at(file))?;
    open.write_all_at(bytes, offset).map_err(Failure::at(file))
}

fn a_flipped_bit_is_healed(kernel: &str) -> Story {
    let (fixture, images) = fixture("healed", kernel, ROOTS)?;
    flip_a_bit(&damaged(&fixture, &images))?;
    // In the middle of the real init's interpreter, which is read before the real init starts.
    overwrite(&fixture.store().image_path(&images[1]), images[1].size / 3, b"damage")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one quiet")?;
    guest.expect("lamina: warning: the image of busybox 1 is damaged: it was healed")?;
    guest.expect("copy it to the medium again")?;
    let (seen, report) = told(&mut guest)?;
    // What was healed after init, too, and by name.
    assert!(seen.contains("warning: the image of noise 1 is damaged: it was healed"), "{seen}");
    let layer = |name: &str| report.layers.iter().find(|layer| layer.name == name).expect("a layer");
    let read = report.steps.iter().find(|step| step.step == "read init").expect("the step");
    eprintln!("read init: {} us of {}", read.length_us, report.ended_us - report.began_us);
    let backing = layer("noise").backing.as_deref().expect("a loop device");
    assert!(seen.contains(&format!("{backing}: FEC ")), "{backing}: {seen}");
    assert!(
        seen.contains(&format!("{} on {backing} noise 1", layer("noise").device.as_deref().unwrap_or("?"))),
        "{seen}"
    );
    assert!(seen.contains(&format!("sum={} /data/noise", sum(&noise()))), "{seen}");
    assert!(seen.contains(": corrected "), "the kernel says so: {seen}");
    assert!(seen.contains(&format!("devices={}", images.len())), "{seen}");
    assert_eq!(report.layers.len(), images.len());
    for layer in &report.layers {
        assert_eq!((layer.verified.as_str(), layer.corrects_errors), ("verity", true), "{layer:?}");
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_healed_and_the_kernel_says_so() -> Story {
    a_flipped_bit_is_healed("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn a_flipped_bit_is_healed_on_the_newer_kernel() -> Story {
    a_flipped_bit_is_healed("6.12")
}

fn a_flipped_bit_is_an_error(kernel: &str) -> Story {
    let (fixture, images) = fixture("detected", kernel, None)?;
    flip_a_bit(&damaged(&fixture, &images))?;
    let (seen, report) = told(&mut boot(&fixture)?)?;
    assert!(seen.contains("I/O error") || seen.contains("Input/output error"), "{seen}");
    assert!(seen.contains("is corrupted"), "the kernel says so: {seen}");
    assert!(report.layers.iter().all(|layer| layer.verified == "verity" && !layer.corrects_errors));
    Ok(())
}

/// Before the switch to the new root, and not by a panic of the kernel behind it: the layer, the file, the block and the remedy are told,
/// and what comes next is tried.
#[test]
fn an_init_that_is_damaged_beyond_repair_is_told_and_the_chain_goes_on() -> Story {
    let (fixture, images) = fixture("beyond-repair", "6.1", ROOTS)?;
    let busybox = fixture.store().image_path(&images[1]);
    // More than the code corrects: it spreads over three places of each codeword.
    let third = (images[1].size / 8) & !0xfff;
    (1..=5).try_for_each(|place| overwrite(&busybox, place * third, &[0x5a; 8192]))?;
    let look = "/run/lamina/bin/lamina report --ascii; dmesg | grep 'lamina: layers: '";
    fixture.profile_that_runs("small", &[], look)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one lamina.fallback=small quiet")?;
    guest.expect("step:    read init")?;
    guest.expect("object:  /story")?;
    let told = guest.expect("story: begin")?;
    let told: String = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "/bin/busybox cannot be read at byte ",
        "the image of busybox 1, which it comes from, is damaged",
        &format!(
            "copy the image of busybox 1 to the medium again: /run/lamina/medium/lamina/images/{}.sqfs",
            images[1].digest
        ),
        " is corrupted (layer busybox 1)",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let seen: String = guest.expect("story: end")?.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "read init: /story: ",
        "the kernel: device-mapper: verity: 7:",
        "is corrupted (layer busybox 1)",
        "lamina: layers: 25",
    ] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert!(!guest.text().contains("Attempted to kill init"));
    guest.expect_off()
}

/// A shared library of the real init, in another layer than the init.
#[test]
fn a_library_of_the_init_that_is_damaged_beyond_repair_is_told_with_its_layer() -> Story {
    let fixture = Fixture::new("verity-library")?;
    let file = |path: &str| fs::read(path).map_err(Failure::at(Path::new(path)));
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let tool = Layer::new("tool").program("/tool", file("/usr/bin/true")?)?.program(loader, file(loader)?)?;
    let library = "/lib/x86_64-linux-gnu/libc.so.6";
    let library = Layer::new("libc").program(library, file(library)?)?;
    let mut images = Vec::new();
    for plain in [fixture.store().add(&library)?, fixture.store().add(&tool)?] {
        images.push(fixture.store().protect(&plain, None)?);
    }
    fixture.store().profile(&ProfileText::new("one", &images).verify("verity").init("/tool"))?;
    overwrite(&fixture.store().image_path(&images[0]), images[0].size / 2, b"damage")?;
    boot(&fixture)?.expect_screen(&[
        "step:    read init",
        "object:  /tool",
        "/lib/x86_64-linux-gnu/libc.so.6 cannot be read at byte ",
        "the image of libc 1, which it comes from, is damaged",
        " is corrupted (layer libc 1)",
    ])?;
    Ok(())
}

/// Which file system it is, is told by the blocks that were healed, and not by the file.
#[test]
fn a_damaged_magic_is_healed() -> Story {
    let (fixture, images) = fixture("magic", "6.1", ROOTS)?;
    overwrite(&damaged(&fixture, &images), 0, &[0x5a; 8])?;
    let (seen, report) = told(&mut boot(&fixture)?)?;
    assert!(seen.contains(&format!("sum={} /data/noise", sum(&noise()))), "{seen}");
    assert_eq!(report.layers[2].file_system, "squashfs");
    Ok(())
}

#[test]
fn without_error_correction_a_flipped_bit_is_an_error_and_never_wrong_data() -> Story {
    a_flipped_bit_is_an_error("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn without_error_correction_a_flipped_bit_is_an_error_on_the_newer_kernel() -> Story {
    a_flipped_bit_is_an_error("6.12")
}

/// Debian's user-mode Linux: dm-verity, and no CONFIG_DM_VERITY_FEC.
#[test]
fn a_kernel_that_cannot_correct_errors_boots_the_same_images_and_says_so() -> Story {
    let (fixture, images) = fixture("no-correction", "6.1", ROOTS)?;
    flip_a_bit(&damaged(&fixture, &images))?;
    let init = artifacts::init()?;
    let archive = Archive::new().program("init", fs::read(&init).map_err(Failure::at(&init))?);
    let initramfs = fixture.scratch().join("uml.cpio");
    archive
        .modules(&["loop", "squashfs", "overlay", "dm_mod", "dm_bufio", "dm_verity"])?
        .write(&initramfs)?;
    let machine = Uml::new(&initramfs).disk(&fixture.disk()?);
    let log = log_folder()?.join("no-correction.log");
    let mut guest = machine.parameters("lamina.store=LABEL=LAMINA lamina.profile=one").boot(&log)?;
    let ended = guest.wait_for_any(&["story: end", "[p] power off"], Duration::from_secs(120));
    let text = guest.text();
    assert_eq!(ended, Ok(0), "{text}");
    let said = format!(
        "warning: this kernel corrects no errors (no CONFIG_DM_VERITY_FEC): damage in {} layers is noticed and not healed",
        images.len()
    );
    assert!(text.contains(&said), "{text}");
    assert!(text.contains("I/O error") || text.contains("Input/output error"), "{text}");
    let report = text.split_once("story: begin\n").and_then(|(_, rest)| rest.split_once('{'));
    let report = report.and_then(|(_, rest)| rest.split_once("report: end")).map_or("", |(report, _)| report);
    let report = BootReport::parse(&format!("{{{report}"))?;
    assert_eq!(report.layers.len(), images.len());
    assert!(report.layers.iter().all(|layer| layer.verified == "verity" && !layer.corrects_errors));
    Ok(())
}

/// The kernel 6.1 as a package that has no dm-verity.
fn kernel_without_verity(fixture: &Fixture) -> Result<Kernel, Failure> {
    let whole = artifacts::kernel("6.1")?;
    let folder = fixture.scratch().join("kernel");
    let status = Command::new("dpkg-deb").arg("-x").arg(&whole.package).arg(&folder).status();
    assert!(status.map_err(Failure::about("dpkg-deb"))?.success(), "{}", folder.display());
    let modules = folder.join("lib/modules");
    let release = fs::read_dir(&modules).map_err(Failure::at(&modules))?.flatten().next();
    let module = release.expect("one release").path().join("kernel/drivers/md/dm-verity.ko");
    fs::remove_file(&module).map_err(Failure::at(&module))?;
    Ok(Kernel {
        package: folder,
        digest: format!("{} without dm-verity", whole.digest),
        vmlinuz: whole.vmlinuz,
    })
}

#[test]
fn a_kernel_without_dm_verity_is_told_with_the_module_and_the_chain_goes_on() -> Story {
    let (fixture, _) = fixture("no-module", "6.1", ROOTS)?;
    fixture.profile_that_runs("small", &[], "echo small is up")?;
    let disk = fixture.disk()?;
    let start = |initramfs: &Initramfs, parameters: &str| {
        let parameters = format!("lamina.store=LABEL=LAMINA lamina.profile=one {parameters}");
        Guest::boot(&fixture.machine_with(&initramfs.write()?, &parameters)?.disk(&disk))
    };
    let initramfs = Initramfs::new(&kernel_without_verity(&fixture)?);
    let told = ["the kernel has no target verity", "the module dm-verity", "mkinitramfs --group verity"];
    let mut guest = start(&initramfs, "lamina.fallback=small")?;
    guest.expect("trying lamina.fallback=small")?;
    told.iter().for_each(|words| assert!(guest.text().contains(words), "{words}: {}", guest.text()));
    guest.expect("small is up")?;
    guest.expect_off()?;
    start(&initramfs, "")?.expect_screen(&told)?;
    let mut guest = start(&initramfs, "lamina.verify=digest")?;
    guest.expect(&format!("sum={} /data/noise", sum(&noise())))?;
    guest.expect_off()?;

    // Without device-mapper altogether, because somebody chose the modules.
    let mut initramfs = Initramfs::new(&artifacts::kernel("6.1")?);
    for group in ["core", "media", "vm"] {
        initramfs = initramfs.option("--group", Some(Path::new(group)));
    }
    start(&initramfs, "")?.expect_screen(&["the module dm-mod", "mkinitramfs --group verity"])?;
    Ok(())
}

#[test]
fn a_wrong_root_hash_is_refused_with_the_image_and_a_remedy() -> Story {
    let (fixture, mut images) = fixture("root-hash", "6.1", ROOTS)?;
    if let Some(tree) = &mut images[2].tree {
        tree.root_hash = "0123456789abcdef".repeat(4);
    }
    fixture.store().profile(&ProfileText::new("one", &images).verify("verity").init("/story"))?;
    boot(&fixture)?.expect_screen(&["noise 1", "I/O error", "lock the profile again"])?;
    Ok(())
}

/// Nothing is read from it: all that opening takes stands in the profile.
#[test]
fn an_image_whose_own_superblock_is_destroyed_boots() -> Story {
    let (fixture, images) = fixture("superblock", "6.1", ROOTS)?;
    for image in &images {
        let tree = image.tree.as_ref().expect("a protected image");
        overwrite(&fixture.store().image_path(image), tree.hash_offset(), &[0x5a; 4096])?;
    }
    let (seen, _) = told(&mut boot(&fixture)?)?;
    assert!(seen.contains(&format!("sum={} /data/noise", sum(&noise()))), "{seen}");
    assert!(!seen.contains(": corrected "), "{seen}");
    Ok(())
}

#[test]
fn protected_images_boot_unchecked_when_the_profile_says_so_and_the_console_tells() -> Story {
    let (fixture, images) = fixture("none", "6.1", ROOTS)?;
    fixture.store().profile(&ProfileText::new("one", &images).verify("none").init("/story"))?;
    // Also with `quiet`: who looks at the console must not take it for a boot like others.
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one quiet")?;
    guest.expect("lamina: warning: verify \"none\": the images are not checked")?;
    let (seen, report) = told(&mut guest)?;
    assert!(seen.contains("devices=0"), "{seen}");
    assert!(report.layers.iter().all(|layer| layer.verified == "none"), "{report:?}");
    Ok(())
}

#[test]
fn protected_images_are_hashed_whole_when_the_profile_says_so() -> Story {
    let (fixture, images) = fixture("digest", "6.1", ROOTS)?;
    fixture.store().profile(&ProfileText::new("one", &images).verify("digest").init("/story"))?;
    let (seen, report) = told(&mut boot(&fixture)?)?;
    assert!(seen.contains("devices=0"), "{seen}");
    assert!(report.layers.iter().all(|layer| layer.verified == "digest"), "{report:?}");
    Ok(())
}

/// Also a byte of the hash tree, which a file system does not read, counts for the digest.
#[test]
fn a_damaged_hash_tree_is_healed_too() -> Story {
    let (fixture, images) = fixture("tree", "6.1", ROOTS)?;
    let tree = images[2].tree.as_ref().expect("a protected image");
    overwrite(&damaged(&fixture, &images), tree.hash_offset() + 4096 + 100, b"damage")?;
    let (seen, _) = told(&mut boot(&fixture)?)?;
    assert!(seen.contains(&format!("sum={} /data/noise", sum(&noise()))), "{seen}");
    assert!(seen.contains(": corrected "), "the kernel says so: {seen}");
    Ok(())
}
