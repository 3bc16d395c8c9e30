//! What the kernel command line may change of a profile, and what it may not.

use qemu_tests::Story;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::Fixture;
use qemu_tests::store::{Layer, ProfileText};

/// A profile `web` with an image `extra` that it offers, and one `tools` whose image can be borrowed. Its first program
/// lists what became of them.
fn fixture(name: &str, kernel: &str, more: &[&str]) -> Result<Fixture, Failure> {
    let fixture = Fixture::on_kernel(name, kernel)?;
    let store = fixture.store();
    let extra = store.add(&Layer::new("extra").file("/extra", "offered")?)?;
    let borrowed = store.add(&Layer::new("borrowed").file("/borrowed", "of another profile")?)?;
    let spare = store.add(&Layer::new("spare").file("/spare", "can be left out")?)?;
    let story = fixture.script_layer(
        name,
        "ls / | tr '\\n' ' '; echo; cat /run/lamina/report.json; touch /written && echo writable || echo read-only",
    )?;
    let mut images = fixture.small_system()?;
    store.profile(&ProfileText::new("tools", &[images.clone(), vec![borrowed]].concat()))?;
    images.extend([spare, story]);
    let mut profile = ProfileText::new("web", &images).init("/story").optional(&extra);
    for line in more {
        profile = profile.line(line);
    }
    store.profile(&profile)?;
    Ok(fixture)
}

#[test]
fn images_are_added_and_left_out_and_the_report_says_so() -> Story {
    let fixture = fixture("overrides-images", "6.1", &[])?;
    let parameters = "lamina.profile=web lamina.add=extra,tools/borrowed lamina.without=spare";
    let mut guest = fixture.boot(&fixture.disk()?, parameters)?;
    guest.expect("changed by the kernel command line: lamina.add=extra")?;
    let told = guest.expect("story: end")?;
    let listing = told.lines().find(|line| line.contains("borrowed ")).unwrap_or_default();
    assert!(listing.contains("extra ") && !listing.contains("spare "), "{told}");
    for part in ["lamina.add=extra", "lamina.add=tools/borrowed", "lamina.without=spare"] {
        assert!(told.contains(&format!("\"{part}\"")), "{part} is not in\n{told}");
    }
    guest.expect_off()
}

#[test]
fn the_top_and_the_checking_are_replaced() -> Story {
    let fixture = fixture("overrides-top", "6.12", &[])?;
    let mut guest =
        fixture.boot(&fixture.disk()?, "lamina.profile=web lamina.state=no lamina.verify=none")?;
    guest.expect("the images are not checked")?;
    let told = guest.expect("story: end")?;
    for part in ["read-only", "\"verified\": \"none\"", "\"lamina.verify=none\"", "\"lamina.state=no\""] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    guest.expect_off()
}

#[test]
fn what_is_not_offered_is_refused_with_what_is() -> Story {
    let fixture = fixture("overrides-refused", "6.1", &[])?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web lamina.add=nano")?;
    guest.expect_screen(&["the profile `web` offers no image `nano`", "`web` offers: extra"])?;
    Ok(())
}

#[test]
fn a_sealed_profile_refuses_each_by_name() -> Story {
    let fixture = fixture("overrides-sealed", "6.1", &["sealed"])?;
    let all =
        ["lamina.add=extra", "lamina.without=spare", "lamina.verify=none", "lamina.state=no", "init=/bin/sh"];
    let mut guest = fixture.boot(&fixture.disk()?, &format!("lamina.profile=web {}", all.join(" ")))?;
    let screen = guest.expect_screen(&["the profile is sealed and refuses"])?;
    // Longer than a line of the screen.
    let words: Vec<&str> = screen.split_whitespace().collect();
    assert!(words.join(" ").contains(&format!("refuses {}", all.join(", "))), "{screen}");
    Ok(())
}

#[test]
fn a_sealed_profile_boots_as_it_is() -> Story {
    let fixture = fixture("overrides-sealed-boots", "6.1", &["sealed"])?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web quiet")?;
    guest.expect("story: end")?;
    guest.expect_off()
}
