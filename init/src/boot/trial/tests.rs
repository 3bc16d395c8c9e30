use super::*;
use crate::request::WantedProfile;
use boot_ledger::{Generation, Ledger};
use profiles::{Digest, Name};

fn candidate(role: Role, origin: Origin, digest: Option<Digest>) -> Candidate {
    let wanted = WantedProfile { name: Name::parse("web").unwrap(), digest };
    Candidate { role, origin, wanted: Some(wanted) }
}

/// What the command line wants of the profile may be what is wrong with it.
#[test]
fn the_same_generation_is_tried_again_without_what_the_command_line_changes() {
    let differ = |line: &str, role| {
        let request = BootRequest::parse(line);
        let key = |role| Attempt::of(&request, &candidate(role, Origin::Medium, None), "web".into(), 4);
        key(Role::Asked) != key(role)
    };
    assert!(differ("lamina.without=base", Role::LastGood) && differ("init=/typo", Role::Fallback));
    assert!(!differ("lamina.profile=web quiet", Role::LastGood));
}

/// Boots so often, with what there is on the medium; every root can be mounted, and nobody blesses. Who was started, by their initials.
fn walk(boots: usize, there: &[(Role, Origin, &str)], ledger: &mut Ledger) -> String {
    let generation = Generation { number: 1, digest: Digest::from_bytes([1; 32]) };
    let candidates = there.iter().map(|(role, origin, name)| {
        let wanted = WantedProfile { name: Name::parse(name).unwrap(), digest: None };
        Candidate { role: *role, origin: *origin, wanted: Some(wanted) }
    });
    let candidates: Vec<Candidate> = candidates.collect();
    let mut started = String::new();
    for _ in 0..boots {
        let name = |candidate: &Candidate| candidate.wanted.as_ref().unwrap().name.clone();
        let attempts = |candidate: &Candidate| match candidate.origin {
            Origin::Medium => ledger.attempts(&name(candidate), &generation),
            Origin::Initramfs => 0,
        };
        let counted = candidates.iter().map(|candidate| (candidate.clone(), attempts(candidate)));
        let (skipped, free): (Vec<_>, Vec<_>) =
            counted.partition(|(candidate, attempts)| candidate.is_skipped(*attempts, false));
        let first = free.into_iter().map(|(candidate, _)| candidate).next();
        let next = first.or_else(|| chain::second_round(skipped).into_iter().next()).unwrap();
        if next.origin == Origin::Medium {
            ledger.note_attempt(&name(&next), &generation);
        }
        started.push_str(&name(&next).as_str()[..1]);
    }
    started
}

#[test]
fn a_rescue_that_nobody_blesses_stays_bootable_for_ever() {
    let web = (Role::Asked, Origin::Medium, "web");
    let small = (Role::Fallback, Origin::Medium, "small");
    let rescue = (Role::Rescue, Origin::Medium, "rescue");
    let packed = (Role::Rescue, Origin::Initramfs, "packed");
    let walk = |there: &[_]| walk(12, there, &mut Ledger::default());
    assert_eq!(walk(&[web, rescue]), "wwwrrrrrrrrr");
    assert_eq!(walk(&[web, small, rescue]), "wwwsssrrrrrr");
    // One that may have crashed gives way to the other one, which is not counted.
    assert_eq!(walk(&[web, rescue, packed]), "wwwrrrpppppp");
    assert_eq!(walk(&[web, packed]), "wwwppppppppp");
    // None of those that are left keeps the other from a try.
    assert_eq!(walk(&[web, small]), "wwwssswswsws");
    assert_eq!(walk(&[web]), "wwwwwwwwwwww");
}

#[test]
fn what_was_mended_or_chosen_by_a_person_is_tried_at_once() {
    let there = [(Role::Asked, Origin::Medium, "web"), (Role::Rescue, Origin::Medium, "rescue")];
    let mut ledger = Ledger::default();
    assert_eq!(walk(8, &there, &mut ledger), "wwwrrrrr");
    // A blessing; a new generation does the same.
    let generation = Generation { number: 1, digest: Digest::from_bytes([1; 32]) };
    ledger.bless(&Name::parse("web").unwrap(), &generation);
    assert_eq!(walk(4, &there, &mut ledger), "wwwr");
    let asked = candidate(Role::Asked, Origin::Medium, None);
    assert!(asked.is_skipped(3, false) && !asked.is_skipped(99, true));
    assert!(candidate(Role::LastGood, Origin::Medium, None).is_skipped(3, true));
}
