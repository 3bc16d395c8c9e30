use super::*;
use profiles::DeviceSpec;

fn parsed(line: &str) -> BootRequest {
    let (request, result) = BootRequest::parse(line);
    result.unwrap();
    request
}

fn refused(line: &str) -> BootError {
    BootRequest::parse(line).1.unwrap_err()
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
        "lamina.timeout=abc",
        "lamina.timeout=-1",
        "lamina.timeout=1.5",
        "lamina.timeout=4294967296",
        "lamina.rescue=0",
        "lamina.debug=no",
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
        assert_eq!((error.step, error.object), ("read the command line", format!("lamina.{name}")));
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
        "lamina.fallback=a@sha256:1",
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
    let (request, result) =
        BootRequest::parse("lamina.timeout=soon lamina.store=floppy lamina.dir=../x panic=5");
    let error = result.unwrap_err();
    assert_eq!(error.object, "lamina.timeout=soon");
    assert_eq!(error.also.len(), 2, "{error}");
    assert_eq!(request.panic, Some(5));
}

#[test]
fn values_are_needed_where_they_are_needed() {
    assert_eq!(refused("lamina.profile").failure.why, "it needs a value");
    assert_eq!(refused("lamina.store=").failure.why, "it needs a value");
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
