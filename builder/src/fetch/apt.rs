//! The Debian archives that this machine's own apt configuration names.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use super::mirror::Location;
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

/// `apt-get indextargets` (apt-get(8)) lists what apt would download, whether or not `apt-get update` has run.
fn ask_apt() -> Found {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let bases = bases(&String::from_utf8_lossy(&output.stdout), |list| fs::read_to_string(list).ok());
            Found { bases, proxy: apt_proxy(), problem: None }
        }
        Ok(output) => {
            let problem = format!("apt-get indextargets: {}", String::from_utf8_lossy(&output.stderr).trim());
            Found { problem: Some(problem), ..Found::default() }
        }
        Err(error) => Found { problem: Some(format!("apt-get: {error}")), ..Found::default() },
    }
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
    let output = Command::new("apt-config")
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
