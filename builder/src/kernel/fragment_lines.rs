//! What a fragment of a kernel's configuration may have in its lines: what `packages/linux/asked` and Kconfig's `conf_read_simple()`
//! (`scripts/kconfig/confdata.c` of the kernel) both take. The build would find the rest too, minutes later or never.

use crate::error::{Error, Result};

/// So many lines are told at once.
const MOST_TOLD: usize = 10;
const REMEDY: &str = "a line is CONFIG_X=y, =m, =n, =\"text\" or a number; `# CONFIG_X is not set`; a comment that begins with #; or empty";

/// Whether all lines are settings, comments or empty.
///
/// # Errors
/// Names each line that is not, up to ten, as `file:line:column`.
pub(super) fn check(file: &str, text: &[u8]) -> Result<()> {
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    let wrong = lines.filter_map(|(number, line)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (rest, cause) = mistake(line)?;
        let before = String::from_utf8_lossy(&line[..line.len() - rest.len()]).chars().count();
        Some((format!("{file}:{number}:{}", before + 1), cause))
    });
    let mut wrong: Vec<_> = wrong.take(MOST_TOLD).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let (place, cause) = wrong.remove(0);
    let others: String = wrong.into_iter().map(|(place, cause)| format!("\n{place}: {cause}")).collect();
    Err(Error::new(place, cause + &others).remedy(REMEDY))
}

/// What of a line is wrong, from there on, and why.
fn mistake(line: &[u8]) -> Option<(&[u8], String)> {
    let shown = |rest: &[u8]| String::from_utf8_lossy(rest).escape_debug().to_string();
    if line.trim_ascii_start().first().is_none_or(|byte| *byte == b'#') {
        return None;
    }
    let Some(named) = line.strip_prefix(b"CONFIG_") else {
        return Some((line, format!("`{}` is no setting like CONFIG_X=y", shown(line))));
    };
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let rest = &named[named.iter().take_while(|byte| is_of_name(byte)).count()..];
    let value = match rest.strip_prefix(b"=") {
        Some(value) if rest.len() < named.len() => value,
        _ => return Some((rest, "a name and `=` belong here, as in CONFIG_X=y".to_owned())),
    };
    match behind_value(value) {
        Some(behind) if behind.trim_ascii().is_empty() => None,
        Some(behind) => Some((behind, format!("`{}` stands behind the value", shown(behind)))),
        None if value.starts_with(b"\"") => {
            Some((value, "the text has no end: a `\"` is missing".to_owned()))
        }
        None => Some((value, format!("`{}` is no value", shown(value)))),
    }
}

/// What follows a value.
fn behind_value(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'y' | b'm' | b'n', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_alphanumeric) => Some(rest),
        [b'"', text @ ..] => {
            let mut is_escaped = false;
            let end = text.iter().position(|byte| {
                let is_end = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                is_end
            });
            Some(&text[end? + 1..])
        }
        _ => is_number(value).then_some(&[]),
    }
}

/// Kconfig takes no blank behind one (`sym_string_valid()` in `scripts/kconfig/symbol.c`).
fn is_number(value: &[u8]) -> bool {
    let all = |digits: &[u8], is_digit: fn(&u8) -> bool| !digits.is_empty() && digits.iter().all(is_digit);
    match value {
        [b'0', b'x' | b'X', digits @ ..] => all(digits, u8::is_ascii_hexdigit),
        [b'-', digits @ ..] => all(digits, u8::is_ascii_digit),
        digits => all(digits, u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_config::{Group, fragment};

    #[test]
    fn settings_comments_and_empty_lines_are_taken() {
        let text = "CONFIG_TLS=y\nCONFIG_XFS_FS=m\r\nCONFIG_BUG=n \n\n  \t\n# why\n\t# why\n# CONFIG_TLS is not set\n#CONFIG_X=oops\n\
            CONFIG_64BIT=y\nCONFIG_CMDLINE=\"quiet \\\"a b\\\" \\\\\"\nCONFIG_X=\"\"\nCONFIG_HZ=250\nCONFIG_X=-1\nCONFIG_X=0xFFff0";
        check("a", text.as_bytes()).unwrap();
        check("a", b"# \xff in a comment\n").unwrap();
        for group in Group::ALL {
            check(group.name(), fragment(group).as_bytes()).unwrap();
        }
    }

    #[test]
    fn everything_else_is_told_with_its_place() {
        for (line, expected) in [
            ("nonsense", "a:1:1: `nonsense` is no setting like CONFIG_X=y"),
            (" CONFIG_X=y", "a:1:1: ` CONFIG_X=y` is no setting"),
            ("TLS=y", "a:1:1: `TLS=y` is no setting"),
            ("config_X=y", "a:1:1: `config_X=y` is no setting"),
            ("CONFIG_", "a:1:8: a name and `=` belong here"),
            ("CONFIG_=y", "a:1:8: a name and `=` belong here"),
            ("CONFIG_X", "a:1:9: a name and `=` belong here"),
            ("CONFIG_X =y", "a:1:9: a name and `=` belong here"),
            ("CONFIG_X-Y=y", "a:1:9: a name and `=` belong here"),
            ("CONFIG_X=", "a:1:10: `` is no value"),
            ("CONFIG_X= y", "a:1:10: ` y` is no value"),
            ("CONFIG_X=yes", "a:1:10: `yes` is no value"),
            ("CONFIG_X=Y", "a:1:10: `Y` is no value"),
            ("CONFIG_X=maybe", "a:1:10: `maybe` is no value"),
            ("CONFIG_X=0x", "a:1:10: `0x` is no value"),
            ("CONFIG_X=-", "a:1:10: `-` is no value"),
            ("CONFIG_X=12 ", "a:1:10: `12 ` is no value"),
            ("CONFIG_X=\"a", "a:1:10: the text has no end"),
            ("CONFIG_X=\"a\\\"", "a:1:10: the text has no end"),
            ("CONFIG_X=\"é\" y", "a:1:13: ` y` stands behind the value"),
            ("CONFIG_X=y # why", "a:1:11: ` # why` stands behind the value"),
        ] {
            let error = check("a", line.as_bytes()).expect_err(line).to_string();
            assert!(
                error.starts_with(expected) && error.contains("\nhelp: a line is CONFIG_X=y"),
                "{line}: {error}"
            );
        }
        let error = check("my.config", b"CONFIG_TLS=y\nno\nCONFIG_X=?\n").unwrap_err().to_string();
        let both =
            "my.config:2:1: `no` is no setting like CONFIG_X=y\nmy.config:3:10: `?` is no value\nhelp: ";
        assert!(error.starts_with(both), "{error}");
        assert_eq!(
            check("a", "no\n".repeat(99).as_bytes()).unwrap_err().to_string().lines().count(),
            MOST_TOLD + 1
        );
    }
}
