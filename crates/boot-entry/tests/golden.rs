//! The texts that loaders read, byte for byte. `GOLDEN=write cargo test -p boot-entry` writes them anew.

use std::num::NonZero;
use std::path::Path;

use boot_entry::{EntryFileName, Generation, GrubMenu, Menu, MenuError, MenuRequest, Parameter, StartedWith};
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
        tries: None,
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
    let menu = Menu::make(&MenuRequest { tries: NonZero::new(3), ..request() }).unwrap();
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
    // GRUB knows no tries: its menu is the same.
    assert_eq!(menu.to_grub_menu().unwrap(), Menu::make(&request()).unwrap().to_grub_menu().unwrap());
}
