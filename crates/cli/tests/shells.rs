//! Scripts and pages, judged by the shells that run them and by groff, which sets them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use argh::{ArgsInfo, FromArgs};
use cli::help::{SHELLS, asking_completions, at_cursor, completions, pages, write_pages};

/// Keeps shelves.
#[derive(FromArgs, ArgsInfo)]
#[argh(example = "shelf wood list")]
#[allow(dead_code)]
struct Shelf {
    #[argh(subcommand)]
    material: Material,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
#[allow(dead_code)]
enum Material {
    Wood(Wood),
    Steel(Steel),
}

/// Shelves of wood.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "wood", example = "shelf wood list")]
#[allow(dead_code)]
struct Wood {
    #[argh(subcommand)]
    action: WoodAction,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
#[allow(dead_code)]
enum WoodAction {
    List(ListWood),
}

/// List 'them', one a line.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list", example = "shelf wood list --oak\n.hidden", note = "It's \\ slow.")]
#[allow(dead_code)]
struct ListWood {
    /// only those of oak
    #[argh(switch)]
    oak: bool,
}

/// Shelves of steel.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "steel", example = "shelf steel list")]
#[allow(dead_code)]
struct Steel {
    #[argh(subcommand)]
    action: SteelAction,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
#[allow(dead_code)]
enum SteelAction {
    List(ListSteel),
}

/// List them.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list", example = "shelf steel list --rusty")]
#[allow(dead_code)]
struct ListSteel {
    /// only those with rust
    #[argh(switch)]
    rusty: bool,
    /// write there
    #[argh(option, short = 'o', arg_name = "file")]
    output: Option<String>,
    /// which ones
    #[argh(positional)]
    name: Vec<String>,
}

fn script(folder: &Path, shell: &str) -> String {
    let path = folder.join(shell);
    fs::write(&path, completions(shell, "shelf", &Shelf::get_args_info()).unwrap()).unwrap();
    path.display().to_string()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {program}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_tells_commands_of_one_name_apart() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), "bash");
    let offered = |words: &[&str]| {
        let line = format!(
            "source {script}; COMP_WORDS=({}); COMP_CWORD={}; _shelf; echo ${{COMPREPLY[@]}}",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        run("bash", &["-c", &line]).trim().to_owned()
    };
    assert_eq!(offered(&["shelf", "w"]), "wood");
    assert_eq!(offered(&["./out/shelf", "steel", "l"]), "list");
    assert_eq!(offered(&["shelf", "wood", "list", "--o"]), "--oak");
    assert_eq!(offered(&["shelf", "steel", "list", "--r"]), "--rusty");
    assert_eq!(offered(&["shelf", "steel", "list", "--oa"]), "");
    // The value of an option is a file, which bash itself offers.
    assert_eq!(offered(&["shelf", "steel", "list", "--output", ""]), "");
}

#[test]
fn fish_tells_them_apart_too() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), "fish");
    let offered = |line: &str| {
        let found = run("fish", &["--no-config", "-c", &format!("source {script}; complete -C '{line}'")]);
        let words = found.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(offered("shelf wo"), ["wood"]);
    assert_eq!(offered("shelf wood list --oa"), ["--oak"]);
    assert_eq!(offered("shelf steel list --ru"), ["--rusty"]);
    assert_eq!(offered("shelf steel list --oa"), [] as [&str; 0]);
}

#[test]
fn zsh_reads_its_script_and_offers_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "zsh");
    run("zsh", &["-n", &path]);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains("[write there]'':value:_files'"), "{text}");
    assert_eq!(text.matches("'*:file:_files' && return 0").count(), 2, "{text}");
}

#[test]
fn every_shell_of_the_list_has_a_script_and_no_other() {
    let has = |shell: &str| completions(shell, "shelf", &Shelf::get_args_info()).is_some();
    assert!(SHELLS.iter().all(|shell| has(shell)) && !has("sh"));
}

#[test]
fn groff_sets_every_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("share/man1");
    write_pages(&below, "shelf", &Shelf::get_args_info()).unwrap();
    let names: Vec<String> =
        pages("shelf", &Shelf::get_args_info()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["shelf.1", "shelf-wood.1", "shelf-wood-list.1", "shelf-steel.1", "shelf-steel-list.1"]
    );
    for name in &names {
        let page = below.join(name).display().to_string();
        let set = run("groff", &["-man", "-Tutf8", "-ww", "-P-cbou", &page]);
        assert!(set.contains("EXAMPLES"), "{name}: {set}");
    }
    let page = below.join("shelf-wood-list.1").display().to_string();
    let set = run("groff", &["-man", "-Tascii", "-ww", "-P-cbou", &page]);
    for part in ["shelf-wood-list - List 'them', one a line.", "\n       .hidden\n", "It's \\ slow.", "--oak"]
    {
        assert!(set.contains(part), "{part} in\n{set}");
    }
    let refused = write_pages(Path::new("/proc/nothing"), "shelf", &Shelf::get_args_info()).unwrap_err();
    assert!(refused.to_string().starts_with("/proc/nothing: ") && refused.has_own_remedy(), "{refused}");
}

#[test]
fn an_empty_name_is_no_folder_for_pages() {
    let refused = write_pages(Path::new(""), "shelf", &Shelf::get_args_info()).unwrap_err();
    assert!(refused.to_string().contains("is an empty path\nhelp: give the name of a folder"), "{refused}");
    assert!(!Path::new("shelf.1").exists());
}

