//! Blessing, on a medium that is a folder.

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use boot_ledger::{Generation, Slots};
use fixture::{DIGEST, Fixture};
use profiles::{Digest, Name};
use running::bless::{Blessing, bless};
use running::command::Bless;
use serde_json::json;

fn generation() -> Generation {
    Generation { number: 4, digest: Digest::parse(DIGEST).unwrap() }
}

/// A system whose boot was counted.
fn system() -> (Fixture, Slots) {
    let system = Fixture::new(&["a"]);
    let store = system.path("run/lamina/medium/lamina");
    Slots::create(&store).unwrap();
    let slots = Slots::open(&store).unwrap().unwrap();
    let mut ledger = slots.read().ledger;
    ledger.note_attempt(&Name::parse("web").unwrap(), &generation());
    slots.write(&ledger).unwrap();
    (system, slots)
}

fn slots_as_bytes(system: &Fixture) -> [Vec<u8>; 2] {
    ["a", "b"].map(|slot| fs::read(system.path("run/lamina/medium/lamina/boot").join(slot)).unwrap())
}

#[test]
fn the_generation_is_good_from_then_on_and_a_second_blessing_writes_nothing() {
    let (system, slots) = system();
    let web = Name::parse("web").unwrap();
    assert_eq!(bless(&system.system()), Ok(Blessing::Noted(web.clone(), generation())));
    let ledger = slots.read().ledger;
    assert_eq!((ledger.last_good(&web), ledger.attempts(&web, &generation())), (Some(generation()), 0));
    let before = slots_as_bytes(&system);
    assert_eq!(bless(&system.system()), Ok(Blessing::Known(web, generation())));
    assert_eq!(slots_as_bytes(&system), before);
}

#[test]
fn the_command_says_what_was_done() {
    let (system, _) = system();
    let run = |if_counted| Bless { if_counted }.run(&system.system()).unwrap();
    assert_eq!(run(true).text, "web, generation 4 is good from now on");
    assert_eq!(run(false).text, "web, generation 4 is known to be good");
}

#[test]
fn where_boots_are_not_counted_a_service_does_not_fail() {
    let (mut system, _) = system();
    system.report["ledger"] =
        json!({ "counted": false, "attempt": null, "why_not": "the store is in the initramfs" });
    system.report["store_folder"] = json!(null);
    system.report["medium"] = json!("initramfs");
    system.write_report();
    let said = Bless { if_counted: true }.run(&system.system()).unwrap();
    assert_eq!(said.text, "the boots of this system are not counted: the store is in the initramfs");
    assert!(said.yes);
    let error = Bless { if_counted: false }.run(&system.system()).unwrap_err();
    assert_eq!(error.object(), "initramfs");
    assert!(error.cause().contains("not counted") && error.has_own_remedy());
}

#[test]
fn every_refusal_names_the_object_the_cause_and_the_remedy() {
    let refusal = |change: &dyn Fn(&mut Fixture)| {
        let (mut system, _) = system();
        change(&mut system);
        system.write_report();
        let error = bless(&system.system()).unwrap_err();
        assert!(!error.object().is_empty() && error.has_own_remedy(), "{error}");
        error.to_string()
    };
    let boot = "run/lamina/medium/lamina/boot";
    assert!(refusal(&|system| fs::remove_dir_all(system.path(boot)).unwrap()).contains("no slots"));
    assert!(
        refusal(&|system| fs::rename(system.path("run/lamina/medium"), system.path("gone")).unwrap())
            .contains("not mounted any more")
    );
    assert!(refusal(&|system| system.report["profile"] = json!(null)).contains("names no profile"));
    assert!(
        refusal(&|system| system.report["outcome"]["state"] = json!("failed"))
            .contains("no system was started")
    );
    let newer = refusal(&|system| {
        system.report["format"] = json!(3);
        system.report["profile"]["digest"] = json!("blake9:00");
    });
    assert!(newer.contains("format 3, and this program knows 2"), "{newer}");
    let broken = refusal(&|system| {
        for slot in ["a", "b"] {
            fs::write(system.path(boot).join(slot), "short").unwrap();
        }
    });
    assert!(broken.contains("has 5 bytes") && broken.contains("medium create"), "{broken}");
}

#[test]
fn two_at_a_time_leave_a_sound_ledger() {
    let (system, slots) = system();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bless(&system.system()).unwrap());
        }
    });
    let reading = slots.read();
    assert_eq!(reading.ledger.last_good(&Name::parse("web").unwrap()), Some(generation()));
    assert!(reading.damaged.is_empty());
}

#[test]
fn who_may_only_look_cannot_hold_a_blessing_up() {
    let (system, _) = system();
    let folder = fs::File::open(system.path("run/lamina")).unwrap();
    folder.lock().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let here = system.system();
    std::thread::spawn(move || tell.send(bless(&here).is_ok()));
    assert_eq!(told.recv_timeout(std::time::Duration::from_secs(20)), Ok(true));
    let lock = fs::metadata(system.path("run/lamina/bless.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}
