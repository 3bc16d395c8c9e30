//! The texts that loaders read, byte for byte. `GOLDEN=write cargo test -p boot-entry` writes them anew.

use std::num::NonZero;
use std::path::Path;

use boot_entry::{
    Choice, EntryFileName, Generation, GrubMenu, GrubTries, Menu, MenuError, MenuRequest, Parameter,
    StartedWith,
};
use profiles::{Digest, Name};

fn generation(profile: &str, number: u64, description: &str) -> Generation {
    Generation {
        profile: Name::parse(profile).unwrap(),
        number,
        digest: Digest::of(format!("{profile} {number}").as_bytes()).unwrap().0,
        description: (!description.is_empty()).then(|| description.to_owned()),
        parameters: Vec::new(),
        last_good: false,
        started_with: StartedWith {
            linux: "/lamina/linux-0123".to_owned(),
            initrd: vec!["/lamina/initrd-4567".to_owned()],
            version: Some("6.1.0-50-amd64".to_owned()),
        },
    }
}

fn request() -> MenuRequest {
    let parameter = |text: &str| Parameter::new(text).unwrap();
    let mut web = generation("web", 7, "Größe \"$5\" \\ 'it's'\n}\nmenuentry evil {");
    web.parameters.push(parameter("lamina.state=LABEL=my state"));
    MenuRequest {
        profiles: vec![
            vec![generation("console", 3, "A shell"), generation("console", 2, "A shell")],
            vec![generation("rescue", 1, "")],
            vec![web, generation("web", 5, "Pages"), generation("web", 4, "Pages")],
        ],
        rescue: Some(Name::parse("rescue").unwrap()),
        parameters: vec![parameter("lamina.store=PARTUUID=00000000-0000-8000-8000-000000000000")],
        timeout: 5,
        choice: Choice::Default,
    }
}

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn all_loaders_show_the_same_list_in_the_same_order() {
    let menu = Menu::make(&request()).unwrap();
    let ids: Vec<&str> = menu.entries.iter().map(|(name, _)| name.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "lamina-console-3",
            "lamina-web-7",
            "lamina-console-2",
            "lamina-web-5",
            "lamina-web-4",
            "lamina-rescue-1"
        ]
    );
    let GrubMenu { script: grub, file_name } = menu.to_grub_menu().unwrap();
    compare("grub.cfg", &menu.to_grub_menu().unwrap().to_grub_cfg());
    let shown: Vec<&str> = grub.lines().filter_map(|line| Some(line.split_once("--id '")?.1)).collect();
    assert_eq!(shown, ids.iter().map(|id| format!("{id}' {{")).collect::<Vec<_>>());
    let mut keys: Vec<_> = menu.entries.iter().map(|(_, entry)| entry.sort_key.clone()).collect();
    let in_order = keys.clone();
    keys.sort();
    assert_eq!(keys, in_order);
    compare("menu.cfg", &grub);
    assert!(boot_entry::grub::is_menu(&file_name), "{file_name}");
    compare("loader.conf", &menu.to_loader_conf());
    let files =
        menu.entries.iter().map(|(name, entry)| format!("== {}\n{}", name.file_name(), entry.to_conf()));
    compare("entries", &files.collect::<String>());
}

#[test]
fn an_entry_binds_what_may_take_its_place() {
    let menu = Menu::make(&request()).unwrap();
    let fallback = |id: &str| {
        let (_, entry) = menu.entries.iter().find(|(name, _)| name.id == id).unwrap();
        entry
            .options
            .iter()
            .find(|it| it.name() == "lamina.fallback")
            .and_then(Parameter::value)
            .map(str::to_owned)
    };
    let bound = |profile: &str, number| format!("{profile}@{}", generation(profile, number, "").digest);
    assert_eq!(fallback("lamina-web-7"), Some(format!("{},{}", bound("web", 5), bound("rescue", 1))));
    assert_eq!(fallback("lamina-console-2"), Some(bound("rescue", 1)));
    assert_eq!(fallback("lamina-rescue-1"), None);
    let alone = MenuRequest { profiles: vec![vec![generation("web", 1, "")]], rescue: None, ..request() };
    let options = &Menu::make(&alone).unwrap().entries[0].1.options;
    assert!(options.iter().all(|it| it.name() != "lamina.fallback"), "{options:?}");
}

