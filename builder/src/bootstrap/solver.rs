//! Makes the pins: apt's own solver, with a private and empty idea of what is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use profiles::Digest;

use super::description::Description;
use super::pins::{PinnedPackage, Pins};
use crate::error::{Error, Result};
use crate::fetch::Archives;

/// Asks apt for all that the wanted packages need, in the newest versions of the suite. Works as an ordinary user and changes
/// nothing outside `scratch`, a folder of this call.
///
/// Only the suite itself is asked, not its security updates: what a suite has stays in the pool, what its security archive
/// has is deleted when the next update comes, and a pin would be lost with it.
///
/// # Errors
/// apt is not there, cannot reach the archive, or finds no solution.
pub fn solve(description: &Description, archives: &Archives, scratch: &Path) -> Result<Pins> {
    let archive = archives.main()?;
    let apt = Apt::prepare(&archive, &description.suite, scratch)?;
    apt.run("apt-get", &["--quiet=2", "update"])?;
    let mut arguments = vec!["--quiet=2", "--print-uris", "--no-install-recommends", "install"];
    arguments.extend(description.want.iter().map(String::as_str));
    let listing = apt.run("apt-get", &arguments)?;
    let mut packages = Vec::new();
    for line in listing.lines() {
        let package = parse_line(line, &archive).ok_or_else(|| {
            Error::new(
                "apt-get --print-uris",
                format!("gives a line that is not understood: {}", line.escape_debug()),
            )
        })?;
        if !description.leave_out.contains(&package.name) {
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Pins { suite: description.suite.clone(), packages })
}

/// apt with folders of its own.
struct Apt<'a> {
    scratch: &'a Path,
}

impl Apt<'_> {
    fn prepare<'a>(archive: &str, suite: &str, scratch: &'a Path) -> Result<Apt<'a>> {
        let attempt = || -> std::io::Result<()> {
            fs::create_dir_all(scratch.join("lists/partial"))?;
            fs::create_dir_all(scratch.join("archives/partial"))?;
            fs::write(scratch.join("status"), "")?;
            fs::write(scratch.join("sources.list"), format!("deb {archive} {suite} main\n"))?;
            fs::write(scratch.join("apt.conf"), configuration(&scratch.display().to_string()))
        };
        attempt().map_err(Error::on(scratch.display()))?;
        Ok(Apt { scratch })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        // The last file that apt reads wins: proxies and keys of the machine stay, folders are ours.
        let output = Command::new(program)
            .args(["-c"])
            .arg(self.scratch.join("apt.conf"))
            .args(arguments)
            .env("LC_ALL", "C")
            .output()
            .map_err(|error| {
                Error::caused(program, error).remedy("make the lock on a Debian system, where apt is")
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::new(program, format!("ended with {}: {}", output.status, said.trim()))
            .remedy("check the network and the names of the packages in debian.kdl"))
    }
}

/// apt.conf(5).
fn configuration(folder: &str) -> String {
    format!(
        r#"Dir::State::status "{folder}/status";
Dir::State::lists "{folder}/lists/";
Dir::State::extended_states "{folder}/extended_states";
Dir::Cache::archives "{folder}/archives/";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures {{ "amd64"; }};
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
"#
    )
}

/// `'http://HOST/debian/pool/main/d/dash/dash_0.5.12-2_amd64.deb' dash_0.5.12-2_amd64.deb 91848 SHA256:HEX`
fn parse_line(line: &str, archive: &str) -> Option<PinnedPackage> {
    let mut words = line.split(' ');
    let (uri, file, size, hash) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let path = percent_decoded(uri.trim_matches('\'').strip_prefix(archive)?)?;
    let mut parts = file.split('_');
    let (name, version) = (parts.next()?, percent_decoded(parts.next()?)?);
    Some(PinnedPackage {
        name: name.to_owned(),
        version,
        sha256: Digest::parse(hash.strip_prefix("SHA256:")?).ok()?,
        size: size.parse().ok()?,
        path,
    })
}

/// `1%3a2.0` is `1:2.0`.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok().filter(u8::is_ascii)?;
        decoded.push(char::from(code));
        decoded.push_str(&part[2..]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_apt_becomes_a_pin() {
        let hex = "33ea40061da2f1a861ec46212b2b6a34f0776a049b1a3f0abce2fb8cb994258f";
        let line = format!(
            "'http://a.test/debian/pool/main/f/file/file_5.44%2bx-3_amd64.deb' file_1%3a5.44+x-3_amd64.deb 42472 SHA256:{hex}"
        );
        let package = parse_line(&line, "http://a.test/debian/").unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("file", "1:5.44+x-3"));
        assert_eq!(package.path, "pool/main/f/file/file_5.44+x-3_amd64.deb");
        assert_eq!((package.size, package.sha256.hex()), (42472, hex.to_owned()));
        for wrong in [
            "",
            "Reading package lists...",
            &line.replace("SHA256", "MD5Sum"),
            &line.replace("a.test", "b.test"),
        ] {
            assert_eq!(parse_line(wrong, "http://a.test/debian/"), None, "{wrong}");
        }
    }
}
