//! The usual spellings, over every command: the declaration is walked, so that a new command cannot be without them.

mod program;

use std::path::Path;
use std::process::{Command, Stdio};

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};
use builder::command::{Lamina, PROGRAM};
use cli::command_line::{Spelt, spell};
use program::{lamina, told};

/// Letters that mean the same wherever they stand.
const LETTERS: [(char, &str); 4] =
    [('j', "--jobs"), ('n', "--dry-run"), ('v', "--verbose"), ('o', "--output")];

/// Every command with its words, the program itself first.
fn walk<'a>(
    path: &[&'a str],
    declared: &'a CommandInfoWithArgs,
    found: &mut Vec<(Vec<&'a str>, &'a CommandInfoWithArgs)>,
) {
    found.push((path.to_vec(), declared));
    for below in &declared.commands {
        walk(&[path, &[below.name]].concat(), &below.command, found);
    }
}

fn spelt(words: &[&str]) -> Result<Vec<String>, String> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    spell(&PROGRAM, &Lamina::get_args_info(), words).map(|spelt| match spelt {
        Spelt::Command { words, .. } => words,
        other => panic!("{other:?}"),
    })
}

/// Words that make the command line of a command complete, so that nothing is missing besides what is tried.
fn complete<'a>(path: &[&'a str], declared: &'a CommandInfoWithArgs, without: &str) -> Vec<&'a str> {
    let mut words = path.to_vec();
    for flag in
        declared.flags.iter().filter(|flag| flag.optionality == Optionality::Required && flag.long != without)
    {
        words.extend([flag.long, "x"]);
    }
    words.extend(declared.positionals.iter().map(|_| "x"));
    words
}

fn has_value(flag: &FlagInfo<'_>) -> bool {
    matches!(flag.kind, FlagInfoKind::Option { .. })
}

#[test]
fn every_option_of_every_command_takes_every_spelling() {
    let declared = Lamina::get_args_info();
    let mut commands = Vec::new();
    walk(&[], &declared, &mut commands);
    assert!(commands.len() > 30, "{}", commands.len());
    for (path, command) in commands {
        for (letter, name) in LETTERS {
            for flag in command.flags {
                let same = (flag.short == Some(letter)) == (flag.long == name);
                assert!(same, "lamina {}: -{letter} and {} must be {name}", path.join(" "), flag.long);
            }
        }
        if !command.commands.is_empty() && !path.is_empty() {
            continue;
        }
        for flag in command.flags.iter().filter(|flag| flag.long != "--help") {
            // Options of the program need a command.
            let path = if path.is_empty() { vec!["store", "list"] } else { path.clone() };
            let words = complete(&path, command, flag.long);
            let with = |more: &[&str]| spelt(&[&words[..], more].concat());
            let joined = format!("{}=7", flag.long);
            if !has_value(flag) {
                let plain = with(&[flag.long]).unwrap();
                assert!(plain.iter().any(|word| word == flag.long), "{plain:?}");
                assert!(with(&[&joined]).unwrap_err().contains("takes no value\nhelp: "));
                if let Some(letter) = flag.short {
                    assert_eq!(with(&[&format!("-{letter}")]), Ok(plain));
                }
                continue;
            }
            let plain = with(&[flag.long, "7"]).unwrap();
            assert!(plain.windows(2).any(|pair| pair == [flag.long, "7"]), "{plain:?}");
            assert_eq!(with(&[&joined]).as_ref(), Ok(&plain));
            let message = with(&[flag.long]).unwrap_err();
            assert!(message.contains(&format!("{} has no value\nhelp: give ", flag.long)), "{message}");
            // What follows is an option, and no value.
            let message = with(&[flag.long, "--verbose"]).unwrap_err();
            assert!(message.contains("has no value"), "{message}");
            if let Some(letter) = flag.short {
                for spelling in [
                    &[&format!("-{letter}7")[..]][..],
                    &[&format!("-{letter}"), "7"],
                    &[&format!("-{letter}=7")],
                ] {
                    assert_eq!(with(spelling).as_ref(), Ok(&plain), "{spelling:?}");
                }
            }
        }
    }
}

