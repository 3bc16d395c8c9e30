use super::*;

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn name() -> Name {
    Name::parse("web").unwrap()
}

fn ours(stack: [u8; 32], tied: Option<&str>) -> FoundTop {
    FoundTop::Ours { stack: Digest::from_bytes(stack), tied: tied.map(str::to_owned), lacks_work: false }
}

fn observed(top: FoundTop) -> Observed {
    Observed { top, half_made: false, asides: Vec::new() }
}

fn aside(number: u64, stack: [u8; 32]) -> Aside {
    Aside { number, stack: Some(Digest::from_bytes(stack)) }
}

fn decided(observed: &Observed, changed: WhenChanged) -> Result<Decision, Failure> {
    decide(observed, &Wish { profile: &name(), stack: Digest::from_bytes(NEW), changed })
}

/// The decision as text, with the digests in two letters.
fn shown(observed: &Observed, changed: WhenChanged) -> String {
    let decision = decided(observed, changed).unwrap();
    let mut text = format!("{}\n", decision.action);
    for line in decision.steps.iter().map(ToString::to_string).chain(decision.say) {
        text += &format!("{line}\n");
    }
    text.replace(&Digest::from_bytes(OLD).to_string(), "OLD")
        .replace(&Digest::from_bytes(NEW).to_string(), "NEW")
}

const EVERY_WAY: [WhenChanged; 3] = [WhenChanged::Keep, WhenChanged::Reset, WhenChanged::Refuse];

#[test]
fn the_first_boot_makes_a_top_under_another_name() {
    let expected = "created
make lamina/web.new
stamp lamina/web.new with NEW
rename lamina/web.new to lamina/web
";
    for changed in EVERY_WAY {
        assert_eq!(shown(&observed(FoundTop::Absent), changed), expected);
    }
}

#[test]
fn what_an_interrupted_making_left_is_cleared_first() {
    let observed = Observed { half_made: true, asides: vec![aside(4, OLD)], ..observed(FoundTop::Absent) };
    let expected = "created
remove lamina/web.new, or set it aside as lamina/web.aside-5 if it holds anything
make lamina/web.new
stamp lamina/web.new with NEW
rename lamina/web.new to lamina/web
";
    assert_eq!(shown(&observed, WhenChanged::Reset), expected);
}

#[test]
fn over_the_same_stack_nothing_is_done() {
    for changed in EVERY_WAY {
        assert_eq!(shown(&observed(ours(NEW, Some("tied"))), changed), "reused\n");
    }
    let top = FoundTop::Ours { stack: Digest::from_bytes(NEW), tied: None, lacks_work: true };
    assert_eq!(shown(&observed(top), WhenChanged::Reset), "reused\nmake lamina/web/work\n");
}

#[test]
fn a_changed_stack_sets_the_top_aside_under_the_next_number() {
    let observed = Observed {
        asides: vec![aside(9, OLD), Aside { number: 10, stack: None }],
        ..observed(ours(OLD, None))
    };
    let expected = "set aside
make lamina/web.new
stamp lamina/web.new with NEW
rename lamina/web to lamina/web.aside-11
rename lamina/web.new to lamina/web
the stack of web changed: the top is set aside as lamina/web.aside-11, and an empty one begins
";
    assert_eq!(shown(&observed, WhenChanged::Reset), expected);
    assert_eq!(decided(&observed, WhenChanged::Reset).unwrap().aside.as_deref(), Some("web.aside-11"));
}

#[test]
fn a_stack_that_comes_back_gets_its_newest_top_back() {
    let asides = vec![aside(1, NEW), aside(2, NEW), aside(3, OLD)];
    let observed = Observed { asides, ..observed(ours(OLD, None)) };
    let expected = "taken back
exchange lamina/web and lamina/web.aside-2
the stack of web changed: the top that was set aside for this stack is in use again, and the other is lamina/web.aside-2
";
    assert_eq!(shown(&observed, WhenChanged::Reset), expected);
}

#[test]
fn keep_keeps_where_it_is_safe_and_says_why_where_it_is_not() {
    let expected = "kept
stamp lamina/web with NEW
the stack of web changed (from OLD): its top is kept
";
    assert_eq!(shown(&observed(ours(OLD, None)), WhenChanged::Keep), expected);
    let text = shown(&observed(ours(OLD, Some("it was mounted with index=on"))), WhenChanged::Keep);
    assert!(text.starts_with("set aside\n"), "{text}");
    assert!(
        text.ends_with(
            "the stack of web changed and its top cannot be kept: it was mounted with index=on: the top is set aside as \
             lamina/web.aside-1, and an empty one begins\n"
        ),
        "{text}"
    );
}

#[test]
fn refuse_names_both_stacks_and_the_ways_out() {
    let failure = decided(&observed(ours(OLD, None)), WhenChanged::Refuse).unwrap_err();
    for part in [Digest::from_bytes(OLD).to_string(), Digest::from_bytes(NEW).to_string()] {
        assert!(failure.why.contains(&part), "{}", failure.why);
    }
    assert!(failure.remedies.iter().any(|remedy| remedy.contains("lamina.state=tmpfs")), "{failure:?}");
    let foreign = observed(FoundTop::Foreign("it has no stamp.kdl".into()));
    let failure = decided(&foreign, WhenChanged::Refuse).unwrap_err();
    assert_eq!(failure.why, "lamina/web cannot be trusted: it has no stamp.kdl");
}

#[test]
fn what_is_not_ours_is_set_aside_and_told() {
    for changed in [WhenChanged::Keep, WhenChanged::Reset] {
        let text = shown(&observed(FoundTop::Foreign("it is not a folder".into())), changed);
        assert!(text.contains("rename lamina/web to lamina/web.aside-1\n"), "{text}");
        assert!(
            text.contains("\nlamina/web is not usable: it is not a folder: the top is set aside as"),
            "{text}"
        );
    }
}

#[test]
fn numbers_and_reserved_names() {
    let name = name();
    let wish = Wish { profile: &name, stack: Digest::from_bytes(NEW), changed: WhenChanged::Reset };
    for (folder, number) in [
        ("web.aside-1", Some(1)),
        ("web.aside-18446744073709551615", Some(u64::MAX)),
        ("web.aside-01", None),
        ("web.aside-", None),
        ("web.aside-+1", None),
        ("web2.aside-1", None),
        ("web", None),
    ] {
        assert_eq!(wish.aside_number(folder), number, "{folder}");
    }
    for (profile, reserved) in [("web", false), ("web.new", true), ("a.aside-7", true), ("a.aside-b", false)]
    {
        assert_eq!(is_reserved(&Name::parse(profile).unwrap()), reserved, "{profile}");
    }
}
