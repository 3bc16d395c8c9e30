//! Where a source may come from: `debian:`, `debian-security:`, `crate:`, `https:`, `http:` and `file:`.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::apt::Archives;
use super::crate_version::CrateVersion;
use super::location::Location;
use super::passwords::without_passwords;
use crate::error::{Error, Result};

/// A place that a recipe names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// `debian:PATH`: a path below the Debian archive that this machine's apt uses.
    Debian(String),
    /// `debian-security:PATH`: a path below the archive of security updates.
    DebianSecurity(String),
    /// `crate:NAME/VERSION`: the archive of a crate, from the registry that this machine's cargo uses.
    Crate(CrateVersion),
    /// `https://…` or `http://…`: the hash is pinned, so the transport need not be trusted.
    Url(String),
    /// `file:PATH`: absolute, or below the folder of the recipe.
    File(PathBuf),
}

impl Mirror {
    /// Reads the text of a `mirror` node.
    ///
    /// # Errors
    /// The kind is not known, or the path is empty, leaves its folder, or has control characters.
    pub fn parse(text: &str) -> Result<Mirror> {
        let refuse = |cause: &str| {
            Error::new(format!("mirror \"{}\"", without_passwords(text).escape_debug()), cause).remedy(
                "write debian:pool/..., debian-security:pool/..., crate:NAME/VERSION, https://..., http://... or file:PATH",
            )
        };
        if text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(refuse("has a space or a control character"));
        }
        let Some((kind, rest)) = text.split_once(':') else { return Err(refuse("has no kind")) };
        let below = |path: &str| match is_below(path) {
            true => Ok(path.to_owned()),
            false => Err(refuse("is not a path below the archive")),
        };
        match kind {
            "debian" => below(rest).map(Mirror::Debian),
            "debian-security" => below(rest).map(Mirror::DebianSecurity),
            "crate" => CrateVersion::parse(rest)
                .map(Mirror::Crate)
                .ok_or_else(|| refuse("is not NAME/VERSION with all three numbers of a version")),
            "https" | "http" if rest.strip_prefix("//").is_some_and(|host| !host.is_empty()) => {
                Ok(Mirror::Url(text.to_owned()))
            }
            "file" if rest.starts_with('/') || is_below(rest) => Ok(Mirror::File(PathBuf::from(rest))),
            "file" => Err(refuse("is neither an absolute path nor one below the recipe's folder")),
            _ => Err(refuse("is of an unknown kind")),
        }
    }

    /// Every place where the mirror's file may lie, in the order to try.
    pub(super) fn locations(&self, recipe: &Path, archives: &Archives) -> Result<Vec<Location>> {
        match self {
            Mirror::Debian(path) => archives.locations(path, false),
            Mirror::DebianSecurity(path) => archives.locations(path, true),
            Mirror::Crate(version) => Ok(vec![Location::Crate(version.clone())]),
            Mirror::Url(url) => Ok(vec![Location::Url { url: url.clone(), proxy: None }]),
            Mirror::File(path) => Ok(vec![Location::File(recipe.join(path))]),
        }
    }
}

/// Relative, not empty, no `..`.
fn is_below(path: &str) -> bool {
    let mut components = Path::new(path).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

impl Mirror {
    /// As a recipe writes it, with user and password.
    pub fn text(&self) -> String {
        match self {
            Mirror::Url(url) => url.clone(),
            other => other.to_string(),
        }
    }
}

/// For people and logs: without user and password.
impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mirror::Debian(path) => write!(f, "debian:{path}"),
            Mirror::DebianSecurity(path) => write!(f, "debian-security:{path}"),
            Mirror::Crate(version) => write!(f, "crate:{version}"),
            Mirror::Url(url) => f.write_str(&without_passwords(url)),
            Mirror::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_printed_as_written() {
        for text in [
            "debian:pool/main/h/hello/hello_2.10.orig.tar.gz",
            "debian-security:pool/updates/main/x.deb",
            "crate:libressl-pnacl-sys/2.1.6",
            "https://example.org/a.tar.gz",
            "http://127.0.0.1:8080/a",
            "file:/srv/mirror/a",
            "file:files/a",
        ] {
            assert_eq!(Mirror::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn others_are_refused_with_the_kinds_there_are() {
        for text in [
            "",
            "a.tar.gz",
            "ftp://example.org/a",
            "https:a",
            "http://",
            "debian:",
            "debian:../x",
            "debian:/pool/x",
        ]
        .into_iter()
        .chain(["crate:", "crate:a", "crate:a/1.2", "crate:../1.2.3"])
        .chain(["file:", "file:../../etc/passwd", "https://example.org/a b", "debian:pool/\u{1b}x"])
        {
            let error = Mirror::parse(text).unwrap_err().to_string();
            assert!(error.contains("help: write debian:pool/"), "{text}: {error}");
        }
    }

    #[test]
    fn relative_files_lie_below_the_recipe() {
        let archives = Archives::at(&[]);
        let locations =
            |text: &str| Mirror::parse(text).unwrap().locations("/r".as_ref(), &archives).unwrap();
        assert_eq!(locations("file:a/b"), [Location::File("/r/a/b".into())]);
        assert_eq!(locations("file:/a/b"), [Location::File("/a/b".into())]);
    }
}
