use super::*;
use std::fs;

use profiles::Digest;

fn candidate(role: Role, origin: Origin, digest: Option<Digest>) -> Candidate {
    let wanted = WantedProfile { name: Name::parse("web").unwrap(), digest };
    Candidate { role, origin, wanted: Some(wanted) }
}

#[test]
fn an_image_of_another_profile_needs_as_much_trust_as_the_profile() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().join("profiles/tools");
    fs::create_dir_all(&folder).unwrap();
    let image = format!("image \"lua\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
    let text = format!(
        "profile \"tools\" format=1 {{\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
    );
    fs::write(folder.join("1.kdl"), text).unwrap();
    let digest = Some(Digest::from_bytes([1; 32]));
    let lend = |origin, digest, required| {
        let mut trust = Trust::default();
        trust.required = required;
        lender(
            Ok(&Store::open(origin, store.path(), "")),
            &candidate(Role::Asked, origin, digest),
            &trust,
            &Name::parse("tools").unwrap(),
        )
    };
    assert!(lend(Origin::Medium, None, false).is_ok());
    for required in [false, true] {
        let failure = lend(Origin::Medium, digest, required).unwrap_err();
        assert!(failure.why.contains("nothing vouches for the profile `tools`"), "{failure:?}");
    }
    assert!(lend(Origin::Medium, None, true).unwrap_err().why.contains("is not signed"));
    // As the profiles of the initramfs themselves.
    assert!(lend(Origin::Initramfs, digest, false).is_ok() && lend(Origin::Initramfs, None, true).is_ok());
}
