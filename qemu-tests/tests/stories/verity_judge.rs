//! Debian's `veritysetup` opens the images that Lamina writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use qemu_tests::artifacts;
use qemu_tests::fixture::Fixture;
use qemu_tests::store::{HashTree, ImageLine, Layer, ProfileText};
use qemu_tests::{Failure, Story};

use crate::verity::{ROOTS, boot, noise, sum};

/// A program of this machine with the libraries that it needs, as a layer: all in the folder `/judge`, with the loader.
fn judge(program: &str) -> Result<Layer, Failure> {
    let listed = Command::new("ldd").arg(program).output().map_err(Failure::about("ldd"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries =
        listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    [program].into_iter().chain(libraries).try_fold(Layer::new("judge"), |layer, path| {
        let bytes = fs::read(path).map_err(Failure::at(Path::new(path)))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        layer.program(&format!("/judge/{name}"), bytes)
    })
}

/// An image with the noise as `lamina image create` writes it.
fn image_of_lamina(fixture: &Fixture) -> Result<ImageLine, Failure> {
    let (folder, image) = (fixture.scratch().join("tree"), fixture.scratch().join("noise.sqfs"));
    fs::create_dir_all(folder.join("data")).map_err(Failure::at(&folder))?;
    fs::write(folder.join("data/noise"), noise()).map_err(Failure::at(&folder))?;
    let mut create = Command::new(artifacts::lamina()?);
    let made = create.args(["image", "create", "--json"]).arg(&folder).arg("-o").arg(&image);
    let made = made.output().map_err(Failure::about("lamina image create"))?;
    let told: serde_json::Value =
        serde_json::from_slice(&made.stdout).map_err(Failure::about("lamina image create"))?;
    let verity = &told["verity"];
    let text = |name: &str| verity[name].as_str().unwrap_or_default().to_owned();
    let tree = HashTree {
        root_hash: text("root_hash"),
        salt: text("salt"),
        data_blocks: verity["data_blocks"].as_u64().unwrap_or_default(),
        fec_roots: verity["fec_roots"].as_u64().and_then(|roots| u8::try_from(roots).ok()),
    };
    let layout = [tree.hash_offset(), tree.fec_offset()].map(Some);
    assert_eq!([verity["hash_offset"].as_u64(), verity["fec_offset"].as_u64()], layout);
    Ok(ImageLine { tree: Some(tree), ..fixture.store().adopt("noise", &image)? })
}

#[test]
fn veritysetup_opens_the_images_of_a_store_as_they_are() -> Story {
    let fixture = Fixture::new("verity-judge")?;
    let mut plain = fixture.small_system()?;
    plain.push(fixture.store().add(&judge("/usr/sbin/veritysetup")?)?);
    let noise_image = image_of_lamina(&fixture)?;
    let tree = noise_image.tree.clone().expect("a protected image");
    let image = format!("/run/lamina/medium/lamina/images/{}.sqfs", noise_image.digest);
    let options = tree.options(&image).join(" ");
    let look = format!(
        "export DM_DISABLE_UDEV=1; mkdir -p /tmp/judged; cd /judge\n\
         ./ld-linux-x86-64.so.2 --library-path /judge ./veritysetup open {image} judged {image} {} {options} 2>&1\n\
         mount -t squashfs -o ro /dev/mapper/judged /tmp/judged 2>&1 && sha256sum /tmp/judged/data/noise",
        tree.root_hash
    );
    plain.push(fixture.script_layer("judge", &look)?);
    let mut images =
        plain.iter().map(|line| fixture.store().protect(line, ROOTS)).collect::<Result<Vec<_>, _>>()?;
    images.insert(2, noise_image);
    fixture.store().profile(&ProfileText::new("one", &images).verify("verity").init("/story"))?;
    let mut guest = boot(&fixture)?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    assert!(seen.contains(&format!("{}  /tmp/judged/data/noise", sum(&noise()))), "{seen}");
    guest.expect_off()
}
