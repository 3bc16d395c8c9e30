//! Resolved profiles: what is read, what is written back, and every refusal word for word.

use profiles::resolved::BootProfile;
use profiles::{TmpfsSize, Verify, WritableTop};

mod golden;

const WEB: &str = include_str!("good/web.kdl");

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
fn refuses_each_bad_profile_with_these_words() {
    golden::check("tests/bad/resolved", |label, bytes| match BootProfile::parse(label, bytes) {
        Ok(profile) => panic!("{label} was accepted: {profile:?}"),
        Err(errors) => errors.to_string(),
    });
}
