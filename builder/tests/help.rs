//! Every command explains itself: the texts of `--help` are walked, from the top down.

mod program;

use std::path::Path;

use program::{lamina, told};

/// The words of a command and its help.
struct Command {
    path: Vec<String>,
    help: String,
}

impl Command {
    fn name(&self) -> String {
        ["lamina".to_owned()].into_iter().chain(self.path.iter().cloned()).collect::<Vec<_>>().join(" ")
    }

    /// The lines of a section, without the blanks before them.
    fn section(&self, title: &str) -> Vec<&str> {
        let lines = self.help.lines().skip_while(|line| *line != format!("{title}:")).skip(1);
        lines.take_while(|line| !line.is_empty()).map(str::trim_start).collect()
    }

    /// The commands below it. A line that goes on a description stands further to the right.
    fn below(&self) -> Vec<String> {
        let lines = self.help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    }
}

/// Every command, the families too.
fn walk() -> Vec<Command> {
    let (mut found, mut waiting) = (Vec::new(), vec![Vec::new()]);
    while let Some(path) = waiting.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = lamina(Path::new("."), &arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{path:?}: {}", told(&output));
        let command = Command { path, help: told(&output) };
        waiting.extend(command.below().into_iter().map(|name| [&command.path[..], &[name]].concat()));
        found.push(command);
    }
    found
}

#[test]
fn every_command_has_examples_that_it_understands() {
    let commands = walk();
    assert!(commands.len() > 30, "{}", commands.len());
    for command in &commands {
        let examples = command.section("Examples");
        assert!(!examples.is_empty(), "{} has no example:\n{}", command.name(), command.help);
        let own = examples.iter().any(|line| line.contains(&command.name()));
        assert!(own, "{}: {examples:?}", command.name());
        assert!(command.help.lines().nth(2).is_some_and(|line| !line.is_empty()), "{}", command.help);
        for (line, option) in examples.iter().flat_map(|line| options_of_lamina(line)) {
            let named = line.split_whitespace().take_while(|word| !word.starts_with('-')).collect::<Vec<_>>();
            let meant = commands
                .iter()
                .filter(|other| named.join(" ").starts_with(&other.name()))
                .max_by_key(|other| other.path.len());
            let known = meant.is_some_and(|other| other.help.contains(option));
            assert!(known, "{}: the example {line:?} has {option}", command.name());
        }
    }
}

/// The part of an example that is `lamina`'s, with each of its options.
fn options_of_lamina(line: &str) -> Vec<(&str, &str)> {
    let Some(start) = line.find("lamina ") else { return Vec::new() };
    let own = line[start..].split(['|', '>', '&']).next().unwrap_or_default();
    own.split_whitespace().filter(|word| word.starts_with("--")).map(|word| (own, word)).collect()
}

#[test]
fn whatever_lists_or_checks_takes_json() {
    for command in walk() {
        let lists = ["list", "check", "inspect", "verify"];
        if command.path.last().is_some_and(|name| lists.contains(&name.as_str())) {
            let has = command.section("Options").iter().any(|line| line.starts_with("--json "));
            assert!(has, "{} has no --json", command.name());
        }
    }
}

#[test]
fn every_list_is_json_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    let mut lists = 0;
    std::fs::create_dir_all(folder.path().join("medium/profiles")).unwrap();
    for command in walk() {
        if command.path.last().is_some_and(|name| name == "list") {
            let path: Vec<&str> = command.path.iter().map(String::as_str).collect();
            let medium: &[&str] = match path[..] {
                ["system", ..] => &["--medium", "medium", "--esp", "medium"],
                _ => &[],
            };
            let arguments = [&path[..], &["--json", "--tree", &tree], medium].concat();
            let output = lamina(folder.path(), &arguments);
            assert!(output.status.success(), "{}", told(&output));
            let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(value.is_array(), "{}: {value}", command.name());
            lists += 1;
        }
    }
    assert_eq!(lists, 4, "kernel, profile, store, system");
    let checked = lamina(folder.path(), &["profile", "check", "console", "--json", "--tree", &tree]);
    let value: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    let packages = value[0]["packages"].as_array().unwrap();
    assert!(packages.iter().any(|it| it["name"] == "busybox"), "{value}");
}