#[test]
fn every_command_answers_help_and_version_and_refuses_in_one_style() {
    let declared = Lamina::get_args_info();
    let mut commands = Vec::new();
    walk(&[], &declared, &mut commands);
    for (path, _) in commands {
        let run = |more: &str| {
            let output = lamina(Path::new("."), &[&path[..], &[more]].concat());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        let help = run("--help");
        assert!(help.0 == Some(0) && help.2.is_empty(), "{path:?}: {help:?}");
        let usage = ["Usage: lamina", &path.join(" ")].join(" ");
        assert!(help.1.starts_with(usage.trim_end()), "{}", help.1);
        assert!(
            help.1.contains("\n  -h, --help        ") && help.1.contains("\n  -V, --version     "),
            "{}",
            help.1
        );
        assert!(!help.1.contains('\x1b'), "colours without a terminal: {}", help.1);
        assert_eq!(run("-h"), help);
        for spelling in ["-V", "--version"] {
            let version = format!("lamina {}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!(run(spelling), (Some(0), version, String::new()), "{path:?}");
        }
        let command = [&["lamina"][..], &path].concat().join(" ");
        for unknown in ["--frobnicate", "-X", "--frobnicate=1"] {
            let (code, out, err) = run(unknown);
            let name = unknown.split('=').next().unwrap();
            assert_eq!((code, out.as_str()), (Some(2), ""), "{command} {unknown}");
            assert!(err.starts_with(&format!("{command}: there is no option '{name}'\nhelp: ")), "{err}");
        }
    }
}

#[test]
fn words_are_understood_as_they_are_usually_meant() {
    let spelt = |line: &str| spelt(&line.split(' ').collect::<Vec<_>>()).map(|words| words.join(" "));
    for (line, expected) in [
        ("build x --store=/s -v", "--store /s --verbose build x"),
        ("--tree t store list", "--tree t store list"),
        ("-v build -nj4 x", "--verbose build --dry-run --jobs 4 x"),
        ("build -vn x", "--verbose build --dry-run x"),
        ("build x --without help", "build --without help x"),
        ("build x --with --odd", "build --with --odd x"),
        ("build x --with=--all", "build --with --all x"),
        ("image create x -o --odd", "image create --output --odd x"),
        ("image create x -oout=1.sqfs", "image create --output out=1.sqfs x"),
        ("why -- --odd", "why -- --odd"),
        ("build help", "build -- help"),
        ("build x -- --a=b", "build -- x --a=b"),
        ("image cat - x", "image cat -- - x"),
    ] {
        assert_eq!(spelt(line).as_deref(), Ok(expected), "{line}");
    }
    for (line, expected) in [
        ("--store s stroe list", "lamina: there is no command 'stroe'\nhelp: did you mean 'store'?"),
        ("store lsit", "lamina store: there is no command 'lsit'\nhelp: did you mean 'list'?"),
        (
            "store verify --josn",
            "lamina store verify: there is no option '--josn'\nhelp: did you mean '--json'?",
        ),
        ("--verbsoe store list", "lamina: there is no option '--verbsoe'\nhelp: did you mean '--verbose'?"),
        (
            "image inspect a b",
            "lamina image inspect: 'b' is one word too many\nhelp: `lamina image inspect` takes ",
        ),
        (
            "store list now",
            "lamina store list: 'now' is one word too many\nhelp: `lamina store list` takes options only",
        ),
        ("image create x -o --json", "lamina image create: -o has no value\nhelp: give FILE after it"),
        (
            "image create",
            "lamina image create: DIR is missing\nhelp: for example: lamina image create site -o ",
        ),
        ("image cat a", "lamina image cat: PATH is missing\nhelp: for example: lamina image cat "),
        ("profile sign web", "lamina profile sign: --key FILE is missing\nhelp: for example: "),
        (
            "store list --\u{1b}[2J",
            "lamina store list: there is no option '--\\u{1b}[2J'\nhelp: known here: ",
        ),
    ] {
        let message = spelt(line).unwrap_err();
        assert!(message.starts_with(expected), "{line}: {message}");
    }
    let long = spelt(&"x".repeat(100_000)).unwrap_err();
    assert!(long.len() < 1000 && long.contains("xxx…'"), "{long}");
}

#[test]
fn what_is_no_value_is_told_with_the_command_and_the_option() {
    for (arguments, expected) in [
        (&["build", "x", "-j0"][..], "lamina build: --jobs 0: must be 1 or more\nhelp: "),
        (
            &["build", "x", "-j2", "--jobs=3"],
            "lamina build: --jobs is given more than once\nhelp: give it once\n",
        ),
        (&["image", "create", "x", "--time", "now"], "lamina image create: --time now: is no whole number\n"),
        (&["build", "x", "--jobs", ""], "lamina build: --jobs : is empty, and a number belongs there\n"),
        (
            &["image", "create", "x", "--time", "99999999999"],
            "lamina image create: --time 99999999999: is too large\n",
        ),
        (&["image"], "lamina image: a command is missing\nhelp: known here: cat, create, "),
        (&[], "lamina: a command is missing\nhelp: known here: bless, "),
    ] {
        let output = lamina(Path::new("."), arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.starts_with(expected), "{arguments:?}: {message}");
    }
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"a\xff");
    let output = Command::new(env!("CARGO_BIN_EXE_lamina")).arg(odd).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told(&output).starts_with("lamina: the argument \"a\\xFF\" is not UTF-8\nhelp: "),
        "{}",
        told(&output)
    );
}

