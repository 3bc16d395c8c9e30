//! Scripts and pages, judged by the shells that run them and by groff, which sets them.

use std::fs;
use std::path::Path;
use std::process::Command;

use argh::{ArgsInfo, FromArgs};
use cli::help::{SHELLS, completions, pages, write_pages};

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
    assert!(refused.to_string().starts_with("/proc/nothing: ") && !refused.remedy.is_empty(), "{refused}");
}
