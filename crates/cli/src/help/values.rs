//! Values that only the program knows: its completion script asks it, as `PROGRAM __complete WORD...`, where the last word is the one
//! under the cursor and may be empty.
//!
//! The answer: nothing where the script itself knows what comes (commands and options). Else a first line that says what the shell may
//! offer besides, and a line for each value, with a tab and a description where there is one.

use std::fmt;

/// The first word of that question.
pub const QUESTION: &str = "__complete";

/// What fits at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// What the shell may offer besides.
    pub also: Also,
    /// Whole words, each with a description, which may be empty.
    pub words: Vec<(String, String)>,
}

/// What a shell knows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Also {
    /// The values are all there is.
    #[default]
    Nothing,
    /// Files and folders.
    Files,
    /// Folders alone.
    Folders,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.also {
            Also::Nothing => "nothing",
            Also::Files => "files",
            Also::Folders => "folders",
        })?;
        // A name with a control character would be two, and no shell types one.
        let can_be_typed = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        for (word, description) in self.words.iter().filter(|(word, _)| can_be_typed(word)) {
            write!(f, "\n{word}")?;
            if can_be_typed(description) {
                write!(f, "\t{description}")?;
            }
        }
        Ok(())
    }
}

/// Lets the script of `argh_complete` for bash ask the program `name`.
pub(super) fn asked_by_bash(script: &str, name: &str) -> String {
    let begin = "    COMPREPLY=()\n";
    let ask = format!("{begin}    _{name}_values && return 0\n");
    script.replacen(begin, &ask, 1) + &BASH.replace("NAME", name)
}

/// As [`asked_by_bash`], for zsh.
pub(super) fn asked_by_zsh(script: &str, name: &str) -> String {
    let (values, begin) = (format!("_{name}_values"), format!("_{name}() {{\n"));
    let script = script.replace(":value:_files'", &format!(":value:{values}'"));
    let script = script.replace("'*:file:_files'", &format!("'*:value:{values}'"));
    // Below the first function, `words` begins with the command and not with the program.
    let words = "    local -a _asked_words\n    _asked_words=(\"${(@)words[1,CURRENT-1]}\" \"$PREFIX\")\n";
    script.replacen(&begin, &format!("{}{begin}{words}", ZSH.replace("NAME", name)), 1)
}

/// As [`asked_by_bash`], for fish.
pub(super) fn asked_by_fish(script: &str, name: &str) -> String {
    let with_value = |line: &str| match line.starts_with("complete ") {
        true => line.replace(" -r ", &format!(" -x -a '(__{name}_values)' ")),
        false => line.to_owned(),
    };
    let lines: Vec<String> = script.lines().map(with_value).collect();
    let asks = format!("complete -c {name} -f -a '(__{name}_values)'\n");
    FISH.replace("NAME", name) + &lines.join("\n") + "\n" + &asks
}

/// bash takes words apart at each of COMP_WORDBREAKS, as `hello@ab` and `--with=utf8`, and puts what is chosen behind the last `=` or `:`
/// and in place of the last `@` and what follows:
/// the words are taken from the line, and what bash keeps is cut off from the answer. Unquoted, the name
/// `$(command)` of somebody else's tree would run with the line: names are quoted here, or left out where bash quotes files. (The other two
/// shells quote all.)
const BASH: &str = r#"
_NAME_values() {
    local head="${COMP_LINE:0:COMP_POINT}" part="${COMP_WORDS[COMP_CWORD]}" kept line
    local -a words lines
    IFS=$' \t\n' read -ra words <<< "$head"
    case "$head" in *[[:space:]]) words+=("") ;; esac
    [[ ${#words[@]} -gt 1 ]] || return 1
    mapfile -t lines < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
    [[ ${#lines[@]} -gt 0 ]] || return 1
    case "$part" in [=:]) part="" ;; esac
    kept="${words[-1]}"
    kept="${kept%"$part"}"
    case "$kept" in *@) kept="${kept%@}" ;; esac
    for line in "${lines[@]:1}"; do
        line="${line%%$'\t'*}"
        line="${line#"$kept"}"
        case "${lines[0]}" in
            nothing) printf -v line %q "$line" ;;
            *) [[ "$line" == *[^[:alnum:]@%+=:,./_-]* ]] && continue ;;
        esac
        COMPREPLY+=("$line")
    done
    compopt +o default +o bashdefault
    case "${lines[0]}" in
        files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$part") ;;
        folders) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$part") ;;
    esac
    return 0
}
"#;

const ZSH: &str = r#"_NAME_values() {
    local answer line
    local -a lines values
    answer=$(${~${(Q)_asked_words[1]}} __complete "${(@Q)_asked_words[2,-1]}" 2>/dev/null)
    [[ -n $answer ]] || return 1
    lines=("${(@f)answer}")
    for line in "${(@)lines[2,-1]}"; do
        line=${line//:/\\:}
        values+=("${line/$'\t'/:}")
    done
    local found=1
    (( ${#values} )) && _describe value values && found=0
    case $lines[1] in
        (files) _files && found=0 ;;
        (folders) _files -/ && found=0 ;;
    esac
    return found
}

"#;

const FISH: &str = r#"function __NAME_values
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' -- $HOME $words[1])
    set -l lines ($program __complete $words[2..] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
    end
    test (count $lines) -gt 1; and string join \n -- $lines[2..]
end

"#;
