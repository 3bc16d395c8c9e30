//! Lines that are versions, put into order: by a scheme, or by a command of the caller's.

mod command;

use package_version::{Scheme, Version};

use crate::error::{Error, Result};

pub use command::by_command;

/// More lines than this are not told of in one message.
const MOST_TOLD: usize = 10;

/// The lines, the oldest version first, or the newest; equal ones stay in their order both ways.
///
/// # Errors
/// Lines are no versions: each is told with its number, from 1.
pub fn by_scheme(lines: &[&str], scheme: Scheme, reverse: bool) -> Result<Vec<String>> {
    let (mut versions, mut wrong) = (Vec::with_capacity(lines.len()), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        match Version::parse(line, scheme) {
            Ok(version) => versions.push(version),
            Err(error) => wrong.push((at + 1, error)),
        }
    }
    match wrong.as_slice() {
        [] => {}
        [(line, error)] => return Err(Error::new("", format!("line {line}: {error}")).remedy(error.remedy())),
        several => {
            let told =
                several.iter().take(MOST_TOLD).map(|(line, error)| format!("\n    line {line}: {error}"));
            let more = match several.len().saturating_sub(MOST_TOLD) {
                0 => String::new(),
                more => format!("\n    and {more} more"),
            };
            let cause = format!("{} lines are no versions{}{more}", several.len(), told.collect::<String>());
            return Err(
                Error::new("", cause).remedy("mend these lines, or name another scheme with `--scheme`")
            );
        }
    }
    package_version::sort(&mut versions).map_err(Error::on(""))?;
    if reverse {
        // A row of equal ones is turned twice.
        versions.chunk_by_mut(|one, other| one == other).for_each(<[Version]>::reverse);
        versions.reverse();
    }
    Ok(versions.iter().map(Version::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_versions_stay_in_their_order_both_ways() {
        let lines = ["1.10", "1.2.0", "1.9", "1.2", "v1.2"];
        let sorted = |reverse| by_scheme(&lines, Scheme::Loose, reverse).unwrap();
        assert_eq!(sorted(false), ["1.2.0", "1.2", "v1.2", "1.9", "1.10"]);
        assert_eq!(sorted(true), ["1.10", "1.9", "1.2.0", "1.2", "v1.2"]);
    }

    #[test]
    fn every_wrong_line_is_told_up_to_ten() {
        let error = by_scheme(&["1", "1..2", ""], Scheme::Loose, false).unwrap_err().to_string();
        let expected = "2 lines are no versions\n    line 2: '1..2' is no version of the scheme loose: nothing stands before this '.' (at byte 2)\n    \
             line 3: '' is no version of the scheme loose: it is empty (at byte 0)\nhelp: mend these lines, or name another scheme with `--scheme`";
        assert_eq!(error, expected);
        let error = by_scheme(&["1", ""], Scheme::Loose, false).unwrap_err().to_string();
        assert!(
            error.starts_with("line 2: ''") && error.ends_with("help: write a version, like \"1.2\""),
            "{error}"
        );
        let error = by_scheme(&[""; 5000], Scheme::Loose, false).unwrap_err().to_string();
        assert!(error.lines().count() == 13 && error.contains("\n    and 4990 more\n"), "{error}");
    }
}
