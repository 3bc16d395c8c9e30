//! Written profiles: what is read, how includes are joined, and every refusal word for word.

use profiles::Choice;
use profiles::written::settings::Addressing;
use profiles::written::{Composition, Package, Profile, compose};
use profiles::{
    DeviceSpec, Diagnostics, Name, State, StateFileSystem, TmpfsSize, Verify, WhenChanged, WritableTop,
};

mod golden;

const SITE: &str = include_str!("good/site.kdl");
const APPLIANCE: &str = include_str!("good/appliance.kdl");

/// Composes the first of some profiles; the others are what it may include.
fn composed(texts: &[&str]) -> Result<Composition, Diagnostics> {
    let parse = |text: &&str| Profile::parse("file.kdl", text.as_bytes()).expect("a profile that parses");
    let all: Vec<Profile> = texts.iter().map(parse).collect();
    compose(&all[0], |include| {
        let found = all.iter().find(|profile| profile.name == include.name);
        found.cloned().ok_or_else(|| include.span.error("no such profile", "").into())
    })
}

fn names(packages: &[Package]) -> Vec<&str> {
    packages.iter().map(|package| package.name.as_str()).collect()
}

fn packages(composition: &Composition) -> Vec<&str> {
    names(&composition.packages)
}

#[test]
fn reads_every_part() {
    let site = Profile::parse("site.kdl", SITE.as_bytes()).expect("a good profile");
    assert_eq!(site.includes[0].name.as_str(), "base");
    assert_eq!(site.without[0].span.to_string(), "site.kdl:8:5");
    assert_eq!(site.root, Some(WritableTop::Tmpfs { size: TmpfsSize::Bytes(512 << 20) }));
    assert_eq!((site.verify, site.init.as_ref().map(|path| path.as_str())), (None, Some("/sbin/init")));
    assert_eq!((site.overrides[0].path.as_str(), site.overrides[0].from.as_str()), ("/etc/motd", "nginx"));
    let [ssh, nginx] = &site.packages[..] else { panic!("two packages: {:?}", site.packages) };
    let libressl = Choice::Of(Name::parse("libressl").expect("a name"));
    assert_eq!(
        ssh.features.iter().map(|(name, choice)| (name.as_str(), choice)).next(),
        Some(("tls", &libressl))
    );
    assert_eq!(nginx.variant.as_ref().map(Name::as_str), Some("static"));
    assert_eq!(nginx.features.values().collect::<Vec<_>>(), [&Choice::On, &Choice::Off]);
}

#[test]
fn reads_seal_state_and_optional_packages() {
    let appliance = Profile::parse("appliance.kdl", APPLIANCE.as_bytes()).expect("a good profile");
    assert!(appliance.sealed.is_some());
    let place = DeviceSpec::PartLabel("state".to_owned());
    let state = State {
        place,
        create: StateFileSystem::parse("btrfs").ok(),
        changed: WhenChanged::Reset,
        check: false,
    };
    assert_eq!(appliance.root, Some(WritableTop::State(state)));
    assert_eq!(appliance.verify, Some(Verify::Verity));
    assert_eq!(names(&appliance.optional), ["strace", "lua"]);
}

#[test]
fn a_package_is_where_the_last_wish_put_it() {
    let kiosk =
        "profile kiosk { include tools; packages { lua; }; optional { nano; strace; }; without gdb; }";
    let tools =
        "profile tools { packages { busybox; nano; }; optional { lua; strace version=\"<9\"; gdb; }; }";
    let kiosk = composed(&[kiosk, tools]).expect("a composition");
    assert_eq!(packages(&kiosk), ["busybox", "lua"]);
    assert_eq!(names(&kiosk.optional), ["nano", "strace"]);
}

#[test]
fn a_seal_is_included_and_cannot_be_taken_off() {
    let site = ["profile site { include kiosk; verify none; }", "profile kiosk { sealed; }"];
    assert!(composed(&site).expect("a composition").sealed.is_some());
    assert!(
        composed(&site.map(|text| text.replace("sealed;", "")).each_ref().map(String::as_str))
            .expect("a composition")
            .sealed
            .is_none()
    );
}

#[test]
fn of_several_kernels_that_of_the_last_profile_counts() {
    let kernel =
        |texts: &[&str]| composed(texts).expect("a composition").kernel.map(|it| it.name.to_string());
    let (base, old) = ("profile base { kernel \"linux-6.1\"; }", "profile old { kernel \"linux-5\"; }");
    assert_eq!(kernel(&["profile site { include base; }", base]).as_deref(), Some("linux-6.1"));
    assert_eq!(
        kernel(&["profile site { include base; kernel \"linux-6.12\"; }", base]).as_deref(),
        Some("linux-6.12")
    );
    assert_eq!(
        kernel(&["profile site { include base; include old; }", base, old]).as_deref(),
        Some("linux-5")
    );
    assert_eq!(kernel(&["profile site { verify none; }"]), None);
}

