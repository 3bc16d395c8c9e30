//! Packing a store: the newest generation of each profile, with its images, all checked.

use std::fs;

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
        list(&fixture.path("out.img")).expect("listed").into_iter().map(|entry| entry.path).collect();
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