#[test]
fn the_last_good_generation_takes_the_place_of_newer_and_older_ones() {
    let mut request = request();
    request.profiles[2][1].last_good = true;
    let menu = Menu::make(&request).unwrap();
    let of = |id: &str| menu.entries.iter().find(|(name, _)| name.id == id).unwrap().1.clone();
    let numbers = |id: &str| {
        let digests = [7, 5, 4].map(|number| (generation("web", number, "").digest, number));
        let of_web = of(id).fallbacks().into_iter().filter(|(name, _)| name.as_str() == "web");
        of_web.map(|(_, digest)| digests.iter().find(|it| it.0 == digest).unwrap().1).collect::<Vec<u64>>()
    };
    assert_eq!([numbers("lamina-web-7"), numbers("lamina-web-5"), numbers("lamina-web-4")], [[5], [4], [5]]);
    assert_eq!(of("lamina-web-7").boots().unwrap().1, generation("web", 7, "").digest);
}

#[test]
fn a_new_generation_leaves_the_entries_of_other_profiles_as_they_are() {
    let before = Menu::make(&request()).unwrap();
    let mut newer = request();
    let mut web = generation("web", 8, "Pages");
    web.started_with = StartedWith {
        linux: "/lamina/linux-89ab".to_owned(),
        initrd: vec!["/lamina/initrd-cdef".to_owned()],
        version: Some("6.12".to_owned()),
    };
    newer.profiles[2].insert(0, web);
    let after = Menu::make(&newer).unwrap();
    let (kept, changed): (Vec<_>, Vec<_>) = before.entries.iter().partition(|it| after.entries.contains(it));
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert_eq!(changed[0].0.id, "lamina-web-7");
    assert_eq!(after.entries[1].1.linux, "/lamina/linux-89ab");
}

#[test]
fn what_no_loader_could_boot_is_refused() {
    let empty = MenuRequest { profiles: vec![Vec::new()], ..request() };
    assert_eq!(Menu::make(&empty), Err(MenuError::Empty));
    let long = Parameter::new(format!("x={}", "y".repeat(2000))).unwrap();
    let error = Menu::make(&MenuRequest { parameters: vec![long], ..request() }).unwrap_err().to_string();
    assert!(error.starts_with("entry lamina-console-3: its kernel command line has 2"), "{error}");
    let quote = Parameter::new("x=it's").unwrap();
    let menu = Menu::make(&MenuRequest { parameters: vec![quote], ..request() }).unwrap();
    assert!(menu.to_grub_menu().unwrap_err().to_string().contains("\nhelp: "));
    assert_eq!(EntryFileName::parse(&menu.entries[0].0.file_name()).unwrap(), menu.entries[0].0);
}

#[test]
fn the_newest_generations_are_counted_and_the_rescue_is_not() {
    let menu =
        Menu::make(&MenuRequest { choice: Choice::Counted(NonZero::new(3).unwrap()), ..request() }).unwrap();
    let names: Vec<String> = menu.entries.iter().map(|(name, _)| name.file_name()).collect();
    let meant = [
        "lamina-console-3+3-0.conf",
        "lamina-web-7+3-0.conf",
        "lamina-console-2.conf",
        "lamina-web-5.conf",
        "lamina-web-4.conf",
        "lamina-rescue-1.conf",
    ];
    assert_eq!(names, meant);
    assert!(menu.to_loader_conf().starts_with("timeout 5\ndefault lamina-console-[0-9]*.conf\n"));
    // Whoever went back to an older generation means that one.
    let back = Menu { default: "lamina-console-2".to_owned(), ..menu.clone() };
    assert!(back.to_loader_conf().contains("\ndefault lamina-console-2.conf\n"));
    // GRUB counts the one that boots by itself, and has an older generation of the profile in its place when no try is left.
    let script = menu.to_grub_menu().unwrap().script;
    assert_eq!(menu.grub_tries(), Some(GrubTries::of("lamina-console-3", 3)));
    assert!(script.contains(
        " = 'lamina-console-3' -a \"$lamina_tries\" = 0 ]; then\n    set default='lamina-console-2'\n"
    ));
    assert_eq!(script.matches("save_env").count(), 1);
    assert!(boot_entry::grub::default_of(&script).unwrap().contains("--id 'lamina-console-3' {"));
    judged_by_grub(&script);
    // What is not counted has the menu that it always had.
    let counts = |menu: &Menu| menu.to_grub_menu().unwrap().script.contains("tries.env");
    assert!(!counts(&Menu::make(&request()).unwrap()) && !counts(&back) && back.grub_tries().is_none());
    let (first, _) = &menu.entries[0];
    let alone =
        Menu { entries: menu.entries.iter().filter(|it| it.0 == *first).cloned().collect(), ..menu.clone() };
    assert_eq!((alone.grub_tries(), counts(&alone)), (None, false), "nothing could take its place");
}

