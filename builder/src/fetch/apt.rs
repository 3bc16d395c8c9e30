//! The Debian archives that this machine's own apt configuration names.

use std::fs;
use std::process::Stdio;
use std::sync::OnceLock;

use super::location::Location;
use super::passwords::without_passwords;
use super::tied_program;
use crate::error::{Error, Result};

/// The archives that `debian:` and `debian-security:` mirrors mean.
#[derive(Debug, Default)]
pub struct Archives {
    found: OnceLock<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Base URIs with a slash at the end, in the order of the configuration, each once.
    bases: Vec<String>,
    /// apt's own proxy for http, which apt uses whatever the environment says.
    proxy: Option<String>,
    /// Why there are none.
    problem: Option<String>,
}

impl Archives {
    /// Asks apt when first needed.
    pub fn of_this_machine() -> Archives {
        Archives::default()
    }

    /// These base URIs and no others.
    pub fn at(bases: &[&str]) -> Archives {
        let bases = bases.iter().map(|base| with_slash(base)).collect();
        Archives { found: OnceLock::from(Found { bases, ..Found::default() }) }
    }

    /// The base URI of the archive itself, with a slash at the end; the one of security updates is another.
    ///
    /// # Errors
    /// apt is not there, or names none.
    pub fn main(&self) -> Result<String> {
        let found = self.found()?;
        found.bases.iter().find(|base| !base.contains("security")).cloned().ok_or_else(|| no_archive(found))
    }

    fn found(&self) -> Result<&Found> {
        let found = self.found.get_or_init(ask_apt);
        if found.bases.is_empty() { Err(no_archive(found)) } else { Ok(found) }
    }

    /// Where `path` may lie. An archive whose address speaks of security comes first for security updates and last for
    /// all else; it is tried all the same, because mirrors have many shapes and the hash decides.
    pub(super) fn locations(&self, path: &str, security: bool) -> Result<Vec<Location>> {
        let found = self.found()?;
        let (first, last): (Vec<_>, Vec<_>) =
            found.bases.iter().partition(|base| base.contains("security") == security);
        Ok(first.into_iter().chain(last).map(|base| location(base, path, found.proxy.as_deref())).collect())
    }
}

fn no_archive(found: &Found) -> Error {
    let cause = found.problem.as_deref().unwrap_or("apt's configuration names no Debian archive");
    Error::new("apt", cause)
        .remedy("add the Debian archive to /etc/apt/sources.list, or a https:// mirror to the recipe")
}

fn location(base: &str, path: &str, proxy: Option<&str>) -> Location {
    match base.strip_prefix("file:").or_else(|| base.strip_prefix("copy:")) {
        Some(folder) => Location::File(format!("{}{path}", folder.replacen("//", "", 1)).into()),
        // Pool paths have `+` and `~`, which URLs allow; nothing in them needs escaping.
        None => Location::Url {
            url: format!("{base}{path}"),
            proxy: proxy.filter(|_| base.starts_with("http:")).map(str::to_owned),
        },
    }
}

/// `apt-get indextargets` (apt-get(8)) says of each archive whose it is, but only once `apt-get update` has run; before that
/// `update --print-uris`, which downloads nothing, says at least where the archives are.
fn ask_apt() -> Found {
    let listing = apt_get(&["indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"])
        .and_then(|listing| match listing.trim().is_empty() {
            true => apt_get(&["update", "--print-uris"]).map(|uris| archives_of_releases(&uris)),
            false => Ok(listing),
        });
    match listing {
        Ok(listing) => {
            let bases = bases(&listing, |list| fs::read_to_string(list).ok());
            Found { bases, proxy: apt_proxy(), problem: None }
        }
        Err(problem) => Found { problem: Some(problem), ..Found::default() },
    }
}

fn apt_get(arguments: &[&str]) -> Result<String, String> {
    let mut command = tied_program::command("apt-get");
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| tied_program::not_started(error).to_string())?;
    if tied_program::is_missing(output.status) {
        return Err("apt-get cannot be started".to_owned());
    }
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "apt-get {}: {}",
        arguments[0],
        without_passwords(String::from_utf8_lossy(&output.stderr).trim())
    ))
}

/// From `'http://HOST/debian/dists/bookworm/InRelease' NAME 0` to the form of [`bases`]. Whose the archives are is not known:
/// those that speak of Debian come first.
fn archives_of_releases(uris: &str) -> String {
    let archives = uris.lines().filter_map(|line| {
        let (uri, _) = line.strip_prefix('\'')?.split_once("/InRelease'")?;
        Some(uri.split_once("/dists/")?.0)
    });
    let (likely, others): (Vec<&str>, Vec<&str>) = archives.partition(|archive| archive.contains("debian"));
    likely.into_iter().chain(others).map(|archive| format!(" {archive}/\n")).collect()
}

