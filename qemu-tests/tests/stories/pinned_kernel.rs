//! A profile that names its kernel: the modules of that kernel come with it, and on another one something else boots.

use std::process::Command;

use qemu_tests::Story;
use qemu_tests::artifacts;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::Fixture;
use qemu_tests::store::{ImageLine, ProfileText, TestStore};
use serde_json::Value;

/// What `lamina kernel import` says of the kernel of a series, whose image of modules is taken into the story's store.
fn import(fixture: &Fixture, series: &str) -> Result<(Value, ImageLine), Failure> {
    let store = TestStore::create(&fixture.scratch().join("imported"))?;
    let mut command = Command::new(artifacts::lamina()?);
    command
        .args(["kernel", "import", "--json", "--name", "linux-test"])
        .arg(artifacts::kernel(series)?.package);
    let output = command.env("LAMINA_STORE", store.folder()).output().map_err(Failure::about("lamina"))?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
    }
    let kernel: Value = serde_json::from_slice(&output.stdout).map_err(Failure::about("its JSON"))?;
    let modules = &kernel["modules"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let image = ImageLine {
        name: text(&modules["name"]),
        digest: text(&modules["digest"]).trim_start_matches("sha256:").to_owned(),
        size: modules["size"].as_u64().unwrap_or_default(),
        tree: None,
    };
    fixture.store().take(&image, store.folder())?;
    Ok((kernel, image))
}

/// The node of a resolved profile, as ARCHITECTURE.md has it.
fn node(kernel: &Value, release: &str) -> String {
    let (name, digest, size) = (&kernel["name"], &kernel["digest"], &kernel["size"]);
    format!("kernel {name} release=\"{release}\" digest={digest} size={size}")
}

#[test]
fn a_profile_boots_on_its_kernel_with_its_modules_and_gives_way_on_another() -> Story {
    let fixture = Fixture::new("pinned-kernel")?;
    let (kernel, modules) = import(&fixture, "6.1")?;
    let release = kernel["release"].as_str().unwrap_or_default();
    let mut images = vec![modules];
    images.extend(fixture.small_system()?);
    let other = ProfileText::new("other", &images).kernel(&node(&kernel, "6.12.0-other"));
    fixture.store().profile(&other.init("/sbin/init"))?;
    // None of it is in the initramfs: it comes from the bottom layer of the stack.
    let lines = "uname -r\nmodprobe dummy && grep '^dummy ' /proc/modules\nls /lib/modules";
    images.push(fixture.script_layer("own", lines)?);
    let own = ProfileText::new("own", &images).kernel(&node(&kernel, release));
    fixture.store().profile(&own.init("/story"))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=other lamina.fallback=own")?;
    guest
        .expect(&format!("the profile was made for kernel 6.12.0-other, and kernel {release} is running"))?;
    guest.expect("boot the kernel that it was made for")?;
    guest.expect("trying lamina.fallback=own")?;
    guest.expect("story: begin")?;
    let seen = guest.expect("story: end")?;
    assert!(seen.contains(release) && seen.contains("dummy "), "{seen}");
    guest.expect_off()
}