#[test]
fn the_help_names_every_variable_of_the_environment_that_counts() {
    let help = told(&lamina(Path::new("."), &["--help"]));
    let mut seen = std::collections::BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for word in std::fs::read_to_string(&path).unwrap().split('"').skip(1) {
                let ours = word.starts_with("LAMINA_") && !word.starts_with("LAMINA_TEST_");
                if ours && word.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                    assert!(help.contains(word), "{word} of {} is not in:\n{help}", path.display());
                    seen.insert(word.to_owned());
                }
            }
        }
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["LAMINA_STORE", "LAMINA_TREE"]);
    for other in ["MINISIGN_PASSWORD", "NO_COLOR", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        assert!(help.contains(other), "{other}");
    }
}

#[test]
fn colours_are_for_a_terminal_and_for_those_who_do_not_refuse_them() {
    let on_a_terminal = |arguments: &str, no_color: &str, term: &str| {
        let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_lamina"));
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", term)
            .env("NO_COLOR", no_color)
            .stdin(Stdio::null())
            .output()
            .expect("script runs: apt-get install bsdutils");
        told(&output)
    };
    for (arguments, part) in [
        ("bild", "\x1b[1;31mlamina:\x1b[0m there is no command 'bild'\r\n\x1b[36mhelp:\x1b[0m did you"),
        ("build --tree /nowhere x", "\x1b[1;31mlamina:\x1b[0m /nowhere: has no folder"),
        ("--help", "\x1b[1mOptions:\x1b[0m\r\n  \x1b[36m--store"),
    ] {
        assert!(
            on_a_terminal(arguments, "", "xterm").contains(part),
            "{:?}",
            on_a_terminal(arguments, "", "xterm")
        );
        for (no_color, term) in [("1", "xterm"), ("", "dumb")] {
            let plain = on_a_terminal(arguments, no_color, term);
            // The line that moves may be cleared all the same.
            assert!(!plain.replace("\r\x1b[K", "").contains("\x1b["), "{plain:?}");
        }
    }
}
