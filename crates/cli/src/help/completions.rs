//! Completion scripts: what the crate `argh_complete` makes, with what it lacks.

use argh::CommandInfoWithArgs;
use argh_complete::Generator;

use super::values;

/// The shells that there are scripts for.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What `argh` says of its own option.
const HELP: &str = "display usage information";
const VERSION: &str = "show the version";

/// The script that completes the command `name` in `shell`; `None` for a shell that is not one of [`SHELLS`].
pub fn completions(shell: &str, name: &str, command: &CommandInfoWithArgs) -> Option<String> {
    match shell {
        "bash" => {
            let script = argh_complete::bash::Bash::generate(name, command);
            Some(one_case_for_each_path(&script.replace("opts=\"--help", "opts=\"--help --version")))
        }
        "zsh" => {
            let script = argh_complete::zsh::Zsh::generate(name, command);
            Some(with_files(&also_version(&script, "--help[", "--version[")))
        }
        // fish 3, as in Debian 12, knows the words before the cursor as -o only; fish 4 knows both.
        "fish" => {
            let script = argh_complete::fish::Fish::generate(name, command);
            let script = script.replace("commandline -xpc", "commandline -opc");
            Some(options_behind_arguments(&also_version(&script, " -l help ", " -l version "), name, command))
        }
        _ => None,
    }
}

/// As [`completions`], for a program that answers [`super::QUESTION`].
pub fn asking_completions(shell: &str, name: &str, command: &CommandInfoWithArgs) -> Option<String> {
    let script = completions(shell, name, command)?;
    Some(match shell {
        "bash" => values::asked_by_bash(&script, name),
        "zsh" => values::asked_by_zsh(&script, name),
        _ => values::asked_by_fish(&script, name),
    })
}

/// The crate `command-line` understands --version wherever --help is.
fn also_version(script: &str, help: &str, version: &str) -> String {
    let mut lines = Vec::new();
    for line in script.lines() {
        lines.push(line.to_owned());
        if line.contains(help) && line.contains(HELP) {
            lines.push(line.replace(help, version).replace(HELP, VERSION));
        }
    }
    lines.join("\n") + "\n"
}

/// The script of `argh_complete` looks at each word alone, so that `list` of one family is taken for that of another. Here a
/// word counts behind the command it follows: `lamina_store/list`.
fn one_case_for_each_path(script: &str) -> String {
    let mut lines: Vec<String> = script.lines().map(str::to_owned).collect();
    for index in 1..lines.len() {
        let set = lines[index].trim().strip_prefix("cmd=\"").and_then(|rest| rest.strip_suffix('"'));
        let Some(full) = set.filter(|full| !full.is_empty()).map(str::to_owned) else { continue };
        let Some(word) = lines[index - 1].trim().strip_suffix(')').map(str::to_owned) else { continue };
        let pattern = match full.strip_suffix(&format!("_{word}")) {
            Some(above) => format!("            {above}/{word})"),
            // The name of the command itself: `lamina | */lamina`.
            None => format!("            /{full} | /*/{full})"),
        };
        lines[index - 1] = pattern;
    }
    let script = lines.join("\n") + "\n";
    script.replacen("case \"${i}\" in", "case \"${cmd}/${i}\" in", 1)
}

/// zsh offers files only where it is told to: as values of options, and as arguments of commands without further commands.
fn with_files(script: &str) -> String {
    let (last, and_files) = ("\n        && return 0", "\n        '*:file:_files' && return 0");
    script.replace("': :'", "':value:_files'").replace(last, and_files)
}

/// fish offers the options of a command only right behind its words. Of one without further commands, they may also come later.
fn options_behind_arguments(script: &str, name: &str, command: &CommandInfoWithArgs) -> String {
    let (exact, behind) = (format!("__fish_{name}_using_command"), format!("__fish_{name}_behind_command"));
    let begin = format!("function {exact}\n");
    let Some((function, rest)) = script.strip_prefix(&begin).and_then(|rest| rest.split_once("\nend\n"))
    else {
        return script.to_owned();
    };
    let other = function.replace("$count_cleaned -ne $count_target", "$count_cleaned -lt $count_target");
    let mut rest = rest.to_owned();
    for path in commands_without_commands(command) {
        let path = path.join(" ");
        let quoted = |function: &str| format!("'{}'", format!("{function} {path}").trim_end());
        rest = rest.replace(&quoted(&exact), &quoted(&behind));
    }
    format!("{begin}{function}\nend\n\nfunction {behind}\n{other}\nend\n{rest}")
}

fn commands_without_commands(command: &CommandInfoWithArgs) -> Vec<Vec<&str>> {
    if command.commands.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for it in &command.commands {
        for path in commands_without_commands(&it.command) {
            all.push([&[it.name], path.as_slice()].concat());
        }
    }
    all
}