#[test]
fn what_was_started_last_is_known_to_grub_by_its_block_and_to_systemd_boot_by_the_firmware() {
    let menu = Menu::make(&MenuRequest { choice: Choice::Last, ..request() }).unwrap();
    assert_eq!(menu.to_loader_conf().trim_end(), "timeout 5\ndefault @saved");
    let script = menu.to_grub_menu().unwrap().script;
    compare("menu-last.cfg", &script);
    judged_by_grub(&script);
    assert_eq!(script.matches("save_env").count(), menu.entries.len());
    assert!(boot_entry::grub_last::is_used_by(script.as_bytes()));
    let plain = Menu::make(&request()).unwrap().to_grub_menu().unwrap().script;
    assert!(!boot_entry::grub_last::is_used_by(plain.as_bytes()));
    // Where nothing was started yet, and where that entry is gone.
    assert!(boot_entry::grub::default_of(&script).unwrap().contains("--id 'lamina-console-3' {"));
}

#[test]
fn any_number_of_profiles_stays_in_order() {
    let profiles = (0..=1_100)
        .map(|at| vec![generation(&format!("p{at}"), 1, ""), generation(&format!("p{at}"), 0, "")]);
    let menu = Menu::make(&MenuRequest { profiles: profiles.collect(), rescue: None, ..request() }).unwrap();
    let keys: Vec<&str> = menu.entries.iter().map(|(_, entry)| entry.sort_key.as_deref().unwrap()).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    let newest: Vec<usize> =
        keys[..=1_100].iter().map(|key| boot_entry::menu::place_of(key).unwrap()).collect();
    assert_eq!(newest, (0..=1_100).collect::<Vec<_>>());
    let shown: Vec<&str> = menu.entries[..=1_100].iter().map(|(_, entry)| entry.title.as_str()).collect();
    assert_eq!(shown, (0..=1_100).map(|at| format!("p{at}")).collect::<Vec<_>>());
    for odd in
        ["lamina-0-1000", "lamina-0-a999", "lamina-0-a10000", "lamina-0-+12", "lamina-0-01", "lamina-0-b1000"]
    {
        assert_eq!(boot_entry::menu::place_of(odd), None, "{odd}");
    }
    let many = MenuRequest { profiles: vec![Vec::new(); 10_001], rescue: None, ..request() };
    assert_eq!(Menu::make(&many).unwrap_err(), MenuError::TooMany);
}

#[test]
fn what_has_the_same_bytes_does_not_take_its_own_place() {
    let (mut third, second, mut first) =
        (generation("web", 3, ""), generation("web", 2, ""), generation("web", 1, ""));
    third.digest = first.digest;
    first.last_good = true;
    let bytes = (first.digest, second.digest);
    let request = MenuRequest { profiles: vec![vec![third, second, first]], rescue: None, ..request() };
    let menu = Menu::make(&request).unwrap();
    let fallback = |at: usize| menu.entries[at].1.fallbacks().into_iter().map(|it| it.1).collect::<Vec<_>>();
    assert_eq!([fallback(0), fallback(1), fallback(2)], [vec![bytes.1], vec![bytes.0], vec![]]);
}

/// GRUB's own parser.
fn judged_by_grub(script: &str) {
    let mut check = std::process::Command::new("grub-script-check");
    let mut child =
        check.stdin(std::process::Stdio::piped()).spawn().expect("grub-common: `make deps-test` installs it");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
}

/// A description may be as long as a profile, and GRUB reads no menu with such a word.
#[test]
fn a_long_description_is_cut_and_keeps_no_loader_from_its_menu() {
    let mut request = request();
    request.profiles[0][0] = generation("web", 7, &"größer ' ".repeat(2000));
    let menu = Menu::make(&request).unwrap();
    let title = &menu.entries[0].1.title;
    assert!(title.starts_with("web: größer ' größer") && title.ends_with(" ..."), "{title}");
    assert!(title.chars().count() < 220, "{title}");
    judged_by_grub(&menu.to_grub_menu().unwrap().script);
}
