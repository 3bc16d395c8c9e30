//! How many layers a stack may have, and of which file systems.

use qemu_tests::Story;
use qemu_tests::fixture::Fixture;
use qemu_tests::report::BootReport;
use qemu_tests::store::{ImageLine, Layer, ProfileText};

/// The most that overlayfs joins: OVL_MAX_STACK of the kernel's `fs/overlayfs/params.h`.
const MOST: usize = 500;

/// A fixture with a profile `many` of `count` layers, of which each has one file of its own and the file `/data/top`.
fn many_layers(kernel: &str, count: usize, verify: &str) -> Result<Fixture, qemu_tests::Failure> {
    let fixture = Fixture::on_kernel(&format!("layers-{count}-{verify}-{kernel}"), kernel)?;
    let mut images = fixture.small_system()?;
    let look = "echo top=$(cat /data/top) files=$(ls /data | wc -l) layers=$(ls /run/lamina/layers | wc -l)";
    let script = fixture.script_layer("many", look)?;
    for number in 0..count - images.len() - 1 {
        let text = number.to_string();
        let layer = Layer::new(&format!("layer-{number:03}"));
        let layer = layer.file(&format!("/data/{number:03}"), &text)?.file("/data/top", &text)?;
        images.push(fixture.store().add(&layer)?);
    }
    images.push(script);
    if verify == "verity" {
        images =
            images.iter().map(|line| fixture.store().protect(line, Some(2))).collect::<Result<_, _>>()?;
    }
    assert_eq!(images.len(), count);
    fixture.store().profile(&ProfileText::new("many", &images).verify(verify).init("/story"))?;
    Ok(fixture)
}

/// Layers need memory: about 0.75 MB for each squashfs.
const MEMORY_MIB: u32 = 2048;

fn as_many_as_the_kernel_joins(kernel: &str, verify: &str) -> Story {
    let fixture = many_layers(kernel, MOST, verify)?;
    let parameters = "lamina.store=LABEL=LAMINA lamina.profile=many";
    let machine = fixture.machine(parameters)?.memory_mib(MEMORY_MIB).disk(&fixture.disk()?);
    let mut guest = qemu_tests::guest::Guest::boot(&machine)?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    // Without base-files, busybox and the script.
    assert_eq!(seen.trim(), "top=496 files=498 layers=500");
    guest.expect_off()
}

/// All names in one option string, which mount(2) cuts at 4095 bytes.
#[test]
fn five_hundred_layers_are_one_system() -> Story {
    as_many_as_the_kernel_joins("6.1", "none")
}

/// Each layer on its own, by `lowerdir+`.
#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn five_hundred_layers_are_one_system_on_the_newer_kernel() -> Story {
    as_many_as_the_kernel_joins("6.12", "none")
}

/// Without the check the kernel panics: `System is deadlocked on memory`.
#[test]
fn more_layers_than_the_memory_holds_give_way_to_a_smaller_profile() -> Story {
    for verify in ["none", "verity"] {
        let fixture = many_layers("6.1", 400, verify)?;
        fixture.profile_that_runs("small", &[], "echo here is the small one")?;
        let parameters = "lamina.store=LABEL=LAMINA lamina.profile=many lamina.fallback=small";
        let machine = fixture.machine(parameters)?.memory_mib(256).disk(&fixture.disk()?);
        let mut guest = qemu_tests::guest::Guest::boot(&machine)?;
        guest.expect("the memory is used up: ")?;
        guest.expect("boot a profile with fewer layers")?;
        guest.expect("here is the small one")?;
        guest.expect_off()?;
    }
    Ok(())
}

/// As many loop devices and as many dm devices.
#[test]
fn five_hundred_layers_are_checked_by_dm_verity() -> Story {
    as_many_as_the_kernel_joins("6.12", "verity")
}

#[test]
fn one_layer_too_many_is_refused_with_a_sentence() -> Story {
    let fixture = many_layers("6.1", MOST + 1, "none")?;
    let parameters = "lamina.store=LABEL=LAMINA lamina.profile=many";
    let machine = fixture.machine(parameters)?.memory_mib(MEMORY_MIB).disk(&fixture.disk()?);
    let mut guest = qemu_tests::guest::Guest::boot(&machine)?;
    guest.expect_screen(&[
        "501 nodes 'image', overlayfs takes at most 500 layers",
        "join several into one image",
    ])?;
    Ok(())
}

