//! The control file: what the package says about itself (deb-control(5)).

use crate::error::{Part, malformed};

/// The fields of a package's control file, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    fields: Vec<(String, String)>,
    package: String,
    version: String,
}

impl Control {
    /// Parses one paragraph. Continuation lines are joined with newlines, their one leading blank removed.
    pub(crate) fn parse(text: &str) -> Part<Control> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            if let Some(more) = line.strip_prefix([' ', '\t']) {
                let Some((_, value)) = fields.last_mut() else {
                    return malformed("its control file begins with a continuation line");
                };
                value.push('\n');
                value.push_str(more);
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_owned(), value.trim().to_owned()));
            } else {
                return malformed(format!("line {} of its control file has no colon", index + 1));
            }
        }
        let required = |name: &str| match find(&fields, name) {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => malformed(format!("its control file has no field `{name}`")),
        };
        let (package, version) = (required("Package")?, required("Version")?);
        Ok(Control { fields, package, version })
    }

    /// The package's name, as in `zlib1g`.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The package's version with epoch and revision, as in `1:1.2.13.dfsg-1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The text of any field, such as `Architecture` or `Depends`. Names match without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }

    /// The field `Depends`, split at its commas: each entry is one relation, perhaps with alternatives (`a (>= 1) | b`).
    pub fn depends(&self) -> impl Iterator<Item = &str> {
        self.get("Depends").unwrap_or("").split(',').map(str::trim).filter(|relation| !relation.is_empty())
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_continuation_lines_and_relations() {
        let control = Control::parse(
            "Package: hello\nVersion: 1:2.10-3\nDepends: libc6 (>= 2.34), a | b\nDescription: short\n long\n .\n",
        )
        .unwrap();
        assert_eq!((control.package(), control.version()), ("hello", "1:2.10-3"));
        assert_eq!(control.get("description"), Some("short\nlong\n."));
        assert_eq!(control.depends().collect::<Vec<_>>(), ["libc6 (>= 2.34)", "a | b"]);
        assert_eq!(control.get("Provides"), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, expected) in [
            ("Package: a\n", "no field `Version`"),
            ("Version: 1\nPackage:\n", "no field `Package`"),
            (" continued\n", "begins with a continuation line"),
            ("Package a\n", "line 1 of its control file has no colon"),
        ] {
            let error = Control::parse(text).unwrap_err().of("x.deb".as_ref()).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
