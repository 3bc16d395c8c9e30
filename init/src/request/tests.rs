use super::misread::STEP;
use super::*;
use crate::error::BootError;
use profiles::DeviceSpec;

fn parsed(line: &str) -> BootRequest {
    let request = BootRequest::parse(line);
    assert_eq!(request.misread, Misreadings::default(), "{line}");
    request
}

fn refused(line: &str) -> BootError {
    let misread = BootRequest::parse(line).misread;
    misread
        .of_asked()
        .or_else(|| misread.of_store())
        .or_else(|| misread.of_folder())
        .unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_usual_line() {
    let request = parsed(
        "root=/dev/sda1 quiet lamina.profile=web lamina.store=LABEL=data lamina.dir=/os/ init=/bin/sh",
    );
    assert_eq!(request.profile.unwrap().name.as_str(), "web");
    assert_eq!(request.store.unwrap().to_string(), "LABEL=data");
    assert_eq!((request.folder.as_str(), request.init.as_deref()), ("os", Some("/bin/sh")));
    assert_eq!((request.verbosity, request.timeout), (Verbosity::Quiet, DEFAULT_TIMEOUT));
}

#[test]
fn a_profile_can_be_bound_to_its_bytes() {
    let hex = "ab".repeat(32);
    let wanted = parsed(&format!("lamina.profile=web@sha256:{hex}")).profile.unwrap();
    assert_eq!(wanted.digest.unwrap().hex(), hex);
    assert_eq!(refused("lamina.profile=web@sha256:12").object, "lamina.profile=web@sha256:12");
}

#[test]
fn the_last_one_holds_and_debug_is_stronger_than_quiet() {
    let request = parsed("lamina.debug lamina.profile=a quiet lamina.profile=b panic=10");
    assert_eq!(request.profile.unwrap().name.as_str(), "b");
    assert_eq!((request.verbosity, request.panic), (Verbosity::Debug, Some(10)));
}

#[test]
fn the_last_of_ro_and_rw_holds() {
    for (line, access) in [
        ("quiet", RootAccess::AsProfile),
        ("rw ro", RootAccess::ReadOnly),
        ("ro rw", RootAccess::Writable),
        ("ro=1 -- rw", RootAccess::AsProfile),
    ] {
        assert_eq!(parsed(line).root_access, access, "{line}");
    }
}

#[test]
fn names_lead_nowhere_else_and_numbers_are_numbers() {
    for line in [
        "lamina.profile=../web",
        "lamina.profile=a/b",
        "lamina.profile=..",
        "lamina.profile=",
        "lamina.dir=os/../..",
        "init=sbin/init",
    ] {
        let error = refused(line);
        assert_eq!((error.step, error.object.as_str()), (STEP, line));
        assert!(!error.failure.remedies.is_empty(), "{error}");
    }
    assert_eq!(parsed("lamina.timeout=0").timeout, Duration::ZERO);
    assert_eq!(parsed("lamina.dir=/").folder, "");
}

#[test]
fn the_longest_line_of_the_kernel_is_read() {
    // COMMAND_LINE_SIZE of x86 is 2048, of other architectures 4096.
    let line = format!("{}lamina.profile=web -- lamina.profile=db", "noise.option=x ".repeat(280));
    assert!(line.len() > 4096);
    assert_eq!(parsed(&line).profile.unwrap().name.as_str(), "web");
    let label = "l".repeat(1000);
    assert_eq!(
        parsed(&format!("lamina.store=LABEL={label}")).store,
        Some(StoreSpec::Device(DeviceSpec::Label(label)))
    );
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let request = parsed("lamina.profle=web lamina.colour=red other.thing=1");
    assert_eq!(request.warnings.len(), 2);
    assert_eq!(request.warnings[0], "lamina.profle is unknown and was ignored: did you mean lamina.profile?");
    assert!(
        request.warnings[1]
            .starts_with("lamina.colour is unknown and was ignored: known are profile, store,")
    );
}

#[test]
fn names_of_the_design_that_are_not_there_yet_are_refused() {
    for name in ["toram", "menu"] {
        let error = refused(&format!("lamina.{name} quiet"));
        assert_eq!((error.step, error.object), (STEP, format!("lamina.{name}")));
        assert_eq!(error.failure.why, "not supported by this init");
    }
}

#[test]
fn what_changes_the_profile_is_read_and_slips_are_named() {
    let request = parsed(
        "lamina.add=strace,web/lua lamina.add=nano lamina.without=a,b lamina.verify=verity lamina.fallback=small,tiny",
    );
    let overrides = request.overrides;
    let added: Vec<String> = overrides.add.iter().map(ToString::to_string).collect();
    assert_eq!(added, ["strace", "web/lua", "nano"]);
    assert_eq!((overrides.without.len(), overrides.verify), (2, Some(profiles::Verify::Verity)));
    assert_eq!(request.fallbacks.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["small", "tiny"]);
    for line in [
        "lamina.add=a,,b",
        "lamina.add=a/b/c",
        "lamina.add=../x",
        "lamina.without=",
        "lamina.without=web/lua",
        "lamina.verify=strict",
        "lamina.state=floppy",
        "lamina.state=tmpfs,size=0%",
    ] {
        let error = refused(line);
        assert_eq!((error.step, error.object.as_str()), (STEP, line));
        assert!(!error.failure.remedies.is_empty(), "{error}");
    }
}

#[test]
fn what_changes_a_profile_does_not_change_the_one_that_a_person_chose() {
    let line = "lamina.profile=web init=/sbin/web lamina.without=nano lamina.state=no";
    let (chosen, same) = (Name::parse("small").unwrap(), Name::parse("web").unwrap());
    let mut request = parsed(line);
    request.choose(unbound(same));
    assert_eq!((request.overrides.without.len(), request.init.as_deref()), (1, Some("/sbin/web")));
    request.choose(unbound(chosen.clone()));
    assert_eq!((&request.overrides, &request.init), (&Overrides::default(), &None));
    assert_eq!(request.profile, Some(WantedProfile { name: chosen, digest: None }));
}

#[test]
fn all_errors_are_told_at_once_and_the_rest_still_counts() {
    let request =
        BootRequest::parse("lamina.timeout=soon lamina.store=floppy lamina.dir=../x lamina.verify=x panic=5");
    let error = request.misread.of_store().unwrap();
    assert_eq!((error.object.as_str(), error.also.len()), ("lamina.store=floppy", 2), "{error}");
    assert_eq!(request.misread.of_folder().unwrap().object, "lamina.dir=../x");
    assert_eq!(request.misread.of_asked().unwrap().object, "lamina.verify=x");
    assert_eq!(request.panic, Some(5));
}

#[test]
fn values_are_needed_where_they_are_needed() {
    assert_eq!(refused("lamina.profile").failure.why, "it needs a value");
    assert_eq!(refused("lamina.store=").failure.why, "it needs a value");
}

#[test]
fn what_has_a_default_gets_it_and_everybody_hears_of_it() {
    let good = "lamina.profile=web lamina.store=LABEL=x";
    for wrong in [
        "lamina.timeout=30s",
        "lamina.timeout=-1",
        "lamina.timeout=1.5",
        "lamina.timeout=4294967296",
        "lamina.timeout=",
        "lamina.debug=1",
        "lamina.rescue=0",
        "lamina.fallback=",
        "lamina.fallback=a@sha256:1",
        "panic=10s",
    ] {
        let request = BootRequest::parse(&format!("{good} {wrong}"));
        let misread = &request.misread;
        assert_eq!(
            (misread.of_asked(), misread.of_store(), misread.of_folder()),
            (None, None, None),
            "{wrong}"
        );
        let told: Vec<String> = misread.warnings().collect();
        assert_eq!(told.len(), 1, "{wrong}");
        assert!(told[0].starts_with(&format!("{wrong} was ignored: ")), "{told:?}");
        assert!(!request.is_bound() && !request.rescue && request.timeout == DEFAULT_TIMEOUT, "{wrong}");
    }
}

#[test]
fn what_says_what_is_booted_and_how_stops_what_was_asked_for_and_nothing_else() {
    for wrong in [
        "lamina.verify=x",
        "lamina.state=tmpfs,size=lots",
        "lamina.add=a,",
        "lamina.without=,",
        "init=sbin/init",
        "init=",
        "lamina.toram",
        "lamina.menu",
    ] {
        let request = BootRequest::parse(&format!("lamina.profile=web {wrong}"));
        assert_eq!(request.misread.of_asked().unwrap().object, wrong);
        assert_eq!((request.misread.of_store(), request.is_bound()), (None, false));
        // The last good generation of it may boot, as after every other failure.
        assert_eq!(request.profile.unwrap().name.as_str(), "web");
    }
}

#[test]
fn a_digest_that_cannot_be_read_binds_all_the_same() {
    let good = format!("web@sha256:{}", "ab".repeat(32));
    for line in [
        "lamina.profile=web@sha256:XYZ".to_owned(),
        "lamina.profile=web@".to_owned(),
        "lamina.profile=web@sha512:00".to_owned(),
        format!("lamina.profile={good} lamina.profile=../web"),
        format!("lamina.profle={good}"),
        format!("lamina.Profile={good} lamina.profile=web"),
    ] {
        let mut request = BootRequest::parse(&line);
        assert!(request.is_bound() && request.misread.of_asked().is_some(), "{line}");
        assert_eq!(request.may_choose(&Name::parse("rescue").unwrap()), None, "{line}");
        // Not the newest generation, which nothing binds, nor the one that was blessed last.
        if !line.ends_with("=web") {
            assert_eq!(request.profile, None, "{line}");
        }
        request.fallbacks = vec![wanted_profile("fallback", &good).unwrap()];
        assert!(request.may_choose(&Name::parse("web").unwrap()).is_some());
    }
}

#[test]
fn the_last_one_that_is_written_counts_also_when_an_earlier_one_cannot_be_read() {
    let request =
        BootRequest::parse("lamina.verify=x lamina.profile=a@ lamina.verify=verity lamina.profile=web");
    assert_eq!((request.misread.of_asked(), request.is_bound()), (None, false));
    assert_eq!(request.misread.warnings().count(), 2);
    let request = BootRequest::parse("lamina.verify=verity lamina.verify=x");
    assert_eq!(request.misread.of_asked().unwrap().object, "lamina.verify=x");
    // They add up: what could not be read of one is missing in the sum.
    assert!(BootRequest::parse("lamina.without=a/b lamina.without=a").misread.of_asked().is_some());
}

#[test]
fn quotes_inside_a_value_protect_blanks_and_are_no_part_of_it() {
    for (line, store) in [
        (r#"lamina.store=UUID="ab-12""#, "UUID=ab-12"),
        (r#"lamina.store=LABEL="my disk""#, "LABEL=my disk"),
        (r#"lamina.store="LABEL=my disk""#, "LABEL=my disk"),
        (r#"lamina.store=PARTLABEL="x y""#, "PARTLABEL=x y"),
        (r#"lamina.store=PARTUUID="1-01""#, "PARTUUID=1-01"),
        (r#"lamina.store="/dev/vda1""#, "/dev/vda1"),
    ] {
        assert_eq!(parsed(line).store.unwrap().to_string(), store);
    }
    let (top, written) = parsed(r#"lamina.state=LABEL="my state",create=ext4"#).overrides.top.unwrap();
    assert_eq!(written, "LABEL=my state,create=ext4");
    assert!(matches!(top, profiles::WritableTop::State(_)));
    assert!(refused(r#"lamina.store=LABEL="""#).object.ends_with("\"\""));
}

#[test]
fn what_a_person_chose_has_none_of_the_slips() {
    let mut request = BootRequest::parse("lamina.profile=web lamina.verify=x lamina.dir=../x");
    let wanted = |name| WantedProfile { name: Name::parse(name).unwrap(), digest: None };
    request.choose(wanted("web"));
    assert!(request.misread.of_asked().is_some());
    request.choose(wanted("small"));
    assert_eq!(request.misread.of_asked(), None);
    assert!(request.misread.of_folder().is_some());
}

#[test]
fn absurd_values_and_bytes_that_are_no_text_are_survived() {
    let long = "x".repeat(4096);
    for name in KNOWN.map(|(name, _)| name) {
        for value in [&*long, "\u{fffd}\u{fffd}", "=", ",", "@", "\u{1b}[2J"] {
            BootRequest::parse(&format!("lamina.{name}={value} lamina.{}={value}", name.to_uppercase()));
        }
    }
    let request = parsed("lamina.Timeout=5 lamina.to_ram lamina.to-ram");
    assert_eq!((request.warnings.len(), request.timeout), (3, DEFAULT_TIMEOUT));
    assert!(request.warnings[0].contains("did you mean lamina.timeout?"), "{:?}", request.warnings);
    assert!(request.warnings[1].contains("did you mean lamina.toram?"), "{:?}", request.warnings);
}

fn unbound(name: Name) -> WantedProfile {
    WantedProfile { name, digest: None }
}

#[test]
fn a_person_chooses_among_what_the_command_line_binds() {
    let name = |name| Name::parse(name).unwrap();
    let free = parsed("lamina.profile=web lamina.fallback=small");
    assert_eq!(free.may_choose(&name("db")), Some(unbound(name("db"))));
    let digest = format!("sha256:{}", "1".repeat(64));
    let bound = parsed(&format!("lamina.profile=web@{digest} lamina.fallback=small@{digest},loose"));
    assert!(bound.is_bound() && bound.may_choose(&name("db")).is_none());
    assert_eq!(bound.may_choose(&name("loose")), None);
    // What was asked for is tried again by another key.
    assert_eq!(bound.may_choose(&name("web")), None);
    let wanted = bound.may_choose(&name("small")).unwrap();
    assert!(wanted.digest.is_some_and(|found| found.to_string() == digest));
}