/// A layer with a whole small system in it: a shell, and the folders that a root needs.
fn whole_system(fixture: &Fixture, name: &str) -> Result<Layer, qemu_tests::Failure> {
    let busybox = fixture.busybox_bytes()?;
    let mut layer = Layer::new(name).program("/bin/busybox", busybox)?;
    for folder in ["/dev", "/proc", "/sys", "/run", "/newroot"] {
        layer = layer.folder(folder)?;
    }
    let look = "grep ' / ' /proc/mounts; echo new > /new || echo refused; cat /run/lamina/report.json";
    let lines = format!(
        "#!/bin/busybox sh\nexport PATH=/bin\nbb() {{ /bin/busybox \"$@\"; }}\necho story: begin\n{}\necho; echo report: end\nbb poweroff -f\n",
        look.replace("grep", "bb grep").replace("cat", "bb cat")
    );
    layer.program("/story", lines.into_bytes())
}

fn one_layer(
    name: &str,
    kernel: &str,
    write: impl Fn(&Fixture, &Layer) -> Result<ImageLine, qemu_tests::Failure>,
) -> Result<(String, BootReport), qemu_tests::Failure> {
    let fixture = Fixture::on_kernel(&format!("one-{name}-{kernel}"), kernel)?;
    let image = write(&fixture, &whole_system(&fixture, name)?)?;
    let verify = if image.tree.is_some() { "verity" } else { "digest" };
    fixture.store().profile(&ProfileText::new("one", &[image]).read_only().verify(verify).init("/story"))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one")?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("{")?;
    let report = guest.expect("report: end")?;
    guest.expect_off()?;
    Ok((seen, BootReport::parse(&format!("{{{report}"))?))
}

#[test]
fn one_layer_without_a_top_is_the_root_itself() -> Story {
    let (seen, _) = one_layer("squashfs", "6.1", |fixture, layer| fixture.store().add(layer))?;
    assert!(seen.contains(" / squashfs ro") && seen.contains("refused"), "{seen}");
    Ok(())
}

#[test]
fn an_erofs_image_is_read_from_its_file_where_the_kernel_can() -> Story {
    let (seen, report) = one_layer("erofs", "6.12", |fixture, layer| fixture.store().add_erofs(layer))?;
    assert!(seen.contains(" / erofs ro") && !seen.contains("/dev/loop"), "{seen}");
    assert_eq!(report.layers[0].file_system, "erofs");
    Ok(())
}

#[test]
fn an_erofs_image_gets_a_loop_device_on_the_older_kernel() -> Story {
    let (seen, report) = one_layer("erofs", "6.1", |fixture, layer| fixture.store().add_erofs(layer))?;
    assert!(seen.contains("/dev/loop0 / erofs ro"), "{seen}");
    assert_eq!(report.layers[0].file_system, "erofs");
    Ok(())
}

#[test]
fn an_erofs_image_is_checked_by_dm_verity() -> Story {
    let (seen, report) = one_layer("erofs-verity", "6.1", |fixture, layer| {
        fixture.store().protect(&fixture.store().add_erofs(layer)?, Some(2))
    })?;
    assert!(seen.contains("/dev/dm-0 / erofs ro"), "{seen}");
    assert_eq!(
        (report.layers[0].file_system.as_str(), report.layers[0].verified.as_str()),
        ("erofs", "verity")
    );
    Ok(())
}

#[test]
fn erofs_and_squashfs_are_layers_of_one_stack() -> Story {
    let fixture = Fixture::on_kernel("mixed-layers", "6.12")?;
    let mut images = fixture.small_system()?;
    let layer = |name: &str| Layer::new(name).file("/data/who", name)?.file(&format!("/data/{name}"), name);
    images.push(fixture.store().add_erofs(&layer("lower")?)?);
    images.push(fixture.store().add(&layer("middle")?)?);
    images.push(fixture.store().add_erofs(&layer("upper")?.whiteout("/data/middle")?)?);
    images.push(fixture.script_layer("mixed", "cd /data; echo who=$(cat who) names=$(echo *)")?);
    fixture.store().profile(&ProfileText::new("mixed", &images).init("/story"))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=mixed")?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    assert_eq!(seen.trim(), "who=upper names=lower upper who");
    guest.expect_off()
}
