use super::*;
use profiles::Name;

use crate::request::WantedProfile;
use crate::store::{Origin, Store};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PROFILE: &[u8] = b"profile \"web\" format=1 {}\n";

/// A folder with key pairs and signatures of Debian's minisign.
struct Signers {
    folder: tempfile::TempDir,
}

impl Signers {
    fn new(names: &[&str]) -> Self {
        let signers = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(signers.path("keys")).unwrap();
        for name in names {
            let public = signers.path(&format!("{name}.pub"));
            minisign(&[
                Path::new("-G"),
                Path::new("-W"),
                Path::new("-p"),
                &public,
                Path::new("-s"),
                &signers.path(name),
            ]);
        }
        signers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the public key among those of the initramfs.
    fn packed(self, name: &str) -> Self {
        fs::copy(self.path(&format!("{name}.pub")), self.path(&format!("keys/{name}.pub"))).unwrap();
        self
    }

    fn trust(&self, required: bool) -> Trust {
        Trust::read_from(&self.path("keys"), required).unwrap()
    }

    /// The signature of these bytes, with more options.
    fn signed(&self, name: &str, bytes: &[u8], more: &[&str]) -> String {
        let file = self.path("file");
        fs::write(&file, bytes).unwrap();
        let mut arguments = vec![Path::new("-S"), Path::new("-s")];
        let key = self.path(name);
        arguments.extend([key.as_path(), Path::new("-m"), &file]);
        arguments.extend(more.iter().map(Path::new));
        minisign(&arguments);
        fs::read_to_string(self.path("file.minisig")).unwrap()
    }
}

fn minisign(arguments: &[&Path]) {
    let output = Command::new("minisign").args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("minisign, which Debian's package `minisign` has: make deps-test");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn why<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.unwrap_err();
    assert!(!failure.remedies.is_empty(), "{failure:?}");
    failure.why
}

#[test]
fn any_key_of_the_initramfs_may_have_signed() {
    let signers = Signers::new(&["old", "new"]).packed("old").packed("new");
    for required in [true, false] {
        let trust = signers.trust(required);
        for name in ["old", "new"] {
            let signature = signers.signed(name, PROFILE, &[]);
            let signed = trust.check(PROFILE, Some(&signature)).unwrap().unwrap();
            assert_eq!((signed.by.as_str(), signed.claim()), (name, None));
        }
    }
}

/// Also where no signature is required: somebody meant it to be checked.
#[test]
fn a_wrong_signature_is_refused_everywhere() {
    let signers = Signers::new(&["ours", "theirs"]).packed("ours");
    for required in [true, false] {
        let trust = signers.trust(required);
        let not_ours = "the signature is not by a key of this initramfs, or the profile was changed";
        let good = signers.signed("ours", PROFILE, &[]);
        let tampered = trust.check(b"profile \"web\" format=1 { }\n", Some(&good));
        // Nobody is told to sign what somebody else changed.
        assert!(
            tampered
                .as_ref()
                .is_err_and(|failure| failure.remedies[0].starts_with("copy the original profile back"))
        );
        assert_eq!(why(tampered), not_ours);
        assert_eq!(why(trust.check(PROFILE, Some(&signers.signed("theirs", PROFILE, &[])))), not_ours);
        // The comment that is trusted is signed too.
        let comment = signers.signed("ours", PROFILE, &["-t", "generation 1"]);
        assert_eq!(
            why(trust.check(PROFILE, Some(&comment.replace("generation 1", "generation 2")))),
            not_ours
        );
        // The old format signs the bytes and not their hash.
        let legacy = signers.signed("ours", PROFILE, &["-l"]);
        assert_eq!(why(trust.check(PROFILE, Some(&legacy))), not_ours);
        for garbage in ["", "untrusted comment: x\n", &good[..good.len() / 2]] {
            assert!(why(trust.check(PROFILE, Some(garbage))).starts_with("the signature cannot be read: "));
        }
    }
}

#[test]
fn whether_none_will_do_is_for_the_initramfs_to_say() {
    let signers = Signers::new(&["ours"]).packed("ours");
    assert_eq!(signers.trust(false).check(PROFILE, None), Ok(None));
    let failure = signers.trust(true).check(PROFILE, None).unwrap_err();
    assert_eq!(failure.why, "the profile is not signed, and this initramfs requires a signature");
    assert_eq!(failure.seen, ["keys of the initramfs: ours"]);
    // Without a key nothing can be checked: then nothing is signed, and where that is required nothing boots.
    let signature = signers.signed("ours", PROFILE, &[]);
    let none = |required| Trust::read_from(&signers.path("no-keys"), required).unwrap();
    assert_eq!(none(false).check(PROFILE, Some(&signature)), Ok(None));
    assert!(none(true).check(PROFILE, Some(&signature)).is_err());
}

/// Passed over it would look as if nobody had signed.
#[test]
fn a_key_that_cannot_be_read_is_an_error_where_signatures_are_required() {
    let signers = Signers::new(&["ours"]).packed("ours");
    fs::write(signers.path("keys/bad.pub"), "no key\n").unwrap();
    let failure = Trust::read_from(&signers.path("keys"), true).unwrap_err();
    assert!(failure.why.contains("bad.pub is no minisign public key: "), "{failure:?}");
    assert_eq!(failure.remedies.len(), 1);
    let signature = signers.signed("ours", PROFILE, &[]);
    let signed = signers.trust(false).check(PROFILE, Some(&signature)).unwrap().unwrap();
    assert_eq!((signed.by.as_str(), signed.claim()), ("ours", None));
}

fn profile(name: &str, generation: u64, signature: Option<String>) -> StoredProfile {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().join("profiles").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{generation}.kdl")), PROFILE).unwrap();
    if let Some(signature) = signature {
        fs::write(folder.join(format!("{generation}.kdl.minisig")), signature).unwrap();
    }
    let wanted = WantedProfile { name: Name::parse(name).unwrap(), digest: None };
    Store::open(Origin::Medium, store.path(), "").find_profile(Some(&wanted)).unwrap()
}

fn allowed(name: &str, key: Option<&str>, lowest: Option<u64>) -> AllowedProfile {
    let parse = |text: &str| Name::parse(text).unwrap();
    AllowedProfile { name: parse(name), key: key.map(parse), lowest }
}

#[test]
fn a_signature_is_that_of_one_generation_of_one_profile() {
    let signers = Signers::new(&["ours"]).packed("ours");
    let signed = |comment: &str| Some(signers.signed("ours", PROFILE, &["-t", comment]));
    for required in [true, false] {
        let trust = signers.trust(required);
        let vouched =
            |name, generation, comment: &str| trust.vouches_for(&profile(name, generation, signed(comment)));
        assert_eq!(vouched("web", 3, "profile web generation 3"), Ok(Some("ours".into())));
        // Other programs write other comments.
        assert_eq!(vouched("web", 9, "timestamp:1\tfile:3.kdl"), Ok(Some("ours".into())));
        let renamed = why(vouched("web", 9, "profile web generation 3"));
        assert_eq!(
            renamed,
            "the signature is that of generation 3 of `web`, and the file is generation 9 of `web`"
        );
        assert!(why(vouched("kiosk", 3, "profile web generation 3")).contains("of `web`, and the file"));
    }
}

#[test]
fn the_initramfs_says_which_profiles_boot_who_signs_them_and_from_which_generation_on() {
    let signers = Signers::new(&["site", "lab"]).packed("site").packed("lab");
    let signed = |key: &str, comment: &str| Some(signers.signed(key, PROFILE, &["-t", comment]));
    for required in [true, false] {
        let mut trust = signers.trust(required);
        trust.allowed = vec![allowed("kiosk", Some("site"), Some(7)), allowed("tools", None, None)];
        let kiosk = |key: &str, generation: u64| {
            let comment = format!("profile kiosk generation {generation}");
            trust.vouches_for(&profile("kiosk", generation, signed(key, &comment)))
        };
        assert_eq!(kiosk("site", 7), Ok(Some("site".into())));
        assert_eq!(
            why(kiosk("site", 6)),
            "generation 6 is older than 7, the lowest that this initramfs allows"
        );
        assert_eq!(
            why(kiosk("lab", 8)),
            "the profile is signed by lab, and this initramfs wants it from site"
        );
        let silent = trust.vouches_for(&profile("kiosk", 9, signed("site", "hello")));
        assert!(why(silent).starts_with("the signature does not say which generation it is of"));
        assert!(why(trust.vouches_for(&profile("kiosk", 9, None))).contains("is not signed"));
        let rescue = trust.vouches_for(&profile("rescue", 1, signed("site", "profile rescue generation 1")));
        assert_eq!(why(rescue), "this initramfs allows no profile `rescue` of a medium");
        assert_eq!(trust.vouches_for(&profile("tools", 1, None)).is_ok(), !required);
    }
}

/// A text that is no profile: an error that names its line would show that it was parsed.
#[test]
fn what_must_be_signed_is_checked_before_it_is_parsed() {
    let trust = Trust { required: true, ..Trust::default() };
    let mut stored = profile("web", 1, None);
    stored.profile.bytes = b"no profile\n".to_vec();
    let refused = |origin| trust.read_profile(origin, &stored).unwrap_err().why;
    assert!(refused(Origin::Medium).contains("is not signed"), "{}", refused(Origin::Medium));
    assert!(refused(Origin::Initramfs).contains("1.kdl:1"), "{}", refused(Origin::Initramfs));
}
