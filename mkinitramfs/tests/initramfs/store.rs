//! Packing a store: the newest generation of each profile, with its images, all checked.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::FileExt;

use crate::fixture::Fixture;
use mkinitramfs::{Request, list};
use profiles::{Digest, Name};
use sha2::{Digest as _, Sha256};

/// Puts an image and a profile with it into the fixture's store.
fn put_profile(fixture: &Fixture, name: &str, generation: u64, image: &[u8]) -> String {
    let digest = Digest::from_bytes(Sha256::digest(image).into());
    fixture.put(&format!("store/images/{}.sqfs", digest.hex()), image);
    let text = format!(
        "profile \"{name}\" format=1 {{\n    image \"all\" version=\"1\" digest=\"{digest}\" size={}\n    \
         root writable=\"no\"\n    verify \"digest\"\n    init \"/init\"\n}}\n",
        image.len()
    );
    fixture.put(&format!("store/profiles/{name}/{generation}.kdl"), text.as_bytes());
    digest.hex()
}

fn request(fixture: &Fixture, profiles: &[&str]) -> Request {
    let mut request = fixture.request();
    request.store = Some(fixture.path("store"));
    request.profiles = profiles.iter().map(|name| Name::parse(name).expect("a name")).collect();
    request
}

#[test]
fn the_newest_generations_go_in_with_their_images_once() {
    let fixture = Fixture::new();
    put_profile(&fixture, "web", 9, b"old image");
    let shared = put_profile(&fixture, "web", 10, b"shared image");
    put_profile(&fixture, "console", 1, b"shared image");
    let plan = request(&fixture, &[]).plan().expect("a plan");
    assert_eq!(plan.profiles, ["console generation 1", "web generation 10"]);
    plan.write(1, &fixture.path("out.img")).expect("written");
    let listed: Vec<_> =
        list(&fixture.path("out.img")).expect("listed").entries.into_iter().map(|entry| entry.path).collect();
    let packed: Vec<&str> = listed
        .iter()
        .map(String::as_str)
        .filter(|path| path.starts_with("lamina/") && path.contains('.'))
        .collect();
    let image = format!("lamina/images/{shared}.sqfs");
    assert_eq!(packed, [image.as_str(), "lamina/profiles/console/1.kdl", "lamina/profiles/web/10.kdl"]);
}

#[test]
fn only_the_named_profiles_go_in() {
    let fixture = Fixture::new();
    put_profile(&fixture, "web", 1, b"one");
    put_profile(&fixture, "console", 1, b"two");
    assert_eq!(request(&fixture, &["web"]).plan().expect("a plan").profiles, ["web generation 1"]);
    let refusal = fixture.refusal(&request(&fixture, &["wbe"]));
    assert!(
        refusal.starts_with("DIR/store/profiles: has no resolved profile 'wbe' (did you mean 'web'?)"),
        "{refusal}"
    );
}

#[test]
fn missing_and_damaged_images_are_named() {
    let fixture = Fixture::new();
    let digest = put_profile(&fixture, "web", 1, b"image");
    let path = fixture.path(&format!("store/images/{digest}.sqfs"));
    for (bytes, expected) in [
        (&b"imagf"[..], "image 'all' of profile 'web': has the digest sha256:"),
        (b"imag", "image 'all' of profile 'web': has 4 bytes, the profile says 5"),
    ] {
        fs::write(&path, bytes).expect("damage");
        let refusal = fixture.refusal(&request(&fixture, &[]));
        assert!(refusal.contains(&format!("{digest}.sqfs: {expected}")), "{refusal}");
    }
    fs::remove_file(&path).expect("removed");
    let refusal = fixture.refusal(&request(&fixture, &[]));
    assert!(refusal.contains("image 'all' of profile 'web': No such file"), "{refusal}");
}

/// A protected image with one wrong byte is mended; one with too many is refused; one that changes after it was checked is not written.
#[test]
fn a_damaged_image_is_mended_in_what_is_packed_or_refused() {
    let fixture = Fixture::new();
    let file = tempfile::tempfile().expect("a file");
    let data: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    file.write_all_at(&data, 0).expect("data");
    let format = verity::Format::new([7; 32]);
    let made = verity::append(&file, data.len() as u64, &format, NonZero::<usize>::MIN).expect("a tree");
    let mut image = vec![0; made.layout.total_len as usize];
    file.read_exact_at(&mut image, 0).expect("an image");
    let digest = put_profile(&fixture, "web", 1, &image);
    let text = fs::read_to_string(fixture.path("store/profiles/web/1.kdl")).expect("a profile");
    let numbers = format!(
        "size={} root-hash=\"{}\" salt=\"{}\" data-blocks={} fec-roots=2\n",
        image.len(),
        Digest::from_bytes(made.root_hash).hex(),
        Digest::from_bytes(made.salt).hex(),
        made.layout.data_blocks
    );
    let text = text.replace(&format!("size={}\n", image.len()), &numbers);
    fixture.put("store/profiles/web/1.kdl", text.as_bytes());
    let path = fixture.path(&format!("store/images/{digest}.sqfs"));
    let damage = |offsets: &mut dyn Iterator<Item = usize>| {
        let mut bytes = image.clone();
        offsets.for_each(|offset| bytes[offset] ^= 1);
        fs::write(&path, bytes).expect("damage");
    };
    let packed = |name: &str| {
        let plan = request(&fixture, &["web"]).plan().expect("a plan");
        let warnings = plan.warnings.join("\n");
        plan.write(1, &fixture.path(name)).expect("written");
        (fs::read(fixture.path(name)).expect("an archive"), warnings)
    };
    damage(&mut [].into_iter());
    let (sound, before) = packed("sound.img");
    damage(&mut [5000, 100_000].into_iter());
    let (mended, warnings) = packed("mended.img");
    assert!(mended == sound && !before.contains("mended"));
    assert!(
        warnings.contains("image 'all': 2 damaged blocks, mended by error correction in what was packed"),
        "{warnings}"
    );
    damage(&mut (0..100_000).step_by(4096));
    let refusal = fixture.refusal(&request(&fixture, &["web"]));
    assert!(refusal.contains("and error correction cannot mend it: data block"), "{refusal}");
    damage(&mut [].into_iter());
    let plan = request(&fixture, &["web"]).plan().expect("a plan");
    damage(&mut [5000].into_iter());
    let refusal = plan.write(1, &fixture.path("late.img")).expect_err("changed").to_string();
    assert!(refusal.contains("changed while it was read") && !fixture.path("late.img").exists(), "{refusal}");
}

#[test]
fn a_bad_profile_is_shown_with_its_place() {
    let fixture = Fixture::new();
    fixture.put("store/profiles/web/1.kdl", b"profile \"web\" format=1 {\n    imge \"x\"\n}\n");
    let refusal = fixture.refusal(&request(&fixture, &[]));
    assert!(
        refusal.contains("DIR/store/profiles/web/1.kdl:2:5: error: unknown node 'imge' in 'profile'"),
        "{refusal}"
    );
}

#[test]
fn a_folder_that_is_no_store_is_refused() {
    let fixture = Fixture::new();
    fixture.put("store/readme", b"");
    let refusal = fixture.refusal(&request(&fixture, &[]));
    assert!(refusal.contains("--store takes a folder with profiles/ and images/ in it"), "{refusal}");
    fs::create_dir(fixture.path("store/profiles")).expect("a folder");
    let refusal = fixture.refusal(&request(&fixture, &[]));
    assert!(refusal.starts_with("DIR/store/profiles: holds no resolved profile"), "{refusal}");
}