#[test]
fn what_is_included_lies_below_and_what_is_repeated_moves_up() {
    let web = r#"profile "web" { include "base"; include "ssh"; packages { nginx; busybox variant="static"; }; without "nano"; }"#;
    let base = r#"profile "base" { packages { base-files; busybox variant="dynamic"; nano; }; init "/sbin/base-init"; }"#;
    let ssh = r#"profile "ssh" { include "base"; packages { dropbear; }; verify "none"; }"#;
    let web = composed(&[web, base, ssh]).expect("a composition");
    assert_eq!(packages(&web), ["base-files", "dropbear", "nginx", "busybox"]);
    assert_eq!(web.packages[3].variant.as_ref().map(Name::as_str), Some("static"));
    assert_eq!(web.profiles.iter().map(Name::as_str).collect::<Vec<_>>(), ["base", "ssh", "web"]);
    assert_eq!((web.verify, web.init.as_str()), (Verify::None, "/sbin/base-init"));
}

#[test]
fn a_profile_that_says_little_gets_defaults() {
    let small = composed(&["profile small"]).expect("a composition");
    assert_eq!(small.root, WritableTop::Tmpfs { size: TmpfsSize::Percent(50) });
    assert_eq!((small.verify, small.init.as_str(), small.packages.len()), (Verify::Digest, "/sbin/init", 0));
}

#[test]
fn a_circle_of_includes_shows_the_way_round() {
    let circle = ["profile a { include b; }", "profile b { include c; }", "profile c { include a; }"];
    assert_eq!(
        composed(&circle).expect_err("a circle").to_string(),
        "file.kdl:1:13: error: profiles include each other in a circle: a -> b -> c -> a\n    \
         profile c { include a; }\n                ^^^^^^^\nhelp: take one of these includes out"
    );
}

#[test]
fn a_long_chain_of_includes_ends() {
    let chain: Vec<String> = (0..100).map(|at| format!("profile p{at} {{ include p{}; }}", at + 1)).collect();
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    let error = composed(&chain).expect_err("too deep").to_string();
    assert!(error.contains("includes are more than 32 deep"), "{error}");
}

#[test]
fn joining_refuses_what_names_nothing() {
    let web = "profile web {\n  include base\n  packages { nginx; }\n  without nanno\n  without nginx\n  override \"/etc/motd\" from=ngnix\n}";
    let error =
        composed(&[web, "profile base { packages { nano; }; }"]).expect_err("three errors").to_string();
    for expected in [
        "file.kdl:4:3: error: no included profile has the package 'nanno'",
        "help: did you mean 'nano'?",
        "file.kdl:5:3: error: 'nginx' is both left out and wanted here",
        "file.kdl:6:3: error: '/etc/motd' may not be shadowed from 'ngnix': the profile has no such package",
        "help: did you mean 'nginx'?",
    ] {
        assert!(error.contains(expected), "{expected}\n--- in:\n{error}");
    }
}

#[test]
fn an_included_file_must_hold_the_profile_of_that_name() {
    let web = Profile::parse("web.kdl", b"profile web { include base; }").expect("a profile");
    let wrong = Profile::parse("base.kdl", b"profile bas").expect("a profile");
    let error = compose(&web, |_| Ok(wrong.clone())).expect_err("another name").to_string();
    assert!(
        error.starts_with("base.kdl:1:1: error: this profile is called 'bas', and is included as 'base'"),
        "{error}"
    );
}

#[test]
fn refuses_each_bad_profile_with_these_words() {
    golden::check("tests/bad/written", |label, bytes| match Profile::parse(label, bytes) {
        Ok(profile) => panic!("{label} was accepted: {profile:?}"),
        Err(errors) => errors.to_string(),
    });
}

