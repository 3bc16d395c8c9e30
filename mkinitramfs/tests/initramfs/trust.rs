//! Keys, required signatures, and the program that makes state file systems.

use std::process::Command;

use crate::fixture::Fixture;
use mkinitramfs::{Request, Source};

/// Runs Debian's minisign in the fixture's folder.
fn minisign(fixture: &Fixture, arguments: &[&str]) {
    let output = Command::new("minisign").args(arguments).current_dir(fixture.folder.path()).output();
    let output = output.expect("minisign makes the keys: apt-get install minisign");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A fixture with the keys `site` and `other`, and a profile without a real image in the store.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for name in ["site", "other"] {
        minisign(&fixture, &["-G", "-W", "-p", &format!("{name}.pub"), "-s", name]);
    }
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    fixture.put("store/images/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sqfs", b"");
    let text = format!(
        "profile \"web\" format=1 {{\n    image \"all\" version=\"1\" digest=\"sha256:{hex}\" size=1\n    \
         root writable=\"no\"\n    verify \"digest\"\n    init \"/init\"\n}}\n"
    );
    fixture.put("store/profiles/web/1.kdl", text.as_bytes());
    fixture
}

fn bytes(request: &Request, path: &str) -> Option<String> {
    let plan = request.plan().expect("a plan");
    match &plan.contents.get(path)?.source {
        Source::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn keys_and_the_rule_are_fixed_in_the_initramfs() {
    let fixture = fixture();
    let mut request = fixture.request();
    let about = |request: &Request| bytes(request, "etc/lamina/initramfs.kdl").expect("the contract");
    assert_eq!(about(&request), "initramfs format=1 kernel=\"6.1.0-test\"\n");
    request.keys = vec![fixture.path("site.pub"), fixture.path("other.pub")];
    assert_eq!(about(&request), "initramfs format=1 kernel=\"6.1.0-test\"\n");
    for name in ["site", "other"] {
        let key = std::fs::read_to_string(fixture.path(&format!("{name}.pub"))).expect("the key");
        assert_eq!(bytes(&request, &format!("etc/lamina/keys/{name}.pub")), Some(key));
    }
    request.require_signatures = true;
    assert_eq!(about(&request), "initramfs format=1 kernel=\"6.1.0-test\" signatures=\"required\"\n");
    let shown = request.plan().expect("a plan").to_string();
    assert!(shown.contains("  key site.pub, whose signatures of profiles are accepted\n"), "{shown}");
}

#[test]
fn what_is_no_key_is_refused() {
    let fixture = fixture();
    let mut request = fixture.request();
    request.require_signatures = true;
    let refusal = fixture.refusal(&request);
    assert!(refusal.contains("there is no key") && refusal.contains("--public-key FILE"), "{refusal}");
    request.keys = vec![fixture.path("site")];
    let refusal = fixture.refusal(&request);
    assert!(refusal.starts_with("DIR/site: is no public key: "), "{refusal}");
    request.keys = vec![fixture.path("site.pub"), fixture.path("site.pub")];
    assert!(fixture.refusal(&request).contains("a second key is called 'site'"));
}

#[test]
fn a_packed_profile_that_init_would_refuse_is_refused_here() {
    let fixture = fixture();
    let mut request = fixture.request();
    (request.store, request.keys) = (Some(fixture.path("store")), vec![fixture.path("site.pub")]);
    // The fixture's image has not the size that its profile says: whoever passes the signature ends there.
    let passes = |request: &Request| fixture.refusal(request).contains("has 0 bytes, the profile says 1");
    assert!(passes(&request), "a signature is not required");
    request.require_signatures = true;
    let refusal = fixture.refusal(&request);
    assert!(refusal.starts_with("DIR/store/profiles/web/1.kdl: is not signed"), "{refusal}");
    let profile = "store/profiles/web/1.kdl";
    minisign(&fixture, &["-S", "-W", "-s", "other", "-m", profile]);
    let refusal = fixture.refusal(&request);
    assert!(refusal.starts_with("DIR/store/profiles/web/1.kdl.minisig: is by none of the keys"), "{refusal}");
    minisign(&fixture, &["-S", "-W", "-s", "site", "-m", profile]);
    assert!(passes(&request));
}

#[test]
fn a_signature_travels_with_its_profile() {
    let fixture = fixture();
    let text = std::fs::read_to_string(fixture.path("store/profiles/web/1.kdl")).expect("the profile");
    let image = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let digest = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    fixture.put(&format!("store/images/{digest}.sqfs"), &[0]);
    fixture.put("store/profiles/web/1.kdl", text.replace(image, digest).as_bytes());
    minisign(&fixture, &["-S", "-W", "-s", "site", "-m", "store/profiles/web/1.kdl"]);
    let mut request = fixture.request();
    request.store = Some(fixture.path("store"));
    let signature =
        std::fs::read_to_string(fixture.path("store/profiles/web/1.kdl.minisig")).expect("signed");
    assert_eq!(bytes(&request, "lamina/profiles/web/1.kdl.minisig"), Some(signature));
}

#[test]
fn which_profiles_boot_and_whether_there_is_a_shell_are_fixed_too() {
    let fixture = fixture();
    let mut request = fixture.request();
    request.keys = vec![fixture.path("site.pub")];
    request.require_signatures = true;
    request.allowed_profiles =
        ["kiosk,key=site,lowest=7", "rescue"].map(|text| text.parse().expect("a rule")).into();
    assert_eq!(
        bytes(&request, "etc/lamina/initramfs.kdl").expect("the contract"),
        "initramfs format=1 kernel=\"6.1.0-test\" signatures=\"required\" {\n    profile \"kiosk\" key=\"site\" lowest=7\n    \
         profile \"rescue\"\n}\n"
    );
    let refused = |request: &Request| request.plan().expect_err("a rule that nothing could keep").to_string();
    request.allowed_profiles = vec!["kiosk,key=other".parse().expect("a rule")];
    assert!(refused(&request).starts_with("--allow-profile kiosk: there is no key 'other'\nhelp: "));
    request.allowed_profiles = ["a", "a"].map(|text| text.parse().expect("a rule")).into();
    assert!(refused(&request).contains("the profile is named twice"));
    request.allowed_profiles = Vec::new();
    request.allow_shell = true;
    let about = bytes(&request, "etc/lamina/initramfs.kdl").expect("the contract");
    assert!(about.ends_with(" signatures=\"required\" shell=\"allowed\"\n"), "{about}");
}