/// Reads lines of `ORIGIN URI`. The origin is known after `apt-get update` only; where any line has `Debian`, the others are
/// archives of third parties, which need not be asked. `read` gives the text of a mirror list.
fn bases(listing: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines: Vec<(&str, &str)> = listing.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    let debian_is_known = lines.iter().any(|(origin, _)| *origin == "Debian");
    let mut bases = Vec::new();
    for (_, uri) in lines.into_iter().filter(|(origin, _)| !debian_is_known || *origin == "Debian") {
        for base in addresses(uri, &read) {
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
    }
    bases
}

/// Cloud machines name a file with one address a line: `mirror+file:/etc/apt/mirrors/debian.list` (apt-transport-mirror(1)).
fn addresses(uri: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    if let Some(list) = uri.strip_prefix("mirror+file:") {
        let text = read(list.trim_end_matches('/').trim_start_matches("//")).unwrap_or_default();
        let first_words = text.lines().filter_map(|line| line.split_whitespace().next());
        return first_words
            .filter(|word| !word.starts_with('#'))
            .filter(|uri| can_read(uri))
            .map(with_slash)
            .collect();
    }
    if can_read(uri) { vec![with_slash(uri)] } else { Vec::new() }
}

fn can_read(uri: &str) -> bool {
    ["http:", "https:", "file:", "copy:"].iter().any(|kind| uri.starts_with(kind))
}

fn with_slash(uri: &str) -> String {
    format!("{}/", uri.trim_end_matches('/'))
}

fn apt_proxy() -> Option<String> {
    let output = tied_program::command("apt-config")
        .args(["dump", "--no-empty", "--format", "%v", "Acquire::http::Proxy"])
        .output()
        .ok()?;
    let proxy = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!proxy.is_empty() && proxy != "DIRECT").then_some(proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_parties_are_left_out_once_debian_is_known() {
        let listing = "Debian http://a.test/debian/\nDebian http://a.test/debian/\nDebian http://a.test/debian-security/\n\
                       Vendor https://vendor.test/apt/\n";
        assert_eq!(bases(listing, |_| None), ["http://a.test/debian/", "http://a.test/debian-security/"]);
        let before_update = " http://a.test/debian/\n https://vendor.test/apt/\n";
        assert_eq!(bases(before_update, |_| None), ["http://a.test/debian/", "https://vendor.test/apt/"]);
    }

    #[test]
    fn before_the_first_update_the_places_of_releases_tell_the_archives() {
        let uris = "'https://vendor.test/apt/dists/stable/InRelease' vendor.test_InRelease 0 \n\
                    'http://a.test/debian/dists/bookworm/InRelease' a.test_InRelease 0 \n\
                    'http://a.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' a.test_Packages 0 \n\
                    'http://a.test/debian-security/dists/bookworm-security/InRelease' a.test_InRelease 0 \n";
        assert_eq!(
            bases(&archives_of_releases(uris), |_| None),
            ["http://a.test/debian/", "http://a.test/debian-security/", "https://vendor.test/apt/"]
        );
    }

    #[test]
    fn mirror_lists_are_read_and_unreadable_kinds_passed_over() {
        let read = |path: &str| {
            assert_eq!(path, "/etc/apt/mirrors/debian.list");
            Some("# comment\nhttps://a.test/debian\tpriority:1\n\nftp://b.test/debian\n".to_owned())
        };
        let listing =
            "Debian mirror+file:/etc/apt/mirrors/debian.list/\nDebian cdrom:[x]/\nDebian copy:/srv/debian/\n";
        assert_eq!(bases(listing, read), ["https://a.test/debian/", "copy:/srv/debian/"]);
    }

    #[test]
    fn the_security_archive_comes_first_for_security_updates_alone() {
        let archives =
            Archives::at(&["http://a.test/debian-security", "http://a.test/debian", "file:///srv/debian"]);
        let shown = |security| -> Vec<String> {
            archives.locations("pool/x", security).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(false),
            ["http://a.test/debian/pool/x", "/srv/debian/pool/x", "http://a.test/debian-security/pool/x"]
        );
        assert_eq!(shown(true)[0], "http://a.test/debian-security/pool/x");
        let error = Archives::at(&[]).locations("pool/x", false).unwrap_err().to_string();
        assert!(error.contains("names no Debian archive"), "{error}");
    }
}
