//! Resolved profiles: what is read, what is written back, and every refusal word for word.

use profiles::resolved::{BootProfile, FORMAT, format_read_by};
use profiles::{DeviceSpec, Digest, State, StateFileSystem, TmpfsSize, Verify, WhenChanged, WritableTop};

mod golden;

const WEB: &str = include_str!("good/web.kdl");
const KIOSK: &str = include_str!("good/kiosk.kdl");
const PINNED: &str = include_str!("good/pinned.kdl");

#[test]
fn reads_every_part() {
    let web = BootProfile::parse("web.kdl", WEB.as_bytes()).expect("a good profile");
    assert_eq!(web.name.as_str(), "web");
    assert_eq!(web.description.as_deref(), Some("Static web server with SSH"));
    assert_eq!(web.images.len(), 2);
    assert_eq!(web.images[0].id.expect("an id").hex(), "1".repeat(64));
    assert_eq!(web.images[1].digest.hex(), "3".repeat(64));
    assert_eq!(
        (web.images[1].version.as_str(), web.images[1].size, web.images[1].id),
        ("1.35.0", 1_056_768, None)
    );
    assert_eq!(web.root, WritableTop::Tmpfs { size: TmpfsSize::Percent(50) });
    assert_eq!(web.verify, Verify::Digest);
    assert_eq!(web.init, "/sbin/init");
}

#[test]
fn writes_what_it_reads() {
    let mut web = BootProfile::parse("web.kdl", WEB.as_bytes()).expect("a good profile");
    assert_eq!(web.to_kdl(), WEB.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
    web.description = Some("quotes \" and \\, a\nnew line, \u{202e}, caf\u{e9}".to_owned());
    web.root = WritableTop::None;
    web.verify = Verify::None;
    assert_eq!(BootProfile::parse("again", web.to_kdl().as_bytes()), Ok(web));
}

#[test]
fn reads_seal_state_verity_and_what_can_be_added() {
    let kiosk = BootProfile::parse("kiosk.kdl", KIOSK.as_bytes()).expect("a good profile");
    assert!(kiosk.sealed.is_some());
    assert_eq!(kiosk.verify, Verify::Verity);
    let place = DeviceSpec::Label("state".to_owned());
    let state = State {
        place,
        create: StateFileSystem::parse("ext4").ok(),
        changed: WhenChanged::Refuse,
        check: false,
    };
    assert_eq!(kiosk.root, WritableTop::State(state));
    let [base, busybox] = [0, 1].map(|at| kiosk.images[at].verity.expect("a hash tree"));
    assert_eq!((base.root_hash.hex(), base.salt.hex()), ("3".repeat(64), "4".repeat(64)));
    assert_eq!((base.data_blocks, base.fec_roots), (1, Some(2)));
    assert_eq!((busybox.data_blocks, busybox.fec_roots), (257, None));
    let [strace] = &kiosk.optional[..] else { panic!("one: {:?}", kiosk.optional) };
    assert_eq!((strace.name.as_str(), strace.verity.and_then(|it| it.fec_roots)), ("strace", Some(24)));
    assert_eq!(kiosk.to_kdl(), KIOSK.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
}

#[test]
fn a_kernel_makes_it_format_2_and_without_one_it_is_format_1_still() {
    let mut pinned = BootProfile::parse("pinned.kdl", PINNED.as_bytes()).expect("a good profile");
    let pin = pinned.kernel.clone().expect("a kernel");
    assert_eq!((pin.name.as_str(), pin.release.as_str()), ("linux-6.12", "6.12.95+deb12-cloud-amd64"));
    assert_eq!((pin.digest.hex(), pin.size), ("4".repeat(64), 9_000_000));
    assert_eq!(pinned.to_kdl(), PINNED.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
    // In a spelling that is not the one of `lamina profile lock`.
    let spelled = PINNED.replace("    kernel", "    // Debian's\n    kernel");
    assert_eq!(BootProfile::parse("spelled.kdl", spelled.as_bytes()), Ok(pinned.clone()));
    pinned.kernel = None;
    assert!(pinned.to_kdl().starts_with("profile \"web\" format=1 {"));
    assert_eq!(pinned.format(), 1);
}

#[test]
fn a_program_says_in_its_text_which_formats_it_reads() {
    let own = std::fs::read(std::env::current_exe().expect("this test")).expect("its file");
    assert_eq!(format_read_by(&own), FORMAT);
    // In pieces: this test must not say so itself.
    for older in ["reads format 1", "reads formats up to ", "reads formats up to x", ""] {
        assert_eq!(format_read_by(format!("this version {older}").as_bytes()), 1, "{older}");
    }
}

#[test]
fn the_digest_of_the_stack_depends_on_its_images_and_their_order_alone() {
    let mut kiosk = BootProfile::parse("kiosk.kdl", KIOSK.as_bytes()).expect("a good profile");
    let lines = format!("sha256:{}\nsha256:{}\n", "2".repeat(64), "5".repeat(64));
    let expected = Digest::of(lines.as_bytes()).expect("bytes in memory").0;
    assert_eq!(kiosk.stack_digest(), expected);
    kiosk.optional.clear();
    kiosk.root = WritableTop::None;
    assert_eq!(kiosk.stack_digest(), expected);
    kiosk.images.reverse();
    assert_ne!(kiosk.stack_digest(), expected);
}

#[test]
fn refuses_each_bad_profile_with_these_words() {
    golden::check("tests/bad/resolved", |label, bytes| match BootProfile::parse(label, bytes) {
        Ok(profile) => panic!("{label} was accepted: {profile:?}"),
        Err(errors) => errors.to_string(),
    });
}
