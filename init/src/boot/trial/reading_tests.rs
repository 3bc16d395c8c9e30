use super::*;
use std::fs;

use profiles::Digest;

fn candidate(role: Role, place: Place, digest: Option<Digest>) -> Candidate {
    let wanted = WantedProfile { name: Name::parse("web").unwrap(), digest };
    Candidate { role, place, wanted: Some(wanted) }
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
    let lend = |place, digest, required| {
        let mut trust = Trust::default();
        trust.required = required;
        lender(
            Ok(&Store::open(place, store.path(), "")),
            &candidate(Role::Asked, place, digest),
            &trust,
            &Name::parse("tools").unwrap(),
        )
    };
    assert!(lend(Place::Medium, None, false).is_ok());
    for required in [false, true] {
        let failure = lend(Place::Medium, digest, required).unwrap_err();
        assert!(failure.why.contains("nothing vouches for the profile `tools`"), "{failure:?}");
    }
    assert!(lend(Place::Medium, None, true).unwrap_err().why.contains("is not signed"));
    // As the profiles of the initramfs themselves.
    assert!(lend(Place::Initramfs, digest, false).is_ok() && lend(Place::Initramfs, None, true).is_ok());
}