#[test]
fn a_seal_names_the_parameters_that_it_allows_and_includes_add_theirs() {
    let [base, kiosk] = [
        "profile \"base\" {\n    packages { a }\n    sealed \"systemd.unit\"\n}\n",
        "profile \"kiosk\" {\n    include \"base\"\n    sealed \"mitigations\" \"systemd.unit\"\n}\n",
    ];
    let seal = composed(&[kiosk, base]).expect("a composition").sealed.expect("a seal");
    assert_eq!(seal.to_string(), "sealed \"systemd.unit\" \"mitigations\"");
    assert!(seal.names("systemd.unit") && !seal.names("systemd.debug-shell"));
    for wrong in ["sealed \"a=b\"", "sealed \"\"", "sealed \"a b\"", "sealed 1"] {
        let text = format!("profile \"kiosk\" {{\n    packages {{ a }}\n    {wrong}\n}}\n");
        assert!(Profile::parse("file.kdl", text.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn reads_the_settings_of_a_machine() {
    let text = include_str!("good/settings.kdl");
    let settings = Profile::parse("web.kdl", text.as_bytes()).expect("a profile").settings.expect("settings");
    assert_eq!(settings.host_name.map(|name| name.value.as_str().to_owned()).as_deref(), Some("web1"));
    assert_eq!(
        settings.time_zone.map(|zone| zone.value.as_str().to_owned()).as_deref(),
        Some("Europe/Berlin")
    );
    let [me, robot] = &settings.users[..] else { panic!("two users: {:?}", settings.users) };
    assert_eq!((me.name.as_str(), me.uid, me.login.keys.len()), ("me", Some(1000), 2));
    assert!(me.login.keys[1].as_str().ends_with(" second"), "{:?}", me.login.keys);
    // What is printed while somebody looks for a fault has no hash in it.
    assert_eq!(format!("{:?}", me.login.password), "Some(Sha hash)");
    assert_eq!((robot.uid, robot.login.keys.len(), robot.login.password.is_none()), (None, 0, true));
    assert_eq!(settings.networks[0].addressing, Addressing::Dhcp);
    let Addressing::Fixed { address, gateway, dns } = &settings.networks[1].addressing else {
        panic!("fixed")
    };
    assert_eq!((address.to_string(), gateway.is_some(), dns.len()), ("192.0.2.5/24".to_owned(), true, 2));
    assert_eq!((settings.files[0].mode, settings.files[1].mode), (0o644, 0o755));
    assert_eq!((settings.files[0].from.as_str(), settings.services[0].on), ("web/motd", false));
    assert_eq!(settings.services[0].span.to_string(), "web.kdl:16:9");
}

#[test]
fn of_two_settings_that_name_the_same_thing_the_last_one_counts() {
    let web =
        "profile web { include base; system { hostname web; user me uid=1001; service ssh on=#true; }; }";
    let base = "profile base { system { hostname base; user me shell=\"/bin/sh\"; user you; timezone UTC; \
                service ssh on=#false; file \"/a\" from=b; }; }";
    let settings = composed(&[web, base]).expect("a composition").settings;
    assert_eq!(settings.host_name.map(|name| name.value.as_str().to_owned()).as_deref(), Some("web"));
    assert!(settings.time_zone.is_some() && settings.files.len() == 1);
    let users: Vec<_> =
        settings.users.iter().map(|user| (user.name.as_str(), user.uid, user.shell.is_some())).collect();
    assert_eq!(users, [("you", None, false), ("me", Some(1001), false)]);
    assert!(settings.services.len() == 1 && settings.services[0].on);
    // However they spell it.
    let web =
        "profile web { include base; system { service ssh on=#true; file \"/etc/motd\" from=above; }; }";
    let base =
        "profile base { system { service ssh.service on=#false; file \"/etc//./motd\" from=below; }; }";
    let settings = composed(&[web, base]).expect("a composition").settings;
    assert!(settings.services.len() == 1 && settings.services[0].on);
    assert!(settings.files.len() == 1 && settings.files[0].from == "above");
    assert!(composed(&["profile web"]).expect("a composition").settings.is_empty());
}

#[test]
fn what_may_be_missing_adds_up_and_is_asked_of_one_package() {
    let profile = |name: &str, lines: &str| format!("profile \"{name}\" {{\n{lines}\n}}\n");
    let base = profile("base", "packages { nginx; }\nunresolved \"libx.so.1\" from=\"nginx\"");
    let lines = "include \"base\"\nunresolved \"libx.so.1\" from=\"openssh\"\nunresolved \"libx.so.1\" from=\"nginx\"";
    let composition = composed(&[&profile("web", lines), &base]).expect("two good profiles");
    let found: Vec<_> =
        composition.unresolved.iter().map(|it| (it.library.as_str(), it.from.as_str())).collect();
    assert_eq!(found, [("libx.so.1", "openssh"), ("libx.so.1", "nginx")]);
    for wrong in ["unresolved \"libx.so.1\"", "unresolved from=\"nginx\"", "unresolved \"a\" in=\"b\""] {
        assert!(Profile::parse("web.kdl", profile("web", wrong).as_bytes()).is_err(), "{wrong}");
    }
}
