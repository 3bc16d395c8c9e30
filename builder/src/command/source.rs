//! `lamina source`: what pins the sources of recipes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;

use super::print;
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher, Mirror, Pin, without_passwords};
use crate::recipe::{self, PinnedSource};
use crate::text_file;

/// Pin sources of recipes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "source",
    example = "lamina source pin https://ftp.gnu.org/gnu/hello/hello-2.10.tar.gz"
)]
pub struct SourceCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Pin(PinCommand),
}

/// Read what an address gives now, and print the `source` node with its SHA-256 and size.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "pin",
    example = "lamina source pin https://ftp.gnu.org/gnu/hello/hello-2.10.tar.gz\nlamina source pin debian:pool/main/h/hello/hello_2.10.orig.tar.gz --write hello",
    note = "The hash says what lies there now, and not that it is right: compare it with what the authors publish."
)]
struct PinCommand {
    /// an address as in `mirror` (https:, http:, debian:, debian-security:, crate:, file:), or a file
    #[argh(positional, arg_name = "url-or-file")]
    address: String,
    /// the name of the source in /sources (default: the last part of the address)
    #[argh(option, arg_name = "file")]
    name: Option<String>,
    /// write it into the recipe of this package, in place of the hash and size of a source with the same name
    #[argh(option, arg_name = "package")]
    write: Option<String>,
}

impl SourceCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Pin(pin) = self.action;
        pin.run(context)
    }
}

impl PinCommand {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let recipe = self.write.as_deref().map(|package| folder_of(context, package)).transpose()?;
        let here = PathBuf::from(".");
        let mirror = mirror_of(&self.address, recipe.as_deref())?;
        let name = self.name.clone().unwrap_or_else(|| last_part(&self.address));
        // Before the file is read: a wrong name is known now.
        PinnedSource::new(&name, profiles::Digest::from_bytes([0; 32]), 0, String::new())?;
        let fetcher = Fetcher::new(here.clone());
        let pin = fetcher.pin(&mirror, recipe.as_deref().unwrap_or(&here), &name, &Console::new())?;
        warn(context, &self.address, &pin);
        let source = PinnedSource::new(&name, pin.sha256, pin.size, mirror.text())?;
        match recipe {
            Some(folder) => write(context, &folder, &source)?,
            None => print(source.to_string().trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn folder_of(context: &Context, package: &str) -> Result<PathBuf> {
    let name = Name::parse(package).map_err(Error::on(format!("'{package}'")))?;
    let recipes = context.recipes()?;
    recipes.folder_of(&name)
}

/// An address of a kind that mirrors have, or a file of this machine: relative to the recipe where it lies beside it.
fn mirror_of(address: &str, recipe: Option<&Path>) -> Result<Mirror> {
    let kinds = ["https:", "http:", "debian:", "debian-security:", "crate:", "file:"];
    if kinds.iter().any(|kind| address.starts_with(kind)) {
        return Mirror::parse(address);
    }
    let path = std::fs::canonicalize(address).map_err(|error| {
        Error::caused(address, error)
            .remedy("give a file, or an address with https:, http:, debian:, crate: or file:")
    })?;
    let recipe = recipe.and_then(|folder| std::fs::canonicalize(folder).ok());
    let below = recipe.and_then(|folder| path.strip_prefix(folder).ok().map(Path::to_path_buf));
    let text = below.as_ref().unwrap_or(&path).to_str().ok_or_else(|| {
        Error::new(path.display(), "is not a name in UTF-8").remedy("give the file another name")
    })?;
    Mirror::parse(&format!("file:{text}"))
}

/// The last part of an address, without query and fragment (RFC 3986, section 3); of a crate the name of its archive.
fn last_part(address: &str) -> String {
    if let Some(version) = address.strip_prefix("crate:") {
        // As cargo calls its archive.
        return format!("{}.crate", version.replace('/', "-"));
    }
    let is_url = address.starts_with("http:") || address.starts_with("https:");
    let path = if is_url { address.split(['?', '#']).next().unwrap_or_default() } else { address };
    path.rsplit(['/', ':']).next().unwrap_or_default().to_owned()
}

/// Servers say gzip also of files that are compressed themselves.
fn is_compressed(name: &str) -> bool {
    [".gz", ".tgz", ".xz", ".bz2", ".zst", ".br", ".Z"].iter().any(|ending| name.ends_with(ending))
}

fn warn(context: &Context, address: &str, pin: &Pin) {
    let address = without_passwords(address);
    if let Some(encoding) = pin.encoding.as_ref().filter(|_| !is_compressed(&last_part(&address))) {
        context.report.line(format_args!(
            "{address}: the server packed the file with {encoding} although nobody asked: another server has other bytes under this name"
        ));
    }
    if let Some(redirected) = &pin.redirected {
        context.report.line(format_args!("{address}: redirected to {redirected}"));
    }
    if !pin.whole {
        context.report.line(format_args!(
            "{address}: the server did not say how long the file is: compare the size, it may have been cut off"
        ));
    }
    if address.starts_with("http:") {
        context.report.line(format_args!(
            "{address}: http: anybody on the way may have changed it: compare the hash with what the authors publish"
        ));
    }
}

fn write(context: &Context, folder: &Path, source: &PinnedSource) -> Result<()> {
    let path = folder.join("recipe.kdl");
    let bytes = text_file::read_below(folder, &path)?;
    let text = recipe::pin_into(&path.display().to_string(), &bytes, source)?;
    if text.as_bytes() == bytes {
        context.report.line(format_args!("{}: is pinned to this already", path.display()));
        return Ok(());
    }
    text_file::replace(&path, &text)?;
    context.report.line(format_args!("{}: pinned", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_address() {
        for (address, name) in [
            ("https://a.test/x/y-1.tar.gz?download=1#top", "y-1.tar.gz"),
            ("debian:pool/main/h/hello/hello_2.10.orig.tar.gz", "hello_2.10.orig.tar.gz"),
            ("crate:libressl-pnacl-sys/2.1.6", "libressl-pnacl-sys-2.1.6.crate"),
            ("file:x.tar", "x.tar"),
            ("./a/x#1.tar", "x#1.tar"),
            ("https://a.test/", ""),
        ] {
            assert_eq!(last_part(address), name, "{address}");
        }
    }
}