/// A program `shelf` that answers its completion script and says how else it was called, in a folder with its scripts.
fn asked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = "#!/bin/sh\n\
        [ \"$1\" = __complete ] || { printf 'called:'; printf ' <%s>' \"$@\"; echo; exit; }\n\
        shift\n\
        for last; do :; done\n\
        case \"$*\" in\n\
            *' --ru') ;;\n\
            'steel list --output='*) printf 'files\\n--output=x-ray\\n' ;;\n\
            'steel list --output'*) printf 'files\\nx-ray\\n' ;;\n\
            'steel list'*) printf 'nothing\\nbeam\\ta long one\\nrail@1b\\tone: of two\\nbolt$(touch pwned)\\t$(touch pwned)\\n' ;;\n\
        esac | grep -e ^nothing$ -e ^files$ -e \"^$last\"\n";
    let path = folder.path().join("shelf");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("yard.txt"), "").unwrap();
    for shell in SHELLS {
        let script = asking_completions(shell, "shelf", &Shelf::get_args_info()).unwrap();
        fs::write(folder.path().join(format!("script.{shell}")), script).unwrap();
    }
    folder
}

/// Lines that are the same to every shell: with a tab where a person presses it, and what the program must be called with.
const TYPED: [(&str, &str); 9] = [
    ("./shelf steel list be\t", "<steel> <list> <beam>"),
    ("./shelf steel list rail@\t", "<steel> <list> <rail@1b>"),
    ("./shelf steel list rail@1\t", "<steel> <list> <rail@1b>"),
    ("./shelf steel list --output=x-\t", "<steel> <list> <--output=x-ray>"),
    ("./shelf steel list --output x-\t", "<steel> <list> <--output> <x-ray>"),
    ("./shelf steel list --output ya\t", "<steel> <list> <--output> <yard.txt>"),
    ("./shelf steel list beam --ru\t", "<steel> <list> <beam> <--rusty>"),
    ("./shelf ste\tli\t", "<steel> <list>"),
    // Names come from trees and images that somebody else has made.
    ("./shelf steel list bo\t", "<steel> <list> <bolt$(touch pwned)>"),
];

/// What an interactive shell on a terminal of its own shows of these lines.
fn typed_into(shell: &str, folder: &Path, first: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", shell, "/dev/null"]).current_dir(folder).env("TERM", "dumb").env("HOME", folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<&str> = [first].into_iter().chain(TYPED.map(|(line, _)| line)).chain(["exit"]).collect();
    let mut input = child.stdin.take().unwrap();
    for line in lines {
        // A shell throws away what was typed before it reads with its line editor.
        std::thread::sleep(std::time::Duration::from_millis(700));
        input.write_all(format!("{line}\r").as_bytes()).unwrap();
    }
    drop(input);
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}

fn check_typed(shown: &str) {
    for (line, called) in TYPED {
        assert!(shown.contains(&format!("called: {called}\r\n")), "{line:?} in {shown}");
    }
}

#[test]
fn bash_asks_the_program_for_values() {
    let folder = asked();
    let first = "source ./script.bash";
    check_typed(&typed_into("bash --norc --noprofile -i", folder.path(), first));
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn zsh_asks_the_program_for_values() {
    let folder = asked();
    let first = "PS1='> '; autoload -Uz compinit; compinit -D; source ./script.zsh";
    check_typed(&typed_into("zsh -f -i", folder.path(), first));
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn fish_asks_the_program_for_values() {
    let folder = asked();
    let offered = |line: &str| {
        let there = folder.path().display();
        let line = format!("cd {there}; source script.fish; complete -C '{line}'");
        run("fish", &["--no-config", "-c", &line])
    };
    assert_eq!(offered("./shelf steel list be"), "beam\ta long one\n");
    assert_eq!(offered("./shelf steel list rail@"), "rail@1b\tone: of two\n");
    assert_eq!(offered("./shelf steel list --output x-").split('\t').next(), Some("x-ray"));
    assert_eq!(offered("./shelf steel list --output ya").trim_end(), "yard.txt");
    assert_eq!(offered("./shelf steel list beam --ru").split('\t').next(), Some("--rusty"));
    assert_eq!(offered("./shelf st").split('\t').next(), Some("steel"));
    assert_eq!(offered("./shelf steel list bo"), "bolt$(touch pwned)\t$(touch pwned)\n");
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn the_cursor_is_found_in_every_spelling() {
    let declared = Shelf::get_args_info();
    let at = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        at_cursor(&declared, &words).map(|it| (it.argument, it.before, it.typed, it.given))
    };
    let plain = |argument, typed: &str, given| Some((argument, String::new(), typed.to_owned(), given));
    assert_eq!(at(&["steel", "list", ""]), plain("name", "", vec![]));
    assert_eq!(
        at(&["steel", "list", "a", "--rusty", "b"]),
        plain("name", "b", vec![("name", "a".to_owned())])
    );
    assert_eq!(at(&["steel", "list", "-o", "x"]), plain("--output", "x", vec![]));
    assert_eq!(at(&["steel", "list", "--output", "--x"]), plain("--output", "--x", vec![]));
    assert_eq!(at(&["steel", "list", "-ox", "y"]), plain("name", "y", vec![("--output", "x".to_owned())]));
    assert_eq!(
        at(&["steel", "list", "--output=x"]),
        Some(("--output", "--output=".to_owned(), "x".to_owned(), vec![]))
    );
    assert_eq!(at(&["steel", "list", "--", "-o", "-"]), plain("name", "-", vec![("name", "-o".to_owned())]));
    // A command, an option, a word too many: nothing to ask the program for.
    for words in [&[""][..], &["steel", ""], &["steel", "list", "--r"], &["wood", "list", "x"], &[]] {
        assert_eq!(at(words), None, "{words:?}");
    }
}
